/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network monitor; see netmon.h. A message of rtnetlink makes the monitor
 * read the addresses. It reports a change only if their set differs from the
 * last one, so renewed leases and radio statistics make no event.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "discovery/netmon.h"
#include "os/interfaces.h"
#include "os/netlink.h"

enum { POLL_MS = 5000, SETTLE_MS = 200 };

struct pn_netmon {
    pn_loop *loop;
    pn_netmon_mode wanted;
    pn_netmon_mode mode;
    uint64_t poll_us;
    uint64_t settle_us;
    const pn_network_sink *sink; /* NULL: stopped */
    pn_netlink *netlink;
    pn_timer *look;
    bool is_due; /* look is armed for a change */
    pn_interface *last;
    size_t n_last;
};

/* ---- comparing -------------------------------------------------------- */

static bool same_interface(const pn_interface *a, const pn_interface *b)
{
    return a->index == b->index && a->is_up == b->is_up
           && strcmp(a->name, b->name) == 0
           && pn_address_same_host(&a->address, &b->address)
           && pn_address_same_host(&a->netmask, &b->netmask);
}

static bool has_interface(
    const pn_interface *list, size_t n, const pn_interface *i)
{
    for (size_t k = 0; k < n; k++) {
        if (same_interface(&list[k], i)) {
            return true;
        }
    }
    return false;
}

/* Compares the lists as sets, because the kernel's order means nothing. Entries
 * do not repeat. */
static bool same_list(
    const pn_interface *a, size_t n_a, const pn_interface *b, size_t n_b)
{
    for (size_t k = 0; k < n_a; k++) {
        if (!has_interface(b, n_b, &a[k])) {
            return false;
        }
    }
    return n_a == n_b;
}

/* True when it differs from the last; keeps it. */
static bool netmon_take(pn_netmon *m)
{
    pn_interface *now;
    size_t n;
    bool differs;

    if (pn_interfaces_list(&now, &n) != PN_OK) {
        return false; /* the next look may do better */
    }
    differs = !same_list(m->last, m->n_last, now, n);
    free(m->last);
    m->last = now;
    m->n_last = n;
    return differs;
}

/* ---- watching --------------------------------------------------------- */

static void netmon_arm_poll(pn_netmon *m)
{
    if (m->mode == PN_NETMON_POLLING && m->sink != NULL) {
        pn_timer_set(m->look, pn_loop_update_now(m->loop) + m->poll_us);
    }
}

static void on_look(void *user)
{
    pn_netmon *m = user;

    m->is_due = false;
    if (netmon_take(m)) {
        m->sink->changed(m->sink->node);
    }
    netmon_arm_poll(m);
}

/* The first message of a burst sets the time; the others change nothing. */
static void on_netlink(void *user)
{
    pn_netmon *m = user;

    if (!m->is_due) {
        m->is_due = true;
        pn_timer_set(m->look, pn_loop_now_us(m->loop) + m->settle_us);
    }
}

static pn_err netmon_start(void *user, const pn_network_sink *sink)
{
    pn_netmon *m = user;
    pn_err err = PN_SYS;

    if (m->sink != NULL) {
        return PN_STATE;
    }
    if (m->wanted != PN_NETMON_POLLING) {
        err = pn_netlink_new(m->loop, on_netlink, m, &m->netlink);
        if (err != PN_OK && m->wanted == PN_NETMON_RTNETLINK) {
            return err;
        }
    }
    m->mode = err == PN_OK ? PN_NETMON_RTNETLINK : PN_NETMON_POLLING;
    m->sink = sink;
    (void)netmon_take(m);
    netmon_arm_poll(m);
    return PN_OK;
}

static void netmon_stop(void *user)
{
    pn_netmon *m = user;

    pn_netlink_free(m->netlink);
    m->netlink = NULL;
    m->sink = NULL;
    m->is_due = false;
    m->mode = PN_NETMON_AUTO;
    pn_timer_set(m->look, PN_TIME_NEVER);
}

static pn_err netmon_current(
    void *user, pn_local_address *addresses, size_t cap, size_t *ret_n)
{
    pn_interface *now;
    size_t n;
    size_t n_up = 0;
    pn_err err = pn_interfaces_list(&now, &n);

    (void)user;
    if (err != PN_OK) {
        return err;
    }
    for (size_t k = 0; k < n; k++) {
        if (now[k].is_up) {
            if (n_up < cap) {
                memcpy(addresses[n_up].interface_name, now[k].name,
                    sizeof(now[k].name));
                pn_address_host_text(&now[k].address, addresses[n_up].address);
            }
            n_up++;
        }
    }
    free(now);
    *ret_n = n_up;
    return PN_OK;
}

const pn_network_monitor pn_netmon_monitor = {
    .size = sizeof(pn_network_monitor),
    .name = "netmon",
    .start = netmon_start,
    .stop = netmon_stop,
    .current = netmon_current,
};

/* ---- life ------------------------------------------------------------- */

pn_err pn_netmon_new(const pn_netmon_config *config, pn_netmon **ret_netmon)
{
    pn_netmon *m = calloc(1, sizeof(*m));

    if (m == NULL
        || pn_timer_new(config->loop, on_look, m, &m->look) != PN_OK) {
        free(m);
        return PN_NOMEM;
    }
    m->loop = config->loop;
    m->wanted = config->mode;
    m->poll_us = (config->poll_ms != 0 ? config->poll_ms : POLL_MS)
                 * PN_US_PER_MS;
    m->settle_us = (config->settle_ms != 0 ? config->settle_ms : SETTLE_MS)
                   * PN_US_PER_MS;
    *ret_netmon = m;
    return PN_OK;
}

void pn_netmon_free(pn_netmon *m)
{
    if (m == NULL) {
        return;
    }
    netmon_stop(m);
    pn_timer_free(m->look);
    free(m->last);
    free(m);
}

pn_netmon_mode pn_netmon_mode_now(const pn_netmon *m)
{
    return m->mode;
}

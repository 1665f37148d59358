/* SPDX-License-Identifier: Apache-2.0 */
/* Discovery by UDP broadcast; see udp_discovery.h. docs/THREATS.md, T15 to T17.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mutant.h"
#include "discovery/pace.h"
#include "os/interface_names.h"
#include "os/udp.h"
#include "udp_discovery.h"
#include "wire/announce.h"

enum { PACKETS_PER_S = 200 };

/* The list of interfaces is read again when it is older than this. */
#define INTERFACES_US PN_US_PER_S

struct pn_udp_discovery {
    pn_loop *loop;
    const pn_env *env;
    pn_heard_rules rules;
    pn_address addresses[PN_UDP_DISCOVERY_MAX];
    size_t n_addresses;
    bool is_everywhere;
    bool is_every_interface;
    const char *names; /* of interfaces; NULL: by the rule for names */
    uint16_t port;
    uint32_t packets_per_s;
    pn_pace pace;

    const pn_discovery_sink *sink; /* NULL: stopped */
    pn_udp *udp;
    pn_timer *announce; /* armed while announcing */
    pn_timer *resume;   /* armed while too much has come */
    uint8_t packet[PN_ANNOUNCE_LEN];

    pn_interface *interfaces; /* those that are used, and loopback */
    size_t n_interfaces;
    uint64_t interfaces_us; /* when they were read; 0: never */
    uint64_t second_us;     /* begin of the second being counted */
    uint32_t n_second;
    uint64_t unread_before; /* of sockets before this one */
    pn_udp_discovery_counters counters;
};

/* ---- interfaces ------------------------------------------------------- */

static void interfaces_refresh(pn_udp_discovery *d)
{
    uint64_t now_us = pn_loop_now_us(d->loop);
    pn_interface *interfaces;
    size_t n;

    if (d->interfaces_us != 0 && now_us - d->interfaces_us < INTERFACES_US) {
        return;
    }
    d->interfaces_us = now_us;
    if (pn_interfaces_list(&interfaces, &n) == PN_OK) {
        free(d->interfaces);
        d->interfaces = interfaces;
        d->n_interfaces = n;
        if (PN_REFUSE_IF(discovery_interface, !d->is_every_interface)) {
            d->n_interfaces = pn_interfaces_keep_used(d->names, interfaces, n);
        }
    }
}

static bool is_addressed(const pn_udp_discovery *d, const pn_interface *entry)
{
    for (size_t i = 0; i < d->n_addresses; i++) {
        if (d->addresses[i].in.sin_addr.s_addr == htonl(INADDR_BROADCAST)
            || pn_interfaces_is_on_link(entry, 1, 0, &d->addresses[i])) {
            return true;
        }
    }
    return false;
}

const char *pn_udp_discovery_unused(
    const pn_udp_discovery *d, const pn_interface *entry)
{
    const char *unused;

    if (d->is_everywhere) {
        unused = pn_interface_unused(d->names, entry);
        if (unused != NULL) {
            return unused;
        }
    } else if (!entry->is_up) {
        return "down";
    } else if (entry->address.any.sa_family == AF_UNSPEC) {
        return "no-address";
    } else if (!d->is_every_interface && !entry->is_loopback
               && !pn_interface_is_used(d->names, entry->name)) {
        return "not-named";
    }
    if (entry->address.any.sa_family != AF_INET) {
        return "ipv6-only";
    }
    if (d->is_everywhere) {
        return entry->has_broadcast ? NULL : "no-broadcast";
    }
    return is_addressed(d, entry) ? NULL : "not-addressed";
}

/* ---- receiving -------------------------------------------------------- */

/* Datagrams over the limit of a second wait in the kernel until the second is
 * over; the kernel drops those that do not fit. */
static void count_packet(pn_udp_discovery *d)
{
    uint64_t now_us = pn_loop_now_us(d->loop);

    d->counters.in++;
    d->counters.unread = d->unread_before + pn_udp_overflows(d->udp);
    if (now_us - d->second_us >= PN_US_PER_S) {
        d->second_us = now_us;
        d->n_second = 0;
    }
    if (PN_REFUSE_IF(discovery_rate, ++d->n_second >= d->packets_per_s)) {
        pn_udp_set_reading(d->udp, false);
        pn_timer_set(d->resume, d->second_us + PN_US_PER_S);
    }
}

static void on_packet(void *user, const uint8_t *data, size_t len,
    const pn_address *from, unsigned interface_index)
{
    pn_udp_discovery *d = user;
    pn_announce a;
    pn_heard heard;
    char text[PN_ADDRESS_TEXT_LEN];
    pn_address at = *from;

    count_packet(d);
    interfaces_refresh(d);
    heard = pn_heard_judge(&d->rules, d->interfaces, d->n_interfaces,
        interface_index, from, data, len, &a);
    d->counters.heard[heard]++;
    if (heard == PN_HEARD_FOUND) {
        pn_address_set_port(&at, a.port);
        pn_address_text(&at, text);
        d->sink->found(d->sink->node, &a.key, text);
    }
}

static void on_resume(void *user)
{
    pn_udp_discovery *d = user;

    if (d->udp != NULL) {
        pn_udp_set_reading(d->udp, true);
    }
}

/* ---- announcing ------------------------------------------------------- */

static void send_to(pn_udp_discovery *d, const pn_address *host)
{
    pn_address to = *host;
    int sys_errno;

    pn_address_set_port(&to, d->port);
    if (pn_udp_send(d->udp, &to, d->packet, sizeof(d->packet), &sys_errno)
        == PN_OK) {
        d->counters.out++;
    } else {
        d->counters.out_failed++;
    }
}

/* The limited broadcast leaves by the default route, which may be a tunnel's.
 * Without a route it fails, and is counted. */
static bool is_limited_used(
    const pn_udp_discovery *d, const pn_address *limited)
{
    pn_address source;

    return d->names == NULL
           && (pn_udp_source(limited, &source) != PN_OK
               || pn_interfaces_is_own(
                   d->interfaces, d->n_interfaces, &source));
}

/* The interfaces' broadcast addresses reach the networks where no default route
 * leads. */
static void send_everywhere(pn_udp_discovery *d)
{
    pn_address limited = {.in6 = {0}};

    limited.in.sin_family = AF_INET;
    limited.in.sin_addr.s_addr = htonl(INADDR_BROADCAST);
    pn_address_set_port(&limited, d->port);
    interfaces_refresh(d);
    if (is_limited_used(d, &limited)) {
        send_to(d, &limited);
    }
    for (size_t k = 0; k < d->n_interfaces; k++) {
        const pn_interface *i = &d->interfaces[k];

        if (pn_udp_discovery_unused(d, i) == NULL) {
            send_to(d, &i->broadcast);
        }
    }
}

static void on_announce(void *user)
{
    pn_udp_discovery *d = user;

    for (size_t i = 0; i < d->n_addresses; i++) {
        send_to(d, &d->addresses[i]);
    }
    if (d->is_everywhere) {
        send_everywhere(d);
    }
    pn_pace_sent(&d->pace, d->env, pn_loop_now_us(d->loop));
    pn_timer_set(d->announce, d->pace.next_us);
}

static pn_err udp_announce(void *user, const pn_public_key *key, uint16_t port)
{
    pn_udp_discovery *d = user;

    if (d->udp == NULL) {
        return PN_STATE;
    }
    if (port == 0) {
        pn_pace_stop(&d->pace);
    } else {
        pn_announce_write(
            &(pn_announce){.port = port, .key = *key, .kind = d->rules.kind},
            d->packet);
        pn_pace_begin(&d->pace, pn_loop_update_now(d->loop));
        d->interfaces_us = 0; /* an address may have come */
    }
    pn_timer_set(d->announce, d->pace.next_us);
    return PN_OK;
}

/* ---- life ------------------------------------------------------------- */

static pn_err udp_start(void *user, const pn_discovery_sink *sink)
{
    pn_udp_discovery *d = user;
    pn_address any = {.in6 = {0}};
    int sys_errno = 0;
    pn_err err;

    if (d->udp != NULL) {
        return PN_STATE;
    }
    any.in.sin_family = AF_INET;
    pn_address_set_port(&any, d->port);
    err = pn_udp_new(d->loop, &any, on_packet, d, &d->udp, &sys_errno);
    if (err != PN_OK) {
        errno = sys_errno;
        return err;
    }
    d->sink = sink;
    return PN_OK;
}

static void udp_stop(void *user)
{
    pn_udp_discovery *d = user;

    if (d->udp != NULL) {
        d->unread_before += pn_udp_overflows(d->udp);
    }
    pn_timer_set(d->announce, PN_TIME_NEVER);
    pn_timer_set(d->resume, PN_TIME_NEVER);
    pn_udp_free(d->udp);
    d->udp = NULL;
    d->sink = NULL;
}

const pn_discovery_source pn_udp_discovery_source = {
    .size = sizeof(pn_discovery_source),
    .name = "udp",
    .start = udp_start,
    .stop = udp_stop,
    .announce = udp_announce,
};

pn_err pn_udp_discovery_new(
    const pn_udp_discovery_config *config, pn_udp_discovery **ret_discovery)
{
    pn_udp_discovery *d;

    if (config->interval_ms == 0 || config->n_addresses > PN_UDP_DISCOVERY_MAX
        || !pn_interface_names_check(config->interfaces)) {
        return PN_INVALID;
    }
    for (size_t i = 0; i < config->n_addresses; i++) {
        if (config->addresses[i].any.sa_family != AF_INET) {
            return PN_INVALID;
        }
    }
    d = calloc(1, sizeof(*d));
    if (d == NULL
        || pn_timer_new(config->loop, on_announce, d, &d->announce) != PN_OK
        || pn_timer_new(config->loop, on_resume, d, &d->resume) != PN_OK) {
        pn_udp_discovery_free(d);
        return PN_NOMEM;
    }
    d->loop = config->loop;
    d->env = config->env;
    d->rules.own_key = config->own_key;
    d->rules.kind = config->kind;
    d->rules.min_port = config->min_port;
    d->is_everywhere = config->is_everywhere;
    d->is_every_interface = !d->is_everywhere && config->interfaces == NULL;
    d->names = config->interfaces;
    d->n_addresses = config->n_addresses;
    d->rules.listed = d->addresses;
    d->rules.n_listed = d->n_addresses;
    d->rules.is_lan = d->is_everywhere;
    for (size_t i = 0; i < d->n_addresses; i++) {
        bool is_loopback = pn_address_is_loopback(&config->addresses[i]);

        d->addresses[i] = config->addresses[i];
        d->rules.is_loopback = d->rules.is_loopback || is_loopback;
        d->rules.is_lan = d->rules.is_lan || !is_loopback;
    }
    d->port = config->port;
    d->pace.interval_us = config->interval_ms * PN_US_PER_MS;
    d->packets_per_s = config->packets_per_s != 0 ? config->packets_per_s
                                                  : PACKETS_PER_S;
    *ret_discovery = d;
    return PN_OK;
}

void pn_udp_discovery_free(pn_udp_discovery *d)
{
    if (d == NULL) {
        return;
    }
    pn_udp_free(d->udp);
    pn_timer_free(d->announce);
    pn_timer_free(d->resume);
    free(d->interfaces);
    free(d);
}

void pn_udp_discovery_counters_get(
    const pn_udp_discovery *d, pn_udp_discovery_counters *ret_counters)
{
    *ret_counters = d->counters;
}

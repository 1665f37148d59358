/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This host's networks: what changes ends the links whose path is gone, dials
 * again and announces. Joins the monitor of addresses, the notice of a sleep
 * and the discovery sources to the node's turns.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/net_internal.h"

/* Between two attempts to open what could not be opened at start. */
#define RETRY_US (5 * PN_US_PER_S)

enum { MAX_LOCAL = 256 };

static void on_network_changed(void *user)
{
    pn_node *node = user;

    pn_node_lock(node);
    pn_full(node)->net->is_changed = true;
    pn_node_wake(node);
    pn_node_unlock(node);
}

/* ---- network changes --------------------------------------------------- */

static bool is_local(const struct pn_net *net, const pn_address *address)
{
    for (size_t i = 0; i < net->n_locals && i < MAX_LOCAL; i++) {
        pn_address local;

        if (pn_address_parse(net->locals[i].address, 0, &local) == PN_OK
            && pn_address_same_host(&local, address)) {
            return true;
        }
    }
    return false;
}

/* Ends the links whose own address went away, and no others (unlike the
 * originals, which close all). With more addresses than fit, an address may be
 * local without being in the list, so no link is ended. */
static void links_check(pn_node *node)
{
    const struct pn_net *net = pn_full(node)->net;

    assert_on_loop(node);
    assert_locked(node);
    if (net->n_locals > MAX_LOCAL) {
        return;
    }
    PN_LIST_EACH(pn_link, link, &node->links.all, listed) {
        if ((link->stage == PN_LINK_HANDSHAKE || link->stage == PN_LINK_UP)
            && !link->ops->moves && !is_local(net, &link->local)) {
            pn_link_end(link, PN_REASON_ADDRESS_GONE);
        }
    }
}

/* Told without the lock. */
static void extension_network_changed(pn_node *node)
{
    if (node->extension.network_changed != NULL) {
        pn_node_unlock(node);
        node->extension.network_changed(node->extension.user);
        pn_node_lock(node);
    }
}

pn_err pn_discovery_resume(pn_node *node)
{
    pn_node_lock(node);
    if (!node->closing.is_asked) { /* what announces may be gone already */
        pn_full(node)->net->wants_announce = true;
        pn_node_wake(node);
    }
    pn_node_unlock(node);
    return PN_OK;
}

/* Reads the addresses of this host; false: they cannot be read. *ret_has_come:
 * one is new, so peers may be where nothing of ours has been announced. */
static bool locals_look(pn_node *node, bool *ret_has_come)
{
    struct pn_net *net = pn_full(node)->net;
    pn_local_address *locals;
    size_t n = 0;
    pn_err err = PN_NOMEM;

    assert_on_loop(node);
    assert_unlocked(node);
    *ret_has_come = false;
    locals = calloc(MAX_LOCAL, sizeof(*locals));
    if (locals != NULL) {
        err = net->monitor->current(net->monitor_user, locals, MAX_LOCAL, &n);
    }
    if (err != PN_OK) {
        free(locals);
        return false;
    }
    for (size_t i = 0; i < n && i < MAX_LOCAL; i++) {
        pn_address local;

        if (pn_address_parse(locals[i].address, 0, &local) == PN_OK
            && !is_local(net, &local)) {
            *ret_has_come = true;
        }
    }
    free(net->locals);
    net->locals = locals;
    net->n_locals = n;
    return true;
}

static void tell_change(pn_node *node)
{
    char text[32];

    assert_locked(node);
    node->metrics.network_changes++;
    (void)snprintf(text, sizeof(text), "%zu", pn_full(node)->net->n_locals);
    pn_node_event(node, PN_EVENT_NETWORK_CHANGED, NULL, NULL, NULL, text,
        strlen(text), PN_REASON_NONE);
}

/* The other end may have given a link up while this host slept. It says so when
 * it is asked, so that a dead link ends at once and a live one stays. */
static void links_woke(pn_node *node)
{
    assert_on_loop(node);
    assert_locked(node);
    PN_LIST_EACH(pn_link, link, &node->links.all, listed) {
        if (link->ops == &pn_peer_link_ops && link->stage == PN_LINK_UP) {
            pn_session_woke(pn_peer_link_of(link)->session, pn_node_now(node));
            pn_registry_suspect(pn_full(node)->registry,
                &pn_link_peer(pn_peer_link_of(link))->key, pn_node_now(node));
        }
    }
}

/* Addresses came or went, or the host woke, which may be in another network. */
static void network_look(pn_node *node, bool is_change, bool is_awake)
{
    struct pn_net *net = pn_full(node)->net;
    bool has_come = false;
    bool is_known = false;

    assert_on_loop(node);
    assert_locked(node);
    if (net->is_monitoring) {
        pn_node_unlock(node);
        is_known = locals_look(node, &has_come);
        pn_node_lock(node);
    }
    if (node->closing.is_asked) {
        return;
    }
    if (is_change) {
        tell_change(node);
    }
    if (is_awake) {
        links_woke(node);
    }
    if (is_change && !is_known) {
        /* The network may be a new one. */
        if (!node->opt.announce_on_new_networks) {
            net->is_quiet = true;
            pn_sources_announce(node);
        }
        return;
    }
    if (is_known) {
        links_check(node);
    }
    pn_registry_network_changed(pn_full(node)->registry, pn_node_now(node));
    extension_network_changed(node);
    if (!node->opt.announce_on_new_networks) {
        net->is_quiet = net->is_quiet || is_change || has_come;
        pn_sources_announce(node);
    } else if (is_awake || has_come) {
        pn_sources_announce(node);
    }
}

void pn_node_net_turn(pn_node *node)
{
    struct pn_net *net = pn_full(node)->net;
    bool is_awake;

    assert_on_loop(node);
    assert_locked(node);
    pn_sources_count(node);
    if (node->closing.is_asked) {
        return;
    }
    is_awake = pn_resume_take(net->resume);
    if (net->is_changed || is_awake) {
        bool is_change = net->is_changed;

        net->is_changed = false;
        network_look(node, is_change, is_awake);
    }
    if (net->is_doubting) {
        net->is_doubting = false;
        pn_heard_look(node);
    }
    if (net->wants_announce) {
        net->wants_announce = false;
        net->is_quiet = false;
        pn_sources_announce(node);
    }
}

/* ---- starting and stopping --------------------------------------------- */

void pn_net_log(
    pn_node *node, pn_log_what what, const char *text, int sys_errno)
{
    pn_node_lock(node);
    pn_node_log(node, &(pn_log_line){.level = PN_LOG_WARNING,
                          .what = what,
                          .text = pn_slice_of(text),
                          .sys_errno = sys_errno});
    pn_node_unlock(node);
}

static void monitor_try(pn_node *node)
{
    struct pn_net *net = pn_full(node)->net;
    bool has_come;
    int sys_errno;

    assert_on_loop(node);
    assert_unlocked(node);
    errno = 0;
    if (net->monitor->start(net->monitor_user, &net->monitor_sink) == PN_OK) {
        net->is_monitoring = true;
        (void)locals_look(node, &has_come);
        if (net->is_monitor_failing) {
            pn_net_log(node, PN_LOG_NETWORK_WATCHED, net->monitor->name, 0);
        }
        net->is_monitor_failing = false;
        return;
    }
    sys_errno = errno;
    if (!net->is_monitor_failing) {
        net->is_monitor_failing = true;
        pn_net_log(
            node, PN_LOG_NETWORK_NOT_WATCHED, net->monitor->name, sys_errno);
    }
}

static pn_err monitor_add(pn_node *node)
{
    struct pn_net *net = pn_full(node)->net;
    pn_err err;

    if (!node->opt.watch_network) {
        return PN_OK;
    }
    net->monitor = node->opt.network_monitor;
    net->monitor_user = node->opt.network_monitor_user;
    if (net->monitor == NULL) {
        pn_netmon_config config = {.loop = node->turn.loop};

        err = pn_netmon_new(&config, &net->netmon);
        if (err != PN_OK) {
            return err;
        }
        net->monitor = &pn_netmon_monitor;
        net->monitor_user = net->netmon;
    }
    net->monitor_sink = (pn_network_sink){.size = sizeof(net->monitor_sink),
        .node = node,
        .changed = on_network_changed};
    return PN_OK;
}

/* What cannot be started is tried again until it can. */
static void start_what_can(pn_node *node)
{
    struct pn_net *net = pn_full(node)->net;
    bool are_started;

    if (net->monitor != NULL && !net->is_monitoring) {
        monitor_try(node);
    }
    are_started = pn_sources_start(node)
                  && (net->monitor == NULL || net->is_monitoring);
    pn_timer_set(net->retry,
        are_started ? PN_TIME_NEVER
                    : pn_loop_update_now(node->turn.loop) + RETRY_US);
}

static void on_retry(void *user)
{
    start_what_can(user);
}

pn_err pn_node_net_start(pn_node *node, pn_why *ret_why)
{
    pn_err err = PN_OK;

    pn_full(node)->net = calloc(1, sizeof(*pn_full(node)->net));
    if (pn_full(node)->net == NULL) {
        return PN_NOMEM;
    }
    err = pn_timer_new(
        node->turn.loop, on_retry, node, &pn_full(node)->net->retry);
    if (err == PN_OK) {
        err = pn_timer_new(node->turn.loop, pn_heard_on_doubt, node,
            &pn_full(node)->net->doubt);
    }
    if (err == PN_OK) {
        err = pn_resume_new(node->turn.loop, &pn_full(node)->net->resume);
    }
    if (err == PN_OK) {
        err = pn_sources_add(node, ret_why);
    }
    if (err == PN_OK) {
        err = monitor_add(node);
    }
    if (err == PN_OK) {
        start_what_can(node);
    }
    return err;
}

void pn_node_net_stop(pn_node *node)
{
    struct pn_net *net = pn_full(node)->net;

    if (net == NULL) {
        return;
    }
    pn_timer_free(net->retry);
    net->retry = NULL;
    pn_timer_free(net->doubt);
    net->doubt = NULL;
    pn_resume_free(net->resume);
    net->resume = NULL;
    pn_sources_stop(node);
    if (net->is_monitoring) {
        net->is_monitoring = false;
        net->monitor->stop(net->monitor_user);
    }
}

void pn_node_net_free(pn_node *node)
{
    struct pn_net *net;

    pn_node_net_stop(node);
    /* A pairing under way on another thread reads it. */
    pn_node_lock(node);
    net = pn_full(node)->net;
    pn_full(node)->net = NULL;
    pn_node_unlock(node);
    if (net != NULL) {
        pn_udp_discovery_free(net->udp);
        pn_netmon_free(net->netmon);
        free(net->locals);
        free(net);
    }
}

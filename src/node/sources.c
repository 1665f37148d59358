/* SPDX-License-Identifier: Apache-2.0 */
/* Discovery sources: our own and the application's. One that cannot be started
 * is tried again until it can. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/net_internal.h"
#include "os/clock.h"

/* Addresses of each option of UDP discovery. */
enum { UDP_ADDRESSES = PN_UDP_DISCOVERY_MAX / 2 };

static void slot_add(
    pn_node *node, const pn_discovery_source *source, void *user)
{
    pn_source_slot *slot =
        &pn_full(node)->net->slots[pn_full(node)->net->n_slots++];

    *slot = (pn_source_slot){
        .node = node,
        .source = source,
        .user = user,
        .sink = {.size = sizeof(slot->sink),
            .node = slot,
            .found = pn_heard_found,
            .lost = pn_heard_lost,
            .labelled = pn_heard_labelled},
    };
}

/* Appends the addresses of an option; list: its value, or NULL. */
static pn_err udp_addresses(const pn_node *node, const char *name,
    const char *list, pn_address *to, size_t *ret_n, pn_why *ret_why)
{
    size_t end = *ret_n + UDP_ADDRESSES;
    char text[PN_ADDRESS_TEXT_LEN];
    pn_err err = PN_OK;
    pn_address next;

    while (list != NULL
           && pn_address_list_next(
               &list, node->opt.discovery_port, &next, text, &err)) {
        if (err != PN_OK) {
            return pn_why_fail(
                ret_why, err, "%s \"%s\" is not a numeric address", name, text);
        }
        if (next.any.sa_family != AF_INET) {
            return pn_why_fail(ret_why, PN_INVALID,
                "%s \"%s\": expected an IPv4 address", name, text);
        }
        if (*ret_n == end) {
            return pn_why_fail(ret_why, PN_INVALID,
                "%s has more addresses than %d, expected at most that", name,
                UDP_ADDRESSES);
        }
        to[(*ret_n)++] = next;
    }
    return PN_OK;
}

static pn_err interfaces_check(pn_node *node, pn_why *ret_why)
{
    struct pn_net *net = pn_full(node)->net;

    if (!pn_interface_names_check(node->opt.interfaces)) {
        return pn_why_fail(ret_why, PN_INVALID,
            "interfaces \"%s\": expected names of 1 to 15 bytes with commas "
            "between them, at most %d bytes in all",
            node->opt.interfaces, PN_INTERFACE_NAMES_CAP - 1);
    }
    if (node->opt.interfaces != NULL) {
        (void)snprintf(
            net->names, sizeof(net->names), "%s", node->opt.interfaces);
        net->interfaces = net->names;
    }
    return PN_OK;
}

static pn_err udp_add(pn_node *node, pn_why *ret_why)
{
    struct pn_net *net = pn_full(node)->net;
    pn_address to[PN_UDP_DISCOVERY_MAX];
    pn_udp_discovery_config config = {
        .loop = node->turn.loop,
        .env = &node->env,
        .own_key = pn_full(node)->trust.identity->public_key,
        .port = node->opt.discovery_port,
        .min_port = node->opt.discovery_min_port,
        .interval_ms = node->opt.announce_interval_ms,
        .is_everywhere = node->opt.discovery_address == NULL,
        .addresses = to,
        .interfaces = net->interfaces,
    };
    pn_err err = udp_addresses(node, "discovery_address",
        node->opt.discovery_address, to, &config.n_addresses, ret_why);

    if (err == PN_OK) {
        err = udp_addresses(node, "announce_to", node->opt.announce_to, to,
            &config.n_addresses, ret_why);
    }
    if (err != PN_OK) {
        return err;
    }
    err = pn_udp_discovery_new(&config, &net->udp);
    if (err != PN_OK) {
        return pn_why_fail(ret_why, err, "UDP discovery: %s", pn_strerror(err));
    }
    slot_add(node, &pn_udp_discovery_source, net->udp);
    return PN_OK;
}

/* "udp", and for our own the port, which another program may hold. */
static void slot_text(const pn_source_slot *slot, char ret_text[static 64])
{
    (void)snprintf(ret_text, 64, "%s", slot->source->name);
    if (slot->source == &pn_udp_discovery_source) {
        (void)snprintf(
            ret_text, 64, "UDP port %u", slot->node->opt.discovery_port);
    }
}

/* Starts a source, and reports the outcome if it differs from the last one. */
static void slot_start(pn_source_slot *slot)
{
    pn_node *node = slot->node;
    char text[64];
    int sys_errno;
    pn_err err;

    assert_on_loop(node);
    assert_unlocked(node);
    errno = 0;
    err = slot->source->start(slot->user, &slot->sink);
    sys_errno = err == PN_SYS ? errno : 0;
    slot_text(slot, text);
    if (err == PN_OK) {
        pn_node_lock(node);
        slot->is_started = true;
        pn_node_unlock(node);
        if (!node->opt.discovery_listen_only && slot->source->announce != NULL
            && pn_full(node)->listen.port != 0) {
            (void)slot->source->announce(slot->user,
                &pn_full(node)->trust.identity->public_key,
                pn_full(node)->net->is_quiet ? 0 : pn_full(node)->listen.port);
        }
        if (slot->is_failing) {
            pn_net_log(node, PN_LOG_DISCOVERY_AGAIN, text, 0);
        }
    } else if (!slot->is_failing || slot->sys_errno != sys_errno) {
        pn_net_log(node, PN_LOG_DISCOVERY_FAILS, text, sys_errno);
    }
    pn_node_lock(node);
    slot->is_failing = err != PN_OK;
    if (err != PN_OK) {
        slot->sys_errno = sys_errno;
        slot->failed_at_us = pn_wall_now_us();
    }
    pn_node_unlock(node);
}

static void source_tell(const pn_source_slot *slot, pn_source_info *ret_info)
{
    const pn_node *node = slot->node;

    (void)snprintf(
        ret_info->name, sizeof(ret_info->name), "%s", slot->source->name);
    ret_info->is_running = slot->is_started;
    ret_info->is_announcing = slot->is_started && slot->source->announce != NULL
                              && !node->opt.discovery_listen_only
                              && !pn_full(node)->net->is_quiet
                              && pn_full(node)->listen.port != 0;
    ret_info->sys_errno = slot->sys_errno;
    ret_info->failed_at_ms = slot->failed_at_us / 1000;
}

pn_err pn_list_sources(
    pn_node *node, pn_source_info **ret_sources, size_t *ret_n)
{
    pn_source_info *infos = NULL;
    const struct pn_net *net;
    pn_err err = PN_CLOSED;

    pn_node_lock(node);
    net = pn_full(node)->net;
    if (net != NULL) {
        infos = calloc(net->n_slots + 1, sizeof(*infos));
        err = infos == NULL ? PN_NOMEM : PN_OK;
    }
    if (err == PN_OK) {
        for (size_t i = 0; i < net->n_slots; i++) {
            source_tell(&net->slots[i], &infos[i]);
        }
        *ret_sources = infos;
        *ret_n = net->n_slots;
    }
    pn_node_unlock(node);
    return err;
}

const char *pn_node_net_unused(
    pn_node *node, const char *source, const pn_interface *entry)
{
    const struct pn_net *net;
    const char *unused;

    pn_node_lock(node);
    net = pn_full(node)->net;
    if (net != NULL && net->udp != NULL && source != NULL
        && strcmp(source, "udp") == 0) {
        unused = pn_udp_discovery_unused(net->udp, entry);
    } else {
        unused = pn_interface_unused(
            net == NULL ? NULL : net->interfaces, entry);
    }
    pn_node_unlock(node);
    return unused;
}

void pn_sources_count(pn_node *node)
{
    pn_udp_discovery_counters c;

    if (pn_full(node)->net->udp == NULL) {
        return;
    }
    pn_udp_discovery_counters_get(pn_full(node)->net->udp, &c);
    node->metrics.announces_in = c.in;
    node->metrics.announces_out = c.out;
    node->metrics.announces_dropped = c.in - c.heard[PN_HEARD_FOUND] + c.unread;
}

/* The owner may not want this key to be announced on an unknown network
 * (T17). */
void pn_sources_announce(pn_node *node)
{
    struct pn_net *net = pn_full(node)->net;

    assert_on_loop(node);
    assert_locked(node);
    if (node->opt.discovery_listen_only || pn_full(node)->listen.port == 0) {
        return;
    }
    for (size_t i = 0; i < net->n_slots; i++) {
        const pn_source_slot *slot = &net->slots[i];
        uint16_t port = net->is_quiet ? 0 : pn_full(node)->listen.port;

        if (slot->is_started && slot->source->announce != NULL) {
            pn_node_unlock(node);
            (void)slot->source->announce(
                slot->user, &pn_full(node)->trust.identity->public_key, port);
            pn_node_lock(node);
        }
    }
}

pn_err pn_sources_add(pn_node *node, pn_why *ret_why)
{
    pn_err err = interfaces_check(node, ret_why);

    if (err == PN_OK && node->opt.discovery == PN_DISCOVERY_UDP) {
        err = udp_add(node, ret_why);
    }
    if (err == PN_OK && node->opt.discovery_source != NULL) {
        slot_add(
            node, node->opt.discovery_source, node->opt.discovery_source_user);
    }
    return err;
}

bool pn_sources_start(pn_node *node)
{
    struct pn_net *net = pn_full(node)->net;
    bool are_started = true;

    for (size_t i = 0; i < net->n_slots; i++) {
        if (!net->slots[i].is_started) {
            slot_start(&net->slots[i]);
        }
        are_started = are_started && net->slots[i].is_started;
    }
    return are_started;
}

void pn_sources_stop(pn_node *node)
{
    struct pn_net *net = pn_full(node)->net;

    for (size_t i = 0; i < net->n_slots; i++) {
        if (net->slots[i].is_started) {
            pn_node_lock(node);
            net->slots[i].is_started = false;
            pn_node_unlock(node);
            net->slots[i].source->stop(net->slots[i].user);
        }
    }
}

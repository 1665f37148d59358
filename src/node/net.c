/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Discovery sources and the network monitor, joined to the registry. Sources
 * give hints: what is heard is dialled only if its key is paired.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "discovery/netmon.h"
#include "discovery/udp.h"
#include "node/node_internal.h"

/* What was heard lately, so an announce every five seconds is one event. */
enum { MAX_HEARD = 128, MAX_LOCAL = 256 };

typedef struct heard {
    pn_public_key key;
    pn_address address;
    bool is_used;
} heard;

/* One source. The sink's `node` is the slot, so events can name the source. */
typedef struct pn_source_slot {
    pn_node *node;
    const pn_discovery_source *source;
    void *user;
    pn_discovery_sink sink;
    bool is_started;
} pn_source_slot;

/* How it is used: slots and monitor are set up before the node's thread starts
 * and taken down on the loop; the rest is guarded by the node's lock. */
struct pn_net {
    pn_source_slot slots[2];
    size_t n_slots;
    pn_udp_discovery *udp;
    const pn_network_monitor *monitor;
    void *monitor_user;
    pn_network_sink monitor_sink;
    pn_netmon *netmon;
    bool is_monitoring;
    bool is_changed; /* since the last turn end */
    bool is_quiet;   /* not announcing since the network changed */
    bool wants_announce;
    heard heard[MAX_HEARD];
    size_t next_heard;
};

/* ---- what sources report (any thread) ---------------------------------- */

static heard *heard_find(
    struct pn_net *net, const pn_public_key *key, const pn_address *address)
{
    for (size_t i = 0; i < MAX_HEARD; i++) {
        heard *h = &net->heard[i];

        if (h->is_used && pn_key_equal(&h->key, key)
            && pn_address_equal(&h->address, address)) {
            return h;
        }
    }
    return NULL;
}

static void heard_add(
    struct pn_net *net, const pn_public_key *key, const pn_address *address)
{
    net->heard[net->next_heard] = (heard){
        .key = *key, .address = *address, .is_used = true};
    net->next_heard = (net->next_heard + 1) % MAX_HEARD;
}

static void source_event(const pn_source_slot *slot, pn_event_type type,
    const pn_public_key *key, const pn_address *address)
{
    const pn_peer *peer = pn_node_find_peer(slot->node, key);

    pn_node_event(slot->node, type, key, peer == NULL ? NULL : peer->label,
        address, slot->source->name, strlen(slot->source->name),
        PN_REASON_NONE);
}

static void on_found(void *user, const pn_public_key *key, const char *text)
{
    pn_source_slot *slot = user;
    pn_node *node = slot->node;
    pn_address address;
    pn_peer *peer;

    if (pn_peer_address_parse(text, &address) != PN_OK) {
        return;
    }
    pn_node_lock(node);
    if (!node->is_closing && !pn_key_equal(key, &node->identity->public_key)) {
        if (heard_find(node->net, key, &address) == NULL) {
            heard_add(node->net, key, &address);
            source_event(slot, PN_EVENT_DISCOVERED, key, &address);
        }
        peer = pn_node_find_peer(node, key);
        if (peer != NULL) {
            peer->was_discovered = true;
            (void)pn_registry_hint(node->registry, key, &address,
                PN_REG_DISCOVERED, pn_node_now(node));
            pn_node_wake(node);
        }
    }
    pn_node_unlock(node);
}

/* A source says once where a peer is, maybe before it was paired. */
void pn_node_net_recall(pn_node *node, pn_peer *peer)
{
    for (size_t i = 0; node->net != NULL && i < MAX_HEARD; i++) {
        const heard *h = &node->net->heard[i];

        if (h->is_used && pn_key_equal(&h->key, &peer->key)) {
            peer->was_discovered = true;
            (void)pn_registry_hint(node->registry, &h->key, &h->address,
                PN_REG_DISCOVERED, pn_node_now(node));
        }
    }
}

static void on_lost(void *user, const pn_public_key *key, const char *text)
{
    pn_source_slot *slot = user;
    pn_node *node = slot->node;
    pn_address address;
    heard *h;

    if (pn_peer_address_parse(text, &address) != PN_OK) {
        return;
    }
    pn_node_lock(node);
    if (!node->is_closing) {
        h = heard_find(node->net, key, &address);
        if (h != NULL) {
            h->is_used = false;
            source_event(slot, PN_EVENT_LOST, key, &address);
        }
        pn_registry_hint_lost(node->registry, key, &address, pn_node_now(node));
        pn_node_wake(node);
    }
    pn_node_unlock(node);
}

static void on_network_changed(void *user)
{
    pn_node *node = user;

    pn_node_lock(node);
    node->net->is_changed = true;
    pn_node_wake(node);
    pn_node_unlock(node);
}

/* ---- network changes (loop, lock held) --------------------------------- */

static bool is_local(
    const pn_local_address *locals, size_t n, const pn_address *address)
{
    for (size_t i = 0; i < n; i++) {
        pn_address local;

        if (pn_address_parse(locals[i].address, 0, &local) == PN_OK
            && pn_address_same_host(&local, address)) {
            return true;
        }
    }
    return false;
}

/* Ends the links whose own address went away, and no others (unlike the
 * originals, which close all). */
static void links_check(pn_node *node, const pn_local_address *locals, size_t n)
{
    pn_link *next;

    for (pn_link *link = node->links; link != NULL; link = next) {
        next = link->next;
        if ((link->stage == PN_LINK_HANDSHAKE || link->stage == PN_LINK_UP)
            && !link->ops->moves && !is_local(locals, n, &link->local)) {
            pn_link_end(link, PN_REASON_ADDRESS_GONE);
        }
    }
}

/* Told without the lock. */
static void guest_network_changed(pn_node *node)
{
    if (node->guest.network_changed != NULL) {
        pn_node_unlock(node);
        node->guest.network_changed(node->guest.user);
        pn_node_lock(node);
    }
}

static void counters_copy(pn_node *node)
{
    pn_udp_discovery_counters c;

    if (node->net->udp == NULL) {
        return;
    }
    pn_udp_discovery_counters_get(node->net->udp, &c);
    node->metrics.announces_in = c.in;
    node->metrics.announces_out = c.out;
    node->metrics.announces_dropped = c.in - c.heard[PN_HEARD_FOUND] + c.unread;
}

/* The owner may not want this key to be heard on a network he has not seen
 * (T17). */
static void announce_all(pn_node *node)
{
    struct pn_net *net = node->net;

    if (node->opt.discovery_listen_only || node->port == 0) {
        return;
    }
    for (size_t i = 0; i < net->n_slots; i++) {
        const pn_source_slot *slot = &net->slots[i];
        uint16_t port = net->is_quiet ? 0 : node->port;

        if (slot->is_started && slot->source->announce != NULL) {
            pn_node_unlock(node);
            (void)slot->source->announce(
                slot->user, &node->identity->public_key, port);
            pn_node_lock(node);
        }
    }
}

pn_err pn_discovery_resume(pn_node *node)
{
    pn_node_lock(node);
    node->net->wants_announce = true;
    pn_node_wake(node);
    pn_node_unlock(node);
    return PN_OK;
}

static void network_changed(pn_node *node)
{
    struct pn_net *net = node->net;
    pn_local_address *locals;
    char text[32];
    size_t n = 0;
    pn_err err;

    locals = calloc(MAX_LOCAL, sizeof(*locals));
    if (locals == NULL) {
        return;
    }
    pn_node_unlock(node);
    err = net->monitor->current(net->monitor_user, locals, MAX_LOCAL, &n);
    pn_node_lock(node);
    if (err == PN_OK && !node->is_closing) {
        node->metrics.network_changes++;
        (void)snprintf(text, sizeof(text), "%zu", n);
        pn_node_event(node, PN_EVENT_NETWORK_CHANGED, NULL, NULL, NULL, text,
            strlen(text), PN_REASON_NONE);
        /* A host with more addresses than we hold is not one to guess about. */
        if (n <= MAX_LOCAL) {
            links_check(node, locals, n);
        }
        pn_registry_network_changed(node->registry, pn_node_now(node));
        guest_network_changed(node);
        if (!node->opt.announce_on_new_networks) {
            net->is_quiet = true;
            announce_all(node);
        }
    }
    free(locals);
}

void pn_node_net_turn(pn_node *node)
{
    struct pn_net *net = node->net;

    counters_copy(node);
    if (node->is_closing) {
        return;
    }
    if (net->is_changed) {
        net->is_changed = false;
        network_changed(node);
    }
    if (net->wants_announce) {
        net->wants_announce = false;
        net->is_quiet = false;
        announce_all(node);
    }
}

/* ---- starting and stopping (loop's thread, no lock) -------------------- */

static void slot_add(
    pn_node *node, const pn_discovery_source *source, void *user)
{
    pn_source_slot *slot = &node->net->slots[node->net->n_slots++];

    *slot = (pn_source_slot){
        .node = node,
        .source = source,
        .user = user,
        .sink = {.size = sizeof(slot->sink),
            .node = slot,
            .found = on_found,
            .lost = on_lost},
    };
}

static pn_err udp_add(pn_node *node)
{
    struct pn_net *net = node->net;
    pn_address to;
    pn_udp_discovery_config config = {
        .loop = node->loop,
        .env = &node->env,
        .own_key = node->identity->public_key,
        .port = node->opt.discovery_port,
        .min_port = node->opt.discovery_min_port,
        .interval_ms = node->opt.announce_interval_ms,
    };
    pn_err err;

    if (node->opt.discovery_address != NULL) {
        if (pn_address_parse(
                node->opt.discovery_address, node->opt.discovery_port, &to)
            != PN_OK) {
            pn_node_set_open_error(
                "discovery_address \"%s\" is not a numeric address",
                node->opt.discovery_address);
            return PN_INVALID;
        }
        config.address = &to;
    }
    err = pn_udp_discovery_new(&config, &net->udp);
    if (err == PN_OK) {
        slot_add(node, &pn_udp_discovery_source, net->udp);
    } else {
        pn_node_set_open_error("UDP discovery: %s", pn_strerror(err));
    }
    return err;
}

static void slot_start(pn_source_slot *slot)
{
    pn_node *node = slot->node;
    pn_err err = slot->source->start(slot->user, &slot->sink);

    if (err == PN_OK) {
        slot->is_started = true;
        if (!node->opt.discovery_listen_only && slot->source->announce != NULL
            && node->port != 0) {
            err = slot->source->announce(
                slot->user, &node->identity->public_key, node->port);
        }
    }
    if (err != PN_OK) {
        pn_node_lock(node);
        pn_node_log(node, PN_LOG_ERROR, "discovery source left out",
            slot->source->name, PN_REASON_SYSTEM, 0);
        pn_node_unlock(node);
    }
}

static pn_err monitor_start(pn_node *node)
{
    struct pn_net *net = node->net;
    pn_err err;

    if (!node->opt.watch_network) {
        return PN_OK;
    }
    net->monitor = node->opt.network_monitor;
    net->monitor_user = node->opt.network_monitor_user;
    if (net->monitor == NULL) {
        pn_netmon_config config = {.loop = node->loop};

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
    if (net->monitor->start(net->monitor_user, &net->monitor_sink) == PN_OK) {
        net->is_monitoring = true;
    } else {
        pn_node_lock(node);
        pn_node_log(node, PN_LOG_WARNING, "network is not watched",
            net->monitor->name, PN_REASON_SYSTEM, 0);
        pn_node_unlock(node);
    }
    return PN_OK;
}

pn_err pn_node_net_start(pn_node *node)
{
    pn_err err = PN_OK;

    node->net = calloc(1, sizeof(*node->net));
    if (node->net == NULL) {
        return PN_NOMEM;
    }
    if (node->opt.discovery == PN_DISCOVERY_UDP) {
        err = udp_add(node);
    }
    if (err == PN_OK && node->opt.discovery_source != NULL) {
        slot_add(
            node, node->opt.discovery_source, node->opt.discovery_source_user);
    }
    if (err == PN_OK) {
        err = monitor_start(node);
    }
    for (size_t i = 0; err == PN_OK && i < node->net->n_slots; i++) {
        slot_start(&node->net->slots[i]);
    }
    return err;
}

void pn_node_net_stop(pn_node *node)
{
    struct pn_net *net = node->net;

    if (net == NULL) {
        return;
    }
    for (size_t i = 0; i < net->n_slots; i++) {
        if (net->slots[i].is_started) {
            net->slots[i].is_started = false;
            net->slots[i].source->stop(net->slots[i].user);
        }
    }
    if (net->is_monitoring) {
        net->is_monitoring = false;
        net->monitor->stop(net->monitor_user);
    }
}

void pn_node_net_free(pn_node *node)
{
    pn_node_net_stop(node);
    if (node->net != NULL) {
        pn_udp_discovery_free(node->net->udp);
        pn_netmon_free(node->net->netmon);
        free(node->net);
        node->net = NULL;
    }
}

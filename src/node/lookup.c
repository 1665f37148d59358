/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names given at pairing. A name is kept as it was written, because the host
 * may move; it is looked up when the peer is first wanted, and again when a
 * dial has failed. A question runs on a thread of its own (os/resolve) and may
 * outlive the peer, so it is the node's, and its answer finds the peer by key.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mutant.h"
#include "node/node_internal.h"
#include "os/resolve.h"

/* Between two questions for one peer; doubles until it is up. */
#define WAIT_MIN_US PN_US_PER_S
#define WAIT_MAX_US (64 * PN_US_PER_S)

typedef struct pn_lookup {
    pn_item item;
    pn_node *node;
    pn_public_key key;
    char name[PN_ADDRESS_CAP];
    pn_resolve *resolve;
} pn_lookup;

void pn_peer_want_lookup(pn_node *node, pn_peer *peer)
{
    pn_node_lookups *lookups = &pn_full(node)->lookups;
    uint64_t now_us = pn_node_now(node);

    assert_locked(node);
    if (peer->name[0] == '\0' || peer->is_looked_up
        || peer->reg->primary != NULL) {
        return;
    }
    peer->lookup_due_us = now_us;
    if (PN_REFUSE_IF(lookup_interval, peer->lookup_us > now_us)) {
        peer->lookup_due_us = peer->lookup_us;
    }
    lookups->due_us = pn_sooner(lookups->due_us, peer->lookup_due_us);
    pn_node_wake(node);
}

void pn_peer_reset_lookup(pn_peer *peer)
{
    peer->lookup_us = 0;
    peer->lookup_wait_us = WAIT_MIN_US;
}

void pn_peer_set_name(pn_node *node, pn_peer *peer, const char *text)
{
    pn_address address;

    assert_locked(node);
    if (pn_peer_address_parse(text, &address) == PN_OK) {
        text = "";
    }
    if (strcmp(peer->name, text) == 0) {
        return;
    }
    (void)snprintf(peer->name, sizeof(peer->name), "%s", text);
    peer->is_looked_up = false; /* an answer for another name is not heeded */
    peer->is_lookup_told = false;
    pn_peer_reset_lookup(peer);
    if (node->opt.auto_connect) {
        pn_peer_want_lookup(node, peer);
    }
}

static void tell_failure(pn_node *node, pn_peer *peer, const char *why)
{
    char text[PN_ADDRESS_CAP + 128];

    if (!peer->is_lookup_told) {
        peer->is_lookup_told = true;
        (void)snprintf(
            text, sizeof(text), "cannot look up %s: %s", peer->name, why);
        pn_node_log(node, &(pn_log_line){.level = PN_LOG_WARNING,
                              .what = PN_LOG_ADDRESS_UNKNOWN,
                              .text = pn_slice_of(text),
                              .reason = PN_REASON_UNREACHABLE});
    }
}

static void on_resolved(void *user, pn_err err, const pn_address *addresses,
    size_t n, const char *why)
{
    pn_lookup *l = user;
    pn_node *node = l->node;
    pn_peer *peer;

    assert_on_loop(node);
    assert_unlocked(node);
    pn_node_lock(node);
    pn_list_remove(&l->item);
    peer = pn_node_find_peer(node, &l->key);
    if (peer != NULL && peer->is_looked_up && strcmp(peer->name, l->name) == 0
        && !node->closing.is_asked) {
        peer->is_looked_up = false;
        if (err == PN_OK) {
            (void)pn_registry_name_is_at(pn_full(node)->registry, &peer->key,
                addresses, n, pn_node_now(node));
            pn_race_more(peer);
            peer->is_lookup_told = false;
        } else {
            tell_failure(node, peer, why);
            pn_peer_want_lookup(node, peer);
        }
    }
    pn_node_wake(node);
    pn_node_unlock(node);
    free(l);
}

static pn_err lookup_start(pn_node *node, pn_peer *peer)
{
    char host[PN_ADDRESS_CAP];
    pn_lookup *l = calloc(1, sizeof(*l));
    char *colon;
    pn_err err;

    if (l == NULL) {
        return PN_NOMEM;
    }
    l->node = node;
    l->key = peer->key;
    memcpy(l->name, peer->name, sizeof(l->name));
    memcpy(host, peer->name, sizeof(host));
    colon = strrchr(host, ':'); /* the store has nothing without one */
    *colon = '\0';
    err = pn_resolve_start(node->turn.loop, host,
        (uint16_t)strtoul(colon + 1, NULL, 10), on_resolved, l, &l->resolve);
    if (err != PN_OK) {
        free(l);
        return err;
    }
    pn_list_append(&pn_full(node)->lookups.running, &l->item);
    peer->is_looked_up = true;
    return PN_OK;
}

/* Sets the next wait also when the question could not be asked, because too
 * many are under way. */
static void ask(pn_node *node, pn_peer *peer, uint64_t now_us)
{
    pn_err err;

    peer->lookup_due_us = PN_TIME_NEVER;
    peer->lookup_us = now_us + peer->lookup_wait_us;
    if (peer->lookup_wait_us < WAIT_MAX_US) {
        peer->lookup_wait_us *= 2;
    }
    err = lookup_start(node, peer);
    if (err == PN_INVALID) {
        tell_failure(node, peer, "no host can be called that");
    } else if (err != PN_OK) {
        pn_peer_want_lookup(node, peer);
    }
}

void pn_node_lookup_turn(pn_node *node)
{
    pn_node_lookups *lookups = &pn_full(node)->lookups;
    uint64_t now_us = pn_node_now(node);

    assert_on_loop(node);
    assert_locked(node);
    if (node->closing.is_asked || now_us < lookups->due_us) {
        return;
    }
    lookups->due_us = PN_TIME_NEVER;
    for (size_t i = 0; i < pn_full(node)->peers.n; i++) {
        pn_peer *peer = pn_full(node)->peers.list[i];

        if (peer->lookup_due_us <= now_us) {
            ask(node, peer, now_us);
        }
        lookups->due_us = pn_sooner(lookups->due_us, peer->lookup_due_us);
    }
}

void pn_node_lookup_stop(pn_node *node)
{
    assert_on_loop(node);
    assert_locked(node);
    PN_LIST_EACH(pn_lookup, l, &pn_full(node)->lookups.running, item) {
        pn_list_remove(&l->item);
        pn_resolve_cancel(l->resolve);
        free(l);
    }
}

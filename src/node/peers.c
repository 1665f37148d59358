/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paired peers: the trust list in memory, pairing and unpairing, and what the
 * registry asks for. The store (files) has a lock of its own, taken before the
 * node's, so a slow disk holds up nobody's messages.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mutant.h"
#include "node/node_internal.h"

pn_peer *pn_node_find_peer(pn_node *node, const pn_public_key *key)
{
    const pn_reg_peer *reg = pn_registry_find(node->registry, key);

    return reg == NULL ? NULL : reg->user;
}

bool pn_node_is_trusted(pn_node *node, const pn_public_key *key)
{
    unsigned found = 0;

    /* Every key is compared, so the time tells nothing about the list (T18). */
    for (size_t i = 0; i < node->n_peers; i++) {
        found |= (unsigned)pn_key_equal(&node->peers[i]->key, key);
    }
    if (PN_CHECK(trust_file_damaged, node->is_trust_damaged)) {
        return false;
    }
    return found != 0;
}

/* ---- the list in memory ------------------------------------------------ */

static void peer_free(pn_peer *peer)
{
    free(peer->label);
    free(peer);
}

/* Lock held. The registry closes the peer's links and cancels its dial. */
static void peer_remove(pn_node *node, pn_peer *peer)
{
    (void)pn_registry_peer_remove(
        node->registry, &peer->key, pn_node_now(node));
    pn_node_event(node, PN_EVENT_TRUST_CHANGED, &peer->key, peer->label, NULL,
        "unpaired", 8, PN_REASON_UNPAIRED);
    for (size_t i = 0; i < node->n_peers; i++) {
        if (node->peers[i] == peer) {
            node->n_peers--;
            memmove(&node->peers[i], &node->peers[i + 1],
                (node->n_peers - i) * sizeof(pn_peer *));
            break;
        }
    }
    peer_free(peer);
}

static pn_err label_replace(pn_peer *peer, const char *label)
{
    char *copy = NULL;

    if (label != NULL && (copy = strdup(label)) == NULL) {
        return PN_NOMEM;
    }
    free(peer->label);
    peer->label = copy;
    return PN_OK;
}

static pn_err peer_add(pn_node *node, const pn_trust_entry *entry)
{
    pn_peer *peer;
    pn_err err;

    if (node->n_peers == node->peers_cap) {
        size_t cap = node->peers_cap == 0 ? 8 : 2 * node->peers_cap;
        pn_peer **peers = realloc(node->peers, cap * sizeof(pn_peer *));

        if (peers == NULL) {
            return PN_NOMEM;
        }
        node->peers = peers;
        node->peers_cap = cap;
    }
    peer = calloc(1, sizeof(*peer));
    if (peer == NULL) {
        return PN_NOMEM;
    }
    peer->key = entry->key;
    peer->added_at_us = entry->added_at_us;
    err = label_replace(peer, entry->label);
    if (err == PN_OK) {
        err = pn_registry_peer_add(
            node->registry, &peer->key, peer, &peer->reg);
    }
    if (err != PN_OK) {
        peer_free(peer);
        return err;
    }
    node->peers[node->n_peers++] = peer;
    pn_node_net_recall(node, peer);
    pn_node_event(node, PN_EVENT_TRUST_CHANGED, &peer->key, peer->label, NULL,
        "paired", 6, PN_REASON_NONE);
    return PN_OK;
}

pn_err pn_peer_address_parse(const char *text, pn_address *ret_address)
{
    pn_err err = pn_address_parse(text, -1, ret_address);

    return err == PN_OK && pn_address_port(ret_address) == 0 ? PN_INVALID : err;
}

static void peer_hint_stored(pn_node *node, const pn_peer *peer)
{
    pn_peer_address stored[PN_ADDRESSES_PER_PEER];
    size_t n = pn_store_addresses(node->store, &peer->key, stored);

    for (size_t i = 0; i < n; i++) {
        pn_address address;

        if (pn_peer_address_parse(stored[i].text, &address) == PN_OK) {
            (void)pn_registry_hint(node->registry, &peer->key, &address,
                stored[i].is_manual ? PN_REG_MANUAL : PN_REG_REMEMBERED,
                pn_node_now(node));
        }
    }
}

static int by_age(const void *a, const void *b)
{
    const pn_peer *p = *(pn_peer *const *)a;
    const pn_peer *q = *(pn_peer *const *)b;

    return (p->added_at_us < q->added_at_us)
           - (p->added_at_us > q->added_at_us);
}

/* Makes memory what the store's list says. Both locks held. */
static pn_err peers_sync(pn_node *node)
{
    const pn_trust_list *list = pn_store_trust(node->store);
    pn_err err = PN_OK;

    for (size_t i = 0; i < node->n_peers; i++) {
        node->peers[i]->seen_in_reload = false;
    }
    for (size_t i = 0; i < list->n_entries; i++) {
        pn_peer *peer = pn_node_find_peer(node, &list->entries[i].key);

        if (peer == NULL) {
            pn_err one = peer_add(node, &list->entries[i]);

            err = err == PN_OK ? one : err;
            if (one != PN_OK) {
                continue;
            }
            peer = node->peers[node->n_peers - 1];
        } else {
            (void)label_replace(peer, list->entries[i].label);
        }
        peer->seen_in_reload = true;
        peer_hint_stored(node, peer);
    }
    for (size_t i = node->n_peers; i-- > 0;) {
        if (!node->peers[i]->seen_in_reload) {
            peer_remove(node, node->peers[i]);
        }
    }
    if (node->n_peers > 1) {
        qsort(node->peers, node->n_peers, sizeof(pn_peer *), by_age);
    }
    pn_node_wake(node);
    return err;
}

pn_err pn_node_load_peers(pn_node *node)
{
    pn_err err;

    pn_node_lock(node);
    err = peers_sync(node);
    pn_node_unlock(node);
    return err;
}

void pn_node_peers_fini(pn_node *node)
{
    for (size_t i = 0; i < node->n_peers; i++) {
        peer_free(node->peers[i]);
    }
    free(node->peers);
    node->peers = NULL;
    node->n_peers = 0;
}

/* Lets the loop do what it could not while the store was busy. */
static void store_unlock(pn_node *node)
{
    (void)pthread_mutex_unlock(&node->store_lock);
    pn_node_lock(node);
    if (node->is_reload_due) {
        pn_node_wake(node);
    }
    pn_node_unlock(node);
}

static void reload_locked(pn_node *node)
{
    pn_store_error why;
    pn_err err = pn_store_reload(node->store, NULL, &why);

    pn_node_lock(node);
    node->is_reload_due = false;
    /* A list that cannot be read lets nobody new in; links that are up stay
     * until the owner has looked at it (T22). */
    node->is_trust_damaged = err != PN_OK;
    if (err == PN_OK) {
        err = peers_sync(node);
    }
    if (err != PN_OK) {
        pn_node_log(node, PN_LOG_ERROR, "trust list not read", why.text,
            PN_REASON_SYSTEM, 0);
    }
    pn_node_unlock(node);
}

void pn_node_reload_trust(pn_node *node)
{
    /* First: whoever has the store looks at this when it lets go. */
    pn_node_lock(node);
    node->is_reload_due = true;
    pn_node_unlock(node);
    if (pthread_mutex_trylock(&node->store_lock) == 0) {
        reload_locked(node);
        (void)pthread_mutex_unlock(&node->store_lock);
    }
}

/* ---- pairing ----------------------------------------------------------- */

/* The sentence of a failed edit goes to the log: the functions return a code
 * only. Both locks held. */
static void log_store_error(pn_node *node, const pn_store_error *why)
{
    if (why->text[0] != '\0') {
        pn_node_log(node, PN_LOG_ERROR, "trust list not written", why->text,
            PN_REASON_SYSTEM, 0);
    }
}

pn_err pn_pair_at(pn_node *node, const pn_public_key *key, const char *label,
    const char *address)
{
    pn_store_error why = {{0}};
    pn_err err;

    (void)pthread_mutex_lock(&node->store_lock);
    err = pn_store_pair(node->store, key, label, address, &why);
    pn_node_lock(node);
    if (err == PN_OK || err == PN_EXISTS) {
        pn_err synced = peers_sync(node);

        err = synced == PN_OK ? err : synced;
    } else {
        log_store_error(node, &why);
    }
    pn_node_unlock(node);
    store_unlock(node);
    return err;
}

pn_err pn_pair(pn_node *node, const pn_public_key *key, const char *label)
{
    return pn_pair_at(node, key, label, NULL);
}

pn_err pn_unpair(pn_node *node, const pn_public_key *key)
{
    pn_store_error why = {{0}};
    pn_peer *peer;
    pn_err err;

    /* Cut off first: the disk may be slow, or full. */
    pn_node_lock(node);
    peer = pn_node_find_peer(node, key);
    if (peer != NULL) {
        peer_remove(node, peer);
    }
    pn_node_unlock(node);

    (void)pthread_mutex_lock(&node->store_lock);
    err = pn_store_unpair(node->store, key, &why);
    pn_node_lock(node);
    if (err != PN_OK && err != PN_NOT_FOUND) {
        log_store_error(node, &why);
    }
    (void)peers_sync(node);
    pn_node_unlock(node);
    store_unlock(node);
    return err;
}

/* ---- remembering (a worker writes) ------------------------------------- */

typedef struct remember_job {
    pn_job job;
    pn_public_key key;
    char address[PN_ADDRESS_TEXT_LEN];
} remember_job;

static void on_remember(pn_node *node, pn_job *job)
{
    remember_job *r = (remember_job *)(void *)job;

    pn_node_unlock(node);
    (void)pthread_mutex_lock(&node->store_lock);
    /* A hint: what cannot be kept is heard again. */
    (void)!pn_store_remember(node->store, &r->key, r->address);
    store_unlock(node);
    free(r);
    pn_node_lock(node);
}

void pn_peer_remember(pn_node *node, pn_peer *peer, const pn_address *address)
{
    remember_job *r;

    if (pn_address_equal(&peer->remembered, address)) {
        return;
    }
    r = calloc(1, sizeof(*r));
    if (r == NULL) {
        return;
    }
    peer->remembered = *address;
    r->job.run = on_remember;
    r->key = peer->key;
    pn_address_text(address, r->address);
    if (pn_dispatch_job(node, &r->job) != PN_OK) {
        free(r);
    }
}

/* ---- what the registry asks for (lock held) ---------------------------- */

static pn_reason on_dial(
    void *user, pn_reg_peer *reg, const pn_address *address)
{
    pn_node *node = user;
    pn_peer *peer = reg->user;

    if (node->is_closing) {
        return PN_REASON_LOCAL_CLOSE;
    }
    if (pn_link_new_dialled(peer, node, address, &peer->dial) != PN_OK) {
        peer->dial = NULL;
        return PN_REASON_OUT_OF_MEMORY;
    }
    return PN_REASON_NONE;
}

static bool on_cancel_dial(void *user, pn_reg_peer *reg)
{
    pn_peer *peer = reg->user;
    pn_link *link = peer->dial;
    bool was_connected;

    (void)user;
    if (link == NULL) {
        return false;
    }
    was_connected = link->stage == PN_LINK_HANDSHAKE;
    peer->dial = NULL;
    pn_link_end(link, PN_REASON_LOCAL_CLOSE);
    return was_connected;
}

static void on_probe(void *user, pn_reg_peer *reg, void *link)
{
    pn_node *node = user;

    (void)reg;
    /* One that has no room for a ping has traffic that shows the same. */
    (void)!pn_session_ping(((pn_link *)link)->session, pn_node_now(node));
}

static void on_close_link(
    void *user, pn_reg_peer *reg, void *link, pn_reason reason)
{
    (void)user;
    (void)reg;
    pn_link_end(link, reason);
}

const pn_reg_callbacks pn_node_registry_callbacks = {
    .dial = on_dial,
    .cancel_dial = on_cancel_dial,
    .probe = on_probe,
    .close_link = on_close_link,
};

/* ---- connecting -------------------------------------------------------- */

pn_err pn_connect(pn_node *node, const pn_public_key *key, const char *address)
{
    pn_address at;
    pn_err err;

    if (address != NULL && pn_peer_address_parse(address, &at) != PN_OK) {
        return PN_INVALID;
    }
    pn_node_lock(node);
    err = pn_registry_connect(
        node->registry, key, address == NULL ? NULL : &at, pn_node_now(node));
    pn_node_wake(node);
    pn_node_unlock(node);
    return err;
}

bool pn_connected(pn_node *node, const pn_public_key *key)
{
    const pn_reg_peer *reg;
    bool up;

    pn_node_lock(node);
    reg = pn_registry_find(node->registry, key);
    up = reg != NULL && reg->primary != NULL;
    pn_node_unlock(node);
    return up;
}

pn_err pn_wait_connected(pn_node *node, const pn_public_key *key,
    uint32_t timeout_ms, pn_reason *ret_reason)
{
    struct timespec until;
    pn_err err = PN_OK;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pn_node_lock(node);
    if (pn_node_is_loop_thread(node)) {
        pn_node_unlock(node);
        return PN_STATE;
    }
    for (;;) {
        const pn_reg_peer *reg = pn_registry_find(node->registry, key);
        pn_reg_info info;

        if (reg == NULL) {
            err = PN_NOT_FOUND;
            break;
        }
        pn_registry_info(node->registry, reg, &info);
        if (reg->primary != NULL) {
            break;
        }
        if (ret_reason != NULL) {
            *ret_reason = info.last_reason;
        }
        if (err != PN_OK || node->is_closing) {
            err = node->is_closing ? PN_CLOSED : err;
            break;
        }
        if (pthread_cond_timedwait(&node->state_changed, &node->lock, &until)
            != 0) {
            err = PN_TIMEOUT; /* and look once more */
        }
    }
    if (err == PN_TIMEOUT) {
        const pn_reg_peer *reg = pn_registry_find(node->registry, key);

        err = reg != NULL && reg->primary != NULL ? PN_OK : PN_TIMEOUT;
    }
    pn_node_unlock(node);
    return err;
}

/* ---- telling ----------------------------------------------------------- */

static pn_peer_state state_of(pn_reg_state state)
{
    switch (state) {
    case PN_REG_IDLE:
        return PN_PEER_IDLE;
    case PN_REG_WAITING:
        return PN_PEER_WAITING;
    case PN_REG_DIALLING:
        return PN_PEER_DIALLING;
    case PN_REG_UP:
        return PN_PEER_UP;
    }
    return PN_PEER_IDLE;
}

static void peer_tell(
    pn_node *node, const pn_peer *peer, uint64_t now_us, pn_peer_info *info)
{
    const pn_link *link = peer->reg->primary;
    pn_reg_info reg;

    pn_registry_info(node->registry, peer->reg, &reg);
    *info = (pn_peer_info){
        .key = peer->key,
        .state = state_of(reg.state),
        .dialled_by_us = reg.dialled_by_us,
        .last_seen_ms = peer->last_seen_ms,
        .last_reason = reg.last_reason,
        .added_at_us = peer->added_at_us,
    };
    if (peer->label != NULL) {
        (void)strncpy(info->label, peer->label, sizeof(info->label) - 1);
    }
    if (reg.has_address) {
        pn_address_text(&reg.address, info->address);
    }
    if (link != NULL) {
        uint64_t seen = pn_session_last_received_us(link->session);

        info->up_ms = (now_us - link->up_us) / PN_US_PER_MS + 1;
        info->rtt_us = pn_session_rtt_us(link->session);
        if (seen < link->up_us) {
            seen = link->up_us;
        }
        info->last_seen_ms = pn_wall_now_us() / 1000
                             - (int64_t)((now_us - seen) / PN_US_PER_MS);
    }
}

pn_err pn_list_peers(pn_node *node, pn_peer_info **ret_peers, size_t *ret_n)
{
    pn_peer_info *infos;
    uint64_t now;

    pn_node_lock(node);
    infos = calloc(node->n_peers + 1, sizeof(*infos));
    if (infos == NULL) {
        pn_node_unlock(node);
        return PN_NOMEM;
    }
    now = pn_node_now(node);
    for (size_t i = 0; i < node->n_peers; i++) {
        peer_tell(node, node->peers[i], now, &infos[i]);
    }
    *ret_n = node->n_peers;
    *ret_peers = infos;
    pn_node_unlock(node);
    return PN_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paired peers: the trust list in memory, pairing and unpairing, and the
 * registry's callbacks. The store (files) has a lock of its own, taken before
 * the node's, so a slow disk delays no messages.
 */
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/mutant.h"
#include "node/node_internal.h"
#include "os/clock.h"

pn_peer *pn_node_find_peer(pn_node *node, const pn_public_key *key)
{
    const pn_reg_peer *reg = pn_full(node)->registry == NULL
                                 ? NULL /* it is closed */
                                 : pn_registry_find(
                                     pn_full(node)->registry, key);

    assert_locked(node);
    return reg == NULL ? NULL : reg->user;
}

bool pn_node_is_trusted(pn_node *node, const pn_public_key *key)
{
    unsigned found = 0;

    assert_locked(node);
    /* Every key is compared, so the time taken reveals nothing about the list
     * (T18). */
    for (size_t i = 0; i < pn_full(node)->peers.n; i++) {
        found |= (unsigned)pn_key_equal(
            &pn_full(node)->peers.list[i]->key, key);
    }
    if (PN_REFUSE_IF(trust_file_damaged, pn_full(node)->trust.is_damaged)) {
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

/* A grant does not outlive its peer: pairing the key again does not bring it
 * back. */
static void forget_grants(pn_node *node, const pn_public_key *key)
{
    pn_principal who = pn_peernet_principal(key);

    pn_node_forget_grants(node, &who);
}

static void peer_event(
    pn_node *node, const pn_peer *peer, const char *what, pn_reason reason)
{
    pn_principal who = pn_peernet_principal(&peer->key);

    pn_node_event(node, PN_EVENT_TRUST_CHANGED, &who, peer->label, NULL, what,
        strlen(what), reason);
}

/* The registry closes the peer's links and cancels its dial. */
static void peer_remove(pn_node *node, pn_peer *peer)
{
    pn_node_peers *peers = &pn_full(node)->peers;

    assert_locked(node);
    (void)pn_registry_peer_remove(
        pn_full(node)->registry, &peer->key, pn_node_now(node));
    forget_grants(node, &peer->key);
    peer_event(node, peer, "unpaired", PN_REASON_UNPAIRED);
    for (size_t i = 0; i < peers->n; i++) {
        if (peers->list[i] == peer) {
            peers->n--;
            memmove(&peers->list[i], &peers->list[i + 1],
                (peers->n - i) * sizeof(pn_peer *));
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

static void peer_rename(pn_node *node, pn_peer *peer, const char *label)
{
    const char *now = peer->label == NULL ? "" : peer->label;
    const char *wanted = label == NULL ? "" : label;

    assert_locked(node);
    if (strcmp(now, wanted) == 0 || label_replace(peer, label) != PN_OK) {
        return;
    }
    PN_LIST_EACH(pn_link, link, &node->links.all, listed) {
        if (link->ops == &pn_peer_link_ops
            && pn_peer_link_of(link)->peer == peer) {
            pn_link_relabel(link, wanted);
        }
    }
    peer_event(node, peer, "renamed", PN_REASON_NONE);
}

static pn_err peer_add(pn_node *node, const pn_trust_entry *entry)
{
    pn_node_peers *peers = &pn_full(node)->peers;
    pn_peer *peer;
    pn_err err;

    assert_locked(node);
    if (!pn_grow(&peers->list, &peers->cap, peers->n, sizeof(pn_peer *))
        || (peer = calloc(1, sizeof(*peer))) == NULL) {
        return PN_NOMEM;
    }
    peer->key = entry->key;
    peer->added_at_us = entry->added_at_us;
    peer->lookup_due_us = PN_TIME_NEVER;
    err = label_replace(peer, entry->label);
    if (err == PN_OK) {
        err = pn_registry_peer_add(
            pn_full(node)->registry, &peer->key, peer, &peer->reg);
    }
    if (err != PN_OK) {
        peer_free(peer);
        return err;
    }
    peers->list[peers->n++] = peer;
    pn_node_net_recall(node, peer);
    return PN_OK;
}

pn_err pn_peer_address_parse(const char *text, pn_address *ret_address)
{
    pn_err err = pn_address_parse(text, -1, ret_address);

    return err == PN_OK && pn_address_port(ret_address) == 0 ? PN_INVALID : err;
}

static void peer_hint_stored(pn_node *node, pn_peer *peer)
{
    pn_peer_address stored[PN_ADDRESSES_PER_PEER];
    size_t n = pn_store_addresses(
        pn_full(node)->trust.store, &peer->key, stored);

    /* The registry tries the last hint first, so the hints are given in reverse
     * order. */
    for (size_t i = n; i-- > 0;) {
        pn_address address;

        if (stored[i].is_manual) {
            pn_peer_set_name(node, peer, stored[i].text);
        }
        if (pn_peer_address_parse(stored[i].text, &address) == PN_OK) {
            (void)pn_registry_hint(pn_full(node)->registry, &peer->key,
                &address,
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

/* Unpaired and paired again between two looks at the file: the unpairing ended
 * its link and its grants. */
static bool is_paired_anew(const pn_peer *peer, const pn_trust_entry *entry)
{
    return PN_REFUSE_IF(
        reload_paired_anew, peer->added_at_us != entry->added_at_us);
}

/* Updates the peers in memory from the store's list. is_change: differences are
 * reported as changes; false when the node opens. Both locks held. */
static pn_err peers_sync(pn_node *node, bool is_change)
{
    const pn_trust_list *list = pn_store_trust(pn_full(node)->trust.store);
    pn_node_peers *peers = &pn_full(node)->peers;
    pn_err err = PN_OK;

    assert_locked(node);
    for (size_t i = 0; i < peers->n; i++) {
        peers->list[i]->seen_in_reload = false;
    }
    for (size_t i = 0; i < list->n_entries; i++) {
        pn_peer *peer = pn_node_find_peer(node, &list->entries[i].key);

        if (peer != NULL && is_paired_anew(peer, &list->entries[i])) {
            peer_remove(node, peer);
            peer = NULL;
        }
        if (peer == NULL) {
            pn_err one = peer_add(node, &list->entries[i]);

            err = err == PN_OK ? one : err;
            if (one != PN_OK) {
                continue;
            }
            peer = peers->list[peers->n - 1];
            if (is_change) {
                peer_event(node, peer, "paired", PN_REASON_NONE);
            }
        } else {
            peer_rename(node, peer, list->entries[i].label);
        }
        peer->seen_in_reload = true;
        peer_hint_stored(node, peer);
    }
    for (size_t i = peers->n; i-- > 0;) {
        if (!peers->list[i]->seen_in_reload) {
            peer_remove(node, peers->list[i]);
        }
    }
    if (peers->n > 1) {
        qsort(peers->list, peers->n, sizeof(pn_peer *), by_age);
    }
    pn_full(node)->trust.pending = *pn_store_pending(
        pn_full(node)->trust.store);
    pn_node_wake(node);
    return err;
}

pn_err pn_node_load_peers(pn_node *node)
{
    pn_err err;

    pn_node_lock(node);
    err = peers_sync(node, false);
    pn_node_unlock(node);
    if (err == PN_OK) {
        pn_node_reload_grants(node);
    }
    return err;
}

void pn_node_peers_fini(pn_node *node)
{
    for (size_t i = 0; i < pn_full(node)->peers.n; i++) {
        peer_free(pn_full(node)->peers.list[i]);
    }
    free(pn_full(node)->peers.list);
    pn_full(node)->peers.list = NULL;
    pn_full(node)->peers.n = 0;
}

void pn_node_store_unlock(pn_node *node)
{
    (void)pthread_mutex_unlock(&pn_full(node)->trust.lock);
    pn_node_lock(node);
    if (pn_full(node)->trust.is_reload_due) {
        pn_node_wake(node);
    }
    pn_node_unlock(node);
}

/* Reports a failure once, and its end. Both locks held. */
static void tell_reload(pn_node *node, pn_err err, const char *why)
{
    if (err == pn_full(node)->trust.reload_err) {
        return;
    }
    pn_full(node)->trust.reload_err = err;
    if (err == PN_OK) {
        pn_node_log(node, &(pn_log_line){.level = PN_LOG_WARNING,
                              .what = PN_LOG_TRUST_LIST,
                              .text = pn_slice_of("it can be read now")});
    } else {
        pn_node_log(node,
            &(pn_log_line){.level = PN_LOG_ERROR,
                .what = PN_LOG_TRUST_LIST_NOT_READ,
                .text = pn_slice_of(why[0] == '\0' ? pn_strerror(err) : why),
                .reason = PN_REASON_SYSTEM});
    }
}

static void reload_locked(pn_node *node)
{
    pn_why why = {0};
    pn_err err = pn_store_reload(pn_full(node)->trust.store, NULL, &why);

    /* Behind the trust list and before its peers count: who pairs removes old
     * grants of the key first. */
    pn_node_reload_grants(node);
    pn_node_lock(node);
    pn_full(node)->trust.is_reload_due = false;
    /* With a list that cannot be read no new peer is admitted; links that are
     * up stay (T22). */
    pn_full(node)->trust.is_damaged = err != PN_OK;
    if (err == PN_OK) {
        err = peers_sync(node, true);
    }
    tell_reload(node, err, why.text);
    pn_node_unlock(node);
}

static bool on_reload(void *user, bool is_edit)
{
    pn_node *node = user;
    bool is_read;

    (void)is_edit;
    assert_on_loop(node);
    assert_unlocked(node);
    /* This is set first, because the holder of the store checks it when it
     * releases the store. */
    pn_node_lock(node);
    pn_full(node)->trust.is_reload_due = true;
    pn_node_unlock(node);
    if (pthread_mutex_trylock(&pn_full(node)->trust.lock) == 0) {
        reload_locked(node);
        (void)pthread_mutex_unlock(&pn_full(node)->trust.lock);
    }
    pn_node_lock(node);
    is_read = pn_full(node)->trust.reload_err == PN_OK
              && pn_full(node)->trust.grants.read_err == PN_OK;
    pn_node_unlock(node);
    return is_read;
}

static void on_watched(void *user, const char *text, int sys_errno)
{
    pn_node *node = user;

    pn_node_lock(node);
    pn_node_log(node, &(pn_log_line){.level = PN_LOG_WARNING,
                          .what = PN_LOG_TRUST_LIST,
                          .text = pn_slice_of(text),
                          .sys_errno = sys_errno});
    pn_node_unlock(node);
}

pn_err pn_node_watch_trust(pn_node *node)
{
    static const pn_guarded_watch_ops ops = {
        .is_wanted = pn_store_is_watched,
        .reload = on_reload,
        .tell = on_watched,
    };

    return pn_guarded_watch_start(&pn_full(node)->trust.watch, node->turn.loop,
        pn_store_dir(pn_full(node)->trust.store), &ops, node);
}

/* ---- pairing ----------------------------------------------------------- */

void pn_node_log_store_error(
    pn_node *node, pn_log_what what, pn_err err, const pn_why *why)
{
    if (why->text[0] != '\0') {
        pn_node_log(node, &(pn_log_line){.level = PN_LOG_ERROR,
                              .what = what,
                              .text = pn_slice_of(why->text),
                              .reason = err == PN_INVALID ? PN_REASON_NONE
                                                          : PN_REASON_SYSTEM});
    }
}

/* The store, for an edit that may wait for another process. The caller holds a
 * reference: the node may be closed meanwhile. Errors: PN_CLOSED. */
static pn_err store_lock(pn_node *node)
{
    assert_unlocked(node);
    (void)pthread_mutex_lock(&pn_full(node)->trust.lock);
    if (pn_full(node)->trust.store == NULL) {
        (void)pthread_mutex_unlock(&pn_full(node)->trust.lock);
        return PN_CLOSED;
    }
    return PN_OK;
}

pn_err pn_node_store_enter(pn_node *node)
{
    pn_err err = pn_node_enter(node);

    if (err != PN_OK) {
        return err;
    }
    err = store_lock(node);
    if (err != PN_OK) {
        pn_node_leave(node);
    }
    return err;
}

void pn_node_store_leave(pn_node *node)
{
    pn_node_store_unlock(node);
    pn_node_leave(node);
}

pn_err pn_pair_at(pn_node *node, const pn_public_key *key, const char *label,
    const char *address)
{
    pn_why why = {0};
    pn_err err = pn_node_store_enter(node);

    if (err != PN_OK) {
        return err;
    }
    err = pn_store_pair(pn_full(node)->trust.store, key, label, address, &why);
    pn_node_reload_grants(node);
    pn_node_lock(node);
    if (err == PN_OK || err == PN_EXISTS) {
        pn_err synced = peers_sync(node, true);

        err = synced == PN_OK ? err : synced;
    } else {
        pn_node_log_store_error(node, PN_LOG_NOT_PAIRED, err, &why);
    }
    pn_node_unlock(node);
    pn_node_store_leave(node);
    return err;
}

pn_err pn_pair(pn_node *node, const pn_public_key *key, const char *label)
{
    return pn_pair_at(node, key, label, NULL);
}

pn_err pn_unpair(pn_node *node, const pn_public_key *key)
{
    pn_why why = {0};
    pn_peer *peer;
    pn_err err;

    /* The peer's links are ended first, because the disk may be slow or
     * full. */
    pn_node_lock(node);
    if (node->closing.is_asked) {
        pn_node_unlock(node);
        return PN_CLOSED;
    }
    pn_node_ref(node); /* it may close while we wait */
    peer = pn_node_find_peer(node, key);
    if (peer != NULL) {
        peer_remove(node, peer);
    } else {
        forget_grants(node, key);
    }
    pn_node_unlock(node);

    err = store_lock(node);
    if (err != PN_OK) {
        pn_node_leave(node);
        return err;
    }
    err = pn_store_unpair(pn_full(node)->trust.store, key, &why);
    pn_node_lock(node);
    if (err != PN_NOT_FOUND) {
        pn_node_log_store_error(node, PN_LOG_TRUST_LIST_NOT_WRITTEN, err, &why);
    }
    (void)peers_sync(node, true);
    pn_node_unlock(node);
    pn_node_reload_grants(node);
    pn_node_store_leave(node);
    return err;
}

/* ---- completing a pairing (a worker writes) ------------------------------ */

typedef struct complete_job {
    pn_job job;
    pn_public_key key;
} complete_job;

static void on_complete(pn_node *node, pn_job *job)
{
    complete_job *c = (complete_job *)(void *)job;
    pn_why why = {0};
    pn_err err;

    pn_node_unlock(node);
    err = store_lock(node);
    if (err == PN_OK) {
        err = pn_store_complete(pn_full(node)->trust.store, &c->key, &why);
        pn_node_reload_grants(node);
        pn_node_lock(node);
        if (err == PN_OK) {
            (void)!peers_sync(node, true);
        } else {
            pn_node_log_store_error(node, PN_LOG_NOT_PAIRED, err, &why);
        }
        pn_node_unlock(node);
        pn_node_store_unlock(node);
    }
    pn_node_lock(node);
    free(c);
}

void pn_node_complete_pairing(pn_node *node, const pn_public_key *key)
{
    pn_pending_list *pending = &pn_full(node)->trust.pending;
    complete_job *c;

    assert_locked(node);
    if (pn_pending_find(pending, key, pn_wall_now_us() / 1000000) == NULL) {
        return;
    }
    c = calloc(1, sizeof(*c));
    if (c == NULL) {
        return;
    }
    c->job.run = on_complete;
    c->key = *key;
    if (pn_dispatch_job(node, &c->job) != PN_OK) {
        free(c);
        return;
    }
    (void)pn_pending_remove(pending, key); /* once */
}

/* ---- remembering (a worker writes) ------------------------------------- */

typedef struct remember_job {
    pn_job job;
    pn_public_key key;
    char address[PN_ADDRESS_TEXT_LEN];
} remember_job;

/* An address that cannot be written now is written with the next link. This
 * does not wait for another edit, which may take long. */
static void on_remember(pn_node *node, pn_job *job)
{
    remember_job *r = (remember_job *)(void *)job;
    pn_err err = PN_BUSY;
    pn_peer *peer;

    pn_node_unlock(node);
    if (pthread_mutex_trylock(&pn_full(node)->trust.lock) == 0) {
        err = pn_store_remember(
            pn_full(node)->trust.store, &r->key, r->address);
        pn_node_store_unlock(node);
    }
    pn_node_lock(node);
    peer = err == PN_OK ? NULL : pn_node_find_peer(node, &r->key);
    if (peer != NULL) {
        peer->remembered = (pn_address){0};
    }
    free(r);
}

void pn_peer_remember(pn_node *node, pn_peer *peer, const pn_address *address)
{
    remember_job *r;

    assert_locked(node);
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

/* ---- callbacks of the registry ----------------------------------------- */

static pn_reason on_dial(
    void *user, pn_reg_peer *reg, const pn_address *address)
{
    pn_node *node = user;
    pn_peer *peer = reg->user;

    assert_locked(node);
    if (node->closing.is_asked) {
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
    pn_peer_link *link = peer->dial;
    bool was_connected;

    (void)user;
    if (link == NULL) {
        return false;
    }
    assert_locked(link->base.node);
    was_connected = link->base.stage == PN_LINK_HANDSHAKE;
    peer->dial = NULL;
    pn_link_end(&link->base, PN_REASON_LOCAL_CLOSE);
    return was_connected;
}

static void on_probe(void *user, pn_reg_peer *reg, void *link)
{
    pn_node *node = user;

    if (((pn_peer_link *)link)->base.is_blocked) {
        pn_registry_not_read(reg);
    }
    /* A link without room for a ping has traffic that shows the same. */
    (void)!pn_session_ping(((pn_peer_link *)link)->session, pn_node_now(node));
}

static void on_close_link(
    void *user, pn_reg_peer *reg, void *link, pn_reason reason)
{
    (void)user;
    (void)reg;
    pn_link_end(&((pn_peer_link *)link)->base, reason);
}

const pn_reg_callbacks pn_node_registry_callbacks = {
    .dial = on_dial,
    .cancel_dial = on_cancel_dial,
    .probe = on_probe,
    .close_link = on_close_link,
};

/* ---- what we call ourselves -------------------------------------------- */

void pn_node_own_label(pn_node *node, const char *label)
{
    pn_kind *kind = &pn_full(node)->kind;

    memset(kind->label, 0, sizeof(kind->label));
    if (label != NULL) {
        memcpy(kind->label, label, strlen(label)); /* its length is checked */
    }
}

pn_err pn_set_label(pn_node *node, const char *label)
{
    pn_err err = PN_OK;

    if (label != NULL
        && (label[0] == '\0'
            || !pn_kind_label_is_valid(label, strlen(label)))) {
        return PN_INVALID;
    }
    pn_node_lock(node);
    if (node->closing.is_asked) {
        err = PN_CLOSED;
    } else {
        pn_node_own_label(node, label);
        PN_LIST_EACH(pn_link, link, &node->links.all, listed) {
            if (link->ops == &pn_peer_link_ops && link->stage == PN_LINK_UP) {
                pn_session_kind_changed(pn_peer_link_of(link)->session);
                pn_link_touch(link);
            }
        }
    }
    pn_node_unlock(node);
    return err;
}

/* ---- telling ----------------------------------------------------------- */

/* kind NULL: it has not been recognised. */
static void tell_kind(const pn_kind *kind, pn_peer_info *info)
{
    if (kind != NULL) {
        info->is_our_kind = true;
        (void)strncpy(info->proposed_label, kind->label,
            sizeof(info->proposed_label) - 1);
    }
}

static void peer_tell(
    pn_node *node, const pn_peer *peer, uint64_t now_us, pn_peer_info *info)
{
    const pn_peer_link *link = peer->reg->primary;
    pn_reg_info reg;

    assert_locked(node);
    pn_registry_info(pn_full(node)->registry, peer->reg, &reg);
    *info = (pn_peer_info){
        .key = peer->key,
        .state = reg.state,
        .dialled_by_us = reg.dialled_by_us,
        .last_seen_ms = peer->last_seen_ms,
        .last_reason = reg.last_reason,
        .has_address_left = reg.has_address_left || peer->name[0] != '\0',
        .added_at_us = peer->added_at_us,
    };
    if (peer->label != NULL) {
        (void)strncpy(info->label, peer->label, sizeof(info->label) - 1);
    }
    if (reg.has_address) {
        pn_address_text(&reg.address, info->address);
    }
    if (reg.rung != NULL) {
        (void)strncpy(info->rung, reg.rung, sizeof(info->rung) - 1);
    }
    if (link != NULL) {
        uint64_t seen = pn_session_last_received_us(link->session);

        info->up_ms = (now_us - link->base.up_us) / PN_US_PER_MS + 1;
        info->rtt_us = pn_session_rtt_us(link->session);
        tell_kind(pn_session_kind(link->session), info);
        if (seen < link->base.up_us) {
            seen = link->base.up_us;
        }
        info->last_seen_ms = pn_wall_now_us() / 1000
                             - (int64_t)((now_us - seen) / PN_US_PER_MS);
    }
}

pn_err pn_get_peer(
    pn_node *node, const pn_public_key *key, pn_peer_info *ret_peer)
{
    const pn_peer *peer;

    pn_node_lock(node);
    peer = pn_node_find_peer(node, key);
    if (peer != NULL) {
        peer_tell(node, peer, pn_node_now(node), ret_peer);
    }
    pn_node_unlock(node);
    return peer == NULL ? PN_NOT_FOUND : PN_OK;
}

pn_err pn_list_peers(pn_node *node, pn_peer_info **ret_peers, size_t *ret_n)
{
    const pn_node_peers *peers = &pn_full(node)->peers;
    pn_peer_info *infos;

    pn_node_lock(node);
    infos = calloc(peers->n + 1, sizeof(*infos));
    for (size_t i = 0; infos != NULL && i < peers->n; i++) {
        peer_tell(node, peers->list[i], pn_node_now(node), &infos[i]);
    }
    if (infos != NULL) {
        *ret_n = peers->n;
        *ret_peers = infos;
    }
    pn_node_unlock(node);
    return infos == NULL ? PN_NOMEM : PN_OK;
}

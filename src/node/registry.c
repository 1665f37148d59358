/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry; registry.h states its guarantees. Every peer has one timer,
 * computed from its state by peer_due_us after each change; pn_registry_tick
 * does what is due, one act at a time. A callback is the last thing a function
 * does, because it may come back in and even remove the peer.
 *
 * Follows docs/PROTOCOL.md, sections 6 and 7, docs/THREATS.md, T15, T19, T25
 * and T34, and the model in tests/model/dial.pml.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "node/reg_peer.h"

/* The wait after an announce: 0-100 ms with the smaller key, 200-300 ms with
 * the larger, so that two that hear each other at once seldom both dial. */
#define HINT_JITTER_US (100 * PN_US_PER_MS)
#define HINT_LARGER_US (200 * PN_US_PER_MS)

/* 0 .. below - 1. Without randomness there is no jitter, which is no danger. */
uint64_t pn_reg_draw(const pn_registry *r, uint64_t below)
{
    uint64_t value = 0;

    if (r->config.env->random(
            r->config.env->user, (uint8_t *)&value, sizeof(value))
        != PN_OK) {
        return 0;
    }
    return value % below;
}

static bool key_is_own(const pn_registry *r, const pn_public_key *key)
{
    return memcmp(key, &r->config.own_key, sizeof(*key)) == 0;
}

bool pn_reg_own_is_smaller(const pn_registry *r, const pn_reg_entry *p)
{
    return memcmp(&r->config.own_key, &p->pub.key, sizeof(p->pub.key)) < 0;
}

pn_reg_entry *pn_reg_find(const pn_registry *r, const pn_public_key *key)
{
    return pn_map_get(&r->peers, key);
}

pn_reg_entry *pn_reg_entry_of(const pn_reg_peer *peer)
{
    return (pn_reg_entry *)(uintptr_t)peer;
}

static uint64_t peer_due_us(const pn_registry *r, pn_reg_entry *p)
{
    if (p->n_links == 2) {
        return pn_reg_close_due_us(r, p);
    }
    if (p->n_links == 0 && p->is_restart && !r->is_stopped) {
        return p->dialled_us + r->config.reconnect_min_us;
    }
    if (p->is_dialling && pn_reg_give_way_us(r, p) != PN_TIME_NEVER) {
        return pn_reg_give_way_us(r, p);
    }
    return pn_sooner(pn_reg_ask_due_us(r, p), pn_reg_dial_due_us(r, p));
}

void pn_reg_set_timer(pn_registry *r, pn_reg_entry *p)
{
    assert(p->n_links <= PN_REG_MAX_LINKS + 1);
    pn_heap_set(&r->timers, &p->timer, peer_due_us(r, p));
}

static void peer_act(pn_registry *r, pn_reg_entry *p, uint64_t now_us)
{
    if (p->n_links == 2) {
        pn_reg_close_duplicate(r, p, now_us);
    } else if (p->n_links == 0 && p->is_restart) {
        pn_reg_restart_dial(r, p, now_us);
    } else if (pn_reg_give_way_us(r, p) <= now_us) {
        pn_reg_give_way(r, p, now_us);
    } else if (pn_reg_ask_due_us(r, p) <= now_us) {
        pn_reg_ask(r, p, now_us);
    } else {
        pn_reg_dial_due(r, p, now_us);
    }
}

/* ---- life ---- */

static void entry_free(pn_reg_entry *p)
{
    pn_reg_candidates_fini(&p->candidates);
    free(p);
}

pn_err pn_registry_new(const pn_reg_config *config,
    const pn_reg_callbacks *callbacks, void *user, pn_registry **ret_registry)
{
    pn_registry *r;

    if (config->max_peers == 0 || config->reconnect_min_us == 0
        || config->reconnect_max_us < config->reconnect_min_us) {
        return PN_INVALID;
    }
    r = calloc(1, sizeof(*r));
    if (r == NULL) {
        return PN_NOMEM;
    }
    r->config = *config;
    r->callbacks = callbacks;
    r->user = user;
    r->peers.max = config->max_peers;
    *ret_registry = r;
    return PN_OK;
}

void pn_registry_free(pn_registry *r)
{
    size_t cursor = 0;
    pn_reg_entry *p;

    if (r == NULL) {
        return;
    }
    while ((p = pn_map_next(&r->peers, &cursor)) != NULL) {
        entry_free(p);
    }
    pn_map_fini(&r->peers);
    pn_hosts_fini(&r->hosts);
    pn_heap_fini(&r->timers);
    free(r);
}

/* ---- peers ---- */

static void departed_save(pn_registry *r, const pn_reg_entry *p)
{
    pn_reg_departed *d = &r->departed[r->next_departed++ % PN_REG_N_DEPARTED];

    d->key = p->pub.key;
    d->ended = p->ended;
}

/* Unpairing and pairing again does not make its node forget. */
static void departed_load(const pn_registry *r, pn_reg_entry *p)
{
    for (unsigned i = 0; i < PN_REG_N_DEPARTED; i++) {
        const pn_reg_departed *d =
            &r->departed[(r->next_departed + i) % PN_REG_N_DEPARTED];

        if (d->ended.n > 0
            && memcmp(&d->key, &p->pub.key, sizeof(d->key)) == 0) {
            p->ended = d->ended;
            p->known_ended = d->ended;
        }
    }
}

pn_err pn_registry_peer_add(pn_registry *r, const pn_public_key *key,
    void *user, pn_reg_peer **ret_peer)
{
    pn_reg_entry *p = pn_reg_find(r, key);
    pn_err err;

    if (PN_REFUSE_IF(registry_own_key, key_is_own(r, key))) {
        return PN_INVALID;
    }
    if (p != NULL) {
        if (ret_peer != NULL) {
            *ret_peer = &p->pub;
        }
        return PN_EXISTS;
    }
    if (pn_heap_reserve(&r->timers, r->peers.n + 1) != PN_OK
        || (p = calloc(1, sizeof(*p))) == NULL) {
        return PN_NOMEM;
    }
    err = pn_map_put(&r->peers, key, p);
    if (err != PN_OK) {
        free(p);
        return err;
    }
    p->pub.key = *key;
    p->pub.user = user;
    p->timer.at_us = PN_TIME_NEVER;
    p->backoff_us = r->config.reconnect_min_us;
    p->step_us = PN_TIME_NEVER;
    p->ask_us = PN_TIME_NEVER;
    departed_load(r, p);
    r->n_changes++;
    if (ret_peer != NULL) {
        *ret_peer = &p->pub;
    }
    return PN_OK;
}

pn_err pn_registry_peer_remove(
    pn_registry *r, const pn_public_key *key, uint64_t now_us)
{
    pn_reg_entry *p = pn_map_remove(&r->peers, key);
    bool was_dialling;

    if (p == NULL) {
        return PN_NOT_FOUND;
    }
    r->n_changes++;
    pn_heap_set(&r->timers, &p->timer, PN_TIME_NEVER);
    for (unsigned i = 0; i < p->n_links + (p->is_dialling ? 1 : 0); i++) {
        pn_reg_note_ended(p, now_us);
    }
    departed_save(r, p);
    pn_reg_known_forget(r, p);
    p->pub.primary = NULL;
    was_dialling = p->is_dialling;
    p->is_dialling = false;
    p->is_wanted = false;
    if (PN_REFUSE_IF(registry_unpair_dial, was_dialling)) {
        (void)r->callbacks->cancel_dial(r->user, &p->pub);
    }
    while (PN_REFUSE_IF(registry_unpair_links, p->n_links > 0)) {
        void *handle = p->links[--p->n_links].handle;

        r->callbacks->close_link(r->user, &p->pub, handle, PN_REASON_UNPAIRED);
    }
    entry_free(p);
    return PN_OK;
}

pn_reg_peer *pn_registry_find(const pn_registry *r, const pn_public_key *key)
{
    pn_reg_entry *p = pn_reg_find(r, key);

    return p == NULL ? NULL : &p->pub;
}

/* ---- addresses to dial ---- */

/* True when an announce is news: a new address, one that did not answer but did
 * not refuse, or one not heard for a while. With any other rule announces could
 * undo the backoff. */
static bool is_news(
    const pn_reg_entry *p, const pn_reg_slot *slot, uint64_t now_us)
{
    if (p->is_dialling && pn_address_equal(&p->dialled, &slot->address)) {
        return false;
    }
    return slot->failure == PN_REASON_UNREACHABLE
           || slot->failure == PN_REASON_CONNECT_TIMEOUT
           || (slot->tried > 0 && now_us - slot->heard_us > PN_REG_SILENCE_US);
}

/* Something is about to be dialled out of turn, after a random wait in case the
 * peer, who heard us in the same moment, dials first (docs/PROTOCOL.md, section
 * 6). The wait runs from the first of a series, which later ones do not put
 * off. */
static void fresh_wait(pn_registry *r, pn_reg_entry *p, uint64_t now_us)
{
    if (!pn_reg_has_fresh(p) && r->config.is_unheard) {
        p->fresh_wait_us = now_us;
    } else if (!pn_reg_has_fresh(p)) {
        p->fresh_wait_us = now_us + pn_reg_draw(r, HINT_JITTER_US);
        p->fresh_wait_us += pn_reg_own_is_smaller(r, p) ? 0 : HINT_LARGER_US;
    }
}

static void hint_heard(pn_registry *r, pn_reg_entry *p,
    const pn_address *address, const char *source, uint64_t now_us)
{
    pn_reg_slot *slot = pn_reg_slots_find(&p->slots, address);

    p->is_wanted = true;
    if (slot == NULL) {
        fresh_wait(r, p, now_us);
        (void)pn_reg_candidates_add(
            &p->candidates, address, source, r->config.max_candidates, now_us);
        return;
    }
    slot->source = source;
    if (!PN_REFUSE_IF(registry_hint_backoff, !is_news(p, slot, now_us))) {
        fresh_wait(r, p, now_us);
        slot->is_fresh = true;
    }
    slot->heard_us = now_us;
}

/* A manual or remembered address, which is trusted more than an announced
 * one. */
static pn_reg_slot *hint_told(pn_registry *r, pn_reg_entry *p,
    const pn_address *address, pn_reg_hint kind, uint64_t now_us)
{
    pn_reg_slot *slot = pn_reg_slots_find(&p->slots, address);

    pn_reg_known_add(r, p, address);
    p->is_wanted = p->is_wanted || r->config.auto_connect;
    if (slot == NULL) {
        (void)pn_reg_candidates_drop(&p->candidates, address);
        slot = pn_reg_slots_add(&p->slots, address, kind, now_us);
        if (kind == PN_REG_MANUAL || p->step_us == PN_TIME_NEVER) {
            pn_reg_step_now(p, now_us);
        }
    } else if (kind > slot->kind) {
        pn_reg_slots_promote(&p->slots, slot, kind);
    } else {
        return slot;
    }
    return pn_reg_slots_to_front(&p->slots, slot);
}

/* Manual ones, to be tried in this order before those told earlier: for the
 * name of the peer, or because the owner wants them dialled now. */
static void hint_list(pn_registry *r, pn_reg_entry *p,
    const pn_address *addresses, size_t n, bool is_named, uint64_t now_us)
{
    for (size_t i = n; i-- > 0;) {
        pn_reg_slot *slot = hint_told(
            r, p, &addresses[i], PN_REG_MANUAL, now_us);

        slot = pn_reg_slots_to_front(&p->slots, slot);
        if (is_named) {
            slot->is_named = true;
        } else {
            slot->is_target = p->n_links == 0;
        }
    }
}

static pn_err hint(pn_registry *r, const pn_public_key *key,
    const pn_address *address, pn_reg_hint kind, const char *source,
    uint64_t now_us)
{
    pn_reg_entry *p = pn_reg_find(r, key);

    if (!pn_reg_address_is_dialable(address) || key_is_own(r, key)) {
        return PN_INVALID;
    }
    if (PN_REFUSE_IF(registry_unpaired_hint, p == NULL)) {
        return PN_NOT_FOUND;
    }
    if (kind == PN_REG_DISCOVERED) {
        hint_heard(r, p, address, source, now_us);
    } else {
        (void)hint_told(r, p, address, kind, now_us);
    }
    pn_reg_set_timer(r, p);
    return PN_OK;
}

pn_err pn_registry_hint(pn_registry *r, const pn_public_key *key,
    const pn_address *address, pn_reg_hint kind, uint64_t now_us)
{
    return hint(r, key, address, kind, NULL, now_us);
}

pn_err pn_registry_heard(pn_registry *r, const pn_public_key *key,
    const pn_address *address, const char *source, uint64_t now_us)
{
    return hint(r, key, address, PN_REG_DISCOVERED, source, now_us);
}

static bool list_has(
    const pn_address *addresses, size_t n, const pn_address *address)
{
    while (n > 0 && !pn_address_equal(&addresses[n - 1], address)) {
        n--;
    }
    return n > 0;
}

pn_err pn_registry_name_is_at(pn_registry *r, const pn_public_key *key,
    const pn_address *addresses, size_t n, uint64_t now_us)
{
    pn_reg_entry *p = pn_reg_find(r, key);
    pn_address taken[PN_REG_MAX_MANUAL];
    size_t n_taken = 0;

    if (p == NULL) {
        return PN_NOT_FOUND;
    }
    for (size_t i = 0; i < n && n_taken < PN_REG_MAX_MANUAL; i++) {
        if (pn_reg_address_is_dialable(&addresses[i])) {
            taken[n_taken++] = addresses[i];
        }
    }
    for (unsigned i = p->slots.n; i-- > 0;) {
        pn_reg_slot *slot = &p->slots.at[i];

        if (slot->is_named && !slot->is_good
            && !list_has(taken, n_taken, &slot->address)) {
            pn_reg_slots_drop(&p->slots, slot);
        }
    }
    hint_list(r, p, taken, n_taken, true, now_us);
    if (p->slots.n == 0) {
        p->step_us = PN_TIME_NEVER;
    }
    pn_reg_set_timer(r, p);
    return PN_OK;
}

void pn_registry_hint_lost(
    pn_registry *r, const pn_public_key *key, const pn_address *address)
{
    pn_reg_entry *p = pn_reg_find(r, key);
    pn_reg_slot *slot;

    if (p == NULL) {
        return;
    }
    slot = pn_reg_slots_find(&p->slots, address);
    if (slot != NULL && pn_reg_slot_is_hearsay(slot)) {
        pn_reg_slots_drop(&p->slots, slot);
        if (p->slots.n == 0) {
            p->step_us = PN_TIME_NEVER;
        }
    } else if (!pn_reg_candidates_drop(&p->candidates, address)) {
        return;
    }
    pn_reg_set_timer(r, p);
}

pn_err pn_registry_connect(pn_registry *r, const pn_public_key *key,
    const pn_address *addresses, size_t n, uint64_t now_us)
{
    pn_reg_entry *p = pn_reg_find(r, key);

    if (r->is_stopped) {
        return PN_STATE;
    }
    if (p == NULL) {
        return PN_NOT_FOUND;
    }
    if (PN_REFUSE_IF(registry_connect_max, n > PN_REG_MAX_MANUAL)) {
        return PN_INVALID;
    }
    for (size_t i = 0; i < n; i++) {
        if (!pn_reg_address_is_dialable(&addresses[i])) {
            return PN_INVALID;
        }
    }
    hint_list(r, p, addresses, n, false, now_us);
    p->is_wanted = true;
    if (p->pub.primary == NULL) {
        pn_reg_slots_forget_told(&p->slots, true);
    }
    if (p->slots.n == 0 && p->candidates.n == 0) {
        return PN_NOT_CONNECTED;
    }
    p->backoff_us = r->config.reconnect_min_us;
    if (p->slots.n > 0) {
        pn_reg_step_now(p, now_us);
    }
    pn_reg_set_timer(r, p);
    return PN_OK;
}

void pn_registry_network_changed(pn_registry *r, uint64_t now_us)
{
    size_t cursor = 0;
    pn_reg_entry *p;

    while ((p = pn_map_next(&r->peers, &cursor)) != NULL) {
        p->backoff_us = r->config.reconnect_min_us;
        p->is_restart = p->is_dialling && p->n_links == 0;
        if (p->n_links == 0 && !p->is_dialling && p->slots.n > 0) {
            /* However often networks change, not faster than the backoff. */
            pn_reg_step_now(p, now_us);
            if (p->dial_seq > 0) {
                p->step_us = pn_later(
                    now_us, p->dialled_us + r->config.reconnect_min_us);
            }
        }
        pn_reg_set_timer(r, p);
    }
}

void pn_registry_stop(pn_registry *r)
{
    size_t cursor = 0;
    pn_reg_entry *p;

    r->is_stopped = true;
    while ((p = pn_map_next(&r->peers, &cursor)) != NULL) {
        uint64_t n_changes = r->n_changes;
        bool was_dialling = p->is_dialling;

        p->is_dialling = false;
        p->is_restart = false;
        pn_reg_set_timer(r, p);
        if (was_dialling) {
            (void)r->callbacks->cancel_dial(r->user, &p->pub);
        }
        if (r->n_changes != n_changes) {
            cursor = 0;
        }
    }
}

/* ---- time ---- */

uint64_t pn_registry_deadline(const pn_registry *r)
{
    return pn_heap_deadline(&r->timers);
}

void pn_registry_tick(pn_registry *r, uint64_t now_us)
{
    /* A dial that fails at once is followed by another, a few times; more
     * can wait for the next turn of the loop. */
    size_t left = 4 * r->peers.n;
    pn_heap_node *node;

    while (left-- > 0 && (node = pn_heap_first(&r->timers)) != NULL
           && node->at_us <= now_us) {
        peer_act(r, PN_HEAP_OWNER(pn_reg_entry, timer, node), now_us);
    }
}

/* ---- questions ---- */

static const pn_reg_link *primary_link(pn_reg_entry *p)
{
    return p->pub.primary == NULL ? NULL : pn_reg_find_link(p, p->pub.primary);
}

static bool has_address_left(const pn_reg_entry *p)
{
    for (unsigned i = 0; i < p->slots.n; i++) {
        const pn_reg_slot *slot = &p->slots.at[i];

        /* It is dialled once more after the owner has asked. */
        if (slot->is_asked
            || (slot->failure != PN_REASON_KEY_MISMATCH
                && slot->failure != PN_REASON_OWN_KEY)) {
            return true;
        }
    }
    return p->candidates.n > 0;
}

void pn_registry_info(
    const pn_registry *r, const pn_reg_peer *peer, pn_reg_info *ret_info)
{
    pn_reg_entry *p = pn_reg_entry_of(peer);
    const pn_reg_link *link = primary_link(p);
    const pn_reg_slot *slot = pn_reg_slots_preferred(&p->slots, false);
    pn_reg_info info = {.next_dial_us = PN_TIME_NEVER,
        .last_reason = p->last_reason,
        .has_address_left = has_address_left(p),
        .n_links = p->n_links,
        .rung = p->rung};

    if (link != NULL) {
        info.state = PN_PEER_UP;
        info.has_address = true;
        info.address = link->address;
        info.dialled_by_us = link->is_ours;
    } else if (p->n_links > 0) {
        /* Authenticated, and not yet heard from. */
        info.state = PN_PEER_DIALLING;
        info.has_address = true;
        info.address = p->links[p->n_links - 1].address;
        info.dialled_by_us = true;
    } else if (p->is_dialling) {
        info.state = PN_PEER_DIALLING;
        info.has_address = true;
        info.address = p->dialled;
    } else {
        info.next_dial_us = pn_reg_dial_due_us(r, p);
        info.state = info.next_dial_us == PN_TIME_NEVER ? PN_PEER_IDLE
                                                        : PN_PEER_WAITING;
        info.has_address = slot != NULL || p->candidates.n > 0;
        if (info.has_address) {
            info.address = slot != NULL ? slot->address
                                        : p->candidates.at[0].address;
        }
    }
    *ret_info = info;
}

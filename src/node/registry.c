/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry: see registry.h for what it promises. Every peer has one timer,
 * computed from its state by peer_due_us after each change; pn_registry_tick
 * does what is due, one act at a time. A callback is the last thing a function
 * does, because it may come back in and even remove the peer.
 *
 * Follows PeerNet wire sections 5 and 6, RELIABILITY T15, T19, T25, T34 and
 * the model in tests/model/dial.pml.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mutant.h"
#include "node/reg_peer.h"

/* A supervisor of OTP counts whole seconds, so five of its seconds can last
 * nearly six. */
#define ETIQUETTE_WINDOW_US (6 * PN_US_PER_S)
#define CLOSE_INTERVAL_US (2 * PN_US_PER_S)
#define DIALS_PER_STEP 2
/* The wait after an announce: 0-100 ms with the smaller key, 200-300 ms with
 * the larger, so that two that hear each other at once seldom both dial. */
#define HINT_JITTER_US (100 * PN_US_PER_MS)
#define HINT_LARGER_US (200 * PN_US_PER_MS)
/* Peers unpaired of late whose ended connections still count. */
#define N_DEPARTED 16

typedef struct departed {
    pn_public_key key;
    uint64_t ended_us[2];
    unsigned n_ended;
} departed;

struct pn_registry {
    pn_reg_config config;
    const pn_reg_callbacks *callbacks;
    void *user;
    pn_map peers;
    pn_heap timers;
    uint64_t dial_seq;
    uint64_t n_changes; /* of the set of peers */
    bool is_stopped;
    departed departed[N_DEPARTED];
    unsigned next_departed;
};

static uint64_t latest(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t earliest(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* 0 .. below - 1. Without randomness there is no jitter, which is no danger. */
static uint64_t draw(const pn_registry *r, uint64_t below)
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

static bool own_is_smaller(const pn_registry *r, const pn_reg_entry *p)
{
    return memcmp(&r->config.own_key, &p->pub.key, sizeof(p->pub.key)) < 0;
}

static pn_reg_entry *find(const pn_registry *r, const pn_public_key *key)
{
    return pn_map_get(&r->peers, key);
}

static pn_reg_entry *entry_of(const pn_reg_peer *peer)
{
    return (pn_reg_entry *)(uintptr_t)peer;
}

/* ---- when ---- */

static void note_ended(pn_reg_entry *p, uint64_t now_us)
{
    p->ended_us[1] = p->ended_us[0];
    p->ended_us[0] = now_us;
    p->n_ended += p->n_ended < 2;
}

/* When one more of its connections may end through us: two may have ended
 * within the window, this would be the third, and the reserve is kept. */
static uint64_t etiquette_us(const pn_reg_entry *p)
{
    return p->n_ended < 2 ? 0 : p->ended_us[1] + ETIQUETTE_WINDOW_US;
}

/* True when both ends are known to have both links; then they agree about
 * them. Of two that one end dialled the newer says that the older is over: it
 * dials only without a link. */
static bool is_settled(const pn_reg_entry *p)
{
    const pn_reg_link *a = &p->links[0];
    const pn_reg_link *b = &p->links[1];

    if (p->n_links != 2) {
        return false;
    }
    if (a->is_ours == b->is_ours) {
        return b->is_received;
    }
    return b->is_received && !PN_CHECK(registry_tie_received, !a->is_received);
}

/* Of two links: the index of the one that stays (T19). */
static unsigned keeper(const pn_registry *r, const pn_reg_entry *p)
{
    if (p->links[0].is_ours == p->links[1].is_ours) {
        return 1;
    }
    return p->links[0].is_ours == own_is_smaller(r, p) ? 0 : 1;
}

static uint64_t close_due_us(const pn_registry *r, const pn_reg_entry *p)
{
    uint64_t due_us;

    if (r->is_stopped || !is_settled(p)) {
        return PN_TIME_NEVER;
    }
    due_us = p->links[1].up_us;
    if (PN_CHECK(registry_tie_grace, r->config.grace_us > 0)) {
        due_us += r->config.grace_us;
    }
    if (PN_CHECK(registry_close_interval, p->has_closed)) {
        due_us = latest(due_us, p->closed_us + CLOSE_INTERVAL_US);
    }
    if (PN_CHECK(registry_close_etiquette, etiquette_us(p) > due_us)) {
        due_us = etiquette_us(p);
    }
    return due_us;
}

static uint64_t fresh_due_us(pn_reg_entry *p)
{
    if (pn_reg_slots_fresh(&p->slots) == NULL) {
        return PN_TIME_NEVER;
    }
    if (PN_CHECK(registry_new_address_interval,
            p->fresh_allowed_us > p->fresh_wait_us)) {
        return p->fresh_allowed_us;
    }
    return p->fresh_wait_us;
}

static uint64_t dial_due_us(const pn_registry *r, pn_reg_entry *p)
{
    uint64_t due_us;

    if (PN_CHECK(registry_stop, r->is_stopped) || !p->is_wanted) {
        return PN_TIME_NEVER;
    }
    if (PN_CHECK(registry_one_dial, p->is_dialling)
        || PN_CHECK(registry_live_link, p->n_links > 0)) {
        return PN_TIME_NEVER;
    }
    due_us = earliest(p->step_us, fresh_due_us(p));
    if (PN_CHECK(registry_dial_etiquette, etiquette_us(p) > due_us)) {
        due_us = etiquette_us(p);
    }
    return due_us;
}

static uint64_t peer_due_us(const pn_registry *r, pn_reg_entry *p)
{
    if (p->n_links == 2) {
        return close_due_us(r, p);
    }
    if (p->n_links == 0 && p->is_restart && !r->is_stopped) {
        return p->dialled_us + r->config.reconnect_min_us;
    }
    return dial_due_us(r, p);
}

static void set_timer(pn_registry *r, pn_reg_entry *p)
{
    pn_heap_set(&r->timers, &p->timer, peer_due_us(r, p));
}

/* ---- the backoff ---- */

static void step_now(pn_reg_entry *p, uint64_t now_us)
{
    p->step_us = now_us;
    p->step_left = DIALS_PER_STEP;
}

/* The next step, a backoff away that a random 0-25 % shortens (T19), and
 * doubles for the one after it. The smaller key draws from the upper half and
 * the larger from the lower, so that two that lost their link in the same
 * moment seldom both dial. */
static void step_later(pn_registry *r, pn_reg_entry *p, uint64_t now_us)
{
    uint64_t wait_us = p->backoff_us;
    uint64_t less_us = draw(r, wait_us / 8 + 1);

    less_us += own_is_smaller(r, p) ? wait_us / 8 : 0;
    step_now(p, now_us + wait_us - less_us);
    p->backoff_us = p->backoff_us > r->config.reconnect_max_us / 2
                        ? r->config.reconnect_max_us
                        : p->backoff_us * 2;
}

/* After a dial that failed: the rest of the step, or the next. */
static void step_on(pn_registry *r, pn_reg_entry *p, uint64_t now_us)
{
    if (pn_reg_slots_preferred(&p->slots) == NULL) {
        p->step_us = PN_TIME_NEVER;
    } else if (pn_reg_slots_has_target(&p->slots)) {
        step_now(p, now_us);
    } else if (p->was_fresh) {
        if (p->step_us == PN_TIME_NEVER) {
            step_later(r, p, now_us);
        }
    } else if (p->step_left > 0 && p->slots.n > 1) {
        p->step_us = now_us;
    } else {
        step_later(r, p, now_us);
    }
}

/* After the last link: what was heard meanwhile waits for the first step, so
 * that a forged address does not keep a good one from its turn. */
static void step_after_link(pn_registry *r, pn_reg_entry *p, uint64_t now_us)
{
    step_later(r, p, now_us);
    p->fresh_wait_us = p->step_us;
    p->was_fresh = true;
    if (pn_reg_slots_preferred(&p->slots) == NULL) {
        p->step_us = PN_TIME_NEVER;
    }
}

/* Failures before the peer's node had a connection cost it none. */
static bool ended_a_connection(pn_reason reason)
{
    switch (reason) {
    case PN_REASON_CONNECTION_REFUSED:
    case PN_REASON_PEER_LISTENS_ON_LOOPBACK:
    case PN_REASON_UNREACHABLE:
    case PN_REASON_CONNECT_TIMEOUT:
    case PN_REASON_ADDRESS_GONE:
    case PN_REASON_NETWORK_CHANGED:
    case PN_REASON_TOO_MANY:
    case PN_REASON_OUT_OF_MEMORY:
    case PN_REASON_SYSTEM:
        return false;
    default:
        return true;
    }
}

/* Somebody else is there; a forged announce brings one to such an address. */
static void note_failure(pn_reg_entry *p, pn_reason reason)
{
    pn_reg_slot *slot = pn_reg_slots_find(&p->slots, &p->dialled);

    if (slot == NULL) {
        return;
    }
    slot->failure = reason;
    if (reason == PN_REASON_KEY_MISMATCH || reason == PN_REASON_OWN_KEY) {
        slot->is_good = false;
        if (slot->kind != PN_REG_MANUAL) {
            pn_reg_slots_drop(&p->slots, slot);
        }
    }
}

static void dial_ended(
    pn_registry *r, pn_reg_entry *p, pn_reason reason, uint64_t now_us)
{
    p->is_dialling = false;
    p->is_restart = false;
    p->last_reason = reason;
    note_failure(p, reason);
    if (ended_a_connection(reason)) {
        note_ended(p, now_us);
    }
    if (p->n_links == 0) {
        step_on(r, p, now_us);
    }
    set_timer(r, p);
}

static void dial(
    pn_registry *r, pn_reg_entry *p, pn_reg_slot *slot, uint64_t now_us)
{
    pn_public_key key = p->pub.key;
    uint64_t seq = ++r->dial_seq;
    pn_reason reason;

    slot->is_fresh = false;
    slot->is_tried = true;
    slot->is_target = false;
    p->dialled = slot->address;
    p->dialled_us = now_us;
    p->dial_seq = seq;
    p->is_dialling = true;
    p->is_restart = false;
    set_timer(r, p);
    reason = r->callbacks->dial(r->user, &p->pub, &p->dialled);
    if (reason != PN_REASON_NONE) {
        p = find(r, &key); /* it may have been unpaired meanwhile */
        if (p != NULL && p->is_dialling && p->dial_seq == seq) {
            dial_ended(r, p, reason, now_us);
        }
    }
}

static void dial_step(pn_registry *r, pn_reg_entry *p, uint64_t now_us)
{
    pn_reg_slot *slot = p->step_left == DIALS_PER_STEP
                            ? pn_reg_slots_preferred(&p->slots)
                            : pn_reg_slots_other(&p->slots);

    if (slot == NULL) { /* addresses went away within the step */
        step_later(r, p, now_us);
        set_timer(r, p);
        return;
    }
    p->step_left--;
    p->was_fresh = false;
    dial(r, p, slot, now_us);
}

static void dial_fresh(pn_registry *r, pn_reg_entry *p, uint64_t now_us)
{
    p->was_fresh = true;
    p->fresh_allowed_us = now_us + r->config.new_address_interval_us;
    dial(r, p, pn_reg_slots_fresh(&p->slots), now_us);
}

/* Both may be due; whoever floods us with addresses gets every other dial. */
static void dial_due(pn_registry *r, pn_reg_entry *p, uint64_t now_us)
{
    bool is_step = p->step_us <= now_us;
    bool is_fresh = fresh_due_us(p) <= now_us;

    if (is_fresh && !(is_step && p->was_fresh)) {
        dial_fresh(r, p, now_us);
    } else {
        dial_step(r, p, now_us);
    }
}

static void restart_dial(pn_registry *r, pn_reg_entry *p, uint64_t now_us)
{
    pn_public_key key = p->pub.key;

    p->is_dialling = false;
    p->is_restart = false;
    p->last_reason = PN_REASON_NETWORK_CHANGED;
    step_now(p, now_us);
    set_timer(r, p);
    if (r->callbacks->cancel_dial(r->user, &p->pub)
        && (p = find(r, &key)) != NULL) {
        note_ended(p, now_us);
        set_timer(r, p);
    }
}

/* ---- links ---- */

static void take_link(pn_reg_entry *p, unsigned i)
{
    p->n_links--;
    memmove(
        &p->links[i], &p->links[i + 1], (p->n_links - i) * sizeof(p->links[0]));
}

static pn_reg_link *find_link(pn_reg_entry *p, const void *handle)
{
    for (unsigned i = 0; i < p->n_links; i++) {
        if (p->links[i].handle == handle) {
            return &p->links[i];
        }
    }
    return NULL;
}

/* The newest, until both ends can agree on one; then calls move over before
 * the other is closed. */
static void choose_primary(const pn_registry *r, pn_reg_entry *p)
{
    p->pub.is_probing = p->n_links == 2 && !is_settled(p);
    if (p->n_links == 0) {
        p->pub.primary = NULL;
    } else if (is_settled(p)) {
        p->pub.primary = p->links[keeper(r, p)].handle;
    } else {
        p->pub.primary = p->links[p->n_links - 1].handle;
    }
}

static void close_link(pn_registry *r, pn_reg_entry *p, unsigned i,
    pn_reason reason, uint64_t now_us)
{
    void *handle = p->links[i].handle;

    take_link(p, i);
    note_ended(p, now_us);
    choose_primary(r, p);
    set_timer(r, p);
    r->callbacks->close_link(r->user, &p->pub, handle, reason);
}

static void close_duplicate(pn_registry *r, pn_reg_entry *p, uint64_t now_us)
{
    p->has_closed = true;
    p->closed_us = now_us;
    close_link(r, p, 1 - keeper(r, p), PN_REASON_DUPLICATE, now_us);
}

static void peer_act(pn_registry *r, pn_reg_entry *p, uint64_t now_us)
{
    if (p->n_links == 2) {
        close_duplicate(r, p, now_us);
    } else if (p->n_links == 0 && p->is_restart) {
        restart_dial(r, p, now_us);
    } else {
        dial_due(r, p, now_us);
    }
}

/* ---- life ---- */

void pn_reg_config_default(pn_reg_config *config)
{
    *config = (pn_reg_config){
        .max_peers = 1024,
        .reconnect_min_us = PN_US_PER_S / 2,
        .reconnect_max_us = 30 * PN_US_PER_S,
        .grace_us = 2 * PN_US_PER_S,
        .reset_up_us = 30 * PN_US_PER_S,
        .new_address_interval_us = 5 * PN_US_PER_S,
        .auto_connect = true,
    };
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
        free(p);
    }
    pn_map_fini(&r->peers);
    pn_heap_fini(&r->timers);
    free(r);
}

/* ---- peers ---- */

static void departed_save(pn_registry *r, const pn_reg_entry *p)
{
    departed *d = &r->departed[r->next_departed++ % N_DEPARTED];

    d->key = p->pub.key;
    memcpy(d->ended_us, p->ended_us, sizeof(d->ended_us));
    d->n_ended = p->n_ended;
}

/* Unpairing and pairing again does not make its node forget. */
static void departed_load(const pn_registry *r, pn_reg_entry *p)
{
    for (unsigned i = 0; i < N_DEPARTED; i++) {
        const departed *d = &r->departed[(r->next_departed + i) % N_DEPARTED];

        if (d->n_ended > 0
            && memcmp(&d->key, &p->pub.key, sizeof(d->key)) == 0) {
            memcpy(p->ended_us, d->ended_us, sizeof(p->ended_us));
            p->n_ended = d->n_ended;
        }
    }
}

pn_err pn_registry_peer_add(pn_registry *r, const pn_public_key *key,
    void *user, pn_reg_peer **ret_peer)
{
    pn_reg_entry *p = find(r, key);
    pn_err err;

    if (PN_CHECK(registry_own_key, key_is_own(r, key))) {
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
        note_ended(p, now_us);
    }
    departed_save(r, p);
    p->pub.primary = NULL;
    was_dialling = p->is_dialling;
    p->is_dialling = false;
    p->is_wanted = false;
    if (PN_CHECK(registry_unpair_dial, was_dialling)) {
        (void)r->callbacks->cancel_dial(r->user, &p->pub);
    }
    while (PN_CHECK(registry_unpair_links, p->n_links > 0)) {
        void *handle = p->links[--p->n_links].handle;

        r->callbacks->close_link(r->user, &p->pub, handle, PN_REASON_UNPAIRED);
    }
    free(p);
    return PN_OK;
}

pn_reg_peer *pn_registry_find(const pn_registry *r, const pn_public_key *key)
{
    pn_reg_entry *p = find(r, key);

    return p == NULL ? NULL : &p->pub;
}

pn_reg_peer *pn_registry_next(const pn_registry *r, size_t *cursor)
{
    pn_reg_entry *p = pn_map_next(&r->peers, cursor);

    return p == NULL ? NULL : &p->pub;
}

uint32_t pn_registry_count(const pn_registry *r)
{
    return (uint32_t)r->peers.n;
}

/* ---- what may be dialled ---- */

/* Whether an announce says more than the backoff knows: a new address, one
 * that was silent and not refusing, or one not heard for a while. Everything
 * else would let announces undo the backoff. */
static bool is_news(
    const pn_reg_entry *p, const pn_reg_slot *slot, uint64_t now_us)
{
    if (p->is_dialling && pn_address_equal(&p->dialled, &slot->address)) {
        return false;
    }
    return slot->failure == PN_REASON_UNREACHABLE
           || slot->failure == PN_REASON_CONNECT_TIMEOUT
           || (slot->is_tried && now_us - slot->heard_us > PN_REG_SILENCE_US);
}

/* To be dialled out of turn, after a random wait in case the peer, who heard
 * us in the same moment, dials first (wire section 5). The wait runs from the
 * first of a series: later ones do not put it off. */
static void make_fresh(
    pn_registry *r, pn_reg_entry *p, pn_reg_slot *slot, uint64_t now_us)
{
    if (pn_reg_slots_fresh(&p->slots) == NULL) {
        p->fresh_wait_us = now_us + draw(r, HINT_JITTER_US);
        p->fresh_wait_us += own_is_smaller(r, p) ? 0 : HINT_LARGER_US;
    }
    slot->is_fresh = true;
}

static void hint_heard(
    pn_registry *r, pn_reg_entry *p, const pn_address *address, uint64_t now_us)
{
    pn_reg_slot *slot = pn_reg_slots_find(&p->slots, address);

    p->is_wanted = true;
    if (slot == NULL) {
        slot = pn_reg_slots_add(&p->slots, address, PN_REG_DISCOVERED, now_us);
        make_fresh(r, p, slot, now_us);
    } else {
        if (!PN_CHECK(registry_hint_backoff, !is_news(p, slot, now_us))) {
            make_fresh(r, p, slot, now_us);
        }
        slot->heard_us = now_us;
    }
}

/* Manual and remembered: ours to believe. */
static pn_reg_slot *hint_told(pn_registry *r, pn_reg_entry *p,
    const pn_address *address, pn_reg_hint kind, uint64_t now_us)
{
    pn_reg_slot *slot = pn_reg_slots_find(&p->slots, address);

    p->is_wanted = p->is_wanted || r->config.auto_connect;
    if (slot != NULL) {
        pn_reg_slots_promote(&p->slots, slot, kind);
    } else {
        slot = pn_reg_slots_add(&p->slots, address, kind, now_us);
        if (kind == PN_REG_MANUAL || p->step_us == PN_TIME_NEVER) {
            step_now(p, now_us);
        }
    }
    return slot;
}

pn_err pn_registry_hint(pn_registry *r, const pn_public_key *key,
    const pn_address *address, pn_reg_hint kind, uint64_t now_us)
{
    pn_reg_entry *p = find(r, key);

    if (!pn_reg_address_is_dialable(address) || key_is_own(r, key)) {
        return PN_INVALID;
    }
    if (PN_CHECK(registry_unpaired_hint, p == NULL)) {
        return PN_NOT_FOUND;
    }
    if (kind == PN_REG_DISCOVERED) {
        hint_heard(r, p, address, now_us);
    } else {
        (void)hint_told(r, p, address, kind, now_us);
    }
    set_timer(r, p);
    return PN_OK;
}

void pn_registry_hint_lost(pn_registry *r, const pn_public_key *key,
    const pn_address *address, uint64_t now_us)
{
    pn_reg_entry *p = find(r, key);
    pn_reg_slot *slot;

    (void)now_us;
    if (p == NULL) {
        return;
    }
    slot = pn_reg_slots_find(&p->slots, address);
    if (slot == NULL || slot->kind != PN_REG_DISCOVERED || slot->is_good) {
        return;
    }
    pn_reg_slots_drop(&p->slots, slot);
    if (pn_reg_slots_preferred(&p->slots) == NULL) {
        p->step_us = PN_TIME_NEVER;
    }
    set_timer(r, p);
}

pn_err pn_registry_connect(pn_registry *r, const pn_public_key *key,
    const pn_address *address, uint64_t now_us)
{
    pn_reg_entry *p = find(r, key);

    if (r->is_stopped) {
        return PN_STATE;
    }
    if (p == NULL) {
        return PN_NOT_FOUND;
    }
    if (address != NULL) {
        if (!pn_reg_address_is_dialable(address)) {
            return PN_INVALID;
        }
        hint_told(r, p, address, PN_REG_MANUAL, now_us)->is_target = p->n_links
                                                                     == 0;
    }
    p->is_wanted = true;
    if (p->slots.n == 0) {
        return PN_NOT_CONNECTED;
    }
    p->backoff_us = r->config.reconnect_min_us;
    if (pn_reg_slots_preferred(&p->slots) != NULL) {
        step_now(p, now_us);
    }
    set_timer(r, p);
    return PN_OK;
}

void pn_registry_network_changed(pn_registry *r, uint64_t now_us)
{
    size_t cursor = 0;
    pn_reg_entry *p;

    while ((p = pn_map_next(&r->peers, &cursor)) != NULL) {
        p->backoff_us = r->config.reconnect_min_us;
        p->is_restart = p->is_dialling && p->n_links == 0;
        if (p->n_links == 0 && !p->is_dialling
            && pn_reg_slots_preferred(&p->slots) != NULL) {
            /* However often networks change, not faster than the backoff. */
            step_now(p, now_us);
            if (p->dial_seq > 0) {
                p->step_us = latest(
                    now_us, p->dialled_us + r->config.reconnect_min_us);
            }
        }
        set_timer(r, p);
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
        set_timer(r, p);
        if (was_dialling) {
            (void)r->callbacks->cancel_dial(r->user, &p->pub);
        }
        if (r->n_changes != n_changes) {
            cursor = 0;
        }
    }
}

/* ---- what happened ---- */

void pn_registry_dial_failed(
    pn_registry *r, pn_reg_peer *peer, pn_reason reason, uint64_t now_us)
{
    pn_reg_entry *p = entry_of(peer);

    if (p->is_dialling) {
        dial_ended(r, p, reason, now_us);
    }
}

static void dial_succeeded(pn_reg_entry *p)
{
    pn_reg_slot *slot = pn_reg_slots_find(&p->slots, &p->dialled);

    p->is_dialling = false;
    p->is_restart = false;
    if (slot != NULL) {
        slot->failure = PN_REASON_NONE;
        pn_reg_slots_set_good(&p->slots, slot);
    }
}

pn_reg_peer *pn_registry_link_up(pn_registry *r, const pn_public_key *key,
    void *link, bool dialled_by_us, const pn_address *address, uint64_t now_us)
{
    pn_reg_entry *p = find(r, key);
    uint64_t n_changes;

    if (PN_CHECK(registry_unpaired_link, p == NULL)) {
        return NULL;
    }
    assert(link != NULL && find_link(p, link) == NULL);
    if (dialled_by_us && p->is_dialling) {
        dial_succeeded(p);
    }
    for (unsigned i = 0; i < p->n_links; i++) {
        p->links[i].is_received = false;
    }
    p->links[p->n_links++] = (pn_reg_link){.handle = link,
        .address = *address,
        .up_us = now_us,
        .is_ours = dialled_by_us,
        /* Its last handshake message was a frame. */
        .is_received = !dialled_by_us};
    p->step_us = PN_TIME_NEVER;
    for (unsigned i = 0; i < p->slots.n; i++) {
        p->slots.at[i].is_target = false;
    }
    choose_primary(r, p);
    set_timer(r, p);
    n_changes = r->n_changes;
    if (PN_CHECK(registry_max_links, p->n_links > PN_REG_MAX_LINKS)) {
        close_link(r, p, 0, PN_REASON_SUPERSEDED, now_us);
    }
    for (unsigned i = 0; r->n_changes == n_changes && p->n_links == 2 && i < 2;
         i++) {
        if (!p->links[i].is_received) {
            r->callbacks->probe(r->user, &p->pub, p->links[i].handle);
        }
    }
    return pn_registry_find(r, key);
}

void pn_registry_link_received(
    pn_registry *r, pn_reg_peer *peer, void *link, uint64_t now_us)
{
    pn_reg_entry *p = entry_of(peer);
    pn_reg_link *l = find_link(p, link);

    (void)now_us;
    if (l != NULL && !l->is_received) {
        l->is_received = true;
        choose_primary(r, p);
        set_timer(r, p);
    }
}

void pn_registry_link_down(pn_registry *r, pn_reg_peer *peer, void *link,
    pn_reason reason, uint64_t now_us)
{
    pn_reg_entry *p = entry_of(peer);
    pn_reg_link *l = find_link(p, link);

    if (l == NULL) {
        return;
    }
    if (now_us - l->up_us >= r->config.reset_up_us) {
        p->backoff_us = r->config.reconnect_min_us;
    }
    p->last_reason = reason;
    take_link(p, (unsigned)(l - p->links));
    note_ended(p, now_us);
    choose_primary(r, p);
    if (p->n_links == 0) {
        step_after_link(r, p, now_us);
    }
    set_timer(r, p);
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
    return p->pub.primary == NULL ? NULL : find_link(p, p->pub.primary);
}

static const pn_reg_slot *best_slot(const pn_reg_slots *s)
{
    const pn_reg_slot *best = NULL;

    for (unsigned i = 0; i < s->n; i++) {
        if (best == NULL || pn_reg_slot_before(&s->at[i], best)) {
            best = &s->at[i];
        }
    }
    return best;
}

void pn_registry_info(
    const pn_registry *r, const pn_reg_peer *peer, pn_reg_info *ret_info)
{
    pn_reg_entry *p = entry_of(peer);
    const pn_reg_link *link = primary_link(p);
    const pn_reg_slot *slot = best_slot(&p->slots);
    pn_reg_info info = {.next_dial_us = PN_TIME_NEVER,
        .last_reason = p->last_reason,
        .n_links = p->n_links};

    if (link != NULL) {
        info.state = PN_REG_UP;
        info.has_address = true;
        info.address = link->address;
        info.dialled_by_us = link->is_ours;
        info.up_us = link->up_us;
    } else if (p->is_dialling) {
        info.state = PN_REG_DIALLING;
        info.has_address = true;
        info.address = p->dialled;
    } else {
        info.next_dial_us = dial_due_us(r, p);
        info.state = info.next_dial_us == PN_TIME_NEVER ? PN_REG_IDLE
                                                        : PN_REG_WAITING;
        info.has_address = slot != NULL;
        if (slot != NULL) {
            info.address = slot->address;
        }
    }
    *ret_info = info;
}

size_t pn_registry_addresses(const pn_registry *r, const pn_reg_peer *peer,
    pn_address *ret_addresses, size_t cap)
{
    pn_reg_slots left = entry_of(peer)->slots;
    size_t n = 0;

    (void)r;

    while (left.n > 0) {
        const pn_reg_slot *best = best_slot(&left);

        if (n < cap) {
            ret_addresses[n] = best->address;
        }
        n++;
        pn_reg_slots_drop(&left, &left.at[best - left.at]);
    }
    return n;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a peer is dialled, where, and what follows from how it went: the
 * backoff in steps, dials out of turn for what was announced, and the count of
 * its ended connections. Follows RELIABILITY T15 and T19, PeerNet wire sections
 * 5 and 6.
 */
#include "base/mutant.h"
#include "node/reg_peer.h"

/* A supervisor of OTP counts whole seconds, so five of its seconds can last
 * nearly six. */
#define ETIQUETTE_WINDOW_US (6 * PN_US_PER_S)
#define DIALS_PER_STEP 2

static uint64_t earliest(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void pn_reg_note_ended(pn_reg_entry *p, uint64_t now_us)
{
    p->ended_us[1] = p->ended_us[0];
    p->ended_us[0] = now_us;
    p->n_ended += p->n_ended < 2;
}

uint64_t pn_reg_etiquette_us(const pn_reg_entry *p)
{
    return p->n_ended < 2 ? 0 : p->ended_us[1] + ETIQUETTE_WINDOW_US;
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

uint64_t pn_reg_dial_due_us(const pn_registry *r, pn_reg_entry *p)
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
    if (PN_CHECK(registry_dial_etiquette, pn_reg_etiquette_us(p) > due_us)) {
        due_us = pn_reg_etiquette_us(p);
    }
    return due_us;
}

/* ---- the backoff ---- */

void pn_reg_step_now(pn_reg_entry *p, uint64_t at_us)
{
    p->step_us = at_us;
    p->step_left = DIALS_PER_STEP;
}

/* The next step, a backoff away that a random 0-25 % shortens (T19), and
 * doubles for the one after it. The smaller key draws from the upper half and
 * the larger from the lower, so that two that lost their link in the same
 * moment seldom both dial. */
static void step_later(pn_registry *r, pn_reg_entry *p, uint64_t now_us)
{
    uint64_t wait_us = p->backoff_us;
    uint64_t less_us = pn_reg_draw(r, wait_us / 8 + 1);

    less_us += pn_reg_own_is_smaller(r, p) ? wait_us / 8 : 0;
    pn_reg_step_now(p, now_us + wait_us - less_us);
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
        pn_reg_step_now(p, now_us);
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
void pn_reg_step_after_link(pn_registry *r, pn_reg_entry *p, uint64_t now_us)
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
        pn_reg_note_ended(p, now_us);
    }
    if (p->n_links == 0) {
        step_on(r, p, now_us);
    }
    pn_reg_set_timer(r, p);
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
    pn_reg_set_timer(r, p);
    reason = r->callbacks->dial(r->user, &p->pub, &p->dialled);
    if (reason != PN_REASON_NONE) {
        p = pn_reg_find(r, &key); /* it may have been unpaired meanwhile */
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

    if (slot == NULL) { /* addresses went away meanwhile */
        step_later(r, p, now_us);
        if (pn_reg_slots_preferred(&p->slots) == NULL) {
            p->step_us = PN_TIME_NEVER;
        }
        pn_reg_set_timer(r, p);
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
void pn_reg_dial_due(pn_registry *r, pn_reg_entry *p, uint64_t now_us)
{
    bool is_step = p->step_us <= now_us;
    bool is_fresh = fresh_due_us(p) <= now_us;

    if (is_fresh && !(is_step && p->was_fresh)) {
        dial_fresh(r, p, now_us);
    } else {
        dial_step(r, p, now_us);
    }
}

void pn_reg_restart_dial(pn_registry *r, pn_reg_entry *p, uint64_t now_us)
{
    pn_public_key key = p->pub.key;

    p->is_dialling = false;
    p->is_restart = false;
    p->last_reason = PN_REASON_NETWORK_CHANGED;
    pn_reg_step_now(p, now_us);
    pn_reg_set_timer(r, p);
    if (r->callbacks->cancel_dial(r->user, &p->pub)
        && (p = pn_reg_find(r, &key)) != NULL) {
        pn_reg_note_ended(p, now_us);
        pn_reg_set_timer(r, p);
    }
}

void pn_reg_dial_succeeded(pn_reg_entry *p)
{
    pn_reg_slot *slot = pn_reg_slots_find(&p->slots, &p->dialled);

    p->is_dialling = false;
    p->is_restart = false;
    if (slot != NULL) {
        slot->failure = PN_REASON_NONE;
        pn_reg_slots_set_good(&p->slots, slot);
    }
}

void pn_registry_dial_failed(
    pn_registry *r, pn_reg_peer *peer, pn_reason reason, uint64_t now_us)
{
    pn_reg_entry *p = pn_reg_entry_of(peer);

    if (p->is_dialling) {
        dial_ended(r, p, reason, now_us);
    }
}

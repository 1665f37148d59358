/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When and where a peer is dialled, and what follows from the outcome: the
 * backoff in steps, dials out of turn for announced addresses, and the count of
 * its ended connections. While candidates wait, addresses that were only
 * announced take no part in the steps, so each candidate is dialled within an
 * interval. Follows docs/THREATS.md, T15 and T19; docs/PROTOCOL.md, sections 6
 * and 7.
 */
#include "base/assert.h"
#include "base/mutant.h"
#include "node/reg_peer.h"

/* A supervisor of OTP counts whole seconds, so five of its seconds can last
 * nearly six. */
#define ETIQUETTE_WINDOW_US (6 * PN_US_PER_S)
#define DIALS_PER_STEP 2
/* From one dial out of turn to the next, of one peer (T15). */
#define NEW_ADDRESS_INTERVAL_US (5 * PN_US_PER_S)
/* A known address that has not answered a SYN for so long may be one that the
 * peer has left. */
#define UNANSWERED_US (500 * PN_US_PER_MS)

static void ended_add(pn_reg_ended *ended, uint64_t now_us)
{
    ended->us[1] = ended->us[0];
    ended->us[0] = now_us;
    ended->n += ended->n < 2;
}

void pn_reg_note_ended(pn_reg_entry *p, uint64_t now_us)
{
    if (p->pub.ends_freely) {
        return;
    }
    ended_add(&p->ended, now_us);
    ended_add(&p->known_ended, now_us);
}

/* The end of a dial out of turn to an address that was merely heard is most
 * likely that of another host. Such a dial comes once in an interval, so those
 * alone cannot harm the peer, and its next candidate does not wait for them. */
static void note_candidate_ended(pn_reg_entry *p, uint64_t now_us)
{
    if (p->is_hearsay && p->was_fresh && !p->pub.ends_freely) {
        ended_add(&p->ended, now_us);
    } else {
        pn_reg_note_ended(p, now_us);
    }
}

static uint64_t etiquette_us(const pn_reg_ended *ended)
{
    return ended->n < 2 ? 0 : ended->us[1] + ETIQUETTE_WINDOW_US;
}

uint64_t pn_reg_etiquette_us(const pn_reg_entry *p)
{
    return etiquette_us(&p->ended);
}

/* due_us, or when one more may end. */
static uint64_t with_etiquette(uint64_t due_us, const pn_reg_ended *ended)
{
    uint64_t allowed_us = etiquette_us(ended);

    return PN_REFUSE_IF(registry_dial_etiquette, allowed_us > due_us)
               ? allowed_us
               : due_us;
}

bool pn_reg_has_fresh(pn_reg_entry *p)
{
    return p->candidates.n > 0 || pn_reg_slots_fresh(&p->slots) != NULL;
}

static uint64_t fresh_due_us(pn_reg_entry *p)
{
    uint64_t due_us;

    if (!pn_reg_has_fresh(p)) {
        return PN_TIME_NEVER;
    }
    due_us = p->fresh_wait_us;
    if (PN_REFUSE_IF(
            registry_new_address_interval, p->fresh_allowed_us > due_us)) {
        due_us = p->fresh_allowed_us;
    }
    return with_etiquette(
        due_us, p->candidates.n > 0 ? &p->known_ended : &p->ended);
}

static bool only_known(const pn_reg_entry *p)
{
    return PN_REFUSE_IF(registry_candidates_first, p->candidates.n > 0);
}

/* A step without an address to dial waits until the candidates are done. A step
 * to announced addresses alone ends one connection in a window, so that the
 * next candidate need not wait for it. */
static uint64_t step_due_us(pn_reg_entry *p)
{
    uint64_t quiet_us = p->ended.n == 0 ? 0
                                        : p->ended.us[0] + ETIQUETTE_WINDOW_US;

    if (pn_reg_slots_preferred(&p->slots, true) != NULL) {
        return with_etiquette(p->step_us, &p->ended);
    }
    if (only_known(p)) {
        return PN_TIME_NEVER;
    }
    return pn_later(p->step_us, quiet_us);
}

uint64_t pn_reg_dial_due_us(const pn_registry *r, pn_reg_entry *p)
{
    if (PN_REFUSE_IF(registry_stop, r->is_stopped) || !p->is_wanted) {
        return PN_TIME_NEVER;
    }
    if (PN_REFUSE_IF(registry_one_dial, p->is_dialling)) {
        return PN_TIME_NEVER;
    }
    if (PN_REFUSE_IF(registry_live_link, p->n_links > 0)) {
        return pn_later(pn_reg_silent_us(p), fresh_due_us(p));
    }
    return pn_sooner(step_due_us(p), fresh_due_us(p));
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
    p->backoff_us = pn_sooner(p->backoff_us * 2, r->config.reconnect_max_us);
}

/* After a dial that failed: the rest of the step, or the next. */
static void step_on(pn_registry *r, pn_reg_entry *p, uint64_t now_us)
{
    if (p->slots.n == 0) {
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

/* After the last link has ended: candidates heard meanwhile wait for the first
 * step, so that a forged address does not delay a good one. */
void pn_reg_step_after_link(pn_registry *r, pn_reg_entry *p, uint64_t now_us)
{
    step_later(r, p, now_us);
    p->fresh_wait_us = p->step_us;
    p->was_fresh = true;
    if (p->slots.n == 0) {
        p->step_us = PN_TIME_NEVER;
    }
}

/* A failure before the peer's node had a connection is not the end of one
 * there. */
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

/* A failed dial. After a key mismatch the address is another peer's; a forged
 * announce leads to such an address. */
static void note_failure(pn_reg_entry *p, const pn_address *address,
    pn_reason reason, uint64_t now_us)
{
    pn_reg_slot *slot = pn_reg_slots_find(&p->slots, address);

    if (slot == NULL) {
        return;
    }
    slot->failure = reason;
    if (reason != PN_REASON_CONNECTION_REFUSED
        && reason != PN_REASON_PEER_LISTENS_ON_LOOPBACK) {
        slot->refused_us = 0;
    } else if (slot->refused_us == 0) {
        slot->refused_us = now_us;
    }
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
    p->has_given_way = p->has_given_way && p->is_hearsay;
    p->last_reason = reason;
    note_failure(p, &p->dialled, reason, now_us);
    if (ended_a_connection(reason)) {
        note_candidate_ended(p, now_us);
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

    assert(pn_reg_address_is_dialable(&slot->address));
    slot->is_fresh = false;
    slot->is_target = false;
    slot->tried = seq;
    p->dialled = slot->address;
    p->dialled_us = now_us;
    p->dial_seq = seq;
    p->is_dialling = true;
    p->is_beside = false;
    p->is_answered = false;
    p->is_restart = false;
    p->is_hearsay = pn_reg_slot_is_hearsay(slot);
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
                            ? pn_reg_slots_preferred(&p->slots, only_known(p))
                            : pn_reg_slots_other(
                                &p->slots, only_known(p), p->dial_seq);

    if (slot == NULL) { /* all were tried, went away, or candidates came */
        step_later(r, p, now_us);
        if (p->slots.n == 0) {
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
    uint64_t since_us = 0;
    pn_reg_slot *slot;

    p->was_fresh = true;
    p->fresh_allowed_us = now_us + NEW_ADDRESS_INTERVAL_US;
    if (p->n_links > 0) { /* where its link is silent */
        pn_reg_candidates_put_last(&p->candidates, &p->links[0].address);
        since_us = p->asked_us - pn_sooner(p->asked_us, PN_REG_SILENCE_US);
    }
    if (p->candidates.n > 0) {
        pn_reg_candidate taken = pn_reg_candidates_take(
            &p->candidates, since_us);

        slot = pn_reg_slots_add(
            &p->slots, &taken.address, PN_REG_DISCOVERED, now_us);
        slot->source = taken.source;
    } else {
        slot = pn_reg_slots_fresh(&p->slots);
    }
    dial(r, p, slot, now_us);
}

/* If a step and a candidate are both due, they alternate, so that a flood of
 * addresses gets every other dial. */
void pn_reg_dial_due(pn_registry *r, pn_reg_entry *p, uint64_t now_us)
{
    bool is_step = p->n_links == 0 && step_due_us(p) <= now_us;
    bool is_fresh = fresh_due_us(p) <= now_us;

    if (p->n_links > 0 && !pn_reg_is_overdue(r, p, now_us)) {
        return;
    }

    if (is_fresh && !(is_step && p->was_fresh)) {
        dial_fresh(r, p, now_us);
    } else {
        dial_step(r, p, now_us);
    }
}

/* A dial to a known address gives way to an address that was heard, because
 * the peer may have moved: only while its SYN is unanswered, so that no
 * connection ends at the peer, and the next such dial does not, so that forged
 * announces cannot keep a slow answer from arriving. */
static uint64_t unanswered_us(pn_reg_entry *p)
{
    if (p->is_answered || PN_REFUSE_IF(registry_gave_way, p->has_given_way)) {
        return PN_TIME_NEVER;
    }
    return pn_later(p->dialled_us + UNANSWERED_US, fresh_due_us(p));
}

/* An address that was merely heard has one interval to answer, however slowly
 * it does, because others wait. */
uint64_t pn_reg_give_way_us(const pn_registry *r, pn_reg_entry *p)
{
    uint64_t due_us = p->dialled_us + NEW_ADDRESS_INTERVAL_US;

    if (r->is_stopped || !p->is_dialling || (p->n_links > 0 && !p->is_asked)) {
        return PN_TIME_NEVER;
    }
    if (!p->is_hearsay) {
        return unanswered_us(p);
    }
    if (p->candidates.n == 0) {
        return PN_TIME_NEVER;
    }
    if (!PN_SAFEGUARD(registry_give_way)) {
        return PN_TIME_NEVER;
    }
    return pn_later(due_us, p->fresh_wait_us);
}

/* The callback may unpair p. */
static void cancel_dial(pn_registry *r, pn_reg_entry *p, uint64_t now_us,
    void (*note_ended)(pn_reg_entry *p, uint64_t now_us))
{
    pn_public_key key = p->pub.key;

    if (r->callbacks->cancel_dial(r->user, &p->pub)
        && (p = pn_reg_find(r, &key)) != NULL) {
        note_ended(p, now_us);
        pn_reg_set_timer(r, p);
    }
}

void pn_reg_give_way(pn_registry *r, pn_reg_entry *p, uint64_t now_us)
{
    bool is_known = !p->is_hearsay;

    dial_ended(r, p, PN_REASON_CONNECT_TIMEOUT, now_us);
    p->has_given_way = p->has_given_way || is_known;
    cancel_dial(r, p, now_us, note_candidate_ended);
}

void pn_reg_restart_dial(pn_registry *r, pn_reg_entry *p, uint64_t now_us)
{
    p->is_dialling = false;
    p->is_restart = false;
    p->last_reason = PN_REASON_NETWORK_CHANGED;
    pn_reg_step_now(p, now_us);
    pn_reg_set_timer(r, p);
    cancel_dial(r, p, now_us, pn_reg_note_ended);
}

/* How the address of a dial that succeeded was known: a dial out of turn
 * follows from what a source heard, also at an address known otherwise. */
static const char *rung_of(const pn_reg_entry *p, const pn_reg_slot *slot)
{
    bool is_heard = slot->kind == PN_REG_DISCOVERED
                    || (p->was_fresh && !p->is_beside);

    if (is_heard && slot->source != NULL) {
        return slot->source;
    }
    if (slot->kind == PN_REG_REMEMBERED) {
        return PN_REG_RUNG_REMEMBERED;
    }
    return slot->is_named ? PN_REG_RUNG_NAME : PN_REG_RUNG_ADDRESS;
}

void pn_reg_dial_succeeded(pn_reg_entry *p)
{
    pn_reg_slot *slot = pn_reg_slots_find(&p->slots, &p->dialled);

    p->is_dialling = false;
    p->is_restart = false;
    if (slot != NULL) {
        p->rung = rung_of(p, slot);
        slot->failure = PN_REASON_NONE;
        slot->refused_us = 0;
        pn_reg_slots_set_good(&p->slots, slot);
    }
}

void pn_registry_dial_connected(pn_registry *r, const pn_reg_peer *peer)
{
    pn_reg_entry *p = pn_reg_entry_of(peer);

    if (p->is_dialling) {
        p->is_answered = true;
        pn_reg_set_timer(r, p);
    }
}

bool pn_registry_dial_also(const pn_reg_peer *peer, pn_address *ret_address)
{
    pn_reg_entry *p = pn_reg_entry_of(peer);
    pn_reg_slot *found = NULL;

    for (unsigned i = 0; i < p->slots.n; i++) {
        pn_reg_slot *slot = &p->slots.at[i];

        if (slot->tried != p->dial_seq && !pn_reg_slot_is_hearsay(slot)
            && (found == NULL || pn_reg_slot_before(slot, found))) {
            found = slot;
        }
    }
    if (found == NULL || !p->is_dialling || p->is_hearsay) {
        return false;
    }
    found->tried = p->dial_seq;
    found->is_fresh = false;
    found->is_target = false;
    *ret_address = found->address;
    return true;
}

void pn_registry_dial_at(const pn_reg_peer *peer, const pn_address *address)
{
    pn_reg_entry *p = pn_reg_entry_of(peer);

    p->is_beside = true;
    p->dialled = *address;
}

void pn_registry_attempt_failed(const pn_reg_peer *peer,
    const pn_address *address, pn_reason reason, uint64_t now_us)
{
    note_failure(pn_reg_entry_of(peer), address, reason, now_us);
}

uint64_t pn_registry_may_end_us(const pn_reg_peer *peer)
{
    return pn_reg_etiquette_us(pn_reg_entry_of(peer));
}

void pn_registry_spare_ended(const pn_reg_peer *peer, uint64_t now_us)
{
    pn_reg_note_ended(pn_reg_entry_of(peer), now_us);
}

bool pn_registry_announces_and_refuses(
    const pn_reg_peer *peer, const pn_address *address)
{
    pn_reg_entry *p = pn_reg_entry_of(peer);
    const pn_reg_slot *slot = pn_reg_slots_find(&p->slots, address);

    return slot != NULL
           && !PN_REFUSE_IF(guess_loopback,
               slot->refused_us == 0 || slot->heard_us <= slot->refused_us);
}

bool pn_registry_is_news(pn_reg_peer *peer, const pn_address *address,
    pn_reason reason, bool *ret_is_hearsay)
{
    pn_reg_entry *p = pn_reg_entry_of(peer);
    pn_reg_slot *slot = pn_reg_slots_find(&p->slots, address);

    *ret_is_hearsay = slot == NULL
                      || (!slot->is_asked && pn_reg_slot_is_hearsay(slot));
    if (slot == NULL) {
        return true;
    }
    if (PN_REFUSE_IF(registry_told, slot->told == reason)) {
        return false;
    }
    slot->told = reason;
    slot->is_asked = false;
    return true;
}

void pn_registry_dial_failed(
    pn_registry *r, pn_reg_peer *peer, pn_reason reason, uint64_t now_us)
{
    pn_reg_entry *p = pn_reg_entry_of(peer);

    if (p->is_dialling) {
        dial_ended(r, p, reason, now_us);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The addresses of one peer that were dialled or configured, and which of them
 * is dialled next. Announces can be forged, so an address that was only
 * announced replaces another such address first and never one that worked, and
 * the number of its announces does not count (T15).
 */
#include <string.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "node/reg_peer.h"

bool pn_reg_address_is_dialable(const pn_address *address)
{
    return pn_address_is_host(address) && pn_address_port(address) != 0;
}

pn_reg_slot *pn_reg_slots_find(pn_reg_slots *s, const pn_address *address)
{
    for (unsigned i = 0; i < s->n; i++) {
        if (pn_address_equal(&s->at[i].address, address)) {
            return &s->at[i];
        }
    }
    return NULL;
}

void pn_reg_slots_drop(pn_reg_slots *s, pn_reg_slot *slot)
{
    s->n--;
    memmove(slot, slot + 1, (size_t)(&s->at[s->n] - slot) * sizeof(*slot));
}

pn_reg_slot *pn_reg_slots_to_front(pn_reg_slots *s, pn_reg_slot *slot)
{
    pn_reg_slot moved = *slot;

    memmove(&s->at[1], &s->at[0], (size_t)(slot - s->at) * sizeof(*slot));
    s->at[0] = moved;
    return &s->at[0];
}

/* Manual addresses and all others have places of their own. */
static bool is_full(const pn_reg_slots *s, bool is_manual)
{
    unsigned n = 0;

    for (unsigned i = 0; i < s->n; i++) {
        n += (s->at[i].kind == PN_REG_MANUAL) == is_manual;
    }
    return n >= (is_manual ? PN_REG_MAX_MANUAL : PN_REG_MAX_OTHERS);
}

/* A new manual address replaces an older manual one. The last address that
 * worked is never replaced. */
static bool may_push_out(const pn_reg_slot *slot, bool is_manual)
{
    return !PN_REFUSE_IF(
               registry_manual_kept, (slot->kind == PN_REG_MANUAL) != is_manual)
           && !PN_REFUSE_IF(registry_good_kept, slot->is_good);
}

/* Addresses that were only announced are replaced first, beginning with the
 * oldest dial; then the last in order. */
static bool is_less(const pn_reg_slot *a, const pn_reg_slot *b)
{
    if (pn_reg_slot_is_hearsay(a) != pn_reg_slot_is_hearsay(b)) {
        return pn_reg_slot_is_hearsay(a);
    }
    return pn_reg_slot_is_hearsay(a) ? a->tried < b->tried : a > b;
}

static pn_reg_slot *least(pn_reg_slots *s, bool is_manual)
{
    pn_reg_slot *found = NULL;

    for (unsigned i = 0; i < s->n; i++) {
        pn_reg_slot *slot = &s->at[i];

        if (may_push_out(slot, is_manual)
            && (found == NULL || is_less(slot, found))) {
            found = slot;
        }
    }
    return found;
}

pn_reg_slot *pn_reg_slots_add(pn_reg_slots *s, const pn_address *address,
    pn_reg_hint kind, uint64_t now_us)
{
    bool is_manual = kind == PN_REG_MANUAL;
    pn_reg_slot *slot;

    if (is_full(s, is_manual)) {
        pn_reg_slots_drop(s, least(s, is_manual));
    }
    assert(s->n < PN_REG_MAX_ADDRESSES);
    slot = &s->at[s->n++];
    *slot = (pn_reg_slot){
        .address = *address, .heard_us = now_us, .kind = kind};
    return slot;
}

void pn_reg_slots_promote(pn_reg_slots *s, pn_reg_slot *slot, pn_reg_hint kind)
{
    assert(kind > slot->kind);
    if (kind == PN_REG_MANUAL && is_full(s, true)) {
        pn_reg_slot *last = least(s, true);

        last->kind = PN_REG_REMEMBERED;
        last->is_named = false;
    }
    slot->kind = kind;
}

void pn_reg_slots_forget_told(pn_reg_slots *s, bool is_asked)
{
    for (unsigned i = 0; i < s->n; i++) {
        s->at[i].told = PN_REASON_NONE;
        s->at[i].is_asked = is_asked;
    }
}

void pn_reg_slots_set_good(pn_reg_slots *s, pn_reg_slot *slot)
{
    for (unsigned i = 0; i < s->n; i++) {
        s->at[i].is_good = &s->at[i] == slot;
    }
}

bool pn_reg_slot_before(const pn_reg_slot *a, const pn_reg_slot *b)
{
    if (a->is_target != b->is_target) {
        return a->is_target;
    }
    if (a->is_good != b->is_good) {
        return a->is_good;
    }
    if ((a->kind == PN_REG_MANUAL) != (b->kind == PN_REG_MANUAL)) {
        return a->kind == PN_REG_MANUAL;
    }
    if (pn_reg_slot_is_hearsay(a) != pn_reg_slot_is_hearsay(b)) {
        return pn_reg_slot_is_hearsay(b);
    }
    return pn_reg_slot_is_hearsay(a) ? a->tried < b->tried : a < b;
}

bool pn_reg_slot_is_hearsay(const pn_reg_slot *slot)
{
    return slot->kind == PN_REG_DISCOVERED && !slot->is_good;
}

static bool takes_part(const pn_reg_slot *slot, bool only_known)
{
    return !only_known || !pn_reg_slot_is_hearsay(slot);
}

static pn_reg_slot *first_of(pn_reg_slots *s, bool only_known, bool only_fresh)
{
    pn_reg_slot *found = NULL;

    for (unsigned i = 0; i < s->n; i++) {
        pn_reg_slot *slot = &s->at[i];

        if (takes_part(slot, only_known) && (slot->is_fresh || !only_fresh)
            && (found == NULL || pn_reg_slot_before(slot, found))) {
            found = slot;
        }
    }
    return found;
}

pn_reg_slot *pn_reg_slots_preferred(pn_reg_slots *s, bool only_known)
{
    return first_of(s, only_known, false);
}

pn_reg_slot *pn_reg_slots_fresh(pn_reg_slots *s)
{
    return first_of(s, false, true);
}

pn_reg_slot *pn_reg_slots_other(
    pn_reg_slots *s, bool only_known, uint64_t dial_seq)
{
    const pn_reg_slot *preferred = pn_reg_slots_preferred(s, only_known);
    pn_reg_slot *others[PN_REG_MAX_ADDRESSES];
    unsigned n = 0;

    for (unsigned i = 0; i < s->n; i++) {
        if (takes_part(&s->at[i], only_known) && &s->at[i] != preferred
            && s->at[i].tried != dial_seq) {
            others[n++] = &s->at[i];
        }
    }
    return n == 0 ? NULL : others[s->turn++ % n];
}

bool pn_reg_slots_has_target(const pn_reg_slots *s)
{
    for (unsigned i = 0; i < s->n; i++) {
        if (s->at[i].is_target) {
            return true;
        }
    }
    return false;
}

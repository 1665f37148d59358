/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few addresses of one peer and which of them is dialled next. Announces
 * can be forged, so what is merely heard pushes out only what was merely
 * heard, and never keeps an address that worked from its turn (T15).
 */
#include <string.h>

#include "base/mutant.h"
#include "node/reg_peer.h"

bool pn_reg_address_is_dialable(const pn_address *address)
{
    pn_address a = *address;

    pn_address_unmap(&a);
    if (a.any.sa_family == AF_INET) {
        return a.in.sin_port != 0
               && a.in.sin_addr.s_addr != htonl(INADDR_BROADCAST)
               && !pn_address_is_any(&a) && !pn_address_is_multicast(&a);
    }
    return a.any.sa_family == AF_INET6 && a.in6.sin6_port != 0
           && !pn_address_is_any(&a) && !pn_address_is_multicast(&a);
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

static unsigned count_manual(const pn_reg_slots *s)
{
    unsigned n = 0;

    for (unsigned i = 0; i < s->n; i++) {
        n += s->at[i].kind == PN_REG_MANUAL;
    }
    return n;
}

/* A new manual address may take the place of an older one: the owner chose
 * both. Everything else gives way only if it never worked. */
static bool may_push_out(const pn_reg_slot *slot, bool manual_for_manual)
{
    if (manual_for_manual) {
        return slot->kind == PN_REG_MANUAL && !slot->is_good;
    }
    if (PN_CHECK(registry_manual_kept, slot->kind == PN_REG_MANUAL)) {
        return false;
    }
    if (PN_CHECK(registry_good_kept, slot->is_good)) {
        return false;
    }
    return true;
}

static pn_reg_slot *least(pn_reg_slots *s, bool manual_for_manual)
{
    pn_reg_slot *found = NULL;

    for (unsigned i = 0; i < s->n; i++) {
        pn_reg_slot *slot = &s->at[i];

        if (may_push_out(slot, manual_for_manual)
            && (found == NULL || slot->heard_us < found->heard_us)) {
            found = slot;
        }
    }
    return found;
}

pn_reg_slot *pn_reg_slots_add(pn_reg_slots *s, const pn_address *address,
    pn_reg_hint kind, uint64_t now_us)
{
    bool manual_for_manual = kind == PN_REG_MANUAL
                             && count_manual(s) >= PN_REG_MAX_MANUAL;
    pn_reg_slot *slot;

    if (manual_for_manual || s->n == PN_REG_MAX_ADDRESSES) {
        pn_reg_slots_drop(s, least(s, manual_for_manual));
    }
    slot = &s->at[s->n++];
    *slot = (pn_reg_slot){
        .address = *address, .heard_us = now_us, .kind = kind};
    return slot;
}

void pn_reg_slots_promote(pn_reg_slots *s, pn_reg_slot *slot, pn_reg_hint kind)
{
    if (kind <= slot->kind) {
        return;
    }
    if (kind == PN_REG_MANUAL && count_manual(s) >= PN_REG_MAX_MANUAL) {
        least(s, true)->kind = PN_REG_REMEMBERED;
    }
    slot->kind = kind;
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
    return a->heard_us > b->heard_us;
}

/* What was only heard waits for its dial out of turn first. */
static bool takes_part(const pn_reg_slot *slot)
{
    return slot->is_tried || slot->kind != PN_REG_DISCOVERED;
}

pn_reg_slot *pn_reg_slots_preferred(pn_reg_slots *s)
{
    pn_reg_slot *found = NULL;

    for (unsigned i = 0; i < s->n; i++) {
        if (takes_part(&s->at[i])
            && (found == NULL || pn_reg_slot_before(&s->at[i], found))) {
            found = &s->at[i];
        }
    }
    return found;
}

pn_reg_slot *pn_reg_slots_other(pn_reg_slots *s)
{
    const pn_reg_slot *preferred = pn_reg_slots_preferred(s);
    pn_reg_slot *others[PN_REG_MAX_ADDRESSES];
    unsigned n = 0;

    for (unsigned i = 0; i < s->n; i++) {
        if (takes_part(&s->at[i]) && &s->at[i] != preferred) {
            others[n++] = &s->at[i];
        }
    }
    return n == 0 ? NULL : others[s->turn++ % n];
}

pn_reg_slot *pn_reg_slots_fresh(pn_reg_slots *s)
{
    pn_reg_slot *found = NULL;

    for (unsigned i = 0; i < s->n; i++) {
        if (s->at[i].is_fresh
            && (found == NULL || pn_reg_slot_before(&s->at[i], found))) {
            found = &s->at[i];
        }
    }
    return found;
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls in flight; see calls.h. Deadlines need no order: the earliest is kept
 * as a lower bound, which a removal leaves alone, and the table is walked only
 * when that bound has passed. That is at most once per call and time-out.
 */
#include <stdlib.h>

#include "base/env.h"
#include "base/mutant.h"
#include "session/calls.h"

/* An id is generation << 16 | index, and generations begin at 1. */
#define GENERATION (UINT64_C(1) << 16)

enum { CALLS_FIRST = 8 };

typedef struct pn_call_slot {
    uint64_t id; /* in use: its id; free: the id it gets next */
    uint64_t deadline_us;
    void *call;
    uint32_t next_free; /* index + 1 */
    bool is_used;
} pn_call_slot;

void pn_calls_init(pn_calls *calls, uint32_t max)
{
    *calls = (pn_calls){.max = max < PN_CALLS_MAX ? max : PN_CALLS_MAX,
        .earliest_us = PN_TIME_NEVER};
}

void pn_calls_fini(pn_calls *calls)
{
    free(calls->slots);
    pn_calls_init(calls, calls->max);
}

void pn_calls_trim(pn_calls *calls)
{
    uint64_t last = 0;

    if (calls->n_used > 0 || calls->n_slots <= CALLS_FIRST) {
        return;
    }
    for (uint32_t i = 0; i < calls->n_slots; i++) {
        last = calls->slots[i].id > last ? calls->slots[i].id : last;
    }
    pn_calls_fini(calls);
    /* Free slots hold the id they would have given next. */
    calls->generation = last / GENERATION;
}

static pn_err calls_grow(pn_calls *calls)
{
    uint32_t n = calls->n_slots == 0 ? CALLS_FIRST : calls->n_slots * 2;
    pn_call_slot *slots;

    if (n > calls->max) {
        n = calls->max;
    }
    slots = realloc(calls->slots, n * sizeof(*slots));
    if (slots == NULL) {
        return PN_NOMEM;
    }
    calls->slots = slots;
    for (uint32_t i = n; i > calls->n_slots; i--) {
        slots[i - 1] = (pn_call_slot){
            .id = (calls->generation + 1) * GENERATION + i - 1,
            .next_free = calls->free_head};
        calls->free_head = i;
    }
    calls->n_slots = n;
    return PN_OK;
}

pn_err pn_calls_add(
    pn_calls *calls, uint64_t deadline_us, void *call, uint64_t *ret_id)
{
    pn_call_slot *slot;

    if (calls->free_head == 0) {
        pn_err err;

        if (PN_CHECK(session_calls_max, calls->n_slots >= calls->max)) {
            return PN_BUSY;
        }
        err = calls_grow(calls);
        if (err != PN_OK) {
            return err;
        }
    }
    slot = &calls->slots[calls->free_head - 1];
    calls->free_head = slot->next_free;
    slot->is_used = true;
    slot->deadline_us = deadline_us;
    slot->call = call;
    calls->n_used++;
    if (deadline_us < calls->earliest_us) {
        calls->earliest_us = deadline_us;
    }
    *ret_id = slot->id;
    return PN_OK;
}

static void calls_free_slot(pn_calls *calls, pn_call_slot *slot)
{
    slot->is_used = false;
    slot->id += GENERATION;
    if (slot->id < GENERATION) {
        slot->id += GENERATION; /* wrapped: an id is never 0 */
    }
    slot->next_free = calls->free_head;
    calls->free_head = (uint32_t)(slot - calls->slots) + 1;
    calls->n_used--;
    if (calls->n_used == 0) {
        calls->earliest_us = PN_TIME_NEVER;
    }
}

bool pn_calls_take(pn_calls *calls, uint64_t id, void **ret_call)
{
    uint32_t index = (uint32_t)(id % GENERATION);
    pn_call_slot *slot;

    if (index >= calls->n_slots) {
        return false;
    }
    slot = &calls->slots[index];
    if (PN_CHECK(session_late_reply, !slot->is_used || slot->id != id)) {
        return false;
    }
    *ret_call = slot->call;
    calls_free_slot(calls, slot);
    return true;
}

bool pn_calls_take_due(
    pn_calls *calls, uint64_t now_us, uint32_t *cursor, void **ret_call)
{
    if (*cursor == 0) {
        calls->earliest_us = PN_TIME_NEVER;
    }
    while (*cursor < calls->n_slots) {
        pn_call_slot *slot = &calls->slots[(*cursor)++];

        if (!slot->is_used) {
            continue;
        }
        if (slot->deadline_us <= now_us) {
            *ret_call = slot->call;
            calls_free_slot(calls, slot);
            return true;
        }
        if (slot->deadline_us < calls->earliest_us) {
            calls->earliest_us = slot->deadline_us;
        }
    }
    return false;
}

bool pn_calls_take_any(pn_calls *calls, uint32_t *cursor, void **ret_call)
{
    return pn_calls_take_due(calls, PN_TIME_NEVER, cursor, ret_call);
}

void pn_calls_forget(pn_calls *calls, const void *call)
{
    for (uint32_t i = 0; i < calls->n_slots; i++) {
        if (calls->slots[i].is_used && calls->slots[i].call == call) {
            calls_free_slot(calls, &calls->slots[i]);
            return;
        }
    }
}

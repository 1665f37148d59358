/* SPDX-License-Identifier: Apache-2.0 */
/* Ids of calls in flight; see call_ids.h. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "session/call_ids.h"

/* An id is generation << 16 | index, and generations begin at 1. */
#define GENERATION (UINT64_C(1) << 16)

enum { CALLS_FIRST = 8 };

typedef struct pn_call_slot {
    uint64_t id; /* in use: its id; free: the id it gets next */
    void *call;
    uint32_t next_free; /* index + 1 */
    bool is_used;
} pn_call_slot;

void pn_call_ids_init(pn_call_ids *calls, uint32_t max)
{
    *calls = (pn_call_ids){
        .max = max < PN_CALL_IDS_MAX ? max : PN_CALL_IDS_MAX};
}

void pn_call_ids_fini(pn_call_ids *calls)
{
    free(calls->slots);
    pn_call_ids_init(calls, calls->max);
}

void pn_call_ids_trim(pn_call_ids *calls)
{
    uint64_t last = 0;

    if (calls->n_used > 0 || calls->n_slots <= CALLS_FIRST) {
        return;
    }
    for (uint32_t i = 0; i < calls->n_slots; i++) {
        last = calls->slots[i].id > last ? calls->slots[i].id : last;
    }
    pn_call_ids_fini(calls);
    /* Free slots hold the id they would have given next. */
    calls->generation = last / GENERATION;
}

static pn_err calls_grow(pn_call_ids *calls)
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

pn_err pn_call_ids_add(pn_call_ids *calls, void *call, uint64_t *ret_id)
{
    pn_call_slot *slot;

    if (calls->free_head == 0) {
        pn_err err;

        if (PN_REFUSE_IF(session_calls_max, calls->n_slots >= calls->max)) {
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
    slot->call = call;
    calls->n_used++;
    *ret_id = slot->id;
    return PN_OK;
}

static void calls_free_slot(pn_call_ids *calls, pn_call_slot *slot)
{
    assert(slot->is_used && calls->n_used > 0);
    slot->is_used = false;
    slot->id += GENERATION;
    if (slot->id < GENERATION) {
        slot->id += GENERATION; /* wrapped: an id is never 0 */
    }
    slot->next_free = calls->free_head;
    calls->free_head = (uint32_t)(slot - calls->slots) + 1;
    calls->n_used--;
}

bool pn_call_ids_take(pn_call_ids *calls, uint64_t id, void **ret_call)
{
    uint32_t index = (uint32_t)(id % GENERATION);
    pn_call_slot *slot;

    if (index >= calls->n_slots) {
        return false;
    }
    slot = &calls->slots[index];
    if (PN_REFUSE_IF(session_late_reply, !slot->is_used || slot->id != id)) {
        return false;
    }
    *ret_call = slot->call;
    calls_free_slot(calls, slot);
    return true;
}

bool pn_call_ids_take_any(pn_call_ids *calls, uint32_t *cursor, void **ret_call)
{
    while (*cursor < calls->n_slots) {
        pn_call_slot *slot = &calls->slots[(*cursor)++];

        if (slot->is_used) {
            *ret_call = slot->call;
            calls_free_slot(calls, slot);
            return true;
        }
    }
    return false;
}

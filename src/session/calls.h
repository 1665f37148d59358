/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of ours that wait for a reply. An id is a slot's index and how often
 * the slot was used, so finding one is an array access, and an id comes again
 * only after 2^48 calls.
 */
#ifndef PN_SESSION_CALLS_H
#define PN_SESSION_CALLS_H

#include <peernet/error.h>

#define PN_CALLS_MAX 65536

/* Zero-filled with max set is a valid empty table. Grows on demand. */
typedef struct pn_calls {
    struct pn_call_slot *slots;
    uint32_t n_slots;   /* allocated */
    uint32_t n_used;    /* in flight */
    uint32_t free_head; /* index + 1 of the first free slot; 0: none */
    uint32_t max;
    uint64_t generation; /* that new slots begin with, less one */
    /* No call is due earlier; it may be that none is due then either. */
    uint64_t earliest_us;
} pn_calls;

/* max: at most PN_CALLS_MAX, which is what more is taken for. */
void pn_calls_init(pn_calls *calls, uint32_t max);
void pn_calls_fini(pn_calls *calls); /* what is in flight is forgotten */

/* Gives back the memory of a large table that is empty. Ids go on from where
 * they were. */
void pn_calls_trim(pn_calls *calls);

/* Errors: PN_BUSY max are in flight; PN_NOMEM. *ret_id is never 0. */
PN_MUST_USE pn_err pn_calls_add(
    pn_calls *calls, uint64_t deadline_us, void *call, uint64_t *ret_id);

/* Removes the call with this id. False: there is none (a late, unknown or
 * repeated reply). */
bool pn_calls_take(pn_calls *calls, uint64_t id, void **ret_call);

/*
 * Removes one call that is due at now_us, looking from slot *cursor (0 to
 * begin with) on; false: none is left, and earliest_us is right again. Calls
 * may be added and taken between two steps.
 */
PN_MUST_USE bool pn_calls_take_due(
    pn_calls *calls, uint64_t now_us, uint32_t *cursor, void **ret_call);

/* Removes any one call. False: there is none. */
PN_MUST_USE bool pn_calls_take_any(
    pn_calls *calls, uint32_t *cursor, void **ret_call);

/* Removes the call with this pointer, if there is one. */
void pn_calls_forget(pn_calls *calls, const void *call);

#endif

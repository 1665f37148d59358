/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of ours that wait for a reply. An id is a slot's index and how often
 * the slot was used, so finding one is an array access, and an id comes again
 * only after 2^48 calls.
 */
#ifndef PN_SESSION_CALL_IDS_H
#define PN_SESSION_CALL_IDS_H

#include <peernet/error.h>

#define PN_CALL_IDS_MAX 65536

/* Zero-filled with max set is a valid empty table. Grows on demand. */
typedef struct pn_call_ids {
    struct pn_call_slot *slots;
    uint32_t n_slots;   /* allocated */
    uint32_t n_used;    /* in flight */
    uint32_t free_head; /* index + 1 of the first free slot; 0: none */
    uint32_t max;
    uint64_t generation; /* that new slots begin with, less one */
} pn_call_ids;

/* A max over PN_CALL_IDS_MAX is taken as PN_CALL_IDS_MAX. */
void pn_call_ids_init(pn_call_ids *calls, uint32_t max);
void pn_call_ids_fini(pn_call_ids *calls); /* forgets the calls in flight */

/* Gives back the memory of a large table that is empty. Ids go on from where
 * they were. */
void pn_call_ids_trim(pn_call_ids *calls);

/* Errors: PN_BUSY max are in flight; PN_NOMEM. *ret_id is never 0. */
PN_MUST_USE pn_err pn_call_ids_add(
    pn_call_ids *calls, void *call, uint64_t *ret_id);

/* Removes the call with this id. False: there is none (a late, unknown or
 * repeated reply). */
bool pn_call_ids_take(pn_call_ids *calls, uint64_t id, void **ret_call);

/* Removes any one call, looking from slot *cursor (0 to begin with) on. False:
 * there is none. Calls may be added and taken between two steps. */
PN_MUST_USE bool pn_call_ids_take_any(
    pn_call_ids *calls, uint32_t *cursor, void **ret_call);

#endif

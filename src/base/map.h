/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded hash map from a public key to a pointer, for keys we trust: their
 * number is limited by the caller, and the hash is not keyed. Open addressing,
 * one allocation.
 */
#ifndef PN_BASE_MAP_H
#define PN_BASE_MAP_H

#include <peernet/key.h>

typedef struct pn_map_slot {
    pn_public_key key;
    void *value; /* NULL: the slot is empty */
} pn_map_slot;

/* Zero-filled but for max is a valid empty map. */
typedef struct pn_map {
    pn_map_slot *slots;
    size_t n_slots; /* 0 or a power of two, at least 4/3 of n */
    size_t n;
    size_t max; /* entries, at most 2^24 */
} pn_map;

/* Frees the table, not the values. */
void pn_map_fini(pn_map *m);
/* value is not NULL. Errors: PN_EXISTS; PN_FULL max entries; PN_NOMEM. The
 * map is unchanged then. */
PN_MUST_USE pn_err pn_map_put(pn_map *m, const pn_public_key *key, void *value);
/* NULL: not there. Not constant-time, so it must not decide about trust. */
void *pn_map_get(const pn_map *m, const pn_public_key *key);
/* Returns the value removed, or NULL. */
void *pn_map_remove(pn_map *m, const pn_public_key *key);
/* Returns the values in no order, then NULL. *cursor begins as 0, and the map
 * must not change meanwhile. */
void *pn_map_next(const pn_map *m, size_t *cursor);

#endif

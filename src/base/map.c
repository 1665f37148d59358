/* SPDX-License-Identifier: Apache-2.0 */
/* Linear probing. A removal closes its gap, so there are no tombstones, and
 * removals do not slow later searches. */
#include <stdlib.h>
#include <string.h>

#include "base/map.h"

#define MIN_SLOTS 16
#define MAX_ENTRIES ((size_t)1 << 24)

/* Folds all 32 bytes, so that keys which were made to share a prefix still
 * spread. */
static size_t hash_key(const pn_public_key *key)
{
    uint64_t h = UINT64_C(0x9e3779b97f4a7c15);

    for (size_t i = 0; i < PN_PUBLIC_KEY_LEN; i += 8) {
        uint64_t word;

        memcpy(&word, key->bytes + i, 8);
        h = (h ^ word) * UINT64_C(0xbf58476d1ce4e5b9);
        h ^= h >> 29;
    }
    return (size_t)h;
}

/* The slot of key, or the empty one where it would go. */
static size_t find_slot(
    const pn_map_slot *slots, size_t n_slots, const pn_public_key *key)
{
    size_t i = hash_key(key) & (n_slots - 1);

    while (slots[i].value != NULL
           && memcmp(&slots[i].key, key, sizeof(*key)) != 0) {
        i = (i + 1) & (n_slots - 1);
    }
    return i;
}

static pn_err grow(pn_map *m)
{
    size_t n_slots = m->n_slots == 0 ? MIN_SLOTS : m->n_slots * 2;
    pn_map_slot *slots = calloc(n_slots, sizeof(*slots));

    if (slots == NULL) {
        return PN_NOMEM;
    }
    for (size_t i = 0; i < m->n_slots; i++) {
        if (m->slots[i].value != NULL) {
            slots[find_slot(slots, n_slots, &m->slots[i].key)] = m->slots[i];
        }
    }
    free(m->slots);
    m->slots = slots;
    m->n_slots = n_slots;
    return PN_OK;
}

void pn_map_fini(pn_map *m)
{
    free(m->slots);
    m->slots = NULL;
    m->n_slots = 0;
    m->n = 0;
}

pn_err pn_map_put(pn_map *m, const pn_public_key *key, void *value)
{
    size_t i;

    if (pn_map_get(m, key) != NULL) {
        return PN_EXISTS;
    }
    if (m->n >= m->max || m->n >= MAX_ENTRIES) {
        return PN_FULL;
    }
    if (m->n + 1 > m->n_slots / 4 * 3 && grow(m) != PN_OK) {
        return PN_NOMEM;
    }
    i = find_slot(m->slots, m->n_slots, key);
    m->slots[i].key = *key;
    m->slots[i].value = value;
    m->n++;
    return PN_OK;
}

void *pn_map_get(const pn_map *m, const pn_public_key *key)
{
    if (m->n == 0) {
        return NULL;
    }
    return m->slots[find_slot(m->slots, m->n_slots, key)].value;
}

void *pn_map_remove(pn_map *m, const pn_public_key *key)
{
    size_t gap;
    size_t mask = m->n_slots - 1;
    void *value;

    if (m->n == 0) {
        return NULL;
    }
    gap = find_slot(m->slots, m->n_slots, key);
    value = m->slots[gap].value;
    if (value == NULL) {
        return NULL;
    }
    for (size_t i = (gap + 1) & mask; m->slots[i].value != NULL;
         i = (i + 1) & mask) {
        size_t home = hash_key(&m->slots[i].key) & mask;

        /* An entry may move back only if its home is not between gap and here.
         * */
        if (((i - home) & mask) >= ((i - gap) & mask)) {
            m->slots[gap] = m->slots[i];
            gap = i;
        }
    }
    m->slots[gap].value = NULL;
    m->n--;
    return value;
}

void *pn_map_next(const pn_map *m, size_t *cursor)
{
    while (*cursor < m->n_slots) {
        void *value = m->slots[(*cursor)++].value;

        if (value != NULL) {
            return value;
        }
    }
    return NULL;
}

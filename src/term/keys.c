/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Duplicate keys. Up to KEYS_PAIRWISE keys are compared each with each. More go
 * into a table of twice their number, so that the time for a map of any size is
 * in proportion to its pairs.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "term/check.h"

enum { KEYS_PAIRWISE = 8, KEYS_TABLE_INLINE = 2 * TERM_KEYS_INLINE };

void pn_key_stack_init(pn_key_stack *keys)
{
    keys->items = keys->first;
    keys->n = 0;
    keys->cap = TERM_KEYS_INLINE;
}

void pn_key_stack_fini(pn_key_stack *keys)
{
    if (keys->items != keys->first) {
        free(keys->items);
    }
}

static pn_err key_stack_grow(pn_key_stack *keys)
{
    size_t cap = 2 * keys->cap;
    bool is_inline = keys->items == keys->first;
    pn_hash *items = realloc(
        is_inline ? NULL : keys->items, cap * sizeof(*items));

    if (items == NULL) {
        return PN_NOMEM;
    }
    if (is_inline) {
        memcpy(items, keys->first, keys->n * sizeof(*items));
    }
    keys->items = items;
    keys->cap = cap;
    return PN_OK;
}

pn_err pn_key_stack_push(pn_key_stack *keys, pn_hash key)
{
    if (keys->n == keys->cap) {
        pn_err err = key_stack_grow(keys);

        if (err != PN_OK) {
            return err;
        }
    }
    keys->items[keys->n++] = key;
    return PN_OK;
}

static bool pairwise(const pn_hash *keys, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        for (size_t k = 0; k < i; k++) {
            if (pn_hash_equal(keys[i], keys[k])) {
                return true;
            }
        }
    }
    return false;
}

/* table: mask + 1 slots, zero-filled, more than n; holds index + 1. */
static bool by_table(
    const pn_hash *keys, size_t n, uint32_t *table, size_t mask)
{
    for (size_t i = 0; i < n; i++) {
        size_t slot = pn_hash_slot(keys[i]) & mask;

        while (table[slot] != 0) {
            if (pn_hash_equal(keys[i], keys[table[slot] - 1])) {
                return true;
            }
            slot = (slot + 1) & mask;
        }
        table[slot] = (uint32_t)(i + 1);
    }
    return false;
}

pn_err pn_key_stack_has_duplicate(
    const pn_key_stack *keys, size_t base, bool *ret_has)
{
    const pn_hash *items = keys->items + base;
    size_t n = keys->n - base;
    size_t slots = KEYS_TABLE_INLINE;
    uint32_t few[KEYS_TABLE_INLINE];
    uint32_t *many;

    assert(base <= keys->n && keys->n <= keys->cap);
    if (n <= KEYS_PAIRWISE) {
        *ret_has = pairwise(items, n);
        return PN_OK;
    }
    if (n <= TERM_KEYS_INLINE) {
        memset(few, 0, sizeof(few));
        *ret_has = by_table(items, n, few, slots - 1);
        return PN_OK;
    }
    while (slots < 2 * n) {
        slots *= 2;
    }
    many = calloc(slots, sizeof(*many));
    if (many == NULL) {
        return PN_NOMEM;
    }
    *ret_has = by_table(items, n, many, slots - 1);
    free(many);
    return PN_OK;
}

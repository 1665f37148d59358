/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays that grow by doubling. */
#ifndef PN_BASE_GROW_H
#define PN_BASE_GROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/*
 * Makes room for one item more than the n of size bytes that are there. items
 * is the address of the pointer to them. False: no memory, and nothing changed.
 */
static inline bool pn_grow(void *items, size_t *cap, size_t n, size_t size)
{
    size_t more = *cap == 0 ? 8 : 2 * *cap;
    void *grown;

    if (n < *cap) {
        return true;
    }
    memcpy(&grown, items, sizeof(grown));
    grown = realloc(grown, more * size);
    if (grown == NULL) {
        return false;
    }
    memcpy(items, &grown, sizeof(grown));
    *cap = more;
    return true;
}

#endif

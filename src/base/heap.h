/* SPDX-License-Identifier: Apache-2.0 */
/* Timers of one engine: a binary heap of nodes. Each node is embedded in the
 * object whose timer it is. */
#ifndef PN_BASE_HEAP_H
#define PN_BASE_HEAP_H

#include <peernet/error.h>

#include "base/env.h"

/* Zero-filled is a node that is not in a heap. */
typedef struct pn_heap_node {
    uint64_t at_us;
    size_t place; /* 1-based; 0: not in the heap */
} pn_heap_node;

/* Zero-filled is a valid empty heap. */
typedef struct pn_heap {
    pn_heap_node **nodes;
    size_t n;
    size_t cap;
} pn_heap;

/* The object that a node is embedded in. */
#define PN_HEAP_OWNER(type, member, node)                                      \
    ((type *)(void *)((uint8_t *)(node)-offsetof(type, member)))

void pn_heap_fini(pn_heap *h); /* frees the table, not the nodes */
/* Makes room for n nodes in all, so that pn_heap_set cannot fail.
 * Errors: PN_NOMEM. */
PN_MUST_USE pn_err pn_heap_reserve(pn_heap *h, size_t n);
/* Enters or moves a node; PN_TIME_NEVER takes it out. O(log n). */
void pn_heap_set(pn_heap *h, pn_heap_node *node, uint64_t at_us);

/* The earliest node; NULL when the heap is empty. O(1). */
static inline pn_heap_node *pn_heap_first(const pn_heap *h)
{
    return h->n == 0 ? NULL : h->nodes[0];
}

static inline uint64_t pn_heap_deadline(const pn_heap *h)
{
    return h->n == 0 ? PN_TIME_NEVER : h->nodes[0]->at_us;
}

#endif

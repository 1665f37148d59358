/* SPDX-License-Identifier: Apache-2.0 */
/* A binary heap whose nodes know their place, so that a timer moves without
 * being searched for. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/heap.h"

static void put(pn_heap *h, size_t i, pn_heap_node *node)
{
    h->nodes[i] = node;
    node->place = i + 1;
}

static size_t sift_up(pn_heap *h, size_t i, pn_heap_node *node)
{
    while (i > 0 && h->nodes[(i - 1) / 2]->at_us > node->at_us) {
        put(h, i, h->nodes[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    put(h, i, node);
    return i;
}

static void sift_down(pn_heap *h, size_t i, pn_heap_node *node)
{
    size_t child;

    while ((child = 2 * i + 1) < h->n) {
        if (child + 1 < h->n
            && h->nodes[child + 1]->at_us < h->nodes[child]->at_us) {
            child++;
        }
        if (h->nodes[child]->at_us >= node->at_us) {
            break;
        }
        put(h, i, h->nodes[child]);
        i = child;
    }
    put(h, i, node);
}

static void take_out(pn_heap *h, pn_heap_node *node)
{
    size_t i = node->place - 1;
    pn_heap_node *last = h->nodes[--h->n];

    node->place = 0;
    if (last != node) {
        sift_down(h, sift_up(h, i, last), last);
    }
}

void pn_heap_fini(pn_heap *h)
{
    free(h->nodes);
    *h = (pn_heap){0};
}

pn_err pn_heap_reserve(pn_heap *h, size_t n)
{
    size_t cap = h->cap == 0 ? 8 : h->cap;
    pn_heap_node **nodes;

    if (n <= h->cap) {
        return PN_OK;
    }
    if (n > SIZE_MAX / 4 / sizeof(*nodes)) {
        return PN_NOMEM;
    }
    while (cap < n) {
        cap *= 2;
    }
    nodes = realloc(h->nodes, cap * sizeof(*nodes));
    if (nodes == NULL) {
        return PN_NOMEM;
    }
    h->nodes = nodes;
    h->cap = cap;
    return PN_OK;
}

void pn_heap_set(pn_heap *h, pn_heap_node *node, uint64_t at_us)
{
    if (node->place == 0) {
        node->at_us = at_us;
        if (at_us != PN_TIME_NEVER) {
            assert(h->n < h->cap);
            h->n++;
            (void)sift_up(h, h->n - 1, node);
        }
        return;
    }
    if (at_us == PN_TIME_NEVER) {
        take_out(h, node);
        node->at_us = at_us;
    } else if (at_us < node->at_us) {
        node->at_us = at_us;
        (void)sift_up(h, node->place - 1, node);
    } else if (at_us > node->at_us) {
        node->at_us = at_us;
        sift_down(h, node->place - 1, node);
    }
}

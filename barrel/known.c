/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The known hosts of pinned nodes: hosts that the owner gave, or from which a
 * node proved its pinned key in this run. Strangers from these hosts have
 * reserved places and answers when a flood uses up those for all (T2, T3).
 * Bounded: a node is known at its latest few hosts, and the oldest of all makes
 * room.
 */
#include <stdlib.h>
#include <string.h>

#include "barrel_internal.h"
#include "base/mutant.h"
#include "base/slice.h"

enum { KNOWN_MAX = 1024, KNOWN_PER_NODE = 4 };

typedef struct known {
    char *name; /* NULL: the entry is free */
    pn_address host;
    uint64_t at_us;
    pn_bucket reserve; /* of the host; the first of its entries counts */
} known;

struct pn_barrel_known {
    known at[KNOWN_MAX];
    /* Of each host, as pn_address_source: a stranger costs one look through
     * these, which are close together. */
    uint64_t sources[KNOWN_MAX];
};

pn_barrel_known *pn_barrel_known_new(void)
{
    return calloc(1, sizeof(pn_barrel_known));
}

/* NULL: no node is known there. */
static known *find(pn_barrel_known *k, const pn_address *host)
{
    const uint64_t source = pn_address_source(host);

    for (size_t i = 0; i < KNOWN_MAX; i++) {
        if (k->sources[i] == source && k->at[i].name != NULL
            && pn_address_same_host(&k->at[i].host, host)) {
            return &k->at[i];
        }
    }
    return NULL;
}

static void forget(known *entry)
{
    free(entry->name);
    *entry = (known){.name = NULL};
}

void pn_barrel_known_free(pn_barrel_known *k)
{
    if (k == NULL) {
        return;
    }
    for (size_t i = 0; i < KNOWN_MAX; i++) {
        free(k->at[i].name);
    }
    free(k);
}

static known *older(known *a, known *b)
{
    if (a == NULL || (a->name != NULL && b->name == NULL)) {
        return b;
    }
    return a->name != NULL && b->at_us < a->at_us ? b : a;
}

/* The entry for a host: its own; the oldest of a node that has enough; a free
 * one; the oldest of all. */
static known *place_of(
    pn_barrel_known *k, const char *name, const pn_address *from)
{
    known *oldest = NULL;
    known *oldest_of_node = NULL;
    unsigned n = 0;

    for (size_t i = 0; i < KNOWN_MAX; i++) {
        known *entry = &k->at[i];

        if (entry->name != NULL && strcmp(entry->name, name) == 0) {
            if (pn_address_same_host(&entry->host, from)) {
                return entry;
            }
            oldest_of_node = older(oldest_of_node, entry);
            n++;
        }
        oldest = older(oldest, entry);
    }
    return n >= KNOWN_PER_NODE ? oldest_of_node : oldest;
}

void pn_barrel_known_add(pn_barrel_known *k, const char *name,
    const pn_address *from, uint64_t now_us)
{
    known *entry = place_of(k, name, from);
    char *copy;

    if (entry->name != NULL && strcmp(entry->name, name) == 0
        && pn_address_same_host(&entry->host, from)) {
        entry->at_us = now_us;
        return;
    }
    copy = strdup(name);
    if (copy == NULL) {
        return; /* it stays an ordinary host */
    }
    forget(entry);
    k->sources[entry - k->at] = pn_address_source(from);
    *entry = (known){.name = copy, .host = *from, .at_us = now_us};
}

void pn_barrel_known_unpin(
    pn_barrel_known *k, const pn_pins *pins, const char *name)
{
    if (!PN_REFUSE_IF(barrel_known_unpinned,
            pn_pins_find(pins, pn_slice_of(name)) == NULL)) {
        return;
    }
    for (size_t i = 0; i < KNOWN_MAX; i++) {
        known *entry = &k->at[i];

        if (entry->name != NULL && strcmp(entry->name, name) == 0) {
            forget(entry);
        }
    }
}

bool pn_barrel_known_has(pn_barrel_known *k, const pn_address *from)
{
    return find(k, from) != NULL;
}

bool pn_barrel_known_reserve(pn_barrel_known *k, const pn_address *to,
    uint64_t now_us, uint32_t per_second)
{
    known *entry = find(k, to);

    return entry != NULL
           && pn_bucket_take(&entry->reserve, now_us, per_second, per_second);
}

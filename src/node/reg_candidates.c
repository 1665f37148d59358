/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The addresses of one peer that were heard and not dialled yet, in the order
 * they came. Announces can be forged, so each source address has one candidate
 * at a time; further announces of the same source are ignored until it was
 * dialled. No candidate is replaced by a later one (T15). A new candidate of a
 * source is queued behind all others, so the sources take turns.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/grow.h"
#include "base/mutant.h"
#include "node/reg_peer.h"

/* NULL: none of this source waits. */
static pn_reg_candidate *candidate_of(
    pn_reg_candidates *c, const pn_address *address)
{
    for (unsigned i = 0; i < c->n; i++) {
        if (pn_address_same_host(&c->at[i].address, address)) {
            return &c->at[i];
        }
    }
    return NULL;
}

bool pn_reg_candidates_add(pn_reg_candidates *c, const pn_address *address,
    const char *source, unsigned max, uint64_t now_us)
{
    pn_reg_candidate *waits = candidate_of(c, address);

    if (PN_REFUSE_IF(registry_candidate_source, waits != NULL)) {
        waits->heard_us = now_us;
        return false;
    }
    if (PN_REFUSE_IF(registry_candidates_max, c->n >= max)
        || !pn_grow(&c->at, &c->cap, c->n, sizeof(*c->at))) {
        return false;
    }
    c->at[c->n++] = (pn_reg_candidate){
        .address = *address, .source = source, .heard_us = now_us};
    return true;
}

static void candidates_remove(pn_reg_candidates *c, unsigned i)
{
    assert(i < c->n);
    c->n--;
    memmove(&c->at[i], &c->at[i + 1], (c->n - i) * sizeof(c->at[0]));
}

bool pn_reg_candidates_drop(pn_reg_candidates *c, const pn_address *address)
{
    for (unsigned i = 0; i < c->n; i++) {
        if (pn_address_equal(&c->at[i].address, address)) {
            candidates_remove(c, i);
            return true;
        }
    }
    return false;
}

void pn_reg_candidates_put_last(pn_reg_candidates *c, const pn_address *address)
{
    const pn_reg_candidate *found = candidate_of(c, address);

    if (found != NULL) {
        pn_reg_candidate last = *found;

        candidates_remove(c, (unsigned)(found - c->at));
        c->at[c->n++] = last;
    }
}

pn_reg_candidate pn_reg_candidates_take(pn_reg_candidates *c, uint64_t since_us)
{
    pn_reg_candidate taken;
    unsigned i = 0;

    while (i < c->n && c->at[i].heard_us < since_us) {
        i++;
    }
    i = i < c->n ? i : 0;
    taken = c->at[i];
    candidates_remove(c, i);
    if (c->n == 0) {
        pn_reg_candidates_fini(c);
    }
    return taken;
}

void pn_reg_candidates_fini(pn_reg_candidates *c)
{
    free(c->at);
    *c = (pn_reg_candidates){0};
}

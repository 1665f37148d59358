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

static bool candidates_have_source(
    const pn_reg_candidates *c, const pn_address *address)
{
    for (unsigned i = 0; i < c->n; i++) {
        if (pn_address_same_host(&c->at[i].address, address)) {
            return true;
        }
    }
    return false;
}

bool pn_reg_candidates_add(pn_reg_candidates *c, const pn_address *address,
    const char *source, unsigned max)
{
    if (PN_REFUSE_IF(
            registry_candidate_source, candidates_have_source(c, address))) {
        return false;
    }
    if (PN_REFUSE_IF(registry_candidates_max, c->n >= max)
        || !pn_grow(&c->at, &c->cap, c->n, sizeof(*c->at))) {
        return false;
    }
    c->at[c->n++] = (pn_reg_candidate){.address = *address, .source = source};
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
    for (unsigned i = 0; i < c->n; i++) {
        if (pn_address_same_host(&c->at[i].address, address)) {
            pn_reg_candidate last = c->at[i];

            candidates_remove(c, i);
            c->at[c->n++] = last;
            return;
        }
    }
}

pn_reg_candidate pn_reg_candidates_take(pn_reg_candidates *c)
{
    pn_reg_candidate taken = c->at[0];

    candidates_remove(c, 0);
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

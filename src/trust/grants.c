/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one decision; see grants.h. Default deny: every way out of pn_decide but
 * the last refuses.
 */
#include <stdlib.h>

#include "base/mutant.h"
#include "trust/grants.h"

void pn_grants_fini(pn_grants *g)
{
    free(g->principals);
    *g = (pn_grants){0};
}

/* The key of nobody: a peer that proved none, such as a Barrel peer that only
 * knows the cookie, must not match a grant made by mistake. */
static bool is_nobody(const pn_principal *who)
{
    static const pn_public_key none;

    return pn_key_equal(&who->key, &none);
}

static bool is_known_family(pn_family family)
{
    return family == PN_FAMILY_PEERNET || family == PN_FAMILY_BARREL;
}

/* The family is part of who somebody is: no grant crosses over (T33). */
static bool is_same(const pn_principal *a, const pn_principal *b)
{
    return !PN_CHECK(grants_family, a->family != b->family)
           && pn_key_equal(&a->key, &b->key);
}

/* Index of who, or n_principals. */
static size_t index_of(const pn_grants *g, const pn_principal *who)
{
    size_t i = 0;

    while (i < g->n_principals && !is_same(&g->principals[i], who)) {
        i++;
    }
    return i;
}

pn_err pn_grants_add(pn_grants *g, const pn_principal *who)
{
    pn_principal *grown;

    if (!is_known_family(who->family)
        || PN_CHECK(grants_add_nobody, is_nobody(who))) {
        return PN_INVALID;
    }
    if (index_of(g, who) < g->n_principals) {
        return PN_OK;
    }
    grown = reallocarray(
        g->principals, g->n_principals + 1, sizeof(*g->principals));
    if (grown == NULL) {
        return PN_NOMEM;
    }
    grown[g->n_principals++] = *who;
    g->principals = grown;
    return PN_OK;
}

pn_err pn_grants_remove(pn_grants *g, const pn_principal *who)
{
    const size_t i = index_of(g, who);

    if (i == g->n_principals) {
        return PN_NOT_FOUND;
    }
    g->principals[i] = g->principals[--g->n_principals];
    return PN_OK;
}

pn_reason pn_decide(
    const pn_grants *grants, const pn_principal *caller, bool is_paired)
{
    bool is_granted;

    if (grants == NULL) {
        return PN_REASON_NO_SUCH_HANDLE;
    }
    if (PN_CHECK(decide_family, !is_known_family(caller->family))) {
        return PN_REASON_FORBIDDEN;
    }
    if (PN_CHECK(decide_nobody, is_nobody(caller))) {
        return PN_REASON_FORBIDDEN;
    }
    /* A grant outlives an unpairing; it must not outweigh it. */
    if (PN_CHECK(
            decide_paired, caller->family == PN_FAMILY_PEERNET && !is_paired)) {
        return PN_REASON_FORBIDDEN;
    }
    is_granted =
        (grants->any_paired_peernet
            && !PN_CHECK(decide_barrel, caller->family != PN_FAMILY_PEERNET))
        || index_of(grants, caller) < grants->n_principals;
    if (PN_CHECK(decide_granted, !is_granted)) {
        return PN_REASON_FORBIDDEN;
    }
    return PN_REASON_NONE;
}

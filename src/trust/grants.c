/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one decision; see grants.h. Default deny: every return of pn_decide but
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

static bool is_known_family(pn_family family)
{
    return family == PN_FAMILY_PEERNET || family == PN_FAMILY_BARREL;
}

/* Index of who, or n_principals. */
static size_t index_of(const pn_grants *g, const pn_principal *who)
{
    size_t i = 0;

    while (i < g->n_principals && !pn_principal_equal(&g->principals[i], who)) {
        i++;
    }
    return i;
}

/* A principal without a key is refused here and in pn_decide: a peer that has
 * proven no key, such as a Barrel peer that only knows the cookie, must not
 * match a grant made by mistake. */
pn_err pn_grants_add(pn_grants *g, const pn_principal *who)
{
    pn_principal *grown;

    if (!is_known_family(who->family)
        || PN_REFUSE_IF(grants_add_nobody, !pn_principal_has_key(who))) {
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
    if (PN_REFUSE_IF(decide_family, !is_known_family(caller->family))) {
        return PN_REASON_FORBIDDEN;
    }
    if (PN_REFUSE_IF(decide_nobody, !pn_principal_has_key(caller))) {
        return PN_REASON_FORBIDDEN;
    }
    /* A grant may have been given before the key was paired; it must not
     * outweigh the trust list. */
    if (PN_REFUSE_IF(
            decide_paired, caller->family == PN_FAMILY_PEERNET && !is_paired)) {
        return PN_REASON_FORBIDDEN;
    }
    is_granted = (grants->any_paired_peernet
                     && !PN_REFUSE_IF(
                         decide_barrel, caller->family != PN_FAMILY_PEERNET))
                 || index_of(grants, caller) < grants->n_principals;
    if (PN_REFUSE_IF(decide_granted, !is_granted)) {
        return PN_REASON_FORBIDDEN;
    }
    return PN_REASON_NONE;
}

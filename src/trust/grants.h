/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one decision "may this caller do this?". A caller is a principal: the
 * family of links it came over and its key. A subject is a handle's name, or
 * a function of a module, "Mod.fun/arity".
 */
#ifndef PN_TRUST_GRANTS_H
#define PN_TRUST_GRANTS_H

#include <peernet/node.h>

/* Who may use one subject. Zero-filled: nobody. */
typedef struct pn_grants {
    bool any_paired_peernet; /* every paired peer of the PeerNet family */
    pn_principal *principals;
    size_t n_principals;
} pn_grants;

void pn_grants_fini(pn_grants *g);
PN_MUST_USE pn_err pn_grants_add(pn_grants *g, const pn_principal *who);
PN_MUST_USE pn_err pn_grants_remove(pn_grants *g, const pn_principal *who);

/* grants NULL: no such subject. is_paired: the trust list holds the caller
 * right now. Answers PN_REASON_NONE, NO_SUCH_HANDLE or FORBIDDEN. */
pn_reason pn_decide(
    const pn_grants *grants, const pn_principal *caller, bool is_paired);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one decision "may this caller do this?". A caller is a principal: the
 * family of links it came over and its key. A subject is a handle's name, or
 * a function of a module, "Mod.fun/arity". Grants come from the program
 * (pn_grant) and from the file of grants.
 */
#ifndef PN_TRUST_GRANTS_H
#define PN_TRUST_GRANTS_H

#include <peernet/node.h>

#include "trust/grants_file.h"

/* Who may use one subject, as the program said. Zero-filled: nobody. */
typedef struct pn_grants {
    bool any_paired_peernet; /* every paired peer of the PeerNet family */
    pn_principal *principals;
    size_t n_principals;
} pn_grants;

void pn_grants_fini(pn_grants *g);
PN_MUST_USE pn_err pn_grants_add(pn_grants *g, const pn_principal *who);
PN_MUST_USE pn_err pn_grants_remove(pn_grants *g, const pn_principal *who);
static inline void pn_grants_swap(pn_grants *a, pn_grants *b)
{
    const pn_grants kept = *a;

    *a = *b;
    *b = kept;
}

typedef enum pn_asked {
    PN_ASKED_HANDLE,
    /* A handle that only calls functions, which are asked for afterwards: who
     * may use one of them may get as far as there. */
    PN_ASKED_TABLE,
    PN_ASKED_FUNCTION
} pn_asked;

typedef struct pn_question {
    pn_asked asked;
    pn_slice name;
    const pn_grants *fixed;     /* of the program; NULL: no such subject */
    const pn_grants_file *file; /* NULL: none */
    const pn_principal *caller;
    bool is_paired; /* the trust list holds the caller right now */
    int64_t now_us; /* wall clock */
    /* Is told each step, in order, as it is taken; NULL: nobody. line: of the
     * file, for the last three. */
    void (*tell)(void *user, pn_can_what what, bool is_passed,
        const pn_grants_line *line);
    void *user;
} pn_question;

/* Answers PN_REASON_NONE, NO_SUCH_HANDLE or FORBIDDEN. *ret_log_only (may be
 * NULL): the line that would allow what is forbidden if it were not log-only,
 * else NULL. */
pn_reason pn_decide(const pn_question *q, const pn_grants_line **ret_log_only);

#endif

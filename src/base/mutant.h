/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mutants: a refusal that never refuses, or a safeguard that is not taken, to
 * prove that a test notices. In a build with -Dmutants=true the environment
 * variable PN_MUTANT names the one to leave out. In every other build
 * PN_REFUSE_IF is its condition and PN_SAFEGUARD is true.
 */
#ifndef PN_BASE_MUTANT_H
#define PN_BASE_MUTANT_H

#include <stdbool.h>

#ifdef PN_MUTANTS
#include <stdlib.h>
#include <string.h>

static inline bool pn_mutant_is(const char *name)
{
    const char *chosen = getenv("PN_MUTANT");

    return chosen != NULL && strcmp(chosen, name) == 0;
}

/* The condition, which is always evaluated; false in the mutant that leaves
 * this refusal out. */
#define PN_REFUSE_IF(name, condition) ((condition) && !pn_mutant_is(#name))
/* True; false in the mutant that leaves this step out. */
#define PN_SAFEGUARD(name) (!pn_mutant_is(#name))
#else
#define PN_REFUSE_IF(name, condition) (condition)
#define PN_SAFEGUARD(name) true
#endif

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mutants: one named security check never refuses, to prove that a test
 * notices. In a build with -Dmutants=true the environment variable PN_MUTANT
 * names the check; in every other build a check is its condition and nothing
 * else.
 */
#ifndef PN_BASE_MUTANT_H
#define PN_BASE_MUTANT_H

#ifdef PN_MUTANTS
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static inline bool pn_mutant_is(const char *name)
{
    const char *chosen = getenv("PN_MUTANT");

    return chosen != NULL && strcmp(chosen, name) == 0;
}

/* Evaluates the condition, so its side effects stay, and drops the answer
 * when this is the check that is left out. */
#define PN_CHECK(name, condition) ((condition) && !pn_mutant_is(#name))
#else
#define PN_CHECK(name, condition) (condition)
#endif

#endif

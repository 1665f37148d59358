/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mutants: a build in which one named security check never refuses, to prove
 * that a test notices. `meson setup -Dmutant=NAME` defines PN_MUTANT; in every
 * other build a check is its condition and nothing else.
 */
#ifndef PN_BASE_MUTANT_H
#define PN_BASE_MUTANT_H

#ifdef PN_MUTANT
#include <stdbool.h>
#include <string.h>

/* Evaluates the condition, so its side effects stay, and drops the answer
 * when this is the check that is left out. */
#define PN_CHECK(name, condition) ((condition) && strcmp(#name, PN_MUTANT) != 0)
#else
#define PN_CHECK(name, condition) (condition)
#endif

#endif

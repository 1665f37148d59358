/* SPDX-License-Identifier: Apache-2.0 */
/* Random terms for tests, from a seed. */
#ifndef PN_TESTS_TERM_RANDOM_H
#define PN_TESTS_TERM_RANDOM_H

#include <peernet/term.h>

/* Writes one random term. seed goes on. No opaque terms; now and then large
 * or deep ones. Keys of a map differ. */
void term_random_write(pn_term_writer *w, uint64_t *seed);

/* The same value in another spelling that a BEAM accepts too (other tags,
 * padded integers, lists for strings); out has room for cap bytes. Returns how
 * many were written, version byte first; 0 when cap was too small. */
size_t term_random_respell(
    pn_term term, uint64_t *seed, uint8_t *out, size_t cap);

#endif

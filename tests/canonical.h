/* SPDX-License-Identifier: Apache-2.0 */
/* A term written anew, to compare the output of two encoders. */
#ifndef PN_TESTS_CANONICAL_H
#define PN_TESTS_CANONICAL_H

#include <peernet/term.h>

/*
 * Writes term in the one form that term_to_binary/1 gives it: integers and
 * atoms as short as can be, STRING_EXT where it is due. The order of map pairs
 * stays; opaque terms are copied as they are. Integers of more than 512 bytes
 * set PN_INVALID.
 */
void write_canonical(pn_term_writer *w, pn_term term);

#endif

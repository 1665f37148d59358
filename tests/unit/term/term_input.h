/* SPDX-License-Identifier: Apache-2.0 */
/* Terms in hexadecimal, and what pn_term_parse makes of them. */
#ifndef PN_TESTS_TERM_INPUT_H
#define PN_TESTS_TERM_INPUT_H

#include "harness.h"
#include "term/term_hash.h"

/*
 * Bytes from a recipe: hexadecimal pairs, `XX*N` for N times the byte, `@` for
 * the node a@b as an atom.
 */
typedef struct input {
    uint8_t *bytes;
    size_t len;
} input;

void put(input *in, uint8_t byte, size_t n);

input build(const char *recipe);

void expect(
    input in, const pn_term_limits *limits, pn_err want, const char *text);

#endif

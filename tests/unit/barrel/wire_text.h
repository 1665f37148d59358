/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of distribution from a notation, byte by byte after
 * docs/BARREL-PROTOCOL.md, sections 15.3 and 16, and the document of the
 * External Term Format: so a test's input and expectations do not come from the
 * code under test.
 *
 *   {a,b} tuple     [a,b] [a|b] list     7 integer
 *   abc 'a b' atom  <abc> binary         "abc" list of bytes (STRING_EXT)
 *   A .. Z          a pid, a reference or a binary of the caller
 *
 * Terms of one frame stand one behind the other, a space between them.
 */
#ifndef PN_TESTS_WIRE_TEXT_H
#define PN_TESTS_WIRE_TEXT_H

#include "harness.h"

enum { WIRE_MAX = 4096, WIRE_VAR_MAX = 1100 };

typedef struct wire_var {
    uint8_t data[WIRE_VAR_MAX];
    size_t len; /* 0: not known yet */
} wire_var;

typedef struct wire_vars {
    wire_var of[26];
} wire_vars;

wire_var *wire_var_of(wire_vars *vars, char name);
void wire_set_pid(wire_vars *vars, char name, const char *node, uint32_t id,
    uint32_t creation);
void wire_set_ref(wire_vars *vars, char name, const char *node, uint32_t word,
    uint32_t creation);
/* A binary whose whole term has len bytes. */
void wire_set_binary(wire_vars *vars, char name, size_t len);

/* The frame, its length in front; how long it is. got (may be NULL): one that
 * came; what is not known yet is taken from the same place in it. */
size_t wire_frame(uint8_t out[static WIRE_MAX], const char *text,
    wire_vars *vars, const uint8_t *got, size_t got_len);

#endif

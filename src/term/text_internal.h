/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations of the files that read Elixir text: text_parse.c, text_value.c,
 * text_number.c and text_bits.c. */
#ifndef PN_TERM_TEXT_INTERNAL_H
#define PN_TERM_TEXT_INTERNAL_H

#include "base/buf.h"
#include "base/mutant.h"
#include "term/stack.h"
#include "term/writer_internal.h"

enum { TEXT_BIGNUM_MAX = 512 };

typedef struct pn_text {
    pn_term_writer *w;
    const char *start;
    const char *at;
    const char *end;
    pn_stack open; /* kind is a pn_term_type */
    int state;
    uint32_t base; /* frames of the writer that are not ours */
    uint32_t max_depth;
    uint32_t max_bignum;
    pn_buf scratch; /* text without its escapes, digits */
    pn_err err;
    char expected[96];
} pn_text;

/* Both keep the first error, whose place is at, and return false. */
bool pn_text_fail(pn_text *t, const char *expected);
bool pn_text_fail_as(pn_text *t, pn_err err, const char *expected);

void pn_text_skip_space(pn_text *t);
/* Takes sign if it is at at; else returns false. */
bool pn_text_accept(pn_text *t, const char *sign);

/* Reads and writes a value that is no tuple, list or map. */
bool pn_text_read_scalar(pn_text *t);

/* `name:` or `"any thing":` or `+:`, with the colon. False when the text does
 * not go on so (then nothing is taken), or after failing. */
bool pn_text_take_name(pn_text *t, pn_slice *ret_name);

void pn_text_write_atom(pn_text *t, pn_slice name);

/*
 * Reads a quoted text into scratch: at is on the opening quote, and behind the
 * closing one afterwards. \xHH is a byte in a binary and a character in a name
 * or a charlist.
 */
bool pn_text_read_quoted(pn_text *t, bool is_binary);

/* `<<1, 2::size(3)>>`: at is on the <<. */
bool pn_text_read_bits(pn_text *t);

/* Reads and writes a number: at is on a sign or a digit. */
bool pn_text_read_number(pn_text *t);

/* Takes a whole number in decimal; false, without failing, when there is none
 * or it is over max. */
bool pn_text_take_uint(pn_text *t, uint64_t max, uint64_t *ret);

#endif

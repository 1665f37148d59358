/* SPDX-License-Identifier: Apache-2.0 */
/* Reading Elixir text: what text_parse.c and text_value.c share. */
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

/* Both keep the first error and return false. at says where. */
bool pn_text_fail(pn_text *t, const char *expected);
bool pn_text_fail_as(pn_text *t, pn_err err, const char *expected);

/* A value has been written whole. */
bool pn_text_value_done(pn_text *t);

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

/* Numbers: at is on a sign or a digit. */
bool pn_text_read_number(pn_text *t);

/* The digits at at, without separators, into scratch as text; true when there
 * is one at least and each _ stands between two. */
bool pn_text_take_digits(pn_text *t, unsigned base);

/* A small whole number in decimal; false, with nothing said, when there is
 * none or it is over max. */
bool pn_text_take_uint(pn_text *t, uint64_t max, uint64_t *ret);

#endif

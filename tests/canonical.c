/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a term and writing it anew, in the one form a BEAM gives it. */
#include "canonical.h"
#include "term/stack.h"
#include "term/tags.h"
#include "term/writer_internal.h"

enum { CANONICAL_BIGNUM = 512 };

typedef struct canonical {
    pn_term_reader r;
    pn_term_writer *w;
    pn_stack open; /* kind is a pn_writer_kind */
} canonical;

static void copy_integer(canonical *c)
{
    uint8_t digits[CANONICAL_BIGNUM];
    bool is_negative;
    size_t n = pn_term_read_bignum(&c->r, &is_negative, digits, sizeof(digits));

    pn_term_write_bignum(c->w, is_negative, digits, n);
}

static void copy_atom(canonical *c)
{
    char name[TERM_ATOM_MAX_BYTES + 1];
    size_t len;
    pn_err err = pn_term_atom_name(
        pn_term_read_any(&c->r), name, sizeof(name), &len);

    if (err != PN_OK) {
        pn_term_writer_fail(c->w, PN_INVALID);
        return;
    }
    pn_term_write_atom_n(c->w, name, len);
}

static void copy_bits(canonical *c)
{
    unsigned bits;
    pn_slice s = pn_term_read_bitstring(&c->r, &bits);

    pn_term_write_bitstring(c->w, s.data, s.len, bits);
}

/* Opens a container on both sides. */
static void copy_open(canonical *c, pn_writer_kind kind, uint64_t n)
{
    pn_stack_item item = {.left = (uint32_t)n, .kind = (uint8_t)kind};
    pn_err err;

    if (kind == WRITER_TUPLE) {
        pn_term_write_tuple_begin(c->w);
    } else if (kind == WRITER_LIST) {
        pn_term_write_list_begin(c->w);
    } else {
        pn_term_write_map_begin(c->w);
    }
    err = n > UINT32_MAX ? PN_TOO_LARGE : pn_stack_push(&c->open, item);
    if (err != PN_OK) {
        pn_term_writer_fail(c->w, err);
    }
}

static void copy_list(canonical *c)
{
    uint32_t n = pn_term_read_list(&c->r);

    if (n == 0) {
        pn_term_write_list_begin(c->w);
        pn_term_write_list_end(c->w);
        return;
    }
    copy_open(c, WRITER_LIST, (uint64_t)n + 1);
}

static void copy_one(canonical *c)
{
    switch (pn_term_reader_peek(&c->r)) {
    case PN_TERM_INTEGER:
        copy_integer(c);
        break;
    case PN_TERM_FLOAT:
        pn_term_write_double(c->w, pn_term_read_double(&c->r));
        break;
    case PN_TERM_ATOM:
        copy_atom(c);
        break;
    case PN_TERM_BINARY:
    case PN_TERM_BITSTRING:
        copy_bits(c);
        break;
    case PN_TERM_TUPLE:
        copy_open(c, WRITER_TUPLE, pn_term_read_tuple(&c->r));
        break;
    case PN_TERM_LIST:
        copy_list(c);
        break;
    case PN_TERM_MAP:
        copy_open(c, WRITER_MAP, 2 * (uint64_t)pn_term_read_map(&c->r));
        break;
    case PN_TERM_OPAQUE:
        pn_term_write_opaque(c->w, pn_term_read_any(&c->r));
        break;
    case PN_TERM_NONE:
        pn_term_writer_fail(c->w, PN_INVALID);
        break;
    }
}

/* The writer finds out by itself whether a tail is NIL. */
static void copy_close(canonical *c, pn_writer_kind kind)
{
    if (kind == WRITER_TUPLE) {
        pn_term_write_tuple_end(c->w);
    } else if (kind == WRITER_LIST) {
        pn_term_write_list_end_improper(c->w);
    } else {
        pn_term_write_map_end(c->w);
    }
}

void write_canonical(pn_term_writer *w, pn_term term)
{
    canonical c = {.w = w};

    pn_term_reader_init(&c.r, term);
    do {
        pn_stack_item *top = pn_stack_top(&c.open);

        if (top != NULL && top->left == 0) {
            copy_close(&c, (pn_writer_kind)top->kind);
            pn_stack_pop(&c.open);
            continue;
        }
        if (top != NULL) {
            top->left--;
        }
        copy_one(&c);
    } while (c.open.n > 0 && w->err == PN_OK);
    if (pn_term_reader_finish(&c.r) != PN_OK) {
        pn_term_writer_fail(w, PN_INVALID);
    }
    pn_stack_fini(&c.open);
}

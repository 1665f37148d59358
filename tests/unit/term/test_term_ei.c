/* SPDX-License-Identifier: Apache-2.0 */
/*
 * erl_interface as a second opinion on encoding: random terms of ours, each
 * element handed to ei, must come out as the same bytes. (Only to encode: its
 * decoder takes no length and must never see what a peer sent.)
 */
#include <ei.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "term/walk.h"
#include "term_random.h"

enum { TERMS = 5000, PER_TEST = 500, EI_SMALL = 1 << 27 };

static void encode_integer(ei_x_buff *x, pn_term term)
{
    pn_term_reader r;
    int64_t value;
    bool is_old_big;

    pn_term_reader_init(&r, term);
    value = pn_term_read_int64(&r);
    is_old_big = (value < -EI_SMALL && value >= INT32_MIN)
                 || (value >= EI_SMALL && value <= INT32_MAX);
    if (pn_term_reader_finish(&r) == PN_OK && value != INT64_MIN
        && !is_old_big) {
        assert_int_equal(ei_x_encode_longlong(x, value), 0);
        return;
    }
    /* ei writes integers of 29 to 32 bits as a BEAM of long ago did, and has
     * none of more than 64: ours, as they are. */
    assert_int_equal(
        ei_x_append_buf(x, (const char *)term.data, (int)term.len), 0);
}

static void encode_atom(ei_x_buff *x, pn_term term)
{
    char name[1021];
    size_t len = 0;

    assert_int_equal(pn_term_atom_name(term, name, sizeof(name), &len), PN_OK);
    assert_int_equal(
        ei_x_encode_atom_len_as(x, name, (int)len, ERLANG_UTF8, ERLANG_UTF8),
        0);
}

static void encode_bits(ei_x_buff *x, pn_term term)
{
    pn_term_reader r;
    unsigned bits;
    pn_slice s;

    pn_term_reader_init(&r, term);
    s = pn_term_read_bitstring(&r, &bits);
    assert_int_equal(pn_term_reader_finish(&r), PN_OK);
    if (bits == 8) {
        assert_int_equal(
            ei_x_encode_binary(
                x, s.len == 0 ? "" : (const void *)s.data, (int)s.len),
            0);
        return;
    }
    assert_int_equal(ei_x_encode_bitstring(
                         x, (const char *)s.data, 0, 8 * (s.len - 1) + bits),
        0);
}

static void encode_value(ei_x_buff *x, pn_term term)
{
    pn_term_reader r;

    pn_term_reader_init(&r, term);
    switch (pn_term_type_of(term)) {
    case PN_TERM_INTEGER:
        encode_integer(x, term);
        break;
    case PN_TERM_FLOAT:
        assert_int_equal(ei_x_encode_double(x, pn_term_read_double(&r)), 0);
        break;
    case PN_TERM_ATOM:
        encode_atom(x, term);
        break;
    case PN_TERM_BINARY:
    case PN_TERM_BITSTRING:
        encode_bits(x, term);
        break;
    case PN_TERM_TUPLE:
        assert_int_equal(ei_x_encode_tuple_header(x, 0), 0);
        break;
    case PN_TERM_MAP:
        assert_int_equal(ei_x_encode_map_header(x, 0), 0);
        break;
    default:
        assert_int_equal(ei_x_encode_empty_list(x), 0);
        break;
    }
}

/* A STRING_EXT is ei's string. */
static void encode_string(ei_x_buff *x, pn_term term)
{
    int n = term.data[1] << 8 | term.data[2];

    assert_int_equal(
        ei_x_encode_string_len(x, (const char *)term.data + 3, n), 0);
}

static void encode_open(ei_x_buff *x, const pn_stack_item *top)
{
    if (top->kind == PN_TERM_TUPLE) {
        assert_int_equal(ei_x_encode_tuple_header(x, (int)top->total), 0);
    } else if (top->kind == PN_TERM_MAP) {
        assert_int_equal(ei_x_encode_map_header(x, (int)top->total / 2), 0);
    } else {
        assert_int_equal(ei_x_encode_list_header(x, (int)top->total - 1), 0);
    }
}

/* Walks the term and hands each element to ei. A STRING_EXT opens as a list;
 * its bytes are found where the walk's reader stands. */
static void encode(ei_x_buff *x, pn_term term)
{
    pn_walk w;
    pn_walk_event event;
    size_t n_skipped = 0;

    pn_walk_init(&w, term);
    while ((event = pn_walk_next(&w)) > WALK_ERROR) {
        if (event == WALK_OPEN && w.r.string_left != 0) {
            encode_string(x, (pn_term){w.r.at - 3, w.r.string_left + 2});
            n_skipped = w.r.string_left;
        } else if (event == WALK_OPEN) {
            encode_open(x, pn_stack_top(&w.open));
        } else if (event == WALK_VALUE && n_skipped > 0) {
            n_skipped--;
        } else if (event == WALK_VALUE) {
            encode_value(x, w.term);
        }
    }
    assert_int_equal(event, WALK_END);
    pn_walk_fini(&w);
}

static void test_ei(void **state)
{
    uint64_t first = (uint64_t)(uintptr_t)*state;

    for (uint64_t n = first; n < first + PER_TEST; n++) {
        uint64_t seed = n * 977 + 5;
        pn_term_writer w;
        pn_slice bytes;
        pn_term term;
        ei_x_buff x;

        pn_term_writer_init(&w, 0);
        term_random_write(&w, &seed);
        assert_int_equal(pn_term_writer_finish(&w, &bytes, &term), PN_OK);
        assert_int_equal(ei_x_new_with_version(&x), 0);
        encode(&x, term);
        pn_assert_bytes(
            (const uint8_t *)x.buff, (size_t)x.index, bytes.data, bytes.len);
        assert_int_equal(ei_x_free(&x), 0);
        pn_term_writer_free(&w);
    }
}

int main(void)
{
    if (ei_init() != 0) {
        return 99;
    }
    for (size_t n = 0; n < TERMS; n += PER_TEST) {
        pn_test_addf(test_ei, (void *)n, "term/ei/encodes alike from %zu", n);
    }
    return pn_test_run("term-ei");
}

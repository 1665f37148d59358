/* SPDX-License-Identifier: Apache-2.0 */
/* The reader: every read against every kind of term, edges, sticky errors. */
#include <stdlib.h>
#include <string.h>

#include <peernet/term.h>

#include "harness.h"

/* A term of just its size; the caller frees data. */
static pn_term term_of(const char *hex)
{
    size_t len;
    uint8_t *bytes = pn_unhex(hex, &len);

    return (pn_term){bytes, len};
}

static void drop(pn_term term)
{
    free((void *)(uintptr_t)term.data);
}

/* ---- every read against every kind ---- */

typedef enum read_kind {
    READ_INT64,
    READ_UINT64,
    READ_DOUBLE,
    READ_ATOM,
    READ_BINARY,
    READ_BITSTRING,
    READ_BIGNUM,
    READ_TUPLE,
    READ_LIST,
    READ_MAP,
    READ_NIL,
    READ_ANY,
    READ_SKIP,
    READ_KINDS
} read_kind;

static const char *const read_names[READ_KINDS] = {"int64", "uint64", "double",
    "atom", "binary", "bitstring", "bignum", "tuple", "list", "map", "nil",
    "any", "skip"};

#define FITS(k) (1U << READ_##k)
#define FITS_WHOLE (FITS(ANY) | FITS(SKIP))
#define FITS_INT                                                               \
    (FITS(INT64) | FITS(UINT64) | FITS(DOUBLE) | FITS(BIGNUM) | FITS_WHOLE)

static const struct {
    const char *name;
    const char *hex;
    unsigned fits;
    pn_term_type type;
} samples[] = {
    {"small_integer", "6107", FITS_INT, PN_TERM_INTEGER},
    {"integer", "6200000100", FITS_INT, PN_TERM_INTEGER},
    {"negative", "62ffffffff", FITS_INT & ~FITS(UINT64), PN_TERM_INTEGER},
    {"small_big", "6e0800ffffffffffffff7f", FITS_INT & ~FITS(DOUBLE),
        PN_TERM_INTEGER},
    {"uint64_max", "6e0800ffffffffffffffff",
        FITS_INT & ~(FITS(DOUBLE) | FITS(INT64)), PN_TERM_INTEGER},
    {"int64_min", "6e08010000000000000080",
        FITS_INT & ~(FITS(DOUBLE) | FITS(UINT64)), PN_TERM_INTEGER},
    {"below_int64_min", "6e08010100000000000080", FITS(BIGNUM) | FITS_WHOLE,
        PN_TERM_INTEGER},
    {"2^64", "6e0900000000000000000001", FITS(BIGNUM) | FITS_WHOLE,
        PN_TERM_INTEGER},
    {"2^53-1", "6e0700ffffffffffff1f", FITS_INT, PN_TERM_INTEGER},
    {"2^53", "6e070000000000000020", FITS_INT & ~FITS(DOUBLE), PN_TERM_INTEGER},
    {"large_big", "6f000000010005", FITS_INT, PN_TERM_INTEGER},
    {"big_zero", "6e0000", FITS_INT, PN_TERM_INTEGER},
    {"big_minus_zero", "6e010100", FITS_INT, PN_TERM_INTEGER},
    {"float", "463ff8000000000000", FITS(DOUBLE) | FITS_WHOLE, PN_TERM_FLOAT},
    {"atom_119", "77026f6b", FITS(ATOM) | FITS_WHOLE, PN_TERM_ATOM},
    {"atom_118", "7600026f6b", FITS(ATOM) | FITS_WHOLE, PN_TERM_ATOM},
    {"atom_115", "73026f6b", FITS(ATOM) | FITS_WHOLE, PN_TERM_ATOM},
    {"atom_100", "6400026f6b", FITS(ATOM) | FITS_WHOLE, PN_TERM_ATOM},
    {"atom_100_latin1", "640001e9", FITS_WHOLE, PN_TERM_ATOM},
    {"atom_115_latin1", "7301e9", FITS_WHOLE, PN_TERM_ATOM},
    {"binary", "6d0000000161", FITS(BINARY) | FITS(BITSTRING) | FITS_WHOLE,
        PN_TERM_BINARY},
    {"bitstring", "4d0000000103a0", FITS(BITSTRING) | FITS_WHOLE,
        PN_TERM_BITSTRING},
    {"empty_tuple", "6800", FITS(TUPLE) | FITS_WHOLE, PN_TERM_TUPLE},
    {"empty_large_tuple", "6900000000", FITS(TUPLE) | FITS_WHOLE,
        PN_TERM_TUPLE},
    {"nil", "6a", FITS(LIST) | FITS(NIL) | FITS_WHOLE, PN_TERM_LIST},
    {"empty_string", "6b0000", FITS(LIST) | FITS_WHOLE, PN_TERM_LIST},
    {"empty_map", "7400000000", FITS(MAP) | FITS_WHOLE, PN_TERM_MAP},
    {"string", "6b000161", FITS_WHOLE, PN_TERM_LIST},
    {"list", "6c000000016a6a", FITS_WHOLE, PN_TERM_LIST},
    {"pid", "587703614062000000010000000000000001", FITS_WHOLE, PN_TERM_OPAQUE},
    {"export", "7177026f6b77026f6b6101", FITS_WHOLE, PN_TERM_OPAQUE},
    {"nothing", "", 0, PN_TERM_NONE},
};

static void read_one(pn_term_reader *r, read_kind kind)
{
    uint8_t digits[16];
    unsigned bits;
    bool is_negative;

    switch (kind) {
    case READ_INT64:
        (void)pn_term_read_int64(r);
        break;
    case READ_UINT64:
        (void)pn_term_read_uint64(r);
        break;
    case READ_DOUBLE:
        (void)pn_term_read_double(r);
        break;
    case READ_ATOM:
        (void)pn_term_read_atom(r);
        break;
    case READ_BINARY:
        (void)pn_term_read_binary(r);
        break;
    case READ_BITSTRING:
        (void)pn_term_read_bitstring(r, &bits);
        break;
    case READ_BIGNUM:
        (void)pn_term_read_bignum(r, &is_negative, digits, sizeof(digits));
        break;
    case READ_TUPLE:
        (void)pn_term_read_tuple(r);
        break;
    case READ_LIST:
        (void)pn_term_read_list(r);
        break;
    case READ_MAP:
        (void)pn_term_read_map(r);
        break;
    case READ_NIL:
        pn_term_read_nil(r);
        break;
    case READ_ANY:
        (void)pn_term_read_any(r);
        break;
    default:
        pn_term_read_skip(r);
        break;
    }
}

static void test_fits(void **state)
{
    size_t which = (size_t)(uintptr_t)*state;
    size_t i = which / READ_KINDS;
    read_kind kind = (read_kind)(which % READ_KINDS);
    pn_term term = term_of(samples[i].hex);
    pn_term_reader r;
    bool fits = (samples[i].fits >> kind & 1) != 0;

    pn_term_reader_init(&r, term);
    assert_int_equal(pn_term_reader_peek(&r), samples[i].type);
    assert_int_equal(pn_term_type_of(term), samples[i].type);
    read_one(&r, kind);
    assert_int_equal(pn_term_reader_finish(&r), fits ? PN_OK : PN_MISMATCH);
    if (!fits) {
        assert_int_equal(pn_term_reader_peek(&r), PN_TERM_NONE);
    }
    drop(term);
}

/* ---- values ---- */

static const struct {
    const char *hex;
    int64_t value;
} integers[] = {
    {"6100", 0},
    {"61ff", 255},
    {"6200000000", 0},
    {"62ffffffff", -1},
    {"627fffffff", INT32_MAX},
    {"6280000000", INT32_MIN},
    {"6e0400ffffffff", UINT32_MAX},
    {"6e040101000080", (int64_t)INT32_MIN - 1},
    {"6e0800ffffffffffffff7f", INT64_MAX},
    {"6e0801ffffffffffffff7f", -INT64_MAX},
    {"6e08010000000000000080", INT64_MIN},
    {"6e0b000100000000000000000000", 1},
    {"6e01ff05", -5},
    {"6f000000020001ff", 0xff01},
    {"6e0001", 0},
};

static void test_int64(void **state)
{
    size_t i = (size_t)(uintptr_t)*state;
    pn_term term = term_of(integers[i].hex);
    pn_term_reader r;

    pn_term_reader_init(&r, term);
    assert_true(pn_term_read_int64(&r) == integers[i].value);
    assert_int_equal(pn_term_reader_finish(&r), PN_OK);
    drop(term);
}

static void test_uint64(void **state)
{
    pn_term term = term_of("6e0800ffffffffffffffff");
    pn_term_reader r;

    (void)state;
    pn_term_reader_init(&r, term);
    assert_true(pn_term_read_uint64(&r) == UINT64_MAX);
    assert_int_equal(pn_term_reader_finish(&r), PN_OK);
    drop(term);
}

static void test_double(void **state)
{
    static const struct {
        const char *hex;
        double value;
    } rows[] = {{"463ff8000000000000", 1.5}, {"468000000000000000", -0.0},
        {"6107", 7.0}, {"62ffffffff", -1.0},
        {"6e0701ffffffffffff1f", -9007199254740991.0}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pn_term term = term_of(rows[i].hex);
        pn_term_reader r;
        double value;

        pn_term_reader_init(&r, term);
        value = pn_term_read_double(&r);
        assert_memory_equal(&value, &rows[i].value, sizeof(value));
        assert_int_equal(pn_term_reader_finish(&r), PN_OK);
        drop(term);
    }
}

static void test_bignum(void **state)
{
    pn_term term = term_of("6e0c01010203040506070809000000");
    pn_term_reader r;
    uint8_t digits[9];
    bool is_negative = false;

    (void)state;
    pn_term_reader_init(&r, term);
    assert_int_equal(pn_term_read_bignum(&r, &is_negative, digits, 9), 9);
    assert_true(is_negative);
    assert_memory_equal(digits, "\1\2\3\4\5\6\7\10\11", 9);
    assert_int_equal(pn_term_reader_finish(&r), PN_OK);
    pn_term_reader_init(&r, term);
    assert_int_equal(pn_term_read_bignum(&r, &is_negative, digits, 8), 0);
    assert_int_equal(pn_term_reader_finish(&r), PN_LIMIT);
    drop(term);
}

static void test_slices(void **state)
{
    pn_term term = term_of("680477026f6b6d0000000268694d0000000103a06a");
    pn_term_reader r;
    pn_slice s;
    unsigned bits;

    (void)state;
    pn_term_reader_init(&r, term);
    assert_int_equal(pn_term_read_tuple(&r), 4);
    s = pn_term_read_atom(&r);
    assert_int_equal(s.len, 2);
    assert_ptr_equal(s.data, term.data + 4);
    s = pn_term_read_binary(&r);
    assert_int_equal(s.len, 2);
    assert_memory_equal(s.data, "hi", 2);
    s = pn_term_read_bitstring(&r, &bits);
    assert_int_equal(s.len, 1);
    assert_int_equal(bits, 3);
    assert_int_equal(s.data[0], 0xa0);
    assert_int_equal(pn_term_read_list(&r), 0);
    assert_int_equal(pn_term_reader_finish(&r), PN_OK);
    drop(term);
}

/* ---- lists ---- */

static void test_string_as_list(void **state)
{
    pn_term term = term_of("68026b00030102ff6107");
    pn_term_reader r;
    pn_term element;

    (void)state;
    pn_term_reader_init(&r, term);
    assert_int_equal(pn_term_read_tuple(&r), 2);
    assert_int_equal(pn_term_read_list(&r), 3);
    assert_int_equal(pn_term_reader_peek(&r), PN_TERM_INTEGER);
    assert_int_equal(pn_term_read_int64(&r), 1);
    element = pn_term_read_any(&r);
    assert_int_equal(element.len, 2);
    assert_memory_equal(element.data, "a\2", 2);
    pn_term_read_skip(&r);
    assert_int_equal(pn_term_reader_peek(&r), PN_TERM_LIST);
    pn_term_read_nil(&r);
    assert_int_equal(pn_term_read_int64(&r), 7);
    assert_int_equal(pn_term_reader_finish(&r), PN_OK);
    drop(term);
}

static void test_string_elements(void **state)
{
    uint8_t bytes[3 + 256] = {107, 1, 0};
    pn_term_reader r;

    (void)state;
    for (unsigned i = 0; i < 256; i++) {
        bytes[3 + i] = (uint8_t)i;
    }
    pn_term_reader_init(&r, (pn_term){bytes, sizeof(bytes)});
    assert_int_equal(pn_term_read_list(&r), 256);
    for (unsigned i = 0; i < 256; i++) {
        pn_term element = pn_term_read_any(&r);

        assert_int_equal(element.len, 2);
        assert_int_equal(element.data[0], 97);
        assert_int_equal(element.data[1], i);
    }
    assert_int_equal(pn_term_read_any(&r).data[0], 106);
    assert_int_equal(pn_term_reader_finish(&r), PN_OK);
}

/* All that does not fit an element, or the end, of a STRING_EXT. */
static void test_string_mismatch(void **state)
{
    static const unsigned fits[2] = {
        FITS_INT, FITS(LIST) | FITS(NIL) | FITS_WHOLE};
    pn_term term = term_of("6b000105");

    (void)state;
    for (unsigned at = 0; at < 2; at++) {
        for (unsigned kind = 0; kind < READ_KINDS; kind++) {
            pn_term_reader r;
            bool is_fit = (fits[at] >> kind & 1) != 0;

            pn_term_reader_init(&r, term);
            assert_int_equal(pn_term_read_list(&r), 1);
            if (at == 1) {
                pn_term_read_skip(&r);
            }
            read_one(&r, (read_kind)kind);
            assert_int_equal(r.err, is_fit ? PN_OK : PN_MISMATCH);
        }
    }
    drop(term);
}

static void test_string_unfinished(void **state)
{
    pn_term term = term_of("6b00020506");
    pn_term_reader r;

    (void)state;
    pn_term_reader_init(&r, term);
    (void)pn_term_read_list(&r);
    assert_int_equal(pn_term_reader_finish(&r), PN_MISMATCH);
    pn_term_reader_init(&r, term);
    (void)pn_term_read_list(&r);
    (void)pn_term_read_int64(&r);
    (void)pn_term_read_int64(&r);
    assert_int_equal(pn_term_reader_finish(&r), PN_MISMATCH);
    drop(term);
}

static void test_improper(void **state)
{
    pn_term term = term_of("6c0000000161016102");
    pn_term_reader r;

    (void)state;
    pn_term_reader_init(&r, term);
    assert_int_equal(pn_term_read_list(&r), 1);
    assert_int_equal(pn_term_read_int64(&r), 1);
    assert_int_equal(pn_term_read_int64(&r), 2);
    assert_int_equal(pn_term_reader_finish(&r), PN_OK);
    pn_term_reader_init(&r, term);
    assert_int_equal(pn_term_read_list(&r), 1);
    pn_term_read_skip(&r);
    pn_term_read_nil(&r);
    assert_int_equal(pn_term_reader_finish(&r), PN_MISMATCH);
    drop(term);
}

static void test_map(void **state)
{
    pn_term term = term_of("7400000002770161610177016268026a6a");
    pn_term_reader r;
    pn_term value;

    (void)state;
    pn_term_reader_init(&r, term);
    assert_int_equal(pn_term_read_map(&r), 2);
    assert_memory_equal(pn_term_read_atom(&r).data, "a", 1);
    assert_int_equal(pn_term_read_int64(&r), 1);
    pn_term_read_skip(&r);
    value = pn_term_read_any(&r);
    assert_int_equal(value.len, 4);
    assert_int_equal(pn_term_type_of(value), PN_TERM_TUPLE);
    assert_int_equal(pn_term_reader_finish(&r), PN_OK);
    drop(term);
}

/* ---- errors ---- */

static void test_error_sticks(void **state)
{
    pn_term term = term_of("680377026f6b61056a");
    pn_term_reader r;
    unsigned bits = 0;
    bool is_negative;
    uint8_t digits[8];

    (void)state;
    pn_term_reader_init(&r, term);
    assert_int_equal(pn_term_read_tuple(&r), 3);
    assert_int_equal(pn_term_read_int64(&r), 0);
    assert_int_equal(pn_term_read_atom(&r).len, 0);
    assert_int_equal(pn_term_read_int64(&r), 0);
    assert_int_equal(pn_term_read_uint64(&r), 0);
    assert_true(pn_term_read_double(&r) == 0.0);
    assert_null(pn_term_read_binary(&r).data);
    assert_null(pn_term_read_bitstring(&r, &bits).data);
    assert_int_equal(pn_term_read_bignum(&r, &is_negative, digits, 8), 0);
    assert_int_equal(pn_term_read_tuple(&r), 0);
    assert_int_equal(pn_term_read_list(&r), 0);
    assert_int_equal(pn_term_read_map(&r), 0);
    pn_term_read_nil(&r);
    assert_null(pn_term_read_any(&r).data);
    pn_term_read_skip(&r);
    assert_int_equal(pn_term_reader_finish(&r), PN_MISMATCH);
    assert_int_equal(pn_term_reader_finish(&r), PN_MISMATCH);
    drop(term);
}

/* A zero-length read after a failure fails too. */
static void test_error_sticks_on_empty(void **state)
{
    pn_term term = term_of("680261056d00000000");
    pn_term_reader r;

    (void)state;
    pn_term_reader_init(&r, term);
    (void)pn_term_read_tuple(&r);
    pn_term_read_nil(&r);
    assert_null(pn_term_read_binary(&r).data);
    assert_int_equal(r.err, PN_MISMATCH);
    drop(term);
}

static void test_left_over(void **state)
{
    pn_term term = term_of("680261016102");
    pn_term_reader r;

    (void)state;
    pn_term_reader_init(&r, term);
    assert_int_equal(pn_term_read_tuple(&r), 2);
    assert_int_equal(pn_term_read_int64(&r), 1);
    assert_int_equal(pn_term_reader_finish(&r), PN_MISMATCH);
    drop(term);
}

static void test_no_term(void **state)
{
    pn_term_reader r;

    (void)state;
    pn_term_reader_init(&r, (pn_term){NULL, 0});
    assert_int_equal(pn_term_reader_peek(&r), PN_TERM_NONE);
    assert_int_equal(pn_term_reader_finish(&r), PN_OK);
    pn_term_reader_init(&r, (pn_term){NULL, 0});
    assert_int_equal(pn_term_read_int64(&r), 0);
    assert_int_equal(pn_term_reader_finish(&r), PN_MISMATCH);
}

/* Bytes that were never checked do not lead the reader out of them. */
static void test_unchecked_bytes(void **state)
{
    static const char *const bad[] = {"62ff", "6e05000102", "6fffffffff00",
        "77ff61", "6400ff61", "6dffffffff61", "4dffffffff0361", "6bffff61",
        "6cffffffff", "69ffffffff", "74ffffffff", "70ffffffff", "5affff770161",
        "58770161", "46", "68", "6e", "6f0000"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        for (unsigned kind = 0; kind < READ_KINDS; kind++) {
            pn_term term = term_of(bad[i]);
            pn_term_reader r;

            pn_term_reader_init(&r, term);
            for (int k = 0; k < 4; k++) {
                read_one(&r, (read_kind)kind);
            }
            assert_int_equal(pn_term_reader_finish(&r), PN_MISMATCH);
            drop(term);
        }
    }
}

/* ---- values as a whole ---- */

static void test_atom_name(void **state)
{
    char latin1[3 + 255];
    char buf[1021];
    size_t len = 0;
    pn_term term = term_of("7702c3a9");

    (void)state;
    assert_int_equal(pn_term_atom_name(term, buf, 3, &len), PN_OK);
    assert_int_equal(len, 2);
    assert_string_equal(buf, "\xc3\xa9");
    assert_int_equal(pn_term_atom_name(term, buf, 2, &len), PN_LIMIT);
    drop(term);
    term = term_of("640001e9");
    assert_int_equal(pn_term_atom_name(term, buf, 3, &len), PN_OK);
    assert_string_equal(buf, "\xc3\xa9");
    assert_int_equal(pn_term_atom_name(term, buf, 2, &len), PN_LIMIT);
    drop(term);
    memcpy(latin1, "d\0\xff", 3);
    memset(latin1 + 3, 0xe9, 255);
    term = (pn_term){(const uint8_t *)latin1, sizeof(latin1)};
    assert_int_equal(pn_term_atom_name(term, buf, sizeof(buf), &len), PN_OK);
    assert_int_equal(len, 510);
    term = term_of("6105");
    assert_int_equal(
        pn_term_atom_name(term, buf, sizeof(buf), &len), PN_MISMATCH);
    drop(term);
    term = term_of("7700");
    assert_int_equal(pn_term_atom_name(term, buf, 1, &len), PN_OK);
    assert_int_equal(len, 0);
    drop(term);
}

static void test_is_atom(void **state)
{
    static const char *const spelled[] = {
        "77026f6b", "7600026f6b", "73026f6b", "6400026f6b"};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        pn_term term = term_of(spelled[i]);

        assert_true(pn_term_is_atom(term, "ok"));
        assert_false(pn_term_is_atom(term, "o"));
        assert_false(pn_term_is_atom(term, "okk"));
        assert_false(pn_term_is_atom(term, "no"));
        assert_false(pn_term_is_atom(term, ""));
        drop(term);
    }
    assert_false(pn_term_is_atom((pn_term){NULL, 0}, ""));
}

static void test_copy(void **state)
{
    pn_term term = term_of("680161ff");
    pn_term copy = {NULL, 0};

    (void)state;
    assert_int_equal(pn_term_copy(term, &copy), PN_OK);
    assert_ptr_not_equal(copy.data, term.data);
    pn_assert_bytes(copy.data, copy.len, term.data, term.len);
    drop(copy);
    drop(term);
    assert_int_equal(pn_term_copy((pn_term){NULL, 0}, &copy), PN_INVALID);
}

static void test_equal_nothing(void **state)
{
    pn_term none = {NULL, 0};
    pn_term nil = term_of("6a");

    (void)state;
    assert_true(pn_term_equal(none, none));
    assert_false(pn_term_equal(none, nil));
    assert_false(pn_term_equal(nil, none));
    drop(nil);
}

int main(void)
{
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        for (size_t kind = 0; kind < READ_KINDS; kind++) {
            pn_test_addf(test_fits, (void *)(i * READ_KINDS + kind),
                "term/reader/%s/of_%s", read_names[kind], samples[i].name);
        }
    }
    for (size_t i = 0; i < sizeof(integers) / sizeof(integers[0]); i++) {
        pn_test_addf(
            test_int64, (void *)i, "term/reader/int64/%s", integers[i].hex);
    }
    pn_test_add("term/reader/uint64_max", test_uint64, NULL);
    pn_test_add("term/reader/double_values", test_double, NULL);
    pn_test_add("term/reader/bignum_values", test_bignum, NULL);
    pn_test_add("term/reader/slices", test_slices, NULL);
    pn_test_add("term/reader/string/as_list", test_string_as_list, NULL);
    pn_test_add("term/reader/string/elements", test_string_elements, NULL);
    pn_test_add("term/reader/string/mismatch", test_string_mismatch, NULL);
    pn_test_add("term/reader/string/unfinished", test_string_unfinished, NULL);
    pn_test_add("term/reader/improper", test_improper, NULL);
    pn_test_add("term/reader/map", test_map, NULL);
    pn_test_add("term/reader/error_sticks", test_error_sticks, NULL);
    pn_test_add(
        "term/reader/error_sticks_on_empty", test_error_sticks_on_empty, NULL);
    pn_test_add("term/reader/left_over", test_left_over, NULL);
    pn_test_add("term/reader/no_term", test_no_term, NULL);
    pn_test_add("term/reader/unchecked_bytes", test_unchecked_bytes, NULL);
    pn_test_add("term/value/atom_name", test_atom_name, NULL);
    pn_test_add("term/value/is_atom", test_is_atom, NULL);
    pn_test_add("term/value/copy", test_copy, NULL);
    pn_test_add("term/value/equal_nothing", test_equal_nothing, NULL);
    return pn_test_run("term-reader");
}

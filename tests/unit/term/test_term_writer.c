/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer: literal values in, literal bytes out; what it refuses; its
 * limits; writing into a borrowed buffer.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "term/writer_internal.h"

static void expect_hex(pn_term_writer *w, const char *hex)
{
    pn_slice out;
    pn_term term;
    pn_term again;
    size_t len;
    uint8_t *want = pn_unhex(hex, &len);

    assert_int_equal(pn_term_writer_finish(w, &out, &term), PN_OK);
    pn_assert_bytes(out.data, out.len, want, len);
    assert_ptr_equal(term.data, out.data + 1);
    assert_int_equal(term.len, out.len - 1);
    assert_int_equal(
        pn_term_parse(out.data, out.len, NULL, &again, NULL), PN_OK);
    pn_term_writer_free(w);
    free(want);
}

static void expect_error(pn_term_writer *w, pn_err want)
{
    pn_slice out = {NULL, 0};

    assert_int_equal(pn_term_writer_finish(w, &out, NULL), want);
    assert_null(out.data);
    assert_int_equal(pn_term_writer_finish(w, NULL, NULL), want);
    pn_term_writer_free(w);
    pn_term_writer_free(w);
}

/* ---- integers ---- */

static const struct {
    int64_t value;
    const char *hex;
} integers[] = {
    {0, "836100"},
    {1, "836101"},
    {254, "8361fe"},
    {255, "8361ff"},
    {256, "836200000100"},
    {-1, "8362ffffffff"},
    {-255, "8362ffffff01"},
    {-256, "8362ffffff00"},
    {65536, "836200010000"},
    {INT32_MAX, "83627fffffff"},
    {(int64_t)INT32_MAX + 1, "836e040000000080"},
    {INT32_MIN, "836280000000"},
    {(int64_t)INT32_MIN - 1, "836e040101000080"},
    {UINT32_MAX, "836e0400ffffffff"},
    {(int64_t)UINT32_MAX + 1, "836e05000000000001"},
    {-(int64_t)UINT32_MAX, "836e0401ffffffff"},
    {INT64_MAX, "836e0800ffffffffffffff7f"},
    {INT64_MIN, "836e08010000000000000080"},
    {INT64_MIN + 1, "836e0801ffffffffffffff7f"},
};

static void test_int64(void **state)
{
    size_t i = (size_t)(uintptr_t)*state;
    pn_term_writer w;

    pn_term_writer_init(&w, 0);
    pn_term_write_int64(&w, integers[i].value);
    expect_hex(&w, integers[i].hex);
}

/* The same through write_bignum, with zeros on top. */
static void test_bignum_small(void **state)
{
    size_t i = (size_t)(uintptr_t)*state;
    int64_t value = integers[i].value;
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    uint8_t bytes[12] = {0};
    pn_term_writer w;

    for (unsigned k = 0; k < 8; k++) {
        bytes[k] = (uint8_t)(magnitude >> (8 * k));
    }
    pn_term_writer_init(&w, 0);
    pn_term_write_bignum(&w, value < 0, bytes, sizeof(bytes));
    expect_hex(&w, integers[i].hex);
}

static void test_uint64(void **state)
{
    pn_term_writer w;

    (void)state;
    pn_term_writer_init(&w, 0);
    pn_term_write_uint64(&w, 255);
    expect_hex(&w, "8361ff");
    pn_term_writer_init(&w, 0);
    pn_term_write_uint64(&w, UINT64_C(1) << 63);
    expect_hex(&w, "836e08000000000000000080");
    pn_term_writer_init(&w, 0);
    pn_term_write_uint64(&w, UINT64_MAX);
    expect_hex(&w, "836e0800ffffffffffffffff");
}

static void check_bignum(size_t n, const char *head, pn_err want)
{
    uint8_t digits[513];
    pn_term_writer w;
    pn_slice out;
    size_t head_len;
    uint8_t *head_bytes = pn_unhex(head, &head_len);

    memset(digits, 0xab, sizeof(digits));
    pn_term_writer_init(&w, 0);
    pn_term_write_bignum(&w, true, digits, n);
    assert_int_equal(pn_term_writer_finish(&w, &out, NULL), want);
    if (want == PN_OK) {
        assert_int_equal(out.len, head_len + n);
        assert_memory_equal(out.data, head_bytes, head_len);
        assert_memory_equal(out.data + head_len, digits, n);
    }
    pn_term_writer_free(&w);
    free(head_bytes);
}

static void test_bignum(void **state)
{
    (void)state;
    check_bignum(9, "836e0901", PN_OK);
    check_bignum(255, "836eff01", PN_OK);
    check_bignum(256, "836f0000010001", PN_OK);
    check_bignum(511, "836f000001ff01", PN_OK);
    check_bignum(512, "836f0000020001", PN_OK);
    check_bignum(513, "", PN_INVALID);
}

static void test_bignum_negative_zero(void **state)
{
    uint8_t zero = 0;
    pn_term_writer w;

    (void)state;
    pn_term_writer_init(&w, 0);
    pn_term_write_bignum(&w, true, &zero, 1);
    expect_hex(&w, "836100");
    pn_term_writer_init(&w, 0);
    pn_term_write_bignum(&w, true, NULL, 0);
    expect_hex(&w, "836100");
}

/* ---- floats, atoms, binaries ---- */

static void test_double(void **state)
{
    pn_term_writer w;

    (void)state;
    pn_term_writer_init(&w, 0);
    pn_term_write_double(&w, 1.5);
    expect_hex(&w, "83463ff8000000000000");
    pn_term_writer_init(&w, 0);
    pn_term_write_double(&w, -0.0);
    expect_hex(&w, "83468000000000000000");
    pn_term_writer_init(&w, 0);
    pn_term_write_double(&w, NAN);
    expect_error(&w, PN_INVALID);
    pn_term_writer_init(&w, 0);
    pn_term_write_double(&w, INFINITY);
    expect_error(&w, PN_INVALID);
    pn_term_writer_init(&w, 0);
    pn_term_write_double(&w, -INFINITY);
    expect_error(&w, PN_INVALID);
}

/* An atom of n times the bytes of one character. */
static void check_atom(size_t n, const char *one, const char *head, pn_err want)
{
    size_t one_len = strlen(one);
    char name[4 * 300];
    pn_term_writer w;
    pn_slice out;
    size_t head_len;
    uint8_t *head_bytes = pn_unhex(head, &head_len);

    for (size_t i = 0; i < n; i++) {
        memcpy(name + i * one_len, one, one_len);
    }
    pn_term_writer_init(&w, 0);
    pn_term_write_atom_n(&w, name, n * one_len);
    assert_int_equal(pn_term_writer_finish(&w, &out, NULL), want);
    if (want == PN_OK) {
        assert_int_equal(out.len, head_len + n * one_len);
        assert_memory_equal(out.data, head_bytes, head_len);
    }
    pn_term_writer_free(&w);
    free(head_bytes);
}

static void test_atom(void **state)
{
    (void)state;
    check_atom(0, "a", "837700", PN_OK);
    check_atom(1, "a", "837701", PN_OK);
    check_atom(254, "a", "8377fe", PN_OK);
    check_atom(255, "a", "8377ff", PN_OK);
    check_atom(256, "a", "", PN_INVALID);
    check_atom(127, "\xc3\xa9", "8377fe", PN_OK);
    check_atom(128, "\xc3\xa9", "83760100", PN_OK);
    check_atom(255, "\xf0\x9f\x98\x80", "837603fc", PN_OK);
    check_atom(256, "\xf0\x9f\x98\x80", "", PN_INVALID);
    check_atom(1, "\xe9", "", PN_INVALID);
    check_atom(1, "\xed\xa0\x80", "", PN_INVALID);
}

static void test_bool(void **state)
{
    pn_term_writer w;

    (void)state;
    pn_term_writer_init(&w, 0);
    pn_term_write_bool(&w, true);
    expect_hex(&w, "83770474727565");
    pn_term_writer_init(&w, 0);
    pn_term_write_bool(&w, false);
    expect_hex(&w, "83770566616c7365");
}

static void test_binary(void **state)
{
    pn_term_writer w;

    (void)state;
    pn_term_writer_init(&w, 0);
    pn_term_write_binary(&w, NULL, 0);
    expect_hex(&w, "836d00000000");
    pn_term_writer_init(&w, 0);
    pn_term_write_string(&w, "hi");
    expect_hex(&w, "836d000000026869");
}

static void test_bitstring(void **state)
{
    pn_term_writer w;

    (void)state;
    pn_term_writer_init(&w, 0);
    pn_term_write_bitstring(&w, "\xff", 1, 3);
    expect_hex(&w, "834d0000000103e0");
    pn_term_writer_init(&w, 0);
    pn_term_write_bitstring(&w, "\x01\xff", 2, 1);
    expect_hex(&w, "834d00000002010180");
    pn_term_writer_init(&w, 0);
    pn_term_write_bitstring(&w, "\xff", 1, 8);
    expect_hex(&w, "836d00000001ff");
    pn_term_writer_init(&w, 0);
    pn_term_write_bitstring(&w, "", 0, 8);
    expect_hex(&w, "836d00000000");
    pn_term_writer_init(&w, 0);
    pn_term_write_bitstring(&w, "", 0, 1);
    expect_error(&w, PN_INVALID);
    pn_term_writer_init(&w, 0);
    pn_term_write_bitstring(&w, "x", 1, 0);
    expect_error(&w, PN_INVALID);
    pn_term_writer_init(&w, 0);
    pn_term_write_bitstring(&w, "x", 1, 9);
    expect_error(&w, PN_INVALID);
}

/* ---- containers ---- */

static void write_tuple(size_t n)
{
    pn_term_writer w;
    pn_slice out;
    pn_term term;
    size_t head = n > 255 ? 5 : 2;

    pn_term_writer_init(&w, 0);
    pn_term_write_tuple_begin(&w);
    for (size_t i = 0; i < n; i++) {
        pn_term_write_int64(&w, (int64_t)(i % 256));
    }
    pn_term_write_tuple_end(&w);
    assert_int_equal(pn_term_writer_finish(&w, &out, NULL), PN_OK);
    assert_int_equal(out.len, 1 + head + 2 * n);
    assert_int_equal(out.data[1], n > 255 ? 105 : 104);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(out.data[1 + head + 2 * i], 97);
        assert_int_equal(out.data[2 + head + 2 * i], i % 256);
    }
    assert_int_equal(
        pn_term_parse(out.data, out.len, NULL, &term, NULL), PN_OK);
    pn_term_writer_free(&w);
}

static void test_tuple(void **state)
{
    (void)state;
    write_tuple(0);
    write_tuple(1);
    write_tuple(254);
    write_tuple(255);
    write_tuple(256);
    write_tuple(1000);
}

static void test_nested(void **state)
{
    pn_term_writer w;

    (void)state;
    pn_term_writer_init(&w, 0);
    pn_term_write_tuple_begin(&w);
    pn_term_write_tuple_begin(&w);
    pn_term_write_tuple_end(&w);
    pn_term_write_list_begin(&w);
    pn_term_write_atom(&w, "a");
    pn_term_write_map_begin(&w);
    pn_term_write_atom(&w, "k");
    pn_term_write_list_begin(&w);
    pn_term_write_list_end(&w);
    pn_term_write_map_end(&w);
    pn_term_write_list_end(&w);
    pn_term_write_int64(&w, 1);
    pn_term_write_tuple_end(&w);
    expect_hex(&w, "83680368006c00000002770161740000000177016b6a6a6101");
}

/* Deeper than the frames that come with the writer. */
static void test_deep(void **state)
{
    pn_term_writer w;
    pn_slice out;

    (void)state;
    pn_term_writer_init(&w, 0);
    for (int i = 0; i < 300; i++) {
        pn_term_write_tuple_begin(&w);
    }
    for (int i = 0; i < 300; i++) {
        pn_term_write_tuple_end(&w);
    }
    assert_int_equal(pn_term_writer_finish(&w, &out, NULL), PN_OK);
    assert_int_equal(out.len, 1 + 2 * 300);
    for (size_t i = 0; i < 299; i++) {
        assert_int_equal(out.data[1 + 2 * i], 104);
        assert_int_equal(out.data[2 + 2 * i], 1);
    }
    assert_int_equal(out.data[600], 0);
    pn_term_writer_free(&w);
}

typedef struct list_row {
    const char *name;
    const char *pattern; /* of pn_term_write_format */
    const char *hex;
} list_row;

static const list_row lists[] = {
    {"empty", "[]", "836a"},
    {"one_byte", "[0]", "836b000100"},
    {"bytes", "[1, 2, 255]", "836b00030102ff"},
    {"not_all_bytes", "[1, 2, 300]", "836c0000000361016102620000012c6a"},
    {"negative", "[1, -1]", "836c00000002610162ffffffff6a"},
    {"empty_tuples", "[{}, {}]", "836c00000002680068006a"},
    {"nested_empty", "[[]]", "836c000000016a6a"},
    {"nested_bytes", "[[1], [2]]", "836c000000026b0001016b0001026a"},
    {"float_of_a_byte", "[1.0]", NULL},
    {"improper", "[1 | 2]", "836c0000000161016102"},
    {"improper_two", "[a, b | c]", "836c00000002770161770162770163"},
    {"cons_nil", "[1 | []]", "836b000101"},
    {"cons_nil_atom", "[a | []]", "836c000000017701616a"},
    {"cons_bytes", "[1 | [2]]", "836b00020102"},
    {"cons_string_to_list", "[a | [1, 2]]", "836c00000003770161610161026a"},
    {"cons_one_string_to_list", "[a | [1]]", "836c0000000277016161016a"},
    {"cons_long_string", "[a | [1, 2, 3, 4, 5, 6]]",
        "836c000000077701616101610261036104610561066a"},
    {"cons_list_to_list", "[a | [b, c]]", "836c000000037701617701627701636a"},
    {"cons_list_to_bytes", "[1 | [2, 300]]",
        "836c0000000361016102620000012c6a"},
    {"cons_improper", "[a | [b | c]]", "836c00000002770161770162770163"},
    {"cons_three", "[1 | [2 | [3 | []]]]", "836b0003010203"},
    {"cons_three_improper", "[1 | [2 | [3 | 4]]]",
        "836c000000036101610261036104"},
    {"cons_tuple", "[1 | {}]", "836c0000000161016800"},
    {"cons_map", "[1 | %{}]", "836c0000000161017400000000"},
    {"cons_binary", "[1 | \"\"]", "836c0000000161016d00000000"},
    {"cons_nested_list_as_element", "[[1] | [[2]]]",
        "836c000000026b0001016b0001026a"},
};

static void test_list(void **state)
{
    const list_row *r = *state;
    pn_term_writer w;

    pn_term_writer_init(&w, 0);
    pn_term_write_format(&w, r->pattern);
    if (r->hex == NULL) {
        expect_error(&w, PN_INVALID);
    } else {
        expect_hex(&w, r->hex);
    }
}

static void check_string(size_t n)
{
    pn_term_writer w;
    pn_slice out;

    pn_term_writer_init(&w, 0);
    pn_term_write_list_begin(&w);
    for (size_t i = 0; i < n; i++) {
        pn_term_write_int64(&w, 7);
    }
    pn_term_write_list_end(&w);
    assert_int_equal(pn_term_writer_finish(&w, &out, NULL), PN_OK);
    if (n <= 65535) {
        assert_int_equal(out.len, 4 + n);
        assert_int_equal(out.data[1], 107);
    } else {
        assert_int_equal(out.len, 7 + 2 * n);
        assert_int_equal(out.data[1], 108);
    }
    pn_term_writer_free(&w);
}

static void test_string_limit(void **state)
{
    (void)state;
    check_string(65534);
    check_string(65535);
    check_string(65536);
}

/* A tail that makes the list too long for STRING_EXT, and one that does not. */
static void test_joined_limit(void **state)
{
    (void)state;
    for (size_t n = 65533; n <= 65536; n++) {
        pn_term_writer tail;
        pn_term_writer w;
        pn_slice out;
        pn_term term;

        pn_term_writer_init(&tail, 0);
        pn_term_write_list_begin(&tail);
        for (size_t i = 0; i < n; i++) {
            pn_term_write_int64(&tail, (int64_t)(i % 251));
        }
        pn_term_write_list_end(&tail);
        assert_int_equal(pn_term_writer_finish(&tail, NULL, &term), PN_OK);
        pn_term_writer_init(&w, 0);
        pn_term_write_format(&w, "[9 | ~t]", term);
        assert_int_equal(pn_term_writer_finish(&w, &out, &term), PN_OK);
        assert_int_equal(out.data[1], n + 1 <= 65535 ? 107 : 108);
        assert_int_equal(out.len, n + 1 <= 65535 ? 4 + n + 1 : 7 + 2 * (n + 1));
        assert_int_equal(
            pn_term_parse(out.data, out.len, NULL, &term, NULL), PN_OK);
        pn_term_writer_free(&w);
        pn_term_writer_free(&tail);
    }
}

/* ---- misuse ---- */

static void test_nothing(void **state)
{
    pn_term_writer w;

    (void)state;
    pn_term_writer_init(&w, 0);
    expect_error(&w, PN_INVALID);
}

static void test_two_terms(void **state)
{
    pn_term_writer w;

    (void)state;
    pn_term_writer_init(&w, 0);
    pn_term_write_int64(&w, 1);
    pn_term_write_int64(&w, 2);
    expect_error(&w, PN_INVALID);
    pn_term_writer_init(&w, 0);
    pn_term_write_int64(&w, 1);
    pn_term_write_list_begin(&w);
    expect_error(&w, PN_INVALID);
}

static void test_unclosed(void **state)
{
    static void (*const begin[])(pn_term_writer *) = {pn_term_write_tuple_begin,
        pn_term_write_list_begin, pn_term_write_map_begin};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        pn_term_writer w;

        pn_term_writer_init(&w, 0);
        begin[i](&w);
        expect_error(&w, PN_INVALID);
    }
}

static void test_closed_wrongly(void **state)
{
    static void (*const begin[])(pn_term_writer *) = {pn_term_write_tuple_begin,
        pn_term_write_list_begin, pn_term_write_map_begin};
    static void (*const end[])(pn_term_writer *) = {pn_term_write_tuple_end,
        pn_term_write_list_end, pn_term_write_map_end,
        pn_term_write_list_end_improper};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < 4; k++) {
            pn_term_writer w;
            pn_err want = i == k ? PN_OK : PN_INVALID;

            pn_term_writer_init(&w, 0);
            begin[i](&w);
            end[k](&w);
            assert_int_equal(pn_term_writer_finish(&w, NULL, NULL), want);
            pn_term_writer_free(&w);
        }
    }
}

static void test_closed_unopened(void **state)
{
    pn_term_writer w;

    (void)state;
    pn_term_writer_init(&w, 0);
    pn_term_write_tuple_end(&w);
    expect_error(&w, PN_INVALID);
}

static void test_improper_of_one(void **state)
{
    pn_term_writer w;

    (void)state;
    pn_term_writer_init(&w, 0);
    pn_term_write_list_begin(&w);
    pn_term_write_int64(&w, 1);
    pn_term_write_list_end_improper(&w);
    expect_error(&w, PN_INVALID);
}

static void test_map_odd(void **state)
{
    pn_term_writer w;

    (void)state;
    pn_term_writer_init(&w, 0);
    pn_term_write_map_begin(&w);
    pn_term_write_int64(&w, 1);
    pn_term_write_map_end(&w);
    expect_error(&w, PN_INVALID);
}

static void test_map_duplicate(void **state)
{
    pn_term_writer w;

    (void)state;
    pn_term_writer_init(&w, 0);
    pn_term_write_format(&w, "{a, %{k: 1, l: 2, k: 3}}");
    expect_error(&w, PN_INVALID);
    pn_term_writer_init(&w, 0);
    pn_term_write_format(&w, "%{1 => 1, ~d => 1}", 1.0);
    assert_int_equal(pn_term_writer_finish(&w, NULL, NULL), PN_OK);
    pn_term_writer_free(&w);
    pn_term_writer_init(&w, 0);
    pn_term_write_format(&w, "%{%{a: 1, b: 2} => 1, %{b: 2, a: 1} => 2}");
    expect_error(&w, PN_INVALID);
}

static void test_error_sticks(void **state)
{
    pn_term_writer w;

    (void)state;
    pn_term_writer_init(&w, 0);
    pn_term_write_double(&w, NAN);
    pn_term_write_int64(&w, 1);
    pn_term_write_tuple_begin(&w);
    pn_term_write_tuple_end(&w);
    pn_term_write_list_begin(&w);
    pn_term_write_list_end_improper(&w);
    pn_term_write_string(&w, "x");
    expect_error(&w, PN_INVALID);
}

static void test_term_bad(void **state)
{
    static const char *const bad[] = {"", "68016100ff", "6802", "6d000000ff61",
        "63", "ff", "6c00000001", "6e", "77056162"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        pn_term_writer w;
        size_t len;
        uint8_t *bytes = pn_unhex(bad[i], &len);

        pn_term_writer_init(&w, 0);
        pn_term_write_term(&w, (pn_term){len == 0 ? NULL : bytes, len});
        expect_error(&w, PN_INVALID);
        free(bytes);
    }
}

static const struct {
    const char *name;
    const char *hex;
} opaques[] = {
    {"new_pid", "587703614062000000010000000000000001"},
    {"pid", "677703614062000000010000000001"},
    {"new_port", "5977036140620000000100000001"},
    {"port", "6677036140620000000101"},
    {"v4_port", "787703614062000000000000000100000001"},
    {"reference", "6577036140620000000701"},
    {"new_reference", "7200017703614062010000000701"},
    {"newer_reference", "5a000177036140620000000100000007"},
    {"export", "7177026f6b77026f6b6101"},
    {"fun", "700000003701000000000000000000000000000000000000000000000000"
            "77026f6b61006100587703614062000000000000000000000000"},
};

/* Opaque terms are never sent on, however deep they stand (T10). */
static void test_opaque(void **state)
{
    size_t i = (size_t)(uintptr_t)*state;
    pn_term_writer w;
    size_t len;
    uint8_t *bytes = pn_unhex(opaques[i].hex, &len);
    uint8_t *tuple = malloc(len + 4);
    pn_term term = {bytes, i == 6 ? len - 1 : len};

    assert_non_null(tuple);
    pn_term_writer_init(&w, 0);
    pn_term_write_term(&w, term);
    expect_error(&w, PN_INVALID);
    memcpy(tuple, "h\2a\1", 4);
    memcpy(tuple + 4, term.data, term.len);
    pn_term_writer_init(&w, 0);
    pn_term_write_term(&w, (pn_term){tuple, term.len + 4});
    expect_error(&w, PN_INVALID);
    free(tuple);
    free(bytes);
}

/* ---- limits and buffers ---- */

static void check_size(size_t max, size_t payload, pn_err want)
{
    static const uint8_t zeros[200000];
    pn_term_writer w;

    pn_term_writer_init(&w, max);
    pn_term_write_binary(&w, zeros, payload);
    if (want == PN_OK) {
        assert_int_equal(pn_term_writer_finish(&w, NULL, NULL), PN_OK);
        pn_term_writer_free(&w);
    } else {
        expect_error(&w, want);
    }
}

static void test_size(void **state)
{
    (void)state;
    check_size(100, 93, PN_OK);
    check_size(100, 94, PN_OK);
    check_size(100, 95, PN_TOO_LARGE);
    check_size(100, 200000, PN_TOO_LARGE);
    check_size(0, 200000, PN_OK);
}

static void test_size_default(void **state)
{
    uint8_t *big = calloc(1, 1048571);
    pn_term_writer w;

    (void)state;
    assert_non_null(big);
    pn_term_writer_init(&w, 0);
    pn_term_write_binary(&w, big, 1048570);
    assert_int_equal(pn_term_writer_finish(&w, NULL, NULL), PN_OK);
    pn_term_writer_free(&w);
    pn_term_writer_init(&w, 0);
    pn_term_write_binary(&w, big, 1048571);
    expect_error(&w, PN_TOO_LARGE);
    free(big);
}

/* A list of bytes needs twice its room while it is open; at its end it fits. */
static void test_size_of_string(void **state)
{
    (void)state;
    for (size_t max = 65538; max <= 65540; max++) {
        pn_term_writer w;

        pn_term_writer_init(&w, max);
        pn_term_write_list_begin(&w);
        for (size_t i = 0; i < 65535; i++) {
            pn_term_write_int64(&w, 0);
        }
        pn_term_write_list_end(&w);
        assert_int_equal(pn_term_writer_finish(&w, NULL, NULL),
            max < 65539 ? PN_TOO_LARGE : PN_OK);
        pn_term_writer_free(&w);
    }
}

/* Straight into a buffer in use: behind what is there, and undone on error. */
static void test_borrowed(void **state)
{
    pn_buf buf = {0};
    pn_term_writer w = {0};
    pn_slice out;

    (void)state;
    assert_int_equal(pn_buf_append(&buf, "xxhead", 6), PN_OK);
    pn_buf_consume(&buf, 2);
    pn_term_writer_init_buf(&w, &buf, 0);
    pn_term_write_format(&w, "{ok, 1}");
    assert_int_equal(pn_term_writer_finish(&w, &out, NULL), PN_OK);
    assert_int_equal(pn_buf_used(&buf), 4 + out.len);
    assert_ptr_equal(out.data, pn_buf_head(&buf) + 4);
    pn_term_writer_init_buf(&w, &buf, 0);
    pn_term_write_format(&w, "{ok, ~d}", (double)NAN);
    assert_int_equal(pn_term_writer_finish(&w, NULL, NULL), PN_INVALID);
    assert_int_equal(pn_buf_used(&buf), 4 + 9);
    /* A second finish leaves alone what came after. */
    assert_int_equal(pn_buf_append(&buf, "tail", 4), PN_OK);
    assert_int_equal(pn_term_writer_finish(&w, NULL, NULL), PN_INVALID);
    assert_int_equal(pn_buf_used(&buf), 4 + 9 + 4);
    pn_assert_bytes(pn_buf_head(&buf), 17,
        (const uint8_t *)"head\x83h\2w\2ok"
                         "a\1tail",
        17);
    pn_term_writer_free(&w);
    pn_buf_fini(&buf);
}

/* The buffer moves while the term grows. */
static void test_borrowed_moves(void **state)
{
    (void)state;
    for (size_t consumed = 0; consumed < 400; consumed += 13) {
        pn_buf buf = {0};
        pn_term_writer w;
        pn_slice out;
        pn_term term;
        static const uint8_t filler[400];

        assert_int_equal(pn_buf_append(&buf, filler, sizeof(filler)), PN_OK);
        pn_buf_consume(&buf, consumed);
        pn_term_writer_init_buf(&w, &buf, 0);
        pn_term_write_list_begin(&w);
        for (int i = 0; i < 300; i++) {
            pn_term_write_tuple_begin(&w);
            pn_term_write_int64(&w, i);
            pn_term_write_tuple_end(&w);
        }
        pn_term_write_list_end(&w);
        assert_int_equal(pn_term_writer_finish(&w, &out, NULL), PN_OK);
        assert_int_equal(pn_buf_used(&buf), 400 - consumed + out.len);
        assert_int_equal(
            pn_term_parse(out.data, out.len, NULL, &term, NULL), PN_OK);
        pn_term_writer_free(&w);
        pn_buf_fini(&buf);
    }
}

static void test_reset(void **state)
{
    pn_term_writer w;

    (void)state;
    pn_term_writer_init(&w, 10);
    pn_term_write_string(&w, "far too long for ten bytes");
    assert_int_equal(pn_term_writer_finish(&w, NULL, NULL), PN_TOO_LARGE);
    pn_term_writer_reset(&w);
    pn_term_write_tuple_begin(&w);
    pn_term_writer_reset(&w);
    pn_term_write_int64(&w, 5);
    expect_hex(&w, "836105");
}

static void test_free_zeroed(void **state)
{
    pn_term_writer w;

    (void)state;
    memset(&w, 0, sizeof(w));
    pn_term_writer_free(&w);
    pn_term_writer_free(&w);
}

static void test_after_free(void **state)
{
    pn_term_writer w;

    (void)state;
    pn_term_writer_init(&w, 0);
    pn_term_writer_free(&w);
    pn_term_write_int64(&w, 1);
    pn_term_write_tuple_begin(&w);
    pn_term_write_list_end(&w);
    assert_int_equal(pn_term_writer_finish(&w, NULL, NULL), PN_STATE);
}

int main(void)
{
    for (size_t i = 0; i < sizeof(integers) / sizeof(integers[0]); i++) {
        pn_test_addf(test_int64, (void *)i, "term/writer/int64 %lld",
            (long long)integers[i].value);
        pn_test_addf(test_bignum_small, (void *)i,
            "term/writer/bignum_small %lld", (long long)integers[i].value);
    }
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        pn_test_addf(test_list, (void *)(uintptr_t)&lists[i],
            "term/writer/list/%s", lists[i].name);
    }
    for (size_t i = 0; i < sizeof(opaques) / sizeof(opaques[0]); i++) {
        pn_test_addf(
            test_opaque, (void *)i, "term/writer/opaque/%s", opaques[i].name);
    }
    pn_test_add("term/writer/uint64", test_uint64, NULL);
    pn_test_add("term/writer/bignum", test_bignum, NULL);
    pn_test_add(
        "term/writer/bignum_negative_zero", test_bignum_negative_zero, NULL);
    pn_test_add("term/writer/double", test_double, NULL);
    pn_test_add("term/writer/atom", test_atom, NULL);
    pn_test_add("term/writer/bool", test_bool, NULL);
    pn_test_add("term/writer/binary", test_binary, NULL);
    pn_test_add("term/writer/bitstring", test_bitstring, NULL);
    pn_test_add("term/writer/tuple", test_tuple, NULL);
    pn_test_add("term/writer/nested", test_nested, NULL);
    pn_test_add("term/writer/deep", test_deep, NULL);
    pn_test_add("term/writer/string_limit", test_string_limit, NULL);
    pn_test_add("term/writer/joined_limit", test_joined_limit, NULL);
    pn_test_add("term/writer/nothing", test_nothing, NULL);
    pn_test_add("term/writer/two_terms", test_two_terms, NULL);
    pn_test_add("term/writer/unclosed", test_unclosed, NULL);
    pn_test_add("term/writer/closed_wrongly", test_closed_wrongly, NULL);
    pn_test_add("term/writer/closed_unopened", test_closed_unopened, NULL);
    pn_test_add("term/writer/improper_of_one", test_improper_of_one, NULL);
    pn_test_add("term/writer/map_odd", test_map_odd, NULL);
    pn_test_add("term/writer/map_duplicate", test_map_duplicate, NULL);
    pn_test_add("term/writer/error_sticks", test_error_sticks, NULL);
    pn_test_add("term/writer/term_bad", test_term_bad, NULL);
    pn_test_add("term/writer/size", test_size, NULL);
    pn_test_add("term/writer/size_default", test_size_default, NULL);
    pn_test_add("term/writer/size_of_string", test_size_of_string, NULL);
    pn_test_add("term/writer/borrowed", test_borrowed, NULL);
    pn_test_add("term/writer/borrowed_moves", test_borrowed_moves, NULL);
    pn_test_add("term/writer/reset", test_reset, NULL);
    pn_test_add("term/writer/free_zeroed", test_free_zeroed, NULL);
    pn_test_add("term/writer/after_free", test_after_free, NULL);
    return pn_test_run("term-writer");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of maps: every way to write a key twice, in small maps and in large
 * ones. */
#include <peernet/term.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "term/term_hash.h"
#include "term_input.h"

/* ---- keys ---- */

typedef struct key_row {
    const char *name;
    const char *a;
    const char *b;
    bool is_same;
} key_row;

#define PID_OLD "67 @ 00000001 00000002 01"

#define PID_NEW "58 @ 00000001 00000002 00000001"

static const key_row key_rows[] = {
    {"integer_98", "6101", "62 00000001", true},
    {"integer_110", "6101", "6e 01 00 01", true},
    {"integer_111", "6101", "6f 00000001 00 01", true},
    {"integer_leading_zeros", "6101", "6e 09 00 01 00*8", true},
    {"integer_empty_is_zero", "6100", "6e 00 00", true},
    {"integer_minus_zero", "6100", "6e 01 01 00", true},
    {"integer_sign_7", "62 ffffffff", "6e 01 07 01", true},
    {"integer_signs", "62 ffffffff", "6101", false},
    {"integer_other", "6101", "6102", false},
    {"integer_min", "62 80000000", "6e 04 01 00000080", true},
    {"bignum_9_bytes", "6e 09 00 01*9", "6f 00000009 00 01*9", true},
    {"bignum_zeros_on_top", "6e 09 00 01*9", "6e 0b 00 01*9 0000", true},
    {"bignum_signs", "6e 09 00 01*9", "6e 09 01 01*9", false},
    {"bignum_last_byte", "6e 09 00 01*9", "6e 09 00 01*8 02", false},
    {"bignum_length", "6e 09 00 01*9", "6e 0a 00 01*10", false},
    {"bignum_32_and_33", "6e 20 00 01*32", "6e 21 00 01*33", false},
    {"integer_and_float", "6101", "46 3ff0 00*6", false},
    {"float_zeros", "46 00*8", "46 80 00*7", true},
    {"float_other", "46 3ff0 00*6", "46 3ff0 00*5 01", false},
    {"integer_and_float_bits", "6e 08 00 000000000000f03f", "46 3ff0 00*6",
        false},
    {"atom_100_119", "64 0002 6f6b", "77 02 6f6b", true},
    {"atom_115_118", "73 02 6f6b", "76 0002 6f6b", true},
    {"atom_latin1_utf8", "64 0001 e9", "77 02 c3a9", true},
    {"atom_latin1_long", "64 00ff e9*255", "73 ff e9*255", true},
    {"atom_latin1_not_utf8", "64 0002 c3a9", "77 02 c3a9", false},
    {"atom_case", "77 02 6f6b", "77 02 6f4b", false},
    {"atom_empty_tags", "64 0000", "77 00", true},
    {"atom_and_binary", "77 02 6f6b", "6d 00000002 6f6b", false},
    {"atom_and_string", "77 02 6f6b", "6b 0002 6f6b", false},
    {"atom_length", "77 02 6f6b", "77 03 6f6b6b", false},
    {"binary_length_zero", "6d 00000001 00", "6d 00000002 0000", false},
    {"binary_empty", "6d 00000000", "6d 00000001 00", false},
    {"binary_7_and_8", "6d 00000007 61*7", "6d 00000008 61*8", false},
    {"binary_15_and_16", "6d 0000000f 61*15", "6d 00000010 61*16", false},
    {"binary_17", "6d 00000011 61*16 62", "6d 00000011 61*16 63", false},
    {"binary_17_first", "6d 00000011 62 61*16", "6d 00000011 63 61*16", false},
    {"binary_33", "6d 00000021 61*33", "6d 00000021 61*32 62", false},
    {"binary_and_bits", "6d 00000001 80", "4d 00000001 07 80", false},
    {"bits_count", "4d 00000001 01 80", "4d 00000001 02 80", false},
    {"bits_same", "4d 00000001 03 a0", "4d 00000001 03 a0", true},
    {"nil_and_empty_string", "6a", "6b 0000", true},
    {"nil_and_empty_tuple", "6a", "68 00", false},
    {"nil_and_empty_map", "6a", "74 00000000", false},
    {"nil_and_empty_binary", "6a", "6d 00000000", false},
    {"nil_and_atom", "6a", "77 02 5b5d", false},
    {"empty_tuples", "68 00", "69 00000000", true},
    {"string_and_list", "6b 0002 0102", "6c 00000002 6101 6102 6a", true},
    {"string_and_list_98", "6b 0001 01", "6c 00000001 62 00000001 6a", true},
    {"string_and_improper", "6b 0001 01", "6c 00000001 6101 6102", false},
    {"string_other", "6b 0002 0102", "6b 0002 0201", false},
    {"list_order", "6c 00000002 6101 6a 6a", "6c 00000002 6a 6101 6a", false},
    {"list_nesting", "6c 00000001 6c 00000001 6101 6a 6a",
        "6c 00000002 6c 00000001 6101 6a 6a 6a", false},
    {"list_and_tuple", "6c 00000001 6101 6a", "68 02 6101 6a", false},
    {"tuples_large_small", "68 01 6101", "69 00000001 6101", true},
    {"tuple_of_atoms", "68 01 64 0002 6f6b", "68 01 77 02 6f6b", true},
    {"tuple_length", "68 02 6101 6101", "68 01 6101", false},
    {"tuple_nesting", "68 02 68 01 6101 6102", "68 02 6101 68 01 6102", false},
    {"tuple_in_tuple", "68 01 68 01 6101", "68 01 6101", false},
    {"map_order", "74 00000002 6101 6a 6102 6a", "74 00000002 6102 6a 6101 6a",
        true},
    {"map_values_swapped", "74 00000002 6101 6103 6102 6104",
        "74 00000002 6101 6104 6102 6103", false},
    {"map_key_value_swapped", "74 00000001 6101 6102", "74 00000001 6102 6101",
        false},
    {"map_pair_twice_cancels", "74 00000001 6101 6101", "74 00000001 6102 6102",
        false},
    {"map_values_spelled", "74 00000001 6101 64 0002 6f6b",
        "74 00000001 6e 01 00 01 77 02 6f6b", true},
    {"map_in_map_order", "74 00000001 6a 74 00000002 6101 6a 6102 6a",
        "74 00000001 6a 74 00000002 6102 6a 6101 6a", true},
    {"map_as_key_of_key", "74 00000001 74 00000002 6101 6a 6102 6a 6a",
        "74 00000001 74 00000002 6102 6a 6101 6a 6a", true},
    {"map_and_list_of_pairs", "74 00000001 6101 6102",
        "6c 00000001 68 02 6101 6102 6a", false},
    {"pid_old_new", PID_OLD, PID_NEW, true},
    {"pid_serial", PID_OLD, "58 @ 00000001 00000003 00000001", false},
    {"pid_creation", PID_OLD, "58 @ 00000001 00000002 00000002", false},
    {"pid_node_spelled", PID_NEW,
        "58 64 0003 614062 00000001 00000002"
        "00000001",
        true},
    {"pid_other_node", PID_NEW, "58 77 03 614063 00000001 00000002 00000001",
        false},
    {"pid_and_v4_port", "58 @ 00000000 00000001 00000001",
        "78 @ 0000000000000001 00000001", false},
    {"port_old_new", "66 @ 00000001 01", "59 @ 00000001 00000001", true},
    {"port_new_v4", "59 @ 00000001 00000001", "78 @ 0000000000000001 00000001",
        true},
    {"port_high_word", "59 @ 00000001 00000001",
        "78 @ 0000000100000001 00000001", false},
    {"reference_old_new", "65 @ 00000007 01", "72 0001 @ 01 00000007", true},
    {"reference_new_newer", "72 0001 @ 01 00000007",
        "5a 0001 @ 00000001 00000007", true},
    {"reference_zero_words", "5a 0001 @ 00000001 00000007",
        "5a 0003 @ 00000001 00000007 00*8", true},
    {"reference_words", "5a 0001 @ 00000001 00000007",
        "5a 0002 @ 00000001 00000007 00000001", false},
    {"reference_zero_first", "5a 0001 @ 00000001 00000007",
        "5a 0002 @ 00000001 00000000 00000007", false},
    {"reference_creation", "5a 0001 @ 00000001 00000007",
        "5a 0001 @ 00000002 00000007", false},
    {"export_spelled", "71 77026f6b 77026f6b 6101",
        "71 64 0002 6f6b 73026f6b 6101", true},
    {"export_arity", "71 77026f6b 77026f6b 6101", "71 77026f6b 77026f6b 6102",
        false},
    {"export_swapped", "71 77026f6b 77026e6f 6101", "71 77026e6f 77026f6b 6101",
        false},
};

static const char *head_of_map(unsigned n)
{
    static char head[32];

    (void)snprintf(head, sizeof(head), "74 %08x", n);
    return head;
}

static void check_keys(
    const key_row *r, unsigned n_others, const char *before, const char *after)
{
    char recipe[8192];
    int len = snprintf(recipe, sizeof(recipe), "%s %s %s 6a", before,
        head_of_map(n_others + 2), r->a);

    for (unsigned i = 0; i < n_others; i++) {
        len += snprintf(recipe + len, sizeof(recipe) - (size_t)len,
            " 62 %08x 6a", 0x10000 + (i << 20));
    }
    (void)snprintf(
        recipe + len, sizeof(recipe) - (size_t)len, " %s 6a %s", r->b, after);
    expect(build(recipe), NULL, r->is_same ? PN_MALFORMED : PN_OK,
        "a map with a key twice");
}

static void test_keys_few(void **state)
{
    check_keys(*state, 0, "", "");
}

static void test_keys_table(void **state)
{
    check_keys(*state, 30, "", "");
}

static void test_keys_heap(void **state)
{
    check_keys(*state, 200, "", "");
}

static void test_keys_nested_in_value(void **state)
{
    check_keys(*state, 1, "74 00000002 6a 6101 6101", "");
}

static void test_keys_nested_in_key(void **state)
{
    check_keys(*state, 1, "74 00000002 6a 6101 68 01", "6a");
}

/* The same two as values: never refused. */
static void test_keys_as_values(void **state)
{
    const key_row *r = *state;
    char recipe[1024];

    (void)snprintf(
        recipe, sizeof(recipe), "74 00000002 6101 %s 6102 %s", r->a, r->b);
    expect(build(recipe), NULL, PN_OK, NULL);
}

static void test_equal(void **state)
{
    const key_row *r = *state;
    input a = build(r->a);
    input b = build(r->b);
    pn_term ta = {a.bytes + 1, a.len - 1};
    pn_term tb = {b.bytes + 1, b.len - 1};

    assert_int_equal(pn_term_equal(ta, tb), r->is_same);
    assert_int_equal(pn_term_equal(tb, ta), r->is_same);
    assert_true(pn_term_equal(ta, ta));
    free(a.bytes);
    free(b.bytes);
}

/* ---- large maps ---- */

static input large_map(uint32_t n, uint32_t step)
{
    input in = {malloc(6 + 6 * (size_t)n), 6 + 6 * (size_t)n};
    uint8_t *p = in.bytes;

    assert_non_null(p);
    *p++ = 131;
    *p++ = 116;
    for (int shift = 24; shift >= 0; shift -= 8) {
        *p++ = (uint8_t)(n >> shift);
    }
    for (uint32_t i = 0; i < n; i++) {
        *p++ = 98;
        for (int shift = 24; shift >= 0; shift -= 8) {
            *p++ = (uint8_t)((i * step) >> shift);
        }
        *p++ = 106;
    }
    return in;
}

/* The most pairs that fit, with keys that agree in their low bits. */
static void test_large_map(void **state)
{
    (void)state;
    expect(large_map(174761, 1), NULL, PN_OK, NULL);
    expect(large_map(174761, 1 << 13), NULL, PN_OK, NULL);
}

static void test_large_map_duplicate(void **state)
{
    input in = large_map(174761, 1);

    (void)state;
    /* The last key becomes the first. */
    memset(in.bytes + in.len - 5, 0, 4);
    expect(in, NULL, PN_MALFORMED, "a map with a key twice");
}

static void test_key_counts(void **state)
{
    (void)state;
    /* Around each change of method: each with each, table, heap. */
    for (uint32_t n = 1; n < 140; n++) {
        expect(large_map(n, 7), NULL, PN_OK, NULL);
        for (uint32_t k = 0; k + 1 < n; k += 1 + n / 8) {
            input in = large_map(n, 7);

            memcpy(in.bytes + in.len - 6, in.bytes + 6 + 6 * (size_t)k, 6);
            expect(in, NULL, PN_MALFORMED, "a map with a key twice");
        }
    }
}

static void add_keys(void)
{
    for (size_t i = 0; i < sizeof(key_rows) / sizeof(key_rows[0]); i++) {
        void *r = (void *)(uintptr_t)&key_rows[i];
        const char *name = key_rows[i].name;

        pn_test_addf(test_keys_few, r, "term/check/keys/%s", name);
        pn_test_addf(test_keys_table, r, "term/check/keys_table/%s", name);
        pn_test_addf(test_keys_heap, r, "term/check/keys_heap/%s", name);
        pn_test_addf(
            test_keys_nested_in_value, r, "term/check/keys_in_value/%s", name);
        pn_test_addf(
            test_keys_nested_in_key, r, "term/check/keys_in_key/%s", name);
        pn_test_addf(
            test_keys_as_values, r, "term/check/keys_as_values/%s", name);
        pn_test_addf(test_equal, r, "term/value/equal/%s", name);
    }
}

/* ---- the seed of the hashes ---------------------------------------------- */

static pn_err count_up(void *user, uint8_t *buf, size_t len)
{
    if (user == NULL) {
        return PN_SYS;
    }
    memset(buf, *(uint8_t *)user, len);
    ++*(uint8_t *)user;
    return PN_OK;
}

/* Hashes of one process must stay comparable, whatever is opened later. */
static void test_term_check_seed(void **state)
{
    uint8_t next = 1;
    pn_env env = {.user = NULL, .random = count_up};
    pn_hash first;

    (void)state;
    assert_int_equal(pn_hash_seed(&env), PN_SYS);
    env.user = &next;
    assert_int_equal(pn_hash_seed(&env), PN_OK);
    first = pn_hash_int64(7);
    assert_int_equal(pn_hash_seed(&env), PN_OK);
    assert_int_equal(next, 3);
    assert_true(pn_hash_equal(pn_hash_int64(7), first));
    assert_false(pn_hash_equal(pn_hash_int64(8), first));
}

int main(void)
{
    add_keys();
    pn_test_add("term/check/large_map", test_large_map, NULL);
    pn_test_add(
        "term/check/large_map_duplicate", test_large_map_duplicate, NULL);
    pn_test_add("term/check/key_counts", test_key_counts, NULL);
    pn_test_add("term/check/seed", test_term_check_seed, NULL);
    return pn_test_run("term-keys");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Properties of ten thousand random terms: a written term is read as the same
 * value, in every spelling; no prefix of it is a term; printed and parsed it is
 * the same bytes; with a flipped bit it is refused or is another value.
 */
#include <stdlib.h>
#include <string.h>

#include "canonical.h"
#include "harness.h"
#include "term/writer_internal.h"
#include "term_random.h"

enum { TERMS = 10000, PER_TEST = 500 };

/* The first terms of each row print where they come from when they fail. */
static void make(uint64_t n, pn_term_writer *w, pn_slice *bytes, pn_term *term)
{
    uint64_t seed = n * UINT64_C(0x2545f4914f6cdd1d) + 1;

    pn_term_writer_init(w, 0);
    term_random_write(w, &seed);
    if (pn_term_writer_finish(w, bytes, term) != PN_OK) {
        fail_msg("term %llu cannot be made", (unsigned long long)n);
    }
}

static void for_each(
    void **state, void (*check)(uint64_t n, pn_slice bytes, pn_term term))
{
    uint64_t first = (uint64_t)(uintptr_t)*state;

    for (uint64_t n = first; n < first + PER_TEST; n++) {
        pn_term_writer w;
        pn_slice bytes;
        pn_term term;

        make(n, &w, &bytes, &term);
        check(n, bytes, term);
        pn_term_writer_free(&w);
    }
}

/* ---- round trip ---- */

static void check_round_trip(uint64_t n, pn_slice bytes, pn_term term)
{
    pn_term parsed;
    pn_term_writer w;
    pn_slice again;

    (void)n;
    assert_int_equal(
        pn_term_parse(bytes.data, bytes.len, NULL, &parsed, NULL), PN_OK);
    assert_ptr_equal(parsed.data, term.data);
    pn_term_writer_init(&w, 0);
    write_canonical(&w, parsed);
    assert_int_equal(pn_term_writer_finish(&w, &again, NULL), PN_OK);
    pn_assert_bytes(again.data, again.len, bytes.data, bytes.len);
    pn_term_writer_free(&w);
    pn_term_writer_init(&w, 0);
    pn_term_write_tuple_begin(&w);
    pn_term_write_term(&w, parsed);
    pn_term_write_tuple_end(&w);
    assert_int_equal(pn_term_writer_finish(&w, &again, NULL), PN_OK);
    assert_int_equal(again.len, bytes.len + 2);
    pn_term_writer_free(&w);
}

static void test_round_trip(void **state)
{
    for_each(state, check_round_trip);
}

/* ---- other spellings ---- */

static void check_respelled(uint64_t n, pn_slice bytes, pn_term term)
{
    size_t cap = 12 * bytes.len + 1000;
    uint8_t *other = malloc(cap);
    uint64_t seed = n;
    pn_term_limits limits;
    pn_term parsed;
    pn_term_writer w;
    pn_slice again;
    size_t len;

    assert_non_null(other);
    len = term_random_respell(term, &seed, other, cap);
    assert_true(len > 0);
    pn_term_limits_init(&limits);
    limits.max_bytes = 1 << 30;
    assert_int_equal(pn_term_parse(other, len, &limits, &parsed, NULL), PN_OK);
    assert_true(pn_term_equal(parsed, term));
    assert_true(pn_term_equal(term, parsed));
    pn_term_writer_init(&w, 1 << 30);
    write_canonical(&w, parsed);
    assert_int_equal(pn_term_writer_finish(&w, &again, NULL), PN_OK);
    pn_assert_bytes(again.data, again.len, bytes.data, bytes.len);
    pn_term_writer_free(&w);
    free(other);
}

static void test_respelled(void **state)
{
    for_each(state, check_respelled);
}

/* ---- text ---- */

static void check_text(uint64_t n, pn_slice bytes, pn_term term)
{
    pn_term_writer w;
    pn_text_error error = {0};
    pn_slice again;
    char *text;
    size_t len;

    (void)n;
    assert_int_equal(pn_term_to_text(term, &text, &len), PN_OK);
    pn_term_writer_init(&w, 0);
    if (pn_term_from_text(&w, text, len, NULL, &error) != PN_OK) {
        fail_msg(
            "expected %s at %zu of %s", error.expected, error.offset, text);
    }
    assert_int_equal(pn_term_writer_finish(&w, &again, NULL), PN_OK);
    pn_assert_bytes(again.data, again.len, bytes.data, bytes.len);
    pn_term_writer_free(&w);
    free(text);
}

static void test_text(void **state)
{
    for_each(state, check_text);
}

/* ---- damage ---- */

/* Every prefix of short terms; of long ones some. */
static void check_prefixes(uint64_t n, pn_slice bytes, pn_term term)
{
    size_t step = 1 + bytes.len / 64;

    (void)n;
    (void)term;
    for (size_t len = 0; len < bytes.len; len += step) {
        uint8_t *part = malloc(len == 0 ? 1 : len);
        pn_term parsed;
        pn_err err;

        assert_non_null(part);
        memcpy(part, bytes.data, len);
        err = pn_term_parse(part, len, NULL, &parsed, NULL);
        free(part);
        assert_int_equal(err, PN_MALFORMED);
    }
}

static void test_prefixes(void **state)
{
    for_each(state, check_prefixes);
}

/* Equal means: written again it is the same bytes. (A bit makes 0.0 of -0.0,
 * and one tag of an atom of another.) */
static void check_equal(pn_slice bytes, pn_term parsed, pn_term term)
{
    pn_term_writer w;
    pn_slice again;
    bool is_same;

    pn_term_writer_init(&w, 0);
    write_canonical(&w, parsed);
    assert_int_equal(pn_term_writer_finish(&w, &again, NULL), PN_OK);
    is_same = again.len == bytes.len
              && memcmp(again.data, bytes.data, bytes.len) == 0;
    if (is_same != pn_term_equal(parsed, term)
        && memchr(bytes.data, 70, bytes.len) == NULL) {
        fail_msg("equal but not the same bytes, or the reverse");
    }
    pn_term_writer_free(&w);
}

static void check_flips(uint64_t n, pn_slice bytes, pn_term term)
{
    uint8_t *copy = malloc(bytes.len);
    uint64_t seed = n;

    assert_non_null(copy);
    memcpy(copy, bytes.data, bytes.len);
    for (int i = 0; i < 16; i++) {
        uint64_t at = pn_test_random(&seed) % (8 * bytes.len);
        pn_term parsed;
        char *text;
        size_t len;

        copy[at / 8] ^= (uint8_t)(1U << (at % 8));
        if (pn_term_parse(copy, bytes.len, NULL, &parsed, NULL) == PN_OK) {
            check_equal(bytes, parsed, term);
            assert_int_equal(pn_term_to_text(parsed, &text, &len), PN_OK);
            free(text);
        }
        copy[at / 8] ^= (uint8_t)(1U << (at % 8));
    }
    free(copy);
}

static void test_flips(void **state)
{
    for_each(state, check_flips);
}

/* Terms that differ do not pass as equal. */
static void check_neighbours(uint64_t n, pn_slice bytes, pn_term term)
{
    pn_term_writer w;
    pn_slice other_bytes;
    pn_term other;

    make(n + 1, &w, &other_bytes, &other);
    assert_int_equal(pn_term_equal(term, other),
        bytes.len == other_bytes.len
            && memcmp(bytes.data, other_bytes.data, bytes.len) == 0);
    pn_term_writer_free(&w);
}

static void test_neighbours(void **state)
{
    for_each(state, check_neighbours);
}

int main(void)
{
    static const struct {
        const char *name;
        CMUnitTestFunction function;
    } tests[] = {
        {"round_trip", test_round_trip},
        {"respelled", test_respelled},
        {"text", test_text},
        {"prefixes", test_prefixes},
        {"flips", test_flips},
        {"neighbours", test_neighbours},
    };

    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        for (size_t n = 0; n < TERMS; n += PER_TEST) {
            pn_test_addf(tests[i].function, (void *)n,
                "term/random/%s from %zu", tests[i].name, n);
        }
    }
    return pn_test_run("term-random");
}

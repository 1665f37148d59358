/* SPDX-License-Identifier: Apache-2.0 */
/* Keys as text: Base32, hexadecimal, fingerprints. */
#include <stdlib.h>
#include <string.h>

#include <peernet/key.h>

#include "harness.h"

/* The keys of the recorded key files. */
static void test_valid(void **state)
{
    const char *base32 = pn_json_string(*state, "base32_qr");
    const char *hex = pn_json_string(*state, "public_hex");
    pn_public_key key;
    pn_public_key parsed;
    char text[PN_BASE32_LEN + 1];
    char fingerprint[PN_FINGERPRINT_LEN + 1];

    pn_json_hex_n(*state, "public_hex", key.bytes, sizeof(key.bytes));
    pn_key_to_base32(&key, text);
    assert_string_equal(text, base32);
    pn_key_fingerprint(&key, fingerprint);
    assert_string_equal(fingerprint, pn_json_string(*state, "fingerprint"));
    assert_int_equal(pn_key_parse(base32, &parsed), PN_OK);
    assert_true(pn_key_equal(&key, &parsed));
    assert_int_equal(pn_key_parse(hex, &parsed), PN_OK);
    assert_true(pn_key_equal(&key, &parsed));
}

/* Ours takes either case, and neither padding nor more than a key. */
static void test_base32(void **state)
{
    const char *name = pn_json_string(*state, "name");
    const char *text = pn_json_string(*state, "text");
    bool ok = strcmp(name, "canonical") == 0 || strcmp(name, "lower case") == 0;
    pn_public_key key;
    pn_public_key canonical;

    memset(&key, 0xee, sizeof(key));
    assert_int_equal(pn_key_parse(text, &key), ok ? PN_OK : PN_INVALID);
    if (ok) {
        assert_int_equal(
            pn_key_parse("Y5U4X7EZIMXRTYPLMD2UYGS27EQKLFA3HLQDQTFBK2IMEIKZFROA",
                &canonical),
            PN_OK);
        assert_true(pn_key_equal(&key, &canonical));
    } else {
        assert_int_equal(key.bytes[0], 0xee);
        assert_int_equal(key.bytes[31], 0xee);
    }
}

typedef struct text_row {
    const char *name;
    const char *text;
    pn_err want;
} text_row;

#define A48 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define Z60 "000000000000000000000000000000000000000000000000000000000000"

static const text_row rows[] = {
    {"zero", A48 "AAAA", PN_OK},
    {"mixed_case", A48 "aAaA", PN_OK},
    {"last_digit_q", A48 "AAAQ", PN_OK},
    {"trailing_bit_1", A48 "AAAB", PN_INVALID},
    {"trailing_bit_2", A48 "AAAC", PN_INVALID},
    {"trailing_bit_4", A48 "AAAE", PN_INVALID},
    {"trailing_bit_8", A48 "AAAI", PN_INVALID},
    {"last_digit_r", A48 "AAAR", PN_INVALID},
    {"last_digit_7", A48 "AAA7", PN_INVALID},
    {"51_digits", A48 "AAA", PN_INVALID},
    {"53_digits", A48 "AAAAA", PN_INVALID},
    {"space_before", " " A48 "AAA", PN_INVALID},
    {"space_after", A48 "AAA ", PN_INVALID},
    {"dash_between", A48 "A-AA", PN_INVALID},
    {"newline_after", A48 "AAAA\n", PN_INVALID},
    {"padded", A48 "AAAA====", PN_INVALID},
    {"digit_0", "0" A48 "AAA", PN_INVALID},
    {"digit_1", "1" A48 "AAA", PN_INVALID},
    {"digit_8", "8" A48 "AAA", PN_INVALID},
    {"digit_9", "9" A48 "AAA", PN_INVALID},
    {"byte_0x80", "\x80" A48 "AAA", PN_INVALID},
    {"byte_0xff", "\xff" A48 "AAA", PN_INVALID},
    {"at_sign", "@" A48 "AAA", PN_INVALID},
    {"bracket", "[" A48 "AAA", PN_INVALID},
    {"backquote", "`" A48 "AAA", PN_INVALID},
    {"brace", "{" A48 "AAA", PN_INVALID},
    {"hex", Z60 "00fF", PN_OK},
    {"hex_63_digits", Z60 "000", PN_INVALID},
    {"hex_65_digits", Z60 "00000", PN_INVALID},
    {"hex_g", Z60 "000g", PN_INVALID},
    {"hex_upper_g", Z60 "000G", PN_INVALID},
    {"hex_slash", Z60 "000/", PN_INVALID},
    {"hex_colon", Z60 "000:", PN_INVALID},
    {"hex_0x", "0x" Z60 "00", PN_INVALID},
    {"hex_space", Z60 "00 0", PN_INVALID},
    {"fingerprint", "a039198a48bc8623", PN_INVALID},
    {"empty", "", PN_INVALID},
};

static void test_text(void **state)
{
    const text_row *r = *state;
    pn_public_key key;

    memset(&key, 0xee, sizeof(key));
    assert_int_equal(pn_key_parse(r->text, &key), r->want);
    if (r->want != PN_OK) {
        for (size_t i = 0; i < sizeof(key.bytes); i++) {
            assert_int_equal(key.bytes[i], 0xee);
        }
    }
}

/* No key has two texts: any other last digit than its own is refused. */
static void test_round_trip(void **state)
{
    uint64_t seed = 3;

    (void)state;
    for (unsigned i = 0; i < 5000; i++) {
        pn_public_key key;
        pn_public_key again;
        char text[PN_BASE32_LEN + 1];

        for (size_t k = 0; k < sizeof(key.bytes); k++) {
            key.bytes[k] = (uint8_t)pn_test_random(&seed);
        }
        pn_key_to_base32(&key, text);
        assert_int_equal(strlen(text), PN_BASE32_LEN);
        assert_true(text[51] == 'A' || text[51] == 'Q');
        assert_int_equal(pn_key_parse(text, &again), PN_OK);
        assert_true(pn_key_equal(&key, &again));
        again.bytes[i % 32] ^= 1;
        assert_false(pn_key_equal(&key, &again));
    }
}

static void test_null(void **state)
{
    pn_public_key key;

    (void)state;
    assert_int_equal(pn_key_parse(NULL, &key), PN_INVALID);
    assert_int_equal(pn_key_parse(A48 "AAAA", NULL), PN_INVALID);
}

int main(void)
{
    json_t *root = pn_vectors("identity.json");
    const json_t *valid = json_object_get(root, "valid");
    const json_t *base32 = json_object_get(root, "base32");
    int status;

    for (size_t i = 0; i < json_array_size(valid); i++) {
        json_t *row = json_array_get(valid, i);

        pn_test_addf(test_valid, row, "crypto/key/valid/%s",
            pn_json_string(row, "name"));
    }
    for (size_t i = 0; i < json_array_size(base32); i++) {
        json_t *row = json_array_get(base32, i);

        pn_test_addf(test_base32, row, "crypto/key/base32/%s",
            pn_json_string(row, "name"));
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pn_test_addf(test_text, (void *)(uintptr_t)&rows[i],
            "crypto/key/text/%s", rows[i].name);
    }
    pn_test_add("crypto/key/round_trip", test_round_trip, NULL);
    pn_test_add("crypto/key/null", test_null, NULL);
    status = pn_test_run("crypto/key");
    json_decref(root);
    return status;
}

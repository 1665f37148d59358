/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "trust/identity.h"

static json_t *vectors;

/* Reads from memory exactly as large as it is. */
static pn_err read_exact(
    const uint8_t *data, size_t len, pn_key_pair *pair, const char **why)
{
    uint8_t *copy = malloc(len == 0 ? 1 : len);
    pn_err err;

    assert_non_null(copy);
    memcpy(copy, data, len);
    err = pn_identity_read(copy, len, pair, why);
    free(copy);
    return err;
}

static void assert_refused(const uint8_t *data, size_t len)
{
    pn_key_pair pair;
    pn_key_pair before;
    const char *why = NULL;

    memset(&pair, 0x5a, sizeof(pair));
    before = pair;
    assert_int_equal(read_exact(data, len, &pair, &why), PN_CORRUPT);
    assert_non_null(why);
    assert_memory_equal(&pair, &before, sizeof(pair));
}

static void test_trust_identity_valid(void **state)
{
    const json_t *row = *state;
    pn_key_pair pair;
    const char *why;
    uint8_t want[PN_KEY_LEN];
    uint8_t again[PN_IDENTITY_LEN];
    size_t len;
    uint8_t *file = pn_json_hex(row, "keyfile_hex", &len);

    assert_int_equal(read_exact(file, len, &pair, &why), PN_OK);
    pn_json_hex_n(row, "public_hex", want, sizeof(want));
    assert_memory_equal(pair.public_key.bytes, want, sizeof(want));
    pn_json_hex_n(row, "private_hex", want, sizeof(want));
    assert_memory_equal(pair.secret.bytes, want, sizeof(want));
    pn_identity_write(&pair, again);
    pn_assert_bytes(again, sizeof(again), file, len);
    free(file);
}

static void test_trust_identity_every_prefix(void **state)
{
    size_t len;
    uint8_t *file = pn_json_hex(*state, "keyfile_hex", &len);

    for (size_t n = 0; n < len; n++) {
        assert_refused(file, n);
    }
    free(file);
}

/* Ours refuses all of them; where the original loads one, the vector says what
 * it recommends, and that is to refuse. */
static void test_trust_identity_parse(void **state)
{
    const json_t *row = *state;
    size_t len;
    uint8_t *file = pn_json_hex(row, "keyfile_hex", &len);

    assert_string_equal(
        pn_json_string(row, "recommended"), "reject: invalid_keyfile");
    assert_refused(file, len);
    free(file);
}

/* One flipped bit anywhere: refused, but for the few that change nothing a
 * curve point or a scalar means (clamped bits of the private key). */
static void test_trust_identity_every_bit(void **state)
{
    size_t len;
    uint8_t *file = pn_json_hex(*state, "keyfile_hex", &len);
    unsigned n_taken = 0;

    for (size_t bit = 0; bit < 8 * len; bit++) {
        pn_key_pair pair;
        const char *why;

        file[bit / 8] ^= (uint8_t)(1U << bit % 8);
        if (pn_identity_read(file, len, &pair, &why) == PN_OK) {
            n_taken++;
            /* Bits 0 to 2 of the first byte, 6 and 7 of the last. */
            assert_true(
                (bit >= 39 * 8 && bit < 39 * 8 + 3) || bit >= 70 * 8 + 6);
        }
        file[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    assert_int_equal(n_taken, 5);
    free(file);
}

static void assert_why(size_t at, uint8_t value, const char *part)
{
    const json_t *row = json_array_get(json_object_get(vectors, "valid"), 0);
    size_t len;
    uint8_t *file = pn_json_hex(row, "keyfile_hex", &len);
    pn_key_pair pair;
    const char *why = "";

    file[at] = value;
    assert_int_equal(pn_identity_read(file, len, &pair, &why), PN_CORRUPT);
    if (strstr(why, part) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", why, part);
    }
    free(file);
}

static void test_trust_identity_says_why(void **state)
{
    (void)state;
    assert_why(0, 'x', "does not begin");
    assert_why(4, 1, "Ed25519");
    assert_why(4, 3, "version");
    assert_why(5, 31, "lengths inside");
    assert_why(38, 64, "lengths inside");
    assert_why(6, 0xff, "does not belong");
}

static void add_rows(
    const char *table, CMUnitTestFunction function, const char *format)
{
    const json_t *rows = json_object_get(vectors, table);
    size_t i;
    json_t *row;

    json_array_foreach(rows, i, row)
    {
        char name[256];

        (void)snprintf(name, sizeof(name), "%s", pn_json_string(row, "name"));
        pn_test_addf(function, row, "trust/identity/%s/%s", format, name);
    }
}

int main(void)
{
    int status;

    vectors = pn_vectors("identity.json");
    add_rows("valid", test_trust_identity_valid, "valid");
    add_rows("parse", test_trust_identity_parse, "refused");
    add_rows("valid", test_trust_identity_every_prefix, "every_prefix");
    pn_test_add("trust/identity/every_bit", test_trust_identity_every_bit,
        json_array_get(json_object_get(vectors, "valid"), 0));
    pn_test_add("trust/identity/says_why", test_trust_identity_says_why, NULL);
    status = pn_test_run("trust/identity");
    json_decref(vectors);
    return status;
}

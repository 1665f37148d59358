/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that verify forged signatures: docs/THREATS.md, T31. */
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"
#include "harness.h"
#include "keys/ed25519.h"
#include "keys/md5.h"

/* y of the points whose order divides 8; the last two are 0 and 1 again. */
static const char *const POINTS[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};
enum { N_POINTS = sizeof(POINTS) / sizeof(POINTS[0]), N_CANONICAL = 5 };

static void point(unsigned i, bool is_negative, uint8_t out[static 32])
{
    size_t len;
    uint8_t *bytes = pn_unhex(POINTS[i], &len);

    assert_int_equal(len, 32);
    memcpy(out, bytes, 32);
    out[31] |= is_negative ? 0x80 : 0;
    free(bytes);
}

/* S = 0 and a guess at R = -h A, which has 8 values at most, for messages until
 * one guess is right: without a check for it, every one of these keys falls. */
static bool forge(const pn_ed25519_key *key)
{
    for (uint32_t message = 0; message < 64; message++) {
        for (unsigned guess = 0; guess < 2 * N_CANONICAL; guess++) {
            uint8_t signature[PN_SIGNATURE_LEN] = {0};

            point(guess / 2, guess % 2 == 1, signature);
            if (pn_ed25519_verify(key, &message, sizeof(message), signature)
                == PN_OK) {
                return true;
            }
        }
    }
    return false;
}

static void test_crypto_ed25519_low_order(void **state)
{
    const unsigned row = *(const unsigned *)*state;
    pn_ed25519_key key;

    point(row / 2, row % 2 == 1, key.bytes);
    assert_false(forge(&key));
}

/* Other keys verify what their secrets have signed, and nothing else. */
static void test_crypto_ed25519_others(void **state)
{
    pn_secret_key seed;
    pn_ed25519_key key;
    uint8_t signature[PN_SIGNATURE_LEN];

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        memset(seed.bytes, (int)i, sizeof(seed.bytes));
        assert_int_equal(pn_ed25519_public(&seed, &key), PN_OK);
        assert_int_equal(pn_ed25519_sign(&seed, "x", 1, signature), PN_OK);
        assert_int_equal(pn_ed25519_verify(&key, "x", 1, signature), PN_OK);
        assert_int_equal(pn_ed25519_verify(&key, "y", 1, signature), PN_AUTH);
        assert_false(forge(&key));
    }
}

/* RFC 1321, appendix A.5. */
static void test_md5(void **state)
{
    static const char *const rows[][3] = {
        {"", NULL, "d41d8cd98f00b204e9800998ecf8427e"},
        {"abc", NULL, "900150983cd24fb0d6963f7d28e17f72"},
        {"message", " digest", "f96b697d7cb7938d525a2f31aaf161d0"},
        {"", "abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t got[PN_MD5_LEN];
        size_t len;
        uint8_t *want = pn_unhex(rows[i][2], &len);

        assert_int_equal(
            pn_md5(got, pn_slice_of(rows[i][0]), pn_slice_of(rows[i][1])),
            PN_OK);
        pn_assert_bytes(got, sizeof(got), want, len);
        free(want);
    }
}

int main(void)
{
    static unsigned rows[2 * N_POINTS];

    for (unsigned i = 0; i < 2 * N_POINTS; i++) {
        rows[i] = i;
        pn_test_addf(test_crypto_ed25519_low_order, &rows[i],
            "crypto/ed25519/T31_low_order/%u%s", i / 2,
            i % 2 == 1 ? "/negative" : "");
    }
    pn_test_add("crypto/md5/rfc1321", test_md5, NULL);
    pn_test_add("crypto/ed25519/others", test_crypto_ed25519_others, NULL);
    return pn_test_run("crypto/ed25519");
}

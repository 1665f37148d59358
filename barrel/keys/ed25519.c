/* SPDX-License-Identifier: Apache-2.0 */
/* Ed25519 (RFC 8032) through EVP_PKEY: no prehash, no context. */
#include <string.h>

#include <openssl/err.h>

#include "base/mutant.h"
#include "crypto/library.h"
#include "keys/ed25519.h"

/* NULL also when OpenSSL could not be set up. */
static EVP_PKEY *import_seed(const pn_secret_key *seed)
{
    const pn_crypto_library *lib = pn_crypto();

    return lib == NULL ? NULL
                       : EVP_PKEY_new_raw_private_key_ex(lib->context,
                           "ED25519", NULL, seed->bytes, PN_KEY_LEN);
}

pn_err pn_ed25519_public(const pn_secret_key *seed, pn_ed25519_key *ret_public)
{
    size_t len = PN_KEY_LEN;
    EVP_PKEY *key = import_seed(seed);
    const bool is_fine =
        key != NULL
        && EVP_PKEY_get_raw_public_key(key, ret_public->bytes, &len) == 1
        && len == PN_KEY_LEN;

    EVP_PKEY_free(key);
    return is_fine ? PN_OK : PN_SYS;
}

pn_err pn_ed25519_sign(const pn_secret_key *seed, const void *data, size_t len,
    uint8_t ret_signature[static PN_SIGNATURE_LEN])
{
    size_t signature_len = PN_SIGNATURE_LEN;
    EVP_PKEY *key = import_seed(seed);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const bool is_fine =
        key != NULL && ctx != NULL
        && EVP_DigestSignInit_ex(
               ctx, NULL, NULL, pn_crypto()->context, NULL, key, NULL)
               == 1
        && EVP_DigestSign(ctx, ret_signature, &signature_len, data, len) == 1
        && signature_len == PN_SIGNATURE_LEN;

    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return is_fine ? PN_OK : PN_SYS;
}

/* True when bytes 1 to 30 are all the same as fill, and the last is top. */
static bool is_between(
    const uint8_t y[static PN_PUBLIC_KEY_LEN], uint8_t fill, uint8_t top)
{
    bool is_same = y[PN_PUBLIC_KEY_LEN - 1] == top;

    for (unsigned i = 1; i < PN_PUBLIC_KEY_LEN - 1; i++) {
        is_same = is_same && y[i] == fill;
    }
    return is_same;
}

/*
 * A point whose order divides 8, whatever the sign of its x: y is 0, 1 or -1,
 * also as p and p + 1, or one of the two of order 8. Signatures for such a key
 * need no secret, and a file of zeros is one.
 */
static bool is_low_order(const pn_ed25519_key *key)
{
    static const uint8_t order_8[2][PN_PUBLIC_KEY_LEN] = {
        {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89,
            0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33,
            0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
        {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76,
            0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc,
            0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
    };
    uint8_t y[PN_PUBLIC_KEY_LEN];

    memcpy(y, key->bytes, sizeof(y));
    y[PN_PUBLIC_KEY_LEN - 1] &= 0x7f;
    return (y[0] <= 1 && is_between(y, 0, 0))
           || (y[0] >= 0xec && y[0] <= 0xee && is_between(y, 0xff, 0x7f))
           || memcmp(y, order_8[0], sizeof(y)) == 0
           || memcmp(y, order_8[1], sizeof(y)) == 0;
}

pn_err pn_ed25519_verify(const pn_ed25519_key *public_key, const void *data,
    size_t len, const uint8_t signature[static PN_SIGNATURE_LEN])
{
    const pn_crypto_library *lib = pn_crypto();
    EVP_MD_CTX *ctx = NULL;
    EVP_PKEY *key;
    bool failed;

    if (lib == NULL) {
        return PN_SYS;
    }
    if (PN_REFUSE_IF(ed25519_low_order, is_low_order(public_key))) {
        return PN_AUTH;
    }
    /* An application's queue of OpenSSL errors stays as it was. */
    (void)ERR_set_mark();
    key = EVP_PKEY_new_raw_public_key_ex(
        lib->context, "ED25519", NULL, public_key->bytes, PN_KEY_LEN);
    ctx = EVP_MD_CTX_new();
    failed = key == NULL || ctx == NULL
             || EVP_DigestVerifyInit_ex(
                    ctx, NULL, NULL, lib->context, NULL, key, NULL)
                    != 1
             || EVP_DigestVerify(ctx, signature, PN_SIGNATURE_LEN, data, len)
                    != 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    (void)ERR_pop_to_mark();
    return PN_REFUSE_IF(ed25519_signature, failed) ? PN_AUTH : PN_OK;
}

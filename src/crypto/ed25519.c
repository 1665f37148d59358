/* SPDX-License-Identifier: Apache-2.0 */
/* Ed25519 (RFC 8032) through EVP_PKEY: no prehash, no context. */
#include <openssl/err.h>

#include "base/mutant.h"
#include "crypto/library.h"

pn_err pn_ed25519_public(const pn_secret_key *seed, pn_public_key *ret_public)
{
    const pn_crypto_library *lib = pn_crypto();
    size_t len = PN_KEY_LEN;
    EVP_PKEY *key;
    bool is_fine;

    if (lib == NULL) {
        return PN_SYS;
    }
    key = EVP_PKEY_new_raw_private_key_ex(
        lib->context, "ED25519", NULL, seed->bytes, PN_KEY_LEN);
    is_fine = key != NULL
              && EVP_PKEY_get_raw_public_key(key, ret_public->bytes, &len) == 1
              && len == PN_KEY_LEN;
    EVP_PKEY_free(key);
    return is_fine ? PN_OK : PN_SYS;
}

pn_err pn_ed25519_sign(const pn_secret_key *seed, const void *data, size_t len,
    uint8_t ret_signature[static PN_SIGNATURE_LEN])
{
    const pn_crypto_library *lib = pn_crypto();
    size_t signature_len = PN_SIGNATURE_LEN;
    EVP_MD_CTX *ctx = NULL;
    EVP_PKEY *key;
    bool is_fine;

    if (lib == NULL) {
        return PN_SYS;
    }
    key = EVP_PKEY_new_raw_private_key_ex(
        lib->context, "ED25519", NULL, seed->bytes, PN_KEY_LEN);
    ctx = EVP_MD_CTX_new();
    is_fine =
        key != NULL && ctx != NULL
        && EVP_DigestSignInit_ex(ctx, NULL, NULL, lib->context, NULL, key, NULL)
               == 1
        && EVP_DigestSign(ctx, ret_signature, &signature_len, data, len) == 1
        && signature_len == PN_SIGNATURE_LEN;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return is_fine ? PN_OK : PN_SYS;
}

pn_err pn_ed25519_verify(const pn_public_key *public_key, const void *data,
    size_t len, const uint8_t signature[static PN_SIGNATURE_LEN])
{
    const pn_crypto_library *lib = pn_crypto();
    EVP_MD_CTX *ctx = NULL;
    EVP_PKEY *key;
    bool failed;

    if (lib == NULL) {
        return PN_SYS;
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
    return PN_CHECK(ed25519_signature, failed) ? PN_AUTH : PN_OK;
}

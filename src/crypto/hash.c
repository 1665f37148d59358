/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256, and HMAC over it (RFC 2104) as two hashes. */
#include <string.h>

#include "crypto/library.h"

#define BLOCK_LEN 64

pn_err pn_sha256(uint8_t ret_hash[static PN_HASH_LEN], const void *a,
    size_t a_len, const void *b, size_t b_len)
{
    const pn_crypto_library *lib = pn_crypto();
    EVP_MD_CTX *ctx;
    bool ok;

    if (lib == NULL) {
        return PN_SYS;
    }
    ctx = EVP_MD_CTX_new();
    ok = ctx != NULL && EVP_DigestInit_ex2(ctx, lib->sha256, NULL) == 1
         && (a_len == 0 || EVP_DigestUpdate(ctx, a, a_len) == 1)
         && (b_len == 0 || EVP_DigestUpdate(ctx, b, b_len) == 1)
         && EVP_DigestFinal_ex(ctx, ret_hash, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    return ok ? PN_OK : PN_SYS;
}

/* The key as one block, each byte xored with pad. */
static void hmac_block(uint8_t block[static BLOCK_LEN], const uint8_t *key,
    size_t key_len, uint8_t pad)
{
    memset(block, pad, BLOCK_LEN);
    for (size_t i = 0; i < key_len; i++) {
        block[i] ^= key[i];
    }
}

pn_err pn_hmac_sha256(uint8_t ret_mac[static PN_HASH_LEN], const uint8_t *key,
    size_t key_len, const uint8_t *data, size_t data_len)
{
    uint8_t short_key[PN_HASH_LEN];
    uint8_t block[BLOCK_LEN];
    uint8_t inner[PN_HASH_LEN];
    pn_err err = PN_OK;

    if (key_len > BLOCK_LEN) {
        err = pn_sha256(short_key, key, key_len, NULL, 0);
        key = short_key;
        key_len = sizeof(short_key);
    }
    if (err == PN_OK) {
        hmac_block(block, key, key_len, 0x36);
        err = pn_sha256(inner, block, sizeof(block), data, data_len);
    }
    if (err == PN_OK) {
        hmac_block(block, key, key_len, 0x5c);
        err = pn_sha256(ret_mac, block, sizeof(block), inner, sizeof(inner));
    }
    pn_wipe(short_key, sizeof(short_key));
    pn_wipe(block, sizeof(block));
    pn_wipe(inner, sizeof(inner));
    return err;
}

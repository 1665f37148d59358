/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256, HMAC over it (RFC 2104) as two hashes, HKDF (RFC 5869) as three
 * HMACs. */
#include <string.h>

#include "crypto/library.h"

#define BLOCK_LEN 64

static bool digest_parts(EVP_MD_CTX *ctx, const EVP_MD *md, uint8_t *ret_hash,
    const void *a, size_t a_len, const void *b, size_t b_len)
{
    return EVP_DigestInit_ex2(ctx, md, NULL) == 1
           && (a_len == 0 || EVP_DigestUpdate(ctx, a, a_len) == 1)
           && (b_len == 0 || EVP_DigestUpdate(ctx, b, b_len) == 1)
           && EVP_DigestFinal_ex(ctx, ret_hash, NULL) == 1;
}

static bool hash_parts(EVP_MD_CTX *ctx, uint8_t *ret_hash, const void *a,
    size_t a_len, const void *b, size_t b_len)
{
    return digest_parts(ctx, pn_crypto()->sha256, ret_hash, a, a_len, b, b_len);
}

/* NULL also when OpenSSL could not be set up. */
static EVP_MD_CTX *hash_new(void)
{
    return pn_crypto() == NULL ? NULL : EVP_MD_CTX_new();
}

pn_err pn_sha256(uint8_t ret_hash[static PN_HASH_LEN], const void *a,
    size_t a_len, const void *b, size_t b_len)
{
    EVP_MD_CTX *ctx = hash_new();
    bool ok = ctx != NULL && hash_parts(ctx, ret_hash, a, a_len, b, b_len);

    EVP_MD_CTX_free(ctx); /* wipes */
    return ok ? PN_OK : PN_SYS;
}

pn_err pn_md5(uint8_t ret_hash[static PN_MD5_LEN], const void *a, size_t a_len,
    const void *b, size_t b_len)
{
    EVP_MD_CTX *ctx = hash_new();
    bool ok = ctx != NULL && pn_crypto()->md5 != NULL
              && digest_parts(
                  ctx, pn_crypto()->md5, ret_hash, a, a_len, b, b_len);

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

static bool hmac(EVP_MD_CTX *ctx, uint8_t *ret_mac, const uint8_t *key,
    size_t key_len, const uint8_t *data, size_t data_len)
{
    uint8_t short_key[PN_HASH_LEN];
    uint8_t block[BLOCK_LEN];
    bool ok = true;

    if (key_len > BLOCK_LEN) {
        ok = hash_parts(ctx, short_key, key, key_len, NULL, 0);
        key = short_key;
        key_len = sizeof(short_key);
    }
    if (ok) {
        hmac_block(block, key, key_len, 0x36);
        ok = hash_parts(ctx, ret_mac, block, sizeof(block), data, data_len);
    }
    if (ok) {
        hmac_block(block, key, key_len, 0x5c);
        ok = hash_parts(
            ctx, ret_mac, block, sizeof(block), ret_mac, PN_HASH_LEN);
    }
    pn_wipe(short_key, sizeof(short_key));
    pn_wipe(block, sizeof(block));
    return ok;
}

pn_err pn_hmac_sha256(uint8_t ret_mac[static PN_HASH_LEN], const uint8_t *key,
    size_t key_len, const uint8_t *data, size_t data_len)
{
    EVP_MD_CTX *ctx = hash_new();
    bool ok = ctx != NULL && hmac(ctx, ret_mac, key, key_len, data, data_len);

    EVP_MD_CTX_free(ctx);
    return ok ? PN_OK : PN_SYS;
}

static bool hkdf2(EVP_MD_CTX *ctx, const uint8_t *salt, const uint8_t *ikm,
    size_t ikm_len, uint8_t *ret_1, uint8_t *ret_2)
{
    uint8_t key[PN_HASH_LEN];
    uint8_t block[PN_HASH_LEN + 1] = {1};
    bool ok = hmac(ctx, key, salt, PN_HASH_LEN, ikm, ikm_len)
              && hmac(ctx, ret_1, key, sizeof(key), block, 1);

    if (ok) {
        memcpy(block, ret_1, PN_HASH_LEN);
        block[PN_HASH_LEN] = 2;
        ok = hmac(ctx, ret_2, key, sizeof(key), block, sizeof(block));
    }
    pn_wipe(key, sizeof(key));
    pn_wipe(block, sizeof(block));
    return ok;
}

pn_err pn_hkdf2_sha256(const uint8_t salt[static PN_HASH_LEN],
    const uint8_t *ikm, size_t ikm_len, uint8_t ret_1[static PN_HASH_LEN],
    uint8_t ret_2[static PN_HASH_LEN])
{
    EVP_MD_CTX *ctx = hash_new();
    bool ok = ctx != NULL && hkdf2(ctx, salt, ikm, ikm_len, ret_1, ret_2);

    EVP_MD_CTX_free(ctx);
    return ok ? PN_OK : PN_SYS;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256, HMAC over it (RFC 2104) and HKDF (RFC 5869) as three HMACs.
 * libcrypto has HKDF too, but sets it up anew for each derivation, which costs
 * more than the three HMACs do.
 */
#include <string.h>

#include "crypto/library.h"

pn_err pn_sha256(uint8_t ret_hash[static PN_HASH_LEN], const void *a,
    size_t a_len, const void *b, size_t b_len)
{
    const pn_crypto_library *lib = pn_crypto();
    EVP_MD_CTX *ctx = lib == NULL ? NULL : EVP_MD_CTX_new();
    bool ok = ctx != NULL && EVP_DigestInit_ex2(ctx, lib->sha256, NULL) == 1
              && (a_len == 0 || EVP_DigestUpdate(ctx, a, a_len) == 1)
              && (b_len == 0 || EVP_DigestUpdate(ctx, b, b_len) == 1)
              && EVP_DigestFinal_ex(ctx, ret_hash, NULL) == 1;

    EVP_MD_CTX_free(ctx); /* wipes */
    return ok ? PN_OK : PN_SYS;
}

/* A context of HMAC-SHA256 that takes keys; NULL when there is none. */
static EVP_MAC_CTX *hmac_new(void)
{
    const pn_crypto_library *lib = pn_crypto();

    return lib == NULL ? NULL : EVP_MAC_CTX_dup(lib->hmac_sha256);
}

static bool hmac(EVP_MAC_CTX *ctx, uint8_t *ret_mac, const uint8_t *key,
    size_t key_len, const uint8_t *data, size_t data_len)
{
    size_t len = 0;

    return EVP_MAC_init(ctx, key, key_len, NULL) == 1
           && (data_len == 0 || EVP_MAC_update(ctx, data, data_len) == 1)
           && EVP_MAC_final(ctx, ret_mac, &len, PN_HASH_LEN) == 1;
}

pn_err pn_hmac_sha256(uint8_t ret_mac[static PN_HASH_LEN], const uint8_t *key,
    size_t key_len, const uint8_t *data, size_t data_len)
{
    EVP_MAC_CTX *ctx = hmac_new();
    bool ok = ctx != NULL && hmac(ctx, ret_mac, key, key_len, data, data_len);

    EVP_MAC_CTX_free(ctx); /* wipes */
    return ok ? PN_OK : PN_SYS;
}

/* Extract (RFC 5869, section 2.2), then Expand (section 2.3) to n blocks. */
static bool hkdf(EVP_MAC_CTX *ctx, const uint8_t *salt, const uint8_t *ikm,
    size_t ikm_len, uint8_t *const *ret_blocks, uint8_t n)
{
    uint8_t key[PN_HASH_LEN];
    uint8_t block[PN_HASH_LEN + 1];
    size_t before = 0; /* of the last block, in front of the counter */
    bool ok = hmac(ctx, key, salt, PN_HASH_LEN, ikm, ikm_len);

    for (uint8_t i = 0; ok && i < n; i++) {
        block[before] = (uint8_t)(i + 1);
        ok = hmac(ctx, ret_blocks[i], key, sizeof(key), block, before + 1);
        memcpy(block, ret_blocks[i], PN_HASH_LEN);
        before = PN_HASH_LEN;
    }
    pn_wipe(key, sizeof(key));
    pn_wipe(block, sizeof(block));
    return ok;
}

static pn_err hkdf_sha256(const uint8_t *salt, const uint8_t *ikm,
    size_t ikm_len, uint8_t *const *ret_blocks, uint8_t n)
{
    EVP_MAC_CTX *ctx = hmac_new();
    bool ok = ctx != NULL && hkdf(ctx, salt, ikm, ikm_len, ret_blocks, n);

    EVP_MAC_CTX_free(ctx);
    return ok ? PN_OK : PN_SYS;
}

pn_err pn_hkdf2_sha256(const uint8_t salt[static PN_HASH_LEN],
    const uint8_t *ikm, size_t ikm_len, uint8_t ret_1[static PN_HASH_LEN],
    uint8_t ret_2[static PN_HASH_LEN])
{
    uint8_t *const blocks[] = {ret_1, ret_2};

    return hkdf_sha256(salt, ikm, ikm_len, blocks, 2);
}

pn_err pn_hkdf3_sha256(const uint8_t salt[static PN_HASH_LEN],
    const uint8_t *ikm, size_t ikm_len, uint8_t ret_1[static PN_HASH_LEN],
    uint8_t ret_2[static PN_HASH_LEN], uint8_t ret_3[static PN_HASH_LEN])
{
    uint8_t *const blocks[] = {ret_1, ret_2, ret_3};

    return hkdf_sha256(salt, ikm, ikm_len, blocks, 3);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ChaCha20-Poly1305 (RFC 8439): one keyed context that lives as long as the
 * key; a message sets the nonce and nothing else.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/params.h>

#include "base/bytes.h"
#include "base/mutant.h"
#include "crypto/library.h"

#define NONCE_LEN 12

struct pn_aead {
    EVP_CIPHER_CTX *ctx;
    bool is_opener; /* which way ctx is set up at the moment */
};

pn_err pn_aead_new(const pn_secret_key *key, pn_aead **ret_aead)
{
    const pn_crypto_library *lib = pn_crypto();
    pn_aead *a;

    if (lib == NULL) {
        return PN_SYS;
    }
    a = calloc(1, sizeof(*a));
    if (a == NULL) {
        return PN_NOMEM;
    }
    a->ctx = EVP_CIPHER_CTX_new();
    if (a->ctx == NULL
        || EVP_EncryptInit_ex2(
               a->ctx, lib->chacha20_poly1305, key->bytes, NULL, NULL)
               != 1) {
        pn_aead_free(a);
        return PN_NOMEM;
    }
    *ret_aead = a;
    return PN_OK;
}

void pn_aead_free(pn_aead *a)
{
    if (a == NULL) {
        return;
    }
    EVP_CIPHER_CTX_free(a->ctx); /* wipes the key */
    free(a);
}

/* Noise section 12.3: four zero bytes, then the counter, little-endian. */
static bool set_nonce(pn_aead *a, uint64_t counter, bool opening)
{
    uint8_t nonce[NONCE_LEN] = {0};

    pn_store_le64(nonce + 4, counter);
    if (a->is_opener == opening) {
        return EVP_CipherInit_ex2(a->ctx, NULL, NULL, nonce, -1, NULL) == 1;
    }
    a->is_opener = opening;
    return EVP_CipherInit_ex2(a->ctx, NULL, NULL, nonce, opening ? 0 : 1, NULL)
           == 1;
}

/* EVP counts in int; no message of ours comes near. */
static bool update(pn_aead *a, const uint8_t *in, size_t len, uint8_t *out)
{
    int n = 0;

    return len == 0
           || (len <= INT32_MAX
               && EVP_CipherUpdate(a->ctx, out, &n, in, (int)len) == 1);
}

static bool get_tag(pn_aead *a, uint8_t *tag)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(
            OSSL_CIPHER_PARAM_AEAD_TAG, tag, PN_TAG_LEN),
        OSSL_PARAM_construct_end(),
    };

    return EVP_CIPHER_CTX_get_params(a->ctx, params) == 1;
}

static bool set_tag(pn_aead *a, const uint8_t *tag)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(
            OSSL_CIPHER_PARAM_AEAD_TAG, (void *)(uintptr_t)tag, PN_TAG_LEN),
        OSSL_PARAM_construct_end(),
    };

    return EVP_CIPHER_CTX_set_params(a->ctx, params) == 1;
}

pn_err pn_aead_seal(pn_aead *a, uint64_t counter, const uint8_t *ad,
    size_t ad_len, const uint8_t *in, size_t len, uint8_t *out)
{
    uint8_t none[PN_TAG_LEN];
    int n = 0;

    if (!set_nonce(a, counter, false) || !update(a, ad, ad_len, NULL)
        || !update(a, in, len, out) || EVP_CipherFinal_ex(a->ctx, none, &n) != 1
        || !get_tag(a, out + len)) {
        pn_wipe(out, len + PN_TAG_LEN);
        return PN_SYS;
    }
    return PN_OK;
}

pn_err pn_aead_open(pn_aead *a, uint64_t counter, const uint8_t *ad,
    size_t ad_len, const uint8_t *in, size_t len, uint8_t *out)
{
    uint8_t none[PN_TAG_LEN];
    size_t out_len = len - PN_TAG_LEN;
    bool failed;
    int n = 0;

    failed = !set_nonce(a, counter, true) || !set_tag(a, in + out_len)
             || !update(a, ad, ad_len, NULL) || !update(a, in, out_len, out)
             || EVP_CipherFinal_ex(a->ctx, none, &n) != 1;
    if (PN_CHECK(aead_tag, failed)) {
        pn_wipe(out, out_len);
        return PN_AUTH;
    }
    return PN_OK;
}

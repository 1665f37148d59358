/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ChaCha20-Poly1305 (RFC 8439, section 2.8): one keyed context that lives as
 * long as the key; a message sets the nonce and nothing else.
 *
 * OpenSSL's general initialisation takes most of the time of a short message.
 * The cipher has a parameter ("tlsivfixed", 12 bytes) that sets the nonce of a
 * context which has just finished a message. The parameter was made for TLS, so
 * it is used only after a trial in this process has given the same bytes as the
 * general initialisation. The first message of a context, the one after a
 * failure and the one after a change of direction are initialised in full.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/params.h>

#include "base/bytes.h"
#include "base/mutant.h"
#include "crypto/fork.h"
#include "crypto/library.h"

#define NONCE_LEN 12

typedef enum direction { UNSET, SEALING, OPENING } direction;

struct pn_aead {
    EVP_CIPHER_CTX *ctx;
    uint64_t epoch;      /* of the process that made it */
    direction direction; /* UNSET: the next message initialises in full */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool nonce_by_param;
static void try_nonce_by_param(void);

static pn_err aead_new(const pn_secret_key *key, pn_aead **ret_aead)
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
    a->epoch = pn_fork_epoch();
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

pn_err pn_aead_new(const pn_secret_key *key, pn_aead **ret_aead)
{
    (void)pthread_once(&once, try_nonce_by_param);
    return aead_new(key, ret_aead);
}

void pn_aead_free(pn_aead *a)
{
    if (a == NULL) {
        return;
    }
    EVP_CIPHER_CTX_free(a->ctx); /* wipes the key */
    free(a);
}

/* The nonce of the next message and, to open it, the tag it must have. */
static bool begin(pn_aead *a, direction d, uint64_t counter, const uint8_t *tag)
{
    uint8_t nonce[NONCE_LEN] = {0}; /* Noise, section 12.3 */
    OSSL_PARAM params[3];
    size_t n = 0;

    pn_store_le64(nonce + 4, counter);
    if (a->direction == d && nonce_by_param) {
        params[n++] = (OSSL_PARAM)OSSL_PARAM_octet_string(
            OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED, nonce, NONCE_LEN);
    } else if (EVP_CipherInit_ex2(
                   a->ctx, NULL, NULL, nonce, d == SEALING ? 1 : 0, NULL)
               != 1) {
        return false;
    }
    if (tag != NULL) {
        params[n++] = (OSSL_PARAM)OSSL_PARAM_octet_string(
            OSSL_CIPHER_PARAM_AEAD_TAG, (void *)(uintptr_t)tag, PN_TAG_LEN);
    }
    params[n] = (OSSL_PARAM)OSSL_PARAM_END;
    /* The context counts as unset until this message has ended well. */
    a->direction = UNSET;
    return n == 0 || EVP_CIPHER_CTX_set_params(a->ctx, params) == 1;
}

/* EVP counts in int. No message of ours is that long. */
static bool update(pn_aead *a, const uint8_t *in, size_t len, uint8_t *out)
{
    int n = 0;

    return len == 0
           || (len <= INT32_MAX
               && EVP_CipherUpdate(a->ctx, out, &n, in, (int)len) == 1);
}

/* When opening, this compares the tag. */
static bool end(pn_aead *a)
{
    uint8_t none[PN_TAG_LEN];
    int n = 0;

    return EVP_CipherFinal_ex(a->ctx, none, &n) == 1;
}

static bool get_tag(pn_aead *a, uint8_t *tag)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, tag, PN_TAG_LEN),
        OSSL_PARAM_END,
    };

    return EVP_CIPHER_CTX_get_params(a->ctx, params) == 1;
}

pn_err pn_aead_seal(pn_aead *a, uint64_t counter, const uint8_t *ad,
    size_t ad_len, const uint8_t *in, size_t len, uint8_t *out)
{
    if (PN_REFUSE_IF(aead_seal_after_fork, a->epoch != pn_fork_epoch())) {
        return PN_STATE;
    }
    if (!begin(a, SEALING, counter, NULL) || !update(a, ad, ad_len, NULL)
        || !update(a, in, len, out) || !end(a) || !get_tag(a, out + len)) {
        pn_wipe(out, len + PN_TAG_LEN);
        return PN_SYS;
    }
    a->direction = SEALING;
    return PN_OK;
}

pn_err pn_aead_open(pn_aead *a, uint64_t counter, const uint8_t *ad,
    size_t ad_len, const uint8_t *in, size_t len, uint8_t *out)
{
    size_t out_len = len - PN_TAG_LEN;
    bool failed;

    failed = !begin(a, OPENING, counter, in + out_len)
             || !update(a, ad, ad_len, NULL) || !update(a, in, out_len, out)
             || !end(a);
    if (PN_REFUSE_IF(aead_tag, failed)) {
        pn_wipe(out, out_len);
        return PN_AUTH;
    }
    a->direction = OPENING;
    return PN_OK;
}

/* ---- the trial ----------------------------------------------------------- */

#define TRIAL_LEN 300

/* Seals messages of several sizes, with and without additional data, through a
 * and through a context that is initialised in full each time. */
static bool trial_seals(pn_aead *a, pn_aead *full)
{
    static const size_t lens[] = {5, 64, 0, 191, TRIAL_LEN, 64};
    uint8_t ad[20] = {1};
    uint8_t one[TRIAL_LEN + PN_TAG_LEN] = {0};
    uint8_t two[TRIAL_LEN + PN_TAG_LEN] = {0};

    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        size_t ad_len = i % 2 == 0 ? 0 : sizeof(ad);
        uint64_t counter = UINT64_C(0x0123456789abcdef) * i;

        full->direction = UNSET;
        if (pn_aead_seal(a, counter, ad, ad_len, one, lens[i], one) != PN_OK
            || pn_aead_seal(full, counter, ad, ad_len, two, lens[i], two)
                   != PN_OK
            || memcmp(one, two, sizeof(one)) != 0) {
            return false;
        }
    }
    return true;
}

/* A context that has opened one message opens the next one, and no other. */
static bool trial_opens(pn_aead *a, pn_aead *full)
{
    uint8_t sealed[64 + PN_TAG_LEN] = {0};
    uint8_t plain[64];

    for (uint64_t i = 1; i < 4; i++) {
        full->direction = UNSET;
        if (pn_aead_seal(full, i, NULL, 0, sealed, 64, sealed) != PN_OK
            || pn_aead_open(a, i, NULL, 0, sealed, sizeof(sealed), plain)
                   != PN_OK
            || pn_aead_open(a, i + 1, NULL, 0, sealed, sizeof(sealed), plain)
                   != PN_AUTH) {
            return false;
        }
    }
    return true;
}

static void try_nonce_by_param(void)
{
    pn_secret_key key = {{7}};
    pn_aead *sealer = NULL;
    pn_aead *opener = NULL;
    pn_aead *full = NULL;

    nonce_by_param = true;
    nonce_by_param = aead_new(&key, &sealer) == PN_OK
                     && aead_new(&key, &opener) == PN_OK
                     && aead_new(&key, &full) == PN_OK
                     && trial_seals(sealer, full) && trial_opens(opener, full);
    pn_aead_free(sealer);
    pn_aead_free(opener);
    pn_aead_free(full);
}

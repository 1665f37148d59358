/* SPDX-License-Identifier: Apache-2.0 */
/*
 * X25519 (RFC 7748, section 5) through EVP_PKEY.
 *
 * Two things here are for speed, both measured. A private key is imported
 * together with a public key that is not its own: derivation does not read it,
 * and OpenSSL would spend a whole multiplication on the right one. A public key
 * is computed as X25519(secret, 9) (RFC 7748, section 6.1), because OpenSSL's
 * own function takes half as long again as its derivation.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>

#include "base/mutant.h"
#include "crypto/library.h"

static const pn_public_key base_point = {{9}};

/* One per thread: an importer, and a key object that takes each peer's public
 * key in turn. Neither holds a secret. */
typedef struct scratch {
    EVP_PKEY_CTX *importer;
    EVP_PKEY *peer;
} scratch;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t scratch_key;
static bool has_scratch_key;

static void scratch_free(void *p)
{
    scratch *s = p;

    EVP_PKEY_free(s->peer);
    EVP_PKEY_CTX_free(s->importer);
    free(s);
}

static void scratch_init(void)
{
    has_scratch_key = pthread_key_create(&scratch_key, scratch_free) == 0;
}

static scratch *scratch_new(const pn_crypto_library *lib)
{
    scratch *s = calloc(1, sizeof(*s));

    if (s == NULL) {
        return NULL;
    }
    s->importer = EVP_PKEY_CTX_new_from_name(lib->context, "X25519", NULL);
    s->peer = EVP_PKEY_new_raw_public_key_ex(
        lib->context, "X25519", NULL, base_point.bytes, PN_KEY_LEN);
    if (s->importer == NULL || s->peer == NULL
        || EVP_PKEY_fromdata_init(s->importer) != 1
        || pthread_setspecific(scratch_key, s) != 0) {
        scratch_free(s);
        return NULL;
    }
    return s;
}

static scratch *scratch_get(const pn_crypto_library *lib)
{
    scratch *s;

    (void)pthread_once(&once, scratch_init);
    if (!has_scratch_key) {
        return NULL;
    }
    s = pthread_getspecific(scratch_key);
    return s != NULL ? s : scratch_new(lib);
}

static EVP_PKEY *import_secret(scratch *s, const pn_secret_key *secret)
{
    EVP_PKEY *key = NULL;
    /* OSSL_PARAM has no const form; OpenSSL only reads these. */
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY,
            (void *)(uintptr_t)base_point.bytes, PN_KEY_LEN),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PRIV_KEY,
            (void *)(uintptr_t)secret->bytes, PN_KEY_LEN),
        OSSL_PARAM_construct_end(),
    };

    if (EVP_PKEY_fromdata(s->importer, &key, EVP_PKEY_KEYPAIR, params) != 1) {
        return NULL;
    }
    return key;
}

static bool is_zero(const uint8_t bytes[static PN_KEY_LEN])
{
    static const uint8_t zero[PN_KEY_LEN];

    return pn_secret_equal(bytes, zero, PN_KEY_LEN);
}

/* OpenSSL fails on an all-zero result too. It is checked here as well, because
 * RFC 7748, section 6.1, leaves that check to the caller. */
static pn_err derive(EVP_PKEY_CTX *ctx, uint8_t ret_shared[static PN_KEY_LEN])
{
    size_t len = PN_KEY_LEN;
    bool failed;

    pn_wipe(ret_shared, PN_KEY_LEN);
    failed = EVP_PKEY_derive(ctx, ret_shared, &len) != 1 || len != PN_KEY_LEN
             || is_zero(ret_shared);
    if (PN_REFUSE_IF(x25519_low_order, failed)) {
        pn_wipe(ret_shared, PN_KEY_LEN);
        return PN_AUTH;
    }
    return PN_OK;
}

struct pn_dh {
    EVP_PKEY_CTX *ctx;
};

static pn_err dh_new(const pn_crypto_library *lib, scratch *s,
    const pn_secret_key *secret, pn_dh **ret_dh)
{
    pn_dh *dh = calloc(1, sizeof(*dh));
    EVP_PKEY *own;

    if (dh == NULL) {
        return PN_NOMEM;
    }
    own = import_secret(s, secret);
    if (own != NULL) {
        dh->ctx = EVP_PKEY_CTX_new_from_pkey(lib->context, own, NULL);
    }
    EVP_PKEY_free(own); /* ctx has its own reference */
    if (dh->ctx == NULL || EVP_PKEY_derive_init(dh->ctx) != 1) {
        pn_dh_free(dh);
        return PN_SYS;
    }
    *ret_dh = dh;
    return PN_OK;
}

pn_err pn_dh_new(const pn_secret_key *secret, pn_dh **ret_dh)
{
    const pn_crypto_library *lib = pn_crypto();
    scratch *s = lib == NULL ? NULL : scratch_get(lib);

    return s == NULL ? PN_SYS : dh_new(lib, s, secret, ret_dh);
}

void pn_dh_free(pn_dh *dh)
{
    if (dh == NULL) {
        return;
    }
    EVP_PKEY_CTX_free(dh->ctx); /* wipes the secret */
    free(dh);
}

pn_err pn_dh_shared(
    pn_dh *dh, const pn_public_key *peer, uint8_t ret_shared[static PN_KEY_LEN])
{
    const pn_crypto_library *lib = pn_crypto();
    scratch *s = lib == NULL ? NULL : scratch_get(lib);
    pn_err err = PN_SYS;

    if (s == NULL) {
        return PN_SYS;
    }
    /* An application's queue of OpenSSL errors stays as it was. */
    (void)ERR_set_mark();
    if (EVP_PKEY_set1_encoded_public_key(s->peer, peer->bytes, PN_KEY_LEN) == 1
        && EVP_PKEY_derive_set_peer_ex(dh->ctx, s->peer, 0) == 1) {
        err = derive(dh->ctx, ret_shared);
    }
    (void)ERR_pop_to_mark();
    return err;
}

pn_err pn_dh_public(pn_dh *dh, pn_public_key *ret_public)
{
    return pn_dh_shared(dh, &base_point, ret_public->bytes);
}

pn_err pn_x25519(const pn_secret_key *secret, const pn_public_key *peer,
    uint8_t ret_shared[static PN_KEY_LEN])
{
    pn_dh *dh;
    pn_err err = pn_dh_new(secret, &dh);

    if (err != PN_OK) {
        return err;
    }
    err = pn_dh_shared(dh, peer, ret_shared);
    pn_dh_free(dh);
    return err;
}

pn_err pn_x25519_public(const pn_secret_key *secret, pn_public_key *ret_public)
{
    return pn_x25519(secret, &base_point, ret_public->bytes);
}

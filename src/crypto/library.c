/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets OpenSSL up once per process; see library.h. Nothing is freed at exit:
 * OpenSSL's own exit handler may have run before one of ours.
 */
#include <pthread.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/provider.h>
#include <openssl/rand.h>

#include "crypto/library.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pn_crypto_library library;
static bool is_ready;

/* NULL when there is none. */
static EVP_MAC_CTX *hmac_template(OSSL_LIB_CTX *context)
{
    EVP_MAC *mac = EVP_MAC_fetch(context, "HMAC", NULL);
    EVP_MAC_CTX *ctx = mac == NULL ? NULL : EVP_MAC_CTX_new(mac);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(
            OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0),
        OSSL_PARAM_construct_end(),
    };

    EVP_MAC_free(mac); /* ctx has its own reference */
    if (ctx != NULL && EVP_MAC_CTX_set_params(ctx, params) != 1) {
        EVP_MAC_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

static void library_init(void)
{
    library.context = OSSL_LIB_CTX_new();
    if (library.context == NULL) {
        return;
    }
    library.provider = OSSL_PROVIDER_load(library.context, "default");
    library.chacha20_poly1305 = EVP_CIPHER_fetch(
        library.context, "ChaCha20-Poly1305", NULL);
    library.sha256 = EVP_MD_fetch(library.context, "SHA256", NULL);
    library.hmac_sha256 = hmac_template(library.context);
    is_ready = library.provider != NULL && library.chacha20_poly1305 != NULL
               && library.sha256 != NULL && library.hmac_sha256 != NULL;
}

const pn_crypto_library *pn_crypto(void)
{
    (void)pthread_once(&once, library_init);
    return is_ready ? &library : NULL;
}

bool pn_secret_equal(const void *a, const void *b, size_t n)
{
    return CRYPTO_memcmp(a, b, n) == 0;
}

pn_err pn_random(uint8_t *buf, size_t len)
{
    const pn_crypto_library *lib = pn_crypto();

    if (lib == NULL || RAND_priv_bytes_ex(lib->context, buf, len, 0) != 1) {
        return PN_SYS;
    }
    return PN_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets OpenSSL up once per process; see library.h. It is never torn down:
 * OpenSSL's own exit handler may have run before any of ours would.
 */
#include <pthread.h>

#include <openssl/crypto.h>
#include <openssl/provider.h>
#include <openssl/rand.h>

#include "crypto/library.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pn_crypto_library library;
static bool is_ready;

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
    library.md5 = EVP_MD_fetch(library.context, "MD5", NULL);
    is_ready = library.provider != NULL && library.chacha20_poly1305 != NULL
               && library.sha256 != NULL;
}

const pn_crypto_library *pn_crypto(void)
{
    (void)pthread_once(&once, library_init);
    return is_ready ? &library : NULL;
}

void pn_wipe(void *p, size_t n)
{
    if (p != NULL) {
        OPENSSL_cleanse(p, n);
    }
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

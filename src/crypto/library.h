/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One OpenSSL library context of our own, and the algorithms fetched from it
 * once. An application's OpenSSL settings do not reach it, nor ours the
 * application's.
 */
#ifndef PN_CRYPTO_LIBRARY_H
#define PN_CRYPTO_LIBRARY_H

#include <openssl/evp.h>

#include "base/core.h"
#include "crypto/crypto.h"

typedef struct pn_crypto_library {
    OSSL_LIB_CTX *context;
    OSSL_PROVIDER *provider;
    EVP_CIPHER *chacha20_poly1305;
    EVP_MD *sha256;
    EVP_MAC_CTX *hmac_sha256; /* without a key: each use copies it */
} pn_crypto_library;

/* NULL when OpenSSL could not be set up. Thread: any. */
PN_CORE const pn_crypto_library *pn_crypto(void);

#endif

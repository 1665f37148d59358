/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of this folder share: one OpenSSL library context of our own,
 * so that neither an application's OpenSSL settings change what we do nor ours
 * its, and the algorithms fetched from it once.
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
    EVP_MD *md5; /* NULL: there is none, which only Barrel would miss */
} pn_crypto_library;

/* NULL when OpenSSL could not be set up. Thread: any. */
PN_CORE const pn_crypto_library *pn_crypto(void);

#endif

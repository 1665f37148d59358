/* SPDX-License-Identifier: Apache-2.0 */
#include "keys/md5.h"

#include <openssl/crypto.h>

#include "crypto/library.h"

pn_err pn_md5(uint8_t ret_hash[static PN_MD5_LEN], pn_slice a, pn_slice b)
{
    const pn_crypto_library *lib = pn_crypto();
    EVP_MD *md = lib == NULL ? NULL : EVP_MD_fetch(lib->context, "MD5", NULL);
    EVP_MD_CTX *ctx = md == NULL ? NULL : EVP_MD_CTX_new();
    const bool is_fine = ctx != NULL && EVP_DigestInit_ex2(ctx, md, NULL) == 1
                         && EVP_DigestUpdate(ctx, a.data, a.len) == 1
                         && EVP_DigestUpdate(ctx, b.data, b.len) == 1
                         && EVP_DigestFinal_ex(ctx, ret_hash, NULL) == 1;

    EVP_MD_CTX_free(ctx); /* wipes */
    EVP_MD_free(md);
    return is_fine ? PN_OK : PN_SYS;
}

bool pn_md5_equal(
    const uint8_t a[static PN_MD5_LEN], const uint8_t b[static PN_MD5_LEN])
{
    return CRYPTO_memcmp(a, b, PN_MD5_LEN) == 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* scrypt (RFC 7914), libcrypto's. */
#include "crypto/library.h"

pn_err pn_scrypt(pn_slice passphrase, pn_slice salt, unsigned log_n, uint32_t r,
    uint32_t p, pn_secret_key *ret_key)
{
    const pn_crypto_library *lib = pn_crypto();
    const uint64_t n = UINT64_C(1) << log_n;
    /* Blocks of 128 * r bytes: N and two of the mixing, and p of its input. */
    const uint64_t max_bytes = UINT64_C(128) * r * (n + 2 + p);

    if (lib == NULL) {
        return PN_SYS;
    }
    return EVP_PBE_scrypt_ex((const char *)passphrase.data, passphrase.len,
               salt.data, salt.len, n, r, p, max_bytes, ret_key->bytes,
               sizeof(ret_key->bytes), lib->context, NULL)
                   == 1
               ? PN_OK
               : PN_NOMEM;
}

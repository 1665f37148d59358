/* SPDX-License-Identifier: Apache-2.0 */
/* MD5 (RFC 1321), for Erlang's handshake alone. */
#ifndef PN_KEYS_MD5_H
#define PN_KEYS_MD5_H

#include "crypto/crypto.h"

#define PN_MD5_LEN 16

/* MD5 over two parts. Errors: PN_SYS, also where this OpenSSL has no MD5.
 * Thread: any. */
PN_MUST_USE pn_err pn_md5(
    uint8_t ret_hash[static PN_MD5_LEN], pn_slice a, pn_slice b);
/* Compares in a time that does not depend on the bytes. Thread: any. */
bool pn_md5_equal(
    const uint8_t a[static PN_MD5_LEN], const uint8_t b[static PN_MD5_LEN]);

#endif

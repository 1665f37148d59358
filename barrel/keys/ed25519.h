/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ed25519 (RFC 8032), no prehash, no context. A seed is the 32 bytes that the
 * private key is made of. Errors: PN_SYS; verify returns PN_AUTH for a
 * signature that is not good, and for a key of low order (T31), for which no
 * secret is needed. Thread: any.
 */
#ifndef PN_KEYS_ED25519_H
#define PN_KEYS_ED25519_H

#include "crypto/crypto.h"

#define PN_SIGNATURE_LEN 64

/* It lives in memory of pn_secure_alloc. */
typedef struct pn_ed25519_pair {
    pn_secret_key secret; /* the seed */
    pn_ed25519_key public_key;
} pn_ed25519_pair;

PN_MUST_USE pn_err pn_ed25519_public(
    const pn_secret_key *seed, pn_ed25519_key *ret_public);
PN_MUST_USE pn_err pn_ed25519_sign(const pn_secret_key *seed, const void *data,
    size_t len, uint8_t ret_signature[static PN_SIGNATURE_LEN]);
PN_MUST_USE pn_err pn_ed25519_verify(const pn_ed25519_key *public_key,
    const void *data, size_t len,
    const uint8_t signature[static PN_SIGNATURE_LEN]);

#endif

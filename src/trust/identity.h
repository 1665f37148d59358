/* SPDX-License-Identifier: Apache-2.0 */
/* The identity keyfile `identity.keys` (docs/PROTOCOL.md, section 8.2). */
#ifndef PN_TRUST_IDENTITY_H
#define PN_TRUST_IDENTITY_H

#include "crypto/crypto.h"

#define PN_IDENTITY_LEN 71

/* Reads a keyfile's bytes: PN_CORRUPT with a sentence in *ret_why for a wrong
 * magic, version (Ed25519 has its own sentence), length, or a public key that
 * does not belong to the private one. */
PN_MUST_USE pn_err pn_identity_read(const uint8_t *data, size_t len,
    pn_key_pair *ret_pair, const char **ret_why);
void pn_identity_write(
    const pn_key_pair *pair, uint8_t out[static PN_IDENTITY_LEN]);

#endif

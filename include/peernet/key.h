/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Public keys as people meet them: 32 bytes of X25519, 52 characters of
 * Base32 (RFC 4648, upper case, no padding), 64 of hexadecimal, or a
 * fingerprint of 16 for display only.
 */
#ifndef PEERNET_KEY_H
#define PEERNET_KEY_H

#include <peernet/error.h>

PN_BEGIN_DECLS

#define PN_PUBLIC_KEY_LEN 32
#define PN_BASE32_LEN 52
#define PN_FINGERPRINT_LEN 16

/** An X25519 public key; for PeerNet it is also the peer's address. */
typedef struct pn_public_key {
    uint8_t bytes[PN_PUBLIC_KEY_LEN];
} pn_public_key;

/** True when both keys are the same; takes the same time whatever differs.
 * Thread: any. */
PN_API bool pn_key_equal(const pn_public_key *a, const pn_public_key *b);

/**
 * Writes key as Base32, upper case, no padding, NUL-terminated.
 * Thread: any. Source: RFC 4648 section 6; PeerNet wire, section 7.
 */
PN_API void pn_key_to_base32(
    const pn_public_key *key, char ret_text[PN_BASE32_LEN + 1]);

/**
 * Writes key's fingerprint: the first 8 bytes of SHA-256 over it, lower-case
 * hexadecimal, NUL-terminated; question marks if memory runs out. For display,
 * never for identity.
 * Thread: any. Source: PeerNet wire, section 7.
 */
PN_API void pn_key_fingerprint(
    const pn_public_key *key, char ret_text[PN_FINGERPRINT_LEN + 1]);

/**
 * Reads a key from Base32 (either case; spaces, and '-' between groups, are
 * refused) or from 64 hexadecimal digits.
 * Errors: PN_INVALID neither form, wrong length, non-zero trailing bits;
 * *ret_key is untouched then.
 * Thread: any. Source: RFC 4648 section 6.
 */
PN_API PN_MUST_USE pn_err pn_key_parse(
    const char *text, pn_public_key *ret_key);

PN_END_DECLS

#endif

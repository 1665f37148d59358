/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Public keys and their texts: 52 characters of Base32 (RFC 4648, upper case,
 * no padding), 64 of hexadecimal, or a fingerprint of 16 for display only. Each
 * family of links has a kind of key and a type for it; a principal is one of
 * either family.
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

/** An Ed25519 public key, the identity of a node of the Barrel family; all
 * zeros: the node has proven none. */
typedef struct pn_ed25519_key {
    uint8_t bytes[PN_PUBLIC_KEY_LEN];
} pn_ed25519_key;

/** The families of links. */
typedef enum pn_family { PN_FAMILY_PEERNET, PN_FAMILY_BARREL } pn_family;

/** A peer or a node: the family of its links, and the member of key that
 * belongs to that family. Keys of different families are never equal. */
typedef struct pn_principal {
    pn_family family;
    union {
        pn_public_key x25519;   /* PN_FAMILY_PEERNET */
        pn_ed25519_key ed25519; /* PN_FAMILY_BARREL */
    } key;
} pn_principal;

/** Returns the principal of a peer; key is copied. Thread: any. */
static inline pn_principal pn_peernet_principal(const pn_public_key *key)
{
    pn_principal who;

    who.family = PN_FAMILY_PEERNET;
    who.key.x25519 = *key;
    return who;
}

/** Returns the principal of a Barrel node; key is copied. Thread: any. */
static inline pn_principal pn_barrel_principal(const pn_ed25519_key *key)
{
    pn_principal who;

    who.family = PN_FAMILY_BARREL;
    who.key.ed25519 = *key;
    return who;
}

/**
 * True when both keys are the same. The time does not depend on the bytes that
 * differ. Thread: any.
 */
PN_API bool pn_key_equal(const pn_public_key *a, const pn_public_key *b);

/**
 * Writes key as Base32, upper case, no padding, NUL-terminated.
 * Thread: any. Source: RFC 4648, section 6; docs/PROTOCOL.md, section 8.1.
 */
PN_API void pn_key_to_base32(
    const pn_public_key *key, char ret_text[PN_BASE32_LEN + 1]);

/**
 * Writes key's fingerprint: the first 8 bytes of SHA-256 over it, lower-case
 * hexadecimal, NUL-terminated; question marks if libcrypto fails. For display,
 * never for identity.
 * Thread: any. Source: docs/PROTOCOL.md, section 8.1.
 */
PN_API void pn_key_fingerprint(
    const pn_public_key *key, char ret_text[PN_FINGERPRINT_LEN + 1]);

/**
 * Reads a key from 52 digits of Base32 or 64 of hexadecimal, in either case;
 * spaces and '-' are refused.
 * Errors: PN_INVALID text is neither, has non-zero trailing bits, or an
 * argument is NULL; *ret_key is untouched then.
 * Thread: any. Source: RFC 4648, section 6; docs/PROTOCOL.md, section 8.1.
 */
PN_API PN_MUST_USE pn_err pn_key_parse(
    const char *text, pn_public_key *ret_key);

/** True when both keys are the same, as pn_key_equal. Thread: any. */
PN_API bool pn_ed25519_key_equal(
    const pn_ed25519_key *a, const pn_ed25519_key *b);

/**
 * Reads a key from text, as pn_key_parse. Errors: as pn_key_parse.
 * Thread: any. Source: RFC 4648, section 6.
 */
PN_API PN_MUST_USE pn_err pn_ed25519_key_parse(
    const char *text, pn_ed25519_key *ret_key);

/**
 * True when both are of one family and have the same key. The time does not
 * depend on the bytes that differ. Thread: any.
 */
PN_API bool pn_principal_equal(const pn_principal *a, const pn_principal *b);

/** False: the key is all zeros, because none was proven. Thread: any. */
PN_API bool pn_principal_has_key(const pn_principal *who);

/**
 * Writes the key as pn_key_to_base32 does.
 * Thread: any. Source: RFC 4648, section 6.
 */
PN_API void pn_principal_to_base32(
    const pn_principal *who, char ret_text[PN_BASE32_LEN + 1]);

/**
 * Writes the key's fingerprint as pn_key_fingerprint does.
 * Thread: any. Source: docs/PROTOCOL.md, section 8.1.
 */
PN_API void pn_principal_fingerprint(
    const pn_principal *who, char ret_text[PN_FINGERPRINT_LEN + 1]);

PN_END_DECLS

#endif

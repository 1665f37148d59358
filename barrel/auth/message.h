/* SPDX-License-Identifier: Apache-2.0 */
/* The five messages of the auth stream; docs/BARREL-PROTOCOL.md, sections 3 to
 * 5. */
#ifndef PN_BARREL_AUTH_MESSAGE_H
#define PN_BARREL_AUTH_MESSAGE_H

#include "crypto/crypto.h"
#include "keys/ed25519.h"
#include "keys/node_name.h"

/* On the wire in front of each: how many bytes it has, big-endian. */
#define PN_AUTH_HEADER_LEN 2
/* No honest message is longer; more is refused before it is stored. */
#define PN_AUTH_MESSAGE_MAX 512
#define PN_AUTH_NONCE_LEN 32
#define PN_AUTH_BINDING_LEN 32
#define PN_AUTH_SIGNED_LEN 104
#define PN_AUTH_VERSION 2

typedef enum pn_auth_type {
    PN_AUTH_HELLO = 1,
    PN_AUTH_CHALLENGE = 2,
    PN_AUTH_RESPONSE = 3,
    PN_AUTH_OK = 4,
    PN_AUTH_FAIL = 5
} pn_auth_type;

/* The defects of a message; local, never sent. The names are upstream's. */
typedef enum pn_auth_decoded {
    PN_AUTH_DECODED,
    PN_AUTH_MALFORMED_MESSAGE,
    PN_AUTH_UNKNOWN_MESSAGE_TYPE,
    PN_AUTH_UNSUPPORTED_VERSION,
    PN_AUTH_INVALID_HELLO_PAYLOAD,
    PN_AUTH_INVALID_NODE_NAME,
    PN_AUTH_INVALID_CHALLENGE_PAYLOAD,
    PN_AUTH_INVALID_RESPONSE_PAYLOAD,
    PN_AUTH_INVALID_FAIL_PAYLOAD
} pn_auth_decoded;

typedef struct pn_auth_challenge {
    uint8_t nonce[PN_AUTH_NONCE_LEN];
    uint64_t wall_ms; /* milliseconds since 1970, UTC */
} pn_auth_challenge;

/* Slices point into the decoded bytes. */
typedef struct pn_auth_message {
    pn_auth_type type;
    pn_slice name;      /* HELLO */
    pn_ed25519_key key; /* HELLO: Ed25519 */
    pn_auth_challenge challenge;
    const uint8_t *signature; /* RESPONSE: PN_SIGNATURE_LEN bytes */
    pn_slice reason;          /* FAIL */
} pn_auth_message;

/* Takes a whole message without its header. */
pn_auth_decoded pn_auth_decode(
    const uint8_t *data, size_t len, pn_auth_message *ret_message);
const char *pn_auth_decoded_text(pn_auth_decoded decoded);

/*
 * Writes header and message to out, which has room for PN_AUTH_HEADER_LEN +
 * PN_AUTH_MESSAGE_MAX bytes, and returns how many they are. name is valid;
 * reason is shorter than 256 bytes.
 */
size_t pn_auth_encode_hello(
    uint8_t *out, pn_slice name, const pn_ed25519_key *key);
size_t pn_auth_encode_challenge(
    uint8_t *out, const pn_auth_challenge *challenge);
size_t pn_auth_encode_response(
    uint8_t *out, const uint8_t signature[static PN_SIGNATURE_LEN]);
size_t pn_auth_encode_ok(uint8_t *out);
size_t pn_auth_encode_fail(uint8_t *out, pn_slice reason);

/* The bytes that a RESPONSE signs: the other side's challenge, the signer's own
 * key, the binding to the channel. docs/BARREL-PROTOCOL.md, section 5.1. */
void pn_auth_signed_bytes(uint8_t out[static PN_AUTH_SIGNED_LEN],
    const pn_auth_challenge *challenge, const pn_ed25519_key *signer,
    const uint8_t binding[static PN_AUTH_BINDING_LEN]);

#endif

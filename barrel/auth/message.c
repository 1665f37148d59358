/* SPDX-License-Identifier: Apache-2.0 */
/* Fixed layouts, exact sizes; see message.h. */
#include "auth/message.h"

#include <string.h>

#include "base/bytes.h"
#include "base/mutant.h"

static pn_auth_decoded decode_hello(
    const uint8_t *p, size_t len, pn_auth_message *m)
{
    size_t n;

    /* A bare type byte has no version to speak of. */
    if (len == 1) {
        return PN_AUTH_UNKNOWN_MESSAGE_TYPE;
    }
    if (PN_REFUSE_IF(auth_version, p[1] != PN_AUTH_VERSION) || len == 2) {
        return PN_AUTH_UNSUPPORTED_VERSION;
    }
    n = len < 4 ? 0 : pn_load_be16(p + 2);
    if (PN_REFUSE_IF(auth_hello_length, len != 4 + n + PN_KEY_LEN)) {
        return PN_AUTH_INVALID_HELLO_PAYLOAD;
    }
    m->name = (pn_slice){p + 4, n};
    if (PN_REFUSE_IF(auth_hello_name, !pn_node_name_is_valid(p + 4, n))) {
        return PN_AUTH_INVALID_NODE_NAME;
    }
    memcpy(m->key.bytes, p + 4 + n, PN_KEY_LEN);
    return PN_AUTH_DECODED;
}

static pn_auth_decoded decode_challenge(
    const uint8_t *p, size_t len, pn_auth_message *m)
{
    if (PN_REFUSE_IF(auth_challenge_length, len != 1 + PN_AUTH_NONCE_LEN + 8)) {
        return PN_AUTH_INVALID_CHALLENGE_PAYLOAD;
    }
    memcpy(m->challenge.nonce, p + 1, PN_AUTH_NONCE_LEN);
    m->challenge.wall_ms = pn_load_be64(p + 1 + PN_AUTH_NONCE_LEN);
    return PN_AUTH_DECODED;
}

static pn_auth_decoded decode_response(
    const uint8_t *p, size_t len, pn_auth_message *m)
{
    if (PN_REFUSE_IF(auth_response_length, len != 1 + PN_SIGNATURE_LEN)) {
        return PN_AUTH_INVALID_RESPONSE_PAYLOAD;
    }
    m->signature = p + 1;
    return PN_AUTH_DECODED;
}

static pn_auth_decoded decode_fail(
    const uint8_t *p, size_t len, pn_auth_message *m)
{
    if (PN_REFUSE_IF(auth_fail_length,
            len < 3 || len != 3 + (size_t)pn_load_be16(p + 1))) {
        return PN_AUTH_INVALID_FAIL_PAYLOAD;
    }
    m->reason = (pn_slice){p + 3, len - 3};
    return PN_AUTH_DECODED;
}

pn_auth_decoded pn_auth_decode(
    const uint8_t *data, size_t len, pn_auth_message *ret_message)
{
    *ret_message = (pn_auth_message){0};
    if (len == 0) {
        return PN_AUTH_MALFORMED_MESSAGE;
    }
    ret_message->type = (pn_auth_type)data[0];
    switch (data[0]) {
    case PN_AUTH_HELLO:
        return decode_hello(data, len, ret_message);
    case PN_AUTH_CHALLENGE:
        return decode_challenge(data, len, ret_message);
    case PN_AUTH_RESPONSE:
        return decode_response(data, len, ret_message);
    case PN_AUTH_OK:
        return len == 1 ? PN_AUTH_DECODED : PN_AUTH_UNKNOWN_MESSAGE_TYPE;
    case PN_AUTH_FAIL:
        return decode_fail(data, len, ret_message);
    default:
        return PN_AUTH_UNKNOWN_MESSAGE_TYPE;
    }
}

const char *pn_auth_decoded_text(pn_auth_decoded decoded)
{
    static const char *const texts[] = {
        [PN_AUTH_DECODED] = "ok",
        [PN_AUTH_MALFORMED_MESSAGE] = "malformed_message",
        [PN_AUTH_UNKNOWN_MESSAGE_TYPE] = "unknown_message_type",
        [PN_AUTH_UNSUPPORTED_VERSION] = "unsupported_version",
        [PN_AUTH_INVALID_HELLO_PAYLOAD] = "invalid_hello_payload",
        [PN_AUTH_INVALID_NODE_NAME] = "invalid_node_name",
        [PN_AUTH_INVALID_CHALLENGE_PAYLOAD] = "invalid_challenge_payload",
        [PN_AUTH_INVALID_RESPONSE_PAYLOAD] = "invalid_response_payload",
        [PN_AUTH_INVALID_FAIL_PAYLOAD] = "invalid_fail_payload",
    };

    return texts[decoded];
}

/* ---- writing ------------------------------------------------------------ */

static size_t finish(uint8_t *out, size_t message_len)
{
    pn_store_be16(out, (uint16_t)message_len);
    return PN_AUTH_HEADER_LEN + message_len;
}

size_t pn_auth_encode_hello(
    uint8_t *out, pn_slice name, const pn_ed25519_key *key)
{
    uint8_t *p = out + PN_AUTH_HEADER_LEN;

    p[0] = PN_AUTH_HELLO;
    p[1] = PN_AUTH_VERSION;
    pn_store_be16(p + 2, (uint16_t)name.len);
    memcpy(p + 4, name.data, name.len);
    memcpy(p + 4 + name.len, key->bytes, PN_KEY_LEN);
    return finish(out, 4 + name.len + PN_KEY_LEN);
}

size_t pn_auth_encode_challenge(
    uint8_t *out, const pn_auth_challenge *challenge)
{
    uint8_t *p = out + PN_AUTH_HEADER_LEN;

    p[0] = PN_AUTH_CHALLENGE;
    memcpy(p + 1, challenge->nonce, PN_AUTH_NONCE_LEN);
    pn_store_be64(p + 1 + PN_AUTH_NONCE_LEN, challenge->wall_ms);
    return finish(out, 1 + PN_AUTH_NONCE_LEN + 8);
}

size_t pn_auth_encode_response(
    uint8_t *out, const uint8_t signature[static PN_SIGNATURE_LEN])
{
    uint8_t *p = out + PN_AUTH_HEADER_LEN;

    p[0] = PN_AUTH_RESPONSE;
    memcpy(p + 1, signature, PN_SIGNATURE_LEN);
    return finish(out, 1 + PN_SIGNATURE_LEN);
}

size_t pn_auth_encode_ok(uint8_t *out)
{
    out[PN_AUTH_HEADER_LEN] = PN_AUTH_OK;
    return finish(out, 1);
}

size_t pn_auth_encode_fail(uint8_t *out, pn_slice reason)
{
    uint8_t *p = out + PN_AUTH_HEADER_LEN;

    p[0] = PN_AUTH_FAIL;
    pn_store_be16(p + 1, (uint16_t)reason.len);
    memcpy(p + 3, reason.data, reason.len);
    return finish(out, 3 + reason.len);
}

void pn_auth_signed_bytes(uint8_t out[static PN_AUTH_SIGNED_LEN],
    const pn_auth_challenge *challenge, const pn_ed25519_key *signer,
    const uint8_t binding[static PN_AUTH_BINDING_LEN])
{
    memcpy(out, challenge->nonce, PN_AUTH_NONCE_LEN);
    pn_store_be64(out + PN_AUTH_NONCE_LEN, challenge->wall_ms);
    memcpy(out + PN_AUTH_NONCE_LEN + 8, signer->bytes, PN_KEY_LEN);
    memcpy(
        out + PN_AUTH_NONCE_LEN + 8 + PN_KEY_LEN, binding, PN_AUTH_BINDING_LEN);
}

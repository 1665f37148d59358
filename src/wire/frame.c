/* SPDX-License-Identifier: Apache-2.0 */
/* Framing and handshake bodies: docs/PROTOCOL.md, sections 1 and 2.1. */
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/mutant.h"
#include "wire/frame.h"

#define ETF_VERSION 131
#define ETF_BINARY 109

pn_err pn_frame_peek(
    const uint8_t *data, size_t len, size_t min, size_t max, size_t *ret_body)
{
    uint32_t body;

    *ret_body = 0;
    if (len < PN_FRAME_HEADER_LEN) {
        return PN_AGAIN;
    }
    body = pn_load_be32(data);
    if (PN_REFUSE_IF(frame_max, body > max)) {
        return PN_LIMIT;
    }
    if (PN_REFUSE_IF(frame_min, body < min)) {
        return PN_LIMIT;
    }
    *ret_body = body;
    return len - PN_FRAME_HEADER_LEN < body ? PN_AGAIN : PN_OK;
}

/* The constant head of a handshake body, which is the binary that
 * term_to_binary/1 makes of a binary. */
static void write_prefix(
    uint8_t out[static PN_HANDSHAKE_PREFIX_LEN], size_t message_len)
{
    out[0] = ETF_VERSION;
    out[1] = ETF_BINARY;
    pn_store_be32(out + 2, (uint32_t)message_len);
}

pn_err pn_handshake_unwrap(
    const uint8_t *body, size_t len, size_t body_len, pn_slice *ret_message)
{
    uint8_t want[PN_HANDSHAKE_PREFIX_LEN];

    assert(body_len > PN_HANDSHAKE_PREFIX_LEN);
    if (PN_REFUSE_IF(handshake_body_len, len != body_len)) {
        return PN_MALFORMED;
    }
    write_prefix(want, body_len - PN_HANDSHAKE_PREFIX_LEN);
    if (PN_REFUSE_IF(handshake_prefix, memcmp(body, want, sizeof(want)) != 0)) {
        return PN_MALFORMED;
    }
    *ret_message = (pn_slice){
        body + PN_HANDSHAKE_PREFIX_LEN, body_len - PN_HANDSHAKE_PREFIX_LEN};
    return PN_OK;
}

void pn_handshake_wrap(uint8_t *out, size_t len)
{
    assert(PN_HANDSHAKE_PREFIX_LEN + len <= PN_HANDSHAKE_BODY_MAX);
    pn_store_be32(out, (uint32_t)(PN_HANDSHAKE_PREFIX_LEN + len));
    write_prefix(out + PN_FRAME_HEADER_LEN, len);
}

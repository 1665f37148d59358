/* SPDX-License-Identifier: Apache-2.0 */
/* Framing of PeerNet 0.1.0 and its handshake bodies (docs/PROTOCOL.md, sections
 * 1 and 2.1). */
#ifndef PN_WIRE_FRAME_H
#define PN_WIRE_FRAME_H

#include <peernet/error.h>

#define PN_FRAME_HEADER_LEN 4
#define PN_FRAME_MAX 1048576 /* body, tag included */
#define PN_FRAME_MIN 17      /* a tag and one byte: anything less is an error */

#define PN_M1_LEN 38
#define PN_M2_LEN 102
#define PN_M3_LEN 70
#define PN_HANDSHAKE_PREFIX_LEN 6 /* 131, 109, u32 length */
#define PN_HANDSHAKE_BODY_MAX PN_M2_LEN

/*
 * Looks at the first bytes of a stream. PN_OK: *ret_body is the length of the
 * complete body behind the header; PN_AGAIN: more bytes are needed (*ret_body
 * is set when the header is complete, else 0); PN_LIMIT: the length is outside
 * min..max, decided from the header alone.
 */
PN_MUST_USE pn_err pn_frame_peek(
    const uint8_t *data, size_t len, size_t min, size_t max, size_t *ret_body);

/*
 * The Noise message inside a handshake body of exactly body_len bytes (one of
 * PN_M1_LEN, PN_M2_LEN, PN_M3_LEN): compares the six constant bytes and
 * nothing else. Errors: PN_MALFORMED. *ret_message aliases body.
 */
PN_MUST_USE pn_err pn_handshake_unwrap(
    const uint8_t *body, size_t len, size_t body_len, pn_slice *ret_message);

/* Writes frame header and constant prefix for a Noise message of len bytes:
 * PN_FRAME_HEADER_LEN + PN_HANDSHAKE_PREFIX_LEN bytes at out. */
void pn_handshake_wrap(uint8_t *out, size_t len);

#endif

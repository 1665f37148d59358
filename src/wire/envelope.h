/* SPDX-License-Identifier: Apache-2.0 */
/* The five envelopes of PeerNet 0.1.0 (docs/PROTOCOL.md, section 4). */
#ifndef PN_WIRE_ENVELOPE_H
#define PN_WIRE_ENVELOPE_H

#include <peernet/term.h>

#include "base/buf.h"

typedef enum pn_envelope_type {
    PN_ENVELOPE_CALL,
    PN_ENVELOPE_SEND,
    PN_ENVELOPE_REPLY,
    PN_ENVELOPE_PING,
    PN_ENVELOPE_PONG
} pn_envelope_type;

/* One envelope. Slices and terms alias the input, except the handle where it
 * came as a Latin-1 atom with bytes over 127: then it aliases latin1. */
typedef struct pn_envelope {
    pn_envelope_type type;
    uint64_t id;     /* call, reply: 1..2^64-1 */
    pn_slice handle; /* call, send: the atom's name in UTF-8 */
    pn_term args;    /* call, send */
    bool is_ok;      /* reply: {ok, value} rather than {error, value} */
    pn_term value;   /* reply */
    pn_slice nonce;  /* ping, pong */
    uint8_t latin1[2 * 255 + 1];
} pn_envelope;

/*
 * Reads one plaintext: validates the whole term (limits NULL: defaults), then
 * its shape. Errors: PN_MALFORMED, PN_LIMIT, PN_NOMEM; *ret_shape (may be
 * NULL) is false when the term itself was bad and true when only its shape was.
 */
PN_MUST_USE pn_err pn_envelope_read(const uint8_t *data, size_t len,
    const pn_term_limits *limits, pn_envelope *ret_envelope, bool *ret_shape);

/*
 * Each appends the head of an envelope, version byte first. The caller appends
 * the argument or value as one term and nothing behind it, because an envelope
 * ends where its last term ends. Errors: PN_NOMEM; PN_INVALID the handle is not
 * an atom's name (UTF-8, at most 255 characters), id 0. Nothing is appended
 * then.
 */
PN_MUST_USE pn_err pn_envelope_head_call(
    pn_buf *out, uint64_t id, pn_slice handle);
PN_MUST_USE pn_err pn_envelope_head_send(pn_buf *out, pn_slice handle);
PN_MUST_USE pn_err pn_envelope_head_reply(pn_buf *out, uint64_t id, bool is_ok);

/* Appends a whole ping or pong. Errors: PN_NOMEM. */
PN_MUST_USE pn_err pn_envelope_write_ping(
    pn_buf *out, pn_envelope_type type, pn_slice nonce);

#endif

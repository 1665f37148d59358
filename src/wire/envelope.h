/* SPDX-License-Identifier: Apache-2.0 */
/* The five envelopes of PeerNet 0.1.0 (wire section 3). */
#ifndef PN_WIRE_ENVELOPE_H
#define PN_WIRE_ENVELOPE_H

#include <peernet/term.h>

typedef enum pn_envelope_type {
    PN_ENVELOPE_CALL,
    PN_ENVELOPE_SEND,
    PN_ENVELOPE_REPLY,
    PN_ENVELOPE_PING,
    PN_ENVELOPE_PONG
} pn_envelope_type;

/* One envelope; slices and terms alias the input. */
typedef struct pn_envelope {
    pn_envelope_type type;
    uint64_t id;     /* call, reply: 1..2^64-1 */
    pn_slice handle; /* call, send: the atom's name in UTF-8 */
    pn_term args;    /* call, send */
    bool is_ok;      /* reply: {ok, value} rather than {error, value} */
    pn_term value;   /* reply */
    pn_slice nonce;  /* ping, pong */
} pn_envelope;

/*
 * Reads one plaintext: validates the whole term (limits NULL: defaults), then
 * its shape. Errors: PN_MALFORMED, PN_LIMIT, PN_NOMEM; *ret_shape (may be
 * NULL) is false when the term itself was bad and true when only its shape was.
 */
PN_MUST_USE pn_err pn_envelope_read(const uint8_t *data, size_t len,
    const pn_term_limits *limits, pn_envelope *ret_envelope, bool *ret_shape);

/* Each writes the head of an envelope; the argument or value follows as one
 * term written by the caller, then pn_envelope_end. w has just been begun. */
void pn_envelope_begin_call(pn_term_writer *w, uint64_t id, pn_slice handle);
void pn_envelope_begin_send(pn_term_writer *w, pn_slice handle);
void pn_envelope_begin_reply(pn_term_writer *w, uint64_t id, bool is_ok);
void pn_envelope_end(pn_term_writer *w, pn_envelope_type type);
/* Whole: ping or pong. */
void pn_envelope_write_ping(
    pn_term_writer *w, pn_envelope_type type, pn_slice nonce);

#endif

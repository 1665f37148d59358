/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One PeerNet link as a state machine: handshake, calls in flight, liveness,
 * close reasons. A session has no socket, no clock and no thread: bytes and
 * `now` go in; bytes, callbacks and the next deadline come out.
 *
 * Memory: before authentication the state is small and fixed. The only buffer
 * that a session owns is its output; input is decrypted in place in the
 * caller's buffer.
 */
#ifndef PN_SESSION_SESSION_H
#define PN_SESSION_SESSION_H

#include <peernet/reason.h>
#include <peernet/term.h>

#include "base/buf.h"
#include "base/env.h"
#include "noise/noise.h"
#include "session/kind.h"

typedef struct pn_session pn_session;

/* The limits, each with the default of pn_session_limits_default. */
typedef struct pn_session_limits {
    uint64_t handshake_us;        /* 5 s from pn_session_new, absolute (T3) */
    uint64_t ping_interval_us;    /* 30 s */
    uint64_t pong_timeout_us;     /* 60 s from the ping */
    uint64_t stall_us;            /* 120 s without output progress (T11) */
    uint64_t hold_us;             /* 1 ms from M3 written to our first data */
    uint64_t nudge_us;            /* 40 ms; docs/PROTOCOL.md, section 3.1 */
    size_t max_output;            /* 4 MiB queued, then PN_BUSY (T11) */
    uint32_t max_output_messages; /* 16,384 */
    uint32_t max_calls;           /* 1,024 of ours in flight (T12) */
    uint32_t max_ping_nonce;      /* 64 bytes, else close (T12) */
    uint32_t pings_per_s;         /* 10 answered a second, others dropped */
    pn_term_limits term;
} pn_session_limits;

void pn_session_limits_default(pn_session_limits *limits);

/* The outcome of a call of ours. Fires exactly once for each call that is not
 * forgotten: PN_OK and the value, PN_REMOTE and the reason term, or PN_CLOSED
 * (the link ended). value aliases the input buffer and is valid during the
 * callback only. The owner keeps the time: see pn_session_forget. */
typedef void pn_call_done_fn(
    void *user, void *call, pn_err outcome, pn_term value);

/*
 * The callbacks of a session, called from within input, tick, written, commit,
 * ping, close and free. A callback may call any pn_session function of the same
 * session except input, tick and free, and from within free none. Every member
 * is set, except those that may be NULL.
 */
typedef struct pn_session_callbacks {
    /* Returns whether this key is paired. Called once per handshake, after
     * every DH and AEAD check has passed (T18). */
    bool (*is_trusted)(void *user, const pn_public_key *peer);
    /* The peer is authenticated: calls can be made, and messages come from now
     * on. */
    void (*on_open)(void *user, const pn_public_key *peer);
    /* An envelope came, and the callback for its type follows. Called for each
     * envelope, after on_open. May be NULL. */
    void (*on_received)(void *user);
    /* A call or send of the peer. handle and args alias the input buffer. */
    void (*on_call)(void *user, uint64_t id, pn_slice handle, pn_term args);
    void (*on_send)(void *user, pn_slice handle, pn_term args);
    pn_call_done_fn *on_reply;
    /* The output, which was empty, has bytes: write them in this turn. */
    void (*on_output)(void *user);
    /* The peer has said its kind: see pn_session_kind. May be NULL. */
    void (*on_kind)(void *user);
    /* The output has fallen below half its limit. Called once after it gave
     * PN_BUSY. May be NULL. */
    void (*on_writable)(void *user);
} pn_session_callbacks;

typedef struct pn_session_config {
    bool initiator;
    const pn_key_pair *identity;        /* outlives the session */
    const pn_public_key *expected_peer; /* copied; NULL: any trusted (T30) */
    const pn_session_limits *limits;    /* outlives the session */
    const pn_env *env;                  /* outlives the session */
    /* What the peer is told of us, if it is of our kind; outlives the session.
     * NULL: nothing, and it is not recognised either. */
    const pn_kind *kind;
    const pn_session_callbacks *callbacks;
    void *user;
} pn_session_config;

/* An initiator's first message is in the output at once. Errors: PN_NOMEM,
 * PN_SYS. */
PN_MUST_USE pn_err pn_session_new(
    const pn_session_config *config, uint64_t now_us, pn_session **ret_session);

/* Calls still in flight end with PN_CLOSED before it returns. Wipes keys. */
void pn_session_free(pn_session *s);

/*
 * Takes bytes from the peer. Consumes whole frames, *ret_consumed of the len
 * bytes. The caller keeps the rest, which is at most one incomplete frame, and
 * gives it again with more bytes behind it; pn_session_need says how many that
 * frame needs. data is decrypted in place. Errors: any, and the session is
 * closed (see pn_session_reason).
 */
PN_MUST_USE pn_err pn_session_input(pn_session *s, uint64_t now_us,
    uint8_t *data, size_t len, size_t *ret_consumed);

/* How long the incomplete frame at data will be, header included; 0: unknown
 * yet. Never more than PN_FRAME_HEADER_LEN + PN_FRAME_MAX, and before
 * authentication never more than 106. */
size_t pn_session_need(const pn_session *s, const uint8_t *data, size_t len);

/*
 * The bytes that may be written now; none when the slice is empty. The caller
 * reports the bytes that it wrote with pn_session_written, n at most the length
 * given here. While an initiator's M3 must be sent alone (docs/PROTOCOL.md,
 * section 3.1) this is less than is queued, and the rest follows at the next
 * deadline. The bytes are valid until the next call of any function of this
 * session. After close they are still there, for the caller to flush as many as
 * fit.
 */
pn_slice pn_session_output(const pn_session *s);
void pn_session_written(pn_session *s, uint64_t now_us, size_t n);
/* Everything queued, held back or not. */
size_t pn_session_queued_bytes(const pn_session *s);
uint32_t pn_session_queued_messages(const pn_session *s);

/* When pn_session_tick must be called at the latest; PN_TIME_NEVER. Cheap. */
uint64_t pn_session_deadline(const pn_session *s);
/* Timeouts, pings, nudges. Errors as pn_session_input. */
PN_MUST_USE pn_err pn_session_tick(pn_session *s, uint64_t now_us);

/* Says whether the owner gives input. While it does not, no pong can come, so
 * the stall time-out alone ends the link; afterwards every ping has its whole
 * time again. */
void pn_session_set_reading(pn_session *s, uint64_t now_us, bool is_reading);

/* The host has slept: pings and the stall time-out have their whole time again,
 * because what they wait for may have come before, or comes when TCP tries
 * again. */
void pn_session_woke(pn_session *s, uint64_t now_us);

/* Ends the session: calls in flight end with PN_CLOSED, and no more is queued
 * than the output has already. Idempotent; the first reason stays. */
void pn_session_close(pn_session *s, pn_reason reason);

/* Fails the calls of ours that wait with PN_CLOSED; the session goes on. */
void pn_session_fail_calls(pn_session *s);

/* Whole frames so far, with those of the handshake. */
uint64_t pn_session_frames_in(const pn_session *s);
uint64_t pn_session_frames_out(const pn_session *s);
/* Bytes written so far; and the same with all that are queued. */
uint64_t pn_session_bytes_written(const pn_session *s);
uint64_t pn_session_bytes_accepted(const pn_session *s);

pn_reason pn_session_reason(const pn_session *s);
/* The verified key (also one that was refused as untrusted), else NULL. */
const pn_public_key *pn_session_peer(const pn_session *s);
/* Last measured ping round trip; 0: none yet. */
uint64_t pn_session_rtt_us(const pn_session *s);
/* What the peer has said of itself; NULL: it has not been recognised as one of
 * our kind. A responder of our kind is recognised by its first frame. */
const pn_kind *pn_session_kind(const pn_session *s);
/* To be called when the label in the config's kind has changed: a peer that
 * takes updates is told within PN_KIND_UPDATE_US. */
void pn_session_kind_changed(pn_session *s);
/* When the last authenticated frame came; 0: none. Any after on_open. */
uint64_t pn_session_last_received_us(const pn_session *s);

/*
 * Messages are written straight into the output and sealed in place: begin,
 * write exactly one term, commit. commit ends the writer too and, when the
 * writer has failed, takes the message back. Between begin and commit no other
 * function of this session is called. After a begin that failed the writer
 * holds the same error and needs no ending.
 *
 * begin errors: PN_NOT_CONNECTED not open; PN_INVALID handle is no atom's name;
 * PN_BUSY the limits of output or calls; PN_NOMEM. commit errors: the writer's
 * (PN_INVALID, PN_NOMEM, ...); PN_TOO_LARGE over one frame, or deeper than
 * limits->term allows; PN_BUSY more than the output has room for: nothing was
 * sent and the session goes on. PN_LIMIT: nonces used up, the session is
 * closed. Messages of an initiator are held back inside until its M3 has been
 * written.
 *
 * A reply may exceed the output's limits by an eighth, so that a peer whose
 * requests fill the output still gets answers such as busy. A reply beyond that
 * gets PN_BUSY, and the peer's caller times out.
 *
 * call: given back to on_reply. A call's id is never 0 and never one that is in
 * flight.
 */
PN_MUST_USE pn_err pn_session_begin_call(
    pn_session *s, pn_slice handle, void *call, pn_term_writer *w);
PN_MUST_USE pn_err pn_session_begin_send(
    pn_session *s, pn_slice handle, pn_term_writer *w);
PN_MUST_USE pn_err pn_session_begin_reply(
    pn_session *s, uint64_t id, bool is_ok, pn_term_writer *w);
PN_MUST_USE pn_err pn_session_commit(
    pn_session *s, uint64_t now_us, pn_term_writer *w);
/* The id of the call that pn_session_begin_call has just begun. */
uint64_t pn_session_begun_call(const pn_session *s);
/* The owner has ended the call with this id, whose time was up: on_reply does
 * not fire for it. */
void pn_session_forget(pn_session *s, uint64_t id);

/* Sends a ping now (to measure, or to probe after a network change). The link
 * ends when its pong does not come in time, as for any ping. Errors:
 * PN_NOT_CONNECTED, PN_BUSY output full or too many pings unanswered, PN_NOMEM,
 * PN_SYS.
 */
PN_MUST_USE pn_err pn_session_ping(pn_session *s, uint64_t now_us);

#endif

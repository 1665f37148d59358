/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One PeerNet link as a state machine: handshake, calls in flight, liveness,
 * close reasons. No socket, no clock, no thread: bytes and `now` go in; bytes,
 * callbacks and the next deadline come out.
 *
 * Memory: before authentication the state is small and fixed; the only buffer
 * a session owns is its output. Input is decrypted in place in the caller's
 * buffer.
 */
#ifndef PN_SESSION_SESSION_H
#define PN_SESSION_SESSION_H

#include <peernet/reason.h>
#include <peernet/term.h>

#include "base/buf.h"
#include "base/env.h"
#include "noise/noise.h"

typedef struct pn_session pn_session;

/* Every limit with its default (pn_session_limits_default). */
typedef struct pn_session_limits {
    uint64_t handshake_us;        /* 5 s from pn_session_new, absolute (T3) */
    uint64_t ping_interval_us;    /* 30 s */
    uint64_t pong_timeout_us;     /* 60 s from the ping */
    uint64_t stall_us;            /* 120 s without output progress (T11) */
    uint64_t hold_us;             /* 1 ms from M3 written to our first data */
    uint64_t nudge_us;            /* 40 ms, x 4 twice: section 3, habit */
    size_t max_output;            /* 4 MiB queued, then PN_BUSY (T11) */
    uint32_t max_output_messages; /* 16,384 */
    uint32_t max_calls;           /* 1,024 of ours in flight (T12) */
    uint32_t max_ping_nonce;      /* 64 bytes, else close (T12) */
    uint32_t pings_per_s;         /* 10 answered a second, others dropped */
    pn_term_limits term;
} pn_session_limits;

void pn_session_limits_default(pn_session_limits *limits);

/* A call of ours that waits for its reply. Owned by the session. done fires
 * exactly once: PN_OK and the value, PN_REMOTE and the reason term,
 * PN_TIMEOUT, or PN_CLOSED (the link ended); value aliases the input buffer
 * and is valid during the callback only. */
typedef void pn_call_done_fn(
    void *user, void *call, pn_err outcome, pn_term value);

/*
 * What a session tells its owner. Called from within input, tick, written,
 * commit, ping, close and free; may call any pn_session function of the same
 * session except input, tick and free, and from within free none. Every member
 * is set, except the last, which may be NULL.
 */
typedef struct pn_session_callbacks {
    /* Asked once per handshake after every DH and AEAD check has passed (T18):
     * is this key paired? Also re-checks nothing else. */
    bool (*is_trusted)(void *user, const pn_public_key *peer);
    /* Authenticated: calls can be made, messages will come. */
    void (*on_open)(void *user, const pn_public_key *peer);
    /* Inbound. handle and args alias the input buffer. */
    void (*on_call)(void *user, uint64_t id, pn_slice handle, pn_term args);
    void (*on_send)(void *user, pn_slice handle, pn_term args);
    pn_call_done_fn *on_reply;
    /* There is something to write where there was nothing: do it this turn. */
    void (*on_output)(void *user);
    /* Once after a PN_BUSY of the output: it has fallen below half its limit.
     * May be NULL. */
    void (*on_writable)(void *user);
} pn_session_callbacks;

typedef struct pn_session_config {
    bool initiator;
    const pn_key_pair *identity;        /* outlives the session */
    const pn_public_key *expected_peer; /* copied; NULL: any trusted (T30) */
    const pn_session_limits *limits;    /* outlives the session */
    const pn_env *env;                  /* outlives the session */
    const pn_session_callbacks *callbacks;
    void *user;
    const pn_secret_key *ephemeral; /* NULL except in tests */
} pn_session_config;

/* An initiator's first message is in the output at once. Errors: PN_NOMEM,
 * PN_SYS. */
PN_MUST_USE pn_err pn_session_new(
    const pn_session_config *config, uint64_t now_us, pn_session **ret_session);

/* Calls still in flight end with PN_CLOSED before it returns. Wipes keys. */
void pn_session_free(pn_session *s);

/*
 * Takes bytes from the peer. Consumes whole frames; *ret_consumed of len bytes
 * are used up, the caller keeps the rest (at most one incomplete frame) and
 * presents it again with more behind it. data is decrypted in place.
 * pn_session_need says how much the frame begun needs.
 * Errors: any, and the session is closed (see pn_session_reason).
 */
PN_MUST_USE pn_err pn_session_input(pn_session *s, uint64_t now_us,
    uint8_t *data, size_t len, size_t *ret_consumed);

/* How long the incomplete frame at data will be, header included; 0: unknown
 * yet. Never more than PN_FRAME_HEADER_LEN + PN_FRAME_MAX, and before
 * authentication never more than 106. */
size_t pn_session_need(const pn_session *s, const uint8_t *data, size_t len);

/*
 * What may be written now, empty when there is nothing; the caller tells what
 * it wrote with pn_session_written, n at most the length it was given here.
 * Less than what is queued while an initiator's M3 must travel alone (wire
 * section 3): the rest follows at the next deadline.
 * The bytes are valid until the next call of any function of this session.
 * Still there after close: flush what fits.
 */
pn_slice pn_session_output(const pn_session *s);
void pn_session_written(pn_session *s, uint64_t now_us, size_t n);
/* All that is queued, held back or not. */
size_t pn_session_queued_bytes(const pn_session *s);
uint32_t pn_session_queued_messages(const pn_session *s);

/* When pn_session_tick must be called at the latest; PN_TIME_NEVER. Cheap. */
uint64_t pn_session_deadline(const pn_session *s);
/* Timeouts, pings, nudges. Errors as pn_session_input. */
PN_MUST_USE pn_err pn_session_tick(pn_session *s, uint64_t now_us);

/* The owner stops or goes on giving input. While it does not, no pong can come,
 * so none is missed: the stall time-out counts alone, and afterwards every ping
 * has its whole time again. */
void pn_session_set_reading(pn_session *s, uint64_t now_us, bool is_reading);

/* Ends it locally: calls in flight end with PN_CLOSED, nothing more goes out
 * than what is in the output already. Idempotent; the first reason stays. */
void pn_session_close(pn_session *s, pn_reason reason);

bool pn_session_is_open(const pn_session *s); /* authenticated, not closed */
bool pn_session_is_closed(const pn_session *s);
bool pn_session_is_initiator(const pn_session *s);
pn_reason pn_session_reason(const pn_session *s);
/* The verified key (also one that was refused as untrusted), else NULL. */
const pn_public_key *pn_session_peer(const pn_session *s);
/* Last measured ping round trip; 0: none yet. */
uint64_t pn_session_rtt_us(const pn_session *s);
/* When the last authenticated frame came; 0: none. Any after on_open. */
uint64_t pn_session_last_received_us(const pn_session *s);
/* When the last call or send was committed; 0: none. A peer that closes at once
 * and has sent nothing since then may not have known an atom in it. Replies do
 * not count: whoever asked once often closes after the answer. */
uint64_t pn_session_last_sent_us(const pn_session *s);
/* Calls of ours that wait for a reply. After close: 0. */
uint32_t pn_session_calls_in_flight(const pn_session *s);

/*
 * Messages are written straight into the output and sealed in place:
 * begin -> write exactly one term -> commit or abort, either of which ends the
 * writer too. Between them no other function of this session is called. After
 * a begin that failed the writer holds the same error and needs no ending.
 *
 * begin errors: PN_NOT_CONNECTED not open; PN_INVALID handle is no atom's
 * name; PN_BUSY the limits of output or calls; PN_NOMEM.
 * commit errors: the writer's (PN_INVALID, PN_NOMEM, ...); PN_TOO_LARGE over
 * one frame; PN_BUSY more than the output has room for: nothing was sent and
 * the session goes on. PN_LIMIT: nonces used up, the session is closed.
 * What an initiator sends before its M3 is on its way is held back inside.
 *
 * A reply may exceed the output's limits by an eighth, so that a peer that is
 * told "busy" by nobody else still gets answers; one that finds even that full
 * gets PN_BUSY and the peer's caller times out.
 *
 * call: given back to on_reply. A call's id is never 0 and never one that is
 * in flight.
 */
PN_MUST_USE pn_err pn_session_begin_call(pn_session *s, pn_slice handle,
    uint64_t deadline_us, void *call, pn_term_writer *w);
PN_MUST_USE pn_err pn_session_begin_send(
    pn_session *s, pn_slice handle, pn_term_writer *w);
PN_MUST_USE pn_err pn_session_begin_reply(
    pn_session *s, uint64_t id, bool is_ok, pn_term_writer *w);
PN_MUST_USE pn_err pn_session_commit(
    pn_session *s, uint64_t now_us, pn_term_writer *w);
void pn_session_abort(pn_session *s, pn_term_writer *w);

/* Forgets a call of ours: on_reply will not fire for it. */
void pn_session_forget(pn_session *s, void *call);

/* Sends a ping now (to measure, or to probe after a network change). The link
 * ends when its pong does not come in time, as for any ping. Errors:
 * PN_NOT_CONNECTED, PN_BUSY output full or too many pings unanswered, PN_NOMEM,
 * PN_SYS.
 */
PN_MUST_USE pn_err pn_session_ping(pn_session *s, uint64_t now_us);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the session share. session.c: life cycle, input, time;
 * handshake.c: up to authentication; envelopes.c: what comes after it;
 * output.c: messages of ours; liveness.c: pings; calls.c: calls in flight.
 */
#ifndef PN_SESSION_SESSION_INTERNAL_H
#define PN_SESSION_SESSION_INTERNAL_H

#include "session/calls.h"
#include "session/session.h"
#include "wire/envelope.h"

/* In the order of the protocol; named for what is waited for. */
typedef enum pn_session_state {
    PN_SESSION_WAIT_M1, /* responder */
    PN_SESSION_WAIT_M2, /* initiator */
    PN_SESSION_WAIT_M3, /* responder */
    PN_SESSION_OPEN,
    PN_SESSION_CLOSED,
    PN_SESSION_STATES
} pn_session_state;

/* Why output behind M3 waits (wire section 3). */
typedef enum pn_session_hold {
    PN_HOLD_NONE,
    PN_HOLD_M3,  /* until M3 has been written */
    PN_HOLD_TURN /* and then until hold_until_us */
} pn_session_hold;

enum {
    PN_PING_NONCE_LEN = 16,
    /* Two of the regular ones can be under way, one nudge, one extra. */
    PN_PINGS_MAX = 4
};

/* A ping of ours without its pong. */
typedef struct pn_session_ping_sent {
    uint8_t nonce[PN_PING_NONCE_LEN];
    uint64_t end;     /* position in the output at which it is written */
    uint64_t sent_us; /* when it was; PN_TIME_NEVER: not yet */
} pn_session_ping_sent;

struct pn_session {
    const pn_key_pair *identity;
    const pn_session_limits *limits;
    const pn_env *env;
    const pn_session_callbacks *callbacks;
    void *user;
    pn_public_key peer; /* what has_peer says; before that, has_expected */

    pn_session_state state;
    pn_reason reason;
    pn_session_hold hold;
    bool is_initiator;
    bool has_expected;
    bool has_peer;
    bool has_received;   /* an authenticated frame */
    bool wants_nudge;    /* nothing was sent that the peer might not read */
    bool wants_writable; /* PN_BUSY was given: on_writable is owed */
    bool is_unread;      /* the owner gives no input for now */
    bool is_reply;       /* the message being written is one */

    pn_handshake *handshake; /* NULL once open or closed */
    pn_cipher send;
    pn_cipher receive;

    pn_buf out;
    uint64_t out_written;    /* position in the stream of out's first byte */
    uint32_t out_messages;   /* not wholly written */
    uint32_t out_front_left; /* bytes left of the first; 0: a header is next */
    size_t begun_at;         /* bytes queued before the message being written */

    pn_calls calls;
    uint64_t begun_call; /* id of the call being written; 0: it is none */

    uint64_t handshake_deadline_us;
    union {
        uint64_t hold_end;      /* PN_HOLD_M3: position behind M3 */
        uint64_t hold_until_us; /* PN_HOLD_TURN */
    };
    uint64_t nudge_at_us;
    uint64_t stall_at_us; /* PN_TIME_NEVER while nothing is queued */
    uint64_t
        trim_at_us; /* when an output buffer that is large and empty goes */
    uint64_t next_ping_us;
    uint64_t reading_us;      /* since when input is given, if it was not */
    uint64_t pings_window_us; /* since when n_answered counts */
    uint64_t rtt_us;
    uint64_t last_received_us;
    uint64_t last_sent_us;
    uint32_t n_answered;
    uint32_t n_nudges;
    uint32_t n_pings;
    pn_session_ping_sent *pings; /* PN_PINGS_MAX, oldest first; made when the
                                    first is sent: strangers get none (T1) */
};

/* A point in time, never past the end of it. */
static inline uint64_t pn_session_after(uint64_t now_us, uint64_t us)
{
    return us < PN_TIME_NEVER - now_us ? now_us + us : PN_TIME_NEVER;
}

/* Closes for an error that came up inside and returns it: a local one has its
 * own reason, any other means `reason`. */
pn_err pn_session_fail(pn_session *s, pn_err err, pn_reason reason);

/* handshake.c: one whole frame body of the right length. */
pn_err pn_session_on_m1(
    pn_session *s, uint64_t now_us, uint8_t *body, size_t len);
pn_err pn_session_on_m2(
    pn_session *s, uint64_t now_us, uint8_t *body, size_t len);
pn_err pn_session_on_m3(
    pn_session *s, uint64_t now_us, uint8_t *body, size_t len);
/* Queues the next handshake message of ours. */
PN_MUST_USE pn_err pn_session_put_handshake(pn_session *s);

/* envelopes.c: one sealed frame; one plaintext that was in it (tests and
 * fuzzers start here). */
pn_err pn_session_on_frame(
    pn_session *s, uint64_t now_us, uint8_t *body, size_t len);
pn_err pn_session_on_plaintext(
    pn_session *s, uint64_t now_us, const uint8_t *data, size_t len);

/* output.c */
/* Space for a frame's header; what is appended next is its plaintext. */
PN_MUST_USE pn_err pn_session_frame_begin(pn_session *s);
/* Seals what was appended since frame_begin if that leaves at most max_bytes
 * and max_messages queued; on an error it is taken back. Errors: PN_BUSY,
 * PN_TOO_LARGE, PN_NOMEM, and two after which the session must end: PN_LIMIT
 * nonces used up, PN_SYS. */
PN_MUST_USE pn_err pn_session_frame_end(
    pn_session *s, uint64_t now_us, size_t max_bytes, size_t max_messages);
void pn_session_frame_abort(pn_session *s);
/* The owner hears of the frame just queued, if it can be written and was
 * preceded by nothing. Last act of whoever queued it: the owner may write. */
void pn_session_frame_notify(pn_session *s);
/* Queues a whole ping or pong. Errors as frame_end. */
PN_MUST_USE pn_err pn_session_put_ping(
    pn_session *s, uint64_t now_us, pn_envelope_type type, pn_slice nonce);
/* Gives back the memory of an empty output. */
void pn_session_trim(pn_session *s);
/* M3 has been understood, or has had its turn alone. */
void pn_session_release(pn_session *s, uint64_t now_us);
/* The first authenticated frame: the peer has read all we sent with M3. */
void pn_session_heard(pn_session *s, uint64_t now_us);

/* liveness.c */
void pn_session_answer_ping(pn_session *s, uint64_t now_us, pn_slice nonce);
void pn_session_take_pong(pn_session *s, uint64_t now_us, pn_slice nonce);
void pn_session_pings_written(pn_session *s, uint64_t now_us);
uint64_t pn_session_liveness_deadline(const pn_session *s);
PN_MUST_USE pn_err pn_session_liveness_tick(pn_session *s, uint64_t now_us);

#endif

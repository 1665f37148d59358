/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Declarations that the files of the session share. session.c: life cycle,
 * input, time; handshake.c: up to authentication; envelopes.c: frames after it;
 * output.c: outgoing messages; liveness.c: pings; call_ids.c: calls in flight;
 * kind.c: nonces by which nodes of our kind recognise each other.
 */
#ifndef PN_SESSION_SESSION_INTERNAL_H
#define PN_SESSION_SESSION_INTERNAL_H

#include "session/call_ids.h"
#include "session/session.h"
#include "wire/envelope.h"

/* In the order of the protocol, each named for the frame that it waits for. */
typedef enum pn_session_state {
    PN_SESSION_WAIT_M1, /* responder */
    PN_SESSION_WAIT_M2, /* initiator */
    PN_SESSION_WAIT_M3, /* responder */
    PN_SESSION_OPEN,
    PN_SESSION_CLOSED,
    PN_SESSION_STATES
} pn_session_state;

/* How long output behind M3 waits (docs/PROTOCOL.md, section 3.1). */
typedef enum pn_session_hold {
    PN_HOLD_NONE,
    PN_HOLD_M3,  /* until M3 has been written */
    PN_HOLD_TURN /* and then until hold_until_us */
} pn_session_hold;

enum {
    PN_PING_NONCE_LEN = 16,
    /* Two regular ones, one nudge, one of the owner, one that says our kind. */
    PN_PINGS_MAX = 5,
    PN_NUDGES_MAX = 3
};

/* A ping of ours without its pong. */
typedef struct pn_session_ping_sent {
    /* The last bytes of its nonce, which are random or a MAC; a shorter nonce
     * has zeros behind it. */
    uint8_t nonce_end[PN_PING_NONCE_LEN];
    uint8_t nonce_len;
    uint64_t end;     /* position in the output at which it is written */
    uint64_t sent_us; /* when it was; PN_TIME_NEVER: not yet */
} pn_session_ping_sent;

/* Made when the link opens: strangers get none (T1). */
typedef struct pn_session_kinds {
    uint8_t hash[PN_HASH_LEN]; /* of the handshake */
    bool is_said;              /* ours, to the peer */
    bool is_owed;              /* ours is another now, and the peer heeds it */
    uint64_t may_say_us;       /* not before */
    char said_label[PN_KIND_LABEL_MAX + 1];
    pn_kind peer;
} pn_session_kinds;

struct pn_session {
    const pn_key_pair *identity;
    const pn_session_limits *limits;
    const pn_env *env;
    const pn_session_callbacks *callbacks;
    void *user;
    pn_public_key peer; /* the verified one if has_peer, else the expected if
                           has_expected */

    pn_session_state state;
    pn_reason reason;
    pn_session_hold hold;
    bool is_initiator;
    bool has_expected;
    bool has_peer;
    bool has_received; /* an authenticated frame */
    bool wants_nudge;  /* no frame was sent yet that the peer might leave unread
                        */
    bool wants_writable; /* PN_BUSY was given: on_writable is owed */
    bool is_unread;      /* the owner gives no input for now */
    bool is_reply;       /* the message being written is one */

    const pn_kind *kind;     /* what we say; NULL: nothing */
    pn_session_kinds *kinds; /* NULL: nothing is said, or it is not open */

    pn_handshake *handshake; /* NULL once open or closed */
    pn_cipher send;
    pn_cipher receive;

    pn_buf out;
    uint64_t out_written;    /* position in the stream of out's first byte */
    uint32_t out_messages;   /* not wholly written */
    uint32_t out_front_left; /* bytes left of the first; 0: a header is next */
    size_t begun_at;         /* bytes queued before the message being written */

    pn_call_ids calls;
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
    uint64_t reading_us;      /* pings before it count from here */
    uint64_t pings_window_us; /* since when n_answered counts */
    uint64_t rtt_us;
    uint64_t last_received_us;
    uint64_t frames_in; /* whole ones */
    uint64_t frames_out;
    uint32_t n_answered;
    uint32_t n_nudges;
    uint32_t n_pings;
    pn_session_ping_sent *pings; /* PN_PINGS_MAX, oldest first; made when the
                                    first is sent: strangers get none (T1) */
};

/* now_us + us, at most PN_TIME_NEVER. */
static inline uint64_t pn_session_after(uint64_t now_us, uint64_t us)
{
    return us < PN_TIME_NEVER - now_us ? now_us + us : PN_TIME_NEVER;
}

/* Closes the session for err and returns err. PN_NOMEM and PN_SYS have reasons
 * of their own; for any other error the reason is `reason`. */
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
/* Tells the owner of the frame just queued, if it can be written and was
 * preceded by nothing. The last step of queueing one: the owner may write. */
void pn_session_frame_notify(pn_session *s);
/* Queues a whole ping or pong. Errors: PN_BUSY, PN_TOO_LARGE, PN_NOMEM, and two
 * after which the session must end: PN_LIMIT nonces used up, PN_SYS. */
PN_MUST_USE pn_err pn_session_put_ping(
    pn_session *s, uint64_t now_us, pn_envelope_type type, pn_slice nonce);
/* Gives back the memory of an empty output. */
void pn_session_trim(pn_session *s);
/* Ends the hold: M3 has been understood, or has been sent alone. */
void pn_session_release(pn_session *s, uint64_t now_us);
/* The first authenticated frame came: the peer has read all frames sent with
 * M3. */
void pn_session_heard(pn_session *s, uint64_t now_us);

/* liveness.c */
/* Says our kind with a ping. Errors: the session has been closed. */
PN_MUST_USE pn_err pn_session_say_kind(pn_session *s, uint64_t now_us);
void pn_session_answer_ping(pn_session *s, uint64_t now_us, pn_slice nonce);
void pn_session_take_pong(pn_session *s, uint64_t now_us, pn_slice nonce);
void pn_session_pings_written(pn_session *s, uint64_t now_us);
uint64_t pn_session_liveness_deadline(const pn_session *s);
PN_MUST_USE pn_err pn_session_liveness_tick(pn_session *s, uint64_t now_us);

#endif

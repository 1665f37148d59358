/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Erlang distribution over one authenticated connection, without I/O:
 * handshake on stream 0, framing on the data streams, control messages;
 * docs/BARREL-PROTOCOL.md, sections 14 to 16. Bytes and the time go in;
 * messages for stream 0 and signals come out.
 */
#ifndef PN_BARREL_DIST_DIST_H
#define PN_BARREL_DIST_DIST_H

#include "base/buf.h"
#include "base/env.h"
#include "dist/signal.h"

/* PUBLISHED is not among them: a hidden node. */
#define PN_DIST_FLAGS UINT64_C(0x507070fbc)
#define PN_DIST_FLAG_PUBLISHED UINT64_C(1)
#define PN_DIST_COOKIE_MAX 255
#define PN_DIST_NAME_MAX 255
#define PN_DIST_HANDSHAKE_MAX_US (120 * PN_US_PER_S)
/* A node uses this many streams for data: 4, 8, .. 64 an initiator, 1, 5, .. 61
 * a responder; 0 is the handshake's. All below these numbers are reserved. */
#define PN_DIST_N_STREAMS 16
#define PN_DIST_RESERVED_EVEN 68
#define PN_DIST_RESERVED_ODD 65
/* The most bytes that may arrive on data streams before the handshake is
 * over. */
#define PN_DIST_EARLY_MAX ((size_t)64 * 1024)
/* Bytes kept of a message that is drained: enough to answer its caller. */
#define PN_DIST_HEAD_MAX 4096
/* It ends the connection unless this much of it comes in drain_us. */
#define PN_DIST_DRAIN_STEP ((uint64_t)64 * 1024)
/* Messages of max_message bytes that may be incomplete at the same time. */
#define PN_DIST_BUFFERED_MESSAGES 4

typedef enum pn_dist_role { PN_DIST_INITIATOR, PN_DIST_RESPONDER } pn_dist_role;

/* Another connection between us and a node that dials us. */
typedef enum pn_dist_rival {
    PN_DIST_RIVAL_NONE,
    PN_DIST_RIVAL_DIAL, /* a dial of ours, not up yet */
    PN_DIST_RIVAL_LINK  /* a link that is up */
} pn_dist_rival;

/* Why it failed; for the owner of the node, never sent. */
#define PN_DIST_REASONS(X)                                                     \
    X(NONE, "none")                                                            \
    X(BAD_HANDSHAKE, "bad_handshake")                                          \
    X(NAME_MISMATCH, "name_mismatch")                                          \
    X(FLAGS_MISSING, "flags_missing")                                          \
    X(NOT_ALLOWED, "not_allowed")                                              \
    X(LOST_RACE, "lost_race")          /* the other link wins */               \
    X(ALREADY_UP, "already_connected") /* alive, and ours is */                \
    X(COOKIE, "bad_cookie")                                                    \
    X(TIMEOUT, "handshake_timeout")                                            \
    X(BAD_FRAME, "bad_frame")                                                  \
    X(TOO_LARGE, "message_too_large")                                          \
    X(BAD_TERM, "bad_term")                                                    \
    X(STREAM, "unexpected_stream")                                             \
    X(NOMEM, "out_of_memory")                                                  \
    X(SYSTEM, "system_error")

#define PN_DIST_REASON_ENUM(name, text) PN_DIST_REASON_##name,
typedef enum pn_dist_reason {
    PN_DIST_REASONS(PN_DIST_REASON_ENUM) PN_DIST_N_REASONS
} pn_dist_reason;
#undef PN_DIST_REASON_ENUM

typedef enum pn_dist_state {
    PN_DIST_HANDSHAKE,
    PN_DIST_UP,
    PN_DIST_FAILED
} pn_dist_state;

typedef struct pn_dist pn_dist;

/* None may call back into the engine but to ask what it is; it is freed
 * outside of them. Those of the other role may be NULL. */
typedef struct pn_dist_callbacks {
    /* Responder: the initiator has said its name, which is the authenticated
     * one. The engine answers by it: ok, ok_simultaneous or nothing, alive. */
    pn_dist_rival (*on_name)(void *user, pn_slice name);
    /* Responder: our own dial to that node has lost and is to be given up. For
     * a name that is only claimed (peer_name empty): after its cookie. */
    void (*on_rival_lost)(void *user);
    /* Responder: the peer says its old link is gone: ours is to be ended. It
     * has proven the cookie; on_up follows. */
    void (*on_rival_gone)(void *user);
    /* Initiator: the peer says a link is up. True: ours is gone. */
    bool (*on_alive)(void *user);
    void (*on_up)(void *user);
    /* One control message; everything in it lives until the callback
     * returns. Unknown operations are not shown. */
    void (*on_signal)(void *user, const pn_dist_signal *signal);
    /* A message over max_message has come and was not kept: its first
     * PN_DIST_HEAD_MAX bytes, which live until the callback returns
     * (pn_dist_head_read), and how long it was. May be NULL. */
    void (*on_drained)(
        void *user, const uint8_t *head, size_t head_len, size_t len);
} pn_dist_callbacks;

/* Everything is borrowed until pn_dist_free, but the cookie: it is copied, and
 * wiped. */
typedef struct pn_dist_config {
    pn_dist_role role;
    const char *name; /* ours */
    /* The authenticated (or dialled) name, which has to be that of the
     * handshake (D2). Empty: a cookie-only initiator, any valid name. */
    pn_slice peer_name;
    bool is_claimed; /* peer_name is only what it says: no key was proven */
    pn_slice cookie;
    uint64_t flags;        /* PN_DIST_FLAGS and more; all but SPAWN stay */
    uint32_t creation;     /* ours, >= 4 */
    uint64_t handshake_us; /* for each step, PN_DIST_HANDSHAKE_MAX_US at most */
    size_t max_message;    /* 2^31-1 at most */
    /* Longer ones up to this are drained; what is longer ends the connection.
     * 0: every message over max_message does. */
    size_t max_drain;
    uint64_t drain_us;
    const pn_env *env; /* randomness of the challenge */
    const pn_dist_callbacks *callbacks;
    void *user;
} pn_dist_config;

/* Errors: PN_INVALID a name, cookie, creation, flag or limit that cannot be;
 * PN_NOMEM. */
PN_MUST_USE pn_err pn_dist_new(
    const pn_dist_config *config, uint64_t now_us, pn_dist **ret_dist);
void pn_dist_free(pn_dist *dist); /* NULL is fine; wipes */

/* Bytes of stream 0, handshake or ticks; of a data stream of the peer, by its
 * number: any of its parity in the reserved range but the authentication's.
 * What comes before the handshake is over is held back, PN_DIST_EARLY_MAX bytes
 * of it. After a failure everything is ignored. */
void pn_dist_control_input(
    pn_dist *dist, uint64_t now_us, const uint8_t *data, size_t len);
void pn_dist_data_input(pn_dist *dist, uint64_t now_us, int64_t stream,
    const uint8_t *data, size_t len);
void pn_dist_tick(pn_dist *dist, uint64_t now_us);
/* The owner stops or goes on giving the peer credit for data. Without it the
 * peer cannot send on, so no message that is drained is late; afterwards each
 * has its whole time again. */
void pn_dist_set_reading(pn_dist *dist, uint64_t now_us, bool is_reading);
uint64_t pn_dist_deadline(const pn_dist *dist);

/* The bytes to write to stream 0 now, as one piece in one frame
 * (docs/BARREL-PROTOCOL.md, section 14.1); empty: nothing. The next message
 * comes once the one before was acknowledged by the peer's QUIC, so that no two
 * are coalesced. Also of a handshake that failed: the status that says no. */
pn_slice pn_dist_output(const pn_dist *dist);
void pn_dist_written(pn_dist *dist);
/* That many bytes of stream 0 have arrived in all. */
void pn_dist_acked(pn_dist *dist, uint64_t total);

pn_dist_state pn_dist_state_of(const pn_dist *dist);
pn_dist_reason pn_dist_reason_of(const pn_dist *dist);
/* Once up. */
pn_slice pn_dist_peer_name(const pn_dist *dist);
uint32_t pn_dist_peer_creation(const pn_dist *dist);
/* Bytes of messages that have come in part. */
size_t pn_dist_held(const pn_dist *dist);
/* Initiator: we have proven the cookie and heard nothing since. A peer whose
 * cookie is another says nothing, and upstream does not even close. */
bool pn_dist_awaits_ack(const pn_dist *dist);

#endif

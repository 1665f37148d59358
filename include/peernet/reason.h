/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One vocabulary of reasons, from the library to the command line to the
 * metrics: why a call was refused, why a link ended, why a dial failed.
 */
#ifndef PEERNET_REASON_H
#define PEERNET_REASON_H

#include <peernet/common.h>

PN_BEGIN_DECLS

/* X(name, text). A new reason is added at the end of the list, because the
 * numbers of the others are part of the ABI. One that is sent to a peer also
 * needs a term in link/reasons.c, of atoms that every BEAM knows. */
#define PN_REASON_MAP(X)                                                       \
    X(NONE, "none")                                                            \
    /* answers to a call; link/reasons.c has the terms on the wire */          \
    X(NO_SUCH_HANDLE, "no-such-handle")                                        \
    X(FORBIDDEN, "forbidden")                                                  \
    X(QUEUE_FULL, "queue-full")                                                \
    X(HANDLER_TIMEOUT, "handler-timeout")                                      \
    X(HANDLER_FAILED, "handler-failed")                                        \
    X(NO_REPLY, "no-reply")                                                    \
    X(REPLY_TOO_LARGE, "reply-too-large")                                      \
    X(BAD_ARGUMENT, "bad-argument")                                            \
    X(FUNCTION_NOT_EXPORTED, "function-not-exported")                          \
    X(FUNCTION_FORBIDDEN, "function-forbidden")                                \
    X(UNKNOWN_OPERATION, "unknown-operation")                                  \
    X(RATE_LIMITED, "rate-limited")                                            \
    /* why a link ended or never came to be */                                 \
    X(LOCAL_CLOSE, "local-close")                                              \
    X(PEER_CLOSED, "peer-closed")                                              \
    X(UNPAIRED, "unpaired")                                                    \
    X(UNTRUSTED_PEER, "untrusted-peer")                                        \
    X(NOT_PAIRED_THERE, "not-paired-there?")                                   \
    X(KEY_MISMATCH, "key-mismatch")                                            \
    X(OWN_KEY, "own-key")                                                      \
    X(BAD_HANDSHAKE, "bad-handshake")                                          \
    X(HANDSHAKE_TIMEOUT, "handshake-timeout")                                  \
    X(BAD_FRAME, "bad-frame")                                                  \
    X(FRAME_TOO_LARGE, "frame-too-large")                                      \
    X(BAD_TAG, "bad-tag")                                                      \
    X(NONCES_USED_UP, "nonces-used-up")                                        \
    X(BAD_TERM, "bad-term")                                                    \
    X(BAD_ENVELOPE, "bad-envelope")                                            \
    X(PING_TIMEOUT, "ping-timeout")                                            \
    X(STALLED, "stalled")                                                      \
    X(FLOOD, "flood")                                                          \
    X(SUPERSEDED, "superseded")                                                \
    X(DUPLICATE, "duplicate")                                                  \
    X(ADDRESS_GONE, "address-gone")                                            \
    X(NETWORK_CHANGED, "network-changed")                                      \
    X(CONNECTION_REFUSED, "connection-refused")                                \
    X(PEER_LISTENS_ON_LOOPBACK, "peer-listens-on-loopback?")                   \
    X(UNREACHABLE, "unreachable")                                              \
    X(CONNECT_TIMEOUT, "connect-timeout")                                      \
    X(CONNECTION_RESET, "connection-reset")                                    \
    X(ATOM_UNKNOWN_TO_PEER, "atom-unknown-to-peer?")                           \
    X(TOO_MANY, "too-many-connections")                                        \
    X(OUT_OF_MEMORY, "out-of-memory")                                          \
    X(SYSTEM, "system-error")                                                  \
    /* of nodes of an Erlang cluster */                                        \
    X(COOKIE_DIFFERS, "cookie-differs?")                                       \
    X(CLOCK_DIFFERS, "clock-differs")

typedef enum pn_reason {
#define PN_REASON_ENUM(name, text) PN_REASON_##name,
    PN_REASON_MAP(PN_REASON_ENUM)
#undef PN_REASON_ENUM
        PN_N_REASONS /* how many; not a reason */
} pn_reason;

/**
 * Returns the reason's name as it is printed everywhere, e.g.
 * "no-such-handle"; a trailing '?' marks a guess. "unknown" for numbers that
 * this version does not know. Ownership: static storage. Thread: any.
 */
PN_API const char *pn_reason_text(pn_reason reason);

/**
 * Why a function failed: a reason where the list above has one, and a
 * sentence. Functions that can say why have a pn_why *ret_why as their last
 * parameter, which may be NULL.
 */
typedef struct pn_why {
    pn_reason reason; /* PN_REASON_NONE: the text says all */
    char text[512];   /* one sentence, NUL-terminated; empty: none */
} pn_why;

PN_END_DECLS

#endif

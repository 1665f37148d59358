/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One list of errors in four classes. The class is the policy: a peer error
 * ends that link and nothing else, a local error travels up, a caller error is
 * returned and changes nothing, an outcome is an answer and not a failure.
 */
#ifndef PEERNET_ERROR_H
#define PEERNET_ERROR_H

#include <peernet/common.h>

PN_BEGIN_DECLS

/* X(name, number, text). Numbers never change once released. */
#define PN_ERR_MAP(X)                                                          \
    X(OK, 0, "success")                                                        \
    /* outcomes: -1 .. -99 */                                                  \
    X(AGAIN, -1, "more input is needed")                                       \
    X(CLOSED, -2, "closed")                                                    \
    X(NOT_CONNECTED, -3, "no link to this peer")                               \
    X(TIMEOUT, -4, "no reply in time")                                         \
    X(BUSY, -5, "a queue is full")                                             \
    X(REMOTE, -6, "the peer answered with an error")                           \
    X(NOT_FOUND, -7, "no such entry")                                          \
    X(MISMATCH, -8, "the term has another shape")                              \
    /* the caller's: -100 .. -199 */                                           \
    X(INVALID, -100, "invalid argument")                                       \
    X(STATE, -101, "not possible in this state or from this thread")           \
    X(TOO_LARGE, -102, "larger than one frame can carry")                      \
    X(EXISTS, -103, "already there")                                           \
    /* local: -200 .. -299 */                                                  \
    X(NOMEM, -200, "out of memory")                                            \
    X(SYS, -201, "the system refused")                                         \
    X(FULL, -202, "there are as many as may be")                               \
    X(CORRUPT, -203, "a stored file is damaged")                               \
    X(PERMISSION, -204, "a stored file has an unsafe owner, type or mode")     \
    X(LOCKED, -205, "another process holds this data directory")               \
    /* the peer's: -300 .. -399 */                                             \
    X(MALFORMED, -300, "malformed input")                                      \
    X(AUTH, -301, "authentication failed")                                     \
    X(DENIED, -302, "denied")                                                  \
    X(LIMIT, -303, "a limit was exceeded")

typedef enum pn_err {
#define PN_ERR_ENUM(name, number, text) PN_##name = (number),
    PN_ERR_MAP(PN_ERR_ENUM)
#undef PN_ERR_ENUM
} pn_err;

/** True for the errors that end a link: -300 .. -399. Thread: any. */
static inline bool pn_err_is_peer(pn_err err)
{
    return (int)err <= -300 && (int)err > -400;
}

/**
 * Returns a lower-case sentence fragment for err, e.g. "no reply in time";
 * never NULL, also for numbers that this version does not know.
 * Ownership: static storage. Thread: any.
 */
PN_API const char *pn_strerror(pn_err err);

/**
 * Returns the name of err without its prefix, e.g. "TIMEOUT"; "UNKNOWN" for
 * numbers that this version does not know.
 * Ownership: static storage. Thread: any.
 */
PN_API const char *pn_err_name(pn_err err);

PN_END_DECLS

#endif

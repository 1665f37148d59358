/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log events. The library writes nowhere: it hands fixed fields to the
 * application's callback. Peer text is escaped before it gets here and at most
 * 128 characters; keys show as fingerprints; repeated denials are counted and
 * come at most once a second per reason. No secret is ever in a field.
 */
#ifndef PEERNET_LOG_H
#define PEERNET_LOG_H

#include <peernet/key.h>
#include <peernet/reason.h>

PN_BEGIN_DECLS

typedef enum pn_log_level {
    PN_LOG_DEBUG,
    PN_LOG_INFO,
    PN_LOG_WARNING,
    PN_LOG_ERROR
} pn_log_level;

/* X(name, text). New ones are added before the end marker only. */
#define PN_LOG_MAP(X)                                                          \
    /* of peers and strangers */                                               \
    X(DENIED, "denied")         /* text: the handle or function; reason */     \
    X(SUPPRESSED, "suppressed") /* text: of which event; n_suppressed */       \
    /* ... text: what a peer has logged here, at this level */                 \
    X(PEER_DEBUGS, "peer debugs")                                              \
    X(PEER_SAYS, "peer says")                                                  \
    X(PEER_WARNS, "peer warns")                                                \
    X(PEER_REPORTS, "peer reports an error")                                   \
    X(OUTPUT_LOST, "output lost") /* text: how many bytes */                   \
    X(ADDRESS_UNKNOWN, "address of a peer")                                    \
    /* a discovery source (text: which, with its port; sys_errno: why) */      \
    X(DISCOVERY_FAILS,                                                         \
        "announces are neither heard nor made, trying again every 5 s")        \
    X(DISCOVERY_AGAIN, "announces are heard and made now")                     \
    /* the network; text: the monitor, or what happens next; sys_errno */      \
    X(NETWORK_NOT_WATCHED, "network is not watched")                           \
    X(NETWORK_WATCHED, "network is watched again")                             \
    X(NO_ACCEPT, "no connection can be accepted")                              \
    /* files; text: a sentence */                                              \
    X(MODE_TIGHTENED, "file mode tightened")                                   \
    X(TRUST_LIST, "trust list")                                                \
    X(TRUST_LIST_NOT_READ, "trust list not read")                              \
    X(TRUST_LIST_NOT_WRITTEN, "trust list not written")                        \
    X(NOT_PAIRED, "not paired")                                                \
    /* the Barrel link */                                                      \
    X(BARREL_FILE, "Barrel")                                                   \
    X(PINS, "pins")                                                            \
    X(PINS_NOT_READ, "pins cannot be read: no new node is let in")             \
    X(NODE_PINNED, "pinned a new node") /* text: its name */                   \
    X(NODE_NOT_PINNED, "did not pin a new node")                               \
    X(IDENTITY_NOT_READ, "identity")                                           \
    X(IDENTITY_ROTATED, "the identity was rotated")                            \
    X(IDENTITY_READ, "the identity can be read again")                         \
    X(AUTH_IN_FAILED, "incoming authentication failed")                        \
    X(AUTH_OUT_FAILED, "outgoing authentication failed")                       \
    X(DISTRIBUTION_REFUSED, "distribution refused")                            \
    X(MESSAGE_TOO_LARGE, "a message was too large")                            \
    /* the file of grants */                                                   \
    X(WOULD_ALLOW, "would allow") /* text: the handle or function, the line */ \
    X(GRANTS, "grants")           /* text: a sentence */                       \
    X(GRANTS_NOT_READ, "grants not read: those of the file do not hold")       \
    X(GRANTS_NOT_WRITTEN, "grants not written")

typedef enum pn_log_what {
#define PN_LOG_ENUM(name, text) PN_LOG_##name,
    PN_LOG_MAP(PN_LOG_ENUM)
#undef PN_LOG_ENUM
        PN_N_LOG /* how many; no event */
} pn_log_what;

/**
 * Returns the text of an event, lower case unless it begins with a name, e.g.
 * "denied". Ownership: static storage; never NULL. Thread: any.
 */
PN_API const char *pn_log_text(pn_log_what what);

/** One event. Pointers are valid during the callback only; NULL or 0 when the
 * event has no such field. */
typedef struct pn_log_event {
    size_t size; /* sizeof as the library knows it; newer fields at the end */
    pn_log_level level;
    pn_log_what what;
    const char *peer;      /* fingerprint or peer address, escaped */
    const char *text;      /* a detail, escaped */
    pn_reason reason;      /* PN_REASON_NONE when there is none */
    int sys_errno;         /* 0 when the system had no part in it */
    uint64_t n_suppressed; /* like events left out since the last one */
    const char *label;     /* of the peer, or a node's name; NULL: none */
} pn_log_event;

PN_END_DECLS

#endif

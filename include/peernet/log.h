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

/** One event. Pointers are valid during the callback only; NULL or 0 when the
 * event has no such field. */
typedef struct pn_log_event {
    size_t size; /* sizeof as the library knows it; newer fields at the end */
    pn_log_level level;
    const char *what;      /* static, lower case: "link up", "denied", ... */
    const char *peer;      /* fingerprint or peer address, escaped */
    const char *text;      /* a detail, escaped */
    pn_reason reason;      /* PN_REASON_NONE when there is none */
    int sys_errno;         /* 0 when the system had no part in it */
    uint64_t n_suppressed; /* like events left out since the last one */
} pn_log_event;

PN_END_DECLS

#endif

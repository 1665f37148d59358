/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits on the log lines about strangers and about refused peers. A stranger
 * has one line a minute, a refusal of a peer a few. Further ones are counted,
 * and the counts are reported once a minute. The sum of all lines is limited as
 * well, because a stranger can forge any number of keys and addresses. An
 * engine: `now` is an argument, counts are results.
 */
#ifndef PN_LINK_QUIET_H
#define PN_LINK_QUIET_H

#include <peernet/key.h>
#include <peernet/reason.h>

#include "base/core.h"
#include "base/env.h"

#define PN_QUIET_INTERVAL_US (60 * PN_US_PER_S)

typedef enum pn_quiet_kind {
    PN_QUIET_DISCOVERED,
    PN_QUIET_DENIED,      /* strangers */
    PN_QUIET_DENIED_PEER, /* apart: strangers do not use up its lines */
    PN_QUIET_DIAL_FAILED,
    PN_QUIET_LOG,
    PN_QUIET_LABEL, /* of what peers call themselves */
    PN_QUIET_WOULD_ALLOW,
    PN_QUIET_LOST, /* not kept for want of room: counted only */
    PN_N_QUIET
} pn_quiet_kind;

typedef struct pn_quiet_entry {
    pn_public_key id;
    uint64_t at_us; /* of the first line of its minute; 0: unused */
    pn_reason reason;
    uint8_t kind;
    uint8_t n_lines;
} pn_quiet_entry;

/* Lines of one kind. */
typedef struct pn_quiet_rate {
    uint64_t at_us; /* since when those that are used come back */
    uint32_t n_used;
} pn_quiet_rate;

typedef struct pn_quiet {
    pn_quiet_entry *entries;
    uint32_t max; /* entries, and lines of a kind in one go */
    uint32_t next;
    uint32_t per_minute; /* lines of a kind, after those */
    pn_quiet_rate rates[PN_N_QUIET];
    uint64_t counts[PN_N_QUIET][PN_N_REASONS];
    uint64_t due_us; /* of the next summary; PN_TIME_NEVER */
} pn_quiet;

/* Errors: PN_NOMEM. */
PN_MUST_USE pn_err pn_quiet_init(
    pn_quiet *q, uint32_t max, uint32_t per_minute);
void pn_quiet_fini(pn_quiet *q);

/* One act that may be reported. */
typedef struct pn_quiet_cause {
    pn_quiet_kind kind;
    pn_public_key id; /* of whom */
    pn_reason reason; /* of a denial; each has lines and a count of its own */
    unsigned n_lines; /* that it is worth a minute */
} pn_quiet_cause;

/* True: report it. False: it has been counted. */
bool pn_quiet_admits(pn_quiet *q, const pn_quiet_cause *cause, uint64_t now_us);
void pn_quiet_count(
    pn_quiet *q, pn_quiet_kind kind, pn_reason reason, uint64_t now_us);
/* The count since the last summary, once one is due; else 0. */
uint64_t pn_quiet_take(pn_quiet *q, pn_quiet_kind kind, pn_reason reason);
/* "discovered": the name of the event it stands for. */
const char *pn_quiet_name(pn_quiet_kind kind);

#endif

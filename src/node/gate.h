/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may connect at all: limits on strangers, decided from the source address
 * alone, before anything is allocated or computed for them (RELIABILITY T2,
 * T3). An engine: no socket, no clock; memory is fixed when it is made.
 */
#ifndef PN_NODE_GATE_H
#define PN_NODE_GATE_H

#include "base/core.h"
#include "base/env.h"

/* Sources remembered at once; one more takes the place of the fullest. */
#define PN_GATE_SOURCES 256

typedef struct pn_gate_limits {
    uint32_t max_strangers;            /* unauthenticated at once, all */
    uint32_t max_strangers_per_source; /* ... from one source */
    uint32_t strangers_per_second;     /* accepted a second, all */
    uint32_t source_per_second;
    uint32_t source_burst;
    uint32_t trusted_reserve; /* slots of max_strangers for known addresses */
} pn_gate_limits;

/* A token bucket in thousandths of a token. */
typedef struct pn_bucket {
    uint64_t at_us;
    uint64_t level;
} pn_bucket;

/* True, and one token less, when the bucket has one. */
bool pn_bucket_take(
    pn_bucket *b, uint64_t now_us, uint32_t per_second, uint32_t burst);

typedef struct pn_gate_source {
    uint64_t source;
    uint32_t strangers;
    bool is_used;
    pn_bucket bucket;
} pn_gate_source;

typedef struct pn_gate {
    pn_gate_limits limits;
    const pn_env *env;
    uint32_t strangers;
    pn_bucket all;
    pn_gate_source sources[PN_GATE_SOURCES];
} pn_gate;

PN_CORE void pn_gate_init(
    pn_gate *g, const pn_gate_limits *limits, const pn_env *env);

/*
 * May source (pn_address_source) connect now? is_known: a paired peer was
 * authenticated from there or is remembered there; such a source has slots and
 * a rate of its own reserve. A yes counts a stranger until pn_gate_leave.
 */
PN_CORE bool pn_gate_enter(
    pn_gate *g, uint64_t source, bool is_known, uint64_t now_us);
/* The connection is authenticated or gone. */
PN_CORE void pn_gate_leave(pn_gate *g, uint64_t source);

#endif

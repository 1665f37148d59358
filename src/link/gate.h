/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits on strangers, decided from the source address alone, before anything
 * is allocated or computed for them (docs/THREATS.md, T2 and T3). An engine: no
 * socket, no clock; memory is fixed when it is made.
 */
#ifndef PN_LINK_GATE_H
#define PN_LINK_GATE_H

#include "base/bucket.h"
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

static inline void pn_gate_init(
    pn_gate *g, const pn_gate_limits *limits, const pn_env *env)
{
    *g = (pn_gate){.limits = *limits, .env = env};
}

/*
 * May source (pn_address_source) connect now? is_known: a paired peer was
 * authenticated from there or is remembered there; such a source uses reserved
 * slots and a reserved rate. True counts a stranger until pn_gate_leave.
 */
bool pn_gate_enter(pn_gate *g, uint64_t source, bool is_known, uint64_t now_us);
/* The connection is authenticated or gone. */
PN_CORE void pn_gate_leave(pn_gate *g, uint64_t source);

#endif

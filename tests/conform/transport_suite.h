/* SPDX-License-Identifier: Apache-2.0 */
/* The suite over every transport: declarations that its files share. */
#ifndef PN_TESTS_TRANSPORT_SUITE_H
#define PN_TESTS_TRANSPORT_SUITE_H

#include "conform.h"
#include "memory_transport.h"

#define N_OF(table) (sizeof(table) / sizeof((table)[0]))

typedef struct transport_row {
    const char *name;
    const pn_transport_ops *ops;
    const char *at; /* port 0: any */
    bool needs_ipv6;
    pn_memory_options memory;
} transport_row;

typedef struct suite_row {
    const char *name;
    CMUnitTestFunction function;
} suite_row;

/* The rows of test_transport_end.c. */
enum { N_END = 15 };
extern const suite_row end_suite[N_END];

/* A rig over the transport of the row that is state. */
void start(rig *r, void **state);

/* As rig_run, for many bytes: a minute at the most. */
static inline bool run_long(rig *r, bool (*done)(rig *r))
{
    for (int i = 0; i < 6; i++) {
        if (rig_run(r, done)) {
            return true;
        }
    }
    return false;
}

/* Conditions for rig_run. */
static inline bool client_ended(rig *r)
{
    return r->client.n_end > 0;
}

static inline bool server_ended(rig *r)
{
    return r->server.n_end > 0;
}

static inline bool server_has_data(rig *r)
{
    return r->server.n_data > 0;
}

#endif

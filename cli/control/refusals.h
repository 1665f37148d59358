/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often something was refused within the last hour, for each reason. It is
 * made of counters that only grow: a ring keeps their values of the last sixty
 * minutes, so its size does not depend on what peers do.
 */
#ifndef PN_CLI_REFUSALS_H
#define PN_CLI_REFUSALS_H

#include <peernet/node.h>

#define CLI_REFUSAL_MINUTES 60
#define CLI_REFUSAL_TICK_MS 60000

typedef struct cli_refusals {
    uint64_t minutes[CLI_REFUSAL_MINUTES][PN_N_REASONS];
    unsigned n; /* minutes that were kept so far */
} cli_refusals;

/* The refusals of a node since it was opened, by reason. */
void cli_refusals_read(
    const pn_metrics *metrics, uint64_t ret_counts[static PN_N_REASONS]);
/* Keeps the counters; called once a minute. */
void cli_refusals_tick(
    cli_refusals *r, const uint64_t counts[static PN_N_REASONS]);
/* How much the counters grew within the last CLI_REFUSAL_MINUTES ticks. */
uint64_t cli_refusals_lately(const cli_refusals *r,
    const uint64_t counts[static PN_N_REASONS], pn_reason reason);

#endif

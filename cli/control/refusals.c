/* SPDX-License-Identifier: Apache-2.0 */
/* Refusals within the last hour; see refusals.h. */
#include "refusals.h"

#include <string.h>

void cli_refusals_read(
    const pn_metrics *metrics, uint64_t ret_counts[static PN_N_REASONS])
{
    for (unsigned i = 0; i < PN_N_REASONS; i++) {
        ret_counts[i] = metrics->denials[i];
    }
    ret_counts[PN_REASON_TOO_MANY] += metrics->refused;
}

void cli_refusals_tick(
    cli_refusals *r, const uint64_t counts[static PN_N_REASONS])
{
    memcpy(
        r->minutes[r->n % CLI_REFUSAL_MINUTES], counts, sizeof(r->minutes[0]));
    r->n++;
}

/* The oldest kept minute; a node that is younger began with zeros. */
uint64_t cli_refusals_lately(const cli_refusals *r,
    const uint64_t counts[static PN_N_REASONS], pn_reason reason)
{
    return r->n < CLI_REFUSAL_MINUTES
               ? counts[reason]
               : counts[reason]
                     - r->minutes[r->n % CLI_REFUSAL_MINUTES][reason];
}

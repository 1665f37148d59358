/* SPDX-License-Identifier: Apache-2.0 */
/* See quiet.h. docs/THREATS.md, T27. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "link/quiet.h"

pn_err pn_quiet_init(pn_quiet *q, uint32_t max, uint32_t per_minute)
{
    *q = (pn_quiet){
        .max = max, .per_minute = per_minute, .due_us = PN_TIME_NEVER};
    q->entries = calloc(max, sizeof(*q->entries));
    return q->entries == NULL ? PN_NOMEM : PN_OK;
}

void pn_quiet_fini(pn_quiet *q)
{
    free(q->entries);
    q->entries = NULL;
    q->max = 0; /* a request that outlives its node is only counted */
}

void pn_quiet_count(
    pn_quiet *q, pn_quiet_kind kind, pn_reason reason, uint64_t now_us)
{
    q->counts[kind][reason]++;
    if (q->due_us == PN_TIME_NEVER) {
        q->due_us = now_us + PN_QUIET_INTERVAL_US;
    }
}

static pn_quiet_entry *entry_find(pn_quiet *q, const pn_quiet_cause *cause)
{
    for (uint32_t i = 0; i < q->max; i++) {
        pn_quiet_entry *e = &q->entries[i];

        if (e->at_us != 0 && e->kind == cause->kind
            && e->reason == cause->reason
            && memcmp(&e->id, &cause->id, sizeof(e->id)) == 0) {
            return e;
        }
    }
    return NULL;
}

/* Replaces the oldest entry; the new one has no line yet. */
static pn_quiet_entry *entry_add(
    pn_quiet *q, const pn_quiet_cause *cause, uint64_t now_us)
{
    pn_quiet_entry *e = &q->entries[q->next];

    assert(q->next < q->max);
    q->next = (q->next + 1) % q->max;
    *e = (pn_quiet_entry){.id = cause->id,
        .at_us = now_us,
        .reason = cause->reason,
        .kind = (uint8_t)cause->kind};
    return e;
}

/* Whole lines are returned at whole intervals, so that frequent calls do not
 * lose fractions. */
static bool rate_gives(pn_quiet *q, pn_quiet_kind kind, uint64_t now_us)
{
    pn_quiet_rate *rate = &q->rates[kind];
    uint64_t every_us = PN_QUIET_INTERVAL_US / q->per_minute;
    uint64_t n = (now_us - rate->at_us) / every_us;

    if (rate->at_us == 0 || n >= rate->n_used) {
        rate->n_used = 0;
        rate->at_us = now_us;
    } else {
        rate->n_used -= (uint32_t)n;
        rate->at_us += n * every_us;
    }
    if (rate->n_used >= q->max) {
        return false;
    }
    rate->n_used++;
    return true;
}

bool pn_quiet_admits(pn_quiet *q, const pn_quiet_cause *cause, uint64_t now_us)
{
    pn_quiet_entry *e = entry_find(q, cause);

    if (e != NULL && now_us - e->at_us >= PN_QUIET_INTERVAL_US) {
        e->at_us = now_us;
        e->n_lines = 0;
    }
    if ((e != NULL && PN_REFUSE_IF(quiet_source, e->n_lines >= cause->n_lines))
        || PN_REFUSE_IF(quiet_rate, !rate_gives(q, cause->kind, now_us))) {
        pn_quiet_count(q, cause->kind, cause->reason, now_us);
        return false;
    }
    if (e == NULL) {
        e = entry_add(q, cause, now_us);
    }
    e->n_lines++;
    return true;
}

uint64_t pn_quiet_take(pn_quiet *q, pn_quiet_kind kind, pn_reason reason)
{
    uint64_t n = q->counts[kind][reason];

    q->counts[kind][reason] = 0;
    q->due_us = PN_TIME_NEVER;
    return n;
}

const char *pn_quiet_name(pn_quiet_kind kind)
{
    static const char *const names[PN_N_QUIET] = {
        [PN_QUIET_DISCOVERED] = "discovered",
        [PN_QUIET_DENIED] = "denied",
        [PN_QUIET_DENIED_PEER] = "denied",
        [PN_QUIET_DIAL_FAILED] = "dial-failed",
        [PN_QUIET_LOG] = "log",
        [PN_QUIET_LABEL] = "label-proposed",
        [PN_QUIET_WOULD_ALLOW] = "would-allow",
        [PN_QUIET_LOST] = "lost",
    };

    return names[kind];
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Limits on strangers; see gate.h and docs/THREATS.md, T2 and T3. */
#include "link/gate.h"
#include "base/assert.h"
#include "base/mutant.h"

/* The source's slot; a new one replaces an unused slot or the one that has
 * been quiet longest, never one that still holds strangers. */
static pn_gate_source *source_find(pn_gate *g, uint64_t source)
{
    pn_gate_source *oldest = NULL;

    for (size_t i = 0; i < PN_GATE_SOURCES; i++) {
        pn_gate_source *s = &g->sources[i];

        if (s->is_used && s->source == source) {
            return s;
        }
        if (s->strangers == 0
            && (oldest == NULL || !s->is_used
                || (oldest->is_used
                    && s->bucket.at_us < oldest->bucket.at_us))) {
            oldest = s;
        }
    }
    if (oldest != NULL) {
        *oldest = (pn_gate_source){.source = source, .is_used = true};
    }
    return oldest;
}

/* Random early drop: once a quarter of the places is taken, the probability of
 * a refusal grows with the number of places taken (T3). */
static bool is_dropped_early(pn_gate *g)
{
    uint32_t from = g->limits.max_strangers / 4;
    uint8_t draw;

    if (g->strangers < from || g->limits.max_strangers <= from) {
        return false;
    }
    if (g->env->random(g->env->user, &draw, 1) != PN_OK) {
        return true;
    }
    return (uint32_t)draw * (g->limits.max_strangers - from)
           < 256u * (g->strangers - from);
}

bool pn_gate_enter(pn_gate *g, uint64_t source, bool is_known, uint64_t now_us)
{
    const pn_gate_limits *l = &g->limits;
    uint32_t places = l->max_strangers;
    pn_gate_source *s = source_find(g, source);

    if (!is_known) {
        places -= l->trusted_reserve < places ? l->trusted_reserve : places;
    }
    if (PN_REFUSE_IF(gate_all, g->strangers >= places)) {
        return false;
    }
    if (PN_REFUSE_IF(gate_source_table, s == NULL)) {
        return false;
    }
    if (PN_REFUSE_IF(
            gate_source, s->strangers >= l->max_strangers_per_source)) {
        return false;
    }
    if (PN_REFUSE_IF(
            gate_source_rate, !pn_bucket_take(&s->bucket, now_us,
                                  l->source_per_second, l->source_burst))) {
        return false;
    }
    if (!is_known) {
        if (PN_REFUSE_IF(gate_early_drop, is_dropped_early(g))) {
            return false;
        }
        if (PN_REFUSE_IF(gate_rate,
                !pn_bucket_take(&g->all, now_us, l->strangers_per_second,
                    l->strangers_per_second))) {
            return false;
        }
    }
    s->strangers++;
    g->strangers++;
    return true;
}

void pn_gate_leave(pn_gate *g, uint64_t source)
{
    for (size_t i = 0; i < PN_GATE_SOURCES; i++) {
        pn_gate_source *s = &g->sources[i];

        if (s->is_used && s->source == source && s->strangers > 0) {
            assert(g->strangers >= s->strangers);
            s->strangers--;
            g->strangers--;
            return;
        }
    }
}

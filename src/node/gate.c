/* SPDX-License-Identifier: Apache-2.0 */
/* Limits on strangers; see gate.h and RELIABILITY T2, T3. */
#include <string.h>

#include "base/mutant.h"
#include "node/gate.h"

#define TOKEN UINT64_C(1000)

void pn_gate_init(pn_gate *g, const pn_gate_limits *limits, const pn_env *env)
{
    memset(g, 0, sizeof(*g));
    g->limits = *limits;
    g->env = env;
}

bool pn_bucket_take(
    pn_bucket *b, uint64_t now_us, uint32_t per_second, uint32_t burst)
{
    uint64_t full = (uint64_t)burst * TOKEN;

    if (b->at_us == 0) {
        b->level = full;
    } else if (now_us > b->at_us) {
        uint64_t passed = now_us - b->at_us;

        /* A bucket is full again after burst/per_second seconds at most. */
        if (per_second == 0 || passed > UINT64_C(3600) * PN_US_PER_S) {
            b->level = full;
        } else {
            b->level += passed * per_second / (PN_US_PER_S / TOKEN);
        }
    }
    if (b->level > full) {
        b->level = full;
    }
    b->at_us = now_us;
    if (b->level < TOKEN) {
        return false;
    }
    b->level -= TOKEN;
    return true;
}

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

/* Random early drop: from a quarter of the places on, the chance to be turned
 * away grows with how full it is (T3). */
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
    if (PN_CHECK(gate_all, g->strangers >= places)) {
        return false;
    }
    if (PN_CHECK(gate_source_table, s == NULL)) {
        return false;
    }
    if (PN_CHECK(gate_source, s->strangers >= l->max_strangers_per_source)) {
        return false;
    }
    if (PN_CHECK(
            gate_source_rate, !pn_bucket_take(&s->bucket, now_us,
                                  l->source_per_second, l->source_burst))) {
        return false;
    }
    if (!is_known) {
        if (PN_CHECK(gate_early_drop, is_dropped_early(g))) {
            return false;
        }
        if (PN_CHECK(gate_rate,
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
            s->strangers--;
            g->strangers--;
            return;
        }
    }
}

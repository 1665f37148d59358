/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many nodes in one segment that get power at once: what a node sends does not
 * grow with their number, and they do not dial each other more than it takes.
 */
#include <stdio.h>

#include "world.h"

enum { N_NEIGHBOURS = 4, MINUTE_S = 60 };

/* Announces of a node in its first minute: the early ones, then one in at
 * least four seconds. */
enum { MAX_ANNOUNCES = PN_PACE_EARLY + MINUTE_S / 4 };

typedef struct segment {
    const char *name;
    unsigned n_nodes;
    bool all_paired; /* with each other; else with four */
} segment;

static const segment segments[] = {
    {"20 nodes", 20, false},
    {"200 nodes", 200, false},
    {"60 nodes all paired", 60, true},
};

static bool are_paired(const segment *s, unsigned a, unsigned b)
{
    unsigned apart = (b + s->n_nodes - a) % s->n_nodes;

    return s->all_paired || apart <= N_NEIGHBOURS / 2
           || apart >= s->n_nodes - N_NEIGHBOURS / 2;
}

static unsigned for_each_pair(sim_world *w, const segment *s,
    void (*f)(sim_world *w, sim_node *a, sim_node *b))
{
    unsigned n = 0;

    for (unsigned a = 0; a < s->n_nodes; a++) {
        for (unsigned b = 0; b < a; b++) {
            if (are_paired(s, a, b)) {
                f(w, w->nodes[a], w->nodes[b]);
                n++;
            }
        }
    }
    return n;
}

static void pair(sim_world *w, sim_node *a, sim_node *b)
{
    (void)w;
    sim_pair(a, b, false);
    sim_pair(b, a, false);
}

static void check_settled(sim_world *w, sim_node *a, sim_node *b)
{
    SIM_CHECK(w, sim_is_settled(a, b));
}

static void power(sim_world *w)
{
    for (unsigned i = 0; i < w->n_nodes; i++) {
        sim_start(w->nodes[i]);
        w->nodes[i]->n_announces = 0;
        sim_announce_every(w->nodes[i]);
    }
}

static void check_announces(sim_world *w, uint64_t min, uint64_t max)
{
    for (unsigned i = 0; i < w->n_nodes; i++) {
        SIM_CHECK(w, w->nodes[i]->n_announces >= min);
        SIM_CHECK(w, w->nodes[i]->n_announces <= max);
    }
}

/* Power comes, fails without a packet, and comes back. Each time every pair has
 * its link after two seconds, by less than one and a half dials, and every node
 * has sent the same few announces. */
static void test_segment(void **state)
{
    const segment *s = *state;
    sim_world *w = sim_new(s->name, 1);
    unsigned n_pairs;

    w->checks_ends = true;
    for (unsigned i = 0; i < s->n_nodes; i++) {
        (void)sim_add(w, SIM_OURS, (uint8_t)sim_random(w, 256));
    }
    n_pairs = for_each_pair(w, s, pair);
    for (unsigned round = 0; round < 3; round++) {
        uint64_t dials = w->n_dials;

        power(w);
        sim_run_for(w, 2 * S);
        for_each_pair(w, s, check_settled);
        check_announces(w, PN_PACE_EARLY, PN_PACE_EARLY);
        dials = w->n_dials - dials;
        print_message("# %s: %u pairs, %llu dials\n", s->name, n_pairs,
            (unsigned long long)dials);
        SIM_CHECK(w, dials >= n_pairs && dials < n_pairs + n_pairs / 2);
        sim_run_for(w, (MINUTE_S - 2) * S);
        for_each_pair(w, s, check_settled);
        check_announces(w, PN_PACE_EARLY + 1, MAX_ANNOUNCES);
        SIM_CHECK(w, w->n_dials < dials * (round + 1) + n_pairs * (round + 1));
        for (unsigned i = 0; i < w->n_nodes; i++) {
            sim_power_loss(w->nodes[i]);
        }
        sim_run_for(w, 10 * S);
    }
    sim_free(w);
}

/* One hears every other, and forged announces besides, and says no more for
 * it. */
static void test_hearing_makes_nobody_announce(void **state)
{
    sim_world *w = sim_new("hearing", 1);
    sim_node *quiet;

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        (void)sim_add(w, SIM_OURS, (uint8_t)i);
    }
    quiet = w->nodes[0];
    for (unsigned i = 1; i < 20; i++) {
        sim_pair(quiet, w->nodes[i], false);
        sim_pair(w->nodes[i], quiet, false);
    }
    for (unsigned i = 0; i < 20; i++) {
        sim_start(w->nodes[i]);
    }
    sim_announce_every(quiet);
    sim_run_for(w, 30 * S);
    quiet->n_announces = 0;
    for (unsigned k = 0; k < 100; k++) {
        for (unsigned i = 1; i < 20; i++) {
            sim_announce(w->nodes[i]);
        }
        sim_run_for(w, 100 * MS);
    }
    SIM_CHECK(w, quiet->n_announces >= 1 && quiet->n_announces <= 3);
    for (unsigned i = 1; i < 20; i++) {
        SIM_CHECK(w, sim_is_settled(quiet, w->nodes[i]));
        SIM_CHECK(w, w->nodes[i]->n_announces == 100);
    }
    sim_free(w);
}

int main(void)
{
    for (size_t i = 0; i < sizeof(segments) / sizeof(segments[0]); i++) {
        pn_test_addf(test_segment, (void *)(uintptr_t)&segments[i],
            "sim/segment/%s", segments[i].name);
    }
    pn_test_add("sim/segment/hearing_makes_nobody_announce",
        test_hearing_makes_nobody_announce, NULL);
    return pn_test_run("sim/segment");
}

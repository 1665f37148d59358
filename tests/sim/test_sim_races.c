/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docs/THREATS.md, NET-4 and T19, in virtual time: two nodes dial each other
 * 0-50 ms apart; within 5 s one link is left, the same for both, and stays; at
 * most three connections end in any 5 s; no Elixir supervisor trips.
 */
#include "world.h"

#define N_RACES 200

typedef enum race_start {
    RACE_DIAL,     /* both dial, at once or some ms apart */
    RACE_ANNOUNCE, /* both hear each other */
    RACE_DROP      /* they had a link and lose it in the same moment */
} race_start;

typedef struct race_row {
    const char *name;
    sim_kind smaller;
    sim_kind larger;
    race_start start;
    unsigned least_races; /* of 200, that had two links for a while */
} race_row;

static race_row rows[] = {
    {"ours_ours", SIM_OURS, SIM_OURS, RACE_DIAL, 40},
    {"ours_elixir", SIM_OURS, SIM_ELIXIR, RACE_DIAL, 40},
    {"elixir_ours", SIM_ELIXIR, SIM_OURS, RACE_DIAL, 40},
    {"ours_passive", SIM_OURS, SIM_PASSIVE, RACE_DIAL, 40},
    {"passive_ours", SIM_PASSIVE, SIM_OURS, RACE_DIAL, 40},
    {"announce_ours_ours", SIM_OURS, SIM_OURS, RACE_ANNOUNCE, 0},
    {"announce_ours_elixir", SIM_OURS, SIM_ELIXIR, RACE_ANNOUNCE, 0},
    {"announce_elixir_ours", SIM_ELIXIR, SIM_OURS, RACE_ANNOUNCE, 0},
    {"drop_ours_ours", SIM_OURS, SIM_OURS, RACE_DROP, 20},
    {"drop_ours_elixir", SIM_OURS, SIM_ELIXIR, RACE_DROP, 0},
    {"drop_elixir_ours", SIM_ELIXIR, SIM_OURS, RACE_DROP, 0},
};

static void dial_second(sim_world *w, sim_event *e)
{
    (void)w;
    if (sim_links(e->node, sim_node_of(w, &e->key)) == 0) {
        sim_dial(e->node, sim_node_of(w, &e->key));
    }
}

static void start_race(sim_world *w, const race_row *row)
{
    sim_node *first = w->nodes[sim_random(w, 2)];
    sim_node *second = w->nodes[1 - first->index];
    sim_event *e;

    switch (row->start) {
    case RACE_DIAL:
        e = sim_at(w, w->now_us + sim_random(w, 50 * MS), dial_second);
        e->node = second;
        e->key = first->key;
        sim_dial(first, second);
        break;
    case RACE_ANNOUNCE:
        sim_announce(first);
        sim_announce(second);
        break;
    case RACE_DROP:
        sim_announce(first);
        sim_announce(second);
        sim_run_for(w, 60 * S);
        SIM_CHECK(w, sim_is_settled(first, second));
        w->n_links = 0;
        sim_cut(first, second); /* both know the other's address */
        break;
    }
}

/* True when there were two links for a while. */
static bool run_race(const race_row *row, uint64_t seed)
{
    sim_world *w = sim_new(row->name, seed);
    sim_node *a = sim_add(w, row->smaller, 10);
    sim_node *b = sim_add(w, row->larger, 20);
    uint64_t n_ends;
    bool was_race;

    w->checks_ends = true;
    w->latency_max_us = 200 + sim_random(w, 20 * MS);
    sim_pair(a, b, false);
    sim_pair(b, a, false);
    sim_start(a);
    sim_start(b);
    start_race(w, row);
    sim_run_for(w, 5 * S);
    SIM_CHECK(w, sim_is_settled(a, b));
    was_race = w->n_links > 1;
    n_ends = w->n_ends;
    sim_run_for(w, 120 * S);
    SIM_CHECK(w, sim_is_settled(a, b));
    SIM_CHECK(w, w->n_ends == n_ends);
    SIM_CHECK(w, !a->is_tripped && !b->is_tripped);
    sim_free(w);
    return was_race;
}

static void test_races(void **state)
{
    const race_row *row = *state;
    unsigned n = 0;

    for (uint64_t seed = 1; seed <= N_RACES; seed++) {
        n += run_race(row, seed);
    }
    print_message("# %s: %u of %d had two links\n", row->name, n, N_RACES);
    assert_true(n >= row->least_races);
}

/* The control: two stock nodes do flap in this simulation. */
static void test_races_elixir_elixir_flaps(void **state)
{
    unsigned n_flaps = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= N_RACES; seed++) {
        sim_world *w = sim_new("elixir_elixir", seed);
        sim_node *a = sim_add(w, SIM_ELIXIR, 10);
        sim_node *b = sim_add(w, SIM_ELIXIR, 20);

        sim_pair(a, b, false);
        sim_pair(b, a, false);
        sim_start(a);
        sim_start(b);
        sim_announce(a);
        sim_announce(b);
        sim_run_for(w, 5 * S);
        n_flaps += w->n_ends > 1;
        sim_free(w);
    }
    assert_true(n_flaps > 0);
}

int main(void)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pn_test_addf(test_races, &rows[i], "sim/races/%s", rows[i].name);
    }
    pn_test_add(
        "sim/races/elixir_elixir_flaps", test_races_elixir_elixir_flaps, NULL);
    return pn_test_run("sim/races");
}

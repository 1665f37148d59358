/* SPDX-License-Identifier: Apache-2.0 */
/* A thousand registries through a day with its share of failures, in seconds.
 */
#include <stdio.h>
#include <stdlib.h>

#include "world.h"

#define N_NODES 1000
#define N_NEIGHBOURS 4
#define DAY_US (24 * 3600 * S)

static sim_node *neighbour(const sim_world *w, unsigned i, unsigned k)
{
    static const unsigned step[N_NEIGHBOURS / 2] = {1, 37};

    return w->nodes[(i + step[k]) % w->n_nodes];
}

static bool is_over; /* the day's troubles */

/* Every node has about four troubles in the day. */
static void on_trouble(sim_world *w, sim_event *e)
{
    sim_node *n = w->nodes[sim_random(w, w->n_nodes)];

    (void)e;
    if (is_over) {
        return;
    }
    switch (sim_random(w, 3)) {
    case 0:
        if (n->is_running) {
            sim_kill(n);
        }
        break;
    case 1:
        if (n->is_running) {
            sim_power_loss(n);
        }
        break;
    default:
        sim_partition(n, 1);
        break;
    }
    (void)sim_at(
        w, w->now_us + sim_random(w, 2 * DAY_US / (N_NODES * 4)), on_trouble);
}

/* Every ten minutes a third of the faults is repaired. */
static void on_repair(sim_world *w, sim_event *e)
{
    (void)e;
    for (unsigned i = 0; i < w->n_nodes; i++) {
        sim_node *n = w->nodes[i];

        if (is_over || sim_random(w, 3) == 0) {
            sim_partition(n, 0);
            if (!n->is_running) {
                sim_start(n);
            }
        }
    }
    if (!is_over) {
        (void)sim_at(w, w->now_us + 600 * S, on_repair);
    }
}

static sim_world *a_thousand_nodes(uint64_t seed)
{
    sim_world *w = sim_new("scale", seed);

    for (unsigned i = 0; i < N_NODES; i++) {
        (void)sim_add(w, SIM_OURS, (uint8_t)sim_random(w, 256));
    }
    for (unsigned i = 0; i < N_NODES; i++) {
        for (unsigned k = 0; k < N_NEIGHBOURS / 2; k++) {
            sim_pair(w->nodes[i], neighbour(w, i, k), true);
            sim_pair(neighbour(w, i, k), w->nodes[i], true);
        }
    }
    for (unsigned i = 0; i < N_NODES; i++) {
        sim_start(w->nodes[i]);
    }
    return w;
}

static void test_scale_a_day(void **state)
{
    sim_world *w = a_thousand_nodes((uint64_t)(uintptr_t)*state);

    is_over = false;
    (void)sim_at(w, w->now_us + 60 * S, on_trouble);
    (void)sim_at(w, w->now_us + 600 * S, on_repair);
    sim_run_for(w, DAY_US);
    is_over = true;
    sim_run_for(w, 600 * S); /* the last repair */
    sim_run_for(w, 180 * S);
    for (unsigned i = 0; i < N_NODES; i++) {
        for (unsigned k = 0; k < N_NEIGHBOURS / 2; k++) {
            SIM_CHECK(w, sim_is_settled(w->nodes[i], neighbour(w, i, k)));
        }
    }
    print_message("# %llu events, %llu dials, %llu links, %llu ends, "
                  "%llu duplicates closed\n",
        (unsigned long long)w->n_events, (unsigned long long)w->n_dials,
        (unsigned long long)w->n_links, (unsigned long long)w->n_ends,
        (unsigned long long)w->n_duplicates);
    sim_free(w);
}

int main(void)
{
    pn_test_add("sim/scale/a_day", test_scale_a_day, (void *)(uintptr_t)1);
    return pn_test_run("sim/scale");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When an announce of a linked peer is out of rhythm, in virtual time: it is
 * the first from its address, or comes too soon or too late. Each that is leads
 * to one ping on the link.
 */
#include <unistd.h>

#include "../os/own_clock.h"
#include "two_nodes.h"

#define MS UINT64_C(1000)
#define S (1000 * MS)

static pn_discovery_sink sink;
static char address[32]; /* bob's */

static pn_err source_start(void *user, const pn_discovery_sink *s)
{
    (void)user;
    sink = *s;
    return PN_OK;
}

static void source_stop(void *user)
{
    (void)user;
}

static const pn_discovery_source source = {
    .size = sizeof(source),
    .name = "by-hand",
    .start = source_start,
    .stop = source_stop,
};

/* No ping comes by itself. */
static void hearing_alice(pn_node_options *opt, bool is_alice)
{
    opt->ping_interval_ms = 3600 * 1000;
    opt->watch_network = false;
    if (is_alice) {
        opt->discovery_source = &source;
    }
}

static pn_metrics metrics(pn_node *node)
{
    pn_metrics m;

    assert_int_equal(pn_node_metrics(node, &m), PN_OK);
    return m;
}

typedef struct pings {
    pn_node *node;
    pn_metrics before;
} pings;

/* And was answered, so that the next announce finds a link that is not asked.
 */
static bool has_pinged(void *user)
{
    const pings *p = user;
    pn_metrics now = metrics(p->node);

    return now.frames_out > p->before.frames_out
           && now.frames_in > p->before.frames_in;
}

/* Bob is heard after_us after the last time. */
static void expect(two_nodes *t, uint64_t after_us, bool is_odd)
{
    pings p = {.node = t->alice};

    own_clock_advance(after_us);
    (void)usleep(50 * 1000); /* what was due before has been sent */
    p.before = metrics(t->alice);
    sink.found(sink.node, &t->bob_key, address);
    if (is_odd) {
        two_nodes_wait(has_pinged, &p);
    } else {
        (void)usleep(50 * 1000);
        assert_int_equal(metrics(t->alice).frames_out, p.before.frames_out);
    }
}

static void test_rhythm(void **state)
{
    two_nodes t;

    (void)state;
    own_clock_go(true);
    two_nodes_open(&t, hearing_alice);
    own_clock_go(false);
    node_address(t.bob, address);
    expect(&t, 3 * S, true); /* the first */
    expect(&t, 4 * S, false);
    expect(&t, 6 * S, false);
    expect(&t, 5 * S, false);
    expect(&t, 50 * MS, false);  /* the same over another way */
    expect(&t, 2400 * MS, true); /* too soon */
    expect(&t, 5 * S, false);
    expect(&t, 6600 * MS, true); /* too late */
    assert_int_equal(t.n_events[PN_EVENT_PEER_DOWN], 0);
    own_clock_go(true);
    two_nodes_close(&t);
    own_clock_go(false);
}

int main(void)
{
    pn_test_add("node/rhythm/of_announces", test_rhythm, NULL);
    return pn_test_run("node/rhythm");
}

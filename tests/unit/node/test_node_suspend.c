/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host that sleeps, in virtual time: its clock that counts in suspend moves
 * on, the other stands still. On waking a node announces itself, pings its
 * links and keeps those that are unharmed. Sockets, handshakes and files are
 * real.
 */
#include <string.h>

#include "../os/own_clock.h"
#include "two_nodes.h"

#define S UINT64_C(1000000)

/* Longer than the ping interval, so that a timer of the loop is due also
 * without word from the kernel. */
#define SLEEP_US (40 * S)
/* Shorter than what a loop of linked nodes waits for. */
#define SHORT_SLEEP_US (5 * S)
/* Longer than the time a pong may take. */
#define LONG_SLEEP_US (3600 * S)

static atomic_uint n_announces;

static pn_err source_start(void *user, const pn_discovery_sink *sink)
{
    (void)user;
    (void)sink;
    return PN_OK;
}

static void source_stop(void *user)
{
    (void)user;
}

static pn_err source_announce(
    void *user, const pn_public_key *key, uint16_t port)
{
    (void)user;
    (void)key;
    atomic_fetch_add(&n_announces, port != 0);
    return PN_OK;
}

static const pn_discovery_source source = {
    .size = sizeof(source),
    .name = "counts",
    .start = source_start,
    .stop = source_stop,
    .announce = source_announce,
};

static void announcing_alice(pn_node_options *opt, bool is_alice)
{
    if (is_alice) {
        opt->discovery_source = &source;
    }
}

/* A loop that is still at its turn of before has yet to watch the time of day.
 */
static bool has_announced_of_day(void *user)
{
    own_clock_set_day();
    return atomic_load(&n_announces) > *(unsigned *)user;
}

/* A loop that was about to set a timer when the clock jumped sets it from then
 * on, so the clock moves while we wait. */
#define STEP_US 20000

static bool has_announced_again(void *user)
{
    own_clock_advance(STEP_US);
    return atomic_load(&n_announces) > *(unsigned *)user;
}

static uint64_t frames_in(pn_node *node)
{
    pn_metrics m;

    assert_int_equal(pn_node_metrics(node, &m), PN_OK);
    return m.frames_in;
}

typedef struct answers {
    pn_node *node;
    uint64_t before;
} answers;

static bool was_answered(void *user)
{
    const answers *a = user;

    own_clock_advance(STEP_US);
    return frames_in(a->node) > a->before;
}

/* Calls that wait need a clock that moves. */
static void open_nodes(two_nodes *t)
{
    own_clock_go(true);
    two_nodes_open(t, announcing_alice);
    assert_int_equal(
        pn_expose(t->bob, "echo", two_nodes_on_echo, NULL, NULL), PN_OK);
    own_clock_go(false);
}

static void test_suspend(void **state)
{
    uint64_t sleep_us = *(const uint64_t *)*state;
    static unsigned before;
    static answers pinged;
    two_nodes t;

    open_nodes(&t);
    for (int i = 0; i < 3; i++) {
        before = atomic_load(&n_announces);
        pinged = (answers){.node = t.alice, .before = frames_in(t.alice)};
        own_clock_sleep(sleep_us);
        two_nodes_wait(has_announced_again, &before);
        two_nodes_wait(was_answered, &pinged);
        assert_int_equal(atomic_load(&n_announces), before + 1);
    }
    assert_int_equal(t.n_events[PN_EVENT_PEER_DOWN], 0);
    assert_int_equal(t.n_events[PN_EVENT_NETWORK_CHANGED], 0);
    own_clock_go(true);
    assert_int_equal(two_nodes_echo(&t), PN_OK);
    two_nodes_close(&t);
    own_clock_go(false);
}

/* A short sleep, in which no timer of the loop comes due: the kernel sets the
 * time of day when it resumes, and the loop hears of that. Twice, because it
 * must watch again. */
static void test_short(void **state)
{
    static unsigned before;
    two_nodes t;

    (void)state;
    open_nodes(&t);
    for (int i = 0; i < 2; i++) {
        before = atomic_load(&n_announces);
        own_clock_sleep(SHORT_SLEEP_US);
        two_nodes_wait(has_announced_of_day, &before);
        assert_int_equal(atomic_load(&n_announces), before + 1);
    }
    assert_int_equal(t.n_events[PN_EVENT_PEER_DOWN], 0);
    own_clock_go(true);
    two_nodes_close(&t);
    own_clock_go(false);
}

/* Time that passes without a sleep is no reason to announce. */
static void test_awake(void **state)
{
    unsigned before;
    static answers pinged;
    two_nodes t;

    (void)state;
    open_nodes(&t);
    before = atomic_load(&n_announces);
    pinged = (answers){.node = t.alice, .before = frames_in(t.alice)};
    own_clock_advance(SLEEP_US);
    two_nodes_wait(was_answered, &pinged);
    assert_int_equal(atomic_load(&n_announces), before);
    own_clock_go(true);
    two_nodes_close(&t);
    own_clock_go(false);
}

int main(void)
{
    static const uint64_t sleep_us = SLEEP_US;
    static const uint64_t long_sleep_us = LONG_SLEEP_US;

    pn_test_add("node/suspend/unharmed_link_stays", test_suspend,
        (void *)(uintptr_t)&sleep_us);
    pn_test_add("node/suspend/unharmed_link_stays_for_an_hour", test_suspend,
        (void *)(uintptr_t)&long_sleep_us);
    pn_test_add("node/suspend/short", test_short, NULL);
    pn_test_add("node/suspend/awake", test_awake, NULL);
    return pn_test_run("node/suspend");
}

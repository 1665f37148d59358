/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two tables an application can supply, a discovery source and a network
 * monitor, driven by hand: what is found is a hint, and only a paired key is
 * dialled.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "two_nodes.h"

typedef struct by_hand {
    pn_discovery_sink sink;
    pn_network_sink network;
    pn_public_key announced;
    atomic_uint announced_port;
    atomic_int starts;
    atomic_int stops;
    const char *addresses[2]; /* of this host, as the monitor says */
    size_t n_addresses;
} by_hand;

static pn_err source_start(void *user, const pn_discovery_sink *sink)
{
    by_hand *h = user;

    h->sink = *sink;
    atomic_fetch_add(&h->starts, 1);
    return PN_OK;
}

static void source_stop(void *user)
{
    by_hand *h = user;

    atomic_fetch_add(&h->stops, 1);
}

static pn_err source_announce(
    void *user, const pn_public_key *key, uint16_t port)
{
    by_hand *h = user;

    h->announced = *key;
    atomic_store(&h->announced_port, port);
    return PN_OK;
}

static const pn_discovery_source source = {
    .size = sizeof(source),
    .name = "by-hand",
    .start = source_start,
    .stop = source_stop,
    .announce = source_announce,
};

static pn_err monitor_start(void *user, const pn_network_sink *sink)
{
    by_hand *h = user;

    h->network = *sink;
    return PN_OK;
}

static void monitor_stop(void *user)
{
    by_hand *h = user;

    h->network = (pn_network_sink){0};
}

static pn_err monitor_current(
    void *user, pn_local_address *addresses, size_t cap, size_t *ret_n)
{
    const by_hand *h = user;

    for (size_t i = 0; i < h->n_addresses && i < cap; i++) {
        (void)snprintf(addresses[i].address, sizeof(addresses[i].address), "%s",
            h->addresses[i]);
    }
    *ret_n = h->n_addresses;
    return PN_OK;
}

static const pn_network_monitor monitor = {
    .size = sizeof(monitor),
    .name = "by-hand",
    .start = monitor_start,
    .stop = monitor_stop,
    .current = monitor_current,
};

/* Alice's; nodes are opened one after the other. */
static by_hand hand;

static void alice_by_hand(pn_node_options *opt, bool is_alice)
{
    if (!is_alice) {
        opt->on_event = NULL;
        return;
    }
    opt->discovery_source = &source;
    opt->discovery_source_user = &hand;
    opt->watch_network = true;
    opt->network_monitor = &monitor;
    opt->network_monitor_user = &hand;
}

static void open_by_hand(two_nodes *t)
{
    hand = (by_hand){.addresses = {"127.0.0.1", "::1"}, .n_addresses = 2};
    two_nodes_open_apart(t, alice_by_hand);
}

static void found(const pn_public_key *key, const char *address)
{
    hand.sink.found(hand.sink.node, key, address);
}

static void bob_found(two_nodes *t)
{
    char address[32];

    node_address(t->bob, address);
    found(&t->bob_key, address);
}

static uint64_t dials(two_nodes *t)
{
    pn_metrics m = {.size = sizeof(m)};

    assert_int_equal(pn_node_metrics(t->alice, &m), PN_OK);
    return m.dials;
}

/* Time enough for a dial that must not be. */
static void a_while(void)
{
    struct timespec t = {.tv_nsec = 150000000};

    (void)nanosleep(&t, NULL);
}

static void assert_comes_up(two_nodes *t)
{
    assert_int_equal(
        pn_wait_connected(t->alice, &t->bob_key, 10000, NULL), PN_OK);
}

/* ---- the source --------------------------------------------------------- */

static void test_node_source_life(void **state)
{
    two_nodes t;

    (void)state;
    open_by_hand(&t);
    assert_int_equal(atomic_load(&hand.starts), 1);
    assert_memory_equal(&hand.announced, &t.alice_key, sizeof(t.alice_key));
    assert_int_equal(atomic_load(&hand.announced_port), pn_node_port(t.alice));
    assert_int_equal(atomic_load(&hand.stops), 0);
    two_nodes_close(&t);
    assert_int_equal(atomic_load(&hand.stops), 1);
}

static void test_node_found_after_pairing(void **state)
{
    two_nodes t;

    (void)state;
    open_by_hand(&t);
    assert_int_equal(pn_pair(t.alice, &t.bob_key, "bob"), PN_OK);
    a_while();
    assert_int_equal(dials(&t), 0);
    bob_found(&t);
    assert_comes_up(&t);
    two_nodes_close(&t);
}

/* A source may say only once where a peer is. */
static void test_node_found_before_pairing(void **state)
{
    two_nodes t;

    (void)state;
    open_by_hand(&t);
    bob_found(&t);
    two_nodes_wait_event(&t, PN_EVENT_DISCOVERED, 1);
    a_while();
    assert_int_equal(dials(&t), 0);
    assert_int_equal(pn_pair(t.alice, &t.bob_key, "bob"), PN_OK);
    assert_comes_up(&t);
    two_nodes_close(&t);
}

static void test_node_lost_before_pairing(void **state)
{
    char address[32];
    two_nodes t;

    (void)state;
    open_by_hand(&t);
    bob_found(&t);
    node_address(t.bob, address);
    hand.sink.lost(hand.sink.node, &t.bob_key, address);
    two_nodes_wait_event(&t, PN_EVENT_LOST, 1);
    assert_int_equal(pn_pair(t.alice, &t.bob_key, "bob"), PN_OK);
    a_while();
    assert_int_equal(dials(&t), 0);
    assert_false(pn_connected(t.alice, &t.bob_key));
    two_nodes_close(&t);
}

/* Every announce tells the same: one event, one dial. */
static void test_node_found_again(void **state)
{
    two_nodes t;

    (void)state;
    open_by_hand(&t);
    assert_int_equal(pn_pair(t.alice, &t.bob_key, "bob"), PN_OK);
    for (int i = 0; i < 20; i++) {
        bob_found(&t);
    }
    assert_comes_up(&t);
    for (int i = 0; i < 20; i++) {
        bob_found(&t);
    }
    a_while();
    assert_int_equal(dials(&t), 1);
    assert_int_equal(t.n_events[PN_EVENT_DISCOVERED], 1);
    two_nodes_close(&t);
}

static void test_node_own_key_found(void **state)
{
    two_nodes t;

    (void)state;
    open_by_hand(&t);
    found(&t.alice_key, "127.0.0.1:7100");
    a_while();
    assert_int_equal(t.n_events[PN_EVENT_DISCOVERED], 0);
    two_nodes_close(&t);
}

static void test_node_found_at_nonsense(void **state)
{
    const char *address = *state;
    two_nodes t;

    open_by_hand(&t);
    assert_int_equal(pn_pair(t.alice, &t.bob_key, "bob"), PN_OK);
    found(&t.bob_key, address);
    a_while();
    assert_int_equal(t.n_events[PN_EVENT_DISCOVERED], 0);
    assert_int_equal(dials(&t), 0);
    two_nodes_close(&t);
}

/* Strangers who are heard take a bounded place, and do not keep a peer that is
 * paired from being found. */
static void test_node_many_strangers_found(void **state)
{
    pn_public_key key = {{0}};
    two_nodes t;

    (void)state;
    open_by_hand(&t);
    assert_int_equal(pn_pair(t.alice, &t.bob_key, "bob"), PN_OK);
    for (unsigned i = 0; i < 2000; i++) {
        memcpy(key.bytes, &i, sizeof(i));
        found(&key, "127.0.0.1:9");
    }
    bob_found(&t);
    assert_comes_up(&t);
    assert_int_equal(dials(&t), 1);
    two_nodes_close(&t);
}

/* ---- the monitor -------------------------------------------------------- */

typedef struct change_case {
    const char *address; /* the only one left */
    bool ends;
} change_case;

static void test_node_network_change(void **state)
{
    const change_case *c = *state;
    two_nodes t;

    open_by_hand(&t);
    assert_int_equal(pn_pair(t.alice, &t.bob_key, "bob"), PN_OK);
    bob_found(&t);
    assert_comes_up(&t);
    two_nodes_wait_event(&t, PN_EVENT_PEER_UP, 1);
    hand.addresses[0] = c->address;
    hand.n_addresses = 1;
    hand.network.changed(hand.network.node);
    two_nodes_wait_event(&t, PN_EVENT_NETWORK_CHANGED, 1);
    if (c->ends) {
        two_nodes_wait_event(&t, PN_EVENT_PEER_DOWN, 1);
        assert_int_equal(
            t.last_reason[PN_EVENT_PEER_DOWN], PN_REASON_ADDRESS_GONE);
        two_nodes_wait_event(&t, PN_EVENT_PEER_UP, 2);
    } else {
        a_while();
        assert_int_equal(t.n_events[PN_EVENT_PEER_DOWN], 0);
    }
    two_nodes_close(&t);
}

static bool is_silent(void *user)
{
    (void)user;
    return atomic_load(&hand.announced_port) == 0;
}

static bool is_announced(void *user)
{
    (void)user;
    return atomic_load(&hand.announced_port) != 0;
}

static void careful_alice(pn_node_options *opt, bool is_alice)
{
    alice_by_hand(opt, is_alice);
    opt->announce_on_new_networks = false;
}

/* T17: a network the owner has not seen does not learn the key by itself. */
static void test_node_t17_silent_on_a_new_network(void **state)
{
    two_nodes t;

    (void)state;
    hand = (by_hand){.addresses = {"127.0.0.1", "::1"}, .n_addresses = 2};
    two_nodes_open_apart(&t, careful_alice);
    assert_true(is_announced(NULL));
    hand.network.changed(hand.network.node);
    two_nodes_wait(is_silent, NULL);
    assert_int_equal(pn_discovery_resume(t.alice), PN_OK);
    two_nodes_wait(is_announced, NULL);
    two_nodes_close(&t);
}

static void listening_alice(pn_node_options *opt, bool is_alice)
{
    alice_by_hand(opt, is_alice);
    opt->discovery_listen_only = true;
}

static void test_node_t17_listen_only(void **state)
{
    two_nodes t;

    (void)state;
    hand = (by_hand){.addresses = {"127.0.0.1", "::1"}, .n_addresses = 2};
    two_nodes_open_apart(&t, listening_alice);
    hand.network.changed(hand.network.node);
    two_nodes_wait_event(&t, PN_EVENT_NETWORK_CHANGED, 1);
    assert_int_equal(pn_discovery_resume(t.alice), PN_OK);
    a_while();
    assert_true(is_silent(NULL));
    two_nodes_close(&t);
}

int main(void)
{
    static change_case stays = {"127.0.0.1", false};
    static change_case goes = {"192.0.2.1", true};
    static const char *const nonsense[] = {"", ":", "127.0.0.1",
        "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:-1",
        "127.0.0.1:7100x", "localhost:7100", "[::1:7100", "::1]:7100",
        "127.0.0.1.1:7100", "[::1%nothing-like-it]:7100"};

    pn_test_add("node/discovery/life", test_node_source_life, NULL);
    pn_test_add("node/discovery/found_after_pairing",
        test_node_found_after_pairing, NULL);
    pn_test_add("node/discovery/found_before_pairing",
        test_node_found_before_pairing, NULL);
    pn_test_add("node/discovery/lost_before_pairing",
        test_node_lost_before_pairing, NULL);
    pn_test_add("node/discovery/found_again", test_node_found_again, NULL);
    pn_test_add("node/t15/own_key_found", test_node_own_key_found, NULL);
    for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
        pn_test_addf(test_node_found_at_nonsense,
            (void *)(uintptr_t)nonsense[i], "node/discovery/nonsense_%zu", i);
    }
    pn_test_add(
        "node/discovery/many_strangers", test_node_many_strangers_found, NULL);
    pn_test_add("node/t17/silent_on_a_new_network",
        test_node_t17_silent_on_a_new_network, NULL);
    pn_test_add("node/t17/listen_only", test_node_t17_listen_only, NULL);
    pn_test_add(
        "node/network/other_address_stays", test_node_network_change, &stays);
    pn_test_add("node/network/address_gone", test_node_network_change, &goes);
    return pn_test_run("node/discovery");
}

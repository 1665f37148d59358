/* SPDX-License-Identifier: Apache-2.0 */
/* Names given at pairing: kept as they were written, and looked up by the node,
 * again when a dial has failed. The resolver is the test's. */
#include <stdio.h>
#include <string.h>

#include "../os/own_resolver.h"
#include "node/node_internal.h"
#include "swallower.h"
#include "two_nodes.h"

#define BOB_IS_HERE UINT32_C(0x7f000001)
#define NOBODY_IS_HERE UINT32_C(0x7f000002)

typedef struct asked {
    unsigned n;
} asked;

static bool was_asked(void *user)
{
    return own_resolver_asked() >= ((const asked *)user)->n;
}

static void wait_asked(unsigned n)
{
    asked a = {n};

    two_nodes_wait(was_asked, &a);
}

/* "HOST:PORT" of bob, as alice's owner writes it. */
static void pair_by_name(two_nodes *t, const char *host)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "%s:%u", host, pn_node_port(t->bob));
    assert_int_equal(pn_pair_at(t->alice, &t->bob_key, "bob", text), PN_OK);
}

/* The name is not known when it is given. It is looked up again after a second,
 * and the next time after two more. */
static void test_name_known_later(void **state)
{
    unsigned before = own_resolver_asked();
    uint64_t since_us = pn_monotonic_now_us();
    two_nodes t;

    (void)state;
    two_nodes_open_apart(&t, NULL);
    own_resolver_place(0);
    pair_by_name(&t, "here.test");
    wait_asked(before + 2);
    assert_true(pn_monotonic_now_us() - since_us >= PN_US_PER_S * 9 / 10);
    assert_true(two_nodes_are_apart(&t));
    own_resolver_place(BOB_IS_HERE);
    two_nodes_wait(two_nodes_are_linked, &t);
    assert_true(pn_monotonic_now_us() - since_us >= PN_US_PER_S * 27 / 10);
    two_nodes_close(&t);
}

/* The host moves: the dial to where it was fails, and the name is looked up. */
static void test_name_moves(void **state)
{
    pn_store_peer *peers = NULL;
    pn_store *store;
    char want[64];
    size_t n = 0;
    two_nodes t;

    (void)state;
    two_nodes_open_apart(&t, NULL);
    own_resolver_place(NOBODY_IS_HERE);
    pair_by_name(&t, "here.test");
    two_nodes_wait_event(&t, PN_EVENT_DIAL_FAILED, 1);
    own_resolver_place(BOB_IS_HERE);
    two_nodes_wait(two_nodes_are_linked, &t);
    /* It is the name that is remembered, beside the address. */
    (void)snprintf(want, sizeof(want), "here.test:%u", pn_node_port(t.bob));
    assert_int_equal(pn_store_open(t.alice_dir, &store, NULL, NULL), PN_OK);
    assert_int_equal(pn_store_peers(store, &peers, &n, NULL), PN_OK);
    assert_int_equal(n, 1);
    assert_string_equal(peers[0].address, want);
    free(peers);
    pn_store_close(store);
    two_nodes_close(&t);
}

/* No node is at the first n - 1 of its addresses. */
static uint64_t pair_by_n_addresses(two_nodes *t, unsigned n)
{
    char host[32];
    pn_metrics m;

    (void)snprintf(host, sizeof(host), "%u.loop.test", n);
    two_nodes_open_apart(t, NULL);
    pair_by_name(t, host);
    two_nodes_wait_event(t, PN_EVENT_DIAL_FAILED, PN_CONNECT_MAX - 1);
    assert_int_equal(pn_node_metrics(t->alice, &m), PN_OK);
    return m.dials;
}

/* All addresses of a name belong to one dial, the last of them too. */
static void test_name_last_of_many(void **state)
{
    two_nodes t;

    (void)state;
    assert_int_equal(pair_by_n_addresses(&t, PN_CONNECT_MAX), 1);
    two_nodes_wait(two_nodes_are_linked, &t);
    two_nodes_close(&t);
}

/* As many as are kept, not one more. */
static void test_name_too_many(void **state)
{
    unsigned before = own_resolver_asked();
    two_nodes t;

    (void)state;
    (void)pair_by_n_addresses(&t, PN_CONNECT_MAX + 1);
    two_nodes_wait_event(&t, PN_EVENT_DIAL_FAILED, PN_CONNECT_MAX);
    wait_asked(before + 2); /* the dial came to nothing */
    assert_false(pn_connected(t.alice, &t.bob_key));
    assert_int_equal(t.n_events[PN_EVENT_DIAL_FAILED], PN_CONNECT_MAX);
    two_nodes_close(&t);
}

static void ask_only(pn_node_options *opt, bool is_alice)
{
    (void)is_alice;
    opt->auto_connect = false;
}

/* The address of bob that alice remembers when she is opened again. */
static void close_alice_who_remembers(two_nodes *t, const char *address)
{
    pn_store *store;

    if (t->alice != NULL) {
        pn_node_close(t->alice);
        t->alice = NULL;
    }
    assert_int_equal(pn_store_open(t->alice_dir, &store, NULL, NULL), PN_OK);
    assert_int_equal(pn_store_remember(store, &t->bob_key, address), PN_OK);
    pn_store_close(store);
}

static void patient(pn_node_options *opt, bool is_alice)
{
    (void)is_alice;
    opt->connect_timeout_ms = 60000;
}

/* No node answers at the remembered address; the addresses of the name are
 * tried beside it. */
static void test_name_known_while_dialling(void **state)
{
    swallower s;
    two_nodes t;

    (void)state;
    swallower_open(&s, 2, 0);
    two_nodes_open_apart(&t, ask_only);
    own_resolver_place(0);
    pair_by_name(&t, "here.test");
    close_alice_who_remembers(&t, s.text);
    two_nodes_reopen_alice(&t, patient);
    wait_asked(own_resolver_asked() + 1);
    own_resolver_place(BOB_IS_HERE);
    two_nodes_wait(two_nodes_are_linked, &t);
    two_nodes_close(&t);
    swallower_close(&s);
}

/* The address that was learned last is tried first. */
static void test_name_latest_learned_first(void **state)
{
    pn_peer_info *peers = NULL;
    size_t n = 0;
    two_nodes t;

    (void)state;
    two_nodes_open_apart(&t, ask_only);
    assert_int_equal(pn_pair(t.alice, &t.bob_key, "bob"), PN_OK);
    for (unsigned i = 1; i <= PN_ADDRESSES_PER_PEER; i++) {
        char text[32];

        (void)snprintf(text, sizeof(text), "127.0.0.%u:7", i);
        close_alice_who_remembers(&t, text);
    }
    two_nodes_reopen_alice(&t, ask_only);
    assert_int_equal(pn_list_peers(t.alice, &peers, &n), PN_OK);
    assert_int_equal(n, 1);
    assert_string_equal(peers[0].address, "127.0.0.4:7");
    free(peers);
    two_nodes_close(&t);
}

/* A node that dials only when it is asked looks nothing up before. */
static void test_name_when_asked(void **state)
{
    unsigned before = own_resolver_asked();
    pn_peer_info bob;
    two_nodes t;

    (void)state;
    two_nodes_open_apart(&t, ask_only);
    own_resolver_place(BOB_IS_HERE);
    pair_by_name(&t, "here.test");
    assert_int_equal(own_resolver_asked(), before);
    assert_int_equal(pn_connect(t.alice, &t.bob_key, NULL), PN_OK);
    two_nodes_wait(two_nodes_are_linked, &t);
    assert_int_equal(own_resolver_asked(), before + 1);
    assert_int_equal(pn_get_peer(t.alice, &t.bob_key, &bob), PN_OK);
    assert_string_equal(bob.rung, "name");
    two_nodes_close(&t);
}

/* The answer for a name that was replaced is dropped. */
static void test_name_changed_in_flight(void **state)
{
    two_nodes t;

    (void)state;
    two_nodes_open_apart(&t, NULL);
    own_resolver_open(false);
    pair_by_name(&t, "slow.test");
    own_resolver_wait(1);
    own_resolver_place(BOB_IS_HERE);
    assert_int_equal(pn_unpair(t.alice, &t.bob_key), PN_OK);
    pair_by_name(&t, "here.test");
    two_nodes_wait(two_nodes_are_linked, &t);
    own_resolver_open(true);
    own_resolver_wait(0);
    two_nodes_close(&t);
}

/* Closing a node does not wait for the resolver. */
static void test_name_closed_in_flight(void **state)
{
    two_nodes t;

    (void)state;
    two_nodes_open_apart(&t, NULL);
    own_resolver_open(false);
    pair_by_name(&t, "slow.test");
    own_resolver_wait(1);
    two_nodes_close(&t);
    own_resolver_open(true);
    own_resolver_wait(0);
}

int main(void)
{
    pn_test_add("node/lookup/known_later", test_name_known_later, NULL);
    pn_test_add("node/lookup/moves", test_name_moves, NULL);
    pn_test_add("node/lookup/last_of_many", test_name_last_of_many, NULL);
    pn_test_add("node/lookup/too_many", test_name_too_many, NULL);
    pn_test_add("node/lookup/known_while_dialling",
        test_name_known_while_dialling, NULL);
    pn_test_add("node/lookup/latest_learned_first",
        test_name_latest_learned_first, NULL);
    pn_test_add("node/lookup/when_asked", test_name_when_asked, NULL);
    pn_test_add(
        "node/lookup/changed_in_flight", test_name_changed_in_flight, NULL);
    pn_test_add(
        "node/lookup/closed_in_flight", test_name_closed_in_flight, NULL);
    return pn_test_run("node/lookup");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pinned nodes that are dialled automatically, over real QUIC. Alice dials and
 * bob does not, unless a test has both.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "node/node_internal.h"
#include "nomem.h"
#include "two_barrels.h"

static void quick(pn_barrel_options *options)
{
    options->dial_pinned = true;
    options->redial_ms = 10;
    options->redial_max_ms = 40;
}

static void alice_dials(pn_barrel_options *options, bool is_alice)
{
    if (is_alice) {
        quick(options);
    }
}

static void both_dial(pn_barrel_options *options, bool is_alice)
{
    (void)is_alice;
    quick(options);
}

static void pinned(two_barrels *t)
{
    two_barrels_init(t);
    two_barrels_pin(t);
}

/* "alice" and "bob" have the same view of the link for a moment at least. */
static size_t n_nodes(pn_barrel *barrel)
{
    pn_barrel_node_info *nodes = NULL;
    size_t n = 0;

    assert_int_equal(pn_barrel_nodes(barrel, &nodes, &n), PN_OK);
    free(nodes);
    return n;
}

static void wait_linked(two_barrels *t)
{
    for (int i = 0; i < 5000; i++) {
        if (n_nodes(t->alice) == 1 && n_nodes(t->bob) == 1) {
            return;
        }
        (void)usleep(2000);
    }
    fail_msg("no link within 10 s");
}

static void test_default(void **state)
{
    pn_barrel_options options;

    (void)state;
    pn_barrel_options_init(&options);
    assert_false(options.dial_pinned);
    assert_int_equal(options.redial_ms, 1000);
    assert_int_equal(options.redial_max_ms, 60000);
}

static void test_at_start(void **state)
{
    two_barrels t;

    (void)state;
    pinned(&t);
    two_barrels_open(&t, alice_dials);
    wait_linked(&t);
    two_barrels_fini(&t);
}

/* Each time bob listens on another port, which his endpoint file tells. */
static void test_after_a_loss(void **state)
{
    two_barrels t;

    (void)state;
    pinned(&t);
    two_barrels_open(&t, alice_dials);
    for (int i = 0; i < 3; i++) {
        wait_linked(&t);
        two_barrels_close_one(&t, false);
        assert_int_equal(two_barrels_open_one(&t, false, NULL), PN_OK);
    }
    wait_linked(&t);
    two_barrels_fini(&t);
}

/* Bob had connected, and does not do it again; our own restart. */
static void test_after_our_restart(void **state)
{
    two_barrels t;
    pn_why why = {0};

    (void)state;
    pinned(&t);
    two_barrels_open(&t, NULL);
    assert_int_equal(pn_barrel_connect(t.bob, ALICE, 10000, &why), PN_OK);
    two_barrels_close_one(&t, true);
    assert_int_equal(two_barrels_open_one(&t, true, alice_dials), PN_OK);
    wait_linked(&t);
    two_barrels_fini(&t);
}

static void test_both(void **state)
{
    two_barrels t;

    (void)state;
    pinned(&t);
    two_barrels_open(&t, both_dial);
    for (int i = 0; i < 3; i++) {
        wait_linked(&t);
        two_barrels_close_one(&t, i % 2 == 0);
        assert_int_equal(
            two_barrels_open_one(&t, i % 2 == 0, both_dial), PN_OK);
    }
    wait_linked(&t);
    two_barrels_fini(&t);
}

static bool is_linked_within_a_moment(two_barrels *t)
{
    for (int i = 0; i < 100; i++) {
        if (n_nodes(t->alice) > 0) {
            return true;
        }
        (void)usleep(5000);
    }
    return false;
}

/* Bob's address is unknown when alice starts; his endpoint file comes later. */
static void test_known_later(void **state)
{
    two_barrels t;

    (void)state;
    pinned(&t);
    assert_int_equal(two_barrels_open_one(&t, true, alice_dials), PN_OK);
    assert_false(is_linked_within_a_moment(&t));
    assert_int_equal(two_barrels_open_one(&t, false, NULL), PN_OK);
    wait_linked(&t);
    two_barrels_fini(&t);
}

/* A link that the owner ended stays so; the next one counts again. */
static void test_disconnected(void **state)
{
    two_barrels t;
    pn_why why = {0};

    (void)state;
    pinned(&t);
    two_barrels_open(&t, alice_dials);
    wait_linked(&t);
    assert_int_equal(pn_barrel_disconnect(t.alice, BOB), PN_OK);
    assert_false(is_linked_within_a_moment(&t));
    assert_int_equal(pn_barrel_connect(t.bob, ALICE, 10000, &why), PN_OK);
    two_barrels_close_one(&t, false);
    assert_int_equal(two_barrels_open_one(&t, false, NULL), PN_OK);
    wait_linked(&t);
    two_barrels_fini(&t);
}

static void test_unpinned(void **state)
{
    two_barrels t;
    pn_barrel_store *store = NULL;

    (void)state;
    pinned(&t);
    two_barrels_open(&t, alice_dials);
    wait_linked(&t);
    assert_int_equal(pn_barrel_unpin(t.alice, BOB), PN_OK);
    assert_false(is_linked_within_a_moment(&t));
    /* Pinned again, by another process. */
    assert_int_equal(pn_barrel_store_open(two_barrels_path(&t, true, "keys"),
                         &store, NULL, NULL),
        PN_OK);
    assert_int_equal(pn_barrel_store_pin(store, BOB, &t.bob_key, NULL), PN_OK);
    pn_barrel_store_close(store);
    wait_linked(&t);
    two_barrels_fini(&t);
}

static void alice_dials_anybody(pn_barrel_options *options, bool is_alice)
{
    alice_dials(options, is_alice);
    options->trust = PN_BARREL_TOFU;
}

/* One that is still dialled would be pinned again. */
static void test_unpinned_without_memory(void **state)
{
    pn_ed25519_key key;
    two_barrels t;

    (void)state;
    pinned(&t);
    two_barrels_open(&t, alice_dials_anybody);
    wait_linked(&t);
    pn_nomem_begin_all(1);
    assert_int_equal(pn_barrel_unpin(t.alice, BOB), PN_OK);
    assert_true(pn_nomem_end());
    assert_false(is_linked_within_a_moment(&t));
    assert_int_equal(pn_barrel_pinned(t.alice, BOB, &key), PN_NOT_FOUND);
    two_barrels_fini(&t);
}

static void cookie_only(pn_barrel_options *options, bool is_alice)
{
    static const char *const patterns[] = {"*@127.0.0.1"};

    alice_dials(options, is_alice);
    options->cookie_only = patterns;
    options->n_cookie_only = 1;
}

/* Bob came by his cookie alone, and is pinned while that link is up. */
static void test_pinned_meanwhile(void **state)
{
    two_barrels t;
    pn_why why = {0};
    pn_ed25519_key key;

    (void)state;
    two_barrels_init(&t);
    two_barrels_open(&t, cookie_only);
    assert_int_equal(pn_barrel_connect(t.bob, ALICE, 10000, &why), PN_OK);
    wait_linked(&t);
    two_barrels_pin(&t);
    for (int i = 0; i < 5000 && pn_barrel_pinned(t.alice, BOB, &key) != PN_OK;
         i++) {
        (void)usleep(2000);
    }
    assert_int_equal(pn_barrel_disconnect(t.bob, ALICE), PN_OK);
    two_barrels_wait(&t, &t.n_down, 2);
    wait_linked(&t);
    two_barrels_fini(&t);
}

/* ---- a node that is not there -------------------------------------------- */

static char bob_at[32];
static int bob_port;

static void at_one_place(pn_barrel_options *options, bool is_alice)
{
    static pn_barrel_address address;

    address = (pn_barrel_address){BOB, bob_at};
    options->discovery_dir = NULL;
    if (is_alice) {
        quick(options);
        options->addresses = &address;
        options->n_addresses = 1;
    } else {
        options->listen_port = bob_port;
    }
}

/* A port that is free now, for bob. */
static void choose_place(void)
{
    assert_int_equal(close(pn_test_socket(SOCK_DGRAM, bob_at)), 0);
    bob_port = atoi(strchr(bob_at, ':') + 1);
}

/* Waits until alice has sent that many more datagrams: attempts, when no node
 * is there. */
static void wait_tries(two_barrels *t, uint64_t n)
{
    pn_barrel_metrics m;
    uint64_t before;

    pn_barrel_get_metrics(t->alice, &m);
    before = m.datagrams_out;
    for (int i = 0; i < 5000 && m.datagrams_out < before + n; i++) {
        (void)usleep(2000);
        pn_barrel_get_metrics(t->alice, &m);
    }
    assert_true(m.datagrams_out >= before + n);
}

static unsigned n_failed(two_barrels *t)
{
    unsigned n;

    (void)pthread_mutex_lock(&t->lock);
    n = t->n_dial_failed;
    (void)pthread_mutex_unlock(&t->lock);
    return n;
}

/* Told when it becomes so, and not each time it is tried. */
static void test_told_once(void **state)
{
    two_barrels t;

    (void)state;
    choose_place();
    pinned(&t);
    assert_int_equal(two_barrels_open_one(&t, true, at_one_place), PN_OK);
    wait_tries(&t, 10);
    assert_int_equal(n_failed(&t), 1);
    assert_int_equal(two_barrels_open_one(&t, false, at_one_place), PN_OK);
    wait_linked(&t);
    assert_int_equal(n_failed(&t), 1);
    two_barrels_close_one(&t, false);
    two_barrels_wait(&t, &t.n_dial_failed, 2);
    wait_tries(&t, 10);
    assert_int_equal(n_failed(&t), 2);
    two_barrels_fini(&t);
}

enum { SILENT = 6, LINKS = 4 };

static pn_barrel_address silent[SILENT];

static void many_silent(pn_barrel_options *options, bool is_alice)
{
    if (is_alice) {
        quick(options);
        options->max_links = LINKS;
        options->addresses = silent;
        options->n_addresses = SILENT;
    }
}

/* Pins nodes at a port that is open and never answers; a dial there takes as
 * long as it may. */
static int pin_silent(two_barrels *t)
{
    static char names[SILENT][32];
    static char where[32];
    int fd = pn_test_socket(SOCK_DGRAM, where);
    pn_barrel_store *store = NULL;

    assert_int_equal(pn_barrel_store_open(
                         two_barrels_path(t, true, "keys"), &store, NULL, NULL),
        PN_OK);
    for (int i = 0; i < SILENT; i++) {
        pn_ed25519_key key = {{(uint8_t)(i + 1)}};

        (void)snprintf(names[i], sizeof(names[i]), "eve%d@127.0.0.1", i);
        silent[i] = (pn_barrel_address){names[i], where};
        assert_int_equal(
            pn_barrel_store_pin(store, names[i], &key, NULL), PN_OK);
    }
    pn_barrel_store_close(store);
    return fd;
}

/* Dials of nodes that are gone leave links for incoming connections and for
 * calls. */
static void test_leaves_links(void **state)
{
    two_barrels t;
    pn_why why = {0};
    int fd;

    (void)state;
    pinned(&t);
    fd = pin_silent(&t);
    assert_int_equal(two_barrels_open_one(&t, true, many_silent), PN_OK);
    wait_tries(&t, LINKS);
    assert_int_equal(two_barrels_open_one(&t, false, NULL), PN_OK);
    if (pn_barrel_connect(t.bob, ALICE, 10000, &why) != PN_OK) {
        fail_msg("%s", why.text);
    }
    (void)close(fd);
    two_barrels_fini(&t);
}

static void patient(pn_barrel_options *options, bool is_alice)
{
    at_one_place(options, is_alice);
    options->redial_ms = 60000;
    options->redial_max_ms = 60000;
}

static pn_err change_network(void *user)
{
    pn_extension *extension = user;

    extension->network_changed(extension->user);
    return PN_OK;
}

/* Alice would wait for half a minute at least. */
static void test_network_changed(void **state)
{
    two_barrels t;

    (void)state;
    choose_place();
    pinned(&t);
    assert_int_equal(two_barrels_open_one(&t, true, patient), PN_OK);
    two_barrels_wait(&t, &t.n_dial_failed, 1);
    assert_int_equal(two_barrels_open_one(&t, false, patient), PN_OK);
    assert_int_equal(
        pn_node_on_loop(t.alice_node, change_network, &t.alice_node->extension),
        PN_OK);
    wait_linked(&t);
    two_barrels_fini(&t);
}

static void nowhere(pn_barrel_options *options, bool is_alice)
{
    options->discovery_dir = NULL;
    options->dns_port = is_alice ? 9100 : 0;
    quick(options);
}

/* DNS would resolve every name, so it is not asked for a node that was never
 * up. */
static void test_not_by_name_alone(void **state)
{
    two_barrels t;
    pn_barrel_metrics m;

    (void)state;
    pinned(&t);
    two_barrels_open(&t, nowhere);
    assert_false(is_linked_within_a_moment(&t));
    pn_barrel_get_metrics(t.alice, &m);
    assert_int_equal(m.datagrams_out, 0);
    assert_int_equal(n_failed(&t), 0);
    two_barrels_fini(&t);
}

#define T(name) pn_test_add("barrel/redial/" #name, test_##name, NULL)

int main(void)
{
    T(default);
    T(at_start);
    T(after_a_loss);
    T(after_our_restart);
    T(both);
    T(known_later);
    T(disconnected);
    T(unpinned);
    T(unpinned_without_memory);
    T(pinned_meanwhile);
    T(told_once);
    T(leaves_links);
    T(network_changed);
    T(not_by_name_alone);
    return pn_test_run("barrel/redial");
}

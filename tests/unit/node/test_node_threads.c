/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every public call of a node from several threads at once, while its links
 * come and go and its handlers call back; for the sanitizers above all. And
 * many nodes in one process.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "two_nodes.h"

enum { N_THREADS = 4, N_ROUNDS = 60, N_NODES = 12 };

typedef struct everything {
    two_nodes t;
    pn_beam_dist *functions;
    pn_public_key nobody;
    pn_principal bob;
    atomic_uint seed;
    atomic_uint n_async;
    atomic_uint n_done;
} everything;

static void on_echo(pn_request *req, pn_term args, void *user)
{
    (void)user;
    (void)pn_request_caller(req);
    (void)pn_request_label(req);
    (void)pn_request_handle(req);
    (void)pn_request_is_call(req);
    (void)pn_node_port(pn_request_node(req));
    (void)pn_request_reply_term(req, args);
}

/* Some are answered by the thread that deferred them, some are dropped. */
static void on_later(pn_request *req, pn_term args, void *user)
{
    pn_request *kept;
    int n = 0;

    (void)user;
    (void)!pn_term_match(args, "~i", &n);
    if (pn_request_defer(req, &kept) != PN_OK) {
        (void)pn_request_fail(req, "busy");
    } else if (n % 2 == 0) {
        (void)pn_request_reply(kept, "ok");
    } else {
        pn_request_drop(kept);
    }
}

static void on_function(pn_request *req, pn_term args, void *user)
{
    (void)args;
    (void)user;
    (void)pn_request_reply(req, "ok");
}

static void on_async(void *user, pn_err outcome, pn_term value)
{
    everything *e = user;

    (void)outcome;
    (void)value;
    atomic_fetch_add(&e->n_done, 1);
}

/* ---- calls from any thread --------------------------------------------- */

static void do_call(everything *e, int i)
{
    pn_reply *reply = NULL;

    (void)!pn_call(e->t.alice, &e->t.bob_key, "echo", 2000, &reply, "~i", i);
    (void)pn_reply_term(reply);
    pn_reply_free(reply);
    (void)!pn_call(e->t.bob, &e->t.alice_key, "later", 2000, NULL, "~i", i);
}

static void do_async(everything *e, int i)
{
    static const uint8_t small[] = {97, 1};
    pn_term one = {small, sizeof(small)};

    (void)i;
    atomic_fetch_add(&e->n_async, 1);
    if (pn_call_async(e->t.alice, &e->t.bob_key, "echo", 2000, one, on_async, e)
        != PN_OK) {
        atomic_fetch_sub(&e->n_async, 1);
    }
    (void)!pn_send_term(e->t.bob, &e->t.alice_key, "echo", one);
    (void)!pn_call_term(e->t.bob, &e->t.alice_key, "echo", 2000, one, NULL);
}

static void do_send(everything *e, int i)
{
    (void)!pn_send(e->t.alice, &e->t.bob_key, "later", "~i", i);
    (void)!pn_send(e->t.bob, &e->t.alice_key, "nothing", "~i", i);
}

static void do_handles(everything *e, int i)
{
    pn_expose_options opt;

    pn_expose_options_init(&opt);
    opt.flags = i % 2 == 0 ? PN_EXPOSE_CLOSED : PN_EXPOSE_INLINE;
    (void)!pn_expose(e->t.alice, "now", on_echo, NULL, &opt);
    (void)!pn_grant(e->t.alice, "now", &e->bob);
    (void)!pn_call(e->t.bob, &e->t.alice_key, "now", 2000, NULL, "~i", i);
    (void)!pn_ungrant(e->t.alice, "now", &e->bob);
    (void)!pn_grant_paired(e->t.alice, "now");
    (void)!pn_revoke(e->t.alice, "now");
}

static void do_functions(everything *e, int i)
{
    static const uint8_t list[] = {107, 0, 1, 7}; /* [7] */
    pn_term args = {list, sizeof(list)};

    (void)i;
    (void)!pn_beam_dist_grant(e->functions, "Led", "on", 1, &e->bob);
    (void)!pn_beam_dist_cast(
        e->t.bob, &e->t.alice_key, NULL, "Led", "on", args);
    (void)!pn_beam_dist_call(
        e->t.bob, &e->t.alice_key, NULL, "Led", "on", args, 2000, NULL);
    (void)!pn_beam_dist_ungrant(e->functions, "Led", "on", 1, &e->bob);
}

static void do_peers(everything *e, int i)
{
    pn_peer_info *peers = NULL;
    size_t n = 0;

    (void)!pn_pair(e->t.alice, &e->nobody, "nobody");
    (void)!pn_pair_at(e->t.alice, &e->nobody, "nobody", "127.0.0.1:9");
    if (pn_list_peers(e->t.alice, &peers, &n) == PN_OK) {
        free(peers);
    }
    (void)!pn_unpair(e->t.alice, &e->nobody);
    if (i % 20 == 19) {
        /* The links themselves come and go. */
        (void)!pn_unpair(e->t.bob, &e->t.alice_key);
        (void)!pn_pair(e->t.bob, &e->t.alice_key, "alice");
    }
}

static void do_links(everything *e, int i)
{
    pn_why why;

    (void)i;
    (void)!pn_connect(e->t.alice, &e->t.bob_key, NULL);
    (void)!pn_wait_connected(e->t.alice, &e->t.bob_key, 5, &why);
    (void)pn_connected(e->t.bob, &e->t.alice_key);
    (void)!pn_discovery_resume(e->t.alice);
}

static void do_figures(everything *e, int i)
{
    pn_metrics m;
    char *text = NULL;
    size_t len;

    (void)i;
    (void)!pn_node_metrics(e->t.bob, &m);
    if (pn_node_metrics_text(e->t.alice, &text, &len) == PN_OK) {
        free(text);
    }
    (void)pn_node_key(e->t.alice);
    (void)pn_node_port(e->t.bob);
}

static void *busy(void *arg)
{
    static void (*const all[])(everything *, int) = {do_call, do_async, do_send,
        do_handles, do_functions, do_peers, do_links, do_figures};
    everything *e = arg;
    uint64_t seed = atomic_fetch_add(&e->seed, 1);

    for (int i = 0; i < N_ROUNDS; i++) {
        for (size_t k = 0; k < sizeof(all) / sizeof(all[0]); k++) {
            all[pn_test_random(&seed) % (sizeof(all) / sizeof(all[0]))](e, i);
        }
    }
    return NULL;
}

static bool is_answered(void *user)
{
    everything *e = user;

    return atomic_load(&e->n_done) == atomic_load(&e->n_async);
}

static void quick_redial(pn_node_options *opt, bool is_alice)
{
    (void)is_alice;
    opt->reconnect_min_ms = 50;
    opt->reconnect_max_ms = 200;
    opt->handshake_timeout_ms = 500;
}

/* Under all of these at once every call is answered once, and the nodes
 * work afterwards. */
static void test_every_call(void **state)
{
    pthread_t threads[N_THREADS];
    everything *e = calloc(1, sizeof(*e));

    (void)state;
    assert_non_null(e);
    atomic_store(&e->seed, 1);
    two_nodes_open(&e->t, quick_redial);
    e->nobody.bytes[0] = 9;
    e->bob = pn_peernet_principal(&e->t.bob_key);
    assert_int_equal(pn_expose(e->t.alice, "echo", on_echo, NULL, NULL), PN_OK);
    assert_int_equal(pn_expose(e->t.bob, "echo", on_echo, NULL, NULL), PN_OK);
    assert_int_equal(
        pn_expose(e->t.alice, "later", on_later, NULL, NULL), PN_OK);
    assert_int_equal(pn_expose(e->t.bob, "later", on_later, NULL, NULL), PN_OK);
    assert_int_equal(
        pn_beam_dist_serve(e->t.alice, NULL, NULL, &e->functions), PN_OK);
    assert_int_equal(
        pn_beam_dist_export(e->functions, "Led", "on", 1, on_function, NULL),
        PN_OK);
    for (int i = 0; i < N_THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, busy, e), 0);
    }
    for (int i = 0; i < N_THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    two_nodes_wait(is_answered, e);
    /* The last thing that was done to the link may have been its end. */
    (void)!pn_connect(e->t.alice, &e->t.bob_key, NULL);
    two_nodes_wait(two_nodes_are_linked, &e->t);
    two_nodes_close(&e->t);
    free(e);
}

/* ---- many nodes -------------------------------------------------------- */

static void test_many_nodes(void **state)
{
    pn_node *nodes[N_NODES];
    char dirs[N_NODES][64];
    char address[32];
    pn_node_options opt;

    (void)state;
    for (int i = 0; i < N_NODES; i++) {
        make_dir(dirs[i]);
        two_nodes_options(&opt);
        opt.data_dir = dirs[i];
        assert_int_equal(pn_node_open(&opt, &nodes[i], NULL), PN_OK);
        assert_int_equal(
            pn_expose(nodes[i], "echo", on_echo, NULL, NULL), PN_OK);
    }
    node_address(nodes[0], address);
    for (int i = 1; i < N_NODES; i++) {
        assert_int_equal(pn_pair(nodes[0], pn_node_key(nodes[i]), NULL), PN_OK);
        assert_int_equal(
            pn_pair_at(nodes[i], pn_node_key(nodes[0]), NULL, address), PN_OK);
    }
    for (int i = 1; i < N_NODES; i++) {
        assert_int_equal(
            pn_wait_connected(nodes[i], pn_node_key(nodes[0]), 10000, NULL),
            PN_OK);
        assert_int_equal(pn_call(nodes[i], pn_node_key(nodes[0]), "echo", 5000,
                             NULL, "~i", i),
            PN_OK);
        assert_int_equal(pn_call(nodes[0], pn_node_key(nodes[i]), "echo", 5000,
                             NULL, "~i", i),
            PN_OK);
        /* Those who have not paired each other have nothing to do with each
         * other, in one process or not. */
        assert_false(
            pn_connected(nodes[i], pn_node_key(nodes[i % (N_NODES - 1) + 1])));
    }
    for (int i = 0; i < N_NODES; i++) {
        pn_node_close(nodes[i]);
        remove_dir(dirs[i]);
    }
}

int main(void)
{
    pn_test_add("node/threads/every_call", test_every_call, NULL);
    pn_test_add("node/many/nodes_in_one_process", test_many_nodes, NULL);
    return pn_test_run("node/threads");
}

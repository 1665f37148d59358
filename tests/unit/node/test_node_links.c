/* SPDX-License-Identifier: Apache-2.0 */
/* Links between real nodes: their ends and reasons, reconnecting, and loops of
 * the application. */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "node/node_internal.h"
#include "two_nodes.h"

/* ---- ends at awkward moments ------------------------------------------- */

static pn_err no_dial(pn_loop *loop, const pn_address *to,
    const pn_conn_callbacks *callbacks, void *user, pn_conn **ret_conn,
    int *ret_errno)
{
    (void)loop;
    (void)to;
    (void)callbacks;
    (void)user;
    (void)ret_conn;
    *ret_errno = EMFILE;
    return PN_SYS;
}

static bool two_dials_failed(void *user)
{
    pn_metrics m;

    assert_int_equal(pn_node_metrics(user, &m), PN_OK);
    return m.dial_failures > 1;
}

/* Out of descriptors: the link ends in the middle of its own turn end. */
static void test_node_dial_refused_at_once(void **state)
{
    pn_transport_ops ops = pn_transport_tcp;
    pn_public_key carol = {{9}};
    pn_node_options opt;
    pn_node *node = NULL;
    pn_why why = {0};
    char dir[64];

    (void)state;
    ops.dial = no_dial;
    make_dir(dir);
    two_nodes_options(&opt);
    opt.data_dir = dir;
    opt.reconnect_min_ms = 20;
    assert_int_equal(pn_node_open_over(&opt, &ops, &node, NULL), PN_OK);
    assert_int_equal(pn_pair_at(node, &carol, "carol", "127.0.0.1:9"), PN_OK);
    two_nodes_wait(two_dials_failed, node);
    assert_int_equal(pn_wait_connected(node, &carol, 20, &why), PN_TIMEOUT);
    assert_int_equal(why.reason, PN_REASON_SYSTEM);
    pn_node_close(node);
    remove_dir(dir);
}

/* A handler outlives a link whose reading was off; the link is freed with the
 * handler. */
static void test_node_handler_outlives_blocked_link(void **state)
{
    static const uint8_t zeros[65536];
    struct timespec pause = {.tv_nsec = 100000000};
    pn_expose_options opt;
    gatepost at_alice = {.n_wanted = 1};
    gatepost at_bob = {.n_wanted = 1};
    pn_err err;
    two_nodes t;

    (void)state;
    pn_expose_options_init(&opt);
    opt.flags = PN_EXPOSE_INLINE;
    two_nodes_open(&t, NULL);
    assert_int_equal(
        pn_expose(t.alice, "stop", on_gatepost, &at_alice, &opt), PN_OK);
    assert_int_equal(
        pn_expose(t.bob, "slow", on_gatepost, &at_bob, NULL), PN_OK);
    assert_int_equal(pn_send(t.alice, &t.bob_key, "slow", "~i", 1), PN_OK);
    two_nodes_wait(gatepost_is_reached, &at_bob);
    assert_int_equal(pn_send(t.bob, &t.alice_key, "stop", "~i", 1), PN_OK);
    two_nodes_wait(gatepost_is_reached, &at_alice);
    /* After a pause the system takes more. */
    for (int full = 0; full < 4; full++) {
        err = PN_OK;
        while (err == PN_OK) {
            err = pn_send(t.bob, &t.alice_key, "sink", "~b",
                (pn_slice){zeros, sizeof(zeros)});
        }
        assert_int_equal(err, PN_BUSY);
        (void)nanosleep(&pause, NULL);
    }
    assert_int_equal(pn_unpair(t.bob, &t.alice_key), PN_OK);
    (void)nanosleep(&pause, NULL);
    atomic_store(&at_bob.is_open, true);
    (void)nanosleep(&pause, NULL);
    atomic_store(&at_alice.is_open, true);
    assert_false(pn_connected(t.bob, &t.alice_key));
    two_nodes_close(&t);
}

/* ---- losing a link and getting it back --------------------------------- */

static void same_port(pn_node_options *opt, bool is_alice)
{
    opt->reconnect_min_ms = 50;
    if (!is_alice) {
        opt->listen_port = 0;
    }
}

static void test_node_reconnects(void **state)
{
    pn_node_options opt;
    uint16_t port;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, same_port);
    port = pn_node_port(t.bob);
    pn_node_close(t.bob);
    t.bob = NULL;
    two_nodes_wait(two_nodes_are_apart, &t);
    two_nodes_options(&opt);
    opt.data_dir = t.bob_dir;
    opt.listen_port = port;
    assert_int_equal(pn_node_open(&opt, &t.bob, NULL), PN_OK);
    assert_int_equal(
        pn_expose(t.bob, "echo", two_nodes_on_echo, NULL, NULL), PN_OK);
    two_nodes_wait(two_nodes_are_linked, &t);
    assert_int_equal(two_nodes_echo(&t), PN_OK);
    two_nodes_close(&t);
}

/* ---- guessed reasons of a peer's close --------------------------------- */

static void only_alice_tells(pn_node_options *opt, bool is_alice)
{
    if (!is_alice) {
        opt->on_event = NULL;
    }
}

static void on_sink(pn_request *req, pn_term args, void *user)
{
    (void)req;
    (void)args;
    atomic_store((atomic_bool *)user, true);
}

static bool is_set(void *user)
{
    return atomic_load((atomic_bool *)user);
}

/* A link on which pings never stop: one has always just been sent. */
static void only_alice_tells_and_pings(pn_node_options *opt, bool is_alice)
{
    only_alice_tells(opt, is_alice);
    if (is_alice) {
        opt->ping_interval_ms = 10;
    }
}

enum { LATE_US = 2200000 };

typedef struct guess_case {
    const char *name;
    bool alice_sends; /* else she has answered bob, who closes then */
    bool unpairs;     /* bob unpairs her, right after a ping of hers */
    bool is_late;     /* he closes when her message is no reason any more */
    pn_reason want;
    const char *handle;
    const char *args; /* Elixir text: sent as a term too */
    const char
        *earlier; /* what a call of "echo" was answered before; or NULL */
} guess_case;

/* "echo" is no atom that every VM has, but bob has answered it once. */
static const guess_case guesses[] = {
    {"our_answer", false, false, false, PN_REASON_PEER_CLOSED, NULL, NULL,
        NULL},
    {"a_ping_and_unpairing", false, true, false, PN_REASON_PEER_CLOSED, NULL,
        NULL, NULL},
    {"a_handle", true, false, false, PN_REASON_ATOM_UNKNOWN_TO_PEER, "sink",
        "1", NULL},
    {"an_atom", true, false, false, PN_REASON_ATOM_UNKNOWN_TO_PEER, "ok",
        "%{1 => [:ok, {nil, :led}]}", NULL},
    {"an_atom_long_ago", true, false, true, PN_REASON_PEER_CLOSED, "sink",
        "{:on, :led, :on}", NULL},
    {"known_atoms", true, false, false, PN_REASON_PEER_CLOSED, "ok",
        "%{1 => [:ok, {nil, \"led\"}]}", NULL},
    /* A VM has these once it has loaded the module that serves them. */
    {"beam_dist", true, false, false, PN_REASON_ATOM_UNKNOWN_TO_PEER,
        "beam_admin", "{:ok, \"x\"}", NULL},
    {"a_handle_it_answered", true, false, false, PN_REASON_PEER_CLOSED, "echo",
        "1", NULL},
    {"atoms_it_answered", true, false, false, PN_REASON_PEER_CLOSED, "echo",
        "{:on, :led, :on}", "{:on, :led, :on}"},
    {"another_atom", true, false, false, PN_REASON_ATOM_UNKNOWN_TO_PEER, "echo",
        "{:on, :lamp, :on}", "{:on, :led, :on}"},
};

static pn_term term_of(pn_term_writer *w, const char *text)
{
    pn_term term;

    pn_term_writer_init(w, 0);
    assert_int_equal(
        pn_term_from_text(w, text, strlen(text), NULL, NULL), PN_OK);
    assert_int_equal(pn_term_writer_finish(w, NULL, &term), PN_OK);
    return term;
}

static void send_text(two_nodes *t, const char *handle, const char *text)
{
    pn_term_writer w;
    pn_term term = term_of(&w, text);

    assert_int_equal(pn_send_term(t->alice, &t->bob_key, handle, term), PN_OK);
    pn_term_writer_free(&w);
}

static void call_text(two_nodes *t, const char *handle, const char *text)
{
    pn_term_writer w;
    pn_term term = term_of(&w, text);

    assert_int_equal(
        pn_call_term(t->alice, &t->bob_key, handle, 10000, term, NULL), PN_OK);
    pn_term_writer_free(&w);
}

/* A close right after a message of ours may mean that the peer could not read
 * it. A close after our answer is the normal end of a command with one
 * request. */
static void test_node_guess_why_closed(void **state)
{
    const guess_case *g = *state;
    atomic_bool has_come = false;
    two_nodes t;

    two_nodes_open(
        &t, g->unpairs ? only_alice_tells_and_pings : only_alice_tells);
    assert_int_equal(
        pn_expose(t.alice, "echo", two_nodes_on_echo, NULL, NULL), PN_OK);
    assert_int_equal(
        pn_expose(t.bob, "echo", two_nodes_on_echo, NULL, NULL), PN_OK);
    assert_int_equal(two_nodes_echo(&t), PN_OK);
    if (g->earlier != NULL) {
        call_text(&t, "echo", g->earlier);
    }
    if (g->alice_sends) {
        assert_int_equal(
            pn_expose(t.bob, g->handle, on_sink, &has_come, NULL), PN_OK);
        send_text(&t, g->handle, g->args);
        two_nodes_wait(is_set, &has_come);
    } else {
        assert_int_equal(
            pn_call(t.bob, &t.alice_key, "echo", 10000, NULL, "1"), PN_OK);
    }
    if (g->is_late) {
        (void)usleep(LATE_US);
    }
    if (g->unpairs) {
        assert_int_equal(pn_unpair(t.bob, &t.alice_key), PN_OK);
    } else {
        pn_node_close(t.bob);
        t.bob = NULL;
    }
    two_nodes_wait_event(&t, PN_EVENT_PEER_DOWN, 1);
    assert_string_equal(pn_reason_text(t.last_reason[PN_EVENT_PEER_DOWN]),
        pn_reason_text(g->want));
    two_nodes_close(&t);
}

/* Two links are to stay as long as the test needs them. */
static void only_alice_tells_of_two_links(pn_node_options *opt, bool is_alice)
{
    only_alice_tells(opt, is_alice);
    opt->duplicate_grace_ms = 60000;
}

/* Bob's key at a second node, which alice has a second link with. */
static pn_node *open_twin_of_bob(two_nodes *t, const char *dir)
{
    pn_node_options opt;
    pn_node *twin = NULL;
    char from[128];
    char to[128];
    char address[32];

    (void)snprintf(from, sizeof(from), "%s/identity.keys", t->bob_dir);
    (void)snprintf(to, sizeof(to), "%s/identity.keys", dir);
    assert_int_equal(link(from, to), 0);
    two_nodes_options(&opt);
    opt.data_dir = dir;
    assert_int_equal(pn_node_open(&opt, &twin, NULL), PN_OK);
    node_address(t->alice, address);
    assert_int_equal(pn_pair_at(twin, &t->alice_key, "alice", address), PN_OK);
    two_nodes_wait_event(t, PN_EVENT_PEER_UP, 2);
    return twin;
}

/* A PeerNet node that dials twice at once closes one of two links, which is no
 * reason to report that it may have stopped. */
static void test_node_closed_while_another_stays(void **state)
{
    char dir[64];
    pn_node *twin;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, only_alice_tells_of_two_links);
    make_dir(dir);
    twin = open_twin_of_bob(&t, dir);
    pn_node_close(twin);
    two_nodes_wait_event(&t, PN_EVENT_PEER_DOWN, 1);
    assert_string_equal(pn_reason_text(t.last_reason[PN_EVENT_PEER_DOWN]),
        pn_reason_text(PN_REASON_DUPLICATE));
    pn_node_close(t.bob);
    t.bob = NULL;
    two_nodes_wait_event(&t, PN_EVENT_PEER_DOWN, 2);
    assert_string_equal(pn_reason_text(t.last_reason[PN_EVENT_PEER_DOWN]),
        pn_reason_text(PN_REASON_PEER_CLOSED));
    two_nodes_close(&t);
    remove_dir(dir);
}

/* Two processes never speak with one identity. */
static void test_node_locked(void **state)
{
    pn_node_options opt;
    pn_node *second = NULL;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    two_nodes_options(&opt);
    opt.data_dir = t.bob_dir;
    assert_int_equal(pn_node_open(&opt, &second, NULL), PN_LOCKED);
    assert_null(second);
    two_nodes_close(&t);
}

/* Both dial at once, again and again: one link is left, both ways work. */
static void test_node_t19_both_dial(void **state)
{
    char address[32];
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    assert_int_equal(
        pn_expose(t.alice, "echo", two_nodes_on_echo, NULL, NULL), PN_OK);
    assert_int_equal(
        pn_expose(t.bob, "echo", two_nodes_on_echo, NULL, NULL), PN_OK);
    node_address(t.alice, address);
    assert_int_equal(pn_connect(t.bob, &t.alice_key, address), PN_OK);
    assert_int_equal(two_nodes_echo(&t), PN_OK);
    assert_int_equal(
        pn_call(t.bob, &t.alice_key, "echo", 10000, NULL, "~i", 1), PN_OK);
    two_nodes_close(&t);
}

/* ---- a program's own loop ---------------------------------------------- */

typedef struct own_loop {
    pn_node *node;
    atomic_bool stop;
} own_loop;

static void *own_loop_main(void *arg)
{
    own_loop *o = arg;

    while (!atomic_load(&o->stop)) {
        struct pollfd p = {.fd = pn_node_fd(o->node), .events = POLLIN};
        int timeout = pn_node_timeout_ms(o->node);

        (void)poll(&p, 1, timeout < 0 || timeout > 20 ? 20 : timeout);
        if (pn_node_run(o->node) != PN_OK) {
            abort();
        }
    }
    return NULL;
}

static void test_node_own_loop(void **state)
{
    char dir[64];
    char address[32];
    pn_node_options opt;
    own_loop o = {0};
    pthread_t thread;
    pn_public_key key;
    pn_reply *reply = NULL;
    int value = 0;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    make_dir(dir);
    two_nodes_options(&opt);
    opt.data_dir = dir;
    opt.own_loop = true;
    assert_int_equal(pn_node_open(&opt, &o.node, NULL), PN_OK);
    key = *pn_node_key(o.node);
    assert_int_equal(
        pn_expose(o.node, "echo", two_nodes_on_echo, NULL, NULL), PN_OK);
    /* On the thread of its loop a blocking call is refused, not a deadlock. */
    assert_int_equal(
        pn_call(o.node, &t.bob_key, "echo", 1000, NULL, "~i", 1), PN_STATE);
    assert_int_equal(pn_pair(o.node, &t.alice_key, NULL), PN_OK);
    assert_int_equal(pthread_create(&thread, NULL, own_loop_main, &o), 0);
    node_address(o.node, address);
    assert_int_equal(pn_pair_at(t.alice, &key, "own", address), PN_OK);
    assert_int_equal(pn_wait_connected(t.alice, &key, 10000, NULL), PN_OK);
    assert_int_equal(
        pn_call(t.alice, &key, "echo", 10000, &reply, "~i", 7), PN_OK);
    assert_true(pn_term_match(pn_reply_term(reply), "~i", &value));
    assert_int_equal(value, 7);
    pn_reply_free(reply);
    atomic_store(&o.stop, true);
    (void)pthread_join(thread, NULL);
    pn_node_close(o.node);
    remove_dir(dir);
    two_nodes_close(&t);
}

/* ---- peers and metrics ------------------------------------------------------
 */

static void test_node_list_peers(void **state)
{
    pn_peer_info *peers = NULL;
    pn_peer_info bob;
    size_t n = 0;
    char address[32];
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    assert_int_equal(
        pn_expose(t.bob, "echo", two_nodes_on_echo, NULL, NULL), PN_OK);
    assert_int_equal(two_nodes_echo(&t), PN_OK);
    assert_int_equal(pn_list_peers(t.alice, &peers, &n), PN_OK);
    assert_int_equal(n, 1);
    node_address(t.bob, address);
    assert_true(pn_key_equal(&peers[0].key, &t.bob_key));
    assert_string_equal(peers[0].label, "bob");
    assert_string_equal(peers[0].address, address);
    assert_int_equal(peers[0].state, PN_PEER_UP);
    assert_true(peers[0].dialled_by_us);
    assert_string_equal(peers[0].rung, "address");
    assert_true(peers[0].up_ms > 0);
    assert_true(peers[0].last_seen_ms > 0);
    free(peers);
    assert_int_equal(pn_get_peer(t.alice, &t.bob_key, &bob), PN_OK);
    assert_string_equal(bob.label, "bob");
    assert_string_equal(bob.address, address);
    assert_int_equal(bob.state, PN_PEER_UP);
    assert_int_equal(pn_get_peer(t.alice, &t.alice_key, &bob), PN_NOT_FOUND);
    assert_int_equal(pn_get_peer(t.bob, &t.alice_key, &bob), PN_OK);
    assert_string_equal(bob.rung, ""); /* only alice has dialled */
    two_nodes_close(&t);
}

static void test_node_metrics_text(void **state)
{
    char *text = NULL;
    size_t len = 0;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    (void)!two_nodes_echo(&t);
    assert_int_equal(pn_node_metrics_text(t.bob, &text, &len), PN_OK);
    assert_int_equal(strlen(text), len);
    assert_non_null(strstr(text, "\npeernet_links_up 1\n"));
    assert_non_null(
        strstr(text, "peernet_denials_total{reason=\"no-such-handle\"} 1\n"));
    free(text);
    two_nodes_close(&t);
}

/* ---- everything at once, for the thread sanitizer ---------------------- */

static void *busy_main(void *arg)
{
    two_nodes *t = arg;

    for (int i = 0; i < 150; i++) {
        pn_peer_info *peers = NULL;
        size_t n = 0;

        (void)!pn_call(t->alice, &t->bob_key, "echo", 2000, NULL, "~i", i);
        (void)!pn_send(t->bob, &t->alice_key, "echo", "~i", i);
        (void)!pn_connected(t->alice, &t->bob_key);
        if (pn_list_peers(t->alice, &peers, &n) == PN_OK) {
            free(peers);
        }
        if (i % 50 == 0) {
            (void)!pn_expose(t->bob, "other", two_nodes_on_echo, NULL, NULL);
            (void)!pn_revoke(t->bob, "other");
        }
    }
    return NULL;
}

static void test_node_many_threads(void **state)
{
    pthread_t threads[4];
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    assert_int_equal(
        pn_expose(t.alice, "echo", two_nodes_on_echo, NULL, NULL), PN_OK);
    assert_int_equal(
        pn_expose(t.bob, "echo", two_nodes_on_echo, NULL, NULL), PN_OK);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, busy_main, &t), 0);
    }
    for (int i = 0; i < 4; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    assert_int_equal(two_nodes_echo(&t), PN_OK);
    two_nodes_close(&t);
}

int main(void)
{
    pn_test_add(
        "node/link/dial_refused_at_once", test_node_dial_refused_at_once, NULL);
    pn_test_add("node/link/handler_outlives_blocked_link",
        test_node_handler_outlives_blocked_link, NULL);
    pn_test_add("node/link/reconnects", test_node_reconnects, NULL);
    pn_test_add("node/link/locked", test_node_locked, NULL);
    pn_test_add("node/t19/both_dial", test_node_t19_both_dial, NULL);
    pn_test_add("node/link/closed_while_another_stays",
        test_node_closed_while_another_stays, NULL);
    for (size_t i = 0; i < sizeof(guesses) / sizeof(guesses[0]); i++) {
        pn_test_addf(test_node_guess_why_closed, (void *)(uintptr_t)&guesses[i],
            "node/reason/closed_after_%s", guesses[i].name);
    }
    pn_test_add("node/link/own_loop", test_node_own_loop, NULL);
    pn_test_add("node/tell/list_peers", test_node_list_peers, NULL);
    pn_test_add("node/tell/metrics_text", test_node_metrics_text, NULL);
    pn_test_add("node/threads/many", test_node_many_threads, NULL);
    return pn_test_run("node/links");
}

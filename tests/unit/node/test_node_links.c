/* SPDX-License-Identifier: Apache-2.0 */
/* Links between real nodes: trust, its end, reconnection, own loops, limits. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "node/node_internal.h"
#include "os/file.h"
#include "two_nodes.h"

static void on_echo(pn_request *req, pn_term args, void *user)
{
    if (user != NULL) {
        atomic_fetch_add((atomic_int *)user, 1);
    }
    (void)pn_request_reply_term(req, args);
}

static pn_err echo_call(two_nodes *t)
{
    return pn_call(t->alice, &t->bob_key, "echo", 10000, NULL, "~i", 1);
}

static bool alice_is_alone(void *user)
{
    two_nodes *t = user;

    return !pn_connected(t->alice, &t->bob_key);
}

static bool alice_is_connected(void *user)
{
    two_nodes *t = user;

    return pn_connected(t->alice, &t->bob_key);
}

/* ---- unpairing --------------------------------------------------------- */

static void test_node_t25_unpair_ends_the_link(void **state)
{
    atomic_int served = 0;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    assert_int_equal(pn_expose(t.bob, "echo", on_echo, &served, NULL), PN_OK);
    assert_int_equal(echo_call(&t), PN_OK);
    assert_int_equal(pn_unpair(t.bob, &t.alice_key), PN_OK);
    /* In the same turn: when it returns there is no link any more. */
    assert_false(pn_connected(t.bob, &t.alice_key));
    assert_int_equal(pn_unpair(t.bob, &t.alice_key), PN_NOT_FOUND);
    two_nodes_wait(alice_is_alone, &t);
    assert_int_equal(echo_call(&t), PN_NOT_CONNECTED);
    assert_int_equal(atomic_load(&served), 1);
    two_nodes_close(&t);
}

typedef struct hammer {
    two_nodes *t;
    atomic_bool stop;
    atomic_int after_unpair;
    atomic_bool is_unpaired;
} hammer;

static void on_hammered(pn_request *req, pn_term args, void *user)
{
    hammer *h = user;

    (void)args;
    if (atomic_load(&h->is_unpaired)) {
        atomic_fetch_add(&h->after_unpair, 1);
    }
    (void)pn_request_reply(req, "ok");
}

static void *hammer_main(void *arg)
{
    hammer *h = arg;

    while (!atomic_load(&h->stop)) {
        (void)!pn_send(h->t->alice, &h->t->bob_key, "h", "~i", 1);
    }
    return NULL;
}

/* PROP-4 on real threads: after pn_unpair has returned nothing of that peer is
 * dispatched. */
static void test_node_t25_nothing_after_unpair(void **state)
{
    pn_expose_options opt;
    hammer h = {0};
    pthread_t thread;
    two_nodes t;
    struct timespec pause = {.tv_nsec = 30000000};

    (void)state;
    pn_expose_options_init(&opt);
    opt.flags = PN_EXPOSE_INLINE;
    two_nodes_open(&t, NULL);
    h.t = &t;
    assert_int_equal(pn_expose(t.bob, "h", on_hammered, &h, &opt), PN_OK);
    assert_int_equal(pthread_create(&thread, NULL, hammer_main, &h), 0);
    (void)nanosleep(&pause, NULL);
    assert_int_equal(pn_unpair(t.bob, &t.alice_key), PN_OK);
    /* A handler that had started may still be at its first line. */
    (void)nanosleep(&pause, NULL);
    atomic_store(&h.is_unpaired, true);
    (void)nanosleep(&pause, NULL);
    atomic_store(&h.stop, true);
    (void)pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&h.after_unpair), 0);
    two_nodes_close(&t);
}

/* Another process edits the trust list: the node sees it at once. */
static void test_node_trust_edited_elsewhere(void **state)
{
    pn_store *store;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    assert_int_equal(pn_store_open(t.bob_dir, &store, NULL, NULL), PN_OK);
    assert_int_equal(pn_store_unpair(store, &t.alice_key, NULL), PN_OK);
    two_nodes_wait(alice_is_alone, &t);
    assert_int_equal(
        pn_store_pair(store, &t.alice_key, "alice", NULL, NULL), PN_OK);
    pn_store_close(store);
    two_nodes_wait(alice_is_connected, &t);
    two_nodes_close(&t);
}

/* T22: a damaged list lets nobody in, and is not touched. */
static void test_node_t22_damaged_list_fails_closed(void **state)
{
    char path[96];
    FILE *file;
    pn_node_options opt;
    pn_node *node = NULL;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    pn_node_close(t.bob);
    t.bob = NULL;
    (void)snprintf(path, sizeof(path), "%s/trust.bin", t.bob_dir);
    file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs("\x83garbage", file);
    (void)fclose(file);
    two_nodes_options(&opt);
    opt.data_dir = t.bob_dir;
    assert_int_equal(pn_node_open(&opt, &node), PN_CORRUPT);
    assert_non_null(strstr(pn_node_open_error(), "trust.bin"));
    two_nodes_close(&t);
}

/* Pairs somebody in another thread, which waits for the editors' lock. */
static void *pair_carol(void *node)
{
    static const pn_public_key carol = {{9}};
    static pn_err err;

    err = pn_pair(node, &carol, "carol");
    return &err;
}

/* A trust list with nobody of ours, put in the place of bob's. */
static void replace_list(two_nodes *t)
{
    static const pn_public_key dave = {{9, 9}};
    char dir[64];
    char from[96];
    char to[96];
    pn_store_error why;
    pn_store *store = NULL;

    make_dir(dir);
    assert_int_equal(pn_store_open(dir, &store, &why, NULL), PN_OK);
    assert_int_equal(pn_store_pair(store, &dave, NULL, NULL, &why), PN_OK);
    pn_store_close(store);
    (void)snprintf(from, sizeof(from), "%s/trust.bin", dir);
    (void)snprintf(to, sizeof(to), "%s/trust.bin", t->bob_dir);
    assert_int_equal(rename(from, to), 0);
    remove_dir(dir);
}

static bool is_reload_due(void *user)
{
    pn_node *node = user;
    bool is_due;

    pn_node_lock(node);
    is_due = node->is_reload_due;
    pn_node_unlock(node);
    return is_due;
}

/* An editor of another process takes its time: one of our threads waits for
 * it, and the links do not. What changed meanwhile is read afterwards. */
static void test_node_slow_editor(void **state)
{
    pthread_t thread;
    two_nodes t;
    void *result;
    int dir_fd;
    int lock;
    int why;

    (void)state;
    two_nodes_open(&t, NULL);
    assert_int_equal(pn_expose(t.bob, "echo", on_echo, NULL, NULL), PN_OK);
    dir_fd = open(t.bob_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(dir_fd >= 0);
    assert_int_equal(
        pn_file_lock(dir_fd, "edit.lock", true, &lock, &why), PN_OK);
    assert_int_equal(pthread_create(&thread, NULL, pair_carol, t.bob), 0);
    while (pthread_mutex_trylock(&t.bob->store_lock) == 0) {
        (void)pthread_mutex_unlock(&t.bob->store_lock);
    }
    replace_list(&t);
    two_nodes_wait(is_reload_due, t.bob);
    assert_int_equal(echo_call(&t), PN_OK);
    (void)close(lock);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_int_equal(*(pn_err *)result, PN_OK);
    two_nodes_wait(alice_is_alone, &t);
    (void)close(dir_fd);
    two_nodes_close(&t);
}

/* ---- strangers --------------------------------------------------------- */

/* The dialler has sent its last message and seen the link closed: all it gets
 * to know. */
static bool eve_knows_why(void *user)
{
    pn_peer_info *peers = NULL;
    size_t n = 0;
    bool knows;

    assert_int_equal(pn_list_peers(user, &peers, &n), PN_OK);
    knows = n == 1 && peers[0].last_reason == PN_REASON_NOT_PAIRED_THERE;
    free(peers);
    return knows;
}

static void short_handshake(pn_node_options *opt, bool is_alice)
{
    if (!is_alice) {
        opt->handshake_timeout_ms = 1200;
    }
}

static bool eve_is_up(void *user)
{
    pn_metrics m;

    assert_int_equal(pn_node_metrics(user, &m), PN_OK);
    return m.auth_ok_initiator > 0;
}

/* Etiquette (wire section 6): whoever is refused at the last message of the
 * handshake is up on its own side. It gets silence until the deadline, so it
 * does not redial every half second. */
static void test_node_refused_gets_silence_until_the_deadline(void **state)
{
    char dir[64];
    char address[32];
    pn_node_options opt;
    pn_node *eve = NULL;
    pn_metrics m;
    struct timespec half = {.tv_nsec = 600000000};
    two_nodes t;

    (void)state;
    two_nodes_open(&t, short_handshake);
    make_dir(dir);
    two_nodes_options(&opt);
    opt.data_dir = dir;
    assert_int_equal(pn_node_open(&opt, &eve), PN_OK);
    node_address(t.bob, address);
    assert_int_equal(pn_pair_at(eve, &t.bob_key, "bob", address), PN_OK);
    two_nodes_wait(eve_is_up, eve);
    two_nodes_wait_event(&t, PN_EVENT_DENIED, 1);
    (void)nanosleep(&half, NULL);
    assert_true(pn_connected(eve, &t.bob_key));
    assert_int_equal(pn_node_metrics(t.bob, &m), PN_OK);
    assert_int_equal(m.strangers, 1); /* and it keeps a stranger's place */
    two_nodes_wait(eve_knows_why, eve);
    assert_int_equal(pn_node_metrics(t.bob, &m), PN_OK);
    assert_int_equal(m.auth_failed_responder, 1);
    pn_node_close(eve);
    remove_dir(dir);
    two_nodes_close(&t);
}

static void test_node_stranger_gets_silence(void **state)
{
    char dir[64];
    char address[32];
    pn_node_options opt;
    pn_node *eve = NULL;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, short_handshake);
    make_dir(dir);
    two_nodes_options(&opt);
    opt.data_dir = dir;
    assert_int_equal(pn_node_open(&opt, &eve), PN_OK);
    node_address(t.bob, address);
    assert_int_equal(pn_pair_at(eve, &t.bob_key, "bob", address), PN_OK);
    two_nodes_wait_event(&t, PN_EVENT_DENIED, 1);
    assert_int_equal(t.last_reason[PN_EVENT_DENIED], PN_REASON_UNTRUSTED_PEER);
    two_nodes_wait(eve_knows_why, eve);
    assert_false(pn_connected(eve, &t.bob_key));
    /* The link of a friend has noticed nothing. */
    assert_true(pn_connected(t.alice, &t.bob_key));
    pn_node_close(eve);
    remove_dir(dir);
    two_nodes_close(&t);
}

/* U6, T30: bob's address, somebody else's key: no link to anybody. */
static void test_node_t30_wrong_peer_at_address(void **state)
{
    char address[32];
    pn_public_key carol = {{9}};
    pn_reason why = PN_REASON_NONE;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    node_address(t.bob, address);
    assert_int_equal(pn_pair_at(t.alice, &carol, "carol", address), PN_OK);
    two_nodes_wait_event(&t, PN_EVENT_DIAL_FAILED, 1);
    assert_int_equal(
        t.last_reason[PN_EVENT_DIAL_FAILED], PN_REASON_KEY_MISMATCH);
    assert_int_equal(pn_wait_connected(t.alice, &carol, 100, &why), PN_TIMEOUT);
    assert_int_equal(why, PN_REASON_KEY_MISMATCH);
    assert_true(pn_connected(t.alice, &t.bob_key));
    two_nodes_close(&t);
}

static void test_node_t34_own_key_refused(void **state)
{
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    assert_int_equal(pn_pair(t.alice, pn_node_key(t.alice), "me"), PN_INVALID);
    two_nodes_close(&t);
}

static int raw_connect(uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

/* True when the other side has closed within ms. */
static bool is_closed_within(int fd, int ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char byte;

    return poll(&p, 1, ms) == 1 && read(fd, &byte, 1) <= 0;
}

static void limit_strangers(pn_node_options *opt, bool is_alice)
{
    if (!is_alice) {
        opt->max_strangers = 3;
        opt->trusted_reserve = 0;
        opt->handshake_timeout_ms = 2000;
    }
}

/* T3: what never speaks goes at the deadline, and its place is free again. */
static void test_node_t03_half_open(void **state)
{
    int fds[4];
    pn_metrics m;
    unsigned refused = 0;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, limit_strangers);
    for (int i = 0; i < 4; i++) {
        fds[i] = raw_connect(pn_node_port(t.bob));
    }
    for (int i = 0; i < 4; i++) {
        if (is_closed_within(fds[i], 300)) {
            refused++;
        }
    }
    assert_true(refused >= 1);
    for (int i = 0; i < 4; i++) {
        assert_true(is_closed_within(fds[i], 5000));
        (void)close(fds[i]);
    }
    assert_int_equal(pn_node_metrics(t.bob, &m), PN_OK);
    assert_int_equal(m.strangers, 0);
    assert_true(m.refused >= 1);
    assert_true(pn_connected(t.alice, &t.bob_key));
    two_nodes_close(&t);
}

/* BAD: garbage gets no answer at all. */
static void test_node_t01_garbage_gets_no_byte(void **state)
{
    int fd;
    char byte;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    fd = raw_connect(pn_node_port(t.bob));
    assert_int_equal(write(fd, "GET / HTTP/1.1\r\n\r\n", 18), 18);
    assert_true(is_closed_within(fd, 3000));
    assert_true(read(fd, &byte, 1) <= 0);
    (void)close(fd);
    two_nodes_close(&t);
}

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
    pn_reason why = PN_REASON_NONE;
    char dir[64];

    (void)state;
    ops.dial = no_dial;
    make_dir(dir);
    two_nodes_options(&opt);
    opt.data_dir = dir;
    opt.reconnect_min_ms = 20;
    assert_int_equal(pn_node_open_over(&opt, &ops, &node), PN_OK);
    assert_int_equal(pn_pair_at(node, &carol, "carol", "127.0.0.1:9"), PN_OK);
    two_nodes_wait(two_dials_failed, node);
    assert_int_equal(pn_wait_connected(node, &carol, 20, &why), PN_TIMEOUT);
    assert_int_equal(why, PN_REASON_SYSTEM);
    pn_node_close(node);
    remove_dir(dir);
}

/* A handler outlives a link whose reading was off: what it finds is freed with
 * it, not left on a list. */
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
    /* The system takes more when it has had a moment. */
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
    two_nodes_wait(alice_is_alone, &t);
    two_nodes_options(&opt);
    opt.data_dir = t.bob_dir;
    opt.listen_port = port;
    assert_int_equal(pn_node_open(&opt, &t.bob), PN_OK);
    assert_int_equal(pn_expose(t.bob, "echo", on_echo, NULL, NULL), PN_OK);
    two_nodes_wait(alice_is_connected, &t);
    assert_int_equal(echo_call(&t), PN_OK);
    two_nodes_close(&t);
}

/* ---- who is up --------------------------------------------------------- */

/* Whoever unpaired us takes the handshake and says nothing: that is no peer
 * that is up. */
static void test_node_unpaired_there_is_not_up(void **state)
{
    two_nodes t;

    (void)state;
    two_nodes_open(&t, short_handshake);
    two_nodes_wait_event(&t, PN_EVENT_PEER_UP, 2);
    assert_int_equal(pn_unpair(t.bob, &t.alice_key), PN_OK);
    two_nodes_wait_event(&t, PN_EVENT_DENIED, 1);
    two_nodes_wait(eve_knows_why, t.alice);
    two_nodes_wait_event(&t, PN_EVENT_DIAL_FAILED, 1);
    assert_int_equal(
        t.last_reason[PN_EVENT_DIAL_FAILED], PN_REASON_NOT_PAIRED_THERE);
    assert_int_equal(t.n_events[PN_EVENT_PEER_UP], 2);
    assert_int_equal(t.n_events[PN_EVENT_PEER_DOWN], 2);
    two_nodes_close(&t);
}

/* ---- why a peer has closed --------------------------------------------- */

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

typedef struct guess_case {
    bool alice_sends; /* else she has answered bob, who goes then */
    pn_reason want;
} guess_case;

/* A close right after a message of ours may mean that it could not be read;
 * one after our answer is how a command that asks once leaves. */
static void test_node_guess_why_closed(void **state)
{
    const guess_case *g = *state;
    atomic_bool has_come = false;
    two_nodes t;

    two_nodes_open(&t, only_alice_tells);
    assert_int_equal(pn_expose(t.alice, "echo", on_echo, NULL, NULL), PN_OK);
    assert_int_equal(pn_expose(t.bob, "echo", on_echo, NULL, NULL), PN_OK);
    assert_int_equal(pn_expose(t.bob, "sink", on_sink, &has_come, NULL), PN_OK);
    assert_int_equal(echo_call(&t), PN_OK);
    if (g->alice_sends) {
        assert_int_equal(pn_send(t.alice, &t.bob_key, "sink", "1"), PN_OK);
        two_nodes_wait(is_set, &has_come);
    } else {
        assert_int_equal(
            pn_call(t.bob, &t.alice_key, "echo", 5000, NULL, "1"), PN_OK);
    }
    pn_node_close(t.bob);
    t.bob = NULL;
    two_nodes_wait_event(&t, PN_EVENT_PEER_DOWN, 1);
    assert_string_equal(pn_reason_text(t.last_reason[PN_EVENT_PEER_DOWN]),
        pn_reason_text(g->want));
    two_nodes_close(&t);
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
    assert_int_equal(pn_node_open(&opt, &second), PN_LOCKED);
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
    assert_int_equal(pn_expose(t.alice, "echo", on_echo, NULL, NULL), PN_OK);
    assert_int_equal(pn_expose(t.bob, "echo", on_echo, NULL, NULL), PN_OK);
    node_address(t.alice, address);
    assert_int_equal(pn_connect(t.bob, &t.alice_key, address), PN_OK);
    assert_int_equal(echo_call(&t), PN_OK);
    assert_int_equal(
        pn_call(t.bob, &t.alice_key, "echo", 2000, NULL, "~i", 1), PN_OK);
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
    assert_int_equal(pn_node_open(&opt, &o.node), PN_OK);
    key = *pn_node_key(o.node);
    assert_int_equal(pn_expose(o.node, "echo", on_echo, NULL, NULL), PN_OK);
    /* On the thread of its loop a blocking call is refused, not a deadlock. */
    assert_int_equal(
        pn_call(o.node, &t.bob_key, "echo", 1000, NULL, "~i", 1), PN_STATE);
    assert_int_equal(pn_pair(o.node, &t.alice_key, NULL), PN_OK);
    assert_int_equal(pthread_create(&thread, NULL, own_loop_main, &o), 0);
    node_address(o.node, address);
    assert_int_equal(pn_pair_at(t.alice, &key, "own", address), PN_OK);
    assert_int_equal(pn_wait_connected(t.alice, &key, 5000, NULL), PN_OK);
    assert_int_equal(
        pn_call(t.alice, &key, "echo", 2000, &reply, "~i", 7), PN_OK);
    assert_true(pn_term_match(pn_reply_term(reply), "~i", &value));
    assert_int_equal(value, 7);
    pn_reply_free(reply);
    atomic_store(&o.stop, true);
    (void)pthread_join(thread, NULL);
    pn_node_close(o.node);
    remove_dir(dir);
    two_nodes_close(&t);
}

/* ---- what is told ------------------------------------------------------ */

static void test_node_list_peers(void **state)
{
    pn_peer_info *peers = NULL;
    size_t n = 0;
    char address[32];
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    assert_int_equal(pn_expose(t.bob, "echo", on_echo, NULL, NULL), PN_OK);
    assert_int_equal(echo_call(&t), PN_OK);
    assert_int_equal(pn_list_peers(t.alice, &peers, &n), PN_OK);
    assert_int_equal(n, 1);
    node_address(t.bob, address);
    assert_true(pn_key_equal(&peers[0].key, &t.bob_key));
    assert_string_equal(peers[0].label, "bob");
    assert_string_equal(peers[0].address, address);
    assert_int_equal(peers[0].state, PN_PEER_UP);
    assert_true(peers[0].dialled_by_us);
    assert_true(peers[0].up_ms > 0);
    assert_true(peers[0].last_seen_ms > 0);
    free(peers);
    two_nodes_close(&t);
}

static void test_node_metrics_text(void **state)
{
    char *text = NULL;
    size_t len = 0;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    (void)!echo_call(&t);
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
            (void)!pn_expose(t->bob, "other", on_echo, NULL, NULL);
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
    assert_int_equal(pn_expose(t.alice, "echo", on_echo, NULL, NULL), PN_OK);
    assert_int_equal(pn_expose(t.bob, "echo", on_echo, NULL, NULL), PN_OK);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, busy_main, &t), 0);
    }
    for (int i = 0; i < 4; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    assert_int_equal(echo_call(&t), PN_OK);
    two_nodes_close(&t);
}

int main(void)
{
    static guess_case after_answer = {false, PN_REASON_PEER_CLOSED};
    static guess_case after_send = {true, PN_REASON_ATOM_UNKNOWN_TO_PEER};

    pn_test_add("node/t25/unpair_ends_the_link",
        test_node_t25_unpair_ends_the_link, NULL);
    pn_test_add("node/t25/nothing_after_unpair",
        test_node_t25_nothing_after_unpair, NULL);
    pn_test_add(
        "node/trust/edited_elsewhere", test_node_trust_edited_elsewhere, NULL);
    pn_test_add("node/trust/slow_editor", test_node_slow_editor, NULL);
    pn_test_add("node/t22/damaged_list_fails_closed",
        test_node_t22_damaged_list_fails_closed, NULL);
    pn_test_add(
        "node/stranger/gets_silence", test_node_stranger_gets_silence, NULL);
    pn_test_add("node/stranger/silence_until_the_deadline",
        test_node_refused_gets_silence_until_the_deadline, NULL);
    pn_test_add("node/t30/wrong_peer_at_address",
        test_node_t30_wrong_peer_at_address, NULL);
    pn_test_add(
        "node/t34/own_key_refused", test_node_t34_own_key_refused, NULL);
    pn_test_add("node/t03/half_open", test_node_t03_half_open, NULL);
    pn_test_add("node/t01/garbage_gets_no_byte",
        test_node_t01_garbage_gets_no_byte, NULL);
    pn_test_add(
        "node/link/dial_refused_at_once", test_node_dial_refused_at_once, NULL);
    pn_test_add("node/link/handler_outlives_blocked_link",
        test_node_handler_outlives_blocked_link, NULL);
    pn_test_add("node/tell/unpaired_there_is_not_up",
        test_node_unpaired_there_is_not_up, NULL);
    pn_test_add("node/link/reconnects", test_node_reconnects, NULL);
    pn_test_add("node/link/locked", test_node_locked, NULL);
    pn_test_add("node/t19/both_dial", test_node_t19_both_dial, NULL);
    pn_test_add("node/link/closed_after_our_answer", test_node_guess_why_closed,
        &after_answer);
    pn_test_add("node/link/closed_after_our_send", test_node_guess_why_closed,
        &after_send);
    pn_test_add("node/link/own_loop", test_node_own_loop, NULL);
    pn_test_add("node/tell/list_peers", test_node_list_peers, NULL);
    pn_test_add("node/tell/metrics_text", test_node_metrics_text, NULL);
    pn_test_add("node/threads/many", test_node_many_threads, NULL);
    return pn_test_run("node/links");
}

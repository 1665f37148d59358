/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node that is closed while threads and handlers are inside its Barrel part:
 * every public function that waits. For the sanitizers above all.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include "closing.h"
#include "node/node_internal.h"
#include "two_barrels.h"
#include "two_nodes.h"

enum { N_WAITING = 8, N_WORKERS = 4 };

#define NOBODY "nobody@127.0.0.1"

static char nobodys_address[32];

/* Alice is the one that closes. Bob keeps every call. */
typedef struct rig {
    two_barrels t;
    closing c;
    int silent;       /* a socket that never answers */
    int lock;         /* of alice's key directory; -1: not held */
    pthread_t turner; /* of alice's own loop; closes her */
    atomic_bool has_turned;
    atomic_bool is_time;
} rig;

static pn_err wait_connect(void *user)
{
    rig *r = user;
    pn_why why = {0};
    pn_err err = pn_barrel_connect(r->t.alice, NOBODY, 60000, &why);

    /* No link of that node was ever up. */
    return err == PN_NOT_CONNECTED ? PN_CLOSED : err;
}

static pn_err wait_rpc(void *user)
{
    rig *r = user;
    pn_reply *reply = NULL;
    pn_err err = pn_rpc(
        r->t.alice, BOB, ":led", "keep", closing_term(), 60000, &reply);

    pn_reply_free(reply);
    return err;
}

static pn_err wait_gen_call(void *user)
{
    rig *r = user;

    return pn_gen_call(r->t.alice, BOB, "keep", closing_term(), 60000, NULL);
}

static pn_err wait_unpin(void *user)
{
    rig *r = user;

    return pn_barrel_unpin(r->t.alice, "second@127.0.0.1");
}

typedef struct wait_row {
    const char *name;
    pn_err (*wait)(void *user);
    bool is_edit;
} wait_row;

static const wait_row wait_rows[] = {
    {"connect", wait_connect, false},
    {"rpc", wait_rpc, false},
    {"gen_call", wait_gen_call, false},
    {"unpin", wait_unpin, true},
};

static void with_nobody(pn_barrel_options *options, bool is_alice)
{
    static pn_barrel_address at = {.name = NOBODY, .address = nobodys_address};

    if (is_alice) {
        options->addresses = &at;
        options->n_addresses = 1;
    }
}

static void bob_keeps(rig *r)
{
    pn_principal alice = pn_barrel_principal(&r->t.alice_key);
    pn_expose_options closed;

    pn_expose_options_init(&closed);
    closed.flags = PN_EXPOSE_CLOSED;
    assert_int_equal(
        pn_expose(r->t.bob_node, "keep", closing_on_keep, NULL, &closed),
        PN_OK);
    assert_int_equal(pn_grant(r->t.bob_node, "keep", &alice), PN_OK);
    assert_int_equal(pn_beam_dist_export(
                         r->t.table, ":led", "keep", 1, closing_on_keep, NULL),
        PN_OK);
    assert_int_equal(
        pn_beam_dist_grant(r->t.table, ":led", "keep", 1, &alice), PN_OK);
}

/* The application's loop; it closes the node itself, as it should. */
static void *loop_main(void *arg)
{
    rig *r = arg;

    while (!atomic_load(&r->is_time)) {
        struct pollfd fd = {
            .fd = pn_node_fd(r->t.alice_node), .events = POLLIN};

        assert_int_equal(pn_node_run(r->t.alice_node), PN_OK);
        atomic_store(&r->has_turned, true);
        (void)poll(&fd, 1, 10);
    }
    two_barrels_close_one(&r->t, true);
    return NULL;
}

static bool has_turned(void *user)
{
    return atomic_load(&((rig *)user)->has_turned);
}

static void rig_connect(rig *r, bool is_own_loop)
{
    pn_why why = {0};

    two_barrels_init(&r->t);
    r->t.is_own_loop = is_own_loop;
    two_barrels_pin(&r->t);
    two_barrels_open(&r->t, with_nobody);
    two_barrels_grant(&r->t);
    if (is_own_loop) {
        assert_int_equal(pthread_create(&r->turner, NULL, loop_main, r), 0);
        two_nodes_wait(has_turned, r);
    }
    if (pn_barrel_connect(r->t.alice, BOB, 10000, &why) != PN_OK) {
        fail_msg("connect: %s", why.text);
    }
}

static void rig_open(rig *r, const wait_row *row, bool is_own_loop)
{
    memset(r, 0, sizeof(*r));
    r->lock = -1;
    r->silent = pn_test_socket(SOCK_DGRAM, nobodys_address);
    rig_connect(r, is_own_loop);
    r->c = (closing){.wait = row->wait,
        .user = r,
        .is_edit = row->is_edit,
        .node = r->t.alice_node};
    bob_keeps(r);
    if (row->is_edit) {
        r->lock = open(two_barrels_path(&r->t, true, "keys/edit.lock"),
            O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        assert_true(r->lock >= 0);
        assert_int_equal(flock(r->lock, LOCK_EX), 0);
    }
}

/* All callers are inside; alice is closed, and they return. */
static void rig_close(rig *r)
{
    closing_wait_inside(&r->c);
    if (r->t.is_own_loop) {
        atomic_store(&r->is_time, true);
        assert_int_equal(pthread_join(r->turner, NULL), 0);
    } else {
        two_barrels_close_one(&r->t, true);
    }
    closing_assert_ended(&r->c);
    if (r->lock >= 0) {
        (void)close(r->lock);
    }
    (void)close(r->silent);
    two_barrels_fini(&r->t);
}

static void close_under_threads(const wait_row *row, bool is_own_loop)
{
    rig r;

    rig_open(&r, row, is_own_loop);
    closing_start_threads(&r.c, N_WAITING);
    rig_close(&r);
}

static void test_close_under_threads(void **state)
{
    close_under_threads(*state, false);
}

static void test_close_own_loop_under_threads(void **state)
{
    close_under_threads(*state, true);
}

/* Handlers of alice's wait, and bob calls them. */
static void close_under_handlers(const wait_row *row, bool is_own_loop)
{
    pn_expose_options opt;
    pn_principal bob = {.family = PN_FAMILY_BARREL};
    rig r;

    rig_open(&r, row, is_own_loop);
    bob.key.ed25519 = r.t.bob_key;
    pn_expose_options_init(&opt);
    opt.flags = PN_EXPOSE_CONCURRENT;
    assert_int_equal(
        pn_expose(r.t.alice_node, "wait", closing_on_wait, &r.c, &opt), PN_OK);
    assert_int_equal(pn_grant(r.t.alice_node, "wait", &bob), PN_OK);
    r.c.n_inside = N_WORKERS;
    for (int i = 0; i < N_WORKERS; i++) {
        assert_int_equal(
            pn_barrel_send(r.t.bob, ALICE, "wait", closing_term()), PN_OK);
    }
    rig_close(&r);
}

static void test_close_under_handlers(void **state)
{
    close_under_handlers(*state, false);
}

static void test_close_own_loop_under_handlers(void **state)
{
    close_under_handlers(*state, true);
}

/* ---- opening beside closing ---------------------------------------------- */

typedef struct opening {
    two_barrels t;
    pn_node *node;
    pn_err err;
} opening;

static void *open_main(void *arg)
{
    pn_barrel_options opt;
    pn_barrel *barrel = NULL;
    opening *o = arg;

    pn_barrel_options_init(&opt);
    opt.name = ALICE;
    opt.cookie = "cookie";
    opt.key_dir = two_barrels_path(&o->t, true, "keys");
    opt.cert_dir = two_barrels_path(&o->t, true, "quic");
    opt.listen_address = "127.0.0.1";
    opt.listen_port = 0;
    opt.dns_port = 0;
    o->err = pn_barrel_open(o->node, &opt, &barrel, NULL);
    return NULL;
}

static void test_close_under_open(void **state)
{
    struct timespec pause = {.tv_nsec = 100000};
    pn_node_options opt;
    pthread_t opener;
    opening o;

    (void)state;
    memset(&o, 0, sizeof(o));
    two_barrels_init(&o.t);
    pn_node_options_init(&opt);
    opt.data_dir = two_barrels_path(&o.t, true, "data");
    opt.listen_port = PN_PORT_NONE;
    opt.linger_ms = 0;
    opt.watch_network = false;
    for (int i = 0; i < 20; i++) {
        uint32_t refs = 1;

        assert_int_equal(pn_node_open(&opt, &o.node, NULL), PN_OK);
        assert_int_equal(pthread_create(&opener, NULL, open_main, &o), 0);
        while (refs == 1 && pthread_tryjoin_np(opener, NULL) != 0) {
            pn_node_lock(o.node);
            refs = o.node->refs;
            pn_node_unlock(o.node);
        }
        for (int k = 0; k < i; k++) {
            (void)nanosleep(&pause, NULL); /* at another place each time */
        }
        pn_node_close(o.node);
        if (refs != 1) {
            assert_int_equal(pthread_join(opener, NULL), 0);
        }
        assert_true(o.err == PN_OK || o.err == PN_CLOSED);
    }
    two_barrels_fini(&o.t);
}

/* ---- closing sends what was accepted ------------------------------------- */

enum { N_CHUNKS = 60, CHUNK_BYTES = 60000 };

typedef struct reader {
    two_barrels t;
    atomic_bool is_open;
    atomic_uint n_chunks;
} reader;

/* On bob's loop: he reads nothing meanwhile. */
static void on_chunk(pn_request *req, pn_term args, void *user)
{
    struct timespec pause = {.tv_nsec = 1000000};
    reader *r = user;
    pn_slice chunk;

    (void)req;
    for (int i = 0; i < 8000 && !atomic_load(&r->is_open); i++) {
        (void)nanosleep(&pause, NULL);
    }
    if (pn_term_match(args, "~b", &chunk) && chunk.len == CHUNK_BYTES) {
        atomic_fetch_add(&r->n_chunks, 1);
    }
}

static void *close_main(void *arg)
{
    reader *r = arg;

    two_barrels_close_one(&r->t, true);
    return NULL;
}

static void send_chunks(reader *r)
{
    pn_term_writer w;
    pn_term chunk = zeros_term(&w, CHUNK_BYTES);

    for (int i = 0; i < N_CHUNKS; i++) {
        assert_int_equal(
            pn_barrel_send(r->t.alice, BOB, "chunk", chunk), PN_OK);
    }
    pn_term_writer_free(&w);
}

/* True while the node closes and its connection is open. A closed connection,
 * which sends for some more seconds, does not count. */
static bool is_draining(void *user)
{
    pn_node *node = user;
    bool yes;

    pn_node_lock(node);
    yes = node->closing.is_draining
          && PN_LIST_FIRST(&node->links.all, pn_link, listed) != NULL
          && PN_LIST_FIRST(&node->links.all, pn_link, listed)->stage
                 == PN_LINK_UP;
    pn_node_unlock(node);
    return yes;
}

static bool has_all_chunks(void *user)
{
    const reader *r = user;

    return atomic_load(&r->n_chunks) == N_CHUNKS;
}

static void test_close_sends_all(void **state)
{
    pn_principal alice = {.family = PN_FAMILY_BARREL};
    pn_expose_options opt;
    pthread_t closer;
    pn_node *node;
    reader r;

    (void)state;
    memset(&r, 0, sizeof(r));
    two_barrels_connected(&r.t, NULL);
    alice.key.ed25519 = r.t.alice_key;
    pn_expose_options_init(&opt);
    opt.flags = PN_EXPOSE_CLOSED | PN_EXPOSE_INLINE;
    assert_int_equal(
        pn_expose(r.t.bob_node, "chunk", on_chunk, &r, &opt), PN_OK);
    assert_int_equal(pn_grant(r.t.bob_node, "chunk", &alice), PN_OK);
    send_chunks(&r);
    node = r.t.alice_node;
    pn_node_lock(node);
    pn_node_ref(node);
    pn_node_unlock(node);
    assert_int_equal(pthread_create(&closer, NULL, close_main, &r), 0);
    two_nodes_wait(is_draining, node);
    assert_true(atomic_load(&r.n_chunks) == 0);
    atomic_store(&r.is_open, true);
    assert_int_equal(pthread_join(closer, NULL), 0);
    pn_node_leave(node);
    two_nodes_wait(has_all_chunks, &r);
    two_barrels_fini(&r.t);
}

int main(void)
{
    for (size_t i = 0; i < sizeof(wait_rows) / sizeof(wait_rows[0]); i++) {
        void *row = (void *)(uintptr_t)&wait_rows[i];

        pn_test_addf(test_close_under_threads, row, "barrel/close/threads/%s",
            wait_rows[i].name);
        pn_test_addf(test_close_under_handlers, row, "barrel/close/handlers/%s",
            wait_rows[i].name);
        pn_test_addf(test_close_own_loop_under_threads, row,
            "barrel/close/own_loop_threads/%s", wait_rows[i].name);
        pn_test_addf(test_close_own_loop_under_handlers, row,
            "barrel/close/own_loop_handlers/%s", wait_rows[i].name);
    }
    pn_test_add("barrel/close/sends_all", test_close_sends_all, NULL);
    pn_test_add("barrel/close/under_open", test_close_under_open, NULL);
    return pn_test_run("barrel/close");
}

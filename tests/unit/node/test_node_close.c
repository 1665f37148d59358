/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node that is closed while threads and handlers are inside its functions:
 * every public function that waits, on every kind of thread. For the sanitizers
 * above all. Calls of pn_node_close that are not allowed abort the process.
 */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "closing.h"
#include "node/node_internal.h"
#include "trust/guarded_dir.h"
#include "two_nodes.h"

/* The chunks are more than two sockets hold. */
enum { N_WORKERS = 4, N_CHUNKS = 300, CHUNK_BYTES = 100000 };

static bool is_closing(void *user)
{
    pn_node *node = user;
    bool is_it;

    pn_node_lock(node);
    is_it = node->closing.is_asked;
    pn_node_unlock(node);
    return is_it;
}

/* ---- functions that wait ------------------------------------------------- */

/* Alice is the one that closes. Bob keeps every call. */
typedef struct rig {
    two_nodes t;
    closing c;
    pn_public_key nobody; /* paired, and at no address */
    int edit_fd;          /* holds up edits of alice's files; -1: none */
    bool is_own_loop;     /* alice's loop is the application's */
    pthread_t closer;     /* of alice; with own_loop it turns her too */
    atomic_bool has_turned;
    atomic_bool is_time;
    gatepost gate; /* holds bob's loop, so that he reads nothing */
    atomic_uint n_flushing;
    atomic_bool is_full; /* alice's output */
} rig;

static pn_err wait_call(void *user)
{
    rig *r = user;
    pn_reply *reply = NULL;
    pn_err err = pn_call(
        r->t.alice, &r->t.bob_key, "keep", 60000, &reply, "~i", 1);

    assert_null(reply);
    return err;
}

static pn_err wait_call_term(void *user)
{
    rig *r = user;

    return pn_call_term(
        r->t.alice, &r->t.bob_key, "keep", 60000, closing_term(), NULL);
}

static pn_err wait_beam_dist_call(void *user)
{
    rig *r = user;

    return pn_beam_dist_call(r->t.alice, &r->t.bob_key, "keep", ":led", "on",
        closing_term(), 60000, NULL);
}

static pn_err wait_connected(void *user)
{
    rig *r = user;
    pn_why why;

    return pn_wait_connected(r->t.alice, &r->nobody, 60000, &why);
}

/* Edits wait for another process, and for each other. */
static pn_err wait_pair(void *user)
{
    rig *r = user;

    return pn_pair(r->t.alice, &r->nobody, "nobody");
}

static pn_err wait_pair_at(void *user)
{
    rig *r = user;

    return pn_pair_at(r->t.alice, &r->nobody, "nobody", "127.0.0.1:9");
}

static pn_err wait_unpair(void *user)
{
    static const pn_public_key stranger = {{9, 9}};
    rig *r = user;

    return pn_unpair(r->t.alice, &stranger);
}

/* Handlers are called while bob can still send to alice. */
static pn_err wait_flush(void *user)
{
    rig *r = user;

    atomic_fetch_add(&r->n_flushing, 1);
    while (!atomic_load(&r->is_full)) {
        (void)usleep(1000);
    }
    return pn_flush(r->t.alice, &r->t.bob_key, 60000);
}

static bool all_are_flushing(void *user)
{
    rig *r = user;

    return atomic_load(&r->n_flushing) == r->c.n_inside;
}

static void fill_output(rig *r)
{
    uint8_t *chunk = calloc(1, CHUNK_BYTES);

    assert_non_null(chunk);
    two_nodes_wait(all_are_flushing, r);
    for (int i = 0; i < N_CHUNKS; i++) {
        assert_int_equal(pn_send(r->t.alice, &r->t.bob_key, "gate", "~b",
                             (pn_slice){chunk, CHUNK_BYTES}),
            PN_OK);
    }
    free(chunk);
    two_nodes_wait(gatepost_is_reached, &r->gate);
    atomic_store(&r->is_full, true);
}

typedef struct wait_row {
    const char *name;
    pn_err (*wait)(void *user);
    bool is_edit;
} wait_row;

static const wait_row wait_rows[] = {
    {"call", wait_call, false},
    {"call_term", wait_call_term, false},
    {"beam_dist_call", wait_beam_dist_call, false},
    {"wait_connected", wait_connected, false},
    {"flush", wait_flush, false},
    {"pair", wait_pair, true},
    {"pair_at", wait_pair_at, true},
    {"unpair", wait_unpair, true},
};

static void *close_main(void *arg)
{
    pn_node_close(arg);
    return NULL;
}

/* The application's loop; it closes the node itself, as it should. */
static void *loop_main(void *arg)
{
    rig *r = arg;

    while (!atomic_load(&r->is_time)) {
        struct pollfd fd = {.fd = pn_node_fd(r->t.alice), .events = POLLIN};

        assert_int_equal(pn_node_run(r->t.alice), PN_OK);
        atomic_store(&r->has_turned, true);
        (void)poll(&fd, 1, 10);
    }
    return close_main(r->t.alice);
}

static bool has_turned(void *user)
{
    return atomic_load(&((rig *)user)->has_turned);
}

static void with_thread(pn_node_options *opt, bool is_alice)
{
    if (is_alice) {
        opt->max_output_bytes = 64u << 20;
        opt->flush_timeout_ms = 100;
    }
    opt->max_workers = N_WORKERS;
    opt->max_running_per_peer = N_WORKERS;
}

static void without_thread(pn_node_options *opt, bool is_alice)
{
    with_thread(opt, is_alice);
    opt->own_loop = is_alice;
}

static void rig_open(rig *r, const wait_row *row, bool is_own_loop)
{
    pn_expose_options opt;
    char address[32];

    memset(r, 0, sizeof(*r));
    r->is_own_loop = is_own_loop;
    two_nodes_open_apart(&r->t, is_own_loop ? without_thread : with_thread);
    r->c = (closing){.wait = row->wait,
        .user = r,
        .is_edit = row->is_edit,
        .node = r->t.alice};
    if (is_own_loop) {
        assert_int_equal(pthread_create(&r->closer, NULL, loop_main, r), 0);
        two_nodes_wait(has_turned, r);
    }
    node_address(r->t.bob, address);
    assert_int_equal(
        pn_pair_at(r->t.alice, &r->t.bob_key, "bob", address), PN_OK);
    assert_int_equal(
        pn_wait_connected(r->t.alice, &r->t.bob_key, 10000, NULL), PN_OK);
    r->nobody.bytes[0] = 7;
    if (!row->is_edit) {
        assert_int_equal(pn_pair(r->t.alice, &r->nobody, "nobody"), PN_OK);
    }
    assert_int_equal(
        pn_expose(r->t.bob, "keep", closing_on_keep, NULL, NULL), PN_OK);
    pn_expose_options_init(&opt);
    opt.flags = PN_EXPOSE_INLINE;
    r->gate.n_wanted = 1;
    assert_int_equal(
        pn_expose(r->t.bob, "gate", on_gatepost, &r->gate, &opt), PN_OK);
}

static void hold_up_edits(rig *r)
{
    pn_guarded_dir other;

    r->edit_fd = -1;
    if (r->c.is_edit) {
        assert_int_equal(
            pn_guarded_open(r->t.alice_dir, NULL, &other, NULL), PN_OK);
        assert_int_equal(
            pn_guarded_lock(&other, true, &r->edit_fd, NULL), PN_OK);
        pn_guarded_close(&other);
    }
}

/* All callers are inside; alice is closed, and they return. */
static void rig_close(rig *r)
{
    if (r->c.wait == wait_flush) {
        fill_output(r);
    }
    closing_wait_inside(&r->c);
    if (r->is_own_loop) {
        atomic_store(&r->is_time, true);
    } else {
        assert_int_equal(
            pthread_create(&r->closer, NULL, close_main, r->t.alice), 0);
    }
    if (r->edit_fd >= 0) {
        two_nodes_wait(is_closing, r->t.alice);
        (void)close(r->edit_fd);
    }
    assert_int_equal(pthread_join(r->closer, NULL), 0);
    r->t.alice = NULL;
    closing_assert_ended(&r->c);
    atomic_store(&r->gate.is_open, true);
    two_nodes_close(&r->t);
}

static void close_under_threads(const wait_row *row, bool is_own_loop)
{
    rig r;

    rig_open(&r, row, is_own_loop);
    hold_up_edits(&r);
    closing_start_threads(&r.c, CLOSING_THREADS_MAX);
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

/* Handlers of alice's wait; closing waits for them. */
static void close_under_handlers(const wait_row *row, bool is_own_loop)
{
    pn_expose_options opt;
    rig r;

    rig_open(&r, row, is_own_loop);
    pn_expose_options_init(&opt);
    opt.flags = PN_EXPOSE_CONCURRENT;
    assert_int_equal(
        pn_expose(r.t.alice, "wait", closing_on_wait, &r.c, &opt), PN_OK);
    assert_int_equal(
        pn_wait_connected(r.t.bob, &r.t.alice_key, 10000, NULL), PN_OK);
    hold_up_edits(&r);
    r.c.n_inside = N_WORKERS;
    for (int i = 0; i < N_WORKERS; i++) {
        assert_int_equal(
            pn_send_term(r.t.bob, &r.t.alice_key, "wait", closing_term()),
            PN_OK);
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

/* ---- beside a turn ------------------------------------------------------- */

typedef struct turning {
    pn_node *node;
    atomic_bool is_inside;
    atomic_bool may_go_on;
    atomic_bool has_returned;
} turning;

static void on_listening(void *user, const pn_event *event)
{
    struct timespec pause = {.tv_nsec = 1000000};
    turning *t = user;

    if (event->type == PN_EVENT_LISTENING) {
        atomic_store(&t->is_inside, true);
        while (!atomic_load(&t->may_go_on)) {
            (void)nanosleep(&pause, NULL);
        }
    }
}

static void *turn_main(void *arg)
{
    turning *t = arg;

    /* The event comes in the first turn. */
    assert_int_equal(pn_node_run(t->node), PN_OK);
    atomic_store(&t->has_returned, true);
    return NULL;
}

static bool turn_is_inside(void *user)
{
    return atomic_load(&((turning *)user)->is_inside);
}

/* One thread is in a turn and another closes: the second waits for that turn,
 * and a third thread's turn is refused. */
static void test_close_beside_a_turn(void **state)
{
    turning t = {0};
    pn_node_options opt;
    pthread_t turner;
    pthread_t closer;
    char dir[64];

    (void)state;
    make_dir(dir);
    two_nodes_options(&opt);
    opt.data_dir = dir;
    opt.own_loop = true;
    opt.on_event = on_listening;
    opt.user = &t;
    assert_int_equal(pn_node_open(&opt, &t.node, NULL), PN_OK);
    assert_int_equal(pthread_create(&turner, NULL, turn_main, &t), 0);
    two_nodes_wait(turn_is_inside, &t);
    assert_int_equal(pthread_create(&closer, NULL, close_main, t.node), 0);
    two_nodes_wait(is_closing, t.node);
    assert_int_equal(pn_node_run(t.node), PN_STATE);
    assert_false(atomic_load(&t.has_returned));
    atomic_store(&t.may_go_on, true);
    assert_int_equal(pthread_join(turner, NULL), 0);
    assert_int_equal(pthread_join(closer, NULL), 0);
    assert_true(atomic_load(&t.has_returned));
    remove_dir(dir);
}

/* ---- forbidden calls ----------------------------------------------------- */

/* In a process of its own, which has to end with the assertion. Tests' own
 * assertions have no place there. */
static void must(bool is_true)
{
    if (!is_true) {
        _exit(3);
    }
}

static _Atomic(pn_node *) to_close;

static pn_node *wait_to_close(void)
{
    struct timespec pause = {.tv_nsec = 1000000};
    pn_node *node;

    while ((node = atomic_load(&to_close)) == NULL) {
        (void)nanosleep(&pause, NULL);
    }
    return node;
}

static void on_event_close(void *user, const pn_event *event)
{
    (void)user;
    (void)event;
    pn_node_close(wait_to_close());
}

static void on_request_close(pn_request *req, pn_term args, void *user)
{
    (void)args;
    (void)user;
    pn_node_close(pn_request_node(req));
}

static pn_node *child_open(const char *dir, bool is_own_loop, bool is_event)
{
    pn_node_options opt;
    pn_node *node = NULL;

    two_nodes_options(&opt);
    opt.data_dir = dir;
    opt.own_loop = is_own_loop;
    opt.on_event = is_event ? on_event_close : NULL;
    must(pn_node_open(&opt, &node, NULL) == PN_OK);
    return node;
}

static void child_event(const char *dir, const char *other)
{
    (void)other;
    atomic_store(&to_close, child_open(dir, false, true));
    (void)sleep(60);
}

static void child_own_loop(const char *dir, const char *other)
{
    pn_node *node = child_open(dir, true, true);

    (void)other;
    atomic_store(&to_close, node);
    (void)!pn_node_run(node);
}

static void child_handler(const char *dir, const char *other, unsigned flags)
{
    pn_node *node = child_open(dir, false, false);
    pn_node *peer = child_open(other, false, false);
    pn_expose_options opt;
    char address[32];

    pn_expose_options_init(&opt);
    opt.flags = flags;
    must(pn_expose(node, "close", on_request_close, NULL, &opt) == PN_OK);
    must(pn_pair(node, pn_node_key(peer), NULL) == PN_OK);
    node_address(node, address);
    must(pn_pair_at(peer, pn_node_key(node), NULL, address) == PN_OK);
    must(pn_wait_connected(peer, pn_node_key(node), 10000, NULL) == PN_OK);
    (void)!pn_call(peer, pn_node_key(node), "close", 60000, NULL, "1");
}

static void child_worker(const char *dir, const char *other)
{
    child_handler(dir, other, 0);
}

static void child_inline(const char *dir, const char *other)
{
    child_handler(dir, other, PN_EXPOSE_INLINE);
}

/* The first is held up by an edit, so the node is there for the second. */
static void child_twice(const char *dir, const char *other)
{
    pn_node *node = child_open(dir, false, false);
    pthread_t first;

    (void)other;
    (void)pthread_mutex_lock(&pn_full(node)->trust.lock);
    must(pthread_create(&first, NULL, close_main, node) == 0);
    while (!is_closing(node)) {
        (void)sched_yield();
    }
    pn_node_close(node);
}

typedef struct assert_row {
    const char *name;
    void (*child)(const char *dir, const char *other);
} assert_row;

static const assert_row assert_rows[] = {
    {"event", child_event},
    {"own_loop", child_own_loop},
    {"handler", child_worker},
    {"inline", child_inline},
    {"twice", child_twice},
};

static void child_main(
    const assert_row *row, const char *dir, const char *other)
{
    static const struct rlimit no_core;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)dup2(null, STDOUT_FILENO);
    (void)dup2(null, STDERR_FILENO);
    (void)alarm(90);
    row->child(dir, other);
    _exit(0);
}

static void test_asserted(void **state)
{
    const assert_row *row = *state;
    char dir[64];
    char other[64];
    int status = 0;
    pid_t pid;

    make_dir(dir);
    make_dir(other);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        child_main(row, dir, other);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    remove_dir(dir);
    remove_dir(other);
}

int main(void)
{
    for (size_t i = 0; i < sizeof(wait_rows) / sizeof(wait_rows[0]); i++) {
        void *row = (void *)(uintptr_t)&wait_rows[i];

        pn_test_addf(test_close_under_threads, row, "node/close/threads/%s",
            wait_rows[i].name);
        pn_test_addf(test_close_under_handlers, row, "node/close/handlers/%s",
            wait_rows[i].name);
        pn_test_addf(test_close_own_loop_under_threads, row,
            "node/close/own_loop_threads/%s", wait_rows[i].name);
        pn_test_addf(test_close_own_loop_under_handlers, row,
            "node/close/own_loop_handlers/%s", wait_rows[i].name);
    }
    pn_test_add("node/close/beside_a_turn", test_close_beside_a_turn, NULL);
    for (size_t i = 0; i < sizeof(assert_rows) / sizeof(assert_rows[0]); i++) {
        pn_test_addf(test_asserted, (void *)(uintptr_t)&assert_rows[i],
            "node/close/asserted/%s", assert_rows[i].name);
    }
    return pn_test_run("node/close");
}

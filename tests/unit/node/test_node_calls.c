/* SPDX-License-Identifier: Apache-2.0 */
/* Calls, sends, refusals and order between two real nodes. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/node_internal.h"
#include "slow_calls.h"
#include "two_nodes.h"

static void on_greet(pn_request *req, pn_term args, void *user)
{
    pn_slice name;

    (void)user;
    if (!pn_term_match(args, "~b", &name)) {
        (void)pn_request_fail(req, "badarg");
        return;
    }
    (void)pn_request_reply(req, "{ok, ~b}", name);
}

/* ---- answers ----------------------------------------------------------- */

static void test_node_call_round_trip(void **state)
{
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    assert_int_equal(pn_expose(t.bob, "echo", on_echo, NULL, NULL), PN_OK);
    assert_int_equal(pn_expose(t.bob, "greet", on_greet, NULL, NULL), PN_OK);
    assert_call(&t, "echo", "%{text: \"hi\"}", PN_OK, "%{text: \"hi\"}");
    assert_call(&t, "greet", "\"bob\"", PN_OK, "{:ok, \"bob\"}");
    assert_call(&t, "greet", "42", PN_REMOTE, ":badarg");
    two_nodes_close(&t);
}

static void test_node_call_closed_by_default(void **state)
{
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    assert_call(&t, "echo", "1", PN_REMOTE, ":no_such_handle");
    two_nodes_wait_event(&t, PN_EVENT_DENIED, 1);
    assert_int_equal(t.last_reason[PN_EVENT_DENIED], PN_REASON_NO_SUCH_HANDLE);
    two_nodes_close(&t);
}

static void test_node_call_needs_a_grant(void **state)
{
    pn_expose_options opt;
    pn_principal alice = {.family = PN_FAMILY_PEERNET};
    pn_principal barrel = {.family = PN_FAMILY_BARREL};
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    alice.key.x25519 = t.alice_key;
    memcpy(barrel.key.ed25519.bytes, t.alice_key.bytes, PN_PUBLIC_KEY_LEN);
    pn_expose_options_init(&opt);
    opt.flags = PN_EXPOSE_CLOSED;
    assert_int_equal(pn_expose(t.bob, "echo", on_echo, NULL, &opt), PN_OK);
    assert_call(&t, "echo", "1", PN_REMOTE, ":forbidden");
    /* The same key over another family is another principal. */
    assert_int_equal(pn_grant(t.bob, "echo", &barrel), PN_OK);
    assert_call(&t, "echo", "1", PN_REMOTE, ":forbidden");
    assert_int_equal(pn_grant(t.bob, "echo", &alice), PN_OK);
    assert_call(&t, "echo", "1", PN_OK, "1");
    assert_int_equal(pn_ungrant(t.bob, "echo", &alice), PN_OK);
    assert_call(&t, "echo", "1", PN_REMOTE, ":forbidden");
    assert_int_equal(pn_grant_paired(t.bob, "echo"), PN_OK);
    assert_call(&t, "echo", "1", PN_OK, "1");
    assert_int_equal(pn_ungrant(t.bob, "echo", NULL), PN_OK);
    assert_call(&t, "echo", "1", PN_REMOTE, ":forbidden");
    assert_int_equal(pn_grant(t.bob, "nothing", &alice), PN_NOT_FOUND);
    two_nodes_close(&t);
}

static bool only_small(
    void *user, const pn_principal *caller, const char *handle, pn_term args)
{
    int n = 0;

    assert_non_null(caller);
    assert_string_equal(handle, "echo");
    (void)user;
    return pn_term_match(args, "~i", &n) && n < 10;
}

static void test_node_call_authorize(void **state)
{
    pn_expose_options opt;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    pn_expose_options_init(&opt);
    opt.authorize = only_small;
    assert_int_equal(pn_expose(t.bob, "echo", on_echo, NULL, &opt), PN_OK);
    assert_call(&t, "echo", "9", PN_OK, "9");
    assert_call(&t, "echo", "10", PN_REMOTE, ":forbidden");
    assert_call(&t, "echo", "\"x\"", PN_REMOTE, ":forbidden");
    two_nodes_close(&t);
}

static void on_nothing(pn_request *req, pn_term args, void *user)
{
    (void)req;
    (void)args;
    (void)user;
}

static void on_twice(pn_request *req, pn_term args, void *user)
{
    (void)args;
    (void)pn_request_reply(req, "first");
    /* It goes on after its answer, so the caller waits for this too. */
    on_done(user, pn_request_reply(req, "second"), (pn_term){0});
}

static void on_huge(pn_request *req, pn_term args, void *user)
{
    static uint8_t zeros[1 << 20];

    (void)args;
    on_done(user, pn_request_reply(req, "~b", (pn_slice){zeros, sizeof(zeros)}),
        (pn_term){0});
}

static void test_node_call_one_answer(void **state)
{
    result second = {0};
    result huge = {0};
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    assert_int_equal(
        pn_expose(t.bob, "nothing", on_nothing, NULL, NULL), PN_OK);
    assert_int_equal(pn_expose(t.bob, "twice", on_twice, &second, NULL), PN_OK);
    assert_int_equal(pn_expose(t.bob, "huge", on_huge, &huge, NULL), PN_OK);
    assert_call(
        &t, "nothing", "1", PN_REMOTE, "{:handler_crash, {:exit, :normal}}");
    assert_call(&t, "twice", "1", PN_OK, ":first");
    two_nodes_wait(is_done, &second);
    assert_int_equal(second.outcome, PN_STATE);
    /* A frame over 1 MiB would end the link at the other side. */
    assert_call(&t, "huge", "1", PN_REMOTE, ":system_limit");
    two_nodes_wait(is_done, &huge);
    assert_int_equal(huge.outcome, PN_TOO_LARGE);
    assert_true(pn_connected(t.alice, &t.bob_key));
    two_nodes_close(&t);
}

/* ---- errors of the caller ---------------------------------------------- */

static void test_node_call_local_errors(void **state)
{
    static uint8_t zeros[1 << 20];
    pn_public_key stranger = {{1, 2, 3}};
    pn_reply *reply = NULL;
    char long_name[257]; /* an atom has 255 characters */
    two_nodes t;

    memset(long_name, 'x', sizeof(long_name));
    long_name[256] = '\0';

    (void)state;
    two_nodes_open(&t, NULL);
    assert_int_equal(pn_call(t.alice, &stranger, "echo", 100, &reply, "~i", 1),
        PN_NOT_CONNECTED);
    assert_int_equal(pn_call(t.alice, &t.bob_key, "echo", 100, &reply, "~b",
                         (pn_slice){zeros, sizeof(zeros)}),
        PN_TOO_LARGE);
    assert_int_equal(
        pn_call(t.alice, &t.bob_key, "echo", 100, &reply, "{oops"), PN_INVALID);
    assert_int_equal(
        pn_call(t.alice, &t.bob_key, long_name, 100, &reply, "~i", 1),
        PN_INVALID);
    assert_null(reply);
    assert_int_equal(
        pn_send(t.alice, &stranger, "x", "~i", 1), PN_NOT_CONNECTED);
    assert_true(pn_connected(t.alice, &t.bob_key));
    two_nodes_close(&t);
}

static void test_node_call_timeout(void **state)
{
    pn_reply *reply = NULL;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    assert_int_equal(pn_expose(t.bob, "slow", on_slow, NULL, NULL), PN_OK);
    assert_int_equal(
        pn_call(t.alice, &t.bob_key, "slow", 50, &reply, "~i", 200),
        PN_TIMEOUT);
    /* The late reply is dropped; the link goes on. */
    assert_call(&t, "slow", "0", PN_OK, ":done");
    two_nodes_close(&t);
}

static void test_node_t13_handler_timeout(void **state)
{
    pn_expose_options opt;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    pn_expose_options_init(&opt);
    opt.timeout_ms = 50;
    assert_int_equal(pn_expose(t.bob, "slow", on_slow, NULL, &opt), PN_OK);
    assert_call(&t, "slow", "2000", PN_REMOTE, ":timeout");
    two_nodes_close(&t);
}

/* ---- never a deadlock -------------------------------------------------- */

typedef struct back_call {
    two_nodes *t;
    pn_err err;
    pn_err wait_err;
} back_call;

static void on_call_back(pn_request *req, pn_term args, void *user)
{
    back_call *b = user;

    (void)args;
    b->err = pn_call(b->t->bob, &b->t->alice_key, "echo", 10000, NULL, "~i", 1);
    b->wait_err = pn_wait_connected(b->t->bob, &b->t->alice_key, 10000, NULL);
    (void)pn_request_reply(req, "ok");
}

static void test_node_blocking_call_refused_on_loop(void **state)
{
    pn_expose_options opt;
    back_call b = {.err = PN_OK};
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    b.t = &t;
    pn_expose_options_init(&opt);
    opt.flags = PN_EXPOSE_INLINE;
    assert_int_equal(pn_expose(t.alice, "echo", on_echo, NULL, NULL), PN_OK);
    assert_int_equal(pn_expose(t.bob, "back", on_call_back, &b, &opt), PN_OK);
    assert_call(&t, "back", "1", PN_OK, ":ok");
    assert_int_equal(b.err, PN_STATE);
    assert_int_equal(b.wait_err, PN_STATE);
    /* From a worker it is an ordinary call. */
    assert_int_equal(pn_expose(t.bob, "back", on_call_back, &b, NULL), PN_OK);
    assert_call(&t, "back", "1", PN_OK, ":ok");
    assert_int_equal(b.err, PN_OK);
    two_nodes_close(&t);
}

/* ---- order ------------------------------------------------------------- */

typedef struct order_log {
    pthread_mutex_t lock;
    int next;
    int wrong;
    atomic_int running;
    atomic_int most;
} order_log;

static void on_ordered(pn_request *req, pn_term args, void *user)
{
    order_log *log = user;
    int n = -1;
    int now = atomic_fetch_add(&log->running, 1) + 1;

    if (now > atomic_load(&log->most)) {
        atomic_store(&log->most, now);
    }
    (void)!pn_term_match(args, "~i", &n);
    (void)pthread_mutex_lock(&log->lock);
    if (n != log->next) {
        log->wrong++;
    }
    log->next = n + 1;
    (void)pthread_mutex_unlock(&log->lock);
    atomic_fetch_sub(&log->running, 1);
    (void)pn_request_reply(req, "ok");
}

/* Two handles, one inline, one on workers, share the link's one order. */
static void test_node_messages_start_in_order(void **state)
{
    order_log log = {.lock = PTHREAD_MUTEX_INITIALIZER};
    pn_expose_options opt;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    pn_expose_options_init(&opt);
    opt.flags = PN_EXPOSE_INLINE;
    assert_int_equal(pn_expose(t.bob, "w", on_ordered, &log, NULL), PN_OK);
    assert_int_equal(pn_expose(t.bob, "i", on_ordered, &log, &opt), PN_OK);
    for (int i = 0; i < 500; i++) {
        assert_int_equal(
            pn_send(t.alice, &t.bob_key, i % 3 == 0 ? "i" : "w", "~i", i),
            PN_OK);
    }
    assert_call(&t, "w", "500", PN_OK, ":ok");
    assert_int_equal(log.next, 501);
    assert_int_equal(log.wrong, 0);
    assert_int_equal(atomic_load(&log.most), 1);
    two_nodes_close(&t);
}

static void test_node_concurrent_handle_runs_beside(void **state)
{
    gatepost gate = {.n_wanted = 1};
    pn_expose_options opt;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    pn_expose_options_init(&opt);
    opt.flags = PN_EXPOSE_CONCURRENT;
    assert_int_equal(pn_expose(t.bob, "gate", on_gatepost, &gate, &opt), PN_OK);
    assert_int_equal(pn_expose(t.bob, "echo", on_echo, NULL, NULL), PN_OK);
    assert_int_equal(pn_send(t.alice, &t.bob_key, "gate", "~i", 1), PN_OK);
    two_nodes_wait(gatepost_is_reached, &gate);
    assert_call(&t, "echo", "1", PN_OK, "1");
    assert_false(gatepost_is_left(&gate));
    atomic_store(&gate.is_open, true);
    two_nodes_close(&t);
}

/* ---- workers ----------------------------------------------------------- */

int main(void)
{

    pn_test_add("node/call/round_trip", test_node_call_round_trip, NULL);
    pn_test_add(
        "node/call/closed_by_default", test_node_call_closed_by_default, NULL);
    pn_test_add("node/call/needs_a_grant", test_node_call_needs_a_grant, NULL);
    pn_test_add("node/call/authorize", test_node_call_authorize, NULL);
    pn_test_add("node/call/one_answer", test_node_call_one_answer, NULL);
    pn_test_add("node/call/local_errors", test_node_call_local_errors, NULL);
    pn_test_add("node/call/timeout", test_node_call_timeout, NULL);
    pn_test_add(
        "node/t13/handler_timeout", test_node_t13_handler_timeout, NULL);
    pn_test_add("node/call/blocking_refused_on_loop",
        test_node_blocking_call_refused_on_loop, NULL);
    pn_test_add("node/order/messages_start_in_order",
        test_node_messages_start_in_order, NULL);
    pn_test_add("node/order/concurrent_runs_beside",
        test_node_concurrent_handle_runs_beside, NULL);
    return pn_test_run("node/calls");
}

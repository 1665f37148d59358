/* SPDX-License-Identifier: Apache-2.0 */
/* Calls, sends, refusals, order and deferral between two real nodes. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/node_internal.h"
#include "two_nodes.h"

static void sleep_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    (void)nanosleep(&t, NULL);
}

static void on_echo(pn_request *req, pn_term args, void *user)
{
    (void)user;
    (void)pn_request_reply_term(req, args);
}

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

/* What bob's answer to a call of alice is, as text. */
static void assert_call(two_nodes *t, const char *handle, const char *args,
    pn_err want, const char *want_text)
{
    pn_term_writer w;
    pn_term term;
    pn_reply *reply = NULL;
    char *text = NULL;
    size_t len = 0;
    pn_err err;

    pn_term_writer_init(&w, 0);
    assert_int_equal(
        pn_term_from_text(&w, args, strlen(args), NULL, NULL), PN_OK);
    assert_int_equal(pn_term_writer_finish(&w, NULL, &term), PN_OK);
    err = pn_call_term(t->alice, &t->bob_key, handle, 5000, term, &reply);
    pn_term_writer_free(&w);
    assert_string_equal(pn_err_name(err), pn_err_name(want));
    if (want_text != NULL) {
        assert_int_equal(
            pn_term_to_text(pn_reply_term(reply), &text, &len), PN_OK);
        assert_string_equal(text, want_text);
        free(text);
    }
    pn_reply_free(reply);
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
    alice.key = t.alice_key;
    barrel.key = t.alice_key;
    pn_expose_options_init(&opt);
    opt.flags = PN_EXPOSE_CLOSED;
    assert_int_equal(pn_expose(t.bob, "echo", on_echo, NULL, &opt), PN_OK);
    assert_call(&t, "echo", "1", PN_REMOTE, ":forbidden");
    /* The same key over another family is somebody else. */
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

/* What something came to, and that it has. */
typedef struct result {
    atomic_int n;
    pn_err outcome;
    int value;
} result;

static void on_done(void *user, pn_err outcome, pn_term value)
{
    result *r = user;

    r->outcome = outcome;
    if (value.len > 0) {
        (void)!pn_term_match(value, "~i", &r->value);
    }
    atomic_fetch_add(&r->n, 1);
}

static bool is_done(void *user)
{
    result *r = user;

    return atomic_load(&r->n) > 0;
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

static void on_slow(pn_request *req, pn_term args, void *user)
{
    int ms = 0;

    (void)user;
    if (pn_term_match(args, "~i", &ms)) {
        sleep_ms(ms);
    }
    (void)pn_request_reply(req, "done");
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
    pn_expose_options opt;
    two_nodes t;
    struct timespec start;
    struct timespec end;

    (void)state;
    two_nodes_open(&t, NULL);
    pn_expose_options_init(&opt);
    opt.flags = PN_EXPOSE_CONCURRENT;
    assert_int_equal(pn_expose(t.bob, "slow", on_slow, NULL, &opt), PN_OK);
    assert_int_equal(pn_expose(t.bob, "echo", on_echo, NULL, NULL), PN_OK);
    (void)clock_gettime(CLOCK_MONOTONIC, &start);
    assert_int_equal(pn_send(t.alice, &t.bob_key, "slow", "~i", 1500), PN_OK);
    assert_call(&t, "echo", "1", PN_OK, "1");
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    assert_true(end.tv_sec - start.tv_sec <= 1);
    two_nodes_close(&t);
}

/* ---- deferring --------------------------------------------------------- */

typedef struct keeper {
    pthread_mutex_t lock;
    pn_request *kept[8];
    int n_kept;
    pn_err err;
} keeper;

static void on_keep(pn_request *req, pn_term args, void *user)
{
    keeper *k = user;
    pn_request *kept = NULL;
    pn_err err = pn_request_defer(req, &kept);

    (void)args;
    (void)pthread_mutex_lock(&k->lock);
    k->err = err;
    if (err == PN_OK) {
        k->kept[k->n_kept++] = kept;
    }
    (void)pthread_mutex_unlock(&k->lock);
    if (err != PN_OK) {
        (void)pn_request_fail(req, "busy");
    }
}

static bool has_kept_two(void *user)
{
    keeper *k = user;
    bool yes;

    (void)pthread_mutex_lock(&k->lock);
    yes = k->n_kept >= 2;
    (void)pthread_mutex_unlock(&k->lock);
    return yes;
}

static pn_term small_term(void)
{
    static const uint8_t one[] = {97, 1};

    return (pn_term){one, sizeof(one)};
}

/* Inline and on workers alike: deferring gives up the turn, answers come from
 * another thread and in another order. */
static void test_node_defer(void **state)
{
    unsigned flags = *(unsigned *)*state;
    keeper k = {.lock = PTHREAD_MUTEX_INITIALIZER};
    pn_expose_options opt;
    result first = {0};
    result second = {0};
    two_nodes t;

    two_nodes_open(&t, NULL);
    pn_expose_options_init(&opt);
    opt.flags = flags;
    assert_int_equal(pn_expose(t.bob, "keep", on_keep, &k, &opt), PN_OK);
    assert_int_equal(pn_call_async(t.alice, &t.bob_key, "keep", 5000,
                         small_term(), on_done, &first),
        PN_OK);
    assert_int_equal(pn_call_async(t.alice, &t.bob_key, "keep", 5000,
                         small_term(), on_done, &second),
        PN_OK);
    two_nodes_wait(has_kept_two, &k);
    assert_int_equal(pn_request_reply(k.kept[1], "~i", 2), PN_OK);
    two_nodes_wait(is_done, &second);
    assert_int_equal(atomic_load(&first.n), 0);
    assert_int_equal(pn_request_reply(k.kept[0], "~i", 1), PN_OK);
    two_nodes_wait(is_done, &first);
    assert_int_equal(first.outcome, PN_OK);
    assert_int_equal(first.value, 1);
    assert_int_equal(second.value, 2);
    two_nodes_close(&t);
}

static void limit_deferred(pn_node_options *opt, bool is_alice)
{
    (void)is_alice;
    opt->max_deferred = 1;
}

static void test_node_defer_limit(void **state)
{
    keeper k = {.lock = PTHREAD_MUTEX_INITIALIZER};
    result first = {0};
    two_nodes t;

    (void)state;
    two_nodes_open(&t, limit_deferred);
    assert_int_equal(pn_expose(t.bob, "keep", on_keep, &k, NULL), PN_OK);
    assert_int_equal(pn_call_async(t.alice, &t.bob_key, "keep", 5000,
                         small_term(), on_done, &first),
        PN_OK);
    assert_call(&t, "keep", "1", PN_REMOTE, ":busy");
    assert_int_equal(k.err, PN_BUSY);
    pn_request_drop(k.kept[0]);
    two_nodes_wait(is_done, &first);
    assert_int_equal(first.outcome, PN_REMOTE);
    two_nodes_close(&t);
}

/* A deferred request may outlive its link and its node. */
static void test_node_defer_outlives_node(void **state)
{
    keeper k = {.lock = PTHREAD_MUTEX_INITIALIZER};
    result first = {0};
    result second = {0};
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    assert_int_equal(pn_expose(t.bob, "keep", on_keep, &k, NULL), PN_OK);
    assert_int_equal(pn_call_async(t.alice, &t.bob_key, "keep", 5000,
                         small_term(), on_done, &first),
        PN_OK);
    assert_int_equal(pn_call_async(t.alice, &t.bob_key, "keep", 5000,
                         small_term(), on_done, &second),
        PN_OK);
    two_nodes_wait(has_kept_two, &k);
    assert_int_equal(pn_unpair(t.alice, &t.bob_key), PN_OK);
    two_nodes_wait(is_done, &first);
    assert_int_equal(first.outcome, PN_CLOSED);
    two_nodes_close(&t);
    assert_int_equal(pn_request_reply(k.kept[0], "~i", 1), PN_CLOSED);
    pn_request_drop(k.kept[1]);
}

/* ---- limits ------------------------------------------------------------ */

/* Of bob's one link. */
static uint32_t n_waiting(two_nodes *t, bool with_running)
{
    const pn_link *link;
    uint32_t n;

    pn_node_lock(t->bob);
    link = t->bob->links;
    n = link->n_queued + (with_running ? link->n_running : 0);
    pn_node_unlock(t->bob);
    return n;
}

static bool bob_is_done(void *user)
{
    return n_waiting(user, true) == 0;
}

static bool one_waits(void *user)
{
    return n_waiting(user, false) == 1;
}

static void limit_queue(pn_node_options *opt, bool is_alice)
{
    (void)is_alice;
    opt->max_queue_per_link = 3;
}

/* One runs, three wait, the fifth is told "busy" at once. */
static void test_node_queue_limit(void **state)
{
    pn_metrics m;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, limit_queue);
    assert_int_equal(pn_expose(t.bob, "slow", on_slow, NULL, NULL), PN_OK);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(
            pn_send(t.alice, &t.bob_key, "slow", "~i", i == 0 ? 1500 : 0),
            PN_OK);
        sleep_ms(20);
    }
    assert_call(&t, "slow", "0", PN_REMOTE, ":busy");
    assert_int_equal(pn_send(t.alice, &t.bob_key, "slow", "~i", 0), PN_OK);
    two_nodes_wait(bob_is_done, &t);
    assert_call(&t, "slow", "0", PN_OK, ":done");
    assert_int_equal(pn_node_metrics(t.bob, &m), PN_OK);
    assert_int_equal(m.queue_refused, 1);
    assert_int_equal(m.queue_drops, 1);
    two_nodes_close(&t);
}

static void test_node_t12_rate_limit(void **state)
{
    pn_expose_options opt;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    pn_expose_options_init(&opt);
    opt.calls_per_second = 1;
    /* What is exposed anew starts anew, and takes the place of the old. */
    for (int i = 0; i < 5; i++) {
        assert_int_equal(pn_expose(t.bob, "echo", on_echo, NULL, &opt), PN_OK);
        assert_call(&t, "echo", "1", PN_OK, "1");
        assert_call(&t, "echo", "2", PN_REMOTE, ":busy");
        assert_int_equal(pn_revoke(t.bob, "echo"), PN_OK);
    }
    pn_node_lock(t.bob);
    assert_int_equal(t.bob->links->n_rates, 1);
    pn_node_unlock(t.bob);
    two_nodes_close(&t);
}

static void test_node_revoke_answers_the_waiting(void **state)
{
    result waiting = {0};
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    assert_int_equal(pn_expose(t.bob, "slow", on_slow, NULL, NULL), PN_OK);
    assert_int_equal(pn_expose(t.bob, "echo", on_echo, NULL, NULL), PN_OK);
    assert_int_equal(pn_send(t.alice, &t.bob_key, "slow", "~i", 600), PN_OK);
    assert_int_equal(pn_call_async(t.alice, &t.bob_key, "echo", 5000,
                         small_term(), on_done, &waiting),
        PN_OK);
    two_nodes_wait(one_waits, &t);
    assert_int_equal(pn_revoke(t.bob, "echo"), PN_OK);
    assert_int_equal(pn_revoke(t.bob, "echo"), PN_NOT_FOUND);
    two_nodes_wait(is_done, &waiting);
    assert_int_equal(waiting.outcome, PN_REMOTE);
    assert_call(&t, "echo", "1", PN_REMOTE, ":no_such_handle");
    two_nodes_close(&t);
}

/* ---- one long turn ----------------------------------------------------- */

enum { BATCH = 100, LATE = 64 };

typedef struct batch {
    two_nodes *t;
    atomic_int n_asked;       /* calls bob has seen */
    atomic_int n_replies;     /* replies alice has seen */
    atomic_bool was_answered; /* one reply was there before bob's call LATE */
} batch;

/* Inline: call LATE waits for what the calls before it were answered. */
static void on_batch_asked(pn_request *req, pn_term args, void *user)
{
    batch *b = user;

    (void)args;
    if (atomic_fetch_add(&b->n_asked, 1) == LATE) {
        for (int i = 0; i < 2500 && atomic_load(&b->n_replies) == 0; i++) {
            sleep_ms(2);
        }
        atomic_store(&b->was_answered, atomic_load(&b->n_replies) > 0);
    }
    (void)pn_request_reply(req, "ok");
}

static void on_batch_reply(void *user, pn_err outcome, pn_term value)
{
    batch *b = user;

    (void)value;
    atomic_fetch_add(&b->n_replies, outcome == PN_OK ? 1 : 1000);
}

/* From a callback on the loop, so that all of it leaves in one piece. */
static void on_batch_begin(void *user, pn_err outcome, pn_term value)
{
    batch *b = user;

    (void)outcome;
    (void)value;
    for (int i = 0; i < BATCH; i++) {
        if (pn_call_async(b->t->alice, &b->t->bob_key, "batch", 20000,
                small_term(), on_batch_reply, b)
            != PN_OK) {
            abort();
        }
    }
}

static bool batch_is_over(void *user)
{
    const batch *b = user;

    return atomic_load(&b->n_replies) >= BATCH;
}

/* Stays until the whole batch waits in the queue. */
static void on_echo_then_stay(pn_request *req, pn_term args, void *user)
{
    two_nodes *t = user;

    (void)pn_request_reply_term(req, args);
    for (int i = 0; i < 2500 && n_waiting(t, false) < BATCH; i++) {
        sleep_ms(2);
    }
}

/* The first call is answered inline, so the batch is handled as it is read, or
 * by a worker that stays, so it is handled from the queue. */
static void test_node_answers_leave_before_turn_end(void **state)
{
    bool is_queued = *(bool *)*state;
    pn_expose_options is_inline;
    two_nodes t;
    batch b = {.t = &t};

    two_nodes_open(&t, NULL);
    pn_expose_options_init(&is_inline);
    is_inline.flags = PN_EXPOSE_INLINE;
    assert_int_equal(
        pn_expose(t.bob, "first", is_queued ? on_echo_then_stay : on_echo, &t,
            is_queued ? NULL : &is_inline),
        PN_OK);
    assert_int_equal(
        pn_expose(t.bob, "batch", on_batch_asked, &b, &is_inline), PN_OK);
    assert_int_equal(pn_call_async(t.alice, &t.bob_key, "first", 5000,
                         small_term(), on_batch_begin, &b),
        PN_OK);
    two_nodes_wait(batch_is_over, &b);
    assert_int_equal(atomic_load(&b.n_replies), BATCH);
    assert_true(atomic_load(&b.was_answered));
    two_nodes_close(&t);
}

/* ---- workers ----------------------------------------------------------- */

typedef struct meeting {
    two_nodes *t;
    atomic_int n_inside;
    atomic_int n_met;
    atomic_int n_done;
} meeting;

/* Both have to be inside at the same time. */
static void on_meet(pn_request *req, pn_term args, void *user)
{
    meeting *m = user;

    (void)args;
    atomic_fetch_add(&m->n_inside, 1);
    for (int i = 0; i < 3000 && atomic_load(&m->n_inside) < 2; i++) {
        sleep_ms(1);
    }
    atomic_fetch_add(&m->n_met, atomic_load(&m->n_inside) >= 2);
    atomic_fetch_add(&m->n_done, 1);
    (void)pn_request_reply(req, "ok");
}

static void on_met(void *user, pn_err outcome, pn_term value)
{
    (void)user;
    (void)outcome;
    (void)value;
}

/* On alice's loop: both calls leave in one write. */
static void on_warm(void *user, pn_err outcome, pn_term value)
{
    static const uint8_t one[] = {97, 1};
    meeting *m = user;

    (void)outcome;
    (void)value;
    sleep_ms(50); /* bob's worker is idle again */
    for (int i = 0; i < 2; i++) {
        (void)!pn_call_async(m->t->alice, &m->t->bob_key, "meet", 5000,
            (pn_term){one, sizeof(one)}, on_met, NULL);
    }
}

static void on_warmed(pn_request *req, pn_term args, void *user)
{
    (void)user;
    (void)pn_request_reply_term(req, args);
}

static bool both_are_done(void *user)
{
    return atomic_load(&((meeting *)user)->n_done) == 2;
}

/* One idle worker and two messages: the second does not wait for the first,
 * whoever it is from. */
static void test_node_two_jobs_one_idle_worker(void **state)
{
    static const uint8_t one[] = {97, 1};
    pn_expose_options opt;
    meeting m = {0};
    two_nodes t;

    (void)state;
    pn_expose_options_init(&opt);
    opt.flags = PN_EXPOSE_CONCURRENT;
    two_nodes_open(&t, NULL);
    m.t = &t;
    assert_int_equal(pn_expose(t.bob, "meet", on_meet, &m, &opt), PN_OK);
    assert_int_equal(pn_expose(t.bob, "warm", on_warmed, NULL, NULL), PN_OK);
    assert_int_equal(pn_call_async(t.alice, &t.bob_key, "warm", 5000,
                         (pn_term){one, sizeof(one)}, on_warm, &m),
        PN_OK);
    two_nodes_wait(both_are_done, &m);
    assert_int_equal(atomic_load(&m.n_met), 2);
    two_nodes_close(&t);
}

int main(void)
{
    static unsigned on_worker = 0;
    static unsigned is_inline = PN_EXPOSE_INLINE;
    static bool as_read = false;
    static bool is_queued = true;

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
    pn_test_add("node/order/answers_leave_before_turn_end",
        test_node_answers_leave_before_turn_end, &as_read);
    pn_test_add("node/order/answers_leave_before_queue_end",
        test_node_answers_leave_before_turn_end, &is_queued);
    pn_test_add("node/workers/two_jobs_one_idle",
        test_node_two_jobs_one_idle_worker, NULL);
    pn_test_add("node/defer/worker", test_node_defer, &on_worker);
    pn_test_add("node/defer/inline", test_node_defer, &is_inline);
    pn_test_add("node/defer/limit", test_node_defer_limit, NULL);
    pn_test_add(
        "node/defer/outlives_node", test_node_defer_outlives_node, NULL);
    pn_test_add("node/limit/queue", test_node_queue_limit, NULL);
    pn_test_add("node/t12/rate_limit", test_node_t12_rate_limit, NULL);
    pn_test_add("node/revoke/answers_the_waiting",
        test_node_revoke_answers_the_waiting, NULL);
    return pn_test_run("node/calls");
}

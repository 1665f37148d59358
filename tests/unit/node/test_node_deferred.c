/* SPDX-License-Identifier: Apache-2.0 */
/* Deferred requests, limits of the inbound queue, and threads of handlers. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/node_internal.h"
#include "slow_calls.h"
#include "two_nodes.h"

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
    link = PN_LIST_HOLDER(t->bob->links.all.first, pn_link, listed);
    n = link->queue.n + (with_running ? link->n_running : 0);
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

/* A tuple in a tuple ..., depth of them. */
static pn_term nested(pn_term_writer *w, unsigned depth)
{
    pn_term term;

    pn_term_writer_init(w, 0);
    for (unsigned i = 0; i < depth; i++) {
        pn_term_write_tuple_begin(w);
    }
    pn_term_write_int64(w, 1);
    for (unsigned i = 0; i < depth; i++) {
        pn_term_write_tuple_end(w);
    }
    assert_int_equal(pn_term_writer_finish(w, NULL, &term), PN_OK);
    return term;
}

/* A term that is nested deeper than a peer accepts would end the link, so it is
 * not sent, and the sender gets an error. {call, Id, Name, Args} is one level
 * around Args, {reply, Id, {ok, Value}} two around Value; 512 are allowed. */
static void test_node_limit_depth_of_what_is_sent(void **state)
{
    static const struct {
        unsigned depth;
        pn_err call;
        pn_err send;
    } rows[] = {
        {510, PN_OK, PN_OK},
        {511, PN_REMOTE, PN_OK},
        {512, PN_TOO_LARGE, PN_TOO_LARGE},
    };
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    assert_int_equal(pn_expose(t.bob, "echo", on_echo, NULL, NULL), PN_OK);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pn_term_writer w;
        pn_term term = nested(&w, rows[i].depth);
        pn_reply *reply = NULL;

        assert_int_equal(
            pn_call_term(t.alice, &t.bob_key, "echo", 5000, term, &reply),
            rows[i].call);
        assert_true(rows[i].call != PN_REMOTE
                    || pn_term_is_atom(pn_reply_term(reply), "system_limit"));
        assert_int_equal(
            pn_send_term(t.alice, &t.bob_key, "echo", term), rows[i].send);
        pn_reply_free(reply);
        pn_term_writer_free(&w);
    }
    assert_call(&t, "echo", "1", PN_OK, "1");
    assert_int_equal(t.n_events[PN_EVENT_PEER_DOWN], 0);
    two_nodes_close(&t);
}

static bool three_wait(void *user)
{
    return n_waiting(user, false) == 3;
}

static bool one_is_dropped(void *user)
{
    pn_metrics m;

    assert_int_equal(pn_node_metrics(user, &m), PN_OK);
    return m.queue_drops == 1;
}

static void on_gated(pn_request *req, pn_term args, void *user)
{
    on_gatepost(req, args, user);
    (void)pn_request_reply(req, "done");
}

/* One runs and three wait; the fifth call is answered "busy" at once, and the
 * fifth send is dropped. */
static void test_node_queue_limit(void **state)
{
    gatepost gate = {.n_wanted = 1};
    pn_metrics m;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, limit_queue);
    assert_int_equal(pn_expose(t.bob, "gate", on_gated, &gate, NULL), PN_OK);
    assert_int_equal(pn_send(t.alice, &t.bob_key, "gate", "~i", 0), PN_OK);
    two_nodes_wait(gatepost_is_reached, &gate);
    for (int i = 1; i < 4; i++) {
        assert_int_equal(pn_send(t.alice, &t.bob_key, "gate", "~i", i), PN_OK);
    }
    two_nodes_wait(three_wait, &t);
    assert_call(&t, "gate", "0", PN_REMOTE, ":busy");
    assert_int_equal(pn_send(t.alice, &t.bob_key, "gate", "~i", 4), PN_OK);
    two_nodes_wait(one_is_dropped, t.bob);
    atomic_store(&gate.is_open, true);
    two_nodes_wait(bob_is_done, &t);
    assert_int_equal(atomic_load(&gate.n_inside), 4);
    assert_call(&t, "gate", "0", PN_OK, ":done");
    assert_int_equal(pn_node_metrics(t.bob, &m), PN_OK);
    assert_int_equal(m.queue_refused, 2);
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
    /* A handle that is exposed again replaces the old one and starts anew. */
    for (int i = 0; i < 5; i++) {
        assert_int_equal(pn_expose(t.bob, "echo", on_echo, NULL, &opt), PN_OK);
        assert_call(&t, "echo", "1", PN_OK, "1");
        assert_call(&t, "echo", "2", PN_REMOTE, ":busy");
        assert_int_equal(pn_revoke(t.bob, "echo"), PN_OK);
    }
    pn_node_lock(t.bob);
    assert_int_equal(
        PN_LIST_HOLDER(t.bob->links.all.first, pn_link, listed)->n_rates, 1);
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
        for (int i = 0; i < 5000 && atomic_load(&b->n_replies) == 0; i++) {
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
    for (int i = 0; i < 5000 && n_waiting(t, false) < BATCH; i++) {
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
    assert_int_equal(pn_call_async(t.alice, &t.bob_key, "first", 20000,
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
    for (int i = 0; i < 10000 && atomic_load(&m->n_inside) < 2; i++) {
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
        (void)!pn_call_async(m->t->alice, &m->t->bob_key, "meet", 20000,
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
 * whichever peer sent it. */
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
    pn_test_add("node/limit/depth_of_what_is_sent",
        test_node_limit_depth_of_what_is_sent, NULL);
    pn_test_add("node/t12/rate_limit", test_node_t12_rate_limit, NULL);
    pn_test_add("node/revoke/answers_the_waiting",
        test_node_revoke_answers_the_waiting, NULL);
    return pn_test_run("node/deferred");
}

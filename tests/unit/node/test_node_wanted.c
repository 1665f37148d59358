/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that are no longer wanted before their handler has begun, or after
 * it deferred them: T25 for the queue, the workers and deferred requests; and
 * grants that end with their peer.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "node/node_internal.h"
#include "two_nodes.h"

enum { N_CALLS = 5 };

static pn_term small_term(void)
{
    static const uint8_t one[] = {97, 1};

    return (pn_term){one, sizeof(one)};
}

/* The outcomes of alice's calls. */
typedef struct outcomes {
    atomic_int n;
    atomic_int n_ok;
    atomic_int n_forbidden;
    atomic_int n_no_such_handle;
    atomic_int n_timeout;
    atomic_int n_closed;
    int n_wanted;
} outcomes;

static void on_outcome(void *user, pn_err outcome, pn_term value)
{
    outcomes *o = user;
    bool is_forbidden = pn_term_is_atom(value, "forbidden")
                        || pn_term_match(value, "{forbidden, _}");

    atomic_fetch_add(&o->n_ok, outcome == PN_OK);
    atomic_fetch_add(&o->n_closed, outcome == PN_CLOSED);
    if (outcome == PN_REMOTE) {
        atomic_fetch_add(&o->n_forbidden, is_forbidden);
        atomic_fetch_add(
            &o->n_no_such_handle, pn_term_is_atom(value, "no_such_handle"));
        atomic_fetch_add(&o->n_timeout, pn_term_is_atom(value, "timeout"));
    }
    atomic_fetch_add(&o->n, 1);
}

static bool has_outcomes(void *user)
{
    const outcomes *o = user;

    return atomic_load(&o->n) >= o->n_wanted;
}

static void call_async(two_nodes *t, const char *handle, outcomes *o)
{
    assert_int_equal(pn_call_async(t->alice, &t->bob_key, handle, 20000,
                         small_term(), on_outcome, o),
        PN_OK);
}

static pn_principal alice_of(const two_nodes *t)
{
    return pn_peernet_principal(&t->alice_key);
}

static void expose_to_alice(two_nodes *t, const char *name, pn_handler *handler,
    void *user, unsigned flags, uint32_t timeout_ms)
{
    pn_principal alice = alice_of(t);
    pn_expose_options opt;

    pn_expose_options_init(&opt);
    opt.flags = flags | PN_EXPOSE_CLOSED;
    opt.timeout_ms = timeout_ms;
    assert_int_equal(pn_expose(t->bob, name, handler, user, &opt), PN_OK);
    assert_int_equal(pn_grant(t->bob, name, &alice), PN_OK);
}

static void ungrant_alice(two_nodes *t, const char *name)
{
    pn_principal alice = alice_of(t);

    assert_int_equal(pn_ungrant(t->bob, name, &alice), PN_OK);
}

static void on_ok(pn_request *req, pn_term args, void *user)
{
    (void)args;
    (void)user;
    (void)pn_request_reply(req, "ok");
}

/* ---- requests in the queue or waiting for a worker ---------------------- */

static void one_worker(pn_node_options *opt, bool is_alice)
{
    (void)is_alice;
    opt->max_workers = 1;
    opt->max_running_per_peer = 8;
}

typedef struct arrived {
    two_nodes *t;
    uint32_t n;
} arrived;

/* Bob has n messages that have not ended. */
static bool has_arrived(void *user)
{
    arrived *a = user;
    uint32_t n;

    pn_node_lock(a->t->bob);
    n = PN_LIST_HOLDER(a->t->bob->links.all.first, pn_link, listed)->queue.n
        + PN_LIST_HOLDER(a->t->bob->links.all.first, pn_link, listed)
              ->n_running;
    pn_node_unlock(a->t->bob);
    return n == a->n;
}

/* One runs and the others wait: in the link's queue, or for the one worker. */
static void test_ungrant_reaches_what_waits(void **state)
{
    unsigned flags = *(unsigned *)*state;
    gatepost gate = {.n_wanted = 1};
    outcomes o = {.n_wanted = N_CALLS};
    arrived all = {.n = N_CALLS};
    two_nodes t;

    two_nodes_open(&t, one_worker);
    all.t = &t;
    expose_to_alice(&t, "gate", on_gatepost, &gate, flags, 0);
    for (int i = 0; i < N_CALLS; i++) {
        call_async(&t, "gate", &o);
    }
    two_nodes_wait(gatepost_is_reached, &gate);
    two_nodes_wait(has_arrived, &all);
    ungrant_alice(&t, "gate");
    atomic_store(&gate.is_open, true);
    two_nodes_wait(has_outcomes, &o);
    assert_int_equal(atomic_load(&gate.n_inside), 1);
    assert_int_equal(atomic_load(&o.n_forbidden), N_CALLS - 1);
    two_nodes_close(&t);
}

static bool bob_is_idle(void *user)
{
    two_nodes *t = user;
    uint32_t refs;

    pn_node_lock(t->bob);
    refs = t->bob->refs;
    pn_node_unlock(t->bob);
    return refs == 1;
}

/* Unpairing stops a request that has left the queue and has no worker yet. */
static void test_unpair_stops_what_waits_for_a_worker(void **state)
{
    gatepost gate = {.n_wanted = 1};
    outcomes o = {.n_wanted = N_CALLS};
    arrived all = {.n = N_CALLS};
    two_nodes t;

    (void)state;
    two_nodes_open(&t, one_worker);
    all.t = &t;
    expose_to_alice(&t, "gate", on_gatepost, &gate, PN_EXPOSE_CONCURRENT, 0);
    for (int i = 0; i < N_CALLS; i++) {
        call_async(&t, "gate", &o);
    }
    two_nodes_wait(gatepost_is_reached, &gate);
    two_nodes_wait(has_arrived, &all);
    assert_int_equal(pn_unpair(t.bob, &t.alice_key), PN_OK);
    atomic_store(&gate.is_open, true);
    two_nodes_wait(has_outcomes, &o);
    assert_int_equal(atomic_load(&o.n_closed), N_CALLS);
    two_nodes_wait(bob_is_idle, &t);
    assert_int_equal(atomic_load(&gate.n_inside), 1);
    two_nodes_close(&t);
}

/* No handler starts for a caller that has got `timeout`. */
static void test_expired_does_not_start(void **state)
{
    gatepost gate = {.n_wanted = 1};
    outcomes o = {.n_wanted = 2};
    outcomes last = {.n_wanted = 1};
    two_nodes t;

    (void)state;
    two_nodes_open(&t, one_worker);
    expose_to_alice(&t, "gate", on_gatepost, &gate, PN_EXPOSE_CONCURRENT, 50);
    expose_to_alice(&t, "last", on_ok, NULL, PN_EXPOSE_CONCURRENT, 0);
    call_async(&t, "gate", &o);
    call_async(&t, "gate", &o);
    two_nodes_wait(gatepost_is_reached, &gate);
    two_nodes_wait(has_outcomes, &o);
    assert_int_equal(atomic_load(&o.n_timeout), 2);
    call_async(&t, "last", &last);
    atomic_store(&gate.is_open, true);
    two_nodes_wait(has_outcomes, &last);
    assert_int_equal(atomic_load(&last.n_ok), 1);
    assert_int_equal(atomic_load(&gate.n_inside), 1);
    two_nodes_close(&t);
}

static bool authorize_and_ungrant(
    void *user, const pn_principal *caller, const char *handle, pn_term args)
{
    two_nodes *t = ((gatepost *)user)->user;

    (void)args;
    assert_int_equal(pn_ungrant(t->bob, handle, caller), PN_OK);
    return true;
}

static void test_ungrant_while_asked(void **state)
{
    unsigned flags = *(unsigned *)*state;
    gatepost gate = {.is_open = true};
    outcomes o = {.n_wanted = 1};
    pn_expose_options opt;
    pn_principal alice;
    two_nodes t;

    two_nodes_open(&t, NULL);
    gate.user = &t;
    alice = alice_of(&t);
    pn_expose_options_init(&opt);
    opt.flags = flags | PN_EXPOSE_CLOSED;
    opt.authorize = authorize_and_ungrant;
    assert_int_equal(pn_expose(t.bob, "gate", on_gatepost, &gate, &opt), PN_OK);
    assert_int_equal(pn_grant(t.bob, "gate", &alice), PN_OK);
    call_async(&t, "gate", &o);
    two_nodes_wait(has_outcomes, &o);
    assert_int_equal(atomic_load(&o.n_forbidden), 1);
    assert_int_equal(atomic_load(&gate.n_inside), 0);
    two_nodes_close(&t);
}

/* ---- deferred ---------------------------------------------------------- */

/* One deferred request, and the callbacks about it. */
typedef struct keeper {
    two_nodes *t;
    _Atomic(pn_request *) kept;
    pn_beam_dist *table;
    atomic_int n_cancelled;
    atomic_int why;
    /* Before deferring it bob does this. */
    void (*before)(two_nodes *t);
    pn_err err;
    atomic_bool is_over;
} keeper;

static void on_cancelled(void *user, pn_reason why)
{
    keeper *k = user;

    atomic_store(&k->why, (int)why);
    atomic_fetch_add(&k->n_cancelled, 1);
}

static bool is_cancelled(void *user)
{
    return atomic_load(&((keeper *)user)->n_cancelled) > 0;
}

static bool is_kept(void *user)
{
    return atomic_load(&((keeper *)user)->kept) != NULL;
}

static void on_keep(pn_request *req, pn_term args, void *user)
{
    keeper *k = user;
    pn_request *kept = NULL;

    (void)args;
    assert_true(pn_request_is_wanted(req));
    assert_int_equal(pn_request_on_cancel(req, on_cancelled, k), PN_STATE);
    assert_int_equal(pn_request_defer(req, &kept), PN_OK);
    assert_false(pn_request_is_wanted(req)); /* it is in kept now */
    assert_true(pn_request_is_wanted(kept));
    assert_int_equal(pn_request_on_cancel(kept, NULL, NULL), PN_INVALID);
    atomic_store(&k->kept, kept);
}

static void keeper_open(
    keeper *k, two_nodes *t, unsigned flags, uint32_t timeout_ms)
{
    pn_principal alice;

    memset(k, 0, sizeof(*k));
    two_nodes_open(t, NULL);
    alice = alice_of(t);
    k->t = t;
    expose_to_alice(t, "keep", on_keep, k, flags, timeout_ms);
    assert_int_equal(pn_beam_dist_serve(t->bob, NULL, NULL, &k->table), PN_OK);
    assert_int_equal(
        pn_beam_dist_export(k->table, ":led", "on", 1, on_keep, k), PN_OK);
    assert_int_equal(
        pn_beam_dist_grant(k->table, ":led", "on", 1, &alice), PN_OK);
}

/* Alice calls "keep"; the request that bob keeps, which tells k of its end. */
static pn_request *keep_call(keeper *k, two_nodes *t, outcomes *o)
{
    pn_request *kept;

    keeper_open(k, t, 0, 0);
    call_async(t, "keep", o);
    two_nodes_wait(is_kept, k);
    kept = atomic_load(&k->kept);
    assert_int_equal(pn_request_on_cancel(kept, on_cancelled, k), PN_OK);
    return kept;
}

/* {rpc, led, on, [1]} */
static void call_function(two_nodes *t, outcomes *o)
{
    pn_term_writer w;
    pn_term term;

    pn_term_writer_init(&w, 0);
    pn_term_write_format(&w, "{rpc, led, on, [1]}");
    assert_int_equal(pn_term_writer_finish(&w, NULL, &term), PN_OK);
    assert_int_equal(pn_call_async(t->alice, &t->bob_key, PN_BEAM_DIST_HANDLE,
                         20000, term, on_outcome, o),
        PN_OK);
    pn_term_writer_free(&w);
}

static void end_unpair(keeper *k)
{
    assert_int_equal(pn_unpair(k->t->bob, &k->t->alice_key), PN_OK);
}

static void end_unpair_there(keeper *k)
{
    assert_int_equal(pn_unpair(k->t->alice, &k->t->bob_key), PN_OK);
}

static void end_ungrant(keeper *k)
{
    ungrant_alice(k->t, "keep");
}

static void end_ungrant_paired(keeper *k)
{
    assert_int_equal(pn_grant_paired(k->t->bob, "keep"), PN_OK);
    ungrant_alice(k->t, "keep");
    assert_true(pn_request_is_wanted(atomic_load(&k->kept)));
    assert_int_equal(pn_ungrant(k->t->bob, "keep", NULL), PN_OK);
}

static void end_revoke(keeper *k)
{
    assert_int_equal(pn_revoke(k->t->bob, "keep"), PN_OK);
}

static void end_replace(keeper *k)
{
    assert_int_equal(pn_expose(k->t->bob, "keep", on_ok, NULL, NULL), PN_OK);
}

static void end_ungrant_function(keeper *k)
{
    pn_principal alice = alice_of(k->t);

    assert_int_equal(
        pn_beam_dist_ungrant(k->table, ":led", "on", 1, &alice), PN_OK);
}

static void end_by_itself(keeper *k)
{
    (void)k;
}

typedef struct end_row {
    const char *name;
    void (*end)(keeper *k);
    pn_reason why;
    pn_err reply; /* of an answer that comes all the same */
    uint32_t timeout_ms;
    bool is_function;
} end_row;

static const end_row end_rows[] = {
    {"unpair", end_unpair, PN_REASON_UNPAIRED, PN_CLOSED, 0, false},
    {"link", end_unpair_there, PN_REASON_PEER_CLOSED, PN_CLOSED, 0, false},
    {"ungrant", end_ungrant, PN_REASON_FORBIDDEN, PN_STATE, 0, false},
    {"ungrant_paired", end_ungrant_paired, PN_REASON_FORBIDDEN, PN_STATE, 0,
        false},
    {"revoke", end_revoke, PN_REASON_NO_SUCH_HANDLE, PN_STATE, 0, false},
    {"replace", end_replace, PN_REASON_NO_SUCH_HANDLE, PN_STATE, 0, false},
    {"expiry", end_by_itself, PN_REASON_HANDLER_TIMEOUT, PN_STATE, 100, false},
    {"function_unpair", end_unpair, PN_REASON_UNPAIRED, PN_CLOSED, 0, true},
    {"function_ungrant", end_ungrant_function, PN_REASON_FUNCTION_FORBIDDEN,
        PN_STATE, 0, true},
};

static bool is_expected(const end_row *row, const outcomes *o)
{
    switch ((int)row->why) {
    case PN_REASON_FORBIDDEN:
    case PN_REASON_FUNCTION_FORBIDDEN:
        return atomic_load(&o->n_forbidden) == 1;
    case PN_REASON_NO_SUCH_HANDLE:
        return atomic_load(&o->n_no_such_handle) == 1;
    case PN_REASON_HANDLER_TIMEOUT:
        return atomic_load(&o->n_timeout) == 1;
    default:
        return atomic_load(&o->n_closed) == 1;
    }
}

/* The caller gets one answer, the application one callback, and a late answer
 * is not sent. */
static void test_deferred_ends(void **state)
{
    const end_row *row = *state;
    outcomes o = {.n_wanted = 1};
    keeper k;
    two_nodes t;
    pn_request *kept;

    keeper_open(&k, &t, PN_EXPOSE_INLINE, row->timeout_ms);
    if (row->is_function) {
        call_function(&t, &o);
    } else {
        call_async(&t, "keep", &o);
    }
    two_nodes_wait(is_kept, &k);
    kept = atomic_load(&k.kept);
    assert_int_equal(pn_request_on_cancel(kept, on_cancelled, &k), PN_OK);
    row->end(&k);
    two_nodes_wait(has_outcomes, &o);
    assert_true(is_expected(row, &o));
    two_nodes_wait(is_cancelled, &k);
    assert_int_equal(atomic_load(&k.why), row->why);
    assert_false(pn_request_is_wanted(kept));
    assert_int_equal(pn_request_reply(kept, "ok"), row->reply);
    two_nodes_close(&t);
    assert_int_equal(atomic_load(&k.n_cancelled), 1);
    assert_int_equal(atomic_load(&o.n), 1);
}

/* on_cancel that is set after the end is still called, once. */
static void test_cancel_is_told_late(void **state)
{
    outcomes o = {.n_wanted = 1};
    keeper k;
    two_nodes t;
    pn_request *kept;

    (void)state;
    keeper_open(&k, &t, 0, 0);
    call_async(&t, "keep", &o);
    two_nodes_wait(is_kept, &k);
    kept = atomic_load(&k.kept);
    ungrant_alice(&t, "keep");
    /* A new grant does not make the request wanted again. */
    expose_to_alice(&t, "other", on_ok, NULL, 0, 0);
    assert_int_equal(pn_grant_paired(t.bob, "keep"), PN_OK);
    two_nodes_wait(has_outcomes, &o);
    assert_false(pn_request_is_wanted(kept));
    assert_int_equal(pn_request_on_cancel(kept, on_cancelled, &k), PN_OK);
    two_nodes_wait(is_cancelled, &k);
    assert_int_equal(atomic_load(&k.why), PN_REASON_FORBIDDEN);
    assert_int_equal(pn_request_on_cancel(kept, on_cancelled, &k), PN_STATE);
    pn_request_drop(kept);
    two_nodes_close(&t);
    assert_int_equal(atomic_load(&k.n_cancelled), 1);
}

static void test_answered_is_not_cancelled(void **state)
{
    outcomes o = {.n_wanted = 1};
    keeper k;
    two_nodes t;
    pn_request *kept;

    (void)state;
    kept = keep_call(&k, &t, &o);
    assert_int_equal(pn_request_reply(kept, "ok"), PN_OK);
    two_nodes_wait(has_outcomes, &o);
    assert_int_equal(atomic_load(&o.n_ok), 1);
    end_unpair(&k);
    two_nodes_close(&t);
    assert_int_equal(atomic_load(&k.n_cancelled), 0);
}

/* The callback for a node's end comes before it has closed; none comes
 * afterwards. */
static void test_cancel_at_close(void **state)
{
    outcomes o = {.n_wanted = 1};
    keeper k;
    two_nodes t;
    pn_request *kept;

    (void)state;
    kept = keep_call(&k, &t, &o);
    pn_node_close(t.bob);
    t.bob = NULL;
    assert_int_equal(atomic_load(&k.n_cancelled), 1);
    assert_int_equal(atomic_load(&k.why), PN_REASON_LOCAL_CLOSE);
    assert_false(pn_request_is_wanted(kept));
    assert_int_equal(pn_request_on_cancel(kept, on_cancelled, &k), PN_CLOSED);
    pn_request_drop(kept);
    two_nodes_close(&t);
}

static void drop_when_cancelled(void *user, pn_reason why)
{
    keeper *k = user;

    pn_request_drop(atomic_exchange(&k->kept, NULL));
    on_cancelled(user, why);
}

/* A send is cancelled as a call is, and may be dropped in the callback. */
static void test_deferred_send(void **state)
{
    keeper k;
    two_nodes t;

    (void)state;
    keeper_open(&k, &t, 0, 0);
    assert_int_equal(
        pn_send_term(t.alice, &t.bob_key, "keep", small_term()), PN_OK);
    two_nodes_wait(is_kept, &k);
    assert_int_equal(
        pn_request_on_cancel(atomic_load(&k.kept), drop_when_cancelled, &k),
        PN_OK);
    ungrant_alice(&t, "keep");
    two_nodes_wait(is_cancelled, &k);
    assert_int_equal(atomic_load(&k.why), PN_REASON_FORBIDDEN);
    pn_node_lock(t.bob);
    assert_int_equal(t.bob->requests.n_deferred, 0);
    assert_int_equal(t.bob->refs, 1);
    pn_node_unlock(t.bob);
    two_nodes_close(&t);
}

/* ---- deferring requests that are not wanted ----------------------------- */

static void before_unpair(two_nodes *t)
{
    assert_int_equal(pn_unpair(t->bob, &t->alice_key), PN_OK);
}

static void before_ungrant(two_nodes *t)
{
    ungrant_alice(t, "late");
}

static void before_revoke(two_nodes *t)
{
    assert_int_equal(pn_revoke(t->bob, "late"), PN_OK);
}

typedef struct defer_row {
    const char *name;
    void (*before)(two_nodes *t);
    pn_err err;
} defer_row;

static const defer_row defer_rows[] = {
    {"unpair", before_unpair, PN_CLOSED},
    {"ungrant", before_ungrant, PN_DENIED},
    {"revoke", before_revoke, PN_DENIED},
};

static void on_late(pn_request *req, pn_term args, void *user)
{
    keeper *k = user;
    pn_request *kept = NULL;

    (void)args;
    k->before(k->t);
    assert_false(pn_request_is_wanted(req));
    k->err = pn_request_defer(req, &kept);
    if (k->err == PN_OK) {
        pn_request_drop(kept);
    }
    atomic_store(&k->is_over, true);
}

static bool is_over(void *user)
{
    return atomic_load(&((keeper *)user)->is_over);
}

static void test_defer_refused(void **state)
{
    const defer_row *row = *state;
    outcomes o = {.n_wanted = 1};
    keeper k = {.before = row->before};
    two_nodes t;

    two_nodes_open(&t, NULL);
    k.t = &t;
    expose_to_alice(&t, "late", on_late, &k, 0, 0);
    call_async(&t, "late", &o);
    two_nodes_wait(has_outcomes, &o);
    two_nodes_wait(is_over, &k);
    assert_int_equal(k.err, row->err);
    assert_int_equal(
        atomic_load(&o.n_forbidden), row->before == before_ungrant);
    two_nodes_close(&t);
}

/* ---- limits of deferred requests ----------------------------------------- */

enum { KEPT_PER_LINK = 64 }; /* the default */

typedef struct hoard {
    pthread_mutex_t lock;
    pn_request *kept[KEPT_PER_LINK + 8];
    int n_kept;
    int n_busy;
    int n_wanted;
} hoard;

static void on_hoard(pn_request *req, pn_term args, void *user)
{
    hoard *h = user;
    pn_request *kept = NULL;
    pn_err err = pn_request_defer(req, &kept);

    (void)args;
    (void)pthread_mutex_lock(&h->lock);
    if (err == PN_OK) {
        h->kept[h->n_kept++] = kept;
    } else {
        assert_int_equal(err, PN_BUSY);
        h->n_busy++;
    }
    (void)pthread_mutex_unlock(&h->lock);
    if (err != PN_OK) {
        (void)pn_request_fail(req, "busy");
    }
}

static bool hoard_is_full(void *user)
{
    hoard *h = user;
    bool is_full;

    (void)pthread_mutex_lock(&h->lock);
    is_full = h->n_kept + h->n_busy >= h->n_wanted;
    (void)pthread_mutex_unlock(&h->lock);
    return is_full;
}

static void hoard_drop(hoard *h)
{
    while (h->n_kept > 0) {
        pn_request_drop(h->kept[--h->n_kept]);
    }
}

/* One more node, which bob has paired and which dials him. */
static pn_node *open_carol(two_nodes *t, const char *dir)
{
    pn_node_options opt;
    pn_node *carol = NULL;
    char address[32];

    two_nodes_options(&opt);
    opt.data_dir = dir;
    assert_int_equal(pn_node_open(&opt, &carol, NULL), PN_OK);
    assert_int_equal(pn_pair(t->bob, pn_node_key(carol), "carol"), PN_OK);
    node_address(t->bob, address);
    assert_int_equal(pn_pair_at(carol, &t->bob_key, "bob", address), PN_OK);
    assert_int_equal(pn_wait_connected(carol, &t->bob_key, 10000, NULL), PN_OK);
    return carol;
}

/* One peer has all that a link may keep, and another is served all the same. */
static void test_kept_per_link(void **state)
{
    hoard h = {
        .lock = PTHREAD_MUTEX_INITIALIZER, .n_wanted = KEPT_PER_LINK + 2};
    outcomes o = {.n_wanted = 2};
    outcomes o_carol = {.n_wanted = 1};
    pn_expose_options opt;
    pn_node *carol;
    char dir[64];
    two_nodes t;

    (void)state;
    make_dir(dir);
    two_nodes_open(&t, NULL);
    carol = open_carol(&t, dir);
    pn_expose_options_init(&opt);
    opt.flags = PN_EXPOSE_INLINE;
    assert_int_equal(pn_expose(t.bob, "hoard", on_hoard, &h, &opt), PN_OK);
    for (int i = 0; i < KEPT_PER_LINK + 2; i++) {
        call_async(&t, "hoard", &o);
    }
    two_nodes_wait(hoard_is_full, &h);
    two_nodes_wait(has_outcomes, &o);
    assert_int_equal(h.n_kept, KEPT_PER_LINK);
    assert_int_equal(h.n_busy, 2);
    h.n_wanted++;
    assert_int_equal(pn_call_async(carol, &t.bob_key, "hoard", 20000,
                         small_term(), on_outcome, &o_carol),
        PN_OK);
    two_nodes_wait(hoard_is_full, &h);
    assert_int_equal(h.n_kept, KEPT_PER_LINK + 1);
    /* An answer makes room. */
    assert_int_equal(pn_request_reply(h.kept[--h.n_kept], "ok"), PN_OK);
    assert_int_equal(pn_request_reply(h.kept[--h.n_kept], "ok"), PN_OK);
    two_nodes_wait(has_outcomes, &o_carol);
    assert_int_equal(atomic_load(&o_carol.n_ok), 1);
    h.n_wanted = KEPT_PER_LINK + 2; /* with those that were busy */
    call_async(&t, "hoard", &o);
    two_nodes_wait(hoard_is_full, &h);
    assert_int_equal(h.n_kept, KEPT_PER_LINK);
    hoard_drop(&h);
    pn_node_close(carol);
    remove_dir(dir);
    two_nodes_close(&t);
}

static void one_kept(pn_node_options *opt, bool is_alice)
{
    (void)is_alice;
    opt->max_deferred_per_link = 1;
    opt->max_deferred = 1;
}

/* A time-out makes room too, whether the application drops the request or
 * not. */
static void test_expiry_makes_room(void **state)
{
    hoard h = {.lock = PTHREAD_MUTEX_INITIALIZER, .n_wanted = 2};
    outcomes o = {.n_wanted = 1};
    two_nodes t;

    (void)state;
    two_nodes_open(&t, one_kept);
    expose_to_alice(&t, "hoard", on_hoard, &h, 0, 100);
    call_async(&t, "hoard", &o);
    two_nodes_wait(has_outcomes, &o);
    assert_int_equal(atomic_load(&o.n_timeout), 1);
    call_async(&t, "hoard", &o);
    two_nodes_wait(hoard_is_full, &h);
    assert_int_equal(h.n_kept, 2);
    hoard_drop(&h);
    two_nodes_close(&t);
}

/* ---- a grant ends with its peer ------------------------------------------ */

static void assert_reason(
    two_nodes *t, const char *handle, const char *args, const char *want)
{
    pn_reply *reply = NULL;
    char *text = NULL;
    size_t len = 0;
    pn_term_writer w;
    pn_term term;

    pn_term_writer_init(&w, 0);
    pn_term_write_format(&w, args);
    assert_int_equal(pn_term_writer_finish(&w, NULL, &term), PN_OK);
    (void)!pn_call_term(t->alice, &t->bob_key, handle, 10000, term, &reply);
    pn_term_writer_free(&w);
    assert_non_null(reply);
    assert_int_equal(pn_term_to_text(pn_reply_term(reply), &text, &len), PN_OK);
    assert_string_equal(text, want);
    free(text);
    pn_reply_free(reply);
}

static void pair_again(two_nodes *t)
{
    assert_int_equal(pn_unpair(t->bob, &t->alice_key), PN_OK);
    assert_int_equal(pn_pair(t->bob, &t->alice_key, "alice"), PN_OK);
}

/* Another process does both, and bob looks at the file once. */
static void pair_again_on_disk(two_nodes *t)
{
    pn_store *store = NULL;

    (void)pthread_mutex_lock(&pn_full(t->bob)->trust.lock);
    assert_int_equal(pn_store_open(t->bob_dir, &store, NULL, NULL), PN_OK);
    assert_int_equal(pn_store_unpair(store, &t->alice_key, NULL), PN_OK);
    assert_int_equal(
        pn_store_pair(store, &t->alice_key, "alice", NULL, NULL), PN_OK);
    pn_store_close(store);
    (void)pthread_mutex_unlock(&pn_full(t->bob)->trust.lock);
    pn_node_lock(t->bob);
    pn_full(t->bob)->trust.is_reload_due = true;
    pn_node_wake(t->bob);
    pn_node_unlock(t->bob);
    two_nodes_wait_event(t, PN_EVENT_TRUST_CHANGED, 4);
}

/* How bob unpairs alice, and pairs her key again. */
static void (*const again[])(two_nodes *t) = {pair_again, pair_again_on_disk};

static void test_grant_ends_with_its_peer(void **state)
{
    void (*const *how)(two_nodes * t) = *state;
    pn_beam_dist *table;
    pn_principal alice;
    two_nodes t;

    two_nodes_open(&t, NULL);
    alice = alice_of(&t);
    expose_to_alice(&t, "echo", on_ok, NULL, 0, 0);
    assert_int_equal(pn_beam_dist_serve(t.bob, NULL, NULL, &table), PN_OK);
    assert_int_equal(
        pn_beam_dist_export(table, ":led", "on", 1, on_ok, NULL), PN_OK);
    assert_int_equal(pn_beam_dist_grant(table, ":led", "on", 1, &alice), PN_OK);
    assert_reason(&t, "echo", "1", ":ok");
    assert_reason(&t, PN_BEAM_DIST_HANDLE, "{rpc, led, on, [1]}", ":ok");
    (*how)(&t);
    two_nodes_wait(two_nodes_are_apart, &t);
    (void)!pn_connect(t.alice, &t.bob_key, NULL);
    two_nodes_wait(two_nodes_are_linked, &t);
    assert_reason(&t, "echo", "1", ":forbidden");
    assert_reason(&t, PN_BEAM_DIST_HANDLE, "{rpc, led, on, [1]}",
        "{:forbidden, {:led, :on, 1}}");
    /* Granting it again counts. */
    assert_int_equal(pn_grant(t.bob, "echo", &alice), PN_OK);
    assert_reason(&t, "echo", "1", ":ok");
    two_nodes_close(&t);
}

/* A grant may be given before its key is paired; unpairing the key ends it,
 * paired or not. */
static void test_grant_before_pairing(void **state)
{
    pn_public_key stranger = {{7, 7, 7}};
    pn_principal who = pn_peernet_principal(&stranger);
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    assert_int_equal(pn_expose(t.bob, "echo", on_ok, NULL, NULL), PN_OK);
    assert_int_equal(pn_grant(t.bob, "echo", &who), PN_OK);
    assert_int_equal(pn_pair(t.bob, &stranger, NULL), PN_OK);
    assert_int_equal(pn_unpair(t.bob, &stranger), PN_OK);
    assert_int_equal(pn_ungrant(t.bob, "echo", &who), PN_NOT_FOUND);
    assert_int_equal(pn_grant(t.bob, "echo", &who), PN_OK);
    assert_int_equal(pn_unpair(t.bob, &stranger), PN_NOT_FOUND);
    assert_int_equal(pn_ungrant(t.bob, "echo", &who), PN_NOT_FOUND);
    two_nodes_close(&t);
}

int main(void)
{
    static unsigned in_order = 0;
    static unsigned is_concurrent = PN_EXPOSE_CONCURRENT;
    static unsigned is_inline = PN_EXPOSE_INLINE;

    pn_test_add("node/t25/ungrant_reaches_the_queue",
        test_ungrant_reaches_what_waits, &in_order);
    pn_test_add("node/t25/ungrant_reaches_the_workers",
        test_ungrant_reaches_what_waits, &is_concurrent);
    pn_test_add("node/t25/unpair_stops_what_waits_for_a_worker",
        test_unpair_stops_what_waits_for_a_worker, NULL);
    pn_test_add(
        "node/t25/expired_does_not_start", test_expired_does_not_start, NULL);
    pn_test_add("node/t25/ungrant_while_asked/worker", test_ungrant_while_asked,
        &in_order);
    pn_test_add("node/t25/ungrant_while_asked/inline", test_ungrant_while_asked,
        &is_inline);
    for (size_t i = 0; i < sizeof(end_rows) / sizeof(end_rows[0]); i++) {
        pn_test_addf(test_deferred_ends, (void *)(uintptr_t)&end_rows[i],
            "node/t25/deferred/%s", end_rows[i].name);
    }
    pn_test_add("node/t25/cancel_is_told_late", test_cancel_is_told_late, NULL);
    pn_test_add("node/t25/answered_is_not_cancelled",
        test_answered_is_not_cancelled, NULL);
    pn_test_add("node/t25/cancel_at_close", test_cancel_at_close, NULL);
    pn_test_add("node/t25/deferred_send", test_deferred_send, NULL);
    for (size_t i = 0; i < sizeof(defer_rows) / sizeof(defer_rows[0]); i++) {
        pn_test_addf(test_defer_refused, (void *)(uintptr_t)&defer_rows[i],
            "node/t25/defer_refused/%s", defer_rows[i].name);
    }
    pn_test_add("node/t12/kept_per_link", test_kept_per_link, NULL);
    pn_test_add("node/t12/expiry_makes_room", test_expiry_makes_room, NULL);
    pn_test_add("node/t25/grant_ends_with_its_peer",
        test_grant_ends_with_its_peer, (void *)(uintptr_t)&again[0]);
    pn_test_add("node/t25/grant_ends_on_disk", test_grant_ends_with_its_peer,
        (void *)(uintptr_t)&again[1]);
    pn_test_add(
        "node/t25/grant_before_pairing", test_grant_before_pairing, NULL);
    return pn_test_run("node/wanted");
}

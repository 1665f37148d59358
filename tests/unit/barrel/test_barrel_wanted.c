/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deferred calls of the cluster whose node, grant or pin is gone (T25).
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "nomem.h"
#include "two_barrels.h"

typedef struct keeper {
    two_barrels t;
    pn_principal alice;
    _Atomic(pn_request *) kept;
    atomic_int n_cancelled;
    atomic_int why;
    atomic_int n_outcomes;
    atomic_int n_forbidden;
    atomic_int n_closed;
} keeper;

static void wait_for(const atomic_int *counter)
{
    struct timespec pause = {.tv_nsec = 2000000};

    for (int i = 0; i < 5000 && atomic_load(counter) == 0; i++) {
        (void)nanosleep(&pause, NULL);
    }
    assert_int_equal(atomic_load(counter), 1);
}

static pn_request *wait_for_kept(keeper *k)
{
    struct timespec pause = {.tv_nsec = 2000000};

    for (int i = 0; i < 5000 && atomic_load(&k->kept) == NULL; i++) {
        (void)nanosleep(&pause, NULL);
    }
    assert_non_null(atomic_load(&k->kept));
    return atomic_load(&k->kept);
}

static void on_cancelled(void *user, pn_reason why)
{
    keeper *k = user;

    atomic_store(&k->why, (int)why);
    atomic_fetch_add(&k->n_cancelled, 1);
}

static void on_keep(pn_request *req, pn_term args, void *user)
{
    keeper *k = user;
    pn_request *kept = NULL;

    (void)args;
    assert_int_equal(pn_request_defer(req, &kept), PN_OK);
    assert_true(pn_request_is_wanted(kept));
    assert_int_equal(pn_request_on_cancel(kept, on_cancelled, k), PN_OK);
    atomic_store(&k->kept, kept);
}

static void on_outcome(void *user, pn_err outcome, pn_term value)
{
    keeper *k = user;
    bool is_forbidden = pn_term_match(value, "{error, forbidden}")
                        || pn_term_match(value, "{'EXIT', forbidden}")
                        || pn_term_match(value, "{'EXIT', {forbidden, _}}");

    atomic_fetch_add(&k->n_forbidden, is_forbidden);
    atomic_fetch_add(&k->n_closed, outcome == PN_CLOSED);
    atomic_fetch_add(&k->n_outcomes, 1);
}

static pn_term small_term(void)
{
    static const uint8_t list[] = {107, 0, 1, 7}; /* [7] */

    return (pn_term){list, sizeof(list)};
}

static void keeper_open(keeper *k)
{
    pn_expose_options closed;

    memset(k, 0, sizeof(*k));
    two_barrels_connected(&k->t, NULL);
    k->alice = pn_barrel_principal(&k->t.alice_key);
    pn_expose_options_init(&closed);
    closed.flags = PN_EXPOSE_CLOSED | PN_EXPOSE_INLINE;
    assert_int_equal(
        pn_expose(k->t.bob_node, "keep", on_keep, k, &closed), PN_OK);
    assert_int_equal(pn_grant(k->t.bob_node, "keep", &k->alice), PN_OK);
    assert_int_equal(
        pn_beam_dist_export(k->t.table, ":led", "on", 1, on_keep, k), PN_OK);
    assert_int_equal(
        pn_beam_dist_grant(k->t.table, ":led", "on", 1, &k->alice), PN_OK);
}

static void call_keep(keeper *k, bool is_function)
{
    pn_err err = is_function ? pn_rpc_async(k->t.alice, BOB, ":led", "on",
                     small_term(), 20000, on_outcome, k)
                             : pn_gen_call_async(k->t.alice, BOB, "keep",
                                 small_term(), 20000, on_outcome, k);

    assert_int_equal(err, PN_OK);
}

static void end_unpin(keeper *k)
{
    assert_int_equal(pn_barrel_unpin(k->t.bob, ALICE), PN_OK);
}

static void end_link(keeper *k)
{
    assert_int_equal(pn_barrel_disconnect(k->t.alice, BOB), PN_OK);
}

static void end_ungrant(keeper *k)
{
    assert_int_equal(pn_ungrant(k->t.bob_node, "keep", &k->alice), PN_OK);
}

static void end_ungrant_function(keeper *k)
{
    assert_int_equal(
        pn_beam_dist_ungrant(k->t.table, ":led", "on", 1, &k->alice), PN_OK);
}

typedef struct end_row {
    const char *name;
    void (*end)(keeper *k);
    pn_reason why;
    bool is_function;
} end_row;

static const end_row end_rows[] = {
    {"unpin", end_unpin, PN_REASON_UNPAIRED, false},
    {"link", end_link, PN_REASON_PEER_CLOSED, false},
    {"ungrant", end_ungrant, PN_REASON_FORBIDDEN, false},
    {"function_unpin", end_unpin, PN_REASON_UNPAIRED, true},
    {"function_ungrant", end_ungrant_function, PN_REASON_FUNCTION_FORBIDDEN,
        true},
};

static void test_deferred_ends(void **state)
{
    const end_row *row = *state;
    bool is_link = row->why == PN_REASON_UNPAIRED
                   || row->why == PN_REASON_PEER_CLOSED;
    pn_request *kept;
    keeper k;

    keeper_open(&k);
    call_keep(&k, row->is_function);
    kept = wait_for_kept(&k);
    row->end(&k);
    wait_for(&k.n_cancelled);
    assert_int_equal(atomic_load(&k.why), row->why);
    assert_false(pn_request_is_wanted(kept));
    assert_int_equal(
        pn_request_reply(kept, "ok"), is_link ? PN_CLOSED : PN_STATE);
    wait_for(&k.n_outcomes);
    assert_int_equal(atomic_load(&k.n_closed), is_link);
    assert_int_equal(atomic_load(&k.n_forbidden), !is_link);
    two_barrels_fini(&k.t);
    assert_int_equal(atomic_load(&k.n_cancelled), 1);
}

/* ---- a grant ends with its pin ------------------------------------------ */

static void pin_at_bob(two_barrels *t, const char *name)
{
    pn_barrel_store *store = NULL;

    assert_int_equal(pn_barrel_store_open(two_barrels_path(t, false, "keys"),
                         &store, NULL, NULL),
        PN_OK);
    assert_int_equal(
        pn_barrel_store_pin(store, name, &t->alice_key, NULL), PN_OK);
    pn_barrel_store_close(store);
}

static void unpin_by_call(two_barrels *t, const char *name)
{
    assert_int_equal(pn_barrel_unpin(t->bob, name), PN_OK);
}

static void unpin_by_file(two_barrels *t, const char *name)
{
    char path[160];

    (void)snprintf(path, sizeof(path), "%s/%s.pub",
        two_barrels_path(t, false, "keys/trusted"), name);
    assert_int_equal(unlink(path), 0);
}

static void wait_for_pin(two_barrels *t, const char *name, pn_err want)
{
    struct timespec pause = {.tv_nsec = 2000000};
    pn_ed25519_key key;

    for (int i = 0; i < 5000 && pn_barrel_pinned(t->bob, name, &key) != want;
         i++) {
        (void)nanosleep(&pause, NULL);
    }
    assert_int_equal(pn_barrel_pinned(t->bob, name, &key), want);
}

static void wait_for_no_link(two_barrels *t)
{
    struct timespec pause = {.tv_nsec = 2000000};
    pn_barrel_node_info *nodes = NULL;
    size_t n = 1;

    for (int i = 0; i < 5000 && n > 0; i++) {
        (void)nanosleep(&pause, NULL);
        assert_int_equal(pn_barrel_nodes(t->bob, &nodes, &n), PN_OK);
        free(nodes);
    }
    assert_int_equal(n, 0);
}

static void assert_forbidden(two_barrels *t, bool is_forbidden)
{
    pn_reply *reply = NULL;
    pn_err err = pn_gen_call(
        t->alice, BOB, "echo", small_term(), 10000, &reply);

    assert_int_equal(err, PN_OK);
    assert_int_equal(pn_term_match(pn_reply_term(reply), "{error, forbidden}"),
        is_forbidden);
    pn_reply_free(reply);
    err = pn_rpc(t->alice, BOB, ":led", "two", small_term(), 10000, &reply);
    assert_int_equal(err, is_forbidden ? PN_REMOTE : PN_OK);
    pn_reply_free(reply);
}

static void on_two(pn_request *req, pn_term args, void *user)
{
    (void)args;
    (void)user;
    (void)pn_request_reply(req, "~i", 2);
}

static void (*const unpins[])(two_barrels *t, const char *name) = {
    unpin_by_call, unpin_by_file};

static void test_grant_ends_with_its_pin(void **state)
{
    void (*const *unpin)(two_barrels * t, const char *name) = *state;
    pn_why why = {0};
    pn_principal alice;
    two_barrels t;

    two_barrels_connected(&t, NULL);
    alice = pn_barrel_principal(&t.alice_key);
    assert_int_equal(
        pn_beam_dist_export(t.table, ":led", "two", 1, on_two, NULL), PN_OK);
    assert_int_equal(
        pn_beam_dist_grant(t.table, ":led", "two", 1, &alice), PN_OK);
    assert_forbidden(&t, false);
    /* The key is pinned as long as one pin names it. */
    pin_at_bob(&t, "second@127.0.0.1");
    wait_for_pin(&t, "second@127.0.0.1", PN_OK);
    (*unpin)(&t, "second@127.0.0.1");
    wait_for_pin(&t, "second@127.0.0.1", PN_NOT_FOUND);
    assert_forbidden(&t, false);
    (*unpin)(&t, ALICE);
    two_barrels_wait(&t, &t.n_down, 2);
    wait_for_pin(&t, ALICE, PN_NOT_FOUND);
    pin_at_bob(&t, ALICE);
    wait_for_pin(&t, ALICE, PN_OK);
    if (pn_barrel_connect(t.alice, BOB, 10000, &why) != PN_OK) {
        fail_msg("connect: %s", why.text);
    }
    /* The table's handle is closed to those who have no grant, as well. */
    assert_int_equal(pn_grant(t.bob_node, PN_BEAM_DIST_HANDLE, &alice), PN_OK);
    assert_forbidden(&t, true);
    assert_int_equal(pn_grant(t.bob_node, "echo", &alice), PN_OK);
    assert_int_equal(
        pn_beam_dist_grant(t.table, ":led", "two", 1, &alice), PN_OK);
    assert_forbidden(&t, false);
    two_barrels_fini(&t);
}

/* The nth allocation of an unpinning fails, and maybe all that follow: the
 * grant does not come back with the pin. False: it has fewer. */
static bool unpin_without_memory(void (*begin)(unsigned nth), unsigned n)
{
    pn_principal alice;
    bool has_failed;
    two_barrels t;
    pn_err err;

    two_barrels_connected(&t, NULL);
    alice = pn_barrel_principal(&t.alice_key);
    begin(n);
    err = pn_barrel_unpin(t.bob, ALICE);
    has_failed = pn_nomem_end();
    assert_true(err == PN_OK || has_failed);
    wait_for_no_link(&t);
    wait_for_pin(&t, ALICE, PN_NOT_FOUND);
    pin_at_bob(&t, ALICE);
    wait_for_pin(&t, ALICE, PN_OK);
    assert_int_equal(pn_ungrant(t.bob_node, "echo", &alice), PN_NOT_FOUND);
    assert_int_equal(
        pn_beam_dist_ungrant(t.table, ":calc", "add", 2, &alice), PN_NOT_FOUND);
    two_barrels_fini(&t);
    return has_failed;
}

static void (*const shortages[])(unsigned nth) = {
    pn_nomem_begin, pn_nomem_begin_all};

static void test_grant_ends_without_memory(void **state)
{
    void (*const *begin)(unsigned nth) = *state;
    unsigned n = 1;

    while (unpin_without_memory(*begin, n)) {
        n++;
    }
    assert_true(n > 1);
}

int main(void)
{
    for (size_t i = 0; i < sizeof(end_rows) / sizeof(end_rows[0]); i++) {
        pn_test_addf(test_deferred_ends, (void *)(uintptr_t)&end_rows[i],
            "barrel/t25/deferred/%s", end_rows[i].name);
    }
    pn_test_add("barrel/t25/grant_ends_with_its_pin",
        test_grant_ends_with_its_pin, (void *)(uintptr_t)&unpins[0]);
    pn_test_add("barrel/t25/grant_ends_with_its_file",
        test_grant_ends_with_its_pin, (void *)(uintptr_t)&unpins[1]);
    pn_test_add("barrel/t25/grant_ends_without_one_allocation",
        test_grant_ends_without_memory, (void *)(uintptr_t)&shortages[0]);
    pn_test_add("barrel/t25/grant_ends_without_memory",
        test_grant_ends_without_memory, (void *)(uintptr_t)&shortages[1]);
    return pn_test_run("barrel/wanted");
}

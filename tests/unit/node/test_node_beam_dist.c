/* SPDX-License-Identifier: Apache-2.0 */
/* BeamDist between two C nodes: exports, grants per function, its answers. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "two_nodes.h"

static atomic_int n_sets;
static atomic_int last_was_call;
static char logged[256];
static pn_log_level logged_level;
static atomic_int n_logged;

static void on_add(pn_request *req, pn_term args, void *user)
{
    int a;
    int b;

    (void)user;
    if (!pn_term_match(args, "[~i, ~i]", &a, &b)) {
        (void)pn_request_fail(req, "badarg");
        return;
    }
    (void)pn_request_reply(req, "~i", a + b);
}

static void on_set(pn_request *req, pn_term args, void *user)
{
    (void)args;
    (void)user;
    atomic_store(&last_was_call, pn_request_is_call(req));
    atomic_fetch_add(&n_sets, 1);
    (void)pn_request_reply(req, "done");
}

static void on_log(void *user, const pn_log_event *event)
{
    (void)user;
    if (strstr(event->what, "peer ") != NULL) {
        (void)snprintf(logged, sizeof(logged), "%s", event->text);
        logged_level = event->level;
        atomic_fetch_add(&n_logged, 1);
    }
}

static void with_log(pn_node_options *opt, bool is_alice)
{
    if (!is_alice) {
        opt->on_log = on_log;
    }
}

/* Bob serves MyApp.Led.set/1 and :calc.add/2; nothing is granted. */
static pn_beam_dist *serve(two_nodes *t, const char *handle)
{
    pn_beam_dist *table = NULL;

    two_nodes_open(t, with_log);
    assert_int_equal(pn_beam_dist_serve(t->bob, handle, NULL, &table), PN_OK);
    assert_int_equal(
        pn_beam_dist_export(table, "MyApp.Led", "set", 1, on_set, NULL), PN_OK);
    assert_int_equal(
        pn_beam_dist_export(table, ":calc", "add", 2, on_add, NULL), PN_OK);
    return table;
}

static pn_term text_term(pn_term_writer *w, const char *text)
{
    pn_term term;

    pn_term_writer_init(w, 0);
    assert_int_equal(
        pn_term_from_text(w, text, strlen(text), NULL, NULL), PN_OK);
    assert_int_equal(pn_term_writer_finish(w, NULL, &term), PN_OK);
    return term;
}

static void assert_rpc(two_nodes *t, const char *handle, const char *module,
    const char *name, const char *args, pn_err want, const char *want_text)
{
    pn_term_writer w;
    pn_term term = text_term(&w, args);
    pn_reply *reply = NULL;
    char *text = NULL;
    size_t len = 0;
    pn_err err = pn_beam_dist_call(
        t->alice, &t->bob_key, handle, module, name, term, 5000, &reply);

    assert_string_equal(pn_err_name(err), pn_err_name(want));
    if (want_text != NULL) {
        assert_int_equal(
            pn_term_to_text(pn_reply_term(reply), &text, &len), PN_OK);
        assert_string_equal(text, want_text);
        free(text);
    }
    pn_reply_free(reply);
    pn_term_writer_free(&w);
}

static void test_beam_dist_needs_a_grant_each(void **state)
{
    pn_principal alice = {.family = PN_FAMILY_PEERNET};
    pn_beam_dist *table;
    two_nodes t;

    (void)state;
    table = serve(&t, NULL);
    alice.key = t.alice_key;
    assert_rpc(&t, NULL, ":calc", "add", "[1, 2]", PN_REMOTE,
        "{:forbidden, {:calc, :add, 2}}");
    assert_int_equal(
        pn_beam_dist_grant(table, ":calc", "add", 2, &alice), PN_OK);
    assert_rpc(&t, NULL, ":calc", "add", "[1, 2]", PN_OK, "3");
    /* The grant of one function opens no other. */
    assert_rpc(&t, NULL, "MyApp.Led", "set", "[true]", PN_REMOTE,
        "{:forbidden, {MyApp.Led, :set, 1}}");
    assert_int_equal(
        pn_beam_dist_ungrant(table, ":calc", "add", 2, &alice), PN_OK);
    assert_rpc(&t, NULL, ":calc", "add", "[1, 2]", PN_REMOTE,
        "{:forbidden, {:calc, :add, 2}}");
    assert_int_equal(pn_beam_dist_grant(table, ":calc", "add", 2, NULL), PN_OK);
    assert_rpc(&t, NULL, ":calc", "add", "[1, 2]", PN_OK, "3");
    assert_int_equal(
        pn_beam_dist_grant(table, ":calc", "sub", 2, NULL), PN_NOT_FOUND);
    two_nodes_close(&t);
}

static void test_beam_dist_not_exported(void **state)
{
    two_nodes t;

    (void)state;
    (void)serve(&t, NULL);
    assert_rpc(&t, NULL, ":calc", "add", "[1]", PN_REMOTE,
        "{:undef, {:calc, :add, 1}}");
    assert_rpc(&t, NULL, ":os", "cmd", "['id']", PN_REMOTE,
        "{:undef, {:os, :cmd, 1}}");
    two_nodes_close(&t);
}

static void test_beam_dist_other_handle(void **state)
{
    pn_beam_dist *table;
    two_nodes t;

    (void)state;
    table = serve(&t, "device");
    assert_int_equal(pn_beam_dist_grant(table, ":calc", "add", 2, NULL), PN_OK);
    assert_rpc(&t, "device", ":calc", "add", "[1, 2]", PN_OK, "3");
    assert_rpc(
        &t, NULL, ":calc", "add", "[1, 2]", PN_REMOTE, ":no_such_handle");
    two_nodes_close(&t);
}

static bool set_was_called(void *user)
{
    return atomic_load(&n_sets) >= *(int *)user;
}

/* A cast travels as a send; one that comes as a call is answered :ok at once,
 * and its reply goes nowhere. */
static void test_beam_dist_cast(void **state)
{
    pn_beam_dist *table;
    pn_term_writer w;
    pn_reply *reply = NULL;
    pn_term term;
    int want;
    two_nodes t;

    (void)state;
    atomic_store(&n_sets, 0);
    table = serve(&t, NULL);
    assert_int_equal(
        pn_beam_dist_grant(table, "MyApp.Led", "set", 1, NULL), PN_OK);
    term = text_term(&w, "[true]");
    assert_int_equal(
        pn_beam_dist_cast(t.alice, &t.bob_key, NULL, "MyApp.Led", "set", term),
        PN_OK);
    want = 1;
    two_nodes_wait(set_was_called, &want);
    assert_false(atomic_load(&last_was_call));
    pn_term_writer_free(&w);
    term = text_term(&w, "{:cast, MyApp.Led, :set, [true]}");
    assert_int_equal(
        pn_call_term(t.alice, &t.bob_key, "beam_admin", 5000, term, &reply),
        PN_OK);
    assert_true(pn_term_is_atom(pn_reply_term(reply), "ok"));
    want = 2;
    two_nodes_wait(set_was_called, &want);
    assert_false(atomic_load(&last_was_call));
    pn_reply_free(reply);
    pn_term_writer_free(&w);
    two_nodes_close(&t);
}

/* Anything else is answered with a value, as the originals do. */
static void test_beam_dist_unknown_operation(void **state)
{
    const char *args = *state;
    pn_term_writer w;
    pn_reply *reply = NULL;
    pn_term term;
    two_nodes t;

    (void)serve(&t, NULL);
    term = text_term(&w, args);
    assert_int_equal(
        pn_call_term(t.alice, &t.bob_key, "beam_admin", 5000, term, &reply),
        PN_OK);
    assert_true(
        pn_term_match(pn_reply_term(reply), "{error, unknown_beam_dist_op}"));
    pn_reply_free(reply);
    pn_term_writer_free(&w);
    two_nodes_close(&t);
}

static bool was_logged(void *user)
{
    (void)user;
    return atomic_load(&n_logged) > 0;
}

static void test_beam_dist_logger(void **state)
{
    pn_beam_dist *table;
    two_nodes t;

    (void)state;
    atomic_store(&n_logged, 0);
    table = serve(&t, NULL);
    assert_rpc(&t, NULL, "Logger", "error", "[\"x\"]", PN_REMOTE,
        "{:forbidden, {Logger, :error, 1}}");
    assert_int_equal(
        pn_beam_dist_grant(table, "Logger", "error", 1, NULL), PN_OK);
    assert_rpc(&t, NULL, "Logger", "error", "[\"hot\\e[2J\"]", PN_OK, ":ok");
    two_nodes_wait(was_logged, NULL);
    assert_string_equal(logged, "hot\\x1b[2J");
    assert_int_equal(logged_level, PN_LOG_ERROR);
    two_nodes_close(&t);
}

static void test_beam_dist_local_errors(void **state)
{
    pn_beam_dist *table;
    pn_term_writer w;
    pn_term term;
    two_nodes t;

    (void)state;
    table = serve(&t, NULL);
    assert_int_equal(
        pn_beam_dist_export(table, ":calc", "add", 2, on_add, NULL), PN_EXISTS);
    assert_int_equal(
        pn_beam_dist_export(table, "calc", "add", 2, on_add, NULL), PN_INVALID);
    assert_int_equal(
        pn_beam_dist_export(table, "", "add", 2, on_add, NULL), PN_INVALID);
    assert_int_equal(
        pn_beam_dist_export(table, ":calc", "", 2, on_add, NULL), PN_INVALID);
    assert_int_equal(
        pn_beam_dist_export(table, ":calc", "add", 255, on_add, NULL), PN_OK);
    assert_int_equal(
        pn_beam_dist_export(table, ":calc", "add", 256, on_add, NULL),
        PN_INVALID);
    term = text_term(&w, "{1, 2}");
    assert_int_equal(pn_beam_dist_call(t.alice, &t.bob_key, NULL, ":calc",
                         "add", term, 5000, NULL),
        PN_INVALID);
    pn_term_writer_free(&w);
    two_nodes_close(&t);
}

int main(void)
{
    static const char *const operations[] = {":ok", "{:bogus, :stuff}",
        "{:rpc, \"Enum\", :sum, [1]}", "{:rpc, Enum, :sum, 1}",
        "{:rpc, Enum, :sum}", "[]", "{:RPC, Enum, :sum, []}"};

    pn_test_add("node/beam_dist/needs_a_grant_each",
        test_beam_dist_needs_a_grant_each, NULL);
    pn_test_add(
        "node/beam_dist/not_exported", test_beam_dist_not_exported, NULL);
    pn_test_add(
        "node/beam_dist/other_handle", test_beam_dist_other_handle, NULL);
    pn_test_add("node/beam_dist/cast", test_beam_dist_cast, NULL);
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        pn_test_addf(test_beam_dist_unknown_operation,
            (void *)(uintptr_t)operations[i],
            "node/beam_dist/unknown_operation/%s", operations[i]);
    }
    pn_test_add("node/beam_dist/logger", test_beam_dist_logger, NULL);
    pn_test_add(
        "node/beam_dist/local_errors", test_beam_dist_local_errors, NULL);
    return pn_test_run("node/beam_dist");
}

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
    if (event->what >= PN_LOG_PEER_DEBUGS
        && event->what <= PN_LOG_PEER_REPORTS) {
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
    alice.key.x25519 = t.alice_key;
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

/* One entry: "NAME to WHO", WHO a fingerprint, "paired" or "nobody". */
static void assert_grant(const pn_grant_info *g, const char *want)
{
    char who[PN_FINGERPRINT_LEN + 1] = "nobody";
    char text[600];

    if (g->is_paired) {
        (void)snprintf(who, sizeof(who), "paired");
    } else if (pn_principal_has_key(&g->who)) {
        pn_principal_fingerprint(&g->who, who);
    }
    (void)snprintf(text, sizeof(text), "%s%s to %s", g->name,
        g->is_function ? " (function)" : "", who);
    assert_string_equal(text, want);
}

static void test_beam_dist_grants_are_listed(void **state)
{
    pn_principal alice = {.family = PN_FAMILY_PEERNET};
    char fingerprint[PN_FINGERPRINT_LEN + 1];
    char want[600];
    pn_grant_info *grants = NULL;
    pn_beam_dist *table;
    size_t n = 0;
    two_nodes t;

    (void)state;
    table = serve(&t, "fns");
    alice.key.x25519 = t.alice_key;
    pn_principal_fingerprint(&alice, fingerprint);
    assert_int_equal(
        pn_beam_dist_grant(table, ":calc", "add", 2, &alice), PN_OK);
    assert_int_equal(pn_list_grants(t.bob, &grants, &n), PN_OK);
    assert_true(n >= 3);
    assert_grant(&grants[0], "fns to paired");
    assert_grant(&grants[n - 2], "MyApp.Led.set/1 (function) to nobody");
    (void)snprintf(
        want, sizeof(want), ":calc.add/2 (function) to %s", fingerprint);
    assert_grant(&grants[n - 1], want);
    free(grants);
    /* A principal beside all paired peers is an entry of its own. */
    assert_int_equal(pn_grant(t.bob, "fns", &alice), PN_OK);
    assert_int_equal(pn_list_grants(t.bob, &grants, &n), PN_OK);
    assert_grant(&grants[0], "fns to paired");
    (void)snprintf(want, sizeof(want), "fns to %s", fingerprint);
    assert_grant(&grants[1], want);
    free(grants);
    two_nodes_close(&t);
}

static void test_beam_dist_not_exported(void **state)
{
    two_nodes t;

    (void)state;
    (void)serve(&t, NULL);
    assert_rpc(&t, NULL, ":calc", "add", "[1]", PN_REMOTE,
        "{:undef, [{:calc, :add, [1], []}]}");
    assert_rpc(&t, NULL, ":os", "cmd", "['id']", PN_REMOTE,
        "{:undef, [{:os, :cmd, [[105, 100]], []}]}");
    two_nodes_close(&t);
}

/* Calls os:cmd/1, which is not exported, with an argument of depth tuples; the
 * answer begins so. */
static void assert_undef(two_nodes *t, size_t depth, const char *want)
{
    char args[2 * 512 + 4] = "[";
    pn_term_writer w;
    pn_reply *reply = NULL;
    char *text = NULL;
    size_t len = 0;
    pn_term term;

    memset(args + 1, '{', depth);
    args[depth + 1] = '1';
    memset(args + depth + 2, '}', depth);
    (void)strcpy(args + 2 * depth + 2, "]");
    term = text_term(&w, args);
    assert_int_equal(pn_beam_dist_call(t->alice, &t->bob_key, NULL, ":os",
                         "cmd", term, 5000, &reply),
        PN_REMOTE);
    assert_int_equal(pn_term_to_text(pn_reply_term(reply), &text, &len), PN_OK);
    assert_memory_equal(text, want, strlen(want));
    free(text);
    pn_reply_free(reply);
    pn_term_writer_free(&w);
}

/* The answer is around the arguments of the call, with more levels than the
 * call had: what would not fit any more is their number instead. */
static void test_beam_dist_undef_near_the_depth_limit(void **state)
{
    static const struct {
        size_t depth;
        const char *answer;
    } rows[] = {
        {506, "{:undef, [{:os, :cmd, [{{"},
        {507, "{:undef, [{:os, :cmd, 1, []}]}"},
        {508, "{:undef, [{:os, :cmd, 1, []}]}"},
    };
    two_nodes t;

    (void)state;
    (void)serve(&t, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_undef(&t, rows[i].depth, rows[i].answer);
    }
    assert_int_equal(t.n_events[PN_EVENT_PEER_DOWN], 0);
    two_nodes_close(&t);
}

/* ---- reports of refusals
 * --------------------------------------------------- */

static void on_silent(pn_request *req, pn_term args, void *user)
{
    (void)req;
    (void)args;
    (void)user;
}

/* Keeps the request without answering. */
typedef struct keeper {
    pn_request *kept;
    atomic_bool has_kept;
} keeper;

static void on_keep(pn_request *req, pn_term args, void *user)
{
    keeper *k = user;

    (void)args;
    if (pn_request_defer(req, &k->kept) == PN_OK) {
        atomic_store(&k->has_kept, true);
    }
}

static bool has_kept(void *user)
{
    keeper *k = user;

    return atomic_load(&k->has_kept);
}

typedef struct denial_row {
    const char *name;
    pn_handler *handler;
    unsigned flags;
    uint32_t timeout_ms;
    uint32_t calls_per_second;
    bool is_granted;
    unsigned n_calls; /* the last is denied */
    pn_reason reason;
} denial_row;

static const denial_row denial_rows[] = {
    {"forbidden", on_add, 0, 0, 0, false, 1, PN_REASON_FUNCTION_FORBIDDEN},
    {"handle_forbidden", on_add, PN_EXPOSE_CLOSED, 0, 0, true, 1,
        PN_REASON_FORBIDDEN},
    {"rate", on_add, 0, 0, 1, true, 2, PN_REASON_RATE_LIMITED},
    {"timeout", on_gatepost, 0, 50, 0, true, 1, PN_REASON_HANDLER_TIMEOUT},
    {"deferred_timeout", on_keep, 0, 50, 0, true, 1, PN_REASON_HANDLER_TIMEOUT},
    {"no_reply", on_silent, 0, 0, 0, true, 1, PN_REASON_NO_REPLY},
};

/* For every reason the report of a refused call of a function names the
 * function. */
static void test_beam_dist_denial_names_the_function(void **state)
{
    const denial_row *row = *state;
    gatepost gate = {.n_wanted = 1};
    keeper k = {0};
    void *user = row->handler == on_keep ? (void *)&k : (void *)&gate;
    pn_beam_dist *table = NULL;
    pn_expose_options opt;
    pn_term_writer w;
    pn_term args = text_term(&w, "[1, 2]");
    two_nodes t;

    two_nodes_open(&t, NULL);
    pn_expose_options_init(&opt);
    opt.flags |= row->flags;
    opt.timeout_ms = row->timeout_ms;
    opt.calls_per_second = row->calls_per_second;
    assert_int_equal(pn_beam_dist_serve(t.bob, NULL, &opt, &table), PN_OK);
    assert_int_equal(
        pn_beam_dist_export(table, "MyApp.Led", "set", 2, row->handler, user),
        PN_OK);
    if (row->is_granted) {
        assert_int_equal(
            pn_beam_dist_grant(table, "MyApp.Led", "set", 2, NULL), PN_OK);
    }
    for (unsigned i = 0; i < row->n_calls; i++) {
        assert_int_equal(pn_beam_dist_call(t.alice, &t.bob_key, NULL,
                             "MyApp.Led", "set", args, 20000, NULL),
            i + 1 == row->n_calls ? PN_REMOTE : PN_OK);
    }
    two_nodes_wait_event(&t, PN_EVENT_DENIED, 1);
    assert_string_equal(t.last_text, "MyApp.Led.set/2");
    assert_true(t.last_is_function);
    assert_string_equal(pn_reason_text(t.last_reason[PN_EVENT_DENIED]),
        pn_reason_text(row->reason));
    atomic_store(&gate.is_open, true);
    if (atomic_load(&k.has_kept)) {
        pn_request_drop(k.kept);
    }
    pn_term_writer_free(&w);
    two_nodes_close(&t);
}

/* One that is not there, one that is taken back while its caller waits, and
 * what is no function. */
static void test_beam_dist_denials_of_others(void **state)
{
    keeper k = {0};
    pn_beam_dist *table;
    pn_term_writer w;
    pn_term term = text_term(&w, "{:rpc, :calc, :keep, [1, 2, 3]}");
    two_nodes t;

    (void)state;
    table = serve(&t, NULL);
    assert_rpc(&t, NULL, ":os", "cmd", "['id']", PN_REMOTE,
        "{:undef, [{:os, :cmd, [[105, 100]], []}]}");
    two_nodes_wait_event(&t, PN_EVENT_DENIED, 1);
    assert_string_equal(t.last_text, ":os.cmd/1");
    assert_int_equal(
        pn_beam_dist_export(table, ":calc", "keep", 3, on_keep, &k), PN_OK);
    assert_int_equal(
        pn_beam_dist_grant(table, ":calc", "keep", 3, NULL), PN_OK);
    assert_int_equal(
        pn_send_term(t.alice, &t.bob_key, "beam_admin", term), PN_OK);
    two_nodes_wait(has_kept, &k);
    assert_int_equal(
        pn_beam_dist_ungrant(table, ":calc", "keep", 3, NULL), PN_OK);
    two_nodes_wait_event(&t, PN_EVENT_DENIED, 2);
    assert_string_equal(t.last_text, ":calc.keep/3");
    assert_int_equal(
        pn_call(t.alice, &t.bob_key, "nothing", 5000, NULL, "~i", 1),
        PN_REMOTE);
    two_nodes_wait_event(&t, PN_EVENT_DENIED, 3);
    assert_string_equal(t.last_text, "nothing");
    assert_false(t.last_is_function);
    pn_request_drop(k.kept);
    pn_term_writer_free(&w);
    two_nodes_close(&t);
}

/* An export replaces a built-in function, with its grants; once. */
static void test_beam_dist_replaces_builtin(void **state)
{
    pn_beam_dist *table;
    two_nodes t;

    (void)state;
    table = serve(&t, NULL);
    assert_int_equal(
        pn_beam_dist_grant(table, "Logger", "info", 1, NULL), PN_OK);
    assert_rpc(&t, NULL, "Logger", "info", "[true]", PN_OK, ":ok");
    assert_int_equal(
        pn_beam_dist_export(table, "Logger", "info", 1, on_add, NULL), PN_OK);
    assert_rpc(&t, NULL, "Logger", "info", "[true]", PN_REMOTE,
        "{:forbidden, {Logger, :info, 1}}");
    assert_int_equal(
        pn_beam_dist_grant(table, "Logger", "info", 1, NULL), PN_OK);
    assert_rpc(&t, NULL, "Logger", "info", "[true]", PN_REMOTE, ":badarg");
    assert_int_equal(
        pn_beam_dist_export(table, "Logger", "info", 1, on_add, NULL),
        PN_EXISTS);
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
    pn_test_add("node/beam_dist/grants_are_listed",
        test_beam_dist_grants_are_listed, NULL);
    pn_test_add(
        "node/beam_dist/not_exported", test_beam_dist_not_exported, NULL);
    pn_test_add("node/beam_dist/undef_near_the_depth_limit",
        test_beam_dist_undef_near_the_depth_limit, NULL);
    for (size_t i = 0; i < sizeof(denial_rows) / sizeof(denial_rows[0]); i++) {
        pn_test_addf(test_beam_dist_denial_names_the_function,
            (void *)(uintptr_t)&denial_rows[i],
            "node/beam_dist/denial_names_the_function/%s", denial_rows[i].name);
    }
    pn_test_add("node/beam_dist/denials_of_others",
        test_beam_dist_denials_of_others, NULL);
    pn_test_add("node/beam_dist/replaces_builtin",
        test_beam_dist_replaces_builtin, NULL);
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

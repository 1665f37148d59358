/* SPDX-License-Identifier: Apache-2.0 */
/* The limits of a Barrel link: sizes, depth, queues, calls and links. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dist/signal.h"
#include "term/writer_internal.h"
#include "two_barrels.h"

/* ---- sizes ------------------------------------------------------ */

static void test_large(void **state)
{
    two_barrels t;
    pn_term_writer w;
    pn_term term = zeros_term(&w, (size_t)3 * 1024 * 1024);
    pn_reply *reply = NULL;

    (void)state;
    two_barrels_connected(&t, NULL);
    assert_int_equal(
        pn_gen_call(t.alice, BOB, "echo", term, 20000, &reply), PN_OK);
    assert_true(pn_term_equal(pn_reply_term(reply), term));
    pn_reply_free(reply);
    pn_term_writer_free(&w);
    two_barrels_fini(&t);
}

static void on_zeros(pn_request *req, pn_term args, void *user)
{
    const size_t *len = user;
    pn_term_writer w;

    (void)args;
    (void)pn_request_reply_term(req, zeros_term(&w, *len));
    pn_term_writer_free(&w);
}

/* Bob answers alice's calls of name with *len zeros. */
static void expose_zeros(two_barrels *t, const char *name, const size_t *len)
{
    pn_principal alice = pn_barrel_principal(&t->alice_key);
    pn_expose_options opt;

    pn_expose_options_init(&opt);
    opt.flags = PN_EXPOSE_CLOSED | PN_EXPOSE_INLINE;
    assert_int_equal(
        pn_expose(t->bob_node, name, on_zeros, (void *)(uintptr_t)len, &opt),
        PN_OK);
    assert_int_equal(pn_grant(t->bob_node, name, &alice), PN_OK);
}

static void on_big_done(void *user, pn_err outcome, pn_term value)
{
    two_barrels *t = user;

    (void)value;
    (void)pthread_mutex_lock(&t->lock);
    /* An answer, or an error that the peer sent. */
    t->n_sent += outcome == PN_OK || outcome == PN_REMOTE ? 1 : 0;
    (void)pthread_mutex_unlock(&t->lock);
}

/* Six answers at once, each larger than the queue: those without room become
 * errors, and the link stays. */
static void test_large_answers(void **state)
{
    enum { N_ANSWERS = 6 };
    static const size_t len = (size_t)9 * 1024 * 1024;
    two_barrels t;
    pn_term_writer w;
    pn_term term;
    const char *text;

    (void)state;
    two_barrels_connected(&t, NULL);
    expose_zeros(&t, "big", &len);
    term = zeros_term(&w, 1);
    for (int i = 0; i < N_ANSWERS; i++) {
        assert_int_equal(pn_gen_call_async(
                             t.alice, BOB, "big", term, 20000, on_big_done, &t),
            PN_OK);
    }
    two_barrels_wait(&t, &t.n_sent, N_ANSWERS);
    pn_term_writer_free(&w);
    assert_int_equal(alice_call(&t, "echo", "x", 10000, &text), PN_OK);
    assert_int_equal(t.n_down, 0);
    two_barrels_fini(&t);
}

enum { SMALL_MAX = 32 * 1024, TOO_MUCH = 64 * 1024, FAR_TOO_MUCH = 200000 };

static void bob_takes_little(pn_barrel_options *options, bool is_alice)
{
    if (!is_alice) {
        options->max_message_bytes = SMALL_MAX;
        options->max_drained_bytes = 2 * TOO_MUCH;
    }
}

static pn_err call_with(two_barrels *t, size_t len, const char **ret_text)
{
    pn_reply *reply = NULL;
    pn_term_writer w;
    pn_err err = pn_gen_call(
        t->alice, BOB, "echo", zeros_term(&w, len), 10000, &reply);

    *ret_text = reply_text(reply);
    pn_term_writer_free(&w);
    return err;
}

static uint64_t n_too_large(pn_barrel *barrel)
{
    pn_barrel_metrics m;

    pn_barrel_get_metrics(barrel, &m);
    return m.messages_too_large;
}

/* The caller gets an error and the link goes on; a message that is far too
 * large ends it. */
static void test_too_large(void **state)
{
    two_barrels t;
    const char *text;

    (void)state;
    two_barrels_connected(&t, bob_takes_little);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(call_with(&t, TOO_MUCH, &text), PN_OK);
        assert_string_equal(text, "{:error, :system_limit}");
    }
    assert_int_equal(n_too_large(t.bob), 5);
    assert_int_equal(alice_call(&t, "echo", "x", 10000, &text), PN_OK);
    assert_string_equal(text, ":x");
    assert_int_equal(t.n_down, 0);
    assert_int_equal(call_with(&t, FAR_TOO_MUCH, &text), PN_CLOSED);
    two_barrels_wait(&t, &t.n_down, 2);
    assert_int_equal(n_too_large(t.bob), 5);
    assert_int_equal(t.n_drained_logs, 2); /* the others are counted */
    two_barrels_fini(&t);
}

static void alice_takes_little(pn_barrel_options *options, bool is_alice)
{
    bob_takes_little(options, !is_alice);
}

/* The caller of an answer that is too large gets an error; the link stays. */
static void test_answer_too_large(void **state)
{
    static const size_t len = TOO_MUCH;
    two_barrels t;
    const char *text;

    (void)state;
    two_barrels_connected(&t, alice_takes_little);
    expose_zeros(&t, "some", &len);
    assert_int_equal(alice_call(&t, "some", "x", 10000, &text), PN_TOO_LARGE);
    assert_int_equal(n_too_large(t.alice), 1);
    assert_int_equal(alice_call(&t, "echo", "x", 10000, &text), PN_OK);
    assert_int_equal(t.n_down, 0);
    two_barrels_fini(&t);
}

/* Empty tuples in tuples. */
static pn_term deep(pn_term_writer *w, unsigned depth)
{
    pn_term term = {0};

    pn_term_writer_init(w, 0);
    for (unsigned i = 0; i < depth; i++) {
        pn_term_write_tuple_begin(w);
    }
    for (unsigned i = 0; i < depth; i++) {
        pn_term_write_tuple_end(w);
    }
    assert_int_equal(pn_term_writer_finish(w, NULL, &term), PN_OK);
    return term;
}

/* Terms for handlers have the node's limits; the link goes on. The
 * innermost tuple is empty and holds no level. */
static void test_depth(void **state)
{
    two_barrels t;
    const char *text;

    (void)state;
    two_barrels_connected(&t, NULL);
    for (unsigned depth = 512; depth <= 514; depth++) {
        pn_term_writer w;
        pn_term term = deep(&w, depth);
        pn_reply *reply = NULL;

        assert_int_equal(
            pn_gen_call(t.alice, BOB, "echo", term, 10000, &reply), PN_OK);
        assert_int_equal(
            pn_term_equal(pn_reply_term(reply), term), depth <= 513);
        text = reply_text(reply);
        assert_true(depth <= 513 || strcmp(text, "{:error, :badarg}") == 0);
        pn_term_writer_free(&w);
    }
    two_barrels_fini(&t);
}

/* ---- limits ------------------------------------------------------------ */

/* The tag of a call is kept for the answer; the wire format does not limit its
 * size. */
static void test_kept(void **state)
{
    enum { KEPT_MAX = 1024, PID_LEN = 30, BINARY_HEAD = 5 };
    two_barrels t;

    (void)state;
    two_barrels_connected(&t, NULL);
    for (size_t len = KEPT_MAX - 1; len <= KEPT_MAX + 1; len++) {
        static const uint8_t zeros[KEPT_MAX];
        pn_dist_pid pid = {.id = 1, .creation = 4};
        pn_barrel_metrics before;
        pn_barrel_metrics after;
        const char *text;
        pn_term_writer w;
        pn_term term;
        pn_dist_room room;

        pn_barrel_get_metrics(t.bob, &before);
        pn_term_writer_init(&w, 0);
        pn_term_write_opaque_format(&w, "{'$gen_call', {~t, ~b}, x}",
            pn_dist_pid_term(&room, ALICE, &pid),
            (pn_slice){zeros, len - PID_LEN - BINARY_HEAD});
        assert_int_equal(pn_term_writer_finish(&w, NULL, &term), PN_OK);
        assert_int_equal(pn_barrel_send(t.alice, BOB, "echo", term), PN_OK);
        pn_term_writer_free(&w);
        assert_int_equal(alice_call(&t, "echo", "x", 10000, &text), PN_OK);
        pn_barrel_get_metrics(t.bob, &after);
        assert_int_equal(
            after.calls_in - before.calls_in, len <= KEPT_MAX ? 2 : 1);
    }
    two_barrels_fini(&t);
}

/* t NULL: whatever comes. */
static void on_flushed(void *user, pn_err outcome, pn_term value)
{
    two_barrels *t = user;

    if (t != NULL) {
        (void)pthread_mutex_lock(&t->lock);
        t->n_sent += outcome == PN_OK && value.len == 0 ? 1 : 0;
        (void)pthread_mutex_unlock(&t->lock);
    }
}

/* A node that does not read: sends fail, and at most max_output_bytes are kept.
 * A flush is queued behind them. */
static void test_output_full(void **state)
{
    two_barrels t;
    pn_term_writer w;
    pn_term term = zeros_term(&w, (size_t)512 * 1024);
    pn_err err = PN_OK;

    (void)state;
    two_barrels_connected(&t, NULL);
    for (int i = 0; i < 400 && err == PN_OK; i++) {
        err = pn_barrel_send(t.alice, BOB, "slow", term);
    }
    assert_int_equal(err, PN_BUSY);
    assert_int_equal(
        pn_barrel_flush_async(t.alice, BOB, 1000, on_flushed, NULL), PN_OK);
    pn_term_writer_free(&w);
    two_barrels_fini(&t);
}

/* More messages than the queue holds, to a slow handler: those that do not fit
 * are dropped, and the link goes on. */
static void test_burst(void **state)
{
    two_barrels t;
    pn_term_writer w;
    pn_term term = zeros_term(&w, 4000);
    const char *text;

    (void)state;
    two_barrels_connected(&t, NULL);
    for (int i = 0; i < 3000; i++) {
        pn_err err;

        while (
            (err = pn_barrel_send(t.alice, BOB, "steady", term)) == PN_BUSY) {
            (void)usleep(1000);
        }
        assert_int_equal(err, PN_OK);
    }
    assert_int_equal(
        pn_barrel_flush_async(t.alice, BOB, 20000, on_flushed, &t), PN_OK);
    two_barrels_wait(&t, &t.n_sent, 1);
    assert_int_equal(alice_call(&t, "echo", "x", 20000, &text), PN_OK);
    pn_term_writer_free(&w);
    two_barrels_fini(&t);
}

static void few_calls(pn_barrel_options *options, bool is_alice)
{
    (void)is_alice;
    options->max_calls = 2;
}

static void on_small_done(void *user, pn_err outcome, pn_term value)
{
    two_barrels *t = user;

    (void)value;
    (void)pthread_mutex_lock(&t->lock);
    t->n_sent += outcome == PN_OK;
    (void)pthread_mutex_unlock(&t->lock);
}

static void test_max_calls(void **state)
{
    two_barrels t;
    pn_term_writer w;
    pn_term term;

    (void)state;
    two_barrels_connected(&t, few_calls);
    term = zeros_term(&w, 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pn_gen_call_async(t.alice, BOB, "slow", term, 10000,
                             on_small_done, &t),
            i < 2 ? PN_OK : PN_BUSY);
    }
    two_barrels_wait(&t, &t.n_sent, 2);
    pn_term_writer_free(&w);
    two_barrels_fini(&t);
}

static void one_link(pn_barrel_options *options, bool is_alice)
{
    options->max_links = is_alice ? 1 : 256;
}

static void test_max_links(void **state)
{
    two_barrels t;
    pn_why why = {0};

    (void)state;
    two_barrels_connected(&t, one_link);
    assert_int_equal(
        pn_barrel_connect(t.alice, "carol@127.0.0.1", 2000, &why), PN_FULL);
    assert_non_null(strstr(why.text, "too many links"));
    two_barrels_fini(&t);
}

#define T(name) pn_test_add("barrel/link/" #name, test_##name, NULL)

int main(void)
{
    T(large);
    T(large_answers);
    T(too_large);
    T(answer_too_large);
    T(depth);
    T(kept);
    T(output_full);
    T(burst);
    T(max_calls);
    T(max_links);
    return pn_test_run("barrel/limits");
}

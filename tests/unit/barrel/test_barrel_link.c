/* SPDX-License-Identifier: Apache-2.0 */
/* The Barrel link between two of our own nodes: what the cluster may ask, who
 * may, and what is said to the others. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dist/signal.h"
#include "os/clock.h"
#include "tempdir.h"
#include "two_barrels.h"

/* The reply as text, freed. */
static char *text_of(pn_reply *reply)
{
    static char texts[4][512];
    static unsigned next;
    char *text = texts[next++ % 4];
    char *printed = NULL;
    size_t len = 0;

    text[0] = '\0';
    if (reply != NULL
        && pn_term_to_text(pn_reply_term(reply), &printed, &len) == PN_OK) {
        (void)snprintf(text, sizeof(texts[0]), "%s", printed);
    }
    free(printed);
    pn_reply_free(reply);
    return text;
}

static pn_err call(two_barrels *t, const char *process, const char *request,
    uint32_t timeout_ms, const char **ret_text)
{
    pn_term_writer w;
    pn_term term;
    pn_reply *reply = NULL;
    pn_err err;

    pn_term_writer_init(&w, 0);
    pn_term_write_format(&w, request);
    assert_int_equal(pn_term_writer_finish(&w, NULL, &term), PN_OK);
    err = pn_gen_call(t->alice, BOB, process, term, timeout_ms, &reply);
    *ret_text = text_of(reply);
    pn_term_writer_free(&w);
    return err;
}

static pn_err rpc(two_barrels *t, const char *function, const char *args,
    const char **ret_text)
{
    pn_term_writer w;
    pn_term term;
    pn_reply *reply = NULL;
    pn_err err;

    pn_term_writer_init(&w, 0);
    pn_term_write_format(&w, args);
    assert_int_equal(pn_term_writer_finish(&w, NULL, &term), PN_OK);
    err = pn_rpc(t->alice, BOB, ":calc", function, term, 5000, &reply);
    *ret_text = text_of(reply);
    pn_term_writer_free(&w);
    return err;
}

/* ---- calls and messages ------------------------------------------------ */

static void test_gen_call(void **state)
{
    two_barrels t;
    const char *text;

    (void)state;
    two_barrels_connected(&t, NULL);
    assert_int_equal(call(&t, "echo", "{hello, 42}", 5000, &text), PN_OK);
    assert_string_equal(text, "{:hello, 42}");
    two_barrels_fini(&t);
}

static void test_rpc(void **state)
{
    two_barrels t;
    const char *text;

    (void)state;
    two_barrels_connected(&t, NULL);
    assert_int_equal(rpc(&t, "add", "[20, 22]", &text), PN_OK);
    assert_string_equal(text, "42");
    assert_int_equal(rpc(&t, "add", "[a, 22]", &text), PN_REMOTE);
    assert_non_null(strstr(text, "badarg"));
    two_barrels_fini(&t);
}

static void test_send(void **state)
{
    two_barrels t;
    pn_term_writer w;
    pn_term term;

    (void)state;
    two_barrels_connected(&t, NULL);
    pn_term_writer_init(&w, 0);
    pn_term_write_format(&w, "{temperature, 21}");
    assert_int_equal(pn_term_writer_finish(&w, NULL, &term), PN_OK);
    assert_int_equal(pn_barrel_send(t.alice, BOB, "inbox", term), PN_OK);
    two_barrels_wait(&t, &t.n_sent, 1);
    assert_string_equal(t.last_sent, "{:temperature, 21}");
    assert_int_equal(pn_barrel_send(t.alice, "carol@127.0.0.1", "inbox", term),
        PN_NOT_CONNECTED);
    pn_term_writer_free(&w);
    two_barrels_fini(&t);
}

/* In the order they were sent, however many. */
static void test_order(void **state)
{
    two_barrels t;

    (void)state;
    two_barrels_connected(&t, NULL);
    for (int i = 1; i <= 500; i++) {
        pn_term_writer w;
        pn_term term;

        pn_term_writer_init(&w, 0);
        pn_term_write_int64(&w, i);
        assert_int_equal(pn_term_writer_finish(&w, NULL, &term), PN_OK);
        assert_int_equal(pn_barrel_send(t.alice, BOB, "inbox", term), PN_OK);
        pn_term_writer_free(&w);
    }
    two_barrels_wait(&t, &t.n_sent, 500);
    assert_string_equal(t.last_sent, "500");
    two_barrels_fini(&t);
}

static void test_large(void **state)
{
    const size_t len = 3 * 1024 * 1024;
    two_barrels t;
    uint8_t *data = malloc(len);
    pn_term_writer w;
    pn_term term;
    pn_reply *reply = NULL;

    (void)state;
    assert_non_null(data);
    memset(data, 'x', len);
    two_barrels_connected(&t, NULL);
    pn_term_writer_init(&w, len + 64);
    pn_term_write_binary(&w, data, len);
    assert_int_equal(pn_term_writer_finish(&w, NULL, &term), PN_OK);
    assert_int_equal(
        pn_gen_call(t.alice, BOB, "echo", term, 20000, &reply), PN_OK);
    assert_true(pn_term_equal(pn_reply_term(reply), term));
    pn_reply_free(reply);
    pn_term_writer_free(&w);
    free(data);
    two_barrels_fini(&t);
}

enum { BIG = 9 * 1024 * 1024, N_BIG = 6 };

static void on_big(pn_request *req, pn_term args, void *user)
{
    pn_term_writer w;
    pn_term term;

    (void)args;
    pn_term_writer_init(&w, BIG + 64);
    pn_term_write_binary(&w, user, BIG);
    assert_int_equal(pn_term_writer_finish(&w, NULL, &term), PN_OK);
    (void)pn_request_reply_term(req, term);
    pn_term_writer_free(&w);
}

static void on_big_done(void *user, pn_err outcome, pn_term value)
{
    two_barrels *t = user;

    (void)value;
    (void)pthread_mutex_lock(&t->lock);
    /* Answered, if only with a no. */
    t->n_sent += outcome == PN_OK || outcome == PN_REMOTE ? 1 : 0;
    (void)pthread_mutex_unlock(&t->lock);
}

/* Several answers at once of which one alone is more than may wait: who has no
 * room left is told so, and the link stays. */
static void test_large_answers(void **state)
{
    two_barrels t;
    pn_principal alice = {.family = PN_FAMILY_BARREL};
    pn_expose_options inline_closed;
    uint8_t *data = calloc(1, BIG);
    pn_term_writer w;
    pn_term term;
    const char *text;

    (void)state;
    assert_non_null(data);
    two_barrels_connected(&t, NULL);
    pn_expose_options_init(&inline_closed);
    inline_closed.flags = PN_EXPOSE_CLOSED | PN_EXPOSE_INLINE;
    alice.key = t.alice_key;
    assert_int_equal(
        pn_expose(t.bob_node, "big", on_big, data, &inline_closed), PN_OK);
    assert_int_equal(pn_grant(t.bob_node, "big", &alice), PN_OK);
    pn_term_writer_init(&w, 0);
    pn_term_write_atom(&w, "x");
    assert_int_equal(pn_term_writer_finish(&w, NULL, &term), PN_OK);
    for (int i = 0; i < N_BIG; i++) {
        assert_int_equal(pn_gen_call_async(
                             t.alice, BOB, "big", term, 20000, on_big_done, &t),
            PN_OK);
    }
    two_barrels_wait(&t, &t.n_sent, N_BIG);
    pn_term_writer_free(&w);
    assert_int_equal(call(&t, "echo", "x", 5000, &text), PN_OK);
    assert_int_equal(t.n_down, 0);
    two_barrels_fini(&t);
    free(data);
}

/* ---- who may ----------------------------------------------------------- */

/* What is open to every paired PeerNet peer is not open to the cluster. */
static void test_no_grant(void **state)
{
    two_barrels t;
    const char *text;

    (void)state;
    two_barrels_connected(&t, NULL);
    assert_int_equal(call(&t, "secret", "x", 5000, &text), PN_OK);
    assert_string_equal(text, "{:error, :forbidden}");
    assert_int_equal(rpc(&t, "sub", "[1, 2]", &text), PN_REMOTE);
    two_barrels_fini(&t);
}

static void test_unknown_process(void **state)
{
    two_barrels t;
    const char *text;

    (void)state;
    two_barrels_connected(&t, NULL);
    assert_int_equal(call(&t, "nobody", "x", 5000, &text), PN_REMOTE);
    assert_string_equal(text, ":noproc");
    assert_int_equal(rpc(&t, "mul", "[1, 2]", &text), PN_REMOTE);
    two_barrels_fini(&t);
}

static void test_timeout(void **state)
{
    two_barrels t;
    const char *text;

    (void)state;
    two_barrels_connected(&t, NULL);
    assert_int_equal(call(&t, "slow", "x", 50, &text), PN_TIMEOUT);
    assert_int_equal(call(&t, "slow", "x", 5000, &text), PN_OK);
    assert_string_equal(text, ":slow");
    two_barrels_fini(&t);
}

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

/* What handlers are shown has the node's limits; the link goes on. The
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
            pn_gen_call(t.alice, BOB, "echo", term, 5000, &reply), PN_OK);
        assert_int_equal(
            pn_term_equal(pn_reply_term(reply), term), depth <= 513);
        text = text_of(reply);
        assert_true(depth <= 513 || strcmp(text, "{:error, :badarg}") == 0);
        pn_term_writer_free(&w);
    }
    two_barrels_fini(&t);
}

/* ---- trust ------------------------------------------------------------- */

/* One sentence for us, one log line there. */
static void refused(two_barrels *t, const char *expected, const char *logged)
{
    char why[PN_BARREL_SENTENCE_MAX];

    assert_int_equal(
        pn_barrel_connect(t->alice, BOB, 8000, why), PN_NOT_CONNECTED);
    if (strstr(why, expected) == NULL) {
        fail_msg("expected \"%s\" in \"%s\"", expected, why);
    }
    two_barrels_wait(t, &t->n_logs, 1);
    if (logged != NULL) {
        (void)pthread_mutex_lock(&t->lock);
        assert_non_null(strstr(t->last_log, logged));
        (void)pthread_mutex_unlock(&t->lock);
    }
}

static void test_strict_unknown(void **state)
{
    pn_barrel_metrics m;
    two_barrels t;

    (void)state;
    two_barrels_init(&t);
    two_barrels_open(&t, NULL);
    refused(&t, "untrusted_key", NULL);
    pn_barrel_get_metrics(t.alice, &m);
    assert_int_equal(m.auth_fail_outgoing, 1);
    assert_true(m.auth_fail_us_outgoing > 0);
    assert_int_equal(m.auth_ok_us_outgoing, 0);
    two_barrels_fini(&t);
}

static void with_tofu(pn_barrel_options *options, bool is_alice)
{
    (void)is_alice;
    options->trust = PN_BARREL_TOFU;
}

static void test_tofu(void **state)
{
    two_barrels t;
    pn_public_key pinned;
    char why[PN_BARREL_SENTENCE_MAX];

    (void)state;
    two_barrels_init(&t);
    two_barrels_open(&t, with_tofu);
    if (pn_barrel_connect(t.alice, BOB, 8000, why) != PN_OK) {
        fail_msg("connect: %s", why);
    }
    assert_int_equal(pn_barrel_pinned(t.alice, BOB, &pinned), PN_OK);
    assert_true(pn_key_equal(&pinned, &t.bob_key));
    assert_int_equal(pn_barrel_pinned(t.bob, ALICE, &pinned), PN_OK);
    assert_true(pn_key_equal(&pinned, &t.alice_key));
    assert_int_equal(
        access(two_barrels_path(&t, true, "keys/trusted/" BOB ".pub"), F_OK),
        0);
    two_barrels_fini(&t);
}

static void pin_wrong_key(const two_barrels *t, bool at_alice)
{
    pn_barrel_store *store = NULL;
    pn_public_key wrong = t->alice_key;

    wrong.bytes[0] ^= 1;
    assert_int_equal(pn_barrel_store_open(two_barrels_path(t, at_alice, "keys"),
                         &store, NULL, NULL),
        PN_OK);
    assert_int_equal(
        pn_barrel_store_pin(store, at_alice ? BOB : ALICE, &wrong, NULL),
        PN_OK);
    pn_barrel_store_close(store);
}

static void test_key_mismatch_there(void **state)
{
    two_barrels t;

    (void)state;
    two_barrels_init(&t);
    pin_wrong_key(&t, false);
    two_barrels_open(&t, with_tofu);
    refused(&t, "key_mismatch", NULL);
    two_barrels_fini(&t);
}

static void test_key_mismatch_here(void **state)
{
    two_barrels t;

    (void)state;
    two_barrels_init(&t);
    pin_wrong_key(&t, true);
    two_barrels_open(&t, with_tofu);
    refused(&t, "key_mismatch", NULL);
    two_barrels_fini(&t);
}

static void with_other_cookie(pn_barrel_options *options, bool is_alice)
{
    options->cookie = is_alice ? "cookie" : "biscuit";
}

static void test_wrong_cookie(void **state)
{
    two_barrels t;

    (void)state;
    two_barrels_init(&t);
    two_barrels_pin(&t);
    two_barrels_open(&t, with_other_cookie);
    refused(&t, "cookie", NULL);
    two_barrels_fini(&t);
}

/* A pin that is taken back ends the link, at once and for good. */
static void test_unpin(void **state)
{
    two_barrels t;
    const char *text;

    (void)state;
    two_barrels_connected(&t, NULL);
    assert_int_equal(pn_barrel_unpin(t.bob, ALICE), PN_OK);
    two_barrels_wait(&t, &t.n_down, 2);
    assert_int_equal(call(&t, "echo", "x", 5000, &text), PN_NOT_CONNECTED);
    assert_non_null(strstr(text, "untrusted_key"));
    assert_int_equal(pn_barrel_unpin(t.bob, ALICE), PN_NOT_FOUND);
    two_barrels_fini(&t);
}

/* The same by another process: the directory is watched. */
static void test_unpin_by_file(void **state)
{
    two_barrels t;

    (void)state;
    two_barrels_connected(&t, NULL);
    assert_int_equal(
        unlink(two_barrels_path(&t, false, "keys/trusted/" ALICE ".pub")), 0);
    two_barrels_wait(&t, &t.n_down, 2);
    two_barrels_fini(&t);
}

static void cookie_only(pn_barrel_options *options, bool is_alice)
{
    static const char *const patterns[] = {"*@127.0.0.1"};

    (void)is_alice;
    options->cookie_only = patterns;
    options->n_cookie_only = 1;
}

/* Let through by name and cookie: nobody, to every grant there is. */
static void test_cookie_only(void **state)
{
    two_barrels t;
    const char *text;

    (void)state;
    two_barrels_init(&t);
    two_barrels_open(&t, cookie_only);
    two_barrels_grant(&t);
    assert_int_equal(call(&t, "echo", "x", 8000, &text), PN_OK);
    assert_string_equal(text, "{:error, :forbidden}");
    assert_int_equal(rpc(&t, "add", "[1, 2]", &text), PN_REMOTE);
    two_barrels_fini(&t);
}

/* ---- limits ------------------------------------------------------------ */

static void as_mallory(pn_barrel_options *options, bool is_alice)
{
    options->trust = PN_BARREL_TOFU;
    if (is_alice) {
        options->name = "mallory@127.0.0.1";
    }
}

/* One new name in ten seconds, and it is on disk before the peer hears OK
 * (T37). */
static void test_new_pins(void **state)
{
    two_barrels t;
    char why[PN_BARREL_SENTENCE_MAX];
    pn_public_key key;

    (void)state;
    two_barrels_init(&t);
    two_barrels_open(&t, with_tofu);
    assert_int_equal(pn_barrel_connect(t.alice, BOB, 8000, why), PN_OK);
    two_barrels_close_one(&t, true);
    assert_int_equal(two_barrels_open_one(&t, true, as_mallory), PN_OK);
    assert_int_equal(
        pn_barrel_connect(t.alice, BOB, 8000, why), PN_NOT_CONNECTED);
    assert_int_equal(
        pn_barrel_pinned(t.bob, "mallory@127.0.0.1", &key), PN_NOT_FOUND);
    two_barrels_fini(&t);
}

static void often(pn_barrel_options *options, bool is_alice)
{
    as_mallory(options, is_alice);
    options->new_pin_ms = 1;
    options->max_new_pins = 1;
}

static void often_and_two(pn_barrel_options *options, bool is_alice)
{
    often(options, is_alice);
    options->max_new_pins = 2;
}

/* As often as the option says, and no more of them. */
static void test_new_pins_option(void **state)
{
    (void)state;
    for (int max = 1; max <= 2; max++) {
        two_barrels t;
        char why[PN_BARREL_SENTENCE_MAX];

        two_barrels_init(&t);
        assert_int_equal(
            two_barrels_open_one(&t, false, max == 1 ? often : often_and_two),
            PN_OK);
        assert_int_equal(two_barrels_open_one(&t, true, as_mallory), PN_OK);
        assert_int_equal(pn_barrel_connect(t.alice, BOB, 8000, why), PN_OK);
        two_barrels_close_one(&t, true);
        assert_int_equal(two_barrels_open_one(&t, true, with_tofu), PN_OK);
        assert_int_equal(pn_barrel_connect(t.alice, BOB, 8000, why),
            max == 1 ? PN_NOT_CONNECTED : PN_OK);
        two_barrels_fini(&t);
    }
}

/* The tag of a call is kept for the answer; there is no end to it on the wire.
 */
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

        pn_barrel_get_metrics(t.bob, &before);
        pn_term_writer_init(&w, 0);
        pn_term_write_tuple_begin(&w);
        pn_term_write_atom(&w, "$gen_call");
        pn_term_write_tuple_begin(&w);
        pn_dist_write_pid(&w, ALICE, &pid);
        pn_term_write_binary(&w, zeros, len - PID_LEN - BINARY_HEAD);
        pn_term_write_tuple_end(&w);
        pn_term_write_atom(&w, "x");
        pn_term_write_tuple_end(&w);
        assert_int_equal(pn_term_writer_finish(&w, NULL, &term), PN_OK);
        assert_int_equal(pn_barrel_send(t.alice, BOB, "echo", term), PN_OK);
        pn_term_writer_free(&w);
        assert_int_equal(call(&t, "echo", "x", 5000, &text), PN_OK);
        pn_barrel_get_metrics(t.bob, &after);
        assert_int_equal(
            after.calls_in - before.calls_in, len <= KEPT_MAX ? 2 : 1);
    }
    two_barrels_fini(&t);
}

/* A node that does not take what it is sent: we are told, and keep no more
 * than max_output_bytes of it. */
static void test_output_full(void **state)
{
    const size_t len = 512 * 1024;
    two_barrels t;
    uint8_t *data = calloc(1, len);
    pn_term_writer w;
    pn_term term;
    pn_err err = PN_OK;

    (void)state;
    assert_non_null(data);
    two_barrels_connected(&t, NULL);
    pn_term_writer_init(&w, len + 64);
    pn_term_write_binary(&w, data, len);
    assert_int_equal(pn_term_writer_finish(&w, NULL, &term), PN_OK);
    for (int i = 0; i < 400 && err == PN_OK; i++) {
        err = pn_barrel_send(t.alice, BOB, "slow", term);
    }
    assert_int_equal(err, PN_BUSY);
    pn_term_writer_free(&w);
    free(data);
    two_barrels_fini(&t);
}

/* More than the queue holds, to a handler that is slower: what does not fit is
 * dropped, and the link goes on. */
static void test_burst(void **state)
{
    static const uint8_t data[4000];
    two_barrels t;
    pn_term_writer w;
    pn_term term;
    const char *text;

    (void)state;
    two_barrels_connected(&t, NULL);
    pn_term_writer_init(&w, 0);
    pn_term_write_binary(&w, data, sizeof(data));
    assert_int_equal(pn_term_writer_finish(&w, NULL, &term), PN_OK);
    for (int i = 0; i < 3000; i++) {
        pn_err err;

        while (
            (err = pn_barrel_send(t.alice, BOB, "steady", term)) == PN_BUSY) {
            (void)usleep(1000);
        }
        assert_int_equal(err, PN_OK);
    }
    assert_int_equal(call(&t, "echo", "x", 20000, &text), PN_OK);
    pn_term_writer_free(&w);
    two_barrels_fini(&t);
}

static void few_calls(pn_barrel_options *options, bool is_alice)
{
    (void)is_alice;
    options->max_calls = 2;
}

static void count_done(void *user, pn_err outcome, pn_term value)
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
    pn_term_writer_init(&w, 0);
    pn_term_write_atom(&w, "x");
    assert_int_equal(pn_term_writer_finish(&w, NULL, &term), PN_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            pn_gen_call_async(t.alice, BOB, "slow", term, 5000, count_done, &t),
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
    char why[PN_BARREL_SENTENCE_MAX];

    (void)state;
    two_barrels_connected(&t, one_link);
    assert_int_equal(
        pn_barrel_connect(t.alice, "carol@127.0.0.1", 2000, why), PN_LIMIT);
    assert_non_null(strstr(why, "too many links"));
    two_barrels_fini(&t);
}

/* ---- names ------------------------------------------------------------- */

static void test_names(void **state)
{
    two_barrels t;
    char why[PN_BARREL_SENTENCE_MAX];

    (void)state;
    two_barrels_init(&t);
    two_barrels_open(&t, NULL);
    assert_int_equal(pn_barrel_connect(t.alice, ALICE, 2000, why), PN_INVALID);
    assert_non_null(strstr(why, "our own name"));
    assert_int_equal(pn_barrel_connect(t.alice, "bob", 2000, why), PN_INVALID);
    assert_non_null(strstr(why, "NAME@HOST"));
    assert_int_equal(pn_barrel_connect(t.alice, "carol@127.0.0.1", 5000, why),
        PN_NOT_CONNECTED);
    assert_non_null(strstr(why, "carol@127.0.0.1 is not known"));
    two_barrels_fini(&t);
}

/* ---- links ------------------------------------------------------------- */

typedef struct dialler {
    two_barrels *t;
    long wait_ns;
    pn_err err;
    char why[PN_BARREL_SENTENCE_MAX];
} dialler;

static void *dial_bob(void *user)
{
    dialler *d = user;
    struct timespec pause = {.tv_nsec = d->wait_ns};

    (void)nanosleep(&pause, NULL);
    d->err = pn_barrel_connect(d->t->alice, BOB, 8000, d->why);
    return NULL;
}

static size_t count_nodes(pn_barrel *barrel)
{
    pn_barrel_node_info *nodes = NULL;
    size_t n = 0;

    assert_int_equal(pn_barrel_nodes(barrel, &nodes, &n), PN_OK);
    free(nodes);
    return n;
}

static void wait_nodes(two_barrels *t, size_t n)
{
    for (int i = 0; i < 5000; i++) {
        if (count_nodes(t->alice) == n && count_nodes(t->bob) == n) {
            return;
        }
        (void)usleep(1000);
    }
    fail_msg("not %zu nodes on both sides", n);
}

/* Both dial within two milliseconds: both connect, and there is one link. */
static void test_simultaneous(void **state)
{
    enum { ROUNDS = 40 };
    two_barrels t;

    (void)state;
    two_barrels_init(&t);
    two_barrels_pin(&t);
    two_barrels_open(&t, NULL);
    for (long i = 0; i < ROUNDS; i++) {
        dialler d = {.t = &t, .wait_ns = i * 2000000 / ROUNDS};
        char why[PN_BARREL_SENTENCE_MAX];
        pthread_t thread;
        pn_err err;

        assert_int_equal(pthread_create(&thread, NULL, dial_bob, &d), 0);
        err = pn_barrel_connect(t.bob, ALICE, 8000, why);
        (void)pthread_join(thread, NULL);
        if (err != PN_OK || d.err != PN_OK) {
            fail_msg("round %ld: bob \"%s\", alice \"%s\"", i, why, d.why);
        }
        wait_nodes(&t, 1);
        (void)!pn_barrel_disconnect(t.alice, BOB);
        (void)!pn_barrel_disconnect(t.bob, ALICE);
        wait_nodes(&t, 0);
    }
    two_barrels_fini(&t);
}

static void on_monitor_down(void *user, uint64_t monitor, pn_term reason)
{
    two_barrels *t = user;
    char *text = NULL;
    size_t len = 0;

    (void)monitor;
    (void)pthread_mutex_lock(&t->lock);
    if (pn_term_to_text(reason, &text, &len) == PN_OK) {
        (void)snprintf(t->last_sent, sizeof(t->last_sent), "%s", text);
    }
    t->n_sent++;
    (void)pthread_mutex_unlock(&t->lock);
    free(text);
}

static void test_monitor(void **state)
{
    two_barrels t;
    uint64_t id = 0;
    uint64_t other = 0;

    (void)state;
    two_barrels_connected(&t, NULL);
    assert_int_equal(
        pn_barrel_monitor(t.alice, BOB, "nobody", on_monitor_down, &t, &id),
        PN_OK);
    two_barrels_wait(&t, &t.n_sent, 1);
    assert_string_equal(t.last_sent, ":noproc");
    assert_int_equal(pn_barrel_demonitor(t.alice, id), PN_NOT_FOUND);
    assert_int_equal(
        pn_barrel_monitor(t.alice, BOB, NULL, on_monitor_down, &t, &id), PN_OK);
    assert_int_equal(
        pn_barrel_monitor(t.alice, BOB, "echo", on_monitor_down, &t, &other),
        PN_OK);
    assert_int_equal(pn_barrel_demonitor(t.alice, other), PN_OK);
    two_barrels_close_one(&t, false);
    two_barrels_wait(&t, &t.n_sent, 2);
    assert_string_equal(t.last_sent, ":noconnection");
    two_barrels_fini(&t);
}

/* Upstream's responder hears nothing in the moment behind its authentication:
 * who dials says its name 25 ms later (docs/BARREL.md). */
static void test_name_waits(void **state)
{
    two_barrels t;
    char why[PN_BARREL_SENTENCE_MAX];
    uint64_t start_us;

    (void)state;
    two_barrels_init(&t);
    two_barrels_pin(&t);
    two_barrels_open(&t, NULL);
    start_us = pn_monotonic_now_us();
    assert_int_equal(pn_barrel_connect(t.alice, BOB, 8000, why), PN_OK);
    assert_true(pn_monotonic_now_us() - start_us >= UINT64_C(25000));
    two_barrels_fini(&t);
}

/* A node that comes back is dialled again by the next call. */
static void test_restart(void **state)
{
    two_barrels t;
    const char *text;

    (void)state;
    two_barrels_connected(&t, NULL);
    two_barrels_close_one(&t, false);
    for (int i = 0; i < 10000 && count_nodes(t.alice) > 0; i++) {
        (void)usleep(1000);
    }
    assert_int_equal(two_barrels_open_one(&t, false, NULL), PN_OK);
    two_barrels_grant(&t);
    assert_int_equal(call(&t, "echo", "again", 8000, &text), PN_OK);
    assert_string_equal(text, ":again");
    two_barrels_fini(&t);
}

static void test_metrics(void **state)
{
    two_barrels t;
    pn_barrel_metrics m;
    const char *text;

    (void)state;
    two_barrels_connected(&t, NULL);
    assert_int_equal(call(&t, "echo", "x", 5000, &text), PN_OK);
    pn_barrel_get_metrics(t.alice, &m);
    assert_int_equal(m.auth_ok_outgoing, 1);
    assert_int_equal(m.auth_fail_outgoing, 0);
    assert_true(m.auth_ok_us_outgoing > 0);
    assert_int_equal(m.auth_fail_us_outgoing, 0);
    assert_int_equal(m.links_up, 1);
    assert_int_equal(m.calls_out, 1);
    assert_true(m.bytes_in > 1200 && m.datagrams_out > 3);
    pn_barrel_get_metrics(t.bob, &m);
    assert_int_equal(m.auth_ok_incoming, 1);
    assert_true(m.auth_ok_us_incoming > 0);
    assert_int_equal(m.calls_in, 1);
    two_barrels_fini(&t);
}

/* ---- options ----------------------------------------------------------- */

typedef struct option_row {
    const char *name;
    two_barrels_change *change;
    const char *expected;
} option_row;

#define CHANGE(name, statement)                                                \
    static void name(pn_barrel_options *o, bool is_alice)                      \
    {                                                                          \
        (void)is_alice;                                                        \
        statement;                                                             \
    }
CHANGE(set_no_name, o->name = NULL)
CHANGE(set_bad_name, o->name = "alice")
CHANGE(set_no_cookie, o->cookie = "")
CHANGE(set_same_dirs, o->cert_dir = o->key_dir)
CHANGE(set_no_auth, o->trust = (pn_barrel_trust)2)
CHANGE(set_no_timeout, o->auth_timeout_ms = 0)
CHANGE(set_forever, o->auth_timeout_ms = UINT32_MAX)
CHANGE(set_long, o->auth_timeout_ms = 120001)
CHANGE(set_alive, o->keep_alive_ms = o->dead_after_ms)
CHANGE(set_open_door, {
    cookie_only(o, is_alice);
    o->cookie = "barrel_p2p";
})
CHANGE(set_bad_port, o->listen_port = 65536)
CHANGE(set_bad_address, o->listen_address = "example.org")
CHANGE(set_small_message, o->max_message_bytes = 1023)

static const option_row option_rows[] = {
    {"no_name", set_no_name, "NAME@HOST"},
    {"bad_name", set_bad_name, "NAME@HOST"},
    {"no_cookie", set_no_cookie, "cookie"},
    {"same_dirs", set_same_dirs, "cert_dir"},
    {"no_auth", set_no_auth, "cannot be switched off"},
    {"no_timeout", set_no_timeout, "authentication always has an end"},
    {"forever", set_forever, "authentication always has an end"},
    {"long", set_long, "expected 1 to 120000"},
    {"keep_alive", set_alive, "keep_alive_ms"},
    {"open_door", set_open_door, "everybody knows"},
    {"bad_port", set_bad_port, "listen_port"},
    {"bad_address", set_bad_address, "numeric"},
    {"small_message", set_small_message, "max_message_bytes"},
};

static void test_option(void **state)
{
    const option_row *row = *state;
    two_barrels t;

    two_barrels_init(&t);
    assert_int_equal(two_barrels_open_one(&t, true, row->change), PN_INVALID);
    if (strstr(pn_node_open_error(), row->expected) == NULL) {
        fail_msg(
            "expected \"%s\" in \"%s\"", row->expected, pn_node_open_error());
    }
    two_barrels_fini(&t);
}

static void test_open_twice(void **state)
{
    two_barrels t;

    (void)state;
    two_barrels_init(&t);
    assert_int_equal(two_barrels_open_one(&t, true, NULL), PN_OK);
    {
        pn_barrel_options opt;
        pn_barrel *second = NULL;

        pn_barrel_options_init(&opt);
        opt.name = ALICE;
        opt.cookie = "cookie";
        opt.key_dir = two_barrels_path(&t, true, "keys");
        opt.cert_dir = two_barrels_path(&t, true, "quic");
        opt.listen_address = "127.0.0.1";
        opt.listen_port = 0;
        assert_int_equal(
            pn_barrel_open(t.alice_node, &opt, &second), PN_EXISTS);
    }
    two_barrels_fini(&t);
}

/* ---- files that are not as they should be ------------------------------ */

#define PIN "keys/trusted/" BOB ".pub"

typedef struct file_row {
    const char *name;
    const char *file;
    void (*spoil)(const char *path);
    pn_err expected;
} file_row;

static void without(const char *path)
{
    assert_int_equal(unlink(path), 0);
}

static void short_by_one(const char *path)
{
    assert_int_equal(truncate(path, 31), 0);
}

static void long_by_one(const char *path)
{
    assert_int_equal(truncate(path, 33), 0);
}

static void of_another(const char *path)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    assert_int_equal(write(fd, "another key", 11), 11);
    assert_int_equal(close(fd), 0);
}

static void readable(const char *path)
{
    assert_int_equal(chmod(path, 0640), 0);
}

static void writable(const char *path)
{
    assert_int_equal(chmod(path, 0622), 0);
}

static void unreadable(const char *path)
{
    assert_int_equal(chmod(path, 0), 0);
}

static void directory(const char *path)
{
    without(path);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void link_to_itself(const char *path)
{
    without(path);
    assert_int_equal(symlink(path, path), 0);
}

static const file_row file_rows[] = {
    {"no_node.pub", "keys/node.pub", without, PN_CORRUPT},
    {"no_node.key", "keys/node.key", without, PN_CORRUPT},
    {"short_node.pub", "keys/node.pub", short_by_one, PN_CORRUPT},
    {"long_node.pub", "keys/node.pub", long_by_one, PN_CORRUPT},
    {"short_node.key", "keys/node.key", short_by_one, PN_CORRUPT},
    {"long_node.key", "keys/node.key", long_by_one, PN_CORRUPT},
    {"another_node.pub", "keys/node.pub", of_another, PN_CORRUPT},
    {"readable_node.key", "keys/node.key", readable, PN_PERMISSION},
    {"writable_node.pub", "keys/node.pub", writable, PN_PERMISSION},
    {"unreadable_node.key", "keys/node.key", unreadable, PN_SYS},
    {"unreadable_node.pub", "keys/node.pub", unreadable, PN_SYS},
    {"linked_node.key", "keys/node.key", link_to_itself, PN_PERMISSION},
    {"short_pin", PIN, short_by_one, PN_CORRUPT},
    {"long_pin", PIN, long_by_one, PN_CORRUPT},
    {"writable_pin", PIN, writable, PN_PERMISSION},
    {"unreadable_pin", PIN, unreadable, PN_SYS},
    {"directory_pin", PIN, directory, PN_PERMISSION},
    {"linked_pin", PIN, link_to_itself, PN_PERMISSION},
};

/* One of them stops the start, by its name, and nothing is made anew. */
static void test_bad_file(void **state)
{
    const file_row *row = *state;
    two_barrels t;
    char expected[200];
    pn_err err;

    two_barrels_init(&t);
    two_barrels_pin(&t);
    (void)snprintf(expected, sizeof(expected),
        "%s: ", two_barrels_path(&t, true, row->file));
    row->spoil(two_barrels_path(&t, true, row->file));
    pn_tempdir_obey_modes(true);
    err = two_barrels_open_one(&t, true, NULL);
    pn_tempdir_obey_modes(false);
    assert_int_equal(err, row->expected);
    if (strncmp(pn_node_open_error(), expected, strlen(expected)) != 0) {
        fail_msg(
            "expected \"%s\", found \"%s\"", expected, pn_node_open_error());
    }
    assert_null(strchr(pn_node_open_error(), '\n'));
    if (row->spoil == without) {
        assert_int_equal(
            access(two_barrels_path(&t, true, row->file), F_OK), -1);
    }
    two_barrels_fini(&t);
}

static void reconnect_alice(two_barrels *t)
{
    two_barrels_close_one(t, true);
    assert_int_equal(two_barrels_open_one(t, true, NULL), PN_OK);
}

/* A pin that gets damaged while bob runs. Until it is whole again nobody new
 * gets in and he goes nowhere new; who is there stays. */
static void test_pin_damaged(void **state)
{
    const char *carol = "keys/trusted/carol@127.0.0.1.pub";
    two_barrels t;
    pn_barrel_metrics m;
    char why[PN_BARREL_SENTENCE_MAX];
    const char *text;
    int fd;

    (void)state;
    two_barrels_connected(&t, NULL);
    fd = open(two_barrels_path(&t, false, carol),
        O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "short", 5), 5);
    assert_int_equal(close(fd), 0);
    two_barrels_wait(&t, &t.n_logs, 1);
    (void)pthread_mutex_lock(&t.lock);
    assert_non_null(
        strstr(t.last_log, "pins cannot be read: nobody new is let in: /"));
    assert_non_null(strstr(t.last_log, carol));
    (void)pthread_mutex_unlock(&t.lock);
    assert_int_equal(call(&t, "echo", "x", 8000, &text), PN_OK);
    reconnect_alice(&t);
    assert_int_not_equal(pn_barrel_connect(t.alice, BOB, 10000, why), PN_OK);
    assert_int_not_equal(pn_barrel_connect(t.bob, ALICE, 10000, why), PN_OK);
    assert_non_null(strstr(why, "key_mismatch"));
    /* At the knock, before anything of hers is looked at. */
    pn_barrel_get_metrics(t.bob, &m);
    assert_int_equal(m.auth_fail_incoming, 0);
    assert_int_equal(m.auth_ok_incoming, 1);
    assert_int_equal(m.auth_ok_outgoing, 0);
    assert_int_equal(unlink(two_barrels_path(&t, false, carol)), 0);
    for (int i = 0; i < 100; i++) {
        if (pn_barrel_connect(t.alice, BOB, 10000, why) == PN_OK) {
            break;
        }
        (void)usleep(50000);
    }
    assert_int_equal(call(&t, "echo", "y", 8000, &text), PN_OK);
    two_barrels_fini(&t);
}

#define T(name) pn_test_add("barrel/link/" #name, test_##name, NULL)

int main(void)
{
    T(gen_call);
    T(rpc);
    T(send);
    T(order);
    T(large);
    T(large_answers);
    T(no_grant);
    T(unknown_process);
    T(timeout);
    T(depth);
    T(strict_unknown);
    T(tofu);
    T(key_mismatch_there);
    T(key_mismatch_here);
    T(wrong_cookie);
    T(unpin);
    T(unpin_by_file);
    T(cookie_only);
    T(new_pins);
    T(new_pins_option);
    T(kept);
    T(output_full);
    T(burst);
    T(max_calls);
    T(max_links);
    T(names);
    T(simultaneous);
    T(monitor);
    T(name_waits);
    T(restart);
    T(metrics);
    T(open_twice);
    T(pin_damaged);
    for (size_t i = 0; i < sizeof(file_rows) / sizeof(file_rows[0]); i++) {
        pn_test_addf(test_bad_file, (void *)(uintptr_t)&file_rows[i],
            "barrel/link/bad_file/%s", file_rows[i].name);
    }
    for (size_t i = 0; i < sizeof(option_rows) / sizeof(option_rows[0]); i++) {
        pn_test_addf(test_option, (void *)(uintptr_t)&option_rows[i],
            "barrel/link/option/%s", option_rows[i].name);
    }
    return pn_test_run("barrel-link");
}

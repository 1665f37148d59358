/* SPDX-License-Identifier: Apache-2.0 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "two_barrels.h"

const char *two_barrels_path(
    const two_barrels *t, bool is_alice, const char *part)
{
    static char paths[4][160];
    static unsigned next;
    char *path = paths[next++ % 4];

    (void)snprintf(path, sizeof(paths[0]), "%s/%s/%s", t->dir,
        is_alice ? "alice" : "bob", part);
    return path;
}

static pn_ed25519_key key_of(const two_barrels *t, bool is_alice)
{
    pn_barrel_store *store = NULL;
    pn_why why = {0};
    pn_ed25519_key key;

    if (pn_barrel_store_open(
            two_barrels_path(t, is_alice, "keys"), &store, &why, NULL)
        != PN_OK) {
        fail_msg("keys: %s", why.text);
    }
    key = *pn_barrel_store_key(store);
    pn_barrel_store_close(store);
    return key;
}

void two_barrels_init(two_barrels *t)
{
    memset(t, 0, sizeof(*t));
    (void)pthread_mutex_init(&t->lock, NULL);
    (void)snprintf(t->dir, sizeof(t->dir), "/tmp/peernet-test-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    t->alice_key = key_of(t, true);
    t->bob_key = key_of(t, false);
}

static void pin(const two_barrels *t, bool at_alice)
{
    pn_barrel_store *store = NULL;

    assert_int_equal(pn_barrel_store_open(two_barrels_path(t, at_alice, "keys"),
                         &store, NULL, NULL),
        PN_OK);
    assert_int_equal(pn_barrel_store_pin(store, at_alice ? BOB : ALICE,
                         at_alice ? &t->bob_key : &t->alice_key, NULL),
        PN_OK);
    pn_barrel_store_close(store);
}

void two_barrels_pin(two_barrels *t)
{
    pin(t, true);
    pin(t, false);
}

/* ---- bob's handles ----------------------------------------------------- */

static void on_echo(pn_request *req, pn_term args, void *user)
{
    (void)user;
    (void)pn_request_reply_term(req, args);
}

static void on_slow(pn_request *req, pn_term args, void *user)
{
    struct timespec pause = {.tv_nsec = 300000000};

    (void)args;
    (void)user;
    (void)nanosleep(&pause, NULL);
    (void)pn_request_reply(req, "slow");
}

static void on_steady(pn_request *req, pn_term args, void *user)
{
    struct timespec pause = {.tv_nsec = 500000};

    (void)req;
    (void)args;
    (void)user;
    (void)nanosleep(&pause, NULL);
}

void two_barrels_on_sent(pn_request *req, pn_term args, void *user)
{
    two_barrels *t = user;
    char *text = NULL;
    size_t len = 0;

    (void)pthread_mutex_lock(&t->lock);
    if (pn_term_to_text(args, &text, &len) == PN_OK) {
        (void)snprintf(t->last_sent, sizeof(t->last_sent), "%s", text);
    }
    t->n_sent++;
    (void)pthread_mutex_unlock(&t->lock);
    free(text);
    if (pn_request_is_call(req)) {
        (void)pn_request_reply(req, "ok");
    }
}

static void on_add(pn_request *req, pn_term args, void *user)
{
    int a;
    int b;

    (void)user;
    /* Or it ends in one of the ways that Erlang has. */
    if (pn_term_match(args, "[exit, ~i]", &a)) {
        (void)pn_request_fail(req, "{handler_crash, {exit, ~i}}", a);
        return;
    }
    if (pn_term_match(args, "[throw, ~i]", &a)) {
        (void)pn_request_fail(req, "{handler_crash, {throw, ~i}}", a);
        return;
    }
    if (pn_term_match(args, "[error, ~i]", &a)) {
        (void)pn_request_fail(req, "{handler_crash, {error, ~i, [here]}}", a);
        return;
    }
    if (!pn_term_match(args, "[~i, ~i]", &a, &b)) {
        (void)pn_request_fail(req, "badarg");
        return;
    }
    (void)pn_request_reply(req, "~i", a + b);
}

static void expose(two_barrels *t)
{
    pn_expose_options closed;

    pn_expose_options_init(&closed);
    closed.flags = PN_EXPOSE_CLOSED;
    assert_int_equal(
        pn_expose(t->bob_node, "echo", on_echo, NULL, &closed), PN_OK);
    assert_int_equal(
        pn_expose(t->bob_node, "slow", on_slow, NULL, &closed), PN_OK);
    assert_int_equal(
        pn_expose(t->bob_node, "steady", on_steady, NULL, &closed), PN_OK);
    assert_int_equal(
        pn_expose(t->bob_node, "secret", on_echo, NULL, NULL), PN_OK);
    assert_int_equal(
        pn_expose(t->bob_node, "inbox", two_barrels_on_sent, t, &closed),
        PN_OK);
    assert_int_equal(
        pn_beam_dist_serve(t->bob_node, NULL, NULL, &t->table), PN_OK);
    assert_int_equal(
        pn_beam_dist_export(t->table, ":calc", "add", 2, on_add, NULL), PN_OK);
    assert_int_equal(
        pn_beam_dist_export(t->table, ":calc", "sub", 2, on_add, NULL), PN_OK);
}

void two_barrels_grant(two_barrels *t)
{
    pn_principal alice = pn_barrel_principal(&t->alice_key);

    assert_int_equal(pn_grant(t->bob_node, "echo", &alice), PN_OK);
    assert_int_equal(pn_grant(t->bob_node, "slow", &alice), PN_OK);
    assert_int_equal(pn_grant(t->bob_node, "inbox", &alice), PN_OK);
    assert_int_equal(pn_grant(t->bob_node, "steady", &alice), PN_OK);
    assert_int_equal(pn_grant(t->bob_node, PN_BEAM_DIST_HANDLE, &alice), PN_OK);
    assert_int_equal(
        pn_beam_dist_grant(t->table, ":calc", "add", 2, &alice), PN_OK);
}

/* ---- alice asks --------------------------------------------------------- */

const char *reply_text(pn_reply *reply)
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

static pn_term term_of(pn_term_writer *w, const char *format)
{
    pn_term term;

    pn_term_writer_init(w, 0);
    pn_term_write_format(w, format);
    assert_int_equal(pn_term_writer_finish(w, NULL, &term), PN_OK);
    return term;
}

pn_err alice_call(two_barrels *t, const char *process, const char *request,
    uint32_t timeout_ms, const char **ret_text)
{
    pn_term_writer w;
    pn_reply *reply = NULL;
    pn_err err = pn_gen_call(
        t->alice, BOB, process, term_of(&w, request), timeout_ms, &reply);

    *ret_text = reply_text(reply);
    pn_term_writer_free(&w);
    return err;
}

pn_err alice_rpc(two_barrels *t, const char *function, const char *args,
    const char **ret_text)
{
    pn_term_writer w;
    pn_reply *reply = NULL;
    pn_err err = pn_rpc(
        t->alice, BOB, ":calc", function, term_of(&w, args), 10000, &reply);

    *ret_text = reply_text(reply);
    pn_term_writer_free(&w);
    return err;
}

pn_term zeros_term(pn_term_writer *w, size_t len)
{
    uint8_t *bytes = calloc(1, len);
    pn_term term;

    assert_non_null(bytes);
    pn_term_writer_init(w, len + 64);
    pn_term_write_binary(w, bytes, len);
    free(bytes);
    assert_int_equal(pn_term_writer_finish(w, NULL, &term), PN_OK);
    return term;
}

/* ---- life -------------------------------------------------------------- */

static void on_event(void *user, const pn_event *event)
{
    two_barrels *t = user;

    (void)pthread_mutex_lock(&t->lock);
    t->n_up += event->type == PN_EVENT_PEER_UP ? 1 : 0;
    t->n_down += event->type == PN_EVENT_PEER_DOWN ? 1 : 0;
    t->n_dial_failed += event->type == PN_EVENT_DIAL_FAILED ? 1 : 0;
    if (event->type == PN_EVENT_DENIED) {
        t->n_denied++;
        (void)snprintf(t->last_denied, sizeof(t->last_denied), "%s %s%s",
            event->label, event->text, event->is_function ? "()" : "");
    }
    if (event->type == PN_EVENT_TRUST_CHANGED) {
        t->n_trust++;
        (void)snprintf(t->last_trust, sizeof(t->last_trust), "%s %s",
            event->text, event->label);
    }
    (void)pthread_mutex_unlock(&t->lock);
}

static void on_log(void *user, const pn_log_event *event)
{
    two_barrels *t = user;

    if (event->level < PN_LOG_WARNING) {
        return;
    }
    (void)pthread_mutex_lock(&t->lock);
    t->n_logs++;
    t->n_drained_logs += event->what == PN_LOG_MESSAGE_TOO_LARGE;
    (void)snprintf(t->last_log, sizeof(t->last_log), "%s: %s",
        pn_log_text(event->what), event->text == NULL ? "" : event->text);
    if (event->what == PN_LOG_DENIED) {
        (void)snprintf(t->last_denied_log, sizeof(t->last_denied_log), "%s %s",
            event->label == NULL ? "-" : event->label,
            event->text == NULL ? "" : event->text);
    }
    (void)pthread_mutex_unlock(&t->lock);
}

static pn_node *open_node(two_barrels *t, bool is_alice)
{
    pn_why why = {0};
    pn_node_options opt;
    pn_node *node = NULL;

    pn_node_options_init(&opt);
    opt.data_dir = two_barrels_path(t, is_alice, "data");
    opt.listen_port = PN_PORT_NONE;
    opt.linger_ms = 0;
    opt.own_loop = is_alice && t->is_own_loop;
    opt.flush_timeout_ms = 60000;
    opt.watch_network = false;
    /* Everything comes from one address here. */
    opt.source_per_second = 100000;
    opt.source_burst = 100000;
    opt.on_event = on_event;
    opt.on_log = on_log;
    opt.user = t;
    if (pn_node_open(&opt, &node, &why) != PN_OK) {
        fail_msg("node: %s", why.text);
    }
    return node;
}

pn_err two_barrels_open_one(
    two_barrels *t, bool is_alice, two_barrels_change *change)
{
    pn_barrel_options opt;
    char discovery[96];
    pn_err err;

    (void)snprintf(discovery, sizeof(discovery), "%s/discovery", t->dir);
    pn_barrel_options_init(&opt);
    opt.name = is_alice ? ALICE : BOB;
    opt.cookie = "cookie";
    opt.key_dir = two_barrels_path(t, is_alice, "keys");
    opt.cert_dir = two_barrels_path(t, is_alice, "quic");
    opt.listen_address = "127.0.0.1";
    opt.listen_port = 0;
    opt.discovery_dir = discovery;
    opt.dns_port = 0;
    if (change != NULL) {
        change(&opt, is_alice);
    }
    if (is_alice) {
        t->alice_node = open_node(t, true);
        err = pn_barrel_open(t->alice_node, &opt, &t->alice, &t->why);
    } else {
        t->bob_node = open_node(t, false);
        expose(t);
        err = pn_barrel_open(t->bob_node, &opt, &t->bob, &t->why);
    }
    return err;
}

void two_barrels_open(two_barrels *t, two_barrels_change *change)
{
    if (two_barrels_open_one(t, false, change) != PN_OK
        || two_barrels_open_one(t, true, change) != PN_OK) {
        fail_msg("barrel: %s", t->why.text);
    }
}

void two_barrels_connected(two_barrels *t, two_barrels_change *change)
{
    pn_why why = {0};

    two_barrels_init(t);
    two_barrels_pin(t);
    two_barrels_open(t, change);
    two_barrels_grant(t);
    if (pn_barrel_connect(t->alice, BOB, 10000, &why) != PN_OK) {
        fail_msg("connect: %s", why.text);
    }
}

void two_barrels_close_one(two_barrels *t, bool is_alice)
{
    pn_node_close(is_alice ? t->alice_node : t->bob_node);
    if (is_alice) {
        t->alice_node = NULL;
        t->alice = NULL;
    } else {
        t->bob_node = NULL;
        t->bob = NULL;
    }
}

static int remove_one(
    const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void two_barrels_fini(two_barrels *t)
{
    two_barrels_close_one(t, true);
    two_barrels_close_one(t, false);
    (void)nftw(t->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    (void)pthread_mutex_destroy(&t->lock);
}

void two_barrels_wait(two_barrels *t, const unsigned *counter, unsigned n)
{
    struct timespec pause = {.tv_nsec = 2000000};

    for (int i = 0; i < 5000; i++) {
        bool is_there;

        (void)pthread_mutex_lock(&t->lock);
        is_there = *counter >= n;
        (void)pthread_mutex_unlock(&t->lock);
        if (is_there) {
            return;
        }
        (void)nanosleep(&pause, NULL);
    }
    fail_msg("it did not happen %u times within 10 s", n);
}

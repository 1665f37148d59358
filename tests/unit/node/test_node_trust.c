/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of the trust list under live links: unpairing, labels, and edits by
 * other processes. */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "node/node_internal.h"
#include "os/file.h"
#include "two_nodes.h"

/* ---- unpairing --------------------------------------------------------- */

static void test_node_t25_unpair_ends_the_link(void **state)
{
    atomic_int served = 0;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    assert_int_equal(
        pn_expose(t.bob, "echo", two_nodes_on_echo, &served, NULL), PN_OK);
    assert_int_equal(two_nodes_echo(&t), PN_OK);
    assert_int_equal(pn_unpair(t.bob, &t.alice_key), PN_OK);
    /* The link is gone when pn_unpair returns. */
    assert_false(pn_connected(t.bob, &t.alice_key));
    assert_int_equal(pn_unpair(t.bob, &t.alice_key), PN_NOT_FOUND);
    two_nodes_wait(two_nodes_are_apart, &t);
    assert_int_equal(two_nodes_echo(&t), PN_NOT_CONNECTED);
    assert_int_equal(atomic_load(&served), 1);
    two_nodes_close(&t);
}

typedef struct hammer {
    two_nodes *t;
    atomic_bool stop;
    atomic_int n_handled;
    atomic_int after_unpair;
    atomic_bool is_unpaired;
} hammer;

static void on_hammered(pn_request *req, pn_term args, void *user)
{
    hammer *h = user;

    (void)args;
    atomic_fetch_add(&h->n_handled, 1);
    if (atomic_load(&h->is_unpaired)) {
        atomic_fetch_add(&h->after_unpair, 1);
    }
    (void)pn_request_reply(req, "ok");
}

static void *hammer_main(void *arg)
{
    hammer *h = arg;

    while (!atomic_load(&h->stop)) {
        (void)!pn_send(h->t->alice, &h->t->bob_key, "h", "~i", 1);
    }
    return NULL;
}

static bool is_handled(void *user)
{
    return atomic_load(&((hammer *)user)->n_handled) > 0;
}

static pn_err nothing(void *arg)
{
    (void)arg;
    return PN_OK;
}

/* PROP-4 on real threads: after pn_unpair has returned nothing of that peer is
 * dispatched. */
static void test_node_t25_nothing_after_unpair(void **state)
{
    static hammer h; /* of a thread that goes on when the test fails */
    static two_nodes t;
    pn_expose_options opt;
    pthread_t thread;

    (void)state;
    pn_expose_options_init(&opt);
    opt.flags = PN_EXPOSE_INLINE;
    two_nodes_open(&t, NULL);
    h.t = &t;
    assert_int_equal(pn_expose(t.bob, "h", on_hammered, &h, &opt), PN_OK);
    assert_int_equal(pthread_create(&thread, NULL, hammer_main, &h), 0);
    two_nodes_wait(is_handled, &h);
    assert_int_equal(pn_unpair(t.bob, &t.alice_key), PN_OK);
    /* A handler that had started ends with its turn of the loop. */
    assert_int_equal(pn_node_on_loop(t.bob, nothing, NULL), PN_OK);
    atomic_store(&h.is_unpaired, true);
    two_nodes_wait(two_nodes_are_apart, &t);
    assert_int_equal(pn_node_on_loop(t.bob, nothing, NULL), PN_OK);
    atomic_store(&h.stop, true);
    (void)pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&h.after_unpair), 0);
    two_nodes_close(&t);
}

/* PAIR-2: bob's owner said yes and alice's yes was lost, but alice has stored.
 * Her dial completes it, and gave her nothing before. */
static void test_node_pending_completes(void **state)
{
    char address[32];
    pn_why why = {0};
    pn_store *store;
    two_nodes t;

    (void)state;
    two_nodes_open_apart(&t, NULL);
    assert_int_equal(pn_unpair(t.bob, &t.alice_key), PN_OK);
    assert_int_equal(pn_store_open(t.bob_dir, &store, &why, NULL), PN_OK);
    assert_int_equal(pn_store_pend(store, &t.alice_key, "alice", &why), PN_OK);
    node_address(t.bob, address);
    assert_int_equal(pn_pair_at(t.alice, &t.bob_key, NULL, address), PN_OK);
    two_nodes_wait(two_nodes_are_linked, &t);
    assert_int_equal(
        pn_store_complete(store, &t.alice_key, &why), PN_NOT_FOUND);
    pn_store_close(store);
    two_nodes_close(&t);
}

/* A record of one key lets no other in. */
static void test_node_pending_of_another(void **state)
{
    pn_public_key other;
    char address[32];
    pn_why why = {0};
    pn_store *store;
    two_nodes t;

    (void)state;
    two_nodes_open_apart(&t, NULL);
    assert_int_equal(pn_unpair(t.bob, &t.alice_key), PN_OK);
    assert_int_equal(pn_store_open(t.bob_dir, &store, &why, NULL), PN_OK);
    other = t.alice_key;
    other.bytes[0] ^= 1;
    assert_int_equal(pn_store_pend(store, &other, NULL, &why), PN_OK);
    node_address(t.bob, address);
    assert_int_equal(pn_pair_at(t.alice, &t.bob_key, NULL, address), PN_OK);
    two_nodes_wait_event(&t, PN_EVENT_DIAL_FAILED, 1);
    assert_false(pn_connected(t.bob, &t.alice_key));
    pn_store_close(store);
    two_nodes_close(&t);
}

/* Another process edits the trust list: the node sees it at once. */
static void test_node_trust_edited_elsewhere(void **state)
{
    pn_store *store;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    assert_int_equal(pn_store_open(t.bob_dir, &store, NULL, NULL), PN_OK);
    assert_int_equal(pn_store_unpair(store, &t.alice_key, NULL), PN_OK);
    two_nodes_wait(two_nodes_are_apart, &t);
    assert_int_equal(
        pn_store_pair(store, &t.alice_key, "alice", NULL, NULL), PN_OK);
    pn_store_close(store);
    two_nodes_wait(two_nodes_are_linked, &t);
    two_nodes_close(&t);
}

/* T22: with a damaged list no peer is admitted, and the file is not changed. */
static void test_node_t22_damaged_list_fails_closed(void **state)
{
    pn_why why = {0};
    char path[96];
    FILE *file;
    pn_node_options opt;
    pn_node *node = NULL;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    pn_node_close(t.bob);
    t.bob = NULL;
    (void)snprintf(path, sizeof(path), "%s/trust.bin", t.bob_dir);
    file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs("\x83garbage", file);
    (void)fclose(file);
    two_nodes_options(&opt);
    opt.data_dir = t.bob_dir;
    assert_int_equal(pn_node_open(&opt, &node, &why), PN_CORRUPT);
    assert_non_null(strstr(why.text, "trust.bin"));
    two_nodes_close(&t);
}

/* In a thread that waits for the editors' lock. */
static void *pair_carol(void *node)
{
    static const pn_public_key carol = {{9}};
    static pn_err err;

    err = pn_pair(node, &carol, "carol");
    return &err;
}

/* Replaces bob's trust list by one without alice. */
static void replace_list(two_nodes *t)
{
    static const pn_public_key dave = {{9, 9}};
    char dir[64];
    char from[96];
    char to[96];
    pn_why why;
    pn_store *store = NULL;

    make_dir(dir);
    assert_int_equal(pn_store_open(dir, &store, &why, NULL), PN_OK);
    assert_int_equal(pn_store_pair(store, &dave, NULL, NULL, &why), PN_OK);
    pn_store_close(store);
    (void)snprintf(from, sizeof(from), "%s/trust.bin", dir);
    (void)snprintf(to, sizeof(to), "%s/trust.bin", t->bob_dir);
    assert_int_equal(rename(from, to), 0);
    remove_dir(dir);
}

static bool is_reload_due(void *user)
{
    pn_node *node = user;
    bool is_due;

    pn_node_lock(node);
    is_due = pn_full(node)->trust.is_reload_due;
    pn_node_unlock(node);
    return is_due;
}

/* While another process holds the editors' lock, only the thread that edits
 * waits, and not the links. Changes of that time are read afterwards. */
static void test_node_slow_editor(void **state)
{
    pthread_t thread;
    two_nodes t;
    void *result;
    int dir_fd;
    int lock;
    int why;

    (void)state;
    two_nodes_open(&t, NULL);
    assert_int_equal(
        pn_expose(t.bob, "echo", two_nodes_on_echo, NULL, NULL), PN_OK);
    dir_fd = open(t.bob_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(dir_fd >= 0);
    assert_int_equal(
        pn_file_lock(dir_fd, "edit.lock", true, &lock, &why), PN_OK);
    assert_int_equal(pthread_create(&thread, NULL, pair_carol, t.bob), 0);
    while (pthread_mutex_trylock(&pn_full(t.bob)->trust.lock) == 0) {
        (void)pthread_mutex_unlock(&pn_full(t.bob)->trust.lock);
    }
    replace_list(&t);
    two_nodes_wait(is_reload_due, t.bob);
    assert_int_equal(two_nodes_echo(&t), PN_OK);
    (void)close(lock);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_int_equal(*(pn_err *)result, PN_OK);
    two_nodes_wait(two_nodes_are_apart, &t);
    (void)close(dir_fd);
    two_nodes_close(&t);
}

static void one_worker(pn_node_options *opt, bool is_alice)
{
    (void)is_alice;
    opt->max_workers = 1;
    opt->reconnect_min_ms = 20;
}

/* Alice's file has an address of bob. */
static bool is_remembered(void *user)
{
    two_nodes *t = user;
    pn_peer_address addresses[PN_ADDRESSES_PER_PEER];
    pn_store *store;
    size_t n;

    assert_int_equal(pn_store_open(t->alice_dir, &store, NULL, NULL), PN_OK);
    n = pn_store_addresses(store, &t->bob_key, addresses);
    pn_store_close(store);
    return n > 0;
}

/* A link comes up while another process edits: its address is not written then,
 * but with the next link, and no worker waits for that. */
static void test_node_slow_editor_takes_no_worker(void **state)
{
    pn_reply *reply = NULL;
    char address[32];
    pthread_t thread;
    two_nodes t;
    int dir_fd;
    int lock;
    int why;

    (void)state;
    two_nodes_open_apart(&t, one_worker);
    assert_int_equal(pn_pair(t.alice, &t.bob_key, "bob"), PN_OK);
    assert_int_equal(
        pn_expose(t.alice, "echo", two_nodes_on_echo, NULL, NULL), PN_OK);
    dir_fd = open(t.alice_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(dir_fd >= 0);
    assert_int_equal(
        pn_file_lock(dir_fd, "edit.lock", true, &lock, &why), PN_OK);
    assert_int_equal(pthread_create(&thread, NULL, pair_carol, t.alice), 0);
    while (pthread_mutex_trylock(&pn_full(t.alice)->trust.lock) == 0) {
        (void)pthread_mutex_unlock(&pn_full(t.alice)->trust.lock);
    }
    node_address(t.bob, address);
    assert_int_equal(pn_connect(t.alice, &t.bob_key, address), PN_OK);
    two_nodes_wait(two_nodes_are_linked, &t);
    assert_int_equal(
        pn_call(t.bob, &t.alice_key, "echo", 5000, &reply, "~i", 1), PN_OK);
    pn_reply_free(reply);
    (void)close(lock);
    (void)close(dir_fd);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(is_remembered(&t));
    assert_int_equal(pn_unpair(t.bob, &t.alice_key), PN_OK);
    two_nodes_wait(two_nodes_are_apart, &t);
    assert_int_equal(pn_pair(t.bob, &t.alice_key, "alice"), PN_OK);
    two_nodes_wait(two_nodes_are_linked, &t);
    two_nodes_wait(is_remembered, &t);
    two_nodes_close(&t);
}

/* ---- errors of pairing --------------------------------------------------- */

typedef struct refusal {
    const char *name;
    const char *address;
    const char *text; /* of the log line "not paired" */
    atomic_bool is_told;
} refusal;

static void on_refusal_log(void *user, const pn_log_event *event)
{
    refusal *r = user;

    if (event->what == PN_LOG_NOT_PAIRED
        && strstr(event->text, r->text) != NULL) {
        atomic_store(&r->is_told, true);
    }
}

static bool refusal_is_told(void *user)
{
    return atomic_load(&((refusal *)user)->is_told);
}

static void test_node_why_not_paired(void **state)
{
    static const pn_public_key key = {{9}};
    refusal *r = *state;
    pn_node_options opt;
    pn_node *node = NULL;
    char path[96];
    char dir[64];
    pn_err err;

    make_dir(dir);
    two_nodes_options(&opt);
    opt.data_dir = dir;
    opt.on_log = on_refusal_log;
    opt.user = r;
    assert_int_equal(pn_node_open(&opt, &node, NULL), PN_OK);
    if (r->address == NULL) {
        /* It is in the way of the file. */
        (void)snprintf(path, sizeof(path), "%s/trust.bin", dir);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    err = pn_pair_at(node, &key, NULL, r->address);
    assert_int_equal(err == PN_INVALID, r->address != NULL);
    assert_true(err != PN_OK);
    two_nodes_wait(refusal_is_told, r);
    pn_node_close(node);
    if (r->address == NULL) {
        assert_int_equal(rmdir(path), 0);
    }
    remove_dir(dir);
}

/* ---- labels and events --------------------------------------------------- */

static void on_who(pn_request *req, pn_term args, void *user)
{
    (void)args;
    (void)user;
    (void)pn_request_reply(req, "~s", pn_request_label(req));
}

/* The caller's label, as bob calls her. */
static bool is_called(two_nodes *t, const char *label)
{
    pn_reply *reply = NULL;
    pn_slice name = {NULL, 0};
    bool is_so;

    assert_int_equal(
        pn_call(t->alice, &t->bob_key, "who", 10000, &reply, "nil"), PN_OK);
    is_so = pn_term_match(pn_reply_term(reply), "~b", &name)
            && name.len == strlen(label)
            && memcmp(name.data, label, name.len) == 0;
    pn_reply_free(reply);
    return is_so;
}

/* Pairing a paired key with another label renames the peer, on its live links
 * too. */
static void test_node_rename(void **state)
{
    pn_peer_info *peers = NULL;
    size_t n = 0;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    assert_int_equal(pn_expose(t.bob, "who", on_who, NULL, NULL), PN_OK);
    assert_true(is_called(&t, "alice"));
    assert_int_equal(pn_pair(t.bob, &t.alice_key, "alice"), PN_EXISTS);
    assert_int_equal(t.n_events[PN_EVENT_TRUST_CHANGED], 2);
    assert_int_equal(pn_pair(t.bob, &t.alice_key, "anna"), PN_EXISTS);
    two_nodes_wait_event(&t, PN_EVENT_TRUST_CHANGED, 3);
    assert_string_equal(t.last_text, "renamed");
    assert_true(is_called(&t, "anna"));
    assert_int_equal(pn_list_peers(t.bob, &peers, &n), PN_OK);
    assert_int_equal(n, 1);
    assert_string_equal(peers[0].label, "anna");
    free(peers);
    assert_int_equal(pn_pair(t.bob, &t.alice_key, NULL), PN_EXISTS);
    assert_true(is_called(&t, "anna"));
    two_nodes_close(&t);
}

/* Opening a node causes no event for the peers it has. */
static void test_node_opening_changes_no_trust(void **state)
{
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    two_nodes_wait_event(&t, PN_EVENT_TRUST_CHANGED, 2);
    pn_node_close(t.bob);
    two_nodes_reopen_bob(&t);
    two_nodes_wait_event(&t, PN_EVENT_LISTENING, 3);
    assert_int_equal(t.n_events[PN_EVENT_TRUST_CHANGED], 2);
    assert_int_equal(pn_unpair(t.bob, &t.alice_key), PN_OK);
    two_nodes_wait_event(&t, PN_EVENT_TRUST_CHANGED, 3);
    assert_string_equal(t.last_text, "unpaired");
    two_nodes_close(&t);
}

static refusal refusals[] = {
    {.name = "address", .address = "nonsense", .text = "'nonsense' is no"},
    {.name = "file", .text = "trust.bin"},
};

int main(void)
{
    pn_test_add("node/t25/unpair_ends_the_link",
        test_node_t25_unpair_ends_the_link, NULL);
    pn_test_add("node/t25/nothing_after_unpair",
        test_node_t25_nothing_after_unpair, NULL);
    pn_test_add("node/pending/completes", test_node_pending_completes, NULL);
    pn_test_add("node/pending/of_another", test_node_pending_of_another, NULL);
    pn_test_add(
        "node/trust/edited_elsewhere", test_node_trust_edited_elsewhere, NULL);
    pn_test_add("node/trust/slow_editor", test_node_slow_editor, NULL);
    pn_test_add("node/trust/slow_editor_takes_no_worker",
        test_node_slow_editor_takes_no_worker, NULL);
    pn_test_add("node/t22/damaged_list_fails_closed",
        test_node_t22_damaged_list_fails_closed, NULL);
    pn_test_add("node/tell/rename", test_node_rename, NULL);
    pn_test_add("node/tell/opening_changes_no_trust",
        test_node_opening_changes_no_trust, NULL);
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        pn_test_addf(test_node_why_not_paired, &refusals[i],
            "node/tell/not_paired/%s", refusals[i].name);
    }
    return pn_test_run("node/trust");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The nodes that a Barrel part accepts: pins, cookies, and changes of the key
 * directory while the node runs. */
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "two_barrels.h"

/* ---- trust ------------------------------------------------------------- */

/* Alice gets one sentence, and bob logs one line. */
static void refused(two_barrels *t, const char *expected, const char *logged)
{
    pn_why why = {0};

    assert_int_equal(
        pn_barrel_connect(t->alice, BOB, 10000, &why), PN_NOT_CONNECTED);
    if (strstr(why.text, expected) == NULL) {
        fail_msg("expected \"%s\" in \"%s\"", expected, why.text);
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
    refused(&t, "our key is not pinned there", NULL);
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
    pn_ed25519_key pinned;
    pn_why why = {0};

    (void)state;
    two_barrels_init(&t);
    two_barrels_open(&t, with_tofu);
    if (pn_barrel_connect(t.alice, BOB, 8000, &why) != PN_OK) {
        fail_msg("connect: %s", why.text);
    }
    assert_int_equal(pn_barrel_pinned(t.alice, BOB, &pinned), PN_OK);
    assert_true(pn_ed25519_key_equal(&pinned, &t.bob_key));
    assert_int_equal(pn_barrel_pinned(t.bob, ALICE, &pinned), PN_OK);
    assert_true(pn_ed25519_key_equal(&pinned, &t.alice_key));
    assert_int_equal(
        access(two_barrels_path(&t, true, "keys/trusted/" BOB ".pub"), F_OK),
        0);
    two_barrels_fini(&t);
}

static void pin_wrong_key(const two_barrels *t, bool at_alice)
{
    pn_barrel_store *store = NULL;
    pn_ed25519_key wrong = t->alice_key;

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
    refused(&t, "another key than ours is pinned there", NULL);
    two_barrels_fini(&t);
}

static void test_key_mismatch_here(void **state)
{
    two_barrels t;

    (void)state;
    two_barrels_init(&t);
    pin_wrong_key(&t, true);
    two_barrels_open(&t, with_tofu);
    refused(&t, "another key is pinned here", NULL);
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

/* Removing a pin ends its link, and no later dial makes one. */
static void test_unpin(void **state)
{
    two_barrels t;
    const char *text;

    (void)state;
    two_barrels_connected(&t, NULL);
    assert_int_equal(pn_barrel_unpin(t.bob, ALICE), PN_OK);
    two_barrels_wait(&t, &t.n_trust, 1);
    assert_string_equal(t.last_trust, "unpinned " ALICE);
    two_barrels_wait(&t, &t.n_down, 2);
    assert_int_equal(
        alice_call(&t, "echo", "x", 10000, &text), PN_NOT_CONNECTED);
    assert_non_null(strstr(text, "our key is not pinned there"));
    assert_int_equal(pn_barrel_unpin(t.bob, ALICE), PN_NOT_FOUND);
    two_barrels_fini(&t);
}

/* Another process does the same: the directory is watched. */
static void test_unpin_by_file(void **state)
{
    two_barrels t;

    (void)state;
    two_barrels_connected(&t, NULL);
    assert_int_equal(
        unlink(two_barrels_path(&t, false, "keys/trusted/" ALICE ".pub")), 0);
    two_barrels_wait(&t, &t.n_trust, 1);
    assert_string_equal(t.last_trust, "unpinned " ALICE);
    two_barrels_wait(&t, &t.n_down, 2);
    two_barrels_pin(&t);
    two_barrels_wait(&t, &t.n_trust, 2);
    assert_string_equal(t.last_trust, "pinned " ALICE);
    two_barrels_fini(&t);
}

/* ---- a slow disk --------------------------------------------------------- */

static atomic_bool is_slow;
static atomic_bool is_removing;

pn_err __real_pn_file_remove(int dir_fd, const char *name, int *ret_errno);
pn_err __wrap_pn_file_remove(int dir_fd, const char *name, int *ret_errno);

pn_err __wrap_pn_file_remove(int dir_fd, const char *name, int *ret_errno)
{
    while (atomic_load(&is_slow)) {
        atomic_store(&is_removing, true);
        (void)usleep(1000);
    }
    return __real_pn_file_remove(dir_fd, name, ret_errno);
}

static void *unpin_main(void *arg)
{
    two_barrels *t = arg;

    return pn_barrel_unpin(t->bob, "second@127.0.0.1") == PN_OK ? t : NULL;
}

/* The file of a pin takes long to remove. The pin counts no more, and callers
 * meanwhile do not wait for the disk. */
static void test_unpin_slowly(void **state)
{
    pn_barrel_store *store = NULL;
    pn_why why = {0};
    pn_ed25519_key key;
    pthread_t thread;
    two_barrels t;
    void *is_ok = NULL;
    bool is_known;
    pn_err err;

    (void)state;
    two_barrels_init(&t);
    two_barrels_pin(&t);
    assert_int_equal(pn_barrel_store_open(two_barrels_path(&t, false, "keys"),
                         &store, NULL, NULL),
        PN_OK);
    assert_int_equal(
        pn_barrel_store_pin(store, "second@127.0.0.1", &t.alice_key, NULL),
        PN_OK);
    pn_barrel_store_close(store);
    two_barrels_open(&t, NULL);
    atomic_store(&is_slow, true);
    assert_int_equal(pthread_create(&thread, NULL, unpin_main, &t), 0);
    while (!atomic_load(&is_removing)) {
        (void)usleep(1000);
    }
    err = pn_barrel_connect(t.alice, BOB, 10000, &why);
    is_known = err == PN_OK
               && pn_barrel_pinned(t.bob, "second@127.0.0.1", &key) == PN_OK;
    atomic_store(&is_slow, false);
    assert_int_equal(err, PN_OK);
    assert_false(is_known);
    assert_int_equal(pthread_join(thread, &is_ok), 0);
    assert_non_null(is_ok);
    two_barrels_fini(&t);
}

static void cookie_only(pn_barrel_options *options, bool is_alice)
{
    static const char *const patterns[] = {"*@127.0.0.1"};

    (void)is_alice;
    options->cookie_only = patterns;
    options->n_cookie_only = 1;
}

/* Nodes that are let in by name and cookie alone have no key, so no grant
 * names them. */
static void test_cookie_only(void **state)
{
    two_barrels t;
    const char *text;

    (void)state;
    two_barrels_init(&t);
    two_barrels_open(&t, cookie_only);
    two_barrels_grant(&t);
    assert_int_equal(alice_call(&t, "echo", "x", 10000, &text), PN_OK);
    assert_string_equal(text, "{:error, :forbidden}");
    assert_int_equal(alice_rpc(&t, "add", "[1, 2]", &text), PN_REMOTE);
    two_barrels_fini(&t);
}

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
    pn_why why = {0};
    pn_ed25519_key key;

    (void)state;
    two_barrels_init(&t);
    two_barrels_open(&t, with_tofu);
    assert_int_equal(pn_barrel_connect(t.alice, BOB, 8000, &why), PN_OK);
    two_barrels_wait(&t, &t.n_trust, 2);
    assert_memory_equal(t.last_trust, "pinned ", 7);
    two_barrels_close_one(&t, true);
    assert_int_equal(two_barrels_open_one(&t, true, as_mallory), PN_OK);
    assert_int_equal(
        pn_barrel_connect(t.alice, BOB, 8000, &why), PN_NOT_CONNECTED);
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

/* max_new_pins new names, and no more. */
static void test_new_pins_option(void **state)
{
    (void)state;
    for (int max = 1; max <= 2; max++) {
        two_barrels t;
        pn_why why = {0};

        two_barrels_init(&t);
        assert_int_equal(
            two_barrels_open_one(&t, false, max == 1 ? often : often_and_two),
            PN_OK);
        assert_int_equal(two_barrels_open_one(&t, true, as_mallory), PN_OK);
        assert_int_equal(pn_barrel_connect(t.alice, BOB, 8000, &why), PN_OK);
        two_barrels_close_one(&t, true);
        assert_int_equal(two_barrels_open_one(&t, true, with_tofu), PN_OK);
        assert_int_equal(pn_barrel_connect(t.alice, BOB, 8000, &why),
            max == 1 ? PN_NOT_CONNECTED : PN_OK);
        two_barrels_fini(&t);
    }
}

/* ---- damaged pins ---------------------------------------------------------
 */

static void reconnect_alice(two_barrels *t)
{
    two_barrels_close_one(t, true);
    assert_int_equal(two_barrels_open_one(t, true, NULL), PN_OK);
}

static void put_file(const char *path, const char *text)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
}

/* While a pin at bob is damaged no new link is made, neither by him nor to him;
 * links that are up stay. */
static void test_pin_damaged(void **state)
{
    const char *carol = "keys/trusted/carol@127.0.0.1.pub";
    two_barrels t;
    pn_barrel_metrics m;
    pn_why why = {0};
    const char *text;

    (void)state;
    two_barrels_connected(&t, NULL);
    put_file(two_barrels_path(&t, false, carol), "short");
    two_barrels_wait(&t, &t.n_logs, 1);
    (void)pthread_mutex_lock(&t.lock);
    assert_non_null(
        strstr(t.last_log, "pins cannot be read: no new node is let in: /"));
    assert_non_null(strstr(t.last_log, carol));
    (void)pthread_mutex_unlock(&t.lock);
    assert_int_equal(alice_call(&t, "echo", "x", 10000, &text), PN_OK);
    reconnect_alice(&t);
    assert_int_not_equal(pn_barrel_connect(t.alice, BOB, 10000, &why), PN_OK);
    assert_int_not_equal(pn_barrel_connect(t.bob, ALICE, 10000, &why), PN_OK);
    assert_non_null(strstr(why.text, "the pins cannot be read"));
    /* She is refused before her message is looked at. */
    pn_barrel_get_metrics(t.bob, &m);
    assert_int_equal(m.auth_fail_incoming, 0);
    assert_int_equal(m.auth_ok_incoming, 1);
    assert_int_equal(m.auth_ok_outgoing, 0);
    assert_int_equal(unlink(two_barrels_path(&t, false, carol)), 0);
    for (int i = 0; i < 100; i++) {
        if (pn_barrel_connect(t.alice, BOB, 10000, &why) == PN_OK) {
            break;
        }
        (void)usleep(50000);
    }
    assert_int_equal(alice_call(&t, "echo", "y", 10000, &text), PN_OK);
    two_barrels_fini(&t);
}

/* A pin that is removed while another is damaged: its link ends, and it stays
 * removed when other files of the directory change. */
static void test_pin_damaged_and_unpinned(void **state)
{
    const char *carol = "keys/trusted/carol@127.0.0.1.pub";
    two_barrels t;
    pn_why why = {0};
    const char *text;

    (void)state;
    two_barrels_connected(&t, NULL);
    put_file(two_barrels_path(&t, false, carol), "short");
    two_barrels_wait(&t, &t.n_logs, 1);
    assert_int_equal(alice_call(&t, "echo", "x", 10000, &text), PN_OK);
    assert_int_equal(
        unlink(two_barrels_path(&t, false, "keys/trusted/" ALICE ".pub")), 0);
    two_barrels_wait(&t, &t.n_down, 2);
    put_file(two_barrels_path(&t, false, "keys/trusted/README"), "x");
    for (int i = 0; i < 5; i++) {
        assert_int_not_equal(
            pn_barrel_connect(t.alice, BOB, 10000, &why), PN_OK);
        assert_int_not_equal(
            pn_barrel_connect(t.bob, ALICE, 10000, &why), PN_OK);
    }
    two_barrels_fini(&t);
}

#define T(name) pn_test_add("barrel/link/" #name, test_##name, NULL)

int main(void)
{
    T(strict_unknown);
    T(tofu);
    T(key_mismatch_there);
    T(key_mismatch_here);
    T(wrong_cookie);
    T(unpin);
    T(unpin_by_file);
    T(unpin_slowly);
    T(cookie_only);
    T(new_pins);
    T(new_pins_option);
    T(pin_damaged);
    T(pin_damaged_and_unpinned);
    return pn_test_run("barrel/pins");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A data directory from the outside. docs/THREATS.md, T20 to T23, by name. */
#include <sys/stat.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"
#include "os/clock.h"
#include "os/file.h"
#include "trust/identity.h"

static pn_why error;

/* ---- opening ------------------------------------------------------------- */

/* T20: new files are private, whatever the umask. */
static void test_trust_store_first_use(void **state)
{
    const mode_t mask = umask(0);
    pn_why warning = {.text = "x"};
    pn_store *store;
    pn_store *again;
    pn_tempdir t;
    pn_public_key key;

    (void)state;
    pn_tempdir_init(&t);
    assert_int_equal(
        pn_store_open(pn_tempdir_path(&t, "a/data"), &store, &error, &warning),
        PN_OK);
    assert_string_equal(error.text, "");
    assert_string_equal(warning.text, "");
    assert_int_equal(pn_tempdir_mode(&t, "a/data"), 0700);
    assert_int_equal(pn_tempdir_mode(&t, "a/data/identity.keys"), 0600);
    assert_int_equal(pn_tempdir_mode(&t, "a/data/edit.lock"), 0600);
    assert_int_equal(pn_tempdir_mode(&t, "a/data/trust.bin"), -1);
    key = *pn_store_key(store);
    assert_true(pn_key_equal(&key, &pn_store_identity(store)->public_key));
    assert_int_equal(
        pn_store_pair(store, &fixture_bob, "b", "h:1", &error), PN_OK);
    assert_int_equal(pn_store_lock_node(store, &error), PN_OK);
    assert_int_equal(pn_tempdir_mode(&t, "a/data/trust.bin"), 0600);
    assert_int_equal(pn_tempdir_mode(&t, "a/data/addresses"), 0600);
    assert_int_equal(pn_tempdir_mode(&t, "a/data/node.lock"), 0600);
    assert_int_equal(
        pn_store_open(pn_tempdir_path(&t, "a/data"), &again, &error, NULL),
        PN_OK);
    assert_true(pn_key_equal(&key, pn_store_key(again)));
    pn_store_close(again);
    pn_store_close(store);
    pn_tempdir_fini(&t);
    (void)umask(mask);
}

static void test_trust_store_keys_differ(void **state)
{
    pn_store *a;
    pn_store *b;
    pn_tempdir t;

    (void)state;
    pn_tempdir_init(&t);
    assert_int_equal(
        pn_store_open(pn_tempdir_path(&t, "a"), &a, NULL, NULL), PN_OK);
    assert_int_equal(
        pn_store_open(pn_tempdir_path(&t, "b"), &b, NULL, NULL), PN_OK);
    assert_false(pn_key_equal(pn_store_key(a), pn_store_key(b)));
    pn_store_close(a);
    pn_store_close(b);
    pn_tempdir_fini(&t);
}

static void test_trust_store_reads_what_is_there(void **state)
{
    pn_why warning;
    pn_store_peer *peers;
    pn_peer_address found[PN_ADDRESSES_PER_PEER];
    pn_store *store;
    pn_tempdir t;
    size_t n;

    (void)state;
    fixture_make(&t);
    assert_int_equal(
        pn_store_open(fixture_data(&t), &store, &error, &warning), PN_OK);
    assert_string_equal(warning.text, "");
    assert_true(pn_key_equal(pn_store_key(store), &fixture_alice));
    assert_int_equal(pn_store_peers(store, &peers, &n, &error), PN_OK);
    assert_int_equal(n, 2);
    assert_true(pn_key_equal(&peers[0].key, &fixture_carol));
    assert_string_equal(peers[0].label, "carol");
    assert_string_equal(peers[0].address, "192.0.2.7:7100");
    assert_true(peers[0].added_at_us == FIXTURE_CAROL_US);
    assert_true(pn_key_equal(&peers[1].key, &fixture_bob));
    assert_string_equal(peers[1].label, "");
    assert_string_equal(peers[1].address, "");
    assert_true(peers[1].added_at_us == FIXTURE_BOB_US);
    assert_int_equal(pn_store_addresses(store, &fixture_carol, found), 2);
    assert_string_equal(found[0].text, "192.0.2.7:7100");
    assert_true(found[0].is_manual);
    assert_string_equal(found[1].text, "192.0.2.8:7100");
    assert_int_equal(pn_store_addresses(store, &fixture_bob, found), 0);
    fixture_assert_untouched(&t);
    free(peers);
    pn_store_close(store);
    pn_tempdir_fini(&t);
}

/* T20: the modes that an Elixir node leaves are tightened, with a warning. */
static void test_trust_store_tightens(void **state)
{
    static const char *const names[] = {
        "identity.keys", "trust.bin", "addresses"};
    pn_why warning;
    pn_store *store;
    pn_tempdir t;

    (void)state;
    fixture_make(&t);
    assert_int_equal(chmod(fixture_data(&t), 0755), 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(chmod(fixture_path(&t, names[i]), 0644), 0);
    }
    assert_int_equal(
        pn_store_open(fixture_data(&t), &store, &error, &warning), PN_OK);
    for (unsigned i = 0; i < 3; i++) {
        struct stat st;

        assert_int_equal(stat(fixture_path(&t, names[i]), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_says(warning.text, names[i]);
    }
    fixture_assert_untouched(&t);
    pn_store_close(store);
    assert_int_equal(
        pn_store_open(fixture_data(&t), &store, &error, &warning), PN_OK);
    assert_string_equal(warning.text, "");
    pn_store_close(store);
    pn_tempdir_fini(&t);
}

/* A mounted identity: the target of the link is checked when it is opened, and
 * its mode is not changed. */
static void test_trust_store_identity_mounted(void **state)
{
    pn_why warning;
    pn_store *store;
    struct stat st;
    pn_tempdir t;

    (void)state;
    fixture_make(&t);
    assert_int_equal(mkdirat(t.fd, "mount", 0755), 0);
    assert_int_equal(
        renameat(t.fd, "data/identity.keys", t.fd, "mount/keys"), 0);
    assert_int_equal(symlinkat("../mount/keys", t.fd, "data/identity.keys"), 0);
    assert_int_equal(fchmodat(t.fd, "mount/keys", 0440, 0), 0);
    assert_int_equal(
        pn_store_open(fixture_data(&t), &store, &error, &warning), PN_OK);
    assert_string_equal(warning.text, "");
    pn_store_close(store);
    assert_int_equal(fchmodat(t.fd, "mount/keys", 0444, 0), 0);
    assert_int_equal(pn_store_open(fixture_data(&t), &store, &error, &warning),
        PN_PERMISSION);
    assert_says(error.text, "identity.keys: expected a file that no other");
    assert_int_equal(fstatat(t.fd, "mount/keys", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0444);
    assert_int_equal(unlinkat(t.fd, "mount/keys", 0), 0);
    assert_int_equal(
        pn_store_open(fixture_data(&t), &store, &error, &warning), PN_SYS);
    assert_says(error.text, "identity.keys: No such file");
    pn_tempdir_fini(&t);
}

/* T22 for the identity: every recorded keyfile that ours refuses. */
static void test_trust_store_identity_refused(void **state)
{
    pn_store *store = NULL;
    pn_tempdir t;
    size_t len;
    uint8_t *file = pn_json_hex(*state, "keyfile_hex", &len);

    fixture_make(&t);
    pn_tempdir_put(&t, "data/identity.keys", file, len);
    assert_int_equal(
        pn_store_open(fixture_data(&t), &store, &error, NULL), PN_CORRUPT);
    assert_null(store);
    assert_says(error.text, "data/identity.keys: is damaged: ");
    fixture_assert_file(&t, "identity.keys", file, len);
    free(file);
    pn_tempdir_fini(&t);
}

static void test_trust_store_identity_far_too_long(void **state)
{
    static uint8_t big[5000];
    pn_store *store = NULL;
    pn_tempdir t;

    (void)state;
    memcpy(big, fixture_files[0].data, fixture_files[0].len);
    fixture_make(&t);
    for (size_t len = 1024; len <= sizeof(big); len += 1) {
        len = len == 1027 ? sizeof(big) : len;
        pn_tempdir_put(&t, "data/identity.keys", big, len);
        assert_int_equal(
            pn_store_open(fixture_data(&t), &store, &error, NULL), PN_CORRUPT);
        assert_says(error.text, "identity.keys");
        fixture_assert_file(&t, "identity.keys", big, len);
    }
    pn_tempdir_fini(&t);
}

/* A key that was taken away is not replaced in silence. */
static void test_trust_store_identity_gone(void **state)
{
    pn_why warning;
    pn_store *store;
    pn_tempdir t;

    (void)state;
    fixture_make(&t);
    assert_int_equal(unlinkat(t.fd, "data/identity.keys", 0), 0);
    assert_int_equal(
        pn_store_open(fixture_data(&t), &store, &error, &warning), PN_OK);
    assert_says(warning.text, "identity.keys: was not there although");
    assert_false(pn_key_equal(pn_store_key(store), &fixture_alice));
    pn_store_close(store);
    pn_tempdir_fini(&t);
}

/* Bytes of trust.bin: a mebibyte by default, whatever is in them. */
static void test_trust_store_trust_size(void **state)
{
    enum { MAX = 1024 * 1024 };
    static uint8_t big[MAX + 1];
    pn_store *store = NULL;
    pn_tempdir t;

    (void)state;
    fixture_make(&t);
    for (size_t len = MAX - 1; len <= MAX + 1; len++) {
        pn_tempdir_put(&t, "data/trust.bin", big, len);
        assert_int_equal(pn_store_open(fixture_data(&t), &store, &error, NULL),
            len <= MAX ? PN_CORRUPT : PN_LIMIT);
        assert_says(error.text, "trust.bin");
        fixture_assert_file(&t, "trust.bin", big, len);
    }
    assert_says(error.text, "larger than such a file can be");
    pn_tempdir_fini(&t);
}

/* Damaged hints are reported and neither used nor overwritten, and the store
 * opens. */
static void test_trust_store_addresses_damaged(void **state)
{
    static const char damaged[] = "peernet addresses 1\nsha256 00\n";
    pn_why warning;
    pn_peer_address found[PN_ADDRESSES_PER_PEER];
    pn_store_peer *peers;
    pn_store *store;
    pn_tempdir t;
    size_t n;

    (void)state;
    fixture_make(&t);
    pn_tempdir_put(&t, "data/addresses", damaged, sizeof(damaged) - 1);
    assert_int_equal(
        pn_store_open(fixture_data(&t), &store, &error, &warning), PN_OK);
    assert_says(warning.text, "data/addresses: is damaged: ");
    assert_int_equal(pn_store_addresses(store, &fixture_carol, found), 0);
    assert_int_equal(
        pn_store_remember(store, &fixture_bob, "192.0.2.1:1"), PN_CORRUPT);
    assert_int_equal(pn_store_addresses(store, &fixture_bob, found), 1);
    /* Asked for an address by name, it cannot be done: nothing is. */
    {
        const pn_public_key key = fixture_key(1);

        assert_int_equal(
            pn_store_pair(store, &key, NULL, "h:1", &error), PN_CORRUPT);
        assert_says(error.text, "addresses");
        assert_false(fixture_has(store, &key));
        assert_int_equal(pn_store_pair(store, &key, NULL, NULL, &error), PN_OK);
    }
    assert_int_equal(pn_store_unpair(store, &fixture_carol, &error), PN_OK);
    assert_int_equal(pn_store_peers(store, &peers, &n, &error), PN_OK);
    assert_int_equal(n, 2);
    fixture_assert_file(&t, "addresses", damaged, sizeof(damaged) - 1);
    free(peers);
    pn_store_close(store);
    pn_tempdir_fini(&t);
}

/* A start sweeps what a killed edit left, but not from under a living one. */
static void test_trust_store_sweeps(void **state)
{
    pn_store *store;
    pn_tempdir t;
    int dir_fd;
    int lock_fd;
    int why;

    (void)state;
    fixture_make(&t);
    pn_tempdir_put(&t, "data/trust.bin.pn-tmp", "x", 1);
    assert_int_equal(pn_dir_open(fixture_data(&t), &dir_fd, &why), PN_OK);
    assert_int_equal(
        pn_file_lock(dir_fd, "edit.lock", false, &lock_fd, &why), PN_OK);
    store = fixture_open(&t);
    pn_store_close(store);
    assert_int_equal(pn_tempdir_mode(&t, "data/trust.bin.pn-tmp"), 0600);
    assert_int_equal(close(lock_fd), 0);
    assert_int_equal(close(dir_fd), 0);
    store = fixture_open(&t);
    pn_store_close(store);
    assert_int_equal(pn_tempdir_mode(&t, "data/trust.bin.pn-tmp"), -1);
    fixture_assert_untouched(&t);
    pn_tempdir_fini(&t);
}

static void test_trust_store_long_path(void **state)
{
    char path[900];
    pn_store *store = NULL;
    pn_tempdir t;

    (void)state;
    fixture_make(&t);
    pn_tempdir_put(&t, "data/trust.bin", "", 0);
    (void)snprintf(path, sizeof(path), "%s/data", t.path);
    while (strlen(path) < 800) {
        memmove(path + strlen(path) - 4, "./data", 7);
    }
    assert_int_equal(pn_store_open(path, &store, &error, NULL), PN_CORRUPT);
    assert_memory_equal(error.text, "...", 3);
    assert_says(error.text, "/data/trust.bin: is damaged: ");
    pn_tempdir_fini(&t);
}

/* ---- pair and unpair --------------------------------------------------- */

static void test_trust_store_pair_and_unpair(void **state)
{
    const int64_t before = pn_wall_now_us();
    const pn_public_key key = fixture_key(1);
    pn_store_peer *peers;
    pn_store *store;
    pn_tempdir t;
    size_t n;

    (void)state;
    fixture_make(&t);
    store = fixture_open(&t);
    assert_int_equal(
        pn_store_pair(store, &key, "Zo\xc3\xab", "[fe80::1%eth0]:7100", &error),
        PN_OK);
    assert_string_equal(error.text, "");
    assert_int_equal(pn_store_peers(store, &peers, &n, &error), PN_OK);
    assert_int_equal(n, 3);
    assert_true(pn_key_equal(&peers[0].key, &key));
    assert_string_equal(peers[0].label, "Zo\xc3\xab");
    assert_string_equal(peers[0].address, "[fe80::1%eth0]:7100");
    assert_true(peers[0].added_at_us >= before
                && peers[0].added_at_us <= pn_wall_now_us());
    free(peers);
    assert_non_null(pn_trust_list_find(pn_store_trust(store), &key));
    fixture_assert_file(
        &t, "trust.bin.bak", fixture_files[1].data, fixture_files[1].len);
    assert_int_equal(pn_store_unpair(store, &key, &error), PN_OK);
    assert_null(pn_trust_list_find(pn_store_trust(store), &key));
    assert_int_equal(pn_store_unpair(store, &key, &error), PN_NOT_FOUND);
    assert_says(error.text, "not paired");
    /* To the byte what it was: nothing else was touched on the way. */
    fixture_assert_untouched(&t);
    pn_store_close(store);
    pn_tempdir_fini(&t);
}

static void test_trust_store_pair_twice(void **state)
{
    pn_store_peer *peers;
    pn_store *store;
    pn_tempdir t;
    size_t n;

    (void)state;
    fixture_make(&t);
    store = fixture_open(&t);
    assert_int_equal(
        pn_store_pair(store, &fixture_carol, "carol", NULL, &error), PN_EXISTS);
    assert_says(error.text, "already paired");
    assert_int_equal(
        pn_store_pair(store, &fixture_bob, NULL, NULL, &error), PN_EXISTS);
    fixture_assert_untouched(&t);
    assert_int_equal(
        pn_store_pair(store, &fixture_bob, NULL, "h:1", &error), PN_EXISTS);
    fixture_assert_file(
        &t, "trust.bin", fixture_files[1].data, fixture_files[1].len);
    assert_int_equal(pn_store_peers(store, &peers, &n, &error), PN_OK);
    assert_int_equal(n, 2);
    assert_string_equal(peers[1].label, "");
    assert_string_equal(peers[1].address, "h:1");
    free(peers);
    pn_store_close(store);
    pn_tempdir_fini(&t);
}

/* A label that is given replaces the old one, and nothing else changes: not the
 * order, not the times, not what another version has written beside them. */
/* trust.bin is the fixture's, but for one nil that is an empty binary. */
static void assert_empty_label(const pn_tempdir *t)
{
    static const uint8_t nil[] = {119, 3, 'n', 'i', 'l'};
    static const uint8_t empty[] = {109, 0, 0, 0, 0};
    const size_t len = fixture_files[1].len;
    uint8_t *want = malloc(len);
    uint8_t *at;

    assert_non_null(want);
    memcpy(want, fixture_files[1].data, len);
    at = memmem(want, len, nil, sizeof(nil));
    assert_non_null(at);
    memcpy(at, empty, sizeof(empty));
    fixture_assert_file(t, "trust.bin", want, len);
    free(want);
}

static void test_trust_store_rename(void **state)
{
    static const char *const labels[] = {"robert", "", "bob", NULL};
    pn_store_peer *peers;
    pn_store *store;
    pn_store *other;
    pn_tempdir t;
    size_t n;

    (void)state;
    fixture_make(&t);
    store = fixture_open(&t);
    for (size_t i = 0; i < 4; i++) {
        other = fixture_open(&t);
        assert_int_equal(
            pn_store_pair(store, &fixture_bob, labels[i], NULL, &error),
            PN_EXISTS);
        assert_int_equal(pn_store_peers(other, &peers, &n, &error), PN_OK);
        assert_int_equal(n, 2);
        assert_string_equal(
            peers[1].label, labels[i] == NULL ? "bob" : labels[i]);
        assert_true(pn_key_equal(&peers[1].key, &fixture_bob));
        assert_true(peers[1].added_at_us == FIXTURE_BOB_US);
        assert_string_equal(peers[0].label, "carol");
        free(peers);
        pn_store_close(other);
    }
    /* Bob had no label, nil: with an empty one the rest of the file is as it
     * was. */
    assert_int_equal(
        pn_store_pair(store, &fixture_bob, "", NULL, &error), PN_EXISTS);
    assert_empty_label(&t);
    pn_store_close(store);
    pn_tempdir_fini(&t);
}

typedef struct refuse_row {
    const char *name;
    bool is_own_key;
    const char *label;
    const char *address;
    const char *says;
} refuse_row;

static const refuse_row REFUSALS[] = {
    {"own_key", true, "me", NULL, "this is our own key"},
    {"label_newline", false, "a\nb", NULL, "'a\\x0ab' is no label"},
    {"label_escape", false, "\033[2J", NULL, "'\\x1b[2J' is no label"},
    {"label_latin1", false, "Zo\xeb", NULL, "'Zo\\xeb' is no label"},
    {"label_c1", false, "\xc2\x9b", NULL, "'\\xc2\\x9b' is no label"},
    {"address_no_port", false, NULL, "192.0.2.1", "'192.0.2.1' is no address"},
    {"address_empty", false, NULL, "", "'' is no address"},
    {"address_port_0", false, NULL, "h:0", "'h:0' is no address"},
    {"address_newline", false, NULL, "h:1\nmanual",
        "'h:1\\x0amanual' is no address"},
};

static void test_trust_store_pair_refuses(void **state)
{
    const refuse_row *row = *state;
    const pn_public_key key = row->is_own_key ? fixture_alice : fixture_key(1);
    pn_store *store;
    pn_tempdir t;

    fixture_make(&t);
    store = fixture_open(&t);
    assert_int_equal(
        pn_store_pair(store, &key, row->label, row->address, &error),
        PN_INVALID);
    /* No file has to do with it. */
    assert_ptr_equal(strstr(error.text, row->says), error.text);
    assert_null(pn_trust_list_find(pn_store_trust(store), &key));
    fixture_assert_untouched(&t);
    pn_store_close(store);
    pn_tempdir_fini(&t);
}

static void test_trust_store_label_length(void **state)
{
    char label[300];
    pn_store *store;
    pn_tempdir t;

    (void)state;
    fixture_make(&t);
    store = fixture_open(&t);
    for (unsigned len = 254; len <= 256; len++) {
        const pn_public_key key = fixture_key(len);

        memset(label, 'x', len);
        label[len] = '\0';
        assert_int_equal(pn_store_pair(store, &key, label, NULL, &error),
            len <= 255 ? PN_OK : PN_INVALID);
        assert_int_equal(fixture_has(store, &key), len <= 255);
    }
    pn_store_close(store);
    pn_tempdir_fini(&t);
}

static pn_err open_limited(
    const pn_tempdir *t, size_t max, pn_store **ret_store)
{
    return pn_store_open_limited(fixture_data(t), max, ret_store, &error, NULL);
}

static void test_trust_store_max_peers(void **state)
{
    pn_store *store;
    pn_store *small = NULL;
    pn_tempdir t;
    pn_public_key key;

    (void)state;
    fixture_make(&t);
    assert_int_equal(open_limited(&t, 0, &small), PN_INVALID);
    assert_int_equal(open_limited(&t, 65537, &small), PN_INVALID);
    assert_int_equal(open_limited(&t, 1, &small), PN_LIMIT);
    assert_int_equal(open_limited(&t, 2, &small), PN_OK);
    pn_store_close(small);
    assert_int_equal(open_limited(&t, 65536, &small), PN_OK);
    pn_store_close(small);
    assert_int_equal(open_limited(&t, 4, &store), PN_OK);
    for (unsigned i = 3; i <= 5; i++) {
        key = fixture_key(i);
        assert_int_equal(pn_store_pair(store, &key, NULL, NULL, &error),
            i <= 4 ? PN_OK : PN_FULL);
        assert_int_equal(fixture_has(store, &key), i <= 4);
    }
    assert_says(error.text, "max_peers");
    for (size_t max = 3; max <= 5; max++) {
        assert_int_equal(
            open_limited(&t, max, &small), max < 4 ? PN_LIMIT : PN_OK);
        if (max < 4) {
            assert_says(error.text, "more than the 3 peers");
        } else {
            pn_store_close(small);
        }
    }
    pn_store_close(store);
    pn_tempdir_fini(&t);
}

/* ---- T21 to T23: edits that cannot be finished ------------------------- */

/* Makes the next write of trust.bin fail: the backup's place is taken. */
static void break_writing(const pn_tempdir *t)
{
    assert_int_equal(mkdirat(t->fd, "data/trust.bin.bak", 0700), 0);
}

static void mend_writing(const pn_tempdir *t)
{
    assert_int_equal(unlinkat(t->fd, "data/trust.bin.bak", AT_REMOVEDIR), 0);
}

/* T23: a pairing that could not be written is none, in memory either. */
static void test_trust_store_pair_fails_whole(void **state)
{
    const pn_public_key key = fixture_key(1);
    pn_store *store;
    pn_tempdir t;
    bool is_changed;

    (void)state;
    fixture_make(&t);
    store = fixture_open(&t);
    break_writing(&t);
    assert_int_equal(pn_store_pair(store, &key, NULL, NULL, &error), PN_SYS);
    assert_says(error.text, "trust.bin");
    assert_null(pn_trust_list_find(pn_store_trust(store), &key));
    fixture_assert_untouched(&t);
    assert_int_equal(pn_store_reload(store, &is_changed, &error), PN_OK);
    assert_false(is_changed);
    mend_writing(&t);
    assert_int_equal(pn_store_pair(store, &key, NULL, NULL, &error), PN_OK);
    assert_non_null(pn_trust_list_find(pn_store_trust(store), &key));
    pn_store_close(store);
    pn_tempdir_fini(&t);
}

/* T23: an unpairing counts at once, written or not, and stays until the store
 * is closed; it is reported, and written with the next edit that can be. */
static void test_trust_store_unpair_counts_unwritten(void **state)
{
    const pn_public_key key = fixture_key(1);
    pn_store *store;
    pn_store *other;
    pn_tempdir t;
    bool is_changed = false;

    (void)state;
    fixture_make(&t);
    store = fixture_open(&t);
    break_writing(&t);
    assert_int_equal(pn_store_unpair(store, &fixture_bob, &error), PN_SYS);
    assert_says(error.text, "trust.bin");
    fixture_assert_untouched(&t);
    assert_null(pn_trust_list_find(pn_store_trust(store), &fixture_bob));
    assert_false(fixture_has(store, &fixture_bob));
    assert_int_equal(pn_store_reload(store, &is_changed, &error), PN_OK);
    assert_true(is_changed);
    assert_null(pn_trust_list_find(pn_store_trust(store), &fixture_bob));
    /* Again, still broken: reported again. */
    assert_int_equal(pn_store_unpair(store, &fixture_bob, &error), PN_SYS);
    mend_writing(&t);
    /* An edit of something else writes it too. */
    assert_int_equal(pn_store_pair(store, &key, NULL, NULL, &error), PN_OK);
    other = fixture_open(&t);
    assert_false(fixture_has(other, &fixture_bob));
    assert_true(fixture_has(other, &key));
    assert_true(fixture_has(other, &fixture_carol));
    pn_store_close(other);
    /* And now it can be paired again. */
    assert_int_equal(
        pn_store_pair(store, &fixture_bob, NULL, NULL, &error), PN_OK);
    assert_non_null(pn_trust_list_find(pn_store_trust(store), &fixture_bob));
    pn_store_close(store);
    pn_tempdir_fini(&t);
}

/* Retried by hand once the disk is well: written, and PN_OK. */
static void test_trust_store_unpair_again(void **state)
{
    pn_store *store;
    pn_store *other;
    pn_tempdir t;

    (void)state;
    fixture_make(&t);
    store = fixture_open(&t);
    break_writing(&t);
    assert_int_equal(pn_store_unpair(store, &fixture_bob, &error), PN_SYS);
    mend_writing(&t);
    assert_int_equal(pn_store_unpair(store, &fixture_bob, &error), PN_OK);
    assert_int_equal(
        pn_store_unpair(store, &fixture_bob, &error), PN_NOT_FOUND);
    other = fixture_open(&t);
    assert_false(fixture_has(other, &fixture_bob));
    pn_store_close(other);
    pn_store_close(store);
    pn_tempdir_fini(&t);
}

/* T22 during a run: a list that went bad is neither used nor overwritten, the
 * one in memory stays for the caller to decide, and an unpairing counts. */
static void test_trust_store_corrupt_meanwhile(void **state)
{
    const pn_public_key key = fixture_key(1);
    pn_store_peer *peers;
    pn_store *store;
    pn_tempdir t;
    bool is_changed = false;
    size_t n;

    (void)state;
    fixture_make(&t);
    store = fixture_open(&t);
    pn_tempdir_put(&t, "data/trust.bin", "\x83j ", 3);
    assert_int_equal(pn_store_reload(store, &is_changed, &error), PN_CORRUPT);
    assert_says(error.text, "trust.bin: is damaged");
    assert_false(is_changed);
    assert_non_null(pn_trust_list_find(pn_store_trust(store), &fixture_bob));
    assert_int_equal(
        pn_store_pair(store, &key, NULL, NULL, &error), PN_CORRUPT);
    assert_null(pn_trust_list_find(pn_store_trust(store), &key));
    assert_int_equal(pn_store_peers(store, &peers, &n, &error), PN_CORRUPT);
    assert_int_equal(pn_store_unpair(store, &fixture_bob, &error), PN_CORRUPT);
    assert_null(pn_trust_list_find(pn_store_trust(store), &fixture_bob));
    fixture_assert_file(&t, "trust.bin", "\x83j ", 3);
    /* Repaired by hand: read again, and a removed peer stays removed. */
    pn_tempdir_put(
        &t, "data/trust.bin", fixture_files[1].data, fixture_files[1].len);
    assert_int_equal(pn_store_reload(store, &is_changed, &error), PN_OK);
    assert_true(is_changed);
    assert_null(pn_trust_list_find(pn_store_trust(store), &fixture_bob));
    assert_non_null(pn_trust_list_find(pn_store_trust(store), &fixture_carol));
    pn_store_close(store);
    pn_tempdir_fini(&t);
}

/* A missing list unpairs all peers: default deny. */
static void test_trust_store_gone_meanwhile(void **state)
{
    pn_store *store;
    pn_tempdir t;
    bool is_changed = false;

    (void)state;
    fixture_make(&t);
    store = fixture_open(&t);
    assert_int_equal(unlinkat(t.fd, "data/trust.bin", 0), 0);
    assert_int_equal(pn_store_reload(store, &is_changed, &error), PN_OK);
    assert_true(is_changed);
    assert_int_equal(pn_store_trust(store)->n_entries, 0);
    pn_store_close(store);
    pn_tempdir_fini(&t);
}

/* ---- several at once --------------------------------------------------- */

static void test_trust_store_one_node(void **state)
{
    pn_store *a;
    pn_store *b;
    pn_tempdir t;

    (void)state;
    fixture_make(&t);
    a = fixture_open(&t);
    b = fixture_open(&t);
    assert_int_equal(pn_store_lock_node(a, &error), PN_OK);
    assert_int_equal(pn_store_lock_node(a, &error), PN_OK);
    assert_int_equal(pn_store_lock_node(b, &error), PN_LOCKED);
    assert_says(error.text, "another node");
    /* Edits go on beside the node. */
    assert_int_equal(pn_store_unpair(b, &fixture_bob, &error), PN_OK);
    pn_store_unlock_node(a);
    assert_int_equal(pn_store_lock_node(b, &error), PN_OK);
    assert_int_equal(pn_store_lock_node(a, &error), PN_LOCKED);
    pn_store_close(b);
    assert_int_equal(pn_store_lock_node(a, &error), PN_OK);
    pn_store_close(a);
    pn_tempdir_fini(&t);
}

/* An edit elsewhere is seen at once, and reported exactly once. */
static void test_trust_store_sees_edits(void **state)
{
    const pn_public_key key = fixture_key(1);
    pn_store *node;
    pn_store *editor;
    pn_tempdir t;
    bool is_changed;
    int sys_errno = 0;
    int fd;

    (void)state;
    fixture_make(&t);
    node = fixture_open(&t);
    editor = fixture_open(&t);
    fd = pn_guarded_watch_fd(pn_store_dir(node), &sys_errno);
    if (fd < 0) {
        pn_test_skip("no inotify");
    }
    assert_int_equal(fd, pn_guarded_watch_fd(pn_store_dir(node), &sys_errno));
    assert_false(
        pn_guarded_watch_read(pn_store_dir(node), pn_store_is_watched));
    assert_int_equal(pn_store_pair(editor, &key, NULL, NULL, &error), PN_OK);
    assert_int_equal(
        poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0), 1);
    assert_true(pn_guarded_watch_read(pn_store_dir(node), pn_store_is_watched));
    assert_false(
        pn_guarded_watch_read(pn_store_dir(node), pn_store_is_watched));
    assert_int_equal(pn_store_reload(node, &is_changed, &error), PN_OK);
    assert_true(is_changed);
    assert_non_null(pn_trust_list_find(pn_store_trust(node), &key));
    assert_int_equal(pn_store_reload(node, &is_changed, &error), PN_OK);
    assert_false(is_changed);
    /* A lock taken or an identity read is no news. */
    assert_int_equal(pn_store_lock_node(editor, &error), PN_OK);
    assert_false(
        pn_guarded_watch_read(pn_store_dir(node), pn_store_is_watched));
    pn_store_close(editor);
    pn_store_close(node);
    pn_tempdir_fini(&t);
}

/* An edit of another process that came in with one of ours is still news. */
static void test_trust_store_reports_what_came_along(void **state)
{
    pn_store *node;
    pn_store *editor;
    pn_tempdir t;
    bool is_changed = false;
    const pn_public_key key = fixture_key(1);

    (void)state;
    fixture_make(&t);
    node = fixture_open(&t);
    editor = fixture_open(&t);
    assert_int_equal(pn_store_unpair(editor, &fixture_bob, &error), PN_OK);
    assert_int_equal(pn_store_pair(node, &key, NULL, NULL, &error), PN_OK);
    assert_null(pn_trust_list_find(pn_store_trust(node), &fixture_bob));
    assert_int_equal(pn_store_reload(node, &is_changed, &error), PN_OK);
    assert_true(is_changed);
    pn_store_close(editor);
    pn_store_close(node);
    pn_tempdir_fini(&t);
}

/* Unpaired elsewhere, unpaired here again: done, not "no such peer". */
static void test_trust_store_unpair_what_memory_knows(void **state)
{
    pn_store *node;
    pn_store *editor;
    pn_tempdir t;

    (void)state;
    fixture_make(&t);
    node = fixture_open(&t);
    editor = fixture_open(&t);
    assert_int_equal(pn_store_unpair(editor, &fixture_bob, &error), PN_OK);
    assert_int_equal(pn_store_unpair(node, &fixture_bob, &error), PN_OK);
    assert_null(pn_trust_list_find(pn_store_trust(node), &fixture_bob));
    pn_store_close(editor);
    pn_store_close(node);
    pn_tempdir_fini(&t);
}

enum { EDITORS = 4, KEYS_EACH = 100 };

/* A lock is waited for 10 s. With four processes on a slow disk that may not be
 * enough; the error loses nothing, and the edit is repeated. */
static pn_err patiently(pn_store *store, const pn_public_key *key, bool pair)
{
    pn_err err = PN_LOCKED;

    for (int i = 0; i < 6 && err == PN_LOCKED; i++) {
        err = pair ? pn_store_pair(store, key, NULL, "h:1", NULL)
                   : pn_store_unpair(store, key, NULL);
    }
    return err;
}

/* Pairs all its keys and unpairs every second one. */
static int edit_many(const char *path, unsigned who)
{
    pn_store *store;
    int n_failed = 0;

    if (pn_store_open(path, &store, NULL, NULL) != PN_OK) {
        return 1;
    }
    for (unsigned i = 0; i < KEYS_EACH; i++) {
        const pn_public_key key = fixture_key(who * 1000 + i);
        const pn_public_key last = fixture_key(who * 1000 + i - 1);

        n_failed += patiently(store, &key, true) != PN_OK;
        if (i % 2 == 1) {
            n_failed += patiently(store, &last, false) != PN_OK;
        }
    }
    pn_store_close(store);
    return n_failed > 0;
}

/* T21: four processes at once, nothing lost, nothing undone. */
static void test_trust_store_four_editors(void **state)
{
    pid_t pids[EDITORS];
    pn_why warning;
    pn_store *store;
    pn_tempdir t;
    char path[600];

    (void)state;
    fixture_make(&t);
    (void)snprintf(path, sizeof(path), "%s", fixture_data(&t));
    for (unsigned i = 0; i < EDITORS; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            _exit(edit_many(path, i + 1));
        }
    }
    for (unsigned i = 0; i < EDITORS; i++) {
        int status = 1;

        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(pn_store_open(path, &store, &error, &warning), PN_OK);
    assert_string_equal(warning.text, "");
    assert_int_equal(
        pn_store_trust(store)->n_entries, 2 + EDITORS * KEYS_EACH / 2);
    for (unsigned who = 1; who <= EDITORS; who++) {
        for (unsigned i = 0; i < KEYS_EACH; i++) {
            const pn_public_key key = fixture_key(who * 1000 + i);
            pn_peer_address found[PN_ADDRESSES_PER_PEER];

            assert_int_equal(
                pn_trust_list_find(pn_store_trust(store), &key) != NULL,
                i % 2 == 1);
            assert_int_equal(pn_store_addresses(store, &key, found), i % 2);
        }
    }
    assert_non_null(pn_trust_list_find(pn_store_trust(store), &fixture_bob));
    pn_store_close(store);
    pn_tempdir_fini(&t);
}

/* Eight first starts at once end with one key. */
static pn_err open_once(void *user, pn_principal *ret_who)
{
    pn_store *store = NULL;
    pn_err err = pn_store_open(fixture_data(user), &store, NULL, NULL);

    if (err == PN_OK) {
        *ret_who = pn_peernet_principal(pn_store_key(store));
    }
    return err;
}

static void test_trust_store_eight_first_starts(void **state)
{
    pn_tempdir t;

    (void)state;
    pn_tempdir_init(&t);
    fixture_eight_first_starts(open_once, &t);
    pn_tempdir_fini(&t);
}

/* ---- addresses --------------------------------------------------------- */

static void test_trust_store_remembers(void **state)
{
    pn_peer_address found[PN_ADDRESSES_PER_PEER];
    const pn_public_key stranger = fixture_key(1);
    pn_store *store;
    pn_store *other;
    pn_tempdir t;

    (void)state;
    fixture_make(&t);
    store = fixture_open(&t);
    assert_int_equal(
        pn_store_remember(store, &stranger, "192.0.2.1:1"), PN_NOT_FOUND);
    assert_int_equal(
        pn_store_remember(store, &fixture_bob, "192.0.2.1"), PN_INVALID);
    fixture_assert_untouched(&t);
    /* An address that is known is not written again. */
    assert_int_equal(
        pn_store_remember(store, &fixture_carol, "192.0.2.8:7100"), PN_OK);
    assert_int_equal(
        pn_store_remember(store, &fixture_carol, "192.0.2.7:7100"), PN_OK);
    assert_int_equal(pn_tempdir_mode(&t, "data/addresses.bak"), -1);
    assert_int_equal(
        pn_store_remember(store, &fixture_bob, "192.0.2.1:1"), PN_OK);
    other = fixture_open(&t);
    assert_int_equal(pn_store_addresses(other, &fixture_bob, found), 1);
    assert_string_equal(found[0].text, "192.0.2.1:1");
    assert_false(found[0].is_manual);
    assert_int_equal(pn_store_addresses(other, &fixture_carol, found), 2);
    /* Unpaired: forgotten. */
    assert_int_equal(pn_store_unpair(other, &fixture_bob, &error), PN_OK);
    assert_int_equal(pn_store_addresses(other, &fixture_bob, found), 0);
    assert_int_equal(pn_store_reload(store, NULL, &error), PN_OK);
    assert_int_equal(pn_store_addresses(store, &fixture_bob, found), 0);
    fixture_assert_file(
        &t, "addresses", fixture_files[2].data, fixture_files[2].len);
    pn_store_close(other);
    pn_store_close(store);
    pn_tempdir_fini(&t);
}

/* As many lines as there may be, all as long as they get, are written and read:
 * names of 253 bytes by hand, and others learned. */
static void test_trust_store_longest_addresses(void **state)
{
    enum { N = 8 };
    char name[PN_ADDRESS_CAP];
    pn_why warning;
    pn_store_peer *peers;
    pn_store *store;
    pn_tempdir t;
    size_t n;

    (void)state;
    fixture_make(&t);
    assert_int_equal(open_limited(&t, 2 + N, &store), PN_OK);
    for (unsigned i = 0; i < N; i++) {
        const pn_public_key key = fixture_key(i);

        (void)snprintf(name, sizeof(name), "%0253u:65535", i);
        assert_int_equal(pn_store_pair(store, &key, NULL, name, &error), PN_OK);
        for (unsigned k = 1; k < PN_ADDRESSES_PER_PEER; k++) {
            name[0] = (char)('0' + k);
            assert_int_equal(pn_store_remember(store, &key, name), PN_OK);
        }
    }
    pn_store_close(store);
    assert_int_equal(pn_store_open_limited(
                         fixture_data(&t), 2 + N, &store, &error, &warning),
        PN_OK);
    assert_string_equal(warning.text, "");
    assert_int_equal(pn_store_peers(store, &peers, &n, &error), PN_OK);
    assert_int_equal(n, 2 + N);
    for (unsigned i = 0; i < N; i++) {
        (void)snprintf(name, sizeof(name), "%0253u:65535", N - 1 - i);
        assert_string_equal(peers[i].address, name);
    }
    free(peers);
    pn_store_close(store);
    pn_tempdir_fini(&t);
}

/* The caller is a loop, so this does not wait for an edit under way. */
static void test_trust_store_remember_waits_for_nobody(void **state)
{
    pn_peer_address found[PN_ADDRESSES_PER_PEER];
    pn_store *store;
    pn_tempdir t;
    int dir_fd;
    int lock_fd;
    int why;

    (void)state;
    fixture_make(&t);
    store = fixture_open(&t);
    assert_int_equal(pn_dir_open(fixture_data(&t), &dir_fd, &why), PN_OK);
    assert_int_equal(
        pn_file_lock(dir_fd, "edit.lock", false, &lock_fd, &why), PN_OK);
    assert_int_equal(
        pn_store_remember(store, &fixture_bob, "192.0.2.1:1"), PN_LOCKED);
    assert_int_equal(pn_store_addresses(store, &fixture_bob, found), 1);
    assert_int_equal(close(lock_fd), 0);
    assert_int_equal(close(dir_fd), 0);
    pn_store_close(store);
    pn_tempdir_fini(&t);
}

/* ---- other programs in the directory ----------------------------------- */

/* An identity made by an Elixir node between our look and our write wins. */
static void test_trust_store_nothing_is_overwritten(void **state)
{
    pn_tempdir t;
    int why;

    (void)state;
    fixture_make(&t);
    assert_int_equal(pn_file_create(t.fd, "data/identity.keys",
                         (const uint8_t *)"x", 1, &why),
        PN_EXISTS);
    fixture_assert_untouched(&t);
    pn_tempdir_fini(&t);
}

static void test_trust_store_close_null(void **state)
{
    (void)state;
    pn_store_close(NULL);
}

#define ADD(function, name) pn_test_add("trust/store/" name, function, NULL)

static void add_identities(json_t *vectors)
{
    const json_t *rows = json_object_get(vectors, "parse");
    size_t i;
    json_t *row;

    json_array_foreach(rows, i, row)
    {
        pn_test_addf(test_trust_store_identity_refused, row,
            "trust/store/T22_identity_refused/%s", pn_json_string(row, "name"));
    }
}

int main(void)
{
    json_t *vectors = pn_vectors("identity.json");
    int status;

    fixture_init();
    ADD(test_trust_store_first_use, "T20_first_use_is_private");
    ADD(test_trust_store_keys_differ, "every_directory_has_its_own_key");
    ADD(test_trust_store_reads_what_is_there, "reads_what_is_there");
    ADD(test_trust_store_tightens, "T20_tightens_and_says_so");
    ADD(test_trust_store_identity_mounted, "identity_mounted");
    add_identities(vectors);
    ADD(test_trust_store_identity_far_too_long, "T22_identity_far_too_long");
    ADD(test_trust_store_identity_gone, "identity_gone");
    ADD(test_trust_store_trust_size, "T22_trust_size");
    ADD(test_trust_store_addresses_damaged, "addresses_damaged");
    ADD(test_trust_store_sweeps, "T21_sweeps_temporaries");
    ADD(test_trust_store_long_path, "sentence_of_a_long_path");
    ADD(test_trust_store_pair_and_unpair, "pair_and_unpair");
    ADD(test_trust_store_pair_twice, "pair_twice");
    for (size_t i = 0; i < sizeof(REFUSALS) / sizeof(REFUSALS[0]); i++) {
        pn_test_addf(test_trust_store_pair_refuses,
            (void *)(uintptr_t)&REFUSALS[i],
            i == 0 ? "trust/store/T34_pair_refuses/%s"
                   : "trust/store/pair_refuses/%s",
            REFUSALS[i].name);
    }
    ADD(test_trust_store_label_length, "label_length");
    ADD(test_trust_store_rename, "rename");
    ADD(test_trust_store_max_peers, "max_peers");
    ADD(test_trust_store_pair_fails_whole, "T23_pair_fails_whole");
    ADD(test_trust_store_unpair_counts_unwritten,
        "T23_unpair_counts_unwritten");
    ADD(test_trust_store_unpair_again, "T23_unpair_again");
    ADD(test_trust_store_corrupt_meanwhile, "T22_corrupt_meanwhile");
    ADD(test_trust_store_gone_meanwhile, "T22_gone_meanwhile");
    ADD(test_trust_store_one_node, "one_node_speaks");
    ADD(test_trust_store_sees_edits, "sees_edits");
    ADD(test_trust_store_reports_what_came_along, "reports_what_came_along");
    ADD(test_trust_store_unpair_what_memory_knows, "unpair_what_memory_knows");
    ADD(test_trust_store_four_editors, "T21_four_editors");
    ADD(test_trust_store_eight_first_starts, "T21_eight_first_starts");
    ADD(test_trust_store_remembers, "remembers");
    ADD(test_trust_store_longest_addresses, "longest_addresses");
    ADD(test_trust_store_remember_waits_for_nobody,
        "remember_waits_for_nobody");
    ADD(test_trust_store_nothing_is_overwritten, "nothing_is_overwritten");
    ADD(test_trust_store_close_null, "close_null");
    status = pn_test_run("trust/store");
    json_decref(vectors);
    return status;
}

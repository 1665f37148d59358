/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The identity of a Barrel node and its rotation, from the outside.
 * docs/THREATS.md, T20 to T23, by name; D5 and D9 are the defects of upstream
 * that are not repeated.
 */
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"
#include "keys/barrel_keys.h"
#include "keys/ed25519.h"
#include "os/file.h"
#include "trust/guarded_pair.h"

enum { OTHER_UID = 4242 };

/* 2026-02-03 04:05:06.789 UTC */
#define WALL_US INT64_C(1770091506789000)
#define STAMP "20260203T040506Z"

static pn_why error;
static pn_why warning;
static pn_ed25519_pair alpha;
static pn_ed25519_pair beta;

/* ---- a key directory --------------------------------------------------- */

static void put(const pn_tempdir *t, const char *name, const void *data)
{
    pn_tempdir_put(t, name, data, PN_KEY_LEN);
}

static void make(pn_tempdir *t)
{
    pn_tempdir_init(t);
    put(t, "node.key", alpha.secret.bytes);
    put(t, "node.pub", alpha.public_key.bytes);
}

static void assert_bytes(
    const pn_tempdir *t, const char *name, const void *want, size_t want_len)
{
    size_t len = 0;
    uint8_t *data = pn_tempdir_get(t, name, &len);

    if (data == NULL) {
        fail_msg("%s is not there", name);
    }
    pn_assert_bytes(data, len, want, want_len);
    free(data);
}

static void assert_pair(const pn_tempdir *t, const pn_ed25519_pair *pair)
{
    assert_bytes(t, "node.key", pair->secret.bytes, PN_KEY_LEN);
    assert_bytes(t, "node.pub", pair->public_key.bytes, PN_KEY_LEN);
}

static pn_err try_open(const pn_tempdir *t, pn_barrel_keys **ret_keys)
{
    return pn_barrel_keys_open(t->path, ret_keys, &error, &warning);
}

static pn_barrel_keys *must_open(const pn_tempdir *t)
{
    pn_barrel_keys *keys = NULL;

    if (try_open(t, &keys) != PN_OK) {
        fail_msg("open: %s", error.text);
    }
    return keys;
}

static bool speaks_with(const pn_barrel_keys *keys, const pn_ed25519_pair *pair)
{
    const pn_ed25519_pair *now = pn_barrel_keys_pair(keys);

    return pn_ed25519_key_equal(&now->public_key, &pair->public_key)
           && pn_secret_equal(&now->secret, &pair->secret, PN_KEY_LEN);
}

static void assert_refused(const pn_tempdir *t, pn_err want, const char *says)
{
    pn_barrel_keys *keys = NULL;

    assert_int_equal(try_open(t, &keys), want);
    assert_null(keys);
    assert_says(error.text, t->path);
    assert_says(error.text, says);
}

/* ---- the first start --------------------------------------------------- */

/* T20: new files are private, whatever the umask. */
static void test_trust_barrel_keys_first_start(void **state)
{
    const mode_t mask = umask(0);
    pn_barrel_keys *keys;
    pn_barrel_keys *again;
    pn_tempdir t;
    pn_ed25519_key derived;

    (void)state;
    pn_tempdir_init(&t);
    assert_int_equal(
        pn_barrel_keys_open(pn_tempdir_path(&t, "k"), &keys, &error, &warning),
        PN_OK);
    assert_string_equal(error.text, "");
    assert_string_equal(warning.text, "");
    assert_int_equal(pn_tempdir_mode(&t, "k"), 0700);
    assert_int_equal(pn_tempdir_mode(&t, "k/node.key"), 0600);
    assert_int_equal(pn_tempdir_mode(&t, "k/node.pub"), 0600);
    assert_int_equal(
        pn_ed25519_public(&pn_barrel_keys_pair(keys)->secret, &derived), PN_OK);
    assert_true(
        pn_ed25519_key_equal(&derived, &pn_barrel_keys_pair(keys)->public_key));
    assert_bytes(&t, "k/node.pub", derived.bytes, PN_KEY_LEN);
    assert_int_equal(
        pn_barrel_keys_open(pn_tempdir_path(&t, "k"), &again, &error, &warning),
        PN_OK);
    assert_true(speaks_with(again, pn_barrel_keys_pair(keys)));
    pn_barrel_keys_close(again);
    pn_barrel_keys_close(keys);
    pn_tempdir_fini(&t);
    (void)umask(mask);
}

static void test_trust_barrel_keys_differ(void **state)
{
    pn_barrel_keys *a;
    pn_barrel_keys *b;
    pn_tempdir t;

    (void)state;
    pn_tempdir_init(&t);
    assert_int_equal(
        pn_barrel_keys_open(pn_tempdir_path(&t, "a"), &a, NULL, NULL), PN_OK);
    assert_int_equal(
        pn_barrel_keys_open(pn_tempdir_path(&t, "b"), &b, NULL, NULL), PN_OK);
    assert_false(speaks_with(a, pn_barrel_keys_pair(b)));
    pn_barrel_keys_close(a);
    pn_barrel_keys_close(b);
    pn_barrel_keys_close(NULL);
    pn_tempdir_fini(&t);
}

/* T21: eight first starts at once end with one pair. */
static pn_err open_once(void *user, pn_principal *ret_who)
{
    pn_barrel_keys *keys = NULL;
    pn_err err = try_open(user, &keys);

    if (err == PN_OK) {
        *ret_who = pn_barrel_principal(&pn_barrel_keys_pair(keys)->public_key);
    }
    return err;
}

static void test_trust_barrel_keys_eight_first_starts(void **state)
{
    pn_tempdir t;

    (void)state;
    pn_tempdir_init(&t);
    fixture_eight_first_starts(open_once, &t);
    pn_tempdir_fini(&t);
}

/* T23: a first start that cannot write leaves nothing that would stop the
 * next. The obstacle is what the writer wants to make. */
static void test_trust_barrel_keys_first_start_fails(void **state)
{
    const char *obstacle = *state;
    pn_barrel_keys *keys = NULL;
    pn_tempdir t;

    pn_tempdir_init(&t);
    assert_int_equal(mkdirat(t.fd, obstacle, 0700), 0);
    assert_int_equal(try_open(&t, &keys), PN_SYS);
    assert_null(keys);
    assert_says(error.text, t.path);
    assert_int_equal(pn_tempdir_mode(&t, "node.key"), -1);
    assert_int_equal(pn_tempdir_mode(&t, "node.pub"), -1);
    assert_int_equal(unlinkat(t.fd, obstacle, AT_REMOVEDIR), 0);
    keys = must_open(&t);
    pn_barrel_keys_close(keys);
    pn_tempdir_fini(&t);
}

/* Makes every write fail, as on a full disk. */
static void fill_disk(struct rlimit *ret_old)
{
    struct rlimit none;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, ret_old), 0);
    none = *ret_old;
    none.rlim_cur = 0;
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
}

static void empty_disk(const struct rlimit *old)
{
    assert_int_equal(setrlimit(RLIMIT_FSIZE, old), 0);
    assert_true(signal(SIGXFSZ, SIG_DFL) != SIG_ERR);
}

static void test_trust_barrel_keys_first_start_full_disk(void **state)
{
    pn_barrel_keys *keys = NULL;
    struct rlimit old;
    pn_tempdir t;
    pn_err err;

    (void)state;
    pn_tempdir_init(&t);
    fill_disk(&old);
    err = try_open(&t, &keys);
    empty_disk(&old);
    assert_int_equal(err, PN_SYS);
    assert_says(error.text, "node.pub");
    assert_int_equal(pn_tempdir_count(&t), 1); /* edit.lock */
    pn_tempdir_fini(&t);
}

/* ---- existing files ---------------------------------------------------- */

/* Upstream's answers; where it goes on after one (D9), ours does not start. */
static void test_trust_barrel_keys_vector(void **state)
{
    const char *name = pn_json_string(*state, "name");
    const bool is_ok = strcmp(pn_json_string(*state, "result"), "ok") == 0;
    pn_barrel_keys *keys = NULL;
    uint8_t bytes[PN_KEY_LEN + 1] = {0};
    pn_tempdir t;

    make(&t);
    memcpy(bytes, alpha.secret.bytes, PN_KEY_LEN);
    if (strcmp(name, "mismatch") == 0) {
        put(&t, "node.pub", beta.public_key.bytes);
    } else if (strcmp(name, "short_priv") == 0) {
        pn_tempdir_put(&t, "node.key", bytes, PN_KEY_LEN - 1);
    } else if (strcmp(name, "long_pub") == 0) {
        pn_tempdir_put(&t, "node.pub", bytes, PN_KEY_LEN + 1);
    } else if (strcmp(name, "no_priv") == 0) {
        assert_int_equal(unlinkat(t.fd, "node.key", 0), 0);
    } else if (strcmp(name, "no_pub") == 0) {
        assert_int_equal(unlinkat(t.fd, "node.pub", 0), 0);
    } else if (strcmp(name, "good") != 0) {
        fail_msg("no such row: %s", name);
    }
    assert_int_equal(try_open(&t, &keys), is_ok ? PN_OK : PN_CORRUPT);
    if (is_ok) {
        assert_true(speaks_with(keys, &alpha));
    } else {
        assert_null(keys);
        assert_says(error.text, t.path);
        assert_says(error.text, "expected");
    }
    pn_barrel_keys_close(keys);
    pn_tempdir_fini(&t);
}

static void test_trust_barrel_keys_identity(void **state)
{
    pn_ed25519_pair pair;
    pn_barrel_keys *keys;
    uint8_t want[PN_HASH_LEN];
    uint8_t hash[PN_HASH_LEN];
    pn_tempdir t;

    pn_json_hex_n(*state, "seed", pair.secret.bytes, PN_KEY_LEN);
    pn_json_hex_n(*state, "public", pair.public_key.bytes, PN_KEY_LEN);
    pn_json_hex_n(*state, "fingerprint_sha256", want, sizeof(want));
    pn_tempdir_init(&t);
    put(&t, "node.key", pair.secret.bytes);
    put(&t, "node.pub", pair.public_key.bytes);
    keys = must_open(&t);
    assert_true(speaks_with(keys, &pair));
    assert_int_equal(
        pn_sha256(hash, pn_barrel_keys_pair(keys)->public_key.bytes, PN_KEY_LEN,
            NULL, 0),
        PN_OK);
    assert_memory_equal(hash, want, sizeof(want));
    assert_pair(&t, &pair);
    pn_barrel_keys_close(keys);
    pn_tempdir_fini(&t);
}

/* T22: every other size, and what is there stays as it is. */
static void test_trust_barrel_keys_size(void **state)
{
    const char *name = *state;
    uint8_t bytes[2 * PN_KEY_LEN + 1] = {0};
    char says[32];
    pn_tempdir t;

    make(&t);
    memcpy(bytes,
        strcmp(name, "node.key") == 0 ? alpha.secret.bytes
                                      : alpha.public_key.bytes,
        PN_KEY_LEN);
    for (size_t len = 0; len <= sizeof(bytes); len++) {
        if (len == PN_KEY_LEN) {
            continue;
        }
        pn_tempdir_put(&t, name, bytes, len);
        (void)snprintf(says, sizeof(says), "%s: holds ", name);
        assert_refused(&t, PN_CORRUPT, says);
        assert_says(error.text, "expected 32");
        assert_bytes(&t, name, bytes, len);
    }
    pn_tempdir_fini(&t);
}

/* D9: a missing file is not made again, and an existing one not replaced. */
static void test_trust_barrel_keys_half(void **state)
{
    const char *gone = *state;
    const bool is_key = strcmp(gone, "node.key") == 0;
    const char *kept = is_key ? "node.pub" : "node.key";
    char says[64];
    pn_tempdir t;

    make(&t);
    assert_int_equal(unlinkat(t.fd, gone, 0), 0);
    (void)snprintf(says, sizeof(says), "%s: is not there although", gone);
    assert_refused(&t, PN_CORRUPT, says);
    assert_int_equal(pn_tempdir_mode(&t, gone), -1);
    assert_bytes(&t, kept, is_key ? alpha.public_key.bytes : alpha.secret.bytes,
        PN_KEY_LEN);
    pn_tempdir_fini(&t);
}

/* T20: one bit in either half. */
static void test_trust_barrel_keys_not_a_pair(void **state)
{
    const char *name = *state;
    uint8_t bytes[PN_KEY_LEN];
    pn_tempdir t;

    make(&t);
    for (unsigned i = 0; i < PN_KEY_LEN; i += 7) {
        memcpy(bytes,
            strcmp(name, "node.key") == 0 ? alpha.secret.bytes
                                          : alpha.public_key.bytes,
            PN_KEY_LEN);
        bytes[i] ^= 1;
        put(&t, name, bytes);
        assert_refused(&t, PN_CORRUPT, "node.pub: does not belong to node.key");
        assert_bytes(&t, name, bytes, PN_KEY_LEN);
    }
    pn_tempdir_fini(&t);
}

/* ---- files that are not what they should be ---------------------------- */

typedef enum bad { BAD_MODE, BAD_OWNER, BAD_LINK, BAD_FIFO, BAD_DIR } bad;

typedef struct bad_row {
    const char *name;
    const char *file;
    bad bad;
    unsigned mode;
    const char *says; /* NULL: it is taken */
} bad_row;

static const bad_row BAD_ROWS[] = {
    {"key_mode_0400", "node.key", BAD_MODE, 0400, NULL},
    {"key_mode_0440", "node.key", BAD_MODE, 0440, NULL},
    {"key_mode_0640", "node.key", BAD_MODE, 0640, NULL},
    {"key_mode_0604", "node.key", BAD_MODE, 0604, "no other user can read"},
    {"key_mode_0644", "node.key", BAD_MODE, 0644, "no other user can read"},
    {"key_mode_0620", "node.key", BAD_MODE, 0620, "only its owner can write"},
    {"key_mode_0602", "node.key", BAD_MODE, 0602, "only its owner can write"},
    {"key_owner", "node.key", BAD_OWNER, 0, "it is another user's"},
    {"key_link", "node.key", BAD_LINK, 0700, NULL},
    {"key_link_directory", "node.key", BAD_LINK, 0770, "directory on the way"},
    {"key_fifo", "node.key", BAD_FIFO, 0, "expected a regular file"},
    {"key_directory", "node.key", BAD_DIR, 0, "expected a regular file"},
    {"pub_mode_0644", "node.pub", BAD_MODE, 0644, NULL},
    {"pub_mode_0400", "node.pub", BAD_MODE, 0400, NULL},
    {"pub_mode_0620", "node.pub", BAD_MODE, 0620, "written by other users"},
    {"pub_mode_0602", "node.pub", BAD_MODE, 0602, "written by other users"},
    {"pub_owner", "node.pub", BAD_OWNER, 0, "belongs to another user"},
    {"pub_link", "node.pub", BAD_LINK, 0700, "is a symbolic link"},
    {"pub_fifo", "node.pub", BAD_FIFO, 0, "is not a regular file"},
    {"pub_directory", "node.pub", BAD_DIR, 0, "is not a regular file"},
};

static void make_bad(const pn_tempdir *t, const bad_row *row)
{
    const char *path = pn_tempdir_path(t, row->file);

    if (row->bad == BAD_MODE) {
        assert_int_equal(chmod(path, row->mode), 0);
        return;
    }
    if (row->bad == BAD_OWNER) {
        assert_int_equal(chown(path, OTHER_UID, OTHER_UID), 0);
        return;
    }
    /* As a secret is mounted: a directory that a link shows. */
    assert_int_equal(mkdirat(t->fd, "mount", 0700), 0);
    assert_int_equal(rename(path, pn_tempdir_path(t, "mount/away")), 0);
    assert_int_equal(fchmodat(t->fd, "mount", row->mode, 0), 0);
    if (row->bad == BAD_LINK) {
        assert_int_equal(symlinkat("mount", t->fd, "data"), 0);
        assert_int_equal(symlink("data/away", path), 0);
    } else if (row->bad == BAD_FIFO) {
        assert_int_equal(mkfifo(path, 0600), 0);
    } else {
        assert_int_equal(mkdir(path, 0700), 0);
    }
}

static void test_trust_barrel_keys_bad(void **state)
{
    const bad_row *row = *state;
    char says[128];
    pn_tempdir t;

    if (row->bad == BAD_OWNER && geteuid() != 0) {
        pn_test_skip("only root can give files away");
    }
    make(&t);
    make_bad(&t, row);
    if (row->says == NULL) {
        pn_barrel_keys *keys = must_open(&t);

        assert_true(speaks_with(keys, &alpha));
        pn_barrel_keys_close(keys);
    } else {
        (void)snprintf(says, sizeof(says), "/%s: ", row->file);
        assert_refused(&t, PN_PERMISSION, says);
        assert_says(error.text, row->says);
        assert_says(error.text, "expected");
    }
    if (row->bad == BAD_MODE) {
        assert_int_equal(pn_tempdir_mode(&t, row->file), row->mode);
        assert_pair(&t, &alpha);
    }
    pn_tempdir_fini(&t);
}

static void mount_key(pn_tempdir *t)
{
    static const bad_row row = {NULL, "node.key", BAD_LINK, 0700, NULL};

    make(t);
    make_bad(t, &row);
}

/* A mounted secret that is gone is not made anew. */
static void test_trust_barrel_keys_link_to_nothing(void **state)
{
    pn_tempdir t;

    (void)state;
    mount_key(&t);
    assert_int_equal(unlinkat(t.fd, "mount/away", 0), 0);
    assert_int_equal(unlinkat(t.fd, "node.pub", 0), 0);
    assert_refused(&t, PN_SYS, "/node.key: No such file");
    assert_int_equal(pn_tempdir_mode(&t, "node.pub"), -1);
    pn_tempdir_fini(&t);
}

/* A key that is mounted is changed where it comes from: nothing is written. */
static void test_trust_barrel_keys_rotate_link(void **state)
{
    pn_barrel_keys *keys;
    char *backup = NULL;
    pn_tempdir t;

    (void)state;
    mount_key(&t);
    keys = must_open(&t);
    assert_int_equal(
        pn_barrel_keys_rotate(keys, WALL_US, &backup, &error), PN_PERMISSION);
    assert_null(backup);
    assert_says(error.text, "/node.key: is a symbolic link, expected a file");
    assert_says(error.text, "change the secret where it comes from");
    assert_true(speaks_with(keys, &alpha));
    assert_int_equal(pn_tempdir_mode(&t, "backups"), -1);
    pn_barrel_keys_close(keys);
    assert_bytes(&t, "mount/away", alpha.secret.bytes, PN_KEY_LEN);
    assert_bytes(&t, "node.pub", alpha.public_key.bytes, PN_KEY_LEN);
    pn_tempdir_fini(&t);
}

static void test_trust_barrel_keys_bad_directory(void **state)
{
    pn_tempdir t;

    (void)state;
    make(&t);
    assert_int_equal(chmod(t.path, 0770), 0);
    assert_refused(&t, PN_PERMISSION, "can be written by other users");
    assert_int_equal(chmod(t.path, 0755), 0);
    pn_barrel_keys_close(must_open(&t));
    pn_tempdir_fini(&t);
}

/* ---- interrupted ------------------------------------------------------- */

/* T21: the second of the two files did not come: the old pair is whole again.
 */
static void test_trust_barrel_keys_rotation_cut_off(void **state)
{
    pn_barrel_keys *keys;
    pn_tempdir t;

    (void)state;
    make(&t);
    put(&t, "node.pub.bak", alpha.public_key.bytes);
    put(&t, "node.pub", beta.public_key.bytes);
    keys = must_open(&t);
    assert_true(speaks_with(keys, &alpha));
    assert_says(warning.text, "node.pub: was of a rotation");
    assert_string_equal(error.text, "");
    assert_pair(&t, &alpha);
    assert_int_equal(pn_tempdir_mode(&t, "node.pub.bak"), -1);
    pn_barrel_keys_close(keys);
    pn_tempdir_fini(&t);
}

/* T20: a copy that is not of this key mends nothing. */
static void test_trust_barrel_keys_foreign_copy(void **state)
{
    pn_tempdir t;

    (void)state;
    make(&t);
    put(&t, "node.pub.bak", beta.public_key.bytes);
    put(&t, "node.pub", beta.public_key.bytes);
    assert_refused(&t, PN_CORRUPT, "node.pub: does not belong to node.key");
    assert_bytes(&t, "node.pub.bak", beta.public_key.bytes, PN_KEY_LEN);
    assert_bytes(&t, "node.pub", beta.public_key.bytes, PN_KEY_LEN);
    pn_tempdir_fini(&t);
}

/* ---- reading again ----------------------------------------------------- */

static void test_trust_barrel_keys_reload(void **state)
{
    pn_barrel_keys *keys;
    const pn_ed25519_pair *pair;
    bool is_changed = true;
    pn_tempdir t;

    (void)state;
    make(&t);
    keys = must_open(&t);
    pair = pn_barrel_keys_pair(keys);
    assert_int_equal(pn_barrel_keys_reload(keys, &is_changed, &error), PN_OK);
    assert_false(is_changed);
    put(&t, "node.key", beta.secret.bytes);
    assert_int_equal(
        pn_barrel_keys_reload(keys, &is_changed, &error), PN_CORRUPT);
    assert_true(speaks_with(keys, &alpha));
    put(&t, "node.pub", beta.public_key.bytes);
    assert_int_equal(pn_barrel_keys_reload(keys, &is_changed, &error), PN_OK);
    assert_true(is_changed);
    assert_true(speaks_with(keys, &beta));
    assert_ptr_equal(pn_barrel_keys_pair(keys), pair);
    assert_int_equal(unlinkat(t.fd, "node.key", 0), 0);
    assert_int_equal(unlinkat(t.fd, "node.pub", 0), 0);
    assert_int_equal(pn_barrel_keys_reload(keys, NULL, &error), PN_NOT_FOUND);
    assert_says(error.text, "node.key: is not there any more");
    assert_true(speaks_with(keys, &beta));
    assert_int_equal(pn_tempdir_mode(&t, "node.key"), -1);
    pn_barrel_keys_close(keys);
    pn_tempdir_fini(&t);
}

/* ---- rotation ---------------------------------------------------------- */

static pn_err rotate(pn_barrel_keys *keys, int64_t wall_us, char **ret_backup)
{
    *ret_backup = NULL;
    return pn_barrel_keys_rotate(keys, wall_us, ret_backup, &error);
}

/* D5: the copy is as private as what it was made of. */
static void test_trust_barrel_keys_rotate(void **state)
{
    const mode_t mask = umask(0);
    pn_barrel_keys *keys;
    pn_barrel_keys *again;
    char *backup;
    pn_tempdir t;

    (void)state;
    make(&t);
    /* As upstream leaves them. */
    assert_int_equal(mkdirat(t.fd, "backups", 0755), 0);
    keys = must_open(&t);
    assert_int_equal(rotate(keys, WALL_US, &backup), PN_OK);
    assert_string_equal(backup, pn_tempdir_path(&t, "backups/" STAMP));
    assert_int_equal(pn_tempdir_mode(&t, "backups"), 0700);
    assert_int_equal(pn_tempdir_mode(&t, "backups/" STAMP), 0700);
    assert_int_equal(pn_tempdir_mode(&t, "backups/" STAMP "/node.key"), 0600);
    assert_int_equal(pn_tempdir_mode(&t, "backups/" STAMP "/node.pub"), 0600);
    assert_bytes(&t, "backups/" STAMP "/node.key", alpha.secret.bytes, 32);
    assert_bytes(&t, "backups/" STAMP "/node.pub", alpha.public_key.bytes, 32);
    assert_false(pn_ed25519_key_equal(
        &pn_barrel_keys_pair(keys)->public_key, &alpha.public_key));
    assert_pair(&t, pn_barrel_keys_pair(keys));
    assert_int_equal(pn_tempdir_mode(&t, "node.key"), 0600);
    assert_int_equal(pn_tempdir_mode(&t, "node.pub"), 0600);
    /* The old secret is in backups and nowhere else. */
    assert_int_equal(pn_tempdir_count(&t), 4);
    again = must_open(&t);
    assert_string_equal(warning.text, "");
    assert_true(speaks_with(again, pn_barrel_keys_pair(keys)));
    free(backup);
    pn_barrel_keys_close(again);
    pn_barrel_keys_close(keys);
    pn_tempdir_fini(&t);
    (void)umask(mask);
}

/* Twice in a second: nothing is copied over. */
static void test_trust_barrel_keys_rotate_again(void **state)
{
    pn_barrel_keys *keys;
    pn_ed25519_pair second;
    char *backup;
    pn_tempdir t;

    (void)state;
    make(&t);
    keys = must_open(&t);
    assert_int_equal(rotate(keys, WALL_US, &backup), PN_OK);
    free(backup);
    second = *pn_barrel_keys_pair(keys);
    assert_int_equal(rotate(keys, WALL_US + 210999, &backup), PN_EXISTS);
    assert_null(backup);
    assert_says(error.text, "backups/" STAMP ": is there already");
    assert_true(speaks_with(keys, &second));
    assert_pair(&t, &second);
    assert_bytes(&t, "backups/" STAMP "/node.key", alpha.secret.bytes, 32);
    assert_int_equal(rotate(keys, WALL_US + 211000, &backup), PN_OK);
    assert_says(backup, "backups/20260203T040507Z");
    assert_false(speaks_with(keys, &second));
    free(backup);
    pn_barrel_keys_close(keys);
    pn_tempdir_fini(&t);
}

/* Another process was faster: its key is copied, not ours. */
static void test_trust_barrel_keys_rotate_what_is_there(void **state)
{
    pn_barrel_keys *keys;
    char *backup;
    pn_tempdir t;

    (void)state;
    make(&t);
    keys = must_open(&t);
    put(&t, "node.key", beta.secret.bytes);
    put(&t, "node.pub", beta.public_key.bytes);
    assert_int_equal(rotate(keys, WALL_US, &backup), PN_OK);
    assert_bytes(&t, "backups/" STAMP "/node.key", beta.secret.bytes, 32);
    free(backup);
    put(&t, "node.pub", beta.public_key.bytes);
    assert_int_equal(rotate(keys, WALL_US + 1000000, &backup), PN_CORRUPT);
    assert_int_equal(unlinkat(t.fd, "node.key", 0), 0);
    assert_int_equal(unlinkat(t.fd, "node.pub", 0), 0);
    assert_int_equal(rotate(keys, WALL_US + 2000000, &backup), PN_NOT_FOUND);
    assert_null(backup);
    pn_barrel_keys_close(keys);
    pn_tempdir_fini(&t);
}

typedef struct obstacle_row {
    const char *name;
    const char *obstacle; /* a directory where something is to be written */
    bool is_copied;       /* the backup was done by then */
} obstacle_row;

static const obstacle_row OBSTACLES[] = {
    {"pub_unwritable", "node.pub.pn-tmp", true},
    {"key_unwritable", "node.key.pn-tmp", true},
    {"pub_unreplaceable", "node.pub.bak", true},
    {"key_unreplaceable", "node.key.bak", true},
    {"no_backups", "backups", false},
    {"full_disk", NULL, false},
};

/* T23: whatever fails, the old pair is in the files and in memory. */
static void test_trust_barrel_keys_rotate_fails(void **state)
{
    const obstacle_row *row = *state;
    pn_barrel_keys *keys;
    struct rlimit old;
    char *backup = NULL;
    pn_tempdir t;
    pn_err err;

    make(&t);
    keys = must_open(&t);
    if (row->obstacle == NULL) {
        fill_disk(&old);
    } else if (row->is_copied) {
        assert_int_equal(mkdirat(t.fd, row->obstacle, 0700), 0);
    } else {
        pn_tempdir_put(&t, row->obstacle, "x", 1);
    }
    err = rotate(keys, WALL_US, &backup);
    if (row->obstacle == NULL) {
        empty_disk(&old);
    }
    assert_true(err == PN_SYS || err == PN_PERMISSION);
    assert_null(backup);
    assert_says(error.text, t.path);
    assert_true(speaks_with(keys, &alpha));
    assert_pair(&t, &alpha);
    assert_int_equal(
        pn_tempdir_mode(&t, "backups/" STAMP), row->is_copied ? 0700 : -1);
    if (row->obstacle != NULL) {
        assert_int_equal(
            unlinkat(t.fd, row->obstacle, row->is_copied ? AT_REMOVEDIR : 0),
            0);
    }
    pn_barrel_keys_close(keys);
    keys = must_open(&t);
    assert_string_equal(warning.text, "");
    assert_int_equal(rotate(keys, WALL_US + 1000000, &backup), PN_OK);
    free(backup);
    pn_barrel_keys_close(keys);
    pn_tempdir_fini(&t);
}

/* ---- copies of other files --------------------------------------------- */

static const char *const CERTIFICATE[PN_PAIR_FILES] = {"node.crt", "node.key"};

static pn_err back_up(const pn_tempdir *t, int64_t wall_us, char **ret_path)
{
    pn_guarded_dir dir;
    pn_err err = pn_guarded_open(t->path, NULL, &dir, &error);

    assert_int_equal(err, PN_OK);
    *ret_path = NULL;
    err = pn_pair_back_up(&dir, CERTIFICATE, wall_us, ret_path, &error);
    pn_guarded_close(&dir);
    return err;
}

static void test_trust_backup_certificate(void **state)
{
    pn_tempdir t;
    char *path;

    (void)state;
    pn_tempdir_init(&t);
    pn_tempdir_put(&t, "node.crt", "crt", 3);
    pn_tempdir_put(&t, "node.key", "key", 3);
    assert_int_equal(chmod(pn_tempdir_path(&t, "node.crt"), 0644), 0);
    assert_int_equal(back_up(&t, WALL_US, &path), PN_OK);
    assert_string_equal(path, pn_tempdir_path(&t, "backups/" STAMP));
    assert_bytes(&t, "backups/" STAMP "/node.crt", "crt", 3);
    assert_bytes(&t, "backups/" STAMP "/node.key", "key", 3);
    assert_int_equal(pn_tempdir_mode(&t, "backups/" STAMP "/node.key"), 0600);
    assert_int_equal(pn_tempdir_mode(&t, "node.crt"), 0644);
    free(path);
    pn_tempdir_fini(&t);
}

static void test_trust_backup_size(void **state)
{
    static const char big[PN_PAIR_BACKUP_MAX + 1];
    pn_tempdir t;
    char *path;

    (void)state;
    pn_tempdir_init(&t);
    pn_tempdir_put(&t, "node.crt", "crt", 3);
    for (size_t n = PN_PAIR_BACKUP_MAX - 1; n <= sizeof(big); n++) {
        const int64_t wall_us = WALL_US + (int64_t)n * 1000000;

        pn_tempdir_put(&t, "node.key", big, n);
        assert_int_equal(back_up(&t, wall_us, &path),
            n <= PN_PAIR_BACKUP_MAX ? PN_OK : PN_LIMIT);
        free(path);
    }
    assert_says(error.text, "node.key");
    pn_tempdir_fini(&t);
}

static void test_trust_backup_missing(void **state)
{
    const char *gone = *state;
    pn_tempdir t;
    char *path;

    pn_tempdir_init(&t);
    pn_tempdir_put(&t, "node.crt", "crt", 3);
    pn_tempdir_put(&t, "node.key", "key", 3);
    assert_int_equal(unlinkat(t.fd, gone, 0), 0);
    assert_int_equal(back_up(&t, WALL_US, &path), PN_NOT_FOUND);
    assert_says(error.text, gone);
    assert_int_equal(pn_tempdir_mode(&t, "backups"), -1);
    pn_tempdir_fini(&t);
}

/* The first file is copied and the second cannot be: no directory remains. */
static void test_trust_backup_half(void **state)
{
    static const char big[1024];
    struct rlimit old;
    struct rlimit some;
    pn_tempdir t;
    char *path;
    pn_err err;

    (void)state;
    pn_tempdir_init(&t);
    pn_tempdir_put(&t, "node.crt", "crt", 3);
    pn_tempdir_put(&t, "node.key", big, sizeof(big));
    fill_disk(&old);
    some = old;
    some.rlim_cur = 512;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &some), 0);
    err = back_up(&t, WALL_US, &path);
    empty_disk(&old);
    assert_int_equal(err, PN_SYS);
    assert_says(error.text, "backups/" STAMP "/node.key");
    assert_int_equal(pn_tempdir_mode(&t, "backups"), 0700);
    assert_int_equal(pn_tempdir_mode(&t, "backups/" STAMP), -1);
    pn_tempdir_fini(&t);
}

static void test_trust_backup_time(void **state)
{
    static const struct {
        int64_t us;
        const char *stamp; /* NULL: refused */
    } rows[] = {
        {INT64_C(-62167219200000001), NULL},
        {INT64_C(-62167219200000000), "00000101T000000Z"},
        {0, "19700101T000000Z"},
        {INT64_C(253402300799999999), "99991231T235959Z"},
        {INT64_C(253402300800000000), NULL},
    };
    pn_tempdir t;
    char *path;

    (void)state;
    pn_tempdir_init(&t);
    pn_tempdir_put(&t, "node.crt", "crt", 3);
    pn_tempdir_put(&t, "node.key", "key", 3);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(back_up(&t, rows[i].us, &path),
            rows[i].stamp == NULL ? PN_INVALID : PN_OK);
        if (rows[i].stamp != NULL) {
            assert_says(path, rows[i].stamp);
        }
        free(path);
    }
    pn_tempdir_fini(&t);
}

/* ---- all --------------------------------------------------------------- */

#define NAMED(function, name, row)                                             \
    pn_test_add("trust/barrel_keys/" name, function, (void *)(uintptr_t)(row))
#define ADD(function, name) NAMED(function, name, NULL)

static void add_vectors(json_t *vectors)
{
    const json_t *loads = json_object_get(vectors, "keypair_load");
    json_t *identities = json_object_get(vectors, "identities");
    const char *name;
    size_t i;
    json_t *row;

    json_array_foreach(loads, i, row)
    {
        pn_test_addf(test_trust_barrel_keys_vector, row,
            "trust/barrel_keys/vector/%s", pn_json_string(row, "name"));
    }
    json_object_foreach(identities, name, row)
    {
        pn_test_addf(test_trust_barrel_keys_identity, row,
            "trust/barrel_keys/identity/%s", name);
    }
}

static void make_pairs(const json_t *vectors)
{
    const json_t *identities = json_object_get(vectors, "identities");
    const json_t *a = json_object_get(identities, "alpha");
    const json_t *b = json_object_get(identities, "beta");

    pn_json_hex_n(a, "seed", alpha.secret.bytes, PN_KEY_LEN);
    pn_json_hex_n(a, "public", alpha.public_key.bytes, PN_KEY_LEN);
    pn_json_hex_n(b, "seed", beta.secret.bytes, PN_KEY_LEN);
    pn_json_hex_n(b, "public", beta.public_key.bytes, PN_KEY_LEN);
}

static void add_rotation(void)
{
    ADD(test_trust_barrel_keys_rotate, "D5_rotate");
    ADD(test_trust_barrel_keys_rotate_again, "rotate_twice_in_a_second");
    ADD(test_trust_barrel_keys_rotate_what_is_there, "rotate_what_is_there");
    for (size_t i = 0; i < sizeof(OBSTACLES) / sizeof(OBSTACLES[0]); i++) {
        pn_test_addf(test_trust_barrel_keys_rotate_fails,
            (void *)(uintptr_t)&OBSTACLES[i],
            "trust/barrel_keys/T23_rotate_fails/%s", OBSTACLES[i].name);
    }
    ADD(test_trust_backup_certificate, "backup/certificate");
    ADD(test_trust_backup_size, "backup/size");
    NAMED(test_trust_backup_missing, "backup/no_crt", "node.crt");
    NAMED(test_trust_backup_missing, "backup/no_key", "node.key");
    ADD(test_trust_backup_half, "backup/half_is_none");
    ADD(test_trust_backup_time, "backup/time");
}

int main(void)
{
    json_t *vectors = pn_vectors_as("barrel.json", JSON_DECODE_INT_AS_REAL);
    int status;

    make_pairs(vectors);
    ADD(test_trust_barrel_keys_first_start, "T20_first_start_is_private");
    ADD(test_trust_barrel_keys_differ, "every_directory_has_its_own_key");
    ADD(test_trust_barrel_keys_eight_first_starts, "T21_eight_first_starts");
    NAMED(test_trust_barrel_keys_first_start_fails, "T23_first_start_fails/pub",
        "node.pub.pn-tmp");
    NAMED(test_trust_barrel_keys_first_start_fails, "T23_first_start_fails/key",
        "node.key.pn-tmp");
    ADD(test_trust_barrel_keys_first_start_full_disk,
        "T23_first_start_full_disk");
    add_vectors(vectors);
    NAMED(test_trust_barrel_keys_size, "T22_size/key", "node.key");
    NAMED(test_trust_barrel_keys_size, "T22_size/pub", "node.pub");
    NAMED(test_trust_barrel_keys_half, "D9_half/no_key", "node.key");
    NAMED(test_trust_barrel_keys_half, "D9_half/no_pub", "node.pub");
    NAMED(test_trust_barrel_keys_not_a_pair, "T20_not_a_pair/key", "node.key");
    NAMED(test_trust_barrel_keys_not_a_pair, "T20_not_a_pair/pub", "node.pub");
    for (size_t i = 0; i < sizeof(BAD_ROWS) / sizeof(BAD_ROWS[0]); i++) {
        pn_test_addf(test_trust_barrel_keys_bad,
            (void *)(uintptr_t)&BAD_ROWS[i], "trust/barrel_keys/T20_bad/%s",
            BAD_ROWS[i].name);
    }
    ADD(test_trust_barrel_keys_bad_directory, "T20_bad/directory");
    ADD(test_trust_barrel_keys_link_to_nothing, "T20_link_to_nothing");
    ADD(test_trust_barrel_keys_rotate_link, "T20_rotate_link");
    ADD(test_trust_barrel_keys_rotation_cut_off, "T21_rotation_cut_off");
    ADD(test_trust_barrel_keys_foreign_copy, "T20_foreign_copy");
    ADD(test_trust_barrel_keys_reload, "reload");
    add_rotation();
    status = pn_test_run("trust/barrel_keys");
    json_decref(vectors);
    return status;
}

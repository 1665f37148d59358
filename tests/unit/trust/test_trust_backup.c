/* SPDX-License-Identifier: Apache-2.0 */
/* Backups: what a file that was not made by us, or was changed, can do
 * (nothing), and what restoring does to a data directory (all or nothing). */
#include <sys/stat.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/slice.h"
#include "fixture.h"
#include "os/file.h"
#include "trust/backup_files.h"

#define LOG_N PN_BACKUP_LOG_N_MIN

static const char phrase[] = "correct horse";
static pn_why error;

/* ---- the format ---------------------------------------------------------- */

/* A backup of one identity, and of more when extra is not NULL. */
static pn_buf sealed_of(const char *extra, unsigned mode)
{
    const fixture_file *id = &fixture_files[FIXTURE_IDENTITY];
    pn_buf plain = {0};
    pn_buf out = {0};

    assert_int_equal(
        pn_backup_put(&plain, id->name, 0600, id->data, id->len), PN_OK);
    if (extra != NULL) {
        assert_int_equal(
            pn_backup_put(&plain, extra, mode, (const uint8_t *)"x", 1), PN_OK);
    }
    assert_int_equal(pn_backup_seal((pn_slice){plain.data, plain.len},
                         pn_slice_of(phrase), LOG_N, &out),
        PN_OK);
    pn_buf_fini(&plain);
    return out;
}

/* What a reader says of these bytes. */
static pn_err open_bytes(const uint8_t *data, size_t len, const char *with)
{
    const char *why = NULL;
    uint8_t *plain = NULL;
    size_t n = 0;
    pn_err err = pn_backup_check(data, len, &why);

    if (err != PN_OK) {
        assert_non_null(why);
        return err;
    }
    err = pn_backup_open(data, len, pn_slice_of(with), &plain, &n);
    if (err == PN_OK) {
        pn_secure_free(plain, n);
    } else {
        assert_null(plain);
    }
    return err;
}

static void test_vectors(void **state)
{
    const json_t *row = *state;
    const json_t *files = json_object_get(row, "files");
    const json_t *file;
    const char *why = NULL;
    pn_backup_entry entry;
    uint8_t *plain = NULL;
    uint8_t *data;
    size_t plain_len;
    size_t len;
    size_t i;
    pn_slice rest;

    data = pn_json_hex(row, "backup_hex", &len);
    assert_int_equal(pn_backup_check(data, len, &why), PN_OK);
    assert_int_equal(
        pn_backup_open(data, len,
            pn_slice_of(pn_json_string(row, "passphrase")), &plain, &plain_len),
        PN_OK);
    rest = (pn_slice){plain, plain_len};
    json_array_foreach(files, i, file)
    {
        size_t want_len;
        uint8_t *want = pn_json_hex(file, "bytes_hex", &want_len);

        assert_int_equal(pn_backup_next(&rest, &entry), PN_OK);
        assert_string_equal(entry.name, pn_json_string(file, "name"));
        assert_int_equal(
            entry.mode, json_integer_value(json_object_get(file, "mode")));
        pn_assert_bytes(entry.bytes.data, entry.bytes.len, want, want_len);
        free(want);
    }
    assert_int_equal(pn_backup_next(&rest, &entry), PN_NOT_FOUND);
    pn_secure_free(plain, plain_len);
    free(data);
}

/* Every prefix of the header, and some of the rest. */
static void test_cut(void **state)
{
    pn_buf b = sealed_of(NULL, 0);

    (void)state;
    for (size_t n = 0; n < b.len;
         n += n < PN_BACKUP_HEADER_LEN + PN_TAG_LEN ? 1 : 17) {
        uint8_t *copy = malloc(n == 0 ? 1 : n); /* exactly */

        assert_non_null(copy);
        memcpy(copy, b.data, n);
        assert_int_not_equal(open_bytes(copy, n, phrase), PN_OK);
        free(copy);
    }
    assert_int_equal(open_bytes(b.data, b.len, phrase), PN_OK);
    pn_buf_fini(&b);
}

/* Every bit of the fixed header, one of each byte of the salt, some others. */
static void test_flip(void **state)
{
    pn_buf b = sealed_of(NULL, 0);

    (void)state;
    for (size_t bit = 0; bit < b.len * 8;
         bit += bit < 12 * 8                             ? 1
                : bit < (size_t)PN_BACKUP_HEADER_LEN * 8 ? 9
                                                         : 71) {
        b.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_not_equal(open_bytes(b.data, b.len, phrase), PN_OK);
        b.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    /* The last byte, and one too many. */
    b.data[b.len - 1] ^= 1;
    assert_int_equal(open_bytes(b.data, b.len, phrase), PN_AUTH);
    b.data[b.len - 1] ^= 1;
    assert_int_equal(pn_buf_append(&b, "", 1), PN_OK);
    assert_int_equal(open_bytes(b.data, b.len, phrase), PN_AUTH);
    pn_buf_fini(&b);
}

/* What a hostile header may cost: refused before any memory is taken. */
static void test_cost(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
    } rows[] = {{9, 0}, {9, PN_BACKUP_LOG_N_MIN - 1},
        {9, PN_BACKUP_LOG_N_MAX + 1}, {9, 63}, {9, 64}, {9, 255}, {10, 0},
        {10, 7}, {10, 9}, {10, 255}, {11, 0}, {11, 2}, {11, 255}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pn_buf b = sealed_of(NULL, 0);
        const char *why = NULL;

        b.data[rows[i].at] = rows[i].value;
        assert_int_equal(pn_backup_check(b.data, b.len, &why), PN_CORRUPT);
        assert_says(why, "more memory or work");
        pn_buf_fini(&b);
    }
}

static void test_version(void **state)
{
    pn_buf b = sealed_of(NULL, 0);
    const char *why = NULL;

    (void)state;
    b.data[8] = 2;
    assert_int_equal(pn_backup_check(b.data, b.len, &why), PN_CORRUPT);
    assert_says(why, "version");
    pn_buf_fini(&b);
}

/* Two backups of the same have nothing in common. */
static void test_salt(void **state)
{
    pn_buf a = sealed_of(NULL, 0);
    pn_buf b = sealed_of(NULL, 0);

    (void)state;
    assert_int_equal(a.len, b.len);
    assert_memory_not_equal(a.data + 12, b.data + 12, PN_BACKUP_SALT_LEN);
    assert_memory_not_equal(
        a.data + PN_BACKUP_HEADER_LEN, b.data + PN_BACKUP_HEADER_LEN, 32);
    assert_int_equal(open_bytes(a.data, a.len, "correct horsf"), PN_AUTH);
    assert_int_equal(open_bytes(a.data, a.len, "correct horse "), PN_AUTH);
    pn_buf_fini(&a);
    pn_buf_fini(&b);
}

/* Lengths that do not fit, behind a tag that does. */
static void test_lengths(void **state)
{
    static const uint8_t rows[][12] = {
        {0, 1, 1, 0x80, 0, 0, 0, 4, 'a'}, /* longer than the rest */
        {0, 1, 1, 0x80, 255, 255, 255, 255, 'a'},
        {0, 0, 1, 0x80, 0, 0, 0, 0}, /* no name */
        {255, 255, 1, 0x80, 0, 0, 0, 0, 'a'}, {0, 9, 1, 0x80, 0, 0, 0, 0, 'a'},
        {0, 1, 2, 0, 0, 0, 0, 3, 'a'},       /* a mode that is none */
        {0, 2, 1, 0x80, 0, 0, 0, 2, 'a', 0}, /* a NUL in the name */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pn_slice rest = {rows[i], sizeof(rows[i])};
        pn_backup_entry entry;

        assert_int_equal(pn_backup_next(&rest, &entry), PN_CORRUPT);
        for (size_t n = 1; n < 8; n++) {
            rest = (pn_slice){rows[i], n};
            assert_int_equal(pn_backup_next(&rest, &entry), PN_CORRUPT);
        }
    }
}

/* ---- restoring ----------------------------------------------------------- */

static pn_err restore(const pn_tempdir *t, const char *to, bool replace,
    const char *with, char **ret_kept)
{
    return pn_backup_restore(pn_tempdir_path(t, to),
        pn_tempdir_path(t, "backup"), replace, pn_slice_of(with), NULL, NULL,
        ret_kept, &error);
}

static pn_err back_up(const pn_tempdir *t, bool replace)
{
    return pn_backup_write_costing(fixture_data(t),
        pn_tempdir_path(t, "backup"), replace, pn_slice_of(phrase), LOG_N, NULL,
        NULL, &error);
}

/* A name that no backup of ours holds makes nothing, anywhere. */
static void test_names(void **state)
{
    const char *name = *state;
    pn_buf b = sealed_of(name, 0600);
    pn_tempdir t;

    pn_tempdir_init(&t);
    pn_tempdir_put(&t, "backup", b.data, b.len);
    assert_int_equal(restore(&t, "new", false, phrase, NULL), PN_CORRUPT);
    assert_says(error.text, "none of a data directory");
    assert_int_equal(pn_tempdir_count(&t), 1);
    pn_buf_fini(&b);
    pn_tempdir_fini(&t);
}

static const char *const bad_names[] = {"../evil", "/tmp/evil", "evil",
    "trust.bin/", "./trust.bin", "Trust.bin", "trust.bin.bak", "node.lock",
    "control.sock", "barrel", "barrel/keys", "barrel/keys/",
    "barrel/keys/../../evil.pub", "barrel/keys/trusted/../node.key",
    "barrel/keys/trusted/../../../evil.pub", "barrel/keys/trusted/.pub",
    "barrel/keys/trusted/..pub", "barrel/keys/trusted/.a.pub",
    "barrel/keys/trusted/a/b.pub", "barrel/keys/trusted//a.pub",
    "barrel/keys/trusted/a b.pub", "barrel/keys/trusted/a\n.pub",
    "barrel//keys/node.key", "barrel/keys/trusted/a.pub.pn-tmp"};

static void put_sealed(const pn_tempdir *t, pn_buf *plain)
{
    pn_buf out = {0};

    assert_int_equal(pn_backup_seal((pn_slice){plain->data, plain->len},
                         pn_slice_of(phrase), LOG_N, &out),
        PN_OK);
    pn_tempdir_put(t, "backup", out.data, out.len);
    pn_buf_fini(plain);
    pn_buf_fini(&out);
}

/* Files that are checked, and one that comes twice: nothing is left behind. */
static void test_content(void **state)
{
    const fixture_file *id = &fixture_files[FIXTURE_IDENTITY];
    pn_buf plain = {0};
    pn_tempdir t;

    (void)state;
    pn_tempdir_init(&t);
    assert_int_equal(
        pn_backup_put(&plain, "addresses", 0600, id->data, 1), PN_OK);
    put_sealed(&t, &plain);
    assert_int_equal(restore(&t, "new", false, phrase, NULL), PN_NOT_FOUND);
    assert_says(error.text, "there is no identity.keys");

    assert_int_equal(
        pn_backup_put(&plain, id->name, 0600, id->data, id->len - 1), PN_OK);
    put_sealed(&t, &plain);
    assert_int_equal(restore(&t, "new", false, phrase, NULL), PN_CORRUPT);
    assert_says(error.text, "identity.keys is damaged");

    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(
            pn_backup_put(&plain, id->name, 0600, id->data, id->len), PN_OK);
    }
    put_sealed(&t, &plain);
    assert_int_equal(restore(&t, "new", false, phrase, NULL), PN_CORRUPT);
    assert_says(error.text, "twice");
    assert_int_equal(pn_tempdir_count(&t), 1);
    pn_tempdir_fini(&t);
}

/* A mode of the backup never makes a secret readable, or a file writable by
 * others. */
static void test_modes(void **state)
{
    static const struct {
        const char *name;
        unsigned mode;
        int want;
    } rows[] = {{"addresses", 0777, 0600}, {"addresses", 0, 0400},
        {"addresses", 0400, 0400}, {"barrel/keys/node.key", 0666, 0600},
        {"barrel/keys/node.pub", 0666, 0644},
        {"barrel/keys/trusted/a@b.pub", 0600, 0600}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pn_buf b = sealed_of(rows[i].name, rows[i].mode);
        char path[64];
        pn_tempdir t;

        pn_tempdir_init(&t);
        pn_tempdir_put(&t, "backup", b.data, b.len);
        assert_int_equal(restore(&t, "new", false, phrase, NULL), PN_OK);
        (void)snprintf(path, sizeof(path), "new/%s", rows[i].name);
        assert_int_equal(pn_tempdir_mode(&t, path), rows[i].want);
        assert_int_equal(pn_tempdir_mode(&t, "new/identity.keys"), 0600);
        assert_int_equal(pn_tempdir_mode(&t, "new"), 0700);
        pn_buf_fini(&b);
        pn_tempdir_fini(&t);
    }
}

/* Fails unless the directory has the fixture's files. */
static void assert_is_fixture(const pn_tempdir *t, const char *name)
{
    for (unsigned i = 0; i < FIXTURE_N_FILES; i++) {
        char path[128];
        size_t len = 0;
        uint8_t *data;

        (void)snprintf(
            path, sizeof(path), "%s/%s", name, fixture_files[i].name);
        data = pn_tempdir_get(t, path, &len);
        assert_non_null(data);
        pn_assert_bytes(data, len, fixture_files[i].data, fixture_files[i].len);
        free(data);
    }
}

static void add_barrel(const pn_tempdir *t)
{
    static const char *const dirs[] = {
        "data/barrel", "data/barrel/keys", "data/barrel/keys/trusted"};

    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(mkdir(pn_tempdir_path(t, dirs[i]), 0700), 0);
    }
    pn_tempdir_put(t, "data/barrel/keys/node.key", "k", 1);
    pn_tempdir_put(t, "data/barrel/keys/node.pub", "p", 1);
    pn_tempdir_put(t, "data/barrel/keys/trusted/a@b.pub", "a", 1);
    pn_tempdir_put(t, "data/barrel/keys/trusted/c@d.pub", "c", 1);
    pn_tempdir_put(t, "data/barrel/keys/trusted/README", "r", 1);
    assert_int_equal(
        chmod(pn_tempdir_path(t, "data/barrel/keys/node.pub"), 0644), 0);
}

static void test_round_trip(void **state)
{
    uint32_t n_files = 0;
    pn_public_key key;
    pn_tempdir t;

    (void)state;
    fixture_make(&t);
    add_barrel(&t);
    pn_tempdir_put(&t, "data/chat.history", "private", 7);
    assert_int_equal(back_up(&t, false), PN_OK);
    assert_string_equal(error.text, "");
    assert_int_equal(pn_tempdir_mode(&t, "backup"), 0600);
    assert_int_equal(pn_backup_restore(pn_tempdir_path(&t, "new/"),
                         pn_tempdir_path(&t, "backup"), false,
                         pn_slice_of(phrase), &key, &n_files, NULL, &error),
        PN_OK);
    assert_true(pn_key_equal(&key, &fixture_alice));
    assert_int_equal(n_files, 7);
    assert_is_fixture(&t, "new");
    assert_int_equal(
        pn_tempdir_mode(&t, "new/barrel/keys/trusted/c@d.pub"), 0600);
    assert_int_equal(pn_tempdir_mode(&t, "new/barrel/keys/node.key"), 0600);
    assert_int_equal(pn_tempdir_mode(&t, "new/barrel/keys/node.pub"), 0644);
    /* What is not in the table is not in the backup. */
    assert_int_equal(pn_tempdir_mode(&t, "new/barrel/keys/trusted/README"), -1);
    assert_int_equal(pn_tempdir_mode(&t, "new/chat.history"), -1);
    assert_int_equal(pn_tempdir_mode(&t, "new/edit.lock"), -1);
    assert_int_equal(pn_tempdir_count(&t), 3); /* data, backup, new */
    pn_tempdir_fini(&t);
}

/* Nothing of the backup can be read without the passphrase. */
static void test_is_secret(void **state)
{
    const fixture_file *id = &fixture_files[FIXTURE_IDENTITY];
    pn_tempdir t;
    uint8_t *data;
    size_t len;

    (void)state;
    fixture_make(&t);
    assert_int_equal(back_up(&t, false), PN_OK);
    data = pn_tempdir_get(&t, "backup", &len);
    assert_non_null(data);
    assert_null(memmem(data, len, id->data + 6, 8));
    assert_null(memmem(data, len, id->data + id->len - 32, 8));
    assert_null(memmem(data, len, "identity", 8));
    free(data);
    pn_tempdir_fini(&t);
}

static void test_into_empty(void **state)
{
    pn_tempdir t;

    (void)state;
    fixture_make(&t);
    assert_int_equal(back_up(&t, false), PN_OK);
    assert_int_equal(mkdir(pn_tempdir_path(&t, "new"), 0755), 0);
    assert_int_equal(restore(&t, "new", false, phrase, NULL), PN_OK);
    assert_is_fixture(&t, "new");
    assert_int_equal(pn_tempdir_mode(&t, "new"), 0700);
    pn_tempdir_fini(&t);
}

static void test_not_into_full(void **state)
{
    pn_tempdir t;

    (void)state;
    fixture_make(&t);
    assert_int_equal(back_up(&t, false), PN_OK);
    assert_int_equal(mkdir(pn_tempdir_path(&t, "new"), 0700), 0);
    pn_tempdir_put(&t, "new/mine", "m", 1);
    assert_int_equal(restore(&t, "new", false, phrase, NULL), PN_EXISTS);
    assert_says(error.text, "is not empty");
    assert_int_equal(pn_tempdir_mode(&t, "new/mine"), 0600);
    assert_int_equal(pn_tempdir_mode(&t, "new/identity.keys"), -1);
    assert_int_equal(restore(&t, "data", false, phrase, NULL), PN_EXISTS);
    fixture_assert_untouched(&t);
    /* A file, a link to a directory, a name that is none. */
    assert_int_not_equal(restore(&t, "backup", true, phrase, NULL), PN_OK);
    assert_int_equal(symlink("data", pn_tempdir_path(&t, "link")), 0);
    assert_int_equal(restore(&t, "link", true, phrase, NULL), PN_PERMISSION);
    assert_int_equal(restore(&t, "data/..", true, phrase, NULL), PN_INVALID);
    assert_int_equal(restore(&t, "none/new", false, phrase, NULL), PN_SYS);
    fixture_assert_untouched(&t);
    assert_int_equal(pn_tempdir_count(&t), 4);
    pn_tempdir_fini(&t);
}

/* The old directory stays, whole, beside the new one. */
static void test_replace(void **state)
{
    char *kept = NULL;
    pn_tempdir t;

    (void)state;
    fixture_make(&t);
    assert_int_equal(back_up(&t, false), PN_OK);
    assert_int_equal(mkdir(pn_tempdir_path(&t, "new"), 0700), 0);
    pn_tempdir_put(&t, "new/mine", "m", 1);
    assert_int_equal(restore(&t, "new", true, phrase, &kept), PN_OK);
    assert_is_fixture(&t, "new");
    assert_int_equal(pn_tempdir_mode(&t, "new/mine"), -1);
    assert_non_null(kept);
    assert_says(kept, "/new.old-");
    assert_int_equal(pn_tempdir_mode(&t, strrchr(kept, '/') + 1), 0700);
    assert_int_equal(pn_tempdir_count(&t), 4);
    assert_int_equal(unlinkat(t.fd, "new/mine", 0), -1);
    free(kept);
    kept = NULL;
    /* Twice in a second: both are kept. */
    assert_int_equal(restore(&t, "new", true, phrase, &kept), PN_OK);
    assert_int_equal(pn_tempdir_count(&t), 5);
    free(kept);
    pn_tempdir_fini(&t);
}

/* Neither a node nor an edit is disturbed. */
static void test_node_runs(void **state)
{
    pn_store *store;
    pn_tempdir t;

    (void)state;
    fixture_make(&t);
    assert_int_equal(back_up(&t, false), PN_OK);
    store = fixture_open(&t);
    assert_int_equal(pn_store_lock_node(store, &error), PN_OK);
    assert_int_equal(restore(&t, "data", true, phrase, NULL), PN_LOCKED);
    assert_says(error.text, "another node");
    fixture_assert_untouched(&t);
    assert_int_equal(pn_tempdir_count(&t), 2);
    /* A backup does not disturb it, and is not disturbed. */
    assert_int_equal(back_up(&t, true), PN_OK);
    pn_store_close(store);
    assert_int_equal(restore(&t, "data", true, phrase, NULL), PN_OK);
    pn_tempdir_fini(&t);
}

static void test_wrong_passphrase(void **state)
{
    pn_tempdir t;

    (void)state;
    fixture_make(&t);
    assert_int_equal(back_up(&t, false), PN_OK);
    assert_int_equal(
        restore(&t, "data", true, "correct  horse", NULL), PN_AUTH);
    assert_says(error.text, "the passphrase is wrong, or the file is damaged");
    assert_int_equal(
        restore(&t, "new", false, "correct  horse", NULL), PN_AUTH);
    assert_int_equal(pn_tempdir_count(&t), 2);
    fixture_assert_untouched(&t);
    pn_tempdir_put(&t, "backup", "#!/bin/sh\necho\n", 15);
    assert_int_equal(restore(&t, "new", false, phrase, NULL), PN_CORRUPT);
    assert_says(error.text, "is no backup");
    assert_int_equal(unlinkat(t.fd, "backup", 0), 0);
    assert_int_equal(restore(&t, "new", false, phrase, NULL), PN_NOT_FOUND);
    assert_int_equal(pn_tempdir_count(&t), 1);
    pn_tempdir_fini(&t);
}

/* ---- backing up ---------------------------------------------------------- */

static void test_passphrase_length(void **state)
{
    char longest[PN_BACKUP_PASSPHRASE_MAX + 1];
    pn_tempdir t;

    (void)state;
    memset(longest, 'x', sizeof(longest));
    fixture_make(&t);
    for (size_t n = 0; n < PN_BACKUP_PASSPHRASE_MIN; n++) {
        assert_int_equal(
            pn_backup_write(fixture_data(&t), pn_tempdir_path(&t, "backup"),
                false, (pn_slice){(const uint8_t *)longest, n}, NULL, NULL,
                &error),
            PN_INVALID);
    }
    assert_int_equal(
        pn_backup_write(fixture_data(&t), pn_tempdir_path(&t, "backup"), false,
            (pn_slice){(const uint8_t *)longest, sizeof(longest)}, NULL, NULL,
            &error),
        PN_INVALID);
    assert_says(error.text, "has 1025 bytes, expected 8 to 1024");
    assert_int_equal(pn_tempdir_count(&t), 1);
    pn_tempdir_fini(&t);
}

static void test_not_overwritten(void **state)
{
    size_t len = 0;
    uint8_t *first;
    uint8_t *kept;
    pn_tempdir t;
    size_t kept_len = 0;

    (void)state;
    fixture_make(&t);
    assert_int_equal(back_up(&t, false), PN_OK);
    first = pn_tempdir_get(&t, "backup", &len);
    assert_int_equal(back_up(&t, false), PN_EXISTS);
    assert_says(error.text, "is there already");
    assert_int_equal(pn_tempdir_count(&t), 2);
    assert_int_equal(back_up(&t, true), PN_OK);
    kept = pn_tempdir_get(&t, "backup.bak", &kept_len);
    pn_assert_bytes(kept, kept_len, first, len);
    assert_int_equal(pn_tempdir_mode(&t, "backup"), 0600);
    free(first);
    free(kept);
    pn_tempdir_fini(&t);
}

/* A backup that could not be restored is not made. */
static void test_nothing_to_back_up(void **state)
{
    pn_tempdir t;

    (void)state;
    pn_tempdir_init(&t);
    assert_int_equal(back_up(&t, false), PN_NOT_FOUND);
    assert_int_equal(pn_tempdir_count(&t), 0);
    assert_int_equal(mkdir(fixture_data(&t), 0700), 0);
    assert_int_equal(back_up(&t, false), PN_NOT_FOUND);
    assert_says(error.text, "there is no identity.keys");
    pn_tempdir_put(&t, "data/identity.keys", "PNID", 4);
    assert_int_equal(back_up(&t, false), PN_CORRUPT);
    assert_says(error.text, "identity.keys is damaged");
    pn_tempdir_put(&t, "data/identity.keys",
        fixture_files[FIXTURE_IDENTITY].data,
        fixture_files[FIXTURE_IDENTITY].len);
    pn_tempdir_put(&t, "data/trust.bin", "no", 2);
    assert_int_equal(back_up(&t, false), PN_CORRUPT);
    assert_says(error.text, "trust.bin is damaged");
    assert_int_equal(pn_tempdir_count(&t), 1);
    pn_tempdir_fini(&t);
}

/* ---- main ---------------------------------------------------------------- */

int main(void)
{
    json_t *root = pn_vectors("backup.json");
    const json_t *backups = json_object_get(root, "backups");
    json_t *row;
    size_t i;
    int status;

    fixture_init();
    json_array_foreach(backups, i, row)
    {
        pn_test_addf(
            test_vectors, row, "backup/vector/%s", pn_json_string(row, "name"));
    }
    pn_test_add("backup/cut", test_cut, NULL);
    pn_test_add("backup/flip", test_flip, NULL);
    pn_test_add("backup/cost", test_cost, NULL);
    pn_test_add("backup/version", test_version, NULL);
    pn_test_add("backup/salt", test_salt, NULL);
    pn_test_add("backup/lengths", test_lengths, NULL);
    for (i = 0; i < sizeof(bad_names) / sizeof(bad_names[0]); i++) {
        pn_test_addf(
            test_names, (void *)(uintptr_t)bad_names[i], "backup/name/%zu", i);
    }
    pn_test_add("backup/content", test_content, NULL);
    pn_test_add("backup/modes", test_modes, NULL);
    pn_test_add("backup/round_trip", test_round_trip, NULL);
    pn_test_add("backup/is_secret", test_is_secret, NULL);
    pn_test_add("backup/into_empty", test_into_empty, NULL);
    pn_test_add("backup/not_into_full", test_not_into_full, NULL);
    pn_test_add("backup/replace", test_replace, NULL);
    pn_test_add("backup/node_runs", test_node_runs, NULL);
    pn_test_add("backup/wrong_passphrase", test_wrong_passphrase, NULL);
    pn_test_add("backup/passphrase_length", test_passphrase_length, NULL);
    pn_test_add("backup/not_overwritten", test_not_overwritten, NULL);
    pn_test_add("backup/nothing_to_back_up", test_nothing_to_back_up, NULL);
    status = pn_test_run("backup");
    json_decref(root);
    return status;
}

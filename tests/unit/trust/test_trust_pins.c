/* SPDX-License-Identifier: Apache-2.0 */
/* Pins in a key directory, from the outside. T20 to T23, T34 and T37 of
 * docs/THREATS.md by name. */
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"
#include "keys/key_file.h"
#include "keys/pins.h"
#include "os/file.h"

#define SECOND UINT64_C(1000000)
#define NOW (1000 * SECOND)

enum { OTHER_UID = 4242 };

static pn_why error;
static pn_why warning;

static pn_ed25519_key key_of(unsigned n)
{
    pn_ed25519_key key;

    memset(key.bytes, 0x40, sizeof(key.bytes));
    key.bytes[0] = (uint8_t)n;
    key.bytes[1] = (uint8_t)(n >> 8);
    return key;
}

static pn_slice name_of(const char *name)
{
    return (pn_slice){(const uint8_t *)name, strlen(name)};
}

/* A folder with an empty "trusted". */
static void make(pn_tempdir *t)
{
    pn_tempdir_init(t);
    assert_int_equal(mkdirat(t->fd, "trusted", 0700), 0);
}

static void put_key(const pn_tempdir *t, const char *name, unsigned n)
{
    const pn_ed25519_key key = key_of(n);
    char file[300];

    (void)snprintf(file, sizeof(file), "trusted/%s.pub", name);
    pn_tempdir_put(t, file, key.bytes, sizeof(key.bytes));
}

static pn_err try_open(
    const pn_tempdir *t, const pn_pins_options *options, pn_pins **ret_pins)
{
    *ret_pins = NULL;
    return pn_pins_open(t->path, options, ret_pins, &error, &warning);
}

static pn_pins *open_with(const pn_tempdir *t, const pn_pins_options *options)
{
    pn_pins *pins;

    if (try_open(t, options, &pins) != PN_OK) {
        fail_msg("open: %s", error.text);
    }
    return pins;
}

static pn_auth_pin look_up(const pn_pins *pins, const char *name, unsigned n)
{
    const pn_ed25519_key key = key_of(n);

    return pn_pins_look_up(pins, name_of(name), &key);
}

static bool has(const pn_pins *pins, const char *name, unsigned n)
{
    const pn_ed25519_key key = key_of(n);

    return pn_pins_has(pins, name_of(name), &key);
}

static pn_err add(pn_pins *pins, const char *name, unsigned n, uint64_t now_us)
{
    const pn_ed25519_key key = key_of(n);

    return pn_pins_add(pins, name_of(name), &key, now_us, &error);
}

static pn_err pin(pn_pins *pins, const char *name, unsigned n)
{
    const pn_ed25519_key key = key_of(n);

    return pn_pins_pin(pins, name, &key, &error);
}

static size_t count(const pn_pins *pins)
{
    size_t n;

    (void)pn_pins_all(pins, &n);
    return n;
}

/* The file of a name holds this key; n 0: there is none. */
static void assert_file(const pn_tempdir *t, const char *name, unsigned n)
{
    const pn_ed25519_key key = key_of(n);
    char file[300];
    size_t len = 0;
    uint8_t *data;

    (void)snprintf(file, sizeof(file), "trusted/%s.pub", name);
    data = pn_tempdir_get(t, file, &len);
    if (n == 0) {
        assert_null(data);
        return;
    }
    assert_non_null(data);
    pn_assert_bytes(data, len, key.bytes, sizeof(key.bytes));
    free(data);
}

/* ---- queries ------------------------------------------------------------- */

static void test_trust_pins_three_answers(void **state)
{
    pn_pins *pins;
    pn_tempdir t;
    const pn_pin *all;
    size_t n;

    (void)state;
    make(&t);
    put_key(&t, "beta@h", 2);
    put_key(&t, "alpha@h", 1);
    put_key(&t, "alpha@h.org", 3);
    pins = open_with(&t, NULL);
    assert_string_equal(warning.text, "");
    assert_int_equal(look_up(pins, "alpha@h", 1), PN_AUTH_PIN_EQUAL);
    assert_int_equal(look_up(pins, "alpha@h", 2), PN_AUTH_PIN_DIFFERS);
    assert_int_equal(look_up(pins, "beta@h", 2), PN_AUTH_PIN_EQUAL);
    assert_int_equal(look_up(pins, "alpha@h.org", 3), PN_AUTH_PIN_EQUAL);
    assert_int_equal(look_up(pins, "alpha@", 1), PN_AUTH_PIN_ABSENT);
    assert_int_equal(look_up(pins, "alpha@h.", 1), PN_AUTH_PIN_ABSENT);
    assert_int_equal(look_up(pins, "Alpha@h", 1), PN_AUTH_PIN_ABSENT);
    assert_int_equal(look_up(pins, "zeta@h", 1), PN_AUTH_PIN_ABSENT);
    assert_int_equal(look_up(pins, "", 1), PN_AUTH_PIN_ABSENT);
    all = pn_pins_all(pins, &n);
    assert_int_equal(n, 3);
    assert_string_equal(all[0].name, "alpha@h");
    assert_string_equal(all[1].name, "alpha@h.org");
    assert_string_equal(all[2].name, "beta@h");
    assert_ptr_equal(pn_pins_find(pins, name_of("beta@h")), &all[2]);
    assert_null(pn_pins_find(pins, name_of("beta@i")));
    pn_pins_close(pins);
    pn_tempdir_fini(&t);
}

/* One bit anywhere makes another key. */
static void test_trust_pins_every_bit_counts(void **state)
{
    pn_pins *pins;
    pn_tempdir t;

    (void)state;
    make(&t);
    put_key(&t, "alpha@h", 1);
    pins = open_with(&t, NULL);
    for (unsigned bit = 0; bit < 8 * PN_PUBLIC_KEY_LEN; bit++) {
        pn_ed25519_key key = key_of(1);

        key.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(pn_pins_look_up(pins, name_of("alpha@h"), &key),
            PN_AUTH_PIN_DIFFERS);
    }
    pn_pins_close(pins);
    pn_tempdir_fini(&t);
}

/* The same key may stand under many names (docs/BARREL-PROTOCOL.md, section
 * 9.1). */
static void test_trust_pins_one_key_two_names(void **state)
{
    pn_pins *pins;
    pn_tempdir t;

    (void)state;
    make(&t);
    put_key(&t, "alpha@h", 1);
    put_key(&t, "beta@h", 1);
    pins = open_with(&t, NULL);
    assert_int_equal(look_up(pins, "alpha@h", 1), PN_AUTH_PIN_EQUAL);
    assert_int_equal(look_up(pins, "beta@h", 1), PN_AUTH_PIN_EQUAL);
    pn_pins_close(pins);
    pn_tempdir_fini(&t);
}

/* ---- opening ------------------------------------------------------------- */

/* T20: new files are private, whatever the umask. */
static void test_trust_pins_first_use(void **state)
{
    const mode_t mask = umask(0);
    pn_pins *pins = NULL;
    pn_tempdir t;

    (void)state;
    pn_tempdir_init(&t);
    assert_int_equal(
        pn_pins_open(pn_tempdir_path(&t, "a/k"), NULL, &pins, &error, &warning),
        PN_OK);
    assert_string_equal(error.text, "");
    assert_string_equal(warning.text, "");
    assert_int_equal(count(pins), 0);
    assert_int_equal(look_up(pins, "alpha@h", 1), PN_AUTH_PIN_ABSENT);
    assert_int_equal(pn_tempdir_mode(&t, "a/k"), 0700);
    assert_int_equal(pn_tempdir_mode(&t, "a/k/trusted"), 0700);
    assert_int_equal(pin(pins, "alpha@h", 1), PN_OK);
    assert_int_equal(pn_tempdir_mode(&t, "a/k/trusted/alpha@h.pub"), 0600);
    assert_int_equal(pn_tempdir_mode(&t, "a/k/edit.lock"), 0600);
    pn_pins_close(pins);
    pn_pins_close(NULL);
    pn_tempdir_fini(&t);
    (void)umask(mask);
}

typedef enum bad {
    BAD_SIZE,
    BAD_MODE,
    BAD_OWNER,
    BAD_LINK,
    BAD_DANGLING,
    BAD_FIFO,
    BAD_DIR
} bad;

typedef struct bad_row {
    const char *name;
    bad bad;
    unsigned n; /* bytes, or the mode */
    pn_err err;
    const char *says;
} bad_row;

static const bad_row BAD_ROWS[] = {
    {"empty", BAD_SIZE, 0, PN_CORRUPT, "holds 0 bytes, expected 32"},
    {"31_bytes", BAD_SIZE, 31, PN_CORRUPT, "holds 31 bytes, expected 32"},
    {"33_bytes", BAD_SIZE, 33, PN_CORRUPT, "more than 32 bytes, expected 32"},
    {"hexadecimal", BAD_SIZE, 64, PN_CORRUPT, "more than 32 bytes"},
    {"unreadable", BAD_MODE, 0200, PN_SYS, "Permission denied"},
    {"mode_0620", BAD_MODE, 0620, PN_PERMISSION, "written by other users"},
    {"mode_0602", BAD_MODE, 0602, PN_PERMISSION, "written by other users"},
    {"owner", BAD_OWNER, 0, PN_PERMISSION, "belongs to another user"},
    {"link", BAD_LINK, 0, PN_PERMISSION, "is a symbolic link"},
    {"dangling_link", BAD_DANGLING, 0, PN_PERMISSION, "is a symbolic link"},
    {"fifo", BAD_FIFO, 0, PN_PERMISSION, "is not a regular file"},
    {"directory", BAD_DIR, 0, PN_PERMISSION, "is not a regular file"},
};

static void make_bad(const pn_tempdir *t, const bad_row *row)
{
    static const uint8_t bytes[64] = {1, 2, 3};
    const char *path = pn_tempdir_path(t, "trusted/bad@h.pub");

    put_key(t, "bad@h", 1);
    switch (row->bad) {
    case BAD_SIZE:
        pn_tempdir_put(t, "trusted/bad@h.pub", bytes, row->n);
        return;
    case BAD_MODE:
        assert_int_equal(chmod(path, row->n), 0);
        return;
    case BAD_OWNER:
        assert_int_equal(chown(path, OTHER_UID, OTHER_UID), 0);
        return;
    default:
        break;
    }
    assert_int_equal(rename(path, pn_tempdir_path(t, "away")), 0);
    if (row->bad == BAD_LINK) {
        assert_int_equal(symlink("../away", path), 0);
    } else if (row->bad == BAD_DANGLING) {
        assert_int_equal(symlink("nowhere", path), 0);
    } else if (row->bad == BAD_FIFO) {
        assert_int_equal(mkfifo(path, 0600), 0);
    } else {
        assert_int_equal(mkdir(path, 0700), 0);
    }
}

/* T22: a pin that is none stops the start, where upstream skips it and the
 * node counts as unknown. At run time the pins in memory stay, and an edit
 * of that name neither uses nor replaces the file. */
static void test_trust_pins_bad(void **state)
{
    const bad_row *row = *state;
    bool is_changed = false;
    pn_pins *pins;
    pn_pins *none;
    pn_tempdir t;

    if (row->bad == BAD_OWNER && geteuid() != 0) {
        pn_test_skip("only root can give files away");
    }
    make(&t);
    put_key(&t, "alpha@h", 2);
    pins = open_with(&t, NULL);
    make_bad(&t, row);
    pn_tempdir_obey_modes(row->err == PN_SYS);
    assert_int_equal(try_open(&t, NULL, &none), row->err);
    assert_null(none);
    assert_says(error.text, "/trusted/bad@h.pub: ");
    assert_says(error.text, row->says);
    if (row->err != PN_SYS) {
        assert_says(error.text, "expected");
    }
    assert_int_equal(pn_pins_reload(pins, &is_changed, &error), row->err);
    assert_says(error.text, "/trusted/bad@h.pub: ");
    assert_false(is_changed);
    assert_int_equal(pn_pins_damage(pins), row->err);
    assert_true(has(pins, "alpha@h", 2));
    assert_int_equal(look_up(pins, "alpha@h", 2), PN_AUTH_PIN_DIFFERS);
    assert_int_equal(add(pins, "bad@h", 1, NOW), row->err);
    assert_int_equal(pin(pins, "bad@h", 1), row->err);
    assert_says(error.text, "/trusted/bad@h.pub: ");
    assert_false(has(pins, "bad@h", 1));
    assert_int_equal(look_up(pins, "bad@h", 1), PN_AUTH_PIN_DIFFERS);
    assert_int_equal(pn_tempdir_mode(&t, "trusted/nowhere"), -1);
    assert_int_equal(try_open(&t, NULL, &none), row->err);
    pn_tempdir_obey_modes(false);
    pn_pins_close(pins);
    pn_tempdir_fini(&t);
}

/* Others may read what is public. */
static void test_trust_pins_readable(void **state)
{
    pn_pins *pins;
    pn_tempdir t;

    (void)state;
    make(&t);
    put_key(&t, "alpha@h", 1);
    assert_int_equal(
        chmod(pn_tempdir_path(&t, "trusted/alpha@h.pub"), 0644), 0);
    pins = open_with(&t, NULL);
    assert_string_equal(warning.text, "");
    assert_int_equal(look_up(pins, "alpha@h", 1), PN_AUTH_PIN_EQUAL);
    pn_pins_close(pins);
    pn_tempdir_fini(&t);
}

typedef struct dir_row {
    const char *name;
    const char *below; /* "" the key directory itself */
    const char *says;
} dir_row;

static const dir_row DIR_ROWS[] = {
    {"key_directory_writable", "", "can be written by other users"},
    {"trusted_writable", "trusted", "can be written by other users"},
    {"trusted_link", "trusted", "is a symbolic link"},
    {"trusted_file", "trusted", "is not a directory"},
};

static void test_trust_pins_bad_directory(void **state)
{
    const dir_row *row = *state;
    const char *path;
    pn_pins *pins;
    pn_tempdir t;

    make(&t);
    path = row->below[0] == '\0' ? t.path : pn_tempdir_path(&t, row->below);
    if (strstr(row->name, "writable") != NULL) {
        assert_int_equal(chmod(path, 0770), 0);
    } else {
        assert_int_equal(rename(path, pn_tempdir_path(&t, "away")), 0);
        if (strstr(row->name, "link") != NULL) {
            assert_int_equal(symlink("away", path), 0);
        } else {
            pn_tempdir_put(&t, "trusted", "", 0);
        }
    }
    assert_int_equal(try_open(&t, NULL, &pins), PN_PERMISSION);
    assert_null(pins);
    assert_says(error.text, path);
    assert_says(error.text, row->says);
    pn_tempdir_fini(&t);
}

/* Names that are no node's: left alone, and it is said. */
static const char *const IGNORED[] = {"README", ".pub", "alpha.pub",
    "alpha@.pub", "@h.pub", "-a@h.pub", ".a@h.pub", "a@b@c.pub", "a b@h.pub",
    "alpha@h", "alpha@h.PUB", "alpha@h.pub.tmp", "alpha@h.pub.bak",
    "a\x1b[2J@h.pub"};

static void test_trust_pins_ignored(void **state)
{
    const char *file = *state;
    char path[64];
    pn_pins *pins;
    pn_tempdir t;

    make(&t);
    (void)snprintf(path, sizeof(path), "trusted/%s", file);
    pn_tempdir_put(&t, path, "x", 1);
    put_key(&t, "beta@h", 2);
    pins = open_with(&t, NULL);
    assert_int_equal(count(pins), 1);
    assert_says(warning.text, "/trusted/");
    assert_says(warning.text, "is not named NODE@HOST.pub and does not count");
    assert_null(strchr(warning.text, '\x1b'));
    assert_null(strstr(warning.text, "others"));
    assert_int_equal(pn_tempdir_mode(&t, path), 0600);
    pn_pins_close(pins);
    pn_tempdir_put(&t, "trusted/another", "x", 1);
    pn_tempdir_put(&t, "trusted/third", "x", 1);
    pins = open_with(&t, NULL);
    assert_says(warning.text, ", nor do 2 others");
    pn_pins_close(pins);
    pn_tempdir_fini(&t);
}

static void test_trust_pins_max(void **state)
{
    const pn_pins_options three = {.max_pins = 3};
    pn_pins *pins;
    pn_tempdir t;

    (void)state;
    make(&t);
    put_key(&t, "a@h", 1);
    put_key(&t, "b@h", 2);
    pins = open_with(&t, &three);
    assert_int_equal(pin(pins, "c@h", 3), PN_OK);
    assert_int_equal(pin(pins, "d@h", 4), PN_FULL);
    assert_says(error.text, "max_pins");
    assert_file(&t, "d@h", 0);
    assert_int_equal(add(pins, "d@h", 4, NOW), PN_FULL);
    assert_file(&t, "d@h", 0);
    /* One that is there may be said again. */
    assert_int_equal(pin(pins, "c@h", 3), PN_OK);
    assert_int_equal(add(pins, "c@h", 3, NOW), PN_OK);
    pn_pins_close(pins);
    pins = open_with(&t, &three);
    put_key(&t, "d@h", 4);
    assert_int_equal(pn_pins_reload(pins, NULL, &error), PN_LIMIT);
    assert_int_equal(count(pins), 3);
    pn_pins_close(pins);
    assert_int_equal(try_open(&t, &three, &pins), PN_LIMIT);
    assert_says(error.text, "more pins than the 3 that max_pins allows");
    pn_tempdir_fini(&t);
}

typedef struct option_row {
    const char *name;
    pn_pins_options options;
    pn_err err;
} option_row;

static const option_row OPTION_ROWS[] = {
    {"max_pins_limit", {.max_pins = PN_PINS_MAX_LIMIT}, PN_OK},
    {"max_pins_over", {.max_pins = PN_PINS_MAX_LIMIT + 1}, PN_INVALID},
    {"max_new_limit", {.max_new = PN_PINS_MAX_LIMIT}, PN_OK},
    {"max_new_over", {.max_new = PN_PINS_MAX_LIMIT + 1}, PN_INVALID},
    {"interval_limit", {.new_interval_us = PN_PINS_INTERVAL_LIMIT_US}, PN_OK},
    {"interval_over", {.new_interval_us = PN_PINS_INTERVAL_LIMIT_US + 1},
        PN_INVALID},
};

static void test_trust_pins_options(void **state)
{
    const option_row *row = *state;
    pn_pins *pins;
    pn_tempdir t;

    make(&t);
    assert_int_equal(try_open(&t, &row->options, &pins), row->err);
    if (row->err != PN_OK) {
        assert_string_not_equal(error.text, "");
    }
    pn_pins_close(pins);
    pn_tempdir_fini(&t);
}

/* ---- pinning on first use ---------------------------------------------- */

/* T37: stored on disk before success is reported. */
static void test_trust_pins_add_is_for_good(void **state)
{
    pn_pins *pins;
    pn_tempdir t;

    (void)state;
    make(&t);
    pins = open_with(&t, NULL);
    assert_int_equal(add(pins, "alpha@h", 1, NOW), PN_OK);
    assert_file(&t, "alpha@h", 1);
    assert_int_equal(pn_tempdir_mode(&t, "trusted/alpha@h.pub"), 0600);
    assert_int_equal(look_up(pins, "alpha@h", 1), PN_AUTH_PIN_EQUAL);
    pn_pins_close(pins);
    pins = open_with(&t, NULL);
    assert_string_equal(warning.text, "");
    assert_int_equal(look_up(pins, "alpha@h", 1), PN_AUTH_PIN_EQUAL);
    pn_pins_close(pins);
    pn_tempdir_fini(&t);
}

/* A pin is never replaced: not the one in memory, ... */
static void test_trust_pins_add_differs_in_memory(void **state)
{
    pn_pins *pins;
    pn_tempdir t;

    (void)state;
    make(&t);
    put_key(&t, "alpha@h", 1);
    pins = open_with(&t, NULL);
    assert_int_equal(add(pins, "alpha@h", 2, NOW), PN_EXISTS);
    assert_says(error.text, "/trusted/alpha@h.pub: holds another key");
    assert_file(&t, "alpha@h", 1);
    /* ... also when the file has gone and was not read since, ... */
    assert_int_equal(unlinkat(t.fd, "trusted/alpha@h.pub", 0), 0);
    assert_int_equal(add(pins, "alpha@h", 2, NOW + 60 * SECOND), PN_EXISTS);
    assert_file(&t, "alpha@h", 0);
    assert_int_equal(look_up(pins, "alpha@h", 1), PN_AUTH_PIN_EQUAL);
    pn_pins_close(pins);
    pn_tempdir_fini(&t);
}

/* ... nor one on disk that another process has just written. */
static void test_trust_pins_add_differs_on_disk(void **state)
{
    pn_pins *pins;
    pn_tempdir t;

    (void)state;
    make(&t);
    pins = open_with(&t, NULL);
    put_key(&t, "alpha@h", 1);
    assert_int_equal(add(pins, "alpha@h", 2, NOW), PN_EXISTS);
    assert_says(error.text, "/trusted/alpha@h.pub: holds another key");
    assert_file(&t, "alpha@h", 1);
    assert_int_equal(look_up(pins, "alpha@h", 2), PN_AUTH_PIN_ABSENT);
    assert_int_equal(add(pins, "alpha@h", 1, NOW + 60 * SECOND), PN_OK);
    assert_int_equal(look_up(pins, "alpha@h", 1), PN_AUTH_PIN_EQUAL);
    pn_pins_close(pins);
    pn_tempdir_fini(&t);
}

/* T37: n - 1, n and n + 1 new ones in a run, however long it lasts. */
static void test_trust_pins_add_max_new(void **state)
{
    const size_t max = *(const size_t *)*state;
    const size_t n_allowed = max == 0 ? PN_PINS_NEW_DEFAULT : max;
    const pn_pins_options options = {.max_new = max};
    uint64_t now_us = NOW;
    char name[32];
    pn_pins *pins;
    pn_tempdir t;

    make(&t);
    put_key(&t, "old@h", 999);
    pins = open_with(&t, &options);
    for (unsigned i = 1; i <= n_allowed + 1; i++) {
        now_us += 3600 * SECOND;
        (void)snprintf(name, sizeof(name), "n%u@h", i);
        assert_int_equal(
            add(pins, name, i, now_us), i <= n_allowed ? PN_OK : PN_FULL);
        assert_file(&t, name, i <= n_allowed ? i : 0);
        /* Pins that were there do not count. */
        assert_int_equal(add(pins, "old@h", 999, now_us), PN_OK);
        assert_int_equal(add(pins, "n1@h", 1, now_us), PN_OK);
    }
    assert_int_equal(count(pins), n_allowed + 1);
    /* By hand there may be more, and the next run begins again. */
    assert_int_equal(pin(pins, name, 1), PN_OK);
    pn_pins_close(pins);
    pins = open_with(&t, &options);
    assert_int_equal(add(pins, "next@h", 1, now_us), PN_OK);
    pn_pins_close(pins);
    pn_tempdir_fini(&t);
}

/* T37: one in 10 s, to the microsecond. */
static void test_trust_pins_add_interval(void **state)
{
    pn_pins *pins;
    pn_tempdir t;

    (void)state;
    make(&t);
    pins = open_with(&t, NULL);
    assert_int_equal(add(pins, "a@h", 1, 0), PN_OK);
    assert_int_equal(add(pins, "b@h", 2, 0), PN_FULL);
    assert_int_equal(add(pins, "b@h", 2, 9999000), PN_FULL);
    assert_int_equal(add(pins, "b@h", 2, 9999999), PN_FULL);
    assert_says(error.text, "a moment ago");
    assert_file(&t, "b@h", 0);
    assert_int_equal(look_up(pins, "b@h", 2), PN_AUTH_PIN_ABSENT);
    /* Refused ones do not put it off. */
    assert_int_equal(add(pins, "b@h", 2, 10000000), PN_OK);
    assert_int_equal(add(pins, "c@h", 3, 19999999), PN_FULL);
    assert_int_equal(add(pins, "c@h", 3, 20000001), PN_OK);
    /* Nor do the same again or one by hand. */
    assert_int_equal(add(pins, "c@h", 3, 20000002), PN_OK);
    assert_int_equal(pin(pins, "d@h", 4), PN_OK);
    /* A clock that went back is no way around it. */
    assert_int_equal(add(pins, "e@h", 5, 5), PN_FULL);
    assert_int_equal(add(pins, "e@h", 5, 30000001), PN_OK);
    pn_pins_close(pins);
    pn_tempdir_fini(&t);
}

static void test_trust_pins_add_interval_option(void **state)
{
    const pn_pins_options options = {.new_interval_us = 7};
    pn_pins *pins;
    pn_tempdir t;

    (void)state;
    make(&t);
    pins = open_with(&t, &options);
    assert_int_equal(add(pins, "a@h", 1, NOW), PN_OK);
    assert_int_equal(add(pins, "b@h", 2, NOW + 6), PN_FULL);
    assert_int_equal(add(pins, "b@h", 2, NOW + 7), PN_OK);
    assert_int_equal(add(pins, "c@h", 3, NOW + 15), PN_OK);
    pn_pins_close(pins);
    pn_tempdir_fini(&t);
}

/* D8, T34: our own key and our own name are not pinned. */
static void test_trust_pins_own(void **state)
{
    const pn_ed25519_key own = key_of(7);
    const pn_ed25519_key new = key_of(8);
    const pn_pins_options options = {.own_name = "me@h", .own_key = &own};
    pn_pins *pins;
    pn_tempdir t;

    (void)state;
    make(&t);
    pins = open_with(&t, &options);
    assert_int_equal(add(pins, "me@h", 1, NOW), PN_INVALID);
    assert_says(error.text, "our own name");
    assert_int_equal(pin(pins, "me@h", 1), PN_INVALID);
    assert_int_equal(add(pins, "you@h", 7, NOW), PN_INVALID);
    assert_says(error.text, "our own key");
    assert_int_equal(pin(pins, "you@h", 7), PN_INVALID);
    assert_file(&t, "me@h", 0);
    assert_file(&t, "you@h", 0);
    assert_int_equal(count(pins), 0);
    assert_int_equal(add(pins, "me@h.org", 1, NOW), PN_OK);
    assert_int_equal(pn_pins_set_own(pins, "we@h", &new), PN_OK);
    assert_int_equal(pin(pins, "we@h", 1), PN_INVALID);
    assert_int_equal(pin(pins, "you@h", 8), PN_INVALID);
    assert_int_equal(pin(pins, "me@h", 7), PN_OK);
    assert_int_equal(pn_pins_set_own(pins, NULL, NULL), PN_OK);
    assert_int_equal(pin(pins, "we@h", 8), PN_OK);
    pn_pins_close(pins);
    /* One set of pins is copied to all nodes: what is there is read. */
    pins = open_with(&t, &options);
    assert_int_equal(look_up(pins, "me@h", 7), PN_AUTH_PIN_EQUAL);
    pn_pins_close(pins);
    pn_tempdir_fini(&t);
}

/* No name leads to a file of another place. */
static const char *const BAD_NAMES[] = {"", "a", "a@", "@h", "a@h@i", "../a@h",
    "a@../h", "/a@h", "a@h/", ".a@h", "-a@h", "a b@h", "a@h\n"};

static void test_trust_pins_bad_name(void **state)
{
    const char *name = *state;
    pn_pins *pins;
    pn_tempdir t;

    make(&t);
    pins = open_with(&t, NULL);
    assert_int_equal(add(pins, name, 1, NOW), PN_INVALID);
    assert_says(error.text, "expected NODE@HOST");
    assert_int_equal(pin(pins, name, 1), PN_INVALID);
    assert_int_equal(pn_pins_unpin(pins, name, &error), PN_INVALID);
    assert_int_equal(count(pins), 0);
    assert_int_equal(pn_tempdir_count(&t), 1);
    pn_pins_close(pins);
    pn_tempdir_fini(&t);
}

/* A name as long as a file's can be, and one that is longer. */
static void test_trust_pins_name_length(void **state)
{
    char name[PN_NODE_NAME_MAX + 1];
    pn_pins *pins;
    pn_tempdir t;

    (void)state;
    make(&t);
    pins = open_with(&t, NULL);
    memset(name, 'n', sizeof(name));
    name[1] = '@';
    for (unsigned len = 250; len <= PN_NODE_NAME_MAX; len++) {
        name[len] = '\0';
        assert_int_equal(pin(pins, name, len), len <= 251 ? PN_OK : PN_INVALID);
        assert_int_equal(look_up(pins, name, len),
            len <= 251 ? PN_AUTH_PIN_EQUAL : PN_AUTH_PIN_ABSENT);
        name[len] = 'n';
    }
    assert_says(error.text, "longer than a file's can be");
    pn_pins_close(pins);
    pins = open_with(&t, NULL);
    assert_string_equal(warning.text, "");
    assert_int_equal(count(pins), 2);
    pn_pins_close(pins);
    pn_tempdir_fini(&t);
}

/* The name is bytes and a length; what comes after it is not looked at. */
static void test_trust_pins_name_is_a_slice(void **state)
{
    const pn_slice name = {(const uint8_t *)"alpha@hXX/../x", 7};
    const pn_ed25519_key key = key_of(1);
    pn_pins *pins;
    pn_tempdir t;

    (void)state;
    make(&t);
    pins = open_with(&t, NULL);
    assert_int_equal(pn_pins_add(pins, name, &key, NOW, NULL), PN_OK);
    assert_file(&t, "alpha@h", 1);
    assert_int_equal(pn_pins_look_up(pins, name, &key), PN_AUTH_PIN_EQUAL);
    pn_pins_close(pins);
    pn_tempdir_fini(&t);
}

/* ---- writes that fail -------------------------------------------------- */

/* T23, D18: not written, not pinned; and a full disk is not tried again and
 * again. */
static void test_trust_pins_add_full_disk(void **state)
{
    const pn_pins_options one = {.max_new = 1};
    struct rlimit old;
    struct rlimit none;
    pn_pins *pins;
    pn_tempdir t;
    pn_err err;

    (void)state;
    make(&t);
    pins = open_with(&t, &one);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    none = old;
    none.rlim_cur = 0;
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    err = add(pins, "a@h", 1, NOW);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_true(signal(SIGXFSZ, SIG_DFL) != SIG_ERR);
    assert_int_equal(err, PN_SYS);
    assert_says(error.text, "/trusted/a@h.pub: ");
    assert_file(&t, "a@h", 0);
    assert_int_equal(look_up(pins, "a@h", 1), PN_AUTH_PIN_ABSENT);
    assert_int_equal(add(pins, "a@h", 1, NOW + 9999999), PN_FULL);
    /* It was none of those a run may have. */
    assert_int_equal(add(pins, "a@h", 1, NOW + 10000000), PN_OK);
    assert_int_equal(add(pins, "b@h", 2, NOW + 20000000), PN_FULL);
    pn_pins_close(pins);
    pn_tempdir_fini(&t);
}

/* T23: by hand it is the same; the obstacle is where the writer wants to be. */
static void test_trust_pins_pin_fails_whole(void **state)
{
    pn_pins *pins;
    pn_tempdir t;

    (void)state;
    make(&t);
    pins = open_with(&t, NULL);
    assert_int_equal(mkdirat(t.fd, "trusted/a@h.pub.pn-tmp", 0700), 0);
    assert_int_equal(pin(pins, "a@h", 1), PN_SYS);
    assert_says(error.text, "/trusted/a@h.pub: ");
    assert_file(&t, "a@h", 0);
    assert_int_equal(look_up(pins, "a@h", 1), PN_AUTH_PIN_ABSENT);
    assert_int_equal(unlinkat(t.fd, "trusted/a@h.pub.pn-tmp", AT_REMOVEDIR), 0);
    assert_int_equal(pin(pins, "a@h", 1), PN_OK);
    pn_pins_close(pins);
    pn_tempdir_fini(&t);
}

/* T21: what a killed writer left is swept, and is no pin meanwhile. */
static void test_trust_pins_sweeps(void **state)
{
    pn_pins *pins;
    pn_tempdir t;

    (void)state;
    make(&t);
    pn_tempdir_put(&t, "trusted/a@h.pub.pn-tmp", "x", 1);
    pins = open_with(&t, NULL);
    assert_int_equal(count(pins), 0);
    assert_int_equal(pin(pins, "b@h", 2), PN_OK);
    assert_int_equal(pn_tempdir_mode(&t, "trusted/a@h.pub.pn-tmp"), -1);
    pn_pins_close(pins);
    pn_tempdir_fini(&t);
}

/* The caller is a loop, so this does not wait for an edit under way. */
static void test_trust_pins_add_waits_for_nobody(void **state)
{
    pn_pins *pins;
    pn_tempdir t;
    int lock_fd;
    int why;

    (void)state;
    make(&t);
    pins = open_with(&t, NULL);
    assert_int_equal(
        pn_file_lock(t.fd, "edit.lock", false, &lock_fd, &why), PN_OK);
    assert_int_equal(add(pins, "a@h", 1, NOW), PN_LOCKED);
    assert_file(&t, "a@h", 0);
    assert_int_equal(look_up(pins, "a@h", 1), PN_AUTH_PIN_ABSENT);
    assert_int_equal(close(lock_fd), 0);
    /* Nothing was tried, so nothing is to be waited for. */
    assert_int_equal(add(pins, "a@h", 1, NOW), PN_OK);
    pn_pins_close(pins);
    pn_tempdir_fini(&t);
}

/* ---- by hand ----------------------------------------------------------- */

static void test_trust_pins_pin_and_unpin(void **state)
{
    pn_pins *pins;
    pn_tempdir t;

    (void)state;
    make(&t);
    pins = open_with(&t, NULL);
    assert_int_equal(pin(pins, "a@h", 1), PN_OK);
    assert_string_equal(error.text, "");
    assert_int_equal(pin(pins, "a@h", 1), PN_OK);
    assert_int_equal(pin(pins, "a@h", 2), PN_EXISTS);
    assert_says(error.text, "/trusted/a@h.pub: holds another key");
    assert_file(&t, "a@h", 1);
    assert_int_equal(look_up(pins, "a@h", 1), PN_AUTH_PIN_EQUAL);
    assert_int_equal(pn_pins_unpin(pins, "a@h", &error), PN_OK);
    assert_file(&t, "a@h", 0);
    assert_int_equal(look_up(pins, "a@h", 1), PN_AUTH_PIN_ABSENT);
    assert_int_equal(pn_pins_unpin(pins, "a@h", &error), PN_NOT_FOUND);
    assert_says(error.text, "/trusted/a@h.pub: is not there");
    assert_int_equal(pin(pins, "a@h", 2), PN_OK);
    assert_file(&t, "a@h", 2);
    pn_pins_close(pins);
    pn_tempdir_fini(&t);
}

/* The disk counts: another process removed the pin, or pinned another key. */
static void test_trust_pins_pin_follows_the_disk(void **state)
{
    pn_pins *pins;
    pn_tempdir t;

    (void)state;
    make(&t);
    put_key(&t, "a@h", 1);
    pins = open_with(&t, NULL);
    assert_int_equal(unlinkat(t.fd, "trusted/a@h.pub", 0), 0);
    assert_int_equal(pin(pins, "a@h", 2), PN_OK);
    assert_file(&t, "a@h", 2);
    assert_int_equal(look_up(pins, "a@h", 2), PN_AUTH_PIN_EQUAL);
    assert_int_equal(count(pins), 1);
    /* Gone already, taken back: done, not "no such pin". */
    assert_int_equal(unlinkat(t.fd, "trusted/a@h.pub", 0), 0);
    assert_int_equal(pn_pins_unpin(pins, "a@h", &error), PN_OK);
    assert_int_equal(count(pins), 0);
    pn_pins_close(pins);
    pn_tempdir_fini(&t);
}

/* T23: taken back counts at once, removed or not, and until the end. */
static void test_trust_pins_unpin_counts_unwritten(void **state)
{
    pn_pins *pins;
    pn_tempdir t;
    bool is_changed;

    (void)state;
    make(&t);
    put_key(&t, "a@h", 1);
    put_key(&t, "b@h", 2);
    pins = open_with(&t, NULL);
    /* A directory in its place cannot be unlinked. */
    assert_int_equal(unlinkat(t.fd, "trusted/a@h.pub", 0), 0);
    assert_int_equal(mkdirat(t.fd, "trusted/a@h.pub", 0700), 0);
    assert_int_equal(pn_pins_unpin(pins, "a@h", &error), PN_SYS);
    assert_says(error.text, "/trusted/a@h.pub: ");
    assert_int_equal(look_up(pins, "a@h", 1), PN_AUTH_PIN_ABSENT);
    assert_int_equal(unlinkat(t.fd, "trusted/a@h.pub", AT_REMOVEDIR), 0);
    put_key(&t, "a@h", 1);
    assert_int_equal(pn_pins_reload(pins, &is_changed, &error), PN_OK);
    assert_false(is_changed);
    assert_int_equal(look_up(pins, "a@h", 1), PN_AUTH_PIN_ABSENT);
    assert_int_equal(look_up(pins, "b@h", 2), PN_AUTH_PIN_EQUAL);
    /* The node is not pinned again by itself. */
    assert_int_equal(add(pins, "a@h", 1, NOW), PN_EXISTS);
    assert_says(error.text, "was taken back");
    assert_int_equal(look_up(pins, "a@h", 1), PN_AUTH_PIN_ABSENT);
    /* By hand it is. */
    assert_int_equal(pin(pins, "a@h", 1), PN_OK);
    assert_int_equal(pn_pins_reload(pins, &is_changed, &error), PN_OK);
    assert_int_equal(look_up(pins, "a@h", 1), PN_AUTH_PIN_EQUAL);
    pn_pins_close(pins);
    pn_tempdir_fini(&t);
}

/* The file went after all: then the name is free again. */
static void test_trust_pins_unpin_again(void **state)
{
    const bool by_hand = *(const bool *)*state;
    pn_pins *pins;
    pn_tempdir t;

    make(&t);
    put_key(&t, "a@h", 1);
    pins = open_with(&t, NULL);
    assert_int_equal(unlinkat(t.fd, "trusted/a@h.pub", 0), 0);
    assert_int_equal(mkdirat(t.fd, "trusted/a@h.pub", 0700), 0);
    assert_int_equal(pn_pins_unpin(pins, "a@h", &error), PN_SYS);
    assert_int_equal(unlinkat(t.fd, "trusted/a@h.pub", AT_REMOVEDIR), 0);
    if (by_hand) {
        assert_int_equal(pn_pins_unpin(pins, "a@h", &error), PN_OK);
    } else {
        assert_int_equal(pn_pins_reload(pins, NULL, &error), PN_OK);
    }
    assert_int_equal(pn_pins_unpin(pins, "a@h", &error), PN_NOT_FOUND);
    assert_int_equal(add(pins, "a@h", 2, NOW), PN_OK);
    pn_pins_close(pins);
    pn_tempdir_fini(&t);
}

/* ---- a directory that cannot be read whole ------------------------------- */

/* T20: a file may be damaged by an edit. Until all of it can be read again no
 * key comes in, not even one whose own file is fine, and what was taken back or
 * replaced meanwhile counts no more. */
static void test_trust_pins_damaged(void **state)
{
    pn_pins *pins;
    pn_tempdir t;
    bool is_changed;

    (void)state;
    make(&t);
    put_key(&t, "a@h", 1);
    put_key(&t, "b@h", 2);
    put_key(&t, "c@h", 3);
    pins = open_with(&t, NULL);
    assert_int_equal(pn_pins_damage(pins), PN_OK);
    pn_tempdir_put(&t, "trusted/b@h.pub", "short", 5);
    assert_int_equal(pn_pins_reload(pins, &is_changed, &error), PN_CORRUPT);
    assert_false(is_changed);
    assert_true(has(pins, "a@h", 1));
    assert_true(has(pins, "b@h", 2)); /* for a link that is up */
    assert_int_equal(look_up(pins, "a@h", 1), PN_AUTH_PIN_DIFFERS);
    assert_int_equal(look_up(pins, "new@h", 9), PN_AUTH_PIN_DIFFERS);
    assert_int_equal(add(pins, "new@h", 9, NOW), PN_CORRUPT);
    assert_says(error.text, "cannot be read");
    assert_file(&t, "new@h", 0);
    /* Taken back, replaced and added while b@h is damaged. */
    assert_int_equal(unlinkat(t.fd, "trusted/a@h.pub", 0), 0);
    put_key(&t, "c@h", 4);
    put_key(&t, "d@h", 5);
    assert_int_equal(pn_pins_reload(pins, &is_changed, &error), PN_CORRUPT);
    assert_true(is_changed);
    assert_false(has(pins, "a@h", 1));
    assert_false(has(pins, "c@h", 3));
    assert_false(has(pins, "c@h", 4));
    assert_false(has(pins, "d@h", 5));
    assert_true(has(pins, "b@h", 2));
    assert_int_equal(look_up(pins, "a@h", 1), PN_AUTH_PIN_DIFFERS);
    put_key(&t, "b@h", 2);
    assert_int_equal(pn_pins_reload(pins, &is_changed, &error), PN_OK);
    assert_true(is_changed);
    assert_int_equal(pn_pins_damage(pins), PN_OK);
    assert_int_equal(look_up(pins, "a@h", 1), PN_AUTH_PIN_ABSENT);
    assert_int_equal(look_up(pins, "b@h", 2), PN_AUTH_PIN_EQUAL);
    assert_int_equal(look_up(pins, "c@h", 4), PN_AUTH_PIN_EQUAL);
    assert_int_equal(look_up(pins, "d@h", 5), PN_AUTH_PIN_EQUAL);
    pn_pins_close(pins);
    pn_tempdir_fini(&t);
}

/* ---- several at once --------------------------------------------------- */

static void test_trust_pins_sees_edits(void **state)
{
    pn_pins *node;
    pn_pins *editor;
    pn_tempdir t;
    bool is_changed;
    int sys_errno = 0;
    int fd;

    (void)state;
    make(&t);
    put_key(&t, "a@h", 1);
    node = open_with(&t, NULL);
    editor = open_with(&t, NULL);
    fd = pn_guarded_watch_fd(pn_pins_dir(node), &sys_errno);
    if (fd < 0) {
        pn_test_skip("no inotify");
    }
    assert_int_equal(fd, pn_guarded_watch_fd(pn_pins_dir(node), &sys_errno));
    assert_false(pn_guarded_watch_read(pn_pins_dir(node), pn_pins_is_pin));
    assert_false(pn_guarded_watch_read(pn_pins_dir(editor), pn_pins_is_pin));
    assert_int_equal(pin(editor, "b@h", 2), PN_OK);
    assert_int_equal(
        poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0), 1);
    assert_true(pn_guarded_watch_read(pn_pins_dir(node), pn_pins_is_pin));
    assert_false(pn_guarded_watch_read(pn_pins_dir(node), pn_pins_is_pin));
    assert_int_equal(pn_pins_reload(node, &is_changed, &error), PN_OK);
    assert_true(is_changed);
    assert_int_equal(look_up(node, "b@h", 2), PN_AUTH_PIN_EQUAL);
    assert_int_equal(pn_pins_reload(node, &is_changed, &error), PN_OK);
    assert_false(is_changed);
    assert_int_equal(pn_pins_unpin(editor, "a@h", &error), PN_OK);
    assert_true(pn_guarded_watch_read(pn_pins_dir(node), pn_pins_is_pin));
    assert_int_equal(pn_pins_reload(node, &is_changed, &error), PN_OK);
    assert_true(is_changed);
    assert_int_equal(look_up(node, "a@h", 1), PN_AUTH_PIN_ABSENT);
    /* The same names with another key are other pins. */
    put_key(&t, "b@h", 3);
    assert_true(pn_guarded_watch_read(pn_pins_dir(node), pn_pins_is_pin));
    assert_int_equal(pn_pins_reload(node, &is_changed, &error), PN_OK);
    assert_true(is_changed);
    /* A file that is no pin is no change. */
    pn_tempdir_put(&t, "trusted/README", "x", 1);
    assert_false(pn_guarded_watch_read(pn_pins_dir(node), pn_pins_is_pin));
    pn_pins_close(editor);
    pn_pins_close(node);
    pn_tempdir_fini(&t);
}

/* T21: of many processes that pin the same names at once, each with a key of
 * its own, one wins, and all results are true. */
static int pin_many(const pn_tempdir *t, unsigned who)
{
    enum { NAMES = 40 };
    pn_pins *pins = NULL;
    int n_wrong = 0;

    if (try_open(t, NULL, &pins) != PN_OK) {
        return 1;
    }
    for (unsigned i = 0; i < NAMES; i++) {
        char name[32];
        pn_ed25519_key now;
        const pn_ed25519_key mine = key_of(who);
        pn_err err;
        size_t len = 0;
        char file[64];
        uint8_t *data;

        (void)snprintf(name, sizeof(name), "n%u@h", i);
        (void)snprintf(file, sizeof(file), "trusted/%s.pub", name);
        err = pin(pins, name, who);
        data = pn_tempdir_get(t, file, &len);
        if (data == NULL || len != sizeof(now)) {
            return 1;
        }
        memcpy(now.bytes, data, sizeof(now));
        free(data);
        n_wrong += (err == PN_OK) != pn_ed25519_key_equal(&now, &mine)
                   || (err != PN_OK && err != PN_EXISTS);
    }
    pn_pins_close(pins);
    return n_wrong > 0;
}

static void test_trust_pins_four_at_once(void **state)
{
    enum { EDITORS = 4 };
    pid_t pids[EDITORS];
    pn_pins *pins;
    pn_tempdir t;

    (void)state;
    make(&t);
    for (unsigned i = 0; i < EDITORS; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            _exit(pin_many(&t, i + 1));
        }
    }
    for (unsigned i = 0; i < EDITORS; i++) {
        int status = 1;

        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    pins = open_with(&t, NULL);
    assert_int_equal(count(pins), 40);
    pn_pins_close(pins);
    pn_tempdir_fini(&t);
}

/* ---- a file with a key ------------------------------------------------- */

static const char HEX[] =
    "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8";

typedef struct given_row {
    const char *name;
    const char *before;
    bool is_raw;
    size_t n; /* characters or bytes of the key */
    const char *after;
    bool is_key;
} given_row;

static const given_row GIVEN_ROWS[] = {
    {"raw", "", true, 32, "", true},
    {"raw_31", "", true, 31, "", false},
    {"raw_33", "", true, 32, "\n", false},
    {"empty", "", true, 0, "", false},
    {"hex", "", false, 64, "", true},
    {"hex_line", "", false, 64, "\n", true},
    {"hex_crlf", "", false, 64, "\r\n", true},
    {"hex_63", "", false, 63, "\n", false},
    {"hex_two_lines", "", false, 64, "\n\n", false},
    {"hex_and_more", "", false, 64, "\nanything at all, and more of it", false},
    {"hex_after_space", " ", false, 64, "\n", false},
};

static void test_trust_key_file_given(void **state)
{
    const given_row *row = *state;
    uint8_t data[128];
    pn_ed25519_key want;
    pn_ed25519_key key = key_of(0);
    const pn_ed25519_key untouched = key;
    size_t len = strlen(row->before);
    pn_tempdir t;

    assert_int_equal(pn_ed25519_key_parse(HEX, &want), PN_OK);
    pn_tempdir_init(&t);
    memcpy(data, row->before, len);
    memcpy(data + len, row->is_raw ? (const void *)want.bytes : HEX, row->n);
    len += row->n;
    memcpy(data + len, row->after, strlen(row->after));
    len += strlen(row->after);
    pn_tempdir_put(&t, "given", data, len);
    assert_int_equal(
        pn_key_file_given(pn_tempdir_path(&t, "given"), &key, &error),
        row->is_key ? PN_OK : PN_INVALID);
    assert_true(pn_ed25519_key_equal(&key, row->is_key ? &want : &untouched));
    if (!row->is_key) {
        assert_says(error.text, "/given: is no public key, expected 32 bytes");
    }
    pn_tempdir_fini(&t);
}

static void test_trust_key_file_given_missing(void **state)
{
    pn_ed25519_key key;
    pn_tempdir t;

    (void)state;
    pn_tempdir_init(&t);
    assert_int_equal(
        pn_key_file_given(pn_tempdir_path(&t, "none"), &key, &error), PN_SYS);
    assert_says(error.text, "/none: No such file");
    assert_int_equal(pn_key_file_given(t.path, &key, &error), PN_SYS);
    assert_says(error.text, "Is a directory");
    pn_tempdir_fini(&t);
}

/* ---- all --------------------------------------------------------------- */

#define N_OF(rows) (sizeof(rows) / sizeof((rows)[0]))
#define ROW(row) ((void *)(uintptr_t)(row))
#define ADD(function, name) pn_test_add("trust/pins/" name, function, NULL)

static void add_opening(void)
{
    ADD(test_trust_pins_three_answers, "three_answers");
    ADD(test_trust_pins_every_bit_counts, "every_bit_counts");
    ADD(test_trust_pins_one_key_two_names, "one_key_two_names");
    ADD(test_trust_pins_first_use, "T20_first_use_is_private");
    for (size_t i = 0; i < N_OF(BAD_ROWS); i++) {
        pn_test_addf(test_trust_pins_bad, ROW(&BAD_ROWS[i]),
            "trust/pins/T22_bad/%s", BAD_ROWS[i].name);
    }
    ADD(test_trust_pins_readable, "readable_by_others");
    for (size_t i = 0; i < N_OF(DIR_ROWS); i++) {
        pn_test_addf(test_trust_pins_bad_directory, ROW(&DIR_ROWS[i]),
            "trust/pins/T20_bad/%s", DIR_ROWS[i].name);
    }
    for (size_t i = 0; i < N_OF(IGNORED); i++) {
        pn_test_addf(test_trust_pins_ignored, ROW(IGNORED[i]),
            "trust/pins/ignored/%zu", i);
    }
    ADD(test_trust_pins_max, "max_pins");
    for (size_t i = 0; i < N_OF(OPTION_ROWS); i++) {
        pn_test_addf(test_trust_pins_options, ROW(&OPTION_ROWS[i]),
            "trust/pins/options/%s", OPTION_ROWS[i].name);
    }
}

static void add_adding(void)
{
    static const size_t maxima[] = {0, 1, 3};

    ADD(test_trust_pins_add_is_for_good, "T37_add_is_for_good");
    ADD(test_trust_pins_add_differs_in_memory, "T37_differs_in_memory");
    ADD(test_trust_pins_add_differs_on_disk, "T37_differs_on_disk");
    for (size_t i = 0; i < N_OF(maxima); i++) {
        pn_test_addf(test_trust_pins_add_max_new, ROW(&maxima[i]),
            "trust/pins/T37_max_new/%zu", maxima[i]);
    }
    ADD(test_trust_pins_add_interval, "T37_interval");
    ADD(test_trust_pins_add_interval_option, "T37_interval_option");
    ADD(test_trust_pins_own, "T34_own");
    for (size_t i = 0; i < N_OF(BAD_NAMES); i++) {
        pn_test_addf(test_trust_pins_bad_name, ROW(BAD_NAMES[i]),
            "trust/pins/bad_name/%zu", i);
    }
    ADD(test_trust_pins_name_length, "name_length");
    ADD(test_trust_pins_name_is_a_slice, "name_is_a_slice");
    ADD(test_trust_pins_add_full_disk, "T23_add_full_disk");
    ADD(test_trust_pins_pin_fails_whole, "T23_pin_fails_whole");
    ADD(test_trust_pins_sweeps, "T21_sweeps_temporaries");
    ADD(test_trust_pins_add_waits_for_nobody, "add_waits_for_nobody");
}

int main(void)
{
    static const bool truths[] = {false, true};

    add_opening();
    add_adding();
    ADD(test_trust_pins_pin_and_unpin, "pin_and_unpin");
    ADD(test_trust_pins_pin_follows_the_disk, "pin_follows_the_disk");
    ADD(test_trust_pins_unpin_counts_unwritten, "T23_unpin_counts_unwritten");
    pn_test_add("trust/pins/T23_unpin_seen_gone", test_trust_pins_unpin_again,
        ROW(&truths[0]));
    pn_test_add("trust/pins/T23_unpin_again", test_trust_pins_unpin_again,
        ROW(&truths[1]));
    ADD(test_trust_pins_damaged, "damaged");
    ADD(test_trust_pins_sees_edits, "sees_edits");
    ADD(test_trust_pins_four_at_once, "T21_four_at_once");
    for (size_t i = 0; i < N_OF(GIVEN_ROWS); i++) {
        pn_test_addf(test_trust_key_file_given, ROW(&GIVEN_ROWS[i]),
            "trust/pins/given/%s", GIVEN_ROWS[i].name);
    }
    ADD(test_trust_key_file_given_missing, "given/missing");
    return pn_test_run("trust/pins");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guarded directory with a format of the test's own: lines of text, comments
 * kept, as a person edits them.
 */
#include <sys/stat.h>

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"
#include "os/loop.h"
#include "trust/guarded_watch.h"

#define NAME "words"

enum { MAX = 64 };

static pn_why error;
static pn_why warning;

/* ---- the format -------------------------------------------------------- */

typedef struct words {
    char text[MAX + 1];
    unsigned n; /* lines that are no comments */
} words;

/* Every line ends, and none begins with a blank. */
static pn_err parse_words(const void *owner, const uint8_t *data, size_t len,
    void *ret_value, pn_why *ret_why)
{
    words read = {.n = 0};
    const char *line;

    assert_ptr_equal(owner, &error);
    memcpy(read.text, data, len);
    for (line = read.text; *line != '\0'; line = strchr(line, '\n') + 1) {
        if (strchr(line, '\n') == NULL || *line == ' ') {
            (void)strcpy(ret_why->text, "a line is not a word");
            return PN_CORRUPT;
        }
        read.n += *line != '#';
    }
    *(words *)ret_value = read;
    return PN_OK;
}

static pn_err write_words(const void *value, pn_buf *out)
{
    const words *w = value;

    return pn_buf_append(out, w->text, strlen(w->text));
}

static const pn_guarded_format plain = {
    .access = PN_GUARDED_OURS,
    .parse = parse_words,
    .write = write_words,
};

static const pn_guarded_format strict = {
    .access = PN_GUARDED_OURS,
    .parse = parse_words,
    .write = write_words,
    .consequence = "no word counts",
    .too_long = "it is too long",
};

static pn_err load(
    const pn_guarded_dir *dir, const pn_guarded_format *format, words *ret)
{
    pn_why_clear(&error);
    pn_why_clear(&warning);
    return pn_guarded_load(
        dir, NAME, format, &error, MAX, ret, &error, &warning);
}

static void open_dir(pn_tempdir *t, pn_guarded_dir *ret_dir)
{
    pn_tempdir_init(t);
    assert_int_equal(pn_guarded_open(t->path, NULL, ret_dir, &error), PN_OK);
}

static void put(const pn_tempdir *t, const char *text)
{
    pn_tempdir_put(t, NAME, text, strlen(text));
}

/* ---- one file ---------------------------------------------------------- */

static void test_trust_guarded_missing(void **state)
{
    words w = {.n = 7};
    pn_guarded_dir dir;
    pn_tempdir t;

    (void)state;
    open_dir(&t, &dir);
    assert_int_equal(load(&dir, &strict, &w), PN_NOT_FOUND);
    assert_string_equal(error.text, "");
    assert_int_equal(w.n, 7);
    pn_guarded_close(&dir);
    pn_guarded_close(&dir);
    pn_tempdir_fini(&t);
}

/* An edit: comments are kept, the old file is the backup. */
static void test_trust_guarded_edit(void **state)
{
    words w = {.n = 0};
    pn_guarded_dir dir;
    pn_tempdir t;
    int lock_fd;
    int other_fd;

    (void)state;
    open_dir(&t, &dir);
    put(&t, "# by hand\none\n");
    assert_int_equal(pn_guarded_lock(&dir, true, &lock_fd, &error), PN_OK);
    assert_int_equal(
        pn_guarded_lock(&dir, false, &other_fd, &error), PN_LOCKED);
    assert_says(error.text, "/edit.lock: ");
    assert_int_equal(load(&dir, &strict, &w), PN_OK);
    assert_int_equal(w.n, 1);
    (void)strcat(w.text, "two\n");
    assert_int_equal(pn_guarded_save(&dir, NAME, &strict, &w, &error), PN_OK);
    assert_int_equal(close(lock_fd), 0);
    assert_int_equal(load(&dir, &strict, &w), PN_OK);
    assert_string_equal(w.text, "# by hand\none\ntwo\n");
    assert_int_equal(w.n, 2);
    assert_int_equal(pn_tempdir_mode(&t, NAME), 0600);
    assert_int_equal(pn_tempdir_mode(&t, NAME ".bak"), 0600);
    pn_guarded_close(&dir);
    pn_tempdir_fini(&t);
}

/* T22: refused whole, left as it is, with the format's sentence. */
static void test_trust_guarded_damage(void **state)
{
    words w = {.n = 7};
    pn_guarded_dir dir;
    pn_tempdir t;

    (void)state;
    open_dir(&t, &dir);
    put(&t, "one\n two\n");
    assert_int_equal(load(&dir, &strict, &w), PN_CORRUPT);
    assert_says(error.text,
        "/" NAME ": is damaged: a line is not a word; no word counts");
    assert_int_equal(load(&dir, &plain, &w), PN_CORRUPT);
    assert_says(error.text, "/" NAME ": a line is not a word");
    assert_int_equal(w.n, 7);
    assert_int_equal(pn_tempdir_count(&t), 1);
    pn_guarded_close(&dir);
    pn_tempdir_fini(&t);
}

static void test_trust_guarded_size(void **state)
{
    char text[MAX + 2];
    words w = {.n = 7};
    pn_guarded_dir dir;
    pn_tempdir t;

    (void)state;
    open_dir(&t, &dir);
    for (size_t n = MAX - 1; n <= MAX + 1; n++) {
        memset(text, 'x', n);
        text[n - 1] = '\n';
        pn_tempdir_put(&t, NAME, text, n);
        assert_int_equal(load(&dir, &plain, &w), n <= MAX ? PN_OK : PN_LIMIT);
        assert_int_equal(
            load(&dir, &strict, &w), n <= MAX ? PN_OK : PN_CORRUPT);
    }
    assert_says(error.text, "is damaged: it is too long; no word counts");
    pn_guarded_close(&dir);
    pn_tempdir_fini(&t);
}

/* T20: a mode that let others read is tightened, one that let them write is
 * refused. */
static void test_trust_guarded_modes(void **state)
{
    words w = {.n = 0};
    pn_guarded_dir dir;
    pn_tempdir t;

    (void)state;
    open_dir(&t, &dir);
    put(&t, "one\n");
    assert_int_equal(chmod(pn_tempdir_path(&t, NAME), 0644), 0);
    assert_int_equal(load(&dir, &plain, &w), PN_OK);
    assert_says(warning.text, "/" NAME ": was open to other users");
    assert_int_equal(pn_tempdir_mode(&t, NAME), 0600);
    assert_int_equal(load(&dir, &plain, &w), PN_OK);
    assert_string_equal(warning.text, "");
    assert_int_equal(chmod(pn_tempdir_path(&t, NAME), 0620), 0);
    assert_int_equal(load(&dir, &plain, &w), PN_PERMISSION);
    assert_says(error.text, "chmod go-w");
    assert_int_equal(pn_tempdir_mode(&t, NAME), 0620);
    pn_guarded_close(&dir);
    pn_tempdir_fini(&t);
}

/* ---- the watch --------------------------------------------------------- */

typedef struct watched {
    unsigned n_reloads;
    unsigned n_edits;
    unsigned n_told;
} watched;

static bool is_words(const char *name)
{
    return strcmp(name, NAME) == 0;
}

static bool on_reload(void *user, bool is_edit)
{
    watched *w = user;

    w->n_reloads++;
    w->n_edits += is_edit;
    return true;
}

static void on_told(void *user, const char *text, int sys_errno)
{
    watched *w = user;

    (void)text;
    (void)sys_errno;
    w->n_told++;
}

static void turn(pn_loop *loop)
{
    (void)poll(
        &(struct pollfd){.fd = pn_loop_fd(loop), .events = POLLIN}, 1, 50);
    pn_loop_run_once(loop);
}

/* Starting reloads once, for an edit that came before the watch; an edit of the
 * file does, and another file does not. */
static void test_trust_guarded_watch(void **state)
{
    static const pn_guarded_watch_ops ops = {is_words, on_reload, on_told};
    pn_guarded_watch watch = {.loop = NULL};
    watched w = {.n_told = 0};
    pn_guarded_dir dir;
    pn_loop *loop;
    pn_tempdir t;

    (void)state;
    open_dir(&t, &dir);
    assert_int_equal(pn_loop_new(&loop), PN_OK);
    assert_int_equal(
        pn_guarded_watch_start(&watch, loop, &dir, &ops, &w), PN_OK);
    if (w.n_told == 0) { /* there is inotify */
        pn_tempdir_put(&t, "other", "x", 1);
        turn(loop);
        turn(loop);
        assert_int_equal(w.n_reloads, 1);
        put(&t, "one\n");
        turn(loop);
        turn(loop);
        assert_int_equal(w.n_edits, 1);
        assert_int_equal(w.n_reloads, 2);
    }
    w.n_edits = w.n_reloads;
    pn_guarded_watch_reload(&watch, false);
    assert_int_equal(w.n_reloads - w.n_edits, 1);
    pn_guarded_watch_stop(&watch);
    pn_guarded_watch_stop(&watch);
    pn_loop_free(loop);
    pn_guarded_close(&dir);
    pn_tempdir_fini(&t);
}

int main(void)
{
    pn_test_add("trust/guarded/missing", test_trust_guarded_missing, NULL);
    pn_test_add("trust/guarded/edit", test_trust_guarded_edit, NULL);
    pn_test_add("trust/guarded/T22_damage", test_trust_guarded_damage, NULL);
    pn_test_add("trust/guarded/size", test_trust_guarded_size, NULL);
    pn_test_add("trust/guarded/T20_modes", test_trust_guarded_modes, NULL);
    pn_test_add("trust/guarded/watch", test_trust_guarded_watch, NULL);
    return pn_test_run("trust/guarded");
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/secret.h"
#include "tempdir.h"

enum { OTHER_UID = 4242 };

static const uint8_t OLD[] = "the old state";
static const uint8_t NEW[] = "the new state, which is longer";

static void assert_file(
    const pn_tempdir *t, const char *name, const void *want, size_t want_len)
{
    size_t len;
    uint8_t *data = pn_tempdir_get(t, name, &len);

    assert_non_null(data);
    pn_assert_bytes(data, len, want, want_len);
    free(data);
}

/* ---- directories ------------------------------------------------------- */

static void test_os_file_dir_is_made_private(void **state)
{
    pn_tempdir t;
    int fd;
    int why;

    (void)state;
    pn_tempdir_init(&t);
    assert_int_equal(
        pn_dir_open(pn_tempdir_path(&t, "a/b//c/"), &fd, &why), PN_OK);
    assert_int_equal(close(fd), 0);
    assert_int_equal(pn_tempdir_mode(&t, "a"), 0700);
    assert_int_equal(pn_tempdir_mode(&t, "a/b"), 0700);
    assert_int_equal(pn_tempdir_mode(&t, "a/b/c"), 0700);
    assert_int_equal(
        pn_dir_open(pn_tempdir_path(&t, "a/b/c"), &fd, &why), PN_OK);
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(close(fd), 0);
    pn_tempdir_fini(&t);
}

/* Every combination of group and other bits of a directory. */
static void test_os_file_dir_mode(void **state)
{
    const unsigned mode = *(const unsigned *)*state;
    const bool is_safe = (mode & 022) == 0;
    pn_tempdir t;
    const char *path;
    int fd = -1;
    int why;

    pn_tempdir_init(&t);
    path = pn_tempdir_path(&t, "d");
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chmod(path, mode), 0);
    if (is_safe) {
        assert_int_equal(pn_dir_open(path, &fd, &why), PN_OK);
        assert_int_equal(close(fd), 0);
    } else {
        assert_int_equal(pn_dir_open(path, &fd, &why), PN_PERMISSION);
        assert_int_equal(why, EACCES);
        assert_int_equal(fd, -1);
    }
    assert_int_equal(pn_tempdir_mode(&t, "d"), mode);
    pn_tempdir_fini(&t);
}

static void test_os_file_dir_of_another_owner(void **state)
{
    pn_tempdir t;
    const char *path;
    int fd = -1;
    int why;

    (void)state;
    if (geteuid() != 0) {
        pn_test_skip("only root can give files away");
    }
    pn_tempdir_init(&t);
    path = pn_tempdir_path(&t, "d");
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(chown(path, OTHER_UID, OTHER_UID), 0);
    assert_int_equal(pn_dir_open(path, &fd, &why), PN_PERMISSION);
    assert_int_equal(why, EPERM);
    pn_tempdir_fini(&t);
}

typedef struct dir_row {
    const char *name;
    const char *path; /* below the test's folder */
    pn_err err;
    int why;
} dir_row;

/* "link" leads to a good directory, "dangling" nowhere. */
static const dir_row DIR_ROWS[] = {
    {"link", "link", PN_PERMISSION, ELOOP},
    {"link_and_slash", "link/", PN_PERMISSION, ELOOP},
    {"link_and_slashes", "link///", PN_PERMISSION, ELOOP},
    {"dangling_link", "dangling", PN_PERMISSION, ELOOP},
    {"dangling_link_and_slash", "dangling/", PN_PERMISSION, ELOOP},
    {"regular_file", "regular", PN_PERMISSION, ENOTDIR},
    {"regular_file_and_slash", "regular/", PN_PERMISSION, ENOTDIR},
    {"fifo", "fifo", PN_PERMISSION, ENOTDIR},
    {"below_a_regular_file", "regular/d", PN_SYS, ENOTDIR},
    {"below_a_dangling_link", "dangling/d", PN_SYS, ENOENT},
    {"name_too_long", NULL, PN_SYS, ENAMETOOLONG},
};

static void test_os_file_dir_type(void **state)
{
    const dir_row *row = *state;
    pn_tempdir t;
    char path[1024];
    int fd = -1;
    int why;

    pn_tempdir_init(&t);
    assert_int_equal(mkdirat(t.fd, "good", 0700), 0);
    assert_int_equal(symlinkat("good", t.fd, "link"), 0);
    assert_int_equal(symlinkat("nowhere", t.fd, "dangling"), 0);
    assert_int_equal(mkfifoat(t.fd, "fifo", 0600), 0);
    pn_tempdir_put(&t, "regular", "x", 1);
    if (row->path == NULL) {
        (void)snprintf(path, sizeof(path), "%s/%0300d", t.path, 1);
    } else {
        (void)snprintf(path, sizeof(path), "%s/%s", t.path, row->path);
    }
    assert_int_equal(pn_dir_open(path, &fd, &why), row->err);
    assert_int_equal(why, row->why);
    assert_int_equal(fd, -1);
    assert_int_equal(pn_tempdir_mode(&t, "nowhere"), -1);
    pn_tempdir_fini(&t);
}

static void test_os_file_dir_without_a_name(void **state)
{
    int fd = -1;
    int why;

    (void)state;
    assert_int_equal(pn_dir_open("", &fd, &why), PN_SYS);
    assert_int_equal(why, ENOENT);
}

/* ---- reading ----------------------------------------------------------- */

static void test_os_file_read_mode(void **state)
{
    const unsigned mode = *(const unsigned *)*state;
    const bool is_loose = (mode & 07177) != 0;
    const bool is_written = (mode & 022) != 0;
    pn_tempdir t;
    pn_buf b = {0};
    bool is_tightened = !is_loose;
    int why;

    pn_tempdir_init(&t);
    pn_tempdir_put(&t, "f", OLD, sizeof(OLD));
    assert_int_equal(chmod(pn_tempdir_path(&t, "f"), mode), 0);
    if (geteuid() != 0 && (mode & 0400) == 0) {
        assert_int_equal(
            pn_file_read(t.fd, "f", 100, &b, &is_tightened, &why), PN_SYS);
        assert_int_equal(why, EACCES);
    } else if (is_written) {
        assert_int_equal(pn_file_read(t.fd, "f", 100, &b, &is_tightened, &why),
            PN_PERMISSION);
        assert_int_equal(why, EACCES);
        assert_int_equal(pn_buf_used(&b), 0);
        assert_int_equal(pn_tempdir_mode(&t, "f"), mode);
    } else {
        assert_int_equal(
            pn_file_read(t.fd, "f", 100, &b, &is_tightened, &why), PN_OK);
        pn_assert_bytes(b.data, b.len, OLD, sizeof(OLD));
        assert_int_equal(is_tightened, is_loose);
        assert_int_equal(pn_tempdir_mode(&t, "f"), is_loose ? 0600 : (int)mode);
    }
    pn_buf_fini(&b);
    pn_tempdir_fini(&t);
}

static void test_os_file_read_limit(void **state)
{
    pn_tempdir t;
    pn_buf b = {0};
    bool is_tightened;
    int why;
    /* Past one chunk, so the second read is bounded too. */
    static uint8_t big[70000];

    (void)state;
    pn_tempdir_init(&t);
    for (size_t len = 0; len <= sizeof(big); len += sizeof(big) / 2) {
        pn_tempdir_put(&t, "f", big, len);
        assert_int_equal(pn_buf_append(&b, "abc", 3), PN_OK);
        if (len > 0) {
            assert_int_equal(
                pn_file_read(t.fd, "f", len - 1, &b, &is_tightened, &why),
                PN_LIMIT);
            assert_int_equal(pn_buf_used(&b), 3);
        }
        assert_int_equal(
            pn_file_read(t.fd, "f", len, &b, &is_tightened, &why), PN_OK);
        assert_int_equal(pn_buf_used(&b), 3 + len);
        assert_int_equal(
            pn_file_read(t.fd, "f", len + 1, &b, &is_tightened, &why), PN_OK);
        assert_int_equal(pn_buf_used(&b), 3 + 2 * len);
        assert_memory_equal(b.data, "abc", 3);
        pn_buf_fini(&b);
    }
    pn_tempdir_fini(&t);
}

typedef struct type_row {
    const char *name;
    pn_err err;
    int why;
} type_row;

static const type_row TYPE_ROWS[] = {
    {"missing", PN_NOT_FOUND, ENOENT},
    {"link", PN_PERMISSION, ELOOP},
    {"dangling", PN_PERMISSION, ELOOP},
    {"fifo", PN_PERMISSION, EISDIR},
    {"directory", PN_PERMISSION, EISDIR},
    {"foreign", PN_PERMISSION, EPERM},
};

static void make_types(const pn_tempdir *t)
{
    pn_tempdir_put(t, "good", OLD, sizeof(OLD));
    pn_tempdir_put(t, "foreign", OLD, sizeof(OLD));
    assert_int_equal(symlinkat("good", t->fd, "link"), 0);
    assert_int_equal(symlinkat("nowhere", t->fd, "dangling"), 0);
    assert_int_equal(mkfifoat(t->fd, "fifo", 0600), 0);
    assert_int_equal(mkdirat(t->fd, "directory", 0700), 0);
    if (geteuid() == 0) {
        assert_int_equal(
            fchownat(t->fd, "foreign", OTHER_UID, OTHER_UID, 0), 0);
    }
}

static void test_os_file_read_type(void **state)
{
    const type_row *row = *state;
    pn_tempdir t;
    pn_buf b = {0};
    bool is_tightened;
    int why;

    if (row->why == EPERM && geteuid() != 0) {
        pn_test_skip("only root can give files away");
    }
    pn_tempdir_init(&t);
    make_types(&t);
    assert_int_equal(
        pn_file_read(t.fd, row->name, 100, &b, &is_tightened, &why), row->err);
    assert_int_equal(why, row->why);
    assert_int_equal(pn_buf_used(&b), 0);
    pn_buf_fini(&b);
    pn_tempdir_fini(&t);
}

/* A mode that is a condition is not mended. */
static void test_os_file_read_as_mode(void **state)
{
    pn_tempdir t;
    int why;

    (void)state;
    pn_tempdir_init(&t);
    pn_tempdir_put(&t, "f", OLD, sizeof(OLD));
    for (unsigned mode = 0400; mode < 01000; mode++) {
        const bool is_writable = (mode & 022) != 0;
        const bool is_open = (mode & 027) != 0; /* group may read */
        const char *sentence;
        pn_buf b = {0};

        assert_int_equal(fchmodat(t.fd, "f", mode, 0), 0);
        assert_int_equal(pn_secret_read(t.fd, "f", 100, &b, &why, &sentence),
            is_open ? PN_PERMISSION : PN_OK);
        assert_true((sentence != NULL) == is_open);
        assert_int_equal(pn_buf_used(&b), is_open ? 0 : sizeof(OLD));
        pn_buf_fini(&b);
        assert_int_equal(pn_file_read_public(t.fd, "f", 100, &b, &why),
            is_writable ? PN_PERMISSION : PN_OK);
        assert_int_equal(why, is_writable ? EACCES : 0);
        assert_int_equal(pn_tempdir_mode(&t, "f"), mode);
        pn_buf_fini(&b);
    }
    pn_tempdir_fini(&t);
}

static void test_os_file_read_as_type(void **state)
{
    const type_row *row = *state;
    pn_tempdir t;
    const char *sentence;
    pn_buf b = {0};
    int why;

    if (row->why == EPERM && geteuid() != 0) {
        pn_test_skip("only root can give files away");
    }
    pn_tempdir_init(&t);
    make_types(&t);
    assert_int_equal(
        pn_file_read_public(t.fd, row->name, 100, &b, &why), row->err);
    assert_int_equal(why, row->why);
    assert_int_equal(
        pn_secret_read(t.fd, "good", sizeof(OLD) - 1, &b, &why, &sentence),
        PN_LIMIT);
    assert_int_equal(pn_buf_used(&b), 0);
    pn_buf_fini(&b);
    pn_tempdir_fini(&t);
}

static void test_os_file_lock_type(void **state)
{
    const type_row *row = *state;
    pn_tempdir t;
    int fd = -1;
    int why;

    if (row->why == EPERM && geteuid() != 0) {
        pn_test_skip("only root can give files away");
    }
    pn_tempdir_init(&t);
    make_types(&t);
    if (row->err == PN_NOT_FOUND) {
        assert_int_equal(
            pn_file_lock(t.fd, row->name, false, &fd, &why), PN_OK);
        assert_int_equal(pn_tempdir_mode(&t, row->name), 0600);
        assert_int_equal(close(fd), 0);
    } else {
        assert_int_equal(
            pn_file_lock(t.fd, row->name, false, &fd, &why), row->err);
        assert_int_equal(why, row->why);
        assert_int_equal(fd, -1);
        assert_int_equal(pn_tempdir_mode(&t, "nowhere"), -1);
    }
    pn_tempdir_fini(&t);
}

/* ---- replacing --------------------------------------------------------- */

static void test_os_file_replace_keeps_a_backup(void **state)
{
    pn_tempdir t;
    int why;

    (void)state;
    pn_tempdir_init(&t);
    assert_int_equal(pn_file_replace(t.fd, "f", OLD, sizeof(OLD), &why), PN_OK);
    assert_int_equal(pn_tempdir_count(&t), 1);
    assert_int_equal(pn_tempdir_mode(&t, "f"), 0600);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            pn_file_replace(t.fd, "f", NEW, sizeof(NEW), &why), PN_OK);
        assert_file(&t, "f", NEW, sizeof(NEW));
        assert_file(&t, "f.bak", i == 0 ? OLD : NEW,
            i == 0 ? sizeof(OLD) : sizeof(NEW));
        assert_int_equal(pn_tempdir_count(&t), 2);
    }
    assert_int_equal(pn_file_replace(t.fd, "f", OLD, 0, &why), PN_OK);
    assert_file(&t, "f", OLD, 0);
    pn_tempdir_fini(&t);
}

/* A temporary that a killed writer left, whatever it is, does not stop the
 * next one, and is never written through. */
static void test_os_file_replace_past_a_stale_temporary(void **state)
{
    pn_tempdir t;
    int why;

    (void)state;
    pn_tempdir_init(&t);
    pn_tempdir_put(&t, "victim", OLD, sizeof(OLD));
    assert_int_equal(symlinkat("victim", t.fd, "f.pn-tmp"), 0);
    assert_int_equal(pn_file_replace(t.fd, "f", NEW, sizeof(NEW), &why), PN_OK);
    assert_file(&t, "f", NEW, sizeof(NEW));
    assert_file(&t, "victim", OLD, sizeof(OLD));
    pn_tempdir_fini(&t);
}

/* When a file cannot be replaced it stays, and no temporary remains. */
static void test_os_file_replace_refused(void **state)
{
    const char *obstacle = *state;
    pn_tempdir t;
    int why = 0;

    pn_tempdir_init(&t);
    pn_tempdir_put(&t, "f", OLD, sizeof(OLD));
    assert_int_equal(mkdirat(t.fd, obstacle, 0700), 0);
    assert_int_equal(
        pn_file_replace(t.fd, "f", NEW, sizeof(NEW), &why), PN_SYS);
    assert_int_not_equal(why, 0);
    assert_file(&t, "f", OLD, sizeof(OLD));
    assert_int_equal(pn_tempdir_count(&t), 2);
    pn_tempdir_fini(&t);
}

static void test_os_file_create_never_overwrites(void **state)
{
    pn_tempdir t;
    int why;

    (void)state;
    pn_tempdir_init(&t);
    assert_int_equal(pn_file_create(t.fd, "f", OLD, sizeof(OLD), &why), PN_OK);
    assert_int_equal(pn_tempdir_mode(&t, "f"), 0600);
    assert_int_equal(
        pn_file_create(t.fd, "f", NEW, sizeof(NEW), &why), PN_EXISTS);
    assert_file(&t, "f", OLD, sizeof(OLD));
    assert_int_equal(pn_tempdir_count(&t), 1);
    pn_tempdir_fini(&t);
}

static void test_os_file_name_length(void **state)
{
    pn_tempdir t;
    char name[257];
    int why;

    (void)state;
    pn_tempdir_init(&t);
    memset(name, 'n', sizeof(name));
    /* 251 and ".bak" are 255, which is what a name may have. */
    for (size_t len = 250; len <= 252; len++) {
        name[len] = '\0';
        assert_int_equal(pn_file_replace(t.fd, name, OLD, 1, &why),
            len <= 251 ? PN_OK : PN_INVALID);
        name[len] = 'n';
    }
    assert_int_equal(pn_tempdir_count(&t), 2);
    for (size_t len = 254; len <= 256; len++) {
        name[len] = '\0';
        assert_int_equal(pn_file_create(t.fd, name, OLD, 1, &why),
            len <= 255 ? PN_OK : PN_INVALID);
        name[len] = 'n';
    }
    assert_int_equal(pn_tempdir_count(&t), 4);
    pn_tempdir_fini(&t);
}

static void test_os_file_restore_takes_a_replacing_back(void **state)
{
    pn_tempdir t;
    int why;

    (void)state;
    pn_tempdir_init(&t);
    assert_int_equal(pn_file_restore(t.fd, "f", &why), PN_NOT_FOUND);
    assert_int_equal(pn_file_create(t.fd, "f", OLD, sizeof(OLD), &why), PN_OK);
    assert_int_equal(pn_file_restore(t.fd, "f", &why), PN_NOT_FOUND);
    assert_file(&t, "f", OLD, sizeof(OLD));
    assert_int_equal(pn_file_replace(t.fd, "f", NEW, sizeof(NEW), &why), PN_OK);
    assert_int_equal(pn_file_restore(t.fd, "f", &why), PN_OK);
    assert_file(&t, "f", OLD, sizeof(OLD));
    assert_int_equal(pn_tempdir_count(&t), 1);
    pn_tempdir_fini(&t);
}

static void test_os_file_remove(void **state)
{
    pn_tempdir t;
    int why;

    (void)state;
    pn_tempdir_init(&t);
    make_types(&t);
    assert_int_equal(pn_file_remove(t.fd, "missing", &why), PN_NOT_FOUND);
    assert_int_equal(pn_file_remove(t.fd, "directory", &why), PN_SYS);
    assert_int_not_equal(why, 0);
    assert_int_equal(pn_file_remove(t.fd, "link", &why), PN_OK);
    assert_file(&t, "good", OLD, sizeof(OLD));
    assert_int_equal(pn_file_remove(t.fd, "good", &why), PN_OK);
    assert_int_equal(pn_tempdir_mode(&t, "good"), -1);
    pn_tempdir_fini(&t);
}

static void test_os_file_clean_takes_temporaries_only(void **state)
{
    pn_tempdir t;

    (void)state;
    pn_tempdir_init(&t);
    pn_tempdir_put(&t, "f", OLD, 1);
    pn_tempdir_put(&t, "f.bak", OLD, 1);
    pn_tempdir_put(&t, "f.tmp", OLD, 1);
    pn_tempdir_put(&t, ".pn-tmp", OLD, 1);
    pn_tempdir_put(&t, "f.pn-tmp", OLD, 1);
    pn_tempdir_put(&t, "g.pn-tmp", OLD, 1);
    pn_dir_clean(t.fd);
    assert_int_equal(pn_tempdir_count(&t), 4);
    assert_int_equal(pn_tempdir_mode(&t, "f.pn-tmp"), -1);
    pn_tempdir_fini(&t);
}

/* ---- locks ------------------------------------------------------------- */

static void test_os_file_lock_excludes(void **state)
{
    pn_tempdir t;
    int first;
    int second = -1;
    int why;

    (void)state;
    pn_tempdir_init(&t);
    assert_int_equal(pn_file_lock(t.fd, "l", false, &first, &why), PN_OK);
    assert_int_equal(fcntl(first, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    assert_int_equal(pn_file_lock(t.fd, "l", false, &second, &why), PN_LOCKED);
    assert_int_equal(second, -1);
    assert_int_equal(close(first), 0);
    assert_int_equal(pn_file_lock(t.fd, "l", false, &second, &why), PN_OK);
    assert_int_equal(close(second), 0);
    pn_tempdir_fini(&t);
}

/* Takes the lock in a child, says so, and lives until it is killed. */
static pid_t spawn_holder(const pn_tempdir *t)
{
    int pipe_fds[2];
    char byte;
    pid_t pid;

    assert_int_equal(pipe(pipe_fds), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int fd;
        int why;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when the test fails */
        if (pn_file_lock(t->fd, "l", false, &fd, &why) == PN_OK) {
            (void)!write(pipe_fds[1], "x", 1);
        }
        for (;;) {
            pause();
        }
    }
    assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
    assert_int_equal(close(pipe_fds[0]), 0);
    assert_int_equal(close(pipe_fds[1]), 0);
    return pid;
}

static void test_os_file_lock_ends_with_kill(void **state)
{
    pn_tempdir t;
    int fd = -1;
    int why;
    pid_t pid;

    (void)state;
    pn_tempdir_init(&t);
    pid = spawn_holder(&t);
    assert_int_equal(pn_file_lock(t.fd, "l", false, &fd, &why), PN_LOCKED);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(pn_file_lock(t.fd, "l", false, &fd, &why), PN_OK);
    assert_int_equal(close(fd), 0);
    pn_tempdir_fini(&t);
}

/* A waiter gets the lock as soon as it is free. */
static void test_os_file_lock_waits(void **state)
{
    pn_tempdir t;
    int fd = -1;
    int why;
    pid_t holder;
    pid_t killer;

    (void)state;
    pn_tempdir_init(&t);
    holder = spawn_holder(&t);
    killer = fork();
    if (killer == 0) {
        (void)usleep(50000);
        (void)kill(holder, SIGKILL);
        _exit(0);
    }
    assert_int_equal(pn_file_lock(t.fd, "l", true, &fd, &why), PN_OK);
    assert_int_equal(close(fd), 0);
    assert_int_equal(waitpid(holder, NULL, 0), holder);
    assert_int_equal(waitpid(killer, NULL, 0), killer);
    pn_tempdir_fini(&t);
}

/* ---- watching ---------------------------------------------------------- */

static bool is_f(const char *name)
{
    return strcmp(name, "f") == 0;
}

static bool is_readable(int fd)
{
    return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0) == 1;
}

static void test_os_file_watch(void **state)
{
    pn_tempdir t;
    int fd;
    int why;

    (void)state;
    pn_tempdir_init(&t);
    if (pn_dir_watch(t.fd, &fd, &why) != PN_OK) {
        pn_tempdir_fini(&t);
        pn_test_skip("no inotify");
    }
    assert_false(is_readable(fd));
    assert_false(pn_dir_watch_read(fd, is_f));
    /* As ours writes. */
    assert_int_equal(pn_file_replace(t.fd, "f", OLD, 1, &why), PN_OK);
    assert_true(is_readable(fd));
    assert_true(pn_dir_watch_read(fd, is_f));
    assert_false(is_readable(fd));
    /* As the originals write: in place. */
    pn_tempdir_put(&t, "f", NEW, 5);
    assert_true(pn_dir_watch_read(fd, is_f));
    /* Another file. */
    assert_int_equal(pn_file_replace(t.fd, "g", OLD, 1, &why), PN_OK);
    assert_false(pn_dir_watch_read(fd, is_f));
    assert_int_equal(unlinkat(t.fd, "f", 0), 0);
    assert_true(pn_dir_watch_read(fd, is_f));
    assert_int_equal(close(fd), 0);
    pn_tempdir_fini(&t);
}

static void test_os_file_watch_sees_the_directory_go(void **state)
{
    pn_tempdir t;
    int dir_fd;
    int fd;
    int why;

    (void)state;
    pn_tempdir_init(&t);
    assert_int_equal(
        pn_dir_open(pn_tempdir_path(&t, "d"), &dir_fd, &why), PN_OK);
    if (pn_dir_watch(dir_fd, &fd, &why) != PN_OK) {
        pn_test_skip("no inotify");
    }
    assert_int_equal(close(dir_fd), 0);
    assert_int_equal(rmdir(pn_tempdir_path(&t, "d")), 0);
    assert_true(pn_dir_watch_read(fd, is_f));
    assert_int_equal(close(fd), 0);
    pn_tempdir_fini(&t);
}

/* ---- sentences and the clock ------------------------------------------- */

static void test_os_file_why_is_a_sentence(void **state)
{
    static const struct {
        pn_err err;
        int why;
        const char *text;
    } rows[] = {
        {PN_SYS, ENOSPC, "No space left on device"},
        {PN_PERMISSION, ELOOP, "is a symbolic link"},
        {PN_PERMISSION, ENOTDIR, "is not a directory"},
        {PN_PERMISSION, EISDIR, "is not a regular file"},
        {PN_PERMISSION, EPERM, "belongs to another user"},
        {PN_PERMISSION, EACCES, "can be written by other users"},
        {PN_LIMIT, 0, "is larger than such a file can be"},
        {PN_NOMEM, 0, "out of memory"},
    };
    char text[64];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pn_file_why(rows[i].err, rows[i].why, text, sizeof(text));
        assert_string_equal(text, rows[i].text);
    }
    pn_file_why(PN_SYS, ENOSPC, text, 3);
    assert_string_equal(text, "No");
}

static void test_os_clock_is_the_wall_clock(void **state)
{
    const int64_t now = pn_wall_now_us();

    (void)state;
    assert_in_range(now / 1000000, (int64_t)time(NULL) - 2, time(NULL) + 2);
}

int main(void)
{
    static unsigned modes[512];
    static char obstacles[][16] = {"f.bak", "f.pn-tmp"};

    pn_test_add(
        "os/file/dir/is_made_private", test_os_file_dir_is_made_private, NULL);
    pn_test_add(
        "os/file/dir/owner/other", test_os_file_dir_of_another_owner, NULL);
    pn_test_add(
        "os/file/dir/without_a_name", test_os_file_dir_without_a_name, NULL);
    for (unsigned i = 0; i < sizeof(DIR_ROWS) / sizeof(DIR_ROWS[0]); i++) {
        pn_test_addf(test_os_file_dir_type, (void *)(uintptr_t)&DIR_ROWS[i],
            "os/file/dir/type/%s", DIR_ROWS[i].name);
    }
    for (unsigned mode = 0; mode < 512; mode++) {
        modes[mode] = mode;
        if ((mode & 0700) == 0700) {
            pn_test_addf(test_os_file_dir_mode, &modes[mode],
                "os/file/dir/mode/%03o", mode);
        }
        if ((mode & 0700) == 0600 || mode % 0111 == 0) {
            pn_test_addf(test_os_file_read_mode, &modes[mode],
                "os/file/read/mode/%03o", mode);
        }
    }
    pn_test_add("os/file/read/limit", test_os_file_read_limit, NULL);
    for (unsigned i = 0; i < sizeof(TYPE_ROWS) / sizeof(TYPE_ROWS[0]); i++) {
        void *row = (void *)(uintptr_t)&TYPE_ROWS[i];

        pn_test_addf(test_os_file_read_type, row, "os/file/read/type/%s",
            TYPE_ROWS[i].name);
        pn_test_addf(test_os_file_read_as_type, row, "os/file/read_as/type/%s",
            TYPE_ROWS[i].name);
        pn_test_addf(test_os_file_lock_type, row, "os/file/lock/type/%s",
            TYPE_ROWS[i].name);
    }
    pn_test_add("os/file/replace/keeps_a_backup",
        test_os_file_replace_keeps_a_backup, NULL);
    pn_test_add("os/file/replace/past_a_stale_temporary",
        test_os_file_replace_past_a_stale_temporary, NULL);
    for (unsigned i = 0; i < 2; i++) {
        pn_test_addf(test_os_file_replace_refused, obstacles[i],
            "os/file/replace/refused/%s_is_a_directory", obstacles[i]);
    }
    pn_test_add("os/file/create/never_overwrites",
        test_os_file_create_never_overwrites, NULL);
    pn_test_add("os/file/replace/name_length", test_os_file_name_length, NULL);
    pn_test_add("os/file/read_as/mode", test_os_file_read_as_mode, NULL);
    pn_test_add(
        "os/file/restore", test_os_file_restore_takes_a_replacing_back, NULL);
    pn_test_add("os/file/remove", test_os_file_remove, NULL);
    pn_test_add("os/file/clean/takes_temporaries_only",
        test_os_file_clean_takes_temporaries_only, NULL);
    pn_test_add("os/file/lock/excludes", test_os_file_lock_excludes, NULL);
    pn_test_add(
        "os/file/lock/ends_with_kill", test_os_file_lock_ends_with_kill, NULL);
    pn_test_add("os/file/lock/waits", test_os_file_lock_waits, NULL);
    pn_test_add(
        "os/file/watch/replaced_written_removed", test_os_file_watch, NULL);
    pn_test_add("os/file/watch/directory_gone",
        test_os_file_watch_sees_the_directory_go, NULL);
    pn_test_add(
        "os/file/why/is_a_sentence", test_os_file_why_is_a_sentence, NULL);
    pn_test_add(
        "os/clock/is_the_wall_clock", test_os_clock_is_the_wall_clock, NULL);
    return pn_test_run("os/file");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that must not be lost or read by others; see file.h. Every name is
 * relative to a directory that was checked once and is held by descriptor, so a
 * path that is swapped later has no effect.
 */
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/fs.h>

#include "base/env.h"
#include "base/mutant.h"
#include "os/descriptor.h"
#include "os/file.h"

#define TEMPORARY_SUFFIX ".pn-tmp"
#define BACKUP_SUFFIX ".bak"

enum {
    NAME_CAP = NAME_MAX + 1, /* of our file names, suffix included */
    READ_CHUNK = 65536,
    MODE_LOOSE = 07777 & ~0600,
    MODE_WRITABLE = S_IWGRP | S_IWOTH, /* by anybody but the owner */
    /* Short against an edit: a process that edits again and again releases the
     * lock for moments only, and a waiter must meet one of them. */
    LOCK_NAP_US = 500
};

/* Following a link would check one file and then trust another (T20). */
#define NO_FOLLOW (PN_SAFEGUARD(file_nofollow) ? O_NOFOLLOW : 0)

static pn_err sys_error(int *ret_errno)
{
    *ret_errno = errno;
    return PN_SYS;
}

static pn_err refuse(int why, int *ret_errno)
{
    *ret_errno = why;
    return PN_PERMISSION;
}

/* POSIX's strerror_r returns whether it worked; glibc's returns the text, which
 * need not be in buf. */
static const char *text_of(int sys_errno, char *buf, size_t cap)
{
#ifdef __GLIBC__
    return strerror_r(sys_errno, buf, cap);
#else
    return strerror_r(sys_errno, buf, cap) == 0 ? buf : "unknown error";
#endif
}

void pn_file_why(pn_err err, int sys_errno, char *ret_text, size_t cap)
{
    char buf[128];
    const char *text = pn_strerror(err);

    if (err == PN_SYS) {
        text = text_of(sys_errno, buf, sizeof(buf));
    } else if (err == PN_LIMIT) {
        text = "is larger than such a file can be";
    } else if (err == PN_PERMISSION) {
        text = sys_errno == ELOOP     ? "is a symbolic link"
               : sys_errno == ENOTDIR ? "is not a directory"
               : sys_errno == EISDIR  ? "is not a regular file"
               : sys_errno == EPERM   ? "belongs to another user"
                                      : "can be written by other users";
    }
    (void)snprintf(ret_text, cap, "%s", text);
}

/* ---- directories ------------------------------------------------------- */

static int fsync_directory(int fd)
{
    /* Some file systems cannot synchronise a directory, and answer EINVAL. */
    return fsync(fd) == 0 || errno == EINVAL ? 0 : -1;
}

/* Makes the entry of a new directory last: without it a power cut could take
 * the identity with it. */
static int fsync_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *parent = slash == NULL   ? strdup(".")
                   : slash == path ? strdup("/")
                                   : strndup(path, (size_t)(slash - path));
    int fd;
    int result;

    if (parent == NULL) {
        return -1;
    }
    fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(parent);
    if (fd < 0) {
        /* The parent may be searched but not read; the entry exists. */
        return errno == EACCES ? 0 : -1;
    }
    result = fsync_directory(fd);
    (void)close(fd);
    return result;
}

static int make_directory(const char *path)
{
    if (mkdir(path, 0700) != 0) {
        return errno == EEXIST ? 0 : -1;
    }
    return fsync_parent(path);
}

/* Makes every missing directory of path. path is modified meanwhile and
 * restored. */
static int make_directories(char *path)
{
    for (char *p = path + 1; *p != '\0'; p++) {
        int result;

        if (*p != '/' || p[-1] == '/') {
            continue;
        }
        *p = '\0';
        result = make_directory(path);
        *p = '/';
        /* An existing parent that is not writable answers EROFS or EACCES,
         * which matters only for the last component. */
        if (result != 0 && errno != EROFS && errno != EACCES) {
            return -1;
        }
    }
    return make_directory(path);
}

static pn_err check_directory(int fd, int *ret_errno)
{
    struct stat st;

    if (fstat(fd, &st) != 0) {
        return sys_error(ret_errno);
    }
    if (PN_REFUSE_IF(file_dir_owner, st.st_uid != geteuid())) {
        return refuse(EPERM, ret_errno);
    }
    if (PN_REFUSE_IF(file_dir_writable, (st.st_mode & MODE_WRITABLE) != 0)) {
        return refuse(EACCES, ret_errno);
    }
    return PN_OK;
}

/* The error of an open that found something else than a directory. */
static pn_err directory_error(const char *path, int *ret_errno)
{
    struct stat st;
    int why = errno;

    if (why == ENOTDIR || why == ELOOP) {
        if (lstat(path, &st) == 0) {
            return refuse(S_ISLNK(st.st_mode) ? ELOOP : ENOTDIR, ret_errno);
        }
    }
    *ret_errno = why;
    return PN_SYS;
}

static pn_err open_directory(char *path, int *ret_fd, int *ret_errno)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | NO_FOLLOW;
    int fd = open(path, flags);
    pn_err err;

    if (fd < 0 && errno == ENOENT) {
        if (make_directories(path) != 0) {
            return sys_error(ret_errno);
        }
        fd = open(path, flags);
    }
    if (fd < 0) {
        return directory_error(path, ret_errno);
    }
    err = check_directory(fd, ret_errno);
    if (err != PN_OK) {
        (void)close(fd);
        return err;
    }
    *ret_fd = fd;
    return PN_OK;
}

pn_err pn_dir_open(const char *path, int *ret_fd, int *ret_errno)
{
    size_t len = strlen(path);
    char *copy;
    pn_err err;

    *ret_errno = 0;
    if (len == 0) {
        *ret_errno = ENOENT;
        return PN_SYS;
    }
    /* "link/" would be followed whatever the flags say. */
    while (len > 1 && path[len - 1] == '/') {
        len--;
    }
    copy = strndup(path, len);
    if (copy == NULL) {
        return PN_NOMEM;
    }
    err = open_directory(copy, ret_fd, ret_errno);
    free(copy);
    return err;
}

static bool has_suffix(const char *name, const char *suffix)
{
    size_t n = strlen(name);
    size_t k = strlen(suffix);

    return n > k && strcmp(name + n - k, suffix) == 0;
}

void pn_dir_clean(int dir_fd)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    if (dir == NULL) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (has_suffix(entry->d_name, TEMPORARY_SUFFIX)) {
            (void)unlinkat(dir_fd, entry->d_name, 0);
        }
    }
    (void)closedir(dir);
}

/* ---- reading ----------------------------------------------------------- */

/* Whose files are read. */
typedef enum owner { OWNER_US, OWNER_US_OR_ROOT } owner;

static pn_err check_file(int fd, owner of, struct stat *st, int *ret_errno)
{
    bool is_ours;

    if (fstat(fd, st) != 0) {
        return sys_error(ret_errno);
    }
    if (PN_REFUSE_IF(file_regular, !S_ISREG(st->st_mode))) {
        return refuse(EISDIR, ret_errno);
    }
    is_ours = st->st_uid == geteuid()
              || (of == OWNER_US_OR_ROOT && st->st_uid == 0);
    if (PN_REFUSE_IF(file_owner, !is_ours)) {
        return refuse(EPERM, ret_errno);
    }
    return PN_OK;
}

/* Opens a regular file of ours. The open is non-blocking, because that of a
 * FIFO would wait for a writer; it makes no difference for regular files. */
static pn_err open_file(int dir_fd, const char *name, int flags, owner of,
    int *ret_fd, struct stat *st, int *ret_errno)
{
    int fd = openat(dir_fd, name,
        flags | NO_FOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
    pn_err err;

    if (fd < 0) {
        switch (errno) {
        case ENOENT:
            *ret_errno = errno;
            return PN_NOT_FOUND;
        case ELOOP:
            return refuse(ELOOP, ret_errno);
        case EISDIR:
        case ENXIO: /* a socket */
            return refuse(EISDIR, ret_errno);
        default:
            return sys_error(ret_errno);
        }
    }
    err = check_file(fd, of, st, ret_errno);
    if (err != PN_OK) {
        (void)close(fd);
        return err;
    }
    *ret_fd = fd;
    return PN_OK;
}

/* Reads to the end. The buffer grows with the bytes that were read, not with
 * st_size. */
static pn_err read_all(int fd, size_t max, pn_buf *out, int *ret_errno)
{
    size_t n_read = 0;

    for (;;) {
        /* One byte more than allowed is asked for, to notice a file that is too
         * long. */
        size_t want = max - n_read + 1;
        ssize_t n;

        want = want < READ_CHUNK ? want : READ_CHUNK;
        if (pn_buf_reserve(out, want) != PN_OK) {
            return PN_NOMEM;
        }
        n = read(fd, out->data + out->len, want);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return sys_error(ret_errno);
        }
        if (n == 0) {
            return PN_OK;
        }
        out->len += (size_t)n;
        n_read += (size_t)n;
        if (PN_REFUSE_IF(file_size, n_read > max)) {
            return PN_LIMIT;
        }
        if (n_read > max) {
            return PN_OK;
        }
    }
}

pn_err pn_file_read_fd(int fd, size_t max, pn_buf *out, int *ret_errno)
{
    const size_t before = pn_buf_used(out);
    pn_err err = read_all(fd, max, out, ret_errno);

    if (err != PN_OK) {
        out->len -= pn_buf_used(out) - before;
    }
    return err;
}

/* ret_tightened NULL: others may read it, and its mode is left alone. */
static pn_err read_file(int dir_fd, const char *name, owner of, size_t max,
    pn_buf *out, bool *ret_tightened, int *ret_errno)
{
    struct stat st;
    bool is_loose;
    int fd;
    pn_err err;

    *ret_errno = 0;
    err = open_file(dir_fd, name, O_RDONLY, of, &fd, &st, ret_errno);
    if (err != PN_OK) {
        return err;
    }
    is_loose = ret_tightened != NULL
               && PN_REFUSE_IF(file_tighten, (st.st_mode & MODE_LOOSE) != 0);
    if (PN_REFUSE_IF(file_written, (st.st_mode & MODE_WRITABLE) != 0)) {
        /* Others may have written the file, so the mode is not just
         * tightened. */
        err = refuse(EACCES, ret_errno);
    } else if (is_loose && fchmod(fd, 0600) != 0) {
        err = sys_error(ret_errno);
    }
    if (err == PN_OK) {
        err = pn_file_read_fd(fd, max, out, ret_errno);
    }
    (void)close(fd);
    if (err == PN_OK && ret_tightened != NULL) {
        *ret_tightened = is_loose;
    }
    return err;
}

pn_err pn_file_read(int dir_fd, const char *name, size_t max, pn_buf *out,
    bool *ret_tightened, int *ret_errno)
{
    return read_file(
        dir_fd, name, OWNER_US, max, out, ret_tightened, ret_errno);
}

pn_err pn_file_read_public(
    int dir_fd, const char *name, size_t max, pn_buf *out, int *ret_errno)
{
    return read_file(dir_fd, name, OWNER_US, max, out, NULL, ret_errno);
}

pn_err pn_file_read_ours_or_roots(
    int dir_fd, const char *name, size_t max, pn_buf *out, int *ret_errno)
{
    return read_file(dir_fd, name, OWNER_US_OR_ROOT, max, out, NULL, ret_errno);
}

bool pn_file_is_roots(int dir_fd, const char *name)
{
    struct stat st;

    return geteuid() != 0
           && fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0
           && st.st_uid == 0;
}

/* ---- writing ----------------------------------------------------------- */

/* Removes a file and keeps errno, which has the error to report. */
static void unlink_quietly(int dir_fd, const char *name)
{
    int kept = errno;

    (void)unlinkat(dir_fd, name, 0);
    errno = kept;
}

static int open_temporary(int dir_fd, const char *name)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(dir_fd, name, flags, 0600);

    if (fd < 0 && errno == EEXIST) {
        /* A writer that died left it behind: the lock keeps other writers out,
         * and the name of what is published cannot be guessed. */
        (void)unlinkat(dir_fd, name, 0);
        fd = openat(dir_fd, name, flags, 0600);
    }
    return fd;
}

/* Writes the whole content, durably, under another name. A failed fsync is not
 * repeated: the kernel may have dropped the pages, and a second call would
 * succeed (T23). */
static int write_temporary(
    int dir_fd, const char *name, mode_t mode, const uint8_t *data, size_t len)
{
    int fd = open_temporary(dir_fd, name);
    int result;

    if (fd < 0) {
        return -1;
    }
    result = pn_write_all(fd, data, len);
    /* The umask does not apply. A file system without modes can do 0600. */
    if (result == 0 && mode != 0600) {
        result = fchmod(fd, mode);
    }
    if (result == 0) {
        result = fsync(fd);
    }
    if (result != 0) {
        int kept = errno;

        (void)close(fd);
        errno = kept;
    } else {
        result = close(fd);
    }
    if (result != 0) {
        unlink_quietly(dir_fd, name);
    }
    return result;
}

typedef enum old_file {
    OLD_NONE,  /* there was no such file */
    OLD_KEPT,  /* it has a second name, the backup */
    OLD_UNKEPT /* the file system has no second names */
} old_file;

static int keep_old(
    int dir_fd, const char *name, const char *backup, old_file *ret_old)
{
    if (unlinkat(dir_fd, backup, 0) != 0 && errno != ENOENT) {
        return -1;
    }
    if (linkat(dir_fd, name, dir_fd, backup, 0) == 0) {
        *ret_old = OLD_KEPT;
        return 0;
    }
    switch (errno) {
    case ENOENT:
        *ret_old = OLD_NONE;
        return 0;
    case EPERM:
    case EOPNOTSUPP:
    case ENOSYS:
    case EMLINK:
        *ret_old = OLD_UNKEPT;
        return 0;
    default:
        return -1;
    }
}

/* The new file is in place but may not survive a power cut, which counts as not
 * written; so the old one is restored. */
static void roll_back(
    int dir_fd, const char *name, const char *backup, old_file old)
{
    int kept = errno;

    if (old == OLD_KEPT) {
        (void)renameat(dir_fd, backup, dir_fd, name);
    } else if (old == OLD_NONE) {
        (void)unlinkat(dir_fd, name, 0);
    }
    errno = kept;
}

static bool make_name(
    char ret_name[static NAME_CAP], const char *name, const char *suffix)
{
    int n = snprintf(ret_name, NAME_CAP, "%s%s", name, suffix);

    return n > 0 && n < NAME_CAP;
}

/* A name that leaves no room for the suffix is cut: no two temporaries are in
 * use at once. */
static bool make_temporary_name(
    char ret_name[static NAME_CAP], const char *name)
{
    enum { STEM_MAX = NAME_MAX - (sizeof(TEMPORARY_SUFFIX) - 1) };

    (void)snprintf(
        ret_name, NAME_CAP, "%.*s%s", STEM_MAX, name, TEMPORARY_SUFFIX);
    return strlen(name) <= NAME_MAX;
}

static int put_in_place(
    int dir_fd, const char *temporary, const char *name, const char *backup)
{
    old_file old;

    if (keep_old(dir_fd, name, backup, &old) != 0
        || renameat(dir_fd, temporary, dir_fd, name) != 0) {
        unlink_quietly(dir_fd, temporary);
        return -1;
    }
    if (fsync_directory(dir_fd) != 0) {
        roll_back(dir_fd, name, backup, old);
        return -1;
    }
    return 0;
}

pn_err pn_file_replace(int dir_fd, const char *name, const uint8_t *data,
    size_t len, int *ret_errno)
{
    char temporary[NAME_CAP];
    char backup[NAME_CAP];

    *ret_errno = 0;
    if (!make_temporary_name(temporary, name)
        || !make_name(backup, name, BACKUP_SUFFIX)) {
        return PN_INVALID;
    }
    if (write_temporary(dir_fd, temporary, 0600, data, len) != 0
        || put_in_place(dir_fd, temporary, name, backup) != 0) {
        return sys_error(ret_errno);
    }
    return PN_OK;
}

pn_err pn_file_publish(int dir_fd, const char *name, const char *temporary,
    const uint8_t *data, size_t len, int *ret_errno)
{
    if (write_temporary(dir_fd, temporary, 0644, data, len) != 0) {
        return sys_error(ret_errno);
    }
    if (renameat(dir_fd, temporary, dir_fd, name) != 0) {
        unlink_quietly(dir_fd, temporary);
        return sys_error(ret_errno);
    }
    return fsync_directory(dir_fd) == 0 ? PN_OK : sys_error(ret_errno);
}

pn_err pn_file_restore(int dir_fd, const char *name, int *ret_errno)
{
    char backup[NAME_CAP];

    *ret_errno = 0;
    if (!make_name(backup, name, BACKUP_SUFFIX)) {
        return PN_INVALID;
    }
    if (renameat(dir_fd, backup, dir_fd, name) != 0) {
        return errno == ENOENT ? PN_NOT_FOUND : sys_error(ret_errno);
    }
    return fsync_directory(dir_fd) == 0 ? PN_OK : sys_error(ret_errno);
}

pn_err pn_file_remove(int dir_fd, const char *name, int *ret_errno)
{
    *ret_errno = 0;
    if (unlinkat(dir_fd, name, 0) != 0) {
        return errno == ENOENT ? PN_NOT_FOUND : sys_error(ret_errno);
    }
    return fsync_directory(dir_fd) == 0 ? PN_OK : sys_error(ret_errno);
}

/* Renames unless the name is taken; both ways are atomic. Not every C library
 * has a function for renameat2. */
static int rename_new(int dir_fd, const char *temporary, const char *name)
{
    if (syscall(
            SYS_renameat2, dir_fd, temporary, dir_fd, name, RENAME_NOREPLACE)
        == 0) {
        return 0;
    }
    if (errno != EINVAL && errno != ENOSYS) {
        return -1;
    }
    if (linkat(dir_fd, temporary, dir_fd, name, 0) != 0) {
        return -1;
    }
    (void)unlinkat(dir_fd, temporary, 0);
    return 0;
}

pn_err pn_file_create(int dir_fd, const char *name, const uint8_t *data,
    size_t len, int *ret_errno)
{
    char temporary[NAME_CAP];

    *ret_errno = 0;
    if (!make_temporary_name(temporary, name)) {
        return PN_INVALID;
    }
    if (write_temporary(dir_fd, temporary, 0600, data, len) != 0) {
        return sys_error(ret_errno);
    }
    if (rename_new(dir_fd, temporary, name) != 0) {
        unlink_quietly(dir_fd, temporary);
        *ret_errno = errno;
        return errno == EEXIST ? PN_EXISTS : PN_SYS;
    }
    if (fsync_directory(dir_fd) != 0) {
        unlink_quietly(dir_fd, name);
        return sys_error(ret_errno);
    }
    return PN_OK;
}

/* ---- whole directories --------------------------------------------------- */

pn_err pn_dir_put(int parent_fd, const char *made, const char *name,
    bool exchange, int *ret_errno)
{
    int result = exchange ? (int)syscall(SYS_renameat2, parent_fd, made,
                     parent_fd, name, RENAME_EXCHANGE)
                          : renameat(parent_fd, made, parent_fd, name);

    *ret_errno = 0;
    if (result != 0 && !exchange
        && (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR)) {
        return PN_EXISTS;
    }
    if (result != 0 || fsync_directory(parent_fd) != 0) {
        return sys_error(ret_errno);
    }
    return PN_OK;
}

pn_err pn_dir_rename(
    int parent_fd, const char *name, const char *new_name, int *ret_errno)
{
    *ret_errno = 0;
    if (syscall(SYS_renameat2, parent_fd, name, parent_fd, new_name,
            RENAME_NOREPLACE)
            != 0
        || fsync_directory(parent_fd) != 0) {
        return sys_error(ret_errno);
    }
    return PN_OK;
}

static int remove_one(
    const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    (void)remove(path);
    return 0;
}

void pn_dir_remove(const char *path)
{
    (void)nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- locks ------------------------------------------------------------- */

/* A clock that stands still in suspend. */
static uint64_t awake_now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * PN_US_PER_S + (uint64_t)now.tv_nsec / 1000;
}

/* Asks again and again instead of blocking in flock: a holder that was
 * stopped must not stop us for ever. One that was suspended with us was not. */
static pn_err lock_within(int fd, uint64_t wait_ms, int *ret_errno)
{
    const uint64_t end = awake_now_us() + wait_ms * PN_US_PER_MS;

    for (;;) {
        if (!PN_REFUSE_IF(file_lock, flock(fd, LOCK_EX | LOCK_NB) != 0)) {
            return PN_OK;
        }
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return sys_error(ret_errno);
        }
        if (awake_now_us() >= end) {
            *ret_errno = EWOULDBLOCK;
            return PN_LOCKED;
        }
        (void)nanosleep(
            &(struct timespec){.tv_nsec = LOCK_NAP_US * 1000L}, NULL);
    }
}

pn_err pn_file_lock(
    int dir_fd, const char *name, bool wait, int *ret_fd, int *ret_errno)
{
    struct stat st;
    int fd;
    pn_err err;

    *ret_errno = 0;
    err = open_file(
        dir_fd, name, O_RDWR | O_CREAT, OWNER_US, &fd, &st, ret_errno);
    if (err != PN_OK) {
        return err == PN_NOT_FOUND ? PN_SYS : err;
    }
    err = lock_within(fd, wait ? PN_FILE_LOCK_WAIT_MS : 0, ret_errno);
    if (err != PN_OK) {
        (void)close(fd);
        return err;
    }
    *ret_fd = fd;
    return PN_OK;
}

void pn_file_lock_sign(int fd)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

    if (ftruncate(fd, 0) == 0) {
        (void)!pwrite(fd, text, (size_t)n, 0);
    }
}

static int64_t read_pid(int fd)
{
    char text[24];
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    char *end = text;
    long long pid;

    if (n <= 0) {
        return 0;
    }
    text[n] = '\0';
    errno = 0;
    pid = strtoll(text, &end, 10);
    return errno == 0 && *end == '\n' && pid > 0 ? pid : 0;
}

/* A shared lock is refused while another process holds the exclusive one; ours
 * is given back at once. */
pn_err pn_file_lock_holder(
    int dir_fd, const char *name, int64_t *ret_pid, int *ret_errno)
{
    struct stat st;
    int fd;
    pn_err err;

    *ret_errno = 0;
    err = open_file(dir_fd, name, O_RDONLY, OWNER_US, &fd, &st, ret_errno);
    if (err != PN_OK) {
        return err;
    }
    if (flock(fd, LOCK_SH | LOCK_NB) == 0) {
        err = PN_NOT_FOUND;
    } else if (errno == EWOULDBLOCK) {
        *ret_pid = read_pid(fd);
    } else {
        err = sys_error(ret_errno);
    }
    (void)close(fd);
    return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backup and a data directory; see peernet/backup.h.
 *
 * A restored directory is made beside the one that it will be, as
 * NAME.restore-RANDOM, and gets its name in one rename. With "replace" the two
 * exchange their names in one step, and only then the old one gets a name that
 * says what it is. A process that is killed leaves one of the two in place,
 * whole, and never removes the other.
 */
#include <peernet/backup.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <dirent.h>
#include <unistd.h>

#include "base/mutant.h"
#include "base/why.h"
#include "os/file.h"
#include "trust/backup_files.h"
#include "trust/store.h"

/* Leaves room for what is added to it. */
enum { PLACE_NAME_MAX = NAME_MAX - 40 };

/* A path as its directory, open, and the name at its end. */
typedef struct place {
    pn_guarded_dir parent; /* its path and descriptor; not judged */
    char name[PLACE_NAME_MAX + 1];
} place;

static pn_err open_place(const char *path, place *ret_place, pn_why *ret_why)
{
    size_t len = strlen(path);
    size_t start;

    while (len > 1 && path[len - 1] == '/') {
        len--;
    }
    for (start = len; start > 0 && path[start - 1] != '/'; start--) {}
    *ret_place = (place){.parent.fd = -1};
    if (len - start > PLACE_NAME_MAX || len == start
        || strspn(path + start, ".") == len - start) {
        return pn_why_fail(ret_why, PN_INVALID,
            "expected a path that ends with a name, found '%s'", path);
    }
    memcpy(ret_place->name, path + start, len - start);
    ret_place->parent = (pn_guarded_dir){
        .path = start == 0 ? strdup(".") : strndup(path, start),
        .fd = -1,
        .watch_fd = -1};
    if (ret_place->parent.path == NULL) {
        return PN_NOMEM;
    }
    ret_place->parent.fd = open(
        ret_place->parent.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return ret_place->parent.fd >= 0 ? PN_OK
                                     : pn_guarded_fail_sys(&ret_place->parent,
                                         ret_why, PN_SYS, "", errno);
}

static void close_place(place *p)
{
    pn_guarded_close(&p->parent);
}

/* The path of a name in the directory; the caller frees it. NULL: no memory. */
static char *path_in(const place *p, const char *name)
{
    char *path;
    const size_t n = strlen(p->parent.path);
    const bool has_slash = n > 0 && p->parent.path[n - 1] == '/';

    return asprintf(&path, "%s%s%s", p->parent.path, has_slash ? "" : "/", name)
                   < 0
               ? NULL
               : path;
}

static pn_err check_passphrase(pn_slice passphrase, pn_why *ret_why)
{
    if (PN_REFUSE_IF(backup_passphrase,
            passphrase.len < PN_BACKUP_PASSPHRASE_MIN
                || passphrase.len > PN_BACKUP_PASSPHRASE_MAX)) {
        return pn_why_fail(ret_why, PN_INVALID,
            "the passphrase has %zu bytes, expected %d to %d", passphrase.len,
            PN_BACKUP_PASSPHRASE_MIN, PN_BACKUP_PASSPHRASE_MAX);
    }
    return PN_OK;
}

/* ---- writing ------------------------------------------------------------- */

static pn_err put_file(
    const place *p, bool replace, const pn_buf *sealed, pn_why *ret_why)
{
    int why = 0;
    pn_err err;

    if (replace) {
        err = pn_file_replace(
            p->parent.fd, p->name, sealed->data, sealed->len, &why);
    } else {
        err = pn_file_create(
            p->parent.fd, p->name, sealed->data, sealed->len, &why);
    }
    if (err == PN_EXISTS) {
        return pn_guarded_fail(&p->parent, ret_why, err, p->name,
            "is there already, and was not replaced");
    }
    return err == PN_OK
               ? PN_OK
               : pn_guarded_fail_sys(&p->parent, ret_why, err, p->name, why);
}

/* All files in one state: no edit is under way meanwhile. */
static pn_err collect(const pn_guarded_dir *dir, pn_buf *plain,
    pn_public_key *ret_key, uint32_t *ret_n_files, pn_why *ret_why)
{
    pn_why why = {0};
    int lock_fd = -1;
    pn_err err = pn_guarded_lock(dir, true, &lock_fd, ret_why);

    if (err != PN_OK) {
        return err;
    }
    err = pn_backup_collect(dir, plain, ret_why);
    (void)close(lock_fd);
    if (err != PN_OK) {
        return err;
    }
    err = pn_backup_judge(
        (pn_slice){plain->data, plain->len}, ret_key, ret_n_files, &why);
    return err == PN_OK ? PN_OK
                        : pn_guarded_fail(dir, ret_why, err, "", "%s",
                            why.text[0] == '\0' ? pn_strerror(err) : why.text);
}

/* A data directory that is not there is not made. */
static pn_err open_data(
    const char *data_dir, pn_guarded_dir *ret_dir, pn_why *ret_why)
{
    struct stat info;

    if (lstat(data_dir, &info) != 0 && errno == ENOENT) {
        return pn_why_fail(ret_why, PN_NOT_FOUND,
            "%s: is not there, and there is nothing to back up", data_dir);
    }
    return pn_guarded_open(data_dir, NULL, ret_dir, ret_why);
}

static pn_err seal_to(const place *p, bool replace, pn_slice plain,
    pn_slice passphrase, unsigned log_n, pn_why *ret_why)
{
    pn_buf sealed = {0};
    pn_err err = pn_backup_seal(plain, passphrase, log_n, &sealed);

    if (err == PN_OK) {
        err = put_file(p, replace, &sealed, ret_why);
    } else {
        err = pn_guarded_fail(
            &p->parent, ret_why, err, p->name, "%s", pn_strerror(err));
    }
    pn_buf_fini(&sealed);
    return err;
}

pn_err pn_backup_write_costing(const char *data_dir, const char *file,
    bool replace, pn_slice passphrase, unsigned log_n, pn_public_key *ret_key,
    uint32_t *ret_n_files, pn_why *ret_why)
{
    pn_guarded_dir dir = {0};
    pn_public_key key;
    uint32_t n_files = 0;
    pn_buf plain = {0};
    place p = {.parent.path = NULL};
    pn_err err;

    pn_why_clear(ret_why);
    err = check_passphrase(passphrase, ret_why);
    if (err == PN_OK) {
        err = open_data(data_dir, &dir, ret_why);
    }
    if (err == PN_OK) {
        err = open_place(file, &p, ret_why);
    }
    if (err == PN_OK) {
        err = collect(&dir, &plain, &key, &n_files, ret_why);
    }
    if (err == PN_OK) {
        err = seal_to(&p, replace, (pn_slice){plain.data, plain.len},
            passphrase, log_n, ret_why);
    }
    if (err == PN_OK && ret_key != NULL) {
        *ret_key = key;
    }
    if (err == PN_OK && ret_n_files != NULL) {
        *ret_n_files = n_files;
    }
    pn_guarded_wipe(&plain);
    close_place(&p);
    pn_guarded_close(&dir);
    return pn_why_complete(ret_why, err);
}

pn_err pn_backup_write(const char *data_dir, const char *file, bool replace,
    pn_slice passphrase, pn_public_key *ret_key, uint32_t *ret_n_files,
    pn_why *ret_why)
{
    return pn_backup_write_costing(data_dir, file, replace, passphrase,
        PN_BACKUP_LOG_N, ret_key, ret_n_files, ret_why);
}

/* ---- reading ------------------------------------------------------------- */

/* The backup may be another user's, in a directory of anybody: its tag says
 * whether it is ours. */
static pn_err read_backup(const char *file, pn_buf *out, pn_why *ret_why)
{
    const char *wrong = NULL;
    char text[160] = "";
    int why = 0;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    pn_err err;

    if (fd < 0) {
        why = errno;
        err = why == ENOENT ? PN_NOT_FOUND : PN_SYS;
    } else {
        err = pn_file_read_fd(fd, PN_BACKUP_FILE_MAX, out, &why);
        (void)close(fd);
    }
    if (err == PN_OK) {
        err = pn_backup_check(out->data, out->len, &wrong);
    }
    if (err != PN_OK && wrong == NULL) {
        pn_file_why(
            err == PN_NOT_FOUND ? PN_SYS : err, why, text, sizeof(text));
        wrong = text;
    }
    return err == PN_OK ? PN_OK
                        : pn_why_fail(ret_why, err, "%s: %s", file, wrong);
}

/* What was decrypted; pn_secure_free ends it. */
typedef struct content {
    uint8_t *plain;
    size_t len;
    pn_public_key key;
    uint32_t n_files;
} content;

static pn_err decrypt(const char *file, const pn_buf *sealed,
    pn_slice passphrase, content *ret_content, pn_why *ret_why)
{
    pn_why why = {0};
    pn_err err = pn_backup_open(sealed->data, sealed->len, passphrase,
        &ret_content->plain, &ret_content->len);

    if (err == PN_AUTH) {
        return pn_why_fail(ret_why, err,
            "%s: the passphrase is wrong, or the file is damaged", file);
    }
    if (err != PN_OK) {
        return pn_why_fail(ret_why, err, "%s: %s", file, pn_strerror(err));
    }
    err = pn_backup_judge((pn_slice){ret_content->plain, ret_content->len},
        &ret_content->key, &ret_content->n_files, &why);
    return err == PN_OK ? PN_OK
                        : pn_why_fail(ret_why, err, "%s: %s", file,
                            why.text[0] == '\0' ? pn_strerror(err) : why.text);
}

/* ---- restoring ----------------------------------------------------------- */

static bool is_empty(int fd)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    const struct dirent *entry;
    bool is = dir != NULL;

    while (is && (entry = readdir(dir)) != NULL) {
        is = strcmp(entry->d_name, ".") == 0
             || strcmp(entry->d_name, "..") == 0;
    }
    if (dir != NULL) {
        (void)closedir(dir);
    } else if (copy >= 0) {
        (void)close(copy);
    }
    return is;
}

/* The directory that is there now. */
typedef struct target {
    pn_guarded_dir dir; /* not open: there is none */
    bool is_full;       /* it is kept */
    int node_fd;        /* -1: not locked */
    int edit_fd;
} target;

/* Locks what will be exchanged, until it is: no node starts there, and no edit
 * is lost. */
static pn_err lock_target(target *t, bool replace, pn_why *ret_why)
{
    pn_err err;

    if (PN_REFUSE_IF(backup_exists, !replace)) {
        return pn_guarded_fail(&t->dir, ret_why, PN_EXISTS, "",
            "is not empty, expected an empty or missing data directory");
    }
    err = pn_store_lock_dir(&t->dir, &t->node_fd, ret_why);
    if (PN_REFUSE_IF(backup_node_runs, err != PN_OK)) {
        return err;
    }
    return pn_guarded_lock(&t->dir, true, &t->edit_fd, ret_why);
}

static pn_err open_target(const char *data_dir, const place *p, bool replace,
    target *ret_target, pn_why *ret_why)
{
    struct stat info;
    pn_err err;

    *ret_target = (target){.node_fd = -1, .edit_fd = -1};
    if (fstatat(p->parent.fd, p->name, &info, AT_SYMLINK_NOFOLLOW) != 0
        && errno == ENOENT) {
        return PN_OK;
    }
    err = pn_guarded_open(data_dir, NULL, &ret_target->dir, ret_why);
    if (err != PN_OK || is_empty(ret_target->dir.fd)) {
        return err;
    }
    ret_target->is_full = true;
    return lock_target(ret_target, replace, ret_why);
}

static void close_target(target *t)
{
    if (t->edit_fd >= 0) {
        (void)close(t->edit_fd);
    }
    if (t->node_fd >= 0) {
        (void)close(t->node_fd);
    }
    pn_guarded_close(&t->dir);
}

/* Makes NAME.restore-RANDOM and opens it. */
static pn_err make_beside(const place *p, char ret_name[static NAME_MAX + 1],
    pn_guarded_dir *ret_dir, pn_why *ret_why)
{
    uint32_t number;
    char *path;
    pn_err err = pn_random((uint8_t *)&number, sizeof(number));

    if (err != PN_OK) {
        return err;
    }
    (void)snprintf(
        ret_name, NAME_MAX + 1, "%s.restore-%08x", p->name, (unsigned)number);
    if (mkdirat(p->parent.fd, ret_name, 0700) != 0) {
        return pn_guarded_fail_sys(
            &p->parent, ret_why, PN_SYS, ret_name, errno);
    }
    path = path_in(p, ret_name);
    err = path == NULL ? PN_NOMEM
                       : pn_guarded_open(path, NULL, ret_dir, ret_why);
    free(path);
    return err;
}

/* Gives the old directory its name for good. *ret_kept: its path. */
static void keep_old(const place *p, const char *old, char **ret_kept)
{
    char name[NAME_MAX + 1];
    char stamp[32];
    struct tm utc;
    time_t now = time(NULL);
    int why;

    (void)strftime(
        stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &utc));
    (void)snprintf(name, sizeof(name), "%s.old-%s", p->name, stamp);
    /* It can keep the name that it has. */
    *ret_kept = path_in(
        p, pn_dir_rename(p->parent.fd, old, name, &why) == PN_OK ? name : old);
}

/* The new directory in place of the old one. Nothing is removed after that. */
static pn_err exchange(const place *p, const target *t, const char *made,
    char **ret_kept, pn_why *ret_why)
{
    int why = 0;
    pn_err err = pn_dir_put(p->parent.fd, made, p->name, t->is_full, &why);

    if (err == PN_EXISTS) {
        return pn_guarded_fail(&p->parent, ret_why, err, p->name,
            "is no directory, or not empty any more");
    }
    if (err != PN_OK) {
        return pn_guarded_fail_sys(&p->parent, ret_why, err, p->name, why);
    }
    if (t->is_full) {
        keep_old(p, made, ret_kept);
    }
    return PN_OK;
}

/* Removes what was made and is not in use, and nothing else: after a failed
 * last fsync the old directory may have its name. */
static void remove_made(
    const place *p, const char *name, const pn_guarded_dir *made)
{
    struct stat ours;
    struct stat there;

    if (fstat(made->fd, &ours) == 0
        && fstatat(p->parent.fd, name, &there, AT_SYMLINK_NOFOLLOW) == 0
        && ours.st_dev == there.st_dev && ours.st_ino == there.st_ino) {
        pn_dir_remove(made->path);
    }
}

static pn_err put_content(const place *p, const target *t, const content *c,
    char **ret_kept, pn_why *ret_why)
{
    char name[NAME_MAX + 1] = "";
    pn_guarded_dir made = {0};
    pn_err err = make_beside(p, name, &made, ret_why);

    if (err == PN_OK) {
        err = pn_backup_extract(&made, (pn_slice){c->plain, c->len}, ret_why);
    }
    if (err == PN_OK) {
        err = exchange(p, t, name, ret_kept, ret_why);
    }
    if (err != PN_OK && made.path != NULL) {
        remove_made(p, name, &made);
    }
    pn_guarded_close(&made);
    return err;
}

static pn_err restore(const char *data_dir, const char *file, bool replace,
    pn_slice passphrase, content *c, char **ret_kept, pn_why *ret_why)
{
    target t = {.node_fd = -1, .edit_fd = -1};
    place p = {.parent.path = NULL};
    pn_buf sealed = {0};
    pn_err err = read_backup(file, &sealed, ret_why);

    if (err == PN_OK) {
        err = open_place(data_dir, &p, ret_why);
    }
    if (err == PN_OK) {
        err = open_target(data_dir, &p, replace, &t, ret_why);
    }
    if (err == PN_OK) {
        err = decrypt(file, &sealed, passphrase, c, ret_why);
    }
    if (err == PN_OK) {
        err = put_content(&p, &t, c, ret_kept, ret_why);
    }
    close_target(&t);
    close_place(&p);
    pn_buf_fini(&sealed);
    return err;
}

pn_err pn_backup_restore(const char *data_dir, const char *file, bool replace,
    pn_slice passphrase, pn_public_key *ret_key, uint32_t *ret_n_files,
    char **ret_kept, pn_why *ret_why)
{
    content c = {0};
    char *kept = NULL;
    pn_err err;

    pn_why_clear(ret_why);
    err = check_passphrase(passphrase, ret_why);
    if (err == PN_OK) {
        err = restore(data_dir, file, replace, passphrase, &c, &kept, ret_why);
    }
    if (err == PN_OK && ret_key != NULL) {
        *ret_key = c.key;
    }
    if (err == PN_OK && ret_n_files != NULL) {
        *ret_n_files = c.n_files;
    }
    pn_secure_free(c.plain, c.len);
    if (ret_kept != NULL) {
        *ret_kept = kept;
    } else {
        free(kept);
    }
    return pn_why_complete(ret_why, err);
}

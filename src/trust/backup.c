/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/backup.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mutant.h"
#include "crypto/crypto.h"
#include "os/file.h"
#include "trust/datetime.h"

#define BACKUPS "backups"

enum { STAMP_CAP = 32 };

static void make_stamp(int64_t wall_us, char ret_stamp[static STAMP_CAP])
{
    pn_datetime d;

    pn_datetime_from_us(wall_us, &d);
    (void)snprintf(ret_stamp, STAMP_CAP, "%04d%02d%02dT%02d%02d%02dZ", d.year,
        d.month, d.day, d.hour, d.minute, d.second);
}

/* ---- reading ----------------------------------------------------------- */

static pn_err read_file(const pn_data_dir *dir, const char *name, pn_buf *out,
    pn_store_error *error)
{
    int why = 0;
    /* Reserved first, so that growing leaves no copy of a key behind. */
    pn_err err = pn_buf_reserve(out, PN_BACKUP_FILE_MAX + 1);

    if (err != PN_OK) {
        return err;
    }
    err = pn_file_read_as(
        dir->fd, name, PN_FILE_PUBLIC, PN_BACKUP_FILE_MAX, out, &why);
    if (err == PN_NOT_FOUND) {
        return pn_data_dir_fail(dir, error, err, name,
            "is not there, expected the file to make a copy of");
    }
    return err == PN_OK ? PN_OK
                        : pn_data_dir_fail_file(dir, error, err, name, why);
}

/* ---- writing ----------------------------------------------------------- */

/* A new directory in backups; PN_EXISTS is an answer without a sentence. */
static pn_err make_directory(const pn_data_dir *backups, const char *stamp)
{
    if (mkdirat(backups->fd, stamp, 0700) != 0) {
        return errno == EEXIST ? PN_EXISTS : PN_SYS;
    }
    if (fsync(backups->fd) != 0 && errno != EINVAL) {
        int kept = errno;

        (void)unlinkat(backups->fd, stamp, AT_REMOVEDIR);
        errno = kept;
        return PN_SYS;
    }
    return PN_OK;
}

static pn_err write_files(const pn_data_dir *to, const char *const *names,
    const pn_buf *files, pn_store_error *error)
{
    for (unsigned i = 0; i < PN_BACKUP_FILES; i++) {
        int why = 0;
        pn_err err = pn_file_create(
            to->fd, names[i], files[i].data, pn_buf_used(&files[i]), &why);

        if (err != PN_OK) {
            return pn_data_dir_fail_file(to, error, err, names[i], why);
        }
    }
    return PN_OK;
}

/* Half a copy is none. */
static void undo(const pn_data_dir *backups, const pn_data_dir *to,
    const char *stamp, const char *const *names)
{
    for (unsigned i = 0; to->fd >= 0 && i < PN_BACKUP_FILES; i++) {
        (void)unlinkat(to->fd, names[i], 0);
    }
    (void)unlinkat(backups->fd, stamp, AT_REMOVEDIR);
}

static pn_err write_copy(const pn_data_dir *backups, const char *stamp,
    const char *path, const char *const *names, const pn_buf *files,
    pn_store_error *error)
{
    pn_data_dir to = {.fd = -1};
    pn_err err = make_directory(backups, stamp);

    if (err == PN_EXISTS) {
        return pn_data_dir_fail(backups, error, err, stamp,
            "is there already, expected none of this second; try again");
    }
    if (err != PN_OK) {
        return pn_data_dir_fail_file(backups, error, err, stamp, errno);
    }
    err = pn_data_dir_open(path, &to, error);
    if (err == PN_OK) {
        err = write_files(&to, names, files, error);
    }
    if (err != PN_OK) {
        undo(backups, &to, stamp, names);
    }
    pn_data_dir_close(&to);
    return err;
}

/* Opens backups and shuts it to others: upstream left keys for all to read. */
static pn_err open_backups(
    const char *path, pn_data_dir *ret_backups, pn_store_error *error)
{
    pn_err err = pn_data_dir_open(path, ret_backups, error);

    if (err == PN_OK && PN_CHECK(backup_private, true)
        && fchmod(ret_backups->fd, 0700) != 0) {
        err = pn_data_dir_fail_file(ret_backups, error, PN_SYS, "", errno);
    }
    return err;
}

static char *join(const char *a, const char *b)
{
    char *joined;

    return asprintf(&joined, "%s/%s", a, b) < 0 ? NULL : joined;
}

static pn_err write_backup(const pn_data_dir *dir, const char *const *names,
    const pn_buf *files, const char *stamp, char **ret_path,
    pn_store_error *error)
{
    pn_data_dir backups = {.fd = -1};
    char *all = join(dir->path, BACKUPS);
    char *path = all == NULL ? NULL : join(all, stamp);
    pn_err err = PN_NOMEM;

    if (path != NULL) {
        err = open_backups(all, &backups, error);
    }
    if (err == PN_OK) {
        err = write_copy(&backups, stamp, path, names, files, error);
    }
    pn_data_dir_close(&backups);
    free(all);
    if (err != PN_OK) {
        free(path);
        return err;
    }
    *ret_path = path;
    return PN_OK;
}

pn_err pn_backup_make(const pn_data_dir *dir,
    const char *const names[static PN_BACKUP_FILES], int64_t wall_us,
    char **ret_path, pn_store_error *ret_error)
{
    pn_buf files[PN_BACKUP_FILES] = {0};
    char stamp[STAMP_CAP];
    pn_err err = PN_OK;

    pn_store_error_clear(ret_error);
    if (wall_us < PN_DATETIME_MIN_US || wall_us > PN_DATETIME_MAX_US) {
        return pn_data_dir_fail(dir, ret_error, PN_INVALID, BACKUPS,
            "cannot be named after this time of day");
    }
    make_stamp(wall_us, stamp);
    for (unsigned i = 0; err == PN_OK && i < PN_BACKUP_FILES; i++) {
        err = read_file(dir, names[i], &files[i], ret_error);
    }
    if (err == PN_OK) {
        err = write_backup(dir, names, files, stamp, ret_path, ret_error);
    }
    for (unsigned i = 0; i < PN_BACKUP_FILES; i++) {
        if (files[i].data != NULL) {
            pn_wipe(files[i].data, files[i].cap);
        }
        pn_buf_fini(&files[i]);
    }
    return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/guarded_pair.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mutant.h"
#include "os/secret.h"
#include "trust/datetime.h"

#define BACKUPS "backups"

enum { STAMP_CAP = 32 };

/* ---- copies ------------------------------------------------------------ */

static void make_stamp(int64_t wall_us, char ret_stamp[static STAMP_CAP])
{
    pn_datetime d;

    pn_datetime_from_us(wall_us, &d);
    (void)snprintf(ret_stamp, STAMP_CAP, "%04d%02d%02dT%02d%02d%02dZ", d.year,
        d.month, d.day, d.hour, d.minute, d.second);
}

/* A new directory in backups. */
static pn_err make_directory(
    const pn_guarded_dir *backups, const char *stamp, pn_why *ret_why)
{
    int kept;

    if (mkdirat(backups->fd, stamp, 0700) != 0) {
        return errno == EEXIST
                   ? pn_guarded_fail(backups, ret_why, PN_EXISTS, stamp,
                       "is there already, expected none of this second; try "
                       "again")
                   : pn_guarded_fail_sys(
                       backups, ret_why, PN_SYS, stamp, errno);
    }
    if (fsync(backups->fd) != 0 && errno != EINVAL) {
        kept = errno;
        (void)unlinkat(backups->fd, stamp, AT_REMOVEDIR);
        return pn_guarded_fail_sys(backups, ret_why, PN_SYS, stamp, kept);
    }
    return PN_OK;
}

/* Both files, or none and no directory. */
static pn_err write_copy(const pn_guarded_dir *backups, const char *stamp,
    const char *const *names, pn_buf *files, pn_guarded_dir *ret_to,
    pn_why *ret_why)
{
    pn_err err = make_directory(backups, stamp, ret_why);

    if (err != PN_OK) {
        return err;
    }
    err = pn_guarded_open(backups->path, stamp, ret_to, ret_why);
    if (err == PN_OK) {
        const pn_guarded_file copies[PN_PAIR_FILES] = {
            {names[0], pn_buf_head(&files[0]), pn_buf_used(&files[0])},
            {names[1], pn_buf_head(&files[1]), pn_buf_used(&files[1])},
        };

        err = pn_guarded_create(ret_to, copies, PN_PAIR_FILES, ret_why);
    }
    if (err != PN_OK) {
        (void)unlinkat(backups->fd, stamp, AT_REMOVEDIR);
    }
    return err;
}

/* Opens backups and shuts it to others: upstream left keys for all to read. */
static pn_err open_backups(
    const pn_guarded_dir *dir, pn_guarded_dir *ret_backups, pn_why *ret_why)
{
    pn_err err = pn_guarded_open(dir->path, BACKUPS, ret_backups, ret_why);

    if (err == PN_OK && PN_SAFEGUARD(backup_private)
        && fchmod(ret_backups->fd, 0700) != 0) {
        err = pn_guarded_fail_sys(ret_backups, ret_why, PN_SYS, "", errno);
    }
    return err;
}

static pn_err write_backup(const pn_guarded_dir *dir, const char *const *names,
    pn_buf *files, const char *stamp, char **ret_path, pn_why *ret_why)
{
    pn_guarded_dir backups = {.path = NULL};
    pn_guarded_dir to = {.path = NULL};
    pn_err err = open_backups(dir, &backups, ret_why);

    if (err == PN_OK) {
        err = write_copy(&backups, stamp, names, files, &to, ret_why);
    }
    if (err == PN_OK) {
        *ret_path = to.path;
        to.path = NULL;
        (void)close(to.fd);
    }
    pn_guarded_close(&to);
    pn_guarded_close(&backups);
    return err;
}

static pn_err read_original(
    const pn_guarded_dir *dir, const char *name, pn_buf *out, pn_why *ret_why)
{
    pn_err err = pn_guarded_read(
        dir, name, PN_GUARDED_PUBLIC, PN_PAIR_BACKUP_MAX, out, ret_why, NULL);

    return err == PN_NOT_FOUND ? pn_guarded_fail(dir, ret_why, err, name,
               "is not there, expected the file to make a copy of")
                               : err;
}

pn_err pn_pair_back_up(const pn_guarded_dir *dir,
    const char *const names[static PN_PAIR_FILES], int64_t wall_us,
    char **ret_path, pn_why *ret_why)
{
    pn_buf files[PN_PAIR_FILES] = {0};
    char stamp[STAMP_CAP];
    pn_err err;

    pn_why_clear(ret_why);
    if (wall_us < PN_DATETIME_MIN_US || wall_us > PN_DATETIME_MAX_US) {
        return pn_guarded_fail(dir, ret_why, PN_INVALID, BACKUPS,
            "cannot be named after this time of day, expected a year of four "
            "digits; set the clock");
    }
    make_stamp(wall_us, stamp);
    err = read_original(dir, names[0], &files[0], ret_why);
    if (err == PN_OK) {
        err = read_original(dir, names[1], &files[1], ret_why);
    }
    if (err == PN_OK) {
        err = write_backup(dir, names, files, stamp, ret_path, ret_why);
    }
    pn_guarded_wipe(&files[0]);
    pn_guarded_wipe(&files[1]);
    return err;
}

/* ---- rotation ---------------------------------------------------------- */

/* Removes the copies that replacing leaves beside the files; backups has
 * them. */
static void remove_leftover(const pn_guarded_dir *dir, const char *name)
{
    char backup[64];

    (void)snprintf(backup, sizeof(backup), "%s.bak", name);
    (void)!pn_guarded_remove(dir, backup, NULL);
}

static pn_err replace_both(const pn_guarded_dir *dir,
    const pn_guarded_file *files, const pn_guarded_file *old_first,
    pn_why *ret_why)
{
    pn_err err = pn_guarded_replace(
        dir, files[0].name, files[0].data, files[0].len, ret_why);

    if (err != PN_OK) {
        return err;
    }
    err = pn_guarded_replace(
        dir, files[1].name, files[1].data, files[1].len, ret_why);
    if (err == PN_OK) {
        remove_leftover(dir, files[1].name);
        remove_leftover(dir, files[0].name);
    } else if (pn_guarded_restore(dir, files[0].name) != PN_OK) {
        /* A file system may know no second names, and then there is no backup
         * to restore. */
        (void)!pn_guarded_replace(
            dir, files[0].name, old_first->data, old_first->len, NULL);
    }
    return err;
}

pn_err pn_pair_rotate(const pn_guarded_dir *dir,
    const pn_guarded_file files[static PN_PAIR_FILES],
    const pn_guarded_file *old_first, int64_t wall_us, char **ret_backup,
    pn_why *ret_why)
{
    const char *const names[] = {files[0].name, files[1].name};
    char *backup = NULL;
    pn_err err;

    /* Renaming over a link would leave the old secret where it is mounted, and
     * the next start would find it there again. */
    if (PN_REFUSE_IF(pair_link, pn_secret_is_link(dir->fd, names[1]))) {
        return pn_guarded_fail(dir, ret_why, PN_PERMISSION, names[1],
            "is a symbolic link, expected a file to replace; change the secret "
            "where it comes from");
    }
    err = pn_pair_back_up(dir, names, wall_us, &backup, ret_why);
    if (err != PN_OK) {
        return err;
    }
    err = replace_both(dir, files, old_first, ret_why);
    if (err != PN_OK) {
        free(backup);
        return err;
    }
    *ret_backup = backup;
    return PN_OK;
}

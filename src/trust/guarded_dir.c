/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/guarded_dir.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "os/file.h"
#include "os/secret.h"

#define EDIT_LOCK "edit.lock"

/* A secret is far smaller. This much is reserved at once, so the buffer never
 * moves and leaves no copy of the secret. */
enum { RESERVE_MAX = 65536 };

/* ---- the directory ------------------------------------------------------ */

pn_err pn_guarded_open(const char *path, const char *name,
    pn_guarded_dir *ret_dir, pn_why *ret_why)
{
    char *whole;
    int why = 0;
    pn_err err;

    *ret_dir = (pn_guarded_dir){.path = NULL};
    if (asprintf(&whole, "%s%s%s", path, name == NULL ? "" : "/",
            name == NULL ? "" : name)
        < 0) {
        return PN_NOMEM;
    }
    *ret_dir = (pn_guarded_dir){.path = whole, .fd = -1, .watch_fd = -1};
    err = pn_dir_open(whole, &ret_dir->fd, &why);
    return err == PN_OK ? PN_OK
                        : pn_guarded_fail_sys(ret_dir, ret_why, err, "", why);
}

static void close_fd(int fd)
{
    if (fd >= 0) {
        (void)close(fd);
    }
}

void pn_guarded_close(pn_guarded_dir *dir)
{
    if (dir->path != NULL) {
        close_fd(dir->watch_fd);
        close_fd(dir->fd);
        free(dir->path);
    }
    *dir = (pn_guarded_dir){.path = NULL};
}

pn_err pn_guarded_lock(
    const pn_guarded_dir *dir, bool wait, int *ret_fd, pn_why *ret_why)
{
    int why = 0;
    pn_err err = pn_file_lock(dir->fd, EDIT_LOCK, wait, ret_fd, &why);

    if (err == PN_LOCKED) {
        return pn_guarded_fail(dir, ret_why, err, EDIT_LOCK,
            "another process has been editing for too long; wait until it has "
            "finished, or end it");
    }
    if (err != PN_OK) {
        return pn_guarded_fail_sys(dir, ret_why, err, EDIT_LOCK, why);
    }
    pn_dir_clean(dir->fd);
    return PN_OK;
}

int pn_guarded_watch_fd(pn_guarded_dir *dir, int *ret_errno)
{
    if (dir->watch_fd < 0
        && pn_dir_watch(dir->fd, &dir->watch_fd, ret_errno) != PN_OK) {
        dir->watch_fd = -1;
    }
    return dir->watch_fd;
}

bool pn_guarded_watch_read(
    pn_guarded_dir *dir, bool (*is_wanted)(const char *name))
{
    return dir->watch_fd >= 0 && pn_dir_watch_read(dir->watch_fd, is_wanted);
}

/* ---- reading ------------------------------------------------------------- */

/* A public key that others may replace is refused. */
static pn_err fail_public(
    const pn_guarded_dir *dir, pn_why *ret_why, const char *name, int sys_errno)
{
    char why[128];

    pn_file_why(PN_PERMISSION, sys_errno, why, sizeof(why));
    return pn_guarded_fail(dir, ret_why, PN_PERMISSION, name,
        "%s, expected a file of ours, which no other user can write", why);
}

pn_err pn_guarded_read(const pn_guarded_dir *dir, const char *name,
    pn_guarded_access access, size_t max, pn_buf *out, pn_why *ret_why,
    pn_why *warning)
{
    const bool is_secret = access == PN_GUARDED_SECRET
                           || (access == PN_GUARDED_OURS_OR_MOUNTED
                               && pn_secret_is_link(dir->fd, name));
    const char *why = NULL;
    bool is_tightened = false;
    int sys_errno = 0;
    pn_err err = pn_buf_reserve(
        out, (max < RESERVE_MAX ? max : RESERVE_MAX) + 1);

    if (err != PN_OK) {
        return pn_guarded_fail(dir, ret_why, err, name, "%s", pn_strerror(err));
    }
    if (is_secret) {
        err = pn_secret_read(dir->fd, name, max, out, &sys_errno, &why);
    } else if (access == PN_GUARDED_OURS_OR_ROOTS) {
        err = pn_file_read_ours_or_roots(dir->fd, name, max, out, &sys_errno);
    } else if (access == PN_GUARDED_PUBLIC) {
        err = pn_file_read_public(dir->fd, name, max, out, &sys_errno);
    } else {
        err = pn_file_read(dir->fd, name, max, out, &is_tightened, &sys_errno);
    }
    if (is_tightened) {
        pn_guarded_warn(dir, warning, name,
            "was open to other users; its mode is 0600 now");
    }
    if (err == PN_OK || err == PN_NOT_FOUND) {
        return err;
    }
    if (why != NULL) {
        return pn_guarded_fail(dir, ret_why, err, name, "%s", why);
    }
    return access == PN_GUARDED_PUBLIC && err == PN_PERMISSION
               ? fail_public(dir, ret_why, name, sys_errno)
               : pn_guarded_fail_sys(dir, ret_why, err, name, sys_errno);
}

static pn_err fail_parse(const pn_guarded_dir *dir, const char *name,
    const pn_guarded_format *format, pn_err err, const char *why,
    pn_why *ret_why)
{
    if (err != PN_CORRUPT && err != PN_LIMIT) {
        why = pn_strerror(err);
    } else if (err == PN_CORRUPT && format->consequence != NULL) {
        return pn_guarded_fail(dir, ret_why, err, name, "is damaged: %s; %s",
            why, format->consequence);
    }
    return pn_guarded_fail(dir, ret_why, err, name, "%s", why);
}

pn_err pn_guarded_load(const pn_guarded_dir *dir, const char *name,
    const pn_guarded_format *format, const void *owner, size_t max,
    void *ret_value, pn_why *ret_why, pn_why *warning)
{
    pn_why why = {0};
    pn_buf b = {0};
    pn_err err = pn_guarded_read(
        dir, name, format->access, max, &b, ret_why, warning);

    if (err == PN_LIMIT && format->too_long != NULL) {
        err = fail_parse(
            dir, name, format, PN_CORRUPT, format->too_long, ret_why);
    } else if (err == PN_OK) {
        err = format->parse(
            owner, pn_buf_head(&b), pn_buf_used(&b), ret_value, &why);
        if (err != PN_OK) {
            err = fail_parse(dir, name, format, err, why.text, ret_why);
        }
    }
    pn_guarded_wipe(&b);
    return err;
}

/* ---- writing ------------------------------------------------------------- */

/* The sentence for everything that is no answer. */
static pn_err outcome(const pn_guarded_dir *dir, pn_why *ret_why, pn_err err,
    const char *name, int sys_errno)
{
    return err == PN_OK || err == PN_EXISTS || err == PN_NOT_FOUND
               ? err
               : pn_guarded_fail_sys(dir, ret_why, err, name, sys_errno);
}

static bool is_as_written(
    const pn_guarded_dir *dir, const pn_guarded_file *file)
{
    pn_buf now = {0};
    bool is_same = pn_guarded_read(dir, file->name, PN_GUARDED_OURS, file->len,
                       &now, NULL, NULL)
                       == PN_OK
                   && pn_buf_used(&now) == file->len
                   && memcmp(pn_buf_head(&now), file->data, file->len) == 0;

    pn_guarded_wipe(&now);
    return is_same;
}

pn_err pn_guarded_create(const pn_guarded_dir *dir,
    const pn_guarded_file *files, size_t n, pn_why *ret_why)
{
    pn_err err = PN_OK;
    size_t made = 0;
    int why = 0;

    /* The lock may be that of the directory above. */
    pn_dir_clean(dir->fd);
    while (err == PN_OK && made < n) {
        const pn_guarded_file *f = &files[made];

        err = outcome(dir, ret_why,
            pn_file_create(dir->fd, f->name, f->data, f->len, &why), f->name,
            why);
        made += err == PN_OK;
    }
    /* A file that appeared was written by a program that takes no lock. By now
     * that program may have replaced those before it as well. */
    while (err != PN_OK && made > 0) {
        made--;
        if (err != PN_EXISTS || is_as_written(dir, &files[made])) {
            (void)!pn_guarded_remove(dir, files[made].name, NULL);
        }
    }
    return err;
}

pn_err pn_guarded_replace(const pn_guarded_dir *dir, const char *name,
    const void *data, size_t len, pn_why *ret_why)
{
    int why = 0;
    pn_err err = pn_file_replace(dir->fd, name, data, len, &why);

    return outcome(dir, ret_why, err, name, why);
}

pn_err pn_guarded_remove(
    const pn_guarded_dir *dir, const char *name, pn_why *ret_why)
{
    int why = 0;
    pn_err err = pn_file_remove(dir->fd, name, &why);

    return outcome(dir, ret_why, err, name, why);
}

pn_err pn_guarded_restore(const pn_guarded_dir *dir, const char *name)
{
    int why;

    return pn_file_restore(dir->fd, name, &why);
}

pn_err pn_guarded_save(const pn_guarded_dir *dir, const char *name,
    const pn_guarded_format *format, const void *value, pn_why *ret_why)
{
    pn_buf b = {0};
    pn_err err = format->write(value, &b);

    err = err == PN_OK ? pn_guarded_replace(
              dir, name, pn_buf_head(&b), pn_buf_used(&b), ret_why)
                       : pn_guarded_fail_sys(dir, ret_why, err, name, 0);
    pn_guarded_wipe(&b);
    return err;
}

/* ---- sentences --------------------------------------------------------- */

/* The end of a long path says more than its beginning. */
pn_err pn_guarded_fail(const pn_guarded_dir *dir, pn_why *ret_why, pn_err err,
    const char *name, const char *format, ...)
{
    enum { SHOWN = 200 };
    const size_t len = strlen(dir->path);
    const size_t skip = len > SHOWN ? len - SHOWN : 0;
    pn_why said;
    va_list args;

    va_start(args, format);
    (void)vsnprintf(said.text, sizeof(said.text), format, args);
    va_end(args);
    return pn_why_fail(ret_why, err, "%s%s%s%s: %s", skip == 0 ? "" : "...",
        dir->path + skip, name[0] == '\0' ? "" : "/", name, said.text);
}

pn_err pn_guarded_fail_sys(const pn_guarded_dir *dir, pn_why *ret_why,
    pn_err err, const char *name, int sys_errno)
{
    char why[160];
    const bool is_writable = err == PN_PERMISSION && sys_errno == EACCES;

    pn_file_why(err, sys_errno, why, sizeof(why));
    return pn_guarded_fail(dir, ret_why, err, name, "%s%s", why,
        is_writable
            ? ", expected only by its owner: see what they may have put "
              "there, then run 'chmod go-w' on it"
            : "");
}

void pn_guarded_warn(const pn_guarded_dir *dir, pn_why *warning,
    const char *name, const char *why)
{
    pn_why sentence;

    (void)!pn_guarded_fail(dir, &sentence, PN_OK, name, "%s", why);
    pn_why_add(warning, sentence.text);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "trust/data_dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/file.h"

#define EDIT_LOCK "edit.lock"

pn_err pn_data_dir_open(
    const char *path, pn_data_dir *ret_dir, pn_store_error *error)
{
    int why = 0;
    pn_err err;

    *ret_dir = (pn_data_dir){.path = strdup(path), .fd = -1};
    if (ret_dir->path == NULL) {
        return PN_NOMEM;
    }
    err = pn_dir_open(path, &ret_dir->fd, &why);
    return err == PN_OK ? PN_OK
                        : pn_data_dir_fail_file(ret_dir, error, err, "", why);
}

void pn_data_dir_close(pn_data_dir *dir)
{
    if (dir->fd >= 0) {
        (void)close(dir->fd);
    }
    free(dir->path);
    *dir = (pn_data_dir){.fd = -1};
}

/* ---- sentences --------------------------------------------------------- */

/* The end of a long path says more than its beginning. */
static int path_text(const pn_data_dir *dir, const char *name, const char *why,
    char *text, size_t cap)
{
    enum { SHOWN = 200 };
    const size_t len = strlen(dir->path);
    const char *tail = len > SHOWN ? dir->path + len - SHOWN : dir->path;

    return snprintf(text, cap, "%s%s%s%s: %s", tail == dir->path ? "" : "...",
        tail, name[0] == '\0' ? "" : "/", name, why);
}

pn_err pn_data_dir_fail(const pn_data_dir *dir, pn_store_error *error,
    pn_err err, const char *name, const char *why)
{
    if (error != NULL) {
        (void)path_text(dir, name, why, error->text, sizeof(error->text));
    }
    return err;
}

pn_err pn_data_dir_fail_file(const pn_data_dir *dir, pn_store_error *error,
    pn_err err, const char *name, int sys_errno)
{
    char why[160];

    pn_file_why(err, sys_errno, why, sizeof(why));
    return pn_data_dir_fail(dir, error, err, name, why);
}

void pn_data_dir_warn(const pn_data_dir *dir, pn_store_error *warning,
    const char *name, const char *why)
{
    size_t used;

    if (warning == NULL) {
        return;
    }
    used = strlen(warning->text);
    if (used > 0 && used + 2 < sizeof(warning->text)) {
        memcpy(warning->text + used, "; ", 3);
        used += 2;
    }
    (void)path_text(
        dir, name, why, warning->text + used, sizeof(warning->text) - used);
}

void pn_store_error_clear(pn_store_error *error)
{
    if (error != NULL) {
        error->text[0] = '\0';
    }
}

/* ---- the lock ---------------------------------------------------------- */

pn_err pn_data_dir_lock(
    const pn_data_dir *dir, bool wait, int *ret_fd, pn_store_error *error)
{
    int why = 0;
    pn_err err = pn_file_lock(dir->fd, EDIT_LOCK, wait, ret_fd, &why);

    if (err == PN_LOCKED) {
        return pn_data_dir_fail(dir, error, err, EDIT_LOCK,
            "another process has been editing for too long");
    }
    if (err != PN_OK) {
        return pn_data_dir_fail_file(dir, error, err, EDIT_LOCK, why);
    }
    pn_dir_clean(dir->fd);
    return PN_OK;
}

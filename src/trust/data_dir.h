/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every directory of ours has, whatever is kept in it: sentences that name
 * a file, and the lock under which it is edited.
 */
#ifndef PN_TRUST_DATA_DIR_H
#define PN_TRUST_DATA_DIR_H

#include <peernet/store.h>

#include "base/core.h"

typedef struct pn_data_dir {
    char *path; /* as given; for sentences */
    int fd;     /* -1: not open */
} pn_data_dir;

/* Opens a directory, making it (0700) when it is not there; see pn_dir_open.
 * Errors: PN_PERMISSION, PN_SYS with a sentence; PN_NOMEM. *ret_dir can be
 * closed in any case. */
PN_CORE PN_MUST_USE pn_err pn_data_dir_open(
    const char *path, pn_data_dir *ret_dir, pn_store_error *error);
PN_CORE void pn_data_dir_close(pn_data_dir *dir); /* not open is fine */

/* "DIR/NAME: why" into error (may be NULL), or "DIR: why" for an empty name;
 * returns err. */
PN_CORE pn_err pn_data_dir_fail(const pn_data_dir *dir, pn_store_error *error,
    pn_err err, const char *name, const char *why) PN_MUST_USE;
/* The same with what pn_file_why says. */
PN_CORE pn_err pn_data_dir_fail_file(const pn_data_dir *dir,
    pn_store_error *error, pn_err err, const char *name,
    int sys_errno) PN_MUST_USE;
/* Adds a sentence to a warning (may be NULL). */
PN_CORE void pn_data_dir_warn(const pn_data_dir *dir, pn_store_error *warning,
    const char *name, const char *why);
/* Makes a sentence empty; NULL is fine. */
PN_CORE void pn_store_error_clear(pn_store_error *error);

/* Takes edit.lock and sweeps what an interrupted edit left; closing *ret_fd
 * gives it back. Errors: PN_LOCKED at once, or when wait after
 * PN_FILE_LOCK_WAIT_MS; PN_PERMISSION, PN_SYS. */
PN_CORE PN_MUST_USE pn_err pn_data_dir_lock(
    const pn_data_dir *dir, bool wait, int *ret_fd, pn_store_error *error);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that must not be lost or read by others: safe opening, whole reads,
 * atomic replacement, advisory locks. RELIABILITY T20 to T23.
 */
#ifndef PN_OS_FILE_H
#define PN_OS_FILE_H

#include "base/buf.h"

/* Opens a data directory, making it (0700) when it is not there; refuses a
 * foreign owner, a group- or world-writable one, a symbolic link at the end.
 * *ret_fd is an O_DIRECTORY descriptor; the caller closes it.
 * Errors: PN_PERMISSION, PN_SYS, with errno in *ret_errno. */
PN_MUST_USE pn_err pn_dir_open(const char *path, int *ret_fd, int *ret_errno);

/* Reads a whole regular file of ours, at most max bytes, appending to out.
 * Looser modes than 0600 are tightened and reported in *ret_tightened.
 * Errors: PN_NOT_FOUND; PN_PERMISSION not regular, not ours; PN_LIMIT;
 * PN_SYS. */
PN_MUST_USE pn_err pn_file_read(int dir_fd, const char *name, size_t max,
    pn_buf *out, bool *ret_tightened, int *ret_errno);

/* Replaces a file: temporary beside it (O_EXCL, 0600), write, fsync, the old
 * one kept as NAME.bak, rename, fsync of the directory. On any error the old
 * file is as it was. */
PN_MUST_USE pn_err pn_file_replace(int dir_fd, const char *name,
    const uint8_t *data, size_t len, int *ret_errno);

/* Removes temporaries an interrupted replace left behind. */
void pn_dir_clean(int dir_fd);

/* An exclusive lock on a file in dir, released by closing *ret_fd (or death).
 * wait false: PN_LOCKED when held. */
PN_MUST_USE pn_err pn_file_lock(
    int dir_fd, const char *name, bool wait, int *ret_fd, int *ret_errno);

#endif

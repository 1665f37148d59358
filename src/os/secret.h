/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and reading files that hold secrets, also where they are mounted. */
#ifndef PN_OS_SECRET_H
#define PN_OS_SECRET_H

#include "base/buf.h"
#include "base/core.h"

/*
 * Opens a file for reading; path counts from dir_fd, which may be AT_FDCWD.
 * Links are followed, because mounted secrets are links. The opened file must
 * be a regular file of ours or root's that no other user can read and only its
 * owner can write; a group of this process, or root's, may read it. Every
 * directory on the way, through links too, must be ours or root's and not
 * writable by others, unless it has the sticky bit: other users cannot replace
 * files or links of ours or root's there, and every link must be one of these.
 * /dev/fd/N is the inherited descriptor itself, which may be a pipe. Errors:
 * PN_NOT_FOUND there is nothing of that name, not even a link; PN_PERMISSION;
 * PN_SYS. *ret_why says why: a sentence of static storage, or NULL when
 * *ret_errno does.
 */
PN_MUST_USE pn_err pn_secret_open(int dir_fd, const char *path, int *ret_fd,
    int *ret_errno, const char **ret_why);

/* The same for a file that is no secret and decides what we do, such as a
 * configuration: others may read it, and only its owner may write it. */
PN_MUST_USE pn_err pn_owned_open(
    const char *path, int *ret_fd, int *ret_errno, const char **ret_why);

/* Reads all of it, at most max bytes, as pn_file_read does; no mode is changed.
 * Errors: also PN_LIMIT, PN_NOMEM. */
PN_MUST_USE pn_err pn_secret_read(int dir_fd, const char *name, size_t max,
    pn_buf *out, int *ret_errno, const char **ret_why);

/* True when name is a symbolic link: the secret was mounted, and changes where
 * it was mounted from. */
bool pn_secret_is_link(int dir_fd, const char *name);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that must not be lost or read by others: safe opening, whole reads,
 * atomic replacement, advisory locks, change notification. docs/THREATS.md, T20
 * to T23. All of these may block on a disk; any thread, nothing is shared.
 *
 * Errors come as a pn_err and an errno; pn_file_why makes a sentence of both.
 * PN_PERMISSION carries one of these in *ret_errno: ELOOP a symbolic link,
 * ENOTDIR not a directory, EISDIR not a regular file, EPERM another owner,
 * EACCES writable by group or others.
 */
#ifndef PN_OS_FILE_H
#define PN_OS_FILE_H

#include "base/buf.h"
#include "base/core.h"

/* How long pn_file_lock waits at most; an edit takes milliseconds. */
#define PN_FILE_LOCK_WAIT_MS 10000

/* Writes "is a symbolic link", "Permission denied", ... for what a function
 * here returned; NUL-terminated, cut to cap. */
void pn_file_why(pn_err err, int sys_errno, char *ret_text, size_t cap);

/* Opens a data directory, making it (0700, missing parents too) when it is not
 * there; refuses a foreign owner, a group- or world-writable one, a symbolic
 * link at the end (trailing slashes or not). Read bits of others are left
 * alone: what is secret has a mode of its own.
 * *ret_fd is an O_DIRECTORY descriptor; the caller closes it.
 * Errors: PN_PERMISSION, PN_SYS, PN_NOMEM, with errno in *ret_errno. */
PN_MUST_USE pn_err pn_dir_open(const char *path, int *ret_fd, int *ret_errno);

/* Reads a whole regular file of ours, at most max bytes, appending to out (a
 * reader of secrets reserves max + 1 bytes first: then no copy stays behind).
 * Looser modes than 0600 are tightened and reported in *ret_tightened, but a
 * file that group or others could have written is refused. Errors:
 * PN_NOT_FOUND; PN_PERMISSION not regular, not ours, writable by others;
 * PN_LIMIT more than max bytes; PN_SYS; PN_NOMEM. out is as it was then. */
PN_MUST_USE pn_err pn_file_read(int dir_fd, const char *name, size_t max,
    pn_buf *out, bool *ret_tightened, int *ret_errno);

/* The same for a public file, which all may read and only its owner may write;
 * its mode is left alone. For a secret file there is secret.h. */
PN_MUST_USE pn_err pn_file_read_public(
    int dir_fd, const char *name, size_t max, pn_buf *out, int *ret_errno);

/* The same for a public file that may belong to root instead; and whether it
 * does, and we are not root. */
PN_MUST_USE pn_err pn_file_read_ours_or_roots(
    int dir_fd, const char *name, size_t max, pn_buf *out, int *ret_errno);
bool pn_file_is_roots(int dir_fd, const char *name);

/* The same for what is open. Errors: PN_LIMIT, PN_SYS, PN_NOMEM. */
PN_MUST_USE pn_err pn_file_read_fd(
    int fd, size_t max, pn_buf *out, int *ret_errno);

/* Replaces a file: temporary beside it (O_EXCL, 0600), write, fsync, the old
 * one kept as NAME.bak, rename, fsync of the directory. On any error the old
 * file is as it was; only when even undoing fails, or the file system has no
 * hard links, may a failed last fsync leave the new one: read again then.
 * The caller holds a lock under which all writers of this directory work.
 * Errors: PN_SYS, PN_INVALID a name that is too long. */
PN_MUST_USE pn_err pn_file_replace(int dir_fd, const char *name,
    const uint8_t *data, size_t len, int *ret_errno);

/* Replaces a file for everybody to read (0644) in a directory that others
 * write, too. There is no lock and no backup; temporary is a name that cannot
 * be guessed. Errors: PN_SYS. */
PN_CORE PN_MUST_USE pn_err pn_file_publish(int dir_fd, const char *name,
    const char *temporary, const uint8_t *data, size_t len, int *ret_errno);

/* As pn_file_replace, for a file that must not be there yet, atomically:
 * PN_EXISTS when it is, and nothing changes. */
PN_MUST_USE pn_err pn_file_create(int dir_fd, const char *name,
    const uint8_t *data, size_t len, int *ret_errno);

/* Takes a replacing back: NAME.bak is NAME again. Errors: PN_NOT_FOUND there is
 * no NAME.bak, PN_INVALID, PN_SYS (of the last fsync too). */
PN_MUST_USE pn_err pn_file_restore(
    int dir_fd, const char *name, int *ret_errno);

/* Puts a finished directory, made, in the place of name, both in parent_fd; one
 * that is not there or empty is replaced. exchange: one with files in it is
 * called made from then on. Nobody sees anything between the two. Errors:
 * PN_EXISTS name is not empty, or no directory; PN_SYS, also where the file
 * system cannot exchange, and of the last fsync, after which either may be
 * there. */
PN_MUST_USE pn_err pn_dir_put(int parent_fd, const char *made, const char *name,
    bool exchange, int *ret_errno);

/* Renames a directory, unless new_name is taken. Errors: PN_SYS. */
PN_MUST_USE pn_err pn_dir_rename(
    int parent_fd, const char *name, const char *new_name, int *ret_errno);

/* Removes a directory of ours with everything in it, as far as it can. Links
 * are not followed. */
void pn_dir_remove(const char *path);

/* Removes a file for good. Errors: PN_NOT_FOUND; PN_SYS, after which it may be
 * gone all the same. */
PN_MUST_USE pn_err pn_file_remove(int dir_fd, const char *name, int *ret_errno);

/* Removes temporaries an interrupted replace left behind. Under the writers'
 * lock. */
void pn_dir_clean(int dir_fd);

/* An exclusive lock on a file in dir, released by closing *ret_fd (or death).
 * wait false: PN_LOCKED when held; true: the same after
 * PN_FILE_LOCK_WAIT_MS. Two descriptors of one process exclude each other too.
 * Errors: PN_LOCKED, PN_PERMISSION, PN_SYS. */
PN_MUST_USE pn_err pn_file_lock(
    int dir_fd, const char *name, bool wait, int *ret_fd, int *ret_errno);

/* Writes our process number into a file that we hold locked, for
 * pn_file_lock_holder. It is a hint: errors are not reported. */
void pn_file_lock_sign(int fd);

/* The holder of a lock, without taking it: *ret_pid is the number that it
 * wrote, 0 when that is no number. A holder of our own process counts, too.
 * Errors: PN_NOT_FOUND the lock is free; PN_PERMISSION, PN_SYS. */
PN_MUST_USE pn_err pn_file_lock_holder(
    int dir_fd, const char *name, int64_t *ret_pid, int *ret_errno);

/* A non-blocking descriptor that becomes readable when a file in the directory
 * was replaced, written or removed; the caller closes it. Errors: PN_SYS: the
 * system has no such watch, and the caller polls. */
PN_MUST_USE pn_err pn_dir_watch(int dir_fd, int *ret_fd, int *ret_errno);

/* Drains a watch; true when a file that is_wanted was touched, or when events
 * were lost and it may have been. */
bool pn_dir_watch_read(int fd, bool (*is_wanted)(const char *name));

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One guarded directory, the base of every directory that the library keeps.
 * The trust list, remembered addresses, keys and pins are formats on top: a
 * format parses and writes bytes; everything between the bytes and the disk is
 * here. A further format is a pn_guarded_format, a type for its value and the
 * functions that edit that value.
 *
 * Locks. edit.lock is held for the milliseconds of one edit: take it, load what
 * is on disk now, change that, save it, and only then change memory. Two
 * editors at once lose nothing, and memory equals the disk. Readers take no
 * lock: a file is replaced by a rename, so a reader sees the old one or the new
 * one. A second lock, such as node.lock of a store, is held for life by the
 * process that speaks with an identity. Order: the lock for life, the mutex of
 * the object in memory, edit.lock, and the lock of a node or a link last.
 *
 * Owner and mode. The directory is ours, no symbolic link, and written by
 * nobody else; one that is missing is made (0700). pn_guarded_access says per
 * file which modes are tightened, refused or left alone. A file that other
 * users could have written is always refused, never mended.
 *
 * Writing. A new file is 0600, durable before it has its name, and replaces the
 * old one whole. The old one stays as NAME.bak; two files that are replaced
 * together are copied to backups/ first (trust/guarded_pair.h).
 *
 * Damage. A file that cannot be read whole is neither used in part nor
 * overwritten. The value in memory stays as it was and admits no new peer until
 * a later reload succeeds; the owner of the value remembers the error beside
 * it. A removal is the exception: a peer or pin that was removed, on disk or by
 * a call, never counts again, however damaged the rest is. A removal that could
 * not be written stays in memory, in room that was reserved when the entry was
 * loaded, so it needs neither disk nor memory.
 *
 * News. pn_guarded_watch_fd reports edits by others; trust/guarded_watch.h
 * reloads on them, and every few seconds where there is no such report.
 *
 * Sentences. Every error but PN_NOT_FOUND and PN_EXISTS of a single file, which
 * are answers, comes with a sentence that names the file: pn_file_why for an
 * errno, the format's words for damage, pn_strerror for the rest.
 */
#ifndef PN_TRUST_GUARDED_DIR_H
#define PN_TRUST_GUARDED_DIR_H

#include <peernet/store.h>

#include "base/buf.h"
#include "base/core.h"
#include "base/why.h"
#include "crypto/crypto.h"

/* Zero-filled: not open. */
typedef struct pn_guarded_dir {
    char *path; /* as given, for sentences; NULL: not open */
    int fd;
    int watch_fd; /* -1: not watched */
} pn_guarded_dir;

/* Who may do what with a file. Each must be a regular file of ours. */
typedef enum pn_guarded_access {
    PN_GUARDED_OURS, /* a looser mode than 0600 is tightened, with a warning */
    PN_GUARDED_PUBLIC,        /* anybody may read it; the mode is left alone */
    PN_GUARDED_OURS_OR_ROOTS, /* the same, and it may belong to root */
    PN_GUARDED_SECRET, /* may be mounted through links; judged as os/secret.h
                          says, and refused rather than tightened */
    PN_GUARDED_OURS_OR_MOUNTED /* SECRET when it is a link, else OURS */
} pn_guarded_access;

typedef struct pn_guarded_format {
    pn_guarded_access access;
    /* Fills *ret_value, which is zero-filled and is untouched on an error.
     * Errors: PN_CORRUPT and PN_LIMIT with *ret_why; others without. */
    pn_err (*parse)(const void *owner, const uint8_t *data, size_t len,
        void *ret_value, pn_why *ret_why);
    /* Appends the file's bytes; NULL where the bytes are the value. */
    pn_err (*write)(const void *value, pn_buf *out);
    /* The consequence of damage, for the sentence of PN_CORRUPT, which is "is
     * damaged: *ret_why; consequence". NULL: it is *ret_why. */
    const char *consequence;
    /* *ret_why of a file that is larger than allowed, which is damage then.
     * NULL: PN_LIMIT. */
    const char *too_long;
} pn_guarded_format;

/* ---- the directory ------------------------------------------------------ */

/* Opens a directory, or the one called name in it, making it (0700) when it is
 * not there; see pn_dir_open. name NULL: path itself. Errors: PN_PERMISSION,
 * PN_SYS with a sentence; PN_NOMEM. *ret_dir can be closed in any case. */
PN_CORE PN_MUST_USE pn_err pn_guarded_open(const char *path, const char *name,
    pn_guarded_dir *ret_dir, pn_why *ret_why);
PN_CORE void pn_guarded_close(pn_guarded_dir *dir); /* not open is fine */

/* Takes edit.lock and removes files that an interrupted edit left; closing
 * *ret_fd releases it. Errors: PN_LOCKED at once, or when wait after
 * PN_FILE_LOCK_WAIT_MS; PN_PERMISSION, PN_SYS. */
PN_CORE PN_MUST_USE pn_err pn_guarded_lock(
    const pn_guarded_dir *dir, bool wait, int *ret_fd, pn_why *ret_why);

/* A descriptor that becomes readable when a file in the directory changes; the
 * directory's, closed with it. -1: not now, for *ret_errno; reload from time to
 * time instead. */
int pn_guarded_watch_fd(pn_guarded_dir *dir, int *ret_errno);
/* Drains it; true when a file that is_wanted was touched: reload. */
bool pn_guarded_watch_read(
    pn_guarded_dir *dir, bool (*is_wanted)(const char *name));

/* ---- a file -------------------------------------------------------------- */

/* Appends a whole file of at most max bytes to out. The buffer may hold a
 * secret: end it with pn_guarded_wipe. Errors: PN_NOT_FOUND without a sentence;
 * PN_LIMIT, PN_PERMISSION, PN_SYS, PN_NOMEM. warning (may be NULL) says that a
 * mode was tightened. */
PN_MUST_USE pn_err pn_guarded_read(const pn_guarded_dir *dir, const char *name,
    pn_guarded_access access, size_t max, pn_buf *out, pn_why *ret_why,
    pn_why *warning);
static inline void pn_guarded_wipe(pn_buf *b)
{
    if (b->data != NULL) {
        pn_wipe(b->data, b->cap);
    }
    pn_buf_fini(b);
}
/* Reads and parses. Errors: as reading, and the format's; *ret_value is then
 * untouched. */
PN_CORE PN_MUST_USE pn_err pn_guarded_load(const pn_guarded_dir *dir,
    const char *name, const pn_guarded_format *format, const void *owner,
    size_t max, void *ret_value, pn_why *ret_why, pn_why *warning);
/* Writes and replaces; under the lock. Errors: as replacing; PN_NOMEM. */
PN_MUST_USE pn_err pn_guarded_save(const pn_guarded_dir *dir, const char *name,
    const pn_guarded_format *format, const void *value, pn_why *ret_why);

/* A file to be made. */
typedef struct pn_guarded_file {
    const char *name;
    const void *data;
    size_t len;
} pn_guarded_file;

/* Makes all of n files in this order, or none; under the lock. Errors:
 * PN_EXISTS without a sentence for a file that appeared meanwhile, PN_SYS. */
PN_CORE PN_MUST_USE pn_err pn_guarded_create(const pn_guarded_dir *dir,
    const pn_guarded_file *files, size_t n, pn_why *ret_why);
/* The functions of os/file.h of these names, with sentences; under the lock. */
PN_MUST_USE pn_err pn_guarded_replace(const pn_guarded_dir *dir,
    const char *name, const void *data, size_t len, pn_why *ret_why);
PN_CORE PN_MUST_USE pn_err pn_guarded_remove(
    const pn_guarded_dir *dir, const char *name, pn_why *ret_why);
/* Without a sentence: what restores is what undoes. */
PN_CORE PN_MUST_USE pn_err pn_guarded_restore(
    const pn_guarded_dir *dir, const char *name);

/* ---- sentences ----------------------------------------------------------- */

/* "DIR/NAME: SENTENCE" into ret_why (may be NULL), or "DIR: SENTENCE" for an
 * empty name; returns err. */
PN_CORE pn_err pn_guarded_fail(const pn_guarded_dir *dir, pn_why *ret_why,
    pn_err err, const char *name, const char *format, ...) PN_MUST_USE
    PN_PRINTF(5, 6);
/* The same with what pn_file_why says. */
pn_err pn_guarded_fail_sys(const pn_guarded_dir *dir, pn_why *ret_why,
    pn_err err, const char *name, int sys_errno) PN_MUST_USE;
/* Adds a sentence to a warning (may be NULL). */
void pn_guarded_warn(const pn_guarded_dir *dir, pn_why *warning,
    const char *name, const char *why);

#endif

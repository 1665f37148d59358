/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two files of a guarded directory that belong together, such as a key and its
 * certificate. Two files cannot appear at once, so they are written in order
 * and the second decides: a rotation that is cut off between them leaves the
 * old second file and, beside the new first one, the old first one as NAME.bak,
 * which the next start restores.
 *
 * Before a rotation both are copied to DIR/backups/YYYYMMDDTHHMMSSZ
 * (docs/BARREL-PROTOCOL.md, section 11). Upstream's copies can be read by
 * everybody (D5); ours are 0600 in directories of 0700, and so is an old
 * "backups" from then on.
 *
 * The caller holds the directory's lock. Everything may block on a disk.
 */
#ifndef PN_TRUST_GUARDED_PAIR_H
#define PN_TRUST_GUARDED_PAIR_H

#include "trust/guarded_dir.h"

#define PN_PAIR_FILES 2
/* A certificate chain and its key are far below. */
#define PN_PAIR_BACKUP_MAX 65536

/*
 * Copies both files and replaces them; PN_PERMISSION when the second is a link,
 * which is a mounted secret. old_first: the first file's bytes, put back when
 * the second cannot be replaced. *ret_backup is the path of the copy, the
 * caller frees it. Errors: as pn_pair_back_up and pn_guarded_replace; the files
 * are the old ones then, and the copy may be there.
 */
PN_CORE PN_MUST_USE pn_err pn_pair_rotate(const pn_guarded_dir *dir,
    const pn_guarded_file files[static PN_PAIR_FILES],
    const pn_guarded_file *old_first, int64_t wall_us, char **ret_backup,
    pn_why *ret_why);

/*
 * Copies both files; wall_us names the copy, microseconds since 1970 UTC.
 * *ret_path is the new directory, the caller frees it. On an error there is no
 * new directory.
 * Errors: PN_EXISTS there is one of this second; PN_NOT_FOUND a file is not
 * there; PN_LIMIT it is larger than PN_PAIR_BACKUP_MAX; PN_INVALID a time
 * before the year 0 or after 9999; PN_PERMISSION, PN_SYS, PN_NOMEM.
 */
PN_MUST_USE pn_err pn_pair_back_up(const pn_guarded_dir *dir,
    const char *const names[static PN_PAIR_FILES], int64_t wall_us,
    char **ret_path, pn_why *ret_why);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A copy of two files that belong together, before they are replaced:
 * DIR/backups/YYYYMMDDTHHMMSSZ (barrel-wire section 11). Upstream's copies can
 * be read by everybody (D5); ours are 0600 in directories of 0700, and so is
 * an old "backups" from then on.
 */
#ifndef PN_TRUST_BACKUP_H
#define PN_TRUST_BACKUP_H

#include "trust/data_dir.h"

#define PN_BACKUP_FILES 2
/* A certificate chain and its key are far below. */
#define PN_BACKUP_FILE_MAX 65536

/*
 * Copies both files of dir; wall_us names the copy, microseconds since 1970
 * UTC. *ret_path is the new directory, the caller frees it. On an error there
 * is no new directory.
 * The caller holds dir's lock (pn_data_dir_lock). May block on a disk.
 * Errors: PN_EXISTS there is one of this second; PN_NOT_FOUND a file is not
 * there; PN_LIMIT it is larger than PN_BACKUP_FILE_MAX; PN_INVALID a time
 * before the year 0 or after 9999; PN_PERMISSION, PN_SYS, PN_NOMEM. *ret_error
 * (may be NULL) names the file.
 */
PN_MUST_USE pn_err pn_backup_make(const pn_data_dir *dir,
    const char *const names[static PN_BACKUP_FILES], int64_t wall_us,
    char **ret_path, pn_store_error *ret_error);

#endif

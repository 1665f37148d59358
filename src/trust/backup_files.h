/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a data directory that a backup holds: one table, which both
 * directions go by. A further file of ours is a row in backup_files.c. Files
 * that are not in it are neither saved nor restored, so a backup cannot put a
 * file of another name or place anywhere.
 *
 * Everything may block on a disk; any thread.
 */
#ifndef PN_TRUST_BACKUP_FILES_H
#define PN_TRUST_BACKUP_FILES_H

#include <peernet/backup.h>

#include "trust/backup_format.h"
#include "trust/guarded_dir.h"

/*
 * Appends each file of the table that is there to plain, under the lock of its
 * directory. dir is locked by the caller. Errors: as pn_guarded_read; PN_LIMIT.
 */
PN_MUST_USE pn_err pn_backup_collect(
    const pn_guarded_dir *dir, pn_buf *plain, pn_why *ret_why);

/*
 * Checks all files before any is used: their names are in the table, and the
 * identity and the trust list can be read.
 * Errors: PN_CORRUPT, PN_NOT_FOUND there is no identity; *ret_why is a sentence
 * about the whole, without a path.
 */
PN_MUST_USE pn_err pn_backup_judge(pn_slice plain, pn_public_key *ret_key,
    uint32_t *ret_n_files, pn_why *ret_why);

/* Writes files that pn_backup_judge has accepted into an empty directory,
 * durably. Errors: PN_CORRUPT a name twice; PN_SYS, PN_NOMEM, with a sentence.
 */
PN_MUST_USE pn_err pn_backup_extract(
    const pn_guarded_dir *dir, pn_slice plain, pn_why *ret_why);

/* The two public functions with another cost (backup_format.h), for tests. */
PN_MUST_USE pn_err pn_backup_write_costing(const char *data_dir,
    const char *file, bool replace, pn_slice passphrase, unsigned log_n,
    pn_public_key *ret_key, uint32_t *ret_n_files, pn_why *ret_why);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The identity of a Barrel node: node.key, the 32 bytes an Ed25519 private key
 * is made of, and node.pub, the 32 of the public one (barrel-wire section 10).
 * Upstream's files, read more strictly (D9): half a pair or a pair that does
 * not fit together is refused and never replaced.
 *
 * One thread at a time per handle; any number of handles and processes on one
 * directory. Everything may block on a disk.
 */
#ifndef PN_TRUST_BARREL_KEYS_H
#define PN_TRUST_BARREL_KEYS_H

#include <peernet/store.h>

#include "crypto/crypto.h"

typedef struct pn_barrel_keys pn_barrel_keys;

/*
 * Opens a key directory, making it (0700) and, when neither file is there, a
 * new pair (0600). A rotation that a power cut left half done is taken back,
 * and *ret_warning (may be NULL) says so.
 * Ownership: pn_barrel_keys_close. Errors: PN_CORRUPT one file is missing, has
 * not 32 bytes, or they are not a pair; PN_PERMISSION a symbolic link, not a
 * regular file, not ours, node.key of another mode than 0600, node.pub or the
 * directory writable by others; PN_LOCKED somebody has been editing for 10 s;
 * PN_SYS, PN_NOMEM. *ret_error (may be NULL) names the file and what was
 * expected; nothing was changed then.
 */
PN_MUST_USE pn_err pn_barrel_keys_open(const char *key_dir,
    pn_barrel_keys **ret_keys, pn_store_error *ret_error,
    pn_store_error *ret_warning);
void pn_barrel_keys_close(pn_barrel_keys *keys); /* NULL is fine; wipes */

/* The pair, in secure memory, at the same place until close; its bytes change
 * with reload and rotate. */
const pn_key_pair *pn_barrel_keys_pair(const pn_barrel_keys *keys);

/* Reads the files again, after another process rotated. *ret_changed (may be
 * NULL): it is another pair now. Errors: as open, PN_NOT_FOUND both files are
 * gone; the pair in memory stays. */
PN_MUST_USE pn_err pn_barrel_keys_reload(
    pn_barrel_keys *keys, bool *ret_changed, pn_store_error *ret_error);

/*
 * Copies both files to KEY_DIR/backups/YYYYMMDDTHHMMSSZ (see trust/backup.h)
 * and puts a new pair in their place, on disk first. Peers that pinned the old
 * key refuse from now on until they take the pin back (section 11).
 * wall_us: the time of day, microseconds since 1970 UTC. *ret_backup is the
 * path of the copy, the caller frees it.
 * Errors: as open and pn_backup_make; the pair in the files and in memory is
 * the old one then. The copy may be there.
 */
PN_MUST_USE pn_err pn_barrel_keys_rotate(pn_barrel_keys *keys, int64_t wall_us,
    char **ret_backup, pn_store_error *ret_error);

#endif

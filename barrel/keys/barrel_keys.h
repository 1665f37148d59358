/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The identity of a Barrel node: node.key, the 32 bytes an Ed25519 private key
 * is made of, and node.pub, the 32 of the public one (docs/BARREL-PROTOCOL.md,
 * section 10). Upstream's files, read more strictly (D9): half a pair or a pair
 * that does not fit together is refused and never replaced.
 *
 * One thread at a time per handle; any number of handles and processes on one
 * directory. Everything may block on a disk.
 */
#ifndef PN_KEYS_BARREL_KEYS_H
#define PN_KEYS_BARREL_KEYS_H

#include <peernet/store.h>

#include "keys/ed25519.h"

typedef struct pn_barrel_keys pn_barrel_keys;

/*
 * Opens a key directory, making it (0700) and, when neither file is there, a
 * new pair (0600). A rotation that a power cut left half done is taken back,
 * and *ret_warning (may be NULL) says so.
 * Ownership: pn_barrel_keys_close. Errors: PN_CORRUPT one file is missing, has
 * not 32 bytes, or they are not a pair; PN_PERMISSION node.pub is a symbolic
 * link, a file is no regular one or not ours, node.key is no secret (see
 * pn_secret_open) or, to be rotated, a link, node.pub or the directory is
 * writable by others; PN_LOCKED somebody has been editing for 10 s; PN_SYS,
 * PN_NOMEM. *ret_why (may be NULL) names the file and what was expected;
 * nothing was changed then.
 */
PN_MUST_USE pn_err pn_barrel_keys_open(const char *key_dir,
    pn_barrel_keys **ret_keys, pn_why *ret_why, pn_why *ret_warning);
void pn_barrel_keys_close(pn_barrel_keys *keys); /* NULL is fine; wipes */

/* The pair, in secure memory, at the same place until close; its bytes change
 * with reload and rotate. */
const pn_ed25519_pair *pn_barrel_keys_pair(const pn_barrel_keys *keys);

/* Reads the files again, after another process rotated. *ret_changed (may be
 * NULL): it is another pair now. Errors: as open, PN_NOT_FOUND both files are
 * gone; the pair in memory stays. */
PN_MUST_USE pn_err pn_barrel_keys_reload(
    pn_barrel_keys *keys, bool *ret_changed, pn_why *ret_why);

/*
 * Copies both files to KEY_DIR/backups/YYYYMMDDTHHMMSSZ (see
 * trust/guarded_pair.h)
 * and puts a new pair in their place, on disk first. Peers that pinned the old
 * key refuse from now on until they take the pin back (docs/BARREL-PROTOCOL.md,
 * section 11).
 * wall_us: the time of day, microseconds since 1970 UTC. *ret_backup is the
 * path of the copy, the caller frees it.
 * Errors: as open and pn_pair_rotate; the pair in the files and in memory is
 * the old one then. The copy may be there.
 */
PN_MUST_USE pn_err pn_barrel_keys_rotate(
    pn_barrel_keys *keys, int64_t wall_us, char **ret_backup, pn_why *ret_why);

#endif

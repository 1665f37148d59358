/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backup of a data directory: one file, encrypted with a passphrase. It holds
 * the identity, the trust list, and what else of ours is there that a new
 * machine would miss; docs/FILES.md lists the files and has the format.
 *
 * The key comes from the passphrase by scrypt (RFC 7914) with N = 2^17, r = 8,
 * p = 1: one guess takes 128 MiB of memory and some tenths of a second, and so
 * does each call here. The encryption is ChaCha20-Poly1305.
 *
 * Whoever has a backup and its passphrase can act as the node. An identity must
 * speak from one machine at a time: two nodes with one key take links from each
 * other.
 */
#ifndef PEERNET_BACKUP_H
#define PEERNET_BACKUP_H

#include <peernet/common.h>
#include <peernet/key.h>
#include <peernet/reason.h>

PN_BEGIN_DECLS

/** A passphrase has this many bytes; it is longer where people choose it. */
#define PN_BACKUP_PASSPHRASE_MIN 8
#define PN_BACKUP_PASSPHRASE_MAX 1024

/**
 * Writes a backup of a data directory, also while a node runs there. The file
 * appears whole or not at all, mode 0600.
 *
 * replace: a file that is there already is replaced, and stays as FILE.bak. The
 * passphrase is borrowed for the call, which keeps no copy. *ret_key is the
 * identity in it, *ret_n_files the number of files; both may be NULL.
 * Errors: PN_NOT_FOUND there is no identity to back up; PN_EXISTS there is such
 * a file and replace is false; PN_INVALID the passphrase has not a length in
 * range; PN_CORRUPT a file of the directory is damaged; PN_LIMIT one is too
 * large; PN_PERMISSION, PN_LOCKED, PN_SYS as those of peernet/store.h;
 * PN_NOMEM. *ret_why (may be NULL) says which file. Thread: any; waits up to 10
 * s for an editor. Source: docs/FILES.md, "The format of a backup".
 */
PN_API PN_MUST_USE pn_err pn_backup_write(const char *data_dir,
    const char *file, bool replace, pn_slice passphrase, pn_public_key *ret_key,
    uint32_t *ret_n_files, pn_why *ret_why);

/**
 * Makes a data directory from a backup: all of it or, on an error, nothing. The
 * directory must be empty or not be there, in a directory that we may write to.
 *
 * replace: one that is not empty is exchanged with the new one, and stays
 * beside it as DATA-DIR.old-TIME, which is *ret_kept; it is the caller's to
 * free. NULL: nothing was kept. ret_kept, ret_key and ret_n_files may be NULL.
 * Errors: PN_AUTH the passphrase is wrong or the file was changed, which cannot
 * be told apart; PN_CORRUPT the file is no backup, or holds what no backup
 * holds; PN_NOT_FOUND there is no such file; PN_EXISTS the directory is not
 * empty and replace is false; PN_LOCKED a node runs there; PN_INVALID the
 * passphrase has not a length in range, or the path has no name at its end;
 * PN_PERMISSION, PN_SYS, PN_NOMEM. *ret_why (may be NULL) says why.
 * Thread: any.
 * Source: docs/FILES.md, "The format of a backup".
 */
PN_API PN_MUST_USE pn_err pn_backup_restore(const char *data_dir,
    const char *file, bool replace, pn_slice passphrase, pn_public_key *ret_key,
    uint32_t *ret_n_files, char **ret_kept, pn_why *ret_why);

PN_END_DECLS

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backup: files of a data directory, encrypted with a passphrase.
 * docs/FILES.md has the format. No file system is touched here.
 *
 * Nothing is parsed before its tag has been checked, except the header of fixed
 * size, which is the associated data. A number in it decides how much memory
 * scrypt takes, so it is bounded first.
 */
#ifndef PN_TRUST_BACKUP_FORMAT_H
#define PN_TRUST_BACKUP_FORMAT_H

#include <peernet/common.h>

#include "base/buf.h"
#include "crypto/crypto.h"

/* How costly a guess is: scrypt's N = 2^17, r = 8, p = 1 take 128 MiB and some
 * tenths of a second. A backup that asks for more than 256 MiB is refused. */
#define PN_BACKUP_LOG_N 17
#define PN_BACKUP_LOG_N_MIN 10
#define PN_BACKUP_LOG_N_MAX 18
#define PN_BACKUP_R 8
#define PN_BACKUP_P 1

#define PN_BACKUP_HEADER_LEN 44
#define PN_BACKUP_SALT_LEN 32
/* What is encrypted, without the tag. */
#define PN_BACKUP_PLAIN_MAX (64U << 20)
#define PN_BACKUP_FILE_MAX                                                     \
    (PN_BACKUP_HEADER_LEN + PN_BACKUP_PLAIN_MAX + PN_TAG_LEN)
#define PN_BACKUP_NAME_MAX 320

/* One file. */
typedef struct pn_backup_entry {
    char name[PN_BACKUP_NAME_MAX + 1]; /* below the data directory */
    uint16_t mode;                     /* permission bits */
    pn_slice bytes;
} pn_backup_entry;

/* Appends a file to what will be encrypted. Errors: PN_LIMIT, PN_NOMEM. */
PN_MUST_USE pn_err pn_backup_put(pn_buf *plain, const char *name, unsigned mode,
    const uint8_t *data, size_t len);

/* Encrypts: header, ciphertext, tag. out is empty and gets all of it. Errors:
 * PN_LIMIT, PN_NOMEM, PN_SYS. */
PN_MUST_USE pn_err pn_backup_seal(
    pn_slice plain, pn_slice passphrase, unsigned log_n, pn_buf *out);

/* Checks the header without the passphrase. *ret_why says what is wrong.
 * Errors: PN_CORRUPT this is no backup, of a version that is not known, or asks
 * for too much memory. */
PN_MUST_USE pn_err pn_backup_check(
    const uint8_t *data, size_t len, const char **ret_why);

/*
 * Decrypts what pn_backup_check has accepted. *ret_plain is memory of
 * pn_secure_alloc, *ret_len bytes, at least one.
 * Errors: PN_AUTH the passphrase is wrong or a byte has changed, which cannot
 * be told apart; PN_NOMEM, PN_SYS.
 */
PN_MUST_USE pn_err pn_backup_open(const uint8_t *data, size_t len,
    pn_slice passphrase, uint8_t **ret_plain, size_t *ret_len);

/*
 * Takes the next file from the front of plain; ret_entry->bytes is in it.
 * PN_NOT_FOUND: this was the end. Errors: PN_CORRUPT a length does not fit, a
 * mode is none, a name has a NUL or is too long.
 */
PN_MUST_USE pn_err pn_backup_next(pn_slice *plain, pn_backup_entry *ret_entry);

#endif

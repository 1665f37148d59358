/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The certificate a node serves: self-signed P-256, made on first use
 * (docs/BARREL-PROTOCOL.md, section 10). It is never validated as a chain; its
 * hash is what the authentication is bound to.
 */
#ifndef PN_BARREL_QUIC_CERTIFICATE_H
#define PN_BARREL_QUIC_CERTIFICATE_H

#include "base/bytes.h"
#include "crypto/crypto.h"
#include "trust/guarded_dir.h"

typedef struct pn_certificate pn_certificate;

/* Loads dir/node.crt (one PEM certificate) and dir/node.key (one PEM private
 * key, 0600), or makes both when neither is there; the directory too. One
 * without the other, a pair that does not match, a file of another owner or a
 * readable key: refused, with one sentence that names the file in *ret_why.
 * wall_s: the time of day, for the validity of a new one.
 * Errors: PN_CORRUPT, PN_PERMISSION, PN_NOT_FOUND (half is missing), PN_SYS,
 * PN_NOMEM. */
PN_MUST_USE pn_err pn_certificate_open(const char *dir, int64_t wall_s,
    pn_certificate **ret_certificate, pn_why *ret_why);
/* Copies both files to DIR/backups (keys/backup.h), then puts a new pair in
 * their place. wall_us: the time of day. *ret_backup is the path of the copy,
 * the caller frees it. Errors: as open and pn_backup_make; the old pair is
 * served then. */
PN_MUST_USE pn_err pn_certificate_rotate(
    const char *dir, int64_t wall_us, char **ret_backup, pn_why *ret_why);
void pn_certificate_free(pn_certificate *certificate); /* NULL is fine */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are a key and nothing else: 32 raw bytes (docs/BARREL-PROTOCOL.md,
 * section 10). Any thread, nothing is shared. */
#ifndef PN_KEYS_KEY_FILE_H
#define PN_KEYS_KEY_FILE_H

#include "crypto/crypto.h"
#include "trust/guarded_dir.h"

/*
 * Reads the 32 bytes of a file in dir. No copy stays behind in memory.
 * Errors: PN_NOT_FOUND without a sentence; PN_CORRUPT another size;
 * PN_PERMISSION what access does not allow; PN_SYS, PN_NOMEM. ret_key is
 * untouched then.
 */
PN_MUST_USE pn_err pn_key_file_read(const pn_guarded_dir *dir, const char *name,
    pn_guarded_access access, uint8_t ret_key[static PN_KEY_LEN],
    pn_why *ret_why);

/*
 * Reads a public key from a file that the user names: 32 raw bytes, or one line
 * that pn_ed25519_key_parse takes (64 hexadecimal digits, 52 of Base32). Its
 * owner and mode are not checked. May block on a FIFO. Errors: PN_INVALID it
 * holds something else; PN_SYS. *ret_why says why.
 */
PN_MUST_USE pn_err pn_key_file_given(
    const char *path, pn_ed25519_key *ret_key, pn_why *ret_why);

#endif

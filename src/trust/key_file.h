/* SPDX-License-Identifier: Apache-2.0 */
/* Files that are a key and nothing else: 32 raw bytes (barrel-wire section
 * 10). Any thread, nothing is shared. */
#ifndef PN_TRUST_KEY_FILE_H
#define PN_TRUST_KEY_FILE_H

#include "crypto/crypto.h"
#include "os/file.h"
#include "trust/data_dir.h"

/*
 * Reads the 32 bytes of a file in dir. No copy stays behind in memory.
 * Errors: PN_NOT_FOUND without a sentence; PN_CORRUPT another size;
 * PN_PERMISSION a symbolic link, not a regular file, not ours, a mode that kind
 * does not allow; PN_SYS, PN_NOMEM. ret_key is untouched then.
 */
PN_MUST_USE pn_err pn_key_file_read(const pn_data_dir *dir, const char *name,
    pn_file_kind kind, uint8_t ret_key[static PN_KEY_LEN],
    pn_store_error *ret_error);

/*
 * Reads a public key from a file that a person names: 32 raw bytes, or one line
 * that pn_key_parse takes (64 hexadecimal digits, 52 of Base32). Whose it is,
 * and what its mode is, is that person's business. May block on a FIFO.
 * Errors: PN_INVALID it holds something else; PN_SYS. *ret_error says why.
 */
PN_MUST_USE pn_err pn_key_file_given(
    const char *path, pn_public_key *ret_key, pn_store_error *ret_error);

#endif

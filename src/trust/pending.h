/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pairings that our owner has confirmed and whose other end was not heard again
 * (docs/PROTOCOL.md, section 10.5): the file `pending`, in memory and as bytes.
 *
 * A record grants nothing. It lets one key complete its pairing at an
 * authenticated contact, within PN_PENDING_S of the wall clock; where the clock
 * was set back it is not used, because it would last longer.
 *
 *     "peernet pending1" (16 bytes)
 *     per record: key (32), until (8: seconds since 1970 UTC, big-endian),
 *                 length of the label (1), label (255, then zeros)
 *     SHA-256 of all before (32)
 */
#ifndef PN_TRUST_PENDING_H
#define PN_TRUST_PENDING_H

#include <peernet/key.h>

#include "base/buf.h"
#include "trust/label.h"

#define PN_PENDING_MAX 8
#define PN_PENDING_S INT64_C(86400)
#define PN_PENDING_RECORD_LEN (PN_PUBLIC_KEY_LEN + 8 + 1 + PN_LABEL_MAX)
#define PN_PENDING_FILE_MAX (16 + PN_PENDING_MAX * PN_PENDING_RECORD_LEN + 32)

typedef struct pn_pending {
    pn_public_key key;
    int64_t until_s;
    char label[PN_LABEL_MAX + 1]; /* empty: none */
} pn_pending;

/* Zero-filled is the empty list; oldest first. */
typedef struct pn_pending_list {
    pn_pending entries[PN_PENDING_MAX];
    size_t n;
} pn_pending_list;

/* Errors: PN_CORRUPT with a sentence in *ret_why, *ret_list untouched; PN_SYS.
 */
PN_MUST_USE pn_err pn_pending_read(const uint8_t *data, size_t len,
    pn_pending_list *ret_list, const char **ret_why);
/* Appends the file's bytes. Errors: PN_NOMEM, PN_SYS. */
PN_MUST_USE pn_err pn_pending_write(const pn_pending_list *list, pn_buf *out);

/* The record of a key that may be used at now_s; NULL: none. */
const pn_pending *pn_pending_find(
    const pn_pending_list *list, const pn_public_key *key, int64_t now_s);
/* Puts a record in, in place of one of the same key or of the oldest. label
 * (may be NULL) is valid. */
void pn_pending_add(pn_pending_list *list, const pn_public_key *key,
    const char *label, int64_t now_s);
/* True when there was one. */
bool pn_pending_remove(pn_pending_list *list, const pn_public_key *key);
/* Takes out those whose time is over; true when there was one. */
bool pn_pending_expire(pn_pending_list *list, int64_t now_s);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The trust list `trust.bin` in memory and as bytes (wire section 7). */
#ifndef PN_TRUST_TRUST_LIST_H
#define PN_TRUST_TRUST_LIST_H

#include <peernet/key.h>

#include "base/buf.h"

#define PN_LABEL_MAX 255 /* bytes of UTF-8 */

typedef struct pn_trust_entry {
    pn_public_key key;
    char *label;         /* NUL-terminated UTF-8, or NULL; owned by the list */
    int64_t added_at_us; /* wall clock, microseconds since 1970, UTC */
} pn_trust_entry;

/* Newest first, as in the file. Zero-filled is the empty list. */
typedef struct pn_trust_list {
    pn_trust_entry *entries;
    size_t n_entries;
} pn_trust_list;

void pn_trust_list_fini(pn_trust_list *list);
/* PN_CORRUPT with a sentence in *ret_why; *ret_list untouched then (T22). */
PN_MUST_USE pn_err pn_trust_list_read(const uint8_t *data, size_t len,
    pn_trust_list *ret_list, const char **ret_why);
/* Appends the file's bytes to out. */
PN_MUST_USE pn_err pn_trust_list_write(const pn_trust_list *list, pn_buf *out);
/* Puts a key in front. PN_EXISTS leaves the list as it is. */
PN_MUST_USE pn_err pn_trust_list_add(pn_trust_list *list,
    const pn_public_key *key, const char *label, int64_t now_us);
PN_MUST_USE pn_err pn_trust_list_remove(
    pn_trust_list *list, const pn_public_key *key); /* PN_NOT_FOUND */
/* Looks at every entry, in constant time per entry (T18); NULL: not there. */
const pn_trust_entry *pn_trust_list_find(
    const pn_trust_list *list, const pn_public_key *key);

#endif

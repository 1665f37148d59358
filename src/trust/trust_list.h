/* SPDX-License-Identifier: Apache-2.0 */
/* The trust list `trust.bin` in memory and as bytes (docs/PROTOCOL.md, section
 * 8.3). */
#ifndef PN_TRUST_TRUST_LIST_H
#define PN_TRUST_TRUST_LIST_H

#include <peernet/key.h>

#include "base/buf.h"
#include "trust/label.h"

typedef struct pn_trust_entry {
    pn_public_key key;
    /* NUL-terminated UTF-8 to show, at most PN_LABEL_MAX bytes, or NULL; owned
     * by the list. A label the originals took and we would not (over-long,
     * control characters, not UTF-8) is shown cleaned; etf keeps it. */
    char *label;
    int64_t added_at_us; /* wall clock, microseconds since 1970, UTC */
    /* The entry as it stands in the file, without the version byte. An entry
     * that was not edited is written back byte for byte. Owned by the list. */
    uint8_t *etf;
    size_t etf_len;
} pn_trust_entry;

/* Newest first, as in the file. Zero-filled is the empty list. */
typedef struct pn_trust_list {
    pn_trust_entry *entries;
    size_t n_entries;
} pn_trust_list;

void pn_trust_list_fini(pn_trust_list *list);

/*
 * Reads the file's bytes, which must be such as the originals write: maps with
 * pubkey, label and added_at (more keys are kept), any order, any spelling of
 * atoms. Errors: PN_CORRUPT with a static sentence in *ret_why; PN_LIMIT more
 * than max_entries; PN_NOMEM. *ret_list untouched then (T22).
 */
PN_MUST_USE pn_err pn_trust_list_read(const uint8_t *data, size_t len,
    size_t max_entries, pn_trust_list *ret_list, const char **ret_why);
/* Appends the file's bytes to out: term_to_binary/1 of the list, atoms with
 * tag 119, map keys sorted. Errors: PN_NOMEM. */
PN_MUST_USE pn_err pn_trust_list_write(const pn_trust_list *list, pn_buf *out);
/* Puts a key in front; label NULL or "": none. Errors: PN_EXISTS (the list is
 * as it was); PN_INVALID a bad label, or a year outside 0..9999; PN_NOMEM. */
PN_MUST_USE pn_err pn_trust_list_add(pn_trust_list *list,
    const pn_public_key *key, const char *label, int64_t now_us);
/* Sets a peer's label; NULL or "": none. *ret_is_changed is false when it had
 * that label. Errors: PN_NOT_FOUND, PN_INVALID, PN_NOMEM. */
PN_MUST_USE pn_err pn_trust_list_relabel(pn_trust_list *list,
    const pn_public_key *key, const char *label, bool *ret_is_changed);
PN_MUST_USE pn_err pn_trust_list_remove(
    pn_trust_list *list, const pn_public_key *key); /* PN_NOT_FOUND */
/* True when both have equal entries in the same order. */
bool pn_trust_list_equal(const pn_trust_list *a, const pn_trust_list *b);
/* Looks at every entry, in constant time per entry (T18); NULL: not there. */
const pn_trust_entry *pn_trust_list_find(
    const pn_trust_list *list, const pn_public_key *key);

#endif

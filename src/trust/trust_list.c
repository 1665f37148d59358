/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trust list; see trust_list.h and docs/PROTOCOL.md, section 8.3. Bytes
 * that the originals cannot have written are damage, and a damaged file is
 * refused whole: half a list could undo an unpairing or lose a pairing (T22).
 */
#include <stdlib.h>
#include <string.h>

#include <peernet/term.h>

#include "base/mutant.h"
#include "trust/datetime.h"
#include "trust/trust_entry.h"
#include "trust/trust_list.h"

void pn_trust_list_fini(pn_trust_list *list)
{
    for (size_t i = 0; i < list->n_entries; i++) {
        pn_trust_entry_fini(&list->entries[i]);
    }
    free(list->entries);
    *list = (pn_trust_list){0};
}

const pn_trust_entry *pn_trust_list_find(
    const pn_trust_list *list, const pn_public_key *key)
{
    const pn_trust_entry *found = NULL;

    /* Every entry is compared, so the time does not tell where, or whether, a
     * key stands in the list. */
    for (size_t i = 0; i < list->n_entries; i++) {
        const pn_trust_entry *e = &list->entries[i];

        found = pn_key_equal(&e->key, key) ? e : found;
    }
    return found;
}

bool pn_trust_list_equal(const pn_trust_list *a, const pn_trust_list *b)
{
    bool is_equal = a->n_entries == b->n_entries;

    for (size_t i = 0; is_equal && i < a->n_entries; i++) {
        const pn_trust_entry *x = &a->entries[i];
        const pn_trust_entry *y = &b->entries[i];

        is_equal = x->etf_len == y->etf_len
                   && memcmp(x->etf, y->etf, x->etf_len) == 0;
    }
    return is_equal;
}

/* ---- reading ----------------------------------------------------------- */

/* Reads entries one by one; list is what has been read, also on error. */
static pn_err read_entries(
    pn_term_reader *r, uint32_t n, pn_trust_list *list, const char **ret_why)
{
    for (uint32_t i = 0; i < n; i++) {
        pn_trust_entry *e = &list->entries[i];
        pn_term term = pn_term_read_any(r);
        pn_err err;

        if (r->err != PN_OK) {
            break;
        }
        /* Counted before it is filled, so that it is freed after an error. */
        list->n_entries++;
        err = pn_trust_entry_read(term, e, ret_why);
        if (err != PN_OK) {
            return err;
        }
    }
    pn_term_read_nil(r);
    if (pn_term_reader_finish(r) != PN_OK) {
        *ret_why = "it is not a proper list of entries";
        return PN_CORRUPT;
    }
    return PN_OK;
}

static int by_key(const void *a, const void *b)
{
    const pn_public_key *const *x = a;
    const pn_public_key *const *y = b;

    return memcmp((*x)->bytes, (*y)->bytes, PN_PUBLIC_KEY_LEN);
}

/* The originals never write a key twice; unpairing one of two entries would
 * leave the peer paired. */
static pn_err check_unique(const pn_trust_list *list, const char **ret_why)
{
    const pn_public_key **keys;
    pn_err err = PN_OK;

    if (list->n_entries < 2) {
        return PN_OK;
    }
    keys = malloc(list->n_entries * sizeof(*keys));
    if (keys == NULL) {
        return PN_NOMEM;
    }
    for (size_t i = 0; i < list->n_entries; i++) {
        keys[i] = &list->entries[i].key;
    }
    qsort(keys, list->n_entries, sizeof(*keys), by_key);
    for (size_t i = 1; i < list->n_entries; i++) {
        if (PN_REFUSE_IF(trust_unique, by_key(&keys[i - 1], &keys[i]) == 0)) {
            *ret_why = "it lists one key twice";
            err = PN_CORRUPT;
            break;
        }
    }
    free(keys);
    return err;
}

static pn_err parse(
    const uint8_t *data, size_t len, pn_term *ret_term, const char **ret_why)
{
    pn_term_limits limits;
    pn_term_error error = {0};
    pn_err err;

    pn_term_limits_init(&limits);
    limits.max_bytes = len < INT32_MAX ? (uint32_t)len : INT32_MAX;
    limits.max_bytes = len == 0 ? 1 : limits.max_bytes;
    err = pn_term_parse(data, len, &limits, ret_term, &error);
    if (err == PN_OK || err == PN_NOMEM) {
        return err;
    }
    *ret_why = error.text == NULL ? "it is no term" : error.text;
    return PN_CORRUPT;
}

pn_err pn_trust_list_read(const uint8_t *data, size_t len, size_t max_entries,
    pn_trust_list *ret_list, const char **ret_why)
{
    pn_trust_list list = {0};
    pn_term_reader r;
    pn_term term;
    uint32_t n;
    pn_err err = parse(data, len, &term, ret_why);

    if (err != PN_OK) {
        return err;
    }
    if (pn_term_type_of(term) != PN_TERM_LIST) {
        *ret_why = "it is not a list";
        return PN_CORRUPT;
    }
    pn_term_reader_init(&r, term);
    n = pn_term_read_list(&r);
    if (PN_REFUSE_IF(trust_max_entries, n > max_entries)) {
        return PN_LIMIT;
    }
    if (n > 0) {
        list.entries = calloc(n, sizeof(*list.entries));
        err = list.entries == NULL ? PN_NOMEM
                                   : read_entries(&r, n, &list, ret_why);
    }
    if (err == PN_OK) {
        err = check_unique(&list, ret_why);
    }
    if (err != PN_OK) {
        pn_trust_list_fini(&list);
        return err;
    }
    *ret_list = list;
    return PN_OK;
}

/* ---- writing ----------------------------------------------------------- */

pn_err pn_trust_list_write(const pn_trust_list *list, pn_buf *out)
{
    enum { AROUND = 16 }; /* version, list head, tail */
    pn_term_writer w;
    pn_slice bytes;
    size_t len = AROUND;
    pn_err err;

    for (size_t i = 0; i < list->n_entries; i++) {
        len += list->entries[i].etf_len;
    }
    pn_term_writer_init(&w, len);
    pn_term_write_list_begin(&w);
    for (size_t i = 0; i < list->n_entries; i++) {
        const pn_trust_entry *e = &list->entries[i];

        pn_term_write_term(&w, (pn_term){.data = e->etf, .len = e->etf_len});
    }
    pn_term_write_list_end(&w);
    err = pn_term_writer_finish(&w, &bytes, NULL);
    if (err == PN_OK) {
        err = pn_buf_append(out, bytes.data, bytes.len);
    }
    pn_term_writer_free(&w);
    return err;
}

pn_err pn_trust_list_add(pn_trust_list *list, const pn_public_key *key,
    const char *label, int64_t now_us)
{
    pn_trust_entry entry = {0};
    pn_trust_entry *grown;
    pn_err err;

    if ((label != NULL && !pn_label_is_valid(label))
        || now_us < PN_DATETIME_MIN_US || now_us > PN_DATETIME_MAX_US) {
        return PN_INVALID;
    }
    if (pn_trust_list_find(list, key) != NULL) {
        return PN_EXISTS;
    }
    grown = reallocarray(
        list->entries, list->n_entries + 1, sizeof(*list->entries));
    if (grown == NULL) {
        return PN_NOMEM;
    }
    list->entries = grown;
    err = pn_trust_entry_make(&entry, key, label, now_us);
    if (err != PN_OK) {
        pn_trust_entry_fini(&entry);
        return err;
    }
    memmove(grown + 1, grown, list->n_entries * sizeof(*grown));
    grown[0] = entry;
    list->n_entries++;
    return PN_OK;
}

pn_err pn_trust_list_relabel(pn_trust_list *list, const pn_public_key *key,
    const char *label, bool *ret_is_changed)
{
    const pn_trust_entry *found = pn_trust_list_find(list, key);
    const char *new_label = label == NULL ? "" : label;
    const char *old_label;

    if (found == NULL) {
        return PN_NOT_FOUND;
    }
    if (!pn_label_is_valid(new_label)) {
        return PN_INVALID;
    }
    old_label = found->label == NULL ? "" : found->label;
    *ret_is_changed = strcmp(old_label, new_label) != 0;
    return *ret_is_changed ? pn_trust_entry_relabel(
               &list->entries[found - list->entries], new_label)
                           : PN_OK;
}

pn_err pn_trust_list_remove(pn_trust_list *list, const pn_public_key *key)
{
    const pn_trust_entry *found = pn_trust_list_find(list, key);
    size_t i;

    if (found == NULL) {
        return PN_NOT_FOUND;
    }
    i = (size_t)(found - list->entries);
    pn_trust_entry_fini(&list->entries[i]);
    list->n_entries--;
    memmove(&list->entries[i], &list->entries[i + 1],
        (list->n_entries - i) * sizeof(*list->entries));
    return PN_OK;
}

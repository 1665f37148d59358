/* SPDX-License-Identifier: Apache-2.0 */
/* The file `pending`; see pending.h. */
#include "trust/pending.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mutant.h"
#include "crypto/crypto.h"

#define HEADING "peernet pending1"

enum {
    HEADING_LEN = sizeof(HEADING) - 1,
    AT_UNTIL = PN_PUBLIC_KEY_LEN,
    AT_LABEL_LEN = AT_UNTIL + 8,
    AT_LABEL = AT_LABEL_LEN + 1
};

_Static_assert(HEADING_LEN == 16, "as the format says");

static bool read_record(const uint8_t *at, pn_pending *ret_record)
{
    const size_t len = at[AT_LABEL_LEN];

    memcpy(ret_record->key.bytes, at, PN_PUBLIC_KEY_LEN);
    ret_record->until_s = (int64_t)pn_load_be64(at + AT_UNTIL);
    memcpy(ret_record->label, at + AT_LABEL, len);
    ret_record->label[len] = '\0';
    return pn_label_is_valid(ret_record->label);
}

/* The heading, the lengths and the sum. */
static pn_err check_frame(const uint8_t *data, size_t len, const char **ret_why)
{
    uint8_t sum[PN_HASH_LEN];
    pn_err err;

    if (len < HEADING_LEN + PN_HASH_LEN || len > PN_PENDING_FILE_MAX
        || (len - HEADING_LEN - PN_HASH_LEN) % PN_PENDING_RECORD_LEN != 0
        || memcmp(data, HEADING, HEADING_LEN) != 0) {
        *ret_why = "it is no list of pending pairings";
        return PN_CORRUPT;
    }
    err = pn_sha256(sum, data, len - PN_HASH_LEN, NULL, 0);
    if (err == PN_OK
        && PN_REFUSE_IF(pending_sum,
            memcmp(sum, data + len - PN_HASH_LEN, PN_HASH_LEN) != 0)) {
        *ret_why = "its checksum does not fit";
        return PN_CORRUPT;
    }
    return err;
}

pn_err pn_pending_read(const uint8_t *data, size_t len,
    pn_pending_list *ret_list, const char **ret_why)
{
    pn_pending_list list = {0};
    pn_err err = check_frame(data, len, ret_why);

    if (err != PN_OK) {
        return err;
    }
    for (size_t at = HEADING_LEN; at < len - PN_HASH_LEN;
         at += PN_PENDING_RECORD_LEN) {
        if (!read_record(data + at, &list.entries[list.n++])) {
            *ret_why = "it has a label that nobody gave";
            return PN_CORRUPT;
        }
    }
    *ret_list = list;
    return PN_OK;
}

pn_err pn_pending_write(const pn_pending_list *list, pn_buf *out)
{
    uint8_t data[PN_PENDING_FILE_MAX] = HEADING;
    uint8_t *at = data + HEADING_LEN;
    pn_err err;

    for (size_t i = 0; i < list->n; i++) {
        const pn_pending *record = &list->entries[i];
        const size_t len = strlen(record->label);

        memcpy(at, record->key.bytes, PN_PUBLIC_KEY_LEN);
        pn_store_be64(at + AT_UNTIL, (uint64_t)record->until_s);
        at[AT_LABEL_LEN] = (uint8_t)len;
        memcpy(at + AT_LABEL, record->label, len);
        at += PN_PENDING_RECORD_LEN;
    }
    err = pn_sha256(at, data, (size_t)(at - data), NULL, 0);
    return err != PN_OK
               ? err
               : pn_buf_append(out, data, (size_t)(at - data) + PN_HASH_LEN);
}

static bool is_in_time(const pn_pending *record, int64_t now_s)
{
    return !PN_REFUSE_IF(pending_expired, now_s >= record->until_s)
           && !PN_REFUSE_IF(
               pending_clock_back, record->until_s - now_s > PN_PENDING_S);
}

const pn_pending *pn_pending_find(
    const pn_pending_list *list, const pn_public_key *key, int64_t now_s)
{
    for (size_t i = 0; i < list->n; i++) {
        const pn_pending *record = &list->entries[i];

        if (pn_key_equal(&record->key, key) && is_in_time(record, now_s)) {
            return record;
        }
    }
    return NULL;
}

static void remove_at(pn_pending_list *list, size_t i)
{
    list->n--;
    memmove(&list->entries[i], &list->entries[i + 1],
        (list->n - i) * sizeof(list->entries[0]));
}

bool pn_pending_remove(pn_pending_list *list, const pn_public_key *key)
{
    for (size_t i = 0; i < list->n; i++) {
        if (pn_key_equal(&list->entries[i].key, key)) {
            remove_at(list, i);
            return true;
        }
    }
    return false;
}

bool pn_pending_expire(pn_pending_list *list, int64_t now_s)
{
    const size_t n = list->n;

    for (size_t i = list->n; i-- > 0;) {
        if (!is_in_time(&list->entries[i], now_s)) {
            remove_at(list, i);
        }
    }
    return list->n != n;
}

void pn_pending_add(pn_pending_list *list, const pn_public_key *key,
    const char *label, int64_t now_s)
{
    pn_pending *record;

    (void)pn_pending_remove(list, key);
    if (list->n == PN_PENDING_MAX) {
        remove_at(list, 0);
    }
    record = &list->entries[list->n++];
    *record = (pn_pending){.key = *key, .until_s = now_s + PN_PENDING_S};
    (void)snprintf(
        record->label, sizeof(record->label), "%s", label == NULL ? "" : label);
}

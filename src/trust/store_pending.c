/* SPDX-License-Identifier: Apache-2.0 */
/* Pending pairings of a data directory; see trust/pending.h. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/clock.h"
#include "store_internal.h"

static int64_t now_s(void)
{
    return pn_wall_now_us() / 1000000;
}

static pn_err parse_pending(const void *owner, const uint8_t *data, size_t len,
    void *ret_list, pn_why *ret_why)
{
    const char *why = "";
    pn_err err = pn_pending_read(data, len, ret_list, &why);

    (void)owner;
    return pn_why_fail(ret_why, err, "%s", why);
}

static pn_err write_pending(const void *list, pn_buf *out)
{
    return pn_pending_write(list, out);
}

static const pn_guarded_format format = {
    .access = PN_GUARDED_OURS,
    .parse = parse_pending,
    .write = write_pending,
    .consequence = "pairings that were not confirmed are not completed; "
                   "remove it, and pair again",
    .too_long = "it is too long",
};

pn_err pn_store_read_pending(
    const pn_store *store, pn_pending_list *ret_list, pn_why *ret_why)
{
    pn_err err;

    *ret_list = (pn_pending_list){0};
    err = pn_guarded_load(&store->dir, PN_STORE_PENDING, &format, store,
        PN_PENDING_FILE_MAX, ret_list, ret_why, NULL);
    return err == PN_NOT_FOUND ? PN_OK : err;
}

pn_err pn_store_write_pending(
    pn_store *store, pn_pending_list *list, pn_why *ret_why)
{
    pn_err err;

    (void)pn_pending_expire(list, now_s());
    err = pn_guarded_save(
        &store->dir, PN_STORE_PENDING, &format, list, ret_why);
    if (err == PN_OK) {
        store->pending = *list;
    }
    return err;
}

void pn_store_load_pending(pn_store *store)
{
    pn_pending_list list;

    (void)!pn_store_read_pending(store, &list, NULL);
    store->pending = list;
}

pn_err pn_store_pend(pn_store *store, const pn_public_key *key,
    const char *label, pn_why *ret_why)
{
    pn_pending_list list;
    int lock_fd;
    pn_err err;

    pn_why_clear(ret_why);
    if (pn_key_equal(key, pn_store_key(store))
        || (label != NULL && !pn_label_is_valid(label))) {
        return pn_why_fail(
            ret_why, PN_INVALID, "expected another key, and a valid label");
    }
    err = pn_guarded_lock(&store->dir, true, &lock_fd, ret_why);
    if (err != PN_OK) {
        return err;
    }
    err = pn_store_read_pending(store, &list, ret_why);
    if (err == PN_OK) {
        pn_pending_add(&list, key, label, now_s());
        err = pn_store_write_pending(store, &list, ret_why);
    }
    (void)close(lock_fd);
    return err;
}

pn_err pn_store_unpend(
    pn_store *store, const pn_public_key *key, pn_why *ret_why)
{
    pn_pending_list list;
    int lock_fd;
    pn_err err;

    pn_why_clear(ret_why);
    /* The file may be damaged, but not in memory. */
    (void)pn_pending_remove(&store->pending, key);
    err = pn_guarded_lock(&store->dir, true, &lock_fd, ret_why);
    if (err != PN_OK) {
        return err;
    }
    err = pn_store_read_pending(store, &list, ret_why);
    if (err == PN_OK) {
        err = pn_pending_remove(&list, key)
                  ? pn_store_write_pending(store, &list, ret_why)
                  : PN_NOT_FOUND;
    }
    (void)close(lock_fd);
    return err;
}

const pn_pending_list *pn_store_pending(const pn_store *store)
{
    return &store->pending;
}

pn_err pn_store_list_pending(
    pn_store *store, pn_store_peer **ret_peers, size_t *ret_n, pn_why *ret_why)
{
    pn_pending_list list;
    pn_store_peer *peers;
    pn_err err;

    pn_why_clear(ret_why);
    err = pn_store_read_pending(store, &list, ret_why);
    if (err != PN_OK) {
        return err;
    }
    (void)pn_pending_expire(&list, now_s());
    peers = calloc(list.n + 1, sizeof(*peers));
    if (peers == NULL) {
        return PN_NOMEM;
    }
    for (size_t i = 0; i < list.n; i++) {
        const pn_pending *record = &list.entries[i];

        peers[i].key = record->key;
        memcpy(peers[i].label, record->label, sizeof(record->label));
        peers[i].added_at_us = (record->until_s - PN_PENDING_S) * 1000000;
    }
    *ret_peers = peers;
    *ret_n = list.n;
    return PN_OK;
}

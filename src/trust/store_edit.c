/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Editing a data directory: pair, unpair, remember. Every edit takes
 * edit.lock, reads what is on disk now, changes that, writes it, and then takes
 * over what it wrote: two editors at once lose nothing, and memory is disk
 * (T23).
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mutant.h"
#include "os/clock.h"
#include "os/file.h"
#include "trust/store_impl.h"

/* An edit under way. */
typedef struct edit {
    int lock_fd;
    bool is_dirty; /* the list is not what is on disk */
    pn_trust_list now;
} edit;

static pn_err edit_begin(pn_store *store, edit *e, pn_store_error *error)
{
    pn_err err = pn_store_lock_edit(store, true, &e->lock_fd, error);

    if (err != PN_OK) {
        return err;
    }
    err = pn_store_read_trust(store, &e->now, error, NULL);
    if (err != PN_OK) {
        (void)close(e->lock_fd);
        return err;
    }
    /* An unpairing that could not be written is written with this edit. */
    e->is_dirty = pn_store_drop_cut(store, &e->now);
    return PN_OK;
}

static void edit_end(edit *e)
{
    pn_trust_list_fini(&e->now);
    (void)close(e->lock_fd);
}

/* Memory follows what a failed write left on disk, if that can be read. */
static void resync(pn_store *store)
{
    pn_trust_list now;

    if (pn_store_read_trust(store, &now, NULL, NULL) == PN_OK) {
        pn_store_adopt(store, &now);
    }
}

static pn_err write_trust(pn_store *store, edit *e, pn_store_error *error)
{
    pn_buf b = {0};
    int why = 0;
    pn_err err = pn_trust_list_write(&e->now, &b);

    if (err == PN_OK) {
        err = pn_file_replace(
            store->dir.fd, PN_STORE_TRUST, b.data, b.len, &why);
    }
    if (err == PN_OK) {
        store->n_cut = 0;
        pn_store_adopt(store, &e->now);
    } else {
        err = pn_store_fail_file(store, error, err, PN_STORE_TRUST, why);
        resync(store);
    }
    pn_buf_fini(&b);
    return err;
}

/* Writes the list when it changed; takes it over in any case. */
static pn_err edit_commit(pn_store *store, edit *e, pn_store_error *error)
{
    if (e->is_dirty) {
        return write_trust(store, e, error);
    }
    store->n_cut = 0;
    pn_store_adopt(store, &e->now);
    return PN_OK;
}

/* ---- addresses --------------------------------------------------------- */

/* Under edit.lock. Hints about strangers are swept out on the way, so the file
 * is bounded by the trust list. */
static pn_err write_addresses(pn_store *store, pn_address_list *list,
    const pn_trust_list *trust, pn_store_error *error)
{
    pn_buf b = {0};
    size_t n = 0;
    int why = 0;
    pn_err err;

    for (size_t i = 0; i < list->n_entries; i++) {
        const pn_peer_address *a = &list->entries[i];

        if (pn_trust_list_find(trust, &a->key) != NULL) {
            list->entries[n++] = *a;
        }
    }
    list->n_entries = n;
    err = pn_address_list_write(list, &b);
    if (err == PN_OK) {
        err = pn_file_replace(
            store->dir.fd, PN_STORE_ADDRESSES, b.data, b.len, &why);
    }
    pn_buf_fini(&b);
    return err == PN_OK
               ? PN_OK
               : pn_store_fail_file(store, error, err, PN_STORE_ADDRESSES, why);
}

static void adopt_addresses(pn_store *store, pn_address_list *list)
{
    pn_address_list_fini(&store->addresses);
    store->addresses = *list;
    *list = (pn_address_list){0};
}

/* Under edit.lock: adds one address to what is on disk. */
static pn_err add_address(pn_store *store, const pn_trust_list *trust,
    const pn_public_key *key, const char *address, bool is_manual,
    pn_store_error *error)
{
    pn_address_list list = {0};
    bool is_changed = false;
    pn_err err = pn_store_read_addresses(store, &list, error, NULL);

    if (err == PN_OK) {
        err = pn_address_list_add(&list, key, address, is_manual, &is_changed);
    }
    if (err == PN_OK && is_changed) {
        err = write_addresses(store, &list, trust, error);
    }
    if (err == PN_OK) {
        adopt_addresses(store, &list);
    }
    pn_address_list_fini(&list);
    return err;
}

/* Under edit.lock: forgets a peer's addresses, as far as that goes; a hint
 * about a stranger is never used. */
static void forget_addresses(pn_store *store, const pn_public_key *key)
{
    pn_address_list list = {0};

    if (pn_store_read_addresses(store, &list, NULL, NULL) == PN_OK
        && pn_address_list_remove(&list, key)
        && write_addresses(store, &list, &store->trust, NULL) == PN_OK) {
        adopt_addresses(store, &list);
    }
    pn_address_list_fini(&list);
}

pn_err pn_store_remember(
    pn_store *store, const pn_public_key *key, const char *address)
{
    bool is_changed;
    int lock_fd;
    pn_err err;

    if (!pn_address_is_plausible(address)) {
        return PN_INVALID;
    }
    if (PN_CHECK(store_remember_paired,
            pn_trust_list_find(&store->trust, key) == NULL)) {
        return PN_NOT_FOUND;
    }
    err = pn_address_list_add(
        &store->addresses, key, address, false, &is_changed);
    if (err != PN_OK || !is_changed) {
        return err;
    }
    err = pn_store_lock_edit(store, false, &lock_fd, NULL);
    if (err != PN_OK) {
        return err;
    }
    err = add_address(store, &store->trust, key, address, false, NULL);
    (void)close(lock_fd);
    return err;
}

/* ---- pair and unpair ---------------------------------------------------- */

static pn_err check_arguments(const pn_store *store, const pn_public_key *key,
    const char *label, const char *address, pn_store_error *error)
{
    if (PN_CHECK(store_own_key, pn_key_equal(key, pn_store_key(store)))) {
        return pn_store_fail(store, error, PN_INVALID, "",
            "this is our own key; pair with somebody else's");
    }
    if (label != NULL && !pn_label_is_valid(label)) {
        return pn_store_fail(store, error, PN_INVALID, "",
            "a label is UTF-8 text of at most 255 bytes without control "
            "characters");
    }
    if (address != NULL && !pn_address_is_plausible(address)) {
        return pn_store_fail(store, error, PN_INVALID, "",
            "an address is HOST:PORT of at most 63 bytes, an IPv6 host in "
            "brackets");
    }
    return PN_OK;
}

/* Adds to the list of the edit; the peer may be there, which is no error yet.
 */
static pn_err add_peer(pn_store *store, edit *e, const pn_public_key *key,
    const char *label, pn_store_error *error)
{
    pn_err err;

    if (pn_trust_list_find(&e->now, key) != NULL) {
        return PN_OK;
    }
    if (PN_CHECK(store_max_peers, e->now.n_entries >= store->max_peers)) {
        return pn_store_fail(store, error, PN_LIMIT, PN_STORE_TRUST,
            "lists as many peers as max_peers allows");
    }
    err = pn_trust_list_add(&e->now, key, label, pn_wall_now_us());
    if (err != PN_OK) {
        return pn_store_fail(
            store, error, err, PN_STORE_TRUST, pn_strerror(err));
    }
    e->is_dirty = true;
    return PN_OK;
}

pn_err pn_store_pair(pn_store *store, const pn_public_key *key,
    const char *label, const char *address, pn_store_error *ret_error)
{
    edit e = {0};
    bool was_there;
    pn_err err;

    pn_store_error_clear(ret_error);
    err = check_arguments(store, key, label, address, ret_error);
    if (err == PN_OK) {
        err = edit_begin(store, &e, ret_error);
    }
    if (err != PN_OK) {
        return err;
    }
    was_there = pn_trust_list_find(&e.now, key) != NULL;
    err = add_peer(store, &e, key, label, ret_error);
    /* The address first: an address without a peer is nothing, a peer without
     * the address that was asked for would be half an edit. */
    if (err == PN_OK && address != NULL) {
        err = add_address(store, &e.now, key, address, true, ret_error);
    }
    if (err == PN_OK) {
        err = edit_commit(store, &e, ret_error);
    }
    edit_end(&e);
    if (err == PN_OK && was_there) {
        return pn_store_fail(
            store, ret_error, PN_EXISTS, "", "this peer is already paired");
    }
    return err;
}

/* Cuts a peer off in memory, for as long as the store is open. */
static pn_err cut_off(pn_store *store, const pn_public_key *key)
{
    pn_public_key *grown;

    if (pn_trust_list_remove(&store->trust, key) == PN_OK) {
        store->is_changed = true;
    }
    for (size_t i = 0; i < store->n_cut; i++) {
        if (pn_key_equal(&store->cut[i], key)) {
            return PN_OK;
        }
    }
    grown = reallocarray(store->cut, store->n_cut + 1, sizeof(*store->cut));
    if (grown == NULL) {
        return PN_NOMEM;
    }
    grown[store->n_cut++] = *key;
    store->cut = grown;
    return PN_OK;
}

/* Takes a peer from the list on disk. Errors: PN_NOT_FOUND it was not there,
 * and there is nothing to complain about. */
static pn_err remove_on_disk(
    pn_store *store, const pn_public_key *key, pn_store_error *error)
{
    edit e = {0};
    bool was_there;
    pn_err err = edit_begin(store, &e, error);

    if (err != PN_OK) {
        return err;
    }
    was_there = pn_trust_list_remove(&e.now, key) == PN_OK;
    e.is_dirty = e.is_dirty || was_there;
    err = edit_commit(store, &e, error);
    if (err == PN_OK) {
        forget_addresses(store, key);
    }
    edit_end(&e);
    return err == PN_OK && !was_there ? PN_NOT_FOUND : err;
}

static bool is_cut(const pn_store *store, const pn_public_key *key)
{
    for (size_t i = 0; i < store->n_cut; i++) {
        if (pn_key_equal(&store->cut[i], key)) {
            return true;
        }
    }
    return false;
}

pn_err pn_store_unpair(
    pn_store *store, const pn_public_key *key, pn_store_error *ret_error)
{
    const bool was_known = is_cut(store, key)
                           || pn_trust_list_find(&store->trust, key) != NULL;
    pn_err err;

    pn_store_error_clear(ret_error);
    err = remove_on_disk(store, key, ret_error);
    if (err == PN_NOT_FOUND) {
        return was_known ? PN_OK
                         : pn_store_fail(store, ret_error, PN_NOT_FOUND, "",
                             "this peer is not paired");
    }
    /* Whatever the disk says: nobody stays paired against our word. */
    if (PN_CHECK(store_unpair_memory, err != PN_OK)
        && cut_off(store, key) != PN_OK) {
        return PN_NOMEM;
    }
    return err;
}

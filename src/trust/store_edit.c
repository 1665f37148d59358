/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Editing a data directory: pair, unpair, remember. Every edit takes edit.lock,
 * reads the file, changes and writes that list, and takes it into memory: two
 * editors at once lose nothing, and memory equals the disk (T23).
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/escape.h"
#include "base/mutant.h"
#include "os/clock.h"
#include "store_internal.h"

/* An edit under way. */
typedef struct edit {
    int lock_fd;
    bool is_dirty; /* the list is not what is on disk */
    pn_trust_list now;
} edit;

static pn_err edit_begin(pn_store *store, edit *e, pn_why *ret_why)
{
    pn_err err = pn_guarded_lock(&store->dir, true, &e->lock_fd, ret_why);

    if (err != PN_OK) {
        return err;
    }
    err = pn_store_read_trust(store, &e->now, ret_why, NULL);
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

/* Writes the list when it changed; takes it over in any case. */
static pn_err edit_commit(pn_store *store, edit *e, pn_why *ret_why)
{
    if (e->is_dirty) {
        pn_err err = pn_guarded_save(&store->dir, PN_STORE_TRUST,
            &pn_store_trust_format, &e->now, ret_why);

        if (err != PN_OK) {
            resync(store);
            return err;
        }
    }
    store->n_cut = 0;
    pn_store_adopt(store, &e->now);
    return PN_OK;
}

/* ---- addresses --------------------------------------------------------- */

/* Under edit.lock. Addresses of unpaired keys are dropped, so the trust list
 * bounds the file. */
static pn_err write_addresses(pn_store *store, pn_address_list *list,
    const pn_trust_list *trust, pn_why *ret_why)
{
    size_t n = 0;

    for (size_t i = 0; i < list->n_entries; i++) {
        const pn_peer_address *a = &list->entries[i];

        if (pn_trust_list_find(trust, &a->key) != NULL) {
            list->entries[n++] = *a;
        }
    }
    list->n_entries = n;
    return pn_guarded_save(&store->dir, PN_STORE_ADDRESSES,
        &pn_store_addresses_format, list, ret_why);
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
    pn_why *ret_why)
{
    pn_address_list list = {0};
    bool is_changed = false;
    pn_err err = pn_store_read_addresses(store, &list, ret_why, NULL);

    if (err == PN_OK) {
        err = pn_address_list_add(&list, key, address, is_manual, &is_changed);
    }
    if (err == PN_OK && is_changed) {
        err = write_addresses(store, &list, trust, ret_why);
    }
    if (err == PN_OK) {
        adopt_addresses(store, &list);
    }
    pn_address_list_fini(&list);
    return err;
}

/* Under edit.lock: forgets a peer's addresses. A failure is ignored, because
 * the address of an unpaired key is never used. */
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
    if (PN_REFUSE_IF(store_remember_paired,
            pn_trust_list_find(&store->trust, key) == NULL)) {
        return PN_NOT_FOUND;
    }
    err = pn_address_list_add(
        &store->addresses, key, address, false, &is_changed);
    if (err != PN_OK || !is_changed) {
        return err;
    }
    err = pn_guarded_lock(&store->dir, false, &lock_fd, NULL);
    if (err != PN_OK) {
        return err;
    }
    err = add_address(store, &store->trust, key, address, false, NULL);
    (void)close(lock_fd);
    return err;
}

/* ---- pair and unpair ---------------------------------------------------- */

/* "'TEXT' WHY" into ret_why (may be NULL). */
static pn_err refuse_text(pn_why *ret_why, const char *text, const char *why)
{
    enum { SHOWN = 64 };
    char shown[4 * SHOWN + 4];

    (void)pn_escape(text, strlen(text), SHOWN, shown, sizeof(shown));
    return pn_why_fail(ret_why, PN_INVALID, "'%s' %s", shown, why);
}

static pn_err check_arguments(const pn_store *store, const pn_public_key *key,
    const char *label, const char *address, pn_why *ret_why)
{
    if (PN_REFUSE_IF(store_own_key, pn_key_equal(key, pn_store_key(store)))) {
        return pn_why_fail(ret_why, PN_INVALID,
            "this is our own key; pair with somebody else's");
    }
    if (label != NULL && !pn_label_is_valid(label)) {
        return refuse_text(ret_why, label,
            "is no label, expected UTF-8 text of at most 255 bytes without "
            "control characters");
    }
    if (address != NULL && !pn_address_is_plausible(address)) {
        return refuse_text(ret_why, address,
            "is no address, expected HOST:PORT, HOST a name of at most 253 "
            "bytes, an IPv4 address or an IPv6 one in brackets");
    }
    return PN_OK;
}

/* A label that is given is what the owner wants the peer to be called now. */
static pn_err rename_peer(pn_store *store, edit *e, const pn_public_key *key,
    const char *label, pn_why *ret_why)
{
    bool is_changed = false;
    pn_err err;

    if (label == NULL) {
        return PN_OK;
    }
    err = pn_trust_list_relabel(&e->now, key, label, &is_changed);
    if (err != PN_OK) {
        return pn_guarded_fail(
            &store->dir, ret_why, err, PN_STORE_TRUST, "%s", pn_strerror(err));
    }
    e->is_dirty = e->is_dirty || is_changed;
    return PN_OK;
}

/* Grants to a key that was not paired are those of an earlier pairing, whose
 * end could not be written or was written by another program: they must not
 * come back with this one. A file that cannot be read grants nothing. */
static pn_err drop_old_grants(
    pn_store *store, const pn_public_key *key, pn_why *ret_why)
{
    const pn_principal who = pn_peernet_principal(key);
    pn_why why = {0};
    pn_err err = PN_SAFEGUARD(store_pair_grants)
                     ? pn_store_drop_grants(store, &who, &why)
                     : PN_OK;

    return err == PN_OK || err == PN_PERMISSION || err == PN_LIMIT
               ? PN_OK
               : pn_why_fail(ret_why, err, "%s", why.text);
}

/* Adds a peer to the list of the edit, or renames the one that is there. */
static pn_err add_peer(pn_store *store, edit *e, const pn_public_key *key,
    const char *label, pn_why *ret_why)
{
    pn_err err;

    if (pn_trust_list_find(&e->now, key) != NULL) {
        return rename_peer(store, e, key, label, ret_why);
    }
    if (PN_REFUSE_IF(store_max_peers, e->now.n_entries >= store->max_peers)) {
        return pn_guarded_fail(&store->dir, ret_why, PN_FULL, PN_STORE_TRUST,
            "lists as many peers as max_peers allows, expected fewer; unpair "
            "one, or raise max_peers");
    }
    err = drop_old_grants(store, key, ret_why);
    if (err != PN_OK) {
        return err;
    }
    err = pn_trust_list_add(&e->now, key, label, pn_wall_now_us());
    if (err != PN_OK) {
        return pn_guarded_fail(
            &store->dir, ret_why, err, PN_STORE_TRUST, "%s", pn_strerror(err));
    }
    e->is_dirty = true;
    return PN_OK;
}

pn_err pn_store_pair(pn_store *store, const pn_public_key *key,
    const char *label, const char *address, pn_why *ret_why)
{
    edit e = {0};
    bool was_there;
    pn_err err;

    pn_why_clear(ret_why);
    err = check_arguments(store, key, label, address, ret_why);
    if (err == PN_OK) {
        err = edit_begin(store, &e, ret_why);
    }
    if (err != PN_OK) {
        return err;
    }
    was_there = pn_trust_list_find(&e.now, key) != NULL;
    err = add_peer(store, &e, key, label, ret_why);
    /* The address first: an address without a peer is nothing, a peer without
     * the address that was asked for would be half an edit. */
    if (err == PN_OK && address != NULL) {
        err = add_address(store, &e.now, key, address, true, ret_why);
    }
    if (err == PN_OK) {
        err = edit_commit(store, &e, ret_why);
    }
    edit_end(&e);
    if (err == PN_OK && was_there) {
        return pn_guarded_fail(
            &store->dir, ret_why, PN_EXISTS, "", "this peer is already paired");
    }
    return err;
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

/* Removes a peer in memory, for as long as the store is open. A peer of the
 * list needs no memory: its room is reserved. */
static pn_err cut_off(pn_store *store, const pn_public_key *key)
{
    const size_t room = store->n_cut + store->trust.n_entries + 1;

    if (is_cut(store, key)) {
        return PN_OK;
    }
    if (pn_trust_list_remove(&store->trust, key) == PN_OK) {
        store->is_changed = true;
    } else if (pn_store_reserve_cut(store, room) != PN_OK) {
        return PN_NOMEM;
    }
    store->cut[store->n_cut++] = *key;
    return PN_OK;
}

/* Removes a peer, and the grants to it, on disk. Errors: PN_NOT_FOUND, without
 * a sentence, when it was not there; *ret_kept: only grants could not be
 * removed, for that. */
static pn_err remove_on_disk(pn_store *store, const pn_public_key *key,
    pn_err *ret_kept, pn_why *ret_why)
{
    const pn_principal who = pn_peernet_principal(key);
    edit e = {0};
    bool was_there;
    pn_why why_kept = {0};
    pn_err err = edit_begin(store, &e, ret_why);

    if (err != PN_OK) {
        return err;
    }
    /* The grants first: a peer without grants is less than it was, grants
     * without a peer would wait for it to be paired again. */
    if (PN_SAFEGUARD(store_unpair_grants)) {
        *ret_kept = pn_store_drop_grants(store, &who, &why_kept);
    }
    /* What cannot be read grants nothing, and does not hold this up. After a
     * failure of the system nothing was written. */
    if (*ret_kept != PN_OK && *ret_kept != PN_PERMISSION
        && *ret_kept != PN_LIMIT) {
        edit_end(&e);
        return pn_why_fail(ret_why, *ret_kept, "%s", why_kept.text);
    }
    was_there = pn_trust_list_remove(&e.now, key) == PN_OK;
    e.is_dirty = e.is_dirty || was_there;
    err = edit_commit(store, &e, ret_why);
    if (err == PN_OK) {
        forget_addresses(store, key);
        pn_why_set(ret_why, PN_REASON_NONE, "%s", why_kept.text);
    }
    edit_end(&e);
    return err == PN_OK && !was_there ? PN_NOT_FOUND : err;
}

pn_err pn_store_unpair(
    pn_store *store, const pn_public_key *key, pn_why *ret_why)
{
    const bool was_known = is_cut(store, key)
                           || pn_trust_list_find(&store->trust, key) != NULL;
    pn_err kept = PN_OK;
    bool was_pending;
    pn_err err;

    pn_why_clear(ret_why);
    was_pending = PN_SAFEGUARD(pending_unpair)
                  && pn_store_unpend(store, key, NULL) == PN_OK;
    err = remove_on_disk(store, key, &kept, ret_why);
    if (err == PN_NOT_FOUND) {
        return was_known || was_pending
                   ? kept
                   : pn_guarded_fail(&store->dir, ret_why, PN_NOT_FOUND, "",
                       "this peer is not paired");
    }
    /* A peer that was unpaired does not stay paired because a disk failed. */
    if (PN_REFUSE_IF(store_unpair_memory, err != PN_OK)
        && cut_off(store, key) != PN_OK) {
        return PN_NOMEM;
    }
    return err == PN_OK ? kept : err;
}

/* ---- pending pairings -----------------------------------------------------
 */

pn_err pn_store_complete(
    pn_store *store, const pn_public_key *key, pn_why *ret_why)
{
    const pn_pending *record;
    pn_pending_list list;
    edit e = {0};
    pn_err err;

    pn_why_clear(ret_why);
    err = edit_begin(store, &e, ret_why);
    if (err != PN_OK) {
        return err;
    }
    err = pn_store_read_pending(store, &list, ret_why);
    if (err == PN_OK) {
        record = pn_pending_find(&list, key, pn_wall_now_us() / 1000000);
        err = record == NULL
                  ? PN_NOT_FOUND
                  : add_peer(store, &e, key,
                      record->label[0] == '\0' ? NULL : record->label, ret_why);
    }
    if (err == PN_OK) {
        err = edit_commit(store, &e, ret_why);
    }
    if (err == PN_OK && pn_pending_remove(&list, key)) {
        /* A record that stays is of a key that is paired, and expires. */
        (void)!pn_store_write_pending(store, &list, NULL);
    }
    edit_end(&e);
    return err;
}

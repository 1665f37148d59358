/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A data directory: the formats on a guarded directory, opening, reading and
 * node.lock; see peernet/store.h and trust/store.h. Edits are in store_edit.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "os/file.h"
#include "store_internal.h"
#include "trust/identity.h"

#define IDENTITY "identity.keys"
#define NODE_LOCK "node.lock"
#define NODE_LOCK_TRIES 20 /* a millisecond apart */

enum {
    MAX_PEERS_LIMIT = 65536,
    /* More than any keyfile of any version, so that its content and not its
     * length decides the sentence. */
    IDENTITY_READ_MAX = 1024,
    /* An entry is 270 bytes and a label; originals may have long ones. */
    TRUST_BYTES_MIN = 1024 * 1024,
    TRUST_BYTES_PER_PEER = 1024,
    ADDRESS_LINE_MAX = 64 + PN_ADDRESS_CAP
};

_Static_assert(sizeof(((pn_store_peer *)0)->address) == PN_ADDRESS_CAP,
    "all that is stored is shown");

/* ---- the formats ------------------------------------------------------- */

static pn_err parse_identity(const void *owner, const uint8_t *data, size_t len,
    void *ret_pair, pn_why *ret_why)
{
    const char *why = "";
    pn_err err = pn_identity_read(data, len, ret_pair, &why);

    (void)owner;
    return pn_why_fail(ret_why, err, "%s", why);
}

static const pn_guarded_format identity_format = {
    .access = PN_GUARDED_OURS_OR_MOUNTED,
    .parse = parse_identity,
    .consequence = "it was left as it is; put a copy of it back",
    .too_long = "it is far too long for a keyfile",
};

static pn_err parse_trust(const void *owner, const uint8_t *data, size_t len,
    void *ret_list, pn_why *ret_why)
{
    const pn_store *store = owner;
    const char *why = "";
    pn_err err = pn_trust_list_read(
        data, len, store->max_peers, ret_list, &why);

    if (err == PN_LIMIT) {
        return pn_why_fail(ret_why, err,
            "lists more than the %zu peers that max_peers allows; it was left "
            "as it is; raise max_peers",
            store->max_peers);
    }
    return pn_why_fail(ret_why, err, "%s", why);
}

static pn_err write_trust(const void *list, pn_buf *out)
{
    return pn_trust_list_write(list, out);
}

const pn_guarded_format pn_store_trust_format = {
    .access = PN_GUARDED_OURS,
    .parse = parse_trust,
    .write = write_trust,
    .consequence =
        "it was left as it is; put a copy of it back, such as " PN_STORE_TRUST
        ".bak",
};

static size_t max_addresses(const pn_store *store)
{
    return store->max_peers * PN_ADDRESSES_PER_PEER;
}

static pn_err parse_addresses(const void *owner, const uint8_t *data,
    size_t len, void *ret_list, pn_why *ret_why)
{
    const char *why = "";
    pn_err err = pn_address_list_read(
        data, len, max_addresses(owner), ret_list, &why);

    return pn_why_fail(ret_why, err, "%s", why);
}

static pn_err write_addresses(const void *list, pn_buf *out)
{
    return pn_address_list_write(list, out);
}

const pn_guarded_format pn_store_addresses_format = {
    .access = PN_GUARDED_OURS,
    .parse = parse_addresses,
    .write = write_addresses,
    .consequence = "remembered addresses are not used, and it was left as it "
                   "is",
};

/* ---- the identity ------------------------------------------------------ */

/* PN_NOT_FOUND, without a sentence, when there is none yet. */
static pn_err load_identity(pn_store *store, pn_why *ret_why, pn_why *warning)
{
    return pn_guarded_load(&store->dir, IDENTITY, &identity_format, store,
        IDENTITY_READ_MAX, store->identity, ret_why, warning);
}

static pn_err write_new_identity(pn_store *store, pn_why *ret_why)
{
    uint8_t bytes[PN_IDENTITY_LEN];
    pn_err err = pn_random(
        store->identity->secret.bytes, sizeof(pn_secret_key));

    if (err == PN_OK) {
        err = pn_x25519_public(
            &store->identity->secret, &store->identity->public_key);
    }
    if (err != PN_OK) {
        return pn_guarded_fail(
            &store->dir, ret_why, err, IDENTITY, "no key could be generated");
    }
    pn_identity_write(store->identity, bytes);
    err = pn_guarded_create(&store->dir,
        &(pn_guarded_file){IDENTITY, bytes, sizeof(bytes)}, 1, ret_why);
    pn_wipe(bytes, sizeof(bytes));
    return err;
}

/* Two first starts at once must end with one key: this one looks again under
 * the lock, and never replaces the file of an original, which takes no lock. */
static pn_err create_identity(pn_store *store, pn_why *ret_why, pn_why *warning)
{
    int lock_fd;
    pn_err err = pn_guarded_lock(&store->dir, true, &lock_fd, ret_why);

    if (err != PN_OK) {
        return err;
    }
    err = load_identity(store, ret_why, warning);
    if (err == PN_NOT_FOUND) {
        err = write_new_identity(store, ret_why);
        if (err == PN_EXISTS) {
            err = load_identity(store, ret_why, warning);
        }
    }
    (void)close(lock_fd);
    return err;
}

/* ---- trust.bin and addresses ------------------------------------------- */

static size_t trust_bytes_max(const pn_store *store)
{
    const size_t by_peers = store->max_peers * TRUST_BYTES_PER_PEER;

    return by_peers > TRUST_BYTES_MIN ? by_peers : TRUST_BYTES_MIN;
}

pn_err pn_store_reserve_cut(pn_store *store, size_t n)
{
    pn_public_key *grown;

    if (n <= store->cut_cap) {
        return PN_OK;
    }
    grown = reallocarray(store->cut, n, sizeof(*grown));
    if (grown == NULL) {
        return PN_NOMEM;
    }
    store->cut = grown;
    store->cut_cap = n;
    return PN_OK;
}

pn_err pn_store_read_trust(
    pn_store *store, pn_trust_list *ret_list, pn_why *ret_why, pn_why *warning)
{
    pn_err err;

    *ret_list = (pn_trust_list){0};
    err = pn_guarded_load(&store->dir, PN_STORE_TRUST, &pn_store_trust_format,
        store, trust_bytes_max(store), ret_list, ret_why, warning);
    if (err == PN_NOT_FOUND) {
        err = PN_OK; /* no peer was ever paired */
    }
    if (err == PN_OK) {
        err = pn_store_reserve_cut(
            store, store->n_cut + ret_list->n_entries + 1);
    }
    if (err != PN_OK) {
        pn_trust_list_fini(ret_list);
    }
    return err;
}

bool pn_store_drop_cut(const pn_store *store, pn_trust_list *list)
{
    bool is_dropped = false;

    for (size_t i = 0; i < store->n_cut; i++) {
        if (pn_trust_list_remove(list, &store->cut[i]) == PN_OK) {
            is_dropped = true;
        }
    }
    return is_dropped;
}

void pn_store_adopt(pn_store *store, pn_trust_list *list)
{
    (void)pn_store_drop_cut(store, list);
    if (!pn_trust_list_equal(&store->trust, list)) {
        store->is_changed = true;
    }
    pn_trust_list_fini(&store->trust);
    store->trust = *list;
    *list = (pn_trust_list){0};
}

pn_err pn_store_read_addresses(const pn_store *store, pn_address_list *ret_list,
    pn_why *ret_why, pn_why *warning)
{
    pn_err err;

    *ret_list = (pn_address_list){0};
    err = pn_guarded_load(&store->dir, PN_STORE_ADDRESSES,
        &pn_store_addresses_format, store,
        (max_addresses(store) + 2) * ADDRESS_LINE_MAX, ret_list, ret_why,
        warning);
    return err == PN_NOT_FOUND ? PN_OK : err;
}

/* Addresses are hints: without them discovery or a person finds the peer. */
static void load_addresses(pn_store *store, pn_why *warning)
{
    pn_address_list list;
    pn_why why = {.text = ""};

    if (pn_store_read_addresses(store, &list, &why, warning) != PN_OK) {
        pn_why_add(warning, why.text);
    }
    pn_address_list_fini(&store->addresses);
    store->addresses = list;
}

/* ---- opening ----------------------------------------------------------- */

/* Removes temporary files of an edit that was killed, unless another edit is
 * under way. */
static void sweep(const pn_store *store)
{
    int fd;

    if (pn_guarded_lock(&store->dir, false, &fd, NULL) == PN_OK) {
        (void)close(fd);
    }
}

static pn_err load(
    pn_store *store, const char *data_dir, pn_why *ret_why, pn_why *warning)
{
    pn_trust_list trust;
    bool is_new = false;
    pn_err err = pn_guarded_open(data_dir, NULL, &store->dir, ret_why);

    if (err != PN_OK) {
        return err;
    }
    err = load_identity(store, ret_why, warning);
    if (err == PN_NOT_FOUND) {
        is_new = true;
        err = create_identity(store, ret_why, warning);
    } else if (err == PN_OK) {
        sweep(store);
    }
    if (err == PN_OK) {
        err = pn_store_read_trust(store, &trust, ret_why, warning);
    }
    if (err == PN_OK) {
        pn_store_adopt(store, &trust);
        store->is_changed = false;
        load_addresses(store, warning);
        pn_store_load_pending(store);
    }
    if (err == PN_OK && is_new && store->trust.n_entries > 0) {
        pn_guarded_warn(&store->dir, warning, IDENTITY,
            "was not there although peers are paired; it is a new one, and "
            "they know the old one");
    }
    return err;
}

pn_err pn_store_open_limited(const char *data_dir, size_t max_peers,
    pn_store **ret_store, pn_why *ret_why, pn_why *ret_warning)
{
    pn_store *store;
    pn_err err = PN_NOMEM;

    pn_why_clear(ret_why);
    pn_why_clear(ret_warning);
    if (max_peers < 1 || max_peers > MAX_PEERS_LIMIT) {
        return pn_why_fail(ret_why, PN_INVALID,
            "max_peers is %zu, expected 1 to %d", max_peers,
            (int)MAX_PEERS_LIMIT);
    }
    store = calloc(1, sizeof(*store));
    if (store == NULL) {
        return PN_NOMEM;
    }
    store->node_fd = -1;
    store->max_peers = max_peers;
    store->max_grants = PN_STORE_MAX_GRANTS;
    store->identity = pn_secure_alloc(sizeof(*store->identity));
    if (store->identity != NULL) {
        err = load(store, data_dir, ret_why, ret_warning);
    }
    if (err != PN_OK) {
        pn_store_close(store);
        return err;
    }
    *ret_store = store;
    return PN_OK;
}

pn_err pn_store_open(const char *data_dir, pn_store **ret_store,
    pn_why *ret_why, pn_why *ret_warning)
{
    return pn_store_open_limited(
        data_dir, PN_STORE_MAX_PEERS, ret_store, ret_why, ret_warning);
}

void pn_store_close(pn_store *store)
{
    if (store == NULL) {
        return;
    }
    pn_secure_free(store->identity, sizeof(*store->identity));
    pn_trust_list_fini(&store->trust);
    pn_address_list_fini(&store->addresses);
    free(store->cut);
    /* The lock is released last, so that its next holder finds no edit of ours
     * under way. */
    pn_guarded_close(&store->dir);
    pn_store_unlock_node(store);
    free(store);
}

/* ---- queries ----------------------------------------------------------- */

const pn_public_key *pn_store_key(const pn_store *store)
{
    return &store->identity->public_key;
}

const pn_key_pair *pn_store_identity(const pn_store *store)
{
    return store->identity;
}

const pn_trust_list *pn_store_trust(const pn_store *store)
{
    return &store->trust;
}

size_t pn_store_addresses(const pn_store *store, const pn_public_key *key,
    pn_peer_address ret_addresses[static PN_ADDRESSES_PER_PEER])
{
    return pn_address_list_of(&store->addresses, key, ret_addresses);
}

static void fill_peer(pn_store_peer *peer, const pn_trust_entry *e,
    const pn_address_list *addresses)
{
    pn_peer_address found[PN_ADDRESSES_PER_PEER];
    const size_t n = pn_address_list_of(addresses, &e->key, found);

    peer->key = e->key;
    peer->added_at_us = e->added_at_us;
    if (e->label != NULL) {
        (void)snprintf(peer->label, sizeof(peer->label), "%s", e->label);
    }
    if (n > 0 && found[0].is_manual) {
        (void)snprintf(
            peer->address, sizeof(peer->address), "%s", found[0].text);
    }
}

pn_err pn_store_peers(
    pn_store *store, pn_store_peer **ret_peers, size_t *ret_n, pn_why *ret_why)
{
    pn_trust_list now;
    pn_address_list addresses;
    pn_store_peer *peers;
    pn_err err;

    pn_why_clear(ret_why);
    err = pn_store_read_trust(store, &now, ret_why, NULL);
    if (err != PN_OK) {
        return err;
    }
    (void)pn_store_drop_cut(store, &now);
    (void)!pn_store_read_addresses(store, &addresses, NULL, NULL);
    peers = calloc(now.n_entries + 1, sizeof(*peers));
    if (peers == NULL) {
        err = PN_NOMEM;
    } else {
        for (size_t i = 0; i < now.n_entries; i++) {
            fill_peer(&peers[i], &now.entries[i], &addresses);
        }
        *ret_peers = peers;
        *ret_n = now.n_entries;
    }
    pn_trust_list_fini(&now);
    pn_address_list_fini(&addresses);
    return err;
}

/* ---- the node's lock and reloading -------------------------------------- */

/* Tries for some milliseconds, because pn_store_find_node may hold the lock for
 * a moment. */
static pn_err lock_node(const pn_guarded_dir *dir, int *ret_fd, int *ret_errno)
{
    pn_err err = PN_LOCKED;

    for (int i = 0; err == PN_LOCKED && i < NODE_LOCK_TRIES; i++) {
        if (i > 0) {
            (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        }
        err = pn_file_lock(dir->fd, NODE_LOCK, false, ret_fd, ret_errno);
    }
    return err;
}

pn_err pn_store_lock_dir(
    const pn_guarded_dir *dir, int *ret_fd, pn_why *ret_why)
{
    int why = 0;
    pn_err err = lock_node(dir, ret_fd, &why);

    if (err == PN_LOCKED) {
        return pn_guarded_fail(dir, ret_why, err, "",
            "another node uses this identity; stop it, or take another "
            "directory");
    }
    return err == PN_OK
               ? PN_OK
               : pn_guarded_fail_sys(dir, ret_why, err, NODE_LOCK, why);
}

pn_err pn_store_lock_node(pn_store *store, pn_why *ret_why)
{
    pn_err err;

    pn_why_clear(ret_why);
    if (store->node_fd >= 0) {
        return PN_OK;
    }
    err = pn_store_lock_dir(&store->dir, &store->node_fd, ret_why);
    if (err == PN_OK) {
        pn_file_lock_sign(store->node_fd);
    }
    return err;
}

pn_err pn_store_find_node(const char *data_dir, int64_t *ret_pid)
{
    int fd = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int why = 0;
    pn_err err;

    if (fd < 0) {
        return errno == ENOENT ? PN_NOT_FOUND : PN_SYS;
    }
    err = pn_file_lock_holder(fd, NODE_LOCK, ret_pid, &why);
    (void)close(fd);
    return err;
}

void pn_store_unlock_node(pn_store *store)
{
    if (store->node_fd >= 0) {
        (void)close(store->node_fd);
    }
    store->node_fd = -1;
}

pn_err pn_store_reload(pn_store *store, bool *ret_changed, pn_why *ret_why)
{
    pn_trust_list trust;
    pn_err err;

    pn_why_clear(ret_why);
    err = pn_store_read_trust(store, &trust, ret_why, NULL);
    if (err != PN_OK) {
        return err;
    }
    pn_store_adopt(store, &trust);
    load_addresses(store, NULL);
    pn_store_load_pending(store);
    if (ret_changed != NULL) {
        *ret_changed = store->is_changed;
    }
    store->is_changed = false;
    return PN_OK;
}

pn_guarded_dir *pn_store_dir(pn_store *store)
{
    return &store->dir;
}

bool pn_store_is_watched(const char *name)
{
    return strcmp(name, PN_STORE_TRUST) == 0
           || strcmp(name, PN_STORE_ADDRESSES) == 0
           || strcmp(name, PN_STORE_PENDING) == 0
           || strcmp(name, PN_STORE_GRANTS) == 0;
}

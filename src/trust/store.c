/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A data directory: opening, reading, locks and news; see peernet/store.h and
 * trust/store.h. Edits are in store_edit.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mutant.h"
#include "os/file.h"
#include "trust/identity.h"
#include "trust/store_impl.h"

#define IDENTITY "identity.keys"
#define NODE_LOCK "node.lock"

enum {
    MAX_PEERS_LIMIT = 65536,
    /* More than any keyfile of any version, so that its content and not its
     * length decides what we say of it. */
    IDENTITY_READ_MAX = 1024,
    /* An entry is 270 bytes and a label; originals may have long ones. */
    TRUST_BYTES_MIN = 1024 * 1024,
    TRUST_BYTES_PER_PEER = 1024,
    ADDRESS_LINE_MAX = 160
};

/* ---- sentences --------------------------------------------------------- */

pn_err pn_store_fail(const pn_store *store, pn_store_error *error, pn_err err,
    const char *name, const char *why)
{
    return pn_data_dir_fail(&store->dir, error, err, name, why);
}

pn_err pn_store_fail_file(const pn_store *store, pn_store_error *error,
    pn_err err, const char *name, int sys_errno)
{
    return pn_data_dir_fail_file(&store->dir, error, err, name, sys_errno);
}

void pn_store_warn(const pn_store *store, pn_store_error *warning,
    const char *name, const char *why)
{
    pn_data_dir_warn(&store->dir, warning, name, why);
}

static void warn_tightened(const pn_store *store, pn_store_error *warning,
    const char *name, bool is_tightened)
{
    if (is_tightened) {
        pn_store_warn(store, warning, name,
            "was open to other users; its mode is 0600 now");
    }
}

/* ---- the identity ------------------------------------------------------ */

static pn_err parse_identity(
    pn_store *store, const pn_buf *b, pn_store_error *error)
{
    const char *why = NULL;
    char text[200];
    pn_err err = pn_identity_read(b->data, b->len, store->identity, &why);

    if (err == PN_CORRUPT) {
        (void)snprintf(
            text, sizeof(text), "is damaged: %s; it was left as it is", why);
        return pn_store_fail(store, error, err, IDENTITY, text);
    }
    return err == PN_OK
               ? PN_OK
               : pn_store_fail(store, error, err, IDENTITY, pn_strerror(err));
}

/* PN_NOT_FOUND, without a sentence, when there is none yet. */
static pn_err load_identity(
    pn_store *store, pn_store_error *error, pn_store_error *warning)
{
    pn_buf b = {0};
    bool is_tightened = false;
    int why = 0;
    pn_err err = pn_buf_reserve(&b, IDENTITY_READ_MAX + 1);

    if (err == PN_OK) {
        err = pn_file_read(store->dir.fd, IDENTITY, IDENTITY_READ_MAX, &b,
            &is_tightened, &why);
    }
    if (err == PN_OK) {
        warn_tightened(store, warning, IDENTITY, is_tightened);
        err = parse_identity(store, &b, error);
    } else if (err == PN_LIMIT) {
        err = pn_store_fail(store, error, PN_CORRUPT, IDENTITY,
            "is damaged: it is far too long for a keyfile; it was left as it "
            "is");
    } else if (err != PN_NOT_FOUND) {
        err = pn_store_fail_file(store, error, err, IDENTITY, why);
    }
    if (b.data != NULL) {
        pn_wipe(b.data, b.cap);
    }
    pn_buf_fini(&b);
    return err;
}

static pn_err write_new_identity(pn_store *store, pn_store_error *error)
{
    uint8_t bytes[PN_IDENTITY_LEN];
    int why = 0;
    pn_err err = pn_random(
        store->identity->secret.bytes, sizeof(pn_secret_key));

    if (err == PN_OK) {
        err = pn_x25519_public(
            &store->identity->secret, &store->identity->public_key);
    }
    if (err != PN_OK) {
        return pn_store_fail(
            store, error, err, IDENTITY, "no key could be generated");
    }
    pn_identity_write(store->identity, bytes);
    err = pn_file_create(store->dir.fd, IDENTITY, bytes, sizeof(bytes), &why);
    pn_wipe(bytes, sizeof(bytes));
    return err == PN_OK || err == PN_EXISTS
               ? err
               : pn_store_fail_file(store, error, err, IDENTITY, why);
}

/* Two first starts at once must end with one key: under the lock, and the
 * file of whoever came first (an original takes no lock) is never replaced. */
static pn_err create_identity(
    pn_store *store, pn_store_error *error, pn_store_error *warning)
{
    int lock_fd;
    pn_err err = pn_store_lock_edit(store, true, &lock_fd, error);

    if (err != PN_OK) {
        return err;
    }
    err = load_identity(store, error, warning);
    if (err == PN_NOT_FOUND) {
        err = write_new_identity(store, error);
        if (err == PN_EXISTS) {
            err = load_identity(store, error, warning);
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

static pn_err fail_trust(
    const pn_store *store, pn_store_error *error, pn_err err, const char *why)
{
    char text[256];

    if (err == PN_LIMIT) {
        (void)snprintf(text, sizeof(text),
            "lists more than the %zu peers that max_peers allows; it was left "
            "as it is",
            store->max_peers);
    } else if (err == PN_CORRUPT) {
        (void)snprintf(
            text, sizeof(text), "is damaged: %s; it was left as it is", why);
    } else {
        (void)snprintf(text, sizeof(text), "%s", pn_strerror(err));
    }
    return pn_store_fail(store, error, err, PN_STORE_TRUST, text);
}

pn_err pn_store_read_trust(const pn_store *store, pn_trust_list *ret_list,
    pn_store_error *error, pn_store_error *warning)
{
    pn_buf b = {0};
    bool is_tightened = false;
    const char *text = "";
    int why;
    pn_err err = pn_file_read(store->dir.fd, PN_STORE_TRUST,
        trust_bytes_max(store), &b, &is_tightened, &why);

    *ret_list = (pn_trust_list){0};
    if (err == PN_OK) {
        warn_tightened(store, warning, PN_STORE_TRUST, is_tightened);
        err = pn_trust_list_read(
            b.data, b.len, store->max_peers, ret_list, &text);
        if (err != PN_OK) {
            err = fail_trust(store, error, err, text);
        }
    } else if (err == PN_NOT_FOUND) {
        err = PN_OK; /* nobody was ever paired */
    } else {
        err = pn_store_fail_file(store, error, err, PN_STORE_TRUST, why);
    }
    pn_buf_fini(&b);
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
    pn_store_error *error, pn_store_error *warning)
{
    const size_t max = store->max_peers * PN_ADDRESSES_PER_PEER;
    pn_buf b = {0};
    bool is_tightened = false;
    const char *text = "";
    char sentence[200];
    int why = 0;
    pn_err err = pn_file_read(store->dir.fd, PN_STORE_ADDRESSES,
        (max + 2) * ADDRESS_LINE_MAX, &b, &is_tightened, &why);

    if (err == PN_NOT_FOUND) {
        *ret_list = (pn_address_list){0};
        pn_buf_fini(&b);
        return PN_OK;
    }
    if (err != PN_OK) {
        pn_buf_fini(&b);
        return pn_store_fail_file(store, error, err, PN_STORE_ADDRESSES, why);
    }
    warn_tightened(store, warning, PN_STORE_ADDRESSES, is_tightened);
    err = pn_address_list_read(b.data, b.len, max, ret_list, &text);
    pn_buf_fini(&b);
    if (err == PN_OK) {
        return PN_OK;
    }
    (void)snprintf(sentence, sizeof(sentence),
        "is damaged: %s; remembered addresses are not used, and it was left "
        "as it is",
        err == PN_CORRUPT ? text : pn_strerror(err));
    return pn_store_fail(store, error, err, PN_STORE_ADDRESSES, sentence);
}

/* Addresses are hints: without them discovery or a person finds the peer. */
static void load_addresses(pn_store *store, pn_store_error *warning)
{
    pn_address_list list = {0};
    pn_store_error error = {.text = ""};
    size_t used;

    if (pn_store_read_addresses(store, &list, &error, warning) != PN_OK
        && warning != NULL) {
        used = strlen(warning->text);
        (void)snprintf(warning->text + used, sizeof(warning->text) - used,
            "%s%s", used > 0 ? "; " : "", error.text);
    }
    pn_address_list_fini(&store->addresses);
    store->addresses = list;
}

/* ---- opening ----------------------------------------------------------- */

pn_err pn_store_lock_edit(
    const pn_store *store, bool wait, int *ret_fd, pn_store_error *error)
{
    return pn_data_dir_lock(&store->dir, wait, ret_fd, error);
}

/* What an edit that was killed left behind goes at the next start, unless
 * somebody edits right now. */
static void sweep(const pn_store *store)
{
    int fd;

    if (pn_store_lock_edit(store, false, &fd, NULL) == PN_OK) {
        (void)close(fd);
    }
}

static pn_err load(pn_store *store, const char *data_dir, pn_store_error *error,
    pn_store_error *warning)
{
    pn_trust_list trust;
    bool is_new = false;
    pn_err err = pn_data_dir_open(data_dir, &store->dir, error);

    if (err != PN_OK) {
        return err;
    }
    err = load_identity(store, error, warning);
    if (err == PN_NOT_FOUND) {
        is_new = true;
        err = create_identity(store, error, warning);
    } else if (err == PN_OK) {
        sweep(store);
    }
    if (err == PN_OK) {
        err = pn_store_read_trust(store, &trust, error, warning);
    }
    if (err == PN_OK) {
        pn_store_adopt(store, &trust);
        store->is_changed = false;
        load_addresses(store, warning);
    }
    if (err == PN_OK && is_new && store->trust.n_entries > 0) {
        pn_store_warn(store, warning, IDENTITY,
            "was not there although peers are paired; it is a new one, and "
            "they know the old one");
    }
    return err;
}

pn_err pn_store_open_limited(const char *data_dir, size_t max_peers,
    pn_store **ret_store, pn_store_error *ret_error,
    pn_store_error *ret_warning)
{
    pn_store *store;
    pn_err err = PN_NOMEM;

    pn_store_error_clear(ret_error);
    pn_store_error_clear(ret_warning);
    if (max_peers < 1 || max_peers > MAX_PEERS_LIMIT) {
        if (ret_error != NULL) {
            (void)snprintf(ret_error->text, sizeof(ret_error->text),
                "max_peers is %zu, expected 1 to %d", max_peers,
                (int)MAX_PEERS_LIMIT);
        }
        return PN_INVALID;
    }
    store = calloc(1, sizeof(*store));
    if (store == NULL) {
        return PN_NOMEM;
    }
    store->dir.fd = -1;
    store->node_fd = -1;
    store->watch_fd = -1;
    store->max_peers = max_peers;
    store->identity = pn_secure_alloc(sizeof(*store->identity));
    if (store->identity != NULL) {
        err = load(store, data_dir, ret_error, ret_warning);
    }
    if (err != PN_OK) {
        pn_store_close(store);
        return err;
    }
    *ret_store = store;
    return PN_OK;
}

pn_err pn_store_open(const char *data_dir, pn_store **ret_store,
    pn_store_error *ret_error, pn_store_error *ret_warning)
{
    return pn_store_open_limited(
        data_dir, PN_STORE_MAX_PEERS, ret_store, ret_error, ret_warning);
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
    *fd = -1;
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
    /* The lock last: whoever takes it next finds nothing of ours under way. */
    close_fd(&store->watch_fd);
    pn_data_dir_close(&store->dir);
    close_fd(&store->node_fd);
    free(store);
}

pn_err pn_store_set_max_peers(pn_store *store, size_t max_peers)
{
    if (max_peers < 1 || max_peers > MAX_PEERS_LIMIT
        || max_peers < store->trust.n_entries) {
        return PN_INVALID;
    }
    store->max_peers = max_peers;
    return PN_OK;
}

/* ---- asking ------------------------------------------------------------ */

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

pn_err pn_store_peers(pn_store *store, pn_store_peer **ret_peers, size_t *ret_n,
    pn_store_error *ret_error)
{
    pn_trust_list now;
    pn_address_list addresses = {0};
    pn_store_peer *peers;
    pn_err err;

    pn_store_error_clear(ret_error);
    err = pn_store_read_trust(store, &now, ret_error, NULL);
    if (err != PN_OK) {
        return err;
    }
    (void)pn_store_drop_cut(store, &now);
    if (pn_store_read_addresses(store, &addresses, NULL, NULL) != PN_OK) {
        addresses = (pn_address_list){0};
    }
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

/* ---- the node's lock and news ------------------------------------------- */

pn_err pn_store_lock_node(pn_store *store, pn_store_error *ret_error)
{
    int why = 0;
    pn_err err;

    pn_store_error_clear(ret_error);
    if (store->node_fd >= 0) {
        return PN_OK;
    }
    err = pn_file_lock(store->dir.fd, NODE_LOCK, false, &store->node_fd, &why);
    if (err == PN_LOCKED) {
        return pn_store_fail(store, ret_error, err, "",
            "another node speaks with this identity");
    }
    return err == PN_OK
               ? PN_OK
               : pn_store_fail_file(store, ret_error, err, NODE_LOCK, why);
}

void pn_store_unlock_node(pn_store *store)
{
    close_fd(&store->node_fd);
}

pn_err pn_store_reload(
    pn_store *store, bool *ret_changed, pn_store_error *ret_error)
{
    pn_trust_list trust;
    pn_err err;

    pn_store_error_clear(ret_error);
    err = pn_store_read_trust(store, &trust, ret_error, NULL);
    if (err != PN_OK) {
        return err;
    }
    pn_store_adopt(store, &trust);
    load_addresses(store, NULL);
    if (ret_changed != NULL) {
        *ret_changed = store->is_changed;
    }
    store->is_changed = false;
    return PN_OK;
}

int pn_store_watch_fd(pn_store *store)
{
    int why;

    if (store->watch_fd < 0
        && pn_dir_watch(store->dir.fd, &store->watch_fd, &why) != PN_OK) {
        store->watch_fd = -1;
    }
    return store->watch_fd;
}

static bool is_ours(const char *name)
{
    return strcmp(name, PN_STORE_TRUST) == 0
           || strcmp(name, PN_STORE_ADDRESSES) == 0;
}

bool pn_store_watch_read(pn_store *store)
{
    return store->watch_fd >= 0 && pn_dir_watch_read(store->watch_fd, is_ours);
}

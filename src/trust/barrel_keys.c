/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The identity of a Barrel node; see barrel_keys.h.
 *
 * Two files cannot appear at once, so node.pub always comes first and node.key
 * decides. A first start that is cut off between them leaves node.pub alone:
 * refused, no secret was ever in use, and a person removes it. A rotation that
 * is cut off between them leaves the old node.key and, beside the new node.pub,
 * the old one as node.pub.bak: the next start takes that back. The rename of
 * node.key is the moment at which the identity changes.
 */
#include "trust/barrel_keys.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mutant.h"
#include "os/file.h"
#include "trust/backup.h"
#include "trust/key_file.h"

#define KEY "node.key"
#define PUB "node.pub"
#define KEY_BAK KEY ".bak"
#define PUB_BAK PUB ".bak"

struct pn_barrel_keys {
    pn_data_dir dir;
    pn_key_pair *pair; /* secure memory */
};

/* ---- reading ----------------------------------------------------------- */

/* Both halves as they stand there, or PN_NOT_FOUND when neither is. */
static pn_err read_halves(
    const pn_data_dir *dir, pn_key_pair *pair, pn_store_error *error)
{
    const pn_err key = pn_key_file_read(
        dir, KEY, PN_FILE_SECRET, pair->secret.bytes, error);
    pn_err pub;

    if (key != PN_OK && key != PN_NOT_FOUND) {
        return key;
    }
    pub = pn_key_file_read(
        dir, PUB, PN_FILE_PUBLIC, pair->public_key.bytes, error);
    if (pub != PN_OK && pub != PN_NOT_FOUND) {
        return pub;
    }
    if (PN_CHECK(keys_half_key, key == PN_NOT_FOUND && pub == PN_OK)) {
        return pn_data_dir_fail(dir, error, PN_CORRUPT, KEY,
            "is not there although " PUB " is, expected both or neither");
    }
    if (PN_CHECK(keys_half_pub, key == PN_OK && pub == PN_NOT_FOUND)) {
        return pn_data_dir_fail(dir, error, PN_CORRUPT, PUB,
            "is not there although " KEY " is, expected both or neither");
    }
    return key == PN_OK ? pub : key;
}

/* PN_NOT_FOUND, without a sentence, when there is none yet. */
static pn_err load(
    const pn_data_dir *dir, pn_key_pair *pair, pn_store_error *error)
{
    pn_public_key derived;
    pn_err err = read_halves(dir, pair, error);

    if (err != PN_OK) {
        return err;
    }
    err = pn_ed25519_public(&pair->secret, &derived);
    if (err != PN_OK) {
        return pn_data_dir_fail(dir, error, err, KEY, pn_strerror(err));
    }
    /* Peers would know us by a key we cannot speak for (T20). */
    if (PN_CHECK(keys_pair, !pn_key_equal(&derived, &pair->public_key))) {
        return pn_data_dir_fail(dir, error, PN_CORRUPT, PUB,
            "does not belong to " KEY ", expected its public key");
    }
    return PN_OK;
}

/* True when a rotation was cut off between the two files, and node.pub is the
 * one of node.key again. Under the lock. */
static bool mend_rotation(const pn_data_dir *dir, pn_key_pair *pair)
{
    pn_public_key derived;
    int why;

    return pn_key_file_read(dir, KEY, PN_FILE_SECRET, pair->secret.bytes, NULL)
               == PN_OK
           && pn_key_file_read(
                  dir, PUB_BAK, PN_FILE_PUBLIC, pair->public_key.bytes, NULL)
                  == PN_OK
           && pn_ed25519_public(&pair->secret, &derived) == PN_OK
           && pn_key_equal(&derived, &pair->public_key)
           && pn_file_restore(dir->fd, PUB, &why) == PN_OK;
}

/* ---- writing ----------------------------------------------------------- */

static pn_err generate(
    const pn_data_dir *dir, pn_key_pair *ret_pair, pn_store_error *error)
{
    pn_err err = pn_random(
        ret_pair->secret.bytes, sizeof(ret_pair->secret.bytes));

    if (err == PN_OK) {
        err = pn_ed25519_public(&ret_pair->secret, &ret_pair->public_key);
    }
    return err == PN_OK ? PN_OK
                        : pn_data_dir_fail(
                            dir, error, err, KEY, "no key could be generated");
}

static pn_err create_half(const pn_data_dir *dir, const char *name,
    const uint8_t bytes[static PN_KEY_LEN], pn_store_error *error)
{
    int why = 0;
    pn_err err = pn_file_create(dir->fd, name, bytes, PN_KEY_LEN, &why);

    if (err == PN_EXISTS) {
        return pn_data_dir_fail(dir, error, err, name,
            "appeared while a new key was made, expected none; start again");
    }
    return err == PN_OK ? PN_OK
                        : pn_data_dir_fail_file(dir, error, err, name, why);
}

/* Under the lock, with neither file there. */
static pn_err create(
    const pn_data_dir *dir, pn_key_pair *pair, pn_store_error *error)
{
    int why;
    pn_err err = generate(dir, pair, error);

    if (err == PN_OK) {
        err = create_half(dir, PUB, pair->public_key.bytes, error);
    }
    if (err != PN_OK) {
        return err;
    }
    err = create_half(dir, KEY, pair->secret.bytes, error);
    if (err != PN_OK && err != PN_EXISTS) {
        (void)!pn_file_remove(dir->fd, PUB, &why);
    }
    return err;
}

/* What can only be decided while nobody else writes: whether to make a pair,
 * and whether one that does not fit was just being rotated. */
static pn_err settle(const pn_data_dir *dir, pn_key_pair *pair, bool may_create,
    pn_store_error *error, pn_store_error *warning)
{
    pn_err err = load(dir, pair, error);

    if (err == PN_CORRUPT && mend_rotation(dir, pair)) {
        pn_data_dir_warn(dir, warning, PUB,
            "was of a rotation that did not finish; the old one is back");
        err = load(dir, pair, error);
    }
    if (err == PN_NOT_FOUND && may_create) {
        err = create(dir, pair, error);
    }
    return err;
}

static pn_err load_or_settle(const pn_data_dir *dir, pn_key_pair *pair,
    bool may_create, pn_store_error *error, pn_store_error *warning)
{
    const pn_err err = load(dir, pair, error);
    int lock_fd;
    pn_err locked;

    if (err != PN_CORRUPT && !(err == PN_NOT_FOUND && may_create)) {
        return err;
    }
    /* Where nothing can be written, what was found is what there is to say. */
    locked = pn_data_dir_lock(
        dir, true, &lock_fd, err == PN_NOT_FOUND ? error : NULL);
    if (locked != PN_OK) {
        return err == PN_NOT_FOUND ? locked : err;
    }
    locked = settle(dir, pair, may_create, error, warning);
    (void)close(lock_fd);
    return locked;
}

/* ---- opening ----------------------------------------------------------- */

pn_err pn_barrel_keys_open(const char *key_dir, pn_barrel_keys **ret_keys,
    pn_store_error *ret_error, pn_store_error *ret_warning)
{
    pn_barrel_keys *keys = calloc(1, sizeof(*keys));
    pn_err err = PN_NOMEM;

    pn_store_error_clear(ret_error);
    pn_store_error_clear(ret_warning);
    if (keys == NULL) {
        return PN_NOMEM;
    }
    keys->dir.fd = -1;
    keys->pair = pn_secure_alloc(sizeof(*keys->pair));
    if (keys->pair != NULL) {
        err = pn_data_dir_open(key_dir, &keys->dir, ret_error);
    }
    if (err == PN_OK) {
        err = load_or_settle(
            &keys->dir, keys->pair, true, ret_error, ret_warning);
    }
    if (err != PN_OK) {
        pn_barrel_keys_close(keys);
        return err;
    }
    pn_store_error_clear(ret_error);
    *ret_keys = keys;
    return PN_OK;
}

void pn_barrel_keys_close(pn_barrel_keys *keys)
{
    if (keys == NULL) {
        return;
    }
    pn_secure_free(keys->pair, sizeof(*keys->pair));
    pn_data_dir_close(&keys->dir);
    free(keys);
}

const pn_key_pair *pn_barrel_keys_pair(const pn_barrel_keys *keys)
{
    return keys->pair;
}

pn_err pn_barrel_keys_reload(
    pn_barrel_keys *keys, bool *ret_changed, pn_store_error *ret_error)
{
    pn_key_pair *now = pn_secure_alloc(sizeof(*now));
    pn_err err;

    pn_store_error_clear(ret_error);
    if (now == NULL) {
        return PN_NOMEM;
    }
    err = load_or_settle(&keys->dir, now, false, ret_error, NULL);
    if (err == PN_NOT_FOUND) {
        err = pn_data_dir_fail(&keys->dir, ret_error, err, KEY,
            "is not there any more, expected the node's key");
    }
    if (err == PN_OK) {
        if (ret_changed != NULL) {
            *ret_changed = !pn_key_equal(
                &now->public_key, &keys->pair->public_key);
        }
        *keys->pair = *now;
        pn_store_error_clear(ret_error);
    }
    pn_secure_free(now, sizeof(*now));
    return err;
}

/* ---- rotation ---------------------------------------------------------- */

/* The copies that replacing leaves beside the files; backups has them. */
static void remove_leftovers(const pn_data_dir *dir)
{
    int why;

    (void)!pn_file_remove(dir->fd, KEY_BAK, &why);
    (void)!pn_file_remove(dir->fd, PUB_BAK, &why);
}

static pn_err replace_half(const pn_data_dir *dir, const char *name,
    const uint8_t bytes[static PN_KEY_LEN], pn_store_error *error)
{
    int why = 0;
    pn_err err = pn_file_replace(dir->fd, name, bytes, PN_KEY_LEN, &why);

    return err == PN_OK ? PN_OK
                        : pn_data_dir_fail_file(dir, error, err, name, why);
}

/* Puts the old node.pub back, if need be by writing it again: a file system
 * may know no second names, and then there is no node.pub.bak. */
static void put_back(const pn_data_dir *dir, const pn_public_key *old)
{
    int why;

    if (pn_file_restore(dir->fd, PUB, &why) != PN_OK) {
        (void)!pn_file_replace(dir->fd, PUB, old->bytes, PN_KEY_LEN, &why);
    }
}

static pn_err replace_pair(const pn_data_dir *dir, const pn_key_pair *old,
    const pn_key_pair *new, pn_store_error *error)
{
    pn_err err = replace_half(dir, PUB, new->public_key.bytes, error);

    if (err != PN_OK) {
        return err;
    }
    err = replace_half(dir, KEY, new->secret.bytes, error);
    if (err != PN_OK) {
        put_back(dir, &old->public_key);
        return err;
    }
    remove_leftovers(dir);
    return PN_OK;
}

/* Under the lock; pairs[0] becomes the old pair, pairs[1] the new one. */
static pn_err rotate(pn_barrel_keys *keys, pn_key_pair pairs[static 2],
    int64_t wall_us, char **ret_backup, pn_store_error *error)
{
    static const char *const names[PN_BACKUP_FILES] = {KEY, PUB};
    const pn_data_dir *dir = &keys->dir;
    char *backup = NULL;
    pn_err err = settle(dir, &pairs[0], false, error, NULL);

    if (err == PN_NOT_FOUND) {
        return pn_data_dir_fail(dir, error, err, KEY,
            "is not there any more, expected the key to rotate");
    }
    if (err == PN_OK) {
        err = generate(dir, &pairs[1], error);
    }
    if (err == PN_OK) {
        err = pn_backup_make(dir, names, wall_us, &backup, error);
    }
    if (err != PN_OK) {
        return err;
    }
    err = replace_pair(dir, &pairs[0], &pairs[1], error);
    if (err != PN_OK) {
        free(backup);
        return err;
    }
    *keys->pair = pairs[1];
    *ret_backup = backup;
    return PN_OK;
}

pn_err pn_barrel_keys_rotate(pn_barrel_keys *keys, int64_t wall_us,
    char **ret_backup, pn_store_error *ret_error)
{
    pn_key_pair *pairs = pn_secure_alloc(2 * sizeof(*pairs));
    int lock_fd;
    pn_err err = PN_NOMEM;

    pn_store_error_clear(ret_error);
    if (pairs != NULL) {
        err = pn_data_dir_lock(&keys->dir, true, &lock_fd, ret_error);
    }
    if (err == PN_OK) {
        err = rotate(keys, pairs, wall_us, ret_backup, ret_error);
        (void)close(lock_fd);
    }
    pn_secure_free(pairs, 2 * sizeof(*pairs));
    return err;
}

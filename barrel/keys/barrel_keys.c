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
#include "keys/barrel_keys.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mutant.h"
#include "keys/key_file.h"
#include "trust/guarded_pair.h"

#define KEY "node.key"
#define PUB "node.pub"
#define PUB_BAK PUB ".bak"

struct pn_barrel_keys {
    pn_guarded_dir dir;
    pn_ed25519_pair *pair; /* secure memory */
};

/* ---- reading ----------------------------------------------------------- */

/* Reads both halves; PN_NOT_FOUND when neither file is there. */
static pn_err read_halves(
    const pn_guarded_dir *dir, pn_ed25519_pair *pair, pn_why *ret_why)
{
    const pn_err key = pn_key_file_read(
        dir, KEY, PN_GUARDED_SECRET, pair->secret.bytes, ret_why);
    pn_err pub;

    if (key != PN_OK && key != PN_NOT_FOUND) {
        return key;
    }
    pub = pn_key_file_read(
        dir, PUB, PN_GUARDED_PUBLIC, pair->public_key.bytes, ret_why);
    if (pub != PN_OK && pub != PN_NOT_FOUND) {
        return pub;
    }
    if (PN_REFUSE_IF(keys_half_key, key == PN_NOT_FOUND && pub == PN_OK)) {
        return pn_guarded_fail(dir, ret_why, PN_CORRUPT, KEY,
            "is not there although " PUB " is, expected both or neither");
    }
    if (PN_REFUSE_IF(keys_half_pub, key == PN_OK && pub == PN_NOT_FOUND)) {
        return pn_guarded_fail(dir, ret_why, PN_CORRUPT, PUB,
            "is not there although " KEY " is, expected both or neither");
    }
    return key == PN_OK ? pub : key;
}

/* PN_NOT_FOUND, without a sentence, when there is none yet. */
static pn_err load(
    const pn_guarded_dir *dir, pn_ed25519_pair *pair, pn_why *ret_why)
{
    pn_ed25519_key derived;
    pn_err err = read_halves(dir, pair, ret_why);

    if (err != PN_OK) {
        return err;
    }
    err = pn_ed25519_public(&pair->secret, &derived);
    if (err != PN_OK) {
        return pn_guarded_fail(dir, ret_why, err, KEY, "%s", pn_strerror(err));
    }
    /* Peers would know us by a key that we cannot prove (T20). */
    if (PN_REFUSE_IF(
            keys_pair, !pn_ed25519_key_equal(&derived, &pair->public_key))) {
        return pn_guarded_fail(dir, ret_why, PN_CORRUPT, PUB,
            "does not belong to " KEY ", expected its public key");
    }
    return PN_OK;
}

/* True when a rotation was cut off between the two files, and node.pub belongs
 * to node.key again. Under the lock. */
static bool mend_rotation(const pn_guarded_dir *dir, pn_ed25519_pair *pair)
{
    pn_ed25519_key derived;

    return pn_key_file_read(
               dir, KEY, PN_GUARDED_SECRET, pair->secret.bytes, NULL)
               == PN_OK
           && pn_key_file_read(
                  dir, PUB_BAK, PN_GUARDED_PUBLIC, pair->public_key.bytes, NULL)
                  == PN_OK
           && pn_ed25519_public(&pair->secret, &derived) == PN_OK
           && pn_ed25519_key_equal(&derived, &pair->public_key)
           && pn_guarded_restore(dir, PUB) == PN_OK;
}

/* ---- writing ----------------------------------------------------------- */

static pn_err generate(
    const pn_guarded_dir *dir, pn_ed25519_pair *ret_pair, pn_why *ret_why)
{
    pn_err err = pn_random(
        ret_pair->secret.bytes, sizeof(ret_pair->secret.bytes));

    if (err == PN_OK) {
        err = pn_ed25519_public(&ret_pair->secret, &ret_pair->public_key);
    }
    return err == PN_OK ? PN_OK
                        : pn_guarded_fail(dir, ret_why, err, KEY,
                            "no key could be generated");
}

/* node.pub first, as node.key decides. */
static void pair_files(const pn_ed25519_pair *pair,
    pn_guarded_file ret_files[static PN_PAIR_FILES])
{
    ret_files[0] = (pn_guarded_file){PUB, pair->public_key.bytes, PN_KEY_LEN};
    ret_files[1] = (pn_guarded_file){KEY, pair->secret.bytes, PN_KEY_LEN};
}

/* Under the lock, with neither file there. */
static pn_err create(
    const pn_guarded_dir *dir, pn_ed25519_pair *pair, pn_why *ret_why)
{
    pn_guarded_file files[PN_PAIR_FILES];
    pn_err err = generate(dir, pair, ret_why);

    if (err != PN_OK) {
        return err;
    }
    pair_files(pair, files);
    err = pn_guarded_create(dir, files, PN_PAIR_FILES, ret_why);
    return err == PN_EXISTS ? pn_guarded_fail(dir, ret_why, err, KEY,
               "or " PUB " appeared while a new key was made, expected "
               "neither; start again")
                            : err;
}

/* Makes a pair, or repairs a rotation that was cut off; under the lock, because
 * a pair that does not fit may be one that is being rotated. */
static pn_err settle(const pn_guarded_dir *dir, pn_ed25519_pair *pair,
    bool may_create, pn_why *ret_why, pn_why *warning)
{
    pn_err err = load(dir, pair, ret_why);

    if (err == PN_CORRUPT && mend_rotation(dir, pair)) {
        (void)!pn_guarded_fail(dir, warning, PN_OK, PUB,
            "was of a rotation that did not finish; the old one is back");
        err = load(dir, pair, ret_why);
    }
    if (err == PN_NOT_FOUND && may_create) {
        err = create(dir, pair, ret_why);
    }
    return err;
}

static pn_err load_or_settle(const pn_guarded_dir *dir, pn_ed25519_pair *pair,
    bool may_create, pn_why *ret_why, pn_why *warning)
{
    const pn_err err = load(dir, pair, ret_why);
    int lock_fd;
    pn_err locked;

    if (err != PN_CORRUPT && !(err == PN_NOT_FOUND && may_create)) {
        return err;
    }
    /* Without a lock the error of the load is the one to report. */
    locked = pn_guarded_lock(
        dir, true, &lock_fd, err == PN_NOT_FOUND ? ret_why : NULL);
    if (locked != PN_OK) {
        return err == PN_NOT_FOUND ? locked : err;
    }
    locked = settle(dir, pair, may_create, ret_why, warning);
    (void)close(lock_fd);
    return locked;
}

/* ---- opening ----------------------------------------------------------- */

pn_err pn_barrel_keys_open(const char *key_dir, pn_barrel_keys **ret_keys,
    pn_why *ret_why, pn_why *ret_warning)
{
    pn_barrel_keys *keys = calloc(1, sizeof(*keys));
    pn_err err = PN_NOMEM;

    pn_why_clear(ret_why);
    pn_why_clear(ret_warning);
    if (keys == NULL) {
        return PN_NOMEM;
    }
    keys->pair = pn_secure_alloc(sizeof(*keys->pair));
    if (keys->pair != NULL) {
        err = pn_guarded_open(key_dir, NULL, &keys->dir, ret_why);
    }
    if (err == PN_OK) {
        err = load_or_settle(
            &keys->dir, keys->pair, true, ret_why, ret_warning);
    }
    if (err != PN_OK) {
        pn_barrel_keys_close(keys);
        return err;
    }
    pn_why_clear(ret_why);
    *ret_keys = keys;
    return PN_OK;
}

void pn_barrel_keys_close(pn_barrel_keys *keys)
{
    if (keys == NULL) {
        return;
    }
    pn_secure_free(keys->pair, sizeof(*keys->pair));
    pn_guarded_close(&keys->dir);
    free(keys);
}

const pn_ed25519_pair *pn_barrel_keys_pair(const pn_barrel_keys *keys)
{
    return keys->pair;
}

pn_err pn_barrel_keys_reload(
    pn_barrel_keys *keys, bool *ret_changed, pn_why *ret_why)
{
    pn_ed25519_pair *now = pn_secure_alloc(sizeof(*now));
    pn_err err;

    pn_why_clear(ret_why);
    if (now == NULL) {
        return PN_NOMEM;
    }
    err = load_or_settle(&keys->dir, now, false, ret_why, NULL);
    if (err == PN_NOT_FOUND) {
        err = pn_guarded_fail(&keys->dir, ret_why, err, KEY,
            "is not there any more, expected the node's key");
    }
    if (err == PN_OK) {
        if (ret_changed != NULL) {
            *ret_changed = !pn_ed25519_key_equal(
                &now->public_key, &keys->pair->public_key);
        }
        *keys->pair = *now;
        pn_why_clear(ret_why);
    }
    pn_secure_free(now, sizeof(*now));
    return err;
}

/* ---- rotation ---------------------------------------------------------- */

/* Under the lock; pairs[0] becomes the old pair, pairs[1] the new one. */
static pn_err rotate(pn_barrel_keys *keys, pn_ed25519_pair pairs[static 2],
    int64_t wall_us, char **ret_backup, pn_why *ret_why)
{
    const pn_guarded_dir *dir = &keys->dir;
    pn_guarded_file old[PN_PAIR_FILES];
    pn_guarded_file new[PN_PAIR_FILES];
    pn_err err = settle(dir, &pairs[0], false, ret_why, NULL);

    if (err == PN_NOT_FOUND) {
        return pn_guarded_fail(dir, ret_why, err, KEY,
            "is not there any more, expected the key to rotate");
    }
    if (err == PN_OK) {
        err = generate(dir, &pairs[1], ret_why);
    }
    if (err == PN_OK) {
        pair_files(&pairs[0], old);
        pair_files(&pairs[1], new);
        err = pn_pair_rotate(dir, new, &old[0], wall_us, ret_backup, ret_why);
    }
    if (err == PN_OK) {
        *keys->pair = pairs[1];
    }
    return err;
}

pn_err pn_barrel_keys_rotate(
    pn_barrel_keys *keys, int64_t wall_us, char **ret_backup, pn_why *ret_why)
{
    pn_ed25519_pair *pairs = pn_secure_alloc(2 * sizeof(*pairs));
    int lock_fd;
    pn_err err = PN_NOMEM;

    pn_why_clear(ret_why);
    if (pairs != NULL) {
        err = pn_guarded_lock(&keys->dir, true, &lock_fd, ret_why);
    }
    if (err == PN_OK) {
        err = rotate(keys, pairs, wall_us, ret_backup, ret_why);
        (void)close(lock_fd);
    }
    pn_secure_free(pairs, 2 * sizeof(*pairs));
    return err;
}

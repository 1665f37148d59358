/* SPDX-License-Identifier: Apache-2.0 */
/* The key directory without a node, for the program's commands. */
#include <stdlib.h>
#include <string.h>

#include <peernet/barrel.h>

#include "barrel_internal.h"
#include "keys/key_file.h"
#include "os/clock.h"
#include "quic/certificate.h"

struct pn_barrel_store {
    pn_barrel_keys *keys;
    pn_pins *pins;
};

pn_err pn_barrel_store_open(const char *key_dir, pn_barrel_store **ret_store,
    pn_why *ret_why, pn_why *warning)
{
    pn_barrel_store *store = calloc(1, sizeof(*store));
    pn_pins_options options = {0};
    pn_err err;

    if (store == NULL) {
        return PN_NOMEM;
    }
    err = pn_barrel_keys_open(key_dir, &store->keys, ret_why, warning);
    if (err == PN_OK) {
        options.own_key = pn_barrel_store_key(store);
        err = pn_pins_open(key_dir, &options, &store->pins, ret_why, warning);
    }
    if (err != PN_OK) {
        pn_barrel_store_close(store);
        return err;
    }
    *ret_store = store;
    return PN_OK;
}

void pn_barrel_store_close(pn_barrel_store *store)
{
    if (store == NULL) {
        return;
    }
    pn_pins_close(store->pins);
    pn_barrel_keys_close(store->keys);
    free(store);
}

const pn_ed25519_key *pn_barrel_store_key(const pn_barrel_store *store)
{
    return &pn_barrel_keys_pair(store->keys)->public_key;
}

pn_err pn_barrel_pins_copy(
    const pn_pins *from, pn_barrel_pin **ret_pins, size_t *ret_n)
{
    size_t n = 0;
    const pn_pin *pins = pn_pins_all(from, &n);
    pn_barrel_pin *copies = calloc(n + 1, sizeof(*copies));

    if (copies == NULL) {
        return PN_NOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        memcpy(copies[i].name, pins[i].name, strlen(pins[i].name) + 1);
        copies[i].key = pins[i].key;
    }
    *ret_pins = copies;
    *ret_n = n;
    return PN_OK;
}

pn_err pn_barrel_store_pins(
    pn_barrel_store *store, pn_barrel_pin **ret_pins, size_t *ret_n)
{
    return pn_barrel_pins_copy(store->pins, ret_pins, ret_n);
}

pn_err pn_barrel_store_pin(pn_barrel_store *store, const char *name,
    const pn_ed25519_key *key, pn_why *ret_why)
{
    return pn_pins_pin(store->pins, name, key, ret_why);
}

pn_err pn_barrel_store_unpin(
    pn_barrel_store *store, const char *name, pn_why *ret_why)
{
    return pn_pins_unpin(store->pins, name, ret_why);
}

pn_err pn_barrel_read_key(
    const char *path, pn_ed25519_key *ret_key, pn_why *ret_why)
{
    return pn_key_file_given(path, ret_key, ret_why);
}

pn_err pn_barrel_store_rotate(
    pn_barrel_store *store, char **ret_backup, pn_why *ret_why)
{
    pn_err err = pn_barrel_keys_rotate(
        store->keys, (int64_t)pn_wall_now_us(), ret_backup, ret_why);

    if (err == PN_OK) {
        err = pn_pins_set_own(store->pins, NULL, pn_barrel_store_key(store));
    }
    return err;
}

pn_err pn_barrel_rotate_certificate(
    const char *cert_dir, char **ret_backup, pn_why *ret_why)
{
    return pn_certificate_rotate(
        cert_dir, (int64_t)pn_wall_now_us(), ret_backup, ret_why);
}

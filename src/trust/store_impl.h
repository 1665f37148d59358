/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a store; only store*.c include it. */
#ifndef PN_TRUST_STORE_IMPL_H
#define PN_TRUST_STORE_IMPL_H

#include "trust/data_dir.h"
#include "trust/store.h"

#define PN_STORE_TRUST "trust.bin"
#define PN_STORE_ADDRESSES "addresses"

struct pn_store {
    pn_data_dir dir;
    int node_fd;  /* node.lock; -1: not held */
    int watch_fd; /* -1: none */
    size_t max_peers;
    pn_key_pair *identity; /* secure memory */

    /* Memory state is disk state (T23), except for those who were cut off
     * although the file could not be written: they stay cut off. */
    pn_trust_list trust;
    pn_public_key *cut;
    size_t n_cut;
    bool is_changed; /* trust differs from what the last reload showed */

    pn_address_list addresses;
};

/* "DIR/NAME: why" into error (may be NULL); returns err. */
pn_err pn_store_fail(const pn_store *store, pn_store_error *error, pn_err err,
    const char *name, const char *why) PN_MUST_USE;
/* The same with what pn_file_why says. */
pn_err pn_store_fail_file(const pn_store *store, pn_store_error *error,
    pn_err err, const char *name, int sys_errno) PN_MUST_USE;
/* Adds a sentence to a warning (may be NULL). */
void pn_store_warn(const pn_store *store, pn_store_error *warning,
    const char *name, const char *why);

/* Reads trust.bin as it is now, whoever is cut off included. */
PN_MUST_USE pn_err pn_store_read_trust(const pn_store *store,
    pn_trust_list *ret_list, pn_store_error *error, pn_store_error *warning);
/* Removes whoever is cut off; true when there was one. */
bool pn_store_drop_cut(const pn_store *store, pn_trust_list *list);
/* Makes a list, without those who are cut off, the memory state; the argument
 * is empty afterwards. */
void pn_store_adopt(pn_store *store, pn_trust_list *list);

/* Reads addresses as they are now; a file that is not there is empty. */
PN_MUST_USE pn_err pn_store_read_addresses(const pn_store *store,
    pn_address_list *ret_list, pn_store_error *error, pn_store_error *warning);

/* Takes edit.lock and sweeps what an interrupted edit left. */
PN_MUST_USE pn_err pn_store_lock_edit(
    const pn_store *store, bool wait, int *ret_fd, pn_store_error *error);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a store; only store*.c include it. */
#ifndef PN_TRUST_STORE_INTERNAL_H
#define PN_TRUST_STORE_INTERNAL_H

#include "guarded_dir.h"
#include "store.h"
#include "trust/pending.h"

#define PN_STORE_TRUST "trust.bin"
#define PN_STORE_ADDRESSES "addresses"
#define PN_STORE_PENDING "pending"
#define PN_STORE_GRANTS "grants"

struct pn_store {
    pn_guarded_dir dir;
    int node_fd; /* node.lock; -1: not held */
    size_t max_peers;
    size_t max_grants;
    pn_key_pair *identity; /* secure memory */

    /* Memory equals the disk (T23), except for peers that were removed although
     * the file could not be written: they stay removed. */
    pn_trust_list trust;
    pn_public_key *cut; /* such peers; has room for all of trust, too */
    size_t n_cut;
    size_t cut_cap;
    bool is_changed; /* trust differs from what the last reload showed */

    pn_address_list addresses;
    pn_pending_list pending;
};

extern const pn_guarded_format pn_store_trust_format;
extern const pn_guarded_format pn_store_addresses_format;

/* Reads trust.bin as it is now, with peers that are cut off, and reserves room
 * to cut off all of it and one more. */
PN_MUST_USE pn_err pn_store_read_trust(
    pn_store *store, pn_trust_list *ret_list, pn_why *ret_why, pn_why *warning);
/* Room for n keys that are cut off. Errors: PN_NOMEM. */
PN_MUST_USE pn_err pn_store_reserve_cut(pn_store *store, size_t n);
/* Removes the peers that are cut off; true when there was one. */
bool pn_store_drop_cut(const pn_store *store, pn_trust_list *list);
/* Makes a list, without the peers that are cut off, the memory state; the
 * argument is empty afterwards. */
void pn_store_adopt(pn_store *store, pn_trust_list *list);

/* Reads addresses as they are now; a file that is not there is empty, and so is
 * *ret_list on an error. */
PN_MUST_USE pn_err pn_store_read_addresses(const pn_store *store,
    pn_address_list *ret_list, pn_why *ret_why, pn_why *warning);

/* The same for pending; and writing it under edit.lock, without what is over.
 */
PN_MUST_USE pn_err pn_store_read_pending(
    const pn_store *store, pn_pending_list *ret_list, pn_why *ret_why);
PN_MUST_USE pn_err pn_store_write_pending(
    pn_store *store, pn_pending_list *list, pn_why *ret_why);
/* Into memory; a damaged file is an empty list. */
void pn_store_load_pending(pn_store *store);

/* Under edit.lock: removes the grants to a principal, if there are any. A file
 * of root is left as it is, with a sentence in ret_why. Errors: as reading and
 * replacing it. */
PN_MUST_USE pn_err pn_store_drop_grants(
    const pn_store *store, const pn_principal *who, pn_why *ret_why);

#endif

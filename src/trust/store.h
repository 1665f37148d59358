/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node's view of a data directory, besides peernet/store.h: its identity,
 * the trust list in memory, edits by others, and the addresses where peers were
 * found.
 *
 * One thread at a time uses a store; the node's lock or loop ensures that.
 *
 * Files: identity.keys and trust.bin in the originals' formats; addresses,
 * pending and grants, of our own; node.lock, held by the node that speaks with
 * the identity; edit.lock, held for the milliseconds of an edit. FILE.bak is
 * the state before the last edit.
 */
#ifndef PN_TRUST_STORE_H
#define PN_TRUST_STORE_H

#include <peernet/store.h>

#include "crypto/crypto.h"
#include "trust/addresses.h"
#include "trust/grants_file.h"
#include "trust/guarded_watch.h"
#include "trust/pending.h"
#include "trust/trust_list.h"

#define PN_STORE_MAX_PEERS 1024
#define PN_STORE_MAX_GRANTS 4096

/*
 * As pn_store_open with a limit of its own: how many peers trust.bin may list,
 * 1..65536. A file with more is refused whole (PN_LIMIT), with the number in
 * the sentence, and a pairing beyond the limit is refused (PN_FULL).
 * Errors: also PN_INVALID out of range.
 */
PN_MUST_USE pn_err pn_store_open_limited(const char *data_dir, size_t max_peers,
    pn_store **ret_store, pn_why *ret_why, pn_why *ret_warning);

/*
 * Takes node.lock for as long as the store is open: from now on this process
 * and no other speaks with the identity.
 * Errors: PN_LOCKED another does (or this one, with another store);
 * PN_PERMISSION, PN_SYS. Twice on one store: PN_OK.
 */
PN_MUST_USE pn_err pn_store_lock_node(pn_store *store, pn_why *ret_why);
/* The same for a directory that no store has open; closing *ret_fd gives it
 * back. */
PN_MUST_USE pn_err pn_store_lock_dir(
    const pn_guarded_dir *dir, int *ret_fd, pn_why *ret_why);
/* Gives it back before close; harmless when not held. */
void pn_store_unlock_node(pn_store *store);

/* Our key pair, in secure memory; valid until close. */
const pn_key_pair *pn_store_identity(const pn_store *store);

/*
 * The trust list in memory: what was last read or written, without peers whose
 * unpairing could not be written. Valid until the next pair, unpair, reload or
 * close. Never NULL.
 */
const pn_trust_list *pn_store_trust(const pn_store *store);

/*
 * Reads trust.bin and addresses again. *ret_changed (may be NULL): the list in
 * memory is not the one at the last reload, also when an edit of our own or of
 * another process came in with pn_store_pair or pn_store_unpair meanwhile. A
 * missing file is the empty list: all peers are unpaired.
 *
 * Errors: PN_CORRUPT, PN_PERMISSION, PN_SYS, PN_NOMEM: the list in memory stays
 * as it was and the file untouched. The caller decides; to fail closed is to
 * let no new link in until a reload succeeds again.
 */
PN_MUST_USE pn_err pn_store_reload(
    pn_store *store, bool *ret_changed, pn_why *ret_why);

/* For trust/guarded_watch.h: the directory, owned by the store, and whether a
 * file of this name is trust.bin, addresses, pending or grants. */
pn_guarded_dir *pn_store_dir(pn_store *store);
bool pn_store_is_watched(const char *name);

/*
 * Copies a peer's addresses: at most PN_ADDRESSES_PER_PEER, the one given by
 * hand first, then learned ones, newest first. Returns how many.
 */
size_t pn_store_addresses(const pn_store *store, const pn_public_key *key,
    pn_peer_address ret_addresses[static PN_ADDRESSES_PER_PEER]);

/*
 * Remembers the address at which a paired peer was reached: call it when a dial
 * to an address that was not given by hand has authenticated. Never waits for
 * the lock; memory has it at once, the disk when it can be written. Errors:
 * PN_NOT_FOUND not paired; PN_INVALID not "HOST:PORT"; PN_LOCKED an edit is
 * under way; PN_CORRUPT the file is damaged and left as it is; PN_SYS,
 * PN_NOMEM. All may be ignored: addresses are hints.
 */
PN_MUST_USE pn_err pn_store_remember(
    pn_store *store, const pn_public_key *key, const char *address);

/*
 * Pairings that our owner has confirmed and whose other end was not heard again
 * (trust/pending.h), in memory; valid as pn_store_trust.
 */
const pn_pending_list *pn_store_pending(const pn_store *store);
/* Keeps one, on disk first. label may be NULL. Errors: PN_INVALID our own key,
 * or a bad label; those of files. */
PN_MUST_USE pn_err pn_store_pend(pn_store *store, const pn_public_key *key,
    const char *label, pn_why *ret_why);
/* Forgets one. Errors: PN_NOT_FOUND without a sentence; those of files. */
PN_MUST_USE pn_err pn_store_unpend(
    pn_store *store, const pn_public_key *key, pn_why *ret_why);
/* The key has authenticated: its record on disk becomes a peer. Errors:
 * PN_NOT_FOUND there is none, or its time is over; those of pn_store_pair. */
PN_MUST_USE pn_err pn_store_complete(
    pn_store *store, const pn_public_key *key, pn_why *ret_why);

/* How many lines of the file of grants count, instead of
 * PN_STORE_MAX_GRANTS. */
void pn_store_limit_grants(pn_store *store, size_t max_grants);

/*
 * Reads the file of grants; one that is not there is empty. Ownership:
 * pn_grants_file_fini. Errors: PN_PERMISSION, PN_LIMIT, PN_SYS, PN_NOMEM;
 * *ret_file is zero-filled then, and grants nothing.
 */
PN_MUST_USE pn_err pn_store_read_grants(
    const pn_store *store, pn_grants_file *ret_file, pn_why *ret_why);

/*
 * Removes the grants to a principal whose trust was taken back, unless it is a
 * peer that is paired again by now. Errors: as pn_store_ungrant but
 * PN_NOT_FOUND.
 */
PN_MUST_USE pn_err pn_store_forget_grants(
    pn_store *store, const pn_principal *who, pn_why *ret_why);

#endif

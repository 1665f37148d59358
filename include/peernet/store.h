/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A data directory: the identity and the trust list, in the file formats of
 * PeerNet 0.1.0. A node opens one itself; a program that only wants to read
 * the key or edit the trust list uses this, also beside a running node, which
 * sees the change at once.
 */
#ifndef PEERNET_STORE_H
#define PEERNET_STORE_H

#include <peernet/key.h>

PN_BEGIN_DECLS

typedef struct pn_store pn_store;

/** Why a store function failed, in one sentence that names the file. */
typedef struct pn_store_error {
    char text[512]; /* NUL-terminated; empty when nothing is to be said */
} pn_store_error;

/** One paired peer. */
typedef struct pn_store_peer {
    pn_public_key key;
    /* UTF-8, NUL-terminated; empty: none. What another program wrote there is
     * shown with '?' for what is no UTF-8 or a control character, and cut. */
    char label[256];
    int64_t added_at_us; /* wall clock, microseconds since 1970 UTC */
    char address[64];    /* "HOST:PORT" given by hand; empty: none */
} pn_store_peer;

/**
 * Opens a data directory, creating it (0700) and a new identity (0600) on
 * first use. Tightens looser modes of files that are ours and says so in
 * *ret_warning (may be NULL).
 *
 * A damaged file of remembered addresses is a warning too, and they are not
 * used: they are hints. So is an identity that is gone while peers are paired.
 *
 * Ownership: pn_store_close. Errors: PN_CORRUPT, PN_LIMIT trust.bin lists more
 * than 1024 peers or is over 1 MiB, PN_PERMISSION, PN_SYS, PN_NOMEM, PN_LOCKED
 * somebody has been editing for 10 s; *ret_error (may be NULL) names the file.
 * Nothing is repaired or overwritten.
 * Thread: one at a time per store; any number of stores, in any number of
 * processes, on one directory.
 * Source: PeerNet wire, section 7.
 */
PN_API PN_MUST_USE pn_err pn_store_open(const char *data_dir,
    pn_store **ret_store, pn_store_error *ret_error,
    pn_store_error *ret_warning);
PN_API void pn_store_close(pn_store *store);

/** Our own public key; valid until close. */
PN_API const pn_public_key *pn_store_key(const pn_store *store);

/**
 * Adds a peer to the trust list, on disk first. label: UTF-8 without control
 * characters, at most 255 bytes, may be NULL. address: "HOST:PORT" to dial, at
 * most 63 bytes, an IPv6 host in brackets; it is not resolved; may be NULL.
 * On every error but PN_EXISTS the peer is as paired as it was before.
 * Errors: PN_EXISTS already paired (an address given is stored all the same,
 * the label stays); PN_INVALID our own key, a bad label or address; PN_LIMIT
 * as many peers as may be; PN_SYS, PN_CORRUPT, PN_PERMISSION, PN_LOCKED,
 * PN_NOMEM.
 * Thread: one at a time per store. May wait for another editor.
 */
PN_API PN_MUST_USE pn_err pn_store_pair(pn_store *store,
    const pn_public_key *key, const char *label, const char *address,
    pn_store_error *ret_error);

/**
 * Removes a peer, and forgets its addresses. Whatever the disk says, the peer
 * is no longer trusted by this store until it is closed; an error says that
 * the file still lists it, and the next edit that succeeds writes it too.
 * Errors: PN_NOT_FOUND it was not paired; PN_SYS, PN_CORRUPT, PN_PERMISSION,
 * PN_LOCKED, PN_NOMEM.
 * Thread: one at a time per store. May wait for another editor.
 */
PN_API PN_MUST_USE pn_err pn_store_unpair(
    pn_store *store, const pn_public_key *key, pn_store_error *ret_error);

/** The trust list as it is on disk now, newest first. Ownership: free() of
 * *ret_peers. */
PN_API PN_MUST_USE pn_err pn_store_peers(pn_store *store,
    pn_store_peer **ret_peers, size_t *ret_n, pn_store_error *ret_error);

/**
 * Finds the one peer that text means: a label, a key in Base32 or hexadecimal,
 * or a unique prefix (at least 4 digits) of a fingerprint.
 * Errors: PN_NOT_FOUND, PN_INVALID more than one fits.
 */
PN_API PN_MUST_USE pn_err pn_store_find(const pn_store_peer *peers, size_t n,
    const char *text, pn_public_key *ret_key);

PN_END_DECLS

#endif

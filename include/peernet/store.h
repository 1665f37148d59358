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
    char label[256];     /* UTF-8, NUL-terminated; empty: none */
    int64_t added_at_us; /* wall clock, microseconds since 1970 UTC */
    char address[64];    /* "HOST:PORT" given by hand; empty: none */
} pn_store_peer;

/**
 * Opens a data directory, creating it (0700) and a new identity (0600) on
 * first use. Tightens looser modes of files that are ours and says so in
 * *ret_warning (may be NULL).
 *
 * Ownership: pn_store_close. Errors: PN_CORRUPT, PN_PERMISSION, PN_SYS,
 * PN_NOMEM; *ret_error (may be NULL) names the file. Nothing is repaired or
 * overwritten.
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
 * Adds a peer to the trust list, on disk first. label: UTF-8, at most 255
 * bytes, may be NULL. address: "HOST:PORT" to dial, may be NULL.
 * Errors: PN_EXISTS already paired (an address given is stored all the same);
 * PN_INVALID our own key, a bad label or address; PN_SYS, PN_CORRUPT.
 */
PN_API PN_MUST_USE pn_err pn_store_pair(pn_store *store,
    const pn_public_key *key, const char *label, const char *address,
    pn_store_error *ret_error);

/** Removes a peer. Errors: PN_NOT_FOUND, PN_SYS, PN_CORRUPT. */
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

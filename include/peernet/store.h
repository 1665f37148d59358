/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A data directory: the identity and the trust list, in the file formats of
 * PeerNet 0.1.0. A node opens one itself; a program that only reads the key or
 * edits the trust list uses this, also beside a running node, which sees the
 * change at once.
 *
 * Threads. A store is used by one thread at a time. Any number of stores, in
 * any number of processes, may be open on one directory.
 *
 * Errors of files, as the functions below refer to them: PN_CORRUPT a file is
 * damaged; PN_LIMIT trust.bin lists more than 1024 peers or is over 1 MiB;
 * PN_PERMISSION a file or the directory has an unsafe owner, type or mode;
 * PN_LOCKED another process has been editing for 10 s; PN_SYS the system
 * refused; PN_NOMEM. *ret_why, which may be NULL, names the file. A
 * damaged file is neither repaired nor overwritten.
 */
#ifndef PEERNET_STORE_H
#define PEERNET_STORE_H

#include <peernet/key.h>
#include <peernet/reason.h>

PN_BEGIN_DECLS

typedef struct pn_store pn_store;

/** One paired peer. */
typedef struct pn_store_peer {
    pn_public_key key;
    /* UTF-8, NUL-terminated; empty: none. A label that another program wrote
     * is cut to fit, with '?' for control characters and invalid UTF-8. */
    char label[256];
    int64_t added_at_us; /* wall clock, microseconds since 1970 UTC */
    char address[260];   /* "HOST:PORT" given by hand; empty: none */
} pn_store_peer;

/**
 * Opens a data directory, creating it (0700) and a new identity (0600) on
 * first use. A file that group or others could have written is refused.
 *
 * *ret_warning (may be NULL) says when a file that others could read was
 * tightened to 0600, when remembered addresses are damaged and not used, and
 * when the identity was missing although peers are paired.
 * Ownership: *ret_store is the caller's until pn_store_close.
 * Errors: those of files; PN_LOCKED on first use only.
 * Thread: any. Source: docs/PROTOCOL.md, section 8.
 */
PN_API PN_MUST_USE pn_err pn_store_open(const char *data_dir,
    pn_store **ret_store, pn_why *ret_why, pn_why *ret_warning);
/** Closes a store; NULL is fine. Thread: the store's. */
PN_API void pn_store_close(pn_store *store);

/**
 * Returns our own public key. Ownership: the store's, valid until
 * pn_store_close. Thread: any.
 */
PN_API const pn_public_key *pn_store_key(const pn_store *store);

/**
 * Adds a peer to the trust list, on disk first. label (may be NULL): UTF-8
 * without control characters, at most 255 bytes. address (may be NULL):
 * "HOST:PORT" to dial, HOST a name of at most 253 bytes, an IPv4 address or an
 * IPv6 one in brackets; it is not resolved.
 *
 * Errors: PN_EXISTS the peer was paired already; label replaces the old one and
 * address is stored all the same; PN_INVALID our own key, a bad label or
 * address; PN_FULL 1024 peers are paired; those of files. After every error
 * but PN_EXISTS the trust list is as it was before.
 * Thread: the store's; waits up to 10 s for another editor.
 */
PN_API PN_MUST_USE pn_err pn_store_pair(pn_store *store,
    const pn_public_key *key, const char *label, const char *address,
    pn_why *ret_why);

/**
 * Removes a peer or a pending pairing, and with it its lines of the file of
 * grants and its addresses. This store does not trust the peer any more, also
 * after an error: then trust.bin still lists it, and the next edit that
 * succeeds removes it there; or the file of grants does, which *ret_why names,
 * and pairing the peer again removes its lines there. Those of a file that
 * belongs to root stay, and hold once the peer is paired again; *ret_why says
 * so with PN_OK.
 * Errors: PN_NOT_FOUND the peer was not paired; those of files.
 * Thread: the store's; waits up to 10 s for another editor.
 */
PN_API PN_MUST_USE pn_err pn_store_unpair(
    pn_store *store, const pn_public_key *key, pn_why *ret_why);

/**
 * Reads the trust list as it is on disk now, newest first.
 * Ownership: *ret_peers is the caller's to free().
 * Errors: those of files but PN_LOCKED. Thread: the store's.
 */
PN_API PN_MUST_USE pn_err pn_store_peers(
    pn_store *store, pn_store_peer **ret_peers, size_t *ret_n, pn_why *ret_why);

/**
 * Reads the pairings that our owner has confirmed and that wait for the other
 * end: the next time that its node authenticates to ours, within 24 hours, it
 * is paired. Until then such a key may do nothing. added_at_us is the time of
 * our owner's yes, address is empty. pn_store_unpair ends the wait.
 * Ownership: *ret_peers is the caller's to free().
 * Errors: those of files but PN_LOCKED. Thread: the store's.
 * Source: docs/PROTOCOL.md, section 10.5.
 */
PN_API PN_MUST_USE pn_err pn_store_list_pending(
    pn_store *store, pn_store_peer **ret_peers, size_t *ret_n, pn_why *ret_why);

/**
 * Finds the one peer that text names: a key in Base32 or hexadecimal, which is
 * never taken for a label; else a label, or a prefix (at least 4 digits) of a
 * fingerprint.
 * Errors: PN_NOT_FOUND no peer fits; PN_INVALID more than one fits.
 * Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_store_find(const pn_store_peer *peers, size_t n,
    const char *text, pn_public_key *ret_key);

/**
 * Asks whether a node has a data directory open, here or in another process.
 * Nothing is created or changed. *ret_pid: the process, as its own PID
 * namespace numbers it; 0: not known.
 * Errors: PN_NOT_FOUND no node has it open, or there is no such directory;
 * PN_PERMISSION the lock file has an unsafe owner or type; PN_SYS.
 * Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_store_find_node(
    const char *data_dir, int64_t *ret_pid);

PN_END_DECLS

#endif

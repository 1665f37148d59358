/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The addresses of peers: the file `addresses`, in memory and as bytes.
 *
 * They are hints, never trust. The file is ours alone: lines of text under a
 * heading, closed by a checksum, so that damage shows. A damaged one is
 * reported, left as it is and never overwritten, and the node goes on without
 * hints: losing them costs a discovery, refusing to start would cost more.
 *
 *     peernet addresses 1
 *     manual KEY HOST:PORT
 *     learned KEY HOST:PORT
 *     sha256 HEX
 *
 * KEY is Base32; per peer the line given by hand comes first, learned ones
 * follow, newest first; HEX is the SHA-256 of all bytes before its line.
 */
#ifndef PN_TRUST_ADDRESSES_H
#define PN_TRUST_ADDRESSES_H

#include <peernet/key.h>

#include "base/buf.h"

#define PN_ADDRESSES_PER_PEER 4
#define PN_HOST_NAME_MAX 253 /* RFC 1035, section 2.3.4, as text */
/* "HOST:PORT" and a NUL */
#define PN_ADDRESS_CAP (PN_HOST_NAME_MAX + 1 + 5 + 1)

/* One address of one peer. */
typedef struct pn_peer_address {
    pn_public_key key;
    bool is_manual;            /* given by hand */
    char text[PN_ADDRESS_CAP]; /* "HOST:PORT", NUL-terminated */
} pn_peer_address;

/* Zero-filled is the empty list. */
typedef struct pn_address_list {
    pn_peer_address *entries;
    size_t n_entries;
} pn_address_list;

void pn_address_list_fini(pn_address_list *list);

/* True for HOST:PORT as we store it: a name of at most PN_HOST_NAME_MAX bytes,
 * an IPv4 address or an IPv6 one in brackets, printable ASCII, port 1..65535.
 * Nothing is resolved. */
bool pn_address_is_plausible(const char *text);

/* Errors: PN_CORRUPT with a sentence in *ret_why, more than max_entries lines
 * too; PN_NOMEM. *ret_list untouched then. */
PN_MUST_USE pn_err pn_address_list_read(const uint8_t *data, size_t len,
    size_t max_entries, pn_address_list *ret_list, const char **ret_why);
/* Appends the file's bytes to out. Errors: PN_NOMEM. */
PN_MUST_USE pn_err pn_address_list_write(
    const pn_address_list *list, pn_buf *out);

/*
 * Puts an address in front of its kind: a manual one replaces the manual one,
 * a learned one becomes the newest and pushes the oldest out. A learned one
 * that is the manual one changes nothing. text must be plausible.
 * *ret_changed says whether anything did. Errors: PN_NOMEM.
 */
PN_MUST_USE pn_err pn_address_list_add(pn_address_list *list,
    const pn_public_key *key, const char *text, bool is_manual,
    bool *ret_changed);
/* Forgets a peer; true when there was something to forget. */
bool pn_address_list_remove(pn_address_list *list, const pn_public_key *key);
/* Copies a peer's addresses in the order to try; returns how many. */
size_t pn_address_list_of(const pn_address_list *list, const pn_public_key *key,
    pn_peer_address ret_addresses[static PN_ADDRESSES_PER_PEER]);

#endif

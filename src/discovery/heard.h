/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of a datagram that came to the discovery port: an engine without a
 * socket. docs/THREATS.md, T15.
 */
#ifndef PN_DISCOVERY_HEARD_H
#define PN_DISCOVERY_HEARD_H

#include "os/interfaces.h"
#include "wire/announce.h"

typedef enum pn_heard {
    PN_HEARD_FOUND,      /* a key and where it may be found */
    PN_HEARD_MALFORMED,  /* length, magic, version, port 0 */
    PN_HEARD_OWN_KEY,    /* our own announce, or a forged one */
    PN_HEARD_LOW_PORT,   /* a service of the system, which we would dial */
    PN_HEARD_BAD_SOURCE, /* multicast, or loopback where it must not be */
    PN_HEARD_OFF_LINK,   /* not from a network this host is on, nor listed */
    PN_N_HEARD
} pn_heard;

typedef struct pn_heard_rules {
    pn_public_key own_key;
    pn_announce_kind kind; /* others are malformed */
    uint16_t min_port;     /* lowest TCP port an announce may name */
    bool is_loopback;      /* announces from loopback are heeded */
    bool is_lan;           /* those from anywhere else are */
    /* Hosts that the owner has named; ports are ignored. Kept by the caller. */
    const pn_address *listed;
    size_t n_listed;
} pn_heard_rules;

/* A datagram of len bytes from `from`, by the interface of this index (0:
 * unknown). interfaces may be empty; then every address but loopback and those
 * that are listed is off link. On PN_HEARD_FOUND *ret_announce is what it says.
 */
pn_heard pn_heard_judge(const pn_heard_rules *rules,
    const pn_interface *interfaces, size_t n_interfaces, unsigned index,
    const pn_address *from, const uint8_t *data, size_t len,
    pn_announce *ret_announce);

#endif

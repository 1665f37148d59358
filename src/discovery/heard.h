/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is to be made of a datagram that came to the discovery port: an engine
 * without a socket. RELIABILITY T15.
 */
#ifndef PN_DISCOVERY_HEARD_H
#define PN_DISCOVERY_HEARD_H

#include "os/interfaces.h"
#include "wire/announce.h"

typedef enum pn_heard {
    PN_HEARD_FOUND,      /* somebody says where he is */
    PN_HEARD_MALFORMED,  /* length, magic, version, port 0 */
    PN_HEARD_OWN_KEY,    /* ourselves, or somebody who plays us */
    PN_HEARD_LOW_PORT,   /* a service of the system, to be knocked at by us */
    PN_HEARD_BAD_SOURCE, /* multicast, or loopback where it must not be */
    PN_HEARD_OFF_LINK,   /* not from a network this host is on */
    PN_N_HEARD
} pn_heard;

typedef struct pn_heard_rules {
    pn_public_key own_key;
    uint16_t min_port; /* lowest TCP port an announce may name */
    /* Only loopback is heeded when this is set, and never when it is not. */
    bool is_loopback;
} pn_heard_rules;

/* A datagram of len bytes from `from`, by the interface of this index (0:
 * unknown). interfaces may be empty: then everybody is off link but loopback.
 * On PN_HEARD_FOUND *ret_announce is what it says. */
pn_heard pn_heard_judge(const pn_heard_rules *rules,
    const pn_interface *interfaces, size_t n_interfaces, unsigned index,
    const pn_address *from, const uint8_t *data, size_t len,
    pn_announce *ret_announce);

#endif

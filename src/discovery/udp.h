/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Discovery by UDP broadcast, as PeerNet 0.1.0 does it (wire section 5): a
 * pn_discovery_source. It hears and says where keys may be found; it never
 * answers a datagram (T16) and believes nothing (T15): who is found proves
 * himself in the handshake.
 */
#ifndef PN_DISCOVERY_UDP_H
#define PN_DISCOVERY_UDP_H

#include <peernet/discovery.h>

#include "base/env.h"
#include "discovery/heard.h"
#include "os/loop.h"

typedef struct pn_udp_discovery pn_udp_discovery;

typedef struct pn_udp_discovery_config {
    pn_loop *loop;
    const pn_env *env;     /* randomness for the jitter; outlives it */
    pn_public_key own_key; /* announces of it are ignored */
    /* Where announces go (its port is ignored); NULL: 255.255.255.255 and the
     * broadcast address of each interface. IPv4. When it is a loopback
     * address only announces from there are heeded, and else none. */
    const pn_address *address; /* borrowed during new */
    uint16_t port;             /* 4040 */
    uint16_t min_port;         /* lowest TCP port an announce may name; 1024 */
    uint32_t interval_ms;      /* 5000 */
    uint32_t packets_per_s;    /* looked at; 0: 200 */
} pn_udp_discovery_config;

typedef struct pn_udp_discovery_counters {
    uint64_t in;                /* datagrams read */
    uint64_t heard[PN_N_HEARD]; /* the same, by what was made of them */
    uint64_t unread; /* dropped by the kernel; as of the last one read */
    uint64_t out;
    uint64_t out_failed;
} pn_udp_discovery_counters;

/* Opens nothing yet: that is `start`. Errors: PN_INVALID an address that is
 * not IPv4, an interval of 0; PN_NOMEM. */
PN_MUST_USE pn_err pn_udp_discovery_new(
    const pn_udp_discovery_config *config, pn_udp_discovery **ret_discovery);
void pn_udp_discovery_free(pn_udp_discovery *d); /* NULL is fine */

/* The table; its user is a pn_udp_discovery. start: PN_SYS with errno when the
 * port cannot be bound. announce: the first goes out after one interval, each
 * after an interval +-20 % (T17). */
extern const pn_discovery_source pn_udp_discovery_source;

/* The network is another one: announces nothing until announce is called
 * again (T17). */
void pn_udp_discovery_network_changed(pn_udp_discovery *d);

void pn_udp_discovery_counters_get(
    const pn_udp_discovery *d, pn_udp_discovery_counters *ret_counters);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Discovery by UDP broadcast, as PeerNet 0.1.0 does it (docs/PROTOCOL.md,
 * section 6): a pn_discovery_source. It reports at which addresses keys may be
 * found. It never answers a datagram (T16), and its reports are hints (T15):
 * the handshake proves the key of the peer.
 */
#ifndef PN_DISCOVERY_UDP_DISCOVERY_H
#define PN_DISCOVERY_UDP_DISCOVERY_H

#include <peernet/discovery.h>

#include "base/env.h"
#include "heard.h"
#include "os/loop.h"

typedef struct pn_udp_discovery pn_udp_discovery;

/* Addresses that announces may be sent to: of each of a node's two options. */
#define PN_UDP_DISCOVERY_MAX 16

typedef struct pn_udp_discovery_config {
    pn_loop *loop;
    const pn_env *env;     /* randomness for the jitter; outlives it */
    pn_public_key own_key; /* announces of it are ignored */
    pn_announce_kind kind; /* sent, and heeded */
    /* Announces go to 255.255.255.255 and the broadcast address of each
     * interface. */
    bool is_everywhere;
    /* Where else announces go (ports are ignored); IPv4. Announces from
     * loopback are heeded when one of them is a loopback address, and others
     * when one is none, or everywhere. Those of a host that is listed are
     * heeded from another network, too. */
    const pn_address *addresses; /* borrowed during new */
    size_t n_addresses;          /* at most PN_UDP_DISCOVERY_MAX */
    /* Names of the interfaces that are used (os/interface_names.h); outlives
     * the source. NULL: where announces go everywhere all but those of
     * containers and tunnels, and else all. */
    const char *interfaces;
    uint16_t port;          /* 4040 */
    uint16_t min_port;      /* lowest TCP port an announce may name; 1024 */
    uint32_t interval_ms;   /* 5000 */
    uint32_t packets_per_s; /* looked at; 0: 200 */
} pn_udp_discovery_config;

typedef struct pn_udp_discovery_counters {
    uint64_t in;                /* datagrams read */
    uint64_t heard[PN_N_HEARD]; /* the same, by what was made of them */
    uint64_t unread; /* dropped by the kernel; as of the last one read */
    uint64_t out;
    uint64_t out_failed;
} pn_udp_discovery_counters;

/* Opens nothing yet: that is `start`. Errors: PN_INVALID an address that is
 * not IPv4, an interval of 0, a list that is none; PN_NOMEM. */
PN_MUST_USE pn_err pn_udp_discovery_new(
    const pn_udp_discovery_config *config, pn_udp_discovery **ret_discovery);
void pn_udp_discovery_free(pn_udp_discovery *d); /* NULL is fine */

/* The table; its user is a pn_udp_discovery. start: PN_SYS with errno when the
 * port cannot be bound. announce: three go out in two seconds, the first at
 * once, then one in each interval +-20 % (pace.h, T17); a further call begins
 * so again, and with port 0 no more are sent. */
extern const pn_discovery_source pn_udp_discovery_source;

/* Why no announce leaves by an entry of os/interfaces.h: as
 * pn_interface_unused, or "ipv6-only", "no-broadcast", "not-addressed"; NULL:
 * announces do. Static storage. Thread: any, while it is not freed. */
const char *pn_udp_discovery_unused(
    const pn_udp_discovery *d, const pn_interface *entry);

void pn_udp_discovery_counters_get(
    const pn_udp_discovery *d, pn_udp_discovery_counters *ret_counters);

#endif

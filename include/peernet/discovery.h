/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where peers may be found, and when the network changed. Both are tables of
 * functions, so a host with Bonjour, NSD or its own reachability API plugs it
 * in beside or instead of the library's own. They give hints and no trust: an
 * address that is found is dialled only when its key is paired, and the
 * handshake decides.
 */
#ifndef PEERNET_DISCOVERY_H
#define PEERNET_DISCOVERY_H

#include <peernet/key.h>

PN_BEGIN_DECLS

/**
 * The functions that a discovery source calls. Given to start; valid until stop
 * has returned. Thread: any; results are handled on the node's loop.
 */
typedef struct pn_discovery_sink {
    size_t size;
    void *node;
    /** A peer says it can be dialled at address, "HOST:PORT" with a numeric
     * host ("192.0.2.1:7100", "[fe80::1%eth0]:7100"). */
    void (*found)(void *node, const pn_public_key *key, const char *address);
    /** The source no longer sees the peer at address. A live link stays, and
     * so does an address that another source has heard in the last 15 s, until
     * that time is over without a new report. An address that this source has
     * not found is ignored. */
    void (*lost)(void *node, const pn_public_key *key, const char *address);
    /** The peer publishes label for itself where this source has found it; to
     * be told again after each found. UTF-8 without control characters, at most
     * 64 bytes: another is ignored, and so is an address that this source has
     * not found. "": it publishes none. It proves nothing, is stored nowhere
     * and goes with the address. NULL, or size ends before it: a node that is
     * not told. */
    void (*labelled)(void *node, const pn_public_key *key, const char *address,
        const char *label);
} pn_discovery_sink;

/**
 * One discovery source. start and the first announce are called by
 * pn_node_open, before it returns; everything else on the node's loop, never
 * two at once; none may block. user is the pointer given with the table.
 */
typedef struct pn_discovery_source {
    size_t size;      /* sizeof(pn_discovery_source) */
    const char *name; /* "udp", "mdns", ...; shown in events */
    /** Begins to listen. Another result than PN_OK (PN_SYS: errno says why) is
     * logged, and start is called again every 5 s. */
    pn_err (*start)(void *user, const pn_discovery_sink *sink);
    /** Ends it; nothing is reported after it has returned. */
    void (*stop)(void *user);
    /** Announces our key at a TCP port until told otherwise; port 0: no
     * longer. It is called again with the same port when this host has woken or
     * has got an address: a source that repeats itself begins at once then. May
     * be NULL: a source that only listens. */
    pn_err (*announce)(void *user, const pn_public_key *key, uint16_t port);
} pn_discovery_source;

/** One local address of this host. */
typedef struct pn_local_address {
    char interface_name[16]; /* NUL-terminated */
    char address[64];        /* numeric, no port, NUL-terminated */
} pn_local_address;

/** The function that a network monitor calls; as pn_discovery_sink. */
typedef struct pn_network_sink {
    size_t size;
    void *node;
    void (*changed)(void *node);
} pn_network_sink;

/** A network monitor. Members are called as those of a source. */
typedef struct pn_network_monitor {
    size_t size; /* sizeof(pn_network_monitor) */
    const char *name;
    pn_err (*start)(void *user, const pn_network_sink *sink);
    void (*stop)(void *user);
    /** Writes at most cap current addresses (loopback included) and how many
     * there are in all. */
    pn_err (*current)(
        void *user, pn_local_address *addresses, size_t cap, size_t *ret_n);
} pn_network_monitor;

PN_END_DECLS

#endif

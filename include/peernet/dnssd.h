/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Discovery by DNS-SD over multicast DNS: a pn_discovery_source that uses the
 * Avahi daemon of this host. It belongs to libpeernet-dnssd, a library beside
 * libpeernet. Where no daemon has been there for 5 s, it starts a helper
 * process that speaks multicast DNS itself, and ends it when a daemon appears.
 *
 *     pn_dnssd_options options;
 *     pn_dnssd_options_init(&options);
 *     err = pn_dnssd_new(&options, &dnssd, &why);
 *     node_options.discovery_source = pn_dnssd_source();
 *     node_options.discovery_source_user = dnssd;
 */
#ifndef PEERNET_DNSSD_H
#define PEERNET_DNSSD_H

#include <peernet/discovery.h>
#include <peernet/reason.h>

PN_BEGIN_DECLS

/** A DNS-SD source of one node. */
typedef struct pn_dnssd pn_dnssd;

/** The programs that a source may use. */
typedef enum pn_dnssd_use {
    PN_DNSSD_USE_ANY,    /* the daemon; without one for 5 s, the helper */
    PN_DNSSD_USE_DAEMON, /* the daemon only */
    PN_DNSSD_USE_HELPER  /* the helper only, also beside a daemon */
} pn_dnssd_use;

/** Options of a source. */
typedef struct pn_dnssd_options {
    size_t size; /* set by the init macro */
    /** A label that everybody on the network may read (TXT "n="), UTF-8, 1 to
     * 64 bytes; NULL, the default: none is published. */
    const char *label;
    uint32_t max_services;  /* kept, of the network; 256, range 1..300 */
    uint32_t max_addresses; /* kept of one service; 8, range 1..16 */
    uint32_t min_port;  /* lowest port that is reported; 1024, range 1..65535 */
    uint32_t repeat_ms; /* what is seen is reported again; 5000, 100..3600000 */
    pn_dnssd_use use;   /* default PN_DNSSD_USE_ANY */
    /** The helper's file, at most 511 bytes; the default is the installed
     * peernet-mdns. NULL: there is none, as in a build without avahi-core. */
    const char *helper;
    /** Names of the interfaces that are used, "eth0,wlan0", at most 255 bytes.
     * NULL, the default: all but loopback, and those whose names are usual for
     * containers, virtual machines and tunnels. */
    const char *interfaces;
} pn_dnssd_options;

#define pn_dnssd_options_init(options)                                         \
    pn_dnssd_options_init_sized((options), sizeof(pn_dnssd_options))
/**
 * Writes the defaults to options; size: sizeof(pn_dnssd_options) in the
 * caller's header, which the macro passes. Thread: any.
 */
PN_API void pn_dnssd_options_init_sized(pn_dnssd_options *options, size_t size);

/**
 * Makes a source. It opens nothing before the node starts it.
 *
 * The helper is a child process of the application, which this library reaps:
 * a wait for any child may take its status, and nothing else is lost.
 * Ownership: options are copied; *ret_dnssd is the caller's until
 * pn_dnssd_free, and outlives the node that it is given to.
 * Errors: PN_INVALID an option is out of range, label is not UTF-8 of 1 to 64
 * bytes without control characters, helper is too long, or interfaces is no
 * such list; PN_NOT_FOUND use is PN_DNSSD_USE_HELPER and helper cannot be run;
 * PN_NOMEM. *ret_why (may be NULL) has the sentence.
 * Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_dnssd_new(
    const pn_dnssd_options *options, pn_dnssd **ret_dnssd, pn_why *ret_why);

/**
 * Frees a source whose node is closed. NULL is fine.
 *
 * The source's thread withdraws its records and ends. This function waits at
 * most 300 ms for it: a thread that a daemon or bus does not answer ends by
 * itself later and frees what it holds.
 * Thread: any but the node's loop.
 */
PN_API void pn_dnssd_free(pn_dnssd *dnssd);

/**
 * Returns the table for pn_node_options.discovery_source; discovery_source_user
 * is the pn_dnssd.
 *
 * Calls to the daemon block for as long as it does not answer. They are made on
 * a thread of the source; its functions never wait for that thread.
 * Ownership: static. Thread: any. Source: docs/PROTOCOL.md, section 6.1.
 */
PN_API const pn_discovery_source *pn_dnssd_source(void);

/**
 * Publishes another label from now on, in place of the options'; NULL: none.
 * Ownership: label is copied.
 * Errors: PN_INVALID it is not UTF-8 of 1 to 64 bytes without control
 * characters; nothing is changed.
 * Thread: any. Source: docs/PROTOCOL.md, section 6.1.
 */
PN_API PN_MUST_USE pn_err pn_dnssd_set_label(
    pn_dnssd *dnssd, const char *label);

/** The state of a source. */
typedef enum pn_dnssd_state {
    PN_DNSSD_STOPPED,   /* the node has not started it, or has stopped it */
    PN_DNSSD_NO_BUS,    /* D-Bus cannot be reached; tried again */
    PN_DNSSD_NO_DAEMON, /* no Avahi daemon is on D-Bus; waited for */
    PN_DNSSD_RUNNING,   /* the daemon browses */
    PN_DNSSD_EMBEDDED   /* the helper browses */
} pn_dnssd_state;

/** A source as it is now. Counters run from start. */
typedef struct pn_dnssd_status {
    size_t size; /* sizeof(pn_dnssd_status), set by the caller */
    pn_dnssd_state state;
    bool is_published;          /* our record is on the network */
    uint32_t services;          /* kept now, our own left out */
    uint64_t services_seen;     /* every one that was named, each time */
    uint64_t services_evicted;  /* forgotten, when max_services was reached */
    uint64_t addresses_dropped; /* beyond max_addresses */
    uint64_t refused;           /* records with a wrong TXT or a low port */
} pn_dnssd_status;

/**
 * Copies the present state to *ret_status, whose size the caller has set.
 * Errors: PN_INVALID size is not that of this header. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_dnssd_get_status(
    pn_dnssd *dnssd, pn_dnssd_status *ret_status);

PN_END_DECLS

#endif

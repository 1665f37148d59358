/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node: one identity, its paired peers, the handles it exposes, and the
 * links to them. Handles are closed until pn_expose; every key is a stranger
 * until pn_pair.
 *
 * Threads. "The loop" is the node's own thread or, with own_loop, the thread
 * inside pn_node_run. Callbacks on the loop must not block.
 *
 * A node may be closed while other threads are inside its functions: those that
 * wait return PN_CLOSED. After pn_node_close has returned only the functions of
 * deferred requests may be called.
 */
#ifndef PEERNET_NODE_H
#define PEERNET_NODE_H

#include <peernet/discovery.h>
#include <peernet/grants.h>
#include <peernet/log.h>
#include <peernet/term.h>

PN_BEGIN_DECLS

typedef struct pn_node pn_node;

/* ---- life ------------------------------------------------------------- */

typedef enum pn_discovery {
    PN_DISCOVERY_NONE, /* the default: nothing is announced or heard */
    PN_DISCOVERY_UDP   /* announce and listen as PeerNet 0.1.0 does */
} pn_discovery;

#define PN_PORT_DEFAULT 7100
#define PN_DISCOVERY_PORT_DEFAULT 4040
#define PN_PORT_NONE (-1)

typedef struct pn_event pn_event;

/** How a node is set up. Fill with pn_node_options_init, then change what
 * should differ. Pointers are borrowed during pn_node_open only, except user
 * pointers and tables, which must outlive the node. */
typedef struct pn_node_options {
    size_t size; /* set by the init macro */

    /** Directory of identity.keys and trust.bin; required. Held by one node at
     * a time (PN_LOCKED). */
    const char *data_dir;
    /** Numeric address to listen on, or several with commas between them (at
     * most 8, each with a port of its own if it has one: the first is
     * announced); NULL: all, IPv6 and IPv4. */
    const char *listen_address;
    /** TCP port; default 7100; 0: any free one; PN_PORT_NONE: do not listen. */
    int listen_port;

    /** Default PN_DISCOVERY_NONE. */
    pn_discovery discovery;
    /** Where announces go; NULL: 255.255.255.255 and each interface's
     * broadcast address. Several have commas between them (at most 8). Loopback
     * announces are heeded only when one is a loopback address (tests:
     * "127.255.255.255"). */
    const char *discovery_address;
    uint16_t discovery_port; /* default 4040 */
    /** Lowest TCP port an announce may name; default 1024. */
    uint16_t discovery_min_port;
    /** Milliseconds between announces; default 5000, range 100..3600000. */
    uint32_t announce_interval_ms;
    /** A source of the application's own, beside `discovery`; or NULL. */
    const pn_discovery_source *discovery_source;
    void *discovery_source_user;
    /** Replaces the built-in monitor; or NULL. */
    const pn_network_monitor *network_monitor;
    void *network_monitor_user;
    /** Watch the network at all; default true. */
    bool watch_network;
    /** Dial paired peers whose address is remembered or given; those that
     * announce themselves are dialled in any case. Default true. */
    bool auto_connect;

    /** No thread of its own: the application drives it with pn_node_fd,
     * pn_node_timeout_ms and pn_node_run. Default false. */
    bool own_loop;

    /** On the loop; may be NULL. */
    void (*on_event)(void *user, const pn_event *event);
    /** Any thread; may be NULL. */
    void (*on_log)(void *user, const pn_log_event *event);
    void *user;

    /* Limits. 0 is refused where it would mean "none". */
    uint32_t max_peers;                /* paired peers; 1024 */
    uint32_t max_strangers;            /* unauthenticated links; 128 */
    uint32_t max_strangers_per_source; /* of one /32 or /64; 8 */
    uint32_t strangers_per_second;     /* accepted from all; 500 */
    uint32_t source_per_second;        /* accepted from one source; 5 */
    uint32_t source_burst;             /* ... in one go; 10 */
    uint32_t trusted_reserve;          /* slots kept for known addresses; 16 */
    uint32_t handshake_timeout_ms;     /* 5000, from accept */
    uint32_t connect_timeout_ms;       /* 5000, each address, until TCP is up */
    uint32_t ping_interval_ms;         /* 30000 */
    uint32_t pong_timeout_ms;          /* 60000 */
    uint32_t stall_timeout_ms;         /* 120000 */
    uint32_t call_timeout_ms;          /* default of calls; 5000 */
    uint32_t handler_timeout_ms;       /* 30000: the caller is told */
    uint32_t max_calls_per_peer;       /* ours in flight; 1024 */
    uint32_t max_queue_per_link;       /* inbound messages that wait; 1024 */
    uint32_t max_queue_bytes_per_link; /* ... and their bytes, but one; 4 MiB */
    uint32_t max_output_bytes;         /* per link; 4 MiB */
    uint32_t max_output_messages;      /* per link; 16384 */
    uint64_t max_memory_bytes;         /* all links; 256 MiB, then shed */
    uint32_t max_workers;              /* handler threads; 16, range 1..256 */
    uint32_t max_running_per_peer;     /* handlers of one peer at once; 4 */
    uint32_t max_deferred;             /* requests kept, all peers; 1024 */
    uint32_t max_depth;                /* of terms; 512 */
    uint32_t reconnect_min_ms;         /* 500 */
    uint32_t reconnect_max_ms;         /* 30000 */
    uint32_t duplicate_grace_ms;       /* 2000: docs/THREATS.md, T19 */
    uint32_t linger_ms;                /* 6000: etiquette at close, see below */
    /** Hear announces and make none, as a one-shot command does
     * (docs/PROTOCOL.md, section 7); default false. */
    bool discovery_listen_only;
    /** Go on announcing when the network changes; default true. False: silent
     * from then on until pn_discovery_resume, so that the key is not heard on
     * networks its owner has not seen. */
    bool announce_on_new_networks;
    /** Addresses heard of one peer and not dialled yet; 256. One of each source
     * waits, so it bounds how many sources take turns. Beside N sources that
     * forge announces of a peer it is dialled within 5 x (N + 1) seconds if N
     * is smaller than this: raise it on a network with more hosts. */
    uint32_t max_candidates;
    /** Requests kept of one link, within max_deferred; 64. */
    uint32_t max_deferred_per_link;
    /** Bytes that pn_request_hold may count for one link; 64 MiB. */
    uint32_t max_held_bytes_per_link;
    /** Events that strangers cause (unpaired keys that are discovered, denials
     * of them, dials to addresses that were merely heard) come once for each
     * stranger in a minute, denials of a peer four times for each reason; the
     * rest is counted in PN_EVENT_SUPPRESSED. At most so many events of a kind
     * in one go (and sources kept apart); 256. */
    uint32_t max_stranger_events;
    uint32_t stranger_events_per_minute; /* after those; 6 */
    /** How long pn_node_close goes on sending accepted output; 6000. */
    uint32_t flush_timeout_ms;
    /** What this node calls itself, told to paired peers whose program is a
     * peernet like ours, over their link and nobody else: 1 to 54 bytes of
     * UTF-8 without control characters. NULL, the default: nothing is told.
     * pn_set_label changes it. */
    const char *own_label;
    /** IPv4 addresses, at most 8 with commas between them, that each announce
     * of PN_DISCOVERY_UDP goes to beside discovery_address: hosts that no
     * broadcast reaches. Their announces are heeded also when they come from
     * another network. A host that hears the broadcast, too, hears each twice,
     * and an Elixir node dials at each; NULL, the default: none. */
    const char *announce_to;
    /** Names of the interfaces that PN_DISCOVERY_UDP uses, "eth0,wlan0", at
     * most 255 bytes: announces go to their broadcast addresses, and what comes
     * by another is not heeded, unless a host of announce_to has sent it. NULL,
     * the default: all but those whose names are usual for containers, virtual
     * machines and tunnels, and with discovery_address all. A name that no
     * interface has now may get one. */
    const char *interfaces;
    /** PN_EVENT_LABEL_PROPOSED of one peer in a minute; 4, range 1..255. */
    uint32_t label_events_per_minute;
    /** Lines of the file of grants that count, in its order, without comments
     * and blank ones; 4096, range 1..65536. */
    uint32_t max_grants;
    /** n_listen_fds descriptors, at most 8, of TCP sockets that listen already,
     * as systemd or another parent hands them over: the node accepts from
     * duplicates of them, in place of listen_address and listen_port, and
     * announces the port of the first. They become non-blocking and remain the
     * caller's. Default NULL and 0. */
    const int *listen_fds;
    size_t n_listen_fds;
} pn_node_options;

#define pn_node_options_init(options)                                          \
    pn_node_options_init_sized((options), sizeof(pn_node_options))
/**
 * Writes the defaults to options; size: sizeof(pn_node_options) in the caller's
 * header, which the macro passes. Thread: any.
 */
PN_API void pn_node_options_init_sized(pn_node_options *options, size_t size);

/**
 * Opens a node: takes the data directory, listens, starts its thread (unless
 * own_loop) and dials remembered peers.
 *
 * Ownership: *ret_node is the caller's until pn_node_close.
 * Errors: PN_INVALID an option is out of range; PN_LOCKED another node has the
 * data directory open, or another process has been editing it for 10 s;
 * PN_CORRUPT or PN_PERMISSION a file there; PN_LIMIT trust.bin lists more than
 * max_peers; PN_SYS (the port is in use, ...); PN_NOMEM. *ret_why (may be NULL)
 * has the sentence.
 * Thread: any; blocks on disk.
 */
PN_API PN_MUST_USE pn_err pn_node_open(
    const pn_node_options *options, pn_node **ret_node, pn_why *ret_why);

/**
 * Closes a node: stops announcing, starts no more handlers, fails calls in
 * flight (PN_CLOSED), sends accepted output for as long as flush_timeout_ms,
 * closes every link, waits for running handlers, frees it. NULL is fine. The
 * log warns of output that a peer has not acknowledged by then.
 *
 * For linger_ms the port keeps listening without accepting, because an Elixir
 * peer counts its refused redials and would lose its other links
 * (docs/PROTOCOL.md, section 7). That time is spent only when a link ended
 * within the last linger_ms whose peer has not said that it needs none of it
 * (section 5.1); 0 in the options does without.
 * Thread: any but the loop and handlers, where it would wait for itself; an
 * assertion refuses that, and closing twice. It blocks, also for the end of a
 * pn_node_run on another thread.
 */
PN_API void pn_node_close(pn_node *node);

/**
 * Returns true when pn_node_close, called now, would keep the port open for
 * linger_ms. Errors: none. Thread: any.
 */
PN_API bool pn_node_will_linger(pn_node *node);

/**
 * Returns our own public key. Ownership: the node's, valid until pn_node_close.
 * Thread: any.
 */
PN_API const pn_public_key *pn_node_key(const pn_node *node);

/** Returns the TCP port that the node listens on; 0: none. Thread: any. */
PN_API uint16_t pn_node_port(const pn_node *node);

/**
 * own_loop: returns a descriptor that is readable when pn_node_run has
 * something to do. Ownership: the node's, never to be read or closed.
 * Thread: any.
 */
PN_API int pn_node_fd(const pn_node *node);

/**
 * own_loop: returns the milliseconds until pn_node_run must be called; -1: only
 * the descriptor decides. Thread: the one that calls pn_node_run.
 */
PN_API int pn_node_timeout_ms(const pn_node *node);

/**
 * own_loop: runs everything that is due and returns without waiting.
 * Errors: PN_STATE called from within itself, or the node has a thread;
 * PN_CLOSED another thread closes the node, and the caller has to leave its
 * loop.
 * Thread: one at a time, always the same.
 */
PN_API PN_MUST_USE pn_err pn_node_run(pn_node *node);

/**
 * Announces again after announce_on_new_networks silenced the node.
 * Errors: none, it returns PN_OK. Thread: any.
 */
PN_API pn_err pn_discovery_resume(pn_node *node);

/** A discovery source as it is now. */
typedef struct pn_source_info {
    char name[32];        /* as events have it: "udp" */
    bool is_running;      /* false: start failed, and is tried every 5 s */
    bool is_announcing;   /* it runs and was asked to announce our key */
    int sys_errno;        /* why start failed last; 0: not the system */
    int64_t failed_at_ms; /* when it failed last, ms since 1970; 0: never */
} pn_source_info;

/**
 * Lists the discovery sources of a node; none are left out. The error of a
 * source stays after a later start has succeeded.
 * Ownership: *ret_sources is the caller's to free().
 * Errors: PN_NOMEM; PN_CLOSED the node closes. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_list_sources(
    pn_node *node, pn_source_info **ret_sources, size_t *ret_n);

/** One interface of this host. */
typedef struct pn_interface_info {
    char name[16];
    char address[64]; /* numeric; of IPv4 if it has one; "": it has none */
    /** Why it is not used: "down", "no-address", "loopback"; "left-out", its
     * name is that of a container's or tunnel's; "not-named" in the option
     * interfaces; of UDP "ipv6-only", "no-broadcast", or "not-addressed" by
     * discovery_address. NULL: it is used. Static storage. */
    const char *unused;
} pn_interface_info;

/**
 * Lists the interfaces of this host as they are now, and what a discovery
 * source makes of them: the node's own, "udp", by its rules; any other (or
 * NULL) by state, address and name, as the option interfaces says. It reads the
 * system's list.
 *
 * Ownership: *ret_interfaces is the caller's to free().
 * Errors: PN_NOMEM, PN_SYS. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_list_interfaces(pn_node *node, const char *source,
    pn_interface_info **ret_interfaces, size_t *ret_n);

/** An address at which a source has reported a key. It proves nothing: anybody
 * can announce any key. Times are of the wall clock, ms since 1970. */
typedef struct pn_heard_info {
    pn_public_key key;
    char address[64]; /* "HOST:PORT" */
    char source[32];  /* that reported it last, as events have it */
    int64_t first_ms; /* when it was reported first */
    int64_t last_ms;  /* ... and last */
    uint64_t n_reports;
    /* What is published there as the peer's label (by DNS-SD, TXT n=), UTF-8
     * without control characters; empty: nothing. Anybody can publish any, so
     * it is for display only, and not stored. */
    char published_label[65];
} pn_heard_info;

/**
 * Lists the addresses that sources report now, paired or not; at most 128,
 * because reports can be forged: a new one takes the place of the oldest.
 * Ownership: *ret_heard is the caller's to free().
 * Errors: PN_NOMEM; PN_CLOSED the node closes. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_list_heard(
    pn_node *node, pn_heard_info **ret_heard, size_t *ret_n);

/* ---- peers ------------------------------------------------------------ */

/**
 * Trust a key, on disk first. label and address ("HOST:PORT") may be NULL; the
 * node looks up a name as HOST, and again when a dial fails. A label for a key
 * that is paired already renames the peer.
 *
 * Errors: as pn_store_pair, with max_peers for 1024; PN_CLOSED the node closes.
 * The log has the sentence.
 * Thread: any; blocks on disk, up to 10 s for another editor.
 */
PN_API PN_MUST_USE pn_err pn_pair(
    pn_node *node, const pn_public_key *key, const char *label);
PN_API PN_MUST_USE pn_err pn_pair_at(pn_node *node, const pn_public_key *key,
    const char *label, const char *address);
/**
 * Removes trust: the link ends and calls in flight fail in the same turn; no
 * message of this peer is dispatched after it returns, also after an error.
 *
 * Errors: PN_NOT_FOUND the key was not paired; PN_CLOSED the node closes; as
 * pn_store_unpair when the file could not be written, and the peer is cut off
 * until the node is opened again.
 * Thread: any; blocks on disk, up to 10 s for another editor.
 */
PN_API PN_MUST_USE pn_err pn_unpair(pn_node *node, const pn_public_key *key);

/**
 * Changes what this node calls itself (own_label of its options) until it is
 * closed. NULL: nothing.
 *
 * Linked peers whose program is a peernet like ours are told at once, or a
 * second after the change before; of several changes in that time the last is
 * told. Nothing is stored. A record of DNS-SD is not changed.
 * Ownership: label is copied.
 * Errors: PN_INVALID label is not 1 to 54 bytes of UTF-8 without control
 * characters; PN_CLOSED the node closes.
 * Thread: any. Source: docs/PROTOCOL.md, section 5.1.
 */
PN_API PN_MUST_USE pn_err pn_set_label(pn_node *node, const char *label);

/** Most addresses in one pn_connect, and most addresses of one name that are
 * tried. */
#define PN_CONNECT_MAX 16

/**
 * Starts dialling a paired peer at address, or where it is remembered (NULL).
 * Returns at once; pn_wait_connected waits.
 *
 * address: numeric "HOST:PORT", or a list "A,B,..." of at most PN_CONNECT_MAX:
 * they are tried in this order, the next 250 ms after the one before, or at
 * once when that has failed. The first that connects becomes the link.
 * Errors: PN_NOT_FOUND the key is not paired; PN_INVALID address is not such a
 * list; PN_NOT_CONNECTED address is NULL and none is known; PN_CLOSED the node
 * closes.
 * Thread: any. Source: RFC 8305, section 5 (the 250 ms).
 */
PN_API PN_MUST_USE pn_err pn_connect(
    pn_node *node, const pn_public_key *key, const char *address);

/**
 * Waits until the peer is up. A link that the peer dialled is up when the
 * handshake is over; one that we dialled, when the peer has sent something over
 * it, because only that shows that it has paired us, too. pn_connected,
 * pn_list_peers, calls, sends and PN_EVENT_PEER_UP mean the same by "up".
 *
 * *ret_why (may be NULL): why the last attempt failed, as long as the peer is
 * not up; not-paired-there? when it closed our link without a word.
 * Errors: PN_TIMEOUT; PN_NOT_FOUND the key is not paired; PN_CLOSED the node
 * closes; PN_STATE called on the loop.
 * Thread: any but the loop.
 */
PN_API PN_MUST_USE pn_err pn_wait_connected(pn_node *node,
    const pn_public_key *key, uint32_t timeout_ms, pn_why *ret_why);

/** True when the peer is up, as pn_wait_connected means it. Thread: any. */
PN_API bool pn_connected(pn_node *node, const pn_public_key *key);

typedef enum pn_peer_state {
    PN_PEER_IDLE,     /* no link, no address to try */
    PN_PEER_WAITING,  /* between two attempts */
    PN_PEER_DIALLING, /* also: authenticated, and the peer has not spoken */
    PN_PEER_UP
} pn_peer_state;

/** A paired peer as it is now. */
typedef struct pn_peer_info {
    pn_public_key key;
    char label[256]; /* UTF-8, empty: none */
    pn_peer_state state;
    char address[64];   /* of the live link, or the next to try; or empty */
    bool dialled_by_us; /* up; dialling: authenticated, and nothing heard yet */
    uint64_t up_ms;     /* how long the link has been up; 0: it is not */
    int64_t last_seen_ms;  /* wall clock, ms since 1970; 0: never this run */
    uint64_t rtt_us;       /* 0: not measured yet */
    pn_reason last_reason; /* why the last link or attempt ended */
    int64_t added_at_us;
    /* Up, and its program is a peernet like ours (docs/PROTOCOL.md, section
     * 5.1). It said so itself, so it grants nothing. */
    bool is_our_kind;
    /* What it calls itself, UTF-8 without control characters; empty: nothing.
     * Not checked against labels of others. */
    char proposed_label[64];
    /* An address is known at which no other key has been found, or a name to
     * look up; false: the peer can be dialled again only after it has been
     * heard, or been given an address. */
    bool has_address_left;
    /** How the address of the last link that we dialled was known: "address"
     * (it was given), "name" (its host was looked up), "remembered", or the
     * name of the source that heard it ("udp"). Empty: no dial has succeeded
     * since the node opened. */
    char rung[16];
} pn_peer_info;

/**
 * Copies the entry that pn_list_peers has for one peer.
 * Errors: PN_NOT_FOUND the key is not paired. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_get_peer(
    pn_node *node, const pn_public_key *key, pn_peer_info *ret_peer);

/**
 * Lists all paired peers, newest first.
 * Ownership: *ret_peers is the caller's to free().
 * Errors: PN_NOMEM. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_list_peers(
    pn_node *node, pn_peer_info **ret_peers, size_t *ret_n);

/* ---- handles ---------------------------------------------------------- */

/** One inbound call or send. */
typedef struct pn_request pn_request;

/**
 * A handler. args lives until the handler returns. It answers a call with
 * pn_request_reply or pn_request_fail, or keeps it with pn_request_defer; a
 * call that it does none of these to is answered with an error. Replies to a
 * send go nowhere.
 * Thread: a worker; for an inline handle the loop.
 */
typedef void pn_handler(pn_request *req, pn_term args, void *user);

/** Extra condition, asked on the loop after the grant; args as in the handler.
 * False: the caller is answered `forbidden`. */
typedef bool pn_authorize(
    void *user, const pn_principal *caller, const char *handle, pn_term args);

typedef enum pn_expose_flags {
    /** Never blocks: runs on the loop. */
    PN_EXPOSE_INLINE = 1 << 0,
    /** Does not hold the link's queue: later messages may overtake it. */
    PN_EXPOSE_CONCURRENT = 1 << 1,
    /** No caller may use it until pn_grant. Without it: every paired peer of
     * the PeerNet family, as in PeerNet 0.1.0. */
    PN_EXPOSE_CLOSED = 1 << 2
} pn_expose_flags;

/** Options of a handle; NULL means: worker, in order, every paired peer. */
typedef struct pn_expose_options {
    size_t size; /* set by the init macro */
    unsigned flags;
    pn_authorize *authorize;   /* or NULL */
    uint32_t timeout_ms;       /* 0: the node's handler_timeout_ms */
    uint32_t calls_per_second; /* per peer; 0: no rate limit */
} pn_expose_options;

#define pn_expose_options_init(options)                                        \
    pn_expose_options_init_sized((options), sizeof(pn_expose_options))
/**
 * Writes the defaults to options; size: sizeof(pn_expose_options) in the
 * caller's header, which the macro passes. Thread: any.
 */
PN_API void pn_expose_options_init_sized(
    pn_expose_options *options, size_t size);

/**
 * Opens a handle. name: an atom's name, UTF-8, 1 to 255 bytes. Exposing a name
 * again replaces its handler, options and grants.
 *
 * Ownership: name and options are copied; user stays the caller's and is used
 * until the handle is revoked and its last handler has returned.
 * Errors: PN_INVALID name has another length, handler is NULL, or options were
 * made by a newer header; PN_NOMEM.
 * Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_expose(pn_node *node, const char *name,
    pn_handler *handler, void *user, const pn_expose_options *options);

/**
 * Closes a handle. Requests that have not started, and deferred ones, are
 * answered no_such_handle. After it has returned no new handler starts; one
 * that runs goes on.
 * Errors: PN_NOT_FOUND no handle has this name. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_revoke(pn_node *node, const char *name);

/**
 * Lets one principal use a handle, until pn_ungrant or until it is unpaired:
 * pairing the same key again does not bring the grant back.
 * Errors: PN_NOT_FOUND no handle has this name; PN_INVALID who is NULL, has a
 * key of zeros or an unknown family; PN_NOMEM. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_grant(
    pn_node *node, const char *name, const pn_principal *who);

/**
 * Lets every paired PeerNet peer use a handle that was exposed closed.
 * Errors: PN_NOT_FOUND no handle has this name. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_grant_paired(pn_node *node, const char *name);

/**
 * Takes a grant back. who NULL: the one of all paired peers; the grants of
 * single principals remain. After it has returned no new handler starts for
 * that principal, also of requests that wait in a queue; deferred ones are
 * answered `forbidden` and cancelled; a handler that runs goes on.
 * Errors: PN_NOT_FOUND no handle has this name, or who had no grant.
 * Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_ungrant(
    pn_node *node, const char *name, const pn_principal *who);

/** One grant: who may use a handle, or a function behind one. */
typedef struct pn_grant_info {
    char name[512];   /* the handle; the function: "MyApp.Led.set/1" */
    bool is_function; /* its handle's grant is needed, too */
    bool is_paired;   /* every paired PeerNet peer; who is not used */
    pn_principal who; /* a key of zeros, unless is_paired: nobody may use it */
} pn_grant_info;

/**
 * Lists the grants of all handles and functions, sorted by handle. A handle or
 * function without a grant has one entry, that of nobody.
 * Ownership: *ret_grants is the caller's to free().
 * Errors: PN_NOMEM. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_list_grants(
    pn_node *node, pn_grant_info **ret_grants, size_t *ret_n);

/**
 * Makes the grants of pn_grant of a handle exactly these, in one step: what
 * both the old and the new ones allow is never refused. is_paired: every paired
 * PeerNet peer. The file of grants is not touched.
 * Errors: PN_NOT_FOUND no handle has this name; PN_INVALID a key is zeros or a
 * family unknown; PN_NOMEM; nothing has changed then. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_set_grants(pn_node *node, const char *name,
    bool is_paired, const pn_principal *who, size_t n);

/*
 * The file of grants (peernet/grants.h) of a node that is open. An edit is in
 * force when the function returns; after one that takes a grant away no new
 * handler starts for it, as after pn_ungrant.
 */

/** As pn_store_grant, with max_grants for 4096. Errors: also PN_CLOSED the node
 * closes. Thread: any; waits up to 10 s for another editor. */
PN_API PN_MUST_USE pn_err pn_grant_stored(
    pn_node *node, const pn_stored_grant *grant, pn_why *ret_why);
/** As pn_store_ungrant. Errors: also PN_CLOSED. Thread: any; waits up to 10 s
 * for another editor. */
PN_API PN_MUST_USE pn_err pn_ungrant_stored(
    pn_node *node, const pn_principal *who, const char *name, pn_why *ret_why);
/** As pn_store_set_role. Errors: also PN_CLOSED. Thread: any; waits up to 10 s
 * for another editor. */
PN_API PN_MUST_USE pn_err pn_set_role(pn_node *node, const char *role,
    const char *const *names, size_t n, pn_why *ret_why);
/** As pn_store_list_grants. Errors: also PN_CLOSED. Thread: any. */
PN_API PN_MUST_USE pn_err pn_list_stored_grants(
    pn_node *node, pn_stored_line **ret_lines, size_t *ret_n, pn_why *ret_why);

/**
 * Asks whether a caller may use a handle, or a function such as
 * "MyApp.Led.set/1", as a request of its would be decided now, and by which
 * steps. authorize of the handle and its rate are not asked.
 * *ret_reason: PN_REASON_NONE it may; else why not.
 * Ownership: *ret_steps, in order, is the caller's to free().
 * Errors: PN_CLOSED the node closes; PN_NOMEM. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_can(pn_node *node, const pn_principal *who,
    const char *name, pn_reason *ret_reason, pn_can_step **ret_steps,
    size_t *ret_n);

/*
 * The functions of a request are called by its handler, on the handler's
 * thread, with the request that it was given; after pn_request_defer from any
 * thread with *ret_req. Below this is "Thread: the request's".
 */

/** True for a call, false for a send. Thread: the request's. */
PN_API bool pn_request_is_call(const pn_request *req);

/**
 * Return the caller, its present label or "", the handle's name, and the node.
 * Ownership: the request's, valid as long as it. Thread: the request's.
 */
PN_API const pn_principal *pn_request_caller(const pn_request *req);
PN_API const char *pn_request_label(const pn_request *req);
PN_API const char *pn_request_handle(const pn_request *req);
PN_API pn_node *pn_request_node(const pn_request *req);

/**
 * Answer a request: with a term of this format (pn_term_write_format), with a
 * term, or with {error, Reason}, Reason of this format. The atoms of a reason
 * should be such as every BEAM knows (docs/TERM.md, "Atoms").
 *
 * Only the first answer counts. After it the request is done, also when the
 * answer could not be sent, and a deferred one is freed.
 * Errors: PN_STATE answered already, deferred, or its time is up; PN_CLOSED the
 * link or node is gone; PN_BUSY the link's output is full, and the caller may
 * get no answer; PN_TOO_LARGE, PN_INVALID or PN_NOMEM the term cannot be sent,
 * and the caller is answered an error; PN_LIMIT or PN_SYS the link ends because
 * it cannot encrypt any more.
 * Thread: the request's. Source: docs/PROTOCOL.md, section 4.
 */
PN_API pn_err pn_request_reply(pn_request *req, const char *format, ...);
PN_API pn_err pn_request_reply_term(pn_request *req, pn_term value);
PN_API pn_err pn_request_fail(pn_request *req, const char *format, ...);

/**
 * Keeps a request beyond the handler's return and lets the link's next message
 * start. args ends with the handler all the same and has to be copied.
 *
 * Ownership: *ret_req is the caller's until it is answered or dropped, also
 * when it is not wanted any more; a send has to be dropped.
 * Errors: PN_STATE answered or deferred already, or its time is up; PN_CLOSED
 * the link has ended; PN_DENIED the handle or the grant is gone, and the caller
 * has been answered so; PN_BUSY max_deferred or max_deferred_per_link;
 * PN_NOMEM.
 * Thread: the handler's.
 */
PN_API PN_MUST_USE pn_err pn_request_defer(
    pn_request *req, pn_request **ret_req);

/**
 * Gives a deferred request up and frees it; a call is answered with an error.
 * Thread: any.
 */
PN_API void pn_request_drop(pn_request *req);

/**
 * Counts bytes of the application's memory for a deferred request until it
 * ends, in place of the number given before: against max_held_bytes_per_link,
 * and against max_memory_bytes, of which all requests hold at most half. It is
 * to be called before the memory is taken.
 * Errors: PN_BUSY over a limit; PN_STATE not deferred; nothing changes then.
 * Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_request_hold(pn_request *req, size_t bytes);

/**
 * True while a request's link is up, its handle is exposed, the caller is
 * granted it, and neither an answer nor a time-out has ended it. It is to be
 * asked before postponed work begins; once false it stays false.
 * Thread: the request's.
 */
PN_API bool pn_request_is_wanted(const pn_request *req);

/** Called when a deferred request is not wanted any more. why: the reason of
 * the link's end (PN_REASON_UNPAIRED, ...); PN_REASON_FORBIDDEN or
 * PN_REASON_FUNCTION_FORBIDDEN, a grant was taken back;
 * PN_REASON_NO_SUCH_HANDLE; PN_REASON_HANDLER_TIMEOUT. */
typedef void pn_request_cancelled(void *user, pn_reason why);

/**
 * Has cancelled called, once and on the loop, when a deferred request is not
 * wanted any more, also if that is so already. The caller has been answered by
 * then, if it can be. The request still has to be answered (with the result
 * PN_STATE or PN_CLOSED) or dropped, which the callback may do.
 *
 * Ownership: user stays the caller's. After an answer or pn_request_drop a
 * callback may still be running on the loop, and none begins.
 * Errors: PN_STATE not deferred, or cancelled was called before; PN_INVALID
 * cancelled is NULL; PN_CLOSED the node is closed, and cancelled is not called.
 * Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_request_on_cancel(
    pn_request *req, pn_request_cancelled *cancelled, void *user);

/* ---- calls ------------------------------------------------------------ */

/** A reply, or the reason a peer refused. */
typedef struct pn_reply pn_reply;

/**
 * Returns the value of a reply, or the peer's reason after PN_REMOTE; the empty
 * term for NULL. Ownership: the reply's, valid as long as it. Thread: any.
 */
PN_API pn_term pn_reply_term(const pn_reply *reply);

/** Frees a reply; NULL is fine. Thread: any. */
PN_API void pn_reply_free(pn_reply *reply);

/**
 * Call a handle of a peer and wait. timeout_ms 0: call_timeout_ms of the node.
 * The argument is of a format, as pn_term_write_format, or a term.
 *
 * Ownership: *ret_reply (may be NULL: not wanted) is the caller's until
 * pn_reply_free after PN_OK and PN_REMOTE, else untouched.
 * Errors: PN_REMOTE the peer answered {error, Reason}; PN_NOT_CONNECTED the
 * peer is not up; PN_TIMEOUT; PN_CLOSED the link ended first; PN_BUSY the
 * link's output is full, or max_calls_per_peer are in flight; PN_TOO_LARGE over
 * one frame, or nested deeper than max_depth; PN_INVALID handle is no atom, or
 * the argument cannot be written; PN_LIMIT or PN_SYS the link ends because it
 * cannot encrypt any more; PN_NOMEM; PN_STATE on the loop or in an inline
 * handler, where it would wait for ever.
 * Thread: any but the loop. Source: docs/PROTOCOL.md, section 4.2.
 */
PN_API PN_MUST_USE pn_err pn_call(pn_node *node, const pn_public_key *peer,
    const char *handle, uint32_t timeout_ms, pn_reply **ret_reply,
    const char *format, ...);
PN_API PN_MUST_USE pn_err pn_call_term(pn_node *node, const pn_public_key *peer,
    const char *handle, uint32_t timeout_ms, pn_term args,
    pn_reply **ret_reply);

/** Fires exactly once per accepted asynchronous call, on the loop; value
 * (the reply, or the reason after PN_REMOTE) lives during the callback. */
typedef void pn_call_done(void *user, pn_err outcome, pn_term value);

/**
 * The same without waiting. Errors: as pn_call_term but PN_REMOTE, PN_TIMEOUT
 * and PN_CLOSED, which are outcomes of done, and PN_STATE; PN_INVALID also when
 * done is NULL. done is not called after an error. Called on the loop, it
 * returns before done is called.
 * Ownership: args is copied; user stays the caller's until done.
 * Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_call_async(pn_node *node,
    const pn_public_key *peer, const char *handle, uint32_t timeout_ms,
    pn_term args, pn_call_done *done, void *user);

/**
 * Send a message without an answer; PN_OK: a link that is up has taken it.
 * Messages of one thread to one peer keep their order.
 * Errors: as pn_call but PN_REMOTE, PN_TIMEOUT, PN_CLOSED and PN_STATE; after
 * an error the message is dropped.
 * Thread: any. Source: docs/PROTOCOL.md, section 4.
 */
PN_API PN_MUST_USE pn_err pn_send(pn_node *node, const pn_public_key *peer,
    const char *handle, const char *format, ...);
PN_API PN_MUST_USE pn_err pn_send_term(
    pn_node *node, const pn_public_key *peer, const char *handle, pn_term args);

/**
 * Waits until the peer's system has acknowledged everything that sends, calls
 * and replies have put into the link so far. Only an answer shows that the peer
 * has handled a message.
 * Errors: PN_TIMEOUT; PN_NOT_CONNECTED the peer is not up; PN_CLOSED the link
 * or the node ended first; PN_STATE called on the loop.
 * Thread: any but the loop.
 */
PN_API PN_MUST_USE pn_err pn_flush(
    pn_node *node, const pn_public_key *peer, uint32_t timeout_ms);

/* ---- events and figures ------------------------------------------------ */

typedef enum pn_event_type {
    PN_EVENT_LISTENING, /* address */
    /* who, label, address. For a link that we dialled it comes when the peer
     * has sent something over it, because only that shows that it has paired
     * us, too. A link that ends before that is a dial that failed. */
    PN_EVENT_PEER_UP,
    PN_EVENT_PEER_DOWN, /* who, label, address, reason */
    /* who, label, address, reason. It comes when the reason is another than
     * last time at this address, and after each pn_connect. */
    PN_EVENT_DIAL_FAILED,
    PN_EVENT_DISCOVERED, /* who, address, text = source; paired or not */
    PN_EVENT_LOST,       /* who, address, text = source */
    /* who (or none), label, address, reason, text = handle; of a function that
     * is not exported or not granted, text = "MyApp.Led.set/1". */
    PN_EVENT_DENIED,
    /* who, label; text = "paired", "unpaired" or "renamed". Of a Barrel node's
     * pin, label = its name, text = "pinned" or "unpinned"; a node without key
     * and text: the pins cannot be read, or can again. Peers and nodes that are
     * paired or pinned when the node opens cause none. */
    PN_EVENT_TRUST_CHANGED,
    PN_EVENT_NETWORK_CHANGED, /* text = how many addresses */
    PN_EVENT_WRITABLE,        /* who: a link that was busy can take more */
    /* At most once a minute: n_suppressed events of the kind that text names
     * were left out ("log": lines of the log; "lost": of any kind, for want of
     * room). Those of "denied" are counted for each reason. */
    PN_EVENT_SUPPRESSED,
    /* who, label, address, text = what the peer calls itself now; empty:
     * nothing any more. Its own word, and at most label_events_per_minute: the
     * rest is counted in PN_EVENT_SUPPRESSED, and proposed_label of
     * pn_peer_info is always the last. */
    PN_EVENT_LABEL_PROPOSED,
    /* who, label, text = handle or, as in DENIED, function: it was denied, and
     * a log-only line of the file of grants would allow it. A few a minute for
     * each peer; the rest is counted in PN_EVENT_SUPPRESSED. */
    PN_EVENT_WOULD_ALLOW
} pn_event_type;

/** One event; pointers are valid during the callback. Peer text is escaped. */
struct pn_event {
    size_t size;
    pn_event_type type;
    const pn_principal *who; /* or NULL. A node may have no key, see key.h */
    const char *label;       /* never NULL */
    const char *address;     /* never NULL */
    const char *text;        /* never NULL */
    pn_reason reason;
    uint64_t n_suppressed; /* PN_EVENT_SUPPRESSED: how many */
    /* PN_EVENT_DENIED, PN_EVENT_WOULD_ALLOW: text is a function behind a
     * handle, "MyApp.Led.set/1" */
    bool is_function;
};

/**
 * Returns the type's name, lower case with dashes: "peer-up". Never NULL.
 * Ownership: static storage. Thread: any.
 */
PN_API const char *pn_event_name(pn_event_type type);

/** Counters since the node opened. Newer fields are added at the end. */
typedef struct pn_metrics {
    size_t size;
    uint64_t links_up;  /* now */
    uint64_t strangers; /* unauthenticated links now */
    uint64_t accepted;  /* connections */
    uint64_t refused;   /* at accept, by a limit */
    uint64_t dials;
    uint64_t dial_failures;
    uint64_t auth_ok_initiator;
    uint64_t auth_ok_responder;
    uint64_t auth_failed_initiator;
    uint64_t auth_failed_responder;
    uint64_t auth_us_initiator; /* sum over auth_ok_ */
    uint64_t auth_us_responder;
    uint64_t calls_in;
    uint64_t calls_out;
    uint64_t sends_in;
    uint64_t sends_out;
    uint64_t replies_in;
    uint64_t call_timeouts;
    uint64_t queue_drops;   /* sends dropped: queue full; no answer */
    uint64_t queue_refused; /* these and calls refused for the same reason */
    uint64_t handler_timeouts;
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t frames_in;
    uint64_t frames_out;
    uint64_t announces_in;
    uint64_t announces_out;
    uint64_t announces_dropped; /* malformed, off-link, over the rate */
    uint64_t network_changes;
    uint64_t denials[64];   /* by pn_reason */
    uint64_t link_ends[64]; /* by pn_reason */
} pn_metrics;

#define pn_node_metrics(node, metrics)                                         \
    pn_node_metrics_sized((node), (metrics), sizeof(pn_metrics))
/**
 * Reads all counters at one moment; size: sizeof(pn_metrics) in the caller's
 * header, which the macro passes.
 * Errors: PN_INVALID size is that of a newer header. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_node_metrics_sized(
    pn_node *node, pn_metrics *ret_metrics, size_t size);

/**
 * Writes all counters as Prometheus text, NUL-terminated; *ret_len is without
 * the NUL. Ownership: *ret_text is the caller's to free().
 * Errors: PN_NOMEM. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_node_metrics_text(
    pn_node *node, char **ret_text, size_t *ret_len);

PN_END_DECLS

#endif

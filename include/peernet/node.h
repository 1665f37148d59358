/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node: one identity, its paired peers, the handles it exposes, and the
 * links to them. Everything is closed until pn_expose; everybody is a stranger
 * until pn_pair.
 *
 * Threads. Every function here may be called from any thread unless it says
 * otherwise. Callbacks named "on the loop" run on the node's own thread (or,
 * with own_loop, inside pn_node_run) and must not block.
 */
#ifndef PEERNET_NODE_H
#define PEERNET_NODE_H

#include <peernet/discovery.h>
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
    /** Numeric address to listen on; NULL: all, IPv6 and IPv4. */
    const char *listen_address;
    /** TCP port; default 7100; 0: any free one; PN_PORT_NONE: do not listen. */
    int listen_port;

    /** Default PN_DISCOVERY_NONE. */
    pn_discovery discovery;
    /** Where announces go; NULL: 255.255.255.255 and each interface's
     * broadcast address. Loopback announces are heeded only when this is a
     * loopback address (tests: "127.255.255.255"). */
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
    /** Dial paired peers whose address is remembered; default true. */
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
    uint32_t connect_timeout_ms;       /* 5000, until TCP is up */
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
    uint32_t duplicate_grace_ms;       /* 2000: RELIABILITY T19 */
    uint32_t linger_ms;                /* 6000: etiquette at close, see below */
    /** Hear announces and make none, as a one-shot command does (PeerNet wire,
     * section 6); default false. */
    bool discovery_listen_only;
    /** Go on announcing when the network changes; default true. False: silent
     * from then on until pn_discovery_resume, so that the key is not heard on
     * networks its owner has not seen. */
    bool announce_on_new_networks;
} pn_node_options;

#define pn_node_options_init(options)                                          \
    pn_node_options_init_sized((options), sizeof(pn_node_options))
PN_API void pn_node_options_init_sized(pn_node_options *options, size_t size);

/** Why pn_node_open failed, one sentence; static or in the node's thread-local
 * buffer, valid until the next pn_node_open of this thread. Never NULL. */
PN_API const char *pn_node_open_error(void);

/**
 * Opens a node: takes the data directory, listens, starts its thread (unless
 * own_loop) and dials remembered peers.
 *
 * Ownership: *ret_node is the caller's, to be closed with pn_node_close.
 * Errors: PN_INVALID an option out of range; PN_LOCKED; PN_CORRUPT or
 * PN_PERMISSION a file in the data directory; PN_SYS (the port is in use, ...);
 * PN_NOMEM. pn_node_open_error has the sentence.
 * Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_node_open(
    const pn_node_options *options, pn_node **ret_node);

/**
 * Closes a node: stops announcing, closes every link, fails calls in flight
 * (PN_CLOSED), waits for running handlers, frees it. NULL is fine.
 *
 * For linger_ms the port keeps listening without accepting, because an Elixir
 * peer counts its refused redials and would lose its other links (PeerNet
 * wire, section 6). That time is spent only when a link was up within the last
 * moments; pass linger_ms = 0 in the options to do without.
 * Thread: any but the loop and handlers; blocks.
 */
PN_API void pn_node_close(pn_node *node);

/** Our public key; valid until close. */
PN_API const pn_public_key *pn_node_key(const pn_node *node);
/** The TCP port listened on; 0: none. */
PN_API uint16_t pn_node_port(const pn_node *node);

/** own_loop: readable when pn_node_run has something to do. */
PN_API int pn_node_fd(const pn_node *node);
/** own_loop: milliseconds until pn_node_run must be called; -1: only the fd
 * decides. Thread: the one that runs the loop. */
PN_API int pn_node_timeout_ms(const pn_node *node);
/** own_loop: does what is due and returns without waiting. PN_STATE from
 * within itself. Thread: one at a time, always the same. */
PN_API PN_MUST_USE pn_err pn_node_run(pn_node *node);

/** Announces again after announce_on_new_networks silenced it. Returns PN_OK.
 */
PN_API pn_err pn_discovery_resume(pn_node *node);

/* ---- peers ------------------------------------------------------------ */

/** Trusts a key, on disk first. label and address ("HOST:PORT") may be NULL.
 * Errors: as pn_store_pair. */
PN_API PN_MUST_USE pn_err pn_pair(
    pn_node *node, const pn_public_key *key, const char *label);
PN_API PN_MUST_USE pn_err pn_pair_at(pn_node *node, const pn_public_key *key,
    const char *label, const char *address);
/**
 * Removes trust: the link ends and calls in flight fail in the same turn; no
 * message of this peer is dispatched after it returns.
 * Errors: PN_NOT_FOUND; PN_SYS when the file could not be written: the peer is
 * cut off all the same until restart.
 */
PN_API PN_MUST_USE pn_err pn_unpair(pn_node *node, const pn_public_key *key);

/** Starts dialling a paired peer at address, or where it is remembered (NULL).
 * Returns at once; pn_wait_connected waits. Errors: PN_NOT_FOUND not paired;
 * PN_INVALID; PN_NOT_CONNECTED no address known. */
PN_API PN_MUST_USE pn_err pn_connect(
    pn_node *node, const pn_public_key *key, const char *address);
/** Waits for a link. One that we dialled is up when our last handshake message
 * is on its way; a peer that has not paired us closes it then, with the reason
 * not-paired-there? on our side. Errors: PN_TIMEOUT; PN_STATE from the loop;
 * *ret_reason (may be NULL) says why the last attempt failed. */
PN_API PN_MUST_USE pn_err pn_wait_connected(pn_node *node,
    const pn_public_key *key, uint32_t timeout_ms, pn_reason *ret_reason);
PN_API bool pn_connected(pn_node *node, const pn_public_key *key);

typedef enum pn_peer_state {
    PN_PEER_IDLE,    /* no link, no address to try */
    PN_PEER_WAITING, /* between two attempts */
    PN_PEER_DIALLING,
    PN_PEER_UP
} pn_peer_state;

/** A paired peer as it is now. */
typedef struct pn_peer_info {
    pn_public_key key;
    char label[256]; /* UTF-8, empty: none */
    pn_peer_state state;
    char address[64]; /* of the live link, or the next to try; or empty */
    bool dialled_by_us;
    uint64_t up_ms;        /* how long the link has been up; 0: it is not */
    int64_t last_seen_ms;  /* wall clock, ms since 1970; 0: never this run */
    uint64_t rtt_us;       /* 0: not measured yet */
    pn_reason last_reason; /* why the last link or attempt ended */
    int64_t added_at_us;
} pn_peer_info;

/** All paired peers, newest first. Ownership: free() of *ret_peers. */
PN_API PN_MUST_USE pn_err pn_list_peers(
    pn_node *node, pn_peer_info **ret_peers, size_t *ret_n);

/* ---- handles ---------------------------------------------------------- */

/** Which family of links a caller came over. */
typedef enum pn_family { PN_FAMILY_PEERNET, PN_FAMILY_BARREL } pn_family;

/** Whom a decision is about. */
typedef struct pn_principal {
    pn_family family;
    pn_public_key key;
} pn_principal;

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
    /** Nobody may call it until pn_grant. Without it: every paired peer of the
     * PeerNet family, as in PeerNet 0.1.0. */
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
PN_API void pn_expose_options_init_sized(
    pn_expose_options *options, size_t size);

/**
 * Opens a handle. name: an atom's name, UTF-8, at most 255 characters.
 * Exposing a name again replaces its handler, options and grants.
 * Errors: PN_INVALID, PN_NOMEM.
 */
PN_API PN_MUST_USE pn_err pn_expose(pn_node *node, const char *name,
    pn_handler *handler, void *user, const pn_expose_options *options);
/** Closes it: requests that have not started are answered no_such_handle.
 * Errors: PN_NOT_FOUND. When it returns, no new handler of it starts; one that
 * runs goes on. */
PN_API PN_MUST_USE pn_err pn_revoke(pn_node *node, const char *name);
/** Lets one principal use a handle. Errors: PN_NOT_FOUND, PN_NOMEM. */
PN_API PN_MUST_USE pn_err pn_grant(
    pn_node *node, const char *name, const pn_principal *who);
/** Lets every paired PeerNet peer use a handle that was exposed closed. */
PN_API PN_MUST_USE pn_err pn_grant_paired(pn_node *node, const char *name);
/** Takes a grant back; a handle open to all paired peers becomes closed but
 * for the remaining grants only with who == NULL. Errors: PN_NOT_FOUND. */
PN_API PN_MUST_USE pn_err pn_ungrant(
    pn_node *node, const char *name, const pn_principal *who);

/** True for a call, false for a send. */
PN_API bool pn_request_is_call(const pn_request *req);
/** Who asks; valid as long as the request. */
PN_API const pn_principal *pn_request_caller(const pn_request *req);
/** The caller's label, or ""; valid as long as the request. */
PN_API const char *pn_request_label(const pn_request *req);
PN_API const char *pn_request_handle(const pn_request *req);
PN_API pn_node *pn_request_node(const pn_request *req);

/**
 * Answers with a term of this format (pn_term_write_format). Exactly one
 * answer counts; a second gives PN_STATE. After an answer a deferred request
 * is gone.
 * Errors: PN_TOO_LARGE or PN_INVALID (the caller has been answered an error,
 * the request is done all the same); PN_CLOSED the link or node is gone.
 * Thread: any, for a deferred request; else the handler's.
 */
PN_API pn_err pn_request_reply(pn_request *req, const char *format, ...);
PN_API pn_err pn_request_reply_term(pn_request *req, pn_term value);
/** Answers {error, Reason}, Reason of this format. Use atoms every BEAM knows:
 * docs/TERM.md lists them. */
PN_API pn_err pn_request_fail(pn_request *req, const char *format, ...);
/**
 * Keeps the request beyond the handler's return and lets the link's next
 * message start. Ownership: *ret_req is the caller's until answered (a send:
 * until pn_request_drop). args ends with the handler as ever: copy it.
 * Errors: PN_STATE already answered; PN_BUSY too many deferred; PN_NOMEM.
 * Thread: the handler's.
 */
PN_API PN_MUST_USE pn_err pn_request_defer(
    pn_request *req, pn_request **ret_req);
/** Gives a deferred request up; a call is answered with an error. */
PN_API void pn_request_drop(pn_request *req);

/* ---- calls ------------------------------------------------------------ */

/** A reply, or the reason a peer refused. */
typedef struct pn_reply pn_reply;

/** The value of the reply, or the peer's reason after PN_REMOTE; lives as long
 * as the reply. The empty term for NULL. */
PN_API pn_term pn_reply_term(const pn_reply *reply);
PN_API void pn_reply_free(pn_reply *reply); /* NULL is fine */

/**
 * Calls a handle of a peer and waits. timeout_ms 0: the node's default.
 * format: the argument, as pn_term_write_format.
 *
 * Ownership: *ret_reply (may be NULL: not wanted) is the caller's after PN_OK
 * and PN_REMOTE, else untouched.
 * Errors: PN_REMOTE the peer answered {error, Reason}; PN_NOT_CONNECTED;
 * PN_TIMEOUT; PN_CLOSED the link ended first; PN_BUSY; PN_TOO_LARGE;
 * PN_INVALID; PN_STATE on the loop or in an inline handler, where waiting
 * would be for ever.
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

/** The same without waiting; errors found at once are returned, and done then
 * does not fire. On the loop done may not fire before this returns. */
PN_API PN_MUST_USE pn_err pn_call_async(pn_node *node,
    const pn_public_key *peer, const char *handle, uint32_t timeout_ms,
    pn_term args, pn_call_done *done, void *user);

/** Fire and forget: PN_OK means handed to a live link. Errors:
 * PN_NOT_CONNECTED (dropped, never queued), PN_BUSY, PN_TOO_LARGE, PN_INVALID.
 * Messages of one thread to one peer keep their order. */
PN_API PN_MUST_USE pn_err pn_send(pn_node *node, const pn_public_key *peer,
    const char *handle, const char *format, ...);
PN_API PN_MUST_USE pn_err pn_send_term(
    pn_node *node, const pn_public_key *peer, const char *handle, pn_term args);

/* ---- events and figures ------------------------------------------------ */

typedef enum pn_event_type {
    PN_EVENT_LISTENING, /* address */
    /* key, label, address. A link we dialled is told of when the peer has sent
     * something over it: only then has it paired us, too. One that ends before
     * that is a dial that failed. */
    PN_EVENT_PEER_UP,
    PN_EVENT_PEER_DOWN,     /* key, label, address, reason */
    PN_EVENT_DIAL_FAILED,   /* key, label, address, reason */
    PN_EVENT_DISCOVERED,    /* key, address, text = source; paired or not */
    PN_EVENT_LOST,          /* key, address, text = source */
    PN_EVENT_DENIED,        /* key (or none), address, reason, text = handle */
    PN_EVENT_TRUST_CHANGED, /* key, label; text = "paired" or "unpaired" */
    PN_EVENT_NETWORK_CHANGED, /* text = how many addresses */
    PN_EVENT_WRITABLE         /* key: a link that was busy can take more */
} pn_event_type;

/** One event; pointers are valid during the callback. Peer text is escaped. */
struct pn_event {
    size_t size;
    pn_event_type type;
    const pn_public_key *key; /* NULL: none */
    const char *label;        /* never NULL */
    const char *address;      /* never NULL */
    const char *text;         /* never NULL */
    pn_reason reason;
};

/** Lower-case name with dashes: "peer-up". Never NULL. */
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
    uint64_t queue_drops;   /* sends dropped: queue full */
    uint64_t queue_refused; /* calls refused: queue full */
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

/** Reads all counters at one moment. */
#define pn_node_metrics(node, metrics)                                         \
    pn_node_metrics_sized((node), (metrics), sizeof(pn_metrics))
PN_API PN_MUST_USE pn_err pn_node_metrics_sized(
    pn_node *node, pn_metrics *ret_metrics, size_t size);

/** The same as Prometheus text. Ownership: free() of *ret_text. */
PN_API PN_MUST_USE pn_err pn_node_metrics_text(
    pn_node *node, char **ret_text, size_t *ret_len);

PN_END_DECLS

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Barrel link: a node of PeerNet as a (hidden) node of an Erlang cluster
 * whose nodes run barrel_p2p 0.1.0. Erlang distribution over QUIC, after both
 * ends have proven an Ed25519 key; docs/BARREL.md.
 *
 * The handles a node exposes answer gen_server:call({handle, Node}, _) and
 * {handle, Node} ! Msg, and the functions of its BeamDist table rpc:call and
 * erpc:call, for the Barrel principals that were granted them and for nobody
 * else. A peer let through by its cookie alone has no key and matches no
 * grant.
 *
 * "The loop" is the node's (peernet/node.h). A pn_barrel may be used until its
 * node is closed. Link with libpeernet-barrel.
 */
#ifndef PEERNET_BARREL_H
#define PEERNET_BARREL_H

#include <peernet/node.h>
#include <peernet/store.h>

PN_BEGIN_DECLS

/** The Barrel part of one node; ends with the node. */
typedef struct pn_barrel pn_barrel;

#define PN_BARREL_PORT_DEFAULT 9100

typedef enum pn_barrel_trust {
    PN_BARREL_STRICT, /* a name that is not pinned is refused; the default */
    PN_BARREL_TOFU    /* ... is pinned, once its key is proven */
} pn_barrel_trust;

/** The address of a node, as its owner gives it. */
typedef struct pn_barrel_address {
    const char *name;    /* NAME@HOST */
    const char *address; /* "HOST:PORT", "[IPv6]:PORT" */
} pn_barrel_address;

/** Options of a Barrel part. pn_barrel_options_init writes the defaults.
 * Pointers are borrowed during pn_barrel_open only. */
typedef struct pn_barrel_options {
    size_t size; /* set by the init macro */

    const char *name; /* NAME@HOST; required */
    /** The cluster's cookie, 1 to 255 bytes; required. It is copied; wipe
     * yours. */
    const char *cookie;
    /** Of node.key, node.pub and trusted/; required. Made when missing. */
    const char *key_dir;
    /** Of the certificate, node.crt and node.key; required; not key_dir. */
    const char *cert_dir;
    /** Numeric address to listen on; NULL: all, IPv6 and IPv4. */
    const char *listen_address;
    int listen_port; /* UDP; default 9100; 0: any free one */

    pn_barrel_trust trust; /* default PN_BARREL_STRICT */
    /** Patterns NAME@HOST, either side may be "*", of nodes let through
     * without an identity; default none. */
    const char *const *cookie_only;
    size_t n_cookie_only;
    /** For the whole authentication; default 10000, range 1..120000. There is
     * no infinity, and no way to do without. */
    uint32_t auth_timeout_ms;
    /** How late an answer may be, and half of how far clocks may differ;
     * default 30000, range 1..600000. */
    uint32_t auth_window_ms;

    /** Where nodes are: first these, then the files of a directory, then
     * DNS. */
    const pn_barrel_address *addresses;
    size_t n_addresses;
    const char *discovery_dir; /* NULL: no files, the default */
    /** Port of nodes found by DNS; default 9100; 0: DNS is not asked. */
    uint16_t dns_port;
    /** Write our own endpoint file there; default true. */
    bool publish;
    /** Its host; NULL: the part behind the @ of our name. */
    const char *publish_host;
    /** Appear in nodes() of the others; default false: a hidden node. */
    bool visible;

    /* Limits. 0 is refused. */
    uint32_t max_links;          /* connections, both directions; 256 */
    uint32_t max_pins;           /* names; 4096 */
    uint32_t max_new_pins;       /* tofu: names pinned in this run; 64 */
    uint32_t new_pin_ms;         /* tofu: and one in this time; 10000 */
    uint32_t max_message_bytes;  /* of distribution; 16 MiB */
    uint32_t max_calls;          /* ours in flight, to one node; 1024 */
    uint32_t connect_timeout_ms; /* look-up to distribution; 20000 */
    uint32_t keep_alive_ms;      /* PING after this much silence; 15000 */
    uint32_t dead_after_ms;      /* the end after this much; 60000 */
    uint32_t retry_above;        /* unfinished handshakes until Retry; 16 */
    /** For the TLS handshake of a node that dials us; default 5000. */
    uint32_t handshake_timeout_ms;
    /** Handshakes a second with addresses that may be forged; default 20. More
     * callers are sent a Retry first, as above retry_above. */
    uint32_t unproven_per_second;
    uint32_t retries_per_second; /* Retry packets; 10000 */
    /** Other answers to strangers, of each kind: stateless resets, lists of
     * versions, refusals; default 200. */
    uint32_t answers_per_second;
    /** Beside both, answers to each address that a pinned node is known to
     * come from; default 10. */
    uint32_t known_answers_per_second;

    /** Dial pinned nodes whose address is known (the list above, or an endpoint
     * file) when the node opens, and every pinned node again after its link
     * was lost, but for pn_barrel_disconnect; default false. A failure is an
     * event when it differs from the last one. */
    bool dial_pinned;
    /** The first pause before a node is dialled again, and the longest, to
     * which it doubles; default 1000 and 60000, range 10..86400000. The address
     * of a node that is not known is looked for again after the longest. */
    uint32_t redial_ms;
    uint32_t redial_max_ms;
    /** A message over max_message_bytes is not kept, its caller is answered
     * system_limit, and the link goes on; but one over this ends it. Default
     * 256 MiB; as much as max_message_bytes, or less: each ends it. */
    uint32_t max_drained_bytes;
    /** ... and so does one of which 64 KiB do not come within this time;
     * default 10000, range 10..600000. */
    uint32_t drain_timeout_ms;
} pn_barrel_options;

#define pn_barrel_options_init(options)                                        \
    pn_barrel_options_init_sized((options), sizeof(pn_barrel_options))
/**
 * Writes the defaults to options; size: sizeof(pn_barrel_options) in the
 * caller's header, which the macro passes. Thread: any.
 */
PN_API void pn_barrel_options_init_sized(
    pn_barrel_options *options, size_t size);

/**
 * Opens the Barrel part of a node: loads or makes the identity and the
 * certificate, loads the pins, listens. A node has at most one.
 *
 * Ownership: *ret_barrel is the node's and ends with it.
 * Errors: PN_INVALID an option is out of range; PN_CORRUPT or PN_PERMISSION a
 * file; PN_NOT_FOUND one of node.crt and node.key is missing; PN_LIMIT more
 * than max_pins are pinned; PN_LOCKED another process has been editing for
 * 10 s; PN_EXISTS the node has a Barrel part, or a
 * file appeared while it was made; PN_SYS (the port is in use, ...);
 * PN_CLOSED the node closes; PN_NOMEM. *ret_why (may be NULL) has the sentence.
 * Thread: any but the loop; blocks on disk.
 * Source: docs/BARREL-PROTOCOL.md, sections 9 and 10.
 */
PN_API PN_MUST_USE pn_err pn_barrel_open(pn_node *node,
    const pn_barrel_options *options, pn_barrel **ret_barrel, pn_why *ret_why);

/**
 * Copies our Ed25519 public key as it is now: a rotation takes effect with the
 * next link, without a restart. Thread: any.
 */
PN_API void pn_barrel_key(pn_barrel *barrel, pn_ed25519_key *ret_key);

/**
 * Returns our name, NAME@HOST. Ownership: barrel's, valid until the node is
 * closed. Thread: any.
 */
PN_API const char *pn_barrel_name(const pn_barrel *barrel);

/** Returns the UDP port that it listens on. Thread: any. */
PN_API uint16_t pn_barrel_port(const pn_barrel *barrel);

/** One pinned node. */
typedef struct pn_barrel_pin {
    char name[256];
    pn_ed25519_key key;
} pn_barrel_pin;

/**
 * Finds the key that is pinned for a name.
 * Errors: PN_NOT_FOUND none is pinned; PN_INVALID name is not NAME@HOST.
 * Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_barrel_pinned(
    pn_barrel *barrel, const char *name, pn_ed25519_key *ret_key);

/**
 * Lists all pins that count now, sorted by name.
 * Ownership: *ret_pins is the caller's to free().
 * Errors: PN_NOMEM; PN_CLOSED the node is closed. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_barrel_pins(
    pn_barrel *barrel, pn_barrel_pin **ret_pins, size_t *ret_n);

/**
 * Takes the pin of a name back: it counts no more at once, its link ends in the
 * same turn, and its file is removed.
 * Errors: PN_NOT_FOUND none is pinned; PN_INVALID name is not NAME@HOST;
 * PN_LOCKED another process edits; PN_PERMISSION or PN_SYS a file; PN_CLOSED
 * the node closes; PN_NOMEM. After PN_LOCKED, PN_PERMISSION and PN_SYS the pin
 * counts no more until the node is opened again, and its file may be there.
 * Thread: any; waits up to 10 s for another editor.
 */
PN_API PN_MUST_USE pn_err pn_barrel_unpin(pn_barrel *barrel, const char *name);

/* ---- towards nodes ---------------------------------------------------- */

/**
 * Connects to a node, if it is not connected, and waits. timeout_ms 0: 5000.
 * *ret_why (may be NULL): why the link ended, or after PN_TIMEOUT what it
 * waited for; empty after PN_OK.
 *
 * Errors: PN_INVALID name is not NAME@HOST, or our own; PN_NOT_CONNECTED the
 * link ended before it was up; PN_TIMEOUT; PN_CLOSED the node closes; PN_FULL
 * max_links; PN_BUSY max_calls to this node; PN_NOMEM; PN_STATE called on the
 * loop.
 * Thread: any but the loop.
 * Source: docs/BARREL-PROTOCOL.md, sections 6 and 14.
 */
PN_API PN_MUST_USE pn_err pn_barrel_connect(
    pn_barrel *barrel, const char *name, uint32_t timeout_ms, pn_why *ret_why);
/**
 * The same without waiting: done is called on the loop, once, if PN_OK is
 * returned; its value is the sentence as a string unless the outcome is PN_OK.
 * Errors: as pn_barrel_connect but PN_NOT_CONNECTED and PN_TIMEOUT, which are
 * outcomes, and PN_STATE; PN_INVALID also when done is NULL.
 * Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_barrel_connect_async(pn_barrel *barrel,
    const char *name, uint32_t timeout_ms, pn_call_done *done, void *user);

/**
 * Returns, inside a pn_call_done of this header, why the link ended that the
 * sentence is about; PN_REASON_NONE: no link ended. Thread: the loop.
 */
PN_API pn_reason pn_barrel_reason(const pn_barrel *barrel);

/**
 * Ends the link to a node.
 * Errors: PN_NOT_CONNECTED it is not connected. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_barrel_disconnect(
    pn_barrel *barrel, const char *name);

/**
 * Calls rpc:call(Node, Module, Function, Args) and waits; connects first.
 * module as pn_beam_dist_export takes it: "MyApp.Led" or ":erlang". args is a
 * list. timeout_ms 0: 5000.
 *
 * Ownership: *ret_reply (may be NULL: not wanted) is the caller's until
 * pn_reply_free; NULL when there is no value.
 * Errors: PN_REMOTE, *ret_reply is the reason behind badrpc; PN_NOT_CONNECTED
 * and PN_CLOSED, no link came up or it ended before the answer, *ret_reply is a
 * sentence as a string; PN_TIMEOUT, *ret_reply is a sentence when there was no
 * link yet; PN_TOO_LARGE the request or the answer is over max_message_bytes;
 * PN_FULL max_links; PN_LIMIT the answer is deeper than max_depth of the node;
 * PN_BUSY max_calls, or the link's output is full; PN_INVALID name, module or
 * function, or args is no list; PN_NOMEM; PN_STATE called on the loop.
 * Thread: any but the loop.
 * Source: docs/BARREL-PROTOCOL.md, section 16.2.
 */
PN_API PN_MUST_USE pn_err pn_rpc(pn_barrel *barrel, const char *name,
    const char *module, const char *function, pn_term args, uint32_t timeout_ms,
    pn_reply **ret_reply);

/**
 * The same without waiting: done is called on the loop, once, if PN_OK is
 * returned, with the outcome and the value that pn_rpc would have.
 * Errors: as pn_rpc, if they are found at once; PN_INVALID also when done is
 * NULL. Ownership: args is copied. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_rpc_async(pn_barrel *barrel, const char *name,
    const char *module, const char *function, pn_term args, uint32_t timeout_ms,
    pn_call_done *done, void *user);

/**
 * Calls gen_server:call({Process, Node}, Request), with a monitor, and waits;
 * connects first. timeout_ms 0: 5000. Ownership: as pn_rpc.
 * Errors: PN_REMOTE no such process, or it ended, *ret_reply is the reason;
 * PN_INVALID name or process; else as pn_rpc.
 * Thread: any but the loop.
 * Source: docs/BARREL-PROTOCOL.md, section 16.3.
 */
PN_API PN_MUST_USE pn_err pn_gen_call(pn_barrel *barrel, const char *name,
    const char *process, pn_term request, uint32_t timeout_ms,
    pn_reply **ret_reply);

/** The same without waiting. Errors: as pn_rpc_async. Thread: any. */
PN_API PN_MUST_USE pn_err pn_gen_call_async(pn_barrel *barrel, const char *name,
    const char *process, pn_term request, uint32_t timeout_ms,
    pn_call_done *done, void *user);

/**
 * Sends {Process, Node} ! Message to a node that is connected.
 * Errors: PN_NOT_CONNECTED; PN_BUSY the link's output is full; PN_TOO_LARGE
 * over max_message_bytes; PN_INVALID process is no atom, or message is no term;
 * PN_NOMEM.
 * Thread: any. Source: docs/BARREL-PROTOCOL.md, section 16.
 */
PN_API PN_MUST_USE pn_err pn_barrel_send(
    pn_barrel *barrel, const char *name, const char *process, pn_term message);

/**
 * Sends Pid ! Message to a pid out of a reply or a message. A pid of creation
 * 0, as a text gives it, is one of the node's present run. Errors: PN_INVALID
 * pid is none; else as pn_barrel_send. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_barrel_send_pid(
    pn_barrel *barrel, pn_term pid, pn_term message);

/**
 * Sends a connected node a request that every node answers, behind all messages
 * before: its answer shows that they have arrived there. It is sent also when
 * the link's output is full. timeout_ms 0: 5000.
 *
 * done is called once, on the loop, if PN_OK is returned: with PN_OK and no
 * value; PN_CLOSED the link ended first; PN_TIMEOUT.
 * Ownership: user stays the caller's until done.
 * Errors: PN_NOT_CONNECTED; PN_BUSY max_calls; PN_INVALID done is NULL;
 * PN_NOMEM.
 * Thread: any. Source: docs/BARREL-PROTOCOL.md, section 16.
 */
PN_API PN_MUST_USE pn_err pn_barrel_flush_async(pn_barrel *barrel,
    const char *name, uint32_t timeout_ms, pn_call_done *done, void *user);

/** Called once, on the loop, when the monitored process or node has ended.
 * reason: its exit reason; noconnection when the link ended. */
typedef void pn_barrel_down(void *user, uint64_t monitor, pn_term reason);

/**
 * Monitors a process of a connected node by its registered name; process NULL:
 * the node itself.
 * Ownership: user stays the caller's until down or pn_barrel_demonitor.
 * Errors: PN_NOT_CONNECTED; PN_BUSY max_calls, or the link's output is full;
 * PN_INVALID process is no atom, or down is NULL; PN_NOMEM.
 * Thread: any. Source: docs/BARREL-PROTOCOL.md, section 16.
 */
PN_API PN_MUST_USE pn_err pn_barrel_monitor(pn_barrel *barrel, const char *name,
    const char *process, pn_barrel_down *down, void *user,
    uint64_t *ret_monitor);

/**
 * The same for a pid; one of creation 0 as in pn_barrel_send_pid.
 * Errors: PN_INVALID pid is none; else as pn_barrel_monitor. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_barrel_monitor_pid(pn_barrel *barrel, pn_term pid,
    pn_barrel_down *down, void *user, uint64_t *ret_monitor);

/**
 * Takes a monitor back. A call of down may still be running on the loop, and
 * none begins.
 * Errors: PN_NOT_FOUND there is no such monitor, or down was called.
 * Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_barrel_demonitor(
    pn_barrel *barrel, uint64_t monitor);

/** A node that is connected. */
typedef struct pn_barrel_node_info {
    char name[256];
    pn_ed25519_key key; /* zero: it proved none, by cookie only */
    char address[64];
    bool dialled_by_us;
    uint64_t up_ms;
} pn_barrel_node_info;

/**
 * Lists the nodes that are connected.
 * Ownership: *ret_nodes is the caller's to free().
 * Errors: PN_NOMEM. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_barrel_nodes(
    pn_barrel *barrel, pn_barrel_node_info **ret_nodes, size_t *ret_n);

/* ---- the key directory, without a node --------------------------------- */

/**
 * The files of a key directory: node.key, node.pub, trusted/. A node that runs
 * on it sees edits at once. A store is used by one thread at a time.
 *
 * Errors of files, as the functions below refer to them: PN_CORRUPT a file is
 * damaged; PN_PERMISSION a file or the directory has an unsafe owner, type or
 * mode; PN_LOCKED another process has been editing for 10 s; PN_SYS the system
 * refused; PN_NOMEM. error, which may be NULL, names the file and says what was
 * expected.
 */
typedef struct pn_barrel_store pn_barrel_store;

/**
 * Opens a key directory; makes it and an identity when there is none. warning
 * (may be NULL) names files that do not count, and a mended rotation.
 * Ownership: *ret_store is the caller's until pn_barrel_store_close.
 * Errors: those of files; PN_LIMIT more than 4096 are pinned.
 * Thread: any. Source: docs/BARREL-PROTOCOL.md, section 10.
 */
PN_API PN_MUST_USE pn_err pn_barrel_store_open(const char *key_dir,
    pn_barrel_store **ret_store, pn_why *ret_why, pn_why *warning);

/** Closes a store; NULL is fine. Thread: the store's. */
PN_API void pn_barrel_store_close(pn_barrel_store *store);

/**
 * Returns our Ed25519 public key. Ownership: the store's, valid until
 * pn_barrel_store_close; pn_barrel_store_rotate changes it.
 * Thread: the store's.
 */
PN_API const pn_ed25519_key *pn_barrel_store_key(const pn_barrel_store *store);

/**
 * Lists all pins, sorted by name.
 * Ownership: *ret_pins is the caller's to free().
 * Errors: PN_NOMEM. Thread: the store's.
 */
PN_API PN_MUST_USE pn_err pn_barrel_store_pins(
    pn_barrel_store *store, pn_barrel_pin **ret_pins, size_t *ret_n);

/**
 * Pins name to key; PN_OK also when it was so before. A pin is never replaced.
 * Errors: PN_EXISTS another key is pinned for name; PN_INVALID key is our own,
 * or name is not NAME@HOST of at most 251 bytes; PN_FULL 4096 are pinned;
 * those of files.
 * Thread: the store's. Source: docs/BARREL-PROTOCOL.md, section 9.1.
 */
PN_API PN_MUST_USE pn_err pn_barrel_store_pin(pn_barrel_store *store,
    const char *name, const pn_ed25519_key *key, pn_why *ret_why);

/**
 * Takes the pin of name back. After an error of files it counts no more in this
 * store, and its file may still be there.
 * Errors: PN_NOT_FOUND none is pinned; PN_INVALID name is not NAME@HOST; those
 * of files but PN_CORRUPT.
 * Thread: the store's.
 */
PN_API PN_MUST_USE pn_err pn_barrel_store_unpin(
    pn_barrel_store *store, const char *name, pn_why *ret_why);

/**
 * Reads a public key from a file: 32 bytes, as upstream's node.pub, or a line
 * that pn_ed25519_key_parse takes.
 * Errors: PN_INVALID the file holds something else; PN_SYS. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_barrel_read_key(
    const char *path, pn_ed25519_key *ret_key, pn_why *ret_why);

/**
 * Makes a new identity; copies the old one to a new directory *ret_backup (0600
 * in 0700) first. Every node that pinned the old key refuses us from now on,
 * until its owner takes the pin back.
 *
 * Ownership: *ret_backup, a path, is the caller's to free().
 * Errors: PN_NOT_FOUND the old identity is gone; PN_EXISTS there is a backup of
 * this second; PN_INVALID the clock's year has not four digits; those of files,
 * PN_PERMISSION also when node.key is a symbolic link. After an error the old
 * identity is in use.
 * Thread: the store's. Source: docs/BARREL-PROTOCOL.md, section 11.
 */
PN_API PN_MUST_USE pn_err pn_barrel_store_rotate(
    pn_barrel_store *store, char **ret_backup, pn_why *ret_why);

/**
 * Makes a new certificate in the same way; a running node serves it after a
 * restart. No node pins it. Ownership and errors: as pn_barrel_store_rotate.
 * Errors: PN_NOT_FOUND also when one of the two files is missing.
 * Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_barrel_rotate_certificate(
    const char *cert_dir, char **ret_backup, pn_why *ret_why);

/* ---- counters ----------------------------------------------------------- */

/** Counters since opening. auth_ok_ counts the authentications that succeeded,
 * by role, and auth_ok_us_ is the sum of their times in microseconds;
 * auth_fail_ and auth_fail_us_ are the same of those that failed. */
typedef struct pn_barrel_metrics {
    size_t size;
    uint64_t auth_ok_outgoing;
    uint64_t auth_ok_us_outgoing;
    uint64_t auth_fail_outgoing;
    uint64_t auth_fail_us_outgoing;
    uint64_t auth_ok_incoming;
    uint64_t auth_ok_us_incoming;
    uint64_t auth_fail_incoming;
    uint64_t auth_fail_us_incoming;
    uint64_t new_pins;
    uint64_t links_up; /* now */
    uint64_t signals_in;
    uint64_t signals_out;
    uint64_t calls_in;
    uint64_t calls_out;
    uint64_t datagrams_in;
    uint64_t datagrams_out;
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t retries_sent;
    uint64_t messages_too_large; /* in: over max_message_bytes, not kept */
} pn_barrel_metrics;

#define pn_barrel_get_metrics(barrel, metrics)                                 \
    pn_barrel_get_metrics_sized((barrel), (metrics), sizeof(pn_barrel_metrics))
/**
 * Reads all counters at one moment; size: sizeof(pn_barrel_metrics) in the
 * caller's header, which the macro passes. Thread: any.
 */
PN_API void pn_barrel_get_metrics_sized(
    pn_barrel *barrel, pn_barrel_metrics *ret_metrics, size_t size);

/**
 * Writes the counters as Prometheus text, each as peernet_barrel_NAME: *ret_len
 * bytes without the NUL. Ownership: *ret_text is the caller's to free().
 * Errors: PN_NOMEM. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_barrel_metrics_text(
    pn_barrel *barrel, char **ret_text, size_t *ret_len);

PN_END_DECLS

#endif

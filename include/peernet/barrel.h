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
 * Link with libpeernet-barrel.
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

/** Where a node is, said by hand. */
typedef struct pn_barrel_address {
    const char *name;    /* NAME@HOST */
    const char *address; /* "HOST:PORT", "[IPv6]:PORT" */
} pn_barrel_address;

/** Fill with pn_barrel_options_init, then change what should differ. Pointers
 * are borrowed during pn_barrel_open only. */
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
    /** How late an answer may be, and half of what the clocks may differ;
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
    /** Its host; NULL: what is behind the @ of our name. */
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
} pn_barrel_options;

#define pn_barrel_options_init(options)                                        \
    pn_barrel_options_init_sized((options), sizeof(pn_barrel_options))
PN_API void pn_barrel_options_init_sized(
    pn_barrel_options *options, size_t size);

/**
 * Opens the Barrel part of a node: loads or makes the identity and the
 * certificate, loads the pins, listens. One for each node.
 * Errors: PN_INVALID an option; PN_CORRUPT or PN_PERMISSION a file; PN_EXISTS
 * the node has one; PN_SYS (the port is in use, ...); PN_CLOSED; PN_NOMEM.
 * pn_node_open_error has the sentence.
 * Thread: any, not from a callback; blocks on disk.
 */
PN_API PN_MUST_USE pn_err pn_barrel_open(
    pn_node *node, const pn_barrel_options *options, pn_barrel **ret_barrel);

/** Our Ed25519 public key as of now: rotating it takes effect with the next
 * link, without a restart. Thread: any. */
PN_API void pn_barrel_key(pn_barrel *barrel, pn_public_key *ret_key);
/** Our name. Thread: any. */
PN_API const char *pn_barrel_name(const pn_barrel *barrel);
/** The UDP port listened on. Thread: any. */
PN_API uint16_t pn_barrel_port(const pn_barrel *barrel);

/** The key pinned for a name. Errors: PN_NOT_FOUND; PN_INVALID. Thread: any. */
PN_API PN_MUST_USE pn_err pn_barrel_pinned(
    pn_barrel *barrel, const char *name, pn_public_key *ret_key);
/**
 * Takes the pin of a name back: file first, then its link ends in the same
 * turn. Errors: PN_NOT_FOUND; PN_SYS. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_barrel_unpin(pn_barrel *barrel, const char *name);

/* ---- towards nodes ---------------------------------------------------- */

#define PN_BARREL_SENTENCE_MAX 512

/**
 * Connects to a node, if it is not connected, and waits. ret_why (may be NULL)
 * says in a sentence what failed.
 * Errors: PN_INVALID the name; PN_NOT_CONNECTED; PN_TIMEOUT; PN_LIMIT;
 * PN_STATE from the loop. Thread: any but the loop.
 */
PN_API PN_MUST_USE pn_err pn_barrel_connect(pn_barrel *barrel, const char *name,
    uint32_t timeout_ms, char ret_why[PN_BARREL_SENTENCE_MAX]);
/** The same without waiting: done is called on the loop, once, if PN_OK is
 * returned; for PN_NOT_CONNECTED with the sentence as a string. Thread: any. */
PN_API PN_MUST_USE pn_err pn_barrel_connect_async(pn_barrel *barrel,
    const char *name, uint32_t timeout_ms, pn_call_done *done, void *user);
/** Ends the link to a node. Errors: PN_NOT_CONNECTED. Thread: any. */
PN_API PN_MUST_USE pn_err pn_barrel_disconnect(
    pn_barrel *barrel, const char *name);

/**
 * rpc:call(Node, Module, Function, Args); connects first. Module as
 * pn_beam_dist_export takes it: "MyApp.Led" or ":erlang". args is a list.
 * timeout_ms 0: 5000.
 * Ownership: *ret_reply (may be NULL) is freed with pn_reply_free.
 * Errors: PN_REMOTE, *ret_reply being the reason behind badrpc;
 * PN_NOT_CONNECTED, *ret_reply being the sentence as a string; PN_CLOSED the
 * link went before the answer; PN_TIMEOUT; PN_TOO_LARGE; PN_LIMIT the answer is
 * deeper than max_depth of the node; PN_BUSY; PN_INVALID; PN_STATE from the
 * loop. Thread: any but the loop.
 */
PN_API PN_MUST_USE pn_err pn_rpc(pn_barrel *barrel, const char *name,
    const char *module, const char *function, pn_term args, uint32_t timeout_ms,
    pn_reply **ret_reply);

/** The same without waiting: done is called on the loop, once, if PN_OK is
 * returned. Thread: any. */
PN_API PN_MUST_USE pn_err pn_rpc_async(pn_barrel *barrel, const char *name,
    const char *module, const char *function, pn_term args, uint32_t timeout_ms,
    pn_call_done *done, void *user);

/**
 * gen_server:call({Process, Node}, Request), with a monitor: PN_REMOTE, the
 * reply being the reason, when there is no such process or it ends. Else as
 * pn_rpc.
 */
PN_API PN_MUST_USE pn_err pn_gen_call(pn_barrel *barrel, const char *name,
    const char *process, pn_term request, uint32_t timeout_ms,
    pn_reply **ret_reply);
/** The same without waiting, as pn_rpc_async. Thread: any. */
PN_API PN_MUST_USE pn_err pn_gen_call_async(pn_barrel *barrel, const char *name,
    const char *process, pn_term request, uint32_t timeout_ms,
    pn_call_done *done, void *user);

/** {Process, Node} ! Message, to a node that is connected: nothing waits.
 * Errors: PN_NOT_CONNECTED; PN_BUSY; PN_TOO_LARGE; PN_INVALID. Thread: any. */
PN_API PN_MUST_USE pn_err pn_barrel_send(
    pn_barrel *barrel, const char *name, const char *process, pn_term message);
/** Pid ! Message, to a pid out of a reply or a message. Thread: any. */
PN_API PN_MUST_USE pn_err pn_barrel_send_pid(
    pn_barrel *barrel, pn_term pid, pn_term message);

/** Told once, on the loop: what was monitored has ended. reason is a term,
 * noconnection when the link went. */
typedef void pn_barrel_down(void *user, uint64_t monitor, pn_term reason);

/**
 * Monitors a process by its registered name; process NULL: the node itself.
 * It has to be connected. Errors: PN_NOT_CONNECTED; PN_BUSY max_calls;
 * PN_INVALID; PN_NOMEM. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_barrel_monitor(pn_barrel *barrel, const char *name,
    const char *process, pn_barrel_down *down, void *user,
    uint64_t *ret_monitor);
/** The same for a pid. */
PN_API PN_MUST_USE pn_err pn_barrel_monitor_pid(pn_barrel *barrel, pn_term pid,
    pn_barrel_down *down, void *user, uint64_t *ret_monitor);
/** Takes it back; nothing is told afterwards, but what another thread is in
 * the middle of. Errors: PN_NOT_FOUND. Thread: any. */
PN_API PN_MUST_USE pn_err pn_barrel_demonitor(
    pn_barrel *barrel, uint64_t monitor);

/** A node that is connected. */
typedef struct pn_barrel_node_info {
    char name[256];
    pn_public_key key; /* zero: it proved none, by cookie only */
    char address[64];
    bool dialled_by_us;
    uint64_t up_ms;
} pn_barrel_node_info;

/** Ownership: free() of *ret_nodes. Errors: PN_NOMEM. Thread: any. */
PN_API PN_MUST_USE pn_err pn_barrel_nodes(
    pn_barrel *barrel, pn_barrel_node_info **ret_nodes, size_t *ret_n);

/* ---- the key directory, without a node --------------------------------- */

/** The files of a key directory: node.key, node.pub, trusted/. Edits are seen
 * by a node that runs on it at once. One thread at a time. */
typedef struct pn_barrel_store pn_barrel_store;

/** Opens it; makes the directory and an identity when there is none. error
 * (may be NULL) names the file and says what was expected.
 * Errors: PN_CORRUPT, PN_PERMISSION, PN_LOCKED, PN_SYS, PN_NOMEM. */
PN_API PN_MUST_USE pn_err pn_barrel_store_open(const char *key_dir,
    pn_barrel_store **ret_store, pn_store_error *error,
    pn_store_error *warning);
PN_API void pn_barrel_store_close(pn_barrel_store *store); /* NULL is fine */
/** Our Ed25519 public key; valid until close, and changes with rotate. */
PN_API const pn_public_key *pn_barrel_store_key(const pn_barrel_store *store);

/** One pinned node. */
typedef struct pn_barrel_pin {
    char name[256];
    pn_public_key key;
} pn_barrel_pin;

/** All, sorted by name. Ownership: free() of *ret_pins. Errors: PN_NOMEM. */
PN_API PN_MUST_USE pn_err pn_barrel_store_pins(
    pn_barrel_store *store, pn_barrel_pin **ret_pins, size_t *ret_n);
/** Pins name to key; PN_OK also when it was. Nothing pinned is ever replaced:
 * PN_EXISTS it has another key. Else PN_INVALID our own name's or key, or no
 * NAME@HOST; PN_LIMIT; PN_LOCKED; PN_CORRUPT, PN_PERMISSION, PN_SYS. */
PN_API PN_MUST_USE pn_err pn_barrel_store_pin(pn_barrel_store *store,
    const char *name, const pn_public_key *key, pn_store_error *error);
/** Errors: PN_NOT_FOUND; PN_INVALID; PN_LOCKED, PN_PERMISSION, PN_SYS. */
PN_API PN_MUST_USE pn_err pn_barrel_store_unpin(
    pn_barrel_store *store, const char *name, pn_store_error *error);
/** A public key from a file: 32 bytes, as upstream's node.pub, or a line that
 * pn_key_parse takes. Errors: PN_INVALID it holds something else; PN_SYS. */
PN_API PN_MUST_USE pn_err pn_barrel_read_key(
    const char *path, pn_public_key *ret_key, pn_store_error *error);

/** Makes a new identity; the old one is copied to *ret_backup (0600 in 0700)
 * first. Every node that pinned the old key refuses us from now on, until its
 * owner takes the pin back. Ownership: free() of *ret_backup. Errors: as open;
 * the identity is the old one then. */
PN_API PN_MUST_USE pn_err pn_barrel_store_rotate(
    pn_barrel_store *store, char **ret_backup, pn_store_error *error);
/** Makes a new certificate in the same way; it is served after a restart.
 * Nobody pins it. */
PN_API PN_MUST_USE pn_err pn_barrel_rotate_certificate(
    const char *cert_dir, char **ret_backup, pn_store_error *error);

/* ---- counters ----------------------------------------------------------- */

/** Counters since opening. auth_ok_ counts the authentications that succeeded,
 * by role, and auth_ok_us_ is the sum of what they took in microseconds;
 * auth_fail_ and auth_fail_us_ are the same of those that did not. */
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
} pn_barrel_metrics;

#define pn_barrel_get_metrics(barrel, metrics)                                 \
    pn_barrel_get_metrics_sized((barrel), (metrics), sizeof(pn_barrel_metrics))
/** Thread: any. */
PN_API void pn_barrel_get_metrics_sized(
    pn_barrel *barrel, pn_barrel_metrics *ret_metrics, size_t size);

PN_END_DECLS

#endif

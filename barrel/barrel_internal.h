/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Barrel part of a node from the inside. The node's mutex guards all of it
 * but the pins, which have one of their own (taken before it), because a new
 * pin is on disk before the peer hears of it. QUIC, the look-ups and the auth
 * and dist engines belong to the loop's thread; other threads change state,
 * touch the link and have the loop do the rest in its turn end.
 */
#ifndef PN_BARREL_INTERNAL_H
#define PN_BARREL_INTERNAL_H

#include <peernet/barrel.h>

#include "auth/auth.h"
#include "discovery/chain.h"
#include "dist/dist.h"
#include "node/gate.h"
#include "node/node_internal.h"
#include "os/resolve.h"
#include "quic/quic.h"
#include "trust/barrel_keys.h"
#include "trust/pins.h"

typedef struct pn_barrel_link pn_barrel_link;
typedef struct pn_barrel_op pn_barrel_op;
typedef struct pn_barrel_inbound pn_barrel_inbound;

/* Failures of one kind, of which one a second is logged. */
typedef struct pn_barrel_failures {
    uint64_t logged_us;
    uint64_t n_left_out; /* since then */
} pn_barrel_failures;

struct pn_barrel {
    pn_node *node;
    char *name;
    char *publish_host;
    char **cookie_only;
    pn_barrel_options opt; /* without its pointers */
    uint8_t *cookie;       /* secure memory */
    size_t cookie_len;
    pn_barrel_keys *keys; /* loop */
    pn_public_key key;    /* of keys */
    pthread_mutex_t pins_lock;
    pn_pins *pins;
    pn_watch *pins_watch;
    pn_certificate *certificate;
    pn_quic *quic; /* loop */
    pn_barrel_discovery *discovery;
    uint16_t port;
    pn_env auth_env; /* no log: it is used without the lock */
    pn_gate gate;    /* connections that have not proven a key */
    bool are_keys_damaged;
    bool are_pins_damaged; /* could not be read again: nobody new */
    uint32_t creation;     /* of this run of the node, >= 4 */
    uint32_t last_pid;
    uint64_t last_ref;
    pn_barrel_failures auth_failures[2][PN_AUTH_N_REASONS]; /* in, out */
    pn_barrel_failures dist_failures[2][PN_DIST_N_REASONS];
    pn_barrel_op *downs;    /* monitors whose link has ended */
    pn_barrel_op *finished; /* asynchronous calls, to be told on the loop */
    pn_barrel_metrics metrics;
};

/*
 * Credit in bytes. Upstream sends a message when its stream and the connection
 * have credit for the whole of it, and what it does when they have not can lose
 * data: it gives a packet number out twice. So there is always more than it can
 * have under way, which is 16 MiB that wait and what the network holds. Whoever
 * has not proven a key we trust gets little until distribution is up. Who dials
 * gives it before its name: upstream sends what waits right behind its last
 * word.
 */
enum {
    PN_BARREL_CREDIT_EARLY = 256 * 1024,
    PN_BARREL_CREDIT_MIN = 64 * 1024 * 1024
};
static inline uint64_t pn_barrel_credit(const pn_barrel_options *o)
{
    uint64_t all = (uint64_t)o->max_message_bytes * PN_DIST_BUFFERED_MESSAGES;

    return all < PN_BARREL_CREDIT_MIN ? PN_BARREL_CREDIT_MIN : all;
}

/* Why a link ended, for who waits for it. */
typedef struct pn_barrel_why {
    char text[PN_BARREL_SENTENCE_MAX];
} pn_barrel_why;

/* One connection to a node. base.stage says how far it is. */
struct pn_barrel_link {
    pn_link base;
    pn_barrel *barrel;
    char *name; /* dialled, or authenticated; NULL before */
    bool is_authenticated;
    bool is_cookie_only;
    bool is_finished; /* our side of the auth stream */
    bool has_been_up;
    bool is_stranger;     /* counted by the gate */
    bool is_counted;      /* its authentication was */
    bool is_yielding;     /* the peer's own dial is on its way and wins */
    uint64_t deadline_us; /* until distribution is up */

    /* loop */
    pn_barrel_lookup *lookup;
    pn_address addresses[PN_RESOLVE_MAX];
    size_t n_addresses;
    size_t next_address;
    pn_quic_conn *quic;
    pn_auth *auth;
    uint64_t auth_began_us;
    uint8_t binding[PN_QUIC_BINDING_LEN];
    int64_t auth_out; /* streams; -1: not open */
    int64_t auth_in;
    pn_dist *dist;
    int64_t control;
    uint64_t name_at_us; /* dialled: not before */
    uint64_t control_written;
    uint64_t control_acked;
    int64_t data;
    bool is_full; /* of what was written and has not arrived */
    struct {
        int64_t stream;
        size_t bytes;
    } owed[PN_DIST_N_STREAMS]; /* credit that waits for the queue */
    size_t n_owed;

    pn_buf out;        /* signals of this turn */
    pn_barrel_op *ops; /* ours, in the order they came */
    uint32_t n_ops;
    pn_barrel_inbound *inbound; /* calls of the peer */
    uint64_t last_inbound;
    pn_barrel_inbound *answering; /* between begin_reply and commit */
    pn_barrel_why why;
};

typedef enum pn_barrel_op_kind {
    PN_BARREL_OP_CONNECT,
    PN_BARREL_OP_RPC,
    PN_BARREL_OP_CALL,
    PN_BARREL_OP_MONITOR
} pn_barrel_op_kind;

/* Something of ours that a link owes an answer. */
struct pn_barrel_op {
    pn_barrel_op *next;
    pn_barrel_op_kind kind;
    pn_dist_pid pid; /* whom the answer is for */
    pn_dist_ref ref;
    uint64_t deadline_us; /* PN_TIME_NEVER: a monitor */
    pn_buf frames;        /* to go out once the link is up */
    /* who waits */
    pthread_cond_t *cond;
    bool is_done;
    bool is_down; /* a call whose process has ended: its answer may be on the
                     way */
    bool wants_value;
    pn_err outcome;
    pn_reply *reply;
    pn_barrel_why *why;
    pn_call_done *done; /* asynchronous: nobody waits */
    /* a monitor */
    uint64_t id;
    pn_barrel_down *down;
    void *user;
    char *process; /* whom to DEMONITOR: a name, or the pid */
    pn_term process_pid;
};

/* ---- options.c ---- */
/* Copies and checks; errors set the open error. */
PN_MUST_USE pn_err pn_barrel_options_check(
    const pn_barrel_options *options, pn_barrel_options *ret_options);

/* ---- barrel.c ---- */
/* Reads the identity again, for each authentication, as upstream does: that is
 * how rotating it needs no restart. Loop only, no lock. */
void pn_barrel_reload_keys(pn_barrel *barrel);

/* ---- link.c ---- */
enum {
    PN_BARREL_STAGES_UP = 1u << PN_LINK_UP,
    PN_BARREL_STAGES_COMING = 1u << PN_LINK_WANTS_DIAL | 1u << PN_LINK_DIALLING
                              | 1u << PN_LINK_HANDSHAKE
};
/* The first link to name, but not skip (may be NULL), in one of these stages.
 */
pn_barrel_link *pn_barrel_find(const pn_barrel *barrel, const char *name,
    const pn_barrel_link *skip, unsigned stages);
/* A dial of ours that is not up yet. */
pn_barrel_link *pn_barrel_find_dial(
    const pn_barrel *barrel, const char *name, const pn_barrel_link *skip);
pn_barrel_link *pn_barrel_find_arriving(
    const pn_barrel *barrel, const char *name, const pn_barrel_link *skip);
const char *pn_barrel_name_to_show(const pn_barrel_link *link);

extern const pn_link_ops pn_barrel_link_ops;
extern const pn_quic_callbacks pn_barrel_quic_callbacks;
bool pn_barrel_is_link(const pn_link *link, const pn_barrel *barrel);
/* The link to a node that is up; NULL: none. Lock held, as for all here. */
pn_barrel_link *pn_barrel_find_up(pn_barrel *barrel, const char *name);
/* The same, or one that is on its way, or a new dial. *ret_why says why not. */
PN_MUST_USE pn_err pn_barrel_find_or_dial(pn_barrel *barrel, const char *name,
    pn_barrel_link **ret_link, const char **ret_why);
/* Ends it with a sentence for who waits. */
void pn_barrel_link_end(pn_barrel_link *link, pn_reason reason,
    const char *format, ...) PN_PRINTF(3, 4);

/* ---- handshake.c: loop, lock held but where it says so ---- */
/* The TLS handshake is done. */
void pn_barrel_auth_begin(pn_barrel_link *link);
/* After whatever moved an engine. */
void pn_barrel_auth_check(pn_barrel_link *link);
void pn_barrel_dist_check(pn_barrel_link *link);
void pn_barrel_control_flush(pn_barrel_link *link);
/* Our name has not been said: at link->name_at_us, by control_flush. */
bool pn_barrel_name_waits(const pn_barrel_link *link);
/* The link ends before it was up: counted and logged, once. */
void pn_barrel_auth_ended(pn_barrel_link *link, pn_reason reason);
void pn_barrel_leave_gate(pn_barrel_link *link);
/* The peer has closed in the middle of distribution's handshake. True: that is
 * told already, by another link to it, or it may be because it dials us, and
 * this one is kept for who waits for it. */
bool pn_barrel_dist_abandoned(pn_barrel_link *link);
/* No lock. */
void pn_barrel_auth_input(pn_barrel_link *link, int64_t stream,
    const uint8_t *data, size_t len, bool is_last);
/* len bytes behind the authentication, on its stream. */
void pn_barrel_auth_rest(pn_barrel_link *link, size_t len);
void pn_barrel_dist_input(
    pn_barrel_link *link, int64_t stream, const uint8_t *data, size_t len);

/* ---- serve.c ---- */
void pn_barrel_serve(pn_barrel_link *link, const pn_dist_signal *signal);
pn_err pn_barrel_begin_reply(
    pn_link *base, uint64_t id, bool is_ok, pn_term_writer *w);
pn_err pn_barrel_commit(pn_link *base, uint64_t now_us, pn_term_writer *w);
/* Is it one that the node's limits allow? */
bool pn_barrel_is_within(const pn_barrel_link *link, pn_term term);
void pn_barrel_drop_inbound(pn_barrel_link *link);
/* Appends a signal to what goes out. Errors: PN_BUSY the output is full;
 * those of pn_dist_signal_write. */
PN_MUST_USE pn_err pn_barrel_emit(
    pn_barrel_link *link, const pn_dist_signal *signal);
/* A small one that the peer has to get: past the limit, up to a harder one
 * that ends the link. */
void pn_barrel_emit_must(pn_barrel_link *link, const pn_dist_signal *signal);

/* ---- ops.c: lock held but where it says so ---- */
/* A process and a reference for it. Takes the lock for a moment. */
void pn_barrel_op_init(
    pn_barrel *barrel, pn_barrel_op *op, pn_barrel_op_kind kind);
/* No lock. */
void pn_barrel_op_fini(pn_barrel_op *op);
void pn_barrel_op_free(pn_barrel_op *op);
void pn_barrel_op_append(pn_barrel_link *link, pn_barrel_op *op);
void pn_barrel_op_remove(pn_barrel_link *link, pn_barrel_op *op);
/* Wakes who waits, or has the loop tell. value may be NULL. */
void pn_barrel_op_finish(
    pn_barrel *barrel, pn_barrel_op *op, pn_err outcome, const pn_term *value);
/* What a call has to send goes out. Errors: PN_BUSY the output is full;
 * PN_NOMEM. */
PN_MUST_USE pn_err pn_barrel_op_send(pn_barrel_link *link, pn_barrel_op *op);
/* Takes back the monitor of a gen_server call, or one that was asked for. */
void pn_barrel_op_demonitor(pn_barrel_link *link, const pn_barrel_op *op);

/* The terms that name an operation, in one writer each. */
typedef struct pn_barrel_op_terms {
    pn_term_writer pid_writer;
    pn_term_writer ref_writer;
    pn_term pid;
    pn_term ref;
} pn_barrel_op_terms;

/* No lock for these. To be ended whatever init says. */
PN_MUST_USE pn_err pn_barrel_op_terms_init(
    const pn_barrel *barrel, const pn_barrel_op *op, pn_barrel_op_terms *t);
void pn_barrel_op_terms_fini(pn_barrel_op_terms *t);
/* Initialises w whatever it says. Errors: PN_INVALID no name. */
PN_MUST_USE pn_err pn_barrel_atom_term(
    pn_term_writer *w, const char *name, pn_term *ret_term);
/* The node of a pid, to be freed; NULL: it is none, or no memory. */
char *pn_barrel_node_of_pid(pn_term pid);

/* A message or MONITOR_P_EXIT for a process of ours. */
void pn_barrel_on_message(pn_barrel_link *link, const pn_dist_signal *signal);
void pn_barrel_on_down(pn_barrel_link *link, const pn_dist_signal *signal);
/* The link is up: what waited goes out. */
void pn_barrel_ops_start(pn_barrel_link *link);
void pn_barrel_ops_expire(pn_barrel_link *link, uint64_t now_us);
uint64_t pn_barrel_ops_deadline(const pn_barrel_link *link);
/* Hands all to another link of the same name. */
void pn_barrel_ops_move(pn_barrel_link *from, pn_barrel_link *to);
void pn_barrel_ops_fail(pn_barrel_link *link, pn_err outcome);
/* Loop only; releases the lock around each. */
void pn_barrel_tell(pn_barrel *barrel);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Barrel part of a node. The node's mutex guards all of it
 * but the pins, which have one of their own (taken before it), because a new
 * pin is on disk before the peer hears of it. QUIC, the look-ups and the auth
 * and dist engines belong to the loop's thread; other threads change state,
 * touch the link and have the loop do the rest in its turn end.
 */
#ifndef PN_BARREL_INTERNAL_H
#define PN_BARREL_INTERNAL_H

#include <peernet/barrel.h>

#include "auth/auth.h"
#include "dist/dist.h"
#include "keys/barrel_keys.h"
#include "keys/pins.h"
#include "link/expose.h"
#include "link/gate.h"
#include "link/node_core.h"
#include "lookup/chain.h"
#include "os/resolve.h"
#include "quic/quic.h"

typedef struct pn_barrel_link pn_barrel_link;
typedef struct pn_barrel_op pn_barrel_op;
typedef struct pn_barrel_inbound pn_barrel_inbound;
typedef struct pn_barrel_known pn_barrel_known;
typedef struct pn_barrel_redial pn_barrel_redial;

struct pn_barrel {
    pn_node *node;
    char *name;
    char **cookie_only;
    pn_barrel_options opt; /* without its pointers */
    uint8_t *cookie;       /* secure memory */
    size_t cookie_len;
    pn_barrel_keys *keys;       /* loop */
    pn_ed25519_key key;         /* of keys */
    pthread_mutex_t unpin_lock; /* taken before pins_lock: keeps pins open */
    pthread_mutex_t pins_lock;
    pn_pins *pins;
    pn_guarded_watch pins_watch;
    pn_certificate *certificate;
    pn_quic *quic; /* loop */
    pn_barrel_discovery *discovery;
    uint16_t port;
    pn_gate gate;           /* connections that have not proven a key */
    pn_barrel_known *known; /* from where pinned nodes come */
    uint32_t n_links;       /* those that strangers have not */
    bool are_keys_damaged;
    uint32_t creation; /* of this run of the node, >= 4 */
    uint32_t last_pid;
    uint64_t last_ref;
    pn_barrel_metrics metrics;
    pn_barrel_redial *redials; /* sorted by name; one for each pin */
    size_t n_redials;
    bool is_redial_new; /* one of them is due at another time */
    pn_timer *redial_timer;
};

/*
 * Credit in bytes. Upstream sends a message when its stream and the connection
 * have credit for the whole of it, and what it does when they have not can lose
 * data: it gives a packet number out twice. So there is always more than it can
 * have under way, which is 16 MiB that wait and what the network holds. A peer
 * that has not proven a key we trust gets little until distribution is up. The
 * dialling side gives credit before its name, because upstream sends what waits
 * right behind the handshake's last message.
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

/* One connection to a node. base.stage says how far it is. */
struct pn_barrel_link {
    pn_link base;
    pn_barrel *barrel;
    char *name; /* dialled, or authenticated; NULL before */
    bool is_authenticated;
    bool is_cookie_only;
    bool is_finished; /* our side of the auth stream */
    bool has_been_up;
    bool is_in_n_links;
    bool is_counted;      /* its authentication was */
    bool is_yielding;     /* the peer's own dial is on its way and wins */
    bool is_redial;       /* dialled by ourselves; no call waits for it */
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

    pn_buf out;       /* signals of this turn */
    pn_list monitors; /* ours; other operations are in base.calls */
    bool is_asked;    /* silence is asked about sooner, for calls */
    pn_list inbound;  /* calls of the peer: pn_barrel_inbound */
    uint64_t last_inbound;
    pn_barrel_inbound *answering; /* between begin_reply and commit */
    pn_why why;                   /* why it ended, for the calls that wait */
};

typedef enum pn_barrel_op_kind {
    PN_BARREL_OP_CONNECT,
    PN_BARREL_OP_RPC,
    PN_BARREL_OP_CALL,
    PN_BARREL_OP_MONITOR
} pn_barrel_op_kind;

/* A call, a connect or a monitor of ours. */
struct pn_barrel_op {
    pn_call_op call;
    pn_barrel_op_kind kind;
    pn_dist_pid pid; /* the answer is sent to it */
    pn_dist_ref ref;
    pn_buf frames;      /* to go out once the link is up */
    unsigned n_signals; /* in frames */
    bool is_down; /* a call whose process has ended: its answer may be on the
                     way */
    pn_term end_reason; /* of that process, malloc()ed */
    bool is_flush;      /* goes out behind what fills the output */
    pn_term target; /* what it monitors: an atom or a pid, malloc()ed; empty:
                       no process */
    /* a monitor */
    uint64_t id;
    pn_barrel_down *down;
};

/* ---- barrel_options.c ---- */
/* Copies and checks; errors set the open error. */
PN_MUST_USE pn_err pn_barrel_options_check(const pn_barrel_options *options,
    pn_barrel_options *ret_options, pn_why *ret_why);

/* ---- barrel.c ---- */
/* Reads the identity again, for each authentication, as upstream does: that is
 * how rotating it needs no restart. */
void pn_barrel_reload_keys(pn_barrel *barrel);

/* ---- barrel_store.c ---- */
/* Errors: PN_NOMEM. */
PN_MUST_USE pn_err pn_barrel_pins_copy(
    const pn_pins *from, pn_barrel_pin **ret_pins, size_t *ret_n);

/* ---- unpinned.c ---- */
/* The callback of pn_pins, user being the barrel: reports an event, and ends
 * the link and the grants of a node that is not pinned any more. pins_lock
 * held, not the node's. */
void pn_barrel_pin_changed(void *user, const pn_pin *pin, bool is_pinned);

/* ---- barrel_link.c ---- */
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
/* Writes what a link that is not up waits for, for a caller whose time is
 * over. */
void pn_barrel_link_waits_for(const pn_barrel_link *link, pn_why *ret_why);
/* It counts towards max_links from now on: a dial, or no stranger any more. */
void pn_barrel_link_count(pn_barrel_link *link);
/* The link to a node that is up; NULL: none. Lock held, as for all here. */
pn_barrel_link *pn_barrel_find_up(pn_barrel *barrel, const char *name);
/* A copy, to be free()d, of a pid of the link's node: creation 0 becomes that
 * of its present run. Errors: PN_NOMEM. */
PN_MUST_USE pn_err pn_barrel_present_pid(
    const pn_barrel_link *link, pn_term pid, pn_term *ret_copy);
/* The same, or one that is on its way, or a new dial. *ret_why says why not. */
PN_MUST_USE pn_err pn_barrel_find_or_dial(pn_barrel *barrel, const char *name,
    pn_barrel_link **ret_link, const char **ret_why);
/* Ends it with a sentence for the calls that wait. */
void pn_barrel_link_end(pn_barrel_link *link, pn_reason reason,
    const char *format, ...) PN_PRINTF(3, 4);

/* ---- redial.c ---- */
/* A name was pinned, or is not any more; pins_lock held, too. */
void pn_barrel_redial_pin(pn_barrel *barrel, const char *name);
void pn_barrel_redial_fini(pn_barrel *barrel);
void pn_barrel_redial_up(const pn_barrel_link *link);
void pn_barrel_redial_ended(const pn_barrel_link *link, pn_reason reason);
/* False: the last dial of ours ended in the same way, and was told. To be
 * asked before pn_barrel_redial_ended. */
bool pn_barrel_redial_is_news(const pn_barrel_link *link, pn_reason reason);
/* The network has changed: nodes that wait for their turn are tried now. */
void pn_barrel_redial_hurry(pn_barrel *barrel);
void pn_barrel_redial_on_timer(void *user);
void pn_barrel_redial_arm(pn_barrel *barrel);

/* ---- link_handshake.c: loop, lock held but where it says so ---- */
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
/* The peer has closed in the middle of distribution's handshake. True: that is
 * told already, by another link to it, or it may be because it dials us, and
 * this one is kept for the calls that wait for it. */
bool pn_barrel_dist_abandoned(pn_barrel_link *link);
/* No lock. */
void pn_barrel_auth_input(pn_barrel_link *link, int64_t stream,
    const uint8_t *data, size_t len, bool is_last);
/* len bytes behind the authentication, on its stream. */
void pn_barrel_auth_rest(pn_barrel_link *link, size_t len);
void pn_barrel_dist_input(
    pn_barrel_link *link, int64_t stream, const uint8_t *data, size_t len);

/* ---- known.c: lock held ---- */
/* NULL: no memory. */
pn_barrel_known *pn_barrel_known_new(void);
void pn_barrel_known_free(pn_barrel_known *known);
/* The node of this name, which is pinned, comes from there. */
void pn_barrel_known_add(pn_barrel_known *known, const char *name,
    const pn_address *from, uint64_t now_us);
/* Forgets the hosts of this node, unless it still has a pin. */
void pn_barrel_known_unpin(
    pn_barrel_known *known, const pn_pins *pins, const char *name);
/* One hash look-up, however many there are. */
bool pn_barrel_known_has(pn_barrel_known *known, const pn_address *from);
/* Takes one of what is kept for this host alone; false: there is none. */
bool pn_barrel_known_reserve(pn_barrel_known *known, const pn_address *to,
    uint64_t now_us, uint32_t per_second);

/* ---- serve.c ---- */
void pn_barrel_serve(pn_barrel_link *link, const pn_dist_signal *signal);
/* A message of len bytes was too large to be kept; head is where it began. Its
 * caller is answered system_limit, if it stands there. */
void pn_barrel_serve_drained(
    pn_barrel_link *link, const uint8_t *head, size_t head_len, size_t len);
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
static inline pn_barrel_op *pn_barrel_op_of(pn_call_op *call)
{
    return (pn_barrel_op *)(void *)call;
}
/* A process and a reference for it. Takes the lock for a moment. */
void pn_barrel_op_init(
    pn_barrel *barrel, pn_barrel_op *op, pn_barrel_op_kind kind);
/* No lock. Its reply stays. */
void pn_barrel_op_fini(pn_barrel_op *op);
/* No lock. */
void pn_barrel_op_free(pn_barrel_op *op);
/* The link has as many calls and monitors as it may have. */
bool pn_barrel_ops_are_full(const pn_barrel_link *link);
/* begin_call and expire_call of pn_link_ops. */
pn_err pn_barrel_op_begin(pn_link *base, pn_call_op *call);
void pn_barrel_op_expire(pn_link *base, pn_call_op *call);
/* Begins a monitor. Errors: PN_BUSY; PN_NOMEM. */
PN_MUST_USE pn_err pn_barrel_op_monitor(pn_barrel_link *link, pn_barrel_op *op);
/* Takes back the monitor of a gen_server call, or one that was asked for, if op
 * has one. May end the link. */
void pn_barrel_op_demonitor(pn_barrel_link *link, const pn_barrel_op *op);

/* A process of ours that nothing else has been. */
static inline pn_dist_pid pn_barrel_new_pid(pn_barrel *barrel)
{
    return (pn_dist_pid){
        .id = ++barrel->last_pid, .creation = barrel->creation};
}
/* No lock for these. Initialises w whatever it says. Errors: PN_INVALID no
 * name. */
PN_MUST_USE pn_err pn_barrel_atom_term(
    pn_term_writer *w, const char *name, pn_term *ret_term);
/* The node of a pid, to be freed; NULL: it is none, or no memory. */
char *pn_barrel_node_of_pid(pn_term pid);

/* A message or MONITOR_P_EXIT for a process of ours. */
void pn_barrel_on_message(pn_barrel_link *link, const pn_dist_signal *signal);
void pn_barrel_on_down(pn_barrel_link *link, const pn_dist_signal *signal);
/* The answer for this process is larger than what is kept. */
void pn_barrel_on_drained(pn_barrel_link *link, pn_term process);
/* The link is up: what waited goes out. */
void pn_barrel_ops_start(pn_barrel_link *link);
/* Hands all to another link of the same name. */
void pn_barrel_ops_move(pn_barrel_link *from, pn_barrel_link *to);
void pn_barrel_ops_fail(pn_barrel_link *link, pn_err outcome);

#endif

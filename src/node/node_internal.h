/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node from the inside.
 *
 * One mutex guards everything below. It is held by whoever touches a node, and
 * released around every callback of the application, so an application may
 * hold locks of its own when it calls us. What belongs to the loop (transport,
 * timers, sources) is touched by the loop's thread only: other threads change
 * state, put the link on the touched list and wake the loop, whose turn end
 * writes, closes, dials and re-arms.
 */
#ifndef PN_NODE_NODE_INTERNAL_H
#define PN_NODE_NODE_INTERNAL_H

#include <pthread.h>

#include <peernet/node.h>

#include "base/core.h"
#include "node/gate.h"
#include "node/handles.h"
#include "node/registry.h"
#include "os/clock.h"
#include "os/interfaces.h"
#include "os/transport.h"
#include "session/session.h"
#include "trust/store.h"

typedef struct pn_link pn_link;
typedef struct pn_peer pn_peer;

/* Work for a worker thread. */
typedef struct pn_job {
    struct pn_job *next;
    void (*run)(pn_node *node, struct pn_job *job); /* lock held */
} pn_job;

/* One inbound message, from arrival to answer. */
struct pn_request {
    pn_job job;
    pn_node *node;
    pn_link *link;     /* holds a reference */
    pn_handle *handle; /* holds a reference */
    uint64_t id;
    bool is_call;     /* an answer goes somewhere */
    bool is_answered; /* or timed out: the next answer is PN_STATE */
    bool is_inline;
    bool is_deferred; /* a copy that outlives its handler */
    bool holds_turn;
    bool is_timed; /* on the node's deadline list */
    uint64_t deadline_us;
    struct pn_request *later; /* deadline list */
    struct pn_request *sooner;
    struct pn_request *next; /* the link's queue */
    struct pn_request
        *deferred_copy; /* non-NULL: deferred, not ours any more */
    pn_term args;
    uint8_t payload[]; /* args of a queued request */
};

/* A paired peer. */
struct pn_peer {
    pn_public_key key;
    pn_reg_peer *reg;
    char *label; /* NULL: none */
    int64_t added_at_us;
    int64_t last_seen_ms;  /* wall clock of the last link's last frame */
    pn_link *dial;         /* in flight, or NULL */
    pn_address remembered; /* what was last written; port 0: nothing */
    bool was_discovered;   /* heard of by a discovery source in this run */
    bool seen_in_reload;
};

/* How a link's life goes on at the next turn end. */
typedef enum pn_link_stage {
    PN_LINK_WANTS_DIAL, /* no connection yet */
    PN_LINK_DIALLING,
    PN_LINK_HANDSHAKE,
    PN_LINK_UP,
    PN_LINK_REFUSED, /* a stranger: silence until its deadline, then the end */
    PN_LINK_ENDED    /* the connection goes at turn end, the rest with refs */
} pn_link_stage;

/* Rate limit of one handle for one link. */
typedef struct pn_link_rate {
    pn_handle *handle; /* holds a reference */
    pn_bucket bucket;
} pn_link_rate;

/* What a family of links does its own way. All with the lock held. */
typedef struct pn_link_ops {
    /* Begins the answer to call id in w, and sends it. Errors: as of
     * pn_session_begin_reply and pn_session_commit. */
    pn_err (*begin_reply)(
        pn_link *link, uint64_t id, bool is_ok, pn_term_writer *w);
    pn_err (*commit)(pn_link *link, uint64_t now_us, pn_term_writer *w);
    /* Ends it; idempotent. */
    void (*end)(pn_link *link, pn_reason reason);
    void (*turn_end)(pn_link *link); /* loop only */
    void (*free)(pn_link *link);     /* nobody refers to it any more */
    bool moves; /* goes on when the address it began with is gone */
} pn_link_ops;

/* The part of a node that another library brings: a second family of links.
 * All on the loop. */
typedef struct pn_guest {
    void (*turn)(void *user);            /* every turn end; lock held */
    void (*network_changed)(void *user); /* no lock */
    /* The node closes and the links have ended: true once nothing of it is
     * left on the loop. Lock held. */
    bool (*leave)(void *user);
    void (*free)(void *user); /* last; nobody uses the node any more */
    void *user;
} pn_guest;

struct pn_link {
    const pn_link_ops *ops;
    pn_node *node;
    pn_link *next; /* all links of the node */
    pn_link *prev;
    pn_link *next_touched;
    bool is_touched;
    bool is_listed;
    pn_link_stage stage;
    uint32_t refs;
    pn_conn *conn;
    pn_session *session;
    pn_timer *timer;
    uint64_t armed_us;
    uint64_t connect_deadline_us;
    pn_peer *peer;          /* once authenticated; NULL again when unpaired */
    pn_public_key key;      /* of the dialled or authenticated peer */
    pn_principal principal; /* the authenticated peer as a caller */
    bool is_dialled;
    bool is_told;      /* PEER_UP was: the peer is known to have us, too */
    bool is_stranger;  /* counted by the gate */
    bool has_answered; /* something was written */
    bool is_blocked;   /* reading stopped: output has to drain first */
    pn_address remote;
    pn_address local;
    pn_reason reason; /* of the end */
    uint64_t opened_us;
    uint64_t up_us;
    size_t accounted; /* its share of node->memory_bytes */
    char *label;      /* the peer's, at the time it came up; "" if none */
    /* inbound */
    pn_request *queue_head;
    pn_request *queue_tail;
    uint32_t n_queued;
    size_t queued_bytes;
    uint32_t n_running;
    bool is_turn_taken;
    bool wants_pump; /* an inline request is due on the loop */
    bool is_pumping;
    pn_link_rate *rates;
    size_t n_rates;
};

/* A call of ours. */
typedef struct pn_call_op {
    struct pn_call_op *next; /* finished, to be reported on the loop */
    pn_call_done *done;      /* asynchronous; NULL: somebody waits */
    void *user;
    pn_err outcome;
    bool is_done;
    bool wants_value;
    pn_reply *reply;
    pthread_cond_t *cond;
} pn_call_op;

/* An event or a log line that waits to be reported on the loop. */
typedef struct pn_note pn_note;

struct pn_node {
    pthread_mutex_t lock;
    pthread_cond_t state_changed; /* links up, down, failed; closing done */
    uint32_t refs;                /* the opener's and deferred requests' */
    pn_node_options opt;
    pn_env env;
    const pn_transport_ops *transport;

    /* the loop */
    pn_loop *loop;
    pn_waker *waker;
    pthread_t thread;
    pthread_t loop_thread;
    bool has_thread;
    bool is_in_turn;
    bool is_closing;
    bool is_close_begun;
    bool is_closed; /* nothing is left on the loop */
    uint64_t linger_until_us;
    pn_timer *timer; /* registry, handlers, lingering */
    uint64_t armed_us;
    pn_listener *listener; /* NULL: none */
    uint16_t port;

    /* trust */
    pthread_mutex_t store_lock; /* taken before lock, never after */
    pn_store *store;
    pn_watch *store_watch;
    const pn_key_pair *identity;
    bool is_trust_damaged; /* the file could not be read again: nobody new */
    bool is_reload_due;    /* the store was busy when its file changed */
    pn_peer **peers;       /* newest first */
    size_t n_peers;
    size_t peers_cap;
    pn_registry *registry;

    /* links */
    pn_link *links;
    pn_link *touched;
    uint32_t n_links;
    uint32_t n_up;
    uint64_t last_end_us; /* when an authenticated link last ended */
    size_t memory_bytes;
    pn_session_limits session_limits;
    pn_gate *gate;

    /* handlers */
    pn_handles handles;
    pn_job *jobs_head;
    pn_job *jobs_tail;
    uint32_t n_jobs; /* in that list */
    pthread_cond_t job_ready;
    pthread_t *workers;
    uint32_t n_workers;
    uint32_t n_idle_workers;
    bool stop_workers;
    pn_request *soonest; /* deadline list of running and deferred requests */
    pn_request *latest;
    uint32_t n_deferred;

    /* to be reported on the loop */
    pn_note *notes_head;
    pn_note *notes_tail;
    uint32_t n_notes;
    uint64_t notes_lost;
    pn_call_op *finished_head;
    pn_call_op *finished_tail;
    struct {
        uint64_t last_us;
        uint64_t suppressed;
    } denied[PN_N_REASONS];

    struct pn_net *net; /* discovery and network changes: net.c */
    pn_guest guest;     /* all NULL: none */
    struct pn_errand *errands;

    pn_metrics metrics;
};

/* ---- node.c ---- */
/* pn_node_open over another transport than TCP. */
PN_MUST_USE pn_err pn_node_open_over(const pn_node_options *options,
    const pn_transport_ops *transport, pn_node **ret_node);
static inline void pn_node_lock(pn_node *node)
{
    (void)pthread_mutex_lock(&node->lock);
}
static inline void pn_node_unlock(pn_node *node)
{
    (void)pthread_mutex_unlock(&node->lock);
}
PN_CORE void pn_node_ref(pn_node *node);
/* Lock held on entry; released on return (the node may be gone). */
PN_CORE void pn_node_unref_unlock(pn_node *node);
PN_CORE bool pn_node_is_loop_thread(const pn_node *node);
/* The time for anything but the loop's own callbacks: those have the turn's. */
PN_CORE uint64_t pn_node_now(const pn_node *node);
/* Has the loop run a turn end soon; any thread. */
PN_CORE void pn_node_wake(pn_node *node);
/* Runs fn on the loop and waits for it: for who has to make things there. Not
 * from a callback of the application on another thread's turn. Errors: what fn
 * returns; PN_CLOSED. */
PN_CORE PN_MUST_USE pn_err pn_node_on_loop(
    pn_node *node, pn_err (*fn)(void *arg), void *arg);
/* What the options say of strangers. */
PN_CORE pn_gate_limits pn_node_gate_limits(const pn_node *node);
/* The sentence behind pn_node_open_error. */
PN_CORE void pn_node_set_open_error(const char *format, ...) PN_PRINTF(1, 2);

/* ---- options.c ---- */
/* Copies and checks; errors set the open error. */
PN_MUST_USE pn_err pn_node_options_check(
    const pn_node_options *options, pn_node_options *ret_options);

/* ---- listen.c ---- */
PN_MUST_USE pn_err pn_node_listen(pn_node *node);

/* ---- link_base.c: what every family's links share ---- */
/* A link in the node's list, with one reference. size: of a structure that
 * begins with a pn_link, zero-filled. NULL: no memory. */
PN_CORE pn_link *pn_link_new(
    pn_node *node, const pn_link_ops *ops, size_t size);
PN_CORE void pn_link_touch(pn_link *link);
PN_CORE void pn_link_unref(pn_link *link);
/* Ends a link in this turn: the queue is emptied, calls in flight fail.
 * Idempotent. */
PN_CORE void pn_link_end(pn_link *link, pn_reason reason);
/* Keeps the sum over all links under the process budget: over it, the link
 * with most goes (T11). output: what it has not sent yet. */
PN_CORE void pn_link_account(pn_link *link, size_t output);
/* Takes an ended link out of the list and gives its reference back. */
PN_CORE void pn_link_unlist(pn_link *link);

/* ---- link.c: links of the PeerNet family ---- */
PN_MUST_USE pn_err pn_link_new_dialled(
    pn_peer *peer, pn_node *node, const pn_address *to, pn_link **ret_link);
extern const pn_listener_callbacks pn_link_listener_callbacks;

/* ---- expose.c ---- */
/* pn_expose with a user pointer that is freed with the handle. */
PN_MUST_USE pn_err pn_node_expose_owned(pn_node *node, const char *name,
    pn_handler *handler, void *user, void (*user_free)(void *user),
    const pn_expose_options *options);

/* ---- dispatch.c ---- */
PN_CORE void pn_dispatch_message(
    pn_link *link, bool is_call, uint64_t id, pn_slice handle, pn_term args);
/* Starts what may start; inline requests only on the loop. */
PN_CORE void pn_dispatch_pump(pn_link *link);
PN_CORE void pn_dispatch_drop_queue(pn_link *link);
void pn_dispatch_expire(pn_node *node, uint64_t now_us);
uint64_t pn_dispatch_deadline(const pn_node *node);
void pn_dispatch_untime(pn_request *req);
/* kept takes over what is left of req's time. */
void pn_dispatch_defer_deadline(pn_request *req, pn_request *kept);
void pn_dispatch_stop(pn_node *node);
PN_MUST_USE pn_err pn_dispatch_job(pn_node *node, pn_job *job);

/* ---- request.c ---- */
/* Answers {error, reason} and counts it; lock held. */
void pn_request_refuse(pn_request *req, pn_reason reason, const pn_term *mfa);
PN_CORE void pn_link_answer_error(
    pn_link *link, uint64_t id, pn_reason reason, const pn_term *mfa);
void pn_request_free(pn_request *req);

/* ---- call.c ---- */
/* A copy of value that pn_reply_free frees. NULL: no memory. */
PN_CORE pn_reply *pn_reply_new(pn_term value);
void pn_call_on_reply(void *user, void *call, pn_err outcome, pn_term value);
void pn_call_report_finished(pn_node *node);

/* ---- peers.c ---- */
pn_peer *pn_node_find_peer(pn_node *node, const pn_public_key *key);
bool pn_node_is_trusted(pn_node *node, const pn_public_key *key);
PN_MUST_USE pn_err pn_node_load_peers(pn_node *node);
void pn_node_peers_fini(pn_node *node);
extern const pn_reg_callbacks pn_node_registry_callbacks;
/* Reads the trust list again, or when the store is free again: an edit may
 * wait for another process, and the loop must not. Both locks are taken
 * inside; loop only. */
void pn_node_reload_trust(pn_node *node);
/* Where a peer can be dialled: as pn_address_parse, and port 0 is none. */
PN_MUST_USE pn_err pn_peer_address_parse(
    const char *text, pn_address *ret_address);
void pn_peer_remember(pn_node *node, pn_peer *peer, const pn_address *address);

/* ---- net.c: loop's thread, no lock but where it says so ---- */
PN_MUST_USE pn_err pn_node_net_start(pn_node *node);
void pn_node_net_stop(pn_node *node); /* nothing is announced or heard */
void pn_node_net_free(pn_node *node);
void pn_node_net_turn(pn_node *node); /* lock held */
/* Dials peer where a source has seen it. Lock held. */
void pn_node_net_recall(pn_node *node, pn_peer *peer);

/* ---- events.c ---- */
PN_CORE void pn_node_event(pn_node *node, pn_event_type type,
    const pn_public_key *key, const char *label, const pn_address *address,
    const char *text, size_t text_len, pn_reason reason);
/* At most one DENIED event and log line a second for each reason (T27). */
PN_CORE void pn_node_denied(pn_node *node, const pn_public_key *key,
    const char *label, const pn_address *address, pn_slice handle,
    pn_reason reason);
PN_CORE void pn_node_log(pn_node *node, pn_log_level level, const char *what,
    const char *text, pn_reason reason, int sys_errno);
/* What a peer says, as text. */
PN_CORE void pn_node_log_text(pn_node *node, pn_log_level level,
    const char *what, const pn_public_key *key, const char *text,
    size_t text_len);
void pn_node_report_notes(pn_node *node); /* releases the lock meanwhile */
void pn_node_drop_notes(pn_node *node);

#endif

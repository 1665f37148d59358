/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part that links of every family share. A family is a pn_link_ops and a
 * structure that begins with a pn_link: pn_peer_link in node/peer_link.c, and
 * pn_barrel_link in barrel/barrel_link.c. This folder names neither.
 */
#ifndef PN_LINK_LINK_H
#define PN_LINK_LINK_H

#include <peernet/node.h>

#include "base/bucket.h"
#include "base/core.h"
#include "link/call.h"
#include "link/gate.h"
#include "link/request.h"
#include "os/address.h"
#include "os/loop.h"

/* The stages of a link, in order. */
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

/*
 * The operations of a family of links. All are called with the node's lock
 * held; the first group is called on the loop's thread. A member may be NULL
 * where its comment says so.
 */
typedef struct pn_link_ops {
    /* ---- the loop ---- */
    /* A link of WANTS_DIAL begins to connect: DIALLING, or it ends. */
    void (*start)(pn_link *link);
    /* Called each turn until the link ends: writes ready output, and stops or
     * resumes reading. */
    void (*output)(pn_link *link);
    /* When tick is due; PN_TIME_NEVER. */
    uint64_t (*deadline)(const pn_link *link);
    void (*tick)(pn_link *link, uint64_t now_us);
    /* Bytes of output that it holds, for the budget of all links. */
    size_t (*held)(const pn_link *link);
    /* Bytes that were accepted and are not known to be with the peer's
     * system. */
    size_t (*unsent)(const pn_link *link);
    /* The link has ended: releases its connection and timers on the loop. */
    void (*close)(pn_link *link);

    /* ---- any thread ---- */
    /* Begins the answer to call id in w, and sends it. Errors: as of
     * pn_session_begin_reply and pn_session_commit. */
    pn_err (*begin_reply)(
        pn_link *link, uint64_t id, bool is_ok, pn_term_writer *w);
    pn_err (*commit)(pn_link *link, uint64_t now_us, pn_term_writer *w);
    /* Sends a call of ours. Errors: the call's; nothing was sent. */
    pn_err (*begin_call)(pn_link *link, pn_call_op *call);
    /* The time of a call is up: it ends. It is off the link's list. */
    void (*expire_call)(pn_link *link, pn_call_op *call);
    /* Fails our calls; output that was accepted is still sent. */
    void (*fail_calls)(pn_link *link);
    /* The link has just ended, for link->reason; it was in this stage. */
    void (*end)(pn_link *link, pn_link_stage was);
    /* The caller is a peer that the node has paired. NULL: never. */
    bool (*is_paired)(const pn_link *link);
    void (*free)(pn_link *link); /* NULL; the last reference is gone */
    bool moves; /* goes on when the address it began with is gone */
} pn_link_ops;

/* The part of a link that every family has. A family's own structure begins
 * with it. */
struct pn_link {
    const pn_link_ops *ops;
    pn_node *node;
    pn_item listed; /* in links.all, until it is buried */
    pn_item touched;
    pn_link_stage stage;
    uint32_t refs;
    pn_timer *timer;
    uint64_t armed_us;
    pn_gate *gate;        /* it counts a stranger there; NULL: none */
    uint64_t gate_source; /* from here */
    /* The dialled or authenticated peer; a node has no key before it has proven
     * one. */
    pn_principal principal;
    bool is_dialled;
    bool is_blocked; /* reading stopped: output or the queue drains first */
    pn_address remote;
    pn_address local;
    pn_reason reason; /* of the end */
    uint64_t opened_us;
    uint64_t up_us;
    size_t accounted;                /* its share of links.memory_bytes */
    char *label;                     /* the peer's; "" if none */
    struct pn_old_label *old_labels; /* requests may point to them */
    /* inbound */
    pn_list queue;
    size_t queued_bytes;
    size_t running_bytes; /* of requests that have left the queue */
    size_t held_bytes;    /* the application's, for deferred requests */
    uint32_t n_running;
    pn_list kept; /* deferred, and still wanted */
    bool is_turn_taken;
    bool wants_pump; /* an inline request is due on the loop */
    bool is_due;     /* its timer went off */
    bool is_pumping;
    pn_link_rate *rates;
    size_t n_rates;
    pn_list calls;         /* ours that wait for an outcome */
    uint64_t calls_due_us; /* none of them is due before this */
};

typedef struct pn_node_links {
    pn_gate_limits strangers; /* of the gate of each family */
    pn_list all;
    pn_list touched;
    uint32_t n_up; /* authenticated, whether or not the peer has spoken */
    uint64_t last_end_us; /* when an authenticated link last ended */
    size_t memory_bytes;
    size_t held_bytes; /* the sum over all links */
} pn_node_links;

/* ---- incoming connections ---- */
/* May a connection come in from there? To be asked before anything is allocated
 * or computed for it, and, where an address can be forged, once it is proven.
 * is_known: as of pn_gate_enter. A yes counts a stranger, until
 * pn_link_leave_gate of the link that holds its place, or pn_gate_leave. */
PN_CORE bool pn_link_admit(
    pn_node *node, pn_gate *gate, const pn_address *from, bool is_known);
/* The stranger that pn_link_admit counted is the link's from here on. */
static inline void pn_link_hold_place(
    pn_link *link, pn_gate *gate, const pn_address *from)
{
    link->gate = gate;
    link->gate_source = pn_address_source(from);
    link->remote = *from;
}
/* The peer is authenticated, or the link has ended. Idempotent. */
static inline void pn_link_leave_gate(pn_link *link)
{
    if (link->gate != NULL) {
        pn_gate_leave(link->gate, link->gate_source);
        link->gate = NULL;
    }
}

/* ---- life ---- */
/* A link in the node's list, with one reference. size: of a structure that
 * begins with a pn_link, zero-filled. NULL: no memory. */
PN_CORE pn_link *pn_link_new(
    pn_node *node, const pn_link_ops *ops, size_t size);
void pn_link_unref(pn_link *link);
/* Has the loop look at it at its next turn end; any thread. */
PN_CORE void pn_link_touch(pn_link *link);
/* Ends a link in this turn: the queue is emptied, calls in flight fail.
 * Idempotent. It stays listed, and is not freed, until the end of the loop's
 * turn, so what runs on the loop needs no reference of its own. */
PN_CORE void pn_link_end(pn_link *link, pn_reason reason);
/* Sets a new label. Without memory the old one stays. */
void pn_link_relabel(pn_link *link, const char *label);
static inline bool pn_link_is_paired(const pn_link *link)
{
    return link->ops->is_paired != NULL && link->ops->is_paired(link);
}

/* ---- the turn's end (loop, lock held) ---- */
void pn_link_turn_end(pn_node *node);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Inbound messages, from arrival to answer (request.c, defer.c). */
#ifndef PN_LINK_REQUEST_H
#define PN_LINK_REQUEST_H

#include <peernet/node.h>

#include "base/core.h"
#include "base/list.h"
#include "link/dispatch.h"
#include "link/handles.h"

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
    uint64_t deadline_us;
    pn_item timed; /* in the node's deadline list */
    /* In the link's queue. Deferred: in the link's `kept` while it counts, then
     * in the node's `cancelled` until that has been told. */
    pn_item item;
    struct pn_request
        *deferred_copy; /* non-NULL: deferred, not ours any more */
    /* The grants of a function of a BeamDist table, which lives as long as the
     * handle. NULL: only the handle's own grants apply. */
    const pn_grants *function_grants;
    const char *function_name; /* as denials have it; lives as long */
    bool is_cancelled;
    bool is_cancel_told;
    pn_reason cancel_reason;
    pn_request_cancelled *on_cancel; /* or NULL */
    void *on_cancel_user;
    size_t
        running_bytes; /* counted to the link: of payload, out of its queue */
    size_t held_bytes; /* ... of the application: pn_request_hold */
    pn_term args;
    uint8_t payload[]; /* args of a queued request */
};

typedef struct pn_node_requests {
    pn_list timed; /* running and deferred requests, the soonest first */
    uint32_t n_deferred;
    pn_list cancelled; /* deferred ones, to be told on the loop */
} pn_node_requests;

/* Answers {error, reason} and counts it; lock held. mfa: the function, as the
 * answer has it; may be NULL. */
void pn_request_refuse(pn_request *req, pn_reason reason, const pn_term *mfa);
/* The same for a message of a link; *id: of the call, NULL for a send. */
PN_CORE void pn_link_refuse(pn_link *link, const uint64_t *id,
    pn_subject subject, pn_reason reason, const pn_term *mfa);
void pn_request_free(pn_request *req);

/* Repeats the decision for a request that waited, before its handler starts or
 * it is deferred. Returns PN_REASON_NONE or the reason of the refusal. Lock
 * held. */
pn_reason pn_request_decide(const pn_request *req);

/* ---- defer.c: lock held ---- */
/* Cancels a deferred request: reports it to the application, and answers the
 * caller unless it has its answer. */
void pn_defer_cancel(pn_request *req, pn_reason why);
void pn_defer_cancel_link(pn_link *link);
/* After a change of grants or handles: cancels the requests that are not
 * allowed any more. */
void pn_defer_recheck(pn_node *node);
/* On the loop; releases the lock around each. */
void pn_defer_report(pn_node *node);
/* Ends a deferred request that has its answer; it may hold the last reference
 * to its node. Lock held on entry, released on return. */
void pn_defer_end_unlock(pn_request *req);

#endif

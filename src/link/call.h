/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of ours, for every family of links.
 *
 * A pn_call_op is something that a link owes us once: a reply, a connection,
 * the end of a process. A family embeds it as the first member of its own
 * structure (with a frame, a pid).
 *
 * - begin: pn_call_begin has the link's family send the call, and keeps it in
 *   the link's list until its deadline.
 * - cancel: pn_list_remove takes it off its list. Nobody is told.
 * - expire: the link's timer takes a call whose time is up off the list, and
 *   gives it to the family's expire_call.
 * - outcome: the family removes the call and then ends it, once, with
 *   pn_call_finish (any thread; the value is copied and told later) or with
 *   pn_call_tell (on the loop; the value is borrowed and told now).
 *
 * Ownership: a call that a thread waits for (pn_call_run) is on that thread's
 * stack; its `tell` is NULL. An asynchronous call is allocated by its family
 * and belongs to its list once it has begun; `tell` frees it. Lock: the node's,
 * held for every function here. `tell` runs without it, on the loop.
 */
#ifndef PN_LINK_CALL_H
#define PN_LINK_CALL_H

#include <pthread.h>

#include <peernet/node.h>

#include "base/core.h"
#include "base/env.h"
#include "base/list.h"

typedef struct pn_link pn_link;
typedef struct pn_call_op pn_call_op;

/* Tells the application what is in call, and frees it. value lives until this
 * returns. */
typedef void pn_call_teller(pn_call_op *call, pn_term value);

struct pn_call_op {
    pn_item item; /* of the list that has it; the first member */
    uint64_t deadline_us;
    pn_call_teller *tell; /* NULL: a thread waits */
    pn_call_done *done;
    void *user;
    pthread_cond_t *cond; /* of the thread that waits */
    bool is_done;
    bool wants_value;
    pn_err outcome;
    pn_reason reason; /* of the end of its link */
    pn_reply *reply;  /* the copy of its value, or NULL */
};

typedef struct pn_node_calls {
    pn_list finished;      /* to be told on the loop */
    pn_reason told_reason; /* loop: of the call that is being told */
} pn_node_calls;

/* ---- begin, cancel, expire ---- */
/* deadline_us: PN_TIME_NEVER for none. Errors: what the family says; the call
 * has not begun, and stays its caller's. */
PN_CORE PN_MUST_USE pn_err pn_call_begin(
    pn_link *link, pn_call_op *call, uint64_t deadline_us);
/* After pn_call_begin: the call is this link's, and due at deadline_us, instead
 * of what it was. */
PN_CORE void pn_call_keep(
    pn_link *link, pn_call_op *call, uint64_t deadline_us);
/* When pn_call_expire must be called at the latest; PN_TIME_NEVER. */
uint64_t pn_call_deadline(const pn_link *link);
/* Loop only. */
void pn_call_expire(pn_link *link, uint64_t now_us);

/* ---- outcome ---- */
/* value: empty, or copied if the call wants it; without memory the outcome
 * becomes PN_NOMEM. */
PN_CORE void pn_call_finish(
    pn_node *node, pn_call_op *call, pn_err outcome, pn_term value);
/* Loop only; the call has a teller. Releases the lock meanwhile. */
void pn_call_tell(
    pn_node *node, pn_call_op *call, pn_err outcome, pn_term value);
/* Reports the calls that pn_call_finish ended, as pn_call_tell does. */
void pn_call_report_finished(pn_node *node);
/* The teller that calls `done`, for calls that malloc made. */
void pn_call_tell_done(pn_call_op *call, pn_term value);

/* ---- waiting ---- */
typedef pn_err pn_call_starter(pn_call_op *call, void *arg);
/* Begins call with start, and waits for its outcome; the lock is released while
 * it waits. The caller holds a reference to the node, which may close
 * meanwhile. Errors: PN_STATE this is the loop's thread; what start returns;
 * the outcome.
 */
PN_CORE PN_MUST_USE pn_err pn_call_run(
    pn_node *node, pn_call_op *call, pn_call_starter *start, void *arg);

/* A copy of value that pn_reply_free frees. NULL: no memory. */
pn_reply *pn_reply_new(pn_term value);

#endif

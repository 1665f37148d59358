/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of ours, for every family of links; see call.h. */
#include "link/call.h"

#include <stdlib.h>
#include <string.h>

#include "link/node_core.h"

struct pn_reply {
    pn_term term;
    uint8_t data[];
};

pn_term pn_reply_term(const pn_reply *reply)
{
    return reply == NULL ? (pn_term){0} : reply->term;
}

void pn_reply_free(pn_reply *reply)
{
    free(reply);
}

pn_reply *pn_reply_new(pn_term value)
{
    pn_reply *reply = malloc(sizeof(*reply) + value.len);

    if (reply == NULL) {
        return NULL;
    }
    if (value.len > 0) {
        memcpy(reply->data, value.data, value.len);
    }
    reply->term = (pn_term){reply->data, value.len};
    return reply;
}

/* ---- begin, cancel, expire ---------------------------------------------- */

pn_err pn_call_begin(pn_link *link, pn_call_op *call, uint64_t deadline_us)
{
    pn_err err;

    assert_locked(link->node);
    err = link->ops->begin_call(link, call);
    if (err == PN_OK) {
        pn_call_keep(link, call, deadline_us);
        pn_link_touch(link); /* its timer has a new deadline */
    }
    return err;
}

void pn_call_keep(pn_link *link, pn_call_op *call, uint64_t deadline_us)
{
    pn_list_remove(&call->item);
    if (link->calls.n == 0) {
        link->calls_due_us = PN_TIME_NEVER;
    }
    pn_list_append(&link->calls, &call->item);
    call->deadline_us = deadline_us;
    link->calls_due_us = pn_sooner(link->calls_due_us, deadline_us);
}

uint64_t pn_call_deadline(const pn_link *link)
{
    return link->calls.n == 0 ? PN_TIME_NEVER : link->calls_due_us;
}

/* A removal leaves calls_due_us alone, so it may be too early: it is made right
 * here. */
static void take_due(pn_link *link, uint64_t now_us, pn_list *due)
{
    if (now_us < link->calls_due_us) {
        return;
    }
    link->calls_due_us = PN_TIME_NEVER;
    PN_LIST_EACH(pn_call_op, call, &link->calls, item) {
        if (call->deadline_us <= now_us) {
            pn_list_remove(&call->item);
            pn_list_append(due, &call->item);
        } else {
            link->calls_due_us = pn_sooner(
                link->calls_due_us, call->deadline_us);
        }
    }
}

/* Calls that are due are in a list of their own meanwhile. If a callback ends
 * one of them, the call is removed from that list. */
void pn_call_expire(pn_link *link, uint64_t now_us)
{
    pn_list due = {0};
    pn_call_op *call;

    assert_on_loop(link->node);
    take_due(link, now_us, &due);
    while ((call = PN_LIST_TAKE(&due, pn_call_op, item)) != NULL) {
        link->ops->expire_call(link, call);
    }
}

/* ---- outcome ------------------------------------------------------------ */

void pn_call_finish(
    pn_node *node, pn_call_op *call, pn_err outcome, pn_term value)
{
    assert_locked(node);
    assert(call->item.list == NULL && !call->is_done);
    call->outcome = outcome;
    call->is_done = true;
    if (value.len > 0 && call->wants_value) {
        pn_reply_free(call->reply);
        call->reply = pn_reply_new(value);
        if (call->reply == NULL) {
            call->outcome = PN_NOMEM;
        }
    }
    if (call->tell == NULL) {
        (void)pthread_cond_signal(call->cond);
        return;
    }
    pn_list_append(&node->calls.finished, &call->item);
    pn_node_wake(node);
}

void pn_call_tell(
    pn_node *node, pn_call_op *call, pn_err outcome, pn_term value)
{
    assert_on_loop(node);
    assert(call->item.list == NULL);
    call->outcome = outcome;
    node->calls.told_reason = call->reason;
    pn_node_unlock(node);
    call->tell(call, value);
    pn_node_lock(node);
    node->calls.told_reason = PN_REASON_NONE;
}

/* A call that ends during a callback is reported in the next turn, so that a
 * callback that calls again, and fails at once, does not hold the loop. */
void pn_call_report_finished(pn_node *node)
{
    pn_list *finished = &node->calls.finished;
    pn_call_op *call;

    for (uint32_t n = finished->n;
         n > 0 && (call = PN_LIST_TAKE(finished, pn_call_op, item)) != NULL;
         n--) {
        pn_call_tell(node, call, call->outcome, pn_reply_term(call->reply));
    }
}

void pn_call_tell_done(pn_call_op *call, pn_term value)
{
    call->done(call->user, call->outcome, value);
    pn_reply_free(call->reply);
    free(call);
}

/* ---- waiting ------------------------------------------------------------ */

pn_err pn_call_run(
    pn_node *node, pn_call_op *call, pn_call_starter *start, void *arg)
{
    pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
    pn_err err = PN_STATE;

    assert_locked(node);
    if (!pn_node_is_loop_thread(node)) {
        call->cond = &cond;
        err = start(call, arg);
        while (err == PN_OK && !call->is_done) {
            (void)pn_lock_wait(&node->lock, &cond, NULL);
        }
        err = err == PN_OK ? call->outcome : err;
    }
    (void)pthread_cond_destroy(&cond);
    return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deferred requests: the application keeps each until it answers or drops it. A
 * request is cancelled when its link has ended, its handle or its grant is
 * gone, or its time is up. It counts no longer, its caller gets an error at
 * once, and the application is told on the loop.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "link/node_core.h"

static void uncount(pn_request *req)
{
    if (req->item.list == &req->link->kept) {
        req->node->requests.n_deferred--;
    }
    pn_list_remove(&req->item);
    pn_list_remove(&req->timed);
}

/* ---- cancelling (lock held) -------------------------------------------- */

/* pn_defer_report tells it on the loop. */
static void cancel_quietly(pn_request *req, pn_reason why)
{
    assert_locked(req->node);
    assert(req->is_deferred);
    uncount(req);
    req->is_cancelled = true;
    req->cancel_reason = why;
    pn_list_append(&req->node->requests.cancelled, &req->item);
    pn_node_wake(req->node);
}

static void cancel_answer(pn_request *req)
{
    if (!req->is_answered && req->link->stage == PN_LINK_UP) {
        pn_request_refuse(req, req->cancel_reason, NULL);
    }
}

void pn_defer_cancel(pn_request *req, pn_reason why)
{
    cancel_quietly(req, why);
    cancel_answer(req);
}

void pn_defer_cancel_link(pn_link *link)
{
    PN_LIST_EACH(pn_request, req, &link->kept, item) {
        cancel_quietly(req, link->reason);
    }
}

static void recheck_link(pn_link *link)
{
    PN_LIST_EACH(pn_request, req, &link->kept, item) {
        pn_reason why = pn_request_decide(req);

        if (PN_REFUSE_IF(ungrant_deferred, why != PN_REASON_NONE)) {
            cancel_quietly(req, why);
        }
    }
}

void pn_defer_recheck(pn_node *node)
{
    pn_list *cancelled = &node->requests.cancelled;
    const pn_item *last = cancelled->last;

    assert_locked(node);
    PN_LIST_EACH(pn_link, link, &node->links.all, listed) {
        recheck_link(link);
    }
    /* An answer may end a link, which appends what else it kept. */
    for (pn_item *i = last == NULL ? cancelled->first : last->next; i != NULL;
         i = i->next) {
        cancel_answer(PN_LIST_HOLDER(i, pn_request, item));
    }
}

void pn_defer_report(pn_node *node)
{
    pn_list *cancelled = &node->requests.cancelled;
    pn_request *req;

    assert_on_loop(node);
    assert_locked(node);
    while ((req = PN_LIST_TAKE(cancelled, pn_request, item)) != NULL) {
        pn_request_cancelled *on_cancel = req->on_cancel;
        void *user = req->on_cancel_user;
        pn_reason why = req->cancel_reason;

        if (on_cancel != NULL) {
            req->is_cancel_told = true;
            pn_node_unlock(node);
            on_cancel(user, why);
            pn_node_lock(node);
        }
    }
}

void pn_defer_end_unlock(pn_request *req)
{
    pn_node *node = req->node;

    assert_locked(node);
    uncount(req);
    pn_request_free(req);
    pn_node_unref_unlock(node);
}

/* ---- keeping ----------------------------------------------------------- */

/* Lock held. */
static pn_err may_defer(const pn_request *req)
{
    const pn_node *node = req->node;

    assert_locked(node);
    if (req->is_deferred || req->deferred_copy != NULL || req->is_answered) {
        return PN_STATE;
    }
    if (req->link->stage != PN_LINK_UP || node->closing.is_asked) {
        return PN_CLOSED;
    }
    if (PN_REFUSE_IF(
            wanted_at_defer, pn_request_decide(req) != PN_REASON_NONE)) {
        return PN_DENIED;
    }
    if (PN_REFUSE_IF(
            deferred, node->requests.n_deferred >= node->opt.max_deferred)) {
        return PN_BUSY;
    }
    /* One peer must not take every place. */
    if (PN_REFUSE_IF(deferred_per_link,
            req->link->kept.n >= node->opt.max_deferred_per_link)) {
        return PN_BUSY;
    }
    return PN_OK;
}

static void keep(pn_request *kept, pn_request *req)
{
    *kept = *req;
    kept->args = (pn_term){0};
    kept->is_deferred = true;
    kept->timed = (pn_item){0};
    kept->holds_turn = false;
    kept->running_bytes = 0; /* they are req's */
    kept->link->refs++;
    (void)pn_handle_ref(kept->handle);
    pn_list_append(&kept->link->kept, &kept->item);
    kept->node->requests.n_deferred++;
    pn_node_ref(kept->node);
    pn_dispatch_defer_deadline(req, kept);
    req->deferred_copy = kept;
}

/*
 * The request that was given to the handler stays valid until it returns. The
 * application keeps a copy without the arguments, so that an answer from
 * another thread cannot free a request that the handler still uses.
 */
pn_err pn_request_defer(pn_request *req, pn_request **ret_req)
{
    pn_node *node = req->node;
    pn_request *kept = NULL;
    pn_err err;

    pn_node_lock(node);
    err = may_defer(req);
    if (err == PN_OK) {
        kept = malloc(sizeof(*kept));
        err = kept == NULL ? PN_NOMEM : PN_OK;
    }
    if (err == PN_OK) {
        keep(kept, req);
        *ret_req = kept;
    } else if (err == PN_DENIED) {
        pn_request_refuse(req, pn_request_decide(req), NULL);
    }
    pn_node_unlock(node);
    return err;
}

pn_err pn_request_on_cancel(
    pn_request *req, pn_request_cancelled *on_cancel, void *user)
{
    pn_node *node = req->node;
    pn_err err = PN_OK;

    if (!req->is_deferred || on_cancel == NULL) {
        return req->is_deferred ? PN_INVALID : PN_STATE;
    }
    pn_node_lock(node);
    if (node->closing.is_done) {
        err = PN_CLOSED;
    } else if (req->is_cancel_told) {
        err = PN_STATE;
    } else {
        req->on_cancel = on_cancel;
        req->on_cancel_user = user;
        if (req->is_cancelled && req->item.list == NULL) {
            pn_list_append(&node->requests.cancelled, &req->item);
            pn_node_wake(node);
        }
    }
    pn_node_unlock(node);
    return err;
}

void pn_request_drop(pn_request *req)
{
    pn_node *node = req->node;

    if (!req->is_deferred) {
        return;
    }
    pn_node_lock(node);
    if (!req->is_answered && req->is_call) {
        pn_request_refuse(req, PN_REASON_NO_REPLY, NULL);
    }
    pn_defer_end_unlock(req);
}

/* ---- memory -------------------------------------------------------------- */

/* Half of the budget is left for the links themselves, so memory that an
 * application holds never ends a link. */
static bool is_over_held(const pn_request *req, size_t bytes)
{
    const pn_node_options *opt = &req->node->opt;
    size_t of_link = req->link->held_bytes - req->held_bytes;
    size_t of_node = req->node->links.held_bytes - req->held_bytes;

    return PN_REFUSE_IF(held_per_link,
               bytes > opt->max_held_bytes_per_link
                   || of_link > opt->max_held_bytes_per_link - bytes)
           || PN_REFUSE_IF(
               held_budget, bytes > opt->max_memory_bytes / 2
                                || of_node > opt->max_memory_bytes / 2 - bytes);
}

pn_err pn_request_hold(pn_request *req, size_t bytes)
{
    pn_node *node = req->node;
    pn_err err = PN_OK;

    pn_node_lock(node);
    if (!req->is_deferred) {
        err = PN_STATE;
    } else if (bytes > req->held_bytes && is_over_held(req, bytes)) {
        err = PN_BUSY;
    } else {
        req->link->held_bytes += bytes - req->held_bytes;
        node->links.held_bytes += bytes - req->held_bytes;
        req->held_bytes = bytes;
        pn_link_touch(req->link);
    }
    pn_node_unlock(node);
    return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A request as a handler sees it: who asks, and the one answer. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mutant.h"
#include "node/node_internal.h"
#include "node/reasons.h"

void pn_request_free(pn_request *req)
{
    pn_handle_unref(req->handle);
    pn_link_unref(req->link);
    free(req);
}

bool pn_request_is_call(const pn_request *req)
{
    return req->is_call;
}

const pn_principal *pn_request_caller(const pn_request *req)
{
    return &req->link->principal;
}

const char *pn_request_label(const pn_request *req)
{
    return req->link->label;
}

const char *pn_request_handle(const pn_request *req)
{
    return req->handle->name;
}

pn_node *pn_request_node(const pn_request *req)
{
    return req->node;
}

/* ---- answering (lock held) --------------------------------------------- */

void pn_link_answer_error(
    pn_link *link, uint64_t id, pn_reason reason, const pn_term *mfa)
{
    pn_term_writer w;

    if (link->stage != PN_LINK_UP
        || link->ops->begin_reply(link, id, false, &w) != PN_OK) {
        return;
    }
    pn_reason_write(&w, reason, mfa);
    if (link->ops->commit(link, pn_node_now(link->node), &w) == PN_OK) {
        link->node->metrics.frames_out++;
    }
}

void pn_request_refuse(pn_request *req, pn_reason reason, const pn_term *mfa)
{
    pn_link *link = req->link;
    pn_slice name = {(const uint8_t *)req->handle->name, req->handle->name_len};

    req->is_answered = true;
    pn_node_denied(
        req->node, &link->key, link->label, &link->remote, name, reason);
    if (req->is_call) {
        pn_link_answer_error(link, req->id, reason, mfa);
    }
}

/* What an answer is made of. */
typedef struct answer {
    bool is_ok;
    const char *format; /* or NULL: term */
    va_list *args;
    pn_term term;
} answer;

static void answer_write(pn_term_writer *w, const answer *a)
{
    if (a->format != NULL) {
        pn_term_write_vformat(w, a->format, *a->args);
    } else {
        pn_term_write_term(w, a->term);
    }
}

static pn_err answer_send(pn_request *req, const answer *a)
{
    pn_link *link = req->link;
    pn_term_writer w;
    pn_err err;

    if (link->stage != PN_LINK_UP) {
        return PN_CLOSED;
    }
    err = link->ops->begin_reply(link, req->id, a->is_ok, &w);
    if (err != PN_OK) {
        return err == PN_NOT_CONNECTED ? PN_CLOSED : err;
    }
    answer_write(&w, a);
    err = link->ops->commit(link, pn_node_now(req->node), &w);
    if (err == PN_OK) {
        req->node->metrics.frames_out++;
        return PN_OK;
    }
    /* The caller is owed an answer all the same. */
    pn_link_answer_error(link, req->id,
        err == PN_TOO_LARGE ? PN_REASON_REPLY_TOO_LARGE
                            : PN_REASON_HANDLER_FAILED,
        NULL);
    return err;
}

/* A deferred request ends with its answer, and may be the last to know its
 * node. */
static void deferred_end_unlock(pn_request *req)
{
    pn_node *node = req->node;

    pn_dispatch_untime(req);
    node->n_deferred--;
    pn_request_free(req);
    pn_node_unref_unlock(node);
}

static pn_err request_answer(pn_request *req, const answer *a)
{
    pn_node *node = req->node;
    pn_err err = PN_STATE;

    pn_node_lock(node);
    if (req->deferred_copy == NULL && !req->is_answered) {
        req->is_answered = true;
        err = req->is_call ? answer_send(req, a) : PN_OK;
    }
    if (req->is_deferred) {
        deferred_end_unlock(req);
    } else {
        pn_node_unlock(node);
    }
    return err;
}

pn_err pn_request_reply(pn_request *req, const char *format, ...)
{
    va_list args;
    answer a = {.is_ok = true, .format = format, .args = &args};
    pn_err err;

    va_start(args, format);
    err = request_answer(req, &a);
    va_end(args);
    return err;
}

pn_err pn_request_reply_term(pn_request *req, pn_term value)
{
    answer a = {.is_ok = true, .term = value};

    return request_answer(req, &a);
}

pn_err pn_request_fail(pn_request *req, const char *format, ...)
{
    va_list args;
    answer a = {.is_ok = false, .format = format, .args = &args};
    pn_err err;

    va_start(args, format);
    err = request_answer(req, &a);
    va_end(args);
    return err;
}

/* ---- deferring --------------------------------------------------------- */

/*
 * The request that was handed to the handler stays with it; what is kept is a
 * copy without the arguments, so that an answer from another thread cannot
 * free what the handler still holds.
 */
pn_err pn_request_defer(pn_request *req, pn_request **ret_req)
{
    pn_node *node = req->node;
    pn_request *kept;
    pn_err err = PN_OK;

    pn_node_lock(node);
    if (req->is_deferred || req->deferred_copy != NULL || req->is_answered) {
        err = PN_STATE;
    } else if (PN_CHECK(deferred, node->n_deferred >= node->opt.max_deferred)) {
        err = PN_BUSY;
    } else if ((kept = malloc(sizeof(*kept))) == NULL) {
        err = PN_NOMEM;
    } else {
        *kept = *req;
        kept->args = (pn_term){0};
        kept->is_deferred = true;
        kept->is_timed = false;
        kept->holds_turn = false;
        kept->link->refs++;
        (void)pn_handle_ref(kept->handle);
        node->n_deferred++;
        pn_node_ref(node);
        pn_dispatch_defer_deadline(req, kept);
        req->deferred_copy = kept;
        *ret_req = kept;
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
    deferred_end_unlock(req);
}

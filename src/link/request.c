/* SPDX-License-Identifier: Apache-2.0 */
/* A request as a handler sees it: who asks, and the one answer. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "link/decide.h"
#include "link/node_core.h"
#include "link/reasons.h"

/* A link's memory is accounted again at the turn's end when it has changed by
 * this much; the loop is not woken for less. */
enum { ACCOUNT_STEP_BYTES = 4096 };

static void request_uncount(pn_request *req)
{
    pn_link *link = req->link;

    assert_locked(req->node);
    assert(link->running_bytes >= req->running_bytes);
    link->running_bytes -= req->running_bytes;
    link->held_bytes -= req->held_bytes;
    req->node->links.held_bytes -= req->held_bytes;
    if (req->running_bytes + req->held_bytes >= ACCOUNT_STEP_BYTES) {
        pn_link_touch(link);
    }
}

void pn_request_free(pn_request *req)
{
    request_uncount(req);
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
    const char *label;

    pn_node_lock(req->node);
    label = req->link->label; /* a renaming keeps the old one for us */
    pn_node_unlock(req->node);
    return label;
}

const char *pn_request_handle(const pn_request *req)
{
    return req->handle->name;
}

pn_node *pn_request_node(const pn_request *req)
{
    return req->node;
}

/* ---- the decision once more ---------------------------------------------- */

pn_reason pn_request_decide(const pn_request *req)
{
    const pn_link *link = req->link;
    const pn_handle *handle = req->handle;
    pn_reason reason;

    assert_locked(req->node);
    if (PN_REFUSE_IF(trust_at_start, link->stage != PN_LINK_UP)) {
        return link->reason == PN_REASON_NONE ? PN_REASON_UNPAIRED
                                              : link->reason;
    }
    if (req->node->closing.is_asked) {
        return PN_REASON_LOCAL_CLOSE;
    }
    /* The caller has got a time-out already, and waits no longer. */
    if (PN_REFUSE_IF(expired_at_start, req->is_answered)) {
        return PN_REASON_HANDLER_TIMEOUT;
    }
    if (PN_REFUSE_IF(revoke_waiting, handle->is_revoked)) {
        return PN_REASON_NO_SUCH_HANDLE;
    }
    reason = pn_link_decide(req->link, handle);
    if (PN_REFUSE_IF(grant_at_start, reason != PN_REASON_NONE)) {
        return reason;
    }
    if (req->function_grants != NULL) {
        reason = pn_link_decide_function(
            req->link, req->function_name, req->function_grants);
    }
    return PN_REFUSE_IF(function_at_start,
               req->function_grants != NULL && reason != PN_REASON_NONE)
               ? PN_REASON_FUNCTION_FORBIDDEN
               : PN_REASON_NONE;
}

bool pn_request_is_wanted(const pn_request *req)
{
    bool is_wanted;

    pn_node_lock(req->node);
    is_wanted = req->deferred_copy == NULL
                && pn_request_decide(req) == PN_REASON_NONE;
    pn_node_unlock(req->node);
    return is_wanted;
}

/* ---- answering (lock held) --------------------------------------------- */

static void answer_error(
    pn_link *link, uint64_t id, pn_reason reason, const pn_term *mfa)
{
    pn_term_writer w;

    assert_locked(link->node);
    if (link->stage != PN_LINK_UP
        || link->ops->begin_reply(link, id, false, &w) != PN_OK) {
        return;
    }
    pn_reason_write(&w, reason, mfa);
    (void)!link->ops->commit(link, pn_node_now(link->node), &w);
}

void pn_link_refuse(pn_link *link, const uint64_t *id, pn_subject subject,
    pn_reason reason, const pn_term *mfa)
{
    assert_locked(link->node);
    pn_node_denied(link->node, &link->principal, link->label, &link->remote,
        subject, reason);
    if (id != NULL) {
        answer_error(link, *id, reason, mfa);
    }
}

/* A deferred request has no arguments any more. */
static pn_subject subject_of(
    const pn_request *req, char room[static PN_FUNCTION_NAME_CAP])
{
    const char *name = req->function_name;

    return name == NULL
               ? pn_handle_subject(req->handle, req->args, room)
               : (pn_subject){.name = {(const uint8_t *)name, strlen(name)},
                   .is_function = true};
}

void pn_request_refuse(pn_request *req, pn_reason reason, const pn_term *mfa)
{
    char room[PN_FUNCTION_NAME_CAP];

    req->is_answered = true;
    pn_link_refuse(req->link, req->is_call ? &req->id : NULL,
        subject_of(req, room), reason, mfa);
}

/* The parts of an answer. */
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
        return PN_OK;
    }
    /* The caller must get an answer. */
    answer_error(link, req->id,
        err == PN_TOO_LARGE ? PN_REASON_REPLY_TOO_LARGE
                            : PN_REASON_HANDLER_FAILED,
        NULL);
    return err;
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
        pn_defer_end_unlock(req);
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

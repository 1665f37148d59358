/* SPDX-License-Identifier: Apache-2.0 */
/* Calls and sends of ours. */
#include <stdlib.h>
#include <string.h>

#include "node/node_internal.h"

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

/* ---- results ----------------------------------------------------------- */

static void op_finish_later(pn_node *node, pn_call_op *op)
{
    op->next = NULL;
    if (node->finished_tail == NULL) {
        node->finished_head = op;
    } else {
        node->finished_tail->next = op;
    }
    node->finished_tail = op;
    pn_node_wake(node);
}

void pn_call_report_finished(pn_node *node)
{
    pn_call_op *op = node->finished_head;

    node->finished_head = NULL;
    node->finished_tail = NULL;
    if (op == NULL) {
        return;
    }
    pn_node_unlock(node);
    while (op != NULL) {
        pn_call_op *next = op->next;

        op->done(op->user, op->outcome, (pn_term){0});
        free(op);
        op = next;
    }
    pn_node_lock(node);
}

/* Somebody waits for it in pn_call_term. */
static void op_finish_waiting(pn_call_op *op, pn_term value)
{
    bool has_value = op->outcome == PN_OK || op->outcome == PN_REMOTE;

    if (has_value && op->wants_value) {
        op->reply = pn_reply_new(value);
        if (op->reply == NULL) {
            op->outcome = PN_NOMEM;
        }
    }
    op->is_done = true;
    (void)pthread_cond_signal(op->cond);
}

void pn_call_on_reply(void *user, void *call, pn_err outcome, pn_term value)
{
    pn_link *link = user;
    pn_node *node = link->node;
    pn_call_op *op = call;

    op->outcome = outcome;
    if (outcome == PN_OK || outcome == PN_REMOTE) {
        node->metrics.replies_in++;
    } else if (outcome == PN_TIMEOUT) {
        node->metrics.call_timeouts++;
    }
    if (op->done == NULL) {
        op_finish_waiting(op, value);
    } else if (outcome == PN_OK || outcome == PN_REMOTE) {
        /* Replies are read on the loop, and value lives until we return. */
        pn_node_unlock(node);
        op->done(op->user, outcome, value);
        pn_node_lock(node);
        free(op);
    } else {
        op_finish_later(node, op);
    }
}

/* ---- starting ---------------------------------------------------------- */

/* An argument: a term, or a format and what goes into it. */
typedef struct argument {
    const char *format;
    va_list *args;
    pn_term term;
} argument;

static pn_err argument_send(pn_link *link, pn_term_writer *w, const argument *a)
{
    pn_err err;

    if (a->format != NULL) {
        pn_term_write_vformat(w, a->format, *a->args);
    } else {
        pn_term_write_term(w, a->term);
    }
    err = pn_session_commit(link->session, pn_node_now(link->node), w);
    if (err == PN_OK) {
        link->node->metrics.frames_out++;
    }
    return err;
}

static pn_link *link_to(pn_node *node, const pn_public_key *peer)
{
    const pn_reg_peer *reg = node->is_closing
                                 ? NULL
                                 : pn_registry_find(node->registry, peer);

    return reg == NULL ? NULL : reg->primary;
}

/* Lock held. */
static pn_err call_start(pn_node *node, const pn_public_key *peer,
    const char *handle, uint32_t timeout_ms, const argument *a, pn_call_op *op)
{
    pn_slice name = {(const uint8_t *)handle, strlen(handle)};
    pn_link *link = link_to(node, peer);
    pn_term_writer w;
    pn_err err;

    if (link == NULL) {
        return PN_NOT_CONNECTED;
    }
    if (timeout_ms == 0) {
        timeout_ms = node->opt.call_timeout_ms;
    }
    err = pn_session_begin_call(link->session, name,
        pn_node_now(node) + (uint64_t)timeout_ms * PN_US_PER_MS, op, &w);
    if (err == PN_OK) {
        err = argument_send(link, &w, a);
    }
    if (err == PN_OK) {
        node->metrics.calls_out++;
    }
    return err;
}

static pn_err call_and_wait(pn_node *node, const pn_public_key *peer,
    const char *handle, uint32_t timeout_ms, const argument *a,
    pn_reply **ret_reply)
{
    pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
    pn_call_op op = {.cond = &cond, .wants_value = ret_reply != NULL};
    pn_err err;

    pn_node_lock(node);
    pn_node_ref(node); /* it may close while we wait */
    if (pn_node_is_loop_thread(node)) {
        err = PN_STATE;
    } else {
        err = call_start(node, peer, handle, timeout_ms, a, &op);
    }
    if (err == PN_OK) {
        while (!op.is_done) {
            (void)pthread_cond_wait(&cond, &node->lock);
        }
        err = op.outcome;
        if (op.reply != NULL && ret_reply != NULL) {
            *ret_reply = op.reply;
        }
    }
    pn_node_unref_unlock(node);
    (void)pthread_cond_destroy(&cond);
    return err;
}

pn_err pn_call(pn_node *node, const pn_public_key *peer, const char *handle,
    uint32_t timeout_ms, pn_reply **ret_reply, const char *format, ...)
{
    va_list args;
    argument a = {.format = format, .args = &args};
    pn_err err;

    va_start(args, format);
    err = call_and_wait(node, peer, handle, timeout_ms, &a, ret_reply);
    va_end(args);
    return err;
}

pn_err pn_call_term(pn_node *node, const pn_public_key *peer,
    const char *handle, uint32_t timeout_ms, pn_term args, pn_reply **ret_reply)
{
    argument a = {.term = args};

    return call_and_wait(node, peer, handle, timeout_ms, &a, ret_reply);
}

pn_err pn_call_async(pn_node *node, const pn_public_key *peer,
    const char *handle, uint32_t timeout_ms, pn_term args, pn_call_done *done,
    void *user)
{
    argument a = {.term = args};
    pn_call_op *op;
    pn_err err;

    if (done == NULL) {
        return PN_INVALID;
    }
    op = calloc(1, sizeof(*op));
    if (op == NULL) {
        return PN_NOMEM;
    }
    op->done = done;
    op->user = user;
    pn_node_lock(node);
    err = call_start(node, peer, handle, timeout_ms, &a, op);
    pn_node_unlock(node);
    if (err != PN_OK) {
        free(op);
    }
    return err;
}

static pn_err send_now(pn_node *node, const pn_public_key *peer,
    const char *handle, const argument *a)
{
    pn_slice name = {(const uint8_t *)handle, strlen(handle)};
    pn_err err = PN_NOT_CONNECTED;
    pn_term_writer w;
    pn_link *link;

    pn_node_lock(node);
    link = link_to(node, peer);
    if (link != NULL) {
        err = pn_session_begin_send(link->session, name, &w);
        if (err == PN_OK) {
            err = argument_send(link, &w, a);
        }
        if (err == PN_OK) {
            node->metrics.sends_out++;
        }
    }
    pn_node_unlock(node);
    return err;
}

pn_err pn_send(pn_node *node, const pn_public_key *peer, const char *handle,
    const char *format, ...)
{
    va_list args;
    argument a = {.format = format, .args = &args};
    pn_err err;

    va_start(args, format);
    err = send_now(node, peer, handle, &a);
    va_end(args);
    return err;
}

pn_err pn_send_term(
    pn_node *node, const pn_public_key *peer, const char *handle, pn_term args)
{
    argument a = {.term = args};

    return send_now(node, peer, handle, &a);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Calls and sends of ours to peers of the PeerNet family. */
#include <stdlib.h>
#include <string.h>

#include "node/node_internal.h"
#include "term/atoms.h"

/* A call, or a send, as its caller gave it. */
typedef struct message {
    pn_node *node;
    const pn_public_key *peer;
    const char *handle;
    uint32_t timeout_ms; /* 0: the node's default */
    const char *format;  /* and args; NULL: term is the argument */
    va_list *args;
    pn_term term;
} message;

typedef struct peer_call {
    pn_call_op op;
    const message *message; /* while it begins */
    uint64_t id;            /* the session's */
} peer_call;

static peer_call *of(pn_call_op *call)
{
    return (peer_call *)(void *)call;
}

/* ---- outcome ----------------------------------------------------------- */

void pn_peer_call_replied(void *user, void *call, pn_err outcome, pn_term value)
{
    const pn_peer_link *link = user;
    pn_node *node = link->base.node;
    pn_call_op *op = call;
    bool has_value = outcome == PN_OK || outcome == PN_REMOTE;

    pn_list_remove(&op->item);
    if (has_value) {
        node->metrics.replies_in++;
    } else if (outcome == PN_TIMEOUT) {
        node->metrics.call_timeouts++;
    }
    if (has_value && op->tell != NULL) {
        /* Replies are read on the loop, and value lives until we return. */
        pn_call_tell(node, op, outcome, value);
    } else {
        pn_call_finish(node, op, outcome, value);
    }
}

void pn_peer_call_expire(pn_link *link, pn_call_op *call)
{
    pn_session_forget(pn_peer_link_of(link)->session, of(call)->id);
    pn_peer_call_replied(pn_peer_link_of(link), call, PN_TIMEOUT, (pn_term){0});
}

/* ---- starting ---------------------------------------------------------- */

/*
 * A peer closes the link on an atom that its VM does not know. So the time of
 * the last message with an atom that not every VM has, its handle included, is
 * kept. Once the peer has sent something after it, it has read the message, and
 * these atoms are known to it.
 */
static void note_new_atoms(pn_peer_link *link, uint32_t atoms, uint64_t now_us)
{
    pn_read_atoms *read = &link->read_atoms;

    if (link->message_us != 0
        && pn_session_last_received_us(link->session) > link->message_us) {
        read->sums[read->n++ % PN_READ_ATOMS] = link->message_atoms;
        link->message_us = 0;
    }
    for (size_t i = 0; i < PN_READ_ATOMS; i++) {
        if (read->sums[i] == atoms) {
            return;
        }
    }
    link->message_us = now_us;
    link->message_atoms = atoms;
}

static pn_err argument_send(
    pn_peer_link *link, pn_term_writer *w, pn_slice handle, const message *m)
{
    uint64_t now_us = pn_node_now(link->base.node);
    uint32_t atoms;
    pn_err err;

    if (m->format != NULL) {
        pn_term_write_vformat(w, m->format, *m->args);
    } else {
        pn_term_write_term(w, m->term);
    }
    atoms = w->new_atoms + pn_atom_is_new(handle.data, handle.len);
    err = pn_session_commit(link->session, now_us, w);
    if (err == PN_OK && atoms != 0) {
        note_new_atoms(link, atoms, now_us);
    }
    return err;
}

static pn_peer_link *link_to(pn_node *node, const pn_public_key *peer)
{
    const pn_reg_peer *reg = node->closing.is_asked
                                 ? NULL
                                 : pn_registry_find(
                                     pn_full(node)->registry, peer);

    return reg == NULL ? NULL : reg->primary;
}

pn_err pn_peer_call_begin(pn_link *base, pn_call_op *call)
{
    pn_peer_link *link = pn_peer_link_of(base);
    const message *m = of(call)->message;
    pn_slice name = {(const uint8_t *)m->handle, strlen(m->handle)};
    pn_term_writer w;
    pn_err err = pn_session_begin_call(link->session, name, call, &w);

    if (err == PN_OK) {
        of(call)->id = pn_session_begun_call(link->session);
        err = argument_send(link, &w, name, m);
    }
    if (err == PN_OK) {
        base->node->metrics.calls_out++;
    }
    return err;
}

/* Lock held. */
static pn_err call_start(pn_call_op *op, void *arg)
{
    const message *m = arg;
    pn_node *node = m->node;
    pn_peer_link *link = link_to(node, m->peer);
    uint32_t timeout_ms = m->timeout_ms == 0 ? node->opt.call_timeout_ms
                                             : m->timeout_ms;

    if (link == NULL) {
        return PN_NOT_CONNECTED;
    }
    of(op)->message = m;
    return pn_call_begin(&link->base, op,
        pn_node_now(node) + (uint64_t)timeout_ms * PN_US_PER_MS);
}

static pn_err call_and_wait(message *m, pn_reply **ret_reply)
{
    peer_call call = {.op.wants_value = ret_reply != NULL};
    pn_err err;

    pn_node_lock(m->node);
    pn_node_ref(m->node);
    err = pn_call_run(m->node, &call.op, call_start, m);
    pn_node_unref_unlock(m->node);
    if (call.op.reply != NULL && ret_reply != NULL) {
        *ret_reply = call.op.reply;
    }
    return err;
}

pn_err pn_call(pn_node *node, const pn_public_key *peer, const char *handle,
    uint32_t timeout_ms, pn_reply **ret_reply, const char *format, ...)
{
    va_list args;
    message m = {node, peer, handle, timeout_ms, format, &args, {0}};
    pn_err err;

    va_start(args, format);
    err = call_and_wait(&m, ret_reply);
    va_end(args);
    return err;
}

pn_err pn_call_term(pn_node *node, const pn_public_key *peer,
    const char *handle, uint32_t timeout_ms, pn_term args, pn_reply **ret_reply)
{
    message m = {node, peer, handle, timeout_ms, NULL, NULL, args};

    return call_and_wait(&m, ret_reply);
}

pn_err pn_call_async(pn_node *node, const pn_public_key *peer,
    const char *handle, uint32_t timeout_ms, pn_term args, pn_call_done *done,
    void *user)
{
    message m = {node, peer, handle, timeout_ms, NULL, NULL, args};
    peer_call *call;
    pn_err err;

    if (done == NULL) {
        return PN_INVALID;
    }
    call = calloc(1, sizeof(*call));
    if (call == NULL) {
        return PN_NOMEM;
    }
    call->op.tell = pn_call_tell_done;
    call->op.done = done;
    call->op.user = user;
    pn_node_lock(node);
    err = call_start(&call->op, &m);
    pn_node_unlock(node);
    if (err != PN_OK) {
        free(call);
    }
    return err;
}

static pn_err send_now(const message *m)
{
    pn_slice name = {(const uint8_t *)m->handle, strlen(m->handle)};
    pn_node *node = m->node;
    pn_err err = PN_NOT_CONNECTED;
    pn_term_writer w;
    pn_peer_link *link;

    pn_node_lock(node);
    link = link_to(node, m->peer);
    if (link != NULL) {
        err = pn_session_begin_send(link->session, name, &w);
        if (err == PN_OK) {
            err = argument_send(link, &w, name, m);
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
    message m = {node, peer, handle, 0, format, &args, {0}};
    pn_err err;

    va_start(args, format);
    err = send_now(&m);
    va_end(args);
    return err;
}

pn_err pn_send_term(
    pn_node *node, const pn_public_key *peer, const char *handle, pn_term args)
{
    message m = {node, peer, handle, 0, NULL, NULL, args};

    return send_now(&m);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a link owes us: each operation has a process of its own, that is a pid
 * nothing else has, so an answer that comes late finds nobody.
 */
#include <stdlib.h>
#include <string.h>

#include "barrel_internal.h"
#include "base/mutant.h"
#include "term/writer_internal.h"

/* How much later than the end of its process an answer may come. */
#define DOWN_AFTER_US (100 * PN_US_PER_MS)

/* ---- processes and references of ours ---------------------------------- */

static void op_identify(pn_barrel *barrel, pn_barrel_op *op)
{
    uint64_t ref = ++barrel->last_ref;

    op->pid = (pn_dist_pid){
        .id = ++barrel->last_pid, .creation = barrel->creation};
    op->ref = (pn_dist_ref){
        .words = {(uint32_t)(ref & 0x3ffff), (uint32_t)(ref >> 18), 0},
        .creation = barrel->creation};
    op->id = ref;
}

void pn_barrel_op_init(
    pn_barrel *barrel, pn_barrel_op *op, pn_barrel_op_kind kind)
{
    *op = (pn_barrel_op){.kind = kind, .deadline_us = PN_TIME_NEVER};
    pn_node_lock(barrel->node);
    op_identify(barrel, op);
    pn_node_unlock(barrel->node);
}

pn_err pn_barrel_op_terms_init(
    const pn_barrel *barrel, const pn_barrel_op *op, pn_barrel_op_terms *t)
{
    pn_err err;

    pn_term_writer_init(&t->pid_writer, 0);
    pn_term_writer_init(&t->ref_writer, 0);
    pn_dist_write_pid(&t->pid_writer, barrel->name, &op->pid);
    pn_dist_write_ref(&t->ref_writer, barrel->name, &op->ref);
    err = pn_term_writer_finish(&t->pid_writer, NULL, &t->pid);
    if (err == PN_OK) {
        err = pn_term_writer_finish(&t->ref_writer, NULL, &t->ref);
    }
    return err;
}

void pn_barrel_op_terms_fini(pn_barrel_op_terms *t)
{
    pn_term_writer_free(&t->pid_writer);
    pn_term_writer_free(&t->ref_writer);
}

pn_err pn_barrel_atom_term(
    pn_term_writer *w, const char *name, pn_term *ret_term)
{
    pn_term_writer_init(w, 0);
    if (name == NULL || name[0] == '\0') {
        return PN_INVALID;
    }
    pn_term_write_atom(w, name);
    return pn_term_writer_finish(w, NULL, ret_term);
}

char *pn_barrel_node_of_pid(pn_term pid)
{
    pn_slice node;

    return pn_dist_pid_node(pid, &node)
               ? strndup((const char *)node.data, node.len)
               : NULL;
}

/* ---- the list of a link ------------------------------------------------ */

static void append_to(pn_barrel_op **list, pn_barrel_op *op)
{
    while (*list != NULL) {
        list = &(*list)->next;
    }
    op->next = NULL;
    *list = op;
}

void pn_barrel_op_append(pn_barrel_link *link, pn_barrel_op *op)
{
    append_to(&link->ops, op);
    link->n_ops++;
}

void pn_barrel_op_remove(pn_barrel_link *link, pn_barrel_op *op)
{
    pn_barrel_op **at = &link->ops;

    while (*at != NULL && *at != op) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        *at = op->next;
        link->n_ops--;
    }
}

void pn_barrel_op_fini(pn_barrel_op *op)
{
    pn_buf_fini(&op->frames);
    free(op->process);
    free((uint8_t *)(uintptr_t)op->process_pid.data);
}

void pn_barrel_op_free(pn_barrel_op *op)
{
    pn_barrel_op_fini(op);
    free(op);
}

/* Monitors tell without the lock; op is gone afterwards. */
static void monitor_tell(pn_node *node, pn_barrel_op *op, pn_term reason)
{
    pn_node_unlock(node);
    op->down(op->user, op->id, reason);
    pn_node_lock(node);
    pn_barrel_op_free(op);
}

void pn_barrel_op_finish(
    pn_barrel *barrel, pn_barrel_op *op, pn_err outcome, const pn_term *value)
{
    op->outcome = outcome;
    if (value != NULL && op->wants_value) {
        pn_reply_free(op->reply);
        op->reply = pn_reply_new(*value);
        if (op->reply == NULL) {
            op->outcome = PN_NOMEM;
        }
    }
    op->is_done = true;
    if (op->done != NULL) {
        append_to(&barrel->finished, op);
        pn_node_wake(barrel->node);
    } else {
        (void)pthread_cond_signal(op->cond);
    }
}

/* With what is said about the end of the link. */
static void op_finish_why(
    pn_barrel_link *link, pn_barrel_op *op, pn_err outcome)
{
    pn_term_writer w;
    pn_term why = {0};

    if (op->why != NULL) {
        *op->why = link->why;
    }
    pn_term_writer_init(&w, 0);
    pn_term_write_string(&w, link->why.text);
    if (pn_term_writer_finish(&w, NULL, &why) != PN_OK) {
        why = (pn_term){0};
    }
    pn_barrel_op_finish(link->barrel, op, outcome, why.len == 0 ? NULL : &why);
    pn_term_writer_free(&w);
}

pn_err pn_barrel_op_send(pn_barrel_link *link, pn_barrel_op *op)
{
    size_t len = pn_buf_used(&op->frames);
    pn_err err = PN_OK;

    if (pn_buf_used(&link->out) >= link->base.node->opt.max_output_bytes) {
        return PN_BUSY;
    }
    if (len > 0) {
        err = pn_buf_append(&link->out, pn_buf_head(&op->frames), len);
        pn_buf_consume(&op->frames, len);
        link->barrel->metrics.signals_out++;
    }
    pn_link_touch(&link->base);
    return err;
}

void pn_barrel_ops_start(pn_barrel_link *link)
{
    pn_barrel_op *next;

    for (pn_barrel_op *op = link->ops; op != NULL; op = next) {
        pn_err err;

        next = op->next;
        if (op->kind != PN_BARREL_OP_CONNECT && pn_buf_used(&op->frames) == 0) {
            continue; /* it went out before, or is a monitor */
        }
        err = pn_barrel_op_send(link, op);
        if (err != PN_OK || op->kind == PN_BARREL_OP_CONNECT) {
            pn_barrel_op_remove(link, op);
            pn_barrel_op_finish(link->barrel, op, err, NULL);
        }
    }
}

void pn_barrel_ops_move(pn_barrel_link *from, pn_barrel_link *to)
{
    while (from->ops != NULL) {
        pn_barrel_op *op = from->ops;

        pn_barrel_op_remove(from, op);
        pn_barrel_op_append(to, op);
    }
    if (to->base.stage == PN_LINK_UP) {
        pn_barrel_ops_start(to);
    }
    pn_link_touch(&to->base);
}

static void tell_noconnection(pn_node *node, pn_barrel_op *op)
{
    pn_term_writer w;
    pn_term reason = {0};

    (void)!pn_barrel_atom_term(&w, "noconnection", &reason);
    monitor_tell(node, op, reason);
    pn_term_writer_free(&w);
}

void pn_barrel_ops_fail(pn_barrel_link *link, pn_err outcome)
{
    pn_barrel_op *monitors = NULL;

    while (link->ops != NULL) {
        pn_barrel_op *op = link->ops;

        pn_barrel_op_remove(link, op);
        if (op->kind == PN_BARREL_OP_MONITOR) {
            op->next = monitors;
            monitors = op;
            continue;
        }
        op_finish_why(link, op, outcome);
    }
    /* Who watches is told by the loop, whoever ended the link. */
    while (monitors != NULL) {
        pn_barrel_op *op = monitors;

        monitors = op->next;
        append_to(&link->barrel->downs, op);
        pn_node_wake(link->base.node);
    }
}

static void tell_done(pn_node *node, pn_barrel_op *op)
{
    pn_node_unlock(node);
    op->done(op->user, op->outcome, pn_reply_term(op->reply));
    pn_reply_free(op->reply);
    pn_barrel_op_free(op);
    pn_node_lock(node);
}

void pn_barrel_tell(pn_barrel *barrel)
{
    while (barrel->finished != NULL) {
        pn_barrel_op *op = barrel->finished;

        barrel->finished = op->next;
        tell_done(barrel->node, op);
    }
    while (barrel->downs != NULL) {
        pn_barrel_op *op = barrel->downs;

        barrel->downs = op->next;
        tell_noconnection(barrel->node, op);
    }
}

uint64_t pn_barrel_ops_deadline(const pn_barrel_link *link)
{
    uint64_t deadline = PN_TIME_NEVER;

    for (const pn_barrel_op *op = link->ops; op != NULL; op = op->next) {
        deadline = op->deadline_us < deadline ? op->deadline_us : deadline;
    }
    return deadline;
}

void pn_barrel_op_demonitor(pn_barrel_link *link, const pn_barrel_op *op)
{
    pn_dist_signal signal = {.op = PN_DIST_DEMONITOR_P};
    pn_term_writer w = {0};
    pn_barrel_op_terms t;
    pn_err err = pn_barrel_op_terms_init(link->barrel, op, &t);

    signal.to = op->process_pid;
    if (err == PN_OK && op->process != NULL) {
        err = pn_barrel_atom_term(&w, op->process, &signal.to);
    }
    if (err == PN_OK) {
        signal.from = t.pid;
        signal.ref = t.ref;
        pn_barrel_emit_must(link, &signal);
    }
    pn_term_writer_free(&w);
    pn_barrel_op_terms_fini(&t);
}

void pn_barrel_ops_expire(pn_barrel_link *link, uint64_t now_us)
{
    pn_barrel_op *next;

    for (pn_barrel_op *op = link->ops; op != NULL; op = next) {
        next = op->next;
        if (op->deadline_us <= now_us && op->is_down) {
            pn_barrel_op_remove(link, op);
            pn_barrel_op_finish(link->barrel, op, PN_REMOTE, NULL);
        } else if (op->deadline_us <= now_us) {
            pn_barrel_op_remove(link, op);
            if (op->kind == PN_BARREL_OP_CALL
                && link->base.stage == PN_LINK_UP) {
                pn_barrel_op_demonitor(link, op);
            }
            pn_barrel_op_finish(link->barrel, op, PN_TIMEOUT, NULL);
            if (link->base.stage == PN_LINK_ENDED) {
                return; /* by the demonitor, and next has gone with it */
            }
        }
    }
}

/* ---- answers ----------------------------------------------------------- */

static pn_barrel_op *op_of_pid(pn_barrel_link *link, pn_term pid)
{
    const pn_barrel *barrel = link->barrel;
    pn_dist_pid p;

    if (!pn_dist_pid_read(pid, barrel->name, barrel->creation, &p)) {
        return NULL;
    }
    for (pn_barrel_op *op = link->ops; op != NULL; op = op->next) {
        if (op->pid.id == p.id && op->pid.serial == p.serial) {
            return op;
        }
    }
    return NULL;
}

static bool is_ref_of(
    const pn_barrel *barrel, const pn_barrel_op *op, pn_term term)
{
    pn_dist_ref ref;

    return pn_dist_ref_read(term, barrel->name, barrel->creation, &ref)
           && !PN_CHECK(barrel_answer_ref,
               memcmp(ref.words, op->ref.words, sizeof(ref.words)) != 0);
}

void pn_barrel_on_message(pn_barrel_link *link, const pn_dist_signal *signal)
{
    pn_barrel_op *op = op_of_pid(link, signal->to);
    pn_err outcome = PN_OK;
    pn_term tag;
    pn_term value;
    pn_term reason;

    if (op == NULL
        || (op->kind != PN_BARREL_OP_RPC && op->kind != PN_BARREL_OP_CALL)
        || !pn_term_match(signal->message, "{~t, ~t}", &tag, &value)
        || !is_ref_of(link->barrel, op, tag)) {
        return;
    }
    if (op->kind == PN_BARREL_OP_RPC
        && pn_term_match(value, "{badrpc, ~t}", &reason)) {
        outcome = PN_REMOTE;
        value = reason;
    }
    if (!pn_barrel_is_within(link, value)) {
        outcome = PN_LIMIT;
        value = (pn_term){0};
    }
    pn_barrel_op_remove(link, op);
    if (op->kind == PN_BARREL_OP_CALL) {
        pn_barrel_op_demonitor(link, op);
    }
    pn_barrel_op_finish(
        link->barrel, op, outcome, value.len == 0 ? NULL : &value);
}

void pn_barrel_on_down(pn_barrel_link *link, const pn_dist_signal *signal)
{
    pn_barrel_op *op = op_of_pid(link, signal->to);
    pn_term reason = signal->reason;

    if (op == NULL || op->is_down
        || !is_ref_of(link->barrel, op, signal->ref)) {
        return;
    }
    if (!pn_barrel_is_within(link, reason)) {
        reason = (pn_term){0};
    }
    if (op->kind == PN_BARREL_OP_MONITOR) {
        pn_barrel_op_remove(link, op);
        monitor_tell(link->base.node, op, reason);
        return;
    }
    if (pn_term_is_atom(reason, "noproc")) {
        pn_barrel_op_remove(link, op);
        pn_barrel_op_finish(link->barrel, op, PN_REMOTE, &reason);
        return;
    }
    /* It may have answered on another stream (section 15.5). */
    op->is_down = true;
    op->deadline_us = pn_node_now(link->base.node) + DOWN_AFTER_US;
    if (op->wants_value && op->reply == NULL) {
        op->reply = pn_reply_new(reason);
    }
    pn_link_touch(&link->base);
}

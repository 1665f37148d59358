/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls, connects and monitors of ours on a link (link/call.h). Each has a
 * process of its own, a pid that nothing else has, so a late answer matches no
 * call.
 */
#include <stdlib.h>
#include <string.h>

#include "barrel_internal.h"
#include "base/mutant.h"
#include "term/writer_internal.h"

/* An answer may come this much later than the end of its process. */
#define DOWN_AFTER_US (100 * PN_US_PER_MS)

/* ---- processes and references of ours ---------------------------------- */

void pn_barrel_op_init(
    pn_barrel *barrel, pn_barrel_op *op, pn_barrel_op_kind kind)
{
    uint64_t ref;

    *op = (pn_barrel_op){.kind = kind};
    pn_node_lock(barrel->node);
    ref = ++barrel->last_ref;
    op->id = ref;
    op->pid = pn_barrel_new_pid(barrel);
    op->ref = (pn_dist_ref){
        .words = {(uint32_t)(ref & 0x3ffff), (uint32_t)(ref >> 18), 0},
        .creation = barrel->creation};
    pn_node_unlock(barrel->node);
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

/* NEW_PID_EXT, whose last four bytes are the creation. */
enum { NEW_PID = 88, CREATION_LEN = 4 };

pn_err pn_barrel_present_pid(
    const pn_barrel_link *link, pn_term pid, pn_term *ret_copy)
{
    pn_err err = pn_term_copy(pid, ret_copy);
    uint8_t *creation;

    if (err == PN_OK && ret_copy->data[0] == NEW_PID) {
        creation = (uint8_t *)(uintptr_t)ret_copy->data + ret_copy->len
                   - CREATION_LEN;
        if (pn_load_be32(creation) == 0) {
            pn_store_be32(creation, pn_dist_peer_creation(link->dist));
        }
    }
    return err;
}

/* ---- the list of a link ------------------------------------------------ */

static bool is_call(const pn_barrel_op *op)
{
    return op->kind == PN_BARREL_OP_RPC || op->kind == PN_BARREL_OP_CALL;
}

void pn_barrel_op_fini(pn_barrel_op *op)
{
    pn_buf_fini(&op->frames);
    free((uint8_t *)(uintptr_t)op->target.data);
    free((uint8_t *)(uintptr_t)op->end_reason.data);
}

void pn_barrel_op_free(pn_barrel_op *op)
{
    pn_reply_free(op->call.reply);
    pn_barrel_op_fini(op);
    free(op);
}

/* said, a sentence about the link, becomes the value. */
static void op_finish_why(
    pn_barrel_link *link, pn_barrel_op *op, pn_err outcome, const pn_why *said)
{
    pn_term_writer w;
    pn_term why = {0};

    op->call.reason = said->reason != PN_REASON_NONE ? said->reason
                                                     : link->base.reason;
    pn_term_writer_init(&w, 0);
    pn_term_write_string(&w, said->text);
    if (pn_term_writer_finish(&w, NULL, &why) != PN_OK) {
        why = (pn_term){0};
    }
    pn_call_finish(link->base.node, &op->call, outcome, why);
    op->call.outcome = outcome; /* without memory only the sentence is lost */
    pn_term_writer_free(&w);
}

/* Moves the frames of a call to the output. Errors: PN_BUSY the output is full;
 * PN_NOMEM. */
static pn_err op_send(pn_barrel_link *link, pn_barrel_op *op)
{
    size_t len = pn_buf_used(&op->frames);
    pn_err err = PN_OK;

    if (!op->is_flush
        && pn_buf_used(&link->out) >= link->base.node->opt.max_output_bytes) {
        return PN_BUSY;
    }
    if (len > 0) {
        err = pn_buf_append(&link->out, pn_buf_head(&op->frames), len);
        pn_buf_consume(&op->frames, len);
        link->barrel->metrics.signals_out += op->n_signals;
    }
    pn_link_touch(&link->base);
    return err;
}

/* Sends MONITOR_P or DEMONITOR_P for the target. A monitor of a node has no
 * target: the end of the link ends it. */
static pn_err op_signal(
    pn_barrel_link *link, const pn_barrel_op *op, pn_dist_op what)
{
    const char *name = link->barrel->name;
    pn_dist_room pid;
    pn_dist_room ref;
    pn_dist_signal signal = {.op = what,
        .from = pn_dist_pid_term(&pid, name, &op->pid),
        .to = op->target,
        .ref = pn_dist_ref_term(&ref, name, &op->ref)};

    if (op->target.len == 0) {
        return PN_OK;
    }
    if (what == PN_DIST_MONITOR_P) {
        return pn_barrel_emit(link, &signal);
    }
    pn_barrel_emit_must(link, &signal);
    return PN_OK;
}

void pn_barrel_op_demonitor(pn_barrel_link *link, const pn_barrel_op *op)
{
    (void)!op_signal(link, op, PN_DIST_DEMONITOR_P);
}

bool pn_barrel_ops_are_full(const pn_barrel_link *link)
{
    return link->base.calls.n + link->monitors.n >= link->barrel->opt.max_calls;
}

pn_err pn_barrel_op_begin(pn_link *base, pn_call_op *call)
{
    pn_barrel_link *link = (pn_barrel_link *)(void *)base;
    pn_barrel_op *op = pn_barrel_op_of(call);
    pn_err err = PN_OK;

    if (pn_barrel_ops_are_full(link)) {
        return PN_BUSY;
    }
    if (base->stage == PN_LINK_UP) {
        err = op_send(link, op);
    }
    if (err == PN_OK && is_call(op)) {
        link->barrel->metrics.calls_out++;
    }
    return err;
}

pn_err pn_barrel_op_monitor(pn_barrel_link *link, pn_barrel_op *op)
{
    pn_err err = pn_barrel_ops_are_full(link)
                     ? PN_BUSY
                     : op_signal(link, op, PN_DIST_MONITOR_P);

    if (err == PN_OK) {
        op->call.deadline_us = PN_TIME_NEVER;
        pn_list_append(&link->monitors, &op->call.item);
    }
    return err;
}

void pn_barrel_ops_start(pn_barrel_link *link)
{
    PN_LIST_EACH(pn_call_op, c, &link->base.calls, item) {
        pn_barrel_op *op = pn_barrel_op_of(c);
        pn_err err;

        if (op->kind != PN_BARREL_OP_CONNECT && pn_buf_used(&op->frames) == 0) {
            continue; /* it went out before */
        }
        err = op_send(link, op);
        if (err != PN_OK || op->kind == PN_BARREL_OP_CONNECT) {
            pn_list_remove(&c->item);
            pn_call_finish(link->base.node, c, err, (pn_term){0});
        }
    }
}

void pn_barrel_ops_move(pn_barrel_link *from, pn_barrel_link *to)
{
    PN_LIST_EACH(pn_call_op, call, &from->base.calls, item) {
        pn_call_keep(&to->base, call, call->deadline_us);
    }
    if (to->base.stage == PN_LINK_UP) {
        pn_barrel_ops_start(to);
    }
    pn_link_touch(&to->base);
}

void pn_barrel_ops_fail(pn_barrel_link *link, pn_err outcome)
{
    pn_dist_room room;
    pn_call_op *call;

    while ((call = PN_LIST_TAKE(&link->base.calls, pn_call_op, item)) != NULL) {
        op_finish_why(link, pn_barrel_op_of(call), outcome, &link->why);
    }
    /* The exit reason of every monitor. */
    while ((call = PN_LIST_TAKE(&link->monitors, pn_call_op, item)) != NULL) {
        pn_call_finish(link->base.node, call, PN_CLOSED,
            pn_dist_atom_term(&room, "noconnection"));
    }
}

/* A caller that waited for a link is told what the link waits for, so a wrong
 * cookie, which the other side does not answer, is named after a short time-out
 * as well. */
static void op_timed_out(pn_barrel_link *link, pn_barrel_op *op)
{
    pn_why why;

    if (link->base.stage == PN_LINK_UP || link->base.stage == PN_LINK_ENDED) {
        pn_call_finish(link->base.node, &op->call, PN_TIMEOUT, (pn_term){0});
        return;
    }
    pn_barrel_link_waits_for(link, &why);
    op_finish_why(link, op, PN_TIMEOUT, &why);
}

void pn_barrel_op_expire(pn_link *base, pn_call_op *call)
{
    pn_barrel_link *link = (pn_barrel_link *)(void *)base;
    pn_barrel_op *op = pn_barrel_op_of(call);

    if (op->is_down) {
        pn_call_finish(base->node, call, PN_REMOTE, op->end_reason);
        return;
    }
    if (base->stage == PN_LINK_UP) {
        pn_barrel_op_demonitor(link, op);
    }
    op_timed_out(link, op);
}

/* ---- answers ----------------------------------------------------------- */

static pn_barrel_op *op_in(const pn_list *list, const pn_dist_pid *pid)
{
    PN_LIST_EACH(pn_call_op, c, list, item) {
        pn_barrel_op *op = pn_barrel_op_of(c);

        if (op->pid.id == pid->id && op->pid.serial == pid->serial) {
            return op;
        }
    }
    return NULL;
}

static pn_barrel_op *op_of_pid(pn_barrel_link *link, pn_term pid)
{
    const pn_barrel *barrel = link->barrel;
    pn_barrel_op *op = NULL;
    pn_dist_pid p;

    if (pn_dist_pid_read(pid, barrel->name, barrel->creation, &p)) {
        op = op_in(&link->base.calls, &p);
        op = op != NULL ? op : op_in(&link->monitors, &p);
    }
    return op;
}

static bool is_ref_of(
    const pn_barrel *barrel, const pn_barrel_op *op, pn_term term)
{
    pn_dist_ref ref;

    return pn_dist_ref_read(term, barrel->name, barrel->creation, &ref)
           && !PN_REFUSE_IF(barrel_answer_ref,
               memcmp(ref.words, op->ref.words, sizeof(ref.words)) != 0);
}

/* value: the answer, or empty with an error. */
static void op_answered(
    pn_barrel_link *link, pn_barrel_op *op, pn_err outcome, pn_term value)
{
    pn_list_remove(&op->call.item);
    pn_barrel_op_demonitor(link, op);
    pn_call_finish(link->base.node, &op->call, outcome, value);
}

void pn_barrel_on_message(pn_barrel_link *link, const pn_dist_signal *signal)
{
    pn_barrel_op *op = op_of_pid(link, signal->to);
    pn_err outcome = PN_OK;
    pn_term tag;
    pn_term value;
    pn_term reason;

    if (op == NULL || !is_call(op)
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
    op_answered(link, op, outcome, value);
}

void pn_barrel_on_drained(pn_barrel_link *link, pn_term process)
{
    pn_barrel_op *op = op_of_pid(link, process);

    if (op != NULL && is_call(op)) {
        op_answered(link, op, PN_TOO_LARGE, (pn_term){0});
    }
}

void pn_barrel_on_down(pn_barrel_link *link, const pn_dist_signal *signal)
{
    pn_barrel_op *op = op_of_pid(link, signal->to);
    pn_node *node = link->base.node;
    pn_term reason = signal->reason;

    if (op == NULL || op->is_down
        || !is_ref_of(link->barrel, op, signal->ref)) {
        return;
    }
    if (!pn_barrel_is_within(link, reason)) {
        reason = (pn_term){0};
    }
    if (op->kind == PN_BARREL_OP_MONITOR) {
        pn_list_remove(&op->call.item);
        pn_call_finish(node, &op->call, PN_OK, reason);
        return;
    }
    if (pn_term_is_atom(reason, "noproc")) {
        pn_list_remove(&op->call.item);
        pn_call_finish(node, &op->call, PN_REMOTE, reason);
        return;
    }
    /* It may have answered on another stream (docs/BARREL-PROTOCOL.md, section
     * 15.5). */
    op->is_down = true;
    pn_call_keep(&link->base, &op->call, pn_node_now(node) + DOWN_AFTER_US);
    (void)!pn_term_copy(reason, &op->end_reason);
    pn_link_touch(&link->base);
}

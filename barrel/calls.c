/* SPDX-License-Identifier: Apache-2.0 */
/* Calls and messages to the cluster: rpc:call, gen_server:call, send. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "barrel_internal.h"
#include "term/writer_internal.h"

enum { CALL_TIMEOUT_MS = 5000 };

/* ---- frames ------------------------------------------------------------ */

static pn_err write_apply(pn_term_writer *w, const char *module,
    const char *function, pn_term args, pn_term *ret)
{
    bool is_erlang = module != NULL && module[0] == ':';
    char *atom = NULL;

    if (module == NULL || function == NULL || function[0] == '\0'
        || (is_erlang ? module[1] == '\0' : module[0] < 'A' || module[0] > 'Z')
        || pn_term_type_of(args) != PN_TERM_LIST) {
        return PN_INVALID;
    }
    if (asprintf(&atom, "%s%s",
            is_erlang || strncmp(module, "Elixir.", 7) == 0 ? "" : "Elixir.",
            is_erlang ? module + 1 : module)
        < 0) {
        return PN_NOMEM;
    }
    pn_term_write_tuple_begin(w);
    pn_term_write_atom(w, "call");
    pn_term_write_atom(w, atom);
    pn_term_write_atom(w, function);
    pn_term_write_opaque(w, args);
    pn_term_write_atom(w, "user");
    pn_term_write_tuple_end(w);
    free(atom);
    return pn_term_writer_finish(w, NULL, ret);
}

static pn_err op_frame(
    const pn_barrel *barrel, pn_barrel_op *op, const pn_dist_signal *signal)
{
    pn_err err = pn_dist_signal_write(
        &op->frames, signal, barrel->opt.max_message_bytes);

    op->n_signals += err == PN_OK ? 1 : 0;
    return err;
}

/* The REG_SEND of {'$gen_call', {Pid, Ref}, Request} to process; a monitor of
 * it precedes a gen_server call. request is one complete term. */
static pn_err op_frame_call(const pn_barrel *barrel, pn_barrel_op *op,
    const char *process, pn_term request)
{
    bool has_monitor = op->kind == PN_BARREL_OP_CALL;
    pn_dist_room pid;
    pn_dist_room ref;
    pn_dist_signal signal = {.op = PN_DIST_MONITOR_P,
        .from = pn_dist_pid_term(&pid, barrel->name, &op->pid),
        .ref = pn_dist_ref_term(&ref, barrel->name, &op->ref)};
    pn_term_writer message;
    pn_term_writer name;
    pn_err err = pn_barrel_atom_term(&name, process, &signal.to);

    if (err == PN_OK && has_monitor) {
        err = pn_term_copy(signal.to, &op->target);
    }
    if (err == PN_OK && has_monitor) {
        err = op_frame(barrel, op, &signal);
    }
    pn_term_writer_init(&message, barrel->opt.max_message_bytes);
    pn_term_write_tuple_begin(&message);
    pn_term_write_atom(&message, "$gen_call");
    pn_term_write_tuple_begin(&message);
    pn_term_write_opaque(&message, signal.from);
    pn_term_write_opaque(&message, signal.ref);
    pn_term_write_tuple_end(&message);
    pn_term_write_opaque(&message, request);
    pn_term_write_tuple_end(&message);
    if (err == PN_OK) {
        err = pn_term_writer_finish(&message, NULL, &signal.message);
    }
    if (err == PN_OK) {
        signal.op = PN_DIST_REG_SEND;
        err = op_frame(barrel, op, &signal);
    }
    pn_term_writer_free(&message);
    pn_term_writer_free(&name);
    return err;
}

static pn_err op_frame_rpc(const pn_barrel *barrel, pn_barrel_op *op,
    const char *module, const char *function, pn_term args)
{
    pn_term_writer w;
    pn_term request;
    pn_err err;

    pn_term_writer_init(&w, barrel->opt.max_message_bytes);
    err = write_apply(&w, module, function, args, &request);
    if (err == PN_OK) {
        err = op_frame_call(barrel, op, "rex", request);
    }
    pn_term_writer_free(&w);
    return err;
}

/* ---- calls ------------------------------------------------------------- */

/* A call as its caller gave it. */
typedef struct call_parts {
    pn_barrel *barrel;
    const char *name;
    uint32_t timeout_ms;
    pn_barrel_op_kind kind;
    bool is_flush;
    const char *process; /* of a CALL */
    const char *module;  /* of an RPC */
    const char *function;
    pn_term term;
    const char *why;  /* why it could not begin, or NULL */
    pn_reason reason; /* why the link ended */
} call_parts;

static pn_err op_init(pn_barrel_op *op, const call_parts *c)
{
    pn_barrel_op_init(c->barrel, op, c->kind);
    op->is_flush = c->is_flush;
    switch (c->kind) {
    case PN_BARREL_OP_RPC:
        return op_frame_rpc(c->barrel, op, c->module, c->function, c->term);
    case PN_BARREL_OP_CALL:
        return op_frame_call(c->barrel, op, c->process, c->term);
    case PN_BARREL_OP_CONNECT:
    case PN_BARREL_OP_MONITOR:
        break;
    }
    return PN_OK;
}

/* Gives a call, whose frames are made, to the link to name. Lock held. */
static pn_err start(pn_call_op *call, void *arg)
{
    call_parts *c = arg;
    pn_node *node = c->barrel->node;
    uint32_t timeout_ms = c->timeout_ms == 0 ? CALL_TIMEOUT_MS : c->timeout_ms;
    pn_barrel_link *link = NULL;
    pn_err err = PN_OK;

    if (pn_barrel_op_of(call)->is_flush) { /* of that link, not of the next */
        link = pn_barrel_find_up(c->barrel, c->name);
        err = link == NULL ? PN_NOT_CONNECTED : PN_OK;
    } else {
        err = pn_barrel_find_or_dial(c->barrel, c->name, &link, &c->why);
    }
    if (err != PN_OK) {
        return err;
    }
    err = pn_call_begin(&link->base, call,
        pn_node_now(node) + (uint64_t)timeout_ms * PN_US_PER_MS);
    if (err == PN_BUSY && pn_barrel_ops_are_full(link)) {
        c->why = "there are too many calls in flight";
    }
    if (err == PN_OK && link->base.stage == PN_LINK_UP
        && pn_barrel_op_of(call)->kind == PN_BARREL_OP_CONNECT) {
        pn_list_remove(&call->item);
        pn_call_finish(node, call, PN_OK, (pn_term){0});
    }
    return err;
}

static void tell_done(pn_call_op *call, pn_term value)
{
    call->done(call->user, call->outcome, value);
    pn_barrel_op_free(pn_barrel_op_of(call));
}

/* Any answer says that what was sent before has arrived. */
static void tell_flushed(pn_call_op *call, pn_term value)
{
    if (call->outcome == PN_REMOTE) {
        call->outcome = PN_OK;
    }
    tell_done(call, call->outcome == PN_OK ? (pn_term){0} : value);
}

static pn_err call_waiting(call_parts *c, pn_reply **ret_reply)
{
    pn_node *node = c->barrel->node;
    pn_barrel_op op;
    pn_err err = pn_node_enter(node);

    if (ret_reply != NULL) {
        *ret_reply = NULL;
    }
    if (err != PN_OK) {
        return err;
    }
    err = op_init(&op, c);
    if (err == PN_OK) {
        op.call.wants_value = ret_reply != NULL;
        pn_node_lock(node);
        err = pn_call_run(node, &op.call, start, c);
        pn_node_unlock(node);
    }
    if (ret_reply != NULL) {
        *ret_reply = op.call.reply;
    }
    c->reason = op.call.reason;
    pn_barrel_op_fini(&op);
    pn_node_leave(node);
    return err;
}

static pn_err call_async(call_parts *c, pn_call_done *done, void *user)
{
    pn_node *node = c->barrel->node;
    pn_barrel_op *op = done == NULL ? NULL : calloc(1, sizeof(*op));
    pn_err err;

    if (op == NULL) {
        return done == NULL ? PN_INVALID : PN_NOMEM;
    }
    err = op_init(op, c);
    if (err == PN_OK) {
        op->call.tell = op->is_flush ? tell_flushed : tell_done;
        op->call.done = done;
        op->call.user = user;
        op->call.wants_value = true;
        pn_node_lock(node);
        err = start(&op->call, c);
        pn_node_unlock(node);
    }
    if (err != PN_OK) {
        pn_barrel_op_free(op);
    }
    return err;
}

/* Writes the sentence of the link if there is one, else ours, else the error's.
 */
static void say_why(pn_err err, const call_parts *c, const pn_reply *said_there,
    pn_why *ret_why)
{
    pn_slice said;

    if (pn_term_match(pn_reply_term(said_there), "~b", &said)) {
        pn_why_set(
            ret_why, c->reason, "%.*s", (int)said.len, (const char *)said.data);
    } else if (err != PN_OK) {
        (void)pn_why_fail(ret_why, err, "%s",
            err == PN_STATE  ? "not from the loop"
            : c->why == NULL ? pn_strerror(err)
                             : c->why);
    }
}

pn_err pn_barrel_connect(
    pn_barrel *barrel, const char *name, uint32_t timeout_ms, pn_why *ret_why)
{
    call_parts c = {barrel, name, timeout_ms, .kind = PN_BARREL_OP_CONNECT};
    pn_reply *said = NULL;
    pn_err err = call_waiting(&c, &said);

    pn_why_clear(ret_why);
    say_why(err, &c, said, ret_why);
    pn_reply_free(said);
    return err;
}

pn_err pn_barrel_connect_async(pn_barrel *barrel, const char *name,
    uint32_t timeout_ms, pn_call_done *done, void *user)
{
    call_parts c = {barrel, name, timeout_ms, .kind = PN_BARREL_OP_CONNECT};

    return call_async(&c, done, user);
}

pn_err pn_barrel_disconnect(pn_barrel *barrel, const char *name)
{
    pn_barrel_link *link;
    pn_err err = PN_NOT_CONNECTED;

    pn_node_lock(barrel->node);
    link = pn_barrel_find_up(barrel, name);
    if (link != NULL) {
        pn_barrel_link_end(link, PN_REASON_LOCAL_CLOSE,
            "%s was disconnected here; connect again", name);
        err = PN_OK;
    }
    pn_node_unlock(barrel->node);
    return err;
}

pn_err pn_rpc(pn_barrel *barrel, const char *name, const char *module,
    const char *function, pn_term args, uint32_t timeout_ms,
    pn_reply **ret_reply)
{
    call_parts c = {barrel, name, timeout_ms, .kind = PN_BARREL_OP_RPC,
        .module = module, .function = function, .term = args};

    return call_waiting(&c, ret_reply);
}

pn_err pn_rpc_async(pn_barrel *barrel, const char *name, const char *module,
    const char *function, pn_term args, uint32_t timeout_ms, pn_call_done *done,
    void *user)
{
    call_parts c = {barrel, name, timeout_ms, .kind = PN_BARREL_OP_RPC,
        .module = module, .function = function, .term = args};

    return call_async(&c, done, user);
}

pn_err pn_gen_call_async(pn_barrel *barrel, const char *name,
    const char *process, pn_term request, uint32_t timeout_ms,
    pn_call_done *done, void *user)
{
    call_parts c = {barrel, name, timeout_ms, .kind = PN_BARREL_OP_CALL,
        .process = process, .term = request};

    return call_async(&c, done, user);
}

pn_err pn_gen_call(pn_barrel *barrel, const char *name, const char *process,
    pn_term request, uint32_t timeout_ms, pn_reply **ret_reply)
{
    call_parts c = {barrel, name, timeout_ms, .kind = PN_BARREL_OP_CALL,
        .process = process, .term = request};

    return call_waiting(&c, ret_reply);
}

/* ---- messages ---------------------------------------------------------- */

pn_err pn_barrel_send(
    pn_barrel *barrel, const char *name, const char *process, pn_term message)
{
    pn_dist_signal signal = {.op = PN_DIST_REG_SEND, .message = message};
    pn_dist_room from;
    pn_dist_pid pid;
    pn_term_writer to;
    pn_barrel_link *link;
    pn_err err = pn_barrel_atom_term(&to, process, &signal.to);

    pn_node_lock(barrel->node);
    link = pn_barrel_find_up(barrel, name);
    if (err == PN_OK && link == NULL) {
        err = PN_NOT_CONNECTED;
    } else if (err == PN_OK) {
        pid = pn_barrel_new_pid(barrel);
        signal.from = pn_dist_pid_term(&from, barrel->name, &pid);
        err = pn_barrel_emit(link, &signal);
    }
    pn_node_unlock(barrel->node);
    pn_term_writer_free(&to);
    return err;
}

/* {is_auth, Node} to net_kernel is what net_adm:ping asks. */
pn_err pn_barrel_flush_async(pn_barrel *barrel, const char *name,
    uint32_t timeout_ms, pn_call_done *done, void *user)
{
    call_parts c = {barrel, name, timeout_ms, .kind = PN_BARREL_OP_CALL,
        .is_flush = true, .process = "net_kernel"};
    pn_term_writer w;
    pn_err err;

    pn_term_writer_init(&w, 0);
    pn_term_write_format(&w, "{is_auth, ~a}", barrel->name);
    err = pn_term_writer_finish(&w, NULL, &c.term);
    if (err == PN_OK) {
        err = call_async(&c, done, user);
    }
    pn_term_writer_free(&w);
    return err;
}

/* Lock held. */
static pn_err send_present(
    pn_barrel *barrel, const char *name, pn_term pid, pn_term message)
{
    pn_dist_signal signal = {.op = PN_DIST_SEND, .message = message};
    pn_barrel_link *link = pn_barrel_find_up(barrel, name);
    pn_err err;

    if (link == NULL) {
        return PN_NOT_CONNECTED;
    }
    err = pn_barrel_present_pid(link, pid, &signal.to);
    if (err == PN_OK) {
        err = pn_barrel_emit(link, &signal);
        free((void *)(uintptr_t)signal.to.data);
    }
    return err;
}

pn_err pn_barrel_send_pid(pn_barrel *barrel, pn_term pid, pn_term message)
{
    char *name = pn_barrel_node_of_pid(pid);
    pn_err err;

    if (name == NULL) {
        return PN_INVALID;
    }
    pn_node_lock(barrel->node);
    err = send_present(barrel, name, pid, message);
    pn_node_unlock(barrel->node);
    free(name);
    return err;
}

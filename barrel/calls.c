/* SPDX-License-Identifier: Apache-2.0 */
/* What we ask of the cluster: rpc:call, gen_server:call, messages. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "barrel_internal.h"
#include "term/writer_internal.h"

enum { CALL_TIMEOUT_MS = 5000 };

/* ---- waiting ----------------------------------------------------------- */

static uint64_t deadline_of(pn_node *node, uint32_t timeout_ms)
{
    if (timeout_ms == 0) {
        timeout_ms = CALL_TIMEOUT_MS;
    }
    return pn_node_now(node) + (uint64_t)timeout_ms * PN_US_PER_MS;
}

/* Gives op, whose frames are made, to the link to name. Lock held. */
static pn_err op_begin(pn_barrel *barrel, const char *name, uint32_t timeout_ms,
    pn_barrel_op *op, const char **ret_why)
{
    pn_barrel_link *link;
    pn_err err = pn_barrel_find_or_dial(barrel, name, &link, ret_why);

    if (err == PN_OK && link->n_ops >= barrel->opt.max_calls) {
        *ret_why = "there are too many calls in flight";
        err = PN_BUSY;
    }
    if (err == PN_OK && link->base.stage == PN_LINK_UP) {
        err = pn_barrel_op_send(link, op);
    }
    if (err != PN_OK) {
        return err;
    }
    barrel->metrics.calls_out += op->kind != PN_BARREL_OP_CONNECT;
    if (op->kind == PN_BARREL_OP_CONNECT && link->base.stage == PN_LINK_UP) {
        pn_barrel_op_finish(barrel, op, PN_OK, NULL);
        return PN_OK;
    }
    op->deadline_us = deadline_of(barrel->node, timeout_ms);
    pn_barrel_op_append(link, op);
    pn_link_touch(&link->base); /* its timer has a new deadline */
    return PN_OK;
}

/* Takes the lock and gives it back: the node may close meanwhile, and is there
 * for as long as we wait. */
static pn_err run_and_wait(pn_barrel *barrel, const char *name,
    uint32_t timeout_ms, pn_barrel_op *op, const char **ret_why)
{
    pn_node *node = barrel->node;
    pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
    pn_err err;

    pn_node_lock(node);
    pn_node_ref(node);
    if (pn_node_is_loop_thread(node)) {
        *ret_why = "not from the loop";
        err = PN_STATE;
    } else {
        op->cond = &cond;
        err = op_begin(barrel, name, timeout_ms, op, ret_why);
        while (err == PN_OK && !op->is_done) {
            (void)pthread_cond_wait(&cond, &node->lock);
        }
        err = err == PN_OK ? op->outcome : err;
    }
    pn_node_unref_unlock(node);
    (void)pthread_cond_destroy(&cond);
    return err;
}

pn_err pn_barrel_connect(pn_barrel *barrel, const char *name,
    uint32_t timeout_ms, char ret_why[PN_BARREL_SENTENCE_MAX])
{
    pn_barrel_why why = {{0}};
    const char *local = NULL;
    pn_barrel_op op;
    pn_err err;

    pn_barrel_op_init(barrel, &op, PN_BARREL_OP_CONNECT);
    op.why = &why;
    err = run_and_wait(barrel, name, timeout_ms, &op, &local);
    if (why.text[0] != '\0') {
        local = why.text;
    }
    if (ret_why != NULL) {
        (void)snprintf(ret_why, PN_BARREL_SENTENCE_MAX, "%s",
            err == PN_OK    ? ""
            : local != NULL ? local
                            : pn_strerror(err));
    }
    return err;
}

/* Starts a call whose frames are made, and frees it if it cannot. Lock held.
 */
static pn_err async_begin(pn_barrel *barrel, const char *name,
    uint32_t timeout_ms, pn_barrel_op *op, pn_call_done *done, void *user)
{
    const char *why = NULL;
    pn_err err;

    op->done = done;
    op->user = user;
    op->wants_value = true;
    err = op_begin(barrel, name, timeout_ms, op, &why);
    if (err != PN_OK) {
        pn_barrel_op_free(op);
    }
    return err;
}

pn_err pn_barrel_connect_async(pn_barrel *barrel, const char *name,
    uint32_t timeout_ms, pn_call_done *done, void *user)
{
    pn_barrel_op *op = done == NULL ? NULL : calloc(1, sizeof(*op));
    pn_err err;

    if (op == NULL) {
        return done == NULL ? PN_INVALID : PN_NOMEM;
    }
    pn_barrel_op_init(barrel, op, PN_BARREL_OP_CONNECT);
    pn_node_lock(barrel->node);
    err = async_begin(barrel, name, timeout_ms, op, done, user);
    pn_node_unlock(barrel->node);
    return err;
}

pn_err pn_barrel_disconnect(pn_barrel *barrel, const char *name)
{
    pn_barrel_link *link;
    pn_err err = PN_NOT_CONNECTED;

    pn_node_lock(barrel->node);
    link = pn_barrel_find_up(barrel, name);
    if (link != NULL) {
        pn_barrel_link_end(link, PN_REASON_LOCAL_CLOSE, "disconnected");
        err = PN_OK;
    }
    pn_node_unlock(barrel->node);
    return err;
}

static pn_err call_and_wait(pn_barrel *barrel, const char *name,
    uint32_t timeout_ms, pn_barrel_op *op, pn_reply **ret_reply)
{
    const char *why = NULL;
    pn_err err;

    op->wants_value = ret_reply != NULL;
    err = run_and_wait(barrel, name, timeout_ms, op, &why);
    if (ret_reply != NULL) {
        *ret_reply = op->reply;
    }
    return err;
}

/* ---- rpc --------------------------------------------------------------- */

/* {'$gen_call', {Pid, Ref}, Request}: request is one complete term. */
static pn_err write_gen_call(pn_term_writer *w, const pn_barrel_op_terms *t,
    pn_term request, pn_term *ret)
{
    pn_term_write_tuple_begin(w);
    pn_term_write_atom(w, "$gen_call");
    pn_term_write_tuple_begin(w);
    pn_term_write_opaque(w, t->pid);
    pn_term_write_opaque(w, t->ref);
    pn_term_write_tuple_end(w);
    pn_term_write_opaque(w, request);
    pn_term_write_tuple_end(w);
    return pn_term_writer_finish(w, NULL, ret);
}

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

/* The REG_SEND of a $gen_call to process, preceded by a monitor if asked. */
static pn_err op_frame_call(const pn_barrel *barrel, pn_barrel_op *op,
    const char *process, pn_term request, bool with_monitor)
{
    pn_dist_signal signal = {.op = PN_DIST_MONITOR_P};
    size_t max = barrel->opt.max_message_bytes;
    pn_term_writer message;
    pn_term_writer name = {0};
    pn_barrel_op_terms t;
    pn_err err = pn_barrel_op_terms_init(barrel, op, &t);

    pn_term_writer_init(&message, max);
    if (err == PN_OK) {
        err = pn_barrel_atom_term(&name, process, &signal.to);
    }
    signal.from = t.pid;
    signal.ref = t.ref;
    if (err == PN_OK && with_monitor) {
        op->process = strdup(process); /* to take the monitor back */
        err = op->process == NULL
                  ? PN_NOMEM
                  : pn_dist_signal_write(&op->frames, &signal, max);
    }
    if (err == PN_OK) {
        err = write_gen_call(&message, &t, request, &signal.message);
    }
    if (err == PN_OK) {
        signal.op = PN_DIST_REG_SEND;
        err = pn_dist_signal_write(&op->frames, &signal, max);
    }
    pn_term_writer_free(&message);
    pn_term_writer_free(&name);
    pn_barrel_op_terms_fini(&t);
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
        err = op_frame_call(barrel, op, "rex", request, false);
    }
    pn_term_writer_free(&w);
    return err;
}

pn_err pn_rpc(pn_barrel *barrel, const char *name, const char *module,
    const char *function, pn_term args, uint32_t timeout_ms,
    pn_reply **ret_reply)
{
    pn_barrel_op op;
    pn_err err;

    if (ret_reply != NULL) {
        *ret_reply = NULL;
    }
    pn_barrel_op_init(barrel, &op, PN_BARREL_OP_RPC);
    err = op_frame_rpc(barrel, &op, module, function, args);
    if (err == PN_OK) {
        err = call_and_wait(barrel, name, timeout_ms, &op, ret_reply);
    }
    pn_barrel_op_fini(&op);
    return err;
}

/* What an asynchronous call is made of. process NULL: an rpc. */
typedef struct async_call {
    const char *process;
    const char *module;
    const char *function;
    pn_term term;
    uint32_t timeout_ms;
} async_call;

static pn_err call_async(pn_barrel *barrel, const char *name,
    const async_call *c, pn_call_done *done, void *user)
{
    pn_barrel_op *op = done == NULL ? NULL : calloc(1, sizeof(*op));
    pn_err err;

    if (op == NULL) {
        return done == NULL ? PN_INVALID : PN_NOMEM;
    }
    pn_barrel_op_init(
        barrel, op, c->process == NULL ? PN_BARREL_OP_RPC : PN_BARREL_OP_CALL);
    err = c->process == NULL
              ? op_frame_rpc(barrel, op, c->module, c->function, c->term)
              : op_frame_call(barrel, op, c->process, c->term, true);
    if (err != PN_OK) {
        pn_barrel_op_free(op);
        return err;
    }
    pn_node_lock(barrel->node);
    err = async_begin(barrel, name, c->timeout_ms, op, done, user);
    pn_node_unlock(barrel->node);
    return err;
}

pn_err pn_rpc_async(pn_barrel *barrel, const char *name, const char *module,
    const char *function, pn_term args, uint32_t timeout_ms, pn_call_done *done,
    void *user)
{
    async_call c = {.module = module,
        .function = function,
        .term = args,
        .timeout_ms = timeout_ms};

    return call_async(barrel, name, &c, done, user);
}

pn_err pn_gen_call_async(pn_barrel *barrel, const char *name,
    const char *process, pn_term request, uint32_t timeout_ms,
    pn_call_done *done, void *user)
{
    async_call c = {
        .process = process, .term = request, .timeout_ms = timeout_ms};

    return process == NULL ? PN_INVALID
                           : call_async(barrel, name, &c, done, user);
}

pn_err pn_gen_call(pn_barrel *barrel, const char *name, const char *process,
    pn_term request, uint32_t timeout_ms, pn_reply **ret_reply)
{
    pn_barrel_op op;
    pn_err err;

    if (ret_reply != NULL) {
        *ret_reply = NULL;
    }
    pn_barrel_op_init(barrel, &op, PN_BARREL_OP_CALL);
    err = op_frame_call(barrel, &op, process, request, true);
    if (err == PN_OK) {
        err = call_and_wait(barrel, name, timeout_ms, &op, ret_reply);
    }
    pn_barrel_op_fini(&op);
    return err;
}

/* ---- messages ---------------------------------------------------------- */

static pn_err send_signal(
    pn_barrel *barrel, const char *name, const pn_dist_signal *signal)
{
    pn_barrel_link *link = pn_barrel_find_up(barrel, name);

    return link == NULL ? PN_NOT_CONNECTED : pn_barrel_emit(link, signal);
}

pn_err pn_barrel_send(
    pn_barrel *barrel, const char *name, const char *process, pn_term message)
{
    pn_dist_signal signal = {.op = PN_DIST_REG_SEND, .message = message};
    pn_barrel_op op;
    pn_term_writer to = {0};
    pn_barrel_op_terms t;
    pn_err err;

    pn_barrel_op_init(barrel, &op, PN_BARREL_OP_CONNECT);
    err = pn_barrel_op_terms_init(barrel, &op, &t);
    if (err == PN_OK) {
        err = pn_barrel_atom_term(&to, process, &signal.to);
    }
    pn_node_lock(barrel->node);
    if (err == PN_OK) {
        signal.from = t.pid;
        err = send_signal(barrel, name, &signal);
    }
    pn_node_unlock(barrel->node);
    pn_term_writer_free(&to);
    pn_barrel_op_terms_fini(&t);
    return err;
}

pn_err pn_barrel_send_pid(pn_barrel *barrel, pn_term pid, pn_term message)
{
    pn_dist_signal signal = {.op = PN_DIST_SEND, .to = pid, .message = message};
    char *name = pn_barrel_node_of_pid(pid);
    pn_err err;

    if (name == NULL) {
        return PN_INVALID;
    }
    pn_node_lock(barrel->node);
    err = send_signal(barrel, name, &signal);
    pn_node_unlock(barrel->node);
    free(name);
    return err;
}

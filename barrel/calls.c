/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What we ask of the cluster: rpc:call, gen_server:call, messages, monitors.
 * Each call has a process of its own, that is a pid nothing else has: an
 * answer that comes late finds nobody.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "barrel_internal.h"
#include "base/mutant.h"
#include "os/clock.h"
#include "term/writer_internal.h"

enum { CALL_TIMEOUT_MS = 5000 };

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

/* Takes the lock for a moment. */
static void op_init(pn_barrel *barrel, pn_barrel_op *op, pn_barrel_op_kind kind)
{
    *op = (pn_barrel_op){.kind = kind, .deadline_us = PN_TIME_NEVER};
    pn_node_lock(barrel->node);
    op_identify(barrel, op);
    pn_node_unlock(barrel->node);
}

/* The terms that name an operation, in one writer each. */
typedef struct op_terms {
    pn_term_writer pid_writer;
    pn_term_writer ref_writer;
    pn_term pid;
    pn_term ref;
} op_terms;

static pn_err op_terms_make(
    const pn_barrel *barrel, const pn_barrel_op *op, op_terms *t)
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

static void op_terms_free(op_terms *t)
{
    pn_term_writer_free(&t->pid_writer);
    pn_term_writer_free(&t->ref_writer);
}

static pn_err atom_term(pn_term_writer *w, const char *name, pn_term *ret)
{
    pn_term_writer_init(w, 0);
    if (name == NULL || name[0] == '\0') {
        return PN_INVALID;
    }
    pn_term_write_atom(w, name);
    return pn_term_writer_finish(w, NULL, ret);
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

static void op_append(pn_barrel_link *link, pn_barrel_op *op)
{
    append_to(&link->ops, op);
    link->n_ops++;
}

static void op_remove(pn_barrel_link *link, pn_barrel_op *op)
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

static void op_fini(pn_barrel_op *op)
{
    pn_buf_fini(&op->frames);
    free(op->process);
    free((uint8_t *)(uintptr_t)op->process_pid.data);
}

static void op_free(pn_barrel_op *op)
{
    op_fini(op);
    free(op);
}

/* Monitors tell without the lock; op is gone afterwards. */
static void monitor_tell(pn_node *node, pn_barrel_op *op, pn_term reason)
{
    pn_node_unlock(node);
    op->down(op->user, op->id, reason);
    pn_node_lock(node);
    op_free(op);
}

static void op_finish(
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
    op_finish(link->barrel, op, outcome, why.len == 0 ? NULL : &why);
    pn_term_writer_free(&w);
}

/* What a call has to send goes out, or waits with it for the link. */
static pn_err op_send(pn_barrel_link *link, pn_barrel_op *op)
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
        err = op_send(link, op);
        if (err != PN_OK || op->kind == PN_BARREL_OP_CONNECT) {
            op_remove(link, op);
            op_finish(link->barrel, op, err, NULL);
        }
    }
}

void pn_barrel_ops_move(pn_barrel_link *from, pn_barrel_link *to)
{
    while (from->ops != NULL) {
        pn_barrel_op *op = from->ops;

        op_remove(from, op);
        op_append(to, op);
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

    (void)!atom_term(&w, "noconnection", &reason);
    monitor_tell(node, op, reason);
    pn_term_writer_free(&w);
}

void pn_barrel_ops_fail(pn_barrel_link *link, pn_err outcome)
{
    pn_barrel_op *monitors = NULL;

    while (link->ops != NULL) {
        pn_barrel_op *op = link->ops;

        op_remove(link, op);
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
    op_free(op);
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

/* The monitor of a gen_server call is taken back with its answer. */
static void demonitor(pn_barrel_link *link, const pn_barrel_op *op)
{
    pn_dist_signal signal = {.op = PN_DIST_DEMONITOR_P};
    pn_term_writer w = {0};
    op_terms t;
    pn_err err = op_terms_make(link->barrel, op, &t);

    signal.to = op->process_pid;
    if (err == PN_OK && op->process != NULL) {
        err = atom_term(&w, op->process, &signal.to);
    }
    if (err == PN_OK) {
        signal.from = t.pid;
        signal.ref = t.ref;
        pn_barrel_emit_must(link, &signal);
    }
    pn_term_writer_free(&w);
    op_terms_free(&t);
}

void pn_barrel_ops_expire(pn_barrel_link *link, uint64_t now_us)
{
    pn_barrel_op *next;

    for (pn_barrel_op *op = link->ops; op != NULL; op = next) {
        next = op->next;
        if (op->deadline_us <= now_us && op->is_down) {
            op_remove(link, op);
            op_finish(link->barrel, op, PN_REMOTE, NULL);
        } else if (op->deadline_us <= now_us) {
            op_remove(link, op);
            if (op->kind == PN_BARREL_OP_CALL
                && link->base.stage == PN_LINK_UP) {
                demonitor(link, op);
            }
            op_finish(link->barrel, op, PN_TIMEOUT, NULL);
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
    op_remove(link, op);
    if (op->kind == PN_BARREL_OP_CALL) {
        demonitor(link, op);
    }
    op_finish(link->barrel, op, outcome, value.len == 0 ? NULL : &value);
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
        op_remove(link, op);
        monitor_tell(link->base.node, op, reason);
        return;
    }
    if (pn_term_is_atom(reason, "noproc")) {
        op_remove(link, op);
        op_finish(link->barrel, op, PN_REMOTE, &reason);
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
        err = op_send(link, op);
    }
    if (err != PN_OK) {
        return err;
    }
    barrel->metrics.calls_out += op->kind != PN_BARREL_OP_CONNECT;
    if (op->kind == PN_BARREL_OP_CONNECT && link->base.stage == PN_LINK_UP) {
        op_finish(barrel, op, PN_OK, NULL);
        return PN_OK;
    }
    op->deadline_us = deadline_of(barrel->node, timeout_ms);
    op_append(link, op);
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

    op_init(barrel, &op, PN_BARREL_OP_CONNECT);
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
        op_free(op);
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
    op_init(barrel, op, PN_BARREL_OP_CONNECT);
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
static pn_err write_gen_call(
    pn_term_writer *w, const op_terms *t, pn_term request, pn_term *ret)
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
    op_terms t;
    pn_err err = op_terms_make(barrel, op, &t);

    pn_term_writer_init(&message, max);
    if (err == PN_OK) {
        err = atom_term(&name, process, &signal.to);
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
    op_terms_free(&t);
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
    op_init(barrel, &op, PN_BARREL_OP_RPC);
    err = op_frame_rpc(barrel, &op, module, function, args);
    if (err == PN_OK) {
        err = call_and_wait(barrel, name, timeout_ms, &op, ret_reply);
    }
    op_fini(&op);
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
    op_init(
        barrel, op, c->process == NULL ? PN_BARREL_OP_RPC : PN_BARREL_OP_CALL);
    err = c->process == NULL
              ? op_frame_rpc(barrel, op, c->module, c->function, c->term)
              : op_frame_call(barrel, op, c->process, c->term, true);
    if (err != PN_OK) {
        op_free(op);
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
    op_init(barrel, &op, PN_BARREL_OP_CALL);
    err = op_frame_call(barrel, &op, process, request, true);
    if (err == PN_OK) {
        err = call_and_wait(barrel, name, timeout_ms, &op, ret_reply);
    }
    op_fini(&op);
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
    op_terms t;
    pn_err err;

    op_init(barrel, &op, PN_BARREL_OP_CONNECT);
    err = op_terms_make(barrel, &op, &t);
    if (err == PN_OK) {
        err = atom_term(&to, process, &signal.to);
    }
    pn_node_lock(barrel->node);
    if (err == PN_OK) {
        signal.from = t.pid;
        err = send_signal(barrel, name, &signal);
    }
    pn_node_unlock(barrel->node);
    pn_term_writer_free(&to);
    op_terms_free(&t);
    return err;
}

/* The node of a pid, as a string; NULL: it is none. */
static char *node_of_pid(pn_term pid)
{
    pn_slice node;

    return pn_dist_pid_node(pid, &node)
               ? strndup((const char *)node.data, node.len)
               : NULL;
}

pn_err pn_barrel_send_pid(pn_barrel *barrel, pn_term pid, pn_term message)
{
    pn_dist_signal signal = {.op = PN_DIST_SEND, .to = pid, .message = message};
    char *name = node_of_pid(pid);
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

/* ---- monitors ---------------------------------------------------------- */

/* Lock held. */
static pn_err monitor_signal(pn_barrel_link *link, const pn_barrel_op *op)
{
    pn_dist_signal signal = {.op = PN_DIST_MONITOR_P, .to = op->process_pid};
    pn_term_writer name = {0};
    op_terms t;
    pn_err err;

    if (op->process == NULL && op->process_pid.len == 0) {
        return PN_OK; /* the node: the end of the link tells */
    }
    err = op_terms_make(link->barrel, op, &t);
    if (err == PN_OK && op->process != NULL) {
        err = atom_term(&name, op->process, &signal.to);
    }
    if (err == PN_OK) {
        signal.from = t.pid;
        signal.ref = t.ref;
        err = pn_barrel_emit(link, &signal);
    }
    pn_term_writer_free(&name);
    op_terms_free(&t);
    return err;
}

/* Takes process and pid over. */
static pn_err monitor_start(pn_barrel *barrel, const char *name, char *process,
    pn_term pid, pn_barrel_down *down, void *user, uint64_t *ret_monitor)
{
    pn_barrel_op *op = calloc(1, sizeof(*op));
    pn_barrel_link *link;
    pn_err err = PN_OK;

    if (op == NULL) {
        free(process);
        free((uint8_t *)(uintptr_t)pid.data);
        return PN_NOMEM;
    }
    op_init(barrel, op, PN_BARREL_OP_MONITOR);
    pn_node_lock(barrel->node);
    op->process = process;
    op->process_pid = pid;
    op->down = down;
    op->user = user;
    link = pn_barrel_find_up(barrel, name);
    if (link == NULL) {
        err = PN_NOT_CONNECTED;
    } else if (link->n_ops >= barrel->opt.max_calls) {
        err = PN_BUSY;
    } else {
        err = monitor_signal(link, op);
    }
    if (err == PN_OK) {
        *ret_monitor = op->id;
        op_append(link, op);
    } else {
        op_free(op);
    }
    pn_node_unlock(barrel->node);
    return err;
}

pn_err pn_barrel_monitor(pn_barrel *barrel, const char *name,
    const char *process, pn_barrel_down *down, void *user,
    uint64_t *ret_monitor)
{
    char *copy = process == NULL ? NULL : strdup(process);

    if (down == NULL || (process != NULL && process[0] == '\0')) {
        free(copy);
        return PN_INVALID;
    }
    if (process != NULL && copy == NULL) {
        return PN_NOMEM;
    }
    return monitor_start(
        barrel, name, copy, (pn_term){0}, down, user, ret_monitor);
}

pn_err pn_barrel_monitor_pid(pn_barrel *barrel, pn_term pid,
    pn_barrel_down *down, void *user, uint64_t *ret_monitor)
{
    char *name = node_of_pid(pid);
    pn_term copy;
    pn_err err;

    if (name == NULL || down == NULL) {
        free(name);
        return PN_INVALID;
    }
    err = pn_term_copy(pid, &copy);
    if (err == PN_OK) {
        err = monitor_start(barrel, name, NULL, copy, down, user, ret_monitor);
    }
    free(name);
    return err;
}

pn_err pn_barrel_demonitor(pn_barrel *barrel, uint64_t monitor)
{
    pn_node *node = barrel->node;
    pn_err err = PN_NOT_FOUND;

    pn_node_lock(node);
    for (pn_barrel_op **at = &barrel->downs; *at != NULL; at = &(*at)->next) {
        if ((*at)->id == monitor) {
            pn_barrel_op *op = *at;

            *at = op->next;
            op_free(op);
            err = PN_OK;
            break;
        }
    }
    for (pn_link *l = node->links; l != NULL && err != PN_OK; l = l->next) {
        pn_barrel_link *link = (pn_barrel_link *)(void *)l;
        pn_barrel_op *op;

        if (!pn_barrel_is_link(l, barrel)) {
            continue;
        }
        for (op = link->ops; op != NULL && op->id != monitor; op = op->next) {}
        if (op != NULL && op->kind == PN_BARREL_OP_MONITOR) {
            op_remove(link, op);
            if (op->process != NULL || op->process_pid.len > 0) {
                demonitor(link, op);
            }
            op_free(op);
            err = PN_OK;
        }
    }
    pn_node_unlock(node);
    return err;
}

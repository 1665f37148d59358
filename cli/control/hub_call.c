/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that are answered later, to peers and to nodes; see hub_call.h. */
#include "hub_call.h"

#include <stdlib.h>
#include <string.h>

#include "base/mutant.h"
#include "json/jsonout.h"

#define DEFAULT_TIMEOUT_MS 5000
#define DEFAULT_WAIT_MS 7000 /* an announce comes every five seconds */
/* Replies up to here are written on the loop. */
#define SHORT_TERM ((size_t)16 << 10)

/* ---- life --------------------------------------------------------------- */

static void op_free(hub_op *op)
{
    pn_term_writer_free(&op->writer);
    cli_text_fini(&op->pid);
    cli_text_fini(&op->answer);
    free(op->at_left);
    json_decref(op->json);
    free(op);
}

static void on_timer_closed(uv_handle_t *handle)
{
    hub_op *op = handle->data;

    op->is_timer_closed = true;
    if (!op->is_owed) {
        op_free(op);
    }
}

bool hub_op_awake(hub_op *op)
{
    op->is_owed = false;
    if (op->hub == NULL && op->is_timer_closed) {
        op_free(op);
        return false;
    }
    return op->hub != NULL;
}

/* Takes op off the list. No answer is sent after this. */
static void op_end(hub_op *op)
{
    hub_op **at = &op->hub->ops;

    while (*at != op) {
        at = &(*at)->next;
    }
    *at = op->next;
    if (op->caller != NULL) {
        op->caller->n_pending--;
        op->caller = NULL;
    }
    if (op->family->end != NULL) {
        op->family->end(op);
    }
    op->hub = NULL;
    uv_close((uv_handle_t *)&op->timer, on_timer_closed);
}

/* ---- answers ------------------------------------------------------------ */

static void op_finish(hub_op *op, cli_text *t)
{
    cli_caller *caller = op->caller;

    op_end(op);
    hub_answer_end(caller, t);
}

void hub_op_fail(hub_op *op, const char *error, const char *message)
{
    cli_text t = {0};

    hub_answer_begin(&t, op->has_id, op->id, false);
    cli_json_string(&t, "error", error);
    cli_json_string(&t, "message", message);
    cli_json_known(&t, "reason",
        op->last_reason == PN_REASON_NONE ? NULL
                                          : pn_reason_text(op->last_reason));
    op_finish(op, &t);
}

void hub_op_answer_sent(hub_op *op)
{
    cli_text t = {0};

    hub_answer_begin(&t, op->has_id, op->id, true);
    op_finish(op, &t);
}

void hub_op_notice(const hub_op *op, const char *what, const char *address)
{
    if (op->wants_notices && op->caller != NULL) {
        hub_notice(op->caller, what, address);
    }
}

static void value_written(hub_op *op)
{
    if (op->owns_value) {
        free((void *)(uintptr_t)op->value.data);
    }
    if (!hub_op_awake(op)) {
        return;
    }
    if (op->write_err == PN_OK) {
        cli_text t = op->answer;

        op->answer = (cli_text){0};
        op_finish(op, &t);
    } else {
        hub_op_fail(op, "local",
            op->write_err == PN_TOO_LARGE
                ? "the reply cannot be shown: it is too long in writing"
                : "the reply cannot be shown: out of memory");
    }
}

static void on_run(cli_work *work)
{
    hub_op_write_value(work->user);
}

static void on_written(cli_work *work, bool has_run)
{
    (void)has_run; /* if not, the hub has closed, and the request is over */
    value_written(work->user);
}

/* error NULL: a value. */
static void op_answer_term(hub_op *op, const char *error, pn_term value)
{
    cli_offload *offload = op->hub->offload;

    if (value.len == 0) {
        hub_op_answer_sent(op);
        return;
    }
    hub_answer_begin(&op->answer, op->has_id, op->id, error == NULL);
    if (op->kind == HUB_OP_MONITOR && error == NULL) {
        cli_json_string(&op->answer, "node", op->node);
        if (op->to != NULL) {
            cli_json_string(&op->answer, "process", op->to);
        }
    }
    op->error = error;
    op->value = value;
    op->max_reply = PN_SAFEGUARD(cli_reply_max) ? op->hub->max_reply : SIZE_MAX;
    if (value.len <= SHORT_TERM || offload == NULL) {
        hub_op_write_value(op);
        value_written(op);
        return;
    }
    op->write_err = pn_term_copy(value, &op->value);
    op->owns_value = op->write_err == PN_OK;
    if (!op->owns_value) {
        value_written(op);
        return;
    }
    op->is_owed = true;
    op->work = (cli_work){.run = on_run, .done = on_written, .user = op};
    cli_offload_start(offload, &op->work);
}

void hub_op_done(void *user, pn_err outcome, pn_term value)
{
    hub_op *op = user;

    if (!hub_op_awake(op)) {
        return;
    }
    if (outcome == PN_OK) {
        op_answer_term(op, NULL, value);
    } else if (outcome == PN_REMOTE) {
        op_answer_term(op, op->family->remote, value);
    } else {
        op->family->fail(op, outcome, value);
    }
}

/* ---- reading ------------------------------------------------------------ */

bool hub_op_read_function(hub_op *op, const hub_request *request)
{
    return !hub_op_is_apply(op)
           || (hub_string(request, "module", true, &op->module)
               && hub_string(request, "function", true, &op->function));
}

bool hub_op_read_term(hub_op *op, const hub_request *request)
{
    if (!hub_args(request, &op->writer)) {
        return false;
    }
    if (pn_term_writer_finish(&op->writer, NULL, &op->args) != PN_OK) {
        hub_answer_error(request, "local", "the term cannot be written");
        return false;
    }
    return true;
}

void hub_op_write_apply(
    const hub_op *op, const char *operation, pn_term args, pn_term_writer *w)
{
    pn_term_write_atom(w, operation);
    hub_write_module(w, op->module);
    pn_term_write_atom(w, op->function);
    pn_term_write_term(w, args);
}

/* The fields that every request may have. */
static bool op_read(hub_op *op, const hub_request *request)
{
    const char *as = NULL;

    op->has_wait = json_object_get(request->json, "wait") != NULL;
    op->wants_notices = json_is_true(json_object_get(request->json, "notices"));
    if (!hub_string(request, "as", false, &as)
        || !hub_milliseconds(
            request, "timeout", DEFAULT_TIMEOUT_MS, &op->timeout_ms)
        || !hub_milliseconds(request, "wait", DEFAULT_WAIT_MS, &op->wait_ms)) {
        return false;
    }
    op->as_text = as != NULL && strcmp(as, "text") == 0;
    return true;
}

/* From here on it is the hub's, and is answered through hub_op_fail. */
static void op_take(hub_op *op, cli_caller *caller)
{
    hub_op **end = &op->hub->ops;

    /* Appended, so that messages to one peer keep their order. */
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = op;
    op->caller = caller;
    caller->n_pending++;
    (void)uv_timer_init(op->hub->loop, &op->timer);
    op->timer.data = op;
}

/* ---- requests ----------------------------------------------------------- */

bool hub_is_about_node(const hub_request *request)
{
    return json_object_get(request->json, "node") != NULL;
}

void hub_start(const hub_request *request)
{
    bool is_node = request->kind == HUB_OP_MONITOR
                   || hub_is_about_node(request);
    hub_op *op;

    if (is_node && !hub_has_nodes(request)) {
        return;
    }
    op = calloc(1, sizeof(*op));
    if (op == NULL) {
        hub_answer_error(request, "local", "out of memory");
        return;
    }
    op->family = is_node ? &hub_node_family : &hub_peer_family;
    op->hub = request->hub;
    op->id = request->id;
    op->has_id = request->has_id;
    op->kind = request->kind;
    op->json = json_incref((json_t *)(uintptr_t)request->json);
    pn_term_writer_init(&op->writer, op->family->max_term);
    if (op_read(op, request) && op->family->read(op, request)) {
        /* The term was read from it, and may be large. */
        (void)json_object_del(op->json, "args");
        (void)json_object_del(op->json, "term");
        op_take(op, request->caller);
        op->family->start(op);
    } else {
        op_free(op);
    }
}

void hub_ops_forget(cli_hub *hub, const cli_caller *caller)
{
    hub_op *next;

    for (hub_op *op = hub->ops; op != NULL; op = next) {
        next = op->next;
        if (op->caller == caller) {
            op_end(op);
        }
    }
}

void hub_ops_cancel(cli_hub *hub)
{
    /* A caller that gets an answer may leave, which ends its other requests. */
    while (hub->ops != NULL) {
        hub_op_fail(hub->ops, "closed", "the node is closing");
    }
}

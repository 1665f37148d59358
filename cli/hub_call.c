/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls and sends: each waits for a link if there is none, goes out, and is
 * answered once. A link to a peer that has not paired us looks like any other
 * until the peer closes it, so a send over a new link is confirmed when the
 * peer has answered a ping, or the link has stayed for a while.
 */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "escape.h"
#include "hub_internal.h"
#include "json.h"
#include "jsonout.h"

#define DEFAULT_TIMEOUT_MS 5000
#define DEFAULT_WAIT_MS 7000 /* an announce comes every five seconds */
/* Who refuses us says nothing until the handshake deadline of 5 s is over, and
 * may be slow. */
#define CONFIRM_MS 20
#define CONFIRM_TIMES 450
#define REASON_MS 100

typedef enum op_stage {
    OP_WAITS_FOR_LINK,
    OP_CALLED, /* the node has it, and reports once */
    OP_SENT,   /* over a new link: will it stay? */
    OP_CLOSED, /* its link ended; why comes in a moment */
    OP_DONE
} op_stage;

struct hub_op {
    hub_op *next;
    cli_hub *hub;
    cli_caller *caller; /* NULL: gone */
    json_int_t id;
    bool has_id;
    bool is_send;
    bool as_text;
    op_stage stage;
    pn_public_key key;
    char *handle;
    pn_term_writer writer;
    pn_term args;
    uint32_t timeout_ms;
    unsigned n_looks; /* whether the new link is answered */
    pn_reason last_reason;
    char last_address[64];
    uv_timer_t timer;
    bool node_owes; /* on_call_done will come */
    bool closed;
};

/* ---- life --------------------------------------------------------------- */

static void op_free(hub_op *op)
{
    pn_term_writer_free(&op->writer);
    free(op->handle);
    free(op);
}

static void on_op_closed(uv_handle_t *handle)
{
    hub_op *op = handle->data;

    op->closed = true;
    if (!op->node_owes) {
        op_free(op);
    }
}

/* Takes it off the list; nobody is told after this. */
static void op_end(hub_op *op)
{
    hub_op **at = &op->hub->ops;

    op->stage = OP_DONE;
    while (*at != op) {
        at = &(*at)->next;
    }
    *at = op->next;
    if (op->caller != NULL) {
        op->caller->n_pending--;
        op->caller = NULL;
    }
    uv_close((uv_handle_t *)&op->timer, on_op_closed);
}

/* ---- answers ------------------------------------------------------------ */

bool hub_json_term(cli_text *t, bool as_text, const char *key, pn_term term)
{
    cli_text json = {0};
    char *text = NULL;
    size_t len = 0;
    bool good;

    if (as_text) {
        good = pn_term_to_text(term, &text, &len) == PN_OK;
        if (good) {
            cli_json_bytes(t, "text", text, len);
        }
        free(text);
        return good;
    }
    good = cli_json_from_term(term, &json) == PN_OK;
    if (good) {
        cli_json_raw(t, key, json.data, json.len);
    }
    cli_text_fini(&json);
    return good;
}

static void op_finish(hub_op *op, cli_text *t)
{
    cli_caller *caller = op->caller;

    op_end(op);
    hub_answer_end(caller, t);
}

static void op_fail(hub_op *op, const char *error, const char *message)
{
    cli_text t = {0};

    hub_answer_begin(&t, op->has_id, op->id, false);
    cli_json_string(&t, "error", error);
    cli_json_string(&t, "message", message);
    if (op->last_reason != PN_REASON_NONE) {
        cli_json_string(&t, "reason", pn_reason_text(op->last_reason));
    }
    op_finish(op, &t);
}

static bool peer_info(const hub_op *op, pn_peer_info *ret_info)
{
    pn_peer_info *peers = NULL;
    size_t n = 0;
    bool found = false;

    if (pn_list_peers(op->hub->node, &peers, &n) != PN_OK) {
        return false;
    }
    for (size_t i = 0; i < n && !found; i++) {
        found = pn_key_equal(&peers[i].key, &op->key);
        if (found) {
            *ret_info = peers[i];
        }
    }
    free(peers);
    return found;
}

/* What the registry remembers of attempts before this request. */
static void recall_reason(hub_op *op)
{
    pn_peer_info info;

    if (op->last_reason == PN_REASON_NONE && peer_info(op, &info)) {
        op->last_reason = info.last_reason;
        if (info.address[0] != '\0') {
            memcpy(op->last_address, info.address, sizeof(op->last_address));
        }
    }
}

static void op_fail_link(hub_op *op)
{
    cli_text t = {0};

    recall_reason(op);
    cli_text_puts(&t, "no link to the peer");
    if (op->last_reason == PN_REASON_NOT_PAIRED_THERE) {
        cli_text_puts(&t, ": the peer has probably not paired this node");
    } else if (op->last_reason != PN_REASON_NONE) {
        cli_text_printf(&t, ": %s", pn_reason_text(op->last_reason));
        if (op->last_address[0] != '\0') {
            cli_text_printf(&t, " at %s", op->last_address);
        }
    } else if (op->last_address[0] != '\0') {
        cli_text_printf(&t, ": no answer from %s in time", op->last_address);
    } else if (!op->hub->discovers) {
        cli_text_puts(&t, ": no address is known and discovery is off");
    } else {
        cli_text_puts(&t, ": nobody announced it");
    }
    op_fail(op, "not-connected", cli_text_string(&t));
    cli_text_fini(&t);
}

static void op_fail_closed(hub_op *op)
{
    cli_text t = {0};

    cli_text_puts(&t, "the link ended before the answer");
    if (op->last_reason == PN_REASON_NOT_PAIRED_THERE) {
        cli_text_puts(&t, ": the peer has probably not paired this node");
    } else if (op->last_reason != PN_REASON_NONE) {
        cli_text_printf(&t, ": %s", pn_reason_text(op->last_reason));
    }
    op_fail(op, "closed", cli_text_string(&t));
    cli_text_fini(&t);
}

static void op_fail_call(hub_op *op, pn_err err)
{
    pn_peer_info info;

    if (err == PN_TIMEOUT) {
        bool silent = peer_info(op, &info) && info.state == PN_PEER_UP
                      && info.dialled_by_us && info.rtt_us == 0;

        op_fail(op, "timeout",
            silent ? "no reply in time, nor anything else: the peer has "
                     "probably not paired this node"
                   : "no reply in time");
    } else {
        op_fail(op, hub_error_name(err), pn_strerror(err));
    }
}

static void on_no_reason(uv_timer_t *timer)
{
    op_fail_closed(timer->data);
}

/* The event that says why follows in the same turn. */
static void op_closed(hub_op *op)
{
    op->stage = OP_CLOSED;
    op->last_reason = PN_REASON_NONE;
    (void)uv_timer_start(&op->timer, on_no_reason, REASON_MS, 0);
}

static void op_answer(hub_op *op, pn_term value)
{
    cli_text t = {0};

    hub_answer_begin(&t, op->has_id, op->id, true);
    if (!op->is_send && !hub_json_term(&t, op->as_text, "value", value)) {
        cli_text_fini(&t);
        op_fail(op, "local", "the reply cannot be shown: out of memory");
        return;
    }
    op_finish(op, &t);
}

static void op_answer_remote(hub_op *op, pn_term reason)
{
    cli_text t = {0};

    hub_answer_begin(&t, op->has_id, op->id, false);
    cli_json_string(&t, "error", "remote");
    cli_json_string(&t, "message", "the peer answered with an error");
    (void)hub_json_term(&t, op->as_text, "reason", reason);
    op_finish(op, &t);
}

/* ---- going out ---------------------------------------------------------- */

static void on_call_done(void *user, pn_err outcome, pn_term value)
{
    hub_op *op = user;

    op->node_owes = false;
    if (op->stage == OP_DONE) {
        if (op->closed) {
            op_free(op);
        }
    } else if (outcome == PN_OK) {
        op_answer(op, value);
    } else if (outcome == PN_REMOTE) {
        op_answer_remote(op, value);
    } else if (outcome == PN_CLOSED) {
        op_closed(op);
    } else {
        op_fail_call(op, outcome);
    }
}

/* The library pings over a link that we dialled when nothing comes back. */
static void on_look(uv_timer_t *timer)
{
    hub_op *op = timer->data;
    pn_peer_info info;

    if (++op->n_looks < CONFIRM_TIMES && peer_info(op, &info)
        && info.rtt_us == 0) {
        return;
    }
    (void)uv_timer_stop(timer);
    op_answer(op, (pn_term){NULL, 0});
}

static void op_go(hub_op *op, bool is_new_link)
{
    pn_err err;

    (void)uv_timer_stop(&op->timer);
    if (op->is_send) {
        err = pn_send_term(op->hub->node, &op->key, op->handle, op->args);
        op->stage = OP_SENT;
    } else {
        err = pn_call_async(op->hub->node, &op->key, op->handle, op->timeout_ms,
            op->args, on_call_done, op);
        op->stage = OP_CALLED;
        op->node_owes = err == PN_OK;
    }
    if (err != PN_OK) {
        op_fail_call(op, err);
    } else if (op->is_send && is_new_link) {
        (void)uv_timer_start(&op->timer, on_look, CONFIRM_MS, CONFIRM_MS);
    } else if (op->is_send) {
        op_answer(op, (pn_term){NULL, 0});
    }
}

static void on_no_link(uv_timer_t *timer)
{
    op_fail_link(timer->data);
}

/* Some attempts show that no other will go better. */
static bool is_final(pn_reason reason)
{
    return reason == PN_REASON_KEY_MISMATCH || reason == PN_REASON_OWN_KEY
           || reason == PN_REASON_UNPAIRED
           || reason == PN_REASON_NOT_PAIRED_THERE;
}

static void op_event(hub_op *op, const pn_event *event)
{
    if (event->type == PN_EVENT_PEER_UP) {
        if (op->stage == OP_WAITS_FOR_LINK) {
            op_go(op, true);
        }
        return;
    }
    if (event->type != PN_EVENT_DIAL_FAILED
        && event->type != PN_EVENT_PEER_DOWN) {
        return;
    }
    op->last_reason = event->reason;
    (void)strncpy(
        op->last_address, event->address, sizeof(op->last_address) - 1);
    if (op->stage == OP_WAITS_FOR_LINK && is_final(event->reason)) {
        op_fail_link(op);
    } else if (op->stage == OP_SENT || op->stage == OP_CLOSED) {
        op_fail_closed(op);
    }
}

void hub_ops_event(cli_hub *hub, const pn_event *event)
{
    hub_op *next;

    for (hub_op *op = hub->ops; op != NULL; op = next) {
        next = op->next;
        if (event->key != NULL && pn_key_equal(event->key, &op->key)) {
            op_event(op, event);
        }
    }
}

void hub_ops_forget(cli_hub *hub, const cli_caller *caller)
{
    for (hub_op *op = hub->ops; op != NULL; op = op->next) {
        if (op->caller == caller) {
            op->caller = NULL;
        }
    }
}

void hub_ops_cancel(cli_hub *hub)
{
    while (hub->ops != NULL) {
        op_fail(hub->ops, "closed", "the node is closing");
    }
}

/* ---- requests ----------------------------------------------------------- */

bool hub_args(const hub_request *request, pn_term_writer *w)
{
    const json_t *args = json_object_get(request->json, "args");
    const json_t *term = json_object_get(request->json, "term");
    cli_text *parts = &request->caller->parts;
    const char *text = json_string_value(term);
    size_t len = json_string_length(term);
    cli_json_error error = {""};
    pn_text_error where = {0, ""};
    pn_err err;

    if (args != NULL) {
        err = cli_json_to_term(args, w, &error);
        if (err != PN_OK) {
            hub_answer_error(request, "bad-request", "%s", error.text);
        }
        return err == PN_OK;
    }
    if (json_is_true(json_object_get(request->json, "parts"))) {
        text = cli_text_string(parts);
        len = parts->len;
    }
    if (text == NULL) {
        hub_answer_error(request, "bad-request",
            "expected \"args\" (JSON) or \"term\" (text)");
        return false;
    }
    err = pn_term_from_text(w, text, len, NULL, &where);
    cli_text_clear(parts);
    if (err != PN_OK) {
        hub_answer_error(request, "bad-request",
            "expected %s at byte %zu of the term",
            where.expected[0] == '\0' ? pn_strerror(err) : where.expected,
            where.offset);
        return false;
    }
    /* Keys are compared at the end. */
    err = pn_term_writer_finish(w, NULL, NULL);
    if (err != PN_OK) {
        hub_answer_error(request, "bad-request", "%s",
            err == PN_INVALID ? "a map has the same key twice"
                              : pn_strerror(err));
    }
    return err == PN_OK;
}

/* A handle is an atom on the wire. */
static bool hub_handle(const hub_request *request, const char **ret_handle)
{
    size_t n_chars = 0;

    if (!hub_string(request, "handle", false, ret_handle)) {
        return false;
    }
    if (*ret_handle != NULL
        && (!pn_utf8_check(
                (const uint8_t *)*ret_handle, strlen(*ret_handle), &n_chars)
            || n_chars > 255)) {
        hub_answer_error(request, "bad-request",
            "expected at most 255 characters as \"handle\"");
        return false;
    }
    return true;
}

static hub_op *op_new(cli_hub *hub, const hub_request *request)
{
    hub_op *op = calloc(1, sizeof(*op));
    const char *handle = NULL;
    const char *as = NULL;

    if (op == NULL) {
        hub_answer_error(request, "local", "out of memory");
        return NULL;
    }
    op->hub = hub;
    op->id = request->id;
    op->has_id = request->has_id;
    pn_term_writer_init(&op->writer, 0);
    if (!hub_peer(hub, request, &op->key) || !hub_handle(request, &handle)
        || !hub_string(request, "as", false, &as)
        || !hub_milliseconds(
            request, "timeout", DEFAULT_TIMEOUT_MS, &op->timeout_ms)) {
        op_free(op);
        return NULL;
    }
    op->handle = strdup(handle == NULL ? PN_BEAM_DIST_HANDLE : handle);
    op->as_text = as != NULL && strcmp(as, "text") == 0;
    if (op->handle == NULL) {
        hub_answer_error(request, "local", "out of memory");
        op_free(op);
        return NULL;
    }
    return op;
}

/* From here on it is the hub's, and is answered through op_fail. */
static void op_take(hub_op *op, cli_caller *caller)
{
    hub_op **end = &op->hub->ops;

    /* In the order they came: messages to one peer keep it. */
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = op;
    op->caller = caller;
    caller->n_pending++;
    (void)uv_timer_init(op->hub->loop, &op->timer);
    op->timer.data = op;
}

static void op_start(hub_op *op, const hub_request *request)
{
    cli_hub *hub = op->hub;
    const char *at = NULL;
    uint32_t wait_ms = 0;
    pn_err err;

    if (!hub_string(request, "at", false, &at)
        || !hub_milliseconds(request, "wait", DEFAULT_WAIT_MS, &wait_ms)) {
        op_free(op);
        return;
    }
    op_take(op, request->caller);
    if (at != NULL) {
        (void)strncpy(op->last_address, at, sizeof(op->last_address) - 1);
    }
    if (pn_connected(hub->node, &op->key)) {
        op_go(op, false);
        return;
    }
    err = pn_connect(hub->node, &op->key, at);
    if (err == PN_NOT_CONNECTED && hub->discovers) {
        err = PN_OK; /* an announce may come */
    }
    if (err == PN_NOT_CONNECTED) {
        op_fail_link(op);
    } else if (err != PN_OK) {
        op_fail(op, hub_error_name(err),
            err == PN_INVALID ? "expected a numeric ADDRESS:PORT"
                              : pn_strerror(err));
    } else {
        (void)uv_timer_start(&op->timer, on_no_link, wait_ms, 0);
    }
}

static void start_plain(cli_hub *hub, const hub_request *request, bool is_send)
{
    hub_op *op;

    if (!json_is_string(json_object_get(request->json, "handle"))) {
        hub_answer_error(
            request, "bad-request", "expected a string as \"handle\"");
        return;
    }
    op = op_new(hub, request);
    if (op == NULL) {
        return;
    }
    op->is_send = is_send;
    if (!hub_args(request, &op->writer)) {
        op_free(op);
        return;
    }
    if (pn_term_writer_finish(&op->writer, NULL, &op->args) != PN_OK) {
        hub_answer_error(request, "local", "the term cannot be written");
        op_free(op);
        return;
    }
    op_start(op, request);
}

void hub_call(cli_hub *hub, const hub_request *request)
{
    if (hub_is_about_node(request)) {
        hub_node_call(hub, request);
        return;
    }
    start_plain(hub, request, false);
}

void hub_send(cli_hub *hub, const hub_request *request)
{
    if (hub_is_about_node(request)) {
        hub_node_send(hub, request);
        return;
    }
    start_plain(hub, request, true);
}

/* ---- BeamDist: {rpc | cast, Mod, Fun, Args} ----------------------------- */

void hub_write_module(pn_term_writer *w, const char *module)
{
    cli_text name = {0};

    if (module[0] == ':') {
        pn_term_write_atom(w, module + 1);
        return;
    }
    cli_text_printf(&name, "%s%s",
        strncmp(module, "Elixir.", 7) == 0 ? "" : "Elixir.", module);
    pn_term_write_atom(w, cli_text_string(&name));
    cli_text_fini(&name);
}

static bool is_proper_list(pn_term term)
{
    pn_term_reader r;
    uint32_t n;

    pn_term_reader_init(&r, term);
    n = pn_term_read_list(&r);
    for (uint32_t i = 0; i < n; i++) {
        pn_term_read_skip(&r);
    }
    if (n > 0) {
        pn_term_read_nil(&r);
    }
    return pn_term_reader_finish(&r) == PN_OK;
}

static void answer_no_list(const hub_request *request)
{
    hub_answer_error(request, "bad-request",
        "expected a module, a function and a list of arguments such as "
        "[1, \"a\"]");
}

bool hub_list(const hub_request *request, pn_term_writer *w, pn_term *ret_list)
{
    if (!hub_args(request, w)) {
        return false;
    }
    if (pn_term_writer_finish(w, NULL, ret_list) != PN_OK
        || !is_proper_list(*ret_list)) {
        answer_no_list(request);
        return false;
    }
    return true;
}

static bool write_rpc(
    hub_op *op, const hub_request *request, const char *operation)
{
    const char *module = NULL;
    const char *function = NULL;
    pn_term_writer list;
    pn_term args = {NULL, 0};
    pn_err err;

    if (!hub_string(request, "module", true, &module)
        || !hub_string(request, "function", true, &function)) {
        return false;
    }
    pn_term_writer_init(&list, 0);
    if (!hub_list(request, &list, &args)) {
        pn_term_writer_free(&list);
        return false;
    }
    pn_term_write_tuple_begin(&op->writer);
    pn_term_write_atom(&op->writer, operation);
    hub_write_module(&op->writer, module);
    pn_term_write_atom(&op->writer, function);
    pn_term_write_term(&op->writer, args);
    pn_term_write_tuple_end(&op->writer);
    err = pn_term_writer_finish(&op->writer, NULL, &op->args);
    pn_term_writer_free(&list);
    if (err != PN_OK) {
        answer_no_list(request);
    }
    return err == PN_OK;
}

static void start_rpc(
    cli_hub *hub, const hub_request *request, const char *operation)
{
    hub_op *op = op_new(hub, request);

    if (op == NULL) {
        return;
    }
    op->is_send = strcmp(operation, "cast") == 0;
    if (!write_rpc(op, request, operation)) {
        op_free(op);
        return;
    }
    op_start(op, request);
}

void hub_rpc(cli_hub *hub, const hub_request *request)
{
    if (hub_is_about_node(request)) {
        hub_node_rpc(hub, request);
        return;
    }
    start_rpc(hub, request, "rpc");
}

void hub_cast(cli_hub *hub, const hub_request *request)
{
    if (hub_is_about_node(request)) {
        hub_node_cast(hub, request);
        return;
    }
    start_rpc(hub, request, "cast");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests about nodes of an Erlang cluster: a call, a message or a watch. A
 * watch is answered when its process or node has ended. A message has no answer
 * of its own; its request is answered when the message has arrived.
 */
#include <string.h>

#include "hub_call.h"
#include "peer_text.h"
#include "peername.h"
#include "json/json.h"

/* ---- answers ------------------------------------------------------------ */

/* The sentence of the library for an error that has no sentence of its own. */
static void add_sentence(cli_text *t, const hub_op *op, pn_err err)
{
    switch ((int)err) {
    case PN_INVALID:
        cli_text_puts(t,
            "expected the name of another node, and a name of 1 to 255 "
            "characters for each atom");
        return;
    case PN_FULL:
        cli_text_puts(
            t, "there are too many links; try again when one has ended");
        return;
    case PN_LIMIT:
        cli_text_printf(
            t, "the answer of %s is nested deeper than we take", op->node);
        return;
    case PN_BUSY:
        cli_text_printf(t,
            "too many calls to %s have no answer yet, or too much is on its "
            "way to it; try again later",
            op->node);
        return;
    case PN_TOO_LARGE:
        cli_text_printf(t,
            "the term, or its answer, is larger than a message of %s may be; "
            "send less at once",
            op->node);
        return;
    case PN_TIMEOUT:
        cli_text_printf(t,
            hub_op_is_message(op)
                ? "%s did not confirm the message in time; it may have arrived"
                : "%s did not reply in time; look what it does, or wait longer",
            op->node);
        return;
    default:
        cli_text_puts(t, pn_strerror(err));
    }
}

static const char *error_name(pn_err err)
{
    return err == PN_FULL ? "busy" : hub_error_name(err);
}

/* A name that is not pinned may be a mistyped one. */
static void add_meant(cli_text *t, const hub_op *op)
{
    pn_ed25519_key key;

    if (pn_barrel_pinned(op->hub->barrel, op->node, &key) == PN_NOT_FOUND) {
        cli_hub_suggest_node(op->hub, op->node, t);
    }
}

/* value: the library's sentence, or nothing. */
static void on_fail(hub_op *op, pn_err err, pn_term value)
{
    pn_slice text = {0};
    cli_text t = {0};

    op->last_reason = pn_barrel_reason(op->hub->barrel);
    if (pn_term_match(value, "~b", &text) && text.len > 0) {
        cli_text_puts(
            &t, err == PN_CLOSED ? "the link ended before the answer: " : "");
        cli_escape(&t, text.data, text.len, CLI_ESCAPE_ALL);
    } else {
        add_sentence(&t, op, err);
    }
    if (err == PN_NOT_CONNECTED) {
        add_meant(&t, op);
    }
    hub_op_fail(op, error_name(err), cli_text_string(&t));
    cli_text_fini(&t);
}

/* ---- callbacks of the node ---------------------------------------------- */

static void on_confirmed(void *user, pn_err outcome, pn_term value)
{
    hub_op *op = user;

    if (!hub_op_awake(op)) {
        return;
    }
    if (op->is_nowhere) {
        hub_op_fail(op, "remote",
            "nobody there has that name or pid: the message went nowhere; "
            "check the name");
    } else if (outcome == PN_OK) {
        hub_op_answer_sent(op);
    } else {
        on_fail(op, outcome, value);
    }
}

static void on_down(void *user, uint64_t monitor, pn_term reason)
{
    hub_op *op = user;

    (void)monitor;
    op->monitor = 0;
    if (hub_op_is_message(op)) { /* the confirmation follows, and frees it */
        op->is_nowhere = pn_term_is_atom(reason, "noproc");
        return;
    }
    hub_op_done(op, PN_OK, reason);
}

/* ---- sending ------------------------------------------------------------ */

/* {'$gen_cast', {cast, Mod, Fun, Args, user}} to rex: rpc:cast. */
static pn_err cast(const hub_op *op)
{
    pn_term_writer w;
    pn_term message;
    pn_err err;

    pn_term_writer_init(&w, CLI_HUB_NODE_TERM_MAX);
    pn_term_write_tuple_begin(&w);
    pn_term_write_atom(&w, "$gen_cast");
    pn_term_write_tuple_begin(&w);
    hub_op_write_apply(op, "cast", op->args, &w);
    pn_term_write_atom(&w, "user");
    pn_term_write_tuple_end(&w);
    pn_term_write_tuple_end(&w);
    err = pn_term_writer_finish(&w, NULL, &message);
    if (err == PN_OK) {
        err = pn_barrel_send(op->hub->barrel, op->node, "rex", message);
    }
    pn_term_writer_free(&w);
    return err;
}

static pn_err send_message(const hub_op *op)
{
    pn_barrel *barrel = op->hub->barrel;

    if (op->kind == HUB_OP_CAST) {
        return cast(op);
    }
    if (op->pid.len > 0) {
        return pn_barrel_send_pid(barrel, op->pid_term, op->args);
    }
    return pn_barrel_send(barrel, op->node, op->to, op->args);
}

static pn_err watch(hub_op *op)
{
    pn_barrel *barrel = op->hub->barrel;

    return op->pid.len > 0 ? pn_barrel_monitor_pid(
               barrel, op->pid_term, on_down, op, &op->monitor)
                           : pn_barrel_monitor(barrel, op->node, op->to,
                               on_down, op, &op->monitor);
}

/* The link is up. */
static void op_go(hub_op *op)
{
    pn_barrel *barrel = op->hub->barrel;
    pn_err err = PN_OK;

    switch (op->kind) {
    case HUB_OP_RPC:
        err = pn_rpc_async(barrel, op->node, op->module, op->function, op->args,
            op->timeout_ms, hub_op_done, op);
        break;
    case HUB_OP_CALL:
        err = pn_gen_call_async(barrel, op->node, op->to, op->args,
            op->timeout_ms, hub_op_done, op);
        break;
    case HUB_OP_SEND:
    case HUB_OP_CAST:
        /* A monitor reports a missing process at once, before the next request
         * is answered. For a cast the monitor is of the node. */
        err = watch(op);
        if (err == PN_OK) {
            err = send_message(op);
        }
        if (err == PN_OK) {
            err = pn_barrel_flush_async(
                barrel, op->node, op->timeout_ms, on_confirmed, op);
            /* The message was sent, so it must not be sent again. */
            err = err == PN_OK ? PN_OK : PN_TIMEOUT;
        }
        break;
    case HUB_OP_MONITOR:
        err = watch(op);
        break;
    }
    op->is_owed = err == PN_OK;
    if (err == PN_OK) {
        /* A message waits for the node's confirmation. */
        hub_op_notice(
            op, hub_op_is_message(op) ? "confirmation" : "reply", NULL);
    }
    if (err == PN_NOT_CONNECTED && op->pid.len > 0) {
        hub_op_fail(op, "bad-request",
            "the pid is one of another node; name that node");
    } else if (err != PN_OK) {
        on_fail(op, err, (pn_term){NULL, 0});
    }
}

static void on_connected(void *user, pn_err outcome, pn_term value)
{
    hub_op *op = user;

    if (!hub_op_awake(op)) {
        return;
    }
    if (outcome == PN_OK) {
        op_go(op);
    } else if (outcome == PN_TIMEOUT && value.len == 0) {
        hub_op_fail(op, "timeout",
            "no link to the node in time; check its address, or wait longer");
    } else {
        on_fail(op, outcome, value);
    }
}

/* ---- requests ----------------------------------------------------------- */

bool hub_has_nodes(const hub_request *request)
{
    if (request->hub->barrel == NULL) {
        hub_answer_error(request, "bad-request",
            "the running node has no Barrel link: it was started without "
            "'--barrel NAME@HOST'");
    }
    return request->hub->barrel != NULL;
}

/* #PID<"b1@127.0.0.1".173.0>, as a pid is printed. It does not have the
 * creation of its node's run; creation 0 stands for the present one. */
static bool read_printed(const char *text, cli_text *ret_bytes)
{
    enum { NEW_PID = 88, SMALL_ATOM = 119 };
    const char *node = text + strlen("#PID<");
    bool is_quoted = node[0] == '"';
    const char *end;
    uint8_t numbers[12] = {0};
    unsigned id;
    unsigned serial;
    int used = 0;

    node += is_quoted;
    end = is_quoted ? strchr(node, '"') : strchr(node, '.');
    if (end == NULL || end == node || end - node > 255
        || sscanf(end + is_quoted, ".%9u.%9u>%n", &id, &serial, &used) != 2
        || used == 0 || end[is_quoted + used] != '\0') {
        return false;
    }
    for (int i = 0; i < 4; i++) {
        numbers[i] = (uint8_t)(id >> (24 - 8 * i));
        numbers[4 + i] = (uint8_t)(serial >> (24 - 8 * i));
    }
    cli_text_putc(ret_bytes, NEW_PID);
    cli_text_putc(ret_bytes, SMALL_ATOM);
    cli_text_putc(ret_bytes, (char)(end - node));
    cli_text_add(ret_bytes, node, (size_t)(end - node));
    cli_text_add(ret_bytes, numbers, sizeof(numbers));
    return true;
}

/* {"$opaque": BASE64}, as a pid is printed in JSON. */
static bool read_json_pid(const char *text, cli_text *ret_bytes)
{
    cli_json_error error;
    json_t *json = cli_json_load(text, strlen(text), &error);
    const char *base64 = json_string_value(json_object_get(json, "$opaque"));
    bool good = base64 != NULL
                && cli_base64_decode(ret_bytes, base64, strlen(base64));

    json_decref(json);
    return good;
}

/* True when it is a pid in one of the two forms, or a name; false after an
 * answer. */
static bool op_read_pid(hub_op *op, const hub_request *request)
{
    static const uint8_t version = 131;
    bool is_printed;
    bool is_pid;

    if (op->to == NULL
        || (op->to[0] != '{' && strncmp(op->to, "#PID<", 5) != 0)) {
        return true;
    }
    is_printed = op->to[0] == '#';
    cli_text_add(&op->pid, &version, 1);
    is_pid = (is_printed ? read_printed(op->to, &op->pid)
                         : read_json_pid(op->to, &op->pid))
             && pn_term_parse(
                    op->pid.data, op->pid.len, NULL, &op->pid_term, NULL)
                    == PN_OK
             && pn_term_type_of(op->pid_term) == PN_TERM_OPAQUE;
    if (!is_pid) {
        hub_answer_error(request, "bad-request",
            "expected a registered name, or a pid as #PID<\"NODE@HOST\".1.0> "
            "or "
            "{\"$opaque\": BASE64}");
    }
    return is_pid;
}

/* A trust list of the original may have NODE@HOST as the label of a peer. */
static bool is_clear(const char *node, const hub_request *request)
{
    cli_text why = {0};
    pn_err err = cli_name_check(request->hub->node, node, &why);

    if (err != PN_OK) {
        hub_answer_error(request, "no-such-peer", "%s", cli_text_string(&why));
    }
    cli_text_fini(&why);
    return err == PN_OK;
}

static bool on_read(hub_op *op, const hub_request *request)
{
    if (!hub_string(request, "node", true, &op->node)
        || !hub_string(request, "process",
            op->kind == HUB_OP_CALL || op->kind == HUB_OP_SEND, &op->to)
        || !hub_op_read_function(op, request) || !op_read_pid(op, request)
        || !is_clear(op->node, request)) {
        return false;
    }
    if (op->kind == HUB_OP_CALL && op->pid.len > 0) {
        hub_answer_error(request, "bad-request",
            "expected a registered name, a call to a pid is not possible");
        return false;
    }
    if (op->kind == HUB_OP_MONITOR) {
        return true;
    }
    return hub_op_is_apply(op) ? hub_list(request, &op->writer, &op->args)
                               : hub_op_read_term(op, request);
}

static void on_start(hub_op *op)
{
    pn_err err = pn_barrel_connect_async(
        op->hub->barrel, op->node, op->wait_ms, on_connected, op);

    op->is_owed = err == PN_OK;
    if (err != PN_OK) {
        on_fail(op, err, (pn_term){NULL, 0});
    } else {
        hub_op_notice(op, "link", NULL);
    }
}

static void on_end(hub_op *op)
{
    if (op->monitor != 0
        && pn_barrel_demonitor(op->hub->barrel, op->monitor) == PN_OK
        && op->kind == HUB_OP_MONITOR) {
        op->is_owed = false;
    }
}

const hub_family hub_node_family = {
    .read = on_read,
    .start = on_start,
    .fail = on_fail,
    .end = on_end,
    .remote = "the node answered with an error",
    .max_term = CLI_HUB_NODE_TERM_MAX,
};

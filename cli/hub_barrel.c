/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests about nodes of an Erlang cluster. Each connects first, if there is
 * no link, then calls, sends or watches, and is answered once: a watch when
 * what it watches has ended. A message has no answer of its own, so a question
 * that every node answers goes behind it over the same link.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "escape.h"
#include "hub_internal.h"
#include "json.h"
#include "jsonout.h"

#define DEFAULT_TIMEOUT_MS 5000
#define DEFAULT_WAIT_MS 7000

typedef enum op_kind { OP_CALL, OP_RPC, OP_SEND, OP_CAST, OP_MONITOR } op_kind;

struct hub_barrel_op {
    hub_barrel_op *next;
    cli_hub *hub;       /* NULL: answered, and off its list */
    cli_caller *caller; /* NULL: gone */
    json_int_t id;
    bool has_id;
    bool as_text;
    op_kind kind;
    char *node;
    char *process; /* as it was given; NULL: the node */
    char *module;
    char *function;
    cli_text pid; /* a pid's bytes; empty: process is a name */
    pn_term pid_term;
    pn_term_writer writer;
    pn_term args;
    uint32_t timeout_ms;
    uint32_t wait_ms;
    uint64_t monitor; /* 0: none */
    bool node_owes;   /* a callback will come */
};

/* ---- life --------------------------------------------------------------- */

static void op_free(hub_barrel_op *op)
{
    pn_term_writer_free(&op->writer);
    cli_text_fini(&op->pid);
    free(op->node);
    free(op->process);
    free(op->module);
    free(op->function);
    free(op);
}

/* Takes it off the list; nobody is told after this. What the node still owes
 * frees it. */
static void op_end(hub_barrel_op *op)
{
    hub_barrel_op **at = &op->hub->barrel_ops;

    while (*at != NULL && *at != op) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        *at = op->next;
    }
    if (op->caller != NULL) {
        op->caller->n_pending--;
    }
    if (op->monitor != 0
        && pn_barrel_demonitor(op->hub->barrel, op->monitor) == PN_OK) {
        op->node_owes = false;
    }
    op->hub = NULL;
    op->caller = NULL;
    if (!op->node_owes) {
        op_free(op);
    }
}

static void op_finish(hub_barrel_op *op, cli_text *t)
{
    cli_caller *caller = op->caller;

    op_end(op);
    hub_answer_end(caller, t);
}

/* ---- answers ------------------------------------------------------------ */

static void op_fail(hub_barrel_op *op, const char *error, const char *message)
{
    cli_text t = {0};

    hub_answer_begin(&t, op->has_id, op->id, false);
    cli_json_string(&t, "error", error);
    cli_json_string(&t, "message", message);
    op_finish(op, &t);
}

/* What the library says about an error that has no sentence of its own. */
static const char *sentence(pn_err err)
{
    switch ((int)err) {
    case PN_INVALID:
        return "expected the name of another node, and a name of 1 to 255 "
               "characters for each atom";
    case PN_LIMIT:
        return "there are too many links";
    case PN_BUSY:
        return "too many calls to this node have no answer yet";
    case PN_TOO_LARGE:
        return "the term is larger than a message may be";
    default:
        return pn_strerror(err);
    }
}

static const char *error_name(pn_err err)
{
    return err == PN_LIMIT ? "busy" : hub_error_name(err);
}

/* value: the library's sentence, or nothing. */
static void op_fail_with(hub_barrel_op *op, pn_err err, pn_term value)
{
    pn_slice text = {0};
    cli_text t = {0};

    if (pn_term_match(value, "~b", &text) && text.len > 0) {
        cli_escape(&t, text.data, text.len, CLI_ESCAPE_ALL);
    } else {
        cli_text_puts(&t, sentence(err));
    }
    op_fail(op, error_name(err), cli_text_string(&t));
    cli_text_fini(&t);
}

static void op_fail_err(hub_barrel_op *op, pn_err err)
{
    op_fail_with(op, err, (pn_term){NULL, 0});
}

static void op_answer(hub_barrel_op *op, const char *key, pn_term value)
{
    cli_text t = {0};

    hub_answer_begin(&t, op->has_id, op->id, true);
    if (op->kind == OP_MONITOR) {
        cli_json_string(&t, "node", op->node);
        if (op->process != NULL) {
            cli_json_string(&t, "process", op->process);
        }
    }
    if (value.len > 0 && !hub_json_term(&t, op->as_text, key, value)) {
        cli_text_fini(&t);
        op_fail(op, "local", "the reply cannot be shown: out of memory");
        return;
    }
    op_finish(op, &t);
}

static void op_answer_remote(hub_barrel_op *op, pn_term reason)
{
    cli_text t = {0};

    hub_answer_begin(&t, op->has_id, op->id, false);
    cli_json_string(&t, "error", "remote");
    cli_json_string(&t, "message", "the node answered with an error");
    (void)hub_json_term(&t, op->as_text, "reason", reason);
    op_finish(op, &t);
}

/* ---- what the node reports ---------------------------------------------- */

/* True when somebody still waits for it. */
static bool op_awake(hub_barrel_op *op)
{
    op->node_owes = false;
    if (op->hub == NULL) {
        op_free(op);
        return false;
    }
    return true;
}

static void on_done(void *user, pn_err outcome, pn_term value)
{
    hub_barrel_op *op = user;

    if (!op_awake(op)) {
        return;
    }
    if (outcome == PN_OK) {
        op_answer(op, "value", value);
    } else if (outcome == PN_REMOTE) {
        op_answer_remote(op, value);
    } else {
        op_fail_with(op, outcome, value);
    }
}

/* Whatever it answers, what was sent before has arrived. */
static void on_confirmed(void *user, pn_err outcome, pn_term value)
{
    hub_barrel_op *op = user;

    if (!op_awake(op)) {
        return;
    }
    if (outcome == PN_OK || outcome == PN_REMOTE) {
        op_answer(op, NULL, (pn_term){NULL, 0});
    } else {
        op_fail_with(op, outcome, value);
    }
}

static void on_down(void *user, uint64_t monitor, pn_term reason)
{
    hub_barrel_op *op = user;

    (void)monitor;
    op->monitor = 0;
    if (op_awake(op)) {
        op_answer(op, "reason", reason);
    }
}

/* ---- going out ---------------------------------------------------------- */

/* {'$gen_cast', {cast, Mod, Fun, Args, user}} to rex: rpc:cast. */
static pn_err cast(const hub_barrel_op *op)
{
    pn_term_writer w;
    pn_term message;
    pn_err err;

    pn_term_writer_init(&w, 0);
    pn_term_write_tuple_begin(&w);
    pn_term_write_atom(&w, "$gen_cast");
    pn_term_write_tuple_begin(&w);
    pn_term_write_atom(&w, "cast");
    hub_write_module(&w, op->module);
    pn_term_write_atom(&w, op->function);
    pn_term_write_term(&w, op->args);
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

static pn_err send_message(const hub_barrel_op *op)
{
    pn_barrel *barrel = op->hub->barrel;

    if (op->kind == OP_CAST) {
        return cast(op);
    }
    if (op->pid.len > 0) {
        return pn_barrel_send_pid(barrel, op->pid_term, op->args);
    }
    return pn_barrel_send(barrel, op->node, op->process, op->args);
}

/* net_kernel answers this to everybody: net_adm:ping. */
static pn_err confirm(hub_barrel_op *op)
{
    pn_term_writer w;
    pn_term request;
    pn_err err;

    pn_term_writer_init(&w, 0);
    pn_term_write_tuple_begin(&w);
    pn_term_write_atom(&w, "is_auth");
    pn_term_write_atom(&w, pn_barrel_name(op->hub->barrel));
    pn_term_write_tuple_end(&w);
    err = pn_term_writer_finish(&w, NULL, &request);
    if (err == PN_OK) {
        err = pn_gen_call_async(op->hub->barrel, op->node, "net_kernel",
            request, op->timeout_ms, on_confirmed, op);
    }
    pn_term_writer_free(&w);
    return err;
}

static pn_err watch(hub_barrel_op *op)
{
    pn_barrel *barrel = op->hub->barrel;

    return op->pid.len > 0 ? pn_barrel_monitor_pid(
               barrel, op->pid_term, on_down, op, &op->monitor)
                           : pn_barrel_monitor(barrel, op->node, op->process,
                               on_down, op, &op->monitor);
}

/* The link is up. */
static void op_go(hub_barrel_op *op)
{
    pn_barrel *barrel = op->hub->barrel;
    pn_err err = PN_OK;

    switch (op->kind) {
    case OP_RPC:
        err = pn_rpc_async(barrel, op->node, op->module, op->function, op->args,
            op->timeout_ms, on_done, op);
        break;
    case OP_CALL:
        err = pn_gen_call_async(barrel, op->node, op->process, op->args,
            op->timeout_ms, on_done, op);
        break;
    case OP_SEND:
    case OP_CAST:
        err = send_message(op);
        if (err == PN_OK) {
            err = confirm(op);
        }
        break;
    case OP_MONITOR:
        err = watch(op);
        break;
    }
    op->node_owes = err == PN_OK;
    if (err == PN_NOT_CONNECTED && op->pid.len > 0) {
        op_fail(op, "bad-request", "the pid is one of another node");
    } else if (err != PN_OK) {
        op_fail_err(op, err);
    }
}

static void on_connected(void *user, pn_err outcome, pn_term value)
{
    hub_barrel_op *op = user;

    if (!op_awake(op)) {
        return;
    }
    if (outcome == PN_OK) {
        op_go(op);
    } else if (outcome == PN_TIMEOUT) {
        op_fail(op, "timeout", "no link to the node in time");
    } else {
        op_fail_with(op, outcome, value);
    }
}

/* ---- requests ----------------------------------------------------------- */

bool hub_is_about_node(const hub_request *request)
{
    return json_object_get(request->json, "node") != NULL;
}

/* {"$opaque": BASE64}, as a pid is printed in JSON. True when it is that, or
 * a name; false after an answer. */
static bool op_read_pid(hub_barrel_op *op, const hub_request *request)
{
    static const uint8_t version = 131;
    cli_json_error error;
    json_t *json;
    const char *text;
    bool is_pid;

    if (op->process == NULL || op->process[0] != '{') {
        return true;
    }
    json = cli_json_load(op->process, strlen(op->process), &error);
    text = json_string_value(json_object_get(json, "$opaque"));
    cli_text_add(&op->pid, &version, 1);
    is_pid = text != NULL && cli_base64_decode(&op->pid, text, strlen(text))
             && pn_term_parse(
                    op->pid.data, op->pid.len, NULL, &op->pid_term, NULL)
                    == PN_OK
             && pn_term_type_of(op->pid_term) == PN_TERM_OPAQUE;
    json_decref(json);
    if (!is_pid) {
        hub_answer_error(request, "bad-request",
            "expected a registered name, or a pid as {\"$opaque\": BASE64}");
    }
    return is_pid;
}

static bool copy_string(
    const hub_request *request, const char *key, bool needed, char **ret_copy)
{
    const char *text = NULL;

    if (!hub_string(request, key, needed, &text)) {
        return false;
    }
    *ret_copy = text == NULL ? NULL : strdup(text);
    if (text != NULL && *ret_copy == NULL) {
        hub_answer_error(request, "local", "out of memory");
        return false;
    }
    return true;
}

static bool op_read(hub_barrel_op *op, const hub_request *request)
{
    bool is_apply = op->kind == OP_RPC || op->kind == OP_CAST;
    const char *as = NULL;

    if (!copy_string(request, "node", true, &op->node)
        || !copy_string(request, "process",
            op->kind == OP_CALL || op->kind == OP_SEND, &op->process)
        || !copy_string(request, "module", is_apply, &op->module)
        || !copy_string(request, "function", is_apply, &op->function)
        || !hub_string(request, "as", false, &as)
        || !hub_milliseconds(
            request, "timeout", DEFAULT_TIMEOUT_MS, &op->timeout_ms)
        || !hub_milliseconds(request, "wait", DEFAULT_WAIT_MS, &op->wait_ms)
        || !op_read_pid(op, request)) {
        return false;
    }
    op->as_text = as != NULL && strcmp(as, "text") == 0;
    if (op->kind == OP_CALL && op->pid.len > 0) {
        hub_answer_error(request, "bad-request",
            "expected a registered name, a call to a pid is not possible");
        return false;
    }
    return true;
}

static bool op_read_term(hub_barrel_op *op, const hub_request *request)
{
    if (op->kind == OP_MONITOR) {
        return true;
    }
    if (op->kind == OP_RPC || op->kind == OP_CAST) {
        return hub_list(request, &op->writer, &op->args);
    }
    if (!hub_args(request, &op->writer)) {
        return false;
    }
    if (pn_term_writer_finish(&op->writer, NULL, &op->args) != PN_OK) {
        hub_answer_error(request, "local", "the term cannot be written");
        return false;
    }
    return true;
}

static void op_start(hub_barrel_op *op, cli_caller *caller)
{
    hub_barrel_op **end = &op->hub->barrel_ops;
    pn_err err;

    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = op;
    op->caller = caller;
    caller->n_pending++;
    err = pn_barrel_connect_async(
        op->hub->barrel, op->node, op->wait_ms, on_connected, op);
    op->node_owes = err == PN_OK;
    if (err != PN_OK) {
        op_fail_err(op, err);
    }
}

static void start(cli_hub *hub, const hub_request *request, op_kind kind)
{
    hub_barrel_op *op;

    if (hub->barrel == NULL) {
        hub_answer_error(request, "bad-request",
            "the running node has no Barrel link: it was started without "
            "'--barrel NAME@HOST'");
        return;
    }
    op = calloc(1, sizeof(*op));
    if (op == NULL) {
        hub_answer_error(request, "local", "out of memory");
        return;
    }
    op->hub = hub;
    op->id = request->id;
    op->has_id = request->has_id;
    op->kind = kind;
    pn_term_writer_init(&op->writer, 0);
    if (op_read(op, request) && op_read_term(op, request)) {
        op_start(op, request->caller);
    } else {
        op_free(op);
    }
}

void hub_node_call(cli_hub *hub, const hub_request *request)
{
    start(hub, request, OP_CALL);
}

void hub_node_send(cli_hub *hub, const hub_request *request)
{
    start(hub, request, OP_SEND);
}

void hub_node_rpc(cli_hub *hub, const hub_request *request)
{
    start(hub, request, OP_RPC);
}

void hub_node_cast(cli_hub *hub, const hub_request *request)
{
    start(hub, request, OP_CAST);
}

void hub_monitor(cli_hub *hub, const hub_request *request)
{
    start(hub, request, OP_MONITOR);
}

static void json_node(cli_text *t, const pn_barrel_node_info *n)
{
    static const pn_public_key none;
    bool has_key = !pn_key_equal(&n->key, &none);

    cli_json_open(t, NULL, '{');
    cli_json_string(t, "node", n->name);
    if (has_key) {
        hub_json_peer(t, &n->key, NULL);
    }
    cli_json_bool(t, "cookie_only", !has_key);
    cli_json_string(t, "address", n->address);
    cli_json_bool(t, "dialled_by_us", n->dialled_by_us);
    cli_json_int(t, "up_ms", (int64_t)n->up_ms);
    cli_json_close(t, '}');
}

void hub_nodes(cli_hub *hub, const hub_request *request)
{
    pn_barrel_node_info *nodes = NULL;
    size_t n = 0;
    cli_text t = {0};

    if (hub->barrel != NULL
        && pn_barrel_nodes(hub->barrel, &nodes, &n) != PN_OK) {
        hub_answer_error(request, "local", "out of memory");
        return;
    }
    hub_answer_begin(&t, request->has_id, request->id, true);
    cli_json_open(&t, "nodes", '[');
    for (size_t i = 0; i < n; i++) {
        json_node(&t, &nodes[i]);
    }
    cli_json_close(&t, ']');
    free(nodes);
    hub_answer_end(request->caller, &t);
}

/* ---- callers ------------------------------------------------------------ */

void hub_barrel_forget(cli_hub *hub, const cli_caller *caller)
{
    hub_barrel_op *next;

    for (hub_barrel_op *op = hub->barrel_ops; op != NULL; op = next) {
        next = op->next;
        if (op->caller != caller) {
            continue;
        }
        if (op->kind == OP_MONITOR) {
            op_end(op); /* nobody else would ever end it */
        } else {
            op->caller = NULL;
        }
    }
}

void hub_barrel_cancel(cli_hub *hub)
{
    /* Whoever is told may leave, and take others with it. */
    while (hub->barrel_ops != NULL) {
        hub_barrel_op *op = hub->barrel_ops;

        hub->barrel_ops = op->next;
        op_fail(op, "closed", "the node is closing");
    }
}

/* ---- the node ----------------------------------------------------------- */

pn_err hub_barrel_open(
    cli_hub *hub, const pn_barrel_options *options, cli_text *ret_error)
{
    pn_err err = pn_barrel_open(hub->node, options, &hub->barrel);

    if (err != PN_OK) {
        cli_text_puts(ret_error, pn_node_open_error());
    }
    return err;
}

const char *cli_hub_barrel_name(const cli_hub *hub)
{
    return hub->barrel == NULL ? NULL : pn_barrel_name(hub->barrel);
}

uint16_t cli_hub_barrel_port(const cli_hub *hub)
{
    return pn_barrel_port(hub->barrel);
}

pn_err cli_hub_pinned(cli_hub *hub, const char *node, pn_public_key *ret_key)
{
    return hub->barrel == NULL ? PN_STATE
                               : pn_barrel_pinned(hub->barrel, node, ret_key);
}

void hub_barrel_status(const cli_hub *hub, cli_text *t)
{
    char base32[PN_BASE32_LEN + 1];
    pn_public_key key;

    if (hub->barrel == NULL) {
        return;
    }
    pn_barrel_key(hub->barrel, &key);
    pn_key_to_base32(&key, base32);
    cli_json_string(t, "barrel", pn_barrel_name(hub->barrel));
    cli_json_int(t, "barrel_port", pn_barrel_port(hub->barrel));
    cli_json_string(t, "barrel_key", base32);
}

/* ---- counters ----------------------------------------------------------- */

typedef struct figure {
    const char *name;
    const char *type; /* NULL: the same metric as the line before */
    const char *help;
    const char *labels;
    size_t offset;
} figure;

#define FIGURE(name, type, help, labels, field)                                \
    {                                                                          \
        "peernet_barrel_" name, type, help, labels,                            \
            offsetof(pn_barrel_metrics, field)                                 \
    }

static const figure figures[] = {
    FIGURE("auth_attempts_total", "counter",
        "Authentications by role and outcome.",
        "{role=\"outgoing\",outcome=\"ok\"}", auth_ok_outgoing),
    FIGURE("auth_attempts_total", NULL, NULL,
        "{role=\"outgoing\",outcome=\"failed\"}", auth_fail_outgoing),
    FIGURE("auth_attempts_total", NULL, NULL,
        "{role=\"incoming\",outcome=\"ok\"}", auth_ok_incoming),
    FIGURE("auth_attempts_total", NULL, NULL,
        "{role=\"incoming\",outcome=\"failed\"}", auth_fail_incoming),
    FIGURE("new_pins_total", "counter", "Nodes pinned on first sight.", "",
        new_pins),
    FIGURE("links_up", "gauge", "Nodes connected now.", "", links_up),
    FIGURE("signals_total", "counter", "Signals of distribution.",
        "{direction=\"in\"}", signals_in),
    FIGURE("signals_total", NULL, NULL, "{direction=\"out\"}", signals_out),
    FIGURE("calls_total", "counter", "Calls of processes and functions.",
        "{direction=\"in\"}", calls_in),
    FIGURE("calls_total", NULL, NULL, "{direction=\"out\"}", calls_out),
    FIGURE("datagrams_total", "counter", "UDP datagrams.", "{direction=\"in\"}",
        datagrams_in),
    FIGURE("datagrams_total", NULL, NULL, "{direction=\"out\"}", datagrams_out),
    FIGURE("bytes_total", "counter", "Bytes of these datagrams.",
        "{direction=\"in\"}", bytes_in),
    FIGURE("bytes_total", NULL, NULL, "{direction=\"out\"}", bytes_out),
    FIGURE("retries_total", "counter", "QUIC Retry packets sent.", "",
        retries_sent),
};

static void add_durations(cli_text *t, const char *role, const char *outcome,
    uint64_t us, uint64_t count)
{
    static const char name[] = "peernet_barrel_auth_duration_seconds";

    cli_text_printf(t,
        "%s_sum{role=\"%s\",outcome=\"%s\"} %" PRIu64 ".%06" PRIu64 "\n", name,
        role, outcome, us / 1000000, us % 1000000);
    cli_text_printf(t, "%s_count{role=\"%s\",outcome=\"%s\"} %" PRIu64 "\n",
        name, role, outcome, count);
}

void hub_barrel_metrics(const cli_hub *hub, cli_text *t)
{
    pn_barrel_metrics m;

    if (hub->barrel == NULL) {
        return;
    }
    pn_barrel_get_metrics(hub->barrel, &m);
    for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
        const figure *f = &figures[i];
        uint64_t value;

        memcpy(&value, (const char *)&m + f->offset, sizeof(value));
        if (f->type != NULL) {
            cli_text_printf(t, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help,
                f->name, f->type);
        }
        cli_text_printf(t, "%s%s %" PRIu64 "\n", f->name, f->labels, value);
    }
    cli_text_puts(t, "# HELP peernet_barrel_auth_duration_seconds Time spent "
                     "in authentications.\n"
                     "# TYPE peernet_barrel_auth_duration_seconds summary\n");
    add_durations(
        t, "outgoing", "ok", m.auth_ok_us_outgoing, m.auth_ok_outgoing);
    add_durations(
        t, "outgoing", "failed", m.auth_fail_us_outgoing, m.auth_fail_outgoing);
    add_durations(
        t, "incoming", "ok", m.auth_ok_us_incoming, m.auth_ok_incoming);
    add_durations(
        t, "incoming", "failed", m.auth_fail_us_incoming, m.auth_fail_incoming);
}

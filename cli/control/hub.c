/* SPDX-License-Identifier: Apache-2.0 */
/* The hub's life, its node on the loop, its callers and their answers. */
#include "hub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mutant.h"
#include "hub_internal.h"
#include "nearest.h"
#include "peername.h"
#include "json/json.h"
#include "json/jsonout.h"

/* ---- answers ------------------------------------------------------------ */

void hub_answer_begin(cli_text *t, bool has_id, json_int_t id, bool ok)
{
    cli_json_open(t, NULL, '{');
    if (has_id) {
        cli_json_int(t, "id", id);
    }
    cli_json_bool(t, "ok", ok);
    cli_json_time(t, "time");
}

void hub_deliver(cli_caller *caller, const cli_text *line)
{
    if (caller != NULL && !caller->gone) {
        if (line->failed) {
            static const char error[] =
                "{\"ok\":false,\"error\":\"local\",\"message\":\"out of "
                "memory\"}";

            caller->deliver(caller->user, error, sizeof(error) - 1);
            return;
        }
        caller->deliver(caller->user, line->data, line->len);
    }
}

void hub_answer_end(cli_caller *caller, cli_text *t)
{
    cli_json_close(t, '}');
    hub_deliver(caller, t);
    cli_text_fini(t);
}

void hub_answer_ok(const hub_request *request)
{
    cli_text t = {0};

    hub_answer_begin(&t, request->has_id, request->id, true);
    hub_answer_end(request->caller, &t);
}

void hub_answer_error(
    const hub_request *request, const char *error, const char *format, ...)
{
    cli_text t = {0};
    char message[512];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    hub_answer_begin(&t, request->has_id, request->id, false);
    cli_json_string(&t, "error", error);
    cli_json_string(&t, "message", message);
    hub_answer_end(request->caller, &t);
}

const char *hub_error_name(pn_err err)
{
    switch (err) {
    case PN_REMOTE:
        return "remote";
    case PN_NOT_CONNECTED:
        return "not-connected";
    case PN_TIMEOUT:
        return "timeout";
    case PN_CLOSED:
        return "closed";
    case PN_BUSY:
        return "busy";
    case PN_TOO_LARGE:
    case PN_INVALID:
        return "bad-request";
    case PN_NOT_FOUND:
        return "no-such-peer";
    default:
        return "local";
    }
}

/* ---- fields of requests ------------------------------------------------- */

bool hub_string(const hub_request *request, const char *key, bool needed,
    const char **ret_string)
{
    const json_t *value = json_object_get(request->json, key);

    *ret_string = json_string_value(value);
    if ((value != NULL || needed)
        && (*ret_string == NULL
            || strlen(*ret_string) != json_string_length(value))) {
        hub_answer_error(
            request, "bad-request", "expected a string as \"%s\"", key);
        return false;
    }
    return true;
}

bool hub_milliseconds(const hub_request *request, const char *key,
    uint32_t fallback, uint32_t *ret_ms)
{
    const json_t *value = json_object_get(request->json, key);
    json_int_t ms = json_integer_value(value);

    if (value == NULL) {
        *ret_ms = fallback;
        return true;
    }
    if (!json_is_integer(value) || ms < 1 || ms > 86400000) {
        hub_answer_error(request, "bad-request",
            "expected 1 to 86400000 milliseconds as \"%s\"", key);
        return false;
    }
    *ret_ms = (uint32_t)ms;
    return true;
}

bool hub_peer(const hub_request *request, pn_public_key *ret_key)
{
    const char *name = NULL;
    cli_text why = {0};
    pn_err err;

    if (!hub_string(request, "peer", true, &name)) {
        return false;
    }
    err = cli_peer_of_node(request->hub->node, name, NULL, ret_key, &why);
    if (err != PN_OK) {
        /* No peer has the name, or more than one. */
        hub_answer_error(request,
            err == PN_INVALID ? "no-such-peer" : hub_error_name(err), "%s",
            cli_text_string(&why));
    }
    cli_text_fini(&why);
    return err == PN_OK;
}

/* ---- plain requests ----------------------------------------------------- */

static void hub_events(const hub_request *request)
{
    request->caller->wants_events = true;
    hub_answer_ok(request);
}

static void hub_reload(const hub_request *request)
{
    cli_hub *hub = request->hub;
    cli_text fields = {0};
    cli_text t = {0};
    const char *error;

    if (hub->on_reload == NULL) {
        hub_answer_error(request, "bad-request",
            "expected the node of 'peernet run', which has a configuration");
        return;
    }
    cli_json_open(&fields, NULL, '{');
    error = hub->on_reload(hub->on_reload_user, &fields);
    hub_answer_begin(&t, request->has_id, request->id, error == NULL);
    if (error != NULL) {
        cli_json_string(&t, "error", error);
    }
    if (fields.len > 1) {
        cli_text_putc(&t, ',');
        cli_text_add(&t, fields.data + 1, fields.len - 1);
    }
    cli_text_fini(&fields);
    hub_answer_end(request->caller, &t);
}

/* A text that is longer than a line, in several of them. */
static void hub_part(const hub_request *request)
{
    cli_text *parts = &request->caller->parts;
    const json_t *text = json_object_get(request->json, "text");
    size_t len = json_string_length(text);

    if (!json_is_string(text) || len > CLI_HUB_MAX_PARTS
        || parts->len > CLI_HUB_MAX_PARTS - len) {
        cli_text_clear(parts);
        hub_answer_error(request, "bad-request",
            "expected a string as \"text\", 24 MiB in all");
        return;
    }
    cli_text_add(parts, json_string_value(text), len);
    hub_answer_ok(request);
}

/* ---- requests ----------------------------------------------------------- */

static const struct {
    const char *name;
    hub_command *run;
    hub_op_kind kind;
} commands[] = {
    {"status", hub_status, 0},
    {"peers", hub_peers, 0},
    {"pair", hub_pair, 0},
    {"unpair", hub_unpair, 0},
    {"grant", hub_grant, 0},
    {"ungrant", hub_ungrant, 0},
    {"grants", hub_grants, 0},
    {"role", hub_role, 0},
    {"can", hub_can, 0},
    {"label", hub_label, 0},
    {"discovered", hub_discovered, 0},
    {"announce", hub_announce, 0},
    {"call", hub_start, HUB_OP_CALL},
    {"send", hub_start, HUB_OP_SEND},
    {"rpc", hub_start, HUB_OP_RPC},
    {"cast", hub_start, HUB_OP_CAST},
    {"monitor", hub_start, HUB_OP_MONITOR},
    {"nodes", hub_nodes, 0},
    {"chat", hub_chat, 0},
    {"metrics", hub_metrics, 0},
    {"events", hub_events, 0},
    {"reload", hub_reload, 0},
    {"part", hub_part, 0},
    {"hello", hub_hello, 0},
    {"expose", hub_expose, 0},
    {"unexpose", hub_unexpose, 0},
    {"reply", hub_serve_reply, 0},
    {"fail", hub_serve_fail, 0},
};

/* Of a caller that may do handle operations only: these, and no others. */
static bool is_for_guests(const char *name)
{
    static const char *const names[] = {
        "hello", "expose", "unexpose", "reply", "fail"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void answer_unknown(const hub_request *request, const char *name)
{
    cli_nearest nearest;
    cli_text t = {0};

    cli_nearest_init(&nearest, name, strlen(name));
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        cli_nearest_offer(&nearest, commands[i].name);
    }
    cli_nearest_say(&nearest, "\"", "\"", &t);
    hub_answer_error(request, "bad-request",
        "expected a command, found \"%s\"%s",
        strlen(name) <= 40 ? name : "a long string", cli_text_string(&t));
    cli_text_fini(&t);
}

void hub_dispatch(hub_request *request)
{
    const char *name = NULL;

    if (!hub_string(request, "cmd", true, &name)) {
        return;
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, name) != 0) {
            continue;
        }
        if (PN_REFUSE_IF(cli_guest_command,
                request->caller->guest_allow != NULL && !is_for_guests(name))) {
            hub_answer_error(request, "forbidden",
                "expected a handle operation: this socket is for nothing "
                "else");
        } else {
            request->kind = commands[i].kind;
            commands[i].run(request);
        }
        return;
    }
    answer_unknown(request, name);
}

void hub_take(
    hub_request *request, const json_t *json, const cli_json_error *error)
{
    const json_t *id = json_object_get(json, "id");

    request->json = json;
    request->id = json_integer_value(id);
    request->has_id = json_is_integer(id);
    if (json == NULL) {
        hub_answer_error(
            request, "bad-request", "expected a line of JSON: %s", error->text);
    } else if (!json_is_object(json) || (id != NULL && !request->has_id)) {
        hub_answer_error(request, "bad-request",
            "expected an object with an integer as \"id\"");
    } else if (request->caller->n_pending >= CLI_HUB_MAX_PENDING) {
        hub_answer_error(request, "busy", "%d requests have no answer yet",
            CLI_HUB_MAX_PENDING);
    } else if (request->reading != NULL || !hub_reads_first(request)) {
        hub_dispatch(request);
    }
}

void cli_hub_request(cli_caller *caller, const char *line, size_t len)
{
    hub_request request = {.hub = caller->hub, .caller = caller};
    cli_json_error error = {""};
    json_t *json;

    if (!hub_reads_line(caller, line, len)) {
        json = cli_json_load(line, len, &error);
        hub_take(&request, json, &error);
        json_decref(json);
    }
}

/* ---- callers ------------------------------------------------------------ */

cli_caller *cli_hub_join(cli_hub *hub, cli_deliver *deliver_line, void *user)
{
    cli_caller *caller = calloc(1, sizeof(*caller));

    if (caller == NULL) {
        return NULL;
    }
    caller->hub = hub;
    caller->deliver = deliver_line;
    caller->user = user;
    caller->next = hub->callers;
    hub->callers = caller;
    return caller;
}

void cli_hub_set_flow(cli_caller *caller, const cli_flow *flow)
{
    caller->flow = flow;
}

void cli_hub_restrict(cli_caller *caller, cli_guest_allow *allow, void *user)
{
    caller->guest_allow = allow;
    caller->guest_user = user;
}

/* A calling function may still use the caller, so it is freed in a later
 * turn. */
void cli_hub_leave(cli_caller *caller)
{
    if (caller == NULL || caller->gone) {
        return;
    }
    caller->gone = true;
    hub_readings_forget(caller->hub, caller);
    hub_ops_forget(caller->hub, caller);
    hub_chat_leave(caller);
    hub_serve_leave(caller);
}

static void free_gone(cli_hub *hub)
{
    cli_caller **at = &hub->callers;

    while (*at != NULL) {
        cli_caller *caller = *at;

        if (!caller->gone) {
            at = &caller->next;
            continue;
        }
        *at = caller->next;
        cli_text_fini(&caller->parts);
        free(caller);
    }
}

/* ---- the node on the loop ----------------------------------------------- */

static void run_node(cli_hub *hub)
{
    if (!hub->closing) {
        (void)!pn_node_run(hub->node);
    }
}

static void on_node_ready(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    run_node(poll->data);
}

static void on_node_timer(uv_timer_t *timer)
{
    run_node(timer->data);
}

/* Sets the time-out of the loop's wait. */
static void on_prepare(uv_prepare_t *prepare)
{
    cli_hub *hub = prepare->data;
    int ms = pn_node_timeout_ms(hub->node);

    free_gone(hub);
    if (ms < 0) {
        (void)uv_timer_stop(&hub->timer);
        return;
    }
    (void)uv_timer_start(&hub->timer, on_node_timer, (uint64_t)ms, 0);
}

static bool drive(cli_hub *hub)
{
    if (uv_poll_init(hub->loop, &hub->poll, pn_node_fd(hub->node)) != 0) {
        return false;
    }
    (void)uv_timer_init(hub->loop, &hub->timer);
    (void)uv_prepare_init(hub->loop, &hub->prepare);
    (void)uv_timer_init(hub->loop, &hub->minute);
    hub->n_handles = 4;
    hub->minute.data = hub;
    hub->poll.data = hub;
    hub->timer.data = hub;
    hub->prepare.data = hub;
    (void)uv_poll_start(&hub->poll, UV_READABLE, on_node_ready);
    (void)uv_prepare_start(&hub->prepare, on_prepare);
    (void)uv_timer_start(&hub->minute, hub_status_tick, CLI_REFUSAL_TICK_MS,
        CLI_REFUSAL_TICK_MS);
    return true;
}

static void on_handle_closed(uv_handle_t *handle)
{
    cli_hub *hub = handle->data;

    hub->n_handles--;
}

/* ---- life --------------------------------------------------------------- */

static int64_t wall_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void free_hub(cli_hub *hub)
{
    hub_dnssd_close(hub);
    free(hub);
}

pn_err cli_hub_open(uv_loop_t *loop, const cli_hub_options *options,
    cli_hub **ret_hub, cli_text *ret_error)
{
    pn_why why = {0};
    pn_node_options node_options = options->node;
    cli_hub *hub = calloc(1, sizeof(*hub));
    pn_err err;

    if (hub == NULL) {
        return PN_NOMEM;
    }
    hub->loop = loop;
    hub->verbose = options->verbose;
    hub->discovers = options->node.discovery != PN_DISCOVERY_NONE;
    hub->source = options->node.discovery_source;
    hub->quiet_on_new_networks = !options->node.announce_on_new_networks;
    hub->hears_only = options->node.discovery_listen_only;
    if (options->node.interfaces != NULL) {
        (void)snprintf(hub->interfaces, sizeof(hub->interfaces), "%s",
            options->node.interfaces);
    }
    hub->opened_at_us = wall_us();
    if (options->node.own_label != NULL) {
        (void)snprintf(hub->own_label, sizeof(hub->own_label), "%s",
            options->node.own_label);
    }
    hub->discovery_port = options->node.discovery_port;
    hub->max_reply = options->max_reply == 0 ? CLI_HUB_MAX_REPLY
                                             : options->max_reply;
    node_options.own_loop = true;
    node_options.on_event = hub_on_event;
    node_options.on_log = hub_on_log;
    node_options.user = hub;
    err = hub_dnssd_open(hub, options, &node_options, &why);
    hub->discovers = hub->discovers || hub->dnssd != NULL;
    if (err == PN_OK) {
        err = pn_node_open(&node_options, &hub->node, &why);
    }
    if (err != PN_OK) {
        cli_text_puts(ret_error, why.text);
        free_hub(hub);
        return err;
    }
    err = options->chat ? hub_chat_open(hub) : PN_OK;
    if (err == PN_OK && options->barrel != NULL) {
        err = hub_barrel_open(hub, options->barrel, &why);
    }
    hub->offload = cli_offload_new(loop);
    if (err == PN_OK && hub->offload == NULL) {
        err = PN_NOMEM;
    }
    if (err == PN_OK && !drive(hub)) {
        err = PN_SYS;
    }
    if (err == PN_OK) {
        run_node(hub); /* reports the events of opening */
    }
    if (err != PN_OK) {
        cli_text_puts(
            ret_error, why.text[0] != '\0' ? why.text : pn_strerror(err));
        cli_hub_free(hub);
        return err;
    }
    *ret_hub = hub;
    return PN_OK;
}

static void close_offload(cli_hub *hub)
{
    cli_offload *offload = hub->offload;

    hub->offload = NULL; /* the loop runs meanwhile */
    cli_offload_close(offload);
}

void cli_hub_close(cli_hub *hub)
{
    hub_ops_cancel(hub);
    close_offload(hub);
    hub->closing = true;
    uv_close((uv_handle_t *)&hub->poll, on_handle_closed);
    uv_close((uv_handle_t *)&hub->timer, on_handle_closed);
    uv_close((uv_handle_t *)&hub->prepare, on_handle_closed);
    uv_close((uv_handle_t *)&hub->minute, on_handle_closed);
    while (hub->n_handles > 0) {
        (void)uv_run(hub->loop, UV_RUN_ONCE);
    }
}

void cli_hub_on_pins(cli_hub *hub, void (*callback)(void *user), void *user)
{
    hub->on_pins = callback;
    hub->on_pins_user = user;
}

void cli_hub_on_reload(
    cli_hub *hub, const char *(*callback)(void *user, cli_text *t), void *user)
{
    hub->on_reload = callback;
    hub->on_reload_user = user;
}

void cli_hub_set_verbose(cli_hub *hub, bool is_verbose)
{
    hub->verbose = is_verbose;
}

bool cli_hub_will_linger(const cli_hub *hub)
{
    return pn_node_will_linger(hub->node);
}

void cli_hub_free(cli_hub *hub)
{
    if (hub == NULL) {
        return;
    }
    for (cli_caller *c = hub->callers; c != NULL; c = c->next) {
        cli_hub_leave(c);
    }
    free_gone(hub);
    close_offload(hub);
    pn_node_close(hub->node);
    free_hub(hub);
}

pn_node *cli_hub_node(cli_hub *hub)
{
    return hub->node;
}

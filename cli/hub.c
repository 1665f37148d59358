/* SPDX-License-Identifier: Apache-2.0 */
/* The hub's life, its node on the loop, its callers, its plain requests. */
#include "hub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "escape.h"
#include "hub_internal.h"
#include "json.h"
#include "jsonout.h"
#include "peername.h"

/* ---- answers ------------------------------------------------------------ */

void hub_answer_begin(cli_text *t, bool has_id, json_int_t id, bool ok)
{
    cli_json_open(t, NULL, '{');
    if (has_id) {
        cli_json_int(t, "id", id);
    }
    cli_json_bool(t, "ok", ok);
}

static void deliver(cli_caller *caller, const cli_text *line)
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
    deliver(caller, t);
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

void hub_json_peer(cli_text *t, const pn_public_key *key, const char *label)
{
    char base32[PN_BASE32_LEN + 1];
    char fingerprint[PN_FINGERPRINT_LEN + 1];

    pn_key_to_base32(key, base32);
    pn_key_fingerprint(key, fingerprint);
    cli_json_string(t, "key", base32);
    cli_json_string(t, "fingerprint", fingerprint);
    if (label != NULL) {
        cli_json_string(t, "label", label);
    }
}

/* ---- events ------------------------------------------------------------- */

void hub_event_begin(cli_text *t, const char *name)
{
    struct timespec now;
    struct tm utc;
    char text[40];
    size_t n;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(
        text + n, sizeof(text) - n, ".%03ldZ", now.tv_nsec / 1000000);
    cli_json_open(t, NULL, '{');
    cli_json_string(t, "event", name);
    cli_json_string(t, "time", text);
}

static bool wants(const cli_caller *c, const pn_public_key *chat_key)
{
    return c->wants_events
           || (chat_key != NULL && c->wants_chat
               && pn_key_equal(&c->chat_key, chat_key));
}

void hub_broadcast(
    cli_hub *hub, const cli_text *line, const pn_public_key *chat_key)
{
    for (cli_caller *c = hub->callers; c != NULL; c = c->next) {
        if (wants(c, chat_key)) {
            deliver(c, line);
        }
    }
}

static heard *find_heard(cli_hub *hub, const pn_event *event)
{
    for (size_t i = 0; i < MAX_HEARD; i++) {
        heard *h = &hub->heard[i];

        if (h->used && pn_key_equal(&h->key, event->key)
            && strcmp(h->address, event->address) == 0) {
            return h;
        }
    }
    return NULL;
}

static void remember_heard(cli_hub *hub, const pn_event *event)
{
    heard *h = event->key == NULL ? NULL : find_heard(hub, event);

    if (event->type == PN_EVENT_LOST && h != NULL) {
        h->used = false;
    }
    if (event->type != PN_EVENT_DISCOVERED || event->key == NULL || h != NULL) {
        return;
    }
    h = &hub->heard[hub->next_heard++ % MAX_HEARD];
    h->used = true;
    h->key = *event->key;
    (void)snprintf(h->address, sizeof(h->address), "%s", event->address);
    (void)snprintf(h->source, sizeof(h->source), "%s", event->text);
}

/* How many links to peers are up, or with key, whether it is a peer's: nodes of
 * a cluster have keys and links, too. */
static unsigned count_peers(const cli_hub *hub, const pn_public_key *key)
{
    pn_peer_info *peers = NULL;
    unsigned found = 0;
    size_t n = 0;

    if (pn_list_peers(hub->node, &peers, &n) != PN_OK) {
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        found += key == NULL ? peers[i].state == PN_PEER_UP
                             : pn_key_equal(&peers[i].key, key);
    }
    free(peers);
    return found;
}

static void remember_end(cli_hub *hub, const pn_event *event)
{
    if (event->type == PN_EVENT_PEER_DOWN
        && (hub->barrel == NULL || count_peers(hub, event->key) > 0)) {
        hub->last_end_ms = uv_hrtime() / 1000000;
    } else if (event->type == PN_EVENT_DIAL_FAILED && event->key != NULL
               && event->reason == PN_REASON_NOT_PAIRED_THERE) {
        /* It was up for the peer, or may have been. */
        hub->last_end_ms = uv_hrtime() / 1000000;
    }
}

static void on_event(void *user, const pn_event *event)
{
    cli_hub *hub = user;
    cli_text t = {0};

    remember_end(hub, event);
    remember_heard(hub, event);
    hub_event_begin(&t, pn_event_name(event->type));
    if (event->key != NULL) {
        hub_json_peer(&t, event->key, event->label);
    }
    if (event->address[0] != '\0') {
        cli_json_string(&t, "address", event->address);
    }
    if (event->reason != PN_REASON_NONE) {
        cli_json_string(&t, "reason", pn_reason_text(event->reason));
    }
    if (event->text[0] != '\0') {
        cli_json_string(&t, "text", event->text);
    }
    cli_json_close(&t, '}');
    hub_broadcast(hub, &t, NULL);
    cli_text_fini(&t);
    hub_ops_event(hub, event);
}

static const char *const level_names[] = {"debug", "info", "warning", "error"};

/* What an event, or the answer of whoever asked, says as well. */
static bool is_told(const pn_log_event *event)
{
    static const char *const told[] = {"denied", "Barrel authentication failed",
        "outgoing authentication failed"};

    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        if (strcmp(event->what, told[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* To standard error, one write per line: it may come from any thread. */
static void on_log(void *user, const pn_log_event *event)
{
    cli_hub *hub = user;
    cli_text t = {0};

    if (!hub->verbose && (event->level < PN_LOG_WARNING || is_told(event))) {
        return;
    }
    cli_text_printf(
        &t, "peernet: %s: %s", level_names[event->level & 3], event->what);
    if (event->peer != NULL) {
        cli_text_printf(&t, " %s", event->peer);
    }
    if (event->text != NULL) {
        cli_text_printf(&t, ": %s", event->text);
    }
    if (event->reason != PN_REASON_NONE) {
        cli_text_printf(&t, " (%s)", pn_reason_text(event->reason));
    }
    if (event->sys_errno != 0) {
        cli_text_printf(&t, ": %s", strerror(event->sys_errno));
    }
    if (event->n_suppressed > 0) {
        cli_text_printf(
            &t, " and %llu more", (unsigned long long)event->n_suppressed);
    }
    cli_text_putc(&t, '\n');
    (void)!write(STDERR_FILENO, cli_text_string(&t), t.len);
    cli_text_fini(&t);
}

void cli_hub_log(cli_hub *hub, const char *format, ...)
{
    char line[640];
    va_list args;
    int n;

    (void)hub;
    va_start(args, format);
    n = vsnprintf(line, sizeof(line) - 1, format, args);
    va_end(args);
    if (n > 0) {
        size_t len = (size_t)n < sizeof(line) - 2 ? (size_t)n
                                                  : sizeof(line) - 2;

        line[len++] = '\n';
        (void)!write(STDERR_FILENO, line, len);
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

bool hub_peer(cli_hub *hub, const hub_request *request, pn_public_key *ret_key)
{
    const char *name = NULL;
    cli_text why = {0};
    pn_err err;

    if (!hub_string(request, "peer", true, &name)) {
        return false;
    }
    err = cli_peer_of_node(hub->node, name, ret_key, &why);
    if (err != PN_OK) {
        hub_answer_error(
            request, hub_error_name(err), "%s", cli_text_string(&why));
    }
    cli_text_fini(&why);
    return err == PN_OK;
}

/* ---- plain requests ----------------------------------------------------- */

static void hub_status(cli_hub *hub, const hub_request *request)
{
    cli_text t = {0};

    hub_answer_begin(&t, request->has_id, request->id, true);
    cli_json_string(&t, "version", PN_VERSION);
    cli_json_int(&t, "pid", getpid());
    hub_json_peer(&t, pn_node_key(hub->node), NULL);
    cli_json_int(&t, "port", pn_node_port(hub->node));
    hub_barrel_status(hub, &t);
    hub_answer_end(request->caller, &t);
}

static const char *const state_names[] = {
    [PN_PEER_IDLE] = "idle",
    [PN_PEER_WAITING] = "waiting",
    [PN_PEER_DIALLING] = "dialling",
    [PN_PEER_UP] = "up",
};

static void json_peer_info(cli_text *t, const pn_peer_info *p)
{
    cli_json_open(t, NULL, '{');
    hub_json_peer(t, &p->key, p->label);
    cli_json_string(t, "state", state_names[p->state & 3]);
    cli_json_string(t, "address", p->address);
    cli_json_bool(t, "dialled_by_us", p->dialled_by_us);
    cli_json_int(t, "up_ms", (int64_t)p->up_ms);
    cli_json_int(t, "last_seen_ms", p->last_seen_ms);
    cli_json_int(t, "rtt_us", (int64_t)p->rtt_us);
    cli_json_string(t, "last_reason", pn_reason_text(p->last_reason));
    cli_json_int(t, "added_at_us", p->added_at_us);
    cli_json_close(t, '}');
}

static void hub_peers(cli_hub *hub, const hub_request *request)
{
    pn_peer_info *peers = NULL;
    size_t n = 0;
    pn_err err = pn_list_peers(hub->node, &peers, &n);
    cli_text t = {0};

    if (err != PN_OK) {
        hub_answer_error(request, hub_error_name(err), "%s", pn_strerror(err));
        return;
    }
    hub_answer_begin(&t, request->has_id, request->id, true);
    cli_json_open(&t, "peers", '[');
    for (size_t i = 0; i < n; i++) {
        json_peer_info(&t, &peers[i]);
    }
    cli_json_close(&t, ']');
    free(peers);
    hub_answer_end(request->caller, &t);
}

static void hub_pair(cli_hub *hub, const hub_request *request)
{
    const char *text = NULL;
    const char *label = NULL;
    const char *address = NULL;
    pn_public_key key;
    pn_err err;
    cli_text t = {0};

    if (!hub_string(request, "key", true, &text)
        || !hub_string(request, "label", false, &label)
        || !hub_string(request, "address", false, &address)) {
        return;
    }
    if (pn_key_parse(text, &key) != PN_OK) {
        hub_answer_error(request, "bad-request",
            "expected 52 characters of Base32 or 64 hexadecimal digits as "
            "\"key\"");
        return;
    }
    err = pn_pair_at(hub->node, &key, label, address);
    if (err != PN_OK && err != PN_EXISTS) {
        hub_answer_error(request, hub_error_name(err), "not paired: %s",
            err == PN_INVALID ? "our own key, or a label or address that "
                                "cannot be stored"
                              : pn_strerror(err));
        return;
    }
    hub_answer_begin(&t, request->has_id, request->id, true);
    hub_json_peer(&t, &key, NULL);
    cli_json_bool(&t, "was_paired", err == PN_EXISTS);
    hub_answer_end(request->caller, &t);
}

static void hub_unpair(cli_hub *hub, const hub_request *request)
{
    pn_public_key key;
    pn_err err;
    cli_text t = {0};

    if (!hub_peer(hub, request, &key)) {
        return;
    }
    err = pn_unpair(hub->node, &key);
    if (err != PN_OK) {
        hub_answer_error(request, hub_error_name(err),
            "the peer is cut off, but the trust list could not be "
            "written: %s",
            pn_strerror(err));
        return;
    }
    hub_answer_begin(&t, request->has_id, request->id, true);
    hub_json_peer(&t, &key, NULL);
    hub_answer_end(request->caller, &t);
}

static void hub_discovered(cli_hub *hub, const hub_request *request)
{
    cli_text t = {0};

    hub_answer_begin(&t, request->has_id, request->id, true);
    cli_json_bool(&t, "discovers", hub->discovers);
    cli_json_open(&t, "discovered", '[');
    for (size_t i = 0; i < MAX_HEARD; i++) {
        const heard *h = &hub->heard[i];

        if (h->used) {
            cli_json_open(&t, NULL, '{');
            hub_json_peer(&t, &h->key, NULL);
            cli_json_string(&t, "address", h->address);
            cli_json_string(&t, "text", h->source);
            cli_json_close(&t, '}');
        }
    }
    cli_json_close(&t, ']');
    hub_answer_end(request->caller, &t);
}

/* Prometheus text as an object: each sample a key, comments left out. */
static void json_metrics(cli_text *t, char *text)
{
    char *save = NULL;

    cli_json_open(t, "metrics", '{');
    for (char *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        char *value = strrchr(line, ' ');

        if (line[0] != '#' && value != NULL) {
            cli_text key = {0};

            cli_escape_json(&key, line, (size_t)(value - line));
            cli_json_raw(
                t, cli_text_string(&key), value + 1, strlen(value + 1));
            cli_text_fini(&key);
        }
    }
    cli_json_close(t, '}');
}

static void hub_metrics(cli_hub *hub, const hub_request *request)
{
    const char *as = NULL;
    char *text = NULL;
    size_t len = 0;
    pn_err err;
    cli_text all = {0};
    cli_text t = {0};

    if (!hub_string(request, "as", false, &as)) {
        return;
    }
    err = pn_node_metrics_text(hub->node, &text, &len);
    if (err != PN_OK) {
        hub_answer_error(request, hub_error_name(err), "%s", pn_strerror(err));
        return;
    }
    cli_text_add(&all, text, len);
    free(text);
    hub_barrel_metrics(hub, &all);
    if (all.failed) {
        cli_text_fini(&all);
        hub_answer_error(request, "local", "out of memory");
        return;
    }
    hub_answer_begin(&t, request->has_id, request->id, true);
    if (as != NULL && strcmp(as, "text") == 0) {
        cli_json_bytes(&t, "text", all.data, all.len);
    } else {
        json_metrics(&t, all.data);
    }
    cli_text_fini(&all);
    hub_answer_end(request->caller, &t);
}

static void hub_events(cli_hub *hub, const hub_request *request)
{
    (void)hub;
    request->caller->wants_events = true;
    hub_answer_ok(request);
}

/* A text that is longer than a line, in several of them. */
static void hub_part(cli_hub *hub, const hub_request *request)
{
    cli_text *parts = &request->caller->parts;
    const json_t *text = json_object_get(request->json, "text");
    size_t len = json_string_length(text);

    (void)hub;
    if (!json_is_string(text) || len > CLI_HUB_MAX_PARTS
        || parts->len > CLI_HUB_MAX_PARTS - len) {
        cli_text_clear(parts);
        hub_answer_error(request, "bad-request",
            "expected a string as \"text\", 4 MiB in all");
        return;
    }
    cli_text_add(parts, json_string_value(text), len);
    hub_answer_ok(request);
}

/* ---- requests ----------------------------------------------------------- */

static const struct {
    const char *name;
    hub_command *run;
} commands[] = {
    {"status", hub_status},
    {"peers", hub_peers},
    {"pair", hub_pair},
    {"unpair", hub_unpair},
    {"discovered", hub_discovered},
    {"call", hub_call},
    {"send", hub_send},
    {"rpc", hub_rpc},
    {"cast", hub_cast},
    {"monitor", hub_monitor},
    {"nodes", hub_nodes},
    {"chat", hub_chat},
    {"metrics", hub_metrics},
    {"events", hub_events},
    {"part", hub_part},
};

static void dispatch(cli_hub *hub, const hub_request *request)
{
    const char *name = NULL;

    if (!hub_string(request, "cmd", true, &name)) {
        return;
    }
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, name) == 0) {
            commands[i].run(hub, request);
            return;
        }
    }
    hub_answer_error(request, "bad-request", "expected a command, found \"%s\"",
        strlen(name) <= 40 ? name : "a long string");
}

void cli_hub_request(cli_caller *caller, const char *line, size_t len)
{
    cli_json_error error = {""};
    json_t *json = cli_json_load(line, len, &error);
    const json_t *id = json_object_get(json, "id");
    hub_request request = {.caller = caller,
        .json = json,
        .id = json_integer_value(id),
        .has_id = json_is_integer(id)};

    if (json == NULL) {
        hub_answer_error(
            &request, "bad-request", "expected a line of JSON: %s", error.text);
    } else if (!json_is_object(json) || (id != NULL && !request.has_id)) {
        hub_answer_error(&request, "bad-request",
            "expected an object with an integer as \"id\"");
    } else if (caller->n_pending >= CLI_HUB_MAX_PENDING) {
        hub_answer_error(&request, "busy", "%d requests have no answer yet",
            CLI_HUB_MAX_PENDING);
    } else {
        dispatch(caller->hub, &request);
    }
    json_decref(json);
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

/* Somebody up the stack may still hold it, so it is freed later. */
void cli_hub_leave(cli_caller *caller)
{
    if (caller == NULL || caller->gone) {
        return;
    }
    caller->gone = true;
    hub_ops_forget(caller->hub, caller);
    hub_barrel_forget(caller->hub, caller);
    hub_chat_leave(caller);
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

/* Before the loop sleeps: until when may it? */
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
    hub->n_handles = 3;
    hub->poll.data = hub;
    hub->timer.data = hub;
    hub->prepare.data = hub;
    (void)uv_poll_start(&hub->poll, UV_READABLE, on_node_ready);
    (void)uv_prepare_start(&hub->prepare, on_prepare);
    return true;
}

static void on_handle_closed(uv_handle_t *handle)
{
    cli_hub *hub = handle->data;

    hub->n_handles--;
}

/* ---- life --------------------------------------------------------------- */

pn_err cli_hub_open(uv_loop_t *loop, const cli_hub_options *options,
    cli_hub **ret_hub, cli_text *ret_error)
{
    pn_node_options node_options = options->node;
    cli_hub *hub = calloc(1, sizeof(*hub));
    pn_err err;

    if (hub == NULL) {
        return PN_NOMEM;
    }
    hub->loop = loop;
    hub->verbose = options->verbose;
    hub->discovers = options->node.discovery != PN_DISCOVERY_NONE;
    hub->linger_ms = options->node.linger_ms;
    node_options.own_loop = true;
    node_options.on_event = on_event;
    node_options.on_log = on_log;
    node_options.user = hub;
    err = pn_node_open(&node_options, &hub->node);
    if (err != PN_OK) {
        cli_text_puts(ret_error, pn_node_open_error());
        free(hub);
        return err;
    }
    err = options->chat ? hub_chat_open(hub) : PN_OK;
    if (err == PN_OK && options->barrel != NULL) {
        err = hub_barrel_open(hub, options->barrel, ret_error);
    }
    if (err == PN_OK && !drive(hub)) {
        err = PN_SYS;
    }
    if (err != PN_OK) {
        if (ret_error->len == 0) {
            cli_text_puts(ret_error, pn_strerror(err));
        }
        cli_hub_free(hub);
        return err;
    }
    *ret_hub = hub;
    return PN_OK;
}

void cli_hub_close(cli_hub *hub)
{
    hub_ops_cancel(hub);
    hub_barrel_cancel(hub);
    hub->closing = true;
    uv_close((uv_handle_t *)&hub->poll, on_handle_closed);
    uv_close((uv_handle_t *)&hub->timer, on_handle_closed);
    uv_close((uv_handle_t *)&hub->prepare, on_handle_closed);
    while (hub->n_handles > 0) {
        (void)uv_run(hub->loop, UV_RUN_ONCE);
    }
}

bool cli_hub_will_linger(const cli_hub *hub)
{
    return hub->linger_ms > 0 && pn_node_port(hub->node) != 0
           && (count_peers(hub, NULL) > 0
               || (hub->last_end_ms > 0
                   && uv_hrtime() / 1000000 - hub->last_end_ms
                          < hub->linger_ms));
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
    pn_node_close(hub->node);
    free(hub);
}

pn_node *cli_hub_node(cli_hub *hub)
{
    return hub->node;
}

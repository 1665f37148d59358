/* SPDX-License-Identifier: Apache-2.0 */
/* events, metrics: commands that change nothing. */
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "control/std_output.h"
#include "peer_text.h"
#include "reason_text.h"
#include "json/jsonout.h"

/* ---- events ------------------------------------------------------------- */

/* "2026-01-02T03:04:05.678Z" as hours, minutes and seconds here. */
static void add_local_time(cli_text *t, const char *utc)
{
    struct tm local;
    char text[16];
    time_t seconds;

    if (!cli_time_parse(utc, &seconds)) {
        return;
    }
    (void)localtime_r(&seconds, &local);
    (void)strftime(text, sizeof(text), "%H:%M:%S ", &local);
    cli_text_puts(t, text);
}

static void add_field(cli_text *t, const json_t *event, const char *key)
{
    const json_t *value = json_object_get(event, key);

    if (json_is_integer(value)) {
        cli_text_printf(t, " %lld", (long long)json_integer_value(value));
    } else if (json_is_string(value) && json_string_length(value) > 0) {
        cli_text_putc(t, ' ');
        cli_escape(t, json_string_value(value), json_string_length(value),
            CLI_ESCAPE_FIELD);
    }
}

/* Adds the reason at the end of the line, because it is a sentence. Changes of
 * trust and events of a cluster's node need none. */
static void add_reason(cli_text *t, const json_t *event)
{
    const char *reason = cli_field(event, "reason");

    if (reason[0] != '\0' && cli_field(event, "change")[0] == '\0'
        && cli_field(event, "detail")[0] == '\0') {
        cli_text_puts(t, ": ");
        cli_text_puts(t, cli_reason_sentence_of(reason));
    }
}

static void event_to_text(cli_text *t, const json_t *event)
{
    static const char *const fields[] = {
        "source", "handle", "function", "change", "addresses", "detail"};
    const char *name = cli_field(event, "event");
    const json_t *text = json_object_get(event, "text");

    if (strcmp(name, "chat") == 0) {
        cli_text_puts(t, "chat            ");
        cli_add_who(t, event);
        cli_text_puts(t, ": ");
        if (text == NULL) {
            cli_text_printf(t, "(%s)", cli_field(event, "detail"));
        }
        cli_escape(t, json_string_value(text), json_string_length(text),
            CLI_ESCAPE_ALL);
        return;
    }
    cli_text_printf(t, "%-15s", name);
    if (json_object_get(event, "key") != NULL) {
        cli_text_putc(t, ' ');
        cli_add_who(t, event);
    }
    add_field(t, event, "address");
    if (json_object_get(event, "count") != NULL) {
        cli_text_printf(t, " %lld more in the last minute:",
            (long long)json_integer_value(json_object_get(event, "count")));
        add_field(t, event, "of");
    }
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        add_field(t, event, fields[i]);
    }
    add_reason(t, event);
}

void cli_event_to_text(cli_text *t, const json_t *event)
{
    add_local_time(t, cli_field(event, "time"));
    event_to_text(t, event);
}

/* The journal has the time itself, and keeps the fields. */
static void log_event(const json_t *event)
{
    const char *name = cli_field(event, "event");
    const cli_log_fields fields = {
        .priority = strcmp(name, "denied") == 0 ? 5 : 6,
        .event = name,
        .peer = cli_field(event, "fingerprint"),
        .label = cli_field(event, "label"),
        .address = cli_field(event, "address"),
        .reason = cli_field(event, "reason"),
        .handle = cli_field(event, "handle"),
    };
    cli_text t = {0};

    event_to_text(&t, event);
    cli_output_log(STDOUT_FILENO, &fields, &t);
}

static void print_event(
    void *user, const json_t *event, const char *line, size_t len)
{
    const cli_app *app = user;
    cli_text t = {0};

    if (json_object_get(event, "event") == NULL) {
        return; /* the answer to a request */
    }
    if (!app->json && cli_output_is_journal(STDOUT_FILENO)) {
        log_event(event);
        return;
    }
    if (app->json) {
        cli_text_add(&t, line, len);
    } else {
        cli_event_to_text(&t, event);
    }
    cli_print_event(&t);
}

cli_exit cli_print_events(const cli_app *app, cli_session *session)
{
    cli_answer answer = {0};
    cli_exit status;

    session->on_event = print_event;
    session->user = (void *)(uintptr_t)app;
    status = cli_ask_one(app, session, "events", NULL, NULL, &answer);
    cli_answer_fini(&answer);
    return status;
}

/* Waits for a signal, which is the normal end. */
static cli_exit watch(const cli_app *app, cli_session *session, uint64_t ms)
{
    cli_session_wait(session, ms);
    if (session->is_closed) {
        return cli_fail_node(app, session);
    }
    return CLI_OK;
}

static cli_exit watch_events(const cli_app *app, cli_session *session)
{
    cli_exit status = cli_print_events(app, session);

    return status == CLI_OK ? watch(app, session, 0) : status;
}

cli_exit cli_cmd_events(const cli_app *app)
{
    return cli_in_session(app, watch_events);
}

/* ---- metrics ------------------------------------------------------------ */

static cli_exit print_metrics(const cli_app *app, cli_session *session)
{
    cli_answer answer = {0};
    cli_text t = {0};
    cli_exit status = cli_ask_one(
        app, session, "metrics", "as", app->json ? "json" : "text", &answer);

    if (status == CLI_OK && app->json) {
        cli_print_objects(json_object_get(answer.json, "metrics"));
    } else if (status == CLI_OK) {
        cli_text_puts(&t, cli_field(answer.json, "text"));
        cli_print_text(&t);
    }
    cli_answer_fini(&answer);
    return status;
}

cli_exit cli_cmd_metrics(const cli_app *app)
{
    return cli_in_session(app, print_metrics);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* discover, events, metrics: commands that only look. */
#include <string.h>

#include "commands.h"
#include "escape.h"
#include "jsonout.h"

/* Announces are not authenticated: somebody may make them up. */
#define MAX_SEEN ((size_t)1 << 20)

/* ---- events ------------------------------------------------------------- */

/* "2026-01-02T03:04:05.678Z" as hours, minutes and seconds here. */
static void add_local_time(cli_text *t, const char *utc)
{
    struct tm tm;
    struct tm local;
    char text[16];
    time_t seconds;

    memset(&tm, 0, sizeof(tm));
    if (strptime(utc, "%Y-%m-%dT%H:%M:%S", &tm) == NULL) {
        return;
    }
    seconds = timegm(&tm);
    (void)localtime_r(&seconds, &local);
    (void)strftime(text, sizeof(text), "%H:%M:%S ", &local);
    cli_text_puts(t, text);
}

static void add_field(cli_text *t, const json_t *event, const char *key)
{
    const json_t *value = json_object_get(event, key);

    if (json_is_string(value) && json_string_length(value) > 0) {
        cli_text_putc(t, ' ');
        cli_escape(t, json_string_value(value), json_string_length(value),
            CLI_ESCAPE_FIELD);
    }
}

void cli_event_to_text(cli_text *t, const json_t *event)
{
    const char *name = cli_field(event, "event");
    const json_t *text = json_object_get(event, "text");

    add_local_time(t, cli_field(event, "time"));
    if (strcmp(name, "chat") == 0) {
        cli_text_puts(t, "chat            ");
        cli_add_who(t, event);
        cli_text_puts(t, ": ");
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
    add_field(t, event, "reason");
    if (strcmp(cli_field(event, "reason"), cli_field(event, "text")) != 0) {
        add_field(t, event, "text");
    }
}

static void print_event(
    void *user, const json_t *event, const char *line, size_t len)
{
    const cli_app *app = user;
    cli_text t = {0};

    if (app->json) {
        cli_text_add(&t, line, len);
    } else {
        cli_event_to_text(&t, event);
    }
    cli_print(&t);
    cli_text_fini(&t);
}

/* Asks for something; the answer must be good. */
static cli_exit ask(const cli_app *app, cli_session *session, const char *cmd,
    const char *as, cli_answer *ret_answer)
{
    cli_text t = {0};

    cli_request_begin(session, &t, cmd);
    if (as != NULL) {
        cli_json_string(&t, "as", as);
    }
    if (!cli_request_end(session, &t, ret_answer)
        || !json_is_true(json_object_get(ret_answer->json, "ok"))) {
        return cli_fail_answer(app, session, ret_answer);
    }
    return CLI_OK;
}

/* Until a signal, which is how it is meant to end. */
static cli_exit watch(const cli_app *app, cli_session *session, uint64_t ms)
{
    cli_session_wait(session, ms);
    if (cli_session_is_closed(session)) {
        return cli_fail(app, CLI_LOCAL, "the node has ended");
    }
    return CLI_OK;
}

cli_exit cli_cmd_events(const cli_args *args)
{
    cli_app app;
    cli_session *session = NULL;
    cli_answer answer = {0};
    cli_exit status = cli_app_init(&app, args);

    if (status == CLI_OK) {
        status = cli_app_session(&app, &session);
    }
    if (status != CLI_OK) {
        return status;
    }
    cli_session_on_event(session, print_event, &app);
    status = ask(&app, session, "events", NULL, &answer);
    if (status == CLI_OK) {
        status = watch(&app, session, 0);
    }
    cli_answer_fini(&answer);
    cli_session_close(session);
    return status;
}

/* ---- discover ----------------------------------------------------------- */

/* Who was printed already: a peer may be known and announce itself again. */
typedef struct discovery {
    const cli_app *app;
    cli_text seen; /* "KEY ADDRESS\n" of each */
} discovery;

static void print_found(discovery *d, const json_t *found)
{
    cli_text id = {0};
    cli_text t = {0};

    cli_text_printf(
        &id, "%s %s\n", cli_field(found, "key"), cli_field(found, "address"));
    if (d->seen.len < MAX_SEEN
        && strstr(cli_text_string(&d->seen), cli_text_string(&id)) == NULL) {
        cli_text_add(&d->seen, id.data, id.len);
        if (d->app->json) {
            cli_json_open(&t, NULL, '{');
            cli_json_string(&t, "key", cli_field(found, "key"));
            cli_json_string(&t, "fingerprint", cli_field(found, "fingerprint"));
            cli_json_string(&t, "address", cli_field(found, "address"));
            cli_json_string(&t, "source", cli_field(found, "text"));
            cli_json_close(&t, '}');
        } else {
            cli_text_printf(&t, "%s  %-21s  %s", cli_field(found, "key"),
                cli_field(found, "address"), cli_field(found, "text"));
        }
        cli_print(&t);
    }
    cli_text_fini(&id);
    cli_text_fini(&t);
}

static void on_discovery_event(
    void *user, const json_t *event, const char *line, size_t len)
{
    (void)line;
    (void)len;
    if (strcmp(cli_field(event, "event"), "discovered") == 0) {
        print_found(user, event);
    }
}

/* A node that runs may have heard something before; one of ours cannot. */
static cli_exit check_discovers(
    const cli_app *app, const cli_session *session, const json_t *known)
{
    if (json_is_true(json_object_get(known, "discovers"))) {
        return CLI_OK;
    }
    if (!cli_session_is_remote(session)) {
        return cli_fail(
            app, CLI_USAGE, "expected '--discovery udp', found 'none'");
    }
    cli_warn("the running node was started with --discovery none");
    return CLI_OK;
}

static cli_exit discover(
    const cli_app *app, cli_session *session, uint32_t seconds)
{
    discovery d = {.app = app};
    cli_answer events = {0};
    cli_answer known = {0};
    const json_t *found;
    size_t i;
    cli_exit status;

    cli_session_on_event(session, on_discovery_event, &d);
    status = ask(app, session, "events", NULL, &events);
    if (status == CLI_OK) {
        status = ask(app, session, "discovered", NULL, &known);
    }
    if (status == CLI_OK) {
        status = check_discovers(app, session, known.json);
    }
    if (status == CLI_OK) {
        json_array_foreach(json_object_get(known.json, "discovered"), i, found)
        {
            print_found(&d, found);
        }
        status = watch(app, session, (uint64_t)seconds * 1000);
    }
    cli_answer_fini(&events);
    cli_answer_fini(&known);
    cli_text_fini(&d.seen);
    return status;
}

cli_exit cli_cmd_discover(const cli_args *args)
{
    cli_app app;
    cli_session *session = NULL;
    cli_text error = {0};
    uint32_t seconds = 0;
    cli_exit status = cli_app_init(&app, args);

    if (status == CLI_OK
        && !cli_args_number(args, "seconds", 1, 86400, 6, &seconds, &error)) {
        status = cli_fail(&app, CLI_USAGE, "%s", cli_text_string(&error));
    }
    cli_text_fini(&error);
    if (status == CLI_OK) {
        status = cli_app_session(&app, &session);
    }
    if (status == CLI_OK) {
        status = discover(&app, session, seconds);
        cli_session_close(session);
    }
    return status;
}

/* ---- metrics ------------------------------------------------------------ */

cli_exit cli_cmd_metrics(const cli_args *args)
{
    cli_app app;
    cli_session *session = NULL;
    cli_answer answer = {0};
    cli_text t = {0};
    cli_exit status = cli_app_init(&app, args);

    if (status == CLI_OK) {
        status = cli_app_session(&app, &session);
    }
    if (status != CLI_OK) {
        return status;
    }
    status = ask(&app, session, "metrics", app.json ? "json" : "text", &answer);
    if (status == CLI_OK && app.json) {
        cli_text_add(&t, answer.line.data, answer.line.len);
        cli_print(&t);
    } else if (status == CLI_OK) {
        (void)fputs(cli_field(answer.json, "text"), stdout);
    }
    cli_text_fini(&t);
    cli_answer_fini(&answer);
    cli_session_close(session);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* listen: prints each message to a handle that it serves; and what it shares
 * with serve. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "peer_text.h"
#include "serve.h"
#include "json/json.h"
#include "json/jsonout.h"

/* The text of a reply goes in one line. */
#define MAX_REPLY_TEXT 8192

/* ---- shared with serve ------------------------------------------------------
 */

const cli_option cli_allow_option_table[] = {
    {"allow", 'A', "PEER|paired...", .help = "who may use HANDLE"},
    {.name = NULL},
};

cli_exit cli_expose_handle(const cli_app *app, cli_session *session,
    const char *handle, uint32_t timeout_ms)
{
    cli_answer answer = {0};
    cli_text t = {0};
    const char *peer;
    cli_exit status;
    unsigned i = 0;

    if (cli_args_value(app->args, "allow") == NULL) {
        return cli_fail(app, CLI_USAGE,
            "expected '--allow PEER' or '--allow paired': nobody may use '%s' "
            "yet",
            handle);
    }
    cli_request_begin(session, &t, "expose");
    cli_json_string(&t, "handle", handle);
    if (timeout_ms > 0) {
        cli_json_int(&t, "timeout", timeout_ms);
    }
    cli_json_open(&t, "allow", '[');
    while ((peer = cli_args_next(app->args, "allow", &i)) != NULL) {
        cli_json_string(&t, NULL, peer);
    }
    cli_json_close(&t, ']');
    status = cli_ask(app, session, &t, &answer);
    cli_answer_fini(&answer);
    return status;
}

bool cli_is_message(const json_t *event, bool *ret_is_call)
{
    const char *name = cli_field(event, "event");

    *ret_is_call = strcmp(name, "request") == 0;
    return *ret_is_call || strcmp(name, "message") == 0;
}

void cli_warn_dropped(const json_t *event)
{
    if (strcmp(cli_field(event, "event"), "dropped") == 0) {
        cli_warn("%lld messages to '%s' were dropped: this program was slower "
                 "than they came",
            (long long)json_integer_value(json_object_get(event, "count")),
            cli_field(event, "handle"));
    }
}

cli_exit cli_serve_session(const cli_app *app, cli_session **ret_session)
{
    return cli_app_needed(app,
        "a handle is served through one: start it with 'peernet run'",
        ret_session);
}

/* ---- listen
 * ------------------------------------------------------------------ */

typedef struct listening {
    const cli_app *app;
    cli_session *session;
    cli_text reply; /* as text */
    uint32_t count; /* 0: until interrupted */
    uint32_t n;
    json_int_t last; /* the request whose answer ends the command; 0: none */
} listening;

/* Fills a listening. */
const cli_option cli_listen_option_table[] = {
    {"reply", 0, "TERM", .help = "what a call is answered; default :ok"},
    {"count", 'c', "N", .help = "end after so many messages", .kind = CLI_U32,
        .offset = offsetof(listening, count), .min = 1, .max = UINT32_MAX},
    {.name = NULL},
};

/* As 'call' prints a reply. */
static void print_args(const json_t *args)
{
    cli_json_error error = {""};
    pn_term term = {NULL, 0};
    cli_text t = {0};
    pn_term_writer w;
    char *text = NULL;
    size_t len = 0;

    pn_term_writer_init(&w, CLI_HUB_NODE_TERM_MAX);
    if (cli_json_to_term(args, &w, &error) == PN_OK
        && pn_term_writer_finish(&w, NULL, &term) == PN_OK
        && pn_term_to_text(term, &text, &len) == PN_OK) {
        cli_escape(&t, text, len, CLI_ESCAPE_ALL);
        cli_print_event(&t);
    } else {
        cli_warn("a message cannot be shown: %s", error.text);
    }
    free(text);
    pn_term_writer_free(&w);
}

static json_int_t send_reply(listening *l, const json_t *event)
{
    cli_text t = {0};

    cli_request_begin(l->session, &t, "reply");
    cli_json_int(
        &t, "request", json_integer_value(json_object_get(event, "request")));
    cli_json_bytes(&t, "term", l->reply.data, l->reply.len);
    (void)cli_request_end(l->session, &t, NULL);
    return l->session->next_id;
}

/* A reply that is on its way is confirmed before the command ends. */
static void take_message(listening *l, const json_t *event, bool is_call)
{
    json_int_t sent = is_call ? send_reply(l, event) : 0;

    l->n++;
    if (l->n == l->count) {
        l->last = sent;
        if (sent == 0) {
            cli_session_end_wait(l->session);
        }
    }
}

static void on_line(
    void *user, const json_t *event, const char *line, size_t len)
{
    listening *l = user;
    bool is_call = false;
    bool is_message = cli_is_message(event, &is_call);
    bool is_over = l->count > 0 && l->n == l->count;
    cli_text t = {0};

    if (json_object_get(event, "event") == NULL) {
        if (l->last != 0
            && json_integer_value(json_object_get(event, "id")) == l->last) {
            cli_session_end_wait(l->session);
        }
        return;
    }
    cli_warn_dropped(event);
    if (is_over || !is_message) {
        return;
    }
    if (l->app->json) {
        cli_text_add(&t, line, len);
        cli_print_event(&t);
    } else {
        print_args(json_object_get(event, "args"));
    }
    take_message(l, event, is_call);
}

static cli_exit read_reply(listening *l)
{
    const char *word = cli_args_value(l->app->args, "reply");
    cli_exit status = cli_read_term(
        l->app, word == NULL ? ":ok" : word, false, &l->reply);

    if (status == CLI_OK && l->reply.len > MAX_REPLY_TEXT) {
        status = cli_fail(l->app, CLI_USAGE,
            "expected a term of at most %d bytes after '--reply'",
            MAX_REPLY_TEXT);
    }
    return status;
}

cli_exit cli_cmd_listen(const cli_app *app)
{
    listening l = {.app = app};
    cli_exit status = cli_read_options(app, cli_listen_option_table, &l);

    if (status == CLI_OK) {
        status = read_reply(&l);
    }
    if (status == CLI_OK) {
        status = cli_serve_session(app, &l.session);
    }
    if (status == CLI_OK) {
        l.session->on_event = on_line;
        l.session->user = &l;
        status = cli_expose_handle(app, l.session, app->args->positional[0], 0);
        if (status == CLI_OK) {
            cli_session_wait(l.session, 0);
            if (l.session->is_closed) {
                status = cli_fail_node(app, l.session);
            }
        }
        cli_session_close(l.session);
    }
    cli_text_fini(&l.reply);
    return status;
}

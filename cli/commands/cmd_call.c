/* SPDX-License-Identifier: Apache-2.0 */
/* call, send, rpc, cast, monitor. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "barrel.h"
#include "commands.h"
#include "peer_text.h"
#include "json/json.h"
#include "json/jsonout.h"

#define MAX_STDIN ((size_t)4 << 20)

/* ---- the term ----------------------------------------------------------- */

static cli_exit read_stdin(const cli_app *app, size_t max, cli_text *ret_text)
{
    char buf[4096];
    ssize_t n;

    while ((n = read(STDIN_FILENO, buf, sizeof(buf))) > 0) {
        cli_text_add(ret_text, buf, (size_t)n);
        if (ret_text->len > max) {
            return cli_fail(app, CLI_USAGE,
                "expected at most %zu MiB on standard input", max >> 20);
        }
    }
    /* A cut term is refused, because its first part may be a term too. */
    return n == 0 ? CLI_OK
                  : cli_fail(
                      app, CLI_LOCAL, "standard input: %s", strerror(errno));
}

/* A word or a line without any of the signs that terms are made of. */
static bool is_bare_text(const char *text, size_t len)
{
    return len > 0 && len <= 60 && strcspn(text, "\"'%{}[]<>:~?#\\\n") == len
           && (text[0] & 0x80 || (text[0] | 0x20) >= 'a')
           && (text[0] & 0x80 || (text[0] | 0x20) <= 'z');
}

/* Shows the place of the mistake in a term: the text up to there, then a
 * mark. */
static cli_exit fail_term(const cli_app *app, const char *text, size_t len,
    const pn_text_error *where)
{
    size_t from = where->offset > 30 ? where->offset - 30 : 0;
    size_t offset = where->offset < len ? where->offset : len;
    cli_text found = {0};

    cli_text_printf(&found, "expected %s, found ", where->expected);
    while (from > 0 && ((unsigned char)text[from] & 0xc0) == 0x80) {
        from--;
    }
    if (offset == len) {
        cli_text_puts(&found, "nothing");
    } else {
        cli_quote(&found, text + offset, len - offset, 30);
    }
    if (offset > 0) {
        cli_text_puts(&found, from > 0 ? " after '..." : " after '");
        cli_escape(&found, text + from, offset - from, CLI_ESCAPE_ALL);
        cli_text_putc(&found, '\'');
    }
    if (is_bare_text(text, len)) {
        cli_text_puts(&found, ": a text is written '\"");
        cli_escape(&found, text, len, CLI_ESCAPE_ALL);
        cli_text_puts(&found, "\"'");
    }
    return cli_fail_text(app, CLI_USAGE, &found);
}

/* Converts JSON to the text of the same term, because the node reads one
 * syntax. The conversion checks the term. */
static cli_exit json_to_text(const cli_app *app, size_t max, cli_text *text)
{
    cli_json_error error = {""};
    pn_term_writer w;
    pn_term term = {NULL, 0};
    char *printed = NULL;
    size_t len = 0;
    cli_exit status = CLI_OK;

    pn_term_writer_init(&w, max);
    if (cli_json_text_to_term(cli_text_string(text), text->len, &w, &error)
            != PN_OK
        || pn_term_writer_finish(&w, NULL, &term) != PN_OK
        || pn_term_to_text(term, &printed, &len) != PN_OK) {
        status = cli_fail(
            app, CLI_USAGE, "expected a term as JSON: %s", error.text);
    } else {
        cli_text_clear(text);
        cli_text_add(text, printed, len);
    }
    free(printed);
    pn_term_writer_free(&w);
    return status;
}

static cli_exit check_text(const cli_app *app, size_t max, const cli_text *text)
{
    pn_text_error where = {0, ""};
    pn_term_writer w;
    pn_err err;
    cli_exit status = CLI_OK;

    pn_term_writer_init(&w, max);
    err = pn_term_from_text(&w, cli_text_string(text), text->len, NULL, &where);
    if (err == PN_INVALID || (err == PN_LIMIT && where.expected[0] != '\0')) {
        status = fail_term(app, cli_text_string(text), text->len, &where);
    } else if (err != PN_OK) {
        status = cli_fail(
            app, CLI_USAGE, "the term is too large: %s", pn_strerror(err));
    } else if (pn_term_writer_finish(&w, NULL, NULL) == PN_INVALID) {
        status = cli_fail(app, CLI_USAGE,
            "expected each key of a map once: one has the same key twice");
    }
    pn_term_writer_free(&w);
    return status;
}

cli_exit cli_read_term(
    const cli_app *app, const char *word, bool is_node, cli_text *ret_text)
{
    size_t max = is_node ? CLI_HUB_NODE_TERM_MAX : 0;
    cli_exit status = CLI_OK;

    if (strcmp(word, "-") == 0) {
        status = read_stdin(
            app, is_node ? CLI_HUB_MAX_PARTS : MAX_STDIN, ret_text);
    } else {
        cli_text_puts(ret_text, word);
    }
    if (status != CLI_OK) {
        return status;
    }
    return cli_args_flag(app->args, "json-term")
               ? json_to_text(app, max, ret_text)
               : check_text(app, max, ret_text);
}

/* ---- the request -------------------------------------------------------- */

typedef struct call {
    const char *cmd;
    bool is_node;       /* PEER is one of an Erlang cluster */
    const char *handle; /* NULL: the default of rpc; a process of a node */
    const char *module;
    const char *function;
    cli_text term;
    cli_text at; /* numeric, "A,B,..."; "": where it is known */
    uint32_t timeout_ms;
    uint32_t wait_ms;
    const char *peer;
    char waits_for[16]; /* "reply", "confirmation"; else for a link */
    char waits_at[64];
} call;

/* Both fill a call. */
const cli_option cli_timeout_option_table[] = {
    {"timeout", 't', "MS",
        .help = "how long to wait for the reply; default 5000", .kind = CLI_U32,
        .offset = offsetof(call, timeout_ms), .min = 1, .max = 86400000},
    {.name = NULL},
};

const cli_option cli_wait_option_table[] = {
    {"wait", 'w', "MS", .help = "how long to wait for a link; default 7000",
        .kind = CLI_U32, .offset = offsetof(call, wait_ms), .min = 1,
        .max = 86400000},
    {.name = NULL},
};

static cli_exit read_options(const cli_app *app, call *c)
{
    const char *at = cli_args_value(app->args, "at");
    cli_text error = {0};
    cli_exit status;

    c->timeout_ms = 5000;
    c->wait_ms = 7000;
    if (c->is_node && at != NULL) {
        return cli_fail(app, CLI_USAGE,
            "expected '--node NAME@HOST=HOST:PORT' for a node of an Erlang "
            "cluster, found '--at'");
    }
    if (c->is_node && cli_args_flag(app->args, "handle")) {
        return cli_fail(app, CLI_USAGE,
            "expected no '--handle' for a node of an Erlang cluster");
    }
    status = cli_read_options(app, cli_timeout_option_table, c);
    if (status == CLI_OK) {
        status = cli_read_options(app, cli_wait_option_table, c);
    }
    if (status == CLI_OK && at != NULL) {
        status = cli_resolve(at, &c->at, &error);
    }
    return error.len > 0 ? cli_fail_text(app, status, &error) : status;
}

/* True at a terminal, where a person reads notices. */
static bool wants_notices(const cli_app *app)
{
    return !app->json && isatty(STDERR_FILENO) == 1;
}

static void on_notice(
    void *user, const json_t *event, const char *line, size_t len)
{
    call *c = user;

    (void)line;
    (void)len;
    if (strcmp(cli_field(event, "event"), "waiting") == 0) {
        (void)snprintf(
            c->waits_for, sizeof(c->waits_for), "%s", cli_field(event, "what"));
        (void)snprintf(c->waits_at, sizeof(c->waits_at), "%s",
            cli_field(event, "address"));
    }
}

/* The answer takes longer than a person at a terminal expects. */
static void on_slow(void *user)
{
    const call *c = user;
    cli_text t = {0};

    cli_escape(&t, c->peer, strlen(c->peer), CLI_ESCAPE_FIELD);
    if (strcmp(c->waits_for, "reply") == 0) {
        cli_warn("%s has the call: waiting for its reply, %u s at most",
            cli_text_string(&t), (c->timeout_ms + 999) / 1000);
    } else if (strcmp(c->waits_for, "confirmation") == 0) {
        cli_warn("%s has the message: waiting for its confirmation, %u s at "
                 "most",
            cli_text_string(&t), (c->timeout_ms + 999) / 1000);
    } else {
        cli_warn("waiting for a link to %s%s%s, %u s at most",
            cli_text_string(&t), c->waits_at[0] == '\0' ? "" : " at ",
            c->waits_at, (c->wait_ms + 999) / 1000);
    }
    cli_text_fini(&t);
}

static cli_exit ask(
    const cli_app *app, cli_session *s, const call *c, cli_answer *ret_answer)
{
    cli_text body = {0};
    cli_text t = {0};

    /* Parts are sent first, with numbers of their own. */
    if (c->term.len > 0
        && !cli_request_term(s, &body, c->term.data, c->term.len)) {
        cli_text_fini(&body);
        return cli_fail_answer(app, s, ret_answer);
    }
    cli_request_begin(s, &t, c->cmd);
    cli_json_string(&t, c->is_node ? "node" : "peer", app->args->positional[0]);
    if (c->handle != NULL) {
        cli_json_string(&t, c->is_node ? "process" : "handle", c->handle);
    }
    if (c->module != NULL) {
        cli_json_string(&t, "module", c->module);
        cli_json_string(&t, "function", c->function);
    }
    if (c->at.len > 0) {
        cli_json_string(&t, "at", cli_text_string(&c->at));
    }
    cli_json_int(&t, "timeout", c->timeout_ms);
    /* With an explicit --wait the node goes on after a failure that may be
     * repaired meanwhile. */
    if (cli_args_flag(app->args, "wait")) {
        cli_json_int(&t, "wait", c->wait_ms);
    }
    if (wants_notices(app)) {
        cli_json_bool(&t, "notices", true);
    }
    cli_json_string(&t, "as", app->json ? "json" : "text");
    if (body.len > 0) {
        cli_text_putc(&t, ',');
        cli_text_add(&t, body.data, body.len);
    }
    cli_text_fini(&body);
    return cli_ask(app, s, &t, ret_answer);
}

/* The reply; of a monitor NODE [PROCESS] down: REASON. */
static void print_reply(
    const cli_app *app, const call *c, const cli_answer *answer)
{
    static const char *const subject[] = {"node", "process"};
    const json_t *text = json_object_get(answer->json, "text");
    bool is_down = c->term.len == 0;
    cli_text t = {0};

    if (app->json) {
        cli_text_add(&t, answer->line.data, answer->line.len);
        cli_print(&t);
        return;
    }
    for (size_t i = 0; is_down && i < 2; i++) {
        const char *field = cli_field(answer->json, subject[i]);

        if (field[0] != '\0') {
            cli_escape(&t, field, strlen(field), CLI_ESCAPE_ALL);
            cli_text_putc(&t, ' ');
        }
    }
    if (text != NULL || is_down) {
        cli_text_puts(&t, is_down ? "down: " : "");
        cli_escape(&t, json_string_value(text), json_string_length(text),
            CLI_ESCAPE_ALL);
        cli_print(&t);
    }
}

static cli_exit open_for(
    const cli_app *app, const call *c, cli_session **ret_session)
{
    cli_exit status;

    if (c->is_node) {
        status = cli_check_node(app, app->args->positional[0]);
        return status == CLI_OK ? cli_barrel_session(app, ret_session) : status;
    }
    status = cli_barrel_check_unused(app, "NODE@HOST as PEER");
    return status == CLI_OK ? cli_app_session(app, ret_session) : status;
}

/* term NULL: there is none. */
static cli_exit run_call(const cli_app *app, call *c, const char *term)
{
    cli_session *session = NULL;
    cli_answer answer = {0};
    cli_exit status;

    c->is_node = term == NULL || cli_is_node(app->args->positional[0]);
    status = read_options(app, c);
    if (status == CLI_OK && term != NULL) {
        status = cli_read_term(app, term, c->is_node, &c->term);
    }
    if (status == CLI_OK) {
        status = open_for(app, c, &session);
    }
    if (status == CLI_OK) {
        session->allowed_ms = term == NULL
                                  ? CLI_FOR_EVER
                                  : (uint64_t)c->wait_ms + c->timeout_ms;
        c->peer = app->args->positional[0];
        if (wants_notices(app) && term != NULL) {
            session->on_event = on_notice;
            session->on_slow = on_slow;
            session->user = c;
        }
        status = ask(app, session, c, &answer);
        if (status == CLI_OK) {
            print_reply(app, c, &answer);
        }
        cli_answer_fini(&answer);
        cli_session_close(session);
    }
    cli_text_fini(&c->term);
    cli_text_fini(&c->at);
    return status;
}

cli_exit cli_cmd_call(const cli_app *app)
{
    const cli_args *args = app->args;
    const char *nil = cli_args_flag(args, "json-term") ? "null" : "nil";
    call c = {.cmd = args->command->name, .handle = args->positional[1]};

    return run_call(
        app, &c, args->n_positional > 2 ? args->positional[2] : nil);
}

cli_exit cli_cmd_rpc(const cli_app *app)
{
    const cli_args *args = app->args;
    call c = {.cmd = args->command->name,
        .handle = cli_args_value(args, "handle"),
        .module = args->positional[1],
        .function = args->positional[2]};

    return run_call(app, &c, args->positional[3]);
}

cli_exit cli_cmd_monitor(const cli_app *app)
{
    call c = {.cmd = app->args->command->name,
        .handle = app->args->n_positional > 1 ? app->args->positional[1]
                                              : NULL};

    return run_call(app, &c, NULL);
}

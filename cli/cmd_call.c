/* SPDX-License-Identifier: Apache-2.0 */
/* call, send, rpc, cast, monitor. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "barrel.h"
#include "commands.h"
#include "escape.h"
#include "json.h"
#include "jsonout.h"

#define MAX_STDIN ((size_t)4 << 20)

/* ---- the term ----------------------------------------------------------- */

static cli_exit read_stdin(const cli_app *app, cli_text *ret_text)
{
    char buf[4096];
    ssize_t n;

    while ((n = read(STDIN_FILENO, buf, sizeof(buf))) > 0) {
        cli_text_add(ret_text, buf, (size_t)n);
        if (ret_text->len > MAX_STDIN) {
            return cli_fail(
                app, CLI_USAGE, "expected at most 4 MiB on standard input");
        }
    }
    /* Half a term may be a term, too. */
    return n == 0 ? CLI_OK
                  : cli_fail(
                      app, CLI_LOCAL, "standard input: %s", strerror(errno));
}

/* Shows where a term stopped being one: the text up to there, then a mark. */
static cli_exit fail_term(const cli_app *app, const char *text, size_t len,
    const pn_text_error *where)
{
    size_t from = where->offset > 30 ? where->offset - 30 : 0;
    size_t offset = where->offset < len ? where->offset : len;
    cli_text found = {0};
    cli_exit status;

    while (from > 0 && ((unsigned char)text[from] & 0xc0) == 0x80) {
        from--;
    }
    if (offset == len) {
        cli_text_puts(&found, "nothing");
    } else {
        cli_text_putc(&found, '\'');
        cli_escape(&found, text + offset, len - offset, 30);
        cli_text_putc(&found, '\'');
    }
    if (offset > 0) {
        cli_text_puts(&found, from > 0 ? " after '..." : " after '");
        cli_escape(&found, text + from, offset - from, CLI_ESCAPE_ALL);
        cli_text_putc(&found, '\'');
    }
    status = cli_fail(app, CLI_USAGE, "expected %s, found %s", where->expected,
        cli_text_string(&found));
    cli_text_fini(&found);
    return status;
}

/* JSON becomes the text of the same term: one line, one syntax from here. */
static cli_exit json_to_text(const cli_app *app, cli_text *text)
{
    cli_json_error error = {""};
    pn_term_writer w;
    pn_term term = {NULL, 0};
    char *printed = NULL;
    size_t len = 0;
    cli_exit status = CLI_OK;

    pn_term_writer_init(&w, 0);
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

static cli_exit check_text(const cli_app *app, const cli_text *text)
{
    pn_text_error where = {0, ""};
    pn_term_writer w;
    pn_err err;
    cli_exit status = CLI_OK;

    pn_term_writer_init(&w, 0);
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

/* The argument as text that is a term for sure. */
static cli_exit read_term(
    const cli_app *app, const char *word, cli_text *ret_text)
{
    cli_exit status = CLI_OK;

    if (strcmp(word, "-") == 0) {
        status = read_stdin(app, ret_text);
    } else {
        cli_text_puts(ret_text, word);
    }
    if (status == CLI_OK && cli_args_flag(app->args, "json-term")) {
        status = json_to_text(app, ret_text);
    }
    return status == CLI_OK ? check_text(app, ret_text) : status;
}

/* ---- the request -------------------------------------------------------- */

typedef struct call {
    const char *cmd;
    bool is_node;       /* PEER is one of an Erlang cluster */
    const char *handle; /* NULL: the default of rpc; a process of a node */
    const char *module;
    const char *function;
    cli_text term;
    char at[64]; /* numeric; "": where it is known */
    uint32_t timeout_ms;
    uint32_t wait_ms;
} call;

static cli_exit read_options(const cli_app *app, call *c)
{
    const char *at = cli_args_value(app->args, "at");
    cli_text error = {0};
    cli_exit status = CLI_OK;

    if (c->is_node && at != NULL) {
        return cli_fail(app, CLI_USAGE,
            "expected '--node NAME@HOST=HOST:PORT' for a node of an Erlang "
            "cluster, found '--at'");
    }
    if (c->is_node && cli_args_flag(app->args, "handle")) {
        return cli_fail(app, CLI_USAGE,
            "expected no '--handle' for a node of an Erlang cluster");
    }
    if (!cli_args_number(
            app->args, "timeout", 1, 86400000, 5000, &c->timeout_ms, &error)
        || !cli_args_number(
            app->args, "wait", 1, 86400000, 7000, &c->wait_ms, &error)
        || (at != NULL && !cli_resolve(at, c->at, &error))) {
        status = cli_fail(app, CLI_USAGE, "%s", cli_text_string(&error));
    }
    cli_text_fini(&error);
    return status;
}

static bool request(
    const cli_app *app, cli_session *s, const call *c, cli_answer *answer)
{
    cli_text body = {0};
    cli_text t = {0};
    bool good = c->term.len == 0
                || cli_request_term(s, &body, c->term.data, c->term.len);

    /* Parts went first, with numbers of their own. */
    cli_request_begin(s, &t, c->cmd);
    cli_json_string(&t, c->is_node ? "node" : "peer", app->args->positional[0]);
    if (c->handle != NULL) {
        cli_json_string(&t, c->is_node ? "process" : "handle", c->handle);
    }
    if (c->module != NULL) {
        cli_json_string(&t, "module", c->module);
        cli_json_string(&t, "function", c->function);
    }
    if (c->at[0] != '\0') {
        cli_json_string(&t, "at", c->at);
    }
    cli_json_int(&t, "timeout", c->timeout_ms);
    cli_json_int(&t, "wait", c->wait_ms);
    cli_json_string(&t, "as", app->json ? "json" : "text");
    if (good && body.len > 0) {
        cli_text_putc(&t, ',');
        cli_text_add(&t, body.data, body.len);
    }
    cli_text_fini(&body);
    if (!good) {
        cli_text_fini(&t);
        return false;
    }
    return cli_request_end(s, &t, answer);
}

static void print_reply(const cli_app *app, const cli_answer *answer)
{
    const json_t *text = json_object_get(answer->json, "text");
    cli_text t = {0};

    if (app->json) {
        cli_text_add(&t, answer->line.data, answer->line.len);
        cli_print(&t);
    } else if (text != NULL) {
        cli_escape(&t, json_string_value(text), json_string_length(text),
            CLI_ESCAPE_ALL);
        cli_print(&t);
    }
    cli_text_fini(&t);
}

/* NODE [PROCESS] down: REASON. */
static void print_down(const cli_answer *answer)
{
    static const char *const fields[] = {"node", "process"};
    const json_t *text = json_object_get(answer->json, "text");
    cli_text t = {0};

    for (size_t i = 0; i < 2; i++) {
        const char *field = cli_field(answer->json, fields[i]);

        if (field[0] != '\0') {
            cli_escape(&t, field, strlen(field), CLI_ESCAPE_ALL);
            cli_text_putc(&t, ' ');
        }
    }
    cli_text_puts(&t, "down: ");
    cli_escape(
        &t, json_string_value(text), json_string_length(text), CLI_ESCAPE_ALL);
    cli_print(&t);
    cli_text_fini(&t);
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
        status = read_term(app, term, &c->term);
    }
    if (status == CLI_OK) {
        status = open_for(app, c, &session);
    }
    if (status == CLI_OK) {
        if (request(app, session, c, &answer)
            && json_is_true(json_object_get(answer.json, "ok"))) {
            if (term == NULL && !app->json) {
                print_down(&answer);
            } else {
                print_reply(app, &answer);
            }
        } else {
            status = cli_fail_answer(app, session, &answer);
        }
        cli_answer_fini(&answer);
        cli_session_close(session);
    }
    cli_text_fini(&c->term);
    return status;
}

static cli_exit plain(const cli_args *args, const char *cmd)
{
    cli_app app;
    call c = {.cmd = cmd, .handle = args->positional[1]};
    cli_exit status = cli_app_init(&app, args);

    if (status == CLI_OK) {
        status = run_call(&app, &c, args->positional[2]);
    }
    return status;
}

static cli_exit function(const cli_args *args, const char *cmd)
{
    cli_app app;
    call c = {.cmd = cmd,
        .handle = cli_args_value(args, "handle"),
        .module = args->positional[1],
        .function = args->positional[2]};
    cli_exit status = cli_app_init(&app, args);

    if (status == CLI_OK) {
        status = run_call(&app, &c, args->positional[3]);
    }
    return status;
}

cli_exit cli_cmd_monitor(const cli_args *args)
{
    cli_app app;
    call c = {.cmd = "monitor",
        .handle = args->n_positional > 1 ? args->positional[1] : NULL};
    cli_exit status = cli_app_init(&app, args);

    if (status == CLI_OK) {
        status = run_call(&app, &c, NULL);
    }
    return status;
}

cli_exit cli_cmd_call(const cli_args *args)
{
    return plain(args, "call");
}

cli_exit cli_cmd_send(const cli_args *args)
{
    return plain(args, "send");
}

cli_exit cli_cmd_rpc(const cli_args *args)
{
    return function(args, "rpc");
}

cli_exit cli_cmd_cast(const cli_args *args)
{
    return function(args, "cast");
}

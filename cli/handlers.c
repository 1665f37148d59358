/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joins handles to programs: the argument becomes JSON on standard input, the
 * JSON on standard output becomes the reply. The handler runs on the loop,
 * defers, and the program's end answers.
 */
#include "handlers.h"

#include <stdlib.h>
#include <string.h>

#include "base/mutant.h"
#include "escape.h"
#include "json.h"

/* One exposed name; lives as long as the handlers. */
typedef struct exposure {
    struct exposure *next;
    cli_handlers *handlers;
    const cli_exposed *exposed;
} exposure;

struct cli_handlers {
    cli_hub *hub;
    cli_programs *programs; /* NULL: closed */
    exposure *exposures;
    pn_beam_dist *functions; /* NULL: none yet; the node's */
};

/* A request whose program runs. */
typedef struct running {
    pn_request *request;
    cli_hub *hub;
    bool is_call;
} running;

bool cli_handle_name_is_good(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");

    return !PN_CHECK(cli_handle_name, len < 1 || len > 64 || name[len] != '\0');
}

/* ---- the reply ---------------------------------------------------------- */

static void log_bad_output(
    const running *r, const char *handle, const char *why)
{
    cli_hub_log(
        r->hub, "peernet: warning: %s: standard output: %s", handle, why);
}

/* No output at all means `ok`. */
static void reply_output(
    running *r, const char *handle, const char *output, size_t len)
{
    cli_json_error error = {""};
    pn_term_writer w;
    pn_term value = {NULL, 0};

    if (len == 0) {
        (void)pn_request_reply(r->request, "ok");
        return;
    }
    pn_term_writer_init(&w, 0);
    if (cli_json_text_to_term(output, len, &w, &error) == PN_OK
        && pn_term_writer_finish(&w, NULL, &value) == PN_OK) {
        (void)pn_request_reply_term(r->request, value);
    } else {
        log_bad_output(r, handle, error.text);
        (void)pn_request_fail(r->request, "{handler_crash, {exit, badarg}}");
    }
    pn_term_writer_free(&w);
}

/* Reasons use atoms that every BEAM knows. */
static void answer(running *r, const cli_program_result *result)
{
    const char *handle = pn_request_handle(r->request);

    switch (result->outcome) {
    case CLI_PROGRAM_EXITED:
        if (result->status == 0) {
            reply_output(r, handle, result->output, result->output_len);
        } else {
            (void)pn_request_fail(
                r->request, "{handler_crash, {exit, ~i}}", result->status);
        }
        break;
    case CLI_PROGRAM_SIGNALLED:
        (void)pn_request_fail(r->request,
            "{handler_crash, {exit, {signal, ~i}}}", result->status);
        break;
    case CLI_PROGRAM_TIMED_OUT:
        cli_hub_log(
            r->hub, "peernet: warning: %s: killed: no end in time", handle);
        (void)pn_request_fail(r->request, "timeout");
        break;
    case CLI_PROGRAM_TOO_LARGE:
        log_bad_output(r, handle, "too large");
        (void)pn_request_fail(r->request, "system_limit");
        break;
    case CLI_PROGRAM_NOT_STARTED:
        cli_hub_log(r->hub, "peernet: error: %s: not started: %s", handle,
            strerror(result->status));
        (void)pn_request_fail(r->request, "{handler_crash, {exit, error}}");
        break;
    case CLI_PROGRAM_CANCELLED:
        pn_request_drop(r->request);
        break;
    }
}

static void on_program_done(void *user, const cli_program_result *result)
{
    running *r = user;

    if (r->is_call) {
        answer(r, result);
    } else {
        pn_request_drop(r->request);
    }
    free(r);
}

/* ---- the request -------------------------------------------------------- */

static running *defer(pn_request *req, exposure *e)
{
    running *r = calloc(1, sizeof(*r));

    if (r == NULL) {
        return NULL;
    }
    r->hub = e->handlers->hub;
    r->is_call = pn_request_is_call(req);
    if (pn_request_defer(req, &r->request) != PN_OK) {
        free(r);
        return NULL;
    }
    return r;
}

static void run_program(pn_request *req, exposure *e, cli_text *input)
{
    const pn_principal *caller = pn_request_caller(req);
    char key[PN_BASE32_LEN + 1];
    running *r = e->handlers->programs == NULL ? NULL : defer(req, e);
    cli_program_job job = {
        .program = &e->exposed->program,
        .peer = key,
        .label = pn_request_label(req),
        .handle = e->exposed->name,
        .family = caller->family == PN_FAMILY_BARREL ? "barrel" : "peernet",
        .input = input,
        .done = on_program_done,
        .user = r,
    };

    if (r == NULL) {
        (void)pn_request_fail(req, "busy");
        return;
    }
    pn_key_to_base32(&caller->key, key);
    if (cli_programs_run(e->handlers->programs, &job)) {
        return;
    }
    if (r->is_call) {
        (void)pn_request_fail(r->request, "busy");
    } else {
        pn_request_drop(r->request);
    }
    free(r);
}

static void on_request(pn_request *req, pn_term args, void *user)
{
    cli_text input = {0};

    if (cli_json_from_term(args, &input) == PN_OK) {
        cli_text_putc(&input, '\n');
        run_program(req, user, &input);
    } else {
        (void)pn_request_fail(req, "system_limit");
    }
    cli_text_fini(&input);
}

/* What a program says on standard error is ours to read, and may carry what
 * the peer said. */
static void on_stderr(
    void *user, const char *handle, const char *data, size_t len)
{
    cli_handlers *handlers = user;
    const char *end = data + len;

    while (data < end) {
        const char *newline = memchr(data, '\n', (size_t)(end - data));
        const char *stop = newline == NULL ? end : newline;
        cli_text line = {0};

        cli_escape(&line, data, (size_t)(stop - data), 500);
        cli_hub_log(
            handlers->hub, "peernet: %s: %s", handle, cli_text_string(&line));
        cli_text_fini(&line);
        data = newline == NULL ? end : newline + 1;
    }
}

/* ---- life --------------------------------------------------------------- */

cli_handlers *cli_handlers_new(uv_loop_t *loop, cli_hub *hub)
{
    cli_handlers *handlers = calloc(1, sizeof(*handlers));
    cli_programs_options options;

    if (handlers == NULL) {
        return NULL;
    }
    cli_programs_options_init(&options);
    options.on_stderr = on_stderr;
    options.user = handlers;
    handlers->hub = hub;
    handlers->programs = cli_programs_new(loop, &options);
    if (handlers->programs == NULL) {
        free(handlers);
        return NULL;
    }
    return handlers;
}

static void options_for(
    pn_expose_options *ret_options, const cli_exposed *exposed)
{
    pn_expose_options_init(ret_options);
    ret_options->flags = PN_EXPOSE_INLINE | PN_EXPOSE_CONCURRENT
                         | PN_EXPOSE_CLOSED;
    /* The program's own time-out comes first. */
    ret_options->timeout_ms = exposed->program.timeout_ms + 2000;
}

static exposure *exposure_add(
    cli_handlers *handlers, const cli_exposed *exposed)
{
    exposure *e = calloc(1, sizeof(*e));

    if (e != NULL) {
        e->handlers = handlers;
        e->exposed = exposed;
        e->next = handlers->exposures;
        handlers->exposures = e;
    }
    return e;
}

pn_err cli_handlers_expose(cli_handlers *handlers, const cli_exposed *exposed)
{
    pn_expose_options options;
    exposure *e = exposure_add(handlers, exposed);

    if (e == NULL) {
        return PN_NOMEM;
    }
    options_for(&options, exposed);
    return pn_expose(
        cli_hub_node(handlers->hub), exposed->name, on_request, e, &options);
}

pn_err cli_handlers_export(cli_handlers *handlers, const cli_exposed *exposed,
    const cli_function *function)
{
    pn_expose_options options;
    exposure *e = exposure_add(handlers, exposed);
    pn_err err = PN_OK;

    if (e == NULL) {
        return PN_NOMEM;
    }
    if (handlers->functions == NULL) {
        options_for(&options, exposed);
        err = pn_beam_dist_serve(
            cli_hub_node(handlers->hub), NULL, &options, &handlers->functions);
    }
    if (err == PN_OK) {
        err = pn_beam_dist_export(handlers->functions, function->module,
            function->name, function->arity, on_request, e);
    }
    return err;
}

pn_err cli_handlers_allow(cli_handlers *handlers, const cli_function *function,
    const pn_principal *who)
{
    return pn_beam_dist_grant(handlers->functions, function->module,
        function->name, function->arity, who);
}

void cli_handlers_close(cli_handlers *handlers)
{
    if (handlers != NULL) {
        cli_programs_close(handlers->programs);
        handlers->programs = NULL;
    }
}

void cli_handlers_free(cli_handlers *handlers)
{
    while (handlers != NULL && handlers->exposures != NULL) {
        exposure *e = handlers->exposures;

        handlers->exposures = e->next;
        free(e);
    }
    free(handlers);
}

static void on_echo(pn_request *req, pn_term args, void *user)
{
    (void)user;
    (void)pn_request_reply_term(req, args);
}

pn_err cli_expose_echo(pn_node *node, unsigned flags)
{
    pn_expose_options options;

    pn_expose_options_init(&options);
    options.flags = PN_EXPOSE_INLINE | flags;
    return pn_expose(node, "echo", on_echo, NULL, &options);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joins handles to programs. A worker of the node makes the program's input
 * from the argument, defers the request and passes both to the loop, which runs
 * the program. Long output becomes the reply on another thread. Memory that is
 * kept for a request counts to its link.
 */
#include "handlers.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/mutant.h"
#include "offload.h"
#include "peer_text.h"
#include "program_text.h"
#include "json/json.h"

/* Output up to here is read on the loop. */
#define SHORT_OUTPUT ((size_t)16 << 10)

/* A request whose program runs or waits to run. */
typedef struct running {
    struct running *next; /* arrived */
    cli_work work;        /* while the output is read */
    cli_handlers *handlers;
    cli_exposed *exposed; /* a reference */
    pn_request *request;
    bool is_call;
    cli_text input;
    cli_text output;
    cli_json_error error; /* why the output is no reply; "": it is */
} running;

/* A handle or function, and what it runs now. It is there until the end,
 * because the node may still be about to call it. */
typedef struct place {
    struct place *next;
    cli_handlers *handlers;
    cli_exposed *exposed; /* under the lock; NULL: nothing */
    bool is_open;         /* the node knows it */
    char name[];
} place;

struct cli_handlers {
    cli_hub *hub;
    place *places;
    cli_programs *programs; /* NULL: closed */
    cli_offload *offload;
    pn_beam_dist *functions; /* NULL: none yet; the node's */
    uv_async_t arrival;
    pthread_mutex_t lock; /* of what workers and the loop share: */
    running *arrived_head;
    running *arrived_tail;
    bool is_closed;
};

/* ---- what a handle runs --------------------------------------------------
 */

static cli_exposed *exposed_ref(cli_exposed *exposed)
{
    if (exposed != NULL) {
        (void)atomic_fetch_add(&exposed->refs, 1);
    }
    return exposed;
}

void cli_exposed_unref(cli_exposed *exposed)
{
    if (exposed != NULL && atomic_fetch_sub(&exposed->refs, 1) == 1
        && exposed->free != NULL) {
        exposed->free(exposed);
    }
}

/* A reference to what a handle runs now. */
static cli_exposed *place_get(place *at)
{
    cli_exposed *exposed;

    (void)pthread_mutex_lock(&at->handlers->lock);
    exposed = exposed_ref(at->exposed);
    (void)pthread_mutex_unlock(&at->handlers->lock);
    return exposed;
}

static void place_set(place *at, cli_exposed *exposed)
{
    cli_exposed *old;

    (void)pthread_mutex_lock(&at->handlers->lock);
    old = at->exposed;
    at->exposed = exposed_ref(exposed);
    (void)pthread_mutex_unlock(&at->handlers->lock);
    cli_exposed_unref(old);
}

/* NULL: no memory. */
static place *place_find(cli_handlers *handlers, const char *name)
{
    size_t len = strlen(name) + 1;
    place *at = handlers->places;

    while (at != NULL && strcmp(at->name, name) != 0) {
        at = at->next;
    }
    if (at == NULL && (at = calloc(1, sizeof(*at) + len)) != NULL) {
        at->handlers = handlers;
        memcpy(at->name, name, len);
        at->next = handlers->places;
        handlers->places = at;
    }
    return at;
}

/* ---- life of a request --------------------------------------------------- */

static void running_free(running *r)
{
    cli_text_fini(&r->input);
    cli_text_fini(&r->output);
    cli_exposed_unref(r->exposed);
    free(r);
}

/* Answers a request with an error in place of its program's answer. */
static void refuse(running *r, const char *reason)
{
    if (r->is_call) {
        (void)pn_request_fail(r->request, "~a", reason);
    } else {
        pn_request_drop(r->request);
    }
    running_free(r);
}

/* ---- the reply ---------------------------------------------------------- */

static void log_bad_output(const running *r, const char *why)
{
    cli_log("peernet: warning: %s: standard output: %s",
        r->exposed->program.name, why);
}

/* No output at all means `ok`, where it is JSON. Any thread. */
static void reply_output(running *r)
{
    pn_term_writer w;
    pn_term value = {NULL, 0};
    pn_err err;

    if (r->exposed->is_text) {
        (void)pn_request_reply(
            r->request, "~b", cli_program_output_text(&r->output));
        return;
    }
    if (r->output.len == 0) {
        (void)pn_request_reply(r->request, "ok");
        return;
    }
    pn_term_writer_init(&w, CLI_JSON_MAX_TREE);
    err = cli_json_foreign_to_term(
        r->output.data, r->output.len, &w, &r->error);
    if (err == PN_OK && pn_term_writer_finish(&w, NULL, &value) == PN_OK) {
        (void)pn_request_reply_term(r->request, value);
    } else if (err == PN_LIMIT) {
        (void)pn_request_fail(r->request, "system_limit");
    } else {
        (void)pn_request_fail(r->request, "{handler_crash, {exit, badarg}}");
    }
    pn_term_writer_free(&w);
}

static void reply_end(running *r)
{
    if (r->error.text[0] != '\0') {
        log_bad_output(r, r->error.text);
    }
    running_free(r);
}

static void on_reply_run(cli_work *work)
{
    reply_output(work->user);
}

static void on_reply_done(cli_work *work, bool has_run)
{
    running *r = work->user;

    if (!has_run) {
        pn_request_drop(r->request);
    }
    reply_end(r);
}

/* Moves the output to r; long output is read on another thread. */
static void reply(running *r, const cli_program_result *result)
{
    if (result->output_len > 0) {
        cli_text_reserve(&r->output, result->output_len);
        cli_text_add(&r->output, result->output, result->output_len);
    }
    if (r->output.failed) {
        refuse(r, "system_limit");
    } else if (r->output.len <= SHORT_OUTPUT) {
        reply_output(r);
        reply_end(r);
    } else {
        r->work = (cli_work){
            .run = on_reply_run, .done = on_reply_done, .user = r};
        cli_offload_start(r->handlers->offload, &r->work);
    }
}

/* Logs a failure for the owner, because a cast has no answer. */
static void log_failure(const running *r, const cli_program_result *result)
{
    const char *name = r->exposed->program.name;

    switch (result->outcome) {
    case CLI_PROGRAM_EXITED:
        cli_log(
            "peernet: warning: %s: ended with status %d", name, result->status);
        break;
    case CLI_PROGRAM_SIGNALLED:
        cli_log(
            "peernet: warning: %s: ended by signal %d", name, result->status);
        break;
    case CLI_PROGRAM_TIMED_OUT:
        cli_log("peernet: warning: %s: killed: no end in time", name);
        break;
    case CLI_PROGRAM_TOO_LARGE:
        log_bad_output(r, "too large");
        break;
    case CLI_PROGRAM_NOT_STARTED:
        cli_log("peernet: error: %s: not started: %s", name,
            result->status == EPIPE
                ? "the process that starts programs has ended: the node must "
                  "be started again"
                : strerror(result->status));
        break;
    case CLI_PROGRAM_LOST:
        cli_log("peernet: error: %s: ended with the process that starts "
                "programs: the node must be started again",
            name);
        break;
    case CLI_PROGRAM_CANCELLED:
        break;
    }
}

/* Reasons use atoms that every BEAM knows. */
static void answer_failure(running *r, const cli_program_result *result)
{
    static const char *const reasons[] = {
        [CLI_PROGRAM_EXITED] = "{handler_crash, {exit, ~i}}",
        [CLI_PROGRAM_SIGNALLED] = "{handler_crash, {exit, {signal, ~i}}}",
        [CLI_PROGRAM_TIMED_OUT] = "timeout",
        [CLI_PROGRAM_TOO_LARGE] = "system_limit",
        [CLI_PROGRAM_NOT_STARTED] = "{handler_crash, {exit, error}}",
        [CLI_PROGRAM_CANCELLED] = NULL,
        [CLI_PROGRAM_LOST] = "{handler_crash, {exit, error}}",
    };

    if (reasons[result->outcome] == NULL) {
        pn_request_drop(r->request);
    } else {
        (void)pn_request_fail(
            r->request, reasons[result->outcome], result->status);
    }
}

static void on_program_done(void *user, const cli_program_result *result)
{
    running *r = user;
    bool is_good = result->outcome == CLI_PROGRAM_EXITED && result->status == 0;

    if (!is_good) {
        log_failure(r, result);
    }
    if (!r->is_call) {
        pn_request_drop(r->request);
        running_free(r);
    } else if (is_good) {
        reply(r, result);
    } else {
        answer_failure(r, result);
        running_free(r);
    }
}

/* ---- on the loop: to the program ----------------------------------------- */

static bool is_wanted(void *user)
{
    const running *r = user;

    return pn_request_is_wanted(r->request);
}

/* The caller was unpaired, the handle or its grant is gone, the link ended, or
 * the caller was told that it takes too long. */
static void on_cancelled(void *user, pn_reason why)
{
    running *r = user;
    cli_handlers *handlers = r->handlers;

    (void)why;
    if (handlers->programs != NULL) {
        cli_programs_cancel(handlers->programs, r);
    }
}

static void run_program(running *r)
{
    const pn_principal *caller = pn_request_caller(r->request);
    char key[PN_BASE32_LEN + 1];
    cli_program_job job = {
        .program = &r->exposed->program,
        .peer = key,
        .label = pn_request_label(r->request),
        .family = caller->family == PN_FAMILY_BARREL ? "barrel" : "peernet",
        .input = &r->input,
        .is_wanted = is_wanted,
        .done = on_program_done,
        .user = r,
    };

    pn_principal_to_base32(caller, key);
    /* Called before the program starts, because its end may end the request. */
    if (pn_request_on_cancel(r->request, on_cancelled, r) != PN_OK
        || !cli_programs_run(r->handlers->programs, &job)) {
        refuse(r, "busy");
    }
}

static running *arrived_take(cli_handlers *handlers)
{
    running *r;

    (void)pthread_mutex_lock(&handlers->lock);
    r = handlers->arrived_head;
    if (r != NULL) {
        handlers->arrived_head = r->next;
        if (r->next == NULL) {
            handlers->arrived_tail = NULL;
        }
        r->next = NULL;
    }
    (void)pthread_mutex_unlock(&handlers->lock);
    return r;
}

static void on_arrival(uv_async_t *async)
{
    cli_handlers *handlers = async->data;
    running *r;

    while ((r = arrived_take(handlers)) != NULL) {
        run_program(r);
    }
}

/* ---- on a worker: the request ----------------------------------------------
 */

static running *keep(pn_request *req, place *at)
{
    running *r = calloc(1, sizeof(*r));

    if (r == NULL) {
        return NULL;
    }
    r->handlers = at->handlers;
    r->exposed = place_get(at);
    r->is_call = pn_request_is_call(req);
    if (r->exposed == NULL || pn_request_defer(req, &r->request) != PN_OK) {
        running_free(r);
        return NULL;
    }
    return r;
}

static bool reserve(void *user, size_t len)
{
    const running *r = user;

    return pn_request_hold(r->request, len) == PN_OK;
}

/* As one line of JSON, or as text. */
static pn_err make_input(running *r, pn_term args)
{
    size_t max = r->exposed->max_input;
    pn_err err;

    if (r->exposed->is_text) {
        return cli_program_input_text(
            args, r->exposed->is_function, max, reserve, r, &r->input);
    }
    err = cli_json_from_term(args, max, reserve, r, &r->input);
    if (err == PN_OK) {
        cli_text_putc(&r->input, '\n');
    }
    return err;
}

static void hand_over(running *r)
{
    cli_handlers *handlers = r->handlers;
    bool is_closed;

    (void)pthread_mutex_lock(&handlers->lock);
    is_closed = handlers->is_closed;
    if (!is_closed) {
        if (handlers->arrived_tail == NULL) {
            handlers->arrived_head = r;
        } else {
            handlers->arrived_tail->next = r;
        }
        handlers->arrived_tail = r;
        (void)uv_async_send(&handlers->arrival);
    }
    (void)pthread_mutex_unlock(&handlers->lock);
    if (is_closed) {
        refuse(r, "busy");
    }
}

static void on_request(pn_request *req, pn_term args, void *user)
{
    running *r = keep(req, user);
    pn_err err;

    if (r == NULL) {
        (void)pn_request_fail(req, "busy");
        return;
    }
    err = make_input(r, args);
    if (err == PN_OK) {
        hand_over(r);
    } else {
        refuse(r, err == PN_BUSY ? "busy" : "system_limit");
    }
}

/* Writes a program's standard error to the log, escaped, because it may contain
 * text of the peer. */
static void on_stderr(
    void *user, const char *handle, const char *data, size_t len)
{
    const char *end = data + len;

    (void)user;
    while (data < end) {
        const char *newline = memchr(data, '\n', (size_t)(end - data));
        const char *stop = newline == NULL ? end : newline;
        cli_text line = {0};

        cli_escape(&line, data, (size_t)(stop - data), 500);
        cli_log("peernet: %s: %s", handle, cli_text_string(&line));
        cli_text_fini(&line);
        data = newline == NULL ? end : newline + 1;
    }
}

/* ---- life --------------------------------------------------------------- */

cli_handlers *cli_handlers_new(
    uv_loop_t *loop, cli_hub *hub, cli_starter *starter)
{
    cli_handlers *handlers = calloc(1, sizeof(*handlers));
    cli_programs_options options;

    if (handlers == NULL) {
        return NULL;
    }
    cli_programs_options_init(&options);
    options.on_stderr = on_stderr;
    handlers->hub = hub;
    handlers->offload = cli_offload_new(loop);
    if (handlers->offload == NULL
        || pthread_mutex_init(&handlers->lock, NULL) != 0) {
        goto fail;
    }
    handlers->programs = cli_programs_new(loop, starter, &options);
    if (handlers->programs == NULL
        || uv_async_init(loop, &handlers->arrival, on_arrival) != 0) {
        goto fail;
    }
    handlers->arrival.data = handlers;
    return handlers;

fail:
    cli_programs_close(handlers->programs);
    cli_offload_close(handlers->offload);
    free(handlers);
    return NULL;
}

static void options_for(pn_expose_options *ret_options, uint32_t timeout_ms)
{
    pn_expose_options_init(ret_options);
    /* The handle is neither inline nor concurrent, so a worker makes the input,
     * and programs of one peer start in the order of its requests. The request
     * is then deferred, so that the next one need not wait for the program's
     * end. */
    ret_options->flags = PN_EXPOSE_CLOSED;
    /* The program's own time-out comes first. */
    ret_options->timeout_ms = timeout_ms + 2000;
}

/* Opens a place, or gives one that is open another program. */
static pn_err open_place(cli_handlers *handlers, cli_exposed *exposed,
    pn_err (*open)(place *at, const cli_exposed *exposed, const void *what),
    const void *what)
{
    place *at = place_find(handlers, exposed->program.name);
    pn_err err;

    if (at == NULL) {
        return PN_NOMEM;
    }
    if (at->is_open) {
        place_set(at, exposed);
        return PN_OK;
    }
    place_set(at, exposed);
    err = open(at, exposed, what);
    at->is_open = err == PN_OK;
    if (err != PN_OK) {
        place_set(at, NULL);
    }
    return err;
}

static pn_err open_handle(
    place *at, const cli_exposed *exposed, const void *what)
{
    pn_expose_options options;

    (void)what;
    options_for(&options, exposed->program.timeout_ms);
    return pn_expose(
        cli_hub_node(at->handlers->hub), at->name, on_request, at, &options);
}

pn_err cli_handlers_expose(cli_handlers *handlers, cli_exposed *exposed)
{
    if (strcmp(exposed->program.name, "chat") == 0) {
        cli_hub_take_chat(handlers->hub);
    }
    return open_place(handlers, exposed, open_handle, NULL);
}

pn_err cli_handlers_serve(cli_handlers *handlers, uint32_t timeout_ms)
{
    pn_expose_options options;

    if (handlers->functions != NULL) {
        return PN_OK;
    }
    options_for(&options, timeout_ms);
    return pn_beam_dist_serve(
        cli_hub_node(handlers->hub), NULL, &options, &handlers->functions);
}

static pn_err open_function(
    place *at, const cli_exposed *exposed, const void *what)
{
    const cli_function *function = what;
    pn_err err = cli_handlers_serve(at->handlers, exposed->program.timeout_ms);

    return err != PN_OK
               ? err
               : pn_beam_dist_export(at->handlers->functions, function->module,
                   function->name, function->arity, on_request, at);
}

pn_err cli_handlers_export(
    cli_handlers *handlers, cli_exposed *exposed, const cli_function *function)
{
    return open_place(handlers, exposed, open_function, function);
}

void cli_handlers_remove(cli_handlers *handlers, const cli_exposed *exposed)
{
    place *at = handlers->places;

    while (at != NULL && strcmp(at->name, exposed->program.name) != 0) {
        at = at->next;
    }
    if (at == NULL) {
        return;
    }
    if (!exposed->is_function) {
        (void)!pn_revoke(cli_hub_node(handlers->hub), at->name);
        at->is_open = false;
    }
    place_set(at, NULL);
}

void cli_handlers_disallow(cli_handlers *handlers, const cli_function *function,
    const pn_principal *who)
{
    (void)!pn_beam_dist_ungrant(handlers->functions, function->module,
        function->name, function->arity, who);
}

pn_err cli_handlers_allow(cli_handlers *handlers, const cli_function *function,
    const pn_principal *who)
{
    return pn_beam_dist_grant(handlers->functions, function->module,
        function->name, function->arity, who);
}

void cli_handlers_close(cli_handlers *handlers)
{
    running *r;

    if (handlers == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&handlers->lock);
    handlers->is_closed = true;
    (void)pthread_mutex_unlock(&handlers->lock);
    while ((r = arrived_take(handlers)) != NULL) {
        refuse(r, "busy");
    }
    uv_close((uv_handle_t *)&handlers->arrival, NULL);
    cli_programs_close(handlers->programs);
    handlers->programs = NULL;
    cli_offload_close(handlers->offload);
    handlers->offload = NULL;
}

void cli_handlers_free(cli_handlers *handlers)
{
    place *at = handlers == NULL ? NULL : handlers->places;

    while (at != NULL) {
        place *next = at->next;

        cli_exposed_unref(at->exposed);
        free(at);
        at = next;
    }
    if (handlers != NULL) {
        (void)pthread_mutex_destroy(&handlers->lock);
    }
    free(handlers);
}

/* A term with a pid, port, reference or fun in it may come over a Barrel link
 * and is never sent by us: the caller gets an error. */
static void on_echo(pn_request *req, pn_term args, void *user)
{
    static const char refusal[] =
        "a pid, port, reference or fun is not sent back";
    pn_term_writer w;
    pn_err err;

    (void)user;
    pn_term_writer_init(&w, args.len + 64);
    pn_term_write_term(&w, args);
    err = pn_term_writer_finish(&w, NULL, NULL);
    pn_term_writer_free(&w);
    if (err == PN_INVALID) {
        (void)pn_request_fail(req, "{badarg, ~s}", refusal);
    } else {
        (void)pn_request_reply_term(req, args);
    }
}

pn_err cli_expose_echo(pn_node *node, unsigned flags)
{
    pn_expose_options options;

    pn_expose_options_init(&options);
    options.flags = PN_EXPOSE_INLINE | flags;
    return pn_expose(node, "echo", on_echo, NULL, &options);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The argument of a request: JSON or text in its line, which is short, or text
 * that was sent in parts before it. Such text may be long, and is read on
 * another thread before the request is dispatched. Later requests of the same
 * caller that have an argument wait for it, because messages to one peer keep
 * their order. A line that is long by itself, as a program's reply may be, is
 * read there, too, and its caller is held.
 */
#include <stdlib.h>
#include <string.h>

#include "hub_internal.h"
#include "json/json.h"

/* A line up to here is read on the loop. */
#define LONG_LINE ((size_t)64 << 10)

/* The state of one reading: the term, or why there is none. */
struct hub_reading {
    cli_work work;
    hub_reading *next;   /* of the hub */
    hub_request request; /* its caller is NULL when gone */
    bool has_text;       /* else it only waits its turn */
    bool is_line;        /* the text is the whole request */
    bool has_value;      /* ... and its "value" is in writer */
    cli_text text;       /* the parts, or the line */
    json_t *json;        /* of the line, without "value" */
    cli_json_error error;
    pn_term_writer writer;
    pn_err err;
    pn_text_error where;
    bool is_list; /* a proper one */
};

/* ---- reading text: any thread ------------------------------------------- */

/* Keys of maps are compared at the end. */
static pn_err read_text(
    pn_term_writer *w, const char *text, size_t len, pn_text_error *ret_where)
{
    pn_err err = pn_term_from_text(w, text, len, NULL, ret_where);

    return err == PN_OK ? pn_term_writer_finish(w, NULL, NULL) : err;
}

static bool is_proper_list(pn_term term)
{
    pn_term_reader r;
    uint32_t n;

    pn_term_reader_init(&r, term);
    n = pn_term_read_list(&r);
    for (uint32_t i = 0; i < n; i++) {
        pn_term_read_skip(&r);
    }
    if (n > 0) {
        pn_term_read_nil(&r);
    }
    return pn_term_reader_finish(&r) == PN_OK;
}

static bool is_list_in(pn_term_writer *w)
{
    pn_term term;

    return pn_term_writer_finish(w, NULL, &term) == PN_OK
           && is_proper_list(term);
}

static void read_line(hub_reading *r)
{
    const json_t *value;

    r->json = cli_json_load_foreign(
        cli_text_string(&r->text), r->text.len, &r->error);
    value = json_object_get(r->json, "value");
    r->has_value = value != NULL;
    if (r->has_value) {
        r->err = cli_json_to_term(value, &r->writer, &r->error);
        (void)json_object_del(r->json, "value");
    }
    cli_text_fini(&r->text);
}

static void on_run(cli_work *work)
{
    hub_reading *r = work->user;

    if (r->is_line) {
        read_line(r);
    } else if (r->has_text) {
        r->err = read_text(
            &r->writer, cli_text_string(&r->text), r->text.len, &r->where);
        r->is_list = r->err == PN_OK && is_list_in(&r->writer);
        cli_text_fini(&r->text);
    }
}

/* ---- waiting for it ------------------------------------------------------ */

static bool has_argument(const json_t *json)
{
    return json_object_get(json, "args") != NULL
           || json_object_get(json, "term") != NULL
           || json_object_get(json, "value") != NULL
           || json_object_get(json, "reason") != NULL
           || json_object_get(json, "parts") != NULL;
}

/* Takes it off the list. */
static void reading_end(hub_reading *r)
{
    hub_reading **at = &r->request.hub->readings;

    while (*at != r) {
        at = &(*at)->next;
    }
    *at = r->next;
    if (r->request.caller != NULL) {
        r->request.caller->n_pending--;
        r->request.caller->n_readings--;
    }
}

static void on_done(cli_work *work, bool has_run)
{
    hub_reading *r = work->user;
    hub_request *request = &r->request;
    cli_caller *caller = request->caller;

    reading_end(r);
    if (caller != NULL && (!has_run || request->hub->offload == NULL)) {
        hub_answer_error(request, "closed", "the node is closing");
    } else if (caller != NULL && r->is_line) {
        hub_take(request, r->json, &r->error);
    } else if (caller != NULL) {
        hub_dispatch(request);
    }
    if (caller != NULL && r->is_line && !caller->gone) {
        caller->flow->hold(caller->user, false);
    }
    pn_term_writer_free(&r->writer);
    cli_text_fini(&r->text);
    json_decref(r->is_line ? r->json : (json_t *)(uintptr_t)request->json);
    free(r);
}

static void reading_begin(hub_reading *r)
{
    cli_hub *hub = r->request.hub;

    r->next = hub->readings;
    hub->readings = r;
    r->request.caller->n_pending++;
    r->request.caller->n_readings++;
    cli_offload_start(hub->offload, &r->work);
}

bool hub_reads_line(cli_caller *caller, const char *line, size_t len)
{
    cli_hub *hub = caller->hub;
    hub_reading *r;

    if (len <= LONG_LINE || caller->flow == NULL || hub->offload == NULL) {
        return false;
    }
    r = calloc(1, sizeof(*r));
    if (r == NULL) {
        return false;
    }
    *r = (hub_reading){.work = {.run = on_run, .done = on_done, .user = r},
        .request = {.hub = hub, .caller = caller},
        .is_line = true};
    r->request.reading = r;
    pn_term_writer_init(&r->writer, CLI_HUB_NODE_TERM_MAX);
    cli_text_reserve(&r->text, len + 1);
    cli_text_add(&r->text, line, len);
    caller->flow->hold(caller->user, true);
    reading_begin(r);
    return true;
}

bool hub_reads_first(const hub_request *request)
{
    cli_hub *hub = request->hub;
    cli_caller *caller = request->caller;
    bool has_parts = json_is_true(json_object_get(request->json, "parts"))
                     && caller->parts.len > 0;
    hub_reading *r;

    if (!has_parts
        && (caller->n_readings == 0 || !has_argument(request->json))) {
        return false;
    }
    r = hub->offload == NULL ? NULL : calloc(1, sizeof(*r));
    if (r == NULL) {
        hub_answer_error(request, "local", "out of memory");
        return true;
    }
    *r = (hub_reading){.work = {.run = on_run, .done = on_done, .user = r},
        .request = *request,
        .has_text = has_parts};
    r->request.reading = r;
    (void)json_incref((json_t *)(uintptr_t)request->json);
    if (has_parts) {
        r->text = caller->parts;
        caller->parts = (cli_text){0};
        pn_term_writer_init(
            &r->writer, hub_is_about_node(request) ? CLI_HUB_NODE_TERM_MAX : 0);
    }
    reading_begin(r);
    return true;
}

void hub_readings_forget(cli_hub *hub, const cli_caller *caller)
{
    for (hub_reading *r = hub->readings; r != NULL; r = r->next) {
        if (r->request.caller == caller) {
            r->request.caller = NULL;
        }
    }
}

/* ---- the argument -------------------------------------------------------- */

static bool answer_bad_text(
    const hub_request *request, pn_err err, const pn_text_error *where)
{
    if (where->expected[0] == '\0' && err == PN_INVALID) {
        hub_answer_error(
            request, "bad-request", "a map has the same key twice");
    } else if (where->expected[0] == '\0') {
        hub_answer_error(request, "bad-request", "%s", pn_strerror(err));
    } else {
        hub_answer_error(request, "bad-request",
            "expected %s at byte %zu of the term", where->expected,
            where->offset);
    }
    return false;
}

/* w has nothing in it yet. */
static bool take_writer(hub_reading *r, pn_term_writer *w)
{
    pn_term_writer_free(w);
    *w = r->writer;
    r->writer = (pn_term_writer){0};
    return true;
}

static bool take_read(const hub_request *request, pn_term_writer *w)
{
    hub_reading *r = request->reading;

    return r->err != PN_OK ? answer_bad_text(request, r->err, &r->where)
                           : take_writer(r, w);
}

static bool take_value(const hub_request *request, pn_term_writer *w)
{
    hub_reading *r = request->reading;

    if (r->err != PN_OK) {
        hub_answer_error(request, "bad-request", "%s", r->error.text);
        return false;
    }
    return take_writer(r, w);
}

bool hub_value(const hub_request *request, const char *key, pn_term_writer *w)
{
    const json_t *args = json_object_get(request->json, key);
    const json_t *term = json_object_get(request->json, "term");
    const char *text = json_string_value(term);
    cli_json_error error = {""};
    pn_text_error where = {0, ""};
    pn_err err;

    if (request->reading != NULL && request->reading->has_value
        && strcmp(key, "value") == 0) {
        return take_value(request, w);
    }
    if (request->reading != NULL && request->reading->has_text) {
        return take_read(request, w);
    }
    if (args != NULL) {
        err = cli_json_to_term(args, w, &error);
        if (err != PN_OK) {
            hub_answer_error(request, "bad-request", "%s", error.text);
        }
        return err == PN_OK;
    }
    if (text == NULL) {
        hub_answer_error(request, "bad-request",
            "expected \"%s\" (JSON), \"term\" (text), or text in parts "
            "before",
            key);
        return false;
    }
    err = read_text(w, text, json_string_length(term), &where);
    return err == PN_OK || answer_bad_text(request, err, &where);
}

bool hub_args(const hub_request *request, pn_term_writer *w)
{
    return hub_value(request, "args", w);
}

void hub_answer_no_list(const hub_request *request)
{
    hub_answer_error(request, "bad-request",
        "expected a module, a function and a list of arguments such as "
        "[1, \"a\"]");
}

bool hub_list(const hub_request *request, pn_term_writer *w, pn_term *ret_list)
{
    const hub_reading *r = request->reading;
    bool is_list;

    if (!hub_args(request, w)) {
        return false;
    }
    is_list = pn_term_writer_finish(w, NULL, ret_list) == PN_OK
              && (r != NULL && r->has_text ? r->is_list
                                           : is_proper_list(*ret_list));
    if (!is_list) {
        hub_answer_no_list(request);
    }
    return is_list;
}

void hub_write_module(pn_term_writer *w, const char *module)
{
    cli_text name = {0};

    if (module[0] == ':') {
        pn_term_write_atom(w, module + 1);
        return;
    }
    cli_text_printf(&name, "%s%s",
        strncmp(module, "Elixir.", 7) == 0 ? "" : "Elixir.", module);
    pn_term_write_atom(w, cli_text_string(&name));
    cli_text_fini(&name);
}

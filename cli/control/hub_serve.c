/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handles of programs: a caller exposes a handle, is sent each request to it as
 * an event, and answers when it likes, in any order. peernet-control(7) has the
 * lines. A handle ends with its caller; requests that the caller has not
 * answered by then fail with a reason of their own.
 *
 * All on the loop, so a handler is inline. It only defers the request: a long
 * argument is written as JSON on another thread, and requests behind it wait
 * for it, because messages of one peer keep their order.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mutant.h"
#include "hub_internal.h"
#include "peername.h"
#include "json/json.h"
#include "json/jsonout.h"

#define NAME_MAX_LEN 64
#define MAX_ALLOWED 64
#define DEFAULT_TIMEOUT_MS 30000
#define MAX_TIMEOUT_MS 3600000
/* Arguments up to here are written on the loop. */
#define SHORT_ARGUMENT ((size_t)16 << 10)

/* Atoms that every BEAM knows (docs/TERM.md, "Atoms"). */
#define REASON_GONE "{handler_crash, {exit, noproc}}"
#define REASON_FAILED "{handler_crash, {exit, error}}"

struct hub_served {
    hub_served *next;
    cli_caller *caller;
    char name[NAME_MAX_LEN + 1];
    unsigned concurrency; /* requests without an answer, at most */
    unsigned n_open;
    uint64_t n_dropped; /* messages, since the last event */
};

/* A request, or a message, that a program is to get or has got. */
struct hub_asked {
    hub_asked *next;
    cli_hub *hub;
    hub_served *served; /* NULL: ended, and only `work` has it */
    pn_request *request;
    json_int_t number;
    bool is_call;
    bool is_told;    /* the program has been sent it */
    bool is_working; /* `work` is owed */
    cli_work work;
    pn_term args;  /* a copy of ours */
    cli_text line; /* the event */
    pn_err err;
};

bool cli_handle_name_is_good(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");

    return !PN_REFUSE_IF(
        cli_handle_name, len < 1 || len > NAME_MAX_LEN || name[len] != '\0');
}

bool cli_hub_is_served(const cli_hub *hub, const char *name)
{
    for (const hub_served *s = hub->served; s != NULL; s = s->next) {
        if (strcmp(s->name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- life of a request --------------------------------------------------- */

static void asked_free(hub_asked *a)
{
    free((void *)(uintptr_t)a->args.data);
    cli_text_fini(&a->line);
    free(a);
}

/* Takes it off the list. Its request is the caller's, to answer or to drop. */
static pn_request *asked_end(hub_asked *a)
{
    hub_asked **at = &a->hub->asked;
    pn_request *request = a->request;

    while (*at != a) {
        at = &(*at)->next;
    }
    *at = a->next;
    a->served->n_open--;
    a->served = NULL;
    a->request = NULL;
    if (!a->is_working) {
        asked_free(a);
    }
    return request;
}

/* Answers in place of the program. */
static void asked_fail(hub_asked *a, const char *reason)
{
    bool is_call = a->is_call;
    pn_request *request = asked_end(a);

    if (is_call) {
        (void)pn_request_fail(request, reason);
    } else {
        pn_request_drop(request);
    }
}

static bool may_send(const cli_caller *caller)
{
    const cli_flow *flow = caller->flow;

    return flow == NULL
           || !PN_REFUSE_IF(cli_serve_unread,
               flow->unread(caller->user) > CLI_SERVE_MAX_UNREAD);
}

/* The caller has had its answer, or its link has ended. A program that does not
 * read is not told: its own answer will be refused. */
static void on_cancelled(void *user, pn_reason why)
{
    hub_asked *a = user;
    cli_caller *caller = a->served->caller;
    cli_text t = {0};

    if (a->is_told && may_send(caller)) {
        hub_event_begin(&t, "cancelled");
        cli_json_int(&t, "request", a->number);
        cli_json_string(&t, "handle", a->served->name);
        cli_json_string(&t, "reason", pn_reason_text(why));
        hub_answer_end(caller, &t);
    }
    pn_request_drop(asked_end(a));
}

/* ---- to the program -------------------------------------------------------
 */

static void add_caller(cli_text *t, const pn_request *request)
{
    const pn_principal *who = pn_request_caller(request);
    bool is_node = who->family == PN_FAMILY_BARREL;

    cli_json_string(t, "family", is_node ? "barrel" : "peernet");
    cli_json_who(t, who);
    cli_json_known(t, is_node ? "node" : "label", pn_request_label(request));
}

/* All but the argument. */
static void begin_line(hub_asked *a)
{
    cli_text *t = &a->line;

    hub_event_begin(t, a->is_call ? "request" : "message");
    if (a->is_call) {
        cli_json_int(t, "request", a->number);
    }
    cli_json_string(t, "handle", a->served->name);
    add_caller(t, a->request);
}

static bool reserve(void *user, size_t len)
{
    const hub_asked *a = user;

    return pn_request_hold(a->request, a->args.len + 2 * len) == PN_OK;
}

/* Any thread. */
static void add_argument(hub_asked *a, pn_term args)
{
    cli_text json = {0};

    a->err = cli_json_from_term(args, CLI_SERVE_MAX_EVENT, reserve, a, &json);
    if (a->err == PN_OK) {
        cli_json_raw(&a->line, "args", json.data, json.len);
        cli_json_close(&a->line, '}');
    }
    cli_text_fini(&json);
    if (a->err == PN_OK && a->line.failed) {
        a->err = PN_NOMEM;
    }
}

static void tell_dropped(hub_served *served)
{
    cli_text t = {0};

    if (served->n_dropped > 0) {
        hub_event_begin(&t, "dropped");
        cli_json_string(&t, "handle", served->name);
        cli_json_int(&t, "count", (int64_t)served->n_dropped);
        hub_answer_end(served->caller, &t);
        served->n_dropped = 0;
    }
}

/* What the program is sent counts to its socket from here on. Sending may end
 * the caller, and a with it. */
static void tell(hub_asked *a)
{
    cli_caller *caller = a->served->caller;
    cli_text line = a->line;

    if (a->err != PN_OK) {
        asked_fail(a, a->err == PN_BUSY ? "busy" : "system_limit");
        return;
    }
    a->line = (cli_text){0};
    a->is_told = true;
    tell_dropped(a->served);
    if (caller->gone) {
        cli_text_fini(&line);
        return;
    }
    if (a->is_call) {
        (void)!pn_request_hold(a->request, 0);
    } else {
        pn_request_drop(asked_end(a));
    }
    hub_deliver(caller, &line);
    cli_text_fini(&line);
}

static void on_run(cli_work *work)
{
    hub_asked *a = work->user;

    add_argument(a, a->args);
}

static void on_written(cli_work *work, bool has_run)
{
    hub_asked *a = work->user;

    a->is_working = false;
    a->hub->n_asked_working--;
    free((void *)(uintptr_t)a->args.data);
    a->args = (pn_term){0};
    if (a->served == NULL) {
        asked_free(a);
    } else if (!has_run) {
        asked_fail(a, REASON_GONE);
    } else {
        tell(a);
    }
}

/* On the loop when nothing is before it, else on the other thread. */
static void write_and_tell(hub_asked *a, pn_term args)
{
    cli_hub *hub = a->hub;

    if (hub->offload == NULL
        || (args.len <= SHORT_ARGUMENT && hub->n_asked_working == 0)) {
        add_argument(a, args);
        tell(a);
        return;
    }
    if (pn_request_hold(a->request, args.len) != PN_OK
        || pn_term_copy(args, &a->args) != PN_OK) {
        asked_fail(a, "busy");
        return;
    }
    a->is_working = true;
    hub->n_asked_working++;
    a->work = (cli_work){.run = on_run, .done = on_written, .user = a};
    cli_offload_start(hub->offload, &a->work);
}

/* ---- from the peer ---------------------------------------------------------
 */

static bool is_full(const hub_served *served)
{
    return PN_REFUSE_IF(
               cli_serve_concurrency, served->n_open >= served->concurrency)
           || !may_send(served->caller);
}

static hub_asked *keep(hub_served *served, pn_request *req)
{
    hub_asked *a = calloc(1, sizeof(*a));

    if (a == NULL) {
        return NULL;
    }
    a->hub = served->caller->hub;
    a->served = served;
    a->is_call = pn_request_is_call(req);
    if (pn_request_defer(req, &a->request) != PN_OK) {
        free(a);
        return NULL;
    }
    a->number = a->is_call ? ++served->caller->last_asked : 0;
    a->next = a->hub->asked;
    a->hub->asked = a;
    served->n_open++;
    return a;
}

static void on_request(pn_request *req, pn_term args, void *user)
{
    hub_served *served = user;
    bool is_call = pn_request_is_call(req);
    hub_asked *a = is_full(served) ? NULL : keep(served, req);

    if (a == NULL && is_call) {
        (void)pn_request_fail(req, "busy");
    } else if (a == NULL) {
        served->n_dropped++;
    } else if (pn_request_on_cancel(a->request, on_cancelled, a) != PN_OK) {
        asked_fail(a, "busy"); /* the node is closing */
    } else {
        begin_line(a);
        write_and_tell(a, args);
    }
}

/* ---- ending a handle --------------------------------------------------------
 */

/* Its requests fail first, because a handle that is revoked would answer them
 * that it never was. */
static void served_end(hub_served *served)
{
    cli_caller *caller = served->caller;
    cli_hub *hub = caller->hub;
    hub_served **at = &hub->served;
    hub_asked *next;

    for (hub_asked *a = hub->asked; a != NULL; a = next) {
        next = a->next;
        if (a->served == served) {
            asked_fail(a,
                PN_SAFEGUARD(cli_serve_gone) ? REASON_GONE : "no_such_handle");
        }
    }
    (void)!pn_revoke(hub->node, served->name);
    while (*at != served) {
        at = &(*at)->next;
    }
    *at = served->next;
    caller->n_served--;
    free(served);
}

void hub_serve_leave(cli_caller *caller)
{
    hub_served *next;

    for (hub_served *s = caller->hub->served; s != NULL; s = next) {
        next = s->next;
        if (s->caller == caller) {
            served_end(s);
        }
    }
}

/* ---- expose
 * ------------------------------------------------------------------ */

typedef struct exposure {
    const char *name;
    uint32_t timeout_ms;
    json_int_t concurrency;
    bool paired;  /* every paired peer */
    bool granted; /* those of the file of grants, whom the node asks for anyway
                   */
    pn_principal allowed[MAX_ALLOWED];
    size_t n_allowed;
} exposure;

/* The name of one that is not this caller's to take: the handle of `chat` and
 * that of functions are the node's own. */
static bool is_taken(cli_hub *hub, const char *name)
{
    pn_grant_info *grants = NULL;
    size_t n = 0;
    bool is_taken = strcmp(name, "chat") == 0
                    || strcmp(name, PN_BEAM_DIST_HANDLE) == 0
                    || pn_list_grants(hub->node, &grants, &n) != PN_OK;

    for (size_t i = 0; i < n && !is_taken; i++) {
        is_taken = !grants[i].is_function && strcmp(grants[i].name, name) == 0;
    }
    free(grants);
    return is_taken;
}

static bool answer_no_peer(
    const hub_request *request, const char *error, cli_text *why)
{
    hub_answer_error(request, error, "%s", cli_text_string(why));
    cli_text_fini(why);
    return false;
}

static bool find_node(
    const hub_request *request, const char *name, pn_principal *ret_who)
{
    cli_text why = {0};

    if (!hub_has_nodes(request)) {
        return false;
    }
    if (cli_hub_pinned(request->hub, name, ret_who) == PN_OK) {
        return true;
    }
    cli_text_printf(&why, "%s is not pinned: expected a pinned node", name);
    cli_hub_suggest_node(request->hub, name, &why);
    return answer_no_peer(request, "no-such-peer", &why);
}

/* A key may be allowed before it is paired; a name must be known, and have one
 * meaning. */
static bool add_allowed(
    const hub_request *request, const char *name, exposure *x)
{
    pn_principal *who = &x->allowed[x->n_allowed];
    pn_node *node = request->hub->node;
    cli_text why = {0};

    if (cli_name_check(node, name, &why) != PN_OK) {
        return answer_no_peer(request, "no-such-peer", &why);
    }
    if (strcmp(name, "granted") == 0) {
        x->granted = true;
        return true;
    }
    if (strcmp(name, "paired") == 0) {
        x->paired = true;
        return true;
    }
    if (strchr(name, '@') != NULL) {
        if (!find_node(request, name, who)) {
            return false;
        }
    } else {
        who->family = PN_FAMILY_PEERNET;
        if (pn_key_parse(name, &who->key.x25519) != PN_OK
            && cli_peer_of_node(node, name, "paired", &who->key.x25519, &why)
                   != PN_OK) {
            return answer_no_peer(request, "no-such-peer", &why);
        }
    }
    x->n_allowed++;
    return true;
}

/* The owner of the node has said who may use the handle. */
static bool read_guest_allow(const hub_request *request, exposure *x)
{
    const cli_caller *caller = request->caller;
    const char *name;

    if (json_object_get(request->json, "allow") != NULL) {
        hub_answer_error(request, "forbidden",
            "expected no \"allow\": the node's owner says who may use it");
        return false;
    }
    for (size_t i = 0;
         (name = caller->guest_allow(caller->guest_user, x->name, i)) != NULL;
         i++) {
        if (x->n_allowed == MAX_ALLOWED) {
            hub_answer_error(
                request, "local", "more than %d peers", MAX_ALLOWED);
            return false;
        }
        if (!add_allowed(request, name, x)) {
            return false;
        }
    }
    if (PN_REFUSE_IF(
            cli_guest_name, x->n_allowed == 0 && !x->paired && !x->granted)) {
        hub_answer_error(request, "forbidden",
            "'%s' is no name that programs of other users may take", x->name);
        return false;
    }
    return true;
}

static bool read_allow(const hub_request *request, exposure *x)
{
    const json_t *allow = json_object_get(request->json, "allow");
    const json_t *name;
    size_t i;

    if (!json_is_array(allow) || json_array_size(allow) == 0
        || json_array_size(allow) > MAX_ALLOWED) {
        hub_answer_error(request, "bad-request",
            "expected 1 to %d names of peers, or \"paired\", in a list as "
            "\"allow\": nobody may use the handle yet",
            MAX_ALLOWED);
        return false;
    }
    json_array_foreach(allow, i, name)
    {
        if (!json_is_string(name)
            || strlen(json_string_value(name)) != json_string_length(name)) {
            hub_answer_error(request, "bad-request",
                "expected strings in the list \"allow\"");
            return false;
        }
        if (!add_allowed(request, json_string_value(name), x)) {
            return false;
        }
    }
    return true;
}

static bool read_concurrency(const hub_request *request, exposure *x)
{
    const json_t *n = json_object_get(request->json, "concurrency");

    x->concurrency = n == NULL ? CLI_SERVE_CONCURRENCY : json_integer_value(n);
    if (x->concurrency < 1 || x->concurrency > CLI_SERVE_MAX_CONCURRENCY) {
        hub_answer_error(request, "bad-request",
            "expected 1 to %d as \"concurrency\"", CLI_SERVE_MAX_CONCURRENCY);
        return false;
    }
    return true;
}

static bool read_exposure(const hub_request *request, exposure *x)
{
    if (!hub_string(request, "handle", true, &x->name)
        || !hub_milliseconds(
            request, "timeout", DEFAULT_TIMEOUT_MS, &x->timeout_ms)
        || !read_concurrency(request, x)) {
        return false;
    }
    if (!cli_handle_name_is_good(x->name)) {
        hub_answer_error(request, "bad-request",
            "expected 1 to %d characters a-z, 0-9 and _ as \"handle\"",
            NAME_MAX_LEN);
        return false;
    }
    if (x->timeout_ms > MAX_TIMEOUT_MS) {
        hub_answer_error(request, "bad-request",
            "expected 1 to %d milliseconds as \"timeout\"", MAX_TIMEOUT_MS);
        return false;
    }
    if (PN_REFUSE_IF(cli_serve_handles,
            request->caller->n_served >= CLI_SERVE_MAX_HANDLES)) {
        hub_answer_error(request, "busy", "expected at most %d handles",
            CLI_SERVE_MAX_HANDLES);
        return false;
    }
    if (PN_REFUSE_IF(cli_serve_taken, is_taken(request->hub, x->name))) {
        hub_answer_error(request, "taken",
            "'%s' is another's handle: expected a name that is free", x->name);
        return false;
    }
    return request->caller->guest_allow != NULL ? read_guest_allow(request, x)
                                                : read_allow(request, x);
}

static pn_err open_handle(const exposure *x, hub_served *served)
{
    pn_node *node = served->caller->hub->node;
    pn_expose_options options;
    pn_err err;

    pn_expose_options_init(&options);
    options.flags = PN_EXPOSE_INLINE | PN_EXPOSE_CLOSED;
    options.timeout_ms = x->timeout_ms;
    err = pn_expose(node, x->name, on_request, served, &options);
    if (err == PN_OK && x->paired) {
        err = pn_grant_paired(node, x->name);
    }
    for (size_t i = 0; i < x->n_allowed && err == PN_OK; i++) {
        err = pn_grant(node, x->name, &x->allowed[i]);
    }
    return err;
}

void hub_expose(const hub_request *request)
{
    cli_caller *caller = request->caller;
    exposure x = {0};
    hub_served *served;
    pn_err err;

    if (!read_exposure(request, &x)) {
        return;
    }
    served = calloc(1, sizeof(*served));
    if (served == NULL) {
        hub_answer_error(request, "local", "out of memory");
        return;
    }
    (void)snprintf(served->name, sizeof(served->name), "%s", x.name);
    served->caller = caller;
    served->concurrency = (unsigned)x.concurrency;
    served->next = caller->hub->served;
    caller->hub->served = served;
    caller->n_served++;
    err = open_handle(&x, served);
    if (err != PN_OK) {
        served_end(served);
        hub_answer_error(request, hub_error_name(err), "%s", pn_strerror(err));
        return;
    }
    if (caller->flow != NULL) {
        caller->flow->serves(caller->user);
    }
    hub_answer_ok(request);
}

void hub_unexpose(const hub_request *request)
{
    const char *name = NULL;
    hub_served *served = request->hub->served;

    if (!hub_string(request, "handle", true, &name)) {
        return;
    }
    while (served != NULL
           && (served->caller != request->caller
               || strcmp(served->name, name) != 0)) {
        served = served->next;
    }
    if (served == NULL) {
        hub_answer_error(request, "bad-request",
            "expected a handle that this connection has exposed");
        return;
    }
    served_end(served);
    hub_answer_ok(request);
}

/* ---- answers of the program
 * --------------------------------------------------- */

/* NULL after an answer. A program answers its own requests only. */
static hub_asked *find_asked(const hub_request *request)
{
    const json_t *number = json_object_get(request->json, "request");
    hub_asked *a = request->hub->asked;

    if (!json_is_integer(number)) {
        hub_answer_error(
            request, "bad-request", "expected a number as \"request\"");
        return NULL;
    }
    while (a != NULL
           && (PN_REFUSE_IF(cli_serve_own, a->served->caller != request->caller)
               || !a->is_told || a->number != json_integer_value(number))) {
        a = a->next;
    }
    if (a == NULL) {
        hub_answer_error(request, "closed",
            "no request of this number waits for an answer: it has one, or "
            "came to its time-out");
    }
    return a;
}

/* An answer is confirmed to a program that numbers its requests. */
static void answer_sent(const hub_request *request, pn_err err)
{
    if (err == PN_TOO_LARGE || err == PN_INVALID) {
        hub_answer_error(request, "bad-request",
            "the caller got an error instead: %s", pn_strerror(err));
    } else if (err != PN_OK) {
        hub_answer_error(
            request, "closed", "the answer was not sent: %s", pn_strerror(err));
    } else if (request->has_id) {
        hub_answer_ok(request);
    }
}

void hub_serve_reply(const hub_request *request)
{
    hub_asked *a = find_asked(request);
    pn_request *asked;
    pn_term value = {NULL, 0};
    pn_term_writer w;
    pn_err err;

    if (a == NULL) {
        return;
    }
    pn_term_writer_init(&w, CLI_HUB_NODE_TERM_MAX);
    if (hub_value(request, "value", &w)) {
        asked = asked_end(a);
        err = pn_term_writer_finish(&w, NULL, &value);
        if (err == PN_OK) {
            err = pn_request_reply_term(asked, value);
        } else {
            (void)pn_request_fail(asked, REASON_FAILED);
        }
        answer_sent(request, err);
    }
    pn_term_writer_free(&w);
}

void hub_serve_fail(const hub_request *request)
{
    bool has_reason = json_object_get(request->json, "reason") != NULL
                      || json_object_get(request->json, "term") != NULL;
    hub_asked *a = find_asked(request);
    pn_request *asked;
    pn_term reason = {NULL, 0};
    pn_term_writer w;
    pn_err err;

    if (a == NULL) {
        return;
    }
    pn_term_writer_init(&w, 0);
    if (!has_reason || hub_value(request, "reason", &w)) {
        asked = asked_end(a);
        err = has_reason ? pn_term_writer_finish(&w, NULL, &reason) : PN_OK;
        if (has_reason && err == PN_OK) {
            err = pn_request_fail(asked, "~t", reason);
        } else {
            (void)pn_request_fail(asked, REASON_FAILED);
        }
        answer_sent(request, err);
    }
    pn_term_writer_free(&w);
}

/* ---- hello
 * --------------------------------------------------------------------- */

void hub_hello(const hub_request *request)
{
    const json_t *wanted = json_object_get(request->json, "protocol");
    cli_text t = {0};

    if (wanted != NULL
        && (!json_is_integer(wanted)
            || json_integer_value(wanted) != CLI_CONTROL_PROTOCOL)) {
        hub_answer_error(request, "bad-request",
            "this node speaks protocol %d: expected that as \"protocol\"",
            CLI_CONTROL_PROTOCOL);
        return;
    }
    hub_answer_begin(&t, request->has_id, request->id, true);
    cli_json_int(&t, "protocol", CLI_CONTROL_PROTOCOL);
    cli_json_string(&t, "version", PN_VERSION);
    hub_answer_end(request->caller, &t);
}

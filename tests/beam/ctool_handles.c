/* SPDX-License-Identifier: Apache-2.0 */
/* The handles that ctool can expose, and its record of their calls. */
#include "ctool.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

ctool_lines ctool_seen = {.lock = PTHREAD_MUTEX_INITIALIZER};
ctool_lines ctool_notes = {.lock = PTHREAD_MUTEX_INITIALIZER};

void *ctool_alloc(void *p, size_t n)
{
    void *q = realloc(p, n);

    if (q == NULL) {
        fputs("ctool: out of memory\n", stderr);
        exit(2);
    }
    return q;
}

char *ctool_printf(const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0) {
        fputs("ctool: out of memory\n", stderr);
        exit(2);
    }
    va_end(args);
    return text;
}

char *ctool_term_text(pn_term term)
{
    char *text;
    size_t len;

    if (pn_term_to_text(term, &text, &len) != PN_OK) {
        return ctool_printf("no text");
    }
    return text;
}

void ctool_lines_add(ctool_lines *l, char *line)
{
    pthread_mutex_lock(&l->lock);
    l->lines = ctool_alloc(l->lines, (l->n + 1) * sizeof(*l->lines));
    l->lines[l->n++] = line;
    pthread_mutex_unlock(&l->lock);
}

void ctool_lines_flush(ctool_lines *l, FILE *out)
{
    fputs("ok [", out);
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < l->n; i++) {
        fprintf(out, "%s%s", i > 0 ? ", " : "", l->lines[i]);
        free(l->lines[i]);
    }
    l->n = 0;
    pthread_mutex_unlock(&l->lock);
    fputs("]", out);
}

/* ---- handlers ---- */

static void on_echo(pn_request *req, pn_term args, void *user)
{
    (void)user;
    (void)pn_request_reply_term(req, args);
}

static void on_add(pn_request *req, pn_term args, void *user)
{
    int64_t a;
    int64_t b;

    (void)user;
    if (!pn_term_match(args, "{~l, ~l}", &a, &b)) {
        (void)pn_request_fail(req, "badarg");
        return;
    }
    (void)pn_request_reply(req, "~l", a + b);
}

static void on_whoami(pn_request *req, pn_term args, void *user)
{
    (void)args;
    (void)user;
    (void)pn_request_reply(req, "~k", &pn_request_caller(req)->key.x25519);
}

static void on_fail(pn_request *req, pn_term args, void *user)
{
    (void)user;
    (void)pn_request_fail(req, "~t", args);
}

static void on_silent(pn_request *req, pn_term args, void *user)
{
    (void)req;
    (void)args;
    (void)user;
}

static void sleep_ms(int64_t ms)
{
    struct timespec t = {
        .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};

    while (nanosleep(&t, &t) != 0) {}
}

static int64_t term_int(pn_term term)
{
    int64_t n;

    return pn_term_match(term, "~l", &n) ? n : 0;
}

static void on_slow(pn_request *req, pn_term args, void *user)
{
    (void)user;
    sleep_ms(term_int(args));
    (void)pn_request_reply(req, "awake");
}

static void on_big(pn_request *req, pn_term args, void *user)
{
    size_t n = (size_t)term_int(args);
    uint8_t *data = ctool_alloc(NULL, n + 1);
    pn_slice slice = {data, n};

    (void)user;
    memset(data, 'x', n);
    (void)pn_request_reply(req, "~b", slice);
    free(data);
}

/* Of a long binary only how long it was. */
static void on_sink(pn_request *req, pn_term args, void *user)
{
    pn_slice bytes;

    (void)user;
    if (pn_term_match(args, "~b", &bytes) && bytes.len > 1000) {
        ctool_lines_add(&ctool_seen, ctool_printf("{%zu}", bytes.len));
    } else {
        ctool_lines_add(&ctool_seen, ctool_term_text(args));
    }
    (void)pn_request_reply(req, "ok");
}

typedef struct later {
    pn_request *req;
    int64_t ms;
} later;

static void *answer_later(void *user)
{
    later *l = user;

    sleep_ms(l->ms);
    (void)pn_request_reply(l->req, "ok");
    free(l);
    return NULL;
}

static void on_defer(pn_request *req, pn_term args, void *user)
{
    later *l = ctool_alloc(NULL, sizeof(*l));
    pthread_t thread;

    (void)user;
    l->ms = term_int(args);
    if (pn_request_defer(req, &l->req) != PN_OK) {
        free(l);
        return;
    }
    if (pthread_create(&thread, NULL, answer_later, l) != 0) {
        pn_request_drop(l->req);
        free(l);
        return;
    }
    pthread_detach(thread);
}

/* ---- BeamDist ---- */

static void on_dist_add(pn_request *req, pn_term args, void *user)
{
    int64_t a;
    int64_t b;

    (void)user;
    if (!pn_term_match(args, "[~l, ~l]", &a, &b)) {
        (void)pn_request_fail(req, "badarg");
        return;
    }
    (void)pn_request_reply(req, "~l", a + b);
}

static void on_dist_note(pn_request *req, pn_term args, void *user)
{
    (void)user;
    ctool_lines_add(&ctool_seen, ctool_term_text(args));
    (void)pn_request_reply(req, "ok");
}

/* Two functions that are granted to all and one that is granted to none. */
static pn_err expose_beam_dist(pn_node *node, const char *handle)
{
    pn_beam_dist *table;
    pn_err err = pn_beam_dist_serve(node, handle, NULL, &table);

    if (err == PN_OK) {
        err = pn_beam_dist_export(
            table, "Integer", "add", 2, on_dist_add, NULL);
    }
    if (err == PN_OK) {
        err = pn_beam_dist_export(
            table, ":erlang", "display", 1, on_dist_note, NULL);
    }
    if (err == PN_OK) {
        err = pn_beam_dist_export(
            table, ":erlang", "halt", 0, on_dist_note, NULL);
    }
    if (err == PN_OK) {
        err = pn_beam_dist_grant(table, "Integer", "add", 2, NULL);
    }
    if (err == PN_OK) {
        err = pn_beam_dist_grant(table, ":erlang", "display", 1, NULL);
    }
    if (err == PN_OK) {
        err = pn_beam_dist_grant(table, "Logger", "info", 1, NULL);
    }
    return err;
}

/* ---- expose ---- */

static bool authorize_nobody(
    void *user, const pn_principal *caller, const char *handle, pn_term args)
{
    (void)user;
    (void)caller;
    (void)handle;
    (void)args;
    return false;
}

static const struct {
    const char *kind;
    pn_handler *handler;
} kinds[] = {
    {"echo", on_echo},
    {"inline", on_echo},
    {"concurrent", on_slow},
    {"forbidden", on_echo},
    {"add", on_add},
    {"whoami", on_whoami},
    {"fail", on_fail},
    {"silent", on_silent},
    {"slow", on_slow},
    {"big", on_big},
    {"sink", on_sink},
    {"defer", on_defer},
};

/* only:KEY is an echo that one peer may use. */
static pn_err expose_only(pn_node *node, const char *key, const char *name)
{
    pn_expose_options options;
    pn_principal who = {.family = PN_FAMILY_PEERNET};
    pn_err err = pn_key_parse(key, &who.key.x25519);

    if (err != PN_OK) {
        return err;
    }
    pn_expose_options_init(&options);
    options.flags = PN_EXPOSE_CLOSED;
    err = pn_expose(node, name, on_echo, NULL, &options);
    return err != PN_OK ? err : pn_grant(node, name, &who);
}

bool ctool_expose(
    pn_node *node, const char *kind, const char *name, pn_err *ret_err)
{
    pn_expose_options options;

    if (strcmp(kind, "beam_dist") == 0) {
        *ret_err = expose_beam_dist(
            node, strcmp(name, kind) == 0 ? NULL : name);
        return true;
    }
    if (strncmp(kind, "only:", 5) == 0) {
        *ret_err = expose_only(node, kind + 5, name);
        return true;
    }
    pn_expose_options_init(&options);
    if (strcmp(kind, "inline") == 0) {
        options.flags = PN_EXPOSE_INLINE;
    } else if (strcmp(kind, "concurrent") == 0) {
        options.flags = PN_EXPOSE_CONCURRENT;
    } else if (strcmp(kind, "forbidden") == 0) {
        options.authorize = authorize_nobody;
    }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        if (strcmp(kinds[i].kind, kind) == 0) {
            *ret_err = pn_expose(node, name, kinds[i].handler, NULL, &options);
            return true;
        }
    }
    return false;
}

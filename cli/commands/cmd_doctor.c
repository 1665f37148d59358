/* SPDX-License-Identifier: Apache-2.0 */
/* doctor: walks from this device to a peer, and says what is in the way. */
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "barrel.h"
#include "commands.h"
#include "doctor.h"
#include "json/jsonout.h"

/* Fills a doctor. */
const cli_option cli_doctor_option_table[] = {
    {"handle", 0, "NAME", .help = "call this handle of the peer, too",
        .kind = CLI_STRING, .offset = offsetof(doctor, handle)},
    {"at", 0, "HOST:PORT", .help = "look for the peer there",
        .kind = CLI_STRING, .offset = offsetof(doctor, at)},
    {.name = NULL},
};

/* ---- lines -------------------------------------------------------------- */

static void print_step(
    const doctor *d, const char *result, const cli_verdict *v, const char *seen)
{
    cli_text t = {0};

    if (!d->app->json) {
        cli_text_printf(&t, "%-7s %-13s %s", result, d->step, seen);
        cli_print(&t);
        return;
    }
    cli_json_begin(&t);
    cli_json_string(&t, "step", d->step);
    cli_json_string(&t, "result", result);
    cli_json_string(&t, "seen", seen);
    if (v != NULL) {
        cli_json_string(&t, "verdict", v->name);
        cli_json_string(&t, "usually", v->usually);
        cli_json_string(&t, "next", v->next);
    }
    cli_print_result(&t);
}

void doctor_pass(doctor *d, const char *format, ...)
{
    char seen[640];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(seen, sizeof(seen), format, args);
    va_end(args);
    if (!doctor_is_cut_off(d)) {
        print_step(d, "ok", NULL, seen);
    }
}

static void __attribute__((format(printf, 4, 0))) report(doctor *d,
    const char *verdict, bool is_failure, const char *format, va_list args)
{
    const cli_verdict *v = cli_verdict_find(
        verdict, d->name != NULL && cli_is_node(d->name));
    char seen[640];

    if (doctor_is_cut_off(d)) {
        return;
    }
    (void)vsnprintf(seen, sizeof(seen), format, args);
    if (d->verdict == NULL || (is_failure && !d->has_failed)) {
        d->verdict = v;
        cli_text_clear(&d->seen);
        cli_text_puts(&d->seen, seen);
    }
    d->has_failed = d->has_failed || is_failure;
    d->is_over = d->is_over || is_failure;
    print_step(d, is_failure ? "failed" : "warning", v, seen);
}

void doctor_warn(doctor *d, const char *verdict, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    report(d, verdict, false, format, args);
    va_end(args);
}

void doctor_fail(doctor *d, const char *verdict, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    report(d, verdict, true, format, args);
    va_end(args);
}

/* People get the verdict in full. */
static void print_verdict(const doctor *d)
{
    cli_text t = {0};

    if (d->app->json) {
        return;
    }
    if (d->verdict == NULL) {
        cli_text_puts(&t, d->name == NULL ? "nothing is wrong on this device"
                                          : "nothing is in the way");
    } else {
        cli_text_printf(&t, "\nseen:    %s\nusually: %s\nnext:    %s",
            cli_text_string(&d->seen), d->verdict->usually, d->verdict->next);
    }
    cli_print(&t);
}

/* A person who waits over a second is told for what. */
static void on_slow(void *user)
{
    const doctor *d = user;

    cli_warn("the step '%s' waits %s", d->step, d->waits);
}

void doctor_tell_slow(doctor *d)
{
    if (!d->app->json && isatty(STDERR_FILENO) == 1) {
        d->session->on_slow = on_slow;
        d->session->user = d;
    }
}

/* ---- the walk ----------------------------------------------------------- */

static void walk(doctor *d, const doctor_step *steps)
{
    for (; steps->name != NULL && !d->is_over && !doctor_is_cut_off(d);
         steps++) {
        if (d->name != NULL || !steps->needs_peer) {
            d->step = steps->name;
            d->waits = "for the node";
            steps->run(d);
        }
    }
}

static cli_exit end(const doctor *d)
{
    if (d->session != NULL && d->session->signal != 0) {
        return cli_fail(
            d->app, CLI_INTERRUPTED, "interrupted at the step '%s'", d->step);
    }
    if (doctor_is_cut_off(d)) {
        return cli_fail_node(d->app, d->session);
    }
    if (d->status_told != CLI_OK) {
        return d->status_told;
    }
    print_verdict(d);
    return d->has_failed ? d->verdict->status : CLI_OK;
}

/* A node of an Erlang cluster needs no source and is not paired but pinned. */
static cli_exit check_node_words(const cli_app *app, const doctor *d)
{
    if (d->name == NULL || !cli_is_node(d->name)) {
        return cli_barrel_check_unused(app, "NODE@HOST as PEER");
    }
    if (d->handle != NULL || d->at != NULL) {
        return cli_fail(app, CLI_USAGE,
            "expected no '--handle' and no '--at' for a node of an Erlang "
            "cluster");
    }
    return cli_check_node(app, d->name);
}

static void walk_all(doctor *d)
{
    walk(d, doctor_files);
    if (d->name != NULL && cli_is_node(d->name)) {
        walk(d, doctor_node);
        return;
    }
    walk(d, doctor_here);
    walk(d, doctor_there);
}

cli_exit cli_cmd_doctor(const cli_app *app)
{
    doctor d = {.app = app};
    cli_exit status = cli_read_options(app, cli_doctor_option_table, &d);

    if (app->args->n_positional > 0) {
        d.name = app->args->positional[0];
    } else if (d.handle != NULL || d.at != NULL) {
        return cli_fail(app, CLI_USAGE,
            "expected PEER with '--handle' and '--at', found none");
    }
    if (status == CLI_OK) {
        status = check_node_words(app, &d);
    }
    if (status == CLI_OK) {
        walk_all(&d);
        status = end(&d);
    }
    cli_session_close(d.session);
    json_decref(d.status);
    json_decref(d.peer);
    cli_text_fini(&d.interfaces);
    cli_text_fini(&d.seen);
    return status;
}

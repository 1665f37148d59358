/* SPDX-License-Identifier: Apache-2.0 */
/* run: the node in the foreground, its exposed programs, its control socket. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "control/control.h"
#include "program/handlers.h"
#include "run_service.h"
#include "run_settings.h"
#include "service/sockets.h"
#include "json/jsonout.h"

typedef struct running {
    const cli_app *app;
    cli_settings *settings;
    cli_session *session;
    cli_hub *hub; /* the session's */
    cli_control *control;
    char canonical_dir[PATH_MAX]; /* where the link to its socket is */
    cli_starter *starter;
    const cli_program **table; /* of the starter */
    cli_handlers *handlers;
    cli_run_service service;
    cli_sockets sockets; /* that systemd holds for us */
} running;

static cli_exit fail_err(const running *r, const char *what, pn_err err)
{
    return cli_fail(r->app, CLI_LOCAL, "%s: %s", what, pn_strerror(err));
}

/* docs/THREATS.md, T14 and T39: the process that starts programs has nothing of
 * the node but their table. */
static cli_exit fork_starter(running *r)
{
    const cli_settings *s = r->settings;
    cli_starter_options options;

    r->table = calloc(s->n_programs + 1, sizeof(*r->table));
    if (r->table == NULL) {
        return fail_err(r, "run", PN_NOMEM);
    }
    for (size_t i = 0; i < s->n_programs; i++) {
        r->table[i] = &s->programs[i]->exposed.program;
    }
    cli_starter_options_init(&options);
    options.programs = r->table;
    r->starter = cli_starter_new(&options);
    return r->starter != NULL
               ? CLI_OK
               : cli_fail(r->app, CLI_LOCAL,
                   "cannot start the process that starts programs: %s",
                   strerror(errno));
}

/* ---- exposing ----------------------------------------------------------- */

/* A function needs the grant of its handle, too. who NULL: every paired
 * peer. */
static pn_err grant_to(
    const running *r, const run_allowance *a, const pn_principal *who)
{
    pn_node *node = cli_hub_node(r->hub);
    const char *handle = a->function != NULL ? PN_BEAM_DIST_HANDLE : a->name;
    pn_err err = a->function != NULL ? cli_handlers_serve(r->handlers, 0)
                                     : PN_OK;

    if (err != PN_OK || a->is_stored) {
        return err;
    }
    if (err == PN_OK) {
        err = who == NULL ? pn_grant_paired(node, handle)
                          : pn_grant(node, handle, who);
    }
    return err == PN_OK && a->function != NULL
               ? cli_handlers_allow(r->handlers, a->function, who)
               : err;
}

/* A grant ends with the pin of its key. --allow NAME=NODE@HOST names a node, so
 * a key that the owner pins for that name later is granted again. With tofu the
 * pin may be of any key, so there the grant is not renewed. */
static void grant_again(void *user)
{
    running *r = user;
    const cli_settings *s = r->settings;
    pn_principal who;

    if (s->barrel.options.trust != PN_BARREL_STRICT) {
        return;
    }
    for (size_t i = 0; i < s->n_allowances; i++) {
        const run_allowance *a = &s->allowances[i];

        if (cli_is_node(a->peer)
            && cli_hub_pinned(r->hub, a->peer, &who) == PN_OK) {
            pn_err err = grant_to(r, a, &who);

            if (err != PN_OK) {
                cli_log("peernet: error: %s is not allowed: %s",
                    a->given->value, pn_strerror(err));
            }
        }
    }
}

/* A built-in handle without --allow is open to every paired peer. */
static bool is_limited(const cli_settings *s, const char *handle)
{
    for (size_t i = 0; i < s->n_allowances; i++) {
        if (strcmp(s->allowances[i].name, handle) == 0) {
            return true;
        }
    }
    return false;
}

static cli_exit expose_all(running *r)
{
    const cli_settings *s = r->settings;
    pn_node *node = cli_hub_node(r->hub);
    pn_err err;

    for (size_t i = 0; i < s->n_programs; i++) {
        run_program *p = s->programs[i];

        err = p->exposed.is_function
                  ? cli_handlers_export(r->handlers, &p->exposed, &p->function)
                  : cli_handlers_expose(r->handlers, &p->exposed);
        if (err != PN_OK) {
            return fail_err(r, p->name, err);
        }
    }
    if (s->options.echo) {
        err = cli_expose_echo(
            node, is_limited(s, "echo") ? PN_EXPOSE_CLOSED : 0);
        if (err != PN_OK) {
            return fail_err(r, "echo", err);
        }
    }
    if (s->options.chat && is_limited(s, "chat")) {
        (void)!pn_ungrant(node, "chat", NULL);
    }
    cli_hub_on_pins(r->hub, grant_again, r);
    for (size_t i = 0; i < s->n_allowances; i++) {
        const run_allowance *a = &s->allowances[i];

        err = grant_to(r, a, a->is_all ? NULL : &a->who);
        if (err != PN_OK) {
            return fail_err(r, a->name, err);
        }
    }
    return CLI_OK;
}

/* ---- the control socket ------------------------------------------------- */

static void deliver_to_client(void *user, const char *line, size_t len)
{
    cli_control_send(user, line, len);
}

static size_t unread_by_client(void *user)
{
    return cli_control_unread(user);
}

/* One request of the largest size fits beside what may wait. */
static void widen_client(void *user)
{
    cli_control_set_limits(
        user, CLI_SERVE_MAX_LINE, CLI_CONTROL_MAX_OUTPUT + CLI_SERVE_MAX_EVENT);
}

static void hold_client(void *user, bool is_held)
{
    cli_control_hold(user, is_held);
}

static void *on_client(void *user, cli_control_client *client)
{
    static const cli_flow flow = {unread_by_client, widen_client, hold_client};
    running *r = user;
    cli_caller *caller = cli_hub_join(r->hub, deliver_to_client, client);

    if (caller != NULL) {
        cli_hub_set_flow(caller, &flow);
    }
    return caller;
}

static void on_line(void *user, void *caller, char *line, size_t len)
{
    (void)user;
    cli_hub_request(caller, line, len);
}

static void on_gone(void *user, void *caller)
{
    (void)user;
    cli_hub_leave(caller);
}

static void on_made_again(void *user, const char *path)
{
    running *r = user;

    cli_runtime_write_link(r->canonical_dir, path);
    cli_log("peernet: warning: the control socket was removed, and is now %s",
        path);
}

static cli_exit open_control(running *r)
{
    const cli_control_callbacks callbacks = {
        on_client, on_line, on_gone, r, on_made_again};
    cli_runtime runtime;
    cli_text error = {0};
    cli_exit status = CLI_OK;

    if (!r->settings->options.control) {
        return CLI_OK;
    }
    if (realpath(r->app->data_dir, r->canonical_dir) == NULL) {
        return cli_fail(
            r->app, CLI_LOCAL, "%s: %s", r->app->data_dir, strerror(errno));
    }
    cli_runtime_places(r->canonical_dir, &runtime);
    runtime.has_socket = r->sockets.control >= 0;
    runtime.socket_fd = r->sockets.control;
    if (cli_control_open(
            &r->session->loop, &runtime, &callbacks, &r->control, &error)
        == PN_OK) {
        cli_runtime_write_link(r->canonical_dir, cli_control_path(r->control));
    } else {
        status = cli_fail(r->app, CLI_LOCAL,
            "no control socket (--no-control does without): %s",
            cli_text_string(&error));
    }
    cli_text_fini(&error);
    return status;
}

/* ---- life --------------------------------------------------------------- */

/* Prints the line that scripts wait for: the node now accepts links and
 * commands. */
static void print_ready(const running *r)
{
    pn_node *node = cli_hub_node(r->hub);
    const pn_principal who = pn_peernet_principal(pn_node_key(node));
    char base32[PN_BASE32_LEN + 1];
    cli_text t = {0};

    if (r->app->json) {
        cli_json_begin(&t);
        cli_json_string(&t, "event", "ready");
        cli_json_base32(&t, "key", &who);
        cli_json_int(&t, "port", pn_node_port(node));
        if (r->settings->has_barrel) {
            cli_json_string(&t, "node", r->settings->barrel.name);
            cli_json_int(&t, "barrel_port", cli_hub_barrel_port(r->hub));
        }
        if (r->control != NULL) {
            cli_json_string(&t, "control", cli_control_path(r->control));
        }
        cli_json_close(&t, '}');
    } else {
        pn_key_to_base32(pn_node_key(node), base32);
        cli_text_printf(&t, "ready %s port %u", base32, pn_node_port(node));
        if (r->settings->has_barrel) {
            cli_text_printf(&t, " barrel %s port %u", r->settings->barrel.name,
                cli_hub_barrel_port(r->hub));
        }
    }
    cli_print_event(&t);
}

static cli_exit take_sockets(running *r)
{
    cli_text why = {0};

    return cli_sockets_take(&r->sockets, &why)
               ? CLI_OK
               : cli_fail_text(r->app, CLI_LOCAL, &why);
}

/* Those that systemd holds are instead of --listen. */
static void use_sockets(running *r, pn_node_options *node)
{
    if (r->sockets.n_link == 0) {
        return;
    }
    if (node->listen_address != NULL) {
        cli_warn("warning: --listen is not used: systemd holds the port, see "
                 "peernet.socket");
    }
    node->listen_fds = r->sockets.link;
    node->n_listen_fds = r->sockets.n_link;
}

static cli_exit open_session(running *r)
{
    cli_session_options options = {.data_dir = r->app->data_dir,
        .must_open = true,
        .hub = r->settings->hub};
    cli_exit status = take_sockets(r);

    if (status == CLI_OK) {
        use_sockets(r, &options.hub.node);
        status = cli_app_open_session(r->app, &options, &r->session);
    }
    cli_barrel_wipe(&r->settings->barrel);
    return status;
}

static cli_exit open_all(running *r)
{
    cli_exit status = open_session(r);

    if (status != CLI_OK) {
        return status;
    }
    r->hub = r->session->hub;
    r->handlers = cli_handlers_new(&r->session->loop, r->hub, r->starter);
    if (r->handlers == NULL) {
        return fail_err(r, "run", PN_NOMEM);
    }
    status = cli_print_events(r->app, r->session);
    if (status == CLI_OK) {
        cli_settings_resolve(r->settings, r->hub);
        status = cli_settings_report(r->app, r->settings);
    }
    if (status == CLI_OK) {
        status = expose_all(r);
    }
    return status == CLI_OK ? open_control(r) : status;
}

/* Closes the control socket first, so that no new request begins; then ends
 * programs, then links. A second signal waits until the programs have ended,
 * and then ends the process at once. */
static void close_all(running *r)
{
    cli_run_service_stopping(&r->service);
    if (r->session != NULL) {
        cli_end_signals_stop(&r->session->signals);
    }
    if (r->control != NULL && !cli_control_is_lent(r->control)) {
        cli_runtime_write_link(r->canonical_dir, NULL);
    }
    cli_control_close(r->control);
    cli_handlers_close(r->handlers);
    cli_starter_free(r->starter);
    cli_session_close(r->session);
    cli_handlers_free(r->handlers);
}

cli_exit cli_cmd_run(const cli_app *app)
{
    static running r; /* one per process */
    cli_exit status;

    r.app = app;
    r.settings = cli_settings_read(app, NULL);
    if (r.settings == NULL) {
        return fail_err(&r, "run", PN_NOMEM);
    }
    status = cli_settings_report(app, r.settings);
    if (status == CLI_OK) {
        status = fork_starter(&r);
    }
    /* A cookie may come from a pipe that is never written to, so a signal ends
     * the process until there is a loop. */
    if (status == CLI_OK && r.settings->has_barrel) {
        (void)cli_barrel_read_files(&r.settings->app, &r.settings->barrel);
        status = cli_settings_report(app, r.settings);
    }
    if (status == CLI_OK) {
        status = open_all(&r);
    }
    if (status == CLI_OK) {
        print_ready(&r);
        cli_run_service_ready(&r.service, &r.session->loop, r.hub);
        while (r.session->signal == 0) {
            (void)uv_run(&r.session->loop, UV_RUN_ONCE);
        }
    }
    close_all(&r);
    free(r.table);
    cli_settings_free(r.settings);
    return status;
}

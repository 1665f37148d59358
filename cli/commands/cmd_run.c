/* SPDX-License-Identifier: Apache-2.0 */
/* run: the node in the foreground, its exposed programs, its control socket. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mutant.h"
#include "commands.h"
#include "control/control.h"
#include "metrics_file.h"
#include "program/handlers.h"
#include "run_apply.h"
#include "run_service.h"
#include "run_settings.h"
#include "service/sockets.h"
#include "json/jsonout.h"

typedef struct running {
    const cli_app *app;
    cli_settings *settings; /* in force */
    cli_settings *first;    /* of the start: what a reload leaves is as there */
    cli_session *session;
    cli_hub *hub; /* the session's */
    cli_control *control;
    cli_control *guests;          /* programs of other users; NULL: no socket */
    char canonical_dir[PATH_MAX]; /* where the link to its socket is */
    cli_starter *starter;
    const cli_program **table; /* of the starter */
    cli_handlers *handlers;
    cli_run_service service;
    cli_metrics_file metrics_file;
    cli_sockets sockets; /* that systemd holds for us */
} running;

static cli_exit fail_err(const running *r, const char *what, pn_err err)
{
    return cli_fail(r->app, CLI_LOCAL, "%s: %s", what, pn_strerror(err));
}

/* Owned by the settings, but for the array; NULL: no memory. */
static const cli_program **program_table(const cli_settings *s)
{
    const cli_program **table = calloc(s->n_programs + 1, sizeof(*table));

    for (size_t i = 0; table != NULL && i < s->n_programs; i++) {
        table[i] = &s->programs[i]->exposed.program;
    }
    return table;
}

/* ---- exposing ----------------------------------------------------------- */

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
            pn_err err = cli_settings_grant(r->hub, r->handlers, a, &who);

            if (err != PN_OK) {
                cli_log("peernet: error: %s is not allowed: %s",
                    a->given->value, pn_strerror(err));
            }
        }
    }
}

static cli_exit expose_all(running *r)
{
    cli_applied applied;
    const char *what;
    pn_err err = cli_settings_apply(
        NULL, r->settings, r->hub, r->handlers, &applied, &what);

    cli_hub_on_pins(r->hub, grant_again, r);
    return err == PN_OK ? CLI_OK : fail_err(r, what, err);
}

/* ---- reload ------------------------------------------------------------- */

/* Called in the process that starts programs. Programs of the table before last
 * are in no run's way: a run has begun with its own. */
static const cli_program *const *read_again(void *user)
{
    static cli_settings *last;
    const running *r = user;
    cli_settings *s = cli_settings_read(r->app, NULL);
    const cli_program **table;

    if (s == NULL || !cli_faults_none(&s->faults)) {
        cli_settings_free(s);
        return NULL;
    }
    table = program_table(s);
    if (table != NULL) {
        cli_settings_free(last);
        last = s;
    }
    return table;
}

/* Every fault, to the log and into the answer. */
static void tell_faults(cli_settings *s, cli_text *t)
{
    cli_faults_sort(&s->faults);
    cli_json_open(t, "faults", '[');
    for (size_t i = 0; i < s->faults.n; i++) {
        cli_text line = {0};

        cli_fault_to_json(&s->faults.items[i], t);
        cli_fault_to_text(&s->faults.items[i], &line);
        cli_log("peernet: error: not reloaded: %s", cli_text_string(&line));
        cli_text_fini(&line);
    }
    cli_json_close(t, ']');
    cli_json_string(t, "message",
        "the configuration has faults: the old one stays in force");
}

static void tell_restart(
    const cli_settings *old, const cli_settings *s, cli_text *t)
{
    const cli_option *o;
    unsigned i = 0;

    cli_json_open(t, "restart", '[');
    while ((o = cli_settings_needs_restart(old, s, &i)) != NULL) {
        cli_json_string(t, NULL, o->name);
        cli_log("peernet: warning: --%s (%s in [%s]) changes with the next "
                "start",
            o->name, o->key, cli_config_section(o));
    }
    cli_json_close(t, ']');
}

static void apply_options(running *r, const cli_settings *s)
{
    if (!cli_settings_same(r->settings, s, "own-label")) {
        (void)!cli_hub_set_label(r->hub, s->options.own_label);
    }
    cli_hub_set_verbose(r->hub, s->options.verbose);
}

static void check_served(const running *r, cli_settings *s, const char *name)
{
    if (PN_REFUSE_IF(cli_serve_reload, cli_hub_is_served(r->hub, name))) {
        (void)cli_fail(&s->app, CLI_LOCAL,
            "a program that runs by itself serves '%s': expected a name that "
            "is free",
            name);
    }
}

/* A handle that a client of the control socket serves is not replaced. */
static void check_names(const running *r, cli_settings *s)
{
    for (size_t i = 0; i < s->n_programs; i++) {
        s->faults.at = s->programs[i]->given;
        if (!s->programs[i]->exposed.is_function) {
            check_served(r, s, s->programs[i]->name);
        }
    }
    s->faults.at = NULL;
    if (s->options.echo) {
        check_served(r, s, "echo");
    }
}

/* All or nothing: what is wrong is found before anything is changed. */
static const char *apply(running *r, cli_settings *s, cli_text *t)
{
    cli_applied applied = {0};
    const char *what = NULL;
    pn_err err;

    cli_settings_resolve(s, r->hub);
    check_names(r, s);
    if (!cli_faults_none(&s->faults)) {
        tell_faults(s, t);
        return "bad-request";
    }
    /* Asked first, so that a run of a new program comes behind it. */
    (void)cli_starter_reload(r->starter);
    cli_settings_keep(s, r->settings);
    err = cli_settings_apply(
        r->settings, s, r->hub, r->handlers, &applied, &what);
    if (err != PN_OK) {
        cli_json_string(t, "message", pn_strerror(err));
        cli_log("peernet: error: reload: %s: %s", what, pn_strerror(err));
        return "local";
    }
    apply_options(r, s);
    tell_restart(r->first, s, t);
    cli_json_known(t, "file", s->config == NULL ? "" : s->config->path);
    cli_json_int(t, "changed", applied.n_changed);
    cli_json_int(t, "removed", applied.n_removed);
    cli_log("peernet: reloaded: %u programs are new or changed, %u are gone",
        applied.n_changed, applied.n_removed);
    return NULL;
}

static const char *on_reload(void *user, cli_text *t)
{
    running *r = user;
    cli_settings *s = cli_settings_read(r->app, NULL);
    const char *error = "local";

    cli_run_service_reloading(&r->service);
    if (s == NULL) {
        cli_json_string(t, "message", pn_strerror(PN_NOMEM));
    } else {
        error = apply(r, s, t);
    }
    if (error == NULL) {
        cli_settings *old = r->settings == r->first ? NULL : r->settings;

        r->settings = s;
        s = old;
    }
    cli_settings_free(s);
    cli_run_service_reloaded(&r->service);
    return error;
}

/* At a terminal SIGHUP means that it is gone, and ends the node. */
static bool on_hangup(void *user)
{
    cli_text t = {0};

    (void)on_reload(user, &t);
    cli_text_fini(&t);
    return true;
}

static bool has_terminal(void)
{
    int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);

    if (fd >= 0) {
        (void)close(fd);
    }
    return fd >= 0;
}

/* docs/THREATS.md, T14 and T39: the process that starts programs has nothing of
 * the node but their table. */
static cli_exit fork_starter(running *r)
{
    cli_starter_options options;

    r->table = program_table(r->settings);
    if (r->table == NULL) {
        return fail_err(r, "run", PN_NOMEM);
    }
    cli_starter_options_init(&options);
    options.programs = r->table;
    options.read_again = read_again;
    options.user = r;
    r->starter = cli_starter_new(&options);
    return r->starter != NULL
               ? CLI_OK
               : cli_fail(r->app, CLI_LOCAL,
                   "cannot start the process that starts programs: %s",
                   strerror(errno));
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

static const char *allow_guest(void *user, const char *handle, size_t i)
{
    running *r = user;

    return cli_settings_handle_peer(r->settings, handle, i);
}

static void *on_guest(void *user, cli_control_client *client)
{
    cli_caller *caller = on_client(user, client);

    if (caller != NULL) {
        cli_hub_restrict(caller, allow_guest, user);
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

static cli_exit open_guests(running *r)
{
    const cli_control_callbacks callbacks = {
        on_guest, on_line, on_gone, r, NULL};
    const cli_settings *s = r->settings;
    cli_text error = {0};
    cli_exit status = CLI_OK;

    if (s->options.handles_socket != NULL
        && cli_control_open_to_group(&r->session->loop,
               s->options.handles_socket, s->handles_group, &callbacks,
               &r->guests, &error)
               != PN_OK) {
        status = cli_fail(r->app, CLI_LOCAL,
            "no socket for handles of other users: %s",
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
    if (status == CLI_OK) {
        status = open_control(r);
    }
    return status == CLI_OK ? open_guests(r) : status;
}

/* Closes the control socket first, so that no new request begins; then ends
 * programs, then links. A second signal waits until the programs have ended,
 * and then ends the process at once. */
static void close_all(running *r)
{
    cli_run_service_stopping(&r->service);
    cli_metrics_file_end(&r->metrics_file);
    if (r->session != NULL) {
        cli_end_signals_stop(&r->session->signals);
    }
    if (r->control != NULL && !cli_control_is_lent(r->control)) {
        cli_runtime_write_link(r->canonical_dir, NULL);
    }
    cli_control_close(r->control);
    cli_control_close(r->guests);
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
    r.first = r.settings;
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
        cli_metrics_file_start(&r.metrics_file, &r.session->loop, r.hub,
            r.settings->options.metrics_file);
        print_ready(&r);
        cli_run_service_ready(&r.service, &r.session->loop, r.hub);
        cli_hub_on_reload(r.hub, on_reload, &r);
        if (!has_terminal()) {
            r.session->on_hangup_user = &r;
            r.session->on_hangup = on_hangup;
        }
        while (r.session->signal == 0) {
            (void)uv_run(&r.session->loop, UV_RUN_ONCE);
        }
    }
    close_all(&r);
    free(r.table);
    if (r.settings != r.first) {
        cli_settings_free(r.settings);
    }
    cli_settings_free(r.first);
    return status;
}

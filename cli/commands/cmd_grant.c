/* SPDX-License-Identifier: Apache-2.0 */
/* grant, ungrant, grants, role, can: these need no node, and use the running
 * one if there is one. The answer of the files is written as the node writes
 * its own, so both are printed by one function. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "barrel.h"
#include "commands.h"
#include "control/grants_text.h"
#include "peer_text.h"
#include "peername.h"
#include "json/json.h"
#include "json/jsonout.h"

/* ---- the node or the files ------------------------------------------------
 */

/* What a command does: asks a node, or writes what a node would answer. */
typedef struct task {
    const char *cmd;
    /* Adds the fields of the request; arg: the name of one round, or NULL. */
    void (*ask)(const cli_app *app, cli_text *t, const char *arg);
    cli_exit (*by_files)(
        const cli_app *app, pn_store *store, const char *arg, cli_text *answer);
    cli_exit (*print)(
        const cli_app *app, const json_t *answer, const char *arg);
} task;

static cli_exit ask_node(
    const cli_app *app, cli_session *session, const task *todo, const char *arg)
{
    cli_answer answer = {0};
    cli_text t = {0};
    cli_exit status;

    cli_request_begin(session, &t, todo->cmd);
    todo->ask(app, &t, arg);
    status = cli_ask(app, session, &t, &answer);
    if (status == CLI_OK) {
        status = todo->print(app, answer.json, arg);
    }
    cli_answer_fini(&answer);
    return status;
}

static cli_exit ask_files(
    const cli_app *app, pn_store *store, const task *todo, const char *arg)
{
    cli_json_error error = {""};
    cli_text t = {0};
    json_t *answer;
    cli_exit status;

    cli_json_open(&t, NULL, '{');
    cli_json_bool(&t, "ok", true);
    status = todo->by_files(app, store, arg, &t);
    cli_json_close(&t, '}');
    if (status == CLI_OK) {
        answer = t.failed ? NULL : cli_json_load(t.data, t.len, &error);
        status = answer == NULL ? cli_fail(app, CLI_LOCAL, "out of memory")
                                : todo->print(app, answer, arg);
        json_decref(answer);
    }
    cli_text_fini(&t);
    return status;
}

static cli_exit open_files(const cli_app *app, pn_store **ret_store)
{
    pn_why why = {0};
    pn_why warning = {0};
    pn_err err = pn_store_open(app->data_dir, ret_store, &why, &warning);

    if (err != PN_OK) {
        return cli_fail_store(app, err, &why);
    }
    if (warning.text[0] != '\0') {
        cli_warn("%s", warning.text);
    }
    return CLI_OK;
}

/* One round for each of n names; n 0: one round without. */
static cli_exit run(
    const cli_app *app, const task *todo, const char *const *names, unsigned n)
{
    cli_session *session = NULL;
    pn_store *store = NULL;
    cli_exit status = cli_app_running(app, &session);

    if (status == CLI_OK && session == NULL) {
        status = open_files(app, &store);
    }
    for (unsigned i = 0; status == CLI_OK && i < (n == 0 ? 1 : n); i++) {
        const char *arg = n == 0 ? NULL : names[i];

        status = session != NULL ? ask_node(app, session, todo, arg)
                                 : ask_files(app, store, todo, arg);
    }
    pn_store_close(store);
    if (session != NULL) {
        cli_session_close(session);
    }
    return status;
}

static void no_fields(const cli_app *app, cli_text *t, const char *arg)
{
    (void)app;
    (void)t;
    (void)arg;
}

/* ---- whom a command is about, by the files --------------------------------
 */

typedef struct known {
    cli_grants_view view;
    pn_stored_line *lines;
    pn_store_peer *peers;
} known;

static cli_exit known_load(const cli_app *app, pn_store *store, known *k)
{
    pn_why why = {0};
    pn_err err;

    *k = (known){.view.now_us = cli_wall_us()};
    err = pn_store_peers(store, &k->peers, &k->view.n_peers, &why);
    k->view.peers = k->peers;
    return err == PN_OK ? CLI_OK : cli_fail_store(app, err, &why);
}

static void known_fini(known *k)
{
    free(k->lines);
    free(k->peers);
}

/* by_key: a key that is not paired is somebody, too. */
static cli_exit find_grantee(
    const cli_app *app, const known *k, bool by_key, cli_grantee *ret_to)
{
    const char *name = app->args->positional[0];
    cli_text why = {0};

    *ret_to = (cli_grantee){.is_paired = strcmp(name, "paired") == 0};
    if (ret_to->is_paired) {
        return CLI_OK;
    }
    if (cli_is_node(name)) {
        return cli_barrel_find_pin(app, name, &ret_to->who);
    }
    ret_to->who.family = PN_FAMILY_PEERNET;
    if ((by_key && pn_key_parse(name, &ret_to->who.key.x25519) == PN_OK)
        || cli_peer_of_list(k->peers, k->view.n_peers, name, "paired",
               &ret_to->who.key.x25519, &why)
               == PN_OK) {
        cli_text_fini(&why);
        return CLI_OK;
    }
    return cli_fail_text(app, CLI_NO_PEER, &why);
}

/* Adds the grantee as the answer has it. */
static void add_to(cli_text *t, const json_t *answer)
{
    const char *label = cli_field(answer, "label");

    if (strcmp(cli_field(answer, "to"), "paired") == 0) {
        cli_text_puts(t, "every paired peer");
        return;
    }
    label = label[0] == '\0' ? cli_field(answer, "node") : label;
    label = label[0] == '\0' ? cli_field(answer, "fingerprint") : label;
    cli_escape(t, label, strlen(label), CLI_ESCAPE_FIELD);
}

static void add_name(cli_text *t, const json_t *answer)
{
    const char *name = cli_field(answer, "name");

    cli_escape(t, name, strlen(name), CLI_ESCAPE_FIELD);
}

static void ask_peer(const cli_app *app, cli_text *t, const char *arg)
{
    if (app->args->n_positional > 0) {
        cli_json_string(t, "peer", app->args->positional[0]);
    }
    if (arg != NULL) {
        cli_json_string(t, "name", arg);
    }
}

/* ---- grant ----------------------------------------------------------------
 */

const cli_option cli_grant_option_table[] = {
    {"until", 0, "TIME",
        .help = "when it ends: 2026-12-31T10:00:00Z, or 90s, 30m, 2h, 7d"},
    {"log-only", 0, NULL,
        .help = "grant nothing; log what it would have allowed"},
    {.name = NULL},
};

/* The end, as the file has it; "": none. */
static cli_exit read_until(const cli_app *app, char ret_text[static 24])
{
    const char *text = cli_args_value(app->args, "until");
    int64_t until_us = 0;

    ret_text[0] = '\0';
    if (text == NULL) {
        return CLI_OK;
    }
    if (!cli_until_parse(text, cli_wall_us(), &until_us)
        || until_us <= cli_wall_us()) {
        return cli_fail_word(app,
            "a time to come such as 2026-12-31T10:00:00Z, or 90s, 30m, 2h or "
            "7d after '--until'",
            text, NULL);
    }
    cli_until_write(until_us, ret_text);
    return CLI_OK;
}

static void ask_grant(const cli_app *app, cli_text *t, const char *arg)
{
    char until[24];

    ask_peer(app, t, arg);
    if (read_until(app, until) == CLI_OK && until[0] != '\0') {
        cli_json_string(t, "until", until);
    }
    if (cli_args_flag(app->args, "log-only")) {
        cli_json_bool(t, "log_only", true);
    }
}

static cli_exit grant_by_files(
    const cli_app *app, pn_store *store, const char *arg, cli_text *answer)
{
    pn_stored_grant grant = {.until_us = PN_GRANT_FOR_EVER};
    pn_why why = {0};
    char until[24];
    cli_grantee to;
    known k;
    cli_exit status = known_load(app, store, &k);
    pn_err err;

    if (status == CLI_OK) {
        status = find_grantee(app, &k, false, &to);
    }
    if (status == CLI_OK) {
        status = read_until(app, until);
    }
    if (status == CLI_OK && strlen(arg) >= sizeof(grant.name)) {
        status = cli_fail(
            app, CLI_USAGE, "expected a name of at most 511 bytes");
    }
    if (status != CLI_OK) {
        known_fini(&k);
        return status;
    }
    (void)snprintf(grant.name, sizeof(grant.name), "%s", arg);
    if (until[0] != '\0') {
        (void)!pn_grant_until_parse(until, &grant.until_us);
    }
    grant.is_paired = to.is_paired;
    grant.who = to.who;
    grant.is_log_only = cli_args_flag(app->args, "log-only");
    err = pn_store_grant(store, &grant, &why);
    if (err == PN_OK || err == PN_EXISTS) {
        cli_json_grantee(answer, &k.view, &to);
        cli_json_string(answer, "name", arg);
        cli_json_bool(answer, "was_granted", err == PN_EXISTS);
    } else {
        status = cli_fail_store(app, err, &why);
    }
    known_fini(&k);
    return status;
}

/* The object of the answer, as a result. */
static cli_exit print_json(const json_t *answer)
{
    json_t *shown = json_copy((json_t *)(uintptr_t)answer);

    (void)json_object_del(shown, "time"); /* a line has one of its own */
    cli_print_object(shown);
    json_decref(shown);
    return CLI_OK;
}

static cli_exit print_granted(
    const cli_app *app, const json_t *answer, const char *arg)
{
    const bool was = json_is_true(json_object_get(answer, "was_granted"));
    char until[24];
    cli_text t = {0};

    (void)arg;
    if (app->json) {
        return print_json(answer);
    }
    cli_text_puts(&t, was ? "already granted " : "granted ");
    add_name(&t, answer);
    cli_text_puts(&t, " to ");
    add_to(&t, answer);
    if (read_until(app, until) == CLI_OK && until[0] != '\0') {
        cli_text_printf(&t, " until %s", until);
    }
    cli_text_puts(&t, cli_args_flag(app->args, "log-only")
                          ? ", log-only: it grants nothing"
                          : "");
    cli_print(&t);
    return CLI_OK;
}

cli_exit cli_cmd_grant(const cli_app *app)
{
    static const task todo = {
        "grant", ask_grant, grant_by_files, print_granted};
    char until[24];
    cli_exit status = read_until(app, until);

    return status == CLI_OK ? run(app, &todo, &app->args->positional[1],
               app->args->n_positional - 1)
                            : status;
}

/* ---- ungrant --------------------------------------------------------------
 */

const cli_option cli_ungrant_option_table[] = {
    {"all", 0, NULL, .help = "everything that the file grants to PEER"},
    {.name = NULL},
};

static void ask_ungrant(const cli_app *app, cli_text *t, const char *arg)
{
    ask_peer(app, t, arg);
    if (arg == NULL) {
        cli_json_bool(t, "all", true);
    }
}

static cli_exit ungrant_by_files(
    const cli_app *app, pn_store *store, const char *arg, cli_text *answer)
{
    pn_why why = {0};
    cli_grantee to;
    known k;
    cli_exit status = known_load(app, store, &k);
    pn_err err;

    if (status == CLI_OK) {
        status = find_grantee(app, &k, true, &to);
    }
    if (status == CLI_OK) {
        err = pn_store_ungrant(store, to.is_paired ? NULL : &to.who, arg, &why);
        if (err == PN_OK || err == PN_NOT_FOUND) {
            cli_json_grantee(answer, &k.view, &to);
            if (arg != NULL) {
                cli_json_string(answer, "name", arg);
            }
            cli_json_bool(answer, "was_granted", err == PN_OK);
        } else {
            status = cli_fail_store(app, err, &why);
        }
    }
    known_fini(&k);
    return status;
}

static cli_exit print_ungranted(
    const cli_app *app, const json_t *answer, const char *arg)
{
    const bool was = json_is_true(json_object_get(answer, "was_granted"));
    cli_text t = {0};

    if (app->json) {
        return print_json(answer);
    }
    cli_text_puts(&t, was ? "took back " : "no line of the file grants ");
    if (arg == NULL) {
        cli_text_puts(&t, was ? "everything" : "anything");
    } else {
        cli_escape(&t, arg, strlen(arg), CLI_ESCAPE_FIELD);
    }
    cli_text_puts(&t, was ? " from " : " to ");
    add_to(&t, answer);
    cli_print(&t);
    return CLI_OK;
}

cli_exit cli_cmd_ungrant(const cli_app *app)
{
    static const task todo = {
        "ungrant", ask_ungrant, ungrant_by_files, print_ungranted};
    const unsigned n = app->args->n_positional - 1;

    if (cli_args_flag(app->args, "all") != (n == 0)) {
        return cli_fail(app, CLI_USAGE,
            "expected either a handle, a function or role:NAME after "
            "'ungrant PEER', or '--all'");
    }
    return run(app, &todo, &app->args->positional[1], n);
}

/* ---- grants ---------------------------------------------------------------
 */

/* only NULL: all lines. */
static cli_exit list_by_files(const cli_app *app, pn_store *store, known *k,
    const cli_grantee *only, cli_text *answer)
{
    pn_why why = {0};
    pn_err err = pn_store_list_grants(store, &k->lines, &k->view.n_lines, &why);

    if (err != PN_OK) {
        return cli_fail_store(app, err, &why);
    }
    k->view.lines = k->lines;
    cli_json_grants(answer, &k->view, only);
    return CLI_OK;
}

static cli_exit grants_by_files(
    const cli_app *app, pn_store *store, const char *arg, cli_text *answer)
{
    const bool is_all = app->args->n_positional == 0;
    cli_grantee only;
    known k;
    cli_exit status = known_load(app, store, &k);

    (void)arg;
    if (status == CLI_OK && !is_all) {
        status = find_grantee(app, &k, true, &only);
    }
    if (status == CLI_OK) {
        status = list_by_files(app, store, &k, is_all ? NULL : &only, answer);
    }
    known_fini(&k);
    return status;
}

/* What a line says and what becomes of it, in words. */
static void add_row(cli_table *table, const json_t *line)
{
    const char *kind = cli_field(line, "kind");
    const char *until = cli_field(line, "until");
    const char *state = cli_field(line, "state");
    const char *why = cli_field(line, "why");
    char number[24];
    cli_text to = {0};
    cli_text name = {0};

    (void)snprintf(number, sizeof(number), "%d",
        (int)json_integer_value(json_object_get(line, "line")));
    if (strcmp(kind, "grant") == 0) {
        add_to(&to, line);
    } else if (strcmp(kind, "role") == 0) {
        cli_text_printf(&to, "role %s", cli_field(line, "role"));
        until = "";
    }
    add_name(&name, line);
    cli_table_add(table,
        (const char *const[]){number, to.len == 0 ? "-" : cli_text_string(&to),
            name.len == 0 ? "-" : cli_text_string(&name),
            until[0] == '\0' ? "-" : until,
            why[0] != '\0'     ? why
            : state[0] == '\0' ? "-"
                               : state});
    cli_text_fini(&to);
    cli_text_fini(&name);
}

static cli_exit print_lines(
    const cli_app *app, const json_t *answer, const char *role)
{
    static const char *const columns[] = {
        "LINE", "TO", "NAME", "UNTIL", "STATE"};
    json_t *lines = json_object_get(answer, "grants");
    json_t *shown = json_array();
    cli_table table;
    json_t *line;
    size_t i;

    json_array_foreach(lines, i, line)
    {
        if (role == NULL
            || (strcmp(cli_field(line, "kind"), "role") == 0
                && (role[0] == '\0'
                    || strcmp(cli_field(line, "role"), role) == 0))) {
            (void)json_array_append(shown, line);
        }
    }
    if (app->json) {
        cli_print_objects(shown);
    } else {
        cli_table_init(&table, 5, columns);
        table.flexible = 1U << 1 | 1U << 2 | 1U << 4;
        json_array_foreach(shown, i, line)
        {
            add_row(&table, line);
        }
        cli_table_print(&table);
    }
    json_decref(shown);
    return CLI_OK;
}

static cli_exit print_grants(
    const cli_app *app, const json_t *answer, const char *arg)
{
    (void)arg;
    return print_lines(app, answer, NULL);
}

cli_exit cli_cmd_grants(const cli_app *app)
{
    static const task todo = {
        "grants", ask_peer, grants_by_files, print_grants};

    return run(app, &todo, NULL, 0);
}

/* ---- role -----------------------------------------------------------------
 */

const cli_option cli_role_option_table[] = {
    {"none", 0, NULL, .help = "there is to be no such role any more"},
    {.name = NULL},
};

static void ask_role(const cli_app *app, cli_text *t, const char *arg)
{
    (void)arg;
    cli_json_string(t, "role", app->args->positional[0]);
    cli_json_open(t, "names", '[');
    for (unsigned i = 1; i < app->args->n_positional; i++) {
        cli_json_string(t, NULL, app->args->positional[i]);
    }
    cli_json_close(t, ']');
}

static cli_exit role_by_files(
    const cli_app *app, pn_store *store, const char *arg, cli_text *answer)
{
    const unsigned n = app->args->n_positional - 1;
    pn_why why = {0};
    pn_err err = pn_store_set_role(
        store, app->args->positional[0], &app->args->positional[1], n, &why);

    (void)arg;
    if (err != PN_OK && err != PN_NOT_FOUND) {
        return cli_fail_store(app, err, &why);
    }
    cli_json_string(answer, "role", app->args->positional[0]);
    cli_json_int(answer, "names", (int64_t)n);
    cli_json_bool(answer, "was_there", err == PN_OK);
    return CLI_OK;
}

static cli_exit print_role_set(
    const cli_app *app, const json_t *answer, const char *arg)
{
    const int n = (int)json_integer_value(json_object_get(answer, "names"));
    const char *role = cli_field(answer, "role");
    cli_text t = {0};

    (void)arg;
    if (app->json) {
        return print_json(answer);
    }
    if (n > 0) {
        cli_text_printf(&t, "role %s has %d %s", role, n,
            n == 1 ? "handle or function" : "handles and functions");
    } else {
        cli_text_printf(&t,
            json_is_true(json_object_get(answer, "was_there"))
                ? "role %s is gone"
                : "there is no role %s",
            role);
    }
    cli_print(&t);
    return CLI_OK;
}

static cli_exit roles_by_files(
    const cli_app *app, pn_store *store, const char *arg, cli_text *answer)
{
    known k;
    cli_exit status = known_load(app, store, &k);

    (void)arg;
    if (status == CLI_OK) {
        status = list_by_files(app, store, &k, NULL, answer);
    }
    known_fini(&k);
    return status;
}

static cli_exit print_roles(
    const cli_app *app, const json_t *answer, const char *arg)
{
    (void)arg;
    return print_lines(app, answer,
        app->args->n_positional == 0 ? "" : app->args->positional[0]);
}

cli_exit cli_cmd_role(const cli_app *app)
{
    static const task set = {"role", ask_role, role_by_files, print_role_set};
    static const task show = {"grants", no_fields, roles_by_files, print_roles};
    const bool is_none = cli_args_flag(app->args, "none");

    if (is_none && app->args->n_positional != 1) {
        return cli_fail(app, CLI_USAGE,
            "expected 'role NAME --none', with nothing after NAME");
    }
    return run(
        app, is_none || app->args->n_positional > 1 ? &set : &show, NULL, 0);
}

/* ---- can ------------------------------------------------------------------
 */

const cli_option cli_can_option_table[] = {
    {"trace", 0, NULL, .help = "print each step of the decision"},
    {.name = NULL},
};

static cli_exit can_by_files(
    const cli_app *app, pn_store *store, const char *arg, cli_text *answer)
{
    pn_can_step *steps = NULL;
    pn_reason reason = PN_REASON_NONE;
    pn_why why = {0};
    cli_grantee who;
    size_t n = 0;
    known k;
    cli_exit status = known_load(app, store, &k);
    pn_err err;

    if (status == CLI_OK) {
        status = find_grantee(app, &k, true, &who);
    }
    if (status == CLI_OK) {
        err = pn_store_can(store, &who.who, arg, &reason, &steps, &n, &why);
        if (err == PN_OK) {
            cli_json_can(answer, reason, steps, n, true);
        } else {
            status = cli_fail_store(app, err, &why);
        }
    }
    free(steps);
    known_fini(&k);
    return status;
}

static void print_steps(const json_t *steps)
{
    const json_t *step;
    size_t i;

    json_array_foreach(steps, i, step)
    {
        cli_text t = {0};

        cli_text_printf(&t, "  %-3s  %s",
            json_is_true(json_object_get(step, "passed")) ? "yes" : "no",
            cli_field(step, "text"));
        cli_print(&t);
    }
}

static cli_exit print_can(
    const cli_app *app, const json_t *answer, const char *arg)
{
    const bool is_yes = json_is_true(json_object_get(answer, "can"));
    const json_t *steps = json_object_get(answer, "steps");
    const size_t n = json_array_size(steps);
    cli_text t = {0};

    (void)arg;
    if (app->json) {
        (void)print_json(answer);
        return is_yes ? CLI_OK : CLI_NO_PEER;
    }
    if (cli_args_flag(app->args, "trace")) {
        print_steps(steps);
    }
    cli_text_printf(&t, "%s: %s%s", is_yes ? "yes" : "no",
        n == 0 ? "" : cli_field(json_array_get(steps, n - 1), "text"),
        json_is_true(json_object_get(answer, "by_files"))
            ? " (by the files: no node runs that could be asked)"
            : "");
    cli_print(&t);
    return is_yes ? CLI_OK : CLI_NO_PEER;
}

cli_exit cli_cmd_can(const cli_app *app)
{
    static const task todo = {"can", ask_peer, can_by_files, print_can};

    if (strcmp(app->args->positional[0], "paired") == 0) {
        return cli_fail(app, CLI_USAGE, "expected one peer after 'can'");
    }
    return run(app, &todo, &app->args->positional[1], 1);
}

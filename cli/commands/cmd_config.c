/* SPDX-License-Identifier: Apache-2.0 */
/* config: what a configuration file says, and what is wrong with it. */
#include <string.h>

#include "commands.h"
#include "peer_text.h"
#include "run_settings.h"
#include "json/jsonout.h"

/* The whole result as one object, or a line for each fault. */
static cli_exit report(const cli_app *app, cli_settings *s)
{
    cli_exit status = s->faults.n == 0 ? CLI_OK : s->faults.items[0].status;
    cli_text t = {0};

    if (!app->json || s->faults.is_lost) {
        return cli_settings_report(app, s);
    }
    cli_faults_sort(&s->faults);
    cli_result_begin(&t, status == CLI_OK);
    cli_json_known(&t, "file", s->config == NULL ? "" : s->config->path);
    cli_json_open(&t, "faults", '[');
    for (size_t i = 0; i < s->faults.n; i++) {
        cli_fault_to_json(&s->faults.items[i], &t);
    }
    cli_json_close(&t, ']');
    cli_print_result(&t);
    return status;
}

static cli_exit check(const cli_app *app, const char *file)
{
    cli_settings *s = cli_settings_read(app, file);
    cli_text t = {0};
    cli_exit status;

    if (s == NULL) {
        return cli_fail(app, CLI_LOCAL, "%s", pn_strerror(PN_NOMEM));
    }
    status = report(app, s);
    if (status == CLI_OK && !app->json) {
        cli_text_printf(&t, "%s: no faults",
            s->config == NULL ? "no configuration file" : s->config->path);
        cli_print(&t);
    }
    cli_settings_free(s);
    return status;
}

static void say_restart(const json_t *json)
{
    const json_t *name;
    size_t i;

    json_array_foreach(json_object_get(json, "restart"), i, name)
    {
        cli_text t = {0};

        cli_text_printf(&t, "--%s changes with the next start of the node",
            json_string_value(name));
        cli_print(&t);
    }
}

static void say_faults(const json_t *json)
{
    const json_t *fault;
    size_t i;

    json_array_foreach(json_object_get(json, "faults"), i, fault)
    {
        const char *file = cli_field(fault, "file");
        json_int_t line = json_integer_value(json_object_get(fault, "line"));
        cli_text t = {0};

        cli_escape(&t, file, strlen(file), CLI_ESCAPE_ALL);
        if (line > 0) {
            cli_text_printf(&t, ":%lld", (long long)line);
        }
        cli_text_puts(&t, file[0] == '\0' ? "" : ": ");
        cli_text_puts(&t, cli_field(fault, "message"));
        cli_warn("%s", cli_text_string(&t));
        cli_text_fini(&t);
    }
}

cli_exit cli_cmd_reload(const cli_app *app)
{
    cli_session *session = NULL;
    cli_answer answer = {0};
    cli_text t = {0};
    cli_exit status = cli_app_needed(
        app, "there is nothing to reload", &session);

    if (status != CLI_OK) {
        return status;
    }
    cli_request_begin(session, &t, "reload");
    if (!cli_request_end(session, &t, &answer)) {
        status = cli_fail_answer(app, session, &answer);
    } else if (app->json) {
        status = json_is_true(json_object_get(answer.json, "ok"))
                     ? CLI_OK
                     : cli_exit_of(cli_field(answer.json, "error"));
        (void)json_object_del(answer.json, "id");
        (void)json_object_del(answer.json, "time");
        cli_print_object(answer.json);
    } else if (!json_is_true(json_object_get(answer.json, "ok"))) {
        say_faults(answer.json);
        status = cli_fail_answer(app, session, &answer);
    } else {
        cli_text_printf(&t,
            "reloaded: %lld programs are new or changed, %lld are gone",
            (long long)json_integer_value(
                json_object_get(answer.json, "changed")),
            (long long)json_integer_value(
                json_object_get(answer.json, "removed")));
        cli_print(&t);
        say_restart(answer.json);
    }
    cli_answer_fini(&answer);
    cli_session_close(session);
    return status;
}

cli_exit cli_cmd_config(const cli_app *app)
{
    static const char *const actions[] = {"check", NULL};
    const char *action = app->args->positional[0];

    if (strcmp(action, "check") == 0) {
        return check(
            app, app->args->n_positional > 1 ? app->args->positional[1] : NULL);
    }
    return cli_fail_choice(
        app, "'check' or 'show' after 'config'", action, actions);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* config: what a configuration file says, and what is wrong with it. */
#include <string.h>

#include "commands.h"
#include "run_settings.h"
#include "json/jsonout.h"

static void add_fault(cli_text *t, const cli_fault *fault)
{
    cli_json_open(t, NULL, '{');
    cli_json_known(t, "file", fault->file == NULL ? "" : fault->file);
    cli_json_known_int(t, "line", fault->line);
    cli_json_string(t, "message", fault->text);
    cli_json_close(t, '}');
}

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
        add_fault(&t, &s->faults.items[i]);
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

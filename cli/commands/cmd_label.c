/* SPDX-License-Identifier: Apache-2.0 */
/* label: what the running node calls itself. */
#include <string.h>

#include "commands.h"
#include "peer_text.h"
#include "json/jsonout.h"

static void print_label(const cli_app *app, const cli_answer *answer)
{
    const char *label = cli_field(answer->json, "own_label");
    cli_text t = {0};

    if (app->json) {
        cli_text_add(&t, answer->line.data, answer->line.len);
    } else if (label[0] == '\0') {
        cli_text_puts(&t, "this node tells nobody a label");
    } else {
        cli_escape(&t, label, strlen(label), CLI_ESCAPE_FIELD);
    }
    cli_print(&t);
}

static cli_exit ask(const cli_app *app, cli_session *session)
{
    cli_answer answer = {0};
    cli_text t = {0};
    cli_exit status;

    cli_request_begin(session, &t, "label");
    if (cli_args_flag(app->args, "none")) {
        cli_json_null(&t, "label");
    } else if (app->args->n_positional > 0) {
        cli_json_string(&t, "label", app->args->positional[0]);
    }
    status = cli_ask(app, session, &t, &answer);
    if (status == CLI_OK) {
        print_label(app, &answer);
    }
    cli_answer_fini(&answer);
    return status;
}

cli_exit cli_cmd_label(const cli_app *app)
{
    cli_session *session = NULL;
    cli_exit status;

    if (cli_args_flag(app->args, "none") && app->args->n_positional > 0) {
        return cli_fail_word(
            app, "no label beside '--none'", app->args->positional[0], NULL);
    }
    status = cli_app_needed(app,
        "a label is a running node's; 'peernet run --own-label LABEL' starts "
        "one with it",
        &session);
    if (status == CLI_OK) {
        status = ask(app, session);
        cli_session_close(session);
    }
    return status;
}

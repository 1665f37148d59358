/* SPDX-License-Identifier: Apache-2.0 */
/* announce: the running node announces itself again, which ends a silence that
 * status shows. */
#include <string.h>

#include "commands.h"
#include "peer_text.h"
#include "json/jsonout.h"

static void print_announced(const cli_app *app, const cli_answer *answer)
{
    const json_t *source;
    cli_text t = {0};
    cli_text list = {0};
    size_t i;

    if (app->json) {
        cli_text_add(&t, answer->line.data, answer->line.len);
        cli_print(&t);
        return;
    }
    json_array_foreach(json_object_get(answer->json, "sources"), i, source)
    {
        const char *name = cli_field(source, "source");

        cli_text_puts(&list, i > 0 ? ", " : "");
        cli_escape(&list, name, strlen(name), CLI_ESCAPE_FIELD);
    }
    cli_text_printf(&t, "announcing by %s", cli_text_string(&list));
    cli_print(&t);
    cli_text_fini(&list);
}

cli_exit cli_cmd_announce(const cli_app *app)
{
    cli_session *session = NULL;
    cli_answer answer = {0};
    cli_exit status = cli_app_needed(
        app, "only a running one announces; 'peernet run' starts it", &session);

    if (status != CLI_OK) {
        return status;
    }
    status = cli_ask_one(app, session, "announce", NULL, NULL, &answer);
    if (status == CLI_OK) {
        print_announced(app, &answer);
    }
    cli_answer_fini(&answer);
    cli_session_close(session);
    return status;
}

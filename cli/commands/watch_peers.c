/* SPDX-License-Identifier: Apache-2.0 */
/* peers --watch: the paired peers of the running node, again and again. */
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "json/jsonout.h"

#define LOOK_MS 1000
#define CLEAR_SCREEN "\033[H\033[2J"

static const json_t *find(const json_t *peers, const char *key)
{
    const json_t *peer;
    size_t i;

    json_array_foreach(peers, i, peer)
    {
        if (strcmp(cli_field(peer, "key"), key) == 0) {
            return peer;
        }
    }
    return NULL;
}

/* Numbers and the time of the last message change all the time. */
static bool is_steady(const char *name, const json_t *value)
{
    return !json_is_number(value) && strcmp(name, "last_seen") != 0;
}

static bool is_changed(const json_t *peer, const json_t *before)
{
    const json_t *value;
    const char *name;
    void *at;

    if (before == NULL) {
        return true;
    }
    for (at = json_object_iter((json_t *)(uintptr_t)peer); at != NULL;
         at = json_object_iter_next((json_t *)(uintptr_t)peer, at)) {
        const json_t *old;

        name = json_object_iter_key(at);
        value = json_object_iter_value(at);
        old = json_object_get(before, name);
        /* A round trip that is measured for the first time is no change. */
        if (is_steady(name, value) && !json_is_number(old)
            && !json_equal(value, old)) {
            return true;
        }
    }
    return false;
}

/* Prints what changed as objects; returns whether something did. */
static bool print_changes(
    const cli_app *app, const json_t *now, const json_t *before)
{
    bool changed = false;
    const json_t *peer;
    size_t i;

    json_array_foreach(now, i, peer)
    {
        if (is_changed(peer, find(before, cli_field(peer, "key")))) {
            changed = true;
            if (app->json) {
                cli_print_object(peer);
            }
        }
    }
    json_array_foreach(before, i, peer)
    {
        if (find(now, cli_field(peer, "key")) == NULL) {
            changed = true;
            if (app->json) {
                cli_text t = {0};

                cli_json_begin(&t);
                cli_json_string(&t, "key", cli_field(peer, "key"));
                cli_json_string(
                    &t, "fingerprint", cli_field(peer, "fingerprint"));
                cli_json_known(&t, "label", cli_field(peer, "label"));
                cli_json_string(&t, "state", "unpaired");
                cli_print_result(&t);
            }
        }
    }
    return changed;
}

static void print(const cli_app *app, const json_t *now, const json_t *before)
{
    bool is_terminal = !app->json && isatty(STDOUT_FILENO);
    bool changed = print_changes(app, now, before) || before == NULL;
    cli_text t = {0};

    if (is_terminal) {
        cli_text_puts(&t, CLEAR_SCREEN);
        cli_print_text(&t);
    }
    if (is_terminal || (changed && !app->json)) {
        cli_print_peers(now);
    }
}

/* Ends with a signal, or with the node. */
static cli_exit watch(const cli_app *app, cli_session *session)
{
    cli_answer before = {0};
    cli_exit status = CLI_OK;

    while (status == CLI_OK && session->signal == 0 && !session->is_closed) {
        cli_answer now = {0};

        status = cli_ask_one(app, session, "peers", NULL, NULL, &now);
        if (status == CLI_OK) {
            print(app, json_object_get(now.json, "peers"),
                json_object_get(before.json, "peers"));
            cli_session_wait(session, LOOK_MS);
        }
        cli_answer_fini(&before);
        before = now;
    }
    cli_answer_fini(&before);
    if (session->signal != 0) {
        return CLI_OK;
    }
    return status == CLI_OK ? cli_fail_node(app, session) : status;
}

cli_exit cli_watch_peers(const cli_app *app)
{
    cli_session *session = NULL;
    cli_exit status = cli_app_needed(app,
        "'peers --watch' shows a running one; 'peernet run' starts it",
        &session);

    if (status == CLI_OK) {
        status = watch(app, session);
        cli_session_close(session);
    }
    return status;
}

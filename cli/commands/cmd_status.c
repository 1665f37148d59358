/* SPDX-License-Identifier: Apache-2.0 */
/* status: whether a node runs on the data directory, and what it does. */
#include <string.h>
#include <time.h>

#include "commands.h"
#include "peer_text.h"
#include "reason_text.h"
#include "json/jsonout.h"

/* Its exit statuses; peernet(1). */
#define NOT_RUNNING CLI_NO_LINK
#define UNREACHABLE CLI_LOCAL

#define COLUMN "%-12s "

static void print_line(const char *name, cli_text *value)
{
    cli_text t = {0};

    cli_text_printf(&t, COLUMN "%s", name, cli_text_string(value));
    cli_print(&t);
    cli_text_fini(value);
}

static void add_text(cli_text *t, const char *text)
{
    cli_escape(t, text, strlen(text), CLI_ESCAPE_FIELD);
}

static void add_comma(cli_text *t)
{
    cli_text_puts(t, t->len > 0 ? ", " : "");
}

/* "2026-01-02 03:04:05" in local time. */
static void add_local(cli_text *t, const char *utc)
{
    struct tm local;
    char text[32];
    time_t seconds;

    if (cli_time_parse(utc, &seconds)) {
        (void)localtime_r(&seconds, &local);
        (void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &local);
        cli_text_puts(t, text);
    }
}

/* ---- parts -------------------------------------------------------------- */

static void print_process(const json_t *o)
{
    cli_text t = {0};

    cli_text_printf(&t, "pid %lld, version ",
        (long long)json_integer_value(json_object_get(o, "pid")));
    add_text(&t, cli_field(o, "version"));
    if (cli_field(o, "since")[0] != '\0') {
        cli_text_puts(&t, ", since ");
        add_local(&t, cli_field(o, "since"));
    }
    if (cli_field(o, "unit")[0] != '\0') {
        cli_text_puts(&t, ", unit ");
        add_text(&t, cli_field(o, "unit"));
    }
    print_line("running", &t);
}

static void print_key(const json_t *o)
{
    cli_text t = {0};

    add_text(&t, cli_field(o, "key"));
    print_line("key", &t);
    add_text(&t, cli_field(o, "fingerprint"));
    print_line("fingerprint", &t);
    if (cli_field(o, "own_label")[0] != '\0') {
        add_text(&t, cli_field(o, "own_label"));
        cli_text_puts(&t, ", told to linked peers");
    }
    if (cli_field(o, "published_label")[0] != '\0') {
        cli_text_puts(&t, t.len > 0 ? "; " : "");
        cli_text_puts(&t, "DNS-SD shows everybody ");
        add_text(&t, cli_field(o, "published_label"));
    }
    if (t.len > 0) {
        print_line("label", &t);
    }
    if (cli_field(o, "node")[0] != '\0') {
        add_text(&t, cli_field(o, "node"));
        cli_text_printf(&t, ", UDP port %lld",
            (long long)json_integer_value(json_object_get(o, "barrel_port")));
        print_line("barrel", &t);
    }
}

static void print_listens(const json_t *o)
{
    const json_t *address;
    cli_text t = {0};
    size_t i;

    json_array_foreach(json_object_get(o, "listens"), i, address)
    {
        add_comma(&t);
        add_text(&t, json_string_value(address));
    }
    if (t.len == 0) {
        cli_text_puts(&t, "nowhere: no peer can dial this node");
    }
    print_line("listens", &t);
}

static void print_peers(const json_t *o)
{
    cli_text t = {0};

    cli_text_printf(&t, "%lld up of %lld paired",
        (long long)json_integer_value(json_object_get(o, "peers_up")),
        (long long)json_integer_value(json_object_get(o, "peers_known")));
    print_line("peers", &t);
}

const char *cli_interface_sentence(const char *unused)
{
    static const char *const rows[][2] = {
        {"down", "it is down"},
        {"loopback", "it is loopback"},
        {"no-address", "it has no address"},
        {"left-out", "its name is a container's or tunnel's"},
        {"not-named", "--interface does not name it"},
        {"not-there", "no interface has that name"},
        {"ipv6-only", "it has no IPv4 address"},
        {"no-broadcast", "it has no broadcast address"},
        {"not-addressed", "no --discovery-address is on its network"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(rows[i][0], unused) == 0) {
            return rows[i][1];
        }
    }
    return unused;
}

/* The interfaces that are used, or those that are not and why. */
void cli_add_interfaces(cli_text *t, const json_t *source, bool is_used)
{
    const json_t *i;
    cli_text list = {0};
    size_t n;

    json_array_foreach(json_object_get(source, "interfaces"), n, i)
    {
        if (json_is_true(json_object_get(i, "used")) == is_used) {
            add_comma(&list);
            add_text(&list, cli_field(i, "interface"));
            cli_text_puts(&list, " (");
            if (is_used) {
                add_text(&list, cli_field(i, "address"));
            } else {
                cli_text_puts(
                    &list, cli_interface_sentence(cli_field(i, "reason")));
            }
            cli_text_putc(&list, ')');
        }
    }
    if (list.len > 0) {
        cli_text_printf(
            t, "%s %s", is_used ? " on" : "; not on", cli_text_string(&list));
    } else if (is_used
               && json_is_array(json_object_get(source, "interfaces"))) {
        cli_text_puts(t, " on no interface");
    }
    cli_text_fini(&list);
}

static void print_source(const json_t *source)
{
    const char *error = cli_field(source, "last_error");
    const json_t *port = json_object_get(source, "port");
    bool is_running = json_is_true(json_object_get(source, "running"));
    cli_text t = {0};

    add_text(&t, cli_field(source, "source"));
    if (port != NULL) {
        cli_text_printf(&t, " port %lld", (long long)json_integer_value(port));
    }
    if (!is_running) {
        cli_text_puts(&t, ": does not run");
    } else if (json_is_true(json_object_get(source, "announces"))) {
        cli_text_puts(&t, ": announces and hears");
    } else if (strcmp(cli_field(source, "silent"), "new-network") == 0) {
        cli_text_puts(&t,
            ": hears, and is silent since the network changed ('peernet "
            "announce' announces again)");
    } else {
        cli_text_puts(&t, ": hears and does not announce");
    }
    if (is_running) {
        cli_add_interfaces(&t, source, true);
        cli_add_interfaces(&t, source, false);
    }
    if (error[0] != '\0' && cli_field(source, "failed_at")[0] != '\0') {
        cli_text_puts(&t, "; last error at ");
        add_local(&t, cli_field(source, "failed_at"));
    }
    if (error[0] != '\0') {
        cli_text_puts(&t, ": ");
        add_text(&t, error);
    }
    print_line("source", &t);
}

static void print_sources(const json_t *o)
{
    const json_t *source;
    cli_text t = {0};
    size_t i;

    if (json_array_size(json_object_get(o, "sources")) == 0) {
        cli_text_puts(
            &t, "none: peers are neither heard nor told about this node");
        print_line("source", &t);
    }
    json_array_foreach(json_object_get(o, "sources"), i, source)
    {
        print_source(source);
    }
}

static void print_refused(const json_t *o)
{
    const json_t *refused;
    cli_text t = {0};
    size_t i;

    json_array_foreach(json_object_get(o, "refused"), i, refused)
    {
        const char *reason = cli_field(refused, "reason");

        cli_text_printf(&t, "%lld in the last hour: ",
            (long long)json_integer_value(json_object_get(refused, "count")));
        cli_text_puts(&t, cli_reason_sentence_of(reason));
        print_line("refused", &t);
    }
    if (i == 0) {
        cli_text_puts(&t, "nothing in the last hour");
        print_line("refused", &t);
    }
}

/* A function that nobody may use is one that is built in, and is left out. */
static void print_exposed(const json_t *exposed)
{
    const char *function = cli_field(exposed, "function");
    const json_t *peer;
    cli_text who = {0};
    cli_text t = {0};
    size_t i;

    if (json_is_true(json_object_get(exposed, "paired"))) {
        cli_text_puts(&who, "every paired peer");
    }
    json_array_foreach(json_object_get(exposed, "peers"), i, peer)
    {
        add_comma(&who);
        cli_add_who(&who, peer);
    }
    if (who.len > 0 || function[0] == '\0') {
        add_text(
            &t, function[0] != '\0' ? function : cli_field(exposed, "handle"));
        cli_text_printf(
            &t, " to %s", who.len > 0 ? cli_text_string(&who) : "nobody");
        print_line("exposes", &t);
    }
    cli_text_fini(&who);
}

static void print_exposes(const json_t *o)
{
    const json_t *exposed;
    cli_text t = {0};
    size_t i;

    json_array_foreach(json_object_get(o, "exposes"), i, exposed)
    {
        print_exposed(exposed);
    }
    if (i == 0) {
        cli_text_puts(&t, "nothing");
        print_line("exposes", &t);
    }
}

/* ---- the command -------------------------------------------------------- */

static void print_status(const cli_app *app, const cli_answer *answer)
{
    const json_t *o = answer->json;
    cli_text t = {0};

    if (app->json) {
        cli_text_add(&t, answer->line.data, answer->line.len);
        cli_print(&t);
    } else {
        print_process(o);
        print_key(o);
    }
    /* A node of an older version answers with its short form. */
    if (json_object_get(o, "since") == NULL) {
        cli_warn("the running node is of version %s, older than this program, "
                 "and does not say what it does: expected version %s; start "
                 "it again",
            cli_field(o, "version"), PN_VERSION);
        return;
    }
    if (!app->json) {
        print_listens(o);
        print_sources(o);
        print_peers(o);
        print_refused(o);
        print_exposes(o);
    }
}

static cli_exit ask(const cli_app *app, cli_session *session)
{
    cli_answer answer = {0};
    cli_text t = {0};
    cli_exit status;

    cli_request_begin(session, &t, "status");
    cli_json_bool(&t, "full", true);
    status = cli_ask(app, session, &t, &answer);
    if (status == CLI_OK) {
        print_status(app, &answer);
    }
    cli_answer_fini(&answer);
    return status;
}

static cli_exit print_none(const cli_app *app)
{
    cli_text t = {0};

    if (app->json) {
        cli_result_begin(&t, true);
        cli_json_string(&t, "state", "no-node");
        cli_json_string(&t, "data_dir", app->data_dir);
        cli_print_result(&t);
    } else {
        cli_text_puts(&t, "no node runs on ");
        add_text(&t, app->data_dir);
        cli_text_puts(&t, "; 'peernet run' starts one");
        cli_print(&t);
    }
    return NOT_RUNNING;
}

cli_exit cli_cmd_status(const cli_app *app)
{
    cli_session *session = NULL;
    cli_exit status = cli_app_running(app, &session);

    if (status == CLI_OK && session == NULL) {
        return print_none(app);
    }
    if (status == CLI_OK) {
        status = ask(app, session);
        cli_session_close(session);
    }
    return status == CLI_OK || status == CLI_INTERRUPTED ? status : UNREACHABLE;
}

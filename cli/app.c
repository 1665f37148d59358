/* SPDX-License-Identifier: Apache-2.0 */
/* What all commands share. */
#include "app.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "escape.h"
#include "jsonout.h"

/* ---- where -------------------------------------------------------------- */

void cli_make_parents(const char *path)
{
    char copy[PATH_MAX];

    (void)snprintf(copy, sizeof(copy), "%s", path);
    for (char *slash = strchr(copy + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(copy, 0700);
        *slash = '/';
    }
}

/* $XDG_STATE_HOME counts only when it is absolute, as its specification
 * says. */
static bool find_data_dir(cli_app *app)
{
    const char *given = cli_args_value(app->args, "data-dir");
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    size_t room = sizeof(app->data_dir);
    int n = -1;

    if (given != NULL) {
        n = snprintf(app->data_dir, room, "%s", given);
    } else if (state != NULL && state[0] == '/') {
        n = snprintf(app->data_dir, room, "%s/peernet", state);
    } else if (home != NULL && home[0] == '/') {
        n = snprintf(app->data_dir, room, "%s/.local/state/peernet", home);
    }
    return n > 0 && (size_t)n < room;
}

cli_exit cli_app_init(cli_app *app, const cli_args *args)
{
    app->args = args;
    app->json = cli_args_flag(args, "json");
    if (!find_data_dir(app)) {
        return cli_fail(app, CLI_USAGE,
            "expected --data-dir DIR, or HOME or XDG_STATE_HOME to be set");
    }
    cli_make_parents(app->data_dir);
    return CLI_OK;
}

/* ---- printing ----------------------------------------------------------- */

/* errno of the first time that standard output took no more. */
static int output_error;

static void flush_output(void)
{
    if (fflush(stdout) != 0 && output_error == 0) {
        output_error = errno;
    }
}

void cli_print(cli_text *line)
{
    if (!line->failed) {
        (void)fwrite(line->data, 1, line->len, stdout);
        (void)fputc('\n', stdout);
        flush_output();
    }
    cli_text_clear(line);
}

cli_exit cli_finish_output(cli_exit status)
{
    flush_output();
    if (ferror(stdout) == 0) {
        return status;
    }
    if (output_error != EPIPE) {
        fprintf(stderr, "peernet: standard output: %s\n",
            strerror(output_error != 0 ? output_error : EIO));
    }
    return status == CLI_OK ? CLI_LOCAL : status;
}

static const char *error_name(cli_exit status)
{
    switch (status) {
    case CLI_OK:
        return "none";
    case CLI_REMOTE:
        return "remote";
    case CLI_USAGE:
        return "bad-request";
    case CLI_NO_LINK:
        return "not-connected";
    case CLI_LOCAL:
        return "local";
    case CLI_NO_PEER:
        return "no-such-peer";
    case CLI_INTERRUPTED:
        return "interrupted";
    }
    return "local";
}

cli_exit cli_fail(const cli_app *app, cli_exit status, const char *format, ...)
{
    char message[1024];
    cli_text t = {0};
    va_list args;

    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    if (!app->json) {
        (void)fflush(stdout);
        fprintf(stderr, "peernet: %s\n", message);
        return status;
    }
    cli_json_open(&t, NULL, '{');
    cli_json_bool(&t, "ok", false);
    cli_json_string(&t, "error", error_name(status));
    cli_json_string(&t, "message", message);
    cli_json_close(&t, '}');
    cli_print(&t);
    cli_text_fini(&t);
    return status;
}

void cli_warn(const char *format, ...)
{
    va_list args;

    (void)fflush(stdout);
    va_start(args, format);
    (void)fputs("peernet: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
}

cli_exit cli_fail_answer(
    const cli_app *app, const cli_session *session, const cli_answer *answer)
{
    cli_exit status = cli_exit_of(cli_field(answer->json, "error"));
    const char *reason = cli_field(answer->json, "text");
    cli_text t = {0};

    if (answer->json == NULL && cli_session_signal(session) != 0) {
        return CLI_INTERRUPTED;
    }
    if (answer->json == NULL) {
        return cli_fail(app, CLI_LOCAL, "the node ended before its answer");
    }
    if (app->json) {
        cli_text_add(&t, answer->line.data, answer->line.len);
        cli_print(&t);
    } else {
        cli_text_puts(&t, cli_field(answer->json, "message"));
        if (reason[0] != '\0') {
            cli_text_puts(&t, ": ");
            cli_escape(&t, reason, strlen(reason), CLI_ESCAPE_ALL);
        }
        (void)fflush(stdout);
        fprintf(stderr, "peernet: %s\n", cli_text_string(&t));
    }
    cli_text_fini(&t);
    return status;
}

const char *cli_field(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));

    return value == NULL ? "" : value;
}

void cli_add_who(cli_text *t, const json_t *object)
{
    const char *label = cli_field(object, "label");

    if (label[0] == '\0') {
        label = cli_field(object, "fingerprint");
    }
    cli_escape(t, label, strlen(label), 64);
}

/* ---- tables ------------------------------------------------------------- */

void cli_table_init(cli_table *table, size_t n_columns)
{
    *table = (cli_table){.n_columns = n_columns};
}

void cli_table_add(cli_table *table, const char *cell)
{
    char **cells = realloc(table->cells, (table->n_cells + 1) * sizeof(*cells));
    cli_text t = {0};

    if (cells == NULL) {
        table->failed = true;
        return;
    }
    table->cells = cells;
    cli_text_puts(&t, ""); /* never NULL */
    cli_escape(&t, cell, strlen(cell), CLI_ESCAPE_FIELD);
    if (t.failed) {
        table->failed = true;
        return;
    }
    table->cells[table->n_cells++] = t.data;
}

static size_t n_characters(const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++) {
        n += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return n;
}

static size_t column_width(const cli_table *table, size_t column)
{
    size_t width = 0;

    for (size_t i = column; i < table->n_cells; i += table->n_columns) {
        size_t n = n_characters(table->cells[i]);

        width = n > width ? n : width;
    }
    return width;
}

static void add_row(cli_text *t, const cli_table *table, size_t first)
{
    for (size_t c = 0; c < table->n_columns; c++) {
        const char *cell = table->cells[first + c];
        size_t pad = column_width(table, c) - n_characters(cell) + 2;

        cli_text_puts(t, cell);
        while (c + 1 < table->n_columns && pad-- > 0) {
            cli_text_putc(t, ' ');
        }
    }
    while (t->len > 0 && t->data[t->len - 1] == ' ') {
        t->data[--t->len] = '\0';
    }
}

void cli_table_print(cli_table *table)
{
    cli_text t = {0};

    for (size_t i = 0; !table->failed && i + table->n_columns <= table->n_cells;
         i += table->n_columns) {
        add_row(&t, table, i);
        cli_print(&t);
    }
    for (size_t i = 0; i < table->n_cells; i++) {
        free(table->cells[i]);
    }
    free(table->cells);
    cli_text_fini(&t);
}

/* ---- addresses ---------------------------------------------------------- */

/* Splits "[V6]:PORT", "HOST:PORT", "HOST" and a bare IPv6 address. */
static bool split_address(const char *text, char *host, size_t room,
    char port[8], const char *default_port)
{
    const char *colon = strrchr(text, ':');
    const char *end = text[0] == '[' ? strchr(text, ']') : NULL;
    size_t len = strlen(text);
    const char *port_text = default_port;

    if (end != NULL) {
        text++;
        len = (size_t)(end - text);
        if (end[1] == ':') {
            port_text = end + 2;
        } else if (end[1] != '\0') {
            return false;
        }
    } else if (colon != NULL && strchr(text, ':') == colon) {
        len = (size_t)(colon - text);
        port_text = colon + 1;
    }
    if (len == 0 || len >= room || strlen(port_text) > 5
        || strspn(port_text, "0123456789") != strlen(port_text)
        || atoi(port_text) < 1 || atoi(port_text) > 65535) {
        return false;
    }
    memcpy(host, text, len);
    host[len] = '\0';
    (void)snprintf(port, 8, "%d", atoi(port_text));
    return true;
}

static void fail_address(cli_text *error, const char *text, const char *why)
{
    cli_text_puts(error, "expected HOST:PORT, found '");
    cli_escape(error, text, strlen(text), CLI_ESCAPE_FIELD);
    cli_text_putc(error, '\'');
    if (why != NULL) {
        cli_text_printf(error, ": %s", why);
    }
}

bool cli_resolve(const char *text, char ret_address[64], cli_text *error)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char host[256];
    char port[8];
    char numeric[NI_MAXHOST];
    int failed;

    if (!split_address(text, host, sizeof(host), port, "7100")) {
        fail_address(error, text, NULL);
        return false;
    }
    failed = getaddrinfo(host, port, &hints, &found);
    if (failed == 0) {
        failed = getnameinfo(found->ai_addr, found->ai_addrlen, numeric,
            sizeof(numeric), NULL, 0, NI_NUMERICHOST);
        freeaddrinfo(found);
    }
    if (failed != 0) {
        fail_address(error, text, gai_strerror(failed));
        return false;
    }
    return snprintf(ret_address, 64,
               strchr(numeric, ':') != NULL ? "[%s]:%s" : "%s:%s", numeric,
               port)
           < 64;
}

/* ---- nodes -------------------------------------------------------------- */

const cli_option cli_node_option_table[] = {
    {"listen", 0, "ADDRESS:PORT",
        "where to listen: numeric; PORT alone means all addresses"},
    {"discovery", 0, "udp|none", "how peers are found; default udp"},
    {"discovery-address", 0, "ADDRESS",
        "where announces go; default: every interface's broadcast"},
    {"discovery-port", 0, "PORT", "UDP port of announces; default 4040"},
    {"no-linger", 0, NULL,
        "leave at once; an Elixir peer may lose its other links"},
    {NULL, 0, NULL, NULL},
};

/* "7100", "0.0.0.0:7100", "[::1]:7100", ":7100". */
static bool parse_listen(
    const char *text, cli_hub_options *options, char host[64])
{
    char port[8];

    if (text[0] == ':') {
        text++;
    }
    if (strspn(text, "0123456789") == strlen(text) && strlen(text) <= 5
        && text[0] != '\0') {
        options->node.listen_port = atoi(text);
        return options->node.listen_port <= 65535;
    }
    if (strlen(text) > 2 && strcmp(text + strlen(text) - 2, ":0") == 0) {
        /* Any free port, which the resolver's syntax has no word for. */
        char copy[80];

        if (snprintf(copy, sizeof(copy), "%.*s:1", (int)strlen(text) - 2, text)
                >= (int)sizeof(copy)
            || !split_address(copy, host, 64, port, "7100")) {
            return false;
        }
        (void)strcpy(port, "0");
    } else if (!split_address(text, host, 64, port, "7100")) {
        return false;
    }
    options->node.listen_address = host;
    options->node.listen_port = atoi(port);
    return true;
}

static cli_exit fail_option(
    const cli_app *app, const char *expected, const char *found)
{
    cli_text t = {0};
    cli_exit status;

    cli_escape(&t, found, strlen(found), CLI_ESCAPE_FIELD);
    status = cli_fail(app, CLI_USAGE, "expected %s, found '%s'", expected,
        cli_text_string(&t));
    cli_text_fini(&t);
    return status;
}

cli_exit cli_node_options(const cli_app *app, cli_hub_options *ret_options)
{
    static char host[64]; /* one command, one node */
    const char *listen = cli_args_value(app->args, "listen");
    const char *discovery = cli_args_value(app->args, "discovery");
    uint32_t port = 0;
    cli_text error = {0};

    memset(ret_options, 0, sizeof(*ret_options));
    pn_node_options_init(&ret_options->node);
    ret_options->node.data_dir = app->data_dir;
    ret_options->node.discovery = PN_DISCOVERY_UDP;
    ret_options->node.discovery_address = cli_args_value(
        app->args, "discovery-address");
    if (cli_args_flag(app->args, "no-linger")) {
        ret_options->node.linger_ms = 0;
    }
    if (listen != NULL && !parse_listen(listen, ret_options, host)) {
        return fail_option(
            app, "ADDRESS:PORT or PORT after '--listen'", listen);
    }
    if (discovery != NULL && strcmp(discovery, "none") == 0) {
        ret_options->node.discovery = PN_DISCOVERY_NONE;
    } else if (discovery != NULL && strcmp(discovery, "udp") != 0) {
        return fail_option(
            app, "'udp' or 'none' after '--discovery'", discovery);
    }
    if (!cli_args_number(app->args, "discovery-port", 1, 65535,
            PN_DISCOVERY_PORT_DEFAULT, &port, &error)) {
        cli_exit status = cli_fail(
            app, CLI_USAGE, "%s", cli_text_string(&error));

        cli_text_fini(&error);
        return status;
    }
    ret_options->node.discovery_port = (uint16_t)port;
    return CLI_OK;
}

cli_exit cli_app_open_session(const cli_app *app,
    const cli_session_options *options, cli_session **ret_session)
{
    cli_text error = {0};
    cli_exit status = cli_session_open(options, ret_session, &error);

    if (status != CLI_OK && status != CLI_INTERRUPTED) {
        (void)cli_fail(app, status, "%s", cli_text_string(&error));
    }
    cli_text_fini(&error);
    return status;
}

cli_exit cli_app_session(const cli_app *app, cli_session **ret_session)
{
    cli_session_options options = {.data_dir = app->data_dir, .may_open = true};
    cli_exit status = cli_node_options(app, &options.hub);

    if (status != CLI_OK) {
        return status;
    }
    options.hub.node.discovery_listen_only = true;
    options.hub.node.auto_connect = false;
    return cli_app_open_session(app, &options, ret_session);
}

cli_exit cli_app_running(const cli_app *app, cli_session **ret_session)
{
    cli_session_options options = {
        .data_dir = app->data_dir, .may_open = false};

    return cli_app_open_session(app, &options, ret_session);
}

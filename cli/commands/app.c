/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that all commands share; see app.h. */
#include "app.h"

#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/std_output.h"
#include "peer_text.h"
#include "reason_text.h"
#include "service/owner.h"
#include "json/jsonout.h"

#define HEARD_S 20 /* a report of a source counts for so long */
/* What StateDirectory=peernet of peernet.service is, with any prefix. */
#define SERVICE_DATA_DIR "/var/lib/peernet"

/* ---- the data directory ------------------------------------------------- */

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

/* The directory that --data-dir or --service names, or that systemd gives a
 * service (the first of a list); NULL: none. */
static const char *given_data_dir(const cli_app *app, int *ret_len)
{
    const char *given = cli_args_flag(app->args, "service")
                            ? SERVICE_DATA_DIR
                            : cli_args_value(app->args, "data-dir");
    const char *service = getenv("STATE_DIRECTORY");

    *ret_len = given != NULL ? (int)strlen(given) : 0;
    if (given == NULL && service != NULL && service[0] == '/') {
        given = service;
        *ret_len = (int)strcspn(service, ":");
    }
    return given;
}

/* $XDG_STATE_HOME counts only when it is absolute, as its specification
 * says. */
static bool find_data_dir(cli_app *app)
{
    int len;
    const char *given = given_data_dir(app, &len);
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    size_t room = sizeof(app->data_dir);
    int n = -1;

    if (given != NULL) {
        n = snprintf(app->data_dir, room, "%.*s", len, given);
    } else if (state != NULL && state[0] == '/') {
        n = snprintf(app->data_dir, room, "%s/peernet", state);
    } else if (home != NULL && home[0] == '/') {
        n = snprintf(app->data_dir, room, "%s/.local/state/peernet", home);
    }
    return n > 0 && (size_t)n < room;
}

static cli_exit become_owner(const cli_app *app)
{
    cli_text why = {0};

    return cli_become_owner(app->data_dir, &why)
               ? CLI_OK
               : cli_fail_text(app, CLI_LOCAL, &why);
}

static cli_exit enter_service(const cli_app *app)
{
    cli_exit status;

    if (cli_args_value(app->args, "data-dir") != NULL) {
        return cli_fail(
            app, CLI_USAGE, "expected one of '--service' and '--data-dir'");
    }
    if (access(app->data_dir, F_OK) != 0) {
        return cli_fail(app, CLI_LOCAL,
            "%s: %s: expected the directory of peernet.service, which its "
            "package or first start makes",
            app->data_dir, strerror(errno));
    }
    status = become_owner(app);
    if (status == CLI_OK && access(app->data_dir, R_OK | W_OK | X_OK) != 0) {
        return cli_fail(app, CLI_LOCAL,
            "%s: %s: expected root or the user of peernet.service: 'sudo "
            "peernet --service ...'",
            app->data_dir, strerror(errno));
    }
    return status;
}

cli_exit cli_app_find_data(cli_app *app)
{
    if (!find_data_dir(app)) {
        return cli_fail(app, CLI_USAGE,
            "expected --data-dir DIR, or HOME or XDG_STATE_HOME to be set");
    }
    if (cli_args_flag(app->args, "service")) {
        return enter_service(app);
    }
    cli_make_parents(app->data_dir);
    return become_owner(app);
}

/* ---- printing ----------------------------------------------------------- */

void cli_print(cli_text *line)
{
    cli_text_putc(line, '\n');
    cli_print_text(line);
}

void cli_print_text(cli_text *text)
{
    cli_output_text(STDOUT_FILENO, CLI_OUTPUT_RESULT, text);
}

void cli_print_result(cli_text *object)
{
    cli_json_close(object, '}');
    cli_print(object);
}

void cli_print_event(cli_text *line)
{
    cli_text_putc(line, '\n');
    cli_output_text(STDOUT_FILENO, CLI_OUTPUT_LINE, line);
}

/* "peernet: MESSAGE" to standard error. */
static void print_error(cli_output_kind kind, const char *message)
{
    const char *name = cli_output_is_journal(STDERR_FILENO)
                           ? kind == CLI_OUTPUT_RESULT ? "<3>" : "<4>"
                           : "peernet: ";
    cli_text t = {0};

    cli_text_printf(&t, "%s%s\n", name, message);
    cli_output_text(STDERR_FILENO, kind, &t);
}

cli_exit cli_finish_output(cli_exit status)
{
    int error = cli_output_finish();

    return error != 0 && status == CLI_OK ? CLI_LOCAL : status;
}

void cli_result_begin(cli_text *t, bool ok)
{
    cli_json_begin(t);
    cli_json_bool(t, "ok", ok);
}

cli_exit cli_fail(const cli_app *app, cli_exit status, const char *format, ...)
{
    char message[1024];
    cli_text t = {0};
    va_list args;

    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    if (app->faults != NULL) {
        const cli_given *at = app->faults->at;

        cli_faults_add(app->faults, at == NULL ? NULL : at->file,
            at == NULL ? 0 : at->line, status, message);
        return status;
    }
    if (!app->json) {
        print_error(CLI_OUTPUT_RESULT, message);
        return status;
    }
    cli_result_begin(&t, false);
    cli_json_string(&t, "error", cli_error_of(status));
    cli_json_string(&t, "message", message);
    cli_print_result(&t);
    return status;
}

cli_exit cli_fail_text(const cli_app *app, cli_exit status, cli_text *why)
{
    status = cli_fail(app, status, "%s", cli_text_string(why));
    cli_text_fini(why);
    return status;
}

cli_exit cli_fail_path(const cli_app *app, const char *path, const char *why)
{
    cli_text t = {0};

    cli_escape(&t, path, strlen(path), CLI_ESCAPE_FIELD);
    cli_text_printf(&t, ": %s", why);
    return cli_fail_text(app, CLI_LOCAL, &t);
}

cli_exit cli_fail_store(const cli_app *app, pn_err err, const pn_why *why)
{
    return cli_fail(app, err == PN_INVALID ? CLI_USAGE : CLI_LOCAL, "%s",
        why->text[0] == '\0' ? pn_strerror(err) : why->text);
}

cli_exit cli_fail_secret(const cli_app *app, cli_secret_result result,
    const char *what, const char *expected)
{
    bool has_no_terminal = result == CLI_SECRET_NO_TERMINAL;

    return result == CLI_SECRET_INTERRUPTED
               ? CLI_INTERRUPTED
               : cli_fail(app, CLI_LOCAL, "the %s %s%s%s", what,
                   cli_secret_why(result), has_no_terminal ? "; expected " : "",
                   has_no_terminal ? expected : "");
}

void cli_warn(const char *format, ...)
{
    char message[1024];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    print_error(CLI_OUTPUT_LINE, message);
}

cli_exit cli_fail_node(const cli_app *app, const cli_session *session)
{
    cli_text why = {0};

    if (!session->is_silent) {
        return cli_fail(app, CLI_LOCAL, "the node has ended");
    }
    cli_silent_node(app->data_dir, &why);
    return cli_fail_text(app, CLI_NO_ANSWER, &why);
}

cli_exit cli_fail_word(const cli_app *app, const char *expected,
    const char *word, const cli_nearest *nearest)
{
    cli_text t = {0};

    cli_text_printf(&t, "expected %s, found ", expected);
    cli_quote(&t, word, strlen(word), CLI_ESCAPE_FIELD);
    if (nearest != NULL) {
        cli_nearest_say(nearest, "'", "'", &t);
    }
    return cli_fail_text(app, CLI_USAGE, &t);
}

cli_exit cli_fail_choice(const cli_app *app, const char *expected,
    const char *word, const char *const *choices)
{
    cli_nearest nearest;

    cli_nearest_init(&nearest, word, strlen(word));
    cli_nearest_offer_all(&nearest, choices);
    return cli_fail_word(app, expected, word, &nearest);
}

cli_exit cli_fail_answer(
    const cli_app *app, const cli_session *session, const cli_answer *answer)
{
    cli_exit status = cli_exit_of(cli_field(answer->json, "error"));
    const char *reason = cli_field(answer->json, "text");
    const char *meaning = cli_remote_sentence(reason);
    const json_t *crash = json_object_get(answer->json, "crash");
    cli_text t = {0};

    if (answer->json == NULL && session->signal != 0) {
        return CLI_INTERRUPTED;
    }
    if (answer->json == NULL && !session->is_silent) {
        return cli_fail(app, CLI_LOCAL, "the node ended before its answer");
    }
    if (answer->json == NULL) {
        return cli_fail_node(app, session);
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
        if (meaning != NULL) {
            cli_text_printf(&t, ": %s", meaning);
        }
        if (crash != NULL) {
            cli_text_puts(&t, ":\n");
            cli_escape_lines(
                &t, json_string_value(crash), json_string_length(crash));
        }
        print_error(CLI_OUTPUT_RESULT, cli_text_string(&t));
    }
    cli_text_fini(&t);
    return status;
}

cli_exit cli_ask(const cli_app *app, cli_session *session, cli_text *request,
    cli_answer *ret_answer)
{
    return cli_request_end(session, request, ret_answer)
                   && json_is_true(json_object_get(ret_answer->json, "ok"))
               ? CLI_OK
               : cli_fail_answer(app, session, ret_answer);
}

cli_exit cli_ask_one(const cli_app *app, cli_session *session, const char *cmd,
    const char *key, const char *value, cli_answer *ret_answer)
{
    cli_text t = {0};

    cli_request_begin(session, &t, cmd);
    if (key != NULL) {
        cli_json_string(&t, key, value);
    }
    return cli_ask(app, session, &t, ret_answer);
}

const char *cli_field(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));

    return value == NULL ? "" : value;
}

bool cli_time_parse(const char *text, time_t *ret_seconds)
{
    struct tm utc;

    memset(&utc, 0, sizeof(utc));
    if (strptime(text, "%Y-%m-%dT%H:%M:%S", &utc) == NULL) {
        return false;
    }
    *ret_seconds = timegm(&utc);
    return true;
}

bool cli_is_silent(const json_t *row)
{
    time_t last;

    return cli_time_parse(cli_field(row, "last_heard"), &last)
           && time(NULL) - last > HEARD_S;
}

void cli_print_object(const json_t *object)
{
    char *line = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);
    cli_text t = {0};

    cli_json_begin(&t);
    if (line != NULL) {
        cli_text_putc(&t, ',');
        cli_text_puts(&t, line + 1);
        cli_print(&t);
    }
    free(line);
}

void cli_print_objects(const json_t *array)
{
    const json_t *object;
    size_t i;

    json_array_foreach(array, i, object)
    {
        cli_print_object(object);
    }
}

void cli_add_who(cli_text *t, const json_t *object)
{
    static const char *const names[] = {"label", "node", "fingerprint"};
    const char *label = "";

    for (size_t i = 0; i < 3 && label[0] == '\0'; i++) {
        label = cli_field(object, names[i]);
    }
    cli_escape(t, label, strlen(label), 64);
}

/* ---- addresses ---------------------------------------------------------- */

/* Splits "[V6]:PORT", "HOST:PORT", "HOST" and a bare IPv6 address. */
static bool split_address(
    const char *text, char *host, size_t room, char port[8], int min_port)
{
    const char *colon = strrchr(text, ':');
    const char *end = text[0] == '[' ? strchr(text, ']') : NULL;
    size_t len = strlen(text);
    const char *port_text = "7100";

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
    if (len == 0 || len >= room || port_text[0] == '\0' || strlen(port_text) > 5
        || strspn(port_text, "0123456789") != strlen(port_text)
        || atoi(port_text) < min_port || atoi(port_text) > 65535) {
        return false;
    }
    memcpy(host, text, len);
    host[len] = '\0';
    (void)snprintf(port, 8, "%d", atoi(port_text));
    return true;
}

static void fail_address(cli_text *error, const char *text, const char *why)
{
    cli_text_puts(error, "expected HOST:PORT, found ");
    cli_quote(error, text, strlen(text), CLI_ESCAPE_FIELD);
    if (why != NULL) {
        cli_text_printf(error, ": %s", why);
    }
}

/* The characters of a name or an address; a host with any other is refused. */
#define HOST_CHARACTERS                                                        \
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:%-"

static bool read_address(
    const char *text, char host[256], char port[8], cli_text *error)
{
    bool good = split_address(text, host, 256, port, 1)
                && strspn(host, HOST_CHARACTERS) == strlen(host);

    if (!good) {
        fail_address(error, text, NULL);
    }
    return good;
}

/* The longest name, in bytes. */
#define HOST_NAME_BYTES 253

static void add_address(cli_text *list, const struct addrinfo *found)
{
    char host[NI_MAXHOST];
    char port[NI_MAXSERV];
    char text[NI_MAXHOST + NI_MAXSERV + 4];

    if (getnameinfo(found->ai_addr, found->ai_addrlen, host, sizeof(host), port,
            sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV)
        != 0) {
        return;
    }
    (void)snprintf(text, sizeof(text),
        strchr(host, ':') != NULL ? "[%s]:%s" : "%s:%s", host, port);
    cli_text_list(list, text);
}

cli_exit cli_address(const char *text, cli_text *ret_address, cli_text *error)
{
    struct addrinfo hints = {
        .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *found = NULL;
    char host[256];
    char port[8];

    if (!read_address(text, host, port, error)) {
        return CLI_USAGE;
    }
    if (getaddrinfo(host, port, &hints, &found) == 0) {
        add_address(ret_address, found);
        freeaddrinfo(found);
    } else if (strpbrk(host, ":%") != NULL || host[0] == '-'
               || strspn(host, "0123456789.") == strlen(host)) {
        fail_address(error, text, NULL);
        return CLI_USAGE;
    } else if (strlen(host) > HOST_NAME_BYTES) {
        fail_address(error, text, "a name longer than 253 bytes");
        return CLI_USAGE;
    } else {
        cli_text_printf(ret_address, "%s:%s", host, port);
    }
    return CLI_OK;
}

cli_exit cli_resolve(const char *text, cli_text *ret_addresses, cli_text *error)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char host[256];
    char port[8];
    size_t n = 0;
    int failed;

    if (!read_address(text, host, port, error)) {
        return CLI_USAGE;
    }
    failed = getaddrinfo(host, port, &hints, &found);
    if (failed != 0) {
        cli_text_puts(error, "cannot look up ");
        cli_escape(error, host, strlen(host), CLI_ESCAPE_FIELD);
        cli_text_printf(error, ": %s", gai_strerror(failed));
        return CLI_NO_LINK;
    }
    for (const struct addrinfo *a = found; a != NULL && n < PN_CONNECT_MAX;
         a = a->ai_next) {
        add_address(ret_addresses, a);
        n++;
    }
    freeaddrinfo(found);
    return CLI_OK;
}

/* ---- nodes -------------------------------------------------------------- */

cli_exit cli_read_options(
    const cli_app *app, const cli_option *table, void *into)
{
    cli_text error = {0};

    return cli_args_store(app->args, table, into, &error)
               ? CLI_OK
               : cli_fail_text(app, CLI_USAGE, &error);
}

static const char *const discoveries[] = {
    [PN_DISCOVERY_NONE] = "none",
    [PN_DISCOVERY_UDP] = "udp",
    NULL,
};

static const char *const dnssd_choices[] = {
    [CLI_DNSSD_AUTO] = "auto",
    [CLI_DNSSD_AVAHI] = "avahi",
    [CLI_DNSSD_EMBEDDED] = "embedded",
    [CLI_DNSSD_NONE] = "none",
    NULL,
};

/* Fills a cli_hub_options. */
const cli_option cli_node_option_table[] = {
    {"listen", 0, "ADDRESS:PORT...",
        .help = "where to listen: numeric; PORT alone means all addresses",
        .key = "listen", .sections = CLI_IN_NODE},
    {"discovery", 0, "udp|none", .help = "how peers are found; default udp",
        .kind = CLI_CHOICE, .offset = offsetof(cli_hub_options, node.discovery),
        .choices = discoveries, .key = "discovery", .sections = CLI_IN_NODE},
    {"discovery-address", 0, "ADDRESS...",
        .help = "where announces go; default: every interface's broadcast",
        .key = "discovery-address", .sections = CLI_IN_NODE},
    {"announce-to", 0, "ADDRESS...",
        .help = "hosts that announces go to as well", .key = "announce-to",
        .sections = CLI_IN_NODE},
    {"interface", 0, "NAME...",
        .help = "interfaces that peers are looked for on", .key = "interface",
        .sections = CLI_IN_NODE},
    {"discovery-port", 0, "PORT", .help = "UDP port of announces; default 4040",
        .kind = CLI_U16,
        .offset = offsetof(cli_hub_options, node.discovery_port), .min = 1,
        .max = 65535, .key = "discovery-port", .sections = CLI_IN_NODE},
    {"dnssd", 0, "auto|avahi|embedded|none",
        .help = "DNS-SD beside announces; default auto", .kind = CLI_CHOICE,
        .offset = offsetof(cli_hub_options, dnssd), .choices = dnssd_choices,
        .key = "dnssd", .sections = CLI_IN_NODE},
    {"no-linger", 0, NULL,
        .help = "leave at once; an Elixir peer may lose its other links",
        .kind = CLI_ZERO, .offset = offsetof(cli_hub_options, node.linger_ms),
        .key = "linger", .sections = CLI_IN_NODE},
    {.name = NULL},
};

/* "7100", "0.0.0.0:7100", "[::1]:7100", ":7100". */
static bool parse_listen(const char *text, char host[64], int *ret_port)
{
    char port[8];

    host[0] = '\0';
    if (text[0] == ':') {
        text++;
    }
    if (strspn(text, "0123456789") == strlen(text) && strlen(text) <= 5
        && text[0] != '\0') {
        *ret_port = atoi(text);
        return *ret_port <= 65535;
    }
    if (!split_address(text, host, 64, port, 0)) {
        return false;
    }
    *ret_port = atoi(port);
    return true;
}

/* The options of a node that one command opens; they live as long as it. */
static cli_text listen_list;
static cli_text discovery_list;
static cli_text announce_list;
static cli_text interface_list;

/* A port alone, alone, is all addresses over IPv6 and IPv4. */
static bool add_listen(cli_hub_options *options, const char *word, size_t len)
{
    char text[80];
    char host[64];
    int port;

    if (len >= sizeof(text)) {
        return false;
    }
    memcpy(text, word, len);
    text[len] = '\0';
    if (!parse_listen(text, host, &port)) {
        return false;
    }
    if (listen_list.len == 0) {
        options->node.listen_port = port;
    } else {
        cli_text_putc(&listen_list, ',');
    }
    cli_text_printf(&listen_list,
        strchr(host, ':') != NULL || host[0] == '\0' ? "[%s]:%d" : "%s:%d",
        host[0] == '\0' ? "::" : host, port);
    return true;
}

static bool read_listen(
    const cli_app *app, cli_hub_options *options, const char **ret_bad)
{
    unsigned i = 0;

    cli_text_clear(&listen_list);
    while ((*ret_bad = cli_args_next(app->args, "listen", &i)) != NULL) {
        const char *at = *ret_bad;

        do {
            size_t len = strcspn(at, ",");

            if (!add_listen(options, at, len)) {
                return false;
            }
            at += len + (at[len] == ',');
        } while (at[-1] == ',');
    }
    /* "::" alone falls back to IPv4 on a host without IPv6, so it is given as
     * all addresses. */
    if (listen_list.len > 0) {
        options->node.listen_address = cli_text_string(&listen_list);
    }
    return true;
}

/* The values of an option that may repeat, with commas between them; NULL:
 * there is none. */
static const char *join_values(
    const cli_app *app, const char *name, cli_text *list)
{
    const char *word;
    unsigned i = 0;

    cli_text_clear(list);
    while ((word = cli_args_next(app->args, name, &i)) != NULL) {
        cli_text_printf(list, "%s%s", list->len > 0 ? "," : "", word);
    }
    return list->len > 0 ? cli_text_string(list) : NULL;
}

cli_exit cli_node_options(const cli_app *app, cli_hub_options *ret_options)
{
    const char *bad = NULL;

    memset(ret_options, 0, sizeof(*ret_options));
    pn_node_options_init(&ret_options->node);
    ret_options->node.data_dir = app->data_dir;
    ret_options->node.discovery = PN_DISCOVERY_UDP;
    ret_options->node.discovery_address = join_values(
        app, "discovery-address", &discovery_list);
    ret_options->node.announce_to = join_values(
        app, "announce-to", &announce_list);
    ret_options->node.interfaces = join_values(
        app, "interface", &interface_list);
    if (!read_listen(app, ret_options, &bad)) {
        return cli_fail_word(app,
            app->faults != NULL && app->faults->at->file != NULL
                ? "ADDRESS:PORT or PORT for 'listen'"
                : "ADDRESS:PORT or PORT after '--listen'",
            bad, NULL);
    }
    return cli_read_options(app, cli_node_option_table, ret_options);
}

cli_exit cli_app_open_session(const cli_app *app,
    const cli_session_options *options, cli_session **ret_session)
{
    cli_text error = {0};
    cli_exit status = cli_session_open(options, ret_session, &error);

    if (status != CLI_OK && status != CLI_INTERRUPTED) {
        return cli_fail_text(app, status, &error);
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

cli_exit cli_in_session(const cli_app *app,
    cli_exit (*run)(const cli_app *app, cli_session *session))
{
    cli_session *session = NULL;
    cli_exit status = cli_app_session(app, &session);

    if (status == CLI_OK) {
        status = run(app, session);
        cli_session_close(session);
    }
    return status;
}

cli_exit cli_app_running(const cli_app *app, cli_session **ret_session)
{
    cli_session_options options = {
        .data_dir = app->data_dir, .may_open = false};

    return cli_app_open_session(app, &options, ret_session);
}

cli_exit cli_app_needed(
    const cli_app *app, const char *hint, cli_session **ret_session)
{
    cli_session *session = NULL;
    cli_exit status = cli_app_running(app, &session);

    if (status == CLI_OK && session == NULL) {
        return cli_fail(app, CLI_NO_LINK,
            "no node runs on this data directory, and %s", hint);
    }
    *ret_session = session;
    return status;
}

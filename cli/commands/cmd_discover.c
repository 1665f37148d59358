/* SPDX-License-Identifier: Apache-2.0 */
/* discover: who announces itself. An announce proves nothing, so nothing that
 * is heard here is stored. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "peer_text.h"
#include "json/jsonout.h"

#define LOOK_MS 500
/* Rows that are kept, because announces can be forged. */
#define MAX_ROWS 512

enum { COLUMNS = 8 };

typedef struct discovery {
    uint32_t seconds;
    bool follow;
    const cli_app *app;
    bool is_terminal;
    json_t *rows;      /* as "discovered" has them, with "state" */
    json_t *sources;   /* as "status" has them */
    size_t n_drawn;    /* lines on the terminal */
    size_t n_left_out; /* rows, for want of room */
} discovery;

/* Fills a discovery. */
const cli_option cli_discover_option_table[] = {
    {"seconds", 's', "N", .help = "how long to listen; default 6",
        .kind = CLI_U32, .offset = offsetof(discovery, seconds), .min = 1,
        .max = 86400},
    {"follow", 'f', NULL, .help = "go on until interrupted; show lost ones",
        .kind = CLI_TRUE, .offset = offsetof(discovery, follow)},
    {.name = NULL},
};

/* ---- rows --------------------------------------------------------------- */

static bool is_same(const json_t *a, const json_t *b)
{
    return strcmp(cli_field(a, "key"), cli_field(b, "key")) == 0
           && strcmp(cli_field(a, "address"), cli_field(b, "address")) == 0;
}

static json_t *find(const json_t *rows, const json_t *row)
{
    json_t *other;
    size_t i;

    json_array_foreach(rows, i, other)
    {
        if (is_same(other, row)) {
            return other;
        }
    }
    return NULL;
}

static bool is_lost(const json_t *row)
{
    return strcmp(cli_field(row, "state"), "lost") == 0;
}

static void set_state(json_t *row, const char *state)
{
    (void)json_object_set_new(row, "state", json_string(state));
}

/* ---- what is printed ---------------------------------------------------- */

static const char *clock_of(const json_t *row, const char *name, char text[16])
{
    struct tm local;
    time_t seconds;

    if (!cli_time_parse(cli_field(row, name), &seconds)) {
        return "-";
    }
    (void)localtime_r(&seconds, &local);
    (void)strftime(text, 16, "%H:%M:%S", &local);
    return text;
}

static void add_row(cli_table *table, const json_t *row)
{
    char first[16];
    char last[16];
    char reports[24];
    char label[96];
    bool is_paired = json_is_true(json_object_get(row, "paired"));

    (void)snprintf(reports, sizeof(reports), "%lld",
        (long long)json_integer_value(json_object_get(row, "reports")));
    cli_table_add(
        table, (const char *const[COLUMNS]){cli_label_of(row, label),
                   cli_field(row, "fingerprint"),
                   is_lost(row) ? "lost"
                   : is_paired  ? "paired"
                                : "not paired",
                   cli_field(row, "address"), cli_field(row, "source"),
                   clock_of(row, "first_heard", first),
                   clock_of(row, "last_heard", last), reports});
}

/* Rows that fit above the cursor, because a line that has left the screen
 * cannot be drawn again; SIZE_MAX where nothing is drawn again. */
static size_t rows_that_fit(const discovery *d)
{
    struct winsize size = {0};

    if (!d->is_terminal || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0
        || size.ws_row == 0) {
        return SIZE_MAX;
    }
    return size.ws_row > 5 ? size.ws_row - 4U : 1;
}

/* Lost rows come last, struck through on a terminal. Returns the lines. */
static size_t print_table(const discovery *d)
{
    static const char *const names[COLUMNS] = {"LABEL", "FINGERPRINT", "STATE",
        "ADDRESS", "SOURCE", "SINCE", "LAST", "HEARD"};
    size_t room = rows_that_fit(d);
    size_t n = 0;
    cli_text t = {0};
    cli_table table;
    const json_t *row;
    size_t i;

    cli_table_init(&table, COLUMNS, names);
    for (int lost = 0; lost < 2; lost++) {
        if (lost == 1 && d->is_terminal) {
            table.first_struck = table.n_cells / COLUMNS;
        }
        json_array_foreach(d->rows, i, row)
        {
            if (is_lost(row) == (lost == 1) && n < room) {
                add_row(&table, row);
                n++;
            }
        }
    }
    cli_table_print(&table);
    if (n == json_array_size(d->rows)) {
        return n + 1;
    }
    cli_text_printf(&t, "... %zu more", json_array_size(d->rows) - n);
    cli_print(&t);
    return n + 2;
}

/* The sources, each with the interfaces that it hears on: "udp port 4040 on
 * eth0 (10.1.0.2)"; with_unused: and the others, with why. */
static void add_sources(cli_text *t, const json_t *sources, bool with_unused)
{
    const json_t *source;
    size_t i;

    json_array_foreach(sources, i, source)
    {
        const json_t *port = json_object_get(source, "port");

        cli_text_puts(t, i > 0 ? "; " : "");
        cli_escape(t, cli_field(source, "source"),
            strlen(cli_field(source, "source")), CLI_ESCAPE_FIELD);
        if (port != NULL) {
            cli_text_printf(
                t, " port %lld", (long long)json_integer_value(port));
        }
        cli_add_interfaces(t, source, true);
        if (with_unused) {
            cli_add_interfaces(t, source, false);
        }
    }
}

static void draw(discovery *d)
{
    cli_text t = {0};

    if (d->n_drawn > 0) {
        cli_text_printf(&t, "\033[%zuA\033[J", d->n_drawn);
        cli_print_text(&t);
    }
    d->n_drawn = print_table(d);
}

/* One row that appeared, was lost or has another label, as an object or a
 * line. */
static void print_change(const discovery *d, const json_t *row)
{
    cli_text t = {0};
    char label[96];
    const char *says = cli_label_of(row, label);

    if (d->app->json) {
        cli_print_object(row);
    } else if (d->follow && !d->is_terminal) {
        cli_text_printf(&t, "%-6s %s %s ", cli_field(row, "state"),
            cli_field(row, "fingerprint"),
            json_is_true(json_object_get(row, "paired")) ? "paired"
                                                         : "not-paired");
        cli_escape(&t, cli_field(row, "address"),
            strlen(cli_field(row, "address")), CLI_ESCAPE_FIELD);
        cli_text_printf(&t, " %s", cli_field(row, "source"));
        if (cli_field(row, "label")[0] != '\0') {
            cli_text_putc(&t, ' ');
            cli_add_who(&t, row);
        } else if (says == label) {
            cli_text_putc(&t, ' ');
            cli_escape(&t, says, strlen(says), CLI_ESCAPE_FIELD);
        }
        cli_print(&t);
    }
}

/* ---- looking ------------------------------------------------------------ */

static bool is_paired(const json_t *row)
{
    return json_is_true(json_object_get(row, "paired"));
}

/* Makes room for a row: the oldest lost row of a key that is not paired goes,
 * else the oldest of such a key. False: all are paired. */
static bool make_room(discovery *d)
{
    const json_t *row;
    size_t victim = SIZE_MAX;
    size_t i;

    if (json_array_size(d->rows) < MAX_ROWS) {
        return true;
    }
    json_array_foreach(d->rows, i, row)
    {
        if (!is_paired(row) && (victim == SIZE_MAX || is_lost(row))) {
            victim = i;
            if (is_lost(row)) {
                break;
            }
        }
    }
    if (victim == SIZE_MAX) {
        return false;
    }
    d->n_left_out++;
    (void)json_array_remove(d->rows, victim);
    return true;
}

/* A row that was silent before the command began was not heard by it. */
static void take_new(discovery *d, json_t *found)
{
    if (!cli_is_silent(found) && make_room(d)) {
        set_state(found, "heard");
        (void)json_array_append(d->rows, found);
        print_change(d, found);
    }
}

static void take(discovery *d, json_t *found)
{
    json_t *row = find(d->rows, found);
    bool was_lost = row != NULL && is_lost(row);
    bool silent = cli_is_silent(found);
    bool is_relabelled;

    if (row == NULL) {
        take_new(d, found);
        return;
    }
    is_relabelled = strcmp(cli_field(row, "published_label"),
                        cli_field(found, "published_label"))
                    != 0;
    (void)json_object_update(row, found);
    set_state(row, silent ? "lost" : "heard");
    if (was_lost != silent || is_relabelled) {
        print_change(d, row);
    }
}

static void note_missing(const discovery *d, const json_t *found)
{
    json_t *row;
    size_t i;

    json_array_foreach(d->rows, i, row)
    {
        if (!is_lost(row) && find(found, row) == NULL) {
            set_state(row, "lost");
            print_change(d, row);
        }
    }
}

/* True when the node has a source beside UDP, which may hear all the same. */
static bool has_other_source(const discovery *d)
{
    const json_t *source;
    size_t i;

    json_array_foreach(d->sources, i, source)
    {
        if (strcmp(cli_field(source, "source"), "udp") != 0) {
            return true;
        }
    }
    return false;
}

/* Fails if the node can hear nobody: a running node may have entries already,
 * one of our own cannot. */
static cli_exit check_discovers(
    const discovery *d, const cli_session *session, const json_t *known)
{
    const char *error = cli_field(known, "discovery_error");

    if (error[0] != '\0' && has_other_source(d)) {
        cli_warn("announces over UDP cannot be heard: %s", error);
        return CLI_OK;
    }
    if (error[0] != '\0') {
        return cli_fail(d->app, CLI_LOCAL,
            "announces cannot be heard: %s; end the program that has the port, "
            "or use '--discovery-port' with another",
            error);
    }
    if (json_is_true(json_object_get(known, "discovers"))) {
        return CLI_OK;
    }
    if (!session->is_remote) {
        return cli_fail(
            d->app, CLI_USAGE, "expected '--discovery udp', found 'none'");
    }
    cli_warn("the running node was started with --discovery none");
    return CLI_OK;
}

static cli_exit look(discovery *d, cli_session *session, bool is_first)
{
    cli_answer answer = {0};
    json_t *found;
    json_t *list;
    size_t i;
    cli_exit status = cli_ask_one(
        d->app, session, "discovered", NULL, NULL, &answer);

    if (status == CLI_OK && is_first) {
        status = check_discovers(d, session, answer.json);
    }
    if (status == CLI_OK) {
        list = json_object_get(answer.json, "discovered");
        json_array_foreach(list, i, found)
        {
            take(d, found);
        }
        note_missing(d, list);
        if (d->is_terminal) {
            draw(d);
        }
    }
    cli_answer_fini(&answer);
    return status;
}

/* A node of an older version does not name its sources. */
static cli_exit ask_sources(discovery *d, cli_session *session)
{
    cli_answer answer = {0};
    cli_text t = {0};
    cli_exit status;

    cli_request_begin(session, &t, "status");
    cli_json_bool(&t, "full", true);
    status = cli_ask(d->app, session, &t, &answer);
    if (status == CLI_OK) {
        d->sources = json_incref(json_object_get(answer.json, "sources"));
    }
    cli_answer_fini(&answer);
    if (d->is_terminal && json_array_size(d->sources) > 0) {
        cli_text_puts(&t, "listening: ");
        add_sources(&t, d->sources, true);
        cli_print(&t);
    }
    return status;
}

static void print_end(const discovery *d)
{
    cli_text t = {0};

    if (d->app->json) {
        return;
    }
    if (!d->is_terminal && !d->follow) {
        (void)print_table(d);
    }
    if (d->n_left_out > 0) {
        cli_warn("%zu rows of keys that are not paired were left out: more "
                 "than %d were heard, and announces can be forged",
            d->n_left_out, MAX_ROWS);
    }
    if (json_array_size(d->rows) == 0) {
        cli_text_puts(&t, "nobody was heard");
        if (json_array_size(d->sources) > 0) {
            cli_text_puts(&t, " by ");
            add_sources(&t, d->sources, false);
        }
        cli_warn("%s; is the other device in the same network, and does its "
                 "node run? 'peernet doctor PEER' looks closer",
            cli_text_string(&t));
        cli_text_fini(&t);
    }
}

/* Waits for a signal, which is a normal end, or the time given. */
static cli_exit discover(discovery *d, cli_session *session)
{
    uint64_t end_ms = uv_hrtime() / 1000000 + (uint64_t)d->seconds * 1000;
    cli_exit status = ask_sources(d, session);
    bool is_first = true;

    while (status == CLI_OK && session->signal == 0 && !session->is_closed
           && (is_first || d->follow || uv_hrtime() / 1000000 < end_ms)) {
        status = look(d, session, is_first);
        is_first = false;
        if (status == CLI_OK) {
            cli_session_wait(session, LOOK_MS);
        }
    }
    if (session->signal != 0) {
        status = CLI_OK;
    } else if (status == CLI_OK && session->is_closed) {
        status = cli_fail_node(d->app, session);
    } else if (status == CLI_OK) {
        status = look(d, session, false);
    }
    if (status == CLI_OK) {
        print_end(d);
    }
    return status;
}

cli_exit cli_cmd_discover(const cli_app *app)
{
    cli_session *session = NULL;
    discovery d = {.app = app, .seconds = 6, .rows = json_array()};
    cli_exit status = cli_read_options(app, cli_discover_option_table, &d);

    d.is_terminal = !app->json && isatty(STDOUT_FILENO) == 1;
    if (status == CLI_OK) {
        status = cli_app_session(app, &session);
    }
    if (status == CLI_OK) {
        status = discover(&d, session);
        cli_session_close(session);
    }
    json_decref(d.rows);
    json_decref(d.sources);
    return status;
}

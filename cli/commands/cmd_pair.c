/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pair without a key: an owner's window (peernet/pairing.h). Lines of standard
 * input are the number of a device, or y and n once digits are shown. What was
 * typed before the digits were there answers nothing.
 */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <peernet/grants.h>
#include <peernet/pairing.h>

#include "commands.h"
#include "peer_text.h"
#include "peername.h"
#include "json/jsonout.h"

enum {
    MAX_DEVICES = 32,
    /* The only device is dialled when no other was found for so long. */
    ALONE_MS = 700,
    LINE_MAX_LEN = 64,
    DEFAULT_SECONDS = 120
};

typedef struct pairing_options {
    uint32_t seconds;
    const char *role;
    const char *discovery_address;
    const char *interfaces;
    uint16_t discovery_port;
} pairing_options;

/* Fills pairing_options. */
const cli_option cli_pair_option_table[] = {
    {"window", 0, "SECONDS",
        .help = "without KEY: how long it is open; default 120",
        .kind = CLI_U32, .offset = offsetof(pairing_options, seconds), .min = 1,
        .max = 600},
    {"role", 0, "ROLE", .help = "without KEY: the role that the peer gets",
        .kind = CLI_STRING, .offset = offsetof(pairing_options, role)},
    {"discovery-address", 0, "ADDRESS",
        .help = "without KEY: where announces go; default: every network",
        .kind = CLI_STRING,
        .offset = offsetof(pairing_options, discovery_address)},
    {"discovery-port", 0, "PORT",
        .help = "without KEY: UDP port of announces; default 4040",
        .kind = CLI_U16, .offset = offsetof(pairing_options, discovery_port),
        .min = 1, .max = 65535},
    {"interface", 0, "NAMES",
        .help = "without KEY: interfaces that devices are looked for on",
        .kind = CLI_STRING, .offset = offsetof(pairing_options, interfaces)},
    {.name = NULL},
};

typedef struct window {
    const cli_app *app;
    pairing_options options;
    pn_pairing *pairing;
    pn_public_key devices[MAX_DEVICES];
    size_t n_devices;
    uint32_t alone_at_ms; /* pn_pairing_left_ms then; 0: no more */
    bool is_asking;
    bool is_over;
    cli_exit status;
    char line[LINE_MAX_LEN + 1];
    size_t line_len;
    char own_label[64 + 1]; /* empty: none */
    uint16_t node_port;
} window;

/* ---- telling ------------------------------------------------------------- */

static void begin_event(cli_text *t, const char *name)
{
    cli_json_begin(t);
    cli_json_string(t, "event", name);
}

static void tell_window(const window *w)
{
    cli_text t = {0};

    if (w->app->json) {
        begin_event(&t, "pairing-window");
        cli_json_int(&t, "port", pn_pairing_port(w->pairing));
        cli_json_int(&t, "left_ms", pn_pairing_left_ms(w->pairing));
        cli_print_result(&t);
        return;
    }
    cli_text_printf(&t,
        "Open for %u seconds: run 'peernet pair' on the other device, too. "
        "Ctrl-C ends it.",
        (unsigned)w->options.seconds);
    cli_print(&t);
}

static void on_candidate(void *user, const pn_pairing_candidate *candidate)
{
    char fingerprint[PN_FINGERPRINT_LEN + 1];
    window *w = user;
    cli_text t = {0};

    for (size_t i = 0; i < w->n_devices; i++) {
        if (pn_key_equal(&w->devices[i], &candidate->key)) {
            return;
        }
    }
    if (w->n_devices == MAX_DEVICES) {
        return;
    }
    w->devices[w->n_devices++] = candidate->key;
    if (w->app->json) {
        begin_event(&t, "pairing-candidate");
        cli_json_int(&t, "number", (int64_t)w->n_devices);
        cli_json_peer(&t, &candidate->key);
        cli_json_string(&t, "address", candidate->address);
        cli_json_bool(&t, "paired", candidate->is_paired);
        cli_print_result(&t);
    } else {
        pn_key_fingerprint(&candidate->key, fingerprint);
        cli_text_printf(&t, "  %zu  %s  %s%s", w->n_devices, fingerprint,
            candidate->address,
            candidate->is_paired ? "  (is paired already)" : "");
        cli_print(&t);
    }
    if (w->n_devices == 2 && w->alone_at_ms != 0) {
        w->alone_at_ms = 0;
        if (!w->app->json) {
            cli_text_puts(&t, "Which one? Type its number.");
            cli_print(&t);
        }
    } else if (w->n_devices == 1 && w->alone_at_ms == UINT32_MAX) {
        const uint32_t left_ms = pn_pairing_left_ms(w->pairing);

        w->alone_at_ms = left_ms > ALONE_MS ? left_ms - ALONE_MS : 1;
    }
}

/* Takes what was typed before there was a question. */
static void drain_input(window *w)
{
    struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};
    char gone[256];

    w->line_len = 0;
    while (poll(&fd, 1, 0) == 1 && (fd.revents & POLLIN) != 0
           && read(STDIN_FILENO, gone, sizeof(gone)) > 0) {}
}

static void on_digits(void *user, const pn_public_key *key, const char *digits)
{
    char fingerprint[PN_FINGERPRINT_LEN + 1];
    window *w = user;
    cli_text t = {0};

    drain_input(w);
    w->is_asking = true;
    w->alone_at_ms = 0;
    if (w->app->json) {
        begin_event(&t, "pairing-digits");
        cli_json_peer(&t, key);
        cli_json_string(&t, "digits", digits);
        cli_print_result(&t);
        return;
    }
    pn_key_fingerprint(key, fingerprint);
    cli_text_printf(&t, "\n    %.3s %s\n\nDoes %s show these digits? y or n",
        digits, digits + 3, fingerprint);
    cli_print(&t);
}

static void on_failed(void *user, unsigned n_failed, const char *why)
{
    window *w = user;
    cli_text t = {0};

    w->is_asking = false;
    w->alone_at_ms = 0;
    if (w->app->json) {
        begin_event(&t, "pairing-failed");
        cli_json_int(&t, "count", n_failed);
        cli_json_string(&t, "detail", why);
        cli_print_result(&t);
        return;
    }
    cli_text_printf(&t,
        "Not paired: %s. Those digits are void. %u of 3 tries failed%s", why,
        n_failed, n_failed < 3 ? "; type a number to try again." : ".");
    cli_print(&t);
}

/* The stored peers, for the rules about labels. */
static bool check_label(const cli_app *app, const pn_public_key *key,
    const char *label, cli_text *why)
{
    pn_store_peer *peers = NULL;
    pn_store *store = NULL;
    char old_label[256];
    bool is_good = false;
    size_t n = 0;

    if (pn_store_open(app->data_dir, &store, NULL, NULL) == PN_OK
        && pn_store_peers(store, &peers, &n, NULL) == PN_OK) {
        is_good = cli_label_check(peers, n, key, label, old_label, why);
    }
    free(peers);
    pn_store_close(store);
    return is_good;
}

static bool may_label(
    void *user, const pn_public_key *key, const char *proposed)
{
    cli_text why = {0};
    const window *w = user;
    bool is_good = check_label(w->app, key, proposed, &why);

    cli_text_fini(&why);
    return is_good;
}

/* ---- the end ------------------------------------------------------------- */

static void tell_paired(const window *w, const pn_pairing_result *result)
{
    char fingerprint[PN_FINGERPRINT_LEN + 1];
    cli_text t = {0};

    if (result->why[0] != '\0') {
        cli_warn("paired, but without the role: %s", result->why);
    }
    if (w->app->json) {
        cli_result_begin(&t, true);
        cli_json_peer(&t, &result->key);
        cli_json_known(&t, "label", result->label);
        cli_json_known(&t, "proposed_label", result->proposed_label);
        cli_json_known(&t, "address", result->address);
        cli_json_bool(&t, "confirmed", result->is_confirmed);
        cli_print_result(&t);
        return;
    }
    pn_key_fingerprint(&result->key, fingerprint);
    cli_text_printf(&t, "paired %s", fingerprint);
    if (result->label[0] != '\0') {
        cli_text_puts(&t, ", called ");
        cli_escape(&t, result->label, strlen(result->label), CLI_ESCAPE_FIELD);
    } else if (result->proposed_label[0] != '\0') {
        cli_text_puts(&t, ", which calls itself ");
        cli_quote(&t, result->proposed_label, strlen(result->proposed_label),
            CLI_ESCAPE_FIELD);
    }
    if (!result->is_confirmed) {
        cli_text_puts(&t,
            "; the other device has not confirmed it, and does when the nodes "
            "meet");
    }
    cli_print(&t);
}

static cli_exit tell_unpaired(const window *w, const pn_pairing_result *result)
{
    switch (result->outcome) {
    case PN_PAIRING_NOT_CONFIRMED:
        return cli_fail(w->app, CLI_NO_LINK,
            "not confirmed: the other device was not heard after your yes; if "
            "its owner said yes, too, the pairing completes when its node "
            "reaches this one within 24 hours ('peernet unpair' ends the "
            "wait)");
    case PN_PAIRING_REFUSED:
        return cli_fail(w->app, CLI_NO_LINK, "not paired: you said no");
    case PN_PAIRING_TRIES:
        return cli_fail(w->app, CLI_NO_LINK,
            "not paired: three tries failed, so the window is closed; somebody "
            "on this network may be disturbing: pair by key, 'peernet pair "
            "KEY'");
    case PN_PAIRING_TIME:
        return cli_fail(w->app, CLI_NO_LINK,
            w->n_devices == 0
                ? "not paired: no other device was found; expected 'peernet "
                  "pair' to run there at the same time, on the same network"
                : "not paired: the time is over");
    case PN_PAIRING_FAILED:
        return cli_fail(w->app, CLI_LOCAL, "not paired: %s", result->why);
    case PN_PAIRING_PAIRED:
        break;
    }
    tell_paired(w, result);
    return CLI_OK;
}

static void on_end(void *user, const pn_pairing_result *result)
{
    window *w = user;

    w->is_over = true;
    w->status = tell_unpaired(w, result);
}

static const pn_pairing_callbacks callbacks = {
    .on_candidate = on_candidate,
    .on_digits = on_digits,
    .on_failed = on_failed,
    .may_label = may_label,
    .on_end = on_end,
};

/* ---- input ----------------------------------------------------------------
 */

static void answer(window *w)
{
    const bool yes = strcmp(w->line, "y") == 0 || strcmp(w->line, "yes") == 0;
    const bool no = strcmp(w->line, "n") == 0 || strcmp(w->line, "no") == 0;

    if (yes || no) {
        w->is_asking = false;
        if (pn_pairing_answer(w->pairing, yes) == PN_OK && yes && !w->is_over
            && !w->app->json) {
            cli_text t = {0};

            cli_text_puts(&t, "waiting for the other owner");
            cli_print(&t);
        }
    } else {
        cli_warn("expected y or n");
    }
}

static void choose(window *w)
{
    char *end;
    unsigned long number = strtoul(w->line, &end, 10);

    if (w->line[0] < '0' || w->line[0] > '9' || *end != '\0' || number < 1
        || number > w->n_devices) {
        cli_warn("expected the number of a device");
        return;
    }
    w->alone_at_ms = 0;
    (void)!pn_pairing_choose(w->pairing, &w->devices[number - 1]);
}

static void take_byte(window *w, char c)
{
    if (c != '\n') {
        if (w->line_len < LINE_MAX_LEN) {
            w->line[w->line_len++] = c;
        }
        return;
    }
    w->line[w->line_len] = '\0';
    w->line_len = 0;
    if (w->is_asking) {
        answer(w);
    } else {
        choose(w);
    }
}

static void read_input(window *w)
{
    char data[64];
    ssize_t n = read(STDIN_FILENO, data, sizeof(data));

    if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
        return;
    }
    if (n <= 0) {
        w->is_over = true;
        w->status = cli_fail(w->app, CLI_USAGE,
            "expected y or n on standard input, found its end: nobody can "
            "compare the digits");
        return;
    }
    for (ssize_t i = 0; i < n && !w->is_over; i++) {
        take_byte(w, data[i]);
    }
}

/* ---- running ---------------------------------------------------------------
 */

/* The label and the port of the node that runs, if one does. */
cli_exit cli_own_offer(
    const cli_app *app, char ret_label[static 65], uint16_t *ret_port)
{
    cli_session *session = NULL;
    cli_answer answer = {0};
    cli_exit status = cli_app_running(app, &session);
    const char *label;
    cli_text t = {0};

    if (status != CLI_OK || session == NULL) {
        return status;
    }
    cli_request_begin(session, &t, "status");
    cli_json_bool(&t, "full", true);
    status = cli_ask(app, session, &t, &answer);
    if (status == CLI_OK) {
        label = cli_field(answer.json, "own_label");
        *ret_port = (uint16_t)json_integer_value(
            json_object_get(answer.json, "port"));
        if (strlen(label) <= 64) {
            memcpy(ret_label, label, strlen(label) + 1);
        }
    }
    cli_answer_fini(&answer);
    cli_session_close(session);
    return status;
}

/* When the only device is to be dialled, if one is. */
static int alone_ms(const window *w)
{
    const uint32_t left_ms = pn_pairing_left_ms(w->pairing);

    if (w->n_devices != 1 || w->alone_at_ms == 0) {
        return -1;
    }
    return left_ms > w->alone_at_ms ? (int)(left_ms - w->alone_at_ms) : 0;
}

static void run_window(window *w)
{
    while (!w->is_over) {
        struct pollfd fds[] = {
            {.fd = STDIN_FILENO, .events = POLLIN},
            {.fd = pn_pairing_fd(w->pairing), .events = POLLIN},
        };
        int wait_ms = pn_pairing_timeout_ms(w->pairing);
        int alone = alone_ms(w);

        if (alone >= 0 && (wait_ms < 0 || alone < wait_ms)) {
            wait_ms = alone;
        }
        if (poll(fds, 2, wait_ms) < 0 && errno != EINTR) {
            w->status = cli_fail(
                w->app, CLI_LOCAL, "poll: %s", strerror(errno));
            return;
        }
        pn_pairing_run(w->pairing);
        if (!w->is_over && fds[0].revents != 0) {
            read_input(w);
        }
        if (!w->is_over && alone_ms(w) == 0) {
            w->alone_at_ms = 0;
            (void)!pn_pairing_choose(w->pairing, &w->devices[0]);
        }
    }
}

/* A role that nobody has made would grant nothing. */
cli_exit cli_check_role(const cli_app *app, const char *role)
{
    pn_stored_line *lines = NULL;
    pn_store *store = NULL;
    bool is_there = false;
    pn_why why = {0};
    cli_text text = {0};
    size_t n = 0;
    pn_err err = pn_store_open(app->data_dir, &store, &why, NULL);

    if (err == PN_OK) {
        err = pn_store_list_grants(store, &lines, &n, &why);
    }
    for (size_t i = 0; i < n; i++) {
        is_there = is_there
                   || (lines[i].kind == PN_STORED_ROLE
                       && strcmp(lines[i].role, role) == 0);
    }
    free(lines);
    pn_store_close(store);
    if (err != PN_OK) {
        return cli_fail_store(app, err, &why);
    }
    if (!is_there) {
        cli_text_puts(&text, "expected a role of the file of grants, found ");
        cli_quote(&text, role, strlen(role), 64);
        return cli_fail_text(app, CLI_USAGE, &text);
    }
    return CLI_OK;
}

bool cli_pair_label_check(const cli_app *app, const char *label, cli_text *why)
{
    const pn_public_key nobody = {{0}};

    return check_label(app, &nobody, label, why);
}

static cli_exit check_arguments(const cli_app *app, window *w)
{
    cli_exit status;

    const char *label = cli_args_value(app->args, "label");
    cli_text why = {0};

    if (cli_args_value(app->args, "address") != NULL) {
        return cli_fail(app, CLI_USAGE,
            "expected KEY before '--address': without it devices are found by "
            "themselves");
    }
    if (label != NULL && !cli_pair_label_check(app, label, &why)) {
        return cli_fail_text(app, CLI_USAGE, &why);
    }
    status = cli_read_options(app, cli_pair_option_table, &w->options);
    return status == CLI_OK && w->options.role != NULL
               ? cli_check_role(app, w->options.role)
               : status;
}

cli_exit cli_cmd_pair_digits(const cli_app *app)
{
    window w = {
        .app = app,
        .options = {.seconds = DEFAULT_SECONDS, .discovery_port = 4040},
        .alone_at_ms = UINT32_MAX,
    };
    pn_pairing_options options;
    pn_why why = {0};
    cli_exit status = check_arguments(app, &w);
    pn_err err;

    if (status == CLI_OK) {
        status = cli_own_offer(app, w.own_label, &w.node_port);
    }
    if (status != CLI_OK) {
        return status;
    }
    pn_pairing_options_init(&options);
    options.label = cli_args_value(app->args, "label");
    options.own_label = w.own_label[0] == '\0' ? NULL : w.own_label;
    options.role = w.options.role;
    options.node_port = w.node_port;
    options.window_ms = w.options.seconds * 1000;
    options.discovery_port = w.options.discovery_port;
    options.discovery_address = w.options.discovery_address;
    options.interfaces = w.options.interfaces;
    err = pn_pairing_open(
        app->data_dir, &options, &callbacks, &w, &w.pairing, &why);
    if (err != PN_OK) {
        return cli_fail_store(app, err, &why);
    }
    tell_window(&w);
    run_window(&w);
    pn_pairing_close(w.pairing);
    return w.status;
}

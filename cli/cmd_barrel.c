/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barrel: the identity of a Barrel node and whom it has pinned. All but
 * `nodes` work on the key directory; a node that runs on it sees each edit.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "barrel.h"
#include "commands.h"
#include "escape.h"
#include "jsonout.h"

/* ---- the store ---------------------------------------------------------- */

static cli_exit fail_store(
    const cli_app *app, pn_err err, const pn_store_error *error)
{
    return cli_fail(app, err == PN_INVALID ? CLI_USAGE : CLI_LOCAL, "%s",
        error->text[0] == '\0' ? pn_strerror(err) : error->text);
}

static cli_exit open_store(const cli_app *app, pn_barrel_store **ret_store)
{
    char dir[PATH_MAX];
    pn_store_error error = {""};
    pn_store_error warning = {""};
    cli_exit status = cli_barrel_key_dir(app, dir);
    pn_err err;

    if (status != CLI_OK) {
        return status;
    }
    err = pn_barrel_store_open(dir, ret_store, &error, &warning);
    if (err != PN_OK) {
        return fail_store(app, err, &error);
    }
    if (warning.text[0] != '\0') {
        cli_warn("%s", warning.text);
    }
    return CLI_OK;
}

static void add_hex(cli_text *t, const pn_public_key *key)
{
    for (size_t i = 0; i < PN_PUBLIC_KEY_LEN; i++) {
        cli_text_printf(t, "%02x", key->bytes[i]);
    }
}

static void json_key(cli_text *t, const pn_public_key *key)
{
    char base32[PN_BASE32_LEN + 1];
    char fingerprint[PN_FINGERPRINT_LEN + 1];
    cli_text hex = {0};

    pn_key_to_base32(key, base32);
    pn_key_fingerprint(key, fingerprint);
    add_hex(&hex, key);
    cli_json_string(t, "key", base32);
    cli_json_string(t, "hex", cli_text_string(&hex));
    cli_json_string(t, "fingerprint", fingerprint);
    cli_text_fini(&hex);
}

/* ---- id ----------------------------------------------------------------- */

/* An existing file is left alone: it may be somebody's node.pub. */
static cli_exit write_key(
    const cli_app *app, const char *path, const pn_public_key *key)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    cli_text shown = {0};
    ssize_t n = -1;
    int why = errno;

    if (fd >= 0) {
        n = write(fd, key->bytes, sizeof(key->bytes));
        why = n < 0 ? errno : ENOSPC;
        if (close(fd) != 0) {
            n = -1;
            why = errno;
        }
        if (n != (ssize_t)sizeof(key->bytes)) {
            (void)unlink(path);
        }
    }
    if (n == (ssize_t)sizeof(key->bytes)) {
        return CLI_OK;
    }
    cli_escape(&shown, path, strlen(path), CLI_ESCAPE_FIELD);
    (void)cli_fail(
        app, CLI_LOCAL, "%s: %s", cli_text_string(&shown), strerror(why));
    cli_text_fini(&shown);
    return CLI_LOCAL;
}

static cli_exit barrel_id(const cli_app *app)
{
    const char *out = cli_args_value(app->args, "out");
    pn_barrel_store *store = NULL;
    const pn_public_key *key;
    cli_text t = {0};
    cli_exit status = open_store(app, &store);

    if (status != CLI_OK) {
        return status;
    }
    key = pn_barrel_store_key(store);
    if (out != NULL) {
        status = write_key(app, out, key);
    }
    if (status == CLI_OK && app->json) {
        cli_json_open(&t, NULL, '{');
        cli_json_bool(&t, "ok", true);
        json_key(&t, key);
        cli_json_close(&t, '}');
        cli_print(&t);
    } else if (status == CLI_OK) {
        add_hex(&t, key);
        cli_print(&t);
    }
    cli_text_fini(&t);
    pn_barrel_store_close(store);
    return status;
}

/* ---- trust, unpin ------------------------------------------------------- */

static void print_done(const cli_app *app, const char *done, const char *node,
    const pn_public_key *key)
{
    char fingerprint[PN_FINGERPRINT_LEN + 1];
    cli_text t = {0};

    if (app->json) {
        cli_json_open(&t, NULL, '{');
        cli_json_bool(&t, "ok", true);
        cli_json_string(&t, "node", node);
        if (key != NULL) {
            json_key(&t, key);
        }
        cli_json_close(&t, '}');
    } else {
        cli_text_printf(&t, "%s %s", done, node);
        if (key != NULL) {
            pn_key_fingerprint(key, fingerprint);
            cli_text_printf(&t, " %s", fingerprint);
        }
    }
    cli_print(&t);
    cli_text_fini(&t);
}

/* The word is checked and the key is read before anything is made. */
static cli_exit barrel_trust(const cli_app *app)
{
    const char *node = app->args->positional[1];
    const char *path = app->args->positional[2];
    pn_barrel_store *store = NULL;
    pn_store_error error = {""};
    pn_public_key key;
    cli_exit status = cli_check_node(app, node);
    pn_err err;

    if (status != CLI_OK) {
        return status;
    }
    err = pn_barrel_read_key(
        strcmp(path, "-") == 0 ? "/dev/stdin" : path, &key, &error);
    if (err != PN_OK) {
        return fail_store(app, err, &error);
    }
    status = open_store(app, &store);
    if (status != CLI_OK) {
        return status;
    }
    err = pn_barrel_store_pin(store, node, &key, &error);
    pn_barrel_store_close(store);
    if (err != PN_OK) {
        return fail_store(app, err, &error);
    }
    print_done(app, "trusted", node, &key);
    return CLI_OK;
}

static cli_exit barrel_unpin(const cli_app *app)
{
    const char *node = app->args->positional[1];
    pn_barrel_store *store = NULL;
    pn_store_error error = {""};
    cli_exit status = cli_check_node(app, node);
    pn_err err;

    if (status == CLI_OK) {
        status = open_store(app, &store);
    }
    if (status != CLI_OK) {
        return status;
    }
    err = pn_barrel_store_unpin(store, node, &error);
    pn_barrel_store_close(store);
    if (err == PN_NOT_FOUND) {
        return cli_fail(app, CLI_NO_PEER, "%s is not pinned", node);
    }
    if (err != PN_OK) {
        return fail_store(app, err, &error);
    }
    print_done(app, "unpinned", node, NULL);
    return CLI_OK;
}

/* ---- pins --------------------------------------------------------------- */

static cli_exit list_pins(const cli_app *app, pn_barrel_store *store,
    pn_barrel_pin **ret_pins, size_t *ret_n)
{
    pn_err err = pn_barrel_store_pins(store, ret_pins, ret_n);

    return err == PN_OK ? CLI_OK
                        : cli_fail(app, CLI_LOCAL, "%s", pn_strerror(err));
}

static void json_pin(cli_text *t, const pn_barrel_pin *pin)
{
    cli_json_open(t, NULL, '{');
    cli_json_string(t, "node", pin->name);
    json_key(t, &pin->key);
    cli_json_close(t, '}');
}

static void print_pins(const pn_barrel_pin *pins, size_t n)
{
    char fingerprint[PN_FINGERPRINT_LEN + 1];
    cli_table table;
    cli_text hex = {0};

    cli_table_init(&table, 3);
    cli_table_add(&table, "NODE");
    cli_table_add(&table, "FINGERPRINT");
    cli_table_add(&table, "KEY");
    for (size_t i = 0; i < n; i++) {
        pn_key_fingerprint(&pins[i].key, fingerprint);
        cli_text_clear(&hex);
        add_hex(&hex, &pins[i].key);
        cli_table_add(&table, pins[i].name);
        cli_table_add(&table, fingerprint);
        cli_table_add(&table, cli_text_string(&hex));
    }
    cli_table_print(&table);
    cli_text_fini(&hex);
}

static cli_exit barrel_pins(const cli_app *app)
{
    pn_barrel_store *store = NULL;
    pn_barrel_pin *pins = NULL;
    size_t n = 0;
    cli_text t = {0};
    cli_exit status = open_store(app, &store);

    if (status == CLI_OK) {
        status = list_pins(app, store, &pins, &n);
    }
    if (status == CLI_OK && !app->json) {
        print_pins(pins, n);
    }
    for (size_t i = 0; status == CLI_OK && app->json && i < n; i++) {
        json_pin(&t, &pins[i]);
        cli_print(&t);
    }
    cli_text_fini(&t);
    free(pins);
    pn_barrel_store_close(store);
    return status;
}

/* ---- rotate ------------------------------------------------------------- */

static void json_refused_by(cli_text *t, const pn_barrel_pin *pins, size_t n)
{
    cli_json_open(t, "refused_by", '[');
    for (size_t i = 0; i < n; i++) {
        json_pin(t, &pins[i]);
    }
    cli_json_close(t, ']');
}

static void print_plan(const pn_barrel_pin *pins, size_t n)
{
    cli_text t = {0};

    cli_text_puts(&t,
        "This node gets a new key. Every node that has pinned the "
        "old one refuses it\nuntil its owner takes that pin back "
        "and trusts the new key. Links that are up\nstay.");
    cli_print(&t);
    cli_text_puts(&t, n == 0 ? "No node is pinned here."
                             : "Nodes pinned here, which may have pinned us:");
    cli_print(&t);
    for (size_t i = 0; i < n; i++) {
        cli_text_printf(&t, "  %s", pins[i].name);
        cli_print(&t);
    }
    cli_text_fini(&t);
}

/* Nothing was done: that is no success. */
static cli_exit only_plan(
    const cli_app *app, const pn_barrel_pin *pins, size_t n)
{
    static const char message[] = "nothing was changed: expected '--yes' with "
                                  "'barrel rotate identity'";
    cli_text t = {0};

    if (!app->json) {
        print_plan(pins, n);
        return cli_fail(app, CLI_USAGE, "%s", message);
    }
    cli_json_open(&t, NULL, '{');
    cli_json_bool(&t, "ok", false);
    cli_json_string(&t, "error", "bad-request");
    cli_json_string(&t, "message", message);
    json_refused_by(&t, pins, n);
    cli_json_close(&t, '}');
    cli_print(&t);
    cli_text_fini(&t);
    return CLI_USAGE;
}

static void print_rotated(const cli_app *app, const pn_public_key *key,
    const char *backup, const pn_barrel_pin *pins, size_t n)
{
    cli_text t = {0};

    if (app->json) {
        cli_json_open(&t, NULL, '{');
        cli_json_bool(&t, "ok", true);
        json_key(&t, key);
        cli_json_string(&t, "backup", backup);
        json_refused_by(&t, pins, n);
        cli_json_close(&t, '}');
    } else {
        print_plan(pins, n);
        cli_text_puts(&t, "new key ");
        add_hex(&t, key);
        cli_text_puts(&t, "\nthe old one is in ");
        cli_escape(&t, backup, strlen(backup), CLI_ESCAPE_ALL);
    }
    cli_print(&t);
    cli_text_fini(&t);
}

static cli_exit rotate_identity(const cli_app *app)
{
    pn_barrel_store *store = NULL;
    pn_barrel_pin *pins = NULL;
    pn_store_error error = {""};
    char *backup = NULL;
    size_t n = 0;
    cli_exit status = open_store(app, &store);

    if (status == CLI_OK) {
        status = list_pins(app, store, &pins, &n);
    }
    if (status == CLI_OK && !cli_args_flag(app->args, "yes")) {
        status = only_plan(app, pins, n);
    } else if (status == CLI_OK) {
        pn_err err = pn_barrel_store_rotate(store, &backup, &error);

        if (err == PN_OK) {
            print_rotated(app, pn_barrel_store_key(store), backup, pins, n);
        } else {
            status = fail_store(app, err, &error);
        }
    }
    free(backup);
    free(pins);
    pn_barrel_store_close(store);
    return status;
}

static cli_exit rotate_certificate(const cli_app *app)
{
    char dir[PATH_MAX];
    pn_store_error error = {""};
    char *backup = NULL;
    cli_text t = {0};
    cli_exit status = cli_barrel_cert_dir(app, dir);
    pn_err err;

    if (status != CLI_OK) {
        return status;
    }
    err = pn_barrel_rotate_certificate(dir, &backup, &error);
    if (err != PN_OK) {
        return fail_store(app, err, &error);
    }
    if (app->json) {
        cli_json_open(&t, NULL, '{');
        cli_json_bool(&t, "ok", true);
        cli_json_string(&t, "backup", backup);
        cli_json_close(&t, '}');
    } else {
        cli_text_puts(&t, "There is a new certificate. Nobody pins it, and a "
                          "node serves it from its next start.\n"
                          "the old one is in ");
        cli_escape(&t, backup, strlen(backup), CLI_ESCAPE_ALL);
    }
    cli_print(&t);
    cli_text_fini(&t);
    free(backup);
    return CLI_OK;
}

static cli_exit barrel_rotate(const cli_app *app)
{
    const char *what = app->args->positional[1];
    cli_text found = {0};
    cli_exit status;

    if (strcmp(what, "identity") == 0) {
        return rotate_identity(app);
    }
    if (strcmp(what, "cert") == 0) {
        return rotate_certificate(app);
    }
    cli_escape(&found, what, strlen(what), CLI_ESCAPE_FIELD);
    status = cli_fail(app, CLI_USAGE,
        "expected 'identity' or 'cert' after 'barrel rotate', found '%s'",
        cli_text_string(&found));
    cli_text_fini(&found);
    return status;
}

/* ---- nodes -------------------------------------------------------------- */

static void add_node(cli_table *table, const json_t *node)
{
    const char *fingerprint = cli_field(node, "fingerprint");

    cli_table_add(table, cli_field(node, "node"));
    cli_table_add(table, fingerprint[0] == '\0' ? "cookie only" : fingerprint);
    cli_table_add(table, cli_field(node, "address"));
}

static void print_nodes(const cli_app *app, const json_t *nodes)
{
    const json_t *node;
    cli_table table;
    cli_text t = {0};
    size_t i;

    cli_table_init(&table, 3);
    cli_table_add(&table, "NODE");
    cli_table_add(&table, "FINGERPRINT");
    cli_table_add(&table, "ADDRESS");
    json_array_foreach(nodes, i, node)
    {
        if (app->json) {
            char *line = json_dumps(node, JSON_COMPACT | JSON_ENSURE_ASCII);

            cli_text_puts(&t, line == NULL ? "" : line);
            cli_print(&t);
            free(line);
        } else {
            add_node(&table, node);
        }
    }
    if (app->json) {
        table.failed = true; /* frees only */
    }
    cli_table_print(&table);
    cli_text_fini(&t);
}

static cli_exit barrel_nodes(const cli_app *app)
{
    cli_session *session = NULL;
    cli_answer answer = {0};
    cli_text t = {0};
    cli_exit status = cli_app_running(app, &session);

    if (status == CLI_OK && session == NULL) {
        status = cli_fail(app, CLI_LOCAL,
            "expected a running node: 'peernet run --barrel NAME@HOST'");
    }
    if (status != CLI_OK) {
        return status;
    }
    cli_request_begin(session, &t, "nodes");
    if (cli_request_end(session, &t, &answer)
        && json_is_true(json_object_get(answer.json, "ok"))) {
        print_nodes(app, json_object_get(answer.json, "nodes"));
    } else {
        status = cli_fail_answer(app, session, &answer);
    }
    cli_answer_fini(&answer);
    cli_session_close(session);
    return status;
}

/* ---- the actions -------------------------------------------------------- */

typedef struct action {
    const char *name;
    cli_exit (*run)(const cli_app *app);
    unsigned n_words; /* after the name */
    const char *words;
    const char *option; /* the one that only it has */
} action;

static const action actions[] = {
    {"id", barrel_id, 0, "", "out"},
    {"trust", barrel_trust, 2, " NAME@HOST KEYFILE", NULL},
    {"pins", barrel_pins, 0, "", NULL},
    {"unpin", barrel_unpin, 1, " NAME@HOST", NULL},
    {"rotate", barrel_rotate, 1, " identity|cert", "yes"},
    {"nodes", barrel_nodes, 0, "", NULL},
};

#define N_ACTIONS (sizeof(actions) / sizeof(actions[0]))

static cli_exit check_options(const cli_app *app, const action *a)
{
    for (size_t i = 0; i < N_ACTIONS; i++) {
        if (&actions[i] != a && actions[i].option != NULL
            && cli_args_flag(app->args, actions[i].option)) {
            return cli_fail(app, CLI_USAGE,
                "expected '--%s' with 'barrel %s' only", actions[i].option,
                actions[i].name);
        }
    }
    return CLI_OK;
}

cli_exit cli_cmd_barrel(const cli_args *args)
{
    cli_app app;
    cli_text found = {0};
    const char *name = args->positional[0];
    cli_exit status = cli_app_init(&app, args);

    if (status != CLI_OK) {
        return status;
    }
    for (size_t i = 0; i < N_ACTIONS; i++) {
        const action *a = &actions[i];

        if (strcmp(a->name, name) != 0) {
            continue;
        }
        if (args->n_positional != a->n_words + 1) {
            return cli_fail(
                &app, CLI_USAGE, "expected 'barrel %s%s'", a->name, a->words);
        }
        status = check_options(&app, a);
        return status == CLI_OK ? a->run(&app) : status;
    }
    cli_escape(&found, name, strlen(name), CLI_ESCAPE_FIELD);
    status = cli_fail(&app, CLI_USAGE,
        "expected id, trust, pins, unpin, rotate or nodes after 'barrel', "
        "found '%s'",
        cli_text_string(&found));
    cli_text_fini(&found);
    return status;
}

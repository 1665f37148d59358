/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barrel: the identity and the pins of a Barrel node. All actions but `nodes`
 * work on the key directory; a node that runs on it sees each edit.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "barrel.h"
#include "commands.h"
#include "nearest.h"
#include "peer_text.h"
#include "json/jsonout.h"

/* ---- the store ---------------------------------------------------------- */

typedef cli_exit in_store(
    const cli_app *app, pn_barrel_store *store, const void *what);

static cli_exit run_in_store(
    const cli_app *app, in_store *run, const void *what)
{
    char dir[PATH_MAX];
    pn_barrel_store *store = NULL;
    pn_why why = {0};
    pn_why warning = {0};
    cli_exit status = cli_barrel_key_dir(app, dir);
    pn_err err;

    if (status != CLI_OK) {
        return status;
    }
    err = pn_barrel_store_open(dir, &store, &why, &warning);
    if (err != PN_OK) {
        return cli_fail_store(app, err, &why);
    }
    if (warning.text[0] != '\0') {
        cli_warn("%s", warning.text);
    }
    status = run(app, store, what);
    pn_barrel_store_close(store);
    return status;
}

static void add_hex(cli_text *t, const pn_ed25519_key *key)
{
    cli_text_hex(t, key->bytes, sizeof(key->bytes));
}

static void json_key(cli_text *t, const pn_ed25519_key *key)
{
    pn_principal who = pn_barrel_principal(key);

    cli_json_base32(t, "key", &who);
    cli_json_hex(t, "hex", key->bytes);
    cli_json_fingerprint(t, "fingerprint", &who);
}

/* ---- id ----------------------------------------------------------------- */

/* An existing file is not replaced, because it may be another node.pub. */
static cli_exit write_key(
    const cli_app *app, const char *path, const pn_ed25519_key *key)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    ssize_t n = -1;
    int error = errno;

    if (fd >= 0) {
        n = write(fd, key->bytes, sizeof(key->bytes));
        error = n < 0 ? errno : ENOSPC;
        if (close(fd) != 0) {
            n = -1;
            error = errno;
        }
        if (n != (ssize_t)sizeof(key->bytes)) {
            (void)unlink(path);
        }
    }
    if (n == (ssize_t)sizeof(key->bytes)) {
        return CLI_OK;
    }
    return cli_fail_path(app, path, strerror(error));
}

static cli_exit print_id(
    const cli_app *app, pn_barrel_store *store, const void *what)
{
    const char *out = cli_args_value(app->args, "out");
    const pn_ed25519_key *key = pn_barrel_store_key(store);
    cli_text t = {0};
    cli_exit status = out == NULL ? CLI_OK : write_key(app, out, key);

    (void)what;
    if (status == CLI_OK && app->json) {
        cli_result_begin(&t, true);
        json_key(&t, key);
        cli_print_result(&t);
    } else if (status == CLI_OK) {
        add_hex(&t, key);
        cli_print(&t);
    }
    return status;
}

/* ---- trust, unpin ------------------------------------------------------- */

static void print_done(const cli_app *app, const char *done, const char *node,
    const pn_ed25519_key *key)
{
    char fingerprint[PN_FINGERPRINT_LEN + 1];
    cli_text t = {0};

    if (app->json) {
        cli_result_begin(&t, true);
        cli_json_string(&t, "node", node);
        if (key != NULL) {
            json_key(&t, key);
        }
        cli_print_result(&t);
        return;
    }
    cli_text_printf(&t, "%s %s", done, node);
    if (key != NULL) {
        pn_principal who = pn_barrel_principal(key);

        pn_principal_fingerprint(&who, fingerprint);
        cli_text_printf(&t, " %s", fingerprint);
    }
    cli_print(&t);
}

static cli_exit pin(
    const cli_app *app, pn_barrel_store *store, const void *what)
{
    const char *node = app->args->positional[1];
    const pn_ed25519_key *key = what;
    pn_why why = {0};
    pn_err err = pn_barrel_store_pin(store, node, key, &why);

    if (err != PN_OK) {
        return cli_fail_store(app, err, &why);
    }
    print_done(app, "trusted", node, key);
    return CLI_OK;
}

/* The word is checked and the key is read before anything is made. */
static cli_exit barrel_trust(const cli_app *app)
{
    const char *path = app->args->positional[2];
    pn_why why = {0};
    pn_ed25519_key key;
    cli_exit status = cli_check_node(app, app->args->positional[1]);
    pn_err err;

    if (status != CLI_OK) {
        return status;
    }
    err = pn_barrel_read_key(
        strcmp(path, "-") == 0 ? "/dev/stdin" : path, &key, &why);
    return err == PN_OK ? run_in_store(app, pin, &key)
                        : cli_fail_store(app, err, &why);
}

static cli_exit fail_not_pinned(
    const cli_app *app, pn_barrel_store *store, const char *node)
{
    pn_barrel_pin *pins = NULL;
    cli_text t = {0};
    size_t n = 0;

    cli_text_printf(&t, "%s is not pinned", node);
    if (pn_barrel_store_pins(store, &pins, &n) == PN_OK) {
        cli_suggest_pin(pins, n, node, &t);
    }
    free(pins);
    return cli_fail_text(app, CLI_NO_PEER, &t);
}

/* The key of node. PN_NOT_FOUND: it is not pinned. */
static pn_err key_of_pin(
    pn_barrel_store *store, const char *node, pn_ed25519_key *ret_key)
{
    pn_barrel_pin *pins = NULL;
    size_t n = 0;
    pn_err err = pn_barrel_store_pins(store, &pins, &n);

    if (err == PN_OK) {
        err = PN_NOT_FOUND;
    }
    for (size_t i = 0; i < n && err == PN_NOT_FOUND; i++) {
        if (strcmp(pins[i].name, node) == 0) {
            *ret_key = pins[i].key;
            err = PN_OK;
        }
    }
    free(pins);
    return err;
}

static bool is_pinned_key(pn_barrel_store *store, const pn_ed25519_key *key)
{
    pn_barrel_pin *pins = NULL;
    size_t n = 0;
    bool is_pinned = pn_barrel_store_pins(store, &pins, &n) != PN_OK;

    for (size_t i = 0; i < n; i++) {
        is_pinned = is_pinned || pn_ed25519_key_equal(&pins[i].key, key);
    }
    free(pins);
    return is_pinned;
}

/* Grants in the file end with the last pin of their key. A node that runs does
 * the same. */
static cli_exit drop_grants(const cli_app *app, const pn_ed25519_key *key)
{
    const pn_principal who = pn_barrel_principal(key);
    char path[PATH_MAX + 8];
    pn_store *store = NULL;
    pn_why why = {0};
    pn_err err;

    (void)snprintf(path, sizeof(path), "%s/grants", app->data_dir);
    if (access(path, F_OK) != 0) {
        return CLI_OK;
    }
    err = pn_store_open(app->data_dir, &store, &why, NULL);
    if (err == PN_OK) {
        err = pn_store_ungrant(store, &who, NULL, &why);
    }
    pn_store_close(store);
    return err == PN_OK || err == PN_NOT_FOUND ? CLI_OK
                                               : cli_fail_store(app, err, &why);
}

static cli_exit unpin(
    const cli_app *app, pn_barrel_store *store, const void *what)
{
    const char *node = app->args->positional[1];
    pn_ed25519_key key = {{0}};
    pn_why why = {0};
    const bool had_key = key_of_pin(store, node, &key) == PN_OK;
    pn_err err = pn_barrel_store_unpin(store, node, &why);
    cli_exit status;

    (void)what;
    if (err == PN_NOT_FOUND) {
        return fail_not_pinned(app, store, node);
    }
    if (err != PN_OK) {
        return cli_fail_store(app, err, &why);
    }
    status = had_key && !is_pinned_key(store, &key) ? drop_grants(app, &key)
                                                    : CLI_OK;
    if (status != CLI_OK) {
        return status;
    }
    print_done(app, "unpinned", node, NULL);
    return CLI_OK;
}

typedef struct search {
    const char *node;
    pn_principal *who;
} search;

static cli_exit find_pin(
    const cli_app *app, pn_barrel_store *store, const void *what)
{
    const search *s = what;
    pn_ed25519_key key;

    if (key_of_pin(store, s->node, &key) != PN_OK) {
        return fail_not_pinned(app, store, s->node);
    }
    *s->who = pn_barrel_principal(&key);
    return CLI_OK;
}

cli_exit cli_barrel_find_pin(
    const cli_app *app, const char *node, pn_principal *ret_who)
{
    const search s = {node, ret_who};
    cli_exit status = cli_check_node(app, node);

    return status == CLI_OK ? run_in_store(app, find_pin, &s) : status;
}

static cli_exit barrel_unpin(const cli_app *app)
{
    cli_exit status = cli_check_node(app, app->args->positional[1]);

    return status == CLI_OK ? run_in_store(app, unpin, NULL) : status;
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
    cli_json_string(t, "node", pin->name);
    json_key(t, &pin->key);
}

static void print_pins(const pn_barrel_pin *pins, size_t n)
{
    static const char *const names[] = {"NODE", "FINGERPRINT", "KEY"};
    char fingerprint[PN_FINGERPRINT_LEN + 1];
    cli_table table;
    cli_text hex = {0};

    cli_table_init(&table, 3, names);
    for (size_t i = 0; i < n; i++) {
        pn_principal who = pn_barrel_principal(&pins[i].key);

        pn_principal_fingerprint(&who, fingerprint);
        cli_text_clear(&hex);
        add_hex(&hex, &pins[i].key);
        cli_table_add(&table, (const char *const[]){pins[i].name, fingerprint,
                                  cli_text_string(&hex)});
    }
    cli_table_print(&table);
    cli_text_fini(&hex);
}

static cli_exit show_pins(
    const cli_app *app, pn_barrel_store *store, const void *what)
{
    pn_barrel_pin *pins = NULL;
    size_t n = 0;
    cli_text t = {0};
    cli_exit status = list_pins(app, store, &pins, &n);

    (void)what;
    if (status == CLI_OK && !app->json) {
        print_pins(pins, n);
    }
    for (size_t i = 0; status == CLI_OK && app->json && i < n; i++) {
        cli_json_begin(&t);
        json_pin(&t, &pins[i]);
        cli_print_result(&t);
    }
    free(pins);
    return status;
}

/* ---- rotate ------------------------------------------------------------- */

static void json_refused_by(cli_text *t, const pn_barrel_pin *pins, size_t n)
{
    cli_json_open(t, "refused_by", '[');
    for (size_t i = 0; i < n; i++) {
        cli_json_open(t, NULL, '{');
        json_pin(t, &pins[i]);
        cli_json_close(t, '}');
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
}

/* Reports the plan; nothing was done, so the status is not CLI_OK. */
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
    cli_result_begin(&t, false);
    cli_json_string(&t, "error", "bad-request");
    cli_json_string(&t, "message", message);
    json_refused_by(&t, pins, n);
    cli_print_result(&t);
    return CLI_USAGE;
}

static void print_rotated(const cli_app *app, const pn_ed25519_key *key,
    const char *backup, const pn_barrel_pin *pins, size_t n)
{
    cli_text t = {0};

    if (app->json) {
        cli_result_begin(&t, true);
        json_key(&t, key);
        cli_json_string(&t, "backup", backup);
        json_refused_by(&t, pins, n);
        cli_print_result(&t);
        return;
    }
    print_plan(pins, n);
    cli_text_puts(&t, "new key ");
    add_hex(&t, key);
    cli_text_puts(&t, "\nthe old one is in ");
    cli_escape(&t, backup, strlen(backup), CLI_ESCAPE_ALL);
    cli_print(&t);
}

static cli_exit rotate_identity(
    const cli_app *app, pn_barrel_store *store, const void *what)
{
    pn_barrel_pin *pins = NULL;
    pn_why why = {0};
    char *backup = NULL;
    size_t n = 0;
    cli_exit status = list_pins(app, store, &pins, &n);

    (void)what;
    if (status == CLI_OK && !cli_args_flag(app->args, "yes")) {
        status = only_plan(app, pins, n);
    } else if (status == CLI_OK) {
        pn_err err = pn_barrel_store_rotate(store, &backup, &why);

        if (err == PN_OK) {
            print_rotated(app, pn_barrel_store_key(store), backup, pins, n);
        } else {
            status = cli_fail_store(app, err, &why);
        }
    }
    free(backup);
    free(pins);
    return status;
}

static cli_exit rotate_certificate(const cli_app *app)
{
    char dir[PATH_MAX];
    pn_why why = {0};
    char *backup = NULL;
    cli_text t = {0};
    cli_exit status = cli_barrel_cert_dir(app, dir);
    pn_err err;

    if (status != CLI_OK) {
        return status;
    }
    err = pn_barrel_rotate_certificate(dir, &backup, &why);
    if (err != PN_OK) {
        return cli_fail_store(app, err, &why);
    }
    if (app->json) {
        cli_result_begin(&t, true);
        cli_json_string(&t, "backup", backup);
        cli_print_result(&t);
    } else {
        cli_text_puts(&t, "There is a new certificate. Nobody pins it, and a "
                          "node serves it from its next start.\n"
                          "the old one is in ");
        cli_escape(&t, backup, strlen(backup), CLI_ESCAPE_ALL);
        cli_print(&t);
    }
    free(backup);
    return CLI_OK;
}

static cli_exit barrel_rotate(const cli_app *app)
{
    static const char *const choices[] = {"identity", "cert", NULL};
    const char *what = app->args->positional[1];

    if (strcmp(what, "identity") == 0) {
        return run_in_store(app, rotate_identity, NULL);
    }
    if (strcmp(what, "cert") == 0) {
        return rotate_certificate(app);
    }
    return cli_fail_choice(
        app, "'identity' or 'cert' after 'barrel rotate'", what, choices);
}

/* ---- nodes -------------------------------------------------------------- */

static void print_nodes(const json_t *nodes)
{
    static const char *const names[] = {"NODE", "FINGERPRINT", "ADDRESS"};
    const json_t *node;
    cli_table table;
    size_t i;

    cli_table_init(&table, 3, names);
    json_array_foreach(nodes, i, node)
    {
        const char *fingerprint = cli_field(node, "fingerprint");

        cli_table_add(
            &table, (const char *const[]){cli_field(node, "node"),
                        fingerprint[0] == '\0' ? "cookie only" : fingerprint,
                        cli_field(node, "address")});
    }
    cli_table_print(&table);
}

static cli_exit barrel_nodes(const cli_app *app)
{
    cli_session *session = NULL;
    cli_answer answer = {0};
    cli_exit status = cli_app_needed(app,
        "'barrel nodes' shows the links of a running one; 'peernet run "
        "--barrel NAME@HOST' starts it",
        &session);

    if (status != CLI_OK) {
        return status;
    }
    status = cli_ask_one(app, session, "nodes", NULL, NULL, &answer);
    if (status == CLI_OK && app->json) {
        cli_print_objects(json_object_get(answer.json, "nodes"));
    } else if (status == CLI_OK) {
        print_nodes(json_object_get(answer.json, "nodes"));
    }
    cli_answer_fini(&answer);
    cli_session_close(session);
    return status;
}

/* ---- the actions -------------------------------------------------------- */

typedef struct action {
    const char *name;
    cli_exit (*run)(const cli_app *app); /* NULL: in_store alone */
    in_store *in_store;
    unsigned n_words; /* after the name */
    const char *words;
    const char *option; /* the one that only it has */
} action;

static const action actions[] = {
    {"id", NULL, print_id, 0, "", "out"},
    {"trust", barrel_trust, NULL, 2, " NAME@HOST KEYFILE", NULL},
    {"pins", NULL, show_pins, 0, "", NULL},
    {"unpin", barrel_unpin, NULL, 1, " NAME@HOST", NULL},
    {"rotate", barrel_rotate, NULL, 1, " identity|cert", "yes"},
    {"nodes", barrel_nodes, NULL, 0, "", NULL},
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

cli_exit cli_cmd_barrel(const cli_app *app)
{
    cli_nearest nearest;
    const char *name = app->args->positional[0];

    for (size_t i = 0; i < N_ACTIONS; i++) {
        const action *a = &actions[i];
        cli_exit status;

        if (strcmp(a->name, name) != 0) {
            continue;
        }
        if (app->args->n_positional != a->n_words + 1) {
            return cli_fail(
                app, CLI_USAGE, "expected 'barrel %s%s'", a->name, a->words);
        }
        status = check_options(app, a);
        if (status != CLI_OK) {
            return status;
        }
        return a->run != NULL ? a->run(app)
                              : run_in_store(app, a->in_store, NULL);
    }
    cli_nearest_init(&nearest, name, strlen(name));
    for (size_t i = 0; i < N_ACTIONS; i++) {
        cli_nearest_offer(&nearest, actions[i].name);
    }
    return cli_fail_word(app,
        "id, trust, pins, unpin, rotate or nodes after 'barrel'", name,
        &nearest);
}

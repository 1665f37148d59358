/* SPDX-License-Identifier: Apache-2.0 */
/* id, pair, unpair, peers: these need no node, and use the running one if there
 * is one. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/utf8.h"
#include "commands.h"
#include "peer_text.h"
#include "peername.h"
#include "reason_text.h"
#include "json/jsonout.h"

/* ---- the store or the node ---------------------------------------------- */

typedef cli_exit in_store(const cli_app *app, pn_store *store, void *what);
typedef cli_exit in_node(const cli_app *app, cli_session *session, void *what);

static cli_exit run_in_store(const cli_app *app, in_store *run, void *what)
{
    pn_store *store = NULL;
    pn_why why = {0};
    pn_why warning = {0};
    pn_err err = pn_store_open(app->data_dir, &store, &why, &warning);
    cli_exit status;

    if (err != PN_OK) {
        return cli_fail_store(app, err, &why);
    }
    if (warning.text[0] != '\0') {
        cli_warn("%s", warning.text);
    }
    status = run(app, store, what);
    pn_store_close(store);
    return status;
}

/* Runs an action in the node that runs on the data directory, else on its
 * files. */
static cli_exit run(
    const cli_app *app, in_store *of_store, in_node *of_node, void *what)
{
    cli_session *session = NULL;
    cli_exit status = cli_app_running(app, &session);

    if (status != CLI_OK || session == NULL) {
        return status == CLI_OK ? run_in_store(app, of_store, what) : status;
    }
    status = of_node(app, session, what);
    cli_session_close(session);
    return status;
}

static cli_exit list_peers(const cli_app *app, pn_store *store,
    pn_store_peer **ret_peers, size_t *ret_n)
{
    pn_why why = {0};
    pn_err err = pn_store_peers(store, ret_peers, ret_n, &why);

    return err == PN_OK ? CLI_OK : cli_fail_store(app, err, &why);
}

/* ---- id ----------------------------------------------------------------- */

static cli_exit print_id(const cli_app *app, pn_store *store, void *what)
{
    const pn_public_key *key = pn_store_key(store);
    char base32[PN_BASE32_LEN + 1];
    cli_exit status = CLI_OK;
    cli_text t = {0};

    (void)what;
    pn_key_to_base32(key, base32);
    if (cli_args_flag(app->args, "qr")) {
        status = cli_draw_qr(app, base32);
    }
    if (status == CLI_OK && app->json) {
        cli_result_begin(&t, true);
        cli_json_peer(&t, key);
        cli_json_hex(&t, "hex", key->bytes);
        cli_json_string(&t, "data_dir", app->data_dir);
        cli_print_result(&t);
    } else if (status == CLI_OK) {
        cli_text_puts(&t, base32);
        cli_print(&t);
    }
    return status;
}

cli_exit cli_cmd_id(const cli_app *app)
{
    return run_in_store(app, print_id, NULL);
}

/* ---- pair --------------------------------------------------------------- */

typedef struct pairing {
    pn_public_key key;
    const char *label;
    const char *address; /* or NULL */
    cli_text address_text;
} pairing;

static cli_exit read_pairing(const cli_app *app, pairing *p)
{
    const char *text = app->args->positional[0];
    const char *address = cli_args_value(app->args, "address");
    cli_text error = {0};
    cli_exit status;

    p->label = cli_args_value(app->args, "label");
    if (pn_key_parse(text, &p->key) != PN_OK) {
        cli_text_puts(&error,
            "expected a key, 52 characters of Base32 or 64 hexadecimal "
            "digits, found ");
        cli_quote(&error, text, strlen(text), 80);
        return cli_fail_text(app, CLI_USAGE, &error);
    }
    if (p->label != NULL
        && (strlen(p->label) > 255
            || !pn_utf8_check(
                (const uint8_t *)p->label, strlen(p->label), NULL))) {
        return cli_fail(app, CLI_USAGE,
            "expected at most 255 bytes of UTF-8 after '--label'");
    }
    if (address == NULL) {
        return CLI_OK;
    }
    status = cli_address(address, &p->address_text, &error);
    if (status != CLI_OK) {
        return cli_fail_text(app, status, &error);
    }
    p->address = cli_text_string(&p->address_text);
    return CLI_OK;
}

/* label: the one that the peer has now. */
static void print_paired(const cli_app *app, const pn_public_key *key,
    const char *label, bool was_paired, bool is_renamed)
{
    char fingerprint[PN_FINGERPRINT_LEN + 1];
    cli_text t = {0};

    if (app->json) {
        cli_result_begin(&t, true);
        cli_json_peer(&t, key);
        cli_json_known(&t, "label", label);
        cli_json_bool(&t, "was_paired", was_paired);
        cli_json_bool(&t, "renamed", is_renamed);
        cli_print_result(&t);
        return;
    }
    pn_key_fingerprint(key, fingerprint);
    cli_text_printf(
        &t, "%s %s", was_paired ? "already paired" : "paired", fingerprint);
    if (is_renamed && label[0] == '\0') {
        cli_text_puts(&t, ", now without a label");
    } else if (is_renamed) {
        cli_text_puts(&t, ", now called ");
        cli_escape(&t, label, strlen(label), CLI_ESCAPE_FIELD);
    }
    cli_print(&t);
}

/* Checks a new label; returns the label that the peer had before. */
static cli_exit check_label(
    const cli_app *app, pn_store *store, const pairing *p, char ret_old[256])
{
    pn_store_peer *peers = NULL;
    cli_text why = {0};
    size_t n = 0;
    cli_exit status = list_peers(app, store, &peers, &n);

    if (status == CLI_OK
        && !cli_label_check(peers, n, &p->key, p->label, ret_old, &why)) {
        status = cli_fail_text(app, CLI_USAGE, &why);
    }
    free(peers);
    return status;
}

static cli_exit pair_in_store(const cli_app *app, pn_store *store, void *what)
{
    const pairing *p = what;
    pn_why why = {0};
    char old_label[256];
    const char *label = p->label == NULL ? old_label : p->label;
    cli_exit status = check_label(app, store, p, old_label);
    pn_err err;

    if (status != CLI_OK) {
        return status;
    }
    err = pn_store_pair(store, &p->key, p->label, p->address, &why);
    if (err != PN_OK && err != PN_EXISTS) {
        return cli_fail_store(app, err, &why);
    }
    print_paired(app, &p->key, label, err == PN_EXISTS,
        err == PN_EXISTS && strcmp(old_label, label) != 0);
    return CLI_OK;
}

static cli_exit pair_in_node(
    const cli_app *app, cli_session *session, void *what)
{
    const pairing *p = what;
    const pn_principal who = pn_peernet_principal(&p->key);
    cli_answer answer = {0};
    cli_text t = {0};
    cli_exit status;

    cli_request_begin(session, &t, "pair");
    cli_json_base32(&t, "key", &who);
    if (p->label != NULL) {
        cli_json_string(&t, "label", p->label);
    }
    if (p->address != NULL) {
        cli_json_string(&t, "address", p->address);
    }
    status = cli_ask(app, session, &t, &answer);
    if (status == CLI_OK) {
        print_paired(app, &p->key, cli_field(answer.json, "label"),
            json_is_true(json_object_get(answer.json, "was_paired")),
            json_is_true(json_object_get(answer.json, "renamed")));
    }
    cli_answer_fini(&answer);
    return status;
}

cli_exit cli_cmd_pair(const cli_app *app)
{
    pairing p = {.address = NULL};
    cli_exit status;

    if (app->args->n_positional == 0) {
        return cli_cmd_pair_digits(app);
    }
    for (const cli_option *o = cli_pair_option_table; o->name != NULL; o++) {
        if (cli_args_value(app->args, o->name) != NULL) {
            return cli_fail(app, CLI_USAGE,
                "expected no KEY beside '--%s', which is of pairing by digits",
                o->name);
        }
    }
    status = read_pairing(app, &p);

    if (status == CLI_OK) {
        status = run(app, pair_in_store, pair_in_node, &p);
    }
    cli_text_fini(&p.address_text);
    return status;
}

/* ---- unpair ------------------------------------------------------------- */

static void print_unpaired(const cli_app *app, const pn_public_key *key)
{
    char fingerprint[PN_FINGERPRINT_LEN + 1];
    cli_text t = {0};

    if (app->json) {
        cli_result_begin(&t, true);
        cli_json_peer(&t, key);
        cli_print_result(&t);
    } else {
        pn_key_fingerprint(key, fingerprint);
        cli_text_printf(&t, "unpaired %s", fingerprint);
        cli_print(&t);
    }
}

static cli_exit unpair_in_store(const cli_app *app, pn_store *store, void *what)
{
    pn_store_peer *peers = NULL;
    pn_why refused = {0};
    pn_public_key key;
    cli_text why = {0};
    size_t n = 0;
    cli_exit status = list_peers(app, store, &peers, &n);
    pn_err err;

    (void)what;
    if (status == CLI_OK
        && cli_peer_of_list(
               peers, n, app->args->positional[0], NULL, &key, &why)
               != PN_OK) {
        status = cli_fail_text(app, CLI_NO_PEER, &why);
    }
    free(peers);
    if (status != CLI_OK) {
        return status;
    }
    err = pn_store_unpair(store, &key, &refused);
    if (err != PN_OK) {
        return cli_fail_store(app, err, &refused);
    }
    print_unpaired(app, &key);
    return CLI_OK;
}

static cli_exit unpair_in_node(
    const cli_app *app, cli_session *session, void *what)
{
    cli_answer answer = {0};
    pn_public_key key;
    cli_exit status = cli_ask_one(
        app, session, "unpair", "peer", app->args->positional[0], &answer);

    (void)what;
    if (status == CLI_OK
        && pn_key_parse(cli_field(answer.json, "key"), &key) == PN_OK) {
        print_unpaired(app, &key);
    } else if (status == CLI_OK) {
        status = cli_fail_answer(app, session, &answer);
    }
    cli_answer_fini(&answer);
    return status;
}

/* A pairing that waits for the other end: what is meant by the word of the
 * command line, if it is one. *what, a bool: it was. */
static cli_exit unpair_pending(const cli_app *app, pn_store *store, void *what)
{
    bool *ret_was_pending = what;
    pn_store_peer *peers = NULL;
    pn_why why = {0};
    pn_public_key key;
    size_t n = 0;
    cli_exit status = CLI_OK;

    if (pn_store_list_pending(store, &peers, &n, &why) == PN_OK
        && pn_store_find(peers, n, app->args->positional[0], &key) == PN_OK) {
        pn_err err = pn_store_unpair(store, &key, &why);

        *ret_was_pending = true;
        if (err == PN_OK) {
            print_unpaired(app, &key);
        } else {
            status = cli_fail_store(app, err, &why);
        }
    }
    free(peers);
    return status;
}

cli_exit cli_cmd_unpair(const cli_app *app)
{
    bool was_pending = false;
    cli_exit status = run_in_store(app, unpair_pending, &was_pending);

    return status != CLI_OK || was_pending
               ? status
               : run(app, unpair_in_store, unpair_in_node, NULL);
}

/* ---- peers -------------------------------------------------------------- */

enum { PEER_COLUMNS = 8 };

static void begin_table(cli_table *table)
{
    static const char *const names[PEER_COLUMNS] = {"LABEL", "FINGERPRINT",
        "STATE", "ADDRESS", "RUNG", "RTT", "SEEN", "REASON"};

    cli_table_init(table, PEER_COLUMNS, names);
    table->flexible = 1U << 0 | 1U << 7; /* labels and reasons */
}

/* Writes how long ago the peer was seen, in the largest fitting unit. */
static void write_seen(char *text, size_t room, const char *time_text)
{
    time_t seen = 0;
    bool is_known = cli_time_parse(time_text, &seen);
    json_int_t ago = (json_int_t)time(NULL) - (json_int_t)seen;

    if (!is_known) {
        (void)snprintf(text, room, "never");
    } else if (ago < 60) {
        (void)snprintf(text, room, "now");
    } else if (ago < 3600) {
        (void)snprintf(text, room, "%d min ago", (int)(ago / 60));
    } else {
        (void)snprintf(text, room, "%d h ago", (int)(ago / 3600));
    }
}

static const char *or_dash(const char *text)
{
    return text[0] == '\0' ? "-" : text;
}

const char *cli_label_of(const json_t *peer, char text[static 96])
{
    const char *says = cli_field(peer, "proposed_label");

    if (says[0] == '\0') {
        says = cli_field(peer, "published_label");
    }
    if (cli_field(peer, "label")[0] != '\0' || says[0] == '\0') {
        return or_dash(cli_field(peer, "label"));
    }
    (void)snprintf(text, 96, "says \"%s\"", says);
    return text;
}

/* The reason of the last link's or attempt's end is shown for a peer that is
 * not up. */
static void add_peer(cli_table *table, const json_t *p)
{
    json_int_t us = json_integer_value(json_object_get(p, "rtt_us"));
    const char *state = cli_field(p, "state");
    const char *reason = cli_field(p, "reason");
    char rtt[32] = "";
    char label[96];
    char seen[32];

    if (us > 0) {
        (void)snprintf(rtt, sizeof(rtt), "%.1f ms", (double)us / 1000);
    }
    write_seen(seen, sizeof(seen), cli_field(p, "last_seen"));
    if (reason[0] != '\0') {
        reason = strcmp(state, "up") == 0 ? "" : cli_reason_sentence_of(reason);
    }
    cli_table_add(table,
        (const char *const[PEER_COLUMNS]){cli_label_of(p, label),
            cli_field(p, "fingerprint"), state,
            or_dash(cli_field(p, "address")), or_dash(cli_field(p, "rung")),
            or_dash(rtt), seen, or_dash(reason)});
}

void cli_print_peers(const json_t *peers)
{
    cli_table table;
    const json_t *peer;
    size_t i;

    begin_table(&table);
    json_array_foreach(peers, i, peer)
    {
        add_peer(&table, peer);
    }
    cli_table_print(&table);
}

static cli_exit peers_of_node(
    const cli_app *app, cli_session *session, void *what)
{
    cli_answer answer = {0};
    cli_exit status = cli_ask_one(app, session, "peers", NULL, NULL, &answer);

    (void)what;
    if (status == CLI_OK && app->json) {
        cli_print_objects(json_object_get(answer.json, "peers"));
    } else if (status == CLI_OK) {
        cli_print_peers(json_object_get(answer.json, "peers"));
    }
    cli_answer_fini(&answer);
    return status;
}

static void print_stored_json(const pn_store_peer *p, const char *state)
{
    static const char *const of_links[] = {"dialled_by_us", "rung", "up_ms",
        "rtt_us", "our_kind", "proposed_label", "reason", "last_seen"};
    cli_text t = {0};

    cli_json_begin(&t);
    cli_json_peer(&t, &p->key);
    cli_json_known(&t, "label", p->label);
    cli_json_string(&t, "state", state);
    cli_json_known(&t, "address", p->address);
    for (size_t i = 0; i < sizeof(of_links) / sizeof(of_links[0]); i++) {
        cli_json_null(&t, of_links[i]);
    }
    cli_json_at(&t, "added_at", p->added_at_us);
    cli_print_result(&t);
}

static void print_stored(const pn_store_peer *peers, size_t n)
{
    char fingerprint[PN_FINGERPRINT_LEN + 1];
    cli_table table;

    begin_table(&table);
    for (size_t i = 0; i < n; i++) {
        pn_key_fingerprint(&peers[i].key, fingerprint);
        cli_table_add(
            &table, (const char *const[PEER_COLUMNS]){or_dash(peers[i].label),
                        fingerprint, "no node", or_dash(peers[i].address), "-",
                        "-", "-", "-"});
    }
    cli_table_print(&table);
}

static cli_exit peers_of_store(const cli_app *app, pn_store *store, void *what)
{
    pn_store_peer *peers = NULL;
    size_t n = 0;
    cli_exit status = list_peers(app, store, &peers, &n);

    (void)what;
    if (status == CLI_OK && !app->json) {
        print_stored(peers, n);
    }
    for (size_t i = 0; status == CLI_OK && app->json && i < n; i++) {
        print_stored_json(&peers[i], "no-node");
    }
    free(peers);
    return status;
}

/* Pairings that wait for the other end; the running node keeps them in the same
 * file. */
static cli_exit print_pending(const cli_app *app, pn_store *store, void *what)
{
    char fingerprint[PN_FINGERPRINT_LEN + 1];
    pn_store_peer *peers = NULL;
    pn_why why = {0};
    size_t n = 0;
    pn_err err = pn_store_list_pending(store, &peers, &n, &why);
    cli_text t = {0};

    (void)what;
    if (err != PN_OK) {
        return cli_fail_store(app, err, &why);
    }
    for (size_t i = 0; i < n; i++) {
        if (app->json) {
            print_stored_json(&peers[i], "not-confirmed");
            continue;
        }
        pn_key_fingerprint(&peers[i].key, fingerprint);
        cli_text_printf(&t,
            "%s is not confirmed: it is paired when its node "
            "reaches this one, within 24 hours",
            fingerprint);
        cli_print(&t);
    }
    free(peers);
    return CLI_OK;
}

cli_exit cli_cmd_peers(const cli_app *app)
{
    cli_exit status;

    if (cli_args_flag(app->args, "watch")) {
        return cli_watch_peers(app);
    }
    status = run(app, peers_of_store, peers_of_node, NULL);
    return status == CLI_OK ? run_in_store(app, print_pending, NULL) : status;
}

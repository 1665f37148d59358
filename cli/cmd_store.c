/* SPDX-License-Identifier: Apache-2.0 */
/* id, pair, unpair, peers: what needs no node, and goes through one that
 * runs. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/utf8.h"
#include "commands.h"
#include "escape.h"
#include "jsonout.h"
#include "peername.h"

/* ---- the store ---------------------------------------------------------- */

static cli_exit fail_store(
    const cli_app *app, pn_err err, const pn_store_error *error)
{
    return cli_fail(app, err == PN_INVALID ? CLI_USAGE : CLI_LOCAL, "%s",
        error->text[0] == '\0' ? pn_strerror(err) : error->text);
}

static cli_exit open_store(const cli_app *app, pn_store **ret_store)
{
    pn_store_error error = {""};
    pn_store_error warning = {""};
    pn_err err = pn_store_open(app->data_dir, ret_store, &error, &warning);

    if (err != PN_OK) {
        return fail_store(app, err, &error);
    }
    if (warning.text[0] != '\0') {
        cli_warn("%s", warning.text);
    }
    return CLI_OK;
}

static void json_peer(cli_text *t, const pn_public_key *key)
{
    char base32[PN_BASE32_LEN + 1];
    char fingerprint[PN_FINGERPRINT_LEN + 1];

    pn_key_to_base32(key, base32);
    pn_key_fingerprint(key, fingerprint);
    cli_json_string(t, "key", base32);
    cli_json_string(t, "fingerprint", fingerprint);
}

/* ---- id ----------------------------------------------------------------- */

static void print_id(const cli_app *app, const pn_public_key *key)
{
    char base32[PN_BASE32_LEN + 1];
    cli_text t = {0};

    pn_key_to_base32(key, base32);
    if (!app->json) {
        cli_text_puts(&t, base32);
    } else {
        cli_text hex = {0};

        for (size_t i = 0; i < PN_PUBLIC_KEY_LEN; i++) {
            cli_text_printf(&hex, "%02x", key->bytes[i]);
        }
        cli_json_open(&t, NULL, '{');
        cli_json_bool(&t, "ok", true);
        json_peer(&t, key);
        cli_json_string(&t, "hex", cli_text_string(&hex));
        cli_json_string(&t, "data_dir", app->data_dir);
        cli_json_close(&t, '}');
        cli_text_fini(&hex);
    }
    cli_print(&t);
    cli_text_fini(&t);
}

cli_exit cli_cmd_id(const cli_args *args)
{
    cli_app app;
    pn_store *store = NULL;
    cli_exit status = cli_app_init(&app, args);

    if (status == CLI_OK) {
        status = open_store(&app, &store);
    }
    if (status == CLI_OK && cli_args_flag(args, "qr")) {
        char base32[PN_BASE32_LEN + 1];

        pn_key_to_base32(pn_store_key(store), base32);
        status = cli_draw_qr(&app, base32);
    }
    if (status == CLI_OK) {
        print_id(&app, pn_store_key(store));
    }
    pn_store_close(store);
    return status;
}

/* ---- pair --------------------------------------------------------------- */

typedef struct pairing {
    pn_public_key key;
    const char *label;
    const char *address; /* numeric, or NULL */
    char numeric[64];
} pairing;

static cli_exit read_pairing(const cli_app *app, pairing *p)
{
    const char *text = app->args->positional[0];
    const char *address = cli_args_value(app->args, "address");
    cli_text error = {0};
    cli_exit status = CLI_OK;

    p->label = cli_args_value(app->args, "label");
    p->address = NULL;
    if (pn_key_parse(text, &p->key) != PN_OK) {
        cli_escape(&error, text, strlen(text), 80);
        status = cli_fail(app, CLI_USAGE,
            "expected a key, 52 characters of Base32 or 64 hexadecimal "
            "digits, found '%s'",
            cli_text_string(&error));
    } else if (p->label != NULL
               && (strlen(p->label) > 255
                   || !pn_utf8_check(
                       (const uint8_t *)p->label, strlen(p->label), NULL))) {
        status = cli_fail(app, CLI_USAGE,
            "expected at most 255 bytes of UTF-8 after '--label'");
    } else if (address != NULL && !cli_resolve(address, p->numeric, &error)) {
        status = cli_fail(app, CLI_USAGE, "%s", cli_text_string(&error));
    } else if (address != NULL) {
        p->address = p->numeric;
    }
    cli_text_fini(&error);
    return status;
}

static void print_paired(
    const cli_app *app, const pn_public_key *key, bool was_paired)
{
    char fingerprint[PN_FINGERPRINT_LEN + 1];
    cli_text t = {0};

    if (app->json) {
        cli_json_open(&t, NULL, '{');
        cli_json_bool(&t, "ok", true);
        json_peer(&t, key);
        cli_json_bool(&t, "was_paired", was_paired);
        cli_json_close(&t, '}');
    } else {
        pn_key_fingerprint(key, fingerprint);
        cli_text_printf(
            &t, "%s %s", was_paired ? "already paired" : "paired", fingerprint);
    }
    cli_print(&t);
    cli_text_fini(&t);
}

static cli_exit pair_in_store(const cli_app *app, const pairing *p)
{
    pn_store *store = NULL;
    pn_store_error error = {""};
    cli_exit status = open_store(app, &store);
    pn_err err;

    if (status != CLI_OK) {
        return status;
    }
    err = pn_store_pair(store, &p->key, p->label, p->address, &error);
    pn_store_close(store);
    if (err != PN_OK && err != PN_EXISTS) {
        return fail_store(app, err, &error);
    }
    print_paired(app, &p->key, err == PN_EXISTS);
    return CLI_OK;
}

static cli_exit pair_in_node(
    const cli_app *app, cli_session *session, const pairing *p)
{
    char base32[PN_BASE32_LEN + 1];
    cli_answer answer = {0};
    cli_text t = {0};
    cli_exit status = CLI_OK;

    pn_key_to_base32(&p->key, base32);
    cli_request_begin(session, &t, "pair");
    cli_json_string(&t, "key", base32);
    if (p->label != NULL) {
        cli_json_string(&t, "label", p->label);
    }
    if (p->address != NULL) {
        cli_json_string(&t, "address", p->address);
    }
    if (cli_request_end(session, &t, &answer)
        && json_is_true(json_object_get(answer.json, "ok"))) {
        print_paired(app, &p->key,
            json_is_true(json_object_get(answer.json, "was_paired")));
    } else {
        status = cli_fail_answer(app, session, &answer);
    }
    cli_answer_fini(&answer);
    return status;
}

cli_exit cli_cmd_pair(const cli_args *args)
{
    cli_app app;
    pairing p;
    cli_session *session = NULL;
    cli_exit status = cli_app_init(&app, args);

    if (status == CLI_OK) {
        status = read_pairing(&app, &p);
    }
    if (status == CLI_OK) {
        status = cli_app_running(&app, &session);
    }
    if (status != CLI_OK) {
        return status;
    }
    status = session == NULL ? pair_in_store(&app, &p)
                             : pair_in_node(&app, session, &p);
    cli_session_close(session);
    return status;
}

/* ---- unpair ------------------------------------------------------------- */

static void print_unpaired(const cli_app *app, const pn_public_key *key)
{
    char fingerprint[PN_FINGERPRINT_LEN + 1];
    cli_text t = {0};

    if (app->json) {
        cli_json_open(&t, NULL, '{');
        cli_json_bool(&t, "ok", true);
        json_peer(&t, key);
        cli_json_close(&t, '}');
    } else {
        pn_key_fingerprint(key, fingerprint);
        cli_text_printf(&t, "unpaired %s", fingerprint);
    }
    cli_print(&t);
    cli_text_fini(&t);
}

static cli_exit find_in_store(const cli_app *app, pn_store *store,
    const char *name, pn_public_key *ret_key)
{
    pn_store_peer *peers = NULL;
    pn_store_error error = {""};
    cli_text why = {0};
    cli_exit status = CLI_OK;
    size_t n = 0;
    pn_err err = pn_store_peers(store, &peers, &n, &error);

    if (err != PN_OK) {
        return fail_store(app, err, &error);
    }
    if (cli_peer_of_list(peers, n, name, ret_key, &why) != PN_OK) {
        status = cli_fail(app, CLI_NO_PEER, "%s", cli_text_string(&why));
    }
    cli_text_fini(&why);
    free(peers);
    return status;
}

static cli_exit unpair_in_store(const cli_app *app)
{
    pn_store *store = NULL;
    pn_store_error error = {""};
    pn_public_key key;
    cli_exit status = open_store(app, &store);

    if (status == CLI_OK) {
        status = find_in_store(app, store, app->args->positional[0], &key);
    }
    if (status == CLI_OK) {
        pn_err err = pn_store_unpair(store, &key, &error);

        if (err == PN_OK) {
            print_unpaired(app, &key);
        } else {
            status = fail_store(app, err, &error);
        }
    }
    pn_store_close(store);
    return status;
}

static cli_exit unpair_in_node(const cli_app *app, cli_session *session)
{
    cli_answer answer = {0};
    cli_text t = {0};
    pn_public_key key;
    cli_exit status = CLI_OK;

    cli_request_begin(session, &t, "unpair");
    cli_json_string(&t, "peer", app->args->positional[0]);
    if (cli_request_end(session, &t, &answer)
        && json_is_true(json_object_get(answer.json, "ok"))
        && pn_key_parse(cli_field(answer.json, "key"), &key) == PN_OK) {
        print_unpaired(app, &key);
    } else {
        status = cli_fail_answer(app, session, &answer);
    }
    cli_answer_fini(&answer);
    return status;
}

cli_exit cli_cmd_unpair(const cli_args *args)
{
    cli_app app;
    cli_session *session = NULL;
    cli_exit status = cli_app_init(&app, args);

    if (status == CLI_OK) {
        status = cli_app_running(&app, &session);
    }
    if (status != CLI_OK) {
        return status;
    }
    status = session == NULL ? unpair_in_store(&app)
                             : unpair_in_node(&app, session);
    cli_session_close(session);
    return status;
}

/* ---- peers -------------------------------------------------------------- */

static void add_header(cli_table *table)
{
    static const char *const names[] = {
        "LABEL", "FINGERPRINT", "STATE", "ADDRESS", "RTT", "SEEN"};

    cli_table_init(table, 6);
    for (size_t i = 0; i < 6; i++) {
        cli_table_add(table, names[i]);
    }
}

static void add_rtt(cli_table *table, json_int_t us)
{
    char text[32] = "-";

    if (us > 0) {
        (void)snprintf(text, sizeof(text), "%.1f ms", (double)us / 1000);
    }
    cli_table_add(table, text);
}

/* How long ago, in the unit that says enough. */
static void add_seen(cli_table *table, json_int_t ms)
{
    struct timespec now;
    char text[32] = "never";
    json_int_t ago;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    ago = (json_int_t)now.tv_sec - ms / 1000;
    if (ms <= 0) {
    } else if (ago < 60) {
        (void)snprintf(text, sizeof(text), "now");
    } else if (ago < 3600) {
        (void)snprintf(text, sizeof(text), "%d min ago", (int)(ago / 60));
    } else {
        (void)snprintf(text, sizeof(text), "%d h ago", (int)(ago / 3600));
    }
    cli_table_add(table, text);
}

static void add_peer(cli_table *table, const json_t *p)
{
    const char *label = cli_field(p, "label");
    const char *address = cli_field(p, "address");

    cli_table_add(table, label[0] == '\0' ? "-" : label);
    cli_table_add(table, cli_field(p, "fingerprint"));
    cli_table_add(table, cli_field(p, "state"));
    cli_table_add(table, address[0] == '\0' ? "-" : address);
    add_rtt(table, json_integer_value(json_object_get(p, "rtt_us")));
    add_seen(table, json_integer_value(json_object_get(p, "last_seen_ms")));
}

static cli_exit peers_of_node(const cli_app *app, cli_session *session)
{
    cli_answer answer = {0};
    cli_text t = {0};
    cli_table table;
    cli_exit status = CLI_OK;
    const json_t *peer;
    size_t i;

    cli_request_begin(session, &t, "peers");
    if (!cli_request_end(session, &t, &answer)
        || !json_is_true(json_object_get(answer.json, "ok"))) {
        status = cli_fail_answer(app, session, &answer);
    } else if (app->json) {
        json_array_foreach(json_object_get(answer.json, "peers"), i, peer)
        {
            char *line = json_dumps(peer, JSON_COMPACT | JSON_ENSURE_ASCII);

            cli_text_puts(&t, line == NULL ? "" : line);
            cli_print(&t);
            free(line);
        }
    } else {
        add_header(&table);
        json_array_foreach(json_object_get(answer.json, "peers"), i, peer)
        {
            add_peer(&table, peer);
        }
        cli_table_print(&table);
    }
    cli_text_fini(&t);
    cli_answer_fini(&answer);
    return status;
}

static void print_stored_json(const pn_store_peer *p)
{
    cli_text t = {0};

    cli_json_open(&t, NULL, '{');
    json_peer(&t, &p->key);
    cli_json_string(&t, "label", p->label);
    cli_json_string(&t, "state", "no-node");
    cli_json_string(&t, "address", p->address);
    cli_json_int(&t, "added_at_us", p->added_at_us);
    cli_json_close(&t, '}');
    cli_print(&t);
    cli_text_fini(&t);
}

static void print_stored(const pn_store_peer *peers, size_t n)
{
    char fingerprint[PN_FINGERPRINT_LEN + 1];
    cli_table table;

    add_header(&table);
    for (size_t i = 0; i < n; i++) {
        pn_key_fingerprint(&peers[i].key, fingerprint);
        cli_table_add(&table, peers[i].label[0] == '\0' ? "-" : peers[i].label);
        cli_table_add(&table, fingerprint);
        cli_table_add(&table, "no node");
        cli_table_add(
            &table, peers[i].address[0] == '\0' ? "-" : peers[i].address);
        cli_table_add(&table, "-");
        cli_table_add(&table, "-");
    }
    cli_table_print(&table);
}

static cli_exit peers_of_store(const cli_app *app)
{
    pn_store *store = NULL;
    pn_store_peer *peers = NULL;
    pn_store_error error = {""};
    size_t n = 0;
    cli_exit status = open_store(app, &store);
    pn_err err;

    if (status != CLI_OK) {
        return status;
    }
    err = pn_store_peers(store, &peers, &n, &error);
    if (err != PN_OK) {
        status = fail_store(app, err, &error);
    } else if (!app->json) {
        print_stored(peers, n);
    }
    for (size_t i = 0; app->json && i < n; i++) {
        print_stored_json(&peers[i]);
    }
    free(peers);
    pn_store_close(store);
    return status;
}

cli_exit cli_cmd_peers(const cli_args *args)
{
    cli_app app;
    cli_session *session = NULL;
    cli_exit status = cli_app_init(&app, args);

    if (status == CLI_OK) {
        status = cli_app_running(&app, &session);
    }
    if (status != CLI_OK) {
        return status;
    }
    status = session == NULL ? peers_of_store(&app)
                             : peers_of_node(&app, session);
    cli_session_close(session);
    return status;
}

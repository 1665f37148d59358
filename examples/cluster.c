/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two nodes of an Erlang cluster in one process, an office and a shed: keys
 * made and exchanged, calls, messages, monitors, and trust taken back. Erlang
 * nodes with barrel_p2p could be either.
 *
 *     cluster DIR        prints each step; DIR/office and DIR/shed are made
 */
#include <stdatomic.h>
#include <unistd.h>

#include "cluster_common.h"

#define OFFICE "office@127.0.0.1"
#define SHED "shed@127.0.0.1"

static void check(const char *what, pn_err err)
{
    if (err != PN_OK) {
        die(what, err);
    }
}

static void show(const char *what, pn_err err, pn_term value)
{
    char *text = NULL;
    size_t len = 0;

    if (pn_term_to_text(value, &text, &len) == PN_OK) {
        printf("%s: %s %s\n", what, pn_err_name(err), text);
    } else {
        printf("%s: %s\n", what, pn_err_name(err));
    }
    (void)fflush(stdout);
    free(text);
}

/* ---- keys, before anything runs ---------------------------------------- */

/* A new identity. Nodes that pinned the old one refuse us from now on. */
static void make_identity(const char *dir)
{
    pn_barrel_store *store = open_keys(dir);
    pn_ed25519_key old = *pn_barrel_store_key(store);
    pn_why why = {0};
    char *backup = NULL;

    if (pn_barrel_store_rotate(store, &backup, &why) != PN_OK) {
        fprintf(stderr, "%s\n", why.text);
        exit(1);
    }
    printf("a new key: %s, the old one is kept: %s\n",
        pn_ed25519_key_equal(&old, pn_barrel_store_key(store)) ? "no" : "yes",
        backup == NULL ? "no" : "yes");
    free(backup);
    pn_barrel_store_close(store);
}

/* dir trusts name, whose public key was brought as a file. A pin is never
 * replaced: its owner takes the old one back first. */
static void trust(const char *dir, const char *name, const char *key_file)
{
    pn_barrel_store *store = open_keys(dir);
    pn_why why = {0};
    pn_ed25519_key key;
    pn_err err = pn_barrel_read_key(key_file, &key, &why);

    if (err == PN_OK) {
        err = pn_barrel_store_pin(store, name, &key, &why);
    }
    if (err == PN_EXISTS) {
        err = pn_barrel_store_unpin(store, name, &why);
        if (err == PN_OK) {
            err = pn_barrel_store_pin(store, name, &key, &why);
        }
    }
    if (err != PN_OK) {
        fprintf(stderr, "%s\n", why.text);
        exit(1);
    }
    pn_barrel_store_close(store);
}

/* A key as a principal and as text. The fingerprint is for display only. */
static void show_principal(const pn_ed25519_key *key)
{
    pn_principal who = pn_barrel_principal(key);
    pn_principal again = {.family = PN_FAMILY_BARREL};
    char text[PN_BASE32_LEN + 1];
    char fingerprint[PN_FINGERPRINT_LEN + 1];

    pn_principal_to_base32(&who, text);
    pn_principal_fingerprint(&who, fingerprint);
    check("key", pn_ed25519_key_parse(text, &again.key.ed25519));
    printf("our key: %s, the same from its text: %s, %zu digits to look at\n",
        pn_principal_has_key(&who) ? "yes" : "no",
        pn_principal_equal(&who, &again) ? "yes" : "no", strlen(fingerprint));
}

static void list_pins(const char *dir)
{
    pn_barrel_store *store = open_keys(dir);
    pn_barrel_pin *pins = NULL;
    size_t n = 0;

    check("pins", pn_barrel_store_pins(store, &pins, &n));
    for (size_t i = 0; i < n; i++) {
        printf("pinned: %s\n", pins[i].name);
    }
    free(pins);
    pn_barrel_store_close(store);
}

static void write_cookie(const char *dir)
{
    path p = path_in(dir, "cookie");
    FILE *f = fopen(p.text, "we");

    if (f == NULL || fputs("a cookie\n", f) < 0 || fclose(f) != 0) {
        die(p.text, PN_SYS);
    }
}

/* ---- the shed ---------------------------------------------------------- */

static void on_tools(pn_request *req, pn_term args, void *user)
{
    (void)args;
    (void)user;
    if (!pn_request_is_call(req)) {
        printf("the shed got a note from %s\n", pn_request_label(req));
        (void)fflush(stdout);
    }
    (void)pn_request_reply(req, "[hammer, saw]");
}

static void on_lend(pn_request *req, pn_term args, void *user)
{
    pn_term tool;

    (void)user;
    if (pn_term_match(args, "[~t]", &tool)) {
        (void)pn_request_reply(req, "{lent, ~t}", tool);
    } else {
        (void)pn_request_fail(req, "badarg");
    }
}

static void open_shed(pn_node *node, const pn_ed25519_key *office_key)
{
    pn_principal office = pn_barrel_principal(office_key);
    pn_beam_dist *table = NULL;
    pn_expose_options closed;

    pn_expose_options_init(&closed);
    closed.flags = PN_EXPOSE_CLOSED;
    check("expose", pn_expose(node, "tools", on_tools, NULL, &closed));
    check("serve", pn_beam_dist_serve(node, NULL, &closed, &table));
    check("export",
        pn_beam_dist_export(table, ":shed", "lend", 1, on_lend, NULL));
    check("export",
        pn_beam_dist_export(table, ":shed", "sell", 1, on_lend, NULL));
    check("grant", pn_grant(node, "tools", &office));
    check("grant", pn_grant(node, PN_BEAM_DIST_HANDLE, &office));
    check("grant", pn_beam_dist_grant(table, ":shed", "lend", 1, &office));
}

/* ---- the office -------------------------------------------------------- */

static atomic_int n_done;

static void wait_done(int n)
{
    while (atomic_load(&n_done) < n) {
        (void)usleep(1000);
    }
    atomic_store(&n_done, 0);
}

static void on_done(void *user, pn_err outcome, pn_term value)
{
    show(user, outcome, value);
    atomic_fetch_add(&n_done, 1);
}

static void on_down(void *user, uint64_t monitor, pn_term reason)
{
    (void)monitor;
    show(user, PN_OK, reason);
    atomic_fetch_add(&n_done, 1);
}

static void connect_and_look(pn_barrel *office)
{
    static char connected[] = "connected";
    pn_why why = {0};
    pn_barrel_node_info *nodes = NULL;
    pn_barrel_pin *pins = NULL;
    pn_ed25519_key pinned;
    size_t n = 0;

    if (pn_barrel_connect(office, SHED, 5000, &why) != PN_OK) {
        fprintf(stderr, "%s\n", why.text);
        exit(1);
    }
    check("connect",
        pn_barrel_connect_async(office, SHED, 5000, on_done, connected));
    wait_done(1);
    check("nodes", pn_barrel_nodes(office, &nodes, &n));
    check("pinned", pn_barrel_pinned(office, SHED, &pinned));
    for (size_t i = 0; i < n; i++) {
        printf("node %s, with the key that is pinned: %s\n", nodes[i].name,
            pn_ed25519_key_equal(&nodes[i].key, &pinned) ? "yes" : "no");
    }
    free(nodes);
    check("pins", pn_barrel_pins(office, &pins, &n));
    printf("pins that count: %zu\n", n);
    free(pins);
}

static void call(pn_barrel *office)
{
    static char lend[] = "rpc:call, later";
    static char tools[] = "gen_server:call, later";
    static char all[] = "everything has arrived";
    pn_term_writer w;
    pn_term args;
    pn_reply *reply = NULL;
    pn_err err;

    pn_term_writer_init(&w, 0);
    pn_term_write_format(&w, "[saw]");
    check("args", pn_term_writer_finish(&w, NULL, &args));
    err = pn_rpc(office, SHED, ":shed", "lend", args, 5000, &reply);
    show("rpc:call", err, pn_reply_term(reply));
    pn_reply_free(reply);
    reply = NULL;
    err = pn_rpc(office, SHED, ":shed", "sell", args, 5000, &reply);
    show("not granted", err, pn_reply_term(reply));
    pn_reply_free(reply);
    reply = NULL;
    err = pn_gen_call(office, SHED, "tools", args, 5000, &reply);
    show("gen_server:call", err, pn_reply_term(reply));
    pn_reply_free(reply);
    reply = NULL;
    err = pn_gen_call(office, SHED, "garage", args, 5000, &reply);
    show("no such process", err, pn_reply_term(reply));
    pn_reply_free(reply);
    check("rpc",
        pn_rpc_async(office, SHED, ":shed", "lend", args, 5000, on_done, lend));
    wait_done(1);
    check("send", pn_barrel_send(office, SHED, "tools", args));
    check("call",
        pn_gen_call_async(office, SHED, "tools", args, 5000, on_done, tools));
    wait_done(1);
    check("flush", pn_barrel_flush_async(office, SHED, 5000, on_done, all));
    wait_done(1);
    pn_term_writer_free(&w);
}

/* A pid comes in a message or a reply, and is kept with pn_term_copy. There is
 * no Erlang node here to send one, so this one is written by hand, of a process
 * at the shed that never existed. */
static pn_term some_pid(uint8_t *bytes)
{
    static const uint8_t numbers[12] = {0, 0, 0, 99, 0, 0, 0, 0, 0, 0, 0, 9};
    const size_t n = sizeof(SHED) - 1;

    bytes[0] = 88; /* NEW_PID_EXT: an atom, id, serial, creation */
    bytes[1] = 119;
    bytes[2] = (uint8_t)n;
    memcpy(bytes + 3, SHED, n);
    memcpy(bytes + 3 + n, numbers, sizeof(numbers));
    return (pn_term){bytes, 3 + n + sizeof(numbers)};
}

static void watch(pn_barrel *office)
{
    static char garage[] = "DOWN of garage";
    static char process[] = "DOWN of a pid";
    static char node[] = "DOWN of the node";
    static char never[] = "this is not printed";
    uint8_t bytes[64];
    pn_term pid = some_pid(bytes);
    uint64_t monitor = 0;

    check("monitor",
        pn_barrel_monitor(office, SHED, "garage", on_down, garage, &monitor));
    wait_done(1);
    check("send", pn_barrel_send_pid(office, pid, pid));
    check("monitor",
        pn_barrel_monitor_pid(office, pid, on_down, process, &monitor));
    wait_done(1);
    check("monitor",
        pn_barrel_monitor(office, SHED, "tools", on_down, never, &monitor));
    check("demonitor", pn_barrel_demonitor(office, monitor));
    check("monitor",
        pn_barrel_monitor(office, SHED, NULL, on_down, node, &monitor));
    check("disconnect", pn_barrel_disconnect(office, SHED));
    wait_done(1);
}

/* ---- both -------------------------------------------------------------- */

/* Their keys go from one to the other as files, by a way that is trusted. */
static void exchange_keys(const char *office, const char *shed)
{
    path office_key = path_in(office, "keys/node.pub");
    path shed_key = path_in(shed, "keys/node.pub");

    make_identity(office);
    make_identity(shed);
    trust(office, SHED, shed_key.text);
    trust(shed, OFFICE, office_key.text);
    list_pins(office);
}

static void print_metrics(pn_barrel *shed)
{
    pn_barrel_metrics m;
    char *text = NULL;
    size_t len = 0;

    pn_barrel_get_metrics(shed, &m);
    printf("%s: %llu calls, %llu authenticated\n", pn_barrel_name(shed),
        (unsigned long long)m.calls_in, (unsigned long long)m.auth_ok_incoming);
    check("metrics", pn_barrel_metrics_text(shed, &text, &len));
    printf("as text for Prometheus: %s\n",
        strncmp(text, "# HELP peernet_barrel_", 22) == 0 ? "yes" : "no");
    free(text);
}

/* A program decides by the reason; the sentence is for a person. */
static void on_refused(void *user, pn_err outcome, pn_term value)
{
    (void)value;
    printf("%s: %s\n", pn_err_name(outcome),
        pn_reason_text(pn_barrel_reason(user)));
    atomic_fetch_add(&n_done, 1);
}

/* The shed does not trust the office any more. */
static void part(pn_barrel *office, pn_barrel *shed)
{
    pn_why why = {0};
    pn_err err;

    check("unpin", pn_barrel_unpin(shed, OFFICE));
    err = pn_barrel_connect(office, SHED, 5000, &why);
    printf("%s: %s\n", pn_err_name(err), why.text);
    check("connect",
        pn_barrel_connect_async(office, SHED, 5000, on_refused, office));
    wait_done(1);
}

static void renew_certificate(const char *dir)
{
    path quic = path_in(dir, "quic");
    pn_why why = {0};
    char *backup = NULL;

    if (pn_barrel_rotate_certificate(quic.text, &backup, &why) != PN_OK) {
        fprintf(stderr, "%s\n", why.text);
        exit(1);
    }
    printf("a new certificate, for the next start\n");
    free(backup);
}

int main(int argc, char **argv)
{
    path office_dir;
    path shed_dir;
    path discovery;
    pn_node *office_node;
    pn_node *shed_node;
    pn_barrel *office;
    pn_barrel *shed;
    pn_ed25519_key key;

    if (argc != 2) {
        fprintf(stderr, "usage: cluster DIR\n");
        return 2;
    }
    office_dir = path_in(argv[1], "office");
    shed_dir = path_in(argv[1], "shed");
    discovery = path_in(argv[1], "discovery");
    office_node = open_node(office_dir.text, NULL);
    shed_node = open_node(shed_dir.text, NULL);
    exchange_keys(office_dir.text, shed_dir.text);
    write_cookie(office_dir.text);
    write_cookie(shed_dir.text);
    shed = join_cluster(shed_node, shed_dir.text, SHED, discovery.text);
    office = join_cluster(office_node, office_dir.text, OFFICE, discovery.text);
    pn_barrel_key(office, &key);
    show_principal(&key);
    open_shed(shed_node, &key);
    connect_and_look(office);
    call(office);
    watch(office);
    print_metrics(shed);
    part(office, shed);
    pn_node_close(office_node);
    pn_node_close(shed_node);
    renew_certificate(shed_dir.text);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service in an Erlang cluster: a thermometer. From a node of barrel_p2p:
 *
 *     gen_server:call({thermometer, Node}, read)                -> {celsius, T}
 *     gen_server:call({thermometer, Node}, {subscribe, self()}) -> ok
 *     rpc:call(Node, thermometer, read, [])                     -> {celsius, T}
 *     rpc:call(Node, thermometer, set, [T])                     -> ok
 *
 * Once a second {reading, T} goes to each process that subscribed, for as long
 * as it lives, and to the process registered as `thermometer_readings` of every
 * connected node.
 *
 *     service DIR                                 makes the keys
 *     service DIR NAME@HOST DISCOVERY [OWNER@HOST]
 *
 * Every node that DIR/keys/trusted holds may read; OWNER@HOST may also set.
 * cluster_common.h says what DIR and DISCOVERY are, README.md how keys are
 * exchanged; erlang/thermometer.erl and reader.c are the other end.
 */
#include <pthread.h>
#include <unistd.h>

#include "cluster_common.h"

enum { MAX_SUBSCRIBERS = 16 };

typedef struct subscriber {
    pn_term pid; /* empty: a free place */
    uint64_t monitor;
} subscriber;

/* Handlers run on several threads. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static double celsius = 21.5;
static subscriber subscribers[MAX_SUBSCRIBERS];

static pn_barrel *barrel;
static pn_node *node;

/* ---- subscribers ------------------------------------------------------- */

static subscriber *free_place(void)
{
    for (int i = 0; i < MAX_SUBSCRIBERS; i++) {
        if (subscribers[i].pid.len == 0) {
            return &subscribers[i];
        }
    }
    return NULL;
}

static void forget(subscriber *s)
{
    free((void *)(uintptr_t)s->pid.data);
    *s = (subscriber){0};
}

/* On the loop, once: the process has ended, or its node is gone. */
static void on_down(void *user, uint64_t monitor, pn_term reason)
{
    (void)user;
    (void)reason;
    (void)pthread_mutex_lock(&lock);
    for (int i = 0; i < MAX_SUBSCRIBERS; i++) {
        if (subscribers[i].pid.len > 0 && subscribers[i].monitor == monitor) {
            forget(&subscribers[i]);
        }
    }
    (void)pthread_mutex_unlock(&lock);
    printf("a subscriber is gone\n");
    (void)fflush(stdout);
}

/* The lock is held until the monitor's number is stored, because on_down
 * searches for it. */
static pn_err subscribe(pn_term pid)
{
    subscriber *s;
    pn_err err = PN_FULL;

    (void)pthread_mutex_lock(&lock);
    s = free_place();
    if (s != NULL) {
        err = pn_term_copy(pid, &s->pid);
    }
    if (err == PN_OK) {
        err = pn_barrel_monitor_pid(barrel, pid, on_down, NULL, &s->monitor);
        if (err != PN_OK) {
            forget(s);
        }
    }
    (void)pthread_mutex_unlock(&lock);
    return err;
}

/* A reading that cannot be sent now is dropped: the next one is newer. */
static void push(pn_term reading)
{
    pn_barrel_node_info *nodes = NULL;
    size_t n = 0;

    (void)pthread_mutex_lock(&lock);
    for (int i = 0; i < MAX_SUBSCRIBERS; i++) {
        if (subscribers[i].pid.len > 0) {
            (void)!pn_barrel_send_pid(barrel, subscribers[i].pid, reading);
        }
    }
    (void)pthread_mutex_unlock(&lock);
    if (pn_barrel_nodes(barrel, &nodes, &n) != PN_OK) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        (void)!pn_barrel_send(
            barrel, nodes[i].name, "thermometer_readings", reading);
    }
    free(nodes);
}

/* ---- handlers ---------------------------------------------------------- */

static double read_celsius(void)
{
    double t;

    (void)pthread_mutex_lock(&lock);
    t = celsius;
    (void)pthread_mutex_unlock(&lock);
    return t;
}

/* gen_server:call and messages alike: a handle is a registered name. */
static void on_thermometer(pn_request *req, pn_term request, void *user)
{
    pn_term pid;

    (void)user;
    if (pn_term_is_atom(request, "read")) {
        (void)pn_request_reply(req, "{celsius, ~d}", read_celsius());
    } else if (pn_term_match(request, "{subscribe, ~t}", &pid)
               && subscribe(pid) == PN_OK) {
        (void)pn_request_reply(req, "ok");
    } else {
        (void)pn_request_fail(req, "badarg");
    }
}

/* Functions get the list of their arguments. */
static void on_read(pn_request *req, pn_term args, void *user)
{
    (void)args;
    (void)user;
    (void)pn_request_reply(req, "{celsius, ~d}", read_celsius());
}

static void on_set(pn_request *req, pn_term args, void *user)
{
    double t;

    (void)user;
    if (!pn_term_match(args, "[~d]", &t)) {
        (void)pn_request_fail(req, "badarg");
        return;
    }
    (void)pthread_mutex_lock(&lock);
    celsius = t;
    (void)pthread_mutex_unlock(&lock);
    printf("set to %.1f by %s\n", t, pn_request_label(req));
    (void)fflush(stdout);
    (void)pn_request_reply(req, "ok");
}

/* ---- grants ------------------------------------------------------------ */

/* An rpc:call needs two grants: of the table, and of the function. */
static pn_err grant(
    pn_beam_dist *table, const pn_ed25519_key *key, bool is_owner)
{
    pn_principal who = pn_barrel_principal(key);
    pn_err err = pn_grant(node, "thermometer", &who);

    if (err == PN_OK) {
        err = pn_grant(node, PN_BEAM_DIST_HANDLE, &who);
    }
    if (err == PN_OK) {
        err = pn_beam_dist_grant(table, ":thermometer", "read", 0, &who);
    }
    if (err == PN_OK && is_owner) {
        err = pn_beam_dist_grant(table, ":thermometer", "set", 1, &who);
    }
    return err;
}

static pn_err grant_pinned(
    pn_beam_dist *table, const char *dir, const char *owner)
{
    pn_barrel_store *store = open_keys(dir);
    pn_barrel_pin *pins = NULL;
    size_t n = 0;
    pn_err err = pn_barrel_store_pins(store, &pins, &n);

    for (size_t i = 0; err == PN_OK && i < n; i++) {
        err = grant(table, &pins[i].key, strcmp(pins[i].name, owner) == 0);
    }
    free(pins);
    pn_barrel_store_close(store);
    return err;
}

static pn_err serve(const char *dir, const char *owner)
{
    pn_expose_options closed;
    pn_beam_dist *table = NULL;
    pn_err err;

    pn_expose_options_init(&closed);
    closed.flags = PN_EXPOSE_CLOSED;
    err = pn_expose(node, "thermometer", on_thermometer, NULL, &closed);
    if (err == PN_OK) {
        err = pn_beam_dist_serve(node, NULL, &closed, &table);
    }
    if (err == PN_OK) {
        err = pn_beam_dist_export(
            table, ":thermometer", "read", 0, on_read, NULL);
    }
    if (err == PN_OK) {
        err = pn_beam_dist_export(
            table, ":thermometer", "set", 1, on_set, NULL);
    }
    return err == PN_OK ? grant_pinned(table, dir, owner) : err;
}

/* ---- the program ------------------------------------------------------- */

static void measure(void)
{
    pn_term_writer w;
    pn_term reading;

    pn_term_writer_init(&w, 0);
    pn_term_write_format(&w, "{reading, ~d}", read_celsius());
    if (pn_term_writer_finish(&w, NULL, &reading) == PN_OK) {
        push(reading);
    }
    pn_term_writer_free(&w);
}

int main(int argc, char **argv)
{
    pn_err err;

    if (argc == 2) {
        return show_key(argv[1]);
    }
    if (argc != 4 && argc != 5) {
        fprintf(stderr, "usage: service DIR [NAME@HOST DISCOVERY "
                        "[OWNER@HOST]]\n");
        return 2;
    }
    node = open_node(argv[1], NULL);
    barrel = join_cluster(node, argv[1], argv[2], argv[3]);
    err = serve(argv[1], argc == 5 ? argv[4] : "");
    if (err != PN_OK) {
        die("serve", err);
    }
    printf(
        "node %s\nport %u\n", pn_barrel_name(barrel), pn_barrel_port(barrel));
    (void)fflush(stdout);
    stop_on_signals();
    while (!stopped) {
        measure();
        (void)sleep(1); /* a signal ends it */
    }
    pn_node_close(node);
    return 0;
}

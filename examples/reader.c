/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other end of service.c, in C: a node of the cluster that asks a
 * thermometer. It would ask a gen_server in Erlang in the same way.
 *
 *     reader DIR                                    makes the keys
 *     reader DIR NAME@HOST DISCOVERY NODE [CELSIUS]
 *
 * Reads NODE's thermometer, sets it to CELSIUS if that is given, prints two
 * readings that it pushes, and leaves.
 */
#include <stdatomic.h>
#include <unistd.h>

#include "cluster_common.h"

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

static atomic_int n_readings;
static atomic_bool wants_readings;

/* {reading, T} sent to a registered name is a message to a handle. */
static void on_reading(pn_request *req, pn_term message, void *user)
{
    (void)req;
    (void)user;
    if (atomic_load(&wants_readings) && atomic_load(&n_readings) < 2) {
        show("pushed", PN_OK, message);
        atomic_fetch_add(&n_readings, 1);
    }
}

/* Only the node that we read from may send us readings. */
static pn_err open_inbox(
    pn_node *node, pn_barrel *barrel, const char *thermometer)
{
    pn_principal who = {.family = PN_FAMILY_BARREL};
    pn_expose_options closed;
    pn_err err = pn_barrel_pinned(barrel, thermometer, &who.key.ed25519);

    pn_expose_options_init(&closed);
    closed.flags = PN_EXPOSE_CLOSED;
    if (err == PN_OK) {
        err = pn_expose(
            node, "thermometer_readings", on_reading, NULL, &closed);
    }
    if (err == PN_OK) {
        err = pn_grant(node, "thermometer_readings", &who);
    }
    return err;
}

/* Writes a term of a format and sends it. */
static pn_term format(pn_term_writer *w, const char *text, double value)
{
    pn_term term = {0};

    pn_term_writer_reset(w);
    pn_term_write_format(w, text, value);
    if (pn_term_writer_finish(w, NULL, &term) != PN_OK) {
        die(text, PN_INVALID);
    }
    return term;
}

static void ask(pn_barrel *barrel, const char *thermometer, const char *set)
{
    pn_term_writer w;
    pn_reply *reply = NULL;
    pn_err err;

    pn_term_writer_init(&w, 0);
    err = pn_gen_call(barrel, thermometer, "thermometer", format(&w, "read", 0),
        5000, &reply);
    show("gen_server:call", err, pn_reply_term(reply));
    pn_reply_free(reply);
    reply = NULL;
    err = pn_rpc(barrel, thermometer, ":thermometer", "read",
        format(&w, "[]", 0), 5000, &reply);
    show("rpc:call", err, pn_reply_term(reply));
    pn_reply_free(reply);
    if (set != NULL) {
        reply = NULL;
        err = pn_rpc(barrel, thermometer, ":thermometer", "set",
            format(&w, "[~d]", strtod(set, NULL)), 5000, &reply);
        show("set", err, pn_reply_term(reply));
        pn_reply_free(reply);
    }
    pn_term_writer_free(&w);
}

static void on_down(void *user, uint64_t monitor, pn_term reason)
{
    (void)user;
    (void)monitor;
    show("the node is gone", PN_OK, reason);
    stopped = 1;
}

static void wait_readings(void)
{
    atomic_store(&wants_readings, true);
    while (!stopped && atomic_load(&n_readings) < 2) {
        (void)usleep(10000);
    }
}

int main(int argc, char **argv)
{
    pn_why why = {0};
    pn_node *node;
    pn_barrel *barrel;
    uint64_t monitor = 0;
    pn_err err;

    if (argc == 2) {
        return show_key(argv[1]);
    }
    if (argc != 5 && argc != 6) {
        fprintf(stderr, "usage: reader DIR [NAME@HOST DISCOVERY NODE "
                        "[CELSIUS]]\n");
        return 2;
    }
    node = open_node(argv[1], NULL);
    barrel = join_cluster(node, argv[1], argv[2], argv[3]);
    err = open_inbox(node, barrel, argv[4]);
    if (err != PN_OK) {
        die(argv[4], err);
    }
    err = pn_barrel_connect(barrel, argv[4], 10000, &why);
    if (err != PN_OK) {
        fprintf(stderr, "%s\n", why.text);
        pn_node_close(node);
        return 1;
    }
    stop_on_signals();
    err = pn_barrel_monitor(barrel, argv[4], NULL, on_down, NULL, &monitor);
    if (err != PN_OK) {
        die("monitor", err);
    }
    ask(barrel, argv[4], argc == 6 ? argv[5] : NULL);
    wait_readings();
    if (pn_barrel_demonitor(barrel, monitor) == PN_OK) {
        printf("left\n");
    }
    pn_node_close(node);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other end of led.c: calls and casts functions that a peer exports over
 * BeamDist, be it written in C or in Elixir.
 *
 *     remote DIR KEY HOST:PORT
 */
#include "common.h"

static pn_term write_args(pn_term_writer *w, const char *format)
{
    pn_term args = {NULL, 0};
    pn_err err;

    pn_term_writer_reset(w);
    pn_term_write_format(w, format);
    err = pn_term_writer_finish(w, NULL, &args);
    if (err != PN_OK) {
        die("arguments", err);
    }
    return args;
}

/* Prints an answer: a value, or after PN_REMOTE the peer's reason. */
static void report(const char *what, pn_err err, pn_reply *reply)
{
    char *text = NULL;
    size_t len = 0;

    if ((err == PN_OK || err == PN_REMOTE)
        && pn_term_to_text(pn_reply_term(reply), &text, &len) == PN_OK) {
        printf("%s: %s %s\n", what, pn_err_name(err), text);
        free(text);
    } else {
        printf("%s: %s\n", what, pn_err_name(err));
    }
    pn_reply_free(reply);
}

static void call(pn_node *node, const pn_public_key *peer, const char *function,
    const char *format)
{
    pn_term_writer w;
    pn_reply *reply = NULL;
    pn_err err;

    pn_term_writer_init(&w, 0);
    err = pn_beam_dist_call(node, peer, NULL, "MyApp.Led", function,
        write_args(&w, format), 5000, &reply);
    report(function, err, reply);
    pn_term_writer_free(&w);
}

/* A cast travels as a send: there is no answer and no error. */
static void cast(pn_node *node, const pn_public_key *peer, const char *function)
{
    pn_term_writer w;
    pn_err err;

    pn_term_writer_init(&w, 0);
    err = pn_beam_dist_cast(
        node, peer, NULL, "MyApp.Led", function, write_args(&w, "[]"));
    printf("%s: %s\n", function, pn_err_name(err));
    pn_term_writer_free(&w);
}

/* A plain call with a term that is already there. */
static void reboot(pn_node *node, const pn_public_key *peer)
{
    pn_term_writer w;
    pn_reply *reply = NULL;
    pn_err err;

    pn_term_writer_init(&w, 0);
    err = pn_call_term(
        node, peer, "reboot", 5000, write_args(&w, "nil"), &reply);
    report("reboot", err, reply);
    pn_term_writer_free(&w);
}

int main(int argc, char **argv)
{
    pn_why why = {0};
    pn_node_options opt;
    pn_node *node = NULL;
    pn_public_key peer;
    pn_err err;

    if (argc != 4 || pn_key_parse(argv[2], &peer) != PN_OK) {
        fprintf(stderr, "usage: remote DIR KEY HOST:PORT\n");
        return 2;
    }
    pn_node_options_init(&opt);
    opt.data_dir = argv[1];
    opt.listen_port = PN_PORT_NONE;
    if (pn_node_open(&opt, &node, &why) != PN_OK) {
        fprintf(stderr, "%s\n", why.text);
        return 1;
    }
    err = pn_pair_at(node, &peer, "led", argv[3]);
    if (err == PN_OK || err == PN_EXISTS) {
        err = pn_wait_connected(node, &peer, 5000, NULL);
    }
    if (err != PN_OK) {
        die("connect", err);
    }
    call(node, &peer, "set", "[true]");
    call(node, &peer, "get", "[]");
    cast(node, &peer, "lock");
    call(node, &peer, "set", "[false]");
    reboot(node, &peer);
    pn_node_close(node);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shortest node. As a server:
 *
 *     greet DIR                       prints its key and port, serves `greet`
 *
 * and as a client of one:
 *
 *     greet DIR KEY HOST:PORT NAME    pairs, connects, calls, prints
 *
 * Pairing is mutual: the server needs `greet DIR --pair CLIENTKEY` once.
 */
#include <string.h>
#include <unistd.h>

#include "common.h"

static void on_greet(pn_request *req, pn_term args, void *user)
{
    pn_slice name;

    (void)user;
    if (!pn_term_match(args, "~b", &name)) {
        pn_request_fail(req, "badarg");
        return;
    }
    pn_request_reply(req, "{ok, ~b}", name);
}

static pn_node *open_node(const char *dir, int port)
{
    pn_why why = {0};
    pn_node_options opt;
    pn_node *node = NULL;

    pn_node_options_init(&opt);
    opt.data_dir = dir;
    opt.listen_address = "127.0.0.1"; /* leave out for all interfaces */
    opt.listen_port = port;
    if (pn_node_open(&opt, &node, &why) != PN_OK) {
        fprintf(stderr, "%s\n", why.text);
        exit(1);
    }
    return node;
}

static int serve(const char *dir)
{
    pn_node *node = open_node(dir, 0);
    pn_err err = pn_expose(node, "greet", on_greet, NULL, NULL);

    if (err != PN_OK) {
        die("expose", err);
    }
    introduce(node);
    stop_on_signals();
    while (!stopped) {
        pause();
    }
    pn_node_close(node);
    return 0;
}

static int call(
    const char *dir, const char *key_text, const char *at, const char *name)
{
    pn_node *node = open_node(dir, PN_PORT_NONE);
    pn_public_key key;
    pn_reply *reply = NULL;
    pn_slice text;
    pn_err err = pn_key_parse(key_text, &key);

    if (err == PN_OK) {
        err = pn_pair_at(node, &key, "server", at);
    }
    if (err == PN_OK || err == PN_EXISTS) {
        err = pn_wait_connected(node, &key, 5000, NULL);
    }
    if (err == PN_OK) {
        err = pn_call(node, &key, "greet", 5000, &reply, "~s", name);
    }
    if (err != PN_OK) {
        die("call", err);
    }
    if (pn_term_match(pn_reply_term(reply), "{ok, ~b}", &text)) {
        printf("hello %.*s\n", (int)text.len, (const char *)text.data);
    }
    pn_reply_free(reply);
    pn_node_close(node);
    return 0;
}

static int pair(const char *dir, const char *key_text)
{
    pn_public_key key;
    pn_store *store = NULL;
    pn_err err = pn_key_parse(key_text, &key);

    if (err == PN_OK) {
        err = pn_store_open(dir, &store, NULL, NULL);
    }
    if (err == PN_OK) {
        err = pn_store_pair(store, &key, NULL, NULL, NULL);
    }
    if (err != PN_OK) {
        die("pair", err);
    }
    pn_store_close(store);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2) {
        return serve(argv[1]);
    }
    if (argc == 4 && strcmp(argv[2], "--pair") == 0) {
        return pair(argv[1], argv[3]);
    }
    if (argc == 5) {
        return call(argv[1], argv[2], argv[3], argv[4]);
    }
    fprintf(stderr, "usage: greet DIR [--pair KEY | KEY HOST:PORT NAME]\n");
    return 2;
}

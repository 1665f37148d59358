/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node inside a loop of the program's own: no thread, one descriptor, one
 * time-out, one call.
 *
 *     own_loop DIR KEY HOST:PORT HANDLE    calls HANDLE once, asynchronously
 */
#include <poll.h>

#include "common.h"

typedef struct app {
    pn_node *node;
    bool is_done;
    pn_err outcome;
} app;

static void on_reply(void *user, pn_err outcome, pn_term value)
{
    app *a = user;
    char *text = NULL;
    size_t len = 0;

    a->is_done = true;
    a->outcome = outcome;
    if ((outcome == PN_OK || outcome == PN_REMOTE)
        && pn_term_to_text(value, &text, &len) == PN_OK) {
        printf("%s\n", text);
        free(text);
    }
}

/* The program's other descriptors and timers belong here too. */
static void turn(app *a)
{
    struct pollfd fds[] = {{.fd = pn_node_fd(a->node), .events = POLLIN}};

    (void)poll(fds, 1, pn_node_timeout_ms(a->node));
    if (pn_node_run(a->node) != PN_OK) {
        abort();
    }
}

int main(int argc, char **argv)
{
    pn_why why = {0};
    app a = {.is_done = false};
    pn_node_options opt;
    pn_public_key peer;
    pn_term_writer w;
    pn_term args;
    pn_err err;

    if (argc != 5 || pn_key_parse(argv[2], &peer) != PN_OK) {
        fprintf(stderr, "usage: own_loop DIR KEY HOST:PORT HANDLE\n");
        return 2;
    }
    pn_node_options_init(&opt);
    opt.data_dir = argv[1];
    opt.listen_port = PN_PORT_NONE;
    opt.own_loop = true;
    if (pn_node_open(&opt, &a.node, &why) != PN_OK) {
        fprintf(stderr, "%s\n", why.text);
        return 1;
    }
    err = pn_pair_at(a.node, &peer, NULL, argv[3]);
    if (err != PN_OK && err != PN_EXISTS) {
        die("pair", err);
    }
    while (!pn_connected(a.node, &peer)) {
        turn(&a);
    }
    pn_term_writer_init(&w, 0);
    pn_term_write_format(&w, "%{unit: ~s}", "C");
    err = pn_term_writer_finish(&w, NULL, &args);
    if (err == PN_OK) {
        err = pn_call_async(a.node, &peer, argv[4], 5000, args, on_reply, &a);
    }
    pn_term_writer_free(&w);
    if (err != PN_OK) {
        die("call", err);
    }
    while (!a.is_done) {
        turn(&a);
    }
    pn_node_close(a.node);
    return a.outcome == PN_OK ? 0 : 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chat between two terminals: every line typed is sent, every line that comes
 * is printed.
 *
 *     chat DIR KEY [HOST:PORT]
 *
 * Messages have the form of the originals' demo: %{text: "..."}. A line that is
 * typed while the peer is not connected is not queued, and the program says so.
 */
#include <string.h>

#include "common.h"

/* Peer text may hold escape sequences; a real program shows it escaped. */
static void print_plain(pn_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        int c = text.data[i];

        putchar(c >= 32 && c != 127 ? c : '?');
    }
    putchar('\n');
    (void)fflush(stdout);
}

static void on_chat(pn_request *req, pn_term args, void *user)
{
    pn_slice text;

    (void)user;
    if (pn_term_match(args, "%{text: ~b}", &text)
        || pn_term_match(args, "~b", &text)) {
        printf("%s> ", pn_request_label(req));
        print_plain(text);
        pn_request_reply(req, "ok");
    } else {
        pn_request_fail(req, "badarg");
    }
}

static void on_event(void *user, const pn_event *event)
{
    (void)user;
    if (event->type == PN_EVENT_PEER_UP || event->type == PN_EVENT_PEER_DOWN) {
        printf("* %s %s\n", pn_event_name(event->type), event->address);
        (void)fflush(stdout);
    }
}

static void chat(pn_node *node, const pn_public_key *peer)
{
    char line[1024];

    while (!stopped && fgets(line, sizeof(line), stdin) != NULL) {
        pn_err err;

        line[strcspn(line, "\n")] = '\0';
        err = pn_send(node, peer, "chat", "%{text: ~s}", line);
        if (err != PN_OK) {
            printf("* not sent: %s\n", pn_strerror(err));
        }
    }
    if (pn_flush(node, peer, 5000) == PN_TIMEOUT) {
        printf("* the last lines are still on their way\n");
    }
}

int main(int argc, char **argv)
{
    pn_why why = {0};
    pn_node_options opt;
    pn_node *node = NULL;
    pn_public_key peer;
    pn_err err;

    if (argc < 3 || pn_key_parse(argv[2], &peer) != PN_OK) {
        fprintf(stderr, "usage: chat DIR KEY [HOST:PORT]\n");
        return 2;
    }
    pn_node_options_init(&opt);
    opt.data_dir = argv[1];
    opt.listen_address = "127.0.0.1";
    opt.listen_port = 0;
    opt.on_event = on_event;
    if (pn_node_open(&opt, &node, &why) != PN_OK) {
        fprintf(stderr, "%s\n", why.text);
        return 1;
    }
    introduce(node);
    err = pn_expose(node, "chat", on_chat, NULL, NULL);
    if (err == PN_OK) {
        err = pn_pair_at(node, &peer, "peer", argc > 3 ? argv[3] : NULL);
    }
    if (err != PN_OK && err != PN_EXISTS) {
        die("pair", err);
    }
    stop_on_signals();
    if (argc > 3) {
        (void)!pn_wait_connected(node, &peer, 5000, NULL);
    }
    chat(node, &peer);
    pn_node_close(node);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sensor: answers calls of `temperature`, and sends a reading to every
 * connected peer once a second.
 *
 *     sensor DIR
 *
 * Peers are paired with `peernet -d DIR pair KEY`, also while it runs.
 */
#include <string.h>
#include <unistd.h>

#include "common.h"

/* A real one would read a file below /sys/bus/iio. */
static double read_celsius(void)
{
    static unsigned n;

    return 21.0 + (double)(n++ % 10) / 10;
}

static void on_temperature(pn_request *req, pn_term args, void *user)
{
    double celsius = read_celsius();
    pn_slice unit;

    (void)user;
    if (pn_term_match(args, "%{unit: ~b}", &unit) && unit.len == 1
        && unit.data[0] == 'F') {
        pn_request_reply(req, "{ok, ~d}", celsius * 9 / 5 + 32);
        return;
    }
    pn_request_reply(req, "{ok, ~d}", celsius);
}

static void push_reading(pn_node *node)
{
    pn_peer_info *peers = NULL;
    size_t n = 0;

    if (pn_list_peers(node, &peers, &n) != PN_OK) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (peers[i].state == PN_PEER_UP) {
            /* Gone in the meantime, or not listening: the reading is lost,
             * and the next one comes in a second. */
            (void)!pn_send(node, &peers[i].key, "reading",
                "%{\"celsius\" => ~d}", read_celsius());
        }
    }
    free(peers);
}

int main(int argc, char **argv)
{
    pn_why why = {0};
    pn_expose_options fast;
    pn_node_options opt;
    pn_node *node = NULL;
    pn_err err;

    if (argc != 2) {
        fprintf(stderr, "usage: sensor DIR\n");
        return 2;
    }
    pn_node_options_init(&opt);
    opt.data_dir = argv[1];
    opt.listen_address = "127.0.0.1";
    opt.listen_port = 0;
    if (pn_node_open(&opt, &node, &why) != PN_OK) {
        fprintf(stderr, "%s\n", why.text);
        return 1;
    }
    pn_expose_options_init(&fast);
    fast.flags = PN_EXPOSE_INLINE; /* never blocks: no worker needed */
    fast.calls_per_second = 10;
    err = pn_expose(node, "temperature", on_temperature, NULL, &fast);
    if (err != PN_OK) {
        die("expose", err);
    }
    introduce(node);
    stop_on_signals();
    while (!stopped) {
        (void)sleep(1);
        push_reading(node);
    }
    pn_node_close(node);
    return 0;
}

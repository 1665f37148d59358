/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the examples of the Barrel link. DIR holds all of a node: its
 * cookie, its keys and the nodes it trusts, its certificate:
 *
 *     DIR/cookie                       one line; the cluster's
 *     DIR/keys/node.key, node.pub      made on first use
 *     DIR/keys/trusted/NAME@HOST.pub   the node.pub of each trusted node
 *     DIR/quic                         made on first use
 */
#ifndef EXAMPLES_CLUSTER_COMMON_H
#define EXAMPLES_CLUSTER_COMMON_H

#include <string.h>

#include <peernet/barrel.h>

#include "common.h"

typedef struct path {
    char text[512];
} path;

static inline path path_in(const char *dir, const char *name)
{
    path p;

    if (snprintf(p.text, sizeof(p.text), "%s/%s", dir, name)
        >= (int)sizeof(p.text)) {
        die(dir, PN_TOO_LARGE);
    }
    return p;
}

static inline pn_barrel_store *open_keys(const char *dir)
{
    path keys = path_in(dir, "keys");
    pn_barrel_store *store = NULL;
    pn_why why = {0};

    if (pn_barrel_store_open(keys.text, &store, &why, NULL) != PN_OK) {
        fprintf(stderr, "%s\n", why.text);
        exit(1);
    }
    return store;
}

/* The node has no PeerNet port. */
static inline pn_node *open_node(
    const char *dir, void (*on_event)(void *, const pn_event *))
{
    pn_why why = {0};
    pn_node_options opt;
    pn_node *node = NULL;

    pn_node_options_init(&opt);
    opt.data_dir = dir;
    opt.listen_port = PN_PORT_NONE;
    opt.linger_ms = 0; /* no Elixir node with PeerNet is among us */
    opt.on_event = on_event;
    if (pn_node_open(&opt, &node, &why) != PN_OK) {
        fprintf(stderr, "%s\n", why.text);
        exit(1);
    }
    return node;
}

/* The first line of DIR/cookie. */
static inline void read_cookie(const char *dir, char *cookie, int cap)
{
    path p = path_in(dir, "cookie");
    FILE *f = fopen(p.text, "re");

    if (f == NULL || fgets(cookie, cap, f) == NULL) {
        fprintf(stderr, "%s: expected the cookie of the cluster\n", p.text);
        exit(1);
    }
    (void)fclose(f);
    cookie[strcspn(cookie, "\n")] = '\0';
}

/*
 * Joins the cluster as NAME@HOST. discovery: the folder of the endpoint files
 * of this machine's nodes; with barrel_p2p its discovery_dir.
 *
 * A node out in the network leaves listen_address and listen_port as they are:
 * every address, UDP port 9100.
 */
static inline pn_barrel *join_cluster(
    pn_node *node, const char *dir, const char *name, const char *discovery)
{
    pn_why why = {0};
    path keys = path_in(dir, "keys");
    path quic = path_in(dir, "quic");
    char cookie[256];
    pn_barrel_options opt;
    pn_barrel *barrel = NULL;
    pn_err err;

    read_cookie(dir, cookie, sizeof(cookie));
    pn_barrel_options_init(&opt);
    opt.name = name;
    opt.cookie = cookie;
    opt.key_dir = keys.text;
    opt.cert_dir = quic.text;
    opt.discovery_dir = discovery;
    opt.dns_port = 0;
    opt.listen_address = "127.0.0.1";
    opt.listen_port = 0;
    err = pn_barrel_open(node, &opt, &barrel, &why);
    explicit_bzero(cookie, sizeof(cookie));
    if (err != PN_OK) {
        fprintf(stderr, "%s\n", why.text);
        exit(1);
    }
    return barrel;
}

/* For a first start: makes the keys and prints which file the others need. */
static inline int show_key(const char *dir)
{
    pn_barrel_store_close(open_keys(dir));
    printf("key %s/keys/node.pub\n", dir);
    return 0;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A controlled device: functions of a module exported over BeamDist, each
 * granted by itself. From Elixir:
 *
 *     PeerNet.BeamDist.call(key, MyApp.Led, :set, [true])
 *
 *     led DIR PHONEKEY        PHONEKEY may read and switch; others may read
 *
 * `lock/0` takes the right to switch away again, until the next start.
 */
#include <stdatomic.h>
#include <unistd.h>

#include "common.h"

static atomic_bool is_on;

static void on_get(pn_request *req, pn_term args, void *user)
{
    (void)args;
    (void)user;
    pn_request_reply(req, "~o", atomic_load(&is_on));
}

static void on_set(pn_request *req, pn_term args, void *user)
{
    bool want;

    (void)user;
    if (!pn_term_match(args, "[~o]", &want)) {
        pn_request_fail(req, "badarg");
        return;
    }
    atomic_store(&is_on, want);
    printf("led %s\n", want ? "on" : "off");
    (void)fflush(stdout);
    pn_request_reply(req, "ok");
}

static void on_lock(pn_request *req, pn_term args, void *user)
{
    (void)args;
    if (pn_beam_dist_ungrant(
            user, "MyApp.Led", "set", 1, pn_request_caller(req))
        == PN_OK) {
        pn_request_reply(req, "ok");
    } else {
        pn_request_fail(req, "error");
    }
}

static pn_err serve(pn_node *node, const pn_principal *phone)
{
    pn_beam_dist *table = NULL;
    pn_err err = pn_beam_dist_serve(node, NULL, NULL, &table);

    if (err == PN_OK) {
        err = pn_beam_dist_export(table, "MyApp.Led", "get", 0, on_get, NULL);
    }
    if (err == PN_OK) {
        err = pn_beam_dist_export(table, "MyApp.Led", "set", 1, on_set, NULL);
    }
    if (err == PN_OK) {
        err = pn_beam_dist_export(
            table, "MyApp.Led", "lock", 0, on_lock, table);
    }
    if (err == PN_OK) {
        err = pn_beam_dist_grant(table, "MyApp.Led", "get", 0, NULL);
    }
    if (err == PN_OK) {
        err = pn_beam_dist_grant(table, "MyApp.Led", "set", 1, phone);
    }
    if (err == PN_OK) {
        err = pn_beam_dist_grant(table, "MyApp.Led", "lock", 0, phone);
    }
    return err;
}

int main(int argc, char **argv)
{
    pn_why why = {0};
    pn_principal phone = {.family = PN_FAMILY_PEERNET};
    pn_node_options opt;
    pn_node *node = NULL;
    pn_err err;

    if (argc != 3 || pn_key_parse(argv[2], &phone.key.x25519) != PN_OK) {
        fprintf(stderr, "usage: led DIR PHONEKEY\n");
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
    err = pn_pair(node, &phone.key.x25519, "phone");
    if (err == PN_OK || err == PN_EXISTS) {
        err = serve(node, &phone);
    }
    if (err != PN_OK) {
        die("serve", err);
    }
    introduce(node);
    stop_on_signals();
    while (!stopped) {
        pause();
    }
    pn_node_close(node);
    return 0;
}

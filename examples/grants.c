/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grants that are kept in a file: who may use a lamp, first beside a node that
 * runs, then in the files alone.
 *
 *     grants DIR KEY      pairs KEY as "guest" and prints each step
 */
#include <string.h>

#include "common.h"

static pn_principal guest;

static void check(const char *what, pn_err err)
{
    if (err != PN_OK) {
        die(what, err);
    }
}

static void on_lamp(pn_request *req, pn_term args, void *user)
{
    (void)args;
    (void)user;
    pn_request_reply(req, "ok");
}

/* A grant of the lamp; until: when it ends, or NULL. */
static pn_stored_grant lamp_until(const char *until)
{
    pn_stored_grant grant = {.who = guest, .until_us = PN_GRANT_FOR_EVER};

    (void)snprintf(grant.name, sizeof(grant.name), "lamp");
    if (until != NULL) {
        check("until", pn_grant_until_parse(until, &grant.until_us));
    }
    return grant;
}

/* The last step has the answer. */
static void print_answer(
    const char *when, pn_reason reason, pn_can_step *steps, size_t n)
{
    printf("%s: %s", when, reason == PN_REASON_NONE ? "yes" : "no");
    if (n > 0 && steps[n - 1].line > 0) {
        printf(", by line %zu, %s", steps[n - 1].line, steps[n - 1].grant.name);
    }
    printf("\n");
    free(steps);
}

static void ask(pn_node *node, const char *when)
{
    pn_can_step *steps = NULL;
    pn_reason reason;
    size_t n = 0;

    check("can", pn_can(node, &guest, "lamp", &reason, &steps, &n));
    print_answer(when, reason, steps, n);
}

static void beside_a_node(pn_node *node)
{
    static const char *const names[] = {"lamp", "MyApp.Led.set/1"};
    pn_stored_grant grant = lamp_until(NULL);
    pn_stored_line *lines = NULL;
    pn_beam_dist *table = NULL;
    pn_expose_options closed;
    size_t n = 0;

    pn_expose_options_init(&closed);
    closed.flags = PN_EXPOSE_CLOSED;
    check("expose", pn_expose(node, "lamp", on_lamp, NULL, &closed));
    check("serve", pn_beam_dist_serve(node, NULL, &closed, &table));
    check("export",
        pn_beam_dist_export(table, "MyApp.Led", "set", 1, on_lamp, NULL));
    ask(node, "at first");

    check("grant", pn_grant_stored(node, &grant, NULL));
    ask(node, "granted");
    check("ungrant", pn_ungrant_stored(node, &guest, "lamp", NULL));

    check("role", pn_set_role(node, "lights", names, 2, NULL));
    (void)snprintf(grant.name, sizeof(grant.name), "role:lights");
    check("grant of a role", pn_grant_stored(node, &grant, NULL));
    ask(node, "by a role");
    check("list", pn_list_stored_grants(node, &lines, &n, NULL));
    printf("%zu entries\n", n);
    free(lines);
    check("ungrant all", pn_ungrant_stored(node, &guest, NULL, NULL));
    ask(node, "taken back");

    /* What the program itself grants is no line of the file. */
    check("set", pn_set_grants(node, "lamp", false, &guest, 1));
    check("set of a function", pn_beam_dist_set_grants(table, "MyApp.Led",
                                   "set", 1, false, &guest, 1));
    ask(node, "by the program");
}

static void in_the_files(pn_store *store)
{
    pn_stored_grant grant = lamp_until("2200-01-01T00:00:00Z");
    pn_stored_line *lines = NULL;
    pn_can_step *steps = NULL;
    pn_reason reason;
    pn_why why = {0};
    size_t n = 0;

    check("grant", pn_store_grant(store, &grant, &why));
    check(
        "can", pn_store_can(store, &guest, "lamp", &reason, &steps, &n, &why));
    print_answer("in the files", reason, steps, n);
    check("ungrant", pn_store_ungrant(store, &guest, "lamp", &why));
    check("role", pn_store_set_role(store, "lights", NULL, 0, &why));
    check("list", pn_store_list_grants(store, &lines, &n, &why));
    printf("%zu entries are left\n", n);
    free(lines);
}

int main(int argc, char **argv)
{
    pn_node_options opt;
    pn_store *store = NULL;
    pn_node *node = NULL;
    pn_public_key key;
    pn_why why = {0};

    if (argc != 3 || pn_key_parse(argv[2], &key) != PN_OK) {
        fprintf(stderr, "usage: grants DIR KEY\n");
        return 2;
    }
    guest = pn_peernet_principal(&key);
    pn_node_options_init(&opt);
    opt.data_dir = argv[1];
    opt.listen_port = PN_PORT_NONE;
    check("open", pn_node_open(&opt, &node, &why));
    check("pair", pn_pair(node, &key, "guest"));
    beside_a_node(node);
    pn_node_close(node);
    check("open the files", pn_store_open(argv[1], &store, &why, NULL));
    in_the_files(store);
    pn_store_close(store);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may do what, and answers that take their time: a house and a guest, two
 * nodes in one process.
 *
 *     door DIR        prints each step; DIR/house and DIR/guest are made
 */
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "common.h"

static pn_node *house;
static pn_node *guest;
static pn_public_key house_key;
static pn_public_key guest_key;

/* ---- the house ----------------------------------------------------------- */

static _Atomic(pn_request *) at_the_door;

/* Somebody has to walk to the door first: the request is kept. */
static void on_door(pn_request *req, pn_term args, void *user)
{
    pn_request *kept = NULL;

    (void)args;
    (void)user;
    if (!pn_request_is_call(req)) {
        printf("%s: a note\n", pn_request_handle(req));
        return;
    }
    if (pn_request_defer(req, &kept) == PN_OK) {
        atomic_store(&at_the_door, kept);
    }
}

static void on_mirror(pn_request *req, pn_term args, void *user)
{
    (void)user;
    pn_request_reply_term(req, args);
}

/* From any thread; here, the program's own. */
static pn_request *walk_to_the_door(void)
{
    pn_request *req = NULL;

    while ((req = atomic_exchange(&at_the_door, NULL)) == NULL) {
        (void)usleep(1000);
    }
    return req;
}

/* ---- the guest --------------------------------------------------------- */

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

static void call(const char *what, const char *handle)
{
    pn_reply *reply = NULL;
    pn_err err = pn_call(
        guest, &house_key, handle, 5000, &reply, "{knock, ~i}", 3);

    show(what, err, pn_reply_term(reply));
    pn_reply_free(reply);
}

static atomic_bool answered;

static void on_answer(void *user, pn_err outcome, pn_term value)
{
    show(user, outcome, value);
    atomic_store(&answered, true);
}

/* A call that does not wait, and a send, with a term made before. */
static void ring(char *what, bool is_home)
{
    pn_term_writer w;
    pn_term knock;

    pn_term_writer_init(&w, 0);
    pn_term_write_format(&w, "{knock, ~i}", 3);
    if (pn_term_writer_finish(&w, NULL, &knock) != PN_OK
        || pn_send_term(guest, &house_key, "door", knock) != PN_OK
        || pn_call_async(
               guest, &house_key, "door", 5000, knock, on_answer, what)
               != PN_OK) {
        die(what, PN_NOT_CONNECTED);
    }
    if (is_home) {
        pn_request_reply(walk_to_the_door(), "{ok, ~s}", "come in");
    } else {
        pn_request_drop(walk_to_the_door());
    }
    while (!atomic_exchange(&answered, false)) {
        (void)usleep(1000);
    }
    pn_term_writer_free(&w);
}

/* ---- both -------------------------------------------------------------- */

static pn_node *open_node(const char *dir, const char *name)
{
    char path[512];
    pn_node_options opt;
    pn_node *node = NULL;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    pn_node_options_init(&opt);
    opt.data_dir = path;
    opt.listen_address = "127.0.0.1";
    opt.listen_port = 0;
    opt.linger_ms = 0; /* no Elixir node is among us */
    if (pn_node_open(&opt, &node) != PN_OK) {
        fprintf(stderr, "%s\n", pn_node_open_error());
        exit(1);
    }
    return node;
}

static void meet(const char *dir)
{
    char at[32];
    pn_err err;

    house = open_node(dir, "house");
    guest = open_node(dir, "guest");
    house_key = *pn_node_key(house);
    guest_key = *pn_node_key(guest);
    (void)snprintf(at, sizeof(at), "127.0.0.1:%u", pn_node_port(house));
    err = pn_pair(house, &guest_key, "guest");
    if (err == PN_OK || err == PN_EXISTS) {
        err = pn_pair(guest, &house_key, "house");
    }
    if (err == PN_OK || err == PN_EXISTS) {
        err = pn_connect(guest, &house_key, at);
    }
    if (err == PN_OK) {
        err = pn_wait_connected(guest, &house_key, 5000, NULL);
    }
    if (err != PN_OK) {
        die("meet", err);
    }
}

static void check(const char *what, pn_err err)
{
    if (err != PN_OK) {
        die(what, err);
    }
}

/* One line of the Prometheus text. */
static void print_calls(void)
{
    static const char label[] = "{kind=\"call\",direction=\"in\"} ";
    char *text = NULL;
    size_t len = 0;
    const char *at;

    check("metrics", pn_node_metrics_text(house, &text, &len));
    at = strstr(text, label);
    printf("calls in all: %ld\n",
        at == NULL ? -1 : strtol(at + strlen(label), NULL, 10));
    free(text);
}

int main(int argc, char **argv)
{
    static char at_home[] = "at home";
    static char away[] = "away";
    pn_principal who = {.family = PN_FAMILY_PEERNET};
    pn_expose_options closed;

    if (argc != 2) {
        fprintf(stderr, "usage: door DIR\n");
        return 2;
    }
    meet(argv[1]);
    who.key = guest_key;
    pn_expose_options_init(&closed);
    closed.flags = PN_EXPOSE_CLOSED;
    check("expose", pn_expose(house, "door", on_door, NULL, &closed));
    check("expose", pn_expose(house, "mirror", on_mirror, NULL, &closed));
    call("closed", "mirror");
    check("grant", pn_grant(house, "door", &who));
    ring(at_home, true);
    ring(away, false);
    check("ungrant", pn_ungrant(house, "door", &who));
    call("taken back", "door");
    check("grant", pn_grant_paired(house, "mirror"));
    call("for all who are paired", "mirror");
    check("revoke", pn_revoke(house, "mirror"));
    call("revoked", "mirror");
    print_calls();
    check("unpair", pn_unpair(house, &guest_key));
    printf("unpaired: %s\n", pn_connected(house, &guest_key) ? "up" : "down");
    pn_node_close(guest);
    pn_node_close(house);
    return 0;
}

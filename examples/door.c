/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grants, and answers that come later: a house and a guest, two nodes in one
 * process.
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
static atomic_bool has_left;

/* The request is not wanted any more, so work for it can stop. */
static void on_cancelled(void *user, pn_reason why)
{
    (void)user;
    (void)why;
    atomic_store(&has_left, true);
}

/* The answer comes later, when the door has been reached: defers the request.
 */
static void on_door(pn_request *req, pn_term args, void *user)
{
    pn_request *kept = NULL;

    (void)args;
    (void)user;
    if (!pn_request_is_call(req)) {
        printf("%s: a note\n", pn_request_handle(req));
        return;
    }
    if (pn_request_defer(req, &kept) != PN_OK) {
        return; /* the caller is answered an error */
    }
    /* The memory kept for it counts, so a flood of callers is bounded. */
    if (pn_request_hold(kept, 64) != PN_OK) {
        pn_request_fail(kept, "busy");
        return;
    }
    if (pn_request_on_cancel(kept, on_cancelled, NULL) != PN_OK) {
        pn_request_drop(kept);
        return;
    }
    atomic_store(&at_the_door, kept);
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

static void check(const char *what, pn_err err)
{
    if (err != PN_OK) {
        die(what, err);
    }
}

/* Takes the grant back while a request is deferred, and prints whether the
 * request is still wanted. */
static bool take_back(pn_request *req)
{
    bool is_wanted;

    check("ungrant", pn_ungrant(house, "door", pn_request_caller(req)));
    while (!atomic_exchange(&has_left, false)) {
        (void)usleep(1000);
    }
    is_wanted = pn_request_is_wanted(req);
    pn_request_drop(req);
    return is_wanted;
}

typedef enum host { AT_HOME, AWAY, UNWILLING } host;

/* A call that does not wait, and a send, with a term made before. */
static void ring(char *what, host who)
{
    pn_term_writer w;
    pn_term knock;
    bool is_wanted = true;

    pn_term_writer_init(&w, 0);
    pn_term_write_format(&w, "{knock, ~i}", 3);
    if (pn_term_writer_finish(&w, NULL, &knock) != PN_OK
        || pn_send_term(guest, &house_key, "door", knock) != PN_OK
        || pn_call_async(
               guest, &house_key, "door", 5000, knock, on_answer, what)
               != PN_OK) {
        die(what, PN_NOT_CONNECTED);
    }
    if (who == AT_HOME) {
        pn_request_reply(walk_to_the_door(), "{ok, ~s}", "come in");
    } else if (who == AWAY) {
        pn_request_drop(walk_to_the_door());
    } else {
        is_wanted = take_back(walk_to_the_door());
    }
    while (!atomic_exchange(&answered, false)) {
        (void)usleep(1000);
    }
    if (!is_wanted) {
        printf("not wanted any more\n");
    }
    pn_term_writer_free(&w);
}

/* ---- both -------------------------------------------------------------- */

/* From any thread; warnings and less are left out. */
static void on_log(void *user, const pn_log_event *event)
{
    (void)user;
    if (event->level == PN_LOG_ERROR) {
        (void)fprintf(stderr, "%s: %s\n", pn_log_text(event->what),
            event->text == NULL ? "" : event->text);
    }
}

static pn_node *open_node(const char *dir, const char *name)
{
    pn_why why = {0};
    char path[512];
    pn_node_options opt;
    pn_node *node = NULL;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    pn_node_options_init(&opt);
    opt.on_log = on_log;
    opt.data_dir = path;
    opt.listen_address = "127.0.0.1";
    opt.listen_port = 0;
    opt.linger_ms = 0; /* no Elixir node is among us */
    if (pn_node_open(&opt, &node, &why) != PN_OK) {
        fprintf(stderr, "%s\n", why.text);
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
        err = pn_set_label(guest, "the guest"); /* its own word for itself */
    }
    if (err == PN_OK) {
        err = pn_wait_connected(guest, &house_key, 5000, NULL);
    }
    if (err != PN_OK) {
        die("meet", err);
    }
}

static void print_grants(void)
{
    pn_grant_info *grants = NULL;
    size_t n = 0;

    check("grants", pn_list_grants(house, &grants, &n));
    for (size_t i = 0; i < n; i++) {
        bool is_guest = pn_key_equal(&grants[i].who.key.x25519, &guest_key);

        printf("%s: %s\n", grants[i].name,
            grants[i].is_paired ? "all who are paired"
            : is_guest          ? "the guest"
                                : "nobody");
    }
    free(grants);
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

static void print_guest(void)
{
    pn_peer_info info;
    pn_err err = pn_get_peer(house, &guest_key, &info);

    printf("the guest: %s\n", err != PN_OK               ? pn_err_name(err)
                              : info.state == PN_PEER_UP ? "up"
                                                         : "away");
}

int main(int argc, char **argv)
{
    static char at_home[] = "at home";
    static char away[] = "away";
    static char meanwhile[] = "taken back meanwhile";
    pn_principal who = {.family = PN_FAMILY_PEERNET};
    pn_expose_options closed;

    if (argc != 2) {
        fprintf(stderr, "usage: door DIR\n");
        return 2;
    }
    meet(argv[1]);
    who.key.x25519 = guest_key;
    pn_expose_options_init(&closed);
    closed.flags = PN_EXPOSE_CLOSED;
    check("expose", pn_expose(house, "door", on_door, NULL, &closed));
    check("expose", pn_expose(house, "mirror", on_mirror, NULL, &closed));
    call("closed", "mirror");
    check("grant", pn_grant(house, "door", &who));
    print_grants();
    ring(at_home, AT_HOME);
    ring(away, AWAY);
    ring(meanwhile, UNWILLING);
    call("taken back", "door");
    check("grant", pn_grant_paired(house, "mirror"));
    call("for all who are paired", "mirror");
    check("revoke", pn_revoke(house, "mirror"));
    call("revoked", "mirror");
    print_calls();
    print_guest();
    check("unpair", pn_unpair(house, &guest_key));
    print_guest();
    printf("unpaired: %s\n", pn_connected(house, &guest_key) ? "up" : "down");
    pn_node_close(guest);
    pn_node_close(house);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "two_nodes.h"

void make_dir(char path[static 64])
{
    (void)snprintf(path, 64, "/tmp/peernet-test-XXXXXX");
    if (mkdtemp(path) == NULL) {
        abort();
    }
}

static int remove_one(
    const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void remove_dir(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void two_nodes_options(pn_node_options *opt)
{
    pn_node_options_init(opt);
    opt->listen_address = "127.0.0.1";
    opt->listen_port = 0;
    opt->linger_ms = 0;
    opt->watch_network = false;
    /* Everything comes from one address here. */
    opt->source_per_second = 100000;
    opt->source_burst = 100000;
    opt->max_strangers_per_source = 128;
}

static void on_event(void *user, const pn_event *event)
{
    two_nodes *t = user;

    (void)pthread_mutex_lock(&t->lock);
    t->n_events[event->type]++;
    t->last_reason[event->type] = event->reason;
    if (event->text[0] != '\0') {
        (void)snprintf(t->last_text, sizeof(t->last_text), "%s", event->text);
        t->last_is_function = event->is_function;
    }
    (void)pthread_cond_broadcast(&t->changed);
    (void)pthread_mutex_unlock(&t->lock);
}

void node_address(const pn_node *node, char ret_text[static 32])
{
    (void)snprintf(ret_text, 32, "127.0.0.1:%u", pn_node_port(node));
}

static void open_one(two_nodes *t, bool is_alice,
    void (*change)(pn_node_options *opt, bool is_alice))
{
    pn_why why = {0};
    pn_node_options opt;
    pn_err err;

    two_nodes_options(&opt);
    opt.data_dir = is_alice ? t->alice_dir : t->bob_dir;
    opt.on_event = on_event;
    opt.user = t;
    if (change != NULL) {
        change(&opt, is_alice);
    }
    err = pn_node_open(&opt, is_alice ? &t->alice : &t->bob, &why);
    if (err != PN_OK) {
        fail_msg("open: %s: %s", pn_err_name(err), why.text);
    }
}

void two_nodes_open_apart(
    two_nodes *t, void (*change)(pn_node_options *opt, bool is_alice))
{
    memset(t, 0, sizeof(*t));
    (void)pthread_mutex_init(&t->lock, NULL);
    (void)pthread_cond_init(&t->changed, NULL);
    make_dir(t->alice_dir);
    make_dir(t->bob_dir);
    open_one(t, true, change);
    open_one(t, false, change);
    t->alice_key = *pn_node_key(t->alice);
    t->bob_key = *pn_node_key(t->bob);
    assert_int_equal(pn_pair(t->bob, &t->alice_key, "alice"), PN_OK);
}

void two_nodes_open(
    two_nodes *t, void (*change)(pn_node_options *opt, bool is_alice))
{
    char address[32];
    pn_why why = {0};

    two_nodes_open_apart(t, change);
    node_address(t->bob, address);
    assert_int_equal(pn_pair_at(t->alice, &t->bob_key, "bob", address), PN_OK);
    if (pn_wait_connected(t->alice, &t->bob_key, 10000, &why) != PN_OK
        || pn_wait_connected(t->bob, &t->alice_key, 10000, &why) != PN_OK) {
        fail_msg("not connected: %s", why.text);
    }
}

void two_nodes_reopen_bob(two_nodes *t)
{
    open_one(t, false, NULL);
}

void two_nodes_reopen_alice(
    two_nodes *t, void (*change)(pn_node_options *opt, bool is_alice))
{
    open_one(t, true, change);
}

void two_nodes_close(two_nodes *t)
{
    pn_node_close(t->alice);
    pn_node_close(t->bob);
    remove_dir(t->alice_dir);
    remove_dir(t->bob_dir);
    (void)pthread_cond_destroy(&t->changed);
    (void)pthread_mutex_destroy(&t->lock);
}

void two_nodes_wait(bool (*condition)(void *user), void *user)
{
    struct timespec pause = {.tv_nsec = 2000000};

    for (int i = 0; i < 5000; i++) {
        if (condition(user)) {
            return;
        }
        (void)nanosleep(&pause, NULL);
    }
    fail_msg("the condition did not come true within 10 s");
}

bool two_nodes_are_linked(void *user)
{
    const two_nodes *t = user;

    return pn_connected(t->alice, &t->bob_key)
           && pn_connected(t->bob, &t->alice_key);
}

bool two_nodes_are_apart(void *user)
{
    const two_nodes *t = user;

    return !pn_connected(t->alice, &t->bob_key);
}

void two_nodes_on_echo(pn_request *req, pn_term args, void *user)
{
    if (user != NULL) {
        atomic_fetch_add((atomic_int *)user, 1);
    }
    (void)pn_request_reply_term(req, args);
}

pn_err two_nodes_echo(two_nodes *t)
{
    return pn_call(t->alice, &t->bob_key, "echo", 10000, NULL, "~i", 1);
}

void on_gatepost(pn_request *req, pn_term args, void *user)
{
    struct timespec pause = {.tv_nsec = 1000000};
    gatepost *g = user;

    (void)req;
    (void)args;
    atomic_fetch_add(&g->n_inside, 1);
    for (int i = 0; i < 8000 && !atomic_load(&g->is_open); i++) {
        (void)nanosleep(&pause, NULL);
    }
    atomic_fetch_add(&g->n_left, 1);
}

bool gatepost_is_left(void *user)
{
    return atomic_load(&((gatepost *)user)->n_left) > 0;
}

bool gatepost_is_reached(void *user)
{
    const gatepost *g = user;

    return atomic_load(&g->n_inside) >= g->n_wanted;
}

void two_nodes_wait_event(two_nodes *t, pn_event_type type, unsigned n)
{
    struct timespec until;
    int r = 0;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    (void)pthread_mutex_lock(&t->lock);
    while (t->n_events[type] < n && r == 0) {
        r = pthread_cond_timedwait(&t->changed, &t->lock, &until);
    }
    if (t->n_events[type] < n) {
        (void)pthread_mutex_unlock(&t->lock);
        fail_msg("event %s came %u times, expected %u", pn_event_name(type),
            t->n_events[type], n);
    }
    (void)pthread_mutex_unlock(&t->lock);
}

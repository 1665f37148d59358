/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two real nodes in one process, on loopback TCP, paired with each other: alice
 * dials bob. Shared by the tests of the node.
 */
#ifndef PN_TESTS_TWO_NODES_H
#define PN_TESTS_TWO_NODES_H

#include <pthread.h>
#include <stdatomic.h>

#include <peernet/peernet.h>

#include "harness.h"

typedef struct two_nodes {
    char alice_dir[64];
    char bob_dir[64];
    pn_node *alice;
    pn_node *bob;
    pn_public_key alice_key;
    pn_public_key bob_key;
    /* Counted by the events of both. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned n_events[16];
    pn_reason last_reason[16];
    char last_text[256];
    bool last_is_function;
} two_nodes;

/* Options for quick tests: loopback, any port, no lingering. */
void two_nodes_options(pn_node_options *opt);
/* Opens, pairs, connects; ends the test when that fails. change (or NULL) is
 * called for each node's options first. */
void two_nodes_open(
    two_nodes *t, void (*change)(pn_node_options *opt, bool is_alice));
/* Opens only; bob has paired alice. */
void two_nodes_open_apart(
    two_nodes *t, void (*change)(pn_node_options *opt, bool is_alice));
void two_nodes_close(two_nodes *t);
/* Opens only one of them again on its directory, with its old key. */
void two_nodes_reopen_bob(two_nodes *t);
void two_nodes_reopen_alice(
    two_nodes *t, void (*change)(pn_node_options *opt, bool is_alice));
/* Waits until condition holds, at most 10 s; fails the test otherwise. */
void two_nodes_wait(bool (*condition)(void *user), void *user);
/* Waits until the event came n times. */
void two_nodes_wait_event(two_nodes *t, pn_event_type type, unsigned n);
/* For two_nodes_wait, user being the two_nodes: both ends are up, or alice is
 * not. */
bool two_nodes_are_linked(void *user);
bool two_nodes_are_apart(void *user);
/* A handler that answers with its argument; user (or NULL) is an atomic_int
 * that counts. */
void two_nodes_on_echo(pn_request *req, pn_term args, void *user);
/* Alice calls bob's "echo". */
pn_err two_nodes_echo(two_nodes *t);
/* A handler that runs until the test opens the gate, for 8 s at the most, and
 * does not answer. */
typedef struct gatepost {
    atomic_bool is_open;
    atomic_int n_inside; /* have been called so far */
    atomic_int n_left;   /* and have returned */
    int n_wanted;
    void *user; /* the test's */
} gatepost;

void on_gatepost(pn_request *req, pn_term args, void *user);
/* For two_nodes_wait: n_wanted have been called. */
bool gatepost_is_reached(void *user);
/* One has returned, by the gate or after 8 s. */
bool gatepost_is_left(void *user);
/* "HOST:PORT" of a node on loopback. */
void node_address(const pn_node *node, char ret_text[static 32]);
void make_dir(char path[static 64]);
void remove_dir(const char *path);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two nodes with Barrel parts in one process, alice@127.0.0.1 and
 * bob@127.0.0.1, over real QUIC on loopback; each finds the other by its
 * endpoint file. Bob exposes echo, slow, steady, inbox and secret, and serves
 * :calc.add/2.
 */
#ifndef PN_TESTS_TWO_BARRELS_H
#define PN_TESTS_TWO_BARRELS_H

#include <pthread.h>

#include <peernet/barrel.h>
#include <peernet/beam_dist.h>

#include "harness.h"

#define ALICE "alice@127.0.0.1"
#define BOB "bob@127.0.0.1"

typedef struct two_barrels {
    char dir[64]; /* of everything */
    pn_node *alice_node;
    pn_node *bob_node;
    pn_barrel *alice;
    pn_barrel *bob;
    pn_why why; /* why the last one did not open */
    pn_ed25519_key alice_key;
    pn_ed25519_key bob_key;
    pn_beam_dist *table; /* bob's */
    bool is_own_loop;    /* alice's loop is the application's */

    pthread_mutex_t lock;
    unsigned n_sent; /* messages that came to bob's "inbox" */
    char last_sent[256];
    unsigned n_logs;
    unsigned n_drained_logs; /* of messages that were too large */
    char last_log[512];
    char last_trust[512]; /* what changed, and which node */
    unsigned n_denied;
    char last_denied[512]; /* by whom, of what: a function has () behind it */
    char last_denied_log[512]; /* the same in the log, by the label */
    unsigned n_up;
    unsigned n_down;
    unsigned n_dial_failed;
    unsigned n_trust;
} two_barrels;

typedef void two_barrels_change(pn_barrel_options *options, bool is_alice);

/* Makes the keys; nothing is pinned, and no node is open. */
void two_barrels_init(two_barrels *t);
/* Pins each at the other. */
void two_barrels_pin(two_barrels *t);
/* Opens bob, then alice. */
void two_barrels_open(two_barrels *t, two_barrels_change *change);
/* init, pin, open, connect, and every grant there is. */
void two_barrels_connected(two_barrels *t, two_barrels_change *change);
/* Opens one; returns what pn_barrel_open does. */
pn_err two_barrels_open_one(
    two_barrels *t, bool is_alice, two_barrels_change *change);
void two_barrels_close_one(two_barrels *t, bool is_alice);
void two_barrels_grant(two_barrels *t);
/* Alice calls a process of bob's, or :calc.function there. request and args are
 * formats of terms; the answer, or "", stands in *ret_text, as in reply_text.
 */
pn_err alice_call(two_barrels *t, const char *process, const char *request,
    uint32_t timeout_ms, const char **ret_text);
pn_err alice_rpc(two_barrels *t, const char *function, const char *args,
    const char **ret_text);
/* The answer as text, "" for NULL, and frees it; static storage of the last
 * four calls. */
const char *reply_text(pn_reply *reply);
/* A binary of len zeros; w is the caller's to free. */
pn_term zeros_term(pn_term_writer *w, size_t len);
/* A handler, user being t: notes what came in last_sent, and answers "ok". */
void two_barrels_on_sent(pn_request *req, pn_term args, void *user);
void two_barrels_fini(two_barrels *t);
/* "DIR/NAME/PART" of one of them; static storage of the last four calls. */
const char *two_barrels_path(
    const two_barrels *t, bool is_alice, const char *part);
/* Waits until *counter (under the lock) is at least n; fails after 10 s. */
void two_barrels_wait(two_barrels *t, const unsigned *counter, unsigned n);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node that is closed while threads and handlers are inside one of its
 * functions that wait. The tests of closing share it, with Barrel and without.
 */
#ifndef PN_TESTS_CLOSING_H
#define PN_TESTS_CLOSING_H

#include <pthread.h>
#include <stdatomic.h>

#include <peernet/peernet.h>

#include "harness.h"

enum { CLOSING_THREADS_MAX = 12 };

typedef struct closing {
    pn_err (*wait)(void *user); /* calls the function */
    void *user;
    bool is_edit; /* closing finishes an edit that is under way */
    pn_node *node;
    uint32_t n_inside; /* callers of wait that closing_wait_inside expects */
    uint32_t n_threads;
    pthread_t threads[CLOSING_THREADS_MAX];
    atomic_uint n_ended;
    atomic_uint n_closed; /* with PN_CLOSED */
} closing;

/* Starts n threads that call wait once each. */
void closing_start_threads(closing *c, uint32_t n);
/* A handler that calls wait once; user is the closing. */
void closing_on_wait(pn_request *req, pn_term args, void *user);
/* Waits until n_inside callers are inside the node. */
void closing_wait_inside(closing *c);
/* Joins the threads. Every caller has returned, with PN_CLOSED unless wait is
 * an edit. */
void closing_assert_ended(closing *c);

/* A handler of the peer that keeps each request until it is cancelled. */
void closing_on_keep(pn_request *req, pn_term args, void *user);
/* [7] */
pn_term closing_term(void);

#endif

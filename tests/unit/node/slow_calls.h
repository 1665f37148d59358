/* SPDX-License-Identifier: Apache-2.0 */
/* Handlers and calls that the tests of calls share. */
#ifndef PN_TESTS_SLOW_CALLS_H
#define PN_TESTS_SLOW_CALLS_H

#include <stdatomic.h>

#include "node/node_internal.h"
#include "two_nodes.h"

void sleep_ms(long ms);

void on_echo(pn_request *req, pn_term args, void *user);

/* Bob's answer to a call of alice, as text. */
void assert_call(two_nodes *t, const char *handle, const char *args,
    pn_err want, const char *want_text);

/* An outcome, and whether it has come. */
typedef struct result {
    atomic_int n;
    pn_err outcome;
    int value;
} result;

void on_done(void *user, pn_err outcome, pn_term value);

bool is_done(void *user);

void on_slow(pn_request *req, pn_term args, void *user);

#endif

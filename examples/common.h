/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the examples: opening a node, printing errors. */
#ifndef EXAMPLES_COMMON_H
#define EXAMPLES_COMMON_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <peernet/peernet.h>

static volatile sig_atomic_t stopped;

static inline void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

static inline void stop_on_signals(void)
{
    (void)signal(SIGINT, on_signal);
    (void)signal(SIGTERM, on_signal);
}

static inline void die(const char *what, pn_err err)
{
    fprintf(stderr, "%s: %s\n", what, pn_strerror(err));
    exit(1);
}

/* Prints "key BASE32" and "port N", which the other side needs. */
static inline void introduce(const pn_node *node)
{
    char key[PN_BASE32_LEN + 1];

    pn_key_to_base32(pn_node_key(node), key);
    printf("key %s\nport %u\n", key, pn_node_port(node));
    (void)fflush(stdout);
}

#endif

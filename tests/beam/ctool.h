/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A C node that answers the commands of Peer.Control (peer/control.ex) on
 * standard input, by the public API alone. A test talks to it and to the
 * Elixir peer in the same words.
 */
#ifndef PN_TESTS_BEAM_CTOOL_H
#define PN_TESTS_BEAM_CTOOL_H

#include <pthread.h>
#include <stdio.h>

#include <peernet/peernet.h>

/* Lines that wait to be asked for; newest last. Thread: any. */
typedef struct ctool_lines {
    pthread_mutex_t lock;
    char **lines;
    size_t n;
} ctool_lines;

void ctool_lines_add(ctool_lines *l, char *line); /* takes line */
/* Prints "[a, b]" and forgets them. */
void ctool_lines_flush(ctool_lines *l, FILE *out);

extern ctool_lines ctool_seen;  /* arguments the `sink` handle was given */
extern ctool_lines ctool_notes; /* events of the node */

/* Opens a handle of one of the kinds of `expose`; false for an unknown kind. */
bool ctool_expose(
    pn_node *node, const char *kind, const char *name, pn_err *ret_err);

/* Ends the program with a sentence when there is no memory. */
void *ctool_alloc(void *p, size_t n);
char *ctool_printf(const char *format, ...) PN_PRINTF(1, 2);
/* A term as text; malloc'ed. */
char *ctool_term_text(pn_term term);

#endif

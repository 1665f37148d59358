/* SPDX-License-Identifier: Apache-2.0 */
/* A walk over a whole term, one event at a time, without recursion. */
#ifndef PN_TERM_WALK_H
#define PN_TERM_WALK_H

#include "term/stack.h"

typedef enum pn_walk_event {
    WALK_END,   /* the whole term has been walked */
    WALK_ERROR, /* no memory, or bytes that were never checked */
    WALK_VALUE, /* term is no container, or an empty one */
    WALK_OPEN,  /* a container that is not empty; its frame is on top */
    WALK_CLOSE  /* closed is the frame that was */
} pn_walk_event;

/* The frame of a container: kind is its pn_term_type, left and total count its
 * terms (of a map keys and values, of a list its tail as well). */
typedef struct pn_walk {
    pn_term_reader r;
    pn_stack open;
    pn_stack_item closed;
    pn_term term; /* WALK_VALUE: the value */
    bool is_begun;
    pn_err err;
} pn_walk;

void pn_walk_init(pn_walk *w, pn_term term);
void pn_walk_fini(pn_walk *w);
pn_walk_event pn_walk_next(pn_walk *w);

#endif

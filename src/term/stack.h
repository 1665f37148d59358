/* SPDX-License-Identifier: Apache-2.0 */
/* The containers a walk over a term is inside of: no recursion on input. */
#ifndef PN_TERM_STACK_H
#define PN_TERM_STACK_H

#include <peernet/term.h>

typedef struct pn_stack_item {
    uint32_t left;  /* terms still to come */
    uint32_t total; /* terms in all */
    uint32_t index; /* for the user, as flag is */
    uint8_t kind;
    uint8_t flag;
} pn_stack_item;

/* Zero-filled is an empty one. */
typedef struct pn_stack {
    pn_stack_item *items;
    size_t n;
    size_t cap;
} pn_stack;

/* Errors: PN_NOMEM. */
PN_MUST_USE pn_err pn_stack_push(pn_stack *s, pn_stack_item item);
/* NULL when empty; valid until the next push. */
pn_stack_item *pn_stack_top(pn_stack *s);
void pn_stack_pop(pn_stack *s);
void pn_stack_fini(pn_stack *s);

#endif

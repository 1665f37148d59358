/* SPDX-License-Identifier: Apache-2.0 */
/* The containers a walk is inside of; see stack.h. */
#include <stdlib.h>
#include <string.h>

#include "term/stack.h"

static pn_stack_item *stack_items(pn_stack *s)
{
    return s->items != NULL ? s->items : s->first;
}

static pn_err stack_grow(pn_stack *s)
{
    size_t cap = s->items == NULL ? 4 * STACK_FIRST : 2 * s->cap;
    pn_stack_item *items = realloc(s->items, cap * sizeof(*items));

    if (items == NULL) {
        return PN_NOMEM;
    }
    if (s->items == NULL) {
        memcpy(items, s->first, sizeof(s->first));
    }
    s->items = items;
    s->cap = cap;
    return PN_OK;
}

pn_err pn_stack_push(pn_stack *s, pn_stack_item item)
{
    size_t cap = s->items == NULL ? STACK_FIRST : s->cap;

    if (s->n == cap) {
        pn_err err = stack_grow(s);

        if (err != PN_OK) {
            return err;
        }
    }
    stack_items(s)[s->n++] = item;
    return PN_OK;
}

pn_stack_item *pn_stack_top(pn_stack *s)
{
    return s->n == 0 ? NULL : &stack_items(s)[s->n - 1];
}

void pn_stack_pop(pn_stack *s)
{
    s->n--;
}

void pn_stack_fini(pn_stack *s)
{
    free(s->items);
    *s = (pn_stack){0};
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Open containers; see stack.h. */
#include <stdlib.h>

#include "base/assert.h"
#include "base/grow.h"
#include "term/stack.h"

pn_err pn_stack_push(pn_stack *s, pn_stack_item item)
{
    if (!pn_grow(&s->items, &s->cap, s->n, sizeof(item))) {
        return PN_NOMEM;
    }
    s->items[s->n++] = item;
    return PN_OK;
}

pn_stack_item *pn_stack_top(pn_stack *s)
{
    return s->n == 0 ? NULL : &s->items[s->n - 1];
}

void pn_stack_pop(pn_stack *s)
{
    assert(s->n > 0);
    s->n--;
}

void pn_stack_fini(pn_stack *s)
{
    free(s->items);
    *s = (pn_stack){0};
}

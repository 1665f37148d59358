/* SPDX-License-Identifier: Apache-2.0 */
/* A walk over a whole term; see walk.h. */
#include "term/walk.h"

void pn_walk_init(pn_walk *w, pn_term term)
{
    *w = (pn_walk){.err = PN_OK};
    pn_term_reader_init(&w->r, term);
}

void pn_walk_fini(pn_walk *w)
{
    pn_stack_fini(&w->open);
}

static pn_walk_event walk_fail(pn_walk *w, pn_err err)
{
    w->err = err;
    return WALK_ERROR;
}

static pn_walk_event walk_open(pn_walk *w, pn_term_type type, uint64_t n)
{
    pn_stack_item item = {
        .left = (uint32_t)n, .total = (uint32_t)n, .kind = (uint8_t)type};
    pn_err err = n > UINT32_MAX ? PN_INVALID : pn_stack_push(&w->open, item);

    return err == PN_OK ? WALK_OPEN : walk_fail(w, err);
}

/* Opens the next element if it is a container with terms in it, else takes it.
 * */
static pn_walk_event walk_element(pn_walk *w)
{
    pn_term_type type = pn_term_reader_peek(&w->r);
    pn_term_reader inside = w->r;
    uint64_t n = 0;

    if (type == PN_TERM_TUPLE) {
        n = pn_term_read_tuple(&inside);
    } else if (type == PN_TERM_MAP) {
        n = 2 * (uint64_t)pn_term_read_map(&inside);
    } else if (type == PN_TERM_LIST) {
        n = pn_term_read_list(&inside);
        n += n > 0 ? 1 : 0;
    }
    if (n > 0) {
        w->r = inside;
        return walk_open(w, type, n);
    }
    w->term = pn_term_read_any(&w->r);
    return w->r.err == PN_OK ? WALK_VALUE : walk_fail(w, PN_INVALID);
}

pn_walk_event pn_walk_next(pn_walk *w)
{
    pn_stack_item *top = pn_stack_top(&w->open);

    if (w->err != PN_OK) {
        return WALK_ERROR;
    }
    if (top == NULL && w->is_begun) {
        return pn_term_reader_finish(&w->r) == PN_OK ? WALK_END
                                                     : walk_fail(w, PN_INVALID);
    }
    if (top != NULL && top->left == 0) {
        w->closed = *top;
        pn_stack_pop(&w->open);
        return WALK_CLOSE;
    }
    if (top != NULL) {
        top->left--;
    }
    w->is_begun = true;
    return walk_element(w);
}

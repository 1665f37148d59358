/* SPDX-License-Identifier: Apache-2.0 */
#include "closing.h"

#include <stdlib.h>

#include "node/node_internal.h"
#include "two_nodes.h"

static void *wait_main(void *arg)
{
    closing *c = arg;

    atomic_fetch_add(&c->n_closed, c->wait(c->user) == PN_CLOSED);
    atomic_fetch_add(&c->n_ended, 1);
    return NULL;
}

void closing_start_threads(closing *c, uint32_t n)
{
    assert_true(n <= CLOSING_THREADS_MAX);
    c->n_inside = n;
    for (; c->n_threads < n; c->n_threads++) {
        assert_int_equal(
            pthread_create(&c->threads[c->n_threads], NULL, wait_main, c), 0);
    }
}

void closing_on_wait(pn_request *req, pn_term args, void *user)
{
    (void)req;
    (void)args;
    (void)wait_main(user);
}

/* Each caller has a reference to the node, as has the turn of an own loop. */
static bool all_are_inside(void *user)
{
    closing *c = user;
    uint32_t refs;

    pn_node_lock(c->node);
    refs = c->node->refs
           - (!c->node->turn.has_thread && c->node->turn.is_running);
    pn_node_unlock(c->node);
    return refs >= 1 + c->n_inside;
}

void closing_wait_inside(closing *c)
{
    two_nodes_wait(all_are_inside, c);
}

void closing_assert_ended(closing *c)
{
    for (uint32_t i = 0; i < c->n_threads; i++) {
        assert_int_equal(pthread_join(c->threads[i], NULL), 0);
    }
    assert_int_equal(atomic_load(&c->n_ended), c->n_inside);
    if (!c->is_edit) {
        assert_int_equal(atomic_load(&c->n_closed), c->n_inside);
    }
}

static void drop_kept(void *user, pn_reason why)
{
    (void)why;
    pn_request_drop(user);
}

void closing_on_keep(pn_request *req, pn_term args, void *user)
{
    pn_request *kept = NULL;

    (void)args;
    (void)user;
    if (pn_request_defer(req, &kept) == PN_OK
        && pn_request_on_cancel(kept, drop_kept, kept) != PN_OK) {
        abort();
    }
}

pn_term closing_term(void)
{
    static const uint8_t list[] = {107, 0, 1, 7};

    return (pn_term){list, sizeof(list)};
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The list of a link's calls and their deadlines (src/link/call.h). */
#include <stdlib.h>

#include "harness.h"
#include "node/node_internal.h"

static unsigned n_expired;

static void on_expire(pn_link *link, pn_call_op *call)
{
    assert_null(call->item.list);
    assert_true(call->deadline_us <= 20);
    n_expired++;
    (void)link;
}

enum { N_ALL = 3 };
static pn_call_op all[N_ALL];

/* As when the end of one call ends the link. */
static void on_expire_all(pn_link *link, pn_call_op *call)
{
    (void)link;
    (void)call;
    n_expired++;
    for (size_t i = 0; i < N_ALL; i++) {
        pn_list_remove(&all[i].item);
    }
}

static void link_make(pn_link *link, const pn_link_ops *ops)
{
    *link = (pn_link){.ops = ops, .node = calloc(1, sizeof(pn_node))};
    assert_non_null(link->node);
    link->node->turn.owner = pthread_self();
    n_expired = 0;
}

static void test_expire(void **state)
{
    static const uint64_t deadlines[] = {50, 10, 30, 10, 40, 20};
    static const pn_link_ops ops = {.expire_call = on_expire};
    pn_call_op calls[6] = {{.user = NULL}};
    pn_link link;

    (void)state;
    link_make(&link, &ops);
    assert_int_equal(pn_call_deadline(&link), PN_TIME_NEVER);
    for (size_t i = 0; i < 6; i++) {
        pn_call_keep(&link, &calls[i], deadlines[i]);
    }
    assert_int_equal(pn_call_deadline(&link), 10);
    pn_call_expire(&link, 9);
    assert_int_equal(n_expired, 0);
    pn_call_expire(&link, 20);
    assert_int_equal(n_expired, 3);
    assert_int_equal(pn_call_deadline(&link), 30);
    assert_int_equal(link.calls.n, 3);
    assert_ptr_equal(link.calls.first, &calls[0].item);
    assert_ptr_equal(link.calls.last, &calls[4].item);
    pn_call_keep(&link, &calls[0], 25);
    assert_int_equal(pn_call_deadline(&link), 25);
    for (size_t i = 0; i < 6; i++) {
        pn_list_remove(&calls[i].item);
    }
    assert_int_equal(link.calls.n, 0);
    assert_null(link.calls.first);
    assert_null(link.calls.last);
    assert_int_equal(pn_call_deadline(&link), PN_TIME_NEVER);
    free(link.node);
}

static void test_expire_ends_all(void **state)
{
    static const pn_link_ops ops = {.expire_call = on_expire_all};
    pn_link link;

    (void)state;
    link_make(&link, &ops);
    for (size_t i = 0; i < N_ALL; i++) {
        pn_call_keep(&link, &all[i], i == 2 ? 6 : 5);
    }
    pn_call_expire(&link, 5);
    assert_int_equal(n_expired, 1);
    assert_int_equal(link.calls.n, 0);
    free(link.node);
}

int main(void)
{
    pn_test_add("node/call_list/expire", test_expire, NULL);
    pn_test_add("node/call_list/expire_ends_all", test_expire_ends_all, NULL);
    return pn_test_run("node/call_list");
}

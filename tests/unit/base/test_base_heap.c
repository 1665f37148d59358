/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"
#include "harness.h"

static void test_base_heap_empty(void **state)
{
    pn_heap h = {0};

    (void)state;
    assert_null(pn_heap_first(&h));
    assert_true(pn_heap_deadline(&h) == PN_TIME_NEVER);
    assert_int_equal(pn_heap_reserve(&h, SIZE_MAX), PN_NOMEM);
    pn_heap_fini(&h);
}

static void test_base_heap_never_takes_out(void **state)
{
    pn_heap h = {0};
    pn_heap_node node = {0};

    (void)state;
    assert_int_equal(pn_heap_reserve(&h, 1), PN_OK);
    pn_heap_set(&h, &node, PN_TIME_NEVER);
    assert_null(pn_heap_first(&h));
    pn_heap_set(&h, &node, 5);
    assert_ptr_equal(pn_heap_first(&h), &node);
    assert_int_equal(pn_heap_deadline(&h), 5);
    pn_heap_set(&h, &node, PN_TIME_NEVER);
    assert_null(pn_heap_first(&h));
    pn_heap_set(&h, &node, PN_TIME_NEVER);
    assert_int_equal(h.n, 0);
    pn_heap_fini(&h);
}

/* Against a search through all nodes. */
static void test_base_heap_first_is_the_earliest(void **state)
{
    enum { N = 97 };
    pn_heap h = {0};
    pn_heap_node nodes[N] = {{0}};
    uint64_t seed = 3;

    (void)state;
    assert_int_equal(pn_heap_reserve(&h, N), PN_OK);
    for (unsigned i = 0; i < N; i++) {
        nodes[i].at_us = PN_TIME_NEVER;
    }
    for (unsigned step = 0; step < 20000; step++) {
        pn_heap_node *node = &nodes[pn_test_random(&seed) % N];
        uint64_t at = pn_test_random(&seed) % 1000;
        uint64_t earliest = PN_TIME_NEVER;

        pn_heap_set(&h, node, at < 200 ? PN_TIME_NEVER : at);
        for (unsigned i = 0; i < N; i++) {
            earliest = nodes[i].at_us < earliest ? nodes[i].at_us : earliest;
        }
        assert_true(pn_heap_deadline(&h) == earliest);
    }
    pn_heap_fini(&h);
}

int main(void)
{
    pn_test_add("base/heap/empty", test_base_heap_empty, NULL);
    pn_test_add(
        "base/heap/never_takes_out", test_base_heap_never_takes_out, NULL);
    pn_test_add("base/heap/first_is_the_earliest",
        test_base_heap_first_is_the_earliest, NULL);
    return pn_test_run("base/heap");
}

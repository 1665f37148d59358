/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "harness.h"

static pn_public_key key_of(unsigned n)
{
    pn_public_key key = {{0}};

    memcpy(key.bytes + 28, &n, 4);
    return key;
}

static void test_base_map_empty(void **state)
{
    pn_map m = {.max = 4};
    pn_public_key key = key_of(1);
    size_t cursor = 0;

    (void)state;
    assert_null(pn_map_get(&m, &key));
    assert_null(pn_map_remove(&m, &key));
    assert_null(pn_map_next(&m, &cursor));
    pn_map_fini(&m);
}

static void test_base_map_refuses_a_key_twice(void **state)
{
    pn_map m = {.max = 4};
    pn_public_key key = key_of(1);
    int a;
    int b;

    (void)state;
    assert_int_equal(pn_map_put(&m, &key, &a), PN_OK);
    assert_int_equal(pn_map_put(&m, &key, &b), PN_EXISTS);
    assert_ptr_equal(pn_map_get(&m, &key), &a);
    assert_int_equal(m.n, 1);
    pn_map_fini(&m);
}

static void test_base_map_limit(void **state)
{
    size_t max = (size_t)(uintptr_t)*state;
    pn_map m = {.max = max};
    pn_public_key key;

    for (unsigned i = 0; i < max; i++) {
        key = key_of(i);
        assert_int_equal(pn_map_put(&m, &key, &m), PN_OK);
    }
    key = key_of((unsigned)max);
    assert_int_equal(pn_map_put(&m, &key, &m), PN_FULL);
    assert_int_equal(m.n, max);
    if (max > 0) {
        pn_public_key first = key_of(0);

        assert_ptr_equal(pn_map_remove(&m, &first), &m);
        assert_int_equal(pn_map_put(&m, &key, &m), PN_OK);
    }
    pn_map_fini(&m);
}

/* Against an array: after every insertion and removal both have the same
 * entries. */
static void test_base_map_as_an_array(void **state)
{
    enum { N = 300 };
    pn_map m = {.max = N};
    char marks[N];
    bool in[N] = {false};
    size_t n = 0;
    uint64_t seed = 11;

    (void)state;
    for (unsigned step = 0; step < 60000; step++) {
        unsigned i = (unsigned)(pn_test_random(&seed) % N);
        pn_public_key key = key_of(i);

        assert_ptr_equal(pn_map_get(&m, &key), in[i] ? &marks[i] : NULL);
        if (pn_test_random(&seed) % 2 == 0) {
            assert_int_equal(
                pn_map_put(&m, &key, &marks[i]), in[i] ? PN_EXISTS : PN_OK);
            n += !in[i];
            in[i] = true;
        } else {
            assert_ptr_equal(pn_map_remove(&m, &key), in[i] ? &marks[i] : NULL);
            n -= in[i];
            in[i] = false;
        }
        assert_int_equal(m.n, n);
    }
    for (unsigned i = 0; i < N; i++) {
        pn_public_key key = key_of(i);

        assert_ptr_equal(pn_map_get(&m, &key), in[i] ? &marks[i] : NULL);
    }
    /* Never more than its keys need. */
    assert_true(m.n_slots <= 1024);
    pn_map_fini(&m);
}

static void test_base_map_visits_each_once(void **state)
{
    enum { N = 100 };
    pn_map m = {.max = N};
    char marks[N];
    int seen[N] = {0};
    size_t cursor = 0;
    char *value;

    (void)state;
    for (unsigned i = 0; i < N; i++) {
        pn_public_key key = key_of(i);

        assert_int_equal(pn_map_put(&m, &key, &marks[i]), PN_OK);
    }
    while ((value = pn_map_next(&m, &cursor)) != NULL) {
        seen[value - marks]++;
    }
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(seen[i], 1);
    }
    pn_map_fini(&m);
}

int main(void)
{
    pn_test_add("base/map/empty", test_base_map_empty, NULL);
    pn_test_add("base/map/refuses_a_key_twice",
        test_base_map_refuses_a_key_twice, NULL);
    for (uintptr_t max = 0; max <= 130; max += 13) {
        pn_test_addf(test_base_map_limit, (void *)max, "base/map/limit_%u",
            (unsigned)max);
    }
    pn_test_add("base/map/as_an_array", test_base_map_as_an_array, NULL);
    pn_test_add(
        "base/map/visits_each_once", test_base_map_visits_each_once, NULL);
    return pn_test_run("base/map");
}

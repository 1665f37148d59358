/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/buf.h"
#include "harness.h"

static void test_base_buf_append_consume(void **state)
{
    pn_buf b = {0};

    (void)state;
    assert_int_equal(pn_buf_append(&b, "hello", 5), PN_OK);
    assert_int_equal(pn_buf_append(&b, " world", 6), PN_OK);
    assert_int_equal(pn_buf_used(&b), 11);
    pn_buf_consume(&b, 6);
    assert_int_equal(pn_buf_used(&b), 5);
    assert_memory_equal(pn_buf_head(&b), "world", 5);
    pn_buf_consume(&b, 99);
    assert_int_equal(pn_buf_used(&b), 0);
    assert_int_equal(b.off, 0);
    pn_buf_fini(&b);
}

/* Random appends and consumes: the bytes come out in order. */
static void test_base_buf_is_a_queue(void **state)
{
    pn_buf b = {0};
    uint64_t seed = 7;
    uint8_t next_in = 0;
    uint8_t next_out = 0;

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t chunk[97];
        size_t n = pn_test_random(&seed) % sizeof(chunk);

        for (size_t k = 0; k < n; k++) {
            chunk[k] = next_in++;
        }
        assert_int_equal(pn_buf_append(&b, chunk, n), PN_OK);
        n = pn_test_random(&seed) % (pn_buf_used(&b) + 1);
        for (size_t k = 0; k < n; k++) {
            assert_int_equal(pn_buf_head(&b)[k], next_out++);
        }
        pn_buf_consume(&b, n);
    }
    pn_buf_fini(&b);
}

static void test_base_buf_refuses_overflow(void **state)
{
    pn_buf b = {0};

    (void)state;
    assert_int_equal(pn_buf_append(&b, "x", 1), PN_OK);
    assert_int_equal(pn_buf_reserve(&b, SIZE_MAX), PN_NOMEM);
    assert_int_equal(pn_buf_reserve(&b, SIZE_MAX / 4), PN_NOMEM);
    assert_int_equal(pn_buf_used(&b), 1);
    pn_buf_fini(&b);
}

static void test_base_buf_trim(void **state)
{
    pn_buf b = {0};

    (void)state;
    assert_int_equal(pn_buf_reserve(&b, 5000), PN_OK);
    assert_int_equal(pn_buf_append(&b, "x", 1), PN_OK);
    pn_buf_trim(&b, 100);
    assert_non_null(b.data);
    pn_buf_consume(&b, 1);
    pn_buf_trim(&b, 100);
    assert_null(b.data);
}

int main(void)
{
    pn_test_add("base/buf/append_consume", test_base_buf_append_consume, NULL);
    pn_test_add("base/buf/is_a_queue", test_base_buf_is_a_queue, NULL);
    pn_test_add(
        "base/buf/refuses_overflow", test_base_buf_refuses_overflow, NULL);
    pn_test_add("base/buf/trim", test_base_buf_trim, NULL);
    return pn_test_run("base/buf");
}

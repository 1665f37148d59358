/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bucket.h"

#include "base/env.h"
#include "harness.h"

/* The number of tokens of `us` that a caller takes that asks every
 * `step_us`. */
static uint64_t taken(uint32_t per_second, uint64_t us, uint64_t step_us)
{
    pn_bucket b = {0};
    uint64_t n = 0;

    for (uint64_t at = 1; at <= us; at += step_us) {
        n += pn_bucket_take(&b, at, per_second, per_second);
    }
    return n;
}

/* Frequent calls lose no fractions: under a flood there are as many tokens as
 * without one. */
static void test_base_bucket_rate(void **state)
{
    static const uint32_t rates[] = {1, 3, 10, 20, 500, 10000};
    static const uint64_t steps_us[] = {1, 7, 49, 51, 99, 199, 333, 999};

    (void)state;
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        for (size_t k = 0; k < sizeof(steps_us) / sizeof(steps_us[0]); k++) {
            const uint64_t n = taken(rates[i], 4 * PN_US_PER_S, steps_us[k]);
            const uint64_t asked = 4 * PN_US_PER_S / steps_us[k];
            const uint64_t most = (uint64_t)rates[i] * 5;

            assert_true(n <= most);
            assert_true(n + 1 >= (asked < most ? asked : most));
        }
    }
}

static void test_base_bucket_burst(void **state)
{
    pn_bucket b = {0};

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_true(pn_bucket_take(&b, 5, 1, 3));
    }
    assert_false(pn_bucket_take(&b, 5, 1, 3));
    assert_false(pn_bucket_take(&b, 5 + PN_US_PER_S - 1, 1, 3));
    assert_true(pn_bucket_take(&b, 5 + PN_US_PER_S, 1, 3));
    assert_false(pn_bucket_take(&b, 5 + PN_US_PER_S, 1, 3));
    /* Never more than the burst. */
    for (int i = 0; i < 3; i++) {
        assert_true(pn_bucket_take(&b, 100 * PN_US_PER_S, 1, 3));
    }
    assert_false(pn_bucket_take(&b, 100 * PN_US_PER_S, 1, 3));
    /* A clock that stands still or goes back fills nothing. */
    assert_false(pn_bucket_take(&b, 99 * PN_US_PER_S, 1, 3));
}

/* Nothing overflows: the largest rate, after ages. */
static void test_base_bucket_extremes(void **state)
{
    pn_bucket b = {0};

    (void)state;
    assert_true(pn_bucket_take(&b, 1, UINT32_MAX, UINT32_MAX));
    assert_true(pn_bucket_take(&b, 3600 * PN_US_PER_S, UINT32_MAX, UINT32_MAX));
    assert_true(pn_bucket_take(&b, UINT64_MAX, UINT32_MAX, UINT32_MAX));
    b = (pn_bucket){0};
    assert_true(pn_bucket_take(&b, 1, 0, 1));
    assert_true(pn_bucket_take(&b, 2, 0, 1)); /* 0: no limit */
}

int main(void)
{
    pn_test_add("base/bucket/rate", test_base_bucket_rate, NULL);
    pn_test_add("base/bucket/burst", test_base_bucket_burst, NULL);
    pn_test_add("base/bucket/extremes", test_base_bucket_extremes, NULL);
    return pn_test_run("base/bucket");
}

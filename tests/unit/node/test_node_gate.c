/* SPDX-License-Identifier: Apache-2.0 */
/* T2, T3: limits on strangers, each one below, at, and above. */
#include <string.h>

#include "base/escape.h"
#include "harness.h"
#include "link/gate.h"

static uint8_t next_draw;

static pn_err fixed_random(void *user, uint8_t *buf, size_t len)
{
    (void)user;
    memset(buf, next_draw, len);
    return PN_OK;
}

static const pn_env env = {.random = fixed_random};

static const pn_gate_limits roomy = {
    .max_strangers = 1000000,
    .max_strangers_per_source = 1000000,
    .strangers_per_second = 1000000,
    .source_per_second = 1000000,
    .source_burst = 1000000,
};

static pn_gate *gate_of(pn_gate_limits limits)
{
    static pn_gate gate;

    next_draw = 255; /* no connection is dropped early */
    pn_gate_init(&gate, &limits, &env);
    return &gate;
}

static void test_gate_all(void **state)
{
    pn_gate_limits l = roomy;
    pn_gate *g;

    (void)state;
    l.max_strangers = 3;
    g = gate_of(l);
    for (uint64_t i = 1; i <= 3; i++) {
        assert_true(pn_gate_enter(g, i, false, 1));
    }
    assert_false(pn_gate_enter(g, 4, false, 1));
    pn_gate_leave(g, 2);
    assert_true(pn_gate_enter(g, 4, false, 1));
    assert_int_equal(g->strangers, 3);
}

static void test_gate_per_source(void **state)
{
    pn_gate_limits l = roomy;
    pn_gate *g;

    (void)state;
    l.max_strangers_per_source = 2;
    g = gate_of(l);
    assert_true(pn_gate_enter(g, 7, false, 1));
    assert_true(pn_gate_enter(g, 7, false, 1));
    assert_false(pn_gate_enter(g, 7, false, 1));
    assert_true(pn_gate_enter(g, 8, false, 1));
    pn_gate_leave(g, 7);
    assert_true(pn_gate_enter(g, 7, false, 1));
}

static void test_gate_reserve_is_for_known_sources(void **state)
{
    pn_gate_limits l = roomy;
    pn_gate *g;

    (void)state;
    l.max_strangers = 4;
    l.trusted_reserve = 2;
    g = gate_of(l);
    assert_true(pn_gate_enter(g, 1, false, 1));
    assert_true(pn_gate_enter(g, 2, false, 1));
    assert_false(pn_gate_enter(g, 3, false, 1));
    assert_true(pn_gate_enter(g, 3, true, 1));
    assert_true(pn_gate_enter(g, 4, true, 1));
    assert_false(pn_gate_enter(g, 5, true, 1));
}

static void test_gate_source_rate(void **state)
{
    pn_gate_limits l = roomy;
    uint64_t now = 1;
    pn_gate *g;

    (void)state;
    l.source_per_second = 5;
    l.source_burst = 10;
    g = gate_of(l);
    for (int i = 0; i < 10; i++) {
        assert_true(pn_gate_enter(g, 9, false, now));
        pn_gate_leave(g, 9);
    }
    assert_false(pn_gate_enter(g, 9, false, now));
    now += PN_US_PER_S / 5 - 1000;
    assert_false(pn_gate_enter(g, 9, false, now));
    now += 2000;
    assert_true(pn_gate_enter(g, 9, false, now));
    assert_false(pn_gate_enter(g, 9, false, now));
    /* Another source is not held up. */
    assert_true(pn_gate_enter(g, 10, false, now));
}

static void test_gate_rate_of_all(void **state)
{
    pn_gate_limits l = roomy;
    pn_gate *g;

    (void)state;
    l.strangers_per_second = 3;
    g = gate_of(l);
    for (uint64_t i = 1; i <= 3; i++) {
        assert_true(pn_gate_enter(g, i, false, 1));
    }
    assert_false(pn_gate_enter(g, 4, false, 1));
    /* A known source has a reserve of its own. */
    assert_true(pn_gate_enter(g, 5, true, 1));
    assert_true(pn_gate_enter(g, 6, false, 1 + PN_US_PER_S));
}

/* From a quarter of the places on, a connection may be refused at random. */
static void test_gate_early_drop(void **state)
{
    pn_gate_limits l = roomy;
    pn_gate *g;

    (void)state;
    l.max_strangers = 8;
    g = gate_of(l);
    next_draw = 0;
    assert_true(pn_gate_enter(g, 1, false, 1));
    assert_true(pn_gate_enter(g, 2, false, 1));
    assert_true(pn_gate_enter(g, 3, true, 1));
    assert_false(pn_gate_enter(g, 4, false, 1));
    next_draw = 255;
    assert_true(pn_gate_enter(g, 4, false, 1));
}

/* More sources at once than it remembers: still limited, never more memory. */
static void test_gate_many_sources(void **state)
{
    pn_gate *g = gate_of(roomy);
    uint64_t let_in = 0;

    (void)state;
    for (uint64_t i = 1; i <= 10000; i++) {
        let_in += pn_gate_enter(g, i, false, i);
    }
    assert_int_equal(let_in, PN_GATE_SOURCES);
    for (uint64_t i = 1; i <= PN_GATE_SOURCES; i++) {
        pn_gate_leave(g, i);
    }
    assert_int_equal(g->strangers, 0);
    assert_true(pn_gate_enter(g, 20000, false, 20000));
}

static void test_gate_leave_of_nobody(void **state)
{
    pn_gate *g = gate_of(roomy);

    (void)state;
    pn_gate_leave(g, 5);
    assert_int_equal(g->strangers, 0);
}

int main(void)
{
    pn_test_add("node/t03/gate_all", test_gate_all, NULL);
    pn_test_add("node/t03/gate_per_source", test_gate_per_source, NULL);
    pn_test_add("node/t03/gate_reserve_is_for_known_sources",
        test_gate_reserve_is_for_known_sources, NULL);
    pn_test_add("node/t02/gate_source_rate", test_gate_source_rate, NULL);
    pn_test_add("node/t02/gate_rate_of_all", test_gate_rate_of_all, NULL);
    pn_test_add("node/t03/gate_early_drop", test_gate_early_drop, NULL);
    pn_test_add("node/t03/gate_many_sources", test_gate_many_sources, NULL);
    pn_test_add(
        "node/t03/gate_leave_of_nobody", test_gate_leave_of_nobody, NULL);
    return pn_test_run("node/gate");
}

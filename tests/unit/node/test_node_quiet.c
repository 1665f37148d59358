/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of reports about strangers. */
#include <string.h>

#include "harness.h"
#include "link/quiet.h"

#define S PN_US_PER_S
#define MINUTE (60 * S)

enum { MAX = 8, PER_MINUTE = 6 };

static pn_public_key id(unsigned n)
{
    pn_public_key key = {{0}};

    memcpy(key.bytes, &n, sizeof(n));
    return key;
}

static bool admits(pn_quiet *q, pn_quiet_kind kind, unsigned n, unsigned lines,
    uint64_t now_us)
{
    const pn_quiet_cause cause = {kind, id(n), PN_REASON_NONE, lines};

    return pn_quiet_admits(q, &cause, now_us);
}

static uint64_t take(pn_quiet *q, pn_quiet_kind kind)
{
    return pn_quiet_take(q, kind, PN_REASON_NONE);
}

static void open_quiet(pn_quiet *q)
{
    assert_int_equal(pn_quiet_init(q, MAX, PER_MINUTE), PN_OK);
    assert_true(q->due_us == PN_TIME_NEVER);
}

/* Each stranger has its lines a minute; the rest is counted. */
static void test_quiet_one_line_each(void **state)
{
    unsigned lines = (unsigned)(uintptr_t)*state;
    uint64_t now_us = 1000 * S;
    pn_quiet q;

    open_quiet(&q);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(
            admits(&q, PN_QUIET_DENIED, 1, lines, now_us), i < lines);
    }
    assert_true(admits(&q, PN_QUIET_DENIED, 2, lines, now_us));
    assert_true(admits(&q, PN_QUIET_DISCOVERED, 1, lines, now_us));
    assert_true(q.due_us == now_us + MINUTE);
    assert_int_equal(take(&q, PN_QUIET_DENIED), 10 - lines);
    assert_int_equal(take(&q, PN_QUIET_DENIED), 0);
    assert_true(q.due_us == PN_TIME_NEVER);
    assert_true(admits(&q, PN_QUIET_DENIED, 1, lines, now_us + MINUTE));
    pn_quiet_fini(&q);
}

/* Always new keys: as many lines at once as the option allows, then a few a
 * minute. */
static void test_quiet_many_names(void **state)
{
    uint64_t now_us = 1000 * S;
    unsigned n_told = 0;
    uint64_t n_counted = 0;
    pn_quiet q;

    (void)state;
    open_quiet(&q);
    for (unsigned i = 0; i < 600 * 40; i++) {
        n_told += admits(&q, PN_QUIET_DISCOVERED, i, 1, now_us);
        now_us += S / 40;
        if (now_us >= q.due_us) {
            n_counted += take(&q, PN_QUIET_DISCOVERED);
        }
    }
    n_counted += take(&q, PN_QUIET_DISCOVERED);
    assert_int_equal(n_told + n_counted, 600 * 40);
    assert_true(n_told >= MAX + 9 * PER_MINUTE);
    assert_true(n_told <= MAX + 10 * PER_MINUTE);
    pn_quiet_fini(&q);
}

/* Refusals for one reason use up no lines of another. */
static void test_quiet_reasons_are_apart(void **state)
{
    pn_quiet_cause cause = {
        PN_QUIET_DENIED_PEER, id(1), PN_REASON_NO_SUCH_HANDLE, 1};
    uint64_t now_us = 1000 * S;
    pn_quiet q;

    (void)state;
    open_quiet(&q);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(pn_quiet_admits(&q, &cause, now_us), i == 0);
    }
    cause.reason = PN_REASON_FORBIDDEN;
    assert_true(pn_quiet_admits(&q, &cause, now_us));
    assert_false(pn_quiet_admits(&q, &cause, now_us));
    assert_int_equal(
        pn_quiet_take(&q, cause.kind, PN_REASON_NO_SUCH_HANDLE), 9);
    assert_int_equal(pn_quiet_take(&q, cause.kind, PN_REASON_FORBIDDEN), 1);
    pn_quiet_fini(&q);
}

/* A flood of one kind leaves the others their lines. */
static void test_quiet_kinds_are_apart(void **state)
{
    uint64_t now_us = 1000 * S;
    pn_quiet q;

    (void)state;
    open_quiet(&q);
    for (unsigned i = 0; i < 1000; i++) {
        (void)admits(&q, PN_QUIET_DISCOVERED, i, 1, now_us);
    }
    assert_true(admits(&q, PN_QUIET_DENIED, 1, 1, now_us));
    assert_false(admits(&q, PN_QUIET_DISCOVERED, 1001, 1, now_us));
    pn_quiet_count(&q, PN_QUIET_LOST, PN_REASON_NONE, now_us);
    assert_int_equal(take(&q, PN_QUIET_LOST), 1);
    assert_int_equal(take(&q, PN_QUIET_DISCOVERED), 1000 - MAX + 1);
    pn_quiet_fini(&q);
}

/* A request that is dropped after its node has closed is refused, too. */
static void test_quiet_after_the_end(void **state)
{
    pn_quiet q;

    (void)state;
    open_quiet(&q);
    assert_true(admits(&q, PN_QUIET_DENIED_PEER, 1, 4, 1000 * S));
    pn_quiet_fini(&q);
    for (unsigned i = 0; i < 10; i++) {
        assert_false(admits(&q, PN_QUIET_DENIED_PEER, i, 4, 1001 * S));
    }
    assert_int_equal(take(&q, PN_QUIET_DENIED_PEER), 10);
}

int main(void)
{
    pn_test_add(
        "node/quiet/one_line_each", test_quiet_one_line_each, (void *)1);
    pn_test_add(
        "node/quiet/four_lines_each", test_quiet_one_line_each, (void *)4);
    pn_test_add("node/quiet/many_names", test_quiet_many_names, NULL);
    pn_test_add(
        "node/quiet/reasons_are_apart", test_quiet_reasons_are_apart, NULL);
    pn_test_add("node/quiet/kinds_are_apart", test_quiet_kinds_are_apart, NULL);
    pn_test_add("node/quiet/after_the_end", test_quiet_after_the_end, NULL);
    return pn_test_run("node/quiet");
}

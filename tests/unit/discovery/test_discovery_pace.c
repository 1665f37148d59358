/* SPDX-License-Identifier: Apache-2.0 */
/* When announces come; the clock is the test's. */
#include <string.h>

#include "discovery/pace.h"
#include "harness.h"

#define MS PN_US_PER_MS
#define S PN_US_PER_S

static uint32_t drawn; /* UINT32_MAX: an error */

static pn_err draw(void *user, uint8_t *buf, size_t len)
{
    (void)user;
    assert_int_equal(len, sizeof(drawn));
    memcpy(buf, &drawn, len);
    return drawn == UINT32_MAX ? PN_SYS : PN_OK;
}

static const pn_env env = {.random = draw};

/* Sends what is due until n are sent; the time of the last. */
static uint64_t send_until(pn_pace *p, unsigned n)
{
    uint64_t at_us = 0;

    while (n-- > 0) {
        at_us = p->next_us;
        pn_pace_sent(p, &env, at_us);
    }
    return at_us;
}

typedef struct row {
    const char *name;
    uint32_t drawn;
    uint64_t at_ms[5]; /* of the first announces, from the begin */
} row;

static row rows[] = {
    {"shortest", 0, {0, 480, 1280, 6280, 10280}},
    {"middle", 500, {0, 600, 1600, 7100, 12100}},
    {"longest", 1000, {0, 720, 1920, 7920, 13920}},
    {"no_randomness", UINT32_MAX, {0, 600, 1600, 7100, 12100}},
};

/* Three in two seconds, the first at once; then the interval. */
static void test_begin(void **state)
{
    const row *r = *state;
    pn_pace p = {.interval_us = 5 * S};

    drawn = r->drawn;
    pn_pace_begin(&p, 100 * S);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(p.next_us, 100 * S + r->at_ms[i] * MS);
        pn_pace_sent(&p, &env, p.next_us);
    }
}

/* A peer of Elixir PeerNet that cannot authenticate us ends a connection for
 * each announce. In six seconds it must not be four. */
static void test_etiquette(void **state)
{
    uint64_t at_us[40];
    pn_pace p = {.interval_us = 5 * S};

    (void)state;
    for (drawn = 0; drawn <= 1000; drawn++) {
        pn_pace_begin(&p, 1000 * (drawn + 1) * S);
        for (unsigned i = 0; i < 40; i++) {
            at_us[i] = send_until(&p, 1);
            assert_true(i < 3 || at_us[i] - at_us[i - 3] >= 6 * S);
        }
    }
}

static void test_begin_again(void **state)
{
    pn_pace p = {.interval_us = 5 * S};

    (void)state;
    drawn = 500;
    pn_pace_begin(&p, 100 * S);
    (void)send_until(&p, 8);
    pn_pace_begin(&p, 200 * S);
    assert_int_equal(p.next_us, 200 * S);
    assert_int_equal(send_until(&p, 3), 200 * S + 1600 * MS);
}

/* However often addresses change, no four announces come in six seconds. */
static void test_begin_all_the_time(void **state)
{
    uint64_t at_us[3] = {0};
    pn_pace p = {.interval_us = 5 * S};
    unsigned n = 0;

    (void)state;
    drawn = 500;
    for (uint64_t now_us = 100 * S; now_us < 130 * S; now_us += MS) {
        pn_pace_begin(&p, now_us);
        if (p.next_us <= now_us) {
            pn_pace_sent(&p, &env, now_us);
            assert_true(now_us - at_us[n % 3] >= 6 * S);
            at_us[n++ % 3] = now_us;
        }
    }
    assert_int_equal(n, 15);
}

/* An address that comes soon after another: three announces are out, and the
 * next is the first that may follow them. */
static void test_begin_twice(void **state)
{
    pn_pace p = {.interval_us = 5 * S};

    (void)state;
    drawn = 500;
    pn_pace_begin(&p, 100 * S);
    (void)send_until(&p, 3);
    pn_pace_begin(&p, 103 * S);
    assert_int_equal(p.next_us, 106 * S);
    assert_int_equal(send_until(&p, 2), 106 * S + 600 * MS);
    assert_int_equal(p.next_us, 107 * S + 600 * MS);
}

/* Beside the regular ones there is room for one at once. */
static void test_begin_between(void **state)
{
    (void)state;
    for (drawn = 0; drawn <= 1000; drawn += 10) {
        pn_pace p = {.interval_us = 5 * S};
        uint64_t last_us;

        pn_pace_begin(&p, 100 * S);
        last_us = send_until(&p, 8);
        pn_pace_begin(&p, last_us + 2001 * MS);
        assert_int_equal(p.next_us, last_us + 2001 * MS);
    }
}

/* With a short interval nothing is slower than it. */
static void test_short_interval(void **state)
{
    pn_pace p = {.interval_us = 100 * MS};

    (void)state;
    drawn = 500;
    pn_pace_begin(&p, 100 * S);
    assert_int_equal(send_until(&p, 3), 100 * S + 200 * MS);
    assert_int_equal(send_until(&p, 2), 100 * S + 410 * MS);
    pn_pace_begin(&p, 100 * S + 411 * MS);
    assert_int_equal(p.next_us, 100 * S + 440 * MS);
}

static void test_stop(void **state)
{
    pn_pace p = {.interval_us = 5 * S};

    (void)state;
    pn_pace_begin(&p, 100 * S);
    pn_pace_stop(&p);
    assert_int_equal(p.next_us, PN_TIME_NEVER);
}

int main(void)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pn_test_addf(
            test_begin, &rows[i], "discovery/pace/begin %s", rows[i].name);
    }
    pn_test_add("discovery/pace/etiquette", test_etiquette, NULL);
    pn_test_add("discovery/pace/begin_again", test_begin_again, NULL);
    pn_test_add(
        "discovery/pace/T16 begin all the time", test_begin_all_the_time, NULL);
    pn_test_add("discovery/pace/begin_twice", test_begin_twice, NULL);
    pn_test_add("discovery/pace/begin_between", test_begin_between, NULL);
    pn_test_add("discovery/pace/short_interval", test_short_interval, NULL);
    pn_test_add("discovery/pace/stop", test_stop, NULL);
    return pn_test_run("discovery/pace");
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <time.h>

#include "harness.h"
#include "trust/datetime.h"

/* The C library says the same, if its time_t has that day. */
static bool agrees(int64_t us, const pn_datetime *d)
{
    const time_t seconds = (time_t)(us / 1000000);
    struct tm tm;

    if ((int64_t)seconds != us / 1000000) {
        return true; /* 32 bits */
    }
    assert_non_null(gmtime_r(&seconds, &tm));
    return d->year == tm.tm_year + 1900 && d->month == tm.tm_mon + 1
           && d->day == tm.tm_mday;
}

/* Over all days of the years 0 to 9999. */
static void test_trust_datetime_every_day(void **state)
{
    const int64_t us_per_day = INT64_C(86400000000);
    unsigned n = 0;

    (void)state;
    for (int64_t us = PN_DATETIME_MIN_US; us <= PN_DATETIME_MAX_US;
         us += us_per_day) {
        pn_datetime d;

        pn_datetime_from_us(us, &d);
        if (!agrees(us, &d) || !pn_datetime_is_valid(&d)
            || pn_datetime_to_us(&d) != us) {
            fail_msg("%04d-%02d-%02d", d.year, d.month, d.day);
        }
        n++;
    }
    assert_int_equal(n, 3652425);
}

static void test_trust_datetime_time_of_day(void **state)
{
    uint64_t seed = 11;

    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        const uint64_t range =
            (uint64_t)(PN_DATETIME_MAX_US - PN_DATETIME_MIN_US) + 1;
        const int64_t us = PN_DATETIME_MIN_US
                           + (int64_t)(pn_test_random(&seed) % range);
        pn_datetime d;

        pn_datetime_from_us(us, &d);
        assert_true(pn_datetime_is_valid(&d));
        assert_true(pn_datetime_to_us(&d) == us);
    }
}

typedef struct date_row {
    const char *name;
    pn_datetime d;
    int is_valid;
} date_row;

static const date_row ROWS[] = {
    {"epoch", {1970, 1, 1, 0, 0, 0, 0}, 1},
    {"first", {0, 1, 1, 0, 0, 0, 0}, 1},
    {"last", {9999, 12, 31, 23, 59, 59, 999999}, 1},
    {"year_minus_1", {-1, 1, 1, 0, 0, 0, 0}, 0},
    {"year_10000", {10000, 1, 1, 0, 0, 0, 0}, 0},
    {"month_0", {2026, 0, 1, 0, 0, 0, 0}, 0},
    {"month_13", {2026, 13, 1, 0, 0, 0, 0}, 0},
    {"day_0", {2026, 1, 0, 0, 0, 0, 0}, 0},
    {"day_31", {2026, 1, 31, 0, 0, 0, 0}, 1},
    {"day_32", {2026, 1, 32, 0, 0, 0, 0}, 0},
    {"april_30", {2026, 4, 30, 0, 0, 0, 0}, 1},
    {"april_31", {2026, 4, 31, 0, 0, 0, 0}, 0},
    {"february_29", {2026, 2, 29, 0, 0, 0, 0}, 0},
    {"february_29_leap", {2028, 2, 29, 0, 0, 0, 0}, 1},
    {"february_29_of_1900", {1900, 2, 29, 0, 0, 0, 0}, 0},
    {"february_29_of_2000", {2000, 2, 29, 0, 0, 0, 0}, 1},
    {"february_30", {2000, 2, 30, 0, 0, 0, 0}, 0},
    {"hour_minus_1", {2026, 1, 1, -1, 0, 0, 0}, 0},
    {"hour_24", {2026, 1, 1, 24, 0, 0, 0}, 0},
    {"minute_minus_1", {2026, 1, 1, 0, -1, 0, 0}, 0},
    {"minute_60", {2026, 1, 1, 0, 60, 0, 0}, 0},
    {"second_minus_1", {2026, 1, 1, 0, 0, -1, 0}, 0},
    {"second_60", {2016, 12, 31, 23, 59, 60, 0}, 0},
    {"microsecond_minus_1", {2026, 1, 1, 0, 0, 0, -1}, 0},
    {"microsecond_1000000", {2026, 1, 1, 0, 0, 0, 1000000}, 0},
};

static void test_trust_datetime_row(void **state)
{
    const date_row *row = *state;

    assert_int_equal(pn_datetime_is_valid(&row->d), row->is_valid);
}

int main(void)
{
    pn_test_add(
        "trust/datetime/every_day", test_trust_datetime_every_day, NULL);
    pn_test_add(
        "trust/datetime/time_of_day", test_trust_datetime_time_of_day, NULL);
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        pn_test_addf(test_trust_datetime_row, (void *)(uintptr_t)&ROWS[i],
            "trust/datetime/valid/%s", ROWS[i].name);
    }
    return pn_test_run("trust/datetime");
}

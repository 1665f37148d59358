/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calendar dates; see datetime.h. Years begin in March here, so the leap day
 * is the last of its year and days count evenly: 400 years are 146097 days.
 */
#include "trust/datetime.h"

#define US_PER_DAY INT64_C(86400000000)

enum {
    DAYS_PER_ERA = 146097,
    YEARS_PER_ERA = 400,
    MARCH_0000_TO_1970 = 719468 /* days from 0000-03-01 to 1970-01-01 */
};

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_of_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

bool pn_datetime_is_valid(const pn_datetime *d)
{
    return d->year >= 0 && d->year <= 9999 && d->month >= 1 && d->month <= 12
           && d->day >= 1 && d->day <= days_of_month(d->year, d->month)
           && d->hour >= 0 && d->hour <= 23 && d->minute >= 0 && d->minute <= 59
           && d->second >= 0 && d->second <= 59 && d->microsecond >= 0
           && d->microsecond <= 999999;
}

/* Days before the month in a year that begins in March; month 0 is March. */
static int days_before(int month)
{
    return (153 * month + 2) / 5;
}

static int64_t days_since_1970(const pn_datetime *d)
{
    /* One era earlier, so that January of the year 0 counts from 0 up too. */
    const int64_t year = d->year - (d->month <= 2 ? 1 : 0) + YEARS_PER_ERA;
    const int month = (d->month + 9) % 12;

    return year * 365 + year / 4 - year / 100 + year / 400 + days_before(month)
           + d->day - 1 - DAYS_PER_ERA - MARCH_0000_TO_1970;
}

int64_t pn_datetime_to_us(const pn_datetime *d)
{
    const int64_t seconds = ((int64_t)d->hour * 60 + d->minute) * 60
                            + d->second;

    return days_since_1970(d) * US_PER_DAY + seconds * 1000000 + d->microsecond;
}

void pn_datetime_from_us(int64_t us, pn_datetime *ret_d)
{
    const int64_t from = us - PN_DATETIME_MIN_US;
    const int64_t of_day = from % US_PER_DAY;
    /* Days since 0000-03-01, one era earlier. */
    const int64_t days = from / US_PER_DAY - 60 + DAYS_PER_ERA;
    const int of_era = (int)(days % DAYS_PER_ERA);
    const int year_of_era =
        (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    const int of_year =
        of_era - (year_of_era * 365 + year_of_era / 4 - year_of_era / 100);
    const int month = (5 * of_year + 2) / 153;

    *ret_d = (pn_datetime){
        .year = (int)(days / DAYS_PER_ERA - 1) * YEARS_PER_ERA + year_of_era
                + (month >= 10 ? 1 : 0),
        .month = month < 10 ? month + 3 : month - 9,
        .day = of_year - days_before(month) + 1,
        .hour = (int)(of_day / INT64_C(3600000000)),
        .minute = (int)(of_day / 60000000 % 60),
        .second = (int)(of_day / 1000000 % 60),
        .microsecond = (int)(of_day % 1000000),
    };
}

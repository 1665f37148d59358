/* SPDX-License-Identifier: Apache-2.0 */
/* Wall-clock time in UTC as a calendar date, which is how a BEAM stores it. */
#ifndef PN_TRUST_DATETIME_H
#define PN_TRUST_DATETIME_H

#include <stdbool.h>
#include <stdint.h>

#define PN_DATETIME_MIN_US INT64_C(-62167219200000000) /* 0000-01-01 */
#define PN_DATETIME_MAX_US INT64_C(253402300799999999) /* 9999-12-31 */

/* The proleptic Gregorian calendar, as Elixir's Calendar.ISO. */
typedef struct pn_datetime {
    int year;   /* 0..9999 */
    int month;  /* 1..12 */
    int day;    /* 1..31 */
    int hour;   /* 0..23 */
    int minute; /* 0..59 */
    int second; /* 0..59: Calendar.ISO knows no leap seconds */
    int microsecond;
} pn_datetime;

/* True when there is such a date and time. */
bool pn_datetime_is_valid(const pn_datetime *d);
/* Microseconds since 1970; d must be valid. */
int64_t pn_datetime_to_us(const pn_datetime *d);
/* us must be within PN_DATETIME_MIN_US..PN_DATETIME_MAX_US. */
void pn_datetime_from_us(int64_t us, pn_datetime *ret_d);

#endif

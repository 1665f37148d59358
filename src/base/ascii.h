/* SPDX-License-Identifier: Apache-2.0 */
/* Classes of ASCII characters, whatever the locale. */
#ifndef PN_BASE_ASCII_H
#define PN_BASE_ASCII_H

#include <stdbool.h>

static inline bool pn_is_lower(int c)
{
    return c >= 'a' && c <= 'z';
}

static inline bool pn_is_upper(int c)
{
    return c >= 'A' && c <= 'Z';
}

/* Letters, digits and underscores. */
static inline bool pn_is_word(int c)
{
    return pn_is_lower(c) || pn_is_upper(c) || c == '_'
           || (c >= '0' && c <= '9');
}

static inline bool pn_is_space(int c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The value of a digit or letter as a digit of base 36; 36 for anything else.
 * */
static inline unsigned pn_digit_value(int c)
{
    if (c >= '0' && c <= '9') {
        return (unsigned)(c - '0');
    }
    if (pn_is_lower(c | 0x20)) {
        return (unsigned)((c | 0x20) - 'a') + 10;
    }
    return 36;
}

/* True for a digit of a base of 2 to 36. */
static inline bool pn_is_digit(int c, unsigned base)
{
    return pn_digit_value(c) < base;
}

#endif

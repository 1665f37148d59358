/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers in Elixir text: 1_000, 0xFF, 0o17, 0b11, -1.5e-3, ?a. */
#include <string.h>

#include "base/ascii.h"
#include "term/number_text.h"
#include "term/text_internal.h"

/* Appends the digits at at to scratch, without separators; true when there is
 * one at least and each _ stands between two. */
static bool take_digits(pn_text *t, unsigned base)
{
    const char *from = t->at;

    while (t->at < t->end) {
        if (pn_is_digit(*t->at, base)) {
            if (pn_buf_append(&t->scratch, t->at, 1) != PN_OK) {
                return pn_text_fail_as(t, PN_NOMEM, "more memory");
            }
        } else if (*t->at != '_' || t->at == from || t->at + 1 == t->end
                   || !pn_is_digit(t->at[-1], base)
                   || !pn_is_digit(t->at[1], base)) {
            break;
        }
        t->at++;
    }
    return t->at > from || pn_text_fail(t, "a digit");
}

bool pn_text_take_uint(pn_text *t, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;
    const char *from = t->at;

    while (t->at < t->end && pn_is_digit(*t->at, 10)) {
        unsigned digit = (unsigned)(*t->at - '0');

        if (digit > max || value > (max - digit) / 10) {
            t->at = from;
            return false;
        }
        value = 10 * value + digit;
        t->at++;
    }
    *ret = value;
    return t->at > from;
}

/* The digits in scratch as an integer. */
static bool write_integer(pn_text *t, bool is_negative, unsigned base)
{
    uint8_t magnitude[TEXT_BIGNUM_MAX];
    size_t len;

    if (!pn_bignum_from_digits((const char *)pn_buf_head(&t->scratch),
            pn_buf_used(&t->scratch), base, magnitude, t->max_bignum, &len)) {
        return pn_text_fail_as(
            t, PN_LIMIT, "an integer that is not over the size limit");
    }
    pn_term_write_bignum(t->w, is_negative, magnitude, len);
    return true;
}

/* The exponent behind an e. It is clipped where a larger one gives the same
 * float. */
static bool read_exponent(pn_text *t, int64_t *ret)
{
    enum { EXPONENT_CLIP = 100000000 };
    bool is_negative = false;
    int64_t value = 0;

    if (t->at < t->end && (*t->at == '-' || *t->at == '+')) {
        is_negative = *t->at++ == '-';
    }
    if (t->at == t->end || !pn_is_digit(*t->at, 10)) {
        return pn_text_fail(t, "a digit of the exponent");
    }
    for (; t->at < t->end && pn_is_digit(*t->at, 10); t->at++) {
        if (value < EXPONENT_CLIP) {
            value = 10 * value + (*t->at - '0');
        }
    }
    *ret = is_negative ? -value : value;
    return true;
}

/* Reads the rest of a float after the whole part, which is in scratch: .5,
 * .5e3 */
static bool read_float(pn_text *t, bool is_negative)
{
    size_t n_whole = pn_buf_used(&t->scratch);
    int64_t exponent = 0;
    double value;

    t->at++;
    if (!take_digits(t, 10)) {
        return false;
    }
    if (t->at < t->end && (*t->at == 'e' || *t->at == 'E')) {
        t->at++;
        if (!read_exponent(t, &exponent)) {
            return false;
        }
    }
    exponent -= (int64_t)(pn_buf_used(&t->scratch) - n_whole);
    if (!pn_float_from_digits((const char *)pn_buf_head(&t->scratch),
            pn_buf_used(&t->scratch), exponent, &value)) {
        return pn_text_fail(t, "a float that is not infinite");
    }
    pn_term_write_double(t->w, is_negative ? -value : value);
    return true;
}

static unsigned base_of(const pn_text *t)
{
    if (t->end - t->at < 2 || t->at[0] != '0') {
        return 10;
    }
    switch (t->at[1]) {
    case 'x':
        return 16;
    case 'o':
        return 8;
    case 'b':
        return 2;
    default:
        return 10;
    }
}

/* No letter, digit or underscore may follow a number. */
static bool check_end(pn_text *t)
{
    if (t->at < t->end && pn_is_word(*t->at)) {
        return pn_text_fail(t, "the end of the number");
    }
    return true;
}

bool pn_text_read_number(pn_text *t)
{
    bool is_negative = *t->at == '-';
    unsigned base;
    bool is_fine;

    if (*t->at == '-' || *t->at == '+') {
        t->at++;
    }
    base = base_of(t);
    t->at += base == 10 ? 0 : 2;
    pn_buf_consume(&t->scratch, pn_buf_used(&t->scratch));
    if (!take_digits(t, base)) {
        return false;
    }
    if (base == 10 && t->end - t->at >= 2 && *t->at == '.'
        && pn_is_digit(t->at[1], 10)) {
        is_fine = read_float(t, is_negative);
    } else {
        is_fine = write_integer(t, is_negative, base);
    }
    return is_fine && check_end(t);
}

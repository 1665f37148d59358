/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as text; see number_text.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/assert.h"
#include "term/number_text.h"

enum {
    FLOAT_DIGITS = 17,      /* always enough for a double */
    FLOAT_SAFE_DIGITS = 15, /* this many digits always survive a double */
    FLOAT_DIGITS_MAX = 800, /* more cannot change what a double rounds to */
    FLOAT_EXPONENT_MAX = 5000,
    FLOAT_PLAIN_DIGITS = 16, /* whole numbers below 10^16 have no exponent */
    DECIMAL_CHUNK = 9
};

/* 0.DIGITS x 10^point, no zeros at either end. */
typedef struct decimal {
    char digits[FLOAT_DIGITS + 1];
    size_t n;
    int point;
} decimal;

/* value rounded to n digits by the C library, whose separator behind the first
 * digit depends on the locale. */
static void decimal_round(double value, int n, decimal *d)
{
    char text[64];
    const char *p = text;

    (void)snprintf(text, sizeof(text), "%.*e", n - 1, value);
    d->n = 0;
    for (; *p != 'e'; p++) {
        if (*p >= '0' && *p <= '9') {
            d->digits[d->n++] = *p;
        }
    }
    d->point = atoi(p + 1) + 1;
}

static double decimal_value(const decimal *d)
{
    double value = 0;

    (void)pn_float_from_digits(
        d->digits, d->n, d->point - (int64_t)d->n, &value);
    return value;
}

/* The next higher decimal of as many digits. */
static void decimal_step(decimal *d)
{
    size_t i = d->n;

    while (i > 0 && d->digits[i - 1] == '9') {
        d->digits[--i] = '0';
    }
    if (i > 0) {
        d->digits[i - 1]++;
        return;
    }
    d->digits[0] = '1';
    d->point++;
}

static void decimal_trim(decimal *d)
{
    while (d->n > 1 && d->digits[d->n - 1] == '0') {
        d->n--;
    }
}

/*
 * The shortest decimal that reads back as value. Rounding to n digits finds it,
 * except just above a power of two, where the neighbour below is nearer than
 * the one above: there the next higher decimal may fit when the nearest does
 * not.
 */
static void decimal_shortest(double value, decimal *d)
{
    int first = fpclassify(value) == FP_SUBNORMAL ? 1 : FLOAT_SAFE_DIGITS;

    for (int n = first; n <= FLOAT_DIGITS; n++) {
        decimal_round(value, n, d);
        if (decimal_value(d) == value) {
            break;
        }
        decimal_step(d);
        if (decimal_value(d) == value) {
            break;
        }
    }
    decimal_trim(d);
    assert(d->n > 0 && d->n <= FLOAT_DIGITS);
}

static size_t put_zeros(char *out, int n)
{
    memset(out, '0', (size_t)n);
    return (size_t)n;
}

/* 0.000DIGITS, DIG.ITS or DIGITS000.0 */
static size_t write_plain(const decimal *d, char *out)
{
    size_t len = 0;

    if (d->point <= 0) {
        out[len++] = '0';
        out[len++] = '.';
        len += put_zeros(out + len, -d->point);
        memcpy(out + len, d->digits, d->n);
        return len + d->n;
    }
    if ((size_t)d->point >= d->n) {
        memcpy(out, d->digits, d->n);
        len = d->n + put_zeros(out + d->n, d->point - (int)d->n);
        out[len++] = '.';
        out[len++] = '0';
        return len;
    }
    memcpy(out, d->digits, (size_t)d->point);
    out[d->point] = '.';
    memcpy(out + d->point + 1, d->digits + d->point, d->n - (size_t)d->point);
    return d->n + 1;
}

/* D.IGITSe-5 */
static size_t write_exponent(const decimal *d, char *out)
{
    size_t len = 0;

    out[len++] = d->digits[0];
    out[len++] = '.';
    if (d->n == 1) {
        out[len++] = '0';
    }
    memcpy(out + len, d->digits + 1, d->n - 1);
    len += d->n - 1;
    return len + (size_t)snprintf(out + len, 8, "e%d", d->point - 1);
}

/* Below one, zeros are written out as long as they cost no more than the
 * exponent would. */
static bool is_plain(const decimal *d)
{
    int exponent_len = d->point - 1 <= -100 ? 4 : d->point - 1 <= -10 ? 3 : 2;
    int dot_len = d->n == 1 ? 2 : 1;

    if (d->point > 0) {
        return d->point <= FLOAT_PLAIN_DIGITS;
    }
    return d->point == 0 || 2 - d->point <= exponent_len + 1 + dot_len;
}

size_t pn_float_to_text(double value, char out[static FLOAT_TEXT_MAX])
{
    size_t sign = signbit(value) ? 1 : 0;
    decimal d = {.digits = "0", .n = 1, .point = 1};

    if (sign != 0) {
        out[0] = '-';
        value = -value;
    }
    if (value != 0) {
        decimal_shortest(value, &d);
    }
    return sign
           + (is_plain(&d) ? write_plain(&d, out + sign)
                           : write_exponent(&d, out + sign));
}

static bool has_digit(const char *digits, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (digits[i] != '0') {
            return true;
        }
    }
    return false;
}

static int clamp_exponent(int64_t exponent)
{
    if (exponent > FLOAT_EXPONENT_MAX) {
        return FLOAT_EXPONENT_MAX;
    }
    return exponent < -FLOAT_EXPONENT_MAX ? -FLOAT_EXPONENT_MAX : (int)exponent;
}

bool pn_float_from_digits(
    const char *digits, size_t n_digits, int64_t exponent, double *ret_value)
{
    char text[FLOAT_DIGITS_MAX + 32];
    size_t n = n_digits;
    double value;

    while (n > 0 && *digits == '0') {
        digits++;
        n--;
    }
    if (n > FLOAT_DIGITS_MAX) {
        /* The digits that are left out only matter if one of them is not 0. */
        bool has_more = has_digit(
            digits + FLOAT_DIGITS_MAX, n - FLOAT_DIGITS_MAX);

        exponent += (int64_t)(n - FLOAT_DIGITS_MAX) - 1;
        n = FLOAT_DIGITS_MAX;
        memcpy(text, digits, n);
        text[n++] = has_more ? '1' : '0';
    } else {
        memcpy(text, digits, n);
    }
    if (n == 0) {
        *ret_value = 0;
        return true;
    }
    /* Without a point the text reads alike in every locale. */
    (void)snprintf(text + n, 16, "e%d", clamp_exponent(exponent));
    value = strtod(text, NULL);
    if (isinf(value)) {
        return false;
    }
    *ret_value = value;
    return true;
}

/* ---- bignums ---- */

/* Divides words[0..n) by 10^9 in place and returns the remainder. */
static uint32_t divide(uint32_t *words, size_t n)
{
    uint64_t rest = 0;

    for (size_t i = n; i > 0; i--) {
        rest = rest << 32 | words[i - 1];
        words[i - 1] = (uint32_t)(rest / 1000000000);
        rest %= 1000000000;
    }
    return (uint32_t)rest;
}

static void reverse(char *text, size_t len)
{
    for (size_t i = 0; i < len / 2; i++) {
        char c = text[i];

        text[i] = text[len - 1 - i];
        text[len - 1 - i] = c;
    }
}

size_t pn_bignum_to_decimal(
    const uint8_t *magnitude, size_t n, uint32_t *scratch, char *out)
{
    size_t n_words = (n + 3) / 4;
    size_t len = 0;

    memset(scratch, 0, n_words * sizeof(*scratch));
    for (size_t i = 0; i < n; i++) {
        scratch[i / 4] |= (uint32_t)magnitude[i] << (8 * (i % 4));
    }
    for (;;) {
        uint32_t chunk;

        while (n_words > 0 && scratch[n_words - 1] == 0) {
            n_words--;
        }
        if (n_words == 0) {
            break;
        }
        chunk = divide(scratch, n_words);
        for (int i = 0; i < DECIMAL_CHUNK; i++) {
            out[len++] = (char)('0' + chunk % 10);
            chunk /= 10;
        }
    }
    while (len > 1 && out[len - 1] == '0') {
        len--;
    }
    if (len == 0) {
        out[len++] = '0';
    }
    reverse(out, len);
    return len;
}

/* Multiplies out[0..len) by factor and adds more; false when cap is too small.
 * */
static bool multiply_add(
    uint8_t *out, size_t *len, size_t cap, uint32_t factor, uint32_t more)
{
    uint64_t carry = more;

    for (size_t i = 0; i < *len; i++) {
        carry += (uint64_t)out[i] * factor;
        out[i] = (uint8_t)carry;
        carry >>= 8;
    }
    while (carry != 0) {
        if (*len == cap) {
            return false;
        }
        out[(*len)++] = (uint8_t)carry;
        carry >>= 8;
    }
    return true;
}

bool pn_bignum_from_digits(const char *digits, size_t n_digits, unsigned base,
    uint8_t *out, size_t cap, size_t *ret_len)
{
    size_t len = 0;
    size_t i = 0;

    assert(base >= 2 && base <= 16);
    while (i < n_digits) {
        uint32_t factor = 1;
        uint32_t more = 0;

        /* Six digits of any base up to 16 fit 24 bits. */
        for (int k = 0; k < 6 && i < n_digits; k++, i++) {
            factor *= base;
            more = more * base + pn_digit_value(digits[i]);
        }
        if (!multiply_add(out, &len, cap, factor, more)) {
            return false;
        }
    }
    *ret_len = len;
    return true;
}

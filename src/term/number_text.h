/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as text, whatever the locale. */
#ifndef PN_TERM_NUMBER_TEXT_H
#define PN_TERM_NUMBER_TEXT_H

#include <peernet/common.h>
#include <peernet/error.h>

enum { FLOAT_TEXT_MAX = 32 };

/* The shortest digits that give value back, as Elixir 1.14 prints them; not
 * NUL-terminated. Returns the length. */
size_t pn_float_to_text(double value, char out[static FLOAT_TEXT_MAX]);

/* The float nearest to digits x 10^exponent; false when that is infinite. */
bool pn_float_from_digits(
    const char *digits, size_t n_digits, int64_t exponent, double *ret_value);

/* Room for a magnitude of n bytes in decimal. */
static inline size_t pn_decimal_room(size_t n)
{
    return n * 5 / 2 + 12;
}

/* A magnitude (little-endian) in decimal, without sign. scratch: n / 4 + 1
 * words, used up. Returns the length. */
size_t pn_bignum_to_decimal(
    const uint8_t *magnitude, size_t n, uint32_t *scratch, char *out);

/*
 * Digits of a base of 2..16 (no sign, no separators, all valid) as a
 * magnitude, little-endian, without zeros on top. cap bytes at out. False when
 * it needs more.
 */
bool pn_bignum_from_digits(const char *digits, size_t n_digits, unsigned base,
    uint8_t *out, size_t cap, size_t *ret_len);

#endif

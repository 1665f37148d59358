/* SPDX-License-Identifier: Apache-2.0 */
/* Integers of any size between decimal digits and bytes. */
#ifndef PN_CLI_BIGNUM_H
#define PN_CLI_BIGNUM_H

#include "text.h"

#define CLI_BIGNUM_MAX 512         /* bytes of magnitude, as terms allow */
#define CLI_BIGNUM_MAX_DIGITS 1234 /* 2^4096 - 1 has this many */

/* Appends the decimal digits of a little-endian magnitude of at most
 * CLI_BIGNUM_MAX bytes. */
void cli_bignum_to_decimal(
    cli_text *out, bool negative, const uint8_t *magnitude, size_t len);

/*
 * Reads "-?(0|[1-9][0-9]*)", no "-0", of at most CLI_BIGNUM_MAX bytes of
 * magnitude; *ret_len is without leading zero bytes (0 for the number 0).
 */
bool cli_bignum_from_decimal(const char *text, size_t len, bool *ret_negative,
    uint8_t ret_magnitude[static CLI_BIGNUM_MAX], size_t *ret_len);

#endif

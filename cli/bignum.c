/* SPDX-License-Identifier: Apache-2.0 */
/* Long division and multiplication by a word: 512 bytes is their limit, so
 * the square of it is small. */
#include "bignum.h"

#include <assert.h>
#include <inttypes.h>

#define CHUNK UINT32_C(1000000000) /* nine decimal digits in one word */
#define CHUNK_DIGITS 9
#define MAX_WORDS (CLI_BIGNUM_MAX / 4)
#define MAX_CHUNKS (CLI_BIGNUM_MAX_DIGITS / CHUNK_DIGITS + 1)

/* Divides in place and returns the remainder. */
static uint32_t divide(uint32_t *words, size_t n, uint32_t divisor)
{
    uint64_t rest = 0;

    for (size_t i = n; i > 0; i--) {
        uint64_t part = rest << 32 | words[i - 1];

        words[i - 1] = (uint32_t)(part / divisor);
        rest = part % divisor;
    }
    return (uint32_t)rest;
}

void cli_bignum_to_decimal(
    cli_text *out, bool negative, const uint8_t *magnitude, size_t len)
{
    uint32_t words[MAX_WORDS] = {0};
    uint32_t chunks[MAX_CHUNKS];
    size_t n_words = (len + 3) / 4;
    size_t n_chunks = 0;

    assert(len <= CLI_BIGNUM_MAX);
    for (size_t i = 0; i < len; i++) {
        words[i / 4] |= (uint32_t)magnitude[i] << (8 * (i % 4));
    }
    do {
        chunks[n_chunks++] = divide(words, n_words, CHUNK);
        while (n_words > 0 && words[n_words - 1] == 0) {
            n_words--;
        }
    } while (n_words > 0);
    cli_text_printf(
        out, "%s%" PRIu32, negative ? "-" : "", chunks[n_chunks - 1]);
    for (size_t i = n_chunks - 1; i > 0; i--) {
        cli_text_printf(out, "%09" PRIu32, chunks[i - 1]);
    }
}

/* words = words * factor + add; false when it does not fit. */
static bool multiply_add(
    uint32_t *words, size_t *n, uint32_t factor, uint32_t add)
{
    uint64_t carry = add;

    for (size_t i = 0; i < *n; i++) {
        carry += (uint64_t)words[i] * factor;
        words[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry > 0) {
        if (*n == MAX_WORDS) {
            return false;
        }
        words[(*n)++] = (uint32_t)carry;
    }
    return true;
}

static bool is_decimal(const char *text, size_t len, bool *ret_negative)
{
    *ret_negative = len > 0 && text[0] == '-';
    if (*ret_negative) {
        text++;
        len--;
    }
    if (len == 0 || len > CLI_BIGNUM_MAX_DIGITS
        || (text[0] == '0' && (len > 1 || *ret_negative))) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
    }
    return true;
}

bool cli_bignum_from_decimal(const char *text, size_t len, bool *ret_negative,
    uint8_t ret_magnitude[static CLI_BIGNUM_MAX], size_t *ret_len)
{
    uint32_t words[MAX_WORDS] = {0};
    size_t n_words = 0;
    size_t used = 0;

    if (!is_decimal(text, len, ret_negative)) {
        return false;
    }
    for (size_t i = *ret_negative ? 1 : 0; i < len; i++) {
        if (!multiply_add(words, &n_words, 10, (uint32_t)(text[i] - '0'))) {
            return false;
        }
    }
    for (size_t i = 0; i < n_words * 4; i++) {
        ret_magnitude[i] = (uint8_t)(words[i / 4] >> (8 * (i % 4)));
        used = ret_magnitude[i] != 0 ? i + 1 : used;
    }
    *ret_len = used;
    return true;
}

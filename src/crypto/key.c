/* SPDX-License-Identifier: Apache-2.0 */
/* Public keys as text (peernet-wire section 7). */
#include <string.h>

#include <peernet/key.h>

#include "base/mutant.h"
#include "crypto/crypto.h"

static const char base32_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
static const char hex_digits[] = "0123456789abcdef";

bool pn_key_equal(const pn_public_key *a, const pn_public_key *b)
{
    return pn_secret_equal(a->bytes, b->bytes, PN_PUBLIC_KEY_LEN);
}

void pn_key_to_base32(
    const pn_public_key *key, char ret_text[PN_BASE32_LEN + 1])
{
    uint32_t bits = 0;
    unsigned n_bits = 0;
    size_t at = 0;

    for (size_t i = 0; i < PN_PUBLIC_KEY_LEN; i++) {
        bits = bits << 8 | key->bytes[i];
        n_bits += 8;
        while (n_bits >= 5) {
            n_bits -= 5;
            ret_text[at++] = base32_digits[bits >> n_bits & 31];
        }
    }
    /* 256 bits are 51 digits and one bit more. */
    ret_text[at++] = base32_digits[bits << (5 - n_bits) & 31];
    ret_text[at] = '\0';
}

void pn_key_fingerprint(
    const pn_public_key *key, char ret_text[PN_FINGERPRINT_LEN + 1])
{
    uint8_t hash[PN_HASH_LEN];

    memset(ret_text, '?', PN_FINGERPRINT_LEN);
    ret_text[PN_FINGERPRINT_LEN] = '\0';
    if (pn_sha256(hash, key->bytes, PN_PUBLIC_KEY_LEN, NULL, 0) != PN_OK) {
        return;
    }
    for (size_t i = 0; i < PN_FINGERPRINT_LEN / 2; i++) {
        ret_text[2 * i] = hex_digits[hash[i] >> 4];
        ret_text[2 * i + 1] = hex_digits[hash[i] & 15];
    }
}

/* The value of one digit in base 2^bits, or -1. */
static int digit_value(char c, unsigned bits)
{
    if (bits == 4 && c >= '0' && c <= '9') {
        return c - '0';
    }
    if (bits == 5 && c >= '2' && c <= '7') {
        return c - '2' + 26;
    }
    if (c >= 'a' && c <= (bits == 4 ? 'f' : 'z')) {
        return c - 'a' + (bits == 4 ? 10 : 0);
    }
    if (c >= 'A' && c <= (bits == 4 ? 'F' : 'Z')) {
        return c - 'A' + (bits == 4 ? 10 : 0);
    }
    return -1;
}

static pn_err parse_digits(
    const char *text, size_t len, unsigned bits, pn_public_key *ret_key)
{
    pn_public_key key = {{0}};
    uint32_t pending = 0;
    unsigned n_pending = 0;
    size_t at = 0;

    for (size_t i = 0; i < len; i++) {
        int value = digit_value(text[i], bits);

        if (value < 0) {
            return PN_INVALID;
        }
        pending = pending << bits | (uint32_t)value;
        n_pending += bits;
        if (n_pending >= 8) {
            n_pending -= 8;
            key.bytes[at++] = (uint8_t)(pending >> n_pending);
        }
    }
    /* One key, one text: the bits that no byte takes must be zero. */
    if (PN_CHECK(key_trailing_bits,
            (pending & ((UINT32_C(1) << n_pending) - 1)) != 0)) {
        return PN_INVALID;
    }
    *ret_key = key;
    return PN_OK;
}

pn_err pn_key_parse(const char *text, pn_public_key *ret_key)
{
    size_t len;

    if (text == NULL || ret_key == NULL) {
        return PN_INVALID;
    }
    len = strnlen(text, 2 * PN_PUBLIC_KEY_LEN + 1);
    if (len == PN_BASE32_LEN) {
        return parse_digits(text, len, 5, ret_key);
    }
    if (len == 2 * PN_PUBLIC_KEY_LEN) {
        return parse_digits(text, len, 4, ret_key);
    }
    return PN_INVALID;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Public keys as text (docs/PROTOCOL.md, section 8.1). */
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

bool pn_ed25519_key_equal(const pn_ed25519_key *a, const pn_ed25519_key *b)
{
    return pn_secret_equal(a->bytes, b->bytes, PN_PUBLIC_KEY_LEN);
}

/* Both members of the union are their bytes and nothing else. */
static const uint8_t *bytes_of(const pn_principal *who)
{
    return who->family == PN_FAMILY_BARREL ? who->key.ed25519.bytes
                                           : who->key.x25519.bytes;
}

/* The family is part of a principal, so no grant crosses over (T33). */
bool pn_principal_equal(const pn_principal *a, const pn_principal *b)
{
    return !PN_REFUSE_IF(principal_family, a->family != b->family)
           && pn_secret_equal(bytes_of(a), bytes_of(b), PN_PUBLIC_KEY_LEN);
}

bool pn_principal_has_key(const pn_principal *who)
{
    static const uint8_t none[PN_PUBLIC_KEY_LEN];

    return !pn_secret_equal(bytes_of(who), none, sizeof(none));
}

static void write_base32(const uint8_t *key, char *ret_text)
{
    uint32_t bits = 0;
    unsigned n_bits = 0;
    size_t at = 0;

    for (size_t i = 0; i < PN_PUBLIC_KEY_LEN; i++) {
        bits = bits << 8 | key[i];
        n_bits += 8;
        while (n_bits >= 5) {
            n_bits -= 5;
            ret_text[at++] = base32_digits[bits >> n_bits & 31];
        }
    }
    /* 256 bits are 51 digits of 5 bits and one bit. */
    ret_text[at++] = base32_digits[bits << (5 - n_bits) & 31];
    ret_text[at] = '\0';
}

void pn_key_to_base32(
    const pn_public_key *key, char ret_text[PN_BASE32_LEN + 1])
{
    write_base32(key->bytes, ret_text);
}

void pn_principal_to_base32(
    const pn_principal *who, char ret_text[PN_BASE32_LEN + 1])
{
    write_base32(bytes_of(who), ret_text);
}

static void write_fingerprint(const uint8_t *key, char *ret_text)
{
    uint8_t hash[PN_HASH_LEN];

    memset(ret_text, '?', PN_FINGERPRINT_LEN);
    ret_text[PN_FINGERPRINT_LEN] = '\0';
    if (pn_sha256(hash, key, PN_PUBLIC_KEY_LEN, NULL, 0) != PN_OK) {
        return;
    }
    for (size_t i = 0; i < PN_FINGERPRINT_LEN / 2; i++) {
        ret_text[2 * i] = hex_digits[hash[i] >> 4];
        ret_text[2 * i + 1] = hex_digits[hash[i] & 15];
    }
}

void pn_key_fingerprint(
    const pn_public_key *key, char ret_text[PN_FINGERPRINT_LEN + 1])
{
    write_fingerprint(key->bytes, ret_text);
}

void pn_principal_fingerprint(
    const pn_principal *who, char ret_text[PN_FINGERPRINT_LEN + 1])
{
    write_fingerprint(bytes_of(who), ret_text);
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
    /* The bits that no byte takes must be zero, so that a key has one text. */
    if (PN_REFUSE_IF(key_trailing_bits,
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

pn_err pn_ed25519_key_parse(const char *text, pn_ed25519_key *ret_key)
{
    pn_public_key key;
    pn_err err = ret_key == NULL ? PN_INVALID : pn_key_parse(text, &key);

    if (err == PN_OK) {
        memcpy(ret_key->bytes, key.bytes, sizeof(ret_key->bytes));
    }
    return err;
}

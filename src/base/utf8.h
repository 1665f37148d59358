/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8, strictly: no overlong forms, no surrogates, nothing over U+10FFFF. */
#ifndef PN_BASE_UTF8_H
#define PN_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* True when no byte is over 127. Most names and texts are such, and short. */
static inline bool pn_ascii_check(const uint8_t *p, size_t len)
{
    uint64_t all = 0;
    uint64_t eight;
    uint32_t four[2];
    size_t i = 0;

    if (len >= 8) {
        for (; i + 8 <= len; i += 8) {
            memcpy(&eight, p + i, 8);
            all |= eight;
        }
        memcpy(&eight, p + len - 8, 8);
        all |= eight;
    } else if (len >= 4) {
        memcpy(&four[0], p, 4);
        memcpy(&four[1], p + len - 4, 4);
        all = four[0] | four[1];
    } else {
        for (; i < len; i++) {
            all |= p[i];
        }
    }
    return (all & UINT64_C(0x8080808080808080)) == 0;
}

/* True when all len bytes are UTF-8; *ret_chars (may be NULL) is the number of
 * characters. */
bool pn_utf8_check(const uint8_t *p, size_t len, size_t *ret_chars);

/* Decodes one character of [p, end). Returns how many bytes it took, or 0 when
 * there is none or it is not UTF-8. */
size_t pn_utf8_decode(const uint8_t *p, const uint8_t *end, uint32_t *ret_char);

/* True for C0, DEL and C1, which move a cursor or end a string (T27, T28). */
static inline bool pn_is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

/* Writes one character, which must be valid; returns the bytes, 1..4. */
size_t pn_utf8_encode(uint32_t c, uint8_t out[static 4]);

/* Writes Latin-1 as UTF-8, at most twice as long; returns the bytes. */
size_t pn_utf8_from_latin1(const uint8_t *p, size_t len, uint8_t *out);

#endif

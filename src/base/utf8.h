/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8, strictly: no overlong forms, no surrogates, nothing over U+10FFFF. */
#ifndef PN_BASE_UTF8_H
#define PN_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True when all len bytes are UTF-8; *ret_chars (may be NULL) is how many
 * characters they are. */
bool pn_utf8_check(const uint8_t *p, size_t len, size_t *ret_chars);

/* Decodes one character of [p, end). Returns how many bytes it took, or 0 when
 * there is none or it is not UTF-8. */
size_t pn_utf8_decode(const uint8_t *p, const uint8_t *end, uint32_t *ret_char);

/* Writes one character, which must be valid; returns the bytes, 1..4. */
size_t pn_utf8_encode(uint32_t c, uint8_t out[static 4]);

#endif

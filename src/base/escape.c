/* SPDX-License-Identifier: Apache-2.0 */
/* Escaping of peer text; see escape.h. */
#include <string.h>

#include "base/escape.h"
#include "base/utf8.h"

/* Writes one character of input, escaped unless as_is; at most 16 bytes. */
static size_t escape_piece(const uint8_t *p, size_t n, bool as_is, char *out)
{
    static const char digits[] = "0123456789abcdef";
    size_t used = 0;

    if (as_is) {
        memcpy(out, p, n);
        return n;
    }
    for (size_t i = 0; i < n; i++) {
        out[used++] = '\\';
        out[used++] = 'x';
        out[used++] = digits[p[i] >> 4];
        out[used++] = digits[p[i] & 15];
    }
    return used;
}

size_t pn_escape(
    const char *text, size_t len, size_t max_chars, char *out, size_t cap)
{
    const uint8_t *p = (const uint8_t *)text;
    size_t used = 0;
    size_t at = 0;
    size_t chars = 0;

    while (at < len && chars < max_chars) {
        char piece[16];
        uint32_t code = 0;
        size_t n = pn_utf8_decode(p + at, p + len, &code);
        size_t made;

        if (n == 1 && code == '\\') {
            piece[0] = '\\';
            piece[1] = '\\';
            made = 2;
        } else {
            bool as_is = (n != 0 && pn_is_plain(code))
                         || pn_is_emoji_joiner(p, p + at, p + len);

            made = escape_piece(p + at, n == 0 ? 1 : n, as_is, piece);
        }
        if (used + made + 1 > cap) {
            break;
        }
        memcpy(out + used, piece, made);
        used += made;
        at += n == 0 ? 1 : n;
        chars++;
    }
    if (at < len && used + 4 <= cap) {
        memcpy(out + used, "...", 3);
        used += 3;
    }
    out[used] = '\0';
    return used;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8; see utf8.h. Source: RFC 3629, section 4. */
#include "base/utf8.h"

#include "base/mutant.h"

size_t pn_utf8_decode(const uint8_t *p, const uint8_t *end, uint32_t *ret_char)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n;
    uint32_t c;

    if (p == end) {
        return 0;
    }
    if (p[0] < 0x80) {
        *ret_char = p[0];
        return 1;
    }
    n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || (size_t)(end - p) < n) {
        return 0;
    }
    c = p[0] & (0x7fU >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
        c = c << 6 | (p[i] & 0x3fU);
    }
    if (PN_REFUSE_IF(utf8_range,
            c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))) {
        return 0;
    }
    *ret_char = c;
    return n;
}

bool pn_utf8_check(const uint8_t *p, size_t len, size_t *ret_chars)
{
    const uint8_t *end = len == 0 ? p : p + len; /* p may be NULL */
    size_t chars = 0;

    while (p < end) {
        uint32_t c;
        size_t n;

        if (end - p >= 8 && pn_ascii_check(p, 8)) {
            p += 8;
            chars += 8;
            continue;
        }
        n = *p < 0x80 ? 1 : pn_utf8_decode(p, end, &c);
        if (n == 0) {
            return false;
        }
        p += n;
        chars++;
    }
    if (ret_chars != NULL) {
        *ret_chars = chars;
    }
    return true;
}

size_t pn_utf8_encode(uint32_t c, uint8_t out[static 4])
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xc0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xe0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (c & 0x3f));
    return 4;
}

size_t pn_utf8_from_latin1(const uint8_t *p, size_t len, uint8_t *out)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        if (p[i] >= 0x80) {
            out[n++] = (uint8_t)(0xc0 | p[i] >> 6);
        }
        out[n++] = p[i] < 0x80 ? p[i] : (uint8_t)(0x80 | (p[i] & 0x3f));
    }
    return n;
}

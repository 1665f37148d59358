/* SPDX-License-Identifier: Apache-2.0 */
/* Labels; see label.h. */
#include <string.h>

#include "base/mutant.h"
#include "trust/label.h"

/*
 * The length of the character at p, 1 to 4 bytes, and its code point; 0 when
 * it is ill-formed: over-long, a surrogate, past U+10FFFF, cut short.
 * Source: RFC 3629 section 4.
 */
static size_t character(const uint8_t *p, size_t len, uint32_t *ret_code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const size_t n = p[0] < 0x80             ? 1
                     : (p[0] & 0xe0) == 0xc0 ? 2
                     : (p[0] & 0xf0) == 0xe0 ? 3
                     : (p[0] & 0xf8) == 0xf0 ? 4
                                             : 0;
    uint32_t code = n <= 1 ? p[0] : p[0] & (0x7fU >> n);

    if (n == 0 || n > len) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (p[i] & 0x3f);
    }
    if (code < least[n] || code > 0x10ffff
        || (code >= 0xd800 && code <= 0xdfff)) {
        return 0;
    }
    *ret_code = code;
    return n;
}

/* C0, DEL and C1: what moves a cursor or ends a string (T27, T28). */
static bool is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

bool pn_label_is_valid(const char *label)
{
    const uint8_t *p = (const uint8_t *)label;
    size_t left = strlen(label);

    if (PN_CHECK(trust_label_length, left > PN_LABEL_MAX)) {
        return false;
    }
    while (left > 0) {
        uint32_t code = 0;
        size_t n = character(p, left, &code);

        if (PN_CHECK(trust_label_utf8, n == 0)) {
            return false;
        }
        if (PN_CHECK(trust_label_control, n > 0 && is_control(code))) {
            return false;
        }
        n = n > 0 ? n : 1;
        p += n;
        left -= n;
    }
    return true;
}

void pn_label_clean(
    const uint8_t *data, size_t len, char ret_label[static PN_LABEL_MAX + 1])
{
    size_t used = 0;

    while (len > 0) {
        uint32_t code = 0;
        size_t n = character(data, len, &code);
        const bool is_shown = n > 0 && !is_control(code);
        const size_t n_out = is_shown ? n : 1;

        if (used + n_out > PN_LABEL_MAX) {
            break;
        }
        memcpy(ret_label + used, is_shown ? (const void *)data : "?", n_out);
        used += n_out;
        n = n > 0 ? n : 1;
        data += n;
        len -= n;
    }
    ret_label[used] = '\0';
}

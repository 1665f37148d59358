/* SPDX-License-Identifier: Apache-2.0 */
/* Which characters may reach a terminal, and what becomes of the others. */
#include "escape.h"

#include <peernet/error.h>

#include "base/mutant.h"

typedef struct char_range {
    uint32_t first;
    uint32_t last;
} char_range;

/*
 * Characters that are not drawn as themselves: the control characters C0, DEL
 * and C1, and Unicode's format characters (general category Cf: soft hyphen,
 * joiners, bidirectional marks, embeddings and isolates, tags), line and
 * paragraph separators, fillers without a shape, surrogates, and the code
 * points that are no characters at all.
 */
static const char_range not_plain[] = {
    {0x0000, 0x001f},
    {0x007f, 0x009f},
    {0x00ad, 0x00ad},
    {0x034f, 0x034f},
    {0x0600, 0x0605},
    {0x061c, 0x061c},
    {0x06dd, 0x06dd},
    {0x070f, 0x070f},
    {0x0890, 0x0891},
    {0x08e2, 0x08e2},
    {0x115f, 0x1160},
    {0x17b4, 0x17b5},
    {0x180b, 0x180f},
    {0x200b, 0x200f},
    {0x2028, 0x202e},
    {0x2060, 0x206f},
    {0x3164, 0x3164},
    {0xd800, 0xdfff},
    {0xfdd0, 0xfdef},
    {0xfe00, 0xfe0e}, /* U+FE0F, "as an emoji", is in many of them */
    {0xfeff, 0xfeff},
    {0xffa0, 0xffa0},
    {0xfff0, 0xfffb},
    {0xfffe, 0xffff},
    {0x110bd, 0x110bd},
    {0x110cd, 0x110cd},
    {0x13430, 0x1343f},
    {0x1bca0, 0x1bca3},
    {0x1d173, 0x1d17a},
    {0xe0000, 0xe0fff},
};

bool cli_is_plain(uint32_t code_point)
{
    if ((code_point & 0xfffe) == 0xfffe || code_point > 0x10ffff) {
        return false;
    }
    for (size_t i = 0; i < sizeof(not_plain) / sizeof(not_plain[0]); i++) {
        if (PN_CHECK(
                cli_escape_control, code_point >= not_plain[i].first
                                        && code_point <= not_plain[i].last)) {
            return false;
        }
    }
    return true;
}

size_t cli_utf8_next(const void *data, size_t len, uint32_t *ret_code_point)
{
    const uint8_t *p = data;
    uint32_t code_point = p[0];
    uint32_t least = 0;
    size_t n = 1;

    if (p[0] < 0x80) {
        *ret_code_point = code_point;
        return 1;
    }
    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        n = 2;
        least = 0x80;
    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        n = 3;
        least = 0x800;
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        n = 4;
        least = 0x10000;
    } else {
        return 0;
    }
    if (len < n) {
        return 0;
    }
    code_point &= UINT32_C(0x7f) >> n;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
        code_point = code_point << 6 | (p[i] & 0x3fU);
    }
    if (PN_CHECK(cli_utf8_range,
            code_point < least || code_point > 0x10ffff
                || (code_point >= 0xd800 && code_point <= 0xdfff))) {
        return 0;
    }
    *ret_code_point = code_point;
    return n;
}

bool cli_utf8_is_valid(const void *data, size_t len)
{
    const uint8_t *p = data;

    while (len > 0) {
        uint32_t code_point = 0;
        size_t n = cli_utf8_next(p, len, &code_point);

        if (n == 0) {
            return false;
        }
        p += n;
        len -= n;
    }
    return true;
}

static void escape(cli_text *out, const void *data, size_t len,
    size_t max_chars, bool keep_lines)
{
    const uint8_t *p = data;
    size_t n_chars = 0;

    while (len > 0) {
        uint32_t code_point = 0;
        size_t n = cli_utf8_next(p, len, &code_point);
        bool plain = n > 0 && cli_is_plain(code_point);

        if (n_chars++ == max_chars) {
            cli_text_puts(out, "...");
            return;
        }
        if (keep_lines && (p[0] == '\n' || p[0] == '\t')) {
            plain = true;
        }
        n = n == 0 ? 1 : n;
        if (plain) {
            cli_text_add(out, p, n);
        } else {
            for (size_t i = 0; i < n; i++) {
                cli_text_printf(out, "\\x%02X", p[i]);
            }
        }
        p += n;
        len -= n;
    }
}

void cli_escape(cli_text *out, const void *data, size_t len, size_t max_chars)
{
    escape(out, data, len, max_chars, false);
}

void cli_escape_lines(cli_text *out, const void *data, size_t len)
{
    escape(out, data, len, CLI_ESCAPE_ALL, true);
}

static void json_escape_char(cli_text *out, uint32_t code_point)
{
    static const char short_names[] = "\bb\ff\nn\rr\tt\"\"\\\\";

    for (size_t i = 0; i + 1 < sizeof(short_names); i += 2) {
        if (code_point == (uint32_t)short_names[i]) {
            cli_text_putc(out, '\\');
            cli_text_putc(out, short_names[i + 1]);
            return;
        }
    }
    if (code_point >= 0x10000) {
        uint32_t rest = code_point - 0x10000;

        cli_text_printf(out, "\\u%04x\\u%04x", 0xd800 + (rest >> 10),
            0xdc00 + (rest & 0x3ff));
        return;
    }
    cli_text_printf(out, "\\u%04x", code_point);
}

void cli_escape_json(cli_text *out, const void *data, size_t len)
{
    const uint8_t *p = data;

    while (len > 0) {
        uint32_t code_point = 0;
        size_t n = cli_utf8_next(p, len, &code_point);

        if (n == 0) {
            cli_text_puts(out, "\xef\xbf\xbd");
            n = 1;
        } else if (code_point == '"' || code_point == '\\'
                   || !cli_is_plain(code_point)) {
            json_escape_char(out, code_point);
        } else {
            cli_text_add(out, p, n);
        }
        p += n;
        len -= n;
    }
}

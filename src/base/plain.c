/* SPDX-License-Identifier: Apache-2.0 */
/* The characters that reach a log or a terminal unescaped. */
#include "base/escape.h"
#include "base/mutant.h"
#include "base/utf8.h"

typedef struct char_range {
    uint32_t first;
    uint32_t last;
} char_range;

/*
 * Characters that are not drawn as themselves: the control characters C0, DEL
 * and C1, and Unicode's format characters (general category Cf: soft hyphen,
 * joiners, bidirectional marks, embeddings and isolates, tags), line and
 * paragraph separators, fillers without a shape, surrogates, private use, and
 * the code points that are no characters at all.
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
    {0xe000, 0xf8ff}, /* private use: each font draws its own */
    {0xfdd0, 0xfdef},
    {0xfe00, 0xfe0e}, /* U+FE0F (emoji presentation) is in many emoji */
    {0xfeff, 0xfeff},
    {0xffa0, 0xffa0},
    {0xfff0, 0xfffb},
    {0xfffe, 0xffff},
    {0x110bd, 0x110bd},
    {0x110cd, 0x110cd},
    {0x13430, 0x1343f},
    {0x1bca0, 0x1bca3},
    {0x1d173, 0x1d17a},
    {0xe0000, 0x10ffff},
};

bool pn_is_plain(uint32_t code)
{
    if ((code & 0xfffe) == 0xfffe) {
        return false;
    }
    for (size_t i = 0; i < sizeof(not_plain) / sizeof(not_plain[0]); i++) {
        if (PN_REFUSE_IF(escape_plain,
                code >= not_plain[i].first && code <= not_plain[i].last)) {
            return false;
        }
    }
    return true;
}

/* Blocks whose characters take part in joined emoji: more than Unicode's
 * Extended_Pictographic, and no letters. */
static const char_range emoji[] = {
    {0x2190, 0x21ff},
    {0x2300, 0x23ff},
    {0x25a0, 0x27bf},
    {0x2900, 0x297f},
    {0x2b00, 0x2bff},
    {0x1f000, 0x1faff},
};

static bool is_emoji(uint32_t code)
{
    for (size_t i = 0; i < sizeof(emoji) / sizeof(emoji[0]); i++) {
        if (code >= emoji[i].first && code <= emoji[i].last) {
            return true;
        }
    }
    return false;
}

/* The start of the character that ends at p; NULL when there is none. */
static const uint8_t *before(
    const uint8_t *start, const uint8_t *p, uint32_t *ret_code)
{
    const uint8_t *at = p;

    while (at > start && p - at < 4) {
        at--;
        if ((*at & 0xc0) != 0x80) {
            return pn_utf8_decode(at, p, ret_code) == (size_t)(p - at) ? at
                                                                       : NULL;
        }
    }
    return NULL;
}

bool pn_is_emoji_joiner(
    const uint8_t *start, const uint8_t *p, const uint8_t *end)
{
    const uint8_t *at;
    uint32_t code = 0;
    size_t n = pn_utf8_decode(p, end, &code);

    if (n == 0 || code != 0x200d || pn_utf8_decode(p + n, end, &code) == 0
        || !is_emoji(code)) {
        return false;
    }
    at = before(start, p, &code);
    if (at != NULL && code == 0xfe0f) {
        at = before(start, at, &code);
    }
    return PN_REFUSE_IF(escape_joiner, at != NULL && is_emoji(code));
}

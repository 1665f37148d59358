/* SPDX-License-Identifier: Apache-2.0 */
/* Escapes characters that may not reach a terminal; see peer_text.h. */
#include "peer_text.h"

#include "base/escape.h"
#include "base/utf8.h"

/* How many bytes in front are printable ASCII, but for quotes and backslashes:
 * most of a long text, taken in one piece. */
static size_t plain_run(const uint8_t *p, size_t len)
{
    size_t n = 0;

    while (
        n < len && p[n] >= 0x20 && p[n] < 0x7f && p[n] != '"' && p[n] != '\\') {
        n++;
    }
    return n;
}

static void escape(cli_text *out, const void *data, size_t len,
    size_t max_chars, bool keep_lines)
{
    const uint8_t *p = data;
    size_t n_chars = 0;

    while (len > 0) {
        size_t left = max_chars - n_chars;
        size_t run = plain_run(p, len < left ? len : left);
        uint32_t code_point = 0;
        size_t n;
        bool plain;

        if (run > 0) {
            cli_text_add(out, p, run);
            p += run;
            len -= run;
            n_chars += run;
            continue;
        }
        n = pn_utf8_decode(p, p + len, &code_point);
        plain = (n > 0 && pn_is_plain(code_point))
                || pn_is_emoji_joiner(data, p, p + len);

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

void cli_quote(cli_text *out, const void *data, size_t len, size_t max_chars)
{
    cli_text_putc(out, '\'');
    cli_escape(out, data, len, max_chars);
    cli_text_putc(out, '\'');
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
        size_t n = plain_run(p, len);

        if (n > 0) {
            cli_text_add(out, p, n);
            p += n;
            len -= n;
            continue;
        }
        n = pn_utf8_decode(p, p + len, &code_point);
        if (n == 0) {
            cli_text_puts(out, "\xef\xbf\xbd");
            n = 1;
        } else if (code_point == '"' || code_point == '\\'
                   || (!pn_is_plain(code_point)
                       && !pn_is_emoji_joiner(data, p, p + len))) {
            json_escape_char(out, code_point);
        } else {
            cli_text_add(out, p, n);
        }
        p += n;
        len -= n;
    }
}

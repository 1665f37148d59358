/* SPDX-License-Identifier: Apache-2.0 */
/* BAD-7, T27, T28: hostile text on its way to a terminal, one row each. */
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "harness.h"
#include "peer_text.h"

/* ---- strings, with the outcome spelt out -------------------------------- */

typedef struct text_row {
    const char *name;
    const char *in;
    const char *out;
} text_row;

static const text_row rows[] = {
    {"plain", "hello, world", "hello, world"},
    {"empty", "", ""},
    {"latin", "d\xc3\xa9j\xc3\xa0 vu", "d\xc3\xa9j\xc3\xa0 vu"},
    {"cjk", "\xe4\xbd\xa0\xe5\xa5\xbd", "\xe4\xbd\xa0\xe5\xa5\xbd"},
    {"emoji", "\xf0\x9f\x8e\x89", "\xf0\x9f\x8e\x89"},
    {"heart", "\xe2\x9d\xa4\xef\xb8\x8f", "\xe2\x9d\xa4\xef\xb8\x8f"},
    {"emoji_joined", "\xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x91\xa7 x",
        "\xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x91\xa7 x"},
    {"emoji_joined_heart",
        "\xe2\x9d\xa4\xef\xb8\x8f\xe2\x80\x8d\xf0\x9f\x94\xa5",
        "\xe2\x9d\xa4\xef\xb8\x8f\xe2\x80\x8d\xf0\x9f\x94\xa5"},
    {"joiner_in_letters", "a\xe2\x80\x8d\x62", "a\\xE2\\x80\\x8Db"},
    {"joiner_after_emoji", "\xf0\x9f\x91\xa8\xe2\x80\x8d",
        "\xf0\x9f\x91\xa8\\xE2\\x80\\x8D"},
    {"joiner_before_emoji", "\xe2\x80\x8d\xf0\x9f\x91\xa8",
        "\\xE2\\x80\\x8D\xf0\x9f\x91\xa8"},
    {"joiner_twice", "\xf0\x9f\x91\xa8\xe2\x80\x8d\xe2\x80\x8d\xf0\x9f\x91\xa8",
        "\xf0\x9f\x91\xa8\\xE2\\x80\\x8D\\xE2\\x80\\x8D\xf0\x9f\x91\xa8"},
    {"joiner_after_selector", "a\xef\xb8\x8f\xe2\x80\x8d\xf0\x9f\x91\xa8",
        "a\xef\xb8\x8f\\xE2\\x80\\x8D\xf0\x9f\x91\xa8"},
    {"backslash", "a\\b", "a\\b"},
    {"newline", "a\nb", "a\\x0Ab"},
    {"crlf", "a\r\nb", "a\\x0D\\x0Ab"},
    {"tab", "a\tb", "a\\x09b"},
    {"forged_log_line", "ok\n12:00 peer-up admin",
        "ok\\x0A12:00 peer-up admin"},
    {"carriage_return_overwrite", "evil\rgood", "evil\\x0Dgood"},
    {"backspace_overwrite", "evil\b\b\b\bgood", "evil\\x08\\x08\\x08\\x08good"},
    {"bell", "\a", "\\x07"},
    {"csi_colour", "\033[31mred", "\\x1B[31mred"},
    {"csi_clear", "\033[2J\033[H", "\\x1B[2J\\x1B[H"},
    {"csi_up", "\033[5A", "\\x1B[5A"},
    {"csi_hide", "\033[8msecret", "\\x1B[8msecret"},
    {"csi_report", "\033[6n", "\\x1B[6n"},
    {"csi_device", "\033[c", "\\x1B[c"},
    {"csi_title_report", "\033[21t", "\\x1B[21t"},
    {"csi_alternate_screen", "\033[?1049h", "\\x1B[?1049h"},
    {"csi_bracketed_paste", "\033[201~rm -rf", "\\x1B[201~rm -rf"},
    {"csi_scroll_region", "\033[1;1r", "\\x1B[1;1r"},
    {"osc_0_title", "\033]0;title\007", "\\x1B]0;title\\x07"},
    {"osc_8_link", "\033]8;;http://x/\033\\click\033]8;;\033\\",
        "\\x1B]8;;http://x/\\x1B\\click\\x1B]8;;\\x1B\\"},
    {"osc_52_clipboard", "\033]52;c;cm0gLXJm\007", "\\x1B]52;c;cm0gLXJm\\x07"},
    {"osc_7_directory", "\033]7;file:///\033\\", "\\x1B]7;file:///\\x1B\\"},
    {"osc_9_notify", "\033]9;hi\007", "\\x1B]9;hi\\x07"},
    {"osc_1337", "\033]1337;File=:AAAA\007", "\\x1B]1337;File=:AAAA\\x07"},
    {"dcs_sixel", "\033Pq#0;2;0;0;0\033\\", "\\x1BPq#0;2;0;0;0\\x1B\\"},
    {"dcs_request", "\033P$q\"p\033\\", "\\x1BP$q\"p\\x1B\\"},
    {"apc", "\033_Gx\033\\", "\\x1B_Gx\\x1B\\"},
    {"pm", "\033^x\033\\", "\\x1B^x\\x1B\\"},
    {"sos", "\033Xx\033\\", "\\x1BXx\\x1B\\"},
    {"reset", "\033c", "\\x1Bc"},
    {"charset", "\033(0lqk", "\\x1B(0lqk"},
    {"shift_out", "\016lqk\017", "\\x0Elqk\\x0F"},
    {"keypad", "\033=", "\\x1B="},
    {"decid", "\033Z", "\\x1BZ"},
    {"c1_csi_utf8",
        "\xc2\x9b"
        "31m",
        "\\xC2\\x9B31m"},
    {"c1_osc_utf8",
        "\xc2\x9d"
        "0;t\xc2\x9c",
        "\\xC2\\x9D0;t\\xC2\\x9C"},
    {"c1_dcs_utf8", "\xc2\x90q", "\\xC2\\x90q"},
    {"c1_csi_raw",
        "\x9b"
        "31m",
        "\\x9B31m"},
    {"c1_osc_raw",
        "\x9d"
        "52;c;x\x9c",
        "\\x9D52;c;x\\x9C"},
    {"nel",
        "a\xc2\x85"
        "b",
        "a\\xC2\\x85b"},
    {"rlo_file_name", "exe\xe2\x80\xaegpj.", "exe\\xE2\\x80\\xAEgpj."},
    {"rli", "\xe2\x81\xa7x\xe2\x81\xa9", "\\xE2\\x81\\xA7x\\xE2\\x81\\xA9"},
    {"line_separator",
        "a\xe2\x80\xa8"
        "b",
        "a\\xE2\\x80\\xA8b"},
    {"zero_width_space", "pay\xe2\x80\x8bpal", "pay\\xE2\\x80\\x8Bpal"},
    {"zwj",
        "a\xe2\x80\x8d"
        "b",
        "a\\xE2\\x80\\x8Db"},
    {"bom", "\xef\xbb\xbfx", "\\xEF\\xBB\\xBFx"},
    {"soft_hyphen",
        "a\xc2\xad"
        "b",
        "a\\xC2\\xADb"},
    {"tag_letter", "\xf3\xa0\x81\xa1", "\\xF3\\xA0\\x81\\xA1"},
    {"overlong_slash_2", "\xc0\xaf", "\\xC0\\xAF"},
    {"overlong_slash_3", "\xe0\x80\xaf", "\\xE0\\x80\\xAF"},
    {"overlong_slash_4", "\xf0\x80\x80\xaf", "\\xF0\\x80\\x80\\xAF"},
    {"overlong_escape", "\xc0\x9b", "\\xC0\\x9B"},
    {"overlong_escape_3", "\xe0\x80\x9b[m", "\\xE0\\x80\\x9B[m"},
    {"overlong_csi_3",
        "\xe0\x82\x9b"
        "1m",
        "\\xE0\\x82\\x9B1m"},
    {"overlong_nul", "\xc0\x80", "\\xC0\\x80"},
    {"overlong_7f", "\xc1\xbf", "\\xC1\\xBF"},
    {"overlong_7ff", "\xe0\x9f\xbf", "\\xE0\\x9F\\xBF"},
    {"overlong_ffff", "\xf0\x8f\xbf\xbf", "\\xF0\\x8F\\xBF\\xBF"},
    {"surrogate_low", "\xed\xa0\x80", "\\xED\\xA0\\x80"},
    {"surrogate_high", "\xed\xbf\xbf", "\\xED\\xBF\\xBF"},
    {"surrogate_pair", "\xed\xa0\xbd\xed\xb8\x80",
        "\\xED\\xA0\\xBD\\xED\\xB8\\x80"},
    {"above_10ffff", "\xf4\x90\x80\x80", "\\xF4\\x90\\x80\\x80"},
    {"f5", "\xf5\x80\x80\x80", "\\xF5\\x80\\x80\\x80"},
    {"five_bytes", "\xf8\x88\x80\x80\x80", "\\xF8\\x88\\x80\\x80\\x80"},
    {"six_bytes", "\xfc\x84\x80\x80\x80\x80", "\\xFC\\x84\\x80\\x80\\x80\\x80"},
    {"cut_2", "a\xc3", "a\\xC3"},
    {"cut_3_1", "a\xe4", "a\\xE4"},
    {"cut_3_2", "a\xe4\xbd", "a\\xE4\\xBD"},
    {"cut_4_3", "a\xf0\x9f\x8e", "a\\xF0\\x9F\\x8E"},
    {"cut_then_ascii",
        "\xe4\xbd"
        "a",
        "\\xE4\\xBDa"},
    {"cut_then_escape", "\xe4\033[m", "\\xE4\\x1B[m"},
    {"lone_continuation", "\x80", "\\x80"},
    {"fffe", "\xef\xbf\xbe", "\\xEF\\xBF\\xBE"},
    {"ffff", "\xef\xbf\xbf", "\\xEF\\xBF\\xBF"},
    {"plane_1_fffe", "\xf0\x9f\xbf\xbe", "\\xF0\\x9F\\xBF\\xBE"},
    {"last_plain_plane_0", "\xef\xbf\xbd", "\xef\xbf\xbd"},
};

static void check(
    const char *in, size_t in_len, const char *want, size_t want_len)
{
    cli_text out = {0};

    cli_escape(&out, in, in_len, CLI_ESCAPE_ALL);
    assert_false(out.failed);
    pn_assert_bytes((const uint8_t *)cli_text_string(&out), out.len,
        (const uint8_t *)want, want_len);
    cli_text_fini(&out);
}

static void test_cli_escape_row(void **state)
{
    const text_row *row = *state;

    check(row->in, strlen(row->in), row->out, strlen(row->out));
}

/* ---- every control character and every byte that begins nothing --------- */

/* One byte that must come out as \xNN, between two letters that must not. */
static void test_cli_escape_byte(void **state)
{
    char in[3] = {'a', (char)(uintptr_t)*state, 'b'};
    char want[8];

    (void)snprintf(
        want, sizeof(want), "a\\x%02Xb", (unsigned)(uintptr_t)*state);
    check(in, sizeof(in), want, strlen(want));
}

/* ---- code points that are not drawn ------------------------------------- */

static const uint32_t code_points[] = {0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86,
    0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f, 0x90, 0x91, 0x92,
    0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e,
    0x9f, 0xad, 0x34f, 0x600, 0x605, 0x61c, 0x6dd, 0x70f, 0x115f, 0x1160,
    0x17b4, 0x180b, 0x180e, 0x180f, 0x200b, 0x200c, 0x200d, 0x200e, 0x200f,
    0x2028, 0x2029, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2060, 0x2061,
    0x2062, 0x2063, 0x2064, 0x2065, 0x2066, 0x2067, 0x2068, 0x2069, 0x206a,
    0x206f, 0x3164, 0xfdd0, 0xfdef, 0xfe00, 0xfe0e, 0xfeff, 0xffa0, 0xfff9,
    0xfffa, 0xfffb, 0xfffe, 0xffff, 0x1fffe, 0x110bd, 0x1d173, 0xe0001, 0xe0020,
    0xe007f, 0xe0100, 0xe01ef, 0x10fffe, 0x10ffff};

static size_t utf8(uint32_t c, char *out)
{
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 63));
        out[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 63));
    out[2] = (char)(0x80 | (c >> 6 & 63));
    out[3] = (char)(0x80 | (c & 63));
    return 4;
}

static void test_cli_escape_code_point(void **state)
{
    char in[4];
    char want[17] = "";
    size_t n = utf8(*(const uint32_t *)*state, in);

    for (size_t i = 0; i < n; i++) {
        (void)snprintf(want + 4 * i, 5, "\\x%02X", (unsigned char)in[i]);
    }
    check(in, n, want, 4 * n);
}

/* ---- the rest ----------------------------------------------------------- */

static void test_cli_escape_limit(void **state)
{
    cli_text out = {0};

    (void)state;
    cli_escape(&out, "abc", 3, 4);
    assert_string_equal(cli_text_string(&out), "abc");
    cli_text_clear(&out);
    cli_escape(&out, "abcd", 4, 4);
    assert_string_equal(cli_text_string(&out), "abcd");
    cli_text_clear(&out);
    cli_escape(&out, "abcde", 5, 4);
    assert_string_equal(cli_text_string(&out), "abcd...");
    cli_text_clear(&out);
    /* The limit counts characters, and cuts none in two. */
    cli_escape(&out, "\xc3\xa9\xc3\xa9\xc3\xa9", 6, 2);
    assert_string_equal(cli_text_string(&out), "\xc3\xa9\xc3\xa9...");
    cli_text_fini(&out);
}

static void test_cli_escape_lines(void **state)
{
    cli_text out = {0};

    (void)state;
    cli_escape_lines(&out, "a\n\tb\r\033[m", 8);
    assert_string_equal(cli_text_string(&out), "a\n\tb\\x0D\\x1B[m");
    cli_text_fini(&out);
}

/* Random bytes: whatever goes in, only plain characters come out. */
static void test_cli_escape_output_is_plain(void **state)
{
    uint64_t seed = 11;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        cli_text out = {0};
        uint8_t in[24];
        size_t n = pn_test_random(&seed) % sizeof(in);
        size_t at = 0;

        for (size_t i = 0; i < n; i++) {
            in[i] = (uint8_t)pn_test_random(&seed);
        }
        cli_escape(&out, in, n, CLI_ESCAPE_ALL);
        while (at < out.len) {
            uint32_t c = 0;
            size_t k = pn_utf8_decode((const uint8_t *)out.data + at,
                (const uint8_t *)out.data + out.len, &c);

            assert_true(k > 0);
            assert_false(c < 0x20 || (c >= 0x7f && c < 0xa0));
            assert_false(c >= 0x202a && c <= 0x202e);
            at += k;
        }
        cli_text_fini(&out);
    }
}

static void json_row(const char *in, size_t len, const char *want)
{
    cli_text out = {0};

    cli_escape_json(&out, in, len);
    assert_string_equal(cli_text_string(&out), want);
    cli_text_fini(&out);
}

static void test_cli_escape_json(void **state)
{
    (void)state;
    json_row("plain \xc3\xa9", 8, "plain \xc3\xa9");
    json_row("\"\\/\b\f\n\r\t", 8, "\\\"\\\\/\\b\\f\\n\\r\\t");
    json_row("\0\x1b\x7f", 3, "\\u0000\\u001b\\u007f");
    json_row("\xc2\x9b\xe2\x80\xae", 5, "\\u009b\\u202e");
    json_row("\xf3\xa0\x81\xa1", 4, "\\udb40\\udc61");
    json_row("a\xff"
             "b",
        3,
        "a\xef\xbf\xbd"
        "b");
}

int main(void)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pn_test_addf(test_cli_escape_row, (void *)(uintptr_t)&rows[i],
            "cli/escape/%s", rows[i].name);
    }
    for (unsigned b = 0; b < 256; b++) {
        if (b < 0x20 || b >= 0x7f) {
            pn_test_addf(test_cli_escape_byte, (void *)(uintptr_t)b,
                "cli/escape/byte_%02x", b);
        }
    }
    for (size_t i = 0; i < sizeof(code_points) / sizeof(code_points[0]); i++) {
        pn_test_addf(test_cli_escape_code_point,
            (void *)(uintptr_t)&code_points[i], "cli/escape/u%04x",
            code_points[i]);
    }
    pn_test_add("cli/escape/limit", test_cli_escape_limit, NULL);
    pn_test_add("cli/escape/lines", test_cli_escape_lines, NULL);
    pn_test_add(
        "cli/escape/output_is_plain", test_cli_escape_output_is_plain, NULL);
    pn_test_add("cli/escape/json", test_cli_escape_json, NULL);
    return pn_test_run("cli/escape");
}

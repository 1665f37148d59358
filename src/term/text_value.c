/* SPDX-License-Identifier: Apache-2.0 */
/* Atoms, texts, charlists and bitstrings in Elixir text. */
#include <string.h>

#include "base/ascii.h"
#include "base/utf8.h"
#include "term/ident.h"
#include "term/text_internal.h"

enum { UNICODE_MAX = 0x10ffff };

static pn_slice rest_of(const pn_text *t)
{
    return (pn_slice){(const uint8_t *)t->at, (size_t)(t->end - t->at)};
}

static pn_slice scratch_of(pn_text *t)
{
    return (pn_slice){pn_buf_head(&t->scratch), pn_buf_used(&t->scratch)};
}

static bool scratch_put(pn_text *t, const void *bytes, size_t len)
{
    if (pn_buf_append(&t->scratch, bytes, len) != PN_OK) {
        return pn_text_fail_as(t, PN_NOMEM, "more memory");
    }
    return true;
}

static bool scratch_put_char(pn_text *t, uint32_t c)
{
    uint8_t utf8[4];

    return scratch_put(t, utf8, pn_utf8_encode(c, utf8));
}

/* ---- quoted text ---- */

/* min to max hexadecimal digits. */
static bool take_hex(pn_text *t, int min, int max, uint32_t *ret)
{
    int n = 0;

    *ret = 0;
    while (n < max && t->at < t->end && pn_is_digit(*t->at, 16)) {
        *ret = *ret << 4 | pn_digit_value(*t->at);
        t->at++;
        n++;
    }
    return n >= min || pn_text_fail(t, "a hexadecimal digit");
}

static bool put_code_point(pn_text *t, uint32_t c)
{
    if (c > UNICODE_MAX || (c >= 0xd800 && c <= 0xdfff)) {
        return pn_text_fail(t, "a Unicode character up to 10FFFF");
    }
    return scratch_put_char(t, c);
}

/* \xHH, \x{H..}, \uHHHH, \u{H..}; at is behind the letter. */
static bool read_hex_escape(pn_text *t, bool is_u, bool is_binary)
{
    uint32_t c;
    uint8_t byte;

    if (t->at < t->end && *t->at == '{') {
        t->at++;
        if (!take_hex(t, 1, 6, &c)) {
            return false;
        }
        if (t->at == t->end || *t->at != '}') {
            return pn_text_fail(t, "'}'");
        }
        t->at++;
        return put_code_point(t, c);
    }
    if (!take_hex(t, is_u ? 4 : 1, is_u ? 4 : 2, &c)) {
        return false;
    }
    if (is_u || !is_binary) {
        return put_code_point(t, c);
    }
    byte = (uint8_t)c;
    return scratch_put(t, &byte, 1);
}

/* The character that a letter behind a backslash stands for; any other letter
 * stands for itself. */
static char unescape(char c)
{
    static const char from[] = "0abdefnrstv";
    static const char to[] = "\0\a\b\x7f\x1b\f\n\r \t\v";
    const char *p = c == '\0' ? NULL : strchr(from, c);

    return p == NULL ? c : to[p - from];
}

static bool read_escape(pn_text *t, bool is_binary)
{
    uint32_t c = 0;
    size_t n;

    t->at++;
    n = pn_utf8_decode(rest_of(t).data, (const uint8_t *)t->end, &c);
    if (n == 0) {
        return pn_text_fail(t, "a character behind '\\'");
    }
    t->at += n;
    if (c == 'x' || c == 'u') {
        return read_hex_escape(t, c == 'u', is_binary);
    }
    if (c == '\n') {
        return true; /* the line goes on */
    }
    return scratch_put_char(t, c < 128 ? (uint8_t)unescape((char)c) : c);
}

/* Plain characters up to the next quote, backslash or interpolation. */
static bool read_plain(pn_text *t, char quote)
{
    const char *from = t->at;
    size_t len;

    while (t->at < t->end && *t->at != quote && *t->at != '\\'
           && !(*t->at == '#' && t->at + 1 < t->end && t->at[1] == '{')) {
        t->at++;
    }
    len = (size_t)(t->at - from);
    if (!pn_utf8_check((const uint8_t *)from, len, NULL)) {
        t->at = from;
        return pn_text_fail(t, "text in UTF-8");
    }
    return scratch_put(t, from, len);
}

bool pn_text_read_quoted(pn_text *t, bool is_binary)
{
    char quote = *t->at++;

    pn_buf_consume(&t->scratch, pn_buf_used(&t->scratch));
    for (;;) {
        if (!read_plain(t, quote)) {
            return false;
        }
        if (t->at == t->end) {
            return pn_text_fail(t, quote == '"' ? "'\"'" : "\"'\"");
        }
        if (*t->at == quote) {
            t->at++;
            return true;
        }
        if (*t->at == '#') {
            return pn_text_fail(t, "text without interpolation");
        }
        if (!read_escape(t, is_binary)) {
            return false;
        }
    }
}

/* ---- atoms ---- */

void pn_text_write_atom(pn_text *t, pn_slice name)
{
    size_t chars = 0;

    if (!pn_utf8_check(name.data, name.len, &chars) || chars > 255) {
        (void)pn_text_fail(t, "an atom of at most 255 characters");
        return;
    }
    pn_term_write_atom_n(t->w, (const char *)name.data, name.len);
}

/* Fails with a hint where an unquoted name goes on with a character that is not
 * ASCII. */
static bool fail_if_wide(pn_text *t, size_t len)
{
    return t->at + len < t->end && (uint8_t)t->at[len] > 127
           && !pn_text_fail(t, "quotes around a name that is not ASCII, as in "
                               ":\"gr\xc3\xbc\xc3\x9f\"");
}

/* How long an unquoted atom at at is. */
static size_t atom_len(const pn_text *t)
{
    size_t n = pn_ident_scan(rest_of(t));

    return n > 0 ? n : pn_ident_operator(rest_of(t));
}

/* at is on the colon. */
static bool read_atom(pn_text *t)
{
    size_t n;

    t->at++;
    if (t->at < t->end && (*t->at == '"' || *t->at == '\'')) {
        if (!pn_text_read_quoted(t, false)) {
            return false;
        }
        pn_text_write_atom(t, scratch_of(t));
        return t->err == PN_OK;
    }
    n = atom_len(t);
    if (n == 0) {
        return !fail_if_wide(t, pn_ident_run(rest_of(t)))
               && pn_text_fail(t, "the name of an atom");
    }
    pn_text_write_atom(t, (pn_slice){(const uint8_t *)t->at, n});
    t->at += n;
    return t->err == PN_OK;
}

/* Foo.Bar is the atom Elixir.Foo.Bar. */
static bool read_alias(pn_text *t)
{
    static const char prefix[] = "Elixir.";
    pn_slice name = {rest_of(t).data, pn_ident_alias(rest_of(t))};

    if (fail_if_wide(t, name.len)) {
        return false;
    }
    pn_buf_consume(&t->scratch, pn_buf_used(&t->scratch));
    if ((!pn_ident_is_elixir(name)
            && !scratch_put(t, prefix, sizeof(prefix) - 1))
        || !scratch_put(t, name.data, name.len)) {
        return false;
    }
    t->at += name.len;
    pn_text_write_atom(t, scratch_of(t));
    return t->err == PN_OK;
}

/* true, false, nil. */
static bool read_word(pn_text *t)
{
    size_t n = pn_ident_scan(rest_of(t));
    pn_slice word = {(const uint8_t *)t->at, n};

    if (fail_if_wide(t, pn_ident_run(rest_of(t)))) {
        return false;
    }
    if (n == 0 || pn_ident_of(word) != IDENT_WORD) {
        return pn_text_fail(t, "a value");
    }
    pn_text_write_atom(t, word);
    t->at += n;
    return true;
}

/* True when one colon is at p, not two. */
static bool is_name_end(const pn_text *t, const char *p)
{
    return p < t->end && *p == ':' && (p + 1 == t->end || p[1] != ':');
}

/* at is behind the colon. Without a space Elixir reads another atom there. */
static bool take_name_space(pn_text *t)
{
    return t->at == t->end || pn_is_space(*t->at)
           || pn_text_fail(t, "a space behind the ':' of a name");
}

static bool take_quoted_name(pn_text *t, pn_slice *ret_name)
{
    const char *from = t->at;

    if (!pn_text_read_quoted(t, false)) {
        /* It is no text either. Reading it as a value fails with the reason. */
        t->err = PN_OK;
        t->at = from;
        return false;
    }
    if (!is_name_end(t, t->at)) {
        t->at = from;
        return false;
    }
    t->at++;
    *ret_name = scratch_of(t);
    return take_name_space(t);
}

bool pn_text_take_name(pn_text *t, pn_slice *ret_name)
{
    size_t n;

    if (t->at < t->end && *t->at == '"') {
        return take_quoted_name(t, ret_name);
    }
    n = atom_len(t);
    if (n == 0 || !is_name_end(t, t->at + n)) {
        (void)fail_if_wide(t, pn_ident_run(rest_of(t)));
        return false;
    }
    *ret_name = (pn_slice){(const uint8_t *)t->at, n};
    t->at += n + 1;
    return take_name_space(t);
}

/* ---- charlists and characters ---- */

static bool read_charlist(pn_text *t)
{
    pn_slice s;
    size_t i = 0;

    if (!pn_text_read_quoted(t, false)) {
        return false;
    }
    s = scratch_of(t);
    pn_term_write_list_begin(t->w);
    while (i < s.len) {
        uint32_t c = 0;

        i += pn_utf8_decode(s.data + i, s.data + s.len, &c);
        pn_term_write_int64(t->w, c);
    }
    pn_term_write_list_end(t->w);
    return true;
}

/* ~c"abc", ~c'abc': at is on the tilde. */
static bool read_sigil(pn_text *t)
{
    if (t->end - t->at < 3 || t->at[1] != 'c'
        || (t->at[2] != '"' && t->at[2] != '\'')) {
        return pn_text_fail(t, "a value (of sigils, ~c\"text\" only)");
    }
    t->at += 2;
    return read_charlist(t);
}

/* ?a, ?\n: at is on the question mark. */
static bool read_character(pn_text *t)
{
    uint32_t c = 0;
    bool is_escaped;
    size_t n;

    t->at++;
    is_escaped = t->at < t->end && *t->at == '\\';
    t->at += is_escaped ? 1 : 0;
    n = pn_utf8_decode(rest_of(t).data, (const uint8_t *)t->end, &c);
    if (n == 0) {
        return pn_text_fail(t, "a character in UTF-8");
    }
    t->at += n;
    if (is_escaped && c < 128) {
        c = (uint8_t)unescape((char)c);
    }
    pn_term_write_int64(t->w, c);
    return true;
}

static bool read_text(pn_text *t)
{
    if (!pn_text_read_quoted(t, true)) {
        return false;
    }
    pn_term_write_binary(t->w, scratch_of(t).data, scratch_of(t).len);
    return true;
}

bool pn_text_read_scalar(pn_text *t)
{
    char c = t->at < t->end ? *t->at : '\0';

    if (pn_is_digit(c, 10) || c == '-' || c == '+') {
        return pn_text_read_number(t);
    }
    if (pn_is_upper(c)) {
        return read_alias(t);
    }
    switch (c) {
    case '"':
        return read_text(t);
    case '\'':
        return read_charlist(t);
    case '~':
        return read_sigil(t);
    case ':':
        return read_atom(t);
    case '?':
        return read_character(t);
    case '<':
        return pn_text_read_bits(t);
    default:
        return read_word(t);
    }
}

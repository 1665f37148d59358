/* SPDX-License-Identifier: Apache-2.0 */
/* The words of a pattern; see pattern.h. Source: docs/TERM.md. */
#include <stdlib.h>
#include <string.h>

#include "term/pattern.h"

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name(char c)
{
    return is_lower(c) || is_digit(c) || (c >= 'A' && c <= 'Z') || c == '_'
           || c == '@';
}

/* name, or name: with the colon taken. */
static pn_pattern_token read_name(pn_pattern *p)
{
    const char *from = p->at;

    while (is_name(*p->at)) {
        p->at++;
    }
    if (*p->at == '?' || *p->at == '!') {
        p->at++;
    }
    p->text = (pn_slice){(const uint8_t *)from, (size_t)(p->at - from)};
    if (*p->at == ':') {
        p->at++;
        return PATTERN_KEY;
    }
    return PATTERN_ATOM;
}

static pn_pattern_token read_number(pn_pattern *p)
{
    bool is_negative = *p->at == '-';
    uint64_t most = (uint64_t)INT64_MAX + (is_negative ? 1 : 0);
    uint64_t value = 0;

    p->at += is_negative ? 1 : 0;
    if (!is_digit(*p->at)) {
        return PATTERN_ERROR;
    }
    while (is_digit(*p->at)) {
        unsigned digit = (unsigned)(*p->at++ - '0');

        if (value > (most - digit) / 10) {
            return PATTERN_ERROR;
        }
        value = 10 * value + digit;
    }
    p->number = (int64_t)(is_negative ? 0 - value : value);
    return PATTERN_INTEGER;
}

/* What a backslash and c stand for, or -1. */
static int unescape(char c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case '\\':
    case '"':
    case '\'':
        return c;
    default:
        return -1;
    }
}

/* The rest of a quoted text with escapes, copied. */
static bool copy_quoted(pn_pattern *p, char quote)
{
    size_t n = 0;

    while (*p->at != quote) {
        int c = (unsigned char)*p->at;

        if (c == '\\') {
            c = unescape(*++p->at);
        }
        if (c <= 0 || n == sizeof(p->unescaped)) {
            return false;
        }
        p->unescaped[n++] = (uint8_t)c;
        p->at++;
    }
    p->text = (pn_slice){p->unescaped, n};
    p->at++;
    return true;
}

/* Text without escapes is used where it stands. */
static bool read_quoted(pn_pattern *p)
{
    char quote = *p->at++;
    const char *from = p->at;
    const char stops[] = {quote, '\\', '\0'};
    size_t len = strcspn(from, stops);

    if (from[len] == quote) {
        p->text = (pn_slice){(const uint8_t *)from, len};
        p->at += len + 1;
        return true;
    }
    return copy_quoted(p, quote);
}

static pn_pattern_token take(pn_pattern *p, size_t n, pn_pattern_token token)
{
    p->at += n;
    return token;
}

static pn_pattern_token read_sign(pn_pattern *p)
{
    switch (*p->at) {
    case '{':
        return take(p, 1, PATTERN_TUPLE);
    case '}':
        return take(p, 1, PATTERN_TUPLE_END);
    case '[':
        return take(p, 1, PATTERN_LIST);
    case ']':
        return take(p, 1, PATTERN_LIST_END);
    case ',':
        return take(p, 1, PATTERN_COMMA);
    case '|':
        return take(p, 1, PATTERN_BAR);
    case '%':
        return p->at[1] == '{' ? take(p, 2, PATTERN_MAP) : PATTERN_ERROR;
    case '=':
        return p->at[1] == '>' ? take(p, 2, PATTERN_ARROW) : PATTERN_ERROR;
    case '\0':
        return PATTERN_END;
    default:
        return PATTERN_ERROR;
    }
}

pn_pattern_token pn_pattern_next(pn_pattern *p)
{
    while (*p->at == ' ' || *p->at == '\n' || *p->at == '\t') {
        p->at++;
    }
    if (is_lower(*p->at)) {
        return read_name(p);
    }
    if (is_digit(*p->at) || *p->at == '-') {
        return read_number(p);
    }
    switch (*p->at) {
    case '"':
        return read_quoted(p) ? PATTERN_TEXT : PATTERN_ERROR;
    case '\'':
        return read_quoted(p) ? PATTERN_ATOM : PATTERN_ERROR;
    case '_':
        return take(p, 1, is_name(p->at[1]) ? PATTERN_ERROR : PATTERN_ANY);
    case '~':
        p->directive = p->at[1];
        return take(p, p->at[1] == '\0' ? 1 : 2, PATTERN_DIRECTIVE);
    default:
        return read_sign(p);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns; see pattern.h. The first half reads words, the second keeps their
 * order. */
#include <string.h>

#include "base/ascii.h"
#include "base/assert.h"
#include "term/pattern.h"

/* name, or name: with the colon taken. */
static pn_pattern_token read_name(pn_pattern *p)
{
    const char *from = p->at;

    while (pn_is_word(*p->at) || *p->at == '@') {
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
    if (!pn_is_digit(*p->at, 10)) {
        return PATTERN_ERROR;
    }
    while (pn_is_digit(*p->at, 10)) {
        unsigned digit = (unsigned)(*p->at++ - '0');

        if (value > (most - digit) / 10) {
            return PATTERN_ERROR;
        }
        value = 10 * value + digit;
    }
    p->number = (int64_t)(is_negative ? 0 - value : value);
    return PATTERN_INTEGER;
}

/* The character that a backslash and c stand for, or -1. */
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

static pn_pattern_token read_word(pn_pattern *p)
{
    while (pn_is_space(*p->at)) {
        p->at++;
    }
    if (pn_is_lower(*p->at)) {
        return read_name(p);
    }
    if (pn_is_digit(*p->at, 10) || *p->at == '-') {
        return read_number(p);
    }
    switch (*p->at) {
    case '"':
        return read_quoted(p) ? PATTERN_TEXT : PATTERN_ERROR;
    case '\'':
        return read_quoted(p) ? PATTERN_ATOM : PATTERN_ERROR;
    case '_':
        return take(p, 1,
            pn_is_word(p->at[1]) || p->at[1] == '@' ? PATTERN_ERROR
                                                    : PATTERN_ANY);
    case '~':
        p->directive = p->at[1];
        return take(p, p->at[1] == '\0' ? 1 : 2, PATTERN_DIRECTIVE);
    default:
        return read_sign(p);
    }
}

/* ---- order --------------------------------------------------------------- */

/* The tokens that may come next. */
enum {
    PATTERN_VALUE,          /* a value */
    PATTERN_VALUE_OR_CLOSE, /* just after an opening bracket */
    PATTERN_AFTER           /* a comma, a bar, an arrow, a closing bracket */
};

void pn_pattern_init(pn_pattern *p, const char *text)
{
    p->at = text;
    p->state = PATTERN_VALUE;
    p->depth = 0;
}

static pn_pattern_frame *innermost(pn_pattern *p)
{
    return p->depth == 0 ? NULL : &p->frames[p->depth - 1];
}

static pn_pattern_token open_container(pn_pattern *p, pn_pattern_token token)
{
    if (p->depth == PATTERN_DEPTH_MAX) {
        return PATTERN_ERROR;
    }
    p->frames[p->depth++] = (pn_pattern_frame){.kind = token};
    p->state = PATTERN_VALUE_OR_CLOSE;
    return token;
}

/* } ends a map, too. */
static pn_pattern_token close_container(pn_pattern *p, pn_pattern_token token)
{
    const pn_pattern_frame *f = innermost(p);

    assert(f != NULL);
    if (f->has_key
        || (f->kind == PATTERN_LIST) != (token == PATTERN_LIST_END)) {
        return PATTERN_ERROR;
    }
    p->is_key = false;
    p->is_tail = f->has_tail;
    p->depth--;
    p->state = PATTERN_AFTER;
    return f->kind == PATTERN_MAP ? PATTERN_MAP_END : token;
}

/* The sign between two values; PATTERN_ERROR where another is due. */
static pn_pattern_token take_sign(pn_pattern *p, pn_pattern_token token)
{
    pn_pattern_frame *f = innermost(p);
    bool is_fine;

    assert(f != NULL);
    if (f->has_key) {
        is_fine = token == PATTERN_ARROW;
    } else if (token == PATTERN_BAR) {
        is_fine = f->kind == PATTERN_LIST && !f->has_tail;
        f->has_tail = true;
    } else {
        is_fine = token == PATTERN_COMMA && !f->has_tail;
    }
    p->state = PATTERN_VALUE;
    return is_fine ? token : PATTERN_ERROR;
}

static pn_pattern_token take_value(pn_pattern *p, pn_pattern_token token)
{
    pn_pattern_frame *f = innermost(p);

    p->is_key = f != NULL && f->kind == PATTERN_MAP && !f->has_key;
    p->is_tail = f != NULL && f->has_tail;
    if (f != NULL) {
        f->has_key = p->is_key;
    }
    p->state = PATTERN_AFTER;
    switch (token) {
    case PATTERN_TUPLE:
    case PATTERN_LIST:
    case PATTERN_MAP:
        return open_container(p, token);
    case PATTERN_KEY:
        p->state = PATTERN_VALUE;
        return p->is_key ? PATTERN_ATOM : PATTERN_ERROR;
    case PATTERN_ATOM:
    case PATTERN_INTEGER:
    case PATTERN_TEXT:
    case PATTERN_DIRECTIVE:
    case PATTERN_ANY:
        return token;
    default:
        return PATTERN_ERROR;
    }
}

pn_pattern_token pn_pattern_next(pn_pattern *p)
{
    pn_pattern_token token = read_word(p);
    bool is_close = token == PATTERN_TUPLE_END || token == PATTERN_LIST_END;

    if (p->state == PATTERN_AFTER && p->depth == 0) {
        return token == PATTERN_END ? PATTERN_END : PATTERN_ERROR;
    }
    if (is_close && p->state != PATTERN_VALUE) {
        return close_container(p, token);
    }
    if (p->state == PATTERN_AFTER) {
        if (take_sign(p, token) == PATTERN_ERROR) {
            return PATTERN_ERROR;
        }
        token = read_word(p);
    }
    return take_value(p, token);
}

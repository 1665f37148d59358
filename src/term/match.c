/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comparing a term with a pattern and taking values out. One cursor walks the
 * term in step with the pattern; in a map it goes to the value of each key that
 * the pattern names. Source: docs/TERM.md, "Patterns".
 */
#include <limits.h>
#include <string.h>

#include <peernet/key.h>

#include "base/assert.h"
#include "term/pattern.h"
#include "term/scan.h"

/* A container of the term that is open. The pattern has a frame for it too. */
typedef struct match_frame {
    pn_pattern_token kind;
    uint32_t n;           /* elements, or pairs */
    uint32_t left;        /* elements not yet compared */
    pn_term_reader pairs; /* map: before the first pair */
    const uint8_t *after; /* map: behind the last */
} match_frame;

typedef struct match {
    pn_pattern pattern;
    pn_term_reader r;
    uint32_t depth;
    match_frame frames[PATTERN_DEPTH_MAX];
} match;

typedef struct match_args {
    va_list list;
} match_args;

static bool is_ok(const pn_term_reader *r)
{
    return r->err == PN_OK;
}

static bool match_int(pn_term_reader *r, int *ret)
{
    int64_t value = pn_term_read_int64(r);

    if (!is_ok(r) || value < INT_MIN || value > INT_MAX) {
        return false;
    }
    *ret = (int)value;
    return true;
}

static bool match_bool(pn_term_reader *r, bool *ret)
{
    pn_term term = pn_term_read_any(r);

    *ret = pn_term_is_atom(term, "true");
    return is_ok(r) && (*ret || pn_term_is_atom(term, "false"));
}

static bool match_key(pn_term_reader *r, pn_public_key *ret)
{
    pn_slice s = pn_term_read_binary(r);

    if (!is_ok(r) || s.len != sizeof(ret->bytes)) {
        return false;
    }
    memcpy(ret->bytes, s.data, s.len);
    return true;
}

static bool match_directive(match *m, match_args *args)
{
    pn_term_reader *r = &m->r;

    switch (m->pattern.directive) {
    case 'a':
        *va_arg(args->list, pn_slice *) = pn_term_read_atom(r);
        return is_ok(r);
    case 'b':
        *va_arg(args->list, pn_slice *) = pn_term_read_binary(r);
        return is_ok(r);
    case 'i':
        return match_int(r, va_arg(args->list, int *));
    case 'l':
        *va_arg(args->list, int64_t *) = pn_term_read_int64(r);
        return is_ok(r);
    case 'u':
        *va_arg(args->list, uint64_t *) = pn_term_read_uint64(r);
        return is_ok(r);
    case 'd':
        *va_arg(args->list, double *) = pn_term_read_double(r);
        return is_ok(r);
    case 'o':
        return match_bool(r, va_arg(args->list, bool *));
    case 'k':
        return match_key(r, va_arg(args->list, pn_public_key *));
    case 't':
        *va_arg(args->list, pn_term *) = pn_term_read_any(r);
        return is_ok(r);
    default:
        return false;
    }
}

/* The next element of r, which it takes, against a literal of the pattern. */
static bool match_literal(
    pn_term_reader *r, const pn_pattern *p, pn_pattern_token token)
{
    pn_slice s;

    switch (token) {
    case PATTERN_ATOM:
        return pn_term_is_atom_slice(pn_term_read_any(r), p->text);
    case PATTERN_INTEGER:
        return pn_term_read_int64(r) == p->number && is_ok(r);
    case PATTERN_TEXT:
        s = pn_term_read_binary(r);
        return is_ok(r) && s.len == p->text.len
               && (s.len == 0 || memcmp(s.data, p->text.data, s.len) == 0);
    default:
        return false;
    }
}

static bool match_open(match *m, pn_pattern_token token)
{
    match_frame *f = &m->frames[m->depth++];

    assert(m->depth <= PATTERN_DEPTH_MAX);
    *f = (match_frame){.kind = token};
    if (token == PATTERN_TUPLE) {
        f->n = pn_term_read_tuple(&m->r);
    } else if (token == PATTERN_LIST) {
        f->n = pn_term_read_list(&m->r);
    } else {
        f->after = is_ok(&m->r) && m->r.string_left == 0
                       ? pn_term_scan(m->r.at, m->r.end, NULL)
                       : NULL;
        f->n = pn_term_read_map(&m->r);
        f->pairs = m->r;
    }
    f->left = f->n;
    return is_ok(&m->r);
}

/* A key of a map: the cursor goes to the value that belongs to it. */
static bool match_key_of(match *m, const match_frame *f, pn_pattern_token token)
{
    pn_term_reader at = f->pairs;

    for (uint32_t i = 0; i < f->n; i++) {
        pn_term_reader key = at;

        if (match_literal(&key, &m->pattern, token)) {
            m->r = key;
            return true;
        }
        pn_term_read_skip(&at);
        pn_term_read_skip(&at);
    }
    return false;
}

static bool match_close(match *m)
{
    const match_frame *f = &m->frames[--m->depth];

    assert(m->depth == m->pattern.depth);
    if (f->kind == PATTERN_MAP) {
        m->r.at = f->after;
        m->r.string_left = 0;
        return f->after != NULL;
    }
    if (f->kind == PATTERN_LIST && f->n > 0 && !m->pattern.is_tail) {
        pn_term_read_nil(&m->r);
    }
    return f->left == 0 && is_ok(&m->r);
}

/* An element is about to be compared: there must be one in the term. A tail
 * must be behind all of them, unless it is _, which takes the rest. */
static bool match_count(match *m, match_frame *f, pn_pattern_token token)
{
    if (f->kind == PATTERN_MAP) {
        return true;
    }
    if (m->pattern.is_tail) {
        for (; token == PATTERN_ANY && f->left > 0; f->left--) {
            pn_term_read_skip(&m->r);
        }
        return f->left == 0;
    }
    if (f->left == 0) {
        return false;
    }
    f->left--;
    return true;
}

static bool match_value(match *m, pn_pattern_token token, match_args *args)
{
    switch (token) {
    case PATTERN_TUPLE:
    case PATTERN_LIST:
    case PATTERN_MAP:
        return match_open(m, token);
    case PATTERN_DIRECTIVE:
        return match_directive(m, args);
    case PATTERN_ANY:
        pn_term_read_skip(&m->r);
        return is_ok(&m->r);
    default:
        return match_literal(&m->r, &m->pattern, token);
    }
}

static bool match_token(match *m, pn_pattern_token token, match_args *args)
{
    match_frame *f = m->depth == 0 ? NULL : &m->frames[m->depth - 1];

    switch (token) {
    case PATTERN_TUPLE_END:
    case PATTERN_LIST_END:
    case PATTERN_MAP_END:
        return match_close(m);
    default:
        break;
    }
    if (m->pattern.is_key) {
        return match_key_of(m, f, token);
    }
    return (f == NULL || match_count(m, f, token))
           && match_value(m, token, args);
}

bool pn_term_vmatch(pn_term term, const char *pattern, va_list list)
{
    match m;
    match_args args;
    pn_pattern_token token;
    bool is_match = pattern != NULL;

    m.depth = 0;
    pn_pattern_init(&m.pattern, pattern);
    pn_term_reader_init(&m.r, term);
    va_copy(args.list, list);
    while (is_match && (token = pn_pattern_next(&m.pattern)) != PATTERN_END) {
        is_match = match_token(&m, token, &args);
    }
    va_end(args.list);
    return is_match && pn_term_reader_finish(&m.r) == PN_OK;
}

bool pn_term_match(pn_term term, const char *pattern, ...)
{
    va_list args;
    bool is_match;

    va_start(args, pattern);
    is_match = pn_term_vmatch(term, pattern, args);
    va_end(args);
    return is_match;
}

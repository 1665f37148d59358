/* SPDX-License-Identifier: Apache-2.0 */
/* Where a term ends; see scan.h. Counts the terms still owed, no stack. */
#include "term/scan.h"
#include "base/bytes.h"
#include "term/tags.h"

typedef struct term_scan {
    const uint8_t *at;
    const uint8_t *end;
    uint64_t owed;
    bool has_opaque;
} term_scan;

static bool skip(term_scan *s, size_t n)
{
    if ((size_t)(s->end - s->at) < n) {
        return false;
    }
    s->at += n;
    return true;
}

/* A big-endian number of n bytes. */
static bool number(term_scan *s, size_t n, uint32_t *ret)
{
    const uint8_t *p = s->at;

    if (!skip(s, n)) {
        return false;
    }
    *ret = n == 1 ? *p : n == 2 ? pn_load_be16(p) : pn_load_be32(p);
    return true;
}

/* A length of n bytes, then as many bytes and extra more. */
static bool counted(term_scan *s, size_t n, size_t extra)
{
    uint32_t len;

    return number(s, n, &len) && skip(s, extra) && skip(s, len);
}

/* A count of n bytes, then per times as many terms and extra more. Each takes
 * a byte at least, so what is owed stays below the bytes left. */
static bool terms(term_scan *s, size_t n, unsigned per, unsigned extra)
{
    uint32_t count;

    if (!number(s, n, &count)) {
        return false;
    }
    s->owed += (uint64_t)per * count + extra;
    return s->owed - 1 <= (uint64_t)(s->end - s->at);
}

/* The atom that opaque terms begin with. */
static bool atom(term_scan *s)
{
    uint32_t tag;

    if (!number(s, 1, &tag)) {
        return false;
    }
    switch (tag) {
    case TAG_ATOM:
    case TAG_ATOM_UTF8:
        return counted(s, 2, 0);
    case TAG_SMALL_ATOM:
    case TAG_SMALL_ATOM_UTF8:
        return counted(s, 1, 0);
    default:
        return false;
    }
}

static bool fun(term_scan *s)
{
    uint32_t size;

    return number(s, 4, &size) && size >= 4 && skip(s, size - 4);
}

static bool reference(term_scan *s, size_t n_creation)
{
    uint32_t n_words;

    return number(s, 2, &n_words) && atom(s)
           && skip(s, n_creation + 4 * (size_t)n_words);
}

static bool opaque(term_scan *s, uint32_t tag)
{
    s->has_opaque = true;
    switch (tag) {
    case TAG_NEW_PID:
    case TAG_V4_PORT:
        return atom(s) && skip(s, 12);
    case TAG_PID:
        return atom(s) && skip(s, 9);
    case TAG_NEW_PORT:
        return atom(s) && skip(s, 8);
    case TAG_PORT:
    case TAG_REFERENCE:
        return atom(s) && skip(s, 5);
    case TAG_NEW_REFERENCE:
        return reference(s, 1);
    case TAG_NEWER_REFERENCE:
        return reference(s, 4);
    case TAG_NEW_FUN:
        return fun(s);
    case TAG_EXPORT:
        return atom(s) && atom(s) && skip(s, 2);
    default:
        return false;
    }
}

static bool one(term_scan *s)
{
    uint32_t tag;

    if (!number(s, 1, &tag)) {
        return false;
    }
    switch (tag) {
    case TAG_NIL:
        return true;
    case TAG_SMALL_INTEGER:
        return skip(s, 1);
    case TAG_INTEGER:
        return skip(s, 4);
    case TAG_NEW_FLOAT:
        return skip(s, 8);
    case TAG_SMALL_BIG:
        return counted(s, 1, 1);
    case TAG_LARGE_BIG:
        return counted(s, 4, 1);
    case TAG_SMALL_ATOM:
    case TAG_SMALL_ATOM_UTF8:
        return counted(s, 1, 0);
    case TAG_ATOM:
    case TAG_ATOM_UTF8:
    case TAG_STRING:
        return counted(s, 2, 0);
    case TAG_BINARY:
        return counted(s, 4, 0);
    case TAG_BIT_BINARY:
        return counted(s, 4, 1);
    case TAG_SMALL_TUPLE:
        return terms(s, 1, 1, 0);
    case TAG_LARGE_TUPLE:
        return terms(s, 4, 1, 0);
    case TAG_LIST:
        return terms(s, 4, 1, 1);
    case TAG_MAP:
        return terms(s, 4, 2, 0);
    default:
        return opaque(s, tag);
    }
}

const uint8_t *pn_term_scan(
    const uint8_t *p, const uint8_t *end, bool *has_opaque)
{
    term_scan s = {.at = p, .end = end, .owed = 1};

    while (s.owed > 0) {
        if (!one(&s)) {
            return NULL;
        }
        s.owed--;
    }
    if (s.has_opaque && has_opaque != NULL) {
        *has_opaque = true;
    }
    return s.at;
}

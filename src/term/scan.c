/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the end of a term; see scan.h. Counting the terms still owed takes no
 * stack. */
#include "term/scan.h"
#include "base/bytes.h"
#include "term/atoms.h"
#include "term/tags.h"

typedef struct term_scan {
    const uint8_t *at;
    const uint8_t *end;
    uint64_t owed;
    pn_term_found *found; /* may be NULL */
} term_scan;

/* The bytes behind a tag, in this order. */
typedef struct shape {
    bool is_known;
    bool is_opaque;
    bool is_name;    /* of an atom, which may be new */
    uint8_t n_count; /* bytes of a count */
    uint8_t n_atoms;
    int8_t fixed;  /* bytes; less than none: the count includes itself */
    uint8_t each;  /* ... and so many for each that is counted */
    uint8_t terms; /* for each that is counted */
    uint8_t tail;  /* ... and so many terms more */
} shape;

#define FIXED(n) .is_known = true, .fixed = (n)
#define COUNTED(n, extra) FIXED(extra), .n_count = (n), .each = 1
#define NAME(n) COUNTED(n, 0), .is_name = true
#define TERMS(n, per, more)                                                    \
    FIXED(0), .n_count = (n), .terms = (per), .tail = (more)
#define OPAQUE(atoms, n) FIXED(n), .is_opaque = true, .n_atoms = (atoms)
#define REFERENCE(n) OPAQUE(1, n), .n_count = 2, .each = 4

static const shape shapes[] = {
    [TAG_NIL] = {FIXED(0)},
    [TAG_SMALL_INTEGER] = {FIXED(1)},
    [TAG_INTEGER] = {FIXED(4)},
    [TAG_NEW_FLOAT] = {FIXED(8)},
    [TAG_SMALL_BIG] = {COUNTED(1, 1)},
    [TAG_LARGE_BIG] = {COUNTED(4, 1)},
    [TAG_SMALL_ATOM] = {NAME(1)},
    [TAG_SMALL_ATOM_UTF8] = {NAME(1)},
    [TAG_ATOM] = {NAME(2)},
    [TAG_ATOM_UTF8] = {NAME(2)},
    [TAG_STRING] = {COUNTED(2, 0)},
    [TAG_BINARY] = {COUNTED(4, 0)},
    [TAG_BIT_BINARY] = {COUNTED(4, 1)},
    [TAG_SMALL_TUPLE] = {TERMS(1, 1, 0)},
    [TAG_LARGE_TUPLE] = {TERMS(4, 1, 0)},
    [TAG_LIST] = {TERMS(4, 1, 1)},
    [TAG_MAP] = {TERMS(4, 2, 0)},
    [TAG_NEW_PID] = {OPAQUE(1, 12)},
    [TAG_V4_PORT] = {OPAQUE(1, 12)},
    [TAG_PID] = {OPAQUE(1, 9)},
    [TAG_NEW_PORT] = {OPAQUE(1, 8)},
    [TAG_PORT] = {OPAQUE(1, 5)},
    [TAG_REFERENCE] = {OPAQUE(1, 5)},
    [TAG_NEW_REFERENCE] = {REFERENCE(1)},
    [TAG_NEWER_REFERENCE] = {REFERENCE(4)},
    [TAG_EXPORT] = {OPAQUE(2, 2)},
    [TAG_NEW_FUN] = {OPAQUE(0, -4), .n_count = 4, .each = 1},
};

static inline bool skip(term_scan *s, int64_t n)
{
    if (n < 0 || s->end - s->at < n) {
        return false;
    }
    s->at += n;
    return true;
}

/* The shape of the tag that follows; NULL: no such tag, or no byte. */
static inline const shape *next_shape(term_scan *s)
{
    const shape *h;

    if (s->at == s->end || *s->at >= sizeof(shapes) / sizeof(shapes[0])) {
        return NULL;
    }
    h = &shapes[*s->at++];
    return h->is_known ? h : NULL;
}

/* The count behind a tag, which is 0 where the shape has none. */
static inline bool counted(term_scan *s, const shape *h, uint32_t *ret_count)
{
    const uint8_t *p = s->at;

    if (h->n_count == 0) {
        *ret_count = 0;
        return true;
    }
    if (!skip(s, h->n_count)) {
        return false;
    }
    *ret_count = h->n_count == 1   ? *p
                 : h->n_count == 2 ? pn_load_be16(p)
                                   : pn_load_be32(p);
    return true;
}

/* The atom that an opaque term begins with. */
static inline bool atom(term_scan *s)
{
    const shape *h = next_shape(s);
    uint32_t len;

    return h != NULL && h->is_name && counted(s, h, &len) && skip(s, len);
}

/* The tag does not matter for pn_atom_is_new, because the known names are
 * ASCII, which Latin-1 and UTF-8 spell alike. */
static void note(pn_term_found *found, const shape *h, pn_slice bytes)
{
    found->n_containers += h->terms > 0;
    found->has_opaque = found->has_opaque || h->is_opaque;
    if (h->is_name) {
        found->new_atoms += pn_atom_is_new(bytes.data, bytes.len);
    }
}

/* Each term takes a byte at least, so what is owed stays below the bytes left.
 */
static inline bool one(term_scan *s)
{
    const shape *h = next_shape(s);
    const uint8_t *from;
    uint32_t count;

    if (h == NULL || !counted(s, h, &count)) {
        return false;
    }
    for (unsigned i = 0; i < h->n_atoms; i++) {
        if (!atom(s)) {
            return false;
        }
    }
    from = s->at;
    if (!skip(s, h->fixed + (int64_t)h->each * count)) {
        return false;
    }
    if (s->found != NULL) {
        note(s->found, h, (pn_slice){from, (size_t)(s->at - from)});
    }
    if (h->terms > 0) {
        s->owed += (uint64_t)h->terms * count + h->tail;
    }
    return s->owed - 1 <= (uint64_t)(s->end - s->at);
}

const uint8_t *pn_term_scan(
    const uint8_t *p, const uint8_t *end, pn_term_found *found)
{
    term_scan s = {.at = p, .end = end, .owed = 1, .found = found};

    while (s.owed > 0) {
        if (!one(&s)) {
            return NULL;
        }
        s.owed--;
    }
    return s.at;
}

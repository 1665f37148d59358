/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pn_term_parse: one pass over the bytes that checks every length, count and
 * depth. The format writes a container in front of its elements. The check
 * counts the terms still owed: all together, to compare with the bytes left
 * (each takes one at least), and by each open container, to know where it ends.
 * Source: External Term Format; docs/TERM.md.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/utf8.h"
#include "term/check.h"
#include "term/tags.h"

enum {
    TERM_BYTES_DEFAULT = 1048576,
    TERM_BIGNUM_MAX = 65535,
    /* Frames of the first try. Nearly all terms are no deeper, and the frames
     * for the default depth would touch five pages of stack for each message.
     * */
    FRAMES_SHALLOW = 24,
    FRAMES_DEEP = TERM_DEPTH_DEFAULT + 1
};
#define TERM_BYTES_MAX (UINT32_C(1) << 31)

bool pn_check_fail(pn_check *c, pn_err err, const char *text)
{
    if (c->err == PN_OK) {
        c->err = err;
        c->text = text;
    }
    return false;
}

static bool check_integer(pn_check *c, pn_hash *ret_hash)
{
    const uint8_t *p = pn_check_take(c, 4);

    if (p != NULL && ret_hash != NULL) {
        *ret_hash = pn_hash_int64((int32_t)pn_load_be32(p));
    }
    return p != NULL;
}

/* n bytes of magnitude after a sign. */
static bool check_big(pn_check *c, uint32_t n, pn_hash *ret_hash)
{
    const uint8_t *sign = pn_check_take(c, 1);
    const uint8_t *magnitude = sign == NULL ? NULL : pn_check_take(c, n);

    if (magnitude == NULL) {
        return false;
    }
    if (PN_REFUSE_IF(term_bignum, n > c->max_bignum)) {
        return pn_check_fail(c, PN_LIMIT, "an integer over the size limit");
    }
    if (ret_hash != NULL) {
        *ret_hash = pn_hash_integer(*sign != 0, magnitude, n);
    }
    return true;
}

static bool check_float(pn_check *c, pn_hash *ret_hash)
{
    const uint8_t *p = pn_check_take(c, 8);

    if (p == NULL) {
        return false;
    }
    if (PN_REFUSE_IF(term_float_finite, (pn_load_be16(p) & 0x7ff0) == 0x7ff0)) {
        return pn_check_fail(
            c, PN_MALFORMED, "a float that is infinite or not a number");
    }
    if (ret_hash != NULL) {
        *ret_hash = pn_hash_float(p);
    }
    return true;
}

/* The length of an atom's name, taken; false after failing. */
static bool take_atom_len(pn_check *c, uint8_t tag, size_t *ret_len)
{
    bool is_short = tag == TAG_SMALL_ATOM || tag == TAG_SMALL_ATOM_UTF8;
    const uint8_t *p = pn_check_take(c, is_short ? 1 : 2);

    if (p != NULL) {
        *ret_len = is_short ? *p : pn_load_be16(p);
    }
    return p != NULL;
}

bool pn_check_atom(pn_check *c, uint8_t tag, pn_hash *ret_hash)
{
    bool is_latin1 = tag == TAG_ATOM || tag == TAG_SMALL_ATOM;
    size_t len;
    size_t chars;
    const uint8_t *name;

    if (!take_atom_len(c, tag, &len)) {
        return false;
    }
    name = pn_check_take(c, len);
    if (name == NULL) {
        return false;
    }
    chars = len;
    if (!is_latin1 && !pn_ascii_check(name, len)
        && PN_REFUSE_IF(term_atom_utf8, !pn_utf8_check(name, len, &chars))) {
        return pn_check_fail(c, PN_MALFORMED, "an atom that is not UTF-8");
    }
    if (PN_REFUSE_IF(term_atom_length, chars > TERM_ATOM_MAX_CHARS)) {
        return pn_check_fail(
            c, PN_MALFORMED, "an atom of more than 255 characters");
    }
    if (ret_hash != NULL) {
        *ret_hash = pn_hash_atom(name, len, is_latin1);
    }
    return true;
}

static bool check_binary(pn_check *c, pn_hash *ret_hash)
{
    const uint8_t *p = pn_check_take(c, 4);
    uint32_t len;

    if (p == NULL) {
        return false;
    }
    len = pn_load_be32(p);
    p = pn_check_take(c, len);
    if (p != NULL && ret_hash != NULL) {
        *ret_hash = pn_hash_bits(p, len, 8);
    }
    return p != NULL;
}

/* Whole bytes belong into a binary, and no BEAM leaves bits set behind the last
 * one. A second spelling would make two different keys of one. */
static bool check_bitstring(pn_check *c, pn_hash *ret_hash)
{
    const uint8_t *head = pn_check_take(c, 5);
    uint32_t len;
    const uint8_t *p;

    if (head == NULL) {
        return false;
    }
    len = pn_load_be32(head);
    if (PN_REFUSE_IF(term_bits, head[4] < 1 || head[4] > 7 || len == 0)) {
        return pn_check_fail(c, PN_MALFORMED, "a bitstring of whole bytes");
    }
    p = pn_check_take(c, len);
    if (p == NULL) {
        return false;
    }
    if (PN_REFUSE_IF(
            term_bits_after_end, (p[len - 1] & (0xff >> head[4])) != 0)) {
        return pn_check_fail(
            c, PN_MALFORMED, "a bitstring with bits after its end");
    }
    if (ret_hash != NULL) {
        *ret_hash = pn_hash_bits(p, len, head[4]);
    }
    return true;
}

/* STRING_EXT is a list of small integers, and hashes as one. */
static bool check_string(pn_check *c, pn_hash *ret_hash)
{
    const uint8_t *p = pn_check_take(c, 2);
    size_t len;
    pn_hash h;

    if (p == NULL) {
        return false;
    }
    len = pn_load_be16(p);
    p = pn_check_take(c, len);
    if (p == NULL || ret_hash == NULL) {
        return p != NULL;
    }
    h = pn_hash_begin(HASH_LIST, 0);
    for (size_t i = 0; i < len; i++) {
        h = pn_hash_part(h, pn_hash_int64(p[i]));
    }
    *ret_hash = pn_hash_nil();
    if (len > 0) {
        *ret_hash = pn_hash_part(h, *ret_hash);
    }
    return true;
}

/* Moves the frames to the heap. Only a limit above the default depth leads
 * here. */
static bool grow_frames(pn_check *c)
{
    uint32_t cap = 2 * c->frames_cap;
    bool is_given = c->frames == c->given;
    pn_check_frame *frames;

    if (c->frames_cap < FRAMES_DEEP) {
        return pn_check_fail(c, PN_AGAIN, NULL); /* with the deep ones */
    }
    frames = realloc(is_given ? NULL : c->frames, cap * sizeof(*frames));
    if (frames == NULL) {
        return pn_check_fail(c, PN_NOMEM, "no memory for this depth");
    }
    if (is_given) {
        memcpy(frames, c->given, c->frames_cap * sizeof(*frames));
    }
    c->frames = frames;
    c->frames_cap = cap;
    return true;
}

/* Opens a container of n terms, one at least. */
static bool open_frame(
    pn_check *c, pn_frame_kind kind, uint64_t n, bool is_hashing)
{
    pn_check_frame *f;

    assert(n > 0 && c->owed > 0);
    /* Each term takes a byte at least. */
    if (PN_REFUSE_IF(term_owed, c->owed - 1 + n > pn_check_left(c))) {
        return pn_check_fail(
            c, PN_MALFORMED, "more elements than there are bytes left");
    }
    if (PN_REFUSE_IF(term_depth, c->depth >= c->max_depth)) {
        return pn_check_fail(c, PN_LIMIT, "nested over the depth limit");
    }
    if (c->depth + 1 >= c->frames_cap && !grow_frames(c)) {
        return false;
    }
    c->owed += n - 1;
    f = &c->frames[++c->depth];
    f->left = (uint32_t)n;
    f->base = (uint32_t)c->keys.n;
    f->kind = kind;
    f->is_hashing = is_hashing;
    f->hash = (pn_hash){0, 0};
    if (is_hashing && kind != FRAME_MAP) {
        f->hash = kind == FRAME_LIST ? pn_hash_begin(HASH_LIST, 0)
                                     : pn_hash_begin(HASH_TUPLE, n);
    }
    return true;
}

static bool check_tuple(
    pn_check *c, uint8_t tag, bool is_hashing, pn_hash *ret_hash)
{
    const uint8_t *p = pn_check_take(c, tag == TAG_SMALL_TUPLE ? 1 : 4);
    uint32_t n;

    if (p == NULL) {
        return false;
    }
    n = tag == TAG_SMALL_TUPLE ? *p : pn_load_be32(p);
    if (n == 0) {
        *ret_hash = pn_hash_begin(HASH_TUPLE, 0);
        return true;
    }
    return open_frame(c, FRAME_TUPLE, n, is_hashing);
}

static bool check_list(pn_check *c, bool is_hashing)
{
    const uint8_t *p = pn_check_take(c, 4);

    if (p == NULL) {
        return false;
    }
    if (PN_REFUSE_IF(term_list_empty, pn_load_be32(p) == 0)) {
        return pn_check_fail(c, PN_MALFORMED, "an empty list in the long form");
    }
    return open_frame(c, FRAME_LIST, (uint64_t)pn_load_be32(p) + 1, is_hashing);
}

static bool check_map(pn_check *c, bool is_hashing, pn_hash *ret_hash)
{
    const uint8_t *p = pn_check_take(c, 4);

    if (p == NULL) {
        return false;
    }
    if (pn_load_be32(p) == 0) {
        *ret_hash = pn_hash_begin(HASH_MAP, 0);
        return true;
    }
    /* The key of a map of one pair is compared with nothing. */
    return open_frame(c,
        pn_load_be32(p) > 1 || is_hashing ? FRAME_MAP : FRAME_TUPLE,
        2 * (uint64_t)pn_load_be32(p), is_hashing);
}

static bool check_fun(pn_check *c, bool is_hashing)
{
    uint32_t n_free;
    uint32_t end;

    /* Funs cannot be compared without their modules. */
    if (PN_REFUSE_IF(term_fun_in_key, is_hashing)) {
        return pn_check_fail(c, PN_MALFORMED, "a fun inside a map key");
    }
    if (!pn_check_fun(c, &n_free, &end)) {
        return false;
    }
    if (n_free == 0) {
        if (PN_REFUSE_IF(term_fun_end, c->at != c->start + end)) {
            return pn_check_fail(
                c, PN_MALFORMED, "a fun that is not as long as it says");
        }
        return true;
    }
    if (!open_frame(c, FRAME_FUN, n_free, false)) {
        return false;
    }
    c->frames[c->depth].base = end;
    return true;
}

static bool refuse_tag(pn_check *c, uint8_t tag)
{
    static const struct {
        uint8_t tag;
        const char *text;
    } refused[] = {
        {TAG_COMPRESSED, "compressed terms are refused"},
        {TAG_FLOAT, "floats as text (FLOAT_EXT) are refused"},
        {TAG_OLD_FUN, "funs in the form of before OTP 23 are refused"},
        {TAG_LOCAL, "local terms (LOCAL_EXT) are refused"},
        {TAG_CACHED_ATOM, "atom cache references are refused"},
        {TAG_NEW_CACHE, "atom cache references are refused"},
        {TAG_CACHE_REF, "atom cache references are refused"},
        {TAG_DIST_HEADER, "distribution headers are refused"},
        {TAG_DIST_FRAGMENT, "distribution headers are refused"},
        {TAG_ATOM_INTERNAL_REF2, "references into a VM's memory are refused"},
        {TAG_ATOM_INTERNAL_REF3, "references into a VM's memory are refused"},
        {TAG_BINARY_INTERNAL_REF, "references into a VM's memory are refused"},
        {TAG_VERSION, "a version byte inside a term"},
    };
    const char *text = "a tag that is not known";

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        if (refused[i].tag == tag) {
            text = refused[i].text;
        }
    }
    return pn_check_fail(c, PN_MALFORMED, text);
}

/* The less frequent terms. */
static bool check_rare(
    pn_check *c, uint8_t tag, bool is_hashing, pn_hash *ret_hash)
{
    pn_hash *hash = is_hashing ? ret_hash : NULL;
    const uint8_t *p;

    switch (tag) {
    case TAG_NEW_FLOAT:
        return check_float(c, hash);
    case TAG_BIT_BINARY:
        return check_bitstring(c, hash);
    case TAG_LARGE_BIG:
        p = pn_check_take(c, 4);
        return p != NULL && check_big(c, pn_load_be32(p), hash);
    case TAG_NEW_FUN:
        return check_fun(c, is_hashing);
    case TAG_NEW_PID:
    case TAG_PID:
    case TAG_NEW_PORT:
    case TAG_PORT:
    case TAG_V4_PORT:
    case TAG_NEWER_REFERENCE:
    case TAG_NEW_REFERENCE:
    case TAG_REFERENCE:
    case TAG_EXPORT:
        return pn_check_opaque(c, tag, hash);
    default:
        return refuse_tag(c, tag);
    }
}

/* Looks at one term, or at the head of a container and opens it. */
static bool check_term(pn_check *c, bool is_hashing, pn_hash *ret_hash)
{
    pn_hash *hash = is_hashing ? ret_hash : NULL;
    const uint8_t *p = pn_check_take(c, 1);
    uint8_t tag;

    if (p == NULL) {
        return false;
    }
    c->tag = p;
    tag = *p;
    switch (tag) {
    case TAG_SMALL_INTEGER:
        p = pn_check_take(c, 1);
        if (p != NULL && hash != NULL) {
            *hash = pn_hash_int64(*p);
        }
        return p != NULL;
    case TAG_INTEGER:
        return check_integer(c, hash);
    case TAG_SMALL_BIG:
        p = pn_check_take(c, 1);
        return p != NULL && check_big(c, *p, hash);
    case TAG_ATOM:
    case TAG_SMALL_ATOM:
    case TAG_ATOM_UTF8:
    case TAG_SMALL_ATOM_UTF8:
        return pn_check_atom(c, tag, hash);
    case TAG_BINARY:
        return check_binary(c, hash);
    case TAG_SMALL_TUPLE:
    case TAG_LARGE_TUPLE:
        return check_tuple(c, tag, is_hashing, ret_hash);
    case TAG_NIL:
        if (hash != NULL) {
            *hash = pn_hash_nil();
        }
        return true;
    case TAG_STRING:
        return check_string(c, hash);
    case TAG_LIST:
        return check_list(c, is_hashing);
    case TAG_MAP:
        return check_map(c, is_hashing, ret_hash);
    default:
        return check_rare(c, tag, is_hashing, ret_hash);
    }
}

/* Ends the innermost container, which owes no more terms. */
static bool close_frame(pn_check *c, pn_hash *ret_hash)
{
    pn_check_frame *f = &c->frames[c->depth--];
    bool has_duplicate = false;
    size_t n_pairs;

    assert(f > c->frames && f->left == 0);
    if (f->kind == FRAME_FUN
        && PN_REFUSE_IF(term_fun_end, c->at != c->start + f->base)) {
        return pn_check_fail(
            c, PN_MALFORMED, "a fun that is not as long as it says");
    }
    if (f->kind != FRAME_MAP) {
        *ret_hash = f->hash;
        return true;
    }
    if (pn_key_stack_has_duplicate(&c->keys, f->base, &has_duplicate)
        != PN_OK) {
        return pn_check_fail(c, PN_NOMEM, "no memory to compare keys");
    }
    if (PN_REFUSE_IF(term_duplicate_key, has_duplicate)) {
        return pn_check_fail(c, PN_MALFORMED, "a map with a key twice");
    }
    n_pairs = c->keys.n - f->base;
    c->keys.n = f->base;
    if (f->is_hashing) {
        *ret_hash = pn_hash_part(pn_hash_begin(HASH_MAP, n_pairs), f->hash);
    }
    return true;
}

/* A key or a value of a map is complete. The order of pairs does not matter,
 * so their hashes are added up. */
static bool add_to_map(pn_check *c, pn_check_frame *f, pn_hash hash)
{
    pn_hash pair;

    if (f->left % 2 == 0) {
        if (pn_key_stack_push(&c->keys, hash) != PN_OK) {
            return pn_check_fail(c, PN_NOMEM, "no memory to compare keys");
        }
    } else if (f->is_hashing) {
        pair = pn_hash_part(
            pn_hash_begin(HASH_PAIR, 0), c->keys.items[c->keys.n - 1]);
        pair = pn_hash_part(pair, hash);
        f->hash.a += pair.a;
        f->hash.b += pair.b;
    }
    return true;
}

/* One term is complete. It may complete the containers around it. */
static bool complete_term(pn_check *c, pn_hash hash)
{
    for (;;) {
        pn_check_frame *f = &c->frames[c->depth];

        if (f->kind == FRAME_MAP) {
            if (!add_to_map(c, f, hash)) {
                return false;
            }
        } else if (f->is_hashing) {
            f->hash = pn_hash_part(f->hash, hash);
        }
        if (--f->left > 0 || f->kind == FRAME_TOP) {
            return true;
        }
        if (!close_frame(c, &hash)) {
            return false;
        }
    }
}

static bool is_list_tag(uint8_t tag)
{
    return tag == TAG_LIST || tag == TAG_STRING;
}

/* The length of a simple term that lies whole before end; 0 for any other,
 * which check_term looks at. */
static inline size_t simple_len(const uint8_t *p, const uint8_t *end)
{
    size_t left = (size_t)(end - p);
    size_t len;

    if (left < 5) {
        return 0;
    }
    switch (*p) {
    case TAG_NIL:
        return 1;
    case TAG_SMALL_INTEGER:
        return 2;
    case TAG_INTEGER:
        return 5;
    case TAG_SMALL_ATOM_UTF8:
        len = p[1];
        return len <= left - 2 && pn_ascii_check(p + 2, len) ? 2 + len : 0;
    case TAG_BINARY:
        len = pn_load_be32(p + 1);
        return len <= left - 5 ? 5 + len : 0;
    default:
        return 0;
    }
}

/* Skips simple terms of a container that is not hashed. All other terms, and
 * the last one, are left to check_term. */
static void check_simple(pn_check *c, pn_check_frame *f)
{
    const uint8_t *p = c->at;
    uint32_t left = f->left;

    while (left > 1) {
        size_t len = simple_len(p, c->end);

        if (len == 0) {
            break;
        }
        p += len;
        left--;
    }
    c->owed -= f->left - left;
    f->left = left;
    c->at = p;
}

/* A list as a tail would be a second spelling of a longer list. */
static bool check_tail(pn_check *c)
{
    if (PN_REFUSE_IF(term_list_tail, c->at < c->end && is_list_tag(*c->at))) {
        c->tag = c->at;
        return pn_check_fail(c, PN_MALFORMED, "a list as the tail of a list");
    }
    return true;
}

/* Checks one term from at. The caller looks at the bytes behind it. */
static bool check_run(pn_check *c)
{
    pn_hash hash = {0, 0};

    while (c->frames[0].left > 0) {
        pn_check_frame *f = &c->frames[c->depth];
        bool is_key = f->kind == FRAME_MAP && f->left % 2 == 0;
        uint32_t depth = c->depth;

        if (f->kind != FRAME_MAP && !f->is_hashing) {
            check_simple(c, f);
        }
        if (f->kind == FRAME_LIST && f->left == 1 && !check_tail(c)) {
            return false;
        }
        if (!check_term(c, f->is_hashing || is_key, &hash)) {
            return false;
        }
        if (c->depth != depth) {
            continue;
        }
        c->owed--;
        if (!complete_term(c, hash)) {
            return false;
        }
    }
    assert(c->depth == 0 && c->owed == 0);
    return true;
}

static void check_init(pn_check *c, pn_check_frame *frames, uint32_t cap,
    const uint8_t *start, size_t len)
{
    c->start = start;
    c->at = start;
    c->tag = start;
    c->end = len == 0 ? start : start + len;
    c->owed = 1;
    c->depth = 0;
    c->max_depth = UINT32_MAX;
    c->max_bignum = UINT32_MAX;
    c->frames_cap = cap;
    c->frames = frames;
    c->given = frames;
    c->err = PN_OK;
    c->text = NULL;
    c->frames[0] = (pn_check_frame){.left = 1, .kind = FRAME_TOP};
    pn_key_stack_init(&c->keys);
}

static void check_fini(pn_check *c)
{
    if (c->frames != c->given) {
        free(c->frames);
    }
    pn_key_stack_fini(&c->keys);
}

void pn_term_limits_init_sized(pn_term_limits *limits, size_t size)
{
    memset(limits, 0, size);
    limits->size = size;
}

static bool check_version(pn_check *c)
{
    if (pn_check_left(c) == 0) {
        return pn_check_fail(c, PN_MALFORMED, "no bytes at all");
    }
    if (PN_REFUSE_IF(term_version, *c->at != TAG_VERSION)) {
        return pn_check_fail(c, PN_MALFORMED, "no version byte 131 in front");
    }
    c->at++;
    return true;
}

/* Checks the size, the version byte unless the term is bare, one term, and that
 * nothing follows it. */
static bool check_all(pn_check *c, uint32_t max_bytes, bool is_bare)
{
    if (PN_REFUSE_IF(term_size, pn_check_left(c) > max_bytes)) {
        return pn_check_fail(c, PN_LIMIT, "larger than the size limit");
    }
    if ((!is_bare && !check_version(c)) || !check_run(c)) {
        return false;
    }
    c->tag = c->at;
    if (PN_REFUSE_IF(term_trailing, c->at != c->end)) {
        return pn_check_fail(c, PN_MALFORMED, "bytes after the term");
    }
    return true;
}

/* PN_AGAIN: deeper than there are frames. */
static pn_err parse_with(pn_check_frame *frames, uint32_t cap, pn_slice data,
    bool is_bare, const pn_term_limits *l, pn_term_error *ret_error)
{
    uint32_t max_bytes = pn_check_clamp(
        l->max_bytes, TERM_BYTES_DEFAULT, 1, TERM_BYTES_MAX);
    pn_check c;

    check_init(&c, frames, cap, data.data, data.len);
    c.max_depth = pn_check_clamp(
        l->max_depth, TERM_DEPTH_DEFAULT, 1, TERM_DEPTH_MAX);
    c.max_bignum = pn_check_clamp(
        l->max_bignum, TERM_BIGNUM_DEFAULT, TERM_BIGNUM_MIN, TERM_BIGNUM_MAX);
    if (!check_all(&c, max_bytes, is_bare) && ret_error != NULL) {
        ret_error->offset = (size_t)(c.tag - c.start);
        ret_error->text = c.text;
    }
    check_fini(&c);
    return c.err;
}

/* Not inlined, so that only deep terms take this much stack. */
__attribute__((noinline)) static pn_err parse_deep(pn_slice data, bool is_bare,
    const pn_term_limits *l, pn_term_error *ret_error)
{
    pn_check_frame frames[FRAMES_DEEP];

    return parse_with(frames, FRAMES_DEEP, data, is_bare, l, ret_error);
}

static pn_err parse(pn_slice data, bool is_bare, const pn_term_limits *limits,
    pn_term_error *ret_error)
{
    static const pn_term_limits none;
    const pn_term_limits *l = limits == NULL ? &none : limits;
    pn_check_frame frames[FRAMES_SHALLOW];
    pn_err err = parse_with(
        frames, FRAMES_SHALLOW, data, is_bare, l, ret_error);

    return err == PN_AGAIN ? parse_deep(data, is_bare, l, ret_error) : err;
}

pn_err pn_term_parse(const void *data, size_t len, const pn_term_limits *limits,
    pn_term *ret_term, pn_term_error *ret_error)
{
    pn_err err = parse((pn_slice){data, len}, false, limits, ret_error);

    if (err == PN_OK) {
        *ret_term = (pn_term){(const uint8_t *)data + 1, len - 1};
    }
    return err;
}

pn_err pn_check_bare(pn_term term, const pn_term_limits *limits)
{
    return parse((pn_slice){term.data, term.len}, true, limits, NULL);
}

bool pn_check_hash(pn_term term, pn_hash *ret_hash)
{
    pn_check_frame frames[FRAMES_DEEP];
    pn_check c;
    bool is_fine;

    if (term.len == 0) {
        return false;
    }
    check_init(&c, frames, FRAMES_DEEP, term.data, term.len);
    c.frames[0].is_hashing = true;
    is_fine = check_run(&c) && c.at == c.end;
    *ret_hash = c.frames[0].hash;
    check_fini(&c);
    return is_fine;
}

pn_err pn_check_own(pn_term term)
{
    pn_check_frame frames[FRAMES_DEEP];
    pn_check c;

    check_init(&c, frames, FRAMES_DEEP, term.data, term.len);
    (void)check_run(&c);
    check_fini(&c);
    return c.err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader: a cursor over a checked term. Every read goes through
 * reader_take, the one bounds check, so reading is safe even on bytes that were
 * never checked.
 */
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/utf8.h"
#include "term/scan.h"
#include "term/tags.h"

enum { DOUBLE_INT_BITS = 53 };

static const uint8_t nil_term[1] = {TAG_NIL};

/* The 256 elements that a STRING_EXT can have, as terms with tags. */
#define BYTE_1(n)                                                              \
    {                                                                          \
        TAG_SMALL_INTEGER, (n)                                                 \
    }
#define BYTE_4(n) BYTE_1(n), BYTE_1((n) + 1), BYTE_1((n) + 2), BYTE_1((n) + 3)
#define BYTE_16(n) BYTE_4(n), BYTE_4((n) + 4), BYTE_4((n) + 8), BYTE_4((n) + 12)
#define BYTE_64(n)                                                             \
    BYTE_16(n), BYTE_16((n) + 16), BYTE_16((n) + 32), BYTE_16((n) + 48)
static const uint8_t byte_terms[256][2] = {
    BYTE_64(0), BYTE_64(64), BYTE_64(128), BYTE_64(192)};

static void reader_fail(pn_term_reader *r, pn_err err)
{
    if (r->err == PN_OK) {
        r->err = err;
    }
}

static inline const uint8_t *reader_take(pn_term_reader *r, size_t n)
{
    const uint8_t *p = r->at;

    if (r->err != PN_OK || (size_t)(r->end - p) < n) {
        reader_fail(r, PN_MISMATCH);
        return NULL;
    }
    r->at += n;
    return p;
}

/* Takes the tag of the next element; 0 when there is none or when the element
 * is in a STRING_EXT and has no tag. */
static inline uint8_t reader_tag(pn_term_reader *r)
{
    const uint8_t *p;

    if (r->string_left != 0) {
        reader_fail(r, PN_MISMATCH);
        return 0;
    }
    p = reader_take(r, 1);
    return p == NULL ? 0 : *p;
}

static uint32_t reader_number(pn_term_reader *r, size_t n)
{
    const uint8_t *p = reader_take(r, n);

    if (p == NULL) {
        return 0;
    }
    return n == 1 ? *p : n == 2 ? pn_load_be16(p) : pn_load_be32(p);
}

static pn_slice reader_slice(pn_term_reader *r, size_t n)
{
    const uint8_t *p = reader_take(r, n);

    return p == NULL ? (pn_slice){NULL, 0} : (pn_slice){p, n};
}

void pn_term_reader_init(pn_term_reader *r, pn_term term)
{
    *r = (pn_term_reader){.at = term.data,
        .end = term.len == 0 ? term.data : term.data + term.len,
        .err = PN_OK};
}

pn_err pn_term_reader_finish(pn_term_reader *r)
{
    if (r->at != r->end || r->string_left != 0) {
        reader_fail(r, PN_MISMATCH);
    }
    return r->err;
}

static pn_term_type type_of_tag(uint8_t tag)
{
    switch (tag) {
    case TAG_SMALL_INTEGER:
    case TAG_INTEGER:
    case TAG_SMALL_BIG:
    case TAG_LARGE_BIG:
        return PN_TERM_INTEGER;
    case TAG_NEW_FLOAT:
        return PN_TERM_FLOAT;
    case TAG_ATOM:
    case TAG_SMALL_ATOM:
    case TAG_ATOM_UTF8:
    case TAG_SMALL_ATOM_UTF8:
        return PN_TERM_ATOM;
    case TAG_BINARY:
        return PN_TERM_BINARY;
    case TAG_BIT_BINARY:
        return PN_TERM_BITSTRING;
    case TAG_SMALL_TUPLE:
    case TAG_LARGE_TUPLE:
        return PN_TERM_TUPLE;
    case TAG_NIL:
    case TAG_STRING:
    case TAG_LIST:
        return PN_TERM_LIST;
    case TAG_MAP:
        return PN_TERM_MAP;
    default:
        return PN_TERM_OPAQUE;
    }
}

pn_term_type pn_term_type_of(pn_term term)
{
    return term.len == 0 ? PN_TERM_NONE : type_of_tag(term.data[0]);
}

pn_term_type pn_term_reader_peek(const pn_term_reader *r)
{
    if (r->err != PN_OK) {
        return PN_TERM_NONE;
    }
    if (r->string_left != 0) {
        return r->string_left > 1 ? PN_TERM_INTEGER : PN_TERM_LIST;
    }
    return r->at == r->end ? PN_TERM_NONE : type_of_tag(*r->at);
}

/* An integer of any size as sign and magnitude; small ones are written into
 * few, which must live as long as the result is used. */
static pn_slice reader_integer(
    pn_term_reader *r, bool *ret_negative, uint8_t few[static 8])
{
    uint32_t value = 0;
    pn_slice digits;

    *ret_negative = false;
    if (r->string_left > 1) {
        r->string_left--;
        return reader_slice(r, 1);
    }
    switch (reader_tag(r)) {
    case TAG_SMALL_INTEGER:
        digits = reader_slice(r, 1);
        break;
    case TAG_INTEGER:
        value = reader_number(r, 4);
        *ret_negative = value >> 31 != 0;
        value = *ret_negative ? 0 - value : value;
        pn_store_le64(few, value);
        digits = (pn_slice){few, 4};
        break;
    case TAG_SMALL_BIG:
    case TAG_LARGE_BIG:
        digits.len = reader_number(r, r->at[-1] == TAG_SMALL_BIG ? 1 : 4);
        *ret_negative = reader_number(r, 1) != 0;
        digits = reader_slice(r, digits.len);
        break;
    default:
        reader_fail(r, PN_MISMATCH);
        return (pn_slice){NULL, 0};
    }
    digits.len = pn_trim_le(digits.data, digits.len);
    *ret_negative = *ret_negative && digits.len > 0;
    return digits;
}

/* As a magnitude of 64 bits; anything larger fails. */
static uint64_t reader_magnitude(pn_term_reader *r, bool *ret_negative)
{
    uint8_t few[8];
    pn_slice digits = reader_integer(r, ret_negative, few);

    if (digits.len > 8) {
        reader_fail(r, PN_MISMATCH);
        return 0;
    }
    return pn_load_le(digits.data, digits.len);
}

int64_t pn_term_read_int64(pn_term_reader *r)
{
    bool is_negative;
    uint64_t value = reader_magnitude(r, &is_negative);
    uint64_t most = (uint64_t)INT64_MAX + (is_negative ? 1 : 0);

    if (value > most) {
        reader_fail(r, PN_MISMATCH);
    }
    if (r->err != PN_OK) {
        return 0;
    }
    /* 0 - value in unsigned arithmetic is right for INT64_MIN too. */
    return (int64_t)(is_negative ? 0 - value : value);
}

uint64_t pn_term_read_uint64(pn_term_reader *r)
{
    bool is_negative;
    uint64_t value = reader_magnitude(r, &is_negative);

    if (is_negative) {
        reader_fail(r, PN_MISMATCH);
    }
    return r->err == PN_OK ? value : 0;
}

double pn_term_read_double(pn_term_reader *r)
{
    const uint8_t *p;
    uint64_t bits;
    double value;
    bool is_negative;

    if (pn_term_reader_peek(r) == PN_TERM_FLOAT) {
        (void)reader_tag(r);
        p = reader_take(r, 8);
        if (p == NULL) {
            return 0;
        }
        bits = pn_load_be64(p);
        memcpy(&value, &bits, sizeof(value));
        return value;
    }
    bits = reader_magnitude(r, &is_negative);
    if (bits >> DOUBLE_INT_BITS != 0) {
        reader_fail(r, PN_MISMATCH);
    }
    if (r->err != PN_OK) {
        return 0;
    }
    return is_negative ? -(double)bits : (double)bits;
}

/* An atom's name as it is on the wire. */
static pn_slice reader_atom(pn_term_reader *r, bool *ret_latin1)
{
    *ret_latin1 = false;
    switch (reader_tag(r)) {
    case TAG_SMALL_ATOM:
        *ret_latin1 = true;
        return reader_slice(r, reader_number(r, 1));
    case TAG_SMALL_ATOM_UTF8:
        return reader_slice(r, reader_number(r, 1));
    case TAG_ATOM:
        *ret_latin1 = true;
        return reader_slice(r, reader_number(r, 2));
    case TAG_ATOM_UTF8:
        return reader_slice(r, reader_number(r, 2));
    default:
        reader_fail(r, PN_MISMATCH);
        return (pn_slice){NULL, 0};
    }
}

pn_slice pn_term_read_atom(pn_term_reader *r)
{
    bool is_latin1;
    pn_slice name = reader_atom(r, &is_latin1);

    if (is_latin1 && !pn_ascii_check(name.data, name.len)) {
        reader_fail(r, PN_MISMATCH);
    }
    return r->err == PN_OK ? name : (pn_slice){NULL, 0};
}

pn_slice pn_term_read_binary(pn_term_reader *r)
{
    if (reader_tag(r) != TAG_BINARY) {
        reader_fail(r, PN_MISMATCH);
        return (pn_slice){NULL, 0};
    }
    return reader_slice(r, reader_number(r, 4));
}

pn_slice pn_term_read_bitstring(pn_term_reader *r, unsigned *ret_bits)
{
    uint32_t len;

    *ret_bits = 8;
    if (pn_term_reader_peek(r) != PN_TERM_BITSTRING) {
        return pn_term_read_binary(r);
    }
    (void)reader_tag(r);
    len = reader_number(r, 4);
    *ret_bits = reader_number(r, 1);
    return reader_slice(r, len);
}

size_t pn_term_read_bignum(
    pn_term_reader *r, bool *ret_negative, uint8_t *buf, size_t cap)
{
    uint8_t few[8];
    pn_slice digits = reader_integer(r, ret_negative, few);

    if (digits.len > cap) {
        reader_fail(r, PN_LIMIT);
    }
    if (r->err != PN_OK || digits.len == 0) {
        return 0;
    }
    memcpy(buf, digits.data, digits.len);
    return digits.len;
}

uint32_t pn_term_read_tuple(pn_term_reader *r)
{
    switch (reader_tag(r)) {
    case TAG_SMALL_TUPLE:
        return reader_number(r, 1);
    case TAG_LARGE_TUPLE:
        return reader_number(r, 4);
    default:
        reader_fail(r, PN_MISMATCH);
        return 0;
    }
}

uint32_t pn_term_read_list(pn_term_reader *r)
{
    uint32_t n;

    if (r->string_left == 1) {
        /* The end of an open STRING_EXT is an empty list. */
        r->string_left = 0;
        return 0;
    }
    switch (reader_tag(r)) {
    case TAG_NIL:
        return 0;
    case TAG_LIST:
        return reader_number(r, 4);
    case TAG_STRING:
        n = reader_number(r, 2);
        if ((size_t)(r->end - r->at) < n) {
            reader_fail(r, PN_MISMATCH);
        }
        if (r->err != PN_OK) {
            return 0;
        }
        r->string_left = n == 0 ? 0 : n + 1;
        return n;
    default:
        reader_fail(r, PN_MISMATCH);
        return 0;
    }
}

uint32_t pn_term_read_map(pn_term_reader *r)
{
    if (reader_tag(r) != TAG_MAP) {
        reader_fail(r, PN_MISMATCH);
        return 0;
    }
    return reader_number(r, 4);
}

void pn_term_read_nil(pn_term_reader *r)
{
    if (r->err == PN_OK && r->string_left == 1) {
        r->string_left = 0;
        return;
    }
    if (reader_tag(r) != TAG_NIL) {
        reader_fail(r, PN_MISMATCH);
    }
}

/* The next element of an open STRING_EXT, or the end of it, as a term. */
static pn_term read_from_string(pn_term_reader *r)
{
    const uint8_t *p;

    assert(r->string_left > 0);
    if (r->string_left == 1) {
        r->string_left = 0;
        return (pn_term){nil_term, sizeof(nil_term)};
    }
    p = reader_take(r, 1);
    if (p == NULL) {
        return (pn_term){NULL, 0};
    }
    r->string_left--;
    return (pn_term){byte_terms[*p], sizeof(byte_terms[*p])};
}

pn_term pn_term_read_any(pn_term_reader *r)
{
    const uint8_t *p = r->at;
    const uint8_t *end;

    if (r->err == PN_OK && r->string_left != 0) {
        return read_from_string(r);
    }
    end = r->err == PN_OK ? pn_term_scan(p, r->end, NULL) : NULL;
    if (end == NULL) {
        reader_fail(r, PN_MISMATCH);
        return (pn_term){NULL, 0};
    }
    r->at = end;
    return (pn_term){p, (size_t)(end - p)};
}

void pn_term_read_skip(pn_term_reader *r)
{
    (void)pn_term_read_any(r);
}

pn_err pn_term_atom_name(pn_term term, char *buf, size_t cap, size_t *ret_len)
{
    uint8_t name[2 * TERM_ATOM_MAX_CHARS];
    pn_term_reader r;
    bool is_latin1;
    pn_slice raw;

    pn_term_reader_init(&r, term);
    raw = reader_atom(&r, &is_latin1);
    if (pn_term_reader_finish(&r) != PN_OK
        || (is_latin1 && raw.len > TERM_ATOM_MAX_CHARS)) {
        return PN_MISMATCH;
    }
    if (is_latin1) {
        raw.len = pn_utf8_from_latin1(raw.data, raw.len, name);
        raw.data = name;
    }
    if (cap <= raw.len) {
        return PN_LIMIT;
    }
    if (raw.len > 0) {
        memcpy(buf, raw.data, raw.len);
    }
    buf[raw.len] = '\0';
    *ret_len = raw.len;
    return PN_OK;
}

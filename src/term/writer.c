/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer. It writes the bytes of term_to_binary/1, except that atoms have
 * the tags of OTP 26 and later and the pairs of a map the order they were
 * written in. Positions count from the term's first byte, because the buffer
 * may move. Source: External Term Format; docs/TERM.md.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/utf8.h"
#include "term/atoms.h"
#include "term/check.h"
#include "term/scan.h"
#include "term/tags.h"
#include "term/writer_internal.h"

enum {
    WRITER_BYTES_DEFAULT = 1048576,
    WRITER_BYTES_MAX = INT32_MAX - 2 * 65540,
    WRITER_FEW = 8,
    WRITER_BIGNUM_MAX = 512,
    WRITER_HEAD = 5,       /* tag and four bytes of count */
    WRITER_TUPLE_HEAD = 2, /* tag and one; tuples over 255 are rare */
    /* A list that becomes a STRING_EXT is longer while it is written than at
     * its end, by at most this much. */
    WRITER_SLACK = 2 * (TERM_STRING_MAX + WRITER_HEAD)
};

/* A tag, and a count of four bytes behind it. */
static void put_head(uint8_t *head, uint8_t tag, size_t count)
{
    head[0] = tag;
    pn_store_be32(head + 1, (uint32_t)count);
}

static inline pn_buf *writer_buf(const pn_term_writer *w)
{
    return w->buf;
}

static inline uint8_t *writer_base(const pn_term_writer *w)
{
    pn_buf *b = writer_buf(w);

    return b->data + b->off + w->start;
}

/* Bytes of the term so far, version byte included. */
static size_t writer_used(const pn_term_writer *w)
{
    const pn_buf *b = writer_buf(w);

    return b == NULL ? 0 : pn_buf_used(b) - w->start;
}

static inline pn_term_writer_frame *writer_frames(pn_term_writer *w)
{
    return w->frames != NULL ? w->frames : w->few;
}

static inline pn_term_writer_frame *writer_top(pn_term_writer *w)
{
    return &writer_frames(w)[w->n_frames - 1];
}

/* Room for n more bytes, appended, or NULL after failing. */
static inline uint8_t *writer_take(pn_term_writer *w, size_t n)
{
    pn_buf *b = writer_buf(w);
    uint8_t *p;

    if (w->err != PN_OK) {
        return NULL;
    }
    if (n > w->max_bytes + WRITER_SLACK - (pn_buf_used(b) - w->start)) {
        w->err = PN_TOO_LARGE;
        return NULL;
    }
    if (b->cap - b->len < n) {
        w->err = pn_buf_reserve(b, n);
        if (w->err != PN_OK) {
            return NULL;
        }
    }
    p = b->data + b->len;
    b->len += n;
    return p;
}

/* Room for one element of n bytes: counts it where it belongs. */
static inline uint8_t *writer_element(pn_term_writer *w, size_t n)
{
    size_t at = writer_used(w);
    uint8_t *p;

    if (w->n_frames == 0 && w->n_top != 0) {
        pn_term_writer_fail(w, PN_INVALID);
    }
    p = writer_take(w, n);
    if (p == NULL) {
        return NULL;
    }
    if (w->n_frames == 0) {
        w->n_top = 1;
    } else {
        pn_term_writer_frame *f = writer_top(w);

        f->last = (uint32_t)at;
        f->count++;
    }
    return p;
}

static void writer_begin(pn_term_writer *w, pn_buf *buf, size_t max_bytes)
{
    uint8_t *version;

    w->buf = buf;
    w->start = buf == NULL ? 0 : pn_buf_used(buf);
    w->max_bytes = max_bytes == 0 ? WRITER_BYTES_DEFAULT : max_bytes;
    if (w->max_bytes > WRITER_BYTES_MAX) {
        w->max_bytes = WRITER_BYTES_MAX;
    }
    w->n_frames = 0;
    w->n_top = 0;
    w->has_map = false;
    w->new_atoms = 0;
    w->n_containers = 0;
    w->is_done = false;
    w->err = buf == NULL ? PN_NOMEM : PN_OK;
    version = w->err == PN_OK ? writer_take(w, 1) : NULL;
    if (version != NULL) {
        *version = TAG_VERSION;
    }
}

void pn_term_writer_init(pn_term_writer *w, size_t max_bytes)
{
    pn_term_writer_init_buf(w, calloc(1, sizeof(pn_buf)), max_bytes);
    w->owns_buf = true;
}

void pn_term_writer_init_buf(pn_term_writer *w, pn_buf *buf, size_t max_bytes)
{
    w->frames = NULL;
    w->frames_cap = WRITER_FEW;
    w->owns_buf = false;
    w->counts_atoms = false;
    writer_begin(w, buf, max_bytes);
}

void pn_term_writer_init_tail(pn_term_writer *w, pn_buf *buf, size_t max_bytes)
{
    assert(pn_buf_used(buf) > 0);
    pn_term_writer_init_buf(w, buf, max_bytes);
    w->counts_atoms = true;
    if (w->err == PN_OK) {
        /* The last byte of buf takes the place of the version byte. */
        buf->len--;
        w->start--;
    }
}

/* Takes back what was written, the version byte too. */
static void writer_undo(pn_term_writer *w)
{
    pn_buf *b = writer_buf(w);

    if (b != NULL) {
        assert(b->len >= b->off + w->start);
        b->len = b->off + w->start;
    }
}

void pn_term_writer_reset(pn_term_writer *w)
{
    pn_buf *b = writer_buf(w);

    writer_undo(w);
    writer_begin(w, b, w->max_bytes);
}

void pn_term_writer_free(pn_term_writer *w)
{
    if (w->owns_buf && w->buf != NULL) {
        pn_buf_fini(w->buf);
        free(w->buf);
    }
    free(w->frames);
    *w = (pn_term_writer){.err = PN_STATE};
}

/* The checks that need the whole term. */
static pn_err writer_check(pn_term_writer *w)
{
    size_t len = writer_used(w);
    pn_err err;

    if (w->n_frames != 0 || w->n_top != 1) {
        return PN_INVALID;
    }
    if (PN_REFUSE_IF(term_write_size, len > w->max_bytes)) {
        return PN_TOO_LARGE;
    }
    if (!w->has_map) {
        return PN_OK;
    }
    err = pn_check_own((pn_term){writer_base(w) + 1, len - 1});
    return err == PN_OK || err == PN_NOMEM ? err : PN_INVALID;
}

pn_err pn_term_writer_finish(
    pn_term_writer *w, pn_slice *ret_bytes, pn_term *ret_term)
{
    /* Only once, because a borrowed buffer may have grown since. */
    if (!w->is_done) {
        w->is_done = true;
        if (w->err == PN_OK) {
            w->err = writer_check(w);
        }
        if (w->err != PN_OK) {
            writer_undo(w);
        }
    }
    if (w->err != PN_OK) {
        return w->err;
    }
    if (ret_bytes != NULL) {
        *ret_bytes = (pn_slice){writer_base(w), writer_used(w)};
    }
    if (ret_term != NULL) {
        *ret_term = (pn_term){writer_base(w) + 1, writer_used(w) - 1};
    }
    return PN_OK;
}

/* ---- scalars ---- */

/* Writes n bytes of magnitude, which has no zeros on top. */
static void write_big(
    pn_term_writer *w, bool is_negative, const uint8_t *magnitude, size_t n)
{
    size_t head = n <= UINT8_MAX ? 3 : 6;
    uint8_t *p = writer_element(w, head + n);

    if (p == NULL) {
        return;
    }
    if (head == 3) {
        p[0] = TAG_SMALL_BIG;
        p[1] = (uint8_t)n;
    } else {
        put_head(p, TAG_LARGE_BIG, n);
    }
    p[head - 1] = is_negative ? 1 : 0;
    memcpy(p + head, magnitude, n);
}

static void write_magnitude(
    pn_term_writer *w, bool is_negative, uint64_t magnitude)
{
    uint8_t bytes[8];

    pn_store_le64(bytes, magnitude);
    write_big(w, is_negative, bytes, pn_trim_le(bytes, 8));
}

void pn_term_write_int64(pn_term_writer *w, int64_t value)
{
    uint8_t *p;

    if (value >= 0 && value <= UINT8_MAX) {
        p = writer_element(w, 2);
        if (p != NULL) {
            p[0] = TAG_SMALL_INTEGER;
            p[1] = (uint8_t)value;
        }
    } else if (value >= INT32_MIN && value <= INT32_MAX) {
        p = writer_element(w, 5);
        if (p != NULL) {
            put_head(p, TAG_INTEGER, (uint32_t)(int32_t)value);
        }
    } else {
        write_magnitude(
            w, value < 0, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
    }
}

void pn_term_write_uint64(pn_term_writer *w, uint64_t value)
{
    if (value <= INT64_MAX) {
        pn_term_write_int64(w, (int64_t)value);
    } else {
        write_magnitude(w, false, value);
    }
}

/* A magnitude of at most 8 bytes that fits 64 bits with its sign. */
static bool fits_int64(
    bool is_negative, const uint8_t *magnitude, size_t n, int64_t *ret)
{
    uint64_t value = n > 8 ? UINT64_MAX : pn_load_le(magnitude, n);

    if (value > (uint64_t)INT64_MAX) {
        return false;
    }
    *ret = is_negative ? -(int64_t)value : (int64_t)value;
    return true;
}

void pn_term_write_bignum(
    pn_term_writer *w, bool negative, const uint8_t *magnitude, size_t len)
{
    int64_t small;

    len = pn_trim_le(magnitude, len);
    if (len > WRITER_BIGNUM_MAX) {
        pn_term_writer_fail(w, PN_INVALID);
        return;
    }
    if (fits_int64(negative, magnitude, len, &small)) {
        pn_term_write_int64(w, small);
    } else {
        write_big(w, negative, magnitude, len);
    }
}

void pn_term_write_double(pn_term_writer *w, double value)
{
    uint64_t bits;
    uint8_t *p;

    memcpy(&bits, &value, sizeof(bits));
    if ((bits >> 52 & 0x7ff) == 0x7ff) {
        pn_term_writer_fail(w, PN_INVALID);
        return;
    }
    p = writer_element(w, 9);
    if (p != NULL) {
        p[0] = TAG_NEW_FLOAT;
        pn_store_be64(p + 1, bits);
    }
}

void pn_term_write_atom(pn_term_writer *w, const char *name)
{
    pn_term_write_atom_n(w, name, strlen(name));
}

void pn_term_write_atom_n(pn_term_writer *w, const char *name, size_t len)
{
    size_t chars = len;
    size_t head = len <= UINT8_MAX ? 2 : 3;
    const uint8_t *utf8 = (const uint8_t *)name;
    uint8_t *p;

    if ((!pn_ascii_check(utf8, len) && !pn_utf8_check(utf8, len, &chars))
        || chars > TERM_ATOM_MAX_CHARS) {
        pn_term_writer_fail(w, PN_INVALID);
        return;
    }
    p = writer_element(w, head + len);
    if (p == NULL) {
        return;
    }
    if (head == 2) {
        p[0] = TAG_SMALL_ATOM_UTF8;
        p[1] = (uint8_t)len;
    } else {
        p[0] = TAG_ATOM_UTF8;
        pn_store_be16(p + 1, (uint16_t)len);
    }
    if (len > 0) {
        memcpy(p + head, name, len);
    }
    if (w->counts_atoms) {
        w->new_atoms += pn_atom_is_new(utf8, len);
    }
}

void pn_term_write_bool(pn_term_writer *w, bool value)
{
    pn_term_write_atom(w, value ? "true" : "false");
}

void pn_term_write_binary(pn_term_writer *w, const void *data, size_t len)
{
    uint8_t *p;

    if (len > UINT32_MAX - WRITER_HEAD) {
        pn_term_writer_fail(w, PN_TOO_LARGE);
        return;
    }
    p = writer_element(w, WRITER_HEAD + len);
    if (p == NULL) {
        return;
    }
    put_head(p, TAG_BINARY, len);
    if (len > 0) {
        memcpy(p + WRITER_HEAD, data, len);
    }
}

void pn_term_write_string(pn_term_writer *w, const char *text)
{
    pn_term_write_binary(w, text, strlen(text));
}

void pn_term_write_bitstring(
    pn_term_writer *w, const void *data, size_t len, unsigned bits)
{
    uint8_t *p;

    if (bits == 8) {
        pn_term_write_binary(w, data, len);
        return;
    }
    if (bits < 1 || bits > 8 || len == 0 || len > UINT32_MAX - 6) {
        pn_term_writer_fail(w, PN_INVALID);
        return;
    }
    p = writer_element(w, 6 + len);
    if (p == NULL) {
        return;
    }
    put_head(p, TAG_BIT_BINARY, len);
    p[5] = (uint8_t)bits;
    memcpy(p + 6, data, len);
    p[5 + len] &= (uint8_t)(0xff << (8 - bits));
}

void pn_term_write_opaque(pn_term_writer *w, pn_term term)
{
    uint8_t *p = writer_element(w, term.len);

    if (p != NULL && term.len > 0) {
        memcpy(p, term.data, term.len);
    }
}

void pn_term_write_term(pn_term_writer *w, pn_term term)
{
    pn_term_found found = {
        .new_atoms = w->new_atoms, .n_containers = w->n_containers};
    const uint8_t *end;

    if (term.len == 0) {
        pn_term_writer_fail(w, PN_INVALID);
        return;
    }
    end = term.data + term.len;
    if (pn_term_scan(term.data, end, &found) != end
        || PN_REFUSE_IF(term_opaque_sent, found.has_opaque)) {
        pn_term_writer_fail(w, PN_INVALID);
        return;
    }
    w->new_atoms = found.new_atoms;
    w->n_containers = found.n_containers;
    pn_term_write_opaque(w, term);
}

/* ---- containers ---- */

static bool writer_grow(pn_term_writer *w)
{
    uint32_t cap = 2 * w->frames_cap;
    pn_term_writer_frame *frames = realloc(w->frames, cap * sizeof(*frames));

    assert(w->n_frames == w->frames_cap);
    if (frames == NULL) {
        pn_term_writer_fail(w, PN_NOMEM);
        return false;
    }
    if (w->frames == NULL) {
        memcpy(frames, w->few, sizeof(w->few));
    }
    w->frames = frames;
    w->frames_cap = cap;
    return true;
}

/* Opens a container; its count comes when it is closed. */
static void writer_open(pn_term_writer *w, pn_writer_kind kind, size_t head)
{
    size_t at = writer_used(w);

    if (w->err == PN_OK && w->n_frames == w->frames_cap && !writer_grow(w)) {
        return;
    }
    if (writer_element(w, head) == NULL) {
        return;
    }
    w->n_containers++;
    writer_frames(w)[w->n_frames++] = (pn_term_writer_frame){
        .at = (uint32_t)at, .kind = kind};
}

/* The frame to close, or NULL after failing. */
static pn_term_writer_frame *writer_close(
    pn_term_writer *w, pn_writer_kind kind)
{
    if (w->err != PN_OK) {
        return NULL;
    }
    if (w->n_frames == 0 || writer_top(w)->kind != (uint32_t)kind) {
        pn_term_writer_fail(w, PN_INVALID);
        return NULL;
    }
    return &writer_frames(w)[--w->n_frames];
}

/* A tuple of more than 255 elements needs three more bytes in its head. */
static void writer_widen(pn_term_writer *w, uint32_t at)
{
    const size_t more = WRITER_HEAD - WRITER_TUPLE_HEAD;
    size_t len = writer_used(w) - at - WRITER_TUPLE_HEAD;
    uint8_t *p = writer_take(w, more);

    if (p != NULL) {
        uint8_t *elements = writer_base(w) + at + WRITER_TUPLE_HEAD;

        memmove(elements + more, elements, len);
    }
}

void pn_term_write_tuple_begin(pn_term_writer *w)
{
    writer_open(w, WRITER_TUPLE, WRITER_TUPLE_HEAD);
}

void pn_term_write_tuple_end(pn_term_writer *w)
{
    pn_term_writer_frame *f = writer_close(w, WRITER_TUPLE);
    uint8_t *head;

    if (f == NULL) {
        return;
    }
    if (f->count <= UINT8_MAX) {
        head = writer_base(w) + f->at;
        head[0] = TAG_SMALL_TUPLE;
        head[1] = (uint8_t)f->count;
        return;
    }
    writer_widen(w, f->at);
    if (w->err == PN_OK) {
        put_head(writer_base(w) + f->at, TAG_LARGE_TUPLE, f->count);
    }
}

void pn_term_write_map_begin(pn_term_writer *w)
{
    writer_open(w, WRITER_MAP, WRITER_HEAD);
}

void pn_term_write_map_end(pn_term_writer *w)
{
    pn_term_writer_frame *f = writer_close(w, WRITER_MAP);

    if (f == NULL) {
        return;
    }
    if (f->count % 2 != 0) {
        pn_term_writer_fail(w, PN_INVALID);
        return;
    }
    w->has_map = w->has_map || f->count > 2;
    put_head(writer_base(w) + f->at, TAG_MAP, f->count / 2);
}

void pn_term_write_list_begin(pn_term_writer *w)
{
    writer_open(w, WRITER_LIST, WRITER_HEAD);
}

/* True when all n elements from p on are SMALL_INTEGER. Their length alone
 * says so for all but a few; the first that is not one ends the walk. */
static bool are_bytes(const uint8_t *p, size_t len, uint32_t n)
{
    if (n == 0 || n > TERM_STRING_MAX || len != 2 * (size_t)n) {
        return false;
    }
    for (size_t i = 0; i < len; i += 2) {
        if (p[i] != TAG_SMALL_INTEGER) {
            return false;
        }
    }
    return true;
}

/* A proper list of n elements, its tail not yet written. */
static void close_proper(pn_term_writer *w, uint32_t at, uint32_t n)
{
    uint8_t *head = writer_base(w) + at;
    size_t len = writer_used(w) - at - WRITER_HEAD;
    uint8_t *tail;

    assert(at + WRITER_HEAD <= writer_used(w));
    if (n == 0) {
        head[0] = TAG_NIL;
        writer_buf(w)->len -= WRITER_HEAD - 1;
        return;
    }
    if (are_bytes(head + WRITER_HEAD, len, n)) {
        head[0] = TAG_STRING;
        pn_store_be16(head + 1, (uint16_t)n);
        for (uint32_t i = 0; i < n; i++) {
            head[3 + i] = head[WRITER_HEAD + 2 * i + 1];
        }
        writer_buf(w)->len -= 2 + (size_t)n;
        return;
    }
    put_head(head, TAG_LIST, n);
    tail = writer_take(w, 1);
    if (tail != NULL) {
        *tail = TAG_NIL;
    }
}

void pn_term_write_list_end(pn_term_writer *w)
{
    pn_term_writer_frame *f = writer_close(w, WRITER_LIST);

    if (f != NULL) {
        close_proper(w, f->at, f->count);
    }
}

/* The tail, at at, is a STRING_EXT of n bytes: gives each its tag. */
static void splice_string(pn_term_writer *w, uint32_t at, size_t n)
{
    uint8_t *tail;

    /* Moves the bytes behind the elements that they become. */
    w->err = pn_buf_reserve(writer_buf(w), 2 * n);
    if (w->err != PN_OK) {
        return;
    }
    tail = writer_base(w) + at;
    memmove(tail + 2 * n, tail + 3, n);
    for (size_t i = 0; i < n; i++) {
        tail[2 * i] = TAG_SMALL_INTEGER;
        tail[2 * i + 1] = tail[2 * n + i];
    }
    writer_buf(w)->len = writer_buf(w)->off + w->start + at + 2 * n;
}

/* The tail, at at, is a LIST_EXT of n elements: takes off its head, and its
 * own tail where that is NIL, which is what it returns. */
static bool splice_list(pn_term_writer *w, uint32_t at, uint32_t n)
{
    uint8_t *tail = writer_base(w) + at;
    uint8_t *end = writer_base(w) + writer_used(w);
    const uint8_t *p = tail + WRITER_HEAD;
    bool is_proper;

    for (uint32_t i = 0; i < n && p != NULL; i++) {
        p = pn_term_scan(p, end, NULL);
    }
    is_proper = p != NULL && *p == TAG_NIL;
    memmove(tail, tail + WRITER_HEAD, (size_t)(end - tail) - WRITER_HEAD);
    writer_buf(w)->len -= WRITER_HEAD;
    if (is_proper) {
        writer_buf(w)->len--;
    }
    return is_proper;
}

/* The tail is a list. Both are joined to one list, as a BEAM writes it. */
static void close_joined(pn_term_writer *w, pn_term_writer_frame f)
{
    const uint8_t *tail = writer_base(w) + f.last;
    uint32_t count = f.count - 1;
    bool is_proper = true;

    if (tail[0] == TAG_STRING) {
        count += pn_load_be16(tail + 1);
        splice_string(w, f.last, pn_load_be16(tail + 1));
    } else {
        count += pn_load_be32(tail + 1);
        is_proper = splice_list(w, f.last, pn_load_be32(tail + 1));
    }
    if (w->err != PN_OK) {
        return;
    }
    if (is_proper) {
        close_proper(w, f.at, count);
    } else {
        put_head(writer_base(w) + f.at, TAG_LIST, count);
    }
}

void pn_term_write_list_end_improper(pn_term_writer *w)
{
    pn_term_writer_frame *f = writer_close(w, WRITER_LIST);

    if (f == NULL) {
        return;
    }
    if (f->count < 2) {
        pn_term_writer_fail(w, PN_INVALID);
        return;
    }
    switch (writer_base(w)[f->last]) {
    case TAG_NIL:
        writer_buf(w)->len--;
        close_proper(w, f->at, f->count - 1);
        break;
    case TAG_LIST:
    case TAG_STRING:
        close_joined(w, *f);
        break;
    default:
        put_head(writer_base(w) + f->at, TAG_LIST, f->count - 1);
        break;
    }
}

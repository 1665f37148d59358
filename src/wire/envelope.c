/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The five envelopes of PeerNet 0.1.0, peernet-wire section 3. Reading checks
 * the whole plaintext once as a term and then only looks; writing is a prefix,
 * because the last element of every envelope is its end.
 */
#include <string.h>

#include "base/mutant.h"
#include "wire/envelope.h"

enum {
    TAG_VERSION = 131,
    TAG_SMALL_INTEGER = 97,
    TAG_INTEGER = 98,
    TAG_SMALL_TUPLE = 104,
    TAG_BINARY = 109,
    TAG_SMALL_BIG = 110,
    TAG_ATOM_UTF8 = 118,
    TAG_SMALL_ATOM_UTF8 = 119,
    ATOM_MAX_CHARACTERS = 255,
    HEAD_FIXED_MAX = 40 /* all of a head but the letters of a handle */
};

/* What the first atom and the arity say; anything else is no envelope. */
static const struct {
    const char *name;
    size_t name_len;
    uint32_t arity;
    pn_envelope_type type;
} shapes[] = {
    {"call", 4, 4, PN_ENVELOPE_CALL},
    {"reply", 5, 3, PN_ENVELOPE_REPLY},
    {"send", 4, 3, PN_ENVELOPE_SEND},
    {"ping", 4, 2, PN_ENVELOPE_PING},
    {"pong", 4, 2, PN_ENVELOPE_PONG},
};

static bool slice_is(pn_slice s, const char *text, size_t len)
{
    return s.len == len && memcmp(s.data, text, len) == 0;
}

/* All that is left of a tuple whose other elements have been read. The term
 * was validated as a whole, so this is exactly its last element. */
static pn_term read_last(const pn_term_reader *r)
{
    return (pn_term){r->at, (size_t)(r->end - r->at)};
}

static pn_err read_handle(pn_term_reader *r, pn_envelope *e)
{
    pn_term_reader own = *r;
    pn_term atom;

    e->handle = pn_term_read_atom(r);
    if (r->err == PN_OK) {
        return PN_OK;
    }
    /* OTP 25 writes `é` as one byte of Latin-1; its UTF-8 needs room. */
    *r = own;
    atom = pn_term_read_any(r);
    if (r->err != PN_OK
        || pn_term_atom_name(
               atom, (char *)e->latin1, sizeof(e->latin1), &e->handle.len)
               != PN_OK) {
        return PN_MALFORMED;
    }
    e->handle.data = e->latin1;
    return PN_OK;
}

/* Upstream takes any term as an id and echoes it; we take what a conforming
 * caller can make, a non-zero 64-bit integer. */
static pn_err read_id(pn_term_reader *r, pn_envelope *e)
{
    e->id = pn_term_read_uint64(r);
    if (PN_CHECK(envelope_id, r->err != PN_OK || e->id == 0)) {
        return PN_MALFORMED;
    }
    return PN_OK;
}

static pn_err read_call(pn_term_reader *r, pn_envelope *e)
{
    if (read_id(r, e) != PN_OK || read_handle(r, e) != PN_OK) {
        return PN_MALFORMED;
    }
    e->args = read_last(r);
    return PN_OK;
}

static pn_err read_send(pn_term_reader *r, pn_envelope *e)
{
    if (read_handle(r, e) != PN_OK) {
        return PN_MALFORMED;
    }
    e->args = read_last(r);
    return PN_OK;
}

static pn_err read_reply(pn_term_reader *r, pn_envelope *e)
{
    uint32_t arity;
    pn_slice outcome;

    if (read_id(r, e) != PN_OK) {
        return PN_MALFORMED;
    }
    arity = pn_term_read_tuple(r);
    outcome = pn_term_read_atom(r);
    e->is_ok = r->err == PN_OK && slice_is(outcome, "ok", 2);
    if (PN_CHECK(envelope_reply_outcome,
            r->err != PN_OK || arity != 2
                || (!e->is_ok && !slice_is(outcome, "error", 5)))) {
        return PN_MALFORMED;
    }
    e->value = read_last(r);
    return PN_OK;
}

static pn_err read_nonce(pn_term_reader *r, pn_envelope *e)
{
    e->nonce = pn_term_read_binary(r);
    return PN_CHECK(envelope_nonce, pn_term_reader_finish(r) != PN_OK)
               ? PN_MALFORMED
               : PN_OK;
}

static pn_err read_rest(pn_term_reader *r, pn_envelope *e)
{
    switch (e->type) {
    case PN_ENVELOPE_CALL:
        return read_call(r, e);
    case PN_ENVELOPE_SEND:
        return read_send(r, e);
    case PN_ENVELOPE_REPLY:
        return read_reply(r, e);
    case PN_ENVELOPE_PING:
    case PN_ENVELOPE_PONG:
        return read_nonce(r, e);
    }
    return PN_MALFORMED;
}

static pn_err read_shape(pn_term term, pn_envelope *e)
{
    pn_term_reader r;
    uint32_t arity;
    pn_slice name;

    pn_term_reader_init(&r, term);
    arity = pn_term_read_tuple(&r);
    name = pn_term_read_atom(&r);
    if (r.err != PN_OK) {
        return PN_MALFORMED;
    }
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        if (slice_is(name, shapes[i].name, shapes[i].name_len)) {
            if (PN_CHECK(envelope_arity, arity != shapes[i].arity)) {
                return PN_MALFORMED;
            }
            e->type = shapes[i].type;
            return read_rest(&r, e);
        }
    }
    return PN_MALFORMED;
}

pn_err pn_envelope_read(const uint8_t *data, size_t len,
    const pn_term_limits *limits, pn_envelope *ret_envelope, bool *ret_shape)
{
    pn_term term;
    pn_err err = pn_term_parse(data, len, limits, &term, NULL);

    if (ret_shape != NULL) {
        *ret_shape = err == PN_OK;
    }
    return err != PN_OK ? err : read_shape(term, ret_envelope);
}

/* ---- writing ------------------------------------------------------------ */

static uint8_t *put(uint8_t *at, const char *bytes, size_t n)
{
    memcpy(at, bytes, n);
    return at + n;
}

/* The shortest form, as term_to_binary writes it. */
static uint8_t *put_id(uint8_t *at, uint64_t id)
{
    uint8_t *n;

    if (id <= UINT8_MAX) {
        *at++ = TAG_SMALL_INTEGER;
        *at++ = (uint8_t)id;
        return at;
    }
    if (id <= INT32_MAX) {
        *at++ = TAG_INTEGER;
        for (int shift = 24; shift >= 0; shift -= 8) {
            *at++ = (uint8_t)(id >> shift);
        }
        return at;
    }
    *at++ = TAG_SMALL_BIG;
    n = at++;
    *at++ = 0; /* positive */
    for (*n = 0; id != 0; id >>= 8) {
        *at++ = (uint8_t)id;
        (*n)++;
    }
    return at;
}

/* Checked by the term writer, which knows what an atom is: only names that
 * are not plain ASCII take this way. */
static bool is_atom_name(pn_slice name)
{
    pn_term_writer w;
    bool is_atom;

    pn_term_writer_init(&w, 0);
    pn_term_write_atom_n(&w, (const char *)name.data, name.len);
    is_atom = pn_term_writer_finish(&w, NULL, NULL) == PN_OK;
    pn_term_writer_free(&w);
    return is_atom;
}

static bool is_handle(pn_slice name)
{
    uint8_t high = 0;

    if (name.len > ATOM_MAX_CHARACTERS) {
        return is_atom_name(name);
    }
    for (size_t i = 0; i < name.len; i++) {
        high |= name.data[i];
    }
    return high < 0x80 || is_atom_name(name);
}

static uint8_t *put_handle(uint8_t *at, pn_slice name)
{
    if (name.len <= UINT8_MAX) {
        *at++ = TAG_SMALL_ATOM_UTF8;
    } else {
        *at++ = TAG_ATOM_UTF8;
        *at++ = (uint8_t)(name.len >> 8);
    }
    *at++ = (uint8_t)name.len;
    if (name.len > 0) {
        memcpy(at, name.data, name.len);
    }
    return at + name.len;
}

/* Version byte, tuple, kind; id when it is not 0; handle when it has data.
 * Room for all of it has been made. */
static void put_head(pn_buf *out, const char *start, size_t start_len,
    uint64_t id, const pn_slice *handle)
{
    uint8_t *at = put(out->data + out->len, start, start_len);

    if (id != 0) {
        at = put_id(at, id);
    }
    if (handle != NULL) {
        at = put_handle(at, *handle);
    }
    out->len = (size_t)(at - out->data);
}

pn_err pn_envelope_head_call(pn_buf *out, uint64_t id, pn_slice handle)
{
    static const char start[] = "\x83\x68\x04\x77\x04"
                                "call";
    pn_err err;

    if (id == 0 || !is_handle(handle)) {
        return PN_INVALID;
    }
    err = pn_buf_reserve(out, HEAD_FIXED_MAX + handle.len);
    if (err == PN_OK) {
        put_head(out, start, sizeof(start) - 1, id, &handle);
    }
    return err;
}

pn_err pn_envelope_head_send(pn_buf *out, pn_slice handle)
{
    static const char start[] = "\x83\x68\x03\x77\x04"
                                "send";
    pn_err err;

    if (!is_handle(handle)) {
        return PN_INVALID;
    }
    err = pn_buf_reserve(out, HEAD_FIXED_MAX + handle.len);
    if (err == PN_OK) {
        put_head(out, start, sizeof(start) - 1, 0, &handle);
    }
    return err;
}

pn_err pn_envelope_head_reply(pn_buf *out, uint64_t id, bool is_ok)
{
    static const char start[] = "\x83\x68\x03\x77\x05"
                                "reply";
    static const char ok[] = "\x68\x02\x77\x02"
                             "ok";
    static const char error[] = "\x68\x02\x77\x05"
                                "error";
    pn_err err;

    if (id == 0) {
        return PN_INVALID;
    }
    err = pn_buf_reserve(out, HEAD_FIXED_MAX);
    if (err != PN_OK) {
        return err;
    }
    put_head(out, start, sizeof(start) - 1, id, NULL);
    return is_ok ? pn_buf_append(out, ok, sizeof(ok) - 1)
                 : pn_buf_append(out, error, sizeof(error) - 1);
}

pn_err pn_envelope_write_ping(
    pn_buf *out, pn_envelope_type type, pn_slice nonce)
{
    uint8_t head[14];
    uint8_t *at = put(head, "\x83\x68\x02\x77\x04", 5);
    pn_err err = pn_buf_reserve(out, sizeof(head) + nonce.len);

    if (err != PN_OK) {
        return err;
    }
    at = put(at, type == PN_ENVELOPE_PING ? "ping" : "pong", 4);
    *at++ = TAG_BINARY;
    for (int shift = 24; shift >= 0; shift -= 8) {
        *at++ = (uint8_t)(nonce.len >> shift);
    }
    err = pn_buf_append(out, head, sizeof(head));
    return err != PN_OK ? err : pn_buf_append(out, nonce.data, nonce.len);
}

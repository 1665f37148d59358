/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The five envelopes of PeerNet 0.1.0 (docs/PROTOCOL.md, section 4). Reading
 * checks the whole plaintext once as a term and looks at its elements. Writing
 * gives a prefix alone, because nothing follows the last element of an
 * envelope.
 */
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/mutant.h"
#include "base/slice.h"
#include "base/utf8.h"
#include "term/tags.h"
#include "wire/envelope.h"

/* The most bytes of a head besides the letters of a handle. */
enum { HEAD_FIXED_MAX = 40 };

/* The first atom and the arity of each envelope; any other term is none. */
static const struct {
    const char *name;
    uint32_t arity;
    pn_envelope_type type;
} shapes[] = {
    {"call", 4, PN_ENVELOPE_CALL},
    {"reply", 3, PN_ENVELOPE_REPLY},
    {"send", 3, PN_ENVELOPE_SEND},
    {"ping", 2, PN_ENVELOPE_PING},
    {"pong", 2, PN_ENVELOPE_PONG},
};

/* The last element of a tuple whose others have been read: the rest of the
 * term, which was validated as a whole. */
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

/* PeerNet 0.1.0 takes any term as an id and echoes it. We take an integer of 1
 * to 2^64-1, because no conforming caller makes another. */
static pn_err read_id(pn_term_reader *r, pn_envelope *e)
{
    e->id = pn_term_read_uint64(r);
    if (PN_REFUSE_IF(envelope_id, r->err != PN_OK || e->id == 0)) {
        return PN_MALFORMED;
    }
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

static pn_err read_call(pn_term_reader *r, pn_envelope *e)
{
    return read_id(r, e) != PN_OK ? PN_MALFORMED : read_send(r, e);
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
    e->is_ok = r->err == PN_OK && pn_slice_is(outcome, "ok");
    if (PN_REFUSE_IF(envelope_reply_outcome,
            r->err != PN_OK || arity != 2
                || (!e->is_ok && !pn_slice_is(outcome, "error")))) {
        return PN_MALFORMED;
    }
    e->value = read_last(r);
    return PN_OK;
}

static pn_err read_nonce(pn_term_reader *r, pn_envelope *e)
{
    e->nonce = pn_term_read_binary(r);
    return PN_REFUSE_IF(envelope_nonce, pn_term_reader_finish(r) != PN_OK)
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
        if (pn_slice_is(name, shapes[i].name)) {
            if (PN_REFUSE_IF(envelope_arity, arity != shapes[i].arity)) {
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

static uint8_t *put(uint8_t *at, const void *bytes, size_t n)
{
    if (n > 0) {
        memcpy(at, bytes, n);
    }
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
        pn_store_be32(at, (uint32_t)id);
        return at + 4;
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

static bool is_handle(pn_slice name)
{
    size_t chars;

    return pn_utf8_check(name.data, name.len, &chars)
           && chars <= TERM_ATOM_MAX_CHARS;
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
    return put(at, name.data, name.len);
}

/* Version byte, tuple and type, which are start; the id unless it is 0; the
 * handle unless it is NULL. */
static pn_err put_head(pn_buf *out, const char *start, size_t start_len,
    uint64_t id, const pn_slice *handle)
{
    size_t room = HEAD_FIXED_MAX + (handle == NULL ? 0 : handle->len);
    pn_err err = pn_buf_reserve(out, room);
    uint8_t *at;

    if (err != PN_OK) {
        return err;
    }
    at = put(out->data + out->len, start, start_len);
    if (id != 0) {
        at = put_id(at, id);
    }
    if (handle != NULL) {
        at = put_handle(at, *handle);
    }
    assert((size_t)(at - out->data) - out->len <= room);
    out->len = (size_t)(at - out->data);
    return PN_OK;
}

pn_err pn_envelope_head_call(pn_buf *out, uint64_t id, pn_slice handle)
{
    static const char start[] = "\x83\x68\x04\x77\x04"
                                "call";

    return id == 0 || !is_handle(handle)
               ? PN_INVALID
               : put_head(out, start, sizeof(start) - 1, id, &handle);
}

pn_err pn_envelope_head_send(pn_buf *out, pn_slice handle)
{
    static const char start[] = "\x83\x68\x03\x77\x04"
                                "send";

    return is_handle(handle)
               ? put_head(out, start, sizeof(start) - 1, 0, &handle)
               : PN_INVALID;
}

pn_err pn_envelope_head_reply(pn_buf *out, uint64_t id, bool is_ok)
{
    static const char start[] = "\x83\x68\x03\x77\x05"
                                "reply";
    static const char ok[] = "\x68\x02\x77\x02"
                             "ok";
    static const char error[] = "\x68\x02\x77\x05"
                                "error";
    pn_err err = id == 0 ? PN_INVALID
                         : put_head(out, start, sizeof(start) - 1, id, NULL);

    if (err != PN_OK) {
        return err;
    }
    return is_ok ? pn_buf_append(out, ok, sizeof(ok) - 1)
                 : pn_buf_append(out, error, sizeof(error) - 1);
}

pn_err pn_envelope_write_ping(
    pn_buf *out, pn_envelope_type type, pn_slice nonce)
{
    static const char ping[] = "\x83\x68\x02\x77\x04"
                               "ping\x6d";
    static const char pong[] = "\x83\x68\x02\x77\x04"
                               "pong\x6d";
    const size_t len = sizeof(ping) - 1;
    pn_err err = pn_buf_reserve(out, len + 4 + nonce.len);
    uint8_t *at;

    if (err != PN_OK) {
        return err;
    }
    at = out->data + out->len;
    at = put(at, type == PN_ENVELOPE_PING ? ping : pong, len);
    pn_store_be32(at, (uint32_t)nonce.len);
    at = put(at + 4, nonce.data, nonce.len);
    out->len = (size_t)(at - out->data);
    return PN_OK;
}

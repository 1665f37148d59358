/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data streams: u32 length and a message, again and again, on each stream
 * for itself; docs/BARREL-PROTOCOL.md, section 15.2. A message that is whole in
 * the input is read where it is; what is incomplete is kept, and grows with
 * what arrives, never by what a length promises.
 */
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/mutant.h"
#include "dist/dist_internal.h"

enum { LENGTH_LEN = 4, KEEP_BYTES = 16384 };

/* A stream that is the peer's to send data on: of its parity and in the
 * reserved range, but for the control stream and the one that authentication
 * has used. NULL: another. */
static pn_dist_stream *find_stream(pn_dist *d, int64_t stream)
{
    bool by_initiator = d->config.role == PN_DIST_RESPONDER;
    int64_t end = by_initiator ? PN_DIST_RESERVED_EVEN : PN_DIST_RESERVED_ODD;

    if (PN_REFUSE_IF(dist_stream,
            stream < 1 || stream >= end || stream == 2 || stream == 3)
        || PN_REFUSE_IF(dist_stream_side, (stream % 2 == 0) != by_initiator)) {
        return NULL;
    }
    return &d->streams[(uint64_t)stream / 2 % PN_DIST_SLOTS]; /* mutants */
}

/* One message; length 0 is a tick. */
static void deliver(pn_dist *d, const uint8_t *data, size_t len)
{
    pn_dist_signal signal;
    pn_err err;

    if (len == 0) {
        return;
    }
    err = pn_dist_signal_read(data, len, &d->limits, &signal);
    if (err == PN_OK) {
        d->config.callbacks->on_signal(d->config.user, &signal);
    } else if (err == PN_NOMEM) {
        pn_dist_fail(d, PN_DIST_REASON_NOMEM);
    } else if (err != PN_NOT_FOUND) {
        pn_dist_fail(d, PN_DIST_REASON_BAD_TERM);
    }
}

/* ---- messages that are too long ----------------------------------------- */

static void drain_begin(pn_dist *d, pn_dist_stream *s, size_t len)
{
    d->n_draining++;
    s->left = len;
    s->len = len;
    s->step_left = PN_DIST_DRAIN_STEP;
    s->until_us = d->now_us + d->config.drain_us;
}

static void drain_end(pn_dist *d, pn_dist_stream *s)
{
    pn_buf head = s->in;

    assert(s->left == 0 && d->n_draining > 0);
    d->n_draining--;
    d->n_heads -= pn_buf_used(&head);
    s->in = (pn_buf){0};
    if (d->config.callbacks->on_drained != NULL) {
        d->config.callbacks->on_drained(
            d->config.user, pn_buf_head(&head), pn_buf_used(&head), s->len);
    }
    pn_buf_fini(&head);
}

/* Drops the bytes of it behind its head; returns how many these were. */
static size_t drain(
    pn_dist *d, pn_dist_stream *s, const uint8_t *data, size_t len)
{
    size_t n = len < s->left ? len : s->left;
    size_t room = PN_DIST_HEAD_MAX - pn_buf_used(&s->in);
    size_t kept = n < room ? n : room;

    /* A stream has one, so all of them together are little. */
    if (pn_buf_append(&s->in, data, kept) != PN_OK) {
        pn_dist_fail(d, PN_DIST_REASON_NOMEM);
        return n;
    }
    d->n_heads += kept;
    s->left -= n;
    if (n >= s->step_left) {
        s->step_left = PN_DIST_DRAIN_STEP;
        s->until_us = d->now_us + d->config.drain_us;
    } else {
        s->step_left -= n;
    }
    if (s->left == 0) {
        drain_end(d, s);
    }
    return n;
}

void pn_dist_set_reading(pn_dist *d, uint64_t now_us, bool is_reading)
{
    if (d->is_paused != is_reading) {
        return;
    }
    d->is_paused = !is_reading;
    for (size_t i = 0; is_reading && i < PN_DIST_SLOTS; i++) {
        d->streams[i].until_us = now_us + d->config.drain_us;
    }
}

uint64_t pn_dist_streams_deadline(const pn_dist *d)
{
    uint64_t until_us = PN_TIME_NEVER;

    if (d->is_paused) {
        return PN_TIME_NEVER;
    }
    for (size_t i = 0; d->n_draining > 0 && i < PN_DIST_SLOTS; i++) {
        const pn_dist_stream *s = &d->streams[i];

        if (s->left > 0) {
            until_us = pn_sooner(until_us, s->until_us);
        }
    }
    return until_us;
}

/* ---- messages ------------------------------------------------------------ */

/* The length at p, checked; false after failing, or when the message is
 * drained from here on. */
static bool take_length(
    pn_dist *d, pn_dist_stream *s, const uint8_t *p, size_t *ret_len)
{
    size_t len = pn_load_be32(p);

    if (PN_REFUSE_IF(dist_message_max, len > d->config.max_message)) {
        if (PN_REFUSE_IF(dist_drain_max, len > d->config.max_drain)) {
            pn_dist_fail(d, PN_DIST_REASON_TOO_LARGE);
        } else {
            drain_begin(d, s, len);
        }
        return false;
    }
    *ret_len = len;
    return true;
}

/* The most bytes that are kept of all streams together. */
static uint64_t buffered_max(const pn_dist *d)
{
    uint64_t each = LENGTH_LEN + (uint64_t)d->config.max_message;

    return d->state == PN_DIST_UP ? PN_DIST_BUFFERED_MESSAGES * each
                                  : PN_DIST_EARLY_MAX;
}

static void keep(pn_dist *d, pn_buf *b, const uint8_t *data, size_t len)
{
    if (PN_REFUSE_IF(
            dist_buffered_max, len > buffered_max(d) - d->n_buffered)) {
        pn_dist_fail(d, PN_DIST_REASON_TOO_LARGE);
        return;
    }
    if (pn_buf_append(b, data, len) != PN_OK) {
        pn_dist_fail(d, PN_DIST_REASON_NOMEM);
        return;
    }
    d->n_buffered += len;
}

/* Keeps as much of data as is missing to want bytes; how much that was. */
static size_t fill(
    pn_dist *d, pn_buf *b, size_t want, const uint8_t *data, size_t len)
{
    size_t used = pn_buf_used(b);
    size_t n = used >= want ? 0 : want - used;

    n = n < len ? n : len;
    keep(d, b, data, n);
    return n;
}

/* Completes what is kept, as far as data goes; how much of it that took. */
static size_t complete(
    pn_dist *d, pn_dist_stream *s, const uint8_t *data, size_t len)
{
    pn_buf *b = &s->in;
    size_t n = fill(d, b, LENGTH_LEN, data, len);
    size_t want;

    if (d->state == PN_DIST_FAILED || pn_buf_used(b) < LENGTH_LEN) {
        return n;
    }
    if (!take_length(d, s, b->data + b->off, &want)) {
        if (s->left > 0) {
            d->n_buffered -= LENGTH_LEN; /* its head begins behind that */
            pn_buf_consume(b, LENGTH_LEN);
        }
        return n;
    }
    want += LENGTH_LEN;
    n += fill(d, b, want, data + n, len - n);
    if (d->state == PN_DIST_FAILED || pn_buf_used(b) < want) {
        return n;
    }
    deliver(d, b->data + b->off + LENGTH_LEN, want - LENGTH_LEN);
    assert(d->n_buffered >= want);
    d->n_buffered -= want;
    pn_buf_consume(b, want);
    pn_buf_trim(b, KEEP_BYTES);
    return n;
}

/* The whole messages at the front of data; how many bytes they are, with the
 * length of one that is drained from there on. */
static size_t deliver_whole(
    pn_dist *d, pn_dist_stream *s, const uint8_t *data, size_t len)
{
    size_t at = 0;
    size_t n;

    while (d->state == PN_DIST_UP && len - at >= LENGTH_LEN
           && take_length(d, s, data + at, &n) && len - at - LENGTH_LEN >= n) {
        deliver(d, data + at + LENGTH_LEN, n);
        at += LENGTH_LEN + n;
    }
    return s->left > 0 ? at + LENGTH_LEN : at;
}

static void take(pn_dist *d, pn_dist_stream *s, const uint8_t *data, size_t len)
{
    while (len > 0 && d->state == PN_DIST_UP) {
        size_t n = s->left > 0               ? drain(d, s, data, len)
                   : pn_buf_used(&s->in) > 0 ? complete(d, s, data, len)
                                             : deliver_whole(d, s, data, len);

        if (n == 0 && d->state == PN_DIST_UP) {
            keep(d, &s->in, data, len);
            return;
        }
        data += n;
        len -= n;
    }
}

void pn_dist_stream_input(
    pn_dist *d, int64_t stream, const uint8_t *data, size_t len)
{
    pn_dist_stream *s = find_stream(d, stream);

    if (s == NULL) {
        pn_dist_fail(d, PN_DIST_REASON_STREAM);
    } else if (d->state == PN_DIST_HANDSHAKE) {
        /* Streams overtake each other, so also the end of the handshake. */
        keep(d, &s->in, data, len);
    } else {
        take(d, s, data, len);
    }
}

void pn_dist_streams_begin(pn_dist *d)
{
    d->n_buffered = 0; /* what is still incomplete is counted again */
    for (size_t i = 0; i < PN_DIST_SLOTS; i++) {
        pn_buf held = d->streams[i].in;

        d->streams[i].in = (pn_buf){0};
        if (held.data != NULL) {
            take(d, &d->streams[i], held.data + held.off, pn_buf_used(&held));
        }
        pn_buf_fini(&held);
    }
}

void pn_dist_streams_fini(pn_dist *d)
{
    for (size_t i = 0; i < PN_DIST_SLOTS; i++) {
        pn_buf_fini(&d->streams[i].in);
    }
}

size_t pn_dist_held(const pn_dist *d)
{
    return d->n_buffered + d->n_heads;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data streams: u32 length and a message, again and again, on each stream
 * for itself; barrel-wire section 15.2. A message that is whole in the input is
 * read where it is; what is incomplete is kept, and grows with what arrives,
 * never by what a length promises.
 */
#include <string.h>

#include "base/bytes.h"
#include "base/mutant.h"
#include "dist/dist_internal.h"

enum { LENGTH_LEN = 4, KEEP_BYTES = 16384 };

/* The buffer of a stream that is the peer's to send data on: of its parity and
 * in the reserved range, but for the control stream and the one that
 * authentication has used. NULL: another. */
static pn_buf *find_stream(pn_dist *d, int64_t stream)
{
    bool by_initiator = d->config.role == PN_DIST_RESPONDER;
    int64_t end = by_initiator ? PN_DIST_RESERVED_EVEN : PN_DIST_RESERVED_ODD;

    if (PN_CHECK(dist_stream,
            stream < 1 || stream >= end || stream == 2 || stream == 3)
        || PN_CHECK(dist_stream_side, (stream % 2 == 0) != by_initiator)) {
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

/* The length at p, checked; false after failing. */
static bool take_length(pn_dist *d, const uint8_t *p, size_t *ret_len)
{
    size_t len = pn_load_be32(p);

    if (PN_CHECK(dist_message_max, len > d->config.max_message)) {
        pn_dist_fail(d, PN_DIST_REASON_TOO_LARGE);
        return false;
    }
    *ret_len = len;
    return true;
}

/* What may be kept of all streams together. */
static size_t buffered_max(const pn_dist *d)
{
    size_t each = LENGTH_LEN + d->config.max_message;

    return d->state == PN_DIST_UP ? PN_DIST_BUFFERED_MESSAGES * each
                                  : PN_DIST_EARLY_MAX;
}

static void keep(pn_dist *d, pn_buf *b, const uint8_t *data, size_t len)
{
    if (PN_CHECK(dist_buffered_max, len > buffered_max(d) - d->n_buffered)) {
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
static size_t complete(pn_dist *d, pn_buf *b, const uint8_t *data, size_t len)
{
    size_t n = fill(d, b, LENGTH_LEN, data, len);
    size_t want;

    if (d->state == PN_DIST_FAILED || pn_buf_used(b) < LENGTH_LEN
        || !take_length(d, b->data + b->off, &want)) {
        return n;
    }
    want += LENGTH_LEN;
    n += fill(d, b, want, data + n, len - n);
    if (d->state == PN_DIST_FAILED || pn_buf_used(b) < want) {
        return n;
    }
    deliver(d, b->data + b->off + LENGTH_LEN, want - LENGTH_LEN);
    d->n_buffered -= want;
    pn_buf_consume(b, want);
    pn_buf_trim(b, KEEP_BYTES);
    return n;
}

/* The whole messages at the front of data; how many bytes they are. */
static size_t deliver_whole(pn_dist *d, const uint8_t *data, size_t len)
{
    size_t at = 0;
    size_t n;

    while (d->state == PN_DIST_UP && len - at >= LENGTH_LEN
           && take_length(d, data + at, &n) && len - at - LENGTH_LEN >= n) {
        deliver(d, data + at + LENGTH_LEN, n);
        at += LENGTH_LEN + n;
    }
    return at;
}

static void take(pn_dist *d, pn_buf *b, const uint8_t *data, size_t len)
{
    while (len > 0 && d->state == PN_DIST_UP) {
        size_t n = pn_buf_used(b) > 0 ? complete(d, b, data, len)
                                      : deliver_whole(d, data, len);

        if (n == 0 && d->state == PN_DIST_UP) {
            keep(d, b, data, len);
            return;
        }
        data += n;
        len -= n;
    }
}

void pn_dist_stream_input(
    pn_dist *d, int64_t stream, const uint8_t *data, size_t len)
{
    pn_buf *b = find_stream(d, stream);

    if (b == NULL) {
        pn_dist_fail(d, PN_DIST_REASON_STREAM);
    } else if (d->state == PN_DIST_HANDSHAKE) {
        /* Streams overtake each other, so also the end of the handshake. */
        keep(d, b, data, len);
    } else {
        take(d, b, data, len);
    }
}

void pn_dist_streams_begin(pn_dist *d)
{
    d->n_buffered = 0; /* what is still incomplete is counted again */
    for (size_t i = 0; i < PN_DIST_SLOTS; i++) {
        pn_buf held = d->streams[i];

        d->streams[i] = (pn_buf){0};
        if (held.data != NULL) {
            take(d, &d->streams[i], held.data + held.off, pn_buf_used(&held));
        }
        pn_buf_fini(&held);
    }
}

void pn_dist_streams_fini(pn_dist *d)
{
    for (size_t i = 0; i < PN_DIST_SLOTS; i++) {
        pn_buf_fini(&d->streams[i]);
    }
}

size_t pn_dist_held(const pn_dist *d)
{
    return d->n_buffered;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams: whose turn it is to send, what becomes of them, and credit for what
 * was read.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mutant.h"
#include "quic_internal.h"

enum {
    /* The bytes of a packet besides those of one stream: header, tag, frame
     * headers, a usual ACK. */
    PACKET_OVERHEAD = 90
};

/* ---- the table -------------------------------------------------------- */

static size_t bucket_of(int64_t id)
{
    return (size_t)id % QUIC_STREAM_BUCKETS;
}

quic_stream *pn_quic_stream_find(const pn_quic_conn *conn, int64_t id)
{
    PN_LIST_EACH(quic_stream, s, &conn->streams[bucket_of(id)], listed) {
        if (s->id == id) {
            return s;
        }
    }
    return NULL;
}

static bool is_ours(const pn_quic_conn *conn, int64_t id)
{
    return ((id & 1) != 0) == conn->is_server;
}

static bool is_uni(int64_t id)
{
    return (id & 2) != 0;
}

quic_stream *pn_quic_stream_new(pn_quic_conn *conn, int64_t id)
{
    quic_stream *s = calloc(1, sizeof(*s));

    if (s != NULL) {
        s->conn = conn;
        s->id = id;
        s->can_write = !is_uni(id) || is_ours(conn, id);
        pn_list_append(&conn->streams[bucket_of(id)], &s->listed);
    }
    return s;
}

void pn_quic_stream_free(quic_stream *stream)
{
    pn_quic_stream_shut(stream);
    stream->conn->n_unsent -=
        (size_t)(stream->out.n_written - stream->out.n_acked);
    pn_quic_out_fini(&stream->out);
    pn_list_remove(&stream->listed);
    free(stream);
}

/* ---- whose turn it is ------------------------------------------------- */

static bool has_something(const quic_stream *s)
{
    return s->can_write && !s->is_blocked
           && (s->out.next != NULL || s->wants_open
               || (s->has_fin && !s->is_fin_sent));
}

void pn_quic_stream_wake(quic_stream *stream)
{
    if (stream->ready.list == NULL && has_something(stream)) {
        pn_list_append(&stream->conn->ready, &stream->ready);
    }
}

quic_stream *pn_quic_stream_next(pn_quic_conn *conn)
{
    PN_LIST_EACH(quic_stream, s, &conn->ready, ready) {
        if (has_something(s)) {
            return s;
        }
        pn_list_remove(&s->ready);
    }
    return NULL;
}

/* ---- sending ---------------------------------------------------------- */

size_t pn_quic_stream_gather(const quic_stream *stream, size_t packet_len,
    ngtcp2_vec pieces[static QUIC_OUT_PIECES], bool *ret_fin)
{
    size_t fits = packet_len > PACKET_OVERHEAD ? packet_len - PACKET_OVERHEAD
                                               : 0;
    size_t total;
    size_t n = pn_quic_out_gather(&stream->out, fits, pieces, &total);

    *ret_fin = stream->has_fin
               && stream->out.n_sent + total == stream->out.n_written;
    return n;
}

void pn_quic_stream_sent(quic_stream *stream, size_t n, bool fin)
{
    pn_quic_out_sent(&stream->out, n);
    stream->wants_open = false;
    if (fin && stream->out.next == NULL) {
        stream->is_fin_sent = true;
    }
    if (stream->conn->ready.first == &stream->ready) {
        pn_list_remove(&stream->ready);
        pn_quic_stream_wake(stream);
    }
}

static void conn_freed_some(pn_quic_conn *conn)
{
    if (conn->wants_write
        && conn->n_unsent < conn->quic->options.max_unsent / 2) {
        conn->wants_write = false;
        if (conn->callbacks != NULL && conn->callbacks->on_writable != NULL) {
            conn->callbacks->on_writable(conn->user);
        }
    }
}

void pn_quic_stream_acked(quic_stream *stream, uint64_t total)
{
    pn_quic_conn *conn = stream->conn;

    conn->n_unsent -= pn_quic_out_acked(&stream->out, total);
    if (conn->callbacks != NULL && conn->callbacks->on_acked != NULL
        && !stream->is_reset) {
        conn->callbacks->on_acked(conn->user, stream->id, total);
    }
    conn_freed_some(conn);
}

/* Bytes on their way stay: ngtcp2 0.12 sends lost bytes of a stream again even
 * when it has been reset. */
void pn_quic_stream_shut(quic_stream *stream)
{
    pn_list_remove(&stream->ready);
    stream->can_write = false;
    stream->conn->n_unsent -= pn_quic_out_cut(&stream->out);
}

void pn_quic_stream_stopped(quic_stream *stream)
{
    pn_quic_stream_shut(stream);
    stream->owes_stop = true;
    pn_quic_conn_touch(stream->conn);
}

/* ngtcp2 0.12 stops a stream that the peer does not want to hear without a
 * word. Bytes that no packet could hold tell: it looks at the state of the
 * stream first. On 64 bits it refuses so many then. On 32 bits there is no such
 * number and it writes a packet into no room: a path's challenge and response
 * would be lost in it, so none may be waiting to be sent. */
static bool is_stopped(const quic_stream *s)
{
    ngtcp2_vec impossible = {NULL, SIZE_MAX};
    ngtcp2_ssize n;

    return ngtcp2_conn_writev_stream(s->conn->engine, NULL, NULL, NULL, 0, &n,
               0, s->id, &impossible, 1, 0)
           == NGTCP2_ERR_STREAM_SHUT_WR;
}

void pn_quic_stream_find_stopped(pn_quic_conn *conn)
{
    for (size_t i = 0; i < QUIC_STREAM_BUCKETS; i++) {
        PN_LIST_EACH(quic_stream, s, &conn->streams[i], listed) {
            if (s->can_write && !s->is_fin_sent && !s->wants_reset
                && is_stopped(s)) {
                pn_quic_stream_stopped(s);
            }
            if (s->owes_stop) {
                s->owes_stop = false;
                if (conn->callbacks != NULL && !s->is_reset) {
                    conn->callbacks->on_reset(conn->user, s->id, s->peer_code);
                }
                conn_freed_some(conn);
            }
        }
    }
}

/* ---- what the owner calls --------------------------------------------- */

static pn_err open_stream(pn_quic_conn *conn, bool uni, int64_t *ret_stream)
{
    int64_t id = -1;
    int r;

    if (conn->state != QUIC_OPEN) {
        return conn->state == QUIC_HANDSHAKE ? PN_AGAIN : PN_CLOSED;
    }
    r = uni ? ngtcp2_conn_open_uni_stream(conn->engine, &id, NULL)
            : ngtcp2_conn_open_bidi_stream(conn->engine, &id, NULL);
    if (r == NGTCP2_ERR_STREAM_ID_BLOCKED) {
        return PN_AGAIN;
    }
    if (r != 0 || pn_quic_stream_new(conn, id) == NULL) {
        return PN_NOMEM;
    }
    *ret_stream = id;
    return PN_OK;
}

pn_err pn_quic_open_uni(pn_quic_conn *conn, int64_t *ret_stream)
{
    return open_stream(conn, true, ret_stream);
}

pn_err pn_quic_open_bidi(pn_quic_conn *conn, int64_t *ret_stream)
{
    return open_stream(conn, false, ret_stream);
}

static bool is_over_limit(const pn_quic_conn *conn, size_t len)
{
    size_t max = conn->quic->options.max_unsent;

    return len > max || conn->n_unsent > max - len;
}

pn_err pn_quic_write(pn_quic_conn *conn, int64_t stream, const uint8_t *data,
    size_t len, bool is_last)
{
    quic_stream *s = pn_quic_stream_find(conn, stream);
    pn_err err = PN_OK;

    if (conn->state != QUIC_OPEN) {
        return conn->state == QUIC_HANDSHAKE ? PN_NOT_FOUND : PN_CLOSED;
    }
    if (s == NULL || !s->can_write || s->has_fin) {
        return PN_NOT_FOUND;
    }
    if (PN_REFUSE_IF(quic_max_unsent, is_over_limit(conn, len))) {
        conn->wants_write = true;
        return PN_FULL;
    }
    if (len > 0) {
        err = pn_quic_out_append(&s->out, data, len);
    }
    if (err != PN_OK) {
        return err;
    }
    conn->n_unsent += len;
    s->wants_open = s->wants_open || s->out.n_written == 0;
    s->has_fin = is_last;
    pn_quic_stream_wake(s);
    pn_quic_conn_touch(conn);
    return PN_OK;
}

void pn_quic_consumed(pn_quic_conn *conn, int64_t stream, size_t n)
{
    quic_stream *s = pn_quic_stream_find(conn, stream);

    if (s == NULL || conn->state > QUIC_LINGER) {
        return; /* what it held was given back when it went */
    }
    if (PN_REFUSE_IF(quic_credit, n > s->n_received - s->n_consumed)) {
        n = (size_t)(s->n_received - s->n_consumed);
    }
    s->n_consumed += n;
    if (!s->is_closed) {
        (void)ngtcp2_conn_extend_max_stream_offset(conn->engine, stream, n);
    }
    ngtcp2_conn_extend_max_offset(conn->engine, n);
    if (s->is_closed && s->n_consumed == s->n_received) {
        pn_quic_stream_free(s);
    }
    pn_quic_conn_touch(conn);
}

/* Bytes that the owner has not consumed still count; otherwise a peer could
 * fill its memory with short finished streams. */
void pn_quic_stream_done(quic_stream *stream)
{
    pn_quic_stream_shut(stream);
    stream->conn->n_unsent -=
        (size_t)(stream->out.n_written - stream->out.n_acked);
    stream->out.n_acked = stream->out.n_written;
    pn_quic_out_fini(&stream->out);
    stream->is_closed = true;
    if (stream->conn->callbacks == NULL || stream->is_reset) {
        pn_quic_stream_forgive(stream);
    }
    if (stream->n_consumed == stream->n_received) {
        pn_quic_stream_free(stream);
    }
}

void pn_quic_grant(pn_quic_conn *conn, uint64_t n)
{
    if (conn->state <= QUIC_LINGER) {
        ngtcp2_conn_extend_max_offset(conn->engine, n);
        pn_quic_conn_touch(conn);
    }
}

void pn_quic_stream_forgive(quic_stream *stream)
{
    ngtcp2_conn_extend_max_offset(
        stream->conn->engine, stream->n_received - stream->n_consumed);
    stream->n_consumed = stream->n_received;
}

void pn_quic_reset(pn_quic_conn *conn, int64_t stream, uint64_t code)
{
    quic_stream *s = pn_quic_stream_find(conn, stream);

    if (s == NULL || s->is_reset || conn->state > QUIC_LINGER) {
        return;
    }
    s->is_reset = true;
    s->wants_reset = true;
    s->reset_code = code;
    pn_quic_conn_touch(conn);
}

/* A FIN that waits is outrun: the peer learns the code instead. What was all
 * sent and acknowledged stays as it is. */
void pn_quic_stream_reset_due(pn_quic_conn *conn)
{
    for (size_t i = 0; i < QUIC_STREAM_BUCKETS; i++) {
        PN_LIST_EACH(quic_stream, s, &conn->streams[i], listed) {
            if (s->wants_reset && s->is_closed) {
                pn_quic_stream_done(s);
            } else if (s->wants_reset) {
                s->wants_reset = false;
                (void)quic_api_shutdown_stream(
                    conn->engine, s->id, s->reset_code);
                pn_quic_stream_shut(s);
                pn_quic_stream_forgive(s);
                conn_freed_some(conn);
            }
        }
    }
}

size_t pn_quic_unsent(const pn_quic_conn *conn)
{
    return conn->n_unsent;
}

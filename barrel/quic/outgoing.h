/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes written to a stream that are not acknowledged yet. They stay at
 * their address until then, because ngtcp2 sends lost ones again from there,
 * and small writes lie one behind the other.
 */
#ifndef PN_BARREL_QUIC_OUTGOING_H
#define PN_BARREL_QUIC_OUTGOING_H

#include <ngtcp2/ngtcp2.h>

#include "base/buf.h"

/* The bytes of one packet are in at most this many pieces. */
#define QUIC_OUT_PIECES 2

typedef struct quic_block quic_block;

/* Zero-filled is empty. */
typedef struct quic_out {
    quic_block *first; /* the oldest not acknowledged as a whole */
    quic_block *last;
    quic_block *next; /* where the next unsent byte is; NULL: all are sent */
    size_t next_at;
    uint64_t first_offset; /* of the stream, of first's first byte */
    uint64_t n_written;
    uint64_t n_sent;
    uint64_t n_acked;
    pn_buf cuts; /* how long each write is that is not sent, as uint32_t */
} quic_out;

void pn_quic_out_fini(quic_out *out);
/* Drops the unsent bytes; returns how many. Bytes in flight stay, and nothing
 * can be appended any more. */
size_t pn_quic_out_cut(quic_out *out);
/* Appends one write of len > 0 bytes, as a whole or not at all. Errors:
 * PN_NOMEM; PN_TOO_LARGE it is of 4 GiB. */
PN_MUST_USE pn_err pn_quic_out_append(
    quic_out *out, const uint8_t *data, size_t len);
/* The bytes for a packet that holds len: whole writes, and parts only of those
 * that no packet could hold. Returns the number of pieces, *ret_total their
 * bytes. */
size_t pn_quic_out_gather(const quic_out *out, size_t len,
    ngtcp2_vec pieces[static QUIC_OUT_PIECES], size_t *ret_total);
/* The next n bytes are on their way. */
void pn_quic_out_sent(quic_out *out, size_t n);
/* The first total bytes of the stream have arrived; returns how many of them
 * are news. */
size_t pn_quic_out_acked(quic_out *out, uint64_t total);

#endif

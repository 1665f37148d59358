/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See outgoing.h. Bytes lie in blocks; every block but the last is full, so
 * that a packet's bytes are never in more than two. (ngtcp2 0.12.1 loses memory
 * when a frame of many pieces is lost and sent again.)
 *
 * Where one write ends and the next begins is kept apart from the bytes: a
 * write that fits into a packet is not cut in two.
 */
#include "quic/outgoing.h"

#include <stdlib.h>
#include <string.h>

struct quic_block {
    quic_block *next;
    size_t len;
    size_t cap;
    uint8_t data[];
};

/* With its head and malloc's own a page; more than two packets hold. */
#define BLOCK_CAP ((size_t)4096 - sizeof(quic_block) - 16)

static void drop_first(quic_out *out)
{
    quic_block *b = out->first;

    out->first = b->next;
    if (out->first == NULL) {
        out->last = NULL;
    }
    out->first_offset += b->len;
    free(b);
}

void pn_quic_out_fini(quic_out *out)
{
    while (out->first != NULL) {
        drop_first(out);
    }
    out->next = NULL;
    pn_buf_fini(&out->cuts);
}

size_t pn_quic_out_cut(quic_out *out)
{
    size_t dropped = (size_t)(out->n_written - out->n_sent);
    quic_block *b = out->next;

    if (b != NULL) {
        b->len = out->next_at;
        while (b->next != NULL) {
            quic_block *unsent = b->next;

            b->next = unsent->next;
            free(unsent);
        }
        out->last = b;
    }
    out->next = NULL;
    out->n_written = out->n_sent;
    pn_buf_fini(&out->cuts);
    return dropped;
}

/* ---- writing ---------------------------------------------------------- */

static size_t room_left(const quic_out *out)
{
    return out->last != NULL ? out->last->cap - out->last->len : 0;
}

static quic_block *block_new(size_t len)
{
    size_t cap = len < BLOCK_CAP ? BLOCK_CAP : len;
    quic_block *b = malloc(sizeof(*b) + cap);

    if (b != NULL) {
        b->next = NULL;
        b->len = 0;
        b->cap = cap;
    }
    return b;
}

static void fill(quic_out *out, quic_block *b, const uint8_t *data, size_t n)
{
    if (out->next == NULL) {
        out->next = b;
        out->next_at = b->len;
    }
    memcpy(b->data + b->len, data, n);
    b->len += n;
}

pn_err pn_quic_out_append(quic_out *out, const uint8_t *data, size_t len)
{
    size_t room = room_left(out);
    size_t here = len < room ? len : room;
    uint32_t cut = (uint32_t)len;
    quic_block *b = NULL;

    if (len > UINT32_MAX) {
        return PN_TOO_LARGE;
    }
    if (here < len) {
        b = block_new(len - here);
        if (b == NULL) {
            return PN_NOMEM;
        }
    }
    if (pn_buf_append(&out->cuts, &cut, sizeof(cut)) != PN_OK) {
        free(b);
        return PN_NOMEM;
    }
    if (here > 0) {
        fill(out, out->last, data, here);
    }
    if (b != NULL) {
        if (out->last != NULL) {
            out->last->next = b;
        } else {
            out->first = b;
        }
        out->last = b;
        fill(out, b, data + here, len - here);
    }
    out->n_written += len;
    return PN_OK;
}

/* ---- sending ---------------------------------------------------------- */

static uint32_t cut_at(const quic_out *out, size_t i)
{
    uint32_t cut;

    memcpy(&cut, out->cuts.data + out->cuts.off + i * sizeof(cut), sizeof(cut));
    return cut;
}

/* How many bytes: the first write or what is left of it, and what fits behind
 * it. One that must be cut anyway fills the rest. */
static size_t choose(const quic_out *out, size_t len)
{
    size_t n = pn_buf_used(&out->cuts) / sizeof(uint32_t);
    size_t total = 0;

    for (size_t i = 0; i < n; i++) {
        size_t cut = cut_at(out, i);

        if (i > 0 && (total >= len || (cut <= len && cut > len - total))) {
            break;
        }
        total += cut;
    }
    return total;
}

size_t pn_quic_out_gather(const quic_out *out, size_t len,
    ngtcp2_vec pieces[static QUIC_OUT_PIECES], size_t *ret_total)
{
    size_t left = choose(out, len);
    size_t at = out->next_at;
    size_t n = 0;

    *ret_total = 0;
    for (quic_block *b = out->next;
         b != NULL && left > 0 && n < QUIC_OUT_PIECES; b = b->next) {
        size_t here = b->len - at < left ? b->len - at : left;

        pieces[n].base = b->data + at;
        pieces[n].len = here;
        *ret_total += here;
        left -= here;
        at = 0;
        n++;
    }
    return n;
}

static void use_cuts(quic_out *out, size_t n)
{
    while (n > 0) {
        uint32_t cut = cut_at(out, 0);

        if (cut > n) {
            cut -= (uint32_t)n;
            memcpy(out->cuts.data + out->cuts.off, &cut, sizeof(cut));
            return;
        }
        n -= cut;
        pn_buf_consume(&out->cuts, sizeof(cut));
    }
    pn_buf_trim(&out->cuts, 4096);
}

void pn_quic_out_sent(quic_out *out, size_t n)
{
    use_cuts(out, n);
    out->n_sent += n;
    while (out->next != NULL && out->next->len - out->next_at <= n) {
        n -= out->next->len - out->next_at;
        out->next = out->next->next;
        out->next_at = 0;
    }
    out->next_at += n;
}

size_t pn_quic_out_acked(quic_out *out, uint64_t total)
{
    size_t news = 0;

    if (total > out->n_acked) {
        news = (size_t)(total - out->n_acked);
        out->n_acked = total;
    }
    while (out->first != NULL && out->first_offset + out->first->len <= total) {
        drop_first(out);
    }
    return news;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte buffer: appended at the end, consumed at the front. */
#ifndef PN_BASE_BUF_H
#define PN_BASE_BUF_H

#include <stdlib.h>
#include <string.h>

#include <peernet/error.h>

/*
 * Bytes [off, len) of data are in it. Zero-filled is a valid empty buffer.
 * Embedded: pn_buf_fini frees the memory (and does not wipe it).
 */
typedef struct pn_buf {
    uint8_t *data;
    size_t off;
    size_t len;
    size_t cap;
} pn_buf;

static inline void pn_buf_fini(pn_buf *b)
{
    free(b->data);
    *b = (pn_buf){0};
}

static inline size_t pn_buf_used(const pn_buf *b)
{
    return b->len - b->off;
}

static inline uint8_t *pn_buf_head(const pn_buf *b)
{
    return b->data == NULL ? NULL : b->data + b->off;
}

/* Makes room for n more bytes at the end; may move data and reset off to 0.
 * Grows by doubling. Errors: PN_NOMEM (nothing changes). */
PN_MUST_USE pn_err pn_buf_reserve(pn_buf *b, size_t n);

/* Appends n bytes. Errors: PN_NOMEM. */
PN_MUST_USE pn_err pn_buf_append(pn_buf *b, const void *data, size_t n);

/* Drops n bytes (at most what is used) from the front; an emptied buffer
 * starts again at 0 and keeps its memory. */
static inline void pn_buf_consume(pn_buf *b, size_t n)
{
    b->off += n < pn_buf_used(b) ? n : pn_buf_used(b);
    if (b->off == b->len) {
        b->off = 0;
        b->len = 0;
    }
}

/* Drops the memory when the buffer is empty and larger than keep bytes. */
static inline void pn_buf_trim(pn_buf *b, size_t keep)
{
    if (pn_buf_used(b) == 0 && b->cap > keep) {
        pn_buf_fini(b);
    }
}

#endif

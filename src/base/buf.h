/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte buffer: appended at the end, consumed at the front. */
#ifndef PN_BASE_BUF_H
#define PN_BASE_BUF_H

#include <peernet/error.h>

#include "base/core.h"

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

PN_CORE void pn_buf_fini(pn_buf *b);

static inline size_t pn_buf_used(const pn_buf *b)
{
    return b->len - b->off;
}

static inline uint8_t *pn_buf_head(pn_buf *b)
{
    return b->data == NULL ? NULL : b->data + b->off;
}

/* Makes room for n more bytes at the end; may move data and reset off to 0.
 * Grows by doubling. Errors: PN_NOMEM (nothing changes). */
PN_CORE PN_MUST_USE pn_err pn_buf_reserve(pn_buf *b, size_t n);

/* Appends n bytes. Errors: PN_NOMEM. */
PN_CORE PN_MUST_USE pn_err pn_buf_append(pn_buf *b, const void *data, size_t n);

/* Drops n bytes (at most what is used) from the front; an emptied buffer
 * starts again at 0 and keeps its memory. */
PN_CORE void pn_buf_consume(pn_buf *b, size_t n);

/* Drops the memory when the buffer is empty and larger than keep bytes. */
PN_CORE void pn_buf_trim(pn_buf *b, size_t keep);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte buffer; see buf.h. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

enum { BUF_FIRST_CAP = 256 };

/* Moves the used bytes to the front, which makes room without an allocation. */
static void buf_compact(pn_buf *b)
{
    if (b->off == 0) {
        return;
    }
    memmove(b->data, b->data + b->off, pn_buf_used(b));
    b->len -= b->off;
    b->off = 0;
}

pn_err pn_buf_reserve(pn_buf *b, size_t n)
{
    size_t used = pn_buf_used(b);
    size_t cap = b->cap == 0 ? BUF_FIRST_CAP : b->cap;
    uint8_t *data;

    if (n <= b->cap - b->len) {
        return PN_OK;
    }
    /* Only a buffer that is at most half used is compacted: compacting a fuller
     * one for each append would take quadratic time. */
    if (b->off >= b->cap / 2 && n <= b->cap - used) {
        buf_compact(b);
        return PN_OK;
    }
    if (n > SIZE_MAX / 4 - used) {
        return PN_NOMEM;
    }
    while (cap - used < n || cap < used) {
        cap *= 2;
    }
    data = malloc(cap);
    if (data == NULL) {
        return PN_NOMEM;
    }
    if (used > 0) {
        memcpy(data, b->data + b->off, used);
    }
    free(b->data);
    *b = (pn_buf){.data = data, .off = 0, .len = used, .cap = cap};
    return PN_OK;
}

pn_err pn_buf_append(pn_buf *b, const void *data, size_t n)
{
    pn_err err = pn_buf_reserve(b, n);

    if (err != PN_OK) {
        return err;
    }
    if (n > 0) {
        memcpy(b->data + b->len, data, n);
    }
    b->len += n;
    return PN_OK;
}

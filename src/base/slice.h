/* SPDX-License-Identifier: Apache-2.0 */
/* Slices of bytes, and texts as such. */
#ifndef PN_BASE_SLICE_H
#define PN_BASE_SLICE_H

#include <string.h>

#include <peernet/common.h>

/* The bytes of text without its NUL; they stay the caller's. NULL: none. */
static inline pn_slice pn_slice_of(const char *text)
{
    return (pn_slice){(const uint8_t *)text, text == NULL ? 0 : strlen(text)};
}

static inline bool pn_slice_equal(pn_slice a, pn_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static inline bool pn_slice_is(pn_slice slice, const char *text)
{
    return pn_slice_equal(slice, pn_slice_of(text));
}

#endif

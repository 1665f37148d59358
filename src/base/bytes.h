/* SPDX-License-Identifier: Apache-2.0 */
/* Loads and stores of numbers, big-endian and little-endian. */
#ifndef PN_BASE_BYTES_H
#define PN_BASE_BYTES_H

#include <stddef.h>
#include <stdint.h>

static inline uint16_t pn_load_be16(const uint8_t p[static 2])
{
    return (uint16_t)((uint32_t)p[0] << 8 | p[1]);
}

static inline uint32_t pn_load_be32(const uint8_t p[static 4])
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8
           | p[3];
}

static inline uint64_t pn_load_be64(const uint8_t p[static 8])
{
    return (uint64_t)pn_load_be32(p) << 32 | pn_load_be32(p + 4);
}

static inline void pn_store_be16(uint8_t p[static 2], uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void pn_store_be32(uint8_t p[static 4], uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static inline void pn_store_be64(uint8_t p[static 8], uint64_t v)
{
    pn_store_be32(p, (uint32_t)(v >> 32));
    pn_store_be32(p + 4, (uint32_t)v);
}

static inline void pn_store_le64(uint8_t p[static 8], uint64_t v)
{
    for (unsigned i = 0; i < 8; i++) {
        p[i] = (uint8_t)(v >> (8 * i));
    }
}

/* Loads a number of n bytes, at most 8. */
static inline uint64_t pn_load_le(const uint8_t *p, size_t n)
{
    uint64_t v = 0;

    while (n > 0) {
        v = v << 8 | p[--n];
    }
    return v;
}

/* The length of a little-endian number of n bytes without the zeros on top. */
static inline size_t pn_trim_le(const uint8_t *p, size_t n)
{
    while (n > 0 && p[n - 1] == 0) {
        n--;
    }
    return n;
}

#endif

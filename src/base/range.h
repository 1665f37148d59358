/* SPDX-License-Identifier: Apache-2.0 */
/* The defaults and bounds of numbers in a structure of options. */
#ifndef PN_BASE_RANGE_H
#define PN_BASE_RANGE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct pn_range {
    const char *name;
    size_t offset;   /* of a uint32_t */
    uint32_t preset; /* the default */
    uint32_t min;
    uint32_t max;
    const char *why; /* why there is no more; "" says nothing */
} pn_range;

#define PN_RANGE(type, field, preset, min, max, why)                           \
    {                                                                          \
#field, offsetof(type, field), (preset), (min), (max), (why)           \
    }

static inline void pn_range_presets(
    void *options, const pn_range *ranges, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        memcpy((char *)options + ranges[i].offset, &ranges[i].preset,
            sizeof(ranges[i].preset));
    }
}

/* The first of n ranges that options break, and the value there; NULL: none. */
static inline const pn_range *pn_range_broken(
    const void *options, const pn_range *ranges, size_t n, uint32_t *ret_value)
{
    for (size_t i = 0; i < n; i++) {
        memcpy(ret_value, (const char *)options + ranges[i].offset,
            sizeof(*ret_value));
        if (*ret_value < ranges[i].min || *ret_value > ranges[i].max) {
            return &ranges[i];
        }
    }
    return NULL;
}

#endif

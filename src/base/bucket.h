/* SPDX-License-Identifier: Apache-2.0 */
/* A token bucket: limits how often something happens, by the caller's clock. */
#ifndef PN_BASE_BUCKET_H
#define PN_BASE_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/env.h"

/* One token: at one token a second a microsecond adds 1, so nothing is lost to
 * rounding, however often the bucket is asked. */
#define PN_BUCKET_TOKEN PN_US_PER_S

/* In millionths of a token. Zero-filled is full. */
typedef struct pn_bucket {
    uint64_t at_us;
    uint64_t level;
} pn_bucket;

/* Takes one token; false when there is none. per_second 0 means no limit. */
bool pn_bucket_take(
    pn_bucket *b, uint64_t now_us, uint32_t per_second, uint32_t burst);

#endif

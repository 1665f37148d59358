/* SPDX-License-Identifier: Apache-2.0 */
/* A token bucket; see bucket.h. */
#include "base/bucket.h"

bool pn_bucket_take(
    pn_bucket *b, uint64_t now_us, uint32_t per_second, uint32_t burst)
{
    uint64_t full = (uint64_t)burst * PN_BUCKET_TOKEN;

    if (b->at_us == 0) {
        b->level = full;
    } else if (now_us > b->at_us) {
        uint64_t passed = now_us - b->at_us;

        /* A bucket is full again after burst/per_second seconds at most. */
        if (per_second == 0 || passed > UINT64_C(3600) * PN_US_PER_S) {
            b->level = full;
        } else {
            b->level += passed * per_second;
        }
    }
    if (b->level > full) {
        b->level = full;
    }
    b->at_us = now_us;
    if (b->level < PN_BUCKET_TOKEN) {
        return false;
    }
    b->level -= PN_BUCKET_TOKEN;
    return true;
}

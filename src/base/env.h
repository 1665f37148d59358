/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The environment of an engine: its randomness. The node gives the system's,
 * tests give a seeded one. Time is an argument everywhere: now_us,
 * microseconds of a monotonic clock that goes on counting in suspend.
 */
#ifndef PN_BASE_ENV_H
#define PN_BASE_ENV_H

#include <peernet/error.h>

#define PN_US_PER_MS UINT64_C(1000)
#define PN_US_PER_S UINT64_C(1000000)
/* No deadline: later than any point in time. */
#define PN_TIME_NEVER UINT64_MAX

static inline uint64_t pn_sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t pn_later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

typedef struct pn_env {
    void *user;
    /* Fills buf with len random bytes; PN_SYS when there are none. */
    pn_err (*random)(void *user, uint8_t *buf, size_t len);
} pn_env;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an engine needs of the world besides bytes and the time: randomness and
 * somewhere to report to. Tests give a seeded one; the node gives the system's.
 * Time is an argument everywhere: now_us, microseconds of a monotonic clock
 * that goes on counting in suspend.
 */
#ifndef PN_BASE_ENV_H
#define PN_BASE_ENV_H

#include <peernet/log.h>

#define PN_US_PER_MS UINT64_C(1000)
#define PN_US_PER_S UINT64_C(1000000)
/* "No deadline": later than any. */
#define PN_TIME_NEVER UINT64_MAX

typedef struct pn_env {
    void *user;
    /* Fills buf with len random bytes; PN_SYS when there are none. */
    pn_err (*random)(void *user, uint8_t *buf, size_t len);
    /* May be NULL: nothing is reported. */
    void (*log)(void *user, const pn_log_event *event);
} pn_env;

#endif

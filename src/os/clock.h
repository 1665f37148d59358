/* SPDX-License-Identifier: Apache-2.0 */
/* The two clocks: wall-clock time for time stamps, and a monotonic one for
 * timers (T24). */
#ifndef PN_OS_CLOCK_H
#define PN_OS_CLOCK_H

#include <stdint.h>

/* Microseconds since 1970 UTC. Thread: any. */
int64_t pn_wall_now_us(void);

/* Microseconds of a monotonic clock that counts on in suspend; what
 * pn_loop_now_us was read from. Thread: any. */
uint64_t pn_monotonic_now_us(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The wall clock, for time stamps that people read. Never for timers (T24). */
#ifndef PN_OS_CLOCK_H
#define PN_OS_CLOCK_H

#include <stdint.h>

/* Microseconds since 1970 UTC. Thread: any. */
int64_t pn_wall_now_us(void);

#endif

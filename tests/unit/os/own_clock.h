/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A clock in place of the kernel's for a whole test program: CLOCK_BOOTTIME
 * and CLOCK_MONOTONIC stand still until the test moves them, and timers of
 * the loop go off when they reach their time on it. Minutes of a whole node
 * pass as fast as it can work. Waits with a time-out in the kernel are not
 * shortened. Thread: any.
 */
#ifndef PN_TESTS_OWN_CLOCK_H
#define PN_TESTS_OWN_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Microseconds. */
uint64_t own_clock_now(void);
/* Moves it; the descriptor of each timer that is due is readable on return. */
void own_clock_advance(uint64_t us);
/* The host is suspended for so long: CLOCK_MONOTONIC does not move. */
void own_clock_sleep(uint64_t us);
/* The time of day is set, as the kernel does when it resumes. */
void own_clock_set_day(void);
/* From now on it moves by itself, ten times as fast as others, for calls that
 * wait; false: it stands still again. */
void own_clock_go(bool goes);

#endif

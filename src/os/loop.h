/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop, over libuv: time, timers, wake-ups from other threads, end
 * of turn. One loop belongs to one thread.
 */
#ifndef PN_OS_LOOP_H
#define PN_OS_LOOP_H

#include <peernet/error.h>

#include "base/env.h"

typedef struct pn_loop pn_loop;
typedef struct pn_timer pn_timer;
typedef struct pn_waker pn_waker;

PN_MUST_USE pn_err pn_loop_new(pn_loop **ret_loop);
/* Everything on it must have been closed; runs what is left of closing. */
void pn_loop_free(pn_loop *loop);

/* Monotonic microseconds that count on in suspend (CLOCK_BOOTTIME), as of the
 * start of this turn; pn_loop_update_now reads the clock again. */
uint64_t pn_loop_now_us(const pn_loop *loop);
uint64_t pn_loop_update_now(pn_loop *loop);

/* Runs until pn_loop_stop, or one turn without waiting. */
void pn_loop_run(pn_loop *loop);
void pn_loop_run_once(pn_loop *loop); /* does not wait */
void pn_loop_stop(pn_loop *loop);     /* from the loop's thread */
int pn_loop_fd(const pn_loop *loop);
int pn_loop_timeout_ms(const pn_loop *loop);

/* Called once at the end of each turn in which something happened, before the
 * loop waits again: what was queued in the turn is written then. */
void pn_loop_on_turn_end(
    pn_loop *loop, void (*callback)(void *user), void *user);

/* One-shot timers; set replaces, deadline PN_TIME_NEVER disarms. */
PN_MUST_USE pn_err pn_timer_new(pn_loop *loop, void (*callback)(void *user),
    void *user, pn_timer **ret_timer);
void pn_timer_set(pn_timer *timer, uint64_t deadline_us);
void pn_timer_free(pn_timer *timer); /* NULL is fine; never fires after it */

/* Wakes the loop from any thread; wake-ups coalesce. */
PN_MUST_USE pn_err pn_waker_new(pn_loop *loop, void (*callback)(void *user),
    void *user, pn_waker **ret_waker);
void pn_waker_wake(pn_waker *waker); /* any thread */
void pn_waker_free(pn_waker *waker); /* loop's thread */

/* Watches a descriptor for reading (sockets of ours, inotify, rtnetlink). */
typedef struct pn_watch pn_watch;
PN_MUST_USE pn_err pn_watch_new(pn_loop *loop, int fd,
    void (*callback)(void *user), void *user, pn_watch **ret_watch);
void pn_watch_free(pn_watch *watch); /* does not close fd; NULL is fine */

/* The libuv loop below, for src/os only. */
struct uv_loop_s *pn_loop_uv(pn_loop *loop);

#endif

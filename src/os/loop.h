/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop, over libuv: time, timers, wake-ups from other threads, end
 * of turn. One loop belongs to one thread; every function here is for that
 * thread unless it says otherwise.
 *
 * A turn is everything that happens between two waits. The order within one
 * is: tasks, timers, descriptors and wakers as they come; then the callback of
 * pn_loop_on_turn_end; then what pn_loop_after_turn collected.
 */
#ifndef PN_OS_LOOP_H
#define PN_OS_LOOP_H

#include <peernet/error.h>

#include "base/core.h"
#include "base/env.h"
#include "base/list.h"

typedef struct pn_loop pn_loop;
typedef struct pn_timer pn_timer;
typedef struct pn_waker pn_waker;

/* Errors: PN_NOMEM, PN_SYS with errno. */
PN_MUST_USE pn_err pn_loop_new(pn_loop **ret_loop);
/* Everything on it must have been closed; runs what is left of closing. NULL
 * is fine. */
void pn_loop_free(pn_loop *loop);

/* Monotonic microseconds that count on in suspend (CLOCK_BOOTTIME), as of the
 * start of this turn; pn_loop_update_now reads the clock again. Outside a turn
 * the former is as old as the last one. */
uint64_t pn_loop_now_us(const pn_loop *loop);
uint64_t pn_loop_update_now(pn_loop *loop);

/* Runs until pn_loop_stop, or one turn without waiting. */
void pn_loop_run(pn_loop *loop);
void pn_loop_run_once(pn_loop *loop);
void pn_loop_stop(pn_loop *loop);
/* For a program with its own loop: pn_loop_run_once is due when the descriptor
 * is readable or after this many milliseconds (-1: only the descriptor
 * decides). To be asked again after every run and after starting anything. */
int pn_loop_fd(const pn_loop *loop);
int pn_loop_timeout_ms(const pn_loop *loop);

/* Called once at the end of each turn in which something happened, before the
 * loop waits again: what was queued in the turn is written then. */
void pn_loop_on_turn_end(
    pn_loop *loop, void (*callback)(void *user), void *user);

/* A piece of work for later, embedded by its owner, who sets run and user. It
 * is in one queue at most: posting it again does nothing. */
typedef struct pn_task {
    void (*run)(void *user);
    void *user;
    pn_item item; /* in a queue of the loop */
} pn_task;

/* Runs task in the next turn, which comes at once. */
PN_CORE void pn_loop_post(pn_loop *loop, pn_task *task);
/* Runs task once this turn's output has been written (outside of a turn: at
 * the end of the next). */
void pn_loop_after_turn(pn_loop *loop, pn_task *task);
/* Runs task within the next millisecond, with all others that came meanwhile:
 * one wake-up for all of them. */
void pn_loop_soon(pn_loop *loop, pn_task *task);
/* Takes it out of whichever queue; fine when it is in none. */
static inline void pn_task_cancel(pn_task *task)
{
    pn_list_remove(&task->item);
}

/* One-shot timers; set replaces, deadline PN_TIME_NEVER disarms. A deadline
 * already past fires in a later turn, never from inside set. Setting a timer
 * later than it was costs no system call. Errors: PN_NOMEM. */
PN_CORE PN_MUST_USE pn_err pn_timer_new(pn_loop *loop,
    void (*callback)(void *user), void *user, pn_timer **ret_timer);
PN_CORE void pn_timer_set(pn_timer *timer, uint64_t deadline_us);
PN_CORE void pn_timer_free(
    pn_timer *timer); /* NULL is fine; never fires after it */

/* Wakes the loop from any thread; wake-ups coalesce. Errors: PN_NOMEM,
 * PN_SYS. */
PN_MUST_USE pn_err pn_waker_new(pn_loop *loop, void (*callback)(void *user),
    void *user, pn_waker **ret_waker);
void pn_waker_wake(pn_waker *waker); /* any thread, until free */
void pn_waker_free(pn_waker *waker); /* loop's thread; NULL is fine */

/* Watches a descriptor for reading (sockets of ours, inotify, rtnetlink).
 * Level-triggered: the callback comes in every turn until it was read.
 * Errors: PN_NOMEM, PN_SYS. */
typedef struct pn_watch pn_watch;
PN_CORE PN_MUST_USE pn_err pn_watch_new(pn_loop *loop, int fd,
    void (*callback)(void *user), void *user, pn_watch **ret_watch);
PN_CORE void pn_watch_free(
    pn_watch *watch); /* does not close fd; NULL is fine */

/* The libuv loop below, for src/os only. Each libuv callback there begins with
 * pn_loop_turn, so that the clock is read and the turn has an end. */
struct uv_loop_s *pn_loop_uv(pn_loop *loop);
void pn_loop_turn(pn_loop *loop);

/* A buffer of *ret_cap bytes that all readers of the loop share; what is in it
 * is gone after the callback that filled it. NULL: no memory. For src/os only.
 */
uint8_t *pn_loop_read_buffer(pn_loop *loop, size_t *ret_cap);

#endif

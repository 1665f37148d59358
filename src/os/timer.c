/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers: a binary heap over one timerfd of CLOCK_BOOTTIME, so that a deadline
 * that passed in suspend is noticed on waking up (T24).
 *
 * The timerfd is set again only when the earliest deadline moves forward.
 * Deadlines that are pushed back all the time, as each call does, cost
 * nothing: the descriptor fires at the old time and is set to the new one.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/timerfd.h>

#include "base/assert.h"
#include "loop_internal.h"
#include "os/clock.h"

struct pn_timer {
    pn_heap_node node;
    pn_loop *loop;
    void (*callback)(void *user);
    void *user;
};

/* ---- the timerfd ------------------------------------------------------ */

/* The time is relative to a clock just read, which is right also where a time
 * namespace or faketime shows this process another clock than the kernel's.
 * Setting the timer clears an expiration. */
static void timers_set_fd(pn_loop *loop, uint64_t deadline_us)
{
    struct itimerspec spec = {{0, 0}, {0, 0}};

    loop->timers.armed_us = deadline_us;
    if (deadline_us != PN_TIME_NEVER) {
        uint64_t now = pn_monotonic_now_us();
        uint64_t us = deadline_us > now ? deadline_us - now : 0;

        spec.it_value.tv_sec = (time_t)(us / PN_US_PER_S);
        spec.it_value.tv_nsec = (long)(us % PN_US_PER_S) * 1000;
        if (us == 0) {
            spec.it_value.tv_nsec = 1; /* all zero would disarm it */
        }
    }
    (void)timerfd_settime(loop->timers.fd, 0, &spec, NULL);
}

void pn_timers_arm(pn_loop *loop)
{
    uint64_t deadline_us = pn_heap_deadline(&loop->timers.heap);

    if (deadline_us < loop->timers.armed_us) {
        timers_set_fd(loop, deadline_us);
    }
}

/* At most as many timers fire in one turn as there were at its start, so a
 * callback that sets its own timer to the past is called again in the next
 * turn. */
static void on_clock(uv_poll_t *poll, int status, int events)
{
    pn_loop *loop = poll->data;
    pn_heap *heap = &loop->timers.heap;

    (void)status;
    (void)events;
    pn_loop_turn(loop);
    for (size_t n = heap->n; n > 0; n--) {
        pn_heap_node *first = pn_heap_first(heap);
        pn_timer *timer;

        if (first == NULL || first->at_us > loop->now_us) {
            break;
        }
        pn_heap_set(heap, first, PN_TIME_NEVER);
        timer = PN_HEAP_OWNER(pn_timer, node, first);
        timer->callback(timer->user);
    }
    timers_set_fd(loop, pn_heap_deadline(heap));
}

pn_err pn_timers_init(pn_loop *loop)
{
    pn_timers *t = &loop->timers;
    int r;

    t->armed_us = PN_TIME_NEVER;
    t->fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (t->fd < 0) {
        return PN_SYS;
    }
    r = uv_poll_init(&loop->uv, &t->poll, t->fd);
    if (r != 0) {
        (void)close(t->fd);
        t->fd = -1;
        errno = -r;
        return PN_SYS;
    }
    t->poll.data = loop;
    (void)uv_poll_start(&t->poll, UV_READABLE, on_clock);
    return PN_OK;
}

void pn_timers_close(pn_loop *loop)
{
    pn_timers *t = &loop->timers;

    assert(t->n_timers == 0); /* every timer has been freed */
    if (t->fd >= 0) {
        uv_close((uv_handle_t *)&t->poll, NULL);
        (void)close(t->fd);
    }
    pn_heap_fini(&t->heap);
}

/* ---- timers ----------------------------------------------------------- */

pn_err pn_timer_new(pn_loop *loop, void (*callback)(void *user), void *user,
    pn_timer **ret_timer)
{
    pn_timers *t = &loop->timers;
    pn_timer *timer = calloc(1, sizeof(*timer));

    if (timer == NULL || pn_heap_reserve(&t->heap, t->n_timers + 1) != PN_OK) {
        free(timer);
        return PN_NOMEM;
    }
    timer->loop = loop;
    timer->callback = callback;
    timer->user = user;
    t->n_timers++;
    *ret_timer = timer;
    return PN_OK;
}

void pn_timer_set(pn_timer *timer, uint64_t deadline_us)
{
    pn_heap_set(&timer->loop->timers.heap, &timer->node, deadline_us);
    /* During a run the end of the turn arms the timerfd, once for all
     * timers. */
    if (!timer->loop->is_running) {
        pn_timers_arm(timer->loop);
    }
}

void pn_timer_free(pn_timer *timer)
{
    if (timer != NULL) {
        pn_heap_set(&timer->loop->timers.heap, &timer->node, PN_TIME_NEVER);
        timer->loop->timers.n_timers--;
        free(timer);
    }
}

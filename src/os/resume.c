/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waking from suspend; see resume.h. The clock that counts in suspend runs
 * ahead of the one that does not by the time slept. A timer of the time of day
 * that is cancelled when that clock is set makes the loop's turn: the kernel
 * sets that clock when it resumes.
 */
#include "os/resume.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <sys/timerfd.h>

struct pn_resume {
    pn_loop *loop;
    uint64_t slept_us;  /* since the host started */
    uint64_t looked_us; /* when that was read */
    int fd;             /* -1: none */
    pn_watch *watch;
};

static uint64_t read_us(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * PN_US_PER_S + (uint64_t)now.tv_nsec / 1000;
}

/* A moment passes between the two clocks, which is why differences below
 * PN_RESUME_MIN_US mean nothing. */
static uint64_t slept_us(void)
{
    uint64_t awake_us = read_us(CLOCK_MONOTONIC);
    uint64_t all_us = read_us(CLOCK_BOOTTIME);

    return all_us > awake_us ? all_us - awake_us : 0;
}

/* Between two turns that are close to each other no sleep has room. This turn
 * may have begun before the sleep, and what follows has to know the present. */
bool pn_resume_take(pn_resume *r)
{
    uint64_t now_us = pn_loop_now_us(r->loop);
    uint64_t before_us = r->slept_us;

    if (now_us - r->looked_us < PN_RESUME_MIN_US) {
        return false;
    }
    r->looked_us = now_us;
    r->slept_us = slept_us();
    if (r->slept_us < before_us + PN_RESUME_MIN_US) {
        return false;
    }
    (void)pn_loop_update_now(r->loop);
    return true;
}

static void arm(const pn_resume *r)
{
    struct itimerspec far = {.it_value.tv_sec = (time_t)1 << 40};

    (void)timerfd_settime(
        r->fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, NULL);
}

/* The turn that this is part of ends with a look. */
static void on_clock_set(void *user)
{
    pn_resume *r = user;
    uint64_t n;

    if (read(r->fd, &n, sizeof(n)) < 0) { /* ECANCELED, as is meant */
        arm(r);
    }
}

/* Without the descriptor the looks of each turn remain. */
static void watch(pn_resume *r)
{
    r->fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (r->fd >= 0) {
        arm(r);
        if (pn_watch_new(r->loop, r->fd, on_clock_set, r, &r->watch) != PN_OK) {
            (void)close(r->fd);
            r->fd = -1;
        }
    }
}

pn_err pn_resume_new(pn_loop *loop, pn_resume **ret_resume)
{
    pn_resume *r = calloc(1, sizeof(*r));

    if (r == NULL) {
        return PN_NOMEM;
    }
    r->loop = loop;
    r->slept_us = slept_us();
    r->looked_us = pn_loop_now_us(loop);
    watch(r);
    *ret_resume = r;
    return PN_OK;
}

void pn_resume_free(pn_resume *r)
{
    if (r != NULL) {
        pn_watch_free(r->watch);
        if (r->fd >= 0) {
            (void)close(r->fd);
        }
        free(r);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A clock in place of the kernel's; see own_clock.h. */
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <sys/syscall.h>
#include <sys/timerfd.h>

#include "own_clock.h"

enum {
    MAX_FDS = 1024,
    NS_PER_US = 1000,
    US_PER_S = 1000000,
    STEP_MS = 1,
    FIRE_MS = 20
};

typedef int clock_fn(clockid_t, struct timespec *);
typedef int timer_fn(int, int, const struct itimerspec *, struct itimerspec *);

/* Each of them moves in one step: nobody sees half of a sleep. */
static atomic_uint_least64_t awake_us = UINT64_C(1000000) * US_PER_S;
static atomic_uint_least64_t slept_us;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t due_us[MAX_FDS];    /* 0: not set */
static atomic_bool is_day[MAX_FDS]; /* a timer of the time of day, armed */
static atomic_bool is_set[MAX_FDS]; /* and that time was set since */
static atomic_bool is_going;
static pthread_t mover;

uint64_t own_clock_now(void)
{
    return atomic_load(&awake_us) + atomic_load(&slept_us);
}

/* In place of the system's, for the whole program. */
int clock_gettime(clockid_t clock, struct timespec *ret_time)
{
    uint64_t us = own_clock_now();
    clock_fn *next;

    switch (clock) {
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_COARSE:
        us = atomic_load(&awake_us);
        __attribute__((fallthrough));
    case CLOCK_BOOTTIME:
        ret_time->tv_sec = (time_t)(us / US_PER_S);
        ret_time->tv_nsec = (long)(us % US_PER_S) * NS_PER_US;
        return 0;
    default:
        *(void **)&next = dlsym(RTLD_NEXT, "clock_gettime");
        return next(clock, ret_time);
    }
}

/* The kernel's timer, which goes off at once or is disarmed. */
static int set_timer(int fd, int is_due)
{
    const struct itimerspec spec = {.it_value.tv_nsec = is_due};
    timer_fn *next;

    *(void **)&next = dlsym(RTLD_NEXT, "timerfd_settime");
    return next(fd, 0, &spec, NULL);
}

/* Likewise. The loop's are relative and go off once; one of the time of day is
 * the kernel's. */
int timerfd_settime(int fd, int flags, const struct itimerspec *spec,
    struct itimerspec *ret_old)
{
    uint64_t ns = (uint64_t)spec->it_value.tv_sec * US_PER_S * NS_PER_US
                  + (uint64_t)spec->it_value.tv_nsec;
    int is_due = ns > 0 && ns < NS_PER_US;

    if ((flags & TFD_TIMER_CANCEL_ON_SET) != 0) {
        timer_fn *next;

        *(void **)&next = dlsym(RTLD_NEXT, "timerfd_settime");
        if (fd < MAX_FDS) {
            atomic_store(&is_day[fd], true);
        }
        return next(fd, flags, spec, ret_old);
    }
    if (flags != 0 || ret_old != NULL || fd >= MAX_FDS) {
        abort();
    }
    (void)pthread_mutex_lock(&lock);
    due_us[fd] = ns == 0 || is_due ? 0 : own_clock_now() + ns / NS_PER_US;
    (void)pthread_mutex_unlock(&lock);
    return set_timer(fd, is_due);
}

/* The timers that have become due go off. */
static void fire(void)
{
    uint64_t now = own_clock_now();

    (void)pthread_mutex_lock(&lock);
    for (int fd = 0; fd < MAX_FDS; fd++) {
        struct pollfd p = {.fd = fd, .events = POLLIN};

        if (due_us[fd] != 0 && due_us[fd] <= now) {
            due_us[fd] = 0;
            if (set_timer(fd, 1) == 0) { /* it may be read before we look */
                (void)poll(&p, 1, FIRE_MS);
            }
        }
    }
    (void)pthread_mutex_unlock(&lock);
}

void own_clock_advance(uint64_t us)
{
    (void)atomic_fetch_add(&awake_us, us);
    fire();
}

/* In place of the system's: a timer of the time of day is cancelled. */
ssize_t read(int fd, void *buf, size_t len)
{
    ssize_t n = syscall(SYS_read, fd, buf, len);

    if (n > 0 && fd < MAX_FDS && atomic_exchange(&is_set[fd], false)) {
        errno = ECANCELED;
        return -1;
    }
    return n;
}

void own_clock_set_day(void)
{
    for (int fd = 0; fd < MAX_FDS; fd++) {
        if (atomic_exchange(&is_day[fd], false)) {
            atomic_store(&is_set[fd], true);
            (void)set_timer(fd, 1);
        }
    }
}

void own_clock_sleep(uint64_t us)
{
    (void)atomic_fetch_add(&slept_us, us);
    fire();
}

static void *move(void *user)
{
    while (atomic_load(&is_going)) {
        (void)poll(NULL, 0, STEP_MS);
        own_clock_advance(10 * STEP_MS * UINT64_C(1000));
    }
    return user;
}

void own_clock_go(bool goes)
{
    atomic_store(&is_going, goes);
    if (goes && pthread_create(&mover, NULL, move, NULL) != 0) {
        abort();
    }
    if (!goes) {
        (void)pthread_join(mover, NULL);
    }
}

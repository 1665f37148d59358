/* SPDX-License-Identifier: Apache-2.0 */
/* A clock that is wrong by CLOCK_OFF seconds, a day when that is not set, for a
 * process that this is loaded into first (LD_PRELOAD). The monotonic clock
 * stays. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static time_t off(void)
{
    const char *text = getenv("CLOCK_OFF");

    return text == NULL ? 86400 : (time_t)strtoll(text, NULL, 10);
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
    long result = syscall(SYS_clock_gettime, clock, t);

    if (result == 0 && clock == CLOCK_REALTIME) {
        t->tv_sec += off();
    }
    return (int)result;
}

time_t time(time_t *ret_t)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (ret_t != NULL) {
        *ret_t = now.tv_sec;
    }
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
    struct timespec now = {0};
    int result = clock_gettime(CLOCK_REALTIME, &now);

    (void)zone;
    t->tv_sec = now.tv_sec;
    t->tv_usec = now.tv_nsec / 1000;
    return result;
}

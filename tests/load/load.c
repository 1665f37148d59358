/* SPDX-License-Identifier: Apache-2.0 */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static bool has_missed;

uint64_t load_now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void load_sleep_us(uint64_t us)
{
    struct timespec t = {.tv_sec = (time_t)(us / 1000000),
        .tv_nsec = (long)(us % 1000000) * 1000};

    (void)nanosleep(&t, NULL);
}

void load_must(bool condition, const char *what)
{
    if (!condition) {
        (void)fprintf(stderr, "cannot set the load up: %s\n", what);
        exit(2);
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

double load_p99(double *values, size_t n)
{
    load_must(n > 0, "nothing was measured");
    qsort(values, n, sizeof(*values), by_value);
    return values[(n - 1) * 99 / 100];
}

void load_result(const char *name, double value, const char *unit, double bar,
    bool is_at_most)
{
    bool is_met = is_at_most ? value <= bar : value >= bar;

    printf("%-52s %10.2f %-4s bar %s %8.2f  %s\n", name, value, unit,
        is_at_most ? "<=" : ">=", bar, is_met ? "met" : "MISSED");
    (void)fflush(stdout);
    has_missed = has_missed || !is_met;
}

int load_exit_code(void)
{
    return has_missed ? 1 : 0;
}

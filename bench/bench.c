/* SPDX-License-Identifier: Apache-2.0 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "crypto/crypto.h"

uint64_t bench_now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void bench_pin(unsigned core)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(core % (unsigned)(n < 1 ? 1 : n), &set);
    (void)sched_setaffinity(0, sizeof(set), &set);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

double bench_median(double *values, size_t n)
{
    qsort(values, n, sizeof(*values), by_value);
    return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

double bench_seal_ns(size_t len)
{
    pn_secret_key key = {{1}};
    pn_aead *aead = NULL;
    uint8_t *buf = calloc(1, len + PN_TAG_LEN);
    uint64_t counter = 0;
    double runs[7];

    if (buf == NULL || pn_aead_new(&key, &aead) != PN_OK) {
        abort();
    }
    for (size_t r = 0; r < 7; r++) {
        unsigned n = (unsigned)(40000000 / (len + 400));
        uint64_t start = bench_now_ns();

        for (unsigned i = 0; i < n; i++) {
            if (pn_aead_seal(aead, counter++, NULL, 0, buf, len, buf)
                != PN_OK) {
                abort();
            }
        }
        runs[r] = (double)(bench_now_ns() - start) / n;
    }
    pn_aead_free(aead);
    free(buf);
    return bench_median(runs, 7);
}

void bench_result(const char *name, double value, const char *unit,
    double ceiling, double ratio, double goal, int is_at_most)
{
    const char *verdict = (is_at_most ? ratio <= goal : ratio >= goal)
                              ? "met"
                              : "MISSED";

    printf("%-44s %12.2f %-10s ceiling %12.2f  ratio %6.3f  goal %s %.2f  %s\n",
        name, value, unit, ceiling, ratio, is_at_most ? "<=" : ">=", goal,
        verdict);
    (void)fflush(stdout);
}

int bench_wants(int argc, char **argv, const char *row)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], row) == 0) {
            return 1;
        }
    }
    return argc == 1;
}

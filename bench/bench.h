/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the benchmarks: clock, pinning, medians, result lines. */
#ifndef PN_BENCH_BENCH_H
#define PN_BENCH_BENCH_H

#include <stddef.h>
#include <stdint.h>

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t bench_now_ns(void);
/* Keeps this process on one core; the second of two when there are two. */
void bench_pin(unsigned core);
/* True when the arguments name this row, or none. */
int bench_wants(int argc, char **argv, const char *row);
double bench_median(double *values, size_t n);
/* Nanoseconds per sealing of a frame with len plaintext bytes, one core. */
double bench_seal_ns(size_t len);
/*
 * One line of the table, for people and for tools/bench:
 *     name <tab> value unit <tab> ceiling <tab> ratio <tab> goal <tab> verdict
 * is_at_most: the ratio must not exceed the goal; else not fall below it.
 */
void bench_result(const char *name, double value, const char *unit,
    double ceiling, double ratio, double goal, int is_at_most);

#endif

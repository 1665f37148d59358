/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the loads: clock, failures, and lines with a figure beside its
 * bar. */
#ifndef PN_LOAD_LOAD_H
#define PN_LOAD_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint64_t load_now_us(void);
void load_sleep_us(uint64_t us);
/* Ends the program when condition is false: the load could not be set up. */
void load_must(bool condition, const char *what);
/* The value below which 99 of 100 are; sorts. */
double load_p99(double *values, size_t n);
/* Prints one line. is_at_most: the value must not exceed the bar; else not
 * fall below it. */
void load_result(const char *name, double value, const char *unit, double bar,
    bool is_at_most);
/* 0 when every bar was met. */
int load_exit_code(void);

#endif

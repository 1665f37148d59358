/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults of the system, linked in front of the socket calls (ld --wrap): a call
 * is interrupted, would block, or handles fewer bytes than asked for.
 */
#ifndef PN_TESTS_FAULTS_H
#define PN_TESTS_FAULTS_H

#include <stdbool.h>

typedef enum faults_mode {
    FAULTS_NONE,
    FAULTS_EINTR,  /* every third call is interrupted */
    FAULTS_EAGAIN, /* every third finds nothing to do, also when there is */
    FAULTS_SHORT,  /* every second moves a few bytes only */
    FAULTS_ALL,
    FAULTS_NO_IPV6 /* there is no such family */
} faults_mode;

void faults_set(faults_mode mode);
/* From the environment variable PN_FAULTS: "eintr", "eagain", "short",
 * "all". False when it names none. */
bool faults_from_environment(void);
/* How many faults there have been. */
unsigned long faults_count(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults of the network and the system, linked in front of sendmsg, recvmsg and
 * poll (ld --wrap).
 */
#ifndef PN_TESTS_FAULTS_UDP_H
#define PN_TESTS_FAULTS_UDP_H

#include <stdbool.h>

typedef enum faults_udp_mode {
    FAULTS_UDP_NONE,
    FAULTS_UDP_EINTR,  /* every third call is interrupted */
    FAULTS_UDP_EAGAIN, /* every third finds no room, or nothing to read */
    FAULTS_UDP_LATE,   /* every fourth comes after the next, or 2 ms later */
    FAULTS_UDP_LOSE,   /* some never come; see faults_udp_lose */
    FAULTS_UDP_TWICE,  /* every third comes twice */
    FAULTS_UDP_FULL    /* nothing can be sent */
} faults_udp_mode;

void faults_udp_set(faults_udp_mode mode);
/* One in so many sends is lost, drawn from seed. */
void faults_udp_lose(unsigned one_in, unsigned long long seed);
/* From the environment variable PN_FAULTS: "eintr", "eagain", "late". False
 * when it names none. */
bool faults_udp_from_environment(void);
unsigned long faults_udp_count(void);

#endif

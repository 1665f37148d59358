/* SPDX-License-Identifier: Apache-2.0 */
/* A port on loopback that drops each SYN, as a host does that is gone. */
#ifndef PN_TESTS_SWALLOWER_H
#define PN_TESTS_SWALLOWER_H

#include <stdbool.h>
#include <stdint.h>

enum { SWALLOWER_MAX_FILLERS = 16 };

typedef struct swallower {
    int fd;
    int fillers[SWALLOWER_MAX_FILLERS];
    unsigned n_fillers;
    char text[32]; /* "127.0.0.N:PORT" */
} swallower;

/* At 127.0.0.host; port 0: any. */
void swallower_open(swallower *s, unsigned host, uint16_t port);
/* Accepts the connections that filled the queue, and one that comes within ms;
 * -1: none came. */
int swallower_accept(swallower *s, int ms);
void swallower_close(swallower *s);
/* True when fd has one of the events within ms. */
bool fd_is_ready(int fd, short events, int ms);

#endif

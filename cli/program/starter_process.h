/* SPDX-License-Identifier: Apache-2.0 */
/* What the node and the process that starts programs say to each other: packets
 * of one size each way, over a pair of SOCK_SEQPACKET sockets. */
#ifndef PN_CLI_STARTER_PROCESS_H
#define PN_CLI_STARTER_PROCESS_H

#include "starter.h"

typedef enum starter_wish {
    STARTER_START,
    STARTER_KILL,
    STARTER_RELOAD
} starter_wish;

typedef struct starter_request {
    uint32_t wish;
    uint32_t job;
    /* Of START; each ends with a NUL. */
    char program[CLI_PROGRAM_NAME_CAP];
    char peer[64];
    char label[256];
    char family[16];
} starter_request;

/* With three descriptors when it is CLI_STARTER_STARTED. */
typedef struct starter_answer {
    uint32_t news;
    uint32_t job;
    int32_t status;
} starter_answer;

enum { STARTER_FDS = 3 };

/* The process itself; returns when the node has closed its end. fd: its end of
 * the pair. */
void starter_process_run(int fd, const cli_starter_options *options);

#endif

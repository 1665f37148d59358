/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals: resetting those inherited, and catching those that end the process.
 * A parent's mask and its ignored signals are inherited through exec.
 */
#ifndef PN_CLI_SIGNALS_H
#define PN_CLI_SIGNALS_H

#include <stdbool.h>
#include <uv.h>

/* Before any thread starts: unblocks the signals that are handled, resets
 * SIGCHLD, and ignores SIGPIPE, so that a closed reader is an error. */
void cli_signals_init(void);

/* The signals that ask a command to end: SIGINT, SIGTERM, and SIGHUP unless it
 * is ignored. The loop reads them from a descriptor, and they are blocked
 * meanwhile; one that the loop has not read is pending when they are
 * unblocked. */
typedef struct cli_end_signals {
    uv_poll_t poll;
    int fd; /* -1: none; each ends the process at once */
    void (*on_signal)(void *user, int number);
    void *user;
} cli_end_signals;

/* Called before there are other threads, which inherit the mask. */
void cli_end_signals_catch(cli_end_signals *signals, uv_loop_t *loop,
    void (*on_signal)(void *user, int number), void *user);
/* The loop takes no more of them; they wait. */
void cli_end_signals_stop(cli_end_signals *signals);
/* Called when the poll handle is closed: from here on each signal, also a
 * pending one, ends the process at once. */
void cli_end_signals_leave(cli_end_signals *signals);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs long computations on another thread than the loop's, one at a time in
 * order. The loop serves commands and links meanwhile, and only one computation
 * takes memory.
 */
#ifndef PN_CLI_OFFLOAD_H
#define PN_CLI_OFFLOAD_H

#include <uv.h>

#include <peernet/common.h>

/* One computation; embedded in what it works on. */
typedef struct cli_work {
    struct cli_work *next;
    void (*run)(struct cli_work *work); /* on another thread */
    /* On the loop, exactly once. has_run is false when the offload closed
     * before its turn came. */
    void (*done)(struct cli_work *work, bool has_run);
    void *user;
} cli_work;

typedef struct cli_offload cli_offload;

/* NULL: no memory. */
cli_offload *cli_offload_new(uv_loop_t *loop);
/* Takes work whose run and done are set. */
void cli_offload_start(cli_offload *offload, cli_work *work);
/* Drops waiting work, runs the loop until the running work is done, and frees
 * the offload. NULL is fine. Not from within done. */
void cli_offload_close(cli_offload *offload);

#endif

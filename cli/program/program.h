/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs as handlers (docs/THREATS.md, T14): a program with a fixed argument
 * vector is given a text on standard input and answers on standard output. No
 * shell is involved, and no text of a peer becomes an argument. Each run has
 * its own session and process group, which gets SIGKILL at the time-out and
 * again when the program itself has ended. Another process starts and reaps the
 * programs (starter.h).
 */
#ifndef PN_CLI_PROGRAM_H
#define PN_CLI_PROGRAM_H

#include <peernet/common.h>
#include <uv.h>

#include "starter.h"
#include "text.h"

typedef enum cli_program_outcome {
    CLI_PROGRAM_EXITED,    /* status: the exit status */
    CLI_PROGRAM_SIGNALLED, /* status: the signal */
    CLI_PROGRAM_TIMED_OUT,
    CLI_PROGRAM_TOO_LARGE,   /* output over max_output */
    CLI_PROGRAM_NOT_STARTED, /* status: errno */
    CLI_PROGRAM_CANCELLED,   /* not wanted any more, or the pool closes */
    CLI_PROGRAM_LOST         /* ended with the process that starts programs */
} cli_program_outcome;

typedef struct cli_program_result {
    cli_program_outcome outcome;
    int status;
    const char *output; /* valid during the callback; NUL-terminated */
    size_t output_len;
} cli_program_result;

/* Fires exactly once per accepted job; may fire before cli_programs_run
 * returns. */
typedef void cli_program_done(void *user, const cli_program_result *result);

/* One run. Strings are copied; input is moved out on success. The program's
 * name is in the starter's table. */
typedef struct cli_program_job {
    const cli_program *program;
    const char *peer;   /* PEERNET_PEER */
    const char *label;  /* PEERNET_LABEL */
    const char *family; /* PEERNET_FAMILY */
    cli_text *input;
    /* Called right before the program starts, which may be long after the job
     * came: false ends it as CANCELLED. NULL: it is always wanted. */
    bool (*is_wanted)(void *user);
    cli_program_done *done;
    void *user; /* of one job only */
} cli_program_job;

typedef struct cli_programs_options {
    unsigned max_running;     /* at a time; default 16 */
    unsigned max_per_peer;    /* ... for one peer; default 4 */
    unsigned max_waiting;     /* jobs beyond that; default 64 */
    size_t max_waiting_bytes; /* ... and their input; default 64 MiB */
    /* A piece of standard error, at most 4 KiB at a time and 16 KiB of a run;
     * not escaped. NULL: dropped. */
    void (*on_stderr)(
        void *user, const char *program, const char *data, size_t len);
    void *user;
} cli_programs_options;

typedef struct cli_programs cli_programs;

void cli_programs_options_init(cli_programs_options *options);

/* A pool on loop; NULL without memory. starter is the caller's, of this pool
 * only, and outlives its closing. The process must ignore SIGPIPE. */
cli_programs *cli_programs_new(
    uv_loop_t *loop, cli_starter *starter, const cli_programs_options *options);

/* Starts a job or lets it wait. False: the pool is full, or no memory; done
 * does not fire then and input stays with the caller. */
bool cli_programs_run(cli_programs *pool, const cli_program_job *job);

/* Ends the job of that user: one that waits before this returns, one that runs
 * when its group is dead. Nothing when there is none. */
void cli_programs_cancel(cli_programs *pool, const void *user);

unsigned cli_programs_running(const cli_programs *pool);

/* Kills all programs, calls done of all jobs with CANCELLED, and frees the pool
 * once the loop has run until its handles are closed. */
void cli_programs_close(cli_programs *pool);

#endif

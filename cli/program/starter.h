/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that starts programs (docs/THREATS.md, T14 and T39). `run` forks
 * it before it has a thread, a descriptor of its own or a key, and may give up
 * the right to start programs afterwards. It starts the programs of its own
 * table only, which is the one it was forked with, or one that it has read
 * itself: the node names a program, and can change no path, argument or limit.
 */
#ifndef PN_CLI_STARTER_H
#define PN_CLI_STARTER_H

#include <peernet/common.h>
#include <sys/types.h>

/* Longest name of a program with its NUL: module, function and arity. */
#define CLI_PROGRAM_NAME_CAP 520

/* One program; the owner keeps it for as long as jobs use it. */
typedef struct cli_program {
    const char *name;    /* PEERNET_HANDLE */
    const char *path;    /* absolute */
    char *const *argv;   /* argv[0] first, NULL last */
    uint32_t timeout_ms; /* of a run */
    size_t max_output;   /* bytes of standard output; more ends the run */
} cli_program;

typedef struct cli_starter_options {
    /* NULL last; as they are when the process is forked. */
    const cli_program *const *programs;
    /* Reads them again for cli_starter_reload, in the process, from where a
     * node that is not trusted any more cannot write. NULL as result: the table
     * stays. NULL: they never change. */
    const cli_program *const *(*read_again)(void *user);
    void *user;
    unsigned max_running;   /* at a time; default 16, at most 1024 */
    unsigned max_processes; /* room for RLIMIT_NPROC; default 256 */
} cli_starter_options;

void cli_starter_options_init(cli_starter_options *options);

typedef struct cli_starter cli_starter;

/* Forks the process, before any thread of this one starts. NULL: errno says
 * why. */
cli_starter *cli_starter_new(const cli_starter_options *options);

/* The process kills what runs, and ends; waits 2 s at most. NULL is fine. */
void cli_starter_free(cli_starter *starter);

pid_t cli_starter_pid(const cli_starter *starter);

/* Readable: cli_starter_take has something. */
int cli_starter_fd(const cli_starter *starter);

/* One run. */
typedef struct cli_starter_run {
    uint32_t job;        /* the caller's number of it */
    const char *program; /* its name */
    const char *peer;    /* PEERNET_PEER */
    const char *label;   /* PEERNET_LABEL */
    const char *family;  /* PEERNET_FAMILY */
} cli_starter_run;

/* Asks for a run; a report follows. Never blocks. 0, or an errno: EAGAIN the
 * process is slow, EPIPE it has ended, ENAMETOOLONG a text is too long. */
int cli_starter_start(cli_starter *starter, const cli_starter_run *run);
/* Asks to kill the process group of a run; one that has ended is ignored. The
 * same errors. */
int cli_starter_kill(cli_starter *starter, uint32_t job);
/* Asks to read the programs again; runs that are asked for later see the new
 * ones. The same errors. */
int cli_starter_reload(cli_starter *starter);

typedef enum cli_starter_news {
    CLI_STARTER_NOTHING, /* yet */
    CLI_STARTER_STARTED, /* its descriptors are the caller's */
    CLI_STARTER_FAILED,  /* status: errno; ENOENT also of an unknown name */
    CLI_STARTER_ENDED,   /* status: as waitpid has it; its group is dead */
    CLI_STARTER_GONE     /* the process has ended, and all runs with it */
} cli_starter_news;

typedef struct cli_starter_report {
    uint32_t job;
    int status;
    int in; /* STARTED: our ends of its pipes, O_CLOEXEC */
    int out;
    int err;
} cli_starter_report;

/* The next report; never blocks. */
cli_starter_news cli_starter_take(
    cli_starter *starter, cli_starter_report *ret_report);

#endif

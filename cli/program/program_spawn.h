/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a program with fork and exec. */
#ifndef PN_CLI_PROGRAM_SPAWN_H
#define PN_CLI_PROGRAM_SPAWN_H

#include <peernet/common.h>
#include <sys/types.h>

typedef struct cli_spawn {
    const char *path;
    char *const *argv;
    char *const *env;
    unsigned cpu_seconds;
    unsigned processes; /* RLIMIT_NPROC */
} cli_spawn;

/* The parent's ends; all O_CLOEXEC. */
typedef struct cli_spawned {
    pid_t pid; /* leader of a session and process group of its own */
    int in;
    int out;
    int err;
} cli_spawned;

/* Returns 0 or an errno, also when exec failed; then nothing is left open and
 * no process is left. Descriptors 0 to 2 of this process must be open. */
int cli_program_spawn(const cli_spawn *spawn, cli_spawned *ret_spawned);

/* Closes every descriptor from first on; safe after fork. */
void cli_close_from(unsigned first);

/* The number of tasks of the system; 0: unknown. */
unsigned cli_system_tasks(void);

#endif

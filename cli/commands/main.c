/* SPDX-License-Identifier: Apache-2.0 */
/* peernet(1): sets up the process, then runs the command. */
#include <fcntl.h>
#include <locale.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "commands.h"
#include "signals.h"

/* The static key is in this process's memory, so it makes no core dump and
 * refuses ptrace by the same user (docs/THREATS.md, T38). */
static void protect_memory(void)
{
    const struct rlimit none = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0);
}

/* Opens /dev/null for a missing standard descriptor, so that no other file gets
 * its number. */
static bool open_standard_files(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    } while (fd >= 0 && fd <= 2 && fcntl(fd, F_SETFD, 0) == 0);
    if (fd > 2) {
        (void)close(fd);
    }
    return fd >= 0;
}

int main(int argc, char **argv)
{
    protect_memory();
    if (!open_standard_files()) {
        return CLI_LOCAL;
    }
    cli_signals_init();
    /* Characters for the line editor; numbers stay as JSON wants them. */
    (void)setlocale(LC_CTYPE, "");
    return (int)cli_main(argc, argv);
}

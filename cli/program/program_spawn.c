/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts a program that inherits nothing from this process: own session, three
 * pipes and no other descriptor, default signals, limits, the environment it is
 * given. uv_spawn sets no limits and closes only what was marked, so this is
 * done by hand.
 */
#include "program_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mutant.h"

#define MAX_FILES 256
#define MAX_FILE_BYTES (UINT64_C(1) << 30)
#define MAX_DATA_BYTES (UINT64_C(1) << 30)
/* The child's descriptor of the pipe that reports a failed exec. */
#define REPORT_FD 3

enum { TO_CHILD, OUTPUT, ERRORS, REPORT, N_PIPES };

typedef struct spawn_pipes {
    int fd[N_PIPES][2]; /* -1: closed */
} spawn_pipes;

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        (void)close(*fd);
    }
    *fd = -1;
}

static void close_pipes(spawn_pipes *p)
{
    for (size_t i = 0; i < N_PIPES; i++) {
        close_fd(&p->fd[i][0]);
        close_fd(&p->fd[i][1]);
    }
}

static int open_pipes(spawn_pipes *p)
{
    memset(p, -1, sizeof(*p));
    for (size_t i = 0; i < N_PIPES; i++) {
        if (pipe2(p->fd[i], O_CLOEXEC) != 0) {
            int error = errno;

            close_pipes(p);
            return error;
        }
    }
    return 0;
}

/* The end that we keep. */
static int keep(int *fd)
{
    int kept = *fd;

    *fd = -1;
    return kept;
}

/* ---- the child; only calls that are safe after fork --------------------- */

/* glibc's enum; an int elsewhere. */
#ifdef __GLIBC__
typedef __rlimit_resource_t rlimit_resource;
#else
typedef int rlimit_resource;
#endif

static void limit(rlimit_resource resource, rlim_t value)
{
    struct rlimit now;

    if (getrlimit(resource, &now) == 0 && now.rlim_max < value) {
        value = now.rlim_max;
    }
    now.rlim_cur = value;
    now.rlim_max = value;
    (void)setrlimit(resource, &now);
}

static void child_limits(const cli_spawn *spawn)
{
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, spawn->cpu_seconds);
    limit(RLIMIT_NOFILE, MAX_FILES);
    limit(RLIMIT_FSIZE, MAX_FILE_BYTES);
    limit(RLIMIT_DATA, MAX_DATA_BYTES);
    if (PN_REFUSE_IF(cli_program_nproc, spawn->processes > 0)) {
        limit(RLIMIT_NPROC, spawn->processes);
    }
}

/* An ignored signal would stay ignored after exec. */
static void child_signals(void)
{
    struct sigaction action;
    sigset_t none;

    memset(&action, 0, sizeof(action));
    action.sa_handler = SIG_DFL;
    for (int i = 1; i < NSIG; i++) {
        (void)sigaction(i, &action, NULL);
    }
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Linux before 5.9 closes one at a time. */
void cli_close_from(unsigned first)
{
    struct rlimit files;

    if (syscall(SYS_close_range, first, ~0U, 0U) == 0
        || getrlimit(RLIMIT_NOFILE, &files) != 0) {
        return;
    }
    for (rlim_t fd = first; fd < files.rlim_cur && fd < INT_MAX; fd++) {
        (void)close((int)fd);
    }
}

static bool child_files(const spawn_pipes *p)
{
    if (dup2(p->fd[TO_CHILD][0], 0) != 0 || dup2(p->fd[OUTPUT][1], 1) != 1
        || dup2(p->fd[ERRORS][1], 2) != 2) {
        return false;
    }
    if (p->fd[REPORT][1] == REPORT_FD) {
        (void)fcntl(REPORT_FD, F_SETFD, FD_CLOEXEC);
    } else if (dup3(p->fd[REPORT][1], REPORT_FD, O_CLOEXEC) != REPORT_FD) {
        return false;
    }
    /* The process that starts programs has none to leak; a library might. */
    cli_close_from(REPORT_FD + 1);
    return true;
}

static void child(const cli_spawn *spawn, const spawn_pipes *p)
{
    int error;

    (void)setsid();
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (child_files(p)) {
        child_limits(spawn);
        child_signals();
        (void)execve(spawn->path, spawn->argv, spawn->env);
    }
    error = errno;
    (void)!write(REPORT_FD, &error, sizeof(error));
    _exit(127);
}

/* ---- the parent --------------------------------------------------------- */

/* Signals are blocked, so that no handler of ours runs in the child before its
 * signals are reset. _Fork runs no handlers of pthread_atfork: libuv's would
 * close descriptors by numbers that this process has closed long ago. */
static pid_t fork_blocked(const cli_spawn *spawn, const spawn_pipes *p)
{
    sigset_t all;
    sigset_t before;
    pid_t pid;
    int error;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    pid = _Fork();
    if (pid == 0) {
        child(spawn, p);
    }
    error = errno;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return pid;
}

/* Waits until exec has closed the pipe, or says why it failed. */
static int read_report(int fd)
{
    int error = 0;
    ssize_t n;

    do {
        n = read(fd, &error, sizeof(error));
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof(error) ? error : 0;
}

int cli_program_spawn(const cli_spawn *spawn, cli_spawned *ret_spawned)
{
    spawn_pipes p;
    int error = open_pipes(&p);
    pid_t pid;

    if (error != 0) {
        return error;
    }
    pid = fork_blocked(spawn, &p);
    if (pid < 0) {
        error = errno;
        close_pipes(&p);
        return error;
    }
    close_fd(&p.fd[REPORT][1]);
    error = read_report(p.fd[REPORT][0]);
    if (error != 0) {
        (void)waitpid(pid, NULL, 0);
    } else {
        *ret_spawned = (cli_spawned){pid, keep(&p.fd[TO_CHILD][1]),
            keep(&p.fd[OUTPUT][0]), keep(&p.fd[ERRORS][0])};
    }
    close_pipes(&p);
    return error;
}

unsigned cli_system_tasks(void)
{
    char text[128];
    const char *slash;
    int fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    close_fd(&fd);
    if (n <= 0) {
        return 0;
    }
    /* "0.20 0.18 0.12 1/80 11206": the second of the pair. */
    text[n] = '\0';
    slash = strchr(text, '/');
    return slash == NULL ? 0 : (unsigned)strtoul(slash + 1, NULL, 10);
}

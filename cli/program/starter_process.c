/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that starts programs. It has one thread, takes no memory, and
 * reads packets of one size. What a node asks for that has been taken over by
 * an attacker is held to the table and to max_running, too. A program's group
 * is killed before its leader is reaped, while the group's number cannot belong
 * to another process.
 */
#include "starter_process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mutant.h"
#include "program_spawn.h"

#define MAX_RUNNING 1024
#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"
#define PATH_VARIABLE_CAP 4096
/* "PEERNET_HANDLE=" is the longest. */
#define VARIABLE_CAP (CLI_PROGRAM_NAME_CAP + 16)

typedef struct process_run {
    uint32_t job;
    pid_t pid; /* leader of the group */
} process_run;

typedef struct process {
    int fd;
    const cli_starter_options *options;
    const cli_program *const *programs;
    char path[PATH_VARIABLE_CAP]; /* "PATH=..." */
    process_run runs[MAX_RUNNING];
    unsigned n_runs;
} process;

static void answer(const process *p, cli_starter_news news, uint32_t job,
    int status, const int *fds)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * STARTER_FDS)];
    } control = {.bytes = {0}};
    starter_answer packet = {(uint32_t)news, job, status};
    struct iovec part = {&packet, sizeof(packet)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    if (fds != NULL) {
        struct cmsghdr *c;

        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
        c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * STARTER_FDS);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * STARTER_FDS);
    }
    /* A node that is gone is seen by the next read. */
    while (sendmsg(p->fd, &message, MSG_NOSIGNAL) < 0 && errno == EINTR) {}
}

/* ---- starting ----------------------------------------------------------- */

static const cli_program *find_program(const process *p, const char *name)
{
    for (const cli_program *const *at = p->programs; *at != NULL; at++) {
        if (strcmp((*at)->name, name) == 0) {
            return *at;
        }
    }
    return NULL;
}

static process_run *find_run(process *p, uint32_t job)
{
    for (unsigned i = 0; i < p->n_runs; i++) {
        if (p->runs[i].job == job) {
            return &p->runs[i];
        }
    }
    return NULL;
}

/* A text that has no NUL was not sent by our code. */
static bool is_text(const char *field, size_t cap)
{
    return memchr(field, '\0', cap) != NULL;
}

static bool has_texts(const starter_request *r)
{
    return !PN_REFUSE_IF(
        starter_text, !is_text(r->program, sizeof(r->program))
                          || !is_text(r->peer, sizeof(r->peer))
                          || !is_text(r->label, sizeof(r->label))
                          || !is_text(r->family, sizeof(r->family)));
}

static int spawn(const process *p, const cli_program *program,
    const starter_request *r, cli_spawned *ret_spawned)
{
    static char variables[4][VARIABLE_CAP];
    char *env[6] = {(char *)(uintptr_t)p->path, variables[0], variables[1],
        variables[2], variables[3], NULL};
    unsigned tasks = cli_system_tasks();
    cli_spawn spawn = {
        .path = program->path,
        .argv = program->argv,
        .env = env,
        .cpu_seconds = program->timeout_ms / 1000 + 2,
        .processes = tasks == 0 ? 0 : tasks + p->options->max_processes,
    };

    (void)snprintf(variables[0], VARIABLE_CAP, "PEERNET_PEER=%s", r->peer);
    (void)snprintf(variables[1], VARIABLE_CAP, "PEERNET_LABEL=%s", r->label);
    (void)snprintf(
        variables[2], VARIABLE_CAP, "PEERNET_HANDLE=%s", program->name);
    (void)snprintf(variables[3], VARIABLE_CAP, "PEERNET_FAMILY=%s", r->family);
    return cli_program_spawn(&spawn, ret_spawned);
}

static void start(process *p, const starter_request *r)
{
    const cli_program *program = has_texts(r) ? find_program(p, r->program)
                                              : NULL;
    cli_spawned spawned;
    int error = 0;

    if (program == NULL) {
        error = ENOENT;
    } else if (PN_REFUSE_IF(
                   starter_running, p->n_runs >= p->options->max_running)
               || p->n_runs == MAX_RUNNING) {
        error = EAGAIN;
    } else if (find_run(p, r->job) != NULL) {
        error = EEXIST;
    } else {
        error = spawn(p, program, r, &spawned);
    }
    if (error != 0) {
        answer(p, CLI_STARTER_FAILED, r->job, error, NULL);
        return;
    }
    p->runs[p->n_runs++] = (process_run){r->job, spawned.pid};
    answer(p, CLI_STARTER_STARTED, r->job, 0,
        (const int[STARTER_FDS]){spawned.in, spawned.out, spawned.err});
    (void)close(spawned.in);
    (void)close(spawned.out);
    (void)close(spawned.err);
}

/* ---- ending ------------------------------------------------------------- */

static bool has_ended(const process_run *run)
{
    siginfo_t info;

    memset(&info, 0, sizeof(info));
    return waitid(P_PID, (id_t)run->pid, &info, WEXITED | WNOHANG | WNOWAIT)
               != 0
           || info.si_pid == run->pid;
}

/* Ends the group, reaps its leader and takes it out of the list. */
static void end(process *p, process_run *run)
{
    process_run ended = *run;
    int status = 0;

    (void)kill(-ended.pid, SIGKILL);
    while (waitpid(ended.pid, &status, 0) < 0 && errno == EINTR) {}
    *run = p->runs[--p->n_runs];
    answer(p, CLI_STARTER_ENDED, ended.job, status, NULL);
}

static void on_child_signal(process *p)
{
    unsigned i = 0;

    while (i < p->n_runs) {
        if (has_ended(&p->runs[i])) {
            end(p, &p->runs[i]); /* another has its place now */
        } else {
            i++;
        }
    }
}

/* ---- requests ----------------------------------------------------------- */

static void reload(process *p)
{
    const cli_starter_options *o = p->options;
    const cli_program *const *programs = o->read_again == NULL
                                             ? NULL
                                             : o->read_again(o->user);

    p->programs = programs != NULL ? programs : p->programs;
}

static void serve(process *p, const starter_request *r)
{
    const process_run *run;

    switch ((starter_wish)r->wish) {
    case STARTER_START:
        start(p, r);
        return;
    case STARTER_KILL:
        run = find_run(p, r->job);
        /* Its end is handled like any other. */
        if (run != NULL && PN_SAFEGUARD(cli_program_kill)) {
            (void)kill(-run->pid, SIGKILL);
        }
        return;
    case STARTER_RELOAD:
        reload(p);
        return;
    }
}

/* False: the node has ended. */
static bool take_request(process *p)
{
    starter_request r;
    ssize_t n = recv(p->fd, &r, sizeof(r), MSG_DONTWAIT | MSG_TRUNC);

    if (n == (ssize_t)sizeof(r)) {
        serve(p, &r);
    }
    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* Every signal is blocked: this process ends with the node, and with nothing
 * else. */
static int block_signals(void)
{
    sigset_t all;
    sigset_t child;

    (void)signal(SIGCHLD, SIG_DFL);
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    (void)sigemptyset(&child);
    (void)sigaddset(&child, SIGCHLD);
    return signalfd(-1, &child, SFD_NONBLOCK | SFD_CLOEXEC);
}

void starter_process_run(int fd, const cli_starter_options *options)
{
    static process p; /* large, and one per process */
    struct signalfd_siginfo info;
    const char *path = getenv("PATH");
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN},
        {.fd = block_signals(), .events = POLLIN}};
    bool is_open = fds[1].fd >= 0;

    p.fd = fd;
    p.options = options;
    p.programs = options->programs;
    (void)snprintf(p.path, sizeof(p.path), "PATH=%s",
        path == NULL || strlen(path) > sizeof(p.path) - sizeof("PATH=")
            ? DEFAULT_PATH
            : path);
    while (is_open) {
        (void)poll(fds, 2, -1);
        if (fds[1].revents != 0) {
            while (read(fds[1].fd, &info, sizeof(info)) > 0) {}
            on_child_signal(&p);
        }
        is_open = fds[0].revents == 0 || take_request(&p);
    }
    while (p.n_runs > 0) {
        end(&p, &p.runs[0]);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The node's side of the process that starts programs. */
#include "starter.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "program_spawn.h"
#include "starter_process.h"

#define END_MS 2000
/* Where the process has its end of the pair. */
#define PROCESS_FD 3

struct cli_starter {
    pid_t pid;
    int fd;
};

void cli_starter_options_init(cli_starter_options *options)
{
    *options = (cli_starter_options){.max_running = 16, .max_processes = 256};
}

/* Keeps standard error, where a fault of the process would be reported, and
 * its end of the pair. */
static bool leave_descriptors(int fd)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0 || dup2(null, 0) != 0 || dup2(null, 1) != 1) {
        return false;
    }
    if (fd == PROCESS_FD) {
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    } else if (dup3(fd, PROCESS_FD, O_CLOEXEC) != PROCESS_FD) {
        return false;
    }
    cli_close_from(PROCESS_FD + 1);
    return true;
}

/* A session of its own: an interrupt from the terminal is the node's. */
static _Noreturn void process(int fd, const cli_starter_options *options)
{
    (void)setsid();
    (void)prctl(PR_SET_NAME, "peernet-starter");
    if (leave_descriptors(fd)) {
        starter_process_run(PROCESS_FD, options);
    }
    _exit(0);
}

cli_starter *cli_starter_new(const cli_starter_options *options)
{
    cli_starter *starter = calloc(1, sizeof(*starter));
    int pair[2];

    if (starter == NULL
        || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        free(starter);
        return NULL;
    }
    starter->fd = pair[0];
    starter->pid = fork();
    if (starter->pid == 0) {
        free(starter); /* the node's */
        process(pair[1], options);
    }
    (void)close(pair[1]);
    if (starter->pid < 0) {
        int error = errno;

        (void)close(pair[0]);
        free(starter);
        errno = error;
        return NULL;
    }
    return starter;
}

/* The end of its socket is the end of the process. */
static void wait_for_end(const cli_starter *starter)
{
    struct pollfd poll_fd = {.fd = starter->fd, .events = 0};

    (void)shutdown(starter->fd, SHUT_WR);
    while (poll(&poll_fd, 1, END_MS) < 0 && errno == EINTR) {}
    /* One that is stopped is left to end later. Of a process whose children
     * the kernel reaps nothing is there. */
    (void)waitpid(
        starter->pid, NULL, (poll_fd.revents & POLLHUP) != 0 ? 0 : WNOHANG);
}

void cli_starter_free(cli_starter *starter)
{
    if (starter != NULL) {
        wait_for_end(starter);
        (void)close(starter->fd);
    }
    free(starter);
}

pid_t cli_starter_pid(const cli_starter *starter)
{
    return starter->pid;
}

int cli_starter_fd(const cli_starter *starter)
{
    return starter->fd;
}

/* ---- requests ----------------------------------------------------------- */

static int send_request(cli_starter *starter, const starter_request *request)
{
    ssize_t n;

    do {
        n = send(starter->fd, request, sizeof(*request),
            MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof(*request) ? 0 : errno;
}

/* False: it does not fit. */
static bool put(char *field, size_t cap, const char *text)
{
    int len = snprintf(field, cap, "%s", text);

    return len >= 0 && (size_t)len < cap;
}

int cli_starter_start(cli_starter *starter, const cli_starter_run *run)
{
    starter_request r = {.wish = STARTER_START, .job = run->job};

    if (!put(r.program, sizeof(r.program), run->program)
        || !put(r.peer, sizeof(r.peer), run->peer)
        || !put(r.label, sizeof(r.label), run->label)
        || !put(r.family, sizeof(r.family), run->family)) {
        return ENAMETOOLONG;
    }
    return send_request(starter, &r);
}

int cli_starter_kill(cli_starter *starter, uint32_t job)
{
    starter_request r = {.wish = STARTER_KILL, .job = job};

    return send_request(starter, &r);
}

int cli_starter_reload(cli_starter *starter)
{
    starter_request r = {.wish = STARTER_RELOAD};

    return send_request(starter, &r);
}

/* ---- reports ------------------------------------------------------------ */

/* The descriptors that came with a packet. False: not all three, because this
 * process has no room for more; then none is left open. */
static bool take_fds(struct msghdr *message, cli_starter_report *report)
{
    const struct cmsghdr *c = CMSG_FIRSTHDR(message);
    size_t n = c == NULL ? 0 : (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    int fds[STARTER_FDS];

    if (n > STARTER_FDS) {
        return false;
    }
    if (n > 0) {
        memcpy(fds, CMSG_DATA(c), n * sizeof(int));
    }
    if (n < STARTER_FDS) {
        while (n > 0) {
            (void)close(fds[--n]);
        }
        return false;
    }
    report->in = fds[0];
    report->out = fds[1];
    report->err = fds[2];
    return true;
}

cli_starter_news cli_starter_take(
    cli_starter *starter, cli_starter_report *ret_report)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * STARTER_FDS)];
    } control = {.bytes = {0}};
    starter_answer answer = {0};
    struct iovec part = {&answer, sizeof(answer)};
    struct msghdr message = {.msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control)};
    ssize_t n;

    do {
        n = recvmsg(starter->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) {
        return CLI_STARTER_NOTHING;
    }
    if (n != (ssize_t)sizeof(answer)) {
        return CLI_STARTER_GONE;
    }
    *ret_report = (cli_starter_report){
        .job = answer.job, .status = answer.status};
    /* Descriptors that are missing had no room in this process. */
    if (answer.news == CLI_STARTER_STARTED && !take_fds(&message, ret_report)) {
        (void)cli_starter_kill(starter, answer.job);
        ret_report->status = EMFILE;
        return CLI_STARTER_FAILED;
    }
    return (cli_starter_news)answer.news;
}

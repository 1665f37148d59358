/* SPDX-License-Identifier: Apache-2.0 */
#include "signals.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const int end_signals[] = {SIGINT, SIGTERM, SIGHUP};

#define N_END_SIGNALS (sizeof(end_signals) / sizeof(end_signals[0]))

/* True when orphans become children of this process: it is process 1 of a
 * container, or a subreaper. */
static bool adopts(void)
{
    int subreaper = 0;

    return getpid() == 1
           || (prctl(PR_GET_CHILD_SUBREAPER, &subreaper) == 0
               && subreaper != 0);
}

/* With nohup(1) the process goes on when the terminal is closed. */
static bool is_ignored_hangup(int number)
{
    struct sigaction now;

    return number == SIGHUP && sigaction(SIGHUP, NULL, &now) == 0
           && now.sa_handler == SIG_IGN;
}

static void on_late_signal(int number)
{
    _exit(128 + number);
}

/* Gives each end signal its default effect, also in a process that was started
 * with it ignored. The system drops a signal to process 1 that has no
 * handler. */
static void end_at_once(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = getpid() == 1 ? on_late_signal : SIG_DFL;
    for (size_t i = 0; i < N_END_SIGNALS; i++) {
        if (!is_ignored_hangup(end_signals[i])) {
            (void)sigaction(end_signals[i], &action, NULL);
        }
    }
}

static sigset_t end_set(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    for (size_t i = 0; i < N_END_SIGNALS; i++) {
        if (!is_ignored_hangup(end_signals[i])) {
            (void)sigaddset(&set, end_signals[i]);
        }
    }
    return set;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    const cli_end_signals *signals = poll->data;
    struct signalfd_siginfo info;

    (void)status;
    (void)events;
    while (read(signals->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        signals->on_signal(signals->user, (int)info.ssi_signo);
    }
}

void cli_end_signals_catch(cli_end_signals *signals, uv_loop_t *loop,
    void (*on_signal)(void *user, int number), void *user)
{
    sigset_t set = end_set();

    signals->on_signal = on_signal;
    signals->user = user;
    signals->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (signals->fd < 0) {
        return;
    }
    if (uv_poll_init(loop, &signals->poll, signals->fd) != 0) {
        (void)close(signals->fd);
        signals->fd = -1;
        return;
    }
    signals->poll.data = signals;
    end_at_once();
    (void)uv_poll_start(&signals->poll, UV_READABLE, on_readable);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

void cli_end_signals_stop(cli_end_signals *signals)
{
    if (signals->fd >= 0) {
        (void)uv_poll_stop(&signals->poll);
    }
}

void cli_end_signals_leave(cli_end_signals *signals)
{
    sigset_t set = end_set();

    if (signals->fd >= 0) {
        (void)close(signals->fd);
        signals->fd = -1;
        (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    }
}

void cli_signals_init(void)
{
    static const int handled[] = {
        SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD, SIGPIPE};
    sigset_t set;

    (void)sigemptyset(&set);
    for (size_t i = 0; i < sizeof(handled) / sizeof(handled[0]); i++) {
        (void)sigaddset(&set, handled[i]);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    /* With SIGCHLD ignored, children adopted by process 1 are reaped by the
     * kernel. */
    (void)signal(SIGCHLD, adopts() ? SIG_IGN : SIG_DFL);
    if (getpid() == 1) {
        end_at_once();
    }
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Signals that end a command: none is lost, whenever it comes. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <sys/wait.h>

#include "control/client.h"
#include "harness.h"
#include "tempdir.h"

enum { TOLD = 77 }; /* the exit status of a command that was told */

/* The wait status of a process that does it. */
static int status_of(void (*act)(const char *dir))
{
    pn_tempdir dir;
    int status = 0;
    pid_t pid;

    pn_tempdir_init(&dir);
    pid = fork();
    if (pid == 0) {
        cli_signals_init();
        act(dir.path);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    pn_tempdir_fini(&dir);
    return status;
}

static cli_session *open_session(const char *dir)
{
    cli_session_options options = {.data_dir = dir, .may_open = true};
    cli_session *session = NULL;
    cli_text error = {0};

    pn_node_options_init(&options.hub.node);
    options.hub.node.data_dir = dir;
    options.hub.node.listen_port = PN_PORT_NONE;
    options.hub.node.watch_network = false;
    if (cli_session_open(&options, &session, &error) != CLI_OK) {
        _exit(1);
    }
    return session;
}

static void wait_for_signal(const char *dir)
{
    cli_session *session = open_session(dir);

    (void)raise(SIGTERM);
    cli_session_wait(session, 0);
    if (session->signal != SIGTERM) {
        _exit(2);
    }
    cli_session_close(session);
    _exit(TOLD);
}

/* The loop does not turn for it any more. */
static void be_late(const char *dir)
{
    cli_session *session = open_session(dir);

    (void)raise(SIGTERM);
    cli_session_close(session);
}

static void be_second(const char *dir)
{
    cli_session *session = open_session(dir);

    (void)raise(SIGTERM);
    cli_session_wait(session, 0);
    (void)raise(SIGINT);
    cli_session_close(session);
}

/* As a shell without jobs starts what ends with '&'. */
static void be_late_in_the_background(const char *dir)
{
    cli_session *session;

    (void)signal(SIGINT, SIG_IGN);
    session = open_session(dir);
    (void)raise(SIGINT);
    cli_session_close(session);
}

static void hang_up(const char *dir)
{
    cli_session *session;

    (void)signal(SIGHUP, SIG_IGN);
    session = open_session(dir);
    (void)raise(SIGHUP);
    cli_session_wait(session, 10);
    if (session->signal != 0) {
        _exit(2);
    }
    (void)raise(SIGHUP);
    cli_session_close(session);
    _exit(TOLD);
}

typedef struct signal_row {
    const char *name;
    void (*act)(const char *dir);
    int by; /* the signal that ends it; 0: it is told, and ends itself */
} signal_row;

static const signal_row rows[] = {
    {"told", wait_for_signal, 0},
    {"late", be_late, SIGTERM},
    {"second", be_second, SIGINT},
    {"late_in_the_background", be_late_in_the_background, SIGINT},
    {"hangup_is_ignored", hang_up, 0},
};

static void test_cli_signals(void **state)
{
    const signal_row *row = *state;
    int status = status_of(row->act);

    if (row->by != 0) {
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), row->by);
    } else {
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), TOLD);
    }
}

int main(void)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pn_test_addf(test_cli_signals, (void *)(uintptr_t)&rows[i],
            "cli/signals/%s", rows[i].name);
    }
    return pn_test_run("cli/signals");
}

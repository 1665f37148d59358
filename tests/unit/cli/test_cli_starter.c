/* SPDX-License-Identifier: Apache-2.0 */
/*
 * T14, T39: what the process that starts programs refuses to a node that has
 * been taken over. It gets its packets raw here, past the node's own code.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "program/starter.h"
#include "program/starter_process.h"

static char probe[] = PN_PROGRAM_PROBE;
static char hang[] = "hang";
static char *const hang_argv[] = {probe, hang, NULL};
static const cli_program first = {"first", probe, hang_argv, 60000, 1000};
static const cli_program second = {"second", probe, hang_argv, 60000, 1000};
static const cli_program *const one_program[] = {&first, NULL};
static const cli_program *const two_programs[] = {&first, &second, NULL};

static cli_starter *starter;
static cli_starter_report report;

static void open_starter(unsigned max_running)
{
    cli_starter_options options;

    cli_starter_options_init(&options);
    options.programs = one_program;
    options.max_running = max_running;
    starter = cli_starter_new(&options);
    assert_non_null(starter);
}

static starter_request request(uint32_t job, const char *program)
{
    starter_request r = {.wish = STARTER_START, .job = job};

    (void)snprintf(r.program, sizeof(r.program), "%s", program);
    return r;
}

static void tell(const void *packet, size_t len)
{
    assert_int_equal(
        send(cli_starter_fd(starter), packet, len, MSG_NOSIGNAL), len);
}

static void start(uint32_t job, const char *program)
{
    starter_request r = request(job, program);

    tell(&r, sizeof(r));
}

static cli_starter_news next(void)
{
    struct pollfd fd = {.fd = cli_starter_fd(starter), .events = POLLIN};

    assert_int_equal(poll(&fd, 1, 60000), 1);
    return cli_starter_take(starter, &report);
}

static void close_report(void)
{
    (void)close(report.in);
    (void)close(report.out);
    (void)close(report.err);
}

static void assert_started(uint32_t job)
{
    assert_int_equal(next(), CLI_STARTER_STARTED);
    assert_int_equal(report.job, job);
    close_report();
}

static void assert_failed(uint32_t job, int error)
{
    assert_int_equal(next(), CLI_STARTER_FAILED);
    assert_int_equal(report.job, job);
    assert_int_equal(report.status, error);
}

/* Of its own table only: a path is no name. */
static void test_cli_starter_other_program(void **state)
{
    (void)state;
    open_starter(4);
    start(1, "second");
    assert_failed(1, ENOENT);
    start(2, probe);
    assert_failed(2, ENOENT);
    start(3, "");
    assert_failed(3, ENOENT);
    start(4, "first");
    assert_started(4);
    cli_starter_free(starter);
}

/* A text that runs into the next field would be read beyond its end. */
static void test_cli_starter_text_without_end(void **state)
{
    starter_request r = request(1, "first");

    (void)state;
    open_starter(4);
    memset(r.label, 'x', sizeof(r.label));
    tell(&r, sizeof(r));
    assert_failed(1, ENOENT);
    r = request(2, "first");
    memset(r.family, 'x', sizeof(r.family));
    tell(&r, sizeof(r));
    assert_failed(2, ENOENT);
    cli_starter_free(starter);
}

/* They are dropped, and the next one is read. */
static void test_cli_starter_other_packets(void **state)
{
    static char packet[2 * sizeof(starter_request)];
    static const size_t lengths[] = {1, 4, sizeof(starter_request) - 1,
        sizeof(starter_request) + 1, sizeof(packet)};
    starter_request r = {.wish = 4711};

    (void)state;
    open_starter(4);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        tell(packet, lengths[i]);
    }
    tell(&r, sizeof(r));
    start(7, "first");
    assert_started(7);
    cli_starter_free(starter);
}

static void test_cli_starter_limit(void **state)
{
    (void)state;
    open_starter(2);
    start(1, "first");
    assert_started(1);
    start(2, "first");
    assert_started(2);
    start(3, "first");
    assert_failed(3, EAGAIN);
    assert_int_equal(cli_starter_kill(starter, 1), 0);
    assert_int_equal(next(), CLI_STARTER_ENDED);
    assert_int_equal(report.job, 1);
    assert_true(WIFSIGNALED(report.status));
    assert_int_equal(WTERMSIG(report.status), SIGKILL);
    start(3, "first");
    assert_started(3);
    cli_starter_free(starter);
}

/* A number names one run at a time, and kill reaches a run only. */
static void test_cli_starter_numbers(void **state)
{
    (void)state;
    open_starter(4);
    start(1, "first");
    assert_started(1);
    start(1, "first");
    assert_failed(1, EEXIST);
    assert_int_equal(cli_starter_kill(starter, (uint32_t)getpid()), 0);
    assert_int_equal(cli_starter_kill(starter, 1), 0);
    assert_int_equal(next(), CLI_STARTER_ENDED);
    assert_int_equal(cli_starter_kill(starter, 1), 0);
    start(1, "first");
    assert_started(1);
    cli_starter_free(starter);
}

static void test_cli_starter_too_long(void **state)
{
    char label[256 + 1];
    cli_starter_run run = {1, "first", "PEER", label, "peernet"};

    (void)state;
    open_starter(4);
    memset(label, 'x', sizeof(label));
    label[256] = '\0';
    assert_int_equal(cli_starter_start(starter, &run), ENAMETOOLONG);
    label[255] = '\0';
    assert_int_equal(cli_starter_start(starter, &run), 0);
    assert_started(1);
    cli_starter_free(starter);
}

/* ---- reading the programs again ----------------------------------------- */

/* In the process; there is none at the second time. */
static const cli_program *const *read_again(void *user)
{
    unsigned *n = user;

    return (*n)++ == 0 ? two_programs : NULL;
}

static void test_cli_starter_reload(void **state)
{
    unsigned n = 0;
    cli_starter_options options;

    (void)state;
    cli_starter_options_init(&options);
    options.programs = one_program;
    options.read_again = read_again;
    options.user = &n;
    starter = cli_starter_new(&options);
    assert_non_null(starter);
    start(1, "second");
    assert_failed(1, ENOENT);
    assert_int_equal(cli_starter_reload(starter), 0);
    start(2, "second");
    assert_started(2);
    assert_int_equal(cli_starter_reload(starter), 0);
    start(3, "second");
    assert_started(3);
    cli_starter_free(starter);
    assert_int_equal(n, 0);
}

/* ---- its life ------------------------------------------------------------ */

/* Descriptors 0 to 2, the socket and the signals; not those of the node. */
static void test_cli_starter_descriptors(void **state)
{
    int low = dup(2);
    int high = fcntl(2, F_DUPFD, 300);
    char path[64];
    DIR *dir;
    const struct dirent *entry;
    unsigned n = 0;

    (void)state;
    assert_true(low > 2 && high >= 300);
    open_starter(4);
    start(1, "second"); /* it runs when it has answered */
    assert_failed(1, ENOENT);
    (void)snprintf(path, sizeof(path), "/proc/%d/fd", cli_starter_pid(starter));
    dir = opendir(path);
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        n += entry->d_name[0] != '.';
    }
    (void)closedir(dir);
    assert_int_equal(n, 5);
    cli_starter_free(starter);
    (void)close(low);
    (void)close(high);
}

/* The node is gone: what ran ends with it. Its output was held by nobody
 * else. */
static void test_cli_starter_node_ends(void **state)
{
    struct pollfd output;

    (void)state;
    open_starter(4);
    start(1, "first");
    assert_int_equal(next(), CLI_STARTER_STARTED);
    output = (struct pollfd){.fd = report.out, .events = POLLIN};
    assert_int_equal(poll(&output, 1, 0), 0);
    cli_starter_free(starter);
    assert_int_equal(poll(&output, 1, 60000), 1);
    assert_true((output.revents & POLLHUP) != 0);
    close_report();
}

/* Signals of the terminal and of a service manager are the node's. */
static void test_cli_starter_signals(void **state)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

    (void)state;
    open_starter(4);
    start(1, "first");
    assert_started(1);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        assert_int_equal(kill(cli_starter_pid(starter), signals[i]), 0);
    }
    start(2, "first");
    assert_started(2);
    cli_starter_free(starter);
}

int main(void)
{
    pn_test_add(
        "cli/starter/other_program", test_cli_starter_other_program, NULL);
    pn_test_add("cli/starter/text_without_end",
        test_cli_starter_text_without_end, NULL);
    pn_test_add(
        "cli/starter/other_packets", test_cli_starter_other_packets, NULL);
    pn_test_add("cli/starter/limit", test_cli_starter_limit, NULL);
    pn_test_add("cli/starter/numbers", test_cli_starter_numbers, NULL);
    pn_test_add("cli/starter/too_long", test_cli_starter_too_long, NULL);
    pn_test_add("cli/starter/reload", test_cli_starter_reload, NULL);
    pn_test_add("cli/starter/descriptors", test_cli_starter_descriptors, NULL);
    pn_test_add("cli/starter/node_ends", test_cli_starter_node_ends, NULL);
    pn_test_add("cli/starter/signals", test_cli_starter_signals, NULL);
    return pn_test_run("cli/starter");
}

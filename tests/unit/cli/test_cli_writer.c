/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of output: its bound, its order, dropped and waiting lines. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "output_writer.h"

enum { FD = STDERR_FILENO, OTHER_FD = STDOUT_FILENO };

/* A writer whose descriptors are full pipes; ours are elsewhere meanwhile. */
typedef struct fixture {
    cli_writer *writer;
    cli_writer_options options;
    int kept[2];
    int pipe[2];
    size_t filled; /* bytes that are in the pipe before */
    atomic_int n_errors;
} fixture;

static void say_dropped(void *user, int fd, uint64_t n, cli_text *t)
{
    (void)user;
    cli_text_printf(t, "[%d: %d dropped]\n", fd, (int)n);
}

static void on_error(void *user, int fd)
{
    fixture *f = user;

    (void)fd;
    (void)atomic_fetch_add(&f->n_errors, 1);
}

/* Fills the pipe, and puts it where the writer looks for it. */
static void open_writer(fixture *f, size_t max_bytes)
{
    static const char zeros[4096];
    ssize_t n;

    *f = (fixture){0};
    assert_int_equal(pipe(f->pipe), 0);
    assert_true(fcntl(f->pipe[1], F_SETPIPE_SZ, 4096) >= 4096);
    assert_int_equal(fcntl(f->pipe[1], F_SETFL, O_NONBLOCK), 0);
    while ((n = write(f->pipe[1], zeros, sizeof(zeros))) > 0) {
        f->filled += (size_t)n;
    }
    assert_int_equal(fcntl(f->pipe[1], F_SETFL, 0), 0);
    f->kept[0] = dup(OTHER_FD);
    f->kept[1] = dup(FD);
    (void)fflush(stdout);
    assert_int_equal(dup2(f->pipe[1], FD), FD);
    assert_int_equal(dup2(f->pipe[1], OTHER_FD), OTHER_FD);
    cli_writer_options_init(&f->options);
    f->options.max_bytes = max_bytes;
    f->options.say_dropped = say_dropped;
    f->options.on_error = on_error;
    f->options.user = f;
    f->writer = cli_writer_new(&f->options);
}

/* Ours are back, for what a failure prints. */
static void restore(fixture *f)
{
    assert_int_equal(dup2(f->kept[0], OTHER_FD), OTHER_FD);
    assert_int_equal(dup2(f->kept[1], FD), FD);
    (void)close(f->kept[0]);
    (void)close(f->kept[1]);
    (void)close(f->pipe[1]);
}

static void add(fixture *f, cli_output_kind kind, const char *text)
{
    cli_writer_add(f->writer, FD, kind, text, strlen(text));
}

/* Everything that a reader then gets. */
static void read_rest(fixture *f, cli_text *t)
{
    char buf[4096];
    size_t left = f->filled;
    ssize_t n;

    while ((left > 0 || !cli_writer_wait(f->writer, false, 0)
               || poll(&(struct pollfd){f->pipe[0], POLLIN, 0}, 1, 0) > 0)
           && (n = read(f->pipe[0], buf, sizeof(buf))) > 0) {
        size_t skip = (size_t)n < left ? (size_t)n : left;

        left -= skip;
        cli_text_add(t, buf + skip, (size_t)n - skip);
    }
}

static void test_cli_writer_drops(void **state)
{
    fixture f;
    cli_text t = {0};
    cli_text want = {0};
    int n = 0;

    (void)state;
    open_writer(&f, 1000);
    for (int i = 0; i < 100; i++) {
        add(&f, CLI_OUTPUT_LINE, "0123456789\n");
    }
    add(&f, CLI_OUTPUT_RESULT, "a result\n");
    read_rest(&f, &t);
    add(&f, CLI_OUTPUT_LINE, "flows\n");
    assert_true(cli_writer_wait(f.writer, false, 10000));
    f.filled = 0;
    read_rest(&f, &t);
    restore(&f);
    for (const char *at = t.data; (at = strstr(at, "0123456789\n")) != NULL;
         at++) {
        n++;
    }
    /* Each costs more than its bytes; what is missing is said in its place. */
    assert_in_range(n, 1, 90);
    cli_text_printf(
        &want, "0123456789\n[2: %d dropped]\na result\nflows\n", 100 - n);
    assert_non_null(strstr(t.data, want.data));
    cli_text_fini(&want);
    cli_text_fini(&t);
    cli_writer_close(f.writer);
    (void)close(f.pipe[0]);
}

static void test_cli_writer_results(void **state)
{
    fixture f;
    cli_text t = {0};
    cli_text big = {0};

    (void)state;
    open_writer(&f, 1000);
    for (int i = 0; i < 50000; i++) {
        cli_text_puts(&big, "result ");
    }
    add(&f, CLI_OUTPUT_RESULT, big.data);
    assert_false(cli_writer_wait(f.writer, true, 20));
    read_rest(&f, &t);
    restore(&f);
    assert_int_equal(t.len, big.len);
    assert_string_equal(t.data, big.data);
    assert_true(cli_writer_wait(f.writer, true, -1));
    cli_text_fini(&t);
    cli_text_fini(&big);
    cli_writer_close(f.writer);
    (void)close(f.pipe[0]);
}

/* Lines for two files alternate while there is no reader: the marks for dropped
 * lines do not grow. */
static void test_cli_writer_drops_of_two(void **state)
{
    fixture f;
    cli_text t = {0};

    (void)state;
    open_writer(&f, 1);
    add(&f, CLI_OUTPUT_RESULT, "first\n");
    for (int i = 0; i < 100; i++) {
        cli_writer_add(
            f.writer, i % 2 == 0 ? FD : OTHER_FD, CLI_OUTPUT_LINE, "line\n", 5);
    }
    add(&f, CLI_OUTPUT_RESULT, "then\n");
    add(&f, CLI_OUTPUT_LINE, "line\n");
    read_rest(&f, &t);
    restore(&f);
    assert_string_equal(t.data,
        "first\n[2: 50 dropped]\n[1: 50 dropped]\nthen\n[2: 1 dropped]\n");
    cli_text_fini(&t);
    cli_writer_close(f.writer);
    (void)close(f.pipe[0]);
}

/* Bytes that a line editor draws do not count as lost lines. */
static void test_cli_writer_echo(void **state)
{
    fixture f;
    cli_text t = {0};

    (void)state;
    open_writer(&f, 200);
    for (int i = 0; i < 100; i++) {
        add(&f, CLI_OUTPUT_ECHO, "key");
    }
    read_rest(&f, &t);
    restore(&f);
    assert_in_range(t.len, 3, 30);
    assert_null(strchr(t.data, '['));
    cli_text_fini(&t);
    cli_writer_close(f.writer);
    (void)close(f.pipe[0]);
}

static void test_cli_writer_order(void **state)
{
    fixture f;
    cli_text t = {0};

    (void)state;
    open_writer(&f, 10000);
    cli_writer_add(f.writer, FD, CLI_OUTPUT_LINE, "1", 1);
    cli_writer_add(f.writer, OTHER_FD, CLI_OUTPUT_LINE, "2", 1);
    cli_writer_add(f.writer, FD, CLI_OUTPUT_RESULT, "3", 1);
    cli_writer_add(f.writer, OTHER_FD, CLI_OUTPUT_ECHO, "4", 1);
    read_rest(&f, &t);
    restore(&f);
    assert_string_equal(t.data, "1234");
    cli_text_fini(&t);
    cli_writer_close(f.writer);
    (void)close(f.pipe[0]);
}

/* Lines for a closed reader are lost; the next reader gets their number. */
static void test_cli_writer_error(void **state)
{
    fixture f;
    cli_text t = {0};
    int again[2];

    (void)state;
    open_writer(&f, 10000);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)close(f.pipe[0]);
    for (int i = 0; i < 3; i++) {
        add(&f, CLI_OUTPUT_LINE, "lost\n");
    }
    assert_true(cli_writer_wait(f.writer, false, 10000));
    assert_int_equal(cli_writer_error(f.writer, FD), EPIPE);
    assert_int_equal(cli_writer_error(f.writer, OTHER_FD), 0);
    assert_int_equal(pipe(again), 0);
    assert_int_equal(dup2(again[1], FD), FD);
    f.pipe[0] = again[0];
    f.filled = 0;
    add(&f, CLI_OUTPUT_LINE, "there\n");
    assert_true(cli_writer_wait(f.writer, false, 10000));
    read_rest(&f, &t);
    restore(&f);
    assert_string_equal(t.data, "there\n[2: 3 dropped]\n");
    assert_int_equal(atomic_load(&f.n_errors), 1);
    (void)close(again[1]);
    cli_text_fini(&t);
    cli_writer_close(f.writer);
    (void)close(f.pipe[0]);
}

/* Without a reader the owner can still close the writer. */
static void test_cli_writer_close(void **state)
{
    fixture f;

    (void)state;
    open_writer(&f, 10000);
    add(&f, CLI_OUTPUT_LINE, "for nobody\n");
    assert_false(cli_writer_wait(f.writer, false, 10));
    cli_writer_close(f.writer);
    restore(&f);
    (void)close(f.pipe[0]);
}

int main(void)
{
    pn_test_add("cli/writer/drops", test_cli_writer_drops, NULL);
    pn_test_add("cli/writer/drops_of_two", test_cli_writer_drops_of_two, NULL);
    pn_test_add("cli/writer/results", test_cli_writer_results, NULL);
    pn_test_add("cli/writer/echo", test_cli_writer_echo, NULL);
    pn_test_add("cli/writer/order", test_cli_writer_order, NULL);
    pn_test_add("cli/writer/error", test_cli_writer_error, NULL);
    pn_test_add("cli/writer/close", test_cli_writer_close, NULL);
    return pn_test_run("cli/writer");
}

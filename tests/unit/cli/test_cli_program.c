/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BAD-4, T14: text of a peer reaches a program on standard input and nowhere
 * else. FI-9: programs that hang, fork, flood, die or do not read.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "program/program.h"
#include "program/program_spawn.h"

#define PEER "MFRGGZDFMZTWQ2LKNNWG23TPOBYXE43UOV3HO6DZPJRGC3LFNVSXGZ3T"

typedef struct outcome {
    unsigned n_done;
    cli_program_outcome outcome;
    int status;
    char *output;
    size_t output_len;
    bool is_unwanted;
} outcome;

static uv_loop_t loop;
static cli_starter *starter;
static cli_programs *pool;
static cli_programs_options options;
static cli_starter_options starter_options;
static size_t stderr_bytes;

/* Signals to a group whose leader is not reaped yet are safe, because the
 * number is taken. Any other may reach another process's group. Shared with the
 * starter, which sends them. */
static unsigned *n_signals_late;

/* In place of the C library's, which every signal of this process and of the
 * starter goes through. */
int kill(pid_t pid, int sig)
{
    siginfo_t info;

    memset(&info, 0, sizeof(info));
    if (pid < 0 && sig != 0
        && waitid(P_PID, (id_t)-pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
        (*n_signals_late)++;
    }
    return (int)syscall(SYS_kill, pid, sig);
}

static void on_stderr(
    void *user, const char *program, const char *data, size_t len)
{
    (void)user;
    (void)program;
    (void)data;
    stderr_bytes += len;
}

static void pool_open_two(const cli_program *one, const cli_program *two)
{
    const cli_program *const programs[] = {one, two, NULL};

    starter_options.programs = programs;
    starter = cli_starter_new(&starter_options);
    assert_non_null(starter);
    assert_int_equal(uv_loop_init(&loop), 0);
    pool = cli_programs_new(&loop, starter, &options);
    assert_non_null(pool);
}

static void pool_open(const cli_program *program)
{
    pool_open_two(program, NULL);
}

static void pool_close(void)
{
    cli_programs_close(pool);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    cli_starter_free(starter);
}

static void default_options(void)
{
    cli_programs_options_init(&options);
    cli_starter_options_init(&starter_options);
    options.on_stderr = on_stderr;
    stderr_bytes = 0;
    *n_signals_late = 0;
}

static void on_done(void *user, const cli_program_result *result)
{
    outcome *o = user;

    o->n_done++;
    o->outcome = result->outcome;
    o->status = result->status;
    free(o->output);
    o->output_len = result->output_len;
    o->output = malloc(result->output_len + 1);
    assert_non_null(o->output);
    memcpy(o->output, result->output, result->output_len + 1);
}

static bool is_wanted(void *user)
{
    const outcome *o = user;

    return !o->is_unwanted;
}

static bool submit(const cli_program *program, const char *peer,
    const char *label, const void *input, size_t len, outcome *o)
{
    cli_text text = {0};
    cli_program_job job = {.program = program,
        .peer = peer,
        .label = label,
        .family = "peernet",
        .input = &text,
        .is_wanted = is_wanted,
        .done = on_done,
        .user = o};
    bool taken;

    cli_text_add(&text, input, len);
    taken = cli_programs_run(pool, &job);
    cli_text_fini(&text);
    return taken;
}

/* Runs the loop until n jobs are done. */
static void wait_done(const outcome *o, unsigned n)
{
    /* Beside a bomb each turn of ours may take a while. */
    uint64_t end = uv_hrtime() + UINT64_C(60000000000);

    while (o->n_done < n && uv_hrtime() < end) {
        (void)uv_run(&loop, UV_RUN_NOWAIT);
        if (o->n_done < n) {
            (void)usleep(1000);
        }
    }
    assert_int_equal(o->n_done, n);
}

/* A copy in the test's own folder: the user nobody may have no access to the
 * build folder. */
static char probe_path[64];

/* One run of the probe in one mode. */
static void run_mode(
    const char *mode, const char *arg, uint32_t timeout_ms, outcome *ret)
{
    char *argv[] = {
        probe_path, (char *)(uintptr_t)mode, (char *)(uintptr_t)arg, NULL};
    cli_program program = {"probe", probe_path, argv, timeout_ms, 65536};

    pool_open(&program);
    assert_true(submit(&program, PEER, "phone", "null\n", 5, ret));
    wait_done(ret, 1);
    pool_close();
}

/* ---- BAD-4 -------------------------------------------------------------- */

static const char *const fragments[] = {
    "$(touch pwned)",
    "`touch pwned`",
    "; touch pwned",
    "| touch pwned",
    "|| touch pwned",
    "&& touch pwned",
    "& touch pwned &",
    "\ntouch pwned\n",
    "\r\ntouch pwned",
    "${IFS}touch${IFS}pwned",
    "$((1+1))",
    "$HOME",
    "${PATH}",
    "$PEERNET_PEER",
    "~root",
    "*",
    "?",
    "[a-z]*",
    "{a,b}",
    "!!",
    "^a^b",
    "#",
    "\\",
    "\\\\",
    "\"",
    "'",
    "\"; touch pwned; \"",
    "'; touch pwned; '",
    "\\\"; touch pwned",
    "<(touch pwned)",
    ">(touch pwned)",
    "> pwned",
    ">> pwned",
    "< /etc/passwd",
    "2>&1",
    "-rf",
    "--",
    "-",
    "--help",
    "-c",
    "-e touch",
    "@file",
    "%s%s%s%n",
    "../../../etc/passwd",
    "/dev/stdin",
    "\t",
    "\a\b\033[2J",
    "\xff\xfe",
    "\xc0\xaf",
    "A=1 touch pwned",
    "LD_PRELOAD=./pwned.so",
    "PATH=.",
    "() { :; }; touch pwned",
    "<<EOF\ntouch pwned\nEOF",
};

#define N_FRAGMENTS (sizeof(fragments) / sizeof(fragments[0]))

static const char *const wrappers[] = {"%s", "\"%s\"", "-%s", "x\n%s\n"};

#define N_WRAPPERS (sizeof(wrappers) / sizeof(wrappers[0]))

static void add_hex(cli_text *t, const char *name, const char *data, size_t n)
{
    cli_text_printf(t, "%s ", name);
    for (size_t i = 0; i < n; i++) {
        cli_text_printf(t, "%02x", (unsigned char)data[i]);
    }
    cli_text_putc(t, '\n');
}

static void add_env(cli_text *t, const char *name, const char *value)
{
    cli_text line = {0};

    cli_text_printf(&line, "%s=%s", name, value);
    add_hex(t, "env", line.data, line.len);
    cli_text_fini(&line);
}

/* All that a program may see of one run. */
static void expect_report(
    cli_text *t, const char *label, const char *input, size_t len)
{
    add_hex(t, "arg", probe_path, strlen(probe_path));
    add_hex(t, "arg", "report", 6);
    add_env(t, "PATH", getenv("PATH"));
    add_env(t, "PEERNET_PEER", PEER);
    add_env(t, "PEERNET_LABEL", label);
    add_env(t, "PEERNET_HANDLE", "probe");
    add_env(t, "PEERNET_FAMILY", "peernet");
    cli_text_puts(t, "fd 0\nfd 1\nfd 2\n");
    cli_text_puts(t, "limit core 0\nlimit files 256\nlimit cpu 12\n");
    cli_text_puts(t, "leader 1\npipe-default 1\nterm-blocked 0\n");
    add_hex(t, "input", input, len);
}

static void check_report(const char *label, const char *input, size_t len)
{
    char *argv[] = {probe_path, (char *)(uintptr_t) "report", NULL};
    cli_program program = {"probe", probe_path, argv, 10000, (size_t)4 << 20};
    outcome o = {0};
    cli_text want = {0};

    expect_report(&want, label, input, len);
    pool_open(&program);
    assert_true(submit(&program, PEER, label, input, len, &o));
    wait_done(&o, 1);
    pool_close();
    assert_int_equal(o.outcome, CLI_PROGRAM_EXITED);
    assert_int_equal(o.status, 0);
    pn_assert_bytes(
        (uint8_t *)o.output, o.output_len, (uint8_t *)want.data, want.len);
    assert_int_not_equal(access("pwned", F_OK), 0);
    assert_int_not_equal(access("pwned.so", F_OK), 0);
    cli_text_fini(&want);
    free(o.output);
}

/* The payload as the argument, and as the label of the peer that sent it. */
static void test_cli_program_payload(void **state)
{
    size_t row = (size_t)(uintptr_t)*state;
    cli_text payload = {0};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    cli_text_printf(
        &payload, wrappers[row % N_WRAPPERS], fragments[row / N_WRAPPERS]);
#pragma GCC diagnostic pop
    check_report(payload.data, payload.data, payload.len);
    cli_text_fini(&payload);
}

static void test_cli_program_payload_nul(void **state)
{
    (void)state;
    check_report("", "a\0b\0", 4);
}

static void test_cli_program_payload_empty(void **state)
{
    (void)state;
    check_report("", "", 0);
}

static void test_cli_program_payload_million(void **state)
{
    char *big = malloc(1000000);

    (void)state;
    assert_non_null(big);
    memset(big, '-', 1000000);
    check_report("phone", big, 1000000);
    free(big);
}

/* Descriptors of ours without close-on-exec are not inherited. */
static void test_cli_program_closes_descriptors(void **state)
{
    int low = open("/dev/null", O_RDONLY);
    int high = fcntl(low, F_DUPFD, 200);

    (void)state;
    assert_true(low > 2 && high >= 200);
    check_report("phone", "x", 1);
    (void)close(low);
    (void)close(high);
}

/* Signals that are ignored or blocked here are neither in the program. */
static void test_cli_program_resets_signals(void **state)
{
    sigset_t term;

    (void)state;
    (void)sigemptyset(&term);
    (void)sigaddset(&term, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &term, NULL);
    check_report("phone", "x", 1);
    (void)sigprocmask(SIG_UNBLOCK, &term, NULL);
}

/* ---- FI-9 --------------------------------------------------------------- */

static void test_cli_program_exit_status(void **state)
{
    outcome o = {0};

    (void)state;
    run_mode("exit", "3", 10000, &o);
    assert_int_equal(o.outcome, CLI_PROGRAM_EXITED);
    assert_int_equal(o.status, 3);
    assert_string_equal(o.output, "partial");
    free(o.output);
}

static void test_cli_program_signal(void **state)
{
    outcome o = {0};

    (void)state;
    run_mode("signal", NULL, 10000, &o);
    assert_int_equal(o.outcome, CLI_PROGRAM_SIGNALLED);
    assert_int_equal(o.status, SIGTERM);
    free(o.output);
}

static void test_cli_program_hang(void **state)
{
    outcome o = {0};
    uint64_t start = uv_hrtime();

    (void)state;
    run_mode("hang", NULL, 300, &o);
    assert_int_equal(o.outcome, CLI_PROGRAM_TIMED_OUT);
    assert_true((uv_hrtime() - start) / 1000000 >= 290); /* whole ones */
    free(o.output);
}

static void test_cli_program_flood(void **state)
{
    outcome o = {0};

    (void)state;
    run_mode("flood", NULL, 10000, &o);
    assert_int_equal(o.outcome, CLI_PROGRAM_TOO_LARGE);
    assert_true(o.output_len <= 65536);
    free(o.output);
}

static void test_cli_program_output_limit(void **state)
{
    outcome o = {0};

    (void)state;
    run_mode("print", "65535", 10000, &o);
    assert_int_equal(o.outcome, CLI_PROGRAM_EXITED);
    assert_int_equal(o.output_len, 65535);
    o.n_done = 0;
    run_mode("print", "65536", 10000, &o);
    assert_int_equal(o.outcome, CLI_PROGRAM_EXITED);
    assert_int_equal(o.output_len, 65536);
    o.n_done = 0;
    run_mode("print", "65537", 10000, &o);
    assert_int_equal(o.outcome, CLI_PROGRAM_TOO_LARGE);
    free(o.output);
}

/* More input than the pipe holds, and the program does not read it. */
static void test_cli_program_closed_stdin(void **state)
{
    char *argv[] = {probe_path, (char *)(uintptr_t) "closed-stdin", NULL};
    cli_program program = {"probe", probe_path, argv, 10000, 65536};
    char *big = calloc(1, 1 << 20);
    outcome o = {0};

    (void)state;
    assert_non_null(big);
    pool_open(&program);
    assert_true(submit(&program, PEER, "", big, 1 << 20, &o));
    wait_done(&o, 1);
    pool_close();
    assert_int_equal(o.outcome, CLI_PROGRAM_EXITED);
    assert_string_equal(o.output, "done");
    free(o.output);
    free(big);
}

static void test_cli_program_closed_stdout(void **state)
{
    outcome o = {0};

    (void)state;
    run_mode("closed-stdout", NULL, 10000, &o);
    assert_int_equal(o.outcome, CLI_PROGRAM_EXITED);
    assert_int_equal(o.output_len, 0);
    free(o.output);
}

static void test_cli_program_stderr(void **state)
{
    outcome o = {0};

    (void)state;
    run_mode("stderr", NULL, 10000, &o);
    assert_int_equal(o.outcome, CLI_PROGRAM_EXITED);
    assert_true(stderr_bytes >= 16384 && stderr_bytes < 16384 + 4096);
    free(o.output);
}

/* Waits until a program has started, and ended: the starter has no child. The
 * pool has not read either report. */
static void wait_ended(void)
{
    struct pollfd started = {.fd = cli_starter_fd(starter), .events = POLLIN};
    char path[64];
    char children[16];
    ssize_t n = 1;
    int fd;

    assert_int_equal(poll(&started, 1, 20000), 1);
    (void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children",
        cli_starter_pid(starter), cli_starter_pid(starter));
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    for (int i = 0; i < 20000 && n > 0; i++) {
        (void)usleep(1000);
        n = pread(fd, children, sizeof(children), 0);
    }
    (void)close(fd);
    assert_int_equal(n, 0);
}

/* A short piece of a program that has ended before it is read. */
static void test_cli_program_late_stderr(void **state)
{
    char *argv[] = {probe_path, (char *)(uintptr_t) "complain", NULL};
    cli_program program = {"probe", probe_path, argv, 10000, 1000};
    outcome o = {0};

    (void)state;
    pool_open(&program);
    assert_true(submit(&program, PEER, "", "", 0, &o));
    wait_ended();
    wait_done(&o, 1);
    pool_close();
    assert_int_equal(stderr_bytes, 9);
    free(o.output);
}

static bool group_is_gone(pid_t group)
{
    for (int i = 0; i < 10000; i++) {
        if (kill(-group, 0) != 0 && errno == ESRCH) {
            return true;
        }
        (void)usleep(1000);
    }
    return false;
}

/* More output than one turn reads, and too much: the excess is met when the
 * leader is known to have ended. */
static void test_cli_program_late_excess(void **state)
{
    char *argv[] = {probe_path, (char *)(uintptr_t) "wide",
        (char *)(uintptr_t) "400000", NULL};
    cli_program program = {"probe", probe_path, argv, 10000, 300000};
    outcome o = {0};

    (void)state;
    pool_open(&program);
    assert_true(submit(&program, PEER, "", "", 0, &o));
    wait_ended();
    wait_done(&o, 1);
    pool_close();
    assert_int_equal(o.outcome, CLI_PROGRAM_TOO_LARGE);
    assert_int_equal(*n_signals_late, 0);
    free(o.output);
}

/* Processes that a program leaves in its group end with it. */
static void test_cli_program_left_child(void **state)
{
    outcome o = {0};

    (void)state;
    run_mode("child", NULL, 10000, &o);
    assert_int_equal(o.outcome, CLI_PROGRAM_EXITED);
    assert_true(atoi(o.output) > 1);
    assert_true(group_is_gone(atoi(o.output)));
    free(o.output);
}

/* A process that left the group and holds our pipe is not waited for. */
static void test_cli_program_daemon(void **state)
{
    outcome o = {0};
    pid_t daemon;

    (void)state;
    run_mode("daemon", NULL, 10000, &o);
    assert_int_equal(o.outcome, CLI_PROGRAM_EXITED);
    daemon = atoi(o.output);
    assert_true(daemon > 1);
    assert_int_equal(kill(daemon, SIGKILL), 0);
    free(o.output);
}

/*
 * RLIMIT_NPROC does not apply to root, so the test changes its user in a
 * process of its own, whose output is this test's.
 */
static void as_nobody(void (*test)(void))
{
    int status = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        if (getuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) {
            _exit(2);
        }
        test();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* Processes left of a bomb become our children, and are waited for. */
static void run_bomb(void)
{
    outcome o = {0};
    pid_t pid = 0;

    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    run_mode("bomb", NULL, 700, &o);
    if (o.outcome != CLI_PROGRAM_TIMED_OUT) {
        _exit(3);
    }
    for (int i = 0; i < 20000 && pid >= 0; i++) {
        pid = waitpid(-1, NULL, WNOHANG);
        if (pid == 0) {
            (void)usleep(1000);
        }
    }
    if (pid >= 0 || errno != ECHILD) {
        _exit(4);
    }
}

static void test_cli_program_bomb(void **state)
{
    (void)state;
    starter_options.max_processes = 64;
    as_nobody(run_bomb);
}

static void run_forks(void)
{
    outcome o = {0};

    run_mode("forks", NULL, 10000, &o);
    if (o.outcome != CLI_PROGRAM_EXITED || atoi(o.output) < 1
        || atoi(o.output) > 1024) {
        _exit(3);
    }
}

static void test_cli_program_process_limit(void **state)
{
    (void)state;
    starter_options.max_processes = 64;
    as_nobody(run_forks);
}

static void test_cli_program_missing(void **state)
{
    char *argv[] = {(char *)(uintptr_t) "/nonexistent/program", NULL};
    cli_program program = {"probe", argv[0], argv, 1000, 1000};
    outcome o = {0};

    (void)state;
    pool_open(&program);
    assert_true(submit(&program, PEER, "", "x", 1, &o));
    wait_done(&o, 1);
    assert_int_equal(o.outcome, CLI_PROGRAM_NOT_STARTED);
    assert_int_equal(o.status, ENOENT);
    assert_int_equal(cli_programs_running(pool), 0);
    pool_close();
    free(o.output);
}

/* ---- running, waiting and refused jobs ---------------------------------- */

static void test_cli_program_caps(void **state)
{
    char *hang_argv[] = {probe_path, (char *)(uintptr_t) "hang", NULL};
    char *exit_argv[] = {
        probe_path, (char *)(uintptr_t) "exit", (char *)(uintptr_t) "0", NULL};
    cli_program hang = {"hang", probe_path, hang_argv, 400, 1000};
    cli_program quick = {"quick", probe_path, exit_argv, 10000, 1000};
    outcome slow = {0};
    outcome fast = {0};

    (void)state;
    options.max_running = 3;
    options.max_per_peer = 2;
    options.max_waiting = 3;
    options.max_waiting_bytes = 100;
    pool_open_two(&hang, &quick);
    assert_true(submit(&hang, "A", "", "x", 1, &slow));
    assert_true(submit(&hang, "A", "", "x", 1, &slow));
    assert_int_equal(cli_programs_running(pool), 2);
    /* A third of the same peer waits; another peer does not. */
    assert_true(submit(&quick, "A", "", "x", 1, &fast));
    assert_int_equal(cli_programs_running(pool), 2);
    assert_true(submit(&quick, "B", "", "x", 1, &fast));
    assert_int_equal(cli_programs_running(pool), 3);
    /* All places are taken now. */
    assert_true(submit(&quick, "C", "", "x", 1, &fast));
    assert_int_equal(cli_programs_running(pool), 3);
    /* 98 more bytes fit beside the two that wait, 99 do not. */
    {
        char bytes[99] = {0};

        assert_false(submit(&quick, "C", "", bytes, 99, &fast));
        assert_true(submit(&quick, "C", "", bytes, 98, &fast));
    }
    /* Three wait, a fourth may not. */
    assert_false(submit(&quick, "C", "", "", 0, &fast));
    wait_done(&fast, 4);
    wait_done(&slow, 2);
    assert_int_equal(slow.outcome, CLI_PROGRAM_TIMED_OUT);
    assert_int_equal(cli_programs_running(pool), 0);
    pool_close();
    free(slow.output);
    free(fast.output);
}

/* A job that waited is asked again when its turn comes; one that is cancelled
 * ends now when it waits, and with its group when it runs. */
static void test_cli_program_cancel(void **state)
{
    char *argv[] = {probe_path, (char *)(uintptr_t) "hang", NULL};
    cli_program program = {"probe", probe_path, argv, 60000, 1000};
    outcome runs = {0};
    outcome waits = {0};
    outcome unwanted = {0};

    (void)state;
    options.max_running = 1;
    pool_open(&program);
    assert_true(submit(&program, "A", "", "x", 1, &runs));
    assert_true(submit(&program, "A", "", "x", 1, &unwanted));
    assert_true(submit(&program, "A", "", "x", 1, &waits));
    assert_int_equal(waits.n_done, 0);
    cli_programs_cancel(pool, &waits);
    assert_int_equal(waits.n_done, 1);
    assert_int_equal(waits.outcome, CLI_PROGRAM_CANCELLED);
    unwanted.is_unwanted = true;
    cli_programs_cancel(pool, &runs);
    assert_int_equal(runs.n_done, 0);
    wait_done(&runs, 1);
    assert_int_equal(runs.outcome, CLI_PROGRAM_CANCELLED);
    assert_int_equal(unwanted.n_done, 1);
    assert_int_equal(unwanted.outcome, CLI_PROGRAM_CANCELLED);
    assert_int_equal(cli_programs_running(pool), 0);
    pool_close();
    free(runs.output);
    free(waits.output);
    free(unwanted.output);
}

/* The starter ends, as by a fault: its runs end with it, and no other starts.
 */
static void test_cli_program_starter_ends(void **state)
{
    char *argv[] = {probe_path, (char *)(uintptr_t) "hang", NULL};
    cli_program program = {"probe", probe_path, argv, 60000, 1000};
    outcome runs = {0};
    outcome late = {0};

    (void)state;
    pool_open(&program);
    assert_true(submit(&program, PEER, "", "x", 1, &runs));
    assert_int_equal(kill(cli_starter_pid(starter), SIGKILL), 0);
    wait_done(&runs, 1);
    assert_int_equal(runs.outcome, CLI_PROGRAM_LOST);
    assert_true(submit(&program, PEER, "", "x", 1, &late));
    wait_done(&late, 1);
    assert_int_equal(late.outcome, CLI_PROGRAM_NOT_STARTED);
    assert_int_equal(late.status, EPIPE);
    pool_close();
    free(runs.output);
    free(late.output);
}

static void test_cli_program_close_cancels(void **state)
{
    char *argv[] = {probe_path, (char *)(uintptr_t) "hang", NULL};
    cli_program program = {"probe", probe_path, argv, 60000, 1000};
    outcome o = {0};

    (void)state;
    options.max_running = 1;
    pool_open(&program);
    assert_true(submit(&program, "A", "", "x", 1, &o));
    assert_true(submit(&program, "B", "", "x", 1, &o));
    (void)uv_run(&loop, UV_RUN_NOWAIT);
    pool_close();
    assert_int_equal(o.n_done, 2);
    assert_int_equal(o.outcome, CLI_PROGRAM_CANCELLED);
    free(o.output);
}

#define TEST(name, function)                                                   \
    {                                                                          \
        name, function                                                         \
    }

static const struct {
    const char *name;
    CMUnitTestFunction function;
} tests[] = {
    TEST("payload/nul", test_cli_program_payload_nul),
    TEST("payload/empty", test_cli_program_payload_empty),
    TEST("payload/million", test_cli_program_payload_million),
    TEST("closes_descriptors", test_cli_program_closes_descriptors),
    TEST("resets_signals", test_cli_program_resets_signals),
    TEST("exit_status", test_cli_program_exit_status),
    TEST("signal", test_cli_program_signal),
    TEST("hang", test_cli_program_hang),
    TEST("flood", test_cli_program_flood),
    TEST("output_limit", test_cli_program_output_limit),
    TEST("closed_stdin", test_cli_program_closed_stdin),
    TEST("closed_stdout", test_cli_program_closed_stdout),
    TEST("stderr", test_cli_program_stderr),
    TEST("late_stderr", test_cli_program_late_stderr),
    TEST("late_excess", test_cli_program_late_excess),
    TEST("left_child", test_cli_program_left_child),
    TEST("daemon", test_cli_program_daemon),
    /* Last of those that fork as nobody: what they leave counts against its
     * limit until init has waited for it. */
    TEST("bomb", test_cli_program_bomb),
    TEST("process_limit", test_cli_program_process_limit),
    TEST("missing", test_cli_program_missing),
    TEST("caps", test_cli_program_caps),
    TEST("cancel", test_cli_program_cancel),
    TEST("close_cancels", test_cli_program_close_cancels),
    TEST("starter_ends", test_cli_program_starter_ends),
};

static void run_one(void **state)
{
    size_t i = (size_t)(uintptr_t)*state;

    default_options(); /* each test starts from these */
    tests[i].function(state);
}

static bool copy_probe(const char *dir)
{
    static char buf[1 << 20];
    int in = open(PN_PROGRAM_PROBE, O_RDONLY | O_CLOEXEC);
    int out;
    ssize_t n;

    (void)snprintf(probe_path, sizeof(probe_path), "%s/probe", dir);
    out = open(probe_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    n = in < 0 ? -1 : read(in, buf, sizeof(buf));
    if (n <= 0 || n == (ssize_t)sizeof(buf) || write(out, buf, (size_t)n) != n
        || fchmod(out, 0755) != 0 || chmod(dir, 0755) != 0) {
        return false;
    }
    (void)close(in);
    (void)close(out);
    return true;
}

int main(void)
{
    char dir[] = "/tmp/peernet-program-XXXXXX";
    int status;

    (void)signal(SIGPIPE, SIG_IGN);
    n_signals_late = mmap(NULL, sizeof(*n_signals_late), PROT_READ | PROT_WRITE,
        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (n_signals_late == MAP_FAILED) {
        return 99;
    }
    default_options();
    /* Payloads name files, so the test runs in a folder of its own. */
    if (mkdtemp(dir) == NULL || chdir(dir) != 0 || !copy_probe(dir)) {
        fprintf(stderr, "cannot copy %s to %s\n", PN_PROGRAM_PROBE, dir);
        return 99;
    }
    for (size_t i = 0; i < N_FRAGMENTS * N_WRAPPERS; i++) {
        pn_test_addf(test_cli_program_payload, (void *)(uintptr_t)i,
            "cli/program/payload/%zu", i);
    }
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        pn_test_addf(
            run_one, (void *)(uintptr_t)i, "cli/program/%s", tests[i].name);
    }
    status = pn_test_run("cli/program");
    if (unlink(probe_path) != 0 || chdir("/") != 0 || rmdir(dir) != 0) {
        fprintf(stderr, "a program left something in %s\n", dir);
        return 1;
    }
    return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* BAD-6, T26: access to the control socket, and its limits. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/control.h"
#include "harness.h"

#define NOBODY 65534

static char dir[] = "/tmp/peernet-control-XXXXXX";
static uv_loop_t loop;
static cli_control *control;
static cli_runtime runtime;
static unsigned n_lines;
static unsigned n_gone;
static unsigned n_clients;
static unsigned n_made_again;
static size_t last_len;
static char last_line[CLI_CONTROL_MAX_LINE + 1];
static size_t answer_len;

/* ---- the owner ---------------------------------------------------------- */

static void *on_client(void *user, cli_control_client *client)
{
    (void)user;
    n_clients++;
    return client;
}

static void on_line(void *user, void *client, char *line, size_t len)
{
    (void)user;
    n_lines++;
    last_len = len;
    memcpy(last_line, line, len + 1);
    if (answer_len > 0) {
        char *answer = calloc(1, answer_len);

        assert_non_null(answer);
        memset(answer, 'x', answer_len);
        cli_control_send(client, answer, answer_len);
        free(answer);
        return;
    }
    cli_control_send(client, "answer", 6);
}

static void on_gone(void *user, void *client)
{
    (void)user;
    (void)client;
    n_gone++;
}

static void on_made_again(void *user, const char *path)
{
    (void)user;
    assert_string_equal(path, runtime.places[0].socket);
    n_made_again++;
}

static const cli_control_callbacks callbacks = {
    on_client, on_line, on_gone, NULL, on_made_again};

/* Runs the loop for so long, and as often on a machine that is busy. */
static void turn(unsigned ms)
{
    uint64_t end = uv_hrtime() + (uint64_t)ms * 1000000;
    unsigned n = 0;

    do {
        (void)uv_run(&loop, UV_RUN_NOWAIT);
        (void)usleep(200);
    } while (++n < ms || uv_hrtime() < end);
}

static void use_folder(const char *name)
{
    runtime.n_places = 1;
    (void)snprintf(runtime.places[0].folder, sizeof(runtime.places[0].folder),
        "%s/%s", dir, name);
    (void)snprintf(runtime.places[0].socket, sizeof(runtime.places[0].socket),
        "%s/%s/s", dir, name);
}

static void server_open(void)
{
    cli_text error = {0};

    n_lines = n_gone = n_clients = n_made_again = 0;
    answer_len = 0;
    use_folder("run");
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(
        cli_control_open(&loop, &runtime, &callbacks, &control, &error), PN_OK);
    cli_text_fini(&error);
}

static void server_close(void)
{
    cli_control_close(control);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_not_equal(access(runtime.places[0].socket, F_OK), 0);
}

/* ---- a client ----------------------------------------------------------- */

static int dial(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s",
        runtime.places[0].socket);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static void say(int fd, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = write(fd, p, len);

        turn(0);
        if (n > 0) {
            p += n;
            len -= (size_t)n;
        } else if (errno != EAGAIN) {
            return; /* the other side has closed */
        }
    }
    turn(5);
}

/* The text that has come; "" for the end, NULL for nothing yet. */
static const char *hear(int fd)
{
    static char text[4096];
    ssize_t n = read(fd, text, sizeof(text) - 1);

    if (n < 0) {
        return errno == EAGAIN ? NULL : "";
    }
    text[n] = '\0';
    return text;
}

static void test_cli_control_line(void **state)
{
    int fd;

    (void)state;
    server_open();
    fd = dial();
    say(fd, "hel", 3);
    assert_int_equal(n_lines, 0);
    say(fd, "lo\nwo", 5);
    assert_int_equal(n_lines, 1);
    assert_string_equal(last_line, "hello");
    assert_string_equal(hear(fd), "answer\n");
    say(fd, "rld\n\n", 5);
    assert_int_equal(n_lines, 3);
    assert_int_equal(last_len, 0);
    (void)close(fd);
    turn(5);
    assert_int_equal(n_gone, 1);
    server_close();
}

static void test_cli_control_binary(void **state)
{
    char bytes[257];
    int fd;

    (void)state;
    for (int i = 0; i < 256; i++) {
        bytes[i] = (char)(i == '\n' ? 0 : i);
    }
    bytes[256] = '\n';
    server_open();
    fd = dial();
    say(fd, bytes, sizeof(bytes));
    assert_int_equal(n_lines, 1);
    assert_int_equal(last_len, 256);
    assert_memory_equal(last_line, bytes, 256);
    (void)close(fd);
    server_close();
}

/* One row: a line of this length, and whether it is taken. */
static void line_of(size_t len, bool taken, bool newline)
{
    char *line = malloc(len + 1);
    int fd;

    assert_non_null(line);
    memset(line, 'a', len);
    line[len] = '\n';
    server_open();
    fd = dial();
    say(fd, line, len + (newline ? 1 : 0));
    assert_int_equal(n_lines, taken ? 1 : 0);
    assert_int_equal(n_gone, taken ? 0 : 1);
    if (!taken) {
        assert_non_null(strstr(hear(fd), "at most 65536 bytes"));
        assert_string_equal(hear(fd), "");
    }
    (void)close(fd);
    server_close();
    free(line);
}

static void test_cli_control_line_below_limit(void **state)
{
    (void)state;
    line_of(CLI_CONTROL_MAX_LINE - 1, true, true);
}

static void test_cli_control_line_at_limit(void **state)
{
    (void)state;
    line_of(CLI_CONTROL_MAX_LINE, true, true);
}

static void test_cli_control_line_over_limit(void **state)
{
    (void)state;
    line_of(CLI_CONTROL_MAX_LINE + 1, false, true);
}

static void test_cli_control_line_never_ends(void **state)
{
    (void)state;
    line_of(CLI_CONTROL_MAX_LINE * 4, false, false);
}

/* Short lines do not add up to a long one. */
static void test_cli_control_many_lines(void **state)
{
    char *lines = malloc(20000 * 10);
    int fd;

    (void)state;
    assert_non_null(lines);
    for (size_t i = 0; i < 20000; i++) {
        memcpy(lines + i * 10, "123456789\n", 10);
    }
    server_open();
    fd = dial();
    for (size_t i = 0; i < 20; i++) {
        say(fd, lines + i * 10000, 10000);
        while (hear(fd) != NULL) {}
    }
    assert_int_equal(n_lines, 20000);
    (void)close(fd);
    server_close();
    free(lines);
}

static void test_cli_control_client_limit(void **state)
{
    int fds[CLI_CONTROL_MAX_CLIENTS + 1];
    int again;

    (void)state;
    server_open();
    for (int i = 0; i < CLI_CONTROL_MAX_CLIENTS; i++) {
        fds[i] = dial();
        assert_true(fds[i] >= 0);
        turn(1);
    }
    assert_int_equal(n_clients, CLI_CONTROL_MAX_CLIENTS);
    fds[CLI_CONTROL_MAX_CLIENTS] = dial();
    turn(5);
    assert_int_equal(n_clients, CLI_CONTROL_MAX_CLIENTS);
    assert_non_null(
        strstr(hear(fds[CLI_CONTROL_MAX_CLIENTS]), "at most 32 clients"));
    assert_string_equal(hear(fds[CLI_CONTROL_MAX_CLIENTS]), "");
    /* The others are served on, and a free place is given again. */
    say(fds[0], "x\n", 2);
    assert_string_equal(hear(fds[0]), "answer\n");
    (void)close(fds[1]);
    turn(5);
    again = dial();
    turn(5);
    assert_int_equal(n_clients, CLI_CONTROL_MAX_CLIENTS + 1);
    (void)close(again);
    for (int i = 0; i <= CLI_CONTROL_MAX_CLIENTS; i++) {
        if (i != 1) {
            (void)close(fds[i]);
        }
    }
    server_close();
}

/* Silence, a trickle without a newline, and a line in time. */
static void test_cli_control_first_line(void **state)
{
    int silent;
    int trickle;
    int spoke;
    uint64_t early_ns;

    (void)state;
    server_open();
    early_ns = uv_hrtime() + UINT64_C(4900000000);
    silent = dial();
    trickle = dial();
    spoke = dial();
    say(spoke, "x\n", 2);
    for (int i = 0; i < 10; i++) {
        say(trickle, "a", 1);
        turn(450);
        assert_true(n_gone == 0 || uv_hrtime() > early_ns);
    }
    for (int i = 0; i < 60 && n_gone < 2; i++) {
        turn(50);
    }
    assert_int_equal(n_gone, 2);
    assert_non_null(strstr(hear(silent), "within 5 seconds"));
    assert_string_equal(hear(silent), "");
    assert_non_null(strstr(hear(trickle), "within 5 seconds"));
    (void)hear(spoke);
    say(spoke, "y\n", 2);
    assert_string_equal(hear(spoke), "answer\n");
    (void)close(silent);
    (void)close(trickle);
    (void)close(spoke);
    server_close();
}

/* A client that sends requests and does not read is closed. */
static void test_cli_control_slow_reader(void **state)
{
    int fd;

    (void)state;
    server_open();
    answer_len = 1 << 20;
    fd = dial();
    for (int i = 0; i < 20 && n_gone == 0; i++) {
        say(fd, "x\n", 2);
    }
    assert_int_equal(n_gone, 1);
    assert_true(n_lines >= 4 && n_lines <= 7);
    (void)close(fd);
    server_close();
}

/* A request whose client left before it was read is not carried out. */
static void test_cli_control_left(void **state)
{
    int fd;

    (void)state;
    server_open();
    fd = dial();
    assert_int_equal(write(fd, "x\n", 2), 2);
    (void)close(fd);
    turn(20);
    assert_int_equal(n_clients, 1);
    assert_int_equal(n_gone, 1);
    assert_int_equal(n_lines, 0);
    /* Also one that was served before. */
    fd = dial();
    say(fd, "x\n", 2);
    assert_int_equal(n_lines, 1);
    assert_int_equal(write(fd, "y\n", 2), 2);
    (void)close(fd);
    turn(20);
    assert_int_equal(n_lines, 1);
    assert_int_equal(n_gone, 2);
    server_close();
}

static void make_again(void)
{
    for (int i = 0; i < 400 && n_made_again == 0; i++) {
        turn(25);
    }
    assert_int_equal(n_made_again, 1);
}

/* A cleaner removes the socket, or all of its folder: connected clients stay,
 * and others find the new one. */
static void test_cli_control_made_again(void **state)
{
    int first;
    int second;

    (void)state;
    server_open();
    first = dial();
    say(first, "x\n", 2);
    assert_string_equal(hear(first), "answer\n");
    assert_int_equal(unlink(runtime.places[0].socket), 0);
    assert_int_equal(rmdir(runtime.places[0].folder), 0);
    assert_int_equal(dial(), -1);
    make_again();
    second = dial();
    say(second, "y\n", 2);
    assert_string_equal(hear(second), "answer\n");
    say(first, "z\n", 2);
    assert_string_equal(hear(first), "answer\n");
    (void)close(first);
    (void)close(second);
    server_close();
}

/* Something else stands there now. */
static void test_cli_control_replaced(void **state)
{
    int fd;

    (void)state;
    server_open();
    assert_int_equal(unlink(runtime.places[0].socket), 0);
    fd = open(runtime.places[0].socket, O_CREAT | O_EXCL | O_WRONLY, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    make_again();
    fd = dial();
    say(fd, "y\n", 2);
    assert_string_equal(hear(fd), "answer\n");
    (void)close(fd);
    server_close();
}

/* ---- other users -------------------------------------------------------- */

/* As another user: connects, and reports the result with its exit status. */
static int stranger(void)
{
    int status = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        struct pollfd ready;
        int fd;
        char c;

        if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0) {
            _exit(4);
        }
        fd = dial();
        if (fd < 0) {
            _exit(1);
        }
        (void)!write(fd, "x\n", 2);
        ready = (struct pollfd){.fd = fd, .events = POLLIN};
        (void)poll(&ready, 1, 3000);
        _exit(read(fd, &c, 1) > 0 ? 3 : 2);
    }
    while (waitpid(pid, &status, WNOHANG) == 0) {
        turn(1);
    }
    return WEXITSTATUS(status);
}

static void test_cli_control_other_user(void **state)
{
    char folder[200];

    (void)state;
    if (getuid() != 0) {
        pn_test_skip("needs somebody else to be");
    }
    server_open();
    (void)snprintf(folder, sizeof(folder), "%s", runtime.places[0].folder);
    /* The modes exclude other users, */
    assert_int_equal(stranger(), 1);
    /* and the credentials do as well. */
    assert_int_equal(chmod(dir, 0755), 0);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(chmod(runtime.places[0].socket, 0666), 0);
    assert_int_equal(stranger(), 2);
    assert_int_equal(n_lines, 0);
    assert_int_equal(n_clients, 0);
    assert_int_equal(chmod(folder, 0700), 0);
    server_close();
}

static void test_cli_control_socket_mode(void **state)
{
    struct stat info;

    (void)state;
    server_open();
    assert_int_equal(stat(runtime.places[0].socket, &info), 0);
    assert_true(S_ISSOCK(info.st_mode));
    assert_int_equal(info.st_mode & 07777, 0600);
    server_close();
}

/* A socket that a killed node left. */
static void test_cli_control_stale_socket(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int client;

    (void)state;
    use_folder("run");
    (void)mkdir(runtime.places[0].folder, 0700);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%s",
        runtime.places[0].socket);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    (void)close(fd);
    server_open();
    client = dial();
    assert_true(client >= 0);
    (void)close(client);
    server_close();
}

/* ---- the folder --------------------------------------------------------- */

typedef struct folder_row {
    const char *name;
    mode_t mode;
    bool safe;
} folder_row;

static const folder_row folder_rows[] = {
    {"mode_0700", 0700, true},
    {"mode_0500", 0500, true},
    {"mode_0701", 0701, false},
    {"mode_0702", 0702, false},
    {"mode_0704", 0704, false},
    {"mode_0710", 0710, false},
    {"mode_0720", 0720, false},
    {"mode_0740", 0740, false},
    {"mode_0755", 0755, false},
    {"mode_0770", 0770, false},
    {"mode_0777", 0777, false},
    {"mode_1777", 01777, false},
};

static void test_cli_control_folder_mode(void **state)
{
    const folder_row *row = *state;

    use_folder("mode");
    assert_int_equal(mkdir(runtime.places[0].folder, 0700), 0);
    assert_int_equal(chmod(runtime.places[0].folder, row->mode), 0);
    assert_int_equal(
        cli_runtime_folder_is_safe(runtime.places[0].folder, true), row->safe);
    assert_int_equal(rmdir(runtime.places[0].folder), 0);
}

static void test_cli_control_folder_link(void **state)
{
    char target[200];

    (void)state;
    use_folder("link");
    (void)snprintf(target, sizeof(target), "%s/target", dir);
    assert_int_equal(mkdir(target, 0700), 0);
    assert_int_equal(symlink(target, runtime.places[0].folder), 0);
    assert_false(cli_runtime_folder_is_safe(runtime.places[0].folder, true));
    assert_int_equal(unlink(runtime.places[0].folder), 0);
    assert_int_equal(rmdir(target), 0);
}

static void test_cli_control_folder_fifo(void **state)
{
    (void)state;
    use_folder("fifo");
    assert_int_equal(mkfifo(runtime.places[0].folder, 0700), 0);
    assert_false(cli_runtime_folder_is_safe(runtime.places[0].folder, true));
    assert_int_equal(unlink(runtime.places[0].folder), 0);
}

static void test_cli_control_folder_file(void **state)
{
    int fd;

    (void)state;
    use_folder("file");
    fd = open(runtime.places[0].folder, O_CREAT | O_WRONLY | O_CLOEXEC, 0700);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_false(cli_runtime_folder_is_safe(runtime.places[0].folder, true));
    assert_int_equal(unlink(runtime.places[0].folder), 0);
}

static void test_cli_control_folder_owner(void **state)
{
    (void)state;
    if (getuid() != 0) {
        pn_test_skip("needs somebody else to give it to");
    }
    use_folder("owner");
    assert_int_equal(mkdir(runtime.places[0].folder, 0700), 0);
    assert_int_equal(chown(runtime.places[0].folder, NOBODY, NOBODY), 0);
    assert_false(cli_runtime_folder_is_safe(runtime.places[0].folder, true));
    assert_int_equal(rmdir(runtime.places[0].folder), 0);
}

static void test_cli_control_folder_missing(void **state)
{
    struct stat info;

    (void)state;
    use_folder("missing");
    assert_false(cli_runtime_folder_is_safe(runtime.places[0].folder, false));
    assert_true(cli_runtime_folder_is_safe(runtime.places[0].folder, true));
    assert_int_equal(stat(runtime.places[0].folder, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0700);
    assert_int_equal(rmdir(runtime.places[0].folder), 0);
}

/* No safe folder: an error that says which, and no socket anywhere. */
static void test_cli_control_no_folder(void **state)
{
    cli_text error = {0};

    (void)state;
    use_folder("open");
    assert_int_equal(mkdir(runtime.places[0].folder, 0700), 0);
    assert_int_equal(chmod(runtime.places[0].folder, 0777), 0);
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(
        cli_control_open(&loop, &runtime, &callbacks, &control, &error),
        PN_PERMISSION);
    assert_non_null(strstr(cli_text_string(&error), "mode 0700"));
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_int_equal(rmdir(runtime.places[0].folder), 0);
    cli_text_fini(&error);
}

/* ---- where it is -------------------------------------------------------- */

static void test_cli_control_places(void **state)
{
    cli_runtime a;
    cli_runtime b;
    char last[64];

    (void)state;
    (void)snprintf(last, sizeof(last), "/tmp/peernet-%u", geteuid());
    assert_int_equal(setenv("XDG_RUNTIME_DIR", dir, 1), 0);
    cli_runtime_places("/home/a/.local/state/peernet", &a);
    assert_true(a.n_places >= 2);
    assert_int_equal(strncmp(a.places[0].socket, dir, strlen(dir)), 0);
    assert_string_equal(a.places[a.n_places - 1].folder, last);
    cli_runtime_places("/home/b/.local/state/peernet", &b);
    assert_string_not_equal(a.places[0].socket, b.places[0].socket);
    cli_runtime_places("/home/a/.local/state/peernet", &b);
    assert_string_equal(a.places[0].socket, b.places[0].socket);
}

static void test_cli_control_places_bad_xdg(void **state)
{
    char too_long[200] = "";
    cli_runtime r;

    (void)state;
    /* Long enough that the socket's name does not fit any more. */
    (void)snprintf(too_long, sizeof(too_long), "%s", dir);
    while (strlen(too_long) < 80) {
        strcat(too_long, "/.");
    }
    for (int i = 0; i < 4; i++) {
        const char *const bad[] = {"", "relative", "/nonexistent", too_long};

        assert_int_equal(setenv("XDG_RUNTIME_DIR", bad[i], 1), 0);
        cli_runtime_places("/x", &r);
        assert_true(r.n_places >= 1);
        assert_int_equal(
            strncmp(r.places[0].socket, "/tmp/peernet-control", 20) == 0, 0);
        assert_true(strlen(r.places[0].socket) <= CLI_SOCKET_PATH_MAX);
    }
    (void)unsetenv("XDG_RUNTIME_DIR");
}

/* As systemd gives it to a service: a list, and above all others. */
static void test_cli_control_places_runtime_directory(void **state)
{
    char list[400];
    char want[200];
    cli_runtime r;

    (void)state;
    (void)snprintf(list, sizeof(list), "%s:/elsewhere", dir);
    (void)snprintf(want, sizeof(want), "%s/peernet", dir);
    assert_int_equal(setenv("RUNTIME_DIRECTORY", list, 1), 0);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", "/nonexistent", 1), 0);
    cli_runtime_places("/x", &r);
    assert_string_equal(r.places[0].folder, want);
    assert_int_equal(setenv("RUNTIME_DIRECTORY", "/nonexistent", 1), 0);
    cli_runtime_places("/x", &r);
    assert_string_not_equal(r.places[0].folder, "/nonexistent/peernet");
    (void)unsetenv("RUNTIME_DIRECTORY");
    (void)unsetenv("XDG_RUNTIME_DIR");
}

static void test_cli_control_link(void **state)
{
    char path[200];
    cli_runtime r = {.n_places = 0};

    (void)state;
    cli_runtime_read_link(dir, &r);
    assert_int_equal(r.n_places, 0);
    cli_runtime_write_link(dir, "/somewhere/else/x.sock");
    cli_runtime_write_link(dir, "/somewhere/y.sock");
    cli_runtime_read_link(dir, &r);
    assert_int_equal(r.n_places, 1);
    assert_string_equal(r.places[0].folder, "/somewhere");
    assert_string_equal(r.places[0].socket, "/somewhere/y.sock");
    cli_runtime_write_link(dir, NULL);
    r.n_places = 0;
    cli_runtime_read_link(dir, &r);
    assert_int_equal(r.n_places, 0);
    /* Neither what is too long for a socket's name, nor a relative path. */
    (void)snprintf(path, sizeof(path), "/%0150d/s", 0);
    cli_runtime_write_link(dir, path);
    cli_runtime_read_link(dir, &r);
    cli_runtime_write_link(dir, "run/s");
    cli_runtime_read_link(dir, &r);
    assert_int_equal(r.n_places, 0);
    cli_runtime_write_link(dir, NULL);
}

static const struct {
    const char *name;
    CMUnitTestFunction function;
} tests[] = {
    {"left", test_cli_control_left},
    {"made_again", test_cli_control_made_again},
    {"replaced", test_cli_control_replaced},
    {"places_runtime_directory", test_cli_control_places_runtime_directory},
    {"link", test_cli_control_link},
    {"line", test_cli_control_line},
    {"binary", test_cli_control_binary},
    {"line_below_limit", test_cli_control_line_below_limit},
    {"line_at_limit", test_cli_control_line_at_limit},
    {"line_over_limit", test_cli_control_line_over_limit},
    {"line_never_ends", test_cli_control_line_never_ends},
    {"many_lines", test_cli_control_many_lines},
    {"client_limit", test_cli_control_client_limit},
    {"first_line", test_cli_control_first_line},
    {"slow_reader", test_cli_control_slow_reader},
    {"other_user", test_cli_control_other_user},
    {"socket_mode", test_cli_control_socket_mode},
    {"stale_socket", test_cli_control_stale_socket},
    {"folder_link", test_cli_control_folder_link},
    {"folder_fifo", test_cli_control_folder_fifo},
    {"folder_file", test_cli_control_folder_file},
    {"folder_owner", test_cli_control_folder_owner},
    {"folder_missing", test_cli_control_folder_missing},
    {"no_folder", test_cli_control_no_folder},
    {"places", test_cli_control_places},
    {"places_bad_xdg", test_cli_control_places_bad_xdg},
};

int main(void)
{
    int status;

    (void)signal(SIGPIPE, SIG_IGN);
    if (mkdtemp(dir) == NULL) {
        return 99;
    }
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        pn_test_addf(tests[i].function, NULL, "cli/control/%s", tests[i].name);
    }
    for (size_t i = 0; i < sizeof(folder_rows) / sizeof(folder_rows[0]); i++) {
        pn_test_addf(test_cli_control_folder_mode,
            (void *)(uintptr_t)&folder_rows[i], "cli/control/folder_%s",
            folder_rows[i].name);
    }
    status = pn_test_run("cli/control");
    use_folder("run");
    (void)rmdir(runtime.places[0].folder);
    (void)rmdir(dir);
    return status;
}

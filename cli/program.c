/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs of programs: who runs, who waits, and how each run ends. A run ends
 * when its leader has exited; by then all it wrote is in the pipe. Its process
 * group is killed before the leader is reaped, while nobody else can have got
 * the same number.
 */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mutant.h"
#include "program_spawn.h"

#define MAX_STDERR 16384
#define READ_SIZE 4096
#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

typedef struct job {
    struct job *next; /* in `running` or `waiting` */
    cli_programs *pool;
    const cli_program *program;
    char *peer;
    char *env[6];
    char *handle;
    cli_text input;
    cli_text output;
    cli_program_done *done;
    void *user;
    pid_t pid;
    cli_program_outcome outcome; /* why it was killed, if it was */
    bool killed;
    size_t n_stderr;
    uv_timer_t timer;
    uv_pipe_t in;
    uv_pipe_t out;
    uv_pipe_t err;
    uv_write_t write;
    unsigned n_handles;
    char read_buf[READ_SIZE];
} job;

struct cli_programs {
    uv_loop_t *loop;
    cli_programs_options options;
    uv_signal_t child_signal;
    job *running;
    job *waiting;
    unsigned n_running;
    unsigned n_waiting;
    size_t waiting_bytes;
    bool closing;
};

/* ---- life of a job ------------------------------------------------------ */

static void job_free(job *j)
{
    for (size_t i = 0; i < sizeof(j->env) / sizeof(j->env[0]); i++) {
        free(j->env[i]);
    }
    free(j->peer);
    free(j->handle);
    cli_text_fini(&j->input);
    cli_text_fini(&j->output);
    free(j);
}

static char *join(const char *name, const char *value)
{
    cli_text t = {0};

    cli_text_printf(&t, "%s=%s", name, value);
    if (t.failed) {
        cli_text_fini(&t);
    }
    return t.data;
}

/* The whole environment of a program. */
static bool job_env(job *j, const cli_program_job *from)
{
    const char *path = getenv("PATH");

    j->env[0] = join("PATH", path == NULL ? DEFAULT_PATH : path);
    j->env[1] = join("PEERNET_PEER", from->peer);
    j->env[2] = join("PEERNET_LABEL", from->label);
    j->env[3] = join("PEERNET_HANDLE", from->handle);
    j->env[4] = join("PEERNET_FAMILY", from->family);
    return j->env[0] != NULL && j->env[1] != NULL && j->env[2] != NULL
           && j->env[3] != NULL && j->env[4] != NULL;
}

static job *job_new(cli_programs *pool, const cli_program_job *from)
{
    job *j = calloc(1, sizeof(*j));

    if (j == NULL) {
        return NULL;
    }
    j->pool = pool;
    j->program = from->program;
    j->done = from->done;
    j->user = from->user;
    j->peer = strdup(from->peer);
    j->handle = strdup(from->handle);
    if (j->peer == NULL || j->handle == NULL || !job_env(j, from)) {
        job_free(j);
        return NULL;
    }
    j->input = *from->input;
    *from->input = (cli_text){0};
    return j;
}

static void report(job *j, cli_program_outcome outcome, int status)
{
    cli_program_result result = {
        outcome, status, cli_text_string(&j->output), j->output.len};

    j->done(j->user, &result);
}

static void on_job_handle_closed(uv_handle_t *handle)
{
    job *j = handle->data;

    if (--j->n_handles == 0) {
        job_free(j);
    }
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle)) {
        uv_close(handle, on_job_handle_closed);
    }
}

static void unlink_job(job **list, job *j)
{
    while (*list != NULL && *list != j) {
        list = &(*list)->next;
    }
    if (*list != NULL) {
        *list = j->next;
    }
    j->next = NULL;
}

static void start_waiting(cli_programs *pool);

/* The only way out of a job that had started. */
static void job_end(job *j, cli_program_outcome outcome, int status)
{
    cli_programs *pool = j->pool;

    unlink_job(&pool->running, j);
    pool->n_running--;
    report(j, outcome, status);
    close_handle((uv_handle_t *)&j->timer);
    close_handle((uv_handle_t *)&j->in);
    close_handle((uv_handle_t *)&j->out);
    close_handle((uv_handle_t *)&j->err);
    if (!pool->closing) {
        start_waiting(pool);
    }
}

/* ---- ending a run ------------------------------------------------------- */

/* The group dies now; the leader's end is noticed like any other. */
static void job_kill(job *j, cli_program_outcome why)
{
    if (j->killed) {
        return;
    }
    j->killed = true;
    j->outcome = why;
    if (PN_CHECK(cli_program_kill, true)) {
        (void)kill(-j->pid, SIGKILL);
    }
}

static void take_output(job *j, const char *data, size_t len)
{
    if (j->killed) {
        return;
    }
    if (PN_CHECK(cli_program_output,
            len > j->program->max_output
                || j->output.len > j->program->max_output - len)) {
        job_kill(j, CLI_PROGRAM_TOO_LARGE);
        return;
    }
    cli_text_add(&j->output, data, len);
    if (j->output.failed) {
        job_kill(j, CLI_PROGRAM_TOO_LARGE);
    }
}

/* What is in the pipe now; a process that left the group may still hold it
 * open, and is not waited for. */
static void drain(job *j)
{
    uv_os_fd_t fd;
    ssize_t n;

    if (uv_is_closing((uv_handle_t *)&j->out)
        || uv_fileno((uv_handle_t *)&j->out, &fd) != 0) {
        return;
    }
    while ((n = read(fd, j->read_buf, sizeof(j->read_buf))) > 0 && !j->killed) {
        take_output(j, j->read_buf, (size_t)n);
    }
}

static void job_exited(job *j)
{
    int status = 0;

    (void)kill(-j->pid, SIGKILL);
    while (waitpid(j->pid, &status, 0) < 0 && errno == EINTR) {}
    drain(j);
    if (j->killed) {
        job_end(j, j->outcome, 0);
    } else if (WIFSIGNALED(status)) {
        job_end(j, CLI_PROGRAM_SIGNALLED, WTERMSIG(status));
    } else {
        job_end(j, CLI_PROGRAM_EXITED, WEXITSTATUS(status));
    }
}

static bool has_exited(const job *j)
{
    siginfo_t info;

    memset(&info, 0, sizeof(info));
    return waitid(P_PID, (id_t)j->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0
           && info.si_pid == j->pid;
}

static void on_child_signal(uv_signal_t *handle, int signum)
{
    cli_programs *pool = handle->data;
    job *j = pool->running;

    (void)signum;
    while (j != NULL) {
        job *next = j->next;

        if (has_exited(j)) {
            job_exited(j);
            /* Ending one may have started another at the list's head. */
            next = pool->running;
        }
        j = next;
    }
}

/* ---- what happens during a run ------------------------------------------ */

static void on_timeout(uv_timer_t *timer)
{
    job_kill(timer->data, CLI_PROGRAM_TIMED_OUT);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    job *j = handle->data;

    (void)suggested;
    *buf = uv_buf_init(j->read_buf, sizeof(j->read_buf));
}

static void on_output(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    if (n > 0) {
        take_output(stream->data, buf->base, (size_t)n);
    } else if (n < 0) {
        (void)uv_read_stop(stream);
    }
}

static void on_error_output(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    job *j = stream->data;
    const cli_programs_options *options = &j->pool->options;

    if (n < 0) {
        (void)uv_read_stop(stream);
        return;
    }
    if (n > 0 && options->on_stderr != NULL && j->n_stderr < MAX_STDERR) {
        options->on_stderr(options->user, j->handle, buf->base, (size_t)n);
    }
    j->n_stderr += (size_t)n;
}

/* Written, or the program closed its input early, which is its right. */
static void on_written(uv_write_t *write, int status)
{
    job *j = write->data;

    (void)status;
    close_handle((uv_handle_t *)&j->in);
}

static void job_open_pipe(job *j, uv_pipe_t *pipe, int fd)
{
    (void)uv_pipe_init(j->pool->loop, pipe, 0);
    pipe->data = j;
    j->n_handles++;
    (void)uv_pipe_open(pipe, fd);
}

static void job_watch(job *j, const cli_spawned *spawned)
{
    uv_buf_t input = uv_buf_init(j->input.data, (unsigned)j->input.len);

    j->pid = spawned->pid;
    (void)uv_timer_init(j->pool->loop, &j->timer);
    j->timer.data = j;
    j->n_handles++;
    job_open_pipe(j, &j->in, spawned->in);
    job_open_pipe(j, &j->out, spawned->out);
    job_open_pipe(j, &j->err, spawned->err);
    (void)uv_timer_start(&j->timer, on_timeout, j->program->timeout_ms, 0);
    (void)uv_read_start((uv_stream_t *)&j->out, on_alloc, on_output);
    (void)uv_read_start((uv_stream_t *)&j->err, on_alloc, on_error_output);
    j->write.data = j;
    if (uv_write(&j->write, (uv_stream_t *)&j->in, &input, 1, on_written)
        != 0) {
        close_handle((uv_handle_t *)&j->in);
    }
}

/* ---- who runs ----------------------------------------------------------- */

static void job_start(job *j)
{
    cli_programs *pool = j->pool;
    unsigned tasks = cli_system_tasks();
    cli_spawn spawn = {
        .path = j->program->path,
        .argv = j->program->argv,
        .env = j->env,
        .cpu_seconds = j->program->timeout_ms / 1000 + 2,
        .processes = tasks == 0 ? 0 : tasks + pool->options.max_processes,
    };
    cli_spawned spawned;
    int error = cli_program_spawn(&spawn, &spawned);

    if (error != 0) {
        report(j, CLI_PROGRAM_NOT_STARTED, error);
        job_free(j);
        return;
    }
    j->next = pool->running;
    pool->running = j;
    pool->n_running++;
    job_watch(j, &spawned);
}

static bool may_run(const cli_programs *pool, const char *peer)
{
    unsigned n = 0;

    for (const job *j = pool->running; j != NULL; j = j->next) {
        n += strcmp(j->peer, peer) == 0;
    }
    return !PN_CHECK(cli_program_running,
               pool->n_running >= pool->options.max_running)
           && !PN_CHECK(cli_program_per_peer, n >= pool->options.max_per_peer);
}

static void start_waiting(cli_programs *pool)
{
    job *j = pool->waiting;

    while (j != NULL && pool->n_running < pool->options.max_running) {
        job *next = j->next;

        if (may_run(pool, j->peer)) {
            unlink_job(&pool->waiting, j);
            pool->n_waiting--;
            pool->waiting_bytes -= j->input.len;
            job_start(j);
        }
        j = next;
    }
}

bool cli_programs_run(cli_programs *pool, const cli_program_job *from)
{
    bool now = may_run(pool, from->peer);
    job **end = &pool->waiting;
    job *j;

    if (pool->closing
        || PN_CHECK(cli_program_waiting,
            !now
                && (pool->n_waiting >= pool->options.max_waiting
                    || pool->waiting_bytes + from->input->len
                           > pool->options.max_waiting_bytes))) {
        return false;
    }
    j = job_new(pool, from);
    if (j == NULL) {
        return false;
    }
    if (now) {
        job_start(j);
        return true;
    }
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = j;
    pool->n_waiting++;
    pool->waiting_bytes += j->input.len;
    return true;
}

/* ---- the pool ----------------------------------------------------------- */

void cli_programs_options_init(cli_programs_options *options)
{
    *options = (cli_programs_options){
        .max_running = 16,
        .max_per_peer = 4,
        .max_waiting = 64,
        .max_waiting_bytes = (size_t)16 << 20,
        .max_processes = 256,
    };
}

cli_programs *cli_programs_new(
    uv_loop_t *loop, const cli_programs_options *options)
{
    cli_programs *pool = calloc(1, sizeof(*pool));

    if (pool == NULL) {
        return NULL;
    }
    pool->loop = loop;
    pool->options = *options;
    if (uv_signal_init(loop, &pool->child_signal) != 0) {
        free(pool);
        return NULL;
    }
    pool->child_signal.data = pool;
    (void)uv_signal_start(&pool->child_signal, on_child_signal, SIGCHLD);
    uv_unref((uv_handle_t *)&pool->child_signal);
    return pool;
}

unsigned cli_programs_running(const cli_programs *pool)
{
    return pool->n_running;
}

static void on_pool_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void cli_programs_close(cli_programs *pool)
{
    if (pool == NULL) {
        return;
    }
    pool->closing = true;
    while (pool->waiting != NULL) {
        job *j = pool->waiting;

        pool->waiting = j->next;
        report(j, CLI_PROGRAM_CANCELLED, 0);
        job_free(j);
    }
    while (pool->running != NULL) {
        job *j = pool->running;

        j->killed = true;
        j->outcome = CLI_PROGRAM_CANCELLED;
        job_exited(j);
    }
    uv_close((uv_handle_t *)&pool->child_signal, on_pool_closed);
}

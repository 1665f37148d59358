/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs of programs: running and waiting jobs, and the end of each run. A run
 * ends when its leader has exited; by then all its output is in the pipe. Its
 * process group is killed before the leader is reaped, while the group's number
 * cannot belong to another process.
 */
#include "program.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mutant.h"
#include "program_spawn.h"
#include "signals.h"

#define MAX_STDERR 16384
#define READ_SIZE 4096
#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

typedef struct job {
    struct job *next; /* in `running` or `waiting` */
    cli_programs *pool;
    cli_program_job is; /* its strings are in `env` */
    char *env[6];
    cli_text input;
    cli_text output;
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
    cli_text_fini(&j->input);
    cli_text_fini(&j->output);
    free(j);
}

/* NAME=VALUE; *ret_value is the value in it. */
static char *join(const char *name, const char *value, const char **ret_value)
{
    cli_text t = {0};

    cli_text_printf(&t, "%s=%s", name, value);
    if (t.failed) {
        cli_text_fini(&t);
        return NULL;
    }
    *ret_value = t.data + strlen(name) + 1;
    return t.data;
}

/* The whole environment of a program. */
static bool job_env(job *j)
{
    const char *path = getenv("PATH");

    path = path == NULL ? DEFAULT_PATH : path;
    j->env[0] = join("PATH", path, &path);
    j->env[1] = join("PEERNET_PEER", j->is.peer, &j->is.peer);
    j->env[2] = join("PEERNET_LABEL", j->is.label, &j->is.label);
    j->env[3] = join("PEERNET_HANDLE", j->is.handle, &j->is.handle);
    j->env[4] = join("PEERNET_FAMILY", j->is.family, &j->is.family);
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
    j->is = *from;
    if (!job_env(j)) {
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

    j->is.done(j->is.user, &result);
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

/* Ends a job that had started; the only place that does. */
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

typedef enum leader_state {
    LEADER_RUNS,
    LEADER_ENDED, /* and not waited for: its number is still taken */
    LEADER_REAPED /* by us, or by other code of this process */
} leader_state;

static leader_state leader_of(const job *j)
{
    siginfo_t info;
    int status;

    if (j->pid == 0) {
        return LEADER_REAPED;
    }
    memset(&info, 0, sizeof(info));
    do {
        status = waitid(
            P_PID, (id_t)j->pid, &info, WEXITED | WNOHANG | WNOWAIT);
    } while (status != 0 && errno == EINTR);
    if (status != 0) {
        return LEADER_REAPED;
    }
    return info.si_pid == j->pid ? LEADER_ENDED : LEADER_RUNS;
}

/* Sends a signal to a group. It is not sent once the leader is reaped, because
 * the number may then belong to another process. */
static void kill_group(const job *j)
{
    if (j->pid != 0
        && !PN_REFUSE_IF(cli_program_reaped, leader_of(j) == LEADER_REAPED)) {
        (void)kill(-j->pid, SIGKILL);
    }
}

/* Kills the group; the leader's end is handled like any other. */
static void job_kill(job *j, cli_program_outcome why)
{
    if (j->killed) {
        return;
    }
    j->killed = true;
    j->outcome = why;
    if (PN_SAFEGUARD(cli_program_kill)) {
        kill_group(j);
    }
}

static void take_output(job *j, const char *data, size_t len)
{
    if (j->killed) {
        return;
    }
    if (PN_REFUSE_IF(cli_program_output,
            len > j->is.program->max_output
                || j->output.len > j->is.program->max_output - len)) {
        job_kill(j, CLI_PROGRAM_TOO_LARGE);
        return;
    }
    cli_text_add(&j->output, data, len);
    if (j->output.failed) {
        job_kill(j, CLI_PROGRAM_TOO_LARGE);
    }
}

/* Takes the bytes that are in the pipe now. It does not wait for the pipe's
 * end, because a process that left the group may hold it open. */
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

/* Ends the group and reaps the leader. False: its status is not known, because
 * other code has reaped it. */
static bool reap(job *j, int *ret_status)
{
    pid_t reaped;

    kill_group(j);
    do {
        reaped = waitpid(j->pid, ret_status, 0);
    } while (reaped < 0 && errno == EINTR);
    j->pid = 0;
    return reaped > 0;
}

static void job_exited(job *j)
{
    int status = 0;
    bool is_known = reap(j, &status);

    drain(j);
    if (j->killed) {
        job_end(j, j->outcome, 0);
    } else if (!is_known) {
        job_end(j, CLI_PROGRAM_LOST, 0);
    } else if (WIFSIGNALED(status)) {
        job_end(j, CLI_PROGRAM_SIGNALLED, WTERMSIG(status));
    } else {
        job_end(j, CLI_PROGRAM_EXITED, WEXITSTATUS(status));
    }
}

static job *find_running(const cli_programs *pool, pid_t pid)
{
    job *j = pool->running;

    while (j != NULL && j->pid != pid) {
        j = j->next;
    }
    return j;
}

/* A process without a parent becomes a child of process 1, and stays in the
 * table of processes until it is waited for. */
static void reap_adopted(cli_programs *pool)
{
    siginfo_t info;

    for (;;) {
        job *j;

        memset(&info, 0, sizeof(info));
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0
            || info.si_pid == 0) {
            return;
        }
        j = find_running(pool, info.si_pid);
        if (j != NULL) {
            job_exited(j);
        } else {
            (void)waitpid(info.si_pid, NULL, WNOHANG);
        }
    }
}

static void on_child_signal(uv_signal_t *handle, int signum)
{
    cli_programs *pool = handle->data;
    job *j = pool->running;

    (void)signum;
    while (j != NULL) {
        job *next = j->next;

        if (leader_of(j) != LEADER_RUNS) {
            job_exited(j);
            /* Ending one may have started another at the list's head. */
            next = pool->running;
        }
        j = next;
    }
    if (PN_SAFEGUARD(cli_program_adopted) && cli_signals_adopts()) {
        reap_adopted(pool);
    }
}

/* ---- events of a run ---------------------------------------------------- */

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
        options->on_stderr(options->user, j->is.handle, buf->base, (size_t)n);
    }
    j->n_stderr += (size_t)n;
}

/* The input was written, or the program closed it early, which is no error. */
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
    (void)uv_timer_start(&j->timer, on_timeout, j->is.program->timeout_ms, 0);
    (void)uv_read_start((uv_stream_t *)&j->out, on_alloc, on_output);
    (void)uv_read_start((uv_stream_t *)&j->err, on_alloc, on_error_output);
    j->write.data = j;
    if (uv_write(&j->write, (uv_stream_t *)&j->in, &input, 1, on_written)
        != 0) {
        close_handle((uv_handle_t *)&j->in);
    }
}

/* ---- starting runs ------------------------------------------------------ */

static void job_start(job *j)
{
    cli_programs *pool = j->pool;
    unsigned tasks = cli_system_tasks();
    cli_spawn spawn = {
        .path = j->is.program->path,
        .argv = j->is.program->argv,
        .env = j->env,
        .cpu_seconds = j->is.program->timeout_ms / 1000 + 2,
        .processes = tasks == 0 ? 0 : tasks + pool->options.max_processes,
    };
    cli_spawned spawned;
    int error;

    if (PN_REFUSE_IF(cli_program_wanted,
            j->is.is_wanted != NULL && !j->is.is_wanted(j->is.user))) {
        report(j, CLI_PROGRAM_CANCELLED, 0);
        job_free(j);
        return;
    }
    error = cli_program_spawn(&spawn, &spawned);
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
        n += strcmp(j->is.peer, peer) == 0;
    }
    return !PN_REFUSE_IF(cli_program_running,
               pool->n_running >= pool->options.max_running)
           && !PN_REFUSE_IF(
               cli_program_per_peer, n >= pool->options.max_per_peer);
}

static void stop_waiting(job *j)
{
    cli_programs *pool = j->pool;

    unlink_job(&pool->waiting, j);
    pool->n_waiting--;
    pool->waiting_bytes -= j->input.len;
}

static void start_waiting(cli_programs *pool)
{
    job *j = pool->waiting;

    while (j != NULL && pool->n_running < pool->options.max_running) {
        job *next = j->next;

        if (may_run(pool, j->is.peer)) {
            stop_waiting(j);
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
        || PN_REFUSE_IF(cli_program_waiting,
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

static void waiting_end(job *j)
{
    stop_waiting(j);
    report(j, CLI_PROGRAM_CANCELLED, 0);
    job_free(j);
}

static job *find_job(job *list, const void *user)
{
    while (list != NULL && list->is.user != user) {
        list = list->next;
    }
    return list;
}

void cli_programs_cancel(cli_programs *pool, const void *user)
{
    job *j = find_job(pool->waiting, user);

    if (j != NULL) {
        waiting_end(j);
        return;
    }
    j = find_job(pool->running, user);
    if (j != NULL) {
        job_kill(j, CLI_PROGRAM_CANCELLED);
    }
}

/* ---- the pool ----------------------------------------------------------- */

void cli_programs_options_init(cli_programs_options *options)
{
    *options = (cli_programs_options){
        .max_running = 16,
        .max_per_peer = 4,
        .max_waiting = 64,
        .max_waiting_bytes = (size_t)64 << 20,
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
        waiting_end(pool->waiting);
    }
    while (pool->running != NULL) {
        job *j = pool->running;

        j->killed = true;
        j->outcome = CLI_PROGRAM_CANCELLED;
        job_exited(j);
    }
    uv_close((uv_handle_t *)&pool->child_signal, on_pool_closed);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs of programs: running and waiting jobs, and the end of each run. The
 * starter starts and reaps them. A run ends when its leader has exited; by then
 * all its output is in the pipe.
 */
#include "program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mutant.h"

#define MAX_STDERR 16384
#define READ_SIZE 4096
/* A kill that the starter had no room for is asked for again after this. */
#define KILL_AGAIN_MS 100

typedef struct job {
    struct job *next; /* in `running` or `waiting` */
    cli_programs *pool;
    cli_program_job is; /* its strings are copies */
    uint32_t number;    /* the starter knows it by */
    cli_text input;
    cli_text output;
    cli_program_outcome outcome; /* why it was killed, if it was */
    bool killed;
    bool has_started; /* the pipes are open */
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
    cli_starter *starter;
    uv_poll_t reports;
    uint32_t last_number;
    job *running;
    job *waiting;
    unsigned n_running;
    unsigned n_waiting;
    size_t waiting_bytes;
    bool closing;
};

/* ---- life of a job ------------------------------------------------------ */

static void free_copy(const char *text)
{
    free((char *)(uintptr_t)text);
}

static void job_free(job *j)
{
    free_copy(j->is.peer);
    free_copy(j->is.label);
    free_copy(j->is.family);
    cli_text_fini(&j->input);
    cli_text_fini(&j->output);
    free(j);
}

static job *job_new(cli_programs *pool, const cli_program_job *from)
{
    job *j = calloc(1, sizeof(*j));

    if (j == NULL) {
        return NULL;
    }
    j->pool = pool;
    j->is = *from;
    j->is.peer = strdup(from->peer);
    j->is.label = strdup(from->label);
    j->is.family = strdup(from->family);
    if (j->is.peer == NULL || j->is.label == NULL || j->is.family == NULL) {
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
    if (j->has_started) {
        close_handle((uv_handle_t *)&j->in);
        close_handle((uv_handle_t *)&j->out);
        close_handle((uv_handle_t *)&j->err);
    }
    if (!pool->closing) {
        start_waiting(pool);
    }
}

/* ---- ending a run ------------------------------------------------------- */

static void ask_kill(job *j);

static void on_kill_again(uv_timer_t *timer)
{
    ask_kill(timer->data);
}

static void ask_kill(job *j)
{
    if (cli_starter_kill(j->pool->starter, j->number) == EAGAIN) {
        (void)uv_timer_start(&j->timer, on_kill_again, KILL_AGAIN_MS, 0);
    }
}

/* Asks to kill the group; the leader's end is handled like any other. */
static void job_kill(job *j, cli_program_outcome why)
{
    if (!j->killed) {
        j->killed = true;
        j->outcome = why;
        ask_kill(j);
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

static void take_error(job *j, const char *data, size_t len)
{
    const cli_programs_options *options = &j->pool->options;

    if (options->on_stderr != NULL && j->n_stderr < MAX_STDERR) {
        options->on_stderr(options->user, j->is.program->name, data, len);
    }
    j->n_stderr += len;
}

static ssize_t read_pipe(job *j, uv_pipe_t *pipe)
{
    uv_os_fd_t fd;

    return uv_fileno((uv_handle_t *)pipe, &fd) == 0
               ? read(fd, j->read_buf, sizeof(j->read_buf))
               : -1;
}

/* Takes the bytes that are in the pipes now. It does not wait for their end,
 * because a process that left the group may hold them open. */
static void drain(job *j)
{
    ssize_t n;

    while (j->has_started && !j->killed && (n = read_pipe(j, &j->out)) > 0) {
        take_output(j, j->read_buf, (size_t)n);
    }
    while (j->has_started && j->n_stderr < MAX_STDERR
           && (n = read_pipe(j, &j->err)) > 0) {
        take_error(j, j->read_buf, (size_t)n);
    }
}

/* status: as waitpid has it. */
static void job_exited(job *j, int status)
{
    drain(j);
    if (j->killed) {
        job_end(j, j->outcome, 0);
    } else if (WIFSIGNALED(status)) {
        job_end(j, CLI_PROGRAM_SIGNALLED, WTERMSIG(status));
    } else {
        job_end(j, CLI_PROGRAM_EXITED, WEXITSTATUS(status));
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
    if (n > 0) {
        take_error(stream->data, buf->base, (size_t)n);
    } else if (n < 0) {
        (void)uv_read_stop(stream);
    }
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

static void job_started(job *j, const cli_starter_report *r)
{
    uv_buf_t input = uv_buf_init(j->input.data, (unsigned)j->input.len);

    j->has_started = true;
    job_open_pipe(j, &j->in, r->in);
    job_open_pipe(j, &j->out, r->out);
    job_open_pipe(j, &j->err, r->err);
    (void)uv_read_start((uv_stream_t *)&j->out, on_alloc, on_output);
    (void)uv_read_start((uv_stream_t *)&j->err, on_alloc, on_error_output);
    j->write.data = j;
    if (uv_write(&j->write, (uv_stream_t *)&j->in, &input, 1, on_written)
        != 0) {
        close_handle((uv_handle_t *)&j->in);
    }
}

/* ---- reports of the starter --------------------------------------------- */

static job *find_running(const cli_programs *pool, uint32_t number)
{
    job *j = pool->running;

    while (j != NULL && j->number != number) {
        j = j->next;
    }
    return j;
}

static void on_report(
    cli_programs *pool, cli_starter_news news, const cli_starter_report *r)
{
    job *j = find_running(pool, r->job);

    if (j != NULL && news == CLI_STARTER_STARTED) {
        job_started(j, r);
    } else if (j != NULL && news == CLI_STARTER_FAILED) {
        job_end(j, j->killed ? j->outcome : CLI_PROGRAM_NOT_STARTED,
            j->killed ? 0 : r->status);
    } else if (j != NULL) {
        job_exited(j, r->status);
    }
}

/* All runs have ended with the starter, and no other will start. */
static void on_starter_gone(cli_programs *pool)
{
    (void)uv_poll_stop(&pool->reports);
    while (pool->running != NULL) {
        job *j = pool->running;

        drain(j);
        job_end(j, j->killed ? j->outcome : CLI_PROGRAM_LOST, 0);
    }
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    cli_programs *pool = poll->data;
    cli_starter_report r;
    cli_starter_news news;

    (void)status;
    (void)events;
    while (
        (news = cli_starter_take(pool->starter, &r)) != CLI_STARTER_NOTHING) {
        if (news == CLI_STARTER_GONE) {
            on_starter_gone(pool);
            return;
        }
        on_report(pool, news, &r);
    }
}

/* ---- starting runs ------------------------------------------------------ */

static void job_start(job *j)
{
    cli_programs *pool = j->pool;
    cli_starter_run run = {++pool->last_number, j->is.program->name, j->is.peer,
        j->is.label, j->is.family};
    int error;

    if (PN_REFUSE_IF(cli_program_wanted,
            j->is.is_wanted != NULL && !j->is.is_wanted(j->is.user))) {
        report(j, CLI_PROGRAM_CANCELLED, 0);
        job_free(j);
        return;
    }
    j->number = run.job;
    error = cli_starter_start(pool->starter, &run);
    if (error != 0) {
        report(j, CLI_PROGRAM_NOT_STARTED, error);
        job_free(j);
        return;
    }
    j->next = pool->running;
    pool->running = j;
    pool->n_running++;
    (void)uv_timer_init(pool->loop, &j->timer);
    j->timer.data = j;
    j->n_handles++;
    (void)uv_timer_start(&j->timer, on_timeout, j->is.program->timeout_ms, 0);
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
    };
}

cli_programs *cli_programs_new(
    uv_loop_t *loop, cli_starter *starter, const cli_programs_options *options)
{
    cli_programs *pool = calloc(1, sizeof(*pool));

    if (pool == NULL) {
        return NULL;
    }
    pool->loop = loop;
    pool->starter = starter;
    pool->options = *options;
    if (uv_poll_init(loop, &pool->reports, cli_starter_fd(starter)) != 0) {
        free(pool);
        return NULL;
    }
    pool->reports.data = pool;
    (void)uv_poll_start(&pool->reports, UV_READABLE, on_readable);
    uv_unref((uv_handle_t *)&pool->reports);
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
    for (job *j = pool->waiting, *next; j != NULL; j = next) {
        next = j->next;
        waiting_end(j);
    }
    while (pool->running != NULL) {
        job_kill(pool->running, CLI_PROGRAM_CANCELLED);
        job_end(pool->running, CLI_PROGRAM_CANCELLED, 0);
    }
    uv_close((uv_handle_t *)&pool->reports, on_pool_closed);
}

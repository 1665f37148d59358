/* SPDX-License-Identifier: Apache-2.0 */
/* The queue, its bound, and the thread that empties it. */
#include "output_writer.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mutant.h"

/* A pipe that can be written takes this much without waiting. */
#define CHUNK PIPE_BUF
#define MAX_FD 3 /* errors are kept for the standard files */

typedef struct item {
    struct item *next;
    int fd;
    cli_output_kind kind;
    uint64_t n_dropped; /* > 0: stands for so many lines, and has no bytes */
    size_t len;
    char data[];
} item;

struct cli_writer {
    cli_writer_options options;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    item *head; /* being written */
    item *tail;
    size_t n_bytes;
    size_t n_results;
    item *marks[MAX_FD];     /* at the tail, of lines that are dropped now */
    uint64_t n_lost[MAX_FD]; /* could not be written; not yet said */
    int errors[MAX_FD];
    bool closing;
};

/* ---- the queue; under the lock ------------------------------------------ */

static size_t item_cost(const item *i)
{
    return sizeof(*i) + i->len;
}

static void append(cli_writer *w, item *i)
{
    if (w->tail == NULL) {
        w->head = i;
    } else {
        w->tail->next = i;
    }
    w->tail = i;
    w->n_bytes += item_cost(i);
    w->n_results += i->kind == CLI_OUTPUT_RESULT;
    (void)pthread_cond_broadcast(&w->changed);
}

static item *item_new(
    int fd, cli_output_kind kind, const void *data, size_t len)
{
    item *i = len > SIZE_MAX / 2 ? NULL : malloc(sizeof(*i) + len);

    if (i != NULL) {
        *i = (item){.fd = fd, .kind = kind, .len = len};
        if (len > 0) {
            memcpy(i->data, data, len);
        }
    }
    return i;
}

/* One mark for each file stands for all lines that are dropped in a row, so
 * that dropped lines take no memory. */
static void drop(cli_writer *w, int fd)
{
    item *mark = w->marks[fd];

    if (mark != NULL) {
        mark->n_dropped++;
        return;
    }
    mark = item_new(fd, CLI_OUTPUT_LINE, NULL, 0);
    if (mark == NULL) {
        w->n_lost[fd]++;
        return;
    }
    mark->n_dropped = 1;
    append(w, mark);
    w->marks[fd] = mark;
}

/* Lines that are dropped after this get a mark of their own. */
static void end_marks(cli_writer *w)
{
    memset(w->marks, 0, sizeof(w->marks));
}

static bool is_full(const cli_writer *w, size_t len)
{
    return PN_REFUSE_IF(cli_writer_full,
        len + sizeof(item) > w->options.max_bytes
            || w->n_bytes > w->options.max_bytes - len - sizeof(item));
}

void cli_writer_add(
    cli_writer *w, int fd, cli_output_kind kind, const void *data, size_t len)
{
    item *i = NULL;

    (void)pthread_mutex_lock(&w->lock);
    if (kind == CLI_OUTPUT_RESULT || !is_full(w, len)) {
        i = item_new(fd, kind, data, len);
    }
    if (i != NULL) {
        append(w, i);
        end_marks(w);
    } else if (kind != CLI_OUTPUT_ECHO) {
        drop(w, fd);
    }
    (void)pthread_mutex_unlock(&w->lock);
}

/* ---- the thread --------------------------------------------------------- */

/* Waits for a reader in poll and not within write, because a terminal's
 * settings cannot be changed while a write to it blocks. Returns 0 or an
 * errno. */
static int write_all(int fd, const char *data, size_t len)
{
    struct pollfd out = {.fd = fd, .events = POLLOUT};

    while (len > 0) {
        ssize_t n;

        if (poll(&out, 1, -1) < 0 && errno != EINTR) {
            return errno;
        }
        n = write(fd, data, len < CHUNK ? len : CHUNK);
        if (n < 0 && errno != EINTR && errno != EAGAIN) {
            return errno;
        }
        data += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int write_dropped(cli_writer *w, int fd, uint64_t n)
{
    cli_text t = {0};
    int error = 0;

    w->options.say_dropped(w->options.user, fd, n, &t);
    if (!t.failed) {
        error = write_all(fd, t.data, t.len);
    }
    cli_text_fini(&t);
    return error;
}

static void note_error(cli_writer *w, int fd, int error)
{
    if (error != 0 && w->errors[fd] == 0) {
        w->errors[fd] = error;
        if (w->options.on_error != NULL) {
            w->options.on_error(w->options.user, fd);
        }
    }
}

static void take_off_head(cli_writer *w)
{
    item *i = w->head;

    w->head = i->next;
    w->tail = w->head == NULL ? NULL : w->tail;
    w->n_bytes -= item_cost(i);
    w->n_results -= i->kind == CLI_OUTPUT_RESULT;
    free(i);
    (void)pthread_cond_broadcast(&w->changed);
}

/* How many lines are lost when an item is not written. */
static uint64_t n_lines(const item *i)
{
    return i->n_dropped > 0 ? i->n_dropped : i->kind != CLI_OUTPUT_ECHO;
}

/* Under the lock, which is not held while writing: the head is this thread's.
 * Lines that could not be written, because a disk was full or a reader had
 * gone, are counted, and the count is written once writing works again. */
static void write_head(cli_writer *w)
{
    const item *i = w->head;
    int fd = i->fd;
    uint64_t n_lost = w->n_lost[fd];
    bool said = false;
    int error;

    if (w->marks[fd] == i) {
        w->marks[fd] = NULL;
    }
    (void)pthread_mutex_unlock(&w->lock);
    error = i->n_dropped > 0 ? write_dropped(w, fd, i->n_dropped)
            : i->kind == CLI_OUTPUT_RECORD
                ? w->options.send(fd, i->data, i->len)
                : write_all(fd, i->data, i->len);
    if (error == 0 && n_lost > 0) {
        said = write_dropped(w, fd, n_lost) == 0;
    }
    (void)pthread_mutex_lock(&w->lock);
    w->n_lost[fd] -= said ? n_lost : 0;
    w->n_lost[fd] += error != 0 ? n_lines(i) : 0;
    note_error(w, fd, error);
    take_off_head(w);
}

static void *run(void *user)
{
    cli_writer *w = user;

    (void)pthread_mutex_lock(&w->lock);
    while (w->head != NULL || !w->closing) {
        if (w->head == NULL) {
            (void)pthread_cond_wait(&w->changed, &w->lock);
            continue;
        }
        write_head(w);
    }
    (void)pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* ---- life --------------------------------------------------------------- */

void cli_writer_options_init(cli_writer_options *options)
{
    *options = (cli_writer_options){.max_bytes = CLI_WRITER_MAX};
}

static void writer_free(cli_writer *w)
{
    (void)pthread_cond_destroy(&w->changed);
    (void)pthread_mutex_destroy(&w->lock);
    free(w);
}

/* The writer's thread blocks signals, because it may wait for a reader. */
static bool start(cli_writer *w)
{
    sigset_t all;
    sigset_t before;
    bool started;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    started = pthread_create(&w->thread, NULL, run, w) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

cli_writer *cli_writer_new(const cli_writer_options *options)
{
    cli_writer *w = calloc(1, sizeof(*w));
    pthread_condattr_t monotonic;

    if (w == NULL) {
        return NULL;
    }
    w->options = *options;
    (void)pthread_mutex_init(&w->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&w->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    if (!start(w)) {
        writer_free(w);
        return NULL;
    }
    return w;
}

static struct timespec in_ms(int ms)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

static bool is_written(const cli_writer *w, bool results_only)
{
    return results_only ? w->n_results == 0 : w->head == NULL;
}

bool cli_writer_wait(cli_writer *w, bool results_only, int ms)
{
    const struct timespec end = in_ms(ms < 0 ? 0 : ms);
    int late = 0;
    bool written;

    (void)pthread_mutex_lock(&w->lock);
    while (!is_written(w, results_only) && late == 0) {
        late = ms < 0 ? pthread_cond_wait(&w->changed, &w->lock)
                      : pthread_cond_timedwait(&w->changed, &w->lock, &end);
    }
    written = is_written(w, results_only);
    (void)pthread_mutex_unlock(&w->lock);
    return written;
}

int cli_writer_error(cli_writer *w, int fd)
{
    int error;

    (void)pthread_mutex_lock(&w->lock);
    error = w->errors[fd];
    (void)pthread_mutex_unlock(&w->lock);
    return error;
}

void cli_writer_close(cli_writer *w)
{
    bool written;

    if (w == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&w->lock);
    written = w->head == NULL;
    w->closing = written;
    w->options.on_error = NULL;
    (void)pthread_cond_broadcast(&w->changed);
    (void)pthread_mutex_unlock(&w->lock);
    if (!written) {
        (void)pthread_detach(w->thread);
        return;
    }
    (void)pthread_join(w->thread, NULL);
    writer_free(w);
}

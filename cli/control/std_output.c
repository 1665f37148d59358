/* SPDX-License-Identifier: Apache-2.0 */
/* The writers of the two standard files. */
#include "std_output.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/journal.h"
#include "json/jsonout.h"

static struct {
    pthread_once_t once;
    cli_writer *of[STDERR_FILENO + 1]; /* by descriptor; may be one twice */
    atomic_bool json;
    atomic_bool hurry;
    atomic_bool finished;
    pthread_mutex_t lock; /* of the two below */
    void (*wake)(void *user);
    void *user;
} outputs = {.once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- writers ------------------------------------------------------------ */

static void say_dropped(void *user, int fd, uint64_t n, cli_text *t)
{
    (void)user;
    if (fd == STDERR_FILENO) {
        cli_text_printf(t,
            "peernet: warning: %" PRIu64 " lines were dropped here: standard "
            "error was not read\n",
            n);
    } else if (!atomic_load(&outputs.json)) {
        cli_text_printf(t,
            "output-dropped  %" PRIu64 " lines: standard output was not "
            "read\n",
            n);
    } else {
        cli_json_open(t, NULL, '{');
        cli_json_string(t, "event", "output-dropped");
        cli_json_time(t, "time");
        cli_json_int(t, "lines", (int64_t)n);
        cli_json_close(t, '}');
        cli_text_putc(t, '\n');
    }
}

static void on_error(void *user, int fd)
{
    (void)user;
    (void)pthread_mutex_lock(&outputs.lock);
    if (fd == STDOUT_FILENO && outputs.wake != NULL) {
        outputs.wake(outputs.user);
    }
    (void)pthread_mutex_unlock(&outputs.lock);
}

static bool are_one_file(void)
{
    struct stat out;
    struct stat err;

    return fstat(STDOUT_FILENO, &out) == 0 && fstat(STDERR_FILENO, &err) == 0
           && out.st_dev == err.st_dev && out.st_ino == err.st_ino;
}

static void start(void)
{
    cli_writer_options options;

    cli_writer_options_init(&options);
    options.say_dropped = say_dropped;
    options.on_error = on_error;
    options.send = cli_journal_send;
    outputs.of[STDOUT_FILENO] = cli_writer_new(&options);
    outputs.of[STDERR_FILENO] = are_one_file() ? outputs.of[STDOUT_FILENO]
                                               : cli_writer_new(&options);
}

/* ---- printing ----------------------------------------------------------- */

void cli_output(int fd, cli_output_kind kind, const void *data, size_t len)
{
    (void)pthread_once(&outputs.once, start);
    if (atomic_load(&outputs.finished)) {
        return;
    }
    if (outputs.of[fd] != NULL) {
        cli_writer_add(outputs.of[fd], fd, kind, data, len);
    } else {
        /* Without a thread or memory the line is written here, which may
         * block. */
        (void)!write(fd, data, len);
    }
}

void cli_output_text(int fd, cli_output_kind kind, cli_text *text)
{
    if (!text->failed) {
        cli_output(fd, kind, cli_text_string(text), text->len);
    }
    cli_text_fini(text);
}

bool cli_output_is_journal(int fd)
{
    return cli_journal_has(fd);
}

static void add_fields(cli_text *record, const cli_log_fields *fields)
{
    char priority[12];

    (void)snprintf(priority, sizeof(priority), "%d", fields->priority);
    cli_journal_field(record, "PRIORITY", priority);
    cli_journal_field(record, "PEERNET_EVENT", fields->event);
    cli_journal_field(record, "PEERNET_PEER", fields->peer);
    cli_journal_field(record, "PEERNET_LABEL", fields->label);
    cli_journal_field(record, "PEERNET_ADDRESS", fields->address);
    cli_journal_field(record, "PEERNET_REASON", fields->reason);
    cli_journal_field(record, "PEERNET_HANDLE", fields->handle);
}

void cli_output_log(int fd, const cli_log_fields *fields, cli_text *line)
{
    static const char name[] = "peernet: ";
    const size_t len = sizeof(name) - 1;
    const char *message;
    cli_text record = {0};

    if (!cli_journal_has(fd)) {
        cli_text_putc(line, '\n');
        cli_output_text(fd, CLI_OUTPUT_LINE, line);
        return;
    }
    message = cli_text_string(line);
    cli_journal_field(&record, "MESSAGE",
        strncmp(message, name, len) == 0 ? message + len : message);
    add_fields(&record, fields);
    cli_output_text(fd, CLI_OUTPUT_RECORD, &record);
    cli_text_fini(line);
}

void cli_output_as_json(bool json)
{
    atomic_store(&outputs.json, json);
}

int cli_output_error(void)
{
    cli_writer *writer = outputs.of[STDOUT_FILENO];

    return writer == NULL ? 0 : cli_writer_error(writer, STDOUT_FILENO);
}

void cli_output_on_error(void (*wake)(void *user), void *user)
{
    (void)pthread_mutex_lock(&outputs.lock);
    outputs.wake = wake;
    outputs.user = user;
    (void)pthread_mutex_unlock(&outputs.lock);
}

void cli_output_hurry(void)
{
    atomic_store(&outputs.hurry, true);
}

/* ---- the end ------------------------------------------------------------ */

static void finish(int fd)
{
    cli_writer *writer = outputs.of[fd];

    if (writer == NULL) {
        return;
    }
    if (!atomic_load(&outputs.hurry)) {
        (void)cli_writer_wait(writer, true, -1);
    }
    (void)cli_writer_wait(writer, false, CLI_OUTPUT_LEAVE_MS);
}

static void say_error(int error)
{
    cli_text t = {0};

    cli_text_printf(&t, "peernet: standard output: %s\n", strerror(error));
    cli_output_text(STDERR_FILENO, CLI_OUTPUT_RESULT, &t);
}

int cli_output_finish(void)
{
    cli_writer *out = outputs.of[STDOUT_FILENO];
    cli_writer *err;
    int error;

    finish(STDOUT_FILENO);
    error = cli_output_error();
    if (error != 0 && error != EPIPE) {
        say_error(error);
    }
    finish(STDERR_FILENO);
    err = outputs.of[STDERR_FILENO];
    atomic_store(&outputs.finished, true);
    cli_writer_close(out);
    if (err != out) {
        cli_writer_close(err);
    }
    return error;
}

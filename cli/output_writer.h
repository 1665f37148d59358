/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded queue of output with a thread that writes it, so that only that
 * thread waits for a reader: a pipe may stay full, and a terminal stopped
 * (docs/THREATS.md, T27). Lines over the bound are dropped, and their number is
 * written in their place.
 *
 * Descriptors stay blocking, because O_NONBLOCK would be set for every process
 * that shares the file. Functions: any thread.
 */
#ifndef PN_CLI_OUTPUT_WRITER_H
#define PN_CLI_OUTPUT_WRITER_H

#include <peernet/common.h>

#include "text.h"

/* Bytes that wait to be written, with what a line costs beside its bytes. */
#define CLI_WRITER_MAX ((size_t)256 << 10)

typedef enum cli_output_kind {
    CLI_OUTPUT_LINE,   /* dropped, and counted, when the queue is full */
    CLI_OUTPUT_ECHO,   /* dropped without a word: what a line editor draws */
    CLI_OUTPUT_RECORD, /* for send; else as a line */
    CLI_OUTPUT_RESULT  /* what a command was asked for: never dropped */
} cli_output_kind;

typedef struct cli_writer_options {
    size_t max_bytes; /* default CLI_WRITER_MAX */
    /* Writes the line that stands for n lines dropped from what goes to fd,
     * its newline included. On the writer's thread. */
    void (*say_dropped)(void *user, int fd, uint64_t n, cli_text *t);
    /* Writing failed for the first time. On the writer's thread, under its
     * lock, so it may only wake another thread. May be NULL. */
    void (*on_error)(void *user, int fd);
    /* Takes a CLI_OUTPUT_RECORD for fd; returns 0 or an errno. On the writer's
     * thread, which may wait in it. */
    int (*send)(int fd, const char *data, size_t len);
    void *user;
} cli_writer_options;

typedef struct cli_writer cli_writer;

void cli_writer_options_init(cli_writer_options *options);

/* NULL: no memory, or no thread to be had. */
cli_writer *cli_writer_new(const cli_writer_options *options);

/* Takes a copy of len bytes for fd. Bytes are written once, in the order of
 * these calls. */
void cli_writer_add(cli_writer *writer, int fd, cli_output_kind kind,
    const void *data, size_t len);

/* Waits until everything is written, or only what is of kind RESULT. ms: how
 * long at most; negative: as long as it takes. False: it is not written. */
bool cli_writer_wait(cli_writer *writer, bool results_only, int ms);

/* errno of the first write to fd that failed, or 0. */
int cli_writer_error(cli_writer *writer, int fd);

/* Ends the thread and frees the writer when all is written; else the thread is
 * left to the end of the process, since nothing can be done about its write. */
void cli_writer_close(cli_writer *writer);

#endif

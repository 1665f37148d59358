/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Standard output and standard error of the process, behind writers
 * (output_writer.h), so that printing does not block. When both are one file,
 * one writer keeps them in order. Any thread.
 */
#ifndef PN_CLI_STD_OUTPUT_H
#define PN_CLI_STD_OUTPUT_H

#include "output_writer.h"

/* How long a command waits for the reader of its output after a signal. */
#define CLI_OUTPUT_LEAVE_MS 500

/* fd: STDOUT_FILENO or STDERR_FILENO. */
void cli_output(int fd, cli_output_kind kind, const void *data, size_t len);

/* The same for a text, which it frees; not for one that has failed. */
void cli_output_text(int fd, cli_output_kind kind, cli_text *text);

/* What the journal of systemd keeps beside a line. NULL or "": not there. */
typedef struct cli_log_fields {
    int priority;      /* of syslog(3): 3 error, 4 warning, 6 info, 7 debug */
    const char *event; /* PEERNET_EVENT, and so on */
    const char *peer;
    const char *label;
    const char *address;
    const char *reason;
    const char *handle;
} cli_log_fields;

/* True when fd goes to the journal, which has the time of a line itself. */
bool cli_output_is_journal(int fd);

/* One line of the log, without its newline, and frees it. Where fd goes to the
 * journal the fields go with it, and "peernet: " in front of it is left out:
 * the journal has that too. */
void cli_output_log(int fd, const cli_log_fields *fields, cli_text *line);

/* Lines that stand for dropped ones are JSON on standard output from now. */
void cli_output_as_json(bool json);

/* errno of the first write to standard output that failed, or 0; wake is called
 * then, on another thread, and may only wake this one. It may be NULL. */
int cli_output_error(void);
void cli_output_on_error(void (*wake)(void *user), void *user);

/* A signal asked the process to end: results wait for their reader no longer
 * than lines do. */
void cli_output_hurry(void);

/* Waits until results are written, and CLI_OUTPUT_LEAVE_MS for lines. Nothing
 * may be printed afterwards. Returns cli_output_error. */
int cli_output_finish(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A secret that a person types, or a program hands over by a descriptor. It
 * never comes from an argument or the environment, which other users and logs
 * see.
 */
#ifndef PN_CLI_SECRET_INPUT_H
#define PN_CLI_SECRET_INPUT_H

#include <stddef.h>
#include <stdio.h>

#define CLI_SECRET_MAX 1024

/* One line, without its newline. Its holder ends it with cli_secret_wipe. */
typedef struct cli_secret {
    char text[CLI_SECRET_MAX + 2];
    size_t len;
} cli_secret;

typedef enum cli_secret_result {
    CLI_SECRET_OK,
    CLI_SECRET_NO_TERMINAL, /* this process has none */
    CLI_SECRET_INTERRUPTED, /* Control-C, Control-\ or Control-Z was typed */
    CLI_SECRET_TOO_LONG,    /* more than CLI_SECRET_MAX bytes */
    CLI_SECRET_UNREADABLE,  /* errno */
    CLI_SECRET_NONE         /* the end came before a line */
} cli_secret_result;

/*
 * Shows the prompt on the terminal of this process and reads a line there,
 * which is not shown. Neither standard input nor output is used.
 */
cli_secret_result cli_secret_ask(const char *prompt, cli_secret *ret_secret);

/* Reads the first line of a descriptor, or all of it when no newline comes. */
cli_secret_result cli_secret_read(int fd, cli_secret *ret_secret);

/* What a result means, as a sentence without a subject. */
const char *cli_secret_why(cli_secret_result result);

void cli_secret_wipe(cli_secret *secret);

#endif

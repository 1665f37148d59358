/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command line against a table: which options a command has, which of them
 * take a value, how many other arguments it wants. Mistakes say what was
 * expected and quote what was found.
 */
#ifndef PN_CLI_ARGS_H
#define PN_CLI_ARGS_H

#include <peernet/common.h>

#include "text.h"

/* How a command ended; peernet(1), EXIT STATUS. */
typedef enum cli_exit {
    CLI_OK = 0,
    CLI_REMOTE = 1,       /* the peer answered with an error */
    CLI_USAGE = 2,        /* the command line or a term in it */
    CLI_NO_LINK = 3,      /* no link, no reply in time, the link ended */
    CLI_LOCAL = 4,        /* a file, the system, another process */
    CLI_NO_PEER = 5,      /* no paired peer, or more than one, is meant */
    CLI_INTERRUPTED = 130 /* by a signal, before it was done */
} cli_exit;

#define CLI_MAX_OPTIONS 128
#define CLI_MAX_POSITIONAL 8

typedef struct cli_option {
    const char *name;  /* without "--"; NULL ends a table */
    char short_name;   /* 0: none */
    const char *value; /* what its value is called; NULL: a flag */
    const char *help;
} cli_option;

typedef struct cli_args cli_args;

typedef struct cli_command {
    const char *name;
    cli_exit (*run)(const cli_args *args);
    const char *positional; /* "PEER HANDLE TERM" */
    unsigned n_min;
    unsigned n_max;
    const char *summary;
    const char *help;                 /* paragraphs below the summary */
    const cli_option *const *options; /* tables; NULL ends the list */
} cli_command;

struct cli_args {
    const cli_command *command;
    const char *positional[CLI_MAX_POSITIONAL];
    unsigned n_positional;
    struct {
        const cli_option *option;
        const char *value; /* NULL of a flag */
    } given[CLI_MAX_OPTIONS];
    unsigned n_given;
};

/*
 * Parses argv[1...]. The first word that is no option names the command;
 * global options may stand before and after it, "--" ends options, and "-"
 * and negative numbers are words. Strings of argv are borrowed.
 * False with a sentence in error. No command at all: command is NULL.
 */
bool cli_args_parse(int argc, char *const *argv, const cli_command *commands,
    const cli_option *global, cli_args *ret_args, cli_text *error);

/* The last value of an option; NULL when it was not given. "" for a flag. */
const char *cli_args_value(const cli_args *args, const char *name);
bool cli_args_flag(const cli_args *args, const char *name);
/* Values of an option that may be given again and again: start with *i = 0;
 * NULL at the end. */
const char *cli_args_next(const cli_args *args, const char *name, unsigned *i);
/*
 * A number from min to max; fallback when the option was not given. False with
 * a sentence in error.
 */
bool cli_args_number(const cli_args *args, const char *name, uint32_t min,
    uint32_t max, uint32_t fallback, uint32_t *ret_number, cli_text *error);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parses a command line by a table: the options of a command, which of them
 * take a value, and the number of its other arguments. The sentence of a
 * mistake names what was expected and quotes what was found.
 */
#ifndef PN_CLI_ARGS_H
#define PN_CLI_ARGS_H

#include <peernet/common.h>

#include "nearest.h"
#include "text.h"

/* The exit statuses; peernet(1), EXIT STATUS. */
typedef enum cli_exit {
    CLI_OK = 0,
    CLI_REMOTE = 1,       /* the peer answered with an error */
    CLI_USAGE = 2,        /* the command line or a term in it */
    CLI_NO_LINK = 3,      /* no node runs, no link, no reply in time */
    CLI_LOCAL = 4,        /* a file, the system, another process */
    CLI_NO_PEER = 5,      /* no paired peer, or more than one, is meant */
    CLI_NO_ANSWER = 6,    /* the running node does not answer */
    CLI_INTERRUPTED = 130 /* by a signal, before it was done */
} cli_exit;

#define CLI_MAX_OPTIONS 128
#define CLI_MAX_POSITIONAL 40

/* The value that cli_option_store writes, and the type of the member that it
 * writes. */
typedef enum cli_option_kind {
    CLI_BY_COMMAND, /* nothing: the command reads the value itself */
    CLI_TRUE,       /* bool */
    CLI_FALSE,      /* bool */
    CLI_ZERO,       /* uint32_t */
    CLI_U16,        /* min to max */
    CLI_U32,        /* min to max */
    CLI_STRING,     /* const char *, borrowed */
    CLI_CHOICE      /* an enum: the place of the word in choices */
} cli_option_kind;

/* Sections of the configuration file; bits. */
typedef enum cli_section {
    CLI_IN_NODE = 1 << 0,   /* [node] */
    CLI_IN_HANDLE = 1 << 1, /* [handle NAME]: the value is NAME=VALUE */
    CLI_IN_EXPORT = 1 << 2, /* [export MOD.FUN/ARITY]: the same */
    CLI_IN_BARREL = 1 << 3, /* [barrel] */
    CLI_IN_LOG = 1 << 4     /* [log] */
} cli_section;
#define CLI_IN_HANDLES (CLI_IN_HANDLE | CLI_IN_EXPORT)

/* One row of a table: parsing, help, completion, storing, and the keys of the
 * configuration file come from it. */
typedef struct cli_option {
    const char *name; /* without "--"; NULL ends a table */
    char short_name;  /* 0: none */
    /* The name of its value; NULL: a flag. "..." at its end: the option may be
     * repeated. */
    const char *value;
    const char *help;
    cli_option_kind kind;
    size_t offset; /* of the member in the structure that its table fills */
    uint32_t min;
    uint32_t max;
    const char *const *choices; /* NULL ends them */
    const char *note; /* the reason of the limits, for sentences; or NULL */
    /* Its key in the configuration file, and the sections that may have it; 0:
     * the option has none. A flag has "yes" or "no" there: of CLI_FALSE and
     * CLI_ZERO "no" is the option. */
    const char *key;
    unsigned sections;
} cli_option;

typedef struct cli_args cli_args;
typedef struct cli_app cli_app; /* commands/app.h */

typedef struct cli_command {
    const char *name;
    cli_exit (*run)(const cli_app *app);
    const char *positional; /* "PEER HANDLE TERM" */
    unsigned n_min;
    unsigned n_max;
    const char *summary;
    const char *help;                 /* paragraphs below the summary */
    const cli_option *const *options; /* tables; NULL ends the list */
} cli_command;

/* One option as it was given. */
typedef struct cli_given {
    const cli_option *option;
    const char *value; /* NULL of a flag */
    const char *file;  /* that has it as a key; NULL: the command line */
    unsigned line;
} cli_given;

struct cli_args {
    const cli_command *command;
    const char *positional[CLI_MAX_POSITIONAL];
    unsigned n_positional;
    const cli_given *given;
    unsigned n_given;
    cli_given parsed[CLI_MAX_OPTIONS]; /* given by cli_args_parse */
    /* Set to each option that cli_args_next returns; may be NULL. */
    const cli_given **looked_at;
};

/* The command of that name; NULL: there is none, and *ret_nearest is the
 * nearest name. */
const cli_command *cli_command_find(
    const cli_command *commands, const char *name, cli_nearest *ret_nearest);

/*
 * Parses argv[1...]. The first word that is no option names the command;
 * global options may stand before and after it, "--" ends options, and "-"
 * and negative numbers are words. Strings of argv are borrowed.
 * False with a sentence in error. No command at all: command is NULL.
 */
bool cli_args_parse(int argc, char *const *argv, const cli_command *commands,
    const cli_option *global, cli_args *ret_args, cli_text *error);

/* A flag that is given by "no" in the configuration file. */
bool cli_option_is_negative(const cli_option *option);
/* True when the option takes a value and may be repeated. */
bool cli_option_repeats(const cli_option *option);

/* The value of an option, the last of one that repeats; NULL when it was not
 * given. "" for a flag. */
const char *cli_args_value(const cli_args *args, const char *name);
bool cli_args_flag(const cli_args *args, const char *name);
/* Values of an option that may be repeated: start with *i = 0; NULL at the
 * end. */
const char *cli_args_next(const cli_args *args, const char *name, unsigned *i);
/*
 * Writes the value of one option into the structure that its table fills;
 * text: the value, not used for a flag. False with a sentence in error, and
 * nothing written, when it is no value of this option.
 */
bool cli_option_store(
    const cli_option *option, const char *text, void *into, cli_text *error);
/* Checks the value of one option, that of a key in a file. False with a
 * sentence in error. */
bool cli_key_check(const cli_option *option, const char *text, cli_text *error);
/* The same as cli_option_store for every option of the table that was given;
 * members of the others keep their defaults. */
bool cli_args_store(
    const cli_args *args, const cli_option *table, void *into, cli_text *error);

#endif

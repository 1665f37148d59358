/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a configuration file, peernet.conf(5): INI, whose keys are the options
 * of `run` (cli_option). What it gives is a list of options as the command line
 * would have them, each with its line. libinih splits the lines; it cuts long
 * ones off, joins indented ones to the line above, and takes a key twice, so
 * this reader sees each line first.
 */
#ifndef PN_CLI_CONFIG_H
#define PN_CLI_CONFIG_H

#include "faults.h"

/* Bytes of a line without its newline; libinih has room for 200 with it. */
#define CLI_CONFIG_MAX_LINE 198
/* Bytes of a file. */
#define CLI_CONFIG_MAX_FILE ((size_t)4 << 20)

/* What a file says; cli_config_free. */
typedef struct cli_config {
    char *path;
    cli_given *given;
    unsigned n_given;
    size_t cap;
    char **strings; /* values of given */
    size_t n_strings;
    size_t cap_strings;
} cli_config;

/* The rules of a file. */
typedef struct cli_config_rules {
    const cli_option *const *tables; /* of `run`; NULL ends the list */
    /* Handles and functions that need no program; NULL ends the list. */
    const char *const *builtin;
} cli_config_rules;

/*
 * Reads the file at path. It must be ours or root's and nobody else's to write,
 * as every directory on the way (docs/THREATS.md, T14). What is wrong is added
 * to faults, whose `file` is path of the result; what is right is in the result
 * all the same. NULL: no memory. *ret_is_missing (may be NULL): there is no
 * file of that name, which is a fault, too.
 */
cli_config *cli_config_read(const char *path, const cli_config_rules *rules,
    cli_faults *faults, bool *ret_is_missing);
/* NULL is fine. */
void cli_config_free(cli_config *config);

/* The name of the section that an option is in, "handle"; the first of
 * several. NULL: it has no key. */
const char *cli_config_section(const cli_option *option);

#endif

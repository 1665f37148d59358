/* SPDX-License-Identifier: Apache-2.0 */
/* What all commands share: where the data is, how things are printed, how a
 * node is reached. */
#ifndef PN_CLI_APP_H
#define PN_CLI_APP_H

#include <limits.h>
#include <stdio.h>

#include "args.h"
#include "session.h"

typedef struct cli_app {
    const cli_args *args;
    bool json;
    char data_dir[PATH_MAX];
} cli_app;

/* Reads the global options. CLI_OK, or an exit status already reported. */
cli_exit cli_app_init(cli_app *app, const cli_args *args);
/* Makes what is above path, mode 0700; path itself is its owner's to make. */
void cli_make_parents(const char *path);

/* One line to standard output; the text is emptied. */
void cli_print(cli_text *line);
/* Writes what is left to standard output. When not everything could be, says
 * so (unless its reader has gone), and a status of CLI_OK becomes CLI_LOCAL. */
cli_exit cli_finish_output(cli_exit status);
/* Says why, on standard error, or as an object on standard output; returns
 * status. The message is printed as it is: escape what others wrote. */
cli_exit cli_fail(const cli_app *app, cli_exit status, const char *format, ...)
    PN_PRINTF(3, 4);
/* The same for "ok": false of an answer, or for no answer (json NULL). */
cli_exit cli_fail_answer(
    const cli_app *app, const cli_session *session, const cli_answer *answer);
/* A warning, on standard error. */
void cli_warn(const char *format, ...) PN_PRINTF(1, 2);

/* The string at key, "" when there is none. */
const char *cli_field(const json_t *object, const char *key);
/* Label, or the fingerprint of a peer without one; escaped. */
void cli_add_who(cli_text *t, const json_t *object);

/* A table whose columns fit their widest cell. Cells are copied, escaped. */
typedef struct cli_table {
    size_t n_columns;
    size_t n_cells;
    char **cells;
    bool failed;
} cli_table;

void cli_table_init(cli_table *table, size_t n_columns);
void cli_table_add(cli_table *table, const char *cell);
void cli_table_print(cli_table *table); /* and frees it */

/*
 * Makes "HOST:PORT", "HOST" or "[V6]:PORT" numeric, asking the resolver for a
 * name. False with a sentence in error.
 */
bool cli_resolve(const char *text, char ret_address[64], cli_text *error);

/* Options of a node of our own, from the command line: --listen, --discovery,
 * --discovery-address, --discovery-port, --no-linger. CLI_OK or CLI_USAGE. */
cli_exit cli_node_options(const cli_app *app, cli_hub_options *ret_options);
/* The option table they are in. */
extern const cli_option cli_node_option_table[];

/* A session with these options; says why there is none. */
cli_exit cli_app_open_session(const cli_app *app,
    const cli_session_options *options, cli_session **ret_session);
/* A session for a command that needs a node: the running one, or its own,
 * which announces nothing. */
cli_exit cli_app_session(const cli_app *app, cli_session **ret_session);
/* Only if one runs; else *ret_session is NULL. */
cli_exit cli_app_running(const cli_app *app, cli_session **ret_session);

#endif

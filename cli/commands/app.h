/* SPDX-License-Identifier: Apache-2.0 */
/* Functions that all commands share: the data directory, printing, sessions
 * with a node. */
#ifndef PN_CLI_APP_H
#define PN_CLI_APP_H

#include <limits.h>
#include <time.h>

#include "args.h"
#include "config/faults.h"
#include "control/client.h"
#include "nearest.h"
#include "secret_input.h"
#include "table.h"

struct cli_app {
    const cli_args *args;
    bool json;
    char data_dir[PATH_MAX]; /* "" of a command that needs no data */
    /* Where failures go instead of being reported; or NULL. */
    cli_faults *faults;
};

/* Finds the data directory, and makes its missing parents. Returns CLI_OK, or
 * an exit status already reported. */
cli_exit cli_app_find_data(cli_app *app);
/* Makes the missing parents of path, mode 0700, but not path itself. */
void cli_make_parents(const char *path);

/* Prints one line of a command's result to standard output, and frees it. A
 * result is never dropped; the end of the process waits for its reader. */
void cli_print(cli_text *line);
/* The same without a newline: the text may have many lines. */
void cli_print_text(cli_text *text);
/* Prints a line about an event, which is dropped when the reader is too
 * slow. */
void cli_print_event(cli_text *line);
/* The object of a command's result: begun with "time" and "ok"; ended, printed
 * and freed. */
void cli_result_begin(cli_text *t, bool ok);
void cli_print_result(cli_text *object);
/* Writes all remaining output. If some could not be written, reports that
 * (unless the reader has gone) and turns CLI_OK into CLI_LOCAL. */
cli_exit cli_finish_output(cli_exit status);
/* Reports a failure on standard error, or as an object on standard output;
 * returns status. The message is printed as it is, so foreign text in it must
 * be escaped. */
cli_exit cli_fail(const cli_app *app, cli_exit status, const char *format, ...)
    PN_PRINTF(3, 4);
/* The same for a text, which is freed. */
cli_exit cli_fail_text(const cli_app *app, cli_exit status, cli_text *why);
/* "PATH: WHY", CLI_LOCAL. */
cli_exit cli_fail_path(const cli_app *app, const char *path, const char *why);
/* The same for an error of a store: CLI_USAGE for PN_INVALID, else
 * CLI_LOCAL. */
cli_exit cli_fail_store(const cli_app *app, pn_err err, const pn_why *why);
/* "expected EXPECTED, found 'WORD'", CLI_USAGE; nearest may be NULL. */
cli_exit cli_fail_word(const cli_app *app, const char *expected,
    const char *word, const cli_nearest *nearest);
/* The same for a word that is none of these; the last is NULL. */
cli_exit cli_fail_choice(const cli_app *app, const char *expected,
    const char *word, const char *const *choices);
/* The same for "ok": false of an answer, or for no answer (json NULL). */
cli_exit cli_fail_answer(
    const cli_app *app, const cli_session *session, const cli_answer *answer);
/* Reports that the running node has ended or does not answer. */
cli_exit cli_fail_node(const cli_app *app, const cli_session *session);
/* "the WHAT ...", CLI_LOCAL, or CLI_INTERRUPTED without a word; expected: where
 * there is no terminal to read it from. */
cli_exit cli_fail_secret(const cli_app *app, cli_secret_result result,
    const char *what, const char *expected);
/* A warning, on standard error. */
void cli_warn(const char *format, ...) PN_PRINTF(1, 2);

/* Ends a request and waits for its answer. CLI_OK: the answer has "ok"; else
 * the error is reported. *ret_answer is the caller's to free either way. */
cli_exit cli_ask(const cli_app *app, cli_session *session, cli_text *request,
    cli_answer *ret_answer);
/* The same for a request with one field, or none (key NULL). */
cli_exit cli_ask_one(const cli_app *app, cli_session *session, const char *cmd,
    const char *key, const char *value, cli_answer *ret_answer);
/* The string at key, "" when there is none. */
const char *cli_field(const json_t *object, const char *key);
/* An object as a line, with the time. */
void cli_print_object(const json_t *object);
/* Each object of an answer's array as a line of its own, with the time. */
void cli_print_objects(const json_t *array);
/* The time that a JSON field says, to the second. False: none. */
bool cli_time_parse(const char *text, time_t *ret_seconds);
/* True when no source has reported the row of "discovered" for 20 s. Sources
 * report what is there every five, unless a node was told to announce itself
 * more rarely. */
bool cli_is_silent(const json_t *row);
/* Adds the peer's label, the node's name, or the fingerprint of a peer without
 * label; escaped. */
void cli_add_who(cli_text *t, const json_t *object);

/*
 * Makes "HOST:PORT", "HOST" or "[V6]:PORT" numeric, asking the resolver for a
 * name: its addresses, PN_CONNECT_MAX at most, as "A,B,..." in the resolver's
 * order. CLI_OK;
 * CLI_USAGE or, when the name cannot be looked up, CLI_NO_LINK, with a sentence
 * in error.
 */
cli_exit cli_resolve(
    const char *text, cli_text *ret_addresses, cli_text *error);

/* The same as it is stored: numeric, or "NAME:PORT", which is looked up when it
 * is dialled, not here. CLI_OK; CLI_USAGE with a sentence in error. */
cli_exit cli_address(const char *text, cli_text *ret_address, cli_text *error);

/* Writes the options of a table that were given into the structure that it
 * fills. CLI_OK or CLI_USAGE. */
cli_exit cli_read_options(
    const cli_app *app, const cli_option *table, void *into);
/* Options of a node of our own, from the command line: --listen, --discovery,
 * --discovery-address, --announce-to, --interface, --discovery-port, --dnssd,
 * --no-linger. CLI_OK or CLI_USAGE. */
cli_exit cli_node_options(const cli_app *app, cli_hub_options *ret_options);
/* The option table they are in. */
extern const cli_option cli_node_option_table[];

/* Opens a session with these options; reports a failure. */
cli_exit cli_app_open_session(const cli_app *app,
    const cli_session_options *options, cli_session **ret_session);
/* A session for a command that needs a node: the running one, or its own,
 * which announces nothing. */
cli_exit cli_app_session(const cli_app *app, cli_session **ret_session);
/* Runs a command in such a session. */
cli_exit cli_in_session(const cli_app *app,
    cli_exit (*run)(const cli_app *app, cli_session *session));
/* A session with the running node; *ret_session is NULL if none runs. */
cli_exit cli_app_running(const cli_app *app, cli_session **ret_session);
/* The same for a command that is of no use without one: if none runs it reports
 * "no node runs on this data directory, and HINT", CLI_NO_LINK. */
cli_exit cli_app_needed(
    const cli_app *app, const char *hint, cli_session **ret_session);

#endif

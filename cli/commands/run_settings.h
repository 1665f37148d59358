/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a node of `run` is to be: one structure, filled from the configuration
 * file and then from the command line, and checked here, in one place, before
 * anything is done. The command line wins: an option there replaces the key of
 * the same name, of the same handle; --expose and --export replace a whole
 * section.
 */
#ifndef PN_CLI_RUN_SETTINGS_H
#define PN_CLI_RUN_SETTINGS_H

#include <sys/types.h>

#include "barrel.h"
#include "config/config.h"
#include "program/handlers.h"

/* Of a function: module, name and arity. */
#define CLI_FUNCTION_NAME_CAP CLI_PROGRAM_NAME_CAP

typedef struct run_options {
    uint32_t program_timeout_ms;
    uint32_t announce_ms;
    const char *own_label;
    bool quiet_on_new_networks;
    bool publish_label;
    bool echo;
    bool chat;
    bool control;
    bool verbose;
    const char *metrics_file;
    const char *handles_socket; /* NULL: none */
    const char *handles_group;
} run_options;

/* One --expose or --export with its arguments. */
typedef struct run_program {
    cli_exposed exposed; /* first: the handlers keep it */
    const cli_given *given;
    char name[CLI_FUNCTION_NAME_CAP];
    cli_function function;             /* of --export */
    char words[CLI_FUNCTION_NAME_CAP]; /* its module and name */
    char *path;
    char **argv;
    size_t n_args;
    bool allowed;
} run_program;

/* One --allow. */
typedef struct run_allowance {
    const cli_given *given;
    char name[CLI_FUNCTION_NAME_CAP];
    const char *peer;
    const cli_function *function; /* NULL: a handle */
    /* What cli_settings_resolve finds. */
    bool is_all;    /* every paired peer */
    bool is_stored; /* whoever the file of grants names */
    pn_principal who;
} run_allowance;

typedef struct cli_settings {
    cli_app app;   /* its args are the merged ones; failures go to faults */
    cli_args args; /* borrows from merged */
    cli_faults faults;
    cli_config *config; /* NULL: no file */
    cli_given *merged;
    run_options options;
    cli_hub_options hub;
    cli_barrel_setup barrel;
    bool has_barrel;
    run_program **programs;
    size_t n_programs;
    size_t cap_programs;
    gid_t handles_group; /* of options.handles_group */
    size_t found;        /* where one was found last */
    run_allowance *allowances;
    size_t n_allowances;
    size_t cap_allowances;
} cli_settings;

/* The options of `run`, but for --config: tables, NULL at the end. */
extern const cli_option *const cli_run_tables[];

/*
 * Reads and checks. app has the command line. file: the one to read, NULL:
 * that of --config, or DATA-DIR/peernet.conf, or /etc/peernet/peernet.conf, or
 * none. Every mistake is in faults of the result; no file but the
 * configuration and the heads of programs is read. NULL: no memory.
 */
cli_settings *cli_settings_read(const cli_app *app, const char *file);
/* Looks up whom each --allow names; adds faults. */
void cli_settings_resolve(cli_settings *settings, cli_hub *hub);
/* Takes what a node that runs cannot change from what it has. */
void cli_settings_keep(cli_settings *settings, const cli_settings *old);
/* The i-th that may use a handle of programs of other users; NULL: no more. */
const char *cli_settings_handle_peer(
    cli_settings *settings, const char *handle, size_t i);
/* NULL is fine. Programs that handlers keep stay theirs. */
void cli_settings_free(cli_settings *settings);
/* Reports all faults of a file, or the first of the command line. CLI_OK when
 * there is none. */
cli_exit cli_settings_report(const cli_app *app, cli_settings *settings);

#endif

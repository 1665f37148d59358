/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Barrel link for commands. A program built without it has no_barrel.c,
 * which refuses with a sentence.
 */
#ifndef PN_CLI_BARREL_H
#define PN_CLI_BARREL_H

#include <peernet/barrel.h>
#include <string.h>

#include "app.h"

/* Options of run and of every command that opens a Barrel node of its own. */
extern const cli_option cli_barrel_option_table[];
/* Options of run only. */
extern const cli_option cli_barrel_run_option_table[];
/* Options of the others only. */
extern const cli_option cli_barrel_own_option_table[];

/* True when PEER is a node of an Erlang cluster: NAME@HOST. */
bool cli_is_node(const char *peer);
/* Refuses a word that cannot be a node's name. CLI_OK or CLI_USAGE. */
cli_exit cli_check_node(const cli_app *app, const char *name);
/* Refuses options of the Barrel link where none is opened; where: the option or
 * command that opens one. CLI_OK or CLI_USAGE. */
cli_exit cli_barrel_check_unused(const cli_app *app, const char *where);

/* Options of a Barrel node, and the memory that they point to. */
typedef struct cli_barrel_setup {
    pn_barrel_options options;
    char name[256];
    char cookie[256]; /* until cli_barrel_wipe */
    char key_dir[PATH_MAX];
    char cert_dir[PATH_MAX];
    const char *cookie_only[CLI_MAX_OPTIONS];
    char names[CLI_MAX_OPTIONS][256]; /* of addresses */
    pn_barrel_address addresses[CLI_MAX_OPTIONS];
} cli_barrel_setup;

/* Reads the options of a node that runs, and no file; *ret_wanted is false
 * without --barrel. CLI_OK or CLI_USAGE. */
cli_exit cli_barrel_run_setup(
    const cli_app *app, cli_barrel_setup *setup, bool *ret_wanted);
/* Reads the cookie, and finds the directories. The cookie is in *setup:
 * cli_barrel_wipe, on errors too. CLI_OK, CLI_USAGE or CLI_LOCAL. */
cli_exit cli_barrel_read_files(const cli_app *app, cli_barrel_setup *setup);
static inline void cli_barrel_wipe(cli_barrel_setup *setup)
{
    explicit_bzero(setup->cookie, sizeof(setup->cookie));
}

/* The key that is pinned for a node, in the key directory. CLI_OK; CLI_USAGE,
 * CLI_NO_PEER or CLI_LOCAL, which was reported. */
cli_exit cli_barrel_find_pin(
    const cli_app *app, const char *node, pn_principal *ret_who);

/* A session that has a Barrel link: with the running node, or with one of our
 * own, which listens on any port and writes no endpoint file. */
cli_exit cli_barrel_session(const cli_app *app, cli_session **ret_session);

/* DATA_DIR/barrel/keys and .../quic, or the values of --key-dir and --cert-dir;
 * makes their missing parents. */
cli_exit cli_barrel_key_dir(const cli_app *app, char ret_dir[static PATH_MAX]);
cli_exit cli_barrel_cert_dir(const cli_app *app, char ret_dir[static PATH_MAX]);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands, and the functions in it. */
#ifndef PN_CLI_COMMANDS_H
#define PN_CLI_COMMANDS_H

#include "app.h"

extern const cli_command cli_commands[];
extern const cli_option cli_global_options[];

cli_exit cli_cmd_id(const cli_args *args);
cli_exit cli_cmd_pair(const cli_args *args);
cli_exit cli_cmd_unpair(const cli_args *args);
cli_exit cli_cmd_peers(const cli_args *args);
cli_exit cli_cmd_discover(const cli_args *args);
cli_exit cli_cmd_run(const cli_args *args);
cli_exit cli_cmd_call(const cli_args *args);
cli_exit cli_cmd_send(const cli_args *args);
cli_exit cli_cmd_rpc(const cli_args *args);
cli_exit cli_cmd_cast(const cli_args *args);
cli_exit cli_cmd_monitor(const cli_args *args);
cli_exit cli_cmd_barrel(const cli_args *args);
cli_exit cli_cmd_chat(const cli_args *args);
cli_exit cli_cmd_metrics(const cli_args *args);
cli_exit cli_cmd_events(const cli_args *args);
cli_exit cli_cmd_help(const cli_args *args);

/* Everything: parses, helps, runs. Returns the exit status. */
cli_exit cli_main(int argc, char *const *argv);

/* Options of run, beside those of every node. */
extern const cli_option cli_run_option_table[];

/* An event as one line for people: "12:00:01 peer-up  kitchen ...". */
void cli_event_to_text(cli_text *t, const json_t *event);

/* Draws key as a QR code; CLI_LOCAL without libqrencode. */
cli_exit cli_draw_qr(const cli_app *app, const char *key);
#endif

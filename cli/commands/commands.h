/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands, and the functions in it. */
#ifndef PN_CLI_COMMANDS_H
#define PN_CLI_COMMANDS_H

#include "app.h"

extern const cli_command cli_commands[];
extern const cli_option cli_global_options[];

cli_exit cli_cmd_id(const cli_app *app);
cli_exit cli_cmd_pair(const cli_app *app);
cli_exit cli_cmd_pair_digits(const cli_app *app); /* pair without a key */
cli_exit cli_cmd_unpair(const cli_app *app);
cli_exit cli_cmd_peers(const cli_app *app);
cli_exit cli_cmd_discover(const cli_app *app);
cli_exit cli_cmd_grant(const cli_app *app);
cli_exit cli_cmd_ungrant(const cli_app *app);
cli_exit cli_cmd_grants(const cli_app *app);
cli_exit cli_cmd_role(const cli_app *app);
cli_exit cli_cmd_can(const cli_app *app);
cli_exit cli_cmd_label(const cli_app *app);
cli_exit cli_cmd_status(const cli_app *app);
cli_exit cli_cmd_announce(const cli_app *app);
cli_exit cli_cmd_doctor(const cli_app *app);
cli_exit cli_cmd_run(const cli_app *app);
cli_exit cli_cmd_reload(const cli_app *app);
cli_exit cli_cmd_config(const cli_app *app);
cli_exit cli_cmd_call(const cli_app *app); /* send, too */
cli_exit cli_cmd_rpc(const cli_app *app);  /* cast, too */
cli_exit cli_cmd_monitor(const cli_app *app);
cli_exit cli_cmd_barrel(const cli_app *app);
cli_exit cli_cmd_invite(const cli_app *app);
cli_exit cli_cmd_join(const cli_app *app);
cli_exit cli_cmd_backup(const cli_app *app);
cli_exit cli_cmd_restore(const cli_app *app);
cli_exit cli_cmd_chat(const cli_app *app);
cli_exit cli_cmd_serve(const cli_app *app);
cli_exit cli_cmd_listen(const cli_app *app);
cli_exit cli_cmd_metrics(const cli_app *app);
cli_exit cli_cmd_events(const cli_app *app);
cli_exit cli_cmd_help(const cli_app *app);
cli_exit cli_cmd_version(const cli_app *app);

/* Parses the command line and runs the command. Returns the exit status. */
cli_exit cli_main(int argc, char *const *argv);

/* Options of calls, of backup, discover and run, beside those of every node. */
extern const cli_option cli_timeout_option_table[];
extern const cli_option cli_wait_option_table[];
extern const cli_option cli_backup_option_table[];
extern const cli_option cli_invite_option_table[];
extern const cli_option cli_join_option_table[];
extern const cli_option cli_discover_option_table[];
extern const cli_option cli_pair_option_table[];
extern const cli_option cli_doctor_option_table[];
extern const cli_option cli_grant_option_table[];
extern const cli_option cli_ungrant_option_table[];
extern const cli_option cli_role_option_table[];
extern const cli_option cli_can_option_table[];
extern const cli_option cli_run_option_table[];
extern const cli_option cli_allow_option_table[];
extern const cli_option cli_serve_option_table[];
extern const cli_option cli_listen_option_table[];

/* The label and the port of the node that runs, if one does; else "" and 0. */
cli_exit cli_own_offer(
    const cli_app *app, char ret_label[static 65], uint16_t *ret_port);
/* Whether a new peer may get this label, by the stored ones. */
bool cli_pair_label_check(const cli_app *app, const char *label, cli_text *why);
/* CLI_OK if the file of grants has this role; else the error is reported. */
cli_exit cli_check_role(const cli_app *app, const char *role);

/* The table of peers; an answer's array. */
void cli_print_peers(const json_t *peers);
/* The label that the owner has given to a peer, else 'says "X"' for what it
 * calls itself, else "-". */
const char *cli_label_of(const json_t *peer, char text[static 96]);
/* Adds the interfaces of a source of "status": " on eth0 (10.1.0.2)" for those
 * that it uses, "; not on lo (it is loopback)" for the others. */
void cli_add_interfaces(cli_text *t, const json_t *source, bool is_used);
/* Why an interface is not used, "down", as a clause for people. */
const char *cli_interface_sentence(const char *unused);
/* peers --watch: until a signal. */
cli_exit cli_watch_peers(const cli_app *app);

/* An event as one line for people: "12:00:01 peer-up  kitchen ...". */
void cli_event_to_text(cli_text *t, const json_t *event);
/* Prints the events of a session's node from now on, as they come. CLI_OK, or
 * an error that was reported. */
cli_exit cli_print_events(const cli_app *app, cli_session *session);

/* Reads the argument as text, and checks that it is a term; "-" reads standard
 * input. A message to a node of a cluster may be larger than a frame of
 * PeerNet; the limit is that of its link. CLI_OK, or an error that was
 * reported. */
cli_exit cli_read_term(
    const cli_app *app, const char *word, bool is_node, cli_text *ret_text);

/* False: this program was built without libqrencode. */
bool cli_can_draw_qr(void);
/* Draws key as a QR code; CLI_LOCAL without libqrencode. */
cli_exit cli_draw_qr(const cli_app *app, const char *key);
#endif

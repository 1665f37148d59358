/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command's side of the conversation with a node: the one that runs on this
 * data directory, over its control socket, or one of the command's own. The
 * requests and answers are the same.
 */
#ifndef PN_CLI_SESSION_H
#define PN_CLI_SESSION_H

#include <jansson.h>

#include "args.h"
#include "hub.h"

/* What asks a command to end in an orderly way: SIGINT, SIGTERM, and SIGHUP
 * unless it is ignored. Starts the which-th of them on an open handle. */
#define CLI_N_END_SIGNALS 3
void cli_catch_end_signal(
    uv_signal_t *handle, size_t which, uv_signal_cb on_end_signal);

/* The exit status for an "error" of an answer. */
cli_exit cli_exit_of(const char *error);

typedef struct cli_session cli_session;

typedef struct cli_session_options {
    const char *data_dir;
    bool may_open;       /* a node of our own when none runs */
    cli_hub_options hub; /* of that node */
} cli_session_options;

/* An event, or the answer to a request that nobody waits for, parsed, and as
 * it came but for "id". */
typedef void cli_session_event(
    void *user, const json_t *event, const char *line, size_t len);

/* An answer; json is NULL when none came. */
typedef struct cli_answer {
    json_t *json;
    cli_text line; /* as it came, without "id" */
} cli_answer;

void cli_answer_fini(cli_answer *answer);

/*
 * Finds the node, or opens one. Signals that end us are caught from here on.
 * CLI_OK, or an exit status with a sentence in error. *ret_session is NULL,
 * with CLI_OK, when no node runs and none may be opened.
 */
cli_exit cli_session_open(const cli_session_options *options,
    cli_session **ret_session, cli_text *error);
/* Leaves in an orderly way; may take the six seconds of it. */
void cli_session_close(cli_session *session);

/* True when the node is another process. */
bool cli_session_is_remote(const cli_session *session);
/* The signal that asked us to stop, or 0. */
int cli_session_signal(const cli_session *session);
/* The connection to the node is gone. */
bool cli_session_is_closed(const cli_session *session);
uv_loop_t *cli_session_loop(cli_session *session);
void cli_session_on_event(
    cli_session *session, cli_session_event *on_event, void *user);

/* Begins a request: {"id":N,"cmd":"...". The caller adds fields. */
void cli_request_begin(cli_session *session, cli_text *t, const char *cmd);
/* Ends, sends and frees it, and waits for the answer (ret_answer may be NULL:
 * does not wait). False: no answer, because of a signal or a lost node. */
bool cli_request_end(cli_session *session, cli_text *t, cli_answer *ret_answer);
/* Adds "term", or sends it in parts first; text is UTF-8. */
bool cli_request_term(
    cli_session *session, cli_text *t, const char *text, size_t len);

/* Waits for events until a signal, a lost node, an error of standard output,
 * or ms have passed (0: for ever). */
void cli_session_wait(cli_session *session, uint64_t ms);

/* The path that realpath gives, when the directory is there. */
bool cli_canonical_dir(const char *data_dir, char ret_path[]);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command's session with a node: the one that runs on this data directory,
 * over its control socket, or one of the command's own. The requests and
 * answers are the same.
 */
#ifndef PN_CLI_CLIENT_H
#define PN_CLI_CLIENT_H

#include <jansson.h>

#include "args.h"
#include "hub.h"
#include "signals.h"

/* The longest time that a running node needs for its part of an answer, because
 * it may wait for another editor of its trust list. The same limit holds for
 * accepting a connection. */
#define CLI_ANSWER_MS 15000
/* The interval of liveness requests during a wait without limit. A node that
 * has not answered after two of them is lost. */
#define CLI_ALIVE_MS 10000

/* The exit status for an "error" of an answer, and the "error" for a status of
 * our own. */
cli_exit cli_exit_of(const char *error);
const char *cli_error_of(cli_exit status);

typedef struct cli_session_options {
    const char *data_dir;
    bool may_open;       /* a node of our own when none runs */
    bool must_open;      /* a node of our own, or fail with PN_LOCKED */
    cli_hub_options hub; /* of that node */
} cli_session_options;

/* An event, or the answer to a request without a waiter: parsed, and as the
 * received line without "id". */
typedef void cli_session_event(
    void *user, const json_t *event, const char *line, size_t len);

/* An answer; json is NULL when none came. */
typedef struct cli_answer {
    json_t *json;
    cli_text line; /* as it came, without "id" */
} cli_answer;

void cli_answer_fini(cli_answer *answer);

/* How long after a request its answer may take, beside CLI_ANSWER_MS, of one
 * that is answered when something happens. */
#define CLI_FOR_EVER UINT64_MAX

/* A conversation with a node. */
typedef struct cli_session {
    /* Commands read these. */
    uv_loop_t loop;
    cli_hub *hub;   /* a node of our own, or NULL */
    bool is_remote; /* the node is another process */
    int signal;     /* that asked us to stop, or 0 */
    bool is_closed; /* the connection to the node is gone */
    bool is_silent; /* ... because it does not answer */
    /* Commands set these. */
    cli_session_event *on_event; /* may be NULL */
    /* An answer or a descriptor is waited for over a second. */
    void (*on_slow)(void *user);
    void *user; /* of both */
    /* SIGHUP: true, it does not end the session. May be NULL. */
    bool (*on_hangup)(void *user);
    void *on_hangup_user;
    uint64_t allowed_ms; /* for an answer, beside CLI_ANSWER_MS */

    cli_end_signals signals;
    uv_timer_t timer;
    uv_async_t output_failed; /* standard output: only wakes the loop */
    uv_pipe_t pipe;           /* to another process */
    bool timed_out;
    uv_timer_t deadline; /* of the answer that is awaited */
    uv_timer_t alive;    /* asks whether the node is there */
    json_int_t asked;    /* the request that asks; 0: answered */
    bool was_asked;      /* that request is older than one span */
    uv_timer_t slow;     /* an answer is waited for */
    cli_caller *caller;  /* of the node of our own */
    cli_text input;
    char read_buf[65536];
    json_int_t next_id;
    json_int_t awaited; /* 0: none */
    cli_answer answer;
} cli_session;

/*
 * Finds the node, or opens one. From here on SIGINT, SIGTERM and SIGHUP are
 * caught. CLI_OK, or an exit status with a sentence in error. *ret_session is
 * NULL, with CLI_OK, when no node runs and none may be opened.
 */
cli_exit cli_session_open(const cli_session_options *options,
    cli_session **ret_session, cli_text *error);
/* Leaves in an orderly way; may take the six seconds of it. */
void cli_session_close(cli_session *session);

/* "the node (pid N) does not answer ..." */
void cli_silent_node(const char *data_dir, cli_text *t);

/* Begins a request: {"id":N,"cmd":"...". The caller adds fields. */
void cli_request_begin(cli_session *session, cli_text *t, const char *cmd);
/* Ends, sends and frees it, and waits for the answer (ret_answer may be NULL:
 * does not wait). False: no answer, because of a signal, or a node that is lost
 * or silent. */
bool cli_request_end(cli_session *session, cli_text *t, cli_answer *ret_answer);
/* For a callback: the answer that is awaited is no longer wanted, so
 * cli_request_end returns false. */
void cli_request_give_up(cli_session *session);
/* Adds "term", or sends it in parts first; text is UTF-8. */
bool cli_request_term(
    cli_session *session, cli_text *t, const char *text, size_t len);

/* Waits for events until a signal, a lost node, an error of standard output,
 * or ms have passed (0: for ever). */
void cli_session_wait(cli_session *session, uint64_t ms);
/* For a callback: cli_session_wait returns. */
void cli_session_end_wait(cli_session *session);
/* Waits for events (UV_READABLE, UV_WRITABLE) of a descriptor that is not the
 * session's. False: a signal, a lost node, an error of standard output, or ms
 * have passed. */
bool cli_session_poll(cli_session *session, int fd, int events, uint64_t ms);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node on a libuv loop and what can be asked of it, as lines of JSON. The
 * callers are clients of the control socket and the program itself: a command
 * without a running node asks a hub of its own the same questions.
 *
 * A request is {"id": N, "cmd": "...", ...}; peernet(1) lists them. Its answer
 * begins {"id":N, and has "ok": true, or false with "error" and "message".
 * Everything else a caller is told is an event: {"event": "...", ...}.
 * All on the loop's thread.
 */
#ifndef PN_CLI_HUB_H
#define PN_CLI_HUB_H

#include <peernet/barrel.h>
#include <peernet/peernet.h>
#include <uv.h>

#include "text.h"

/* A part of a request may come in lines before it, up to here. */
#define CLI_HUB_MAX_PARTS ((size_t)4 << 20)
/* Requests of one caller that have no answer yet. */
#define CLI_HUB_MAX_PENDING 64

typedef struct cli_hub cli_hub;
typedef struct cli_caller cli_caller;

/* Gets every line meant for a caller, without a newline. May call
 * cli_hub_leave. */
typedef void cli_deliver(void *user, const char *line, size_t len);

typedef struct cli_hub_options {
    pn_node_options node; /* own_loop, callbacks and user are the hub's */
    /* A Barrel node on the same loop; NULL: none. Borrowed while opening. */
    const pn_barrel_options *barrel;
    bool chat;    /* messages to the handle `chat` are events */
    bool verbose; /* all log lines, not only warnings */
} cli_hub_options;

/*
 * Opens the node and drives it on loop. SIGPIPE must be ignored.
 * Errors: as pn_node_open, the sentence in *ret_error.
 */
PN_MUST_USE pn_err cli_hub_open(uv_loop_t *loop, const cli_hub_options *options,
    cli_hub **ret_hub, cli_text *ret_error);
/*
 * Answers what is pending and takes the node off the loop; runs the loop until
 * the hub's handles are closed. The node is left for cli_hub_free, which
 * closes it: that may take the six seconds of the leaving etiquette.
 */
void cli_hub_close(cli_hub *hub);
void cli_hub_free(cli_hub *hub);

pn_node *cli_hub_node(cli_hub *hub);
/* The name of the hub's Barrel node; NULL: it has none. */
const char *cli_hub_barrel_name(const cli_hub *hub);
uint16_t cli_hub_barrel_port(const cli_hub *hub);
/* The key pinned for a node. Errors: PN_NOT_FOUND; PN_INVALID; PN_STATE there
 * is no Barrel node here. */
PN_MUST_USE pn_err cli_hub_pinned(
    cli_hub *hub, const char *node, pn_public_key *ret_key);
/* True when cli_hub_free will keep the port for a while. */
bool cli_hub_will_linger(const cli_hub *hub);

cli_caller *cli_hub_join(cli_hub *hub, cli_deliver *deliver, void *user);
/* Forgets a caller; what it asked for goes on without it. */
void cli_hub_leave(cli_caller *caller);
/* One request. The answer may come before this returns, or later. line is
 * len bytes and a NUL. */
void cli_hub_request(cli_caller *caller, const char *line, size_t len);

/* Who answers to a handle in the hub's events: also used by handles.c. */
void cli_hub_log(cli_hub *hub, const char *format, ...) PN_PRINTF(2, 3);

#endif

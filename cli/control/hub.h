/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node on a libuv loop that answers requests in lines of JSON. The callers
 * are clients of the control socket and the program itself: a command without a
 * running node sends the same requests to a hub of its own.
 *
 * A request is {"id": N, "cmd": "...", ...}; peernet(1) lists them. Its answer
 * begins {"id":N, and has "ok": true, or false with "error" and "message".
 * Every other line to a caller is an event: {"event": "...", ...}. All on the
 * loop's thread.
 */
#ifndef PN_CLI_HUB_H
#define PN_CLI_HUB_H

#include <peernet/barrel.h>
#include <peernet/peernet.h>
#include <uv.h>

#include "text.h"

/* Most bytes of a request's argument that is sent in parts. */
#define CLI_HUB_MAX_PARTS ((size_t)24 << 20)
/* A term for a node of an Erlang cluster; the default of its link. */
#define CLI_HUB_NODE_TERM_MAX ((size_t)16 << 20)
/* The largest text of a reply, which is up to seven times its bytes. */
#define CLI_HUB_MAX_REPLY ((size_t)128 << 20)
/* A message to `chat` that is shown, as a term: all of it is written, and
 * printed, on the loop. */
#define CLI_HUB_MAX_CHAT ((size_t)64 << 10)
/* Requests of one caller that have no answer yet. */
#define CLI_HUB_MAX_PENDING 64

/* The version of the control socket's protocol, peernet-control(7). */
#define CLI_CONTROL_PROTOCOL 1
/* Handles that one program serves. */
#define CLI_SERVE_MAX_HANDLES 64
/* Requests to one handle that its program has not answered: the default, and
 * the most that it may ask for. */
#define CLI_SERVE_CONCURRENCY 64
#define CLI_SERVE_MAX_CONCURRENCY 1024
/* A program that has not read so many bytes gets no further request. */
#define CLI_SERVE_MAX_UNREAD ((size_t)2 << 20)
/* The largest argument in writing: room for a usual message of 16 MiB. */
#define CLI_SERVE_MAX_EVENT ((size_t)32 << 20)
/* The largest line of a program that serves: room for a reply of 1 MiB in which
 * each byte takes six. */
#define CLI_SERVE_MAX_LINE ((size_t)8 << 20)

typedef struct cli_hub cli_hub;
typedef struct cli_caller cli_caller;

/* Gets every line meant for a caller, without a newline. May call
 * cli_hub_leave. */
typedef void cli_deliver(void *user, const char *line, size_t len);

/* What the hub asks and tells of a caller's connection; user is the one of
 * cli_deliver. */
typedef struct cli_flow {
    /* Bytes that were delivered and are not read yet. */
    size_t (*unread)(void *user);
    /* The caller serves handles, so its lines may be longer from now on, each
     * way: up to CLI_SERVE_MAX_LINE and CLI_SERVE_MAX_EVENT. */
    void (*serves)(void *user);
    /* No further line is to come, until it may again. */
    void (*hold)(void *user, bool is_held);
} cli_flow;

/* Of a caller that may do handle operations only (a program of another user):
 * the i-th of those that may use a handle; NULL: no more. A handle without any
 * is not the caller's to take. Any string is valid while the hub is. */
typedef const char *cli_guest_allow(void *user, const char *handle, size_t i);

/* How DNS-SD is used (--dnssd). */
typedef enum cli_dnssd {
    CLI_DNSSD_AUTO,     /* daemon or helper, beside unrestricted discovery */
    CLI_DNSSD_AVAHI,    /* the daemon, in any case */
    CLI_DNSSD_EMBEDDED, /* the helper, in any case */
    CLI_DNSSD_NONE
} cli_dnssd;

typedef struct cli_hub_options {
    pn_node_options node; /* own_loop, callbacks and user are the hub's */
    /* A Barrel node on the same loop; NULL: none. Borrowed while opening. */
    const pn_barrel_options *barrel;
    cli_dnssd dnssd;
    bool publish_label; /* node.own_label, to everybody by DNS-SD */
    bool chat;          /* messages to the handle `chat` are events */
    bool verbose;       /* all log lines, not only warnings */
    /* Bytes that a reply may become in writing; 0: CLI_HUB_MAX_REPLY. */
    size_t max_reply;
} cli_hub_options;

/*
 * Opens the node and drives it on loop. SIGPIPE must be ignored.
 * Errors: as pn_node_open, the sentence in *ret_error.
 */
PN_MUST_USE pn_err cli_hub_open(uv_loop_t *loop, const cli_hub_options *options,
    cli_hub **ret_hub, cli_text *ret_error);
/*
 * Answers pending requests and takes the node off the loop; runs the loop until
 * the hub's handles are closed. The node is left for cli_hub_free, which closes
 * it: that may take the six seconds of the leaving etiquette.
 */
void cli_hub_close(cli_hub *hub);
void cli_hub_free(cli_hub *hub);

pn_node *cli_hub_node(cli_hub *hub);
/* The handle `chat` is a program's: no chat of this hub takes it over. */
void cli_hub_take_chat(cli_hub *hub);
/* True when a caller serves a handle of that name. */
bool cli_hub_is_served(const cli_hub *hub, const char *name);
/* `[a-z0-9_]{1,64}`: what a program may be exposed as. */
bool cli_handle_name_is_good(const char *name);
/* The port of the hub's Barrel node, which it has. */
uint16_t cli_hub_barrel_port(const cli_hub *hub);
/* The node as its pin has it. Errors: PN_NOT_FOUND; PN_INVALID; PN_STATE there
 * is no Barrel node here. */
PN_MUST_USE pn_err cli_hub_pinned(
    cli_hub *hub, const char *node, pn_principal *ret_who);
/* Appends the pinned node whose name is nearest, if one is near. */
void cli_hub_suggest_node(cli_hub *hub, const char *node, cli_text *t);
/* The same among n pins. */
void cli_suggest_pin(
    const pn_barrel_pin *pins, size_t n, const char *node, cli_text *t);
/* Calls back on the loop after the pins of the Barrel node have changed. */
void cli_hub_on_pins(cli_hub *hub, void (*callback)(void *user), void *user);
/* Called for the request "reload": adds fields to its answer, and returns NULL
 * or the answer's "error". */
void cli_hub_on_reload(
    cli_hub *hub, const char *(*callback)(void *user, cli_text *t), void *user);
/* Changes our label, as the request "label" does; NULL: none. Errors: as
 * pn_set_label. */
PN_MUST_USE pn_err cli_hub_set_label(cli_hub *hub, const char *label);
/* All log lines, not only warnings. */
void cli_hub_set_verbose(cli_hub *hub, bool is_verbose);
/* Appends all counters as Prometheus text. Errors: PN_NOMEM. */
PN_MUST_USE pn_err cli_hub_metrics_text(const cli_hub *hub, cli_text *t);
/* True when cli_hub_free will keep the port for a while. */
bool cli_hub_will_linger(const cli_hub *hub);

cli_caller *cli_hub_join(cli_hub *hub, cli_deliver *deliver, void *user);
/* Without it everything that is delivered is read at once. flow stays the
 * caller's. */
void cli_hub_set_flow(cli_caller *caller, const cli_flow *flow);
/* The caller may do handle operations only from now on. */
void cli_hub_restrict(cli_caller *caller, cli_guest_allow *allow, void *user);
/* Forgets a caller, its handles, and its requests that are not sent yet. */
void cli_hub_leave(cli_caller *caller);
/* One request. The answer may come before this returns, or later. line is
 * len bytes and a NUL; one over 64 KiB is read on another thread, and the
 * caller held meanwhile. */
void cli_hub_request(cli_caller *caller, const char *line, size_t len);

/* One line of the log, to standard error. Any thread. */
void cli_log(const char *format, ...) PN_PRINTF(1, 2);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Types and functions that the files of the hub share. */
#ifndef PN_CLI_HUB_INTERNAL_H
#define PN_CLI_HUB_INTERNAL_H

#include <jansson.h>

#include "hub.h"
#include "offload.h"
#include "refusals.h"
#include "json/json.h"

/* Addresses that a node listens on; pn_node_options allows 8. */
#define HUB_MAX_LISTENS 16

typedef struct hub_op hub_op;
typedef struct hub_reading hub_reading;
typedef struct hub_served hub_served;
typedef struct hub_asked hub_asked;

struct cli_caller {
    cli_hub *hub;
    cli_caller *next;
    cli_deliver *deliver;
    void *user;
    const cli_flow *flow;         /* NULL: it reads at once */
    cli_guest_allow *guest_allow; /* NULL: it may do everything */
    void *guest_user;
    bool gone; /* freed at the next turn */
    bool wants_events;
    bool wants_chat;
    pn_public_key chat_key;
    unsigned n_pending;
    unsigned n_readings;   /* of those, requests that hub_reads_first has */
    unsigned n_served;     /* its handles */
    json_int_t last_asked; /* the number of its last request from a peer */
    cli_text parts;
};

struct cli_hub {
    uv_loop_t *loop;
    pn_node *node;
    pn_barrel *barrel;      /* NULL: none; the node's */
    struct pn_dnssd *dnssd; /* NULL: none */
    uv_poll_t poll;
    uv_timer_t timer;
    uv_prepare_t prepare;
    unsigned n_handles;
    cli_offload *offload; /* for what is long; NULL: closed */
    size_t max_reply;     /* bytes of a reply in writing */
    cli_caller *callers;
    hub_op *ops;
    hub_reading *readings;
    hub_served *served;       /* handles of callers */
    hub_asked *asked;         /* requests to them */
    unsigned n_asked_working; /* of those, that `offload` has */
    bool chat;                /* `run` sets its grants */
    bool chat_attended;       /* exposed for callers only */
    bool chat_is_taken;       /* a program answers to it */
    bool discovers;
    const pn_discovery_source *source; /* its program's own; NULL: none */
    bool quiet_on_new_networks;        /* as in the node's options, negated */
    bool hears_only;                   /* discovery_listen_only of them */
    bool is_silenced;     /* the network has changed since, by an event */
    char interfaces[256]; /* of them, "NAME,NAME"; "": every one */
    /* Why announces are neither heard nor made; "": they are. */
    char discovery_error[160];
    bool verbose;
    bool closing;
    int64_t opened_at_us; /* wall clock */
    char listens[HUB_MAX_LISTENS][64];
    size_t n_listens;
    char own_label[64];       /* "": none is told */
    char published_label[64]; /* by DNS-SD */
    bool publishes_label;     /* published_label follows own_label */
    uint16_t discovery_port;
    cli_refusals refusals;
    uv_timer_t minute;           /* keeps refusals */
    void (*on_pins)(void *user); /* may be NULL */
    void *on_pins_user;
    const char *(*on_reload)(void *user, cli_text *t); /* may be NULL */
    void *on_reload_user;
};

typedef enum hub_op_kind {
    HUB_OP_CALL,
    HUB_OP_SEND,
    HUB_OP_RPC,
    HUB_OP_CAST,
    HUB_OP_MONITOR
} hub_op_kind;

/* One request while it is looked at. */
typedef struct hub_request {
    cli_hub *hub;
    cli_caller *caller;
    hub_op_kind kind; /* of one that hub_start takes */
    const json_t *json;
    json_int_t id;
    bool has_id;
    hub_reading *reading; /* of its parts; NULL: it has none */
} hub_request;

typedef void hub_command(const hub_request *request);

/*
 * Makes hub->dnssd and gives it to the node, if it is wanted and built in.
 * Errors: as pn_dnssd_new; PN_INVALID it is asked for and not built in.
 */
pn_err hub_dnssd_open(cli_hub *hub, const cli_hub_options *options,
    pn_node_options *node, pn_why *ret_why);
/* Our label is another one now (NULL: none), and so is the published one where
 * the owner wants one published. */
void hub_dnssd_label(cli_hub *hub, const char *label);
/* The node is closed. */
void hub_dnssd_close(cli_hub *hub);
/* Why DNS-SD finds nobody now, as a clause; NULL: it browses, or there is
 * none. */
const char *hub_dnssd_trouble(const cli_hub *hub);

/* Reads and does what it asks; error: why json is NULL (hub.c). */
void hub_take(
    hub_request *request, const json_t *json, const cli_json_error *error);
/* Does what it asks (hub.c). */
void hub_dispatch(hub_request *request);

/* ---- answers (hub.c) ---------------------------------------------------- */

/* Begins an answer: {"id":N,"ok":... */
void hub_answer_begin(cli_text *t, bool has_id, json_int_t id, bool ok);
/* Ends and delivers it; frees t. */
void hub_answer_end(cli_caller *caller, cli_text *t);
void hub_answer_ok(const hub_request *request);
/* error: one of the names in peernet(1). */
void hub_answer_error(const hub_request *request, const char *error,
    const char *format, ...) PN_PRINTF(3, 4);
/* The name of an error of the library, as above. */
const char *hub_error_name(pn_err err);
/* A line to one caller; NULL or gone: to nobody. */
void hub_deliver(cli_caller *caller, const cli_text *line);

/* ---- events, the log (hub_event.c) -------------------------------------- */

/* Callbacks of the node; hub_on_log on any thread. */
void hub_on_event(void *user, const pn_event *event);
void hub_on_log(void *user, const pn_log_event *event);
/* Sends a line to all callers that want events; a chat event to those that want
 * that peer's. */
void hub_broadcast(
    cli_hub *hub, const cli_text *line, const pn_public_key *chat_key);
void hub_event_begin(cli_text *t, const char *name);
/* Sends one caller a notice of what it waits for: "link", "reply",
 * "confirmation"; address may be NULL. */
void hub_notice(cli_caller *caller, const char *what, const char *address);

/* ---- fields of requests (hub.c); each answers its own error ------------- */

/* NULL, or a string; false when it is something else or must be there. */
bool hub_string(const hub_request *request, const char *key, bool needed,
    const char **ret_string);
/* Milliseconds; fallback when it is not there. */
bool hub_milliseconds(const hub_request *request, const char *key,
    uint32_t fallback, uint32_t *ret_ms);
/* The paired peer named by "peer". */
bool hub_peer(const hub_request *request, pn_public_key *ret_key);

/* ---- the node itself (hub_status.c) ------------------------------------- */

hub_command hub_status;
hub_command hub_announce;
hub_command hub_label;
/* Takes an event into account. */
void hub_status_event(cli_hub *hub, const pn_event *event);
/* Once a minute; the timer's data is the hub. */
void hub_status_tick(uv_timer_t *timer);

/* ---- peers (hub_peers.c) ------------------------------------------------ */

hub_command hub_peers;
hub_command hub_pair;
hub_command hub_unpair;
hub_command hub_discovered;

/* ---- the file of grants (hub_grants.c) ---------------------------------- */

hub_command hub_grant;
hub_command hub_ungrant;
hub_command hub_grants;
hub_command hub_role;
hub_command hub_can;

/* ---- counters (hub_metrics.c) ------------------------------------------- */

hub_command hub_metrics;

/* ---- calls (hub_call.c, hub_peer_call.c) -------------------------------- */

hub_command hub_start;
/* True for a request about "node", and not about "peer". */
bool hub_is_about_node(const hub_request *request);
/* Takes an event into account for calls that wait for a link. */
void hub_ops_event(cli_hub *hub, const pn_event *event);
/* The caller is gone: its requests get no answer, and those that wait for a
 * link are not sent. */
void hub_ops_forget(cli_hub *hub, const cli_caller *caller);
/* Ends all requests that have not reached the node. */
void hub_ops_cancel(cli_hub *hub);

/* ---- arguments (hub_term.c) --------------------------------------------- */

/* Takes a request whose parts are to be read first, or that comes behind one:
 * it is dispatched later. False: it may be now. */
bool hub_reads_first(const hub_request *request);
/* Takes a line that is long: it is read first. False: it is to be read now. */
bool hub_reads_line(cli_caller *caller, const char *line, size_t len);
/* The caller is gone. */
void hub_readings_forget(cli_hub *hub, const cli_caller *caller);
/* Writes the argument: the parts sent before ("parts": true), "args" as JSON,
 * or "term" as text; the only term of w. Answers why not. */
bool hub_args(const hub_request *request, pn_term_writer *w);
/* The same with another name for "args". */
bool hub_value(const hub_request *request, const char *key, pn_term_writer *w);
/* The same as hub_args, which must be a list. */
bool hub_list(const hub_request *request, pn_term_writer *w, pn_term *ret_list);
void hub_answer_no_list(const hub_request *request);
/* Writes a module as users write it: "MyApp.Led" is 'Elixir.MyApp.Led', ":led"
 * is led. */
void hub_write_module(pn_term_writer *w, const char *module);

/* ---- the Barrel link (hub_barrel.c, hub_nodes.c, no_barrel.c) ----------- */

/* False after an answer: nodes cannot be reached. */
bool hub_has_nodes(const hub_request *request);
hub_command hub_nodes;
/* The pins of the Barrel node, if there is one; *ret_pins is for free(). */
void hub_pins(const cli_hub *hub, pn_barrel_pin **ret_pins, size_t *ret_n);
/* Errors: as pn_barrel_open. */
PN_MUST_USE pn_err hub_barrel_open(
    cli_hub *hub, const pn_barrel_options *options, pn_why *ret_why);
void hub_barrel_status(const cli_hub *hub, cli_text *t);
/* Appends the counters as Prometheus text. PN_NOMEM. */
PN_MUST_USE pn_err hub_barrel_metrics(const cli_hub *hub, cli_text *t);

/* ---- handles of callers (hub_serve.c) ----------------------------------- */

hub_command hub_hello;
hub_command hub_expose;
hub_command hub_unexpose;
hub_command hub_serve_reply;
hub_command hub_serve_fail;
/* The caller is gone: its handles end, and requests to them fail. */
void hub_serve_leave(cli_caller *caller);

/* ---- chat (hub_chat.c) -------------------------------------------------- */

hub_command hub_chat;
/* Exposes `chat` to every paired peer; PN_NOMEM. */
PN_MUST_USE pn_err hub_chat_open(cli_hub *hub);
void hub_chat_leave(cli_caller *caller);

#endif

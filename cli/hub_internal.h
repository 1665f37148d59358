/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the hub share. */
#ifndef PN_CLI_HUB_INTERNAL_H
#define PN_CLI_HUB_INTERNAL_H

#include <jansson.h>

#include "hub.h"

#define MAX_HEARD 256

/* A peer that announced itself. */
typedef struct heard {
    pn_public_key key;
    char address[64];
    char source[16];
    bool used;
} heard;

typedef struct hub_op hub_op;
typedef struct hub_barrel_op hub_barrel_op;

struct cli_caller {
    cli_hub *hub;
    cli_caller *next;
    cli_deliver *deliver;
    void *user;
    bool gone; /* freed at the next turn */
    bool wants_events;
    bool wants_chat;
    pn_public_key chat_key;
    unsigned n_pending;
    cli_text parts;
};

struct cli_hub {
    uv_loop_t *loop;
    pn_node *node;
    pn_barrel *barrel; /* NULL: none; the node's */
    uv_poll_t poll;
    uv_timer_t timer;
    uv_prepare_t prepare;
    unsigned n_handles;
    cli_caller *callers;
    hub_op *ops;
    hub_barrel_op *barrel_ops;
    heard heard[MAX_HEARD];
    size_t next_heard;
    bool chat;          /* open to whom `run` says */
    bool chat_attended; /* exposed for callers only */
    bool discovers;
    bool verbose;
    bool closing;
    uint64_t last_end_ms; /* when a link ended; 0: never */
    uint32_t linger_ms;
};

/* One request while it is looked at. */
typedef struct hub_request {
    cli_caller *caller;
    const json_t *json;
    json_int_t id;
    bool has_id;
} hub_request;

typedef void hub_command(cli_hub *hub, const hub_request *request);

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
/* "key", "fingerprint" and, unless NULL, "label". */
void hub_json_peer(cli_text *t, const pn_public_key *key, const char *label);
/* A line to everybody who wants events, chat to those who want that peer's. */
void hub_broadcast(
    cli_hub *hub, const cli_text *line, const pn_public_key *chat_key);
void hub_event_begin(cli_text *t, const char *name);

/* ---- fields of requests (hub.c); each answers its own error ------------- */

/* NULL, or a string; false when it is something else or must be there. */
bool hub_string(const hub_request *request, const char *key, bool needed,
    const char **ret_string);
/* Milliseconds; fallback when it is not there. */
bool hub_milliseconds(const hub_request *request, const char *key,
    uint32_t fallback, uint32_t *ret_ms);
/* The paired peer named by "peer". */
bool hub_peer(cli_hub *hub, const hub_request *request, pn_public_key *ret_key);

/* ---- calls (hub_call.c) ------------------------------------------------- */

hub_command hub_call;
hub_command hub_send;
hub_command hub_rpc;
hub_command hub_cast;
/* What an event means for calls that wait for a link. */
void hub_ops_event(cli_hub *hub, const pn_event *event);
/* The caller is gone: nobody is told. */
void hub_ops_forget(cli_hub *hub, const cli_caller *caller);
/* Ends all that has not reached the node. */
void hub_ops_cancel(cli_hub *hub);

/* Writes the argument: "args" as JSON, "term" as text, or the parts sent
 * before ("parts": true). */
bool hub_args(const hub_request *request, pn_term_writer *w);
/* The same as one term, which must be a list. */
bool hub_list(const hub_request *request, pn_term_writer *w, pn_term *ret_list);
/* As people write modules: "MyApp.Led" is 'Elixir.MyApp.Led', ":led" is
 * led. */
void hub_write_module(pn_term_writer *w, const char *module);
/* "text" or key, of a reply. False: no memory. */
bool hub_json_term(cli_text *t, bool as_text, const char *key, pn_term term);

/* ---- the Barrel link (hub_barrel.c, no_barrel.c) ------------------------ */

/* True for a request about "node", and not about "peer". */
bool hub_is_about_node(const hub_request *request);
hub_command hub_node_call;
hub_command hub_node_send;
hub_command hub_node_rpc;
hub_command hub_node_cast;
hub_command hub_monitor;
hub_command hub_nodes;
/* Errors: as pn_barrel_open, the sentence in *ret_error. */
PN_MUST_USE pn_err hub_barrel_open(
    cli_hub *hub, const pn_barrel_options *options, cli_text *ret_error);
void hub_barrel_status(const cli_hub *hub, cli_text *t);
/* Appends the counters as Prometheus text. */
void hub_barrel_metrics(const cli_hub *hub, cli_text *t);
void hub_barrel_forget(cli_hub *hub, const cli_caller *caller);
void hub_barrel_cancel(cli_hub *hub);

/* ---- chat (hub_chat.c) -------------------------------------------------- */

hub_command hub_chat;
/* Exposes `chat` to everybody who is paired; PN_NOMEM. */
PN_MUST_USE pn_err hub_chat_open(cli_hub *hub);
void hub_chat_leave(cli_caller *caller);

#endif

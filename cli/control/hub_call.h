/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request that is answered later: a call, a message or a watch, to a peer or
 * to a node of an Erlang cluster. It waits for a link, goes out, and is
 * answered once. hub_call.c has what both families share; hub_peer_call.c and
 * hub_barrel.c each fill a hub_family.
 *
 * All on the loop. A request is in the hub's list until it is answered or
 * forgotten (hub_op_end, which clears `hub`). It is freed when its timer is
 * closed and no callback is owed to it any more.
 */
#ifndef PN_CLI_HUB_CALL_H
#define PN_CLI_HUB_CALL_H

#include "hub_internal.h"

/* The operations of a family of links. */
typedef struct hub_family {
    /* Reads the target and the argument. False after an answer. */
    bool (*read)(hub_op *op, const hub_request *request);
    /* Connects, and sends what op has once there is a link. */
    void (*start)(hub_op *op);
    /* Answers an error of the library; value: its sentence, or empty. */
    void (*fail)(hub_op *op, pn_err err, pn_term value);
    /* op has ended; NULL: nothing to do. op->hub is still set. */
    void (*end)(hub_op *op);
    const char *remote; /* the other side answered with an error */
    size_t max_term;    /* bytes of an argument; 0: the library's limit */
} hub_family;

/* The stages of a request to a peer. */
typedef enum hub_op_stage {
    HUB_OP_WAITS_FOR_LINK,
    HUB_OP_CALLED, /* the node has it, and reports once */
    HUB_OP_CLOSED  /* its link ended; the reason follows */
} hub_op_stage;

struct hub_op {
    const hub_family *family;
    hub_op *next;
    cli_hub *hub;       /* NULL: answered, and off its list */
    cli_caller *caller; /* NULL: gone */
    json_int_t id;
    bool has_id;
    bool as_text;
    bool wants_notices;
    bool has_wait; /* the caller said how long */
    hub_op_kind kind;
    json_t *json;   /* the request, for its strings: */
    const char *to; /* a handle, or a process as it was given; NULL: the node */
    const char *module;
    const char *function;
    pn_term_writer writer;
    pn_term args;
    uint32_t timeout_ms;
    uint32_t wait_ms;
    pn_reason last_reason;
    uv_timer_t timer;
    bool is_timer_closed;
    bool is_owed; /* a callback will come, of the node or of `work` */

    /* its answer, while a long reply is written beside the loop */
    cli_work work;
    cli_text answer;
    pn_term value;
    bool owns_value;
    size_t max_reply;
    const char *error; /* the value is why it failed; NULL: a reply */
    pn_err write_err;

    /* to a peer */
    pn_public_key key;
    hub_op_stage stage;
    char last_address[64];
    const char *at;  /* the addresses given, "A,B,..."; NULL: none */
    char *at_left;   /* of them, those not yet shown to fail */
    bool is_refused; /* one of them was */

    /* to a node */
    const char *node; /* NULL: it is to a peer */
    cli_text pid;     /* a pid's bytes; empty: `to` is a name */
    pn_term pid_term;
    uint64_t monitor; /* 0: none */
    bool is_nowhere;  /* no process has the name or the pid */
};

extern const hub_family hub_peer_family;
extern const hub_family hub_node_family;

/* A message has no answer of its own. */
static inline bool hub_op_is_message(const hub_op *op)
{
    return op->kind == HUB_OP_SEND || op->kind == HUB_OP_CAST;
}
/* A module, a function and arguments. */
static inline bool hub_op_is_apply(const hub_op *op)
{
    return op->kind == HUB_OP_RPC || op->kind == HUB_OP_CAST;
}

/* ---- reading; false after an answer ---- */
/* The module and the function of an rpc or a cast. */
bool hub_op_read_function(hub_op *op, const hub_request *request);
/* The argument, as op->args. */
bool hub_op_read_term(hub_op *op, const hub_request *request);
/* Operation, Mod, Fun, Args: elements of a tuple that was begun. */
void hub_op_write_apply(
    const hub_op *op, const char *operation, pn_term args, pn_term_writer *w);

/* ---- answers; op has ended when they return ---- */
void hub_op_fail(hub_op *op, const char *error, const char *message);
void hub_op_answer_sent(hub_op *op);
/* Sends a notice of what op waits for, if the caller wants notices. */
void hub_op_notice(const hub_op *op, const char *what, const char *address);

/* Writes op->value into op->answer; sets write_err. Any thread (hub_reply.c).
 */
void hub_op_write_value(hub_op *op);

/* ---- what the node reports ---- */
/* Every callback begins with this. True: op still waits for it. */
bool hub_op_awake(hub_op *op);
/* A pn_call_done: answers with the outcome, a long one later. */
void hub_op_done(void *user, pn_err outcome, pn_term value);

#endif

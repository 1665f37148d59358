/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control messages of Erlang distribution: read from and written to their
 * frames (u32 length, 112, control tuple, message); docs/BARREL-PROTOCOL.md,
 * sections 15.2, 15.3 and 16, and the pids and references in them.
 */
#ifndef PN_BARREL_DIST_SIGNAL_H
#define PN_BARREL_DIST_SIGNAL_H

#include <peernet/term.h>

#include "base/buf.h"

typedef enum pn_dist_op {
    PN_DIST_LINK = 1,
    PN_DIST_SEND = 2,
    PN_DIST_EXIT = 3,
    PN_DIST_REG_SEND = 6,
    PN_DIST_EXIT2 = 8,
    PN_DIST_MONITOR_P = 19,
    PN_DIST_DEMONITOR_P = 20,
    PN_DIST_MONITOR_P_EXIT = 21,
    PN_DIST_SPAWN_REQUEST = 29,
    PN_DIST_SPAWN_REPLY = 31,
    PN_DIST_ALIAS_SEND = 33,
    PN_DIST_UNLINK_ID = 35,
    PN_DIST_UNLINK_ID_ACK = 36
} pn_dist_op;

/* A process or reference of ours on the wire. node: our name. */
typedef struct pn_dist_pid {
    uint32_t id;
    uint32_t serial;
    uint32_t creation;
} pn_dist_pid;

#define PN_DIST_REF_WORDS 3
typedef struct pn_dist_ref {
    uint32_t words[PN_DIST_REF_WORDS];
    uint32_t creation;
} pn_dist_ref;

/* Terms point into the frame, and each is of the kind that the operation asks
 * for. SEND_SENDER, the variants with a payload (24, 26, 28) and those with a
 * trace token (12, 13, 16, 18, 23, 25, 27, 30, 32, 34; the token is not shown)
 * are shown as the operation they are a variant of. What an operation does not
 * have is empty. */
typedef struct pn_dist_signal {
    pn_dist_op op;
    pn_term from;    /* pid, or pid or name of a process (MONITOR_P_EXIT) */
    pn_term to;      /* pid, alias or name */
    pn_term ref;     /* MONITOR_*: reference; SPAWN_*: the request's */
    pn_term reason;  /* EXIT, EXIT2, MONITOR_P_EXIT; SPAWN_REPLY: the result */
    pn_term mfa;     /* SPAWN_REQUEST {M,F,A} */
    pn_term options; /* SPAWN_REQUEST */
    pn_term leader;  /* SPAWN_REQUEST: group leader */
    uint64_t id;     /* UNLINK_ID*, never 0; SPAWN_REPLY: flags */
    pn_term message; /* SEND, REG_SEND, ALIAS_SEND; SPAWN_REQUEST: arguments */
} pn_dist_signal;

/* Reads one message without its length: pass-through (112) or a header without
 * atoms (131 68 0). limits: of each of the two terms; NULL: the defaults.
 * Errors: PN_NOT_FOUND an operation that we do not know, its terms are fine;
 * PN_CORRUPT; PN_NOMEM. */
PN_MUST_USE pn_err pn_dist_signal_read(const uint8_t *data, size_t len,
    const pn_term_limits *limits, pn_dist_signal *ret_signal);

/* The first bytes of a message that was not kept. caller and tag
 * are those of a {'$gen_call', {Pid, Tag}, _} in it, module, function and arity
 * what an rpc or erpc asks for; or empty. */
typedef struct pn_dist_head {
    pn_dist_signal signal; /* without message */
    pn_term caller;
    pn_term tag;
    pn_term module;
    pn_term function;
    unsigned arity;
} pn_dist_head;

/* Errors: PN_NOT_FOUND as above, or the control tuple is not whole in data;
 * PN_CORRUPT; PN_NOMEM. */
PN_MUST_USE pn_err pn_dist_head_read(
    const uint8_t *data, size_t len, pn_dist_head *ret_head);

/* Our own processes and references: is this term one, and which? name is our
 * node's. A term of another incarnation of this node is none. */
bool pn_dist_pid_read(
    pn_term term, const char *name, uint32_t creation, pn_dist_pid *ret_pid);
bool pn_dist_ref_read(
    pn_term term, const char *name, uint32_t creation, pn_dist_ref *ret_ref);
/* Any pid: of which node? False: not a pid, or the name is not ASCII in an old
 * tag. */
bool pn_dist_pid_node(pn_term term, pn_slice *ret_node);

/* Room for a process, a reference or an atom as a term. */
#define PN_DIST_ATOM_MAX 255
typedef struct pn_dist_room {
    uint8_t bytes[3 + 2 + PN_DIST_ATOM_MAX + 4 + 4 * PN_DIST_REF_WORDS];
} pn_dist_room;

/* The term lies in room, for a control tuple or to be copied into a message;
 * it is empty when name has more than PN_DIST_ATOM_MAX bytes. */
pn_term pn_dist_atom_term(pn_dist_room *room, const char *name);
pn_term pn_dist_pid_term(
    pn_dist_room *room, const char *name, const pn_dist_pid *pid);
pn_term pn_dist_ref_term(
    pn_dist_room *room, const char *name, const pn_dist_ref *ref);

/* Appends a whole frame to out. Terms are copied as they are, opaque ones too;
 * message is what a SEND carries. Only the fields of op are looked at, in the
 * sense of pn_dist_signal. max: what the length may say, 0: 2^31-1. Errors:
 * PN_INVALID a term that is missing or of another kind, or a variant;
 * PN_TOO_LARGE; PN_NOMEM. out is as before then. */
PN_MUST_USE pn_err pn_dist_signal_write(
    pn_buf *out, const pn_dist_signal *signal, size_t max);

#endif

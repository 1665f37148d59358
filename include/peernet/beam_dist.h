/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BeamDist: `apply(Mod, Fun, Args)` for peers that were granted it. A C
 * program exports functions, each closed until granted, and serves them under
 * a handle; towards BEAM peers it calls and casts.
 */
#ifndef PEERNET_BEAM_DIST_H
#define PEERNET_BEAM_DIST_H

#include <peernet/node.h>

PN_BEGIN_DECLS

#define PN_BEAM_DIST_HANDLE "beam_admin"

/** A table of exported functions. */
typedef struct pn_beam_dist pn_beam_dist;

/**
 * Creates a table and serves it under handle (NULL: "beam_admin"). options are
 * those of the handle; each function has grants of its own and starts with
 * none. 'Elixir.Logger'.debug/1, info/1, warning/1 and error/1 are built in,
 * need a grant as well, and write to the node's log until a function of that
 * name is exported.
 *
 * Ownership: *ret_table is the node's; it ends with the node, or when the
 * handle is revoked or exposed again. Errors: as pn_expose. Thread: any.
 * Source: docs/PROTOCOL.md, section 4.4.
 */
PN_API PN_MUST_USE pn_err pn_beam_dist_serve(pn_node *node, const char *handle,
    const pn_expose_options *options, pn_beam_dist **ret_table);

/**
 * Exports Module.function/arity. An Elixir module is named as Elixir prints
 * it ("MyApp.Led"); an Erlang one with a leading colon (":led"). args of the
 * handler is the list of arguments. A `cast` runs the same handler, and its
 * reply is dropped.
 *
 * Ownership: the names are copied; user stays the caller's as long as the
 * table. Errors: PN_INVALID module is named another way or over 248 bytes,
 * function is empty or over 255, arity is over 255, or handler is NULL;
 * PN_EXISTS it is exported already; PN_NOMEM. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_beam_dist_export(pn_beam_dist *table,
    const char *module, const char *function, unsigned arity,
    pn_handler *handler, void *user);

/**
 * Grants one exported function to one principal; who NULL: to every paired
 * PeerNet peer. It ends as a pn_grant does.
 * Errors: PN_NOT_FOUND it is not exported; PN_INVALID module or function as in
 * pn_beam_dist_export, or who as in pn_grant; PN_NOMEM. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_beam_dist_grant(pn_beam_dist *table,
    const char *module, const char *function, unsigned arity,
    const pn_principal *who);

/**
 * Takes a grant back, as pn_ungrant does.
 * Errors: PN_NOT_FOUND the function is not exported, or who had no grant;
 * PN_INVALID module or function; PN_NOMEM. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_beam_dist_ungrant(pn_beam_dist *table,
    const char *module, const char *function, unsigned arity,
    const pn_principal *who);

/**
 * Makes the grants of pn_beam_dist_grant of a function exactly these, as
 * pn_set_grants does for a handle.
 * Errors: PN_NOT_FOUND it is not exported; PN_INVALID module, function or one
 * of who; PN_NOMEM; nothing has changed then. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_beam_dist_set_grants(pn_beam_dist *table,
    const char *module, const char *function, unsigned arity, bool is_paired,
    const pn_principal *who, size_t n);

/**
 * Calls apply(Mod, Fun, Args) at a peer and waits. handle NULL: "beam_admin".
 * args is a list. timeout_ms and ownership: as pn_call_term.
 * Errors: PN_INVALID module or function, or args is no list; PN_REMOTE also
 * with the reason {handler_crash, _} when the function raised; else as
 * pn_call_term.
 * Thread: any but the loop. Source: docs/PROTOCOL.md, section 4.4.
 */
PN_API PN_MUST_USE pn_err pn_beam_dist_call(pn_node *node,
    const pn_public_key *peer, const char *handle, const char *module,
    const char *function, pn_term args, uint32_t timeout_ms,
    pn_reply **ret_reply);

/**
 * The same without a reply: it travels as a send.
 * Errors: PN_INVALID module or function, or args is no list; else as
 * pn_send_term. Thread: any.
 */
PN_API PN_MUST_USE pn_err pn_beam_dist_cast(pn_node *node,
    const pn_public_key *peer, const char *handle, const char *module,
    const char *function, pn_term args);

PN_END_DECLS

#endif

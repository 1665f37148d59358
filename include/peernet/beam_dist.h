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
 * Creates a table and serves it under handle (NULL: "beam_admin"). The handle
 * is open to all paired peers; each function has grants of its own and starts
 * with none. Built in, granted to nobody either: 'Elixir.Logger'.debug/1,
 * info/1, warning/1, error/1, which go to the node's log.
 * Ownership: the node's; it ends with the node or pn_revoke of the handle.
 * Errors: PN_INVALID, PN_NOMEM.
 */
PN_API PN_MUST_USE pn_err pn_beam_dist_serve(pn_node *node, const char *handle,
    const pn_expose_options *options, pn_beam_dist **ret_table);

/**
 * Exports Module.function/arity. An Elixir module is named as Elixir prints
 * it ("MyApp.Led"); an Erlang one with a leading colon (":led"). args of the
 * handler is the list of arguments. A `cast` runs the same handler; its reply
 * goes nowhere.
 * Errors: PN_INVALID, PN_NOMEM, PN_EXISTS.
 */
PN_API PN_MUST_USE pn_err pn_beam_dist_export(pn_beam_dist *table,
    const char *module, const char *function, unsigned arity,
    pn_handler *handler, void *user);

/** Grants one exported function to one principal; who NULL: to every paired
 * PeerNet peer. Errors: PN_NOT_FOUND, PN_NOMEM. */
PN_API PN_MUST_USE pn_err pn_beam_dist_grant(pn_beam_dist *table,
    const char *module, const char *function, unsigned arity,
    const pn_principal *who);
/** Takes it back. Errors: PN_NOT_FOUND. */
PN_API PN_MUST_USE pn_err pn_beam_dist_ungrant(pn_beam_dist *table,
    const char *module, const char *function, unsigned arity,
    const pn_principal *who);

/**
 * apply(Mod, Fun, Args) at a peer; waits. handle NULL: "beam_admin". args must
 * be a list. Everything else as pn_call_term; PN_REMOTE with the reason
 * {handler_crash, _} when the function raised.
 */
PN_API PN_MUST_USE pn_err pn_beam_dist_call(pn_node *node,
    const pn_public_key *peer, const char *handle, const char *module,
    const char *function, pn_term args, uint32_t timeout_ms,
    pn_reply **ret_reply);
/** The same without a reply: travels as a send. */
PN_API PN_MUST_USE pn_err pn_beam_dist_cast(pn_node *node,
    const pn_public_key *peer, const char *handle, const char *module,
    const char *function, pn_term args);

PN_END_DECLS

#endif

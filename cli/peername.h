/* SPDX-License-Identifier: Apache-2.0 */
/* PEER on a command line: a label, Base32, hexadecimal, or the unique prefix
 * of a fingerprint. */
#ifndef PN_CLI_PEERNAME_H
#define PN_CLI_PEERNAME_H

#include <peernet/node.h>
#include <peernet/store.h>

#include "text.h"

/*
 * Finds the paired peer that name means. Errors: PN_NOT_FOUND; PN_INVALID more
 * than one fits; PN_NOMEM; why says which and what was expected, safe to
 * print.
 */
PN_MUST_USE pn_err cli_peer_of_node(
    pn_node *node, const char *name, pn_public_key *ret_key, cli_text *why);
PN_MUST_USE pn_err cli_peer_of_list(const pn_store_peer *peers, size_t n,
    const char *name, pn_public_key *ret_key, cli_text *why);

#endif

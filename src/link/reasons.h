/* SPDX-License-Identifier: Apache-2.0 */
/* The reasons that are sent to peers in {error, Reason}, in one table. */
#ifndef PN_LINK_REASONS_H
#define PN_LINK_REASONS_H

#include <peernet/reason.h>
#include <peernet/term.h>

/*
 * Writes the wire form of reason. mfa: for FUNCTION_NOT_EXPORTED and
 * FUNCTION_FORBIDDEN the caller's own {Mod, Fun, Arity}, which that peer's VM
 * therefore knows; NULL leaves it out. All other atoms are known to every
 * BEAM that runs PeerNet 0.1.0.
 */
void pn_reason_write(pn_term_writer *w, pn_reason reason, const pn_term *mfa);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What windows, invitations and joiners share. */
#ifndef PN_PAIRING_COMMON_H
#define PN_PAIRING_COMMON_H

#include "base/env.h"
#include "exchange/offer.h"
#include "link/gate.h"
#include "os/address.h"
#include "trust/store.h"

/* Connections of others at once. */
#define PN_PAIRING_INCOMING 8

/* Randomness of the system. */
extern const pn_env pn_pairing_env;

/* Limits on strangers, whose connections are all that a listener has. */
extern const pn_gate_limits pn_pairing_gate_limits;

/* Checks the options that several have; each may be NULL. Errors: PN_INVALID
 * with a sentence. */
PN_MUST_USE pn_err pn_pairing_check(const char *own_label, const char *label,
    const char *role, pn_why *ret_why);

/* Remembers where a paired peer's node listens, at the host of a connection
 * with it; port 0: it has not said. A hint, so an error is nothing. ret_text
 * gets the address, and stays as it is for port 0. */
void pn_pairing_note_address(pn_store *store, const pn_public_key *peer,
    const pn_address *remote, uint16_t port,
    char ret_text[static PN_ADDRESS_TEXT_LEN]);

#endif

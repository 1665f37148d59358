/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of ours to peers of the PeerNet family. Lock held. */
#ifndef PN_NODE_PEER_CALL_H
#define PN_NODE_PEER_CALL_H

#include "link/call.h"

/* begin_call and expire_call of pn_link_ops. */
pn_err pn_peer_call_begin(pn_link *base, pn_call_op *call);
void pn_peer_call_expire(pn_link *base, pn_call_op *call);
/* The on_reply of pn_session_callbacks; user is the link. */
void pn_peer_call_replied(
    void *user, void *call, pn_err outcome, pn_term value);

#endif

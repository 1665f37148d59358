/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QUIC as a transport of byte streams: each connection carries one, its first
 * bidirectional stream. It is here so that tests/conform runs over QUIC; the
 * Barrel link uses quic.h.
 *
 * It differs from TCP: a connection is accepted when its stream has been
 * opened; a full queue of a paused listener refuses, instead of leaving the
 * dialling end to try again; the port stays in use until all accepted
 * connections are closed; the peer's address may be forged in on_incoming.
 */
#ifndef PN_BARREL_QUIC_TRANSPORT_H
#define PN_BARREL_QUIC_TRANSPORT_H

#include "os/transport.h"

extern const pn_transport_ops pn_transport_quic;

/* Before the loop is freed: drops connections that are still closing. */
void quic_transport_end(pn_loop *loop);

#endif

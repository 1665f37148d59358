/* SPDX-License-Identifier: Apache-2.0 */
/* Names given at pairing. */
#ifndef PN_NODE_LOOKUP_H
#define PN_NODE_LOOKUP_H

#include "node/peers.h"

typedef struct pn_node_lookups {
    pn_list running;
    uint64_t due_us; /* the soonest of all peers */
} pn_node_lookups;

/* Sets the address that the store has: numeric, or a name that is looked up
 * from now on. */
void pn_peer_set_name(pn_node *node, pn_peer *peer, const char *text);
/* A dial failed, or there is no address: looks the name up as soon as the
 * interval allows. */
void pn_peer_want_lookup(pn_node *node, pn_peer *peer);
/* The peer is up, or the owner asked for it: the next look-up does not wait. */
void pn_peer_reset_lookup(pn_peer *peer);
void pn_node_lookup_turn(pn_node *node);
void pn_node_lookup_stop(pn_node *node); /* no answer comes any more */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Discovery and network changes. */
#ifndef PN_NODE_NET_H
#define PN_NODE_NET_H

#include "node/peers.h"
#include "os/interfaces.h"

PN_MUST_USE pn_err pn_node_net_start(pn_node *node, pn_why *ret_why);
void pn_node_net_stop(pn_node *node); /* nothing is announced or heard */
void pn_node_net_free(pn_node *node);
void pn_node_net_turn(pn_node *node);
/* Why a source does not use an entry of this host's interfaces; NULL: it does.
 * Static storage. */
const char *pn_node_net_unused(
    pn_node *node, const char *source, const pn_interface *entry);
/* Dials peer where a source has seen it. */
void pn_node_net_recall(pn_node *node, pn_peer *peer);

#endif

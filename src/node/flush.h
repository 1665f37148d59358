/* SPDX-License-Identifier: Apache-2.0 */
/* Sending accepted output before a node closes (flush.c). */
#ifndef PN_NODE_FLUSH_H
#define PN_NODE_FLUSH_H

#include <peernet/node.h>

/* The node closes: links with nothing to send end, the others are given time.
 */
void pn_flush_begin(pn_node *node);
/* Each turn: ends links that have sent everything, or are late, and wakes the
 * callers of pn_flush. */
void pn_flush_turn(pn_node *node);

#endif

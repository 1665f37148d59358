/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses that a node listens on. */
#ifndef PN_NODE_LISTEN_H
#define PN_NODE_LISTEN_H

#include <peernet/node.h>

#include "os/transport.h"

/* Addresses that a node may listen on. */
#define PN_MAX_LISTENERS 8

typedef struct pn_node_listen {
    pn_listener *list[PN_MAX_LISTENERS];
    unsigned n;
    uint16_t port; /* of the first */
} pn_node_listen;

PN_MUST_USE pn_err pn_node_listen_begin(pn_node *node, pn_why *ret_why);
void pn_node_listen_pause(pn_node *node);
void pn_node_listen_end(pn_node *node);
/* The next address of a list "A,B,..." in *at, numeric and with this port
 * unless it has its own; false: there is none. Errors: PN_INVALID one that is
 * not an address, written to ret_text. */
bool pn_address_list_next(const char **at, int port, pn_address *ret_address,
    char ret_text[static PN_ADDRESS_TEXT_LEN], pn_err *ret_err);

#endif

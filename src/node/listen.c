/* SPDX-License-Identifier: Apache-2.0 */
/* Listening: one address, or all of them over IPv6 and IPv4. */
#include <string.h>

#include "node/node_internal.h"

pn_err pn_node_listen(pn_node *node)
{
    const char *text = node->opt.listen_address == NULL
                           ? "::"
                           : node->opt.listen_address;
    int sys_errno = 0;
    pn_address at;
    pn_err err;

    if (node->opt.listen_port == PN_PORT_NONE) {
        return PN_OK;
    }
    if (pn_address_parse(text, node->opt.listen_port, &at) != PN_OK) {
        pn_node_set_open_error(
            "listen_address \"%s\" is not a numeric address", text);
        return PN_INVALID;
    }
    pn_address_set_port(&at, (uint16_t)node->opt.listen_port);
    err = node->transport->listen(node->loop, &at, 0,
        &pn_link_listener_callbacks, node, &node->listener, &sys_errno);
    if (err != PN_OK) {
        pn_node_set_open_error("cannot listen on %s port %d: %s",
            node->opt.listen_address == NULL ? "all addresses" : text,
            node->opt.listen_port,
            sys_errno == 0 ? pn_strerror(err) : strerror(sys_errno));
        return err;
    }
    node->transport->listener_address(node->listener, &at);
    node->port = pn_address_port(&at);
    pn_node_event(
        node, PN_EVENT_LISTENING, NULL, NULL, &at, NULL, 0, PN_REASON_NONE);
    return PN_OK;
}

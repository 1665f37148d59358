/* SPDX-License-Identifier: Apache-2.0 */
/* Listening: the addresses of a list, or all of them over IPv6 and IPv4, or
 * sockets that the application has. */
#include <stdio.h>
#include <string.h>

#include "node/node_internal.h"

bool pn_address_list_next(const char **at, int port, pn_address *ret_address,
    char ret_text[static PN_ADDRESS_TEXT_LEN], pn_err *ret_err)
{
    size_t len = strcspn(*at, ",");

    if (len == 0 && (*at)[0] == '\0') {
        return false;
    }
    (void)snprintf(ret_text, PN_ADDRESS_TEXT_LEN, "%.*s", (int)len, *at);
    *ret_err = len < PN_ADDRESS_TEXT_LEN
                   ? pn_address_parse(ret_text, port, ret_address)
                   : PN_INVALID;
    *at += len + ((*at)[len] == ',');
    return true;
}

/* The last of the list is new. */
static void note_listener(pn_node *node)
{
    pn_address at;

    pn_full(node)->transport->listener_address(
        pn_full(node)->listen.list[pn_full(node)->listen.n], &at);
    if (pn_full(node)->listen.n++ == 0) {
        pn_full(node)->listen.port = pn_address_port(&at);
    }
    pn_node_event(
        node, PN_EVENT_LISTENING, NULL, NULL, &at, NULL, 0, PN_REASON_NONE);
}

static pn_err check_room(const pn_node *node, const char *what, pn_why *ret_why)
{
    return pn_full(node)->listen.n < PN_MAX_LISTENERS
               ? PN_OK
               : pn_why_fail(ret_why, PN_INVALID,
                   "%s has more than %d, expected at most that", what,
                   PN_MAX_LISTENERS);
}

static pn_err listen_on_fd(pn_node *node, int fd, pn_why *ret_why)
{
    int sys_errno = 0;
    pn_err err = check_room(node, "listen_fds", ret_why);

    if (err != PN_OK) {
        return err;
    }
    err = pn_full(node)->transport->listen_fd(node->turn.loop, fd,
        &pn_link_listener_callbacks, node,
        &pn_full(node)->listen.list[pn_full(node)->listen.n], &sys_errno);
    if (err == PN_INVALID) {
        return pn_why_fail(ret_why, err,
            "listen_fds has descriptor %d, expected a listening TCP socket",
            fd);
    }
    if (err != PN_OK) {
        return pn_why_fail(ret_why, err, "cannot listen on descriptor %d: %s",
            fd, sys_errno == 0 ? pn_strerror(err) : strerror(sys_errno));
    }
    note_listener(node);
    return PN_OK;
}

static pn_err listen_on(
    pn_node *node, pn_address *at, const char *text, pn_why *ret_why)
{
    int sys_errno = 0;
    pn_err err = check_room(node, "listen_address", ret_why);

    if (err != PN_OK) {
        return err;
    }
    /* One port is announced, so addresses that ask for any share it. */
    if (pn_address_port(at) == 0) {
        pn_address_set_port(at, pn_full(node)->listen.port);
    }
    err = pn_full(node)->transport->listen(node->turn.loop, at,
        &pn_link_listener_callbacks, node,
        &pn_full(node)->listen.list[pn_full(node)->listen.n], &sys_errno);
    if (err != PN_OK) {
        return pn_why_fail(ret_why, err, "cannot listen on %s port %d: %s",
            text, (int)pn_address_port(at),
            sys_errno == 0 ? pn_strerror(err) : strerror(sys_errno));
    }
    note_listener(node);
    return PN_OK;
}

pn_err pn_node_listen_begin(pn_node *node, pn_why *ret_why)
{
    const char *list = node->opt.listen_address == NULL
                           ? "::"
                           : node->opt.listen_address;
    char text[PN_ADDRESS_TEXT_LEN];
    pn_address at;
    pn_err err = PN_OK;

    for (size_t i = 0; err == PN_OK && i < node->opt.n_listen_fds; i++) {
        err = listen_on_fd(node, node->opt.listen_fds[i], ret_why);
    }
    if (node->opt.listen_port == PN_PORT_NONE || node->opt.n_listen_fds > 0) {
        return err;
    }
    while (err == PN_OK
           && pn_address_list_next(
               &list, node->opt.listen_port, &at, text, &err)) {
        if (err != PN_OK) {
            return pn_why_fail(ret_why, err,
                "listen_address \"%s\" is not a numeric address", text);
        }
        err = listen_on(node, &at,
            node->opt.listen_address == NULL ? "all addresses" : text, ret_why);
    }
    return err;
}

void pn_node_listen_pause(pn_node *node)
{
    for (unsigned i = 0; i < pn_full(node)->listen.n; i++) {
        pn_full(node)->transport->listener_pause(pn_full(node)->listen.list[i]);
    }
}

void pn_node_listen_end(pn_node *node)
{
    while (pn_full(node)->listen.n > 0) {
        pn_full(node)->transport->listener_close(
            pn_full(node)->listen.list[--pn_full(node)->listen.n]);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Notices of rtnetlink(7) that something changed; see netlink.h. */
#include <stdlib.h>
#include <unistd.h>

#include "os/netlink.h"

struct pn_netlink {
    int fd;
    pn_watch *watch;
    void (*callback)(void *user);
    void *user;
};

static void on_readable(void *user)
{
    pn_netlink *n = user;

    if (pn_netlink_socket_read(n->fd)) {
        n->callback(n->user);
    }
}

pn_err pn_netlink_new(pn_loop *loop, void (*callback)(void *user), void *user,
    pn_netlink **ret_netlink)
{
    pn_netlink *n = calloc(1, sizeof(*n));
    pn_err err;

    if (n == NULL) {
        return PN_NOMEM;
    }
    n->callback = callback;
    n->user = user;
    n->fd = pn_netlink_socket_open();
    if (n->fd < 0) {
        free(n);
        return PN_SYS;
    }
    err = pn_watch_new(loop, n->fd, on_readable, n, &n->watch);
    if (err != PN_OK) {
        (void)close(n->fd);
        free(n);
        return err;
    }
    *ret_netlink = n;
    return PN_OK;
}

void pn_netlink_free(pn_netlink *n)
{
    if (n != NULL) {
        pn_watch_free(n->watch);
        (void)close(n->fd);
        free(n);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's notices that links or addresses of this host have changed. */
#ifndef PN_OS_NETLINK_H
#define PN_OS_NETLINK_H

#include "os/loop.h"

typedef struct pn_netlink pn_netlink;

/* callback is called when a link or an address may have changed; it looks up
 * which. It may be called often. Errors: PN_NOMEM; PN_SYS with errno (no
 * rtnetlink here). */
PN_MUST_USE pn_err pn_netlink_new(pn_loop *loop, void (*callback)(void *user),
    void *user, pn_netlink **ret_netlink);
void pn_netlink_free(pn_netlink *n); /* NULL is fine */

/* The same for a loop of another kind (netlink_socket.c): a descriptor that is
 * readable when there are notices; -1 with errno. */
int pn_netlink_socket_open(void);
/* Reads all notices. True when a link or an address may have changed. */
bool pn_netlink_socket_read(int fd);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Notices of rtnetlink(7) that something changed; see netlink.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "os/descriptor.h"
#include "os/netlink.h"

struct pn_netlink {
    int fd;
    pn_watch *watch;
    void (*callback)(void *user);
    void *user;
};

static bool is_change(uint16_t type)
{
    return type == RTM_NEWADDR || type == RTM_DELADDR || type == RTM_NEWLINK
           || type == RTM_DELLINK;
}

/* len bytes of messages, each behind its header and padded to four. */
static bool has_change(const uint8_t *data, size_t len)
{
    struct nlmsghdr h;

    while (len >= sizeof(h)) {
        size_t step;

        memcpy(&h, data, sizeof(h));
        if (h.nlmsg_len < sizeof(h) || h.nlmsg_len > len) {
            return false;
        }
        if (is_change(h.nlmsg_type)) {
            return true;
        }
        step = ((size_t)h.nlmsg_len + 3) & ~(size_t)3;
        data += step < len ? step : len;
        len -= step < len ? step : len;
    }
    return false;
}

/* Reads all messages. Other processes may write to this socket too, so only
 * messages of the kernel (port 0) count as a change. An overflow of the receive
 * buffer counts as one too. */
static void on_readable(void *user)
{
    pn_netlink *n = user;
    uint8_t data[8192];
    bool changed = false;

    for (int i = 0; i < 64; i++) {
        struct sockaddr_nl from = {0};
        socklen_t from_len = sizeof(from);
        ssize_t len = recvfrom(n->fd, data, sizeof(data), MSG_DONTWAIT,
            (struct sockaddr *)&from, &from_len);

        if (len < 0 && errno != ENOBUFS && errno != EINTR) {
            break;
        }
        changed |= len < 0 ? errno == ENOBUFS
                           : from.nl_pid == 0 && has_change(data, (size_t)len);
    }
    if (changed) {
        n->callback(n->user);
    }
}

static int open_socket(void)
{
    struct sockaddr_nl at = {.nl_family = AF_NETLINK,
        .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR};
    int fd = socket(
        AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0) {
        return pn_close_failed(fd);
    }
    return fd;
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
    n->fd = open_socket();
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

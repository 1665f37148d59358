/* SPDX-License-Identifier: Apache-2.0 */
/* A socket for notices of rtnetlink(7), without a loop; see netlink.h. */
#include <errno.h>
#include <string.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "os/descriptor.h"
#include "os/netlink.h"

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

/* Other processes may write to this socket too, so only messages of the kernel
 * (port 0) count as a change. An overflow of the receive buffer counts as one
 * too. */
bool pn_netlink_socket_read(int fd)
{
    uint8_t data[8192];
    bool changed = false;

    for (int i = 0; i < 64; i++) {
        struct sockaddr_nl from = {0};
        socklen_t from_len = sizeof(from);
        ssize_t len = recvfrom(fd, data, sizeof(data), MSG_DONTWAIT,
            (struct sockaddr *)&from, &from_len);

        if (len < 0 && errno != ENOBUFS && errno != EINTR) {
            break;
        }
        changed |= len < 0 ? errno == ENOBUFS
                           : from.nl_pid == 0 && has_change(data, (size_t)len);
    }
    return changed;
}

int pn_netlink_socket_open(void)
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

/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams; see udp.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loop_internal.h"
#include "os/descriptor.h"
#include "os/udp.h"

enum {
    /* At most this many in one turn, so that other descriptors get their
     * turn. */
    READS_MAX = 64,
    /* A few hundred announces: old ones are of no use. */
    RECEIVE_BUFFER = 64 * 1024
};

struct pn_udp {
    uv_poll_t poll;
    pn_loop *loop;
    pn_udp_callback *callback;
    void *user;
    int fd;
    bool is_reading;
    bool is_closed;
    uint32_t overflows;
};

typedef union control {
    struct cmsghdr align;
    uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))
                  + CMSG_SPACE(sizeof(uint32_t)) + 64];
} control;

/* ---- reading ---------------------------------------------------------- */

static void read_control(pn_udp *udp, struct msghdr *msg, unsigned *ret_index)
{
    struct cmsghdr *c;

    for (c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;

            memcpy(&info, CMSG_DATA(c), sizeof(info));
            *ret_index = (unsigned)info.ipi_ifindex;
        } else if (c->cmsg_level == IPPROTO_IPV6
                   && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;

            memcpy(&info, CMSG_DATA(c), sizeof(info));
            *ret_index = info.ipi6_ifindex;
        } else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
            memcpy(&udp->overflows, CMSG_DATA(c), sizeof(udp->overflows));
        }
    }
}

/* False when there is nothing more to read. */
static bool read_one(pn_udp *udp)
{
    uint8_t data[PN_UDP_DATA_MAX];
    control c;
    pn_address from = {.in6 = {0}};
    struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
    struct msghdr msg = {.msg_name = &from,
        .msg_namelen = sizeof(from),
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = &c,
        .msg_controllen = sizeof(c)};
    ssize_t n = recvmsg(udp->fd, &msg, MSG_DONTWAIT | MSG_TRUNC);
    unsigned index = 0;

    if (n < 0) {
        /* An ICMP error of something sent earlier is not the end. */
        return errno != EAGAIN;
    }
    read_control(udp, &msg, &index);
    pn_address_unmap(&from);
    udp->callback(udp->user, data, (size_t)n, &from, index);
    return true;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    pn_udp *udp = poll->data;

    (void)events;
    pn_loop_turn(udp->loop);
    if (status < 0) {
        (void)uv_poll_start(poll, UV_READABLE, on_readable);
    }
    for (int i = 0; i < READS_MAX; i++) {
        if (!read_one(udp) || udp->is_closed || !udp->is_reading) {
            break;
        }
    }
}

void pn_udp_set_reading(pn_udp *udp, bool on)
{
    if (udp->is_reading == on) {
        return;
    }
    udp->is_reading = on;
    if (on) {
        (void)uv_poll_start(&udp->poll, UV_READABLE, on_readable);
    } else {
        (void)uv_poll_stop(&udp->poll);
    }
}

uint32_t pn_udp_overflows(const pn_udp *udp)
{
    return udp->overflows;
}

/* ---- writing ---------------------------------------------------------- */

pn_err pn_udp_send(pn_udp *udp, const pn_address *to, const uint8_t *data,
    size_t len, int *ret_errno)
{
    ssize_t n;

    do {
        n = sendto(udp->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL, &to->any,
            pn_address_len(to));
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        *ret_errno = errno;
        return PN_SYS;
    }
    return PN_OK;
}

/* ---- life ------------------------------------------------------------- */

static int open_socket(const pn_address *at)
{
    int family = at->any.sa_family;
    int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    int size = RECEIVE_BUFFER;

    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    if (family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
    } else {
        (void)setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
    }
    return bind(fd, &at->any, pn_address_len(at)) == 0 ? fd
                                                       : pn_close_failed(fd);
}

pn_err pn_udp_new(pn_loop *loop, const pn_address *at,
    pn_udp_callback *callback, void *user, pn_udp **ret_udp, int *ret_errno)
{
    pn_udp *udp = calloc(1, sizeof(*udp));
    int r;

    if (udp == NULL) {
        return PN_NOMEM;
    }
    udp->fd = open_socket(at);
    if (udp->fd < 0) {
        *ret_errno = errno;
        free(udp);
        return PN_SYS;
    }
    r = uv_poll_init_socket(pn_loop_uv(loop), &udp->poll, udp->fd);
    if (r != 0) {
        *ret_errno = -r;
        (void)close(udp->fd);
        free(udp);
        return PN_SYS;
    }
    udp->poll.data = udp;
    udp->loop = loop;
    udp->callback = callback;
    udp->user = user;
    pn_udp_set_reading(udp, true);
    *ret_udp = udp;
    return PN_OK;
}

void pn_udp_free(pn_udp *udp)
{
    if (udp != NULL) {
        udp->is_closed = true;
        pn_handle_close((uv_handle_t *)&udp->poll);
        (void)close(udp->fd);
    }
}

pn_err pn_udp_source(const pn_address *to, pn_address *ret_source)
{
    int fd = socket(to->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof(*ret_source);
    int on = 1;
    bool ok;

    if (fd < 0) {
        return PN_SYS;
    }
    *ret_source = (pn_address){.in6 = {0}};
    (void)setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on));
    ok = connect(fd, &to->any, pn_address_len(to)) == 0
         && getsockname(fd, &ret_source->any, &len) == 0;
    if (!ok) {
        (void)pn_close_failed(fd);
        return PN_SYS;
    }
    (void)close(fd);
    return PN_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The UDP socket of an endpoint: which address a datagram came to (PKTINFO),
 * several datagrams in one call (UDP_SEGMENT, UDP_GRO), errors of those sent
 * (IP_RECVERR).
 *
 * One socket serves every address of the host, so the address that an answer
 * comes from is set for each: a peer that dialled one address must not hear
 * from another.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h> /* errqueue.h needs it */
#include <unistd.h>

#include <sys/socket.h>

#include <linux/errqueue.h>
#include <netinet/udp.h>

#include "os/clock.h"
#include "os/descriptor.h"
#include "quic_internal.h"

enum {
    /* recvmsg calls in one turn; each may bring 64 KiB. */
    READS_MAX = 16,
    ERRORS_MAX = 16,
    IN_LEN = 65536,
    /* Bursts of many peers wait here while we compute. */
    KERNEL_BUFFER = 2 * 1024 * 1024
};

#define RETRY_US (PN_US_PER_MS / 4)

typedef union control {
    struct cmsghdr align;
    uint8_t bytes[256];
} control;

/* ---- addresses -------------------------------------------------------- */

/* As the socket wants it: IPv4 as ::ffff:a.b.c.d on an IPv6 socket. */
static pn_address mapped(const quic_socket *s, const pn_address *address)
{
    pn_address out = {.in6 = {0}};

    if (s->family != AF_INET6 || address->any.sa_family != AF_INET) {
        return *address;
    }
    out.in6.sin6_family = AF_INET6;
    out.in6.sin6_port = address->in.sin_port;
    out.in6.sin6_addr.s6_addr[10] = 0xff;
    out.in6.sin6_addr.s6_addr[11] = 0xff;
    memcpy(out.in6.sin6_addr.s6_addr + 12, &address->in.sin_addr, 4);
    return out;
}

static bool is_link_local(const pn_address *address)
{
    return address->any.sa_family == AF_INET6
           && IN6_IS_ADDR_LINKLOCAL(&address->in6.sin6_addr);
}

static void local_from_info4(
    const quic_socket *s, const struct in_pktinfo *info, pn_address *ret_local)
{
    *ret_local = (pn_address){.in6 = {0}};
    ret_local->in.sin_family = AF_INET;
    ret_local->in.sin_addr = info->ipi_addr;
    pn_address_set_port(ret_local, pn_address_port(&s->address));
}

static void local_from_info6(
    const quic_socket *s, const struct in6_pktinfo *info, pn_address *ret_local)
{
    *ret_local = (pn_address){.in6 = {0}};
    ret_local->in6.sin6_family = AF_INET6;
    ret_local->in6.sin6_addr = info->ipi6_addr;
    if (is_link_local(ret_local)) {
        ret_local->in6.sin6_scope_id = info->ipi6_ifindex;
    }
    pn_address_set_port(ret_local, pn_address_port(&s->address));
    pn_address_unmap(ret_local);
}

pn_err pn_quic_socket_local(const pn_quic *quic, const pn_address *remote,
    pn_address *ret_local, int *ret_errno)
{
    const quic_socket *s = &quic->socket;
    pn_address local = {.in6 = {0}};
    socklen_t len = sizeof(local);
    int fd;

    if (!pn_address_is_any(&s->address)) {
        *ret_local = s->address;
        pn_address_unmap(ret_local);
        return PN_OK;
    }
    /* Connecting a datagram socket sends nothing and looks up the route. */
    fd = socket(remote->any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, &remote->any, pn_address_len(remote)) != 0
        || getsockname(fd, &local.any, &len) != 0) {
        *ret_errno = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        return PN_SYS;
    }
    (void)close(fd);
    pn_address_set_port(&local, pn_address_port(&s->address));
    *ret_local = local;
    return PN_OK;
}

/* ---- sending ---------------------------------------------------------- */

static void put_control(
    struct msghdr *msg, int level, int type, const void *data, size_t len)
{
    struct cmsghdr *c;

    /* CMSG_NXTHDR wants the space to be there already. */
    c = (struct cmsghdr *)(void *)((uint8_t *)msg->msg_control
                                   + msg->msg_controllen);
    msg->msg_controllen += CMSG_SPACE(len);
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(len);
    memcpy(CMSG_DATA(c), data, len);
}

static void put_source(
    const quic_socket *s, struct msghdr *msg, const pn_address *local)
{
    if (local->any.sa_family == 0 || pn_address_is_any(local)) {
        return;
    }
    if (s->family == AF_INET6) {
        pn_address from = mapped(s, local);
        struct in6_pktinfo info = {.ipi6_addr = from.in6.sin6_addr};

        info.ipi6_ifindex = is_link_local(local) ? local->in6.sin6_scope_id : 0;
        put_control(msg, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
    } else {
        struct in_pktinfo info = {.ipi_spec_dst = local->in.sin_addr};

        put_control(msg, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
    }
}

/* ECONNREFUSED and the like belong to a datagram sent earlier, to any address:
 * calling again clears the error, and the error queue has its address. */
static bool is_stale_error(int why)
{
    return why == ECONNREFUSED || why == EHOSTUNREACH || why == EINTR;
}

/* 0, or an errno. segment_len 0: data is one datagram. */
static int send_now(quic_socket *s, const quic_path *path, const uint8_t *data,
    size_t len, size_t segment_len)
{
    pn_address to = mapped(s, &path->remote);
    control c = {.bytes = {0}};
    struct iovec iov = {(void *)(uintptr_t)data, len};
    struct msghdr msg = {.msg_name = &to,
        .msg_namelen = pn_address_len(&to),
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = &c};
    int why = 0;

    put_source(s, &msg, &path->local);
    if (segment_len > 0) {
        uint16_t size = (uint16_t)segment_len;

        put_control(&msg, SOL_UDP, UDP_SEGMENT, &size, sizeof(size));
    }
    if (msg.msg_controllen == 0) {
        msg.msg_control = NULL;
    }
    for (int i = 0; i < 3; i++) {
        ssize_t n = sendmsg(s->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n >= 0) {
            return 0;
        }
        why = errno;
        if (!is_stale_error(why)) {
            break;
        }
    }
    return why;
}

static bool is_full(int why)
{
    return why == EAGAIN || why == ENOBUFS;
}

static void socket_block(pn_quic *quic)
{
    quic->socket.is_blocked = true;
    pn_timer_set(quic->socket.retry, pn_monotonic_now_us() + RETRY_US);
}

static void drop_front(quic_socket *s, size_t n)
{
    memmove(s->out, s->out + n, s->out_len - n);
    s->out_len -= n;
    s->n_segments--;
}

/* One by one, where the kernel or the device cannot cut. */
static int flush_singly(pn_quic *quic)
{
    quic_socket *s = &quic->socket;
    int first_error = 0;

    while (s->n_segments > 0) {
        size_t n = s->out_len < s->segment_len ? s->out_len : s->segment_len;
        int why = send_now(s, &s->out_path, s->out, n, 0);

        if (is_full(why)) {
            socket_block(quic);
            return 0;
        }
        /* Too large for this path: lost, as any probe of the path may be. */
        if (why != 0 && why != EMSGSIZE && first_error == 0) {
            first_error = why;
        }
        drop_front(s, n);
    }
    return first_error;
}

int pn_quic_socket_flush(pn_quic *quic)
{
    quic_socket *s = &quic->socket;
    int why;

    if (s->n_segments == 0 || s->is_blocked) {
        return 0;
    }
    if (s->n_segments == 1 || !s->can_segment) {
        return flush_singly(quic);
    }
    why = send_now(s, &s->out_path, s->out, s->out_len, s->segment_len);
    if (is_full(why)) {
        socket_block(quic);
        return 0;
    }
    if (why == EIO || why == EINVAL || why == EMSGSIZE) {
        s->can_segment = why == EMSGSIZE;
        return flush_singly(quic);
    }
    s->n_segments = 0;
    s->out_len = 0;
    return why;
}

uint8_t *pn_quic_socket_room(pn_quic *quic)
{
    return quic->socket.out + quic->socket.out_len;
}

static bool is_same_path(const quic_path *a, const quic_path *b)
{
    return pn_address_equal(&a->local, &b->local)
           && pn_address_equal(&a->remote, &b->remote);
}

int pn_quic_socket_put(pn_quic *quic, const quic_path *path, size_t len)
{
    quic_socket *s = &quic->socket;
    int why = 0;

    quic->counters.datagrams_out++;
    quic->counters.bytes_out += len;
    if (s->n_segments > 0
        && (len > s->segment_len || !is_same_path(path, &s->out_path))) {
        size_t old = s->out_len;

        why = pn_quic_socket_flush(quic);
        if (s->is_blocked) {
            return why; /* lost, as datagrams may be */
        }
        memmove(s->out, s->out + old, len);
    }
    if (s->n_segments == 0) {
        s->out_path = *path;
        s->segment_len = len;
    }
    s->out_len += len;
    s->n_segments++;
    if (len < s->segment_len || s->n_segments == QUIC_BATCH_SEGMENTS) {
        int more = pn_quic_socket_flush(quic);

        why = why != 0 ? why : more;
    }
    return why;
}

bool pn_quic_socket_send(
    pn_quic *quic, const quic_path *path, const uint8_t *data, size_t len)
{
    (void)pn_quic_socket_flush(quic);
    if (quic->socket.is_blocked) {
        return false;
    }
    memcpy(pn_quic_socket_room(quic), data, len);
    (void)pn_quic_socket_put(quic, path, len);
    (void)pn_quic_socket_flush(quic);
    return true;
}

static void on_retry(void *user)
{
    pn_quic *quic = user;

    pn_quic_enter(quic);
    quic->socket.is_blocked = false;
    (void)pn_quic_socket_flush(quic);
    if (!quic->socket.is_blocked) {
        pn_quic_unblocked(quic);
    }
    pn_quic_leave(quic);
}

/* ---- receiving -------------------------------------------------------- */

static void read_control(const quic_socket *s, struct msghdr *msg,
    pn_address *ret_local, size_t *ret_segment)
{
    struct cmsghdr *c;

    for (c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;

            memcpy(&info, CMSG_DATA(c), sizeof(info));
            local_from_info4(s, &info, ret_local);
        } else if (c->cmsg_level == IPPROTO_IPV6
                   && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;

            memcpy(&info, CMSG_DATA(c), sizeof(info));
            local_from_info6(s, &info, ret_local);
        } else if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
            int size = 0;

            memcpy(&size, CMSG_DATA(c), sizeof(size));
            *ret_segment = (size_t)size;
        }
    }
}

/* The datagrams of one call: of equal length, except that the last may be
 * shorter. */
static void show_datagrams(
    pn_quic *quic, const quic_path *path, size_t len, size_t segment)
{
    const uint8_t *data = quic->socket.in;

    if (segment == 0) {
        segment = len;
    }
    while (len > 0 && !quic->is_freed) {
        size_t n = len < segment ? len : segment;

        quic->counters.datagrams_in++;
        quic->counters.bytes_in += n;
        pn_quic_datagram(quic, path, data, n);
        data += n;
        len -= n;
    }
}

/* False when there is nothing more to read. */
static bool read_one(pn_quic *quic)
{
    quic_socket *s = &quic->socket;
    quic_path path = {.local = s->address};
    control c;
    struct iovec iov = {s->in, IN_LEN};
    struct msghdr msg = {.msg_name = &path.remote,
        .msg_namelen = sizeof(path.remote),
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = &c,
        .msg_controllen = sizeof(c)};
    size_t segment = 0;
    ssize_t n;

    n = recvmsg(s->fd, &msg, MSG_DONTWAIT);
    if (n < 0) {
        return errno != EAGAIN;
    }
    read_control(s, &msg, &path.local, &segment);
    pn_address_unmap(&path.remote);
    pn_address_unmap(&path.local);
    show_datagrams(quic, &path, (size_t)n, segment);
    return true;
}

/* ---- errors of what was sent ------------------------------------------ */

static int read_extended_error(struct msghdr *msg)
{
    struct cmsghdr *c;

    for (c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR)
            || (c->cmsg_level == IPPROTO_IPV6
                && c->cmsg_type == IPV6_RECVERR)) {
            struct sock_extended_err e;

            memcpy(&e, CMSG_DATA(c), sizeof(e));
            return e.ee_origin == SO_EE_ORIGIN_ICMP
                           || e.ee_origin == SO_EE_ORIGIN_ICMP6
                       ? (int)e.ee_errno
                       : 0;
        }
    }
    return 0;
}

static bool read_error(pn_quic *quic)
{
    quic_socket *s = &quic->socket;
    pn_address remote = {.in6 = {0}};
    control c;
    struct iovec iov = {s->in, IN_LEN};
    struct msghdr msg = {.msg_name = &remote,
        .msg_namelen = sizeof(remote),
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = &c,
        .msg_controllen = sizeof(c)};
    int why;

    if (recvmsg(s->fd, &msg, MSG_DONTWAIT | MSG_ERRQUEUE) < 0) {
        return false;
    }
    why = read_extended_error(&msg);
    if (why != 0 && why != EMSGSIZE) {
        pn_address_unmap(&remote);
        pn_quic_unreachable(quic, &remote, why);
    }
    return true;
}

static void on_readable(void *user)
{
    pn_quic *quic = user;

    pn_quic_enter(quic);
    for (int i = 0; i < ERRORS_MAX && !quic->is_freed; i++) {
        if (!read_error(quic)) {
            break;
        }
    }
    for (int i = 0; i < READS_MAX && !quic->is_freed; i++) {
        if (!read_one(quic)) {
            break;
        }
    }
    pn_quic_leave(quic);
}

/* ---- life ------------------------------------------------------------- */

static void set_option(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof(value));
}

static void set_options4(int fd)
{
    set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
    set_option(fd, IPPROTO_IP, IP_RECVERR, 1);
    set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
}

static void set_options6(int fd, bool only6)
{
    set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, only6);
    set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    set_option(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
    set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
}

static int bind_socket(const pn_address *at)
{
    int family = at->any.sa_family;
    int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return -1;
    }
    if (family == AF_INET6) {
        set_options6(fd, !pn_address_is_any(at));
    }
    if (family == AF_INET || pn_address_is_any(at)) {
        set_options4(fd);
    }
    set_option(fd, SOL_UDP, UDP_GRO, 1);
    set_option(fd, SOL_SOCKET, SO_RCVBUF, KERNEL_BUFFER);
    set_option(fd, SOL_SOCKET, SO_SNDBUF, KERNEL_BUFFER);
    return bind(fd, &at->any, pn_address_len(at)) == 0 ? fd
                                                       : pn_close_failed(fd);
}

static int open_socket(const pn_address *at, int *ret_family)
{
    pn_address to = *at;
    int fd = bind_socket(&to);

    if (fd < 0 && pn_address_fall_back(&to, errno)) {
        fd = bind_socket(&to);
    }
    *ret_family = to.any.sa_family;
    return fd;
}

static pn_err socket_init(pn_quic *quic)
{
    quic_socket *s = &quic->socket;
    socklen_t len = sizeof(s->address);
    pn_err err;

    (void)getsockname(s->fd, &s->address.any, &len);
    s->can_segment = true;
    s->out = malloc(QUIC_BATCH_LEN + QUIC_DATAGRAM_MAX);
    s->in = malloc(IN_LEN);
    if (s->out == NULL || s->in == NULL) {
        errno = ENOMEM;
        return PN_NOMEM;
    }
    err = pn_timer_new(quic->loop, on_retry, quic, &s->retry);
    if (err == PN_OK) {
        err = pn_watch_new(quic->loop, s->fd, on_readable, quic, &s->watch);
    }
    return err;
}

pn_err pn_quic_socket_open(pn_quic *quic, const pn_address *at, int *ret_errno)
{
    quic_socket *s = &quic->socket;
    pn_err err;

    s->fd = open_socket(at, &s->family);
    if (s->fd < 0) {
        *ret_errno = errno;
        return PN_SYS;
    }
    err = socket_init(quic);
    if (err != PN_OK) {
        *ret_errno = errno;
        pn_quic_socket_close(quic);
    }
    return err;
}

void pn_quic_socket_close(pn_quic *quic)
{
    quic_socket *s = &quic->socket;

    pn_watch_free(s->watch);
    pn_timer_free(s->retry);
    if (s->fd >= 0) {
        (void)close(s->fd);
    }
    free(s->out);
    free(s->in);
    *s = (quic_socket){.fd = -1};
}

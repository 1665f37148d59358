/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP listeners. When descriptors run out, a pending connection would keep the
 * socket readable. A spare descriptor is then closed, the connection is
 * accepted and closed with it, and accepting pauses (docs/THREATS.md, T4).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mutant.h"
#include "os/descriptor.h"
#include "tcp_internal.h"

enum {
    BACKLOG = 128,
    /* At most this many in one turn, so that other descriptors get their
     * turn. */
    ACCEPTS_MAX = 32
};

#define PAUSE_US (100 * PN_US_PER_MS)
#define TROUBLE_EVERY_US (60 * PN_US_PER_S)

struct pn_listener {
    uv_poll_t poll;
    pn_loop *loop;
    const pn_listener_callbacks *callbacks;
    void *user;
    pn_timer *resume; /* armed while trouble pauses it */
    int fd;
    int spare_fd;
    bool is_paused; /* by the owner */
    bool is_closed;
    bool had_trouble;
    uint64_t trouble_us;
};

static void on_readable(uv_poll_t *poll, int status, int events);

static void listener_start(pn_listener *l)
{
    if (!l->is_paused && !l->is_closed) {
        (void)uv_poll_start(&l->poll, UV_READABLE, on_readable);
    }
}

/* ---- accepting -------------------------------------------------------- */

static void listener_take(pn_listener *l, int fd, const pn_address *from)
{
    pn_conn *conn;

    if (PN_REFUSE_IF(
            tcp_incoming, l->callbacks->on_incoming != NULL
                              && !l->callbacks->on_incoming(l->user, from))) {
        (void)close(fd);
        return;
    }
    if (pn_tcp_conn_accepted(l->loop, fd, from, &conn) != PN_OK) {
        (void)close(fd);
        if (l->callbacks->on_lost != NULL) {
            l->callbacks->on_lost(l->user, from);
        }
        return;
    }
    l->callbacks->on_accept(l->user, conn, from);
}

static int open_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Accepts and closes the first pending connection, with the spare
 * descriptor. */
static void listener_turn_away(pn_listener *l)
{
    int fd;

    if (l->spare_fd < 0) {
        return;
    }
    (void)close(l->spare_fd);
    fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        (void)close(fd);
    }
    l->spare_fd = open_spare();
}

static void listener_trouble(pn_listener *l, int sys_errno)
{
    uint64_t now_us = pn_loop_now_us(l->loop);

    listener_turn_away(l);
    (void)uv_poll_stop(&l->poll);
    pn_timer_set(l->resume, now_us + PAUSE_US);
    if (l->had_trouble && now_us - l->trouble_us < TROUBLE_EVERY_US) {
        return;
    }
    l->had_trouble = true;
    l->trouble_us = now_us;
    if (l->callbacks->on_trouble != NULL) {
        l->callbacks->on_trouble(l->user, sys_errno);
    }
}

static bool is_shortage(int sys_errno)
{
    return sys_errno == EMFILE || sys_errno == ENFILE || sys_errno == ENOBUFS
           || sys_errno == ENOMEM;
}

/* False when no connection is left to accept in this turn. Errors that concern
 * only that connection (it has gone already) do not end the round. */
static bool listener_accept_one(pn_listener *l)
{
    pn_address from = {.in6 = {0}};
    socklen_t len = sizeof(from);
    int fd = accept4(l->fd, &from.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0) {
        pn_address_unmap(&from);
        listener_take(l, fd, &from);
        return true;
    }
    if (PN_REFUSE_IF(tcp_shortage, is_shortage(errno))) {
        listener_trouble(l, errno);
        return false;
    }
    return errno != EAGAIN;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    pn_listener *l = poll->data;

    (void)events;
    pn_loop_turn(l->loop);
    for (int i = 0; i < ACCEPTS_MAX && !l->is_closed && !l->is_paused; i++) {
        if (!listener_accept_one(l)) {
            break;
        }
    }
    if (status < 0) {
        listener_start(l);
    }
}

static void on_resume(void *user)
{
    pn_listener *l = user;

    if (l->spare_fd < 0) {
        l->spare_fd = open_spare();
    }
    listener_start(l);
}

/* ---- life ------------------------------------------------------------- */

/* One socket for both families where at is the IPv6 wildcard. */
static int bind_socket(const pn_address *at)
{
    int fd = socket(
        at->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    int only6 = !pn_address_is_any(at);

    if (fd < 0) {
        return -1;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (at->any.sa_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only6, sizeof(only6));
    }
    return bind(fd, &at->any, pn_address_len(at)) == 0 ? fd
                                                       : pn_close_failed(fd);
}

static int open_socket(const pn_address *at)
{
    pn_address to = *at;
    int fd = bind_socket(&to);

    if (fd < 0 && pn_address_fall_back(&to, errno)) {
        fd = bind_socket(&to);
    }
    if (fd >= 0 && listen(fd, BACKLOG) != 0) {
        return pn_close_failed(fd);
    }
    return fd;
}

static pn_err listener_init(pn_listener *l, pn_loop *loop)
{
    pn_err err = pn_timer_new(loop, on_resume, l, &l->resume);
    int r;

    if (err != PN_OK) {
        return err;
    }
    r = uv_poll_init_socket(pn_loop_uv(loop), &l->poll, l->fd);
    if (r != 0) {
        pn_timer_free(l->resume);
        errno = -r;
        return PN_SYS;
    }
    l->poll.data = l;
    l->loop = loop;
    l->spare_fd = open_spare();
    listener_start(l);
    return PN_OK;
}

/* fd: the listener's, closed if there is none; -1 with errno. */
static pn_err listener_new(pn_loop *loop, int fd,
    const pn_listener_callbacks *callbacks, void *user,
    pn_listener **ret_listener, int *ret_errno)
{
    pn_listener *l;
    pn_err err;

    if (fd < 0) {
        *ret_errno = errno;
        return PN_SYS;
    }
    l = calloc(1, sizeof(*l));
    if (l == NULL) {
        (void)close(fd);
        return PN_NOMEM;
    }
    l->callbacks = callbacks;
    l->user = user;
    l->fd = fd;
    err = listener_init(l, loop);
    if (err != PN_OK) {
        *ret_errno = errno;
        (void)close(l->fd);
        free(l);
        return err;
    }
    *ret_listener = l;
    return PN_OK;
}

pn_err pn_tcp_listen(pn_loop *loop, const pn_address *at,
    const pn_listener_callbacks *callbacks, void *user,
    pn_listener **ret_listener, int *ret_errno)
{
    return listener_new(
        loop, open_socket(at), callbacks, user, ret_listener, ret_errno);
}

static bool option_is(int fd, int name, int value)
{
    int found = 0;
    socklen_t len = sizeof(found);

    return getsockopt(fd, SOL_SOCKET, name, &found, &len) == 0
           && found == value;
}

static bool is_listening_tcp(int fd)
{
    return option_is(fd, SO_TYPE, SOCK_STREAM)
           && option_is(fd, SO_PROTOCOL, IPPROTO_TCP)
           && option_is(fd, SO_ACCEPTCONN, 1);
}

/* The duplicate shares its flags with the caller's, which is not read. */
static int duplicate(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0
               ? -1
               : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

pn_err pn_tcp_listen_fd(pn_loop *loop, int fd,
    const pn_listener_callbacks *callbacks, void *user,
    pn_listener **ret_listener, int *ret_errno)
{
    if (PN_REFUSE_IF(tcp_listen_fd, !is_listening_tcp(fd))) {
        return PN_INVALID;
    }
    return listener_new(
        loop, duplicate(fd), callbacks, user, ret_listener, ret_errno);
}

void pn_tcp_listener_address(
    const pn_listener *listener, pn_address *ret_address)
{
    pn_address address = {.in6 = {0}};
    socklen_t len = sizeof(address);

    (void)getsockname(listener->fd, &address.any, &len);
    *ret_address = address;
}

void pn_tcp_listener_pause(pn_listener *listener)
{
    listener->is_paused = true;
    pn_timer_set(listener->resume, PN_TIME_NEVER);
    (void)uv_poll_stop(&listener->poll);
}

void pn_tcp_listener_close(pn_listener *listener)
{
    listener->is_closed = true;
    pn_timer_free(listener->resume);
    pn_handle_close((uv_handle_t *)&listener->poll);
    (void)close(listener->fd);
    if (listener->spare_fd >= 0) {
        (void)close(listener->spare_fd);
    }
}

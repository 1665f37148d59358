/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP connections. libuv tells when a socket is ready; reading and writing are
 * our own, so that a message costs one wait, one recv and one send.
 *
 * Bytes are read into the loop's buffer and shown to the owner there. `rest`
 * keeps the bytes that the owner left. A small rest is copied in front of the
 * next read; a large one is read into directly until the bytes that the owner
 * wants are complete.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/mutant.h"
#include "os/udp.h"
#include "tcp_internal.h"
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>

enum {
    /* A rest up to here is copied in front of the next read. */
    REST_SMALL = 16 * 1024,
    /* A large rest grows by its own size, but at least by this. */
    REST_GROW_MIN = 64 * 1024,
    /* How often the last bytes are fetched from a connection that broke. */
    DRAIN_READS = 64
};

typedef enum tcp_state {
    TCP_CONNECTING,
    TCP_OPEN,
    TCP_ENDED, /* on_end has been called, or is about to be */
    TCP_CLOSED /* by its owner; only the libuv handle remains */
} tcp_state;

struct pn_conn {
    uv_poll_t poll;
    pn_loop *loop;
    const pn_conn_callbacks *callbacks;
    void *user;
    int fd;
    int events; /* what the handle waits for now */
    tcp_state state;
    bool is_reading;
    bool wants_write;
    bool in_callback; /* the handle is brought up to date after it */
    bool has_broken;  /* write failed; later_errno says why */
    int later_errno;
    pn_task later; /* what must not happen inside a call of the owner */
    pn_tcp_ack ack;
    pn_address remote;
    pn_address local;
    pn_buf rest;
    size_t want; /* total bytes the owner waits for; 0: any more */
};

static void on_event(uv_poll_t *poll, int status, int events);

/* ---- state ------------------------------------------------------------ */

static bool conn_is_live(const pn_conn *conn)
{
    return conn->state == TCP_CONNECTING || conn->state == TCP_OPEN;
}

/* A change costs two system calls, so equal events are not set again. */
static void conn_update_events(pn_conn *conn)
{
    int events = 0;

    if (conn->state == TCP_CONNECTING) {
        events = UV_WRITABLE;
    } else if (conn->state == TCP_OPEN) {
        events = (conn->is_reading ? UV_READABLE : 0)
                 | (conn->wants_write ? UV_WRITABLE : 0);
    }
    if (events == conn->events || conn->in_callback
        || conn->state == TCP_CLOSED) {
        return;
    }
    conn->events = events;
    if (events == 0) {
        (void)uv_poll_stop(&conn->poll);
    } else {
        (void)uv_poll_start(&conn->poll, events, on_event);
    }
}

static pn_err errno_class(int sys_errno)
{
    return sys_errno == 0 || sys_errno == ECONNRESET || sys_errno == EPIPE
               ? PN_CLOSED
               : PN_SYS;
}

/* The last callback. The owner closes, now or later. */
static void conn_end(pn_conn *conn, pn_err why, int sys_errno)
{
    if (!conn_is_live(conn)) {
        return;
    }
    conn->state = TCP_ENDED;
    pn_task_cancel(&conn->later);
    pn_tcp_ack_stop(&conn->ack);
    pn_buf_fini(&conn->rest);
    conn->callbacks->on_end(conn->user, why, sys_errno);
}

/* ---- reading ---------------------------------------------------------- */

static void conn_drop_front(pn_conn *conn, size_t n)
{
    pn_buf_consume(&conn->rest, n);
    pn_buf_trim(&conn->rest, 0);
}

/* Shows len bytes and says how many were left; 0 after the end. */
static size_t conn_show(pn_conn *conn, uint8_t *data, size_t len)
{
    size_t want = 0;
    size_t n;

    n = conn->callbacks->on_data(conn->user, data, len, &want);
    if (conn->state != TCP_OPEN) {
        return 0;
    }
    assert(n <= len);
    conn->want = want < PN_CONN_REST_MAX ? want : PN_CONN_REST_MAX;
    return len - n;
}

/* Shows bytes in the shared buffer; those that are left move to rest. */
static void conn_show_shared(pn_conn *conn, uint8_t *data, size_t len)
{
    size_t left = len;

    if (len >= conn->want) {
        left = conn_show(conn, data, len);
    }
    if (left > 0
        && pn_buf_append(&conn->rest, data + len - left, left) != PN_OK) {
        conn_end(conn, PN_NOMEM, 0);
    }
}

/* Shows the bytes in rest. */
static void conn_show_rest(pn_conn *conn)
{
    size_t len = pn_buf_used(&conn->rest);
    size_t left;

    if (len < conn->want) {
        return;
    }
    left = conn_show(conn, pn_buf_head(&conn->rest), len);
    if (conn->state != TCP_OPEN) {
        return;
    }
    conn_drop_front(conn, len - left);
    if (PN_REFUSE_IF(tcp_rest_limit, left > PN_CONN_REST_MAX)) {
        conn_end(conn, PN_LIMIT, 0);
    }
}

static ssize_t recv_once(int fd, uint8_t *data, size_t len)
{
    ssize_t n;

    do {
        n = recv(fd, data, len, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    return n;
}

/* Handles the result of recv; true when bytes came. */
static bool conn_took(pn_conn *conn, ssize_t n)
{
    if (n > 0) {
        pn_tcp_ack_received(&conn->ack, (size_t)n);
        return true;
    }
    if (n == 0) {
        conn_end(conn, PN_CLOSED, 0);
    } else if (errno != EAGAIN) {
        conn_end(conn, errno_class(errno), errno);
    }
    return false;
}

/* Reads into the loop's buffer, behind a small rest. True when bytes came. */
static bool conn_read_shared(pn_conn *conn)
{
    size_t cap;
    uint8_t *data = pn_loop_read_buffer(conn->loop, &cap);
    size_t old = pn_buf_used(&conn->rest);
    ssize_t n;

    if (data == NULL) {
        conn_end(conn, PN_NOMEM, 0);
        return false;
    }
    if (old > 0) {
        memcpy(data, pn_buf_head(&conn->rest), old);
    }
    n = recv_once(conn->fd, data + old, cap - old);
    if (!conn_took(conn, n)) {
        return false;
    }
    /* The memory is kept, because rest is likely to be filled again at once. */
    pn_buf_consume(&conn->rest, old);
    conn_show_shared(conn, data, old + (size_t)n);
    if (conn->state == TCP_OPEN) {
        pn_buf_trim(&conn->rest, 0);
    }
    return true;
}

/* Reads into rest itself, at most up to the wanted length, so that rest is
 * empty afterwards. Its room at most doubles, so that memory grows with the
 * bytes received (T5). */
static bool conn_read_rest(pn_conn *conn)
{
    size_t old = pn_buf_used(&conn->rest);
    size_t most = old > REST_GROW_MIN ? old : REST_GROW_MIN;
    size_t room = conn->want > old ? conn->want - old : REST_GROW_MIN;
    ssize_t n;

    if (PN_REFUSE_IF(tcp_rest_growth, room > most)) {
        room = most;
    }
    if (pn_buf_reserve(&conn->rest, room) != PN_OK) {
        conn_end(conn, PN_NOMEM, 0);
        return false;
    }
    n = recv_once(conn->fd, conn->rest.data + conn->rest.len, room);
    if (!conn_took(conn, n)) {
        return false;
    }
    conn->rest.len += (size_t)n;
    conn_show_rest(conn);
    return true;
}

static bool conn_read(pn_conn *conn)
{
    return pn_buf_used(&conn->rest) <= REST_SMALL ? conn_read_shared(conn)
                                                  : conn_read_rest(conn);
}

/* ---- events ----------------------------------------------------------- */

/* Dialling a free port of our own ephemeral range can connect a socket to
 * itself: no program listens there. */
static int conn_dial_result(pn_conn *conn)
{
    int sys_errno = 0;
    socklen_t len = sizeof(sys_errno);

    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &sys_errno, &len) != 0) {
        return errno;
    }
    if (sys_errno != 0) {
        return sys_errno;
    }
    len = sizeof(conn->local);
    (void)getsockname(conn->fd, &conn->local.any, &len);
    pn_address_unmap(&conn->local);
    if (PN_REFUSE_IF(tcp_self, pn_address_equal(&conn->local, &conn->remote))) {
        return ECONNREFUSED;
    }
    return 0;
}

static void conn_on_connected(pn_conn *conn)
{
    int sys_errno = conn_dial_result(conn);

    if (sys_errno != 0) {
        conn_end(conn, PN_SYS, sys_errno);
        return;
    }
    conn->state = TCP_OPEN;
    conn->callbacks->on_open(conn->user);
}

/* The socket has an error; bytes that came before it are read first. */
static void conn_on_broken(pn_conn *conn, int sys_errno)
{
    socklen_t len = sizeof(sys_errno);

    for (int i = 0; conn->state == TCP_OPEN && conn->is_reading; i++) {
        if (i == DRAIN_READS || !conn_read(conn)) {
            break;
        }
    }
    if (conn->state != TCP_OPEN) {
        return;
    }
    if (sys_errno == 0) {
        (void)getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &sys_errno, &len);
    }
    conn_end(conn, errno_class(sys_errno), sys_errno);
}

static void on_event(uv_poll_t *poll, int status, int events)
{
    pn_conn *conn = poll->data;

    pn_loop_turn(conn->loop);
    conn->in_callback = true;
    if (status < 0) {
        conn->events = 0; /* libuv has stopped the handle */
    }
    if (conn->state == TCP_CONNECTING) {
        conn_on_connected(conn);
    } else if (status < 0) {
        conn_on_broken(conn, 0);
    } else {
        if ((events & UV_READABLE) != 0 && conn->is_reading) {
            (void)conn_read(conn);
        }
        if ((events & UV_WRITABLE) != 0 && conn->state == TCP_OPEN
            && conn->wants_write) {
            conn->wants_write = false;
            conn->callbacks->on_writable(conn->user);
        }
    }
    conn->in_callback = false;
    conn_update_events(conn);
}

/* Runs callbacks that must not come from inside a call of the owner. */
static void on_later(void *user)
{
    pn_conn *conn = user;

    conn->in_callback = true;
    if (conn->state == TCP_CONNECTING) {
        conn_end(conn, PN_SYS, conn->later_errno);
    } else if (conn->has_broken) {
        conn_on_broken(conn, conn->later_errno);
    } else if (conn->is_reading && pn_buf_used(&conn->rest) > 0) {
        conn_show_rest(conn);
    }
    conn->in_callback = false;
    conn_update_events(conn);
}

/* ---- life ------------------------------------------------------------- */

/* libuv makes the socket non-blocking, which it already is. */
static pn_err conn_new(pn_loop *loop, int fd, pn_conn **ret_conn)
{
    pn_conn *conn = calloc(1, sizeof(*conn));
    int on = 1;
    int r;

    if (conn == NULL) {
        return PN_NOMEM;
    }
    r = uv_poll_init_socket(pn_loop_uv(loop), &conn->poll, fd);
    if (r != 0) {
        free(conn);
        errno = -r;
        return PN_SYS;
    }
    conn->poll.data = conn;
    conn->loop = loop;
    conn->fd = fd;
    conn->is_reading = true;
    conn->later = (pn_task){.run = on_later, .user = conn};
    pn_tcp_ack_init(&conn->ack, loop, fd);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    *ret_conn = conn;
    return PN_OK;
}

pn_err pn_tcp_conn_accepted(
    pn_loop *loop, int fd, const pn_address *from, pn_conn **ret_conn)
{
    pn_conn *conn;
    socklen_t len = sizeof(conn->local);
    pn_err err = conn_new(loop, fd, &conn);

    if (err != PN_OK) {
        return err;
    }
    conn->state = TCP_OPEN;
    conn->remote = *from;
    (void)getsockname(fd, &conn->local.any, &len);
    pn_address_unmap(&conn->local);
    *ret_conn = conn;
    return PN_OK;
}

/* Without a usable address on the way, the kernel takes the link-local one of
 * another interface and asks for the neighbour with it. Nobody can answer that,
 * so the neighbour counts as dead for 3 s, also when an address that was
 * tentative is usable long since. A link-local address of the way itself does
 * not count either: it reaches no other network. */
static bool has_source(const pn_address *to)
{
    pn_address source;

    return to->any.sa_family != AF_INET6
           || IN6_IS_ADDR_LINKLOCAL(&to->in6.sin6_addr)
           || pn_udp_source(to, &source) != PN_OK
           || !IN6_IS_ADDR_LINKLOCAL(&source.in6.sin6_addr);
}

static pn_err tcp_dial(pn_loop *loop, const pn_address *to,
    const pn_conn_callbacks *callbacks, void *user, pn_conn **ret_conn,
    int *ret_errno)
{
    pn_conn *conn;
    pn_err err;
    int fd;

    if (!has_source(to)) {
        *ret_errno = EADDRNOTAVAIL;
        return PN_SYS;
    }
    fd = socket(
        to->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        *ret_errno = errno;
        return PN_SYS;
    }
    err = conn_new(loop, fd, &conn);
    if (err != PN_OK) {
        *ret_errno = errno;
        (void)close(fd);
        return err;
    }
    conn->state = TCP_CONNECTING;
    conn->callbacks = callbacks;
    conn->user = user;
    conn->remote = *to;
    /* An interrupted connect continues; the socket becomes writable when it is
     * done. */
    if (connect(fd, &to->any, pn_address_len(to)) != 0 && errno != EINPROGRESS
        && errno != EINTR) {
        conn->later_errno = errno;
        pn_loop_post(loop, &conn->later);
    } else {
        conn_update_events(conn);
    }
    *ret_conn = conn;
    return PN_OK;
}

static void tcp_set_callbacks(
    pn_conn *conn, const pn_conn_callbacks *callbacks, void *user)
{
    conn->callbacks = callbacks;
    conn->user = user;
    conn_update_events(conn); /* an accepted one begins to read */
}

static ssize_t send_once(int fd, const uint8_t *data, size_t len)
{
    ssize_t n;

    do {
        n = send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    return n;
}

static pn_err tcp_write(
    pn_conn *conn, const uint8_t *data, size_t len, size_t *ret_written)
{
    ssize_t n;

    *ret_written = 0;
    if (conn->state == TCP_CONNECTING) {
        return PN_AGAIN;
    }
    if (conn->state != TCP_OPEN || conn->has_broken) {
        return PN_CLOSED;
    }
    if (len == 0 || conn->wants_write) {
        return PN_OK; /* on_writable follows */
    }
    n = send_once(conn->fd, data, len);
    if (n < 0 && errno != EAGAIN) {
        conn->has_broken = true;
        conn->later_errno = errno;
        pn_loop_post(conn->loop, &conn->later);
        return errno_class(conn->later_errno);
    }
    if (n > 0) {
        pn_tcp_ack_sent(&conn->ack);
        *ret_written = (size_t)n;
    }
    conn->wants_write = *ret_written < len;
    conn_update_events(conn);
    return PN_OK;
}

static void tcp_set_reading(pn_conn *conn, bool on)
{
    if (conn->is_reading == on) {
        return;
    }
    conn->is_reading = on;
    if (on && conn->state == TCP_OPEN && pn_buf_used(&conn->rest) > 0) {
        pn_loop_post(conn->loop, &conn->later);
    }
    conn_update_events(conn);
}

static void tcp_addresses(
    const pn_conn *conn, pn_address *ret_local, pn_address *ret_remote)
{
    *ret_local = conn->local;
    *ret_remote = conn->remote;
}

static size_t tcp_unacked(const pn_conn *conn)
{
    int n = 0;

    return conn->state == TCP_OPEN && ioctl(conn->fd, SIOCOUTQ, &n) == 0
                   && n > 0
               ? (size_t)n
               : 0;
}

/* The socket is connected before the loop has noticed. */
static bool tcp_is_answered(const pn_conn *conn)
{
    struct pollfd p = {.fd = conn->fd, .events = POLLOUT};

    return conn->state == TCP_OPEN
           || (conn->state == TCP_CONNECTING && poll(&p, 1, 0) == 1
               && (p.revents & (POLLERR | POLLHUP)) == 0);
}

/* Closing a socket with unread bytes resets the connection, and the peer could
 * lose our last output; so unread bytes are discarded. recv stores nothing
 * here, but memory checkers expect a valid address. */
static void conn_discard(pn_conn *conn)
{
    size_t cap;
    uint8_t *data = pn_loop_read_buffer(conn->loop, &cap);

    if (data != NULL && conn->state == TCP_OPEN) {
        (void)recv(conn->fd, data, cap, MSG_DONTWAIT | MSG_TRUNC);
    }
}

static void tcp_close(pn_conn *conn)
{
    conn_discard(conn);
    conn->state = TCP_CLOSED;
    pn_task_cancel(&conn->later);
    pn_tcp_ack_stop(&conn->ack);
    pn_buf_fini(&conn->rest);
    pn_handle_close((uv_handle_t *)&conn->poll);
    (void)close(conn->fd);
    conn->fd = -1;
}

const pn_transport_ops pn_transport_tcp = {
    .name = "tcp",
    .listen = pn_tcp_listen,
    .listen_fd = pn_tcp_listen_fd,
    .listener_address = pn_tcp_listener_address,
    .listener_pause = pn_tcp_listener_pause,
    .listener_close = pn_tcp_listener_close,
    .dial = tcp_dial,
    .set_callbacks = tcp_set_callbacks,
    .write = tcp_write,
    .set_reading = tcp_set_reading,
    .addresses = tcp_addresses,
    .unacked = tcp_unacked,
    .is_answered = tcp_is_answered,
    .close = tcp_close,
};

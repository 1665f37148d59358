/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory transport: connections between two parties on one loop, for
 * tests. No descriptor, no kernel: what happens depends on the calls and the
 * seed alone.
 *
 * Bytes written to one end are in `flight` of the other, which has a bounded
 * capacity; each turn a chunk of them moves on to `rest`, which is what the
 * owner is shown.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memory_transport.h"
#include "transport_rig.h"

enum {
    CAPACITY_DEFAULT = 64 * 1024,
    BACKLOG_DEFAULT = 128,
    LISTEN_PORT_FIRST = 40000,
    DIAL_PORT_FIRST = 50000
};

/* The imaginary host of the one loop that runs. */
typedef struct memory_net {
    pn_memory_options options;
    pn_listener *listeners; /* linked by next */
    pn_conn *stuck;         /* dialling a full listener, by next_waiting */
    uint16_t next_listen_port;
    uint16_t next_dial_port;
} memory_net;

struct pn_listener {
    pn_loop *loop;
    pn_listener *next;
    const pn_listener_callbacks *callbacks;
    void *user;
    pn_address address;
    pn_conn *waiting; /* not yet accepted, in order, linked by next_waiting */
    int n_waiting;
    bool is_paused;
    bool is_closed;
    pn_task accept;
    pn_task release;
};

struct pn_conn {
    rig_end end;
    pn_loop *loop;
    pn_conn *peer; /* NULL: closed, or not there yet */
    pn_conn *next_waiting;
    pn_listener *listener; /* which it waits at; NULL: accepted or dialled */
    bool is_reset;         /* the listener went away before it was accepted */
    pn_task later;
    pn_task release;
    pn_buf flight;
};

/* ---- the imaginary host ----------------------------------------------- */

static memory_net host;

void pn_memory_configure(const pn_memory_options *options)
{
    host = (memory_net){.options = *options,
        .next_listen_port = LISTEN_PORT_FIRST,
        .next_dial_port = DIAL_PORT_FIRST};
    if (host.options.capacity == 0) {
        host.options.capacity = CAPACITY_DEFAULT;
    }
}

static pn_listener *net_find(const memory_net *net, uint16_t port)
{
    pn_listener *l = net->listeners;

    while (l != NULL && pn_address_port(&l->address) != port) {
        l = l->next;
    }
    return l;
}

/* How much of n bytes arrives in one piece. */
static size_t net_chunk(memory_net *net, size_t n)
{
    size_t chunk = net->options.max_chunk;

    if (chunk == 0) {
        return n;
    }
    if (net->options.seed != 0) {
        /* Knuth's linear congruential generator, its upper half. */
        net->options.seed = net->options.seed * UINT64_C(6364136223846793005)
                            + UINT64_C(1442695040888963407);
        chunk = 1 + (size_t)(net->options.seed >> 33) % chunk;
    }
    return n < chunk ? n : chunk;
}

/* ---- connections ------------------------------------------------------ */

static void conn_on_later(void *user);
static void conn_on_release(void *user);

static pn_conn *conn_new(pn_loop *loop)
{
    pn_conn *conn = calloc(1, sizeof(*conn));

    if (conn != NULL) {
        conn->loop = loop;
        conn->end.is_reading = true;
        conn->later = (pn_task){.run = conn_on_later, .user = conn};
        conn->release = (pn_task){.run = conn_on_release, .user = conn};
    }
    return conn;
}

static void conn_wake(pn_conn *conn)
{
    if (conn != NULL && conn->end.state < RIG_ENDED) {
        pn_loop_post(conn->loop, &conn->later);
    }
}

static void conn_end(pn_conn *conn, pn_err why, int sys_errno)
{
    if (conn->end.state >= RIG_ENDED) {
        return;
    }
    conn->end.state = RIG_ENDED;
    pn_task_cancel(&conn->later);
    conn->end.callbacks->on_end(conn->end.user, why, sys_errno);
}

/* Dialling a full listener goes on when one was accepted, or it closed. */
static void net_wake_stuck(memory_net *net)
{
    while (net->stuck != NULL) {
        pn_conn *conn = net->stuck;

        net->stuck = conn->next_waiting;
        conn->next_waiting = NULL;
        conn_wake(conn);
    }
}

static void net_forget_stuck(memory_net *net, const pn_conn *conn)
{
    pn_conn **at = &net->stuck;

    while (*at != NULL && *at != conn) {
        at = &(*at)->next_waiting;
    }
    if (*at != NULL) {
        *at = conn->next_waiting;
    }
}

static void listener_queue(pn_listener *l, pn_conn *conn)
{
    pn_conn **end = &l->waiting;

    while (*end != NULL) {
        end = &(*end)->next_waiting;
    }
    *end = conn;
    conn->listener = l;
    l->n_waiting++;
    pn_loop_post(l->loop, &l->accept);
}

/* As with a kernel, the dialling end is up before the connection is
 * accepted. */
static void conn_connect(pn_conn *conn)
{
    memory_net *net = &host;
    pn_listener *l = net_find(net, pn_address_port(&conn->end.remote));
    pn_conn *peer;

    if (l == NULL) {
        conn_end(conn, PN_SYS, ECONNREFUSED);
        return;
    }
    if (l->n_waiting >= BACKLOG_DEFAULT) {
        conn->next_waiting = net->stuck;
        net->stuck = conn;
        return;
    }
    peer = conn_new(conn->loop);
    if (peer == NULL) {
        conn_end(conn, PN_NOMEM, 0);
        return;
    }
    peer->end.state = RIG_OPEN;
    peer->peer = conn;
    peer->end.local = l->address;
    conn->peer = peer;
    conn->end.state = RIG_OPEN;
    conn->end.local = conn->end.remote;
    pn_address_set_port(&conn->end.local, net->next_dial_port++);
    peer->end.remote = conn->end.local;
    listener_queue(l, peer);
    conn->end.callbacks->on_open(conn->end.user);
}

/* Shows what is there; what is left stays in rest. */
static void conn_show(pn_conn *conn)
{
    size_t n;

    if (rig_show(&conn->end, &n) && rig_is_over_rest(&conn->end)) {
        conn_end(conn, PN_LIMIT, 0);
    }
}

static void conn_deliver(pn_conn *conn)
{
    size_t n = net_chunk(&host, pn_buf_used(&conn->flight));

    if (pn_buf_append(&conn->end.rest, pn_buf_head(&conn->flight), n)
        != PN_OK) {
        conn_end(conn, PN_NOMEM, 0);
        return;
    }
    pn_buf_consume(&conn->flight, n);
    if (n > 0 && conn->peer != NULL && conn->peer->end.wants_write) {
        conn_wake(conn->peer);
    }
    conn_show(conn);
}

static size_t conn_room(const pn_conn *conn)
{
    size_t used = pn_buf_used(&conn->peer->flight);
    size_t capacity = host.options.capacity;

    return capacity > used ? capacity - used : 0;
}

static void conn_on_later(void *user)
{
    pn_conn *conn = user;

    if (conn->end.callbacks == NULL) {
        return; /* not accepted yet */
    }
    if (conn->end.state == RIG_CONNECTING) {
        conn_connect(conn);
        return;
    }
    if (conn->end.wants_write && conn->peer != NULL && conn_room(conn) > 0) {
        conn->end.wants_write = false;
        conn->end.callbacks->on_writable(conn->end.user);
    }
    if (conn->end.state == RIG_OPEN && conn->end.is_reading) {
        conn_deliver(conn);
    }
    if (conn->end.state != RIG_OPEN || !conn->end.is_reading) {
        return;
    }
    if (pn_buf_used(&conn->flight) > 0) {
        conn_wake(conn);
    } else if (conn->peer == NULL) {
        conn_end(conn, PN_CLOSED, conn->is_reset ? ECONNRESET : 0);
    }
}

static void conn_on_release(void *user)
{
    pn_conn *conn = user;

    pn_buf_fini(&conn->flight);
    pn_buf_fini(&conn->end.rest);
    free(conn);
}

static void memory_close(pn_conn *conn)
{
    pn_conn *peer = conn->peer;

    if (peer != NULL) {
        peer->peer = NULL;
        conn_wake(peer);
    }
    if (conn->end.state == RIG_CONNECTING) {
        net_forget_stuck(&host, conn);
    }
    conn->peer = NULL;
    conn->end.state = RIG_CLOSED;
    pn_task_cancel(&conn->later);
    pn_loop_post(conn->loop, &conn->release);
}

static pn_err memory_dial(pn_loop *loop, const pn_address *to,
    const pn_conn_callbacks *callbacks, void *user, pn_conn **ret_conn,
    int *ret_errno)
{
    pn_conn *conn = conn_new(loop);

    if (conn == NULL) {
        *ret_errno = ENOMEM;
        return PN_NOMEM;
    }
    conn->end.callbacks = callbacks;
    conn->end.user = user;
    conn->end.remote = *to;
    conn_wake(conn);
    *ret_conn = conn;
    return PN_OK;
}

static void memory_set_callbacks(
    pn_conn *conn, const pn_conn_callbacks *callbacks, void *user)
{
    conn->end.callbacks = callbacks;
    conn->end.user = user;
    conn_wake(conn);
}

static pn_err memory_write(
    pn_conn *conn, const uint8_t *data, size_t len, size_t *ret_written)
{
    size_t n;

    *ret_written = 0;
    if (conn->end.state == RIG_CONNECTING) {
        return PN_AGAIN;
    }
    if (conn->end.state != RIG_OPEN || conn->peer == NULL) {
        conn->end.is_reading = true; /* so that the end is noticed */
        conn_wake(conn);
        return PN_CLOSED;
    }
    if (len == 0 || conn->end.wants_write) {
        return PN_OK;
    }
    n = conn_room(conn);
    n = len < n ? len : n;
    if (pn_buf_append(&conn->peer->flight, data, n) != PN_OK) {
        n = 0; /* as a full socket */
    }
    if (n > 0) {
        conn_wake(conn->peer);
    }
    conn->end.wants_write = n < len;
    *ret_written = n;
    return PN_OK;
}

static void memory_set_reading(pn_conn *conn, bool on)
{
    conn->end.is_reading = on;
    if (on) {
        conn_wake(conn);
    }
}

static void memory_addresses(
    const pn_conn *conn, pn_address *ret_local, pn_address *ret_remote)
{
    *ret_local = conn->end.local;
    *ret_remote = conn->end.remote;
}

/* ---- listeners -------------------------------------------------------- */

static pn_conn *listener_take(pn_listener *l)
{
    pn_conn *conn = l->waiting;

    l->waiting = conn->next_waiting;
    l->n_waiting--;
    conn->next_waiting = NULL;
    conn->listener = NULL;
    return conn;
}

static void listener_on_accept(void *user)
{
    pn_listener *l = user;

    while (l->waiting != NULL && !l->is_paused && !l->is_closed) {
        pn_conn *conn = listener_take(l);
        pn_address from = conn->end.remote;

        if (rig_is_refused(l->callbacks, l->user, &from)) {
            memory_close(conn);
        } else {
            l->callbacks->on_accept(l->user, conn, &from);
        }
    }
    net_wake_stuck(&host);
}

static void listener_on_release(void *user)
{
    free(user);
}

static pn_err memory_listen(pn_loop *loop, const pn_address *at,
    const pn_listener_callbacks *callbacks, void *user,
    pn_listener **ret_listener, int *ret_errno)
{
    memory_net *net = &host;
    pn_listener *l = calloc(1, sizeof(*l));

    if (l == NULL) {
        *ret_errno = ENOMEM;
        return PN_NOMEM;
    }
    l->address = *at;
    if (pn_address_port(at) == 0) {
        pn_address_set_port(&l->address, net->next_listen_port++);
    }
    if (net_find(net, pn_address_port(&l->address)) != NULL) {
        free(l);
        *ret_errno = EADDRINUSE;
        return PN_SYS;
    }
    l->loop = loop;
    l->callbacks = callbacks;
    l->user = user;
    l->accept = (pn_task){.run = listener_on_accept, .user = l};
    l->release = (pn_task){.run = listener_on_release, .user = l};
    l->next = net->listeners;
    net->listeners = l;
    *ret_listener = l;
    return PN_OK;
}

static void memory_listener_address(
    const pn_listener *listener, pn_address *ret_address)
{
    *ret_address = listener->address;
}

static void memory_listener_pause(pn_listener *listener)
{
    listener->is_paused = true;
}

static void memory_listener_close(pn_listener *listener)
{
    memory_net *net = &host;
    pn_listener **at = &net->listeners;

    while (*at != listener) {
        at = &(*at)->next;
    }
    *at = listener->next;
    while (listener->waiting != NULL) {
        pn_conn *conn = listener_take(listener);

        if (conn->peer != NULL) {
            conn->peer->is_reset = true;
        }
        memory_close(conn);
    }
    net_wake_stuck(net);
    listener->is_closed = true;
    pn_task_cancel(&listener->accept);
    pn_loop_post(listener->loop, &listener->release);
}

const pn_transport_ops pn_transport_memory = {
    .name = "memory",
    .listen = memory_listen,
    .listener_address = memory_listener_address,
    .listener_pause = memory_listener_pause,
    .listener_close = memory_listener_close,
    .dial = memory_dial,
    .set_callbacks = memory_set_callbacks,
    .write = memory_write,
    .set_reading = memory_set_reading,
    .addresses = memory_addresses,
    .close = memory_close,
};

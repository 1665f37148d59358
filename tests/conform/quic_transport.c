/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See quic_transport.h. A host is an endpoint with its users: a listener and
 * connections. The last bytes are sent after all users have gone, so a host is
 * freed when its endpoint is idle, or with the loop.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "made_certificate.h"
#include "os/clock.h"
#include "quic/quic_internal.h"
#include "quic_defaults.h"
#include "quic_transport.h"
#include "transport_rig.h"

enum {
    BACKLOG_DEFAULT = 128,
    MAX_CONNS = 4096,
    MAX_HANDSHAKES = 1024,
    UNSENT_MAX = 1024 * 1024
};

static const char protocol[] = "peernet-bytes";

typedef struct host {
    pn_loop *loop;
    pn_quic *quic;
    pn_certificate *certificate; /* NULL: dials only */
    pn_listener *listener;       /* NULL: closed, or dials only */
    unsigned n_refs;
    struct host *next; /* of those without users */
} host;

struct pn_listener {
    host *host;
    const pn_listener_callbacks *callbacks;
    void *user;
    pn_conn *waiting; /* not yet accepted, in order, by next_waiting */
    int n_waiting;
    bool is_paused;
    bool is_closed;
    pn_task accept;
    pn_task release;
};

struct pn_conn {
    rig_end end;
    host *host;
    pn_quic_conn *quic;    /* NULL: it has ended */
    pn_listener *listener; /* which it waits at */
    pn_conn *next_waiting;
    bool has_stream;
    bool is_over; /* the end is to be told after the rest */
    pn_err why;
    int sys_errno;
    pn_task later;
    pn_task release;
};

/* ---- hosts ------------------------------------------------------------ */

static host *left; /* with connections that close still, or in a callback */

static void host_free(host *h)
{
    pn_quic_free(h->quic);
    pn_certificate_free(h->certificate);
    free(h);
}

/* Frees those of loop that are left; at once, or once they are idle. */
static void free_left(const pn_loop *loop, bool at_once)
{
    host **at = &left;

    while (*at != NULL) {
        host *h = *at;

        if (h->loop == loop
            && (at_once || (h->quic->conns.n == 0 && h->quic->n_inside == 0))) {
            *at = h->next;
            host_free(h);
        } else {
            at = &h->next;
        }
    }
}

void quic_transport_end(pn_loop *loop)
{
    free_left(loop, true);
}

static void host_unref(host *h)
{
    h->n_refs--;
    if (h->n_refs == 0) {
        h->next = left;
        left = h;
        free_left(h->loop, false);
    }
}

static const pn_quic_callbacks host_callbacks;

static pn_err host_new(pn_loop *loop, const pn_address *at, bool serves,
    host **ret_host, int *ret_errno)
{
    pn_quic_options options = {.alpn = protocol,
        .max_conns = MAX_CONNS,
        .max_handshakes = MAX_HANDSHAKES,
        .unproven_per_second = MAX_HANDSHAKES,
        .max_unsent = UNSENT_MAX};
    host *h = calloc(1, sizeof(*h));
    pn_err err = h != NULL ? PN_OK : PN_NOMEM;

    free_left(loop, false);
    if (err == PN_OK && serves) {
        err = pn_test_certificate(
            pn_wall_now_us() / (int64_t)PN_US_PER_S, &h->certificate);
        options.certificate = h->certificate;
    }
    quic_defaults(&options);
    if (err == PN_OK) {
        err = pn_quic_new(
            loop, at, &options, &host_callbacks, h, &h->quic, ret_errno);
    }
    if (err != PN_OK) {
        if (h != NULL) {
            pn_certificate_free(h->certificate);
        }
        free(h);
        return err;
    }
    h->loop = loop;
    h->n_refs = 1;
    *ret_host = h;
    return PN_OK;
}

/* ---- connections ------------------------------------------------------ */

static void conn_on_release(void *user)
{
    pn_conn *conn = user;

    host_unref(conn->host);
    free(conn);
}

static void conn_tell_end(pn_conn *conn)
{
    if (conn->end.state >= RIG_ENDED) {
        return;
    }
    conn->end.state = RIG_ENDED;
    pn_task_cancel(&conn->later);
    pn_buf_fini(&conn->end.rest);
    conn->end.callbacks->on_end(conn->end.user, conn->why, conn->sys_errno);
}

/* QUIC has nothing more for it. */
static void conn_over(pn_conn *conn, pn_err why, int sys_errno)
{
    if (conn->quic != NULL) {
        pn_quic_close(conn->quic, PN_QUIC_NO_ERROR);
        conn->quic = NULL;
    }
    if (!conn->is_over) {
        conn->is_over = true;
        conn->why = why;
        conn->sys_errno = sys_errno;
    }
}

static void conn_show(pn_conn *conn)
{
    size_t n;

    if (!rig_show(&conn->end, &n)) {
        return;
    }
    pn_buf_trim(&conn->end.rest, 0);
    if (conn->quic != NULL) {
        pn_quic_consumed(conn->quic, 0, n);
    }
    if (rig_is_over_rest(&conn->end)) {
        conn_over(conn, PN_LIMIT, 0);
    }
}

/* Shows what there is, then the end. */
static void conn_go_on(pn_conn *conn)
{
    if (conn->end.callbacks == NULL) {
        return; /* not accepted yet */
    }
    if (conn->end.state == RIG_OPEN && conn->end.is_reading) {
        conn_show(conn);
    }
    if (conn->is_over
        && (conn->end.state == RIG_CONNECTING
            || (conn->end.state == RIG_OPEN && conn->end.is_reading))) {
        conn_tell_end(conn);
    }
}

static void conn_on_later(void *user)
{
    conn_go_on(user);
}

static pn_err conn_new(host *h, pn_conn **ret_conn)
{
    pn_conn *conn = calloc(1, sizeof(*conn));

    if (conn == NULL) {
        return PN_NOMEM;
    }
    conn->host = h;
    conn->end.is_reading = true;
    conn->later = (pn_task){.run = conn_on_later, .user = conn};
    conn->release = (pn_task){.run = conn_on_release, .user = conn};
    *ret_conn = conn;
    return PN_OK;
}

static void listener_forget(pn_conn *conn);

static void quic_close(pn_conn *conn)
{
    if (conn->quic != NULL) {
        pn_quic_close(conn->quic, PN_QUIC_NO_ERROR);
        conn->quic = NULL;
    }
    listener_forget(conn);
    conn->end.state = RIG_CLOSED;
    pn_task_cancel(&conn->later);
    pn_buf_fini(&conn->end.rest);
    pn_loop_post(conn->host->loop, &conn->release);
}

/* ---- callbacks of QUIC ------------------------------------------------ */

static void listener_show(pn_listener *l);

/* A frame without bytes: the other end can write from now on. */
static void conn_on_open(void *user)
{
    pn_conn *conn = user;
    int64_t id;
    pn_err err = pn_quic_open_bidi(conn->quic, &id);

    if (err == PN_OK) {
        err = pn_quic_write(conn->quic, id, NULL, 0, false);
    }
    if (err != PN_OK) {
        conn_over(conn, err, 0);
        conn_go_on(conn);
        return;
    }
    pn_quic_addresses(conn->quic, &conn->end.local, &conn->end.remote);
    conn->end.state = RIG_OPEN;
    conn->end.callbacks->on_open(conn->end.user);
}

static void conn_on_stream(void *user, int64_t stream)
{
    pn_conn *conn = user;

    if (stream != 0) {
        pn_quic_reset(conn->quic, stream, PN_QUIC_STREAM_REFUSED);
        return;
    }
    conn->has_stream = true;
    if (conn->listener != NULL) {
        listener_show(conn->listener);
    }
}

static void conn_on_data(
    void *user, int64_t stream, const uint8_t *data, size_t len, bool is_last)
{
    pn_conn *conn = user;

    if (stream != 0) {
        return;
    }
    if (len > 0 && pn_buf_append(&conn->end.rest, data, len) != PN_OK) {
        conn_over(conn, PN_NOMEM, 0);
    }
    if (is_last) {
        conn_over(conn, PN_CLOSED, 0);
    }
    conn_go_on(conn);
}

static void conn_on_reset(void *user, int64_t stream, uint64_t code)
{
    pn_conn *conn = user;

    (void)code;
    if (stream == 0) {
        conn_over(conn, PN_CLOSED, ECONNRESET);
        conn_go_on(conn);
    }
}

static void conn_on_writable(void *user)
{
    pn_conn *conn = user;

    if (conn->end.wants_write) {
        conn->end.wants_write = false;
        conn->end.callbacks->on_writable(conn->end.user);
    }
}

static void conn_on_end(void *user, pn_err why, uint64_t code, int sys_errno)
{
    pn_conn *conn = user;

    (void)code;
    if (why == PN_TIMEOUT) {
        why = PN_SYS;
        sys_errno = ETIMEDOUT;
    } else if (why == PN_MALFORMED || why == PN_AUTH) {
        why = PN_SYS;
        sys_errno = EPROTO;
    }
    conn_over(conn, why, sys_errno);
    conn_go_on(conn);
}

static const pn_quic_conn_callbacks conn_callbacks = {
    .on_open = conn_on_open,
    .on_stream = conn_on_stream,
    .on_data = conn_on_data,
    .on_reset = conn_on_reset,
    .on_writable = conn_on_writable,
    .on_end = conn_on_end,
};

/* ---- accepting -------------------------------------------------------- */

static void listener_forget(pn_conn *conn)
{
    pn_conn **at;

    if (conn->listener == NULL) {
        return;
    }
    at = &conn->listener->waiting;
    while (*at != conn) {
        at = &(*at)->next_waiting;
    }
    *at = conn->next_waiting;
    conn->listener->n_waiting--;
    conn->listener = NULL;
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
}

static pn_conn *listener_first(const pn_listener *l)
{
    pn_conn *conn = l->waiting;

    while (conn != NULL && !conn->has_stream) {
        conn = conn->next_waiting;
    }
    return conn;
}

static void listener_show(pn_listener *l)
{
    pn_conn *conn;

    while (
        !l->is_paused && !l->is_closed && (conn = listener_first(l)) != NULL) {
        pn_address from = conn->end.remote;

        listener_forget(conn);
        if (rig_is_refused(l->callbacks, l->user, &from)) {
            quic_close(conn);
        } else {
            l->callbacks->on_accept(l->user, conn, &from);
        }
    }
}

static void listener_on_accept(void *user)
{
    listener_show(user);
}

static bool host_on_incoming(void *user, const pn_address *from)
{
    const host *h = user;
    const pn_listener *l = h->listener;

    (void)from; /* the listener is asked when there is a connection */
    if (l == NULL) {
        return false;
    }
    return !l->is_paused || l->n_waiting < BACKLOG_DEFAULT;
}

static void host_on_accept(
    void *user, pn_quic_conn *quic, const pn_address *from)
{
    host *h = user;
    pn_conn *conn;

    if (h->listener == NULL || conn_new(h, &conn) != PN_OK) {
        pn_quic_close(quic, PN_QUIC_NO_ERROR);
        return;
    }
    h->n_refs++;
    conn->quic = quic;
    conn->end.state = RIG_OPEN;
    pn_quic_addresses(quic, &conn->end.local, &conn->end.remote);
    conn->end.remote = *from;
    pn_quic_set_callbacks(quic, &conn_callbacks, conn);
    listener_queue(h->listener, conn);
}

static const pn_quic_callbacks host_callbacks = {
    .on_incoming = host_on_incoming,
    .on_accept = host_on_accept,
};

/* ---- listeners -------------------------------------------------------- */

static void listener_on_release(void *user)
{
    free(user);
}

static pn_err quic_listen(pn_loop *loop, const pn_address *at,
    const pn_listener_callbacks *callbacks, void *user,
    pn_listener **ret_listener, int *ret_errno)
{
    pn_listener *l = calloc(1, sizeof(*l));
    pn_err err = l != NULL ? PN_OK : PN_NOMEM;

    if (err == PN_OK) {
        err = host_new(loop, at, true, &l->host, ret_errno);
    }
    if (err != PN_OK) {
        free(l);
        return err;
    }
    l->host->listener = l;
    l->callbacks = callbacks;
    l->user = user;
    l->accept = (pn_task){.run = listener_on_accept, .user = l};
    l->release = (pn_task){.run = listener_on_release, .user = l};
    *ret_listener = l;
    return PN_OK;
}

static void quic_listener_address(
    const pn_listener *listener, pn_address *ret_address)
{
    pn_quic_address(listener->host->quic, ret_address);
}

static void quic_listener_pause(pn_listener *listener)
{
    listener->is_paused = true;
}

static void quic_listener_close(pn_listener *listener)
{
    host *h = listener->host;
    pn_loop *loop = h->loop;

    listener->is_closed = true;
    h->listener = NULL;
    while (listener->waiting != NULL) {
        quic_close(listener->waiting);
    }
    pn_task_cancel(&listener->accept);
    host_unref(h);
    pn_loop_post(loop, &listener->release);
}

/* ---- dialling and the rest -------------------------------------------- */

static pn_err quic_dial(pn_loop *loop, const pn_address *to,
    const pn_conn_callbacks *callbacks, void *user, pn_conn **ret_conn,
    int *ret_errno)
{
    pn_address any = {.in6 = {0}};
    host *h;
    pn_conn *conn;
    pn_err err;

    any.any.sa_family = to->any.sa_family;
    err = host_new(loop, &any, false, &h, ret_errno);
    if (err != PN_OK) {
        return err;
    }
    err = conn_new(h, &conn);
    if (err == PN_OK) {
        conn->end.callbacks = callbacks;
        conn->end.user = user;
        conn->end.remote = *to;
        err = pn_quic_dial(h->quic, to, &conn_callbacks, conn, &conn->quic);
        if (err != PN_OK) {
            free(conn);
        }
    }
    if (err != PN_OK) {
        host_unref(h);
        *ret_errno = ENOMEM;
        return PN_NOMEM;
    }
    *ret_conn = conn;
    return PN_OK;
}

static void quic_set_callbacks(
    pn_conn *conn, const pn_conn_callbacks *callbacks, void *user)
{
    conn->end.callbacks = callbacks;
    conn->end.user = user;
    pn_loop_post(conn->host->loop, &conn->later);
}

static pn_err quic_write(
    pn_conn *conn, const uint8_t *data, size_t len, size_t *ret_written)
{
    size_t room;
    pn_err err;

    *ret_written = 0;
    if (conn->end.state == RIG_CONNECTING && !conn->is_over) {
        return PN_AGAIN;
    }
    if (conn->end.state != RIG_OPEN || conn->is_over) {
        if (conn->end.state == RIG_OPEN) {
            conn->end.is_reading = true; /* so that the end is noticed */
            pn_loop_post(conn->host->loop, &conn->later);
        }
        return PN_CLOSED;
    }
    if (len == 0 || conn->end.wants_write) {
        return PN_OK;
    }
    room = UNSENT_MAX - pn_quic_unsent(conn->quic);
    room = room < len ? room : len;
    err = room > 0 ? pn_quic_write(conn->quic, 0, data, room, false) : PN_OK;
    *ret_written = err == PN_OK ? room : 0;
    if (*ret_written < len) {
        conn->end.wants_write = true;
        conn->quic->wants_write = true;
    }
    return PN_OK;
}

static void quic_set_reading(pn_conn *conn, bool on)
{
    conn->end.is_reading = on;
    if (on && conn->end.state == RIG_OPEN) {
        pn_loop_post(conn->host->loop, &conn->later);
    }
}

static void quic_addresses(
    const pn_conn *conn, pn_address *ret_local, pn_address *ret_remote)
{
    *ret_local = conn->end.local;
    *ret_remote = conn->end.remote;
}

const pn_transport_ops pn_transport_quic = {
    .name = "quic",
    .listen = quic_listen,
    .listener_address = quic_listener_address,
    .listener_pause = quic_listener_pause,
    .listener_close = quic_listener_close,
    .dial = quic_dial,
    .set_callbacks = quic_set_callbacks,
    .write = quic_write,
    .set_reading = quic_set_reading,
    .addresses = quic_addresses,
    .close = quic_close,
};

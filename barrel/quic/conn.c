/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections: ngtcp2 with our clock, timer and socket around it.
 *
 * ngtcp2 is called from the loop only, never from a call of the owner: those
 * leave a mark and the turn's end does the work. So a callback may call
 * anything, and a connection is freed when nothing of it is on the stack.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mutant.h"
#include "os/clock.h"
#include "quic_internal.h"

enum {
    /* At most this many closing connections retransmit CONNECTION_CLOSE; others
     * send it once. */
    CLOSING_MAX = 256
};

#define LINGER_US (3 * PN_US_PER_S)
/* CONNECTION_CLOSE waits this long for a socket that is full. */
#define FULL_US PN_US_PER_S
/* From an ICMP error to the end, unless a packet of the peer comes. */
#define REFUSED_US (2 * PN_US_PER_S)
/* A closed connection that holds more memory does not linger, because its
 * owner does not count that memory any more. */
#define LINGER_MEMORY_MAX ((size_t)4 * 1024 * 1024)

uint64_t pn_quic_now_ns(void)
{
    return pn_monotonic_now_us() * QUIC_NS_PER_US;
}

ngtcp2_path pn_quic_ngtcp2_path(quic_path *path)
{
    return (ngtcp2_path){
        .local = {&path->local.any, pn_address_len(&path->local)},
        .remote = {&path->remote.any, pn_address_len(&path->remote)}};
}

static quic_path from_ngtcp2_path(const ngtcp2_path *path)
{
    quic_path out = {.local = {.in6 = {0}}, .remote = {.in6 = {0}}};

    memcpy(&out.local, path->local.addr, path->local.addrlen);
    memcpy(&out.remote, path->remote.addr, path->remote.addrlen);
    return out;
}

/* ---- the path --------------------------------------------------------- */

static void conn_set_path(pn_quic_conn *conn, const quic_path *path)
{
    pn_list *bucket = pn_quic_remote_bucket(conn->quic, &path->remote);

    conn->path = *path;
    if (conn->remote.list != bucket) {
        pn_list_remove(&conn->remote);
        pn_list_append(bucket, &conn->remote);
    }
}

/* ---- the end ---------------------------------------------------------- */

void pn_quic_conn_shook_hands(pn_quic_conn *conn)
{
    if (conn->is_server) {
        conn->quic->n_handshakes--;
        conn->quic->n_unproven -= conn->has_place ? 0 : 1;
    }
}

/* Everything but the ids and the close packet. */
static void conn_release(pn_quic_conn *conn)
{
    for (size_t i = 0; i < QUIC_STREAM_BUCKETS; i++) {
        PN_LIST_EACH(quic_stream, s, &conn->streams[i], listed) {
            pn_quic_stream_free(s);
        }
    }
    ngtcp2_conn_del(conn->engine);
    conn->engine = NULL;
    pn_quic_memory_fini(&conn->memory);
    if (conn->session != NULL) {
        gnutls_deinit(conn->session);
        conn->session = NULL;
    }
    if (conn->state == QUIC_HANDSHAKE) {
        pn_quic_conn_shook_hands(conn);
    }
    if (conn->state == QUIC_LINGER) {
        conn->quic->n_lingering--;
    } else {
        conn->quic->n_conns--;
    }
    if (conn->has_place) {
        conn->has_place = false;
        pn_quic_place_leave(conn->quic, &conn->from);
    }
}

static void conn_forget_ids(pn_quic_conn *conn)
{
    PN_LIST_EACH(quic_cid, entry, &conn->cids, of_conn) {
        pn_quic_cid_remove(conn->quic, &entry->cid);
    }
}

/* No packet is sent or read any more. */
static void conn_gone(pn_quic_conn *conn)
{
    if (conn->state == QUIC_CLOSING) {
        conn->quic->n_closing--;
    } else if (conn->state != QUIC_GONE) {
        conn_release(conn);
    }
    conn->state = QUIC_GONE;
    conn_forget_ids(conn);
}

static void conn_tell_end(
    pn_quic_conn *conn, pn_err why, uint64_t code, int sys_errno)
{
    if (conn->has_ended) {
        return;
    }
    conn->has_ended = true;
    if (conn->callbacks != NULL) {
        conn->callbacks->on_end(conn->user, why, code, sys_errno);
    } else if (conn->is_server && !conn->is_owned) {
        conn->quic->counters.handshake_failures++;
    }
}

void pn_quic_conn_end(
    pn_quic_conn *conn, pn_err why, uint64_t code, int sys_errno)
{
    conn_gone(conn);
    pn_quic_conn_touch(conn);
    conn_tell_end(conn, why, code, sys_errno);
}

/* CONNECTION_CLOSE, once the socket takes it. */
static void conn_say_close(pn_quic_conn *conn)
{
    if (pn_quic_socket_send(
            conn->quic, &conn->path, conn->close_packet, conn->close_packet_len)
        && conn->owes_close) {
        conn->owes_close = false;
        conn->until_us = pn_monotonic_now_us() + conn->closing_us;
    }
}

/* Sends CONNECTION_CLOSE and keeps the packet for a peer that did not get it.
 */
static void conn_send_close(pn_quic_conn *conn, const ngtcp2_ccerr *error)
{
    pn_quic *quic = conn->quic;
    uint8_t out[QUIC_DATAGRAM_MAX];
    uint64_t now_ns = pn_quic_now_ns();
    uint64_t pto_ns = ngtcp2_conn_get_pto(conn->engine);
    ngtcp2_path_storage ps;
    quic_path path;
    ngtcp2_ssize n;

    ngtcp2_path_storage_zero(&ps);
    n = ngtcp2_conn_write_connection_close(
        conn->engine, &ps.path, NULL, out, sizeof(out), error, now_ns);
    if (n <= 0) {
        conn_gone(conn);
        return;
    }
    path = from_ngtcp2_path(&ps.path);
    conn_set_path(conn, &path);
    conn->close_packet = malloc((size_t)n);
    if (conn->close_packet == NULL || quic->n_closing >= CLOSING_MAX) {
        (void)pn_quic_socket_send(quic, &conn->path, out, (size_t)n);
        conn_gone(conn);
        return;
    }
    memcpy(conn->close_packet, out, (size_t)n);
    conn->close_packet_len = (size_t)n;
    conn->until_us = now_ns / QUIC_NS_PER_US + FULL_US;
    conn->closing_us = 3 * pto_ns / QUIC_NS_PER_US;
    conn->owes_close = true;
    conn_release(conn);
    conn->state = QUIC_CLOSING;
    quic->n_closing++;
    conn_say_close(conn);
}

/* The 1st, 2nd, 4th, 8th... packet after the end is answered. */
static void conn_repeat_close(pn_quic_conn *conn)
{
    uint64_t n = ++conn->n_after_close;

    if ((n & (n - 1)) == 0) {
        conn_say_close(conn);
    }
}

static void conn_close_now(pn_quic_conn *conn)
{
    ngtcp2_ccerr error;

    ngtcp2_ccerr_default(&error);
    ngtcp2_ccerr_set_application_error(&error, conn->close_code, NULL, 0);
    conn_send_close(conn, &error);
}

static pn_err class_of(const pn_quic_conn *conn, int liberr)
{
    switch (liberr) {
    case NGTCP2_ERR_IDLE_CLOSE:
    case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
        return PN_TIMEOUT;
    case NGTCP2_ERR_NOMEM:
        return PN_NOMEM;
    case NGTCP2_ERR_CRYPTO:
        return PN_AUTH;
    case NGTCP2_ERR_CALLBACK_FAILURE:
        return conn->alert != 0 ? PN_AUTH : PN_NOMEM;
    default:
        return PN_MALFORMED;
    }
}

/* ngtcp2 refuses to go on. */
static void conn_fail(pn_quic_conn *conn, int liberr)
{
    ngtcp2_ccerr error;
    pn_err why = class_of(conn, liberr);

    ngtcp2_ccerr_default(&error);
    if (conn->alert != 0) {
        ngtcp2_ccerr_set_tls_alert(&error, conn->alert, NULL, 0);
    } else if (liberr == NGTCP2_ERR_HANDSHAKE_TIMEOUT) {
        error.error_code = NGTCP2_NO_ERROR;
    } else if (liberr == NGTCP2_ERR_CRYPTO) {
        ngtcp2_ccerr_set_tls_alert(
            &error, ngtcp2_conn_get_tls_alert(conn->engine), NULL, 0);
    } else {
        ngtcp2_ccerr_set_liberr(&error, liberr, NULL, 0);
    }
    if (liberr == NGTCP2_ERR_IDLE_CLOSE || liberr == NGTCP2_ERR_DROP_CONN
        || liberr == NGTCP2_ERR_RETRY) {
        conn_gone(conn); /* silently: RFC 9000 section 10.1 */
    } else {
        conn_send_close(conn, &error);
    }
    pn_quic_conn_touch(conn);
    conn_tell_end(conn, why, error.error_code, 0);
}

/* The peer has closed. */
static void conn_drained(pn_quic_conn *conn)
{
    ngtcp2_ccerr error = pn_quic_engine_received_close(conn);
    bool is_tls = error.type == NGTCP2_CCERR_TYPE_TRANSPORT
                  && (error.error_code & ~UINT64_C(0xff))
                         == NGTCP2_CRYPTO_ERROR;

    pn_quic_conn_end(conn, is_tls ? PN_AUTH : PN_CLOSED, error.error_code,
        conn->was_reset ? ECONNRESET : 0);
}

static void conn_failed_with(pn_quic_conn *conn, int liberr)
{
    if (liberr == NGTCP2_ERR_DRAINING) {
        conn_drained(conn);
    } else {
        conn_fail(conn, liberr);
    }
}

/* ---- reading ---------------------------------------------------------- */

static void conn_tell_memory(pn_quic_conn *conn)
{
    if (conn->memory.bytes < conn->memory_told) {
        conn->memory_told = conn->memory.bytes;
    }
    if (conn->memory.bytes - conn->memory_told >= PN_QUIC_MEMORY_STEP
        && conn->callbacks != NULL && conn->callbacks->on_memory != NULL) {
        conn->memory_told = conn->memory.bytes;
        conn->callbacks->on_memory(conn->user);
    }
}

void pn_quic_conn_read(
    pn_quic_conn *conn, const quic_path *path, const uint8_t *data, size_t len)
{
    bool is_genuine;
    quic_path now;
    int r;

    if (conn->state == QUIC_CLOSING) {
        conn_repeat_close(conn);
        return;
    }
    if (conn->state == QUIC_GONE) {
        return;
    }
    r = pn_quic_engine_read(conn, path, data, len, &is_genuine);
    if (is_genuine) {
        conn->last_received_us = pn_monotonic_now_us();
        if (PN_SAFEGUARD(quic_refused_answered)) {
            conn->refused_us = 0;
        }
    }
    now = from_ngtcp2_path(ngtcp2_conn_get_path(conn->engine));
    conn_set_path(conn, &now);
    pn_quic_conn_touch(conn);
    if (r != 0) {
        conn_failed_with(conn, r);
        return;
    }
    conn_tell_memory(conn);
}

/* ---- writing ---------------------------------------------------------- */

/* One packet. 0: there is nothing to send, or it must wait; > 0: sent; < 0:
 * an error of ngtcp2. *ret_errno: the socket refused. */
static ngtcp2_ssize conn_write_packet(
    pn_quic_conn *conn, uint64_t now_ns, int *ret_errno)
{
    pn_quic *quic = conn->quic;
    quic_stream *s = pn_quic_stream_next(conn);
    ngtcp2_vec vecs[QUIC_OUT_PIECES];
    ngtcp2_path_storage ps;
    ngtcp2_ssize n_data = -1;
    ngtcp2_ssize n;
    size_t n_vecs = 0;
    bool fin = false;
    quic_path path;

    if (s != NULL) {
        n_vecs = pn_quic_stream_gather(s,
            ngtcp2_conn_get_path_max_tx_udp_payload_size(conn->engine), vecs,
            &fin);
    }
    ngtcp2_path_storage_zero(&ps);
    n = ngtcp2_conn_writev_stream(conn->engine, &ps.path, NULL,
        pn_quic_socket_room(quic), QUIC_DATAGRAM_MAX, &n_data,
        fin ? NGTCP2_WRITE_STREAM_FLAG_FIN : NGTCP2_WRITE_STREAM_FLAG_NONE,
        s != NULL ? s->id : -1, vecs, n_vecs, now_ns);
    if (s != NULL && n_data >= 0) {
        pn_quic_stream_sent(s, (size_t)n_data, fin);
    }
    if (n == NGTCP2_ERR_STREAM_DATA_BLOCKED) {
        s->is_blocked = true;
        return 1;
    }
    if (n == NGTCP2_ERR_STREAM_SHUT_WR) {
        pn_quic_stream_stopped(s);
        return 1;
    }
    if (n == NGTCP2_ERR_STREAM_NOT_FOUND) {
        pn_quic_stream_shut(s);
        return 1;
    }
    if (n > 0) {
        path = from_ngtcp2_path(&ps.path);
        *ret_errno = pn_quic_socket_put(quic, &path, (size_t)n);
    }
    return n;
}

static void conn_sent_nowhere(pn_quic_conn *conn, int sys_errno)
{
    if (conn->state == QUIC_HANDSHAKE && !conn->is_server
        && conn->last_received_us == 0) {
        pn_quic_conn_end(conn, PN_SYS, 0, sys_errno);
    }
}

/* True when all that may go out now is out. */
static bool conn_write(pn_quic_conn *conn)
{
    pn_quic *quic = conn->quic;
    uint64_t now_ns = pn_quic_now_ns();
    size_t quantum = ngtcp2_conn_get_send_quantum(conn->engine);
    size_t sent = 0;
    int sys_errno = 0;
    ngtcp2_ssize n = 0;

    while (!quic->socket.is_blocked && sys_errno == 0) {
        n = conn_write_packet(conn, now_ns, &sys_errno);
        if (n <= 0) {
            break;
        }
        sent += (size_t)n;
        if (sent >= quantum) {
            pn_quic_conn_touch(conn);
            break;
        }
    }
    ngtcp2_conn_update_pkt_tx_time(conn->engine, now_ns);
    if (sys_errno == 0) {
        sys_errno = pn_quic_socket_flush(quic);
    }
    if (n < 0) {
        conn_failed_with(conn, (int)n);
    } else if (sys_errno != 0) {
        conn_sent_nowhere(conn, sys_errno);
    }
    return n == 0 && sys_errno == 0 && !quic->socket.is_blocked;
}

static uint64_t keep_alive_ns(const pn_quic_conn *conn)
{
    uint64_t us = conn->keep_alive_us == 0 ? conn->quic->options.keep_alive_us
                                           : conn->keep_alive_us;

    return us * QUIC_NS_PER_US;
}

/* ngtcp2 has no call for "now": a keep-alive that is long due. */
static void conn_work_live(pn_quic_conn *conn)
{
    bool is_out;

    if (conn->dial_errno != 0) {
        pn_quic_conn_end(conn, PN_SYS, 0, conn->dial_errno);
        return;
    }
    if (conn->quic->socket.is_blocked) {
        return;
    }
    if (conn->state != QUIC_HANDSHAKE) {
        pn_quic_stream_reset_due(conn);
    }
    if (conn->wants_ping) {
        ngtcp2_conn_set_keep_alive_timeout(conn->engine, 1);
    }
    is_out = conn_write(conn);
    if (conn->wants_ping && conn->engine != NULL) {
        conn->wants_ping = false;
        ngtcp2_conn_set_keep_alive_timeout(conn->engine, keep_alive_ns(conn));
    }
    if (is_out && conn->state != QUIC_HANDSHAKE) {
        pn_quic_stream_find_stopped(conn);
    }
}

static bool has_lingered(const pn_quic_conn *conn, uint64_t now_us)
{
    return conn->state == QUIC_LINGER
           && (!conn->has_binding || now_us >= conn->until_us
               || conn->memory.bytes > LINGER_MEMORY_MAX
               || (conn->n_unsent == 0 && conn->ready.n == 0));
}

/* ---- time ------------------------------------------------------------- */

static bool is_refused(const pn_quic_conn *conn, uint64_t now_us)
{
    return conn->refused_us != 0 && now_us >= conn->refused_us + REFUSED_US;
}

static uint64_t dead_at_us(const pn_quic_conn *conn)
{
    uint64_t heard_us = pn_later(conn->last_received_us, conn->created_us);
    uint64_t dead_us = heard_us + conn->quic->options.dead_after_us;

    return conn->refused_us == 0
               ? dead_us
               : pn_sooner(dead_us, conn->refused_us + REFUSED_US);
}

static void conn_set_timer(pn_quic_conn *conn)
{
    uint64_t at_us = PN_TIME_NEVER;

    if (conn->state == QUIC_CLOSING) {
        at_us = conn->until_us;
    } else if (conn->state != QUIC_GONE) {
        uint64_t expiry_ns = ngtcp2_conn_get_expiry(conn->engine);

        if (expiry_ns != UINT64_MAX) {
            at_us = expiry_ns / QUIC_NS_PER_US + 1;
        }
        at_us = pn_sooner(at_us, dead_at_us(conn));
        if (conn->state == QUIC_LINGER) {
            at_us = pn_sooner(at_us, conn->until_us);
        }
    }
    pn_timer_set(conn->timer, at_us);
}

static void conn_on_expiry(pn_quic_conn *conn)
{
    uint64_t now_ns = pn_quic_now_ns();
    uint64_t now_us = now_ns / QUIC_NS_PER_US;
    int r;

    if (is_refused(conn, now_us)) {
        pn_quic_conn_end(conn, PN_SYS, 0, ECONNREFUSED);
        return;
    }
    if (PN_REFUSE_IF(quic_dead_after, now_us >= dead_at_us(conn))) {
        conn_fail(conn, NGTCP2_ERR_HANDSHAKE_TIMEOUT);
        return;
    }
    if (ngtcp2_conn_get_expiry(conn->engine) <= now_ns) {
        r = ngtcp2_conn_handle_expiry(conn->engine, now_ns);
        if (r != 0) {
            conn_failed_with(conn, r);
        }
    }
}

static void on_timer(void *user)
{
    pn_quic_conn *conn = user;
    pn_quic *quic = conn->quic;

    pn_quic_enter(quic);
    pn_quic_conn_touch(conn);
    if (conn->state == QUIC_CLOSING) {
        conn_gone(conn);
    } else if (conn->state != QUIC_GONE) {
        conn_on_expiry(conn);
    }
    pn_quic_leave(quic);
}

void pn_quic_conn_work(pn_quic_conn *conn)
{
    if (conn->state <= QUIC_LINGER) {
        conn_work_live(conn);
    }
    if (has_lingered(conn, pn_monotonic_now_us())) {
        conn_close_now(conn);
    } else if (conn->state == QUIC_CLOSING && conn->owes_close) {
        conn_say_close(conn);
    }
    if (conn->state == QUIC_GONE && !conn->is_owned) {
        pn_quic_conn_free(conn);
    } else {
        conn_set_timer(conn);
    }
}

/* ---- life ------------------------------------------------------------- */

static pn_err conn_new(pn_quic *quic, bool is_server, const quic_path *path,
    pn_quic_conn **ret_conn)
{
    pn_quic_conn *conn = calloc(1, sizeof(*conn));
    pn_err err;

    if (conn == NULL) {
        return PN_NOMEM;
    }
    err = pn_timer_new(quic->loop, on_timer, conn, &conn->timer);
    if (err != PN_OK) {
        free(conn);
        return err;
    }
    conn->quic = quic;
    conn->is_server = is_server;
    conn->path = *path;
    conn->from = path->remote;
    conn->proven = path->remote;
    pn_list_append(pn_quic_remote_bucket(quic, &path->remote), &conn->remote);
    conn->created_us = pn_monotonic_now_us();
    pn_list_append(&quic->conns, &conn->listed);
    quic->n_conns++;
    *ret_conn = conn;
    return PN_OK;
}

void pn_quic_conn_free(pn_quic_conn *conn)
{
    if (conn->engine != NULL) {
        conn_close_now(conn);
    }
    conn_gone(conn);
    pn_list_remove(&conn->dirty);
    pn_list_remove(&conn->remote);
    pn_list_remove(&conn->listed);
    pn_timer_free(conn->timer);
    free(conn->close_packet);
    free(conn);
}

pn_err pn_quic_conn_accept(pn_quic *quic, const quic_path *path,
    const ngtcp2_pkt_hd *hd, const ngtcp2_cid *odcid, pn_quic_conn **ret_conn)
{
    pn_quic_conn *conn;
    pn_err err = conn_new(quic, true, path, &conn);

    if (err != PN_OK) {
        if (odcid != NULL) {
            pn_quic_place_leave(quic, &path->remote);
        }
        return err;
    }
    quic->counters.begun++;
    quic->n_handshakes++;
    conn->has_place = odcid != NULL;
    quic->n_unproven += odcid == NULL ? 1 : 0;
    err = pn_quic_tls_session(conn);
    if (err == PN_OK) {
        err = pn_quic_engine_server(conn, hd, odcid);
    }
    if (err != PN_OK) {
        pn_quic_conn_free(conn);
        return err;
    }
    *ret_conn = conn;
    return PN_OK;
}

pn_err pn_quic_dial(pn_quic *quic, const pn_address *to,
    const pn_quic_conn_callbacks *callbacks, void *user,
    pn_quic_conn **ret_conn)
{
    quic_path path = {.local = {.in6 = {0}}, .remote = *to};
    int sys_errno = 0;
    pn_quic_conn *conn;
    pn_err err;

    if (PN_REFUSE_IF(
            quic_max_dials, quic->n_conns >= quic->options.max_conns)) {
        return PN_FULL;
    }
    pn_address_unmap(&path.remote);
    if (pn_quic_socket_local(quic, &path.remote, &path.local, &sys_errno)
        != PN_OK) {
        path.local = quic->socket.address;
    }
    err = conn_new(quic, false, &path, &conn);
    if (err != PN_OK) {
        return err;
    }
    err = pn_quic_tls_session(conn);
    if (err == PN_OK) {
        err = pn_quic_engine_client(conn);
    }
    if (err != PN_OK) {
        pn_quic_conn_free(conn);
        return err;
    }
    conn->dial_errno = sys_errno;
    conn->is_owned = true;
    conn->callbacks = callbacks;
    conn->user = user;
    quic->counters.dialled++;
    pn_quic_conn_touch(conn);
    *ret_conn = conn;
    return PN_OK;
}

void pn_quic_set_callbacks(
    pn_quic_conn *conn, const pn_quic_conn_callbacks *callbacks, void *user)
{
    conn->callbacks = callbacks;
    conn->user = user;
}

/* A lingering connection makes room for another at once, so that refused
 * strangers take no place. Lingering connections have a limit of their own. */
static void conn_linger(pn_quic_conn *conn)
{
    pn_quic *quic = conn->quic;
    bool is_one_too_many = PN_REFUSE_IF(
        quic_max_lingering, quic->n_lingering >= quic->options.max_conns);

    conn->until_us = is_one_too_many ? 0 : pn_monotonic_now_us() + LINGER_US;
    quic->n_conns--;
    quic->n_lingering++;
}

void pn_quic_close(pn_quic_conn *conn, uint64_t code)
{
    conn->is_owned = false;
    conn->callbacks = NULL;
    conn->has_ended = true;
    if (conn->state <= QUIC_OPEN) {
        conn->state = QUIC_LINGER;
        conn->close_code = code;
        conn_linger(conn);
    }
    pn_quic_conn_touch(conn);
}

/* ---- queries ---------------------------------------------------------- */

pn_err pn_quic_binding(
    const pn_quic_conn *conn, uint8_t ret_binding[static PN_QUIC_BINDING_LEN])
{
    if (!conn->has_binding) {
        return PN_NOT_FOUND;
    }
    memcpy(ret_binding, conn->binding, PN_QUIC_BINDING_LEN);
    return PN_OK;
}

void pn_quic_addresses(
    const pn_quic_conn *conn, pn_address *ret_local, pn_address *ret_remote)
{
    *ret_local = conn->path.local;
    *ret_remote = conn->path.remote;
}

size_t pn_quic_memory(const pn_quic_conn *conn)
{
    return conn->memory.bytes;
}

void pn_quic_set_keep_alive(pn_quic_conn *conn, uint64_t silence_us)
{
    conn->keep_alive_us = silence_us;
    if (conn->engine != NULL && conn->state == QUIC_OPEN) {
        ngtcp2_conn_set_keep_alive_timeout(conn->engine, keep_alive_ns(conn));
        pn_quic_conn_touch(conn);
    }
}

/* ICMP errors can be forged. A peer that is up answers the PING, and those that
 * the engine repeats until an answer comes. */
void pn_quic_conn_refused(pn_quic_conn *conn)
{
    if (conn->refused_us == 0) {
        conn->refused_us = pn_monotonic_now_us();
        conn->wants_ping = true;
        pn_quic_conn_touch(conn);
    }
}

/* The network has changed. Only the side that dialled may migrate; the other
 * side follows the first packet from the new address. */
void pn_quic_conn_probe(pn_quic_conn *conn)
{
    quic_path path = conn->path;
    ngtcp2_path to;
    int sys_errno = 0;

    if (conn->state != QUIC_OPEN) {
        return;
    }
    conn->wants_ping = true;
    pn_quic_conn_touch(conn);
    if (conn->is_server
        || pn_quic_socket_local(
               conn->quic, &path.remote, &path.local, &sys_errno)
               != PN_OK
        || pn_address_equal(&path.local, &conn->path.local)) {
        return;
    }
    to = pn_quic_ngtcp2_path(&path);
    if (ngtcp2_conn_initiate_immediate_migration(
            conn->engine, &to, pn_quic_now_ns())
        != 0) {
        /* No spare connection id: then from the new address with the old. */
        ngtcp2_conn_set_local_addr(conn->engine, &to.local);
    }
    conn_set_path(conn, &path);
}

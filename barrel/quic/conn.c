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
#include "quic/quic_impl.h"

enum {
    /* So many repeat their last word for who asks; more say it once. */
    CLOSING_MAX = 256
};

#define LINGER_US (3 * PN_US_PER_S)
/* So long the last word waits for a socket that is full. */
#define FULL_US PN_US_PER_S
/* Whoever left so much behind is not waited for: nobody counts it then. */
#define LINGER_MEMORY_MAX ((size_t)4 * 1024 * 1024)

uint64_t pn_quic_now_ns(const pn_quic *quic)
{
    return pn_loop_update_now(quic->loop) * QUIC_NS_PER_US;
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

/* ---- the end ---------------------------------------------------------- */

void pn_quic_conn_shook_hands(pn_quic_conn *conn)
{
    if (conn->is_handshake_counted) {
        conn->is_handshake_counted = false;
        conn->quic->n_handshakes--;
    }
}

/* Everything but the ids and the last word. */
static void conn_release(pn_quic_conn *conn)
{
    for (size_t i = 0; i < QUIC_STREAM_BUCKETS; i++) {
        while (conn->streams[i] != NULL) {
            pn_quic_stream_free(conn->streams[i]);
        }
    }
    ngtcp2_conn_del(conn->engine);
    conn->engine = NULL;
    pn_quic_memory_fini(&conn->memory);
    if (conn->session != NULL) {
        gnutls_deinit(conn->session);
        conn->session = NULL;
    }
    pn_quic_conn_shook_hands(conn);
    if (conn->is_counted) {
        conn->is_counted = false;
        conn->quic->n_conns--;
    }
}

static void conn_forget_ids(pn_quic_conn *conn)
{
    while (conn->cids != NULL) {
        pn_quic_cid_remove(conn->quic, &conn->cids->cid);
    }
}

/* Nothing is sent or heard any more. */
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

/* The last word, once the socket takes it. */
static void conn_say_close(pn_quic_conn *conn)
{
    if (pn_quic_socket_send(
            conn->quic, &conn->path, conn->close_packet, conn->close_packet_len)
        && conn->owes_close) {
        conn->owes_close = false;
        conn->until_us = pn_loop_now_us(conn->quic->loop) + conn->closing_us;
    }
}

/* Sends the last word and keeps it, for whoever did not hear it. */
static void conn_send_close(
    pn_quic_conn *conn, const ngtcp2_connection_close_error *error)
{
    pn_quic *quic = conn->quic;
    uint8_t out[QUIC_DATAGRAM_MAX];
    uint64_t now_ns = pn_quic_now_ns(quic);
    uint64_t pto_ns = ngtcp2_conn_get_pto(conn->engine);
    ngtcp2_path_storage ps;
    ngtcp2_ssize n;

    ngtcp2_path_storage_zero(&ps);
    n = ngtcp2_conn_write_connection_close(
        conn->engine, &ps.path, NULL, out, sizeof(out), error, now_ns);
    if (n <= 0) {
        conn_gone(conn);
        return;
    }
    conn->path = from_ngtcp2_path(&ps.path);
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
    ngtcp2_connection_close_error error;

    ngtcp2_connection_close_error_default(&error);
    ngtcp2_connection_close_error_set_application_error(
        &error, conn->close_code, NULL, 0);
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
    ngtcp2_connection_close_error error;
    pn_err why = class_of(conn, liberr);

    ngtcp2_connection_close_error_default(&error);
    if (conn->alert != 0) {
        ngtcp2_connection_close_error_set_transport_error_tls_alert(
            &error, conn->alert, NULL, 0);
    } else if (liberr == NGTCP2_ERR_HANDSHAKE_TIMEOUT) {
        error.error_code = NGTCP2_NO_ERROR;
    } else if (liberr == NGTCP2_ERR_CRYPTO) {
        ngtcp2_connection_close_error_set_transport_error_tls_alert(
            &error, ngtcp2_conn_get_tls_alert(conn->engine), NULL, 0);
    } else {
        ngtcp2_connection_close_error_set_transport_error_liberr(
            &error, liberr, NULL, 0);
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
    ngtcp2_connection_close_error error;
    bool is_tls;

    ngtcp2_connection_close_error_default(&error);
    ngtcp2_conn_get_connection_close_error(conn->engine, &error);
    is_tls = error.type == NGTCP2_CONNECTION_CLOSE_ERROR_CODE_TYPE_TRANSPORT
             && (error.error_code & ~UINT64_C(0xff)) == NGTCP2_CRYPTO_ERROR;
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
        conn->last_received_us = pn_loop_now_us(conn->quic->loop);
    }
    conn->path = from_ngtcp2_path(ngtcp2_conn_get_path(conn->engine));
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
    if (n == NGTCP2_ERR_STREAM_SHUT_WR || n == NGTCP2_ERR_STREAM_NOT_FOUND) {
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

static void conn_write(pn_quic_conn *conn)
{
    pn_quic *quic = conn->quic;
    uint64_t now_ns = pn_quic_now_ns(quic);
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
}

/* ngtcp2 has no call for "now": a keep-alive that is long due. */
static void conn_work_live(pn_quic_conn *conn)
{
    uint64_t keep_alive_ns = conn->quic->options.keep_alive_us * QUIC_NS_PER_US;

    if (conn->dial_errno != 0) {
        pn_quic_conn_end(conn, PN_SYS, 0, conn->dial_errno);
        return;
    }
    if (conn->quic->socket.is_blocked) {
        return;
    }
    if (conn->state != QUIC_HANDSHAKE) {
        pn_quic_stream_reset_due(conn);
        pn_quic_stream_find_stopped(conn);
    }
    if (conn->wants_ping) {
        ngtcp2_conn_set_keep_alive_timeout(conn->engine, 1);
    }
    conn_write(conn);
    if (conn->wants_ping && conn->engine != NULL) {
        conn->wants_ping = false;
        ngtcp2_conn_set_keep_alive_timeout(conn->engine, keep_alive_ns);
    }
}

static bool has_lingered(const pn_quic_conn *conn, uint64_t now_us)
{
    return conn->state == QUIC_LINGER
           && (!conn->has_binding || now_us >= conn->until_us
               || conn->memory.bytes > LINGER_MEMORY_MAX
               || (conn->n_unsent == 0 && conn->ready == NULL));
}

/* ---- time ------------------------------------------------------------- */

static uint64_t dead_at_us(const pn_quic_conn *conn)
{
    uint64_t heard_us = conn->last_received_us > conn->created_us
                            ? conn->last_received_us
                            : conn->created_us;

    return heard_us + conn->quic->options.dead_after_us;
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
        if (dead_at_us(conn) < at_us) {
            at_us = dead_at_us(conn);
        }
        if (conn->state == QUIC_LINGER && conn->until_us < at_us) {
            at_us = conn->until_us;
        }
    }
    pn_timer_set(conn->timer, at_us);
}

static void conn_on_expiry(pn_quic_conn *conn)
{
    uint64_t now_ns = pn_quic_now_ns(conn->quic);
    uint64_t now_us = now_ns / QUIC_NS_PER_US;
    int r;

    if (PN_CHECK(quic_dead_after, now_us >= dead_at_us(conn))) {
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
    if (has_lingered(conn, pn_loop_now_us(conn->quic->loop))) {
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
    conn->is_unasked = quic->is_unasked;
    conn->created_us = pn_loop_update_now(quic->loop);
    conn->next = quic->conns;
    if (conn->next != NULL) {
        conn->next->prev = conn;
    }
    quic->conns = conn;
    conn->is_counted = true;
    quic->n_conns++;
    if (is_server) {
        conn->is_handshake_counted = true;
        quic->n_handshakes++;
    }
    *ret_conn = conn;
    return PN_OK;
}

void pn_quic_conn_free(pn_quic_conn *conn)
{
    pn_quic *quic = conn->quic;

    if (conn->engine != NULL) {
        conn_close_now(conn);
    }
    conn_gone(conn);
    pn_quic_conn_untouch(conn);
    if (conn->next != NULL) {
        conn->next->prev = conn->prev;
    }
    if (conn->prev != NULL) {
        conn->prev->next = conn->next;
    } else {
        quic->conns = conn->next;
    }
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
        return err;
    }
    err = pn_quic_tls_session(conn, NULL);
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
    const char *server_name, const pn_quic_conn_callbacks *callbacks,
    void *user, pn_quic_conn **ret_conn)
{
    quic_path path = {.local = {.in6 = {0}}, .remote = *to};
    int sys_errno = 0;
    pn_quic_conn *conn;
    pn_err err;

    if (PN_CHECK(quic_max_dials, quic->n_conns >= quic->options.max_conns)) {
        return PN_LIMIT;
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
    err = pn_quic_tls_session(conn, server_name);
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

void pn_quic_close(pn_quic_conn *conn, uint64_t code)
{
    conn->is_owned = false;
    conn->callbacks = NULL;
    conn->has_ended = true;
    if (conn->state <= QUIC_OPEN) {
        conn->state = QUIC_LINGER;
        conn->close_code = code;
        conn->until_us = pn_loop_update_now(conn->quic->loop) + LINGER_US;
    }
    pn_quic_conn_touch(conn);
}

/* ---- what is asked ---------------------------------------------------- */

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

uint64_t pn_quic_last_received_us(const pn_quic_conn *conn)
{
    return conn->last_received_us;
}

/* The network has changed. Only who dialled may move; the other side follows
 * the first packet from the new address. */
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
            conn->engine, &to, pn_quic_now_ns(conn->quic))
        != 0) {
        /* No spare connection id: then from the new address with the old. */
        ngtcp2_conn_set_local_addr(conn->engine, &to.local);
    }
    conn->path = path;
}

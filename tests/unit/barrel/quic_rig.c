/* SPDX-License-Identifier: Apache-2.0 */
/* See quic_rig.h. */
#include <string.h>

#include <sys/socket.h>

#include "looprun.h"
#include "made_certificate.h"
#include "os/clock.h"
#include "quic_defaults.h"
#include "quic_rig.h"

#define RUN_US (10 * PN_US_PER_S)

/* ---- one end ---------------------------------------------------------- */

void quic_side_init(quic_side *side, quic_rig *r)
{
    *side = (quic_side){.rig = r};
    for (size_t i = 0; i < QUIC_RIG_STREAMS; i++) {
        side->heard[i].id = -1;
    }
}

void quic_side_fini(quic_side *side)
{
    quic_side_close(side);
    for (size_t i = 0; i < QUIC_RIG_STREAMS; i++) {
        pn_buf_fini(&side->heard[i].in);
    }
}

void quic_side_close(quic_side *side)
{
    pn_quic_conn *conn = side->conn;

    if (conn != NULL) {
        side->conn = NULL;
        pn_quic_close(conn, PN_QUIC_NO_ERROR);
    }
}

quic_heard *quic_side_heard(quic_side *side, int64_t id)
{
    quic_heard *unused = NULL;

    for (size_t i = 0; i < QUIC_RIG_STREAMS; i++) {
        quic_heard *h = &side->heard[i];

        if (h->id == id) {
            return h;
        }
        if (h->id == -1 && unused == NULL) {
            unused = h;
        }
    }
    if (unused == NULL) {
        fail_msg("more streams than this test expects");
        return &side->heard[0];
    }
    unused->id = id;
    return unused;
}

void quic_side_forget(quic_side *side, int64_t id)
{
    quic_heard *h = quic_side_heard(side, id);

    pn_buf_fini(&h->in);
    *h = (quic_heard){.id = -1};
}

static void on_open(void *user)
{
    quic_side *s = user;

    assert_false(s->rig->in_call);
    assert_int_equal(s->n_end, 0);
    s->n_open++;
    if (s->close_on_open) {
        quic_side_close(s);
    }
}

static void on_stream(void *user, int64_t stream)
{
    quic_side *s = user;

    (void)stream;
    assert_false(s->rig->in_call);
    s->n_streams++;
}

static void on_data(
    void *user, int64_t stream, const uint8_t *data, size_t len, bool is_last)
{
    quic_side *s = user;
    quic_heard *h;

    assert_false(s->rig->in_call);
    assert_int_equal(s->n_end, 0);
    assert_non_null(s->conn);
    if (s->is_counting) {
        s->n_counted += is_last;
        pn_quic_consumed(s->conn, stream, len);
        return;
    }
    h = quic_side_heard(s, stream);
    assert_false(h->is_finished);
    h->n_data++;
    h->is_finished = is_last;
    if (len > 0) {
        assert_int_equal(pn_buf_append(&h->in, data, len), PN_OK);
    }
    if (s->is_echo && (stream & 2) == 0) {
        assert_int_equal(
            pn_quic_write(s->conn, stream, data, len, is_last), PN_OK);
    }
    if (!s->is_deaf) {
        pn_quic_consumed(s->conn, stream, len);
    }
}

static void on_reset(void *user, int64_t stream, uint64_t code)
{
    quic_side *s = user;
    quic_heard *h;

    assert_false(s->rig->in_call);
    if (!s->is_counting) {
        h = quic_side_heard(s, stream);
        h->is_reset = true;
        h->reset_code = code;
    }
}

static void on_acked(void *user, int64_t stream, uint64_t total)
{
    quic_side *s = user;
    quic_heard *h;

    assert_false(s->rig->in_call);
    if (!s->ignores_acks) {
        h = quic_side_heard(s, stream);
        assert_true(total >= h->n_acked);
        h->n_acked = total;
    }
}

static void on_writable(void *user)
{
    quic_side *s = user;

    assert_false(s->rig->in_call);
    s->n_writable++;
}

static void on_end(void *user, pn_err why, uint64_t code, int sys_errno)
{
    quic_side *s = user;

    assert_false(s->rig->in_call);
    assert_int_equal(s->n_end, 0);
    s->n_end++;
    s->why = why;
    s->code = code;
    s->sys_errno = sys_errno;
    if (s->close_on_end) {
        quic_side_close(s);
    }
}

const pn_quic_conn_callbacks quic_rig_callbacks = {
    .on_open = on_open,
    .on_stream = on_stream,
    .on_data = on_data,
    .on_reset = on_reset,
    .on_acked = on_acked,
    .on_writable = on_writable,
    .on_end = on_end,
};

/* ---- the endpoints ---------------------------------------------------- */

static bool on_incoming(void *user, const pn_address *from)
{
    quic_rig *r = user;

    (void)from;
    assert_false(r->in_call);
    r->n_incoming++;
    return !r->refuse;
}

static bool on_proven(void *user, const pn_address *from)
{
    quic_rig *r = user;

    assert_false(r->in_call);
    r->n_proven++;
    r->proven_from = *from;
    return !r->refuse_proven;
}

static void on_leave(void *user, const pn_address *from)
{
    quic_rig *r = user;

    assert_false(r->in_call);
    assert_true(pn_address_equal(from, &r->proven_from));
    r->n_left++;
}

static bool on_reserve(void *user, const pn_address *to)
{
    quic_rig *r = user;

    (void)to;
    assert_false(r->in_call);
    if (r->reserve == 0) {
        return false;
    }
    r->reserve--;
    return true;
}

static void on_accept(void *user, pn_quic_conn *conn, const pn_address *from)
{
    quic_rig *r = user;

    (void)from;
    assert_false(r->in_call);
    r->n_accepts++;
    if (r->server.conn != NULL) {
        pn_quic_close(conn, PN_QUIC_NO_ERROR);
        return;
    }
    r->server.conn = conn;
    pn_quic_set_callbacks(conn, &quic_rig_callbacks, &r->server);
}

static const pn_quic_callbacks endpoint_callbacks = {
    .on_incoming = on_incoming,
    .on_proven = on_proven,
    .on_leave = on_leave,
    .on_reserve = on_reserve,
    .on_accept = on_accept,
};

void quic_rig_init(quic_rig *r, const char *at,
    const pn_quic_options *server_options,
    const pn_quic_options *client_options)
{
    pn_quic_options server = {0};
    pn_quic_options client = {0};
    pn_address any;
    int sys_errno = 0;

    *r = (quic_rig){0};
    quic_side_init(&r->client, r);
    quic_side_init(&r->server, r);
    assert_int_equal(pn_loop_new(&r->loop), PN_OK);
    assert_int_equal(
        pn_test_certificate(pn_wall_now_us() / 1000000, &r->certificate),
        PN_OK);
    if (server_options != NULL) {
        server = *server_options;
    }
    if (client_options != NULL) {
        client = *client_options;
    }
    server.alpn = server.alpn != NULL ? server.alpn : "test";
    client.alpn = client.alpn != NULL ? client.alpn : "test";
    server.certificate = server.certificate != NULL ? server.certificate
                                                    : r->certificate;
    quic_defaults(&server);
    quic_defaults(&client);
    assert_int_equal(pn_address_parse(at, -1, &r->at), PN_OK);
    assert_int_equal(pn_quic_new(r->loop, &r->at, &server, &endpoint_callbacks,
                         r, &r->server_quic, &sys_errno),
        PN_OK);
    pn_quic_address(r->server_quic, &r->at);
    any = r->at;
    pn_address_set_port(&any, 0);
    assert_int_equal(pn_quic_new(r->loop, &any, &client, &endpoint_callbacks, r,
                         &r->client_quic, &sys_errno),
        PN_OK);
}

void quic_rig_fini(quic_rig *r)
{
    quic_side_fini(&r->client);
    quic_side_fini(&r->server);
    pn_quic_free(r->client_quic);
    pn_quic_free(r->server_quic);
    pn_certificate_free(r->certificate);
    pn_loop_free(r->loop);
}

bool quic_rig_run(quic_rig *r, bool (*done)(quic_rig *r))
{
    uint64_t until_us = pn_loop_update_now(r->loop) + RUN_US;

    while (!done(r)) {
        if (pn_loop_update_now(r->loop) > until_us) {
            return false;
        }
        pn_test_loop_step(r->loop, until_us);
    }
    return true;
}

void quic_rig_settle(quic_rig *r, unsigned ms)
{
    pn_test_loop_settle(r->loop, ms);
}

void quic_rig_dial(quic_rig *r, quic_side *side)
{
    r->in_call = true;
    assert_int_equal(pn_quic_dial(r->client_quic, &r->at, &quic_rig_callbacks,
                         side, &side->conn),
        PN_OK);
    r->in_call = false;
}

bool quic_rig_is_connected(quic_rig *r)
{
    return r->client.n_open == 1 && r->server.conn != NULL;
}

void quic_rig_connect(quic_rig *r)
{
    quic_rig_dial(r, &r->client);
    assert_true(quic_rig_run(r, quic_rig_is_connected));
}

/* ---- plain sockets ---------------------------------------------------- */

int quic_plain_socket(pn_address *ret_address)
{
    pn_address at;
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(pn_address_parse("127.0.0.1:0", -1, &at), PN_OK);
    assert_int_equal(bind(fd, &at.any, pn_address_len(&at)), 0);
    assert_int_equal(getsockname(fd, &at.any, &len), 0);
    if (ret_address != NULL) {
        *ret_address = at;
    }
    return fd;
}

void quic_plain_send(int fd, const pn_address *to, const void *data, size_t n)
{
    assert_int_equal(
        sendto(fd, data, n, 0, &to->any, pn_address_len(to)), (ssize_t)n);
}

bool quic_plain_receive(quic_rig *r, int fd, quic_datagram *d, unsigned ms)
{
    for (unsigned i = 0; i < ms; i++) {
        ssize_t n = recv(fd, d->data, sizeof(d->data), 0);

        if (n >= 0) {
            d->len = (size_t)n;
            return true;
        }
        quic_rig_settle(r, 1);
    }
    return false;
}

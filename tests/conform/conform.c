/* SPDX-License-Identifier: Apache-2.0 */
/* See conform.h. */
#include <string.h>
#include <unistd.h>

#include "conform.h"
#include "looprun.h"

#define RUN_US (10 * PN_US_PER_S)

/* ---- one end ---------------------------------------------------------- */

void side_close(side *s)
{
    pn_conn *conn = s->conn;

    if (conn != NULL) {
        s->conn = NULL;
        s->rig->ops->close(conn);
    }
}

pn_err side_flush(side *s)
{
    size_t n = 0;
    pn_err err;

    if (s->conn == NULL) {
        return PN_OK;
    }
    s->rig->in_ops = true;
    err = s->rig->ops->write(
        s->conn, pn_buf_head(&s->out), pn_buf_used(&s->out), &n);
    s->rig->in_ops = false;
    assert_true(n <= pn_buf_used(&s->out));
    assert_true(err == PN_OK || n == 0);
    pn_buf_consume(&s->out, n);
    return err;
}

pn_err side_write(side *s, const void *data, size_t len)
{
    assert_int_equal(pn_buf_append(&s->out, data, len), PN_OK);
    return side_flush(s);
}

static void on_open(void *user)
{
    side *s = user;

    assert_false(s->rig->in_ops);
    assert_int_equal(s->n_end, 0);
    s->n_open++;
    if (s->close_on_open) {
        side_close(s);
    } else {
        (void)side_flush(s);
    }
}

static size_t on_data(void *user, uint8_t *data, size_t len, size_t *want)
{
    side *s = user;
    size_t n = len < s->take ? len : s->take;

    assert_false(s->rig->in_ops);
    assert_int_equal(s->n_end, 0);
    assert_non_null(s->conn);
    s->n_data++;
    s->shown = len;
    s->max_shown = len > s->max_shown ? len : s->max_shown;
    s->first = data[0];
    *want = s->want;
    assert_int_equal(pn_buf_append(&s->in, data, n), PN_OK);
    if (s->is_echo) {
        (void)side_write(s, data, n);
    }
    memset(data, 0xee, n); /* writable in place */
    if (s->pause_on_data) {
        s->rig->ops->set_reading(s->conn, false);
    }
    if (s->close_on_data) {
        side_close(s);
    }
    return n;
}

static void on_writable(void *user)
{
    side *s = user;

    assert_false(s->rig->in_ops);
    assert_int_equal(s->n_end, 0);
    s->n_writable++;
    if (s->close_on_writable) {
        side_close(s);
    } else {
        (void)side_flush(s);
    }
}

static void on_end(void *user, pn_err why, int sys_errno)
{
    side *s = user;

    assert_false(s->rig->in_ops);
    s->n_end++;
    s->why = why;
    s->sys_errno = sys_errno;
    if (s->close_on_end) {
        side_close(s);
    }
}

const pn_conn_callbacks rig_conn_callbacks = {
    .on_open = on_open,
    .on_data = on_data,
    .on_writable = on_writable,
    .on_end = on_end,
};

/* ---- the listener ----------------------------------------------------- */

static bool on_incoming(void *user, const pn_address *from)
{
    rig *r = user;

    assert_false(r->in_ops);
    r->n_incoming++;
    r->incoming_from = *from;
    return !r->refuse;
}

static void on_accept(void *user, pn_conn *conn, const pn_address *from)
{
    rig *r = user;

    assert_false(r->in_ops);
    r->n_accepts++;
    r->accept_from = *from;
    if (r->close_listener_on_accept) {
        r->ops->listener_close(r->listener);
        r->listener = NULL;
    }
    if (r->drop) {
        r->ops->close(conn);
        return;
    }
    side_close(&r->server);
    r->server.conn = conn;
    r->ops->set_callbacks(conn, &rig_conn_callbacks, &r->server);
}

static void on_trouble(void *user, int sys_errno)
{
    rig *r = user;

    (void)sys_errno;
    r->n_troubles++;
}

const pn_listener_callbacks rig_listener_callbacks = {
    .on_incoming = on_incoming,
    .on_accept = on_accept,
    .on_trouble = on_trouble,
};

/* ---- the rig ---------------------------------------------------------- */

void rig_init(rig *r, const pn_transport_ops *ops, const char *at)
{
    int sys_errno = 0;

    *r = (rig){.ops = ops};
    r->client = (side){.rig = r, .take = SIZE_MAX};
    r->server = (side){.rig = r, .take = SIZE_MAX};
    assert_int_equal(pn_loop_new(&r->loop), PN_OK);
    assert_int_equal(pn_address_parse(at, -1, &r->at), PN_OK);
    assert_int_equal(ops->listen(r->loop, &r->at, &rig_listener_callbacks, r,
                         &r->listener, &sys_errno),
        PN_OK);
    ops->listener_address(r->listener, &r->at);
}

void rig_fini(rig *r)
{
    side_close(&r->client);
    side_close(&r->server);
    if (r->listener != NULL) {
        r->ops->listener_close(r->listener);
    }
    if (r->end != NULL) {
        pn_loop_run_once(r->loop); /* what was posted goes first */
        r->end(r->loop);
    }
    pn_loop_free(r->loop);
    pn_buf_fini(&r->client.in);
    pn_buf_fini(&r->client.out);
    pn_buf_fini(&r->server.in);
    pn_buf_fini(&r->server.out);
}

bool rig_run(rig *r, bool (*done)(rig *r))
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

void rig_settle(rig *r, unsigned ms)
{
    pn_test_loop_settle(r->loop, ms);
}

void rig_dial(rig *r, const pn_address *to)
{
    int sys_errno = 0;

    r->in_ops = true;
    assert_int_equal(r->ops->dial(r->loop, to, &rig_conn_callbacks, &r->client,
                         &r->client.conn, &sys_errno),
        PN_OK);
    r->in_ops = false;
}

static bool is_connected(rig *r)
{
    return r->client.n_open == 1 && r->server.conn != NULL;
}

void rig_connect(rig *r)
{
    rig_dial(r, &r->at);
    assert_true(rig_run(r, is_connected));
}

bool host_has_ipv6(void)
{
    pn_address at;
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool has;

    if (fd < 0 || pn_address_parse("[::1]:0", -1, &at) != PN_OK) {
        return false;
    }
    has = bind(fd, &at.any, pn_address_len(&at)) == 0;
    (void)close(fd);
    return has;
}

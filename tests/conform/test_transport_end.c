/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules of every transport about the end of a connection: back-pressure, the
 * last bytes, closing inside callbacks, and many connections at once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "transport_suite.h"

#define MIB ((size_t)1024 * 1024)

/* Conditions for rig_run. */
static bool client_has_written(rig *r)
{
    return pn_buf_used(&r->client.out) == 0;
}

/* ---- back-pressure ---------------------------------------------------- */

/* More than a kernel buffers. */
static size_t much(const rig *r)
{
    return r->ops == &pn_transport_memory ? MIB : 64 * MIB;
}

static bool server_has_much(rig *r)
{
    return pn_buf_used(&r->server.in) == much(r);
}

static void test_back_pressure(void **state)
{
    uint8_t *data = calloc(1, 64 * MIB);
    rig r;
    size_t left;
    size_t n = 99;

    assert_non_null(data);
    start(&r, state);
    rig_connect(&r);
    r.ops->set_reading(r.server.conn, false);
    assert_int_equal(side_write(&r.client, data, much(&r)), PN_OK);
    rig_settle(&r, 100);
    left = pn_buf_used(&r.client.out);
    assert_true(left > 0);
    assert_int_equal(r.server.n_data, 0);
    assert_int_equal(r.ops->write(r.client.conn, data, 1, &n), PN_OK);
    assert_int_equal(n, 0); /* nothing overtakes what waits */
    r.ops->set_reading(r.server.conn, true);
    assert_true(run_long(&r, server_has_much));
    assert_true(r.client.n_writable > 0);
    assert_int_equal(pn_buf_used(&r.client.out), 0);
    rig_fini(&r);
    free(data);
}

static void test_reading_off_and_on(void **state)
{
    rig r;

    start(&r, state);
    rig_connect(&r);
    r.ops->set_reading(r.server.conn, false);
    assert_int_equal(side_write(&r.client, "x", 1), PN_OK);
    rig_settle(&r, 60);
    assert_int_equal(r.server.n_data, 0);
    r.ops->set_reading(r.server.conn, true);
    assert_true(rig_run(&r, server_has_data));
    rig_fini(&r);
}

static bool server_has_abc(rig *r)
{
    return pn_buf_used(&r->server.in) == 3;
}

/* Bytes left when reading was turned off come again without a new byte. */
static void test_reading_off_in_on_data(void **state)
{
    rig r;

    start(&r, state);
    rig_connect(&r);
    r.server.take = 0;
    r.server.pause_on_data = true;
    assert_int_equal(side_write(&r.client, "abc", 3), PN_OK);
    assert_true(rig_run(&r, server_has_data));
    rig_settle(&r, 20);
    assert_int_equal(r.server.n_data, 1);
    r.server.take = SIZE_MAX;
    r.server.pause_on_data = false;
    r.in_ops = true;
    r.ops->set_reading(r.server.conn, true);
    r.in_ops = false;
    assert_true(rig_run(&r, server_has_abc));
    rig_fini(&r);
}

static void test_peer_closes_while_reading_is_off(void **state)
{
    rig r;

    start(&r, state);
    rig_connect(&r);
    r.ops->set_reading(r.server.conn, false);
    assert_int_equal(side_write(&r.client, "abc", 3), PN_OK);
    assert_true(rig_run(&r, client_has_written));
    side_close(&r.client);
    rig_settle(&r, 20);
    r.ops->set_reading(r.server.conn, true);
    assert_true(rig_run(&r, server_ended));
    assert_int_equal(pn_buf_used(&r.server.in), 3);
    assert_int_equal(r.server.why, PN_CLOSED);
    rig_fini(&r);
}

/* ---- the end ---------------------------------------------------------- */

static void test_end_comes_once(void **state)
{
    rig r;
    size_t n = 99;

    start(&r, state);
    rig_connect(&r);
    side_close(&r.client);
    assert_true(rig_run(&r, server_ended));
    rig_settle(&r, 30);
    assert_int_equal(r.server.n_end, 1);
    assert_int_equal(r.server.why, PN_CLOSED);
    assert_int_equal(r.server.sys_errno, 0);
    assert_int_equal(
        r.ops->write(r.server.conn, (const uint8_t *)"x", 1, &n), PN_CLOSED);
    assert_int_equal(n, 0);
    r.ops->set_reading(r.server.conn, false);
    r.ops->set_reading(r.server.conn, true);
    rig_settle(&r, 30);
    assert_int_equal(r.server.n_end, 1);
    assert_int_equal(r.server.n_data, 0);
    rig_fini(&r);
}

/* Bytes written just before close arrive, then the end. */
static void test_last_bytes_arrive(void **state)
{
    rig r;

    start(&r, state);
    rig_connect(&r);
    assert_int_equal(side_write(&r.server, "unread", 6), PN_OK);
    rig_settle(&r, 0);
    assert_int_equal(side_write(&r.client, "bye", 3), PN_OK);
    assert_true(rig_run(&r, client_has_written));
    side_close(&r.client);
    assert_true(rig_run(&r, server_ended));
    assert_int_equal(pn_buf_used(&r.server.in), 3);
    assert_memory_equal(pn_buf_head(&r.server.in), "bye", 3);
    rig_fini(&r);
}

/* An incomplete rest at the end is dropped. */
static void test_end_with_a_rest(void **state)
{
    rig r;

    start(&r, state);
    rig_connect(&r);
    r.server.take = 0;
    assert_int_equal(side_write(&r.client, "half", 4), PN_OK);
    assert_true(rig_run(&r, server_has_data));
    side_close(&r.client);
    assert_true(rig_run(&r, server_ended));
    assert_int_equal(r.server.why, PN_CLOSED);
    assert_int_equal(pn_buf_used(&r.server.in), 0);
    rig_fini(&r);
}

/* Writing to a peer that is gone ends the connection, once, from the loop. */
static void test_write_to_the_gone(void **state)
{
    rig r;

    start(&r, state);
    rig_connect(&r);
    side_close(&r.server);
    for (int i = 0; i < 20 && r.client.n_end == 0; i++) {
        (void)side_write(&r.client, "x", 1);
        (void)side_write(&r.client, "y", 1);
        rig_settle(&r, 5);
    }
    assert_int_equal(r.client.n_end, 1);
    assert_int_equal(r.client.why, PN_CLOSED);
    rig_settle(&r, 20);
    assert_int_equal(r.client.n_end, 1);
    rig_fini(&r);
}

/* The same while the writer does not read: the write itself must tell. */
static void test_write_to_the_gone_reading_off(void **state)
{
    rig r;

    start(&r, state);
    rig_connect(&r);
    r.ops->set_reading(r.client.conn, false);
    side_close(&r.server);
    for (int i = 0; i < 20 && r.client.n_end == 0; i++) {
        (void)side_write(&r.client, "x", 1);
        rig_settle(&r, 5);
    }
    assert_int_equal(r.client.n_end, 1);
    assert_int_equal(r.client.why, PN_CLOSED);
    rig_fini(&r);
}

/* ---- closing in callbacks --------------------------------------------- */

static void test_close_in_on_open(void **state)
{
    rig r;

    start(&r, state);
    r.client.close_on_open = true;
    rig_dial(&r, &r.at);
    assert_true(rig_run(&r, server_ended));
    rig_settle(&r, 20);
    assert_int_equal(r.client.n_open, 1);
    assert_int_equal(r.client.n_end, 0);
    rig_fini(&r);
}

static void test_close_in_on_data(void **state)
{
    static const uint8_t data[100000];
    rig r;

    start(&r, state);
    rig_connect(&r);
    r.server.close_on_data = true;
    r.server.take = 10;
    (void)side_write(&r.client, data, sizeof(data));
    assert_true(rig_run(&r, client_ended));
    rig_settle(&r, 20);
    assert_int_equal(r.server.n_data, 1);
    assert_int_equal(r.server.n_end, 0);
    rig_fini(&r);
}

static bool client_was_writable(rig *r)
{
    return r->client.n_writable > 0;
}

static void test_close_in_on_writable(void **state)
{
    uint8_t *data = calloc(1, 16 * MIB);
    rig r;

    assert_non_null(data);
    start(&r, state);
    rig_connect(&r);
    r.client.close_on_writable = true;
    assert_int_equal(side_write(&r.client, data, 16 * MIB), PN_OK);
    assert_true(rig_run(&r, client_was_writable));
    assert_true(rig_run(&r, server_ended));
    assert_int_equal(r.client.n_writable, 1);
    assert_int_equal(r.client.n_end, 0);
    rig_fini(&r);
    free(data);
}

static void test_close_in_on_end(void **state)
{
    rig r;

    start(&r, state);
    rig_connect(&r);
    r.server.close_on_end = true;
    side_close(&r.client);
    assert_true(rig_run(&r, server_ended));
    rig_settle(&r, 20);
    assert_int_equal(r.server.n_end, 1);
    rig_fini(&r);
}

/* Both ends close in the same turn. */
static void test_both_close(void **state)
{
    rig r;

    start(&r, state);
    rig_connect(&r);
    assert_int_equal(side_write(&r.client, "a", 1), PN_OK);
    assert_int_equal(side_write(&r.server, "b", 1), PN_OK);
    side_close(&r.client);
    side_close(&r.server);
    rig_settle(&r, 20);
    assert_int_equal(r.client.n_end, 0);
    assert_int_equal(r.server.n_end, 0);
    rig_fini(&r);
}

/* ---- many ------------------------------------------------------------- */

enum { MANY = 100 };

typedef struct crowd {
    side clients[MANY];
    side servers[MANY];
    size_t n_servers;
} crowd;

static crowd *many;

static void on_accept_many(void *user, pn_conn *conn, const pn_address *from)
{
    rig *r = user;
    side *s = &many->servers[many->n_servers++];

    (void)from;
    *s = (side){.rig = r, .conn = conn, .take = SIZE_MAX, .is_echo = true};
    r->ops->set_callbacks(conn, &rig_conn_callbacks, s);
}

static const pn_listener_callbacks many_callbacks = {
    .on_accept = on_accept_many,
};

static bool all_are_back(rig *r)
{
    (void)r;
    for (size_t i = 0; i < MANY; i++) {
        if (pn_buf_used(&many->clients[i].in) < sizeof(i)) {
            return false;
        }
    }
    return true;
}

static void many_dial(rig *r)
{
    int sys_errno;

    for (size_t i = 0; i < MANY; i++) {
        side *s = &many->clients[i];

        *s = (side){.rig = r, .take = SIZE_MAX};
        assert_int_equal(r->ops->dial(r->loop, &r->at, &rig_conn_callbacks, s,
                             &s->conn, &sys_errno),
            PN_OK);
        (void)side_write(s, &i, sizeof(i));
    }
}

static void many_close(void)
{
    for (size_t i = 0; i < MANY; i++) {
        assert_memory_equal(pn_buf_head(&many->clients[i].in), &i, sizeof(i));
        assert_int_equal(many->clients[i].n_end, 0);
        side_close(&many->clients[i]);
        side_close(&many->servers[i]);
        pn_buf_fini(&many->clients[i].in);
        pn_buf_fini(&many->clients[i].out);
        pn_buf_fini(&many->servers[i].in);
        pn_buf_fini(&many->servers[i].out);
    }
}

/* Each gets its own bytes back, also with a listener without on_incoming. */
static void test_many(void **state)
{
    rig r;
    int sys_errno;

    start(&r, state);
    many = calloc(1, sizeof(*many));
    assert_non_null(many);
    r.ops->listener_close(r.listener);
    assert_int_equal(r.ops->listen(r.loop, &r.at, &many_callbacks, &r,
                         &r.listener, &sys_errno),
        PN_OK);
    many_dial(&r);
    assert_true(rig_run(&r, all_are_back));
    assert_int_equal(many->n_servers, MANY);
    many_close();
    rig_fini(&r);
    free(many);
}

const suite_row end_suite[N_END] = {
    {"back_pressure", test_back_pressure},
    {"reading_off_and_on", test_reading_off_and_on},
    {"reading_off_in_on_data", test_reading_off_in_on_data},
    {"peer_closes_while_reading_is_off", test_peer_closes_while_reading_is_off},
    {"end_comes_once", test_end_comes_once},
    {"last_bytes_arrive", test_last_bytes_arrive},
    {"end_with_a_rest", test_end_with_a_rest},
    {"write_to_the_gone", test_write_to_the_gone},
    {"write_to_the_gone_reading_off", test_write_to_the_gone_reading_off},
    {"close_in_on_open", test_close_in_on_open},
    {"close_in_on_data", test_close_in_on_data},
    {"close_in_on_writable", test_close_in_on_writable},
    {"close_in_on_end", test_close_in_on_end},
    {"both_close", test_both_close},
    {"many", test_many},
};

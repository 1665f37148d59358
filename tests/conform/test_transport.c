/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of every transport, run over each. A new one joins by a row. Here
 * are connecting, listening and bytes; test_transport_end.c has the rest.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transport_suite.h"
#ifdef PN_TEST_QUIC
#include "faults_udp.h"
#include "quic_transport.h"
#define faults_from_environment faults_udp_from_environment
#define faults_count faults_udp_count
#else
#include "faults.h"
#endif

#define MIB ((size_t)1024 * 1024)

static const transport_row transports[] = {
#ifdef PN_TEST_QUIC
    {"quic4", &pn_transport_quic, "127.0.0.1:0", false, {0, 0, 0}},
    {"quic6", &pn_transport_quic, "[::1]:0", true, {0, 0, 0}},
#else
    {"tcp4", &pn_transport_tcp, "127.0.0.1:0", false, {0, 0, 0}},
    {"tcp6", &pn_transport_tcp, "[::1]:0", true, {0, 0, 0}},
    {"memory", &pn_transport_memory, "10.0.0.1:0", false, {0, 0, 0}},
    {"memory-odd", &pn_transport_memory, "10.0.0.1:0", false, {5000, 1777, 7}},
#endif
};

/* The system misbehaves: nothing needs to go at once. */
static bool is_faulty;

void start(rig *r, void **state)
{
    const transport_row *row = *state;

    if (row->needs_ipv6 && !host_has_ipv6()) {
        pn_test_skip("no IPv6 here");
    }
    pn_memory_configure(&row->memory);
    rig_init(r, row->ops, row->at);
#ifdef PN_TEST_QUIC
    r->end = quic_transport_end;
#endif
}

/* Conditions for rig_run. */
static bool client_is_open(rig *r)
{
    return r->client.n_open > 0;
}

static bool has_accepted(rig *r)
{
    return r->n_accepts > 0;
}

/* ---- connecting ------------------------------------------------------- */

static void test_refused(void **state)
{
    rig r;

    start(&r, state);
    r.ops->listener_close(r.listener);
    r.listener = NULL;
    rig_dial(&r, &r.at);
    assert_int_equal(r.client.n_end, 0);
    assert_true(rig_run(&r, client_ended));
    rig_settle(&r, 20);
    assert_int_equal(r.client.n_open, 0);
    assert_int_equal(r.client.n_end, 1);
    assert_int_equal(r.client.why, PN_SYS);
    assert_int_equal(r.client.sys_errno, ECONNREFUSED);
    rig_fini(&r);
}

static void test_refused_close_in_on_end(void **state)
{
    rig r;

    start(&r, state);
    r.client.close_on_end = true;
    r.ops->listener_close(r.listener);
    r.listener = NULL;
    rig_dial(&r, &r.at);
    assert_true(rig_run(&r, client_ended));
    rig_settle(&r, 20);
    assert_int_equal(r.client.n_end, 1);
    rig_fini(&r);
}

/* A cancelled dial calls no callback any more. */
static void test_dial_then_close(void **state)
{
    rig r;

    start(&r, state);
    rig_dial(&r, &r.at);
    side_close(&r.client);
    rig_settle(&r, 50);
    assert_int_equal(r.client.n_open, 0);
    assert_int_equal(r.client.n_end, 0);
    assert_int_equal(r.server.n_end, r.n_accepts);
    rig_fini(&r);
}

static void test_listener_closes_during_dial(void **state)
{
    rig r;

    start(&r, state);
    rig_dial(&r, &r.at);
    r.ops->listener_close(r.listener);
    r.listener = NULL;
    assert_true(rig_run(&r, client_ended));
    rig_settle(&r, 20);
    assert_int_equal(r.client.n_end, 1);
    assert_int_equal(r.n_accepts, 0);
    rig_fini(&r);
}

static void test_listener_closes_in_on_accept(void **state)
{
    rig r;

    start(&r, state);
    r.close_listener_on_accept = true;
    r.server.is_echo = true;
    rig_connect(&r);
    assert_int_equal(side_write(&r.client, "x", 1), PN_OK);
    assert_true(rig_run(&r, server_has_data));
    rig_fini(&r);
}

static void test_duplicate_listen(void **state)
{
    rig r;
    pn_listener *other = NULL;
    int sys_errno = 0;

    start(&r, state);
    assert_int_equal(r.ops->listen(r.loop, &r.at, &rig_listener_callbacks, &r,
                         &other, &sys_errno),
        PN_SYS);
    assert_int_equal(sys_errno, EADDRINUSE);
    assert_null(other);
    rig_fini(&r);
}

static void test_addresses(void **state)
{
    rig r;
    pn_address local;
    pn_address remote;
    pn_address local2;
    pn_address remote2;

    start(&r, state);
    assert_int_not_equal(pn_address_port(&r.at), 0);
    rig_dial(&r, &r.at);
    r.ops->addresses(r.client.conn, &local, &remote);
    assert_true(pn_address_equal(&remote, &r.at));
    assert_true(rig_run(&r, has_accepted));
    assert_true(rig_run(&r, client_is_open));
    r.ops->addresses(r.client.conn, &local, &remote);
    r.ops->addresses(r.server.conn, &local2, &remote2);
    assert_true(pn_address_equal(&remote, &r.at));
    assert_true(pn_address_equal(&local2, &r.at));
    assert_true(pn_address_equal(&local, &remote2));
    assert_true(pn_address_equal(&local, &r.accept_from));
    assert_true(pn_address_equal(&local, &r.incoming_from));
    assert_int_not_equal(pn_address_port(&local), 0);
    rig_fini(&r);
}

/* A caller that on_incoming refuses never becomes a connection (T2, T3). */
static void test_incoming_refused(void **state)
{
    rig r;

    start(&r, state);
    r.refuse = true;
    rig_dial(&r, &r.at);
    assert_true(rig_run(&r, client_ended));
    rig_settle(&r, 20);
    assert_int_equal(r.n_incoming, 1);
    assert_int_equal(r.n_accepts, 0);
    assert_int_equal(r.client.n_end, 1);
    assert_int_equal(r.client.why, PN_CLOSED);
    rig_fini(&r);
}

static void test_dropped_in_on_accept(void **state)
{
    rig r;

    start(&r, state);
    r.drop = true;
    rig_dial(&r, &r.at);
    assert_true(rig_run(&r, client_ended));
    assert_int_equal(r.n_accepts, 1);
    assert_int_equal(r.client.why, PN_CLOSED);
    rig_fini(&r);
}

/* ---- a paused listener ------------------------------------------------ */

static void test_pause_keeps_answering(void **state)
{
    rig r;

    start(&r, state);
    r.ops->listener_pause(r.listener);
    rig_dial(&r, &r.at);
    assert_true(rig_run(&r, client_is_open));
    rig_settle(&r, 60);
    assert_int_equal(r.n_accepts, 0);
    assert_int_equal(r.n_incoming, 0);
    assert_int_equal(r.client.n_end, 0);
    rig_fini(&r);
}

static void test_pause_then_close(void **state)
{
    rig r;

    start(&r, state);
    r.ops->listener_pause(r.listener);
    rig_dial(&r, &r.at);
    assert_true(rig_run(&r, client_is_open));
    r.ops->listener_close(r.listener);
    r.listener = NULL;
    assert_true(rig_run(&r, client_ended));
    assert_int_equal(r.n_accepts, 0);
    assert_int_equal(r.client.why, PN_CLOSED);
    rig_fini(&r);
}

/* ---- bytes ------------------------------------------------------------ */

static bool echo_is_back(rig *r)
{
    return pn_buf_used(&r->client.in) == 5;
}

static void test_exchange(void **state)
{
    rig r;

    start(&r, state);
    r.server.is_echo = true;
    rig_connect(&r);
    assert_int_equal(side_write(&r.client, "hello", 5), PN_OK);
    if (!is_faulty) { /* what fits goes at once */
        assert_int_equal(pn_buf_used(&r.client.out), 0);
    }
    assert_true(rig_run(&r, echo_is_back));
    assert_memory_equal(pn_buf_head(&r.client.in), "hello", 5);
    assert_memory_equal(pn_buf_head(&r.server.in), "hello", 5);
    rig_fini(&r);
}

static void test_write_before_open(void **state)
{
    rig r;

    start(&r, state);
    rig_dial(&r, &r.at);
    assert_int_equal(side_write(&r.client, "later", 5), PN_AGAIN);
    assert_int_equal(pn_buf_used(&r.client.out), 5);
    assert_true(rig_run(&r, server_has_data)); /* on_open flushes */
    assert_memory_equal(pn_buf_head(&r.server.in), "later", 5);
    rig_fini(&r);
}

static void test_empty_write(void **state)
{
    rig r;
    size_t n = 99;

    start(&r, state);
    rig_connect(&r);
    assert_int_equal(
        r.ops->write(r.client.conn, (const uint8_t *)"", 0, &n), PN_OK);
    assert_int_equal(n, 0);
    rig_settle(&r, 20);
    assert_int_equal(r.server.n_data, 0);
    assert_int_equal(r.client.n_writable, 0);
    rig_fini(&r);
}

#define HUGE_LEN (16 * MIB)

static uint8_t pattern(size_t i)
{
    return (uint8_t)(i ^ i >> 8 ^ i >> 16);
}

static bool huge_is_there(rig *r)
{
    return pn_buf_used(&r->client.in) == HUGE_LEN
           && pn_buf_used(&r->server.in) == HUGE_LEN;
}

/* 16 MiB in both directions at once, in order, by way of partial writes. */
static void test_huge_both_ways(void **state)
{
    uint8_t *data = malloc(HUGE_LEN);
    rig r;

    assert_non_null(data);
    for (size_t i = 0; i < HUGE_LEN; i++) {
        data[i] = pattern(i);
    }
    start(&r, state);
    rig_connect(&r);
    assert_int_equal(side_write(&r.client, data, HUGE_LEN), PN_OK);
    assert_int_equal(side_write(&r.server, data, HUGE_LEN), PN_OK);
    assert_true(pn_buf_used(&r.client.out) > 0);
    assert_true(run_long(&r, huge_is_there));
    assert_memory_equal(pn_buf_head(&r.client.in), data, HUGE_LEN);
    assert_memory_equal(pn_buf_head(&r.server.in), data, HUGE_LEN);
    assert_true(r.client.n_writable > 0);
    rig_fini(&r);
    free(data);
}

static bool server_shown_5(rig *r)
{
    return r->server.shown == 5;
}

static bool server_shown_3(rig *r)
{
    return r->server.shown == 3;
}

static bool server_has_7(rig *r)
{
    return pn_buf_used(&r->server.in) == 7;
}

static bool server_has_10(rig *r)
{
    return pn_buf_used(&r->server.in) == 10;
}

static void test_rest_comes_again_with_more(void **state)
{
    rig r;

    start(&r, state);
    rig_connect(&r);
    r.server.take = 1;
    r.server.want = 3;
    assert_int_equal(side_write(&r.client, "abc", 3), PN_OK);
    assert_true(rig_run(&r, server_has_data));
    rig_settle(&r, 10);
    assert_int_equal(side_write(&r.client, "def", 3), PN_OK);
    r.server.want = 0;
    assert_true(rig_run(&r, server_shown_5));
    assert_int_equal(r.server.first, 'b');
    assert_memory_equal(pn_buf_head(&r.server.in), "ab", 2);
    r.server.take = SIZE_MAX;
    assert_int_equal(side_write(&r.client, "g", 1), PN_OK);
    assert_true(rig_run(&r, server_has_7));
    assert_memory_equal(pn_buf_head(&r.server.in), "abcdefg", 7);
    rig_fini(&r);
}

/* on_data waits until what is wanted is there, and not for more. */
static void test_want(void **state)
{
    rig r;

    start(&r, state);
    rig_connect(&r);
    r.server.take = 0;
    r.server.want = 10;
    assert_int_equal(side_write(&r.client, "abc", 3), PN_OK);
    assert_true(rig_run(&r, server_shown_3));
    assert_int_equal(side_write(&r.client, "defg", 4), PN_OK);
    rig_settle(&r, 20);
    assert_int_equal(side_write(&r.client, "hi", 2), PN_OK);
    rig_settle(&r, 20);
    assert_int_equal(r.server.n_data, 1); /* 9 of 10 */
    r.server.take = SIZE_MAX;
    assert_int_equal(side_write(&r.client, "j", 1), PN_OK);
    assert_true(rig_run(&r, server_has_10));
    assert_int_equal(r.server.n_data, 2);
    assert_memory_equal(pn_buf_head(&r.server.in), "abcdefghij", 10);
    rig_fini(&r);
}

static bool server_has_frame(rig *r)
{
    return pn_buf_used(&r->server.in) >= MIB + 4;
}

/* One frame of the largest size costs a handful of calls, however many
 * pieces it comes in. */
static void test_want_of_a_large_frame(void **state)
{
    static uint8_t piece[4096];
    rig r;

    start(&r, state);
    rig_connect(&r);
    r.server.take = 0;
    r.server.want = MIB + 4;
    assert_int_equal(side_write(&r.client, piece, 4), PN_OK);
    assert_true(rig_run(&r, server_has_data));
    r.server.take = SIZE_MAX;
    for (size_t sent = 0; sent < MIB; sent += sizeof(piece)) {
        assert_int_equal(side_write(&r.client, piece, sizeof(piece)), PN_OK);
        pn_loop_run_once(r.loop);
    }
    assert_true(rig_run(&r, server_has_frame));
    assert_int_equal(r.server.n_data, 2);
    assert_int_equal(r.server.shown, MIB + 4);
    rig_fini(&r);
}

static bool server_shown_rest_max(rig *r)
{
    return r->server.shown == PN_CONN_REST_MAX;
}

/* The bytes that an owner may leave unconsumed have a limit, to the byte (T5).
 */
static void test_rest_limit(void **state)
{
    static uint8_t block[65536];
    rig r;

    start(&r, state);
    rig_connect(&r);
    r.server.take = 0;
    for (size_t sent = 0; sent < PN_CONN_REST_MAX; sent += sizeof(block)) {
        assert_int_equal(side_write(&r.client, block, sizeof(block)), PN_OK);
        rig_settle(&r, 0);
    }
    assert_true(rig_run(&r, server_shown_rest_max));
    assert_int_equal(r.server.n_end, 0);
    assert_int_equal(side_write(&r.client, block, 1), PN_OK);
    assert_true(rig_run(&r, server_ended));
    assert_int_equal(r.server.why, PN_LIMIT);
    rig_fini(&r);
}

/* ---- the suite -------------------------------------------------------- */

static const suite_row suite[] = {
    {"refused", test_refused},
    {"refused_close_in_on_end", test_refused_close_in_on_end},
    {"dial_then_close", test_dial_then_close},
    {"listener_closes_during_dial", test_listener_closes_during_dial},
    {"listener_closes_in_on_accept", test_listener_closes_in_on_accept},
    {"duplicate_listen", test_duplicate_listen},
    {"addresses", test_addresses},
    {"incoming_refused", test_incoming_refused},
    {"dropped_in_on_accept", test_dropped_in_on_accept},
    {"pause_keeps_answering", test_pause_keeps_answering},
    {"pause_then_close", test_pause_then_close},
    {"exchange", test_exchange},
    {"write_before_open", test_write_before_open},
    {"empty_write", test_empty_write},
    {"huge_both_ways", test_huge_both_ways},
    {"rest_comes_again_with_more", test_rest_comes_again_with_more},
    {"want", test_want},
    {"want_of_a_large_frame", test_want_of_a_large_frame},
    {"rest_limit", test_rest_limit},
};

#ifdef PN_TEST_FAULTS
/* Runs last: the suite above met faults indeed. */
static void test_there_were_faults(void **state)
{
    (void)state;
    assert_true(faults_count() > 500);
}
#endif

int main(void)
{
    static transport_row rows[N_OF(transports)];

    is_faulty = getenv("PN_FAULTS") != NULL;
#ifdef PN_TEST_FAULTS
    if (!faults_from_environment()) {
        fprintf(stderr, "PN_FAULTS names no fault\n");
        return 99;
    }
#endif
    memcpy(rows, transports, sizeof(rows));
    for (size_t t = 0; t < N_OF(rows); t++) {
        for (size_t i = 0; i < N_OF(suite); i++) {
            pn_test_addf(suite[i].function, &rows[t], "conform/%s/%s",
                rows[t].name, suite[i].name);
        }
        for (size_t i = 0; i < N_END; i++) {
            pn_test_addf(end_suite[i].function, &rows[t], "conform/%s/%s",
                rows[t].name, end_suite[i].name);
        }
    }
#ifdef PN_TEST_FAULTS
    pn_test_add("faults/there were some", test_there_were_faults, NULL);
#endif
    return pn_test_run("conform/transport");
}

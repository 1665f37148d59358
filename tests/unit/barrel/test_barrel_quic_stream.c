/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of QUIC connections: numbers, bytes, ends, limits, credit. */
#include <stdlib.h>
#include <string.h>

#include "quic_rig.h"

#define LOOPBACK "127.0.0.1:0"
#define MIB ((size_t)1024 * 1024)

static void start(
    quic_rig *r, const pn_quic_options *server, const pn_quic_options *client)
{
    quic_rig_init(r, LOOPBACK, server, client);
    quic_rig_connect(r);
}

static pn_err write_bytes(
    quic_side *s, int64_t id, const void *data, size_t len, bool is_last)
{
    pn_err err;

    s->rig->in_call = true;
    err = pn_quic_write(s->conn, id, data, len, is_last);
    s->rig->in_call = false;
    return err;
}

static void write_text(quic_side *s, int64_t id, const char *text, bool is_last)
{
    assert_int_equal(write_bytes(s, id, text, strlen(text), is_last), PN_OK);
}

static size_t heard_len(quic_side *s, int64_t id)
{
    return pn_buf_used(&quic_side_heard(s, id)->in);
}

static void assert_heard(quic_side *s, int64_t id, const char *text)
{
    assert_int_equal(heard_len(s, id), strlen(text));
    assert_memory_equal(
        pn_buf_head(&quic_side_heard(s, id)->in), text, strlen(text));
}

static int64_t open_bidi(quic_side *s)
{
    int64_t id = -1;

    assert_int_equal(pn_quic_open_bidi(s->conn, &id), PN_OK);
    return id;
}

static int64_t open_uni(quic_side *s)
{
    int64_t id = -1;

    assert_int_equal(pn_quic_open_uni(s->conn, &id), PN_OK);
    return id;
}

/* Conditions for quic_rig_run. */
static int64_t awaited;
static size_t awaited_len;

static bool client_heard(quic_rig *r)
{
    return heard_len(&r->client, awaited) >= awaited_len;
}

static bool server_heard(quic_rig *r)
{
    return heard_len(&r->server, awaited) >= awaited_len;
}

static bool server_finished(quic_rig *r)
{
    return quic_side_heard(&r->server, awaited)->is_finished;
}

static bool client_finished(quic_rig *r)
{
    return quic_side_heard(&r->client, awaited)->is_finished;
}

static bool server_was_reset(quic_rig *r)
{
    return quic_side_heard(&r->server, awaited)->is_reset;
}

static bool client_was_reset(quic_rig *r)
{
    return quic_side_heard(&r->client, awaited)->is_reset;
}

static bool client_acked(quic_rig *r)
{
    return quic_side_heard(&r->client, awaited)->n_acked >= awaited_len;
}

static bool client_writable(quic_rig *r)
{
    return r->client.n_writable > 0;
}

static void await(quic_rig *r, bool (*done)(quic_rig *r), int64_t id, size_t n)
{
    awaited = id;
    awaited_len = n;
    assert_true(quic_rig_run(r, done));
}

/* ---- numbers and bytes ------------------------------------------------ */

static void test_numbers(void **state)
{
    quic_rig r;

    (void)state;
    start(&r, NULL, NULL);
    assert_int_equal(open_uni(&r.client), 2);
    assert_int_equal(open_uni(&r.server), 3);
    assert_int_equal(open_bidi(&r.client), 0);
    assert_int_equal(open_bidi(&r.server), 1);
    assert_int_equal(open_bidi(&r.client), 4);
    assert_int_equal(open_bidi(&r.client), 8);
    assert_int_equal(open_bidi(&r.server), 5);
    assert_int_equal(open_uni(&r.client), 6);
    assert_int_equal(open_uni(&r.server), 7);
    quic_rig_settle(&r, 20);
    assert_int_equal(r.server.n_streams, 0); /* opening is local */
    quic_rig_fini(&r);
}

static void test_echo(void **state)
{
    quic_rig r;

    (void)state;
    start(&r, NULL, NULL);
    r.server.is_echo = true;
    write_text(&r.client, open_bidi(&r.client), "hello", false);
    await(&r, client_heard, 0, 5);
    assert_heard(&r.client, 0, "hello");
    assert_int_equal(r.server.n_streams, 1);
    quic_rig_fini(&r);
}

/* As the authentication does it: one unidirectional stream each. */
static void test_uni_both_ways(void **state)
{
    quic_rig r;

    (void)state;
    start(&r, NULL, NULL);
    write_text(&r.client, open_uni(&r.client), "to the server", false);
    write_text(&r.server, open_uni(&r.server), "to the client", false);
    await(&r, server_heard, 2, 13);
    await(&r, client_heard, 3, 13);
    assert_heard(&r.server, 2, "to the server");
    assert_heard(&r.client, 3, "to the client");
    assert_int_equal(write_bytes(&r.server, 2, "x", 1, false), PN_NOT_FOUND);
    assert_int_equal(write_bytes(&r.client, 3, "x", 1, false), PN_NOT_FOUND);
    quic_rig_fini(&r);
}

static void test_no_such_stream(void **state)
{
    static const int64_t ids[] = {0, 1, 2, 3, 4, 1000000, -1};
    quic_rig r;

    (void)state;
    start(&r, NULL, NULL);
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        assert_int_equal(
            write_bytes(&r.client, ids[i], "x", 1, false), PN_NOT_FOUND);
        pn_quic_consumed(r.client.conn, ids[i], 10);
        pn_quic_reset(r.client.conn, ids[i], 1);
    }
    quic_rig_settle(&r, 20);
    assert_int_equal(r.client.n_end, 0);
    assert_int_equal(r.server.n_end, 0);
    quic_rig_fini(&r);
}

static void test_byte_by_byte(void **state)
{
    quic_rig r;
    int64_t id;

    (void)state;
    start(&r, NULL, NULL);
    id = open_bidi(&r.client);
    for (unsigned i = 0; i < 2000; i++) {
        uint8_t byte = (uint8_t)(i * 7);

        assert_int_equal(write_bytes(&r.client, id, &byte, 1, false), PN_OK);
        if (i % 100 == 99) {
            quic_rig_settle(&r, 0);
        }
    }
    await(&r, server_heard, id, 2000);
    for (unsigned i = 0; i < 2000; i++) {
        assert_int_equal(pn_buf_head(&quic_side_heard(&r.server, id)->in)[i],
            (uint8_t)(i * 7));
    }
    await(&r, client_acked, id, 2000);
    assert_int_equal(pn_quic_unsent(r.client.conn), 0);
    quic_rig_fini(&r);
}

/* Writes that fit into a packet come as they were made: as many on_data as
 * writes when each was acknowledged before the next, and never one cut in
 * two. */
static void test_a_write_stays_whole(void **state)
{
    static const uint8_t data[1100];
    quic_rig r;
    int64_t id;
    size_t n = 0;

    (void)state;
    start(&r, NULL, NULL);
    id = open_bidi(&r.client);
    for (size_t len = 1; len <= sizeof(data); len += 157) {
        assert_int_equal(write_bytes(&r.client, id, data, len, false), PN_OK);
        n += len;
        await(&r, client_acked, id, n);
    }
    assert_int_equal(heard_len(&r.server, id), n);
    assert_int_equal(quic_side_heard(&r.server, id)->n_data, 8);
    quic_rig_fini(&r);
}

static void test_eight_mib_both_ways(void **state)
{
    uint8_t *data = malloc(8 * MIB);
    quic_rig r;
    int64_t id;

    (void)state;
    assert_non_null(data);
    for (size_t i = 0; i < 8 * MIB; i++) {
        data[i] = (uint8_t)(i ^ i >> 8 ^ i >> 16);
    }
    start(&r, NULL, NULL);
    id = open_bidi(&r.client);
    write_text(&r.client, id, "", false); /* opens it at the other end */
    QUIC_RIG_UNTIL(&r, r.server.n_streams == 1);
    assert_int_equal(write_bytes(&r.client, id, data, 8 * MIB, true), PN_OK);
    assert_int_equal(write_bytes(&r.server, id, data, 8 * MIB, true), PN_OK);
    await(&r, server_finished, id, 0);
    await(&r, client_finished, id, 0);
    assert_int_equal(heard_len(&r.client, id), 8 * MIB);
    assert_int_equal(heard_len(&r.server, id), 8 * MIB);
    assert_memory_equal(
        pn_buf_head(&quic_side_heard(&r.client, id)->in), data, 8 * MIB);
    assert_memory_equal(
        pn_buf_head(&quic_side_heard(&r.server, id)->in), data, 8 * MIB);
    quic_rig_fini(&r);
    free(data);
}

/* Large and small ones in turn, on several streams. */
static void test_streams_do_not_mix(void **state)
{
    enum { STREAMS = 8, ROUNDS = 40 };
    static uint8_t data[5000];
    quic_rig r;
    int64_t ids[STREAMS];
    size_t n[STREAMS] = {0};

    (void)state;
    start(&r, NULL, NULL);
    for (size_t i = 0; i < STREAMS; i++) {
        ids[i] = open_bidi(&r.client);
    }
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < STREAMS; i++) {
            size_t len = 1 + (round * 997 + i * 131) % sizeof(data);

            memset(data, (int)(i + 1), len);
            assert_int_equal(
                write_bytes(&r.client, ids[i], data, len, false), PN_OK);
            n[i] += len;
        }
    }
    for (size_t i = 0; i < STREAMS; i++) {
        const uint8_t *got;

        await(&r, server_heard, ids[i], n[i]);
        got = pn_buf_head(&quic_side_heard(&r.server, ids[i])->in);
        for (size_t k = 0; k < n[i]; k++) {
            assert_int_equal(got[k], i + 1);
        }
    }
    quic_rig_fini(&r);
}

/* ---- the end of a stream ---------------------------------------------- */

static void test_fin_with_bytes(void **state)
{
    quic_rig r;
    int64_t id;

    (void)state;
    start(&r, NULL, NULL);
    id = open_bidi(&r.client);
    write_text(&r.client, id, "last", true);
    await(&r, server_finished, id, 0);
    assert_heard(&r.server, id, "last");
    assert_int_equal(quic_side_heard(&r.server, id)->n_data, 1);
    assert_int_equal(write_bytes(&r.client, id, "x", 1, false), PN_NOT_FOUND);
    /* The other half is open. */
    write_text(&r.server, id, "answer", true);
    await(&r, client_finished, id, 0);
    assert_heard(&r.client, id, "answer");
    quic_rig_settle(&r, 60);
    assert_int_equal(write_bytes(&r.server, id, "x", 1, false), PN_NOT_FOUND);
    quic_rig_fini(&r);
}

static void test_fin_alone(void **state)
{
    quic_rig r;
    int64_t id;

    (void)state;
    start(&r, NULL, NULL);
    id = open_uni(&r.client);
    write_text(&r.client, id, "bytes", false);
    await(&r, server_heard, id, 5);
    assert_false(quic_side_heard(&r.server, id)->is_finished);
    write_text(&r.client, id, "", true);
    await(&r, server_finished, id, 0);
    assert_heard(&r.server, id, "bytes");
    quic_rig_fini(&r);
}

static void test_fin_of_nothing(void **state)
{
    quic_rig r;
    int64_t id;

    (void)state;
    start(&r, NULL, NULL);
    id = open_uni(&r.client);
    write_text(&r.client, id, "", true);
    await(&r, server_finished, id, 0);
    assert_heard(&r.server, id, "");
    quic_rig_fini(&r);
}

static void test_reset(void **state)
{
    quic_rig r;
    int64_t id;

    (void)state;
    start(&r, NULL, NULL);
    id = open_bidi(&r.client);
    write_text(&r.client, id, "some", false);
    await(&r, server_heard, id, 4);
    r.in_call = true;
    pn_quic_reset(r.client.conn, id, 77);
    r.in_call = false;
    await(&r, server_was_reset, id, 0);
    assert_int_equal(quic_side_heard(&r.server, id)->reset_code, 77);
    quic_rig_settle(&r, 60);
    assert_int_equal(write_bytes(&r.client, id, "x", 1, false), PN_NOT_FOUND);
    assert_int_equal(write_bytes(&r.server, id, "x", 1, false), PN_NOT_FOUND);
    assert_false(quic_side_heard(&r.client, id)->is_reset); /* ours */
    assert_int_equal(r.client.n_end + r.server.n_end, 0);
    quic_rig_fini(&r);
}

/* A stream that is refused (docs/BARREL-PROTOCOL.md, section 15.1). */
static void test_stream_refused(void **state)
{
    quic_rig r;
    int64_t id;

    (void)state;
    start(&r, NULL, NULL);
    id = open_bidi(&r.client);
    write_text(&r.client, id, "anybody?", false);
    await(&r, server_heard, id, 8);
    pn_quic_reset(r.server.conn, id, PN_QUIC_STREAM_REFUSED);
    await(&r, client_was_reset, id, 0);
    quic_rig_settle(&r, 60);
    assert_int_equal(write_bytes(&r.client, id, "x", 1, false), PN_NOT_FOUND);
    QUIC_RIG_UNTIL(&r, pn_quic_unsent(r.client.conn) == 0);
    quic_rig_fini(&r);
}

/* STOP_SENDING alone: a unidirectional stream has no other half to reset. */
static void test_stop_sending(void **state)
{
    static const uint8_t data[100000];
    quic_rig r;
    int64_t id;

    (void)state;
    start(&r, NULL, NULL);
    id = open_uni(&r.client);
    r.server.is_deaf = true;
    write_text(&r.client, id, "unwanted", false);
    await(&r, server_heard, id, 8);
    pn_quic_reset(r.server.conn, id, 9);
    assert_int_equal(
        write_bytes(&r.client, id, data, sizeof(data), false), PN_OK);
    await(&r, client_was_reset, id, 0);
    QUIC_RIG_UNTIL(&r, pn_quic_unsent(r.client.conn) == 0);
    assert_int_equal(write_bytes(&r.client, id, "x", 1, false), PN_NOT_FOUND);
    quic_rig_settle(&r, 60);
    assert_int_equal(heard_len(&r.server, id), 8);
    assert_int_equal(r.client.n_end + r.server.n_end, 0);
    quic_rig_fini(&r);
}

/* ---- limits ----------------------------------------------------------- */

static void test_write_limit(void **state)
{
    const pn_quic_options client = {.max_unsent = 1000};
    static const uint8_t data[1001];
    quic_rig r;
    int64_t id;

    (void)state;
    start(&r, NULL, &client);
    id = open_bidi(&r.client);
    assert_int_equal(write_bytes(&r.client, id, data, 1001, false), PN_FULL);
    quic_rig_settle(&r, 20);
    assert_int_equal(r.client.n_writable, 0); /* nothing was acknowledged */
    assert_int_equal(write_bytes(&r.client, id, data, 999, false), PN_OK);
    assert_int_equal(pn_quic_unsent(r.client.conn), 999);
    assert_int_equal(write_bytes(&r.client, id, data, 2, false), PN_FULL);
    assert_int_equal(write_bytes(&r.client, id, data, 1, false), PN_OK);
    assert_int_equal(pn_quic_unsent(r.client.conn), 1000);
    assert_int_equal(write_bytes(&r.client, id, data, 1, false), PN_FULL);
    await(&r, client_writable, id, 0);
    assert_true(pn_quic_unsent(r.client.conn) < 500);
    await(&r, client_acked, id, 1000);
    assert_int_equal(r.client.n_writable, 1);
    assert_int_equal(write_bytes(&r.client, id, data, 1000, false), PN_OK);
    await(&r, server_heard, id, 2000);
    quic_rig_fini(&r);
}

static void test_acked_totals(void **state)
{
    static const uint8_t data[50000];
    quic_rig r;
    int64_t id;

    (void)state;
    start(&r, NULL, NULL);
    id = open_uni(&r.client);
    for (size_t i = 1; i <= 3; i++) {
        assert_int_equal(
            write_bytes(&r.client, id, data, sizeof(data), i == 3), PN_OK);
        await(&r, client_acked, id, i * sizeof(data));
        assert_int_equal(
            quic_side_heard(&r.client, id)->n_acked, i * sizeof(data));
        assert_int_equal(heard_len(&r.server, id), i * sizeof(data));
    }
    assert_int_equal(pn_quic_unsent(r.client.conn), 0);
    quic_rig_fini(&r);
}

/* The peer sends no more than its credit. */
static void test_stream_credit(void **state)
{
    const pn_quic_options server = {.max_stream_data = 1000};
    static const uint8_t data[5000];
    quic_rig r;
    int64_t id;
    int64_t other;

    (void)state;
    start(&r, &server, NULL);
    r.server.is_deaf = true;
    id = open_uni(&r.client);
    other = open_uni(&r.client);
    assert_int_equal(
        write_bytes(&r.client, id, data, sizeof(data), true), PN_OK);
    await(&r, server_heard, id, 1000);
    quic_rig_settle(&r, 60);
    assert_int_equal(heard_len(&r.server, id), 1000);
    /* Another stream is not held up by it. */
    write_text(&r.client, other, "hello", false);
    await(&r, server_heard, other, 5);
    r.in_call = true;
    pn_quic_consumed(r.server.conn, id, 700);
    r.in_call = false;
    await(&r, server_heard, id, 1700);
    quic_rig_settle(&r, 60);
    assert_int_equal(heard_len(&r.server, id), 1700);
    /* No more than there was. */
    pn_quic_consumed(r.server.conn, id, SIZE_MAX);
    await(&r, server_heard, id, 2700);
    quic_rig_settle(&r, 60);
    assert_int_equal(heard_len(&r.server, id), 2700);
    r.server.is_deaf = false;
    pn_quic_consumed(r.server.conn, id, 1000);
    await(&r, server_finished, id, 0);
    assert_int_equal(heard_len(&r.server, id), sizeof(data));
    quic_rig_fini(&r);
}

/* Credit cannot be given for more bytes than came, and bytes of a refused
 * stream are credit of the connection again. */
static void test_connection_credit(void **state)
{
    const pn_quic_options server = {.max_data = 2000, .max_stream_data = 1500};
    static const uint8_t data[1500];
    quic_rig r;
    int64_t id;

    (void)state;
    start(&r, &server, NULL);
    r.server.is_deaf = true;
    for (int i = 0; i < 6; i++) {
        id = open_uni(&r.client);
        assert_int_equal(
            write_bytes(&r.client, id, data, sizeof(data), false), PN_OK);
        await(&r, server_heard, id, sizeof(data));
        if (i % 2 == 0) {
            pn_quic_consumed(r.server.conn, id, 1);
            pn_quic_reset(r.server.conn, id, 1);
            await(&r, client_was_reset, id, 0);
        } else {
            pn_quic_reset(r.client.conn, id, 1);
            await(&r, server_was_reset, id, 0);
        }
        pn_quic_consumed(r.server.conn, id, SIZE_MAX);
    }
    assert_int_equal(r.client.n_end + r.server.n_end, 0);
    quic_rig_fini(&r);
}

static void test_stream_count(void **state)
{
    const pn_quic_options server = {.max_streams = 3};
    quic_rig r;
    int64_t id = -1;
    int64_t uni = -1;

    (void)state;
    start(&r, &server, NULL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pn_quic_open_bidi(r.client.conn, &id), PN_OK);
        assert_int_equal(pn_quic_open_uni(r.client.conn, &uni), PN_OK);
    }
    assert_int_equal(pn_quic_open_bidi(r.client.conn, &id), PN_AGAIN);
    assert_int_equal(pn_quic_open_uni(r.client.conn, &uni), PN_AGAIN);
    write_text(&r.client, 2, "done", true);
    await(&r, server_finished, 2, 0);
    for (int i = 0; i < 5000; i++) {
        if (pn_quic_open_uni(r.client.conn, &uni) == PN_OK) {
            break;
        }
        quic_rig_settle(&r, 1);
    }
    assert_int_equal(uni, 14);
    assert_int_equal(pn_quic_open_uni(r.client.conn, &uni), PN_AGAIN);
    assert_int_equal(pn_quic_open_bidi(r.client.conn, &id), PN_AGAIN);
    quic_rig_fini(&r);
}

/* Hundreds of streams one after the other, of each kind: finished ones are
 * freed, and the next is allowed. */
static void test_many_streams_in_turn(void **state)
{
    const bool uni = *(const bool *)*state;
    const pn_quic_options server = {.max_streams = 5};
    quic_rig r;

    start(&r, &server, NULL);
    r.server.is_echo = true;
    r.server.ignores_acks = true;
    r.client.ignores_acks = true;
    for (int i = 0; i < 300; i++) {
        int64_t id = -1;
        unsigned tries = 0;

        while ((uni ? pn_quic_open_uni(r.client.conn, &id)
                    : pn_quic_open_bidi(r.client.conn, &id))
               == PN_AGAIN) {
            quic_rig_settle(&r, 1);
            assert_true(++tries < 1000);
        }
        write_text(&r.client, id, "x", true);
        await(&r, uni ? server_finished : client_finished, id, 0);
        assert_heard(&r.server, id, "x");
        quic_side_forget(&r.client, id);
        quic_side_forget(&r.server, id);
    }
    quic_rig_fini(&r);
}

/* ngtcp2 0.12 keeps something of each, so they have an end (quic_internal.h).
 */
static void test_uni_streams_in_all(void **state)
{
    enum { IN_ALL = 10000 + 100 };
    quic_rig r;
    int64_t id = -1;
    unsigned n = 0;
    unsigned idle = 0;

    (void)state;
    start(&r, NULL, NULL);
    r.client.ignores_acks = true;
    r.server.is_counting = true;
    while (idle < 40) {
        if (pn_quic_open_uni(r.client.conn, &id) == PN_OK) {
            write_text(&r.client, id, "x", true);
            assert_true(++n <= IN_ALL);
            idle = 0;
        } else {
            quic_rig_settle(&r, idle++);
        }
    }
    assert_int_equal(n, IN_ALL);
    assert_int_equal(r.server.n_counted, IN_ALL);
    assert_int_equal(r.client.n_end + r.server.n_end, 0);
    quic_rig_fini(&r);
}

/* Bytes that were not consumed count against the connection, also those of
 * finished streams, so memory is bounded. */
static void test_finished_and_not_consumed(void **state)
{
    const pn_quic_options server = {.max_data = 3000, .max_stream_data = 1000};
    static const uint8_t data[1000];
    quic_rig r;
    int64_t id = -1;

    (void)state;
    start(&r, &server, NULL);
    r.server.is_deaf = true;
    for (int i = 0; i < 4; i++) {
        id = open_uni(&r.client);
        assert_int_equal(
            write_bytes(&r.client, id, data, sizeof(data), true), PN_OK);
    }
    await(&r, server_finished, 2, 0);
    await(&r, server_finished, 6, 0);
    await(&r, server_finished, 10, 0);
    quic_rig_settle(&r, 60);
    assert_int_equal(heard_len(&r.server, id), 0);
    pn_quic_consumed(r.server.conn, 2, 1000);
    pn_quic_consumed(r.server.conn, 6, 1000);
    pn_quic_consumed(r.server.conn, 2, 1000); /* it is gone: no effect */
    await(&r, server_finished, id, 0);
    assert_int_equal(heard_len(&r.server, id), 1000);
    quic_rig_fini(&r);
}

/* ---- closing ---------------------------------------------------------- */

static bool client_ended(quic_rig *r)
{
    return r->client.n_end > 0;
}

/* Data written before the close arrives before the end, with the code. */
static void test_bytes_then_close(void **state)
{
    static const uint8_t data[1000000];
    const size_t len = *(const size_t *)*state;
    quic_rig r;
    int64_t id;
    pn_quic_conn *conn;

    start(&r, NULL, NULL);
    id = open_uni(&r.server);
    if (len > 0) {
        assert_int_equal(write_bytes(&r.server, id, data, len, false), PN_OK);
    }
    conn = r.server.conn;
    r.server.conn = NULL;
    r.in_call = true;
    pn_quic_close(conn, 42);
    r.in_call = false;
    assert_true(quic_rig_run(&r, client_ended));
    assert_int_equal(heard_len(&r.client, id), len);
    assert_int_equal(r.client.why, PN_CLOSED);
    assert_int_equal(r.client.code, 42);
    assert_int_equal(r.client.sys_errno, 0);
    assert_int_equal(write_bytes(&r.client, id, "x", 1, false), PN_CLOSED);
    assert_int_equal(pn_quic_open_bidi(r.client.conn, &id), PN_CLOSED);
    quic_rig_settle(&r, 50);
    assert_int_equal(r.client.n_end, 1);
    quic_rig_fini(&r);
}

/* The peer does not read: closing has a time limit. */
static void test_close_does_not_wait_for_ever(void **state)
{
    const pn_quic_options client = {.max_stream_data = 1000};
    static const uint8_t data[100000];
    quic_rig r;
    int64_t id;

    (void)state;
    start(&r, NULL, &client);
    r.client.is_deaf = true;
    id = open_uni(&r.server);
    assert_int_equal(
        write_bytes(&r.server, id, data, sizeof(data), false), PN_OK);
    quic_rig_settle(&r, 50);
    quic_side_close(&r.server);
    assert_false(pn_quic_is_idle(r.server_quic));
    assert_true(quic_rig_run(&r, client_ended)); /* 3 s */
    assert_int_equal(heard_len(&r.client, id), 1000);
    assert_int_equal(r.client.why, PN_CLOSED);
    assert_true(pn_quic_is_idle(r.server_quic));
    quic_rig_fini(&r);
}

int main(void)
{
    static bool kinds[] = {false, true};
    static size_t lens[] = {0, 1, 1000, 1000000};

#define ADD(name) pn_test_add("barrel/quic_stream/" #name, test_##name, NULL)
    ADD(numbers);
    ADD(echo);
    ADD(uni_both_ways);
    ADD(no_such_stream);
    ADD(byte_by_byte);
    ADD(a_write_stays_whole);
    ADD(eight_mib_both_ways);
    ADD(streams_do_not_mix);
    ADD(fin_with_bytes);
    ADD(fin_alone);
    ADD(fin_of_nothing);
    ADD(reset);
    ADD(stream_refused);
    ADD(stop_sending);
    ADD(write_limit);
    ADD(acked_totals);
    ADD(stream_credit);
    ADD(connection_credit);
    ADD(stream_count);
    pn_test_add("barrel/quic_stream/many_in_turn/bidi",
        test_many_streams_in_turn, &kinds[0]);
    pn_test_add("barrel/quic_stream/many_in_turn/uni",
        test_many_streams_in_turn, &kinds[1]);
    ADD(uni_streams_in_all);
    ADD(finished_and_not_consumed);
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        pn_test_addf(test_bytes_then_close, &lens[i],
            "barrel/quic_stream/bytes_then_close/%zu", lens[i]);
    }
    ADD(close_does_not_wait_for_ever);
    return pn_test_run("barrel/quic_stream");
}

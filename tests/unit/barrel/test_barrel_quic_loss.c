/* SPDX-License-Identifier: Apache-2.0 */
/* QUIC over a network that loses, repeats and reorders datagrams. */
#include <stdlib.h>
#include <string.h>

#include "../../conform/faults_udp.h"
#include "quic_rig.h"

#define LOOPBACK "127.0.0.1:0"
#define KIB ((size_t)1024)

typedef struct network {
    const char *name;
    faults_udp_mode mode;
    unsigned one_in;
    unsigned long long seed;
} network;

static network networks[] = {
    {"clean", FAULTS_UDP_NONE, 0, 0},
    {"eagain", FAULTS_UDP_EAGAIN, 0, 0},
    {"late", FAULTS_UDP_LATE, 0, 0},
    {"twice", FAULTS_UDP_TWICE, 0, 0},
    {"lose_50", FAULTS_UDP_LOSE, 50, 1},
    {"lose_10", FAULTS_UDP_LOSE, 10, 2},
    {"lose_5", FAULTS_UDP_LOSE, 5, 3},
};

static void begin(quic_rig *r, void **state)
{
    static const pn_quic_options options = {.dead_after_us = 5 * PN_US_PER_S};
    const network *n = *state;

    quic_rig_init(r, LOOPBACK, &options, NULL);
    faults_udp_set(n->mode);
    if (n->mode == FAULTS_UDP_LOSE) {
        faults_udp_lose(n->one_in, n->seed);
    }
}

static void end(quic_rig *r)
{
    faults_udp_set(FAULTS_UDP_NONE);
    quic_rig_fini(r);
}

static bool server_finished(quic_rig *r)
{
    return quic_side_heard(&r->server, 0)->is_finished;
}

static bool server_ended(quic_rig *r)
{
    return r->server.n_end == 1;
}

static bool client_finished(quic_rig *r)
{
    return quic_side_heard(&r->client, 0)->is_finished;
}

static void assert_pattern(quic_side *s, size_t len)
{
    const quic_heard *h = quic_side_heard(s, 0);

    assert_int_equal(h->in.len - h->in.off, len);
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(h->in.data[h->in.off + i], (uint8_t)(i ^ i >> 8));
    }
}

/* Every byte, once, in order, both ways. */
static void test_bytes(void **state)
{
    static uint8_t data[512 * 1024];
    quic_rig r;
    int64_t id;

    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i ^ i >> 8);
    }
    begin(&r, state);
    quic_rig_connect(&r);
    assert_int_equal(pn_quic_open_bidi(r.client.conn, &id), PN_OK);
    for (size_t at = 0; at < sizeof(data); at += 64 * KIB) {
        assert_int_equal(pn_quic_write(r.client.conn, id, data + at, 64 * KIB,
                             at + 64 * KIB == sizeof(data)),
            PN_OK);
    }
    QUIC_RIG_UNTIL(&r, r.server.n_streams == 1);
    assert_int_equal(
        pn_quic_write(r.server.conn, id, data, sizeof(data), true), PN_OK);
    assert_true(quic_rig_run(&r, server_finished));
    assert_true(quic_rig_run(&r, client_finished));
    assert_pattern(&r.server, sizeof(data));
    assert_pattern(&r.client, sizeof(data));
    end(&r);
}

/* Single bytes, none of which waits for another. */
static void test_single_bytes(void **state)
{
    quic_rig r;
    int64_t id;

    begin(&r, state);
    quic_rig_connect(&r);
    assert_int_equal(pn_quic_open_bidi(r.client.conn, &id), PN_OK);
    for (size_t i = 0; i < 1000; i++) {
        uint8_t byte = (uint8_t)(i ^ i >> 8);

        assert_int_equal(
            pn_quic_write(r.client.conn, id, &byte, 1, i == 999), PN_OK);
        if (i % 10 == 0) {
            quic_rig_settle(&r, 0);
        }
    }
    assert_true(quic_rig_run(&r, server_finished));
    assert_pattern(&r.server, 1000);
    end(&r);
}

/* Data written before the close arrives, and both ends are freed. */
static void test_close(void **state)
{
    static uint8_t data[100000];
    const network *n = *state;
    quic_rig r;
    int64_t id;

    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i ^ i >> 8);
    }
    begin(&r, state);
    quic_rig_connect(&r);
    assert_int_equal(pn_quic_open_bidi(r.client.conn, &id), PN_OK);
    assert_int_equal(
        pn_quic_write(r.client.conn, id, data, sizeof(data), true), PN_OK);
    quic_side_close(&r.client);
    assert_true(quic_rig_run(&r, server_finished));
    assert_pattern(&r.server, sizeof(data));
    /* The close frame itself may be lost: it is sent again in answer to a
     * packet, unless all of these are lost too. */
    if (r.server.n_end == 0) {
        assert_int_equal(
            pn_quic_write(r.server.conn, id, (const uint8_t *)"?", 1, false),
            PN_OK);
    }
    assert_true(quic_rig_run(&r, server_ended));
    if (r.server.why != PN_TIMEOUT || n->mode != FAULTS_UDP_LOSE) {
        assert_int_equal(r.server.why, PN_CLOSED);
    }
    end(&r);
}

/* Streams are reset with bytes in flight: bytes that were lost are not read
 * from freed memory. */
static void test_reset(void **state)
{
    static const uint8_t data[60000];
    quic_rig r;
    int64_t id;
    int64_t other;

    begin(&r, state);
    r.client.ignores_acks = true;
    r.server.is_counting = true;
    quic_rig_connect(&r);
    assert_int_equal(pn_quic_open_uni(r.client.conn, &other), PN_OK);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(pn_quic_open_uni(r.client.conn, &id), PN_OK);
        assert_int_equal(
            pn_quic_write(r.client.conn, id, data, sizeof(data), false), PN_OK);
        quic_rig_settle(&r, (unsigned)i % 4);
        pn_quic_reset(r.client.conn, id, 1);
        assert_int_equal(
            pn_quic_write(r.client.conn, other, data, 10, i == 19), PN_OK);
    }
    QUIC_RIG_UNTIL(&r, r.server.n_counted == 1);
    QUIC_RIG_UNTIL(&r, pn_quic_unsent(r.client.conn) == 0);
    assert_int_equal(r.client.n_end + r.server.n_end, 0);
    end(&r);
}

/* Many dial at once; each is accepted. */
static void test_connect(void **state)
{
    enum { N = 10 };
    quic_rig r;
    quic_side sides[N];

    begin(&r, state);
    for (size_t i = 0; i < N; i++) {
        quic_side_init(&sides[i], &r);
        quic_rig_dial(&r, &sides[i]);
    }
    for (size_t i = 0; i < N; i++) {
        QUIC_RIG_UNTIL(&r, sides[i].n_open == 1);
    }
    for (size_t i = 0; i < N; i++) {
        quic_side_fini(&sides[i]);
    }
    end(&r);
}

/* The close frame waits while the socket is full, because otherwise it would be
 * sent only in answer to the peer's next packet. */
static void test_close_while_full(void **state)
{
    static network full = {"full", FAULTS_UDP_NONE, 0, 0};
    void *network_state = &full;
    quic_rig r;
    quic_side other;

    (void)state;
    begin(&r, &network_state);
    quic_rig_connect(&r);
    quic_rig_settle(&r, 100); /* all is acknowledged */
    faults_udp_set(FAULTS_UDP_FULL);
    quic_side_init(&other, &r);
    quic_rig_dial(&r, &other); /* fills the socket */
    quic_rig_settle(&r, 1);
    quic_side_close(&r.client);
    quic_rig_settle(&r, 20);
    assert_int_equal(r.server.n_end, 0);
    faults_udp_set(FAULTS_UDP_NONE);
    QUIC_RIG_UNTIL(&r, r.server.n_end == 1);
    assert_int_equal(r.server.why, PN_CLOSED);
    quic_side_fini(&other);
    end(&r);
}

static void test_there_were_faults(void **state)
{
    (void)state;
    assert_true(faults_udp_count() > 500);
}

int main(void)
{
    for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
        network *n = &networks[i];

        pn_test_addf(test_bytes, n, "barrel/quic_loss/bytes/%s", n->name);
        pn_test_addf(
            test_single_bytes, n, "barrel/quic_loss/single_bytes/%s", n->name);
        pn_test_addf(test_close, n, "barrel/quic_loss/close/%s", n->name);
        pn_test_addf(test_reset, n, "barrel/quic_loss/reset/%s", n->name);
        pn_test_addf(test_connect, n, "barrel/quic_loss/connect/%s", n->name);
    }
    pn_test_add(
        "barrel/quic_loss/close_while_full", test_close_while_full, NULL);
    pn_test_add(
        "barrel/quic_loss/there_were_faults", test_there_were_faults, NULL);
    return pn_test_run("barrel/quic_loss");
}

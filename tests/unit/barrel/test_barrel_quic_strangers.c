/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strangers at a QUIC endpoint: which of them are accepted, how many, and which
 * answers they get. Strangers are plain sockets with recorded first datagrams
 * of our own dials.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>

#include "quic/quic_internal.h"
#include "quic_rig.h"

#define LOOPBACK "127.0.0.1:0"
#define MS PN_US_PER_MS

enum { FIRST_LEN = 1200, MANY = 200 };

/* ---- strangers -------------------------------------------------------- */

/* The first datagram of a dial of ours that is not continued. */
static void record_first(quic_rig *r, quic_datagram *first)
{
    pn_address at;
    int fd = quic_plain_socket(&at);
    pn_quic_conn *conn = NULL;

    quic_side_close(&r->client);
    assert_int_equal(pn_quic_dial(r->client_quic, &at, &quic_rig_callbacks,
                         &r->client, &conn),
        PN_OK);
    assert_true(quic_plain_receive(r, fd, first, 1000));
    pn_quic_close(conn, 0);
    quic_rig_settle(r, 5);
    (void)close(fd);
    assert_int_equal(first->len, FIRST_LEN);
}

/* Handshakes that are never finished. */
typedef struct crowd {
    quic_rig *rig;
    int fd;
} crowd;

static void crowd_begin(crowd *c, quic_rig *r)
{
    c->rig = r;
    c->fd = quic_plain_socket(NULL);
}

/* The number of strangers that were accepted or refused. */
static uint64_t n_decided(const quic_rig *r)
{
    return r->server_quic->n_handshakes + r->server_quic->counters.refused
           + r->server_quic->counters.retries_sent;
}

static void crowd_dial(crowd *c)
{
    const uint64_t n = n_decided(c->rig);
    quic_datagram first;

    record_first(c->rig, &first);
    quic_plain_send(c->fd, &c->rig->at, first.data, first.len);
    QUIC_RIG_UNTIL(c->rig, n_decided(c->rig) > n);
}

static void crowd_end(crowd *c)
{
    (void)close(c->fd);
}

static bool client_ended(quic_rig *r)
{
    return r->client.n_end > 0;
}

static bool client_open(quic_rig *r)
{
    return r->client.n_open > 0;
}

static pn_quic_counters counters(const quic_rig *r)
{
    pn_quic_counters c;

    pn_quic_count(r->server_quic, &c);
    return c;
}

/* ---- incoming connections --------------------------------------------- */

static void test_incoming_refused(void **state)
{
    quic_rig r;

    (void)state;
    quic_rig_init(&r, LOOPBACK, NULL, NULL);
    r.refuse = true;
    quic_rig_dial(&r, &r.client);
    assert_true(quic_rig_run(&r, client_ended));
    assert_int_equal(r.client.n_open, 0);
    assert_int_equal(r.client.why, PN_CLOSED);
    assert_int_equal(r.client.code, NGTCP2_CONNECTION_REFUSED);
    assert_int_equal(r.n_incoming, 1);
    assert_int_equal(r.n_accepts, 0);
    assert_int_equal(r.server_quic->n_conns, 0);
    assert_int_equal(counters(&r).refused, 1);
    quic_rig_fini(&r);
}

/* An endpoint without a certificate gives no answer. */
static void test_dials_only(void **state)
{
    quic_rig r;
    quic_datagram d;
    pn_address at;
    int fd;

    (void)state;
    quic_rig_init(&r, LOOPBACK, NULL, NULL);
    record_first(&r, &d);
    pn_quic_address(r.client_quic, &at);
    fd = quic_plain_socket(NULL);
    quic_plain_send(fd, &at, d.data, d.len);
    assert_false(quic_plain_receive(&r, fd, &d, 50));
    assert_int_equal(r.n_incoming, 0);
    (void)close(fd);
    quic_rig_fini(&r);
}

/* ---- how many --------------------------------------------------------- */

static void test_max_handshakes(void **state)
{
    const pn_quic_options server = {.max_handshakes = 3, .retry_above = 100};
    quic_rig r;
    crowd c;

    (void)state;
    quic_rig_init(&r, LOOPBACK, &server, NULL);
    crowd_begin(&c, &r);
    crowd_dial(&c);
    crowd_dial(&c);
    assert_int_equal(r.server_quic->n_handshakes, 2);
    quic_rig_connect(&r); /* the third, which is finished soon */
    assert_int_equal(r.server_quic->n_handshakes, 2);
    crowd_dial(&c);
    assert_int_equal(r.server_quic->n_handshakes, 3);
    assert_int_equal(counters(&r).refused, 0);
    crowd_dial(&c);
    assert_int_equal(r.server_quic->n_handshakes, 3);
    assert_int_equal(counters(&r).refused, 1);
    quic_side_fini(&r.client);
    quic_side_init(&r.client, &r);
    quic_rig_dial(&r, &r.client);
    assert_true(quic_rig_run(&r, client_ended));
    assert_int_equal(r.client.why, PN_CLOSED);
    assert_int_equal(r.client.code, NGTCP2_CONNECTION_REFUSED);
    assert_int_equal(counters(&r).refused, 2);
    assert_int_equal(r.n_incoming, 4); /* not called for the others */
    crowd_end(&c);
    quic_rig_fini(&r);
}

/* An unfinished handshake makes room in time. */
static void test_handshakes_end(void **state)
{
    const pn_quic_options server = {
        .max_handshakes = 2, .handshake_us = 2000 * MS};
    quic_rig r;
    crowd c;

    (void)state;
    quic_rig_init(&r, LOOPBACK, &server, NULL);
    crowd_begin(&c, &r);
    crowd_dial(&c);
    crowd_dial(&c);
    assert_int_equal(r.server_quic->n_handshakes, 2);
    QUIC_RIG_UNTIL(&r, r.server_quic->n_handshakes == 0);
    assert_int_equal(counters(&r).handshake_failures, 2);
    quic_rig_connect(&r);
    crowd_end(&c);
    quic_rig_fini(&r);
}

static quic_side crowd_sides[4];
static quic_side server_sides[5];
static size_t n_server_sides;

static bool all_decided(quic_rig *r)
{
    (void)r;
    for (size_t i = 0; i < 4; i++) {
        if (crowd_sides[i].n_open + crowd_sides[i].n_end == 0) {
            return false;
        }
    }
    return true;
}

static void keep_conn(void *user, pn_quic_conn *conn, const pn_address *from)
{
    quic_side *side = &server_sides[n_server_sides++];

    (void)from;
    quic_side_init(side, user);
    side->conn = conn;
    side->close_on_end = true;
    pn_quic_set_callbacks(conn, &quic_rig_callbacks, side);
}

static void test_max_conns(void **state)
{
    const pn_quic_options server = {.max_conns = 3};
    unsigned n_open = 0;
    unsigned n_end = 0;
    quic_rig r;

    (void)state;
    quic_rig_init(&r, LOOPBACK, &server, NULL);
    r.server_quic->callbacks.on_accept = keep_conn;
    for (size_t i = 0; i < 4; i++) {
        quic_side_init(&crowd_sides[i], &r);
        quic_rig_dial(&r, &crowd_sides[i]);
        if (i < 3) {
            QUIC_RIG_UNTIL(&r, crowd_sides[i].n_open > 0);
            QUIC_RIG_UNTIL(&r, n_server_sides == i + 1);
        }
    }
    assert_int_equal(r.server_quic->n_conns, 3);
    assert_true(quic_rig_run(&r, all_decided));
    for (size_t i = 0; i < 4; i++) {
        n_open += crowd_sides[i].n_open;
        n_end += crowd_sides[i].n_end;
    }
    assert_int_equal(n_open, 3);
    assert_int_equal(n_end, 1);
    assert_int_equal(crowd_sides[3].code, NGTCP2_CONNECTION_REFUSED);
    assert_int_equal(counters(&r).refused, 1);
    assert_int_equal(counters(&r).accepted, 3);
    /* The end of one makes room for another. */
    quic_side_fini(&crowd_sides[3]);
    quic_side_fini(&crowd_sides[0]);
    QUIC_RIG_UNTIL(&r, r.server_quic->n_conns == 2);
    quic_side_init(&crowd_sides[3], &r);
    quic_rig_dial(&r, &crowd_sides[3]);
    QUIC_RIG_UNTIL(&r, crowd_sides[3].n_open > 0);
    QUIC_RIG_UNTIL(&r, n_server_sides == 4);
    for (size_t i = 1; i < 4; i++) {
        quic_side_fini(&crowd_sides[i]);
    }
    for (size_t i = 0; i < n_server_sides; i++) {
        quic_side_fini(&server_sides[i]);
    }
    quic_rig_fini(&r);
}

static void test_max_dials(void **state)
{
    const pn_quic_options client = {.max_conns = 2};
    quic_rig r;
    quic_side a;
    quic_side b;
    pn_quic_conn *conn = NULL;

    (void)state;
    quic_rig_init(&r, LOOPBACK, NULL, &client);
    quic_side_init(&a, &r);
    quic_side_init(&b, &r);
    quic_rig_dial(&r, &a);
    quic_rig_dial(&r, &b);
    assert_int_equal(pn_quic_dial(r.client_quic, &r.at, &quic_rig_callbacks,
                         &r.client, &conn),
        PN_FULL);
    assert_null(conn);
    quic_side_close(&a);
    QUIC_RIG_UNTIL(&r, r.client_quic->n_conns == 1);
    quic_rig_dial(&r, &r.client);
    quic_side_fini(&a);
    quic_side_fini(&b);
    quic_rig_fini(&r);
}

/* ---- Retry ------------------------------------------------------------ */

static bool is_retry(const quic_datagram *d)
{
    return d->len > 5 && (d->data[0] & 0xf0) == 0xf0;
}

static void test_retry_above(void **state)
{
    const pn_quic_options server = {.retry_above = 2};
    quic_rig r;
    crowd c;

    (void)state;
    quic_rig_init(&r, LOOPBACK, &server, NULL);
    crowd_begin(&c, &r);
    crowd_dial(&c);
    assert_int_equal(r.server_quic->n_handshakes, 1);
    quic_rig_connect(&r);
    assert_int_equal(counters(&r).retries_sent, 0);
    crowd_dial(&c);
    assert_int_equal(r.server_quic->n_handshakes, 2);
    assert_int_equal(counters(&r).retries_sent, 0);
    crowd_dial(&c);
    assert_int_equal(r.server_quic->n_handshakes, 2);
    assert_int_equal(counters(&r).retries_sent, 1);
    /* A caller that answers the Retry is accepted, and on_incoming is called
     * once. */
    quic_side_fini(&r.client);
    quic_side_fini(&r.server);
    quic_side_init(&r.client, &r);
    quic_side_init(&r.server, &r);
    r.n_incoming = 0;
    quic_rig_connect(&r);
    assert_int_equal(counters(&r).retries_sent, 2);
    assert_int_equal(r.n_incoming, 1);
    crowd_end(&c);
    quic_rig_fini(&r);
}

/* A Retry's token is valid only from the address that it was sent to, for a
 * limited time, and unchanged. */
static void test_retry_token(void **state)
{
    const pn_quic_options server = {.retry_above = 1};
    quic_rig r;
    crowd c;
    pn_address between;
    pn_address client;
    quic_datagram d;
    quic_datagram second;
    int inner = quic_plain_socket(&between);
    int outer = quic_plain_socket(NULL);
    int elsewhere = quic_plain_socket(NULL);

    (void)state;
    quic_rig_init(&r, LOOPBACK, &server, NULL);
    crowd_begin(&c, &r);
    crowd_dial(&c);
    assert_int_equal(r.server_quic->n_handshakes, 1);
    pn_quic_address(r.client_quic, &client);
    assert_int_equal(pn_quic_dial(r.client_quic, &between, &quic_rig_callbacks,
                         &r.client, &r.client.conn),
        PN_OK);
    assert_true(quic_plain_receive(&r, inner, &d, 1000));
    quic_plain_send(outer, &r.at, d.data, d.len);
    assert_true(quic_plain_receive(&r, outer, &d, 1000));
    assert_true(is_retry(&d));
    assert_true(d.len <= FIRST_LEN);
    quic_plain_send(inner, &client, d.data, d.len);
    assert_true(quic_plain_receive(&r, inner, &second, 1000));
    assert_int_equal(r.server_quic->n_handshakes, 1);
    /* From another address. */
    quic_plain_send(elsewhere, &r.at, second.data, second.len);
    assert_true(quic_plain_receive(&r, elsewhere, &d, 1000));
    assert_true(is_retry(&d));
    assert_int_equal(r.server_quic->n_handshakes, 1);
    /* With one bit of the token changed: it stands behind two ids of 8 and its
     * length. */
    second.data[1 + 4 + 9 + 9 + 2 + 5] ^= 1;
    quic_plain_send(outer, &r.at, second.data, second.len);
    assert_true(quic_plain_receive(&r, outer, &d, 1000));
    assert_true(is_retry(&d));
    assert_int_equal(r.server_quic->n_handshakes, 1);
    second.data[1 + 4 + 9 + 9 + 2 + 5] ^= 1;
    quic_plain_send(outer, &r.at, second.data, second.len);
    QUIC_RIG_UNTIL(&r, r.server_quic->n_handshakes == 2);
    (void)close(inner);
    (void)close(outer);
    (void)close(elsewhere);
    crowd_end(&c);
    quic_rig_fini(&r);
}

/* ---- answers to strangers --------------------------------------------- */

/* At most three times the received bytes are sent, whatever is lost. */
static void test_no_amplification(void **state)
{
    quic_rig r;
    quic_datagram d;
    size_t got = 0;
    int fd = quic_plain_socket(NULL);

    (void)state;
    quic_rig_init(&r, LOOPBACK, NULL, NULL);
    record_first(&r, &d);
    quic_plain_send(fd, &r.at, d.data, d.len);
    for (int i = 0; i < 25; i++) {
        quic_rig_settle(&r, 100);
        while (quic_plain_receive(&r, fd, &d, 1)) {
            got += d.len;
        }
    }
    assert_true(got > 0);
    assert_true(got <= 3 * FIRST_LEN);
    (void)close(fd);
    quic_rig_fini(&r);
}

/* A refusal is smaller than the packet that it answers. */
static void test_refusal_is_short(void **state)
{
    quic_rig r;
    quic_datagram d;
    int fd = quic_plain_socket(NULL);

    (void)state;
    quic_rig_init(&r, LOOPBACK, NULL, NULL);
    r.refuse = true;
    record_first(&r, &d);
    quic_plain_send(fd, &r.at, d.data, d.len);
    assert_true(quic_plain_receive(&r, fd, &d, 1000));
    assert_true(d.len <= FIRST_LEN);
    assert_false(quic_plain_receive(&r, fd, &d, 50)); /* and once */
    (void)close(fd);
    quic_rig_fini(&r);
}

/* No prefix of it is a first datagram. */
static void test_every_prefix(void **state)
{
    quic_rig r;
    quic_datagram d;
    int fd = quic_plain_socket(NULL);

    (void)state;
    quic_rig_init(&r, LOOPBACK, NULL, NULL);
    record_first(&r, &d);
    for (size_t n = 0; n < FIRST_LEN; n++) {
        quic_plain_send(fd, &r.at, d.data, n);
        quic_rig_settle(&r, 0);
    }
    quic_rig_settle(&r, 20);
    assert_int_equal(r.n_incoming, 0);
    assert_int_equal(r.server_quic->n_conns, 0);
    assert_int_equal(counters(&r).datagrams_out, 0);
    quic_plain_send(fd, &r.at, d.data, FIRST_LEN);
    QUIC_RIG_UNTIL(&r, r.n_incoming == 1);
    assert_int_equal(r.server_quic->n_conns, 1);
    (void)close(fd);
    quic_rig_fini(&r);
}

/* Each byte of it is changed in turn: packets whose protection fails are
 * dropped, and a good one is accepted afterwards. */
static void test_every_byte_changed(void **state)
{
    const pn_quic_options server = {
        .max_handshakes = 2000, .max_conns = 3000, .retry_above = 2000};
    quic_rig r;
    quic_datagram d;
    int fd = quic_plain_socket(NULL);

    (void)state;
    quic_rig_init(&r, LOOPBACK, &server, NULL);
    record_first(&r, &d);
    for (size_t i = 0; i < FIRST_LEN; i += i < 100 ? 1 : 37) {
        d.data[i] ^= 0x55;
        quic_plain_send(fd, &r.at, d.data, FIRST_LEN);
        d.data[i] ^= 0x55;
        quic_rig_settle(&r, 0);
    }
    quic_rig_connect(&r);
    assert_int_equal(r.n_accepts, 1);
    (void)close(fd);
    quic_rig_fini(&r);
}

static void test_garbage(void **state)
{
    uint64_t seed = 20261121;
    uint8_t data[1500];
    quic_rig r;
    int fd = quic_plain_socket(NULL);

    (void)state;
    quic_rig_init(&r, LOOPBACK, NULL, NULL);
    quic_rig_connect(&r);
    for (int i = 0; i < 3000; i++) {
        size_t len = pn_test_random(&seed) % sizeof(data);

        for (size_t k = 0; k < len; k++) {
            data[k] = (uint8_t)pn_test_random(&seed);
        }
        quic_plain_send(fd, &r.at, data, len);
        if (i % 20 == 0) {
            quic_rig_settle(&r, 0);
        }
    }
    quic_rig_settle(&r, 20);
    assert_int_equal(r.client.n_end + r.server.n_end, 0);
    assert_int_equal(r.n_incoming, 1);
    (void)close(fd);
    quic_rig_fini(&r);
}

/* RFC 9000 section 6.1: only in answer to a packet that could begin a
 * connection. */
static void test_other_version(void **state)
{
    quic_rig r;
    quic_datagram d;
    quic_datagram answer;
    int fd = quic_plain_socket(NULL);

    (void)state;
    quic_rig_init(&r, LOOPBACK, NULL, NULL);
    record_first(&r, &d);
    memcpy(d.data + 1, "\xff\x00\x00\x99", 4);
    quic_plain_send(fd, &r.at, d.data, FIRST_LEN - 1);
    assert_false(quic_plain_receive(&r, fd, &answer, 30));
    quic_plain_send(fd, &r.at, d.data, FIRST_LEN);
    assert_true(quic_plain_receive(&r, fd, &answer, 1000));
    assert_true(answer.len < 100);
    assert_true((answer.data[0] & 0x80) != 0);
    assert_memory_equal(answer.data + 1, "\0\0\0\0", 4);
    assert_memory_equal(answer.data + answer.len - 4, "\0\0\0\1", 4);
    assert_int_equal(r.n_incoming, 0);
    (void)close(fd);
    quic_rig_fini(&r);
}

/* RFC 9000 section 10.3: shorter than what it answers, unpredictable, and the
 * same for the same id. */
static void test_stateless_reset(void **state)
{
    quic_rig r;
    uint8_t data[100] = {0x40, 1, 2, 3, 4, 5, 6, 7, 8};
    quic_datagram a;
    quic_datagram b;
    int fd = quic_plain_socket(NULL);

    (void)state;
    quic_rig_init(&r, LOOPBACK, NULL, NULL);
    quic_plain_send(fd, &r.at, data, 21);
    assert_false(quic_plain_receive(&r, fd, &a, 30));
    for (size_t len = 22; len < 100; len++) {
        quic_plain_send(fd, &r.at, data, len);
        assert_true(quic_plain_receive(&r, fd, &a, 1000));
        assert_true(a.len < len);
        assert_true(a.len >= 21);
    }
    quic_plain_send(fd, &r.at, data, 40);
    assert_true(quic_plain_receive(&r, fd, &b, 1000));
    assert_memory_equal(a.data + a.len - 16, b.data + b.len - 16, 16);
    data[1] ^= 1;
    quic_plain_send(fd, &r.at, data, 40);
    assert_true(quic_plain_receive(&r, fd, &b, 1000));
    assert_memory_not_equal(a.data + a.len - 16, b.data + b.len - 16, 16);
    assert_int_equal(r.n_incoming, 0);
    (void)close(fd);
    quic_rig_fini(&r);
}

/* A flood of them is not answered in full. */
static void test_stateless_answers_are_bounded(void **state)
{
    quic_rig r;
    uint8_t data[60] = {0x40, 1, 2, 3, 4, 5, 6, 7, 8};
    int fd = quic_plain_socket(NULL);
    uint64_t since_us;
    uint64_t seconds;

    (void)state;
    quic_rig_init(&r, LOOPBACK, NULL, NULL);
    since_us = pn_loop_update_now(r.loop);
    for (int i = 0; i < 5 * MANY; i++) {
        quic_plain_send(fd, &r.at, data, sizeof(data));
        if (i % 20 == 0) {
            quic_rig_settle(&r, 0);
        }
    }
    quic_rig_settle(&r, 20);
    seconds = (pn_loop_update_now(r.loop) - since_us) / PN_US_PER_S + 2;
    assert_true(counters(&r).datagrams_out >= MANY);
    assert_true(counters(&r).datagrams_out <= MANY * seconds);
    assert_true(counters(&r).datagrams_in >= 4 * MANY);
    (void)close(fd);
    quic_rig_fini(&r);
}

/* A stranger's guess at a stateless reset ends no connection, whatever its
 * address. */
static void test_forged_reset(void **state)
{
    uint64_t seed = 7;
    uint8_t data[60];
    quic_rig r;
    quic_path path;

    (void)state;
    quic_rig_init(&r, LOOPBACK, NULL, NULL);
    quic_rig_connect(&r);
    pn_quic_addresses(r.client.conn, &path.local, &path.remote);
    for (int i = 0; i < 500; i++) {
        for (size_t k = 0; k < sizeof(data); k++) {
            data[k] = (uint8_t)pn_test_random(&seed);
        }
        data[0] = (uint8_t)((data[0] & 0x3f) | 0x40);
        pn_quic_enter(r.client_quic);
        pn_quic_datagram(r.client_quic, &path, data, sizeof(data));
        pn_quic_leave(r.client_quic);
    }
    quic_rig_settle(&r, 20);
    assert_int_equal(r.client.n_end + r.server.n_end, 0);
    quic_rig_fini(&r);
}

/* The peer that was refused may come back. */
static void test_refused_then_welcome(void **state)
{
    quic_rig r;

    (void)state;
    quic_rig_init(&r, LOOPBACK, NULL, NULL);
    r.refuse = true;
    quic_rig_dial(&r, &r.client);
    assert_true(quic_rig_run(&r, client_ended));
    quic_side_fini(&r.client);
    quic_side_init(&r.client, &r);
    r.refuse = false;
    quic_rig_dial(&r, &r.client);
    assert_true(quic_rig_run(&r, client_open));
    quic_rig_fini(&r);
}

int main(void)
{
#define ADD(name) pn_test_add("barrel/quic_strangers/" #name, test_##name, NULL)
    ADD(incoming_refused);
    ADD(dials_only);
    ADD(max_handshakes);
    ADD(handshakes_end);
    ADD(max_conns);
    ADD(max_dials);
    ADD(retry_above);
    ADD(retry_token);
    ADD(no_amplification);
    ADD(refusal_is_short);
    ADD(every_prefix);
    ADD(every_byte_changed);
    ADD(garbage);
    ADD(other_version);
    ADD(stateless_reset);
    ADD(stateless_answers_are_bounded);
    ADD(forged_reset);
    ADD(refused_then_welcome);
    return pn_test_run("barrel/quic_strangers");
}

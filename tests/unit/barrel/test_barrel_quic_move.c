/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A peer whose address changes or seems to change: a relay between both ends
 * forwards the client's datagrams from another port, and an ICMP error reports
 * a port as closed (RFC 9000, section 9.3).
 */
#include <errno.h>
#include <unistd.h>

#include <sys/socket.h>

#include "quic_rig.h"

#define LOOPBACK "127.0.0.1:0"
#define MS UINT64_C(1000)

typedef struct relay {
    quic_rig rig;
    pn_address server; /* where the client believes it is: front */
    pn_address client;
    int front;
    int back; /* towards the server */
} relay;

static void relay_init(relay *m, const pn_quic_options *server)
{
    quic_rig_init(&m->rig, LOOPBACK, server, NULL);
    m->server = m->rig.at;
    m->front = quic_plain_socket(&m->rig.at);
    m->back = quic_plain_socket(NULL);
}

static void relay_fini(relay *m)
{
    quic_rig_fini(&m->rig);
    (void)close(m->front);
    (void)close(m->back);
}

/* The next datagram of the client; false: there is none. */
static bool from_client(relay *m, quic_datagram *d)
{
    socklen_t len = sizeof(m->client);
    ssize_t n = recvfrom(
        m->front, d->data, sizeof(d->data), 0, &m->client.any, &len);

    d->len = n < 0 ? 0 : (size_t)n;
    return n >= 0;
}

static void relay_turn(relay *m)
{
    quic_datagram d;
    ssize_t n;

    while (from_client(m, &d)) {
        quic_plain_send(m->back, &m->server, d.data, d.len);
    }
    while ((n = recv(m->back, d.data, sizeof(d.data), 0)) >= 0) {
        quic_plain_send(m->front, &m->client, d.data, (size_t)n);
    }
    quic_rig_settle(&m->rig, 1);
}

#define RELAY_UNTIL(m, condition)                                              \
    do {                                                                       \
        for (int until_ = 0; until_ < 10000 && !(condition); until_++) {       \
            relay_turn(m);                                                     \
        }                                                                      \
        assert_true(condition);                                                \
    } while (0)

static void relay_connect(relay *m)
{
    quic_rig_dial(&m->rig, &m->rig.client);
    RELAY_UNTIL(m, quic_rig_is_connected(&m->rig));
}

/* The client has another port: the old one is closed. */
static void relay_rebind(relay *m)
{
    (void)close(m->back);
    m->back = quic_plain_socket(NULL);
}

static void client_writes(relay *m, int64_t id)
{
    assert_int_equal(
        pn_quic_write(m->rig.client.conn, id, (const uint8_t *)"x", 1, false),
        PN_OK);
}

static size_t server_heard(relay *m, int64_t id)
{
    const quic_heard *h = quic_side_heard(&m->rig.server, id);

    return h->in.len - h->in.off;
}

/* An attacker on the path sends one datagram of the client from a closed port,
 * and delays the others. */
static void spoof_once(relay *m, unsigned silent_ms)
{
    quic_datagram d = {.len = 0};
    int nobody = quic_plain_socket(NULL);

    for (int i = 0; i < 10000 && !from_client(m, &d); i++) {
        quic_rig_settle(&m->rig, 1);
    }
    assert_true(d.len > 0);
    quic_plain_send(nobody, &m->server, d.data, d.len);
    (void)close(nobody);
    for (unsigned ms = 0; ms < silent_ms; ms += 10) {
        quic_rig_settle(&m->rig, 10);
        while (from_client(m, &d)) {}
    }
}

/* The closed port proves nothing about the peer, which never answered from
 * there. */
static void test_refused_where_it_never_was(void **state)
{
    static const pn_quic_options server = {.keep_alive_us = 50 * MS};
    int64_t id;
    relay m;

    (void)state;
    relay_init(&m, &server);
    relay_connect(&m);
    assert_int_equal(pn_quic_open_bidi(m.rig.client.conn, &id), PN_OK);
    client_writes(&m, id);
    RELAY_UNTIL(&m, server_heard(&m, id) == 1);
    client_writes(&m, id);
    spoof_once(&m, 4000);
    assert_int_equal(m.rig.server.n_end, 0);
    client_writes(&m, id);
    RELAY_UNTIL(&m, server_heard(&m, id) == 3);
    assert_int_equal(m.rig.server.n_end + m.rig.client.n_end, 0);
    relay_fini(&m);
}

static bool server_ended(quic_rig *r)
{
    return r->server.n_end == 1;
}

/* The peer was there and has gone, so an ICMP error counts as before the
 * move. */
static void test_refused_after_a_move(void **state)
{
    static const pn_quic_options server = {.keep_alive_us = 50 * MS};
    int64_t id;
    relay m;

    (void)state;
    relay_init(&m, &server);
    relay_connect(&m);
    assert_int_equal(pn_quic_open_bidi(m.rig.client.conn, &id), PN_OK);
    relay_rebind(&m);
    client_writes(&m, id);
    RELAY_UNTIL(&m, server_heard(&m, id) == 1);
    /* Its answers to the server's challenge get there, too. */
    for (int i = 0; i < 300; i++) {
        relay_turn(&m);
    }
    (void)close(m.back);
    assert_true(quic_rig_run(&m.rig, server_ended));
    assert_int_equal(m.rig.server.why, PN_SYS);
    assert_int_equal(m.rig.server.sys_errno, ECONNREFUSED);
    m.back = quic_plain_socket(NULL);
    relay_fini(&m);
}

int main(void)
{
    pn_test_add("barrel/quic_move/refused_where_it_never_was",
        test_refused_where_it_never_was, NULL);
    pn_test_add("barrel/quic_move/refused_after_a_move",
        test_refused_after_a_move, NULL);
    return pn_test_run("barrel/quic_move");
}

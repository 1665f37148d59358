/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <poll.h>

#include "harness.h"
#include "os/udp.h"

typedef struct ear {
    pn_loop *loop;
    pn_udp *udp;
    pn_address at;
    unsigned n;
    size_t len;
    uint8_t first;
    uint8_t last; /* of those that are there */
    pn_address from;
    unsigned interface_index;
    bool frees;
    unsigned stops_at; /* reading off after so many; 0: never */
} ear;

static void on_datagram(void *user, const uint8_t *data, size_t len,
    const pn_address *from, unsigned interface_index)
{
    ear *e = user;

    e->n++;
    e->len = len;
    e->first = len > 0 ? data[0] : 0;
    e->last = len > 0
                  ? data[(len < PN_UDP_DATA_MAX ? len : PN_UDP_DATA_MAX) - 1]
                  : 0;
    e->from = *from;
    e->interface_index = interface_index;
    if (e->frees) {
        pn_udp_free(e->udp);
        e->udp = NULL;
    } else if (e->n == e->stops_at) {
        pn_udp_set_reading(e->udp, false);
    }
}

static void begin(ear *e, const char *at)
{
    int sys_errno;
    uint16_t port = 0;

    *e = (ear){0};
    assert_int_equal(pn_loop_new(&e->loop), PN_OK);
    assert_int_equal(pn_address_parse(at, 0, &e->at), PN_OK);
    /* A port that is free at the moment. */
    for (port = 20000; port < 30000; port++) {
        int fd = socket(e->at.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        bool is_free;

        pn_address_set_port(&e->at, port);
        is_free = bind(fd, &e->at.any, pn_address_len(&e->at)) == 0;
        (void)close(fd);
        if (is_free) {
            break;
        }
    }
    assert_int_equal(
        pn_udp_new(e->loop, &e->at, on_datagram, e, &e->udp, &sys_errno),
        PN_OK);
}

static void end(ear *e)
{
    pn_udp_free(e->udp);
    pn_loop_free(e->loop);
}

static void run(ear *e)
{
    for (int i = 0; i < 10; i++) {
        struct pollfd p = {.fd = pn_loop_fd(e->loop), .events = POLLIN};

        (void)poll(&p, 1, 2);
        pn_loop_run_once(e->loop);
    }
}

static void test_datagram(void **state)
{
    const char *at = *state;
    ear e;
    int sys_errno;

    begin(&e, at);
    assert_int_equal(
        pn_udp_send(e.udp, &e.at, (const uint8_t *)"hello", 5, &sys_errno),
        PN_OK);
    run(&e);
    assert_int_equal(e.n, 1);
    assert_int_equal(e.len, 5);
    assert_int_equal(e.first, 'h');
    assert_true(pn_address_equal(&e.from, &e.at));
    assert_int_equal(e.interface_index, 1); /* lo */
    end(&e);
}

typedef struct length_row {
    size_t len;
} length_row;

static length_row lengths[] = {{0}, {1}, {PN_UDP_DATA_MAX - 1},
    {PN_UDP_DATA_MAX}, {PN_UDP_DATA_MAX + 1}, {60000}};

/* However long it is, what is looked at has an end and the length is told. */
static void test_length(void **state)
{
    const length_row *row = *state;
    static uint8_t data[60000];
    ear e;
    int sys_errno;

    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i % 251 + 1);
    }
    begin(&e, "127.0.0.1");
    assert_int_equal(
        pn_udp_send(e.udp, &e.at, data, row->len, &sys_errno), PN_OK);
    run(&e);
    assert_int_equal(e.n, 1);
    assert_int_equal(e.len, row->len);
    if (row->len > 0) {
        size_t shown = row->len < PN_UDP_DATA_MAX ? row->len : PN_UDP_DATA_MAX;

        assert_int_equal(e.last, data[shown - 1]);
    }
    end(&e);
}

static void test_reading_off(void **state)
{
    ear e;
    int sys_errno;

    (void)state;
    begin(&e, "127.0.0.1");
    e.stops_at = 2;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(
            pn_udp_send(e.udp, &e.at, (const uint8_t *)"x", 1, &sys_errno),
            PN_OK);
    }
    run(&e);
    assert_int_equal(e.n, 2);
    pn_udp_set_reading(e.udp, true);
    run(&e);
    assert_int_equal(e.n, 5);
    end(&e);
}

/* Datagrams that the kernel dropped are counted when the next one is read. */
static void test_overflow(void **state)
{
    static const uint8_t data[1000];
    ear e;
    int sys_errno;

    (void)state;
    begin(&e, "127.0.0.1");
    pn_udp_set_reading(e.udp, false);
    for (int i = 0; i < 2000; i++) {
        assert_int_equal(
            pn_udp_send(e.udp, &e.at, data, sizeof(data), &sys_errno), PN_OK);
    }
    pn_udp_set_reading(e.udp, true);
    run(&e);
    assert_int_equal(
        pn_udp_send(e.udp, &e.at, data, sizeof(data), &sys_errno), PN_OK);
    run(&e);
    assert_true(e.n < 1000);
    assert_int_equal(e.n + pn_udp_overflows(e.udp), 2001);
    end(&e);
}

static void test_free_in_callback(void **state)
{
    ear e;
    int sys_errno;

    (void)state;
    begin(&e, "127.0.0.1");
    e.frees = true;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            pn_udp_send(e.udp, &e.at, (const uint8_t *)"x", 1, &sys_errno),
            PN_OK);
    }
    run(&e);
    assert_int_equal(e.n, 1);
    end(&e);
}

/* Two sockets share a port, and a broadcast reaches both. */
static void test_shared_port(void **state)
{
    ear e;
    pn_udp *other;
    pn_udp *from;
    pn_address to;
    int sys_errno;

    (void)state;
    begin(&e, "0.0.0.0");
    assert_int_equal(
        pn_udp_new(e.loop, &e.at, on_datagram, &e, &other, &sys_errno), PN_OK);
    assert_int_equal(pn_address_parse("127.0.0.1", 0, &to), PN_OK);
    assert_int_equal(
        pn_udp_new(e.loop, &to, on_datagram, &e, &from, &sys_errno), PN_OK);
    assert_int_equal(
        pn_address_parse("127.255.255.255", pn_address_port(&e.at), &to),
        PN_OK);
    assert_int_equal(
        pn_udp_send(from, &to, (const uint8_t *)"x", 1, &sys_errno), PN_OK);
    run(&e);
    assert_int_equal(e.n, 2);
    pn_udp_free(other);
    pn_udp_free(from);
    end(&e);
}

static void test_refusals(void **state)
{
    static const uint8_t data[70000];
    ear e;
    pn_udp *other = NULL;
    pn_address at;
    int sys_errno = 0;

    (void)state;
    begin(&e, "127.0.0.1");
    assert_int_equal(pn_address_parse("192.0.2.77", 4040, &at), PN_OK);
    assert_int_equal(
        pn_udp_new(e.loop, &at, on_datagram, &e, &other, &sys_errno), PN_SYS);
    assert_int_equal(sys_errno, EADDRNOTAVAIL);
    assert_null(other);
    sys_errno = 0;
    assert_int_equal(
        pn_udp_send(e.udp, &e.at, data, sizeof(data), &sys_errno), PN_SYS);
    assert_int_equal(sys_errno, EMSGSIZE);
    end(&e);
    pn_udp_free(NULL);
}

int main(void)
{
    char four[] = "127.0.0.1";
    char six[] = "::1";
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    pn_test_add("os/udp/datagram IPv4", test_datagram, four);
    if (fd >= 0) {
        (void)close(fd);
        pn_test_add("os/udp/datagram IPv6", test_datagram, six);
    }
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        pn_test_addf(
            test_length, &lengths[i], "os/udp/length %zu", lengths[i].len);
    }
    pn_test_add("os/udp/reading_off", test_reading_off, NULL);
    pn_test_add("os/udp/overflow", test_overflow, NULL);
    pn_test_add("os/udp/free_in_callback", test_free_in_callback, NULL);
    pn_test_add("os/udp/shared_port", test_shared_port, NULL);
    pn_test_add("os/udp/refusals", test_refusals, NULL);
    return pn_test_run("os/udp");
}

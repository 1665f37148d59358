/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An address that two sources hear, in virtual time: one loses it, and the
 * other never says that it did.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../os/own_clock.h"
#include "two_nodes.h"
#include "wire/announce.h"

#define S UINT64_C(1000000)

/* UDP discovery itself says that it lost a peer after 20 s. */
#define HEARD_US (15 * S)

static pn_discovery_sink sink;
static uint16_t udp_port;
static char address[32]; /* bob's */

static pn_err source_start(void *user, const pn_discovery_sink *s)
{
    (void)user;
    sink = *s;
    return PN_OK;
}

static void source_stop(void *user)
{
    (void)user;
}

static const pn_discovery_source source = {
    .size = sizeof(source),
    .name = "by-hand",
    .start = source_start,
    .stop = source_stop,
};

static void hearing_alice(pn_node_options *opt, bool is_alice)
{
    if (!is_alice) {
        opt->on_event = NULL;
        return;
    }
    opt->discovery_source = &source;
    opt->discovery = PN_DISCOVERY_UDP;
    opt->discovery_address = "127.255.255.255";
    opt->discovery_port = udp_port;
    opt->discovery_listen_only = true;
    opt->watch_network = false;
}

static void take_udp_port(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&in, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    (void)close(fd);
    udp_port = ntohs(in.sin_port);
}

static void open_nodes(two_nodes *t)
{
    take_udp_port();
    own_clock_go(true);
    two_nodes_open_apart(t, hearing_alice);
    own_clock_go(false);
    node_address(t->bob, address);
}

static void close_nodes(two_nodes *t)
{
    own_clock_go(true);
    two_nodes_close(t);
    own_clock_go(false);
}

static uint64_t n_reports(two_nodes *t)
{
    pn_heard_info *rows = NULL;
    uint64_t n_reports = 0;
    size_t n = 0;

    assert_int_equal(pn_list_heard(t->alice, &rows, &n), PN_OK);
    assert_true(n <= 1);
    if (n == 1) {
        n_reports = rows[0].n_reports;
    }
    free(rows);
    return n_reports;
}

typedef struct reports {
    two_nodes *t;
    uint64_t n;
} reports;

static bool has_reports(void *user)
{
    const reports *r = user;

    return n_reports(r->t) == r->n;
}

/* One datagram to alice, as bob sends them; it is report n of the address. */
static void bob_announces(two_nodes *t, uint64_t n)
{
    uint8_t data[PN_ANNOUNCE_LEN];
    struct sockaddr_in to = {.sin_family = AF_INET,
        .sin_port = htons(udp_port),
        .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    pn_announce_write(
        &(pn_announce){.port = pn_node_port(t->bob), .key = t->bob_key}, data);
    assert_int_equal(
        sendto(fd, data, sizeof(data), 0, (struct sockaddr *)&to, sizeof(to)),
        (ssize_t)sizeof(data));
    (void)close(fd);
    two_nodes_wait(has_reports, &(reports){.t = t, .n = n});
}

static void found(const two_nodes *t)
{
    sink.found(sink.node, &t->bob_key, address);
}

static void lost(const two_nodes *t)
{
    sink.lost(sink.node, &t->bob_key, address);
}

/* The loop has run its turn and what was due then. */
static void let_run(void)
{
    (void)usleep(100 * 1000);
}

/* T15: lost by one, and the other falls silent. */
static void test_lost_then_silent(void **state)
{
    two_nodes t;

    (void)state;
    open_nodes(&t);
    bob_announces(&t, 1);
    found(&t);
    lost(&t);
    let_run();
    own_clock_advance(HEARD_US - S);
    let_run();
    assert_int_equal(t.n_events[PN_EVENT_LOST], 0);
    /* A timer that is set while the test's clock advances may be late. */
    for (int i = 0; i < 20 && t.n_events[PN_EVENT_LOST] == 0; i++) {
        own_clock_advance(S);
        let_run();
    }
    two_nodes_wait_event(&t, PN_EVENT_LOST, 1);
    assert_int_equal(n_reports(&t), 0);
    /* UDP discovery now loses it, too, which is no news. */
    own_clock_advance(10 * S);
    let_run();
    assert_int_equal(t.n_events[PN_EVENT_LOST], 1);
    close_nodes(&t);
}

/* A report of the other puts it off. */
static void test_lost_but_heard(void **state)
{
    two_nodes t;

    (void)state;
    open_nodes(&t);
    bob_announces(&t, 1);
    found(&t);
    lost(&t);
    let_run();
    own_clock_advance(HEARD_US - S);
    bob_announces(&t, 3);
    own_clock_advance(HEARD_US - S);
    let_run();
    assert_int_equal(t.n_events[PN_EVENT_LOST], 0);
    own_clock_advance(S);
    two_nodes_wait_event(&t, PN_EVENT_LOST, 1);
    close_nodes(&t);
}

/* Who lost it finds it again: it stays as long as that source has it. */
static void test_lost_and_found(void **state)
{
    two_nodes t;

    (void)state;
    open_nodes(&t);
    bob_announces(&t, 1);
    found(&t);
    lost(&t);
    found(&t);
    let_run();
    own_clock_advance(HEARD_US + S);
    let_run();
    assert_int_equal(t.n_events[PN_EVENT_LOST], 0);
    assert_int_equal(n_reports(&t), 3);
    close_nodes(&t);
}

/* A source cannot take away what only the other has found. */
static void test_lost_not_found(void **state)
{
    two_nodes t;

    (void)state;
    open_nodes(&t);
    bob_announces(&t, 1);
    let_run();
    own_clock_advance(HEARD_US + S);
    let_run();
    lost(&t);
    let_run();
    assert_int_equal(t.n_events[PN_EVENT_LOST], 0);
    assert_int_equal(n_reports(&t), 1);
    close_nodes(&t);
}

int main(void)
{
    pn_test_add("node/t15/lost_then_silent", test_lost_then_silent, NULL);
    pn_test_add("node/t15/lost_but_heard", test_lost_but_heard, NULL);
    pn_test_add("node/t15/lost_and_found", test_lost_and_found, NULL);
    pn_test_add("node/t15/lost_not_found", test_lost_not_found, NULL);
    return pn_test_run("node/lost");
}

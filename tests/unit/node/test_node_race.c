/* SPDX-License-Identifier: Apache-2.0 */
/* Several addresses of one peer: the next is tried while the first is silent,
 * and a connection that comes too late ends by the etiquette. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "node/node_internal.h"
#include "os/clock.h"
#include "swallower.h"
#include "two_nodes.h"

/* ---- two addresses, the first of which is dialled first ------------------ */

/* Only the race lets alice reach the second address in time. */
static void patient(pn_node_options *opt, bool is_alice)
{
    (void)is_alice;
    opt->auto_connect = false;
    opt->connect_timeout_ms = 60000;
    opt->reconnect_min_ms = 60000;
    opt->reconnect_max_ms = 60000;
}

static void connect_at(two_nodes *t, const char *first)
{
    char address[32];

    node_address(t->bob, address);
    assert_int_equal(pn_pair_at(t->alice, &t->bob_key, "bob", address), PN_OK);
    assert_int_equal(pn_connect(t->alice, &t->bob_key, first), PN_OK);
    two_nodes_wait(two_nodes_are_linked, t);
}

/* The unanswered attempt is cancelled: no connection comes when there is room
 * again. */
static void test_race_swallowed(void **state)
{
    uint64_t since_us = pn_monotonic_now_us();
    swallower s;
    two_nodes t;

    (void)state;
    swallower_open(&s, 1, 0);
    two_nodes_open_apart(&t, patient);
    connect_at(&t, s.text);
    assert_true(pn_monotonic_now_us() - since_us >= 250 * PN_US_PER_MS);
    /* A SYN is sent again after a second. */
    assert_int_equal(swallower_accept(&s, 2500), -1);
    assert_true(pn_connected(t.alice, &t.bob_key));
    two_nodes_close(&t);
    swallower_close(&s);
}

static void test_race_refused(void **state)
{
    swallower s;
    two_nodes t;

    (void)state;
    swallower_open(&s, 1, 0);
    swallower_close(&s);
    two_nodes_open_apart(&t, patient);
    connect_at(&t, s.text);
    assert_int_equal(t.n_events[PN_EVENT_DIAL_FAILED], 1);
    two_nodes_close(&t);
}

/* ---- more than two ---------------------------------------------------------
 */

/* Hosts that drop each SYN, and then bob, as "A,B,...". */
enum { MAX_SWALLOWERS = 9 };

static swallower swallowers[MAX_SWALLOWERS];

static void swallowers_open(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        swallower_open(&swallowers[i], 2 + i, 0);
    }
}

static void swallowers_close(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        swallower_close(&swallowers[i]);
    }
}

static uint64_t n_dials(const two_nodes *t)
{
    pn_metrics m;

    assert_int_equal(pn_node_metrics(t->alice, &m), PN_OK);
    return m.dials;
}

static void add_to_list(char *list, size_t room, const char *address)
{
    size_t len = strlen(list);

    (void)snprintf(
        list + len, room - len, "%s%s", len == 0 ? "" : ",", address);
}

/* No host answers at the first n addresses of one dial. */
static void connect_after(two_nodes *t, unsigned n)
{
    char list[512] = "";
    char address[32];

    for (unsigned i = 0; i < n; i++) {
        add_to_list(list, sizeof(list), swallowers[i].text);
    }
    node_address(t->bob, address);
    add_to_list(list, sizeof(list), address);
    assert_int_equal(pn_pair(t->alice, &t->bob_key, "bob"), PN_OK);
    assert_int_equal(pn_connect(t->alice, &t->bob_key, list), PN_OK);
    two_nodes_wait(two_nodes_are_linked, t);
    assert_int_equal(n_dials(t), 1);
}

/* Each has 2 s, and the last is tried after more than that. */
static void two_seconds(pn_node_options *opt, bool is_alice)
{
    patient(opt, is_alice);
    opt->connect_timeout_ms = 2000;
}

static void test_race_last_of_many(void **state)
{
    uint64_t since_us;
    two_nodes t;

    (void)state;
    swallowers_open(MAX_SWALLOWERS);
    two_nodes_open_apart(&t, two_seconds);
    since_us = pn_monotonic_now_us();
    connect_after(&t, MAX_SWALLOWERS);
    assert_true(pn_monotonic_now_us() - since_us
                >= MAX_SWALLOWERS * 250 * PN_US_PER_MS);
    assert_int_equal(t.n_events[PN_EVENT_DIAL_FAILED], 0);
    two_nodes_close(&t);
    swallowers_close(MAX_SWALLOWERS);
}

static void hasty(pn_node_options *opt, bool is_alice)
{
    patient(opt, is_alice);
    opt->connect_timeout_ms = 300;
}

/* The outcome of each is reported. */
static void test_race_all_silent(void **state)
{
    two_nodes t;

    (void)state;
    swallowers_open(3);
    two_nodes_open_apart(&t, hasty);
    assert_int_equal(pn_pair(t.alice, &t.bob_key, "bob"), PN_OK);
    for (unsigned i = 3; i-- > 0;) {
        assert_int_equal(
            pn_connect(t.alice, &t.bob_key, swallowers[i].text), PN_OK);
    }
    two_nodes_wait_event(&t, PN_EVENT_DIAL_FAILED, 3);
    assert_int_equal(
        t.last_reason[PN_EVENT_DIAL_FAILED], PN_REASON_CONNECT_TIMEOUT);
    two_nodes_close(&t);
    swallowers_close(3);
}

/* There is a dial, and no other address for it. */
static bool is_only_waiting(void *user)
{
    const two_nodes *t = user;
    const pn_link *link;
    bool is_so;

    pn_node_lock(t->alice);
    link = PN_LIST_FIRST(&t->alice->links.all, pn_link, listed);
    is_so = link != NULL && link->stage == PN_LINK_DIALLING
            && ((const pn_peer_link *)(const void *)link)->race_us
                   == PN_TIME_NEVER;
    pn_node_unlock(t->alice);
    return is_so;
}

/* An unanswered dial does not delay an address that the owner gives
 * meanwhile. */
static void test_race_given_meanwhile(void **state)
{
    char address[32];
    two_nodes t;

    (void)state;
    swallowers_open(1);
    two_nodes_open_apart(&t, patient);
    node_address(t.bob, address);
    assert_int_equal(pn_pair(t.alice, &t.bob_key, "bob"), PN_OK);
    assert_int_equal(
        pn_connect(t.alice, &t.bob_key, swallowers[0].text), PN_OK);
    two_nodes_wait(is_only_waiting, &t);
    assert_int_equal(pn_connect(t.alice, &t.bob_key, address), PN_OK);
    two_nodes_wait(two_nodes_are_linked, &t);
    assert_int_equal(n_dials(&t), 1);
    two_nodes_close(&t);
    swallowers_close(1);
}

/* Lists that are none. */
static void test_race_bad_list(void **state)
{
    static const char *const lists[] = {"", ",", "127.0.0.1:1,,127.0.0.2:1",
        "127.0.0.1:1,127.0.0.1", "127.0.0.1:1,h:1", "127.0.0.1:1,127.0.0.1:0"};
    char list[512] = "";
    two_nodes t;

    (void)state;
    two_nodes_open_apart(&t, patient);
    assert_int_equal(pn_pair(t.alice, &t.bob_key, "bob"), PN_OK);
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        assert_int_equal(pn_connect(t.alice, &t.bob_key, lists[i]), PN_INVALID);
    }
    for (unsigned i = 0; i < PN_CONNECT_MAX; i++) {
        add_to_list(list, sizeof(list), "127.0.0.1:1");
    }
    assert_int_equal(pn_connect(t.alice, &t.bob_key, list), PN_OK);
    add_to_list(list, sizeof(list), "127.0.0.1:1");
    assert_int_equal(pn_connect(t.alice, &t.bob_key, list), PN_INVALID);
    two_nodes_close(&t);
}

/* ---- TCP, but for one thing -------------------------------------------------
 */

static void reopen_alice_over(two_nodes *t, const pn_transport_ops *transport)
{
    pn_node_options opt;

    pn_node_close(t->alice);
    two_nodes_options(&opt);
    patient(&opt, true);
    opt.data_dir = t->alice_dir;
    assert_int_equal(
        pn_node_open_over(&opt, transport, &t->alice, NULL), PN_OK);
}

/* A host without IPv6. */
static pn_err dial_v4(pn_loop *loop, const pn_address *to,
    const pn_conn_callbacks *callbacks, void *user, pn_conn **ret_conn,
    int *ret_errno)
{
    if (to->any.sa_family != AF_INET) {
        *ret_errno = EAFNOSUPPORT;
        return PN_SYS;
    }
    return pn_transport_tcp.dial(
        loop, to, callbacks, user, ret_conn, ret_errno);
}

/* If no connection can be started the next address is tried at once. */
static void test_race_cannot_begin(void **state)
{
    pn_transport_ops transport = pn_transport_tcp;
    char list[256] = "[::1]:7,[::1]:8";
    char address[32];
    two_nodes t;

    (void)state;
    swallowers_open(1);
    two_nodes_open_apart(&t, patient);
    transport.dial = dial_v4;
    reopen_alice_over(&t, &transport);
    add_to_list(list, sizeof(list), swallowers[0].text);
    add_to_list(list, sizeof(list), "[::1]:9");
    node_address(t.bob, address);
    add_to_list(list, sizeof(list), address);
    assert_int_equal(pn_pair(t.alice, &t.bob_key, "bob"), PN_OK);
    assert_int_equal(pn_connect(t.alice, &t.bob_key, list), PN_OK);
    two_nodes_wait(two_nodes_are_linked, &t);
    assert_int_equal(n_dials(&t), 1);
    two_nodes_close(&t);
    swallowers_close(1);
}

static bool always_answered(const pn_conn *conn)
{
    (void)conn;
    return true;
}

/* TCP, and each connection has been answered when the node looks: the first
 * stays open and silent, and ends two seconds later. */
static void test_race_too_late(void **state)
{
    pn_transport_ops transport = pn_transport_tcp;
    uint64_t since_us;
    swallower s;
    char byte;
    two_nodes t;
    int fd;

    (void)state;
    swallower_open(&s, 1, 0);
    two_nodes_open_apart(&t, patient);
    transport.is_answered = always_answered;
    reopen_alice_over(&t, &transport);
    since_us = pn_monotonic_now_us();
    connect_at(&t, s.text);
    fd = swallower_accept(&s, 10000);
    assert_true(fd >= 0);
    assert_true(fd_is_ready(fd, POLLIN, 10000));
    assert_int_equal(read(fd, &byte, 1), 0); /* the end, and not a byte */
    assert_true(pn_monotonic_now_us() - since_us >= 2 * PN_US_PER_S);
    assert_true(pn_connected(t.alice, &t.bob_key));
    (void)close(fd);
    two_nodes_close(&t);
    swallower_close(&s);
}

typedef struct ends {
    const two_nodes *t;
    uint64_t n;
} ends;

static bool have_ended(void *user)
{
    const ends *e = user;
    pn_metrics m;

    assert_int_equal(pn_node_metrics(e->t->alice, &m), PN_OK);
    return m.link_ends[PN_REASON_DUPLICATE] >= e->n;
}

/* Bob says that he is of our kind, and that the etiquette is owed to him. */
static void bob_counts_ends(two_nodes *t)
{
    pn_node_lock(t->bob);
    pn_full(t->bob)->kind.flags = 0;
    pn_node_unlock(t->bob);
}

/* Three came too late. The ends of two fill what a window of 6 s allows, so the
 * third stays that much longer. */
static void test_race_too_late_and_busy(void **state)
{
    pn_transport_ops transport = pn_transport_tcp;
    uint64_t since_us;
    two_nodes t;
    ends two = {&t, 2};
    ends three = {&t, 3};

    (void)state;
    swallowers_open(3);
    two_nodes_open_apart(&t, patient);
    transport.is_answered = always_answered;
    reopen_alice_over(&t, &transport);
    bob_counts_ends(&t);
    since_us = pn_monotonic_now_us();
    connect_after(&t, 3);
    two_nodes_wait(have_ended, &two);
    assert_true(pn_monotonic_now_us() - since_us >= 2 * PN_US_PER_S);
    two_nodes_wait(have_ended, &three);
    assert_true(pn_monotonic_now_us() - since_us >= 8 * PN_US_PER_S);
    assert_true(pn_connected(t.alice, &t.bob_key));
    two_nodes_close(&t);
    swallowers_close(3);
}

int main(void)
{
    pn_test_add("node/race/swallowed", test_race_swallowed, NULL);
    pn_test_add("node/race/refused", test_race_refused, NULL);
    pn_test_add("node/race/last_of_many", test_race_last_of_many, NULL);
    pn_test_add("node/race/all_silent", test_race_all_silent, NULL);
    pn_test_add("node/race/given_meanwhile", test_race_given_meanwhile, NULL);
    pn_test_add("node/race/bad_list", test_race_bad_list, NULL);
    pn_test_add("node/race/cannot_begin", test_race_cannot_begin, NULL);
    pn_test_add("node/race/too_late", test_race_too_late, NULL);
    pn_test_add(
        "node/race/too_late_and_busy", test_race_too_late_and_busy, NULL);
    return pn_test_run("node/race");
}

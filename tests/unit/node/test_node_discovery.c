/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two tables an application can supply, a discovery source and a network
 * monitor, driven by the test: a reported address is a hint, and only a paired
 * key is dialled.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "two_nodes.h"
#include "wire/announce.h"

typedef struct by_hand {
    pn_discovery_sink sink;
    pn_network_sink network;
    pn_public_key announced;
    atomic_uint announced_port;
    atomic_uint n_announces;
    atomic_int starts;
    atomic_int stops;
    unsigned n_source_fails; /* starts that are still to fail */
    unsigned n_monitor_fails;
    const char *addresses[2]; /* of this host, as the monitor says */
    size_t n_addresses;
} by_hand;

static pn_err fail_with(unsigned *n_fails, int sys_errno)
{
    (*n_fails)--;
    errno = sys_errno;
    return PN_SYS;
}

static pn_err source_start(void *user, const pn_discovery_sink *sink)
{
    by_hand *h = user;

    h->sink = *sink;
    atomic_fetch_add(&h->starts, 1);
    return h->n_source_fails > 0 ? fail_with(&h->n_source_fails, EADDRINUSE)
                                 : PN_OK;
}

static void source_stop(void *user)
{
    by_hand *h = user;

    atomic_fetch_add(&h->stops, 1);
}

static pn_err source_announce(
    void *user, const pn_public_key *key, uint16_t port)
{
    by_hand *h = user;

    h->announced = *key;
    atomic_store(&h->announced_port, port);
    atomic_fetch_add(&h->n_announces, 1);
    return PN_OK;
}

static const pn_discovery_source source = {
    .size = sizeof(source),
    .name = "by-hand",
    .start = source_start,
    .stop = source_stop,
    .announce = source_announce,
};

static pn_err monitor_start(void *user, const pn_network_sink *sink)
{
    by_hand *h = user;

    h->network = *sink;
    return h->n_monitor_fails > 0 ? fail_with(&h->n_monitor_fails, EMFILE)
                                  : PN_OK;
}

static void monitor_stop(void *user)
{
    by_hand *h = user;

    h->network = (pn_network_sink){0};
}

static pn_err monitor_current(
    void *user, pn_local_address *addresses, size_t cap, size_t *ret_n)
{
    const by_hand *h = user;

    for (size_t i = 0; i < h->n_addresses && i < cap; i++) {
        (void)snprintf(addresses[i].address, sizeof(addresses[i].address), "%s",
            h->addresses[i]);
    }
    *ret_n = h->n_addresses;
    return PN_OK;
}

static const pn_network_monitor monitor = {
    .size = sizeof(monitor),
    .name = "by-hand",
    .start = monitor_start,
    .stop = monitor_stop,
    .current = monitor_current,
};

/* Alice's; nodes are opened one after the other. */
static by_hand hand;

static void alice_by_hand(pn_node_options *opt, bool is_alice)
{
    if (!is_alice) {
        opt->on_event = NULL;
        return;
    }
    opt->discovery_source = &source;
    opt->discovery_source_user = &hand;
    opt->watch_network = true;
    opt->network_monitor = &monitor;
    opt->network_monitor_user = &hand;
}

static void open_by_hand(two_nodes *t)
{
    hand = (by_hand){.addresses = {"127.0.0.1", "::1"}, .n_addresses = 2};
    two_nodes_open_apart(t, alice_by_hand);
}

static void found(const pn_public_key *key, const char *address)
{
    hand.sink.found(hand.sink.node, key, address);
}

static void bob_found(two_nodes *t)
{
    char address[32];

    node_address(t->bob, address);
    found(&t->bob_key, address);
}

static uint64_t dials(two_nodes *t)
{
    pn_metrics m = {.size = sizeof(m)};

    assert_int_equal(pn_node_metrics(t->alice, &m), PN_OK);
    return m.dials;
}

static uint64_t network_changes(two_nodes *t)
{
    pn_metrics m;

    assert_int_equal(pn_node_metrics(t->alice, &m), PN_OK);
    return m.network_changes;
}

/* Time enough for a dial that must not be. */
static void a_while(void)
{
    struct timespec t = {.tv_nsec = 150000000};

    (void)nanosleep(&t, NULL);
}

static void assert_comes_up(two_nodes *t)
{
    assert_int_equal(
        pn_wait_connected(t->alice, &t->bob_key, 10000, NULL), PN_OK);
}

/* ---- the source --------------------------------------------------------- */

static void test_node_source_life(void **state)
{
    two_nodes t;

    (void)state;
    open_by_hand(&t);
    assert_int_equal(atomic_load(&hand.starts), 1);
    assert_memory_equal(&hand.announced, &t.alice_key, sizeof(t.alice_key));
    assert_int_equal(atomic_load(&hand.announced_port), pn_node_port(t.alice));
    assert_int_equal(atomic_load(&hand.stops), 0);
    two_nodes_close(&t);
    assert_int_equal(atomic_load(&hand.stops), 1);
}

/* The log lines about the source and the monitor. */
typedef struct noted {
    atomic_int failed[2]; /* how often */
    atomic_int sys_errno[2];
    atomic_int again[2];
} noted;

static noted logged;

static void note_log(const pn_log_event *event, unsigned i, bool is_again)
{
    if (event->text == NULL || strcmp(event->text, "by-hand") != 0) {
        return;
    }
    if (is_again) {
        atomic_fetch_add(&logged.again[i], 1);
    } else {
        atomic_store(&logged.sys_errno[i], event->sys_errno);
        atomic_fetch_add(&logged.failed[i], 1);
    }
}

static void on_log(void *user, const pn_log_event *event)
{
    (void)user;
    if (event->what == PN_LOG_DISCOVERY_FAILS
        || event->what == PN_LOG_DISCOVERY_AGAIN) {
        note_log(event, 0, event->what == PN_LOG_DISCOVERY_AGAIN);
    } else if (event->what == PN_LOG_NETWORK_NOT_WATCHED
               || event->what == PN_LOG_NETWORK_WATCHED) {
        note_log(event, 1, event->what == PN_LOG_NETWORK_WATCHED);
    }
}

static void logging_alice(pn_node_options *opt, bool is_alice)
{
    alice_by_hand(opt, is_alice);
    opt->on_log = is_alice ? on_log : NULL;
}

static bool has_begun_again(void *user)
{
    unsigned i = *(unsigned *)user;

    return atomic_load(&logged.again[i]) > 0;
}

/* The only source of a node as pn_list_sources has it. */
static pn_source_info the_source(pn_node *node)
{
    pn_source_info *sources = NULL;
    pn_source_info first;
    size_t n = 0;

    assert_int_equal(pn_list_sources(node, &sources, &n), PN_OK);
    assert_int_equal(n, 1);
    first = sources[0];
    free(sources);
    assert_string_equal(first.name, "by-hand");
    return first;
}

/* A source and a monitor that cannot start: each is named with its errno, once,
 * and started again every 5 s. The monitor fails twice. */
static void test_node_source_starts_again(void **state)
{
    static unsigned of_source = 0;
    static unsigned of_monitor = 1;
    time_t start = time(NULL);
    two_nodes t;

    (void)state;
    memset(&logged, 0, sizeof(logged));
    hand = (by_hand){.addresses = {"127.0.0.1", "::1"},
        .n_addresses = 2,
        .n_source_fails = 1,
        .n_monitor_fails = 2};
    two_nodes_open_apart(&t, logging_alice);
    assert_int_equal(atomic_load(&logged.failed[0]), 1);
    assert_int_equal(atomic_load(&logged.sys_errno[0]), EADDRINUSE);
    assert_int_equal(atomic_load(&logged.failed[1]), 1);
    assert_int_equal(atomic_load(&logged.sys_errno[1]), EMFILE);
    assert_int_equal(atomic_load(&hand.announced_port), 0);
    assert_false(the_source(t.alice).is_running);
    assert_false(the_source(t.alice).is_announcing);
    assert_int_equal(the_source(t.alice).sys_errno, EADDRINUSE);
    assert_true(the_source(t.alice).failed_at_ms / 1000 >= start);
    two_nodes_wait(has_begun_again, &of_source);
    assert_true(the_source(t.alice).is_running);
    assert_true(the_source(t.alice).is_announcing);
    assert_int_equal(the_source(t.alice).sys_errno, EADDRINUSE);
    assert_true(time(NULL) - start >= 4);
    assert_int_equal(atomic_load(&hand.starts), 2);
    assert_int_equal(atomic_load(&hand.announced_port), pn_node_port(t.alice));
    assert_int_equal(atomic_load(&logged.again[1]), 0);
    two_nodes_wait(has_begun_again, &of_monitor);
    assert_true(time(NULL) - start >= 9);
    assert_int_equal(atomic_load(&logged.failed[0]), 1);
    assert_int_equal(atomic_load(&logged.failed[1]), 1);
    two_nodes_close(&t);
    assert_int_equal(atomic_load(&hand.starts), 2);
}

static void test_node_found_after_pairing(void **state)
{
    pn_peer_info bob;
    two_nodes t;

    (void)state;
    open_by_hand(&t);
    assert_int_equal(pn_pair(t.alice, &t.bob_key, "bob"), PN_OK);
    a_while();
    assert_int_equal(dials(&t), 0);
    bob_found(&t);
    assert_comes_up(&t);
    assert_int_equal(pn_get_peer(t.alice, &t.bob_key, &bob), PN_OK);
    assert_string_equal(bob.rung, "by-hand");
    two_nodes_close(&t);
}

/* A source may report a peer only once. */
static void test_node_found_before_pairing(void **state)
{
    two_nodes t;

    (void)state;
    open_by_hand(&t);
    bob_found(&t);
    two_nodes_wait_event(&t, PN_EVENT_DISCOVERED, 1);
    a_while();
    assert_int_equal(dials(&t), 0);
    assert_int_equal(pn_pair(t.alice, &t.bob_key, "bob"), PN_OK);
    assert_comes_up(&t);
    two_nodes_close(&t);
}

static void test_node_lost_before_pairing(void **state)
{
    char address[32];
    two_nodes t;

    (void)state;
    open_by_hand(&t);
    bob_found(&t);
    node_address(t.bob, address);
    hand.sink.lost(hand.sink.node, &t.bob_key, address);
    two_nodes_wait_event(&t, PN_EVENT_LOST, 1);
    assert_int_equal(pn_pair(t.alice, &t.bob_key, "bob"), PN_OK);
    a_while();
    assert_int_equal(dials(&t), 0);
    assert_false(pn_connected(t.alice, &t.bob_key));
    two_nodes_close(&t);
}

static uint16_t udp_port;

static uint16_t free_udp_port(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&in, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    (void)close(fd);
    return ntohs(in.sin_port);
}

static void hearing_alice(pn_node_options *opt, bool is_alice)
{
    alice_by_hand(opt, is_alice);
    if (is_alice) {
        opt->discovery = PN_DISCOVERY_UDP;
        opt->discovery_address = "127.255.255.255";
        opt->discovery_port = udp_port;
        opt->discovery_listen_only = true;
    }
}

/* One datagram to alice, as bob sends them. */
static void bob_announces(two_nodes *t)
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
}

/* T15: what one source withdraws another may still hear. */
static void test_node_lost_by_one_of_two(void **state)
{
    pn_heard_info *rows = NULL;
    char address[32];
    size_t n = 0;
    two_nodes t;

    (void)state;
    udp_port = free_udp_port();
    hand = (by_hand){.addresses = {"127.0.0.1", "::1"}, .n_addresses = 2};
    two_nodes_open_apart(&t, hearing_alice);
    node_address(t.bob, address);
    bob_announces(&t);
    two_nodes_wait_event(&t, PN_EVENT_DISCOVERED, 1);
    bob_found(&t);
    hand.sink.lost(hand.sink.node, &t.bob_key, address);
    a_while();
    assert_int_equal(t.n_events[PN_EVENT_LOST], 0);
    assert_int_equal(pn_list_heard(t.alice, &rows, &n), PN_OK);
    assert_int_equal(n, 1);
    free(rows);
    assert_int_equal(pn_pair(t.alice, &t.bob_key, "bob"), PN_OK);
    assert_comes_up(&t);
    two_nodes_close(&t);
}

/* Every announce is the same: one event, one dial. */
static void test_node_found_again(void **state)
{
    two_nodes t;

    (void)state;
    open_by_hand(&t);
    assert_int_equal(pn_pair(t.alice, &t.bob_key, "bob"), PN_OK);
    for (int i = 0; i < 20; i++) {
        bob_found(&t);
    }
    assert_comes_up(&t);
    for (int i = 0; i < 20; i++) {
        bob_found(&t);
    }
    a_while();
    assert_int_equal(dials(&t), 1);
    assert_int_equal(t.n_events[PN_EVENT_DISCOVERED], 1);
    two_nodes_close(&t);
}

static void test_node_own_key_found(void **state)
{
    two_nodes t;

    (void)state;
    open_by_hand(&t);
    found(&t.alice_key, "127.0.0.1:7100");
    a_while();
    assert_int_equal(t.n_events[PN_EVENT_DISCOVERED], 0);
    two_nodes_close(&t);
}

static void test_node_found_at_nonsense(void **state)
{
    const char *address = *state;
    two_nodes t;

    open_by_hand(&t);
    assert_int_equal(pn_pair(t.alice, &t.bob_key, "bob"), PN_OK);
    found(&t.bob_key, address);
    a_while();
    assert_int_equal(t.n_events[PN_EVENT_DISCOVERED], 0);
    assert_int_equal(dials(&t), 0);
    two_nodes_close(&t);
}

/* Announces of strangers take bounded memory, and do not prevent a paired peer
 * from being found. */
static void test_node_many_strangers_found(void **state)
{
    pn_public_key key = {{0}};
    two_nodes t;

    (void)state;
    open_by_hand(&t);
    assert_int_equal(pn_pair(t.alice, &t.bob_key, "bob"), PN_OK);
    for (unsigned i = 0; i < 2000; i++) {
        memcpy(key.bytes, &i, sizeof(i));
        found(&key, "127.0.0.1:9");
    }
    bob_found(&t);
    assert_comes_up(&t);
    assert_int_equal(dials(&t), 1);
    /* As many events as the option allows are reported, and the rest are
     * counted. */
    (void)pthread_mutex_lock(&t.lock);
    assert_in_range(t.n_events[PN_EVENT_DISCOVERED], 256, 260);
    (void)pthread_mutex_unlock(&t.lock);
    two_nodes_close(&t);
}

static void test_node_strangers_drive_out_no_peer(void **state)
{
    pn_public_key key = {{0}};
    pn_heard_info *rows = NULL;
    two_nodes t;
    size_t n = 0;
    int n_bob = 0;

    (void)state;
    open_by_hand(&t);
    assert_int_equal(pn_pair(t.alice, &t.bob_key, "bob"), PN_OK);
    bob_found(&t);
    for (unsigned i = 0; i < 2000; i++) {
        memcpy(key.bytes, &i, sizeof(i));
        found(&key, "127.0.0.1:9");
    }
    assert_int_equal(pn_list_heard(t.alice, &rows, &n), PN_OK);
    assert_int_equal(n, 128);
    for (size_t i = 0; i < n; i++) {
        n_bob += pn_key_equal(&rows[i].key, &t.bob_key) ? 1 : 0;
    }
    assert_int_equal(n_bob, 1);
    free(rows);
    two_nodes_close(&t);
}

static void labelled(
    const pn_public_key *key, const char *address, const char *label)
{
    hand.sink.labelled(hand.sink.node, key, address, label);
}

/* The label of the only row. */
static void expect_label(two_nodes *t, const char *want)
{
    pn_heard_info *rows = NULL;
    size_t n = 0;

    assert_int_equal(pn_list_heard(t->alice, &rows, &n), PN_OK);
    assert_int_equal(n, 1);
    assert_string_equal(rows[0].published_label, want);
    free(rows);
}

/* A label goes with the address that its source has found. It names nobody: the
 * peer is paired without one, and stays so. */
static void test_node_published_label(void **state)
{
    char sixty_five[66];
    pn_peer_info bob;
    two_nodes t;

    (void)state;
    memset(sixty_five, 'x', 65);
    sixty_five[65] = '\0';
    open_by_hand(&t);
    assert_int_equal(pn_pair(t.alice, &t.bob_key, NULL), PN_OK);
    labelled(&t.bob_key, "127.0.0.1:9", "early");
    found(&t.bob_key, "127.0.0.1:9");
    expect_label(&t, "");
    labelled(&t.bob_key, "127.0.0.1:9", "kitchen");
    expect_label(&t, "kitchen");
    labelled(&t.bob_key, "127.0.0.1:10", "other port");
    labelled(&t.alice_key, "127.0.0.1:9", "other key");
    labelled(&t.bob_key, "nonsense", "nowhere");
    labelled(&t.bob_key, "127.0.0.1:9", "\x1b[2J");
    labelled(&t.bob_key, "127.0.0.1:9", "not UTF-8 \xff");
    labelled(&t.bob_key, "127.0.0.1:9", sixty_five);
    expect_label(&t, "kitchen");
    labelled(&t.bob_key, "127.0.0.1:9", sixty_five + 1);
    expect_label(&t, sixty_five + 1);
    labelled(&t.bob_key, "127.0.0.1:9", "");
    expect_label(&t, "");
    labelled(&t.bob_key, "127.0.0.1:9", "hall");
    assert_int_equal(pn_get_peer(t.alice, &t.bob_key, &bob), PN_OK);
    assert_string_equal(bob.label, "");
    assert_string_equal(bob.proposed_label, "");
    hand.sink.lost(hand.sink.node, &t.bob_key, "127.0.0.1:9");
    labelled(&t.bob_key, "127.0.0.1:9", "late");
    found(&t.bob_key, "127.0.0.1:9");
    expect_label(&t, "");
    two_nodes_close(&t);
}

/* Of an address that two sources hear: the label is of the one that told it,
 * and only while that one hears the address. */
static void test_node_published_label_of_two(void **state)
{
    char address[32];
    two_nodes t;

    (void)state;
    udp_port = free_udp_port();
    hand = (by_hand){.addresses = {"127.0.0.1", "::1"}, .n_addresses = 2};
    two_nodes_open_apart(&t, hearing_alice);
    node_address(t.bob, address);
    bob_announces(&t);
    two_nodes_wait_event(&t, PN_EVENT_DISCOVERED, 1);
    labelled(&t.bob_key, address, "not found by this one");
    expect_label(&t, "");
    bob_found(&t);
    labelled(&t.bob_key, address, "kitchen");
    expect_label(&t, "kitchen");
    hand.sink.lost(hand.sink.node, &t.bob_key, address);
    expect_label(&t, "");
    two_nodes_close(&t);
}

/* ---- the monitor -------------------------------------------------------- */

typedef struct change_case {
    const char *address; /* the only one left */
    bool ends;
} change_case;

static void test_node_network_change(void **state)
{
    const change_case *c = *state;
    two_nodes t;

    open_by_hand(&t);
    assert_int_equal(pn_pair(t.alice, &t.bob_key, "bob"), PN_OK);
    bob_found(&t);
    assert_comes_up(&t);
    two_nodes_wait_event(&t, PN_EVENT_PEER_UP, 1);
    hand.addresses[0] = c->address;
    hand.n_addresses = 1;
    hand.network.changed(hand.network.node);
    two_nodes_wait_event(&t, PN_EVENT_NETWORK_CHANGED, 1);
    assert_int_equal(network_changes(&t), 1);
    if (c->ends) {
        two_nodes_wait_event(&t, PN_EVENT_PEER_DOWN, 1);
        assert_int_equal(
            t.last_reason[PN_EVENT_PEER_DOWN], PN_REASON_ADDRESS_GONE);
        two_nodes_wait_event(&t, PN_EVENT_PEER_UP, 2);
    } else {
        a_while();
        assert_int_equal(t.n_events[PN_EVENT_PEER_DOWN], 0);
    }
    two_nodes_close(&t);
}

static unsigned n_announces(void)
{
    return atomic_load(&hand.n_announces);
}

static bool has_announced_again(void *user)
{
    return n_announces() > *(unsigned *)user;
}

/* An address that came is announced from; one that went, and what is heard, is
 * no reason to announce (T16). */
static void test_node_announces_from_a_new_address(void **state)
{
    static unsigned before;
    two_nodes t;

    (void)state;
    open_by_hand(&t);
    assert_int_equal(pn_pair(t.alice, &t.bob_key, "bob"), PN_OK);
    before = n_announces();
    bob_found(&t);
    assert_comes_up(&t);
    hand.n_addresses = 1;
    hand.network.changed(hand.network.node);
    two_nodes_wait_event(&t, PN_EVENT_NETWORK_CHANGED, 1);
    a_while();
    assert_int_equal(n_announces(), before);
    hand.addresses[1] = "192.0.2.7";
    hand.n_addresses = 2;
    hand.network.changed(hand.network.node);
    two_nodes_wait(has_announced_again, &before);
    a_while();
    assert_int_equal(n_announces(), before + 1);
    two_nodes_close(&t);
}

static bool is_silent(void *user)
{
    (void)user;
    return atomic_load(&hand.announced_port) == 0;
}

static bool is_announced(void *user)
{
    (void)user;
    return atomic_load(&hand.announced_port) != 0;
}

static void careful_alice(pn_node_options *opt, bool is_alice)
{
    alice_by_hand(opt, is_alice);
    opt->announce_on_new_networks = false;
}

/* T17: the key is not announced on a network the owner has not seen. */
static void test_node_t17_silent_on_a_new_network(void **state)
{
    two_nodes t;

    (void)state;
    hand = (by_hand){.addresses = {"127.0.0.1", "::1"}, .n_addresses = 2};
    two_nodes_open_apart(&t, careful_alice);
    assert_true(is_announced(NULL));
    hand.network.changed(hand.network.node);
    two_nodes_wait(is_silent, NULL);
    assert_int_equal(pn_discovery_resume(t.alice), PN_OK);
    two_nodes_wait(is_announced, NULL);
    two_nodes_close(&t);
}

static void listening_alice(pn_node_options *opt, bool is_alice)
{
    alice_by_hand(opt, is_alice);
    opt->discovery_listen_only = true;
}

static void test_node_t17_listen_only(void **state)
{
    two_nodes t;

    (void)state;
    hand = (by_hand){.addresses = {"127.0.0.1", "::1"}, .n_addresses = 2};
    two_nodes_open_apart(&t, listening_alice);
    hand.network.changed(hand.network.node);
    two_nodes_wait_event(&t, PN_EVENT_NETWORK_CHANGED, 1);
    assert_int_equal(pn_discovery_resume(t.alice), PN_OK);
    a_while();
    assert_true(is_silent(NULL));
    two_nodes_close(&t);
}

/* ---- reasons of failed dials
 * ---------------------------------------------- */

/* One of this host's that is not of its loopback. */
static char own_address[INET_ADDRSTRLEN];

static bool find_own_address(void)
{
    struct ifaddrs *all = NULL;
    bool is_found = false;

    assert_int_equal(getifaddrs(&all), 0);
    for (const struct ifaddrs *i = all; i != NULL && !is_found;
         i = i->ifa_next) {
        const struct sockaddr_in *in = (const void *)i->ifa_addr;

        is_found = in != NULL && in->sin_family == AF_INET
                   && (i->ifa_flags & (IFF_UP | IFF_LOOPBACK)) == IFF_UP
                   && inet_ntop(AF_INET, &in->sin_addr, own_address,
                          sizeof(own_address))
                          != NULL;
    }
    freeifaddrs(all);
    return is_found;
}

static void bob_on_own_address(pn_node_options *opt, bool is_alice)
{
    alice_by_hand(opt, is_alice);
    opt->listen_address = own_address;
}

static void assert_dial_failed(two_nodes *t, unsigned n, pn_reason want)
{
    two_nodes_wait_event(t, PN_EVENT_DIAL_FAILED, n);
    (void)pthread_mutex_lock(&t->lock);
    assert_string_equal(pn_reason_text(t->last_reason[PN_EVENT_DIAL_FAILED]),
        pn_reason_text(want));
    (void)pthread_mutex_unlock(&t->lock);
}

/* Bob announces himself, and stops: that he refuses then is no reason to think
 * that he listens on his loopback. That he announces himself once more is. */
static void test_node_guess_loopback(void **state)
{
    char address[32];
    two_nodes t;

    (void)state;
    if (!find_own_address()) {
        pn_test_skip("this host has loopback addresses only");
    }
    hand = (by_hand){.addresses = {"127.0.0.1", own_address}, .n_addresses = 2};
    two_nodes_open_apart(&t, bob_on_own_address);
    (void)snprintf(
        address, sizeof(address), "%s:%u", own_address, pn_node_port(t.bob));
    assert_int_equal(pn_pair(t.alice, &t.bob_key, "bob"), PN_OK);
    found(&t.bob_key, address);
    assert_comes_up(&t);
    found(&t.bob_key, address);
    pn_node_close(t.bob);
    t.bob = NULL;
    assert_dial_failed(&t, 1, PN_REASON_CONNECTION_REFUSED);
    found(&t.bob_key, address);
    assert_dial_failed(&t, 2, PN_REASON_PEER_LISTENS_ON_LOOPBACK);
    two_nodes_close(&t);
}

int main(void)
{
    static change_case stays = {"127.0.0.1", false};
    static change_case goes = {"192.0.2.1", true};
    static const char *const nonsense[] = {"", ":", "127.0.0.1",
        "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:-1",
        "127.0.0.1:7100x", "localhost:7100", "[::1:7100", "::1]:7100",
        "127.0.0.1.1:7100", "[::1%nothing-like-it]:7100"};

    pn_test_add("node/discovery/life", test_node_source_life, NULL);
    pn_test_add("node/discovery/found_after_pairing",
        test_node_found_after_pairing, NULL);
    pn_test_add("node/discovery/found_before_pairing",
        test_node_found_before_pairing, NULL);
    pn_test_add("node/discovery/lost_before_pairing",
        test_node_lost_before_pairing, NULL);
    pn_test_add(
        "node/t15/lost_by_one_of_two", test_node_lost_by_one_of_two, NULL);
    pn_test_add(
        "node/discovery/published_label", test_node_published_label, NULL);
    pn_test_add("node/discovery/published_label_of_two",
        test_node_published_label_of_two, NULL);
    pn_test_add("node/discovery/found_again", test_node_found_again, NULL);
    pn_test_add("node/t15/own_key_found", test_node_own_key_found, NULL);
    for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
        pn_test_addf(test_node_found_at_nonsense,
            (void *)(uintptr_t)nonsense[i], "node/discovery/nonsense_%zu", i);
    }
    pn_test_add(
        "node/discovery/many_strangers", test_node_many_strangers_found, NULL);
    pn_test_add("node/discovery/strangers_drive_out_no_peer",
        test_node_strangers_drive_out_no_peer, NULL);
    pn_test_add("node/discovery/T16 announces from a new address",
        test_node_announces_from_a_new_address, NULL);
    pn_test_add("node/t17/silent_on_a_new_network",
        test_node_t17_silent_on_a_new_network, NULL);
    pn_test_add("node/t17/listen_only", test_node_t17_listen_only, NULL);
    pn_test_add(
        "node/network/other_address_stays", test_node_network_change, &stays);
    pn_test_add("node/network/address_gone", test_node_network_change, &goes);
    pn_test_add(
        "node/discovery/starts_again", test_node_source_starts_again, NULL);
    pn_test_add(
        "node/discovery/guess_loopback", test_node_guess_loopback, NULL);
    return pn_test_run("node/discovery");
}

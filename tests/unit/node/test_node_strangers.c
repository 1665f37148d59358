/* SPDX-License-Identifier: Apache-2.0 */
/* Peers that are not paired, wrong keys, and connections that never speak: how
 * long they are kept, and the reports at each end. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "node/node_internal.h"
#include "os/clock.h"
#include "two_nodes.h"

/* ---- strangers --------------------------------------------------------- */

/* Eve has seen that the link was closed after her last message. */
static bool eve_knows_why(void *user)
{
    pn_peer_info *peers = NULL;
    size_t n = 0;
    bool knows;

    assert_int_equal(pn_list_peers(user, &peers, &n), PN_OK);
    knows = n == 1 && peers[0].last_reason == PN_REASON_NOT_PAIRED_THERE;
    free(peers);
    return knows;
}

enum { SHORT_MS = 1200 };

static uint64_t ms_since(uint64_t start_us)
{
    return (pn_monotonic_now_us() - start_us) / PN_US_PER_MS;
}

static void short_handshake(pn_node_options *opt, bool is_alice)
{
    if (!is_alice) {
        opt->handshake_timeout_ms = SHORT_MS;
    }
}

static bool eve_is_up(void *user)
{
    pn_metrics m;

    assert_int_equal(pn_node_metrics(user, &m), PN_OK);
    return m.auth_ok_initiator > 0;
}

/* All functions and metrics agree about a peer. */
static void assert_is_up(pn_node *node, const pn_public_key *key, bool is_up)
{
    pn_peer_info *peers = NULL;
    pn_why why = {0};
    pn_metrics m;
    size_t n = 0;

    assert_int_equal(pn_connected(node, key), is_up);
    assert_int_equal(
        pn_wait_connected(node, key, 1, &why), is_up ? PN_OK : PN_TIMEOUT);
    assert_int_equal(
        pn_send(node, key, "sink", "1"), is_up ? PN_OK : PN_NOT_CONNECTED);
    assert_int_equal(pn_list_peers(node, &peers, &n), PN_OK);
    assert_int_equal(n, 1);
    assert_int_equal(peers[0].state == PN_PEER_UP, is_up);
    assert_int_equal(peers[0].up_ms > 0, is_up);
    free(peers);
    assert_int_equal(pn_node_metrics(node, &m), PN_OK);
    assert_int_equal(m.links_up, is_up);
}

/* Etiquette (docs/PROTOCOL.md, section 7): a peer that is refused at the last
 * message of the handshake has an authenticated link at its own end (in an
 * Elixir node the link is up). It gets silence until the deadline, so that it
 * does not redial every half second. */
static void test_node_refused_gets_silence_until_the_deadline(void **state)
{
    char dir[64];
    char address[32];
    pn_node_options opt;
    pn_node *eve = NULL;
    pn_metrics m;
    uint64_t start_us;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, short_handshake);
    make_dir(dir);
    two_nodes_options(&opt);
    opt.data_dir = dir;
    assert_int_equal(pn_node_open(&opt, &eve, NULL), PN_OK);
    node_address(t.bob, address);
    start_us = pn_monotonic_now_us();
    assert_int_equal(pn_pair_at(eve, &t.bob_key, "bob", address), PN_OK);
    two_nodes_wait(eve_is_up, eve);
    two_nodes_wait_event(&t, PN_EVENT_DENIED, 1);
    assert_is_up(eve, &t.bob_key, false);
    assert_int_equal(pn_node_metrics(t.bob, &m), PN_OK);
    /* It keeps a stranger's place until then. */
    assert_true(m.strangers == 1 || ms_since(start_us) >= SHORT_MS);
    two_nodes_wait(eve_knows_why, eve);
    assert_true(ms_since(start_us) >= SHORT_MS * 9 / 10);
    assert_int_equal(pn_node_metrics(t.bob, &m), PN_OK);
    assert_int_equal(m.auth_failed_responder, 1);
    pn_node_close(eve);
    remove_dir(dir);
    two_nodes_close(&t);
}

static void test_node_stranger_gets_silence(void **state)
{
    char dir[64];
    char address[32];
    pn_node_options opt;
    pn_node *eve = NULL;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, short_handshake);
    make_dir(dir);
    two_nodes_options(&opt);
    opt.data_dir = dir;
    assert_int_equal(pn_node_open(&opt, &eve, NULL), PN_OK);
    node_address(t.bob, address);
    assert_int_equal(pn_pair_at(eve, &t.bob_key, "bob", address), PN_OK);
    two_nodes_wait_event(&t, PN_EVENT_DENIED, 1);
    assert_int_equal(t.last_reason[PN_EVENT_DENIED], PN_REASON_UNTRUSTED_PEER);
    two_nodes_wait(eve_knows_why, eve);
    assert_false(pn_connected(eve, &t.bob_key));
    assert_true(pn_connected(t.alice, &t.bob_key));
    pn_node_close(eve);
    remove_dir(dir);
    two_nodes_close(&t);
}

/* U6, T30: bob answers where carol's key is expected: no link comes of it. */
static void test_node_t30_wrong_peer_at_address(void **state)
{
    char address[32];
    pn_public_key carol = {{9}};
    pn_why why = {0};
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    node_address(t.bob, address);
    assert_int_equal(pn_pair_at(t.alice, &carol, "carol", address), PN_OK);
    two_nodes_wait_event(&t, PN_EVENT_DIAL_FAILED, 1);
    assert_int_equal(
        t.last_reason[PN_EVENT_DIAL_FAILED], PN_REASON_KEY_MISMATCH);
    assert_int_equal(pn_wait_connected(t.alice, &carol, 100, &why), PN_TIMEOUT);
    assert_int_equal(why.reason, PN_REASON_KEY_MISMATCH);
    assert_true(pn_connected(t.alice, &t.bob_key));
    two_nodes_close(&t);
}

static void test_node_t34_own_key_refused(void **state)
{
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    assert_int_equal(pn_pair(t.alice, pn_node_key(t.alice), "me"), PN_INVALID);
    two_nodes_close(&t);
}

static int raw_connect(uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

/* The other end closes without a byte. */
static void assert_closes(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char byte;

    assert_int_equal(poll(&p, 1, 10000), 1);
    assert_true(read(fd, &byte, 1) <= 0);
}

static void limit_strangers(pn_node_options *opt, bool is_alice)
{
    if (!is_alice) {
        opt->max_strangers = 3;
        opt->trusted_reserve = 0;
        opt->handshake_timeout_ms = 2000;
    }
}

static bool is_one_refused(void *user)
{
    pn_metrics m;

    assert_int_equal(pn_node_metrics(user, &m), PN_OK);
    return m.refused > 0;
}

static bool has_no_strangers(void *user)
{
    pn_metrics m;

    assert_int_equal(pn_node_metrics(user, &m), PN_OK);
    return m.strangers == 0;
}

/* T3: one too many is closed at once. Connections that never speak are closed
 * at the deadline, and their places are free again. */
static void test_node_t03_half_open(void **state)
{
    struct pollfd fds[4];
    uint64_t start_us = pn_monotonic_now_us();
    pn_metrics m;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, limit_strangers);
    for (int i = 0; i < 4; i++) {
        fds[i] = (struct pollfd){
            .fd = raw_connect(pn_node_port(t.bob)), .events = POLLIN};
    }
    two_nodes_wait(is_one_refused, t.bob);
    assert_true(poll(fds, 4, 10000) >= 1);
    assert_int_equal(pn_node_metrics(t.bob, &m), PN_OK);
    assert_true(m.strangers > 0 || ms_since(start_us) >= 2000);
    for (int i = 0; i < 4; i++) {
        assert_closes(fds[i].fd);
        (void)close(fds[i].fd);
    }
    two_nodes_wait(has_no_strangers, t.bob);
    assert_true(pn_connected(t.alice, &t.bob_key));
    two_nodes_close(&t);
}

/* BAD: garbage is not answered. */
static void test_node_t01_garbage_gets_no_byte(void **state)
{
    int fd;
    char byte;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    fd = raw_connect(pn_node_port(t.bob));
    assert_int_equal(write(fd, "GET / HTTP/1.1\r\n\r\n", 18), 18);
    assert_closes(fd);
    assert_true(read(fd, &byte, 1) <= 0);
    (void)close(fd);
    two_nodes_close(&t);
}

/* ---- when a peer is up ------------------------------------------------- */

/* A peer that unpaired us completes the handshake and says nothing, so it is
 * not up. */
static void test_node_unpaired_there_is_not_up(void **state)
{
    two_nodes t;

    (void)state;
    two_nodes_open(&t, short_handshake);
    two_nodes_wait_event(&t, PN_EVENT_PEER_UP, 2);
    assert_int_equal(pn_unpair(t.bob, &t.alice_key), PN_OK);
    two_nodes_wait_event(&t, PN_EVENT_DENIED, 1);
    two_nodes_wait(eve_knows_why, t.alice);
    two_nodes_wait_event(&t, PN_EVENT_DIAL_FAILED, 1);
    assert_int_equal(
        t.last_reason[PN_EVENT_DIAL_FAILED], PN_REASON_NOT_PAIRED_THERE);
    assert_int_equal(t.n_events[PN_EVENT_PEER_UP], 2);
    assert_int_equal(t.n_events[PN_EVENT_PEER_DOWN], 2);
    two_nodes_close(&t);
}

/* A link is up at the dialled end with the last handshake message, and at the
 * dialling end once the peer has spoken. */
static void test_node_up_is_one_truth(void **state)
{
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    two_nodes_wait_event(&t, PN_EVENT_PEER_UP, 2);
    assert_is_up(t.alice, &t.bob_key, true);
    assert_is_up(t.bob, &t.alice_key, true);
    two_nodes_close(&t);
}

int main(void)
{
    pn_test_add(
        "node/stranger/gets_silence", test_node_stranger_gets_silence, NULL);
    pn_test_add("node/stranger/silence_until_the_deadline",
        test_node_refused_gets_silence_until_the_deadline, NULL);
    pn_test_add("node/t30/wrong_peer_at_address",
        test_node_t30_wrong_peer_at_address, NULL);
    pn_test_add(
        "node/t34/own_key_refused", test_node_t34_own_key_refused, NULL);
    pn_test_add("node/t03/half_open", test_node_t03_half_open, NULL);
    pn_test_add("node/t01/garbage_gets_no_byte",
        test_node_t01_garbage_gets_no_byte, NULL);
    pn_test_add("node/tell/unpaired_there_is_not_up",
        test_node_unpaired_there_is_not_up, NULL);
    pn_test_add("node/tell/up_is_one_truth", test_node_up_is_one_truth, NULL);
    return pn_test_run("node/strangers");
}

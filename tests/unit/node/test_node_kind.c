/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two nodes of ours recognise each other and leave without the etiquette; a
 * peer of another make is not recognised, and is lingered for.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../session/link.h"
#include "node/node_internal.h"
#include "os/clock.h"
#include "two_nodes.h"

/* Much longer than this test may take. */
enum { FOR_EVER_MS = 600000, LINGER_MS = 300 };

static void linger_for_ever(pn_node_options *opt, bool is_alice)
{
    opt->linger_ms = FOR_EVER_MS;
    opt->own_label = is_alice ? "Alice's phone" : NULL;
}

static bool both_recognise(void *user)
{
    two_nodes *t = user;
    pn_peer_info bob;
    pn_peer_info alice;

    assert_int_equal(pn_get_peer(t->alice, &t->bob_key, &bob), PN_OK);
    assert_int_equal(pn_get_peer(t->bob, &t->alice_key, &alice), PN_OK);
    return bob.is_our_kind && alice.is_our_kind;
}

/* The node that dialled knows it as soon as the peer is up. */
static void test_recognised(void **state)
{
    pn_peer_info info;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, linger_for_ever);
    assert_int_equal(pn_get_peer(t.alice, &t.bob_key, &info), PN_OK);
    assert_true(info.is_our_kind);
    assert_string_equal(info.proposed_label, "");
    two_nodes_wait(both_recognise, &t);
    assert_int_equal(pn_get_peer(t.bob, &t.alice_key, &info), PN_OK);
    assert_string_equal(info.proposed_label, "Alice's phone");
    assert_false(pn_node_will_linger(t.alice));
    assert_false(pn_node_will_linger(t.bob));
    /* Neither takes the ten minutes. */
    pn_node_close(t.bob);
    t.bob = NULL;
    two_nodes_wait(two_nodes_are_apart, &t);
    assert_int_equal(pn_get_peer(t.alice, &t.bob_key, &info), PN_OK);
    assert_false(info.is_our_kind);
    assert_string_equal(info.proposed_label, "");
    assert_false(pn_node_will_linger(t.alice));
    two_nodes_close(&t);
}

static void linger_briefly(pn_node_options *opt, bool is_alice)
{
    (void)is_alice;
    opt->linger_ms = LINGER_MS;
}

/* One of our kind may still want the etiquette: the flag decides. */
static void test_flag_missing(void **state)
{
    char address[32];
    two_nodes t;

    (void)state;
    two_nodes_open_apart(&t, linger_briefly);
    pn_node_lock(t.bob);
    pn_full(t.bob)->kind.flags = 0;
    pn_node_unlock(t.bob);
    node_address(t.bob, address);
    assert_int_equal(pn_pair_at(t.alice, &t.bob_key, "bob", address), PN_OK);
    two_nodes_wait(two_nodes_are_linked, &t);
    two_nodes_wait(both_recognise, &t);
    assert_true(pn_node_will_linger(t.alice));
    assert_false(pn_node_will_linger(t.bob));
    two_nodes_close(&t);
}

/* ---- a peer of another make --------------------------------------------- */

static int listen_at(char ret_text[static 32])
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    (void)snprintf(ret_text, 32, "127.0.0.1:%u", ntohs(at.sin_port));
    return fd;
}

/* Moves bytes between the session and its socket until alice has its link. */
static void serve(pn_node *alice, end *peer, int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint8_t bytes[4096];

    while (!pn_connected(alice, &peer->identity.public_key)) {
        pn_buf out = {0};
        ssize_t n;

        if (poll(&p, 1, 20) == 0) {
            continue;
        }
        n = read(fd, bytes, sizeof(bytes));
        assert_true(n > 0);
        assert_int_equal(
            end_feed(peer, pn_monotonic_now_us(), bytes, (size_t)n), PN_OK);
        end_take(peer, pn_monotonic_now_us(), &out);
        if (pn_buf_used(&out) > 0) {
            assert_int_equal(write(fd, pn_buf_head(&out), pn_buf_used(&out)),
                pn_buf_used(&out));
        }
        pn_buf_fini(&out);
    }
}

static void test_other_make(void **state)
{
    uint64_t before;
    pn_node_options opt;
    pn_peer_info info;
    pn_node *alice;
    char dir[64];
    char at[32];
    int listening = listen_at(at);
    int fd;
    end peer;

    (void)state;
    make_dir(dir);
    two_nodes_options(&opt);
    opt.data_dir = dir;
    opt.linger_ms = LINGER_MS;
    opt.own_label = "alice";
    assert_int_equal(pn_node_open(&opt, &alice, NULL), PN_OK);
    assert_false(pn_node_will_linger(alice));
    end_init(&peer, false, 7);
    end_start(&peer, pn_monotonic_now_us());
    assert_int_equal(
        pn_pair_at(alice, &peer.identity.public_key, "peer", at), PN_OK);
    fd = accept(listening, NULL, NULL);
    assert_true(fd >= 0);
    serve(alice, &peer, fd);
    assert_int_equal(
        pn_get_peer(alice, &peer.identity.public_key, &info), PN_OK);
    assert_int_equal(info.state, PN_PEER_UP);
    assert_false(info.is_our_kind);
    assert_string_equal(info.proposed_label, "");
    assert_true(pn_node_will_linger(alice));
    before = pn_monotonic_now_us();
    pn_node_close(alice);
    assert_true(pn_monotonic_now_us() - before >= LINGER_MS * PN_US_PER_MS);
    end_fini(&peer);
    (void)close(fd);
    (void)close(listening);
    remove_dir(dir);
}

/* ---- updates ------------------------------------------------------------ */

/* Ours is short enough to be seen in the test, and still above one. */
enum { LABEL_EVENTS = 2, CHANGES = 3 };

static atomic_uint n_label_events;

static void on_label_event(void *user, const pn_event *event)
{
    (void)user;
    if (event->type == PN_EVENT_LABEL_PROPOSED) {
        assert_string_equal(pn_event_name(event->type), "label-proposed");
        atomic_fetch_add(&n_label_events, 1);
    }
}

static void few_label_events(pn_node_options *opt, bool is_alice)
{
    (void)is_alice;
    opt->on_event = on_label_event;
    opt->label_events_per_minute = LABEL_EVENTS;
}

static bool bob_calls_alice(two_nodes *t, const char *label)
{
    pn_peer_info info;

    assert_int_equal(pn_get_peer(t->bob, &t->alice_key, &info), PN_OK);
    return strcmp(info.proposed_label, label) == 0;
}

static char wanted[8];

static bool bob_has_wanted(void *user)
{
    return bob_calls_alice(user, wanted);
}

/* Each label arrives, and only so many are events. */
static void test_updates(void **state)
{
    two_nodes t;

    (void)state;
    two_nodes_open(&t, few_label_events);
    two_nodes_wait(both_recognise, &t);
    for (unsigned i = 0; i < CHANGES; i++) {
        (void)snprintf(wanted, sizeof(wanted), "name %u", i);
        assert_int_equal(pn_set_label(t.alice, wanted), PN_OK);
        two_nodes_wait(bob_has_wanted, &t);
    }
    wanted[0] = '\0';
    assert_int_equal(pn_set_label(t.alice, NULL), PN_OK);
    two_nodes_wait(bob_has_wanted, &t);
    assert_int_equal(pn_set_label(t.alice, ""), PN_INVALID);
    assert_int_equal(pn_set_label(t.alice, "a\nb"), PN_INVALID);
    assert_true(bob_calls_alice(&t, ""));
    two_nodes_close(&t);
    assert_int_equal(atomic_load(&n_label_events), LABEL_EVENTS);
}

static void test_label_limits(void **state)
{
    static const char *const bad[] = {"", "a\nb", "\xff",
        "1234567890123456789012345678901234567890123456789012345"};
    pn_why why = {0};
    pn_node_options opt;
    pn_node *node = NULL;
    char dir[64];

    (void)state;
    make_dir(dir);
    two_nodes_options(&opt);
    opt.data_dir = dir;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        opt.own_label = bad[i];
        assert_int_equal(pn_node_open(&opt, &node, &why), PN_INVALID);
        assert_non_null(strstr(why.text, "own_label"));
    }
    opt.own_label = bad[3] + 1; /* 54 bytes */
    assert_int_equal(pn_node_open(&opt, &node, &why), PN_OK);
    pn_node_close(node);
    remove_dir(dir);
}

int main(void)
{
    pn_test_add("node/kind/recognised", test_recognised, NULL);
    pn_test_add("node/kind/flag_missing", test_flag_missing, NULL);
    pn_test_add("node/kind/other_make", test_other_make, NULL);
    pn_test_add("node/kind/updates", test_updates, NULL);
    pn_test_add("node/kind/label_limits", test_label_limits, NULL);
    return pn_test_run("node/kind");
}

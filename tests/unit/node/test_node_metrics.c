/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters against counts from outside: a relay between two nodes counts bytes
 * and frames, the test counts its messages.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "two_nodes.h"
#include "wire/announce.h"

enum { N_CALLS = 40, N_SENDS = 30, BIG = 300000 };

/* ---- the relay ----------------------------------------------------------- */

/* One direction. Frames carry their length in clear. */
typedef struct stream {
    atomic_ullong n_bytes;
    atomic_ullong n_frames;
    uint8_t header[4];
    size_t n_header;
    size_t n_body; /* bytes left of the frame */
} stream;

typedef struct relay {
    int listener;
    uint16_t port;
    uint16_t to; /* bob's port */
    stream out;  /* from whoever dials */
    stream in;
    pthread_t thread;
} relay;

static void stream_count(stream *s, const uint8_t *data, size_t len)
{
    atomic_fetch_add(&s->n_bytes, len);
    while (len > 0) {
        size_t n;

        if (s->n_header < 4) {
            s->header[s->n_header++] = *data++;
            len--;
            s->n_body = s->n_header == 4 ? pn_load_be32(s->header) : 0;
            continue;
        }
        n = len < s->n_body ? len : s->n_body;
        data += n;
        len -= n;
        s->n_body -= n;
        if (s->n_body == 0) {
            s->n_header = 0;
            atomic_fetch_add(&s->n_frames, 1);
        }
    }
}

/* In pieces that fall across frames. False: the end. */
static bool pass(int from, int to, stream *s)
{
    uint8_t piece[1777];
    ssize_t n = recv(from, piece, sizeof(piece), 0);

    if (n <= 0) {
        return false;
    }
    stream_count(s, piece, (size_t)n);
    for (ssize_t at = 0; at < n;) {
        ssize_t sent = send(to, piece + at, (size_t)(n - at), MSG_NOSIGNAL);

        if (sent <= 0) {
            return false;
        }
        at += sent;
    }
    return true;
}

static void *relay_main(void *arg)
{
    relay *r = arg;
    struct sockaddr_in at = {.sin_family = AF_INET,
        .sin_port = htons(r->to),
        .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int a = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC);
    int b = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct pollfd fds[2] = {
        {.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};
    bool goes_on = connect(b, (struct sockaddr *)&at, sizeof(at)) == 0;

    while (goes_on && poll(fds, 2, -1) > 0) {
        if (fds[0].revents != 0) {
            goes_on = pass(a, b, &r->out);
        }
        if (goes_on && fds[1].revents != 0) {
            goes_on = pass(b, a, &r->in);
        }
    }
    (void)close(a);
    (void)close(b);
    return NULL;
}

static void relay_open(relay *r, uint16_t to)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(at);

    memset(r, 0, sizeof(*r));
    r->to = to;
    r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(r->listener >= 0);
    assert_int_equal(bind(r->listener, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(r->listener, 4), 0);
    assert_int_equal(getsockname(r->listener, (struct sockaddr *)&at, &len), 0);
    r->port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&r->thread, NULL, relay_main, r), 0);
}

static void relay_close(relay *r)
{
    assert_int_equal(pthread_join(r->thread, NULL), 0);
    (void)close(r->listener);
}

/* ---- traffic ------------------------------------------------------------ */

typedef struct counted {
    two_nodes t;
    relay r;
    atomic_int n_sent; /* messages that came */
} counted;

static void on_sent(pn_request *req, pn_term args, void *user)
{
    (void)req;
    (void)args;
    atomic_fetch_add((atomic_int *)user, 1);
}

static pn_metrics metrics_of(pn_node *node)
{
    pn_metrics m;

    assert_int_equal(pn_node_metrics(node, &m), PN_OK);
    return m;
}

static bool bytes_agree(void *user)
{
    counted *c = user;
    pn_metrics alice = metrics_of(c->t.alice);
    pn_metrics bob = metrics_of(c->t.bob);
    uint64_t out = atomic_load(&c->r.out.n_bytes);
    uint64_t in = atomic_load(&c->r.in.n_bytes);

    return alice.bytes_out == out && bob.bytes_in == out && alice.bytes_in == in
           && bob.bytes_out == in;
}

static bool sends_came(void *user)
{
    return atomic_load(&((counted *)user)->n_sent) == N_SENDS;
}

static void quiet(pn_node_options *opt, bool is_alice)
{
    (void)is_alice;
    opt->ping_interval_ms = 3600000; /* nothing but what the test does */
    opt->pong_timeout_ms = 3600000;
}

static void counted_open(counted *c)
{
    char address[32];

    memset(c, 0, sizeof(*c));
    two_nodes_open_apart(&c->t, quiet);
    relay_open(&c->r, pn_node_port(c->t.bob));
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", c->r.port);
    assert_int_equal(
        pn_pair_at(c->t.alice, &c->t.bob_key, "bob", address), PN_OK);
    assert_int_equal(
        pn_wait_connected(c->t.alice, &c->t.bob_key, 10000, NULL), PN_OK);
    assert_int_equal(
        pn_wait_connected(c->t.bob, &c->t.alice_key, 10000, NULL), PN_OK);
    assert_int_equal(
        pn_expose(c->t.bob, "echo", two_nodes_on_echo, NULL, NULL), PN_OK);
    assert_int_equal(
        pn_expose(c->t.bob, "sent", on_sent, &c->n_sent, NULL), PN_OK);
}

static void traffic(counted *c)
{
    uint8_t *big = calloc(1, BIG);

    assert_non_null(big);
    for (int i = 0; i < N_CALLS; i++) {
        assert_int_equal(pn_call(c->t.alice, &c->t.bob_key, "echo", 20000, NULL,
                             "~b", (pn_slice){big, i % 4 == 0 ? BIG : 10}),
            PN_OK);
    }
    for (int i = 0; i < N_SENDS; i++) {
        assert_int_equal(
            pn_send(c->t.alice, &c->t.bob_key, "sent", "~i", i), PN_OK);
    }
    two_nodes_wait(sends_came, c);
    free(big);
}

static void counted_close(counted *c)
{
    pn_node_close(c->t.alice);
    c->t.alice = NULL;
    relay_close(&c->r);
    two_nodes_close(&c->t);
}

/* Each byte once, whatever pieces it came in. */
static void test_bytes(void **state)
{
    counted c;

    (void)state;
    counted_open(&c);
    traffic(&c);
    two_nodes_wait(bytes_agree, &c);
    assert_true(metrics_of(c.t.alice).bytes_in > (uint64_t)BIG * N_CALLS / 4);
    counted_close(&c);
}

static void test_frames(void **state)
{
    counted c;
    pn_metrics alice;
    pn_metrics bob;

    (void)state;
    counted_open(&c);
    traffic(&c);
    two_nodes_wait(bytes_agree, &c);
    alice = metrics_of(c.t.alice);
    bob = metrics_of(c.t.bob);
    assert_int_equal(alice.frames_out, atomic_load(&c.r.out.n_frames));
    assert_int_equal(bob.frames_in, alice.frames_out);
    assert_int_equal(bob.frames_out, atomic_load(&c.r.in.n_frames));
    assert_int_equal(alice.frames_in, bob.frames_out);
    counted_close(&c);
}

static void test_messages(void **state)
{
    counted c;
    pn_metrics alice;
    pn_metrics bob;

    (void)state;
    counted_open(&c);
    traffic(&c);
    alice = metrics_of(c.t.alice);
    bob = metrics_of(c.t.bob);
    assert_int_equal(alice.calls_out, N_CALLS);
    assert_int_equal(bob.calls_in, N_CALLS);
    assert_int_equal(alice.replies_in, N_CALLS);
    assert_int_equal(alice.sends_out, N_SENDS);
    assert_int_equal(bob.sends_in, N_SENDS);
    assert_int_equal(alice.calls_in + alice.sends_in, 0);
    assert_int_equal(bob.calls_out + bob.sends_out + bob.replies_in, 0);
    assert_int_equal(alice.call_timeouts, 0);
    counted_close(&c);
}

static void test_links(void **state)
{
    counted c;
    pn_metrics alice;
    pn_metrics bob;

    (void)state;
    counted_open(&c);
    alice = metrics_of(c.t.alice);
    bob = metrics_of(c.t.bob);
    assert_int_equal(alice.links_up, 1);
    assert_int_equal(bob.links_up, 1);
    assert_int_equal(alice.dials, 1);
    assert_int_equal(alice.dial_failures, 0);
    assert_int_equal(bob.dials, 0);
    assert_int_equal(bob.accepted, 1);
    assert_int_equal(bob.strangers, 0);
    assert_int_equal(bob.refused, 0);
    assert_int_equal(alice.auth_ok_initiator, 1);
    assert_int_equal(bob.auth_ok_responder, 1);
    assert_int_equal(alice.auth_ok_responder + bob.auth_ok_initiator, 0);
    assert_true(alice.auth_us_initiator > 0);
    assert_true(bob.auth_us_responder > 0);
    assert_int_equal(alice.auth_failed_initiator, 0);
    assert_int_equal(bob.auth_failed_responder, 0);
    pn_node_close(c.t.alice);
    c.t.alice = NULL;
    two_nodes_wait_event(&c.t, PN_EVENT_PEER_DOWN, 2);
    bob = metrics_of(c.t.bob);
    assert_int_equal(bob.links_up, 0);
    assert_int_equal(bob.link_ends[PN_REASON_PEER_CLOSED], 1);
    relay_close(&c.r);
    two_nodes_close(&c.t);
}

/* ---- failures ------------------------------------------------------------ */

static void on_slow(pn_request *req, pn_term args, void *user)
{
    on_gatepost(req, args, user);
}

static bool has_handler_timeout(void *user)
{
    return metrics_of(((two_nodes *)user)->bob).handler_timeouts == 1;
}

static void test_refusals(void **state)
{
    gatepost gate = {.n_wanted = 1};
    pn_expose_options opt;
    two_nodes t;

    (void)state;
    two_nodes_open(&t, NULL);
    pn_expose_options_init(&opt);
    opt.timeout_ms = 300;
    assert_int_equal(pn_expose(t.bob, "slow", on_slow, &gate, &opt), PN_OK);
    assert_int_equal(
        pn_call(t.alice, &t.bob_key, "slow", 20, NULL, "1"), PN_TIMEOUT);
    assert_int_equal(metrics_of(t.alice).call_timeouts, 1);
    two_nodes_wait(has_handler_timeout, &t);
    atomic_store(&gate.is_open, true);
    assert_int_equal(
        pn_call(t.alice, &t.bob_key, "nothing", 5000, NULL, "1"), PN_REMOTE);
    assert_int_equal(metrics_of(t.bob).denials[PN_REASON_NO_SUCH_HANDLE], 1);
    two_nodes_close(&t);
}

static bool has_failed_dial(void *user)
{
    return metrics_of(((two_nodes *)user)->alice).dial_failures >= 1;
}

/* Bob has not paired alice: her handshake is complete, his is not. */
static void test_failures(void **state)
{
    char address[32];
    two_nodes t;

    (void)state;
    two_nodes_open_apart(&t, NULL);
    assert_int_equal(pn_unpair(t.bob, &t.alice_key), PN_OK);
    node_address(t.bob, address);
    assert_int_equal(pn_pair_at(t.alice, &t.bob_key, "bob", address), PN_OK);
    two_nodes_wait_event(&t, PN_EVENT_DENIED, 1);
    assert_int_equal(metrics_of(t.bob).auth_failed_responder, 1);
    assert_int_equal(metrics_of(t.bob).auth_ok_responder, 0);
    assert_int_equal(metrics_of(t.bob).denials[PN_REASON_UNTRUSTED_PEER], 1);
    pn_node_close(t.bob);
    t.bob = NULL;
    assert_int_equal(pn_connect(t.alice, &t.bob_key, address), PN_OK);
    two_nodes_wait(has_failed_dial, &t);
    two_nodes_close(&t);
}

/* Says something else than a handshake to each that dials. */
static void *babble(void *arg)
{
    const int *listener = arg;
    uint8_t bytes[128];
    int fd;

    memset(bytes, 'x', sizeof(bytes));
    while ((fd = accept4(*listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        (void)!send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
        while (recv(fd, bytes, sizeof(bytes), 0) > 0) {}
        (void)close(fd);
    }
    return NULL;
}

static bool has_failed_auth(void *user)
{
    pn_metrics alice = metrics_of(((two_nodes *)user)->alice);

    return alice.auth_failed_initiator == 1;
}

/* One dial of alice's, at something that is no node. */
static void test_initiator_fails(void **state)
{
    pthread_t thread;
    char address[32];
    int listener = pn_test_socket(SOCK_STREAM, address);
    two_nodes t;

    (void)state;
    two_nodes_open_apart(&t, quiet);
    assert_int_equal(listen(listener, 4), 0);
    assert_int_equal(pthread_create(&thread, NULL, babble, &listener), 0);
    assert_int_equal(pn_pair_at(t.alice, &t.bob_key, "bob", address), PN_OK);
    two_nodes_wait(has_failed_auth, &t);
    assert_int_equal(metrics_of(t.alice).dials, 1);
    assert_int_equal(metrics_of(t.alice).auth_ok_initiator, 0);
    assert_int_equal(metrics_of(t.alice).auth_failed_responder, 0);
    pn_node_close(t.alice);
    t.alice = NULL;
    (void)shutdown(listener, SHUT_RDWR);
    assert_int_equal(pthread_join(thread, NULL), 0);
    (void)close(listener);
    two_nodes_close(&t);
}

/* ---- discovery ------------------------------------------------------------
 */

enum { N_GOOD = 3, N_BAD = 2, N_HEARD = 3 };

typedef struct listener {
    pn_node *node;
    int fd;
    uint64_t n_heard;
} listener;

/* Announces go there: a socket of this address is before alice's, which is of
 * every address. */
#define HEARD_AT "127.0.0.2"

static int udp_socket(uint16_t *ret_port)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;

    assert_true(fd >= 0);
    assert_int_equal(
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
    assert_int_equal(inet_pton(AF_INET, HEARD_AT, &at.sin_addr), 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *ret_port = ntohs(at.sin_port);
    return fd;
}

/* All that were sent have been heard here. */
static bool announces_agree(void *user)
{
    listener *l = user;
    uint8_t datagram[64];
    uint64_t out = metrics_of(l->node).announces_out;

    while (recv(l->fd, datagram, sizeof(datagram), 0) > 0) {
        l->n_heard++;
    }
    return l->n_heard >= N_HEARD && out == l->n_heard;
}

static bool announces_came(void *user)
{
    return metrics_of(((listener *)user)->node).announces_in == N_GOOD + N_BAD;
}

static void announce_to(const listener *l, uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr = {htonl(INADDR_LOOPBACK)}};

    for (uint8_t i = 0; i < N_GOOD + N_BAD; i++) {
        pn_announce announce = {.port = 7100, .key = {{i, 1}}};
        uint8_t datagram[PN_ANNOUNCE_LEN];
        size_t len = i < N_GOOD ? sizeof(datagram) : sizeof(datagram) - 1;

        pn_announce_write(&announce, datagram);
        assert_int_equal(
            sendto(l->fd, datagram, len, 0, (struct sockaddr *)&at, sizeof(at)),
            len);
    }
}

static void test_announces(void **state)
{
    pn_node_options opt;
    char dir[64];
    uint16_t port;
    listener l = {0};

    (void)state;
    l.fd = udp_socket(&port);
    make_dir(dir);
    two_nodes_options(&opt);
    opt.data_dir = dir;
    opt.discovery = PN_DISCOVERY_UDP;
    opt.discovery_address = HEARD_AT;
    opt.discovery_port = port;
    opt.announce_interval_ms = 100;
    assert_int_equal(pn_node_open(&opt, &l.node, NULL), PN_OK);
    two_nodes_wait(announces_agree, &l);
    announce_to(&l, port);
    two_nodes_wait(announces_came, &l);
    assert_int_equal(metrics_of(l.node).announces_dropped, N_BAD);
    pn_node_close(l.node);
    (void)close(l.fd);
    remove_dir(dir);
}

int main(void)
{
    pn_test_add("node/metrics/bytes", test_bytes, NULL);
    pn_test_add("node/metrics/frames", test_frames, NULL);
    pn_test_add("node/metrics/messages", test_messages, NULL);
    pn_test_add("node/metrics/links", test_links, NULL);
    pn_test_add("node/metrics/refusals", test_refusals, NULL);
    pn_test_add("node/metrics/failures", test_failures, NULL);
    pn_test_add("node/metrics/initiator_fails", test_initiator_fails, NULL);
    pn_test_add("node/metrics/announces", test_announces, NULL);
    return pn_test_run("node/metrics");
}

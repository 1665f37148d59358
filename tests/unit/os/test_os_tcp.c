/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of TCP alone: families, socket options, peers with Nagle's algorithm,
 * memory. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <net/if.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "conform/conform.h"

#define KIB ((size_t)1024)

static pn_address address_of(const char *text, uint16_t port)
{
    pn_address address;

    assert_int_equal(pn_address_parse(text, port, &address), PN_OK);
    return address;
}

static bool client_ended(rig *r)
{
    return r->client.n_end > 0;
}

static bool has_accepted(rig *r)
{
    return r->n_accepts > 0 && r->client.n_open > 0;
}

static bool server_has_data(rig *r)
{
    return r->server.n_data > 0;
}

/* ---- families --------------------------------------------------------- */

typedef struct family_row {
    const char *listen;
    const char *dial;
    const char *from; /* NULL: refused */
    bool needs_ipv6;
} family_row;

static family_row families[] = {
    {"[::]:0", "127.0.0.1", "127.0.0.1", false},
    {"[::]:0", "127.8.9.10", "127.0.0.1", false},
    {"[::]:0", "::1", "::1", true},
    {"0.0.0.0:0", "127.0.0.1", "127.0.0.1", false},
    {"0.0.0.0:0", "::1", NULL, true},
    {"127.0.0.1:0", "127.0.0.1", "127.0.0.1", false},
    {"127.0.0.1:0", "127.0.0.2", NULL, false},
    {"127.0.0.1:0", "::1", NULL, true},
    {"[::1]:0", "::1", "::1", true},
    {"[::1]:0", "127.0.0.1", NULL, true},
};

/* The wildcard of IPv6 accepts both families, and an IPv4 peer has an IPv4
 * address; any other address accepts its own connections alone. */
static void test_family(void **state)
{
    const family_row *row = *state;
    rig r;
    pn_address to;
    pn_address local;
    pn_address remote;
    char text[PN_ADDRESS_TEXT_LEN];

    if (row->needs_ipv6 && !host_has_ipv6()) {
        pn_test_skip("no IPv6 here");
    }
    rig_init(&r, &pn_transport_tcp, row->listen);
    to = address_of(row->dial, pn_address_port(&r.at));
    rig_dial(&r, &to);
    if (row->from == NULL) {
        assert_true(rig_run(&r, client_ended));
        assert_int_equal(r.client.sys_errno, ECONNREFUSED);
        assert_int_equal(r.n_accepts, 0);
    } else {
        assert_true(rig_run(&r, has_accepted));
        pn_address_host_text(&r.accept_from, text);
        assert_string_equal(text, row->from);
        r.ops->addresses(r.server.conn, &local, &remote);
        assert_true(pn_address_equal(&local, &to));
        assert_int_equal(local.any.sa_family, to.any.sa_family);
        assert_int_equal(remote.any.sa_family, to.any.sa_family);
    }
    rig_fini(&r);
}

/* ---- descriptors ------------------------------------------------------ */

enum { FDS_MAX = 256 };

/* Every descriptor is close-on-exec, every socket of a link sends at once. */
static void test_descriptors(void **state)
{
    rig r;
    bool was_open[FDS_MAX];
    unsigned n_links = 0;

    (void)state;
    for (int fd = 0; fd < FDS_MAX; fd++) {
        was_open[fd] = fcntl(fd, F_GETFD) >= 0;
    }
    rig_init(&r, &pn_transport_tcp, "127.0.0.1:0");
    rig_connect(&r);
    for (int fd = 0; fd < FDS_MAX; fd++) {
        int flags = fcntl(fd, F_GETFD);
        int nodelay = 0;
        socklen_t len = sizeof(nodelay);
        pn_address peer;
        socklen_t peer_len = sizeof(peer);

        if (flags < 0 || was_open[fd]) {
            continue;
        }
        assert_true((flags & FD_CLOEXEC) != 0);
        if (getpeername(fd, &peer.any, &peer_len) == 0
            && peer.any.sa_family == AF_INET) {
            assert_int_equal(
                getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &len), 0);
            assert_int_equal(nodelay, 1);
            assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
            n_links++;
        }
    }
    assert_int_equal(n_links, 2);
    rig_fini(&r);
}

/* Opening and closing leaves no descriptor behind. */
static unsigned count_fds(void)
{
    unsigned n = 0;

    for (int fd = 0; fd < FDS_MAX; fd++) {
        n += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    }
    return n;
}

static void test_no_descriptor_leaks(void **state)
{
    unsigned before = 0;

    (void)state;
    for (int i = 0; i < 3; i++) {
        rig r;

        rig_init(&r, &pn_transport_tcp, "127.0.0.1:0");
        rig_connect(&r);
        r.ops->listener_pause(r.listener);
        rig_fini(&r);
        if (i == 0) {
            before = count_fds(); /* with what libuv keeps for good */
        }
    }
    assert_int_equal(count_fds(), before);
}

/* ---- a peer with Nagle's algorithm ------------------------------------ */

enum { ROUNDS = 60 };

static uint64_t now_us(void)
{
    struct timespec ts;

    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &ts), 0);
    return (uint64_t)ts.tv_sec * PN_US_PER_S + (uint64_t)ts.tv_nsec / 1000;
}

/* A send and a call, as two small writes; then the reply. Reports how many
 * rounds took longer than 35 ms, with Nagle's algorithm and without: a delayed
 * acknowledgement takes 40 ms, and so may a machine that is busy. */
static void nagled_peer(const pn_address *to, int report)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unsigned char slow[2] = {0};
    char c;

    if (connect(fd, &to->any, pn_address_len(to)) != 0) {
        _exit(1);
    }
    for (int i = 0; i < 2 * ROUNDS; i++) {
        int is_at_once = i % 2;
        uint64_t start_us = now_us();

        if (setsockopt(
                fd, IPPROTO_TCP, TCP_NODELAY, &is_at_once, sizeof(is_at_once))
                != 0
            || write(fd, "send", 4) != 4 || write(fd, "call", 4) != 4
            || read(fd, &c, 1) != 1) {
            _exit(1);
        }
        if (now_us() - start_us > 35000) {
            slow[is_at_once]++;
        }
        (void)usleep(200);
    }
    (void)!write(report, slow, sizeof(slow));
    _exit(0);
}

typedef struct answerer {
    rig *r;
    pn_conn *conn;
    size_t got;
    bool has_ended;
} answerer;

static size_t answer_on_data(
    void *user, uint8_t *data, size_t len, size_t *want)
{
    answerer *a = user;
    size_t n;

    (void)data;
    (void)want;
    a->got += len;
    if (a->got % 8 == 0) {
        (void)a->r->ops->write(a->conn, (const uint8_t *)"r", 1, &n);
    }
    return len;
}

static void answer_on_end(void *user, pn_err why, int sys_errno)
{
    answerer *a = user;

    (void)why;
    (void)sys_errno;
    a->has_ended = true;
}

static const pn_conn_callbacks answer_callbacks = {
    .on_data = answer_on_data, .on_end = answer_on_end};

static answerer the_answerer;

static void answer_on_accept(void *user, pn_conn *conn, const pn_address *from)
{
    (void)from;
    the_answerer.conn = conn;
    the_answerer.r = user;
    the_answerer.r->ops->set_callbacks(conn, &answer_callbacks, &the_answerer);
}

static const pn_listener_callbacks answer_listener = {
    .on_accept = answer_on_accept};

static bool peer_is_done(rig *r)
{
    (void)r;
    return the_answerer.has_ended;
}

static void test_peer_with_nagle(void **state)
{
    rig r;
    int fds[2];
    int sys_errno;
    unsigned char slow[2];
    pid_t child;

    (void)state;
    the_answerer = (answerer){0};
    rig_init(&r, &pn_transport_tcp, "127.0.0.1:0");
    r.ops->listener_close(r.listener);
    assert_int_equal(r.ops->listen(r.loop, &r.at, &answer_listener, &r,
                         &r.listener, &sys_errno),
        PN_OK);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    child = fork();
    if (child == 0) {
        nagled_peer(&r.at, fds[1]);
    }
    assert_true(rig_run(&r, peer_is_done));
    (void)waitpid(child, NULL, 0);
    assert_int_equal(read(fds[0], slow, sizeof(slow)), sizeof(slow));
    assert_in_range(slow[0], 0, slow[1] + ROUNDS / 2); /* or all of them */
    r.ops->close(the_answerer.conn);
    (void)close(fds[0]);
    (void)close(fds[1]);
    rig_fini(&r);
}

/* ---- memory ----------------------------------------------------------- */

static size_t allocated(void)
{
    struct mallinfo2 m = mallinfo2();

    return m.uordblks + m.hblkhd;
}

/* A peer that promises 2 MiB and sends 20 KiB gets room for what it sent, and
 * about as much again (T5). */
static void test_promise_is_no_memory(void **state)
{
    static const uint8_t piece[20 * 1024];
    rig r;
    size_t before;

    (void)state;
    rig_init(&r, &pn_transport_tcp, "127.0.0.1:0");
    rig_connect(&r);
    r.server.take = 0;
    r.server.want = PN_CONN_REST_MAX;
    before = allocated();
    assert_int_equal(side_write(&r.client, piece, 4), PN_OK);
    assert_true(rig_run(&r, server_has_data));
    assert_true(allocated() - before < 4 * KIB);
    assert_int_equal(side_write(&r.client, piece, sizeof(piece)), PN_OK);
    rig_settle(&r, 20);
    assert_int_equal(side_write(&r.client, piece, 4), PN_OK);
    rig_settle(&r, 20);
    assert_true(allocated() - before < 192 * KIB);
    rig_fini(&r);
}

/* Kept bytes are freed once they are consumed. */
static bool server_has_all(rig *r)
{
    return pn_buf_used(&r->server.in) == 800 * KIB;
}

static void test_rest_is_freed(void **state)
{
    uint8_t *data = calloc(1, 800 * KIB);
    rig r;
    size_t before;

    (void)state;
    assert_non_null(data);
    rig_init(&r, &pn_transport_tcp, "127.0.0.1:0");
    rig_connect(&r);
    assert_int_equal(pn_buf_reserve(&r.server.in, 800 * KIB), PN_OK);
    assert_int_equal(pn_buf_reserve(&r.client.out, 800 * KIB), PN_OK);
    before = allocated();
    r.server.take = 0;
    r.server.want = 800 * KIB;
    assert_int_equal(side_write(&r.client, data, 1), PN_OK);
    assert_true(rig_run(&r, server_has_data));
    r.server.take = SIZE_MAX;
    assert_int_equal(side_write(&r.client, data, 800 * KIB - 1), PN_OK);
    assert_true(rig_run(&r, server_has_all));
    assert_int_equal(r.server.n_data, 2);
    assert_true(allocated() <= before + 1024);
    rig_fini(&r);
    free(data);
}

/* Ten thousand bytes one at a time cost about as much as one at a time must:
 * the calls of on_data do not grow with the frame. */
static void test_single_bytes(void **state)
{
    rig r;

    (void)state;
    rig_init(&r, &pn_transport_tcp, "127.0.0.1:0");
    rig_connect(&r);
    r.server.take = 0;
    r.server.want = 10000;
    assert_int_equal(side_write(&r.client, "x", 1), PN_OK);
    assert_true(rig_run(&r, server_has_data));
    r.server.take = SIZE_MAX;
    for (int i = 1; i < 10000; i++) {
        assert_int_equal(side_write(&r.client, "x", 1), PN_OK);
        pn_loop_run_once(r.loop);
    }
    rig_settle(&r, 20);
    assert_int_equal(r.server.n_data, 2);
    assert_int_equal(pn_buf_used(&r.server.in), 10000);
    rig_fini(&r);
}

/* ---- in a namespace of its own ---------------------------------------- */

static bool lo_up(void)
{
    struct ifreq ifr = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ok;

    ifr.ifr_flags = IFF_UP;
    ok = ioctl(fd, SIOCSIFFLAGS, &ifr) == 0;
    (void)close(fd);
    return ok;
}

static bool set_ephemeral(const char *range)
{
    int fd = open(
        "/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, range, strlen(range)) > 0;

    if (fd >= 0) {
        (void)close(fd);
    }
    return ok;
}

/* With one free port to dial from, dialling that very port, which has no
 * listener, connects the socket to itself; that counts as no answer. Last: this
 * process is in an empty namespace from then on. */
static void test_self(void **state)
{
    rig r;

    (void)state;
    if (unshare(CLONE_NEWNET) != 0 || !lo_up()
        || !set_ephemeral("45001 45001")) {
        pn_test_skip("no right to make a namespace");
    }
    rig_init(&r, &pn_transport_tcp, "127.0.0.1:7100");
    r.at = address_of("127.0.0.1", 45001);
    rig_dial(&r, &r.at);
    assert_true(rig_run(&r, client_ended));
    assert_int_equal(r.client.n_open, 0);
    assert_int_equal(r.client.sys_errno, ECONNREFUSED);
    rig_fini(&r);
}

int main(void)
{
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        pn_test_addf(test_family, &families[i], "os/tcp/%s dialled at %s",
            families[i].listen, families[i].dial);
    }
    pn_test_add("os/tcp/descriptors", test_descriptors, NULL);
    pn_test_add("os/tcp/no_descriptor_leaks", test_no_descriptor_leaks, NULL);
    pn_test_add("os/tcp/peer_with_nagle", test_peer_with_nagle, NULL);
    if (allocated() != 0) { /* the sanitizers' allocator does not tell */
        pn_test_add(
            "os/tcp/T5 promise_is_no_memory", test_promise_is_no_memory, NULL);
    }
    pn_test_add("os/tcp/rest_is_freed", test_rest_is_freed, NULL);
    pn_test_add("os/tcp/single_bytes", test_single_bytes, NULL);
    pn_test_add("os/tcp/self", test_self, NULL);
    return pn_test_run("os/tcp");
}

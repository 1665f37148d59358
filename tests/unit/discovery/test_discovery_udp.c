/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Discovery on 127.255.255.255, which reaches every listener of this host and
 * no other host.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "discovery/udp_discovery.h"
#include "harness.h"
#include "os/udp.h"

#define MS PN_US_PER_MS

/* ---- a node's part ---------------------------------------------------- */

typedef struct listener {
    pn_loop *loop;
    pn_udp_discovery *d;
    pn_discovery_sink sink;
    pn_env env;
    uint32_t random; /* what the jitter is given; UINT32_MAX: an error */
    unsigned n_found;
    pn_public_key key;
    char address[64];
    bool stops_when_found;
} listener;

static void on_found(void *node, const pn_public_key *key, const char *address)
{
    listener *l = node;

    l->n_found++;
    l->key = *key;
    assert_true(strlen(address) < sizeof(l->address));
    strcpy(l->address, address);
    if (l->stops_when_found) {
        pn_udp_discovery_source.stop(l->d);
    }
}

static pn_err draw(void *user, uint8_t *buf, size_t len)
{
    listener *l = user;

    assert_int_equal(len, sizeof(l->random));
    memcpy(buf, &l->random, len);
    return l->random == UINT32_MAX ? PN_SYS : PN_OK;
}

static uint16_t free_port(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&in, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    (void)close(fd);
    return ntohs(in.sin_port);
}

static pn_public_key key_of(uint8_t c)
{
    pn_public_key key;

    memset(&key, c, sizeof(key));
    return key;
}

/* address NULL: broadcasts for real, in a namespace only. */
static void open_at(listener *l, pn_loop *loop, uint16_t port, uint8_t own,
    const char *address, uint32_t interval_ms, uint32_t packets_per_s)
{
    pn_udp_discovery_config config = {.loop = loop,
        .env = &l->env,
        .own_key = key_of(own),
        .port = port,
        .min_port = 1024,
        .interval_ms = interval_ms,
        .packets_per_s = packets_per_s,
        .is_everywhere = address == NULL};
    pn_address at;

    *l = (listener){.loop = loop,
        .sink = {.size = sizeof(l->sink), .node = l, .found = on_found},
        .env = {.user = l, .random = draw}};
    if (address != NULL) {
        assert_int_equal(pn_address_parse(address, 0, &at), PN_OK);
        config.addresses = &at;
        config.n_addresses = 1;
    }
    assert_int_equal(pn_udp_discovery_new(&config, &l->d), PN_OK);
    assert_int_equal(pn_udp_discovery_source.start(l->d, &l->sink), PN_OK);
}

static void open_listener(
    listener *l, pn_loop *loop, uint16_t port, uint8_t own)
{
    open_at(l, loop, port, own, "127.255.255.255", 100, 0);
}

static void close_listener(listener *l)
{
    pn_udp_discovery_source.stop(l->d);
    pn_udp_discovery_free(l->d);
}

static pn_udp_discovery_counters counters(const listener *l)
{
    pn_udp_discovery_counters c;

    pn_udp_discovery_counters_get(l->d, &c);
    return c;
}

static void run_for(pn_loop *loop, unsigned ms)
{
    uint64_t until_us = pn_loop_update_now(loop) + ms * MS;
    struct pollfd p = {.fd = pn_loop_fd(loop), .events = POLLIN};

    do {
        int timeout = pn_loop_timeout_ms(loop);

        (void)poll(&p, 1, timeout >= 0 && timeout < 5 ? timeout : 5);
        pn_loop_run_once(loop);
    } while (pn_loop_update_now(loop) < until_us);
}

/* ---- a stranger's part ------------------------------------------------ */

static int stranger_open(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int on = 1;

    assert_true(fd >= 0);
    assert_int_equal(
        setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)), 0);
    return fd;
}

static void stranger_send(
    int fd, uint16_t port, const uint8_t *data, size_t len)
{
    pn_address to;

    assert_int_equal(pn_address_parse("127.255.255.255", port, &to), PN_OK);
    (void)sendto(fd, data, len, 0, &to.any, pn_address_len(&to));
}

static void stranger_announce(int fd, uint16_t port, uint8_t c)
{
    uint8_t data[PN_ANNOUNCE_LEN];

    pn_announce_write(&(pn_announce){.port = 7777, .key = key_of(c)}, data);
    stranger_send(fd, port, data, sizeof(data));
}

/* ---- receiving -------------------------------------------------------- */

static void test_two_hear_each_other(void **state)
{
    pn_loop *loop;
    uint16_t port = free_port();
    listener a;
    listener b;
    pn_public_key key_a = key_of('a');
    pn_public_key key_b = key_of('b');

    (void)state;
    assert_int_equal(pn_loop_new(&loop), PN_OK);
    open_listener(&a, loop, port, 'a');
    open_listener(&b, loop, port, 'b'); /* the port is shared */
    assert_int_equal(
        pn_udp_discovery_source.announce(a.d, &key_a, 7101), PN_OK);
    assert_int_equal(
        pn_udp_discovery_source.announce(b.d, &key_b, 7102), PN_OK);
    for (int i = 0; i < 20 && (a.n_found == 0 || b.n_found == 0); i++) {
        run_for(loop, 100);
    }
    assert_true(a.n_found > 0);
    assert_true(b.n_found > 0);
    assert_memory_equal(&a.key, &key_b, sizeof(key_b));
    assert_memory_equal(&b.key, &key_a, sizeof(key_a));
    assert_string_equal(a.address, "127.0.0.1:7102");
    assert_string_equal(b.address, "127.0.0.1:7101");
    assert_true(counters(&a).heard[PN_HEARD_OWN_KEY] > 0);
    assert_int_equal(counters(&a).heard[PN_HEARD_FOUND], a.n_found);
    close_listener(&a);
    close_listener(&b);
    pn_loop_free(loop);
}

/* Counts of each kind of report to a listener. */
static void test_counters(void **state)
{
    pn_loop *loop;
    uint16_t port = free_port();
    listener a;
    int fd = stranger_open();
    uint8_t junk[3000] = {'P', 'N', 'E', 'T', 1};
    uint8_t low[PN_ANNOUNCE_LEN];
    pn_udp_discovery_counters c;

    (void)state;
    assert_int_equal(pn_loop_new(&loop), PN_OK);
    open_listener(&a, loop, port, 'a');
    stranger_announce(fd, port, 'x');
    stranger_announce(fd, port, 'a');
    stranger_send(fd, port, junk, 0);
    stranger_send(fd, port, junk, 38);
    stranger_send(fd, port, junk, sizeof(junk));
    pn_announce_write(&(pn_announce){.port = 80, .key = key_of('x')}, low);
    stranger_send(fd, port, low, sizeof(low));
    run_for(loop, 50);
    c = counters(&a);
    assert_int_equal(c.in, 6);
    assert_int_equal(c.heard[PN_HEARD_FOUND], 1);
    assert_int_equal(c.heard[PN_HEARD_OWN_KEY], 1);
    assert_int_equal(c.heard[PN_HEARD_MALFORMED], 3);
    assert_int_equal(c.heard[PN_HEARD_LOW_PORT], 1);
    assert_int_equal(a.n_found, 1);
    assert_string_equal(a.address, "127.0.0.1:7777");
    close_listener(&a);
    (void)close(fd);
    pn_loop_free(loop);
}

/* If announces go to other addresses, loopback is not heeded. */
static void test_loopback_needs_loopback(void **state)
{
    pn_loop *loop;
    uint16_t port = free_port();
    listener a;
    int fd = stranger_open();

    (void)state;
    assert_int_equal(pn_loop_new(&loop), PN_OK);
    open_at(&a, loop, port, 'a', "192.0.2.255", 100, 0);
    stranger_announce(fd, port, 'x');
    run_for(loop, 30);
    assert_int_equal(counters(&a).heard[PN_HEARD_BAD_SOURCE], 1);
    assert_int_equal(a.n_found, 0);
    close_listener(&a);
    (void)close(fd);
    pn_loop_free(loop);
}

/* No datagram is ever answered (T16). */
static void test_never_answers(void **state)
{
    pn_loop *loop;
    uint16_t port = free_port();
    listener a;
    int fd = stranger_open();
    uint8_t data[100] = {0};

    (void)state;
    assert_int_equal(pn_loop_new(&loop), PN_OK);
    open_listener(&a, loop, port, 'a');
    for (uint8_t i = 0; i < 100; i++) {
        stranger_announce(fd, port, i);
        stranger_send(fd, port, data, i);
        pn_loop_run_once(loop); /* or the kernel's buffer runs over */
    }
    run_for(loop, 50);
    assert_int_equal(counters(&a).in, 200);
    assert_int_equal(counters(&a).out, 0);
    assert_int_equal(recv(fd, data, sizeof(data), MSG_DONTWAIT), -1);
    close_listener(&a);
    (void)close(fd);
    pn_loop_free(loop);
}

static void test_stop_while_found(void **state)
{
    pn_loop *loop;
    uint16_t port = free_port();
    listener a;
    int fd = stranger_open();

    (void)state;
    assert_int_equal(pn_loop_new(&loop), PN_OK);
    open_listener(&a, loop, port, 'a');
    a.stops_when_found = true;
    stranger_announce(fd, port, 'x');
    stranger_announce(fd, port, 'y');
    run_for(loop, 30);
    assert_int_equal(a.n_found, 1);
    assert_int_equal(pn_udp_discovery_source.start(a.d, &a.sink), PN_OK);
    a.stops_when_found = false;
    stranger_announce(fd, port, 'z');
    run_for(loop, 30);
    assert_int_equal(a.n_found, 2);
    close_listener(&a);
    (void)close(fd);
    pn_loop_free(loop);
}

/* ---- too much --------------------------------------------------------- */

typedef struct rate_row {
    unsigned sent;
    unsigned read;
} rate_row;

static rate_row rates[] = {{19, 19}, {20, 20}, {21, 20}, {60, 20}};

/* Of more than the rate the rest waits for the next second, unread. */
static void test_rate(void **state)
{
    const rate_row *row = *state;
    pn_loop *loop;
    uint16_t port = free_port();
    listener a;
    int fd = stranger_open();

    assert_int_equal(pn_loop_new(&loop), PN_OK);
    open_at(&a, loop, port, 'a', "127.255.255.255", 100, 20);
    for (unsigned i = 0; i < row->sent; i++) {
        stranger_announce(fd, port, 'x');
    }
    run_for(loop, 300);
    assert_int_equal(counters(&a).in, row->read);
    if (row->sent > row->read) {
        run_for(loop, 900);
    }
    assert_int_equal(counters(&a).in, row->sent < 40 ? row->sent : 40);
    close_listener(&a);
    (void)close(fd);
    pn_loop_free(loop);
}

static void flood(uint16_t port)
{
    int fd = stranger_open();

    for (;;) {
        stranger_announce(fd, port, 'x');
    }
}

static uint64_t cpu_us(void)
{
    struct rusage u;

    assert_int_equal(getrusage(RUSAGE_SELF, &u), 0);
    return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * PN_US_PER_S
           + (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* A flood costs next to nothing: 200 are read a second, the rest is dropped
 * in the kernel and counted (LOAD-5, small). */
static void test_flood(void **state)
{
    pn_loop *loop;
    uint16_t port = free_port();
    listener a;
    uint64_t cpu;
    pid_t child;
    pn_udp_discovery_counters c;

    (void)state;
    assert_int_equal(pn_loop_new(&loop), PN_OK);
    open_listener(&a, loop, port, 'a');
    child = fork();
    if (child == 0) {
        flood(port);
    }
    assert_true(child > 0);
    cpu = cpu_us();
    run_for(loop, 2200);
    cpu = cpu_us() - cpu;
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    c = counters(&a);
    assert_in_range(c.in, 200, 600);
    assert_true(c.unread > 1000);
    assert_int_equal(c.out, 0);
    assert_true(cpu < 550000); /* a quarter of a core */
    close_listener(&a);
    pn_loop_free(loop);
}

/* ---- announcing ------------------------------------------------------- */

/* The first announce goes out at once, and not an interval later. */
static void test_announce_at_once(void **state)
{
    pn_loop *loop;
    listener a;
    pn_public_key key = key_of('a');

    (void)state;
    assert_int_equal(pn_loop_new(&loop), PN_OK);
    open_at(&a, loop, free_port(), 'a', "127.255.255.255", 3600000, 0);
    assert_int_equal(pn_udp_discovery_source.announce(a.d, &key, 7101), PN_OK);
    for (int i = 0; i < 500 && counters(&a).out < 3; i++) {
        run_for(loop, 20);
    }
    assert_int_equal(counters(&a).out, 3);
    /* Again: an address has come. */
    assert_int_equal(pn_udp_discovery_source.announce(a.d, &key, 7101), PN_OK);
    for (int i = 0; i < 500 && counters(&a).out < 6; i++) {
        run_for(loop, 20);
    }
    assert_int_equal(counters(&a).out, 6);
    close_listener(&a);
    pn_loop_free(loop);
}

/* Announced again and again, until told otherwise. */
static void test_announce_off(void **state)
{
    pn_loop *loop;
    listener a;
    pn_public_key key = key_of('a');
    uint64_t out;

    (void)state;
    assert_int_equal(pn_loop_new(&loop), PN_OK);
    open_at(&a, loop, free_port(), 'a', "127.255.255.255", 10, 0);
    run_for(loop, 50);
    assert_int_equal(counters(&a).out, 0); /* not unless told */
    assert_int_equal(pn_udp_discovery_source.announce(a.d, &key, 7101), PN_OK);
    for (int i = 0; i < 100 && counters(&a).out < 3; i++) {
        run_for(loop, 20);
    }
    assert_true(counters(&a).out >= 3);
    assert_int_equal(pn_udp_discovery_source.announce(a.d, &key, 0), PN_OK);
    out = counters(&a).out;
    run_for(loop, 50);
    assert_int_equal(counters(&a).out, out);
    close_listener(&a);
    pn_loop_free(loop);
}

/* On another network nothing is announced until it is allowed again (T17). */
static void test_network_changed(void **state)
{
    pn_loop *loop;
    listener a;
    pn_public_key key = key_of('a');
    uint64_t out;

    (void)state;
    assert_int_equal(pn_loop_new(&loop), PN_OK);
    open_at(&a, loop, free_port(), 'a', "127.255.255.255", 10, 0);
    assert_int_equal(pn_udp_discovery_source.announce(a.d, &key, 7101), PN_OK);
    run_for(loop, 50);
    assert_int_equal(pn_udp_discovery_source.announce(a.d, &key, 0), PN_OK);
    out = counters(&a).out;
    assert_true(out > 0);
    run_for(loop, 50);
    assert_int_equal(counters(&a).out, out);
    assert_int_equal(pn_udp_discovery_source.announce(a.d, &key, 7101), PN_OK);
    run_for(loop, 50);
    assert_true(counters(&a).out > out);
    close_listener(&a);
    pn_loop_free(loop);
}

/* ---- interfaces -------------------------------------------------------- */

typedef struct unused_row {
    const char *to;         /* discovery addresses; NULL: everywhere */
    const char *interfaces; /* the list; NULL: none */
    const char *unused;
    const char *name;
    const char *address; /* NULL: it has none */
    bool has_broadcast;
    bool is_down;
} unused_row;

static const unused_row unused_rows[] = {
    {NULL, NULL, NULL, "eth0", "192.0.2.1", true, false},
    {NULL, NULL, "down", "eth0", "192.0.2.1", true, true},
    {NULL, NULL, "no-address", "eth0", NULL, false, false},
    {NULL, NULL, "ipv6-only", "eth0", "2001:db8::1", false, false},
    {NULL, NULL, "no-broadcast", "eth0", "192.0.2.1", false, false},
    {NULL, NULL, "loopback", "lo", "127.0.0.1", false, false},
    {NULL, NULL, "left-out", "docker0", "192.0.2.1", true, false},
    {NULL, "docker0", NULL, "docker0", "192.0.2.1", true, false},
    {NULL, "docker0", "not-named", "eth0", "192.0.2.1", true, false},
    {"192.0.2.255", NULL, NULL, "eth0", "192.0.2.1", true, false},
    {"192.0.2.255", NULL, NULL, "docker0", "192.0.2.1", true, false},
    {"192.0.2.255", "eth0", "not-named", "docker0", "192.0.2.1", true, false},
    {"198.51.100.1", NULL, "not-addressed", "eth0", "192.0.2.1", true, false},
    {"255.255.255.255", NULL, NULL, "eth0", "192.0.2.1", true, false},
    {"127.255.255.255", NULL, NULL, "lo", "127.0.0.1", false, false},
    {"127.255.255.255", NULL, "down", "lo", "127.0.0.1", false, true},
    {"192.0.2.255", NULL, "not-addressed", "lo", "127.0.0.1", false, false},
    {"127.0.0.1", NULL, "ipv6-only", "lo", "::1", false, false},
};

static void test_unused(void **state)
{
    const unused_row *row = *state;
    pn_interface entry = {.is_up = !row->is_down,
        .is_loopback = strcmp(row->name, "lo") == 0,
        .has_broadcast = row->has_broadcast};
    pn_udp_discovery_config config = {.interval_ms = 5000,
        .interfaces = row->interfaces,
        .is_everywhere = row->to == NULL};
    pn_udp_discovery *d;
    pn_address to;
    const char *unused;

    (void)snprintf(entry.name, sizeof(entry.name), "%s", row->name);
    if (row->address != NULL) {
        assert_int_equal(
            pn_address_parse(row->address, 0, &entry.address), PN_OK);
        assert_int_equal(
            pn_address_parse(entry.is_loopback ? "255.0.0.0" : "255.255.255.0",
                0, &entry.netmask),
            PN_OK);
    }
    if (row->to != NULL) {
        assert_int_equal(pn_address_parse(row->to, 0, &to), PN_OK);
        config.addresses = &to;
        config.n_addresses = 1;
    }
    assert_int_equal(pn_loop_new(&config.loop), PN_OK);
    assert_int_equal(pn_udp_discovery_new(&config, &d), PN_OK);
    unused = pn_udp_discovery_unused(d, &entry);
    assert_string_equal(unused == NULL ? "used" : unused,
        row->unused == NULL ? "used" : row->unused);
    pn_udp_discovery_free(d);
    pn_loop_free(config.loop);
}

/* ---- refusals --------------------------------------------------------- */

static void test_misuse(void **state)
{
    pn_loop *loop;
    listener a;
    pn_udp_discovery *d = NULL;
    pn_public_key key = key_of('a');
    pn_address six;
    pn_udp_discovery_config config = {.interval_ms = 0};

    (void)state;
    assert_int_equal(pn_loop_new(&loop), PN_OK);
    config.loop = loop;
    assert_int_equal(pn_udp_discovery_new(&config, &d), PN_INVALID);
    config.interval_ms = 5000;
    assert_int_equal(pn_address_parse("::1", 0, &six), PN_OK);
    config.addresses = &six;
    config.n_addresses = 1;
    assert_int_equal(pn_udp_discovery_new(&config, &d), PN_INVALID);
    assert_null(d);
    open_listener(&a, loop, free_port(), 'a');
    assert_int_equal(pn_udp_discovery_source.start(a.d, &a.sink), PN_STATE);
    pn_udp_discovery_source.stop(a.d);
    assert_int_equal(
        pn_udp_discovery_source.announce(a.d, &key, 7100), PN_STATE);
    close_listener(&a);
    pn_udp_discovery_free(NULL);
    pn_loop_free(loop);
}

/* A port that is held exclusively. */
static void test_port_taken(void **state)
{
    pn_loop *loop;
    listener a;
    struct sockaddr_in in = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    uint16_t port = free_port();

    (void)state;
    in.sin_port = htons(port);
    assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(pn_loop_new(&loop), PN_OK);
    a = (listener){.sink = {.size = sizeof(a.sink), .node = &a}};
    a.env = (pn_env){.user = &a, .random = draw};
    assert_int_equal(
        pn_udp_discovery_new(
            &(pn_udp_discovery_config){
                .loop = loop, .env = &a.env, .port = port, .interval_ms = 5000},
            &a.d),
        PN_OK);
    assert_int_equal(pn_udp_discovery_source.start(a.d, &a.sink), PN_SYS);
    assert_int_equal(errno, EADDRINUSE);
    pn_udp_discovery_free(a.d);
    (void)close(fd);
    pn_loop_free(loop);
}

/* ---- in a namespace of its own ---------------------------------------- */

static bool lo_up(void)
{
    struct ifreq r = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ok;

    r.ifr_flags = IFF_UP;
    ok = ioctl(fd, SIOCSIFFLAGS, &r) == 0;
    (void)close(fd);
    return ok;
}

/* Without a route the limited broadcast cannot go; that is counted, and goes
 * on being tried. Last: this process is in an empty namespace from then on. */
static void test_no_route(void **state)
{
    pn_loop *loop;
    listener a;
    pn_public_key key = key_of('a');

    (void)state;
    if ((unshare(CLONE_NEWNET) != 0
            && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        || !lo_up()) {
        pn_test_skip("no right to make a namespace");
    }
    assert_int_equal(pn_loop_new(&loop), PN_OK);
    open_at(&a, loop, 4040, 'a', NULL, 10, 0);
    assert_int_equal(pn_udp_discovery_source.announce(a.d, &key, 7101), PN_OK);
    for (int i = 0; i < 100 && counters(&a).out_failed < 2; i++) {
        run_for(loop, 20);
    }
    assert_int_equal(counters(&a).out, 0);
    assert_true(counters(&a).out_failed >= 2);
    close_listener(&a);
    pn_loop_free(loop);
}

int main(void)
{
    for (size_t i = 0; i < sizeof(unused_rows) / sizeof(unused_rows[0]); i++) {
        pn_test_addf(test_unused, (void *)(uintptr_t)&unused_rows[i],
            "discovery/udp/%s %s to %s of %s",
            unused_rows[i].unused == NULL ? "used" : unused_rows[i].unused,
            unused_rows[i].address == NULL ? unused_rows[i].name
                                           : unused_rows[i].address,
            unused_rows[i].to == NULL ? "everywhere" : unused_rows[i].to,
            unused_rows[i].interfaces == NULL ? "all"
                                              : unused_rows[i].interfaces);
    }
    pn_test_add(
        "discovery/udp/two_hear_each_other", test_two_hear_each_other, NULL);
    pn_test_add("discovery/udp/counters", test_counters, NULL);
    pn_test_add("discovery/udp/T15 loopback needs loopback",
        test_loopback_needs_loopback, NULL);
    pn_test_add("discovery/udp/T16 never answers", test_never_answers, NULL);
    pn_test_add("discovery/udp/stop_while_found", test_stop_while_found, NULL);
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        pn_test_addf(test_rate, &rates[i], "discovery/udp/T15 rate 20, %u sent",
            rates[i].sent);
    }
    pn_test_add("discovery/udp/T15 flood", test_flood, NULL);
    pn_test_add("discovery/udp/announce_at_once", test_announce_at_once, NULL);
    pn_test_add("discovery/udp/T17 announce off", test_announce_off, NULL);
    pn_test_add(
        "discovery/udp/T17 network changed", test_network_changed, NULL);
    pn_test_add("discovery/udp/misuse", test_misuse, NULL);
    pn_test_add("discovery/udp/port_taken", test_port_taken, NULL);
    pn_test_add("discovery/udp/no_route", test_no_route, NULL);
    return pn_test_run("discovery/udp");
}

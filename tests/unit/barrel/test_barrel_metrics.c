/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters of the Barrel link against counts from outside: a relay between two
 * nodes counts datagrams and bytes, the test counts its messages and links.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/clock.h"
#include "two_barrels.h"

enum {
    N_CALLS = 30,
    N_SENDS = 20,
    N_RPCS = 10,
    N_LINKS = 3,
    HOLD_MS = 20,
    /* MONITOR_P, REG_SEND and DEMONITOR_P */
    SIGNALS_OF_A_CALL = 3
};

/* ---- the relay ----------------------------------------------------------- */

/* One direction. */
typedef struct flow {
    atomic_ullong n_datagrams;
    atomic_ullong n_bytes;
} flow;

typedef struct relay {
    int alice_fd;
    char address[32]; /* of alice_fd */
    int bob_fd;
    atomic_int hold_ms; /* of each datagram to alice */
    flow out;           /* from alice */
    flow in;
    atomic_bool is_over;
    pthread_t thread;
} relay;

static relay between;

static void flow_count(flow *f, ssize_t len)
{
    atomic_fetch_add(&f->n_datagrams, 1);
    atomic_fetch_add(&f->n_bytes, (unsigned long long)len);
}

static void *relay_main(void *arg)
{
    relay *r = arg;
    uint8_t datagram[65536];
    struct pollfd fds[2] = {{.fd = r->alice_fd, .events = POLLIN},
        {.fd = r->bob_fd, .events = POLLIN}};
    struct sockaddr_in alice = {0};

    while (!atomic_load(&r->is_over)) {
        socklen_t len = sizeof(alice);
        ssize_t n;

        (void)poll(fds, 2, 20);
        n = recvfrom(r->alice_fd, datagram, sizeof(datagram), MSG_DONTWAIT,
            (struct sockaddr *)&alice, &len);
        if (n > 0) {
            flow_count(&r->out, n);
            (void)!send(r->bob_fd, datagram, (size_t)n, 0);
        }
        n = recv(r->bob_fd, datagram, sizeof(datagram), MSG_DONTWAIT);
        if (n > 0) {
            flow_count(&r->in, n);
            (void)usleep((useconds_t)atomic_load(&r->hold_ms) * 1000);
            (void)!sendto(r->alice_fd, datagram, (size_t)n, 0,
                (struct sockaddr *)&alice, sizeof(alice));
        }
    }
    return NULL;
}

static void with_relay(pn_barrel_options *options, bool is_alice)
{
    static pn_barrel_address address;

    address = (pn_barrel_address){BOB, between.address};
    options->addresses = is_alice ? &address : NULL;
    options->n_addresses = is_alice ? 1 : 0;
    options->discovery_dir = NULL;
}

static void with_relay_and_tofu(pn_barrel_options *options, bool is_alice)
{
    with_relay(options, is_alice);
    options->trust = PN_BARREL_TOFU;
}

/* Opens both, with the relay on alice's way to bob. */
static void relay_open(two_barrels *t, two_barrels_change *change)
{
    struct sockaddr_in bob = {
        .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    char own[32];

    memset(&between, 0, sizeof(between));
    between.alice_fd = pn_test_socket(SOCK_DGRAM, between.address);
    between.bob_fd = pn_test_socket(SOCK_DGRAM, own);
    two_barrels_open(t, change);
    bob.sin_port = htons(pn_barrel_port(t->bob));
    assert_int_equal(
        connect(between.bob_fd, (struct sockaddr *)&bob, sizeof(bob)), 0);
    assert_int_equal(
        pthread_create(&between.thread, NULL, relay_main, &between), 0);
}

static void relay_close(two_barrels *t)
{
    atomic_store(&between.is_over, true);
    assert_int_equal(pthread_join(between.thread, NULL), 0);
    (void)close(between.alice_fd);
    (void)close(between.bob_fd);
    two_barrels_fini(t);
}

/* ---- traffic ------------------------------------------------------------- */

static pn_barrel_metrics metrics_of(pn_barrel *barrel)
{
    pn_barrel_metrics m;

    pn_barrel_get_metrics(barrel, &m);
    return m;
}

static void connect_bob(two_barrels *t)
{
    pn_why why = {0};

    if (pn_barrel_connect(t->alice, BOB, 10000, &why) != PN_OK) {
        fail_msg("connect: %s", why.text);
    }
}

static void traffic(two_barrels *t)
{
    const char *text;
    pn_term_writer w;
    pn_term zeros = zeros_term(&w, 3000);

    for (int i = 0; i < N_CALLS; i++) {
        assert_int_equal(alice_call(t, "echo", "x", 10000, &text), PN_OK);
    }
    for (int i = 0; i < N_RPCS; i++) {
        assert_int_equal(alice_rpc(t, "add", "[1, 2]", &text), PN_OK);
    }
    for (int i = 0; i < N_SENDS; i++) {
        assert_int_equal(pn_barrel_send(t->alice, BOB, "inbox", zeros), PN_OK);
    }
    two_barrels_wait(t, &t->n_sent, N_SENDS);
    pn_term_writer_free(&w);
}

static void wait_for(bool (*condition)(two_barrels *t), two_barrels *t)
{
    for (int i = 0; i < 10000; i++) {
        if (condition(t)) {
            return;
        }
        (void)usleep(1000);
    }
    fail_msg("the counters do not agree");
}

static bool is_of(const flow *f, uint64_t n_datagrams, uint64_t n_bytes)
{
    return n_datagrams == atomic_load(&f->n_datagrams)
           && n_bytes == atomic_load(&f->n_bytes);
}

static bool datagrams_agree(two_barrels *t)
{
    pn_barrel_metrics alice = metrics_of(t->alice);
    pn_barrel_metrics bob = metrics_of(t->bob);

    return is_of(&between.out, alice.datagrams_out, alice.bytes_out)
           && is_of(&between.out, bob.datagrams_in, bob.bytes_in)
           && is_of(&between.in, alice.datagrams_in, alice.bytes_in)
           && is_of(&between.in, bob.datagrams_out, bob.bytes_out);
}

static void test_datagrams(void **state)
{
    two_barrels t;

    (void)state;
    two_barrels_init(&t);
    two_barrels_pin(&t);
    relay_open(&t, with_relay);
    two_barrels_grant(&t);
    connect_bob(&t);
    traffic(&t);
    wait_for(datagrams_agree, &t);
    assert_true(metrics_of(t.bob).bytes_in > (uint64_t)N_SENDS * 3000);
    relay_close(&t);
}

static bool signals_agree(two_barrels *t)
{
    uint64_t asked = N_CALLS * SIGNALS_OF_A_CALL + N_RPCS + N_SENDS;
    uint64_t answered = N_CALLS + N_RPCS;
    pn_barrel_metrics alice = metrics_of(t->alice);
    pn_barrel_metrics bob = metrics_of(t->bob);

    return alice.signals_out == asked && bob.signals_in == asked
           && bob.signals_out == answered && alice.signals_in == answered;
}

static void test_signals(void **state)
{
    two_barrels t;

    (void)state;
    two_barrels_connected(&t, NULL);
    traffic(&t);
    wait_for(signals_agree, &t);
    assert_int_equal(metrics_of(t.alice).calls_out, N_CALLS + N_RPCS);
    assert_int_equal(metrics_of(t.bob).calls_in, N_CALLS + N_RPCS);
    assert_int_equal(metrics_of(t.alice).calls_in, 0);
    assert_int_equal(metrics_of(t.bob).calls_out, 0);
    two_barrels_fini(&t);
}

/* ---- links --------------------------------------------------------------- */

static bool has_no_link(two_barrels *t)
{
    return metrics_of(t->alice).links_up == 0
           && metrics_of(t->bob).links_up == 0;
}

static bool both_are_up(two_barrels *t)
{
    return metrics_of(t->alice).links_up == 1
           && metrics_of(t->bob).links_up == 1;
}

static unsigned count_files(const char *dir)
{
    DIR *d = opendir(dir);
    const struct dirent *entry;
    unsigned n = 0;

    assert_non_null(d);
    while ((entry = readdir(d)) != NULL) {
        n += strstr(entry->d_name, ".pub") != NULL ? 1 : 0;
    }
    (void)closedir(d);
    return n;
}

/* Each link is one authentication of alice's and one of bob's, of at least the
 * time of one held datagram and no longer than connecting took. The first pins,
 * the others find the pin. */
static void test_auth(void **state)
{
    uint64_t low_us = (uint64_t)N_LINKS * HOLD_MS * 1000;
    pn_barrel_metrics alice;
    pn_barrel_metrics bob;
    uint64_t took_us = 0;
    two_barrels t;

    (void)state;
    two_barrels_init(&t);
    relay_open(&t, with_relay_and_tofu);
    atomic_store(&between.hold_ms, HOLD_MS);
    for (int i = 0; i < N_LINKS; i++) {
        uint64_t start_us = pn_monotonic_now_us();

        connect_bob(&t);
        wait_for(both_are_up, &t);
        took_us += pn_monotonic_now_us() - start_us;
        assert_int_equal(pn_barrel_disconnect(t.alice, BOB), PN_OK);
        wait_for(has_no_link, &t);
    }
    alice = metrics_of(t.alice);
    bob = metrics_of(t.bob);
    assert_int_equal(alice.auth_ok_outgoing, N_LINKS);
    assert_int_equal(bob.auth_ok_incoming, N_LINKS);
    assert_in_range(alice.auth_ok_us_outgoing, low_us, took_us);
    assert_in_range(bob.auth_ok_us_incoming, low_us, took_us);
    assert_int_equal(alice.auth_ok_incoming + alice.auth_ok_us_incoming, 0);
    assert_int_equal(bob.auth_ok_outgoing + bob.auth_ok_us_outgoing, 0);
    assert_int_equal(alice.auth_fail_outgoing + alice.auth_fail_us_outgoing, 0);
    assert_int_equal(bob.auth_fail_incoming + bob.auth_fail_us_incoming, 0);
    assert_int_equal(alice.new_pins, 1);
    assert_int_equal(
        count_files(two_barrels_path(&t, true, "keys/trusted")), 1);
    assert_int_equal(bob.new_pins, 1);
    assert_int_equal(
        count_files(two_barrels_path(&t, false, "keys/trusted")), 1);
    relay_close(&t);
}

static void pin_wrong_key(const two_barrels *t)
{
    pn_barrel_store *store = NULL;
    pn_ed25519_key wrong = t->alice_key;

    wrong.bytes[0] ^= 1;
    assert_int_equal(pn_barrel_store_open(
                         two_barrels_path(t, true, "keys"), &store, NULL, NULL),
        PN_OK);
    (void)!pn_barrel_store_unpin(store, BOB, NULL);
    assert_int_equal(pn_barrel_store_pin(store, BOB, &wrong, NULL), PN_OK);
    pn_barrel_store_close(store);
}

static bool refusals_agree(two_barrels *t)
{
    return metrics_of(t->alice).auth_fail_outgoing == N_LINKS
           && metrics_of(t->bob).auth_fail_incoming == N_LINKS;
}

/* Each attempt fails at both: bob asks for the cookie, and the question is
 * held.
 */
static void test_auth_fail(void **state)
{
    uint64_t low_us = (uint64_t)N_LINKS * HOLD_MS * 1000;
    pn_why why = {0};
    pn_barrel_metrics alice;
    pn_barrel_metrics bob;
    uint64_t start_us;
    uint64_t took_us;
    two_barrels t;

    (void)state;
    two_barrels_init(&t);
    two_barrels_pin(&t);
    pin_wrong_key(&t);
    relay_open(&t, with_relay);
    atomic_store(&between.hold_ms, HOLD_MS);
    start_us = pn_monotonic_now_us();
    for (int i = 0; i < N_LINKS; i++) {
        assert_int_not_equal(
            pn_barrel_connect(t.alice, BOB, 10000, &why), PN_OK);
        assert_non_null(strstr(why.text, "another key is pinned here"));
    }
    wait_for(refusals_agree, &t);
    took_us = pn_monotonic_now_us() - start_us;
    alice = metrics_of(t.alice);
    bob = metrics_of(t.bob);
    assert_in_range(alice.auth_fail_us_outgoing, low_us, took_us);
    assert_in_range(bob.auth_fail_us_incoming, low_us, took_us);
    assert_int_equal(alice.auth_fail_incoming + alice.auth_fail_us_incoming, 0);
    assert_int_equal(bob.auth_fail_outgoing + bob.auth_fail_us_outgoing, 0);
    assert_int_equal(alice.auth_ok_outgoing + alice.auth_ok_us_outgoing, 0);
    assert_int_equal(bob.auth_ok_incoming + bob.auth_ok_us_incoming, 0);
    assert_int_equal(alice.new_pins + bob.new_pins, 0);
    assert_int_equal(alice.links_up + bob.links_up, 0);
    relay_close(&t);
}

#define T(name) pn_test_add("barrel/metrics/" #name, test_##name, NULL)

int main(void)
{
    T(datagrams);
    T(signals);
    T(auth);
    T(auth_fail);
    return pn_test_run("barrel/metrics");
}

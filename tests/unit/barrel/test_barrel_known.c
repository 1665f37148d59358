/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strangers at a Barrel node from the moment their address is proven: places
 * for each source, and those kept for addresses that pinned nodes come from.
 * Bob is the node, at 127.0.0.1; strangers come from there, alice does not.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>

#include "barrel_internal.h"
#include "quic_initial.h"
#include "two_barrels.h"

enum { PER_SOURCE = 8 };

static pn_address address_of(const char *host, uint16_t port)
{
    pn_address at;

    assert_int_equal(pn_address_parse(host, port, &at), PN_OK);
    return at;
}

static bool is_known(two_barrels *t, const char *host)
{
    pn_address at = address_of(host, 40000);
    bool yes;

    pn_node_lock(t->bob_node);
    yes = pn_barrel_known_has(t->bob->known, &at);
    pn_node_unlock(t->bob_node);
    return yes;
}

static uint32_t strangers(two_barrels *t)
{
    uint32_t n;

    pn_node_lock(t->bob_node);
    n = t->bob->gate.strangers;
    pn_node_unlock(t->bob_node);
    return n;
}

/* ---- which hosts ------------------------------------------------------- */

static void alice_elsewhere(pn_barrel_options *options, bool is_alice)
{
    if (is_alice) {
        options->listen_address = "127.0.0.2";
    }
}

static void test_authenticated(void **state)
{
    two_barrels t;

    (void)state;
    two_barrels_connected(&t, alice_elsewhere);
    assert_true(is_known(&t, "127.0.0.2"));
    assert_false(is_known(&t, "127.0.0.3"));
    two_barrels_close_one(&t, true);
    two_barrels_wait(&t, &t.n_down, 1);
    assert_true(is_known(&t, "127.0.0.2")); /* it may come back */
    assert_int_equal(pn_barrel_unpin(t.bob, ALICE), PN_OK);
    assert_false(is_known(&t, "127.0.0.2"));
    two_barrels_fini(&t);
}

static void cookie_only(pn_barrel_options *options, bool is_alice)
{
    static const char *const patterns[] = {"*@127.0.0.1"};

    alice_elsewhere(options, is_alice);
    options->cookie_only = patterns;
    options->n_cookie_only = 1;
}

/* A cookie proves nothing about a key. */
static void test_cookie_only_is_not(void **state)
{
    pn_why why = {0};
    two_barrels t;

    (void)state;
    two_barrels_init(&t);
    two_barrels_open(&t, cookie_only);
    assert_int_equal(pn_barrel_connect(t.alice, BOB, 10000, &why), PN_OK);
    assert_false(is_known(&t, "127.0.0.2"));
    two_barrels_fini(&t);
}

static void with_addresses(pn_barrel_options *options, bool is_alice)
{
    static const pn_barrel_address addresses[] = {
        {ALICE, "127.0.0.9:9100"}, {"eve@127.0.0.1", "127.0.0.8:9100"}};

    if (!is_alice) {
        options->addresses = addresses;
        options->n_addresses = 2;
    }
}

/* An address that the owner gave for a pinned node. */
static void test_given(void **state)
{
    two_barrels t;

    (void)state;
    two_barrels_init(&t);
    two_barrels_pin(&t);
    assert_int_equal(two_barrels_open_one(&t, false, with_addresses), PN_OK);
    assert_true(is_known(&t, "127.0.0.9"));
    assert_false(is_known(&t, "127.0.0.8"));
    two_barrels_fini(&t);
}

/* The latest four of a node, and never more than a number in all. */
static void test_bounded(void **state)
{
    pn_barrel_known *k = pn_barrel_known_new();
    unsigned n = 0;
    char text[32];

    (void)state;
    assert_non_null(k);
    for (unsigned i = 1; i <= 6; i++) {
        pn_address at;

        (void)snprintf(text, sizeof(text), "10.0.0.%u", i);
        at = address_of(text, 1);
        pn_barrel_known_add(k, "a@b", &at, i);
        at = address_of("10.0.0.1", 2); /* ever again the latest */
        pn_barrel_known_add(k, "a@b", &at, i);
    }
    for (unsigned i = 1; i <= 6; i++) {
        pn_address at;

        (void)snprintf(text, sizeof(text), "10.0.0.%u", i);
        at = address_of(text, 3);
        assert_int_equal(pn_barrel_known_has(k, &at), i == 1 || i > 3);
    }
    for (unsigned i = 0; i < 3000; i++) {
        pn_address at;

        (void)snprintf(text, sizeof(text), "10.1.%u.%u", i >> 8, i & 255);
        at = address_of(text, 1);
        (void)snprintf(text, sizeof(text), "n%u@b", i);
        pn_barrel_known_add(k, text, &at, 100 + i);
    }
    for (unsigned i = 0; i < 3000; i++) {
        pn_address at;

        (void)snprintf(text, sizeof(text), "10.1.%u.%u", i >> 8, i & 255);
        at = address_of(text, 1);
        n += pn_barrel_known_has(k, &at);
        assert_true(i < 2999 || pn_barrel_known_has(k, &at));
    }
    assert_int_equal(n, 1024);
    pn_barrel_known_free(k);
}

/* ---- reserves ---------------------------------------------------------- */

/* When strangers have taken all other places. */
static void test_places(void **state)
{
    const pn_quic_callbacks *c = &pn_barrel_quic_callbacks;
    pn_address known = address_of("127.0.0.2", 1);
    pn_address unknown = address_of("127.0.0.3", 1);
    two_barrels t;
    uint32_t ordinary;

    (void)state;
    two_barrels_connected(&t, alice_elsewhere);
    pn_node_lock(t.bob_node);
    ordinary = t.bob->gate.limits.max_strangers
               - t.bob->gate.limits.trusted_reserve;
    t.bob->gate.strangers = ordinary;
    pn_node_unlock(t.bob_node);
    assert_false(c->on_proven(t.bob, &unknown));
    assert_true(c->on_proven(t.bob, &known));
    assert_int_equal(strangers(&t), ordinary + 1);
    c->on_leave(t.bob, &known);
    assert_int_equal(strangers(&t), ordinary);
    two_barrels_fini(&t);
}

static void three_each(pn_barrel_options *options, bool is_alice)
{
    alice_elsewhere(options, is_alice);
    options->known_answers_per_second = 3;
}

/* When a flood has used up the answers. */
static void test_reserve(void **state)
{
    const pn_quic_callbacks *c = &pn_barrel_quic_callbacks;
    pn_address known = address_of("127.0.0.2", 1);
    pn_address unknown = address_of("127.0.0.3", 1);
    unsigned n = 0;
    two_barrels t;

    (void)state;
    two_barrels_connected(&t, three_each);
    assert_false(c->on_reserve(t.bob, &unknown));
    for (int i = 0; i < 3; i++) {
        assert_true(c->on_reserve(t.bob, &known));
    }
    while (n < 1000 && c->on_reserve(t.bob, &known)) {
        n++;
    }
    assert_true(n < 1000);
    two_barrels_fini(&t);
}

/* ---- one address that is proven ---------------------------------------- */

static const quic_initial_options half = {
    .alpn = "erlang-dist", .is_half = true};

typedef struct mallory {
    two_barrels t;
    int fd;
    pn_address bob;
} mallory;

static void prove_all(pn_barrel_options *options, bool is_alice)
{
    alice_elsewhere(options, is_alice);
    options->unproven_per_second = 1;
    options->retry_above = 1;
    /* Held for as long as the test takes; the time-out has its own. */
    options->handshake_timeout_ms = 60000;
}

static void mallory_init(mallory *m, two_barrels_change *change)
{
    pn_address at = address_of("127.0.0.1", 0);

    two_barrels_init(&m->t);
    two_barrels_pin(&m->t);
    two_barrels_open(&m->t, change);
    m->bob = address_of("127.0.0.1", pn_barrel_port(m->t.bob));
    m->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(m->fd >= 0);
    assert_int_equal(bind(m->fd, &at.any, pn_address_len(&at)), 0);
}

static void mallory_fini(mallory *m)
{
    (void)close(m->fd);
    two_barrels_fini(&m->t);
}

static void send_packet(const mallory *m, const uint8_t *packet)
{
    assert_int_equal(sendto(m->fd, packet, QUIC_INITIAL_LEN, 0, &m->bob.any,
                         pn_address_len(&m->bob)),
        QUIC_INITIAL_LEN);
}

/* Answers the next Retry. */
static void answer_retry(const mallory *m)
{
    struct pollfd p = {.fd = m->fd, .events = POLLIN};
    uint8_t packet[QUIC_INITIAL_LEN];
    uint8_t data[2048];
    ssize_t n;

    do {
        assert_int_equal(poll(&p, 1, 10000), 1);
        n = recv(m->fd, data, sizeof(data), 0);
        assert_true(n > 0);
    } while (!quic_initial_after_retry(&half, data, (size_t)n, packet));
    send_packet(m, packet);
}

static void send_half(const mallory *m)
{
    uint8_t packet[QUIC_INITIAL_LEN];

    quic_initial_make(&half, packet);
    send_packet(m, packet);
}

/* n unfinished handshakes, each after a Retry; one more has the place of those
 * that need none. */
static void hold(mallory *m, unsigned n)
{
    send_half(m);
    while (n-- > 0) {
        send_half(m);
        answer_retry(m);
    }
}

static void wait_for_strangers(mallory *m, uint32_t n)
{
    struct timespec pause = {.tv_nsec = 1000000};

    for (int i = 0; i < 10000 && strangers(&m->t) != n; i++) {
        (void)nanosleep(&pause, NULL);
    }
    assert_int_equal(strangers(&m->t), n);
}

/* It has the places of one source, and others get in. */
static void test_half_handshakes(void **state)
{
    pn_why why = {0};
    mallory m;

    (void)state;
    mallory_init(&m, prove_all);
    hold(&m, PER_SOURCE + 2);
    wait_for_strangers(&m, PER_SOURCE);
    assert_int_equal(pn_barrel_connect(m.t.alice, BOB, 10000, &why), PN_OK);
    assert_int_equal(strangers(&m.t), PER_SOURCE);
    mallory_fini(&m);
}

static void short_deadline(pn_barrel_options *options, bool is_alice)
{
    prove_all(options, is_alice);
    options->handshake_timeout_ms = 1000;
}

/* They end at the deadline, and their places are free. */
static void test_handshake_timeout(void **state)
{
    mallory m;

    (void)state;
    mallory_init(&m, short_deadline);
    hold(&m, 2);
    wait_for_strangers(&m, 2);
    wait_for_strangers(&m, 0);
    mallory_fini(&m);
}

/* Bob cannot read his identity any more, and logs that when he tries. */
static void test_reads_nothing_for_them(void **state)
{
    pn_why why = {0};
    unsigned n_logs;
    mallory m;
    FILE *f;

    (void)state;
    mallory_init(&m, prove_all);
    f = fopen(two_barrels_path(&m.t, false, "keys/node.key"), "w");
    assert_non_null(f);
    assert_int_equal(fputs("damaged", f), 1);
    assert_int_equal(fclose(f), 0);
    n_logs = m.t.n_logs;
    hold(&m, PER_SOURCE + 2);
    wait_for_strangers(&m, PER_SOURCE);
    (void)pthread_mutex_lock(&m.t.lock);
    assert_int_equal(m.t.n_logs, n_logs);
    (void)pthread_mutex_unlock(&m.t.lock);
    /* For who has a place, and finishes, he tries. */
    (void)!pn_barrel_connect(m.t.alice, BOB, 10000, &why);
    two_barrels_wait(&m.t, &m.t.n_logs, n_logs + 1);
    mallory_fini(&m);
}

/* ---- options ----------------------------------------------------------- */

static void few_answers(pn_barrel_options *options, bool is_alice)
{
    prove_all(options, is_alice);
    options->retries_per_second = 3;
    options->answers_per_second = 2;
    options->known_answers_per_second = 1;
}

/* The number of answers to n packets: waits for at least this many, and then
 * until none has come for a while. */
static unsigned answers_to(const mallory *m, const void *packet, size_t len,
    unsigned n, unsigned least)
{
    struct pollfd p = {.fd = m->fd, .events = POLLIN};
    unsigned n_answers = 0;
    uint8_t data[2048];

    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(
            sendto(m->fd, packet, len, 0, &m->bob.any, pn_address_len(&m->bob)),
            (ssize_t)len);
    }
    while (poll(&p, 1, n_answers < least ? 10000 : 300) == 1) {
        assert_true(recv(m->fd, data, sizeof(data), 0) > 0);
        n_answers++;
    }
    return n_answers;
}

static void test_answers(void **state)
{
    const uint8_t forgotten[60] = {0x40, 1, 2, 3, 4, 5, 6, 7, 8};
    uint8_t packet[QUIC_INITIAL_LEN];
    uint64_t start_us;
    uint64_t s;
    unsigned n;
    mallory m;

    (void)state;
    mallory_init(&m, few_answers);
    send_half(&m); /* the one that needs no Retry */
    wait_for_strangers(&m, 0);
    (void)answers_to(&m, NULL, 0, 0, 0);
    start_us = pn_node_now(m.t.bob_node);
    quic_initial_make(&half, packet);
    n = answers_to(&m, packet, sizeof(packet), 30, 3);
    s = (pn_node_now(m.t.bob_node) - start_us) / PN_US_PER_S + 2;
    assert_true(n >= 3);
    assert_true(n <= 3 * s + 3); /* and acknowledgements of the first */
    start_us = pn_node_now(m.t.bob_node);
    n = answers_to(&m, forgotten, sizeof(forgotten), 30, 2);
    s = (pn_node_now(m.t.bob_node) - start_us) / PN_US_PER_S + 2;
    assert_true(n >= 2);
    assert_true(n <= 2 * s + 3);
    mallory_fini(&m);
}

int main(void)
{
#define ADD(name) pn_test_add("barrel/known/" #name, test_##name, NULL)
    ADD(authenticated);
    ADD(cookie_only_is_not);
    ADD(given);
    ADD(bounded);
    ADD(places);
    ADD(reserve);
    ADD(half_handshakes);
    ADD(handshake_timeout);
    ADD(reads_nothing_for_them);
    ADD(answers);
    return pn_test_run("barrel/known");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floods at a QUIC endpoint: the number of handshakes that they cause, the
 * share left for others, and the rate that limits computation for unproven
 * addresses. Nothing here is timed; a rate is an upper bound.
 */
#include <string.h>
#include <unistd.h>

#include "quic/quic_internal.h"
#include "quic_initial.h"
#include "quic_rig.h"

#define LOOPBACK "127.0.0.1:0"

enum { FLOOD = 100 };

typedef struct flood {
    quic_rig rig;
    int fd;
    uint64_t since_us;
} flood;

static const quic_initial_options close_at_once = {
    .alpn = "test", .has_close = true};
static const quic_initial_options half = {.alpn = "test", .is_half = true};

static void flood_init(flood *f, const pn_quic_options *server)
{
    quic_rig_init(&f->rig, LOOPBACK, server, NULL);
    f->fd = quic_plain_socket(NULL);
    f->since_us = pn_loop_update_now(f->rig.loop);
}

static void flood_fini(flood *f)
{
    (void)close(f->fd);
    quic_rig_fini(&f->rig);
}

/* The number that a rate allows by now, with an equal burst. */
static uint64_t at_most(const flood *f, uint64_t per_second)
{
    uint64_t us = pn_loop_update_now(f->rig.loop) - f->since_us;

    return per_second + us * per_second / PN_US_PER_S + 1;
}

static pn_quic_counters counters(const flood *f)
{
    pn_quic_counters c;

    pn_quic_count(f->rig.server_quic, &c);
    return c;
}

static void send_one(flood *f, const quic_initial_options *what)
{
    uint8_t packet[QUIC_INITIAL_LEN];
    const uint64_t n = counters(f).datagrams_in;

    quic_initial_make(what, packet);
    quic_plain_send(f->fd, &f->rig.at, packet, sizeof(packet));
    QUIC_RIG_UNTIL(&f->rig, counters(f).datagrams_in == n + 1);
}

static void send_many(flood *f, const quic_initial_options *what, unsigned n)
{
    while (n-- > 0) {
        send_one(f, what);
    }
}

static bool is_retry(const quic_datagram *d)
{
    return d->len > 5 && (d->data[0] & 0xf0) == 0xf0;
}

/* An Initial of a stranger who has received a Retry. */
static void make_proven(
    flood *f, const quic_initial_options *what, uint8_t *ret)
{
    quic_datagram d;

    send_one(f, what);
    do { /* the unfinished handshakes have acknowledgements on their way */
        assert_true(quic_plain_receive(&f->rig, f->fd, &d, 1000));
    } while (!is_retry(&d));
    assert_true(quic_initial_after_retry(what, d.data, d.len, ret));
}

static void send_proven(flood *f, const quic_initial_options *what)
{
    uint8_t packet[QUIC_INITIAL_LEN];
    unsigned n = f->rig.n_proven;

    make_proven(f, what, packet);
    quic_plain_send(f->fd, &f->rig.at, packet, sizeof(packet));
    QUIC_RIG_UNTIL(&f->rig, f->rig.n_proven == n + 1);
}

/* ---- addresses that may be forged ------------------------------------- */

/* A ClientHello and a close in one packet leave no connection to count, so the
 * rate limits them. */
static void test_closed_at_once(void **state)
{
    flood f;

    (void)state;
    flood_init(&f, NULL);
    send_many(&f, &close_at_once, FLOOD);
    assert_int_equal(f.rig.server_quic->n_handshakes, 0);
    assert_int_equal(f.rig.server_quic->n_unproven, 0);
    assert_true(counters(&f).begun >= 20);
    assert_true(counters(&f).begun <= at_most(&f, 20));
    assert_int_equal(counters(&f).begun + counters(&f).retries_sent, FLOOD);
    assert_int_equal(f.rig.n_proven, 0);
    /* A client that can answer a Retry gets in beside them. */
    quic_rig_connect(&f.rig);
    assert_int_equal(f.rig.n_proven, 1);
    flood_fini(&f);
}

/* Retry has a budget of its own, and thousands leave enough of it. */
static void test_five_thousand(void **state)
{
    enum { MANY = 5000, BURST = 20 };
    uint8_t packet[QUIC_INITIAL_LEN];
    flood f;

    (void)state;
    flood_init(&f, NULL);
    for (unsigned n = BURST; n <= MANY; n += BURST) {
        for (int i = 0; i < BURST; i++) {
            quic_initial_make(&close_at_once, packet);
            quic_plain_send(f.fd, &f.rig.at, packet, sizeof(packet));
        }
        QUIC_RIG_UNTIL(&f.rig, counters(&f).datagrams_in >= n);
    }
    assert_true(counters(&f).begun <= at_most(&f, 20));
    assert_int_equal(counters(&f).begun + counters(&f).retries_sent, MANY);
    quic_rig_connect(&f.rig);
    flood_fini(&f);
}

/* The option: this many handshakes, and then a Retry. */
static void test_unproven_per_second(void **state)
{
    const pn_quic_options server = {.unproven_per_second = 3};
    flood f;

    (void)state;
    flood_init(&f, &server);
    send_many(&f, &close_at_once, 3);
    assert_int_equal(counters(&f).begun, 3);
    assert_int_equal(counters(&f).retries_sent, 0);
    send_many(&f, &close_at_once, 20);
    assert_true(counters(&f).begun <= at_most(&f, 3));
    assert_int_equal(counters(&f).begun + counters(&f).retries_sent, 23);
    flood_fini(&f);
}

/* ---- answers ---------------------------------------------------------- */

static void test_retries_per_second(void **state)
{
    const pn_quic_options server = {
        .unproven_per_second = 1, .retries_per_second = 10};
    uint64_t sent;
    flood f;

    (void)state;
    flood_init(&f, &server);
    send_many(&f, &close_at_once, FLOOD);
    sent = counters(&f).retries_sent;
    assert_true(sent >= 10);
    assert_true(sent <= at_most(&f, 10));
    /* Above the budget nothing is answered, not even with a refusal. */
    assert_int_equal(counters(&f).refused, 0);
    assert_true(counters(&f).datagrams_out <= sent + 4 * counters(&f).begun);
    /* Known addresses have a reserve beside it. */
    f.since_us = pn_loop_update_now(f.rig.loop);
    f.rig.reserve = 7;
    send_many(&f, &close_at_once, FLOOD);
    assert_true(counters(&f).retries_sent >= sent + 7);
    assert_true(counters(&f).retries_sent <= sent + 7 + at_most(&f, 10));
    assert_int_equal(f.rig.reserve, 0);
    flood_fini(&f);
}

static void send_reset_bait(flood *f)
{
    const uint8_t data[60] = {0x40, 1, 2, 3, 4, 5, 6, 7, 8};
    const uint64_t n = counters(f).datagrams_in;

    quic_plain_send(f->fd, &f->rig.at, data, sizeof(data));
    QUIC_RIG_UNTIL(&f->rig, counters(f).datagrams_in == n + 1);
}

/* One kind of answer used up leaves the others. */
static void test_budgets_are_apart(void **state)
{
    const pn_quic_options server = {
        .answers_per_second = 5, .unproven_per_second = 1};
    uint8_t version[QUIC_INITIAL_LEN];
    quic_datagram d;
    flood f;

    (void)state;
    flood_init(&f, &server);
    for (int i = 0; i < FLOOD; i++) {
        send_reset_bait(&f);
    }
    assert_true(counters(&f).datagrams_out >= 5);
    assert_true(counters(&f).datagrams_out <= at_most(&f, 5));
    while (quic_plain_receive(&f.rig, f.fd, &d, 5)) {}
    quic_initial_make(&close_at_once, version);
    version[1] = 0xff; /* another version */
    quic_plain_send(f.fd, &f.rig.at, version, sizeof(version));
    assert_true(quic_plain_receive(&f.rig, f.fd, &d, 1000));
    assert_memory_equal(d.data + 1, "\0\0\0\0", 4);
    f.rig.refuse = true; /* the first may begin without a Retry */
    send_one(&f, &close_at_once);
    assert_true(quic_plain_receive(&f.rig, f.fd, &d, 1000));
    assert_true(counters(&f).refused >= 1);
    do { /* one a second may begin; the others get a Retry */
        send_one(&f, &close_at_once);
        assert_true(quic_plain_receive(&f.rig, f.fd, &d, 1000));
    } while (!is_retry(&d));
    flood_fini(&f);
}

/* ---- addresses that are proven ---------------------------------------- */

static const pn_quic_options always_retry = {
    .retry_above = 1, .accept_us = 3 * PN_US_PER_S};

/* The one that needs no Retry is an unfinished handshake. */
static void proven_init(flood *f)
{
    flood_init(f, &always_retry);
    send_one(f, &half);
    assert_int_equal(counters(f).begun, 1);
}

/* on_proven refuses before anything is computed. */
static void test_proven_refused(void **state)
{
    flood f;

    (void)state;
    proven_init(&f);
    f.rig.refuse_proven = true;
    for (unsigned i = 1; i <= 5; i++) {
        send_proven(&f, &half);
        assert_int_equal(counters(&f).refused, i);
    }
    assert_int_equal(counters(&f).begun, 1);
    assert_int_equal(f.rig.n_left, 0);
    flood_fini(&f);
}

/* A place is given back when the handshake fails, however it does. */
static void test_place_is_left(void **state)
{
    flood f;

    (void)state;
    proven_init(&f);
    send_proven(&f, &close_at_once);
    QUIC_RIG_UNTIL(&f.rig, f.rig.n_left == 1);
    send_proven(&f, &half);
    assert_int_equal(f.rig.n_left, 1);
    QUIC_RIG_UNTIL(&f.rig, f.rig.n_left == 2); /* the deadline */
    assert_int_equal(f.rig.n_accepts, 0);
    flood_fini(&f);
}

/* Without a Retry the handshake proves the address. */
static void test_place_at_the_end(void **state)
{
    flood f;

    (void)state;
    flood_init(&f, NULL);
    quic_rig_connect(&f.rig);
    assert_int_equal(counters(&f).retries_sent, 0);
    assert_int_equal(f.rig.n_proven, 1);
    assert_int_equal(f.rig.n_accepts, 1);
    quic_side_fini(&f.rig.client);
    quic_side_init(&f.rig.client, &f.rig);
    f.rig.refuse_proven = true;
    quic_rig_dial(&f.rig, &f.rig.client);
    QUIC_RIG_UNTIL(&f.rig, f.rig.client.n_end == 1);
    assert_int_equal(f.rig.client.why, PN_CLOSED);
    assert_int_equal(f.rig.n_proven, 2);
    assert_int_equal(f.rig.n_accepts, 1);
    assert_int_equal(f.rig.n_left, 0); /* the owner has the first */
    flood_fini(&f);
}

/* A caller has less time than a dial of ours. */
static void test_accept_deadline(void **state)
{
    const pn_quic_options server = {.accept_us = PN_US_PER_S / 5};
    flood f;

    (void)state;
    flood_init(&f, &server);
    send_one(&f, &half);
    assert_int_equal(f.rig.server_quic->n_handshakes, 1);
    QUIC_RIG_UNTIL(&f.rig, f.rig.server_quic->n_handshakes == 0);
    assert_int_equal(counters(&f).handshake_failures, 1);
    flood_fini(&f);
}

/* ---- those that were closed ------------------------------------------- */

static void say_and_close(
    void *user, pn_quic_conn *conn, const pn_address *from)
{
    quic_rig *r = user;
    int64_t id;

    (void)from;
    r->n_accepts++;
    assert_int_equal(r->server_quic->n_conns, 1);
    assert_int_equal(pn_quic_open_uni(conn, &id), PN_OK);
    assert_int_equal(
        pn_quic_write(conn, id, (const uint8_t *)"no", 2, false), PN_OK);
    pn_quic_close(conn, PN_QUIC_NO_ERROR);
    assert_int_equal(r->server_quic->n_conns, 0);
}

static void run_until_accepted(quic_rig *r)
{
    for (int i = 0; i < 1000000 && r->n_accepts == 0; i++) {
        pn_loop_run_once(r->loop);
    }
    assert_int_equal(r->n_accepts, 1);
}

/* Data that is still sent to a refused stranger takes no other's place, */
static void test_lingering_takes_no_place(void **state)
{
    const pn_quic_options server = {.max_conns = 1};
    flood f;

    (void)state;
    flood_init(&f, &server);
    f.rig.server_quic->callbacks.on_accept = say_and_close;
    quic_rig_dial(&f.rig, &f.rig.client);
    run_until_accepted(&f.rig);
    assert_int_equal(f.rig.server_quic->n_lingering, 1);
    QUIC_RIG_UNTIL(&f.rig, f.rig.client.n_end == 1);
    QUIC_RIG_UNTIL(&f.rig, f.rig.server_quic->n_lingering == 0);
    flood_fini(&f);
}

/* and beyond a number of such connections it is dropped. */
static void test_max_lingering(void **state)
{
    const pn_quic_options server = {.max_conns = 1};
    flood f;

    (void)state;
    flood_init(&f, &server);
    f.rig.server_quic->callbacks.on_accept = say_and_close;
    f.rig.server_quic->n_lingering = 1; /* another */
    quic_rig_dial(&f.rig, &f.rig.client);
    run_until_accepted(&f.rig);
    assert_int_equal(f.rig.server_quic->n_lingering, 1);
    QUIC_RIG_UNTIL(&f.rig, f.rig.client.n_end == 1);
    flood_fini(&f);
}

int main(void)
{
#define ADD(name) pn_test_add("barrel/quic_flood/" #name, test_##name, NULL)
    ADD(closed_at_once);
    ADD(five_thousand);
    ADD(unproven_per_second);
    ADD(retries_per_second);
    ADD(budgets_are_apart);
    ADD(proven_refused);
    ADD(place_is_left);
    ADD(place_at_the_end);
    ADD(accept_deadline);
    ADD(lingering_takes_no_place);
    ADD(max_lingering);
    return pn_test_run("barrel/quic_flood");
}

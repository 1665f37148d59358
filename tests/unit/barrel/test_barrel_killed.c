/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call in flight to a node that is killed fails within 5 s if the network
 * reports the closed port. Two whole nodes and real QUIC in virtual time, on
 * one thread, so these seconds are those that the node waits and not those of a
 * busy machine.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <peernet/barrel.h>

#include "../os/own_clock.h"
#include "barrel_internal.h"
#include "quic/quic_internal.h"
#include "two_barrels.h"

#define MS UINT64_C(1000)
#define S (1000 * MS)

/* More than a datagram, or the system's answer to it, takes on loopback. */
enum { MAX_NODES = 2, ARRIVE_MS = 300 };

/* One way in which bob is gone. */
typedef struct killed_row {
    const char *name;
    bool is_back;
    bool dials; /* when it is back */
    pn_reason reason;
    uint64_t within_us;
} killed_row;

static const killed_row rows[] = {
    /* 2 s of silence, then 2 s in which nothing answers. */
    {"stays_away", false, false, PN_REASON_CONNECTION_REFUSED, 5 * S},
    /* 2 s of silence, then a stateless reset. */
    {"is_back", true, false, PN_REASON_CONNECTION_RESET, 3 * S},
    /* A newer incarnation on a new connection. */
    {"is_back_and_dials", true, true, PN_REASON_SUPERSEDED, 2 * S},
};

typedef struct rig {
    two_barrels t;
    pn_node *nodes[MAX_NODES]; /* those that run */
    size_t n_nodes;
    pn_node *killed;
    pn_request *kept; /* bob's: nobody answers */
    bool is_up;
    bool is_told;
    pn_err outcome;
    pn_reason reason;
} rig;

/* ---- the nodes ---------------------------------------------------------- */

static void on_keep(pn_request *req, pn_term args, void *user)
{
    rig *r = user;

    (void)args;
    assert_int_equal(pn_request_defer(req, &r->kept), PN_OK);
}

static pn_barrel *open_one(
    rig *r, bool is_alice, const char *data, int port, bool dials)
{
    pn_why why = {0};
    pn_node_options node;
    pn_barrel_options opt;
    pn_barrel *barrel = NULL;
    char discovery[96];

    pn_node_options_init(&node);
    node.data_dir = two_barrels_path(&r->t, is_alice, data);
    node.listen_port = PN_PORT_NONE;
    node.linger_ms = 0;
    node.flush_timeout_ms = 0;
    node.watch_network = false;
    node.own_loop = true;
    assert_int_equal(pn_node_open(&node, &r->nodes[r->n_nodes], &why), PN_OK);
    (void)snprintf(discovery, sizeof(discovery), "%s/discovery", r->t.dir);
    pn_barrel_options_init(&opt);
    opt.name = is_alice ? ALICE : BOB;
    opt.cookie = "cookie";
    opt.key_dir = two_barrels_path(&r->t, is_alice, "keys");
    opt.cert_dir = two_barrels_path(&r->t, is_alice, "quic");
    opt.listen_address = "127.0.0.1";
    opt.listen_port = port;
    opt.discovery_dir = discovery;
    opt.dns_port = 0;
    opt.dial_pinned = dials;
    if (pn_barrel_open(r->nodes[r->n_nodes], &opt, &barrel, &why) != PN_OK) {
        fail_msg("barrel: %s", why.text);
    }
    r->n_nodes++;
    return barrel;
}

static bool is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) > 0;
}

/* Moves the clock, then lets all do what is to be done at that time. */
static void pass(rig *r, uint64_t us)
{
    bool is_busy = true;

    own_clock_advance(us);
    while (is_busy) {
        is_busy = false;
        for (size_t i = 0; i < r->n_nodes; i++) {
            if (is_readable(pn_node_fd(r->nodes[i]))
                || pn_node_timeout_ms(r->nodes[i]) == 0) {
                assert_int_equal(pn_node_run(r->nodes[i]), PN_OK);
                is_busy = true;
            }
        }
    }
}

static uint64_t datagrams_out(const rig *r)
{
    uint64_t n = 0;

    for (size_t i = 0; i < r->n_nodes; i++) {
        const pn_barrel *barrel = i == 0 ? r->t.alice : r->t.bob;

        n += barrel->quic->counters.datagrams_out;
    }
    return n;
}

/* Waits for what the kernel has not delivered yet; false: there is nothing. */
static bool wait_readable(const rig *r, int wait_ms)
{
    struct pollfd fds[MAX_NODES];

    for (size_t i = 0; i < r->n_nodes; i++) {
        fds[i] = (struct pollfd){
            .fd = pn_node_fd(r->nodes[i]), .events = POLLIN};
    }
    return poll(fds, r->n_nodes, wait_ms) > 0;
}

/* The same; what was sent has arrived before the clock goes on. Some of it,
 * such as acknowledgements, is not answered. */
static void pass_and_arrive(rig *r, uint64_t us)
{
    uint64_t before = datagrams_out(r);

    pass(r, us);
    while (!r->is_told && datagrams_out(r) != before) {
        before = datagrams_out(r);
        if (wait_readable(r, ARRIVE_MS)) {
            pass(r, 0);
        }
    }
}

/* ---- the call ------------------------------------------------------------ */

static void on_up(void *user, pn_err outcome, pn_term value)
{
    rig *r = user;

    (void)value;
    assert_int_equal(outcome, PN_OK);
    r->is_up = true;
}

static void on_told(void *user, pn_err outcome, pn_term value)
{
    rig *r = user;

    (void)value;
    r->is_told = true;
    r->outcome = outcome;
    r->reason = pn_barrel_reason(r->t.alice);
}

static void call_in_flight(rig *r)
{
    pn_term_writer w;
    pn_term term;

    assert_int_equal(
        pn_barrel_connect_async(r->t.alice, BOB, 60000, on_up, r), PN_OK);
    while (!r->is_up) {
        pass(r, MS);
    }
    pn_term_writer_init(&w, 0);
    pn_term_write_int64(&w, 1);
    assert_int_equal(pn_term_writer_finish(&w, NULL, &term), PN_OK);
    assert_int_equal(
        pn_gen_call_async(r->t.alice, BOB, "keep", term, 60000, on_told, r),
        PN_OK);
    pn_term_writer_free(&w);
    while (r->kept == NULL) {
        pass(r, MS);
    }
    pass(r, S); /* everything is acknowledged */
}

/* It sends nothing any more, and its port is closed. */
static void kill_bob(rig *r)
{
    quic_socket *s = &r->t.bob->quic->socket;

    r->killed = r->t.bob_node;
    r->n_nodes--;
    pn_watch_free(s->watch);
    s->watch = NULL;
    (void)close(s->fd);
    s->fd = -1;
}

static void set_up(rig *r)
{
    pn_principal alice = {.family = PN_FAMILY_BARREL};
    pn_expose_options closed;

    two_barrels_init(&r->t);
    two_barrels_pin(&r->t);
    r->t.alice = open_one(r, true, "data", 0, false);
    r->t.alice_node = r->nodes[0];
    r->t.bob = open_one(r, false, "data", 0, false);
    r->t.bob_node = r->nodes[1];
    alice.key.ed25519 = r->t.alice_key;
    pn_expose_options_init(&closed);
    closed.flags = PN_EXPOSE_CLOSED | PN_EXPOSE_INLINE;
    assert_int_equal(
        pn_expose(r->t.bob_node, "keep", on_keep, r, &closed), PN_OK);
    assert_int_equal(pn_grant(r->t.bob_node, "keep", &alice), PN_OK);
}

static void tear_down(rig *r)
{
    own_clock_go(true);
    pn_request_drop(r->kept);
    if (r->killed != NULL && r->killed != r->t.bob_node) {
        pn_node_close(r->killed);
    }
    two_barrels_fini(&r->t);
    own_clock_go(false);
}

static void test_killed(void **state)
{
    const killed_row *row = *state;
    rig r = {0};
    uint64_t since_us;
    int port;

    set_up(&r);
    call_in_flight(&r);
    port = pn_barrel_port(r.t.bob);
    since_us = own_clock_now();
    kill_bob(&r);
    if (row->is_back) {
        r.t.bob = open_one(&r, false, "again", port, row->dials);
        r.t.bob_node = r.nodes[1];
    }
    while (!r.is_told && own_clock_now() - since_us < 60 * S) {
        pass_and_arrive(&r, 10 * MS);
    }
    assert_true(r.is_told);
    assert_true(own_clock_now() - since_us <= row->within_us);
    assert_int_equal(r.outcome, PN_CLOSED);
    assert_string_equal(pn_reason_text(r.reason), pn_reason_text(row->reason));
    tear_down(&r);
}

int main(void)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pn_test_addf(test_killed, (void *)(uintptr_t)&rows[i],
            "barrel/killed/%s", rows[i].name);
    }
    return pn_test_run("barrel/killed");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Time, hosts, connections; see world.h. */
#include <stdio.h>
#include <stdlib.h>

#include "world.h"

#define CONNECT_TIMEOUT_US (5 * S)
#define HANDSHAKE_TIMEOUT_US (5 * S)
#define NUDGE_US (40 * MS)
#define ANNOUNCE_US (5 * S)
/* A ping every 30 s, a pong within 60 s: when a dead link is noticed. */
#define DEAD_MIN_US (30 * S)
#define DEAD_SPAN_US (60 * S)
/* TCP sends again about as often, and gives up. */
#define RESEND_US (1 * S)
/* 10.0.0.1, of node 0 until it moves. */
#define FIRST_ADDRESS 0x0a000001U

void sim_breach(
    const sim_world *w, const char *what, const char *file, int line)
{
    fprintf(stderr, "%s: seed %llu, at %llu us: %s (%s:%d)\n", w->name,
        (unsigned long long)w->first_seed, (unsigned long long)w->now_us, what,
        file, line);
    fail_msg("seed %llu: %s", (unsigned long long)w->first_seed, what);
    abort();
}

static void *must(void *p)
{
    if (p == NULL) {
        abort();
    }
    return p;
}

static const sim_actor *actor(const sim_node *n)
{
    return n->kind == SIM_OURS ? &sim_ours : &sim_elixir;
}

/* ---- time ---- */

sim_world *sim_new(const char *name, uint64_t seed)
{
    sim_world *w = must(calloc(1, sizeof(*w)));

    w->name = name;
    w->seed = seed;
    w->first_seed = seed;
    w->now_us = 1000 * S;
    w->latency_min_us = 100;
    w->latency_max_us = 5 * MS;
    return w;
}

uint64_t sim_random(sim_world *w, uint64_t below)
{
    return pn_test_random(&w->seed) % below;
}

sim_event *sim_at(sim_world *w, uint64_t at_us, sim_fire *fire)
{
    sim_event *e = must(calloc(1, sizeof(*e)));

    e->fire = fire;
    if (pn_heap_reserve(&w->events, w->events.n + w->n_nodes + 2) != PN_OK) {
        abort();
    }
    pn_heap_set(&w->events, &e->timer, at_us);
    return e;
}

/* Not inlined, so that gcc does not take every count for the last. */
__attribute__((noinline)) static void conn_unref(sim_conn *c)
{
    if (--c->n_refs == 0) {
        free(c);
    }
}

static sim_event *conn_at(
    sim_conn *c, uint64_t at_us, sim_fire *fire, unsigned side)
{
    sim_event *e = sim_at(c->world, at_us, fire);

    e->conn = c;
    e->side = side;
    c->n_refs++;
    return e;
}

static void node_at(sim_node *n, uint64_t at_us, sim_fire *fire)
{
    sim_event *e = sim_at(n->world, at_us, fire);

    e->node = n;
    e->arg = n->life;
}

void sim_run_until(sim_world *w, uint64_t until_us)
{
    pn_heap_node *first;

    while ((first = pn_heap_first(&w->events)) != NULL
           && first->at_us <= until_us) {
        sim_event *e = PN_HEAP_OWNER(sim_event, timer, first);

        SIM_CHECK(w, first->at_us >= w->now_us);
        w->now_us = first->at_us;
        pn_heap_set(&w->events, first, PN_TIME_NEVER);
        w->n_events++;
        e->fire(w, e);
        if (e->conn != NULL) {
            conn_unref(e->conn);
        }
        free(e);
    }
    w->now_us = until_us;
}

void sim_run_for(sim_world *w, uint64_t us)
{
    sim_run_until(w, w->now_us + us);
}

void sim_free(sim_world *w)
{
    pn_heap_node *first;

    for (unsigned i = 0; i < w->n_nodes; i++) {
        if (w->nodes[i]->is_running) {
            actor(w->nodes[i])->stop(w->nodes[i]);
        }
    }
    while ((first = pn_heap_first(&w->events)) != NULL) {
        sim_event *e = PN_HEAP_OWNER(sim_event, timer, first);

        pn_heap_set(&w->events, first, PN_TIME_NEVER);
        if (e->conn != NULL) {
            conn_unref(e->conn);
        }
        free(e);
    }
    for (unsigned i = 0; i < w->n_nodes; i++) {
        sim_node *n = w->nodes[i];

        while (n->n_conns > 0) {
            conn_unref(n->conns[--n->n_conns]);
        }
        free(n->conns);
        free(n->peers);
        free(n);
    }
    pn_heap_fini(&w->events);
    free(w->nodes);
    free(w->pair_ends);
    free(w);
}

/* ---- connections ---- */

static void node_hold(sim_node *n, sim_conn *c)
{
    if (n->n_conns == n->conns_cap) {
        n->conns_cap = n->conns_cap == 0 ? 4 : n->conns_cap * 2;
        n->conns = must(realloc(n->conns, n->conns_cap * sizeof(*n->conns)));
    }
    n->conns[n->n_conns++] = c;
    c->n_refs++;
}

static void node_drop(sim_node *n, sim_conn *c)
{
    for (unsigned i = 0; i < n->n_conns; i++) {
        if (n->conns[i] == c) {
            n->conns[i] = n->conns[--n->n_conns];
            conn_unref(c);
            return;
        }
    }
}

static bool can_reach(const sim_node *a, const sim_node *b)
{
    return a != NULL && b != NULL && a->is_host_up && b->is_host_up
           && a->partition == b->partition;
}

/* Packets go to addresses: one that moved gets none of its old ones. */
static bool passes(const sim_conn *c)
{
    return can_reach(c->node[0], c->node[1])
           && pn_address_equal(&c->from, &c->node[0]->address)
           && pn_address_equal(&c->to, &c->node[1]->address);
}

/* A connection that both kernels had ended: an Elixir node loses a process by
 * it, and so would ours if we counted. */
static void count_pair_end(sim_conn *c)
{
    sim_world *w = c->world;
    uint64_t *ends;

    if (c->is_counted || !c->is_connected) {
        return;
    }
    c->is_counted = true;
    w->n_ends++;
    if (!w->checks_ends) {
        return;
    }
    if (w->pair_ends == NULL) {
        w->pair_ends = must(
            calloc((size_t)w->n_nodes * w->n_nodes * 3, sizeof(*w->pair_ends)));
    }
    unsigned low = c->node[0]->index;
    unsigned high = c->node[1]->index;

    if (low > high) {
        unsigned swap = low;

        low = high;
        high = swap;
    }
    ends = &w->pair_ends[((size_t)low * w->n_nodes + high) * 3];
    SIM_CHECK(w, ends[2] == 0 || w->now_us - ends[2] > 5 * S);
    ends[2] = ends[1];
    ends[1] = ends[0];
    ends[0] = w->now_us;
}

/* One side has ended, by itself or because it noticed the other's end. */
static void side_over(sim_conn *c, unsigned side)
{
    sim_node *n = c->node[side];

    c->is_open[side] = false;
    c->is_up[side] = false;
    count_pair_end(c);
    if (c->is_connected || side == 0) {
        sim_count_end(n);
    }
    node_drop(n, c);
}

/* One side ends; its node is told, unless it did it. */
static void side_ends(sim_conn *c, unsigned side, pn_reason why)
{
    sim_node *n = c->node[side];
    bool was_up = c->is_up[side];

    if (!c->is_open[side]) {
        return;
    }
    c->n_refs++;
    side_over(c, side);
    if (n->is_running) {
        if (was_up) {
            actor(n)->down(n, c, side, why);
        } else if (side == 0) {
            actor(n)->failed(n, c, why);
        }
    }
    conn_unref(c);
}

void sim_conn_close(sim_conn *c, unsigned side, pn_reason why)
{
    if (!c->is_open[side]) {
        return;
    }
    c->why = why;
    c->n_refs++;
    side_over(c, side);
    if (c->node[1] != NULL && c->is_open[1 - side]) {
        sim_conn_send(c, side, SIM_END);
    }
    conn_unref(c);
}

static void on_deliver(sim_world *w, sim_event *e);

void sim_conn_send(sim_conn *c, unsigned side, sim_frame frame)
{
    sim_world *w = c->world;
    uint64_t at_us = w->now_us + w->latency_min_us
                     + sim_random(w, w->latency_max_us - w->latency_min_us);

    if (at_us <= c->busy_until_us[side]) {
        at_us = c->busy_until_us[side] + 1;
    }
    c->busy_until_us[side] = at_us;
    conn_at(c, at_us, on_deliver, 1 - side)->arg = (uint64_t)frame;
}

static void on_dead(sim_world *w, sim_event *e)
{
    sim_conn *c = e->conn;

    (void)w;
    if (c->is_up[e->side] && (!c->is_open[1 - e->side] || !passes(c))) {
        side_ends(c, e->side, PN_REASON_PING_TIMEOUT);
    }
}

/* Nothing arrives any more; if it stays so, both ends time out. */
static void goes_dark(sim_conn *c)
{
    for (unsigned side = 0; side < 2; side++) {
        if (c->is_up[side]) {
            (void)conn_at(c,
                c->world->now_us + DEAD_MIN_US
                    + sim_random(c->world, DEAD_SPAN_US),
                on_dead, side);
        }
    }
}

static void on_connect_timeout(sim_world *w, sim_event *e)
{
    (void)w;
    if (e->conn->is_open[0] && !e->conn->is_connected) {
        side_ends(e->conn, 0, PN_REASON_CONNECT_TIMEOUT);
    }
}

static void on_handshake_timeout(sim_world *w, sim_event *e)
{
    sim_conn *c = e->conn;
    unsigned side = e->side;

    (void)w;
    if (!c->is_open[side] || c->is_up[side] || (side == 1 && c->is_backlog)) {
        return;
    }
    c->n_refs++;
    if (c->is_open[1 - side]) {
        sim_conn_send(c, side, SIM_END);
    }
    c->why = PN_REASON_PEER_CLOSED;
    side_ends(c, side, PN_REASON_HANDSHAKE_TIMEOUT);
    conn_unref(c);
}

static void on_nudge(sim_world *w, sim_event *e)
{
    (void)w;
    if (e->conn->is_up[0] && !e->conn->has_frame) {
        sim_conn_send(e->conn, 0, SIM_PING);
    }
}

static sim_node *node_at_address(const sim_world *w, const pn_address *a)
{
    unsigned number = ntohl(a->in.sin_addr.s_addr) - FIRST_ADDRESS;

    if (number < w->n_nodes
        && pn_address_equal(&w->nodes[number]->address, a)) {
        return w->nodes[number];
    }
    for (unsigned i = 0; i < w->n_nodes; i++) {
        if (pn_address_equal(&w->nodes[i]->address, a)) {
            return w->nodes[i];
        }
    }
    return NULL;
}

sim_conn *sim_conn_dial(
    sim_node *n, const pn_address *to, const pn_public_key *expected)
{
    sim_world *w = n->world;
    sim_conn *c = must(calloc(1, sizeof(*c)));

    c->world = w;
    c->node[0] = n;
    c->node[1] = node_at_address(w, to);
    c->expected = *expected;
    c->from = n->address;
    c->to = *to;
    c->is_open[0] = true;
    c->why = PN_REASON_PEER_CLOSED;
    w->n_dials++;
    node_hold(n, c);
    (void)conn_at(c, w->now_us + CONNECT_TIMEOUT_US, on_connect_timeout, 0);
    if (c->node[1] != NULL && sim_random(w, 100) >= w->loss_percent) {
        sim_conn_send(c, 0, SIM_SYN);
    }
    return c;
}

static void on_syn(sim_conn *c)
{
    sim_node *n = c->node[1];

    if (!c->is_open[0] || !pn_address_equal(&n->address, &c->to)) {
        return;
    }
    if (n->is_on_loopback || (!n->is_running && !n->is_lingering)) {
        c->why = PN_REASON_CONNECTION_REFUSED;
        sim_conn_send(c, 1, SIM_END);
        return;
    }
    c->is_open[1] = true;
    c->is_backlog = n->is_lingering;
    node_hold(n, c);
    sim_conn_send(c, 1, SIM_SYN_ACK);
    (void)conn_at(
        c, c->world->now_us + HANDSHAKE_TIMEOUT_US, on_handshake_timeout, 1);
}

static void link_comes_up(sim_conn *c, unsigned side)
{
    c->is_up[side] = true;
    if (side == 1) {
        c->world->n_links++;
    }
    actor(c->node[side])->up(c->node[side], c, side);
}

static void on_m2(sim_conn *c)
{
    sim_node *n = c->node[0];
    const sim_peer *p = sim_peer_of(n, &c->expected);
    pn_reason why = PN_REASON_NONE;

    if (memcmp(&c->node[1]->key, &c->expected, sizeof(c->expected)) != 0) {
        why = PN_REASON_KEY_MISMATCH;
    } else if (p == NULL || !p->is_trusted) {
        why = PN_REASON_UNTRUSTED_PEER;
    }
    if (why != PN_REASON_NONE) {
        sim_conn_send(c, 0, SIM_END);
        side_ends(c, 0, why);
        return;
    }
    sim_conn_send(c, 0, SIM_M3);
    (void)conn_at(c, c->world->now_us + NUDGE_US, on_nudge, 0);
    link_comes_up(c, 0);
}

static void on_m3(sim_conn *c)
{
    const sim_peer *p = sim_peer_of(c->node[1], &c->node[0]->key);

    if (p == NULL || !p->is_trusted) {
        /* Ours is silent until the deadline of the handshake. */
        if (c->node[1]->kind != SIM_OURS || c->world->refuses_at_once) {
            sim_conn_close(c, 1, PN_REASON_PEER_CLOSED);
        }
    } else {
        link_comes_up(c, 1);
    }
}

static void on_frame(sim_conn *c, unsigned side, sim_frame frame)
{
    if (!c->is_up[side]) {
        return;
    }
    if (side == 0) {
        c->has_frame = true;
    }
    if (frame == SIM_PING) {
        sim_conn_send(c, side, SIM_PONG);
    }
    actor(c->node[side])->frame(c->node[side], c, side);
}

static void deliver(sim_conn *c, unsigned side, sim_frame frame)
{
    switch (frame) {
    case SIM_SYN:
        on_syn(c);
        break;
    case SIM_SYN_ACK:
        c->is_connected = true;
        sim_ours_connected(c);
        (void)conn_at(c, c->world->now_us + HANDSHAKE_TIMEOUT_US,
            on_handshake_timeout, 0);
        sim_conn_send(c, 0, SIM_M1);
        break;
    case SIM_M1:
        if (!c->is_backlog) {
            sim_conn_send(c, 1, SIM_M2);
        }
        break;
    case SIM_M2:
        on_m2(c);
        break;
    case SIM_M3:
        on_m3(c);
        break;
    case SIM_PING:
    case SIM_PONG:
        on_frame(c, side, frame);
        break;
    case SIM_END:
        side_ends(c, side, c->why);
        break;
    }
}

static void on_deliver(sim_world *w, sim_event *e)
{
    sim_conn *c = e->conn;
    sim_frame frame = (sim_frame)e->arg;
    unsigned side = e->side;

    if (!passes(c)) {
        /* TCP tries again while its caller waits. */
        if (c->is_open[side] || (frame == SIM_SYN && c->is_open[0])) {
            uint64_t at_us = w->now_us + RESEND_US;

            if (at_us <= c->busy_until_us[1 - side]) {
                at_us = c->busy_until_us[1 - side] + 1;
            }
            c->busy_until_us[1 - side] = at_us;
            conn_at(c, at_us, on_deliver, side)->arg = e->arg;
        }
        return;
    }
    if (frame != SIM_SYN && !c->is_open[side]) {
        /* A kernel that does not know the connection resets it. */
        if (frame != SIM_END && c->is_open[1 - side]) {
            c->why = PN_REASON_CONNECTION_RESET;
            sim_conn_send(c, side, SIM_END);
        }
        return;
    }
    deliver(c, side, frame);
}

/* ---- nodes ---- */

static void give_address(sim_node *n, unsigned number)
{
    n->address = (pn_address){.in = {.sin_family = AF_INET,
                                  .sin_port = htons(7100),
                                  .sin_addr = {htonl(FIRST_ADDRESS + number)}}};
}

sim_node *sim_add(sim_world *w, sim_kind kind, uint8_t rank)
{
    sim_node *n = must(calloc(1, sizeof(*n)));

    w->nodes = must(realloc(w->nodes, (w->n_nodes + 1) * sizeof(*w->nodes)));
    w->nodes[w->n_nodes] = n;
    n->world = w;
    n->kind = kind;
    n->index = w->n_nodes++;
    n->is_host_up = true;
    n->key.bytes[0] = rank;
    for (unsigned i = 0; i < 4; i++) {
        n->key.bytes[1 + i] = (uint8_t)(n->index >> (24 - 8 * i));
    }
    n->wake_us = PN_TIME_NEVER;
    give_address(n, n->index);
    return n;
}

void sim_start(sim_node *n)
{
    n->is_host_up = true;
    n->is_running = true;
    n->is_lingering = false;
    n->life++;
    actor(n)->start(n);
}

static void let_go(sim_node *n, bool is_silent)
{
    while (n->n_conns > 0) {
        sim_conn *c = n->conns[n->n_conns - 1];
        unsigned side = c->node[0] == n ? 0 : 1;

        if (is_silent) {
            goes_dark(c);
            c->n_refs++;
            side_over(c, side);
            conn_unref(c);
        } else {
            sim_conn_close(c, side, PN_REASON_PEER_CLOSED);
        }
    }
}

static void die(sim_node *n, bool is_silent)
{
    if (n->is_running) {
        n->is_running = false;
        actor(n)->stop(n);
    }
    n->is_lingering = false;
    n->life++;
    let_go(n, is_silent);
    n->n_ended = 0;
}

void sim_kill(sim_node *n)
{
    die(n, false);
}

void sim_power_loss(sim_node *n)
{
    n->is_host_up = false;
    die(n, true);
}

static void on_linger_over(sim_world *w, sim_event *e)
{
    (void)w;
    if (e->node->life == e->arg) {
        die(e->node, false);
    }
}

void sim_stop(sim_node *n, uint64_t linger_us)
{
    n->is_running = false;
    actor(n)->stop(n);
    n->is_lingering = linger_us > 0;
    n->life++;
    let_go(n, false);
    node_at(n, n->world->now_us + linger_us, on_linger_over);
}

void sim_move(sim_node *n)
{
    give_address(n, 1000000 + (unsigned)sim_random(n->world, 10000000));
}

static void on_heard(sim_world *w, sim_event *e)
{
    (void)w;
    if (e->node->is_running && e->node->life == e->arg) {
        actor(e->node)->heard(e->node, &e->key, &e->address);
    }
}

void sim_announce(sim_node *n)
{
    sim_world *w = n->world;

    n->n_announces++;
    for (unsigned i = 0; i < w->n_nodes; i++) {
        sim_node *to = w->nodes[i];

        if (to != n && can_reach(n, to)) {
            sim_event *e = sim_at(w,
                w->now_us + w->latency_min_us
                    + sim_random(w, w->latency_max_us - w->latency_min_us),
                on_heard);

            e->node = to;
            e->arg = to->life;
            e->key = n->key;
            e->address = n->address;
        }
    }
}

static void on_announce(sim_world *w, sim_event *e)
{
    sim_node *n = e->node;

    if (n->life != e->arg || !n->is_running) {
        return;
    }
    if (n->kind == SIM_OURS) {
        if (w->now_us < n->pace.next_us) {
            return; /* it began anew meanwhile */
        }
        sim_announce(n);
        pn_pace_sent(&n->pace, &n->env, w->now_us);
        node_at(n, n->pace.next_us, on_announce);
    } else {
        sim_announce(n);
        sim_announce_every(n);
    }
}

void sim_announce_every(sim_node *n)
{
    uint64_t at_us = n->world->now_us + ANNOUNCE_US;

    if (n->kind == SIM_OURS) {
        n->pace.interval_us = ANNOUNCE_US;
        pn_pace_begin(&n->pace, n->world->now_us);
        at_us = n->pace.next_us;
    }
    node_at(n, at_us, on_announce);
}

void sim_partition(sim_node *n, unsigned partition)
{
    n->partition = partition;
    for (unsigned i = 0; i < n->n_conns; i++) {
        if (!passes(n->conns[i])) {
            goes_dark(n->conns[i]);
        }
    }
}

/* ---- pairs ---- */

sim_peer *sim_peer_of(const sim_node *n, const pn_public_key *key)
{
    for (unsigned i = 0; i < n->n_peers; i++) {
        if (memcmp(&n->peers[i].key, key, sizeof(*key)) == 0) {
            return &n->peers[i];
        }
    }
    return NULL;
}

sim_node *sim_node_of(const sim_world *w, const pn_public_key *key)
{
    unsigned index = 0;

    for (unsigned i = 0; i < 4; i++) {
        index = index << 8 | key->bytes[1 + i];
    }
    return w->nodes[index];
}

void sim_pair(sim_node *a, sim_node *b, bool knows)
{
    sim_peer *p = sim_peer_of(a, &b->key);

    if (p == NULL) {
        a->peers = must(
            realloc(a->peers, (a->n_peers + 1) * sizeof(*a->peers)));
        p = &a->peers[a->n_peers++];
        *p = (sim_peer){.key = b->key};
    }
    p->is_trusted = true;
    if (knows) {
        p->address = b->address;
    }
    if (a->is_running) {
        actor(a)->pair(a, p);
    }
}

void sim_unpair(sim_node *a, sim_node *b)
{
    sim_peer *p = sim_peer_of(a, &b->key);

    if (p != NULL && p->is_trusted) {
        p->is_trusted = false;
        if (a->is_running) {
            actor(a)->unpair(a, p);
        }
    }
}

bool sim_is_paired(const sim_node *a, const sim_node *b)
{
    const sim_peer *p = sim_peer_of(a, &b->key);

    return p != NULL && p->is_trusted;
}

void sim_dial(sim_node *a, sim_node *b)
{
    sim_peer *p = sim_peer_of(a, &b->key);

    p->address = b->address;
    actor(a)->dial(a, p);
}

void sim_cut(sim_node *a, sim_node *b)
{
    for (unsigned i = a->n_conns; i-- > 0;) {
        sim_conn *c = a->conns[i];

        if (c->node[0] == b || c->node[1] == b) {
            c->n_refs++;
            side_ends(c, 0, PN_REASON_CONNECTION_RESET);
            side_ends(c, 1, PN_REASON_CONNECTION_RESET);
            conn_unref(c);
        }
    }
}

unsigned sim_links(const sim_node *a, const sim_node *b)
{
    unsigned n = 0;

    for (unsigned i = 0; i < a->n_conns; i++) {
        const sim_conn *c = a->conns[i];

        n += (c->node[0] == b || c->node[1] == b) && c->is_up[0] && c->is_up[1];
    }
    return n;
}

bool sim_is_settled(const sim_node *a, const sim_node *b)
{
    const sim_conn *one = actor(a)->primary(a, sim_peer_of(a, &b->key));
    const sim_conn *two = actor(b)->primary(b, sim_peer_of(b, &a->key));

    return sim_links(a, b) == 1 && one == two && one != NULL && one->is_up[0]
           && one->is_up[1];
}

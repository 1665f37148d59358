/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A simulated node with the habits of Elixir PeerNet 0.1.0 (docs/PROTOCOL.md,
 * sections 6 and 7.1): every announce of an unconnected trusted key dials, with
 * no backoff; after a drop it redials after 0.5 s, doubling, only where the
 * address came from an announce and only while TCP itself fails; the newest
 * link closes the older; and a supervisor takes down all links at the fourth
 * end within 5 s. A passive node is the same, but keeps both links and has no
 * supervisor.
 */
#include "world.h"

#define REDIAL_MIN_MS 500
#define REDIAL_MAX_MS 30000

/* OTP counts in whole seconds. */
#define INTENSITY 3
#define PERIOD_S 5

static void dial_peer(sim_node *n, sim_peer *p)
{
    if (!p->is_dialling && p->primary == NULL && p->is_trusted) {
        p->is_dialling = true;
        (void)sim_conn_dial(n, &p->address, &p->key);
    }
}

static void on_redial(sim_world *w, sim_event *e)
{
    sim_node *n = e->node;
    sim_peer *p = sim_peer_of(n, &e->key);

    (void)w;
    if (n->is_running && p->redial_seq == e->arg) {
        dial_peer(n, p);
    }
}

static void redial_later(sim_node *n, sim_peer *p)
{
    sim_event *e;

    if (!p->is_discovered || !p->is_trusted) {
        return;
    }
    e = sim_at(n->world, n->world->now_us + p->redial_ms * MS, on_redial);
    e->node = n;
    e->key = p->key;
    e->arg = ++p->redial_seq;
    p->redial_ms = p->redial_ms * 2 > REDIAL_MAX_MS ? REDIAL_MAX_MS
                                                    : p->redial_ms * 2;
}

static void trip(sim_world *w, sim_event *e)
{
    sim_node *n = e->node;

    (void)w;
    for (unsigned i = n->n_conns; i-- > 0;) {
        sim_conn *c = n->conns[i];
        unsigned side = c->node[0] == n ? 0 : 1;
        sim_peer *p = sim_peer_of(n, &c->node[1 - side]->key);

        if (p != NULL) {
            p->primary = NULL;
            p->other = NULL;
            p->is_dialling = false;
        }
        sim_conn_close(c, side, PN_REASON_PEER_CLOSED);
    }
    n->n_ended = 0;
}

void sim_count_end(sim_node *n)
{
    uint64_t now_s = n->world->now_us / S;

    if (n->kind != SIM_ELIXIR || !n->is_running) {
        return;
    }
    memmove(n->ended_s + 1, n->ended_s, INTENSITY * sizeof(n->ended_s[0]));
    n->ended_s[0] = now_s;
    n->n_ended += n->n_ended <= INTENSITY;
    if (n->n_ended > INTENSITY && now_s - n->ended_s[INTENSITY] <= PERIOD_S) {
        n->is_tripped = true;
        sim_at(n->world, n->world->now_us, trip)->node = n;
    }
}

static void elixir_start(sim_node *n)
{
    n->n_ended = 0;
    for (unsigned i = 0; i < n->n_peers; i++) {
        sim_peer *p = &n->peers[i];

        p->primary = NULL;
        p->other = NULL;
        p->is_dialling = false;
        p->is_discovered = false;
        p->redial_ms = REDIAL_MIN_MS;
        p->redial_seq++;
    }
}

static void elixir_stop(sim_node *n)
{
    elixir_start(n);
}

static void elixir_pair(sim_node *n, sim_peer *p)
{
    (void)n;
    p->redial_ms = REDIAL_MIN_MS;
}

static void elixir_unpair(sim_node *n, sim_peer *p)
{
    sim_conn *held[2] = {p->primary, p->other};

    p->primary = NULL;
    p->other = NULL;
    for (unsigned i = 0; i < 2; i++) {
        if (held[i] != NULL) {
            sim_conn_close(
                held[i], held[i]->node[0] == n ? 0 : 1, PN_REASON_PEER_CLOSED);
        }
    }
}

static void elixir_heard(
    sim_node *n, const pn_public_key *key, const pn_address *address)
{
    sim_peer *p = sim_peer_of(n, key);

    if (p == NULL || !p->is_trusted) {
        return;
    }
    p->address = *address;
    p->is_discovered = true;
    dial_peer(n, p);
}

static bool never_connected(pn_reason why)
{
    return why == PN_REASON_CONNECTION_REFUSED
           || why == PN_REASON_CONNECT_TIMEOUT;
}

static void elixir_failed(sim_node *n, sim_conn *c, pn_reason why)
{
    sim_peer *p = sim_peer_of(n, &c->expected);

    p->is_dialling = false;
    if (p->primary == NULL && never_connected(why)) {
        redial_later(n, p);
    }
}

static void elixir_up(sim_node *n, sim_conn *c, unsigned side)
{
    sim_peer *p = sim_peer_of(n, &c->node[1 - side]->key);
    sim_conn *older = p->primary;

    if (side == 0) {
        p->is_dialling = false;
    }
    p->primary = c;
    p->redial_ms = REDIAL_MIN_MS;
    if (older == NULL) {
        return;
    }
    if (n->kind == SIM_PASSIVE) {
        p->other = older;
    } else {
        sim_conn_close(
            older, older->node[0] == n ? 0 : 1, PN_REASON_PEER_CLOSED);
    }
}

static void elixir_frame(sim_node *n, sim_conn *c, unsigned side)
{
    (void)n;
    (void)c;
    (void)side;
}

static void elixir_down(sim_node *n, sim_conn *c, unsigned side, pn_reason why)
{
    sim_peer *p = sim_peer_of(n, &c->node[1 - side]->key);

    (void)why;
    if (p->other == c) {
        p->other = NULL;
    }
    if (p->primary == c) {
        p->primary = p->other;
        p->other = NULL;
        if (p->primary == NULL) {
            redial_later(n, p);
        }
    }
}

static sim_conn *elixir_primary(const sim_node *n, const sim_peer *p)
{
    (void)n;
    return p->primary;
}

const sim_actor sim_elixir = {
    .start = elixir_start,
    .stop = elixir_stop,
    .pair = elixir_pair,
    .unpair = elixir_unpair,
    .dial = dial_peer,
    .heard = elixir_heard,
    .failed = elixir_failed,
    .up = elixir_up,
    .frame = elixir_frame,
    .down = elixir_down,
    .primary = elixir_primary,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* A simulated node that runs the real registry, as src/node does. */
#include <stdlib.h>

#include "node/reg_peer.h"
#include "registry_config.h"
#include "world.h"

typedef struct ours_peer {
    sim_conn *dial;
} ours_peer;

static void on_timer(sim_world *w, sim_event *e);

/* Asks to be woken when the registry is due. */
static void arm(sim_node *n)
{
    uint64_t due_us = pn_registry_deadline(n->registry);
    sim_event *e;

    if (due_us == PN_TIME_NEVER || due_us >= n->wake_us) {
        return;
    }
    due_us = due_us < n->world->now_us ? n->world->now_us : due_us;
    n->wake_us = due_us;
    e = sim_at(n->world, due_us, on_timer);
    e->node = n;
    e->arg = n->life;
}

static void check_peer(sim_node *n, const pn_reg_peer *peer)
{
    pn_reg_info info;

    pn_registry_info(n->registry, peer, &info);
    SIM_CHECK(n->world, info.n_links <= PN_REG_MAX_LINKS);
    SIM_CHECK(n->world, (info.state == PN_PEER_UP) == (peer->primary != NULL));
    SIM_CHECK(n->world, info.n_links > 0 || peer->primary == NULL);
}

static void on_timer(sim_world *w, sim_event *e)
{
    sim_node *n = e->node;

    if (n->life != e->arg || w->now_us < n->wake_us) {
        return; /* of an earlier life, or put forward since */
    }
    n->wake_us = PN_TIME_NEVER;
    pn_registry_tick(n->registry, w->now_us);
    SIM_CHECK(w, pn_registry_deadline(n->registry) > w->now_us);
    arm(n);
}

/* ---- callbacks of the registry ---- */

static pn_reason ours_dial(
    void *user, pn_reg_peer *peer, const pn_address *address)
{
    sim_node *n = user;
    ours_peer *o = peer->user;
    pn_reg_info info;

    pn_registry_info(n->registry, peer, &info);
    SIM_CHECK(n->world, n->is_running);
    SIM_CHECK(n->world, o->dial == NULL);
    SIM_CHECK(n->world, info.n_links == 0);
    SIM_CHECK(n->world, memcmp(&peer->key, &n->key, sizeof(n->key)) != 0);
    SIM_CHECK(n->world, sim_peer_of(n, &peer->key)->is_trusted);
    o->dial = sim_conn_dial(n, address, &peer->key);
    return PN_REASON_NONE;
}

static bool ours_cancel(void *user, pn_reg_peer *peer)
{
    sim_node *n = user;
    ours_peer *o = peer->user;
    bool was_connected = o->dial->is_connected;
    sim_conn *c = o->dial;

    SIM_CHECK(n->world, c != NULL);
    o->dial = NULL;
    sim_conn_close(c, 0, PN_REASON_PEER_CLOSED);
    return was_connected;
}

static unsigned side_of(const sim_node *n, const sim_conn *c)
{
    return c->node[0] == n ? 0 : 1;
}

static void ours_probe(void *user, pn_reg_peer *peer, void *link)
{
    (void)peer;
    sim_conn_send(link, side_of(user, link), SIM_PING);
}

static void ours_close(
    void *user, pn_reg_peer *peer, void *link, pn_reason reason)
{
    sim_node *n = user;

    (void)peer;
    n->world->n_duplicates += reason == PN_REASON_DUPLICATE;
    sim_conn_close(link, side_of(n, link), PN_REASON_PEER_CLOSED);
}

static const pn_reg_callbacks callbacks = {
    .dial = ours_dial,
    .cancel_dial = ours_cancel,
    .probe = ours_probe,
    .close_link = ours_close,
};

/* ---- events ---- */

static pn_err ours_random(void *user, uint8_t *buf, size_t len)
{
    sim_node *n = user;

    for (size_t i = 0; i < len; i++) {
        buf[i] = (uint8_t)sim_random(n->world, 256);
    }
    return PN_OK;
}

static void ours_pair(sim_node *n, sim_peer *p)
{
    pn_reg_peer *peer;
    pn_err err = pn_registry_peer_add(n->registry, &p->key, NULL, &peer);

    SIM_CHECK(n->world, err == PN_OK || err == PN_EXISTS);
    if (err == PN_OK) {
        peer->user = calloc(1, sizeof(ours_peer));
    }
    if (p->address.any.sa_family == AF_INET) {
        (void)pn_registry_hint(n->registry, &p->key, &p->address,
            PN_REG_REMEMBERED, n->world->now_us);
    }
    arm(n);
}

static void ours_start(sim_node *n)
{
    n->env = (pn_env){.user = n, .random = ours_random};
    if (n->config.max_peers == 0) {
        registry_config_default(&n->config);
    }
    n->config.own_key = n->key;
    n->config.env = &n->env;
    n->wake_us = PN_TIME_NEVER;
    if (pn_registry_new(&n->config, &callbacks, n, &n->registry) != PN_OK) {
        abort();
    }
    for (unsigned i = 0; i < n->n_peers; i++) {
        if (n->peers[i].is_trusted) {
            ours_pair(n, &n->peers[i]);
        }
    }
}

static void ours_stop(sim_node *n)
{
    size_t cursor = 0;
    pn_reg_entry *peer;

    pn_registry_stop(n->registry);
    while ((peer = pn_map_next(&n->registry->peers, &cursor)) != NULL) {
        free(peer->pub.user);
    }
    pn_registry_free(n->registry);
    n->registry = NULL;
    n->wake_us = PN_TIME_NEVER;
}

static void ours_unpair(sim_node *n, sim_peer *p)
{
    pn_reg_peer *peer = pn_registry_find(n->registry, &p->key);
    void *user = peer->user;

    (void)pn_registry_peer_remove(n->registry, &p->key, n->world->now_us);
    free(user);
    for (unsigned i = 0; i < n->n_conns; i++) {
        const sim_conn *c = n->conns[i];

        SIM_CHECK(n->world, !c->is_up[side_of(n, c)]
                                || memcmp(&c->node[1 - side_of(n, c)]->key,
                                       &p->key, sizeof(p->key))
                                       != 0);
    }
    arm(n);
}

static void ours_connect(sim_node *n, sim_peer *p)
{
    SIM_CHECK(n->world, pn_registry_connect(n->registry, &p->key, &p->address,
                            1, n->world->now_us)
                            == PN_OK);
    pn_registry_tick(n->registry, n->world->now_us);
    arm(n);
}

static void ours_heard(
    sim_node *n, const pn_public_key *key, const pn_address *address)
{
    (void)pn_registry_hint(
        n->registry, key, address, PN_REG_DISCOVERED, n->world->now_us);
    arm(n);
}

static void ours_failed(sim_node *n, sim_conn *c, pn_reason why)
{
    pn_reg_peer *peer = pn_registry_find(n->registry, &c->expected);
    ours_peer *o = peer->user;

    SIM_CHECK(n->world, o->dial == c);
    o->dial = NULL;
    pn_registry_dial_failed(n->registry, peer, why, n->world->now_us);
    check_peer(n, peer);
    arm(n);
}

static void ours_up(sim_node *n, sim_conn *c, unsigned side)
{
    const sim_node *to = c->node[1 - side];
    pn_reg_peer *peer = pn_registry_find(n->registry, &to->key);

    SIM_CHECK(n->world, peer != NULL);
    if (side == 0) {
        ours_peer *o = peer->user;

        SIM_CHECK(n->world, o->dial == c);
        o->dial = NULL;
    }
    peer = pn_registry_link_up(
        n->registry, &to->key, c, side == 0, &to->address, n->world->now_us);
    SIM_CHECK(n->world, peer != NULL);
    check_peer(n, peer);
    if (side == 0) {
        sim_conn_send(c, side, SIM_PING); /* as node/peer_link.c does */
    }
    arm(n);
}

static pn_reg_peer *peer_on(sim_node *n, const sim_conn *c, unsigned side)
{
    return pn_registry_find(n->registry, &c->node[1 - side]->key);
}

static void ours_frame(sim_node *n, sim_conn *c, unsigned side)
{
    pn_reg_peer *peer = peer_on(n, c, side);

    if (peer->is_probing) {
        pn_registry_link_received(n->registry, peer, c);
        arm(n);
    }
}

static void ours_down(sim_node *n, sim_conn *c, unsigned side, pn_reason why)
{
    pn_reg_peer *peer = peer_on(n, c, side);

    pn_registry_link_down(n->registry, peer, c, why, n->world->now_us);
    check_peer(n, peer);
    arm(n);
}

static sim_conn *ours_primary(const sim_node *n, const sim_peer *p)
{
    const pn_reg_peer *peer = n->registry == NULL
                                  ? NULL
                                  : pn_registry_find(n->registry, &p->key);

    return peer == NULL ? NULL : peer->primary;
}

void sim_ours_connected(const sim_conn *c)
{
    sim_node *n = c->node[0];
    pn_reg_peer *peer = n->kind != SIM_OURS || n->registry == NULL
                            ? NULL
                            : pn_registry_find(n->registry, &c->expected);

    if (peer != NULL && ((ours_peer *)peer->user)->dial == c) {
        pn_registry_dial_connected(n->registry, peer);
    }
}

const sim_actor sim_ours = {
    .start = ours_start,
    .stop = ours_stop,
    .pair = ours_pair,
    .unpair = ours_unpair,
    .dial = ours_connect,
    .heard = ours_heard,
    .failed = ours_failed,
    .up = ours_up,
    .frame = ours_frame,
    .down = ours_down,
    .primary = ours_primary,
};

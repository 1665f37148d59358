/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One dial, several addresses, in the registry's order. If a SYN is not
 * answered within 250 ms, the peer's next address is tried beside it; after a
 * refusal the next is tried at once. Each attempt has connect_timeout_ms, so a
 * dial ends that long after its last attempt. The first that connects becomes
 * the link's connection, before a byte of the handshake is sent, and unanswered
 * attempts are cancelled. An attempt that was answered at the same moment is a
 * connection for the peer, so it stays open, silent, until it may end by the
 * etiquette (docs/PROTOCOL.md, section 7).
 */
#include <stdlib.h>

#include "base/mutant.h"
#include "node/node_internal.h"

#define NEXT_US (250 * PN_US_PER_MS)

typedef struct pn_spare {
    pn_item item; /* in the link's spares */
    pn_peer_link *link;
    pn_conn *conn;
    pn_address to;
} pn_spare;

static const pn_conn_callbacks spare_callbacks;

/* Sets the deadline of an attempt that begins now, and the time of the next
 * attempt. */
static void note_attempt(pn_peer_link *link, uint64_t now_us)
{
    assert_on_loop(link->base.node);
    assert_locked(link->base.node);
    link->race_us = now_us + NEXT_US;
    link->connect_deadline_us =
        now_us
        + (uint64_t)link->base.node->opt.connect_timeout_ms * PN_US_PER_MS;
}

void pn_race_begin(pn_peer_link *link)
{
    note_attempt(link, pn_node_now(link->base.node));
}

/* Cancels an unanswered connection. If it is answered in the microseconds
 * between the check and the close, the peer sees a connection that ends. */
static void drop(pn_peer_link *link, pn_conn *conn, const pn_address *to)
{
    const pn_transport_ops *transport = pn_full(link->base.node)->transport;

    assert_on_loop(link->base.node);
    assert_locked(link->base.node);
    if (transport->is_answered != NULL && !link->base.node->closing.is_asked
        && PN_REFUSE_IF(race_silent, transport->is_answered(conn))) {
        pn_link_new_silent(link, conn, to);
    } else {
        transport->close(conn);
    }
}

/* Its connection is the link's; the caller has the one before. */
static void promote(pn_spare *spare)
{
    pn_peer_link *link = spare->link;
    const pn_peer *peer = pn_link_peer(link);

    assert_on_loop(link->base.node);
    assert_locked(link->base.node);
    pn_list_remove(&spare->item);
    link->conn = spare->conn;
    link->base.remote = spare->to;
    pn_full(link->base.node)
        ->transport->set_callbacks(link->conn, &pn_link_conn_callbacks, link);
    if (peer != NULL && peer->dial == link) {
        pn_registry_dial_at(peer->reg, &link->base.remote);
    }
    free(spare);
}

static void attempt_failed(
    pn_peer_link *link, const pn_address *to, pn_reason reason)
{
    pn_node *node = link->base.node;
    const pn_peer *peer = pn_link_peer(link);

    assert_on_loop(node);
    assert_locked(node);
    if (peer != NULL && peer->dial == link) {
        pn_link_tell_failure(link, peer->reg, peer->label, to, reason);
        pn_registry_attempt_failed(peer->reg, to, reason, pn_node_now(node));
    }
    if (link->race_us != PN_TIME_NEVER) {
        link->race_us = pn_node_now(node);
    }
    pn_link_touch(&link->base);
}

/* The next address to try; false: there is none. */
static bool next_address(const pn_peer_link *link, pn_address *ret_to)
{
    const pn_peer *peer = pn_link_peer(link);

    return peer != NULL && peer->dial == link
           && pn_registry_dial_also(peer->reg, ret_to);
}

/* NULL: no connection could be started, which has been reported. */
static pn_spare *spare_dial(pn_peer_link *link, const pn_address *to)
{
    pn_node *node = link->base.node;
    pn_spare *spare = calloc(1, sizeof(*spare));
    int sys_errno = 0;
    pn_err err = PN_NOMEM;

    if (spare != NULL) {
        spare->link = link;
        spare->to = *to;
        err = pn_full(node)->transport->dial(node->turn.loop, to,
            &spare_callbacks, spare, &spare->conn, &sys_errno);
    }
    if (err != PN_OK) {
        attempt_failed(link, to, pn_link_reason(link, to, err, sys_errno));
        free(spare);
        return NULL;
    }
    return spare;
}

void pn_race_more(const pn_peer *peer)
{
    pn_peer_link *link = peer->dial;

    if (link != NULL && link->base.stage == PN_LINK_DIALLING
        && link->race_us == PN_TIME_NEVER) {
        link->race_us = pn_node_now(link->base.node);
        pn_link_touch(&link->base);
    }
}

void pn_race_tick(pn_peer_link *link, uint64_t now_us)
{
    pn_address to;
    pn_spare *spare;

    assert_on_loop(link->base.node);
    assert_locked(link->base.node);
    if (now_us < link->race_us) {
        return;
    }
    link->race_us = PN_TIME_NEVER;
    if (!next_address(link, &to)) {
        return;
    }
    spare = spare_dial(link, &to);
    link->race_us = now_us; /* the next at once, if there is none here */
    if (spare != NULL) {
        pn_list_insert(&link->spares, NULL, &spare->item);
        note_attempt(link, now_us);
    }
}

bool pn_race_elsewhere(pn_peer_link *link, pn_reason reason)
{
    const pn_peer *peer;
    pn_address to;

    if (!next_address(link, &to)) {
        return false;
    }
    attempt_failed(link, &link->base.remote, reason);
    peer = pn_link_peer(link);
    link->base.remote = to;
    pn_registry_dial_at(peer->reg, &to);
    return true;
}

void pn_race_timed_out(pn_peer_link *link)
{
    PN_LIST_EACH(pn_spare, s, &link->spares, item) {
        attempt_failed(link, &s->to, PN_REASON_CONNECT_TIMEOUT);
    }
}

bool pn_race_go_on(pn_peer_link *link, pn_reason reason)
{
    pn_conn *old = link->conn;

    assert_on_loop(link->base.node);
    assert_locked(link->base.node);
    if (link->spares.n > 0) {
        attempt_failed(link, &link->base.remote, reason);
        promote(PN_LIST_FIRST(&link->spares, pn_spare, item));
    } else if (pn_race_elsewhere(link, reason)) {
        link->conn = NULL;
        link->base.stage = PN_LINK_WANTS_DIAL;
    } else {
        return false;
    }
    pn_full(link->base.node)->transport->close(old);
    return true;
}

void pn_race_end(pn_peer_link *link)
{
    assert_on_loop(link->base.node);
    assert_locked(link->base.node);
    link->race_us = PN_TIME_NEVER;
    PN_LIST_EACH(pn_spare, spare, &link->spares, item) {
        pn_list_remove(&spare->item);
        drop(link, spare->conn, &spare->to);
        free(spare);
    }
}

/* ---- connection callbacks ---------------------------------------------- */

/* The first connection that is up becomes the link's. A link that has ended
 * closes this connection itself. */
static void on_spare_open(void *user)
{
    pn_spare *spare = user;
    pn_peer_link *link = spare->link;
    pn_node *node = link->base.node;

    assert_on_loop(node);
    assert_unlocked(node);
    pn_node_lock(node);
    if (link->base.stage == PN_LINK_DIALLING) {
        pn_conn *old = link->conn;
        pn_address to = link->base.remote;

        promote(spare);
        drop(link, old, &to);
        pn_link_connected(link);
    }
    pn_node_unlock(node);
}

static size_t on_spare_data(void *user, uint8_t *data, size_t len, size_t *want)
{
    (void)user;
    (void)data;
    (void)want;
    return len;
}

static void on_spare_writable(void *user)
{
    (void)user;
}

static void on_spare_end(void *user, pn_err why, int sys_errno)
{
    pn_spare *spare = user;
    pn_peer_link *link = spare->link;
    pn_node *node = link->base.node;

    assert_on_loop(node);
    assert_unlocked(node);
    pn_node_lock(node);
    pn_list_remove(&spare->item);
    if (link->base.stage == PN_LINK_DIALLING) {
        attempt_failed(
            link, &spare->to, pn_link_reason(link, &spare->to, why, sys_errno));
    }
    pn_full(node)->transport->close(spare->conn);
    pn_node_unlock(node);
    free(spare);
}

static const pn_conn_callbacks spare_callbacks = {
    .on_open = on_spare_open,
    .on_data = on_spare_data,
    .on_writable = on_spare_writable,
    .on_end = on_spare_end,
};

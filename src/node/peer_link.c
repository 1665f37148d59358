/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PeerNet's family of links: a connection of the transport and a session,
 * joined. Received bytes go to the session as they come; the session's output
 * is written once per turn, and earlier in a long turn. link/link.c has the
 * part that all families share.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mutant.h"
#include "node/node_internal.h"

/* This much output is written before the turn ends. */
enum { EARLY_MESSAGES = 32, EARLY_BYTES = 64 * 1024 };

/* Lines a minute for the addresses of one peer that were merely heard. */
enum { HEARSAY_LINES = 4 };

/* A peer that cannot read a message closes within this. */
#define AT_ONCE_US (2 * PN_US_PER_S)

/* Ends of connections to one peer are that far apart. */
#define SILENT_US (2 * PN_US_PER_S)

static const pn_session_callbacks session_callbacks;

/* ---- life --------------------------------------------------------------- */

static pn_err session_start(pn_peer_link *link)
{
    pn_node *node = link->base.node;
    pn_session_config config = {
        .initiator = link->base.is_dialled,
        .identity = pn_full(node)->trust.identity,
        .expected_peer =
            link->base.is_dialled ? &link->base.principal.key.x25519 : NULL,
        .limits = &pn_full(node)->session_limits,
        .env = &node->env,
        .kind = &pn_full(node)->kind,
        .callbacks = &session_callbacks,
        .user = link,
    };

    link->base.stage = PN_LINK_HANDSHAKE;
    link->base.opened_us = pn_node_now(node);
    return pn_session_new(&config, link->base.opened_us, &link->session);
}

pn_peer *pn_link_peer(const pn_peer_link *link)
{
    return pn_node_find_peer(link->base.node, &link->base.principal.key.x25519);
}

static pn_peer_link *link_new(pn_node *node)
{
    return pn_peer_link_of(
        pn_link_new(node, &pn_peer_link_ops, sizeof(pn_peer_link)));
}

pn_err pn_link_new_dialled(
    pn_peer *peer, pn_node *node, const pn_address *to, pn_peer_link **ret_link)
{
    pn_peer_link *link = link_new(node);

    if (link == NULL) {
        return PN_NOMEM;
    }
    link->base.stage = PN_LINK_WANTS_DIAL;
    link->base.is_dialled = true;
    link->base.principal = pn_peernet_principal(&peer->key);
    link->base.remote = *to;
    node->metrics.dials++;
    pn_link_touch(&link->base);
    *ret_link = link;
    return PN_OK;
}

/* ---- the end ------------------------------------------------------------ */

static void link_count_auth_failure(pn_peer_link *link)
{
    pn_metrics *m = &link->base.node->metrics;

    if (link->base.is_dialled) {
        m->auth_failed_initiator++;
    } else {
        m->auth_failed_responder++;
    }
}

/* Reports a refusal to the owner of this node; the peer learns nothing of
 * it. */
static void link_report_refusal(pn_peer_link *link, pn_reason reason)
{
    const pn_public_key *key = link->session == NULL
                                   ? NULL
                                   : pn_session_peer(link->session);
    pn_principal who = {0};

    if (key != NULL) {
        who = pn_peernet_principal(key);
    }
    if (reason == PN_REASON_UNTRUSTED_PEER || reason == PN_REASON_KEY_MISMATCH
        || reason == PN_REASON_OWN_KEY || reason == PN_REASON_BAD_HANDSHAKE) {
        pn_node_denied(link->base.node, key == NULL ? NULL : &who, NULL,
            &link->base.remote, (pn_subject){0}, reason);
    }
}

/* A failing address is reported when its state changes. An address that was
 * only announced may be forged, so it is reported no more often than a
 * stranger. */
void pn_link_tell_failure(pn_peer_link *link, pn_reg_peer *reg,
    const char *label, const pn_address *to, pn_reason reason)
{
    pn_node *node = link->base.node;
    bool is_hearsay = false;

    if (reg != NULL && !pn_registry_is_news(reg, to, reason, &is_hearsay)) {
        return;
    }
    if (!is_hearsay
        || pn_node_tells(node, PN_QUIET_DIAL_FAILED,
            &link->base.principal.key.x25519, HEARSAY_LINES)) {
        pn_node_event(node, PN_EVENT_DIAL_FAILED, &link->base.principal, label,
            to, NULL, 0, reason);
    }
}

static void link_end_dial(pn_peer_link *link, pn_reason reason)
{
    pn_node *node = link->base.node;
    pn_peer *peer = pn_link_peer(link);

    node->metrics.dial_failures++;
    if (peer == NULL || peer->dial != link) {
        return; /* unpaired or cancelled meanwhile */
    }
    peer->dial = NULL;
    pn_link_tell_failure(
        link, peer->reg, peer->label, &link->base.remote, reason);
    pn_registry_dial_failed(
        pn_full(node)->registry, peer->reg, reason, pn_node_now(node));
    pn_peer_want_lookup(node, peer);
}

bool pn_link_ends_freely(const pn_peer_link *link)
{
    const pn_kind *kind = link->session == NULL
                              ? NULL
                              : pn_session_kind(link->session);

    /* It may have said so over another link. */
    if (link->peer != NULL && link->peer->reg->ends_freely) {
        return true;
    }
    return !PN_REFUSE_IF(link_etiquette,
        kind == NULL || (kind->flags & PN_KIND_NO_ETIQUETTE) == 0);
}

static void link_end_up(pn_peer_link *link, pn_reason reason)
{
    pn_node *node = link->base.node;
    pn_peer *peer = link->peer;
    uint64_t now = pn_node_now(node);

    node->links.n_up--;
    node->metrics.links_up -= link->is_told;
    if (!pn_link_ends_freely(link)) {
        node->links.last_end_us = now;
    }
    if (link->is_told) {
        pn_node_event(node, PN_EVENT_PEER_DOWN, &link->base.principal,
            link->base.label, &link->base.remote, NULL, 0, reason);
    } else {
        pn_link_tell_failure(link, peer == NULL ? NULL : peer->reg,
            link->base.label, &link->base.remote, reason);
    }
    link->peer = NULL;
    if (peer != NULL) {
        peer->last_seen_ms = pn_wall_now_us() / 1000;
        pn_registry_link_down(
            pn_full(node)->registry, peer->reg, link, reason, now);
    }
}

/* A peer that closes one of two links keeps the other. A PeerNet node that
 * hears of us twice dials twice. */
static bool is_one_of_two(const pn_peer_link *link)
{
    pn_reg_info info;

    if (link->peer == NULL) {
        return false;
    }
    pn_registry_info(
        pn_full(link->base.node)->registry, link->peer->reg, &info);
    return info.n_links > 1;
}

/* These reasons are guesses. A peer that we dialled and that closes before it
 * sends anything has most likely not paired us; a peer that closes right after
 * an atom of ours that not every VM has may not know it (docs/TERM.md,
 * "Atoms"). */
static pn_reason link_guess(const pn_peer_link *link, pn_reason reason)
{
    uint64_t received;
    uint64_t sent;

    if (link->base.stage != PN_LINK_UP
        || (reason != PN_REASON_PEER_CLOSED
            && reason != PN_REASON_CONNECTION_RESET)) {
        return reason;
    }
    if (is_one_of_two(link)) {
        reason = PN_REASON_DUPLICATE;
    }
    received = pn_session_last_received_us(link->session);
    if (link->base.is_dialled && received == 0
        && reason != PN_REASON_DUPLICATE) {
        return PN_REASON_NOT_PAIRED_THERE;
    }
    sent = link->message_us;
    if (sent != 0 && sent >= received
        && !PN_REFUSE_IF(
            guess_at_once, pn_node_now(link->base.node) - sent >= AT_ONCE_US)) {
        return PN_REASON_ATOM_UNKNOWN_TO_PEER;
    }
    return reason;
}

/* A second connection of ours that came too late is closed when that keeps the
 * etiquette: an Elixir node counts each that ends. */
static uint64_t silent_deadline(const pn_peer_link *link)
{
    const pn_peer *peer = pn_link_peer(link);
    uint64_t due_us = link->base.opened_us + SILENT_US;
    uint64_t may_us = peer == NULL ? 0 : pn_registry_may_end_us(peer->reg);

    return PN_REFUSE_IF(race_etiquette, may_us > due_us) ? may_us : due_us;
}

static uint64_t refused_deadline(const pn_peer_link *link)
{
    return link->base.is_dialled
               ? silent_deadline(link)
               : link->base.opened_us
                     + pn_full(link->base.node)->session_limits.handshake_us;
}

void pn_link_new_silent(
    const pn_peer_link *link, pn_conn *conn, const pn_address *to)
{
    pn_node *node = link->base.node;
    pn_peer_link *silent = link_new(node);

    assert_on_loop(link->base.node);
    assert_locked(link->base.node);
    if (silent == NULL) {
        pn_full(node)->transport->close(conn);
        return;
    }
    silent->base.stage = PN_LINK_REFUSED;
    silent->base.reason = PN_REASON_DUPLICATE;
    silent->base.is_dialled = true;
    silent->base.principal = link->base.principal;
    silent->base.remote = *to;
    silent->conn = conn;
    pn_full(node)->transport->set_callbacks(
        conn, &pn_link_conn_callbacks, silent);
    pn_link_touch(&silent->base);
}

static void silent_ended(const pn_peer_link *link)
{
    const pn_peer *peer = pn_link_peer(link);

    if (peer != NULL) {
        pn_registry_spare_ended(peer->reg, pn_node_now(link->base.node));
    }
}

static void on_link_end(pn_link *base, pn_link_stage was)
{
    pn_peer_link *link = pn_peer_link_of(base);
    pn_reason reason = base->reason;

    assert_locked(base->node);
    if (link->session != NULL) {
        pn_session_close(link->session, reason);
    }
    if (was == PN_LINK_HANDSHAKE) {
        link_count_auth_failure(link);
        link_report_refusal(link, reason);
    }
    if (was == PN_LINK_UP) {
        link_end_up(link, reason);
    } else if (was == PN_LINK_REFUSED && base->is_dialled) {
        silent_ended(link);
    } else if (base->is_dialled) {
        link_end_dial(link, reason);
    }
}

/* A stranger who came as far as the last handshake message holds the link for
 * up already. Closing at once would look like a drop: an Elixir node redials
 * every half second and loses all its links with the fourth (docs/PROTOCOL.md,
 * section 7). So a peer that is refused there gets silence until the handshake
 * deadline, for whatever reason it is refused. */
static void link_fail(pn_peer_link *link, pn_reason reason)
{
    bool is_refusal = reason == PN_REASON_UNTRUSTED_PEER
                      || reason == PN_REASON_BAD_HANDSHAKE
                      || reason == PN_REASON_OWN_KEY;

    assert_on_loop(link->base.node);
    assert_locked(link->base.node);
    if (link->base.stage != PN_LINK_HANDSHAKE || link->base.is_dialled
        || !link->has_answered || !is_refusal
        || link->base.node->closing.is_asked) {
        pn_link_end(&link->base, reason);
        return;
    }
    link->base.stage = PN_LINK_REFUSED;
    link->base.reason = reason;
    link_count_auth_failure(link);
    link_report_refusal(link, reason);
    pn_link_touch(&link->base);
}

/* ---- output (loop) ------------------------------------------------------- */

/* The session counts whole frames, in both directions. */
static void link_count_frames(pn_peer_link *link)
{
    pn_metrics *m = &link->base.node->metrics;
    uint64_t in = pn_session_frames_in(link->session);
    uint64_t out = pn_session_frames_out(link->session);

    m->frames_in += in - link->counted_in;
    m->frames_out += out - link->counted_out;
    link->counted_in = in;
    link->counted_out = out;
}

static void link_write(pn_peer_link *link)
{
    pn_node *node = link->base.node;
    uint64_t now = pn_node_now(node);

    assert_on_loop(link->base.node);
    assert_locked(link->base.node);
    for (;;) {
        pn_slice out = pn_session_output(link->session);
        size_t written = 0;

        if (out.len == 0) {
            return;
        }
        if (pn_full(node)->transport->write(
                link->conn, out.data, out.len, &written)
            != PN_OK) {
            return; /* on_end follows */
        }
        node->metrics.bytes_out += written;
        link->has_answered = true;
        pn_session_written(link->session, now, written);
        if (written < out.len) {
            return; /* on_writable follows */
        }
    }
}

static void link_flush(pn_peer_link *link)
{
    link_write(link);
    link_count_frames(link);
}

/* Output is written at the turn end. During a long turn both ends could wait
 * for each other, so after some of it the ready output is written, and the peer
 * works on it meanwhile. */
static void link_flush_early(pn_peer_link *link)
{
    const pn_node *node = link->base.node;

    if (link->base.stage != PN_LINK_UP || !node->turn.is_running
        || !pn_node_is_loop_thread(node)) {
        return;
    }
    if (pn_session_queued_messages(link->session) >= EARLY_MESSAGES
        || pn_session_queued_bytes(link->session) >= EARLY_BYTES) {
        link_flush(link);
    }
}

/* ---- session callbacks (lock held, any thread) --------------------------- */

static bool on_is_trusted(void *user, const pn_public_key *key)
{
    const pn_peer_link *link = user;
    const bool is_trusted = pn_node_is_trusted(link->base.node, key);

    /* Only a dial shows that the other end has paired with us: as an initiator
     * it sends M3 to the key that it expects (docs/PROTOCOL.md, section
     * 10.5). */
    if (!is_trusted && !link->base.is_dialled) {
        pn_node_complete_pairing(link->base.node, key);
    }
    return is_trusted;
}

static void link_count_auth(pn_peer_link *link)
{
    pn_metrics *m = &link->base.node->metrics;
    uint64_t took = link->base.up_us - link->base.opened_us;

    if (link->base.is_dialled) {
        m->auth_ok_initiator++;
        m->auth_us_initiator += took;
    } else {
        m->auth_ok_responder++;
        m->auth_us_responder += took;
    }
}

/* The peer has spoken: the registry uses the link from now on. */
static void link_tell_up(pn_peer_link *link)
{
    link->is_told = true;
    link->base.node->metrics.links_up++;
    (void)pthread_cond_broadcast(&link->base.node->state_changed);
    pn_node_event(link->base.node, PN_EVENT_PEER_UP, &link->base.principal,
        link->base.label, &link->base.remote, NULL, 0, PN_REASON_NONE);
}

static void on_session_open(void *user, const pn_public_key *key)
{
    pn_peer_link *link = user;
    pn_node *node = link->base.node;
    pn_peer *peer = pn_node_find_peer(node, key);

    assert_locked(link->base.node);
    link->base.principal = pn_peernet_principal(key);
    pn_link_leave_gate(&link->base);
    if (peer == NULL) {
        pn_link_end(&link->base, PN_REASON_UNPAIRED);
        return;
    }
    link->base.label = strdup(peer->label == NULL ? "" : peer->label);
    if (link->base.label == NULL) {
        pn_link_end(&link->base, PN_REASON_OUT_OF_MEMORY);
        return;
    }
    link->base.stage = PN_LINK_UP;
    link->base.up_us = pn_node_now(node);
    link->peer = peer;
    node->links.n_up++;
    link_count_auth(link);
    if (peer->dial == link) {
        peer->dial = NULL;
    }
    if (link->base.is_dialled) {
        /* The peer's first frame shows that it has paired us. */
        (void)!pn_session_ping(link->session, link->base.up_us);
    } else {
        link_tell_up(link);
    }
    if (pn_registry_link_up(pn_full(node)->registry, key, link,
            link->base.is_dialled, &link->base.remote, link->base.up_us)
        == NULL) {
        link->peer = NULL;
        pn_link_end(&link->base, PN_REASON_UNPAIRED);
        return;
    }
    pn_peer_reset_lookup(peer);
    if (link->base.is_dialled) {
        pn_peer_remember(node, peer, &link->base.remote);
    }
    (void)pthread_cond_broadcast(&node->state_changed);
}

/* Marks the peer as up before a handler sees its message. While the registry
 * probes a new link, or decides between two, it needs to know on which one the
 * peer answers. */
static void on_session_received(void *user)
{
    pn_peer_link *link = user;

    if (link->base.stage != PN_LINK_UP) {
        return;
    }
    if (!link->is_told) {
        link_tell_up(link);
    }
    if (link->peer->reg->is_probing) {
        pn_registry_link_received(
            pn_full(link->base.node)->registry, link->peer->reg, link);
    }
}

static void on_session_call(
    void *user, uint64_t id, pn_slice handle, pn_term args)
{
    pn_peer_link *link = user;

    pn_dispatch_message(&link->base, true, id, handle, args);
    link_flush_early(link);
}

static void on_session_send(void *user, pn_slice handle, pn_term args)
{
    pn_peer_link *link = user;

    pn_dispatch_message(&link->base, false, 0, handle, args);
}

static void on_session_reply(
    void *user, void *call, pn_err outcome, pn_term value)
{
    pn_peer_call_replied(user, call, outcome, value);
    link_flush_early(user);
}

static void on_session_output(void *user)
{
    pn_peer_link *link = user;

    pn_link_touch(&link->base);
}

/* The peer may say another label with each ping, so the events are limited. The
 * label itself is always the last that was said. */
static void tell_label(pn_peer_link *link)
{
    const char *label = pn_session_kind(link->session)->label;
    pn_node *node = link->base.node;
    pn_peer *peer = link->peer;

    if (strcmp(peer->told_label, label) == 0
        || PN_REFUSE_IF(
            label_events, !pn_node_tells(node, PN_QUIET_LABEL, &peer->key,
                              node->opt.label_events_per_minute))) {
        return;
    }
    memcpy(peer->told_label, label, strlen(label) + 1);
    pn_node_event(node, PN_EVENT_LABEL_PROPOSED, &link->base.principal,
        link->base.label, &link->base.remote, label, strlen(label),
        PN_REASON_NONE);
}

static void on_session_kind(void *user)
{
    pn_peer_link *link = user;

    if (link->peer != NULL) {
        tell_label(link);
    }
    if (link->peer != NULL && pn_link_ends_freely(link)) {
        pn_registry_ends_freely(
            pn_full(link->base.node)->registry, link->peer->reg);
    }
}

static void on_session_writable(void *user)
{
    pn_peer_link *link = user;

    pn_node_event(link->base.node, PN_EVENT_WRITABLE, &link->base.principal,
        link->base.label, &link->base.remote, NULL, 0, PN_REASON_NONE);
}

static const pn_session_callbacks session_callbacks = {
    .is_trusted = on_is_trusted,
    .on_open = on_session_open,
    .on_received = on_session_received,
    .on_call = on_session_call,
    .on_send = on_session_send,
    .on_reply = on_session_reply,
    .on_output = on_session_output,
    .on_kind = on_session_kind,
    .on_writable = on_session_writable,
};

/* ---- connection callbacks (loop, no lock) ------------------------------ */

void pn_link_connected(pn_peer_link *link)
{
    const pn_peer *peer = pn_link_peer(link);

    assert_on_loop(link->base.node);
    assert_locked(link->base.node);
    if (peer != NULL && peer->dial == link) {
        pn_registry_dial_connected(
            pn_full(link->base.node)->registry, peer->reg);
    }
    pn_full(link->base.node)
        ->transport->addresses(
            link->conn, &link->base.local, &link->base.remote);
    pn_race_end(link);
    if (session_start(link) != PN_OK) {
        pn_link_end(&link->base, PN_REASON_OUT_OF_MEMORY);
    }
    pn_link_touch(&link->base);
}

static void on_conn_open(void *user)
{
    pn_peer_link *link = user;
    pn_node *node = link->base.node;

    pn_node_lock(node);
    if (link->base.stage == PN_LINK_DIALLING) {
        pn_link_connected(link);
    }
    pn_node_unlock(node);
}

static size_t on_conn_data(void *user, uint8_t *data, size_t len, size_t *want)
{
    pn_peer_link *link = user;
    pn_node *node = link->base.node;
    size_t used = 0;
    pn_err err;

    pn_node_lock(node);
    node->metrics.bytes_in += len - link->n_left;
    link->n_left = 0;
    if (link->base.stage != PN_LINK_HANDSHAKE
        && link->base.stage != PN_LINK_UP) {
        pn_node_unlock(node);
        return len;
    }
    err = pn_session_input(link->session, pn_node_now(node), data, len, &used);
    if (err != PN_OK) {
        link_fail(link, pn_session_reason(link->session));
        used = len;
    } else if (link->base.stage != PN_LINK_ENDED) {
        *want = pn_session_need(link->session, data + used, len - used);
        pn_link_touch(&link->base);
    }
    link->n_left = len - used;
    link_count_frames(link);
    pn_node_unlock(node);
    return used;
}

static void on_conn_writable(void *user)
{
    pn_peer_link *link = user;

    pn_node_lock(link->base.node);
    pn_link_touch(&link->base);
    pn_node_unlock(link->base.node);
}

/* The reason for an errno of a connection. A discovered peer that refuses is
 * most often a stock PeerNet, which listens on loopback only. */
static pn_reason reason_of_errno(
    const pn_peer_link *link, const pn_address *to, int sys_errno)
{
    const pn_peer *peer = pn_link_peer(link);

    switch (sys_errno) {
    case ECONNREFUSED:
        return peer != NULL && pn_registry_announces_and_refuses(peer->reg, to)
                       && !pn_address_is_loopback(to)
                   ? PN_REASON_PEER_LISTENS_ON_LOOPBACK
                   : PN_REASON_CONNECTION_REFUSED;
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EADDRNOTAVAIL:
    case ENETDOWN:
        return PN_REASON_UNREACHABLE;
    case ETIMEDOUT:
        return PN_REASON_CONNECT_TIMEOUT;
    case ECONNRESET:
    case EPIPE:
        return PN_REASON_CONNECTION_RESET;
    case ENOMEM:
    case ENOBUFS:
        return PN_REASON_OUT_OF_MEMORY;
    default:
        return PN_REASON_SYSTEM;
    }
}

pn_reason pn_link_reason(
    const pn_peer_link *link, const pn_address *to, pn_err why, int sys_errno)
{
    return why == PN_CLOSED ? PN_REASON_PEER_CLOSED
                            : reason_of_errno(link, to, sys_errno);
}

static void on_conn_end(void *user, pn_err why, int sys_errno)
{
    pn_peer_link *link = user;
    pn_node *node = link->base.node;

    pn_reason reason;

    pn_node_lock(node);
    reason = pn_link_reason(link, &link->base.remote, why, sys_errno);
    if (link->base.stage != PN_LINK_DIALLING || !pn_race_go_on(link, reason)) {
        pn_link_end(&link->base, link_guess(link, reason));
    }
    pn_node_unlock(node);
}

const pn_conn_callbacks pn_link_conn_callbacks = {
    .on_open = on_conn_open,
    .on_data = on_conn_data,
    .on_writable = on_conn_writable,
    .on_end = on_conn_end,
};

/* ---- accepting (loop, no lock) ----------------------------------------- */

static bool on_incoming(void *user, const pn_address *from)
{
    pn_node *node = user;
    bool is_admitted;

    assert_on_loop(node);
    pn_node_lock(node);
    is_admitted = pn_link_admit(node, &pn_full(node)->gate, from,
        pn_registry_knows_host(pn_full(node)->registry, from));
    if (!is_admitted) {
        node->metrics.refused++;
    }
    pn_node_unlock(node);
    return is_admitted;
}

static void on_lost(void *user, const pn_address *from)
{
    pn_node *node = user;

    pn_node_lock(node);
    pn_gate_leave(&pn_full(node)->gate, pn_address_source(from));
    pn_node_unlock(node);
}

static void on_accept(void *user, pn_conn *conn, const pn_address *from)
{
    pn_node *node = user;
    pn_peer_link *link;

    assert_on_loop(node);
    pn_node_lock(node);
    node->metrics.accepted++;
    link = node->closing.is_asked ? NULL : link_new(node);
    if (link == NULL) {
        pn_gate_leave(&pn_full(node)->gate, pn_address_source(from));
        pn_full(node)->transport->close(conn);
        pn_node_unlock(node);
        return;
    }
    link->conn = conn;
    pn_full(node)->transport->addresses(
        conn, &link->base.local, &link->base.remote);
    pn_link_hold_place(&link->base, &pn_full(node)->gate, from);
    pn_full(node)->transport->set_callbacks(
        conn, &pn_link_conn_callbacks, link);
    if (session_start(link) != PN_OK) {
        pn_link_end(&link->base, PN_REASON_OUT_OF_MEMORY);
    }
    pn_link_touch(&link->base);
    pn_node_unlock(node);
}

static void on_trouble(void *user, int sys_errno)
{
    pn_node *node = user;

    pn_node_lock(node);
    pn_node_log(node, &(pn_log_line){.level = PN_LOG_WARNING,
                          .what = PN_LOG_NO_ACCEPT,
                          .text = pn_slice_of("accepting pauses for 100 ms"),
                          .reason = PN_REASON_SYSTEM,
                          .sys_errno = sys_errno});
    pn_node_unlock(node);
}

const pn_listener_callbacks pn_link_listener_callbacks = {
    .on_incoming = on_incoming,
    .on_lost = on_lost,
    .on_accept = on_accept,
    .on_trouble = on_trouble,
};

/* ---- turn end (loop, lock held) ---------------------------------------- */

/* Runs the time-outs that are due; those of a session call the application. */
static void on_link_tick(pn_link *base, uint64_t now_us)
{
    pn_peer_link *link = pn_peer_link_of(base);

    assert_on_loop(base->node);
    assert_locked(base->node);
    switch (base->stage) {
    case PN_LINK_DIALLING:
        if (now_us >= link->connect_deadline_us) {
            pn_race_timed_out(link);
            pn_link_end(base, PN_REASON_CONNECT_TIMEOUT);
        } else {
            pn_race_tick(link, now_us);
        }
        return;
    case PN_LINK_REFUSED:
        if (now_us >= refused_deadline(link)) {
            pn_link_end(base, base->reason);
        }
        return;
    case PN_LINK_HANDSHAKE:
    case PN_LINK_UP:
        if (pn_session_tick(link->session, now_us) != PN_OK) {
            pn_link_end(base, pn_session_reason(link->session));
        }
        return;
    case PN_LINK_WANTS_DIAL:
    case PN_LINK_ENDED:
        return;
    }
}

static uint64_t on_link_deadline(const pn_link *base)
{
    const pn_peer_link *link = (const pn_peer_link *)(const void *)base;

    if (base->stage == PN_LINK_DIALLING) {
        return pn_sooner(link->connect_deadline_us, link->race_us);
    }
    if (base->stage == PN_LINK_REFUSED) {
        return refused_deadline(link);
    }
    return link->session == NULL ? PN_TIME_NEVER
                                 : pn_session_deadline(link->session);
}

static void on_link_start(pn_link *base)
{
    pn_peer_link *link = pn_peer_link_of(base);
    pn_node *node = link->base.node;
    int sys_errno = 0;

    assert_on_loop(base->node);
    assert_locked(base->node);
    while (pn_full(node)->transport->dial(node->turn.loop, &link->base.remote,
               &pn_link_conn_callbacks, link, &link->conn, &sys_errno)
           != PN_OK) {
        pn_reason reason = reason_of_errno(link, &link->base.remote, sys_errno);

        link->conn = NULL;
        if (!pn_race_elsewhere(link, reason)) {
            pn_link_end(&link->base, reason);
            return;
        }
    }
    link->base.stage = PN_LINK_DIALLING;
    pn_race_begin(link);
}

/* A peer that does not read our replies is not read from either (T11). A peer
 * that reads is read from, whatever its handlers do, because its pings would be
 * missed otherwise. */
static void link_back_pressure(pn_peer_link *link)
{
    pn_node *node = link->base.node;
    size_t queued = pn_session_queued_bytes(link->session);
    bool is_full = queued > node->opt.max_output_bytes / 2
                   || (queued > 0
                       && link->base.queue.n >= node->opt.max_queue_per_link);

    if (is_full != link->base.is_blocked) {
        link->base.is_blocked = is_full;
        if (is_full && link->peer != NULL) {
            pn_registry_not_read(link->peer->reg);
        }
        pn_session_set_reading(link->session, pn_node_now(node), !is_full);
        pn_full(node)->transport->set_reading(link->conn, !is_full);
    }
}

static void on_link_close(pn_link *base)
{
    pn_peer_link *link = pn_peer_link_of(base);

    assert_on_loop(base->node);
    assert_locked(base->node);
    pn_race_end(link);
    if (link->conn != NULL) {
        if (link->session != NULL) {
            link_flush(link); /* what was answered before the end */
        }
        pn_full(base->node)->transport->close(link->conn);
        link->conn = NULL;
    }
    pn_session_free(link->session);
    link->session = NULL;
}

static void on_link_output(pn_link *base)
{
    pn_peer_link *link = pn_peer_link_of(base);

    assert_on_loop(base->node);
    assert_locked(base->node);
    if (base->stage == PN_LINK_HANDSHAKE || base->stage == PN_LINK_UP) {
        link_flush(link);
        link_back_pressure(link);
    } else if (base->stage == PN_LINK_REFUSED && !base->is_blocked) {
        base->is_blocked = true;
        pn_full(base->node)->transport->set_reading(link->conn, false);
    }
}

static size_t on_link_held(const pn_link *base)
{
    const pn_peer_link *link = (const pn_peer_link *)(const void *)base;

    return link->session == NULL ? 0 : pn_session_queued_bytes(link->session);
}

static size_t on_link_unsent(const pn_link *base)
{
    const pn_peer_link *link = (const pn_peer_link *)(const void *)base;
    const pn_transport_ops *transport = pn_full(base->node)->transport;
    size_t n = 0;

    if (link->session != NULL && link->conn != NULL) {
        n = pn_session_queued_bytes(link->session)
            + (transport->unacked == NULL ? 0 : transport->unacked(link->conn));
    }
    return n;
}

static void on_link_fail_calls(pn_link *base)
{
    pn_session_fail_calls(pn_peer_link_of(base)->session);
}

static bool on_link_is_paired(const pn_link *base)
{
    return ((const pn_peer_link *)(const void *)base)->peer != NULL;
}

/* ---- answers of requests (lock held) ------------------------------------ */

static pn_err on_begin_reply(
    pn_link *base, uint64_t id, bool is_ok, pn_term_writer *w)
{
    return pn_session_begin_reply(pn_peer_link_of(base)->session, id, is_ok, w);
}

static pn_err on_commit(pn_link *base, uint64_t now_us, pn_term_writer *w)
{
    pn_peer_link *link = pn_peer_link_of(base);
    pn_err err = pn_session_commit(link->session, now_us, w);

    if (err == PN_OK) {
        link_flush_early(link);
    }
    return err;
}

const pn_link_ops pn_peer_link_ops = {
    .start = on_link_start,
    .output = on_link_output,
    .deadline = on_link_deadline,
    .tick = on_link_tick,
    .held = on_link_held,
    .unsent = on_link_unsent,
    .close = on_link_close,
    .begin_reply = on_begin_reply,
    .commit = on_commit,
    .begin_call = pn_peer_call_begin,
    .expire_call = pn_peer_call_expire,
    .fail_calls = on_link_fail_calls,
    .end = on_link_end,
    .is_paired = on_link_is_paired,
};

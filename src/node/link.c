/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One link: a connection of the transport and a session, joined. Bytes go up
 * into the session as they come; what the session wants to send goes out once
 * per turn. A link is freed when it has ended, its connection is closed, and
 * no request refers to it any more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mutant.h"
#include "node/node_internal.h"

/* What is worth a system call of its own before the turn ends. */
enum { EARLY_MESSAGES = 32, EARLY_BYTES = 64 * 1024 };

/* A peer that cannot read a message closes within this. */
#define AT_ONCE_US (2 * PN_US_PER_S)

static const pn_link_ops link_ops;
static const pn_session_callbacks session_callbacks;
static const pn_conn_callbacks conn_callbacks;

/* ---- life --------------------------------------------------------------- */

static pn_err session_start(pn_link *link)
{
    pn_node *node = link->node;
    pn_session_config config = {
        .initiator = link->is_dialled,
        .identity = node->identity,
        .expected_peer = link->is_dialled ? &link->key : NULL,
        .limits = &node->session_limits,
        .env = &node->env,
        .callbacks = &session_callbacks,
        .user = link,
    };

    link->stage = PN_LINK_HANDSHAKE;
    link->opened_us = pn_node_now(node);
    return pn_session_new(&config, link->opened_us, &link->session);
}

pn_err pn_link_new_dialled(
    pn_peer *peer, pn_node *node, const pn_address *to, pn_link **ret_link)
{
    pn_link *link = pn_link_new(node, &link_ops, sizeof(*link));

    if (link == NULL) {
        return PN_NOMEM;
    }
    link->stage = PN_LINK_WANTS_DIAL;
    link->is_dialled = true;
    link->key = peer->key;
    link->remote = *to;
    link->connect_deadline_us =
        link->opened_us + (uint64_t)node->opt.connect_timeout_ms * PN_US_PER_MS;
    node->metrics.dials++;
    pn_link_touch(link);
    *ret_link = link;
    return PN_OK;
}

/* ---- the end ------------------------------------------------------------ */

static void link_count_auth_failure(pn_link *link)
{
    pn_metrics *m = &link->node->metrics;

    if (link->is_dialled) {
        m->auth_failed_initiator++;
    } else {
        m->auth_failed_responder++;
    }
}

/* Who was refused, told to the owner of this node and nobody else. */
static void link_report_refusal(pn_link *link, pn_reason reason)
{
    const pn_public_key *key = NULL;

    if (link->session != NULL) {
        key = pn_session_peer(link->session);
    }
    switch ((int)reason) {
    case PN_REASON_UNTRUSTED_PEER:
    case PN_REASON_KEY_MISMATCH:
    case PN_REASON_OWN_KEY:
    case PN_REASON_BAD_HANDSHAKE:
        pn_node_denied(
            link->node, key, NULL, &link->remote, (pn_slice){NULL, 0}, reason);
        break;
    default:
        break;
    }
}

static void link_end_dial(pn_link *link, pn_reason reason)
{
    pn_node *node = link->node;
    pn_peer *peer = pn_node_find_peer(node, &link->key);

    node->metrics.dial_failures++;
    if (peer == NULL || peer->dial != link) {
        return; /* unpaired or cancelled meanwhile */
    }
    peer->dial = NULL;
    pn_node_event(node, PN_EVENT_DIAL_FAILED, &peer->key, peer->label,
        &link->remote, NULL, 0, reason);
    pn_registry_dial_failed(
        node->registry, peer->reg, reason, pn_node_now(node));
}

static void link_end_up(pn_link *link, pn_reason reason)
{
    pn_node *node = link->node;
    pn_peer *peer = link->peer;

    node->n_up--;
    node->metrics.links_up = node->n_up;
    node->last_end_us = pn_node_now(node);
    pn_node_event(node,
        link->is_told ? PN_EVENT_PEER_DOWN : PN_EVENT_DIAL_FAILED, &link->key,
        link->label, &link->remote, NULL, 0, reason);
    link->peer = NULL;
    if (peer != NULL) {
        peer->last_seen_ms = pn_wall_now_us() / 1000;
        pn_registry_link_down(
            node->registry, peer->reg, link, reason, node->last_end_us);
    }
}

/* Guesses, and named as such. A peer that we dialled and that closes without a
 * word has most likely not paired us; one that closes right after something of
 * ours may have met an atom its VM does not know (wire section 3). */
static pn_reason link_guess(const pn_link *link, pn_reason reason)
{
    uint64_t received;
    uint64_t sent;

    if (link->stage != PN_LINK_UP
        || (reason != PN_REASON_PEER_CLOSED
            && reason != PN_REASON_CONNECTION_RESET)) {
        return reason;
    }
    received = pn_session_last_received_us(link->session);
    if (link->is_dialled && received == 0) {
        return PN_REASON_NOT_PAIRED_THERE;
    }
    sent = pn_session_last_sent_us(link->session);
    if (sent != 0 && sent >= received
        && pn_node_now(link->node) - sent < AT_ONCE_US) {
        return PN_REASON_ATOM_UNKNOWN_TO_PEER;
    }
    return reason;
}

static void link_leave_gate(pn_link *link)
{
    if (!link->is_stranger) {
        return;
    }
    link->is_stranger = false;
    pn_gate_leave(link->node->gate, pn_address_source(&link->remote));
    link->node->metrics.strangers = link->node->gate->strangers;
}

static void on_end_link(pn_link *link, pn_reason reason)
{
    pn_link_stage was = link->stage;

    if (was == PN_LINK_ENDED) {
        return;
    }
    reason = link_guess(link, reason);
    link->stage = PN_LINK_ENDED;
    link->reason = reason;
    link->node->metrics.link_ends[reason]++;
    link_leave_gate(link);
    pn_dispatch_drop_queue(link);
    if (link->session != NULL) {
        pn_session_close(link->session, reason);
    }
    if (was == PN_LINK_HANDSHAKE) {
        link_count_auth_failure(link);
        link_report_refusal(link, reason);
    }
    if (was == PN_LINK_UP) {
        link_end_up(link, reason);
    } else if (link->is_dialled) {
        link_end_dial(link, reason);
    }
    (void)pthread_cond_broadcast(&link->node->state_changed);
    pn_link_touch(link);
}

static uint64_t link_deadline(const pn_link *link)
{
    return link->opened_us + link->node->session_limits.handshake_us;
}

/* A stranger who came as far as the last handshake message holds the link for
 * up already. Closing at once would look like a drop: an Elixir node redials
 * every half second and loses all its links with the fourth (wire section 6).
 * So whoever is refused there, for whatever reason, gets silence until the
 * handshake deadline. */
static void link_fail(pn_link *link, pn_reason reason)
{
    bool is_refusal = reason == PN_REASON_UNTRUSTED_PEER
                      || reason == PN_REASON_BAD_HANDSHAKE
                      || reason == PN_REASON_OWN_KEY;

    if (link->stage != PN_LINK_HANDSHAKE || link->is_dialled
        || !link->has_answered || !is_refusal || link->node->is_closing) {
        pn_link_end(link, reason);
        return;
    }
    link->stage = PN_LINK_REFUSED;
    link->reason = reason;
    link_count_auth_failure(link);
    link_report_refusal(link, reason);
    pn_link_touch(link);
}

/* ---- output (loop) ------------------------------------------------------- */

static void link_flush(pn_link *link)
{
    pn_node *node = link->node;
    uint64_t now = pn_node_now(node);

    for (;;) {
        pn_slice out = pn_session_output(link->session);
        size_t written = 0;

        if (out.len == 0) {
            return;
        }
        if (node->transport->write(link->conn, out.data, out.len, &written)
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

/* Output goes out at the turn end; what one read or one queue brings can keep
 * both ends waiting for each other meanwhile. So after some of it the peer gets
 * what is ready, and works on that while we go on. */
static void link_flush_early(pn_link *link)
{
    const pn_node *node = link->node;

    if (link->stage != PN_LINK_UP || !node->is_in_turn
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
    const pn_link *link = user;

    return pn_node_is_trusted(link->node, key);
}

static void link_count_auth(pn_link *link)
{
    pn_metrics *m = &link->node->metrics;
    uint64_t took = link->up_us - link->opened_us;

    if (link->is_dialled) {
        m->auth_ok_initiator++;
        m->auth_us_initiator += took;
    } else {
        m->auth_ok_responder++;
        m->auth_us_responder += took;
    }
}

static void link_tell_up(pn_link *link)
{
    link->is_told = true;
    pn_node_event(link->node, PN_EVENT_PEER_UP, &link->key, link->label,
        &link->remote, NULL, 0, PN_REASON_NONE);
}

static void on_session_open(void *user, const pn_public_key *key)
{
    pn_link *link = user;
    pn_node *node = link->node;
    pn_peer *peer = pn_node_find_peer(node, key);

    link->key = *key;
    link->principal = (pn_principal){.family = PN_FAMILY_PEERNET, .key = *key};
    link_leave_gate(link);
    if (peer == NULL) {
        pn_link_end(link, PN_REASON_UNPAIRED);
        return;
    }
    link->label = strdup(peer->label == NULL ? "" : peer->label);
    if (link->label == NULL) {
        pn_link_end(link, PN_REASON_OUT_OF_MEMORY);
        return;
    }
    link->stage = PN_LINK_UP;
    link->up_us = pn_node_now(node);
    link->peer = peer;
    node->n_up++;
    node->metrics.links_up = node->n_up;
    link_count_auth(link);
    if (peer->dial == link) {
        peer->dial = NULL;
    }
    if (link->is_dialled) {
        /* Whether the peer has paired us shows with the first it sends. */
        (void)!pn_session_ping(link->session, link->up_us);
    } else {
        link_tell_up(link);
    }
    if (pn_registry_link_up(node->registry, key, link, link->is_dialled,
            &link->remote, link->up_us)
        == NULL) {
        link->peer = NULL;
        pn_link_end(link, PN_REASON_UNPAIRED);
        return;
    }
    if (link->is_dialled) {
        pn_peer_remember(node, peer, &link->remote);
    }
    (void)pthread_cond_broadcast(&node->state_changed);
}

static void on_session_call(
    void *user, uint64_t id, pn_slice handle, pn_term args)
{
    pn_dispatch_message(user, true, id, handle, args);
    link_flush_early(user);
}

static void on_session_send(void *user, pn_slice handle, pn_term args)
{
    pn_dispatch_message(user, false, 0, handle, args);
}

static void on_session_reply(
    void *user, void *call, pn_err outcome, pn_term value)
{
    pn_call_on_reply(user, call, outcome, value);
    link_flush_early(user);
}

static void on_session_output(void *user)
{
    pn_link_touch(user);
}

static void on_session_writable(void *user)
{
    pn_link *link = user;

    pn_node_event(link->node, PN_EVENT_WRITABLE, &link->key, link->label,
        &link->remote, NULL, 0, PN_REASON_NONE);
}

static const pn_session_callbacks session_callbacks = {
    .is_trusted = on_is_trusted,
    .on_open = on_session_open,
    .on_call = on_session_call,
    .on_send = on_session_send,
    .on_reply = on_session_reply,
    .on_output = on_session_output,
    .on_writable = on_session_writable,
};

/* ---- connection callbacks (loop, no lock) ------------------------------ */

static void on_conn_open(void *user)
{
    pn_link *link = user;
    pn_node *node = link->node;

    pn_node_lock(node);
    if (link->stage == PN_LINK_DIALLING) {
        node->transport->addresses(link->conn, &link->local, &link->remote);
        if (session_start(link) != PN_OK) {
            pn_link_end(link, PN_REASON_OUT_OF_MEMORY);
        }
        pn_link_touch(link);
    }
    pn_node_unlock(node);
}

/* While two links are sorted out the registry wants to know on which of them
 * the peer answers. */
static void link_note_received(pn_link *link, uint64_t before_us)
{
    if (link->stage != PN_LINK_UP) {
        return;
    }
    if (!link->is_told && pn_session_last_received_us(link->session) > 0) {
        link_tell_up(link);
    }
    if (!link->peer->reg->is_probing) {
        return;
    }
    if (pn_session_last_received_us(link->session) > before_us) {
        pn_registry_link_received(link->node->registry, link->peer->reg, link,
            pn_node_now(link->node));
    }
}

static size_t on_conn_data(void *user, uint8_t *data, size_t len, size_t *want)
{
    pn_link *link = user;
    pn_node *node = link->node;
    uint64_t before_us;
    size_t used = 0;
    pn_err err;

    pn_node_lock(node);
    if (link->stage != PN_LINK_HANDSHAKE && link->stage != PN_LINK_UP) {
        pn_node_unlock(node);
        return len;
    }
    link->refs++; /* handlers run inside and may end it */
    before_us = pn_session_last_received_us(link->session);
    node->metrics.bytes_in += len;
    err = pn_session_input(link->session, pn_node_now(node), data, len, &used);
    if (err != PN_OK) {
        link_fail(link, pn_session_reason(link->session));
        used = len;
    } else if (link->stage != PN_LINK_ENDED) {
        *want = pn_session_need(link->session, data + used, len - used);
        link_note_received(link, before_us);
        pn_link_touch(link);
    }
    pn_link_unref(link);
    pn_node_unlock(node);
    return used;
}

static void on_conn_writable(void *user)
{
    pn_link *link = user;

    pn_node_lock(link->node);
    pn_link_touch(link);
    pn_node_unlock(link->node);
}

/* Why a connection could not be made or broke, in our vocabulary. A discovered
 * peer that refuses is most often a stock PeerNet, which listens on loopback
 * only. */
static pn_reason reason_of_errno(const pn_link *link, int sys_errno)
{
    const pn_peer *peer = pn_node_find_peer(link->node, &link->key);

    switch (sys_errno) {
    case ECONNREFUSED:
        return peer != NULL && peer->was_discovered
                       && !pn_address_is_loopback(&link->remote)
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

static void on_conn_end(void *user, pn_err why, int sys_errno)
{
    pn_link *link = user;
    pn_node *node = link->node;

    pn_node_lock(node);
    pn_link_end(link, why == PN_CLOSED ? PN_REASON_PEER_CLOSED
                                       : reason_of_errno(link, sys_errno));
    pn_node_unlock(node);
}

static const pn_conn_callbacks conn_callbacks = {
    .on_open = on_conn_open,
    .on_data = on_conn_data,
    .on_writable = on_conn_writable,
    .on_end = on_conn_end,
};

/* ---- accepting (loop, no lock) ----------------------------------------- */

static bool is_known_source(pn_node *node, const pn_address *from)
{
    size_t cursor = 0;
    const pn_reg_peer *peer;

    while ((peer = pn_registry_next(node->registry, &cursor)) != NULL) {
        pn_address at[PN_REG_MAX_ADDRESSES];
        size_t n = pn_registry_addresses(
            node->registry, peer, at, PN_REG_MAX_ADDRESSES);

        for (size_t i = 0; i < n && i < PN_REG_MAX_ADDRESSES; i++) {
            if (pn_address_same_host(&at[i], from)) {
                return true;
            }
        }
    }
    return false;
}

static bool on_knock(void *user, const pn_address *from)
{
    pn_node *node = user;
    bool welcome;

    pn_node_lock(node);
    welcome = !node->is_closing
              && pn_gate_enter(node->gate, pn_address_source(from),
                  is_known_source(node, from), pn_node_now(node));
    if (!welcome) {
        node->metrics.refused++;
    }
    pn_node_unlock(node);
    return welcome;
}

static void on_accept(void *user, pn_conn *conn, const pn_address *from)
{
    pn_node *node = user;
    pn_link *link;

    pn_node_lock(node);
    node->metrics.accepted++;
    node->metrics.strangers = node->gate->strangers;
    link = pn_link_new(node, &link_ops, sizeof(*link));
    if (link == NULL) {
        pn_gate_leave(node->gate, pn_address_source(from));
        node->transport->close(conn);
        pn_node_unlock(node);
        return;
    }
    link->is_stranger = true;
    link->conn = conn;
    node->transport->addresses(conn, &link->local, &link->remote);
    link->remote = *from;
    node->transport->set_callbacks(conn, &conn_callbacks, link);
    if (session_start(link) != PN_OK) {
        pn_link_end(link, PN_REASON_OUT_OF_MEMORY);
    }
    pn_link_touch(link);
    pn_node_unlock(node);
}

const pn_listener_callbacks pn_link_listener_callbacks = {
    .on_knock = on_knock,
    .on_accept = on_accept,
};

/* ---- turn end (loop, lock held) ---------------------------------------- */

/* What is due on a link; a session's time-outs call the application. */
static void link_tick(pn_link *link, uint64_t now_us)
{
    switch (link->stage) {
    case PN_LINK_DIALLING:
        if (now_us >= link->connect_deadline_us) {
            pn_link_end(link, PN_REASON_CONNECT_TIMEOUT);
        }
        return;
    case PN_LINK_REFUSED:
        if (now_us >= link_deadline(link)) {
            pn_link_end(link, link->reason);
        }
        return;
    case PN_LINK_HANDSHAKE:
    case PN_LINK_UP:
        if (pn_session_tick(link->session, now_us) != PN_OK) {
            pn_link_end(link, pn_session_reason(link->session));
        }
        return;
    case PN_LINK_WANTS_DIAL:
    case PN_LINK_ENDED:
        return;
    }
}

static void on_link_timer(void *user)
{
    pn_link *link = user;
    pn_node *node = link->node;

    pn_node_lock(node);
    link->armed_us = PN_TIME_NEVER;
    link_tick(link, pn_node_now(node));
    pn_link_touch(link); /* the loop buries links at its turn end only */
    pn_node_unlock(node);
}

static void link_dial(pn_link *link)
{
    pn_node *node = link->node;
    int sys_errno = 0;
    pn_err err = node->transport->dial(node->loop, &link->remote,
        &conn_callbacks, link, &link->conn, &sys_errno);

    if (err != PN_OK) {
        link->conn = NULL;
        pn_link_end(link, reason_of_errno(link, sys_errno));
        return;
    }
    link->stage = PN_LINK_DIALLING;
}

/* Replies wait in the output; a peer that does not read them is not asked for
 * more calls either (T11). One that reads is, whatever its handlers do: its
 * pings are among what we would not hear. */
static void link_back_pressure(pn_link *link)
{
    pn_node *node = link->node;
    size_t queued = pn_session_queued_bytes(link->session);
    bool is_full = queued > node->opt.max_output_bytes / 2
                   || (queued > 0
                       && link->n_queued >= node->opt.max_queue_per_link);

    if (is_full != link->is_blocked) {
        link->is_blocked = is_full;
        pn_session_set_reading(link->session, pn_node_now(node), !is_full);
        node->transport->set_reading(link->conn, !is_full);
    }
}

static void link_arm(pn_link *link)
{
    uint64_t deadline = PN_TIME_NEVER;

    if (link->stage == PN_LINK_DIALLING) {
        deadline = link->connect_deadline_us;
    } else if (link->stage == PN_LINK_REFUSED) {
        deadline = link_deadline(link);
    } else if (link->session != NULL) {
        deadline = pn_session_deadline(link->session);
    }
    /* A timer that fires too early costs one look; re-arming it for every call
     * would cost each of them. */
    if (deadline >= link->armed_us) {
        return;
    }
    if (link->timer == NULL
        && pn_timer_new(link->node->loop, on_link_timer, link, &link->timer)
               != PN_OK) {
        pn_link_end(link, PN_REASON_OUT_OF_MEMORY);
        return;
    }
    link->armed_us = deadline;
    pn_timer_set(link->timer, deadline);
}

static void link_bury(pn_link *link)
{
    pn_node *node = link->node;

    pn_timer_free(link->timer);
    link->timer = NULL;
    if (link->conn != NULL) {
        if (link->session != NULL) {
            link_flush(link); /* what was answered before the end */
        }
        node->transport->close(link->conn);
        link->conn = NULL;
    }
    pn_session_free(link->session);
    link->session = NULL;
    pn_link_unlist(link);
}

static size_t link_output(const pn_link *link)
{
    return link->session == NULL ? 0 : pn_session_queued_bytes(link->session);
}

static void on_turn_end_link(pn_link *link)
{
    const pn_node *node = link->node;

    if (link->wants_pump) {
        link->wants_pump = false;
        pn_dispatch_pump(link);
    }
    if (link->stage == PN_LINK_WANTS_DIAL) {
        link_dial(link);
    }
    if (link->stage == PN_LINK_HANDSHAKE || link->stage == PN_LINK_UP) {
        link_flush(link);
        link_back_pressure(link);
    }
    if (link->stage == PN_LINK_REFUSED && !link->is_blocked) {
        link->is_blocked = true;
        node->transport->set_reading(link->conn, false);
    }
    if (link->stage != PN_LINK_ENDED) {
        link_arm(link);
        pn_link_account(link, link_output(link));
    }
    /* One that ended just now is touched again, and its turn comes. */
    if (link->stage == PN_LINK_ENDED && link->is_listed && !link->is_touched) {
        link_bury(link);
    }
}

/* ---- answers of requests (lock held) ----------------------------------- */

static pn_err begin_reply(
    pn_link *link, uint64_t id, bool is_ok, pn_term_writer *w)
{
    return pn_session_begin_reply(link->session, id, is_ok, w);
}

static pn_err commit(pn_link *link, uint64_t now_us, pn_term_writer *w)
{
    pn_err err = pn_session_commit(link->session, now_us, w);

    if (err == PN_OK) {
        link_flush_early(link);
    }
    return err;
}

static const pn_link_ops link_ops = {
    .begin_reply = begin_reply,
    .commit = commit,
    .end = on_end_link,
    .turn_end = on_turn_end_link,
};

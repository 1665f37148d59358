/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection to a node of the cluster: looked up and dialled, or accepted;
 * then authenticated on its streams 2 and 3, then the distribution handshake
 * on stream 0, then signals. The states are those of every link of a node
 * (node_internal.h); "handshake" is authentication and distribution.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "barrel_internal.h"
#include "base/mutant.h"
#include "os/clock.h"

/* One write to QUIC is taken whole or not at all, and there may be more than
 * it ever takes. */
enum { WRITE_MAX = 1024 * 1024 };

static const pn_quic_conn_callbacks conn_callbacks;

/* ---- finding ------------------------------------------------------------ */

bool pn_barrel_is_link(const pn_link *link, const pn_barrel *barrel)
{
    return link->ops == &pn_barrel_link_ops
           && ((const pn_barrel_link *)(const void *)link)->barrel == barrel;
}

static pn_barrel_link *of(pn_link *base)
{
    return (pn_barrel_link *)(void *)base;
}

static bool is_to(pn_link *l, const pn_barrel *barrel, const char *name,
    const pn_barrel_link *skip)
{
    return pn_barrel_is_link(l, barrel) && of(l) != skip && of(l)->name != NULL
           && strcmp(of(l)->name, name) == 0;
}

/* The first link to name, but not skip, whose stage is one of stages. */
pn_barrel_link *pn_barrel_find(const pn_barrel *barrel, const char *name,
    const pn_barrel_link *skip, unsigned stages)
{
    for (pn_link *l = barrel->node->links; l != NULL; l = l->next) {
        if ((stages & 1u << l->stage) != 0 && is_to(l, barrel, name, skip)) {
            return of(l);
        }
    }
    return NULL;
}

pn_barrel_link *pn_barrel_find_up(pn_barrel *barrel, const char *name)
{
    return pn_barrel_find(barrel, name, NULL, PN_BARREL_STAGES_UP);
}

/* A dial of ours that is not up yet. */
pn_barrel_link *pn_barrel_find_dial(
    const pn_barrel *barrel, const char *name, const pn_barrel_link *skip)
{
    for (pn_link *l = barrel->node->links; l != NULL; l = l->next) {
        if (l->is_dialled && (PN_BARREL_STAGES_COMING & 1u << l->stage) != 0
            && is_to(l, barrel, name, skip)) {
            return of(l);
        }
    }
    return NULL;
}

/* One that the peer dialled, and has proven who it is. */
pn_barrel_link *pn_barrel_find_arriving(
    const pn_barrel *barrel, const char *name, const pn_barrel_link *skip)
{
    for (pn_link *l = barrel->node->links; l != NULL; l = l->next) {
        if (!l->is_dialled && l->stage == PN_LINK_HANDSHAKE
            && is_to(l, barrel, name, skip) && of(l)->is_authenticated
            && !of(l)->is_cookie_only) {
            return of(l);
        }
    }
    return NULL;
}

static uint32_t count_links(const pn_barrel *barrel)
{
    uint32_t n = 0;

    for (pn_link *l = barrel->node->links; l != NULL; l = l->next) {
        /* Strangers have a limit of their own, the gate's. */
        n += pn_barrel_is_link(l, barrel) && !of(l)->is_stranger ? 1 : 0;
    }
    return n;
}

static pn_barrel_link *link_new(pn_barrel *barrel, bool is_dialled)
{
    pn_barrel_link *link = NULL;
    pn_link *base;

    base = pn_link_new(barrel->node, &pn_barrel_link_ops, sizeof(*link));
    if (base == NULL) {
        return NULL;
    }
    link = of(base);
    link->barrel = barrel;
    base->is_dialled = is_dialled;
    link->auth_out = -1;
    link->auth_in = -1;
    link->data = -1;
    link->deadline_us = base->opened_us
                        + (uint64_t)barrel->opt.connect_timeout_ms
                              * PN_US_PER_MS;
    return link;
}

pn_err pn_barrel_find_or_dial(pn_barrel *barrel, const char *name,
    pn_barrel_link **ret_link, const char **ret_why)
{
    pn_barrel_link *link = pn_barrel_find_up(barrel, name);

    if (!pn_node_name_is_valid(name, strlen(name))) {
        *ret_why = "expected NAME@HOST";
        return PN_INVALID;
    }
    if (strcmp(name, barrel->name) == 0) {
        *ret_why = "that is our own name";
        return PN_INVALID;
    }
    if (barrel->node->is_closing) {
        *ret_why = "the node closes";
        return PN_CLOSED;
    }
    if (link == NULL) {
        link = pn_barrel_find_dial(barrel, name, NULL);
    }
    if (link == NULL) {
        link = pn_barrel_find_arriving(barrel, name, NULL);
    }
    if (link == NULL
        && PN_CHECK(
            barrel_max_links, count_links(barrel) >= barrel->opt.max_links)) {
        *ret_why = "there are too many links";
        return PN_LIMIT;
    }
    if (link == NULL) {
        link = link_new(barrel, true);
        if (link == NULL) {
            *ret_why = "out of memory";
            return PN_NOMEM;
        }
        link->base.stage = PN_LINK_WANTS_DIAL;
        link->name = strdup(name);
        link->base.label = strdup(name);
        if (link->name == NULL || link->base.label == NULL) {
            pn_link_end(&link->base, PN_REASON_OUT_OF_MEMORY);
            *ret_why = "out of memory";
            return PN_NOMEM;
        }
        pn_link_touch(&link->base);
    }
    *ret_link = link;
    return PN_OK;
}

/* ---- the end ------------------------------------------------------------ */

const char *pn_barrel_name_to_show(const pn_barrel_link *link)
{
    return link->name == NULL ? "a node" : link->name;
}

static void end_up(pn_barrel_link *link, pn_reason reason)
{
    pn_node *node = link->base.node;

    link->barrel->metrics.links_up--;
    pn_node_event(node, PN_EVENT_PEER_DOWN, &link->base.key, link->base.label,
        &link->base.remote, link->why.text, strlen(link->why.text), reason);
}

static void on_end_link(pn_link *base, pn_reason reason)
{
    pn_barrel_link *link = of(base);
    pn_node *node = base->node;
    pn_link_stage was = base->stage;

    if (was == PN_LINK_ENDED) {
        return;
    }
    base->stage = PN_LINK_ENDED;
    base->reason = reason;
    node->metrics.link_ends[reason]++;
    if (link->why.text[0] == '\0') {
        (void)snprintf(link->why.text, sizeof(link->why.text), "%s",
            pn_reason_text(reason));
    }
    pn_dispatch_drop_queue(base);
    pn_barrel_auth_ended(link, reason);
    if (was == PN_LINK_UP) {
        end_up(link, reason);
    } else if (base->is_dialled && reason != PN_REASON_DUPLICATE) {
        pn_node_event(node, PN_EVENT_DIAL_FAILED, NULL, base->label,
            &base->remote, link->why.text, strlen(link->why.text), reason);
    }
    pn_barrel_ops_fail(link,
        was == PN_LINK_UP || link->has_been_up ? PN_CLOSED : PN_NOT_CONNECTED);
    (void)pthread_cond_broadcast(&node->state_changed);
    pn_link_touch(base);
}

void pn_barrel_link_end(
    pn_barrel_link *link, pn_reason reason, const char *format, ...)
{
    va_list args;

    if (link->base.stage == PN_LINK_ENDED) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(link->why.text, sizeof(link->why.text), format, args);
    va_end(args);
    pn_link_end(&link->base, reason);
}

/* ---- what arrives (loop, no lock) -------------------------------------- */

/* Above those of distribution an application may open streams to another
 * (section 15.1); there is nobody here for them. */
static bool is_user_stream(int64_t stream)
{
    return (stream & 2) == 0
           && stream >= ((stream & 1) == 0 ? PN_DIST_RESERVED_EVEN
                                           : PN_DIST_RESERVED_ODD);
}

static void on_data(
    void *user, int64_t stream, const uint8_t *data, size_t len, bool is_last)
{
    pn_barrel_link *link = user;
    pn_link *base = &link->base;
    pn_node *node = base->node;

    pn_node_lock(node);
    if (base->stage == PN_LINK_HANDSHAKE && link->dist == NULL) {
        pn_node_unlock(node);
        pn_barrel_auth_input(link, stream, data, len, is_last);
        return;
    }
    if (base->stage == PN_LINK_HANDSHAKE || base->stage == PN_LINK_UP) {
        base->refs++; /* handlers run inside and may end it */
        if (stream == link->auth_in) {
            pn_barrel_auth_rest(link, len);
        } else if (is_user_stream(stream)) {
            pn_quic_consumed(link->quic, stream, len);
            pn_quic_reset(link->quic, stream, PN_QUIC_STREAM_REFUSED);
        } else if (is_last) {
            pn_barrel_link_end(link, PN_REASON_PEER_CLOSED,
                "%s closed a stream of distribution",
                pn_barrel_name_to_show(link));
        } else {
            pn_barrel_dist_input(link, stream, data, len);
        }
        pn_link_touch(base);
        pn_link_unref(base);
    }
    pn_node_unlock(node);
}

static void on_reset(void *user, int64_t stream, uint64_t code)
{
    pn_barrel_link *link = user;
    pn_node *node = link->base.node;

    (void)code;
    pn_node_lock(node);
    if (link->dist == NULL && link->auth != NULL) {
        pn_auth_reset(link->auth);
        pn_barrel_auth_check(link);
    } else if (!is_user_stream(stream)) {
        pn_barrel_link_end(link, PN_REASON_PEER_CLOSED, "%s reset stream %lld",
            pn_barrel_name_to_show(link), (long long)stream);
    }
    pn_node_unlock(node);
}

static void on_acked(void *user, int64_t stream, uint64_t total)
{
    pn_barrel_link *link = user;
    pn_node *node = link->base.node;

    pn_node_lock(node);
    if (link->dist != NULL && stream == link->control
        && link->base.stage != PN_LINK_ENDED) {
        link->control_acked = total;
        pn_dist_acked(link->dist, total);
        pn_barrel_control_flush(link);
    }
    if (link->base.stage != PN_LINK_ENDED) {
        pn_link_touch(&link->base); /* less is held, which is accounted then */
    }
    pn_node_unlock(node);
}

/* Whose turn ends is accounted for. */
static void on_memory(void *user)
{
    pn_barrel_link *link = user;

    pn_node_lock(link->base.node);
    pn_link_touch(&link->base);
    pn_node_unlock(link->base.node);
}

static void on_writable(void *user)
{
    pn_barrel_link *link = user;

    pn_node_lock(link->base.node);
    link->is_full = false;
    pn_link_touch(&link->base);
    pn_node_unlock(link->base.node);
}

static void on_open(void *user)
{
    pn_barrel_link *link = user;
    pn_node *node = link->base.node;

    pn_barrel_reload_keys(link->barrel);
    pn_node_lock(node);
    if (link->base.stage == PN_LINK_DIALLING) {
        pn_barrel_auth_begin(link);
        pn_link_touch(&link->base);
    }
    pn_node_unlock(node);
}

/* ---- dialling (loop) --------------------------------------------------- */

static pn_reason reason_of_end(pn_err why, int sys_errno)
{
    switch ((int)why) {
    case PN_CLOSED:
        return PN_REASON_PEER_CLOSED;
    case PN_TIMEOUT:
        return PN_REASON_PING_TIMEOUT;
    case PN_NOMEM:
        return PN_REASON_OUT_OF_MEMORY;
    case PN_SYS:
        return sys_errno == ECONNREFUSED ? PN_REASON_CONNECTION_REFUSED
               : sys_errno == EHOSTUNREACH || sys_errno == ENETUNREACH
                   ? PN_REASON_UNREACHABLE
                   : PN_REASON_SYSTEM;
    default:
        return PN_REASON_BAD_HANDSHAKE;
    }
}

/* Tries the next address; false: there is none. Lock held. */
static bool dial_next(pn_barrel_link *link)
{
    pn_barrel *barrel = link->barrel;

    while (link->next_address < link->n_addresses) {
        const pn_address *to = &link->addresses[link->next_address++];

        link->base.remote = *to;
        if (pn_quic_dial(
                barrel->quic, to, NULL, &conn_callbacks, link, &link->quic)
            == PN_OK) {
            return true;
        }
        link->quic = NULL;
    }
    return false;
}

static void on_conn_end(void *user, pn_err why, uint64_t code, int sys_errno)
{
    pn_barrel_link *link = user;
    pn_link *base = &link->base;
    pn_node *node = base->node;
    pn_reason reason = reason_of_end(why, sys_errno);
    char where[PN_ADDRESS_TEXT_LEN];

    (void)code;
    pn_node_lock(node);
    pn_quic_close(link->quic, PN_QUIC_NO_ERROR);
    link->quic = NULL;
    if (base->stage == PN_LINK_DIALLING && dial_next(link)) {
        pn_node_unlock(node);
        return;
    }
    if (base->stage == PN_LINK_HANDSHAKE && link->dist != NULL
        && why == PN_CLOSED && pn_barrel_dist_abandoned(link)) {
        pn_node_unlock(node);
        return;
    }
    pn_address_text(&base->remote, where);
    if (base->stage == PN_LINK_HANDSHAKE && link->dist == NULL) {
        pn_barrel_link_end(link, reason,
            "%s at %s closed without a reason during authentication: it does "
            "not trust our key, its clock differs, or it lets no more in now",
            pn_barrel_name_to_show(link), where);
    } else if (base->stage == PN_LINK_HANDSHAKE) {
        pn_barrel_link_end(link, reason,
            "%s at %s closed during the distribution handshake: the cookie "
            "differs, most likely",
            pn_barrel_name_to_show(link), where);
    } else {
        pn_barrel_link_end(link, reason, "%s at %s: %s",
            pn_barrel_name_to_show(link), where,
            sys_errno != 0 ? strerror(sys_errno) : pn_reason_text(reason));
    }
    pn_node_unlock(node);
}

static const pn_quic_conn_callbacks conn_callbacks = {
    .on_open = on_open,
    .on_data = on_data,
    .on_reset = on_reset,
    .on_acked = on_acked,
    .on_writable = on_writable,
    .on_memory = on_memory,
    .on_end = on_conn_end,
};

static void on_found(void *user, const pn_barrel_found *found)
{
    pn_barrel_link *link = user;
    pn_node *node = link->base.node;
    size_t n = found->n < PN_RESOLVE_MAX ? found->n : PN_RESOLVE_MAX;

    pn_node_lock(node);
    link->lookup = NULL;
    if (found->err == PN_OK) {
        memcpy(link->addresses, found->addresses, n * sizeof(pn_address));
        link->n_addresses = n;
    }
    if (link->base.stage == PN_LINK_DIALLING && !dial_next(link)) {
        pn_barrel_link_end(link, PN_REASON_UNREACHABLE, "%s is not known: %s",
            link->name,
            found->why[0] == '\0' ? "no static address, endpoint file or "
                                    "DNS name"
                                  : found->why);
    }
    pn_node_unlock(node);
}

static void link_look_up(pn_barrel_link *link)
{
    pn_err err;

    link->base.stage = PN_LINK_DIALLING;
    err = pn_barrel_discovery_lookup(
        link->barrel->discovery, link->name, on_found, link, &link->lookup);
    if (err != PN_OK) {
        pn_barrel_link_end(link, PN_REASON_UNREACHABLE,
            "%s cannot be looked up: %s", link->name, pn_strerror(err));
    }
}

/* ---- accepting (loop, no lock) ----------------------------------------- */

/* Somebody who is connected from there. */
static bool is_known_source(const pn_barrel *barrel, const pn_address *from)
{
    for (pn_link *l = barrel->node->links; l != NULL; l = l->next) {
        if (pn_barrel_is_link(l, barrel) && l->stage == PN_LINK_UP
            && !of(l)->is_cookie_only
            && pn_address_same_host(&l->remote, from)) {
            return true;
        }
    }
    return false;
}

static bool on_knock(void *user, const pn_address *from)
{
    pn_barrel *barrel = user;
    bool welcome;

    (void)from; /* anybody can write it there */
    pn_node_lock(barrel->node);
    welcome = !barrel->node->is_closing
              && !PN_CHECK(barrel_knock_damaged, barrel->are_pins_damaged)
              && count_links(barrel) < barrel->opt.max_links;
    pn_node_unlock(barrel->node);
    return welcome;
}

/* Its address is its own: the TLS handshake went there and back. So here is
 * the door for those who have not proven a key (T2, T3). */
static pn_barrel_link *accept_link(pn_barrel *barrel, const pn_address *from)
{
    uint64_t source = pn_address_source(from);
    pn_barrel_link *link;

    if (barrel->node->is_closing
        || PN_CHECK(barrel_gate,
            !pn_gate_enter(&barrel->gate, source, is_known_source(barrel, from),
                pn_node_now(barrel->node)))) {
        return NULL;
    }
    link = link_new(barrel, false);
    if (link == NULL) {
        pn_gate_leave(&barrel->gate, source);
        return NULL;
    }
    link->is_stranger = true;
    return link;
}

static void on_accept(void *user, pn_quic_conn *conn, const pn_address *from)
{
    pn_barrel *barrel = user;
    pn_barrel_link *link;

    pn_barrel_reload_keys(barrel);
    pn_node_lock(barrel->node);
    link = accept_link(barrel, from);
    if (link == NULL) {
        pn_quic_close(conn, PN_QUIC_NO_ERROR);
    } else {
        link->quic = conn;
        link->base.remote = *from;
        pn_quic_set_callbacks(conn, &conn_callbacks, link);
        pn_barrel_auth_begin(link);
        pn_link_touch(&link->base);
    }
    pn_node_unlock(barrel->node);
}

const pn_quic_callbacks pn_barrel_quic_callbacks = {
    .on_knock = on_knock,
    .on_accept = on_accept,
};

/* ---- turn end (loop, lock held) ---------------------------------------- */

/* Signals leave on one stream of ours, in the order they were made (section
 * 15.5), once the handshake's last message has arrived: the Erlang side reads
 * that one alone. */
static void link_flush(pn_barrel_link *link)
{
    size_t len = pn_buf_used(&link->out);
    pn_err err = PN_OK;

    if (link->base.stage != PN_LINK_UP || len == 0 || link->is_full
        || link->control_acked < link->control_written) {
        return;
    }
    if (link->data < 0) {
        err = pn_quic_open_bidi(link->quic, &link->data);
    }
    while (err == PN_OK && len > 0) {
        size_t n = len < WRITE_MAX ? len : WRITE_MAX;

        err = pn_quic_write(
            link->quic, link->data, pn_buf_head(&link->out), n, false);
        if (err == PN_OK) {
            pn_buf_consume(&link->out, n);
            len -= n;
        }
    }
    pn_buf_trim(&link->out, 65536);
    link->is_full = err == PN_LIMIT;
    if (err != PN_OK && err != PN_LIMIT) {
        pn_barrel_link_end(link, PN_REASON_SYSTEM,
            "%s takes nothing on our stream: %s", link->name, pn_strerror(err));
    }
}

/* The peer gets credit for what it sent once there is room for its calls. */
static void link_credit(pn_barrel_link *link)
{
    const pn_node_options *opt = &link->base.node->opt;

    /* Blocked: whoever empties the queue has us look again. */
    link->base.is_blocked = link->n_owed > 0;
    if (link->base.n_queued >= opt->max_queue_per_link
        || link->base.queued_bytes >= opt->max_queue_bytes_per_link / 2
        || pn_buf_used(&link->out) > opt->max_output_bytes / 2) {
        return;
    }
    for (size_t i = 0; i < link->n_owed; i++) {
        pn_quic_consumed(link->quic, link->owed[i].stream, link->owed[i].bytes);
    }
    link->n_owed = 0;
    link->base.is_blocked = false;
}

static uint64_t link_deadline(const pn_barrel_link *link)
{
    uint64_t deadline = pn_barrel_ops_deadline(link);

    deadline = link->deadline_us < deadline ? link->deadline_us : deadline;
    if (link->dist != NULL) {
        uint64_t dist = pn_dist_deadline(link->dist);

        deadline = dist < deadline ? dist : deadline;
        if (pn_barrel_name_waits(link) && link->name_at_us < deadline) {
            deadline = link->name_at_us;
        }
    } else if (link->auth != NULL) {
        uint64_t auth = pn_auth_deadline(link->auth);

        deadline = auth < deadline ? auth : deadline;
    }
    return deadline;
}

static void link_tick(pn_barrel_link *link, uint64_t now_us)
{
    if (link->base.stage == PN_LINK_ENDED) {
        return;
    }
    pn_barrel_ops_expire(link, now_us);
    if (link->dist != NULL) {
        pn_dist_tick(link->dist, now_us);
        if (pn_barrel_name_waits(link)) {
            pn_barrel_control_flush(link);
        }
        pn_barrel_dist_check(link);
    } else if (link->auth != NULL) {
        pn_auth_tick(link->auth, now_us);
        pn_barrel_auth_check(link);
    }
    if (now_us >= link->deadline_us && link->is_yielding) {
        pn_barrel_link_end(link, PN_REASON_PEER_CLOSED,
            "%s closed during the distribution handshake, and does not dial us",
            pn_barrel_name_to_show(link));
    } else if (now_us >= link->deadline_us) {
        pn_barrel_link_end(link, PN_REASON_CONNECT_TIMEOUT,
            "%s: nothing came within %u ms", pn_barrel_name_to_show(link),
            link->barrel->opt.connect_timeout_ms);
    }
}

static void on_link_timer(void *user)
{
    pn_barrel_link *link = user;
    pn_node *node = link->base.node;

    pn_node_lock(node);
    link->base.armed_us = PN_TIME_NEVER;
    link_tick(link, pn_node_now(node));
    pn_link_touch(&link->base);
    pn_node_unlock(node);
}

static void link_arm(pn_barrel_link *link)
{
    uint64_t deadline = link_deadline(link);
    pn_link *base = &link->base;

    if (deadline >= base->armed_us) {
        return;
    }
    if (base->timer == NULL
        && pn_timer_new(base->node->loop, on_link_timer, link, &base->timer)
               != PN_OK) {
        pn_link_end(base, PN_REASON_OUT_OF_MEMORY);
        return;
    }
    base->armed_us = deadline;
    pn_timer_set(base->timer, deadline);
}

static void link_bury(pn_barrel_link *link)
{
    pn_link *base = &link->base;

    pn_timer_free(base->timer);
    base->timer = NULL;
    pn_barrel_lookup_cancel(link->lookup);
    link->lookup = NULL;
    if (link->quic != NULL) {
        /* A reason on the auth stream, and answers, still go out. */
        pn_quic_close(link->quic, PN_QUIC_NO_ERROR);
        link->quic = NULL;
    }
    pn_auth_free(link->auth);
    link->auth = NULL;
    pn_dist_free(link->dist);
    link->dist = NULL;
    pn_barrel_drop_inbound(link);
    pn_link_unlist(base);
}

static size_t link_held(const pn_barrel_link *link)
{
    size_t n = pn_buf_used(&link->out);

    if (link->quic != NULL) {
        n += pn_quic_unsent(link->quic) + pn_quic_memory(link->quic);
    }
    return n + (link->dist == NULL ? 0 : pn_dist_held(link->dist));
}

static void on_turn_end_link(pn_link *base)
{
    pn_barrel_link *link = of(base);

    if (base->wants_pump) {
        base->wants_pump = false;
        pn_dispatch_pump(base);
    }
    if (base->stage == PN_LINK_WANTS_DIAL) {
        link_look_up(link);
    }
    if (base->stage == PN_LINK_UP) {
        /* Where the peer is by now: either side may have moved. */
        pn_quic_addresses(link->quic, &base->local, &base->remote);
        link_flush(link);
        link_credit(link);
    }
    if (base->stage != PN_LINK_ENDED) {
        link_arm(link);
        pn_link_account(base, link_held(link));
    }
    /* One that ended just now is touched again, and its turn comes. */
    if (base->stage == PN_LINK_ENDED && base->is_listed && !base->is_touched) {
        link_bury(link);
    }
}

static void on_free_link(pn_link *base)
{
    pn_barrel_link *link = of(base);

    pn_buf_fini(&link->out);
    free(link->name);
}

const pn_link_ops pn_barrel_link_ops = {
    .begin_reply = pn_barrel_begin_reply,
    .commit = pn_barrel_commit,
    .end = on_end_link,
    .turn_end = on_turn_end_link,
    .free = on_free_link,
    .moves = true,
};

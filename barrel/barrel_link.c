/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Barrel's family of links. A connection to a node of the cluster is looked up
 * and dialled, or accepted; then come the authentication on streams 2 and 3,
 * the distribution handshake on stream 0, and signals. The stages are those of
 * every link (link/link.h); "handshake" is authentication and distribution.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "barrel_internal.h"
#include "base/mutant.h"
#include "os/clock.h"
#include "sentences.h"

/* One write to QUIC is taken whole or not at all, and there may be more than
 * it ever takes. */
enum { WRITE_MAX = 1024 * 1024 };

/* From the last packet to a PING, while a call of ours waits. */
#define CALL_SILENCE_US (2 * PN_US_PER_S)

static const pn_quic_conn_callbacks conn_callbacks;

/* ---- finding ------------------------------------------------------------ */

static const pn_barrel_link *const_of(const pn_link *base)
{
    return (const pn_barrel_link *)(const void *)base;
}

bool pn_barrel_is_link(const pn_link *link, const pn_barrel *barrel)
{
    return link->ops == &pn_barrel_link_ops && const_of(link)->barrel == barrel;
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
    assert_locked(barrel->node);
    PN_LIST_EACH(pn_link, l, &barrel->node->links.all, listed) {
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
    PN_LIST_EACH(pn_link, l, &barrel->node->links.all, listed) {
        if (l->is_dialled && (PN_BARREL_STAGES_COMING & 1u << l->stage) != 0
            && is_to(l, barrel, name, skip)) {
            return of(l);
        }
    }
    return NULL;
}

/* A link that the peer dialled and whose key is proven. */
pn_barrel_link *pn_barrel_find_arriving(
    const pn_barrel *barrel, const char *name, const pn_barrel_link *skip)
{
    PN_LIST_EACH(pn_link, l, &barrel->node->links.all, listed) {
        if (!l->is_dialled && l->stage == PN_LINK_HANDSHAKE
            && is_to(l, barrel, name, skip) && of(l)->is_authenticated
            && !of(l)->is_cookie_only) {
            return of(l);
        }
    }
    return NULL;
}

/* The gate has the limit on strangers. */
void pn_barrel_link_count(pn_barrel_link *link)
{
    if (!link->is_in_n_links) {
        link->is_in_n_links = true;
        link->barrel->n_links++;
    }
}

static void link_uncount(pn_barrel_link *link)
{
    if (link->is_in_n_links) {
        link->is_in_n_links = false;
        link->barrel->n_links--;
    }
}

static pn_barrel_link *link_new(pn_barrel *barrel)
{
    pn_barrel_link *link = of(
        pn_link_new(barrel->node, &pn_barrel_link_ops, sizeof(*link)));

    if (link == NULL) {
        return NULL;
    }
    link->barrel = barrel;
    link->base.principal.family = PN_FAMILY_BARREL;
    link->auth_out = -1;
    link->auth_in = -1;
    link->data = -1;
    link->deadline_us = link->base.opened_us
                        + (uint64_t)barrel->opt.connect_timeout_ms
                              * PN_US_PER_MS;
    return link;
}

static pn_barrel_link *link_new_dialled(pn_barrel *barrel)
{
    pn_barrel_link *link = link_new(barrel);

    if (link != NULL) {
        link->base.is_dialled = true;
        pn_barrel_link_count(link);
    }
    return link;
}

pn_err pn_barrel_find_or_dial(pn_barrel *barrel, const char *name,
    pn_barrel_link **ret_link, const char **ret_why)
{
    pn_barrel_link *link = pn_barrel_find_up(barrel, name);

    assert_locked(barrel->node);
    if (!pn_node_name_is_valid(name, strlen(name))) {
        *ret_why = "expected NAME@HOST";
        return PN_INVALID;
    }
    if (strcmp(name, barrel->name) == 0) {
        *ret_why = "that is our own name";
        return PN_INVALID;
    }
    if (barrel->node->closing.is_asked) {
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
        && PN_REFUSE_IF(
            barrel_max_links, barrel->n_links >= barrel->opt.max_links)) {
        *ret_why = "there are too many links";
        return PN_FULL;
    }
    if (link == NULL) {
        link = link_new_dialled(barrel);
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
    link->is_redial = false;
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
    pn_node_event(node, PN_EVENT_PEER_DOWN, &link->base.principal,
        link->base.label, &link->base.remote, link->why.text,
        strlen(link->why.text), reason);
}

static void on_link_end(pn_link *base, pn_link_stage was)
{
    pn_barrel_link *link = of(base);
    pn_reason reason = base->reason;

    assert_locked(base->node);
    if (link->why.text[0] == '\0') {
        (void)snprintf(link->why.text, sizeof(link->why.text), "%s: %s",
            pn_barrel_name_to_show(link), pn_barrel_end_sentence(reason));
    }
    pn_barrel_auth_ended(link, reason);
    if (was == PN_LINK_UP) {
        end_up(link, reason);
    } else if (base->is_dialled && reason != PN_REASON_DUPLICATE
               && pn_barrel_redial_is_news(link, reason)) {
        pn_node_event(base->node, PN_EVENT_DIAL_FAILED, &base->principal,
            base->label, &base->remote, link->why.text, strlen(link->why.text),
            reason);
    }
    pn_barrel_redial_ended(link, reason);
    pn_barrel_ops_fail(link,
        was == PN_LINK_UP || link->has_been_up ? PN_CLOSED : PN_NOT_CONNECTED);
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

void pn_barrel_link_waits_for(const pn_barrel_link *link, pn_why *ret_why)
{
    const char *name = pn_barrel_name_to_show(link);
    char where[PN_ADDRESS_TEXT_LEN] = "";
    pn_reason reason = PN_REASON_NONE;
    const char *what;

    if (link->base.stage == PN_LINK_WANTS_DIAL || link->lookup != NULL) {
        pn_why_set(ret_why, PN_REASON_NONE,
            "%s: its address is still being looked up; wait longer", name);
        return;
    }
    if (link->base.stage == PN_LINK_DIALLING) {
        reason = PN_REASON_CONNECT_TIMEOUT;
        what = "has not answered yet: nothing may listen there, or a firewall "
               "is between; check both";
    } else if (link->dist == NULL) {
        what = "has not finished the authentication yet; wait longer";
    } else if (pn_dist_awaits_ack(link->dist)) {
        reason = PN_REASON_COOKIE_DIFFERS;
        what = "has not answered our proof of the cookie: the cookie differs, "
               "most likely; give both nodes the same";
    } else {
        what = "has not finished the distribution handshake yet; wait longer";
    }
    pn_address_text(&link->base.remote, where);
    pn_why_set(ret_why, reason, "%s at %s %s", name, where, what);
}

/* ---- input (loop, no lock) --------------------------------------------- */

/* Above those of distribution an application may open streams to another
 * (docs/BARREL-PROTOCOL.md, section 15.1); none is served here. */
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
        if (stream == link->auth_in) {
            pn_barrel_auth_rest(link, len);
        } else if (is_user_stream(stream)) {
            pn_quic_consumed(link->quic, stream, len);
            pn_quic_reset(link->quic, stream, PN_QUIC_STREAM_REFUSED);
        } else if (is_last) {
            pn_barrel_link_end(link, PN_REASON_PEER_CLOSED,
                "%s closed a stream of distribution; look whether it still "
                "runs",
                pn_barrel_name_to_show(link));
        } else {
            pn_barrel_dist_input(link, stream, data, len);
        }
        pn_link_touch(base);
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
        pn_barrel_link_end(link, PN_REASON_PEER_CLOSED,
            "%s reset stream %lld; look at the log there",
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

/* The turn's end accounts for it. */
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
        return sys_errno == ECONNRESET ? PN_REASON_CONNECTION_RESET
                                       : PN_REASON_PEER_CLOSED;
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

    assert_on_loop(link->base.node);
    assert_locked(link->base.node);
    while (link->next_address < link->n_addresses) {
        const pn_address *to = &link->addresses[link->next_address++];

        link->base.remote = *to;
        if (pn_quic_dial(barrel->quic, to, &conn_callbacks, link, &link->quic)
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
            "not trust our key, its clock differs, or it lets no more in now; "
            "look at the log there",
            pn_barrel_name_to_show(link), where);
    } else if (base->stage == PN_LINK_HANDSHAKE
               && reason == PN_REASON_PEER_CLOSED) {
        pn_barrel_link_end(link, PN_REASON_COOKIE_DIFFERS,
            "%s at %s closed during the distribution handshake: the cookie "
            "differs, most likely; give both nodes the same",
            pn_barrel_name_to_show(link), where);
    } else if (base->stage == PN_LINK_DIALLING
               && reason == PN_REASON_PEER_CLOSED) {
        pn_barrel_link_end(link, reason,
            "%s at %s closed before the handshake: it lets no more in now, or "
            "is stopping; try again",
            pn_barrel_name_to_show(link), where);
    } else {
        pn_barrel_link_end(link, reason, "%s at %s: %s%s%s",
            pn_barrel_name_to_show(link), where,
            sys_errno != 0 ? strerror(sys_errno) : "",
            sys_errno != 0 ? ": " : "", pn_barrel_end_sentence(reason));
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
        pn_barrel_link_end(link, PN_REASON_UNREACHABLE,
            "%s is not known: %s; say where it is, or check its name",
            link->name,
            found->why[0] == '\0' ? "no static address, endpoint file or "
                                    "DNS name"
                                  : found->why);
    }
    pn_node_unlock(node);
}

static void on_link_start(pn_link *base)
{
    pn_barrel_link *link = of(base);
    pn_err err;

    assert_on_loop(base->node);
    assert_locked(base->node);
    base->stage = PN_LINK_DIALLING;
    err = pn_barrel_discovery_lookup(
        link->barrel->discovery, link->name, on_found, link, &link->lookup);
    if (err != PN_OK) {
        pn_barrel_link_end(link, PN_REASON_UNREACHABLE,
            "%s cannot be looked up: %s; try again later", link->name,
            pn_strerror(err));
    }
}

/* ---- accepting (loop, no lock) ----------------------------------------- */

/* The address may be forged, so no place is taken for it. */
static bool on_incoming(void *user, const pn_address *from)
{
    pn_barrel *barrel = user;
    bool are_damaged;
    bool is_admitted;

    assert_on_loop(barrel->node);
    (void)from;
    (void)pthread_mutex_lock(&barrel->pins_lock);
    are_damaged = pn_pins_damage(barrel->pins) != PN_OK;
    (void)pthread_mutex_unlock(&barrel->pins_lock);
    pn_node_lock(barrel->node);
    is_admitted = !barrel->node->closing.is_asked
                  && !PN_REFUSE_IF(barrel_incoming_damaged, are_damaged)
                  && barrel->n_links < barrel->opt.max_links;
    pn_node_unlock(barrel->node);
    return is_admitted;
}

/* The address is its own: a token came back from there, or the handshake did.
 * So its places are counted from here on, for as long as it has not proven a
 * key (T2, T3). */
static bool on_proven(void *user, const pn_address *from)
{
    pn_barrel *barrel = user;
    bool is_admitted;

    pn_node_lock(barrel->node);
    is_admitted = !PN_REFUSE_IF(
        barrel_gate, !pn_link_admit(barrel->node, &barrel->gate, from,
                         pn_barrel_known_has(barrel->known, from)));
    pn_node_unlock(barrel->node);
    return is_admitted;
}

static void on_leave(void *user, const pn_address *from)
{
    pn_barrel *barrel = user;

    pn_node_lock(barrel->node);
    pn_gate_leave(&barrel->gate, pn_address_source(from));
    pn_node_unlock(barrel->node);
}

static bool on_reserve(void *user, const pn_address *to)
{
    pn_barrel *barrel = user;
    bool has_one;

    pn_node_lock(barrel->node);
    has_one = PN_REFUSE_IF(barrel_reserve,
        pn_barrel_known_reserve(barrel->known, to, pn_node_now(barrel->node),
            barrel->opt.known_answers_per_second));
    pn_node_unlock(barrel->node);
    return has_one;
}

/* The first of a stranger that reads a file of ours: it has a place. */
static void on_accept(void *user, pn_quic_conn *conn, const pn_address *from)
{
    pn_barrel *barrel = user;
    pn_barrel_link *link;

    assert_on_loop(barrel->node);
    pn_barrel_reload_keys(barrel);
    pn_node_lock(barrel->node);
    link = barrel->node->closing.is_asked ? NULL : link_new(barrel);
    if (link == NULL) {
        pn_gate_leave(&barrel->gate, pn_address_source(from));
        pn_quic_close(conn, PN_QUIC_NO_ERROR);
    } else {
        pn_link_hold_place(&link->base, &barrel->gate, from);
        link->quic = conn;
        pn_quic_set_callbacks(conn, &conn_callbacks, link);
        pn_barrel_auth_begin(link);
        pn_link_touch(&link->base);
    }
    pn_node_unlock(barrel->node);
}

const pn_quic_callbacks pn_barrel_quic_callbacks = {
    .on_incoming = on_incoming,
    .on_proven = on_proven,
    .on_leave = on_leave,
    .on_reserve = on_reserve,
    .on_accept = on_accept,
};

/* ---- turn end (loop, lock held) ---------------------------------------- */

/* Signals leave on one stream of ours, in the order they were made
 * (docs/BARREL-PROTOCOL.md, section 15.5), once the handshake's last message
 * has arrived: the Erlang side reads that one alone. */
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
    link->is_full = err == PN_FULL;
    if (err != PN_OK && err != PN_FULL) {
        pn_barrel_link_end(link, PN_REASON_SYSTEM,
            "%s takes nothing on our stream: %s; look whether it hangs",
            link->name, pn_strerror(err));
    }
}

/* While a call waits for its answer a PING is sent every 2 s, so a node that
 * was killed is noticed by its system's answer, a stateless reset or ICMP, and
 * not after the silence of an idle link. */
static void link_ask(pn_barrel_link *link)
{
    uint64_t idle_us = (uint64_t)link->barrel->opt.keep_alive_ms * PN_US_PER_MS;
    bool wants = CALL_SILENCE_US < idle_us && link->base.calls.n > 0;

    if (wants != link->is_asked) {
        link->is_asked = wants;
        pn_quic_set_keep_alive(link->quic, wants ? CALL_SILENCE_US : 0);
    }
}

/* The peer gets credit for what it sent once there is room for its calls. */
static void link_credit(pn_barrel_link *link)
{
    const pn_node_options *opt = &link->base.node->opt;
    bool is_full = link->base.queue.n >= opt->max_queue_per_link
                   || link->base.queued_bytes
                          >= opt->max_queue_bytes_per_link / 2
                   || pn_buf_used(&link->out) > opt->max_output_bytes / 2;

    for (size_t i = 0; !is_full && i < link->n_owed; i++) {
        pn_quic_consumed(link->quic, link->owed[i].stream, link->owed[i].bytes);
    }
    if (!is_full) {
        link->n_owed = 0;
    }
    /* pn_dispatch_pump touches a blocked link when it has emptied the queue. */
    link->base.is_blocked = link->n_owed > 0;
    pn_dist_set_reading(
        link->dist, pn_node_now(link->base.node), !link->base.is_blocked);
}

static uint64_t on_link_deadline(const pn_link *base)
{
    const pn_barrel_link *link = const_of(base);
    uint64_t deadline = link->deadline_us;

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

static void on_link_tick(pn_link *base, uint64_t now_us)
{
    pn_barrel_link *link = of(base);

    assert_on_loop(base->node);
    assert_locked(base->node);
    if (base->stage == PN_LINK_ENDED) {
        return;
    }
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
            "%s closed during the distribution handshake, and does not dial "
            "us; "
            "look at the log there",
            pn_barrel_name_to_show(link));
    } else if (now_us >= link->deadline_us) {
        pn_barrel_link_end(link, PN_REASON_CONNECT_TIMEOUT,
            "%s: nothing came within %u ms; check that it runs, its address, "
            "and its firewall",
            pn_barrel_name_to_show(link), link->barrel->opt.connect_timeout_ms);
    }
}

static void on_link_close(pn_link *base)
{
    pn_barrel_link *link = of(base);

    assert_on_loop(base->node);
    assert_locked(base->node);
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
    link_uncount(link);
}

static size_t on_link_held(const pn_link *base)
{
    const pn_barrel_link *link = const_of(base);
    size_t n = pn_buf_used(&link->out);

    if (link->quic != NULL) {
        n += pn_quic_unsent(link->quic) + pn_quic_memory(link->quic);
    }
    return n + (link->dist == NULL ? 0 : pn_dist_held(link->dist));
}

static void on_link_output(pn_link *base)
{
    pn_barrel_link *link = of(base);

    assert_on_loop(base->node);
    assert_locked(base->node);
    if (base->stage == PN_LINK_UP) {
        /* The peer's present address: either side may have moved. */
        pn_quic_addresses(link->quic, &base->local, &base->remote);
        link_flush(link);
        link_ask(link);
        link_credit(link);
    }
}

static size_t on_link_unsent(const pn_link *base)
{
    const pn_barrel_link *link = const_of(base);

    return pn_buf_used(&link->out)
           + (link->quic == NULL ? 0 : pn_quic_unsent(link->quic));
}

static void on_link_fail_calls(pn_link *base)
{
    pn_barrel_ops_fail(of(base), PN_CLOSED);
}

static void on_link_free(pn_link *base)
{
    pn_barrel_link *link = of(base);

    pn_buf_fini(&link->out);
    free(link->name);
}

const pn_link_ops pn_barrel_link_ops = {
    .start = on_link_start,
    .output = on_link_output,
    .deadline = on_link_deadline,
    .tick = on_link_tick,
    .held = on_link_held,
    .unsent = on_link_unsent,
    .close = on_link_close,
    .begin_reply = pn_barrel_begin_reply,
    .commit = pn_barrel_commit,
    .begin_call = pn_barrel_op_begin,
    .expire_call = pn_barrel_op_expire,
    .fail_calls = on_link_fail_calls,
    .end = on_link_end,
    .free = on_link_free,
    .moves = true,
};

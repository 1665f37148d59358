/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a QUIC connection to a link that is up: authentication on streams 2 and
 * 3, then the distribution handshake on stream 0; both by engines, which this
 * file feeds and obeys. Then what arrives on the data streams.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "barrel_internal.h"
#include "base/escape.h"
#include "base/mutant.h"
#include "os/clock.h"

/* Stream numbers (section 2.5): the first unidirectional one of either side,
 * and the first bidirectional one of the initiator. */
enum { STREAM_CONTROL = 0, STREAM_AUTH_INITIATOR = 2, STREAM_AUTH_RESPONDER };

/* How long the peer's own dial may take to show up, as its net_setuptime. */
#define YIELD_US (7 * PN_US_PER_S)
/* The same when it has closed without a word, which may mean anything. */
#define YIELD_CLOSED_US PN_US_PER_S
/* Between the end of the authentication and our name. Upstream's responder
 * hands the connection from one process to another there, and what comes in
 * that moment is lost for good. */
#define HANDOVER_US (25 * PN_US_PER_MS)

static const pn_dist_callbacks dist_callbacks;

/* ---- authentication (loop) ----------------------------------------------- */

static pn_auth_pin look_up_pin(
    void *user, pn_slice name, const pn_public_key *key)
{
    pn_barrel *barrel = user;
    pn_auth_pin pin;

    (void)pthread_mutex_lock(&barrel->pins_lock);
    pin = PN_CHECK(barrel_pins_damaged, barrel->are_pins_damaged)
              ? PN_AUTH_PIN_DIFFERS
              : pn_pins_look_up(barrel->pins, name, key);
    (void)pthread_mutex_unlock(&barrel->pins_lock);
    return pin;
}

static pn_err add_pin(void *user, pn_slice name, const pn_public_key *key)
{
    pn_barrel *barrel = user;
    pn_store_error why = {{0}};
    pn_err err;

    (void)pthread_mutex_lock(&barrel->pins_lock);
    err = pn_pins_add(barrel->pins, name, key, pn_node_now(barrel->node), &why);
    (void)pthread_mutex_unlock(&barrel->pins_lock);
    pn_node_lock(barrel->node);
    if (err == PN_OK) {
        barrel->metrics.new_pins++;
        pn_node_log_text(barrel->node, PN_LOG_WARNING, "pinned a new node", key,
            (const char *)name.data, name.len);
    } else {
        pn_node_log(barrel->node, PN_LOG_WARNING, "did not pin a new node",
            why.text, PN_REASON_NONE, 0);
    }
    pn_node_unlock(barrel->node);
    return err;
}

static const pn_auth_pins auth_pins = {.look_up = look_up_pin, .add = add_pin};

static pn_barrel_failures *failures_like(const pn_barrel_link *link)
{
    pn_barrel *barrel = link->barrel;

    return link->dist != NULL
               ? &barrel->dist_failures[link->base.is_dialled]
                                       [pn_dist_reason_of(link->dist)]
               : &barrel->auth_failures[link->base.is_dialled]
                                       [pn_auth_reason_of(link->auth)];
}

/* Whoever was refused is named to the owner of this node, at most once a
 * second for a reason and a direction (T27): nobody can talk over what another
 * is refused for. */
static void log_failure(pn_barrel_link *link, const char *detail)
{
    pn_barrel *barrel = link->barrel;
    pn_barrel_failures *like = failures_like(link);
    uint64_t now = pn_node_now(barrel->node);
    char where[PN_ADDRESS_TEXT_LEN];
    char text[PN_BARREL_SENTENCE_MAX];
    char more[48] = "";
    const char *what = link->dist != NULL ? "distribution refused"
                       : link->base.is_dialled
                           ? "outgoing authentication failed"
                           : "incoming authentication failed";

    if (PN_CHECK(barrel_log_rate,
            like->logged_us != 0 && now - like->logged_us < PN_US_PER_S)) {
        like->n_left_out++;
        return;
    }
    like->logged_us = now;
    if (like->n_left_out > 0) {
        (void)snprintf(more, sizeof(more), " (and %llu more)",
            (unsigned long long)like->n_left_out);
        like->n_left_out = 0;
    }
    pn_address_text(&link->base.remote, where);
    (void)snprintf(text, sizeof(text), "%s %s: %s%s", where,
        link->name == NULL ? "" : link->name, detail, more);
    pn_node_log(barrel->node, PN_LOG_WARNING, what, text, PN_REASON_NONE, 0);
}

static pn_reason reason_of_auth(pn_auth_reason why)
{
    switch ((int)why) {
    case PN_AUTH_REASON_KEY_MISMATCH:
    case PN_AUTH_REASON_NAME_MISMATCH:
        return PN_REASON_KEY_MISMATCH;
    case PN_AUTH_REASON_UNTRUSTED_KEY:
    case PN_AUTH_REASON_PIN_NOT_STORED:
        return PN_REASON_UNTRUSTED_PEER;
    case PN_AUTH_REASON_REJECTED:
        return PN_REASON_NOT_PAIRED_THERE;
    case PN_AUTH_REASON_OWN_KEY:
    case PN_AUTH_REASON_OWN_NAME:
    case PN_AUTH_REASON_OWN_NONCE:
        return PN_REASON_OWN_KEY;
    case PN_AUTH_REASON_TIMEOUT:
        return PN_REASON_HANDSHAKE_TIMEOUT;
    case PN_AUTH_REASON_SYSTEM:
        return PN_REASON_SYSTEM;
    default:
        return PN_REASON_BAD_HANDSHAKE;
    }
}

static void count_auth(pn_barrel_link *link, bool is_ok)
{
    pn_barrel_metrics *m = &link->barrel->metrics;
    uint64_t took = pn_node_now(link->base.node) - link->auth_began_us;

    link->is_counted = true;
    if (link->base.is_dialled) {
        *(is_ok ? &m->auth_ok_outgoing : &m->auth_fail_outgoing) += 1;
        *(is_ok ? &m->auth_ok_us_outgoing : &m->auth_fail_us_outgoing) += took;
    } else {
        *(is_ok ? &m->auth_ok_incoming : &m->auth_fail_incoming) += 1;
        *(is_ok ? &m->auth_ok_us_incoming : &m->auth_fail_us_incoming) += took;
    }
}

static const char *auth_hint(pn_auth_reason why)
{
    switch ((int)why) {
    case PN_AUTH_REASON_UNTRUSTED_KEY:
        return ": no key is pinned here for that name";
    case PN_AUTH_REASON_KEY_MISMATCH:
        return ": another key is pinned here for that name, or the pins "
               "cannot be read";
    case PN_AUTH_REASON_PIN_NOT_STORED:
        return ": too many new names, too soon after the last, or it could "
               "not be written";
    case PN_AUTH_REASON_PEER_TS_SKEW:
        return ": the clocks of the two nodes differ";
    default:
        return "";
    }
}

/* What may be said of it: a reason, and what the peer gave as its own. */
static void auth_detail(const pn_barrel_link *link, char *text, size_t cap)
{
    pn_auth_reason why = pn_auth_reason_of(link->auth);
    pn_slice said = pn_auth_rejected_with(link->auth);

    if (why == PN_AUTH_REASON_REJECTED) {
        char safe[256];

        (void)pn_escape(
            (const char *)said.data, said.len, 64, safe, sizeof(safe));
        (void)snprintf(
            text, cap, "%s refused us: %s", pn_barrel_name_to_show(link), safe);
    } else if (why == PN_AUTH_REASON_BAD_MESSAGE) {
        (void)snprintf(text, cap, "%s: %s", pn_auth_reason_text(why),
            pn_auth_decoded_text(pn_auth_decoded_of(link->auth)));
    } else {
        (void)snprintf(
            text, cap, "%s%s", pn_auth_reason_text(why), auth_hint(why));
    }
}

static void auth_failed(pn_barrel_link *link)
{
    pn_slice claimed = pn_auth_peer_name(link->auth);
    char detail[PN_BARREL_SENTENCE_MAX];

    auth_detail(link, detail, sizeof(detail));
    if (link->name == NULL && claimed.len > 0) {
        link->name = strndup((const char *)claimed.data, claimed.len);
    }
    pn_barrel_link_end(link, reason_of_auth(pn_auth_reason_of(link->auth)),
        "authentication with %s failed: %s", pn_barrel_name_to_show(link),
        detail);
}

/* Name and key are proven, or let through by name alone: then the caller is
 * nobody, and no grant is for nobody. */
static bool take_identity(pn_barrel_link *link)
{
    const pn_public_key *key = pn_auth_peer_key(link->auth);
    pn_slice name = pn_auth_peer_name(link->auth);
    pn_link *base = &link->base;
    char *copy = strndup((const char *)name.data, name.len);
    char *label = copy == NULL ? NULL : strdup(copy);

    if (label == NULL) {
        free(copy);
        return false;
    }
    free(link->name);
    free(base->label);
    link->name = copy;
    base->label = label;
    link->is_authenticated = true;
    link->is_cookie_only = key == NULL;
    base->key = key == NULL ? (pn_public_key){{0}} : *key;
    base->principal = (pn_principal){
        .family = PN_FAMILY_BARREL, .key = base->key};
    return true;
}

static pn_err dist_start(pn_barrel_link *link)
{
    pn_barrel *barrel = link->barrel;
    pn_dist_config config = {
        .role = link->base.is_dialled ? PN_DIST_INITIATOR : PN_DIST_RESPONDER,
        .name = barrel->name,
        .peer_name = {(const uint8_t *)link->name, strlen(link->name)},
        .is_claimed = link->is_cookie_only,
        .cookie = {barrel->cookie, barrel->cookie_len},
        .flags = barrel->opt.visible ? PN_DIST_FLAGS | PN_DIST_FLAG_PUBLISHED
                                     : 0,
        .creation = barrel->creation,
        .max_message = barrel->opt.max_message_bytes,
        .env = &barrel->node->env,
        .callbacks = &dist_callbacks,
        .user = link,
    };

    return pn_dist_new(&config, pn_node_now(barrel->node), &link->dist);
}

static pn_err open_stream(
    pn_barrel_link *link, bool is_uni, int64_t expected, int64_t *ret_stream)
{
    pn_err err = is_uni ? pn_quic_open_uni(link->quic, ret_stream)
                        : pn_quic_open_bidi(link->quic, ret_stream);

    return err == PN_OK && *ret_stream != expected ? PN_STATE : err;
}

/* ---- distribution (loop) ----------------------------------------------- */

bool pn_barrel_name_waits(const pn_barrel_link *link)
{
    return link->base.is_dialled && link->dist != NULL && !link->is_yielding
           && link->control_written == 0;
}

void pn_barrel_control_flush(pn_barrel_link *link)
{
    pn_slice out = pn_dist_output(link->dist);

    if (out.len == 0 || link->quic == NULL
        || (pn_barrel_name_waits(link)
            && pn_node_now(link->base.node) < link->name_at_us)) {
        return;
    }
    if (pn_quic_write(link->quic, link->control, out.data, out.len, false)
        != PN_OK) {
        pn_barrel_link_end(link, PN_REASON_SYSTEM,
            "%s takes nothing on its first stream",
            pn_barrel_name_to_show(link));
        return;
    }
    link->control_written += out.len;
    pn_dist_written(link->dist);
}

/* Another link to the same node, up or about to be. One that claims the name
 * and has not proven the cookie is none. */
static pn_barrel_link *other_link(const pn_barrel_link *link)
{
    const pn_barrel *barrel = link->barrel;
    pn_barrel_link *other = pn_barrel_find(
        barrel, link->name, link, PN_BARREL_STAGES_UP);

    if (other == NULL) {
        other = pn_barrel_find_arriving(barrel, link->name, link);
    }
    return other != NULL ? other
                         : pn_barrel_find_dial(barrel, link->name, link);
}

/* A link lost to another of the same node: who waits for it waits for that
 * one. False: there is none yet. */
static bool hand_over(pn_barrel_link *link)
{
    pn_barrel_link *other = other_link(link);

    if (other != NULL) {
        pn_barrel_ops_move(link, other);
    }
    return other != NULL;
}

/* The peer dials us, most likely, and we have not seen that: it may still be a
 * stranger, or only be looking us up. Who waits goes on waiting here, until
 * that link takes them over (on_rival_lost) or does not come. */
static void yield(pn_barrel_link *link, uint64_t for_us)
{
    uint64_t until = pn_node_now(link->base.node) + for_us;

    link->is_yielding = true;
    link->deadline_us = until < link->deadline_us ? until : link->deadline_us;
    if (link->quic != NULL) {
        pn_quic_close(link->quic, PN_QUIC_NO_ERROR);
        link->quic = NULL;
    }
    pn_link_touch(&link->base);
}

bool pn_barrel_dist_abandoned(pn_barrel_link *link)
{
    if (link->is_yielding || pn_dist_state_of(link->dist) != PN_DIST_HANDSHAKE
        || pn_dist_awaits_ack(link->dist)) {
        return false;
    }
    if (hand_over(link)) {
        pn_barrel_link_end(link, PN_REASON_DUPLICATE,
            "another link to %s came first", pn_barrel_name_to_show(link));
        return true;
    }
    if (link->base.is_dialled) {
        yield(link, YIELD_CLOSED_US);
    }
    return link->base.is_dialled;
}

static bool is_duplicate(pn_dist_reason why)
{
    return why == PN_DIST_REASON_LOST_RACE || why == PN_DIST_REASON_ALREADY_UP;
}

static void dist_failed(pn_barrel_link *link, pn_dist_reason why)
{
    bool is_cookie = why == PN_DIST_REASON_TIMEOUT
                     && pn_dist_awaits_ack(link->dist);

    pn_barrel_link_end(link,
        is_duplicate(why)   ? PN_REASON_DUPLICATE
        : link->has_been_up ? PN_REASON_BAD_FRAME
                            : PN_REASON_BAD_HANDSHAKE,
        "distribution with %s: %s%s", pn_barrel_name_to_show(link),
        pn_dist_reason_text(why),
        is_cookie ? ": the cookie differs, most likely" : "");
}

void pn_barrel_dist_check(pn_barrel_link *link)
{
    pn_dist_reason why;

    if (link->dist == NULL || link->is_yielding
        || link->base.stage == PN_LINK_ENDED
        || pn_dist_state_of(link->dist) != PN_DIST_FAILED) {
        return;
    }
    why = pn_dist_reason_of(link->dist);
    if (is_duplicate(why) && !hand_over(link) && why == PN_DIST_REASON_LOST_RACE
        && link->base.is_dialled) {
        yield(link, YIELD_US);
        return;
    }
    dist_failed(link, why);
}

static void on_rival_lost(void *user)
{
    pn_barrel_link *link = user;
    pn_barrel_link *rival = pn_barrel_find_dial(link->barrel, link->name, link);

    if (rival != NULL) {
        pn_barrel_ops_move(rival, link);
        pn_barrel_link_end(
            rival, PN_REASON_DUPLICATE, "the node dialled us meanwhile");
    }
}

static pn_dist_rival on_dist_name(void *user, pn_slice name)
{
    pn_barrel_link *link = user;
    pn_barrel_link *dial = pn_barrel_find_dial(link->barrel, link->name, link);

    (void)name; /* the authenticated one, but of a peer that proved none */
    if (pn_barrel_find(link->barrel, link->name, link, PN_BARREL_STAGES_UP)
        != NULL) {
        return PN_DIST_RIVAL_LINK;
    }
    if (dial == NULL) {
        return PN_DIST_RIVAL_NONE;
    }
    if ((dial->is_yielding || dial->control_written == 0)
        && !link->is_cookie_only) {
        on_rival_lost(link); /* nobody has heard of ours yet */
        return PN_DIST_RIVAL_NONE;
    }
    return PN_DIST_RIVAL_DIAL;
}

static void on_rival_gone(void *user)
{
    pn_barrel_link *link = user;
    pn_barrel_link *old = pn_barrel_find(
        link->barrel, link->name, link, PN_BARREL_STAGES_UP);

    if (old != NULL) {
        pn_barrel_link_end(
            old, PN_REASON_SUPERSEDED, "%s has connected again", link->name);
    }
}

static bool on_alive(void *user)
{
    pn_barrel_link *link = user;

    return pn_barrel_find(link->barrel, link->name, link, PN_BARREL_STAGES_UP)
           == NULL;
}

/* Who has proven the key we dialled has credit before our name; others have it
 * when distribution is up. */
static bool has_credit_early(const pn_barrel_link *link)
{
    return link->base.is_dialled && !link->is_cookie_only;
}

static void give_credit(pn_barrel_link *link)
{
    pn_quic_grant(link->quic, pn_barrel_credit(&link->barrel->opt));
}

static void on_dist_up(void *user)
{
    pn_barrel_link *link = user;
    pn_link *base = &link->base;
    pn_node *node = base->node;

    on_rival_gone(link); /* two accepted ones: the newest is alive */
    base->stage = PN_LINK_UP;
    base->up_us = pn_node_now(node);
    link->has_been_up = true;
    link->deadline_us = PN_TIME_NEVER;
    if (!has_credit_early(link)) {
        give_credit(link);
    }
    link->barrel->metrics.links_up++;
    pn_node_event(node, PN_EVENT_PEER_UP, &base->key, base->label,
        &base->remote, NULL, 0, PN_REASON_NONE);
    pn_barrel_ops_start(link);
    (void)pthread_cond_broadcast(&node->state_changed);
    pn_link_touch(base);
}

static void on_dist_signal(void *user, const pn_dist_signal *signal)
{
    pn_barrel_link *link = user;

    if (link->base.stage == PN_LINK_UP) {
        link->barrel->metrics.signals_in++;
        pn_barrel_serve(link, signal);
    }
}

static const pn_dist_callbacks dist_callbacks = {
    .on_name = on_dist_name,
    .on_rival_lost = on_rival_lost,
    .on_rival_gone = on_rival_gone,
    .on_alive = on_alive,
    .on_up = on_dist_up,
    .on_signal = on_dist_signal,
};

/* ---- from authentication to distribution (loop) ------------------------ */

/* The pin was looked up when the name was said; it may have been taken back
 * since. With pins_lock held, so that whoever takes it back finds this link. */
static bool is_still_pinned(const pn_barrel_link *link)
{
    pn_slice name = {(const uint8_t *)link->name, strlen(link->name)};

    return link->is_cookie_only
           || pn_pins_look_up(link->barrel->pins, name, &link->base.key)
                  == PN_AUTH_PIN_EQUAL;
}

static void auth_done(pn_barrel_link *link)
{
    pn_err err;

    if (!take_identity(link)) {
        pn_link_end(&link->base, PN_REASON_OUT_OF_MEMORY);
        return;
    }
    if (PN_CHECK(barrel_pin_at_end, !is_still_pinned(link))) {
        pn_barrel_link_end(link, PN_REASON_UNTRUSTED_PEER,
            "%s is not pinned any more", link->name);
        return;
    }
    count_auth(link, true);
    pn_barrel_leave_gate(link);
    err = dist_start(link);
    link->name_at_us = pn_node_now(link->base.node) + HANDOVER_US;
    if (err == PN_OK && link->base.is_dialled) {
        err = open_stream(link, false, STREAM_CONTROL, &link->control);
    }
    if (has_credit_early(link)) {
        give_credit(link);
    }
    if (err != PN_OK) {
        pn_barrel_link_end(link, PN_REASON_SYSTEM,
            "distribution with %s cannot begin: %s", link->name,
            pn_strerror(err));
        return;
    }
    pn_barrel_control_flush(link);
}

/* What the engine has to say goes out; with its outcome our stream ends. */
static pn_err auth_write(pn_barrel_link *link)
{
    pn_slice out = pn_auth_output(link->auth);
    bool is_last = pn_auth_outcome_of(link->auth) != PN_AUTH_RUNNING;
    int64_t expected = link->base.is_dialled ? STREAM_AUTH_INITIATOR
                                             : STREAM_AUTH_RESPONDER;
    pn_err err = PN_OK;

    if (link->is_finished || (out.len == 0 && !is_last)) {
        return PN_OK;
    }
    if (link->auth_out < 0 && out.len > 0) {
        err = open_stream(link, true, expected, &link->auth_out);
    }
    if (err == PN_OK && link->auth_out >= 0) {
        err = pn_quic_write(
            link->quic, link->auth_out, out.data, out.len, is_last);
    }
    if (err == PN_OK) {
        pn_auth_written(link->auth, out.len);
        link->is_finished = is_last;
    }
    return err;
}

/* After whatever moved the engine. Lock held. */
void pn_barrel_auth_check(pn_barrel_link *link)
{
    pn_auth_outcome outcome;
    pn_err err;

    if (link->auth == NULL || link->base.stage != PN_LINK_HANDSHAKE) {
        return;
    }
    err = auth_write(link);
    outcome = pn_auth_outcome_of(link->auth);
    if (err != PN_OK && outcome != PN_AUTH_FAILED) {
        pn_barrel_link_end(link, PN_REASON_BAD_HANDSHAKE,
            "%s allows no stream for the authentication",
            pn_barrel_name_to_show(link));
    } else if (outcome == PN_AUTH_FAILED) {
        auth_failed(link);
    } else if (outcome != PN_AUTH_RUNNING && link->dist == NULL) {
        auth_done(link);
    }
    pn_link_touch(&link->base);
}

static pn_err auth_start(pn_barrel_link *link)
{
    pn_barrel *barrel = link->barrel;
    bool is_bound = pn_quic_binding(link->quic, link->binding) == PN_OK;
    const char *why = NULL;
    pn_auth_config config = {
        .initiator = link->base.is_dialled,
        .name = barrel->name,
        .dialled_name = link->name,
        .identity = pn_barrel_keys_pair(barrel->keys),
        .binding = is_bound ? link->binding : NULL,
        .mode = barrel->opt.trust == PN_BARREL_TOFU ? PN_AUTH_TOFU
                                                    : PN_AUTH_STRICT,
        .cookie_only = (const char *const *)barrel->cookie_only,
        .n_cookie_only = barrel->opt.n_cookie_only,
        .timeout_us = (uint64_t)barrel->opt.auth_timeout_ms * PN_US_PER_MS,
        .window_ms = barrel->opt.auth_window_ms,
        .env = &barrel->auth_env,
        .pins = &auth_pins,
        .pins_user = barrel,
    };

    link->base.stage = PN_LINK_HANDSHAKE;
    link->auth_began_us = pn_node_now(barrel->node);
    return pn_auth_new(&config, link->auth_began_us, &link->auth, &why);
}

void pn_barrel_auth_begin(pn_barrel_link *link)
{
    pn_quic_addresses(link->quic, &link->base.local, &link->base.remote);
    if (auth_start(link) != PN_OK) {
        pn_link_end(&link->base, PN_REASON_OUT_OF_MEMORY);
        return;
    }
    pn_barrel_auth_check(link);
}

/* ---- what arrives (loop, no lock) -------------------------------------- */

void pn_barrel_auth_input(pn_barrel_link *link, int64_t stream,
    const uint8_t *data, size_t len, bool is_last)
{
    pn_node *node = link->base.node;
    int64_t expected = link->base.is_dialled ? STREAM_AUTH_RESPONDER
                                             : STREAM_AUTH_INITIATOR;

    if (PN_CHECK(barrel_auth_stream, stream != expected)) {
        pn_node_lock(node);
        pn_barrel_link_end(link, PN_REASON_BAD_HANDSHAKE,
            "unexpected stream: %s began before it was authenticated",
            pn_barrel_name_to_show(link));
        pn_node_unlock(node);
        return;
    }
    link->auth_in = stream;
    /* A new pin is written in here: not under the lock. */
    pn_auth_input(link->auth, pn_node_now(node),
        (uint64_t)pn_wall_now_us() / 1000, data, len, is_last);
    (void)pthread_mutex_lock(&link->barrel->pins_lock);
    pn_node_lock(node);
    pn_barrel_auth_check(link);
    if (link->quic != NULL) {
        pn_quic_consumed(link->quic, stream, len);
    }
    pn_node_unlock(node);
    (void)pthread_mutex_unlock(&link->barrel->pins_lock);
}

/* Behind the last message of the authentication there is nothing but the
 * end of the stream. */
void pn_barrel_auth_rest(pn_barrel_link *link, size_t len)
{
    if (PN_CHECK(barrel_auth_rest, len > 0)) {
        pn_barrel_link_end(link, PN_REASON_BAD_HANDSHAKE,
            "%s sent more than an authentication",
            pn_barrel_name_to_show(link));
    }
}

static void owe(pn_barrel_link *link, int64_t stream, size_t len)
{
    size_t i = 0;

    while (i < link->n_owed && link->owed[i].stream != stream) {
        i++;
    }
    if (i == link->n_owed && i < PN_DIST_N_STREAMS) {
        link->n_owed++;
        link->owed[i].stream = stream;
        link->owed[i].bytes = 0;
    }
    if (i < PN_DIST_N_STREAMS) {
        link->owed[i].bytes += len;
    } else {
        pn_quic_consumed(link->quic, stream, len);
    }
}

void pn_barrel_dist_input(
    pn_barrel_link *link, int64_t stream, const uint8_t *data, size_t len)
{
    uint64_t now = pn_node_now(link->base.node);

    if (stream == STREAM_CONTROL) {
        pn_dist_control_input(link->dist, now, data, len);
        pn_quic_consumed(link->quic, stream, len);
        pn_barrel_control_flush(link);
    } else {
        pn_dist_data_input(link->dist, now, stream, data, len);
        owe(link, stream, len);
    }
    pn_barrel_dist_check(link);
}

void pn_barrel_leave_gate(pn_barrel_link *link)
{
    if (link->is_stranger) {
        link->is_stranger = false;
        pn_gate_leave(
            &link->barrel->gate, pn_address_source(&link->base.remote));
    }
}

void pn_barrel_auth_ended(pn_barrel_link *link, pn_reason reason)
{
    pn_barrel_leave_gate(link);
    if (link->auth == NULL || link->has_been_up
        || reason == PN_REASON_LOCAL_CLOSE || reason == PN_REASON_DUPLICATE) {
        return;
    }
    if (!link->is_counted) {
        count_auth(link, false);
    }
    log_failure(link, link->why.text);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a QUIC connection to a link that is up: authentication on streams 2 and
 * 3, then the distribution handshake on stream 0. Two engines do them; this
 * file gives them input and carries out their requests. It also handles input
 * of the data streams.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "barrel_internal.h"
#include "base/mutant.h"
#include "os/clock.h"
#include "sentences.h"

/* Stream numbers (docs/BARREL-PROTOCOL.md, section 2.5): the first
 * unidirectional one of either side, and the first bidirectional one of the
 * initiator. */
enum { STREAM_CONTROL = 0, STREAM_AUTH_INITIATOR = 2, STREAM_AUTH_RESPONDER };

/* Erlang's default of net_setuptime: for each step of the distribution
 * handshake, and for the peer's own dial to show up. */
#define HANDSHAKE_US (7 * PN_US_PER_S)
#define YIELD_US HANDSHAKE_US
/* The same when it has closed without a reason, which may mean anything. */
#define YIELD_CLOSED_US PN_US_PER_S
/* Between the end of the authentication and our name. Upstream's responder
 * hands the connection from one process to another there, and what comes in
 * that moment is lost for good. */
#define HANDOVER_US (25 * PN_US_PER_MS)

static const pn_dist_callbacks dist_callbacks;

/* ---- authentication (loop) ----------------------------------------------- */

static pn_auth_pin look_up_pin(
    void *user, pn_slice name, const pn_ed25519_key *key)
{
    pn_barrel *barrel = user;
    pn_auth_pin pin;

    (void)pthread_mutex_lock(&barrel->pins_lock);
    pin = pn_pins_look_up(barrel->pins, name, key);
    (void)pthread_mutex_unlock(&barrel->pins_lock);
    return pin;
}

static pn_err add_pin(void *user, pn_slice name, const pn_ed25519_key *key)
{
    pn_barrel *barrel = user;
    pn_principal who = pn_barrel_principal(key);
    pn_why why = {0};
    char said[256]; /* an atom of a node's name is no longer */
    pn_err err;

    (void)pthread_mutex_lock(&barrel->pins_lock);
    err = pn_pins_add(barrel->pins, name, key, pn_node_now(barrel->node), &why);
    pn_node_lock(barrel->node);
    if (err == PN_OK) {
        barrel->metrics.new_pins++;
        pn_node_log(barrel->node, &(pn_log_line){.level = PN_LOG_WARNING,
                                      .what = PN_LOG_NODE_PINNED,
                                      .who = &who,
                                      .text = name});
    } else {
        (void)snprintf(
            said, sizeof(said), "%.*s", (int)name.len, (const char *)name.data);
        pn_node_log(barrel->node, &(pn_log_line){.level = PN_LOG_WARNING,
                                      .what = PN_LOG_NODE_NOT_PINNED,
                                      .who = &who,
                                      .label = said,
                                      .text = pn_slice_of(why.text)});
    }
    pn_node_unlock(barrel->node);
    (void)pthread_mutex_unlock(&barrel->pins_lock);
    return err;
}

static const pn_auth_pins auth_pins = {.look_up = look_up_pin, .add = add_pin};

/* Lines a minute for one source that fails in one way: it cannot talk over
 * another, nor over a second way of its own. */
enum { LINES_OF_FAILURE = 4 };

static pn_quiet_cause cause_of_failure(const pn_barrel_link *link)
{
    const bool is_dist = link->dist != NULL;
    pn_quiet_cause cause = {
        .kind = link->base.is_dialled ? PN_QUIET_DIAL_FAILED : PN_QUIET_LOG,
        .id = pn_node_source_id(&link->base.remote),
        .n_lines = LINES_OF_FAILURE,
    };
    uint8_t *way = cause.id.bytes + sizeof(cause.id.bytes) - 2;

    way[0] = is_dist;
    way[1] = (uint8_t)(is_dist ? (int)pn_dist_reason_of(link->dist)
                               : (int)pn_auth_reason_of(link->auth));
    return cause;
}

/* Reports to the owner of this node which peer was refused (T27). */
static void log_failure(const pn_barrel_link *link, const char *detail)
{
    char where[PN_ADDRESS_TEXT_LEN];
    char text[512];
    const pn_quiet_cause cause = cause_of_failure(link);
    pn_log_what what = link->dist != NULL      ? PN_LOG_DISTRIBUTION_REFUSED
                       : link->base.is_dialled ? PN_LOG_AUTH_OUT_FAILED
                                               : PN_LOG_AUTH_IN_FAILED;

    pn_address_text(&link->base.remote, where);
    (void)snprintf(text, sizeof(text), "%s %s: %s", where,
        link->name == NULL ? "" : link->name, detail);
    pn_node_log(link->base.node,
        &(pn_log_line){.level = PN_LOG_WARNING,
            .what = what,
            .text = pn_slice_of(text),
            .cause = PN_SAFEGUARD(barrel_log_rate) ? &cause : NULL});
}

/* 0: PN_REASON_BAD_HANDSHAKE. */
static const pn_reason auth_reasons[PN_AUTH_N_REASONS] = {
    [PN_AUTH_REASON_KEY_MISMATCH] = PN_REASON_KEY_MISMATCH,
    [PN_AUTH_REASON_NAME_MISMATCH] = PN_REASON_KEY_MISMATCH,
    [PN_AUTH_REASON_UNTRUSTED_KEY] = PN_REASON_UNTRUSTED_PEER,
    [PN_AUTH_REASON_PIN_NOT_STORED] = PN_REASON_UNTRUSTED_PEER,
    [PN_AUTH_REASON_PEER_TS_SKEW] = PN_REASON_CLOCK_DIFFERS,
    [PN_AUTH_REASON_REJECTED] = PN_REASON_NOT_PAIRED_THERE,
    [PN_AUTH_REASON_OWN_KEY] = PN_REASON_OWN_KEY,
    [PN_AUTH_REASON_OWN_NAME] = PN_REASON_OWN_KEY,
    [PN_AUTH_REASON_OWN_NONCE] = PN_REASON_OWN_KEY,
    [PN_AUTH_REASON_TIMEOUT] = PN_REASON_HANDSHAKE_TIMEOUT,
    [PN_AUTH_REASON_SYSTEM] = PN_REASON_SYSTEM,
};

static pn_reason reason_of_auth(pn_auth_reason why)
{
    return auth_reasons[why] != PN_REASON_NONE ? auth_reasons[why]
                                               : PN_REASON_BAD_HANDSHAKE;
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

static void auth_failed(pn_barrel_link *link)
{
    pn_slice claimed = pn_auth_peer_name(link->auth);
    pn_auth_reason why = pn_auth_reason_of(link->auth);
    char more[512];
    const char *detail = more;

    if (why == PN_AUTH_REASON_REJECTED) {
        pn_barrel_refusal(
            pn_auth_rejected_with(link->auth), more, sizeof(more));
    } else if (why == PN_AUTH_REASON_BAD_MESSAGE) {
        pn_barrel_bad_message(
            pn_auth_decoded_of(link->auth), more, sizeof(more));
    } else {
        detail = pn_barrel_auth_sentence(why);
    }
    if (link->name == NULL && claimed.len > 0) {
        link->name = strndup((const char *)claimed.data, claimed.len);
    }
    pn_barrel_link_end(link, reason_of_auth(why),
        "authentication with %s failed: %s", pn_barrel_name_to_show(link),
        detail);
}

/* Name and key are proven, or the name alone lets the peer in: then the
 * principal's key is all zeros, and no grant matches it. */
static bool take_identity(pn_barrel_link *link)
{
    const pn_ed25519_key *key = pn_auth_peer_key(link->auth);
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
    if (key != NULL) {
        base->principal.key.ed25519 = *key;
    }
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
        .flags = PN_DIST_FLAGS
                 | (barrel->opt.visible ? PN_DIST_FLAG_PUBLISHED : 0),
        .handshake_us = HANDSHAKE_US,
        .creation = barrel->creation,
        .max_message = barrel->opt.max_message_bytes,
        .max_drain = barrel->opt.max_drained_bytes,
        .drain_us = (uint64_t)barrel->opt.drain_timeout_ms * PN_US_PER_MS,
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

    assert_on_loop(link->base.node);
    assert_locked(link->base.node);
    if (out.len == 0 || link->quic == NULL
        || (pn_barrel_name_waits(link)
            && pn_node_now(link->base.node) < link->name_at_us)) {
        return;
    }
    if (pn_quic_write(link->quic, link->control, out.data, out.len, false)
        != PN_OK) {
        pn_barrel_link_end(link, PN_REASON_SYSTEM,
            "%s takes nothing on its first stream; look whether it hangs",
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

/* A link lost to another of the same node: its calls move to that one. False:
 * there is none yet. */
static bool hand_over(pn_barrel_link *link)
{
    pn_barrel_link *other = other_link(link);

    if (other != NULL) {
        pn_barrel_ops_move(link, other);
    }
    return other != NULL;
}

/* The peer dials us, most likely, and its link is not known yet: it may still
 * be a stranger, or only be looking us up. Calls stay with this link until that
 * one takes them over (on_rival_lost) or does not come. */
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
    assert_on_loop(link->base.node);
    assert_locked(link->base.node);
    if (link->is_yielding || pn_dist_state_of(link->dist) != PN_DIST_HANDSHAKE
        || pn_dist_awaits_ack(link->dist)) {
        return false;
    }
    if (hand_over(link)) {
        pn_barrel_link_end(link, PN_REASON_DUPLICATE,
            "another link to %s came first; try again",
            pn_barrel_name_to_show(link));
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
        is_duplicate(why)                           ? PN_REASON_DUPLICATE
        : link->has_been_up                         ? PN_REASON_BAD_FRAME
        : is_cookie || why == PN_DIST_REASON_COOKIE ? PN_REASON_COOKIE_DIFFERS
                                                    : PN_REASON_BAD_HANDSHAKE,
        "distribution with %s: %s", pn_barrel_name_to_show(link),
        is_cookie
            ? "it does not answer our proof of the cookie, which differs, "
              "most likely; give both nodes the same"
            : pn_barrel_dist_sentence(why));
}

void pn_barrel_dist_check(pn_barrel_link *link)
{
    pn_dist_reason why;

    assert_on_loop(link->base.node);
    assert_locked(link->base.node);
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
        pn_barrel_link_end(rival, PN_REASON_DUPLICATE,
            "the node dialled us meanwhile; try again");
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
        on_rival_lost(link); /* the peer has not seen our dial yet */
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
        pn_barrel_link_end(old, PN_REASON_SUPERSEDED,
            "%s has connected again; try again", link->name);
    }
}

static bool on_alive(void *user)
{
    pn_barrel_link *link = user;

    return pn_barrel_find(link->barrel, link->name, link, PN_BARREL_STAGES_UP)
           == NULL;
}

/* A peer that has proven the key we dialled has credit before our name; others
 * have it when distribution is up. */
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
    pn_barrel_redial_up(link);
    pn_node_event(node, PN_EVENT_PEER_UP, &base->principal, base->label,
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

static void on_dist_drained(
    void *user, const uint8_t *head, size_t head_len, size_t len)
{
    pn_barrel_link *link = user;

    if (link->base.stage == PN_LINK_UP) {
        pn_barrel_serve_drained(link, head, head_len, len);
    }
}

static const pn_dist_callbacks dist_callbacks = {
    .on_name = on_dist_name,
    .on_rival_lost = on_rival_lost,
    .on_rival_gone = on_rival_gone,
    .on_alive = on_alive,
    .on_up = on_dist_up,
    .on_signal = on_dist_signal,
    .on_drained = on_dist_drained,
};

/* ---- from authentication to distribution (loop) ------------------------ */

/* The pin was looked up when the name was said; it may have been taken back
 * since. pins_lock is held, so that taking a pin back finds this link. */
static bool is_still_pinned(const pn_barrel_link *link)
{
    pn_slice name = {(const uint8_t *)link->name, strlen(link->name)};

    return link->is_cookie_only
           || pn_pins_look_up(
                  link->barrel->pins, name, &link->base.principal.key.ed25519)
                  == PN_AUTH_PIN_EQUAL;
}

static void auth_done(pn_barrel_link *link)
{
    pn_err err;

    assert_on_loop(link->base.node);
    assert_locked(link->base.node);
    if (!take_identity(link)) {
        pn_link_end(&link->base, PN_REASON_OUT_OF_MEMORY);
        return;
    }
    if (PN_REFUSE_IF(barrel_pin_at_end, !is_still_pinned(link))) {
        pn_barrel_link_end(link, PN_REASON_UNTRUSTED_PEER,
            "%s is not pinned any more; pin its key again", link->name);
        return;
    }
    count_auth(link, true);
    pn_link_leave_gate(&link->base);
    pn_barrel_link_count(link);
    if (!PN_REFUSE_IF(barrel_known_cookie_only, link->is_cookie_only)) {
        pn_barrel_known_add(link->barrel->known, link->name, &link->base.remote,
            pn_node_now(link->base.node));
    }
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
            "distribution with %s cannot begin: %s; try again", link->name,
            pn_strerror(err));
        return;
    }
    pn_barrel_control_flush(link);
}

/* Sends the engine's output; with its outcome our stream ends. */
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

    assert_on_loop(link->base.node);
    assert_locked(link->base.node);
    if (link->auth == NULL || link->base.stage != PN_LINK_HANDSHAKE) {
        return;
    }
    err = auth_write(link);
    outcome = pn_auth_outcome_of(link->auth);
    if (err != PN_OK && outcome != PN_AUTH_FAILED) {
        pn_barrel_link_end(link, PN_REASON_BAD_HANDSHAKE,
            "%s allows no stream for the authentication; check its version",
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
        .env = &barrel->node->env,
        .pins = &auth_pins,
        .pins_user = barrel,
    };

    link->base.stage = PN_LINK_HANDSHAKE;
    link->auth_began_us = pn_node_now(barrel->node);
    return pn_auth_new(&config, link->auth_began_us, &link->auth);
}

void pn_barrel_auth_begin(pn_barrel_link *link)
{
    assert_on_loop(link->base.node);
    assert_locked(link->base.node);
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

    assert_on_loop(node);
    assert_unlocked(node);
    if (PN_REFUSE_IF(barrel_auth_stream, stream != expected)) {
        pn_node_lock(node);
        pn_barrel_link_end(link, PN_REASON_BAD_HANDSHAKE,
            "%s opened a stream before it was authenticated; check its version",
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
    if (PN_REFUSE_IF(barrel_auth_rest, len > 0)) {
        pn_barrel_link_end(link, PN_REASON_BAD_HANDSHAKE,
            "%s sent more than an authentication; check its version",
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

    assert_on_loop(link->base.node);
    assert_locked(link->base.node);
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

void pn_barrel_auth_ended(pn_barrel_link *link, pn_reason reason)
{
    assert_locked(link->base.node);
    if (link->auth == NULL || link->has_been_up
        || reason == PN_REASON_LOCAL_CLOSE || reason == PN_REASON_DUPLICATE) {
        return;
    }
    if (!link->is_counted) {
        count_auth(link, false);
    }
    if (pn_barrel_redial_is_news(link, reason)) {
        log_failure(link, link->why.text);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Both state machines; docs/BARREL-PROTOCOL.md, sections 6 and 7. */
#include "auth/auth.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/mutant.h"
#include "base/slice.h"

typedef enum auth_state {
    WAIT_HELLO,
    WAIT_CHALLENGE,
    WAIT_RESPONSE,
    WAIT_OK, /* initiator */
    OVER
} auth_state;

enum {
    /* All that one side ever sends: HELLO, CHALLENGE, RESPONSE, OK or FAIL. */
    OUT_MAX = 4 * PN_AUTH_HEADER_LEN + (36 + PN_NODE_NAME_MAX) + 41 + 65 + 32,
    IN_MAX = PN_AUTH_HEADER_LEN + PN_AUTH_MESSAGE_MAX
};

struct pn_auth {
    pn_auth_config config;
    auth_state state;
    pn_auth_outcome outcome;
    pn_auth_reason reason;
    pn_auth_decoded decoded;
    uint64_t deadline_us;
    uint64_t challenged_us; /* when our challenge was made */
    pn_auth_challenge ours;
    pn_auth_challenge theirs;
    pn_auth_pin pin;
    pn_ed25519_key peer_key;
    uint8_t peer_name[PN_NODE_NAME_MAX];
    size_t peer_name_len;
    uint8_t rejected_with[PN_AUTH_MESSAGE_MAX];
    size_t rejected_len;
    uint8_t in[IN_MAX];
    size_t in_len;
    bool has_more; /* bytes behind the message that is being read */
    uint8_t out[OUT_MAX];
    size_t out_len;
    size_t out_written;
};

const char *pn_auth_reason_text(pn_auth_reason reason)
{
#define TEXT(name, text) [PN_AUTH_REASON_##name] = (text),
    static const char *const texts[] = {PN_AUTH_REASONS(TEXT)};
#undef TEXT

    return texts[reason];
}

/* ---- the end ------------------------------------------------------------ */

static void over(pn_auth *a, pn_auth_outcome outcome)
{
    assert(outcome != PN_AUTH_RUNNING);
    a->state = OVER;
    a->outcome = outcome;
    a->deadline_us = PN_TIME_NEVER;
}

static void fail(pn_auth *a, pn_auth_reason reason)
{
    if (a->outcome == PN_AUTH_FAILED) {
        return;
    }
    a->reason = reason;
    over(a, PN_AUTH_FAILED);
}

/* The three reasons that a responder tells. */
static void fail_aloud(pn_auth *a, pn_auth_reason reason)
{
    if (!a->config.initiator) {
        a->out_len += pn_auth_encode_fail(
            a->out + a->out_len, pn_slice_of(pn_auth_reason_text(reason)));
    }
    fail(a, reason);
}

/* ---- messages of ours --------------------------------------------------- */

static void say_hello(pn_auth *a)
{
    a->out_len += pn_auth_encode_hello(a->out + a->out_len,
        pn_slice_of(a->config.name), &a->config.identity->public_key);
}

static bool say_challenge(pn_auth *a, uint64_t now_us, uint64_t wall_ms)
{
    const pn_env *env = a->config.env;

    if (env->random(env->user, a->ours.nonce, sizeof(a->ours.nonce)) != PN_OK) {
        fail(a, PN_AUTH_REASON_SYSTEM);
        return false;
    }
    a->ours.wall_ms = wall_ms;
    a->challenged_us = now_us;
    a->out_len += pn_auth_encode_challenge(a->out + a->out_len, &a->ours);
    return true;
}

static bool say_response(pn_auth *a)
{
    const pn_ed25519_pair *identity = a->config.identity;
    uint8_t bytes[PN_AUTH_SIGNED_LEN];
    uint8_t signature[PN_SIGNATURE_LEN];

    pn_auth_signed_bytes(
        bytes, &a->theirs, &identity->public_key, a->config.binding);
    if (pn_ed25519_sign(&identity->secret, bytes, sizeof(bytes), signature)
        != PN_OK) {
        fail(a, PN_AUTH_REASON_SYSTEM);
        return false;
    }
    a->out_len += pn_auth_encode_response(a->out + a->out_len, signature);
    return true;
}

/* ---- messages of the peer ----------------------------------------------- */

static bool is_cookie_only(const pn_auth *a, pn_slice name)
{
    return pn_cookie_only_matches(
        a->config.cookie_only, a->config.n_cookie_only, name.data, name.len);
}

/* True for a HELLO that no honest peer sends (D1, D2). */
static pn_auth_reason hello_is_strange(
    const pn_auth *a, const pn_auth_message *m)
{
    if (PN_REFUSE_IF(auth_own_key,
            pn_ed25519_key_equal(&m->key, &a->config.identity->public_key))) {
        return PN_AUTH_REASON_OWN_KEY;
    }
    if (PN_REFUSE_IF(auth_own_name, pn_slice_is(m->name, a->config.name))) {
        return PN_AUTH_REASON_OWN_NAME;
    }
    if (PN_REFUSE_IF(auth_dialled_name,
            a->config.initiator
                && !pn_slice_is(m->name, a->config.dialled_name))) {
        return PN_AUTH_REASON_NAME_MISMATCH;
    }
    return PN_AUTH_REASON_NONE;
}

/* docs/BARREL-PROTOCOL.md, section 9.1: a pin that differs is refused in every
 * mode. */
static pn_auth_reason pin_verdict(pn_auth *a, const pn_auth_message *m)
{
    a->pin = a->config.pins->look_up(a->config.pins_user, m->name, &m->key);
    switch (a->pin) {
    case PN_AUTH_PIN_EQUAL:
        return PN_AUTH_REASON_NONE;
    case PN_AUTH_PIN_ABSENT:
        if (PN_REFUSE_IF(auth_strict, a->config.mode != PN_AUTH_TOFU)) {
            return PN_AUTH_REASON_UNTRUSTED_KEY;
        }
        return PN_AUTH_REASON_NONE;
    case PN_AUTH_PIN_DIFFERS:
        break;
    }
    return PN_SAFEGUARD(auth_pin_differs) ? PN_AUTH_REASON_KEY_MISMATCH
                                          : PN_AUTH_REASON_NONE;
}

/* A HELLO is the last message of such a peer: it hears of no success when more
 * is behind it. */
static void let_through(pn_auth *a)
{
    if (PN_REFUSE_IF(auth_cookie_only_trailing, a->has_more)) {
        fail(a, PN_AUTH_REASON_TRAILING_BYTES);
        return;
    }
    a->out_len += pn_auth_encode_ok(a->out + a->out_len);
    over(a, PN_AUTH_DONE_COOKIE_ONLY);
}

static void on_hello(
    pn_auth *a, uint64_t now_us, uint64_t wall_ms, const pn_auth_message *m)
{
    pn_auth_reason reason = hello_is_strange(a, m);

    memcpy(a->peer_name, m->name.data, m->name.len);
    a->peer_name_len = m->name.len;
    a->peer_key = m->key;
    if (reason != PN_AUTH_REASON_NONE) {
        fail(a, reason);
        return;
    }
    if (!a->config.initiator && is_cookie_only(a, m->name)
        && !PN_REFUSE_IF(auth_pin_first,
            a->config.pins->look_up(a->config.pins_user, m->name, &m->key)
                != PN_AUTH_PIN_ABSENT)) {
        let_through(a);
        return;
    }
    reason = pin_verdict(a, m);
    if (reason != PN_AUTH_REASON_NONE) {
        fail_aloud(a, reason);
        return;
    }
    if (!a->config.initiator) {
        say_hello(a);
    }
    if (say_challenge(a, now_us, wall_ms)) {
        a->state = WAIT_CHALLENGE;
    }
}

/* A responder may accept the name alone; an initiator goes on if its own
 * configuration does, too. */
static void on_early_ok(pn_auth *a)
{
    static const pn_ed25519_key none;
    pn_slice dialled;

    if (!a->config.initiator) {
        fail(a, PN_AUTH_REASON_UNEXPECTED_MESSAGE);
        return;
    }
    dialled = pn_slice_of(a->config.dialled_name);
    if (PN_REFUSE_IF(auth_early_ok, !is_cookie_only(a, dialled))
        || PN_REFUSE_IF(auth_early_ok_pinned,
            a->config.pins->look_up(a->config.pins_user, dialled, &none)
                != PN_AUTH_PIN_ABSENT)) {
        fail(a, PN_AUTH_REASON_UNEXPECTED_OK);
        return;
    }
    memcpy(a->peer_name, dialled.data, dialled.len);
    a->peer_name_len = dialled.len;
    over(a, PN_AUTH_DONE_COOKIE_ONLY);
}

static void on_challenge(pn_auth *a, uint64_t wall_ms, const pn_auth_message *m)
{
    uint64_t theirs = m->challenge.wall_ms;
    uint64_t skew = wall_ms > theirs ? wall_ms - theirs : theirs - wall_ms;

    if (PN_REFUSE_IF(auth_skew, skew > 2 * a->config.window_ms)) {
        fail(a, PN_AUTH_REASON_PEER_TS_SKEW);
        return;
    }
    if (PN_REFUSE_IF(auth_own_nonce,
            memcmp(m->challenge.nonce, a->ours.nonce, sizeof(a->ours.nonce))
                == 0)) {
        fail(a, PN_AUTH_REASON_OWN_NONCE);
        return;
    }
    a->theirs = m->challenge;
    /* A responder signs only after the initiator has proven its key; its own
     * RESPONSE follows the initiator's. */
    if (!PN_REFUSE_IF(auth_sign_last, !a->config.initiator)
        && !say_response(a)) {
        return;
    }
    a->state = WAIT_RESPONSE;
}

static bool response_is_good(
    const pn_auth *a, uint64_t now_us, const pn_auth_message *m)
{
    uint8_t bytes[PN_AUTH_SIGNED_LEN];

    if (PN_REFUSE_IF(auth_response_window,
            now_us - a->challenged_us > a->config.window_ms * PN_US_PER_MS)) {
        return false;
    }
    pn_auth_signed_bytes(bytes, &a->ours, &a->peer_key, a->config.binding);
    return pn_ed25519_verify(&a->peer_key, bytes, sizeof(bytes), m->signature)
           == PN_OK;
}

/* A new pin is stored before the peer or the owner learns of a success. */
static bool keep_pin(pn_auth *a)
{
    if (a->pin == PN_AUTH_PIN_EQUAL) {
        return true;
    }
    if (a->config.pins->add(
            a->config.pins_user, pn_auth_peer_name(a), &a->peer_key)
        != PN_OK) {
        fail(a, PN_AUTH_REASON_PIN_NOT_STORED);
        return false;
    }
    return true;
}

static void on_response(pn_auth *a, uint64_t now_us, const pn_auth_message *m)
{
    if (PN_REFUSE_IF(auth_signature, !response_is_good(a, now_us, m))) {
        fail_aloud(a, PN_AUTH_REASON_SIGNATURE_INVALID);
        return;
    }
    if (a->config.initiator) {
        a->state = WAIT_OK;
        return;
    }
    if (PN_REFUSE_IF(auth_pin_kept, !keep_pin(a))) {
        return;
    }
    if (say_response(a)) {
        a->out_len += pn_auth_encode_ok(a->out + a->out_len);
        over(a, PN_AUTH_DONE);
    }
}

static void on_ok(pn_auth *a)
{
    if (a->state == WAIT_HELLO) {
        on_early_ok(a);
    } else if (a->state != WAIT_OK) {
        fail(a, PN_AUTH_REASON_UNEXPECTED_MESSAGE);
    } else if (!PN_REFUSE_IF(auth_pin_kept, !keep_pin(a))) {
        over(a, PN_AUTH_DONE);
    }
}

/* The reason is the peer's: bytes, kept for the owner. */
static void on_fail(pn_auth *a, const pn_auth_message *m)
{
    memcpy(a->rejected_with, m->reason.data, m->reason.len);
    a->rejected_len = m->reason.len;
    fail(a, PN_AUTH_REASON_REJECTED);
}

static void on_message(
    pn_auth *a, uint64_t now_us, uint64_t wall_ms, const pn_auth_message *m)
{
    switch (m->type) {
    case PN_AUTH_HELLO:
        if (a->state == WAIT_HELLO) {
            on_hello(a, now_us, wall_ms, m);
            return;
        }
        break;
    case PN_AUTH_CHALLENGE:
        if (a->state == WAIT_CHALLENGE) {
            on_challenge(a, wall_ms, m);
            return;
        }
        break;
    case PN_AUTH_RESPONSE:
        if (a->state == WAIT_RESPONSE) {
            on_response(a, now_us, m);
            return;
        }
        break;
    case PN_AUTH_OK:
        on_ok(a);
        return;
    case PN_AUTH_FAIL:
        on_fail(a, m);
        return;
    }
    fail(a, PN_AUTH_REASON_UNEXPECTED_MESSAGE);
}

/* The message that ends an attempt has nothing behind it. */
static bool is_last_message(const pn_auth *a, pn_auth_type type)
{
    return (a->state == WAIT_RESPONSE && type == PN_AUTH_RESPONSE
               && !a->config.initiator)
           || type == PN_AUTH_OK;
}

/* One message of len bytes at the front of in. */
static void take_message(
    pn_auth *a, uint64_t now_us, uint64_t wall_ms, size_t len)
{
    pn_auth_message m;
    size_t whole = PN_AUTH_HEADER_LEN + len;

    assert(whole <= a->in_len);
    a->decoded = pn_auth_decode(a->in + PN_AUTH_HEADER_LEN, len, &m);
    if (a->decoded != PN_AUTH_DECODED) {
        fail(a, PN_AUTH_REASON_BAD_MESSAGE);
        return;
    }
    a->has_more = a->in_len > whole;
    if (PN_REFUSE_IF(
            auth_trailing, is_last_message(a, m.type) && a->has_more)) {
        fail(a, PN_AUTH_REASON_TRAILING_BYTES);
        return;
    }
    on_message(a, now_us, wall_ms, &m);
    a->in_len -= whole;
    memmove(a->in, a->in + whole, a->in_len);
}

/* Takes the messages that are complete. */
static void take_messages(pn_auth *a, uint64_t now_us, uint64_t wall_ms)
{
    while (a->state != OVER && a->in_len >= PN_AUTH_HEADER_LEN) {
        size_t len = pn_load_be16(a->in);

        if (PN_REFUSE_IF(auth_message_max, len > PN_AUTH_MESSAGE_MAX)) {
            fail(a, PN_AUTH_REASON_MESSAGE_TOO_LONG);
            return;
        }
        if (a->in_len < PN_AUTH_HEADER_LEN + len) {
            return;
        }
        take_message(a, now_us, wall_ms, len);
    }
}

void pn_auth_input(pn_auth *a, uint64_t now_us, uint64_t wall_ms,
    const uint8_t *data, size_t len, bool is_last)
{
    pn_auth_tick(a, now_us);
    while (a->state != OVER && len > 0) {
        size_t room = sizeof(a->in) - a->in_len;
        size_t n = len < room ? len : room;

        assert(room > 0); /* a full one has been taken, or has failed */
        memcpy(a->in + a->in_len, data, n);
        a->in_len += n;
        data += n;
        len -= n;
        take_messages(a, now_us, wall_ms);
    }
    /* More behind what was the last message. */
    if (PN_REFUSE_IF(auth_after_end, a->state == OVER
                                         && a->outcome != PN_AUTH_FAILED
                                         && (a->in_len > 0 || len > 0))) {
        fail(a, PN_AUTH_REASON_TRAILING_BYTES);
    }
    /* Upstream notices only at its deadline (D17). */
    if (PN_REFUSE_IF(auth_finished, is_last && a->state != OVER)) {
        fail(a, PN_AUTH_REASON_STREAM_FINISHED);
    }
}

void pn_auth_reset(pn_auth *a)
{
    if (a->state != OVER) {
        fail(a, PN_AUTH_REASON_STREAM_RESET);
    }
}

/* ---- time --------------------------------------------------------------- */

void pn_auth_tick(pn_auth *a, uint64_t now_us)
{
    if (PN_REFUSE_IF(auth_deadline, now_us >= a->deadline_us)) {
        fail(a, PN_AUTH_REASON_TIMEOUT);
    }
}

uint64_t pn_auth_deadline(const pn_auth *a)
{
    return a->deadline_us;
}

/* ---- life --------------------------------------------------------------- */

static bool config_is_valid(const pn_auth_config *c)
{
    bool can_dial =
        !c->initiator
        || (pn_node_name_is_valid(c->dialled_name, strlen(c->dialled_name))
            && strcmp(c->name, c->dialled_name) != 0);

    return pn_node_name_is_valid(c->name, strlen(c->name)) && can_dial
           && !PN_REFUSE_IF(
               auth_timeout_max, c->timeout_us > PN_AUTH_TIMEOUT_MAX_US)
           && !PN_REFUSE_IF(
               auth_window_max, c->window_ms > PN_AUTH_WINDOW_MAX_MS)
           && !PN_REFUSE_IF(
               auth_mode, c->mode != PN_AUTH_STRICT && c->mode != PN_AUTH_TOFU);
}

pn_err pn_auth_new(
    const pn_auth_config *config, uint64_t now_us, pn_auth **ret_auth)
{
    pn_auth *a;

    if (!config_is_valid(config)) {
        return PN_INVALID;
    }
    a = calloc(1, sizeof(*a));
    if (a == NULL) {
        return PN_NOMEM;
    }
    a->config = *config;
    a->deadline_us = now_us + a->config.timeout_us;
    if (PN_REFUSE_IF(auth_binding, config->binding == NULL)) {
        fail(a, PN_AUTH_REASON_CHANNEL_BINDING_FAILED);
    } else if (config->initiator) {
        say_hello(a);
    }
    *ret_auth = a;
    return PN_OK;
}

void pn_auth_free(pn_auth *a)
{
    if (a != NULL) {
        pn_wipe(a, sizeof(*a));
        free(a);
    }
}

/* ---- what it is --------------------------------------------------------- */

pn_slice pn_auth_output(const pn_auth *a)
{
    assert(a->out_written <= a->out_len && a->out_len <= sizeof(a->out));
    return (pn_slice){a->out + a->out_written, a->out_len - a->out_written};
}

void pn_auth_written(pn_auth *a, size_t n)
{
    size_t left = a->out_len - a->out_written;

    a->out_written += n < left ? n : left;
}

pn_auth_outcome pn_auth_outcome_of(const pn_auth *a)
{
    return a->outcome;
}

pn_auth_reason pn_auth_reason_of(const pn_auth *a)
{
    return a->reason;
}

pn_auth_decoded pn_auth_decoded_of(const pn_auth *a)
{
    return a->decoded;
}

pn_slice pn_auth_rejected_with(const pn_auth *a)
{
    return (pn_slice){a->rejected_with, a->rejected_len};
}

pn_slice pn_auth_peer_name(const pn_auth *a)
{
    return (pn_slice){a->peer_name, a->peer_name_len};
}

const pn_ed25519_key *pn_auth_peer_key(const pn_auth *a)
{
    return a->outcome == PN_AUTH_DONE ? &a->peer_key : NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handshake of distribution protocol 6, both roles;
 * docs/BARREL-PROTOCOL.md, section 14.
 *
 *   I -> R  'N' flags creation name
 *   R -> I  's' status
 *   I -> R  's' true | false                after the status alive only
 *   R -> I  'N' flags challenge creation name
 *   I -> R  'r' challenge digest
 *   R -> I  'a' digest
 *
 * There is no framing, so a message ends where its content says so, byte by
 * byte; a status, which has no length, where the challenge begins. A tick, four
 * zeros, may stand between two messages. Everything but the challenge answers
 * something of ours: what comes while we still have something to say does not.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/mutant.h"
#include "base/slice.h"
#include "dist_internal.h"
#include "keys/md5.h"
#include "keys/node_name.h"

enum {
    NAME_HEAD = 1 + 8 + 4 + 2,
    CHALLENGE_HEAD = 1 + 8 + 4 + 4 + 2,
    REPLY_LEN = 1 + 4 + PN_MD5_LEN,
    ACK_LEN = 1 + PN_MD5_LEN,
    TICK_LEN = 4
};

#define BIT(n) (UINT64_C(1) << (n))
/* Mandatory since OTP 25, which bit 26 says in short; and since OTP 26. */
#define FLAGS_25                                                               \
    (BIT(2) | BIT(4) | BIT(7) | BIT(8) | BIT(9) | BIT(10) | BIT(11) | BIT(16)  \
        | BIT(17) | BIT(18) | BIT(24))
#define FLAG_25_DIGEST BIT(26)
#define FLAGS_26 (BIT(25) | BIT(34))

bool pn_dist_flags_are_enough(uint64_t flags)
{
    bool has_25 = (flags & FLAG_25_DIGEST) != 0
                  || (flags & FLAGS_25) == FLAGS_25;

    return !PN_REFUSE_IF(dist_flags_25, !has_25)
           && !PN_REFUSE_IF(dist_flags_26, (flags & FLAGS_26) != FLAGS_26);
}

static uint64_t expand(uint64_t flags)
{
    return (flags & FLAG_25_DIGEST) != 0 ? flags | FLAGS_25 : flags;
}

/* ---- messages of ours --------------------------------------------------- */

static size_t put_name(const pn_dist *d, uint8_t *out)
{
    size_t len = strlen(d->config.name);

    pn_store_be16(out, (uint16_t)len);
    memcpy(out + 2, d->config.name, len);
    return 2 + len;
}

static void say_name(pn_dist *d)
{
    pn_dist_said *said = pn_dist_say(d);

    said->data[0] = 'N';
    pn_store_be64(said->data + 1, d->config.flags);
    pn_store_be32(said->data + 9, d->config.creation);
    said->len = 13 + put_name(d, said->data + 13);
}

/* False after failing. */
static bool draw_challenge(pn_dist *d)
{
    const pn_env *env = d->config.env;
    uint8_t bytes[4];

    if (env->random(env->user, bytes, sizeof(bytes)) != PN_OK) {
        pn_dist_fail(d, PN_DIST_REASON_SYSTEM);
        return false;
    }
    d->challenge = pn_load_be32(bytes);
    return true;
}

static void say_challenge(pn_dist *d)
{
    pn_dist_said *said;

    if (!draw_challenge(d)) {
        return;
    }
    said = pn_dist_say(d);
    said->data[0] = 'N';
    pn_store_be64(said->data + 1, d->config.flags);
    pn_store_be32(said->data + 9, d->challenge);
    pn_store_be32(said->data + 13, d->config.creation);
    said->len = 17 + put_name(d, said->data + 17);
    d->step = WAIT_REPLY;
}

/* MD5 of the cookie and the challenge in decimal. False after failing. */
static bool digest(
    pn_dist *d, uint32_t challenge, uint8_t ret_digest[static PN_MD5_LEN])
{
    char text[11];
    int n = snprintf(text, sizeof(text), "%" PRIu32, challenge);

    if (pn_md5(ret_digest, (pn_slice){d->cookie, d->cookie_len},
            (pn_slice){(const uint8_t *)text, (size_t)n})
        != PN_OK) {
        pn_dist_fail(d, PN_DIST_REASON_SYSTEM);
        return false;
    }
    return true;
}

/* False after failing. */
static bool digest_is_good(pn_dist *d, const uint8_t *theirs)
{
    uint8_t ours[PN_MD5_LEN];

    if (!digest(d, d->challenge, ours)) {
        return false;
    }
    if (PN_REFUSE_IF(dist_cookie, !pn_md5_equal(ours, theirs))) {
        pn_dist_fail(d, PN_DIST_REASON_COOKIE);
        return false;
    }
    return true;
}

static void say_reply(pn_dist *d, uint32_t their_challenge)
{
    uint8_t bytes[PN_MD5_LEN];
    pn_dist_said *said;

    if (!draw_challenge(d) || !digest(d, their_challenge, bytes)) {
        return;
    }
    said = pn_dist_say(d);
    said->data[0] = 'r';
    pn_store_be32(said->data + 1, d->challenge);
    memcpy(said->data + 5, bytes, PN_MD5_LEN);
    said->len = REPLY_LEN;
    d->step = WAIT_ACK;
}

/* ---- the peer's name ---------------------------------------------------- */

/* The name must be the one that was proven or dialled (D2). Keeps it. */
static bool take_peer(
    pn_dist *d, pn_slice name, uint64_t flags, uint32_t creation)
{
    pn_slice wanted = d->config.peer_name;

    if (PN_REFUSE_IF(dist_name, !pn_node_name_is_valid(name.data, name.len))) {
        pn_dist_fail(d, PN_DIST_REASON_BAD_HANDSHAKE);
        return false;
    }
    if (PN_REFUSE_IF(
            dist_peer_name, wanted.len > 0 && !pn_slice_equal(name, wanted))
        || PN_REFUSE_IF(dist_own_name, pn_slice_is(name, d->config.name))) {
        pn_dist_fail(d, PN_DIST_REASON_NAME_MISMATCH);
        return false;
    }
    memcpy(d->peer_name, name.data, name.len);
    d->peer_name_len = name.len;
    d->peer_creation = creation;
    d->flags = expand(d->config.flags) & expand(flags);
    return true;
}

/* Term order of atoms; names are ASCII. */
static bool we_are_greater(const pn_dist *d)
{
    pn_slice ours = pn_slice_of(d->config.name);
    size_t n = ours.len < d->peer_name_len ? ours.len : d->peer_name_len;
    int order = memcmp(ours.data, d->peer_name, n);

    return order != 0 ? order > 0 : ours.len > d->peer_name_len;
}

/* ---- responder ---------------------------------------------------------- */

/* Both dial: the link of the greater name stays. OTP would hear nok from us
 * otherwise, and then wait for its kernel to end the attempt, which upstream's
 * process ignores: its whole distribution stands still for good. A connection
 * that just closes ends it. */
static void on_both_dial(pn_dist *d)
{
    if (PN_REFUSE_IF(dist_nok, we_are_greater(d))) {
        pn_dist_fail(d, PN_DIST_REASON_LOST_RACE);
        return;
    }
    pn_dist_say_status(d, "ok_simultaneous");
    if (d->config.peer_name.len > 0 && !d->config.is_claimed) {
        d->config.callbacks->on_rival_lost(d->config.user);
        d->rival = PN_DIST_RIVAL_NONE;
    }
    say_challenge(d);
}

static void answer_name(pn_dist *d)
{
    d->rival = d->config.callbacks->on_name(
        d->config.user, pn_dist_peer_name(d));
    switch (d->rival) {
    case PN_DIST_RIVAL_NONE:
        pn_dist_say_status(d, "ok");
        say_challenge(d);
        break;
    case PN_DIST_RIVAL_DIAL:
        on_both_dial(d);
        break;
    case PN_DIST_RIVAL_LINK:
        pn_dist_say_status(d, "alive");
        d->step = WAIT_ALIVE_REPLY;
        break;
    }
}

static void on_name(pn_dist *d)
{
    uint64_t flags = pn_load_be64(d->in + 1);
    pn_slice name = {d->in + NAME_HEAD, d->in_len - NAME_HEAD};

    if (!take_peer(d, name, flags, pn_load_be32(d->in + 9))) {
        return;
    }
    if (!pn_dist_flags_are_enough(flags)) {
        pn_dist_refuse(d, PN_DIST_REASON_FLAGS_MISSING, "not_allowed");
        return;
    }
    answer_name(d);
}

/* Another link ends only once the cookie is proven, where the name alone was
 * not enough. */
static void on_reply(pn_dist *d)
{
    const pn_dist_callbacks *callbacks = d->config.callbacks;
    uint8_t bytes[PN_MD5_LEN];
    pn_dist_said *said;

    if (!digest_is_good(d, d->in + 5)
        || !digest(d, pn_load_be32(d->in + 1), bytes)) {
        return;
    }
    said = pn_dist_say(d);
    said->data[0] = 'a';
    memcpy(said->data + 1, bytes, PN_MD5_LEN);
    said->len = ACK_LEN;
    if (d->rival == PN_DIST_RIVAL_LINK) {
        callbacks->on_rival_gone(d->config.user);
    } else if (d->rival == PN_DIST_RIVAL_DIAL) {
        callbacks->on_rival_lost(d->config.user);
    }
    pn_dist_is_up(d);
}

/* ---- initiator ---------------------------------------------------------- */

static void on_challenge(pn_dist *d)
{
    uint64_t flags = pn_load_be64(d->in + 1);
    pn_slice name = {d->in + CHALLENGE_HEAD, d->in_len - CHALLENGE_HEAD};

    if (!take_peer(d, name, flags, pn_load_be32(d->in + 13))) {
        return;
    }
    if (!pn_dist_flags_are_enough(flags)) {
        pn_dist_fail(d, PN_DIST_REASON_FLAGS_MISSING);
        return;
    }
    say_reply(d, pn_load_be32(d->in + 9));
}

static void on_alive(pn_dist *d)
{
    if (!d->config.callbacks->on_alive(d->config.user)) {
        pn_dist_refuse(d, PN_DIST_REASON_ALREADY_UP, "false");
        return;
    }
    pn_dist_say_status(d, "true");
    d->step = WAIT_CHALLENGE;
}

static void on_ack(pn_dist *d)
{
    if (digest_is_good(d, d->in + 1)) {
        pn_dist_is_up(d);
    }
}

/* ---- where a message ends ----------------------------------------------- */

typedef enum taken { TAKEN_PART, TAKEN_WHOLE, TAKEN_WRONG } taken;

/* A message of a fixed length. */
static taken fixed(const pn_dist *d, char tag, size_t len)
{
    if (d->in[0] != (uint8_t)tag) {
        return TAKEN_WRONG;
    }
    return d->in_len < len ? TAKEN_PART : TAKEN_WHOLE;
}

/* One that ends with a name and its length. */
static taken named(const pn_dist *d, size_t head)
{
    size_t len;

    if (d->in[0] != 'N') {
        return TAKEN_WRONG;
    }
    if (d->in_len < head) {
        return TAKEN_PART;
    }
    len = pn_load_be16(d->in + head - 2);
    if (PN_REFUSE_IF(dist_name_length, len == 0 || len > PN_DIST_NAME_MAX)) {
        return TAKEN_WRONG;
    }
    return d->in_len < head + len ? TAKEN_PART : TAKEN_WHOLE;
}

static bool begins(const pn_dist *d, const char *status)
{
    return d->in_len - 1 <= strlen(status)
           && memcmp(d->in + 1, status, d->in_len - 1) == 0;
}

/* The bytes so far are a whole message; further bytes may make it another
 * one. */
static bool is_status(const pn_dist *d, const char *status)
{
    return d->in_len == 1 + strlen(status) && begins(d, status);
}

/* ---- one byte ----------------------------------------------------------- */

static void next(pn_dist *d, uint64_t now_us)
{
    d->in_len = 0;
    if (d->state == PN_DIST_HANDSHAKE) {
        d->deadline_us = now_us + d->config.handshake_us;
    }
}

static void take_message(
    pn_dist *d, uint64_t now_us, taken how, void (*on_message)(pn_dist *))
{
    if (how == TAKEN_WRONG) {
        pn_dist_fail(d, PN_DIST_REASON_BAD_HANDSHAKE);
    } else if (how == TAKEN_WHOLE) {
        on_message(d);
        next(d, now_us);
    }
}

static void take_status(pn_dist *d, uint64_t now_us)
{
    if (d->in[0] != 's') {
        pn_dist_fail(d, PN_DIST_REASON_BAD_HANDSHAKE);
    } else if (is_status(d, "nok")) {
        pn_dist_fail(d, PN_DIST_REASON_LOST_RACE);
    } else if (is_status(d, "not_allowed")) {
        pn_dist_fail(d, PN_DIST_REASON_NOT_ALLOWED);
    } else if (is_status(d, "alive")) {
        on_alive(d);
        next(d, now_us);
    } else if (!begins(d, "ok_simultaneous") && !begins(d, "nok")
               && !begins(d, "not_allowed") && !begins(d, "alive")) {
        pn_dist_fail(d, PN_DIST_REASON_BAD_HANDSHAKE);
    }
}

static void take_alive_reply(pn_dist *d, uint64_t now_us)
{
    if (d->in[0] != 's') {
        pn_dist_fail(d, PN_DIST_REASON_BAD_HANDSHAKE);
    } else if (is_status(d, "true")) {
        say_challenge(d);
        next(d, now_us);
    } else if (is_status(d, "false")) {
        pn_dist_fail(d, PN_DIST_REASON_ALREADY_UP);
    } else if (!begins(d, "true") && !begins(d, "false")) {
        pn_dist_fail(d, PN_DIST_REASON_BAD_HANDSHAKE);
    }
}

static void take(pn_dist *d, uint64_t now_us)
{
    switch (d->step) {
    case WAIT_NAME:
        take_message(d, now_us, named(d, NAME_HEAD), on_name);
        break;
    case WAIT_ALIVE_REPLY:
        take_alive_reply(d, now_us);
        break;
    case WAIT_REPLY:
        take_message(d, now_us, fixed(d, 'r', REPLY_LEN), on_reply);
        break;
    case WAIT_STATUS:
        take_status(d, now_us);
        break;
    case WAIT_CHALLENGE:
        take_message(d, now_us, named(d, CHALLENGE_HEAD), on_challenge);
        break;
    case WAIT_ACK:
        take_message(d, now_us, fixed(d, 'a', ACK_LEN), on_ack);
        break;
    }
}

/* The status that lets us go on is over when something else begins. */
static void end_status(pn_dist *d, uint64_t now_us, uint8_t byte)
{
    if (d->step == WAIT_STATUS && d->in_len > 0 && (byte == 'N' || byte == 0)
        && (is_status(d, "ok") || is_status(d, "ok_simultaneous"))) {
        d->step = WAIT_CHALLENGE;
        next(d, now_us);
    }
}

/* No message begins with a zero. True: the byte was one of a tick. */
static bool take_zero(pn_dist *d, uint8_t byte)
{
    if (d->in_len > 0 || (byte != 0 && d->n_zeros == 0)) {
        return false;
    }
    if (PN_REFUSE_IF(dist_half_tick, byte != 0)) {
        pn_dist_fail(d, PN_DIST_REASON_BAD_HANDSHAKE);
        return true;
    }
    d->n_zeros = (d->n_zeros + 1) % TICK_LEN;
    return true;
}

void pn_dist_handshake_byte(pn_dist *d, uint64_t now_us, uint8_t byte)
{
    end_status(d, now_us, byte);
    if (take_zero(d, byte)) {
        return;
    }
    if (PN_REFUSE_IF(dist_premature, d->n_out > 0)) {
        pn_dist_fail(d, PN_DIST_REASON_BAD_HANDSHAKE);
        return;
    }
    /* The byte answers our message, so that has arrived. */
    d->n_acked = d->n_sent;
    assert(d->in_len < sizeof(d->in));
    d->in[d->in_len++] = byte;
    take(d, now_us);
}

void pn_dist_handshake_begin(pn_dist *d, uint64_t now_us)
{
    d->deadline_us = now_us + d->config.handshake_us;
    d->step = d->config.role == PN_DIST_INITIATOR ? WAIT_STATUS : WAIT_NAME;
    if (d->config.role == PN_DIST_INITIATOR) {
        say_name(d);
    }
}

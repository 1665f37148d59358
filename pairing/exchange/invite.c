/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The use of an invitation: docs/PROTOCOL.md, section 11.2. Every message has
 * one length, which the state knows; nothing is read before its tag verified.
 */
#include "invite.h"

#include "base/assert.h"
#include "base/mutant.h"
#include "noise/noise.h"

static const uint8_t prologue[] = "peernet pairing: invitation, version 1";

/* Types of the messages that carry an offer. */
enum { JOIN = 1, ACCEPTED = 2, LATER = 3, STORED = 4 };

/* What it waits for, in the order of the protocol. */
typedef enum state {
    WAIT_M1,     /* responder */
    WAIT_M2,     /* joiner */
    WAIT_JOIN,   /* responder: M3 and JOIN */
    WAIT_ANSWER, /* joiner */
    WAIT_STORED, /* responder */
    ENDED
} state;

#define N_STATES (ENDED + 1)

struct pn_invite {
    pn_invite_config config; /* invitation and offer are not used */
    pn_public_key expected;  /* joiner */
    pn_public_key peer;
    bool is_joiner;
    bool has_peer;
    uint8_t id[PN_INVITATION_ID_LEN];
    state state;
    pn_invite_outcome outcome;
    uint64_t deadline_us;
    pn_handshake *handshake;
    pn_cipher send;
    pn_cipher receive;
    pn_offer ours;
    size_t out_len;
    /* All that a joiner says, for its bytes may be heard before we know that
     * they were sent. */
    uint8_t out[PN_INVITE_M1_LEN + PN_INVITE_JOIN_LEN + PN_INVITE_ANSWER_LEN];
};

/* ---- output ----------------------------------------------------------------
 */

static pn_err put_handshake(
    pn_invite *v, const uint8_t *payload, size_t payload_len, size_t len)
{
    size_t n = 0;
    pn_err err;

    assert(len <= sizeof(v->out) - v->out_len);
    err = pn_handshake_write(
        v->handshake, payload, payload_len, v->out + v->out_len, len, &n);
    assert(err != PN_OK || n == len);
    v->out_len += err == PN_OK ? n : 0;
    return err;
}

static pn_err put_offer(pn_invite *v, uint8_t type, const pn_offer *offer)
{
    uint8_t *at = v->out + v->out_len;
    pn_err err;

    assert(PN_INVITE_ANSWER_LEN <= sizeof(v->out) - v->out_len);
    pn_offer_write(at, type, offer);
    err = pn_cipher_seal(&v->send, NULL, 0, at, PN_OFFER_TEXT_LEN);
    v->out_len += err == PN_OK ? PN_INVITE_ANSWER_LEN : 0;
    return err;
}

/* ---- the end ---------------------------------------------------------------
 */

static void end(pn_invite *v, pn_invite_outcome outcome)
{
    v->outcome = outcome;
    v->state = ENDED;
    v->deadline_us = PN_TIME_NEVER;
    pn_handshake_free(v->handshake);
    v->handshake = NULL;
}

/* What an end without a word of the other end amounts to. */
static pn_invite_outcome unheard(const pn_invite *v, pn_invite_outcome outcome)
{
    return v->state == WAIT_STORED ? PN_INVITE_UNCONFIRMED : outcome;
}

static void fail(pn_invite *v, pn_err err)
{
    pn_invite_outcome outcome = PN_INVITE_FAILED;

    if (pn_err_is_peer(err)) {
        outcome = err == PN_DENIED ? PN_INVITE_OWN_KEY : PN_INVITE_BROKEN;
    }
    end(v, unheard(v, outcome));
}

/* ---- the handshake ---------------------------------------------------------
 */

static pn_err enter_transport(pn_invite *v)
{
    pn_err err = pn_handshake_split(v->handshake, &v->send, &v->receive);

    pn_handshake_free(v->handshake);
    v->handshake = NULL;
    return err;
}

/* The key of the invitation, or a random one. Both are drawn and looked up, so
 * that neither way is shorter. */
static pn_err choose_key(pn_invite *v, pn_secret_key *ret_key)
{
    pn_secret_key found;
    pn_err err = v->config.env->random(
        v->config.env->user, ret_key->bytes, sizeof(ret_key->bytes));

    if (v->config.callbacks->find(v->config.user, v->id, &found) == PN_OK) {
        *ret_key = found;
    } else if (!PN_SAFEGUARD(invite_random_key)) {
        memset(ret_key, 0, sizeof(*ret_key));
    }
    pn_wipe(&found, sizeof(found));
    return err;
}

static pn_err set_key(pn_invite *v)
{
    pn_secret_key *key = pn_secure_alloc(sizeof(*key));
    pn_err err = PN_NOMEM;

    if (key != NULL) {
        err = choose_key(v, key);
    }
    if (err == PN_OK) {
        pn_handshake_set_psk(v->handshake, key);
    }
    pn_secure_free(key, sizeof(*key));
    return err;
}

static void on_m1(pn_invite *v, const uint8_t *data, size_t len)
{
    size_t n = 0;
    pn_err err = PN_MALFORMED;

    if (data[0] == PN_INVITE_FIRST) {
        err = pn_handshake_read(
            v->handshake, data + 1, len - 1, v->id, sizeof(v->id), &n);
    }
    if (err == PN_OK) {
        err = set_key(v);
    }
    if (err == PN_OK) {
        err = put_handshake(v, NULL, 0, PN_INVITE_M2_LEN);
    }
    if (err != PN_OK) {
        fail(v, err);
        return;
    }
    v->state = WAIT_JOIN;
}

static void on_m2(pn_invite *v, const uint8_t *data, size_t len)
{
    uint8_t nothing;
    size_t n = 0;
    pn_err err = pn_handshake_read(v->handshake, data, len, &nothing, 0, &n);

    if (err == PN_OK) {
        v->peer = *pn_handshake_peer(v->handshake);
        v->has_peer = true;
        /* Before we say who we are. */
        if (PN_REFUSE_IF(
                invite_expected_key, !pn_key_equal(&v->peer, &v->expected))) {
            end(v, PN_INVITE_OTHER_KEY);
            return;
        }
        err = put_handshake(v, NULL, 0, PN_KEY_LEN + 2 * PN_TAG_LEN);
    }
    if (err == PN_OK) {
        err = enter_transport(v);
    }
    if (err == PN_OK) {
        err = put_offer(v, JOIN, &v->ours);
    }
    if (err != PN_OK) {
        fail(v, err);
        return;
    }
    v->state = WAIT_ANSWER;
}

/* ---- the answers -----------------------------------------------------------
 */

/* Opens a message in place and reads it. Errors: as opening; PN_MALFORMED. */
static pn_err read_offer(
    pn_invite *v, uint8_t *data, uint8_t *ret_type, pn_offer *ret_offer)
{
    size_t n;
    pn_err err = pn_cipher_open(
        &v->receive, NULL, 0, data, PN_INVITE_ANSWER_LEN, &n);

    return err == PN_OK ? pn_offer_read(data, ret_type, ret_offer) : err;
}

/* M3 and JOIN of an end that has the key; its offer. */
static pn_err read_join(pn_invite *v, uint8_t *data, pn_offer *ret_theirs)
{
    const size_t m3_len = PN_KEY_LEN + 2 * PN_TAG_LEN;
    uint8_t nothing;
    uint8_t type = 0;
    size_t n = 0;
    pn_err err = pn_handshake_read(v->handshake, data, m3_len, &nothing, 0, &n);

    if (err != PN_OK) {
        return err;
    }
    v->peer = *pn_handshake_peer(v->handshake);
    v->has_peer = true;
    err = enter_transport(v);
    if (err == PN_OK) {
        err = read_offer(v, data + m3_len, &type, ret_theirs);
    }
    return err == PN_OK && type != JOIN ? PN_MALFORMED : err;
}

static void on_join(pn_invite *v, uint8_t *data)
{
    pn_offer theirs;
    pn_offer ours = {.port = 0};
    pn_err err = read_join(v, data, &theirs);

    if (err != PN_OK) {
        if (pn_err_is_peer(err)) {
            v->config.callbacks->refused(v->config.user, v->id);
        }
        v->has_peer = false;
        fail(v, err);
        return;
    }
    err = v->config.callbacks->take(
        v->config.user, v->id, &v->peer, &theirs, &ours);
    if (PN_REFUSE_IF(invite_denied, err == PN_DENIED)) {
        end(v, PN_INVITE_REFUSED);
    } else if (err == PN_OK || err == PN_DENIED) {
        err = put_offer(v, ACCEPTED, &ours);
        v->state = WAIT_STORED;
        if (err != PN_OK) {
            fail(v, err);
        }
    } else {
        (void)put_offer(v, LATER, NULL);
        end(v, PN_INVITE_FAILED);
    }
}

static void on_answer(pn_invite *v, uint8_t *data)
{
    pn_offer theirs;
    uint8_t type = 0;
    pn_err err = read_offer(v, data, &type, &theirs);

    if (err == PN_OK && type == LATER) {
        end(v, PN_INVITE_LATER);
        return;
    }
    if (err == PN_OK && type != ACCEPTED) {
        err = PN_MALFORMED;
    }
    if (err != PN_OK) {
        fail(v, err);
    } else if (v->config.callbacks->store(v->config.user, &v->peer, &theirs)
               != PN_OK) {
        end(v, PN_INVITE_FAILED);
    } else {
        (void)put_offer(v, STORED, NULL);
        end(v, PN_INVITE_JOINED);
    }
}

static void on_stored(pn_invite *v, uint8_t *data)
{
    pn_offer nothing;
    uint8_t type = 0;
    pn_err err = read_offer(v, data, &type, &nothing);

    if (err != PN_OK || type != STORED) {
        end(v, PN_INVITE_UNCONFIRMED);
        return;
    }
    v->config.callbacks->confirmed(v->config.user, v->id, &v->peer);
    end(v, PN_INVITE_JOINED);
}

/* ---- input -----------------------------------------------------------------
 */

/* The length of the message that each state takes. */
static const size_t takes[N_STATES] = {
    [WAIT_M1] = PN_INVITE_M1_LEN,
    [WAIT_M2] = PN_INVITE_M2_LEN,
    [WAIT_JOIN] = PN_INVITE_JOIN_LEN,
    [WAIT_ANSWER] = PN_INVITE_ANSWER_LEN,
    [WAIT_STORED] = PN_INVITE_ANSWER_LEN,
};

static void take(pn_invite *v, uint8_t *data, size_t len)
{
    switch (v->state) {
    case WAIT_M1:
        on_m1(v, data, len);
        break;
    case WAIT_M2:
        on_m2(v, data, len);
        break;
    case WAIT_JOIN:
        on_join(v, data);
        break;
    case WAIT_ANSWER:
        on_answer(v, data);
        break;
    case WAIT_STORED:
        on_stored(v, data);
        break;
    case ENDED:
        break;
    }
}

size_t pn_invite_input(
    pn_invite *v, uint8_t *data, size_t len, size_t *ret_want)
{
    size_t used = 0;

    while (v->state != ENDED && len - used >= takes[v->state]) {
        const size_t n = takes[v->state];

        take(v, data + used, n);
        used += n;
    }
    *ret_want = takes[v->state];
    return v->state == ENDED ? len : used;
}

pn_slice pn_invite_output(const pn_invite *v)
{
    return (pn_slice){v->out, v->out_len};
}

void pn_invite_sent(pn_invite *v, size_t n)
{
    assert(n <= v->out_len);
    memmove(v->out, v->out + n, v->out_len - n);
    v->out_len -= n;
}

void pn_invite_closed(pn_invite *v)
{
    if (v->state != ENDED) {
        end(v, unheard(v, v->state == WAIT_ANSWER ? PN_INVITE_REFUSED
                                                  : PN_INVITE_LOST));
    }
}

void pn_invite_tick(pn_invite *v, uint64_t now_us)
{
    if (PN_REFUSE_IF(invite_deadline, now_us >= v->deadline_us)) {
        end(v, unheard(v, PN_INVITE_LATE));
    }
}

/* ---- life ------------------------------------------------------------------
 */

/* Says M1. */
static pn_err join(pn_invite *v, const pn_invite_config *config)
{
    pn_secret_key *key = pn_secure_alloc(sizeof(*key));
    pn_err err = PN_NOMEM;

    v->expected = config->invitation->key;
    v->ours = *config->offer;
    if (key != NULL) {
        err = pn_invitation_derive(config->invitation->secret, v->id, key);
    }
    if (err == PN_OK) {
        pn_handshake_set_psk(v->handshake, key);
        v->out[v->out_len++] = PN_INVITE_FIRST;
        err = put_handshake(v, v->id, sizeof(v->id), PN_INVITE_M1_LEN - 1);
    }
    pn_secure_free(key, sizeof(*key));
    return err;
}

pn_err pn_invite_new(
    const pn_invite_config *config, uint64_t now_us, pn_invite **ret_invite)
{
    pn_invite *v = pn_secure_alloc(sizeof(*v));
    pn_err err;

    if (v == NULL) {
        return PN_NOMEM;
    }
    v->config = *config;
    v->is_joiner = config->invitation != NULL;
    v->deadline_us = now_us + PN_INVITE_EXCHANGE_US;
    v->state = v->is_joiner ? WAIT_M2 : WAIT_M1;
    err = pn_handshake_new(&pn_noise_standard_psk3, v->is_joiner,
        config->identity, prologue, sizeof(prologue) - 1, config->env,
        &v->handshake);
    if (err == PN_OK && v->is_joiner) {
        err = join(v, config);
    }
    if (err != PN_OK) {
        pn_invite_free(v);
        return err;
    }
    *ret_invite = v;
    return PN_OK;
}

void pn_invite_free(pn_invite *v)
{
    if (v == NULL) {
        return;
    }
    pn_handshake_free(v->handshake);
    pn_cipher_fini(&v->send);
    pn_cipher_fini(&v->receive);
    pn_secure_free(v, sizeof(*v));
}

uint64_t pn_invite_deadline(const pn_invite *v)
{
    return v->deadline_us;
}

pn_invite_outcome pn_invite_get_outcome(const pn_invite *v)
{
    return v->outcome;
}

const pn_public_key *pn_invite_peer(const pn_invite *v)
{
    return v->has_peer ? &v->peer : NULL;
}

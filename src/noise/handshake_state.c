/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HandshakeState: Noise revision 34, section 5.3, for the patterns XX (section
 * 7.5) and XXpsk3 (section 9). Writing and reading run one loop over the tokens
 * of a message.
 */
#include <string.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "noise/handshake_state.h"

/* A Noise message is at most this long, whatever the profile (Noise, section
 * 3). */
#define MESSAGE_MAX 65535

typedef enum token { END, E, S, EE, ES, SE, PSK } token;

/*
 * XX:
 *   -> e
 *   <- e, ee, s, es
 *   -> s, se
 * XXpsk3 has psk at the end of the third message, and mixes each e into the key
 * as well (Noise, section 9.2).
 */
#define N_MESSAGES 3
typedef struct pattern {
    const char *name; /* of the protocol */
    token messages[N_MESSAGES][5];
} pattern;

static const pattern xx = {
    .name = "Noise_XX_25519_ChaChaPoly_SHA256",
    .messages =
        {
            {E, END},
            {E, EE, S, ES, END},
            {S, SE, END},
        },
};

static const pattern xxpsk3 = {
    .name = "Noise_XXpsk3_25519_ChaChaPoly_SHA256",
    .messages =
        {
            {E, END},
            {E, EE, S, ES, END},
            {S, SE, PSK, END},
        },
};

static const pattern *pattern_of(const pn_noise_profile *profile)
{
    return profile->is_psk3 ? &xxpsk3 : &xx;
}

/* A message that is being written or read. */
typedef struct cursor {
    bool is_writing;
    uint8_t *out;      /* when writing */
    const uint8_t *in; /* when reading */
    size_t left;
} cursor;

pn_err pn_handshake_new(const pn_noise_profile *profile, bool initiator,
    const pn_key_pair *identity, const uint8_t *prologue, size_t prologue_len,
    const pn_env *env, pn_handshake **ret_handshake)
{
    const char *name = pattern_of(profile)->name;
    pn_handshake *h = pn_secure_alloc(sizeof(*h));
    pn_err err;

    if (h == NULL) {
        return PN_NOMEM;
    }
    h->profile = profile;
    h->initiator = initiator;
    h->s = identity;
    h->env = env;
    err = pn_symmetric_init(&h->symmetric, name, strlen(name));
    if (err == PN_OK && profile->mix_prologue) {
        err = pn_symmetric_mix_hash(&h->symmetric, prologue, prologue_len);
    }
    if (err != PN_OK) {
        pn_handshake_free(h);
        return err;
    }
    *ret_handshake = h;
    return PN_OK;
}

void pn_handshake_free(pn_handshake *h)
{
    if (h == NULL) {
        return;
    }
    pn_dh_free(h->e_dh);
    pn_secure_free(h, sizeof(*h));
}

static bool is_turn_of(const pn_handshake *h, bool initiator)
{
    return h->n_messages < N_MESSAGES && (h->n_messages % 2 == 0) == initiator;
}

/* X25519 ignores the top bit, so two spellings are one key. */
static bool is_same_key(const pn_public_key *a, const pn_public_key *b)
{
    pn_public_key x = *a;
    pn_public_key y = *b;

    x.bytes[PN_KEY_LEN - 1] &= 0x7f;
    y.bytes[PN_KEY_LEN - 1] &= 0x7f;
    return pn_key_equal(&x, &y);
}

static pn_err load_e(pn_handshake *h)
{
    return h->e_dh != NULL ? PN_OK : pn_dh_new(&h->e.secret, &h->e_dh);
}

/* DH of our ephemeral key and a key of the peer. */
static pn_err dh_with_e(
    pn_handshake *h, const pn_public_key *theirs, uint8_t *ret_shared)
{
    pn_err err = load_e(h);

    return err != PN_OK ? err : pn_dh_shared(h->e_dh, theirs, ret_shared);
}

/* Tokens ee, es, se (Noise, section 5.3): a DH of one of our keys and one of
 * the peer's, mixed into the key. */
static pn_err mix_dh(pn_handshake *h, token t)
{
    bool ours_static = h->initiator ? t == SE : t == ES;
    bool theirs_static = h->initiator ? t == ES : t == SE;
    const pn_public_key *theirs = theirs_static ? &h->rs : &h->re;
    uint8_t shared[PN_KEY_LEN];
    pn_err err;

    err = ours_static ? pn_x25519(&h->s->secret, theirs, shared)
                      : dh_with_e(h, theirs, shared);
    if (err == PN_OK) {
        err = pn_symmetric_mix_key(&h->symmetric, shared);
    }
    pn_wipe(shared, sizeof(shared));
    return err;
}

/* Token e for either end. With a pre-shared key the ephemeral also makes the
 * key, so that no two messages are sealed with one (Noise, section 9.2). */
static pn_err mix_e(pn_handshake *h, const pn_public_key *e)
{
    pn_err err = pn_symmetric_mix_hash(&h->symmetric, e->bytes, PN_KEY_LEN);

    if (err == PN_OK && h->profile->is_psk3 && PN_SAFEGUARD(noise_psk_e)) {
        err = pn_symmetric_mix_key(&h->symmetric, e->bytes);
    }
    return err;
}

/* Token psk (Noise, section 9.2). */
static pn_err mix_psk(pn_handshake *h)
{
    if (PN_REFUSE_IF(noise_psk_missing, !h->has_psk)) {
        return PN_STATE;
    }
    return PN_SAFEGUARD(noise_psk)
               ? pn_symmetric_mix_key_and_hash(&h->symmetric, &h->psk)
               : PN_OK;
}

static pn_err write_e(pn_handshake *h, cursor *c)
{
    pn_err err;

    if (c->left < PN_KEY_LEN) {
        return PN_TOO_LARGE;
    }
    err = h->env->random(h->env->user, h->e.secret.bytes, PN_KEY_LEN);
    if (err == PN_OK) {
        err = load_e(h);
    }
    if (err == PN_OK) {
        err = pn_dh_public(h->e_dh, &h->e.public_key);
    }
    if (err != PN_OK) {
        return err;
    }
    memcpy(c->out, h->e.public_key.bytes, PN_KEY_LEN);
    c->out += PN_KEY_LEN;
    c->left -= PN_KEY_LEN;
    /* A responder receives the peer's ephemeral before it makes its own, so the
     * two are equal only if the peer knew ours in advance. */
    if (PN_REFUSE_IF(ephemeral_reflected_to_responder,
            !h->initiator && is_same_key(&h->re, &h->e.public_key))) {
        return PN_AUTH;
    }
    return mix_e(h, &h->e.public_key);
}

static pn_err read_e(pn_handshake *h, cursor *c)
{
    if (c->left < PN_KEY_LEN) {
        return PN_MALFORMED;
    }
    memcpy(h->re.bytes, c->in, PN_KEY_LEN);
    c->in += PN_KEY_LEN;
    c->left -= PN_KEY_LEN;
    if (PN_REFUSE_IF(ephemeral_reflected_to_initiator,
            h->initiator && is_same_key(&h->re, &h->e.public_key))) {
        return PN_AUTH;
    }
    return mix_e(h, &h->re);
}

static pn_err write_s(pn_handshake *h, cursor *c)
{
    size_t len = PN_KEY_LEN + pn_symmetric_overhead(&h->symmetric);
    pn_err err;

    if (c->left < len) {
        return PN_TOO_LARGE;
    }
    err = pn_symmetric_encrypt(
        &h->symmetric, h->s->public_key.bytes, PN_KEY_LEN, c->out);
    c->out += len;
    c->left -= len;
    return err;
}

static pn_err read_s(pn_handshake *h, cursor *c)
{
    size_t len = PN_KEY_LEN + pn_symmetric_overhead(&h->symmetric);
    pn_err err;

    if (c->left < len) {
        return PN_MALFORMED;
    }
    err = pn_symmetric_decrypt(&h->symmetric, c->in, len, h->rs.bytes);
    c->in += len;
    c->left -= len;
    if (err != PN_OK) {
        return err;
    }
    if (PN_REFUSE_IF(
            static_reflected, is_same_key(&h->rs, &h->s->public_key))) {
        return PN_DENIED;
    }
    return PN_OK;
}

static pn_err do_token(pn_handshake *h, token t, cursor *c)
{
    switch (t) {
    case E:
        return c->is_writing ? write_e(h, c) : read_e(h, c);
    case S:
        return c->is_writing ? write_s(h, c) : read_s(h, c);
    case EE:
    case ES:
    case SE:
        return mix_dh(h, t);
    case PSK:
        return mix_psk(h);
    case END:
        break;
    }
    return PN_OK;
}

static pn_err do_tokens(pn_handshake *h, cursor *c)
{
    const token *t = pattern_of(h->profile)->messages[h->n_messages];
    pn_err err = PN_OK;

    assert(h->n_messages < N_MESSAGES && !h->is_split);
    for (; *t != END && err == PN_OK; t++) {
        err = do_token(h, *t, c);
    }
    return err;
}

/* True where the profile leaves out an empty payload in clear
 * (docs/PROTOCOL.md, section 2.4). */
static bool skips_payload(const pn_handshake *h, size_t len)
{
    return len == 0 && !h->symmetric.has_key
           && !h->profile->mix_empty_clear_payload;
}

static pn_err write_payload(
    pn_handshake *h, cursor *c, const uint8_t *payload, size_t len)
{
    size_t overhead = pn_symmetric_overhead(&h->symmetric);
    pn_err err;

    if (skips_payload(h, len)) {
        return PN_OK;
    }
    if (c->left < overhead || c->left - overhead < len) {
        return PN_TOO_LARGE;
    }
    err = pn_symmetric_encrypt(&h->symmetric, payload, len, c->out);
    c->out += len + overhead;
    c->left -= len + overhead;
    return err;
}

static pn_err read_payload(
    pn_handshake *h, cursor *c, uint8_t *payload, size_t cap, size_t *ret_len)
{
    size_t overhead = pn_symmetric_overhead(&h->symmetric);

    if (c->left < overhead || c->left - overhead > cap) {
        return PN_MALFORMED;
    }
    *ret_len = c->left - overhead;
    if (skips_payload(h, *ret_len)) {
        return PN_OK;
    }
    return pn_symmetric_decrypt(&h->symmetric, c->in, c->left, payload);
}

/*
 * Between messages an initiator keeps its ephemeral ready for the next DH. A
 * responder keeps the bytes alone, because strangers may hold many of its
 * handshakes open.
 */
static void rest(pn_handshake *h)
{
    if (!h->initiator || h->n_messages > 1) {
        pn_dh_free(h->e_dh);
        h->e_dh = NULL;
    }
}

/* A failed handshake cannot go on, so its secrets are wiped at once. */
static pn_err die(pn_handshake *h, pn_err err)
{
    h->is_dead = true;
    pn_dh_free(h->e_dh);
    h->e_dh = NULL;
    pn_symmetric_fini(&h->symmetric);
    pn_wipe(&h->e.secret, sizeof(h->e.secret));
    pn_wipe(&h->psk, sizeof(h->psk));
    return err;
}

void pn_handshake_set_psk(pn_handshake *h, const pn_secret_key *psk)
{
    h->psk = *psk;
    h->has_psk = true;
}

pn_err pn_handshake_write(pn_handshake *h, const uint8_t *payload,
    size_t payload_len, uint8_t *out, size_t cap, size_t *ret_len)
{
    cursor c = {.is_writing = true,
        .out = out,
        .left = cap < MESSAGE_MAX ? cap : MESSAGE_MAX};
    pn_err err;

    if (PN_REFUSE_IF(handshake_dead_write, h->is_dead)
        || !is_turn_of(h, h->initiator)) {
        return PN_STATE;
    }
    err = do_tokens(h, &c);
    if (err == PN_OK) {
        err = write_payload(h, &c, payload, payload_len);
    }
    if (err != PN_OK) {
        return die(h, err);
    }
    *ret_len = (size_t)(c.out - out);
    h->n_messages++;
    rest(h);
    return PN_OK;
}

pn_err pn_handshake_read(pn_handshake *h, const uint8_t *message, size_t len,
    uint8_t *payload, size_t cap, size_t *ret_len)
{
    cursor c = {.in = message, .left = len};
    size_t payload_len = 0;
    pn_err err;

    if (PN_REFUSE_IF(handshake_dead_read, h->is_dead)
        || !is_turn_of(h, !h->initiator)) {
        return PN_STATE;
    }
    err = len > MESSAGE_MAX ? PN_MALFORMED : do_tokens(h, &c);
    if (err == PN_OK) {
        err = read_payload(h, &c, payload, cap, &payload_len);
    }
    if (err != PN_OK) {
        return die(h, err);
    }
    /* The first message carries no static key. */
    h->knows_peer = h->n_messages >= 1;
    h->n_messages++;
    rest(h);
    *ret_len = payload_len;
    return PN_OK;
}

bool pn_handshake_is_done(const pn_handshake *h)
{
    return h->n_messages == N_MESSAGES && !h->is_dead;
}

const pn_public_key *pn_handshake_peer(const pn_handshake *h)
{
    return h->knows_peer && !h->is_dead ? &h->rs : NULL;
}

const uint8_t *pn_handshake_hash(const pn_handshake *h)
{
    return pn_handshake_is_done(h) ? h->symmetric.h : NULL;
}

pn_err pn_handshake_split(
    pn_handshake *h, pn_cipher *ret_send, pn_cipher *ret_receive)
{
    pn_err err;

    if (!pn_handshake_is_done(h) || h->is_split) {
        return PN_STATE;
    }
    err = h->initiator
              ? pn_symmetric_split(&h->symmetric, ret_send, ret_receive)
              : pn_symmetric_split(&h->symmetric, ret_receive, ret_send);
    if (err != PN_OK) {
        return err;
    }
    ret_send->max_message = h->profile->max_message;
    ret_receive->max_message = h->profile->max_message;
    h->is_split = true;
    pn_wipe(h->symmetric.ck, sizeof(h->symmetric.ck));
    pn_wipe(&h->symmetric.k, sizeof(h->symmetric.k));
    pn_wipe(&h->e.secret, sizeof(h->e.secret));
    pn_wipe(&h->psk, sizeof(h->psk));
    return PN_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "pairing_rig.h"

static pn_err draw(void *user, uint8_t *buf, size_t len)
{
    uint64_t *seed = user;

    for (size_t i = 0; i < len; i++) {
        buf[i] = (uint8_t)pn_test_random(seed);
    }
    return PN_OK;
}

static void make_identity(pn_key_pair *pair, const pn_env *env)
{
    assert_int_equal(
        env->random(env->user, pair->secret.bytes, PN_KEY_LEN), PN_OK);
    assert_int_equal(pn_x25519_public(&pair->secret, &pair->public_key), PN_OK);
}

static bool may_pair(void *user, const pn_public_key *peer)
{
    pairing_end *end = user;

    (void)peer;
    end->n_asked++;
    return end->may_pair;
}

static pn_err pend(void *user, const pn_public_key *peer)
{
    pairing_end *end = user;

    (void)peer;
    end->n_pend++;
    end->is_pending = end->pend_err == PN_OK;
    return end->pend_err;
}

static void unpend(void *user, const pn_public_key *peer)
{
    pairing_end *end = user;

    (void)peer;
    end->is_pending = false;
}

static pn_err store(
    void *user, const pn_public_key *peer, const pn_digits_offer *offer)
{
    pairing_end *end = user;

    (void)peer;
    end->n_store++;
    end->had_said_yes = end->owner_yes;
    if (end->store_err == PN_OK) {
        end->is_stored = true;
        end->is_pending = false;
        end->theirs = *offer;
    }
    return end->store_err;
}

static const pn_digits_callbacks callbacks = {
    .may_pair = may_pair,
    .pend = pend,
    .unpend = unpend,
    .store = store,
};

static void end_init(pairing_end *end, uint64_t seed)
{
    *end = (pairing_end){.seed = seed, .may_pair = true};
    end->env = (pn_env){.user = &end->seed, .random = draw};
    make_identity(&end->identity, &end->env);
}

void pairing_rig_init(pairing_rig *rig, uint64_t seed)
{
    *rig = (pairing_rig){.now_us = PAIRING_BEGIN, .drop_at = PAIRING_DROP_NONE};
    end_init(&rig->a, seed);
    end_init(&rig->b, seed + 1);
}

void pairing_rig_open(pairing_rig *rig, pairing_end *end, bool is_initiator,
    const pn_public_key *expected, unsigned n_digits)
{
    pn_digits_config config = {
        .is_initiator = is_initiator,
        .identity = &end->identity,
        .expected = expected,
        .env = &end->env,
        .callbacks = &callbacks,
        .user = end,
        .answer_until_us = PAIRING_UNTIL,
        .n_digits = n_digits,
    };

    assert_int_equal(pn_digits_new(&config, rig->now_us, &end->digits), PN_OK);
}

void pairing_rig_start(pairing_rig *rig, unsigned n_digits)
{
    pairing_rig_open(rig, &rig->a, true, &rig->b.identity.public_key, n_digits);
    pairing_rig_open(rig, &rig->b, false, NULL, n_digits);
}

void pairing_rig_fini(pairing_rig *rig)
{
    pn_digits_free(rig->a.digits);
    pn_digits_free(rig->b.digits);
}

void pairing_rig_give(
    pairing_rig *rig, pairing_end *end, const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len);
    size_t want;

    assert_non_null(copy);
    memcpy(copy, data, len);
    assert_int_equal(
        pn_digits_input(end->digits, rig->now_us, copy, len, &want), len);
    free(copy);
}

/* Carries what one end has to say, which is one message: the two never have
 * more to say at once. True: there was something. */
static bool carry(pairing_rig *rig, pairing_end *from, pairing_end *to)
{
    pn_slice out = pn_digits_output(from->digits);
    uint8_t data[512];

    if (out.len == 0) {
        return false;
    }
    assert_true(out.len <= sizeof(data));
    memcpy(data, out.data, out.len);
    pn_digits_sent(from->digits, out.len);
    if (rig->is_cut || rig->n_messages == rig->drop_at) {
        rig->is_cut = true;
        pn_digits_closed(rig->a.digits);
        pn_digits_closed(rig->b.digits);
        return true;
    }
    if (rig->change != NULL) {
        rig->change(rig->change_user, rig->n_messages, data, out.len);
    }
    rig->n_messages++;
    pairing_rig_give(rig, to, data, out.len);
    return true;
}

void pairing_rig_run(pairing_rig *rig)
{
    while (carry(rig, &rig->a, &rig->b) || carry(rig, &rig->b, &rig->a)) {}
}

void pairing_rig_answer(pairing_rig *rig, pairing_end *end, bool yes)
{
    pn_digits_offer offer = {.port = end == &rig->a ? 1111 : 2222};

    (void)strcpy(offer.label, end == &rig->a ? "lamp" : "door");
    end->owner_yes = yes;
    pn_digits_answer(end->digits, rig->now_us, yes, &offer);
    if (rig->a.digits != NULL && rig->b.digits != NULL) {
        pairing_rig_run(rig);
    }
}

void pairing_rig_contact(pairing_rig *rig)
{
    if (rig->a.is_stored && rig->b.is_pending) {
        rig->b.is_stored = true;
        rig->b.is_pending = false;
    }
}

/* ---- an end of the attacker's ------------------------------------------- */

static const uint8_t prologue[] = "peernet pairing: digits, version 1";

void pairing_bare_init(pairing_bare *bare, bool is_initiator, uint64_t seed)
{
    *bare = (pairing_bare){.is_initiator = is_initiator, .seed = seed};
    bare->env = (pn_env){.user = &bare->seed, .random = draw};
    make_identity(&bare->identity, &bare->env);
    assert_int_equal(
        pn_handshake_new(&pn_noise_standard, is_initiator, &bare->identity,
            prologue, sizeof(prologue) - 1, &bare->env, &bare->handshake),
        PN_OK);
}

void pairing_bare_fini(pairing_bare *bare)
{
    pn_handshake_free(bare->handshake);
    pn_cipher_fini(&bare->send);
    pn_cipher_fini(&bare->receive);
}

/* The next len bytes that an end has to say. */
static void hear(pairing_end *end, uint8_t *data, size_t len)
{
    pn_slice out = pn_digits_output(end->digits);

    assert_true(out.len >= len);
    memcpy(data, out.data, len);
    pn_digits_sent(end->digits, len);
}

static void bare_write(
    pairing_bare *bare, pairing_rig *rig, pairing_end *end, bool is_first)
{
    uint8_t data[128] = {PN_PAIRING_DIGITS};
    size_t at = is_first ? 1 : 0;
    size_t len;

    assert_int_equal(pn_handshake_write(bare->handshake, NULL, 0, data + at,
                         sizeof(data) - at, &len),
        PN_OK);
    if (pn_handshake_is_done(bare->handshake)) {
        bare->peer = *pn_handshake_peer(bare->handshake);
        memcpy(bare->hash, pn_handshake_hash(bare->handshake), PN_HASH_LEN);
        assert_int_equal(
            pn_handshake_split(bare->handshake, &bare->send, &bare->receive),
            PN_OK);
    }
    pairing_rig_give(rig, end, data, at + len);
}

static void bare_read(pairing_bare *bare, pairing_end *end, size_t len)
{
    uint8_t data[128];
    uint8_t nothing;
    size_t n;

    hear(end, data, len);
    assert_int_equal(
        pn_handshake_read(bare->handshake, data, len, &nothing, 0, &n), PN_OK);
    if (pn_handshake_is_done(bare->handshake)) {
        bare->peer = *pn_handshake_peer(bare->handshake);
        memcpy(bare->hash, pn_handshake_hash(bare->handshake), PN_HASH_LEN);
        assert_int_equal(
            pn_handshake_split(bare->handshake, &bare->send, &bare->receive),
            PN_OK);
    }
}

void pairing_bare_meet(pairing_bare *bare, pairing_rig *rig, pairing_end *end)
{
    uint8_t kind;

    if (bare->is_initiator) {
        bare_write(bare, rig, end, true);
        bare_read(bare, end, PN_DIGITS_M2_LEN);
        bare_write(bare, rig, end, false);
    } else {
        hear(end, &kind, 1);
        assert_int_equal(kind, PN_PAIRING_DIGITS);
        bare_read(bare, end, PN_DIGITS_M1_LEN - 1);
        bare_write(bare, rig, end, false);
        bare_read(bare, end, PN_DIGITS_M3_LEN);
    }
}

void pairing_bare_say(pairing_bare *bare, pairing_rig *rig, pairing_end *end,
    const uint8_t *text, size_t len)
{
    uint8_t data[PN_DIGITS_ANSWER_LEN];

    memcpy(data, text, len);
    assert_int_equal(pn_cipher_seal(&bare->send, NULL, 0, data, len), PN_OK);
    pairing_rig_give(rig, end, data, len + PN_TAG_LEN);
}

void pairing_bare_hear(
    pairing_bare *bare, pairing_end *end, uint8_t *text, size_t len)
{
    uint8_t data[PN_DIGITS_ANSWER_LEN];
    size_t n;

    hear(end, data, len + PN_TAG_LEN);
    assert_int_equal(
        pn_cipher_open(&bare->receive, NULL, 0, data, len + PN_TAG_LEN, &n),
        PN_OK);
    memcpy(text, data, n);
}

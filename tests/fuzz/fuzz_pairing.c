/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PAIR-2: an exchange of digits against any peer. The input is a byte of
 * settings and then steps: raw bytes, the owner's answer, the end of the
 * connection, time, and messages of a peer that has the keys and seals any
 * text. A peer is stored only after our owner's yes and a sealed yes, and at
 * most once.
 */
#include <stdlib.h>
#include <string.h>

#include "exchange/digits.h"
#include "noise/noise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define UNTIL_US (120 * PN_US_PER_S)
#define ANSWER_TEXT (PN_DIGITS_ANSWER_LEN - PN_TAG_LEN)

enum setting { INITIATOR = 1, MAY_NOT = 2, PEND_FAILS = 4, STORE_FAILS = 8 };

/* The first byte of a step. */
enum step {
    STEP_RAW_MAX = 0x7f, /* that many bytes follow, as they are */
    STEP_HANDSHAKE,      /* the peer's next message, whole and right */
    STEP_SHORT,          /* it seals 32 bytes that follow */
    STEP_ANSWER,         /* it seals 128 bytes, of which 8 follow */
    STEP_COMMIT,         /* a commitment to the nonce of STEP_NONCE */
    STEP_NONCE,
    STEP_YES,
    STEP_NO,
    STEP_CLOSED,
    STEP_LATE,
    STEP_FLUSH /* our output is taken */
};

typedef struct world {
    uint8_t settings;
    uint8_t next_random;
    bool owner_yes;
    bool sealed_yes;
    unsigned n_pend;
    unsigned n_store;
    uint64_t now_us;
    pn_digits *digits;
    pn_key_pair ours;
    pn_key_pair theirs;
    pn_handshake *peer;
    pn_compare compare;
    pn_cipher send;
    pn_cipher receive;
} world;

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static pn_err counting(void *user, uint8_t *buf, size_t len)
{
    world *w = user;

    for (size_t i = 0; i < len; i++) {
        buf[i] = w->next_random++;
    }
    return PN_OK;
}

static bool may_pair(void *user, const pn_public_key *peer)
{
    world *w = user;

    require(pn_key_equal(peer, &w->theirs.public_key));
    return (w->settings & MAY_NOT) == 0;
}

static pn_err pend(void *user, const pn_public_key *peer)
{
    world *w = user;

    (void)peer;
    require(w->owner_yes && (w->settings & INITIATOR) == 0);
    require(++w->n_pend == 1);
    return (w->settings & PEND_FAILS) != 0 ? PN_SYS : PN_OK;
}

static void unpend(void *user, const pn_public_key *peer)
{
    world *w = user;

    (void)peer;
    require(w->n_pend == 1 && w->n_store == 0);
}

static pn_err store(
    void *user, const pn_public_key *peer, const pn_digits_offer *offer)
{
    world *w = user;

    require(pn_key_equal(peer, &w->theirs.public_key));
    require(w->owner_yes && w->sealed_yes);
    require(++w->n_store == 1);
    require(memchr(offer->label, '\0', sizeof(offer->label)) != NULL);
    return (w->settings & STORE_FAILS) != 0 ? PN_FULL : PN_OK;
}

static const pn_digits_callbacks callbacks = {
    .may_pair = may_pair,
    .pend = pend,
    .unpend = unpend,
    .store = store,
};

static void key_pair(pn_key_pair *pair, uint8_t first)
{
    memset(pair->secret.bytes, first, PN_KEY_LEN);
    require(pn_x25519_public(&pair->secret, &pair->public_key) == PN_OK);
}

/* As the transport does: what was not used up comes again with more. */
static void give(world *w, const uint8_t *data, size_t len)
{
    static uint8_t rest[512];
    static size_t n_rest;
    size_t want;
    size_t used;

    if (w->peer == NULL) {
        n_rest = 0; /* a new world */
        return;
    }
    require(len <= sizeof(rest) - n_rest);
    memcpy(rest + n_rest, data, len);
    n_rest += len;
    used = pn_digits_input(w->digits, w->now_us, rest, n_rest, &want);
    require(used <= n_rest && want <= PN_DIGITS_ANSWER_LEN);
    memmove(rest, rest + used, n_rest - used);
    n_rest -= used;
}

static void enter_transport(world *w)
{
    const bool they_initiate = (w->settings & INITIATOR) == 0;
    const pn_env env = {.user = w, .random = counting};

    if (pn_handshake_is_done(w->peer) && w->send.aead == NULL) {
        require(
            pn_compare_init(&w->compare, they_initiate, &w->theirs.public_key,
                &w->ours.public_key, pn_handshake_hash(w->peer), &env)
            == PN_OK);
        require(pn_handshake_split(w->peer, &w->send, &w->receive) == PN_OK);
    }
}

/* The peer reads what we said, if it is a handshake message, and answers. */
static void handshake_step(world *w)
{
    const bool they_initiate = (w->settings & INITIATOR) == 0;
    pn_slice out = pn_digits_output(w->digits);
    uint8_t message[128] = {PN_PAIRING_DIGITS};
    uint8_t nothing;
    size_t head = 0;
    size_t n;

    if (!they_initiate && out.len == PN_DIGITS_M1_LEN) {
        head = 1;
    }
    if (out.len > 0 && w->send.aead == NULL
        && pn_handshake_read(
               w->peer, out.data + head, out.len - head, &nothing, 0, &n)
               == PN_OK) {
        pn_digits_sent(w->digits, out.len);
    }
    enter_transport(w);
    head = they_initiate && out.len == 0 ? 1 : 0;
    if (w->send.aead == NULL
        && pn_handshake_write(
               w->peer, NULL, 0, message + head, sizeof(message) - head, &n)
               == PN_OK) {
        enter_transport(w);
        give(w, message, head + n);
    }
}

static void seal(world *w, const uint8_t *text, size_t len)
{
    uint8_t message[PN_DIGITS_ANSWER_LEN];

    if (w->send.aead != NULL) {
        memcpy(message, text, len);
        require(pn_cipher_seal(&w->send, NULL, 0, message, len) == PN_OK);
        give(w, message, len + PN_TAG_LEN);
    }
}

static void seal_commitment(world *w)
{
    uint8_t commitment[PN_HASH_LEN];

    if (w->send.aead != NULL && (w->settings & INITIATOR) != 0) {
        require(pn_compare_commit(&w->compare, commitment) == PN_OK);
        seal(w, commitment, sizeof(commitment));
    }
}

static void seal_answer(world *w, const uint8_t *data, size_t len)
{
    uint8_t text[ANSWER_TEXT] = {0};

    memcpy(text, data, len < 8 ? len : 8);
    w->sealed_yes = w->sealed_yes || text[0] == 1;
    seal(w, text, sizeof(text));
}

static void answer(world *w, bool yes)
{
    const pn_digits_offer offer = {.port = 1};

    w->owner_yes = w->owner_yes || (yes && pn_digits_is_asking(w->digits));
    pn_digits_answer(w->digits, w->now_us, yes, &offer);
}

/* Returns how many bytes of data belong to the step. */
static size_t take_step(world *w, uint8_t step, const uint8_t *data, size_t len)
{
    size_t n = 0;

    switch (step) {
    case STEP_HANDSHAKE:
        handshake_step(w);
        break;
    case STEP_SHORT:
        n = len < PN_HASH_LEN ? 0 : PN_HASH_LEN;
        if (n != 0) {
            seal(w, data, n);
        }
        break;
    case STEP_ANSWER:
        n = len < 8 ? len : 8;
        seal_answer(w, data, n);
        break;
    case STEP_COMMIT:
        seal_commitment(w);
        break;
    case STEP_NONCE:
        seal(w, w->compare.ours, sizeof(w->compare.ours));
        break;
    case STEP_YES:
    case STEP_NO:
        answer(w, step == STEP_YES);
        break;
    case STEP_CLOSED:
        pn_digits_closed(w->digits);
        break;
    case STEP_LATE:
        if (pn_digits_deadline(w->digits) != PN_TIME_NEVER) {
            w->now_us = pn_later(w->now_us, pn_digits_deadline(w->digits));
        }
        pn_digits_tick(w->digits, w->now_us);
        break;
    case STEP_FLUSH:
        pn_digits_sent(w->digits, pn_digits_output(w->digits).len);
        break;
    default:
        n = step < len ? step : len;
        n = n < STEP_RAW_MAX ? n : STEP_RAW_MAX;
        give(w, data, n);
        break;
    }
    return n;
}

static void check(const world *w)
{
    const pn_digits_outcome outcome = pn_digits_get_outcome(w->digits);
    const bool is_open = outcome == PN_DIGITS_OPEN;

    require(is_open == (pn_digits_deadline(w->digits) != PN_TIME_NEVER));
    require(!pn_digits_is_asking(w->digits)
            || (is_open && pn_digits_shown(w->digits) != NULL));
    require(pn_digits_shown(w->digits) == NULL || pn_digits_is_try(w->digits));
    require(outcome != PN_DIGITS_PAIRED || w->n_store == 1);
    require(outcome != PN_DIGITS_STORED
            || (w->n_store == 1 && (w->settings & INITIATOR) != 0));
    require(outcome != PN_DIGITS_PENDING || w->n_pend == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    world w = {.settings = size > 0 ? data[0] : 0};
    const pn_env env = {.user = &w, .random = counting};
    pn_digits_config config = {
        .is_initiator = (w.settings & INITIATOR) != 0,
        .identity = &w.ours,
        .env = &env,
        .callbacks = &callbacks,
        .user = &w,
        .answer_until_us = UNTIL_US,
        .n_digits = PN_COMPARE_DIGITS,
    };

    give(&w, NULL, 0);
    key_pair(&w.ours, 0x11);
    key_pair(&w.theirs, 0x77);
    require(pn_digits_new(&config, 0, &w.digits) == PN_OK);
    require(
        pn_handshake_new(&pn_noise_standard, !config.is_initiator, &w.theirs,
            (const uint8_t *)"peernet pairing: digits, version 1", 34, &env,
            &w.peer)
        == PN_OK);
    for (size_t at = 1; at < size;) {
        uint8_t step = data[at++];

        at += take_step(&w, step, data + at, size - at);
        check(&w);
    }
    pn_digits_free(w.digits);
    pn_handshake_free(w.peer);
    pn_cipher_fini(&w.send);
    pn_cipher_fini(&w.receive);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exchange of digits: docs/PROTOCOL.md, section 10.2. Every message has one
 * length, which the state knows; nothing is read before its tag verified.
 */
#include "digits.h"

#include "base/assert.h"
#include "base/mutant.h"
#include "noise/noise.h"

static const uint8_t prologue[] = "peernet pairing: digits, version 1";

enum {
    /* All that a responder says after M2: the other end may read nothing. */
    OUT_CAP = PN_DIGITS_COMMIT_LEN + PN_DIGITS_NONCE_LEN
              + 2 * PN_DIGITS_ANSWER_LEN
};

typedef enum answer { YES = 1, NO = 2, STORED = 3 } answer;

/* What it waits for, in the order of the protocol. */
typedef enum state {
    WAIT_M1,     /* responder */
    WAIT_M2,     /* initiator */
    WAIT_M3,     /* responder */
    WAIT_COMMIT, /* initiator */
    WAIT_NONCE,  /* both */
    WAIT_ANSWER, /* both: digits are shown; the answer of the other end */
    WAIT_OWNER,  /* initiator: the other end said yes */
    WAIT_STORED, /* initiator: stored, and said so */
    ENDED
} state;

#define N_STATES (ENDED + 1)

struct pn_digits {
    pn_digits_config config;
    pn_public_key expected;
    pn_public_key peer;
    bool has_peer;
    bool is_try;
    bool said_yes; /* our owner */
    state state;
    pn_digits_outcome outcome;
    uint64_t deadline_us;
    pn_handshake *handshake;
    pn_cipher send;
    pn_cipher receive;
    pn_compare compare;
    char digits[PN_COMPARE_DIGITS + 1]; /* empty: not yet */
    pn_digits_offer ours;
    pn_digits_offer theirs;
    size_t out_len;
    uint8_t out[OUT_CAP];
};

/* ---- output ------------------------------------------------------------ */

static uint8_t *out_room(pn_digits *d, size_t n)
{
    assert(n <= sizeof(d->out) - d->out_len);
    return d->out + d->out_len;
}

static pn_err put_handshake(pn_digits *d, size_t len)
{
    size_t n = 0;
    pn_err err = pn_handshake_write(
        d->handshake, NULL, 0, out_room(d, len), len, &n);

    assert(err != PN_OK || n == len);
    d->out_len += err == PN_OK ? n : 0;
    return err;
}

/* Seals len bytes of text. */
static pn_err put_sealed(pn_digits *d, const uint8_t *text, size_t len)
{
    uint8_t *at = out_room(d, len + PN_TAG_LEN);
    pn_err err;

    memcpy(at, text, len);
    err = pn_cipher_seal(&d->send, NULL, 0, at, len);
    d->out_len += err == PN_OK ? len + PN_TAG_LEN : 0;
    return err;
}

static pn_err put_answer(pn_digits *d, answer type)
{
    uint8_t text[PN_OFFER_TEXT_LEN];

    pn_offer_write(text, (uint8_t)type, type == YES ? &d->ours : NULL);
    return put_sealed(d, text, sizeof(text));
}

/* ---- the end ------------------------------------------------------------- */

static void end(pn_digits *d, pn_digits_outcome outcome)
{
    d->outcome = outcome;
    d->state = ENDED;
    d->deadline_us = PN_TIME_NEVER;
    pn_handshake_free(d->handshake);
    d->handshake = NULL;
    pn_compare_fini(&d->compare);
}

/* A no of ours; the other end is told if that is possible. */
static void end_with_no(pn_digits *d, pn_digits_outcome outcome)
{
    (void)put_answer(d, NO);
    end(d, outcome);
}

/* What an end without a word of the other end amounts to. */
static pn_digits_outcome unheard(const pn_digits *d, pn_digits_outcome outcome)
{
    if (d->state == WAIT_STORED) {
        return PN_DIGITS_STORED;
    }
    return d->said_yes && !d->config.is_initiator ? PN_DIGITS_PENDING : outcome;
}

static void fail(pn_digits *d, pn_err err, pn_digits_outcome by_peer)
{
    end(d, unheard(d, pn_err_is_peer(err) ? by_peer : PN_DIGITS_FAILED));
}

/* ---- the handshake ------------------------------------------------------- */

static pn_err read_handshake(pn_digits *d, const uint8_t *data, size_t len)
{
    uint8_t nothing;
    size_t n;

    return pn_handshake_read(d->handshake, data, len, &nothing, 0, &n);
}

static void fail_handshake(pn_digits *d, pn_err err)
{
    fail(d, err, err == PN_DENIED ? PN_DIGITS_OWN_KEY : PN_DIGITS_BROKEN);
}

/* The other end has proven its key. False: it ends here. */
static bool admit(pn_digits *d)
{
    const pn_public_key *peer = pn_handshake_peer(d->handshake);

    assert(peer != NULL);
    d->peer = *peer;
    d->has_peer = true;
    if (PN_REFUSE_IF(pairing_expected_key,
            d->config.expected != NULL
                && !pn_key_equal(&d->peer, &d->expected))) {
        end(d, PN_DIGITS_OTHER_KEY);
        return false;
    }
    if (!d->config.callbacks->may_pair(d->config.user, &d->peer)) {
        end(d, PN_DIGITS_DECLINED);
        return false;
    }
    return true;
}

/* The handshake is done: what follows is sealed. */
static pn_err enter_transport(pn_digits *d)
{
    pn_err err = pn_compare_init(&d->compare, d->config.is_initiator,
        &d->config.identity->public_key, &d->peer,
        pn_handshake_hash(d->handshake), d->config.env);

    if (err == PN_OK) {
        err = pn_handshake_split(d->handshake, &d->send, &d->receive);
    }
    pn_handshake_free(d->handshake);
    d->handshake = NULL;
    return err;
}

static void on_m1(pn_digits *d, uint8_t *data, size_t len)
{
    pn_err err = PN_MALFORMED;

    if (data[0] == PN_PAIRING_DIGITS) {
        err = read_handshake(d, data + 1, len - 1);
    }
    if (err == PN_OK) {
        err = put_handshake(d, PN_DIGITS_M2_LEN);
    }
    if (err != PN_OK) {
        fail_handshake(d, err);
        return;
    }
    d->state = WAIT_M3;
}

static void on_m2(pn_digits *d, uint8_t *data, size_t len)
{
    pn_err err = read_handshake(d, data, len);

    if (err == PN_OK) {
        if (!admit(d)) {
            return;
        }
        err = put_handshake(d, PN_DIGITS_M3_LEN);
    }
    if (err == PN_OK) {
        err = enter_transport(d);
    }
    if (err != PN_OK) {
        fail_handshake(d, err);
        return;
    }
    d->state = WAIT_COMMIT;
}

static void on_m3(pn_digits *d, uint8_t *data, size_t len)
{
    uint8_t commitment[PN_HASH_LEN];
    pn_err err = read_handshake(d, data, len);

    if (err == PN_OK) {
        if (!admit(d)) {
            return;
        }
        err = enter_transport(d);
    }
    if (err == PN_OK) {
        err = pn_compare_commit(&d->compare, commitment);
    }
    if (err == PN_OK) {
        err = put_sealed(d, commitment, sizeof(commitment));
    }
    if (err != PN_OK) {
        fail_handshake(d, err);
        return;
    }
    d->state = WAIT_NONCE;
}

/* ---- commit and reveal -----------------------------------------------------
 */

/* Opens a sealed message in place. False: it ends here. */
static bool open_sealed(pn_digits *d, uint8_t *data, size_t len)
{
    size_t n;
    pn_err err = pn_cipher_open(&d->receive, NULL, 0, data, len, &n);

    if (err != PN_OK) {
        fail(d, err, PN_DIGITS_BROKEN);
        return false;
    }
    return true;
}

static void on_commit(pn_digits *d, uint8_t *data, size_t len)
{
    pn_err err;

    if (!open_sealed(d, data, len)) {
        return;
    }
    pn_compare_committed(&d->compare, data);
    err = put_sealed(d, d->compare.ours, sizeof(d->compare.ours));
    if (err != PN_OK) {
        fail(d, err, PN_DIGITS_BROKEN);
        return;
    }
    /* The other end knows the digits from now on, and may have come for no
     * more. */
    d->is_try = true;
    d->state = WAIT_NONCE;
}

static void on_nonce(pn_digits *d, uint8_t *data, size_t len)
{
    pn_err err;

    if (!open_sealed(d, data, len)) {
        return;
    }
    d->is_try = true;
    err = pn_compare_reveal(&d->compare, data);
    if (err == PN_OK && !d->config.is_initiator) {
        err = put_sealed(d, d->compare.ours, sizeof(d->compare.ours));
    }
    if (err == PN_OK) {
        err = pn_compare_digits(&d->compare, d->config.n_digits, d->digits);
    }
    if (err != PN_OK) {
        fail(d, err, PN_DIGITS_CHEATED);
        return;
    }
    d->deadline_us = d->config.answer_until_us;
    d->state = WAIT_ANSWER;
}

/* ---- the answers ------------------------------------------------------------
 */

/* Reads an answer whose tag has been verified. */
static pn_err read_answer(const uint8_t text[static PN_OFFER_TEXT_LEN],
    answer *ret, pn_digits_offer *offer)
{
    uint8_t type = 0;
    pn_err err = pn_offer_read(text, &type, offer);

    if (err == PN_OK && (type < YES || type > STORED)) {
        err = PN_MALFORMED;
    }
    *ret = (answer)type;
    return err;
}

/* Both said yes: the only way to callbacks->store. */
static pn_err store(pn_digits *d)
{
    assert(d->digits[0] != '\0');
    return d->config.callbacks->store(d->config.user, &d->peer, &d->theirs);
}

/* The initiator stores before it speaks: the responder stores at our yes, or
 * at our next contact. */
static void initiator_agrees(pn_digits *d, uint64_t now_us)
{
    pn_err err = store(d);

    if (err != PN_OK) {
        end_with_no(d, PN_DIGITS_FAILED);
        return;
    }
    d->state = WAIT_STORED;
    d->deadline_us = now_us + PN_DIGITS_STORED_US;
    if (put_answer(d, YES) != PN_OK) {
        end(d, PN_DIGITS_STORED);
    }
}

static void initiator_hears_yes(pn_digits *d, uint64_t now_us)
{
    if (d->said_yes || !PN_SAFEGUARD(pairing_own_yes)) {
        initiator_agrees(d, now_us);
    } else {
        d->state = WAIT_OWNER;
    }
}

static void responder_hears_yes(pn_digits *d)
{
    /* The initiator's yes comes after ours only. */
    if (PN_REFUSE_IF(pairing_yes_too_early, !d->said_yes)) {
        end(d, PN_DIGITS_BROKEN);
    } else if (store(d) != PN_OK) {
        end(d, PN_DIGITS_FAILED);
    } else {
        (void)put_answer(d, STORED);
        end(d, PN_DIGITS_PAIRED);
    }
}

static void hears_no(pn_digits *d)
{
    if (d->said_yes && !d->config.is_initiator
        && PN_SAFEGUARD(pairing_no_unpends)) {
        d->config.callbacks->unpend(d->config.user, &d->peer);
    }
    end(d, PN_DIGITS_NO_THERE);
}

static void on_answer(pn_digits *d, uint64_t now_us, uint8_t *data, size_t len)
{
    answer type;

    if (!open_sealed(d, data, len)) {
        return;
    }
    if (read_answer(data, &type, &d->theirs) != PN_OK) {
        fail(d, PN_MALFORMED, PN_DIGITS_BROKEN);
    } else if (d->state == WAIT_STORED) {
        end(d, type == STORED ? PN_DIGITS_PAIRED : PN_DIGITS_STORED);
    } else if (type == NO) {
        hears_no(d);
    } else if (type != YES) {
        fail(d, PN_MALFORMED, PN_DIGITS_BROKEN);
    } else if (d->config.is_initiator) {
        initiator_hears_yes(d, now_us);
    } else {
        responder_hears_yes(d);
    }
}

void pn_digits_answer(
    pn_digits *d, uint64_t now_us, bool yes, const pn_digits_offer *offer)
{
    if (!pn_digits_is_asking(d)) {
        return;
    }
    if (!yes) {
        end_with_no(d, PN_DIGITS_NO_HERE);
        return;
    }
    d->ours = *offer;
    if (!d->config.is_initiator) {
        if (PN_SAFEGUARD(pairing_pend_first)
            && d->config.callbacks->pend(d->config.user, &d->peer) != PN_OK) {
            end_with_no(d, PN_DIGITS_FAILED);
            return;
        }
        d->said_yes = true;
        if (put_answer(d, YES) != PN_OK) {
            end(d, PN_DIGITS_PENDING);
        }
        return;
    }
    d->said_yes = true;
    if (d->state == WAIT_OWNER || !PN_SAFEGUARD(pairing_their_yes)) {
        initiator_agrees(d, now_us);
    }
}

/* ---- input ------------------------------------------------------------------
 */

/* The length of the message that each state takes; 0: no byte is in place. */
static const size_t takes[N_STATES] = {
    [WAIT_M1] = PN_DIGITS_M1_LEN,
    [WAIT_M2] = PN_DIGITS_M2_LEN,
    [WAIT_M3] = PN_DIGITS_M3_LEN,
    [WAIT_COMMIT] = PN_DIGITS_COMMIT_LEN,
    [WAIT_NONCE] = PN_DIGITS_NONCE_LEN,
    [WAIT_ANSWER] = PN_DIGITS_ANSWER_LEN,
    [WAIT_STORED] = PN_DIGITS_ANSWER_LEN,
};

static void take(pn_digits *d, uint64_t now_us, uint8_t *data, size_t len)
{
    switch (d->state) {
    case WAIT_M1:
        on_m1(d, data, len);
        break;
    case WAIT_M2:
        on_m2(d, data, len);
        break;
    case WAIT_M3:
        on_m3(d, data, len);
        break;
    case WAIT_COMMIT:
        on_commit(d, data, len);
        break;
    case WAIT_NONCE:
        on_nonce(d, data, len);
        break;
    case WAIT_ANSWER:
    case WAIT_STORED:
        on_answer(d, now_us, data, len);
        break;
    case WAIT_OWNER: /* the other end has nothing to add */
        end(d, PN_DIGITS_BROKEN);
        break;
    case ENDED:
        break;
    }
}

size_t pn_digits_input(
    pn_digits *d, uint64_t now_us, uint8_t *data, size_t len, size_t *ret_want)
{
    size_t used = 0;

    while (d->state != ENDED && len - used >= takes[d->state] && len > used) {
        size_t n = takes[d->state];

        take(d, now_us, data + used, n);
        used += n;
    }
    *ret_want = takes[d->state];
    return d->state == ENDED ? len : used;
}

pn_slice pn_digits_output(const pn_digits *d)
{
    return (pn_slice){d->out, d->out_len};
}

void pn_digits_sent(pn_digits *d, size_t n)
{
    assert(n <= d->out_len);
    memmove(d->out, d->out + n, d->out_len - n);
    d->out_len -= n;
}

void pn_digits_closed(pn_digits *d)
{
    if (d->state != ENDED) {
        end(d, unheard(d, PN_DIGITS_LOST));
    }
}

void pn_digits_tick(pn_digits *d, uint64_t now_us)
{
    pn_digits_outcome outcome;

    if (PN_REFUSE_IF(pairing_deadline, now_us >= d->deadline_us)) {
        outcome = unheard(d, PN_DIGITS_LATE);
        /* Who showed digits tells the other end that no yes follows. */
        if (outcome == PN_DIGITS_LATE && d->digits[0] != '\0') {
            end_with_no(d, outcome);
        } else {
            end(d, outcome);
        }
    }
}

/* ---- life ------------------------------------------------------------------
 */

pn_err pn_digits_new(
    const pn_digits_config *config, uint64_t now_us, pn_digits **ret_digits)
{
    pn_digits *d = pn_secure_alloc(sizeof(*d));
    pn_err err;

    if (d == NULL) {
        return PN_NOMEM;
    }
    d->config = *config;
    if (config->expected != NULL) {
        d->expected = *config->expected;
    }
    d->deadline_us = now_us + PN_DIGITS_EXCHANGE_US;
    d->state = config->is_initiator ? WAIT_M2 : WAIT_M1;
    err = pn_handshake_new(&pn_noise_standard, config->is_initiator,
        config->identity, prologue, sizeof(prologue) - 1, config->env,
        &d->handshake);
    if (err == PN_OK && config->is_initiator) {
        d->out[d->out_len++] = PN_PAIRING_DIGITS;
        err = put_handshake(d, PN_DIGITS_M1_LEN - 1);
    }
    if (err != PN_OK) {
        pn_digits_free(d);
        return err;
    }
    *ret_digits = d;
    return PN_OK;
}

void pn_digits_free(pn_digits *d)
{
    if (d == NULL) {
        return;
    }
    pn_handshake_free(d->handshake);
    pn_cipher_fini(&d->send);
    pn_cipher_fini(&d->receive);
    pn_secure_free(d, sizeof(*d));
}

uint64_t pn_digits_deadline(const pn_digits *d)
{
    return d->deadline_us;
}

pn_digits_outcome pn_digits_get_outcome(const pn_digits *d)
{
    return d->outcome;
}

const char *pn_digits_shown(const pn_digits *d)
{
    return d->digits[0] == '\0' ? NULL : d->digits;
}

bool pn_digits_is_asking(const pn_digits *d)
{
    return (d->state == WAIT_ANSWER || d->state == WAIT_OWNER) && !d->said_yes;
}

const pn_public_key *pn_digits_peer(const pn_digits *d)
{
    return d->has_peer ? &d->peer : NULL;
}

bool pn_digits_is_try(const pn_digits *d)
{
    return d->is_try;
}

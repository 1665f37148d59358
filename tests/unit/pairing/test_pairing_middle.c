/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A man in the middle of two owners who compare digits (PAIR-1). He is the
 * responder to one victim and the initiator to the other, and wants both to
 * show the same digits. With the digits cut to three he succeeds once in a
 * thousand windows, whichever side he runs first.
 */
#include "pairing_rig.h"

enum { WINDOWS = 100000, DIGITS = 3, GROUND_WINDOWS = 100, GRINDS = 20000 };

/* The victims, and his two ends. */
typedef struct middle {
    pn_env env;
    uint64_t seed;
    pn_public_key keys[3]; /* victim who dials, he, victim who is dialled */
    uint8_t hash[2][PN_HASH_LEN];
    pn_compare dialler; /* meets as_responder */
    pn_compare as_responder;
    pn_compare as_initiator;
    pn_compare dialled; /* meets as_initiator */
} middle;

static pn_err draw(void *user, uint8_t *buf, size_t len)
{
    uint64_t *seed = user;
    uint64_t word = 0;

    for (size_t i = 0; i < len; i++) {
        word = i % 8 == 0 ? pn_test_random(seed) : word >> 8;
        buf[i] = (uint8_t)word;
    }
    return PN_OK;
}

static void middle_init(middle *m, uint64_t seed)
{
    *m = (middle){.seed = seed};
    m->env = (pn_env){.user = &m->seed, .random = draw};
    for (size_t i = 0; i < 3; i++) {
        (void)draw(&m->seed, m->keys[i].bytes, PN_KEY_LEN);
    }
}

/* Two new handshakes, whose hashes he cannot make equal. */
static void middle_begin(middle *m)
{
    pn_err err = PN_OK;

    (void)draw(&m->seed, m->hash[0], PN_HASH_LEN);
    (void)draw(&m->seed, m->hash[1], PN_HASH_LEN);
    err = pn_compare_init(
        &m->dialler, true, &m->keys[0], &m->keys[1], m->hash[0], &m->env);
    assert_int_equal(err, PN_OK);
    err = pn_compare_init(
        &m->as_responder, false, &m->keys[1], &m->keys[0], m->hash[0], &m->env);
    assert_int_equal(err, PN_OK);
    err = pn_compare_init(
        &m->as_initiator, true, &m->keys[1], &m->keys[2], m->hash[1], &m->env);
    assert_int_equal(err, PN_OK);
    err = pn_compare_init(
        &m->dialled, false, &m->keys[2], &m->keys[1], m->hash[1], &m->env);
    assert_int_equal(err, PN_OK);
}

static void digits_of(const pn_compare *c, char ret_digits[static 7])
{
    assert_int_equal(pn_compare_digits(c, DIGITS, ret_digits), PN_OK);
}

/* commit, nonce, reveal between two ends. */
static void exchange(pn_compare *initiator, pn_compare *responder)
{
    uint8_t commitment[PN_HASH_LEN];

    assert_int_equal(pn_compare_commit(responder, commitment), PN_OK);
    pn_compare_committed(initiator, commitment);
    assert_int_equal(pn_compare_reveal(responder, initiator->ours), PN_OK);
    assert_int_equal(pn_compare_reveal(initiator, responder->ours), PN_OK);
}

/* He needs equal digits on both screens. */
static bool has_matched(const middle *m)
{
    char one[7];
    char other[7];

    digits_of(&m->dialler, one);
    digits_of(&m->dialled, other);
    return strcmp(one, other) == 0;
}

/* He goes through one exchange, then does what he can in the other. */
static bool attack_dialled_first(middle *m)
{
    exchange(&m->as_initiator, &m->dialled);
    exchange(&m->dialler, &m->as_responder);
    return has_matched(m);
}

/* He knows the dialler's digits before he sends a nonce to the other, and picks
 * one of many; it does not help, because the other's nonce is hidden. */
static bool attack_dialler_first(middle *m)
{
    uint8_t commitment[PN_HASH_LEN];

    exchange(&m->dialler, &m->as_responder);
    assert_int_equal(pn_compare_commit(&m->dialled, commitment), PN_OK);
    for (size_t i = 0; i < PN_COMPARE_NONCE_LEN; i++) {
        m->as_initiator.ours[i] ^= commitment[i];
    }
    exchange(&m->as_initiator, &m->dialled);
    return has_matched(m);
}

typedef bool attack(middle *m);

static unsigned count(attack *run, unsigned windows, uint64_t seed)
{
    unsigned matched = 0;
    middle m;

    middle_init(&m, seed);
    for (unsigned i = 0; i < windows; i++) {
        middle_begin(&m);
        matched += run(&m) ? 1 : 0;
    }
    return matched;
}

/* 100,000 windows, one in a thousand: the mean is 100, sigma 9.995. */
static void check_rate(attack *run, uint64_t seed, const char *name)
{
    unsigned matched = count(run, WINDOWS, seed);

    print_message("# %s: %u of %d windows\n", name, matched, WINDOWS);
    assert_in_range(matched, 100 - 30, 100 + 30);
}

static void test_dialled_first(void **state)
{
    (void)state;
    check_rate(attack_dialled_first, 1, "dialled first");
}

static void test_dialler_first(void **state)
{
    (void)state;
    check_rate(attack_dialler_first, 2, "dialler first");
}

/* He commits to one nonce and reveals another, with which the digits match. */
static bool attack_by_grinding(middle *m)
{
    uint8_t commitment[PN_HASH_LEN];
    char wanted[7];
    char got[7] = "";

    exchange(&m->as_initiator, &m->dialled);
    digits_of(&m->dialled, wanted);
    assert_int_equal(pn_compare_commit(&m->as_responder, commitment), PN_OK);
    pn_compare_committed(&m->dialler, commitment);
    assert_int_equal(
        pn_compare_reveal(&m->as_responder, m->dialler.ours), PN_OK);
    for (unsigned i = 0; i < GRINDS && strcmp(got, wanted) != 0; i++) {
        (void)draw(&m->seed, m->as_responder.ours, PN_COMPARE_NONCE_LEN);
        digits_of(&m->as_responder, got);
    }
    return strcmp(got, wanted) == 0
           && pn_compare_reveal(&m->dialler, m->as_responder.ours) == PN_OK
           && has_matched(m);
}

/* Without the check of the commitment he has every window. */
static void test_grinding(void **state)
{
    (void)state;
    assert_int_equal(count(attack_by_grinding, GROUND_WINDOWS, 3), 0);
}

/* The same through both whole exchanges, with the digits cut to one. */
static void test_whole(void **state)
{
    enum { TRIES = 300 };
    unsigned matched = 0;

    (void)state;
    for (unsigned i = 0; i < TRIES; i++) {
        pairing_rig left; /* the dialler is left.a, he is left.b */
        pairing_rig right;

        pairing_rig_init(&left, 10000 + 10 * i);
        pairing_rig_init(&right, 10005 + 10 * i);
        left.b.identity = right.a.identity; /* he is one person */
        pairing_rig_start(&left, 1);
        pairing_rig_start(&right, 1);
        pairing_rig_run(&right);
        pairing_rig_run(&left);
        matched += strcmp(pn_digits_shown(left.a.digits),
                       pn_digits_shown(right.b.digits))
                           == 0
                       ? 1
                       : 0;
        pairing_rig_fini(&left);
        pairing_rig_fini(&right);
    }
    /* The mean is 30, sigma 5.2. */
    print_message("# whole exchanges: %u of %d\n", matched, TRIES);
    assert_in_range(matched, 30 - 16, 30 + 16);
}

int main(void)
{
    pn_test_add("pairing/middle/dialled_first", test_dialled_first, NULL);
    pn_test_add("pairing/middle/dialler_first", test_dialler_first, NULL);
    pn_test_add("pairing/middle/grinding", test_grinding, NULL);
    pn_test_add("pairing/middle/whole_exchanges", test_whole, NULL);
    return pn_test_run("pairing/middle");
}

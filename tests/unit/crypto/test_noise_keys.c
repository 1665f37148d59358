/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BAD-8, T29, T31 and T34: keys that no honest peer sends, in messages that
 * are otherwise perfect. The attacker here knows that a multiplication with a
 * low-order point gives zero and goes on from there, so nothing but the check
 * of the result stands in the way.
 */
#include "noise/symmetric_state.h"
#include "noise_pair.h"

#define NAME "Noise_XX_25519_ChaChaPoly_SHA256"

typedef struct point {
    const char *name;
    const char *hex;
    bool is_low_order;
} point;

/* The points of order 1, 2, 4 and 8 in every encoding X25519 takes for them,
 * then the encodings above p that mask to ordinary points. */
static const point points[] = {
    {"zero", "0000000000000000000000000000000000000000000000000000000000000000",
        true},
    {"one", "0100000000000000000000000000000000000000000000000000000000000000",
        true},
    {"order_8_a",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        true},
    {"order_8_b",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        true},
    {"p_minus_1",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        true},
    {"p", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        true},
    {"p_plus_1",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        true},
    {"zero_top_bit",
        "0000000000000000000000000000000000000000000000000000000000000080",
        true},
    {"one_top_bit",
        "0100000000000000000000000000000000000000000000000000000000000080",
        true},
    {"order_8_a_top_bit",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880",
        true},
    {"order_8_b_top_bit",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11d7",
        true},
    {"p_minus_1_top_bit",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        true},
    {"p_top_bit",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        true},
    {"p_plus_1_top_bit",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        true},
    {"p_plus_order_8_a",
        "cdeb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880",
        false},
    {"p_plus_order_8_b",
        "4c9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11d7",
        false},
    {"2p_minus_1",
        "d9ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        false},
    {"2p", "daffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        false},
    {"2p_plus_1",
        "dbffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        false},
};
#define N_POINTS (sizeof(points) / sizeof(points[0]))

static const uint8_t zero[PN_KEY_LEN];

/* An attacker writes messages token by token, with whatever keys. */
typedef struct attacker {
    pn_symmetric symmetric;
    pn_key_pair e;
    pn_key_pair s;
    uint8_t out[128];
    size_t len;
} attacker;

static void attacker_init(attacker *a)
{
    uint8_t secret[PN_KEY_LEN];

    memset(a, 0, sizeof(*a));
    memset(secret, 0x55, sizeof(secret));
    noise_key_pair(&a->e, secret);
    memset(secret, 0x66, sizeof(secret));
    noise_key_pair(&a->s, secret);
    assert_int_equal(
        pn_symmetric_init(&a->symmetric, NAME, sizeof(NAME) - 1), PN_OK);
}

static void say_e(attacker *a, const uint8_t *key)
{
    a->len = 0;
    memcpy(a->out, key, PN_KEY_LEN);
    a->len += PN_KEY_LEN;
    assert_int_equal(
        pn_symmetric_mix_hash(&a->symmetric, key, PN_KEY_LEN), PN_OK);
}

static void hear_e(attacker *a, const uint8_t *key)
{
    assert_int_equal(
        pn_symmetric_mix_hash(&a->symmetric, key, PN_KEY_LEN), PN_OK);
}

static void say(attacker *a, const uint8_t *bytes, size_t len)
{
    assert_int_equal(
        pn_symmetric_encrypt(&a->symmetric, bytes, len, a->out + a->len),
        PN_OK);
    a->len += len + PN_TAG_LEN;
}

static void mix(attacker *a, const uint8_t *shared)
{
    assert_int_equal(pn_symmetric_mix_key(&a->symmetric, shared), PN_OK);
}

static void mix_dh(attacker *a, const pn_key_pair *ours, const uint8_t *theirs)
{
    pn_public_key key;
    uint8_t shared[PN_KEY_LEN];

    memcpy(key.bytes, theirs, PN_KEY_LEN);
    assert_int_equal(pn_x25519(&ours->secret, &key, shared), PN_OK);
    mix(a, shared);
}

/* ---- the victims --------------------------------------------------------- */

static void victim_init(noise_end *end, bool initiator)
{
    uint8_t s[PN_KEY_LEN];
    uint8_t e[PN_KEY_LEN];

    memset(s, 0x33, sizeof(s));
    memset(e, 0x44, sizeof(e));
    noise_end_init(end, s, e);
    noise_end_start(end, &pn_noise_peernet_0_1, initiator, NULL, 0);
}

static void victim_says_m1(noise_end *end, attacker *a, uint8_t m1[static 32])
{
    size_t n;

    assert_int_equal(
        pn_handshake_write(end->handshake, NULL, 0, m1, 32, &n), PN_OK);
    hear_e(a, m1);
}

static pn_err victim_hears(noise_end *end, const attacker *a)
{
    size_t n;

    return pn_handshake_read(end->handshake, a->out, a->len, NULL, 0, &n);
}

static void check_refused_as(noise_end *end, pn_err err, pn_err want)
{
    assert_int_equal(err, want);
    assert_null(pn_handshake_peer(end->handshake));
    assert_false(pn_handshake_is_done(end->handshake));
}

static void check_refused(noise_end *end, pn_err err)
{
    check_refused_as(end, err, PN_AUTH);
}

/* M2 with the given ephemeral and static keys; NULL: the attacker's own, and
 * an honest multiplication. */
static pn_err answer_m1(noise_end *victim, const uint8_t *e, const uint8_t *s)
{
    attacker a;
    uint8_t m1[32];

    attacker_init(&a);
    victim_says_m1(victim, &a, m1);
    say_e(&a, e != NULL ? e : a.e.public_key.bytes);
    if (e != NULL) {
        mix(&a, zero);
    } else {
        mix_dh(&a, &a.e, m1);
    }
    say(&a, s != NULL ? s : a.s.public_key.bytes, PN_KEY_LEN);
    if (s != NULL) {
        mix(&a, zero);
    } else {
        mix_dh(&a, &a.s, m1);
    }
    say(&a, NULL, 0);
    return victim_hears(victim, &a);
}

/* M1 with an honest key, then M3 with the given static key. */
static pn_err finish_with(noise_end *victim, const uint8_t *s)
{
    attacker a;
    uint8_t m2[96];
    uint8_t rs[PN_KEY_LEN];
    size_t n;

    attacker_init(&a);
    say_e(&a, a.e.public_key.bytes);
    assert_int_equal(victim_hears(victim, &a), PN_OK);
    assert_int_equal(
        pn_handshake_write(victim->handshake, NULL, 0, m2, sizeof(m2), &n),
        PN_OK);
    hear_e(&a, m2);
    mix_dh(&a, &a.e, m2);
    assert_int_equal(
        pn_symmetric_decrypt(&a.symmetric, m2 + 32, 48, rs), PN_OK);
    mix_dh(&a, &a.e, rs);
    assert_int_equal(
        pn_symmetric_decrypt(&a.symmetric, m2 + 80, 16, rs), PN_OK);
    a.len = 0;
    say(&a, s != NULL ? s : a.s.public_key.bytes, PN_KEY_LEN);
    if (s != NULL) {
        mix(&a, zero);
    } else {
        mix_dh(&a, &a.s, m2);
    }
    say(&a, NULL, 0);
    return victim_hears(victim, &a);
}

/* ---- rows ---------------------------------------------------------------- */

static uint8_t *bytes_of(const point *p)
{
    size_t len;

    return pn_unhex(p->hex, &len);
}

static void test_e_in_m1(void **state)
{
    const point *p = *state;
    uint8_t *bytes = bytes_of(p);
    uint8_t m2[96];
    noise_end victim;
    attacker a;
    size_t n;

    victim_init(&victim, false);
    attacker_init(&a);
    say_e(&a, bytes);
    assert_int_equal(victim_hears(&victim, &a), PN_OK);
    if (p->is_low_order) {
        check_refused(&victim,
            pn_handshake_write(victim.handshake, NULL, 0, m2, sizeof(m2), &n));
    } else {
        /* It is answered, and the answer is useless without the private key. */
        assert_int_equal(
            pn_handshake_write(victim.handshake, NULL, 0, m2, sizeof(m2), &n),
            PN_OK);
        mix(&a, zero);
        a.len = 0;
        say(&a, a.s.public_key.bytes, PN_KEY_LEN);
        say(&a, NULL, 0);
        check_refused(&victim, victim_hears(&victim, &a));
    }
    noise_end_fini(&victim);
    free(bytes);
}

static void test_e_in_m2(void **state)
{
    uint8_t *bytes = bytes_of(*state);
    noise_end victim;

    victim_init(&victim, true);
    check_refused(&victim, answer_m1(&victim, bytes, NULL));
    noise_end_fini(&victim);
    free(bytes);
}

static void test_s_in_m2(void **state)
{
    uint8_t *bytes = bytes_of(*state);
    noise_end victim;

    victim_init(&victim, true);
    check_refused(&victim, answer_m1(&victim, NULL, bytes));
    noise_end_fini(&victim);
    free(bytes);
}

static void test_s_in_m3(void **state)
{
    uint8_t *bytes = bytes_of(*state);
    noise_end victim;

    victim_init(&victim, false);
    check_refused(&victim, finish_with(&victim, bytes));
    noise_end_fini(&victim);
    free(bytes);
}

/* The attacker of this file with its own keys is an ordinary peer: without
 * this the refusals above would show nothing. */
static void test_attacker_is_able(void **state)
{
    noise_end victim;

    (void)state;
    victim_init(&victim, true);
    assert_int_equal(answer_m1(&victim, NULL, NULL), PN_OK);
    assert_non_null(pn_handshake_peer(victim.handshake));
    noise_end_fini(&victim);
    victim_init(&victim, false);
    assert_int_equal(finish_with(&victim, NULL), PN_OK);
    assert_true(pn_handshake_is_done(victim.handshake));
    noise_end_fini(&victim);
}

typedef enum spelling { AS_IT_IS, TOP_BIT } spelling;

static const spelling spellings[] = {AS_IT_IS, TOP_BIT};

static void respell(uint8_t key[static PN_KEY_LEN], spelling how)
{
    if (how == TOP_BIT) {
        key[PN_KEY_LEN - 1] |= 0x80;
    }
}

/* T34: the answer carries our own ephemeral. The secret is known to the test
 * only, so that everything else about the message is right. */
static void test_own_e_in_m2(void **state)
{
    const spelling *how = *state;
    noise_end victim;
    attacker a;
    uint8_t m1[32];

    victim_init(&victim, true);
    attacker_init(&a);
    victim_says_m1(&victim, &a, m1);
    memset(&a.e.secret, 0x44, PN_KEY_LEN);
    memcpy(a.e.public_key.bytes, m1, PN_KEY_LEN);
    respell(a.e.public_key.bytes, *how);
    say_e(&a, a.e.public_key.bytes);
    mix_dh(&a, &a.e, m1);
    say(&a, a.s.public_key.bytes, PN_KEY_LEN);
    mix_dh(&a, &a.s, m1);
    say(&a, NULL, 0);
    check_refused(&victim, victim_hears(&victim, &a));
    noise_end_fini(&victim);
}

/* T34: as responder we have drawn what we were sent. */
static void test_own_e_in_m1(void **state)
{
    const spelling *how = *state;
    noise_end victim;
    attacker a;
    uint8_t m2[96];
    size_t n;

    victim_init(&victim, false);
    attacker_init(&a);
    memset(&a.e.secret, 0x44, PN_KEY_LEN);
    assert_int_equal(pn_x25519_public(&a.e.secret, &a.e.public_key), PN_OK);
    respell(a.e.public_key.bytes, *how);
    say_e(&a, a.e.public_key.bytes);
    assert_int_equal(victim_hears(&victim, &a), PN_OK);
    check_refused(&victim,
        pn_handshake_write(victim.handshake, NULL, 0, m2, sizeof(m2), &n));
    noise_end_fini(&victim);
}

/* T34: a peer holds our own key, and proves it. */
static void steal_identity(attacker *a, const noise_end *victim, spelling how)
{
    a->s = victim->identity;
    respell(a->s.public_key.bytes, how);
}

static void test_own_s_in_m2(void **state)
{
    const spelling *how = *state;
    noise_end victim;
    attacker a;
    uint8_t m1[32];

    victim_init(&victim, true);
    attacker_init(&a);
    steal_identity(&a, &victim, *how);
    victim_says_m1(&victim, &a, m1);
    say_e(&a, a.e.public_key.bytes);
    mix_dh(&a, &a.e, m1);
    say(&a, a.s.public_key.bytes, PN_KEY_LEN);
    mix_dh(&a, &a.s, m1);
    say(&a, NULL, 0);
    check_refused_as(&victim, victim_hears(&victim, &a), PN_DENIED);
    noise_end_fini(&victim);
}

static void test_own_s_in_m3(void **state)
{
    const spelling *how = *state;
    noise_end victim;
    attacker a;
    uint8_t m2[96];
    uint8_t rs[PN_KEY_LEN];
    size_t n;

    victim_init(&victim, false);
    attacker_init(&a);
    steal_identity(&a, &victim, *how);
    say_e(&a, a.e.public_key.bytes);
    assert_int_equal(victim_hears(&victim, &a), PN_OK);
    assert_int_equal(
        pn_handshake_write(victim.handshake, NULL, 0, m2, sizeof(m2), &n),
        PN_OK);
    hear_e(&a, m2);
    mix_dh(&a, &a.e, m2);
    assert_int_equal(
        pn_symmetric_decrypt(&a.symmetric, m2 + 32, 48, rs), PN_OK);
    mix_dh(&a, &a.e, rs);
    assert_int_equal(
        pn_symmetric_decrypt(&a.symmetric, m2 + 80, 16, rs), PN_OK);
    a.len = 0;
    say(&a, a.s.public_key.bytes, PN_KEY_LEN);
    mix_dh(&a, &a.s, m2);
    say(&a, NULL, 0);
    check_refused_as(&victim, victim_hears(&victim, &a), PN_DENIED);
    noise_end_fini(&victim);
}

/* ---- T29: our own key is stolen ---------------------------------------- */

/* The thief of our static key claims a friend's key, and tries to prove it with
 * the secrets that it has. Only the friend's own secret proves it. */
typedef enum proof_secret {
    STOLEN,
    EPHEMERAL,
    FRIENDS, /* the control: no thief has it */
} proof_secret;

typedef struct proof {
    const char *name;
    proof_secret secret;
    bool with_friend; /* with the friend's key, else with our ephemeral */
} proof;

static const proof proofs[] = {
    {"stolen_times_our_ephemeral", STOLEN, false},
    {"ephemeral_times_our_ephemeral", EPHEMERAL, false},
    {"stolen_times_friend", STOLEN, true},
    {"ephemeral_times_friend", EPHEMERAL, true},
    {"control", FRIENDS, false},
};

static void friend_of_ours(pn_key_pair *friend)
{
    uint8_t secret[PN_KEY_LEN];

    memset(secret, 0x77, sizeof(secret));
    noise_key_pair(friend, secret);
}

static void mix_proof(attacker *a, const proof *p, const noise_end *victim,
    const pn_key_pair *friend, const uint8_t *our_e)
{
    const pn_key_pair *with = &a->e;

    if (p->secret == STOLEN) {
        with = &victim->identity;
    } else if (p->secret == FRIENDS) {
        with = friend;
    }
    mix_dh(a, with, p->with_friend ? friend->public_key.bytes : our_e);
}

static void check_proof(noise_end *victim, const proof *p, pn_err err)
{
    if (p->secret == FRIENDS) {
        assert_int_equal(err, PN_OK);
        assert_non_null(pn_handshake_peer(victim->handshake));
    } else {
        check_refused(victim, err);
    }
    noise_end_fini(victim);
}

static void test_t29_as_initiator(void **state)
{
    const proof *p = *state;
    noise_end victim;
    pn_key_pair friend;
    attacker a;
    uint8_t m2[96];
    uint8_t rs[PN_KEY_LEN];
    size_t n;

    victim_init(&victim, false);
    friend_of_ours(&friend);
    attacker_init(&a);
    say_e(&a, a.e.public_key.bytes);
    assert_int_equal(victim_hears(&victim, &a), PN_OK);
    assert_int_equal(
        pn_handshake_write(victim.handshake, NULL, 0, m2, sizeof(m2), &n),
        PN_OK);
    hear_e(&a, m2);
    mix_dh(&a, &a.e, m2);
    assert_int_equal(
        pn_symmetric_decrypt(&a.symmetric, m2 + 32, 48, rs), PN_OK);
    mix_dh(&a, &a.e, rs);
    assert_int_equal(
        pn_symmetric_decrypt(&a.symmetric, m2 + 80, 16, rs), PN_OK);
    a.len = 0;
    say(&a, friend.public_key.bytes, PN_KEY_LEN);
    mix_proof(&a, p, &victim, &friend, m2);
    say(&a, NULL, 0);
    check_proof(&victim, p, victim_hears(&victim, &a));
}

static void test_t29_as_responder(void **state)
{
    const proof *p = *state;
    noise_end victim;
    pn_key_pair friend;
    attacker a;
    uint8_t m1[32];

    victim_init(&victim, true);
    friend_of_ours(&friend);
    attacker_init(&a);
    victim_says_m1(&victim, &a, m1);
    say_e(&a, a.e.public_key.bytes);
    mix_dh(&a, &a.e, m1);
    say(&a, friend.public_key.bytes, PN_KEY_LEN);
    mix_proof(&a, p, &victim, &friend, m1);
    say(&a, NULL, 0);
    check_proof(&victim, p, victim_hears(&victim, &a));
}

int main(void)
{
    static const struct {
        const char *name;
        CMUnitTestFunction run;
    } places[] = {{"e_in_m1", test_e_in_m1}, {"e_in_m2", test_e_in_m2},
        {"s_in_m2", test_s_in_m2}, {"s_in_m3", test_s_in_m3}},
      own[] = {{"e_in_m1", test_own_e_in_m1}, {"e_in_m2", test_own_e_in_m2},
          {"s_in_m2", test_own_s_in_m2}, {"s_in_m3", test_own_s_in_m3}};

    pn_test_add("noise/keys/attacker_is_able", test_attacker_is_able, NULL);
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < N_POINTS; k++) {
            pn_test_addf(places[i].run, (void *)(uintptr_t)&points[k],
                "noise/keys/%s/%s", places[i].name, points[k].name);
        }
        for (size_t k = 0; k < 2; k++) {
            pn_test_addf(own[i].run, (void *)(uintptr_t)&spellings[k],
                "noise/keys/our_own_%s%s", own[i].name,
                spellings[k] == TOP_BIT ? "_top_bit" : "");
        }
    }
    for (size_t i = 0; i < sizeof(proofs) / sizeof(proofs[0]); i++) {
        pn_test_addf(test_t29_as_initiator, (void *)(uintptr_t)&proofs[i],
            "noise/t29/as_initiator/%s", proofs[i].name);
        pn_test_addf(test_t29_as_responder, (void *)(uintptr_t)&proofs[i],
            "noise/t29/as_responder/%s", proofs[i].name);
    }
    return pn_test_run("noise/keys");
}

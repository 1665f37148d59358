/* SPDX-License-Identifier: Apache-2.0 */
/* One exchange of digits: what each end shows, stores and refuses (PAIR-1,
 * PAIR-2). */
#include "pairing_rig.h"

#define ANSWER_TEXT (PN_DIGITS_ANSWER_LEN - PN_TAG_LEN)

static void rig_shown(pairing_rig *rig, uint64_t seed)
{
    pairing_rig_init(rig, seed);
    pairing_rig_start(rig, PN_COMPARE_DIGITS);
    pairing_rig_run(rig);
}

static pn_digits_outcome outcome(const pairing_end *end)
{
    return pn_digits_get_outcome(end->digits);
}

static void assert_not_stored(const pairing_rig *rig)
{
    assert_false(rig->a.is_stored);
    assert_false(rig->b.is_stored);
}

/* ---- the ordinary way ------------------------------------------------------
 */

static void test_paired(void **state)
{
    const bool initiator_first = *state != NULL;
    pairing_rig rig;
    const char *digits;

    rig_shown(&rig, 1);
    digits = pn_digits_shown(rig.a.digits);
    assert_non_null(digits);
    assert_int_equal(strlen(digits), PN_COMPARE_DIGITS);
    assert_int_equal(strspn(digits, "0123456789"), PN_COMPARE_DIGITS);
    assert_string_equal(digits, pn_digits_shown(rig.b.digits));
    assert_true(pn_digits_is_asking(rig.a.digits));
    assert_true(pn_digits_is_asking(rig.b.digits));
    pairing_rig_answer(&rig, initiator_first ? &rig.a : &rig.b, true);
    assert_not_stored(&rig);
    assert_true(rig.b.is_pending == !initiator_first);
    pairing_rig_answer(&rig, initiator_first ? &rig.b : &rig.a, true);
    assert_int_equal(outcome(&rig.a), PN_DIGITS_PAIRED);
    assert_int_equal(outcome(&rig.b), PN_DIGITS_PAIRED);
    assert_true(rig.a.is_stored && rig.b.is_stored);
    assert_true(rig.a.had_said_yes && rig.b.had_said_yes);
    assert_int_equal(rig.a.n_store, 1);
    assert_int_equal(rig.b.n_store, 1);
    assert_int_equal(rig.b.n_pend, 1);
    assert_string_equal(rig.a.theirs.label, "door");
    assert_string_equal(rig.b.theirs.label, "lamp");
    assert_int_equal(rig.a.theirs.port, 2222);
    assert_int_equal(rig.b.theirs.port, 1111);
    assert_true(
        pn_key_equal(pn_digits_peer(rig.a.digits), &rig.b.identity.public_key));
    assert_true(
        pn_key_equal(pn_digits_peer(rig.b.digits), &rig.a.identity.public_key));
    pairing_rig_fini(&rig);
}

/* The digits of one exchange say nothing of the next. */
static void test_new_digits(void **state)
{
    pairing_rig one;
    pairing_rig two;

    (void)state;
    pairing_rig_init(&one, 2);
    pairing_rig_start(&one, PN_COMPARE_DIGITS);
    pairing_rig_run(&one);
    pairing_rig_init(&two, 2);
    two.a.seed += 1000;
    pairing_rig_start(&two, PN_COMPARE_DIGITS);
    pairing_rig_run(&two);
    assert_string_not_equal(
        pn_digits_shown(one.a.digits), pn_digits_shown(two.a.digits));
    pairing_rig_fini(&one);
    pairing_rig_fini(&two);
}

/* Bytes come one by one; nothing happens before a message is whole. */
static void test_byte_by_byte(void **state)
{
    pairing_rig rig;
    pn_slice out;
    uint8_t data[PN_DIGITS_M2_LEN];
    size_t want;

    (void)state;
    pairing_rig_init(&rig, 3);
    pairing_rig_start(&rig, PN_COMPARE_DIGITS);
    out = pn_digits_output(rig.a.digits);
    assert_int_equal(out.len, PN_DIGITS_M1_LEN);
    for (size_t n = 0; n < PN_DIGITS_M1_LEN; n++) {
        memcpy(data, out.data, n);
        assert_int_equal(
            pn_digits_input(rig.b.digits, rig.now_us, data, n, &want), 0);
        assert_int_equal(want, PN_DIGITS_M1_LEN);
        assert_int_equal(pn_digits_output(rig.b.digits).len, 0);
    }
    pairing_rig_run(&rig);
    assert_non_null(pn_digits_shown(rig.a.digits));
    pairing_rig_fini(&rig);
}

/* ---- no ---------------------------------------------------------------------
 */

typedef struct no_row {
    const char *name;
    bool by_initiator;
    bool after_other; /* the other end has said yes */
} no_row;

static void test_no(void **state)
{
    const no_row *row = *state;
    pairing_rig rig;
    pairing_end *who;
    pairing_end *other;

    rig_shown(&rig, 4);
    who = row->by_initiator ? &rig.a : &rig.b;
    other = row->by_initiator ? &rig.b : &rig.a;
    if (row->after_other) {
        pairing_rig_answer(&rig, other, true);
    }
    pairing_rig_answer(&rig, who, false);
    assert_int_equal(outcome(who), PN_DIGITS_NO_HERE);
    assert_int_equal(outcome(other), PN_DIGITS_NO_THERE);
    assert_not_stored(&rig);
    assert_false(rig.b.is_pending);
    assert_true(pn_digits_is_try(rig.a.digits));
    assert_true(pn_digits_is_try(rig.b.digits));
    /* Neither changes its mind. */
    pairing_rig_answer(&rig, who, true);
    pairing_rig_answer(&rig, other, true);
    assert_not_stored(&rig);
    assert_false(rig.b.is_pending);
    pairing_rig_fini(&rig);
}

/* ---- time ------------------------------------------------------------------
 */

/* Nothing comes for long at each point of the exchange. */
static void test_late(void **state)
{
    const unsigned drop_at = (unsigned)(uintptr_t)*state;
    pairing_rig rig;

    pairing_rig_init(&rig, 5);
    pairing_rig_start(&rig, PN_COMPARE_DIGITS);
    for (unsigned n = 0; n < drop_at; n++) {
        pairing_end *from = n % 2 == 0 ? &rig.a : &rig.b;
        pairing_end *to = n % 2 == 0 ? &rig.b : &rig.a;
        pn_slice out = pn_digits_output(from->digits);
        uint8_t data[512];

        if (out.len == 0) { /* the responder speaks after M3, too */
            break;
        }
        memcpy(data, out.data, out.len);
        pn_digits_sent(from->digits, out.len);
        pairing_rig_give(&rig, to, data, out.len);
    }
    assert_true(pn_digits_deadline(rig.a.digits) <= PAIRING_UNTIL);
    assert_true(pn_digits_deadline(rig.b.digits) <= PAIRING_UNTIL);
    rig.now_us = pn_digits_deadline(rig.a.digits) - 1;
    pn_digits_tick(rig.a.digits, rig.now_us);
    assert_int_equal(outcome(&rig.a), PN_DIGITS_OPEN);
    rig.now_us = PAIRING_UNTIL;
    pn_digits_tick(rig.a.digits, rig.now_us);
    pn_digits_tick(rig.b.digits, rig.now_us);
    assert_int_equal(outcome(&rig.a), PN_DIGITS_LATE);
    assert_int_equal(outcome(&rig.b), PN_DIGITS_LATE);
    assert_true(pn_digits_deadline(rig.a.digits) == PN_TIME_NEVER);
    assert_not_stored(&rig);
    pairing_rig_fini(&rig);
}

/* The initiator's owner does not answer: the responder is told, and forgets. */
static void test_owner_late(void **state)
{
    pairing_rig rig;

    (void)state;
    rig_shown(&rig, 6);
    pairing_rig_answer(&rig, &rig.b, true);
    assert_true(rig.b.is_pending);
    rig.now_us = PAIRING_UNTIL;
    pn_digits_tick(rig.a.digits, rig.now_us);
    pairing_rig_run(&rig);
    assert_int_equal(outcome(&rig.a), PN_DIGITS_LATE);
    assert_int_equal(outcome(&rig.b), PN_DIGITS_NO_THERE);
    assert_false(rig.b.is_pending);
    pairing_rig_fini(&rig);
}

/* A responder that said yes keeps its record when its own time is over. */
static void test_responder_late(void **state)
{
    pairing_rig rig;

    (void)state;
    rig_shown(&rig, 7);
    pairing_rig_answer(&rig, &rig.b, true);
    pn_digits_tick(rig.b.digits, PAIRING_UNTIL);
    assert_int_equal(outcome(&rig.b), PN_DIGITS_PENDING);
    assert_true(rig.b.is_pending);
    pairing_rig_fini(&rig);
}

/* ---- damage ----------------------------------------------------------------
 */

typedef struct flip {
    unsigned message;
    size_t at;
    unsigned bit;
    size_t len; /* of that message, as seen */
} flip;

static void flip_bit(void *user, unsigned n, uint8_t *data, size_t len)
{
    flip *f = user;

    if (n == f->message) {
        f->len = len;
        data[f->at % len] ^= (uint8_t)(1U << f->bit);
    }
}

/* A bit of each byte of each message: whatever is changed before the answers
 * ends the exchange without digits at the end that reads it; an answer that was
 * changed stores nothing there. */
static void test_flips(void **state)
{
    const unsigned message = (unsigned)(uintptr_t)*state;
    flip f = {.message = message, .len = 1};

    for (f.at = 0; f.at < f.len; f.at += 3) {
        pairing_rig rig;

        f.bit = (unsigned)f.at % 8;
        pairing_rig_init(&rig, 8);
        rig.change = flip_bit;
        rig.change_user = &f;
        pairing_rig_start(&rig, PN_COMPARE_DIGITS);
        pairing_rig_run(&rig);
        if (message < 5) {
            assert_true(pn_digits_shown(rig.a.digits) == NULL
                        || pn_digits_shown(rig.b.digits) == NULL);
        }
        pairing_rig_answer(&rig, &rig.b, true);
        pairing_rig_answer(&rig, &rig.a, true);
        assert_false(rig.b.is_stored);
        assert_true(rig.a.is_stored == (message == 7));
        pairing_rig_fini(&rig);
    }
    assert_true(f.len > 32);
}

/* ---- who it is --------------------------------------------------------------
 */

static void test_expected_key(void **state)
{
    pairing_rig rig;
    pn_public_key other;

    (void)state;
    pairing_rig_init(&rig, 9);
    other = rig.b.identity.public_key;
    other.bytes[3] ^= 1;
    pairing_rig_open(&rig, &rig.a, true, &other, PN_COMPARE_DIGITS);
    pairing_rig_open(&rig, &rig.b, false, NULL, PN_COMPARE_DIGITS);
    pairing_rig_run(&rig);
    assert_int_equal(outcome(&rig.a), PN_DIGITS_OTHER_KEY);
    assert_int_equal(rig.a.n_asked, 0);
    assert_null(pn_digits_shown(rig.b.digits));
    assert_false(pn_digits_is_try(rig.a.digits));
    pairing_rig_fini(&rig);
}

static void test_own_key(void **state)
{
    pairing_rig rig;

    (void)state;
    pairing_rig_init(&rig, 10);
    rig.b.identity = rig.a.identity;
    pairing_rig_start(&rig, PN_COMPARE_DIGITS);
    pairing_rig_run(&rig);
    assert_int_equal(outcome(&rig.a), PN_DIGITS_OWN_KEY);
    assert_null(pn_digits_shown(rig.a.digits));
    assert_false(pn_digits_is_try(rig.a.digits));
    pairing_rig_fini(&rig);
}

/* An end that gives way does so before anybody has committed. */
static void test_declined(void **state)
{
    const bool by_initiator = *state != NULL;
    pairing_rig rig;
    pairing_end *who;

    pairing_rig_init(&rig, 11);
    who = by_initiator ? &rig.a : &rig.b;
    who->may_pair = false;
    pairing_rig_start(&rig, PN_COMPARE_DIGITS);
    pairing_rig_run(&rig);
    assert_int_equal(outcome(who), PN_DIGITS_DECLINED);
    assert_int_equal(who->n_asked, 1);
    assert_int_equal(rig.n_messages, by_initiator ? 2 : 3);
    assert_false(pn_digits_is_try(rig.a.digits));
    assert_false(pn_digits_is_try(rig.b.digits));
    pairing_rig_fini(&rig);
}

static void test_first_byte(void **state)
{
    uint8_t m1[PN_DIGITS_M1_LEN];
    pairing_rig rig;

    (void)state;
    pairing_rig_init(&rig, 12);
    pairing_rig_start(&rig, PN_COMPARE_DIGITS);
    memcpy(m1, pn_digits_output(rig.a.digits).data, sizeof(m1));
    m1[0] = PN_PAIRING_INVITATION;
    pairing_rig_give(&rig, &rig.b, m1, sizeof(m1));
    assert_int_equal(outcome(&rig.b), PN_DIGITS_BROKEN);
    assert_int_equal(pn_digits_output(rig.b.digits).len, 0);
    pairing_rig_fini(&rig);
}

/* ---- storing fails
 * ----------------------------------------------------------- */

/* Nothing is promised that is not kept. */
static void test_pend_fails(void **state)
{
    pairing_rig rig;

    (void)state;
    rig_shown(&rig, 13);
    rig.b.pend_err = PN_SYS;
    pairing_rig_answer(&rig, &rig.a, true);
    pairing_rig_answer(&rig, &rig.b, true);
    assert_int_equal(outcome(&rig.b), PN_DIGITS_FAILED);
    assert_int_equal(outcome(&rig.a), PN_DIGITS_NO_THERE);
    assert_not_stored(&rig);
    pairing_rig_fini(&rig);
}

static void test_store_fails(void **state)
{
    const bool at_initiator = *state != NULL;
    pairing_rig rig;
    pairing_end *who;

    rig_shown(&rig, 14);
    who = at_initiator ? &rig.a : &rig.b;
    who->store_err = PN_FULL;
    pairing_rig_answer(&rig, &rig.a, true);
    pairing_rig_answer(&rig, &rig.b, true);
    assert_int_equal(outcome(who), PN_DIGITS_FAILED);
    assert_int_equal(outcome(at_initiator ? &rig.b : &rig.a),
        at_initiator ? PN_DIGITS_NO_THERE : PN_DIGITS_OPEN);
    assert_true(rig.a.is_stored == !at_initiator);
    assert_false(rig.b.is_stored);
    assert_true(rig.b.is_pending == !at_initiator);
    pairing_rig_fini(&rig);
}

/* ---- an initiator that says what it likes ----------------------------------
 */

static void bare_initiator(
    pairing_rig *rig, pairing_bare *bare, bool past_reveal, uint64_t seed)
{
    uint8_t text[PN_HASH_LEN];

    pairing_rig_init(rig, seed);
    pairing_rig_open(rig, &rig->b, false, NULL, PN_COMPARE_DIGITS);
    pairing_bare_init(bare, true, seed + 5);
    pairing_bare_meet(bare, rig, &rig->b);
    pairing_bare_hear(bare, &rig->b, text, sizeof(text));
    if (past_reveal) {
        memset(text, 0x5a, sizeof(text));
        pairing_bare_say(bare, rig, &rig->b, text, sizeof(text));
        pairing_bare_hear(bare, &rig->b, text, sizeof(text));
    }
}

static void bare_fini(pairing_rig *rig, pairing_bare *bare)
{
    pairing_bare_fini(bare);
    pairing_rig_fini(rig);
}

/* A yes before the responder's owner has answered is out of place. */
static void test_yes_too_early(void **state)
{
    uint8_t text[ANSWER_TEXT] = {1};
    pairing_bare bare;
    pairing_rig rig;

    (void)state;
    bare_initiator(&rig, &bare, true, 20);
    pairing_bare_say(&bare, &rig, &rig.b, text, sizeof(text));
    assert_int_equal(outcome(&rig.b), PN_DIGITS_BROKEN);
    assert_false(rig.b.is_stored);
    assert_true(pn_digits_is_try(rig.b.digits));
    bare_fini(&rig, &bare);
}

/* Who goes away after the commitment has learned nothing; who has sent a nonce
 * has used up a try. */
static void test_what_is_a_try(void **state)
{
    const bool past_reveal = *state != NULL;
    pairing_bare bare;
    pairing_rig rig;

    bare_initiator(&rig, &bare, past_reveal, 21);
    assert_true(pn_digits_is_try(rig.b.digits) == past_reveal);
    pn_digits_closed(rig.b.digits);
    assert_int_equal(outcome(&rig.b), PN_DIGITS_LOST);
    assert_true(pn_digits_is_try(rig.b.digits) == past_reveal);
    bare_fini(&rig, &bare);
}

static void test_strange_answers(void **state)
{
    static const uint8_t types[] = {0, 3, 4, 255};
    pairing_bare bare;
    pairing_rig rig;

    (void)state;
    for (size_t i = 0; i < sizeof(types); i++) {
        uint8_t text[ANSWER_TEXT] = {types[i]};

        bare_initiator(&rig, &bare, true, 22);
        pairing_bare_say(&bare, &rig, &rig.b, text, sizeof(text));
        assert_int_equal(outcome(&rig.b), PN_DIGITS_BROKEN);
        bare_fini(&rig, &bare);
    }
}

/* The label is cleaned, and its length believed up to its room only. */
static void test_label(void **state)
{
    uint8_t text[ANSWER_TEXT] = {1, 0x1b, 0x58, 4, 'a', 0x1b, 0xff, 'b'};
    pairing_bare bare;
    pairing_rig rig;

    (void)state;
    bare_initiator(&rig, &bare, true, 23);
    pairing_rig_answer(&rig, &rig.b, true);
    pairing_bare_say(&bare, &rig, &rig.b, text, sizeof(text));
    assert_int_equal(outcome(&rig.b), PN_DIGITS_PAIRED);
    assert_string_equal(rig.b.theirs.label, "a??b");
    assert_int_equal(rig.b.theirs.port, 7000);
    bare_fini(&rig, &bare);

    for (unsigned len = 64; len <= 65; len++) {
        memset(text + 4, 'x', sizeof(text) - 4);
        text[3] = (uint8_t)len;
        bare_initiator(&rig, &bare, true, 24);
        pairing_rig_answer(&rig, &rig.b, true);
        pairing_bare_say(&bare, &rig, &rig.b, text, sizeof(text));
        assert_int_equal(
            outcome(&rig.b), len == 64 ? PN_DIGITS_PAIRED : PN_DIGITS_PENDING);
        assert_true(rig.b.is_stored == (len == 64));
        bare_fini(&rig, &bare);
    }
}

/* It reads nothing of what it is sent. */
static void test_deaf(void **state)
{
    const uint8_t yes[ANSWER_TEXT] = {1};
    uint8_t nonce[PN_COMPARE_NONCE_LEN] = {0};
    pairing_bare bare;
    pairing_rig rig;

    (void)state;
    pairing_rig_init(&rig, 25);
    pairing_rig_open(&rig, &rig.b, false, NULL, PN_COMPARE_DIGITS);
    pairing_bare_init(&bare, true, 30);
    pairing_bare_meet(&bare, &rig, &rig.b);
    pairing_bare_say(&bare, &rig, &rig.b, nonce, sizeof(nonce));
    pairing_rig_answer(&rig, &rig.b, true);
    pairing_bare_say(&bare, &rig, &rig.b, yes, sizeof(yes));
    assert_int_equal(outcome(&rig.b), PN_DIGITS_PAIRED);
    assert_int_equal(pn_digits_output(rig.b.digits).len,
        PN_DIGITS_COMMIT_LEN + PN_DIGITS_NONCE_LEN + 2 * PN_DIGITS_ANSWER_LEN);
    bare_fini(&rig, &bare);
}

/* ---- a responder that says what it likes ------------------------------------
 */

static void bare_responder(pairing_rig *rig, pairing_bare *bare, uint64_t seed)
{
    pairing_rig_init(rig, seed);
    pairing_bare_init(bare, false, seed + 5);
    pairing_rig_open(
        rig, &rig->a, true, &bare->identity.public_key, PN_COMPARE_DIGITS);
    pairing_bare_meet(bare, rig, &rig->a);
}

/* It commits to one nonce and reveals another. */
static void test_cheated(void **state)
{
    uint8_t text[PN_HASH_LEN];
    pn_compare compare;
    pairing_bare bare;
    pairing_rig rig;

    (void)state;
    bare_responder(&rig, &bare, 30);
    assert_int_equal(pn_compare_init(&compare, false, &bare.identity.public_key,
                         &bare.peer, bare.hash, &bare.env),
        PN_OK);
    assert_int_equal(pn_compare_commit(&compare, text), PN_OK);
    pairing_bare_say(&bare, &rig, &rig.a, text, sizeof(text));
    pairing_bare_hear(&bare, &rig.a, text, sizeof(text));
    assert_true(pn_digits_is_try(rig.a.digits));
    compare.ours[31] ^= 1;
    pairing_bare_say(&bare, &rig, &rig.a, compare.ours, sizeof(compare.ours));
    assert_int_equal(outcome(&rig.a), PN_DIGITS_CHEATED);
    assert_null(pn_digits_shown(rig.a.digits));
    bare_fini(&rig, &bare);
}

/* The responder says yes at once, and then more. */
static void test_yes_and_more(void **state)
{
    uint8_t yes[ANSWER_TEXT] = {1};
    uint8_t text[PN_HASH_LEN];
    pn_compare compare;
    pairing_bare bare;
    pairing_rig rig;

    (void)state;
    bare_responder(&rig, &bare, 31);
    assert_int_equal(pn_compare_init(&compare, false, &bare.identity.public_key,
                         &bare.peer, bare.hash, &bare.env),
        PN_OK);
    assert_int_equal(pn_compare_commit(&compare, text), PN_OK);
    pairing_bare_say(&bare, &rig, &rig.a, text, sizeof(text));
    pairing_bare_hear(&bare, &rig.a, text, sizeof(text));
    pairing_bare_say(&bare, &rig, &rig.a, compare.ours, sizeof(compare.ours));
    pairing_bare_say(&bare, &rig, &rig.a, yes, sizeof(yes));
    assert_false(rig.a.is_stored);
    assert_true(pn_digits_is_asking(rig.a.digits));
    /* It has said all it may. */
    pairing_bare_say(&bare, &rig, &rig.a, yes, sizeof(yes));
    assert_int_equal(outcome(&rig.a), PN_DIGITS_BROKEN);
    pairing_rig_answer(&rig, &rig.a, true);
    assert_false(rig.a.is_stored);
    bare_fini(&rig, &bare);
}

int main(void)
{
    static const no_row nos[] = {
        {"by_initiator", true, false},
        {"by_initiator_after_yes", true, true},
        {"by_responder", false, false},
        {"by_responder_after_yes", false, true},
    };
    void *const set = (void *)(uintptr_t)1;

    pn_test_add("pairing/digits/paired/responder_first", test_paired, NULL);
    pn_test_add("pairing/digits/paired/initiator_first", test_paired, set);
    pn_test_add("pairing/digits/new_digits", test_new_digits, NULL);
    pn_test_add("pairing/digits/byte_by_byte", test_byte_by_byte, NULL);
    for (size_t i = 0; i < sizeof(nos) / sizeof(nos[0]); i++) {
        pn_test_addf(test_no, (void *)(uintptr_t)&nos[i],
            "pairing/digits/no/%s", nos[i].name);
    }
    for (unsigned i = 0; i < 4; i++) {
        pn_test_addf(
            test_late, (void *)(uintptr_t)i, "pairing/digits/late/%u", i);
    }
    pn_test_add("pairing/digits/owner_late", test_owner_late, NULL);
    pn_test_add("pairing/digits/responder_late", test_responder_late, NULL);
    for (unsigned i = 0; i < 8; i++) {
        pn_test_addf(
            test_flips, (void *)(uintptr_t)i, "pairing/digits/flips/%u", i);
    }
    pn_test_add("pairing/digits/expected_key", test_expected_key, NULL);
    pn_test_add("pairing/digits/own_key", test_own_key, NULL);
    pn_test_add("pairing/digits/declined/responder", test_declined, NULL);
    pn_test_add("pairing/digits/declined/initiator", test_declined, set);
    pn_test_add("pairing/digits/first_byte", test_first_byte, NULL);
    pn_test_add("pairing/digits/pend_fails", test_pend_fails, NULL);
    pn_test_add("pairing/digits/store_fails/responder", test_store_fails, NULL);
    pn_test_add("pairing/digits/store_fails/initiator", test_store_fails, set);
    pn_test_add("pairing/digits/yes_too_early", test_yes_too_early, NULL);
    pn_test_add("pairing/digits/try/none", test_what_is_a_try, NULL);
    pn_test_add("pairing/digits/try/one", test_what_is_a_try, set);
    pn_test_add("pairing/digits/strange_answers", test_strange_answers, NULL);
    pn_test_add("pairing/digits/label", test_label, NULL);
    pn_test_add("pairing/digits/deaf", test_deaf, NULL);
    pn_test_add("pairing/digits/cheated", test_cheated, NULL);
    pn_test_add("pairing/digits/yes_and_more", test_yes_and_more, NULL);
    return pn_test_run("pairing/digits");
}

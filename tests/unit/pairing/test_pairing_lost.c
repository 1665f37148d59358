/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each message is lost once, in each order of the two answers: nobody stores
 * without both owners' yes, and after the next contact both ends have stored or
 * neither has (PAIR-2).
 */
#include "pairing_rig.h"

enum { N_MESSAGES = 9, SHOWN = 6, RESPONDER_YES = 6, INITIATOR_YES = 7 };

static void check_stored(const pairing_rig *rig)
{
    const bool both_said_yes = rig->a.owner_yes && rig->b.owner_yes;

    assert_true(!rig->a.is_stored || both_said_yes);
    assert_true(!rig->b.is_stored || both_said_yes);
    assert_true(!rig->a.is_pending);
    assert_true(!rig->b.is_pending || rig->b.owner_yes);
}

static void run_lost(bool initiator_first, unsigned drop_at)
{
    pairing_rig rig;
    pairing_end *first;
    pairing_end *second;

    pairing_rig_init(&rig, 7 * drop_at + (initiator_first ? 1 : 0));
    rig.drop_at = drop_at;
    pairing_rig_start(&rig, PN_COMPARE_DIGITS);
    first = initiator_first ? &rig.a : &rig.b;
    second = initiator_first ? &rig.b : &rig.a;
    pairing_rig_run(&rig);
    assert_true(rig.is_cut == (drop_at < SHOWN));
    check_stored(&rig);
    if (!rig.is_cut) {
        pairing_rig_answer(&rig, first, true);
        check_stored(&rig);
    }
    if (!rig.is_cut) {
        pairing_rig_answer(&rig, second, true);
        check_stored(&rig);
    }
    assert_true(rig.is_cut == (drop_at < N_MESSAGES));
    assert_true(rig.a.is_stored == (drop_at >= INITIATOR_YES));
    assert_true(rig.b.is_stored == (drop_at > INITIATOR_YES));
    assert_true(rig.b.is_pending
                == (drop_at == RESPONDER_YES || drop_at == INITIATOR_YES));
    pairing_rig_contact(&rig);
    assert_true(rig.a.is_stored == rig.b.is_stored);
    pairing_rig_fini(&rig);
}

static void test_lost(void **state)
{
    const unsigned drop_at = (unsigned)(uintptr_t)*state;

    run_lost(true, drop_at);
    run_lost(false, drop_at);
}

/* The outcomes of the two ends, when the message is lost. */
static void test_outcomes(void **state)
{
    static const struct {
        unsigned drop_at;
        pn_digits_outcome a;
        pn_digits_outcome b;
    } rows[] = {
        {0, PN_DIGITS_LOST, PN_DIGITS_LOST},
        {RESPONDER_YES, PN_DIGITS_LOST, PN_DIGITS_PENDING},
        {INITIATOR_YES, PN_DIGITS_STORED, PN_DIGITS_PENDING},
        {INITIATOR_YES + 1, PN_DIGITS_STORED, PN_DIGITS_PAIRED},
        {N_MESSAGES, PN_DIGITS_PAIRED, PN_DIGITS_PAIRED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pairing_rig rig;

        pairing_rig_init(&rig, 100 + i);
        rig.drop_at = rows[i].drop_at;
        pairing_rig_start(&rig, PN_COMPARE_DIGITS);
        pairing_rig_run(&rig);
        pairing_rig_answer(&rig, &rig.b, true);
        pairing_rig_answer(&rig, &rig.a, true);
        assert_int_equal(pn_digits_get_outcome(rig.a.digits), rows[i].a);
        assert_int_equal(pn_digits_get_outcome(rig.b.digits), rows[i].b);
        pairing_rig_fini(&rig);
    }
}

int main(void)
{
    for (unsigned i = 0; i <= N_MESSAGES; i++) {
        pn_test_addf(
            test_lost, (void *)(uintptr_t)i, "pairing/lost/message_%u", i);
    }
    pn_test_add("pairing/lost/outcomes", test_outcomes, NULL);
    return pn_test_run("pairing/lost");
}

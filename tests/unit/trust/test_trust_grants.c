/* SPDX-License-Identifier: Apache-2.0 */
/* Refusals first: for every grant, that its absence denies. */
#include <string.h>

#include "harness.h"
#include "trust/grants.h"

enum { N_KEYS = 3 };

static pn_principal principal(pn_family family, unsigned n)
{
    pn_principal who = {.family = family};

    memset(&who.key, (int)n, sizeof(who.key));
    return who;
}

/* By the program's grants alone; NULL: there is no such subject. */
static pn_reason decide(
    const pn_grants *fixed, const pn_principal *caller, bool is_paired)
{
    const pn_question question = {.name = {(const uint8_t *)"led", 3},
        .fixed = fixed,
        .caller = caller,
        .is_paired = is_paired};

    return pn_decide(&question, NULL);
}

/* How a subject is granted. */
typedef enum grant_kind {
    GRANT_NO_SUBJECT,
    GRANT_NOBODY,
    GRANT_PAIRED,
    GRANT_THIS,        /* exactly the caller */
    GRANT_OTHER_KEY,   /* another key of the same family */
    GRANT_OTHER_FAMILY /* the same key bytes in the other family */
} grant_kind;

static const char *const KIND_NAMES[] = {
    "no_subject", "nobody", "paired", "this", "other_key", "other_family"};

typedef struct decide_row {
    grant_kind kind;
    bool is_barrel;
    bool is_paired;
    bool is_nobody; /* the all-zero key: a peer that proved none */
} decide_row;

static void add_grants(pn_grants *g, const decide_row *row)
{
    const pn_family family = row->is_barrel ? PN_FAMILY_BARREL
                                            : PN_FAMILY_PEERNET;
    const pn_family other = row->is_barrel ? PN_FAMILY_PEERNET
                                           : PN_FAMILY_BARREL;
    pn_principal who = principal(family, 1);

    switch (row->kind) {
    case GRANT_NO_SUBJECT:
    case GRANT_NOBODY:
        return;
    case GRANT_PAIRED:
        g->any_paired_peernet = true;
        return;
    case GRANT_THIS:
        break;
    case GRANT_OTHER_KEY:
        who = principal(family, 2);
        break;
    case GRANT_OTHER_FAMILY:
        who = principal(other, 1);
        break;
    }
    assert_int_equal(pn_grants_add(g, &who), PN_OK);
}

/* The rule in the words of the design, independent of the code: a known
 * handle, a key that was proved, a grant, and for PeerNet paired right now. */
static pn_reason expected(const decide_row *row)
{
    if (row->kind == GRANT_NO_SUBJECT) {
        return PN_REASON_NO_SUCH_HANDLE;
    }
    if (row->is_nobody) {
        return PN_REASON_FORBIDDEN;
    }
    if (row->is_barrel) {
        return row->kind == GRANT_THIS ? PN_REASON_NONE : PN_REASON_FORBIDDEN;
    }
    return row->is_paired
                   && (row->kind == GRANT_THIS || row->kind == GRANT_PAIRED)
               ? PN_REASON_NONE
               : PN_REASON_FORBIDDEN;
}

static void test_trust_grants_decide(void **state)
{
    const decide_row *row = *state;
    pn_principal caller = principal(
        row->is_barrel ? PN_FAMILY_BARREL : PN_FAMILY_PEERNET,
        row->is_nobody ? 0 : 1);
    pn_grants g = {0};

    add_grants(&g, row);
    assert_int_equal(decide(row->kind == GRANT_NO_SUBJECT ? NULL : &g, &caller,
                         row->is_paired),
        expected(row));
    pn_grants_fini(&g);
}

/* An array that was filled without pn_grants_add: even then a principal without
 * a key matches nothing. */
static void test_trust_grants_nobody_matches_nothing(void **state)
{
    pn_principal zero[2] = {
        principal(PN_FAMILY_PEERNET, 0), principal(PN_FAMILY_BARREL, 0)};
    pn_grants g = {
        .any_paired_peernet = true, .principals = zero, .n_principals = 2};

    (void)state;
    assert_int_equal(decide(&g, &zero[0], true), PN_REASON_FORBIDDEN);
    assert_int_equal(decide(&g, &zero[1], true), PN_REASON_FORBIDDEN);
}

static void test_trust_grants_unknown_family(void **state)
{
    pn_principal odd = principal((pn_family)7, 1);
    pn_grants g = {
        .any_paired_peernet = true, .principals = &odd, .n_principals = 1};

    (void)state;
    assert_int_equal(decide(&g, &odd, true), PN_REASON_FORBIDDEN);
    g = (pn_grants){0};
    assert_int_equal(pn_grants_add(&g, &odd), PN_INVALID);
    assert_int_equal(g.n_principals, 0);
}

static void test_trust_grants_add_refuses_nobody(void **state)
{
    pn_principal zero = principal(PN_FAMILY_BARREL, 0);
    pn_grants g = {0};

    (void)state;
    assert_int_equal(pn_grants_add(&g, &zero), PN_INVALID);
    assert_int_equal(g.n_principals, 0);
    pn_grants_fini(&g);
}

/* Any single bit of the key away from the granted one: denied. */
static void test_trust_grants_one_bit_off(void **state)
{
    pn_principal who = principal(PN_FAMILY_PEERNET, 1);
    pn_grants g = {0};

    (void)state;
    assert_int_equal(pn_grants_add(&g, &who), PN_OK);
    for (unsigned bit = 0; bit < 256; bit++) {
        pn_principal near = who;

        near.key.x25519.bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(decide(&g, &near, true), PN_REASON_FORBIDDEN);
    }
    assert_int_equal(decide(&g, &who, true), PN_REASON_NONE);
    pn_grants_fini(&g);
}

static void test_trust_grants_remove_denies(void **state)
{
    pn_principal who[N_KEYS];
    pn_grants g = {0};

    (void)state;
    for (unsigned i = 0; i < N_KEYS; i++) {
        who[i] = principal(PN_FAMILY_PEERNET, i + 1);
        assert_int_equal(pn_grants_add(&g, &who[i]), PN_OK);
    }
    for (unsigned i = 0; i < N_KEYS; i++) {
        assert_int_equal(pn_grants_remove(&g, &who[i]), PN_OK);
        for (unsigned k = 0; k < N_KEYS; k++) {
            assert_int_equal(decide(&g, &who[k], true),
                k <= i ? PN_REASON_FORBIDDEN : PN_REASON_NONE);
        }
        assert_int_equal(pn_grants_remove(&g, &who[i]), PN_NOT_FOUND);
    }
    pn_grants_fini(&g);
}

/* Twice granted, once taken back: denied. */
static void test_trust_grants_add_twice_is_once(void **state)
{
    pn_principal who = principal(PN_FAMILY_BARREL, 1);
    pn_grants g = {0};

    (void)state;
    assert_int_equal(pn_grants_add(&g, &who), PN_OK);
    assert_int_equal(pn_grants_add(&g, &who), PN_OK);
    assert_int_equal(g.n_principals, 1);
    assert_int_equal(pn_grants_remove(&g, &who), PN_OK);
    assert_int_equal(decide(&g, &who, true), PN_REASON_FORBIDDEN);
    pn_grants_fini(&g);
}

int main(void)
{
    static decide_row rows[64];
    size_t n = 0;

    for (unsigned kind = 0; kind <= GRANT_OTHER_FAMILY; kind++) {
        for (unsigned bits = 0; bits < 8; bits++) {
            decide_row *row = &rows[n++];

            *row = (decide_row){.kind = (grant_kind)kind,
                .is_barrel = (bits & 1) != 0,
                .is_paired = (bits & 2) != 0,
                .is_nobody = (bits & 4) != 0};
            pn_test_addf(test_trust_grants_decide, row,
                "trust/grants/decide/%s%s%s_granted_%s",
                row->is_nobody ? "keyless_" : "",
                row->is_barrel ? "barrel" : "peernet",
                row->is_paired ? "_paired" : "_unpaired", KIND_NAMES[kind]);
        }
    }
    pn_test_add("trust/grants/nobody_matches_nothing",
        test_trust_grants_nobody_matches_nothing, NULL);
    pn_test_add(
        "trust/grants/unknown_family", test_trust_grants_unknown_family, NULL);
    pn_test_add("trust/grants/add_refuses_nobody",
        test_trust_grants_add_refuses_nobody, NULL);
    pn_test_add(
        "trust/grants/one_bit_off", test_trust_grants_one_bit_off, NULL);
    pn_test_add(
        "trust/grants/remove_denies", test_trust_grants_remove_denies, NULL);
    pn_test_add("trust/grants/add_twice_is_once",
        test_trust_grants_add_twice_is_once, NULL);
    return pn_test_run("trust/grants");
}

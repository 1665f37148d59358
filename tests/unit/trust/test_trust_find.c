/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include <peernet/store.h>

#include "harness.h"

enum { NONE = -1, AMBIGUOUS = -2 };

/* Fingerprints of the recorded identities: a039198a48bc8623, c6d00c3a4792a570,
 * 69942f6a123ccb66. The fourth has alice's label, the fifth a label that looks
 * like bob's fingerprint, the seventh bob's key as its label, the eighth that
 * of nobody. The originals write such lists. */
enum { N_PEERS = 8 };
static pn_store_peer peers[N_PEERS];

static void make_peers(void)
{
    static const char *const keys[] = {
        "c769cbfc99432f19e1eb60f54c1a5af920a5941b3ae0384ca15690c221592c5c",
        "172f6a5d0a3b2d3aa9f334bbc7a350a9b7f5156db8aa00a8f68e54e8db17d914",
        "371564cd66892c291f3beae8eac67a8dc4837a69062f562ade8b6102628a2066"};
    static const char *const labels[] = {"alice", "", "carol", "alice", "c6d0",
        "Bob's \xe2\x98\x8e",
        "C4XWUXIKHMWTVKPTGS54PI2QVG37KFLNXCVABKHWRZKORWYX3EKA",
        "IEBAGBAFAYDQQCIKBMGA2DQPCAIREEYUCULBOGAZDINRYHI6D4QA"};

    for (unsigned i = 0; i < N_PEERS; i++) {
        memset(peers[i].key.bytes, (int)i, sizeof(peers[i].key.bytes));
        if (i < 3) {
            assert_int_equal(pn_key_parse(keys[i], &peers[i].key), PN_OK);
        }
        (void)snprintf(peers[i].label, sizeof(peers[i].label), "%s", labels[i]);
    }
}

typedef struct find_row {
    const char *name;
    const char *text;
    int want; /* index, NONE or AMBIGUOUS */
} find_row;

static const find_row ROWS[] = {
    {"label", "carol", 2},
    {"label_utf8", "Bob's \xe2\x98\x8e", 5},
    {"label_other_case", "Carol", NONE},
    {"label_prefix", "caro", NONE},
    {"label_and_space", "carol ", NONE},
    {"label_of_two", "alice", AMBIGUOUS},
    {"label_and_fingerprint", "c6d0", AMBIGUOUS},
    {"fingerprint_beyond_a_label", "c6d00", 1},
    {"key_before_label", "C4XWUXIKHMWTVKPTGS54PI2QVG37KFLNXCVABKHWRZKORWYX3EKA",
        1},
    {"base32_lower", "c4xwuxikhmwtvkptgs54pi2qvg37kflnxcvabkhwrzkorwyx3eka", 1},
    {"base32_short", "C4XWUXIKHMWTVKPTGS54PI2QVG37KFLNXCVABKHWRZKORWYX3EK",
        NONE},
    {"base32_of_nobody", "IEBAGBAFAYDQQCIKBMGA2DQPCAIREEYUCULBOGAZDINRYHI6D4QA",
        NONE},
    {"hex", "371564cd66892c291f3beae8eac67a8dc4837a69062f562ade8b6102628a2066",
        2},
    {"hex_upper",
        "371564CD66892C291F3BEAE8EAC67A8DC4837A69062F562ADE8B6102628A2066", 2},
    {"hex_one_digit_off",
        "371564cd66892c291f3beae8eac67a8dc4837a69062f562ade8b6102628a2067",
        NONE},
    {"fingerprint", "c6d00c3a4792a570", 1},
    {"fingerprint_upper", "C6D00C3A4792A570", 1},
    {"fingerprint_5_digits", "69942", 2},
    {"fingerprint_4_digits", "a039", 0},
    {"fingerprint_3_digits", "a03", NONE},
    {"fingerprint_17_digits", "a039198a48bc86231", NONE},
    {"fingerprint_wrong_end", "a039198a48bc8624", NONE},
    {"empty", "", NONE},
    {"key_prefix_is_no_fingerprint", "371564cd", NONE},
};

static void test_trust_find_row(void **state)
{
    const find_row *row = *state;
    pn_public_key key;
    pn_public_key before;
    pn_err err;

    memset(&key, 0x77, sizeof(key));
    before = key;
    err = pn_store_find(peers, N_PEERS, row->text, &key);
    if (row->want >= 0) {
        assert_int_equal(err, PN_OK);
        assert_true(pn_key_equal(&key, &peers[row->want].key));
    } else {
        assert_int_equal(
            err, row->want == AMBIGUOUS ? PN_INVALID : PN_NOT_FOUND);
        assert_memory_equal(&key, &before, sizeof(key));
    }
}

/* Two keys whose fingerprints begin alike: found by a longer prefix only. */
static void test_trust_find_prefix_of_two(void **state)
{
    pn_store_peer two[2] = {0};
    char first[PN_FINGERPRINT_LEN + 1];
    char second[PN_FINGERPRINT_LEN + 1];
    char prefix[PN_FINGERPRINT_LEN + 1];
    pn_public_key key;
    size_t n_same = 4;

    (void)state;
    pn_key_fingerprint(&two[0].key, first);
    do {
        for (size_t i = 0; ++two[1].key.bytes[i] == 0; i++) {}
        pn_key_fingerprint(&two[1].key, second);
    } while (memcmp(first, second, 4) != 0);
    while (first[n_same] == second[n_same]) {
        n_same++;
    }
    (void)snprintf(prefix, sizeof(prefix), "%.*s", (int)n_same, first);
    assert_int_equal(pn_store_find(two, 2, prefix, &key), PN_INVALID);
    (void)snprintf(prefix, sizeof(prefix), "%.*s", (int)n_same + 1, second);
    assert_int_equal(pn_store_find(two, 2, prefix, &key), PN_OK);
    assert_true(pn_key_equal(&key, &two[1].key));
}

static void test_trust_find_in_nothing(void **state)
{
    pn_public_key key;

    (void)state;
    assert_int_equal(pn_store_find(NULL, 0, "alice", &key), PN_NOT_FOUND);
}

int main(void)
{
    make_peers();
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        pn_test_addf(test_trust_find_row, (void *)(uintptr_t)&ROWS[i],
            "trust/find/%s", ROWS[i].name);
    }
    pn_test_add(
        "trust/find/prefix_of_two", test_trust_find_prefix_of_two, NULL);
    pn_test_add("trust/find/in_nothing", test_trust_find_in_nothing, NULL);
    return pn_test_run("trust/find");
}

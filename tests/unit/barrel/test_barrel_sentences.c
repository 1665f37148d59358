/* SPDX-License-Identifier: Apache-2.0 */
/* Sentences on why there is no link to a node: what happened, then what to do,
 * and never the engine's or the peer's reason name. */
#include <string.h>

#include "dist_text.h"
#include "harness.h"
#include "sentences.h"

static void assert_sentence(const char *sentence, const char *code)
{
    const char *what_to_do = sentence == NULL ? NULL : strstr(sentence, "; ");

    if (what_to_do == NULL || strlen(what_to_do) < 8
        || what_to_do < sentence + 8) {
        fail_msg("%s: %s", code, sentence == NULL ? "none" : sentence);
    }
    assert_true(strlen(sentence) < 200);
    assert_null(strchr(sentence, '_'));
    assert_int_not_equal(sentence[strlen(sentence) - 1], '.');
}

static void test_auth(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PN_AUTH_N_REASONS; i++) {
        assert_sentence(pn_barrel_auth_sentence((pn_auth_reason)i),
            pn_auth_reason_text((pn_auth_reason)i));
    }
}

static void test_dist(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PN_DIST_N_REASONS; i++) {
        assert_sentence(pn_barrel_dist_sentence((pn_dist_reason)i),
            dist_reason_text((pn_dist_reason)i));
    }
}

static void test_end(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PN_N_REASONS; i++) {
        assert_sentence(
            pn_barrel_end_sentence((pn_reason)i), pn_reason_text((pn_reason)i));
    }
}

/* The three words of upstream; another one is shown, and harmless. */
static void test_refusal(void **state)
{
    static const struct {
        const char *said;
        const char *sentence;
    } rows[] = {
        {"key_mismatch", "another key than ours is pinned there"},
        {"untrusted_key", "our key is not pinned there; let its owner pin it"},
        {"signature_invalid", "it does not take our proof of the key; check"},
        {"go away", "it refused us with \"go away\"; look at the log there"},
        {"untrusted_keys", "it refused us with \"untrusted_keys\"; look"},
        {"\x1b[2J", "it refused us with \"\\x1b[2J\"; look at the log there"},
        {"", "it refused us with \"\"; look at the log there"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pn_slice said = {(const uint8_t *)rows[i].said, strlen(rows[i].said)};
        char text[512];

        pn_barrel_refusal(said, text, sizeof(text));
        assert_memory_equal(text, rows[i].sentence, strlen(rows[i].sentence));
    }
}

int main(void)
{
    pn_test_add("barrel/sentences/auth", test_auth, NULL);
    pn_test_add("barrel/sentences/dist", test_dist, NULL);
    pn_test_add("barrel/sentences/end", test_end, NULL);
    pn_test_add("barrel/sentences/refusal", test_refusal, NULL);
    return pn_test_run("barrel/sentences");
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "trust/label.h"

typedef struct label_row {
    const char *name;
    const char *label;
    bool is_valid;
    const char *clean;
} label_row;

static const label_row ROWS[] = {
    {"empty", "", true, ""},
    {"ascii", "Alice's phone", true, "Alice's phone"},
    {"two_bytes", "Zo\xc3\xab", true, "Zo\xc3\xab"},
    {"three_bytes", "\xe2\x98\x8e", true, "\xe2\x98\x8e"},
    {"four_bytes", "\xf0\x9f\x93\xb1", true, "\xf0\x9f\x93\xb1"},
    {"last_code_point", "\xf4\x8f\xbf\xbf", true, "\xf4\x8f\xbf\xbf"},
    {"no_break_space",
        "a\xc2\xa0"
        "b",
        true,
        "a\xc2\xa0"
        "b"},
    {"tilde", "~", true, "~"},
    {"newline", "a\nb", false, "a?b"},
    {"tab", "a\tb", false, "a?b"},
    {"escape", "\033[31mred", false, "?[31mred"},
    {"unit_separator", "\x1f", false, "?"},
    {"del", "a\x7f", false, "a?"},
    {"c1_csi",
        "\xc2\x9b"
        "31m",
        false, "?31m"},
    {"c1_first", "\xc2\x80", false, "?"},
    {"c1_last", "\xc2\x9f", false, "?"},
    {"continuation_alone", "a\x80", false, "a?"},
    {"latin1", "Zo\xeb", false, "Zo?"},
    {"cut_two", "a\xc3", false, "a?"},
    {"cut_three", "\xe2\x98", false, "??"},
    {"cut_four", "\xf0\x9f\x93", false, "???"},
    {"overlong_slash", "\xc0\xaf", false, "??"},
    {"overlong_nul", "\xc0\x80", false, "??"},
    {"overlong_three", "\xe0\x80\xaf", false, "???"},
    {"overlong_four", "\xf0\x80\x80\xaf", false, "????"},
    {"surrogate", "\xed\xa0\x80", false, "???"},
    {"past_the_end", "\xf4\x90\x80\x80", false, "????"},
    {"byte_fe", "\xfe", false, "?"},
    {"byte_ff", "\xff", false, "?"},
};

static void test_trust_label_row(void **state)
{
    const label_row *row = *state;
    const size_t len = strlen(row->label);
    uint8_t *exact = malloc(len == 0 ? 1 : len);
    char clean[PN_LABEL_MAX + 1];

    assert_non_null(exact);
    memcpy(exact, row->label, len);
    assert_int_equal(pn_label_is_valid(row->label), row->is_valid);
    pn_label_clean(exact, len, clean);
    assert_string_equal(clean, row->clean);
    assert_true(pn_label_is_valid(clean));
    free(exact);
}

static void test_trust_label_length(void **state)
{
    char label[PN_LABEL_MAX + 2];

    (void)state;
    memset(label, 'x', sizeof(label));
    for (size_t len = 254; len <= 256; len++) {
        label[len] = '\0';
        assert_int_equal(pn_label_is_valid(label), len <= PN_LABEL_MAX);
        label[len] = 'x';
    }
}

/* A character of any size that does not fit is left out whole. */
static void test_trust_label_is_cut_between_characters(void **state)
{
    static const char *const characters[] = {
        "y", "\xc3\xab", "\xe2\x98\x8e", "\xf0\x9f\x93\xb1"};

    (void)state;
    for (size_t n = 1; n <= 4; n++) {
        for (size_t before = 250; before <= 255; before++) {
            uint8_t label[300];
            char clean[PN_LABEL_MAX + 1];

            memset(label, 'x', sizeof(label));
            memcpy(label + before, characters[n - 1], n);
            pn_label_clean(label, sizeof(label), clean);
            assert_true(pn_label_is_valid(clean));
            assert_int_equal(strlen(clean), before + n <= 255 ? 255 : before);
        }
    }
}

static void test_trust_label_clean_nul(void **state)
{
    char clean[PN_LABEL_MAX + 1];

    (void)state;
    pn_label_clean((const uint8_t *)"a\0b", 3, clean);
    assert_string_equal(clean, "a?b");
    pn_label_clean(NULL, 0, clean);
    assert_string_equal(clean, "");
}

int main(void)
{
    for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
        pn_test_addf(test_trust_label_row, (void *)(uintptr_t)&ROWS[i],
            "trust/label/%s", ROWS[i].name);
    }
    pn_test_add("trust/label/length", test_trust_label_length, NULL);
    pn_test_add("trust/label/is_cut_between_characters",
        test_trust_label_is_cut_between_characters, NULL);
    pn_test_add("trust/label/clean_nul", test_trust_label_clean_nul, NULL);
    return pn_test_run("trust/label");
}

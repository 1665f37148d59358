/* SPDX-License-Identifier: Apache-2.0 */
/* Every reason has a sentence for people: what happened, then what to do. */
#include <stdlib.h>
#include <string.h>

#include <peernet/reason.h>

#include "harness.h"
#include "reason_text.h"

/* The sentence has none of the reason names of the JSON output. */
static bool has_code(const char *sentence)
{
    for (unsigned i = 0; i < PN_N_REASONS; i++) {
        const char *code = pn_reason_text((pn_reason)i);

        if (strchr(code, '-') != NULL && strstr(sentence, code) != NULL) {
            return true;
        }
    }
    return false;
}

static void test_sentence(void **state)
{
    pn_reason reason = (pn_reason)(uintptr_t)*state;
    const char *sentence = cli_reason_sentence(reason);
    const char *what_to_do = strstr(sentence, "; ");

    if (what_to_do == NULL) { /* "..., so let it listen on all" */
        what_to_do = strstr(sentence, ", so ");
    }
    assert_non_null(what_to_do);
    assert_true(what_to_do > sentence + 8 && strlen(what_to_do) > 8);
    assert_true(sentence[0] >= 'a' && sentence[0] <= 'z');
    assert_true(strlen(sentence) < 160);
    assert_int_not_equal(sentence[strlen(sentence) - 1], '.');
    assert_false(has_code(sentence));
    assert_ptr_equal(cli_reason_sentence_of(pn_reason_text(reason)), sentence);
    for (unsigned i = 0; i < PN_N_REASONS; i++) {
        assert_true(
            i == (unsigned)reason
            || strcmp(cli_reason_sentence((pn_reason)i), sentence) != 0);
    }
}

static void test_unknown(void **state)
{
    (void)state;
    assert_string_equal(cli_reason_sentence_of("newer-reason"), "newer-reason");
    assert_non_null(cli_reason_sentence(PN_N_REASONS));
}

typedef struct remote_row {
    const char *term;
    pn_reason reason; /* PN_N_REASONS: a meaning of its own */
} remote_row;

static const remote_row remote_rows[] = {
    {":no_such_handle", PN_REASON_NO_SUCH_HANDLE},
    {":forbidden", PN_REASON_FORBIDDEN},
    {":busy", PN_REASON_QUEUE_FULL},
    {":timeout", PN_REASON_HANDLER_TIMEOUT},
    {":system_limit", PN_REASON_REPLY_TOO_LARGE},
    {":badarg", PN_REASON_BAD_ARGUMENT},
    {"{:undef, [{Led, :on, [1], []}]}", PN_REASON_FUNCTION_NOT_EXPORTED},
    {"{:forbidden, {Led, :on, 1}}", PN_REASON_FUNCTION_FORBIDDEN},
    {"{:EXIT, {:undef, [{Led, :on, [1], []}]}}",
        PN_REASON_FUNCTION_NOT_EXPORTED},
    {"{:EXIT, {:forbidden, [{Led, :on, [1], []}]}}",
        PN_REASON_FUNCTION_FORBIDDEN},
    {":forbidden_fruit", PN_N_REASONS},
    {"{:forbidden}", PN_N_REASONS},
    {"\":forbidden\"", PN_N_REASONS},
    {"", PN_N_REASONS},
};

static void test_remote(void **state)
{
    const remote_row *row = *state;
    const char *sentence = cli_remote_sentence(row->term);

    if (row->reason == PN_N_REASONS) {
        assert_null(sentence);
    } else {
        assert_string_equal(sentence, cli_reason_sentence(row->reason));
    }
}

static void test_program_gone(void **state)
{
    (void)state;
    assert_non_null(
        strstr(cli_remote_sentence("{:handler_crash, {:exit, :noproc}}"),
            "went away before it answered"));
}

int main(void)
{
    for (unsigned i = 0; i < PN_N_REASONS; i++) {
        pn_test_addf(test_sentence, (void *)(uintptr_t)i, "cli/reasons/%s",
            pn_reason_text((pn_reason)i));
    }
    pn_test_add("cli/reasons/unknown", test_unknown, NULL);
    pn_test_add("cli/reasons/program_gone", test_program_gone, NULL);
    for (size_t i = 0; i < sizeof(remote_rows) / sizeof(remote_rows[0]); i++) {
        pn_test_addf(test_remote, (void *)(uintptr_t)&remote_rows[i],
            "cli/reasons/remote/%s", remote_rows[i].term);
    }
    return pn_test_run("cli/reasons");
}

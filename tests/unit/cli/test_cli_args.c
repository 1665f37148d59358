/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines: the accepted ones, and the sentences of mistakes. */
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "harness.h"

static cli_exit nothing(const cli_app *app)
{
    (void)app;
    return CLI_OK;
}

static const cli_option global[] = {
    {"dir", 'd', "DIR", .help = ""},
    {"json", 0, NULL, .help = ""},
    {"help", 'h', NULL, .help = ""},
    {.name = NULL},
};
static const cli_option of_call[] = {
    {"timeout", 't', "MS", .help = "", .kind = CLI_U32, .min = 10, .max = 1000},
    {"tag", 0, "TAG...", .help = ""},
    {.name = NULL},
};
static const cli_option *const call_tables[] = {of_call, NULL};
static const cli_option *const no_tables[] = {NULL};
static const cli_command commands[] = {
    {"id", nothing, "", 0, 0, "", "", no_tables},
    {"call", nothing, "PEER TERM", 2, 2, "", "", call_tables},
    {"help", nothing, "[COMMAND]", 0, 1, "", "", no_tables},
    {NULL, NULL, NULL, 0, 0, NULL, NULL, NULL},
};

#define MAX_WORDS 12

typedef struct args_row {
    const char *name;
    const char *words[MAX_WORDS];
    const char *want; /* command and what follows, or the sentence */
} args_row;

/* The parsed command line, as one text. */
static void describe(const cli_args *args, cli_text *t)
{
    cli_text_puts(t, args->command == NULL ? "-" : args->command->name);
    for (unsigned i = 0; i < args->n_positional; i++) {
        cli_text_printf(t, " <%s>", args->positional[i]);
    }
    for (unsigned i = 0; i < args->n_given; i++) {
        cli_text_printf(t, " %s", args->given[i].option->name);
        if (args->given[i].value != NULL) {
            cli_text_printf(t, "=%s", args->given[i].value);
        }
    }
}

static const args_row rows[] = {
    {"nothing", {NULL}, "-"},
    {"command", {"id"}, "id"},
    {"words", {"call", "bob", "1"}, "call <bob> <1>"},
    {"global_before", {"-d", "x", "id"}, "id dir=x"},
    {"global_after", {"id", "-d", "x"}, "id dir=x"},
    {"short_joined", {"-dx", "id"}, "id dir=x"},
    {"long_value", {"--dir", "x", "id"}, "id dir=x"},
    {"long_equals", {"--dir=x", "id"}, "id dir=x"},
    {"long_empty", {"--dir=", "id"}, "id dir="},
    {"equals_in_value", {"--dir=a=b", "id"}, "id dir=a=b"},
    {"value_like_option", {"--dir", "--json", "id"}, "id dir=--json"},
    {"flag", {"id", "--json"}, "id json"},
    {"between", {"call", "bob", "--json", "1"}, "call <bob> <1> json"},
    {"twice", {"call", "-t", "1", "-t", "2", "a", "b"},
        "expected '--timeout' once, found '1' and '2'"},
    {"twice_global", {"-d", "x", "id", "--dir=x"},
        "expected '--dir' once, found 'x' and 'x'"},
    {"flag_twice", {"id", "--json", "--json"}, "id json json"},
    {"repeats", {"call", "--tag", "1", "a", "--tag=2", "b"},
        "call <a> <b> tag=1 tag=2"},
    {"repeats_nothing", {"call", "a", "b", "--tag"},
        "expected TAG after '--tag', found nothing"},
    {"negative_number", {"call", "bob", "-1"}, "call <bob> <-1>"},
    {"negative_float", {"call", "bob", "-1.5"}, "call <bob> <-1.5>"},
    {"dash", {"call", "bob", "-"}, "call <bob> <->"},
    {"after_dashes", {"call", "--", "--json", "-x"}, "call <--json> <-x>"},
    {"dashes_twice", {"call", "--", "--", "x"}, "call <--> <x>"},
    {"empty_word", {"call", "", "x"}, "call <> <x>"},
    {"help_needs_nothing", {"call", "--help"}, "call help"},
    {"help_short", {"call", "-h"}, "call help"},
    {"optional_word", {"help", "call"}, "help <call>"},
    {"option_of_command", {"call", "a", "b", "--tag", "t"},
        "call <a> <b> tag=t"},

    {"unknown_command", {"cal"},
        "expected a command (see 'peernet help'), found 'cal': did "
        "you mean 'call'?"},
    {"empty_command", {""},
        "expected a command (see 'peernet help'), found ''"},
    {"too_few", {"call"}, "expected 'call PEER TERM', found 'call'"},
    {"too_few_one", {"call", "bob"},
        "expected 'call PEER TERM', found 'call bob'"},
    {"too_many", {"id", "x"}, "expected no more than 'id', found 'x'"},
    {"too_many_of_call", {"call", "a", "b", "c"},
        "expected no more than 'call PEER TERM', found 'c'"},
    {"unknown_option", {"id", "--jsn"},
        "expected an option of 'id', found '--jsn': did you mean '--json'?"},
    {"option_of_another", {"id", "--timeout", "5"},
        "expected an option of 'id', found '--timeout'"},
    {"option_before_command", {"--timeout", "5", "call", "a", "b"},
        "expected a command or a global option, found '--timeout'"},
    {"unknown_short", {"id", "-x"}, "expected an option of 'id', found '-x'"},
    {"short_flag_joined", {"id", "-hx"},
        "expected an option of 'id', found '-hx'"},
    {"prefix_is_not_enough", {"id", "--js"},
        "expected an option of 'id', found '--js'"},
    {"longer_is_another", {"id", "--jsonx"},
        "expected an option of 'id', found '--jsonx': did you mean '--json'?"},
    {"no_value", {"id", "--dir"}, "expected DIR after '--dir', found nothing"},
    {"no_value_short", {"id", "-d"},
        "expected DIR after '--dir', found nothing"},
    {"value_of_flag", {"id", "--json=1"},
        "expected no value for '--json', found '1'"},
    {"escape_in_word", {"\033[2J"},
        "expected a command (see 'peernet help'), found '\\x1B[2J'"},
    {"escape_in_option", {"id", "--\033"},
        "expected an option of 'id', found '--\\x1B'"},
};

static void test_cli_args_row(void **state)
{
    const args_row *row = *state;
    const char *argv[MAX_WORDS + 2] = {"peernet"};
    static cli_args args;
    cli_text error = {0};
    cli_text got = {0};
    int argc = 1;

    for (size_t i = 0; row->words[i] != NULL; i++) {
        argv[argc++] = row->words[i];
    }
    if (cli_args_parse(argc, (char *const *)(uintptr_t)argv, commands, global,
            &args, &error)) {
        describe(&args, &got);
        assert_string_equal(cli_text_string(&got), row->want);
    } else {
        assert_string_equal(cli_text_string(&error), row->want);
    }
    cli_text_fini(&got);
    cli_text_fini(&error);
}

static void test_cli_args_option_limit(void **state)
{
    static const char *argv[CLI_MAX_OPTIONS + 4] = {"peernet", "id"};
    static cli_args args;
    cli_text error = {0};

    (void)state;
    for (int n = CLI_MAX_OPTIONS - 1; n <= CLI_MAX_OPTIONS + 1; n++) {
        for (int i = 0; i < n; i++) {
            argv[2 + i] = "--json";
        }
        argv[2 + n] = NULL;
        assert_int_equal(cli_args_parse(2 + n, (char *const *)(uintptr_t)argv,
                             commands, global, &args, &error),
            n <= CLI_MAX_OPTIONS);
    }
    assert_string_equal(
        cli_text_string(&error), "expected at most 128 options");
    cli_text_fini(&error);
}

typedef struct number_row {
    const char *text; /* NULL: not given */
    bool good;
    uint32_t number;
} number_row;

static const number_row numbers[] = {
    {NULL, true, 7},
    {"9", false, 0},
    {"10", true, 10},
    {"11", true, 11},
    {"0010", true, 10},
    {"999", true, 999},
    {"1000", true, 1000},
    {"1001", false, 0},
    {"4294967306", false, 0}, /* 10 after 2^32 */
    {"99999999999999999999", false, 0},
    {"", false, 0},
    {"-10", false, 0},
    {"+10", false, 0},
    {" 10", false, 0},
    {"10 ", false, 0},
    {"1e2", false, 0},
    {"0x20", false, 0},
    {"10.0", false, 0},
};

static void test_cli_args_number(void **state)
{
    const number_row *row = *state;
    const char *argv[] = {
        "peernet", "call", "a", "b", "--timeout", row->text, NULL};
    static cli_args args;
    cli_text error = {0};
    uint32_t number = 7;

    if (row->text == NULL) {
        argv[4] = NULL;
    }
    assert_true(cli_args_parse(row->text == NULL ? 4 : 6,
        (char *const *)(uintptr_t)argv, commands, global, &args, &error));
    assert_int_equal(
        cli_args_store(&args, of_call, &number, &error), row->good);
    if (row->good) {
        assert_int_equal(number, row->number);
    } else {
        assert_int_equal(number, 7);
        assert_non_null(strstr(cli_text_string(&error),
            "expected 10 to 1000 for '--timeout', found '"));
    }
    cli_text_fini(&error);
}

static void test_cli_args_last_wins(void **state)
{
    const char *argv[] = {"peernet", "call", "a", "b", "--tag", "1", "--json",
        "--tag", "2", NULL};
    static cli_args args;
    cli_text error = {0};
    unsigned i = 0;

    (void)state;
    assert_true(cli_args_parse(
        9, (char *const *)(uintptr_t)argv, commands, global, &args, &error));
    assert_string_equal(cli_args_value(&args, "tag"), "2");
    assert_string_equal(cli_args_next(&args, "tag", &i), "1");
    assert_string_equal(cli_args_next(&args, "tag", &i), "2");
    assert_null(cli_args_next(&args, "tag", &i));
    assert_true(cli_args_flag(&args, "json"));
    assert_false(cli_args_flag(&args, "help"));
    assert_null(cli_args_value(&args, "timeout"));
}

int main(void)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pn_test_addf(test_cli_args_row, (void *)(uintptr_t)&rows[i],
            "cli/args/%s", rows[i].name);
    }
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        pn_test_addf(test_cli_args_number, (void *)(uintptr_t)&numbers[i],
            "cli/args/number/%s",
            numbers[i].text == NULL ? "none" : numbers[i].text);
    }
    pn_test_add("cli/args/option_limit", test_cli_args_option_limit, NULL);
    pn_test_add("cli/args/last_wins", test_cli_args_last_wins, NULL);
    return pn_test_run("cli/args");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Crashes of Elixir handlers, those that were recorded and some made here, as
 * the lines that Elixir would print.
 */
#include <stdlib.h>
#include <string.h>

#include "crash.h"
#include "harness.h"

/* The lines of a reason, or NULL: it is no crash. The caller frees it. */
static char *crash_text(pn_term reason)
{
    cli_text out = {0};
    char *copy;

    if (!cli_crash_to_text(reason, &out)) {
        assert_int_equal(out.len, 0);
        return NULL;
    }
    assert_false(out.failed);
    copy = strdup(cli_text_string(&out));
    assert_non_null(copy);
    cli_text_fini(&out);
    return copy;
}

/* ---- recorded ----------------------------------------------------------- */

typedef struct recorded_row {
    const char *name;
    const char *begins;
} recorded_row;

static const recorded_row recorded[] = {
    {"handler_crash: raise ArgumentError",
        "** (ArgumentError) boom\n"
        "    gen/envelope.exs:9: Crash.do_raise/2\n"
        "    "},
    {"handler_crash: :erlang.error(:badthing)",
        "** (ArgumentError) argument error\n"
        "    gen/envelope.exs:10: Crash.do_error/2\n"
        "    "},
    {"handler_crash: exit", "** (exit) shutdown"},
    {"handler_crash: exit normal", "** (exit) normal"},
    {"handler_crash: FunctionClauseError in named function",
        "** (FunctionClauseError) no function clause matching in "
        "Crash.only_one/2\n"
        "    gen/envelope.exs:13: Crash.only_one(<<213, 148, "},
    {"handler_crash: ArithmeticError",
        "** (ArithmeticError) bad argument in arithmetic expression\n"
        "    :erlang.+(:a, 1)\n"
        "    gen/envelope.exs:22: anonymous fn/2 in "
        ":elixir_compiler_"},
    {"handler_crash: FunctionClauseError, args not a pair",
        "** (FunctionClauseError) no function clause matching in anonymous "
        "fn/2 in :elixir_compiler_"},
    {"beam_dist rpc undefined function",
        "** (UndefinedFunctionError) function Enum.undefined/0 is undefined "
        "or private\n"
        "    Enum.undefined()\n"
        "    "},
    {"beam_dist rpc raising",
        "** (ArgumentError) errors were found at the given arguments:\n"
        "\n"
        "  * 1st argument: not a nonempty list\n"
        "\n"
        "    :erlang.hd([])\n"
        "    "},
};

static void check_recorded(const json_t *vectors, const recorded_row *row)
{
    const json_t *rows = json_object_get(vectors, "request_reply");
    const char *hex = NULL;
    uint8_t *bytes;
    size_t len = 0;
    size_t index;
    const json_t *item;
    pn_term term;
    pn_term reason;
    char *text;

    json_array_foreach(rows, index, item)
    {
        if (strcmp(json_string_value(json_object_get(item, "name")), row->name)
            == 0) {
            hex = json_string_value(json_object_get(item, "reply_hex"));
        }
    }
    assert_non_null(hex);
    bytes = pn_unhex(hex, &len);
    assert_int_equal(pn_term_parse(bytes, len, NULL, &term, NULL), PN_OK);
    assert_true(pn_term_match(term, "{reply, _, {error, ~t}}", &reason));
    text = crash_text(reason);
    assert_non_null(text);
    text[strnlen(text, strlen(row->begins))] = '\0';
    assert_string_equal(text, row->begins);
    free(text);
    free(bytes);
}

static void test_cli_crash_recorded(void **state)
{
    static const char *const files[] = {"envelope.json", "envelope.otp27.json"};
    const recorded_row *row = *state;

    for (size_t i = 0; i < 2; i++) {
        json_t *vectors = pn_vectors(files[i]);

        check_recorded(vectors, row);
        json_decref(vectors);
    }
}

/* ---- made --------------------------------------------------------------- */

typedef struct made_row {
    const char *name;
    const char *reason;
    const char *text; /* NULL: no crash */
} made_row;

#define ERROR(exception, stack)                                                \
    "{:handler_crash, {:error, " exception ", " stack "}}"

static const made_row made[] = {
    {"a_throw", "{:handler_crash, {:throw, {:x, \"y\"}}}",
        "** (throw) {:x, \"y\"}"},
    {"an_exit", "{:handler_crash, {:exit, {:signal, 9}}}",
        "** (exit) {:signal, 9}"},
    {"a_key",
        ERROR("%{__struct__: KeyError, key: :a, term: %{b: 1}, message: nil}",
            "[]"),
        "** (KeyError) key :a not found in: %{b: 1}"},
    {"a_match", ERROR("%{__struct__: MatchError, term: {:error, 1}}", "[]"),
        "** (MatchError) no match of right hand side value: {:error, 1}"},
    {"of_erlang",
        ERROR("%{__struct__: ErlangError, original: :badthing}", "[]"),
        "** (ErlangError) Erlang error: :badthing"},
    {"no_exception", ERROR(":badthing", "[]"),
        "** (ErlangError) Erlang error: :badthing"},
    {"of_an_application", ERROR("%{__struct__: MyApp.Error, code: 7}", "[]"),
        "** (MyApp.Error) %{__struct__: MyApp.Error, code: 7}"},
    {"message_of_another_type",
        ERROR("%{__struct__: KeyError, message: 7}", "[]"),
        "** (KeyError) %{__struct__: KeyError, message: 7}"},
    {"no_place",
        ERROR(
            "%{__struct__: RuntimeError, message: \"x\"}", "[{:m, :f, 1, []}]"),
        "** (RuntimeError) x\n    :m.f/1"},
    {"no_line",
        ERROR("%{__struct__: RuntimeError, message: \"x\"}",
            "[{:m, :f, 1, [file: 'a.ex']}]"),
        "** (RuntimeError) x\n    a.ex: :m.f/1"},
    {"line_first",
        ERROR("%{__struct__: RuntimeError, message: \"x\"}",
            "[{:m, :\"odd name\", 1, [line: 3, file: 'a.ex']}]"),
        "** (RuntimeError) x\n    a.ex:3: :m.\"odd name\"/1"},
    {"odd_frames",
        ERROR("%{__struct__: RuntimeError, message: \"x\"}",
            "[7, {:m, :f, [1 | 2], :x}, {1, 2, 3, [file: 'a' ]}"
            "| :tail]"),
        "** (RuntimeError) x\n    7\n    :m.f(1)\n    a: 1.2/3"},
    {"stack_is_no_list",
        ERROR("%{__struct__: RuntimeError, message: \"x\"}", ":none"),
        "** (RuntimeError) x"},
    {"not_one_atom", ":badarg", NULL},
    {"not_one_kind", "{:handler_crash, {:other, 1}}", NULL},
    {"not_one_bare", "{:handler_crash, :x}", NULL},
    {"not_one_list", "[:handler_crash]", NULL},
};

static void test_cli_crash_made(void **state)
{
    const made_row *row = *state;
    pn_term_writer w;
    pn_term reason;
    char *text;

    pn_term_writer_init(&w, 0);
    assert_int_equal(
        pn_term_from_text(&w, row->reason, strlen(row->reason), NULL, NULL),
        PN_OK);
    assert_int_equal(pn_term_writer_finish(&w, NULL, &reason), PN_OK);
    text = crash_text(reason);
    if (row->text == NULL) {
        assert_null(text);
    } else {
        assert_non_null(text);
        assert_string_equal(text, row->text);
    }
    free(text);
    pn_term_writer_free(&w);
}

/* A message, a value and a stack without end are cut off. */
static void test_cli_crash_long(void **state)
{
    char *message = malloc(500000);
    pn_term_writer w;
    pn_term reason;
    char *text;

    (void)state;
    assert_non_null(message);
    memset(message, 'x', 500000);
    pn_term_writer_init(&w, 0);
    pn_term_write_tuple_begin(&w);
    pn_term_write_atom(&w, "handler_crash");
    pn_term_write_tuple_begin(&w);
    pn_term_write_atom(&w, "error");
    pn_term_write_format(&w,
        "%{'__struct__' => 'Elixir.RuntimeError', message => ~b}",
        (pn_slice){(const uint8_t *)message, 500000});
    pn_term_write_list_begin(&w);
    for (int i = 0; i < 10000; i++) {
        pn_term_write_format(&w, "{m, f, ~i, []}", i);
    }
    pn_term_write_list_end(&w);
    pn_term_write_tuple_end(&w);
    pn_term_write_tuple_end(&w);
    assert_int_equal(pn_term_writer_finish(&w, NULL, &reason), PN_OK);
    text = crash_text(reason);
    assert_non_null(text);
    assert_in_range(strlen(text), 1000, 10000);
    assert_non_null(strstr(text, "xxx...\n    :m.f/0\n"));
    assert_non_null(strstr(text, "\n    :m.f/63\n    ..."));
    free(text);
    free(message);
    pn_term_writer_free(&w);
}

int main(void)
{
    for (size_t i = 0; i < sizeof(recorded) / sizeof(recorded[0]); i++) {
        pn_test_addf(test_cli_crash_recorded, (void *)(uintptr_t)&recorded[i],
            "cli/crash/recorded/%zu", i);
    }
    for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
        pn_test_addf(test_cli_crash_made, (void *)(uintptr_t)&made[i],
            "cli/crash/made/%s", made[i].name);
    }
    pn_test_add("cli/crash/long", test_cli_crash_long, NULL);
    return pn_test_run("cli/crash");
}

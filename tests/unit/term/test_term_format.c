/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns: what they write, what they match, and which are none. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <peernet/key.h>
#include <peernet/term.h>

#include "harness.h"

/* ---- literals: written, and matched against what was written ---- */

static const struct {
    const char *pattern;
    const char *hex;
} literals[] = {
    {"ok", "8377026f6b"},
    {" ok ", "8377026f6b"},
    {"a_b@C1", "837706615f6240433"
               "1"},
    {"ok?", "83770 36f6b3f"},
    {"ok!", "8377036f6b21"},
    {"'hello world'", "83770b68656c6c6f20776f726c64"},
    {"''", "837700"},
    {"'it\\'s'", "83770469742773"},
    {"'Elixir.Foo'", "83770a456c697869722e466f6f"},
    {"true", "83770474727565"},
    {"0", "836100"},
    {"255", "8361ff"},
    {"256", "836200000100"},
    {"-1", "8362ffffffff"},
    {"9223372036854775807", "836e0800ffffffffffffff7f"},
    {"-9223372036854775808", "836e08010000000000000080"},
    {"\"text\"", "836d0000000474657874"},
    {"\"\"", "836d00000000"},
    {"\"a\\n\\t\\r\\\\\\\"'\"", "836d00000007610a090d5c2227"},
    {"\"\xc3\xa9\"", "836d00000002c3a9"},
    {"{}", "836800"},
    {"{ }", "836800"},
    {"{1}", "8368016101"},
    {"{ok, 1}", "83680277026f6b6101"},
    {"{ok,\n\t1}", "83680277026f6b6101"},
    {"{{}, {{}}}", "8368026800680168 00"},
    {"[]", "836a"},
    {"[a]", "836c000000017701616a"},
    {"[1, 2]", "836b00020102"},
    {"[a | b]", "836c00000001770161770162"},
    {"[a, b | c]", "836c00000002770161770162770163"},
    {"[{a} | {b}]", "836c00000001680177016168 01770162"},
    {"%{}", "837400000000"},
    {"%{a: 1}", "8374000000017701616101"},
    {"%{a => 1}", "8374000000017701616101"},
    {"%{1 => a}", "8374000000016101770161"},
    {"%{\"k\" => {a, b}}", "8374000000016d000000016b6802770161770162"},
    {"%{'x y' => 1}", "8374000000017703782079 6101"},
    {"%{a: 1, b => 2, \"c\" => 3}", "83740000000377016161017701626102"
                                    "6d00000001636103"},
    {"%{a: %{b: []}}", "837400000001770161740000000177016 26a"},
};

static void test_literal_writes(void **state)
{
    size_t i = (size_t)(uintptr_t)*state;
    size_t len;
    uint8_t *want = pn_unhex(literals[i].hex, &len);
    pn_term_writer w;
    pn_slice out;

    pn_term_writer_init(&w, 0);
    pn_term_write_format(&w, literals[i].pattern);
    assert_int_equal(pn_term_writer_finish(&w, &out, NULL), PN_OK);
    pn_assert_bytes(out.data, out.len, want, len);
    pn_term_writer_free(&w);
    free(want);
}

/* Each literal matches itself and no other (a map matches larger ones). */
static void test_literal_matches(void **state)
{
    size_t i = (size_t)(uintptr_t)*state;
    size_t len;
    uint8_t *bytes = pn_unhex(literals[i].hex, &len);
    pn_term term = {bytes + 1, len - 1};

    assert_true(pn_term_match(term, literals[i].pattern));
    for (size_t k = 0; k < sizeof(literals) / sizeof(literals[0]); k++) {
        size_t other_len;
        uint8_t *other = pn_unhex(literals[k].hex, &other_len);
        bool is_same = other_len == len && memcmp(other, bytes, len) == 0;
        bool is_map = literals[k].pattern[0] == '%';

        if (!is_map && pn_term_match(term, literals[k].pattern) != is_same) {
            fail_msg("%s against %s", literals[i].pattern, literals[k].pattern);
        }
        free(other);
    }
    free(bytes);
}

/* Cut anywhere, a pattern is none, or it is another one. */
static void test_literal_cut(void **state)
{
    size_t i = (size_t)(uintptr_t)*state;
    const char *pattern = literals[i].pattern;
    bool is_nested = strchr("{[%", pattern[0]) != NULL;

    for (size_t n = 0; is_nested && n < strlen(pattern); n++) {
        char *part = strndup(pattern, n);
        pn_term_writer w;

        pn_term_writer_init(&w, 0);
        pn_term_write_format(&w, part);
        assert_int_equal(pn_term_writer_finish(&w, NULL, NULL), PN_INVALID);
        pn_term_writer_free(&w);
        free(part);
    }
}

/* ---- patterns that are none ---- */

static const char *const bad_patterns[] = {"", " ", "Foo", ",", "|", "}", "]",
    "=>", ":", "{", "[", "%{", "%", "%%{}", "{,}", "{a,}", "{a b}", "{a]",
    "[a}", "[,]", "[a,]", "[|a]", "[a|]", "[a|b|c]", "[a|b,c]", "{a|b}", "%{a}",
    "%{a:}", "%{a: 1,}", "%{a =>}", "%{a => 1 => 2}", "%{=> 1}", "%{a, 1}",
    "%{a: 1 b: 2}", "%{a: b: 1}", "%{a: 1]", "a:", "{a: 1}", "[a: 1]", "a b",
    "{} {}", "1 2", "12a3 4", "-", "--1", "- 1", "+1", "1.5",
    "9223372036854775808", "-9223372036854775809", "99999999999999999999",
    "\"a", "'a", "\"a\\\"", "\"\\x\"", "\"\\", "~", "~z", "~A", "~ i", "{~}",
    "_", "{_}", "%{_ => 1}", "_a", "a => b", "(a)", "a.b", "\\", "\x01",
    "\xc3\xa9"};

static void test_bad_format(void **state)
{
    const char *pattern = *state;
    pn_term_writer w;

    pn_term_writer_init(&w, 0);
    pn_term_write_format(&w, pattern);
    assert_int_equal(pn_term_writer_finish(&w, NULL, NULL), PN_INVALID);
    pn_term_writer_free(&w);
}

static void test_bad_match(void **state)
{
    static const char *const terms[] = {"6a", "77016 1", "68017701 61",
        "680277016177 0162", "7400000001770161 6101", "6c0000000177016177 0162",
        "6101", "6d0000000161", "7400000000", "6800"};
    const char *pattern = *state;

    /* These two are wildcards: they match. */
    if (strcmp(pattern, "_") == 0 || strcmp(pattern, "{_}") == 0) {
        return;
    }
    for (size_t i = 0; i < sizeof(terms) / sizeof(terms[0]); i++) {
        size_t len;
        uint8_t *bytes = pn_unhex(terms[i], &len);

        if (pn_term_match((pn_term){bytes, len}, pattern)) {
            fail_msg("%s matched %s", pattern, terms[i]);
        }
        free(bytes);
    }
}

static void test_null_pattern(void **state)
{
    pn_term_writer w;
    static const uint8_t nil[] = {106};

    (void)state;
    pn_term_writer_init(&w, 0);
    pn_term_write_vformat(&w, NULL, (va_list){0});
    assert_int_equal(pn_term_writer_finish(&w, NULL, NULL), PN_INVALID);
    pn_term_writer_free(&w);
    assert_false(pn_term_vmatch((pn_term){nil, 1}, NULL, (va_list){0}));
}

static void check_depth(size_t n, bool is_fine)
{
    char pattern[200];
    pn_term_writer w;
    pn_term term;

    memset(pattern, '{', n);
    memset(pattern + n, '}', n);
    pattern[2 * n] = '\0';
    pn_term_writer_init(&w, 0);
    pn_term_write_format(&w, pattern);
    assert_int_equal(
        pn_term_writer_finish(&w, NULL, &term), is_fine ? PN_OK : PN_INVALID);
    if (is_fine) {
        assert_true(pn_term_match(term, pattern));
    }
    pn_term_writer_free(&w);
}

static void test_depth(void **state)
{
    pn_term_writer w;
    pn_term term;
    char pattern[200];

    (void)state;
    check_depth(31, true);
    check_depth(32, true);
    check_depth(33, false);
    /* A term as deep as the pattern that is too deep. */
    pn_term_writer_init(&w, 0);
    for (int i = 0; i < 33; i++) {
        pn_term_write_tuple_begin(&w);
    }
    for (int i = 0; i < 33; i++) {
        pn_term_write_tuple_end(&w);
    }
    assert_int_equal(pn_term_writer_finish(&w, NULL, &term), PN_OK);
    memset(pattern, '{', 33);
    memset(pattern + 33, '}', 33);
    pattern[66] = '\0';
    assert_false(pn_term_match(term, pattern));
    pn_term_writer_free(&w);
}

/* ---- directives ---- */

static void test_directives_round(void **state)
{
    static const uint8_t nested[] = {104, 1, 97, 9};
    pn_public_key key;
    pn_public_key got_key;
    pn_term_writer w;
    pn_term term;
    pn_slice atom;
    pn_slice text;
    pn_slice bytes;
    int i = 0;
    int64_t l = 0;
    uint64_t u = 0;
    double d = 0;
    bool yes = false;
    bool no = true;
    pn_term t;

    (void)state;
    memset(key.bytes, 0x5a, sizeof(key.bytes));
    pn_term_writer_init(&w, 0);
    pn_term_write_format(&w,
        "{~a, ~s, ~b, [~i, ~l, ~u, ~d], %{~a => ~k}, ~o, ~o, ~t}", "name",
        "text", (pn_slice){(const uint8_t *)"\0\1", 2}, -5, INT64_MIN,
        UINT64_MAX, 1.5, "key", &key, 2, 0, (pn_term){nested, sizeof(nested)});
    assert_int_equal(pn_term_writer_finish(&w, NULL, &term), PN_OK);
    assert_true(pn_term_match(term,
        "{~a, ~b, ~b, [~i, ~l, ~u, ~d], %{key: ~k}, ~o, ~o, ~t}", &atom, &text,
        &bytes, &i, &l, &u, &d, &got_key, &yes, &no, &t));
    assert_memory_equal(atom.data, "name", 4);
    assert_int_equal(atom.len, 4);
    assert_memory_equal(text.data, "text", 4);
    assert_int_equal(bytes.len, 2);
    assert_memory_equal(bytes.data, "\0\1", 2);
    assert_int_equal(i, -5);
    assert_true(l == INT64_MIN);
    assert_true(u == UINT64_MAX);
    assert_true(d == 1.5);
    assert_memory_equal(&key, &got_key, sizeof(key));
    assert_true(yes);
    assert_false(no);
    assert_int_equal(t.len, sizeof(nested));
    assert_memory_equal(t.data, nested, sizeof(nested));
    pn_term_writer_free(&w);
}

static void check_directive_fails(const char *pattern, ...)
{
    va_list args;
    pn_term_writer w;

    va_start(args, pattern);
    pn_term_writer_init(&w, 0);
    pn_term_write_vformat(&w, pattern, args);
    va_end(args);
    assert_int_equal(pn_term_writer_finish(&w, NULL, NULL), PN_INVALID);
    pn_term_writer_free(&w);
}

static void test_directive_errors(void **state)
{
    (void)state;
    check_directive_fails("~a", (const char *)NULL);
    check_directive_fails("~s", (const char *)NULL);
    check_directive_fails("~k", (const pn_public_key *)NULL);
    check_directive_fails("~a", "\xff");
    check_directive_fails("~d", (double)NAN);
    check_directive_fails("~t", (pn_term){NULL, 0});
}

/* Every directive of a match against every kind of term. */
static const struct {
    const char *hex;
    const char *fits; /* directives */
} kinds[] = {
    {"6105", "ilud"},
    {"62ffffffff", "ild"},
    {"627fffffff", "ilud"},
    {"6e040000000080", "lud"},
    {"6e040101000080", "ld"},
    {"6e0800ffffffffffffff7f", "lu"},
    {"6e08010000000000000080", "l"},
    {"6e0800ffffffffffffffff", "u"},
    {"6e0900000000000000000001", ""},
    {"463ff8000000000000", "d"},
    {"77026f6b", "a"},
    {"6400026f6b", "a"},
    {"640001e9", ""},
    {"770474727565", "ao"},
    {"64000566616c7365", "ao"},
    {"6d0000000161", "b"},
    {"6d00000020000000000000000000000000000000000000000000000000"
     "0000000000000000",
        "bk"},
    {"4d0000000103a0", ""},
    {"6800", ""},
    {"6a", ""},
    {"6b000161", ""},
    {"7400000000", ""},
    {"587703614062000000010000000000000001", ""},
};

static void test_directive_kinds(void **state)
{
    size_t i = (size_t)(uintptr_t)*state;
    size_t len;
    uint8_t *bytes = pn_unhex(kinds[i].hex, &len);
    pn_term term = {bytes, len};

    for (const char *d = "abiludokt"; *d != '\0'; d++) {
        char pattern[3] = {'~', *d, '\0'};
        uint8_t room[64];
        bool fits = *d == 't' || strchr(kinds[i].fits, *d) != NULL;

        if (pn_term_match(term, pattern, (void *)room) != fits) {
            fail_msg("~%c", *d);
        }
    }
    free(bytes);
}

/* ---- lists and maps ---- */

static pn_term format_term(pn_term_writer *w, const char *pattern)
{
    pn_term term;

    pn_term_writer_init(w, 0);
    pn_term_write_format(w, pattern);
    assert_int_equal(pn_term_writer_finish(w, NULL, &term), PN_OK);
    return term;
}

static const struct {
    const char *term;
    const char *pattern;
    bool is_match;
} matches[] = {
    {"[1, 2, 3]", "[1, 2, 3]", true},
    {"[1, 2, 3]", "[1, 2]", false},
    {"[1, 2, 3]", "[1, 2, 3, 4]", false},
    {"[1, 2, 3]", "[1, 2, 3 | _]", true},
    {"[1, 2, 3]", "[1 | _]", true},
    {"[1, 2, 3]", "[2 | _]", false},
    {"[1, 2, 3]", "[_, _, _]", true},
    {"[1, 2, 3]", "[_, _]", false},
    {"[1, 2, 3]", "[1, 2, 3 | []]", true},
    {"[1, 2, 3]", "[1, 2 | []]", false},
    {"[a, b]", "[a, b | _]", true},
    {"[a, b]", "[a | _]", true},
    {"[a, b]", "[a | []]", false},
    {"[a, b]", "[a, b | []]", true},
    {"[a | b]", "[a | b]", true},
    {"[a | b]", "[a | _]", true},
    {"[a | b]", "[a]", false},
    {"[a, b]", "[a | b]", false},
    {"[a | {b}]", "[a | {b}]", true},
    {"[a | {b}]", "[a | {c}]", false},
    {"[a | %{k: 1}]", "[a | %{k: 1}]", true},
    {"[]", "[]", true},
    {"[]", "[_]", false},
    {"[]", "[_ | _]", false},
    {"[[1], [2]]", "[[1], [2]]", true},
    {"[[1], [2]]", "[[_], [_ | _]]", true},
    {"[[1], [2]]", "[[1] | _]", true},
    {"{[1, 2], a}", "{[1 | _], a}", true},
    {"{[1, 2], a}", "{_, a}", true},
    {"{[1, 2], a}", "{[1, 2], b}", false},
    {"{a, b}", "{a}", false},
    {"{a}", "{a, b}", false},
    {"{}", "{_}", false},
    {"{a, {b, c}}", "{a, _}", true},
    {"{a, {b, c}}", "{_, {_, c}}", true},
    {"%{a: 1, b: 2}", "%{}", true},
    {"%{a: 1, b: 2}", "%{a: 1}", true},
    {"%{a: 1, b: 2}", "%{b: 2}", true},
    {"%{a: 1, b: 2}", "%{b: 2, a: 1}", true},
    {"%{a: 1, b: 2}", "%{a: 2}", false},
    {"%{a: 1, b: 2}", "%{c: 1}", false},
    {"%{a: 1, b: 2}", "%{a: _, b: _}", true},
    {"%{a: 1, b: 2}", "%{a: _, b: _, c: _}", false},
    {"%{a: 1}", "%{\"a\" => 1}", false},
    {"%{\"a\" => 1}", "%{\"a\" => 1}", true},
    {"%{5 => 1}", "%{5 => 1}", true},
    {"%{5 => 1}", "%{6 => 1}", false},
    {"%{a: %{b: 1}, c: 2}", "%{a: %{b: 1}, c: 2}", true},
    {"%{a: %{b: 1}, c: 2}", "%{c: 2, a: %{b: 1}}", true},
    {"%{a: %{b: 1}, c: 2}", "%{a: %{}}", true},
    {"%{a: [1, 2], c: 2}", "%{a: [1 | _], c: 2}", true},
    {"%{a: [1, 2], c: 2}", "%{c: 2, a: [_, 2]}", true},
    {"%{a: [1, 2], c: 2}", "%{c: 2, a: [_]}", false},
    {"{%{a: 1, b: 2}, x}", "{%{b: 2}, x}", true},
    {"{%{a: 1, b: 2}, x}", "{%{a: 1}, x}", true},
    {"{%{a: 1, b: 2}, x}", "{%{}, x}", true},
    {"{%{a: 1, b: 2}, x}", "{%{}, y}", false},
    {"{%{a: 1, b: 2}}", "{%{}, x}", false},
    {"[%{a: 1}, %{a: 2}]", "[%{a: 1}, %{a: 2}]", true},
    {"[%{a: 1}, %{a: 2}]", "[%{a: 1} | _]", true},
    {"%{%{x: 1} => 2, a: 3}", "%{a: 3}", true},
    {"%{{1} => 2, [1, 2] => 4, a: 3}", "%{a: 3}", true},
    {"a", "_", true},
    {"[1]", "_", true},
    {"1", "a", false},
    {"1", "\"1\"", false},
    {"%{}", "{}", false},
    {"{}", "%{}", false},
    {"[]", "%{}", false},
    {"[1]", "%{}", false},
    {"[1, 2]", "[%{}, 2]", false},
    {"[1, 2]", "[{}, 2]", false},
    {"[1, 2]", "[a, 2]", false},
    {"[1, 2]", "[\"\", 2]", false},
    {"[1, 2]", "[[], 2]", false},
};

static void test_match(void **state)
{
    size_t i = (size_t)(uintptr_t)*state;
    pn_term_writer w;
    pn_term term = format_term(&w, matches[i].term);

    assert_int_equal(
        pn_term_match(term, matches[i].pattern), matches[i].is_match);
    pn_term_writer_free(&w);
}

static void test_match_takes(void **state)
{
    pn_term_writer w;
    pn_term term = format_term(
        &w, "{reply, 7, %{list: [1, 2], tail: [a | b], x: \"y\"}}");
    int64_t id = 0;
    int second = 0;
    pn_slice x;
    pn_term tail;
    pn_term element;

    (void)state;
    assert_true(pn_term_match(term,
        "{reply, ~l, %{x: ~b, list: [~t, ~i], tail: [a | ~t]}}", &id, &x,
        &element, &second, &tail));
    assert_int_equal(id, 7);
    assert_int_equal(second, 2);
    assert_int_equal(x.len, 1);
    assert_true(pn_term_is_atom(tail, "b"));
    assert_int_equal(element.len, 2);
    assert_memory_equal(element.data, "a\1", 2);
    assert_true(
        pn_term_match(term, "{_, _, %{list: [~i, _ | ~t]}}", &second, &tail));
    assert_int_equal(second, 1);
    assert_int_equal(tail.len, 1);
    assert_int_equal(tail.data[0], 106);
    /* The rest of a longer list is no slice. */
    assert_false(
        pn_term_match(term, "{_, _, %{list: [~i | ~t]}}", &second, &tail));
    pn_term_writer_free(&w);
}

static void test_match_latin1(void **state)
{
    static const uint8_t map[] = {116, 0, 0, 0, 1, 100, 0, 1, 0xe9, 97, 1};

    (void)state;
    assert_true(
        pn_term_match((pn_term){map, sizeof(map)}, "%{'\xc3\xa9' => 1}"));
    assert_false(pn_term_match((pn_term){map, sizeof(map)}, "%{'\xe9' => 1}"));
}

static void test_match_no_term(void **state)
{
    (void)state;
    assert_false(pn_term_match((pn_term){NULL, 0}, "_"));
    assert_false(pn_term_match((pn_term){NULL, 0}, "ok"));
    assert_false(pn_term_match((pn_term){NULL, 0}, "%{}"));
}

/* Inside of what the caller has open. */
static void test_format_inside(void **state)
{
    pn_term_writer w;
    pn_term term;

    (void)state;
    pn_term_writer_init(&w, 0);
    pn_term_write_tuple_begin(&w);
    pn_term_write_format(&w, "reply");
    pn_term_write_map_begin(&w);
    pn_term_write_format(&w, "key");
    pn_term_write_format(&w, "[1 | 2]");
    pn_term_write_map_end(&w);
    pn_term_write_tuple_end(&w);
    assert_int_equal(pn_term_writer_finish(&w, NULL, &term), PN_OK);
    assert_true(pn_term_match(term, "{reply, %{key: [1 | 2]}}"));
    pn_term_writer_free(&w);
    /* It cannot close what it did not open. */
    pn_term_writer_init(&w, 0);
    pn_term_write_tuple_begin(&w);
    pn_term_write_format(&w, "a}");
    assert_int_equal(pn_term_writer_finish(&w, NULL, NULL), PN_INVALID);
    pn_term_writer_free(&w);
}

int main(void)
{
    for (size_t i = 0; i < sizeof(literals) / sizeof(literals[0]); i++) {
        const char *p = literals[i].pattern;

        pn_test_addf(
            test_literal_writes, (void *)i, "term/format/writes/%s", p);
        pn_test_addf(
            test_literal_matches, (void *)i, "term/match/literal/%s", p);
        pn_test_addf(test_literal_cut, (void *)i, "term/format/cut/%s", p);
    }
    for (size_t i = 0; i < sizeof(bad_patterns) / sizeof(char *); i++) {
        void *p = (void *)(uintptr_t)bad_patterns[i];

        pn_test_addf(test_bad_format, p, "term/format/bad/%zu", i);
        pn_test_addf(test_bad_match, p, "term/match/bad/%zu", i);
    }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        pn_test_addf(test_directive_kinds, (void *)i,
            "term/match/directives/%s", kinds[i].hex);
    }
    for (size_t i = 0; i < sizeof(matches) / sizeof(matches[0]); i++) {
        pn_test_addf(test_match, (void *)i, "term/match/%s against %s",
            matches[i].term, matches[i].pattern);
    }
    pn_test_add("term/format/null_pattern", test_null_pattern, NULL);
    pn_test_add("term/format/depth", test_depth, NULL);
    pn_test_add("term/format/directives_round", test_directives_round, NULL);
    pn_test_add("term/format/directive_errors", test_directive_errors, NULL);
    pn_test_add("term/format/inside", test_format_inside, NULL);
    pn_test_add("term/match/takes", test_match_takes, NULL);
    pn_test_add("term/match/latin1", test_match_latin1, NULL);
    pn_test_add("term/match/no_term", test_match_no_term, NULL);
    return pn_test_run("term-format");
}

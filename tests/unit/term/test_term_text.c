/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Elixir text: inspect's output for the corpus is read to the same bytes;
 * tables of printed terms, of texts that are read, and of refusals with their
 * place and sentence. tests/beam/codec.exs asks a real Elixir.
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <peernet/term.h>

#include "harness.h"

static pn_term parse_hex(const char *hex, uint8_t **ret_bytes)
{
    size_t len;
    pn_term term = {NULL, 0};
    pn_term_error error = {0};

    *ret_bytes = pn_unhex(hex, &len);
    if (pn_term_parse(*ret_bytes, len, NULL, &term, &error) != PN_OK) {
        fail_msg("%s: %s", hex, error.text);
    }
    return term;
}

static void expect_read(const char *text, const uint8_t *want, size_t want_len)
{
    pn_term_writer w;
    pn_text_error error = {0};
    pn_slice out;

    pn_term_writer_init(&w, 0);
    if (pn_term_from_text(&w, text, strlen(text), NULL, &error) != PN_OK) {
        fail_msg("expected %s at %zu", error.expected, error.offset);
    }
    assert_int_equal(pn_term_writer_finish(&w, &out, NULL), PN_OK);
    pn_assert_bytes(out.data, out.len, want, want_len);
    pn_term_writer_free(&w);
}

static void expect_printed(pn_term term, const char *want)
{
    char *text;
    size_t len;

    assert_int_equal(pn_term_to_text(term, &text, &len), PN_OK);
    assert_string_equal(text, want);
    assert_int_equal(len, strlen(want));
    free(text);
}

/* The hint for an unquoted name with a character that is not ASCII. */
#define WIDE                                                                   \
    "quotes around a name that is not ASCII, as in :\"gr\xc3\xbc\xc3\x9f\""

static void check_refused(const char *text, size_t len,
    const pn_term_limits *limits, pn_err err, size_t offset,
    const char *expected)
{
    pn_term_writer w;
    pn_text_error error = {SIZE_MAX, ""};
    /* Exactly as long as it is. */
    char *copy = malloc(len == 0 ? 1 : len);

    assert_non_null(copy);
    memcpy(copy, text, len);
    pn_term_writer_init(&w, 0);
    assert_int_equal(pn_term_from_text(&w, copy, len, limits, &error), err);
    if (expected != NULL) {
        assert_string_equal(error.expected, expected);
        assert_int_equal(error.offset, offset);
    }
    assert_int_equal(pn_term_writer_finish(&w, NULL, NULL), err);
    pn_term_writer_free(&w);
    free(copy);
}

/* ---- the corpus ---- */

typedef struct corpus_case {
    const char *text;
    const char *hex;
} corpus_case;

static void test_corpus_read(void **state)
{
    const corpus_case *c = *state;
    size_t len;
    uint8_t *want = pn_unhex(c->hex, &len);

    expect_read(c->text, want, len);
    free(want);
}

static void test_corpus_printed(void **state)
{
    const corpus_case *c = *state;
    uint8_t *bytes;
    pn_term term = parse_hex(c->hex, &bytes);

    expect_printed(term, c->text);
    free(bytes);
}

/* Texts that are whole and a term's own: no sigils, structs, or ellipsis. */
static bool is_literal(const char *text, const char *category)
{
    static const char *const not [] = {
        "...", "~", "#", "&", "..", "%A", "%R", "%K", "%F", "%U", "%M"};

    for (size_t i = 0; i < sizeof(not ) / sizeof(not [0]); i++) {
        if (strstr(text, not [i]) != NULL) {
            return false;
        }
    }
    return strcmp(category, "struct") != 0;
}

/* An atom that Elixir prints without quotes and we with. */
static bool is_wide_atom(const char *text)
{
    const char *p = text;

    while (*p != '\0' && (uint8_t)*p < 128) {
        p++;
    }
    return text[0] == ':' && text[1] != '"' && *p != '\0';
}

static void test_corpus_wide(void **state)
{
    const corpus_case *c = *state;
    size_t len = strlen(c->text) + 3;
    char *quoted = malloc(len);
    corpus_case in_quotes = {quoted, c->hex};
    void *inner = &in_quotes;

    assert_non_null(quoted);
    (void)snprintf(quoted, len, ":\"%s\"", c->text + 1);
    test_corpus_read(&inner);
    test_corpus_printed(&inner);
    free(quoted);
    check_refused(c->text, strlen(c->text), NULL, PN_INVALID, 1, WIDE);
}

static corpus_case corpus_cases[200];

/* How many cases were taken: the corpus may not shrink unseen. */
static size_t add_corpus(const json_t *root)
{
    size_t n = 0;
    size_t i;
    json_t *c;

    json_array_foreach(json_object_get(root, "corpus"), i, c)
    {
        const char *text = pn_json_string(c, "elixir");
        const char *hex = json_string_value(json_object_get(c, "hex"));
        const char *name = pn_json_string(c, "name");

        if (hex == NULL) {
            /* The order of pairs in the text is OTP 25's. */
            hex = json_string_value(
                json_object_get(json_object_get(c, "other_encodings_otp25"),
                    "minor_version_2"));
        }
        if (hex == NULL || !is_literal(text, pn_json_string(c, "category"))) {
            continue;
        }
        corpus_cases[n] = (corpus_case){text, hex};
        if (is_wide_atom(text)) {
            pn_test_addf(test_corpus_wide, &corpus_cases[n],
                "term/text/corpus/%s only in quotes", name);
            n++;
            continue;
        }
        pn_test_addf(test_corpus_read, &corpus_cases[n],
            "term/text/corpus/%s read", name);
        /* The corpus has charlists where we have lists. */
        if (strchr(text, '\'') == NULL) {
            pn_test_addf(test_corpus_printed, &corpus_cases[n],
                "term/text/corpus/%s printed", name);
        }
        n++;
    }
    return n;
}

/* ---- printed, and read back ---- */

static const struct {
    const char *hex;
    const char *text;
} both[] = {
    {"836100", "0"},
    {"8362ffffffff", "-1"},
    {"836e08000000000000000080", "9223372036854775808"},
    {"836e08010000000000000080", "-9223372036854775808"},
    {"836e0901ffffffffffffffffff", "-4722366482869645213695"},
    {"83463ff0000000000000", "1.0"},
    {"83468000000000000000", "-0.0"},
    {"83463fb999999999999a", "0.1"},
    {"834640c81c8000000000", "12345.0"},
    {"83463f1a36e2eb1c432d", "0.0001"},
    {"83463ee4f8b588e368f1", "1.0e-5"},
    {"83463f1f99f93ae9e0da", "1.2055e-4"},
    {"8346433fffffffffffff", "9007199254740991.0"},
    {"834643400000000000 00", "9007199254740992.0"},
    {"83464341c37937e08000", "1.0e16"},
    {"83460000000000000001", "5.0e-324"},
    {"83467fefffffffffffff", "1.7976931348623157e308"},
    {"83463d30000000000000", "5.684341886080802e-14"},
    {"83464415af1d78b58c40", "1.0e20"},
    {"83770474727565", "true"},
    {"8377036e696c", "nil"},
    {"8377026f6b", ":ok"},
    {"837700", ":\"\""},
    {"83770b68656c6c6f20776f726c64", ":\"hello world\""},
    {"837703466f6f", ":Foo"},
    {"83770a456c697869722e466f6f", "Foo"},
    {"83770e456c697869722e466f6f2e426172", "Foo.Bar"},
    {"837706456c69786972", "Elixir"},
    {"83770d456c697869722e456c69786972", "Elixir.Elixir"},
    {"83770f456c697869722e456c697869722e41", "Elixir.Elixir.A"},
    {"837707456c697869722e", ":\"Elixir.\""},
    {"83770a456c697869722e666f6f", ":\"Elixir.foo\""},
    {"8377012b", ":+"},
    {"8377042e2e2f2f", ":..//"},
    {"8377023d3e", ":\"=>\""},
    {"8377043c3c3e3e", ":<<>>"},
    {"837703615f3f", ":a_?"},
    {"837703614062", ":a@b"},
    {"83770131", ":\"1\""},
    {"837702c3a9", ":\"\xc3\xa9\""},
    {"837702c2b5", ":\"\xc2\xb5\""},
    {"83770361cc81", ":\"a\xcc\x81\""},
    {"837703e2988e", ":\"\xe2\x98\x8e\""},
    {"837702c280", ":\"\\x80\""},
    {"837703efbfbe", ":\"\\x{FFFE}\""},
    {"837703237b61", ":\"\\#{a\""},
    {"836d00000000", "\"\""},
    {"836d000000026869", "\"hi\""},
    {"836d0000000100", "<<0>>"},
    {"836d000000017f", "\"\\d\""},
    {"836d0000000a07081b0c0a0d090b2223", "\"\\a\\b\\e\\f\\n\\r\\t\\v\\\"#\""},
    {"836d00000003235c7b", "\"#\\\\{\""},
    {"836d00000002237b", "\"\\#{\""},
    {"836d00000002c3a9", "\"\xc3\xa9\""},
    {"836d00000002c280", "<<194, 128>>"},
    {"836d00000002ff00", "<<255, 0>>"},
    {"834d0000000101 80", "<<1::size(1)>>"},
    {"834d00000002036160", "<<97, 3::size(3)>>"},
    {"836a", "[]"},
    {"836b000101", "[1]"},
    {"836b0003616263", "[97, 98, 99]"},
    {"836c0000000161016102", "[1 | 2]"},
    {"836c00000002610161026103", "[1, 2 | 3]"},
    {"836c0000000168027701616101 6a", "[a: 1]"},
    {"836c000000026802770161610168027701626b0001016a", "[a: 1, b: [1]]"},
    {"836c000000026802770161610161026a", "[{:a, 1}, 2]"},
    {"836c0000000168027701616101 6102", "[{:a, 1} | 2]"},
    {"836c000000016802770a456c697869722e466f6f61016a", "[{Foo, 1}]"},
    {"836c00000001680277036120626101 6a", "[\"a b\": 1]"},
    {"836c0000000168027706456c6978697261016a", "[\"Elixir\": 1]"},
    {"836c0000000168027701 2b61016a", "[+: 1]"},
    {"836c00000001680277036e696c61016a", "[nil: 1]"},
    {"836c00000001680361016102 61036a", "[{1, 2, 3}]"},
    {"836c0000000168017701616a", "[{:a}]"},
    {"836c0000000168026d00000001616101 6a", "[{\"a\", 1}]"},
    {"836800", "{}"},
    {"8368016101", "{1}"},
    {"836803610161026103", "{1, 2, 3}"},
    {"836802770161 6c0000000168027701626101 6a", "{:a, [b: 1]}"},
    {"837400000000", "%{}"},
    {"8374000000017701616101", "%{a: 1}"},
    {"83740000000161017701 61", "%{1 => :a}"},
    {"837400000002770161610161026103", "%{:a => 1, 2 => 3}"},
    {"83740000000177016174000000017701626a", "%{a: %{b: []}}"},
    {"837400000001770a5f5f7374727563745f5f770a456c697869722e466f6f",
        "%{__struct__: Foo}"},
    {"837400000001 6b0001016801 6a", "%{[1] => {[]}}"},
};

static void test_both(void **state)
{
    size_t i = (size_t)(uintptr_t)*state;
    uint8_t *bytes;
    pn_term term = parse_hex(both[i].hex, &bytes);

    expect_printed(term, both[i].text);
    expect_read(both[i].text, bytes, term.len + 1);
    free(bytes);
}

/* Other spellings on the wire print alike. */
static const struct {
    const char *hex;
    const char *text;
} printed[] = {
    {"836400026f6b", ":ok"},
    {"83640001e9", ":\"\xc3\xa9\""},
    {"837301e9", ":\"\xc3\xa9\""},
    {"8362000000 01", "1"},
    {"836e030001 0000", "1"},
    {"836f0000000100ff", "255"},
    {"836e0000", "0"},
    {"836b0000", "[]"},
    {"836900000001 6a", "{[]}"},
    {"836c0000000261016102 6a", "[1, 2]"},
    {"83587703614062000000260000000700000001", "#PID<a@b.38.7>"},
    {"8367770361406200000026000000070 1", "#PID<a@b.38.7>"},
    {"8359770361406200000005000000 01", "#Port<a@b.5>"},
    {"836677036140620000000501", "#Port<a@b.5>"},
    {"83787703614062000000123456789000000001", "#Port<a@b.78187493520>"},
    {"835a000377036140620000000100000007000000080000000 9",
        "#Reference<a@b.9.8.7>"},
    {"8372000277036140620100000007000000 08", "#Reference<a@b.8.7>"},
    {"8365770361406200000007 01", "#Reference<a@b.7>"},
    {"835a000077036140620000000 1", "#Reference<a@b>"},
    {"8358 7703611b62 000000010000000200000001", "#PID<\"a\\eb\".1.2>"},
    {"8371770b456c697869722e456e756d77036d61706102", "&Enum.map/2"},
    {"8371 77066572 6c616e67 770473656c66 6100", "&:erlang.self/0"},
    {"8371 7703612062 7703632064 6101", "&:\"a b\".\"c d\"/1"},
    {"8371 77026f6b 77013a 6101", "&:ok.\":\"/1"},
    {"8371 77026f6b 77012b 6102", "&:ok.+/2"},
    {"8371 77026f6b 7702257b 6102", "&:ok.\"%{\"/2"},
    {"8371 77026f6b 7703466f6f 6102", "&:ok.\"Foo\"/2"},
    {"8371 77026f6b 7703614062 6102", "&:ok.\"a@b\"/2"},
    {"8371 77026f6b 77035e5e5e 6102", "&:ok.^^^/2"},
    {"8371 77026f6b 77047472 7565 6102", "&:ok.true/2"},
    {"8370 00000037 02 00000000000000000000000000000000 00000000 00000000"
     "77026f6b 6100 6100 58 7703614062 000000000000000000000000",
        "#Function<ok/2>"},
};

static void test_printed(void **state)
{
    size_t i = (size_t)(uintptr_t)*state;
    uint8_t *bytes;
    pn_term term = parse_hex(printed[i].hex, &bytes);

    expect_printed(term, printed[i].text);
    free(bytes);
}

/* ---- read only ---- */

static const struct {
    const char *text;
    const char *hex;
} reads[] = {
    {" 1 ", "836101"},
    {"+1", "836101"},
    {"-0", "836100"},
    {"007", "836107"},
    {"1_000", "8362000003e8"},
    {"0xFF", "8361ff"},
    {"0xff_ff", "83620000ffff"},
    {"-0xFF", "8362ffffff01"},
    {"0o17", "83610f"},
    {"0b101", "836105"},
    {"-1.5e3", "8346c097700000000000"},
    {"1.5E+3", "83464097700000000000"},
    {"1_0.2_5", "83464024800000000000"},
    {"1.0e-400", "83460000000000000000"},
    {"0.0e999999999999999999999", "83460000000000000000"},
    {"?a", "836161"},
    {"?\\n", "83610a"},
    {"?\xc3\xa9", "8361e9"},
    {":'a b'", "837703612062"},
    {":\"a\\x41\"", "8377026141"},
    {"'abc'", "836b0003616263"},
    {"''", "836a"},
    {"'\xe2\x98\x8e'", "836c00000001620000260e6a"},
    {"'\\''", "836b000127"},
    {"\"\\x41\\xff\"", "836d0000000241ff"},
    {"\"\\x4\"", "836d0000000104"},
    {"\"\\u00e9\\u{1F600}\\x{e9}\"", "836d00000008c3a9f09f9880c3a9"},
    {"\"a\\\nb\"", "836d000000026162"},
    {"\"\\q\\s\\0\"", "836d00000003712000"},
    {"\"\\\xc3\xa9\"", "836d00000002c3a9"},
    {"[1,2]", "836b00020102"},
    {"[1 | [2, 3]]", "836b0003010203"},
    {"[1, a: 2]", "836c0000000261016802770161 61026a"},
    {"[a:\n1]", "836c00000001680277016161016a"},
    {"~c\"abc\"", "836b0003616263"},
    {"~c'abc'", "836b0003616263"},
    {"~c\"\"", "836a"},
    {"~c\"it's\"", "836b000469742773"},
    {"{~c\"a\\n\", 1}", "836802 6b0002610a 6101"},
    {"~c\"\xe2\x98\x8e\"", "836c00000001620000260e6a"},
    {"%{1=>2}", "83740000000161016102"},
    {"%{1 => 2, a: 3}", "8374000000026101610277016161 03"},
    {"%{\"a b\": 1}", "837400000001770361 20626101"},
    {"<<>>", "836d00000000"},
    {"<< 1 , 2 >>", "836d000000020102"},
    {"<<300>>", "836d000000012c"},
    {"<<-1>>", "836d00000001ff"},
    {"<<300::16>>", "836d00000002012c"},
    {"<<1::size(1)>>", "834d000000010180"},
    {"<<1::4, 2::4>>", "836d0000000112"},
    {"<<1::1, \"a\">>", "834d0000000201b080"},
    {"<<\"ab\", 0>>", "836d00000003616200"},
    {"<<1::64>>", "836d000000080000000000000001"},
    {"<<0::0>>", "836d00000000"},
    {"\n{ :ok ,\t1 }\r\n", "83680277026f6b6101"},
};

static void test_reads(void **state)
{
    size_t i = (size_t)(uintptr_t)*state;
    size_t len;
    uint8_t *want = pn_unhex(reads[i].hex, &len);

    expect_read(reads[i].text, want, len);
    free(want);
}

/* ---- refused, where and why ---- */

static const struct {
    const char *text;
    size_t offset;
    const char *expected;
} refused[] = {
    {"", 0, "a value"},
    {"  ", 2, "a value"},
    {"foo", 0, "a value"},
    {"self()", 0, "a value"},
    {"#PID<0.1.0>", 0, "a value"},
    {"%Foo{}", 0, "a value"},
    {"(1)", 0, "a value"},
    {"[a:1]", 3, "a space behind the ':' of a name"},
    {"%{a:1}", 4, "a space behind the ':' of a name"},
    {"[a: 1, b:2]", 9, "a space behind the ':' of a name"},
    {"[\"a\":1]", 5, "a space behind the ':' of a name"},
    {"~c", 0, "a value (of sigils, ~c\"text\" only)"},
    {"~s\"abc\"", 0, "a value (of sigils, ~c\"text\" only)"},
    {"~c(abc)", 0, "a value (of sigils, ~c\"text\" only)"},
    {"~c\"abc", 6, "'\"'"},
    {"~c'abc\"", 7, "\"'\""},
    {"~c\"#{1}\"", 3, "text without interpolation"},
    {"1 2", 2, "the end of the term"},
    {"1 + 1", 2, "the end of the term"},
    {"1..2", 1, "the end of the term"},
    {"Foo.bar", 3, "the end of the term"},
    {"1a", 1, "the end of the number"},
    {"1_", 1, "the end of the number"},
    {"1e3", 1, "the end of the number"},
    {"0xG", 2, "a digit"},
    {"0b2", 2, "a digit"},
    {"-", 1, "a digit"},
    {"--1", 1, "a digit"},
    {"1.5e", 4, "a digit of the exponent"},
    {"1.0e999", 7, "a float that is not infinite"},
    {":", 1, "the name of an atom"},
    {": a", 1, "the name of an atom"},
    {":1", 1, "the name of an atom"},
    {":\xc3\xa9", 1, WIDE},
    {":a\xc3\xa9", 1, WIDE},
    {":A\xc3\xa9", 1, WIDE},
    {"\xc3\xa9", 0, WIDE},
    {"[a\xc3\xa9: 1]", 1, WIDE},
    {"%{A\xc3\xa9: 1}", 2, WIDE},
    {"\"abc", 4, "'\"'"},
    {"'abc", 4, "\"'\""},
    {"\"\\", 2, "a character behind '\\'"},
    {"\"\\xg\"", 3, "a hexadecimal digit"},
    {"\"\\u12\"", 5, "a hexadecimal digit"},
    {"\"\\u{12\"", 6, "'}'"},
    {"\"\\u{D800}\"", 9, "a Unicode character up to 10FFFF"},
    {"\"\\u{110000}\"", 11, "a Unicode character up to 10FFFF"},
    {"\"#{1}\"", 1, "text without interpolation"},
    {"\"a\xff\"", 1, "text in UTF-8"},
    {"?", 1, "a character in UTF-8"},
    {"[1", 2, "',', '|' or ']'"},
    {"[1 2]", 3, "',', '|' or ']'"},
    {"[1,", 3, "a value"},
    {"[1,]", 3, "a value"},
    {"[1|2 3]", 5, "']'"},
    {"[1|2|3]", 4, "']'"},
    {"[|1]", 1, "a value"},
    {"[a: 1, 2]", 7, "a name and ':'"},
    {"[a: 1 | 2]", 6, "',', '|' or ']'"},
    {"[a: ]", 4, "a value"},
    {"{1", 2, "',' or '}'"},
    {"{1]", 2, "',' or '}'"},
    {"{a: 1}", 1, "a value"},
    {"%{1}", 3, "'=>'"},
    {"%{1 => }", 7, "a value"},
    {"%{1 => 2 3}", 9, "',' or '}'"},
    {"%{a: 1, 2 => 3}", 8, "a name and ':'"},
    {"<1", 0, "a value"},
    {"<<1", 3, "',' or '>>'"},
    {"<<1,>>", 4, "a whole number of 64 bits, or a text"},
    {"<<1.0>>", 3, "',' or '>>'"},
    {"<<a>>", 2, "a whole number of 64 bits, or a text"},
    {"<<1::65>>", 5, "a size of 0 to 64 bits"},
    {"<<1::size(1>>", 11, "')'"},
};

static void test_refused(void **state)
{
    size_t i = (size_t)(uintptr_t)*state;

    check_refused(refused[i].text, strlen(refused[i].text), NULL, PN_INVALID,
        refused[i].offset, refused[i].expected);
}

/* No prefix of a text in brackets or quotes is a term. */
static void test_prefixes(void **state)
{
    size_t i = (size_t)(uintptr_t)*state;
    const char *text = both[i].text;

    if (strchr("[{%\"<", text[0]) == NULL) {
        return;
    }
    for (size_t n = 0; n < strlen(text); n++) {
        check_refused(text, n, NULL, PN_INVALID, 0, NULL);
    }
}

/* ---- limits ---- */

static char *nested_text(size_t depth)
{
    char *text = malloc(2 * depth + 1);

    assert_non_null(text);
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    text[2 * depth] = '\0';
    return text;
}

static void check_depth(uint32_t max, size_t depth, bool is_fine)
{
    char *text = nested_text(depth);
    pn_term_limits limits;
    pn_term_writer w;

    pn_term_limits_init(&limits);
    limits.max_depth = max;
    if (is_fine) {
        pn_term_writer_init(&w, 0);
        assert_int_equal(
            pn_term_from_text(&w, text, strlen(text), &limits, NULL), PN_OK);
        assert_int_equal(pn_term_writer_finish(&w, NULL, NULL), PN_OK);
        pn_term_writer_free(&w);
    } else {
        check_refused(text, strlen(text), &limits, PN_LIMIT, max + 1,
            "nothing nested deeper than the limit");
    }
    free(text);
}

static void test_depth(void **state)
{
    (void)state;
    check_depth(0, 511, true);
    check_depth(0, 512, true);
    check_depth(512, 513, false);
    check_depth(3, 3, true);
    check_depth(3, 4, false);
    check_depth(2000, 2000, true);
    check_depth(2000, 2001, false);
}

/* A name in a list nests its value in a tuple of its own. */
static void test_depth_of_names(void **state)
{
    pn_term_limits limits;

    (void)state;
    pn_term_limits_init(&limits);
    limits.max_depth = 1;
    check_refused("[a: 1]", 6, &limits, PN_LIMIT, 3,
        "nothing nested deeper than the limit");
    check_refused("[a: [1]]", 8, &limits, PN_LIMIT, 3, NULL);
    limits.max_depth = 2;
    check_refused("[a: [1]]", 8, &limits, PN_LIMIT, 5, NULL);
}

static void test_bignum(void **state)
{
    pn_term_limits limits;
    /* 2^4096 - 1 has 512 bytes and 1234 digits in hexadecimal 1024. */
    char text[1100];
    pn_term_writer w;

    (void)state;
    strcpy(text, "0x");
    memset(text + 2, 'f', 1024);
    text[1026] = '\0';
    pn_term_writer_init(&w, 0);
    assert_int_equal(
        pn_term_from_text(&w, text, strlen(text), NULL, NULL), PN_OK);
    assert_int_equal(pn_term_writer_finish(&w, NULL, NULL), PN_OK);
    pn_term_writer_free(&w);
    strcpy(text + 1026, "f");
    check_refused(text, strlen(text), NULL, PN_LIMIT, 1027,
        "an integer that is not over the size limit");
    pn_term_limits_init(&limits);
    limits.max_bignum = 8;
    check_refused("0x1ffffffffffffffff", 19, &limits, PN_LIMIT, 19, NULL);
    pn_term_writer_init(&w, 0);
    assert_int_equal(
        pn_term_from_text(&w, "0xffffffffffffffff", 18, &limits, NULL), PN_OK);
    pn_term_writer_free(&w);
}

static void test_atom_length(void **state)
{
    char text[300];
    pn_term_writer w;

    (void)state;
    for (size_t n = 254; n <= 256; n++) {
        text[0] = ':';
        memset(text + 1, 'a', n);
        if (n <= 255) {
            pn_term_writer_init(&w, 0);
            assert_int_equal(
                pn_term_from_text(&w, text, n + 1, NULL, NULL), PN_OK);
            pn_term_writer_free(&w);
        } else {
            check_refused(text, n + 1, NULL, PN_INVALID, n + 1,
                "an atom of at most 255 characters");
        }
    }
}

static void test_writer_limit(void **state)
{
    static char text[400000];
    pn_term_writer w;

    (void)state;
    memset(text, 'a', sizeof(text));
    text[0] = '"';
    text[sizeof(text) - 1] = '"';
    pn_term_writer_init(&w, 100);
    assert_int_equal(
        pn_term_from_text(&w, text, sizeof(text), NULL, NULL), PN_TOO_LARGE);
    pn_term_writer_free(&w);
}

static void test_duplicate_key(void **state)
{
    pn_term_writer w;

    (void)state;
    pn_term_writer_init(&w, 0);
    assert_int_equal(
        pn_term_from_text(&w, "%{a: 1, b: 2, a: 3}", 19, NULL, NULL), PN_OK);
    assert_int_equal(pn_term_writer_finish(&w, NULL, NULL), PN_INVALID);
    pn_term_writer_free(&w);
}

static void test_inside(void **state)
{
    pn_term_writer w;
    pn_term term;

    (void)state;
    pn_term_writer_init(&w, 0);
    pn_term_write_tuple_begin(&w);
    pn_term_write_atom(&w, "send");
    assert_int_equal(
        pn_term_from_text(&w, "%{text: \"hi\"}", 13, NULL, NULL), PN_OK);
    pn_term_write_tuple_end(&w);
    assert_int_equal(pn_term_writer_finish(&w, NULL, &term), PN_OK);
    expect_printed(term, "{:send, %{text: \"hi\"}}");
    pn_term_writer_free(&w);
}

/* ---- printing ---- */

static void test_print_nothing(void **state)
{
    char *text = NULL;
    size_t len;

    (void)state;
    assert_int_equal(
        pn_term_to_text((pn_term){NULL, 0}, &text, &len), PN_INVALID);
    assert_null(text);
}

/* Deeper than any stack of ours: printers do not recurse. */
static void test_print_deep(void **state)
{
    enum { DEPTH = 60000 };
    uint8_t *bytes = malloc(2 + 7 * (size_t)DEPTH);
    pn_term_limits limits;
    pn_term term;
    char *text;
    size_t len;
    size_t n = 0;

    (void)state;
    assert_non_null(bytes);
    bytes[n++] = 131;
    for (int i = 0; i < DEPTH; i++) {
        memcpy(bytes + n, "h\1", 2);
        n += 2;
    }
    bytes[n++] = 106;
    pn_term_limits_init(&limits);
    limits.max_depth = DEPTH;
    assert_int_equal(pn_term_parse(bytes, n, &limits, &term, NULL), PN_OK);
    assert_int_equal(pn_term_to_text(term, &text, &len), PN_OK);
    assert_int_equal(len, 2 * DEPTH + 2);
    free(text);
    free(bytes);
}

/* Keyword lists inside of each other: whether each is one is found out once. */
static void test_print_nested_keywords(void **state)
{
    static uint8_t bytes[1048576];
    uint8_t *p = bytes;
    pn_term term;
    char *text;
    size_t len;

    (void)state;
    *p++ = 131;
    for (int i = 0; i < 250; i++) {
        memcpy(p, "l\0\0\0\1h\2w\1a", 10);
        p += 10;
    }
    memcpy(p, "m\0\x0f\0\0", 5);
    memset(p + 5, 'x', 0xf0000);
    p += 5 + 0xf0000;
    memset(p, 106, 250);
    p += 250;
    assert_int_equal(
        pn_term_parse(bytes, (size_t)(p - bytes), NULL, &term, NULL), PN_OK);
    assert_int_equal(pn_term_to_text(term, &text, &len), PN_OK);
    assert_memory_equal(text, "[a: [a: [a: ", 12);
    free(text);
}

/* False when no locale that writes 1,5 is installed. */
static bool set_comma_locale(void)
{
    static const char *const commas[] = {
        "de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "nl_NL.UTF-8"};

    for (size_t i = 0; i < sizeof(commas) / sizeof(commas[0]); i++) {
        if (setlocale(LC_NUMERIC, commas[i]) != NULL) {
            return true;
        }
    }
    return false;
}

/* A locale with a comma for a point changes nothing. */
static void test_locale(void **state)
{
    static const uint8_t want[] = {131, 70, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0};

    (void)state;
    assert_true(set_comma_locale());
    expect_read("1.5", want, sizeof(want));
    expect_printed((pn_term){want + 1, sizeof(want) - 1}, "1.5");
    (void)setlocale(LC_NUMERIC, "C");
}

int main(void)
{
    json_t *root = pn_vectors("etf.json");
    int failed;

    if (add_corpus(root) < 80) {
        fprintf(stderr, "the corpus has too few literal texts\n");
        return 99;
    }
    for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++) {
        pn_test_addf(test_both, (void *)i, "term/text/both/%zu", i);
        pn_test_addf(test_prefixes, (void *)i, "term/text/prefixes/%zu", i);
    }
    for (size_t i = 0; i < sizeof(printed) / sizeof(printed[0]); i++) {
        if (printed[i].text != NULL) {
            pn_test_addf(test_printed, (void *)i, "term/text/printed/%zu", i);
        }
    }
    for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
        pn_test_addf(test_reads, (void *)i, "term/text/reads/%zu", i);
    }
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        pn_test_addf(test_refused, (void *)i, "term/text/refused/%zu", i);
    }
    pn_test_add("term/text/depth", test_depth, NULL);
    pn_test_add("term/text/depth_of_names", test_depth_of_names, NULL);
    pn_test_add("term/text/bignum", test_bignum, NULL);
    pn_test_add("term/text/atom_length", test_atom_length, NULL);
    pn_test_add("term/text/writer_limit", test_writer_limit, NULL);
    pn_test_add("term/text/duplicate_key", test_duplicate_key, NULL);
    pn_test_add("term/text/inside", test_inside, NULL);
    pn_test_add("term/text/print_nothing", test_print_nothing, NULL);
    pn_test_add("term/text/print_deep", test_print_deep, NULL);
    pn_test_add(
        "term/text/print_nested_keywords", test_print_nested_keywords, NULL);
    if (set_comma_locale()) {
        (void)setlocale(LC_NUMERIC, "C");
        pn_test_add("term/text/locale", test_locale, NULL);
    } else {
        fprintf(stderr, "# no locale with a decimal comma: not tested\n");
    }
    failed = pn_test_run("term-text");
    json_decref(root);
    return failed;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Terms as JSON and back: every recorded term, the table of docs/TERM.md, what
 * is refused, and terms drawn at random. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness.h"
#include "json/json.h"

typedef struct vector_row {
    uint8_t *bytes;
    size_t len;
    bool exact; /* what we write is these very bytes */
} vector_row;

static void assert_json_is(const cli_text *json, pn_slice want)
{
    cli_json_error error = {""};
    pn_term_writer w;
    pn_slice bytes = {NULL, 0};

    pn_term_writer_init(&w, (size_t)8 << 20);
    if (cli_json_text_to_term(json->data, json->len, &w, &error) != PN_OK) {
        fail_msg("%s in %.200s", error.text, json->data);
    }
    assert_int_equal(pn_term_writer_finish(&w, &bytes, NULL), PN_OK);
    pn_assert_bytes(bytes.data, bytes.len, want.data, want.len);
    pn_term_writer_free(&w);
}

static pn_term parse(const uint8_t *bytes, size_t len)
{
    pn_term term = {NULL, 0};

    assert_int_equal(pn_term_parse(bytes, len, NULL, &term, NULL), PN_OK);
    return term;
}

/* However long it is. */
static pn_err write_json(pn_term term, cli_text *ret_json)
{
    return cli_json_from_term(term, SIZE_MAX, NULL, NULL, ret_json);
}

static bool on_reserve(void *user, size_t len)
{
    size_t *most = user;

    return len <= *most;
}

/* The same text in memory of its size; the limits are exact. */
static void assert_within(pn_term term, const cli_text *want)
{
    size_t most = want->len;
    cli_text text = {0};

    assert_int_equal(
        cli_json_from_term(term, most, on_reserve, &most, &text), PN_OK);
    assert_string_equal(text.data, want->data);
    assert_int_equal(text.len, want->len);
    assert_int_equal(text.cap, want->len + 2);
    cli_text_fini(&text);
    assert_int_equal(
        cli_json_from_term(term, most - 1, NULL, NULL, &text), PN_TOO_LARGE);
    most--;
    assert_int_equal(
        cli_json_from_term(term, want->len, on_reserve, &most, &text), PN_BUSY);
    assert_null(text.data);
}

static void test_cli_json_vector(void **state)
{
    const vector_row *row = *state;
    pn_term term = parse(row->bytes, row->len);
    cli_text json = {0};
    cli_json_error error = {""};
    pn_term back = {NULL, 0};
    pn_term_writer w;

    assert_int_equal(write_json(term, &json), PN_OK);
    assert_null(strchr(json.data, '\n'));
    assert_within(term, &json);
    pn_term_writer_init(&w, 0);
    if (strstr(json.data, "{\"$opaque\":") != NULL) {
        assert_int_equal(
            cli_json_text_to_term(json.data, json.len, &w, &error), PN_INVALID);
        assert_non_null(strstr(error.text, "not sent"));
    } else if (row->exact) {
        assert_json_is(&json, (pn_slice){row->bytes, row->len});
    } else {
        assert_int_equal(
            cli_json_text_to_term(json.data, json.len, &w, &error), PN_OK);
        assert_int_equal(pn_term_writer_finish(&w, NULL, &back), PN_OK);
        assert_true(pn_term_equal(term, back));
    }
    pn_term_writer_free(&w);
    cli_text_fini(&json);
    free(row->bytes);
    free(*state);
}

static void add_vector(const json_t *c, const char *key, bool exact)
{
    vector_row *row;

    if (json_object_get(c, key) == NULL) {
        return;
    }
    row = malloc(sizeof(*row));
    if (row == NULL) {
        abort();
    }
    row->bytes = pn_json_hex(c, key, &row->len);
    row->exact = exact;
    pn_test_addf(test_cli_json_vector, row, "cli/json/vector/%s/%s", key,
        pn_json_string(c, "name"));
}

/* The two that are recorded by their ends: a list of sevens. */
static void add_long_list(const json_t *c)
{
    size_t n = 0;
    uint8_t *head = pn_json_hex(c, "head_hex", &n);
    vector_row *row = malloc(sizeof(*row));
    size_t len = (size_t)json_integer_value(json_object_get(c, "len"));

    if (row == NULL || (row->bytes = malloc(len)) == NULL) {
        abort();
    }
    row->len = len;
    row->exact = true;
    memcpy(row->bytes, head, n);
    for (size_t i = n; i < len; i++) {
        row->bytes[i] = row->bytes[head[1] == 107 ? i - 1 : i - 2];
    }
    if (head[1] != 107) {
        row->bytes[len - 1] = 106;
    }
    free(head);
    pn_test_addf(test_cli_json_vector, row, "cli/json/vector/%s",
        pn_json_string(c, "name"));
}

static void add_vectors(const json_t *root)
{
    size_t i;
    json_t *c;

    json_array_foreach(json_object_get(root, "corpus"), i, c)
    {
        if (json_object_get(c, "head_hex") != NULL) {
            add_long_list(c);
            continue;
        }
        add_vector(c, "hex", true);
        /* An older OTP spells atoms in another way. */
        add_vector(c, "hex_otp25", false);
        add_vector(c, "hex_otp27", true);
    }
}

/* ---- the table of docs/TERM.md ------------------------------------------ */

typedef struct form_row {
    const char *name;
    const char *hex;
    const char *json; /* what is printed; read back it is the same term */
} form_row;

static const form_row forms[] = {
    {"zero", "836100", "0"},
    {"negative", "8362ffffffff", "-1"},
    {"largest_number", "836e0700ffffffffffff1f", "9007199254740991"},
    {"smallest_int", "836e070000000000000020",
        "{\"$int\":\"9007199254740992\"}"},
    {"negative_number", "836e0701ffffffffffff1f", "-9007199254740991"},
    {"negative_int", "836e070100000000000020",
        "{\"$int\":\"-9007199254740992\"}"},
    {"float_1", "83463ff0000000000000", "1.0"},
    {"float_half", "83463fe0000000000000", "0.5"},
    {"float_negative_zero", "83468000000000000000", "-0.0"},
    {"float_big", "83467fefffffffffffff", "1.7976931348623157e+308"},
    {"true",
        "837704"
        "74727565",
        "true"},
    {"false",
        "837705"
        "66616c7365",
        "false"},
    {"nil",
        "837703"
        "6e696c",
        "null"},
    {"atom",
        "837702"
        "6f6b",
        "{\"$atom\":\"ok\"}"},
    {"undefined",
        "837709"
        "756e646566696e6564",
        "{\"$atom\":\"undefined\"}"},
    {"atom_empty", "837700", "{\"$atom\":\"\"}"},
    {"string",
        "836d00000002"
        "6869",
        "\"hi\""},
    {"string_empty", "836d00000000", "\"\""},
    {"string_nul",
        "836d00000001"
        "00",
        "\"\\u0000\""},
    {"string_utf8",
        "836d00000002"
        "c3a9",
        "\"\xc3\xa9\""},
    {"string_escape",
        "836d00000001"
        "1b",
        "\"\\u001b\""},
    {"binary",
        "836d00000002"
        "ff00",
        "{\"$binary\":\"/wA=\"}"},
    {"bitstring",
        "834d0000000103"
        "a0",
        "{\"$bitstring\":[\"oA==\",3]}"},
    {"list_empty", "836a", "[]"},
    {"list",
        "836c00000002"
        "6d0000000161"
        "6101"
        "6a",
        "[\"a\",1]"},
    {"list_of_bytes",
        "836b0003"
        "010203",
        "[1,2,3]"},
    {"list_in_list",
        "836c00000001"
        "6a6a",
        "[[]]"},
    {"list_of_strings_of_bytes",
        "836c00000002"
        "6b000101"
        "6b000102"
        "6a",
        "[[1],[2]]"},
    {"improper",
        "836c00000001"
        "61016102",
        "[1,{\"$tail\":2}]"},
    {"improper_tuple",
        "836c00000002"
        "6101610268016103",
        "[1,2,{\"$tail\":{\"$tuple\":[3]}}]"},
    {"improper_map",
        "836c00000001"
        "61017400000000",
        "[1,{\"$tail\":{}}]"},
    {"improper_in_improper",
        "836c00000001"
        "6c0000000161016102"
        "6103",
        "[[1,{\"$tail\":2}],{\"$tail\":3}]"},
    {"tuple_empty", "836800", "{\"$tuple\":[]}"},
    {"tuple", "83680277026f6b6101", "{\"$tuple\":[{\"$atom\":\"ok\"},1]}"},
    {"tuple_in_tuple", "8368016800", "{\"$tuple\":[{\"$tuple\":[]}]}"},
    {"map_empty", "837400000000", "{}"},
    {"map_strings",
        "837400000001"
        "6d0000000161"
        "6101",
        "{\"a\":1}"},
    {"map_atoms",
        "837400000001"
        "770474657874"
        "6d000000026869",
        "{\":text\":\"hi\"}"},
    {"map_mixed",
        "837400000002"
        "6d0000000161"
        "6101"
        "770161"
        "6102",
        "{\"a\":1,\":a\":2}"},
    {"map_true_key",
        "837400000001"
        "770474727565"
        "6101",
        "{\":true\":1}"},
    {"map_integer_key",
        "837400000001"
        "6101"
        "6102",
        "{\"$map\":[[1,2]]}"},
    {"map_float_key",
        "837400000002"
        "6101"
        "6102"
        "463ff0000000000000"
        "6103",
        "{\"$map\":[[1,2],[1.0,3]]}"},
    {"map_dollar_key",
        "837400000001"
        "6d000000022461"
        "6101",
        "{\"$map\":[[\"$a\",1]]}"},
    {"map_colon_key",
        "837400000001"
        "6d000000023a61"
        "6101",
        "{\"$map\":[[\":a\",1]]}"},
    {"map_nul_key",
        "837400000001"
        "6d00000001006101",
        "{\"$map\":[[\"\\u0000\",1]]}"},
    {"map_binary_key",
        "837400000001"
        "6d00000001ff6101",
        "{\"$map\":[[{\"$binary\":\"/w==\"},1]]}"},
    {"map_tuple_key",
        "837400000001"
        "680161016102",
        "{\"$map\":[[{\"$tuple\":[1]},2]]}"},
    {"map_list_key",
        "837400000001"
        "6a6102",
        "{\"$map\":[[[],2]]}"},
    {"map_map_key",
        "837400000001"
        "740000000061"
        "02",
        "{\"$map\":[[{},2]]}"},
    {"map_pairs_two",
        "837400000002"
        "610161026103"
        "6104",
        "{\"$map\":[[1,2],[3,4]]}"},
    {"map_in_pairs",
        "837400000001"
        "6101"
        "7400000001"
        "770161"
        "6a",
        "{\"$map\":[[1,{\":a\":[]}]]}"},
    {"pairs_in_map",
        "837400000001"
        "770161"
        "7400000001"
        "6101"
        "6a",
        "{\":a\":{\"$map\":[[1,[]]]}}"},
};

static void test_cli_json_form(void **state)
{
    const form_row *row = *state;
    size_t len = 0;
    uint8_t *bytes = pn_unhex(row->hex, &len);
    cli_text json = {0};

    assert_int_equal(write_json(parse(bytes, len), &json), PN_OK);
    assert_string_equal(json.data, row->json);
    assert_json_is(&json, (pn_slice){bytes, len});
    cli_text_fini(&json);
    free(bytes);
}

/* JSON that is not what we print but means a term all the same. */
static const form_row readable[] = {
    {"charlist",
        "836b0003"
        "616263",
        "{\"$charlist\":\"abc\"}"},
    {"charlist_empty", "836a", "{\"$charlist\":\"\"}"},
    {"charlist_wide",
        "836c00000001"
        "6200002014"
        "6a",
        "{\"$charlist\":\"\\u2014\"}"},
    {"float_tag", "83463ff0000000000000", "{\"$float\":\"1\"}"},
    {"float_tag_number", "83463ff0000000000000", "{\"$float\":1}"},
    {"float_exponent",
        "834640590000000000"
        "00",
        "1e2"},
    {"small_int", "836105", "{\"$int\":\"5\"}"},
    {"int64", "836e0800ffffffffffffff7f", "9223372036854775807"},
    {"int64_min", "836e08010000000000000080", "-9223372036854775808"},
    {"int_minus_2_64", "836e0901000000000000000001",
        "{\"$int\":\"-18446744073709551616\"}"},
    {"int_below_int64", "836e08010100000000000080",
        "{\"$int\":\"-9223372036854775809\"}"},
    {"binary_that_is_text",
        "836d00000002"
        "6869",
        "{\"$binary\":\"aGk=\"}"},
    {"atom_true",
        "837704"
        "74727565",
        "{\"$atom\":\"true\"}"},
    {"map_empty_pairs", "837400000000", "{\"$map\":[]}"},
    {"spaces",
        "836c00000001"
        "6d00000001616a",
        " [ \"a\" ] \n"},
    {"bits_8", "836d00000001ff", "{\"$bitstring\":[\"/w==\",8]}"},
};

static void test_cli_json_readable(void **state)
{
    const form_row *row = *state;
    size_t len = 0;
    uint8_t *bytes = pn_unhex(row->hex, &len);
    cli_text json = {0};

    cli_text_puts(&json, row->json);
    assert_json_is(&json, (pn_slice){bytes, len});
    cli_text_fini(&json);
    free(bytes);
}

/* ---- refused ------------------------------------------------------------ */

typedef struct refused_row {
    const char *json;
    const char *says; /* part of the sentence */
} refused_row;

static const refused_row refused[] = {
    {"", "expected"},
    {"{", "expected"},
    {"[1,]", "unexpected"},
    {"[1", "expected"},
    {"nul", "invalid token"},
    {"'a'", "invalid token"},
    {"1 2", "end of file expected"},
    {"{\"a\":1}x", "end of file expected"},
    {"{\"a\":1,\"a\":2}", "duplicate"},
    {"\"\xff\"", "decode"},
    {"\"\\ud800\"", "invalid Unicode"},
    {"99999999999999999999", "$int"},
    {"1e999", "real number overflow"},
    {"NaN", "invalid token"},
    {"{\"$atom\":1}", "\"$atom\" takes a string"},
    {"{\"$atom\":null}", "\"$atom\" takes a string"},
    {"{\"$tuple\":1}", "\"$tuple\" takes an array"},
    {"{\"$tuple\":{}}", "\"$tuple\" takes an array"},
    {"{\"$map\":{}}", "\"$map\" takes an array"},
    {"{\"$map\":[1]}", "[KEY, VALUE]"},
    {"{\"$map\":[[1]]}", "[KEY, VALUE]"},
    {"{\"$map\":[[1,2,3]]}", "[KEY, VALUE]"},
    {"{\"$map\":[[1,2],[1,3]]}", "same key twice"},
    {"{\"$map\":[[\"a\",2],[\"a\",3]]}", "same key twice"},
    {"{\"$binary\":1}", "Base64"},
    {"{\"$binary\":\"a\"}", "Base64"},
    {"{\"$binary\":\"aGk\"}", "Base64"},
    {"{\"$binary\":\"aG k=\"}", "Base64"},
    {"{\"$bitstring\":\"aGk=\"}", "BITS USED"},
    {"{\"$bitstring\":[\"aGk=\"]}", "BITS USED"},
    {"{\"$bitstring\":[\"aGk=\",0]}", "BITS USED"},
    {"{\"$bitstring\":[\"aGk=\",9]}", "BITS USED"},
    {"{\"$bitstring\":[\"aGk=\",1.0]}", "BITS USED"},
    {"{\"$bitstring\":[\"\",1]}", "BITS USED"},
    {"{\"$bitstring\":[\"aGk=\",1,2]}", "BITS USED"},
    {"{\"$int\":5}", "decimal digits"},
    {"{\"$int\":\"\"}", "decimal digits"},
    {"{\"$int\":\"-0\"}", "decimal digits"},
    {"{\"$int\":\"05\"}", "decimal digits"},
    {"{\"$int\":\"5 \"}", "decimal digits"},
    {"{\"$float\":\"x\"}", "takes a number"},
    {"{\"$float\":\"inf\"}", "takes a number"},
    {"{\"$float\":true}", "takes a number"},
    {"{\"$charlist\":1}", "takes a string"},
    {"{\"$opaque\":\"aGk=\"}", "not sent"},
    {"{\"$pid\":\"x\"}", "found '$pid'"},
    {"{\"$\":1}", "found '$'"},
    {"{\"$\\u001b\":1}", "found '$\\x1B'"},
    {"{\"$tail\":1}", "\"$tail\""},
    {"[{\"$tail\":1}]", "\"$tail\""},
    {"[1,{\"$tail\":2},3]", "\"$tail\""},
    {"[1,{\"$tail\":[]}]", "\"$tail\""},
    {"[1,{\"$tail\":[2]}]", "\"$tail\""},
    {"[1,{\"$tail\":{\"$charlist\":\"a\"}}]", "\"$tail\""},
    {"[1,{\"$tail\":{\"$tail\":2}}]", "\"$tail\""},
    {"{\"$tuple\":[1,{\"$tail\":2}]}", "\"$tail\""},
    {"{\"a\":1,\"$b\":2}", "key '$b'"},
    {"{\"$atom\":\"a\",\"b\":2}", "key '$atom'"},
    {"{\"\\u0000\":1}", "NUL"},
};

static void refuse(const char *json, size_t len, const char *says)
{
    cli_json_error error = {""};
    pn_term_writer w;

    pn_term_writer_init(&w, 0);
    assert_int_not_equal(cli_json_text_to_term(json, len, &w, &error), PN_OK);
    if (strstr(error.text, says) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", error.text, says);
    }
    assert_int_not_equal(pn_term_writer_finish(&w, NULL, NULL), PN_OK);
    pn_term_writer_free(&w);
}

static void test_cli_json_refused(void **state)
{
    const refused_row *row = *state;

    refuse(row->json, strlen(row->json), row->says);
}

static void test_cli_json_atom_limit(void **state)
{
    (void)state;
    for (size_t n = 254; n <= 256; n++) {
        for (int wide = 0; wide < 2; wide++) {
            cli_text json = {0};
            cli_json_error error = {""};
            pn_term_writer w;

            cli_text_puts(&json, "{\"$atom\":\"");
            for (size_t i = 0; i < n; i++) {
                cli_text_puts(&json, wide ? "\xc3\xa9" : "a");
            }
            cli_text_puts(&json, "\"}");
            pn_term_writer_init(&w, 0);
            assert_int_equal(
                cli_json_text_to_term(json.data, json.len, &w, &error),
                n <= 255 ? PN_OK : PN_INVALID);
            pn_term_writer_free(&w);
            cli_text_fini(&json);
        }
    }
}

/* ---- integers of any size ----------------------------------------------- */

enum { INT_BYTES = 512, INT_DIGITS = 1234 };

/* As "$int" to a term; its magnitude. */
static pn_err read_digits(const char *digits, pn_term_writer *w, bool *ret_neg,
    uint8_t ret_magnitude[static INT_BYTES], size_t *ret_len)
{
    cli_text json = {0};
    cli_json_error error = {""};
    pn_term term = {NULL, 0};
    pn_term_reader r;
    pn_err err;

    cli_text_printf(&json, "{\"$int\":\"%s\"}", digits);
    err = cli_json_text_to_term(json.data, json.len, w, &error);
    cli_text_fini(&json);
    if (err == PN_OK) {
        assert_int_equal(pn_term_writer_finish(w, NULL, &term), PN_OK);
        pn_term_reader_init(&r, term);
        *ret_len = pn_term_read_bignum(&r, ret_neg, ret_magnitude, INT_BYTES);
        assert_int_equal(pn_term_reader_finish(&r), PN_OK);
    }
    return err;
}

static void int_round(const char *text, size_t want_len)
{
    cli_text t = {0};
    uint8_t magnitude[INT_BYTES];
    bool negative = false;
    size_t len = 0;
    pn_term_writer w;
    pn_term term = {NULL, 0};

    pn_term_writer_init(&w, 0);
    assert_int_equal(read_digits(text, &w, &negative, magnitude, &len), PN_OK);
    while (len > 0 && magnitude[len - 1] == 0) {
        len--;
    }
    assert_int_equal(len, want_len);
    assert_int_equal(negative, text[0] == '-');
    assert_int_equal(pn_term_writer_finish(&w, NULL, &term), PN_OK);
    assert_int_equal(write_json(term, &t), PN_OK);
    assert_non_null(strstr(t.data, text));
    assert_int_equal(t.len, strlen(text) + (t.data[0] == '{' ? 11 : 0));
    cli_text_fini(&t);
    pn_term_writer_free(&w);
}

static void test_cli_json_int(void **state)
{
    (void)state;
    int_round("0", 0);
    int_round("1", 1);
    int_round("-1", 1);
    int_round("255", 1);
    int_round("256", 2);
    int_round("999999999", 4);
    int_round("1000000000", 4);
    int_round("4294967295", 4);
    int_round("4294967296", 5);
    int_round("-9223372036854775808", 8);
    int_round("18446744073709551616", 9);
    int_round("100000000000000000000000000000000000000000", 18);
}

static void int_refused(const char *digits)
{
    uint8_t magnitude[INT_BYTES];
    bool negative = false;
    size_t len = 0;
    pn_term_writer w;

    pn_term_writer_init(&w, 0);
    assert_int_equal(
        read_digits(digits, &w, &negative, magnitude, &len), PN_INVALID);
    pn_term_writer_free(&w);
}

/* 2^4096 - 1 is the largest; one more does not fit. */
static void test_cli_json_int_limit(void **state)
{
    static const char before[] = "{\"$int\":\"";
    cli_text t = {0};
    uint8_t magnitude[INT_BYTES];
    pn_term_writer w;
    pn_term term = {NULL, 0};
    size_t i;

    (void)state;
    memset(magnitude, 0xff, sizeof(magnitude));
    pn_term_writer_init(&w, 0);
    pn_term_write_bignum(&w, false, magnitude, sizeof(magnitude));
    assert_int_equal(pn_term_writer_finish(&w, NULL, &term), PN_OK);
    assert_int_equal(write_json(term, &t), PN_OK);
    pn_term_writer_free(&w);
    cli_text_drop(&t, sizeof(before) - 1);
    t.len -= 2; /* "} */
    t.data[t.len] = '\0';
    assert_int_equal(t.len, INT_DIGITS);
    int_round(t.data, INT_BYTES);
    for (i = t.len - 1; t.data[i] == '9'; i--) {
        t.data[i] = '0';
    }
    t.data[i]++;
    int_refused(t.data);
    memset(t.data, '9', t.len);
    cli_text_putc(&t, '9');
    int_refused(t.data);
    cli_text_fini(&t);
}

static void test_cli_json_int_refuses(void **state)
{
    static const char *const bad[] = {
        "", "-", "-0", "00", "01", "+1", " 1", "1 ", "1.0", "0x1", "1e3"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int_refused(bad[i]);
    }
}

/* ---- depth and cost ----------------------------------------------------- */

static void nested(cli_text *t, size_t depth, const char *open,
    const char *inside, const char *close)
{
    for (size_t i = 0; i < depth; i++) {
        cli_text_puts(t, open);
    }
    cli_text_puts(t, inside);
    for (size_t i = 0; i < depth; i++) {
        cli_text_puts(t, close);
    }
}

static const char *const nestings[][3] = {
    {"[\"x\",", "1", "]"},
    {"{\"$tuple\":[", "1", "]}"},
    {"{\"a\":", "1", "}"},
    {"{\"$map\":[[1,", "1", "]]}"},
    {"{\"$map\":[[", "1", ",1]]}"},
    {"[1,{\"$tail\":{\"$tuple\":[", "1", "]}}]"},
};

static pn_err read_nested(size_t i, size_t depth)
{
    cli_text json = {0};
    cli_json_error error = {""};
    pn_term_writer w;
    pn_slice bytes = {NULL, 0};
    pn_err err;

    nested(&json, depth, nestings[i][0], nestings[i][1], nestings[i][2]);
    pn_term_writer_init(&w, 0);
    err = cli_json_text_to_term(json.data, json.len, &w, &error);
    if (err == PN_OK) {
        /* A term that was read prints as the text that was written. */
        cli_text again = {0};

        assert_int_equal(pn_term_writer_finish(&w, &bytes, NULL), PN_OK);
        assert_int_equal(
            write_json(parse(bytes.data, bytes.len), &again), PN_OK);
        assert_string_equal(again.data, json.data);
        cli_text_fini(&again);
    } else {
        assert_non_null(strstr(error.text, "nested deeper than 512"));
    }
    pn_term_writer_free(&w);
    cli_text_fini(&json);
    return err;
}

static void test_cli_json_depth(void **state)
{
    size_t i = (size_t)(uintptr_t)*state;
    size_t each = i == 5 ? 2 : 1; /* levels of the term */

    assert_int_equal(read_nested(i, 512 / each - 1), PN_OK);
    assert_int_equal(read_nested(i, 512 / each), PN_OK);
    assert_int_equal(read_nested(i, 512 / each + 1), PN_INVALID);
}

static void test_cli_json_depth_of_text(void **state)
{
    cli_text json = {0};

    (void)state;
    nested(&json, 100000, "[", "", "]");
    refuse(json.data, json.len, "maximum parsing depth");
    cli_text_fini(&json);
}

/* A list of n times the same element. */
static void frame_of(const char *filler, size_t len, size_t n, uint8_t *bytes)
{
    bytes[0] = 131;
    bytes[1] = 108;
    for (unsigned i = 0; i < 4; i++) {
        bytes[2 + i] = (uint8_t)(n >> (24 - 8 * i));
    }
    for (size_t i = 0; i < n; i++) {
        memcpy(bytes + 6 + i * len, filler, len);
    }
    bytes[6 + n * len] = 106;
}

/* A frame of a mebibyte in the worst forms: memory is a small multiple of it,
 * time is short. */
static void test_cli_json_cost(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } fillers[] = {
        {"j", 1},
        {"h\0", 2},
        {"t\0\0\0\0", 5},
        {"t\0\0\0\1ja\1", 8},
        {"m\0\0\0\1\x1b", 6},
        {"m\0\0\0\1\xff", 6},
        {"w\0", 2},
    };
    uint8_t *bytes = malloc((1U << 20) + 8);

    (void)state;
    assert_non_null(bytes);
    for (size_t i = 0; i < sizeof(fillers) / sizeof(fillers[0]); i++) {
        size_t n = ((1U << 20) - 7) / fillers[i].len;
        cli_text json = {0};
        clock_t start = clock();

        frame_of(fillers[i].bytes, fillers[i].len, n, bytes);
        assert_int_equal(
            write_json(parse(bytes, 7 + n * fillers[i].len), &json), PN_OK);
        assert_true(json.cap <= (size_t)16 << 20);
        assert_true((clock() - start) / (CLOCKS_PER_SEC / 1000) < 3000);
        cli_text_fini(&json);
    }
    free(bytes);
}

/* ---- at random ---------------------------------------------------------- */

static void random_bytes(uint64_t *seed, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = (uint8_t)pn_test_random(seed);
    }
}

static void random_text(uint64_t *seed, char *out, size_t n)
{
    static const char letters[] = "ab$:\"\\/ 09";

    for (size_t i = 0; i < n; i++) {
        out[i] = letters[pn_test_random(seed) % (sizeof(letters) - 1)];
    }
    out[n] = '\0';
}

static void random_leaf(pn_term_writer *w, uint64_t *seed)
{
    uint8_t bytes[20];
    char text[9];
    size_t n = pn_test_random(seed) % 9;
    double number;
    uint64_t bits;

    random_bytes(seed, bytes, sizeof(bytes));
    random_text(seed, text, n);
    switch (pn_test_random(seed) % 9) {
    case 0:
        pn_term_write_int64(w, (int64_t)pn_test_random(seed));
        break;
    case 1:
        pn_term_write_int64(w, (int64_t)(pn_test_random(seed) % 300) - 20);
        break;
    case 2:
        bytes[19] |= 1;
        pn_term_write_bignum(w, n % 2 == 0, bytes, sizeof(bytes));
        break;
    case 3:
        bits = pn_test_random(seed);
        memcpy(&number, &bits, sizeof(number));
        pn_term_write_double(w, number - number == 0 ? number : 1.0);
        break;
    case 4:
        pn_term_write_atom(w, text);
        break;
    case 5:
        pn_term_write_string(w, text);
        break;
    case 6:
        pn_term_write_binary(w, bytes, n);
        break;
    case 7:
        pn_term_write_bitstring(w, bytes, n + 1, 1 + bytes[0] % 7);
        break;
    default:
        pn_term_write_bool(w, n % 2 == 0);
        break;
    }
}

static void random_term(pn_term_writer *w, uint64_t *seed, unsigned depth)
{
    unsigned n = (unsigned)(pn_test_random(seed) % 5);
    unsigned kind = depth == 0 ? 9 : (unsigned)(pn_test_random(seed) % 8);

    switch (kind) {
    case 0:
        pn_term_write_tuple_begin(w);
        break;
    case 1:
    case 2:
        pn_term_write_list_begin(w);
        break;
    case 3:
    case 4:
        pn_term_write_map_begin(w);
        break;
    default:
        random_leaf(w, seed);
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        if (kind >= 3 && i % 2 == 0) {
            /* Keys that surely differ, of every kind. */
            pn_term_write_tuple_begin(w);
            pn_term_write_int64(w, i);
            random_term(w, seed, depth - 1);
            pn_term_write_tuple_end(w);
            n = n % 2 == 0 ? n : n + 1;
        } else {
            random_term(w, seed, depth - 1);
        }
    }
    if (kind == 0) {
        pn_term_write_tuple_end(w);
    } else if (kind == 1 || n == 0) {
        if (kind >= 3) {
            pn_term_write_map_end(w);
        } else {
            pn_term_write_list_end(w);
        }
    } else if (kind == 2) {
        pn_term_write_int64(w, 7);
        pn_term_write_list_end_improper(w);
    } else {
        pn_term_write_map_end(w);
    }
}

static void test_cli_json_random(void **state)
{
    uint64_t seed = 2024;

    (void)state;
    for (int round = 0; round < 10000; round++) {
        pn_term_writer w;
        pn_slice bytes = {NULL, 0};
        pn_term term = {NULL, 0};
        cli_text json = {0};

        pn_term_writer_init(&w, (size_t)8 << 20);
        random_term(&w, &seed, 5);
        assert_int_equal(pn_term_writer_finish(&w, &bytes, &term), PN_OK);
        assert_int_equal(write_json(term, &json), PN_OK);
        assert_json_is(&json, bytes);
        cli_text_fini(&json);
        pn_term_writer_free(&w);
    }
}

static void test_cli_json_no_term(void **state)
{
    cli_text json = {0};

    (void)state;
    assert_int_equal(write_json((pn_term){NULL, 0}, &json), PN_INVALID);
    assert_int_equal(json.len, 0);
}

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

/* Read by jansson, a list of empty objects takes a hundred times its size. */
static void test_cli_json_tree(void **state)
{
    size_t n = *(size_t *)*state;
    bool fits = n < 300000;
    cli_text text = {0};
    cli_json_error error = {""};
    pn_term_writer w;

    cli_text_putc(&text, '[');
    for (size_t i = 0; i < n; i++) {
        cli_text_puts(&text, i == 0 ? "{}" : ",{}");
    }
    cli_text_putc(&text, ']');
    pn_term_writer_init(&w, 0);
    assert_int_equal(cli_json_foreign_to_term(text.data, text.len, &w, &error),
        fits ? PN_OK : PN_LIMIT);
    assert_true(fits || strstr(error.text, "128 MiB") != NULL);
    pn_term_writer_free(&w);
    cli_text_fini(&text);
}

static pn_err read_into(size_t max, const char *text)
{
    cli_json_error error;
    pn_term_writer w;
    pn_err err;

    pn_term_writer_init(&w, max);
    err = cli_json_text_to_term(text, strlen(text), &w, &error);
    pn_term_writer_free(&w);
    return err;
}

/* A writer that is full is no bad integer, before it or in it. */
static void test_cli_json_int_too_large(void **state)
{
    (void)state;
    assert_int_equal(read_into(16, "[\"0123456789abcdef\",{\"$int\":"
                                   "\"123456789012345678901234567890\"}]"),
        PN_TOO_LARGE);
    assert_int_equal(
        read_into(8, "{\"$int\":\"123456789012345678901234567890\"}"),
        PN_TOO_LARGE);
}

int main(void)
{
    static size_t some = 200000;
    static size_t many = 400000;

    json_t *root = pn_vectors("etf.json");
    int status;

    add_vectors(root);
    for (size_t i = 0; i < COUNT(forms); i++) {
        pn_test_addf(test_cli_json_form, (void *)(uintptr_t)&forms[i],
            "cli/json/form/%s", forms[i].name);
    }
    for (size_t i = 0; i < COUNT(readable); i++) {
        pn_test_addf(test_cli_json_readable, (void *)(uintptr_t)&readable[i],
            "cli/json/readable/%s", readable[i].name);
    }
    for (size_t i = 0; i < COUNT(refused); i++) {
        pn_test_addf(test_cli_json_refused, (void *)(uintptr_t)&refused[i],
            "cli/json/refused/%zu_%s", i, refused[i].says);
    }
    for (size_t i = 0; i < COUNT(nestings); i++) {
        pn_test_addf(
            test_cli_json_depth, (void *)(uintptr_t)i, "cli/json/depth/%zu", i);
    }
    pn_test_add("cli/json/depth_of_text", test_cli_json_depth_of_text, NULL);
    pn_test_add("cli/json/atom_limit", test_cli_json_atom_limit, NULL);
    pn_test_add("cli/json/int", test_cli_json_int, NULL);
    pn_test_add("cli/json/int_limit", test_cli_json_int_limit, NULL);
    pn_test_add("cli/json/int_too_large", test_cli_json_int_too_large, NULL);
    pn_test_add("cli/json/int_refuses", test_cli_json_int_refuses, NULL);
    pn_test_add("cli/json/cost", test_cli_json_cost, NULL);
    pn_test_add("cli/json/random", test_cli_json_random, NULL);
    pn_test_add("cli/json/tree/some", test_cli_json_tree, &some);
    pn_test_add("cli/json/tree/many", test_cli_json_tree, &many);
    pn_test_add("cli/json/no_term", test_cli_json_no_term, NULL);
    status = pn_test_run("cli/json");
    json_decref(root);
    return status;
}

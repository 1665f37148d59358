/* SPDX-License-Identifier: Apache-2.0 */
/* The file of grants: what its lines grant, and above all what they do not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"
#include "harness.h"
#include "trust/grants.h"

#define MAX_LINES 16

/* Keys of 1s, 2s and 3s. */
#define K1 "AEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQ"
#define K2 "AIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBA"
#define HEX1 "0101010101010101010101010101010101010101010101010101010101010101"
#define ZEROS "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define PAST "2001-01-01T00:00:00Z"
#define FUTURE "2200-01-01T00:00:00Z"
#define NOW INT64_C(1800000000000000)

static pn_principal principal(pn_family family, unsigned n)
{
    pn_principal who = {.family = family};

    memset(&who.key, (int)n, sizeof(who.key));
    return who;
}

static pn_grants_file read_n(const char *text, size_t len)
{
    /* As long as it is, so that a byte beyond is found. */
    uint8_t *copy = malloc(len + (len == 0));
    pn_grants_file file;

    memcpy(copy, text, len);
    assert_int_equal(pn_grants_file_read(copy, len, MAX_LINES, &file), PN_OK);
    free(copy);
    return file;
}

static pn_grants_file read_text(const char *text)
{
    return read_n(text, strlen(text));
}

/* May 1 (of the family) do it, paired, by the file alone? */
static bool may(const pn_grants_file *file, pn_family family, pn_asked asked,
    const char *name)
{
    static const pn_grants nobody = {.n_principals = 0};
    const pn_principal who = principal(family, 1);
    const pn_question question = {.asked = asked,
        .name = pn_slice_of(name),
        .fixed = &nobody,
        .file = file,
        .caller = &who,
        .is_paired = true,
        .now_us = NOW};

    return pn_decide(&question, NULL) == PN_REASON_NONE;
}

/* ---- lines --------------------------------------------------------------- */

typedef struct line_row {
    const char *name;
    const char *text;    /* a whole file */
    const char *subject; /* of a handle, or a function */
    bool is_barrel;
    bool is_granted;
    const char *says; /* of why a line counts for nothing; NULL: none */
} line_row;

static const line_row LINE_ROWS[] = {
    {"handle", "peernet " K1 " led\n", "led", false, true, NULL},
    {"hex_key", "peernet " HEX1 " led\n", "led", false, true, NULL},
    {"spaces", "  peernet\t" K1 "  led \n", "led", false, true, NULL},
    {"comment_behind", "peernet " K1 " led # Anna\n", "led", false, true, NULL},
    {"other_handle", "peernet " K1 " led\n", "lede", false, false, NULL},
    {"shorter_handle", "peernet " K1 " led\n", "le", false, false, NULL},
    {"other_key", "peernet " K2 " led\n", "led", false, false, NULL},
    {"other_family", "barrel " K1 " led\n", "led", false, false, NULL},
    {"barrel", "barrel " K1 " led\n", "led", true, true, NULL},
    {"barrel_other_family", "peernet " K1 " led\n", "led", true, false, NULL},
    {"paired", "paired led\n", "led", false, true, NULL},
    {"paired_is_not_barrel", "paired led\n", "led", true, false, NULL},
    {"paired_other", "paired led\n", "x", false, false, NULL},
    {"quoted", "paired \"a b\\\"\\\\\\x0ac\"\n", "a b\"\\\nc", false, true,
        NULL},
    {"quoted_role", "paired \"role:r\"\nrole r led\n", "led", false, false,
        NULL},
    {"quoted_role_is_handle", "paired \"role:r\"\n", "role:r", false, true,
        NULL},
    {"function", "paired MyApp.Led.set/1\n", "MyApp.Led.set/1", false, true,
        NULL},
    {"elixir_function", "paired Elixir.MyApp.Led.set/1\n", "MyApp.Led.set/1",
        false, true, NULL},
    {"function_arity", "paired MyApp.Led.set/1\n", "MyApp.Led.set/2", false,
        false, NULL},
    {"until_future", "paired led until " FUTURE "\n", "led", false, true, NULL},
    {"until_past", "paired led until " PAST "\n", "led", false, false, NULL},
    {"log_only", "paired led log-only\n", "led", false, false, NULL},
    {"until_log_only", "paired led log-only until " FUTURE "\n", "led", false,
        false, NULL},
    {"log_only_beside", "paired led log-only\npeernet " K1 " led\n", "led",
        false, true, NULL},
    {"past_beside", "paired led until " PAST "\nbarrel " K1 " led\n", "led",
        true, true, NULL},
    {"role", "peernet " K1 " role:r\nrole r x led\n", "led", false, true, NULL},
    {"role_before", "role r led\npaired role:r\n", "led", false, true, NULL},
    {"role_two_lines", "paired role:r\nrole r x\nrole r led\n", "led", false,
        true, NULL},
    {"role_function", "paired role:r\nrole r A.b/1\n", "A.b/1", false, true,
        NULL},
    {"role_other", "paired role:r\nrole s led\n", "led", false, false, NULL},
    {"role_none", "paired role:r\n", "led", false, false, NULL},
    {"role_of_other_key", "peernet " K2 " role:r\nrole r led\n", "led", false,
        false, NULL},
    {"role_past", "paired role:r until " PAST "\nrole r led\n", "led", false,
        false, NULL},
    {"role_bad_line", "paired role:r\nrole r led \"\n", "led", false, false,
        "after the role's name"},
    {"role_bad_beside", "paired role:r\nrole r \"\nrole r led\n", "led", false,
        true, "after the role's name"},
    {"role_in_role", "paired role:r\nrole r role:s\nrole s led\n", "led", false,
        false, "after the role's name"},
    {"role_bad_name", "role r/s led\n", "led", false, false, "after 'role'"},
    {"role_no_name", "role\n", "led", false, false, "after 'role'"},
    {"role_ref_bad", "paired role:\n", "led", false, false, "role:NAME"},
    {"empty", "", "led", false, false, NULL},
    {"comments", "# x\n\n   # y \"\n\t\n", "led", false, false, NULL},
    {"commented_out", "# paired led\n", "led", false, false, NULL},
    {"no_name", "peernet " K1 "\n", "led", false, false, "after the key"},
    {"no_key", "peernet led\n", "led", false, false, "expected a key"},
    {"zeros", "peernet " ZEROS " led\n", "led", false, false, "expected a key"},
    {"barrel_zeros", "barrel " ZEROS " led\n", "led", true, false,
        "expected a key"},
    {"short_key", "peernet AEAQ led\n", "led", false, false, "expected a key"},
    {"quoted_key", "peernet \"" K1 "\" led\n", "led", false, false,
        "expected a key"},
    {"first_word", "peernets " K1 " led\n", "led", false, false,
        "'peernet', 'barrel'"},
    {"quoted_first", "\"paired\" led\n", "led", false, false,
        "'peernet', 'barrel'"},
    {"two_names", "paired led x\n", "led", false, false, "after the name"},
    {"until_nothing", "paired led until\n", "led", false, false,
        "after 'until'"},
    {"until_day", "paired led until 2200-01-01\n", "led", false, false,
        "after 'until'"},
    {"until_no_day", "paired led until 2200-02-30T00:00:00Z\n", "led", false,
        false, "after 'until'"},
    {"until_zone", "paired led until 2200-01-01T00:00:00+\n", "led", false,
        false, "after 'until'"},
    {"until_1969", "paired led until 1969-12-31T23:59:59Z\n", "led", false,
        false, "after 'until'"},
    {"until_twice", "paired led until " FUTURE " until " FUTURE "\n", "led",
        false, false, "after the name"},
    {"log_only_twice", "paired led log-only log-only\n", "led", false, false,
        "after the name"},
    {"quote_open", "paired \"led\n", "led", false, false, "quoted"},
    {"quote_glued", "paired \"led\"x\n", "led", false, false, "quoted"},
    {"quote_inside", "paired l\"ed\n", "led", false, false, "quoted"},
    {"hash_inside", "paired led#x\n", "led", false, false, "quoted"},
    {"escape_bad", "paired \"l\\n\"\n", "l\n", false, false, "quoted"},
    {"escape_zero", "paired \"led\\x00\"\n", "led", false, false, "quoted"},
    {"empty_name", "paired \"\"\n", "", false, false, "quoted"},
    {"carriage_return", "paired led\r\n", "led", false, false, "control"},
    {"not_utf8", "paired l\xff\n", "l\xff", false, false, "UTF-8"},
    {"beside_bad", "pared led\npaired led\nx\n", "led", false, true,
        "'peernet', 'barrel'"},
    {"no_newline", "paired led", "led", false, false, "a newline"},
    {"no_newline_beside", "paired led\npaired x", "x", false, false,
        "a newline"},
    {"no_newline_role", "paired role:r\nrole r led", "led", false, false,
        "a newline"},
    {"no_newline_comment", "paired led\n# x", "led", false, true, NULL},
};

static void test_trust_grants_file_line(void **state)
{
    const line_row *row = *state;
    pn_grants_file file = read_text(row->text);
    const pn_family family = row->is_barrel ? PN_FAMILY_BARREL
                                            : PN_FAMILY_PEERNET;
    const char *why = NULL;

    for (size_t i = 0; i < file.n_lines; i++) {
        why = why == NULL ? file.lines[i].why : why;
    }
    assert_int_equal(may(&file, family,
                         strchr(row->subject, '/') != NULL ? PN_ASKED_FUNCTION
                                                           : PN_ASKED_HANDLE,
                         row->subject),
        row->is_granted);
    if (row->says == NULL) {
        assert_null(why);
    } else {
        assert_non_null(why);
        assert_non_null(strstr(why, row->says));
    }
    pn_grants_file_fini(&file);
}

/* A handle that only leads to functions is passed by one function granted, and
 * the function then asked; another function is not. */
static void test_trust_grants_file_table(void **state)
{
    pn_grants_file file = read_text(
        "peernet " K1 " A.b/1\npaired role:r log-only\nrole r A.c/1\n");

    (void)state;
    assert_true(may(&file, PN_FAMILY_PEERNET, PN_ASKED_TABLE, "beam_admin"));
    assert_false(may(&file, PN_FAMILY_BARREL, PN_ASKED_TABLE, "beam_admin"));
    assert_false(may(&file, PN_FAMILY_PEERNET, PN_ASKED_HANDLE, "beam_admin"));
    assert_true(may(&file, PN_FAMILY_PEERNET, PN_ASKED_FUNCTION, "A.b/1"));
    assert_false(may(&file, PN_FAMILY_PEERNET, PN_ASKED_FUNCTION, "A.c/1"));
    pn_grants_file_fini(&file);
    file = read_text("paired role:r\nrole r A.c/1 led\n");
    assert_true(may(&file, PN_FAMILY_PEERNET, PN_ASKED_TABLE, "beam_admin"));
    pn_grants_file_fini(&file);
    file = read_text("paired role:r\nrole r led\npaired beam\n");
    assert_false(may(&file, PN_FAMILY_PEERNET, PN_ASKED_TABLE, "beam_admin"));
    pn_grants_file_fini(&file);
}

static const char *const WHOLE = "# who may what\n"
                                 "peernet " K1 " led until " FUTURE
                                 " # until then\n"
                                 "peernet " K2 " led log-only\n"
                                 "\n"
                                 "paired \"two words\"\n"
                                 "role guests led \"a b\" A.b/1\n"
                                 "peernet " K1 " role:guests\n"
                                 "barrel " K1 " A.b/1\n";

/* Cut at each byte: what is granted is what the whole lines say, and nothing
 * of the one that was cut. */
static void test_trust_grants_file_every_prefix(void **state)
{
    static const char *const names[] = {"led", "two words", "a b", "le", "l"};
    const size_t len = strlen(WHOLE);

    (void)state;
    for (size_t n = 0; n <= len; n++) {
        size_t whole = n;
        pn_grants_file cut = read_n(WHOLE, n);
        pn_grants_file kept;

        while (whole > 0 && WHOLE[whole - 1] != '\n') {
            whole--;
        }
        kept = read_n(WHOLE, whole);
        assert_int_equal(cut.n_index, kept.n_index);
        assert_int_equal(cut.n_members, kept.n_members);
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            assert_int_equal(
                may(&cut, PN_FAMILY_PEERNET, PN_ASKED_HANDLE, names[i]),
                may(&kept, PN_FAMILY_PEERNET, PN_ASKED_HANDLE, names[i]));
        }
        pn_grants_file_fini(&cut);
        pn_grants_file_fini(&kept);
    }
}

/* Each line that lost its end, with a newline where it was cut: the other lines
 * count as before. */
static void test_trust_grants_file_cut_line(void **state)
{
    const size_t len = strlen(WHOLE);

    (void)state;
    for (size_t n = 0; n < len; n++) {
        const char *newline = strchr(WHOLE + n, '\n');
        char text[1024];
        pn_grants_file file;

        (void)snprintf(text, sizeof(text), "%.*s%s", (int)n, WHOLE, newline);
        (void)strcat(text, "paired last\n");
        file = read_text(text);
        assert_true(may(&file, PN_FAMILY_PEERNET, PN_ASKED_HANDLE, "last"));
        assert_false(may(&file, PN_FAMILY_PEERNET, PN_ASKED_HANDLE, "nothing"));
        pn_grants_file_fini(&file);
    }
}

/* ---- limits -------------------------------------------------------------- */

static void test_trust_grants_file_line_length(void **state)
{
    (void)state;
    for (size_t len = PN_GRANTS_LINE_MAX - 1; len <= PN_GRANTS_LINE_MAX + 1;
         len++) {
        char text[PN_GRANTS_LINE_MAX + 16];
        const int n = snprintf(text, sizeof(text), "paired led #");
        pn_grants_file file;

        memset(text + n, 'x', sizeof(text) - (size_t)n);
        text[len] = '\n';
        file = read_n(text, len + 1);
        assert_int_equal(may(&file, PN_FAMILY_PEERNET, PN_ASKED_HANDLE, "led"),
            len <= PN_GRANTS_LINE_MAX);
        pn_grants_file_fini(&file);
    }
}

static void test_trust_grants_file_name_length(void **state)
{
    (void)state;
    for (size_t len = 254; len <= 256; len++) {
        char name[300];
        char text[320];
        pn_grants_file file;

        memset(name, 'h', len);
        name[len] = '\0';
        (void)snprintf(text, sizeof(text), "paired %s\n", name);
        file = read_text(text);
        assert_int_equal(
            may(&file, PN_FAMILY_PEERNET, PN_ASKED_HANDLE, name), len <= 255);
        pn_grants_file_fini(&file);
    }
}

/* n lines "paired h0", "paired h1", ... */
static char *lines_of(size_t n)
{
    char *text = calloc(n + 1, 16);
    size_t len = 0;

    for (size_t i = 0; i < n; i++) {
        len += (size_t)snprintf(text + len, 16, "paired h%zu\n", i);
    }
    return text;
}

/* Lines beyond the limit count for nothing, and those before it all. */
static void test_trust_grants_file_max_lines(void **state)
{
    char *text = lines_of(MAX_LINES + 1);
    pn_grants_file file = read_text(text);

    (void)state;
    assert_true(may(&file, PN_FAMILY_PEERNET, PN_ASKED_HANDLE, "h15"));
    assert_false(may(&file, PN_FAMILY_PEERNET, PN_ASKED_HANDLE, "h16"));
    assert_non_null(strstr(file.lines[MAX_LINES].why, "max_grants"));
    pn_grants_file_fini(&file);
    free(text);

    text = lines_of(MAX_LINES);
    file = read_text(text);
    assert_true(may(&file, PN_FAMILY_PEERNET, PN_ASKED_HANDLE, "h15"));
    pn_grants_file_fini(&file);
    free(text);
}

/* Names of a role beyond the limit, too. */
static void test_trust_grants_file_max_lines_role(void **state)
{
    char *text = lines_of(MAX_LINES - 1);
    char all[1024];
    pn_grants_file file;

    (void)state;
    (void)snprintf(all, sizeof(all), "%spaired role:r\nrole r led\n", text);
    file = read_text(all);
    assert_false(may(&file, PN_FAMILY_PEERNET, PN_ASKED_HANDLE, "led"));
    pn_grants_file_fini(&file);
    free(text);
}

static void test_trust_grants_file_far_too_many(void **state)
{
    char *text = lines_of(2 * MAX_LINES + 1);
    pn_grants_file file;

    (void)state;
    assert_int_equal(
        pn_grants_file_read((const uint8_t *)text,
            strlen(text) - strlen("paired h32\n"), MAX_LINES, &file),
        PN_OK);
    pn_grants_file_fini(&file);
    assert_int_equal(pn_grants_file_read(
                         (const uint8_t *)text, strlen(text), MAX_LINES, &file),
        PN_LIMIT);
    assert_int_equal(file.n_lines, 0);
    free(text);
}

/* ---- edits --------------------------------------------------------------- */

typedef struct edit_row {
    const char *name;
    const char *before;
    pn_grants_act act;
    const char *subject; /* "": all */
    bool is_paired;      /* else key 1 */
    int64_t until_us;    /* 0: for ever */
    bool is_log_only;
    const char *after; /* NULL: as before, and not changed */
    pn_err err;
} edit_row;

#define HEAD "# Who may use what: edited by peernet(1), and by hand.\n"

static const edit_row EDIT_ROWS[] = {
    {"first", "", PN_GRANTS_ADD, "led", true, 0, false, HEAD "paired led\n", 0},
    {"append", "# x\npaired a\n", PN_GRANTS_ADD, "led", false, 0, false,
        "# x\npaired a\npeernet " K1 " led\n", 0},
    {"until", "# x\n", PN_GRANTS_ADD, "led", true, INT64_C(1798714800000000),
        true, "# x\npaired led until 2026-12-31T11:00:00Z log-only\n", 0},
    {"quotes", "# x\n", PN_GRANTS_ADD, "a \"#\\\n", true, 0, false,
        "# x\npaired \"a \\\"#\\\\\\x0a\"\n", 0},
    {"role", "# x\n", PN_GRANTS_ADD, "role:r", true, 0, false,
        "# x\npaired role:r\n", 0},
    {"there", "paired  led # x\n", PN_GRANTS_ADD, "led", true, 0, false, NULL,
        0},
    {"in_place", "paired led until " PAST " # x\n# y\npaired b\n",
        PN_GRANTS_ADD, "led", true, 0, false, "paired led # x\n# y\npaired b\n",
        0},
    {"in_place_of_two", "paired led log-only\npaired b\npaired led\n",
        PN_GRANTS_ADD, "led", true, 0, false, "paired led\npaired b\n", 0},
    {"before_cut_line", "paired a\npaired le", PN_GRANTS_ADD, "led", true, 0,
        false, "paired a\npaired led\npaired le", 0},
    {"before_cut_comment", "# x", PN_GRANTS_ADD, "led", true, 0, false,
        "paired led\n# x", 0},
    {"not_of_cut_line", "paired led", PN_GRANTS_ADD, "led", true, 0, false,
        "paired led\npaired led", 0},
    {"bad_line_stays", "x y \"\r\npaired a", PN_GRANTS_ADD, "led", true, 0,
        false, "x y \"\r\npaired led\npaired a", 0},
    {"remove", "# x\npaired led\npaired b\n", PN_GRANTS_REMOVE, "led", true, 0,
        false, "# x\npaired b\n", 0},
    {"remove_all_of_key",
        "peernet " K1 " a\nbarrel " K1 " a\npeernet " K2 " a\npaired a\n"
        "peernet " HEX1 " b log-only # x\n",
        PN_GRANTS_REMOVE, "", false, 0, false,
        "barrel " K1 " a\npeernet " K2 " a\npaired a\n", 0},
    {"remove_beside_bad", "bad\npaired led\npaired \"x\npaired l",
        PN_GRANTS_REMOVE, "led", true, 0, false, "bad\npaired \"x\npaired l",
        0},
    {"remove_role_grant", "paired role:r\npaired r\n", PN_GRANTS_REMOVE,
        "role:r", true, 0, false, "paired r\n", 0},
    {"remove_nothing", "paired led\n", PN_GRANTS_REMOVE, "led", false, 0, false,
        NULL, PN_NOT_FOUND},
    {"remove_not_cut", "paired led", PN_GRANTS_REMOVE, "led", true, 0, false,
        NULL, PN_NOT_FOUND},
};

static void test_trust_grants_file_edit(void **state)
{
    const edit_row *row = *state;
    pn_grants_file file = read_text(row->before);
    pn_stored_grant grant = {.is_paired = row->is_paired,
        .who = principal(PN_FAMILY_PEERNET, 1),
        .until_us = row->until_us == 0 ? PN_GRANT_FOR_EVER : row->until_us,
        .is_log_only = row->is_log_only};
    const pn_grants_edit edit = {.act = row->act, .grant = &grant};
    pn_buf out = {0};
    bool is_changed = false;

    (void)snprintf(grant.name, sizeof(grant.name), "%s", row->subject);
    assert_int_equal(
        pn_grants_file_edit(&file, &edit, MAX_LINES, &out, &is_changed),
        row->err);
    assert_int_equal(is_changed, row->after != NULL);
    if (row->err == PN_OK) {
        const char *want = row->after != NULL ? row->after : row->before;

        pn_assert_bytes(pn_buf_head(&out), pn_buf_used(&out),
            (const uint8_t *)want, strlen(want));
    }
    pn_buf_fini(&out);
    pn_grants_file_fini(&file);
}

static void set_role(const char *before, size_t n, const char *after)
{
    static const char *const names[] = {"led", "a b", "A.b/1"};
    const pn_grants_edit edit = {
        .act = PN_GRANTS_SET_ROLE, .role = "r", .names = names, .n_names = n};
    pn_grants_file file = read_text(before);
    pn_buf out = {0};
    bool is_changed = false;

    assert_int_equal(
        pn_grants_file_edit(&file, &edit, MAX_LINES, &out, &is_changed), PN_OK);
    pn_assert_bytes(pn_buf_head(&out), pn_buf_used(&out),
        (const uint8_t *)after, strlen(after));
    pn_buf_fini(&out);
    pn_grants_file_fini(&file);
}

static void test_trust_grants_file_set_role(void **state)
{
    (void)state;
    set_role("# x\n", 2, "# x\nrole r led \"a b\"\n");
    set_role("role r x # keep\nrole s y\nrole r z\npaired role:r\n", 3,
        "role r led \"a b\" A.b/1\nrole s y\npaired role:r\n");
    set_role(
        "role s y\nrole r z\npaired role:r\n", 0, "role s y\npaired role:r\n");
}

/* A long role takes several lines, none of them too long, and all of it is
 * granted. */
static void test_trust_grants_file_long_role(void **state)
{
    char texts[100][64];
    const char *names[100];
    const pn_grants_edit edit = {
        .act = PN_GRANTS_SET_ROLE, .role = "r", .names = names, .n_names = 100};
    pn_grants_file none = {0};
    pn_grants_file file;
    pn_buf out = {0};
    bool is_changed = false;

    (void)state;
    for (size_t i = 0; i < 100; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "handle_%050zu", i);
        names[i] = texts[i];
    }
    assert_int_equal(
        pn_grants_file_edit(&none, &edit, 200, &out, &is_changed), PN_OK);
    assert_int_equal(pn_buf_append(&out, "paired role:r\n", 14), PN_OK);
    assert_int_equal(
        pn_grants_file_read(pn_buf_head(&out), pn_buf_used(&out), 200, &file),
        PN_OK);
    assert_true(file.n_lines > 10);
    for (size_t i = 0; i < 100; i++) {
        assert_true(may(&file, PN_FAMILY_PEERNET, PN_ASKED_HANDLE, texts[i]));
    }
    pn_grants_file_fini(&file);
    pn_buf_fini(&out);
}

static void test_trust_grants_file_full(void **state)
{
    char *text = lines_of(MAX_LINES);
    pn_stored_grant grant = {
        .is_paired = true, .name = "led", .until_us = PN_GRANT_FOR_EVER};
    const pn_grants_edit edit = {.act = PN_GRANTS_ADD, .grant = &grant};
    pn_grants_file file = read_text(text);
    pn_buf out = {0};
    bool is_changed = false;

    (void)state;
    assert_int_equal(
        pn_grants_file_edit(&file, &edit, MAX_LINES, &out, &is_changed),
        PN_FULL);
    pn_buf_fini(&out);
    /* One that takes the place of another fits. */
    (void)snprintf(grant.name, sizeof(grant.name), "h3");
    grant.is_log_only = true;
    assert_int_equal(
        pn_grants_file_edit(&file, &edit, MAX_LINES, &out, &is_changed), PN_OK);
    pn_buf_fini(&out);
    pn_grants_file_fini(&file);
    free(text);
}

/* What is written is read as what it was, for names of every byte. */
static void test_trust_grants_file_round_trip(void **state)
{
    (void)state;
    for (unsigned c = 1; c < 128; c++) {
        pn_stored_grant grant = {
            .is_paired = true, .until_us = PN_GRANT_FOR_EVER};
        const pn_grants_edit edit = {.act = PN_GRANTS_ADD, .grant = &grant};
        pn_grants_file none = {0};
        pn_grants_file file;
        pn_buf out = {0};
        bool is_changed = false;

        (void)snprintf(grant.name, sizeof(grant.name), "a%cb", (int)c);
        assert_int_equal(
            pn_grants_file_edit(&none, &edit, MAX_LINES, &out, &is_changed),
            PN_OK);
        file = read_n((const char *)pn_buf_head(&out), pn_buf_used(&out));
        assert_int_equal(file.n_lines, 1);
        assert_true(may(&file, PN_FAMILY_PEERNET, PN_ASKED_HANDLE, grant.name));
        pn_grants_file_fini(&file);
        pn_buf_fini(&out);
    }
}

/* ---- lookup -------------------------------------------------------------- */

static void test_trust_grants_file_kill(void **state)
{
    const pn_principal who = principal(PN_FAMILY_PEERNET, 1);
    pn_grants_file file = read_text("peernet " K1 " led\npaired x\n");

    (void)state;
    assert_true(pn_grants_file_names(&file, &who));
    pn_grants_file_kill(&file, &who);
    assert_false(may(&file, PN_FAMILY_PEERNET, PN_ASKED_HANDLE, "led"));
    assert_true(may(&file, PN_FAMILY_PEERNET, PN_ASKED_HANDLE, "x"));
    pn_grants_file_fini(&file);
    file = read_text("barrel " K1 " led\npeernet " K2 " x\n");
    assert_false(pn_grants_file_names(&file, &who));
    pn_grants_file_fini(&file);
}

static void test_trust_grants_file_next_end(void **state)
{
    pn_grants_file file = read_text("paired a until " PAST "\npaired b\n"
                                    "paired c until 2100-01-01T00:00:00Z\n"
                                    "paired d until " FUTURE "\n");
    int64_t end = 0;

    (void)state;
    assert_int_equal(pn_grant_until_parse("2100-01-01T00:00:00Z", &end), PN_OK);
    assert_true(pn_grants_file_next_end(&file, NOW) == end);
    assert_int_equal(pn_grant_until_parse(FUTURE, &end), PN_OK);
    assert_true(pn_grants_file_next_end(&file, end - 1) == end);
    assert_true(pn_grants_file_next_end(&file, end) == PN_GRANT_FOR_EVER);
    pn_grants_file_fini(&file);
}

/* The end is the first moment at which it does not hold. */
static void test_trust_grants_file_until_edge(void **state)
{
    static const pn_grants nobody = {.n_principals = 0};
    const pn_principal who = principal(PN_FAMILY_PEERNET, 1);
    pn_grants_file file = read_text("paired led until " FUTURE "\n");
    pn_question question = {.name = pn_slice_of("led"),
        .fixed = &nobody,
        .file = &file,
        .caller = &who,
        .is_paired = true};
    int64_t end = 0;

    (void)state;
    assert_int_equal(pn_grant_until_parse(FUTURE, &end), PN_OK);
    question.now_us = end - 1;
    assert_int_equal(pn_decide(&question, NULL), PN_REASON_NONE);
    question.now_us = end;
    assert_int_equal(pn_decide(&question, NULL), PN_REASON_FORBIDDEN);
    pn_grants_file_fini(&file);
}

static void test_trust_grants_file_unpaired(void **state)
{
    static const pn_grants nobody = {.n_principals = 0};
    const pn_principal who = principal(PN_FAMILY_PEERNET, 1);
    pn_grants_file file = read_text("paired led\npeernet " K1 " led\n");
    const pn_question question = {.name = pn_slice_of("led"),
        .fixed = &nobody,
        .file = &file,
        .caller = &who};

    (void)state;
    assert_int_equal(pn_decide(&question, NULL), PN_REASON_FORBIDDEN);
    pn_grants_file_fini(&file);
}

/* A log-only line is named when it would have decided, and only then. */
static void test_trust_grants_file_log_only_told(void **state)
{
    static const pn_grants nobody = {.n_principals = 0};
    const pn_principal who = principal(PN_FAMILY_PEERNET, 1);
    pn_grants_file file = read_text(
        "# x\npaired led log-only\npaired b log-only\npaired b\n"
        "paired c log-only until " PAST "\n");
    pn_question question = {.name = pn_slice_of("led"),
        .fixed = &nobody,
        .file = &file,
        .caller = &who,
        .is_paired = true,
        .now_us = NOW};
    const pn_grants_line *would = NULL;

    (void)state;
    assert_int_equal(pn_decide(&question, &would), PN_REASON_FORBIDDEN);
    assert_int_equal(would->number, 2);
    question.name = pn_slice_of("b");
    assert_int_equal(pn_decide(&question, &would), PN_REASON_NONE);
    assert_null(would);
    question.name = pn_slice_of("c");
    assert_int_equal(pn_decide(&question, &would), PN_REASON_FORBIDDEN);
    assert_null(would);
    question.name = pn_slice_of("led");
    question.is_paired = false;
    assert_int_equal(pn_decide(&question, &would), PN_REASON_FORBIDDEN);
    assert_null(would);
    pn_grants_file_fini(&file);
}

#define TEST(name)                                                             \
    pn_test_add("trust/grants_file/" #name, test_trust_grants_file_##name, NULL)

int main(void)
{
    for (size_t i = 0; i < sizeof(LINE_ROWS) / sizeof(LINE_ROWS[0]); i++) {
        pn_test_addf(test_trust_grants_file_line,
            (void *)(uintptr_t)&LINE_ROWS[i], "trust/grants_file/line/%s",
            LINE_ROWS[i].name);
    }
    for (size_t i = 0; i < sizeof(EDIT_ROWS) / sizeof(EDIT_ROWS[0]); i++) {
        pn_test_addf(test_trust_grants_file_edit,
            (void *)(uintptr_t)&EDIT_ROWS[i], "trust/grants_file/edit/%s",
            EDIT_ROWS[i].name);
    }
    TEST(table);
    TEST(every_prefix);
    TEST(cut_line);
    TEST(line_length);
    TEST(name_length);
    TEST(max_lines);
    TEST(max_lines_role);
    TEST(far_too_many);
    TEST(set_role);
    TEST(long_role);
    TEST(full);
    TEST(round_trip);
    TEST(kill);
    TEST(next_end);
    TEST(until_edge);
    TEST(unpaired);
    TEST(log_only_told);
    return pn_test_run("trust/grants_file");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* trust.bin against the originals' own files, and against damage. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"
#include "trust/datetime.h"
#include "trust/trust_list.h"

enum { MAX = 1024 };

static json_t *otp25;
static json_t *otp27;

/* Reads from memory exactly as large as it is. */
static pn_err read_exact(
    const uint8_t *data, size_t len, size_t max, pn_trust_list *list)
{
    uint8_t *copy = malloc(len == 0 ? 1 : len);
    const char *why = NULL;
    pn_err err;

    assert_non_null(copy);
    memcpy(copy, data, len);
    err = pn_trust_list_read(copy, len, max, list, &why);
    if (err == PN_CORRUPT) {
        assert_non_null(why);
    }
    free(copy);
    return err;
}

static void assert_refused(const uint8_t *data, size_t len)
{
    pn_trust_list list = {0};

    assert_int_equal(read_exact(data, len, MAX, &list), PN_CORRUPT);
    assert_null(list.entries);
    assert_int_equal(list.n_entries, 0);
}

/* "2026-11-20T21:57:26.534243Z", fraction optional. */
static int64_t parse_iso(const char *text)
{
    pn_datetime d = {0};
    char fraction[7] = "000000";
    int n;

    n = sscanf(text, "%d-%d-%dT%d:%d:%d.%6[0-9]", &d.year, &d.month, &d.day,
        &d.hour, &d.minute, &d.second, fraction);
    assert_true(n == 6 || n == 7);
    d.microsecond = (int)strtol(fraction, NULL, 10);
    return pn_datetime_to_us(&d);
}

static void assert_entries(const pn_trust_list *list, const json_t *entries)
{
    size_t i;
    json_t *want;

    assert_int_equal(list->n_entries, json_array_size(entries));
    json_array_foreach(entries, i, want)
    {
        const pn_trust_entry *e = &list->entries[i];
        const json_t *label = json_object_get(want, "label");
        uint8_t key[PN_PUBLIC_KEY_LEN];

        pn_json_hex_n(want, "pubkey_hex", key, sizeof(key));
        assert_memory_equal(e->key.bytes, key, sizeof(key));
        if (json_is_null(label)) {
            assert_null(e->label);
        } else {
            assert_string_equal(e->label, json_string_value(label));
        }
        assert_true(
            e->added_at_us == parse_iso(pn_json_string(want, "added_at")));
    }
}

static void assert_written(
    const pn_trust_list *list, const uint8_t *want, size_t len)
{
    pn_buf b = {0};

    assert_int_equal(pn_trust_list_write(list, &b), PN_OK);
    pn_assert_bytes(b.data, b.len, want, len);
    pn_buf_fini(&b);
}

/* ---- what the originals write ------------------------------------------- */

/* A list that was read is written back to the byte, of every OTP. */
static void test_trust_list_upstream_reads_and_goes_back(void **state)
{
    const json_t *row = *state;
    pn_trust_list list = {0};
    size_t len;
    uint8_t *file = pn_json_hex(row, "file_hex", &len);

    assert_int_equal(read_exact(file, len, MAX, &list), PN_OK);
    assert_entries(&list, json_object_get(row, "entries"));
    assert_written(&list, file, len);
    pn_trust_list_fini(&list);
    free(file);
}

static void test_trust_list_upstream_every_prefix(void **state)
{
    size_t len;
    uint8_t *file = pn_json_hex(*state, "file_hex", &len);

    for (size_t n = 0; n < len; n++) {
        assert_refused(file, n);
    }
    free(file);
}

/* Rewrites atoms of tag 100 as tag 119; every other byte stays. Knows the tags
 * of these files and no others. */
static uint8_t *modern_atoms(const uint8_t *p, size_t len, size_t *ret_len)
{
    uint8_t *out = malloc(len);
    size_t n = 0;
    size_t i = 1;

    assert_non_null(out);
    out[n++] = p[0];
    while (i < len) {
        size_t body;

        switch (p[i]) {
        case 100: /* ATOM_EXT, u16 */
            body = p[i + 2];
            assert_int_equal(p[i + 1], 0);
            out[n++] = 119;
            out[n++] = (uint8_t)body;
            memcpy(out + n, p + i + 3, body);
            n += body;
            i += 3 + body;
            continue;
        case 109: /* BINARY_EXT, u32 */
            body = 5 + p[i + 4];
            break;
        case 108: /* LIST_EXT */
        case 116: /* MAP_EXT */
        case 98:  /* INTEGER_EXT */
            body = 5;
            break;
        case 97:  /* SMALL_INTEGER_EXT */
        case 104: /* SMALL_TUPLE_EXT */
            body = 2;
            break;
        default: /* NIL_EXT */
            assert_int_equal(p[i], 106);
            body = 1;
            break;
        }
        memcpy(out + n, p + i, body);
        n += body;
        i += body;
    }
    *ret_len = n;
    return out;
}

/* The same pairings made with ours: term_to_binary/1 but for the atom tag. */
static void test_trust_list_upstream_made_anew(void **state)
{
    const json_t *row = *state;
    const json_t *entries = json_object_get(row, "entries");
    pn_trust_list list = {0};
    size_t len;
    size_t want_len;
    uint8_t *file = pn_json_hex(row, "file_hex", &len);
    uint8_t *want = modern_atoms(file, len, &want_len);

    for (size_t i = json_array_size(entries); i > 0; i--) {
        const json_t *entry = json_array_get(entries, i - 1);
        pn_public_key key;

        pn_json_hex_n(entry, "pubkey_hex", key.bytes, sizeof(key.bytes));
        assert_int_equal(pn_trust_list_add(&list, &key,
                             json_string_value(json_object_get(entry, "label")),
                             parse_iso(pn_json_string(entry, "added_at"))),
            PN_OK);
    }
    assert_written(&list, want, want_len);
    pn_trust_list_fini(&list);
    free(want);
    free(file);
}

/* ---- damaged files ------------------------------------------------------- */

typedef enum verdict {
    TAKEN,  /* as the original takes it */
    CLOSED, /* the original forgets all peers; ours refuses the file */
    STRICT  /* the original goes on with it, or crashes later; ours refuses */
} verdict;

typedef struct load_case {
    const char *name;
    verdict verdict;
    const char *because;
} load_case;

static const load_case LOADS[] = {
    {"no file", TAKEN, "nobody was ever paired; the store's business"},
    {"empty list", TAKEN, "everybody was unpaired"},
    {"1 entry, no label", TAKEN, "as written"},
    {"3 entries", TAKEN, "as written"},
    {"added_at without microseconds {0,0}", TAKEN, "any precision is legal"},
    {"compressed ETF", STRICT, "compressed terms are refused (T6)"},
    {"deterministic option", TAKEN, "another order of keys"},
    {"trailing byte after the term", STRICT, "trailing bytes are damage"},
    {"two terms concatenated", STRICT, "trailing bytes are damage"},
    {"unknown extra key with known atom", TAKEN,
        "a later version may know more; kept when we write"},
    {"label missing", STRICT, "the originals always write one"},
    {"added_at missing", STRICT, "the originals always write one"},
    {"added_at plain string", STRICT, "the originals write a DateTime"},
    {"added_at DateTime missing fields", STRICT, "no such time"},
    {"label is a charlist", STRICT, "a label is a binary or nil"},
    {"string keys instead of atoms", STRICT, "the original crashes on it"},
    {"pubkey missing", STRICT, "the original crashes on it"},
    {"pubkey 31 bytes", STRICT, "no key, so it is damage"},
    {"pubkey is an atom", STRICT, "no key, so it is damage"},
    {"second entry has no pubkey", STRICT, "the original crashes on it"},
    {"entry is an integer", STRICT, "the original crashes on it"},
    {"entry is an improper list tail", STRICT, "the original crashes on it"},
    {"string list (STRING_EXT)", STRICT, "the original crashes on it"},
    {"term is a map", CLOSED, "not a list"},
    {"term is an atom", CLOSED, "not a list"},
    {"term is a binary", CLOSED, "not a list"},
    {"empty file", CLOSED, "not a term"},
    {"version 130", CLOSED, "not a term"},
    {"no version byte", CLOSED, "not a term"},
    {"truncated by one", CLOSED, "not a term"},
    {"list length lies (2, one entry)", CLOSED, "not a term"},
    {"unknown atom as label (safe mode)", CLOSED, "a label is no atom"},
    {"duplicate map key", CLOSED, "not a term"},
    {"text", CLOSED, "not a term"},
    {"v2-looking JSON", CLOSED, "not a term"},
};
enum { N_LOADS = sizeof(LOADS) / sizeof(LOADS[0]) };

typedef struct load_row {
    const json_t *row;
    const load_case *expected;
} load_row;

/* The table above must say what the recording says. */
static void check_verdict(const load_row *r)
{
    const json_t *loaded = json_object_get(r->row, "loaded_entries");
    const bool is_file = !json_is_null(json_object_get(r->row, "file_hex"));

    switch (r->expected->verdict) {
    case TAKEN:
        assert_true(
            !is_file || json_is_true(json_object_get(r->row, "safe_decodes")));
        break;
    case CLOSED:
        assert_int_equal(json_array_size(loaded), 0);
        break;
    case STRICT:
        assert_true(json_array_size(loaded) > 0);
        break;
    }
}

static void test_trust_list_load(void **state)
{
    const load_row *r = *state;
    pn_trust_list list = {0};
    size_t len;
    uint8_t *file;

    check_verdict(r);
    if (json_is_null(json_object_get(r->row, "file_hex"))) {
        return; /* trust/store/load/no file */
    }
    file = pn_json_hex(r->row, "file_hex", &len);
    if (r->expected->verdict == TAKEN) {
        assert_int_equal(read_exact(file, len, MAX, &list), PN_OK);
        assert_entries(&list, json_object_get(r->row, "loaded_entries"));
        assert_written(&list, file, len);
        pn_trust_list_fini(&list);
        for (size_t n = 0; n < len; n++) {
            assert_refused(file, n);
        }
    } else {
        assert_refused(file, len);
    }
    free(file);
}

/* The same through the store: fail closed, with a sentence, and not a byte of
 * the file changed (T22). The original's verdict is in the vector. */
static void test_trust_list_store_load(void **state)
{
    const load_row *r = *state;
    const json_t *hex = json_object_get(r->row, "file_hex");
    pn_why error = {.text = ""};
    pn_store *store = NULL;
    pn_tempdir t;
    size_t len = 0;
    uint8_t *file = NULL;
    pn_err err;

    fixture_make(&t);
    assert_int_equal(unlinkat(t.fd, "data/trust.bin", 0), 0);
    if (!json_is_null(hex)) {
        file = pn_json_hex(r->row, "file_hex", &len);
        pn_tempdir_put(&t, "data/trust.bin", file, len);
    }
    err = pn_store_open(fixture_data(&t), &store, &error, NULL);
    if (r->expected->verdict == TAKEN) {
        assert_int_equal(err, PN_OK);
        assert_entries(
            pn_store_trust(store), json_object_get(r->row, "loaded_entries"));
    } else {
        assert_int_equal(err, PN_CORRUPT);
        assert_null(store);
        assert_says(error.text, "data/trust.bin: is damaged: ");
        assert_says(error.text, "left as it is");
    }
    if (file != NULL) {
        fixture_assert_file(&t, "trust.bin", file, len);
    } else {
        assert_int_equal(pn_tempdir_mode(&t, "data/trust.bin"), -1);
    }
    pn_store_close(store);
    free(file);
    pn_tempdir_fini(&t);
}

/* ---- made here ----------------------------------------------------------- */

/* A file of n entries from the fixture's keys. */
static void make_file(size_t n, pn_buf *b)
{
    pn_trust_list list = {0};

    for (unsigned i = 0; i < n; i++) {
        const pn_public_key key = fixture_key(i);

        assert_int_equal(
            pn_trust_list_add(&list, &key, "x", (int64_t)i), PN_OK);
    }
    b->len = 0;
    assert_int_equal(pn_trust_list_write(&list, b), PN_OK);
    pn_trust_list_fini(&list);
}

static void test_trust_list_max_entries(void **state)
{
    static const size_t maxima[] = {1, 2, 3, 100, 1024};

    (void)state;
    for (size_t i = 0; i < sizeof(maxima) / sizeof(maxima[0]); i++) {
        const size_t max = maxima[i];

        for (size_t n = max - 1; n <= max + 1; n++) {
            pn_trust_list list = {0};
            pn_buf b = {0};

            make_file(n, &b);
            assert_int_equal(read_exact(b.data, b.len, max, &list),
                n <= max ? PN_OK : PN_LIMIT);
            assert_int_equal(list.n_entries, n <= max ? n : 0);
            pn_trust_list_fini(&list);
            pn_buf_fini(&b);
        }
    }
}

/* Replaces the first occurrence of from in a file of one entry. */
static pn_err read_changed(const char *from, size_t from_len, const char *to,
    size_t to_len, pn_trust_list *list)
{
    pn_buf b = {0};
    uint8_t *at;
    pn_err err;

    make_file(1, &b);
    assert_int_equal(pn_buf_reserve(&b, 1024), PN_OK);
    at = memmem(b.data, b.len, from, from_len);
    assert_non_null(at);
    memmove(
        at + to_len, at + from_len, b.len - (size_t)(at - b.data) - from_len);
    memcpy(at, to, to_len);
    b.len = b.len + to_len - from_len;
    err = read_exact(b.data, b.len, MAX, list);
    pn_buf_fini(&b);
    return err;
}

typedef struct change_row {
    const char *name;
    const char *from;
    size_t from_len;
    const char *to;
    size_t to_len;
    bool is_taken;
} change_row;

#define CHANGE(from, to) from, sizeof(from) - 1, to, sizeof(to) - 1

static const change_row CHANGES[] = {
    {"nothing", CHANGE("w\4year", "w\4year"), true},
    {"atom_tag_100", CHANGE("w\4year", "d\0\4year"), true},
    {"atom_tag_115", CHANGE("w\4year", "s\4year"), true},
    {"atom_tag_118", CHANGE("w\4year", "v\0\4year"), true},
    {"atom_as_binary", CHANGE("w\4year", "m\0\0\0\4year"), false},
    {"pubkey_as_latin1_atom_key", CHANGE("w\6pubkey", "s\6pubkey"), true},
    {"struct_other", CHANGE("Elixir.DateTime", "Elixir.DateTimf"), false},
    {"struct_naive",
        CHANGE("\x0f"
               "Elixir.DateTime",
            "\x14"
            "Elixir.NaiveDateTime"),
        false},
    {"calendar_other", CHANGE("Elixir.Calendar.ISO", "Elixir.Calendar.ISP"),
        false},
    {"zone_other", CHANGE("Etc/UTC", "Etc/GMT"), false},
    {"zone_abbreviation_other", CHANGE("\3UTC", "\3GMT"), false},
    {"utc_offset", CHANGE("utc_offseta\0", "utc_offseta\1"), false},
    {"std_offset", CHANGE("std_offseta\0", "std_offseta\1"), false},
    {"utc_offset_negative",
        CHANGE("utc_offseta\0", "utc_offsetb\xff\xff\xff\xff"), false},
    {"month_0", CHANGE("montha\1", "montha\0"), false},
    {"month_12", CHANGE("montha\1", "montha\14"), true},
    {"month_13", CHANGE("montha\1", "montha\15"), false},
    {"day_0", CHANGE("daya\1", "daya\0"), false},
    {"day_32", CHANGE("daya\1", "daya\40"), false},
    {"hour_24", CHANGE("houra\0", "houra\30"), false},
    {"minute_60", CHANGE("minutea\0", "minutea\74"), false},
    {"second_60", CHANGE("seconda\0", "seconda\74"), false},
    {"second_as_float", CHANGE("seconda\0", "secondF\0\0\0\0\0\0\0\0"), false},
    {"second_as_nil", CHANGE("seconda\0", "secondj"), false},
    {"precision_0", CHANGE("h\2a\0a\6", "h\2a\0a\0"), true},
    {"precision_3", CHANGE("h\2a\0a\6", "h\2a\0a\3"), true},
    {"precision_7", CHANGE("h\2a\0a\6", "h\2a\0a\7"), false},
    {"precision_negative", CHANGE("h\2a\0a\6", "h\2a\0b\xff\xff\xff\xff"),
        false},
    {"microsecond_1000000",
        CHANGE("h\2a\0a\6", "h\2b\0\x0f\x42\x40"
                            "a\6"),
        false},
    {"microsecond_999999",
        CHANGE("h\2a\0a\6", "h\2b\0\x0f\x42\x3f"
                            "a\6"),
        true},
    {"microsecond_alone", CHANGE("h\2a\0a\6", "a\6"), false},
    {"microsecond_triple", CHANGE("h\2a\0a\6", "h\3a\0a\6a\0"), false},
    {"year_10000", CHANGE("yearb\0\0\x07\xb2", "yearb\0\0\x27\x10"), false},
    {"year_9999", CHANGE("yearb\0\0\x07\xb2", "yearb\0\0\x27\x0f"), true},
    {"year_negative", CHANGE("yearb\0\0\x07\xb2", "yearb\xff\xff\xff\xff"),
        false},
    {"year_big", CHANGE("yearb\0\0\x07\xb2", "yearn\5\0\1\1\1\1\1"), false},
    {"label_nil", CHANGE("labelm\0\0\0\1x", "labelw\3nil"), true},
    {"label_nil_tag_100", CHANGE("labelm\0\0\0\1x", "labeld\0\3nil"), true},
    {"label_other_atom", CHANGE("labelm\0\0\0\1x", "labelw\4none"), false},
    {"label_empty", CHANGE("labelm\0\0\0\1x", "labelm\0\0\0\0"), true},
    {"label_integer", CHANGE("labelm\0\0\0\1x", "labela\1"), false},
    {"label_list", CHANGE("labelm\0\0\0\1x", "labelj"), false},
    {"label_bitstring", CHANGE("labelm\0\0\0\1x", "labelM\0\0\0\1\7x"), false},
    {"extra_key",
        CHANGE("t\0\0\0\3w\x08"
               "added_at",
            "t\0\0\0\4w\1zjw\x08"
            "added_at"),
        true},
    {"extra_key_is_binary",
        CHANGE("t\0\0\0\3w\x08"
               "added_at",
            "t\0\0\0\4m\0\0\0\1zjw\x08"
            "added_at"),
        true},
    {"key_twice",
        CHANGE("t\0\0\0\3w\x08"
               "added_at",
            "t\0\0\0\4w\5labeljw\x08"
            "added_at"),
        false},
    {"key_twice_in_two_spellings",
        CHANGE("t\0\0\0\3w\x08"
               "added_at",
            "t\0\0\0\4d\0\6pubkeyjw\x08"
            "added_at"),
        false},
    {"list_improper_tail", CHANGE("\x83l\0\0\0\1t", "\x83l\0\0\0\0t"), false},
    {"list_count_huge", CHANGE("\x83l\0\0\0\1", "\x83l\xff\xff\xff\xff"),
        false},
};

static void test_trust_list_change(void **state)
{
    const change_row *row = *state;
    pn_trust_list list = {0};
    pn_err err = read_changed(
        row->from, row->from_len, row->to, row->to_len, &list);

    assert_int_equal(err, row->is_taken ? PN_OK : PN_CORRUPT);
    assert_int_equal(list.n_entries, row->is_taken ? 1 : 0);
    pn_trust_list_fini(&list);
}

/* The originals check no label: whatever bytes it has, the file is taken, the
 * label is shown cleaned, and goes back as it was. */
static void test_trust_list_label_of_any_bytes(void **state)
{
    enum { LEN = 3000 };
    static uint8_t file[400 + LEN];
    pn_trust_list list = {0};
    pn_buf b = {0};
    uint8_t *at;
    size_t len;

    (void)state;
    make_file(1, &b);
    at = memmem(b.data, b.len, "labelm\0\0\0\1x", 11);
    assert_non_null(at);
    len = (size_t)(at - b.data) + 6;
    memcpy(file, b.data, len);
    memcpy(file + len, "\0\0\x0b\xb8", 4);
    memset(file + len + 4, 0x9b, LEN);
    memcpy(file + len + 4 + LEN, at + 11, b.len - len - 5);
    len = b.len + LEN - 1;
    assert_int_equal(read_exact(file, len, MAX, &list), PN_OK);
    assert_int_equal(strlen(list.entries[0].label), PN_LABEL_MAX);
    assert_int_equal(list.entries[0].label[0], '?');
    assert_written(&list, file, len);
    pn_trust_list_fini(&list);
    pn_buf_fini(&b);
}

/* Two entries for one key: unpairing would take away only one of them. */
static void test_trust_list_key_in_two_entries(void **state)
{
    pn_trust_list list = {0};
    pn_buf b = {0};
    pn_public_key first = fixture_key(0);
    pn_public_key last = fixture_key(4);
    uint8_t *at;

    (void)state;
    make_file(5, &b);
    assert_int_equal(read_exact(b.data, b.len, MAX, &list), PN_OK);
    pn_trust_list_fini(&list);
    at = memmem(b.data, b.len, last.bytes, sizeof(last.bytes));
    assert_non_null(at);
    memcpy(at, first.bytes, sizeof(first.bytes));
    assert_refused(b.data, b.len);
    pn_buf_fini(&b);
}

static void test_trust_list_add_refuses(void **state)
{
    const pn_public_key key = fixture_key(1);
    pn_trust_list list = {0};
    char label[257];

    (void)state;
    memset(label, 'x', sizeof(label));
    label[256] = '\0';
    assert_int_equal(pn_trust_list_add(&list, &key, label, 0), PN_INVALID);
    assert_int_equal(pn_trust_list_add(&list, &key, "a\nb", 0), PN_INVALID);
    assert_int_equal(pn_trust_list_add(&list, &key, "\xff", 0), PN_INVALID);
    assert_int_equal(
        pn_trust_list_add(&list, &key, NULL, PN_DATETIME_MIN_US - 1),
        PN_INVALID);
    assert_int_equal(
        pn_trust_list_add(&list, &key, NULL, PN_DATETIME_MAX_US + 1),
        PN_INVALID);
    assert_int_equal(list.n_entries, 0);
    assert_int_equal(
        pn_trust_list_add(&list, &key, label + 1, PN_DATETIME_MAX_US), PN_OK);
    assert_int_equal(pn_trust_list_add(&list, &key, "other", 0), PN_EXISTS);
    assert_int_equal(list.n_entries, 1);
    assert_string_equal(list.entries[0].label, label + 1);
    pn_trust_list_fini(&list);
}

/* Adding and removing in a drawn order, against a plain model; after each step
 * what is written reads as the same list. */
static void test_trust_list_like_a_model(void **state)
{
    enum { PEERS = 24 };
    bool has[PEERS] = {false};
    pn_trust_list list = {0};
    uint64_t seed = 5;

    (void)state;
    for (unsigned step = 0; step < 1500; step++) {
        const unsigned i = (unsigned)(pn_test_random(&seed) % PEERS);
        const pn_public_key key = fixture_key(i);
        pn_trust_list again = {0};
        pn_buf b = {0};

        if (pn_test_random(&seed) % 2 == 0) {
            assert_int_equal(
                pn_trust_list_add(&list, &key, i % 2 ? "l" : NULL, step),
                has[i] ? PN_EXISTS : PN_OK);
            has[i] = true;
        } else {
            assert_int_equal(pn_trust_list_remove(&list, &key),
                has[i] ? PN_OK : PN_NOT_FOUND);
            has[i] = false;
        }
        for (unsigned k = 0; k < PEERS; k++) {
            const pn_public_key other = fixture_key(k);

            assert_int_equal(pn_trust_list_find(&list, &other) != NULL, has[k]);
        }
        assert_int_equal(pn_trust_list_write(&list, &b), PN_OK);
        assert_int_equal(read_exact(b.data, b.len, PEERS, &again), PN_OK);
        assert_true(pn_trust_list_equal(&list, &again));
        pn_trust_list_fini(&again);
        pn_buf_fini(&b);
    }
    pn_trust_list_fini(&list);
}

/* ---- the table ----------------------------------------------------------- */

static void add_upstream(json_t *vectors, const char *otp)
{
    const json_t *rows = json_object_get(vectors, "written_by_upstream");
    size_t i;
    json_t *row;

    json_array_foreach(rows, i, row)
    {
        const char *name = pn_json_string(row, "name");

        pn_test_addf(test_trust_list_upstream_reads_and_goes_back, row,
            "trust/list/%s/reads_and_goes_back/%s", otp, name);
        pn_test_addf(test_trust_list_upstream_every_prefix, row,
            "trust/list/%s/every_prefix/%s", otp, name);
        if (vectors == otp25) {
            pn_test_addf(test_trust_list_upstream_made_anew, row,
                "trust/list/%s/made_anew/%s", otp, name);
        }
    }
}

/* Every row of the recording must stand in LOADS and the other way round. */
static void add_loads(json_t *vectors, const char *otp)
{
    static load_row load_rows[2 * N_LOADS];
    static size_t n;
    const json_t *rows = json_object_get(vectors, "load");
    size_t i;
    json_t *row;

    if (json_array_size(rows) != N_LOADS) {
        fprintf(stderr, "the recording has other cases than LOADS\n");
        exit(99);
    }
    json_array_foreach(rows, i, row)
    {
        if (strcmp(LOADS[i].name, pn_json_string(row, "name")) != 0) {
            fprintf(stderr, "no verdict for %s\n", LOADS[i].name);
            exit(99);
        }
        load_rows[n] = (load_row){row, &LOADS[i]};
        pn_test_addf(test_trust_list_load, &load_rows[n],
            "trust/list/%s/load/%s: %s", otp, LOADS[i].name, LOADS[i].because);
        pn_test_addf(test_trust_list_store_load, &load_rows[n],
            "trust/store/%s/load/%s", otp, LOADS[i].name);
        n++;
    }
}

int main(void)
{
    int status;

    fixture_init();
    otp25 = pn_vectors("trust.json");
    otp27 = pn_vectors("trust.otp27.json");
    add_upstream(otp25, "otp25");
    add_upstream(otp27, "otp27");
    add_loads(otp25, "otp25");
    add_loads(otp27, "otp27");
    for (size_t i = 0; i < sizeof(CHANGES) / sizeof(CHANGES[0]); i++) {
        pn_test_addf(test_trust_list_change, (void *)(uintptr_t)&CHANGES[i],
            "trust/list/change/%s", CHANGES[i].name);
    }
    pn_test_add("trust/list/max_entries", test_trust_list_max_entries, NULL);
    pn_test_add("trust/list/label_of_any_bytes",
        test_trust_list_label_of_any_bytes, NULL);
    pn_test_add("trust/list/key_in_two_entries",
        test_trust_list_key_in_two_entries, NULL);
    pn_test_add("trust/list/add_refuses", test_trust_list_add_refuses, NULL);
    pn_test_add("trust/list/like_a_model", test_trust_list_like_a_model, NULL);
    status = pn_test_run("trust/list");
    json_decref(otp25);
    json_decref(otp27);
    return status;
}

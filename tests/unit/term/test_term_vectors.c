/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every case of etf.json: terms that OTP 25 and 27 wrote are read and written
 * again byte for byte; terms that they refuse are refused; the cases that only
 * we refuse are on the list below with the reason (docs/TERM.md).
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/sha.h>

#include "canonical.h"
#include "harness.h"
#include "term/writer_internal.h"

/* Bytes of just their size, so that a sanitizer sees a read past them. */
typedef struct row {
    struct row *next;
    char *name;
    uint8_t *bytes;
    size_t len;
    uint8_t *canonical; /* what writing it again must give */
    size_t canonical_len;
    bool must_accept;
    const char *reason; /* our own, when a BEAM accepts */
    pn_err err;
} row;

static row *all_rows;

static pn_term parse_ok(const uint8_t *bytes, size_t len)
{
    pn_term_error error = {0};
    pn_term term = {0};
    pn_err err = pn_term_parse(bytes, len, NULL, &term, &error);

    if (err != PN_OK) {
        fail_msg("%s at %zu: %s", pn_err_name(err), error.offset, error.text);
    }
    return term;
}

static void test_accepts(void **state)
{
    const row *r = *state;
    pn_term term = parse_ok(r->bytes, r->len);

    assert_ptr_equal(term.data, r->bytes + 1);
    assert_int_equal(term.len, r->len - 1);
    assert_true(pn_term_equal(term, term));
}

static void test_rewrites(void **state)
{
    const row *r = *state;
    pn_term term = parse_ok(r->bytes, r->len);
    pn_term_writer w;
    pn_slice out;

    pn_term_writer_init(&w, 2 * r->len + 64);
    write_canonical(&w, term);
    assert_int_equal(pn_term_writer_finish(&w, &out, NULL), PN_OK);
    pn_assert_bytes(out.data, out.len, r->canonical, r->canonical_len);
    pn_term_writer_free(&w);
}

static void test_refuses_prefixes(void **state)
{
    const row *r = *state;

    for (size_t n = 0; n < r->len; n++) {
        uint8_t *part = malloc(n == 0 ? 1 : n);
        pn_term term = {0};
        pn_err err;

        assert_non_null(part);
        memcpy(part, r->bytes, n);
        err = pn_term_parse(part, n, NULL, &term, NULL);
        free(part);
        if (err != PN_MALFORMED || term.data != NULL) {
            fail_msg("the first %zu bytes: %s", n, pn_err_name(err));
        }
    }
}

static void test_refuses(void **state)
{
    const row *r = *state;
    pn_term_error error = {SIZE_MAX, NULL};
    pn_term term = {0};
    pn_err err = pn_term_parse(r->bytes, r->len, NULL, &term, &error);

    assert_int_equal(err, r->err);
    assert_null(term.data);
    assert_true(error.offset <= r->len);
    assert_non_null(error.text);
    if (r->reason != NULL) {
        assert_string_equal(error.text, r->reason);
    }
}

static row *new_row(const char *kind, const char *name, const char *what)
{
    row *r = calloc(1, sizeof(*r));
    size_t n = strlen(kind) + strlen(name) + strlen(what) + 16;

    if (r == NULL || (r->name = malloc(n)) == NULL) {
        abort();
    }
    (void)snprintf(r->name, n, "term/vectors/%s/%s %s", kind, name, what);
    r->next = all_rows;
    all_rows = r;
    return r;
}

static void free_rows(void)
{
    while (all_rows != NULL) {
        row *next = all_rows->next;

        if (all_rows->canonical != all_rows->bytes) {
            free(all_rows->canonical);
        }
        free(all_rows->bytes);
        free(all_rows->name);
        free(all_rows);
        all_rows = next;
    }
}

/* The same term as OTP 27 would write it with the same order of map pairs:
 * from OTP 25 with minor_version 2 where the recording has it. */
static const char *canonical_of(const json_t *c, const char *otp)
{
    char key[64];
    const char *hex;

    if (strcmp(otp, "hex_otp25") == 0) {
        hex = json_string_value(json_object_get(
            json_object_get(c, "other_encodings_otp25"), "minor_version_2"));
        if (hex != NULL) {
            return hex;
        }
    }
    (void)snprintf(key, sizeof(key), "%s", otp);
    return pn_json_string(c, key);
}

static bool is_opaque(const json_t *c)
{
    const char *category = pn_json_string(c, "category");

    return strcmp(category, "pid_port_ref") == 0
           || strcmp(category, "fun") == 0;
}

static void add_corpus_case(const json_t *c, const char *key)
{
    const char *name = pn_json_string(c, "name");
    row *r = new_row("corpus", name, key);

    r->bytes = pn_json_hex(c, key, &r->len);
    r->canonical = pn_unhex(canonical_of(c, key), &r->canonical_len);
    pn_test_addf(test_accepts, r, "%s accepted", r->name);
    pn_test_addf(test_refuses_prefixes, r, "%s prefixes refused", r->name);
    /* Opaque terms are copied with the tags they came with. */
    if (!is_opaque(c)) {
        pn_test_addf(test_rewrites, r, "%s written again", r->name);
    }
}

/* Two cases are too long for hexadecimal: a hash and how they begin. */
static void add_hashed_case(const json_t *c)
{
    const char *name = pn_json_string(c, "name");
    row *r = new_row("corpus", name, "by its hash");
    size_t n_head;
    uint8_t *head = pn_json_hex(c, "head_hex", &n_head);
    uint8_t want[SHA256_DIGEST_LENGTH];
    uint8_t got[SHA256_DIGEST_LENGTH];
    bool is_string = head[1] == 107;

    r->len = (size_t)json_integer_value(json_object_get(c, "len"));
    r->bytes = malloc(r->len);
    if (r->bytes == NULL) {
        abort();
    }
    memcpy(r->bytes, head, n_head);
    for (size_t i = n_head; i < r->len; i++) {
        r->bytes[i] = r->bytes[is_string ? i - 1 : i - 2];
    }
    if (!is_string) {
        r->bytes[r->len - 1] = 106;
    }
    pn_json_hex_n(c, "sha256", want, sizeof(want));
    (void)SHA256(r->bytes, r->len, got);
    if (memcmp(want, got, sizeof(want)) != 0) {
        fprintf(stderr, "%s: rebuilt wrongly\n", name);
        exit(99);
    }
    free(head);
    r->canonical = r->bytes;
    r->canonical_len = r->len;
    pn_test_addf(test_accepts, r, "%s accepted", r->name);
    pn_test_addf(test_rewrites, r, "%s written again", r->name);
}

static void add_corpus(const json_t *root)
{
    static const char *const keys[] = {"hex", "hex_otp25", "hex_otp27"};
    size_t i;
    json_t *c;

    json_array_foreach(json_object_get(root, "corpus"), i, c)
    {
        bool found = false;

        for (size_t k = 0; k < 3; k++) {
            if (json_object_get(c, keys[k]) != NULL) {
                add_corpus_case(c, keys[k]);
                found = true;
            }
        }
        if (!found) {
            add_hashed_case(c);
        }
    }
}

static void add_compressed_case(const json_t *c, const char *key)
{
    bool is_compressed = json_is_true(json_object_get(c, "is_compressed"));
    row *r = new_row("compressed", pn_json_string(c, "name"), key);

    r->bytes = pn_json_hex(c, key, &r->len);
    r->err = PN_MALFORMED;
    r->reason = "compressed terms are refused";
    pn_test_addf(is_compressed ? test_refuses : test_accepts, r, "%s %s",
        r->name, is_compressed ? "refused" : "accepted");
}

static void add_compressed(const json_t *root)
{
    static const char *const keys[] = {"hex", "hex_otp25", "hex_otp27"};
    size_t i;
    json_t *c;

    json_array_foreach(json_object_get(root, "compressed"), i, c)
    {
        for (size_t k = 0; k < 3; k++) {
            if (json_object_get(c, keys[k]) != NULL) {
                add_compressed_case(c, keys[k]);
            }
        }
    }
}

/* Terms that a BEAM takes and we refuse. */
static const struct {
    const char *name;
    const char *reason;
} stricter[] = {
    {"FLOAT_EXT text 1.5", "floats as text (FLOAT_EXT) are refused"},
    {"ATOM_INTERNAL_REF2 (73)", "references into a VM's memory are refused"},
    {"LIST_EXT length 0 + integer tail", "an empty list in the long form"},
    {"LIST_EXT length 0 + list tail", "an empty list in the long form"},
    {"BIT_BINARY bits=0, empty", "a bitstring of whole bytes"},
    {"BIT_BINARY bits=8", "a bitstring of whole bytes"},
    {"BIT_BINARY bits=3 with junk in the unused low bits",
        "a bitstring with bits after its end"},
    {"EXPORT_EXT arity as big", "an external fun without its arity"},
    {"trailing byte", "bytes after the term"},
    {"trailing after binary", "bytes after the term"},
    {"compressed ok", "compressed terms are refused"},
    {"compressed, trailing junk after zlib stream",
        "compressed terms are refused"},
};

/* Terms that [safe] refuses for an atom that is new to the VM. We have no atom
 * table. */
static const char *const only_safe[] = {
    "ATOM_EXT unknown atom (safe refuses)",
    "unknown atom nested in a map key",
};

static void add_malformed_case(const json_t *c)
{
    const char *name = pn_json_string(c, "name");
    /* One case has a verdict for each OTP. */
    const char *verdict = json_string_value(json_object_get(c, "safe"));
    row *r = new_row("malformed", name, "");

    if (verdict == NULL) {
        verdict = pn_json_string(c, "safe_otp25");
    }
    r->bytes = pn_json_hex(c, "hex", &r->len);
    r->err = PN_MALFORMED;
    r->must_accept = strncmp(verdict, "ok", 2) == 0;
    for (size_t i = 0; i < sizeof(only_safe) / sizeof(only_safe[0]); i++) {
        r->must_accept = r->must_accept || strcmp(name, only_safe[i]) == 0;
    }
    for (size_t i = 0; i < sizeof(stricter) / sizeof(stricter[0]); i++) {
        if (strcmp(name, stricter[i].name) == 0) {
            r->must_accept = false;
            r->reason = stricter[i].reason;
        }
    }
    pn_test_addf(r->must_accept ? test_accepts : test_refuses, r, "%s%s",
        r->name, r->must_accept ? "accepted" : "refused");
}

static void add_malformed(const json_t *root)
{
    size_t i;
    json_t *c;

    json_array_foreach(json_object_get(root, "malformed"), i, c)
    {
        add_malformed_case(c);
    }
}

/* ---- bombs, made from their recipes ---- */

static uint8_t *fill(uint8_t *p, size_t n, const char *unit, size_t unit_len)
{
    for (size_t i = 0; i < n; i++) {
        memcpy(p, unit, unit_len);
        p += unit_len;
    }
    return p;
}

static uint8_t *list_head(uint8_t *p, uint32_t n)
{
    *p++ = 108;
    *p++ = (uint8_t)(n >> 24);
    *p++ = (uint8_t)(n >> 16);
    *p++ = (uint8_t)(n >> 8);
    *p++ = (uint8_t)n;
    return p;
}

static uint8_t *list_of(
    uint8_t *p, uint32_t n, const char *unit, size_t unit_len)
{
    p = fill(list_head(p, n), n, unit, unit_len);
    *p++ = 106;
    return p;
}

static uint8_t *strings(uint8_t *p)
{
    p = list_head(p, 15);
    for (int i = 0; i < 15; i++) {
        p = fill(p, 1, "k\xff\xff", 3);
        memset(p, 'a', 65535);
        p += 65535;
    }
    *p++ = 106;
    return p;
}

static uint8_t *bomb_body(size_t which, uint8_t *p)
{
    switch (which) {
    case 0:
        p = fill(p, 200000, "l\0\0\0\1", 5);
        return fill(p, 200001, "j", 1);
    case 1:
        p = fill(p, 500000, "h\1", 2);
        return fill(p, 1, "a\1", 2);
    case 2:
        return fill(p, 209715, "l\0\0\0\1", 5);
    case 3:
        return list_of(p, 1048560, "j", 1);
    case 4:
        return list_of(p, 524000, "h\0", 2);
    case 5:
        return list_of(p, 200000, "t\0\0\0\0", 5);
    case 6:
        return list_of(p, 100000, "o\0\0\0\1\0\1", 7);
    case 7:
        return strings(p);
    case 8:
        /* compressed: refused at its tag, so its inside does not matter */
        return fill(p, 13048, "P\4\0\0\5", 5);
    default:
        return fill(p, 3471, "P\1\0\0\5", 5);
    }
}

static void test_bomb(void **state)
{
    const row *r = *state;

    if (r->must_accept) {
        parse_ok(r->bytes, r->len);
        return;
    }
    test_refuses(state);
}

static void add_bombs(const json_t *root)
{
    size_t i;
    json_t *c;

    json_array_foreach(json_object_get(root, "bombs"), i, c)
    {
        const char *name = pn_json_string(c, "name");
        size_t wire = (size_t)json_integer_value(
            json_object_get(c, "wire_bytes"));
        row *r = new_row("bomb", name, "");

        r->bytes = malloc(2 * 1048576);
        if (r->bytes == NULL) {
            abort();
        }
        r->bytes[0] = 131;
        r->len = (size_t)(bomb_body(i, r->bytes + 1) - r->bytes);
        if (i < 8 && r->len != wire) {
            fprintf(stderr, "%s: %zu bytes, not %zu\n", name, r->len, wire);
            exit(99);
        }
        /* The nested ones end at our depth or size; the flat ones are
         * legitimate and cost us no memory. */
        r->must_accept = i >= 3 && i <= 7;
        r->err = i < 3 ? PN_LIMIT : PN_MALFORMED;
        pn_test_addf(test_bomb, r, "%s%s", r->name,
            r->must_accept ? "accepted" : "refused");
    }
}

int main(void)
{
    json_t *root = pn_vectors("etf.json");
    int failed;

    add_corpus(root);
    add_compressed(root);
    add_malformed(root);
    add_bombs(root);
    json_decref(root);
    failed = pn_test_run("term-vectors");
    free_rows();
    return failed;
}

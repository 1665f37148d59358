/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BAD-3: frames of an authenticated peer. Each row is one plaintext, sealed by
 * a real peer, with the reaction that the session must show: deliver, answer,
 * ignore, or close as BAD_TERM or BAD_ENVELOPE.
 *
 * Where we are stricter than the original (it takes any term as an id, nonces
 * of any length, trailing bytes and compressed terms) the row says so.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "link.h"

#define A_CALL "770463616c6c"
#define A_SEND "770473656e64"
#define A_REPLY "77057265706c79"
#define A_PING "770470696e67"
#define A_PONG "7704706f6e67"
#define A_OK "77026f6b"
#define A_ERROR "77056572726f72"
#define A_ECHO "77046563686f"
#define INT_1 "6101"
#define ID_OURS "6107"
#define NONCE "6d0000000101"

typedef enum verdict {
    CALL,
    SEND,
    PONGED,
    IGNORED,
    BAD_ENVELOPE,
    BAD_TERM
} verdict;

typedef struct row {
    char *hex;
    verdict want;
    bool check_id;
    uint64_t id;  /* CALL: the id delivered */
    char *handle; /* CALL, SEND: the name delivered; NULL: not compared */
    bool to_initiator;
} row;

static void assert_verdict(end *e, const row *r, unsigned replies)
{
    assert_int_equal(e->n_calls, r->want == CALL);
    assert_int_equal(e->n_sends, r->want == SEND);
    assert_int_equal(e->n_replies, replies);
    if (r->want == BAD_ENVELOPE || r->want == BAD_TERM) {
        assert_true(pn_err_is_peer(e->err));
        assert_closed(e,
            r->want == BAD_TERM ? PN_REASON_BAD_TERM : PN_REASON_BAD_ENVELOPE);
        return;
    }
    assert_int_equal(e->err, PN_OK);
    assert_open(e);
    assert_int_equal(pn_session_queued_messages(e->s), r->want == PONGED);
    if (r->want == CALL && r->check_id) {
        assert_true(e->call_id == r->id);
    }
    if (r->handle != NULL) {
        assert_string_equal(e->handle, r->handle);
    }
}

static void test_row(void **state)
{
    const row *r = *state;
    size_t len;
    uint8_t *plain = pn_unhex(r->hex, &len);
    uint64_t now = 1000;
    end a;
    end b;
    end *from = r->to_initiator ? &b : &a;
    end *to = r->to_initiator ? &a : &b;

    link_init(&a, &b, &now);
    (void)link_inject(from, to, now, plain, len);
    assert_verdict(to, r, 0);
    free(plain);
    link_fini(&a, &b);
}

static row rows[1024];
static size_t n_rows;

static row *row_new(const char *hex, verdict want)
{
    if (n_rows == sizeof(rows) / sizeof(rows[0])) {
        abort();
    }
    rows[n_rows] = (row){.hex = strdup(hex), .want = want};
    return &rows[n_rows++];
}

static void rows_free(void)
{
    for (size_t i = 0; i < n_rows; i++) {
        free(rows[i].hex);
        free(rows[i].handle);
    }
}

static row *add(
    const char *group, const char *name, const char *hex, verdict want)
{
    row *r = row_new(hex, want);

    pn_test_addf(test_row, r, "session/bad3/%s/%s", group, name);
    return r;
}

static row *addf(const char *group, const char *name, verdict want,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

static row *addf(
    const char *group, const char *name, verdict want, const char *format, ...)
{
    static char hex[1 << 19];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(hex, sizeof(hex), format, args);
    va_end(args);
    return add(group, name, hex, want);
}

/* hex of n bytes of the same value */
static char *fill(const char *byte_hex, size_t n)
{
    char *hex = malloc(2 * n + 1);

    if (hex == NULL) {
        abort();
    }
    for (size_t i = 0; i < n; i++) {
        memcpy(hex + 2 * i, byte_hex, 2);
    }
    hex[2 * n] = '\0';
    return hex;
}

/* One small term of each kind, for places where another kind is wanted. */
typedef struct kind {
    const char *name;
    const char *hex;
} kind;

static const kind kinds[] = {
    {"small_integer", "6105"},
    {"integer", "62000003e8"},
    {"negative", "62ffffffff"},
    {"bignum", "6e0900000000000000000001"},
    {"float", "463ff8000000000000"},
    {"atom", A_OK},
    {"binary", "6d000000026869"},
    {"bitstring", "4d0000000103a0"},
    {"empty_tuple", "6800"},
    {"tuple", "68026101" INT_1},
    {"large_tuple", "69000000026101" INT_1},
    {"nil", "6a"},
    {"list", "6c0000000161016a"},
    {"improper_list", "6c0000000161016102"},
    {"string", "6b00026869"},
    {"empty_map", "7400000000"},
    {"map", "7400000001" A_CALL INT_1},
    {"pid", "5877046e6f6e6500000001000000020000002a"},
    {"port", "5977046e6f6e6500000001"
             "00000002"},
    {"reference", "5a000177046e6f6e650000000100000002"},
};
enum { N_KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static void add_top_level(void)
{
    for (size_t i = 0; i < N_KINDS; i++) {
        addf("top_level", kinds[i].name, BAD_ENVELOPE, "83%s", kinds[i].hex);
    }
}

static const kind envelope_names[] = {
    {"call", A_CALL},
    {"send", A_SEND},
    {"reply", A_REPLY},
    {"ping", A_PING},
    {"pong", A_PONG},
};

/* A good envelope's elements after its name, cut or stretched. */
static void add_arities(void)
{
    static const char *const elements[5][5] = {
        {INT_1, A_ECHO, INT_1, INT_1, INT_1},
        {A_ECHO, INT_1, INT_1, INT_1, INT_1},
        {ID_OURS, "6802" A_OK INT_1, INT_1, INT_1, INT_1},
        {NONCE, INT_1, INT_1, INT_1, INT_1},
        {NONCE, INT_1, INT_1, INT_1, INT_1},
    };
    static const unsigned right[] = {3, 2, 2, 1, 1};
    static const verdict good[] = {CALL, SEND, IGNORED, PONGED, IGNORED};

    for (unsigned e = 0; e < 5; e++) {
        for (unsigned n = 0; n <= 5; n++) {
            char body[256] = "";
            char name[32];

            for (unsigned i = 0; i < n; i++) {
                strcat(body, elements[e][i]);
            }
            (void)snprintf(
                name, sizeof(name), "%s/%u", envelope_names[e].name, n + 1);
            addf("arity", name, n == right[e] ? good[e] : BAD_ENVELOPE,
                "8368%02x%s%s", n + 1, envelope_names[e].hex, body);
            (void)snprintf(name, sizeof(name), "%s/large_%u",
                envelope_names[e].name, n + 1);
            addf("arity", name, n == right[e] ? good[e] : BAD_ENVELOPE,
                "8369%08x%s%s", n + 1, envelope_names[e].hex, body);
        }
    }
}

static void add_names(void)
{
    static const kind names[] = {
        {"Call", "770443616c6c"},
        {"CALL", "770443414c4c"},
        {"cal", "770363616c"},
        {"calls", "770563616c6c73"},
        {"call_with_nul", "770563616c6c00"},
        {"cast", "770463617374"},
        {"rpc", "7703727063"},
        {"empty", "7700"},
        {"ok", A_OK},
        {"error", A_ERROR},
        {"bogus", "7705626f677573"},
        {"nil", "77036e696c"},
    };
    static const char *const tails[] = {
        "", INT_1, INT_1 A_ECHO, INT_1 A_ECHO INT_1};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        for (unsigned n = 0; n < 4; n++) {
            char name[64];

            (void)snprintf(name, sizeof(name), "%s/%u", names[i].name, n + 1);
            addf("name", name, BAD_ENVELOPE, "8368%02x%s%s", n + 1,
                names[i].hex, tails[n]);
        }
    }
    /* The first element is no atom at all. */
    for (size_t i = 0; i < N_KINDS; i++) {
        if (strcmp(kinds[i].name, "atom") != 0) {
            addf("first", kinds[i].name, BAD_ENVELOPE, "836804%s%s",
                kinds[i].hex, INT_1 A_ECHO INT_1);
        }
    }
}

/* The four spellings of an atom that a BEAM of any release may use. */
static void add_spellings(void)
{
    static const char *const tag_names[] = {
        "atom_ext", "small_atom_ext", "atom_utf8", "small_atom_utf8"};
    static const struct {
        const char *name;
        const char *letters;
        const char *rest;
        unsigned arity;
        verdict want;
    } envelopes[] = {
        {"call", "63616c6c", INT_1 A_ECHO INT_1, 4, CALL},
        {"send", "73656e64", A_ECHO INT_1, 3, SEND},
        {"reply", "7265706c79", ID_OURS "6802" A_OK INT_1, 3, IGNORED},
        {"ping", "70696e67", NONCE, 2, PONGED},
        {"pong", "706f6e67", NONCE, 2, IGNORED},
    };

    for (size_t t = 0; t < 4; t++) {
        for (size_t e = 0; e < 5; e++) {
            char head[16];
            char name[64];

            (void)snprintf(head, sizeof(head),
                t == 0   ? "6400%02x"
                : t == 1 ? "73%02x"
                : t == 2 ? "7600%02x"
                         : "77%02x",
                (unsigned)strlen(envelopes[e].letters) / 2);
            (void)snprintf(
                name, sizeof(name), "%s/%s", envelopes[e].name, tag_names[t]);
            addf("spelling", name, envelopes[e].want, "8368%02x%s%s%s",
                envelopes[e].arity, head, envelopes[e].letters,
                envelopes[e].rest);
        }
    }
}

/* Ids: we take 1 to 2^64-1 in any spelling the BEAM has for them; the
 * original takes, and echoes, any term at all. */
static const struct {
    const char *name;
    const char *hex;
    uint64_t id; /* 0: refused */
} ids[] = {
    {"0", "6100", 0},
    {"1", "6101", 1},
    {"255", "61ff", 255},
    {"256", "6200000100", 256},
    {"1_as_integer", "6200000001", 1},
    {"0_as_integer", "6200000000", 0},
    {"2^31-1", "627fffffff", INT32_MAX},
    {"2^31", "6e040000000080", UINT64_C(1) << 31},
    {"2^32-1", "6e0400ffffffff", UINT32_MAX},
    {"2^32", "6e05000000000001", UINT64_C(1) << 32},
    {"2^63-1", "6e0800ffffffffffffff7f", INT64_MAX},
    {"2^63", "6e08000000000000000080", UINT64_C(1) << 63},
    {"2^64-1", "6e0800ffffffffffffffff", UINT64_MAX},
    {"2^64", "6e0900000000000000000001", 0},
    {"2^64+1", "6e0900010000000000000001", 0},
    {"2^128", "6e11000000000000000000000000000000000001", 0},
    {"-1", "62ffffffff", 0},
    {"-2^31", "6280000000", 0},
    {"-1_as_big", "6e010101", 0},
    {"-2^63", "6e08010000000000000080", 0},
    {"-2^64+1", "6e0801ffffffffffffffff", 0},
    {"-2^64", "6e0901000000000000000001", 0},
    {"0_as_big_empty", "6e0000", 0},
    {"0_as_big_byte", "6e010000", 0},
    {"0_as_big_9", "6e0900000000000000000000", 0},
    {"1_as_big", "6e010001", 1},
    {"1_as_big_8", "6e08000100000000000000", 1},
    {"1_as_big_9", "6e0900010000000000000000", 1},
    {"1_as_large_big", "6f000000010001", 1},
    {"2^64-1_as_large_big", "6f0000000800ffffffffffffffff", UINT64_MAX},
    {"2^64_as_large_big",
        "6f00000009000000000000000000"
        "01",
        0},
};

static void add_ids(void)
{
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        row *r = addf("call_id", ids[i].name,
            ids[i].id == 0 ? BAD_ENVELOPE : CALL,
            "836804" A_CALL "%s" A_ECHO INT_1, ids[i].hex);

        r->check_id = true;
        r->id = ids[i].id;
        addf("reply_id", ids[i].name, ids[i].id == 0 ? BAD_ENVELOPE : IGNORED,
            "836803" A_REPLY "%s6802" A_OK INT_1, ids[i].hex);
    }
    for (size_t i = 0; i < N_KINDS; i++) {
        if (strstr(kinds[i].name, "integer") == NULL) {
            addf("call_id", kinds[i].name, BAD_ENVELOPE,
                "836804" A_CALL "%s" A_ECHO INT_1, kinds[i].hex);
            addf("reply_id", kinds[i].name, BAD_ENVELOPE,
                "836803" A_REPLY "%s6802" A_OK INT_1, kinds[i].hex);
        }
    }
}

static void add_handle(
    const char *name, const char *hex, const char *handle, verdict bad)
{
    row *r = addf("call_handle", name, handle == NULL ? bad : CALL,
        "836804" A_CALL INT_1 "%s" INT_1, hex);

    r->handle = handle == NULL ? NULL : strdup(handle);
    r = addf("send_handle", name, handle == NULL ? bad : SEND,
        "836803" A_SEND "%s" INT_1, hex);
    r->handle = handle == NULL ? NULL : strdup(handle);
}

static void add_handles(void)
{
    char *a255 = fill("61", 255);
    char *high255 = fill("e9", 255);
    char *two255 = fill("c3", 510);
    char hex[2048];
    char want[1024];

    add_handle("ascii", A_ECHO, "echo", BAD_ENVELOPE);
    add_handle("ascii_latin1", "6400046563686f", "echo", BAD_ENVELOPE);
    add_handle("empty", "7700", "", BAD_ENVELOPE);
    add_handle("elixir_module", "770b456c697869722e456e756d", "Elixir.Enum",
        BAD_ENVELOPE);
    add_handle("with_newline", "7703610a62", "a\nb", BAD_ENVELOPE);
    add_handle("utf8_2_bytes", "7702c3a9", "\xc3\xa9", BAD_ENVELOPE);
    add_handle(
        "utf8_4_bytes", "7704f09f9880", "\xf0\x9f\x98\x80", BAD_ENVELOPE);
    add_handle("utf8_long_form", "760002c3a9", "\xc3\xa9", BAD_ENVELOPE);
    add_handle("latin1_high", "640001e9", "\xc3\xa9", BAD_ENVELOPE);
    add_handle("latin1_high_small", "7301e9", "\xc3\xa9", BAD_ENVELOPE);
    add_handle("latin1_mixed", "64000361e962",
        "a\xc3\xa9"
        "b",
        BAD_ENVELOPE);
    (void)snprintf(hex, sizeof(hex), "77ff%s", a255);
    memset(want, 'a', 255);
    want[255] = '\0';
    add_handle("255_letters", hex, want, BAD_ENVELOPE);
    (void)snprintf(hex, sizeof(hex), "6400ff%s", high255);
    for (size_t i = 0; i < 255; i++) {
        want[2 * i] = '\xc3';
        want[2 * i + 1] = '\xa9';
    }
    want[510] = '\0';
    add_handle("latin1_255_letters", hex, want, BAD_ENVELOPE);
    /* No atom at all: the term is bad, not only the envelope. */
    (void)snprintf(hex, sizeof(hex), "760100%s61", a255);
    add_handle("256_letters", hex, NULL, BAD_TERM);
    (void)snprintf(hex, sizeof(hex), "7601fe%s", two255);
    add_handle("bad_utf8_long", hex, NULL, BAD_TERM);
    add_handle("bad_utf8", "7701ff", NULL, BAD_TERM);
    add_handle("overlong_utf8", "7702c080", NULL, BAD_TERM);
    add_handle("surrogate_utf8", "7703eda080", NULL, BAD_TERM);
    for (size_t i = 0; i < N_KINDS; i++) {
        if (strcmp(kinds[i].name, "atom") != 0) {
            add_handle(kinds[i].name, kinds[i].hex, NULL, BAD_ENVELOPE);
        }
    }
    free(a255);
    free(high255);
    free(two255);
}

static void add_args(void)
{
    for (size_t i = 0; i < N_KINDS; i++) {
        addf("call_args", kinds[i].name, CALL,
            "836804" A_CALL INT_1 A_ECHO "%s", kinds[i].hex);
        addf("send_args", kinds[i].name, SEND, "836803" A_SEND A_ECHO "%s",
            kinds[i].hex);
    }
}

static void add_outcomes(void)
{
    static const kind good[] = {
        {"ok", "6802" A_OK INT_1},
        {"error", "6802" A_ERROR INT_1},
        {"ok_latin1", "68026400026f6b" INT_1},
        {"error_latin1", "68026400056572726f72" INT_1},
        {"ok_large_tuple", "6900000002" A_OK INT_1},
    };
    static const kind bad[] = {
        {"bare_ok", A_OK},
        {"bare_error", A_ERROR},
        {"ok_1", "6801" A_OK},
        {"error_1", "6801" A_ERROR},
        {"ok_3", "6803" A_OK INT_1 INT_1},
        {"error_3", "6803" A_ERROR INT_1 INT_1},
        {"Ok", "680277024f6b" INT_1},
        {"okay", "680277046f6b6179" INT_1},
        {"errors", "680277066572726f7273" INT_1},
        {"true", "6802770474727565" INT_1},
        {"ok_binary", "68026d000000026f6b" INT_1},
        {"ok_string", "68026b00026f6b" INT_1},
        {"ok_list", "6c00000001" A_OK "6a"},
        {"ok_cons", "6c00000001" A_OK INT_1},
        {"ok_map", "7400000001" A_OK INT_1},
        {"nested", "68026802" A_OK INT_1 INT_1},
        {"value_first", "6802" INT_1 A_OK},
    };

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        addf("reply_outcome", good[i].name, IGNORED,
            "836803" A_REPLY ID_OURS "%s", good[i].hex);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        addf("reply_outcome", bad[i].name, BAD_ENVELOPE,
            "836803" A_REPLY ID_OURS "%s", bad[i].hex);
    }
    for (size_t i = 0; i < N_KINDS; i++) {
        addf("reply_outcome", kinds[i].name, BAD_ENVELOPE,
            "836803" A_REPLY ID_OURS "%s", kinds[i].hex);
        addf("reply_value", kinds[i].name, IGNORED,
            "836803" A_REPLY ID_OURS "6802" A_OK "%s", kinds[i].hex);
    }
}

/* Nonces over 64 bytes close (T12); the original takes any. A pong that fits
 * no ping of ours is ignored, whatever it carries. */
static void add_nonces(void)
{
    static const size_t lengths[] = {
        0, 1, 15, 16, 17, 32, 63, 64, 65, 100, 65536, 131072};

    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        char *bytes = fill("78", lengths[i]);
        char name[32];

        (void)snprintf(name, sizeof(name), "%zu_bytes", lengths[i]);
        addf("ping_nonce", name, lengths[i] > 64 ? BAD_ENVELOPE : PONGED,
            "836802" A_PING "6d%08zx%s", lengths[i], bytes);
        addf("pong_nonce", name, IGNORED, "836802" A_PONG "6d%08zx%s",
            lengths[i], bytes);
        free(bytes);
    }
    for (size_t i = 0; i < N_KINDS; i++) {
        if (strcmp(kinds[i].name, "binary") != 0) {
            addf("ping_nonce", kinds[i].name, BAD_ENVELOPE,
                "836802" A_PING "%s", kinds[i].hex);
            addf("pong_nonce", kinds[i].name, BAD_ENVELOPE,
                "836802" A_PONG "%s", kinds[i].hex);
        }
    }
}

/* Not a term at all, or one we refuse: where it stands makes no difference. */
static void add_bad_terms(void)
{
    static const kind bad[] = {
        {"unknown_tag_0", "00"},
        {"unknown_tag_255", "ff"},
        {"atom_cache_ref", "5200"},
        {"compressed", "5000000001789c63640000"
                       "020002"},
        {"float_ext",
            "63312e353030303030303030303030303030303030303030652b303000000000"
            "00"},
        {"old_fun", "7500000000"},
        {"nan", "467ff8000000000000"},
        {"infinity", "467ff0000000000000"},
        {"bitstring_0_bits", "4d000000010001"},
        {"bitstring_9_bits", "4d000000010901"},
        {"duplicate_keys", "740000000261016101"
                           "61016102"},
        {"binary_too_long", "6d0000000a01"},
        {"binary_length_max", "6dffffffff01"},
        {"list_count_max", "6cffffffff61016a"},
        {"tuple_count_max", "69ffffffff6101"},
        {"map_count_max", "74ffffffff61016101"},
        {"string_too_long", "6bffff6162"},
        {"list_without_tail", "6c000000016101"},
        {"double_version", "836101"},
        {"empty_atom_cut", "77"},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        addf("bad_term_args", bad[i].name, BAD_TERM,
            "836804" A_CALL INT_1 A_ECHO "%s", bad[i].hex);
        addf("bad_term_value", bad[i].name, BAD_TERM,
            "836803" A_REPLY ID_OURS "6802" A_OK "%s", bad[i].hex);
        addf("bad_term_top", bad[i].name, BAD_TERM, "83%s", bad[i].hex);
    }
    add("plaintext", "version_only", "83", BAD_TERM);
    add("plaintext", "no_version", "6804" A_CALL INT_1 A_ECHO INT_1, BAD_TERM);
    add("plaintext", "version_130", "826804" A_CALL INT_1 A_ECHO INT_1,
        BAD_TERM);
    add("plaintext", "version_132", "846804" A_CALL INT_1 A_ECHO INT_1,
        BAD_TERM);
    /* The original reads the term and ignores what follows. */
    add("plaintext", "trailing_byte", "836804" A_CALL INT_1 A_ECHO INT_1 "00",
        BAD_TERM);
    add("plaintext", "two_terms",
        "836804" A_CALL INT_1 A_ECHO INT_1 "836804" A_CALL INT_1 A_ECHO INT_1,
        BAD_TERM);
    add("plaintext", "zero", "00", BAD_TERM);
}

static void add_limits(void)
{
    char *nested;
    char *big;

    /* The argument stands one deep in the envelope: 511 lists around a NIL are
     * the last that fit into 512. */
    for (unsigned depth = 510; depth <= 513; depth++) {
        char name[32];
        char *opens = malloc(depth * 10 + 1);
        char *tails = fill("6a", depth);

        opens[0] = '\0';
        for (unsigned i = 0; i < depth; i++) {
            memcpy(opens + (size_t)i * 10, "6c00000001", 11);
        }
        (void)snprintf(name, sizeof(name), "depth_%u", depth + 1);
        addf("limit", name, depth + 1 <= 512 ? CALL : BAD_TERM,
            "836804" A_CALL INT_1 A_ECHO "%s6a%s", opens, tails);
        free(opens);
        free(tails);
    }
    nested = fill("ff", 512);
    addf("limit", "bignum_512", CALL,
        "836804" A_CALL INT_1 A_ECHO "6f0000020000%s", nested);
    free(nested);
    big = fill("ff", 513);
    addf("limit", "bignum_513", BAD_TERM,
        "836804" A_CALL INT_1 A_ECHO "6f0000020100%s", big);
    free(big);
}

/* Every prefix of every good envelope is a bad term, to either role. */
static void test_prefixes(void **state)
{
    const char *hex = *state;
    size_t len;
    uint8_t *plain = pn_unhex(hex, &len);

    for (size_t n = 1; n < len; n++) {
        uint64_t now = 1000;
        end a;
        end b;

        link_init(&a, &b, &now);
        (void)link_inject(
            n % 2 == 0 ? &a : &b, n % 2 == 0 ? &b : &a, now, plain, n);
        assert_closed(n % 2 == 0 ? &b : &a, PN_REASON_BAD_TERM);
        link_fini(&a, &b);
    }
    free(plain);
}

static void add_prefixes(void)
{
    static const kind good[] = {
        {"call",
            "836804" A_CALL "6e0800ffffffffffffffff" A_ECHO "6c0000000161016a"},
        {"send", "836803" A_SEND A_ECHO "74000000016101" A_OK},
        {"reply", "836803" A_REPLY ID_OURS "6802" A_OK "6b00026869"},
        {"ping", "836802" A_PING "6d0000001001020304050607080910111213141516"},
        {"pong", "836802" A_PONG "6d0000001001020304050607080910111213141516"},
    };

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        pn_test_addf(test_prefixes, (void *)(uintptr_t)good[i].hex,
            "session/bad3/prefixes/%s", good[i].name);
    }
}

int main(void)
{
    int status;

    add_top_level();
    add_arities();
    add_names();
    add_spellings();
    add_ids();
    add_handles();
    add_args();
    add_outcomes();
    add_nonces();
    add_bad_terms();
    add_limits();
    add_prefixes();
    status = pn_test_run("session/envelopes");
    rows_free();
    return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "harness.h"
#include "trust/addresses.h"

static pn_public_key key_of(unsigned n)
{
    pn_public_key key;

    memset(key.bytes, (int)n, sizeof(key.bytes));
    return key;
}

/* ---- HOST:PORT --------------------------------------------------------- */

typedef struct text_row {
    const char *name;
    const char *text;
    bool is_plausible;
} text_row;

#define SIXTY "a23456789b123456789c123456789d123456789e123456789f123456789g"
#define NAME_252 SIXTY "." SIXTY "." SIXTY "." SIXTY ".12345678"

static const text_row TEXT_ROWS[] = {
    {"ipv4", "192.0.2.1:7100", true},
    {"name", "kitchen.local:7100", true},
    {"underscore", "my_host:1", true},
    {"single_label", "a:1", true},
    {"ipv6", "[::1]:7100", true},
    {"ipv6_zone", "[fe80::1%eth0.5]:7100", true},
    {"ipv6_mapped", "[::ffff:192.0.2.1]:65535", true},
    {"host_252_bytes", NAME_252 ":65535", true},
    {"host_253_bytes", NAME_252 "9:65535", true},
    {"host_254_bytes", NAME_252 "9a:1", false},
    {"host_254_bytes_alone", NAME_252 "9a:65535", false},
    {"zone_259_bytes", "[::%" NAME_252 "]:1", true},
    {"zone_260_bytes", "[::%" NAME_252 "]:12", false},
    {"port_1", "h:1", true},
    {"port_65535", "h:65535", true},
    {"port_0", "h:0", false},
    {"port_65536", "h:65536", false},
    {"port_99999", "h:99999", false},
    {"port_6_digits", "h:100000", false},
    {"port_leading_zero", "h:07100", false},
    {"port_sign", "h:+1", false},
    {"port_missing", "h:", false},
    {"port_space", "h:1 ", false},
    {"port_newline", "h:1\n", false},
    {"no_port", "192.0.2.1", false},
    {"no_host", ":7100", false},
    {"empty", "", false},
    {"space", "a b:1", false},
    {"newline", "a\nb:1", false},
    {"tab", "a\tb:1", false},
    {"escape", "a\033[0m:1", false},
    {"non_ascii",
        "k\xc3\xbc"
        "che:1",
        false},
    {"option_like", "-h:1", false},
    {"slash", "a/b:1", false},
    {"at_sign", "user@host:1", false},
    {"two_colons", "a:b:1", false},
    {"bare_ipv6", "::1:7100", false},
    {"bracket_open", "[::1:7100", false},
    {"bracket_empty", "[]:1", false},
    {"bracket_colon", "[:]:1", false},
    {"bracket_name", "[kitchen]:1", false},
    {"bracket_ipv4", "[192.0.2.1]:1", false},
    {"bracket_no_port", "[::1]", false},
    {"bracket_no_colon", "[::1]7100", false},
    {"bracket_zone_empty", "[fe80::1%]:1", false},
    {"bracket_zone_bad", "[fe80::1%e/0]:1", false},
};

static void test_trust_addresses_plausible(void **state)
{
    const text_row *row = *state;
    char *copy = strdup(row->text);

    assert_int_equal(pn_address_is_plausible(copy), row->is_plausible);
    free(copy);
}

/* ---- the file ---------------------------------------------------------- */

/* Three peers: one with all kinds, one by hand, one learned. */
static void fill(pn_address_list *list)
{
    static const struct {
        unsigned key;
        bool is_manual;
        const char *text;
    } rows[] = {
        {1, false, "192.0.2.1:7100"},
        {2, true, "kitchen.local:7100"},
        {1, false, "[fe80::1%eth0]:7100"},
        {3, false, "192.0.2.3:1"},
        {1, true, "192.0.2.9:7100"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const pn_public_key key = key_of(rows[i].key);
        bool is_changed = false;

        assert_int_equal(pn_address_list_add(list, &key, rows[i].text,
                             rows[i].is_manual, &is_changed),
            PN_OK);
        assert_true(is_changed);
    }
}

static void assert_same(const pn_address_list *a, const pn_address_list *b)
{
    assert_int_equal(a->n_entries, b->n_entries);
    for (size_t i = 0; i < a->n_entries; i++) {
        assert_true(pn_key_equal(&a->entries[i].key, &b->entries[i].key));
        assert_int_equal(a->entries[i].is_manual, b->entries[i].is_manual);
        assert_string_equal(a->entries[i].text, b->entries[i].text);
    }
}

static pn_err read_exact(
    const void *data, size_t len, size_t max, pn_address_list *list)
{
    uint8_t *copy = malloc(len == 0 ? 1 : len);
    const char *why = NULL;
    pn_err err;

    assert_non_null(copy);
    memcpy(copy, data, len);
    err = pn_address_list_read(copy, len, max, list, &why);
    if (err != PN_OK) {
        assert_int_equal(err, PN_CORRUPT);
        assert_non_null(why);
    }
    free(copy);
    return err;
}

static void test_trust_addresses_write_read(void **state)
{
    pn_address_list list = {0};
    pn_address_list again = {0};
    pn_buf b = {0};

    (void)state;
    assert_int_equal(pn_address_list_write(&list, &b), PN_OK);
    assert_int_equal(read_exact(b.data, b.len, 0, &again), PN_OK);
    assert_int_equal(again.n_entries, 0);
    pn_buf_consume(&b, b.len);
    fill(&list);
    assert_int_equal(pn_address_list_write(&list, &b), PN_OK);
    assert_int_equal(read_exact(b.data, b.len, 5, &again), PN_OK);
    assert_same(&list, &again);
    pn_address_list_fini(&list);
    pn_address_list_fini(&again);
    pn_buf_fini(&b);
}

/* The format is a promise to later versions: to the letter. */
static void test_trust_addresses_exact_text(void **state)
{
    static const char want[] =
        "peernet addresses 1\n"
        "manual AEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQ "
        "192.0.2.9:7100\n"
        "learned AEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQ "
        "[fe80::1%eth0]:7100\n"
        "learned AEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQ "
        "192.0.2.1:7100\n"
        "manual AIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBA "
        "kitchen.local:7100\n"
        "learned AMBQGAYDAMBQGAYDAMBQGAYDAMBQGAYDAMBQGAYDAMBQGAYDAMBQ "
        "192.0.2.3:1\n"
        "sha256 ";
    pn_address_list list = {0};
    pn_buf b = {0};

    (void)state;
    fill(&list);
    assert_int_equal(pn_address_list_write(&list, &b), PN_OK);
    assert_int_equal(b.len, sizeof(want) - 1 + 64 + 1);
    assert_memory_equal(b.data, want, sizeof(want) - 1);
    pn_address_list_fini(&list);
    pn_buf_fini(&b);
}

static void test_trust_addresses_every_prefix(void **state)
{
    pn_address_list list = {0};
    pn_address_list none = {0};
    pn_buf b = {0};

    (void)state;
    fill(&list);
    assert_int_equal(pn_address_list_write(&list, &b), PN_OK);
    for (size_t n = 0; n < b.len; n++) {
        assert_int_equal(read_exact(b.data, n, 100, &none), PN_CORRUPT);
        assert_null(none.entries);
    }
    pn_address_list_fini(&list);
    pn_buf_fini(&b);
}

static void test_trust_addresses_every_bit(void **state)
{
    pn_address_list list = {0};
    pn_address_list none = {0};
    pn_buf b = {0};

    (void)state;
    fill(&list);
    assert_int_equal(pn_address_list_write(&list, &b), PN_OK);
    for (size_t bit = 0; bit < 8 * b.len; bit++) {
        b.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(read_exact(b.data, b.len, 100, &none), PN_CORRUPT);
        b.data[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    pn_address_list_fini(&list);
    pn_buf_fini(&b);
}

#define KEY1 "AEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQ"
#define KEY2 "AIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBA"
#define HEAD "peernet addresses 1\n"

typedef struct file_row {
    const char *name;
    const char *body; /* a checksum that fits is put behind it */
    bool is_taken;
} file_row;

static const file_row FILE_ROWS[] = {
    {"heading_only", HEAD, true},
    {"one", HEAD "manual " KEY1 " h:1\n", true},
    {"four_of_one_peer",
        HEAD "manual " KEY1 " h:1\nlearned " KEY1 " h:2\nlearned " KEY1
             " h:3\nlearned " KEY1 " h:4\n",
        true},
    {"five_of_one_peer",
        HEAD "manual " KEY1 " h:1\nlearned " KEY1 " h:2\nlearned " KEY1
             " h:3\nlearned " KEY1 " h:4\nlearned " KEY1 " h:5\n",
        false},
    {"two_by_hand", HEAD "manual " KEY1 " h:1\nmanual " KEY1 " h:2\n", false},
    {"by_hand_second", HEAD "learned " KEY1 " h:1\nmanual " KEY1 " h:2\n",
        false},
    {"two_peers", HEAD "learned " KEY1 " h:1\nmanual " KEY2 " h:2\n", true},
    {"nothing", "", false},
    {"version_2", "peernet addresses 2\n", false},
    {"no_heading", "manual " KEY1 " h:1\n", false},
    {"kind_unknown", HEAD "guessed " KEY1 " h:1\n", false},
    {"kind_upper_case", HEAD "Manual " KEY1 " h:1\n", false},
    {"key_lower_case",
        HEAD "manual aeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaq "
             "h:1\n",
        false},
    {"key_short",
        HEAD "manual "
             "AEAQ"
             " h:1\n",
        false},
    {"key_bad_letter",
        HEAD "manual 1EAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQ "
             "h:1\n",
        false},
    {"key_trailing_bits",
        HEAD "manual AEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAQCAIBAEAR "
             "h:1\n",
        false},
    {"address_bad", HEAD "manual " KEY1 " h:0\n", false},
    {"address_missing", HEAD "manual " KEY1 " \n", false},
    {"address_longest", HEAD "manual " KEY1 " " NAME_252 "9:65535\n", true},
    {"address_too_long", HEAD "manual " KEY1 " " NAME_252 "9a:1\n", false},
    {"two_spaces", HEAD "manual " KEY1 "  h:1\n", false},
    {"crlf", HEAD "manual " KEY1 " h:1\r\n", false},
    {"empty_line", HEAD "\n", false},
    {"no_newline", HEAD "manual " KEY1 " h:1", false},
};

static void test_trust_addresses_file(void **state)
{
    const file_row *row = *state;
    const size_t len = strlen(row->body);
    uint8_t hash[PN_HASH_LEN];
    char text[2048];
    size_t used;
    pn_address_list list = {0};

    assert_int_equal(pn_sha256(hash, row->body, len, NULL, 0), PN_OK);
    used = (size_t)snprintf(text, sizeof(text), "%ssha256 ", row->body);
    for (size_t i = 0; i < sizeof(hash); i++) {
        used += (size_t)snprintf(
            text + used, sizeof(text) - used, "%02x", hash[i]);
    }
    text[used++] = '\n';
    assert_int_equal(
        read_exact(text, used, 100, &list), row->is_taken ? PN_OK : PN_CORRUPT);
    pn_address_list_fini(&list);
    if (row->is_taken) {
        text[used] = 'x';
        assert_int_equal(read_exact(text, used + 1, 100, &list), PN_CORRUPT);
    }
}

/* A NUL inside an address would make two texts of one line. */
static void test_trust_addresses_nul(void **state)
{
    static const char body[] = HEAD "manual " KEY1 " h:1\0x\nsha256 ";
    uint8_t hash[PN_HASH_LEN];
    char text[512];
    size_t used = sizeof(body) - 1;
    pn_address_list list = {0};

    (void)state;
    assert_int_equal(pn_sha256(hash, body, used - 7, NULL, 0), PN_OK);
    memcpy(text, body, used);
    for (size_t i = 0; i < sizeof(hash); i++) {
        used += (size_t)snprintf(
            text + used, sizeof(text) - used, "%02x", hash[i]);
    }
    text[used++] = '\n';
    assert_int_equal(read_exact(text, used, 100, &list), PN_CORRUPT);
}

static void test_trust_addresses_max_entries(void **state)
{
    pn_address_list list = {0};
    pn_address_list again = {0};
    pn_buf b = {0};

    (void)state;
    fill(&list);
    assert_int_equal(pn_address_list_write(&list, &b), PN_OK);
    assert_int_equal(read_exact(b.data, b.len, 4, &again), PN_CORRUPT);
    assert_int_equal(read_exact(b.data, b.len, 5, &again), PN_OK);
    pn_address_list_fini(&again);
    assert_int_equal(read_exact(b.data, b.len, 6, &again), PN_OK);
    pn_address_list_fini(&again);
    pn_address_list_fini(&list);
    pn_buf_fini(&b);
}

/* ---- one peer's lines -------------------------------------------------- */

static void add(
    pn_address_list *list, const char *text, bool is_manual, bool want_changed)
{
    const pn_public_key key = key_of(7);
    bool is_changed = !want_changed;

    assert_int_equal(
        pn_address_list_add(list, &key, text, is_manual, &is_changed), PN_OK);
    assert_int_equal(is_changed, want_changed);
}

static void assert_of(const pn_address_list *list, const char *want)
{
    const pn_public_key key = key_of(7);
    pn_peer_address found[PN_ADDRESSES_PER_PEER];
    const size_t n = pn_address_list_of(list, &key, found);
    char got[256] = "";

    for (size_t i = 0; i < n; i++) {
        size_t used = strlen(got);

        (void)snprintf(got + used, sizeof(got) - used, "%s%s%s",
            i > 0 ? " " : "", found[i].is_manual ? "!" : "", found[i].text);
    }
    assert_string_equal(got, want);
}

static void test_trust_addresses_order(void **state)
{
    const pn_public_key key = key_of(7);
    pn_address_list list = {0};

    (void)state;
    fill(&list);
    assert_of(&list, "");
    add(&list, "a:1", false, true);
    add(&list, "a:1", false, false);
    add(&list, "a:2", false, true);
    assert_of(&list, "a:2 a:1");
    add(&list, "a:1", false, true);
    assert_of(&list, "a:1 a:2");
    add(&list, "m:1", true, true);
    add(&list, "m:1", true, false);
    add(&list, "m:1", false, false);
    add(&list, "a:3", false, true);
    assert_of(&list, "!m:1 a:3 a:1 a:2");
    add(&list, "a:4", false, true);
    assert_of(&list, "!m:1 a:4 a:3 a:1");
    /* A learned one given by hand becomes the one by hand. */
    add(&list, "a:3", true, true);
    assert_of(&list, "!a:3 a:4 a:1");
    add(&list, "m:2", true, true);
    assert_of(&list, "!m:2 a:4 a:1");
    assert_true(pn_address_list_remove(&list, &key));
    assert_false(pn_address_list_remove(&list, &key));
    assert_of(&list, "");
    assert_int_equal(list.n_entries, 5);
    pn_address_list_fini(&list);
}

static void test_trust_addresses_at_most_four(void **state)
{
    pn_address_list list = {0};
    char text[32];

    (void)state;
    for (unsigned i = 1; i <= 20; i++) {
        (void)snprintf(text, sizeof(text), "a:%u", i);
        add(&list, text, false, true);
        assert_int_equal(list.n_entries, i < 4 ? i : 4);
    }
    assert_of(&list, "a:20 a:19 a:18 a:17");
    add(&list, "m:1", true, true);
    assert_of(&list, "!m:1 a:20 a:19 a:18");
    pn_address_list_fini(&list);
}

/* Many peers, added and removed in a drawn order, against a plain model. */
static void test_trust_addresses_like_a_model(void **state)
{
    enum { PEERS = 40 };
    bool has[PEERS] = {false};
    pn_address_list list = {0};
    uint64_t seed = 3;

    (void)state;
    for (unsigned step = 0; step < 4000; step++) {
        const unsigned i = (unsigned)(pn_test_random(&seed) % PEERS);
        const pn_public_key key = key_of(i);
        bool is_changed;
        size_t n_want = 0;

        if (pn_test_random(&seed) % 2 == 0) {
            assert_int_equal(
                pn_address_list_add(&list, &key, "h:1", false, &is_changed),
                PN_OK);
            assert_int_equal(is_changed, !has[i]);
            has[i] = true;
        } else {
            assert_int_equal(pn_address_list_remove(&list, &key), has[i]);
            has[i] = false;
        }
        for (unsigned k = 0; k < PEERS; k++) {
            n_want += has[k] ? 1 : 0;
        }
        assert_int_equal(list.n_entries, n_want);
    }
    pn_address_list_fini(&list);
}

int main(void)
{
    for (size_t i = 0; i < sizeof(TEXT_ROWS) / sizeof(TEXT_ROWS[0]); i++) {
        pn_test_addf(test_trust_addresses_plausible,
            (void *)(uintptr_t)&TEXT_ROWS[i], "trust/addresses/text/%s",
            TEXT_ROWS[i].name);
    }
    for (size_t i = 0; i < sizeof(FILE_ROWS) / sizeof(FILE_ROWS[0]); i++) {
        pn_test_addf(test_trust_addresses_file,
            (void *)(uintptr_t)&FILE_ROWS[i], "trust/addresses/file/%s",
            FILE_ROWS[i].name);
    }
    pn_test_add("trust/addresses/file/nul", test_trust_addresses_nul, NULL);
    pn_test_add(
        "trust/addresses/write_read", test_trust_addresses_write_read, NULL);
    pn_test_add(
        "trust/addresses/exact_text", test_trust_addresses_exact_text, NULL);
    pn_test_add("trust/addresses/every_prefix",
        test_trust_addresses_every_prefix, NULL);
    pn_test_add(
        "trust/addresses/every_bit", test_trust_addresses_every_bit, NULL);
    pn_test_add(
        "trust/addresses/max_entries", test_trust_addresses_max_entries, NULL);
    pn_test_add("trust/addresses/order", test_trust_addresses_order, NULL);
    pn_test_add("trust/addresses/at_most_four",
        test_trust_addresses_at_most_four, NULL);
    pn_test_add("trust/addresses/like_a_model",
        test_trust_addresses_like_a_model, NULL);
    return pn_test_run("trust/addresses");
}

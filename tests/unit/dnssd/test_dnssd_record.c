/* SPDX-License-Identifier: Apache-2.0 */
/* The instance name and the TXT strings of a node: docs/PROTOCOL.md, section
 * 6.1. */
#include <string.h>

#include "harness.h"
#include "record.h"

#define KEY_TEXT "CRSUCYXDVXKUYY7IGPCCPNWDZFCYK4M7XVFBZPNYIBBWG6ODTJSA"

static pn_public_key some_key(void)
{
    pn_public_key key;

    memset(&key, 0x14, sizeof(key));
    return key;
}

static void test_name(void **state)
{
    pn_public_key key = some_key();
    char name[PN_DNSSD_NAME_CAP];
    char text[PN_BASE32_LEN + 1];

    (void)state;
    pn_dnssd_instance_name(&key, name);
    pn_key_to_base32(&key, text);
    assert_int_equal(strlen(name), 60);
    assert_memory_equal(name, "peernet-", 8);
    assert_string_equal(name + 8, text);
}

static void check_written(const char *label, int want_n)
{
    pn_public_key key = some_key();
    pn_public_key read;
    char said[PN_DNSSD_LABEL_CAP];
    AvahiStringList *txt = pn_dnssd_txt_write(&key, label);

    assert_non_null(txt);
    assert_int_equal((int)avahi_string_list_length(txt), want_n);
    assert_true(pn_dnssd_txt_read(txt, &read, said));
    assert_string_equal(said, label);
    assert_true(pn_key_equal(&key, &read));
    assert_int_equal(
        avahi_string_list_find(txt, "n") != NULL, label[0] != '\0');
    avahi_string_list_free(txt);
}

static void test_write(void **state)
{
    (void)state;
    check_written("", 2);
    check_written("kitchen", 3);
}

typedef struct txt_row {
    const char *name;
    const char *strings[4];
    bool is_node;
} txt_row;

static const txt_row rows[] = {
    {"either_order", {"pk=" KEY_TEXT, "v=1"}, true},
    {"either_case", {"PK=" KEY_TEXT, "V=1"}, true},
    {"more", {"v=1", "pk=" KEY_TEXT, "later=x"}, true},
    {"label", {"v=1", "pk=" KEY_TEXT, "n=kitchen"}, true},
    {"empty", {NULL}, false},
    {"no_version", {"pk=" KEY_TEXT}, false},
    {"version_2", {"v=2", "pk=" KEY_TEXT}, false},
    {"version_10", {"v=10", "pk=" KEY_TEXT}, false},
    {"version_without_value", {"v", "pk=" KEY_TEXT}, false},
    {"no_key", {"v=1"}, false},
    {"key_without_value", {"v=1", "pk"}, false},
    {"empty_key", {"v=1", "pk="}, false},
    {"short_key", {"v=1", "pk=CRSUCYXDVXKUYY7I"}, false},
    {"long_key", {"v=1", "pk=" KEY_TEXT "A"}, false},
    {"not_base32", {"v=1", "pk=1" KEY_TEXT}, false},
    {"hexadecimal",
        {"v=1", "pk=1414141414141414141414141414141414141414141414141414141414"
                "141414"},
        false},
};

static void test_read(void **state)
{
    const txt_row *row = *state;
    AvahiStringList *txt = NULL;
    pn_public_key want;
    pn_public_key key;
    char label[PN_DNSSD_LABEL_CAP];

    for (int i = 0; i < 4 && row->strings[i] != NULL; i++) {
        txt = avahi_string_list_add(txt, row->strings[i]);
    }
    assert_int_equal(pn_dnssd_txt_read(txt, &key, label), row->is_node);
    if (row->is_node) {
        assert_int_equal(pn_key_parse(KEY_TEXT, &want), PN_OK);
        assert_true(pn_key_equal(&want, &key));
    }
    avahi_string_list_free(txt);
}

/* The value of a TXT string may hold any byte. */
static void test_nul_inside(void **state)
{
    static const char value[] = "1\0002";
    AvahiStringList *txt = avahi_string_list_new("pk=" KEY_TEXT, NULL);
    pn_public_key key;
    char label[PN_DNSSD_LABEL_CAP];

    (void)state;
    txt = avahi_string_list_add_pair_arbitrary(
        txt, "v", (const uint8_t *)value, 3);
    assert_false(pn_dnssd_txt_read(txt, &key, label));
    avahi_string_list_free(txt);
}

#define TEN "0123456789"
#define SIXTY TEN TEN TEN TEN TEN TEN

/* The bytes of n=, and what is believed of them; "": nothing. */
typedef struct label_row {
    const char *name;
    const char *bytes;
    size_t len;
    const char *want;
} label_row;

#define ROW(name, bytes, want)                                                 \
    {                                                                          \
        name, bytes, sizeof(bytes) - 1, want                                   \
    }

static const label_row label_rows[] = {
    ROW("plain", "kitchen", "kitchen"),
    ROW("spaces", " the  kitchen ", " the  kitchen "),
    ROW("utf8",
        "K\xc3\xbc"
        "che",
        "K\xc3\xbc"
        "che"),
    ROW("equals", "a=b", "a=b"),
    ROW("64_bytes", SIXTY "1234", SIXTY "1234"),
    ROW("65_bytes", SIXTY "12345", ""),
    ROW("255_bytes", SIXTY SIXTY SIXTY SIXTY TEN "123", ""),
    ROW("empty", "", ""),
    ROW("nul_inside", "kit\0chen", ""),
    ROW("newline", "kitchen\nfound X", ""),
    ROW("escape", "\x1b[2Jkitchen", ""),
    ROW("del", "kitchen\x7f", ""),
    ROW("c1", "kitchen\xc2\x9b", ""),
    ROW("not_utf8", "kitchen\xff", ""),
    ROW("overlong", "\xc0\xaf", ""),
    ROW("cut", "K\xc3", ""),
};

/* An invalid label is left out, and the node is not. */
static void test_label(void **state)
{
    const label_row *row = *state;
    AvahiStringList *txt = avahi_string_list_new("v=1", "pk=" KEY_TEXT, NULL);
    char label[PN_DNSSD_LABEL_CAP];
    pn_public_key key;

    txt = avahi_string_list_add_pair_arbitrary(
        txt, "n", (const uint8_t *)row->bytes, row->len);
    assert_true(pn_dnssd_txt_read(txt, &key, label));
    assert_string_equal(label, row->want);
    avahi_string_list_free(txt);
}

/* "n" without a value, and no n at all. */
static void test_no_label(void **state)
{
    AvahiStringList *txt = avahi_string_list_new("v=1", "pk=" KEY_TEXT, NULL);
    char label[PN_DNSSD_LABEL_CAP] = "earlier";
    pn_public_key key;

    (void)state;
    assert_true(pn_dnssd_txt_read(txt, &key, label));
    assert_string_equal(label, "");
    txt = avahi_string_list_add(txt, "n");
    assert_true(pn_dnssd_txt_read(txt, &key, label));
    assert_string_equal(label, "");
    avahi_string_list_free(txt);
}

int main(void)
{
    pn_test_add("dnssd/record/name", test_name, NULL);
    pn_test_add("dnssd/record/write", test_write, NULL);
    pn_test_add("dnssd/record/nul_inside", test_nul_inside, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pn_test_addf(test_read, (void *)(uintptr_t)&rows[i],
            "dnssd/record/read/%s", rows[i].name);
    }
    pn_test_add("dnssd/record/no_label", test_no_label, NULL);
    for (size_t i = 0; i < sizeof(label_rows) / sizeof(label_rows[0]); i++) {
        pn_test_addf(test_label, (void *)(uintptr_t)&label_rows[i],
            "dnssd/record/label/%s", label_rows[i].name);
    }
    return pn_test_run("dnssd/record");
}

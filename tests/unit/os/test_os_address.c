/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <net/if.h>

#include "harness.h"
#include "os/address.h"

#define N_OF(table) (sizeof(table) / sizeof((table)[0]))

/* ---- reading and writing ---------------------------------------------- */

typedef struct good_row {
    const char *text;
    int default_port;
    const char *canonical;
} good_row;

static const good_row good[] = {
    {"1.2.3.4:80", -1, "1.2.3.4:80"},
    {"1.2.3.4", 7100, "1.2.3.4:7100"},
    {"1.2.3.4:0", -1, "1.2.3.4:0"},
    {"1.2.3.4:65535", -1, "1.2.3.4:65535"},
    {"0.0.0.0:1", -1, "0.0.0.0:1"},
    {"255.255.255.255:4040", -1, "255.255.255.255:4040"},
    {"1.2.3.4:00080", -1, "1.2.3.4:80"},
    {"[::1]:80", -1, "[::1]:80"},
    {"[::1]", 7100, "[::1]:7100"},
    {"::1", 7100, "[::1]:7100"},
    {"::", 0, "[::]:0"},
    {"[::]:65535", -1, "[::]:65535"},
    {"[2001:db8::1]:9", -1, "[2001:db8::1]:9"},
    {"[2001:DB8:0:0:0:0:0:1]:9", -1, "[2001:db8::1]:9"},
    {"[::ffff:1.2.3.4]:5", -1, "1.2.3.4:5"},
    {"::ffff:1.2.3.4", 5, "1.2.3.4:5"},
    {"[fe80::1%lo]:80", -1, "[fe80::1%lo]:80"},
    {"fe80::1%lo", 80, "[fe80::1%lo]:80"},
    {"[fe80::1%1]:80", -1, "[fe80::1%lo]:80"},
    {"[fe80::1%99999]:80", -1, "[fe80::1%99999]:80"},
    {"[1111:2222:3333:4444:5555:6666:7777:8888%999999999]:65535", -1,
        "[1111:2222:3333:4444:5555:6666:7777:8888%999999999]:65535"},
};

static void test_good(void **state)
{
    const good_row *row = *state;
    pn_address address;
    pn_address again;
    char text[PN_ADDRESS_TEXT_LEN];

    assert_int_equal(
        pn_address_parse(row->text, row->default_port, &address), PN_OK);
    pn_address_text(&address, text);
    assert_string_equal(text, row->canonical);
    assert_int_equal(pn_address_parse(text, -1, &again), PN_OK);
    assert_true(pn_address_equal(&address, &again));
}

typedef struct bad_row {
    const char *text;
    int default_port;
} bad_row;

static const bad_row bad[] = {
    {"", 80},
    {":", 80},
    {":80", -1},
    {"1.2.3.4", -1},
    {"1.2.3.4", 65536},
    {"1.2.3.4:", 80},
    {"1.2.3.4:65536", -1},
    {"1.2.3.4:123456", -1},
    {"1.2.3.4:000080", -1},
    {"1.2.3.4:-1", -1},
    {"1.2.3.4:+1", -1},
    {"1.2.3.4: 1", -1},
    {"1.2.3.4:1 ", -1},
    {"1.2.3.4:0x1", -1},
    {" 1.2.3.4:1", -1},
    {"1.2.3:80", -1},
    {"1.2.3.256:80", -1},
    {"01.2.3.4:80", -1},
    {"1.2.3.4.5:80", -1},
    {"16909060:80", -1},
    {"localhost:80", -1},
    {"example.org", 80},
    {"[1.2.3.4]:80", -1},
    {"[1.2.3.4]", 80},
    {"[::1]", -1},
    {"[::1]:", 80},
    {"[::1]80", -1},
    {"[::1:80", -1},
    {"::1]:80", -1},
    {"[]:80", -1},
    {"[", 80},
    {"]", 80},
    {"[::1]:80:80", -1},
    {"[::1]:65536", -1},
    {"[:::1]:80", -1},
    {"[12345::]:80", -1},
    {"[::1%]:80", -1},
    {"[fe80::1%no-such-if]:80", -1},
    {"[fe80::1%0]:80", -1},
    {"[fe80::1%1234567890]:80", -1},
    {"[fe80::1%1x]:80", -1},
    {"1.2.3.4%lo:80", -1},
    {"1.2.3.4:80\n", -1},
    {"1111111111111111111111111111111111111111111111111111111111111111", 80},
};

static void test_bad(void **state)
{
    const bad_row *row = *state;
    pn_address address;
    pn_address before;

    memset(&address, 0x5a, sizeof(address));
    before = address;
    assert_int_equal(
        pn_address_parse(row->text, row->default_port, &address), PN_INVALID);
    assert_memory_equal(&address, &before, sizeof(address));
}

/* Every prefix of an address that ends inside its host is refused. */
static void test_prefixes(void **state)
{
    static const char text[] = "[2001:db8::1]:9";
    char cut[sizeof(text)];
    pn_address address;

    (void)state;
    for (size_t n = 0; n + 1 < sizeof(text) - 1; n++) {
        memcpy(cut, text, n);
        cut[n] = '\0';
        assert_int_equal(pn_address_parse(cut, -1, &address), PN_INVALID);
    }
}

/* The longest text there can be fits exactly. */
static void test_longest_text(void **state)
{
    char text[PN_ADDRESS_TEXT_LEN + 1];
    pn_address address;

    (void)state;
    memset(text, 'x', sizeof(text));
    assert_int_equal(
        pn_address_parse(
            "[1111:2222:3333:4444:5555:6666:7777:8888]:65535", -1, &address),
        PN_OK);
    address.in6.sin6_scope_id = UINT32_MAX;
    pn_address_text(&address, text);
    assert_string_equal(
        text, "[1111:2222:3333:4444:5555:6666:7777:8888%4294967295]:65535");
    assert_int_equal(text[PN_ADDRESS_TEXT_LEN], 'x');
}

static void test_host_text(void **state)
{
    char text[PN_ADDRESS_TEXT_LEN];
    pn_address address;

    (void)state;
    assert_int_equal(pn_address_parse("[fe80::1%lo]:1", -1, &address), PN_OK);
    pn_address_host_text(&address, text);
    assert_string_equal(text, "fe80::1%lo");
    address = (pn_address){.in6 = {0}};
    pn_address_host_text(&address, text);
    assert_string_equal(text, "?");
}

/* ---- questions -------------------------------------------------------- */

typedef struct kind_row {
    const char *host;
    bool is_loopback;
    bool is_multicast;
    bool is_any;
} kind_row;

static const kind_row kinds[] = {
    {"126.255.255.255", false, false, false},
    {"127.0.0.0", true, false, false},
    {"127.0.0.1", true, false, false},
    {"127.255.255.255", true, false, false},
    {"128.0.0.0", false, false, false},
    {"223.255.255.255", false, false, false},
    {"224.0.0.0", false, true, false},
    {"239.255.255.255", false, true, false},
    {"240.0.0.0", false, false, false},
    {"255.255.255.255", false, false, false},
    {"0.0.0.0", false, false, true},
    {"0.0.0.1", false, false, false},
    {"192.168.1.1", false, false, false},
    {"::", false, false, true},
    {"::1", true, false, false},
    {"::2", false, false, false},
    {"ff02::1", false, true, false},
    {"ff00::", false, true, false},
    {"feff::", false, false, false},
    {"fe80::1", false, false, false},
    {"::ffff:127.0.0.1", true, false, false},
    {"::ffff:224.0.0.1", false, true, false},
    {"::ffff:0.0.0.0", false, false, true},
    {"::ffff:10.0.0.1", false, false, false},
};

static void test_kind(void **state)
{
    const kind_row *row = *state;
    pn_address address;

    assert_int_equal(pn_address_parse(row->host, 80, &address), PN_OK);
    assert_int_equal(pn_address_is_loopback(&address), row->is_loopback);
    assert_int_equal(pn_address_is_multicast(&address), row->is_multicast);
    assert_int_equal(pn_address_is_any(&address), row->is_any);
}

typedef struct pair_row {
    const char *a;
    const char *b;
    bool same_host;
    bool equal;
    bool same_source;
} pair_row;

static const pair_row pairs[] = {
    {"1.2.3.4:5", "1.2.3.4:5", true, true, true},
    {"1.2.3.4:5", "1.2.3.4:6", true, false, true},
    {"1.2.3.4:5", "1.2.3.5:5", false, false, false},
    {"1.2.3.4:5", "[::ffff:1.2.3.4]:5", true, true, true},
    {"[::1]:5", "[::1]:5", true, true, true},
    {"[2001:db8::1]:5", "[2001:db8::2]:5", false, false, true},
    {"[2001:db8:0:1::1]:5", "[2001:db8:0:2::1]:5", false, false, false},
    {"[fe80::1%1]:5", "[fe80::1%2]:5", false, false, true},
    {"[::1]:5", "127.0.0.1:5", false, false, false},
    {"[::102:304]:5", "1.2.3.4:5", false, false, false},
};

static void test_pair(void **state)
{
    const pair_row *row = *state;
    pn_address a;
    pn_address b;

    assert_int_equal(pn_address_parse(row->a, -1, &a), PN_OK);
    assert_int_equal(pn_address_parse(row->b, -1, &b), PN_OK);
    assert_int_equal(pn_address_same_host(&a, &b), row->same_host);
    assert_int_equal(pn_address_same_host(&b, &a), row->same_host);
    assert_int_equal(pn_address_equal(&a, &b), row->equal);
    assert_int_equal(
        pn_address_source(&a) == pn_address_source(&b), row->same_source);
}

static void test_unmap(void **state)
{
    pn_address address;

    (void)state;
    assert_int_equal(
        pn_address_parse("[::ffff:1.2.3.4]:5", -1, &address), PN_OK);
    assert_int_equal(address.any.sa_family, AF_INET6);
    pn_address_unmap(&address);
    assert_int_equal(address.any.sa_family, AF_INET);
    assert_int_equal(pn_address_port(&address), 5);
    assert_int_equal(pn_address_len(&address), sizeof(struct sockaddr_in));
    pn_address_set_port(&address, 6);
    assert_int_equal(pn_address_port(&address), 6);
}

int main(void)
{
    static good_row good_rows[N_OF(good)];
    static bad_row bad_rows[N_OF(bad)];
    static kind_row kind_rows[N_OF(kinds)];
    static pair_row pair_rows[N_OF(pairs)];

    memcpy(good_rows, good, sizeof(good));
    memcpy(bad_rows, bad, sizeof(bad));
    memcpy(kind_rows, kinds, sizeof(kinds));
    memcpy(pair_rows, pairs, sizeof(pairs));
    for (size_t i = 0; i < N_OF(good); i++) {
        pn_test_addf(
            test_good, &good_rows[i], "os/address/reads %s", good[i].text);
    }
    for (size_t i = 0; i < N_OF(bad); i++) {
        pn_test_addf(test_bad, &bad_rows[i], "os/address/refuses \"%s\" %d",
            bad[i].text, bad[i].default_port);
    }
    for (size_t i = 0; i < N_OF(kinds); i++) {
        pn_test_addf(
            test_kind, &kind_rows[i], "os/address/kind of %s", kinds[i].host);
    }
    for (size_t i = 0; i < N_OF(pairs); i++) {
        pn_test_addf(test_pair, &pair_rows[i], "os/address/compares %s %s",
            pairs[i].a, pairs[i].b);
    }
    pn_test_add("os/address/prefixes", test_prefixes, NULL);
    pn_test_add("os/address/longest_text", test_longest_text, NULL);
    pn_test_add("os/address/host_text", test_host_text, NULL);
    pn_test_add("os/address/unmap", test_unmap, NULL);
    return pn_test_run("os/address");
}

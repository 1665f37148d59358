/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each rule of docs/THREATS.md, T15, that a datagram can break is a row, and
 * each limit of a rule has one on either side.
 */
#include <string.h>

#include "discovery/heard.h"
#include "harness.h"

#define N_OF(table) (sizeof(table) / sizeof((table)[0]))

/* A host with two networks, one that is down, one without a netmask, IPv6. */
typedef struct link_row {
    const char *address;
    const char *netmask;
    unsigned index;
    bool is_up;
} link_row;

static const link_row links[] = {
    {"127.0.0.1", "255.0.0.0", 1, true},
    {"192.0.2.10", "255.255.255.0", 2, true},
    {"198.51.100.130", "255.255.255.128", 3, true},
    {"203.0.113.5", "255.255.255.0", 4, false},
    {"10.9.9.9", "0.0.0.0", 5, true},
    {"fd00:1::10", "ffff:ffff:ffff:ffff::", 2, true},
};

static pn_interface interfaces[N_OF(links)];

static pn_address host(const char *text)
{
    pn_address address;

    assert_int_equal(pn_address_parse(text, 0, &address), PN_OK);
    return address;
}

static void make_interfaces(void)
{
    for (size_t i = 0; i < N_OF(links); i++) {
        interfaces[i] = (pn_interface){.name = "if",
            .index = links[i].index,
            .is_up = links[i].is_up,
            .is_loopback = i == 0,
            .address = host(links[i].address),
            .netmask = host(links[i].netmask)};
    }
}

typedef struct source_row {
    const char *from;
    unsigned index;
    bool is_loopback; /* the discovery address is one */
    pn_heard want;
    const char *why;
} source_row;

static const source_row sources[] = {
    {"192.0.2.1", 2, false, PN_HEARD_FOUND, "neighbour"},
    {"192.0.2.0", 2, false, PN_HEARD_FOUND, "first of the network"},
    {"192.0.2.255", 2, false, PN_HEARD_FOUND, "last of the network"},
    {"192.0.1.255", 2, false, PN_HEARD_OFF_LINK, "one before it"},
    {"192.0.3.0", 2, false, PN_HEARD_OFF_LINK, "one after it"},
    {"198.51.100.128", 3, false, PN_HEARD_FOUND, "first of a half network"},
    {"198.51.100.127", 3, false, PN_HEARD_OFF_LINK, "one before it"},
    {"8.8.8.8", 2, false, PN_HEARD_OFF_LINK, "far away"},
    {"0.0.0.0", 2, false, PN_HEARD_OFF_LINK, "no address"},
    {"255.255.255.255", 2, false, PN_HEARD_OFF_LINK, "broadcast as source"},
    {"192.0.2.1", 3, false, PN_HEARD_OFF_LINK, "neighbour by the other side"},
    {"192.0.2.1", 9, false, PN_HEARD_OFF_LINK, "unknown interface"},
    {"192.0.2.1", 0, false, PN_HEARD_FOUND, "interface not told"},
    {"192.0.2.10", 2, false, PN_HEARD_FOUND, "another node on this host"},
    {"192.0.2.10", 1, false, PN_HEARD_FOUND, "this host, come back by lo"},
    {"203.0.113.9", 4, false, PN_HEARD_OFF_LINK, "interface is down"},
    {"10.1.1.1", 5, false, PN_HEARD_OFF_LINK, "interface without netmask"},
    {"224.0.0.1", 2, false, PN_HEARD_BAD_SOURCE, "first multicast"},
    {"239.255.255.255", 2, false, PN_HEARD_BAD_SOURCE, "last multicast"},
    {"223.255.255.255", 2, false, PN_HEARD_OFF_LINK, "one before multicast"},
    {"240.0.0.0", 2, false, PN_HEARD_OFF_LINK, "one after multicast"},
    {"224.0.0.1", 1, true, PN_HEARD_BAD_SOURCE, "multicast, loopback mode"},
    {"127.0.0.1", 1, false, PN_HEARD_BAD_SOURCE, "loopback"},
    {"127.255.255.254", 2, false, PN_HEARD_BAD_SOURCE, "any loopback"},
    {"127.0.0.1", 1, true, PN_HEARD_FOUND, "loopback, loopback mode"},
    {"127.0.0.99", 1, true, PN_HEARD_FOUND, "any loopback, loopback mode"},
    {"192.0.2.1", 2, true, PN_HEARD_BAD_SOURCE, "LAN, loopback mode"},
    {"fd00:1::1", 2, false, PN_HEARD_FOUND, "IPv6 neighbour"},
    {"fd00:2::1", 2, false, PN_HEARD_OFF_LINK, "IPv6, another network"},
    {"ff02::1", 2, false, PN_HEARD_BAD_SOURCE, "IPv6 multicast"},
    {"::1", 1, false, PN_HEARD_BAD_SOURCE, "IPv6 loopback"},
    {"::ffff:192.0.2.1", 2, false, PN_HEARD_FOUND, "mapped neighbour"},
    {"::ffff:127.0.0.1", 2, false, PN_HEARD_BAD_SOURCE, "mapped loopback"},
};

static const pn_announce good = {.port = 7100, .key = {.bytes = {1, 2, 3, 4}}};

static pn_heard_rules rules_of(bool is_loopback)
{
    return (pn_heard_rules){.own_key = {.bytes = {9, 9}},
        .min_port = 1024,
        .is_loopback = is_loopback,
        .is_lan = !is_loopback};
}

static void test_source(void **state)
{
    const source_row *row = *state;
    pn_heard_rules rules = rules_of(row->is_loopback);
    pn_address from = host(row->from);
    uint8_t data[PN_ANNOUNCE_LEN];
    pn_announce got = {0};

    pn_announce_write(&good, data);
    assert_int_equal(pn_heard_judge(&rules, interfaces, N_OF(links), row->index,
                         &from, data, sizeof(data), &got),
        row->want);
    if (row->want == PN_HEARD_FOUND) {
        assert_int_equal(got.port, good.port);
        assert_memory_equal(&got.key, &good.key, sizeof(got.key));
    } else {
        assert_int_equal(got.port, 0);
    }
}

/* A host that the owner has named is heeded from another network; no other is,
 * and the other checks hold. */
static void test_listed(void **state)
{
    pn_address listed[] = {host("203.0.113.7"), host("127.0.0.1")};
    pn_heard_rules rules = rules_of(false);
    uint8_t data[PN_ANNOUNCE_LEN];
    pn_announce got;
    static const struct {
        const char *from;
        pn_heard want;
    } rows[] = {
        {"203.0.113.7", PN_HEARD_FOUND},
        {"::ffff:203.0.113.7", PN_HEARD_FOUND},
        {"203.0.113.8", PN_HEARD_OFF_LINK},
        {"127.0.0.1", PN_HEARD_BAD_SOURCE},
    };

    (void)state;
    rules.listed = listed;
    rules.n_listed = N_OF(listed);
    pn_announce_write(&good, data);
    for (size_t i = 0; i < N_OF(rows); i++) {
        pn_address from = host(rows[i].from);

        assert_int_equal(pn_heard_judge(&rules, interfaces, N_OF(links), 2,
                             &from, data, sizeof(data), &got),
            rows[i].want);
        rules.n_listed = 0;
        assert_int_not_equal(pn_heard_judge(&rules, interfaces, N_OF(links), 2,
                                 &from, data, sizeof(data), &got),
            PN_HEARD_FOUND);
        rules.n_listed = N_OF(listed);
    }
}

/* Without a list of interfaces no address is on a local network. */
static void test_no_interfaces(void **state)
{
    pn_heard_rules rules = rules_of(false);
    pn_address from = host("192.0.2.1");
    uint8_t data[PN_ANNOUNCE_LEN];
    pn_announce got;

    (void)state;
    pn_announce_write(&good, data);
    assert_int_equal(
        pn_heard_judge(&rules, NULL, 0, 2, &from, data, sizeof(data), &got),
        PN_HEARD_OFF_LINK);
}

typedef struct port_row {
    uint16_t port;
    uint16_t min_port;
    pn_heard want;
} port_row;

static const port_row ports[] = {
    {0, 1024, PN_HEARD_MALFORMED},
    {1, 1024, PN_HEARD_LOW_PORT},
    {22, 1024, PN_HEARD_LOW_PORT},
    {1023, 1024, PN_HEARD_LOW_PORT},
    {1024, 1024, PN_HEARD_FOUND},
    {1025, 1024, PN_HEARD_FOUND},
    {65535, 1024, PN_HEARD_FOUND},
    {1, 1, PN_HEARD_FOUND},
    {0, 0, PN_HEARD_MALFORMED},
    {65534, 65535, PN_HEARD_LOW_PORT},
    {65535, 65535, PN_HEARD_FOUND},
};

static pn_heard judge(
    const pn_heard_rules *rules, const uint8_t *data, size_t len)
{
    pn_address from = host("192.0.2.1");
    pn_announce got;

    return pn_heard_judge(
        rules, interfaces, N_OF(links), 2, &from, data, len, &got);
}

static void test_port(void **state)
{
    const port_row *row = *state;
    pn_heard_rules rules = rules_of(false);
    pn_announce a = good;
    uint8_t data[PN_ANNOUNCE_LEN];

    rules.min_port = row->min_port;
    a.port = row->port;
    pn_announce_write(&a, data);
    assert_int_equal(judge(&rules, data, sizeof(data)), row->want);
}

static void test_own_key(void **state)
{
    pn_heard_rules rules = rules_of(false);
    uint8_t data[PN_ANNOUNCE_LEN];

    (void)state;
    rules.own_key = good.key;
    pn_announce_write(&good, data);
    assert_int_equal(judge(&rules, data, sizeof(data)), PN_HEARD_OWN_KEY);
    rules.own_key.bytes[31] ^= 1; /* any other key is another's */
    assert_int_equal(judge(&rules, data, sizeof(data)), PN_HEARD_FOUND);
}

/* Every length but 39 is refused, longer ones too. */
static void test_lengths(void **state)
{
    pn_heard_rules rules = rules_of(false);
    uint8_t data[2048] = {0};

    (void)state;
    pn_announce_write(&good, data);
    for (size_t len = 0; len <= sizeof(data); len++) {
        assert_int_equal(judge(&rules, data, len),
            len == PN_ANNOUNCE_LEN ? PN_HEARD_FOUND : PN_HEARD_MALFORMED);
    }
}

/* Every single bit of magic and version matters. */
static void test_head_bits(void **state)
{
    pn_heard_rules rules = rules_of(false);
    uint8_t data[PN_ANNOUNCE_LEN];

    (void)state;
    for (unsigned bit = 0; bit < 5 * 8; bit++) {
        pn_announce_write(&good, data);
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(judge(&rules, data, sizeof(data)), PN_HEARD_MALFORMED);
    }
}

int main(void)
{
    static source_row source_rows[N_OF(sources)];
    static port_row port_rows[N_OF(ports)];

    memcpy(source_rows, sources, sizeof(sources));
    memcpy(port_rows, ports, sizeof(ports));
    make_interfaces();
    for (size_t i = 0; i < N_OF(sources); i++) {
        pn_test_addf(test_source, &source_rows[i],
            "discovery/heard/T15 source %s by %u: %s", sources[i].from,
            sources[i].index, sources[i].why);
    }
    for (size_t i = 0; i < N_OF(ports); i++) {
        pn_test_addf(test_port, &port_rows[i],
            "discovery/heard/T15 port %u, lowest %u", ports[i].port,
            ports[i].min_port);
    }
    pn_test_add("discovery/heard/T15 own key", test_own_key, NULL);
    pn_test_add("discovery/heard/T15 lengths", test_lengths, NULL);
    pn_test_add("discovery/heard/T15 magic and version", test_head_bits, NULL);
    pn_test_add("discovery/heard/T15 listed", test_listed, NULL);
    pn_test_add("discovery/heard/T15 no interfaces", test_no_interfaces, NULL);
    return pn_test_run("discovery/heard");
}

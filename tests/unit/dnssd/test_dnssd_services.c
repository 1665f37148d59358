/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of services: each limit on either side, and what is reported of
 * addresses that come, go, and are shown twice. The backend is the test; what
 * it is told is a text.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "services.h"

/* What the backend has open, and what was reported since it was last read. */
typedef struct world {
    pn_dnssd_services *services;
    pn_dnssd_service *last; /* asked to be resolved last */
    size_t n_open;
    size_t n_resolves;
    size_t n_watches;
    uint64_t now_ms;
    pn_dnssd_service *asked[300]; /* at least once, and not released */
    size_t n_asked;
    bool has_label; /* told last */
    char log[4096];
} world;

static void note(
    world *w, const char *what, const pn_public_key *key, const char *address)
{
    size_t len = strlen(w->log);

    (void)snprintf(w->log + len, sizeof(w->log) - len, "%s%s %u %s",
        len > 0 ? ", " : "", what, key->bytes[0], address);
}

static void on_found(void *user, const pn_public_key *key, const char *address)
{
    note(user, "found", key, address);
}

static void on_lost(void *user, const pn_public_key *key, const char *address)
{
    note(user, "lost", key, address);
}

/* In the log when there is one, and when it has gone. */
static void on_labelled(void *user, const pn_public_key *key,
    const char *address, const char *label)
{
    world *w = user;
    char text[80];

    if (label[0] != '\0' || w->has_label) {
        (void)snprintf(text, sizeof(text), "\"%s\"", label);
        note(w, text, key, address);
    }
    w->has_label = label[0] != '\0';
}

static const pn_dnssd_reports reports = {
    .found = on_found, .lost = on_lost, .labelled = on_labelled};

static void on_resolve(void *user, pn_dnssd_service *service)
{
    world *w = user;

    w->last = service;
    w->n_open++;
    w->n_resolves++;
    service->resolver = w;
    if (service->n_tries == 1) {
        w->asked[w->n_asked++] = service;
    }
}

static void on_watch(void *user, pn_dnssd_service *service)
{
    world *w = user;

    service->watches[0] = w;
    service->watches[1] = w;
    w->n_watches++;
}

static void on_release(void *user, pn_dnssd_service *service)
{
    world *w = user;

    w->n_open -= service->resolver != NULL ? 1 : 0;
    service->resolver = NULL;
    for (size_t i = 0; i < w->n_asked; i++) {
        if (w->asked[i] == service) {
            w->asked[i] = w->asked[--w->n_asked];
        }
    }
}

static const pn_dnssd_backend backend = {
    .resolve = on_resolve, .watch = on_watch, .release = on_release};

static pn_address host(const char *text)
{
    pn_address address;

    assert_int_equal(pn_address_parse(text, 0, &address), PN_OK);
    return address;
}

static pn_interface interface(
    unsigned index, const char *address, const char *netmask)
{
    return (pn_interface){.name = "if",
        .index = index,
        .is_up = true,
        .address = host(address),
        .netmask = host(netmask)};
}

static pn_public_key key_of(uint8_t byte)
{
    pn_public_key key;

    memset(&key, byte, sizeof(key));
    return key;
}

/* A host on two networks: interfaces 2 and 3. */
static void set_interfaces(world *w)
{
    const pn_interface list[] = {
        interface(2, "192.0.2.10", "255.255.255.0"),
        interface(2, "fd00:1::10", "ffff:ffff:ffff:ffff::"),
        interface(3, "198.51.100.10", "255.255.255.0"),
    };

    pn_dnssd_services_set_interfaces(
        w->services, list, sizeof(list) / sizeof(list[0]));
}

static void world_open(world *w, uint32_t max_services, uint32_t max_addresses)
{
    pn_dnssd_services_config config = {.max_services = max_services,
        .max_addresses = max_addresses,
        .min_port = 1024,
        .reports = &reports,
        .reports_user = w};

    memset(w, 0, sizeof(*w));
    assert_int_equal(pn_dnssd_services_new(&config, &w->services), PN_OK);
    pn_dnssd_services_set_backend(w->services, &backend, w);
    set_interfaces(w);
}

static void world_close(world *w)
{
    pn_dnssd_services_free(w->services);
    assert_int_equal(w->n_open, 0);
}

/* The reports since the last call. */
static void expect_log(world *w, const char *want)
{
    assert_string_equal(w->log, want);
    w->log[0] = '\0';
}

/* Lets time pass, in which every service that is due may be resolved. */
static void step(world *w)
{
    w->now_ms += 60000;
    assert_int_equal(
        pn_dnssd_services_step(w->services, w->now_ms), UINT64_MAX);
}

static void see(world *w, unsigned index, int protocol, const char *name)
{
    pn_dnssd_services_add(w->services, index, protocol, name);
    step(w);
}

/* A service that is seen and resolved. */
static pn_dnssd_service *add(
    world *w, unsigned index, const char *name, uint8_t key, uint16_t port)
{
    pn_public_key k = key_of(key);

    see(w, index, 0, name);
    pn_dnssd_services_resolved(w->last, "host.local", port, &k);
    return w->last;
}

static void address(pn_dnssd_service *service, const char *text, bool is_there)
{
    pn_address a = host(text);

    pn_dnssd_services_address(service, &a, is_there);
}

static void test_all_addresses(void **state)
{
    world w;
    pn_dnssd_service *one;

    (void)state;
    world_open(&w, 8, 8);
    one = add(&w, 2, "one", 1, 7100);
    address(one, "192.0.2.1", true);
    address(one, "192.0.2.2", true);
    address(one, "fd00:1::1", true);
    address(one, "192.0.2.1", true);
    expect_log(&w, "found 1 192.0.2.1:7100, found 1 192.0.2.2:7100, "
                   "found 1 [fd00:1::1]:7100");
    address(one, "192.0.2.2", false);
    address(one, "192.0.2.77", false);
    expect_log(&w, "lost 1 192.0.2.2:7100");
    pn_dnssd_services_remove(w.services, 2, 0, "one");
    expect_log(&w, "lost 1 192.0.2.1:7100, lost 1 [fd00:1::1]:7100");
    world_close(&w);
}

/* The interface is part of a link-local address. */
static void test_scope(void **state)
{
    const pn_interface list[] = {
        interface(1, "fe80::10", "ffff:ffff:ffff:ffff::")};
    world w;
    pn_dnssd_service *one;

    (void)state;
    world_open(&w, 8, 8);
    pn_dnssd_services_set_interfaces(w.services, list, 1);
    one = add(&w, 1, "one", 1, 7100);
    address(one, "fe80::1", true);
    expect_log(&w, "found 1 [fe80::1%lo]:7100");
    world_close(&w);
}

typedef struct address_row {
    const char *address;
    unsigned index;
    bool is_reported;
    const char *why;
} address_row;

static const address_row address_rows[] = {
    {"192.0.2.1", 2, true, "neighbour"},
    {"192.0.2.1", 3, false, "neighbour_by_the_other_interface"},
    {"192.0.3.1", 2, false, "other_network"},
    {"8.8.8.8", 2, false, "far_away"},
    {"fd00:1::1", 2, true, "neighbour_6"},
    {"fd00:2::1", 2, false, "other_network_6"},
    {"198.51.100.10", 2, true, "this_host"},
    {"127.0.0.1", 2, false, "loopback"},
    {"::1", 2, false, "loopback_6"},
    {"0.0.0.0", 2, false, "any"},
    {"224.0.0.251", 2, false, "multicast"},
    {"255.255.255.255", 2, false, "broadcast"},
};

static void test_address(void **state)
{
    const address_row *row = *state;
    world w;

    world_open(&w, 8, 8);
    address(add(&w, row->index, "one", 1, 7100), row->address, true);
    assert_int_equal(w.log[0] != '\0', row->is_reported);
    world_close(&w);
}

/* An address becomes usable when this host joins its network. */
static void test_network_comes_and_goes(void **state)
{
    world w;
    pn_dnssd_service *one;

    (void)state;
    world_open(&w, 8, 8);
    pn_dnssd_services_set_interfaces(w.services, NULL, 0);
    one = add(&w, 2, "one", 1, 7100);
    address(one, "192.0.2.1", true);
    expect_log(&w, "");
    set_interfaces(&w);
    expect_log(&w, "found 1 192.0.2.1:7100");
    pn_dnssd_services_set_interfaces(w.services, NULL, 0);
    expect_log(&w, "lost 1 192.0.2.1:7100");
    world_close(&w);
}

static void set_named(world *w, const char *name)
{
    pn_interface one = interface(5, "192.0.2.10", "255.255.255.0");

    (void)snprintf(one.name, sizeof(one.name), "%s", name);
    pn_dnssd_services_set_interfaces(w->services, &one, 1);
}

/* Services of an interface that is left out are not kept, and those that came
 * before it was listed are not reported. */
static void test_left_out(void **state)
{
    world w;

    (void)state;
    world_open(&w, 8, 8);
    address(add(&w, 5, "early", 1, 7100), "192.0.2.1", true);
    set_named(&w, "docker0");
    expect_log(&w, "");
    assert_int_equal(pn_dnssd_services_count(w.services), 1);
    see(&w, 5, 0, "late");
    assert_int_equal(pn_dnssd_services_count(w.services), 1);
    set_named(&w, "eth0");
    expect_log(&w, "found 1 192.0.2.1:7100");
    world_close(&w);
}

/* Avahi shows a service once for each interface and protocol. */
static void test_shown_twice(void **state)
{
    pn_public_key key = key_of(1);
    world w;
    pn_dnssd_service *one;
    pn_dnssd_service *again;

    (void)state;
    world_open(&w, 8, 8);
    one = add(&w, 2, "one", 1, 7100);
    see(&w, 2, 1, "one");
    again = w.last;
    assert_ptr_not_equal(one, again);
    pn_dnssd_services_resolved(again, "host.local", 7100, &key);
    address(one, "192.0.2.1", true);
    address(again, "192.0.2.1", true);
    expect_log(&w, "found 1 192.0.2.1:7100");
    pn_dnssd_services_remove(w.services, 2, 0, "one");
    expect_log(&w, "");
    pn_dnssd_services_remove(w.services, 2, 1, "one");
    expect_log(&w, "lost 1 192.0.2.1:7100");
    world_close(&w);
}

static void test_port_and_key_change(void **state)
{
    pn_public_key other = key_of(2);
    world w;
    pn_dnssd_service *one;

    (void)state;
    world_open(&w, 8, 8);
    one = add(&w, 2, "one", 1, 7100);
    address(one, "192.0.2.1", true);
    expect_log(&w, "found 1 192.0.2.1:7100");
    pn_dnssd_services_resolved(one, "host.local", 7200, &one->key);
    expect_log(&w, "lost 1 192.0.2.1:7100, found 1 192.0.2.1:7200");
    pn_dnssd_services_resolved(one, "host.local", 7200, &other);
    expect_log(&w, "lost 1 192.0.2.1:7200, found 2 192.0.2.1:7200");
    pn_dnssd_services_resolved(one, "host.local", 7200, &other);
    expect_log(&w, "");
    assert_int_equal(w.n_watches, 1);
    pn_dnssd_services_resolved(one, "host-2.local", 7200, &other);
    expect_log(&w, "lost 2 192.0.2.1:7200");
    assert_int_equal(w.n_watches, 2);
    address(one, "192.0.2.9", true);
    expect_log(&w, "found 2 192.0.2.9:7200");
    world_close(&w);
}

static void test_ports(void **state)
{
    pn_dnssd_services_counters c;
    world w;

    (void)state;
    world_open(&w, 8, 8);
    address(add(&w, 2, "low", 1, 1023), "192.0.2.1", true);
    expect_log(&w, "");
    address(add(&w, 2, "lowest", 1, 1024), "192.0.2.1", true);
    expect_log(&w, "found 1 192.0.2.1:1024");
    address(add(&w, 2, "highest", 1, 65535), "192.0.2.1", true);
    expect_log(&w, "found 1 192.0.2.1:65535");
    pn_dnssd_services_counters_get(w.services, &c);
    assert_int_equal(c.refused, 1);
    world_close(&w);
}

static void test_no_node(void **state)
{
    pn_dnssd_services_counters c;
    world w;
    pn_dnssd_service *one;

    (void)state;
    world_open(&w, 8, 8);
    one = add(&w, 2, "one", 1, 7100);
    address(one, "192.0.2.1", true);
    expect_log(&w, "found 1 192.0.2.1:7100");
    pn_dnssd_services_resolved(one, "host.local", 7100, NULL);
    expect_log(&w, "lost 1 192.0.2.1:7100");
    pn_dnssd_services_counters_get(w.services, &c);
    assert_int_equal(c.refused, 1);
    world_close(&w);
}

/* A label is told after each found, when it changes and when it has gone, and
 * goes with its record. */
static void test_label(void **state)
{
    pn_public_key other = key_of(2);
    world w;
    pn_dnssd_service *one;

    (void)state;
    world_open(&w, 8, 8);
    one = add(&w, 2, "one", 1, 7100);
    pn_dnssd_services_labelled(one, "kitchen");
    expect_log(&w, "");
    address(one, "192.0.2.1", true);
    address(one, "203.0.113.1", true); /* of no network of ours */
    expect_log(&w, "found 1 192.0.2.1:7100, \"kitchen\" 1 192.0.2.1:7100");
    pn_dnssd_services_labelled(one, "kitchen");
    expect_log(&w, "");
    pn_dnssd_services_labelled(one, "hall");
    expect_log(&w, "\"hall\" 1 192.0.2.1:7100");
    pn_dnssd_services_repeat(w.services);
    expect_log(&w, "found 1 192.0.2.1:7100, \"hall\" 1 192.0.2.1:7100");
    pn_dnssd_services_labelled(one, "");
    expect_log(&w, "\"\" 1 192.0.2.1:7100");
    pn_dnssd_services_labelled(one, "attic");
    expect_log(&w, "\"attic\" 1 192.0.2.1:7100");
    pn_dnssd_services_resolved(one, "host.local", 7100, &other);
    expect_log(&w, "lost 1 192.0.2.1:7100, found 2 192.0.2.1:7100, "
                   "\"\" 2 192.0.2.1:7100");
    pn_dnssd_services_resolved(one, "host.local", 7100, NULL);
    pn_dnssd_services_labelled(one, "nobody");
    expect_log(&w, "lost 2 192.0.2.1:7100");
    world_close(&w);
}

static void test_own(void **state)
{
    pn_public_key own = key_of(7);
    world w;
    pn_dnssd_service *early;

    (void)state;
    world_open(&w, 8, 8);
    early = add(&w, 2, "early", 7, 7100);
    address(early, "192.0.2.10", true);
    expect_log(&w, "found 7 192.0.2.10:7100");
    pn_dnssd_services_set_own(w.services, &own);
    expect_log(&w, "lost 7 192.0.2.10:7100");
    address(add(&w, 3, "late", 7, 7100), "198.51.100.10", true);
    expect_log(&w, "");
    world_close(&w);
}

/* n services at most, then the oldest goes without being reported as lost. */
static void test_max_services(void **state)
{
    pn_dnssd_services_counters c;
    world w;
    char name[16];

    (void)state;
    world_open(&w, 3, 8);
    for (uint8_t i = 1; i <= 3; i++) {
        (void)snprintf(name, sizeof(name), "%u", i);
        address(add(&w, 2, name, i, 7100), "192.0.2.1", true);
    }
    expect_log(&w, "found 1 192.0.2.1:7100, found 2 192.0.2.1:7100, "
                   "found 3 192.0.2.1:7100");
    pn_dnssd_services_counters_get(w.services, &c);
    assert_int_equal(c.evicted, 0);
    address(add(&w, 2, "4", 4, 7100), "192.0.2.1", true);
    expect_log(&w, "found 4 192.0.2.1:7100");
    pn_dnssd_services_counters_get(w.services, &c);
    assert_int_equal(c.evicted, 1);
    assert_int_equal(c.seen, 4);
    assert_int_equal(pn_dnssd_services_count(w.services), 3);
    assert_int_equal(w.n_open, 3);
    pn_dnssd_services_remove(w.services, 2, 0, "1");
    expect_log(&w, "");
    pn_dnssd_services_remove(w.services, 2, 0, "2");
    expect_log(&w, "lost 2 192.0.2.1:7100");
    world_close(&w);
}

static void test_max_addresses(void **state)
{
    pn_dnssd_services_counters c;
    world w;
    pn_dnssd_service *one;

    (void)state;
    world_open(&w, 8, 2);
    one = add(&w, 2, "one", 1, 7100);
    address(one, "192.0.2.1", true);
    address(one, "192.0.2.2", true);
    pn_dnssd_services_counters_get(w.services, &c);
    assert_int_equal(c.addresses_dropped, 0);
    address(one, "192.0.2.3", true);
    expect_log(&w, "found 1 192.0.2.1:7100, found 1 192.0.2.2:7100");
    pn_dnssd_services_counters_get(w.services, &c);
    assert_int_equal(c.addresses_dropped, 1);
    address(one, "192.0.2.1", false);
    address(one, "192.0.2.3", true);
    expect_log(&w, "lost 1 192.0.2.1:7100, found 1 192.0.2.3:7100");
    world_close(&w);
}

/* Services that are not resolved make room before those of nodes do. */
static void test_flood(void **state)
{
    world w;
    char name[16];

    (void)state;
    world_open(&w, 4, 8);
    address(add(&w, 2, "node", 1, 7100), "192.0.2.1", true);
    expect_log(&w, "found 1 192.0.2.1:7100");
    for (int i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof(name), "made up %d", i);
        see(&w, 2, 0, name);
    }
    pn_dnssd_services_remove(w.services, 2, 0, "node");
    expect_log(&w, "lost 1 192.0.2.1:7100");
    world_close(&w);
}

/* What is asked does not answer, but for keep. */
static void fail_all(world *w, const pn_dnssd_service *keep)
{
    for (size_t i = 0; i < w->n_asked; i++) {
        pn_dnssd_service *service = w->asked[i];

        if (service != keep && !service->is_resolved
            && service->resolver != NULL) {
            service->resolver = NULL;
            w->n_open--;
            pn_dnssd_services_resolved(service, NULL, 0, NULL);
        }
    }
}

static bool is_kept(const world *w, const char *name)
{
    for (size_t i = 0; i < w->n_asked; i++) {
        if (strcmp(w->asked[i]->name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* Those that have used up their tries make room, not the one that was asked
 * only now, though it is the oldest. */
static void test_unanswered_first(void **state)
{
    pn_public_key key = key_of(1);
    world w;
    pn_dnssd_service *node;

    (void)state;
    world_open(&w, 8, 8);
    see(&w, 2, 0, "node");
    node = w.last;
    for (uint8_t i = 1; i < 8; i++) {
        see(&w, 2, 0, (char[]){(char)('0' + i), '\0'});
    }
    for (int i = 0; i < PN_DNSSD_RESOLVE_TRIES; i++) {
        fail_all(&w, node);
        pn_dnssd_services_repeat(w.services);
        step(&w);
    }
    for (uint8_t i = 1; i < 8; i++) {
        see(&w, 2, 0, (char[]){(char)('a' + i), '\0'});
        assert_true(is_kept(&w, (char[]){(char)('a' + i), '\0'}));
    }
    assert_true(is_kept(&w, "node"));
    pn_dnssd_services_resolved(node, "host.local", 7100, &key);
    address(node, "192.0.2.1", true);
    expect_log(&w, "found 1 192.0.2.1:7100");
    world_close(&w);
}

/* Records that are not a node's make room as well. */
static void test_refused_first(void **state)
{
    world w;

    (void)state;
    world_open(&w, 2, 8);
    see(&w, 2, 0, "node");
    see(&w, 2, 0, "printer");
    pn_dnssd_services_resolved(w.last, "host.local", 7100, NULL);
    see(&w, 2, 0, "other");
    assert_true(is_kept(&w, "node"));
    assert_false(is_kept(&w, "printer"));
    assert_true(is_kept(&w, "other"));
    world_close(&w);
}

/* The limit of resolving, and that everyone has a turn. */
static void test_resolve_rate(void **state)
{
    const size_t burst = PN_DNSSD_RESOLVES_BURST;
    const size_t rate = PN_DNSSD_RESOLVES_PER_S;
    world w;
    char name[16];

    (void)state;
    world_open(&w, 300, 8);
    for (size_t i = 0; i < burst + rate + 1; i++) {
        (void)snprintf(name, sizeof(name), "%zu", i);
        pn_dnssd_services_add(w.services, 2, 0, name);
        assert_int_equal(w.n_resolves, 0);
    }
    assert_int_not_equal(pn_dnssd_services_step(w.services, 1000), UINT64_MAX);
    assert_int_equal(w.n_resolves, burst);
    assert_true(pn_dnssd_services_step(w.services, 1000) > 1000);
    assert_int_equal(w.n_resolves, burst);
    /* Those that were asked already do not come before the others. */
    fail_all(&w, NULL);
    pn_dnssd_services_repeat(w.services);
    assert_int_not_equal(pn_dnssd_services_step(w.services, 2000), UINT64_MAX);
    assert_int_equal(w.n_resolves, burst + rate);
    assert_int_not_equal(pn_dnssd_services_step(w.services, 2999), UINT64_MAX);
    assert_int_equal(w.n_resolves, burst + 2 * rate - 1);
    for (size_t i = 0; i < burst + rate + 1; i++) {
        (void)snprintf(name, sizeof(name), "%zu", i);
        assert_true(is_kept(&w, name));
    }
    world_close(&w);
}

/* How made-up services answer, and whether the node is named before them. */
typedef struct crowd_row {
    const char *name;
    bool answers;
    bool is_node; /* with the records of one */
    bool is_node_first;
} crowd_row;

static const crowd_row crowd_rows[] = {
    {"silent_before", false, false, false},
    {"silent_after", false, false, true},
    {"refused_before", true, false, false},
    {"refused_after", true, false, true},
    {"nodes_before", true, true, false},
    {"nodes_after", true, true, true},
};
enum { CROWD = 1000, HOUR_MS = 3600000 };

static void name_crowd(world *w, const crowd_row *row)
{
    char name[16];

    for (int i = 0; i < CROWD + 2; i++) {
        (void)snprintf(name, sizeof(name), "made up %d", i);
        if (i == (row->is_node_first ? 0 : CROWD + 1)) {
            pn_dnssd_services_add(w->services, 2, 0, "node");
        } else if (i > 0 && i <= CROWD) {
            pn_dnssd_services_add(w->services, 2, 0, name);
        }
    }
}

/* Answers what was asked; what is silent fails at a repeat. */
static void answer_crowd(world *w, const crowd_row *row)
{
    pn_public_key node = key_of(1);
    pn_public_key other = key_of(2);

    for (size_t i = 0; i < w->n_asked; i++) {
        pn_dnssd_service *service = w->asked[i];

        if (strcmp(service->name, "node") == 0) {
            pn_dnssd_services_resolved(service, "host.local", 7100, &node);
            address(service, "192.0.2.1", true);
        } else if (row->answers) {
            pn_dnssd_services_resolved(
                service, "host-2.local", 7100, row->is_node ? &other : NULL);
        }
    }
}

/* Many times more services than the table holds, named in the same order each
 * time, do not keep a node from being found. */
static void test_crowd(void **state)
{
    const crowd_row *row = *state;
    uint64_t browse_ms = 0;
    world w;

    world_open(&w, 256, 8);
    for (w.now_ms = 1000; w.now_ms < HOUR_MS && w.log[0] == '\0';
         w.now_ms += 5000) {
        if (w.now_ms >= browse_ms) {
            if (browse_ms == 0 || pn_dnssd_services_take_browse(w.services)) {
                name_crowd(&w, row);
            }
            browse_ms = w.now_ms + PN_DNSSD_BROWSE_MS;
        }
        if (!row->answers) {
            fail_all(&w, NULL);
        }
        pn_dnssd_services_repeat(w.services);
        (void)pn_dnssd_services_step(w.services, w.now_ms);
        answer_crowd(&w, row);
    }
    expect_log(&w, "found 1 192.0.2.1:7100");
    world_close(&w);
}

/* What was forgotten is asked for again. */
static void test_browse_anew(void **state)
{
    world w;
    char name[16];

    (void)state;
    world_open(&w, 8, 8);
    for (int i = 0; i < 8; i++) {
        (void)snprintf(name, sizeof(name), "%d", i);
        see(&w, 2, 0, name);
    }
    assert_false(pn_dnssd_services_take_browse(w.services));
    see(&w, 2, 0, "8");
    assert_true(pn_dnssd_services_take_browse(w.services));
    assert_false(pn_dnssd_services_take_browse(w.services));
    see(&w, 2, 0, "9");
    assert_true(pn_dnssd_services_take_browse(w.services));
    world_close(&w);
}

static void test_other_domain(void **state)
{
    pn_public_key key = key_of(1);
    world w;

    (void)state;
    world_open(&w, 8, 8);
    see(&w, 2, 0, "one");
    pn_dnssd_services_resolved(w.last, "host.example.com", 7100, &key);
    pn_dnssd_services_resolved(w.last, "hostlocal", 7100, &key);
    pn_dnssd_services_resolved(w.last, ".local", 7100, &key);
    assert_int_equal(w.n_watches, 0);
    pn_dnssd_services_resolved(w.last, "host.LOCAL", 7100, &key);
    assert_int_equal(w.n_watches, 1);
    world_close(&w);
}

/* A watch that failed is opened again. */
static void test_watch_again(void **state)
{
    world w;
    pn_dnssd_service *one;

    (void)state;
    world_open(&w, 8, 8);
    one = add(&w, 2, "one", 1, 7100);
    pn_dnssd_services_repeat(w.services);
    assert_int_equal(w.n_watches, 1);
    one->watches[1] = NULL;
    pn_dnssd_services_repeat(w.services);
    assert_int_equal(w.n_watches, 2);
    world_close(&w);
}

static void test_long_name(void **state)
{
    char name[PN_DNSSD_NAME_CAP + 1];
    world w;

    (void)state;
    world_open(&w, 8, 8);
    memset(name, 'n', sizeof(name));
    name[PN_DNSSD_NAME_CAP] = '\0';
    see(&w, 2, 0, name);
    assert_int_equal(pn_dnssd_services_count(w.services), 0);
    name[PN_DNSSD_NAME_CAP - 1] = '\0';
    see(&w, 2, 0, name);
    see(&w, 2, 0, name);
    assert_int_equal(pn_dnssd_services_count(w.services), 1);
    world_close(&w);
}

/* What does not answer is asked a few times, and again after it has once. */
static void test_tries(void **state)
{
    world w;

    (void)state;
    world_open(&w, 8, 8);
    see(&w, 2, 0, "one");
    for (size_t i = 1; i <= PN_DNSSD_RESOLVE_TRIES + 3; i++) {
        if (w.last->resolver != NULL) {
            w.last->resolver = NULL;
            w.n_open--;
            pn_dnssd_services_resolved(w.last, NULL, 0, NULL);
        }
        pn_dnssd_services_repeat(w.services);
        step(&w);
        assert_int_equal(w.n_resolves,
            i < PN_DNSSD_RESOLVE_TRIES ? i + 1 : PN_DNSSD_RESOLVE_TRIES);
    }
    while (w.n_resolves == PN_DNSSD_RESOLVE_TRIES) {
        pn_dnssd_services_repeat(w.services);
        step(&w);
    }
    assert_int_equal(w.n_resolves, PN_DNSSD_RESOLVE_TRIES + 1);
    expect_log(&w, "");
    world_close(&w);
}

static void test_repeat(void **state)
{
    world w;
    pn_dnssd_service *one;

    (void)state;
    world_open(&w, 8, 8);
    one = add(&w, 2, "one", 1, 7100);
    address(one, "192.0.2.1", true);
    address(one, "8.8.8.8", true);
    expect_log(&w, "found 1 192.0.2.1:7100");
    pn_dnssd_services_repeat(w.services);
    step(&w);
    expect_log(&w, "found 1 192.0.2.1:7100");
    assert_int_equal(w.n_resolves, 1);
    pn_dnssd_services_clear(w.services);
    expect_log(&w, "");
    assert_int_equal(pn_dnssd_services_count(w.services), 0);
    pn_dnssd_services_repeat(w.services);
    expect_log(&w, "");
    world_close(&w);
}

int main(void)
{
    static const struct {
        const char *name;
        CMUnitTestFunction function;
    } tests[] = {
        {"all_addresses", test_all_addresses},
        {"scope", test_scope},
        {"network_comes_and_goes", test_network_comes_and_goes},
        {"left_out", test_left_out},
        {"shown_twice", test_shown_twice},
        {"port_and_key_change", test_port_and_key_change},
        {"ports", test_ports},
        {"no_node", test_no_node},
        {"label", test_label},
        {"own", test_own},
        {"max_services", test_max_services},
        {"max_addresses", test_max_addresses},
        {"flood", test_flood},
        {"unanswered_first", test_unanswered_first},
        {"refused_first", test_refused_first},
        {"resolve_rate", test_resolve_rate},
        {"browse_anew", test_browse_anew},
        {"other_domain", test_other_domain},
        {"watch_again", test_watch_again},
        {"long_name", test_long_name},
        {"tries", test_tries},
        {"repeat", test_repeat},
    };

    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        pn_test_addf(
            tests[i].function, NULL, "dnssd/services/%s", tests[i].name);
    }
    for (size_t i = 0; i < sizeof(address_rows) / sizeof(address_rows[0]);
         i++) {
        pn_test_addf(test_address, (void *)(uintptr_t)&address_rows[i],
            "dnssd/services/address/%s", address_rows[i].why);
    }
    for (size_t i = 0; i < sizeof(crowd_rows) / sizeof(crowd_rows[0]); i++) {
        pn_test_addf(test_crowd, (void *)(uintptr_t)&crowd_rows[i],
            "dnssd/services/crowd/%s", crowd_rows[i].name);
    }
    return pn_test_run("dnssd/services");
}

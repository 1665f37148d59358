/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../os/own_resolver.h"
#include "harness.h"
#include "lookup/chain.h"
#include "os/clock.h"
#include "os/interfaces.h"
#include "os/resolve.h"
#include "tempdir.h"

#define OURS "alpha@h.example"

/* ---- a node that looks up others ---------------------------------------- */

typedef struct node {
    pn_tempdir dir;
    pn_loop *loop;
    pn_barrel_discovery_options options;
    pn_barrel_discovery *d;
    unsigned n_calls;
    unsigned n_wanted;
    pn_barrel_found found;
    pn_address addresses[PN_RESOLVE_MAX];
    char why[PN_BARREL_WHY_MAX];
} node;

static void on_found(void *user, const pn_barrel_found *found)
{
    node *n = user;

    n->found = *found;
    assert_true(found->n <= PN_RESOLVE_MAX);
    for (size_t i = 0; i < found->n; i++) {
        n->addresses[i] = found->addresses[i];
    }
    (void)snprintf(n->why, sizeof(n->why), "%s", found->why);
    if (++n->n_calls == n->n_wanted) {
        pn_loop_stop(n->loop);
    }
}

static void on_too_late(void *user)
{
    pn_loop_stop(user);
}

/* Runs the loop until all answers are there, 20 seconds at most. */
static void node_run(node *n, unsigned n_wanted)
{
    pn_timer *guard;

    n->n_wanted = n_wanted;
    assert_int_equal(
        pn_timer_new(n->loop, on_too_late, n->loop, &guard), PN_OK);
    pn_timer_set(guard, pn_loop_update_now(n->loop) + 20 * PN_US_PER_S);
    pn_loop_run(n->loop);
    pn_timer_free(guard);
    assert_int_equal(n->n_calls, n_wanted);
}

/* A directory and no DNS, as long as options stay as they are. */
static void node_prepare(node *n)
{
    memset(n, 0, sizeof(*n));
    pn_tempdir_init(&n->dir);
    assert_int_equal(pn_loop_new(&n->loop), PN_OK);
    pn_barrel_discovery_options_init(&n->options);
    n->options.node_name = OURS;
    n->options.dir = n->dir.path;
    n->options.dns_port = 0;
}

static void node_start(node *n)
{
    assert_int_equal(
        pn_barrel_discovery_new(n->loop, &n->options, &n->d), PN_OK);
}

static void node_fini(node *n)
{
    pn_barrel_discovery_free(n->d);
    pn_loop_free(n->loop);
    pn_tempdir_fini(&n->dir);
}

static void node_look(node *n, const char *name)
{
    pn_barrel_lookup *lookup;

    n->n_calls = 0;
    assert_int_equal(
        pn_barrel_discovery_lookup(n->d, name, on_found, n, &lookup), PN_OK);
    assert_int_equal(n->n_calls, 0); /* never from inside */
    node_run(n, 1);
}

static void node_put(node *n, const char *name, const char *text)
{
    char file[300];

    (void)snprintf(file, sizeof(file), "%s.endpoint", name);
    pn_tempdir_put(&n->dir, file, text, strlen(text));
}

static void node_bind(node *n, const char *address)
{
    pn_address bound;

    assert_int_equal(pn_address_parse(address, -1, &bound), PN_OK);
    pn_barrel_discovery_set_bound(n->d, &bound);
}

static void assert_found(node *n, pn_barrel_source source, const char *first)
{
    char text[PN_ADDRESS_TEXT_LEN];

    assert_int_equal(n->found.err, PN_OK);
    assert_int_equal(n->found.source, source);
    assert_true(n->found.n > 0);
    pn_address_text(&n->addresses[0], text);
    assert_string_equal(text, first);
}

static void assert_nobody(node *n, const char *why)
{
    assert_int_equal(n->found.err, PN_NOT_FOUND);
    assert_int_equal(n->found.source, PN_BARREL_SOURCES);
    assert_int_equal(n->found.n, 0);
    if (strstr(n->why, why) == NULL) {
        assert_string_equal(n->why, why);
    }
}

/* ---- the chain ---------------------------------------------------------- */

static void test_barrel_discovery_order(void **state)
{
    const char *name = "beta@localhost";
    node n;

    (void)state;
    node_prepare(&n);
    n.options.dns_port = 9100;
    node_start(&n);
    node_put(&n, name, "{\"192.0.2.2\",4432}.\n");
    node_look(&n, name);
    assert_found(&n, PN_BARREL_FILE, "192.0.2.2:4432");
    assert_string_equal(n.why, "");
    assert_int_equal(unlinkat(n.dir.fd, "beta@localhost.endpoint", 0), 0);
    node_look(&n, name);
    assert_found(&n, PN_BARREL_DNS, "127.0.0.1:9100");
    assert_int_equal(n.found.n, 2);
    assert_non_null(strstr(n.why, "beta@localhost.endpoint: "));
    node_put(&n, name, "{\"192.0.2.2\",4432}.\n");
    assert_int_equal(
        pn_barrel_discovery_add_static(n.d, name, "192.0.2.1:4431"), PN_OK);
    node_look(&n, name);
    assert_found(&n, PN_BARREL_STATIC, "192.0.2.1:4431");
    assert_string_equal(n.why, "");
    node_fini(&n);
}

/* The failure of each source is reported, and the next one is asked. */
static void test_barrel_discovery_goes_on(void **state)
{
    const char *name = "beta@localhost";
    node n;

    (void)state;
    node_prepare(&n);
    n.options.dns_port = 9100;
    node_start(&n);
    node_put(&n, name, "{\"192.0.2.2\",4432}");
    assert_int_equal(
        pn_barrel_discovery_add_static(n.d, name, "none.test:1"), PN_OK);
    node_look(&n, name);
    assert_found(&n, PN_BARREL_DNS, "127.0.0.1:9100");
    assert_non_null(strstr(n.why, "static: none.test: "));
    assert_non_null(strstr(n.why, "; file: "));
    assert_non_null(strstr(n.why, "beta@localhost.endpoint: there is no ."));
    node_put(&n, name, "{\"a/b\",4432}.\n");
    node_look(&n, name);
    assert_found(&n, PN_BARREL_DNS, "127.0.0.1:9100");
    assert_non_null(strstr(n.why, "file: a/b: neither a name nor an address"));
    node_fini(&n);
}

static void test_barrel_discovery_names_are_resolved(void **state)
{
    node n;

    (void)state;
    node_prepare(&n);
    node_start(&n);
    node_put(&n, "beta@h", "{\"3.many.test\",4432}.\n");
    assert_int_equal(
        pn_barrel_discovery_add_static(n.d, "c@h", "2.many.test:4431"), PN_OK);
    node_look(&n, "beta@h");
    assert_found(&n, PN_BARREL_FILE, "10.0.0.1:4432");
    assert_int_equal(n.found.n, 3);
    node_look(&n, "c@h");
    assert_found(&n, PN_BARREL_STATIC, "10.0.0.1:4431");
    assert_int_equal(n.found.n, 2);
    node_fini(&n);
}

static void test_barrel_discovery_nobody(void **state)
{
    node n;

    (void)state;
    node_prepare(&n);
    node_start(&n);
    node_look(&n, "beta@localhost");
    assert_nobody(&n, "file: ");
    node_fini(&n);
    node_prepare(&n);
    n.options.dir = NULL;
    node_start(&n);
    node_look(&n, "beta@localhost");
    assert_nobody(&n, "");
    assert_string_equal(n.why, "");
    node_fini(&n);
}

static void test_barrel_discovery_invalid_name(void **state)
{
    node n;

    (void)state;
    node_prepare(&n);
    n.options.dns_port = 9100;
    node_start(&n);
    node_look(&n, "beta@x.invalid");
    assert_nobody(&n, "dns: x.invalid: ");
    node_fini(&n);
}

static void test_barrel_discovery_dns_port(void **state)
{
    node n;

    (void)state;
    node_prepare(&n);
    n.options.dns_port = 4711;
    node_start(&n);
    node_bind(&n, "0.0.0.0:4433");
    node_look(&n, "beta@127.0.0.1");
    assert_found(&n, PN_BARREL_DNS, "127.0.0.1:4711");
    node_look(&n, "beta@1.many.test");
    assert_found(&n, PN_BARREL_DNS, "10.0.0.1:4711");
    node_fini(&n);
}

static void test_barrel_discovery_dns_port_default(void **state)
{
    pn_barrel_discovery_options options;

    (void)state;
    pn_barrel_discovery_options_init(&options);
    assert_int_equal(options.dns_port, 9100);
}

/* ---- ourselves ---------------------------------------------------------- */

typedef struct own_row {
    const char *bound; /* NULL: nowhere */
    const char *asked; /* a static entry */
    bool is_ours;
} own_row;

static const own_row OWN[] = {
    {"0.0.0.0:9100", "127.0.0.1:9100", true},
    {"0.0.0.0:9100", "127.3.2.1:9100", true},
    {"0.0.0.0:9100", "[::1]:9100", true},
    {"0.0.0.0:9100", "[::ffff:127.0.0.1]:9100", true},
    {"0.0.0.0:9100", "localhost:9100", true},
    {"[::]:9100", "127.0.0.1:9100", true},
    {"127.0.0.1:9100", "127.0.0.1:9100", true},
    {"192.0.2.1:9100", "192.0.2.1:9100", true},
    {"[2001:db8::1]:9100", "[2001:db8::1]:9100", true},
    {"10.0.0.1:9100", "1.many.test:9100", true},
    {"0.0.0.0:9100", "127.0.0.1:9101", false},
    {"0.0.0.0:9100", "192.0.2.1:9100", false},
    {"127.0.0.1:9100", "127.0.0.2:9100", false},
    {"127.0.0.1:9100", "127.0.0.1:9101", false},
    {NULL, "127.0.0.1:9100", false},
};

static void test_barrel_discovery_own_address(void **state)
{
    const own_row *row = *state;
    node n;

    node_prepare(&n);
    node_start(&n);
    if (row->bound != NULL) {
        node_bind(&n, row->bound);
    }
    assert_int_equal(
        pn_barrel_discovery_add_static(n.d, "beta@h", row->asked), PN_OK);
    node_look(&n, "beta@h");
    if (row->is_ours) {
        assert_nobody(&n, "is where we listen ourselves");
    } else {
        assert_int_equal(n.found.err, PN_OK);
    }
    pn_barrel_discovery_set_bound(n.d, NULL);
    node_look(&n, "beta@h");
    assert_int_equal(n.found.err, PN_OK);
    node_fini(&n);
}

/* The defect of upstream: an unknown name on our host, and our own port. */
static void test_barrel_discovery_own_address_by_dns(void **state)
{
    node n;

    (void)state;
    node_prepare(&n);
    n.options.dns_port = 9100;
    node_start(&n);
    node_bind(&n, "0.0.0.0:9100");
    node_look(&n, "beta@localhost");
    assert_nobody(&n, "dns: 127.0.0.1:9100 is where we listen ourselves");
    node_fini(&n);
}

static void test_barrel_discovery_own_address_by_file(void **state)
{
    node n;

    (void)state;
    node_prepare(&n);
    node_start(&n);
    node_bind(&n, "0.0.0.0:9100");
    node_put(&n, "beta@h", "{\"127.0.0.1\",9100}.\n");
    node_look(&n, "beta@h");
    assert_nobody(&n, "file: 127.0.0.1:9100 is where we listen ourselves");
    node_fini(&n);
}

/* Of several addresses only ours is left out. */
static void test_barrel_discovery_own_address_among_others(void **state)
{
    node n;

    (void)state;
    node_prepare(&n);
    node_start(&n);
    node_bind(&n, "10.0.0.1:9100");
    assert_int_equal(
        pn_barrel_discovery_add_static(n.d, "b@h", "3.many.test:9100"), PN_OK);
    node_look(&n, "b@h");
    assert_found(&n, PN_BARREL_STATIC, "10.0.0.2:9100");
    assert_int_equal(n.found.n, 2);
    node_fini(&n);
}

static void test_barrel_discovery_own_interface(void **state)
{
    pn_interface *interfaces;
    size_t n_interfaces;
    pn_interface found = {.index = 0};
    char text[PN_ADDRESS_TEXT_LEN];
    node n;

    (void)state;
    assert_int_equal(pn_interfaces_list(&interfaces, &n_interfaces), PN_OK);
    for (size_t i = 0; i < n_interfaces; i++) {
        if (!pn_address_is_loopback(&interfaces[i].address)) {
            found = interfaces[i];
        }
    }
    free(interfaces);
    if (found.index == 0) {
        pn_test_skip("this host has only a loopback interface");
    }
    pn_address_set_port(&found.address, 9100);
    pn_address_text(&found.address, text);
    node_prepare(&n);
    node_start(&n);
    node_bind(&n, "0.0.0.0:9100");
    assert_int_equal(
        pn_barrel_discovery_add_static(n.d, "beta@h", text), PN_OK);
    node_look(&n, "beta@h");
    assert_nobody(&n, "is where we listen ourselves");
    node_fini(&n);
}

static const char *const NOBODYS[] = {"0.0.0.0:1", "[::]:1", "224.0.0.1:1",
    "239.255.255.255:1", "[ff02::1]:1", "255.255.255.255:1", "any.test:1"};

static void test_barrel_discovery_nobodys_address(void **state)
{
    node n;

    node_prepare(&n);
    node_start(&n);
    assert_int_equal(
        pn_barrel_discovery_add_static(n.d, "beta@h", *state), PN_OK);
    node_look(&n, "beta@h");
    assert_nobody(&n, "is not an address of a node");
    node_fini(&n);
}

static void test_barrel_discovery_own_name(void **state)
{
    pn_barrel_lookup *lookup = NULL;
    node n;

    (void)state;
    node_prepare(&n);
    node_start(&n);
    assert_int_equal(
        pn_barrel_discovery_lookup(n.d, OURS, on_found, &n, &lookup),
        PN_INVALID);
    assert_null(lookup);
    pn_loop_run_once(n.loop);
    assert_int_equal(n.n_calls, 0);
    node_fini(&n);
}

/* ---- cancel, deadline --------------------------------------------------- */

static void test_barrel_discovery_cancel(void **state)
{
    pn_barrel_lookup *lookup;
    node n;

    (void)state;
    own_resolver_open(false);
    node_prepare(&n);
    n.options.dns_port = 9100;
    node_start(&n);
    /* Before it began, */
    assert_int_equal(
        pn_barrel_discovery_lookup(n.d, "b@h", on_found, &n, &lookup), PN_OK);
    pn_barrel_lookup_cancel(lookup);
    /* while it waits, */
    assert_int_equal(
        pn_barrel_discovery_lookup(n.d, "b@slow.test", on_found, &n, &lookup),
        PN_OK);
    pn_loop_run_once(n.loop);
    own_resolver_wait(1);
    pn_barrel_lookup_cancel(lookup);
    /* and with the whole discovery. */
    assert_int_equal(
        pn_barrel_discovery_lookup(n.d, "b@slow.test", on_found, &n, &lookup),
        PN_OK);
    pn_loop_run_once(n.loop);
    own_resolver_wait(2);
    node_fini(&n);
    own_resolver_open(true);
    own_resolver_wait(0);
    assert_int_equal(n.n_calls, 0);
    pn_barrel_lookup_cancel(NULL);
    pn_barrel_discovery_free(NULL);
}

static void test_barrel_discovery_timeout(void **state)
{
    uint64_t before;
    node n;

    (void)state;
    own_resolver_open(false);
    node_prepare(&n);
    n.options.dns_port = 9100;
    n.options.timeout_ms = 50;
    node_start(&n);
    before = pn_monotonic_now_us();
    node_look(&n, "b@slow.test");
    assert_true(pn_monotonic_now_us() - before >= 50 * PN_US_PER_MS);
    assert_int_equal(n.found.err, PN_TIMEOUT);
    assert_int_equal(n.found.n, 0);
    assert_non_null(strstr(n.why, "dns: no answer within 50 ms"));
    own_resolver_open(true);
    own_resolver_wait(0);
    pn_loop_run_once(n.loop);
    assert_int_equal(n.n_calls, 1);
    node_fini(&n);
}

static void on_found_free(void *user, const pn_barrel_found *found)
{
    node *n = user;

    pn_barrel_discovery_free(n->d);
    n->d = NULL;
    on_found(user, found);
}

static void test_barrel_discovery_free_in_callback(void **state)
{
    pn_barrel_lookup *lookup;
    node n;

    (void)state;
    node_prepare(&n);
    node_start(&n);
    assert_int_equal(
        pn_barrel_discovery_lookup(n.d, "b@h", on_found_free, &n, &lookup),
        PN_OK);
    assert_int_equal(
        pn_barrel_discovery_lookup(n.d, "c@h", on_found_free, &n, &lookup),
        PN_OK);
    node_run(&n, 1);
    node_fini(&n);
}

/* ---- limits ------------------------------------------------------------- */

static void test_barrel_discovery_max_static(void **state)
{
    char name[32];
    node n;

    (void)state;
    node_prepare(&n);
    n.options.max_static = 40;
    node_start(&n);
    for (unsigned i = 1; i <= 41; i++) {
        (void)snprintf(name, sizeof(name), "n%u@h", i);
        assert_int_equal(pn_barrel_discovery_add_static(n.d, name, "h:1"),
            i <= 40 ? PN_OK : PN_FULL);
    }
    /* A full table can still be changed. */
    assert_int_equal(
        pn_barrel_discovery_add_static(n.d, "n7@h", "192.0.2.7:7"), PN_OK);
    node_look(&n, "n7@h");
    assert_found(&n, PN_BARREL_STATIC, "192.0.2.7:7");
    node_look(&n, name);
    assert_nobody(&n, "file: ");
    node_fini(&n);
}

static void test_barrel_discovery_max_lookups(void **state)
{
    pn_barrel_lookup *lookups[4];
    node n;

    (void)state;
    node_prepare(&n);
    n.options.max_lookups = 3;
    node_start(&n);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(
            pn_barrel_discovery_lookup(n.d, "b@h", on_found, &n, &lookups[i]),
            i < 3 ? PN_OK : PN_FULL);
    }
    pn_barrel_lookup_cancel(lookups[1]);
    assert_int_equal(
        pn_barrel_discovery_lookup(n.d, "b@h", on_found, &n, &lookups[1]),
        PN_OK);
    node_run(&n, 3);
    node_look(&n, "b@h");
    node_fini(&n);
}

typedef struct static_row {
    const char *name;
    const char *text;
    const char *first; /* NULL: PN_INVALID */
} static_row;

static const static_row STATIC[] = {
    {"b@h", "192.0.2.1:1", "192.0.2.1:1"},
    {"b@h", "192.0.2.1:65534", "192.0.2.1:65534"},
    {"b@h", "192.0.2.1:65535", "192.0.2.1:65535"},
    {"b@h", "[2001:db8::1]:9100", "[2001:db8::1]:9100"},
    {"b@h", "1.many.test:80", "10.0.0.1:80"},
    {"b@h", "192.0.2.1:65536", NULL},
    {"b@h", "192.0.2.1:0", NULL},
    {"b@h", "192.0.2.1:", NULL},
    {"b@h", "192.0.2.1", NULL},
    {"b@h", "192.0.2.1:000080", NULL},
    {"b@h", "192.0.2.1:+80", NULL},
    {"b@h", "192.0.2.1: 80", NULL},
    {"b@h", "192.0.2.1:80x", NULL},
    {"b@h", "2001:db8::1:9100", NULL},
    {"b@h", "[]:9100", NULL},
    {"b@h", "[::1]", NULL},
    {"b@h", ":9100", NULL},
    {"b@h", "", NULL},
    {"b@h", "a b:9100", NULL},
    {"b@h", "a\"b:9100", NULL},
    {"b", "h:1", NULL},
    {"@h", "h:1", NULL},
    {"../b@h", "h:1", NULL},
};

static void test_barrel_discovery_static(void **state)
{
    const static_row *row = *state;
    node n;

    node_prepare(&n);
    node_start(&n);
    assert_int_equal(pn_barrel_discovery_add_static(n.d, row->name, row->text),
        row->first == NULL ? PN_INVALID : PN_OK);
    if (row->first != NULL) {
        node_look(&n, row->name);
        assert_found(&n, PN_BARREL_STATIC, row->first);
    }
    node_fini(&n);
}

/* 254, 255 and 256 bytes of a host. */
static void test_barrel_discovery_static_host_length(void **state)
{
    node n;

    (void)state;
    node_prepare(&n);
    node_start(&n);
    for (int len = 254; len <= 256; len++) {
        char text[300];

        (void)snprintf(text, sizeof(text), "%0*d:9100", len, 0);
        assert_int_equal(pn_barrel_discovery_add_static(n.d, "b@h", text),
            len <= 255 ? PN_OK : PN_INVALID);
    }
    node_fini(&n);
}

static void test_barrel_discovery_lookup_names(void **state)
{
    static const char *const names[] = {
        "", "b", "@h", "b@", "../b@h", "a/b@h", "b@h@h", "b@-h", "b h@h"};
    pn_barrel_lookup *lookup = NULL;
    char longest[258];
    node n;

    (void)state;
    node_prepare(&n);
    node_start(&n);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(
            pn_barrel_discovery_lookup(n.d, names[i], on_found, &n, &lookup),
            PN_INVALID);
    }
    for (int len = 254; len <= 256; len++) {
        (void)snprintf(longest, sizeof(longest), "b@%0*d", len - 2, 0);
        assert_int_equal(
            pn_barrel_discovery_lookup(n.d, longest, on_found, &n, &lookup),
            len <= 255 ? PN_OK : PN_INVALID);
        pn_barrel_lookup_cancel(lookup);
        lookup = NULL;
    }
    node_fini(&n);
}

typedef struct option_row {
    size_t offset;
    uint32_t value;
    bool is_good;
} option_row;

#define OPTION(field) offsetof(pn_barrel_discovery_options, field)

static const option_row OPTIONS[] = {
    {OPTION(timeout_ms), 0, false},
    {OPTION(timeout_ms), 1, true},
    {OPTION(timeout_ms), 119999, true},
    {OPTION(timeout_ms), 120000, true},
    {OPTION(timeout_ms), 120001, false},
    {OPTION(max_static), 0, false},
    {OPTION(max_static), 1, true},
    {OPTION(max_static), 65535, true},
    {OPTION(max_static), 65536, true},
    {OPTION(max_static), 65537, false},
    {OPTION(max_lookups), 0, false},
    {OPTION(max_lookups), 1, true},
    {OPTION(max_lookups), 1023, true},
    {OPTION(max_lookups), 1024, true},
    {OPTION(max_lookups), 1025, false},
};

static void test_barrel_discovery_option(void **state)
{
    const option_row *row = *state;
    node n;

    node_prepare(&n);
    memcpy(
        (uint8_t *)&n.options + row->offset, &row->value, sizeof(row->value));
    assert_int_equal(pn_barrel_discovery_new(n.loop, &n.options, &n.d),
        row->is_good ? PN_OK : PN_INVALID);
    node_fini(&n);
}

static void test_barrel_discovery_option_texts(void **state)
{
    node n;

    (void)state;
    node_prepare(&n);
    n.options.node_name = "no-name";
    assert_int_equal(
        pn_barrel_discovery_new(n.loop, &n.options, &n.d), PN_INVALID);
    n.options.node_name = NULL;
    n.options.dir = "";
    assert_int_equal(
        pn_barrel_discovery_new(n.loop, &n.options, &n.d), PN_INVALID);
    node_fini(&n);
}

/* ---- publishing --------------------------------------------------------- */

static void assert_published(node *n, const char *want)
{
    size_t len;
    uint8_t *data = pn_tempdir_get(&n->dir, OURS ".endpoint", &len);

    assert_non_null(data);
    pn_assert_bytes(data, len, (const uint8_t *)want, strlen(want));
    assert_int_equal(pn_tempdir_mode(&n->dir, OURS ".endpoint"), 0644);
    assert_int_equal(pn_tempdir_count(&n->dir), 1);
    free(data);
}

static void test_barrel_discovery_publish(void **state)
{
    char why[256] = "";
    node n;

    (void)state;
    node_prepare(&n);
    node_start(&n);
    assert_int_equal(
        pn_barrel_discovery_publish(n.d, NULL, why, sizeof(why)), PN_STATE);
    assert_string_not_equal(why, "");
    node_bind(&n, "0.0.0.0:4433");
    assert_int_equal(
        pn_barrel_discovery_unpublish(n.d, why, sizeof(why)), PN_STATE);
    assert_int_equal(
        pn_barrel_discovery_publish(n.d, NULL, why, sizeof(why)), PN_OK);
    assert_published(&n, "{\"h.example\",4433}.\n");
    assert_int_equal(
        pn_barrel_discovery_publish(n.d, "192.0.2.1", why, sizeof(why)), PN_OK);
    assert_published(&n, "{\"192.0.2.1\",4433}.\n");
    assert_int_equal(
        pn_barrel_discovery_publish(n.d, "a\"b", why, sizeof(why)), PN_INVALID);
    assert_published(&n, "{\"192.0.2.1\",4433}.\n");
    assert_int_equal(
        pn_barrel_discovery_unpublish(n.d, why, sizeof(why)), PN_OK);
    assert_int_equal(pn_tempdir_count(&n.dir), 0);
    assert_int_equal(
        pn_barrel_discovery_unpublish(n.d, why, sizeof(why)), PN_STATE);
    node_fini(&n);
}

static void test_barrel_discovery_unpublish_not_ours(void **state)
{
    char why[256] = "";
    node n;

    (void)state;
    node_prepare(&n);
    node_start(&n);
    node_bind(&n, "0.0.0.0:4433");
    assert_int_equal(
        pn_barrel_discovery_publish(n.d, NULL, why, sizeof(why)), PN_OK);
    node_put(&n, OURS, "{\"h.example\",4434}.\n");
    assert_int_equal(
        pn_barrel_discovery_unpublish(n.d, why, sizeof(why)), PN_MISMATCH);
    assert_int_equal(pn_tempdir_count(&n.dir), 1);
    node_fini(&n);
}

/* Two nodes of one host find each other, and not themselves. */
static void test_barrel_discovery_two_nodes(void **state)
{
    char why[256] = "";
    node a;
    node b;

    (void)state;
    node_prepare(&a);
    node_start(&a);
    node_bind(&a, "0.0.0.0:4433");
    node_prepare(&b);
    b.options.dir = a.dir.path;
    b.options.node_name = "beta@localhost";
    node_start(&b);
    node_bind(&b, "0.0.0.0:4434");
    assert_int_equal(
        pn_barrel_discovery_publish(a.d, "localhost", why, sizeof(why)), PN_OK);
    assert_int_equal(
        pn_barrel_discovery_publish(b.d, NULL, why, sizeof(why)), PN_OK);
    node_look(&a, "beta@localhost");
    assert_found(&a, PN_BARREL_FILE, "127.0.0.1:4434");
    node_look(&b, OURS);
    assert_found(&b, PN_BARREL_FILE, "127.0.0.1:4433");
    assert_int_equal(
        pn_barrel_discovery_unpublish(b.d, why, sizeof(why)), PN_OK);
    node_look(&a, "beta@localhost");
    assert_nobody(&a, "no such");
    node_fini(&b);
    node_fini(&a);
}

#define ROWS(table, function, format)                                          \
    for (size_t i = 0; i < sizeof(table) / sizeof((table)[0]); i++) {          \
        pn_test_addf(function, (void *)(uintptr_t) & (table)[i], format, i);   \
    }
#define ADD(what)                                                              \
    pn_test_add("barrel/lookup/" #what, test_barrel_discovery_##what, NULL)

int main(void)
{
    ADD(order);
    ADD(goes_on);
    ADD(names_are_resolved);
    ADD(nobody);
    ADD(invalid_name);
    ADD(dns_port);
    ADD(dns_port_default);
    for (size_t i = 0; i < sizeof(OWN) / sizeof(OWN[0]); i++) {
        pn_test_addf(test_barrel_discovery_own_address,
            (void *)(uintptr_t)&OWN[i], "barrel/lookup/own_address %s and %s",
            OWN[i].bound == NULL ? "nowhere" : OWN[i].bound, OWN[i].asked);
    }
    ADD(own_address_by_dns);
    ADD(own_address_by_file);
    ADD(own_address_among_others);
    ADD(own_interface);
    for (size_t i = 0; i < sizeof(NOBODYS) / sizeof(NOBODYS[0]); i++) {
        pn_test_addf(test_barrel_discovery_nobodys_address,
            (void *)(uintptr_t)NOBODYS[i], "barrel/lookup/nobodys_address %s",
            NOBODYS[i]);
    }
    ADD(own_name);
    ADD(cancel);
    ADD(timeout);
    ADD(free_in_callback);
    ADD(max_static);
    ADD(max_lookups);
    ROWS(STATIC, test_barrel_discovery_static, "barrel/lookup/static %zu");
    ADD(static_host_length);
    ADD(lookup_names);
    ROWS(OPTIONS, test_barrel_discovery_option, "barrel/lookup/option %zu");
    ADD(option_texts);
    ADD(publish);
    ADD(unpublish_not_ours);
    ADD(two_nodes);
    return pn_test_run("barrel/lookup");
}

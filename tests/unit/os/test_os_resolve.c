/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness.h"
#include "os/clock.h"
#include "os/resolve.h"
#include "own_resolver.h"

/* ---- asking ------------------------------------------------------------- */

typedef struct result {
    pn_loop *loop;
    unsigned n_calls;
    unsigned n_wanted; /* the loop stops then */
    pn_err err;
    pn_address addresses[PN_RESOLVE_MAX];
    size_t n;
    char why[128];
} result;

static void on_answer(void *user, pn_err err, const pn_address *addresses,
    size_t n, const char *why)
{
    result *r = user;

    r->err = err;
    assert_true(n <= PN_RESOLVE_MAX);
    memcpy(r->addresses, addresses, n * sizeof(*addresses));
    r->n = n;
    (void)snprintf(r->why, sizeof(r->why), "%s", why);
    if (++r->n_calls == r->n_wanted) {
        pn_loop_stop(r->loop);
    }
}

static void on_too_late(void *user)
{
    pn_loop_stop(user);
}

/* Runs the loop until it is stopped, 20 seconds at most. */
static void run(pn_loop *loop)
{
    pn_timer *guard;

    assert_int_equal(pn_timer_new(loop, on_too_late, loop, &guard), PN_OK);
    pn_timer_set(guard, pn_loop_update_now(loop) + 20 * PN_US_PER_S);
    pn_loop_run(loop);
    pn_timer_free(guard);
}

static void assert_text(const pn_address *address, const char *want)
{
    char text[PN_ADDRESS_TEXT_LEN];

    pn_address_text(address, text);
    assert_string_equal(text, want);
}

static result ask(const char *host)
{
    result r = {.n_wanted = 1};
    pn_resolve *resolve;

    assert_int_equal(pn_loop_new(&r.loop), PN_OK);
    assert_int_equal(
        pn_resolve_start(r.loop, host, 9100, on_answer, &r, &resolve), PN_OK);
    assert_int_equal(r.n_calls, 0); /* never from inside */
    run(r.loop);
    assert_int_equal(r.n_calls, 1);
    pn_loop_free(r.loop);
    return r;
}

typedef struct literal_row {
    const char *host;
    const char *first;
    const char *second; /* or NULL */
} literal_row;

static const literal_row LITERALS[] = {
    {"127.0.0.1", "127.0.0.1:9100", NULL},
    {"192.0.2.7", "192.0.2.7:9100", NULL},
    {"::1", "[::1]:9100", NULL},
    {"2001:db8::7", "[2001:db8::7]:9100", NULL},
    {"::ffff:192.0.2.7", "192.0.2.7:9100", NULL},
    {"localhost", "127.0.0.1:9100", "[::1]:9100"},
    {"LocalHost", "127.0.0.1:9100", "[::1]:9100"},
};

static void test_os_resolve_literal(void **state)
{
    const literal_row *row = *state;
    unsigned before = own_resolver_asked();
    result r = ask(row->host);

    assert_int_equal(r.err, PN_OK);
    assert_int_equal(r.n, row->second == NULL ? 1 : 2);
    assert_text(&r.addresses[0], row->first);
    if (row->second != NULL) {
        assert_text(&r.addresses[1], row->second);
    }
    assert_string_equal(r.why, "");
    assert_int_equal(own_resolver_asked(), before);
}

/* 255 letters and 256; filled in main. */
static char longest[256];
static char too_long[257];

static const char *const NO_HOSTS[] = {"", "-x", ".x", "a b", "a/b", "a@b",
    "127.0.0.1:80", "[::1]", "[::1]:80", "::g", "fe80::1%nosuchinterface",
    "a;b", "h\xc3\xb6st", "a\nb", too_long};

static void test_os_resolve_no_host(void **state)
{
    const char *host = *state;
    pn_resolve *resolve = NULL;
    result r = {0};

    assert_int_equal(pn_loop_new(&r.loop), PN_OK);
    assert_int_equal(
        pn_resolve_start(r.loop, host, 9100, on_answer, &r, &resolve),
        PN_INVALID);
    assert_null(resolve);
    pn_loop_run_once(r.loop);
    assert_int_equal(r.n_calls, 0);
    pn_loop_free(r.loop);
}

static void test_os_resolve_unknown_name(void **state)
{
    result r = ask("x.invalid");

    (void)state;
    /* If no name server can be reached the name is not known either. */
    assert_true(r.err == PN_NOT_FOUND || r.err == PN_SYS);
    assert_int_equal(r.n, 0);
    assert_string_not_equal(r.why, "");
}

static void test_os_resolve_longest_name(void **state)
{
    (void)state;
    assert_int_not_equal(ask(longest).err, PN_OK);
}

static void test_os_resolve_no_address(void **state)
{
    result r = ask("none.test");

    (void)state;
    assert_int_equal(r.err, PN_NOT_FOUND);
    assert_string_not_equal(r.why, "");
}

static void test_os_resolve_many(void **state)
{
    static const unsigned wanted[] = {
        1, 2, PN_RESOLVE_MAX - 1, PN_RESOLVE_MAX, PN_RESOLVE_MAX + 1, 100};

    (void)state;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        char host[32];
        result r;

        (void)snprintf(host, sizeof(host), "%u.many.test", wanted[i]);
        r = ask(host);
        assert_int_equal(r.err, PN_OK);
        assert_int_equal(
            r.n, wanted[i] < PN_RESOLVE_MAX ? wanted[i] : PN_RESOLVE_MAX);
        assert_text(&r.addresses[0], "10.0.0.1:9100");
        assert_int_equal(pn_address_port(&r.addresses[r.n - 1]), 9100);
    }
}

static void test_os_resolve_same_once(void **state)
{
    result r = ask("5.same.test");

    (void)state;
    assert_int_equal(r.n, 1);
    assert_text(&r.addresses[0], "10.0.0.1:9100");
}

/* ---- cancelling --------------------------------------------------------- */

static void test_os_resolve_cancel_literal(void **state)
{
    result r = {0};
    pn_resolve *resolve;

    (void)state;
    assert_int_equal(pn_loop_new(&r.loop), PN_OK);
    assert_int_equal(
        pn_resolve_start(r.loop, "::1", 9100, on_answer, &r, &resolve), PN_OK);
    pn_resolve_cancel(resolve);
    pn_loop_run_once(r.loop);
    assert_int_equal(r.n_calls, 0);
    pn_loop_free(r.loop);
    pn_resolve_cancel(NULL);
}

/* The loop does not wait for the resolver, which sleeps until it is opened. */
static void test_os_resolve_cancel_in_flight(void **state)
{
    result r = {0};
    pn_resolve *resolve;

    (void)state;
    own_resolver_open(false);
    assert_int_equal(pn_loop_new(&r.loop), PN_OK);
    assert_int_equal(
        pn_resolve_start(r.loop, "slow.test", 9100, on_answer, &r, &resolve),
        PN_OK);
    own_resolver_wait(1);
    pn_resolve_cancel(resolve);
    pn_loop_free(r.loop);
    own_resolver_open(true);
    own_resolver_wait(0);
    assert_int_equal(r.n_calls, 0);
}

/* The answer is there and was not heard yet. */
static void test_os_resolve_cancel_answered(void **state)
{
    result r = {0};
    pn_resolve *resolve;

    (void)state;
    own_resolver_open(false);
    assert_int_equal(pn_loop_new(&r.loop), PN_OK);
    assert_int_equal(
        pn_resolve_start(r.loop, "slow.test", 9100, on_answer, &r, &resolve),
        PN_OK);
    own_resolver_wait(1);
    own_resolver_open(true);
    own_resolver_wait(0);
    (void)nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
    pn_resolve_cancel(resolve);
    pn_loop_run_once(r.loop);
    assert_int_equal(r.n_calls, 0);
    pn_loop_free(r.loop);
}

/* Threads of earlier tests may still be on their way out. */
static pn_err start_when_room(result *r, pn_resolve **ret_resolve)
{
    pn_err err = PN_BUSY;

    for (int i = 0; err == PN_BUSY && i < 1000; i++) {
        err = pn_resolve_start(
            r->loop, "slow.test", 9100, on_answer, r, ret_resolve);
        if (err == PN_BUSY) {
            (void)nanosleep(&(struct timespec){.tv_nsec = 1000 * 1000}, NULL);
        }
    }
    return err;
}

/* A cancelled one still has its thread and counts. */
static void test_os_resolve_running_max(void **state)
{
    result r = {.n_wanted = PN_RESOLVE_RUNNING_MAX - 1};
    pn_resolve *resolve[PN_RESOLVE_RUNNING_MAX + 1] = {NULL};

    (void)state;
    own_resolver_open(false);
    assert_int_equal(pn_loop_new(&r.loop), PN_OK);
    for (size_t i = 0; i < PN_RESOLVE_RUNNING_MAX; i++) {
        assert_int_equal(start_when_room(&r, &resolve[i]), PN_OK);
    }
    own_resolver_wait(PN_RESOLVE_RUNNING_MAX);
    pn_resolve_cancel(resolve[0]);
    assert_int_equal(pn_resolve_start(r.loop, "slow.test", 9100, on_answer, &r,
                         &resolve[PN_RESOLVE_RUNNING_MAX]),
        PN_BUSY);
    own_resolver_open(true);
    run(r.loop);
    assert_int_equal(r.n_calls, PN_RESOLVE_RUNNING_MAX - 1);
    assert_int_equal(r.err, PN_OK);
    r.n_wanted++;
    assert_int_equal(start_when_room(&r, &resolve[0]), PN_OK);
    run(r.loop);
    assert_int_equal(r.n_calls, PN_RESOLVE_RUNNING_MAX);
    pn_loop_free(r.loop);
}

int main(void)
{
    memset(longest, 'a', sizeof(longest) - 1);
    memset(too_long, 'a', sizeof(too_long) - 1);
    for (size_t i = 0; i < sizeof(LITERALS) / sizeof(LITERALS[0]); i++) {
        pn_test_addf(test_os_resolve_literal, (void *)(uintptr_t)&LITERALS[i],
            "os/resolve/literal %s", LITERALS[i].host);
    }
    for (size_t i = 0; i < sizeof(NO_HOSTS) / sizeof(NO_HOSTS[0]); i++) {
        pn_test_addf(test_os_resolve_no_host, (void *)(uintptr_t)NO_HOSTS[i],
            "os/resolve/no_host %zu", i);
    }
    pn_test_add("os/resolve/unknown_name", test_os_resolve_unknown_name, NULL);
    pn_test_add("os/resolve/longest_name", test_os_resolve_longest_name, NULL);
    pn_test_add("os/resolve/no_address", test_os_resolve_no_address, NULL);
    pn_test_add("os/resolve/many", test_os_resolve_many, NULL);
    pn_test_add("os/resolve/same_once", test_os_resolve_same_once, NULL);
    pn_test_add(
        "os/resolve/cancel_literal", test_os_resolve_cancel_literal, NULL);
    pn_test_add(
        "os/resolve/cancel_in_flight", test_os_resolve_cancel_in_flight, NULL);
    pn_test_add(
        "os/resolve/cancel_answered", test_os_resolve_cancel_answered, NULL);
    pn_test_add("os/resolve/running_max", test_os_resolve_running_max, NULL);
    return pn_test_run("os/resolve");
}

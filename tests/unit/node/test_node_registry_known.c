/* SPDX-License-Identifier: Apache-2.0 */
/* T3: the hosts that paired peers are known at. */
#include "registry_fixture.h"

static bool is_known(const fixture *f, unsigned n)
{
    pn_address at = host(n);

    pn_address_set_port(&at, 40000); /* the port of a caller is any */
    return pn_registry_knows_host(f->r, &at);
}

static void test_known_told(void **state)
{
    fixture *f = fixture_with_peer(NULL);

    (void)state;
    assert_false(is_known(f, 1));
    hint(f, &f->large, 1, PN_REG_MANUAL);
    hint(f, &f->large, 2, PN_REG_REMEMBERED);
    assert_true(is_known(f, 1));
    assert_true(is_known(f, 2));
    assert_false(is_known(f, 3));
    fixture_free(f);
}

/* Announces can be forged, and would give a stranger the reserve. */
static void test_known_announced_is_not(void **state)
{
    fixture *f = fixture_with_peer(NULL);

    (void)state;
    hint(f, &f->large, 1, PN_REG_DISCOVERED);
    assert_false(is_known(f, 1));
    hint(f, &f->large, 1, PN_REG_MANUAL);
    assert_true(is_known(f, 1));
    fixture_free(f);
}

static void test_known_authenticated(void **state)
{
    fixture *f = fixture_with_peer(NULL);
    pn_address at = host(1);
    pn_reg_peer *p;
    int link;

    (void)state;
    p = pn_registry_link_up(f->r, &f->large, &link, false, &at, f->now_us);
    assert_non_null(p);
    assert_true(is_known(f, 1));
    pn_registry_link_down(f->r, p, &link, PN_REASON_PEER_CLOSED, f->now_us);
    assert_true(is_known(f, 1)); /* it may come back */
    fixture_free(f);
}

static void test_known_until_unpaired(void **state)
{
    fixture *f = fixture_with_peer(NULL);

    (void)state;
    assert_int_equal(pn_registry_peer_add(f->r, &f->small, NULL, NULL), PN_OK);
    hint(f, &f->large, 1, PN_REG_MANUAL);
    hint(f, &f->large, 2, PN_REG_MANUAL);
    hint(f, &f->small, 2, PN_REG_MANUAL);
    assert_int_equal(
        pn_registry_peer_remove(f->r, &f->large, f->now_us), PN_OK);
    assert_false(is_known(f, 1));
    assert_true(is_known(f, 2)); /* of the other */
    assert_int_equal(
        pn_registry_peer_remove(f->r, &f->small, f->now_us), PN_OK);
    assert_false(is_known(f, 2));
    fixture_free(f);
}

/* A peer is known at its latest hosts, as many as it has addresses, so that one
 * that moves for ever takes no more memory. */
static void test_known_latest(void **state)
{
    enum { MAX = PN_REG_MAX_ADDRESSES };
    fixture *f = fixture_with_peer(NULL);

    (void)state;
    for (unsigned i = 1; i <= MAX; i++) {
        hint(f, &f->large, i, PN_REG_REMEMBERED);
    }
    hint(f, &f->large, 1, PN_REG_REMEMBERED); /* the latest again */
    hint(f, &f->large, MAX + 1, PN_REG_REMEMBERED);
    for (unsigned i = 1; i <= MAX + 1; i++) {
        assert_int_equal(is_known(f, i), i != 2);
    }
    for (unsigned i = 100; i < 1000; i++) {
        hint(f, &f->large, i, PN_REG_REMEMBERED);
    }
    for (unsigned i = 1; i < 1000; i++) {
        assert_int_equal(is_known(f, i), i >= 1000 - MAX);
    }
    fixture_free(f);
}

/* IPv4 is the same host when it is written as IPv6; an interface makes a
 * difference where it has to. */
static void test_known_forms(void **state)
{
    fixture *f = fixture_with_peer(NULL);
    pn_address at = v6("::ffff:10.0.0.1", 1);
    pn_address local = v6("fe80::1", 1);

    (void)state;
    hint(f, &f->large, 1, PN_REG_MANUAL);
    assert_true(pn_registry_knows_host(f->r, &at));
    local.in6.sin6_scope_id = 2;
    assert_int_equal(
        pn_registry_hint(f->r, &f->large, &local, PN_REG_MANUAL, f->now_us),
        PN_OK);
    assert_true(pn_registry_knows_host(f->r, &local));
    local.in6.sin6_scope_id = 3;
    assert_false(pn_registry_knows_host(f->r, &local));
    fixture_free(f);
}

/* The largest number of hosts: all of them are known, and no other. */
static void test_known_of_all_peers(void **state)
{
    enum { EACH = PN_REG_MAX_ADDRESSES };
    fixture *f = fixture_new();

    (void)state;
    fixture_start(f);
    for (unsigned i = 0; i < f->config.max_peers; i++) {
        pn_public_key key = {{1, (uint8_t)i, (uint8_t)(i >> 8)}};

        assert_int_equal(pn_registry_peer_add(f->r, &key, NULL, NULL), PN_OK);
        for (unsigned k = 0; k < EACH; k++) {
            hint(f, &key, 1 + EACH * i + k, PN_REG_REMEMBERED);
        }
    }
    for (unsigned n = 1; n <= 2 * EACH * f->config.max_peers; n++) {
        assert_int_equal(is_known(f, n), n <= EACH * f->config.max_peers);
    }
    fixture_free(f);
}

int main(void)
{
#define ADD(name) pn_test_add("node/known/" #name, test_known_##name, NULL)
    ADD(told);
    ADD(announced_is_not);
    ADD(authenticated);
    ADD(until_unpaired);
    ADD(latest);
    ADD(forms);
    ADD(of_all_peers);
    return pn_test_run("node/known");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Several addresses of one peer that are tried in one dial: those of a list,
 * and of a name. */
#include "registry_fixture.h"

static int link_a;

/* The dial in flight, and what is tried beside it: n, up to a 0. */
static void assert_order(fixture *f, const pn_reg_peer *p, const unsigned *n)
{
    pn_address at = last(f, EVENT_DIAL)->address;

    assert_int_equal(host_number(&at), *n++);
    while (*n != 0) {
        assert_true(pn_registry_dial_also(p, &at));
        assert_int_equal(host_number(&at), *n++);
    }
    assert_false(pn_registry_dial_also(p, &at));
}

static void name_is_at(fixture *f, const unsigned *n)
{
    pn_address list[64];
    size_t n_list = 0;

    for (; *n != 0; n++) {
        list[n_list++] = host(*n);
    }
    assert_int_equal(
        pn_registry_name_is_at(f->r, &f->large, list, n_list, f->now_us),
        PN_OK);
}

/* Those the owner asks for now, then those given or remembered before, the
 * newest first. Announced addresses have dials of their own. */
static void test_list_in_order(void **state)
{
    static const unsigned order[] = {5, 3, 9, 2, 1, 7, 0};
    const pn_address list[] = {host(5), host(3), host(9)};
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    hint(f, &f->large, 8, PN_REG_DISCOVERED);
    (void)next_dial(f, 1 * S);
    fail_dial(f, p, PN_REASON_CONNECTION_REFUSED);
    hint(f, &f->large, 7, PN_REG_REMEMBERED);
    for (unsigned n = 1; n <= 3; n++) {
        hint(f, &f->large, n, PN_REG_MANUAL);
    }
    assert_int_equal(
        pn_registry_connect(f->r, &f->large, list, 3, f->now_us), PN_OK);
    (void)next_dial(f, 0);
    assert_order(f, p, order);
    fixture_free(f);
}

/* All of them were tried beside the first: the step is over. */
static void test_list_once_in_a_step(void **state)
{
    static const unsigned order[] = {1, 2, 3, 0};
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    name_is_at(f, order);
    for (unsigned step = 1; step <= 5; step++) {
        (void)next_dial(f, 31 * S);
        assert_order(f, p, order);
        fail_dial(f, p, PN_REASON_CONNECTION_REFUSED);
        run_for(f, 300 * MS);
        assert_int_equal(count(f, EVENT_DIAL), step);
    }
    fixture_free(f);
}

/* As many as there is room for, the first of the list. */
static void test_name_max(void **state)
{
    unsigned order[PN_REG_MAX_MANUAL + 3] = {0};
    pn_address list[PN_REG_MAX_MANUAL + 1];
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    for (unsigned i = 0; i < PN_REG_MAX_MANUAL + 1; i++) {
        order[i] = 50 - i;
        list[i] = host(order[i]);
    }
    assert_int_equal(pn_registry_connect(f->r, &f->large, list,
                         PN_REG_MAX_MANUAL + 1, f->now_us),
        PN_INVALID);
    assert_int_equal(addresses_of(p, NULL, 0), 0);
    name_is_at(f, order);
    order[PN_REG_MAX_MANUAL] = 0;
    (void)next_dial(f, 0);
    assert_order(f, p, order);
    fail_dial(f, p, PN_REASON_CONNECTION_REFUSED);
    assert_int_equal(pn_registry_connect(
                         f->r, &f->large, list, PN_REG_MAX_MANUAL, f->now_us),
        PN_OK);
    (void)next_dial(f, 0);
    assert_order(f, p, order);
    fixture_free(f);
}

/* The answer for a name replaces the one before, except the address that
 * worked; a given address stays. */
static void test_name_moves(void **state)
{
    static const unsigned before[] = {1, 2, 3, 0};
    static const unsigned after[] = {4, 3, 0};
    static const unsigned order[] = {2, 4, 3, 9, 0};
    const pn_address anywhere = v4("0.0.0.0", 7100);
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);
    pn_address at;

    (void)state;
    hint(f, &f->large, 9, PN_REG_MANUAL);
    name_is_at(f, before);
    (void)next_dial(f, 0);
    assert_true(pn_registry_dial_also(p, &at));
    pn_registry_dial_at(p, &at);
    link_up(f, p, &link_a, true);
    link_down(f, p, &link_a, PN_REASON_CONNECTION_RESET);
    name_is_at(f, after);
    (void)next_dial(f, 1 * S);
    assert_order(f, p, order);
    /* No address, and one that no host can have. */
    assert_int_equal(
        pn_registry_name_is_at(f->r, &f->large, &anywhere, 1, f->now_us),
        PN_OK);
    assert_int_equal(addresses_of(p, NULL, 0), 2);
    assert_int_equal(
        pn_registry_name_is_at(f->r, &f->small, &anywhere, 1, f->now_us),
        PN_NOT_FOUND);
    fixture_free(f);
}

int main(void)
{
    pn_test_add("node/registry/list/in_order", test_list_in_order, NULL);
    pn_test_add(
        "node/registry/list/once_in_a_step", test_list_once_in_a_step, NULL);
    pn_test_add("node/registry/list/name_max", test_name_max, NULL);
    pn_test_add("node/registry/list/name_moves", test_name_moves, NULL);
    return pn_test_run("node/registry/list");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses of a peer that are kept, their order of dials, and the failures
 * that are reported. */
#include "registry_dial.h"

static char link_a;

/* ---- addresses ---- */

typedef struct address_row {
    const char *name;
    const char *host;
    uint16_t port;
    bool is_v6;
    bool is_taken;
} address_row;

static address_row address_rows[] = {
    {"v4", "192.0.2.1", 7100, false, true},
    {"v4_port_1", "192.0.2.1", 1, false, true},
    {"v4_port_0", "192.0.2.1", 0, false, false},
    {"v4_any", "0.0.0.0", 7100, false, false},
    {"v4_broadcast", "255.255.255.255", 7100, false, false},
    {"v4_last_before_multicast", "223.255.255.255", 7100, false, true},
    {"v4_first_multicast", "224.0.0.0", 7100, false, false},
    {"v4_last_multicast", "239.255.255.255", 7100, false, false},
    {"v6", "2001:db8::1", 7100, true, true},
    {"v6_port_0", "2001:db8::1", 0, true, false},
    {"v6_any", "::", 7100, true, false},
    {"v6_multicast", "ff02::1", 7100, true, false},
    {"v6_mapped_v4", "::ffff:192.0.2.1", 7100, true, true},
    {"v6_mapped_any", "::ffff:0.0.0.0", 7100, true, false},
    {"v6_mapped_broadcast", "::ffff:255.255.255.255", 7100, true, false},
    {"v6_mapped_multicast", "::ffff:224.0.0.1", 7100, true, false},
    {"v6_loopback", "::1", 7100, true, true},
};

static void test_dial_address(void **state)
{
    const address_row *row = *state;
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);
    pn_address a = row->is_v6 ? v6(row->host, row->port)
                              : v4(row->host, row->port);

    for (unsigned kind = 0; kind < 3; kind++) {
        assert_int_equal(
            pn_registry_hint(f->r, &f->large, &a, (pn_reg_hint)kind, f->now_us),
            row->is_taken ? PN_OK : PN_INVALID);
    }
    assert_int_equal(pn_registry_connect(f->r, &f->large, &a, 1, f->now_us),
        row->is_taken ? PN_OK : PN_INVALID);
    run_for(f, 60 * S);
    assert_int_equal(count(f, EVENT_DIAL), row->is_taken ? 1 : 0);
    fixture_free(f);
}

static void test_dial_address_of_no_family(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);
    pn_address a = host(1);

    (void)state;
    a.any.sa_family = AF_UNIX;
    assert_int_equal(
        pn_registry_hint(f->r, &f->large, &a, PN_REG_MANUAL, f->now_us),
        PN_INVALID);
    fixture_free(f);
}

/* Announces replace only addresses that were only announced, the one that was
 * dialled longest ago first, however lately it was announced again. */
static void test_dial_at_most_four_addresses(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    for (unsigned i = 1; i <= 5; i++) {
        assert_int_equal(addresses_of(p, NULL, 0), i <= 4 ? i - 1 : 4);
        hint(f, &f->large, i, PN_REG_DISCOVERED);
        assert_int_equal(host_number(&next_dial(f, 6 * S)->address), i);
        fail_dial(f, p, PN_REASON_CONNECTION_REFUSED);
        hint(f, &f->large, 1, PN_REG_DISCOVERED);
        f->now_us += 1;
    }
    hint(f, &f->large, 5, PN_REG_DISCOVERED);
    for (unsigned i = 2; i <= 5; i++) {
        assert_int_equal(known(p, i), 1);
    }
    fixture_free(f);
}

/* One waits for each source, and no later one takes its place. */
static void test_dial_candidates_by_source(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);
    pn_address other_port = host(1);
    pn_address dialled;

    (void)state;
    hint(f, &f->large, 1, PN_REG_DISCOVERED);
    hint(f, &f->large, 2, PN_REG_DISCOVERED);
    for (uint16_t port = 8000; port < 8100; port++) {
        pn_address_set_port(&other_port, port);
        assert_int_equal(pn_registry_hint(f->r, &f->large, &other_port,
                             PN_REG_DISCOVERED, f->now_us),
            PN_OK);
    }
    assert_int_equal(addresses_of(p, NULL, 0), 2);
    dialled = next_dial(f, 1 * S)->address;
    assert_int_equal(pn_address_port(&dialled), 7100);
    assert_int_equal(host_number(&dialled), 1);
    /* It was dialled, so it waits again behind the other. */
    assert_int_equal(pn_registry_hint(f->r, &f->large, &other_port,
                         PN_REG_DISCOVERED, f->now_us),
        PN_OK);
    fail_dial(f, p, PN_REASON_CONNECTION_REFUSED);
    assert_int_equal(host_number(&next_dial(f, 5 * S)->address), 2);
    fail_dial(f, p, PN_REASON_CONNECTION_REFUSED);
    assert_true(pn_address_equal(&next_dial(f, 5 * S)->address, &other_port));
    fixture_free(f);
}

/* One peer found in five ways is one peer with one address; the last dial says
 * which way led to it. */
static void test_dial_rungs(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);
    pn_address here = host(1);

    (void)state;
    assert_null(info(f, p).rung);
    assert_int_equal(
        pn_registry_heard(f->r, &f->large, &here, "one", f->now_us), PN_OK);
    assert_int_equal(
        pn_registry_heard(f->r, &f->large, &here, "two", f->now_us), PN_OK);
    assert_int_equal(addresses_of(p, NULL, 0), 1);
    (void)next_dial(f, 1 * S);
    link_up(f, p, &here, true);
    assert_string_equal(info(f, p).rung, "one");
    link_down(f, p, &here, PN_REASON_PEER_CLOSED);
    hint(f, &f->large, 1, PN_REG_REMEMBERED);
    (void)next_dial(f, 5 * S);
    link_up(f, p, &here, true);
    assert_string_equal(info(f, p).rung, "remembered");
    link_down(f, p, &here, PN_REASON_PEER_CLOSED);
    assert_int_equal(
        pn_registry_name_is_at(f->r, &f->large, &here, 1, f->now_us), PN_OK);
    f->now_us += 60 * S;
    (void)next_dial(f, 60 * S);
    fail_dial(f, p, PN_REASON_CONNECT_TIMEOUT);
    assert_string_equal(info(f, p).rung, "remembered");
    assert_int_equal(
        pn_registry_heard(f->r, &f->large, &here, "two", f->now_us), PN_OK);
    (void)next_dial(f, 60 * S);
    link_up(f, p, &here, true);
    assert_string_equal(info(f, p).rung, "two");
    assert_int_equal(addresses_of(p, NULL, 0), 1);
    fixture_free(f);
}

static void test_dial_candidates_max(void **state)
{
    unsigned max = (unsigned)(uintptr_t)*state;
    fixture *f = fixture_new();
    pn_reg_peer *p;

    if (max != f->config.max_candidates) {
        f->config.max_candidates = max;
    }
    fixture_start(f);
    assert_int_equal(pn_registry_peer_add(f->r, &f->large, NULL, &p), PN_OK);
    for (unsigned i = 1; i <= max + 1; i++) {
        hint(f, &f->large, i, PN_REG_DISCOVERED);
        assert_int_equal(addresses_of(p, NULL, 0), i <= max ? i : max);
    }
    assert_int_equal(known(p, max), 1);
    assert_int_equal(known(p, max + 1), 0);
    /* An address given by the owner is heeded all the same. */
    hint(f, &f->large, max + 1, PN_REG_MANUAL);
    assert_int_equal(known(p, max + 1), 1);
    fixture_free(f);
}

/* An address that was merely heard has 5 s while others wait, not longer. */
static void test_dial_gives_way(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_dialling(PN_REG_DISCOVERED, &p);
    uint64_t first_us;

    (void)state;
    run_for(f, 20 * S);
    assert_int_equal(count(f, EVENT_CANCEL), 0);
    hint(f, &f->large, 2, PN_REG_DISCOVERED);
    assert_int_equal(host_number(&next_dial(f, 1 * S)->address), 2);
    assert_int_equal(count(f, EVENT_CANCEL), 1);
    hint(f, &f->large, 3, PN_REG_DISCOVERED);
    first_us = f->now_us;
    assert_int_equal(host_number(&next_dial(f, 6 * S)->address), 3);
    assert_true(f->now_us - first_us >= 5 * S);
    assert_int_equal(count(f, EVENT_CANCEL), 2);
    fixture_free(f);
}

/* A known address that does not answer for half a second gives way to one that
 * was heard, because the peer may have moved. The next dial to it does not:
 * forged announces cannot keep a slow answer from arriving. */
static void test_dial_unanswered_gives_way(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_dialling(PN_REG_MANUAL, &p);
    uint64_t dialled_us = f->now_us;

    (void)state;
    hint(f, &f->large, 2, PN_REG_DISCOVERED);
    run_until(f, dialled_us + 500 * MS - 1);
    assert_int_equal(count(f, EVENT_CANCEL), 0);
    assert_int_equal(host_number(&next_dial(f, 1)->address), 2);
    assert_int_equal(count(f, EVENT_CANCEL), 1);
    fail_dial(f, p, PN_REASON_CONNECTION_REFUSED);
    assert_int_equal(host_number(&next_dial(f, 1 * S)->address), 1);
    hint(f, &f->large, 3, PN_REG_DISCOVERED);
    run_for(f, 20 * S);
    assert_int_equal(count(f, EVENT_CANCEL), 1);
    fail_dial(f, p, PN_REASON_CONNECT_TIMEOUT);
    assert_int_equal(host_number(&next_dial(f, 1 * S)->address), 3);
    do {
        fail_dial(f, p, PN_REASON_CONNECTION_REFUSED);
    } while (host_number(&next_dial(f, 30 * S)->address) != 1);
    hint(f, &f->large, 4, PN_REG_DISCOVERED);
    assert_int_equal(host_number(&next_dial(f, 6 * S)->address), 4);
    assert_int_equal(count(f, EVENT_CANCEL), 2);
    /* A link makes the next dial one that may give way. */
    link_up(f, p, &dialled_us, true);
    f->now_us += 60 * S;
    link_down(f, p, &dialled_us, PN_REASON_ADDRESS_GONE);
    assert_int_equal(host_number(&next_dial(f, 1 * S)->address), 4);
    dialled_us = f->now_us;
    hint(f, &f->large, 5, PN_REG_DISCOVERED);
    assert_int_equal(host_number(&next_dial(f, 1 * S)->address), 5);
    assert_true(f->now_us - dialled_us <= 600 * MS);
    fixture_free(f);
}

/* One that has answered does not: a connection would end at the peer. */
static void test_dial_answered_is_kept(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_dialling(PN_REG_MANUAL, &p);

    (void)state;
    pn_registry_dial_connected(f->r, p);
    hint(f, &f->large, 2, PN_REG_DISCOVERED);
    run_for(f, 20 * S);
    assert_int_equal(count(f, EVENT_CANCEL), 0);
    assert_int_equal(count(f, EVENT_DIAL), 1);
    fixture_free(f);
}

static void test_dial_manual_is_kept(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    hint(f, &f->large, 1, PN_REG_MANUAL);
    hint(f, &f->large, 2, PN_REG_DISCOVERED);
    hint(f, &f->large, 2, PN_REG_MANUAL);
    for (unsigned i = 10; i < 200; i++) {
        f->now_us += 1 * MS;
        hint(f, &f->large, i,
            i % 7 == 0 ? PN_REG_REMEMBERED : PN_REG_DISCOVERED);
    }
    assert_int_equal(known(p, 1), 1);
    assert_int_equal(known(p, 2), 1);
    assert_int_equal(known(p, 199), 1);
    fixture_free(f);
}

static void test_dial_newer_manual_for_older(void **state)
{
    enum { MAX = PN_REG_MAX_MANUAL };
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    for (unsigned i = 1; i <= MAX + 1; i++) {
        hint(f, &f->large, i, PN_REG_MANUAL);
        assert_int_equal(addresses_of(p, NULL, 0), i <= MAX ? i : MAX);
    }
    assert_int_equal(known(p, 1), 0);
    /* One that was dialled rises to manual; an older one falls to remembered.
     */
    hint(f, &f->large, 90, PN_REG_REMEMBERED);
    hint(f, &f->large, 90, PN_REG_MANUAL);
    assert_int_equal(known(p, 2), 1);
    for (unsigned i = 100; i < 110; i++) {
        hint(f, &f->large, i, PN_REG_REMEMBERED);
    }
    assert_int_equal(known(p, 90), 1);
    assert_int_equal(known(p, 2), 0);
    for (unsigned i = 3; i <= MAX + 1; i++) {
        assert_int_equal(known(p, i), 1);
    }
    assert_int_equal(addresses_of(p, NULL, 0), PN_REG_MAX_ADDRESSES);
    fixture_free(f);
}

static void test_dial_last_good_is_kept(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_dialling(PN_REG_DISCOVERED, &p);

    (void)state;
    link_up(f, p, &link_a, true);
    for (unsigned i = 10; i < 200; i++) {
        f->now_us += 1 * MS;
        hint(f, &f->large, i, PN_REG_DISCOVERED);
    }
    assert_int_equal(known(p, 1), 1);
    /* Nor do addresses that the owner's file remembers push it out. */
    for (unsigned i = 200; i < 210; i++) {
        f->now_us += 1 * MS;
        hint(f, &f->large, i, PN_REG_REMEMBERED);
    }
    assert_int_equal(known(p, 1), 1);
    run_for(f, 60 * S);
    link_down(f, p, &link_a, PN_REASON_CONNECTION_RESET);
    assert_int_equal(host_number(&next_dial(f, 1 * S)->address), 1);
    fixture_free(f);
}

static void test_dial_lost_is_forgotten(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);
    pn_address one = host(1);
    pn_address two = host(2);

    (void)state;
    hint(f, &f->large, 1, PN_REG_DISCOVERED);
    hint(f, &f->large, 2, PN_REG_MANUAL);
    pn_registry_hint_lost(f->r, &f->large, &one);
    pn_registry_hint_lost(f->r, &f->large, &two);
    assert_int_equal(known(p, 1), 0);
    assert_int_equal(known(p, 2), 1);
    fixture_free(f);
}

static void test_dial_lost_leaves_idle(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_dialling(PN_REG_DISCOVERED, &p);
    pn_address one = host(1);

    (void)state;
    fail_dial(f, p, PN_REASON_CONNECTION_REFUSED);
    pn_registry_hint_lost(f->r, &f->large, &one);
    assert_int_equal(info(f, p).state, PN_PEER_IDLE);
    run_for(f, 60 * S);
    assert_int_equal(count(f, EVENT_DIAL), 1);
    fixture_free(f);
}

static void test_dial_lost_while_restarting(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_dialling(PN_REG_DISCOVERED, &p);
    pn_address one = host(1);

    (void)state;
    pn_registry_hint_lost(f->r, &f->large, &one);
    pn_registry_network_changed(f->r, f->now_us);
    run_for(f, 60 * S);
    assert_int_equal(count(f, EVENT_CANCEL), 1);
    assert_int_equal(count(f, EVENT_DIAL), 1);
    assert_int_equal(info(f, p).state, PN_PEER_IDLE);
    assert_true(pn_registry_deadline(f->r) == PN_TIME_NEVER);
    fixture_free(f);
}

static void test_dial_lost_keeps_live_link(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_dialling(PN_REG_DISCOVERED, &p);
    pn_address one = host(1);

    (void)state;
    link_up(f, p, &link_a, true);
    received(f, p, &link_a);
    pn_registry_hint_lost(f->r, &f->large, &one);
    assert_ptr_equal(p->primary, &link_a);
    assert_int_equal(known(p, 1), 1);
    assert_int_equal(count(f, EVENT_CLOSE), 0);
    fixture_free(f);
}

/* Another node answered there. */
static void test_dial_mismatch_drops_what_was_heard(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_dialling(PN_REG_DISCOVERED, &p);

    (void)state;
    fail_dial(f, p, PN_REASON_KEY_MISMATCH);
    assert_int_equal(known(p, 1), 0);
    hint(f, &f->large, 2, PN_REG_MANUAL);
    (void)next_dial(f, 20 * S);
    fail_dial(f, p, PN_REASON_KEY_MISMATCH);
    assert_int_equal(known(p, 2), 1);
    fixture_free(f);
}

/* ---- reports ---- */

static bool is_news(pn_reg_peer *p, unsigned n, pn_reason reason)
{
    pn_address a = host(n);
    bool is_hearsay;

    return pn_registry_is_news(p, &a, reason, &is_hearsay);
}

/* A failing address is reported when its state changes, and when the owner
 * asked. */
static void test_dial_told_on_change(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    hint(f, &f->large, 1, PN_REG_MANUAL);
    hint(f, &f->large, 2, PN_REG_REMEMBERED);
    assert_true(is_news(p, 1, PN_REASON_CONNECT_TIMEOUT));
    assert_true(is_news(p, 2, PN_REASON_CONNECT_TIMEOUT));
    for (unsigned i = 0; i < 10; i++) {
        assert_false(is_news(p, 1, PN_REASON_CONNECT_TIMEOUT));
        assert_false(is_news(p, 2, PN_REASON_CONNECT_TIMEOUT));
    }
    assert_true(is_news(p, 1, PN_REASON_CONNECTION_REFUSED));
    assert_false(is_news(p, 1, PN_REASON_CONNECTION_REFUSED));
    assert_int_equal(
        pn_registry_connect(f->r, &f->large, NULL, 0, f->now_us), PN_OK);
    assert_true(is_news(p, 1, PN_REASON_CONNECTION_REFUSED));
    assert_false(is_news(p, 1, PN_REASON_CONNECTION_REFUSED));
    /* The peer was up meanwhile. */
    link_up(f, p, &link_a, false);
    link_down(f, p, &link_a, PN_REASON_PEER_CLOSED);
    assert_true(is_news(p, 1, PN_REASON_CONNECTION_REFUSED));
    fixture_free(f);
}

/* A refusal alone does not show where the peer listens: it may have stopped. */
static void test_dial_announces_and_refuses(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_dialling(PN_REG_DISCOVERED, &p);
    pn_address a = host(1);

    (void)state;
    assert_false(pn_registry_announces_and_refuses(p, &a));
    fail_dial(f, p, PN_REASON_CONNECTION_REFUSED);
    (void)next_dial(f, 10 * S);
    assert_false(pn_registry_announces_and_refuses(p, &a));
    fail_dial(f, p, PN_REASON_CONNECTION_REFUSED);
    f->now_us += 1;
    hint(f, &f->large, 1, PN_REG_DISCOVERED);
    assert_true(pn_registry_announces_and_refuses(p, &a));
    (void)next_dial(f, 10 * S);
    fail_dial(f, p, PN_REASON_CONNECT_TIMEOUT);
    assert_false(pn_registry_announces_and_refuses(p, &a));
    fixture_free(f);
}

/* If the owner asks while a link is up over which the peer has not spoken, the
 * end of that link is reported. */
static void test_dial_told_of_a_silent_link(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    hint(f, &f->large, 1, PN_REG_MANUAL);
    assert_true(is_news(p, 1, PN_REASON_NOT_PAIRED_THERE));
    (void)next_dial(f, 1 * S);
    link_up(f, p, &link_a, true);
    assert_null(p->primary);
    assert_int_equal(
        pn_registry_connect(f->r, &f->large, NULL, 0, f->now_us), PN_OK);
    assert_true(is_news(p, 1, PN_REASON_NOT_PAIRED_THERE));
    assert_false(is_news(p, 1, PN_REASON_NOT_PAIRED_THERE));
    fixture_free(f);
}

/* If the owner asks, the result at each known address is reported once; the
 * result at a forged one does not use that up. */
static void test_dial_told_of_each_that_was_asked(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);
    pn_address heard = host(1);
    bool is_hearsay = true;

    (void)state;
    hint(f, &f->large, 1, PN_REG_DISCOVERED);
    (void)next_dial(f, 1 * S);
    fail_dial(f, p, PN_REASON_CONNECTION_REFUSED);
    hint(f, &f->large, 2, PN_REG_MANUAL);
    hint(f, &f->large, 3, PN_REG_MANUAL);
    for (unsigned n = 1; n <= 3; n++) {
        assert_true(is_news(p, n, PN_REASON_CONNECTION_REFUSED));
        assert_false(is_news(p, n, PN_REASON_CONNECTION_REFUSED));
    }
    assert_int_equal(
        pn_registry_connect(f->r, &f->large, NULL, 0, f->now_us), PN_OK);
    assert_true(pn_registry_is_news(
        p, &heard, PN_REASON_CONNECTION_REFUSED, &is_hearsay));
    assert_false(is_hearsay);
    for (unsigned n = 2; n <= 3; n++) {
        assert_true(is_news(p, n, PN_REASON_CONNECTION_REFUSED));
    }
    for (unsigned n = 1; n <= 3; n++) {
        assert_false(is_news(p, n, PN_REASON_CONNECTION_REFUSED));
    }
    assert_true(
        pn_registry_is_news(p, &heard, PN_REASON_CONNECT_TIMEOUT, &is_hearsay));
    assert_true(is_hearsay);
    fixture_free(f);
}

/* An address known from an announce alone may be forged. */
static void test_dial_told_as_hearsay(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_dialling(PN_REG_DISCOVERED, &p);
    pn_address heard = host(1);
    pn_address manual = host(2);
    bool is_hearsay;

    (void)state;
    assert_true(pn_registry_is_news(
        p, &heard, PN_REASON_CONNECTION_REFUSED, &is_hearsay));
    assert_true(is_hearsay);
    hint(f, &f->large, 2, PN_REG_MANUAL);
    assert_true(pn_registry_is_news(
        p, &manual, PN_REASON_CONNECTION_REFUSED, &is_hearsay));
    assert_false(is_hearsay);
    fixture_free(f);
}

int main(void)
{
    ADD_ROWS(address, address_rows);
    ADD(address_of_no_family);
    ADD(at_most_four_addresses);
    ADD(candidates_by_source);
    ADD(rungs);
    pn_test_add("node/registry/dial/candidates_max_3", test_dial_candidates_max,
        (void *)(uintptr_t)3);
    pn_test_add("node/registry/dial/candidates_max_256",
        test_dial_candidates_max, (void *)(uintptr_t)256);
    ADD(gives_way);
    ADD(unanswered_gives_way);
    ADD(answered_is_kept);
    ADD(manual_is_kept);
    ADD(newer_manual_for_older);
    ADD(last_good_is_kept);
    ADD(lost_is_forgotten);
    ADD(lost_leaves_idle);
    ADD(lost_while_restarting);
    ADD(lost_keeps_live_link);
    ADD(mismatch_drops_what_was_heard);
    ADD(told_on_change);
    ADD(told_of_a_silent_link);
    ADD(told_of_each_that_was_asked);
    ADD(told_as_hearsay);
    ADD(announces_and_refuses);
    return pn_test_run("node/registry/addresses");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* When whom is dialled, at which address, and when not. */
#include "registry_fixture.h"

static char link_a;
static char link_b;

/* ---- who ---- */

static void test_dial_own_key_never(void **state)
{
    fixture *f = fixture_new();
    pn_address a = host(1);
    pn_reg_peer *p = NULL;

    (void)state;
    fixture_start(f);
    assert_int_equal(pn_registry_peer_add(f->r, &f->own, NULL, &p), PN_INVALID);
    assert_null(p);
    assert_int_equal(
        pn_registry_hint(f->r, &f->own, &a, PN_REG_MANUAL, f->now_us),
        PN_INVALID);
    run_for(f, 60 * S);
    assert_int_equal(count(f, EVENT_DIAL), 0);
    fixture_free(f);
}

static void test_dial_unpaired_never(void **state)
{
    pn_reg_hint kind = (pn_reg_hint)(uintptr_t)*state;
    fixture *f = fixture_new();
    pn_address a = host(1);

    fixture_start(f);
    assert_int_equal(
        pn_registry_hint(f->r, &f->large, &a, kind, f->now_us), PN_NOT_FOUND);
    assert_int_equal(
        pn_registry_connect(f->r, &f->large, &a, f->now_us), PN_NOT_FOUND);
    pn_registry_hint_lost(f->r, &f->large, &a, f->now_us);
    run_for(f, 60 * S);
    assert_int_equal(count(f, EVENT_DIAL), 0);
    assert_int_equal(pn_registry_count(f->r), 0);
    fixture_free(f);
}

static void test_dial_unpaired_while_waiting(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    hint(f, &f->large, 1, PN_REG_MANUAL);
    hint(f, &f->large, 2, PN_REG_DISCOVERED);
    assert_int_equal(
        pn_registry_peer_remove(f->r, &f->large, f->now_us), PN_OK);
    run_for(f, 60 * S);
    assert_int_equal(count(f, EVENT_DIAL), 0);
    fixture_free(f);
}

static void test_dial_unpair_cancels(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    hint(f, &f->large, 1, PN_REG_MANUAL);
    (void)next_dial(f, 0);
    assert_int_equal(
        pn_registry_peer_remove(f->r, &f->large, f->now_us), PN_OK);
    assert_int_equal(count(f, EVENT_CANCEL), 1);
    fixture_free(f);
}

static void test_dial_max_peers(void **state)
{
    uint32_t max = (uint32_t)(uintptr_t)*state;
    fixture *f = fixture_new();
    pn_reg_peer *p;
    pn_reg_peer *again;
    size_t cursor = 0;
    uint32_t n = 0;

    f->config.max_peers = max;
    fixture_start(f);
    for (uint32_t i = 0; i <= max; i++) {
        pn_public_key key = {{(uint8_t)(i + 1), 7}};

        assert_int_equal(pn_registry_peer_add(f->r, &key, &n, &p),
            i < max ? PN_OK : PN_LIMIT);
        if (i < max) {
            assert_ptr_equal(p->user, &n);
            assert_int_equal(
                pn_registry_peer_add(f->r, &key, NULL, &again), PN_EXISTS);
            assert_ptr_equal(again, p);
        }
    }
    assert_int_equal(pn_registry_count(f->r), max);
    while (pn_registry_next(f->r, &cursor) != NULL) {
        n++;
    }
    assert_int_equal(n, max);
    fixture_free(f);
}

static void test_dial_config_refused(void **state)
{
    fixture *f = fixture_new();
    pn_registry *r = NULL;

    (void)state;
    f->config.max_peers = 0;
    assert_int_equal(
        pn_registry_new(&f->config, &fixture_callbacks, f, &r), PN_INVALID);
    pn_reg_config_default(&f->config);
    f->config.reconnect_min_us = 0;
    assert_int_equal(
        pn_registry_new(&f->config, &fixture_callbacks, f, &r), PN_INVALID);
    pn_reg_config_default(&f->config);
    f->config.reconnect_max_us = f->config.reconnect_min_us - 1;
    assert_int_equal(
        pn_registry_new(&f->config, &fixture_callbacks, f, &r), PN_INVALID);
    assert_null(r);
    fixture_free(f);
}

/* ---- where ---- */

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
    assert_int_equal(pn_registry_connect(f->r, &f->large, &a, f->now_us),
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

static unsigned known(fixture *f, pn_reg_peer *p, unsigned n)
{
    pn_address all[PN_REG_MAX_ADDRESSES];
    size_t n_all = pn_registry_addresses(f->r, p, all, PN_REG_MAX_ADDRESSES);
    unsigned found = 0;

    assert_true(n_all <= PN_REG_MAX_ADDRESSES);
    for (size_t i = 0; i < n_all; i++) {
        found += host_number(&all[i]) == n;
    }
    return found;
}

/* Announces push out only what was merely heard, the oldest first. */
static void test_dial_at_most_four_addresses(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    for (unsigned i = 1; i <= 5; i++) {
        assert_int_equal(
            pn_registry_addresses(f->r, p, NULL, 0), i <= 4 ? i - 1 : 4);
        hint(f, &f->large, i, PN_REG_DISCOVERED);
        f->now_us += 1;
    }
    assert_int_equal(known(f, p, 1), 0);
    for (unsigned i = 2; i <= 5; i++) {
        assert_int_equal(known(f, p, i), 1);
    }
    hint(f, &f->large, 5, PN_REG_DISCOVERED);
    assert_int_equal(known(f, p, 5), 1);
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
    assert_int_equal(known(f, p, 1), 1);
    assert_int_equal(known(f, p, 2), 1);
    assert_int_equal(known(f, p, 199), 1);
    fixture_free(f);
}

static void test_dial_newer_manual_for_older(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    for (unsigned i = 1; i <= 3; i++) {
        f->now_us += 1;
        hint(f, &f->large, i, PN_REG_MANUAL);
    }
    assert_int_equal(known(f, p, 1), 0);
    assert_int_equal(known(f, p, 2), 1);
    assert_int_equal(known(f, p, 3), 1);
    /* One that was heard rises to manual; an older one falls to remembered. */
    hint(f, &f->large, 4, PN_REG_DISCOVERED);
    hint(f, &f->large, 4, PN_REG_MANUAL);
    for (unsigned i = 10; i < 20; i++) {
        f->now_us += 1;
        hint(f, &f->large, i, PN_REG_DISCOVERED);
    }
    assert_int_equal(known(f, p, 4), 1);
    assert_int_equal(known(f, p, 3), 1);
    assert_int_equal(known(f, p, 2), 0);
    fixture_free(f);
}

static void test_dial_last_good_is_kept(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    hint(f, &f->large, 1, PN_REG_DISCOVERED);
    (void)next_dial(f, 1 * S);
    link_up(f, p, &link_a, true);
    for (unsigned i = 10; i < 200; i++) {
        f->now_us += 1 * MS;
        hint(f, &f->large, i, PN_REG_DISCOVERED);
    }
    assert_int_equal(known(f, p, 1), 1);
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
    pn_registry_hint_lost(f->r, &f->large, &one, f->now_us);
    pn_registry_hint_lost(f->r, &f->large, &two, f->now_us);
    assert_int_equal(known(f, p, 1), 0);
    assert_int_equal(known(f, p, 2), 1);
    fixture_free(f);
}

static void test_dial_lost_leaves_idle(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);
    pn_address one = host(1);

    (void)state;
    hint(f, &f->large, 1, PN_REG_DISCOVERED);
    (void)next_dial(f, 1 * S);
    fail_dial(f, p, PN_REASON_CONNECTION_REFUSED);
    pn_registry_hint_lost(f->r, &f->large, &one, f->now_us);
    assert_int_equal(info(f, p).state, PN_REG_IDLE);
    run_for(f, 60 * S);
    assert_int_equal(count(f, EVENT_DIAL), 1);
    fixture_free(f);
}

static void test_dial_lost_while_restarting(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);
    pn_address one = host(1);

    (void)state;
    hint(f, &f->large, 1, PN_REG_DISCOVERED);
    (void)next_dial(f, 1 * S);
    pn_registry_hint_lost(f->r, &f->large, &one, f->now_us);
    pn_registry_network_changed(f->r, f->now_us);
    run_for(f, 60 * S);
    assert_int_equal(count(f, EVENT_CANCEL), 1);
    assert_int_equal(count(f, EVENT_DIAL), 1);
    assert_int_equal(info(f, p).state, PN_REG_IDLE);
    assert_true(pn_registry_deadline(f->r) == PN_TIME_NEVER);
    fixture_free(f);
}

static void test_dial_lost_keeps_live_link(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);
    pn_address one = host(1);

    (void)state;
    hint(f, &f->large, 1, PN_REG_DISCOVERED);
    (void)next_dial(f, 1 * S);
    link_up(f, p, &link_a, true);
    pn_registry_hint_lost(f->r, &f->large, &one, f->now_us);
    assert_ptr_equal(p->primary, &link_a);
    assert_int_equal(known(f, p, 1), 1);
    assert_int_equal(count(f, EVENT_CLOSE), 0);
    fixture_free(f);
}

/* Somebody else answered there. */
static void test_dial_mismatch_drops_what_was_heard(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    hint(f, &f->large, 1, PN_REG_DISCOVERED);
    (void)next_dial(f, 1 * S);
    fail_dial(f, p, PN_REASON_KEY_MISMATCH);
    assert_int_equal(known(f, p, 1), 0);
    hint(f, &f->large, 2, PN_REG_MANUAL);
    (void)next_dial(f, 20 * S);
    fail_dial(f, p, PN_REASON_KEY_MISMATCH);
    assert_int_equal(known(f, p, 2), 1);
    fixture_free(f);
}

/* ---- when ---- */

typedef struct wait_row {
    const char *name;
    uint64_t random;
    bool own_is_smaller;
    uint64_t wait_us;
} wait_row;

static wait_row wait_rows[] = {
    {"smaller_least", 0, true, 0},
    {"smaller_most", 99999, true, 99999},
    {"larger_least", 0, false, 200000},
    {"larger_most", 99999, false, 299999},
};

/* Wire section 5: the peer heard us in the same moment. */
static void test_dial_waits_after_announce(void **state)
{
    const wait_row *row = *state;
    fixture *f = fixture_new();
    pn_reg_peer *p;
    uint64_t start_us = f->now_us;
    const pn_public_key *key = row->own_is_smaller ? &f->large : &f->small;

    f->is_random_fixed = true;
    f->random_value = row->random;
    fixture_start(f);
    assert_int_equal(pn_registry_peer_add(f->r, key, NULL, &p), PN_OK);
    hint(f, key, 1, PN_REG_DISCOVERED);
    assert_true(next_dial(f, 1 * S)->at_us == start_us + row->wait_us);
    fixture_free(f);
}

static void test_dial_wait_ends_when_peer_dials(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    f->is_random_fixed = true;
    f->random_value = 99999;
    hint(f, &f->large, 1, PN_REG_DISCOVERED);
    run_for(f, 50 * MS);
    link_up(f, p, &link_a, false);
    run_for(f, 3600 * S);
    assert_int_equal(count(f, EVENT_DIAL), 0);
    fixture_free(f);
}

/* A flood of announces does not put the dial off for ever. */
static void test_dial_wait_is_not_put_off(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);
    uint64_t start_us = f->now_us;

    (void)state;
    for (unsigned i = 0; i < 300 && count(f, EVENT_DIAL) == 0; i++) {
        hint(f, &f->large, 1000 + i, PN_REG_DISCOVERED);
        run_for(f, 1 * MS);
    }
    assert_int_equal(count(f, EVENT_DIAL), 1);
    assert_true(f->now_us - start_us <= 101 * MS);
    fixture_free(f);
}

static void test_dial_told_at_once(void **state)
{
    pn_reg_hint kind = (pn_reg_hint)(uintptr_t)*state;
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    hint(f, &f->large, 1, kind);
    (void)next_dial(f, 0);
    fixture_free(f);
}

static void test_dial_told_without_auto_connect(void **state)
{
    pn_reg_hint kind = (pn_reg_hint)(uintptr_t)*state;
    fixture *f = fixture_new();
    pn_reg_peer *p;

    f->config.auto_connect = false;
    fixture_start(f);
    assert_int_equal(pn_registry_peer_add(f->r, &f->large, NULL, &p), PN_OK);
    hint(f, &f->large, 1, kind);
    run_for(f, 60 * S);
    assert_int_equal(count(f, EVENT_DIAL), 0);
    assert_int_equal(
        pn_registry_connect(f->r, &f->large, NULL, f->now_us), PN_OK);
    (void)next_dial(f, 0);
    fixture_free(f);
}

static void test_dial_one_in_flight(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    hint(f, &f->large, 1, PN_REG_MANUAL);
    (void)next_dial(f, 0);
    for (unsigned i = 0; i < 100; i++) {
        pn_address a = host(3);

        hint(f, &f->large, 10 + i, PN_REG_DISCOVERED);
        hint(f, &f->large, 2, PN_REG_MANUAL);
        assert_int_equal(
            pn_registry_connect(f->r, &f->large, &a, f->now_us), PN_OK);
        run_for(f, 1 * S);
    }
    assert_int_equal(count(f, EVENT_DIAL), 1);
    fixture_free(f);
}

static void test_dial_live_link_is_left_alone(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);
    pn_address a = host(3);

    (void)state;
    link_up(f, p, &link_a, false);
    for (unsigned i = 0; i < 100; i++) {
        hint(f, &f->large, 10 + i, PN_REG_DISCOVERED);
        hint(f, &f->large, 2, PN_REG_MANUAL);
        assert_int_equal(
            pn_registry_connect(f->r, &f->large, &a, f->now_us), PN_OK);
        pn_registry_network_changed(f->r, f->now_us);
        run_for(f, 1 * S);
    }
    assert_int_equal(count(f, EVENT_DIAL), 0);
    assert_int_equal(count(f, EVENT_CLOSE), 0);
    assert_ptr_equal(p->primary, &link_a);
    assert_int_equal(known(f, p, 109), 1);
    fixture_free(f);
}

/* T15. Forged announces, a hundred a second, each at another address, whose
 * dials fail at once: no two of them within 5 s. */
static void test_dial_storm_of_new_addresses(void **state)
{
    pn_reason failure = (pn_reason)(uintptr_t)*state;
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);
    uint64_t previous_us = 0;
    bool is_dialled[7000] = {false};
    unsigned n_new = 0;
    size_t seen = 0;

    for (unsigned i = 0; i < 6000; i++) {
        hint(f, &f->large, 100 + i, PN_REG_DISCOVERED);
        run_for(f, 10 * MS);
        while (seen < count(f, EVENT_DIAL)) {
            const event *e = nth(f, EVENT_DIAL, seen++);
            unsigned n = host_number(&e->address);

            if (!is_dialled[n]) {
                is_dialled[n] = true;
                assert_true(n_new == 0 || e->at_us - previous_us >= 5 * S);
                previous_us = e->at_us;
                n_new++;
            }
            fail_dial(f, p, failure);
        }
    }
    assert_true(n_new >= 11 && n_new <= 13);
    fixture_free(f);
}

/* ... and the address that worked keeps its turn, even when each forged one
 * swallows our SYN for 5 s. */
static void test_dial_storm_keeps_good_address(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);
    uint64_t good_us;
    uint64_t busy_until_us = PN_TIME_NEVER;
    size_t seen = 1;
    unsigned n_good = 0;

    (void)state;
    hint(f, &f->large, 1, PN_REG_DISCOVERED);
    (void)next_dial(f, 1 * S);
    link_up(f, p, &link_a, true);
    run_for(f, 60 * S);
    hint(f, &f->large, 50, PN_REG_DISCOVERED);
    link_down(f, p, &link_a, PN_REASON_PING_TIMEOUT);
    good_us = f->now_us;
    for (unsigned i = 0; i < 30000; i++) {
        hint(f, &f->large, 100 + i, PN_REG_DISCOVERED);
        run_for(f, 10 * MS);
        if (busy_until_us <= f->now_us) {
            fail_dial(f, p, PN_REASON_CONNECT_TIMEOUT);
            busy_until_us = PN_TIME_NEVER;
        }
        if (seen < count(f, EVENT_DIAL)) {
            if (host_number(&nth(f, EVENT_DIAL, seen++)->address) == 1) {
                /* a step, the rest of it, one out of turn, a step */
                assert_true(f->now_us - good_us <= 46 * S);
                good_us = f->now_us;
                n_good++;
            }
            busy_until_us = f->now_us + 5 * S;
        }
    }
    assert_true(n_good >= 7);
    fixture_free(f);
}

/* The first dial after a link is to where it was. */
static void test_dial_heard_while_up_comes_second(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    hint(f, &f->large, 1, PN_REG_DISCOVERED);
    (void)next_dial(f, 1 * S);
    link_up(f, p, &link_a, true);
    run_for(f, 60 * S);
    hint(f, &f->large, 2, PN_REG_DISCOVERED);
    run_for(f, 60 * S);
    link_down(f, p, &link_a, PN_REASON_PING_TIMEOUT);
    assert_int_equal(host_number(&next_dial(f, 1 * S)->address), 1);
    fail_dial(f, p, PN_REASON_CONNECT_TIMEOUT);
    assert_int_equal(host_number(&next_dial(f, 1 * S)->address), 2);
    fixture_free(f);
}

/* ---- backoff ---- */

static const uint64_t backoff_ms[] = {
    500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000};

/* Whatever a dial fails of: 0.5 s doubling to 30 s, less 0-25 %. */
static void test_dial_backoff(void **state)
{
    pn_reason failure = (pn_reason)(uintptr_t)*state;
    bool is_seen_by_peer = failure == PN_REASON_BAD_HANDSHAKE
                           || failure == PN_REASON_PEER_CLOSED
                           || failure == PN_REASON_HANDSHAKE_TIMEOUT;
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    hint(f, &f->large, 1, PN_REG_MANUAL);
    (void)next_dial(f, 0);
    for (unsigned i = 0; i < sizeof(backoff_ms) / sizeof(backoff_ms[0]); i++) {
        uint64_t failed_us = f->now_us;
        uint64_t wait_us;

        fail_dial(f, p, failure);
        wait_us = next_dial(f, 31 * S)->at_us - failed_us;
        if (is_seen_by_peer && i < 5) {
            continue; /* the etiquette makes some of them longer */
        }
        assert_true(wait_us <= backoff_ms[i] * MS);
        assert_true(wait_us >= backoff_ms[i] * MS / 4 * 3);
    }
    fixture_free(f);
}

typedef struct jitter_row {
    const char *name;
    uint64_t random;
    bool own_is_smaller;
    uint64_t wait_us;
} jitter_row;

static jitter_row jitter_rows[] = {
    {"larger_least", 62500, false, 437500},
    {"larger_most", 0, false, 500000},
    {"larger_wraps", 62501, false, 500000},
    {"smaller_least", 62500, true, 375000},
    {"smaller_most", 0, true, 437500},
};

static void test_dial_jitter(void **state)
{
    const jitter_row *row = *state;
    fixture *f = fixture_new();
    const pn_public_key *key = row->own_is_smaller ? &f->large : &f->small;
    pn_reg_peer *p;
    uint64_t failed_us;

    f->is_random_fixed = true;
    f->random_value = row->random;
    fixture_start(f);
    assert_int_equal(pn_registry_peer_add(f->r, key, NULL, &p), PN_OK);
    hint(f, key, 1, PN_REG_MANUAL);
    (void)next_dial(f, 0);
    failed_us = f->now_us;
    fail_dial(f, p, PN_REASON_CONNECTION_REFUSED);
    assert_true(next_dial(f, 1 * S)->at_us - failed_us == row->wait_us);
    fixture_free(f);
}

/* Links that come up and end early count as failures. */
static void test_dial_backoff_of_short_links(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    hint(f, &f->large, 1, PN_REG_MANUAL);
    (void)next_dial(f, 0);
    for (unsigned i = 0; i < sizeof(backoff_ms) / sizeof(backoff_ms[0]); i++) {
        uint64_t down_us;
        uint64_t wait_us;

        link_up(f, p, &link_a, true);
        run_for(f, 7 * S);
        link_down(f, p, &link_a, PN_REASON_PEER_CLOSED);
        down_us = f->now_us;
        wait_us = next_dial(f, 31 * S)->at_us - down_us;
        assert_true(wait_us <= backoff_ms[i] * MS);
        assert_true(wait_us >= backoff_ms[i] * MS / 4 * 3);
    }
    fixture_free(f);
}

static void test_dial_backoff_reset(void **state)
{
    intptr_t delta_us = (intptr_t)*state;
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);
    uint64_t wait_us;
    uint64_t down_us;

    hint(f, &f->large, 1, PN_REG_MANUAL);
    (void)next_dial(f, 0);
    for (unsigned i = 0; i < 5; i++) {
        fail_dial(f, p, PN_REASON_CONNECTION_REFUSED);
        (void)next_dial(f, 31 * S);
    }
    link_up(f, p, &link_a, true);
    run_for(f, 30 * S + (uint64_t)delta_us);
    link_down(f, p, &link_a, PN_REASON_PEER_CLOSED);
    down_us = f->now_us;
    wait_us = next_dial(f, 31 * S)->at_us - down_us;
    if (delta_us < 0) {
        assert_true(wait_us >= 12 * S); /* where the backoff was: 16 s */
    } else {
        assert_true(wait_us <= 500 * MS);
    }
    fixture_free(f);
}

/* A refused address stays refused however often it is announced: a stock
 * Elixir node listens on its loopback and announces all the same. */
static void test_dial_announces_do_not_undo_backoff(void **state)
{
    pn_reason failure = (pn_reason)(uintptr_t)*state;
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);
    size_t n;

    hint(f, &f->large, 1, PN_REG_DISCOVERED);
    for (unsigned i = 0; i < 3600 / 5; i++) {
        for (unsigned k = 0; k < 50; k++) {
            n = count(f, EVENT_DIAL);
            run_for(f, 100 * MS);
            if (count(f, EVENT_DIAL) > n) {
                fail_dial(f, p, failure);
            }
        }
        hint(f, &f->large, 1, PN_REG_DISCOVERED);
    }
    n = count(f, EVENT_DIAL);
    assert_true(n >= 110 && n <= 170);
    fixture_free(f);
}

/* One that was silent is there again when it announces; at most once in 5 s
 * all the same. */
static void test_dial_announce_after_silence(void **state)
{
    pn_reason failure = (pn_reason)(uintptr_t)*state;
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    hint(f, &f->large, 1, PN_REG_DISCOVERED);
    (void)next_dial(f, 1 * S);
    for (unsigned i = 0; i < 10; i++) {
        fail_dial(f, p, failure);
        (void)next_dial(f, 31 * S);
    }
    fail_dial(f, p, failure);
    run_for(f, failure == PN_REASON_CONNECTION_REFUSED ? 15001 * MS : 1 * S);
    hint(f, &f->large, 1, PN_REG_DISCOVERED);
    (void)next_dial(f, 300 * MS);
    fail_dial(f, p, failure);
    for (unsigned i = 0; i < 49; i++) {
        hint(f, &f->large, 1, PN_REG_DISCOVERED);
        run_for(f, 100 * MS);
    }
    assert_int_equal(count(f, EVENT_DIAL), 12);
    fixture_free(f);
}

/* A step tries the preferred address and one of the others in turn. */
static void test_dial_step_takes_two_addresses(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);
    unsigned n_dials[5] = {0};

    (void)state;
    f->is_random_fixed = true;
    for (unsigned i = 1; i <= 3; i++) {
        hint(f, &f->large, i, PN_REG_REMEMBERED);
    }
    hint(f, &f->large, 4, PN_REG_MANUAL);
    for (unsigned step = 0; step < 6; step++) {
        uint64_t start_us;

        assert_int_equal(host_number(&next_dial(f, 31 * S)->address), 4);
        start_us = f->now_us;
        fail_dial(f, p, PN_REASON_CONNECT_TIMEOUT);
        n_dials[host_number(&next_dial(f, 0)->address)]++;
        fail_dial(f, p, PN_REASON_CONNECT_TIMEOUT);
        assert_true(pn_registry_deadline(f->r)
                    == start_us + backoff_ms[step] * MS / 8 * 7);
    }
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(n_dials[i], 2);
    }
    assert_int_equal(n_dials[4], 0);
    fixture_free(f);
}

static void test_dial_failing_at_once(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    f->dial_answer = PN_REASON_UNREACHABLE;
    hint(f, &f->large, 1, PN_REG_MANUAL);
    hint(f, &f->large, 2, PN_REG_MANUAL);
    run_for(f, 600 * S);
    /* 600 s of steps of two, the first six of them within 32 s */
    assert_true(count(f, EVENT_DIAL) >= 44);
    assert_true(count(f, EVENT_DIAL) <= 66);
    assert_int_equal(info(f, p).last_reason, PN_REASON_UNREACHABLE);
    fixture_free(f);
}

/* ---- connect ---- */

static void test_dial_connect_skips_the_wait(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    hint(f, &f->large, 1, PN_REG_MANUAL);
    (void)next_dial(f, 0);
    for (unsigned i = 0; i < 8; i++) {
        fail_dial(f, p, PN_REASON_CONNECTION_REFUSED);
        (void)next_dial(f, 31 * S);
    }
    fail_dial(f, p, PN_REASON_CONNECTION_REFUSED);
    assert_int_equal(
        pn_registry_connect(f->r, &f->large, NULL, f->now_us), PN_OK);
    (void)next_dial(f, 0);
    fixture_free(f);
}

static void test_dial_connect_takes_its_address_first(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);
    pn_address a = host(9);

    (void)state;
    hint(f, &f->large, 1, PN_REG_MANUAL);
    (void)next_dial(f, 0);
    assert_int_equal(
        pn_registry_connect(f->r, &f->large, &a, f->now_us), PN_OK);
    fail_dial(f, p, PN_REASON_CONNECT_TIMEOUT);
    assert_int_equal(host_number(&next_dial(f, 0)->address), 9);
    fixture_free(f);
}

static void test_dial_connect_without_address(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    assert_int_equal(pn_registry_connect(f->r, &f->large, NULL, f->now_us),
        PN_NOT_CONNECTED);
    run_for(f, 60 * S);
    assert_int_equal(count(f, EVENT_DIAL), 0);
    fixture_free(f);
}

/* ---- etiquette ---- */

/* Wire section 6: two connections ended; the next dial waits until the first
 * of them is 6 s old. Rows: how they ended. */
typedef struct end_row {
    const char *name;
    bool is_link; /* it was up; else the dial failed */
    pn_reason reason;
    bool is_counted;
} end_row;

static end_row end_rows[] = {
    {"link_closed_by_peer", true, PN_REASON_PEER_CLOSED, true},
    {"link_closed_by_us", true, PN_REASON_LOCAL_CLOSE, true},
    {"link_reset", true, PN_REASON_CONNECTION_RESET, true},
    {"link_bad_tag", true, PN_REASON_BAD_TAG, true},
    {"dial_bad_handshake", false, PN_REASON_BAD_HANDSHAKE, true},
    {"dial_handshake_timeout", false, PN_REASON_HANDSHAKE_TIMEOUT, true},
    {"dial_closed", false, PN_REASON_PEER_CLOSED, true},
    {"dial_reset", false, PN_REASON_CONNECTION_RESET, true},
    {"dial_refused", false, PN_REASON_CONNECTION_REFUSED, false},
    {"dial_loopback", false, PN_REASON_PEER_LISTENS_ON_LOOPBACK, false},
    {"dial_unreachable", false, PN_REASON_UNREACHABLE, false},
    {"dial_timeout", false, PN_REASON_CONNECT_TIMEOUT, false},
    {"dial_no_descriptor", false, PN_REASON_TOO_MANY, false},
};

static void end_once(fixture *f, pn_reg_peer *p, const end_row *row)
{
    if (row->is_link) {
        link_up(f, p, &link_a, true);
        link_down(f, p, &link_a, row->reason);
    } else {
        fail_dial(f, p, row->reason);
    }
}

static void test_dial_etiquette(void **state)
{
    const end_row *row = *state;
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);
    pn_address a = host(1);
    uint64_t first_us;

    hint(f, &f->large, 1, PN_REG_MANUAL);
    first_us = next_dial(f, 0)->at_us;
    end_once(f, p, row);
    (void)next_dial(f, 1 * S);
    end_once(f, p, row);
    /* Not even when the owner asks. */
    assert_int_equal(
        pn_registry_connect(f->r, &f->large, &a, f->now_us), PN_OK);
    pn_registry_network_changed(f->r, f->now_us);
    if (row->is_counted) {
        assert_true(next_dial(f, 10 * S)->at_us == first_us + 6 * S);
    } else {
        assert_true(next_dial(f, 10 * S)->at_us <= first_us + 1 * S);
    }
    fixture_free(f);
}

/* At most three ends in any 5 s, whatever happens to our dials and links: with
 * two counted and one in flight, an orderly close still fits. */
static void test_dial_never_four_ends_in_5_s(void **state)
{
    uint64_t seed = (uint64_t)(uintptr_t)*state;
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);
    pn_address a = host(1);
    uint64_t ends[3] = {0};
    bool is_up = false;

    f->seed = seed;
    hint(f, &f->large, 1, PN_REG_MANUAL);
    for (unsigned i = 0; i < 2000; i++) {
        bool is_end = false;

        assert_int_equal(
            pn_registry_connect(f->r, &f->large, &a, f->now_us), PN_OK);
        run_for(f, pn_test_random(&seed) % (700 * MS));
        if (is_up) {
            link_down(f, p, &link_a, PN_REASON_PEER_CLOSED);
            is_up = false;
            is_end = true;
        } else if (info(f, p).state == PN_REG_DIALLING) {
            if (pn_test_random(&seed) % 2 == 0) {
                fail_dial(f, p, PN_REASON_BAD_HANDSHAKE);
                is_end = true;
            } else {
                link_up(f, p, &link_a, true);
                is_up = true;
            }
        }
        if (is_end) {
            assert_true(ends[0] == 0 || f->now_us - ends[0] > 5 * S);
            ends[0] = ends[1];
            ends[1] = ends[2];
            ends[2] = f->now_us;
        }
    }
    fixture_free(f);
}

/* Unpairing and pairing again is no way around it. */
static void test_dial_etiquette_survives_unpair(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);
    uint64_t first_us = f->now_us;

    (void)state;
    link_up(f, p, &link_a, false);
    assert_int_equal(
        pn_registry_peer_remove(f->r, &f->large, f->now_us), PN_OK);
    run_for(f, 1 * S);
    assert_int_equal(pn_registry_peer_add(f->r, &f->large, NULL, &p), PN_OK);
    link_up(f, p, &link_a, false);
    assert_int_equal(
        pn_registry_peer_remove(f->r, &f->large, f->now_us), PN_OK);
    assert_int_equal(pn_registry_peer_add(f->r, &f->large, NULL, &p), PN_OK);
    hint(f, &f->large, 1, PN_REG_MANUAL);
    assert_true(next_dial(f, 10 * S)->at_us == first_us + 6 * S);
    fixture_free(f);
}

/* ---- network changes, stop ---- */

static void test_dial_network_change_redials(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    hint(f, &f->large, 1, PN_REG_MANUAL);
    (void)next_dial(f, 0);
    for (unsigned i = 0; i < 8; i++) {
        fail_dial(f, p, PN_REASON_UNREACHABLE);
        (void)next_dial(f, 31 * S);
    }
    fail_dial(f, p, PN_REASON_UNREACHABLE);
    run_for(f, 5 * S);
    pn_registry_network_changed(f->r, f->now_us);
    (void)next_dial(f, 0);
    fail_dial(f, p, PN_REASON_UNREACHABLE);
    (void)next_dial(f, 500 * MS); /* and the backoff starts again */
    fixture_free(f);
}

static void test_dial_network_change_after_link(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    hint(f, &f->large, 1, PN_REG_MANUAL);
    (void)next_dial(f, 0);
    link_up(f, p, &link_a, true);
    run_for(f, 10 * S);
    link_down(f, p, &link_a, PN_REASON_ADDRESS_GONE);
    pn_registry_network_changed(f->r, f->now_us);
    (void)next_dial(f, 0);
    fixture_free(f);
}

static void test_dial_network_change_restarts_hanging(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    hint(f, &f->large, 1, PN_REG_MANUAL);
    (void)next_dial(f, 0);
    run_for(f, 3 * S);
    pn_registry_network_changed(f->r, f->now_us);
    (void)next_dial(f, 0);
    assert_int_equal(count(f, EVENT_CANCEL), 1);
    assert_int_equal(count(f, EVENT_DIAL), 2);
    fixture_free(f);
}

/* An interface that flaps is no dial storm. */
static void test_dial_network_changes_are_paced(void **state)
{
    bool fails = *state != NULL;
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);
    size_t n = 0;

    hint(f, &f->large, 1, PN_REG_MANUAL);
    for (unsigned i = 0; i < 1000; i++) {
        pn_registry_network_changed(f->r, f->now_us);
        run_for(f, 10 * MS);
        if (count(f, EVENT_DIAL) > n) {
            n = count(f, EVENT_DIAL);
            if (fails) {
                fail_dial(f, p, PN_REASON_UNREACHABLE);
            }
        }
    }
    assert_true(count(f, EVENT_DIAL) >= 15);
    assert_true(count(f, EVENT_DIAL) <= 21);
    fixture_free(f);
}

static void test_dial_stop_cancels_and_ends(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    hint(f, &f->large, 1, PN_REG_MANUAL);
    (void)next_dial(f, 0);
    pn_registry_stop(f->r);
    assert_int_equal(count(f, EVENT_CANCEL), 1);
    hint(f, &f->large, 2, PN_REG_MANUAL);
    hint(f, &f->large, 3, PN_REG_DISCOVERED);
    pn_registry_network_changed(f->r, f->now_us);
    assert_int_equal(
        pn_registry_connect(f->r, &f->large, NULL, f->now_us), PN_STATE);
    link_up(f, p, &link_b, false);
    link_down(f, p, &link_b, PN_REASON_LOCAL_CLOSE);
    run_for(f, 60 * S);
    assert_int_equal(count(f, EVENT_DIAL), 1);
    fixture_free(f);
}

static void test_dial_late_failure_is_ignored(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    fail_dial(f, p, PN_REASON_BAD_HANDSHAKE);
    assert_int_equal(info(f, p).last_reason, PN_REASON_NONE);
    fixture_free(f);
}

/* Our dial fails after the peer's came up: nothing follows. */
static void test_dial_failure_beside_a_link(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    hint(f, &f->large, 1, PN_REG_MANUAL);
    (void)next_dial(f, 0);
    link_up(f, p, &link_a, false);
    fail_dial(f, p, PN_REASON_CONNECT_TIMEOUT);
    run_for(f, 3600 * S);
    assert_int_equal(count(f, EVENT_DIAL), 1);
    assert_ptr_equal(p->primary, &link_a);
    fixture_free(f);
}

#define ADD(name)                                                              \
    pn_test_add("node/registry/dial/" #name, test_dial_##name, NULL)
#define ADD_ROWS(which, rows)                                                  \
    for (size_t i = 0; i < sizeof(rows) / sizeof((rows)[0]); i++) {            \
        pn_test_addf(test_dial_##which, &(rows)[i],                            \
            "node/registry/dial/" #which "_%s", (rows)[i].name);               \
    }
#define ADD_REASON(name, reason)                                               \
    pn_test_addf(test_dial_##name, (void *)(uintptr_t)PN_REASON_##reason,      \
        "node/registry/dial/" #name "_" #reason)

static void add_who_and_where(void)
{
    ADD(own_key_never);
    for (uintptr_t kind = 0; kind < 3; kind++) {
        pn_test_addf(test_dial_unpaired_never, (void *)kind,
            "node/registry/dial/unpaired_never_%u", (unsigned)kind);
    }
    ADD(unpaired_while_waiting);
    ADD(unpair_cancels);
    for (uintptr_t max = 1; max <= 3; max++) {
        pn_test_addf(test_dial_max_peers, (void *)max,
            "node/registry/dial/max_peers_%u", (unsigned)max);
    }
    ADD(config_refused);
    ADD_ROWS(address, address_rows);
    ADD(address_of_no_family);
    ADD(at_most_four_addresses);
    ADD(manual_is_kept);
    ADD(newer_manual_for_older);
    ADD(last_good_is_kept);
    ADD(lost_is_forgotten);
    ADD(lost_leaves_idle);
    ADD(lost_while_restarting);
    ADD(lost_keeps_live_link);
    ADD(mismatch_drops_what_was_heard);
}

static void add_when(void)
{
    ADD_ROWS(waits_after_announce, wait_rows);
    ADD(wait_ends_when_peer_dials);
    ADD(wait_is_not_put_off);
    for (uintptr_t kind = PN_REG_REMEMBERED; kind <= PN_REG_MANUAL; kind++) {
        pn_test_addf(test_dial_told_at_once, (void *)kind,
            "node/registry/dial/told_at_once_%u", (unsigned)kind);
        pn_test_addf(test_dial_told_without_auto_connect, (void *)kind,
            "node/registry/dial/told_without_auto_connect_%u", (unsigned)kind);
    }
    ADD(one_in_flight);
    ADD(live_link_is_left_alone);
    ADD_REASON(storm_of_new_addresses, CONNECTION_REFUSED);
    ADD_REASON(storm_of_new_addresses, CONNECT_TIMEOUT);
    ADD(storm_keeps_good_address);
    ADD(heard_while_up_comes_second);
    ADD_REASON(backoff, CONNECTION_REFUSED);
    ADD_REASON(backoff, UNREACHABLE);
    ADD_REASON(backoff, CONNECT_TIMEOUT);
    ADD_REASON(backoff, PEER_LISTENS_ON_LOOPBACK);
    ADD_REASON(backoff, BAD_HANDSHAKE);
    ADD_REASON(backoff, HANDSHAKE_TIMEOUT);
    ADD_REASON(backoff, PEER_CLOSED);
    ADD_REASON(backoff, SYSTEM);
    ADD_ROWS(jitter, jitter_rows);
    ADD(backoff_of_short_links);
    for (intptr_t d = -1; d <= 1; d++) {
        pn_test_addf(test_dial_backoff_reset, (void *)d,
            "node/registry/dial/backoff_reset_%+d_us", (int)d);
    }
    ADD_REASON(announces_do_not_undo_backoff, CONNECTION_REFUSED);
    ADD_REASON(announces_do_not_undo_backoff, PEER_LISTENS_ON_LOOPBACK);
    ADD_REASON(announces_do_not_undo_backoff, BAD_HANDSHAKE);
    ADD_REASON(announce_after_silence, UNREACHABLE);
    ADD_REASON(announce_after_silence, CONNECT_TIMEOUT);
    ADD_REASON(announce_after_silence, CONNECTION_REFUSED);
    ADD(step_takes_two_addresses);
    ADD(failing_at_once);
}

static void add_rest(void)
{
    ADD(connect_skips_the_wait);
    ADD(connect_takes_its_address_first);
    ADD(connect_without_address);
    ADD_ROWS(etiquette, end_rows);
    for (uintptr_t seed = 1; seed <= 5; seed++) {
        pn_test_addf(test_dial_never_four_ends_in_5_s, (void *)seed,
            "node/registry/dial/never_four_ends_in_5_s_%u", (unsigned)seed);
    }
    ADD(etiquette_survives_unpair);
    ADD(network_change_redials);
    ADD(network_change_after_link);
    ADD(network_change_restarts_hanging);
    pn_test_add("node/registry/dial/network_changes_are_paced_hanging",
        test_dial_network_changes_are_paced, NULL);
    pn_test_add("node/registry/dial/network_changes_are_paced_failing",
        test_dial_network_changes_are_paced, &link_a);
    ADD(stop_cancels_and_ends);
    ADD(late_failure_is_ignored);
    ADD(failure_beside_a_link);
}

int main(void)
{
    add_who_and_where();
    add_when();
    add_rest();
    return pn_test_run("node/registry/dial");
}

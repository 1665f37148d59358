/* SPDX-License-Identifier: Apache-2.0 */
/* How long the registry waits before a dial: after an announce, after failures,
 * and under a storm of announces. */
#include "registry_dial.h"

static char link_a;

/* ---- waits ---- */

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

/* docs/PROTOCOL.md, section 6: the peer heard us in the same moment. */
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
        pn_registry_connect(f->r, &f->large, NULL, 0, f->now_us), PN_OK);
    (void)next_dial(f, 0);
    fixture_free(f);
}

static void test_dial_one_in_flight(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_dialling(PN_REG_MANUAL, &p);

    (void)state;
    pn_registry_dial_connected(f->r, p);
    for (unsigned i = 0; i < 100; i++) {
        pn_address a = host(3);

        hint(f, &f->large, 10 + i, PN_REG_DISCOVERED);
        hint(f, &f->large, 2, PN_REG_MANUAL);
        assert_int_equal(
            pn_registry_connect(f->r, &f->large, &a, 1, f->now_us), PN_OK);
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
            pn_registry_connect(f->r, &f->large, &a, 1, f->now_us), PN_OK);
        pn_registry_network_changed(f->r, f->now_us);
        run_for(f, 1 * S);
    }
    assert_int_equal(count(f, EVENT_DIAL), 0);
    assert_int_equal(count(f, EVENT_CLOSE), 0);
    assert_ptr_equal(p->primary, &link_a);
    assert_int_equal(known(p, 109), 1);
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

/* The address that worked keeps its turn, even when each forged one leaves our
 * SYN unanswered for 5 s. */
static void test_dial_storm_keeps_good_address(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_dialling(PN_REG_DISCOVERED, &p);
    uint64_t good_us;
    uint64_t busy_until_us = PN_TIME_NEVER;
    size_t seen = 1;
    unsigned n_good = 0;

    (void)state;
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

/* The first dial after a link is to the link's address. */
static void test_dial_heard_while_up_comes_second(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_dialling(PN_REG_DISCOVERED, &p);

    (void)state;
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

/* Every failure of a dial: 0.5 s doubling to 30 s, less 0-25 %. */
static void test_dial_backoff(void **state)
{
    pn_reason failure = (pn_reason)(uintptr_t)*state;
    bool is_seen_by_peer = failure == PN_REASON_BAD_HANDSHAKE
                           || failure == PN_REASON_PEER_CLOSED
                           || failure == PN_REASON_HANDSHAKE_TIMEOUT;
    pn_reg_peer *p;
    fixture *f = fixture_dialling(PN_REG_MANUAL, &p);

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
    fixture *f = fixture_dialling(PN_REG_MANUAL, &p);

    (void)state;
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
    fixture *f = fixture_dialling(PN_REG_MANUAL, &p);
    uint64_t wait_us;
    uint64_t down_us;

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
    fixture *f = fixture_dialling(PN_REG_DISCOVERED, &p);

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

int main(void)
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
    return pn_test_run("node/registry/backoff");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Which peers are dialled, and when a dial is not allowed. */
#include "registry_dial.h"

static char link_a;
static char link_b;

/* ---- peers ---- */

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
        pn_registry_connect(f->r, &f->large, &a, 1, f->now_us), PN_NOT_FOUND);
    pn_registry_hint_lost(f->r, &f->large, &a);
    run_for(f, 60 * S);
    assert_int_equal(count(f, EVENT_DIAL), 0);
    assert_int_equal(f->r->peers.n, 0);
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
    fixture *f = fixture_dialling(PN_REG_MANUAL, &p);

    (void)state;
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
            i < max ? PN_OK : PN_FULL);
        if (i < max) {
            assert_ptr_equal(p->user, &n);
            assert_int_equal(
                pn_registry_peer_add(f->r, &key, NULL, &again), PN_EXISTS);
            assert_ptr_equal(again, p);
        }
    }
    assert_int_equal(f->r->peers.n, max);
    while (pn_map_next(&f->r->peers, &cursor) != NULL) {
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
    registry_config_default(&f->config);
    f->config.reconnect_min_us = 0;
    assert_int_equal(
        pn_registry_new(&f->config, &fixture_callbacks, f, &r), PN_INVALID);
    registry_config_default(&f->config);
    f->config.reconnect_max_us = f->config.reconnect_min_us - 1;
    assert_int_equal(
        pn_registry_new(&f->config, &fixture_callbacks, f, &r), PN_INVALID);
    assert_null(r);
    fixture_free(f);
}

/* ---- connect ---- */

static void test_dial_connect_skips_the_wait(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_dialling(PN_REG_MANUAL, &p);

    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        fail_dial(f, p, PN_REASON_CONNECTION_REFUSED);
        (void)next_dial(f, 31 * S);
    }
    fail_dial(f, p, PN_REASON_CONNECTION_REFUSED);
    assert_int_equal(
        pn_registry_connect(f->r, &f->large, NULL, 0, f->now_us), PN_OK);
    (void)next_dial(f, 0);
    fixture_free(f);
}

static void test_dial_connect_takes_its_address_first(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_dialling(PN_REG_MANUAL, &p);
    pn_address a = host(9);

    (void)state;
    assert_int_equal(
        pn_registry_connect(f->r, &f->large, &a, 1, f->now_us), PN_OK);
    fail_dial(f, p, PN_REASON_CONNECT_TIMEOUT);
    assert_int_equal(host_number(&next_dial(f, 0)->address), 9);
    fixture_free(f);
}

static void test_dial_connect_without_address(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    assert_int_equal(pn_registry_connect(f->r, &f->large, NULL, 0, f->now_us),
        PN_NOT_CONNECTED);
    run_for(f, 60 * S);
    assert_int_equal(count(f, EVENT_DIAL), 0);
    fixture_free(f);
}

/* ---- etiquette ---- */

/* docs/PROTOCOL.md, section 7: two connections ended; the next dial waits until
 * the first of them is 6 s old. Rows: how they ended. */
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
        pn_registry_connect(f->r, &f->large, &a, 1, f->now_us), PN_OK);
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
            pn_registry_connect(f->r, &f->large, &a, 1, f->now_us), PN_OK);
        run_for(f, pn_test_random(&seed) % (700 * MS));
        if (is_up) {
            link_down(f, p, &link_a, PN_REASON_PEER_CLOSED);
            is_up = false;
            is_end = true;
        } else if (info(f, p).state == PN_PEER_DIALLING) {
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

/* Nobody hears a node that announces nothing, so none dials it in the same
 * moment: it dials what it hears at once. */
static void test_dial_unheard_at_once(void **state)
{
    fixture *f = fixture_new();
    pn_reg_peer *p;

    (void)state;
    f->config.is_unheard = true;
    fixture_start(f);
    assert_int_equal(pn_registry_peer_add(f->r, &f->small, NULL, &p), PN_OK);
    hint(f, &f->small, 1, PN_REG_DISCOVERED);
    assert_int_equal(pn_registry_deadline(f->r), f->now_us);
    run_for(f, 0);
    assert_int_equal(count(f, EVENT_DIAL), 1);
    fixture_free(f);
}

/* An address at which another key was found is no way to the peer, until the
 * owner asks for it again. */
static void test_dial_address_left(void **state)
{
    pn_reg_peer *p;
    fixture *f = fixture_with_peer(&p);

    (void)state;
    assert_false(info(f, p).has_address_left);
    hint(f, &f->large, 1, PN_REG_MANUAL);
    assert_true(info(f, p).has_address_left);
    run_for(f, 1 * S);
    fail_dial(f, p, PN_REASON_CONNECTION_REFUSED);
    assert_true(info(f, p).has_address_left);
    (void)next_dial(f, 10 * S);
    fail_dial(f, p, PN_REASON_KEY_MISMATCH);
    assert_false(info(f, p).has_address_left);
    assert_int_equal(
        pn_registry_connect(f->r, &f->large, NULL, 0, f->now_us), PN_OK);
    assert_true(info(f, p).has_address_left);
    hint(f, &f->large, 2, PN_REG_DISCOVERED);
    assert_true(info(f, p).has_address_left);
    fixture_free(f);
}

/* Unpairing and pairing again does not reset it. */
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
    fixture *f = fixture_dialling(PN_REG_MANUAL, &p);

    (void)state;
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
    fixture *f = fixture_dialling(PN_REG_MANUAL, &p);

    (void)state;
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
    fixture *f = fixture_dialling(PN_REG_MANUAL, &p);

    (void)state;
    run_for(f, 3 * S);
    pn_registry_network_changed(f->r, f->now_us);
    (void)next_dial(f, 0);
    assert_int_equal(count(f, EVENT_CANCEL), 1);
    assert_int_equal(count(f, EVENT_DIAL), 2);
    fixture_free(f);
}

/* An interface that flaps causes no storm of dials. */
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
    fixture *f = fixture_dialling(PN_REG_MANUAL, &p);

    (void)state;
    pn_registry_stop(f->r);
    assert_int_equal(count(f, EVENT_CANCEL), 1);
    hint(f, &f->large, 2, PN_REG_MANUAL);
    hint(f, &f->large, 3, PN_REG_DISCOVERED);
    pn_registry_network_changed(f->r, f->now_us);
    assert_int_equal(
        pn_registry_connect(f->r, &f->large, NULL, 0, f->now_us), PN_STATE);
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
    fixture *f = fixture_dialling(PN_REG_MANUAL, &p);

    (void)state;
    link_up(f, p, &link_a, false);
    fail_dial(f, p, PN_REASON_CONNECT_TIMEOUT);
    run_for(f, 3600 * S);
    assert_int_equal(count(f, EVENT_DIAL), 1);
    assert_ptr_equal(p->primary, &link_a);
    fixture_free(f);
}

int main(void)
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
    ADD(unheard_at_once);
    ADD(address_left);
    ADD(stop_cancels_and_ends);
    ADD(late_failure_is_ignored);
    ADD(failure_beside_a_link);
    return pn_test_run("node/registry/dial");
}

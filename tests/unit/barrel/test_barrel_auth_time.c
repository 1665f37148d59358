/* SPDX-License-Identifier: Apache-2.0 */
/* Time limits of the authentication engine: the peer's clock, the age of our
 * own challenge and the whole attempt, at each limit and beside it (BAD-9). */
#include <stdio.h>

#include "auth_end.h"

/* ---- the peer's clock ---------------------------------------------------- */

typedef struct skew_row {
    uint64_t window_ms;
    int64_t skew_ms;
    bool is_fine;
} skew_row;

static const skew_row skews[] = {
    {AUTH_WINDOW_MS, 0, true},
    {AUTH_WINDOW_MS, 29000, true},
    {AUTH_WINDOW_MS, 31000, true},
    {AUTH_WINDOW_MS, 59000, true},
    {AUTH_WINDOW_MS, 59999, true},
    {AUTH_WINDOW_MS, 60000, true},
    {AUTH_WINDOW_MS, 60001, false},
    {AUTH_WINDOW_MS, 61000, false},
    {AUTH_WINDOW_MS, 3600000, false},
    /* twice the window, whatever it is */
    {1000, 999, true},
    {1000, 1000, true},
    {1000, 1001, true},
    {1000, 1999, true},
    {1000, 2000, true},
    {1000, 2001, false},
    {1, 2, true},
    {1, 3, false},
    {PN_AUTH_WINDOW_MAX_MS, 2 * PN_AUTH_WINDOW_MAX_MS, true},
    {PN_AUTH_WINDOW_MAX_MS, 2 * PN_AUTH_WINDOW_MAX_MS + 1, false},
};

static void check_skew(const skew_row *row, bool initiator, bool is_behind)
{
    uint64_t skew = (uint64_t)row->skew_ms;
    uint8_t bytes[600];
    auth_end victim;
    auth_end peer;

    auth_end_init(&victim, initiator);
    auth_end_init(&peer, !initiator);
    victim.config.window_ms = row->window_ms;
    auth_end_start(&victim);
    auth_hear_honest(&victim, &peer, AUTH_AT_CHALLENGE);
    auth_hear(&victim, bytes,
        auth_challenge_at(is_behind ? WALL_MS - skew : WALL_MS + skew, bytes));
    if (row->is_fine) {
        assert_int_equal(pn_auth_outcome_of(victim.auth), PN_AUTH_RUNNING);
        auth_hear(&victim, bytes, auth_peer_response(&victim, &peer, bytes));
        assert_int_equal(pn_auth_outcome_of(victim.auth),
            initiator ? PN_AUTH_RUNNING : PN_AUTH_DONE);
    } else {
        auth_assert_failed(&victim, PN_AUTH_REASON_PEER_TS_SKEW);
    }
    auth_end_fini(&victim);
}

static void test_skew_responder_ahead(void **state)
{
    check_skew(*state, false, false);
}
static void test_skew_responder_behind(void **state)
{
    check_skew(*state, false, true);
}
static void test_skew_initiator_ahead(void **state)
{
    check_skew(*state, true, false);
}
static void test_skew_initiator_behind(void **state)
{
    check_skew(*state, true, true);
}

/* ---- the age of our challenge -------------------------------------------- */

typedef struct window_row {
    uint64_t window_ms;
    uint64_t age_us;
    bool is_fine;
} window_row;

static const window_row windows[] = {
    {AUTH_WINDOW_MS, 29 * PN_US_PER_S, true},
    {AUTH_WINDOW_MS, 30 * PN_US_PER_S, true},
    {AUTH_WINDOW_MS, 30 * PN_US_PER_S + 1, false},
    {AUTH_WINDOW_MS, 31 * PN_US_PER_S, false},
    {1000, 999 * PN_US_PER_MS, true},
    {1000, 1000 * PN_US_PER_MS, true},
    {1000, 1000 * PN_US_PER_MS + 1, false},
    {1000, 1001 * PN_US_PER_MS, false},
    {1, 1 * PN_US_PER_MS, true},
    {1, 2 * PN_US_PER_MS, false},
};

static void check_window(const window_row *row, bool initiator)
{
    uint8_t bytes[600];
    auth_end victim;
    auth_end peer;

    auth_end_init(&victim, initiator);
    auth_end_init(&peer, !initiator);
    victim.config.timeout_us = PN_AUTH_TIMEOUT_MAX_US;
    victim.config.window_ms = row->window_ms;
    auth_end_start(&victim);
    auth_hear_honest(&victim, &peer, AUTH_AT_RESPONSE);
    pn_auth_input(victim.auth, NOW_US + row->age_us, WALL_MS, bytes,
        auth_peer_response(&victim, &peer, bytes), false);
    if (!row->is_fine) {
        auth_assert_failed(&victim, PN_AUTH_REASON_SIGNATURE_INVALID);
    } else {
        auth_hear(&victim, bytes,
            initiator ? auth_peer_ok(&victim, &peer, bytes) : 0);
        auth_assert_done(&victim, &peer);
    }
    auth_end_fini(&victim);
}

static void test_window_responder(void **state)
{
    check_window(*state, false);
}
static void test_window_initiator(void **state)
{
    check_window(*state, true);
}

/* ---- the attempt --------------------------------------------------------- */

/* The deadline holds after every message, and however often one comes. */
static void test_deadline(void **state)
{
    bool initiator = *(const bool *)*state;

    for (auth_step upto = AUTH_AT_HELLO; upto < AUTH_AT_LAST; upto++) {
        auth_end victim;
        auth_end peer;

        auth_end_init(&victim, initiator);
        auth_end_init(&peer, !initiator);
        auth_end_start(&victim);
        auth_hear_honest(&victim, &peer, upto);
        assert_true(pn_auth_deadline(victim.auth) == NOW_US + AUTH_TIMEOUT_US);
        pn_auth_tick(victim.auth, NOW_US + AUTH_TIMEOUT_US - 1);
        assert_int_equal(pn_auth_outcome_of(victim.auth), PN_AUTH_RUNNING);
        pn_auth_input(victim.auth, NOW_US + AUTH_TIMEOUT_US, WALL_MS,
            (const uint8_t *)"\0", 1, false);
        auth_assert_failed(&victim, PN_AUTH_REASON_TIMEOUT);
        auth_end_fini(&victim);
    }
}

static void add_skew(CMUnitTestFunction run, const char *what)
{
    for (size_t i = 0; i < sizeof(skews) / sizeof(skews[0]); i++) {
        pn_test_addf(run, (void *)(uintptr_t)&skews[i],
            "barrel/skew/%s/%lld_ms_of_%llu", what, (long long)skews[i].skew_ms,
            (unsigned long long)skews[i].window_ms);
    }
}

static void add_window(CMUnitTestFunction run, const char *role)
{
    for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
        pn_test_addf(run, (void *)(uintptr_t)&windows[i],
            "barrel/response_window/%s/%llu_us_of_%llu_ms", role,
            (unsigned long long)windows[i].age_us,
            (unsigned long long)windows[i].window_ms);
    }
}

int main(void)
{
    static bool roles[] = {false, true};

    add_skew(test_skew_responder_ahead, "responder/ahead");
    add_skew(test_skew_responder_behind, "responder/behind");
    add_skew(test_skew_initiator_ahead, "initiator/ahead");
    add_skew(test_skew_initiator_behind, "initiator/behind");
    add_window(test_window_responder, "responder");
    add_window(test_window_initiator, "initiator");
    for (size_t i = 0; i < 2; i++) {
        pn_test_addf(test_deadline, &roles[i], "barrel/deadline/%s",
            roles[i] ? "initiator" : "responder");
    }
    return pn_test_run("barrel/auth_time");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pings, pongs, stalls, and M3 that travels alone: docs/PROTOCOL.md, sections
 * 3.1 and 5, in virtual time.
 */
#include <stdlib.h>
#include <string.h>

#include "link.h"
#include "wire/frame.h"

#define S PN_US_PER_S
#define MS PN_US_PER_MS

/* ---- our pings --------------------------------------------------------- */

static void test_ping_every_30s(void **state)
{
    uint64_t now = 7;
    uint64_t opened;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    opened = now - a.limits.hold_us;
    assert_int_equal(pn_session_deadline(a.s), opened + 30 * S);
    assert_int_equal(end_tick(&a, opened + 30 * S - 1), PN_OK);
    assert_int_equal(pn_session_queued_messages(a.s), 0);
    assert_int_equal(end_tick(&a, opened + 30 * S), PN_OK);
    assert_int_equal(pn_session_queued_messages(a.s), 1);
    assert_int_equal(a.n_output, 2); /* M3, and this; M1 was there at once */
    assert_int_equal(pn_session_deadline(a.s), opened + 60 * S);
    link_fini(&a, &b);
}

/* The envelope is {ping, <<16 random bytes>>}. */
static void test_ping_bytes(void **state)
{
    uint64_t now = 0;
    pn_buf out = {0};
    uint8_t *at;
    uint8_t last[16] = {0};
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    for (unsigned i = 0; i < 3; i++) {
        pn_slice plain;
        size_t len;

        assert_int_equal(pn_session_ping(a.s, now), PN_OK);
        end_take(&a, now, &out);
        at = pn_buf_head(&out);
        len = pn_buf_used(&out);
        assert_true(end_open_frame(&b, &at, &len, &plain));
        assert_int_equal(plain.len, 30);
        assert_memory_equal(
            plain.data, "\x83\x68\x02\x77\x04ping\x6d\0\0\0\x10", 14);
        assert_memory_not_equal(plain.data + 14, last, 16);
        memcpy(last, plain.data + 14, 16);
        pn_buf_consume(&out, pn_buf_used(&out));
    }
    pn_buf_fini(&out);
    link_fini(&a, &b);
}

static void test_rtt(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    assert_int_equal(pn_session_rtt_us(a.s), 0);
    assert_int_equal(pn_session_last_received_us(a.s), 0);
    assert_int_equal(pn_session_ping(a.s, now), PN_OK);
    assert_true(end_pass(&a, &b, now + 5));
    assert_true(end_pass(&b, &a, now + 1234));
    assert_int_equal(pn_session_rtt_us(a.s), 1229);
    assert_int_equal(pn_session_last_received_us(a.s), now + 1234);
    assert_int_equal(pn_session_last_received_us(b.s), now + 5);
    link_fini(&a, &b);
}

/* Dead when the pong has not come 60 s after its ping was written, at once
 * and not a microsecond before. */
static void test_pong_timeout(void **state)
{
    uint64_t now = 0;
    uint64_t sent;
    pn_buf lost = {0};
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    sent = pn_session_deadline(a.s);
    assert_int_equal(end_tick(&a, sent), PN_OK);
    end_take(&a, sent, &lost);
    assert_int_equal(end_tick(&a, sent + 30 * S), PN_OK);
    end_take(&a, sent + 30 * S, &lost);
    assert_int_equal(end_tick(&a, sent + 60 * S - 1), PN_OK);
    assert_open(&a);
    assert_int_equal(pn_session_deadline(a.s), sent + 60 * S);
    assert_int_equal(end_tick(&a, sent + 60 * S), PN_TIMEOUT);
    assert_closed(&a, PN_REASON_PING_TIMEOUT);
    pn_buf_fini(&lost);
    link_fini(&a, &b);
}

/* Frames of other kinds do not stand in for the pong (docs/PROTOCOL.md, section
 * 5). */
static void test_frames_are_no_pong(void **state)
{
    uint64_t now = 0;
    uint64_t sent;
    pn_buf lost = {0};
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    sent = pn_session_deadline(a.s);
    assert_int_equal(end_tick(&a, sent), PN_OK);
    end_take(&a, sent, &lost);
    for (uint64_t t = sent; t < sent + 60 * S; t += S) {
        assert_int_equal(end_send(&b, t, "x", 1), PN_OK);
        assert_true(end_pass(&b, &a, t));
    }
    assert_int_equal(end_tick(&a, sent + 60 * S), PN_TIMEOUT);
    assert_closed(&a, PN_REASON_PING_TIMEOUT);
    pn_buf_fini(&lost);
    link_fini(&a, &b);
}

/* A pong that fits no ping of ours changes nothing. */
static void test_wrong_pong(void **state)
{
    static const char *const pongs[] = {
        "8368027704706f6e676d00000000",
        "8368027704706f6e676d0000001000000000000000000000000000000000",
        "8368027704706f6e676d0000000f000000000000000000000000000000",
        "8368027704706f6e676d000000110000000000000000000000000000000000",
    };
    uint64_t now = 0;
    uint64_t sent;
    pn_buf lost = {0};
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    sent = pn_session_deadline(a.s);
    assert_int_equal(end_tick(&a, sent), PN_OK);
    end_take(&a, sent, &lost);
    for (size_t i = 0; i < sizeof(pongs) / sizeof(pongs[0]); i++) {
        size_t len;
        uint8_t *plain = pn_unhex(pongs[i], &len);

        assert_int_equal(link_inject(&b, &a, sent, plain, len), PN_OK);
        free(plain);
    }
    assert_int_equal(pn_session_rtt_us(a.s), 0);
    assert_int_equal(end_tick(&a, sent + 60 * S), PN_TIMEOUT);
    assert_closed(&a, PN_REASON_PING_TIMEOUT);
    pn_buf_fini(&lost);
    link_fini(&a, &b);
}

/* The same pong again, or a prefix of the right nonce: nothing either. */
static void test_pong_twice(void **state)
{
    uint64_t now = 0;
    pn_buf ping = {0};
    uint8_t *at;
    size_t len;
    pn_slice plain;
    uint8_t pong[64];
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    assert_int_equal(pn_session_ping(a.s, now), PN_OK);
    end_take(&a, now, &ping);
    at = pn_buf_head(&ping);
    len = pn_buf_used(&ping);
    assert_true(end_open_frame(&b, &at, &len, &plain));
    memcpy(pong, plain.data, plain.len);
    memcpy(pong + 5, "pong", 4);
    assert_int_equal(link_inject(&b, &a, now + 10, pong, plain.len), PN_OK);
    assert_int_equal(pn_session_rtt_us(a.s), 10);
    assert_int_equal(link_inject(&b, &a, now + 99, pong, plain.len), PN_OK);
    assert_int_equal(pn_session_rtt_us(a.s), 10);
    pn_buf_fini(&ping);
    link_fini(&a, &b);
}

/* A pong vouches for the pings before its own, which the peer may have
 * dropped as too many; not for those after it. */
static void test_pong_covers_earlier_pings(void **state)
{
    uint64_t now = 0;
    pn_buf lost = {0};
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    b.limits.pings_per_s = 0;
    assert_int_equal(pn_session_ping(a.s, now), PN_OK);
    assert_true(end_pass(&a, &b, now));
    assert_false(end_pass(&b, &a, now));
    b.limits.pings_per_s = 10;
    assert_int_equal(pn_session_ping(a.s, now + S), PN_OK);
    assert_true(end_pass(&a, &b, now + S));
    assert_int_equal(pn_session_ping(a.s, now + 2 * S), PN_OK);
    end_take(&a, now + 2 * S, &lost);
    assert_true(end_pass(&b, &a, now + 2 * S));
    assert_int_equal(pn_session_rtt_us(a.s), S);
    assert_int_equal(end_tick(&a, now + 61 * S), PN_OK);
    end_take(&a, now + 61 * S, &lost);
    assert_int_equal(end_tick(&a, now + 62 * S - 1), PN_OK);
    assert_int_equal(end_tick(&a, now + 62 * S), PN_TIMEOUT);
    pn_buf_fini(&lost);
    link_fini(&a, &b);
}

static void test_pings_in_flight(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    for (unsigned i = 0; i < PN_PINGS_MAX; i++) {
        assert_int_equal(pn_session_ping(a.s, now), PN_OK);
    }
    assert_int_equal(pn_session_ping(a.s, now), PN_BUSY);
    link_settle(&a, &b, now);
    assert_int_equal(pn_session_ping(a.s, now), PN_OK);
    assert_open(&a);
    link_fini(&a, &b);
}

static void test_no_random(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    a.no_random = true;
    assert_int_equal(pn_session_ping(a.s, now), PN_SYS);
    assert_open(&a);
    assert_int_equal(end_tick(&a, now + 30 * S), PN_SYS);
    assert_closed(&a, PN_REASON_SYSTEM);
    link_fini(&a, &b);
}

/* The 60 s begin when the ping is written, not when it is queued behind what
 * a peer that does not read holds up. */
static void test_ping_behind_a_slow_peer(void **state)
{
    uint64_t now = 0;
    pn_slice out;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    assert_int_equal(end_send(&a, now, "x", 100000), PN_OK);
    now = pn_session_deadline(a.s);
    assert_int_equal(end_tick(&a, now), PN_OK);
    assert_int_equal(pn_session_queued_messages(a.s), 2);
    /* A byte a minute, then the rest: the stall time-out sees progress. */
    for (unsigned i = 0; i < 5; i++) {
        now += 60 * S;
        pn_session_written(a.s, now, 1);
        assert_int_equal(end_tick(&a, now), PN_OK);
    }
    /* Regular pings are not piled up behind the one that waits. */
    assert_int_equal(pn_session_queued_messages(a.s), 2);
    out = pn_session_output(a.s);
    pn_session_written(a.s, now, out.len);
    assert_int_equal(end_tick(&a, now + 30 * S), PN_OK);
    pn_session_written(a.s, now + 30 * S, SIZE_MAX);
    assert_int_equal(end_tick(&a, now + 60 * S - 1), PN_OK);
    assert_int_equal(end_tick(&a, now + 60 * S), PN_TIMEOUT);
    assert_closed(&a, PN_REASON_PING_TIMEOUT);
    link_fini(&a, &b);
}

/* A ping that comes due while the output is full is left out. */
static void test_ping_when_full(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    a.limits.max_output_messages = 2;
    assert_int_equal(end_send(&a, now, "x", 1), PN_OK);
    assert_int_equal(end_send(&a, now, "x", 1), PN_OK);
    assert_int_equal(end_tick(&a, now + 30 * S), PN_OK);
    assert_int_equal(pn_session_queued_messages(a.s), 2);
    assert_open(&a);
    link_fini(&a, &b);
}

/* ---- their pings ------------------------------------------------------- */

static pn_err ping_from(end *from, end *to, uint64_t now)
{
    static const uint8_t ping[] = "\x83\x68\x02\x77\x04ping\x6d\0\0\0\x02zz";

    return link_inject(from, to, now, ping, sizeof(ping) - 1);
}

/* Ten a second are answered, at n-1, n, n+1; a flood costs nothing (T12). */
static void test_t12_ping_flood(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    for (unsigned i = 1; i <= 1000; i++) {
        assert_int_equal(ping_from(&a, &b, now), PN_OK);
        assert_int_equal(pn_session_queued_messages(b.s), i < 10 ? i : 10);
    }
    assert_int_equal(ping_from(&a, &b, now + S - 1), PN_OK);
    assert_int_equal(pn_session_queued_messages(b.s), 10);
    for (unsigned i = 1; i <= 11; i++) {
        assert_int_equal(ping_from(&a, &b, now + S), PN_OK);
    }
    assert_int_equal(pn_session_queued_messages(b.s), 20);
    assert_open(&b);
    link_fini(&a, &b);
}

/* A pong that does not fit is dropped; the link goes on. */
static void test_t12_pong_does_not_fit(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    b.limits.max_output_messages = 3;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(end_send(&b, now, "x", 1), PN_OK);
    }
    assert_int_equal(ping_from(&a, &b, now), PN_OK);
    assert_int_equal(pn_session_queued_messages(b.s), 3);
    assert_open(&b);
    link_fini(&a, &b);
}

/* Pongs go out while calls of the peer wait for their handlers (T13). */
static void test_t13_pongs_do_not_wait(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(end_call(&a, now, "slow", now + 500 * S, NULL), PN_OK);
    }
    assert_true(end_pass(&a, &b, now));
    assert_int_equal(b.n_calls, 50);
    for (unsigned i = 0; i < 10; i++) {
        now += 30 * S;
        assert_int_equal(end_tick(&a, now), PN_OK);
        assert_true(end_pass(&a, &b, now));
        assert_true(end_pass(&b, &a, now + 5));
        assert_int_equal(pn_session_rtt_us(a.s), 5);
    }
    assert_int_equal(a.n_replies, 0);
    link_fini(&a, &b);
}

/* ---- stalls ------------------------------------------------------------ */

static void test_t11_stall(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    a.limits.ping_interval_us = PN_TIME_NEVER;
    assert_int_equal(end_send(&a, now, "x", 10), PN_OK);
    assert_int_equal(end_send(&a, now + 60 * S, "x", 10), PN_OK);
    assert_int_equal(a.s->stall_at_us, now + 120 * S);
    assert_int_equal(end_tick(&a, now + 120 * S - 1), PN_OK);
    assert_int_equal(end_tick(&a, now + 120 * S), PN_TIMEOUT);
    assert_closed(&a, PN_REASON_STALLED);
    link_fini(&a, &b);
}

static void test_t11_progress_is_no_stall(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    assert_int_equal(end_send(&a, now, "x", 10), PN_OK);
    for (unsigned i = 0; i < 20; i++) {
        now += 119 * S;
        pn_session_written(a.s, now, 1);
        assert_true(now < a.s->stall_at_us);
        assert_int_equal(end_tick(&a, now), PN_OK);
    }
    pn_session_written(a.s, now, SIZE_MAX);
    assert_int_equal(a.s->stall_at_us, PN_TIME_NEVER);
    link_fini(&a, &b);
}

/* While we do not read, for back pressure, its pong may be there: no ping is
 * missed, and the stall time-out is what ends a link that moves no more. */
static void test_t11_unread_is_no_ping_timeout(void **state)
{
    uint64_t now = 0;
    end a;
    end b;
    pn_buf lost = {0};

    (void)state;
    link_init(&a, &b, &now);
    assert_int_equal(pn_session_ping(a.s, now), PN_OK);
    end_take(&a, now, &lost);
    pn_session_set_reading(a.s, now, false);
    assert_int_equal(end_send(&a, now, "h", 1), PN_OK);
    assert_int_equal(end_tick(&a, now + 119 * S), PN_OK);
    assert_open(&a);
    assert_int_not_equal(end_tick(&a, now + 120 * S), PN_OK);
    assert_closed(&a, PN_REASON_STALLED);
    pn_buf_fini(&lost);
    link_fini(&a, &b);
}

/* Reading again, every ping has its whole time. */
static void test_t11_read_again_pings_count(void **state)
{
    uint64_t now = 0;
    end a;
    end b;
    pn_buf lost = {0};

    (void)state;
    link_init(&a, &b, &now);
    assert_int_equal(pn_session_ping(a.s, now), PN_OK);
    end_take(&a, now, &lost);
    pn_session_set_reading(a.s, now, false);
    assert_int_equal(end_tick(&a, now + 20 * S), PN_OK);
    now += 29 * S;
    pn_session_set_reading(a.s, now, true);
    assert_int_equal(end_tick(&a, now + 60 * S - 1), PN_OK);
    assert_open(&a);
    assert_int_not_equal(end_tick(&a, now + 60 * S), PN_OK);
    assert_closed(&a, PN_REASON_PING_TIMEOUT);
    pn_buf_fini(&lost);
    link_fini(&a, &b);
}

/* The same after a sleep of the host, however long. */
static void test_t11_slept_pings_count(void **state)
{
    uint64_t now = 0;
    end a;
    end b;
    pn_buf lost = {0};

    (void)state;
    link_init(&a, &b, &now);
    assert_int_equal(pn_session_ping(a.s, now), PN_OK);
    end_take(&a, now, &lost);
    now += 3600 * S;
    pn_session_woke(a.s, now);
    assert_int_equal(end_tick(&a, now), PN_OK);
    assert_int_equal(end_tick(&a, now + 60 * S - 1), PN_OK);
    assert_open(&a);
    assert_int_not_equal(end_tick(&a, now + 60 * S), PN_OK);
    assert_closed(&a, PN_REASON_PING_TIMEOUT);
    pn_buf_fini(&lost);
    link_fini(&a, &b);
}

/* An M3 that cannot be written stalls too: both deadlines would pass. */
static void test_t11_stalled_m3(void **state)
{
    end a;
    end b;

    (void)state;
    end_init(&a, true, 1);
    end_init(&b, false, 2);
    end_start(&a, 0);
    end_start(&b, 0);
    assert_true(end_pass(&a, &b, 0));
    assert_true(end_pass(&b, &a, S));
    assert_open(&a);
    assert_int_equal(end_tick(&a, 100 * S), PN_OK);
    assert_int_equal(end_tick(&a, 121 * S), PN_TIMEOUT);
    assert_closed(&a, PN_REASON_STALLED);
    link_fini(&a, &b);
}

/* ---- M3 travels alone -------------------------------------------------- */

static void until_m3(end *a, end *b)
{
    end_init(a, true, 1);
    end_init(b, false, 2);
    end_start(a, 0);
    end_start(b, 0);
    assert_true(end_pass(a, b, 0));
    assert_true(end_pass(b, a, 0));
    assert_open(a);
}

static void send_in_open(end *e)
{
    assert_int_equal(end_send(e, e->now, "early", 1), PN_OK);
    assert_int_equal(end_call(e, e->now, "early", 5 * S, NULL), PN_OK);
    assert_int_equal(pn_session_ping(e->s, e->now), PN_OK);
}

/* The write with M3 holds nothing else, whenever messages are sent. */
static void test_m3_alone(void **state)
{
    pn_buf out = {0};
    unsigned n_output;
    end a;
    end b;

    (void)state;
    end_init(&a, true, 1);
    end_init(&b, false, 2);
    a.hooks.on_open = send_in_open;
    end_start(&a, 0);
    end_start(&b, 0);
    assert_true(end_pass(&a, &b, 0));
    assert_true(end_pass(&b, &a, 0));
    assert_int_equal(pn_session_queued_messages(a.s), 4);
    assert_int_equal(pn_session_output(a.s).len, 74);
    /* Written in two pieces: still nothing else. */
    pn_session_written(a.s, 10, 70);
    assert_int_equal(pn_session_output(a.s).len, 4);
    pn_session_written(a.s, 20, 4);
    assert_int_equal(pn_session_output(a.s).len, 0);
    assert_int_equal(pn_session_queued_messages(a.s), 3);
    n_output = a.n_output;
    assert_int_equal(end_send(&a, 30, "early", 1), PN_OK);
    assert_int_equal(a.n_output, n_output);
    assert_int_equal(pn_session_deadline(a.s), 20 + MS);
    assert_int_equal(end_tick(&a, 20 + MS - 1), PN_OK);
    assert_int_equal(pn_session_output(a.s).len, 0);
    assert_int_equal(end_tick(&a, 20 + MS), PN_OK);
    assert_int_equal(a.n_output, n_output + 1);
    end_take(&a, 20 + MS, &out);
    assert_true(pn_buf_used(&out) > 0);
    assert_int_equal(pn_session_queued_bytes(a.s), 0);
    pn_buf_fini(&out);
    link_fini(&a, &b);
}

/* With no time between: still the next turn, never the same. */
static void test_m3_next_turn(void **state)
{
    end a;
    end b;

    (void)state;
    until_m3(&a, &b);
    a.limits.hold_us = 0;
    assert_int_equal(end_send(&a, 5, "early", 1), PN_OK);
    assert_true(end_pass(&a, &b, 5));
    assert_int_equal(b.n_sends, 0);
    assert_int_equal(pn_session_output(a.s).len, 0);
    assert_int_equal(pn_session_deadline(a.s), 5);
    assert_int_equal(end_tick(&a, 5), PN_OK);
    assert_true(end_pass(&a, &b, 5));
    assert_int_equal(b.n_sends, 1);
    link_fini(&a, &b);
}

/* The peer's first frame shows that it has read M3: no more waiting, and no
 * nudge. */
static void test_m3_heard(void **state)
{
    end a;
    end b;

    (void)state;
    until_m3(&a, &b);
    assert_int_equal(end_send(&a, 5, "early", 1), PN_OK);
    assert_true(end_pass(&a, &b, 5));
    assert_int_equal(end_send(&b, 6, "hello", 1), PN_OK);
    assert_true(end_pass(&b, &a, 6));
    assert_true(end_pass(&a, &b, 6));
    assert_int_equal(b.n_sends, 1);
    assert_true(pn_session_deadline(a.s) >= 30 * S);
    assert_int_equal(end_tick(&a, S), PN_OK);
    assert_int_equal(pn_session_queued_messages(a.s), 0);
    link_fini(&a, &b);
}

/* The responder holds nothing back. */
static void test_responder_sends_at_once(void **state)
{
    end a;
    end b;

    (void)state;
    until_m3(&a, &b);
    b.hooks.on_open = send_in_open;
    assert_true(end_pass(&a, &b, 0));
    assert_open(&b);
    assert_true(end_pass(&b, &a, 0));
    assert_int_equal(a.n_sends, 1);
    assert_int_equal(a.n_calls, 1);
    link_fini(&a, &b);
}

/* Closed before the hold is over: M3 first, the rest may still be flushed. */
static void test_m3_then_close(void **state)
{
    end a;
    end b;

    (void)state;
    until_m3(&a, &b);
    assert_int_equal(end_send(&a, 5, "bye", 1), PN_OK);
    pn_session_close(a.s, PN_REASON_LOCAL_CLOSE);
    assert_int_equal(pn_session_output(a.s).len, 74);
    assert_true(end_pass(&a, &b, 5));
    assert_int_equal(b.n_sends, 0);
    assert_true(end_pass(&a, &b, 6));
    assert_int_equal(b.n_sends, 1);
    assert_false(end_pass(&a, &b, 6));
    link_fini(&a, &b);
}

/* Bytes behind M3 in the peer's reader get a nudge: one ping 40 ms after the
 * first data, unless something came back. */
static void test_nudge(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    now += S;
    assert_int_equal(end_call(&a, now, "x", now + 5 * S, NULL), PN_OK);
    assert_true(end_pass(&a, &b, now));
    assert_int_equal(pn_session_deadline(a.s), now + 40 * MS);
    assert_int_equal(end_tick(&a, now + 40 * MS - 1), PN_OK);
    assert_int_equal(pn_session_queued_messages(a.s), 0);
    assert_int_equal(end_tick(&a, now + 40 * MS), PN_OK);
    assert_int_equal(pn_session_queued_messages(a.s), 1);
    assert_true(end_pass(&a, &b, now + 40 * MS));
    assert_true(end_pass(&b, &a, now + 41 * MS));
    assert_int_equal(pn_session_rtt_us(a.s), MS);
    /* Once. */
    assert_int_equal(end_call(&a, now + S, "x", now + 5 * S, NULL), PN_OK);
    assert_true(end_pass(&a, &b, now + S));
    assert_int_equal(end_deadline(&a), now + 5 * S);
    link_fini(&a, &b);
}

/* While nothing comes back it is repeated, each time four times later. */
static void test_nudge_again(void **state)
{
    static const uint64_t at_ms[] = {40, 200, 840};
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    now += S;
    assert_int_equal(end_call(&a, now, "x", now + 90 * S, NULL), PN_OK);
    for (size_t i = 0; i < 3; i++) {
        uint64_t due = now + at_ms[i] * MS;

        /* b has it in its hands, and does not look. */
        pn_session_written(a.s, now, pn_session_output(a.s).len);
        assert_int_equal(pn_session_deadline(a.s), due);
        assert_int_equal(end_tick(&a, due - 1), PN_OK);
        assert_int_equal(pn_session_queued_messages(a.s), 0);
        assert_int_equal(end_tick(&a, due), PN_OK);
        assert_int_equal(pn_session_queued_messages(a.s), 1);
    }
    pn_session_written(a.s, now + S, pn_session_output(a.s).len);
    assert_int_equal(pn_session_deadline(a.s), 30 * S);
    link_fini(&a, &b);
}

static void test_nudge_held(void **state)
{
    end a;
    end b;

    (void)state;
    until_m3(&a, &b);
    assert_int_equal(end_send(&a, 0, "early", 1), PN_OK);
    assert_true(end_pass(&a, &b, 100));
    assert_int_equal(end_tick(&a, 100 + MS), PN_OK);
    assert_true(end_pass(&a, &b, 100 + MS));
    assert_int_equal(pn_session_deadline(a.s), 100 + 41 * MS);
    link_fini(&a, &b);
}

static void test_no_nudge_when_answered(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    assert_int_equal(end_call(&a, now, "x", now + 5 * S, NULL), PN_OK);
    link_settle(&a, &b, now);
    assert_int_equal(end_reply(&b, now, b.call_id, true), PN_OK);
    link_settle(&a, &b, now);
    assert_int_equal(end_tick(&a, now + 40 * MS), PN_OK);
    assert_int_equal(pn_session_queued_messages(a.s), 0);
    link_fini(&a, &b);
}

/* The responder needs none: its peer's reader has moved on since M1. */
static void test_no_nudge_by_responder(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    assert_int_equal(end_send(&b, now, "x", 1), PN_OK);
    link_settle(&a, &b, now);
    assert_int_equal(end_tick(&b, now + S), PN_OK);
    assert_int_equal(pn_session_queued_messages(b.s), 0);
    link_fini(&a, &b);
}

/* ---- long runs --------------------------------------------------------- */

/* A day, waking only at deadlines: 2 x 2,880 pings answered, both ends up, and
 * no more wake-ups than pings. */
static void test_a_day(void **state)
{
    uint64_t now = 0;
    uint64_t end_of_day;
    unsigned wakes = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    end_of_day = now + 24 * 3600 * S;
    while (now < end_of_day) {
        uint64_t at = pn_session_deadline(a.s);
        uint64_t bt = pn_session_deadline(b.s);
        uint64_t next = at < bt ? at : bt;

        assert_true(next > now);
        now = next;
        wakes++;
        if (at <= now) {
            assert_int_equal(end_tick(&a, now), PN_OK);
        }
        if (bt <= now) {
            assert_int_equal(end_tick(&b, now), PN_OK);
        }
        (void)end_pass(&a, &b, now + 200);
        (void)end_pass(&b, &a, now + 400);
        (void)end_pass(&a, &b, now + 600);
    }
    assert_open(&a);
    assert_open(&b);
    assert_true(wakes <= 2 * 2881);
    assert_true(a.s->send.n >= 2 * 2879);
    assert_int_equal(a.s->n_pings, 0);
    link_fini(&a, &b);
}

/* Asleep for hours: no ping was under way, so nothing is wrong. */
static void test_time_jumps(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    assert_int_equal(end_call(&a, now, "x", now + 5 * S, NULL), PN_OK);
    link_settle(&a, &b, now);
    now += 3 * 3600 * S;
    assert_int_equal(end_tick(&a, now), PN_OK);
    assert_int_equal(end_tick(&b, now), PN_OK);
    assert_int_equal(a.outcome, PN_TIMEOUT);
    link_settle(&a, &b, now);
    assert_open(&a);
    assert_open(&b);
    /* One ping each, not one for every half minute. */
    assert_true(a.s->send.n <= 5);
    link_fini(&a, &b);
}

static void test_end_of_time(void **state)
{
    uint64_t now = PN_TIME_NEVER - 1000000;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    assert_int_equal(end_send(&a, now, "x", 1), PN_OK);
    assert_open(&a);
    link_fini(&a, &b);
}

/* A large buffer is given back a second after it was emptied. */
static void test_output_memory_goes(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    assert_int_equal(end_send(&a, now, "x", 500000), PN_OK);
    link_settle(&a, &b, now);
    assert_true(a.s->out.cap >= 500000);
    assert_int_equal(end_tick(&a, now + S), PN_OK);
    assert_true(a.s->out.cap <= 512);
    /* Not while there is something in it. */
    assert_int_equal(end_send(&a, now + S, "x", 500000), PN_OK);
    link_settle(&a, &b, now + S);
    assert_int_equal(end_send(&a, now + S, "x", 10), PN_OK);
    assert_int_equal(end_tick(&a, now + 2 * S), PN_OK);
    assert_true(a.s->out.cap >= 500000);
    link_settle(&a, &b, now + 2 * S);
    assert_int_equal(end_tick(&a, now + 3 * S), PN_OK);
    assert_true(a.s->out.cap <= 512);
    link_fini(&a, &b);
}

static const struct {
    const char *name;
    CMUnitTestFunction run;
} tests[] = {
    {"session/ping/every_30s", test_ping_every_30s},
    {"session/ping/bytes", test_ping_bytes},
    {"session/ping/rtt", test_rtt},
    {"session/ping/pong_timeout", test_pong_timeout},
    {"session/ping/frames_are_no_pong", test_frames_are_no_pong},
    {"session/ping/wrong_pong", test_wrong_pong},
    {"session/ping/pong_twice", test_pong_twice},
    {"session/ping/pong_covers_earlier_pings", test_pong_covers_earlier_pings},
    {"session/ping/in_flight", test_pings_in_flight},
    {"session/ping/no_random", test_no_random},
    {"session/ping/behind_a_slow_peer", test_ping_behind_a_slow_peer},
    {"session/ping/when_full", test_ping_when_full},
    {"session/t12/ping_flood", test_t12_ping_flood},
    {"session/t12/pong_does_not_fit", test_t12_pong_does_not_fit},
    {"session/t13/pongs_do_not_wait", test_t13_pongs_do_not_wait},
    {"session/t11/stall", test_t11_stall},
    {"session/t11/progress_is_no_stall", test_t11_progress_is_no_stall},
    {"session/t11/unread_is_no_ping_timeout",
        test_t11_unread_is_no_ping_timeout},
    {"session/t11/read_again_pings_count", test_t11_read_again_pings_count},
    {"session/t11/slept_pings_count", test_t11_slept_pings_count},
    {"session/t11/stalled_m3", test_t11_stalled_m3},
    {"session/m3/alone", test_m3_alone},
    {"session/m3/next_turn", test_m3_next_turn},
    {"session/m3/heard", test_m3_heard},
    {"session/m3/responder_sends_at_once", test_responder_sends_at_once},
    {"session/m3/then_close", test_m3_then_close},
    {"session/nudge/after_silence", test_nudge},
    {"session/nudge/again", test_nudge_again},
    {"session/nudge/held", test_nudge_held},
    {"session/nudge/not_when_answered", test_no_nudge_when_answered},
    {"session/nudge/not_by_responder", test_no_nudge_by_responder},
    {"session/time/a_day", test_a_day},
    {"session/time/jumps", test_time_jumps},
    {"session/time/end_of_time", test_end_of_time},
    {"session/memory/output_goes", test_output_memory_goes},
};

int main(void)
{
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        pn_test_add(tests[i].name, tests[i].run, NULL);
    }
    return pn_test_run("session/liveness");
}

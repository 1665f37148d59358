/* SPDX-License-Identifier: Apache-2.0 */
/* Outgoing messages: limits of the output and of calls (T11, T12), begin and
 * commit, ciphers that are used up (T32). */
#include <stdlib.h>
#include <string.h>

#include "link.h"
#include "wire/frame.h"

#define S PN_US_PER_S

/* ---- limits ------------------------------------------------------------ */

static void test_t12_calls_limit(void **state)
{
    uint64_t now = 0;
    size_t queued;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    for (unsigned i = 0; i < 1023; i++) {
        assert_int_equal(end_call(&a, now, "x", now + S, NULL), PN_OK);
    }
    link_settle(&a, &b, now);
    assert_int_equal(end_call(&a, now, "x", now + S, NULL), PN_OK);
    queued = pn_session_queued_bytes(a.s);
    assert_int_equal(end_call(&a, now, "x", now + S, NULL), PN_BUSY);
    assert_int_equal(pn_session_queued_bytes(a.s), queued);
    assert_int_equal(end_calls_in_flight(&a), 1024);
    /* Sends are not calls. */
    assert_int_equal(end_send(&a, now, "x", 1), PN_OK);
    /* Removed when their time is up. */
    assert_int_equal(end_tick(&a, now + S), PN_OK);
    assert_int_equal(a.n_replies, 1024);
    assert_int_equal(end_call(&a, now + S, "x", now + 2 * S, NULL), PN_OK);
    link_fini(&a, &b);
}

static void test_t11_output_messages(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    for (unsigned i = 0; i < 16384; i++) {
        assert_int_equal(end_send(&a, now, "x", 1), PN_OK);
    }
    assert_int_equal(pn_session_queued_messages(a.s), 16384);
    assert_int_equal(end_send(&a, now, "x", 1), PN_BUSY);
    assert_int_equal(end_call(&a, now, "x", now + S, NULL), PN_BUSY);
    assert_int_equal(end_calls_in_flight(&a), 0);
    assert_int_equal(pn_session_queued_messages(a.s), 16384);
    assert_int_equal(pn_session_ping(a.s, now), PN_BUSY);
    assert_int_equal(a.n_writable, 0);
    assert_true(end_pass(&a, &b, now));
    assert_int_equal(b.n_sends, 16384);
    assert_int_equal(a.n_writable, 1);
    assert_int_equal(end_send(&a, now, "x", 1), PN_OK);
    link_fini(&a, &b);
}

/* The limit in bytes, one below, at it, one above. A frame is 4 bytes of
 * length, the envelope, 16 of tag. */
static void test_t11_output_bytes(void **state)
{
    uint64_t now = 0;
    size_t limit;
    end a;
    end b;

    (void)state;
    for (int over = -1; over <= 1; over++) {
        now = 0;
        link_init(&a, &b, &now);
        limit = a.limits.max_output;
        assert_int_equal(limit, 4 << 20);
        for (unsigned i = 0; i < 4; i++) {
            assert_int_equal(end_send(&a, now, "x", 1000000), PN_OK);
        }
        limit -= pn_session_queued_bytes(a.s);
        /* {send, x, <<n bytes>>}: 4 + 12 + 5 + n + 16 */
        assert_int_equal(
            end_send(&a, now, "x", limit - 37 + (size_t)(over + 1) - 1),
            over <= 0 ? PN_OK : PN_BUSY);
        assert_true(pn_session_queued_bytes(a.s) <= a.limits.max_output);
        if (over == 0) {
            assert_int_equal(pn_session_queued_bytes(a.s), a.limits.max_output);
            assert_int_equal(end_send(&a, now, "x", 0), PN_BUSY);
        }
        link_fini(&a, &b);
    }
}

/* Answers have an eighth more room than questions. */
static void test_t11_replies_have_room(void **state)
{
    uint64_t now = 0;
    unsigned n = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    a.limits.max_output_messages = 80;
    while (end_send(&a, now, "x", 1) == PN_OK) {
        n++;
    }
    assert_int_equal(n, 80);
    while (end_reply(&a, now, 1, true) == PN_OK) {
        n++;
    }
    assert_int_equal(n, 90);
    assert_int_equal(end_reply(&a, now, 1, true), PN_BUSY);
    assert_int_equal(pn_session_queued_messages(a.s), 90);
    (void)end_pass(&a, &b, now);
    assert_int_equal(a.n_writable, 1);
    link_fini(&a, &b);
}

static void test_t11_replies_bytes(void **state)
{
    uint64_t now = 0;
    size_t n = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    a.limits.max_output = 8000;
    while (end_send(&a, now, "x", 100) == PN_OK) {}
    assert_true(pn_session_queued_bytes(a.s) <= 8000);
    while (end_reply(&a, now, 1, true) == PN_OK) {
        n++;
    }
    assert_true(n > 0);
    assert_true(pn_session_queued_bytes(a.s) <= 9000);
    assert_true(pn_session_queued_bytes(a.s) > 9000 - 50);
    link_fini(&a, &b);
}

/* on_writable comes once per PN_BUSY, at half the limit and not before. */
static void test_t11_writable_event(void **state)
{
    uint64_t now = 0;
    pn_slice out;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    a.limits.max_output_messages = 10;
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(end_send(&a, now, "x", 1), PN_OK);
    }
    out = pn_session_output(a.s);
    assert_int_equal(out.len % 10, 0);
    /* No message was refused yet. */
    pn_session_written(a.s, now, out.len / 10);
    assert_int_equal(pn_session_queued_messages(a.s), 9);
    assert_int_equal(end_send(&a, now, "x", 1), PN_OK);
    assert_int_equal(end_send(&a, now, "x", 1), PN_BUSY);
    pn_session_written(a.s, now, out.len / 10 * 5 - 1);
    assert_int_equal(pn_session_queued_messages(a.s), 6);
    assert_int_equal(a.n_writable, 0);
    pn_session_written(a.s, now, 1);
    assert_int_equal(pn_session_queued_messages(a.s), 5);
    assert_int_equal(a.n_writable, 1);
    pn_session_written(a.s, now, out.len / 10);
    assert_int_equal(a.n_writable, 1);
    link_fini(&a, &b);
}

/* One frame carries 1,048,576 bytes: 16 of tag, 12 of {send, x, _}, 5 of a
 * binary's head. A larger message is never sent (docs/PROTOCOL.md, section
 * 1). */
static void test_too_large(void **state)
{
    static const size_t most = 1048576 - 16 - 12 - 5;

    (void)state;
    for (int over = -1; over <= 1; over++) {
        uint64_t now = 0;
        end a;
        end b;

        link_init(&a, &b, &now);
        assert_int_equal(end_send(&a, now, "y", 3), PN_OK);
        assert_int_equal(end_send(&a, now, "x", most + (size_t)(over + 1) - 1),
            over <= 0 ? PN_OK : PN_TOO_LARGE);
        assert_int_equal(end_send(&a, now, "z", 3), PN_OK);
        link_settle(&a, &b, now);
        assert_open(&b);
        assert_int_equal(b.n_sends, over <= 0 ? 3 : 2);
        link_fini(&a, &b);
    }
}

/* Busy may pass, too large never does: it is said first. */
static void test_too_large_before_busy(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(end_send(&a, now, "x", 1000000), PN_OK);
    }
    assert_int_equal(end_send(&a, now, "x", 1000000), PN_BUSY);
    assert_int_equal(
        end_send(&a, now, "x", 1048576 - 16 - 12 - 5 + 1), PN_TOO_LARGE);
    link_fini(&a, &b);
}

/* A handle can be as long as an atom, in the way of the argument too. */
static void test_too_large_with_handle(void **state)
{
    static const size_t most = 1048576 - 16 - 11 - 255 - 5;
    char name[256];
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    memset(name, 'h', 255);
    name[255] = '\0';
    link_init(&a, &b, &now);
    assert_int_equal(end_send(&a, now, name, most + 1), PN_TOO_LARGE);
    assert_int_equal(end_send(&a, now, name, most), PN_OK);
    link_settle(&a, &b, now);
    assert_int_equal(b.n_sends, 1);
    assert_string_equal(b.handle, name);
    link_fini(&a, &b);
}

/* ---- begin, commit ----------------------------------------------------- */

static void test_abort_leaves_nothing(void **state)
{
    pn_term_writer w;
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    assert_int_equal(end_send(&a, now, "first", 1), PN_OK);
    assert_int_equal(
        pn_session_begin_call(a.s, text_slice("x"), NULL, &w), PN_OK);
    pn_term_write_binary(&w, (uint8_t[1000]){0}, 1000);
    pn_term_write_atom(&w, "\xff");
    assert_int_equal(pn_session_commit(a.s, now, &w), PN_INVALID);
    assert_int_equal(end_calls_in_flight(&a), 0);
    assert_int_equal(pn_session_queued_messages(a.s), 1);
    assert_int_equal(end_send(&a, now, "second", 1), PN_OK);
    link_settle(&a, &b, now);
    assert_int_equal(b.n_sends, 2);
    assert_int_equal(b.n_calls, 0);
    assert_string_equal(b.handle, "second");
    link_fini(&a, &b);
}

/* A writer that failed sends nothing: no term, two terms, a bad one. */
static void test_commit_refuses(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    for (unsigned i = 0; i < 4; i++) {
        pn_term_writer w;

        assert_int_equal(
            pn_session_begin_call(a.s, text_slice("x"), NULL, &w), PN_OK);
        if (i == 1) {
            pn_term_write_int64(&w, 1);
            pn_term_write_int64(&w, 2);
        } else if (i == 2) {
            pn_term_write_tuple_begin(&w);
            pn_term_write_int64(&w, 2);
        } else if (i == 3) {
            pn_term_write_atom(&w, "\xff");
        }
        assert_int_equal(pn_session_commit(a.s, now, &w), PN_INVALID);
        assert_int_equal(pn_session_queued_bytes(a.s), 0);
        assert_int_equal(end_calls_in_flight(&a), 0);
    }
    assert_int_equal(end_send(&a, now, "x", 1), PN_OK);
    link_settle(&a, &b, now);
    assert_int_equal(b.n_sends, 1);
    assert_int_equal(a.n_replies, 0);
    link_fini(&a, &b);
}

static void test_bad_handle(void **state)
{
    char long_name[300];
    uint64_t now = 0;
    pn_term_writer w;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    memset(long_name, 'a', 256);
    long_name[256] = '\0';
    assert_int_equal(end_send(&a, now, "\xff", 1), PN_INVALID);
    assert_int_equal(end_send(&a, now, long_name, 1), PN_INVALID);
    assert_int_equal(end_call(&a, now, "\xc0\x80", now + S, NULL), PN_INVALID);
    assert_int_equal(pn_session_begin_reply(a.s, 0, true, &w), PN_INVALID);
    assert_int_equal(end_calls_in_flight(&a), 0);
    assert_int_equal(pn_session_queued_bytes(a.s), 0);
    /* The writer of a begin that failed can be used and ended in vain. */
    pn_term_write_int64(&w, 1);
    assert_int_equal(pn_term_writer_finish(&w, NULL, NULL), PN_INVALID);
    pn_term_writer_free(&w);
    long_name[255] = '\0';
    assert_int_equal(end_send(&a, now, long_name, 1), PN_OK);
    assert_int_equal(end_send(&a, now, "", 1), PN_OK);
    assert_int_equal(end_send(&a, now, "\xc3\xa9", 1), PN_OK);
    link_settle(&a, &b, now);
    assert_int_equal(b.n_sends, 3);
    assert_string_equal(b.handle, "\xc3\xa9");
    link_fini(&a, &b);
}

/* Nested deeper than a writer's inline frames, over and over: no leak. */
static void test_deep_terms(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    for (unsigned i = 0; i < 10; i++) {
        pn_term_writer w;

        assert_int_equal(
            pn_session_begin_send(a.s, text_slice("x"), &w), PN_OK);
        for (unsigned k = 0; k < 100; k++) {
            pn_term_write_tuple_begin(&w);
        }
        for (unsigned k = 0; k < 100; k++) {
            pn_term_write_tuple_end(&w);
        }
        assert_int_equal(pn_session_commit(a.s, now, &w), PN_OK);
    }
    link_settle(&a, &b, now);
    assert_int_equal(b.n_sends, 10);
    link_fini(&a, &b);
}

/* 2^64-1 is no nonce: both directions end before they would use it (T32). */
static void test_t32_seal_exhausted(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    assert_int_equal(end_call(&a, now, "x", now + S, NULL), PN_OK);
    a.s->send.n = UINT64_MAX - 1;
    assert_int_equal(end_send(&a, now, "x", 1), PN_OK);
    assert_int_equal(end_call(&a, now, "x", now + S, NULL), PN_LIMIT);
    assert_closed(&a, PN_REASON_NONCES_USED_UP);
    /* The call that was in flight ended; the one refused was none. */
    assert_int_equal(a.n_replies, 1);
    assert_int_equal(pn_session_queued_messages(a.s), 2);
    link_fini(&a, &b);
}

static void test_t32_ping_exhausted(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    a.s->send.n = UINT64_MAX;
    assert_int_equal(pn_session_ping(a.s, now), PN_LIMIT);
    assert_closed(&a, PN_REASON_NONCES_USED_UP);
    link_fini(&a, &b);
}

static void test_t32_pong_exhausted(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    b.s->send.n = UINT64_MAX;
    assert_int_equal(pn_session_ping(a.s, now), PN_OK);
    (void)end_pass(&a, &b, now);
    assert_int_equal(b.err, PN_CLOSED);
    assert_closed(&b, PN_REASON_NONCES_USED_UP);
    link_fini(&a, &b);
}

static void test_t32_open_exhausted(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    a.s->send.n = UINT64_MAX - 1;
    b.s->receive.n = UINT64_MAX - 1;
    assert_int_equal(end_send(&a, now, "x", 1), PN_OK);
    (void)end_pass(&a, &b, now);
    assert_open(&b);
    assert_int_equal(
        end_feed(&b, now, (uint8_t[37]){0, 0, 0, 33}, 37), PN_LIMIT);
    assert_closed(&b, PN_REASON_NONCES_USED_UP);
    link_fini(&a, &b);
}

/* Counting what has left, in any portions. */
static void test_written_in_pieces(void **state)
{
    uint64_t now = 0;
    uint64_t seed = 5;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    for (unsigned i = 0; i < 300; i++) {
        unsigned frames = 0;
        const uint8_t *at;
        size_t left;
        pn_slice out;

        assert_int_equal(
            end_send(&a, now, "x", pn_test_random(&seed) % 200), PN_OK);
        out = pn_session_output(a.s);
        pn_session_written(a.s, now, pn_test_random(&seed) % (out.len + 1));
        /* The remaining bytes show how many frames they hold: walk over the
         * headers. */
        out = pn_session_output(a.s);
        at = out.data;
        left = out.len;
        if (a.s->out_front_left > 0) {
            frames++;
            at += a.s->out_front_left;
            left -= a.s->out_front_left;
        }
        while (left > 0) {
            size_t frame = 4 + ((size_t)at[2] << 8 | at[3]);

            frames++;
            at += frame;
            left -= frame;
        }
        assert_int_equal(pn_session_queued_messages(a.s), frames);
    }
    pn_session_written(a.s, now, SIZE_MAX);
    assert_int_equal(pn_session_queued_messages(a.s), 0);
    assert_int_equal(pn_session_queued_bytes(a.s), 0);
    link_fini(&a, &b);
}

static const struct {
    const char *name;
    CMUnitTestFunction run;
} tests[] = {
    {"session/t12/calls_limit", test_t12_calls_limit},
    {"session/t11/output_messages", test_t11_output_messages},
    {"session/t11/output_bytes", test_t11_output_bytes},
    {"session/t11/replies_have_room", test_t11_replies_have_room},
    {"session/t11/replies_bytes", test_t11_replies_bytes},
    {"session/t11/writable_event", test_t11_writable_event},
    {"session/output/too_large", test_too_large},
    {"session/output/too_large_before_busy", test_too_large_before_busy},
    {"session/output/too_large_with_handle", test_too_large_with_handle},
    {"session/output/abort_leaves_nothing", test_abort_leaves_nothing},
    {"session/output/commit_refuses", test_commit_refuses},
    {"session/output/bad_handle", test_bad_handle},
    {"session/output/deep_terms", test_deep_terms},
    {"session/output/written_in_pieces", test_written_in_pieces},
    {"session/t32/seal_exhausted", test_t32_seal_exhausted},
    {"session/t32/ping_exhausted", test_t32_ping_exhausted},
    {"session/t32/pong_exhausted", test_t32_pong_exhausted},
    {"session/t32/open_exhausted", test_t32_open_exhausted},
};

int main(void)
{
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        pn_test_add(tests[i].name, tests[i].run, NULL);
    }
    return pn_test_run("session/output");
}

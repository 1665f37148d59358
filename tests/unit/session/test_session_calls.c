/* SPDX-License-Identifier: Apache-2.0 */
/* Calls in flight: ids, outcomes, time-outs (T12). */
#include <stdlib.h>
#include <string.h>

#include "link.h"
#include "wire/frame.h"

#define S PN_US_PER_S

/* ---- the table --------------------------------------------------------- */

static void test_table_ids(void **state)
{
    pn_call_ids calls;
    uint64_t ids[200];
    void *call;

    (void)state;
    pn_call_ids_init(&calls, 200);
    for (size_t i = 0; i < 200; i++) {
        assert_int_equal(pn_call_ids_add(&calls, &ids[i], &ids[i]), PN_OK);
        assert_true(ids[i] != 0);
        for (size_t k = 0; k < i; k++) {
            assert_true(ids[k] != ids[i]);
        }
    }
    assert_int_equal(pn_call_ids_add(&calls, NULL, &ids[0]), PN_BUSY);
    assert_int_equal(calls.n_used, 200);
    for (size_t i = 0; i < 200; i++) {
        size_t at = (i * 77) % 200;

        assert_true(pn_call_ids_take(&calls, ids[at], &call));
        assert_ptr_equal(call, &ids[at]);
        assert_false(pn_call_ids_take(&calls, ids[at], &call));
    }
    assert_int_equal(calls.n_used, 0);
    pn_call_ids_fini(&calls);
    pn_call_ids_init(&calls, PN_CALL_IDS_MAX + 1);
    assert_int_equal(calls.max, PN_CALL_IDS_MAX);
}

/* A used id names no call, also when its slot is in use again. */
static void test_table_ids_are_not_reused(void **state)
{
    pn_call_ids calls;
    uint64_t old;
    uint64_t id;
    void *call;

    (void)state;
    pn_call_ids_init(&calls, 1);
    assert_int_equal(pn_call_ids_add(&calls, NULL, &old), PN_OK);
    for (unsigned i = 0; i < 100000; i++) {
        assert_true(pn_call_ids_take(&calls, old, &call));
        assert_int_equal(pn_call_ids_add(&calls, &calls, &id), PN_OK);
        assert_true(id != old && id != 0);
        assert_false(pn_call_ids_take(&calls, old, &call));
        old = id;
    }
    pn_call_ids_fini(&calls);
}

static void test_table_unknown_ids(void **state)
{
    static const uint64_t unknown[] = {0, 1, 7, 65535, 65536 + 1, UINT64_MAX,
        UINT64_C(1) << 63, (UINT64_C(1) << 63) | 65536, 131072};
    pn_call_ids calls;
    uint64_t id;
    void *call;

    (void)state;
    pn_call_ids_init(&calls, 16);
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        assert_false(pn_call_ids_take(&calls, unknown[i], &call));
    }
    assert_int_equal(pn_call_ids_add(&calls, NULL, &id), PN_OK);
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        if (unknown[i] != id) {
            assert_false(pn_call_ids_take(&calls, unknown[i], &call));
        }
    }
    assert_int_equal(calls.n_used, 1);
    pn_call_ids_fini(&calls);
}

/* A table that was given back does not give its ids again. */
static void test_table_trim(void **state)
{
    uint64_t ids[64];
    pn_call_ids calls;
    uint64_t id;
    void *call;

    (void)state;
    pn_call_ids_init(&calls, 64);
    for (size_t i = 0; i < 64; i++) {
        assert_int_equal(pn_call_ids_add(&calls, NULL, &ids[i]), PN_OK);
    }
    pn_call_ids_trim(&calls);
    assert_int_equal(calls.n_slots, 64);
    for (size_t i = 0; i < 64; i++) {
        assert_true(pn_call_ids_take(&calls, ids[i], &call));
    }
    pn_call_ids_trim(&calls);
    assert_int_equal(calls.n_slots, 0);
    for (size_t i = 0; i < 64; i++) {
        assert_int_equal(pn_call_ids_add(&calls, NULL, &id), PN_OK);
        for (size_t k = 0; k < 64; k++) {
            assert_true(ids[k] != id);
        }
    }
    assert_false(pn_call_ids_take(&calls, ids[0], &call));
    pn_call_ids_fini(&calls);
}

/* ---- outcomes ---------------------------------------------------------- */

static void reply_at_once(end *e, uint64_t id, pn_slice handle, pn_term args)
{
    pn_term_writer w;

    (void)handle;
    assert_int_equal(pn_session_begin_reply(e->s, id, true, &w), PN_OK);
    pn_term_write_term(&w, args);
    assert_int_equal(pn_session_commit(e->s, e->now, &w), PN_OK);
}

static void test_call_ok(void **state)
{
    uint64_t now = 0;
    end a;
    end b;
    int call;

    (void)state;
    link_init(&a, &b, &now);
    b.hooks.on_call = reply_at_once;
    assert_int_equal(end_call(&a, now, "echo", now + S, &call), PN_OK);
    assert_int_equal(end_calls_in_flight(&a), 1);
    link_settle(&a, &b, now);
    assert_int_equal(b.n_calls, 1);
    assert_string_equal(b.handle, "echo");
    assert_int_equal(a.n_replies, 1);
    assert_int_equal(a.outcome, PN_OK);
    assert_ptr_equal(a.call, &call);
    assert_int_equal(pn_buf_used(&a.value), 2);
    assert_memory_equal(pn_buf_head(&a.value), "\x61\x01", 2);
    assert_int_equal(end_calls_in_flight(&a), 0);
    link_fini(&a, &b);
}

static void test_call_error(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    assert_int_equal(end_call(&a, now, "echo", now + S, NULL), PN_OK);
    link_settle(&a, &b, now);
    assert_int_equal(end_reply(&b, now, b.call_id, false), PN_OK);
    link_settle(&a, &b, now);
    assert_int_equal(a.outcome, PN_REMOTE);
    assert_int_equal(a.n_replies, 1);
    link_fini(&a, &b);
}

/* A second reply, a late one, one to a call never made: silence (T12). */
static void test_t12_late_replies(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    assert_int_equal(end_call(&a, now, "echo", now + S, NULL), PN_OK);
    link_settle(&a, &b, now);
    assert_int_equal(end_tick(&a, now + S - 1), PN_OK);
    assert_int_equal(a.n_replies, 0);
    assert_int_equal(end_tick(&a, now + S), PN_OK);
    assert_int_equal(a.n_replies, 1);
    assert_int_equal(a.outcome, PN_TIMEOUT);
    now += S;
    assert_int_equal(end_reply(&b, now, b.call_id, true), PN_OK);
    assert_int_equal(end_reply(&b, now, b.call_id, true), PN_OK);
    assert_int_equal(end_reply(&b, now, 4242, true), PN_OK);
    assert_int_equal(end_reply(&b, now, UINT64_MAX, false), PN_OK);
    /* The slot has another call by now: the old id must not answer it. */
    assert_int_equal(end_call(&a, now, "echo", now + S, NULL), PN_OK);
    (void)end_pass(&b, &a, now);
    assert_int_equal(a.n_replies, 1);
    assert_int_equal(end_calls_in_flight(&a), 1);
    assert_open(&a);
    link_fini(&a, &b);
}

/* Every call in flight has its outcome before close has returned. */
static void test_close_ends_calls(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(end_call(&a, now, "x", PN_TIME_NEVER, NULL), PN_OK);
    }
    pn_session_close(a.s, PN_REASON_UNPAIRED);
    assert_int_equal(a.n_replies, 100);
    assert_int_equal(a.outcome, PN_CLOSED);
    assert_closed(&a, PN_REASON_UNPAIRED);
    link_fini(&a, &b);
}

static void test_free_ends_calls(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    assert_int_equal(end_call(&a, now, "x", PN_TIME_NEVER, NULL), PN_OK);
    pn_session_free(a.s);
    a.s = NULL;
    assert_int_equal(a.n_replies, 1);
    assert_int_equal(a.outcome, PN_CLOSED);
    link_fini(&a, &b);
}

/* A peer that makes a mistake ends the calls to it as well. */
static void test_peer_error_ends_calls(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    assert_int_equal(end_call(&a, now, "x", PN_TIME_NEVER, NULL), PN_OK);
    assert_true(pn_err_is_peer(link_inject(&b, &a, now, "\x83\x6a", 2)));
    assert_closed(&a, PN_REASON_BAD_ENVELOPE);
    assert_int_equal(a.n_replies, 1);
    assert_int_equal(a.outcome, PN_CLOSED);
    link_fini(&a, &b);
}

static void call_again(end *e, void *call, pn_err outcome, pn_term value)
{
    (void)call;
    (void)value;
    e->err = end_call(e, e->now, "again", e->now + S, NULL);
    assert_int_equal(e->err, outcome == PN_CLOSED ? PN_NOT_CONNECTED : PN_OK);
}

/* Callbacks may call: from a reply, a time-out, a close. */
static void test_call_from_callbacks(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    a.hooks.on_reply = call_again;
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(end_call(&a, now, "x", now + S, NULL), PN_OK);
    }
    link_settle(&a, &b, now);
    assert_int_equal(end_reply(&b, now, b.call_id, true), PN_OK);
    assert_true(end_pass(&b, &a, now));
    assert_int_equal(a.n_replies, 1);
    assert_int_equal(end_calls_in_flight(&a), 20);
    assert_int_equal(end_tick(&a, now + S), PN_OK);
    assert_int_equal(a.n_replies, 21);
    assert_int_equal(end_calls_in_flight(&a), 20);
    assert_true(end_deadline(&a) <= now + 2 * S);
    pn_session_close(a.s, PN_REASON_LOCAL_CLOSE);
    assert_int_equal(a.n_replies, 41);
    link_fini(&a, &b);
}

static void close_on_reply(end *e, void *call, pn_err outcome, pn_term value)
{
    (void)call;
    (void)outcome;
    (void)value;
    pn_session_close(e->s, PN_REASON_FLOOD);
}

/* Closing from within a time-out: every other call still ends once. */
static void test_close_from_timeout(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    a.hooks.on_reply = close_on_reply;
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(end_call(&a, now, "x", now + S, NULL), PN_OK);
    }
    assert_int_equal(end_tick(&a, now + S), PN_CLOSED);
    assert_int_equal(a.n_replies, 20);
    assert_closed(&a, PN_REASON_FLOOD);
    link_fini(&a, &b);
}

static void close_on_send(end *e, pn_slice handle, pn_term args)
{
    (void)handle;
    (void)args;
    pn_session_close(e->s, PN_REASON_UNPAIRED);
}

/* Unpaired while frames lie in the same read: none of the rest is delivered. */
static void test_t25_close_from_send(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    b.hooks.on_send = close_on_send;
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(end_send(&a, now, "x", 10), PN_OK);
    }
    (void)end_pass(&a, &b, now);
    assert_int_equal(b.err, PN_CLOSED);
    assert_int_equal(b.n_sends, 1);
    assert_closed(&b, PN_REASON_UNPAIRED);
    link_fini(&a, &b);
}

/* ---- begin, commit ----------------------------------------------------- */

static const struct {
    const char *name;
    CMUnitTestFunction run;
} tests[] = {
    {"session/calls/table_ids", test_table_ids},
    {"session/calls/table_ids_are_not_reused", test_table_ids_are_not_reused},
    {"session/calls/table_unknown_ids", test_table_unknown_ids},
    {"session/calls/table_trim", test_table_trim},
    {"session/calls/ok", test_call_ok},
    {"session/calls/error", test_call_error},
    {"session/t12/late_replies", test_t12_late_replies},
    {"session/calls/close_ends_calls", test_close_ends_calls},
    {"session/calls/free_ends_calls", test_free_ends_calls},
    {"session/calls/peer_error_ends_calls", test_peer_error_ends_calls},
    {"session/calls/from_callbacks", test_call_from_callbacks},
    {"session/calls/close_from_timeout", test_close_from_timeout},
    {"session/t25/close_from_send", test_t25_close_from_send},
};

int main(void)
{
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        pn_test_add(tests[i].name, tests[i].run, NULL);
    }
    return pn_test_run("session/calls");
}

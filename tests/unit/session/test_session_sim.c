/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two sessions under a seeded schedule: bytes cut anywhere, late, lost with the
 * link, closes at any moment, hooks that call back. Counters check that every
 * call gets exactly one outcome, messages come once and in order, and budgets
 * are kept (PROP-5); and that the cuts of the byte stream make no difference.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "link.h"
#include "wire/frame.h"

/* ---- cuts -------------------------------------------------------------- */

/* All that a responder receives in a small life: M1, M3, two calls, a send, a
 * ping, a reply to its own call. Recorded once with fixed ephemerals. */
typedef struct stream {
    pn_buf m1;
    pn_buf rest; /* M3 and the frames behind it */
} stream;

static void record(stream *to_b)
{
    uint64_t now = 0;
    end a;
    end b;

    *to_b = (stream){0};
    end_init(&a, true, 1);
    end_init(&b, false, 2);
    end_start(&a, 0);
    end_start(&b, 0);
    end_take(&a, 0, &to_b->m1);
    (void)end_feed(&b, 0, pn_buf_head(&to_b->m1), pn_buf_used(&to_b->m1));
    assert_true(end_pass(&b, &a, 0));
    end_take(&a, 0, &to_b->rest);
    now = a.limits.hold_us;
    assert_int_equal(end_tick(&a, now), PN_OK);
    assert_int_equal(end_call(&a, now, "one", PN_TIME_NEVER, NULL), PN_OK);
    assert_int_equal(end_send(&a, now, "two", 300), PN_OK);
    assert_int_equal(pn_session_ping(a.s, now), PN_OK);
    assert_int_equal(end_call(&a, now, "three", PN_TIME_NEVER, NULL), PN_OK);
    end_take(&a, now, &to_b->rest);
    link_fini(&a, &b);
}

/* The state of the responder, in one comparable line. */
static void outcome(end *b, char *text, size_t cap)
{
    (void)snprintf(text, cap,
        "open %d in %zu out %zu/%u calls %u sends %u %.9s", end_is_open(b),
        pn_buf_used(&b->in), pn_session_queued_bytes(b->s),
        pn_session_queued_messages(b->s), b->n_calls, b->n_sends, b->handle);
}

static void whole(const stream *st, char *text, size_t cap)
{
    end b;

    end_init(&b, false, 2);
    end_start(&b, 0);
    assert_int_equal(end_feed(&b, 0, st->m1.data, pn_buf_used(&st->m1)), PN_OK);
    assert_int_equal(
        end_feed(&b, 0, st->rest.data, pn_buf_used(&st->rest)), PN_OK);
    outcome(&b, text, cap);
    end_fini(&b);
}

static void test_every_split(void **state)
{
    char want[256];
    char got[256];
    stream st;
    size_t len;

    (void)state;
    record(&st);
    whole(&st, want, sizeof(want));
    len = pn_buf_used(&st.rest);
    for (size_t cut = 0; cut <= len; cut++) {
        end b;

        end_init(&b, false, 2);
        end_start(&b, 0);
        (void)end_feed(&b, 0, st.m1.data, pn_buf_used(&st.m1));
        assert_int_equal(end_feed(&b, 0, st.rest.data, cut), PN_OK);
        assert_int_equal(end_feed(&b, 0, st.rest.data + cut, len - cut), PN_OK);
        outcome(&b, got, sizeof(got));
        assert_string_equal(got, want);
        end_fini(&b);
    }
    pn_buf_fini(&st.m1);
    pn_buf_fini(&st.rest);
}

static void test_steps(void **state)
{
    char want[256];
    char got[256];
    stream st;

    (void)state;
    record(&st);
    whole(&st, want, sizeof(want));
    for (size_t step = 1; step <= 80; step++) {
        end b;

        end_init(&b, false, 2);
        end_start(&b, 0);
        assert_int_equal(
            end_feed_by(&b, 0, st.m1.data, pn_buf_used(&st.m1), step), PN_OK);
        assert_int_equal(
            end_feed_by(&b, 0, st.rest.data, pn_buf_used(&st.rest), step),
            PN_OK);
        outcome(&b, got, sizeof(got));
        assert_string_equal(got, want);
        end_fini(&b);
    }
    pn_buf_fini(&st.m1);
    pn_buf_fini(&st.rest);
}

/* The same for a stream that goes wrong: where it is cut does not change what
 * was delivered before, nor the reason. */
static void test_splits_of_a_bad_stream(void **state)
{
    stream st;
    size_t len;

    (void)state;
    record(&st);
    len = pn_buf_used(&st.rest);
    st.rest.data[len - 1] ^= 1; /* the last call's tag */
    for (size_t cut = 0; cut <= len; cut++) {
        end b;

        end_init(&b, false, 2);
        end_start(&b, 0);
        (void)end_feed(&b, 0, st.m1.data, pn_buf_used(&st.m1));
        (void)end_feed(&b, 0, st.rest.data, cut);
        (void)end_feed(&b, 0, st.rest.data + cut, len - cut);
        assert_closed(&b, PN_REASON_BAD_TAG);
        assert_int_equal(b.n_calls, 1);
        assert_int_equal(b.n_sends, 1);
        end_fini(&b);
    }
    pn_buf_fini(&st.m1);
    pn_buf_fini(&st.rest);
}

/* pn_session_need: exact as soon as four bytes are there. */
static void test_need(void **state)
{
    stream st;
    end b;

    (void)state;
    record(&st);
    end_init(&b, false, 2);
    end_start(&b, 0);
    for (size_t n = 0; n < 42; n++) {
        assert_int_equal(pn_session_need(b.s, st.m1.data, n), n < 4 ? 0 : 42);
    }
    pn_buf_fini(&st.m1);
    pn_buf_fini(&st.rest);
    end_fini(&b);
}

/* ---- simulation -------------------------------------------------------- */

enum { MAX_CALLS = 4096 };

typedef struct world world;

typedef struct node {
    end e;
    world *w;
    pn_buf wire; /* written, not arrived yet */
    unsigned outcomes[MAX_CALLS];
    unsigned n_made;
    uint64_t next_out;    /* number of the next send of ours */
    uint64_t next_in;     /* and of the next that must come */
    uint64_t pending[64]; /* ids of calls to us that wait */
    unsigned n_pending;
} node;

struct world {
    node n[2];
    uint64_t now;
    uint64_t seed;
    bool is_hostile; /* a byte on the wire may be changed */
};

/* How often each outcome came, over all schedules. */
static struct {
    unsigned ok;
    unsigned remote;
    unsigned timeout;
    unsigned closed;
    unsigned busy;
    uint64_t sends;
    unsigned bad_tag;
} reached;

static uint64_t draw(world *w, uint64_t n)
{
    return pn_test_random(&w->seed) % n;
}

static node *node_of(end *e)
{
    return e->context;
}

static void made_call(node *n)
{
    uint64_t deadline = n->w->now + draw(n->w, 200000);
    unsigned number = n->n_made;
    pn_err err;

    if (number == MAX_CALLS) {
        return;
    }
    if (draw(n->w, 20) == 0) {
        deadline = PN_TIME_NEVER;
    }
    err = end_call(&n->e, n->w->now, "call", deadline, &n->outcomes[number]);
    reached.busy += err == PN_BUSY;
    if (err == PN_OK) {
        n->n_made++;
    } else {
        assert_true(err == PN_BUSY || err == PN_NOT_CONNECTED);
    }
}

static void sim_reply(end *e, void *call, pn_err outcome_of_it, pn_term value)
{
    node *n = node_of(e);
    unsigned *seen = call;

    (void)value;
    assert_true(seen >= n->outcomes && seen < n->outcomes + MAX_CALLS);
    assert_int_equal(*seen, 0);
    *seen = 1;
    reached.ok += outcome_of_it == PN_OK;
    reached.remote += outcome_of_it == PN_REMOTE;
    reached.timeout += outcome_of_it == PN_TIMEOUT;
    reached.closed += outcome_of_it == PN_CLOSED;
    assert_true(outcome_of_it == PN_OK || outcome_of_it == PN_REMOTE
                || outcome_of_it == PN_TIMEOUT || outcome_of_it == PN_CLOSED);
    switch (draw(n->w, 12)) {
    case 0:
        made_call(n);
        break;
    case 1:
        e->err = pn_session_ping(e->s, n->w->now);
        break;
    default:
        break;
    }
    if (draw(n->w, 400) == 0) {
        pn_session_close(e->s, PN_REASON_LOCAL_CLOSE);
    }
}

static void sim_call(end *e, uint64_t id, pn_slice handle, pn_term args)
{
    node *n = node_of(e);

    (void)handle;
    (void)args;
    if (draw(n->w, 3) == 0) {
        (void)end_reply(e, n->w->now, id, draw(n->w, 2) != 0);
    } else if (n->n_pending < 64) {
        n->pending[n->n_pending++] = id;
    }
}

/* Sends carry their number: once each, in order. */
static void sim_send(end *e, pn_slice handle, pn_term args)
{
    node *n = node_of(e);
    pn_term_reader r;

    (void)handle;
    pn_term_reader_init(&r, args);
    assert_true(pn_term_read_uint64(&r) == n->next_in);
    n->next_in++;
    if (draw(n->w, 1000) == 0) {
        pn_session_close(e->s, PN_REASON_UNPAIRED);
    }
}

static void sim_numbered_send(node *n)
{
    pn_term_writer w;
    pn_err err = pn_session_begin_send(n->e.s, text_slice("n"), &w);

    if (err != PN_OK) {
        assert_true(err == PN_BUSY || err == PN_NOT_CONNECTED);
        return;
    }
    pn_term_write_uint64(&w, n->next_out);
    if (draw(n->w, 10) == 0) {
        pn_term_write_atom(&w, "\xff");
        assert_int_equal(pn_session_commit(n->e.s, n->w->now, &w), PN_INVALID);
        return;
    }
    if (pn_session_commit(n->e.s, n->w->now, &w) == PN_OK) {
        n->next_out++;
    }
}

static void sim_answer(node *n)
{
    if (n->n_pending > 0) {
        uint64_t id = n->pending[draw(n->w, n->n_pending)];

        (void)end_reply(&n->e, n->w->now, id, true);
        n->n_pending--;
    }
}

/* Some of what may be written goes onto the wire. */
static void sim_write(node *n)
{
    pn_slice out = pn_session_output(n->e.s);
    size_t some = out.len == 0 ? 0 : 1 + draw(n->w, out.len);

    assert_int_equal(pn_buf_append(&n->wire, out.data, some), PN_OK);
    pn_session_written(n->e.s, n->w->now, some);
}

/* Some of what is on the wire arrives. */
static void sim_arrive(node *from, node *to)
{
    size_t used = pn_buf_used(&from->wire);
    size_t some = used == 0 ? 0 : 1 + draw(to->w, used);

    if (to->w->is_hostile && some > 0 && draw(to->w, 300) == 0) {
        pn_buf_head(&from->wire)[draw(to->w, some)] ^= 4;
    }
    (void)end_feed(&to->e, to->w->now, pn_buf_head(&from->wire), some);
    pn_buf_consume(&from->wire, some);
}

static void sim_step(world *w)
{
    node *n = &w->n[draw(w, 2)];
    node *other = n == &w->n[0] ? &w->n[1] : &w->n[0];

    switch (draw(w, 10)) {
    case 0:
        made_call(n);
        break;
    case 1:
        sim_numbered_send(n);
        break;
    case 2:
        sim_answer(n);
        break;
    case 3:
    case 4:
        sim_write(n);
        break;
    case 5:
    case 6:
        sim_arrive(other, n);
        break;
    case 7:
        w->now += draw(w, 20000);
        break;
    case 8:
        if (!end_is_closed(&n->e) && end_deadline(&n->e) <= w->now) {
            (void)end_tick(&n->e, w->now);
        }
        break;
    default:
        if (draw(w, 3000) == 0) {
            pn_session_close(n->e.s, PN_REASON_NETWORK_CHANGED);
        }
        break;
    }
    assert_true(pn_session_queued_bytes(n->e.s)
                <= n->e.limits.max_output + n->e.limits.max_output / 8);
    assert_true(end_calls_in_flight(&n->e) <= n->e.limits.max_calls);
}

static void sim_check(world *w)
{
    for (unsigned i = 0; i < 2; i++) {
        node *n = &w->n[i];
        node *other = &w->n[1 - i];

        reached.sends += n->next_in;
        reached.bad_tag += pn_session_reason(n->e.s) == PN_REASON_BAD_TAG;
        pn_session_free(n->e.s);
        n->e.s = NULL;
        for (unsigned k = 0; k < n->n_made; k++) {
            assert_int_equal(n->outcomes[k], 1);
        }
        for (unsigned k = n->n_made; k < MAX_CALLS; k++) {
            assert_int_equal(n->outcomes[k], 0);
        }
        assert_true(n->next_in <= other->next_out);
    }
}

static void sim_run(uint64_t seed, bool is_hostile)
{
    world *w = calloc(1, sizeof(*w));

    if (w == NULL) {
        abort();
    }
    w->seed = seed;
    w->is_hostile = is_hostile;
    for (unsigned i = 0; i < 2; i++) {
        node *n = &w->n[i];

        end_init(&n->e, i == 0, seed * 2 + i + 1);
        n->w = w;
        n->e.context = n;
        n->e.limits.max_calls = 1 + (uint32_t)draw(w, 40);
        n->e.limits.max_output = 500 + draw(w, 20000);
        n->e.limits.max_output_messages = 3 + (uint32_t)draw(w, 100);
        n->e.limits.ping_interval_us = 1000 + draw(w, 500000);
        n->e.limits.pong_timeout_us = 400000 + draw(w, 2000000);
        n->e.limits.hold_us = draw(w, 2000);
        n->e.hooks.on_call = sim_call;
        n->e.hooks.on_send = sim_send;
        n->e.hooks.on_reply = sim_reply;
        end_start(&n->e, 0);
    }
    for (unsigned step = 0; step < 3000; step++) {
        sim_step(w);
    }
    sim_check(w);
    for (unsigned i = 0; i < 2; i++) {
        pn_buf_fini(&w->n[i].wire);
        end_fini(&w->n[i].e);
    }
    free(w);
}

static void test_friendly(void **state)
{
    sim_run(*(const uint64_t *)*state, false);
}

static void test_hostile(void **state)
{
    sim_run(*(const uint64_t *)*state, true);
}

/* The schedules above reached what they are for; runs after them. */
static void test_reached(void **state)
{
    (void)state;
    assert_true(reached.ok > 500);
    assert_true(reached.remote > 50);
    assert_true(reached.timeout > 500);
    assert_true(reached.closed > 100);
    assert_true(reached.busy > 50);
    assert_true(reached.sends > 1000);
    assert_true(reached.bad_tag > 10);
}

enum { N_SEEDS = 75 };

int main(void)
{
    static uint64_t seeds[N_SEEDS];

    pn_test_add("session/split/every_cut", test_every_split, NULL);
    pn_test_add("session/split/steps", test_steps, NULL);
    pn_test_add(
        "session/split/of_a_bad_stream", test_splits_of_a_bad_stream, NULL);
    pn_test_add("session/split/need", test_need, NULL);
    for (unsigned i = 0; i < N_SEEDS; i++) {
        seeds[i] = i + 1;
        pn_test_addf(
            test_friendly, &seeds[i], "session/sim/friendly/seed_%u", i + 1);
        pn_test_addf(
            test_hostile, &seeds[i], "session/sim/hostile/seed_%u", i + 1);
    }
    pn_test_add("session/sim/reached", test_reached, NULL);
    return pn_test_run("session/sim");
}

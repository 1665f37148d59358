/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on a handshake and on the frames after it, by the numbers of
 * docs/THREATS.md; and sessions that their callbacks close. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "link.h"
#include "recorded_link.h"
#include "wire/frame.h"

typedef struct transcript_frames {
    pn_buf m[3];
} transcript_frames;

static void flip(pn_buf *b, size_t at, bool really)
{
    assert_true(at < pn_buf_used(b));
    if (b->data != NULL && really) {
        b->data[b->off + at] ^= 1;
    }
}

/* ---- threats by number ------------------------------------------------- */

/* No bytes are parsed as a term: the 17 KB that grow to 564 MiB in the original
 * (U2) are refused by their length. */
static void test_t01_no_parser(void **state)
{
    static const uint8_t compressed[] = {
        0, 0, 0, 38, 131, 80, 0x21, 0x9a, 0, 0, 0x78, 0x9c};
    end a;
    end b;

    (void)state;
    fresh_ends(&a, &b);
    assert_int_equal(end_feed(&b, 0, compressed, sizeof(compressed)), PN_OK);
    assert_int_equal(end_feed(&b, 0, (uint8_t[30]){0}, 30), PN_MALFORMED);
    assert_closed(&b, PN_REASON_BAD_HANDSHAKE);
    link_fini(&a, &b);
}

/* Before authentication nothing of ours is sent or accepted. */
static void test_t01_nothing_before(void **state)
{
    end a;
    end b;

    (void)state;
    fresh_ends(&a, &b);
    assert_int_equal(end_send(&a, 0, "x", 1), PN_NOT_CONNECTED);
    assert_int_equal(end_call(&b, 0, "x", 1, NULL), PN_NOT_CONNECTED);
    assert_int_equal(end_reply(&b, 0, 1, true), PN_NOT_CONNECTED);
    assert_int_equal(pn_session_ping(a.s, 0), PN_NOT_CONNECTED);
    assert_null(pn_session_peer(a.s));
    assert_int_equal(pn_session_queued_messages(a.s), 1);
    link_fini(&a, &b);
}

/* One deadline from the beginning, whatever arrives in between. */
static void test_t03_absolute_deadline(void **state)
{
    uint64_t limit = 5 * PN_US_PER_S;
    uint64_t start = 12345;
    pn_buf m1 = {0};
    end a;
    end b;

    (void)state;
    end_init(&a, true, 21);
    end_init(&b, false, 22);
    end_start(&a, start);
    end_start(&b, start);
    assert_int_equal(pn_session_deadline(b.s), start + limit);
    end_take(&a, start, &m1);
    /* A byte a tenth of a second, as a slow loris does. */
    for (size_t i = 0; i < pn_buf_used(&m1); i++) {
        assert_int_equal(end_feed(&b, start + i * (PN_US_PER_S / 10),
                             pn_buf_head(&m1) + i, 1),
            PN_OK);
        assert_int_equal(pn_session_deadline(b.s), start + limit);
    }
    assert_int_equal(end_tick(&b, start + limit - 1), PN_OK);
    assert_int_equal(end_tick(&b, start + limit), PN_TIMEOUT);
    assert_closed(&b, PN_REASON_HANDSHAKE_TIMEOUT);
    pn_buf_fini(&m1);
    link_fini(&a, &b);
}

/* Bytes that come at the deadline or later do not count, even if tick was not
 * called; one microsecond earlier they do. */
static void test_t03_late_bytes(void **state)
{
    for (uint64_t late = 0; late < 2; late++) {
        uint64_t now = 5 * PN_US_PER_S - 1 + late;
        pn_buf out = {0};
        end a;
        end b;

        (void)state;
        fresh_ends(&a, &b);
        assert_true(end_pass(&a, &b, 0));
        assert_true(end_pass(&b, &a, 0));
        end_take(&a, 0, &out);
        (void)end_feed(&b, now, pn_buf_head(&out), pn_buf_used(&out));
        if (late == 0) {
            assert_open(&b);
        } else {
            assert_closed(&b, PN_REASON_HANDSHAKE_TIMEOUT);
            assert_int_equal(b.n_trust, 0);
        }
        pn_buf_fini(&out);
        link_fini(&a, &b);
    }
}

/* Trust is asked once, with everything verified, and not at all for a
 * handshake that fails earlier. */
static void test_t18_trust_is_asked_last(void **state)
{
    pn_buf out = {0};
    end a;
    end b;

    (void)state;
    fresh_ends(&a, &b);
    assert_true(end_pass(&a, &b, 0));
    assert_int_equal(b.n_trust, 0);
    assert_true(end_pass(&b, &a, 0));
    assert_int_equal(a.n_trust, 1);
    end_take(&a, 0, &out);
    /* The payload's tag is the last thing in M3. */
    flip(&out, pn_buf_used(&out) - 1, true);
    (void)end_feed(&b, 0, pn_buf_head(&out), pn_buf_used(&out));
    assert_int_equal(b.n_trust, 0);
    assert_closed(&b, PN_REASON_BAD_HANDSHAKE);
    assert_null(pn_session_peer(b.s));
    pn_buf_fini(&out);
    link_fini(&a, &b);
}

/* Untrusted and bad look alike from outside: a close without a byte. */
static void test_t18_same_close(void **state)
{
    (void)state;
    for (unsigned bad = 0; bad < 2; bad++) {
        pn_buf out = {0};
        end a;
        end b;

        fresh_ends(&a, &b);
        b.trusts = false;
        assert_true(end_pass(&a, &b, 0));
        assert_true(end_pass(&b, &a, 0));
        end_take(&a, 0, &out);
        flip(&out, 20, bad != 0);
        assert_true(pn_err_is_peer(
            end_feed(&b, 0, pn_buf_head(&out), pn_buf_used(&out))));
        assert_closed(
            &b, bad ? PN_REASON_BAD_HANDSHAKE : PN_REASON_UNTRUSTED_PEER);
        assert_int_equal(pn_session_queued_bytes(b.s), 0);
        assert_int_equal(b.n_open, 0);
        /* The owner may read the refused key. */
        assert_int_equal(pn_session_peer(b.s) != NULL, !bad);
        pn_buf_fini(&out);
        link_fini(&a, &b);
    }
}

/* The initiator does not send its key to a peer that it does not trust. */
static void test_t18_untrusted_responder(void **state)
{
    end a;
    end b;

    (void)state;
    fresh_ends(&a, &b);
    a.trusts = false;
    assert_true(end_pass(&a, &b, 0));
    assert_true(end_pass(&b, &a, 0));
    assert_closed(&a, PN_REASON_UNTRUSTED_PEER);
    assert_int_equal(pn_session_queued_bytes(a.s), 0);
    link_fini(&a, &b);
}

/* Dialling B and reaching C: closed, nothing registered, no M3, and the trust
 * list is not asked about C (T30). */
static void test_t30_wrong_peer(void **state)
{
    pn_public_key expected = {{7}};
    end a;
    end b;

    (void)state;
    end_init(&a, true, 21);
    end_init(&b, false, 22);
    a.config.expected_peer = &expected;
    end_start(&a, 0);
    end_start(&b, 0);
    assert_true(end_pass(&a, &b, 0));
    assert_true(end_pass(&b, &a, 0));
    assert_int_equal(a.err, PN_DENIED);
    assert_closed(&a, PN_REASON_KEY_MISMATCH);
    assert_int_equal(a.n_trust, 0);
    assert_int_equal(a.n_open, 0);
    assert_int_equal(pn_session_queued_bytes(a.s), 0);
    link_fini(&a, &b);
}

static void test_t30_right_peer(void **state)
{
    end a;
    end b;

    (void)state;
    end_init(&a, true, 21);
    end_init(&b, false, 22);
    a.config.expected_peer = &b.identity.public_key;
    end_start(&a, 0);
    end_start(&b, 0);
    link_settle(&a, &b, 0);
    assert_open(&a);
    /* The copy is the session's own. */
    memset(&b.identity.public_key, 0, sizeof(b.identity.public_key));
    assert_open(&a);
    link_fini(&a, &b);
}

/* The expected peer is not trusted any more: expecting is not trusting. */
static void test_t30_expected_but_untrusted(void **state)
{
    end a;
    end b;

    (void)state;
    end_init(&a, true, 21);
    end_init(&b, false, 22);
    a.config.expected_peer = &b.identity.public_key;
    a.trusts = false;
    end_start(&a, 0);
    end_start(&b, 0);
    link_settle(&a, &b, 0);
    assert_closed(&a, PN_REASON_UNTRUSTED_PEER);
    link_fini(&a, &b);
}

/* Low-order points and one that is not, as M1's key and as M2's. */
static const struct {
    const char *name;
    const char *hex;
} low_order[] = {
    {"zero",
        "0000000000000000000000000000000000000000000000000000000000000000"},
    {"one", "0100000000000000000000000000000000000000000000000000000000000000"},
    {"order_8_a",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"},
    {"order_8_b",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"},
    {"p_minus_1",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
    {"p", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
    {"p_plus_1",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"},
    {"zero_high_bit",
        "0000000000000000000000000000000000000000000000000000000000000080"},
    {"one_high_bit",
        "0100000000000000000000000000000000000000000000000000000000000080"},
    {"order_8_b_high_bit",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11d7"},
    {"p_high_bit",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"},
    {"p_plus_1_high_bit",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"},
};

static void low_order_into(const char *hex, unsigned message)
{
    size_t len;
    uint8_t *key = pn_unhex(hex, &len);
    pn_buf out = {0};
    end a;
    end b;
    end *to = message == 0 ? &b : &a;

    fresh_ends(&a, &b);
    if (message == 1) {
        assert_true(end_pass(&a, &b, 0));
    }
    end_take(message == 0 ? &a : &b, 0, &out);
    memcpy(pn_buf_head(&out) + PN_FRAME_HEADER_LEN + PN_HANDSHAKE_PREFIX_LEN,
        key, len);
    assert_int_equal(
        end_feed(to, 0, pn_buf_head(&out), pn_buf_used(&out)), PN_AUTH);
    assert_closed(to, PN_REASON_BAD_HANDSHAKE);
    /* No M2 built on a zero secret leaves. */
    assert_int_equal(pn_session_queued_bytes(to->s), 0);
    assert_int_equal(to->n_output, 0);
    assert_int_equal(to->n_trust, 0);
    free(key);
    pn_buf_fini(&out);
    link_fini(&a, &b);
}

/* The same points as a static key, sealed as it should be: a responder that
 * claims one in M2, an initiator in M3 (BAD-8). */
static void low_order_static(const char *hex, unsigned message)
{
    size_t len;
    uint8_t *key = pn_unhex(hex, &len);
    end a;
    end b;
    end *to = message == 1 ? &a : &b;
    end *from = message == 1 ? &b : &a;

    fresh_ends(&a, &b);
    memcpy(from->identity.public_key.bytes, key, len);
    assert_true(end_pass(&a, &b, 0));
    if (message == 2) {
        assert_true(end_pass(&b, &a, 0));
    }
    assert_true(end_pass(from, to, 0));
    assert_int_equal(to->err, PN_AUTH);
    assert_closed(to, PN_REASON_BAD_HANDSHAKE);
    assert_int_equal(to->n_trust, 0);
    free(key);
    link_fini(&a, &b);
}

static void test_t31_low_order_static_m2(void **state)
{
    low_order_static(*state, 1);
}

static void test_t31_low_order_static_m3(void **state)
{
    low_order_static(*state, 2);
}

static void test_t31_low_order_m1(void **state)
{
    low_order_into(*state, 0);
}

static void test_t31_low_order_m2(void **state)
{
    low_order_into(*state, 1);
}

/* A peer that has our key, or pretends to (T34). */
static void test_t34_own_key(void **state)
{
    end a;
    end b;

    (void)state;
    end_init(&a, true, 21);
    end_init(&b, false, 22);
    b.identity = a.identity;
    end_start(&a, 0);
    end_start(&b, 0);
    link_settle(&a, &b, 0);
    assert_closed(&a, PN_REASON_OWN_KEY);
    assert_int_equal(a.n_trust, 0);
    link_fini(&a, &b);
}

/* The same seen by the responder: the initiator is another program with our
 * key that has no such scruples. */
static void test_t34_own_key_as_responder(void **state)
{
    pn_key_pair other = {.secret = {{9}}};
    pn_buf out = {0};
    end a;
    end b;

    (void)state;
    assert_int_equal(pn_x25519_public(&other.secret, &other.public_key), PN_OK);
    end_init(&a, true, 21);
    end_init(&b, false, 22);
    end_start(&a, 0);
    end_start(&b, 0);
    assert_true(end_pass(&a, &b, 0));
    assert_true(end_pass(&b, &a, 0));
    /* b finds out that the key of M3 is what it was told is its own. */
    b.identity.public_key = a.identity.public_key;
    end_take(&a, 0, &out);
    (void)end_feed(&b, 0, pn_buf_head(&out), pn_buf_used(&out));
    assert_closed(&b, PN_REASON_OWN_KEY);
    assert_int_equal(b.n_trust, 0);
    assert_int_equal(b.n_open, 0);
    pn_buf_fini(&out);
    link_fini(&a, &b);
}

/* Our own M1 comes back to us. */
static void test_t34_reflected_m1(void **state)
{
    pn_buf out = {0};
    end a;
    end b;

    (void)state;
    fresh_ends(&a, &b);
    end_take(&a, 0, &out);
    (void)end_feed(&a, 0, pn_buf_head(&out), pn_buf_used(&out));
    assert_closed(&a, PN_REASON_BAD_HANDSHAKE);
    pn_buf_fini(&out);
    link_fini(&a, &b);
}

static void record(end *a, end *b, transcript_frames *t)
{
    *t = (transcript_frames){0};
    end_take(a, 0, &t->m[0]);
    (void)end_feed(b, 0, pn_buf_head(&t->m[0]), pn_buf_used(&t->m[0]));
    end_take(b, 0, &t->m[1]);
    (void)end_feed(a, 0, pn_buf_head(&t->m[1]), pn_buf_used(&t->m[1]));
    end_take(a, 0, &t->m[2]);
    (void)end_feed(b, 0, pn_buf_head(&t->m[2]), pn_buf_used(&t->m[2]));
    assert_open(a);
    assert_open(b);
}

/* A recorded initiator meets a responder with a fresh ephemeral: M1 is taken,
 * for nothing in it can be fresh, M3 is not. */
static void test_t35_replayed_initiator(void **state)
{
    transcript_frames t;
    end a;
    end b;
    end again;

    (void)state;
    fresh_ends(&a, &b);
    record(&a, &b, &t);
    end_init(&again, false, 22);
    again.is_fresh = true;
    end_start(&again, 0);
    assert_int_equal(
        end_feed(&again, 0, pn_buf_head(&t.m[0]), pn_buf_used(&t.m[0])), PN_OK);
    assert_int_equal(
        end_feed(&again, 0, pn_buf_head(&t.m[2]), pn_buf_used(&t.m[2])),
        PN_AUTH);
    assert_closed(&again, PN_REASON_BAD_HANDSHAKE);
    assert_int_equal(again.n_trust, 0);
    for (unsigned i = 0; i < 3; i++) {
        pn_buf_fini(&t.m[i]);
    }
    end_fini(&again);
    link_fini(&a, &b);
}

static void test_t35_replayed_responder(void **state)
{
    transcript_frames t;
    end a;
    end b;
    end again;

    (void)state;
    fresh_ends(&a, &b);
    record(&a, &b, &t);
    end_init(&again, true, 21);
    again.is_fresh = true;
    end_start(&again, 0);
    assert_int_equal(
        end_feed(&again, 0, pn_buf_head(&t.m[1]), pn_buf_used(&t.m[1])),
        PN_AUTH);
    assert_closed(&again, PN_REASON_BAD_HANDSHAKE);
    assert_int_equal(again.n_trust, 0);
    for (unsigned i = 0; i < 3; i++) {
        pn_buf_fini(&t.m[i]);
    }
    end_fini(&again);
    link_fini(&a, &b);
}

/* A transport frame once more, or in another order, or back to its sender. */
static void test_t35_replayed_frame(void **state)
{
    pn_buf frame = {0};
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    assert_int_equal(end_send(&a, now, "x", 1), PN_OK);
    end_take(&a, now, &frame);
    assert_int_equal(
        end_feed(&b, now, pn_buf_head(&frame), pn_buf_used(&frame)), PN_OK);
    assert_int_equal(b.n_sends, 1);
    assert_int_equal(
        end_feed(&b, now, pn_buf_head(&frame), pn_buf_used(&frame)), PN_AUTH);
    assert_closed(&b, PN_REASON_BAD_TAG);
    assert_int_equal(b.n_sends, 1);
    assert_int_equal(
        end_feed(&a, now, pn_buf_head(&frame), pn_buf_used(&frame)), PN_AUTH);
    assert_closed(&a, PN_REASON_BAD_TAG);
    pn_buf_fini(&frame);
    link_fini(&a, &b);
}

static void test_t35_reordered_frames(void **state)
{
    pn_buf first = {0};
    pn_buf second = {0};
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    assert_int_equal(end_send(&a, now, "x", 1), PN_OK);
    end_take(&a, now, &first);
    assert_int_equal(end_send(&a, now, "y", 1), PN_OK);
    end_take(&a, now, &second);
    assert_int_equal(
        end_feed(&b, now, pn_buf_head(&second), pn_buf_used(&second)), PN_AUTH);
    assert_closed(&b, PN_REASON_BAD_TAG);
    assert_int_equal(b.n_sends, 0);
    pn_buf_fini(&first);
    pn_buf_fini(&second);
    link_fini(&a, &b);
}

/* The owner may close from within any callback of the handshake. */
static void close_here(end *e)
{
    pn_session_close(e->s, PN_REASON_UNPAIRED);
}

static void test_close_in_trust(void **state)
{
    (void)state;
    for (unsigned who = 0; who < 2; who++) {
        end a;
        end b;

        fresh_ends(&a, &b);
        (who == 0 ? &a : &b)->hooks.on_trust = close_here;
        link_settle(&a, &b, 0);
        assert_closed(who == 0 ? &a : &b, PN_REASON_UNPAIRED);
        assert_int_equal((who == 0 ? &a : &b)->n_open, 0);
        link_fini(&a, &b);
    }
}

static void test_close_in_open(void **state)
{
    (void)state;
    for (unsigned who = 0; who < 2; who++) {
        end a;
        end b;

        fresh_ends(&a, &b);
        (who == 0 ? &a : &b)->hooks.on_open = close_here;
        link_settle(&a, &b, 0);
        assert_closed(who == 0 ? &a : &b, PN_REASON_UNPAIRED);
        assert_int_equal((who == 0 ? &a : &b)->n_open, 1);
        link_fini(&a, &b);
    }
}

static void test_close_in_output(void **state)
{
    (void)state;
    for (unsigned who = 0; who < 2; who++) {
        end a;
        end b;

        fresh_ends(&a, &b);
        (who == 0 ? &a : &b)->hooks.on_output = close_here;
        link_settle(&a, &b, 0);
        assert_closed(who == 0 ? &a : &b, PN_REASON_UNPAIRED);
        assert_int_equal((who == 0 ? &a : &b)->n_open, 0);
        link_fini(&a, &b);
    }
}

/* Closed is closed: the first reason stays, input is refused, nothing moves. */
static void test_closed_is_closed(void **state)
{
    uint64_t now = 0;
    end a;
    end b;

    (void)state;
    link_init(&a, &b, &now);
    pn_session_close(a.s, PN_REASON_LOCAL_CLOSE);
    pn_session_close(a.s, PN_REASON_FLOOD);
    assert_closed(&a, PN_REASON_LOCAL_CLOSE);
    assert_int_equal(end_feed(&a, now, "x", 1), PN_CLOSED);
    assert_int_equal(end_tick(&a, now + 1000), PN_CLOSED);
    assert_int_equal(end_send(&a, now, "x", 1), PN_NOT_CONNECTED);
    assert_int_equal(pn_session_ping(a.s, now), PN_NOT_CONNECTED);
    assert_int_equal(pn_session_need(a.s, (uint8_t[4]){0, 0, 0, 20}, 4), 0);
    link_fini(&a, &b);
}

static void test_free_null(void **state)
{
    (void)state;
    pn_session_free(NULL);
}

/* Random ephemerals, not the tests' fixed ones: two sessions of the same two
 * nodes share nothing. */
static void test_fresh_ephemerals(void **state)
{
    pn_buf first = {0};
    pn_buf second = {0};
    end a;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        end_init(&a, true, 21);
        a.is_fresh = true;
        end_start(&a, 0);
        end_take(&a, 0, i == 0 ? &first : &second);
        end_fini(&a);
    }
    assert_int_equal(pn_buf_used(&first), pn_buf_used(&second));
    assert_memory_equal(pn_buf_head(&first), pn_buf_head(&second), 10);
    assert_memory_not_equal(
        pn_buf_head(&first) + 10, pn_buf_head(&second) + 10, 32);
    pn_buf_fini(&first);
    pn_buf_fini(&second);
}

static void add_threats(void)
{

    for (size_t i = 0; i < sizeof(low_order) / sizeof(low_order[0]); i++) {
        void *hex = (void *)(uintptr_t)low_order[i].hex;

        pn_test_addf(test_t31_low_order_m1, hex, "session/t31/low_order/m1/%s",
            low_order[i].name);
        pn_test_addf(test_t31_low_order_m2, hex, "session/t31/low_order/m2/%s",
            low_order[i].name);
        pn_test_addf(test_t31_low_order_static_m2, hex,
            "session/t31/low_order/static_m2/%s", low_order[i].name);
        pn_test_addf(test_t31_low_order_static_m3, hex,
            "session/t31/low_order/static_m3/%s", low_order[i].name);
    }
}

static const struct {
    const char *name;
    CMUnitTestFunction run;
} tests[] = {
    {"session/t01/no_parser", test_t01_no_parser},
    {"session/t01/nothing_before", test_t01_nothing_before},
    {"session/t03/absolute_deadline", test_t03_absolute_deadline},
    {"session/t03/late_bytes", test_t03_late_bytes},
    {"session/t18/trust_is_asked_last", test_t18_trust_is_asked_last},
    {"session/t18/same_close", test_t18_same_close},
    {"session/t18/untrusted_responder", test_t18_untrusted_responder},
    {"session/t30/wrong_peer", test_t30_wrong_peer},
    {"session/t30/right_peer", test_t30_right_peer},
    {"session/t30/expected_but_untrusted", test_t30_expected_but_untrusted},
    {"session/t34/own_key", test_t34_own_key},
    {"session/t34/own_key_as_responder", test_t34_own_key_as_responder},
    {"session/t34/reflected_m1", test_t34_reflected_m1},
    {"session/t35/replayed_initiator", test_t35_replayed_initiator},
    {"session/t35/replayed_responder", test_t35_replayed_responder},
    {"session/t35/replayed_frame", test_t35_replayed_frame},
    {"session/t35/reordered_frames", test_t35_reordered_frames},
    {"session/close/in_trust", test_close_in_trust},
    {"session/close/in_open", test_close_in_open},
    {"session/close/in_output", test_close_in_output},
    {"session/close/closed_is_closed", test_closed_is_closed},
    {"session/close/free_null", test_free_null},
    {"session/fresh_ephemerals", test_fresh_ephemerals},
};

int main(void)
{
    int status;

    recorded = pn_vectors("handshake.json");
    add_threats();
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        pn_test_add(tests[i].name, tests[i].run, NULL);
    }
    status = pn_test_run("session/threats");
    json_decref(recorded);
    return status;
}

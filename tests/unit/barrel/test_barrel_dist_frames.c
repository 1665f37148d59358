/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data streams: messages come out whole however they are cut, bytes over a
 * limit are refused before they are kept, and data that overtakes the end of
 * the handshake waits for it (docs/BARREL-PROTOCOL.md, section 15).
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "dist_end.h"
#include "dist_text.h"

#define MAX ((size_t)1000) /* max_message of these tests */

/* ---- messages ------------------------------------------------------------ */

/* {2,'',<a.1.0>} and the tag of a binary. */
static const uint8_t send_head[] = "\x70\x83\x68\x03\x61\x02\x77\0\x58\x77\3"
                                   "a@b\0\0\0\1\0\0\0\0\0\0\0\4\x83\x6d";
#define SEND_HEAD_LEN (sizeof(send_head) - 1)

/* A binary that makes the message len bytes long. */
static void put_send(pn_buf *out, size_t len, uint8_t fill)
{
    size_t n = len - SEND_HEAD_LEN - 4;
    uint8_t bytes[4];

    assert_true(len >= SEND_HEAD_LEN + 4);
    pn_store_be32(bytes, (uint32_t)len);
    assert_int_equal(pn_buf_append(out, bytes, 4), PN_OK);
    assert_int_equal(pn_buf_append(out, send_head, SEND_HEAD_LEN), PN_OK);
    pn_store_be32(bytes, (uint32_t)n);
    assert_int_equal(pn_buf_append(out, bytes, 4), PN_OK);
    assert_int_equal(pn_buf_reserve(out, n), PN_OK);
    memset(out->data + out->len, fill, n);
    out->len += n;
}

static void put_raw(pn_buf *out, const char *data, size_t len)
{
    assert_int_equal(pn_buf_append(out, data, len), PN_OK);
}

/* ---- an end that is up --------------------------------------------------- */

static void start_up_with(dist_end *e, pn_dist_role role, size_t max)
{
    dist_end peer;
    bool initiator = role == PN_DIST_INITIATOR;

    dist_end_init(e, role);
    e->config.max_message = max;
    dist_end_init(&peer, initiator ? PN_DIST_RESPONDER : PN_DIST_INITIATOR);
    dist_end_start(e);
    dist_end_start(&peer);
    dist_talk(initiator ? e : &peer, initiator ? &peer : e, 512);
    dist_assert_up(e, &peer);
    dist_end_fini(&peer);
}

static void start_up(dist_end *e, pn_dist_role role)
{
    start_up_with(e, role, MAX);
}

/* A copy of exactly its size, so that a sanitizer sees its end. */
static void data(dist_end *e, int64_t stream, const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len == 0 ? 1 : len);

    assert_non_null(copy);
    if (len > 0) {
        memcpy(copy, bytes, len);
    }
    pn_dist_data_input(e->dist, NOW_US, stream, copy, len);
    free(copy);
}

static void assert_reason(const dist_end *e, pn_dist_reason want)
{
    assert_string_equal(
        dist_reason_text(pn_dist_reason_of(e->dist)), dist_reason_text(want));
    assert_int_equal(pn_dist_state_of(e->dist),
        want == PN_DIST_REASON_NONE ? PN_DIST_UP : PN_DIST_FAILED);
}

/* ---- one stream ---------------------------------------------------------- */

static void test_cut_anywhere(void **state)
{
    pn_buf in = {0};

    (void)state;
    put_raw(&in, "\0\0\0\0", 4);
    put_send(&in, 60, 1);
    put_send(&in, MAX, 2);
    put_raw(&in, "\0\0\0\0\0\0\0\0", 8);
    put_send(&in, 40, 3);
    for (size_t n = 0; n <= pn_buf_used(&in); n++) {
        dist_end e;

        start_up(&e, PN_DIST_RESPONDER);
        data(&e, 4, in.data, n);
        data(&e, 4, in.data + n, pn_buf_used(&in) - n);
        assert_reason(&e, PN_DIST_REASON_NONE);
        assert_int_equal(e.n_signals, 3);
        dist_end_fini(&e);
    }
    pn_buf_fini(&in);
}

static void test_pieces(void **state)
{
    size_t piece = *(const size_t *)*state;
    pn_buf in = {0};
    dist_end e;

    for (size_t len = 40; len < 400; len += 7) {
        put_send(&in, len, 9);
        put_raw(&in, "\0\0\0\0", 4);
    }
    start_up(&e, PN_DIST_INITIATOR);
    for (size_t at = 0; at < pn_buf_used(&in); at += piece) {
        size_t left = pn_buf_used(&in) - at;

        data(&e, 1, in.data + at, left < piece ? left : piece);
    }
    assert_reason(&e, PN_DIST_REASON_NONE);
    assert_int_equal(e.n_signals, 52);
    dist_end_fini(&e);
    pn_buf_fini(&in);
}

/* A message that is whole in the input is read there. */
static void see_where(dist_end *e, const pn_dist_signal *signal)
{
    const pn_slice *in = e->user;

    assert_true(signal->message.data > in->data
                && signal->message.data < in->data + in->len);
}

static void test_no_copy(void **state)
{
    pn_buf in = {0};
    pn_slice where;
    dist_end e;

    (void)state;
    put_send(&in, 100, 1);
    put_send(&in, 200, 1);
    start_up(&e, PN_DIST_RESPONDER);
    where = (pn_slice){in.data, pn_buf_used(&in)};
    e.on_signal = see_where;
    e.user = &where;
    pn_dist_data_input(e.dist, NOW_US, 8, where.data, where.len);
    assert_int_equal(e.n_signals, 2);
    dist_end_fini(&e);
    pn_buf_fini(&in);
}

/* ---- messages that are too large -------------------------------------------
 */

enum { DRAIN_MAX = 40000 };

static void start_draining_up_to(dist_end *e, size_t max_drain)
{
    dist_end peer;

    dist_end_init(e, PN_DIST_RESPONDER);
    e->config.max_message = MAX;
    e->config.max_drain = max_drain;
    e->config.drain_us = PN_US_PER_S;
    dist_end_init(&peer, PN_DIST_INITIATOR);
    dist_end_start(e);
    dist_end_start(&peer);
    dist_talk(&peer, e, 512);
    dist_assert_up(e, &peer);
    dist_end_fini(&peer);
}

static void start_draining(dist_end *e)
{
    start_draining_up_to(e, DRAIN_MAX);
}

/* One of several steps has begun. */
static void start_draining_long(dist_end *e)
{
    uint8_t bytes[4];

    start_draining_up_to(e, 4 * PN_DIST_DRAIN_STEP);
    pn_store_be32(bytes, 4 * PN_DIST_DRAIN_STEP);
    data(e, 4, bytes, 4);
}

/* In any pieces: its head and the messages around it are delivered, and nothing
 * of it is kept. */
static void test_drained(void **state)
{
    static const size_t pieces[] = {1, 3, 4, 5, 4000, 100000};
    static const size_t lens[] = {MAX + 1, PN_DIST_HEAD_MAX - 1,
        PN_DIST_HEAD_MAX, PN_DIST_HEAD_MAX + 1, DRAIN_MAX};

    (void)state;
    for (size_t i = 0; i < 30; i++) {
        size_t len = lens[i % 5];
        size_t piece = pieces[i / 5];
        size_t head = len < PN_DIST_HEAD_MAX ? len : PN_DIST_HEAD_MAX;
        pn_buf in = {0};
        dist_end e;

        put_send(&in, 60, 1);
        put_send(&in, len, 7);
        put_send(&in, 60, 1);
        start_draining(&e);
        for (size_t at = 0; at < pn_buf_used(&in); at += piece) {
            size_t left = pn_buf_used(&in) - at;

            data(&e, 4, in.data + at, left < piece ? left : piece);
            assert_true(pn_dist_held(e.dist) <= MAX + PN_DIST_HEAD_MAX);
        }
        assert_reason(&e, PN_DIST_REASON_NONE);
        assert_int_equal(e.n_signals, 2);
        assert_int_equal(e.n_drained, 1);
        assert_int_equal(e.drained_len, len);
        assert_int_equal(e.drained_head_len, head);
        assert_memory_equal(e.drained_head, in.data + 64 + 4, head);
        assert_int_equal(pn_dist_held(e.dist), 0);
        assert_true(pn_dist_deadline(e.dist) == PN_TIME_NEVER);
        dist_end_fini(&e);
        pn_buf_fini(&in);
    }
}

static void test_drain_max(void **state)
{
    uint8_t bytes[4];
    dist_end e;

    (void)state;
    start_draining(&e);
    pn_store_be32(bytes, DRAIN_MAX + 1);
    data(&e, 4, bytes, 4);
    assert_reason(&e, PN_DIST_REASON_TOO_LARGE);
    dist_end_fini(&e);
}

/* A message that makes no progress ends the connection; one that makes progress
 * has no other time limit. */
static void test_drain_deadline(void **state)
{
    static const uint8_t some[PN_DIST_DRAIN_STEP];
    const uint64_t later_us = NOW_US + PN_US_PER_S - 1;
    dist_end e;

    (void)state;
    start_draining_long(&e);
    assert_true(pn_dist_deadline(e.dist) == NOW_US + PN_US_PER_S);
    /* A step less one byte is no progress, and the last byte of it is. */
    pn_dist_data_input(e.dist, NOW_US + 1, 4, some, sizeof(some) - 1);
    assert_true(pn_dist_deadline(e.dist) == NOW_US + PN_US_PER_S);
    pn_dist_data_input(e.dist, later_us, 4, some, 1);
    assert_true(pn_dist_deadline(e.dist) == later_us + PN_US_PER_S);
    pn_dist_tick(e.dist, later_us + PN_US_PER_S - 1);
    assert_reason(&e, PN_DIST_REASON_NONE);
    pn_dist_tick(e.dist, later_us + PN_US_PER_S);
    assert_reason(&e, PN_DIST_REASON_TOO_LARGE);
    dist_end_fini(&e);
}

/* Without credit the peer cannot send on: it is not late then. */
static void test_drain_without_credit(void **state)
{
    const uint64_t later_us = NOW_US + 100 * PN_US_PER_S;
    uint8_t byte = 0;
    dist_end e;

    (void)state;
    start_draining_long(&e);
    pn_dist_set_reading(e.dist, NOW_US, false);
    assert_true(pn_dist_deadline(e.dist) == PN_TIME_NEVER);
    pn_dist_tick(e.dist, later_us);
    pn_dist_data_input(e.dist, later_us, 4, &byte, 1);
    assert_reason(&e, PN_DIST_REASON_NONE);
    pn_dist_set_reading(e.dist, later_us, true);
    assert_true(pn_dist_deadline(e.dist) == later_us + PN_US_PER_S);
    /* Told again, it has no more time for that. */
    pn_dist_set_reading(e.dist, later_us + 1, true);
    pn_dist_tick(e.dist, later_us + PN_US_PER_S);
    assert_reason(&e, PN_DIST_REASON_TOO_LARGE);
    dist_end_fini(&e);
}

/* ---- limits -------------------------------------------------------------- */

typedef struct length_row {
    const char *name;
    uint32_t len;
    bool is_fine;
} length_row;

static length_row lengths[] = {
    {"max - 1", MAX - 1, true},
    {"max", MAX, true},
    {"max + 1", MAX + 1, false},
    {"2^31", UINT32_C(1) << 31, false},
    {"2^32 - 4", UINT32_MAX - 3, false},
    {"2^32 - 1", UINT32_MAX, false},
};

/* The length alone decides, whole or byte by byte. */
static void test_length(void **state)
{
    const length_row *row = *state;
    uint8_t bytes[4];

    pn_store_be32(bytes, row->len);
    for (size_t piece = 1; piece <= 4; piece += 3) {
        dist_end e;
        pn_buf in = {0};

        start_up(&e, PN_DIST_RESPONDER);
        for (size_t at = 0; at < 4; at += piece) {
            data(&e, 4, bytes + at, piece);
        }
        assert_reason(
            &e, row->is_fine ? PN_DIST_REASON_NONE : PN_DIST_REASON_TOO_LARGE);
        if (row->is_fine) {
            put_send(&in, row->len, 1);
            data(&e, 4, in.data + 4, row->len);
            assert_int_equal(e.n_signals, 1);
        }
        pn_buf_fini(&in);
        dist_end_fini(&e);
    }
}

/* All streams together keep four messages of the largest size and no more. */
static void test_buffered(void **state)
{
    pn_buf in = {0};
    dist_end e;

    (void)state;
    put_send(&in, MAX, 1);
    start_up(&e, PN_DIST_RESPONDER);
    for (int64_t stream = 4; stream <= 16; stream += 4) {
        data(&e, stream, in.data, MAX + 3);
    }
    assert_reason(&e, PN_DIST_REASON_NONE);
    data(&e, 20, in.data, 4);
    assert_reason(&e, PN_DIST_REASON_NONE);
    data(&e, 24, in.data, 1);
    assert_reason(&e, PN_DIST_REASON_TOO_LARGE);
    assert_int_equal(e.n_signals, 0);
    dist_end_fini(&e);

    /* A complete message makes room again. */
    start_up(&e, PN_DIST_RESPONDER);
    for (int i = 0; i < 3; i++) {
        for (int64_t stream = 4; stream <= 16; stream += 4) {
            data(&e, stream, in.data, MAX + 3);
        }
        for (int64_t stream = 4; stream <= 16; stream += 4) {
            data(&e, stream, in.data + MAX + 3, 1);
        }
    }
    assert_reason(&e, PN_DIST_REASON_NONE);
    assert_int_equal(e.n_signals, 12);
    dist_end_fini(&e);
    pn_buf_fini(&in);
}

/* Four times the largest that may be configured is more than 32 bits. */
static void test_buffered_largest(void **state)
{
    pn_buf in = {0};
    dist_end e;

    (void)state;
    put_send(&in, MAX, 1);
    start_up_with(&e, PN_DIST_RESPONDER, INT32_MAX);
    data(&e, 4, in.data, MAX);
    assert_reason(&e, PN_DIST_REASON_NONE);
    data(&e, 4, in.data + MAX, 4);
    assert_reason(&e, PN_DIST_REASON_NONE);
    assert_int_equal(e.n_signals, 1);
    dist_end_fini(&e);

    start_up_with(&e, PN_DIST_RESPONDER, (size_t)1 << 30);
    data(&e, 4, in.data, MAX);
    assert_reason(&e, PN_DIST_REASON_NONE);
    dist_end_fini(&e);
    pn_buf_fini(&in);
}

/* ---- bad messages -------------------------------------------------------- */

typedef struct bad_row {
    const char *name;
    const char *data;
    size_t len;
    pn_dist_reason reason;
} bad_row;

#define BAD(name, data, reason)                                                \
    {                                                                          \
        name, data, sizeof(data) - 1, PN_DIST_REASON_##reason                  \
    }

static bad_row bad[] = {
    BAD("one byte", "\0\0\0\1\x70", BAD_TERM),
    BAD("a term that is none", "\0\0\0\3\x70\x83\xff", BAD_TERM),
    BAD("a tuple without its elements", "\0\0\0\4\x70\x83\x68\3", BAD_TERM),
    BAD("bytes behind the term", "\0\0\0\7\x70\x83\x68\1\x61\5\0", BAD_TERM),
    BAD("an unknown operation", "\0\0\0\6\x70\x83\x68\1\x61\5", NONE),
    BAD("an unknown one with a message",
        "\0\0\0\x08\x70\x83\x68\1\x61\x63\x83\x6a", NONE),
};

static void test_bad(void **state)
{
    const bad_row *row = *state;
    pn_buf more = {0};
    dist_end e;

    put_send(&more, 50, 1);
    for (size_t n = 0; n < row->len; n++) {
        start_up(&e, PN_DIST_RESPONDER);
        data(&e, 4, (const uint8_t *)row->data, n);
        assert_reason(&e, PN_DIST_REASON_NONE);
        data(&e, 4, (const uint8_t *)row->data + n, row->len - n);
        assert_reason(&e, row->reason);
        data(&e, 4, more.data, pn_buf_used(&more));
        data(&e, 8, more.data, pn_buf_used(&more));
        assert_reason(&e, row->reason);
        assert_int_equal(
            e.n_signals, row->reason == PN_DIST_REASON_NONE ? 2 : 0);
        dist_end_fini(&e);
    }
    pn_buf_fini(&more);
}

/* A term nested n deep, which a BEAM may send and our own links refuse. */
static void put_nested(pn_buf *out, uint32_t n)
{
    uint8_t bytes[4];

    put_raw(out, "\0\0\0\0", 4);
    put_raw(out, (const char *)send_head, SEND_HEAD_LEN - 1);
    for (uint32_t i = 0; i < n; i++) {
        put_raw(out, "\x68\1", 2);
    }
    put_raw(out, "\x6a", 1);
    pn_store_be32(bytes, (uint32_t)pn_buf_used(out) - 4);
    memcpy(out->data, bytes, 4);
}

static void test_deep(void **state)
{
    static const struct {
        uint32_t depth;
        pn_dist_reason want;
    } rows[] = {{600, PN_DIST_REASON_NONE}, {65535, PN_DIST_REASON_NONE},
        {65536, PN_DIST_REASON_BAD_TERM}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pn_buf in = {0};
        dist_end e;
        dist_end peer;

        put_nested(&in, rows[i].depth);
        dist_end_init(&e, PN_DIST_RESPONDER);
        dist_end_init(&peer, PN_DIST_INITIATOR);
        dist_end_start(&e);
        dist_end_start(&peer);
        dist_talk(&peer, &e, 512);
        data(&e, 4, in.data, pn_buf_used(&in));
        assert_reason(&e, rows[i].want);
        pn_buf_fini(&in);
        dist_end_fini(&e);
        dist_end_fini(&peer);
    }
}

/* ---- which streams ------------------------------------------------------- */

/* Even ones of an initiator below 68, odd ones of a responder below 65; never
 * the control stream, those of authentication, our own, users'. */
static bool is_peers(pn_dist_role ours, int64_t stream)
{
    if (stream < 4 && stream != 1) {
        return false;
    }
    return ours == PN_DIST_RESPONDER ? stream % 2 == 0 && stream < 68
                                     : stream % 2 == 1 && stream < 65;
}

static void test_streams(void **state)
{
    pn_dist_role role = *(const pn_dist_role *)*state;
    static const int64_t far[] = {-4, -1, INT64_MIN, INT64_MAX, 1 << 20,
        (INT64_C(1) << 32) + 4, (INT64_C(1) << 32) + 5};
    pn_buf in = {0};
    dist_end e;

    put_send(&in, 60, 1);
    for (int64_t stream = 0; stream < 140; stream++) {
        start_up(&e, role);
        data(&e, stream, in.data, pn_buf_used(&in));
        assert_reason(&e, is_peers(role, stream) ? PN_DIST_REASON_NONE
                                                 : PN_DIST_REASON_STREAM);
        assert_int_equal(e.n_signals, is_peers(role, stream) ? 1 : 0);
        dist_end_fini(&e);
    }
    for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
        start_up(&e, role);
        data(&e, far[i], in.data, 1);
        assert_reason(&e, PN_DIST_REASON_STREAM);
        dist_end_fini(&e);
    }
    pn_buf_fini(&in);
}

/* Each stream has its own place: a piece of each in turn, in a random order. */
typedef struct splits {
    pn_buf in[PN_DIST_N_STREAMS];
    uint8_t expected[PN_DIST_N_STREAMS]; /* the fill of its next message */
} splits;

static void see_order(dist_end *e, const pn_dist_signal *signal)
{
    splits *s = e->user;
    pn_term_reader r;
    pn_slice bytes;
    size_t stream;

    pn_term_reader_init(&r, signal->message);
    bytes = pn_term_read_binary(&r);
    assert_true(bytes.len > 0);
    stream = bytes.data[0] >> 4;
    assert_int_equal(bytes.data[0] & 15, s->expected[stream]++);
    for (size_t i = 1; i < bytes.len; i++) {
        assert_int_equal(bytes.data[i], bytes.data[0]);
    }
}

static void fill_splits(splits *s, uint64_t *seed)
{
    for (size_t i = 0; i < PN_DIST_N_STREAMS; i++) {
        for (uint8_t n = 0; n < 16; n++) {
            put_send(&s->in[i], 40 + pn_test_random(seed) % 200,
                (uint8_t)(i << 4 | n));
        }
    }
}

static void test_random(void **state)
{
    pn_dist_role role = *(const pn_dist_role *)*state;

    for (uint64_t run = 1; run <= 50; run++) {
        uint64_t seed = run;
        size_t n_left = PN_DIST_N_STREAMS;
        splits s = {0};
        dist_end e;

        start_up(&e, role);
        e.on_signal = see_order;
        e.user = &s;
        fill_splits(&s, &seed);
        while (n_left > 0) {
            size_t i = pn_test_random(&seed) % PN_DIST_N_STREAMS;
            size_t n = pn_test_random(&seed) % 150;
            size_t used = pn_buf_used(&s.in[i]);

            if (used == 0) {
                continue;
            }
            n = n < used ? n : used;
            data(&e, (role == PN_DIST_RESPONDER ? 4 : 1) + 4 * (int64_t)i,
                pn_buf_head(&s.in[i]), n);
            pn_buf_consume(&s.in[i], n);
            n_left -= pn_buf_used(&s.in[i]) == 0 ? 1 : 0;
        }
        assert_reason(&e, PN_DIST_REASON_NONE);
        assert_int_equal(e.n_signals, 16 * PN_DIST_N_STREAMS);
        for (size_t i = 0; i < PN_DIST_N_STREAMS; i++) {
            pn_buf_fini(&s.in[i]);
        }
        dist_end_fini(&e);
    }
}

/* ---- before the handshake is over ---------------------------------------- */

/* An initiator that has not heard the ack yet. */
static void start_early_as_is(dist_end *e, dist_end *peer)
{
    dist_end_init(peer, PN_DIST_RESPONDER);
    dist_end_start(e);
    dist_end_start(peer);
    for (int i = 0; i < 2; i++) {
        (void)dist_pass(e, peer, 512);
        (void)dist_pass(peer, e, 512);
    }
    (void)dist_pass(e, peer, 512);
    assert_int_equal(pn_dist_state_of(peer->dist), PN_DIST_UP);
    assert_int_equal(pn_dist_state_of(e->dist), PN_DIST_HANDSHAKE);
}

static void start_early(dist_end *e, dist_end *peer)
{
    dist_end_init(e, PN_DIST_INITIATOR);
    start_early_as_is(e, peer);
}

static void test_early(void **state)
{
    pn_buf in = {0};
    dist_end e;
    dist_end peer;

    (void)state;
    put_send(&in, 60, 1);
    put_send(&in, 70, 1);
    for (size_t n = 0; n <= pn_buf_used(&in); n++) {
        start_early(&e, &peer);
        data(&e, 5, in.data, n);
        data(&e, 1, in.data, 64);
        assert_int_equal(e.n_signals, 0);
        (void)dist_pass(&peer, &e, 1);
        dist_assert_up(&e, &peer);
        data(&e, 5, in.data + n, pn_buf_used(&in) - n);
        assert_int_equal(e.n_signals, 3);
        assert_int_equal(e.order[0], 'u'); /* first the link, then signals */
        assert_reason(&e, PN_DIST_REASON_NONE);
        dist_end_fini(&e);
        dist_end_fini(&peer);
    }
    pn_buf_fini(&in);
}

static void test_early_limit(void **state)
{
    static uint8_t zeros[PN_DIST_EARLY_MAX];
    dist_end e;
    dist_end peer;

    (void)state;
    start_early(&e, &peer);
    data(&e, 1, zeros, sizeof(zeros) - 10);
    data(&e, 5, zeros, 10);
    assert_int_equal(pn_dist_state_of(e.dist), PN_DIST_HANDSHAKE);
    (void)dist_pass(&peer, &e, 512);
    dist_assert_up(&e, &peer);
    dist_end_fini(&e);
    dist_end_fini(&peer);

    start_early(&e, &peer);
    data(&e, 1, zeros, sizeof(zeros) - 10);
    data(&e, 5, zeros, 11);
    dist_assert_failed(&e, PN_DIST_REASON_TOO_LARGE);
    dist_end_fini(&e);
    dist_end_fini(&peer);
}

/* One that is too large has its time from when the link is up. */
static void test_early_drained(void **state)
{
    const uint64_t up_us = NOW_US + 3 * PN_US_PER_S;
    uint8_t bytes[512];
    dist_end e;
    dist_end peer;
    size_t n;

    (void)state;
    dist_end_init(&e, PN_DIST_INITIATOR);
    e.config.max_message = MAX;
    e.config.max_drain = DRAIN_MAX;
    e.config.drain_us = PN_US_PER_S;
    start_early_as_is(&e, &peer);
    pn_store_be32(bytes, DRAIN_MAX);
    data(&e, 1, bytes, 4);
    n = dist_take(&peer, bytes);
    pn_dist_control_input(e.dist, up_us, bytes, n);
    assert_int_equal(pn_dist_state_of(e.dist), PN_DIST_UP);
    assert_true(pn_dist_deadline(e.dist) == up_us + PN_US_PER_S);
    dist_end_fini(&e);
    dist_end_fini(&peer);
}

/* It is checked like any other once the link is up; a bad one drops all that
 * waits. */
static void test_early_bad(void **state)
{
    pn_buf in = {0};
    dist_end e;
    dist_end peer;

    (void)state;
    put_send(&in, 60, 1);
    start_early(&e, &peer);
    data(&e, 2, in.data, 64);
    dist_assert_failed(&e, PN_DIST_REASON_STREAM);
    dist_end_fini(&e);
    dist_end_fini(&peer);

    start_early(&e, &peer);
    data(&e, 1, (const uint8_t *)"\0\0\0\1\x70", 5);
    data(&e, 5, in.data, 64);
    (void)dist_pass(&peer, &e, 512);
    assert_reason(&e, PN_DIST_REASON_BAD_TERM);
    assert_string_equal(e.order, "u");
    dist_end_fini(&e);
    dist_end_fini(&peer);
    pn_buf_fini(&in);
}

/* Small messages are allowed, much was held: the limit begins anew. */
static void test_early_small(void **state)
{
    pn_buf in = {0};
    dist_end e;
    dist_end peer;

    (void)state;
    for (int i = 0; i < 300; i++) {
        put_send(&in, 60, 1);
    }
    dist_end_init(&e, PN_DIST_RESPONDER);
    dist_end_init(&peer, PN_DIST_INITIATOR);
    e.config.max_message = 60;
    dist_end_start(&e);
    dist_end_start(&peer);
    data(&e, 4, in.data, pn_buf_used(&in) - 1);
    data(&e, 8, in.data, 64 * 200 + 63);
    dist_talk(&peer, &e, 512);
    dist_assert_up(&e, &peer);
    assert_int_equal(e.n_signals, 499);
    data(&e, 4, in.data + pn_buf_used(&in) - 1, 1);
    assert_int_equal(e.n_signals, 500);
    dist_end_fini(&e);
    dist_end_fini(&peer);
    pn_buf_fini(&in);
}

int main(void)
{
    static size_t pieces[] = {1, 2, 3, 5, 17, 64, 1000};
    static pn_dist_role roles[] = {PN_DIST_INITIATOR, PN_DIST_RESPONDER};
    static const char *const role_names[] = {"initiator", "responder"};

    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        pn_test_addf(test_pieces, &pieces[i],
            "barrel/dist_frames/in pieces of %zu", pieces[i]);
    }
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        pn_test_addf(test_length, &lengths[i], "barrel/dist_frames/length/%s",
            lengths[i].name);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        pn_test_addf(
            test_bad, &bad[i], "barrel/dist_frames/bad/%s", bad[i].name);
    }
    for (size_t i = 0; i < 2; i++) {
        pn_test_addf(test_streams, &roles[i], "barrel/dist_frames/streams/%s",
            role_names[i]);
        pn_test_addf(test_random, &roles[i], "barrel/dist_frames/random/%s",
            role_names[i]);
    }
    pn_test_add("barrel/dist_frames/cut_anywhere", test_cut_anywhere, NULL);
    pn_test_add("barrel/dist_frames/deep", test_deep, NULL);
    pn_test_add("barrel/dist_frames/no_copy", test_no_copy, NULL);
    pn_test_add("barrel/dist_frames/drained", test_drained, NULL);
    pn_test_add("barrel/dist_frames/drain_max", test_drain_max, NULL);
    pn_test_add("barrel/dist_frames/drain_deadline", test_drain_deadline, NULL);
    pn_test_add("barrel/dist_frames/drain_without_credit",
        test_drain_without_credit, NULL);
    pn_test_add("barrel/dist_frames/buffered", test_buffered, NULL);
    pn_test_add(
        "barrel/dist_frames/buffered_largest", test_buffered_largest, NULL);
    pn_test_add("barrel/dist_frames/early", test_early, NULL);
    pn_test_add("barrel/dist_frames/early_limit", test_early_limit, NULL);
    pn_test_add("barrel/dist_frames/early_drained", test_early_drained, NULL);
    pn_test_add("barrel/dist_frames/early_bad", test_early_bad, NULL);
    pn_test_add("barrel/dist_frames/early_small", test_early_small, NULL);
    return pn_test_run("barrel/dist_frames");
}

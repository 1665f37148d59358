/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PROP-2 and T35: a handshake in which anything was changed on the way never
 * authenticates. All 1,680 single-bit flips of the 210 body bytes, bytes
 * dropped, repeated and moved, wrong lengths, wrong turns, replays.
 */
#include <stdio.h>

#include "noise_pair.h"
#include "wire/frame.h"

#define N_MESSAGES 3
#define BODY_MAX PN_HANDSHAKE_BODY_MAX

static const size_t body_lens[N_MESSAGES] = {PN_M1_LEN, PN_M2_LEN, PN_M3_LEN};

typedef struct body {
    uint8_t bytes[BODY_MAX];
    size_t len;
} body;

/* Changes a body in place; false: this change would change nothing. */
typedef bool change_fn(body *b, size_t at, unsigned bit);

static void start_pair(noise_pair *pair, uint8_t seed)
{
    uint8_t secret[4][PN_KEY_LEN];

    for (size_t i = 0; i < 4; i++) {
        memset(secret[i], (int)(seed + i), PN_KEY_LEN);
    }
    noise_end_init(&pair->initiator, secret[0], secret[1]);
    noise_end_init(&pair->responder, secret[2], secret[3]);
    noise_end_start(&pair->initiator, &pn_noise_peernet_0_1, true, NULL, 0);
    noise_end_start(&pair->responder, &pn_noise_peernet_0_1, false, NULL, 0);
}

static noise_end *writer_of(noise_pair *pair, size_t message)
{
    return message % 2 == 0 ? &pair->initiator : &pair->responder;
}

static noise_end *reader_of(noise_pair *pair, size_t message)
{
    return message % 2 == 0 ? &pair->responder : &pair->initiator;
}

static pn_err write_body(noise_end *end, body *b)
{
    uint8_t frame[PN_FRAME_HEADER_LEN + BODY_MAX];
    const size_t head = PN_FRAME_HEADER_LEN + PN_HANDSHAKE_PREFIX_LEN;
    size_t len;
    pn_err err = pn_handshake_write(
        end->handshake, NULL, 0, frame + head, sizeof(frame) - head, &len);

    if (err == PN_OK) {
        pn_handshake_wrap(frame, len);
        b->len = PN_HANDSHAKE_PREFIX_LEN + len;
        memcpy(b->bytes, frame + PN_FRAME_HEADER_LEN, b->len);
    }
    return err;
}

static pn_err read_body(noise_end *end, const body *b, size_t want_len)
{
    pn_slice message;
    size_t len;
    pn_err err = pn_handshake_unwrap(b->bytes, b->len, want_len, &message);

    if (err != PN_OK) {
        return err;
    }
    return pn_handshake_read(
        end->handshake, message.data, message.len, NULL, 0, &len);
}

/* Runs a handshake with one message changed. The next end to read must refuse:
 * a changed M1 is noticed by the initiator, in the answer to it. */
static void check_changed(
    size_t message, change_fn *change, size_t at, unsigned bit)
{
    noise_pair pair;
    body b;

    start_pair(&pair, 0x21);
    for (size_t i = 0; i < N_MESSAGES; i++) {
        pn_err err = write_body(writer_of(&pair, i), &b);

        assert_int_equal(err, PN_OK);
        if (i == message && !change(&b, at, bit)) {
            break;
        }
        err = read_body(reader_of(&pair, i), &b, body_lens[i]);
        if (i == message && at < PN_HANDSHAKE_PREFIX_LEN && bit < 8) {
            assert_int_equal(err, PN_MALFORMED);
            break;
        }
        if (i > message || (i == message && i > 0)) {
            assert_true(err == PN_AUTH || err == PN_MALFORMED);
            assert_null(pn_handshake_peer(reader_of(&pair, i)->handshake));
            break;
        }
        if (err != PN_OK) {
            assert_int_equal(i, message);
            break;
        }
    }
    assert_false(pn_handshake_is_done(pair.responder.handshake));
    noise_pair_fini(&pair);
}

static bool flip(body *b, size_t at, unsigned bit)
{
    b->bytes[at] ^= (uint8_t)(1u << bit);
    return true;
}

static bool drop(body *b, size_t at, unsigned bit)
{
    (void)bit;
    memmove(b->bytes + at, b->bytes + at + 1, b->len - at - 1);
    b->len--;
    return true;
}

/* The same with the length kept, as if the next byte had come. */
static bool shift_left(body *b, size_t at, unsigned bit)
{
    body before = *b;

    (void)drop(b, at, bit);
    b->bytes[b->len++] = 0xa5;
    return memcmp(before.bytes, b->bytes, b->len) != 0;
}

static bool repeat(body *b, size_t at, unsigned bit)
{
    body before = *b;

    (void)bit;
    memmove(b->bytes + at + 1, b->bytes + at, b->len - at - 1);
    return memcmp(before.bytes, b->bytes, b->len) != 0;
}

static bool move(body *b, size_t at, unsigned bit)
{
    size_t to = (at + 1) % b->len;
    uint8_t byte = b->bytes[at];

    (void)bit;
    b->bytes[at] = b->bytes[to];
    b->bytes[to] = byte;
    return b->bytes[at] != b->bytes[to];
}

/* ---- rows ---------------------------------------------------------------- */

typedef struct row {
    size_t message;
    size_t at;
    change_fn *change;
} row;

static void test_flip(void **state)
{
    const row *r = *state;

    for (unsigned bit = 0; bit < 8; bit++) {
        check_changed(r->message, flip, r->at, bit);
    }
}

/* bit 8: "not a flip", so any refusal will do. */
static void test_change(void **state)
{
    const row *r = *state;

    for (size_t at = 0; at < body_lens[r->message]; at++) {
        check_changed(r->message, r->change, at, 8);
    }
}

/* Takes a pair to the point where this message has been written. */
static void reach(noise_pair *pair, size_t message, uint8_t seed, body *b)
{
    start_pair(pair, seed);
    for (size_t i = 0;; i++) {
        assert_int_equal(write_body(writer_of(pair, i), b), PN_OK);
        if (i == message) {
            return;
        }
        assert_int_equal(read_body(reader_of(pair, i), b, body_lens[i]), PN_OK);
    }
}

/* Noise messages of every other length than the right one. */
static void test_lengths(void **state)
{
    const row *r = *state;
    const size_t right = body_lens[r->message] - PN_HANDSHAKE_PREFIX_LEN;

    for (size_t len = 0; len <= right + 20; len++) {
        noise_pair pair;
        body b;
        size_t n;
        uint8_t longer[2 * BODY_MAX] = {0};
        noise_end *reader = reader_of(&pair, r->message);

        reach(&pair, r->message, 0x21, &b);
        memcpy(longer, b.bytes + PN_HANDSHAKE_PREFIX_LEN, right);
        assert_int_equal(
            pn_handshake_read(reader->handshake, longer, len, NULL, 0, &n),
            len == right ? PN_OK : PN_MALFORMED);
        if (len != right) {
            assert_int_equal(pn_handshake_read(
                                 reader->handshake, longer, right, NULL, 0, &n),
                PN_STATE);
        }
        noise_pair_fini(&pair);
    }
}

/* Output buffers of every size below what the message needs. */
static void test_capacity(void **state)
{
    const row *r = *state;
    const size_t right = body_lens[r->message] - PN_HANDSHAKE_PREFIX_LEN;

    for (size_t cap = 0; cap <= right; cap++) {
        noise_pair pair;
        body b;
        size_t n;

        start_pair(&pair, 0x21);
        for (size_t i = 0; i < r->message; i++) {
            assert_int_equal(write_body(writer_of(&pair, i), &b), PN_OK);
            assert_int_equal(
                read_body(reader_of(&pair, i), &b, body_lens[i]), PN_OK);
        }
        assert_int_equal(
            pn_handshake_write(writer_of(&pair, r->message)->handshake, NULL, 0,
                b.bytes, cap, &n),
            cap == right ? PN_OK : PN_TOO_LARGE);
        noise_pair_fini(&pair);
    }
}

/* A message recorded from another session of the same two (T35). */
static void test_replay(void **state)
{
    const row *r = *state;
    noise_pair pair;
    noise_pair other;
    body recorded;
    body b;

    reach(&other, r->message, 0x21, &recorded);
    reach(&pair, r->message, 0x21, &b);
    noise_pair_fini(&pair);
    start_pair(&pair, 0x21);
    /* The same keys, fresh ephemerals. */
    pn_handshake_free(pair.initiator.handshake);
    pn_handshake_free(pair.responder.handshake);
    memset(&pair.initiator.ephemeral, 0x71, PN_KEY_LEN);
    memset(&pair.responder.ephemeral, 0x72, PN_KEY_LEN);
    noise_end_start(&pair.initiator, &pn_noise_peernet_0_1, true, NULL, 0);
    noise_end_start(&pair.responder, &pn_noise_peernet_0_1, false, NULL, 0);
    for (size_t i = 0; i < r->message; i++) {
        assert_int_equal(write_body(writer_of(&pair, i), &b), PN_OK);
        assert_int_equal(
            read_body(reader_of(&pair, i), &b, body_lens[i]), PN_OK);
    }
    assert_int_equal(read_body(reader_of(&pair, r->message), &recorded,
                         body_lens[r->message]),
        PN_AUTH);
    noise_pair_fini(&pair);
    noise_pair_fini(&other);
}

/* Reading or writing out of turn changes nothing. */
static void test_turns(void **state)
{
    noise_pair pair;
    body b;
    uint8_t buf[BODY_MAX];
    size_t n;

    (void)state;
    start_pair(&pair, 0x21);
    for (size_t i = 0; i < N_MESSAGES; i++) {
        noise_end *writer = writer_of(&pair, i);
        noise_end *reader = reader_of(&pair, i);

        assert_int_equal(
            pn_handshake_read(writer->handshake, buf, sizeof(buf), NULL, 0, &n),
            PN_STATE);
        assert_int_equal(pn_handshake_write(
                             reader->handshake, NULL, 0, buf, sizeof(buf), &n),
            PN_STATE);
        assert_int_equal(pn_handshake_split(reader->handshake, &reader->send,
                             &reader->receive),
            PN_STATE);
        assert_int_equal(write_body(writer, &b), PN_OK);
        assert_int_equal(read_body(reader, &b, body_lens[i]), PN_OK);
    }
    for (size_t i = 0; i < 2; i++) {
        noise_end *end = writer_of(&pair, i);

        assert_int_equal(write_body(end, &b), PN_STATE);
        assert_int_equal(
            pn_handshake_read(end->handshake, buf, sizeof(buf), NULL, 0, &n),
            PN_STATE);
        assert_true(pn_handshake_is_done(end->handshake));
        assert_int_equal(
            pn_handshake_split(end->handshake, &end->send, &end->receive),
            PN_OK);
        assert_int_equal(
            pn_handshake_split(end->handshake, &end->send, &end->receive),
            PN_STATE);
    }
    noise_pair_fini(&pair);
}

/* Each handshake draws an ephemeral of its own, and two such ends agree. */
static void test_random_ephemerals(void **state)
{
    static const pn_env env = {.random = noise_draw};
    noise_pair pair;
    body first[2];
    body b;

    (void)state;
    for (size_t run = 0; run < 2; run++) {
        start_pair(&pair, 0x21);
        pn_handshake_free(pair.initiator.handshake);
        pn_handshake_free(pair.responder.handshake);
        assert_int_equal(pn_handshake_new(&pn_noise_peernet_0_1, true,
                             &pair.initiator.identity, NULL, 0, &env,
                             &pair.initiator.handshake),
            PN_OK);
        assert_int_equal(pn_handshake_new(&pn_noise_peernet_0_1, false,
                             &pair.responder.identity, NULL, 0, &env,
                             &pair.responder.handshake),
            PN_OK);
        for (size_t i = 0; i < N_MESSAGES; i++) {
            assert_int_equal(write_body(writer_of(&pair, i), &b), PN_OK);
            if (i == 0) {
                first[run] = b;
            }
            assert_int_equal(
                read_body(reader_of(&pair, i), &b, body_lens[i]), PN_OK);
        }
        assert_true(pn_handshake_is_done(pair.responder.handshake));
        noise_pair_fini(&pair);
    }
    assert_memory_not_equal(first[0].bytes, first[1].bytes, PN_M1_LEN);
}

/* A transport message of one session in another (T35). */
static void test_transport_replay(void **state)
{
    noise_pair pairs[2];
    uint8_t buf[4 + PN_TAG_LEN] = {1, 2, 3, 4};
    body b;
    size_t n;

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        noise_end *end = &pairs[k].responder;

        reach(&pairs[k], 2, (uint8_t)(0x21 + 8 * k), &b);
        assert_int_equal(read_body(end, &b, PN_M3_LEN), PN_OK);
        assert_int_equal(
            pn_handshake_split(end->handshake, &end->send, &end->receive),
            PN_OK);
        end = &pairs[k].initiator;
        assert_int_equal(
            pn_handshake_split(end->handshake, &end->send, &end->receive),
            PN_OK);
    }
    assert_int_equal(
        pn_cipher_seal(&pairs[0].initiator.send, NULL, 0, buf, 4), PN_OK);
    assert_int_equal(pn_cipher_open(&pairs[1].responder.receive, NULL, 0, buf,
                         sizeof(buf), &n),
        PN_AUTH);
    noise_pair_fini(&pairs[0]);
    noise_pair_fini(&pairs[1]);
}

/* Payloads: what fits is carried, what does not is refused. */
static void test_payload_limit(void **state)
{
    noise_pair pair;
    uint8_t *message = calloc(1, 65536 + 64);
    uint8_t *payload = calloc(1, 65536);
    size_t n;

    (void)state;
    assert_non_null(message);
    assert_non_null(payload);
    for (size_t len = 65535 - 32 - 1; len <= 65535 - 32 + 1; len++) {
        bool fits = len <= 65535 - 32;

        start_pair(&pair, 0x21);
        assert_int_equal(pn_handshake_write(pair.initiator.handshake, payload,
                             len, message, 65536 + 64, &n),
            fits ? PN_OK : PN_TOO_LARGE);
        assert_int_equal(pn_handshake_read(pair.responder.handshake, message,
                             fits ? n : 65536, payload, 65536, &n),
            fits ? PN_OK : PN_MALFORMED);
        noise_pair_fini(&pair);
    }
    free(message);
    free(payload);
}

/* The longest transport message of each profile, one less and one more. */
static void test_transport_limit(void **state)
{
    const pn_noise_profile *profile = *state;
    uint8_t *buf = calloc(1, profile->max_message + 1);
    uint8_t identity[2][PN_KEY_LEN];
    noise_pair pair;

    assert_non_null(buf);
    memset(identity[0], 1, PN_KEY_LEN);
    memset(identity[1], 2, PN_KEY_LEN);
    noise_end_init(&pair.initiator, identity[0], identity[0]);
    noise_end_init(&pair.responder, identity[1], identity[1]);
    noise_end_start(&pair.initiator, profile, true, NULL, 0);
    noise_end_start(&pair.responder, profile, false, NULL, 0);
    for (size_t i = 0; i < N_MESSAGES; i++) {
        size_t n;

        assert_int_equal(pn_handshake_write(writer_of(&pair, i)->handshake,
                             NULL, 0, buf, 128, &n),
            PN_OK);
        assert_int_equal(pn_handshake_read(reader_of(&pair, i)->handshake, buf,
                             n, NULL, 0, &n),
            PN_OK);
    }
    for (size_t i = 0; i < 2; i++) {
        noise_end *end = writer_of(&pair, i);

        assert_int_equal(
            pn_handshake_split(end->handshake, &end->send, &end->receive),
            PN_OK);
    }
    for (size_t len = profile->max_message - 1; len <= profile->max_message + 1;
         len++) {
        bool fits = len <= profile->max_message;
        size_t n;

        assert_int_equal(pn_cipher_seal(&pair.initiator.send, NULL, 0, buf,
                             len - PN_TAG_LEN),
            fits ? PN_OK : PN_TOO_LARGE);
        assert_int_equal(
            pn_cipher_open(&pair.responder.receive, NULL, 0, buf, len, &n),
            fits ? PN_OK : PN_LIMIT);
    }
    assert_true(pair.initiator.send.n == 2);
    assert_true(pair.responder.receive.n == 2);
    noise_pair_fini(&pair);
    free(buf);
}

static row rows[300];
static size_t n_rows;

static row *add_row(size_t message, size_t at, change_fn *change)
{
    rows[n_rows] = (row){message, at, change};
    return &rows[n_rows++];
}

int main(void)
{
    static const struct {
        const char *name;
        change_fn *change;
    } changes[] = {{"dropped", drop}, {"dropped_and_refilled", shift_left},
        {"repeated", repeat}, {"moved", move}};

    for (size_t m = 0; m < N_MESSAGES; m++) {
        for (size_t at = 0; at < body_lens[m]; at++) {
            pn_test_addf(test_flip, add_row(m, at, flip),
                "noise/damage/flip/m%zu/byte_%zu", m + 1, at);
        }
        for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
            pn_test_addf(test_change, add_row(m, 0, changes[i].change),
                "noise/damage/%s/m%zu", changes[i].name, m + 1);
        }
        pn_test_addf(test_lengths, add_row(m, 0, NULL),
            "noise/damage/length/m%zu", m + 1);
        pn_test_addf(test_capacity, add_row(m, 0, NULL),
            "noise/damage/capacity/m%zu", m + 1);
        if (m > 0) {
            pn_test_addf(test_replay, add_row(m, 0, NULL),
                "noise/damage/replay/m%zu", m + 1);
        }
    }
    pn_test_add("noise/damage/replay/transport", test_transport_replay, NULL);
    pn_test_add("noise/handshake/turns", test_turns, NULL);
    pn_test_add(
        "noise/handshake/random_ephemerals", test_random_ephemerals, NULL);
    pn_test_add("noise/handshake/payload_limit", test_payload_limit, NULL);
    pn_test_add("noise/handshake/transport_limit/standard",
        test_transport_limit, (void *)(uintptr_t)&pn_noise_standard);
    pn_test_add("noise/handshake/transport_limit/peernet_0_1",
        test_transport_limit, (void *)(uintptr_t)&pn_noise_peernet_0_1);
    return pn_test_run("noise/damage");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Frames and handshake bodies: recorded cases, and BAD-1: every length of the
 * table in every phase. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "harness.h"
#include "wire/frame.h"

/* ---- recorded ------------------------------------------------------------ */

/* The parts of an input: {hex} or {fill, count}. */
static uint8_t *build_input(const json_t *parts, size_t *ret_len)
{
    uint8_t *bytes = malloc(1);
    size_t len = 0;

    for (size_t i = 0; i < json_array_size(parts); i++) {
        const json_t *part = json_array_get(parts, i);
        size_t n;
        uint8_t *more;

        if (json_object_get(part, "hex") != NULL) {
            more = pn_json_hex(part, "hex", &n);
        } else {
            n = (size_t)json_integer_value(json_object_get(part, "count"));
            more = malloc(n);
            assert_non_null(more);
            memset(more, (int)json_integer_value(json_object_get(part, "fill")),
                n);
        }
        bytes = realloc(bytes, len + n + 1);
        assert_non_null(bytes);
        memcpy(bytes + len, more, n);
        len += n;
        free(more);
    }
    *ret_len = len;
    return bytes;
}

/* Framing as such: any length to the maximum, as the original takes it. */
static void test_decode_raw(void **state)
{
    const json_t *want = json_object_get(*state, "decode_raw");
    const char *result = pn_json_string(want, "result");
    size_t len;
    uint8_t *input = build_input(json_object_get(*state, "input"), &len);
    size_t body = 12345;
    pn_err err = pn_frame_peek(input, len, 0, PN_FRAME_MAX, &body);

    if (strcmp(result, "ok") == 0) {
        assert_int_equal(err, PN_OK);
        assert_int_equal(
            body, json_integer_value(json_object_get(want, "body_len")));
        assert_int_equal(len - PN_FRAME_HEADER_LEN - body,
            json_integer_value(json_object_get(want, "leftover_len")));
    } else if (strcmp(result, "incomplete") == 0) {
        assert_int_equal(err, PN_AGAIN);
        assert_int_equal(body, len < 4 ? 0 : pn_load_be32(input));
    } else {
        assert_string_equal(pn_json_string(want, "error"), ":frame_too_large");
        assert_int_equal(err, PN_LIMIT);
        assert_int_equal(body, 0);
    }
    free(input);
}

/* None of these is a handshake frame, whatever the original's term parser
 * makes of it: only the exact length and the constant head pass. */
static void test_decode_handshake(void **state)
{
    static const size_t lens[] = {PN_M1_LEN, PN_M2_LEN, PN_M3_LEN};
    size_t len;
    uint8_t *input = build_input(json_object_get(*state, "input"), &len);

    for (size_t i = 0; i < 3; i++) {
        size_t body;
        pn_slice message;
        pn_err err = pn_frame_peek(input, len, lens[i], lens[i], &body);

        if (err == PN_OK) {
            err = pn_handshake_unwrap(input + 4, body, lens[i], &message);
        }
        assert_int_not_equal(err, PN_OK);
        if (len < 4) {
            assert_int_equal(err, PN_AGAIN);
        }
    }
    free(input);
}

/* Handshake frames that we write carry the head the original writes. */
static void test_encode(void **state)
{
    size_t len;
    uint8_t *frame = pn_json_hex(*state, "frame_hex", &len);
    uint8_t head[PN_FRAME_HEADER_LEN + PN_HANDSHAKE_PREFIX_LEN];

    if (len >= sizeof(head) && frame[5] == 109) {
        pn_handshake_wrap(head, len - sizeof(head));
        pn_assert_bytes(head, sizeof(head), frame, sizeof(head));
    } else {
        /* Another kind of term: never a handshake frame of ours. */
        pn_handshake_wrap(head, 32);
        assert_memory_not_equal(head, frame, len < 6 ? len : 6);
    }
    free(frame);
}

static void test_encode_raw(void **state)
{
    size_t body_len;
    size_t len;
    uint8_t *body = pn_json_hex(*state, "body_hex", &body_len);
    uint8_t *frame = pn_json_hex(*state, "frame_hex", &len);
    size_t n;

    assert_int_equal(pn_load_be32(frame), body_len);
    assert_int_equal(pn_frame_peek(frame, len, 0, PN_FRAME_MAX, &n), PN_OK);
    pn_assert_bytes(frame + PN_FRAME_HEADER_LEN, n, body, body_len);
    /* As a transport frame none of them is long enough to carry a term. */
    assert_int_equal(
        pn_frame_peek(frame, len, PN_FRAME_MIN, PN_FRAME_MAX, &n), PN_LIMIT);
    free(body);
    free(frame);
}

/* The original writes frames that it would not take. */
static void test_encode_large(void **state)
{
    uint8_t head[PN_FRAME_HEADER_LEN + PN_HANDSHAKE_PREFIX_LEN];
    size_t body;
    size_t body_len = (size_t)json_integer_value(
        json_object_get(*state, "body_len"));
    bool fits = strcmp(pn_json_string(*state, "decodes"), ":ok") == 0;

    pn_json_hex_n(*state, "head_hex", head, sizeof(head));
    assert_int_equal(
        pn_frame_peek(head, sizeof(head), PN_FRAME_MIN, PN_FRAME_MAX, &body),
        fits ? PN_AGAIN : PN_LIMIT);
    assert_int_equal(body, fits ? body_len : 0);
}

/* ---- BAD-1 --------------------------------------------------------------- */

typedef struct phase {
    const char *name;
    size_t min;
    size_t max;
} phase;

static const phase phases[] = {
    {"wait_m1", PN_M1_LEN, PN_M1_LEN},
    {"wait_m2", PN_M2_LEN, PN_M2_LEN},
    {"wait_m3", PN_M3_LEN, PN_M3_LEN},
    {"open", PN_FRAME_MIN, PN_FRAME_MAX},
};

static const uint32_t lengths[] = {0, 1, 15, 16, 17, 18, 37, 38, 39, 69, 70, 71,
    101, 102, 103, 65535, 65536, 1048575, 1048576, 1048577, 0x7fffffff,
    0x80000000, 0xfffffffe, 0xffffffff};

typedef struct length_row {
    const phase *phase;
    uint32_t length;
} length_row;

/* Decided from four bytes, and not before the fourth. */
static void test_length(void **state)
{
    const length_row *r = *state;
    const size_t min = r->phase->min;
    const size_t max = r->phase->max;
    bool fits = r->length >= min && r->length <= max;
    uint8_t header[PN_FRAME_HEADER_LEN];
    size_t body = 12345;

    pn_store_be32(header, r->length);
    for (size_t n = 0; n < sizeof(header); n++) {
        body = 12345;
        assert_int_equal(pn_frame_peek(header, n, min, max, &body), PN_AGAIN);
        assert_int_equal(body, 0);
    }
    assert_int_equal(pn_frame_peek(header, sizeof(header), min, max, &body),
        fits ? PN_AGAIN : PN_LIMIT);
    assert_int_equal(body, fits ? r->length : 0);
}

/* A frame is complete with its last byte and not before. */
static void test_complete_at(void **state)
{
    const phase *p = *state;
    const size_t total = PN_FRAME_HEADER_LEN + p->min;
    uint8_t *frame = calloc(1, total + 1);
    size_t body;

    assert_non_null(frame);
    pn_store_be32(frame, (uint32_t)p->min);
    for (size_t n = 0; n <= total + 1; n++) {
        assert_int_equal(pn_frame_peek(frame, n, p->min, p->max, &body),
            n < total ? PN_AGAIN : PN_OK);
    }
    free(frame);
}

/* ---- the six constant bytes ---------------------------------------------- */

/* Any other value of any of the six is refused, for each message. */
static void test_prefix(void **state)
{
    const phase *p = *state;
    uint8_t frame[PN_FRAME_HEADER_LEN + PN_HANDSHAKE_BODY_MAX] = {0};
    uint8_t *body = frame + PN_FRAME_HEADER_LEN;
    pn_slice message;

    pn_handshake_wrap(frame, p->min - PN_HANDSHAKE_PREFIX_LEN);
    assert_int_equal(pn_load_be32(frame), p->min);
    assert_int_equal(
        pn_handshake_unwrap(body, p->min, p->min, &message), PN_OK);
    assert_ptr_equal(message.data, body + PN_HANDSHAKE_PREFIX_LEN);
    assert_int_equal(message.len, p->min - PN_HANDSHAKE_PREFIX_LEN);
    for (size_t i = 0; i < PN_HANDSHAKE_PREFIX_LEN; i++) {
        for (unsigned x = 1; x < 256; x++) {
            body[i] ^= (uint8_t)x;
            assert_int_equal(
                pn_handshake_unwrap(body, p->min, p->min, &message),
                PN_MALFORMED);
            body[i] ^= (uint8_t)x;
        }
    }
}

/* Every prefix and every longer body is refused. */
static void test_body_len(void **state)
{
    const phase *p = *state;
    uint8_t frame[PN_FRAME_HEADER_LEN + PN_HANDSHAKE_BODY_MAX + 8] = {0};
    pn_slice message;

    pn_handshake_wrap(frame, p->min - PN_HANDSHAKE_PREFIX_LEN);
    for (size_t len = 0; len <= PN_HANDSHAKE_BODY_MAX + 8; len++) {
        assert_int_equal(pn_handshake_unwrap(frame + PN_FRAME_HEADER_LEN, len,
                             p->min, &message),
            len == p->min ? PN_OK : PN_MALFORMED);
    }
}

static void add_vectors(const json_t *root, const char *key,
    CMUnitTestFunction test, const char *kind)
{
    const json_t *rows = json_object_get(root, key);

    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);

        pn_test_addf(
            test, row, "wire/frame/%s/%s", kind, pn_json_string(row, "name"));
    }
}

static void add_lengths(length_row *rows)
{
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < sizeof(lengths) / sizeof(lengths[0]); k++) {
            *rows = (length_row){&phases[i], lengths[k]};
            pn_test_addf(test_length, rows++, "wire/frame/length/%s/%u",
                phases[i].name, lengths[k]);
        }
    }
}

int main(void)
{
    static length_row rows[4 * sizeof(lengths) / sizeof(lengths[0])];
    json_t *root = pn_vectors("frame.json");
    int status;

    add_vectors(root, "decode", test_decode_raw, "decode_raw");
    add_vectors(root, "decode", test_decode_handshake, "decode_handshake");
    add_vectors(root, "encode", test_encode, "encode");
    add_vectors(root, "encode_raw", test_encode_raw, "encode_raw");
    add_vectors(root, "encode_large", test_encode_large, "encode_large");
    add_lengths(rows);
    for (size_t i = 0; i < 4; i++) {
        void *row = (void *)(uintptr_t)&phases[i];

        pn_test_addf(
            test_complete_at, row, "wire/frame/complete_at/%s", phases[i].name);
        if (phases[i].min == phases[i].max) {
            pn_test_addf(
                test_prefix, row, "wire/frame/prefix/%s", phases[i].name);
            pn_test_addf(
                test_body_len, row, "wire/frame/body_len/%s", phases[i].name);
        }
    }
    status = pn_test_run("wire/frame");
    json_decref(root);
    return status;
}

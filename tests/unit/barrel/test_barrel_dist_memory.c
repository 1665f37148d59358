/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A handshake and messages in pieces while memory runs out: the first, second,
 * ... allocation fails until all of it passes. Each failure is reported, ends
 * that connection only, and nothing leaks.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "dist_end.h"

static long countdown = -1; /* allocations until one fails; < 0: none does */

static bool fails_now(void)
{
    return countdown >= 0 && countdown-- == 0;
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);

void *__wrap_calloc(size_t n, size_t size)
{
    return fails_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_malloc(size_t n)
{
    return fails_now() ? NULL : __real_malloc(n);
}

/* The bytes are handed over without the copies that dist_hear makes. */
static void pass(dist_end *from, dist_end *to)
{
    uint8_t bytes[512];
    size_t n = dist_take(from, bytes);

    pn_dist_control_input(to->dist, NOW_US, bytes, n);
    dist_ack(from);
}

/* A frame of a message that the checker needs memory for: a map of n keys. */
static size_t map_frame(uint8_t *out, uint32_t n)
{
    static const uint8_t head[] = "\0\0\0\0\x70\x83\x68\x03\x61\x02\x77\0"
                                  "\x58\x77\3"
                                  "a@b"
                                  "\0\0\0\1\0\0\0\0\0\0\0\4"
                                  "\x83\x74";
    size_t at = sizeof(head) - 1;

    memcpy(out, head, at);
    pn_store_be32(out + at, n);
    at += 4;
    for (uint32_t i = 0; i < n; i++) {
        out[at] = 98;
        pn_store_be32(out + at + 1, i);
        out[at + 5] = 106;
        at += 6;
    }
    pn_store_be32(out, (uint32_t)(at - 4));
    return at;
}

static pn_err converse(dist_end *a, dist_end *b)
{
    static uint8_t frame[4096];
    size_t len = map_frame(frame, 300);
    pn_err err = pn_dist_new(&a->config, NOW_US, &a->dist);

    if (err == PN_OK) {
        err = pn_dist_new(&b->config, NOW_US, &b->dist);
    }
    if (err != PN_OK) {
        return err;
    }
    for (int i = 0; i < 3; i++) {
        pass(a, b);
        pass(b, a);
        if (i == 1) {
            pn_dist_data_input(a->dist, NOW_US, 1, frame, len / 2);
        }
    }
    pn_dist_data_input(a->dist, NOW_US, 1, frame + len / 2, len - len / 2);
    pn_dist_data_input(b->dist, NOW_US, 4, frame, len);
    return PN_OK;
}

/* Whether the end is as after a run without failures. */
static bool is_whole(const dist_end *e)
{
    if (pn_dist_state_of(e->dist) == PN_DIST_FAILED) {
        assert_int_equal(pn_dist_reason_of(e->dist), PN_DIST_REASON_NOMEM);
        return false;
    }
    assert_int_equal(pn_dist_state_of(e->dist), PN_DIST_UP);
    assert_int_equal(e->n_signals, 1);
    return true;
}

static void test_engine(void **state)
{
    bool is_done = false;

    (void)state;
    for (long n = 0; !is_done; n++) {
        dist_end a;
        dist_end b;
        pn_err err;

        assert_true(n < 1000);
        dist_end_init(&a, PN_DIST_INITIATOR);
        dist_end_init(&b, PN_DIST_RESPONDER);
        countdown = n;
        err = converse(&a, &b);
        is_done = countdown >= 0;
        countdown = -1;
        if (err != PN_OK) {
            assert_int_equal(err, PN_NOMEM);
        } else if (pn_dist_state_of(a.dist) == PN_DIST_HANDSHAKE) {
            /* The other one has ended. */
            assert_false(is_whole(&b));
        } else {
            bool whole = is_whole(&a);

            assert_int_equal(is_whole(&b) && whole, is_done);
        }
        dist_end_fini(&a);
        dist_end_fini(&b);
    }
}

static void test_write(void **state)
{
    static const uint8_t pid[] = "\x58\x77\3"
                                 "a@b"
                                 "\0\0\0\1\0\0\0\0\0\0\0\4";
    static uint8_t binary[5 + 1000] = {109, 0, 0, 1000 >> 8, 1000 & 255};
    pn_dist_signal s = {.op = PN_DIST_SEND,
        .to = {pid, sizeof(pid) - 1},
        .message = {binary, sizeof(binary)}};
    bool is_done = false;

    (void)state;
    for (long n = 0; !is_done; n++) {
        pn_buf out = {0};
        pn_err err;

        assert_true(n < 1000);
        countdown = n;
        err = pn_dist_signal_write(&out, &s, 0);
        is_done = countdown >= 0;
        countdown = -1;
        assert_int_equal(err, is_done ? PN_OK : PN_NOMEM);
        assert_true(is_done || pn_buf_used(&out) == 0);
        pn_buf_fini(&out);
    }
}

int main(void)
{
    pn_test_add("barrel/dist_memory/engine", test_engine, NULL);
    pn_test_add("barrel/dist_memory/write", test_write, NULL);
    return pn_test_run("barrel/dist_memory");
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BAD-1: lengths of known mistakes, in every state of both roles. The header
 * alone decides; nothing is buffered for a wrong length (T1, T5).
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "link.h"
#include "wire/frame.h"

typedef enum stage {
    STAGE_WAIT_M1,
    STAGE_WAIT_M2,
    STAGE_WAIT_M3,
    STAGE_OPEN_INITIATOR,
    STAGE_OPEN_RESPONDER,
    STAGE_CLOSED,
    N_STAGES
} stage;

static const char *const stage_names[N_STAGES] = {
    [STAGE_WAIT_M1] = "wait_m1",
    [STAGE_WAIT_M2] = "wait_m2",
    [STAGE_WAIT_M3] = "wait_m3",
    [STAGE_OPEN_INITIATOR] = "open_initiator",
    [STAGE_OPEN_RESPONDER] = "open_responder",
    [STAGE_CLOSED] = "closed",
};

static const uint32_t lengths[] = {0, 1, 15, 16, 17, 18, 37, 38, 39, 69, 70, 71,
    101, 102, 103, 65535, 65536, 1048575, 1048576, 1048577, 0x7fffffff,
    0x80000000, 0xffffffff};

/* Two ends, the one under test in the stage asked for. */
typedef struct scene {
    end a;
    end b;
    end *e;
    uint64_t now;
} scene;

static void scene_init(scene *sc, stage at)
{
    *sc = (scene){.now = 1000};
    end_init(&sc->a, true, 1);
    end_init(&sc->b, false, 2);
    end_start(&sc->a, sc->now);
    end_start(&sc->b, sc->now);
    sc->e = at == STAGE_WAIT_M2 || at == STAGE_OPEN_INITIATOR ? &sc->a : &sc->b;
    switch (at) {
    case STAGE_WAIT_M1:
    case STAGE_WAIT_M2:
        break;
    case STAGE_WAIT_M3:
        assert_true(end_pass(&sc->a, &sc->b, sc->now));
        break;
    case STAGE_OPEN_INITIATOR:
    case STAGE_OPEN_RESPONDER:
        link_open(&sc->a, &sc->b, &sc->now);
        break;
    case STAGE_CLOSED:
        pn_session_close(sc->e->s, PN_REASON_LOCAL_CLOSE);
        break;
    case N_STAGES:
        abort();
    }
}

static void scene_fini(scene *sc)
{
    link_fini(&sc->a, &sc->b);
}

/* The reason a header of this length must give; NONE: the body is awaited. */
static pn_reason expected(stage at, uint32_t length)
{
    switch (at) {
    case STAGE_WAIT_M1:
        return length == 38 ? PN_REASON_NONE : PN_REASON_BAD_HANDSHAKE;
    case STAGE_WAIT_M2:
        return length == 102 ? PN_REASON_NONE : PN_REASON_BAD_HANDSHAKE;
    case STAGE_WAIT_M3:
        return length == 70 ? PN_REASON_NONE : PN_REASON_BAD_HANDSHAKE;
    case STAGE_OPEN_INITIATOR:
    case STAGE_OPEN_RESPONDER:
        if (length < 17) {
            return PN_REASON_BAD_FRAME;
        }
        return length > 1048576 ? PN_REASON_FRAME_TOO_LARGE : PN_REASON_NONE;
    case STAGE_CLOSED:
    case N_STAGES:
        break;
    }
    return PN_REASON_LOCAL_CLOSE;
}

typedef struct row {
    stage at;
    uint32_t length;
    uint8_t index;
} row;

static void assert_same_reason(end *e, pn_reason reason)
{
    if (reason == PN_REASON_NONE) {
        assert_false(end_is_closed(e));
    } else {
        assert_closed(e, reason);
    }
}

/* The four header bytes, and not one more. */
static void test_header_decides(void **state)
{
    const row *r = *state;
    pn_reason reason = expected(r->at, r->length);
    uint8_t header[4];
    scene sc;
    size_t queued;

    scene_init(&sc, r->at);
    queued = pn_session_queued_bytes(sc.e->s);
    pn_store_be32(header, r->length);
    for (size_t n = 1; n < 4; n++) {
        if (r->at != STAGE_CLOSED) {
            assert_int_equal(pn_session_need(sc.e->s, header, n), 0);
        }
    }
    assert_int_equal(pn_session_need(sc.e->s, header, 4),
        reason == PN_REASON_NONE ? 4 + (size_t)r->length : 0);
    (void)end_feed(sc.e, sc.now, header, 4);
    assert_int_equal(sc.e->err == PN_OK, reason == PN_REASON_NONE);
    assert_same_reason(sc.e, reason);
    assert_int_equal(pn_session_queued_bytes(sc.e->s), queued);
    scene_fini(&sc);
}

/* The right length and then nothing but zeros. */
static void test_zero_body(void **state)
{
    const row *r = *state;
    uint8_t *frame = calloc(1, 4 + (size_t)r->length);
    scene sc;

    scene_init(&sc, r->at);
    pn_store_be32(frame, r->length);
    (void)end_feed(sc.e, sc.now, frame, 3 + (size_t)r->length);
    assert_false(end_is_closed(sc.e));
    assert_int_equal(end_feed(sc.e, sc.now, "", 1) == PN_OK, false);
    assert_closed(sc.e, r->at < STAGE_OPEN_INITIATOR ? PN_REASON_BAD_HANDSHAKE
                                                     : PN_REASON_BAD_TAG);
    assert_int_equal(sc.e->n_trust, r->at < STAGE_OPEN_INITIATOR ? 0 : 1);
    free(frame);
    scene_fini(&sc);
}

/* A good message but for one of the six constant bytes: Noise never sees it,
 * so the handshake would still take the good one (it does not: closed). */
static void test_prefix_byte(void **state)
{
    const row *r = *state;
    pn_buf frame = {0};
    scene sc;

    scene_init(&sc, r->at);
    if (r->at == STAGE_WAIT_M2) {
        assert_true(end_pass(&sc.a, &sc.b, sc.now));
        end_take(&sc.b, sc.now, &frame);
    } else if (r->at == STAGE_WAIT_M3) {
        assert_true(end_pass(&sc.b, &sc.a, sc.now));
        end_take(&sc.a, sc.now, &frame);
    } else {
        end_take(&sc.a, sc.now, &frame);
    }
    assert_int_equal(pn_buf_used(&frame), 4 + (size_t)r->length);
    pn_buf_head(&frame)[4 + r->index] ^= 1;
    assert_int_equal(
        end_feed(sc.e, sc.now, pn_buf_head(&frame), pn_buf_used(&frame)),
        PN_MALFORMED);
    assert_closed(sc.e, PN_REASON_BAD_HANDSHAKE);
    assert_int_equal(sc.e->n_trust, 0);
    pn_buf_fini(&frame);
    scene_fini(&sc);
}

/* A message that belongs to another state, or that we sent ourselves. */
static void test_wrong_message(void **state)
{
    const row *r = *state;
    pn_buf m1 = {0};
    pn_buf m2 = {0};
    pn_buf m3 = {0};
    const pn_buf *all[] = {&m1, &m2, &m3};
    uint64_t now = 1000;
    end a;
    end b;
    scene sc;

    end_init(&a, true, 11);
    end_init(&b, false, 12);
    end_start(&a, now);
    end_start(&b, now);
    end_take(&a, now, &m1);
    (void)end_feed(&b, now, pn_buf_head(&m1), pn_buf_used(&m1));
    end_take(&b, now, &m2);
    (void)end_feed(&a, now, pn_buf_head(&m2), pn_buf_used(&m2));
    end_take(&a, now, &m3);
    link_fini(&a, &b);

    scene_init(&sc, r->at);
    (void)end_feed(
        sc.e, sc.now, all[r->index]->data, pn_buf_used(all[r->index]));
    assert_closed(sc.e, r->at < STAGE_OPEN_INITIATOR ? PN_REASON_BAD_HANDSHAKE
                                                     : PN_REASON_BAD_TAG);
    scene_fini(&sc);
    pn_buf_fini(&m1);
    pn_buf_fini(&m2);
    pn_buf_fini(&m3);
}

/* Other protocols and mistakes that reach an open port. */
static const struct {
    const char *name;
    const char *hex;
} strangers[] = {
    {"http_get", "474554202f20485454502f312e310d0a"},
    {"http2_preface", "505249202a20485454502f322e300d0a"},
    {"tls_client_hello", "1603010200010001fc0303"},
    {"ssh_banner", "5353482d322e302d4f70656e5353480d0a"},
    {"smtp_ehlo", "45484c4f20610d0a"},
    {"redis_ping", "2a310d0a24340d0a50494e470d0a"},
    {"erlang_dist_name", "00174e00000000d07df7bd"},
    {"raw_key_without_etf",
        "00000020af69f8ce71fb0adfa7675338244f2059933e48eceb8ff9dc543a3f88c1a3"},
    {"little_endian_length", "26000000836d00000020"},
    {"compressed_term", "00000034835000000025789c"},
    {"two_byte_noise_length", "0020af69f8ce71fb0adf"},
    {"zeros", "0000000000000000"},
    {"ones", "ffffffffffffffff"},
    {"newlines", "0a0a0a0a0a0a0a0a"},
};

static void test_stranger(void **state)
{
    const row *r = *state;
    size_t len;
    uint8_t *bytes = pn_unhex(strangers[r->index].hex, &len);
    scene sc;

    scene_init(&sc, r->at);
    (void)end_feed(sc.e, sc.now, bytes, len);
    assert_closed(sc.e, PN_REASON_BAD_HANDSHAKE);
    assert_int_equal(sc.e->n_trust, 0);
    free(bytes);
    scene_fini(&sc);
}

static row rows[512];
static size_t n_rows;

static row *add(row r)
{
    if (n_rows == sizeof(rows) / sizeof(rows[0])) {
        abort();
    }
    rows[n_rows] = r;
    return &rows[n_rows++];
}

static void add_lengths(void)
{
    for (unsigned at = 0; at < N_STAGES; at++) {
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
            row *r = add((row){.at = at, .length = lengths[i]});

            pn_test_addf(test_header_decides, r, "session/bad1/%s/header/%u",
                stage_names[at], lengths[i]);
            if (expected(at, lengths[i]) == PN_REASON_NONE) {
                pn_test_addf(test_zero_body, r, "session/bad1/%s/zeros/%u",
                    stage_names[at], lengths[i]);
            }
        }
    }
}

static void add_prefixes(void)
{
    static const uint32_t body[] = {38, 102, 70};

    for (unsigned at = STAGE_WAIT_M1; at <= STAGE_WAIT_M3; at++) {
        for (unsigned i = 0; i < 6; i++) {
            pn_test_addf(test_prefix_byte,
                add((row){.at = at, .length = body[at], .index = (uint8_t)i}),
                "session/bad1/%s/prefix_byte/%u", stage_names[at], i);
        }
    }
}

static void add_others(void)
{
    for (unsigned at = 0; at < STAGE_CLOSED; at++) {
        for (unsigned i = 0; i < 3; i++) {
            if (at != i) {
                pn_test_addf(test_wrong_message,
                    add((row){.at = at, .index = (uint8_t)i}),
                    "session/bad1/%s/message/m%u", stage_names[at], i + 1);
            }
        }
    }
    for (unsigned at = STAGE_WAIT_M1; at <= STAGE_WAIT_M3; at++) {
        for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
            pn_test_addf(test_stranger,
                add((row){.at = at, .index = (uint8_t)i}),
                "session/bad1/%s/stranger/%s", stage_names[at],
                strangers[i].name);
        }
    }
}

int main(void)
{
    add_lengths();
    add_prefixes();
    add_others();
    return pn_test_run("session/frames");
}

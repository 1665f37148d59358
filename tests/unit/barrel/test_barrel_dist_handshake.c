/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handshake of distribution: both roles against each other in any pieces,
 * and each against a peer that violates the protocol (docs/BARREL-PROTOCOL.md,
 * section 14, D2 and D15).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/crypto.h"
#include "dist_end.h"
#include "dist_peer.h"
#include "dist_text.h"
#include "keys/md5.h"

/* ---- our two ends -------------------------------------------------------- */

static void test_both(void **state)
{
    size_t piece = *(const size_t *)*state;
    dist_end a;
    dist_end b;

    dist_end_init(&a, PN_DIST_INITIATOR);
    dist_end_init(&b, PN_DIST_RESPONDER);
    dist_end_start(&a);
    dist_end_start(&b);
    dist_talk(&a, &b, piece);
    dist_assert_up(&a, &b);
    dist_assert_up(&b, &a);
    assert_string_equal(b.order, "nu");
    assert_string_equal(b.name, ALPHA);
    assert_string_equal(a.order, "u");
    assert_true(a.dist->flags == PN_DIST_FLAGS);
    assert_true(b.dist->flags == PN_DIST_FLAGS);
    dist_end_fini(&a);
    dist_end_fini(&b);
}

/* Names of 255 bytes, a cookie of 255. */
static void test_longest(void **state)
{
    char alpha[256];
    char beta[256];
    char cookie[256];
    dist_end a;
    dist_end b;

    (void)state;
    memset(cookie, 'c', 255);
    memset(alpha, 'a', 255);
    memset(beta, 'b', 255);
    alpha[1] = beta[1] = '@';
    alpha[255] = beta[255] = cookie[255] = '\0';
    dist_end_init(&a, PN_DIST_INITIATOR);
    dist_end_init(&b, PN_DIST_RESPONDER);
    a.config.name = alpha;
    b.config.name = beta;
    a.config.peer_name = dist_text(beta);
    b.config.peer_name = dist_text(alpha);
    a.config.cookie = b.config.cookie = dist_text(cookie);
    dist_end_start(&a);
    dist_end_start(&b);
    memset(cookie, 'x', 255); /* it was copied */
    dist_talk(&a, &b, 100);
    dist_assert_up(&a, &b);
    dist_assert_up(&b, &a);
    dist_end_fini(&a);
    dist_end_fini(&b);
}

/* After every prefix of its input an end waits until its time is over. */
static void test_prefixes(void **state)
{
    pn_dist_role role = *(const pn_dist_role *)*state;
    bool is_over = false;

    for (size_t n = 0; !is_over; n++) {
        dist_end a;
        dist_end b;
        dist_end *e = role == PN_DIST_INITIATOR ? &a : &b;
        dist_end *peer = role == PN_DIST_INITIATOR ? &b : &a;
        size_t left = n;
        uint8_t bytes[512];

        dist_end_init(&a, PN_DIST_INITIATOR);
        dist_end_init(&b, PN_DIST_RESPONDER);
        dist_end_start(&a);
        dist_end_start(&b);
        for (int i = 0; i < 4 && left > 0; i++) {
            size_t len;

            (void)dist_pass(e, peer, 512);
            len = dist_take(peer, bytes);
            dist_ack(peer);
            len = len < left ? len : left;
            dist_hear(e, bytes, len, 512);
            left -= len;
        }
        is_over = pn_dist_state_of(e->dist) == PN_DIST_UP;
        assert_true(is_over || left == 0);
        if (!is_over) {
            assert_int_equal(pn_dist_state_of(e->dist), PN_DIST_HANDSHAKE);
            pn_dist_tick(e->dist, pn_dist_deadline(e->dist));
            dist_assert_failed(e, PN_DIST_REASON_TIMEOUT);
            expect_silence(e);
        }
        dist_end_fini(&a);
        dist_end_fini(&b);
    }
}

/* ---- as recorded from a BEAM --------------------------------------------- */

static void check_digest(const json_t *row, const char *key)
{
    uint32_t challenge = (uint32_t)json_number_value(
        json_object_get(row, "challenge"));
    message reply = {.len = 0};
    message ack = {.len = 0};
    uint8_t digest[PN_MD5_LEN];
    dist_end e;

    assert_true(json_is_number(json_object_get(row, "challenge")));
    pn_json_hex_n(row, key, digest, sizeof(digest));
    dist_end_init(&e, PN_DIST_RESPONDER);
    e.config.cookie = dist_text(pn_json_string(row, "cookie"));
    e.has_challenge = true;
    e.challenge = challenge;
    dist_end_start(&e);
    hear(&e, name_of(PN_DIST_FLAGS, CREATION, ALPHA));
    expect(&e, status("ok"));
    expect(&e, challenge_of(PN_DIST_FLAGS, challenge, e.config.creation, BETA));
    put(&reply, "r", 1);
    put_number(&reply, challenge, 4);
    put(&reply, digest, sizeof(digest));
    hear(&e, reply);
    assert_int_equal(pn_dist_state_of(e.dist), PN_DIST_UP);
    put(&ack, "a", 1);
    put(&ack, digest, sizeof(digest));
    expect(&e, ack);
    dist_end_fini(&e);
}

static void test_digest(void **state)
{
    check_digest(*state, "digest");
}

static void test_upstream_digest(void **state)
{
    check_digest(*state, "md5_hex");
}

/* Upstream's own messages: its flags, a name, pieces as it sends them. */
static void test_upstream(void **state)
{
    dist_end e;
    uint32_t challenge;

    (void)state;
    dist_end_init(&e, PN_DIST_RESPONDER);
    dist_end_start(&e);
    hear(&e, name_of(UINT64_C(0xd07df5fbd), CREATION, ALPHA));
    expect(&e, status("ok"));
    challenge = take_challenge(&e);
    hear(&e, reply_of(COOKIE, challenge));
    expect(&e, ack_of(COOKIE, B_CHALLENGE));
    assert_int_equal(pn_dist_state_of(e.dist), PN_DIST_UP);
    assert_int_equal(pn_dist_peer_creation(e.dist), CREATION);
    assert_true(e.dist->flags == UINT64_C(0x507070fbc));
    dist_end_fini(&e);
}

/* ---- bad bytes ----------------------------------------------------------- */

typedef struct bad_row {
    const char *name;
    where at;
    const char *data;
    size_t len;
    pn_dist_reason reason;
} bad_row;

#define BAD(name, at, data, reason)                                            \
    {                                                                          \
        name, at, data, sizeof(data) - 1, PN_DIST_REASON_##reason              \
    }

#define HEAD "N\0\0\0\5\x07\x07\x0f\xbc\1\2\3\4"

#define HEAD_C "N\0\0\0\5\x07\x07\x0f\xbc\1\2\3\4\1\2\3\4"

static bad_row bad[] = {
    BAD("an old name", R_NAME, "n\0\5", BAD_HANDSHAKE),
    BAD("a status for a name", R_NAME, "s", BAD_HANDSHAKE),
    BAD("a reply for a name", R_NAME, "r", BAD_HANDSHAKE),
    BAD("an ack for a name", R_NAME, "a", BAD_HANDSHAKE),
    BAD("a length in front", R_NAME, "\0\x1eN", BAD_HANDSHAKE),
    BAD("255", R_NAME, "\xff", BAD_HANDSHAKE),
    BAD("half a tick", R_NAME, "\0\0\0N", BAD_HANDSHAKE),
    BAD("a name of no bytes", R_NAME, HEAD "\0\0", BAD_HANDSHAKE),
    BAD("a name of 256 bytes", R_NAME, HEAD "\1\0", BAD_HANDSHAKE),
    BAD("a name of 65535 bytes", R_NAME, HEAD "\xff\xff", BAD_HANDSHAKE),
    BAD("a name without a host", R_NAME,
        HEAD "\0\5"
             "alpha",
        BAD_HANDSHAKE),
    BAD("a name with a zero", R_NAME, HEAD "\0\x10" ALPHA "\0", BAD_HANDSHAKE),
    BAD("a name with a slash", R_NAME,
        HEAD "\0\7"
             "../../@",
        BAD_HANDSHAKE),
    BAD("another name", R_NAME,
        HEAD "\0\x0f"
             "alphb@127.0.0.1",
        NAME_MISMATCH),
    BAD("a shorter name", R_NAME,
        HEAD "\0\x0e"
             "alpha@127.0.0.",
        NAME_MISMATCH),
    BAD("a longer name", R_NAME, HEAD "\0\x10" ALPHA "0", NAME_MISMATCH),
    BAD("our name", R_NAME, HEAD "\0\x0e" BETA, NAME_MISMATCH),
    BAD("a byte behind the name", R_NAME, HEAD "\0\x0f" ALPHA "r",
        BAD_HANDSHAKE),
    BAD("yes", R_ALIVE, "syes", BAD_HANDSHAKE),
    BAD("truf", R_ALIVE, "struf", BAD_HANDSHAKE),
    BAD("a reply for true", R_ALIVE, "r", BAD_HANDSHAKE),
    BAD("false", R_ALIVE, "sfalse", ALREADY_UP),
    BAD("a byte behind true", R_ALIVE,
        "strue"
        "r",
        BAD_HANDSHAKE),
    BAD("a name again", R_REPLY, "N", BAD_HANDSHAKE),
    BAD("a status for a reply", R_REPLY, "s", BAD_HANDSHAKE),
    BAD("a wrong reply", R_REPLY,
        "r\0\0\0\0"
        "0123456789abcdef",
        COOKIE),
    BAD("a reply of zeros", R_REPLY,
        "r\0\0\0\0"
        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
        "\0\0",
        COOKIE),
    BAD("a byte once up", R_UP, "a", BAD_FRAME),
    BAD("a byte behind ticks", R_UP, "\0\0\0\0\0\0\0\1", BAD_FRAME),

    BAD("a status before our name", I_BEGUN, "sok", BAD_HANDSHAKE),
    BAD("a name for a status", I_STATUS, "N", BAD_HANDSHAKE),
    BAD("a length in front", I_STATUS, "\0\3sok", BAD_HANDSHAKE),
    BAD("no word", I_STATUS, "sN", BAD_HANDSHAKE),
    BAD("another word", I_STATUS, "sokay", BAD_HANDSHAKE),
    BAD("half a word", I_STATUS, "sok_simulN", BAD_HANDSHAKE),
    BAD("half a word and a tick", I_STATUS, "sok_simul\0\0\0\0", BAD_HANDSHAKE),
    BAD("more than a word", I_STATUS, "sok_simultaneousx", BAD_HANDSHAKE),
    BAD("named", I_STATUS, "snamed:\0\5", BAD_HANDSHAKE),
    BAD("capitals", I_STATUS, "sOK", BAD_HANDSHAKE),
    BAD("nok", I_STATUS, "snok", LOST_RACE),
    BAD("not_allowed", I_STATUS, "snot_allowed", NOT_ALLOWED),
    BAD("nothing that begins like no", I_STATUS, "sno_", BAD_HANDSHAKE),
    BAD("half a tick behind ok", I_STATUS, "sok\0\0N", BAD_HANDSHAKE),
    BAD("a status again", I_CHALLENGE, "sok", BAD_HANDSHAKE),
    BAD("a reply for a challenge", I_CHALLENGE, "r", BAD_HANDSHAKE),
    BAD("a name of no bytes", I_CHALLENGE, HEAD_C "\0\0", BAD_HANDSHAKE),
    BAD("a name of 256 bytes", I_CHALLENGE, HEAD_C "\1\0", BAD_HANDSHAKE),
    BAD("another name", I_CHALLENGE,
        HEAD_C "\0\x0e"
               "betb@127.0.0.1",
        NAME_MISMATCH),
    BAD("our name", I_CHALLENGE, HEAD_C "\0\x0f" ALPHA, NAME_MISMATCH),
    BAD("an ack behind the challenge", I_CHALLENGE, HEAD_C "\0\x0e" BETA "a",
        BAD_HANDSHAKE),
    BAD("a status for a challenge", I_TRUE, "sok", BAD_HANDSHAKE),
    BAD("a challenge for an ack", I_ACK, "N", BAD_HANDSHAKE),
    BAD("a status for an ack", I_ACK, "s", BAD_HANDSHAKE),
    BAD("a wrong ack", I_ACK,
        "a"
        "0123456789abcdef",
        COOKIE),
    BAD("a byte behind ticks", I_UP, "\0\0\0\0x", BAD_FRAME),
};

static void test_bad(void **state)
{
    const bad_row *row = *state;

    for (size_t piece = 1; piece < 3; piece++) {
        dist_end e;
        bool was_up = row->at == R_UP || row->at == I_UP;

        start_at(&e, row->at);
        dist_hear(&e, (const uint8_t *)row->data, row->len,
            piece == 1 ? row->len : 1);
        e.n_up -= was_up ? 1 : 0;
        dist_assert_failed(&e, row->reason);
        expect_silence(&e);
        assert_int_equal(e.n_gone + e.n_lost, 0);
        /* Further input is ignored. */
        dist_hear(&e, (const uint8_t *)row->data, row->len, row->len);
        pn_dist_data_input(
            e.dist, NOW_US, 4, (const uint8_t *)row->data, row->len);
        pn_dist_tick(e.dist, UINT64_MAX - 1);
        dist_assert_failed(&e, row->reason);
        dist_end_fini(&e);
    }
}

/* Every bit of both digests counts. */
static void test_digest_bits(void **state)
{
    where at = *(const where *)*state;

    for (unsigned bit = 0; bit <= 8 * PN_MD5_LEN; bit++) {
        dist_end e;
        message m;

        start_at(&e, at);
        m = at == R_REPLY ? reply_of(COOKIE, e.challenge)
                          : ack_of(COOKIE, e.challenge);
        if (bit < 8 * PN_MD5_LEN) {
            m.data[m.len - 1 - bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
        hear(&e, m);
        if (bit < 8 * PN_MD5_LEN) {
            dist_assert_failed(&e, PN_DIST_REASON_COOKIE);
            expect_silence(&e);
        } else {
            assert_int_equal(pn_dist_state_of(e.dist), PN_DIST_UP);
        }
        dist_end_fini(&e);
    }
}

static void test_wrong_cookie(void **state)
{
    dist_end a;
    dist_end b;

    (void)state;
    dist_end_init(&a, PN_DIST_INITIATOR);
    dist_end_init(&b, PN_DIST_RESPONDER);
    a.config.cookie = dist_text("monsteq");
    b.rival = PN_DIST_RIVAL_LINK;
    a.is_gone = true;
    dist_end_start(&a);
    dist_end_start(&b);
    dist_talk(&a, &b, 512);
    dist_assert_failed(&b, PN_DIST_REASON_COOKIE);
    assert_int_equal(pn_dist_state_of(a.dist), PN_DIST_HANDSHAKE);
    assert_int_equal(a.n_alive, 1);
    assert_int_equal(b.n_gone, 0); /* a peer without the cookie ends no link */
    dist_end_fini(&a);
    dist_end_fini(&b);
}

/* ---- flags --------------------------------------------------------------- */

typedef struct flags_row {
    const char *name;
    uint64_t flags;
    bool is_enough;
} flags_row;

static flags_row flags[] = {
    {"ours", PN_DIST_FLAGS, true},
    {"of upstream", UINT64_C(0xd07df5fbd), true},
    {"the least, in short", UINT64_C(0x406000000), true},
    {"the least, in full", FLAGS_LONG, true},
    {"all", UINT64_MAX, true},
    {"none", 0, false},
    {"published alone", 1, false},
    {"without UNLINK_ID", FLAGS_SHORT & ~BIT(25), false},
    {"without V4_NC", FLAGS_SHORT & ~BIT(34), false},
    {"without the first group", BIT(25) | BIT(34), false},
    {"without 2", FLAGS_LONG & ~BIT(2), false},
    {"without 4", FLAGS_LONG & ~BIT(4), false},
    {"without 7", FLAGS_LONG & ~BIT(7), false},
    {"without 8", FLAGS_LONG & ~BIT(8), false},
    {"without 9", FLAGS_LONG & ~BIT(9), false},
    {"without 10", FLAGS_LONG & ~BIT(10), false},
    {"without 11", FLAGS_LONG & ~BIT(11), false},
    {"without 16", FLAGS_LONG & ~BIT(16), false},
    {"without 17", FLAGS_LONG & ~BIT(17), false},
    {"without 18", FLAGS_LONG & ~BIT(18), false},
    {"without 24", FLAGS_LONG & ~BIT(24), false},
};

static void test_responder_flags(void **state)
{
    const flags_row *row = *state;
    dist_end e;

    start_at(&e, R_NAME);
    hear(&e, name_of(row->flags, CREATION, ALPHA));
    if (row->is_enough) {
        expect(&e, status("ok"));
        hear(&e, reply_of(COOKIE, take_challenge(&e)));
        assert_int_equal(pn_dist_state_of(e.dist), PN_DIST_UP);
        /* Both have it, and what bit 26 stands for is there. */
        assert_true(e.dist->flags == (PN_DIST_FLAGS & (row->flags | FLAGS_25)));
    } else {
        dist_assert_failed(&e, PN_DIST_REASON_FLAGS_MISSING);
        assert_int_equal(e.n_names, 0);
        expect(&e, status("not_allowed"));
        expect_silence(&e);
    }
    dist_end_fini(&e);
}

static void test_initiator_flags(void **state)
{
    const flags_row *row = *state;
    dist_end e;

    start_at(&e, I_CHALLENGE);
    hear(&e, challenge_of(row->flags, B_CHALLENGE, CREATION, BETA));
    if (row->is_enough) {
        hear(&e, ack_of(COOKIE, take_challenge(&e)));
        assert_int_equal(pn_dist_state_of(e.dist), PN_DIST_UP);
        assert_true(e.dist->flags == (PN_DIST_FLAGS & (row->flags | FLAGS_25)));
    } else {
        dist_assert_failed(&e, PN_DIST_REASON_FLAGS_MISSING);
        expect_silence(&e);
    }
    dist_end_fini(&e);
}

/* ---- links that are, and dials that cross -------------------------------- */

static void test_alive_true(void **state)
{
    dist_end a;
    dist_end b;

    (void)state;
    dist_end_init(&a, PN_DIST_INITIATOR);
    dist_end_init(&b, PN_DIST_RESPONDER);
    a.is_gone = true;
    b.rival = PN_DIST_RIVAL_LINK;
    dist_end_start(&a);
    dist_end_start(&b);
    (void)dist_pass(&a, &b, 1);
    (void)dist_pass(&b, &a, 1);
    (void)dist_pass(&a, &b, 1);
    assert_int_equal(b.n_gone, 0);
    dist_talk(&b, &a, 1);
    dist_assert_up(&a, &b);
    dist_assert_up(&b, &a);
    assert_string_equal(a.order, "au");
    assert_string_equal(b.order, "ngu");
    dist_end_fini(&a);
    dist_end_fini(&b);
}

static void test_alive_false(void **state)
{
    dist_end a;
    dist_end b;

    (void)state;
    dist_end_init(&a, PN_DIST_INITIATOR);
    dist_end_init(&b, PN_DIST_RESPONDER);
    b.rival = PN_DIST_RIVAL_LINK;
    dist_end_start(&a);
    dist_end_start(&b);
    (void)dist_pass(&a, &b, 512);
    (void)dist_pass(&b, &a, 512);
    dist_assert_failed(&a, PN_DIST_REASON_ALREADY_UP);
    assert_int_equal(pn_dist_state_of(b.dist), PN_DIST_HANDSHAKE);
    expect(&a, status("false"));
    expect_silence(&a);
    hear(&b, status("false"));
    dist_assert_failed(&b, PN_DIST_REASON_ALREADY_UP);
    assert_int_equal(b.n_gone, 0);
    dist_end_fini(&a);
    dist_end_fini(&b);
}

typedef struct race_row {
    const char *initiator;
    const char *responder;
    bool is_ours; /* the responder's own dial stays */
} race_row;

static race_row races[] = {
    {"alpha@h", "beta@h", true},
    {"beta@h", "alpha@h", false},
    {"a@h", "a@hh", true},
    {"a@hh", "a@h", false},
    {"Zeta@h", "alpha@h", true}, /* bytes, not the alphabet */
    {"alpha@h", "Zeta@h", false},
};

static void test_race(void **state)
{
    const race_row *row = *state;
    dist_end a;
    dist_end b;

    dist_end_init(&a, PN_DIST_INITIATOR);
    dist_end_init(&b, PN_DIST_RESPONDER);
    a.config.name = row->initiator;
    b.config.name = row->responder;
    a.config.peer_name = dist_text(row->responder);
    b.config.peer_name = dist_text(row->initiator);
    b.rival = PN_DIST_RIVAL_DIAL;
    dist_end_start(&a);
    dist_end_start(&b);
    dist_talk(&a, &b, 1);
    if (row->is_ours) {
        dist_assert_failed(&b, PN_DIST_REASON_LOST_RACE);
        /* No message is sent: nok would stop upstream's whole distribution. */
        assert_int_equal(pn_dist_output(b.dist).len, 0);
        assert_int_equal(pn_dist_state_of(a.dist), PN_DIST_HANDSHAKE);
        assert_int_equal(b.n_lost, 0);
    } else {
        dist_assert_up(&a, &b);
        dist_assert_up(&b, &a);
        assert_string_equal(b.order, "nlu");
    }
    dist_end_fini(&a);
    dist_end_fini(&b);
}

/* A name that is only claimed ends no dial of ours before its cookie. */
static void test_race_claimed(void **state)
{
    bool has_cookie = *(const bool *)*state;
    dist_end e;
    uint32_t challenge;

    dist_end_init(&e, PN_DIST_RESPONDER);
    e.config.name = "a@h";
    e.config.peer_name = (pn_slice){NULL, 0};
    e.rival = PN_DIST_RIVAL_DIAL;
    dist_end_start(&e);
    hear(&e, name_of(PN_DIST_FLAGS, CREATION, ALPHA));
    expect(&e, status("ok_simultaneous"));
    challenge = take_challenge(&e);
    assert_int_equal(e.n_lost, 0);
    hear(&e, reply_of(has_cookie ? COOKIE : "guess", challenge));
    assert_string_equal(e.order, has_cookie ? "nlu" : "n");
    dist_end_fini(&e);
}

/* ---- a name without proof ------------------------------------------------ */

static void test_claimed(void **state)
{
    const char *name = *state;
    dist_end e;

    dist_end_init(&e, PN_DIST_RESPONDER);
    e.config.peer_name = (pn_slice){NULL, 0};
    dist_end_start(&e);
    hear(&e, name_of(PN_DIST_FLAGS, CREATION, name));
    if (strcmp(name, BETA) == 0) {
        dist_assert_failed(&e, PN_DIST_REASON_NAME_MISMATCH);
    } else if (strchr(name, '@') == NULL) {
        dist_assert_failed(&e, PN_DIST_REASON_BAD_HANDSHAKE);
    } else {
        assert_string_equal(e.name, name);
        expect(&e, status("ok"));
    }
    dist_end_fini(&e);
}

/* ---- one message a piece ------------------------------------------------- */

/* The challenge waits until the status has arrived whole (D15). */
static void test_withheld(void **state)
{
    uint8_t bytes[512];
    dist_end e;

    (void)state;
    start_at(&e, R_NAME);
    expect_silence(&e);
    hear(&e, name_of(PN_DIST_FLAGS, CREATION, ALPHA));
    assert_int_equal(pn_dist_output(e.dist).len, 3);
    pn_dist_acked(e.dist, 0);
    assert_int_equal(dist_take(&e, bytes), 3);
    for (uint64_t n = 0; n < 3; n++) {
        pn_dist_acked(e.dist, n);
        expect_silence(&e);
        pn_dist_written(e.dist); /* of nothing */
    }
    pn_dist_acked(e.dist, 3);
    pn_dist_acked(e.dist, 1); /* never goes back */
    assert_int_equal(dist_take(&e, bytes), 19 + strlen(BETA));
    expect_silence(&e);
    /* The reply says that the challenge has arrived. */
    hear(&e, reply_of(COOKIE, pn_load_be32(bytes + 9)));
    assert_int_equal(dist_take(&e, bytes), 17);
    expect_silence(&e);
    dist_end_fini(&e);
}

/* A message that the peer sent before it can have received ours is no
 * answer. */
static void test_premature(void **state)
{
    dist_end e;
    uint8_t bytes[512];

    (void)state;
    start_at(&e, R_NAME);
    hear(&e, name_of(PN_DIST_FLAGS, CREATION, ALPHA));
    assert_int_equal(dist_take(&e, bytes), 3);
    /* A tick says nothing. */
    dist_hear(&e, (const uint8_t *)"\0\0\0\0", 4, 4);
    assert_int_equal(pn_dist_state_of(e.dist), PN_DIST_HANDSHAKE);
    dist_hear(&e, (const uint8_t *)"r", 1, 1);
    dist_assert_failed(&e, PN_DIST_REASON_BAD_HANDSHAKE);
    dist_end_fini(&e);
}

/* ---- tables -------------------------------------------------------------- */

static void add_good(void)
{
    static size_t pieces[] = {1, 2, 3, 4, 5, 7, 16, 21, 512};
    static pn_dist_role roles[] = {PN_DIST_INITIATOR, PN_DIST_RESPONDER};
    static bool cookies[] = {true, false};

    for (size_t i = 0; i < N(pieces); i++) {
        pn_test_addf(
            test_both, &pieces[i], PREFIX "both in pieces of %zu", pieces[i]);
    }
    for (size_t i = 0; i < 2; i++) {
        pn_test_addf(test_prefixes, &roles[i], PREFIX "prefixes/%s",
            roles[i] == PN_DIST_INITIATOR ? "initiator" : "responder");
        pn_test_addf(test_race_claimed, &cookies[i], PREFIX "race_claimed/%s",
            cookies[i] ? "cookie" : "no cookie");
    }
    for (size_t i = 0; i < N(races); i++) {
        pn_test_addf(test_race, &races[i], PREFIX "race/%s dials %s",
            races[i].initiator, races[i].responder);
    }
    pn_test_add(PREFIX "longest", test_longest, NULL);
    pn_test_add(PREFIX "upstream", test_upstream, NULL);
    pn_test_add(PREFIX "alive_true", test_alive_true, NULL);
    pn_test_add(PREFIX "alive_false", test_alive_false, NULL);
}

static void add_places(void)
{
    static where all[] = {R_NAME, R_ALIVE, R_REPLY, R_UP, I_BEGUN, I_STATUS,
        I_CHALLENGE, I_TRUE, I_ACK, I_UP};

    for (size_t i = 0; i < N(all); i++) {

        if (all[i] == R_REPLY || all[i] == I_ACK) {
            pn_test_addf(test_digest_bits, &all[i], PREFIX "digest_bits/%s",
                place_name(all[i]));
        }
    }
}

static void add_bad(void)
{
    static char claimed[][32] = {"x@y", "alpha@127.0.0.1", BETA, "nobody"};

    for (size_t i = 0; i < N(bad); i++) {
        pn_test_addf(test_bad, &bad[i], PREFIX "bad/%s/%s",
            place_name(bad[i].at), bad[i].name);
    }
    for (size_t i = 0; i < N(flags); i++) {
        pn_test_addf(test_responder_flags, &flags[i],
            PREFIX "flags/responder/%s", flags[i].name);
        pn_test_addf(test_initiator_flags, &flags[i],
            PREFIX "flags/initiator/%s", flags[i].name);
    }
    for (size_t i = 0; i < N(claimed); i++) {
        pn_test_addf(test_claimed, claimed[i], PREFIX "claimed/%s", claimed[i]);
    }
    pn_test_add(PREFIX "wrong_cookie", test_wrong_cookie, NULL);
}

int main(void)
{
    json_t *vectors = pn_vectors("dist.json");
    json_t *upstream = pn_vectors_as("barrel.json", JSON_DECODE_INT_AS_REAL);
    json_t *row;
    size_t i;
    int result;

    json_array_foreach(json_object_get(vectors, "digests"), i, row)
    {
        pn_test_addf(test_digest, row, PREFIX "digest/%zu", i);
    }
    json_array_foreach(json_object_get(upstream, "dist_cookie_digest"), i, row)
    {
        pn_test_addf(
            test_upstream_digest, row, PREFIX "dist_cookie_digest/%zu", i);
    }
    add_good();
    add_places();
    add_bad();
    pn_test_add(PREFIX "withheld", test_withheld, NULL);
    pn_test_add(PREFIX "premature", test_premature, NULL);
    result = pn_test_run("barrel/dist_handshake");
    json_decref(vectors);
    json_decref(upstream);
    return result;
}

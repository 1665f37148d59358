/* SPDX-License-Identifier: Apache-2.0 */
/* Erlang distribution over time: ticks and deadlines. And its configuration,
 * and a system without randomness. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/crypto.h"
#include "dist_end.h"
#include "dist_peer.h"
#include "dist_text.h"

/* ---- ticks --------------------------------------------------------------- */

static void test_ticks(void **state)
{
    size_t piece = *(const size_t *)*state;
    dist_end a;
    dist_end b;

    dist_end_init(&a, PN_DIST_INITIATOR);
    dist_end_init(&b, PN_DIST_RESPONDER);
    dist_end_start(&a);
    dist_end_start(&b);
    for (int i = 0; i < 8; i++) {
        uint8_t zeros[8] = {0};

        dist_hear(&a, zeros, i % 2 == 0 ? 8 : 4, piece);
        dist_hear(&b, zeros, 4, piece);
        if (dist_pass(i % 2 == 0 ? &a : &b, i % 2 == 0 ? &b : &a, piece) > 0
            && i == 1) {
            dist_hear(&a, zeros, 4, piece);
            (void)dist_pass(&b, &a, piece); /* the challenge */
        }
    }
    dist_assert_up(&a, &b);
    dist_assert_up(&b, &a);
    dist_end_fini(&a);
    dist_end_fini(&b);
}

/* Zeros inside of a message are its own, also at the start of a piece. */
static void test_zeros_inside(void **state)
{
    message m = name_of(PN_DIST_FLAGS, 0, ALPHA);
    dist_end e;

    (void)state;
    start_at(&e, R_NAME);
    dist_hear(&e, m.data, 9, 9);
    dist_hear(&e, m.data + 9, m.len - 9, m.len);
    expect(&e, status("ok"));
    assert_int_equal(pn_dist_peer_creation(e.dist), 0);
    dist_end_fini(&e);
}

/* ---- time ---------------------------------------------------------------- */

static void test_deadline(void **state)
{
    where at = *(const where *)*state;
    dist_end e;
    uint64_t end = NOW_US + DIST_HANDSHAKE_US;

    start_at(&e, at);
    assert_true(pn_dist_deadline(e.dist) == end);
    pn_dist_tick(e.dist, end - 1);
    assert_int_equal(pn_dist_state_of(e.dist), PN_DIST_HANDSHAKE);
    pn_dist_tick(e.dist, end);
    dist_assert_failed(&e, PN_DIST_REASON_TIMEOUT);
    expect_silence(&e);
    dist_end_fini(&e);
}

/* A step renews it, bytes alone do not, nor do ticks. */
static void test_deadline_steps(void **state)
{
    message m = name_of(PN_DIST_FLAGS, CREATION, ALPHA);
    uint64_t now = NOW_US;
    uint8_t bytes[512];
    dist_end e;

    (void)state;
    dist_end_init(&e, PN_DIST_RESPONDER);
    e.config.handshake_us = 1000;
    dist_end_start(&e);
    assert_true(pn_dist_deadline(e.dist) == now + 1000);
    pn_dist_control_input(e.dist, now + 998, m.data, m.len - 1);
    pn_dist_control_input(e.dist, now + 998, (const uint8_t *)"", 0);
    assert_true(pn_dist_deadline(e.dist) == now + 1000);
    pn_dist_control_input(e.dist, now + 999, m.data + m.len - 1, 1);
    assert_true(pn_dist_deadline(e.dist) == now + 1999);
    (void)dist_take(&e, bytes);
    dist_ack(&e);
    (void)dist_take(&e, bytes);
    pn_dist_control_input(e.dist, now + 1500, (const uint8_t *)"\0\0\0\0", 4);
    assert_true(pn_dist_deadline(e.dist) == now + 1999);
    m = reply_of(COOKIE, pn_load_be32(bytes + 9));
    pn_dist_control_input(e.dist, now + 1999, m.data, m.len);
    dist_assert_failed(&e, PN_DIST_REASON_TIMEOUT);
    dist_end_fini(&e);
}

static void test_up_has_time(void **state)
{
    where at = *(const where *)*state;
    dist_end e;

    start_at(&e, at);
    assert_true(pn_dist_deadline(e.dist) == PN_TIME_NEVER);
    pn_dist_tick(e.dist, UINT64_MAX - 1);
    assert_int_equal(pn_dist_state_of(e.dist), PN_DIST_UP);
    dist_end_fini(&e);
}

/* ---- configuration, system ----------------------------------------------- */

typedef struct config_row {
    const char *name;
    void (*change)(pn_dist_config *c);
    bool is_fine;
} config_row;

static void no_name(pn_dist_config *c)
{
    c->name = "";
}

static void no_host(pn_dist_config *c)
{
    c->name = "alpha";
}

static void peer_host(pn_dist_config *c)
{
    c->peer_name = dist_text("beta");
}

static void same_name(pn_dist_config *c)
{
    c->peer_name = dist_text(ALPHA);
}

static void no_peer(pn_dist_config *c)
{
    c->peer_name.len = 0;
}

static void no_cookie(pn_dist_config *c)
{
    c->cookie.len = 0;
}

static void creation_3(pn_dist_config *c)
{
    c->creation = 3;
}

static void creation_4(pn_dist_config *c)
{
    c->creation = 4;
}

static void flags_less(pn_dist_config *c)
{
    c->flags = FLAGS_SHORT & ~BIT(34);
}

static void flags_least(pn_dist_config *c)
{
    c->flags = FLAGS_SHORT;
}

static void flags_cache(pn_dist_config *c)
{
    c->flags |= PN_DIST_FLAGS | BIT(13);
}

static void flags_fragments(pn_dist_config *c)
{
    c->flags = PN_DIST_FLAGS | BIT(23);
}

static void flags_name_me(pn_dist_config *c)
{
    c->flags = PN_DIST_FLAGS | BIT(33);
}

static void flags_published(pn_dist_config *c)
{
    c->flags = PN_DIST_FLAGS | PN_DIST_FLAG_PUBLISHED;
}

static void time_max(pn_dist_config *c)
{
    c->handshake_us = PN_DIST_HANDSHAKE_MAX_US;
}

static void time_over(pn_dist_config *c)
{
    c->handshake_us = PN_DIST_HANDSHAKE_MAX_US + 1;
}

static void message_max(pn_dist_config *c)
{
    c->max_message = INT32_MAX;
}

static void message_over(pn_dist_config *c)
{
    c->max_message = (size_t)INT32_MAX + 1;
}

static void long_cookie(pn_dist_config *c)
{
    static const uint8_t cookie[256] = {1};

    c->cookie = (pn_slice){cookie, sizeof(cookie)};
}

static config_row configs[] = {
    {"no name", no_name, false},
    {"a name without host", no_host, false},
    {"a peer without host", peer_host, false},
    {"ourselves as peer", same_name, false},
    {"an initiator without peer", no_peer, false},
    {"no cookie", no_cookie, false},
    {"a cookie of 256 bytes", long_cookie, false},
    {"creation 3", creation_3, false},
    {"creation 4", creation_4, true},
    {"too few flags", flags_less, false},
    {"the fewest flags", flags_least, true},
    {"the atom cache", flags_cache, false},
    {"fragments", flags_fragments, false},
    {"NAME_ME", flags_name_me, false},
    {"published", flags_published, true},
    {"120 seconds", time_max, true},
    {"more than 120 seconds", time_over, false},
    {"messages of 2^31-1", message_max, true},
    {"messages of 2^31", message_over, false},
};

static void test_config(void **state)
{
    const config_row *row = *state;
    dist_end e;

    dist_end_init(&e, PN_DIST_INITIATOR);
    row->change(&e.config);
    assert_int_equal(pn_dist_new(&e.config, NOW_US, &e.dist),
        row->is_fine ? PN_OK : PN_INVALID);
    assert_true((e.dist != NULL) == row->is_fine);
    dist_end_fini(&e);
}

static void test_no_random(void **state)
{
    dist_end a;
    dist_end b;

    (void)state;
    dist_end_init(&a, PN_DIST_INITIATOR);
    dist_end_init(&b, PN_DIST_RESPONDER);
    a.no_random = true;
    dist_end_start(&a);
    dist_end_start(&b);
    dist_talk(&a, &b, 512);
    dist_assert_failed(&a, PN_DIST_REASON_SYSTEM);
    dist_end_fini(&a);
    dist_end_fini(&b);
    start_at(&b, R_NAME);
    b.no_random = true;
    hear(&b, name_of(PN_DIST_FLAGS, CREATION, ALPHA));
    dist_assert_failed(&b, PN_DIST_REASON_SYSTEM);
    expect_silence(&b);
    dist_end_fini(&b);
}

static void test_texts(void **state)
{
    (void)state;
    for (int i = 0; i < PN_DIST_N_REASONS; i++) {
        const char *text = dist_reason_text((pn_dist_reason)i);

        assert_non_null(text);
        assert_true(strlen(text) > 0);
    }
    pn_dist_free(NULL);
}

/* ---- tables -------------------------------------------------------------- */

static void add_good(void)
{
    static size_t pieces[] = {1, 2, 3, 4, 5, 7, 16, 21, 512};

    for (size_t i = 0; i < N(pieces); i++) {
        pn_test_addf(
            test_ticks, &pieces[i], PREFIX "ticks in pieces of %zu", pieces[i]);
    }
}

static void add_places(void)
{
    static where all[] = {R_NAME, R_ALIVE, R_REPLY, R_UP, I_BEGUN, I_STATUS,
        I_CHALLENGE, I_TRUE, I_ACK, I_UP};

    for (size_t i = 0; i < N(all); i++) {
        bool is_up = all[i] == R_UP || all[i] == I_UP;

        pn_test_addf(is_up ? test_up_has_time : test_deadline, &all[i],
            PREFIX "deadline/%s", place_name(all[i]));
    }
}

static void add_bad(void)
{

    for (size_t i = 0; i < N(configs); i++) {
        pn_test_addf(
            test_config, &configs[i], PREFIX "config/%s", configs[i].name);
    }
}

int main(void)
{
    json_t *vectors = pn_vectors("dist.json");
    json_t *upstream = pn_vectors_as("barrel.json", JSON_DECODE_INT_AS_REAL);
    int result;

    add_good();
    add_places();
    add_bad();
    pn_test_add(PREFIX "zeros_inside", test_zeros_inside, NULL);
    pn_test_add(PREFIX "deadline_steps", test_deadline_steps, NULL);
    pn_test_add(PREFIX "no_random", test_no_random, NULL);
    pn_test_add(PREFIX "texts", test_texts, NULL);
    result = pn_test_run("barrel/dist-time");
    json_decref(vectors);
    json_decref(upstream);
    return result;
}

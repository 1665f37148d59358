/* SPDX-License-Identifier: Apache-2.0 */
/* See dist_peer.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dist_peer.h"

void put(message *m, const void *data, size_t len)
{
    assert_true(m->len + len <= sizeof(m->data));
    memcpy(m->data + m->len, data, len);
    m->len += len;
}

void put_number(message *m, uint64_t n, size_t width)
{
    uint8_t bytes[8];

    pn_store_be64(bytes, n);
    put(m, bytes + 8 - width, width);
}

message status(const char *word)
{
    message m = {.len = 0};

    put(&m, "s", 1);
    put(&m, word, strlen(word));
    return m;
}

message name_of(uint64_t flags, uint32_t creation, const char *name)
{
    message m = {.len = 0};

    put(&m, "N", 1);
    put_number(&m, flags, 8);
    put_number(&m, creation, 4);
    put_number(&m, strlen(name), 2);
    put(&m, name, strlen(name));
    return m;
}

message challenge_of(
    uint64_t flags, uint32_t challenge, uint32_t creation, const char *name)
{
    message m = {.len = 0};

    put(&m, "N", 1);
    put_number(&m, flags, 8);
    put_number(&m, challenge, 4);
    put_number(&m, creation, 4);
    put_number(&m, strlen(name), 2);
    put(&m, name, strlen(name));
    return m;
}

static void put_digest(message *m, const char *cookie, uint32_t challenge)
{
    uint8_t digest[PN_MD5_LEN];
    char text[16];
    int n = snprintf(text, sizeof(text), "%lu", (unsigned long)challenge);

    assert_int_equal(pn_md5(digest, pn_slice_of(cookie),
                         (pn_slice){(const uint8_t *)text, (size_t)n}),
        PN_OK);
    put(m, digest, sizeof(digest));
}

message reply_of(const char *cookie, uint32_t challenge)
{
    message m = {.len = 0};

    put(&m, "r", 1);
    put_number(&m, B_CHALLENGE, 4);
    put_digest(&m, cookie, challenge);
    return m;
}

message ack_of(const char *cookie, uint32_t challenge)
{
    message m = {.len = 0};

    put(&m, "a", 1);
    put_digest(&m, cookie, challenge);
    return m;
}

void hear(dist_end *e, message m)
{
    dist_hear(e, m.data, m.len, m.len);
}

void expect(dist_end *e, message m)
{
    uint8_t bytes[512];
    size_t n = dist_take(e, bytes);

    pn_assert_bytes(bytes, n, m.data, m.len);
    dist_ack(e);
}

void expect_silence(dist_end *e)
{
    assert_int_equal(pn_dist_output(e->dist).len, 0);
}

uint32_t take_challenge(dist_end *e)
{
    uint8_t bytes[512];
    size_t n = dist_take(e, bytes);

    dist_ack(e);
    assert_true(n == 21 || n > 21);
    return pn_load_be32(bytes + (bytes[0] == 'r' ? 1 : 9));
}

static pn_dist_role role_at(where at)
{
    return at < I_BEGUN ? PN_DIST_RESPONDER : PN_DIST_INITIATOR;
}

static void responder_to(dist_end *e, where at)
{
    if (at == R_NAME) {
        return;
    }
    e->rival = at == R_ALIVE ? PN_DIST_RIVAL_LINK : PN_DIST_RIVAL_NONE;
    hear(e, name_of(PN_DIST_FLAGS, CREATION, ALPHA));
    if (at == R_ALIVE) {
        expect(e, status("alive"));
        return;
    }
    expect(e, status("ok"));
    e->challenge = take_challenge(e);
    if (at == R_UP) {
        hear(e, reply_of(COOKIE, e->challenge));
        expect(e, ack_of(COOKIE, B_CHALLENGE));
    }
}

static void initiator_to(dist_end *e, where at)
{
    if (at == I_BEGUN) {
        return;
    }
    expect(e, name_of(PN_DIST_FLAGS, e->config.creation, ALPHA));
    if (at == I_STATUS) {
        return;
    }
    if (at == I_TRUE) {
        e->is_gone = true;
        hear(e, status("alive"));
        expect(e, status("true"));
        return;
    }
    hear(e, status("ok"));
    if (at == I_CHALLENGE) {
        return;
    }
    hear(e, challenge_of(PN_DIST_FLAGS, B_CHALLENGE, CREATION, BETA));
    e->challenge = take_challenge(e);
    if (at == I_UP) {
        hear(e, ack_of(COOKIE, e->challenge));
    }
}

void start_at(dist_end *e, where at)
{
    dist_end_init(e, role_at(at));
    dist_end_start(e);
    if (role_at(at) == PN_DIST_RESPONDER) {
        responder_to(e, at);
    } else {
        initiator_to(e, at);
    }
    assert_int_equal(pn_dist_state_of(e->dist),
        at == R_UP || at == I_UP ? PN_DIST_UP : PN_DIST_HANDSHAKE);
    if (at != I_BEGUN) {
        expect_silence(e);
    }
}

const char *place_name(where at)
{
    static const char *const names[] = {"responder", "responder said alive",
        "responder said challenge", "responder up", "initiator begun",
        "initiator said name", "initiator heard ok", "initiator said true",
        "initiator said reply", "initiator up"};

    return names[at];
}

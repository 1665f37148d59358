/* SPDX-License-Identifier: Apache-2.0 */
#include "auth_end.h"

#include <string.h>

#include "base/bytes.h"

pn_slice auth_text(const char *name)
{
    return (pn_slice){(const uint8_t *)name, strlen(name)};
}

static pn_err end_random(void *user, uint8_t *buf, size_t len)
{
    auth_end *e = user;

    if (e->no_random) {
        return PN_SYS;
    }
    for (size_t i = 0; i < len; i++) {
        buf[i] = e->has_nonce ? e->nonce[i] : (uint8_t)pn_test_random(&e->seed);
    }
    return PN_OK;
}

static pn_auth_pin end_look_up(
    void *user, pn_slice name, const pn_ed25519_key *key)
{
    auth_end *e = user;

    (void)name;
    (void)key;
    e->n_lookups++;
    return e->pin;
}

static pn_err end_add(void *user, pn_slice name, const pn_ed25519_key *key)
{
    auth_end *e = user;

    assert_true(pn_node_name_is_valid(name.data, name.len));
    assert_non_null(key);
    e->n_added++;
    e->said_when_added = pn_auth_output(e->auth).len;
    return e->add_err;
}

static const pn_auth_pins pins = {.look_up = end_look_up, .add = end_add};

void auth_end_key(auth_end *e, uint8_t first)
{
    for (size_t i = 0; i < PN_KEY_LEN; i++) {
        e->identity.secret.bytes[i] = (uint8_t)(first + i);
    }
    assert_int_equal(
        pn_ed25519_public(&e->identity.secret, &e->identity.public_key), PN_OK);
}

/* alpha dials beta, as in the recorded transcript; both know each other. */
void auth_end_init(auth_end *e, bool initiator)
{
    *e = (auth_end){.seed = initiator ? 1 : 2, .pin = PN_AUTH_PIN_EQUAL};
    auth_end_key(e, initiator ? 0x00 : 0x40);
    memset(e->binding, 0xb1, sizeof(e->binding));
    e->env = (pn_env){.user = e, .random = end_random};
    e->config = (pn_auth_config){
        .initiator = initiator,
        .name = initiator ? "alpha@127.0.0.1" : "beta@127.0.0.1",
        .dialled_name = initiator ? "beta@127.0.0.1" : NULL,
        .identity = &e->identity,
        .binding = e->binding,
        .timeout_us = AUTH_TIMEOUT_US,
        .window_ms = AUTH_WINDOW_MS,
        .env = &e->env,
        .pins = &pins,
        .pins_user = e,
    };
}

void auth_end_start(auth_end *e)
{
    assert_int_equal(pn_auth_new(&e->config, NOW_US, &e->auth), PN_OK);
}

void auth_end_fini(auth_end *e)
{
    pn_auth_free(e->auth);
}

void auth_hear(auth_end *e, const uint8_t *data, size_t len)
{
    pn_auth_input(e->auth, NOW_US, WALL_MS, data, len, false);
}

/* Takes the output of e, at most max bytes. */
size_t auth_take(auth_end *e, uint8_t *out, size_t max)
{
    pn_slice said = pn_auth_output(e->auth);
    size_t n = said.len < max ? said.len : max;

    memcpy(out, said.data, n);
    pn_auth_written(e->auth, n);
    return n;
}

void auth_pass(auth_end *from, auth_end *to, size_t max)
{
    uint8_t bytes[1024];
    size_t n = auth_take(from, bytes, max);

    if (n > 0) {
        auth_hear(to, bytes, n);
    }
}

void auth_assert_failed(const auth_end *e, pn_auth_reason want)
{
    assert_int_equal(pn_auth_outcome_of(e->auth), PN_AUTH_FAILED);
    assert_string_equal(pn_auth_reason_text(pn_auth_reason_of(e->auth)),
        pn_auth_reason_text(want));
    assert_null(pn_auth_peer_key(e->auth));
    assert_true(pn_auth_deadline(e->auth) == PN_TIME_NEVER);
}

void auth_assert_done(const auth_end *e, const auth_end *peer)
{
    pn_slice name = pn_auth_peer_name(e->auth);

    assert_string_equal(
        pn_auth_reason_text(pn_auth_reason_of(e->auth)), "none");
    assert_int_equal(pn_auth_outcome_of(e->auth), PN_AUTH_DONE);
    assert_memory_equal(pn_auth_peer_key(e->auth)->bytes,
        peer->identity.public_key.bytes, PN_KEY_LEN);
    pn_assert_bytes(name.data, name.len, (const uint8_t *)peer->config.name,
        strlen(peer->config.name));
}

void auth_talk(auth_end *a, auth_end *b)
{
    while (pn_auth_output(a->auth).len > 0 || pn_auth_output(b->auth).len > 0) {
        auth_pass(a, b, SIZE_MAX);
        auth_pass(b, a, SIZE_MAX);
    }
}

/* ---- a peer by hand ------------------------------------------------------ */

size_t auth_challenge_at(uint64_t wall_ms, uint8_t *out)
{
    pn_auth_challenge c = {.nonce = {1, 2, 3}, .wall_ms = wall_ms};

    return pn_auth_encode_challenge(out, &c);
}

size_t auth_peer_challenge(
    const auth_end *victim, const auth_end *peer, uint8_t *out)
{
    (void)victim;
    (void)peer;
    return auth_challenge_at(WALL_MS, out);
}

size_t auth_signed_by(const pn_ed25519_pair *by, const pn_ed25519_key *as,
    const uint8_t *binding, const pn_auth_challenge *c, uint8_t *out)
{
    uint8_t bytes[PN_AUTH_SIGNED_LEN];
    uint8_t signature[PN_SIGNATURE_LEN];

    pn_auth_signed_bytes(bytes, c, as, binding);
    assert_int_equal(
        pn_ed25519_sign(&by->secret, bytes, sizeof(bytes), signature), PN_OK);
    return pn_auth_encode_response(out, signature);
}

size_t auth_peer_response(
    const auth_end *victim, const auth_end *peer, uint8_t *out)
{
    return auth_signed_by(&peer->identity, &peer->identity.public_key,
        victim->binding, &victim->challenge, out);
}

size_t auth_peer_ok(const auth_end *victim, const auth_end *peer, uint8_t *out)
{
    (void)victim;
    (void)peer;
    return pn_auth_encode_ok(out);
}

size_t auth_peer_hello(
    const auth_end *victim, const auth_end *peer, uint8_t *out)
{
    (void)victim;
    return pn_auth_encode_hello(
        out, auth_text(peer->config.name), &peer->identity.public_key);
}

/* The challenge in e's output, behind its HELLO. */
void auth_read_challenge(auth_end *e)
{
    pn_slice said = pn_auth_output(e->auth);
    size_t at = PN_AUTH_HEADER_LEN + pn_load_be16(said.data);
    pn_auth_message m;

    if (said.len < at + 43) {
        return; /* not yet */
    }
    assert_int_equal(
        pn_auth_decode(said.data + at + PN_AUTH_HEADER_LEN, 41, &m),
        PN_AUTH_DECODED);
    e->challenge = m.challenge;
}

void auth_hear_honest(auth_end *victim, const auth_end *peer, auth_step upto)
{
    static size_t (*const honest[])(const auth_end *, const auth_end *,
        uint8_t *) = {auth_peer_hello, auth_peer_challenge, auth_peer_response};
    uint8_t out[600];

    for (size_t i = 0; i < (size_t)upto; i++) {
        auth_hear(victim, out, honest[i](victim, peer, out));
        auth_read_challenge(victim);
        assert_int_equal(pn_auth_outcome_of(victim->auth), PN_AUTH_RUNNING);
    }
}

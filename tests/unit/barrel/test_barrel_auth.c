/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The authentication engine: upstream's transcript byte for byte, both roles
 * against each other in any pieces, and against a peer that does not keep to
 * it (BAD-9, T34, T36, T37).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/auth.h"
#include "base/bytes.h"
#include "harness.h"

#define WALL_MS UINT64_C(1790000000123)
#define NOW_US (1000 * PN_US_PER_S)

static pn_slice name_of(const char *name)
{
    return (pn_slice){(const uint8_t *)name, strlen(name)};
}

/* ---- one end ----------------------------------------------------------- */

typedef struct end {
    pn_auth *auth;
    pn_auth_config config;
    pn_key_pair identity;
    uint8_t binding[PN_AUTH_BINDING_LEN];
    pn_env env;
    uint64_t seed;
    bool has_nonce; /* a recorded one instead of the seed's */
    uint8_t nonce[PN_AUTH_NONCE_LEN];
    bool no_random;
    pn_auth_pin pin; /* what the look-up says */
    pn_err add_err;
    unsigned n_added;
    unsigned n_lookups;
    size_t said_when_added; /* bytes of output there were then */
    unsigned n_logged;
    char logged[64];
} end;

static pn_err end_random(void *user, uint8_t *buf, size_t len)
{
    end *e = user;

    if (e->no_random) {
        return PN_SYS;
    }
    for (size_t i = 0; i < len; i++) {
        buf[i] = e->has_nonce ? e->nonce[i] : (uint8_t)pn_test_random(&e->seed);
    }
    return PN_OK;
}

static void end_log(void *user, const pn_log_event *event)
{
    end *e = user;

    e->n_logged++;
    (void)snprintf(e->logged, sizeof(e->logged), "%s", event->text);
}

static pn_auth_pin end_look_up(
    void *user, pn_slice name, const pn_public_key *key)
{
    end *e = user;

    (void)name;
    (void)key;
    e->n_lookups++;
    return e->pin;
}

static pn_err end_add(void *user, pn_slice name, const pn_public_key *key)
{
    end *e = user;

    assert_true(pn_node_name_is_valid(name.data, name.len));
    assert_non_null(key);
    e->n_added++;
    e->said_when_added = pn_auth_output(e->auth).len;
    return e->add_err;
}

static const pn_auth_pins pins = {.look_up = end_look_up, .add = end_add};

static void end_key(end *e, uint8_t first)
{
    for (size_t i = 0; i < PN_KEY_LEN; i++) {
        e->identity.secret.bytes[i] = (uint8_t)(first + i);
    }
    assert_int_equal(
        pn_ed25519_public(&e->identity.secret, &e->identity.public_key), PN_OK);
}

/* alpha dials beta, as in the recorded transcript; both know each other. */
static void end_init(end *e, bool initiator)
{
    *e = (end){.seed = initiator ? 1 : 2, .pin = PN_AUTH_PIN_EQUAL};
    end_key(e, initiator ? 0x00 : 0x40);
    memset(e->binding, 0xb1, sizeof(e->binding));
    e->env = (pn_env){.user = e, .random = end_random, .log = end_log};
    e->config = (pn_auth_config){
        .initiator = initiator,
        .name = initiator ? "alpha@127.0.0.1" : "beta@127.0.0.1",
        .dialled_name = initiator ? "beta@127.0.0.1" : NULL,
        .identity = &e->identity,
        .binding = e->binding,
        .env = &e->env,
        .pins = &pins,
        .pins_user = e,
    };
}

static void end_start(end *e)
{
    const char *why = NULL;

    assert_int_equal(pn_auth_new(&e->config, NOW_US, &e->auth, &why), PN_OK);
    assert_null(why);
}

static void end_fini(end *e)
{
    pn_auth_free(e->auth);
}

static void hear(end *e, const uint8_t *data, size_t len)
{
    pn_auth_input(e->auth, NOW_US, WALL_MS, data, len, false);
}

/* Takes what e has to say, at most max bytes. */
static size_t take(end *e, uint8_t *out, size_t max)
{
    pn_slice said = pn_auth_output(e->auth);
    size_t n = said.len < max ? said.len : max;

    memcpy(out, said.data, n);
    pn_auth_written(e->auth, n);
    return n;
}

static void pass(end *from, end *to, size_t max)
{
    uint8_t bytes[1024];
    size_t n = take(from, bytes, max);

    if (n > 0) {
        hear(to, bytes, n);
    }
}

static void assert_failed(const end *e, pn_auth_reason want)
{
    assert_int_equal(pn_auth_outcome_of(e->auth), PN_AUTH_FAILED);
    assert_string_equal(pn_auth_reason_text(pn_auth_reason_of(e->auth)),
        pn_auth_reason_text(want));
    assert_null(pn_auth_peer_key(e->auth));
    assert_true(pn_auth_deadline(e->auth) == PN_TIME_NEVER);
    assert_int_equal(e->n_logged, 1);
    assert_string_equal(e->logged, pn_auth_reason_text(want));
}

static void assert_done(const end *e, const end *peer)
{
    pn_slice name = pn_auth_peer_name(e->auth);

    assert_string_equal(
        pn_auth_reason_text(pn_auth_reason_of(e->auth)), "none");
    assert_int_equal(pn_auth_outcome_of(e->auth), PN_AUTH_DONE);
    assert_memory_equal(pn_auth_peer_key(e->auth)->bytes,
        peer->identity.public_key.bytes, PN_KEY_LEN);
    pn_assert_bytes(name.data, name.len, (const uint8_t *)peer->config.name,
        strlen(peer->config.name));
    assert_int_equal(e->n_logged, 0);
}

/* ---- the transcript ---------------------------------------------------- */

typedef struct transcript {
    uint8_t *client;
    size_t client_len;
    uint8_t *server;
    size_t server_len;
} transcript;

static void transcript_load(transcript *t, end *e, bool initiator)
{
    json_t *vectors = pn_vectors_as("barrel.json", JSON_DECODE_INT_AS_REAL);
    const json_t *row = json_object_get(vectors, "transcript_tofu_ok");
    const uint8_t *challenge;

    t->client = pn_json_hex(row, "client_stream_2", &t->client_len);
    t->server = pn_json_hex(row, "server_stream_3", &t->server_len);
    end_init(e, initiator);
    pn_json_hex_n(row, "cert_binding", e->binding, PN_AUTH_BINDING_LEN);
    /* The nonce is in the second message of whoever drew it. */
    challenge = initiator ? t->client + 2 + pn_load_be16(t->client)
                          : t->server + 2 + pn_load_be16(t->server);
    memcpy(e->nonce, challenge + 3, PN_AUTH_NONCE_LEN);
    e->has_nonce = true;
    e->config.mode = PN_AUTH_TOFU;
    e->pin = PN_AUTH_PIN_ABSENT;
    json_decref(vectors);
}

static uint64_t challenge_time(const uint8_t *stream)
{
    return pn_load_be64(
        stream + 2 + pn_load_be16(stream) + 3 + PN_AUTH_NONCE_LEN);
}

static void test_transcript(void **state)
{
    bool initiator = *(const bool *)*state;
    transcript t;
    end e;
    pn_slice said;
    uint64_t wall;

    transcript_load(&t, &e, initiator);
    wall = challenge_time(initiator ? t.client : t.server);
    end_start(&e);
    pn_auth_input(e.auth, NOW_US, wall, initiator ? t.server : t.client,
        initiator ? t.server_len : t.client_len, true);
    assert_int_equal(pn_auth_outcome_of(e.auth), PN_AUTH_DONE);
    said = pn_auth_output(e.auth);
    pn_assert_bytes(said.data, said.len, initiator ? t.client : t.server,
        initiator ? t.client_len : t.server_len);
    assert_int_equal(e.n_added, 1);
    end_fini(&e);
    free(t.client);
    free(t.server);
}

/* Every prefix of the peer's stream: not done, and an end of it fails. */
static void test_transcript_prefixes(void **state)
{
    bool initiator = *(const bool *)*state;
    transcript t;
    end e;

    transcript_load(&t, &e, initiator);
    for (size_t n = 0; n < (initiator ? t.server_len : t.client_len); n++) {
        uint64_t wall = challenge_time(initiator ? t.client : t.server);
        end one = e;

        one.env.user = &one;
        one.config.env = &one.env;
        one.config.identity = &one.identity;
        one.config.binding = one.binding;
        one.config.pins_user = &one;
        end_start(&one);
        pn_auth_input(
            one.auth, NOW_US, wall, initiator ? t.server : t.client, n, false);
        assert_int_equal(pn_auth_outcome_of(one.auth), PN_AUTH_RUNNING);
        pn_auth_input(one.auth, NOW_US, wall, NULL, 0, true);
        assert_failed(&one, PN_AUTH_REASON_STREAM_FINISHED);
        assert_int_equal(one.n_added, 0);
        end_fini(&one);
    }
    end_fini(&e);
    free(t.client);
    free(t.server);
}

/* ---- our two ends ------------------------------------------------------ */

typedef struct pairing {
    const char *name;
    pn_auth_mode mode;
    pn_auth_pin pin;
    unsigned n_added;
} pairing;

static void test_both(void **state)
{
    const pairing *p = *state;
    end a;
    end b;

    end_init(&a, true);
    end_init(&b, false);
    a.config.mode = b.config.mode = p->mode;
    a.pin = b.pin = p->pin;
    end_start(&a);
    end_start(&b);
    for (int i = 0; i < 6; i++) {
        pass(&a, &b, SIZE_MAX);
        pass(&b, &a, SIZE_MAX);
    }
    assert_done(&a, &b);
    assert_done(&b, &a);
    assert_int_equal(a.n_added, p->n_added);
    assert_int_equal(b.n_added, p->n_added);
    end_fini(&a);
    end_fini(&b);
}

/* Split anywhere, one side ahead of the other by any number of bytes. */
static void test_splits(void **state)
{
    uint64_t seed = 7;

    (void)state;
    for (int round = 0; round < 200; round++) {
        end a;
        end b;

        end_init(&a, true);
        end_init(&b, false);
        a.seed = pn_test_random(&seed);
        b.seed = pn_test_random(&seed);
        end_start(&a);
        end_start(&b);
        for (int i = 0; i < 5000
                        && (pn_auth_outcome_of(a.auth) == PN_AUTH_RUNNING
                            || pn_auth_outcome_of(b.auth) == PN_AUTH_RUNNING);
             i++) {
            uint64_t draw = pn_test_random(&seed);

            pass(draw & 1 ? &a : &b, draw & 1 ? &b : &a, 1 + draw / 2 % 60);
        }
        assert_done(&a, &b);
        assert_done(&b, &a);
        end_fini(&a);
        end_fini(&b);
    }
}

/* A responder has nothing signed as long as the initiator has proven nothing,
 * and says nothing of success before the pin is kept. */
static void test_responder_is_last(void **state)
{
    uint8_t bytes[1024];
    end a;
    end b;
    size_t n;

    (void)state;
    end_init(&a, true);
    end_init(&b, false);
    b.config.mode = PN_AUTH_TOFU;
    b.pin = PN_AUTH_PIN_ABSENT;
    end_start(&a);
    end_start(&b);
    pass(&a, &b, SIZE_MAX); /* HELLO */
    pass(&b, &a, SIZE_MAX); /* HELLO, CHALLENGE: a answers with both of its */
    n = take(&a, bytes, sizeof(bytes));
    assert_int_equal(n, 43 + 67);
    hear(&b, bytes, 43); /* CHALLENGE alone */
    assert_int_equal(pn_auth_output(b.auth).len, 0);
    hear(&b, bytes + 43, 66);
    assert_int_equal(pn_auth_output(b.auth).len, 0);
    assert_int_equal(b.n_added, 0);
    hear(&b, bytes + 43 + 66, 1);
    assert_int_equal(pn_auth_output(b.auth).len, 67 + 3);
    assert_int_equal(b.n_added, 1);
    assert_int_equal(b.said_when_added, 0);
    assert_done(&b, &a);
    end_fini(&a);
    end_fini(&b);
}

static void test_pin_not_kept(void **state)
{
    bool initiator = *(const bool *)*state;
    end a;
    end b;
    end *e = initiator ? &a : &b;

    end_init(&a, true);
    end_init(&b, false);
    e->config.mode = PN_AUTH_TOFU;
    e->pin = PN_AUTH_PIN_ABSENT;
    e->add_err = PN_BUSY;
    end_start(&a);
    end_start(&b);
    for (int i = 0; i < 6; i++) {
        pass(&a, &b, SIZE_MAX);
        pass(&b, &a, SIZE_MAX);
    }
    assert_failed(e, PN_AUTH_REASON_PIN_NOT_STORED);
    if (!initiator) {
        assert_int_equal(pn_auth_outcome_of(a.auth), PN_AUTH_RUNNING);
    }
    end_fini(&a);
    end_fini(&b);
}

/* ---- trust ------------------------------------------------------------- */

typedef struct verdict {
    const char *name;
    bool initiator;
    pn_auth_mode mode;
    pn_auth_pin pin;
    pn_auth_reason want;
    const char *told; /* in a FAIL; NULL: nothing is sent */
} verdict;

static void test_verdict(void **state)
{
    const verdict *v = *state;
    uint8_t hello[512];
    uint8_t said[512];
    uint8_t want[512];
    size_t want_len = 0;
    end e;
    end peer;
    size_t n;

    end_init(&e, v->initiator);
    end_init(&peer, !v->initiator);
    e.config.mode = v->mode;
    e.pin = v->pin;
    end_start(&e);
    (void)take(&e, said, sizeof(said)); /* an initiator's HELLO */
    n = pn_auth_encode_hello(hello,
        (pn_slice){(const uint8_t *)peer.config.name, strlen(peer.config.name)},
        &peer.identity.public_key);
    hear(&e, hello, n);
    assert_failed(&e, v->want);
    if (v->told != NULL) {
        want_len = pn_auth_encode_fail(want, name_of(v->told));
    }
    n = take(&e, said, sizeof(said));
    pn_assert_bytes(said, n, want, want_len);
    assert_int_equal(e.n_added, 0);
    end_fini(&e);
}

/* ---- cookie only ------------------------------------------------------- */

static const char *const everybody[] = {"*@*"};

static void test_cookie_only_responder(void **state)
{
    uint8_t hello[512];
    end a;
    end b;
    size_t n;

    (void)state;
    end_init(&a, true);
    end_init(&b, false);
    b.config.cookie_only = everybody;
    b.config.n_cookie_only = 1;
    a.pin = b.pin = PN_AUTH_PIN_ABSENT;
    end_start(&a);
    end_start(&b);
    n = take(&a, hello, sizeof(hello));
    hear(&b, hello, n);
    assert_int_equal(pn_auth_outcome_of(b.auth), PN_AUTH_DONE_COOKIE_ONLY);
    assert_null(pn_auth_peer_key(b.auth));
    assert_int_equal(b.n_added, 0);
    /* alpha does not agree. */
    pass(&b, &a, SIZE_MAX);
    assert_failed(&a, PN_AUTH_REASON_UNEXPECTED_OK);
    end_fini(&a);
    end_fini(&b);
}

static void test_cookie_only_both(void **state)
{
    end a;
    end b;

    (void)state;
    end_init(&a, true);
    end_init(&b, false);
    a.config.cookie_only = b.config.cookie_only = everybody;
    a.config.n_cookie_only = b.config.n_cookie_only = 1;
    a.pin = b.pin = PN_AUTH_PIN_ABSENT;
    end_start(&a);
    end_start(&b);
    pass(&a, &b, SIZE_MAX);
    pass(&b, &a, SIZE_MAX);
    assert_int_equal(pn_auth_outcome_of(a.auth), PN_AUTH_DONE_COOKIE_ONLY);
    assert_int_equal(pn_auth_outcome_of(b.auth), PN_AUTH_DONE_COOKIE_ONLY);
    assert_null(pn_auth_peer_key(a.auth));
    end_fini(&a);
    end_fini(&b);
}

/* A name whose key is known is never let through by a pattern, unlike upstream
 * (D6): whoever has the cookie could take its place. */
static void test_cookie_only_pinned_there(void **state)
{
    end a;
    end b;

    (void)state;
    end_init(&a, true);
    end_init(&b, false);
    b.config.cookie_only = everybody;
    b.config.n_cookie_only = 1;
    end_start(&a);
    end_start(&b);
    for (int i = 0; i < 3; i++) {
        pass(&a, &b, SIZE_MAX);
        pass(&b, &a, SIZE_MAX);
    }
    assert_int_equal(pn_auth_outcome_of(a.auth), PN_AUTH_DONE);
    assert_int_equal(pn_auth_outcome_of(b.auth), PN_AUTH_DONE);
    end_fini(&a);
    end_fini(&b);
}

static void test_cookie_only_pinned_here(void **state)
{
    end a;
    end b;

    (void)state;
    end_init(&a, true);
    end_init(&b, false);
    a.config.cookie_only = b.config.cookie_only = everybody;
    a.config.n_cookie_only = b.config.n_cookie_only = 1;
    b.pin = PN_AUTH_PIN_ABSENT;
    end_start(&a);
    end_start(&b);
    pass(&a, &b, SIZE_MAX);
    pass(&b, &a, SIZE_MAX);
    assert_failed(&a, PN_AUTH_REASON_UNEXPECTED_OK);
    end_fini(&a);
    end_fini(&b);
}

/* ---- a hostile peer ---------------------------------------------------- */

/* The peer's next message, as it should be and as it is. */
typedef enum step { HELLO, CHALLENGE, RESPONSE, LAST, N_STEPS } step;

typedef struct attack {
    const char *name;
    bool on_initiator; /* the victim's role */
    step at;           /* the message that is not as it should be */
    size_t (*write)(const end *victim, const end *peer, uint8_t *out);
    pn_auth_reason want;
    bool told_signature; /* the responder's FAIL signature_invalid */
} attack;

static size_t own_key(const end *victim, const end *peer, uint8_t *out)
{
    return pn_auth_encode_hello(
        out, name_of(peer->config.name), &victim->identity.public_key);
}

static size_t victims_name(const end *victim, const end *peer, uint8_t *out)
{
    return pn_auth_encode_hello(
        out, name_of(victim->config.name), &peer->identity.public_key);
}

static size_t third_name(const end *victim, const end *peer, uint8_t *out)
{
    (void)victim;
    return pn_auth_encode_hello(
        out, name_of("gamma@127.0.0.1"), &peer->identity.public_key);
}

static size_t version_1(const end *victim, const end *peer, uint8_t *out)
{
    size_t n = pn_auth_encode_hello(
        out, name_of(peer->config.name), &peer->identity.public_key);

    (void)victim;
    out[PN_AUTH_HEADER_LEN + 1] = 1;
    return n;
}

static size_t bad_name(const end *victim, const end *peer, uint8_t *out)
{
    (void)victim;
    return pn_auth_encode_hello(
        out, name_of("../x@y"), &peer->identity.public_key);
}

static size_t challenge_at(uint64_t wall_ms, uint8_t *out)
{
    pn_auth_challenge c = {.nonce = {1, 2, 3}, .wall_ms = wall_ms};

    return pn_auth_encode_challenge(out, &c);
}

static size_t challenge(const end *victim, const end *peer, uint8_t *out)
{
    (void)victim;
    (void)peer;
    return challenge_at(WALL_MS, out);
}

static size_t late(const end *victim, const end *peer, uint8_t *out)
{
    (void)victim;
    (void)peer;
    return challenge_at(WALL_MS - 60001, out);
}

static size_t early(const end *victim, const end *peer, uint8_t *out)
{
    (void)victim;
    (void)peer;
    return challenge_at(WALL_MS + 60001, out);
}

static size_t endless(const end *victim, const end *peer, uint8_t *out)
{
    (void)victim;
    (void)peer;
    return challenge_at(UINT64_MAX, out);
}

/* The victim's own nonce, which the test reads from what it said. */
static pn_auth_challenge victims_challenge;

static size_t echoed(const end *victim, const end *peer, uint8_t *out)
{
    (void)victim;
    (void)peer;
    return pn_auth_encode_challenge(out, &victims_challenge);
}

static size_t signed_by(const pn_key_pair *by, const pn_public_key *as,
    const uint8_t *binding, const pn_auth_challenge *c, uint8_t *out)
{
    uint8_t bytes[PN_AUTH_SIGNED_LEN];
    uint8_t signature[PN_SIGNATURE_LEN];

    pn_auth_signed_bytes(bytes, c, as, binding);
    assert_int_equal(
        pn_ed25519_sign(&by->secret, bytes, sizeof(bytes), signature), PN_OK);
    return pn_auth_encode_response(out, signature);
}

static size_t response(const end *victim, const end *peer, uint8_t *out)
{
    return signed_by(&peer->identity, &peer->identity.public_key,
        victim->binding, &victims_challenge, out);
}

static size_t other_binding(const end *victim, const end *peer, uint8_t *out)
{
    uint8_t binding[PN_AUTH_BINDING_LEN] = {1};

    (void)victim;
    return signed_by(&peer->identity, &peer->identity.public_key, binding,
        &victims_challenge, out);
}

static size_t other_nonce(const end *victim, const end *peer, uint8_t *out)
{
    pn_auth_challenge c = victims_challenge;

    c.nonce[31] ^= 1;
    return signed_by(
        &peer->identity, &peer->identity.public_key, victim->binding, &c, out);
}

static size_t other_time(const end *victim, const end *peer, uint8_t *out)
{
    pn_auth_challenge c = victims_challenge;

    c.wall_ms++;
    return signed_by(
        &peer->identity, &peer->identity.public_key, victim->binding, &c, out);
}

static size_t other_key(const end *victim, const end *peer, uint8_t *out)
{
    end third = {0};

    end_key(&third, 0x99);
    return signed_by(&third.identity, &peer->identity.public_key,
        victim->binding, &victims_challenge, out);
}

/* What the victim itself has signed for this very connection, and what it
 * would sign if it were asked: neither is the peer's. */
static size_t victims_signature(
    const end *victim, const end *peer, uint8_t *out)
{
    (void)peer;
    return signed_by(&victim->identity, &victim->identity.public_key,
        victim->binding, &victims_challenge, out);
}

static size_t zeros(const end *victim, const end *peer, uint8_t *out)
{
    uint8_t signature[PN_SIGNATURE_LEN] = {0};

    (void)victim;
    (void)peer;
    return pn_auth_encode_response(out, signature);
}

static size_t ok(const end *victim, const end *peer, uint8_t *out)
{
    (void)victim;
    (void)peer;
    return pn_auth_encode_ok(out);
}

static size_t hello(const end *victim, const end *peer, uint8_t *out)
{
    (void)victim;
    return pn_auth_encode_hello(
        out, name_of(peer->config.name), &peer->identity.public_key);
}

static size_t failing(const end *victim, const end *peer, uint8_t *out)
{
    (void)victim;
    (void)peer;
    return pn_auth_encode_fail(out, name_of("key_mismatch"));
}

static size_t empty(const end *victim, const end *peer, uint8_t *out)
{
    (void)victim;
    (void)peer;
    memset(out, 0, PN_AUTH_HEADER_LEN);
    return PN_AUTH_HEADER_LEN;
}

static size_t unknown(const end *victim, const end *peer, uint8_t *out)
{
    (void)victim;
    (void)peer;
    memcpy(out, "\0\1\6", 3);
    return 3;
}

static size_t too_long(const end *victim, const end *peer, uint8_t *out)
{
    (void)victim;
    (void)peer;
    pn_store_be16(out, PN_AUTH_MESSAGE_MAX + 1);
    return PN_AUTH_HEADER_LEN; /* the length alone is enough */
}

static size_t response_and_more(
    const end *victim, const end *peer, uint8_t *out)
{
    size_t n = response(victim, peer, out);

    out[n] = 0;
    return n + 1;
}

static size_t ok_and_more(const end *victim, const end *peer, uint8_t *out)
{
    size_t n = ok(victim, peer, out);

    out[n] = 0;
    return n + 1;
}

#define BOTH(name, at, write, want)                                            \
    {name, false, at, write, PN_AUTH_REASON_##want, false},                    \
    {                                                                          \
        name, true, at, write, PN_AUTH_REASON_##want, false                    \
    }

static const attack attacks[] = {
    /* D1, D2 and what a HELLO can be */
    BOTH("own_key", HELLO, own_key, OWN_KEY),
    BOTH("own_name", HELLO, victims_name, OWN_NAME),
    {"another_name_than_dialled", true, HELLO, third_name,
        PN_AUTH_REASON_NAME_MISMATCH, false},
    BOTH("version_1", HELLO, version_1, BAD_MESSAGE),
    BOTH("bad_name", HELLO, bad_name, BAD_MESSAGE),
    BOTH("challenge_first", HELLO, challenge, UNEXPECTED_MESSAGE),
    BOTH("response_first", HELLO, response, UNEXPECTED_MESSAGE),
    {"ok_first", false, HELLO, ok, PN_AUTH_REASON_UNEXPECTED_MESSAGE, false},
    {"ok_first", true, HELLO, ok, PN_AUTH_REASON_UNEXPECTED_OK, false},
    BOTH("fail_first", HELLO, failing, REJECTED),
    BOTH("empty_first", HELLO, empty, BAD_MESSAGE),
    BOTH("unknown_first", HELLO, unknown, BAD_MESSAGE),
    BOTH("too_long_first", HELLO, too_long, MESSAGE_TOO_LONG),
    /* the challenge */
    BOTH("echoed_challenge", CHALLENGE, echoed, OWN_NONCE),
    BOTH("late", CHALLENGE, late, PEER_TS_SKEW),
    BOTH("early", CHALLENGE, early, PEER_TS_SKEW),
    BOTH("endless", CHALLENGE, endless, PEER_TS_SKEW),
    BOTH("hello_again", CHALLENGE, hello, UNEXPECTED_MESSAGE),
    BOTH("response_too_soon", CHALLENGE, response, UNEXPECTED_MESSAGE),
    BOTH("ok_too_soon", CHALLENGE, ok, UNEXPECTED_MESSAGE),
    BOTH("fail_second", CHALLENGE, failing, REJECTED),
    BOTH("empty_second", CHALLENGE, empty, BAD_MESSAGE),
    BOTH("too_long_second", CHALLENGE, too_long, MESSAGE_TOO_LONG),
    /* the response */
    {"other_binding", false, RESPONSE, other_binding,
        PN_AUTH_REASON_SIGNATURE_INVALID, true},
    {"other_binding", true, RESPONSE, other_binding,
        PN_AUTH_REASON_SIGNATURE_INVALID, false},
    {"other_nonce", false, RESPONSE, other_nonce,
        PN_AUTH_REASON_SIGNATURE_INVALID, true},
    {"other_nonce", true, RESPONSE, other_nonce,
        PN_AUTH_REASON_SIGNATURE_INVALID, false},
    {"other_time", false, RESPONSE, other_time,
        PN_AUTH_REASON_SIGNATURE_INVALID, true},
    {"other_time", true, RESPONSE, other_time, PN_AUTH_REASON_SIGNATURE_INVALID,
        false},
    {"other_key", false, RESPONSE, other_key, PN_AUTH_REASON_SIGNATURE_INVALID,
        true},
    {"other_key", true, RESPONSE, other_key, PN_AUTH_REASON_SIGNATURE_INVALID,
        false},
    {"victims_signature", false, RESPONSE, victims_signature,
        PN_AUTH_REASON_SIGNATURE_INVALID, true},
    {"victims_signature", true, RESPONSE, victims_signature,
        PN_AUTH_REASON_SIGNATURE_INVALID, false},
    {"zeros", false, RESPONSE, zeros, PN_AUTH_REASON_SIGNATURE_INVALID, true},
    {"zeros", true, RESPONSE, zeros, PN_AUTH_REASON_SIGNATURE_INVALID, false},
    BOTH("challenge_again", RESPONSE, challenge, UNEXPECTED_MESSAGE),
    BOTH("hello_third", RESPONSE, hello, UNEXPECTED_MESSAGE),
    BOTH("ok_third", RESPONSE, ok, UNEXPECTED_MESSAGE),
    BOTH("fail_third", RESPONSE, failing, REJECTED),
    BOTH("unknown_third", RESPONSE, unknown, BAD_MESSAGE),
    BOTH("too_long_third", RESPONSE, too_long, MESSAGE_TOO_LONG),
    {"response_and_more", false, RESPONSE, response_and_more,
        PN_AUTH_REASON_TRAILING_BYTES, false},
    /* the last one, which only an initiator hears */
    {"response_again", true, LAST, response, PN_AUTH_REASON_UNEXPECTED_MESSAGE,
        false},
    {"fail_last", true, LAST, failing, PN_AUTH_REASON_REJECTED, false},
    {"ok_and_more", true, LAST, ok_and_more, PN_AUTH_REASON_TRAILING_BYTES,
        false},
    {"hello_last", true, LAST, hello, PN_AUTH_REASON_UNEXPECTED_MESSAGE, false},
};

/* The challenge in what e has said so far: behind its HELLO. */
static void read_challenge(end *e)
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
    victims_challenge = m.challenge;
}

static void hear_honest(end *victim, const end *peer, step upto)
{
    static size_t (*const honest[])(const end *, const end *, uint8_t *) = {
        hello, challenge, response};
    uint8_t out[600];

    for (size_t i = 0; i < (size_t)upto; i++) {
        hear(victim, out, honest[i](victim, peer, out));
        read_challenge(victim);
        assert_int_equal(pn_auth_outcome_of(victim->auth), PN_AUTH_RUNNING);
    }
}

/* Whatever would have been right changes nothing any more. */
static void hear_too_late(end *victim, const end *peer)
{
    uint8_t out[600];
    pn_auth_reason reason = pn_auth_reason_of(victim->auth);

    hear(victim, out, hello(victim, peer, out));
    hear(victim, out, challenge(victim, peer, out));
    hear(victim, out, response(victim, peer, out));
    hear(victim, out, ok(victim, peer, out));
    assert_int_equal(pn_auth_outcome_of(victim->auth), PN_AUTH_FAILED);
    assert_int_equal(pn_auth_reason_of(victim->auth), reason);
    assert_int_equal(victim->n_added, 0);
}

static void test_attack(void **state)
{
    const attack *a = *state;
    uint8_t bytes[600];
    uint8_t fail[64];
    pn_slice said;
    size_t before;
    size_t n = 0;
    end victim;
    end peer;

    memset(&victims_challenge, 0, sizeof(victims_challenge));
    end_init(&victim, a->on_initiator);
    end_init(&peer, !a->on_initiator);
    /* The name and key of anybody who asks are as good as pinned: no verdict
     * of trust stands in the attack's way. */
    victim.config.mode = PN_AUTH_TOFU;
    end_start(&victim);
    hear_honest(&victim, &peer, a->at);
    before = pn_auth_output(victim.auth).len;
    hear(&victim, bytes, a->write(&victim, &peer, bytes));
    assert_failed(&victim, a->want);
    assert_int_equal(victim.n_added, 0);
    said = pn_auth_output(victim.auth);
    if (a->told_signature) {
        n = pn_auth_encode_fail(fail, name_of("signature_invalid"));
    }
    pn_assert_bytes(said.data + before, said.len - before, fail, n);
    hear_too_late(&victim, &peer);
    end_fini(&victim);
}

/* ---- time -------------------------------------------------------------- */

typedef struct skew_row {
    int64_t skew_ms;
    bool is_fine;
} skew_row;

static void test_skew(void **state)
{
    const skew_row *row = *state;
    uint8_t bytes[600];
    end victim;
    end peer;

    end_init(&victim, false);
    end_init(&peer, true);
    end_start(&victim);
    hear_honest(&victim, &peer, CHALLENGE);
    hear(&victim, bytes,
        challenge_at((uint64_t)((int64_t)WALL_MS + row->skew_ms), bytes));
    assert_int_equal(pn_auth_outcome_of(victim.auth),
        row->is_fine ? PN_AUTH_RUNNING : PN_AUTH_FAILED);
    end_fini(&victim);
}

/* Whatever has come, and however often something comes. */
static void test_deadline(void **state)
{
    bool initiator = *(const bool *)*state;

    for (step upto = HELLO; upto < LAST; upto++) {
        end victim;
        end peer;

        end_init(&victim, initiator);
        end_init(&peer, !initiator);
        end_start(&victim);
        hear_honest(&victim, &peer, upto);
        assert_true(pn_auth_deadline(victim.auth)
                    == NOW_US + PN_AUTH_TIMEOUT_DEFAULT_US);
        pn_auth_tick(victim.auth, NOW_US + PN_AUTH_TIMEOUT_DEFAULT_US - 1);
        assert_int_equal(pn_auth_outcome_of(victim.auth), PN_AUTH_RUNNING);
        pn_auth_input(victim.auth, NOW_US + PN_AUTH_TIMEOUT_DEFAULT_US, WALL_MS,
            (const uint8_t *)"\0", 1, false);
        assert_failed(&victim, PN_AUTH_REASON_TIMEOUT);
        end_fini(&victim);
    }
}

/* Our challenge grows old by itself, too. */
static void test_response_window(void **state)
{
    const uint64_t *late_us = *state;
    uint8_t bytes[600];
    end victim;
    end peer;

    end_init(&victim, false);
    end_init(&peer, true);
    victim.config.timeout_us = PN_AUTH_TIMEOUT_MAX_US;
    end_start(&victim);
    hear_honest(&victim, &peer, RESPONSE);
    pn_auth_input(victim.auth,
        NOW_US + PN_AUTH_WINDOW_DEFAULT_MS * PN_US_PER_MS + *late_us, WALL_MS,
        bytes, response(&victim, &peer, bytes), false);
    if (*late_us == 0) {
        assert_done(&victim, &peer);
    } else {
        assert_failed(&victim, PN_AUTH_REASON_SIGNATURE_INVALID);
    }
    end_fini(&victim);
}

/* ---- what cannot be asked for ------------------------------------------ */

typedef struct refusal {
    const char *name;
    void (*change)(pn_auth_config *c);
    const char *says; /* NULL: it can */
} refusal;

static void no_end(pn_auth_config *c)
{
    c->timeout_us = UINT64_MAX;
}
static void long_timeout(pn_auth_config *c)
{
    c->timeout_us = PN_AUTH_TIMEOUT_MAX_US + 1;
}
static void longest_timeout(pn_auth_config *c)
{
    c->timeout_us = PN_AUTH_TIMEOUT_MAX_US;
}
static void long_window(pn_auth_config *c)
{
    c->window_ms = PN_AUTH_WINDOW_MAX_MS + 1;
}
static void longest_window(pn_auth_config *c)
{
    c->window_ms = PN_AUTH_WINDOW_MAX_MS;
}
static void no_mode(pn_auth_config *c)
{
    c->mode = (pn_auth_mode)2;
}
static void no_name(pn_auth_config *c)
{
    c->name = "alpha";
}
static void no_dialled(pn_auth_config *c)
{
    c->dialled_name = "a b@c";
}
static void dials_itself(pn_auth_config *c)
{
    c->dialled_name = c->name;
}

static const refusal refusals[] = {
    {"no_deadline", no_end, "there is always one"},
    {"timeout_above", long_timeout, "at most 120 seconds"},
    {"timeout_most", longest_timeout, NULL},
    {"window_above", long_window, "at most 600 seconds"},
    {"window_most", longest_window, NULL},
    {"no_authentication", no_mode, "cannot be left out"},
    {"own_name", no_name, "NAME@HOST"},
    {"dialled_name", no_dialled, "NAME@HOST"},
    {"itself", dials_itself, "another node"},
};

static void test_refusal(void **state)
{
    const refusal *r = *state;
    const char *why = NULL;
    end e;

    end_init(&e, true);
    r->change(&e.config);
    if (r->says == NULL) {
        end_start(&e);
        end_fini(&e);
        return;
    }
    assert_int_equal(pn_auth_new(&e.config, NOW_US, &e.auth, &why), PN_INVALID);
    assert_non_null(strstr(why, r->says));
}

static void test_no_binding(void **state)
{
    end e;

    end_init(&e, *(const bool *)*state);
    e.config.binding = NULL;
    end_start(&e);
    assert_failed(&e, PN_AUTH_REASON_CHANNEL_BINDING_FAILED);
    assert_int_equal(pn_auth_output(e.auth).len, 0);
    end_fini(&e);
}

static void test_no_random(void **state)
{
    uint8_t bytes[600];
    end e;
    end peer;

    end_init(&e, *(const bool *)*state);
    end_init(&peer, !*(const bool *)*state);
    e.no_random = true;
    end_start(&e);
    hear(&e, bytes, hello(&e, &peer, bytes));
    assert_failed(&e, PN_AUTH_REASON_SYSTEM);
    end_fini(&e);
}

static void test_reset(void **state)
{
    end e;

    end_init(&e, *(const bool *)*state);
    end_start(&e);
    pn_auth_reset(e.auth);
    assert_failed(&e, PN_AUTH_REASON_STREAM_RESET);
    end_fini(&e);
}

/* B1, as it worked on upstream: our key in its HELLO, our challenge back, our
 * signature over it back. Each of the three is refused by itself; with the
 * key's check gone the nonce's still stands (see the mutants). */
static void test_echo_attack(void **state)
{
    uint8_t bytes[600];
    pn_slice said;
    end b;
    end eve;

    (void)state;
    end_init(&b, false);
    end_init(&eve, true);
    b.config.mode = PN_AUTH_TOFU;
    b.pin = PN_AUTH_PIN_ABSENT;
    end_start(&b);
    hear(&b, bytes, own_key(&b, &eve, bytes));
    said = pn_auth_output(b.auth);
    if (said.len > 0) {
        read_challenge(&b);
        hear(&b, bytes, echoed(&b, &eve, bytes));
        said = pn_auth_output(b.auth);
        hear(&b, said.data + said.len - 67, 67);
    }
    assert_int_equal(pn_auth_outcome_of(b.auth), PN_AUTH_FAILED);
    assert_int_equal(b.n_added, 0);
    end_fini(&b);
}

int main(void)
{
    static bool roles[] = {false, true};
    static pairing pairings[] = {
        {"strict_pinned", PN_AUTH_STRICT, PN_AUTH_PIN_EQUAL, 0},
        {"tofu_pinned", PN_AUTH_TOFU, PN_AUTH_PIN_EQUAL, 0},
        {"tofu_new", PN_AUTH_TOFU, PN_AUTH_PIN_ABSENT, 1},
    };
    static verdict verdicts[] = {
        {"responder_strict_new", false, PN_AUTH_STRICT, PN_AUTH_PIN_ABSENT,
            PN_AUTH_REASON_UNTRUSTED_KEY, "untrusted_key"},
        {"responder_strict_differs", false, PN_AUTH_STRICT, PN_AUTH_PIN_DIFFERS,
            PN_AUTH_REASON_KEY_MISMATCH, "key_mismatch"},
        {"responder_tofu_differs", false, PN_AUTH_TOFU, PN_AUTH_PIN_DIFFERS,
            PN_AUTH_REASON_KEY_MISMATCH, "key_mismatch"},
        {"initiator_strict_new", true, PN_AUTH_STRICT, PN_AUTH_PIN_ABSENT,
            PN_AUTH_REASON_UNTRUSTED_KEY, NULL},
        {"initiator_strict_differs", true, PN_AUTH_STRICT, PN_AUTH_PIN_DIFFERS,
            PN_AUTH_REASON_KEY_MISMATCH, NULL},
        {"initiator_tofu_differs", true, PN_AUTH_TOFU, PN_AUTH_PIN_DIFFERS,
            PN_AUTH_REASON_KEY_MISMATCH, NULL},
    };
    static skew_row skews[] = {{0, true}, {29000, true}, {-29000, true},
        {31000, true}, {-31000, true}, {59000, true}, {-59000, true},
        {59999, true}, {60000, true}, {60001, false}, {-59999, true},
        {-60000, true}, {-60001, false}, {61000, false}, {-61000, false},
        {3600000, false}, {-3600000, false}};
    static uint64_t windows[] = {0, 1, PN_US_PER_S};

    for (size_t i = 0; i < 2; i++) {
        const char *role = roles[i] ? "initiator" : "responder";

        pn_test_addf(test_transcript, &roles[i], "barrel/transcript/%s", role);
        pn_test_addf(test_transcript_prefixes, &roles[i],
            "barrel/transcript/prefixes/%s", role);
        pn_test_addf(
            test_pin_not_kept, &roles[i], "barrel/t37/pin_not_kept/%s", role);
        pn_test_addf(test_deadline, &roles[i], "barrel/deadline/%s", role);
        pn_test_addf(test_no_binding, &roles[i], "barrel/no_binding/%s", role);
        pn_test_addf(test_no_random, &roles[i], "barrel/no_random/%s", role);
        pn_test_addf(test_reset, &roles[i], "barrel/reset/%s", role);
    }
    for (size_t i = 0; i < sizeof(pairings) / sizeof(pairings[0]); i++) {
        pn_test_addf(
            test_both, &pairings[i], "barrel/both/%s", pairings[i].name);
    }
    pn_test_add(
        "barrel/cookie_only/pinned_there", test_cookie_only_pinned_there, NULL);
    pn_test_add(
        "barrel/cookie_only/pinned_here", test_cookie_only_pinned_here, NULL);
    pn_test_add("barrel/both/splits", test_splits, NULL);
    pn_test_add("barrel/t36/responder_is_last", test_responder_is_last, NULL);
    for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++) {
        pn_test_addf(
            test_verdict, &verdicts[i], "barrel/trust/%s", verdicts[i].name);
    }
    pn_test_add(
        "barrel/cookie_only/responder", test_cookie_only_responder, NULL);
    pn_test_add("barrel/cookie_only/both", test_cookie_only_both, NULL);
    for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
        pn_test_addf(test_attack, (void *)(uintptr_t)&attacks[i],
            "barrel/bad9/%s/%s",
            attacks[i].on_initiator ? "initiator" : "responder",
            attacks[i].name);
    }
    pn_test_add("barrel/t34/echo_attack", test_echo_attack, NULL);
    for (size_t i = 0; i < sizeof(skews) / sizeof(skews[0]); i++) {
        pn_test_addf(test_skew, &skews[i], "barrel/skew/%lld_ms",
            (long long)skews[i].skew_ms);
    }
    for (size_t i = 0; i < 3; i++) {
        pn_test_addf(test_response_window, &windows[i],
            "barrel/response_window/%llu_us_over",
            (unsigned long long)windows[i]);
    }
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        pn_test_addf(test_refusal, (void *)(uintptr_t)&refusals[i],
            "barrel/refused/%s", refusals[i].name);
    }
    return pn_test_run("barrel/auth");
}

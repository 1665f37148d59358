/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The authentication engine: both roles against each other in any pieces, and
 * against a peer that violates the protocol (BAD-9, T34, T36, T37).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth_end.h"
#include "base/bytes.h"

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
    auth_end a;
    auth_end b;

    auth_end_init(&a, true);
    auth_end_init(&b, false);
    a.config.mode = b.config.mode = p->mode;
    a.pin = b.pin = p->pin;
    auth_end_start(&a);
    auth_end_start(&b);
    for (int i = 0; i < 6; i++) {
        auth_pass(&a, &b, SIZE_MAX);
        auth_pass(&b, &a, SIZE_MAX);
    }
    auth_assert_done(&a, &b);
    auth_assert_done(&b, &a);
    assert_int_equal(a.n_added, p->n_added);
    assert_int_equal(b.n_added, p->n_added);
    auth_end_fini(&a);
    auth_end_fini(&b);
}

/* Split anywhere, one side ahead of the other by any number of bytes. */
static void test_splits(void **state)
{
    uint64_t seed = 7;

    (void)state;
    for (int round = 0; round < 200; round++) {
        auth_end a;
        auth_end b;

        auth_end_init(&a, true);
        auth_end_init(&b, false);
        a.seed = pn_test_random(&seed);
        b.seed = pn_test_random(&seed);
        auth_end_start(&a);
        auth_end_start(&b);
        for (int i = 0; i < 5000
                        && (pn_auth_outcome_of(a.auth) == PN_AUTH_RUNNING
                            || pn_auth_outcome_of(b.auth) == PN_AUTH_RUNNING);
             i++) {
            uint64_t draw = pn_test_random(&seed);

            auth_pass(
                draw & 1 ? &a : &b, draw & 1 ? &b : &a, 1 + draw / 2 % 60);
        }
        auth_assert_done(&a, &b);
        auth_assert_done(&b, &a);
        auth_end_fini(&a);
        auth_end_fini(&b);
    }
}

/* A responder signs nothing before the initiator has proven its key, and
 * reports no success before the pin is stored. */
static void test_responder_is_last(void **state)
{
    uint8_t bytes[1024];
    auth_end a;
    auth_end b;
    size_t n;

    (void)state;
    auth_end_init(&a, true);
    auth_end_init(&b, false);
    b.config.mode = PN_AUTH_TOFU;
    b.pin = PN_AUTH_PIN_ABSENT;
    auth_end_start(&a);
    auth_end_start(&b);
    auth_pass(&a, &b, SIZE_MAX); /* HELLO */
    auth_pass(
        &b, &a, SIZE_MAX); /* HELLO, CHALLENGE: a answers with both of its */
    n = auth_take(&a, bytes, sizeof(bytes));
    assert_int_equal(n, 43 + 67);
    auth_hear(&b, bytes, 43); /* CHALLENGE alone */
    assert_int_equal(pn_auth_output(b.auth).len, 0);
    auth_hear(&b, bytes + 43, 66);
    assert_int_equal(pn_auth_output(b.auth).len, 0);
    assert_int_equal(b.n_added, 0);
    auth_hear(&b, bytes + 43 + 66, 1);
    assert_int_equal(pn_auth_output(b.auth).len, 67 + 3);
    assert_int_equal(b.n_added, 1);
    assert_int_equal(b.said_when_added, 0);
    auth_assert_done(&b, &a);
    auth_end_fini(&a);
    auth_end_fini(&b);
}

static void test_pin_not_kept(void **state)
{
    bool initiator = *(const bool *)*state;
    auth_end a;
    auth_end b;
    auth_end *e = initiator ? &a : &b;

    auth_end_init(&a, true);
    auth_end_init(&b, false);
    e->config.mode = PN_AUTH_TOFU;
    e->pin = PN_AUTH_PIN_ABSENT;
    e->add_err = PN_BUSY;
    auth_end_start(&a);
    auth_end_start(&b);
    for (int i = 0; i < 6; i++) {
        auth_pass(&a, &b, SIZE_MAX);
        auth_pass(&b, &a, SIZE_MAX);
    }
    auth_assert_failed(e, PN_AUTH_REASON_PIN_NOT_STORED);
    if (!initiator) {
        assert_int_equal(pn_auth_outcome_of(a.auth), PN_AUTH_RUNNING);
    }
    auth_end_fini(&a);
    auth_end_fini(&b);
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
    auth_end e;
    auth_end peer;
    size_t n;

    auth_end_init(&e, v->initiator);
    auth_end_init(&peer, !v->initiator);
    e.config.mode = v->mode;
    e.pin = v->pin;
    auth_end_start(&e);
    (void)auth_take(&e, said, sizeof(said)); /* an initiator's HELLO */
    n = pn_auth_encode_hello(hello,
        (pn_slice){(const uint8_t *)peer.config.name, strlen(peer.config.name)},
        &peer.identity.public_key);
    auth_hear(&e, hello, n);
    auth_assert_failed(&e, v->want);
    if (v->told != NULL) {
        want_len = pn_auth_encode_fail(want, auth_text(v->told));
    }
    n = auth_take(&e, said, sizeof(said));
    pn_assert_bytes(said, n, want, want_len);
    assert_int_equal(e.n_added, 0);
    auth_end_fini(&e);
}

/* ---- cookie only ------------------------------------------------------- */

static const char *const everybody[] = {"*@*"};

static void test_cookie_only_responder(void **state)
{
    uint8_t hello[512];
    auth_end a;
    auth_end b;
    size_t n;

    (void)state;
    auth_end_init(&a, true);
    auth_end_init(&b, false);
    b.config.cookie_only = everybody;
    b.config.n_cookie_only = 1;
    a.pin = b.pin = PN_AUTH_PIN_ABSENT;
    auth_end_start(&a);
    auth_end_start(&b);
    n = auth_take(&a, hello, sizeof(hello));
    auth_hear(&b, hello, n);
    assert_int_equal(pn_auth_outcome_of(b.auth), PN_AUTH_DONE_COOKIE_ONLY);
    assert_null(pn_auth_peer_key(b.auth));
    assert_int_equal(b.n_added, 0);
    /* alpha does not agree. */
    auth_pass(&b, &a, SIZE_MAX);
    auth_assert_failed(&a, PN_AUTH_REASON_UNEXPECTED_OK);
    auth_end_fini(&a);
    auth_end_fini(&b);
}

static void test_cookie_only_both(void **state)
{
    auth_end a;
    auth_end b;

    (void)state;
    auth_end_init(&a, true);
    auth_end_init(&b, false);
    a.config.cookie_only = b.config.cookie_only = everybody;
    a.config.n_cookie_only = b.config.n_cookie_only = 1;
    a.pin = b.pin = PN_AUTH_PIN_ABSENT;
    auth_end_start(&a);
    auth_end_start(&b);
    auth_pass(&a, &b, SIZE_MAX);
    auth_pass(&b, &a, SIZE_MAX);
    assert_int_equal(pn_auth_outcome_of(a.auth), PN_AUTH_DONE_COOKIE_ONLY);
    assert_int_equal(pn_auth_outcome_of(b.auth), PN_AUTH_DONE_COOKIE_ONLY);
    assert_null(pn_auth_peer_key(a.auth));
    auth_end_fini(&a);
    auth_end_fini(&b);
}

/* A name whose key is known is never accepted by a pattern, unlike upstream
 * (D6), because any holder of the cookie could take its place. */
static void test_cookie_only_pinned_there(void **state)
{
    auth_end a;
    auth_end b;

    (void)state;
    auth_end_init(&a, true);
    auth_end_init(&b, false);
    b.config.cookie_only = everybody;
    b.config.n_cookie_only = 1;
    auth_end_start(&a);
    auth_end_start(&b);
    for (int i = 0; i < 3; i++) {
        auth_pass(&a, &b, SIZE_MAX);
        auth_pass(&b, &a, SIZE_MAX);
    }
    assert_int_equal(pn_auth_outcome_of(a.auth), PN_AUTH_DONE);
    assert_int_equal(pn_auth_outcome_of(b.auth), PN_AUTH_DONE);
    auth_end_fini(&a);
    auth_end_fini(&b);
}

static void test_cookie_only_pinned_here(void **state)
{
    auth_end a;
    auth_end b;

    (void)state;
    auth_end_init(&a, true);
    auth_end_init(&b, false);
    a.config.cookie_only = b.config.cookie_only = everybody;
    a.config.n_cookie_only = b.config.n_cookie_only = 1;
    b.pin = PN_AUTH_PIN_ABSENT;
    auth_end_start(&a);
    auth_end_start(&b);
    auth_pass(&a, &b, SIZE_MAX);
    auth_pass(&b, &a, SIZE_MAX);
    auth_assert_failed(&a, PN_AUTH_REASON_UNEXPECTED_OK);
    auth_end_fini(&a);
    auth_end_fini(&b);
}

/* ---- after the end ----------------------------------------------------- */

static void both_done(auth_end *a, auth_end *b, bool is_cookie_only)
{
    auth_end_init(a, true);
    auth_end_init(b, false);
    if (is_cookie_only) {
        a->config.cookie_only = b->config.cookie_only = everybody;
        a->config.n_cookie_only = b->config.n_cookie_only = 1;
        a->pin = b->pin = PN_AUTH_PIN_ABSENT;
    }
    auth_end_start(a);
    auth_end_start(b);
    auth_talk(a, b);
}

static void check_after_end(auth_end *e, pn_auth_outcome outcome)
{
    assert_int_equal(pn_auth_outcome_of(e->auth), outcome);
    pn_auth_input(e->auth, NOW_US, WALL_MS, NULL, 0, false);
    assert_int_equal(pn_auth_outcome_of(e->auth), outcome);
    auth_hear(e, (const uint8_t *)"", 1);
    auth_assert_failed(e, PN_AUTH_REASON_TRAILING_BYTES);
    assert_int_equal(pn_auth_output(e->auth).len, 0);
}

/* One byte is enough, however the end came. */
static void test_more_after_end(void **state)
{
    bool is_cookie_only = *(const bool *)*state;
    pn_auth_outcome outcome = is_cookie_only ? PN_AUTH_DONE_COOKIE_ONLY
                                             : PN_AUTH_DONE;
    auth_end a;
    auth_end b;

    both_done(&a, &b, is_cookie_only);
    check_after_end(&a, outcome);
    check_after_end(&b, outcome);
    auth_end_fini(&a);
    auth_end_fini(&b);
}

/* The peer's stream ends after that, and nothing changes. */
static void test_finished_after_end(void **state)
{
    bool is_cookie_only = *(const bool *)*state;
    auth_end ends[2];

    both_done(&ends[0], &ends[1], is_cookie_only);
    for (size_t i = 0; i < 2; i++) {
        pn_auth_input(ends[i].auth, NOW_US, WALL_MS, NULL, 0, true);
        assert_int_equal(pn_auth_outcome_of(ends[i].auth),
            is_cookie_only ? PN_AUTH_DONE_COOKIE_ONLY : PN_AUTH_DONE);
        auth_end_fini(&ends[i]);
    }
}

/* More bytes behind a HELLO that is enough by itself, from one byte to more
 * than a message can have: refused before success is reported. */
static void test_cookie_only_and_more(void **state)
{
    static const size_t more[] = {1, 2, 43, 600};
    uint8_t bytes[1200] = {0};
    auth_end b;
    auth_end peer;

    (void)state;
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
        size_t n;

        auth_end_init(&b, false);
        auth_end_init(&peer, true);
        b.config.cookie_only = everybody;
        b.config.n_cookie_only = 1;
        b.pin = PN_AUTH_PIN_ABSENT;
        auth_end_start(&b);
        n = auth_peer_hello(&b, &peer, bytes);
        auth_hear(&b, bytes, n + more[i]);
        auth_assert_failed(&b, PN_AUTH_REASON_TRAILING_BYTES);
        assert_int_equal(pn_auth_output(b.auth).len, 0);
        auth_end_fini(&b);
    }
}

/* ---- a hostile peer ---------------------------------------------------- */

typedef struct attack {
    const char *name;
    bool on_initiator; /* the victim's role */
    auth_step at;      /* the message that is not as it should be */
    size_t (*write)(const auth_end *victim, const auth_end *peer, uint8_t *out);
    pn_auth_reason want;
    bool told_signature; /* the responder's FAIL signature_invalid */
} attack;

static size_t own_key(
    const auth_end *victim, const auth_end *peer, uint8_t *out)
{
    return pn_auth_encode_hello(
        out, auth_text(peer->config.name), &victim->identity.public_key);
}

static size_t victims_name(
    const auth_end *victim, const auth_end *peer, uint8_t *out)
{
    return pn_auth_encode_hello(
        out, auth_text(victim->config.name), &peer->identity.public_key);
}

static size_t third_name(
    const auth_end *victim, const auth_end *peer, uint8_t *out)
{
    (void)victim;
    return pn_auth_encode_hello(
        out, auth_text("gamma@127.0.0.1"), &peer->identity.public_key);
}

static size_t version_1(
    const auth_end *victim, const auth_end *peer, uint8_t *out)
{
    size_t n = pn_auth_encode_hello(
        out, auth_text(peer->config.name), &peer->identity.public_key);

    (void)victim;
    out[PN_AUTH_HEADER_LEN + 1] = 1;
    return n;
}

static size_t bad_name(
    const auth_end *victim, const auth_end *peer, uint8_t *out)
{
    (void)victim;
    return pn_auth_encode_hello(
        out, auth_text("../x@y"), &peer->identity.public_key);
}

static size_t late(const auth_end *victim, const auth_end *peer, uint8_t *out)
{
    (void)victim;
    (void)peer;
    return auth_challenge_at(WALL_MS - 60001, out);
}

static size_t early(const auth_end *victim, const auth_end *peer, uint8_t *out)
{
    (void)victim;
    (void)peer;
    return auth_challenge_at(WALL_MS + 60001, out);
}

static size_t endless(
    const auth_end *victim, const auth_end *peer, uint8_t *out)
{
    (void)victim;
    (void)peer;
    return auth_challenge_at(UINT64_MAX, out);
}

static size_t echoed(const auth_end *victim, const auth_end *peer, uint8_t *out)
{
    (void)victim;
    (void)peer;
    return pn_auth_encode_challenge(out, &victim->challenge);
}

static size_t other_binding(
    const auth_end *victim, const auth_end *peer, uint8_t *out)
{
    uint8_t binding[PN_AUTH_BINDING_LEN] = {1};

    (void)victim;
    return auth_signed_by(&peer->identity, &peer->identity.public_key, binding,
        &victim->challenge, out);
}

static size_t other_nonce(
    const auth_end *victim, const auth_end *peer, uint8_t *out)
{
    pn_auth_challenge c = victim->challenge;

    c.nonce[31] ^= 1;
    return auth_signed_by(
        &peer->identity, &peer->identity.public_key, victim->binding, &c, out);
}

static size_t other_time(
    const auth_end *victim, const auth_end *peer, uint8_t *out)
{
    pn_auth_challenge c = victim->challenge;

    c.wall_ms++;
    return auth_signed_by(
        &peer->identity, &peer->identity.public_key, victim->binding, &c, out);
}

static size_t other_key(
    const auth_end *victim, const auth_end *peer, uint8_t *out)
{
    auth_end third = {0};

    auth_end_key(&third, 0x99);
    return auth_signed_by(&third.identity, &peer->identity.public_key,
        victim->binding, &victim->challenge, out);
}

/* Signatures of the victim itself for this connection: neither is the
 * peer's. */
static size_t victims_signature(
    const auth_end *victim, const auth_end *peer, uint8_t *out)
{
    (void)peer;
    return auth_signed_by(&victim->identity, &victim->identity.public_key,
        victim->binding, &victim->challenge, out);
}

static size_t zeros(const auth_end *victim, const auth_end *peer, uint8_t *out)
{
    uint8_t signature[PN_SIGNATURE_LEN] = {0};

    (void)victim;
    (void)peer;
    return pn_auth_encode_response(out, signature);
}

static size_t failing(
    const auth_end *victim, const auth_end *peer, uint8_t *out)
{
    (void)victim;
    (void)peer;
    return pn_auth_encode_fail(out, auth_text("key_mismatch"));
}

static size_t empty(const auth_end *victim, const auth_end *peer, uint8_t *out)
{
    (void)victim;
    (void)peer;
    memset(out, 0, PN_AUTH_HEADER_LEN);
    return PN_AUTH_HEADER_LEN;
}

static size_t unknown(
    const auth_end *victim, const auth_end *peer, uint8_t *out)
{
    (void)victim;
    (void)peer;
    memcpy(out, "\0\1\6", 3);
    return 3;
}

static size_t too_long(
    const auth_end *victim, const auth_end *peer, uint8_t *out)
{
    (void)victim;
    (void)peer;
    pn_store_be16(out, PN_AUTH_MESSAGE_MAX + 1);
    return PN_AUTH_HEADER_LEN; /* the length alone is enough */
}

static size_t response_and_more(
    const auth_end *victim, const auth_end *peer, uint8_t *out)
{
    size_t n = auth_peer_response(victim, peer, out);

    out[n] = 0;
    return n + 1;
}

static size_t ok_and_more(
    const auth_end *victim, const auth_end *peer, uint8_t *out)
{
    size_t n = auth_peer_ok(victim, peer, out);

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
    BOTH("own_key", AUTH_AT_HELLO, own_key, OWN_KEY),
    BOTH("own_name", AUTH_AT_HELLO, victims_name, OWN_NAME),
    {"another_name_than_dialled", true, AUTH_AT_HELLO, third_name,
        PN_AUTH_REASON_NAME_MISMATCH, false},
    BOTH("version_1", AUTH_AT_HELLO, version_1, BAD_MESSAGE),
    BOTH("bad_name", AUTH_AT_HELLO, bad_name, BAD_MESSAGE),
    BOTH("challenge_first", AUTH_AT_HELLO, auth_peer_challenge,
        UNEXPECTED_MESSAGE),
    BOTH("response_first", AUTH_AT_HELLO, auth_peer_response,
        UNEXPECTED_MESSAGE),
    {"ok_first", false, AUTH_AT_HELLO, auth_peer_ok,
        PN_AUTH_REASON_UNEXPECTED_MESSAGE, false},
    {"ok_first", true, AUTH_AT_HELLO, auth_peer_ok,
        PN_AUTH_REASON_UNEXPECTED_OK, false},
    BOTH("fail_first", AUTH_AT_HELLO, failing, REJECTED),
    BOTH("empty_first", AUTH_AT_HELLO, empty, BAD_MESSAGE),
    BOTH("unknown_first", AUTH_AT_HELLO, unknown, BAD_MESSAGE),
    BOTH("too_long_first", AUTH_AT_HELLO, too_long, MESSAGE_TOO_LONG),
    /* the challenge */
    BOTH("echoed_challenge", AUTH_AT_CHALLENGE, echoed, OWN_NONCE),
    BOTH("late", AUTH_AT_CHALLENGE, late, PEER_TS_SKEW),
    BOTH("early", AUTH_AT_CHALLENGE, early, PEER_TS_SKEW),
    BOTH("endless", AUTH_AT_CHALLENGE, endless, PEER_TS_SKEW),
    BOTH("hello_again", AUTH_AT_CHALLENGE, auth_peer_hello, UNEXPECTED_MESSAGE),
    BOTH("response_too_soon", AUTH_AT_CHALLENGE, auth_peer_response,
        UNEXPECTED_MESSAGE),
    BOTH("ok_too_soon", AUTH_AT_CHALLENGE, auth_peer_ok, UNEXPECTED_MESSAGE),
    BOTH("fail_second", AUTH_AT_CHALLENGE, failing, REJECTED),
    BOTH("empty_second", AUTH_AT_CHALLENGE, empty, BAD_MESSAGE),
    BOTH("too_long_second", AUTH_AT_CHALLENGE, too_long, MESSAGE_TOO_LONG),
    /* the response */
    {"other_binding", false, AUTH_AT_RESPONSE, other_binding,
        PN_AUTH_REASON_SIGNATURE_INVALID, true},
    {"other_binding", true, AUTH_AT_RESPONSE, other_binding,
        PN_AUTH_REASON_SIGNATURE_INVALID, false},
    {"other_nonce", false, AUTH_AT_RESPONSE, other_nonce,
        PN_AUTH_REASON_SIGNATURE_INVALID, true},
    {"other_nonce", true, AUTH_AT_RESPONSE, other_nonce,
        PN_AUTH_REASON_SIGNATURE_INVALID, false},
    {"other_time", false, AUTH_AT_RESPONSE, other_time,
        PN_AUTH_REASON_SIGNATURE_INVALID, true},
    {"other_time", true, AUTH_AT_RESPONSE, other_time,
        PN_AUTH_REASON_SIGNATURE_INVALID, false},
    {"other_key", false, AUTH_AT_RESPONSE, other_key,
        PN_AUTH_REASON_SIGNATURE_INVALID, true},
    {"other_key", true, AUTH_AT_RESPONSE, other_key,
        PN_AUTH_REASON_SIGNATURE_INVALID, false},
    {"victims_signature", false, AUTH_AT_RESPONSE, victims_signature,
        PN_AUTH_REASON_SIGNATURE_INVALID, true},
    {"victims_signature", true, AUTH_AT_RESPONSE, victims_signature,
        PN_AUTH_REASON_SIGNATURE_INVALID, false},
    {"zeros", false, AUTH_AT_RESPONSE, zeros, PN_AUTH_REASON_SIGNATURE_INVALID,
        true},
    {"zeros", true, AUTH_AT_RESPONSE, zeros, PN_AUTH_REASON_SIGNATURE_INVALID,
        false},
    BOTH("challenge_again", AUTH_AT_RESPONSE, auth_peer_challenge,
        UNEXPECTED_MESSAGE),
    BOTH("hello_third", AUTH_AT_RESPONSE, auth_peer_hello, UNEXPECTED_MESSAGE),
    BOTH("ok_third", AUTH_AT_RESPONSE, auth_peer_ok, UNEXPECTED_MESSAGE),
    BOTH("fail_third", AUTH_AT_RESPONSE, failing, REJECTED),
    BOTH("unknown_third", AUTH_AT_RESPONSE, unknown, BAD_MESSAGE),
    BOTH("too_long_third", AUTH_AT_RESPONSE, too_long, MESSAGE_TOO_LONG),
    {"response_and_more", false, AUTH_AT_RESPONSE, response_and_more,
        PN_AUTH_REASON_TRAILING_BYTES, false},
    /* the last one, which only an initiator hears */
    {"response_again", true, AUTH_AT_LAST, auth_peer_response,
        PN_AUTH_REASON_UNEXPECTED_MESSAGE, false},
    {"fail_last", true, AUTH_AT_LAST, failing, PN_AUTH_REASON_REJECTED, false},
    {"ok_and_more", true, AUTH_AT_LAST, ok_and_more,
        PN_AUTH_REASON_TRAILING_BYTES, false},
    {"hello_last", true, AUTH_AT_LAST, auth_peer_hello,
        PN_AUTH_REASON_UNEXPECTED_MESSAGE, false},
};

/* Right messages change nothing any more. */
static void hear_too_late(auth_end *victim, const auth_end *peer)
{
    uint8_t out[600];
    pn_auth_reason reason = pn_auth_reason_of(victim->auth);

    auth_hear(victim, out, auth_peer_hello(victim, peer, out));
    auth_hear(victim, out, auth_peer_challenge(victim, peer, out));
    auth_hear(victim, out, auth_peer_response(victim, peer, out));
    auth_hear(victim, out, auth_peer_ok(victim, peer, out));
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
    auth_end victim;
    auth_end peer;

    auth_end_init(&victim, a->on_initiator);
    auth_end_init(&peer, !a->on_initiator);
    /* Every name and key counts as pinned, so that trust does not stop the
     * attack. */
    victim.config.mode = PN_AUTH_TOFU;
    auth_end_start(&victim);
    auth_hear_honest(&victim, &peer, a->at);
    before = pn_auth_output(victim.auth).len;
    auth_hear(&victim, bytes, a->write(&victim, &peer, bytes));
    auth_assert_failed(&victim, a->want);
    assert_int_equal(victim.n_added, 0);
    said = pn_auth_output(victim.auth);
    if (a->told_signature) {
        n = pn_auth_encode_fail(fail, auth_text("signature_invalid"));
    }
    pn_assert_bytes(said.data + before, said.len - before, fail, n);
    hear_too_late(&victim, &peer);
    auth_end_fini(&victim);
}

/* ---- invalid configurations -------------------------------------------- */

typedef struct refusal {
    const char *name;
    void (*change)(pn_auth_config *c);
    bool is_fine;
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
    {"no_deadline", no_end, false},
    {"timeout_above", long_timeout, false},
    {"timeout_most", longest_timeout, true},
    {"window_above", long_window, false},
    {"window_most", longest_window, true},
    {"no_authentication", no_mode, false},
    {"own_name", no_name, false},
    {"dialled_name", no_dialled, false},
    {"itself", dials_itself, false},
};

static void test_refusal(void **state)
{
    const refusal *r = *state;
    auth_end e;

    auth_end_init(&e, true);
    r->change(&e.config);
    if (r->is_fine) {
        auth_end_start(&e);
        auth_end_fini(&e);
        return;
    }
    assert_int_equal(pn_auth_new(&e.config, NOW_US, &e.auth), PN_INVALID);
}

static void test_no_binding(void **state)
{
    auth_end e;

    auth_end_init(&e, *(const bool *)*state);
    e.config.binding = NULL;
    auth_end_start(&e);
    auth_assert_failed(&e, PN_AUTH_REASON_CHANNEL_BINDING_FAILED);
    assert_int_equal(pn_auth_output(e.auth).len, 0);
    auth_end_fini(&e);
}

static void test_no_random(void **state)
{
    uint8_t bytes[600];
    auth_end e;
    auth_end peer;

    auth_end_init(&e, *(const bool *)*state);
    auth_end_init(&peer, !*(const bool *)*state);
    e.no_random = true;
    auth_end_start(&e);
    auth_hear(&e, bytes, auth_peer_hello(&e, &peer, bytes));
    auth_assert_failed(&e, PN_AUTH_REASON_SYSTEM);
    auth_end_fini(&e);
}

static void test_reset(void **state)
{
    auth_end e;

    auth_end_init(&e, *(const bool *)*state);
    auth_end_start(&e);
    pn_auth_reset(e.auth);
    auth_assert_failed(&e, PN_AUTH_REASON_STREAM_RESET);
    auth_end_fini(&e);
}

/* B1, as it worked on upstream: our key in its HELLO, our challenge back, our
 * signature over it back. Each of the three is refused by itself; with the
 * key's check gone the nonce's still stands (see the mutants). */
static void test_echo_attack(void **state)
{
    uint8_t bytes[600];
    pn_slice said;
    auth_end b;
    auth_end eve;

    (void)state;
    auth_end_init(&b, false);
    auth_end_init(&eve, true);
    b.config.mode = PN_AUTH_TOFU;
    b.pin = PN_AUTH_PIN_ABSENT;
    auth_end_start(&b);
    auth_hear(&b, bytes, own_key(&b, &eve, bytes));
    said = pn_auth_output(b.auth);
    if (said.len > 0) {
        auth_read_challenge(&b);
        auth_hear(&b, bytes, echoed(&b, &eve, bytes));
        said = pn_auth_output(b.auth);
        auth_hear(&b, said.data + said.len - 67, 67);
    }
    assert_int_equal(pn_auth_outcome_of(b.auth), PN_AUTH_FAILED);
    assert_int_equal(b.n_added, 0);
    auth_end_fini(&b);
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

    for (size_t i = 0; i < 2; i++) {
        const char *role = roles[i] ? "initiator" : "responder";

        pn_test_addf(
            test_pin_not_kept, &roles[i], "barrel/t37/pin_not_kept/%s", role);
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
    pn_test_add("barrel/cookie_only/and_more", test_cookie_only_and_more, NULL);
    for (size_t i = 0; i < 2; i++) {
        const char *how = roles[i] ? "cookie_only" : "proven";

        pn_test_addf(
            test_more_after_end, &roles[i], "barrel/after_end/more/%s", how);
        pn_test_addf(test_finished_after_end, &roles[i],
            "barrel/after_end/finished/%s", how);
    }
    for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
        pn_test_addf(test_attack, (void *)(uintptr_t)&attacks[i],
            "barrel/bad9/%s/%s",
            attacks[i].on_initiator ? "initiator" : "responder",
            attacks[i].name);
    }
    pn_test_add("barrel/t34/echo_attack", test_echo_attack, NULL);
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        pn_test_addf(test_refusal, (void *)(uintptr_t)&refusals[i],
            "barrel/refused/%s", refusals[i].name);
    }
    return pn_test_run("barrel/auth");
}

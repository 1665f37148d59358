/* SPDX-License-Identifier: Apache-2.0 */
/* The authentication engine against recordings of upstream: its transcript byte
 * for byte, and its refusals. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth_end.h"
#include "base/bytes.h"

static json_t *vectors;

static double number(const json_t *row, const char *key)
{
    const json_t *value = json_object_get(row, key);

    assert_true(json_is_number(value));
    return json_number_value(value);
}

/* ---- the transcript ---------------------------------------------------- */

typedef struct transcript {
    uint8_t *client;
    size_t client_len;
    uint8_t *server;
    size_t server_len;
} transcript;

static void transcript_load(transcript *t, auth_end *e, bool initiator)
{
    const json_t *row = json_object_get(vectors, "transcript_tofu_ok");
    const uint8_t *challenge;

    t->client = pn_json_hex(row, "client_stream_2", &t->client_len);
    t->server = pn_json_hex(row, "server_stream_3", &t->server_len);
    auth_end_init(e, initiator);
    pn_json_hex_n(row, "cert_binding", e->binding, PN_AUTH_BINDING_LEN);
    /* The nonce is in the second message of the end that made it. */
    challenge = initiator ? t->client + 2 + pn_load_be16(t->client)
                          : t->server + 2 + pn_load_be16(t->server);
    memcpy(e->nonce, challenge + 3, PN_AUTH_NONCE_LEN);
    e->has_nonce = true;
    e->config.mode = PN_AUTH_TOFU;
    e->pin = PN_AUTH_PIN_ABSENT;
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
    auth_end e;
    pn_slice said;
    uint64_t wall;

    transcript_load(&t, &e, initiator);
    wall = challenge_time(initiator ? t.client : t.server);
    auth_end_start(&e);
    pn_auth_input(e.auth, NOW_US, wall, initiator ? t.server : t.client,
        initiator ? t.server_len : t.client_len, true);
    assert_int_equal(pn_auth_outcome_of(e.auth), PN_AUTH_DONE);
    said = pn_auth_output(e.auth);
    pn_assert_bytes(said.data, said.len, initiator ? t.client : t.server,
        initiator ? t.client_len : t.server_len);
    assert_int_equal(e.n_added, 1);
    auth_end_fini(&e);
    free(t.client);
    free(t.server);
}

/* Every prefix of the peer's stream: not done, and an end of it fails. */
static void test_transcript_prefixes(void **state)
{
    bool initiator = *(const bool *)*state;
    transcript t;
    auth_end e;

    transcript_load(&t, &e, initiator);
    for (size_t n = 0; n < (initiator ? t.server_len : t.client_len); n++) {
        uint64_t wall = challenge_time(initiator ? t.client : t.server);
        auth_end one = e;

        one.env.user = &one;
        one.config.env = &one.env;
        one.config.identity = &one.identity;
        one.config.binding = one.binding;
        one.config.pins_user = &one;
        auth_end_start(&one);
        pn_auth_input(
            one.auth, NOW_US, wall, initiator ? t.server : t.client, n, false);
        assert_int_equal(pn_auth_outcome_of(one.auth), PN_AUTH_RUNNING);
        pn_auth_input(one.auth, NOW_US, wall, NULL, 0, true);
        auth_assert_failed(&one, PN_AUTH_REASON_STREAM_FINISHED);
        assert_int_equal(one.n_added, 0);
        auth_end_fini(&one);
    }
    auth_end_fini(&e);
    free(t.client);
    free(t.server);
}

/* ---- signatures that are not good ---------------------------------------- */

/* beta answers the recorded client, with its bytes or its conditions
 * changed. */
typedef struct session {
    auth_end e;
    transcript t;
    uint64_t wall_ms;
    uint64_t age_us; /* of beta's challenge when the signature comes */
} session;

static void session_init(session *s)
{
    transcript_load(&s->t, &s->e, false);
    s->wall_ms = challenge_time(s->t.server);
    s->age_us = 0;
}

static uint8_t *session_response(session *s)
{
    return s->t.client + s->t.client_len - (PN_AUTH_HEADER_LEN + 65);
}

static void flip_signature(session *s)
{
    session_response(s)[PN_AUTH_HEADER_LEN + 1 + 20] ^= 1;
}
static void other_nonce(session *s)
{
    s->e.nonce[0] ^= 1;
}
static void later_challenge(session *s)
{
    s->wall_ms++;
}
static void other_key(session *s)
{
    size_t len = PN_AUTH_HEADER_LEN + pn_load_be16(s->t.client);
    auth_end third = {0};

    auth_end_key(&third, 0x99);
    memcpy(s->t.client + len - PN_KEY_LEN, third.identity.public_key.bytes,
        PN_KEY_LEN);
}
static void flip_binding(session *s)
{
    s->e.binding[0] ^= 1;
}
/* The engine takes 32 bytes or none: one byte less is another last byte. */
static void short_binding(session *s)
{
    s->e.binding[PN_AUTH_BINDING_LEN - 1] = 0;
}
static void short_signature(session *s)
{
    pn_store_be16(session_response(s), 64);
    s->t.client_len--;
}
static void inside_window(session *s)
{
    s->age_us = 29 * PN_US_PER_S;
}
static void outside_window(session *s)
{
    s->age_us = 30500 * PN_US_PER_MS;
}

static const struct {
    const char *what;
    void (*change)(session *s);
    pn_auth_reason want;
} negatives[] = {
    {"bit flipped in signature", flip_signature,
        PN_AUTH_REASON_SIGNATURE_INVALID},
    {"other nonce", other_nonce, PN_AUTH_REASON_SIGNATURE_INVALID},
    {"ts+1", later_challenge, PN_AUTH_REASON_SIGNATURE_INVALID},
    {"other public key", other_key, PN_AUTH_REASON_SIGNATURE_INVALID},
    {"binding bit flipped", flip_binding, PN_AUTH_REASON_SIGNATURE_INVALID},
    {"31-byte binding", short_binding, PN_AUTH_REASON_SIGNATURE_INVALID},
    {"63-byte signature", short_signature, PN_AUTH_REASON_BAD_MESSAGE},
    {"elapsed 29000 ms (window 30000)", inside_window, PN_AUTH_REASON_NONE},
    {"elapsed 30500 ms (window 30000)", outside_window,
        PN_AUTH_REASON_SIGNATURE_INVALID},
};

/* No success is reported, and the failure is only that the signature is bad. */
static void check_refused(const auth_end *e, pn_auth_reason want)
{
    pn_slice said = pn_auth_output(e->auth);
    size_t before = 2 * PN_AUTH_HEADER_LEN + pn_load_be16(said.data) + 41;
    uint8_t fail[64];
    size_t n = want == PN_AUTH_REASON_SIGNATURE_INVALID
                   ? pn_auth_encode_fail(fail, auth_text("signature_invalid"))
                   : 0;

    auth_assert_failed(e, want);
    assert_int_equal(e->n_added, 0);
    assert_true(said.len >= before);
    pn_assert_bytes(said.data + before, said.len - before, fail, n);
    if (want == PN_AUTH_REASON_BAD_MESSAGE) {
        assert_int_equal(
            pn_auth_decoded_of(e->auth), PN_AUTH_INVALID_RESPONSE_PAYLOAD);
    }
}

static void test_negative(void **state)
{
    const json_t *row = *state;
    const char *what = pn_json_string(row, "what");
    size_t i = 0;
    size_t first;
    session s;

    while (i < sizeof(negatives) / sizeof(negatives[0])
           && strcmp(negatives[i].what, what) != 0) {
        i++;
    }
    if (i == sizeof(negatives) / sizeof(negatives[0])) {
        fail_msg("what is \"%s\"?", what);
        return;
    }
    session_init(&s);
    first = s.t.client_len - (PN_AUTH_HEADER_LEN + 65);
    negatives[i].change(&s);
    s.e.config.timeout_us = PN_AUTH_TIMEOUT_MAX_US;
    auth_end_start(&s.e);
    pn_auth_input(s.e.auth, NOW_US, s.wall_ms, s.t.client, first, false);
    assert_int_equal(pn_auth_outcome_of(s.e.auth), PN_AUTH_RUNNING);
    pn_auth_input(s.e.auth, NOW_US + s.age_us, s.wall_ms, s.t.client + first,
        s.t.client_len - first, false);
    assert_int_equal(pn_auth_outcome_of(s.e.auth) == PN_AUTH_DONE,
        json_is_true(json_object_get(row, "verify")));
    if (negatives[i].want != PN_AUTH_REASON_NONE) {
        check_refused(&s.e, negatives[i].want);
    }
    auth_end_fini(&s.e);
    free(s.t.client);
    free(s.t.server);
}

/* With an invalid binding upstream signs nothing, and neither do we: not even
 * name and key are sent. */
static void test_sign_with_bad_binding(void **state)
{
    const json_t *all = json_object_get(vectors, "signature");
    bool initiator = *(const bool *)*state;
    transcript t;
    auth_end e;

    assert_string_equal(pn_json_string(all, "sign_with_bad_binding"),
        "{error,invalid_binding}");
    transcript_load(&t, &e, initiator);
    e.config.binding = NULL;
    auth_end_start(&e);
    auth_hear(&e, initiator ? t.server : t.client,
        initiator ? t.server_len : t.client_len);
    auth_assert_failed(&e, PN_AUTH_REASON_CHANNEL_BINDING_FAILED);
    assert_int_equal(pn_auth_output(e.auth).len, 0);
    auth_end_fini(&e);
    free(t.client);
    free(t.server);
}

/* The recorded pair of binding and certificate is the transcript's. */
static void test_binding(void **state)
{
    const json_t *all = json_object_get(vectors, "signature");
    const json_t *row = json_object_get(vectors, "transcript_tofu_ok");

    (void)state;
    assert_string_equal(
        pn_json_string(all, "binding"), pn_json_string(row, "cert_binding"));
}

/* ---- the peer's clock ---------------------------------------------------- */

static void check_peer_ts(const json_t *row, bool initiator)
{
    const json_t *all = json_object_get(vectors, "peer_ts");
    double skew_ms = number(row, "skew_ms");
    bool is_fine = strcmp(pn_json_string(row, "result"), "ok") == 0;
    uint8_t bytes[600];
    auth_end victim;
    auth_end peer;

    if (!is_fine) {
        assert_string_equal(
            pn_json_string(row, "result"), "{error,peer_ts_skew}");
    }
    auth_end_init(&victim, initiator);
    auth_end_init(&peer, !initiator);
    victim.config.window_ms = (uint64_t)number(all, "window_ms");
    assert_true(
        number(all, "accepted_abs_skew_ms") == number(all, "window_ms") * 2);
    auth_end_start(&victim);
    auth_hear_honest(&victim, &peer, AUTH_AT_CHALLENGE);
    auth_hear(&victim, bytes,
        auth_challenge_at(
            (uint64_t)((int64_t)WALL_MS + (int64_t)skew_ms), bytes));
    if (is_fine) {
        assert_int_equal(pn_auth_outcome_of(victim.auth), PN_AUTH_RUNNING);
    } else {
        auth_assert_failed(&victim, PN_AUTH_REASON_PEER_TS_SKEW);
    }
    auth_end_fini(&victim);
}

static void test_peer_ts_responder(void **state)
{
    check_peer_ts(*state, false);
}
static void test_peer_ts_initiator(void **state)
{
    check_peer_ts(*state, true);
}

static void add_rows(json_t *rows, const char *name, CMUnitTestFunction run)
{
    size_t i;
    json_t *row;

    if (json_array_size(rows) == 0) {
        fprintf(stderr, "barrel.json has no %s\n", name);
        exit(99);
    }
    json_array_foreach(rows, i, row)
    {
        pn_test_addf(run, row, "barrel/%s/%zu", name, i);
    }
}

int main(void)
{
    static bool roles[] = {false, true};
    json_t *peer_ts;
    int result;

    vectors = pn_vectors_as("barrel.json", JSON_DECODE_INT_AS_REAL);
    for (size_t i = 0; i < 2; i++) {
        const char *role = roles[i] ? "initiator" : "responder";

        pn_test_addf(test_transcript, &roles[i], "barrel/transcript/%s", role);
        pn_test_addf(test_transcript_prefixes, &roles[i],
            "barrel/transcript/prefixes/%s", role);
        pn_test_addf(test_sign_with_bad_binding, &roles[i],
            "barrel/signature/sign_with_bad_binding/%s", role);
    }
    add_rows(json_object_get(json_object_get(vectors, "signature"), "negative"),
        "signature/negative", test_negative);
    pn_test_add("barrel/signature/binding", test_binding, NULL);
    peer_ts = json_object_get(json_object_get(vectors, "peer_ts"), "cases");
    add_rows(peer_ts, "peer_ts/responder", test_peer_ts_responder);
    add_rows(peer_ts, "peer_ts/initiator", test_peer_ts_initiator);
    result = pn_test_run("barrel/auth_vectors");
    json_decref(vectors);
    return result;
}

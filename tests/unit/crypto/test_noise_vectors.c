/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The standard core in the one case that no published vector has: no
 * prologue and empty payloads, exactly where PeerNet 0.1.0 departs from it.
 */
#include "noise_pair.h"

static bool shares(const json_t *vector, const char *a, const char *b)
{
    return strcmp(pn_json_string(vector, a), pn_json_string(vector, b)) == 0;
}

static void load_end(noise_end *end, const json_t *vector,
    const char *identity_key, const char *ephemeral_key)
{
    uint8_t identity[PN_KEY_LEN];
    uint8_t ephemeral[PN_KEY_LEN];

    pn_json_hex_n(vector, identity_key, identity, sizeof(identity));
    pn_json_hex_n(vector, ephemeral_key, ephemeral, sizeof(ephemeral));
    noise_end_init(end, identity, ephemeral);
}

static void check_empty_message(
    noise_end *from, noise_end *to, const json_t *vector, const char *key)
{
    size_t want_len;
    uint8_t *want = pn_json_hex(vector, key, &want_len);
    uint8_t got[128];
    size_t len;

    assert_int_equal(
        pn_handshake_write(from->handshake, NULL, 0, got, sizeof(got), &len),
        PN_OK);
    pn_assert_bytes(got, len, want, want_len);
    assert_int_equal(
        pn_handshake_read(to->handshake, got, len, NULL, 0, &len), PN_OK);
    assert_int_equal(len, 0);
    free(want);
}

static void test_standard_empty(void **state)
{
    const json_t *vector = *state;
    noise_pair pair;
    uint8_t got[PN_HASH_LEN];
    uint8_t want[PN_HASH_LEN];

    load_end(&pair.initiator, vector, "init_static", "init_ephemeral");
    load_end(&pair.responder, vector, "resp_static", "resp_ephemeral");
    noise_end_start(&pair.initiator, &pn_noise_standard, true, NULL, 0);
    noise_end_start(&pair.responder, &pn_noise_standard, false, NULL, 0);
    check_empty_message(
        &pair.initiator, &pair.responder, vector, "m1_body_hex");
    check_empty_message(
        &pair.responder, &pair.initiator, vector, "m2_body_hex");
    check_empty_message(
        &pair.initiator, &pair.responder, vector, "m3_body_hex");
    pn_json_hex_n(vector, "handshake_hash_hex", want, sizeof(want));
    memcpy(got, pair.initiator.handshake->symmetric.h, PN_HASH_LEN);
    pn_assert_bytes(got, sizeof(got), want, sizeof(want));
    memcpy(got, pair.responder.handshake->symmetric.h, PN_HASH_LEN);
    pn_assert_bytes(got, sizeof(got), want, sizeof(want));
    noise_pair_fini(&pair);
}

static bool is_reflected(const json_t *vector)
{
    return shares(vector, "init_ephemeral", "resp_ephemeral")
           || shares(vector, "init_static", "resp_static");
}

/* Talking to oneself: vectors may show it, we refuse it (T34). One ephemeral
 * for both is seen by the responder before it answers, one static key by the
 * initiator in the answer. */
static void test_reflected(void **state)
{
    const json_t *vector = *state;
    noise_pair pair;
    uint8_t message[128];
    size_t len;
    pn_err err;

    load_end(&pair.initiator, vector, "init_static", "init_ephemeral");
    load_end(&pair.responder, vector, "resp_static", "resp_ephemeral");
    noise_end_start(&pair.initiator, &pn_noise_standard, true, NULL, 0);
    noise_end_start(&pair.responder, &pn_noise_standard, false, NULL, 0);
    assert_int_equal(pn_handshake_write(pair.initiator.handshake, NULL, 0,
                         message, sizeof(message), &len),
        PN_OK);
    assert_int_equal(pn_handshake_read(
                         pair.responder.handshake, message, len, NULL, 0, &len),
        PN_OK);
    err = pn_handshake_write(
        pair.responder.handshake, NULL, 0, message, sizeof(message), &len);
    if (shares(vector, "init_ephemeral", "resp_ephemeral")) {
        assert_int_equal(err, PN_AUTH);
    } else {
        assert_int_equal(err, PN_OK);
        assert_int_equal(pn_handshake_read(pair.initiator.handshake, message,
                             len, NULL, 0, &len),
            PN_DENIED);
    }
    noise_pair_fini(&pair);
}

int main(void)
{
    json_t *own = pn_vectors("standard_noise_xx_empty.json");
    const json_t *transcripts = json_object_get(own, "transcripts");
    int status;

    for (size_t i = 0; i < json_array_size(transcripts); i++) {
        json_t *vector = json_array_get(transcripts, i);

        pn_test_addf(
            is_reflected(vector) ? test_reflected : test_standard_empty, vector,
            "noise/vectors/standard_empty/%s", pn_json_string(vector, "name"));
    }
    status = pn_test_run("noise/vectors");
    json_decref(own);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The standard core against published vectors, unchanged: cacophony, snow and
 * noise-c, read in place where they are, and our own file of the one case
 * that none of them has (no prologue, empty payloads).
 */
#include <stdio.h>
#include <unistd.h>

#include "noise_pair.h"

#define SUITE "Noise_XX_25519_ChaChaPoly_SHA256"

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

static void start_end(
    noise_end *end, const json_t *vector, bool initiator, const char *key)
{
    size_t len;
    uint8_t *prologue = pn_json_hex(vector, key, &len);

    noise_end_start(end, &pn_noise_standard, initiator, prologue, len);
    free(prologue);
}

static void check_handshake_message(
    noise_end *from, noise_end *to, const json_t *message)
{
    size_t payload_len;
    size_t want_len;
    uint8_t *payload = pn_json_hex(message, "payload", &payload_len);
    uint8_t *want = pn_json_hex(message, "ciphertext", &want_len);
    uint8_t got[512];
    uint8_t read[512];
    size_t len;

    assert_int_equal(pn_handshake_write(from->handshake, payload, payload_len,
                         got, sizeof(got), &len),
        PN_OK);
    pn_assert_bytes(got, len, want, want_len);
    assert_int_equal(
        pn_handshake_read(to->handshake, got, len, read, sizeof(read), &len),
        PN_OK);
    pn_assert_bytes(read, len, payload, payload_len);
    free(payload);
    free(want);
}

static void check_transport_message(
    noise_end *from, noise_end *to, const json_t *message)
{
    size_t payload_len;
    size_t want_len;
    uint8_t *payload = pn_json_hex(message, "payload", &payload_len);
    uint8_t *want = pn_json_hex(message, "ciphertext", &want_len);
    uint8_t buf[512];
    size_t len;

    memcpy(buf, payload, payload_len);
    assert_int_equal(
        pn_cipher_seal(&from->send, NULL, 0, buf, payload_len), PN_OK);
    pn_assert_bytes(buf, payload_len + PN_TAG_LEN, want, want_len);
    assert_int_equal(
        pn_cipher_open(&to->receive, NULL, 0, buf, want_len, &len), PN_OK);
    pn_assert_bytes(buf, len, payload, payload_len);
    free(payload);
    free(want);
}

static void check_end(
    noise_end *end, const noise_end *other, const json_t *vector)
{
    uint8_t got[PN_HASH_LEN];
    uint8_t want[PN_HASH_LEN];

    assert_true(pn_handshake_is_done(end->handshake));
    pn_assert_bytes(pn_handshake_peer(end->handshake)->bytes, PN_KEY_LEN,
        other->identity.public_key.bytes, PN_KEY_LEN);
    if (json_object_get(vector, "handshake_hash") != NULL) {
        pn_json_hex_n(vector, "handshake_hash", want, sizeof(want));
        pn_handshake_hash(end->handshake, got);
        pn_assert_bytes(got, sizeof(got), want, sizeof(want));
    }
    assert_int_equal(
        pn_handshake_split(end->handshake, &end->send, &end->receive), PN_OK);
}

static void test_published(void **state)
{
    const json_t *vector = *state;
    const json_t *messages = json_object_get(vector, "messages");
    noise_pair pair;

    load_end(&pair.initiator, vector, "init_static", "init_ephemeral");
    load_end(&pair.responder, vector, "resp_static", "resp_ephemeral");
    start_end(&pair.initiator, vector, true, "init_prologue");
    start_end(&pair.responder, vector, false, "resp_prologue");
    assert_true(json_array_size(messages) > 3);
    for (size_t i = 0; i < json_array_size(messages); i++) {
        noise_end *from = i % 2 == 0 ? &pair.initiator : &pair.responder;
        noise_end *to = i % 2 == 0 ? &pair.responder : &pair.initiator;

        if (i == 3) {
            check_end(&pair.initiator, &pair.responder, vector);
            check_end(&pair.responder, &pair.initiator, vector);
        }
        if (i < 3) {
            check_handshake_message(from, to, json_array_get(messages, i));
        } else {
            check_transport_message(from, to, json_array_get(messages, i));
        }
    }
    noise_pair_fini(&pair);
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
    pn_handshake_hash(pair.initiator.handshake, got);
    pn_assert_bytes(got, sizeof(got), want, sizeof(want));
    pn_handshake_hash(pair.responder.handshake, got);
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
            PN_AUTH);
    }
    noise_pair_fini(&pair);
}

static void test_skipped(void **state)
{
    print_message("published vectors not found: %s\n", (const char *)*state);
    skip();
}

static bool is_ours(const json_t *vector)
{
    const char *name = json_string_value(
        json_object_get(vector, "protocol_name"));

    if (name == NULL) {
        name = json_string_value(json_object_get(vector, "name"));
    }
    return name != NULL && strcmp(name, SUITE) == 0;
}

static json_t *add_published(const char *file)
{
    char path[4096];
    json_error_t error;
    const char *dir = getenv("PN_NOISE_VECTORS");
    json_t *root;
    const json_t *vectors;
    size_t n = 0;

    if (dir == NULL) {
        dir = PN_TEST_DATA "/../../shared/vectors/noise";
    }
    (void)snprintf(path, sizeof(path), "%s/%s", dir, file);
    if (access(path, R_OK) != 0) {
        pn_test_addf(
            test_skipped, (void *)(uintptr_t)file, "noise/vectors/%s", file);
        return NULL;
    }
    root = json_load_file(path, 0, &error);
    vectors = json_object_get(root, "vectors");
    for (size_t i = 0; i < json_array_size(vectors); i++) {
        json_t *vector = json_array_get(vectors, i);

        if (is_ours(vector)) {
            pn_test_addf(
                test_published, vector, "noise/vectors/%s/%s", file, SUITE);
            n++;
        }
    }
    if (n != 1) {
        fprintf(stderr, "%s: %zu vectors of our suite\n", path, n);
        exit(1);
    }
    return root;
}

int main(void)
{
    json_t *own = pn_vectors("standard_noise_xx_empty.json");
    const json_t *transcripts = json_object_get(own, "transcripts");
    json_t *roots[3];
    int status;

    roots[0] = add_published("cacophony.json");
    roots[1] = add_published("snow.json");
    roots[2] = add_published("noise-c-basic.json");
    for (size_t i = 0; i < json_array_size(transcripts); i++) {
        json_t *vector = json_array_get(transcripts, i);

        pn_test_addf(
            is_reflected(vector) ? test_reflected : test_standard_empty, vector,
            "noise/vectors/standard_empty/%s", pn_json_string(vector, "name"));
    }
    status = pn_test_run("noise/vectors");
    json_decref(own);
    for (size_t i = 0; i < 3; i++) {
        json_decref(roots[i]);
    }
    return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The standard core against the vectors that others published, unchanged. Those
 * of XX are read in place, for they are not part of this project; those of
 * XXpsk3 are in tests/vectors/noise. The argument is one file; a missing one is
 * a skipped test, not a passed one.
 */
#include <stdio.h>
#include <unistd.h>

#include "noise_pair.h"

#define SUITE "Noise_XX_25519_ChaChaPoly_SHA256"
#define SUITE_PSK3 "Noise_XXpsk3_25519_ChaChaPoly_SHA256"

static const char *protocol_name(const json_t *vector)
{
    const json_t *name = json_object_get(vector, "protocol_name");

    if (name == NULL) {
        name = json_object_get(vector, "name");
    }
    return json_string_value(name);
}

static bool is_suite(const json_t *vector, const char *suite)
{
    const char *name = protocol_name(vector);

    return name != NULL && strcmp(name, suite) == 0;
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

    noise_end_start(end,
        is_suite(vector, SUITE_PSK3) ? &pn_noise_standard_psk3
                                     : &pn_noise_standard,
        initiator, prologue, len);
    free(prologue);
}

static void set_psk(noise_end *end, const json_t *vector, const char *key)
{
    const json_t *psks = json_object_get(vector, key);
    pn_secret_key psk;
    uint8_t *bytes;
    size_t len;

    assert_int_equal(json_array_size(psks), 1);
    bytes = pn_unhex(json_string_value(json_array_get(psks, 0)), &len);
    assert_int_equal(len, sizeof(psk));
    memcpy(&psk, bytes, sizeof(psk));
    free(bytes);
    pn_handshake_set_psk(end->handshake, &psk);
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
        memcpy(got, end->handshake->symmetric.h, PN_HASH_LEN);
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
    if (is_suite(vector, SUITE_PSK3)) {
        set_psk(&pair.initiator, vector, "init_psks");
        set_psk(&pair.responder, vector, "resp_psks");
    }
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

static void add_vectors(const char *file, const json_t *vectors)
{
    for (size_t i = 0; i < json_array_size(vectors); i++) {
        json_t *vector = json_array_get(vectors, i);

        if (is_suite(vector, SUITE) || is_suite(vector, SUITE_PSK3)) {
            pn_test_addf(test_published, vector, "noise/published/%s", file);
        }
    }
}

int main(int argc, char **argv)
{
    const char *dir = getenv("PN_NOISE_VECTORS");
    char path[4096];
    json_t *root;
    int status;

    if (argc != 2) {
        return 99;
    }
    (void)snprintf(path, sizeof(path), "%s/%s",
        dir != NULL ? dir : PN_TEST_DATA "/../../shared/vectors/noise",
        argv[1]);
    if (dir == NULL && access(path, R_OK) != 0) {
        printf("1..0 # SKIP %s is not there\n", argv[1]);
        return 0;
    }
    root = json_load_file(path, 0, NULL);
    add_vectors(argv[1], json_object_get(root, "vectors"));
    status = pn_test_run("noise/published");
    json_decref(root);
    return status;
}

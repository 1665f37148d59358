/* SPDX-License-Identifier: Apache-2.0 */
/* Barrel's names, patterns, messages and signed bytes against upstream's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/message.h"
#include "harness.h"

/* ---- names and patterns ------------------------------------------------ */

static void test_name(void **state)
{
    const json_t *row = *state;
    size_t len;
    uint8_t *name = pn_json_hex(row, "hex", &len);

    assert_int_equal(pn_node_name_is_valid(name, len),
        json_is_true(json_object_get(row, "valid")));
    free(name);
}

static void test_cookie_only(void **state)
{
    const json_t *row = *state;
    const char *node = pn_json_string(row, "node");
    const json_t *list = json_object_get(row, "patterns");
    const char *patterns[8];
    size_t n = 0;

    for (; n < json_array_size(list); n++) {
        assert_true(n < 8);
        assert_string_equal(
            pn_json_string(json_array_get(list, n), "type"), "atom");
        patterns[n] = pn_json_string(json_array_get(list, n), "text");
    }
    assert_int_equal(pn_cookie_only_matches(patterns, n, node, strlen(node)),
        json_is_true(json_object_get(row, "allowed")));
}

/* A name of exactly len bytes: one more than fits is refused. */
static void test_name_length(void **state)
{
    size_t len = *(const size_t *)*state;
    char name[PN_NODE_NAME_MAX + 2];

    memset(name, 'n', len);
    name[1] = '@';
    assert_int_equal(pn_node_name_is_valid(name, len), len <= PN_NODE_NAME_MAX);
}

/* ---- decoding ---------------------------------------------------------- */

static uint64_t number(const json_t *row, const char *key)
{
    double value = json_number_value(json_object_get(row, key));

    return value >= 0x1p64 ? UINT64_MAX : (uint64_t)value;
}

static void check_decoded(const json_t *want, const pn_auth_message *m)
{
    const json_t *hello = json_object_get(want, "hello");
    const json_t *challenge = json_object_get(want, "challenge");
    const char *fail = json_string_value(json_object_get(want, "fail"));
    uint8_t bytes[PN_SIGNATURE_LEN];

    if (hello != NULL) {
        const char *name = pn_json_string(hello, "node");

        assert_int_equal(m->type, PN_AUTH_HELLO);
        pn_assert_bytes(
            m->name.data, m->name.len, (const uint8_t *)name, strlen(name));
        pn_json_hex_n(hello, "public", bytes, PN_KEY_LEN);
        assert_memory_equal(m->key.bytes, bytes, PN_KEY_LEN);
    } else if (challenge != NULL) {
        uint64_t ts;

        assert_int_equal(m->type, PN_AUTH_CHALLENGE);
        pn_json_hex_n(challenge, "nonce", bytes, PN_AUTH_NONCE_LEN);
        assert_memory_equal(m->challenge.nonce, bytes, PN_AUTH_NONCE_LEN);
        ts = number(challenge, "ts");
        assert_true(m->challenge.wall_ms == ts);
    } else if (fail != NULL) {
        assert_int_equal(m->type, PN_AUTH_FAIL);
        pn_assert_bytes(
            m->reason.data, m->reason.len, (const uint8_t *)fail, strlen(fail));
    } else if (json_is_string(want)) {
        assert_string_equal(json_string_value(want), "ok");
        assert_int_equal(m->type, PN_AUTH_OK);
    } else {
        assert_int_equal(m->type, PN_AUTH_RESPONSE);
        pn_json_hex_n(want, "response", bytes, PN_SIGNATURE_LEN);
        assert_memory_equal(m->signature, bytes, PN_SIGNATURE_LEN);
    }
}

static void test_decode(void **state)
{
    const json_t *row = *state;
    const json_t *want = json_object_get(row, "result");
    const char *error = json_string_value(json_object_get(want, "error"));
    size_t len;
    uint8_t *data = pn_json_hex(row, "message", &len);
    pn_auth_message m;
    pn_auth_decoded got = pn_auth_decode(data, len, &m);

    if (error == NULL) {
        assert_string_equal(pn_auth_decoded_text(got), "ok");
        check_decoded(want, &m);
    } else {
        /* "{unsupported_version,3}": the number is the message's. */
        const char *text = pn_auth_decoded_text(got);

        assert_memory_equal(
            error + (error[0] == '{' ? 1 : 0), text, strlen(text));
    }
    free(data);
}

/* ---- encoding ---------------------------------------------------------- */

static size_t encode_row(const json_t *row, uint8_t *out)
{
    const char *what = pn_json_string(row, "what");
    size_t len;
    uint8_t *message = pn_json_hex(row, "message", &len);
    pn_auth_message m;
    size_t n = 0;

    assert_int_equal(pn_auth_decode(message, len, &m), PN_AUTH_DECODED);
    switch (m.type) {
    case PN_AUTH_HELLO:
        n = pn_auth_encode_hello(out, m.name, &m.key);
        break;
    case PN_AUTH_CHALLENGE:
        n = pn_auth_encode_challenge(out, &m.challenge);
        break;
    case PN_AUTH_RESPONSE:
        n = pn_auth_encode_response(out, m.signature);
        break;
    case PN_AUTH_OK:
        n = pn_auth_encode_ok(out);
        break;
    case PN_AUTH_FAIL:
        n = pn_auth_encode_fail(out, m.reason);
        break;
    }
    assert_non_null(what);
    free(message);
    return n;
}

static void test_encode(void **state)
{
    const json_t *row = *state;
    uint8_t out[PN_AUTH_HEADER_LEN + PN_AUTH_MESSAGE_MAX];
    size_t n = encode_row(row, out);
    size_t len;
    uint8_t *want = pn_json_hex(row, "message", &len);

    pn_assert_bytes(
        out + PN_AUTH_HEADER_LEN, n - PN_AUTH_HEADER_LEN, want, len);
    free(want);
    if (json_object_get(row, "framed") != NULL) {
        want = pn_json_hex(row, "framed", &len);
        pn_assert_bytes(out, n, want, len);
        free(want);
    }
}

/* Every prefix of a good message is a bad one. */
static void test_prefixes(void **state)
{
    const json_t *row = *state;
    size_t len;
    uint8_t *data = pn_json_hex(row, "message", &len);
    pn_auth_message m;

    for (size_t n = 0; n < len; n++) {
        assert_int_not_equal(pn_auth_decode(data, n, &m), PN_AUTH_DECODED);
    }
    free(data);
}

/* ---- signatures -------------------------------------------------------- */

static void signature_of(const json_t *all, const json_t *row,
    uint8_t signed_bytes[static PN_AUTH_SIGNED_LEN], pn_ed25519_key *ret_key,
    uint8_t signature[static PN_SIGNATURE_LEN])
{
    pn_auth_challenge challenge;
    uint8_t binding[PN_AUTH_BINDING_LEN];

    pn_json_hex_n(all, "binding", binding, sizeof(binding));
    pn_json_hex_n(row, "nonce", challenge.nonce, sizeof(challenge.nonce));
    challenge.wall_ms = number(row, "ts");
    pn_json_hex_n(row, "signer_public", ret_key->bytes, PN_KEY_LEN);
    pn_json_hex_n(row, "signature", signature, PN_SIGNATURE_LEN);
    pn_auth_signed_bytes(signed_bytes, &challenge, ret_key, binding);
}

static void test_sign(void **state)
{
    json_t *vectors = pn_vectors_as("barrel.json", JSON_DECODE_INT_AS_REAL);
    const json_t *all = json_object_get(vectors, "signature");
    const json_t *row = json_array_get(
        json_object_get(all, "cases"), *(const size_t *)*state);
    uint8_t got[PN_AUTH_SIGNED_LEN];
    uint8_t want[PN_AUTH_SIGNED_LEN];
    uint8_t signature[PN_SIGNATURE_LEN];
    uint8_t ours[PN_SIGNATURE_LEN];
    pn_ed25519_key key;
    pn_ed25519_key derived;
    pn_secret_key seed;

    signature_of(all, row, got, &key, signature);
    pn_json_hex_n(row, "signed_message", want, sizeof(want));
    assert_memory_equal(got, want, sizeof(want));
    pn_json_hex_n(row, "signer_seed", seed.bytes, PN_KEY_LEN);
    assert_int_equal(pn_ed25519_public(&seed, &derived), PN_OK);
    assert_memory_equal(derived.bytes, key.bytes, PN_KEY_LEN);
    assert_int_equal(pn_ed25519_sign(&seed, got, sizeof(got), ours), PN_OK);
    assert_memory_equal(ours, signature, PN_SIGNATURE_LEN);
    assert_int_equal(
        pn_ed25519_verify(&key, got, sizeof(got), signature), PN_OK);
    json_decref(vectors);
}

/* Any single bit of what is signed, of the signature or of the key: refused. */
static void test_flips(void **state)
{
    json_t *vectors = pn_vectors_as("barrel.json", JSON_DECODE_INT_AS_REAL);
    const json_t *all = json_object_get(vectors, "signature");
    uint8_t bytes[PN_AUTH_SIGNED_LEN];
    uint8_t signature[PN_SIGNATURE_LEN];
    pn_ed25519_key key;
    struct {
        uint8_t *p;
        size_t len;
    } parts[] = {{bytes, sizeof(bytes)}, {signature, sizeof(signature)},
        {key.bytes, PN_KEY_LEN}};

    (void)state;
    signature_of(all, json_array_get(json_object_get(all, "cases"), 0), bytes,
        &key, signature);
    for (size_t k = 0; k < 3; k++) {
        for (size_t i = 0; i < parts[k].len * 8; i++) {
            parts[k].p[i / 8] ^= (uint8_t)(1u << i % 8);
            assert_int_equal(
                pn_ed25519_verify(&key, bytes, sizeof(bytes), signature),
                PN_AUTH);
            parts[k].p[i / 8] ^= (uint8_t)(1u << i % 8);
        }
    }
    assert_int_equal(
        pn_ed25519_verify(&key, bytes, sizeof(bytes), signature), PN_OK);
    json_decref(vectors);
}

static void add_rows(
    const json_t *vectors, const char *section, CMUnitTestFunction run)
{
    const json_t *rows = json_object_get(vectors, section);

    for (size_t i = 0; i < json_array_size(rows); i++) {
        pn_test_addf(run, json_array_get(rows, i), "barrel/%s/%zu", section, i);
    }
}

int main(void)
{
    static size_t lengths[] = {
        3, PN_NODE_NAME_MAX - 1, PN_NODE_NAME_MAX, PN_NODE_NAME_MAX + 1};
    static size_t cases[] = {0, 1};
    json_t *vectors = pn_vectors_as("barrel.json", JSON_DECODE_INT_AS_REAL);
    const json_t *encode = json_object_get(vectors, "encode");
    int result;

    add_rows(vectors, "node_name", test_name);
    add_rows(vectors, "cookie_only", test_cookie_only);
    add_rows(vectors, "decode", test_decode);
    add_rows(vectors, "encode", test_encode);
    for (size_t i = 0; i < json_array_size(encode); i++) {
        pn_test_addf(
            test_prefixes, json_array_get(encode, i), "barrel/prefixes/%zu", i);
    }
    for (size_t i = 0; i < 4; i++) {
        pn_test_addf(test_name_length, &lengths[i],
            "barrel/node_name/length_%zu", lengths[i]);
    }
    for (size_t i = 0; i < 2; i++) {
        pn_test_addf(test_sign, &cases[i], "barrel/signature/%zu", i);
    }
    pn_test_add("barrel/signature/flips", test_flips, NULL);
    result = pn_test_run("barrel/message");
    json_decref(vectors);
    return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed messages of the original (channel.json), and the counter after an
 * error. */
#include "noise_pair.h"
#include "wire/frame.h"

static const json_t *keys;

static void cipher_at(pn_cipher *c, const char *key, const char *counter)
{
    pn_secret_key k;

    pn_json_hex_n(keys, key, k.bytes, sizeof(k.bytes));
    assert_int_equal(pn_cipher_init(c, &k), PN_OK);
    c->n = strtoull(counter, NULL, 10);
}

static void check_counter(const pn_cipher *c, const json_t *row)
{
    assert_true(
        c->n == strtoull(pn_json_string(row, "next_counter"), NULL, 10));
}

static void test_encrypt(void **state)
{
    const json_t *row = *state;
    size_t len;
    size_t frame_len;
    uint8_t *plain = pn_json_hex(row, "plaintext_hex", &len);
    uint8_t *frame = pn_json_hex(row, "frame_hex", &frame_len);
    uint8_t *buf = malloc(len + PN_TAG_LEN);
    pn_cipher c;

    assert_non_null(buf);
    memcpy(buf, plain, len);
    cipher_at(&c, pn_json_string(row, "key"), pn_json_string(row, "counter"));
    assert_int_equal(pn_cipher_seal(&c, NULL, 0, buf, len), PN_OK);
    pn_assert_bytes(buf, len + PN_TAG_LEN, frame + PN_FRAME_HEADER_LEN,
        frame_len - PN_FRAME_HEADER_LEN);
    check_counter(&c, row);
    pn_cipher_fini(&c);
    free(plain);
    free(frame);
    free(buf);
}

static bool is_zero(const uint8_t *p, size_t len)
{
    uint8_t any = 0;

    for (size_t i = 0; i < len; i++) {
        any |= p[i];
    }
    return any == 0;
}

/* ":invalid_term" is authentic: what is inside is for the layers above. */
static pn_err expected_open(const json_t *row, size_t len)
{
    if (strcmp(pn_json_string(row, "result"), "ok") == 0
        || strcmp(pn_json_string(row, "reason"), ":invalid_term") == 0) {
        return PN_OK;
    }
    return len < PN_TAG_LEN ? PN_MALFORMED : PN_AUTH;
}

static void test_decrypt(void **state)
{
    const json_t *row = *state;
    const char *counter = pn_json_string(row, "receiver_counter");
    size_t len;
    uint8_t *body = pn_json_hex(row, "body_hex", &len);
    pn_err want = expected_open(row, len);
    pn_cipher c;
    size_t n = 12345;

    cipher_at(&c, pn_json_string(row, "key"), counter);
    assert_int_equal(pn_cipher_open(&c, NULL, 0, body, len, &n), want);
    if (want == PN_OK) {
        assert_int_equal(n, len - PN_TAG_LEN);
        assert_true(c.n == strtoull(counter, NULL, 10) + 1);
    } else {
        assert_int_equal(n, 12345);
        assert_true(c.n == strtoull(counter, NULL, 10));
        check_counter(&c, row);
    }
    if (want == PN_AUTH) {
        assert_true(is_zero(body, len - PN_TAG_LEN));
    }
    pn_cipher_fini(&c);
    free(body);
}

/* plaintext of the recorded bodies: five bytes of whatever was sealed. */
static void test_exhaustion(void **state)
{
    const json_t *row = *state;
    const char *counter = pn_json_string(row, "counter");
    bool last = strcmp(counter, "18446744073709551615") == 0;
    size_t len;
    uint8_t *body = pn_json_hex(row, "body_hex", &len);
    uint8_t *again = pn_json_hex(row, "body_hex", &len);
    pn_cipher c;
    size_t n = 0;

    cipher_at(&c, "k1", counter);
    assert_int_equal(
        pn_cipher_open(&c, NULL, 0, body, len, &n), last ? PN_LIMIT : PN_OK);
    assert_true(c.n == strtoull(counter, NULL, 10) + (last ? 0 : 1));
    c.n = strtoull(counter, NULL, 10);
    assert_int_equal(pn_cipher_seal(&c, NULL, 0, body, len - PN_TAG_LEN),
        last ? PN_LIMIT : PN_OK);
    assert_true(c.n == strtoull(counter, NULL, 10) + (last ? 0 : 1));
    /* Whether sealed again or left alone, these are the recorded bytes. */
    pn_assert_bytes(body, len, again, len);
    pn_cipher_fini(&c);
    free(body);
    free(again);
}

/* After 2^64-2 there is no next: the counter stays where it is for ever. */
static void test_never_wraps(void **state)
{
    pn_cipher c;
    uint8_t buf[1 + PN_TAG_LEN] = {0};
    size_t n;

    (void)state;
    cipher_at(&c, "k1", "18446744073709551614");
    assert_int_equal(pn_cipher_seal(&c, NULL, 0, buf, 1), PN_OK);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(pn_cipher_seal(&c, NULL, 0, buf, 1), PN_LIMIT);
        assert_int_equal(
            pn_cipher_open(&c, NULL, 0, buf, sizeof(buf), &n), PN_LIMIT);
        assert_true(c.n == UINT64_MAX);
    }
    pn_cipher_fini(&c);
}

/* PROP-2: of many random damages none opens and none moves the counter; the
 * message itself still opens afterwards. */
static void test_random_damage(void **state)
{
    uint8_t sealed[96 + PN_TAG_LEN];
    uint8_t buf[sizeof(sealed)];
    uint64_t seed = 2024;
    pn_cipher sender;
    pn_cipher receiver;
    size_t n;

    (void)state;
    cipher_at(&sender, "k2", "7");
    cipher_at(&receiver, "k2", "7");
    memset(sealed, 0x5a, sizeof(sealed));
    assert_int_equal(pn_cipher_seal(&sender, NULL, 0, sealed, 96), PN_OK);
    for (unsigned i = 0; i < 20000; i++) {
        size_t at = pn_test_random(&seed) % sizeof(sealed);

        memcpy(buf, sealed, sizeof(sealed));
        buf[at] ^= (uint8_t)(1 + pn_test_random(&seed) % 255);
        assert_int_equal(
            pn_cipher_open(&receiver, NULL, 0, buf, sizeof(buf), &n), PN_AUTH);
        assert_true(receiver.n == 7);
    }
    assert_int_equal(
        pn_cipher_open(&receiver, NULL, 0, sealed, sizeof(sealed), &n), PN_OK);
    assert_int_equal(n, 96);
    pn_cipher_fini(&sender);
    pn_cipher_fini(&receiver);
}

/* Every prefix of a sealed message is refused. */
static void test_every_prefix(void **state)
{
    uint8_t sealed[40 + PN_TAG_LEN];
    uint8_t buf[sizeof(sealed)];
    pn_cipher sender;
    pn_cipher receiver;
    size_t n;

    (void)state;
    cipher_at(&sender, "k1", "0");
    cipher_at(&receiver, "k1", "0");
    memset(sealed, 1, sizeof(sealed));
    assert_int_equal(pn_cipher_seal(&sender, NULL, 0, sealed, 40), PN_OK);
    for (size_t len = 0; len < sizeof(sealed); len++) {
        memcpy(buf, sealed, len);
        assert_int_equal(pn_cipher_open(&receiver, NULL, 0, buf, len, &n),
            len < PN_TAG_LEN ? PN_MALFORMED : PN_AUTH);
    }
    assert_true(receiver.n == 0);
    pn_cipher_fini(&sender);
    pn_cipher_fini(&receiver);
}

/* Recorded frames given again, or to the other direction, do not open. */
static void test_replay(void **state)
{
    uint8_t first[8 + PN_TAG_LEN] = "message";
    uint8_t buf[sizeof(first)];
    pn_cipher sender;
    pn_cipher receiver;
    pn_cipher other;
    size_t n;

    (void)state;
    cipher_at(&sender, "k1", "0");
    cipher_at(&receiver, "k1", "0");
    cipher_at(&other, "k2", "0");
    assert_int_equal(pn_cipher_seal(&sender, NULL, 0, first, 8), PN_OK);
    memcpy(buf, first, sizeof(buf));
    assert_int_equal(
        pn_cipher_open(&receiver, NULL, 0, buf, sizeof(buf), &n), PN_OK);
    memcpy(buf, first, sizeof(buf));
    assert_int_equal(
        pn_cipher_open(&receiver, NULL, 0, buf, sizeof(buf), &n), PN_AUTH);
    memcpy(buf, first, sizeof(buf));
    assert_int_equal(
        pn_cipher_open(&other, NULL, 0, buf, sizeof(buf), &n), PN_AUTH);
    pn_cipher_fini(&sender);
    pn_cipher_fini(&receiver);
    pn_cipher_fini(&other);
}

static void add_all(const json_t *rows, CMUnitTestFunction test,
    const char *kind, const char *label)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);

        pn_test_addf(test, row, "noise/cipher/%s/%zu_%s", kind, i,
            pn_json_string(row, label));
    }
}

int main(void)
{
    json_t *root = pn_vectors("channel.json");
    int status;

    keys = json_object_get(root, "keys");
    add_all(
        json_object_get(root, "encrypt"), test_encrypt, "encrypt", "counter");
    add_all(json_object_get(root, "decrypt"), test_decrypt, "decrypt", "name");
    add_all(json_object_get(root, "exhaustion"), test_exhaustion, "exhaustion",
        "counter");
    pn_test_add("noise/cipher/never_wraps", test_never_wraps, NULL);
    pn_test_add("noise/cipher/random_damage", test_random_damage, NULL);
    pn_test_add("noise/cipher/every_prefix_refused", test_every_prefix, NULL);
    pn_test_add("noise/cipher/replay_refused", test_replay, NULL);
    status = pn_test_run("noise/cipher");
    json_decref(root);
    return status;
}

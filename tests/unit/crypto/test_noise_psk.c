/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XXpsk3 where the published vector says nothing: another key, none, an end
 * that runs XX, and a changed message (PAIR-3).
 */
#include "noise_pair.h"

enum { N_MESSAGES = 3, PAYLOAD_LEN = 8 };

static const uint8_t prologue[] = "prologue";

static void start_end(
    noise_end *end, const pn_noise_profile *profile, bool initiator)
{
    uint8_t secrets[2][PN_KEY_LEN];

    memset(secrets[0], initiator ? 1 : 3, PN_KEY_LEN);
    memset(secrets[1], initiator ? 2 : 4, PN_KEY_LEN);
    noise_end_init(end, secrets[0], secrets[1]);
    noise_end_start(end, profile, initiator, prologue, sizeof(prologue));
}

static void start_pair(noise_pair *pair)
{
    start_end(&pair->initiator, &pn_noise_standard_psk3, true);
    start_end(&pair->responder, &pn_noise_standard_psk3, false);
}

static void set_psk(noise_end *end, uint8_t byte)
{
    pn_secret_key psk;

    memset(&psk, byte, sizeof(psk));
    pn_handshake_set_psk(end->handshake, &psk);
}

/* The writer of a message says it, maybe with one bit changed, and the other
 * reads it. */
static pn_err carry(noise_pair *pair, size_t message, size_t flip_at)
{
    static const uint8_t payload[PAYLOAD_LEN] = "payload";
    noise_end *from = message % 2 == 0 ? &pair->initiator : &pair->responder;
    noise_end *to = message % 2 == 0 ? &pair->responder : &pair->initiator;
    uint8_t buf[256];
    uint8_t read[PAYLOAD_LEN];
    size_t len;
    pn_err err = pn_handshake_write(
        from->handshake, payload, sizeof(payload), buf, sizeof(buf), &len);

    if (err != PN_OK) {
        return err;
    }
    if (flip_at < len) {
        buf[flip_at] ^= 0x10;
    }
    return pn_handshake_read(to->handshake, buf, len, read, sizeof(read), &len);
}

/* The key may be set as late as before the third message. */
static void test_same_key(void **state)
{
    noise_pair pair;

    (void)state;
    start_pair(&pair);
    set_psk(&pair.initiator, 9);
    assert_int_equal(carry(&pair, 0, SIZE_MAX), PN_OK);
    assert_int_equal(carry(&pair, 1, SIZE_MAX), PN_OK);
    set_psk(&pair.responder, 9);
    assert_int_equal(carry(&pair, 2, SIZE_MAX), PN_OK);
    assert_memory_equal(pn_handshake_hash(pair.initiator.handshake),
        pn_handshake_hash(pair.responder.handshake), PN_HASH_LEN);
    noise_pair_fini(&pair);
}

static void test_other_key(void **state)
{
    noise_pair pair;

    (void)state;
    start_pair(&pair);
    set_psk(&pair.initiator, 9);
    set_psk(&pair.responder, 8);
    assert_int_equal(carry(&pair, 0, SIZE_MAX), PN_OK);
    assert_int_equal(carry(&pair, 1, SIZE_MAX), PN_OK);
    assert_int_equal(carry(&pair, 2, SIZE_MAX), PN_AUTH);
    assert_null(pn_handshake_peer(pair.responder.handshake));
    noise_pair_fini(&pair);
}

/* The key is not all zeros when it was forgotten. */
static void test_no_key(void **state)
{
    const bool at_initiator = *state != NULL;
    noise_pair pair;

    start_pair(&pair);
    set_psk(at_initiator ? &pair.responder : &pair.initiator, 0);
    assert_int_equal(carry(&pair, 0, SIZE_MAX), PN_OK);
    assert_int_equal(carry(&pair, 1, SIZE_MAX), PN_OK);
    assert_int_equal(carry(&pair, 2, SIZE_MAX), PN_STATE);
    assert_false(pn_handshake_is_done(pair.responder.handshake));
    noise_pair_fini(&pair);
}

/* Neither pattern is taken for the other. */
static void test_other_pattern(void **state)
{
    const bool initiator_has_psk = *state != NULL;
    noise_pair pair;
    pn_err err;

    start_end(&pair.initiator,
        initiator_has_psk ? &pn_noise_standard_psk3 : &pn_noise_standard, true);
    start_end(&pair.responder,
        initiator_has_psk ? &pn_noise_standard : &pn_noise_standard_psk3,
        false);
    err = carry(&pair, 0, SIZE_MAX);
    assert_true(err == PN_MALFORMED || err == PN_AUTH);
    noise_pair_fini(&pair);
}

/* A changed byte of a message is noticed by its reader, also in the first: its
 * payload has a tag. */
static void test_changed(void **state)
{
    static const size_t lens[N_MESSAGES] = {
        PN_KEY_LEN + PAYLOAD_LEN + PN_TAG_LEN,
        2 * PN_KEY_LEN + PAYLOAD_LEN + 2 * PN_TAG_LEN,
        PN_KEY_LEN + PAYLOAD_LEN + 2 * PN_TAG_LEN,
    };
    const size_t message = (size_t)(uintptr_t)*state;

    for (size_t at = 0; at < lens[message]; at++) {
        noise_pair pair;

        start_pair(&pair);
        set_psk(&pair.initiator, 9);
        set_psk(&pair.responder, 9);
        for (size_t i = 0; i < message; i++) {
            assert_int_equal(carry(&pair, i, SIZE_MAX), PN_OK);
        }
        assert_int_equal(carry(&pair, message, at), PN_AUTH);
        noise_pair_fini(&pair);
    }
}

int main(void)
{
    void *const set = (void *)(uintptr_t)1;

    pn_test_add("noise/psk/same_key", test_same_key, NULL);
    pn_test_add("noise/psk/other_key", test_other_key, NULL);
    pn_test_add("noise/psk/no_key/responder", test_no_key, NULL);
    pn_test_add("noise/psk/no_key/initiator", test_no_key, set);
    pn_test_add("noise/psk/other_pattern/responder", test_other_pattern, NULL);
    pn_test_add("noise/psk/other_pattern/initiator", test_other_pattern, set);
    for (uintptr_t i = 0; i < N_MESSAGES; i++) {
        pn_test_addf(
            test_changed, (void *)i, "noise/psk/changed/%u", (unsigned)i);
    }
    return pn_test_run("noise/psk");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Two ends of a handshake for the tests of the noise folder. */
#ifndef PN_TESTS_NOISE_PAIR_H
#define PN_TESTS_NOISE_PAIR_H

#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "noise/handshake_state.h"

typedef struct noise_end {
    pn_key_pair identity;
    pn_secret_key ephemeral;
    pn_env env; /* gives ephemeral */
    pn_handshake *handshake;
    pn_cipher send;
    pn_cipher receive;
} noise_end;

typedef struct noise_pair {
    noise_end initiator;
    noise_end responder;
} noise_pair;

static inline void noise_key_pair(pn_key_pair *pair, const uint8_t *secret)
{
    memcpy(pair->secret.bytes, secret, PN_KEY_LEN);
    assert_int_equal(pn_x25519_public(&pair->secret, &pair->public_key), PN_OK);
}

static inline void noise_end_init(
    noise_end *end, const uint8_t *identity, const uint8_t *ephemeral)
{
    memset(end, 0, sizeof(*end));
    noise_key_pair(&end->identity, identity);
    memcpy(end->ephemeral.bytes, ephemeral, PN_KEY_LEN);
}

static inline pn_err noise_fixed(void *user, uint8_t *buf, size_t len)
{
    const noise_end *end = user;

    assert_int_equal(len, PN_KEY_LEN);
    memcpy(buf, end->ephemeral.bytes, len);
    return PN_OK;
}

static inline pn_err noise_draw(void *user, uint8_t *buf, size_t len)
{
    (void)user;
    return pn_random(buf, len);
}

static inline void noise_end_start(noise_end *end,
    const pn_noise_profile *profile, bool initiator, const uint8_t *prologue,
    size_t prologue_len)
{
    end->env = (pn_env){.user = end, .random = noise_fixed};
    assert_int_equal(pn_handshake_new(profile, initiator, &end->identity,
                         prologue, prologue_len, &end->env, &end->handshake),
        PN_OK);
}

static inline void noise_end_fini(noise_end *end)
{
    pn_handshake_free(end->handshake);
    pn_cipher_fini(&end->send);
    pn_cipher_fini(&end->receive);
    memset(end, 0, sizeof(*end));
}

static inline void noise_pair_fini(noise_pair *pair)
{
    noise_end_fini(&pair->initiator);
    noise_end_fini(&pair->responder);
}

#endif

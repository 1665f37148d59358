/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of the Noise Protocol Framework, revision 34, that PeerNet uses:
 * CipherState, SymmetricState and HandshakeState (sections 5.1 to 5.3), the XX
 * pattern (section 7.5), XXpsk3 (section 9) and one suite,
 * 25519_ChaChaPoly_SHA256. Where PeerNet
 * 0.1.0 departs from the standard, a profile says so and this code follows the
 * profile.
 */
#ifndef PN_NOISE_NOISE_H
#define PN_NOISE_NOISE_H

#include "base/env.h"
#include "crypto/crypto.h"

/* How a profile differs from the standard (docs/PROTOCOL.md, section 2.4). */
typedef struct pn_noise_profile {
    bool mix_prologue;            /* MixHash(prologue) at initialisation */
    bool mix_empty_clear_payload; /* MixHash of an empty payload without key */
    size_t max_message;           /* transport message with its tag */
    bool is_psk3;                 /* the pattern is XXpsk3 (Noise, section 9) */
} pn_noise_profile;

extern const pn_noise_profile pn_noise_peernet_0_1;
extern const pn_noise_profile pn_noise_standard; /* differs in nothing */
extern const pn_noise_profile pn_noise_standard_psk3;

/* ---- CipherState (5.1) ---- */
typedef struct pn_cipher {
    pn_aead *aead; /* NULL: no key */
    uint64_t n;
    size_t
        max_message; /* tag included; pn_handshake_split sets the profile's */
} pn_cipher;

void pn_cipher_fini(pn_cipher *c);
/* Messages up to the standard's 65,535 bytes. Errors: PN_NOMEM, PN_SYS. */
PN_MUST_USE pn_err pn_cipher_init(pn_cipher *c, const pn_secret_key *key);

/* EncryptWithAd and DecryptWithAd from in to out (which may be the same);
 * otherwise as the two below. */
PN_MUST_USE pn_err pn_cipher_encrypt(pn_cipher *c, const uint8_t *ad,
    size_t ad_len, const uint8_t *in, size_t len, uint8_t *out);
PN_MUST_USE pn_err pn_cipher_decrypt(pn_cipher *c, const uint8_t *ad,
    size_t ad_len, const uint8_t *in, size_t len, uint8_t *out);

/*
 * Seals the len bytes at buf in place; buf has room for len + PN_TAG_LEN.
 * The counter advances only on success. Errors: PN_TOO_LARGE over max_message;
 * PN_LIMIT the nonces are used up (2^64-1 is never used); PN_SYS.
 */
PN_MUST_USE pn_err pn_cipher_seal(
    pn_cipher *c, const uint8_t *ad, size_t ad_len, uint8_t *buf, size_t len);

/* Opens len bytes (tag included) in place; *ret_len = len - PN_TAG_LEN. The
 * counter advances only on success. Errors: PN_MALFORMED shorter than a tag,
 * PN_AUTH (contents wiped), PN_LIMIT nonces or max_message. */
PN_MUST_USE pn_err pn_cipher_open(pn_cipher *c, const uint8_t *ad,
    size_t ad_len, uint8_t *buf, size_t len, size_t *ret_len);

/* ---- HandshakeState (5.3) ---- */
typedef struct pn_handshake pn_handshake;

/*
 * Starts an XX handshake. identity and env are borrowed and must outlive it;
 * prologue is used at once. env gives the secret of the ephemeral key, 32
 * bytes, when it is first needed. Errors: PN_NOMEM, PN_SYS.
 */
PN_MUST_USE pn_err pn_handshake_new(const pn_noise_profile *profile,
    bool initiator, const pn_key_pair *identity, const uint8_t *prologue,
    size_t prologue_len, const pn_env *env, pn_handshake **ret_handshake);
void pn_handshake_free(pn_handshake *h); /* wipes; NULL is fine */

/* XXpsk3: the pre-shared key, copied, before the third message is written or
 * read; without one that is PN_STATE. */
void pn_handshake_set_psk(pn_handshake *h, const pn_secret_key *psk);

/*
 * WriteMessage: appends the next message with this payload to out (cap bytes).
 * Errors: PN_STATE not our turn, PN_TOO_LARGE, PN_SYS, PN_AUTH (a DH came out
 * zero). After an error the handshake is dead.
 */
PN_MUST_USE pn_err pn_handshake_write(pn_handshake *h, const uint8_t *payload,
    size_t payload_len, uint8_t *out, size_t cap, size_t *ret_len);

/*
 * ReadMessage: takes the peer's next message; its payload goes to payload
 * (cap bytes). Errors: PN_STATE, PN_MALFORMED wrong length, PN_AUTH bad tag,
 * low-order key, or an ephemeral equal to ours; PN_DENIED a static key equal
 * to ours (T34). Dead after an error.
 */
PN_MUST_USE pn_err pn_handshake_read(pn_handshake *h, const uint8_t *message,
    size_t len, uint8_t *payload, size_t cap, size_t *ret_len);

bool pn_handshake_is_done(const pn_handshake *h);

/* The peer's static key once its message has been verified, else NULL. */
const pn_public_key *pn_handshake_peer(const pn_handshake *h);

/* The hash of the whole transcript, PN_HASH_LEN bytes, the same at both ends
 * and different for each handshake; NULL before its end. It is no secret. Valid
 * until pn_handshake_free. Source: Noise, section 11.2. */
const uint8_t *pn_handshake_hash(const pn_handshake *h);

/* Split (5.2): ciphers for sending and receiving. Errors: PN_STATE not done,
 * PN_NOMEM. The handshake's chaining key is wiped. */
PN_MUST_USE pn_err pn_handshake_split(
    pn_handshake *h, pn_cipher *ret_send, pn_cipher *ret_receive);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* SymmetricState: Noise revision 34, section 5.2. */
#ifndef PN_NOISE_SYMMETRIC_STATE_H
#define PN_NOISE_SYMMETRIC_STATE_H

#include "noise/noise.h"

/*
 * The key is kept as bytes, and a keyed cipher exists only while it is used:
 * one would cost more memory than the rest of the handshake, and strangers
 * may hold handshakes open.
 */
typedef struct pn_symmetric {
    uint8_t h[PN_HASH_LEN];
    uint8_t ck[PN_HASH_LEN];
    pn_secret_key k;
    uint64_t n;
    bool has_key;
} pn_symmetric;

/* InitializeSymmetric. Errors here and below: PN_SYS. */
PN_MUST_USE pn_err pn_symmetric_init(
    pn_symmetric *s, const char *name, size_t len);
void pn_symmetric_fini(pn_symmetric *s);

PN_MUST_USE pn_err pn_symmetric_mix_hash(
    pn_symmetric *s, const uint8_t *data, size_t len);
PN_MUST_USE pn_err pn_symmetric_mix_key(
    pn_symmetric *s, const uint8_t ikm[static PN_KEY_LEN]);
/* MixKeyAndHash. */
PN_MUST_USE pn_err pn_symmetric_mix_key_and_hash(
    pn_symmetric *s, const pn_secret_key *psk);

/* The bytes that encryption adds at this point: PN_TAG_LEN with a key, else
 * 0. */
size_t pn_symmetric_overhead(const pn_symmetric *s);

/* EncryptAndHash; out gets len + overhead bytes and is not in. */
PN_MUST_USE pn_err pn_symmetric_encrypt(
    pn_symmetric *s, const uint8_t *in, size_t len, uint8_t *out);
/* DecryptAndHash of len bytes, overhead included; out is not in. Errors:
 * PN_MALFORMED shorter than the overhead, PN_AUTH. */
PN_MUST_USE pn_err pn_symmetric_decrypt(
    pn_symmetric *s, const uint8_t *in, size_t len, uint8_t *out);

/* Split. Errors: PN_SYS, PN_NOMEM; neither cipher is made then. */
PN_MUST_USE pn_err pn_symmetric_split(
    const pn_symmetric *s, pn_cipher *ret_first, pn_cipher *ret_second);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The primitives that peernet uses, over libcrypto. Besides barrel/keys only
 * this folder includes libcrypto. Secrets have a type of their own.
 */
#ifndef PN_CRYPTO_CRYPTO_H
#define PN_CRYPTO_CRYPTO_H

#include <string.h>

#include <peernet/common.h>
#include <peernet/key.h>

#include "base/core.h"

#define PN_KEY_LEN 32
#define PN_TAG_LEN 16
#define PN_HASH_LEN 32

/* An X25519 private key or a symmetric key. Its holder wipes it. */
typedef struct pn_secret_key {
    uint8_t bytes[PN_KEY_LEN];
} pn_secret_key;

/* A static key pair, in memory of pn_secure_alloc. */
typedef struct pn_key_pair {
    pn_secret_key secret;
    pn_public_key public_key;
} pn_key_pair;

/* Overwrites n bytes; the compiler cannot leave it out. */
static inline void pn_wipe(void *p, size_t n)
{
    if (p != NULL) {
        explicit_bzero(p, n);
    }
}

/* Constant-time comparison. */
bool pn_secret_equal(const void *a, const void *b, size_t n);

/* Locked memory left out of core dumps, wiped in a forked child; zero-filled.
 * NULL when there is none. Up to 512 bytes share pages. Thread: any. */
PN_CORE void *pn_secure_alloc(size_t n);
PN_CORE void pn_secure_free(void *p, size_t n); /* wipes first; NULL is fine */

/* Random bytes from the library's CSPRNG. Errors: PN_SYS. */
PN_CORE PN_MUST_USE pn_err pn_random(uint8_t *buf, size_t len);

/* SHA-256 over up to two parts (the second may be NULL, 0). ret_hash may be
 * either part. Errors: PN_SYS. */
PN_MUST_USE pn_err pn_sha256(uint8_t ret_hash[static PN_HASH_LEN],
    const void *a, size_t a_len, const void *b, size_t b_len);

/* HMAC-SHA256. ret_mac is neither key nor data. Errors: PN_SYS. Source: RFC
 * 2104. */
PN_MUST_USE pn_err pn_hmac_sha256(uint8_t ret_mac[static PN_HASH_LEN],
    const uint8_t *key, size_t key_len, const uint8_t *data, size_t data_len);

/* HKDF-SHA256 with empty info and two outputs of 32 bytes; either may be salt
 * itself. Errors: PN_SYS. Source: RFC 5869; Noise, section 4.3. */
PN_MUST_USE pn_err pn_hkdf2_sha256(const uint8_t salt[static PN_HASH_LEN],
    const uint8_t *ikm, size_t ikm_len, uint8_t ret_1[static PN_HASH_LEN],
    uint8_t ret_2[static PN_HASH_LEN]);

/* The same with three outputs; ret_1 may be salt itself. */
PN_MUST_USE pn_err pn_hkdf3_sha256(const uint8_t salt[static PN_HASH_LEN],
    const uint8_t *ikm, size_t ikm_len, uint8_t ret_1[static PN_HASH_LEN],
    uint8_t ret_2[static PN_HASH_LEN], uint8_t ret_3[static PN_HASH_LEN]);

/* The public key of 32 secret bytes; any bytes are a secret. Errors: PN_SYS.
 * Source: RFC 7748, section 5. */
PN_MUST_USE pn_err pn_x25519_public(
    const pn_secret_key *secret, pn_public_key *ret_public);

/* X25519. Errors: PN_AUTH an all-zero result (RFC 7748, section 6.1), output
 * wiped; PN_SYS. */
PN_MUST_USE pn_err pn_x25519(const pn_secret_key *secret,
    const pn_public_key *peer, uint8_t ret_shared[static PN_KEY_LEN]);

/*
 * A secret made ready for several multiplications. OpenSSL holds a copy of it
 * until pn_dh_free, in memory that is wiped but not locked, so free it as soon
 * as it is not used any more. The other two have the errors of the functions
 * above.
 */
typedef struct pn_dh pn_dh;

PN_MUST_USE pn_err pn_dh_new(const pn_secret_key *secret, pn_dh **ret_dh);
void pn_dh_free(pn_dh *dh); /* NULL is fine */
PN_MUST_USE pn_err pn_dh_public(pn_dh *dh, pn_public_key *ret_public);
PN_MUST_USE pn_err pn_dh_shared(pn_dh *dh, const pn_public_key *peer,
    uint8_t ret_shared[static PN_KEY_LEN]);

/*
 * ChaCha20-Poly1305 (RFC 8439) with one key, both ways. The nonce is 4 zero
 * bytes and a little-endian counter of 8 (Noise, section 12.3). out may be in.
 * Keyed contexts are cheap to use and expensive to make.
 */
typedef struct pn_aead pn_aead;

PN_MUST_USE pn_err pn_aead_new(const pn_secret_key *key, pn_aead **ret_aead);
void pn_aead_free(pn_aead *a); /* wipes the key; NULL is fine */

/* out needs room for len + PN_TAG_LEN. Errors: PN_SYS; PN_STATE in a process
 * forked since pn_aead_new. */
PN_MUST_USE pn_err pn_aead_seal(pn_aead *a, uint64_t counter, const uint8_t *ad,
    size_t ad_len, const uint8_t *in, size_t len, uint8_t *out);

/* len includes the tag (>= PN_TAG_LEN); out gets len - PN_TAG_LEN bytes.
 * Errors: PN_AUTH, and what was written to out is wiped. */
PN_MUST_USE pn_err pn_aead_open(pn_aead *a, uint64_t counter, const uint8_t *ad,
    size_t ad_len, const uint8_t *in, size_t len, uint8_t *out);

/*
 * scrypt (RFC 7914): a key from a passphrase, made slow to guess. N is two to
 * the power of log_n, 1 to 24; the call takes 128 * N * r bytes of memory, and
 * the caller bounds both. Errors: PN_NOMEM there is not as much; PN_SYS.
 * ret_key is not meant to be used then.
 */
PN_MUST_USE pn_err pn_scrypt(pn_slice passphrase, pn_slice salt, unsigned log_n,
    uint32_t r, uint32_t p, pn_secret_key *ret_key);

#endif

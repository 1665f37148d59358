/* SPDX-License-Identifier: Apache-2.0 */
/* CipherState: Noise revision 34, section 5.1. */
#include "base/assert.h"
#include "base/mutant.h"
#include "noise/noise.h"

/* Noise, section 3; a profile may allow more. */
#define STANDARD_MAX 65535

/* 2^64-1 is reserved and never used as a nonce (Noise, section 5.1). */
static bool is_exhausted(const pn_cipher *c)
{
    return c->n == UINT64_MAX;
}

void pn_cipher_fini(pn_cipher *c)
{
    pn_aead_free(c->aead);
    c->aead = NULL;
    c->n = 0;
}

pn_err pn_cipher_init(pn_cipher *c, const pn_secret_key *key)
{
    c->n = 0;
    c->max_message = STANDARD_MAX;
    c->aead = NULL;
    return pn_aead_new(key, &c->aead);
}

pn_err pn_cipher_encrypt(pn_cipher *c, const uint8_t *ad, size_t ad_len,
    const uint8_t *in, size_t len, uint8_t *out)
{
    pn_err err;

    assert(c->aead != NULL && c->max_message > PN_TAG_LEN);
    if (PN_REFUSE_IF(cipher_max_seal, len > c->max_message - PN_TAG_LEN)) {
        return PN_TOO_LARGE;
    }
    if (PN_REFUSE_IF(nonce_exhausted_seal, is_exhausted(c))) {
        return PN_LIMIT;
    }
    err = pn_aead_seal(c->aead, c->n, ad, ad_len, in, len, out);
    if (err == PN_OK) {
        c->n++;
    }
    return err;
}

pn_err pn_cipher_decrypt(pn_cipher *c, const uint8_t *ad, size_t ad_len,
    const uint8_t *in, size_t len, uint8_t *out)
{
    pn_err err;

    assert(c->aead != NULL && c->max_message > PN_TAG_LEN);
    if (PN_REFUSE_IF(cipher_shorter_than_tag, len < PN_TAG_LEN)) {
        return PN_MALFORMED;
    }
    if (PN_REFUSE_IF(cipher_max_open, len > c->max_message)) {
        return PN_LIMIT;
    }
    if (PN_REFUSE_IF(nonce_exhausted_open, is_exhausted(c))) {
        return PN_LIMIT;
    }
    err = pn_aead_open(c->aead, c->n, ad, ad_len, in, len, out);
    /* A forged message must not move the counter (T32). */
    if (PN_REFUSE_IF(nonce_kept_on_failure, err != PN_OK)) {
        return err;
    }
    c->n++;
    return err;
}

pn_err pn_cipher_seal(
    pn_cipher *c, const uint8_t *ad, size_t ad_len, uint8_t *buf, size_t len)
{
    return pn_cipher_encrypt(c, ad, ad_len, buf, len, buf);
}

pn_err pn_cipher_open(pn_cipher *c, const uint8_t *ad, size_t ad_len,
    uint8_t *buf, size_t len, size_t *ret_len)
{
    pn_err err = pn_cipher_decrypt(c, ad, ad_len, buf, len, buf);

    if (err == PN_OK) {
        *ret_len = len - PN_TAG_LEN;
    }
    return err;
}

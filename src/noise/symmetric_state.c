/* SPDX-License-Identifier: Apache-2.0 */
/* SymmetricState: Noise revision 34, section 5.2. */
#include <string.h>

#include "noise/symmetric_state.h"

pn_err pn_symmetric_init(pn_symmetric *s, const char *name, size_t len)
{
    pn_err err = PN_OK;

    memset(s, 0, sizeof(*s));
    if (len <= PN_HASH_LEN) {
        memcpy(s->h, name, len);
    } else {
        err = pn_sha256(s->h, name, len, NULL, 0);
    }
    memcpy(s->ck, s->h, PN_HASH_LEN);
    return err;
}

void pn_symmetric_fini(pn_symmetric *s)
{
    pn_wipe(s, sizeof(*s));
}

pn_err pn_symmetric_mix_hash(pn_symmetric *s, const uint8_t *data, size_t len)
{
    return pn_sha256(s->h, s->h, PN_HASH_LEN, data, len);
}

pn_err pn_symmetric_mix_key(
    pn_symmetric *s, const uint8_t ikm[static PN_KEY_LEN])
{
    pn_err err = pn_hkdf2_sha256(s->ck, ikm, PN_KEY_LEN, s->ck, s->k.bytes);

    s->n = 0;
    s->has_key = err == PN_OK;
    return err;
}

pn_err pn_symmetric_mix_key_and_hash(pn_symmetric *s, const pn_secret_key *psk)
{
    uint8_t hash[PN_HASH_LEN];
    pn_err err = pn_hkdf3_sha256(
        s->ck, psk->bytes, PN_KEY_LEN, s->ck, hash, s->k.bytes);

    if (err == PN_OK) {
        err = pn_symmetric_mix_hash(s, hash, sizeof(hash));
    }
    pn_wipe(hash, sizeof(hash));
    s->n = 0;
    s->has_key = err == PN_OK;
    return err;
}

size_t pn_symmetric_overhead(const pn_symmetric *s)
{
    return s->has_key ? PN_TAG_LEN : 0;
}

/* pn_cipher_encrypt or pn_cipher_decrypt. */
typedef pn_err cipher_function(pn_cipher *c, const uint8_t *ad, size_t ad_len,
    const uint8_t *in, size_t len, uint8_t *out);

/* With the key, h being the associated data; without one a copy. */
static pn_err run_cipher(pn_symmetric *s, cipher_function *run,
    const uint8_t *in, size_t len, uint8_t *out)
{
    pn_cipher c;
    pn_err err;

    if (!s->has_key) {
        if (len > 0) {
            memcpy(out, in, len);
        }
        return PN_OK;
    }
    err = pn_cipher_init(&c, &s->k);
    if (err != PN_OK) {
        return err;
    }
    c.n = s->n;
    err = run(&c, s->h, PN_HASH_LEN, in, len, out);
    s->n = c.n;
    pn_cipher_fini(&c);
    return err;
}

pn_err pn_symmetric_encrypt(
    pn_symmetric *s, const uint8_t *in, size_t len, uint8_t *out)
{
    pn_err err = run_cipher(s, pn_cipher_encrypt, in, len, out);

    if (err != PN_OK) {
        return err;
    }
    return pn_symmetric_mix_hash(s, out, len + pn_symmetric_overhead(s));
}

pn_err pn_symmetric_decrypt(
    pn_symmetric *s, const uint8_t *in, size_t len, uint8_t *out)
{
    pn_err err = run_cipher(s, pn_cipher_decrypt, in, len, out);

    if (err != PN_OK) {
        return err;
    }
    return pn_symmetric_mix_hash(s, in, len);
}

pn_err pn_symmetric_split(
    const pn_symmetric *s, pn_cipher *ret_first, pn_cipher *ret_second)
{
    pn_secret_key k1;
    pn_secret_key k2;
    pn_cipher first = {0};
    pn_err err;

    err = pn_hkdf2_sha256(s->ck, NULL, 0, k1.bytes, k2.bytes);
    if (err == PN_OK) {
        err = pn_cipher_init(&first, &k1);
    }
    if (err == PN_OK) {
        err = pn_cipher_init(ret_second, &k2);
    }
    if (err == PN_OK) {
        *ret_first = first;
    } else {
        pn_cipher_fini(&first);
    }
    pn_wipe(&k1, sizeof(k1));
    pn_wipe(&k2, sizeof(k2));
    return err;
}

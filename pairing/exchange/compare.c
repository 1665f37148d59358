/* SPDX-License-Identifier: Apache-2.0 */
/* Commit, reveal and digits: docs/PROTOCOL.md, section 10.3. */
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/mutant.h"
#include "compare.h"

/* What is hashed begins with one of these, so that no hash of one purpose
 * passes for another. Both have one length, and are hashed without the NUL. */
#define DOMAIN_LEN 24
typedef struct domain {
    uint8_t bytes[DOMAIN_LEN + 1];
} domain;
static const domain domain_commit = {"peernet pairing: commit."};
static const domain domain_digits = {"peernet pairing: digits."};

/* The role of the end that commits. */
#define ROLE_RESPONDER 'R'

pn_err pn_compare_init(pn_compare *c, bool is_initiator,
    const pn_public_key *ours, const pn_public_key *theirs,
    const uint8_t hash[static PN_HASH_LEN], const pn_env *env)
{
    const pn_public_key *initiator = is_initiator ? ours : theirs;
    const pn_public_key *responder = is_initiator ? theirs : ours;

    *c = (pn_compare){.is_initiator = is_initiator};
    memcpy(c->context, initiator->bytes, PN_KEY_LEN);
    memcpy(c->context + PN_KEY_LEN, responder->bytes, PN_KEY_LEN);
    memcpy(c->context + 2 * PN_KEY_LEN, hash, PN_HASH_LEN);
    return env->random(env->user, c->ours, sizeof(c->ours));
}

void pn_compare_fini(pn_compare *c)
{
    pn_wipe(c, sizeof(*c));
}

/* HMAC keyed with the nonce: 32 random bytes hide it, and SHA-256 binds it. */
static pn_err commit(const pn_compare *c,
    const uint8_t nonce[static PN_COMPARE_NONCE_LEN],
    uint8_t ret_commitment[static PN_HASH_LEN])
{
    uint8_t data[DOMAIN_LEN + 1 + sizeof(c->context)];

    memcpy(data, domain_commit.bytes, DOMAIN_LEN);
    data[DOMAIN_LEN] = ROLE_RESPONDER;
    memcpy(data + DOMAIN_LEN + 1, c->context, sizeof(c->context));
    return pn_hmac_sha256(
        ret_commitment, nonce, PN_COMPARE_NONCE_LEN, data, sizeof(data));
}

pn_err pn_compare_commit(
    const pn_compare *c, uint8_t ret_commitment[static PN_HASH_LEN])
{
    assert(!c->is_initiator);
    return commit(c, c->ours, ret_commitment);
}

void pn_compare_committed(
    pn_compare *c, const uint8_t commitment[static PN_HASH_LEN])
{
    assert(c->is_initiator);
    memcpy(c->commitment, commitment, PN_HASH_LEN);
}

pn_err pn_compare_reveal(
    pn_compare *c, const uint8_t theirs[static PN_COMPARE_NONCE_LEN])
{
    uint8_t expected[PN_HASH_LEN];

    if (c->is_initiator) {
        pn_err err = commit(c, theirs, expected);

        if (err != PN_OK) {
            return err;
        }
        if (PN_REFUSE_IF(pairing_commitment,
                !pn_secret_equal(expected, c->commitment, PN_HASH_LEN))) {
            return PN_AUTH;
        }
    }
    memcpy(c->theirs, theirs, PN_COMPARE_NONCE_LEN);
    return PN_OK;
}

/* The first 8 bytes of the hash, modulo 10^n. Each value is off its share of
 * one in 10^n by less than 2^-64, for six digits 10^6/2^64 or 6e-14 of it. */
pn_err pn_compare_digits(const pn_compare *c, unsigned n,
    char ret_digits[static PN_COMPARE_DIGITS + 1])
{
    const uint8_t *initiator = c->is_initiator ? c->ours : c->theirs;
    const uint8_t *responder = c->is_initiator ? c->theirs : c->ours;
    uint8_t data[DOMAIN_LEN + 2 * PN_COMPARE_NONCE_LEN];
    uint8_t hash[PN_HASH_LEN];
    uint64_t value;
    pn_err err;

    assert(n >= 1 && n <= PN_COMPARE_DIGITS);
    memcpy(data, domain_digits.bytes, DOMAIN_LEN);
    memcpy(data + DOMAIN_LEN, initiator, PN_COMPARE_NONCE_LEN);
    memcpy(data + DOMAIN_LEN + PN_COMPARE_NONCE_LEN, responder,
        PN_COMPARE_NONCE_LEN);
    err = pn_sha256(hash, data, sizeof(data), c->context, sizeof(c->context));
    pn_wipe(data, sizeof(data));
    if (err != PN_OK) {
        return err;
    }
    value = pn_load_be64(hash);
    ret_digits[n] = '\0';
    for (unsigned i = n; i > 0; i--) {
        ret_digits[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    return PN_OK;
}

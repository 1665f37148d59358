/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commit, reveal and digits: what two owners compare (docs/PROTOCOL.md,
 * section 10). The responder commits to its nonce before it sees the
 * initiator's, so neither end chooses the digits. Both nonces are made here;
 * messages and their encryption are exchange/digits.h's.
 */
#ifndef PN_EXCHANGE_COMPARE_H
#define PN_EXCHANGE_COMPARE_H

#include "base/env.h"
#include "crypto/crypto.h"

#define PN_COMPARE_NONCE_LEN 32
#define PN_COMPARE_DIGITS 6

/* One end. Its owner wipes it: pn_compare_fini. */
typedef struct pn_compare {
    bool is_initiator;
    /* The initiator's static key, the responder's, the handshake hash. */
    uint8_t context[2 * PN_KEY_LEN + PN_HASH_LEN];
    uint8_t ours[PN_COMPARE_NONCE_LEN];
    uint8_t theirs[PN_COMPARE_NONCE_LEN];
    uint8_t commitment[PN_HASH_LEN]; /* initiator: the responder's */
} pn_compare;

/* Draws our nonce. The keys are the two static keys of the handshake whose
 * hash is given. Errors: PN_SYS. */
PN_MUST_USE pn_err pn_compare_init(pn_compare *c, bool is_initiator,
    const pn_public_key *ours, const pn_public_key *theirs,
    const uint8_t hash[static PN_HASH_LEN], const pn_env *env);
void pn_compare_fini(pn_compare *c);

/* The responder's commitment to its nonce. Errors: PN_SYS. */
PN_MUST_USE pn_err pn_compare_commit(
    const pn_compare *c, uint8_t ret_commitment[static PN_HASH_LEN]);

/* The initiator keeps what the responder committed to. */
void pn_compare_committed(
    pn_compare *c, const uint8_t commitment[static PN_HASH_LEN]);

/* Takes the other end's nonce. Errors: PN_AUTH it is not what the responder
 * committed to (the initiator asks); PN_SYS. */
PN_MUST_USE pn_err pn_compare_reveal(
    pn_compare *c, const uint8_t theirs[static PN_COMPARE_NONCE_LEN]);

/* The digits as text, n (at most PN_COMPARE_DIGITS) and a NUL; the same at both
 * ends. Errors: PN_SYS. */
PN_MUST_USE pn_err pn_compare_digits(const pn_compare *c, unsigned n,
    char ret_digits[static PN_COMPARE_DIGITS + 1]);

#endif

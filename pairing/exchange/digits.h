/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One exchange in which two owners compare digits (docs/PROTOCOL.md, section
 * 10): Noise XX, commit, reveal, two answers. An engine: bytes, the time and
 * the owner's answer in; bytes and an outcome out.
 *
 * A peer is stored only through callbacks->store, which is called when our
 * owner has said yes and the other end's yes has been authenticated. The
 * responder says its yes first, and the initiator stores before it says its
 * own: so only the responder can be left waiting, and it keeps a record of it
 * (callbacks->pend).
 */
#ifndef PN_EXCHANGE_DIGITS_H
#define PN_EXCHANGE_DIGITS_H

#include "base/env.h"
#include "compare.h"
#include "crypto/crypto.h"
#include "offer.h"

/* The first byte of a connection: what follows. */
#define PN_PAIRING_DIGITS 1
#define PN_PAIRING_INVITATION 2

/* Bytes of each message; nothing has another length. */
#define PN_DIGITS_M1_LEN (1 + PN_KEY_LEN)
#define PN_DIGITS_M2_LEN (2 * PN_KEY_LEN + 2 * PN_TAG_LEN)
#define PN_DIGITS_M3_LEN (PN_KEY_LEN + 2 * PN_TAG_LEN)
#define PN_DIGITS_COMMIT_LEN (PN_HASH_LEN + PN_TAG_LEN)
#define PN_DIGITS_NONCE_LEN (PN_COMPARE_NONCE_LEN + PN_TAG_LEN)
#define PN_DIGITS_ANSWER_LEN (PN_OFFER_TEXT_LEN + PN_TAG_LEN)

#define PN_DIGITS_LABEL_MAX PN_OFFER_LABEL_MAX

/* From the first byte to the digits; and, once the initiator has stored, for
 * the responder's word that it has. */
#define PN_DIGITS_EXCHANGE_US (10 * PN_US_PER_S)
#define PN_DIGITS_STORED_US (5 * PN_US_PER_S)

/* What an end says of itself with its yes. */
typedef pn_offer pn_digits_offer;

typedef enum pn_digits_outcome {
    PN_DIGITS_OPEN,      /* it goes on */
    PN_DIGITS_PAIRED,    /* stored here, and the other end says it has too */
    PN_DIGITS_STORED,    /* initiator: stored here; the other end was not heard
                            again and stores at the next contact */
    PN_DIGITS_PENDING,   /* responder: our yes is out, theirs did not come */
    PN_DIGITS_NO_HERE,   /* our owner said no */
    PN_DIGITS_NO_THERE,  /* the other end's did, or did not answer in time */
    PN_DIGITS_LATE,      /* a deadline of ours passed */
    PN_DIGITS_LOST,      /* the connection ended */
    PN_DIGITS_BROKEN,    /* a message does not verify, or is out of place */
    PN_DIGITS_CHEATED,   /* the nonce is not what was committed to */
    PN_DIGITS_OTHER_KEY, /* the responder has another key than expected */
    PN_DIGITS_OWN_KEY,
    PN_DIGITS_DECLINED, /* callbacks->may_pair said no */
    PN_DIGITS_FAILED    /* here: no memory, or the peer could not be stored */
} pn_digits_outcome;

/* Called from inside the functions below. */
typedef struct pn_digits_callbacks {
    /* The other end has proven this key; false ends the exchange, and nobody
     * has committed to anything. */
    bool (*may_pair)(void *user, const pn_public_key *peer);
    /* Responder, before its yes is sent: keep durably that our owner said yes.
     * An error ends the exchange with a no. */
    pn_err (*pend)(void *user, const pn_public_key *peer);
    /* ... and forget it: the other end said no. */
    void (*unpend)(void *user, const pn_public_key *peer);
    /* Both said yes: store the peer. An error ends the exchange; what pend kept
     * stays. */
    pn_err (*store)(
        void *user, const pn_public_key *peer, const pn_digits_offer *offer);
} pn_digits_callbacks;

typedef struct pn_digits_config {
    bool is_initiator;
    const pn_key_pair *identity;          /* borrowed */
    const pn_public_key *expected;        /* initiator; copied; NULL: any */
    const pn_env *env;                    /* borrowed */
    const pn_digits_callbacks *callbacks; /* borrowed */
    void *user;
    uint64_t answer_until_us; /* the owners' time ends then */
    unsigned n_digits;        /* PN_COMPARE_DIGITS; tests take fewer */
} pn_digits_config;

typedef struct pn_digits pn_digits;

/* Begins one. Errors: PN_NOMEM, PN_SYS. */
PN_MUST_USE pn_err pn_digits_new(
    const pn_digits_config *config, uint64_t now_us, pn_digits **ret_digits);
void pn_digits_free(pn_digits *d); /* wipes; NULL is fine */

/* Takes bytes of the other end, which are overwritten. Returns how many were
 * used up; the rest comes again when *ret_want bytes are there. */
size_t pn_digits_input(
    pn_digits *d, uint64_t now_us, uint8_t *data, size_t len, size_t *ret_want);
/* Bytes for the other end, until they were sent; also after the end. */
pn_slice pn_digits_output(const pn_digits *d);
void pn_digits_sent(pn_digits *d, size_t n);

/* The owner's answer to the digits, once; offer is ours, copied. Before the
 * digits are there and after an answer it does nothing. */
void pn_digits_answer(
    pn_digits *d, uint64_t now_us, bool yes, const pn_digits_offer *offer);
/* The connection is gone. */
void pn_digits_closed(pn_digits *d);
/* To be called at the deadline. */
void pn_digits_tick(pn_digits *d, uint64_t now_us);
uint64_t pn_digits_deadline(const pn_digits *d);

pn_digits_outcome pn_digits_get_outcome(const pn_digits *d);
/* The digits to compare; NULL: not yet. */
const char *pn_digits_shown(const pn_digits *d);
/* True while our owner has to answer. */
bool pn_digits_is_asking(const pn_digits *d);
/* The other end's key once proven, else NULL. */
const pn_public_key *pn_digits_peer(const pn_digits *d);
/* It got past the commitment: unless it ends in two yeses, it is a failed try
 * of this window. */
bool pn_digits_is_try(const pn_digits *d);

#endif

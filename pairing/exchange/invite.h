/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One use of an invitation (docs/PROTOCOL.md, section 11.2): Noise XXpsk3 with
 * the key of the invitation, what the joiner says of itself, and the inviter's
 * answer. An engine: bytes and the time in; bytes and an outcome out. The
 * initiator joins, the responder has invited.
 *
 * An id whose key is not known runs to the end with a random key. Whoever does
 * not have the key, and whoever has it and may not use it, sees the same bytes:
 * M2, and the end of the connection after M3.
 */
#ifndef PN_EXCHANGE_INVITE_H
#define PN_EXCHANGE_INVITE_H

#include "base/env.h"
#include "base/slice.h"
#include "crypto/crypto.h"
#include "invitation.h"
#include "offer.h"

/* The first byte of the connection. */
#define PN_INVITE_FIRST 2

/* Bytes of each message; nothing has another length. */
#define PN_INVITE_M1_LEN (1 + PN_KEY_LEN + PN_INVITATION_ID_LEN + PN_TAG_LEN)
#define PN_INVITE_M2_LEN (2 * PN_KEY_LEN + 2 * PN_TAG_LEN)
/* M3 and JOIN, which are one message. */
#define PN_INVITE_JOIN_LEN                                                     \
    (PN_KEY_LEN + 2 * PN_TAG_LEN + PN_OFFER_TEXT_LEN + PN_TAG_LEN)
#define PN_INVITE_ANSWER_LEN (PN_OFFER_TEXT_LEN + PN_TAG_LEN)

/* From the first byte to the joiner's last. */
#define PN_INVITE_EXCHANGE_US (20 * PN_US_PER_S)

typedef enum pn_invite_outcome {
    PN_INVITE_OPEN,        /* it goes on */
    PN_INVITE_JOINED,      /* stored here, and the other end says it has too */
    PN_INVITE_UNCONFIRMED, /* responder: the use is taken and the joiner stored,
                              but it was not heard again; it may come back */
    PN_INVITE_REFUSED,     /* joiner: the inviter ended it after M3 */
    PN_INVITE_LATER,       /* joiner: the inviter could not store it now */
    PN_INVITE_LATE,        /* the deadline passed */
    PN_INVITE_LOST,        /* the connection ended */
    PN_INVITE_BROKEN,      /* a message does not verify, or is out of place */
    PN_INVITE_OTHER_KEY,   /* joiner: it is not the inviter that answered */
    PN_INVITE_OWN_KEY,
    PN_INVITE_FAILED /* here: no memory, or the peer could not be stored */
} pn_invite_outcome;

/* Called from inside the functions below. */
typedef struct pn_invite_callbacks {
    /* Responder, at M1: the key of a use that may be open. Errors: any; the
     * exchange goes on with a random key. */
    pn_err (*find)(void *user, const uint8_t id[static PN_INVITATION_ID_LEN],
        pn_secret_key *ret_key);
    /* Responder, at M3 of a joiner that has the key, once: takes the use,
     * durably, and stores the joiner; *ret_ours is what we say of us. Errors:
     * PN_DENIED there is no use left for it, others are ours. */
    pn_err (*take)(void *user, const uint8_t id[static PN_INVITATION_ID_LEN],
        const pn_public_key *joiner, const pn_offer *theirs,
        pn_offer *ret_ours);
    /* Responder, instead of take: M3 does not verify. */
    void (*refused)(void *user, const uint8_t id[static PN_INVITATION_ID_LEN]);
    /* Responder: the joiner says that it has stored us. */
    void (*confirmed)(void *user, const uint8_t id[static PN_INVITATION_ID_LEN],
        const pn_public_key *joiner);
    /* Joiner: accepted; store the inviter, durably. */
    pn_err (*store)(
        void *user, const pn_public_key *inviter, const pn_offer *theirs);
} pn_invite_callbacks;

typedef struct pn_invite_config {
    const pn_key_pair *identity;          /* borrowed */
    const pn_env *env;                    /* borrowed */
    const pn_invite_callbacks *callbacks; /* borrowed */
    void *user;
    /* A joiner has these, copied; a responder has neither. */
    const pn_invitation *invitation;
    const pn_offer *offer;
} pn_invite_config;

typedef struct pn_invite pn_invite;

/* Begins one. Errors: PN_NOMEM, PN_SYS. */
PN_MUST_USE pn_err pn_invite_new(
    const pn_invite_config *config, uint64_t now_us, pn_invite **ret_invite);
void pn_invite_free(pn_invite *v); /* wipes; NULL is fine */

/* Takes bytes of the other end, which are overwritten. Returns how many were
 * used up; the rest comes again when *ret_want bytes are there. */
size_t pn_invite_input(
    pn_invite *v, uint8_t *data, size_t len, size_t *ret_want);
/* Bytes for the other end, until they were sent; also after the end. */
pn_slice pn_invite_output(const pn_invite *v);
void pn_invite_sent(pn_invite *v, size_t n);

/* The connection is gone. */
void pn_invite_closed(pn_invite *v);
/* To be called at the deadline. */
void pn_invite_tick(pn_invite *v, uint64_t now_us);
uint64_t pn_invite_deadline(const pn_invite *v);

pn_invite_outcome pn_invite_get_outcome(const pn_invite *v);
/* The other end's key once proven, else NULL. */
const pn_public_key *pn_invite_peer(const pn_invite *v);

#endif

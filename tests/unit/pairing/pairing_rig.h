/* SPDX-License-Identifier: Apache-2.0 */
/* Two ends of an exchange of digits, what they stored, and an end of the
 * attacker's that says what it likes. */
#ifndef PN_TESTS_PAIRING_RIG_H
#define PN_TESTS_PAIRING_RIG_H

#include <string.h>

#include "exchange/digits.h"
#include "harness.h"
#include "noise/noise.h"

#define PAIRING_S PN_US_PER_S
/* When a rig begins, and when its owners' time is over. */
#define PAIRING_BEGIN (1000 * PAIRING_S)
#define PAIRING_UNTIL (PAIRING_BEGIN + 120 * PAIRING_S)

typedef struct pairing_end {
    pn_digits *digits;
    pn_key_pair identity;
    pn_env env;
    uint64_t seed;
    bool may_pair;
    pn_err pend_err;
    pn_err store_err;
    unsigned n_asked; /* may_pair */
    unsigned n_pend;
    unsigned n_store;
    bool is_pending;
    bool is_stored;
    bool had_said_yes; /* our owner, when store was called */
    bool owner_yes;
    pn_digits_offer theirs; /* as stored */
} pairing_end;

typedef struct pairing_rig {
    pairing_end a; /* initiator */
    pairing_end b;
    uint64_t now_us;
    unsigned n_messages; /* carried from one end to the other */
    unsigned drop_at;    /* the connection breaks instead of this one */
    bool is_cut;
    /* Changes each message on its way; NULL: nobody does. */
    void (*change)(void *user, unsigned n, uint8_t *data, size_t len);
    void *change_user;
} pairing_rig;

#define PAIRING_DROP_NONE UINT32_MAX

/* Keys, environments; no exchange yet. */
void pairing_rig_init(pairing_rig *rig, uint64_t seed);
/* Begins the exchange at both ends. */
void pairing_rig_start(pairing_rig *rig, unsigned n_digits);
void pairing_rig_open(pairing_rig *rig, pairing_end *end, bool is_initiator,
    const pn_public_key *expected, unsigned n_digits);
void pairing_rig_fini(pairing_rig *rig);
/* Carries messages until nobody has one. */
void pairing_rig_run(pairing_rig *rig);
/* Gives bytes to an end; they are copied. */
void pairing_rig_give(
    pairing_rig *rig, pairing_end *end, const uint8_t *data, size_t len);
/* The owner of an end answers. */
void pairing_rig_answer(pairing_rig *rig, pairing_end *end, bool yes);
/* The initiator's node is in contact with the responder's: a pending record is
 * completed when the initiator has stored. */
void pairing_rig_contact(pairing_rig *rig);

/* An end that has only the handshake and the ciphers. */
typedef struct pairing_bare {
    pn_key_pair identity;
    pn_env env;
    uint64_t seed;
    bool is_initiator;
    pn_handshake *handshake;
    pn_public_key peer;
    uint8_t hash[PN_HASH_LEN];
    pn_cipher send;
    pn_cipher receive;
} pairing_bare;

void pairing_bare_init(pairing_bare *bare, bool is_initiator, uint64_t seed);
void pairing_bare_fini(pairing_bare *bare);
/* Runs the handshake with an end that has been opened. */
void pairing_bare_meet(pairing_bare *bare, pairing_rig *rig, pairing_end *end);
/* Seals and gives; receives and opens len bytes of text. */
void pairing_bare_say(pairing_bare *bare, pairing_rig *rig, pairing_end *end,
    const uint8_t *text, size_t len);
void pairing_bare_hear(
    pairing_bare *bare, pairing_end *end, uint8_t *text, size_t len);

#endif

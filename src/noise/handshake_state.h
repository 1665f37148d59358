/* SPDX-License-Identifier: Apache-2.0 */
/* HandshakeState: Noise revision 34, section 5.3. Tests compare its members
 * step by step with recorded transcripts. */
#ifndef PN_NOISE_HANDSHAKE_STATE_H
#define PN_NOISE_HANDSHAKE_STATE_H

#include "base/assert.h"
#include "noise/symmetric_state.h"

struct pn_handshake {
    const pn_noise_profile *profile;
    const pn_key_pair *s; /* borrowed */
    const pn_env *env;    /* borrowed */
    pn_key_pair e;
    pn_dh *e_dh; /* while it is used: see rest() */
    pn_public_key rs;
    pn_public_key re;
    pn_symmetric symmetric;
    pn_secret_key psk; /* profile->is_psk3 */
    bool has_psk;
    bool initiator;
    bool is_dead;
    bool is_split;
    bool knows_peer; /* rs has been verified with its whole message */
    uint8_t n_messages;
};

/* One slot of pn_secure_alloc: what a half-open link of a stranger costs. */
static_assert(sizeof(struct pn_handshake) <= 512, "a handshake is one slot");

#endif

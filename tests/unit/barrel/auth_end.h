/* SPDX-License-Identifier: Apache-2.0 */
/* One end of an authentication for the tests, seeded, with counters; and the
 * messages of an honest peer, one by one. */
#ifndef PN_TESTS_AUTH_END_H
#define PN_TESTS_AUTH_END_H

#include "auth/auth.h"
#include "harness.h"

#define WALL_MS UINT64_C(1790000000123)
#define AUTH_TIMEOUT_US (10 * PN_US_PER_S)
#define AUTH_WINDOW_MS UINT64_C(30000)
#define NOW_US (1000 * PN_US_PER_S)

typedef struct auth_end {
    pn_auth *auth;
    pn_auth_config config;
    pn_ed25519_pair identity;
    uint8_t binding[PN_AUTH_BINDING_LEN];
    pn_env env;
    uint64_t seed;
    bool has_nonce; /* a recorded one instead of the seed's */
    uint8_t nonce[PN_AUTH_NONCE_LEN];
    pn_auth_challenge challenge; /* its own, as auth_read_challenge found it */
    bool no_random;
    pn_auth_pin pin; /* the result of the look-up */
    pn_err add_err;
    unsigned n_added;
    unsigned n_lookups;
    size_t said_when_added; /* bytes of output there were then */
} auth_end;

pn_slice auth_text(const char *text);

/* alpha dials beta, as in the recorded transcript; both know each other. */
void auth_end_init(auth_end *e, bool initiator);
void auth_end_key(auth_end *e, uint8_t first); /* seed: first, first + 1, ... */
void auth_end_start(auth_end *e);
void auth_end_fini(auth_end *e);

void auth_hear(auth_end *e, const uint8_t *data, size_t len);
/* Takes the output of e, at most max bytes. */
size_t auth_take(auth_end *e, uint8_t *out, size_t max);
void auth_pass(auth_end *from, auth_end *to, size_t max);
/* Exchanges output until neither end has any. */
void auth_talk(auth_end *a, auth_end *b);

void auth_assert_failed(const auth_end *e, pn_auth_reason want);
void auth_assert_done(const auth_end *e, const auth_end *peer);

/* ---- a peer by hand ------------------------------------------------------ */

/* The peer's next message. */
typedef enum auth_step {
    AUTH_AT_HELLO,
    AUTH_AT_CHALLENGE,
    AUTH_AT_RESPONSE,
    AUTH_AT_LAST,
    AUTH_N_STEPS
} auth_step;

/* Each writes a message with its header and returns how long it is. */
size_t auth_peer_hello(
    const auth_end *victim, const auth_end *peer, uint8_t *out);
size_t auth_peer_challenge(
    const auth_end *victim, const auth_end *peer, uint8_t *out);
size_t auth_peer_response(
    const auth_end *victim, const auth_end *peer, uint8_t *out);
size_t auth_peer_ok(const auth_end *victim, const auth_end *peer, uint8_t *out);
size_t auth_challenge_at(uint64_t wall_ms, uint8_t *out);
size_t auth_signed_by(const pn_ed25519_pair *by, const pn_ed25519_key *as,
    const uint8_t *binding, const pn_auth_challenge *c, uint8_t *out);
/* Finds e's challenge in its output that was not taken yet. */
void auth_read_challenge(auth_end *e);
/* The peer's messages before upto. */
void auth_hear_honest(auth_end *victim, const auth_end *peer, auth_step upto);

#endif

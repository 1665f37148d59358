/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Barrel's authentication of a connection: both ends prove an Ed25519 key to
 * each other, bound to the TLS channel they do it over;
 * docs/BARREL-PROTOCOL.md, sections 3 to 9. No I/O and no clock: bytes and the
 * time go in, bytes come out.
 *
 * On the wire it is upstream's, message by message. Where honest peers cannot
 * notice it is stricter (docs/BARREL-PROTOCOL.md, section 17): our own key,
 * name or nonce coming back is refused (D1), the name must be the one that was
 * dialled (D2), a responder signs only after the initiator has proven its key,
 * a new pin is stored before the peer is told of its success (D18), nothing may
 * follow the last message, and there is no way to do without.
 */
#ifndef PN_BARREL_AUTH_AUTH_H
#define PN_BARREL_AUTH_AUTH_H

#include "auth/message.h"
#include "base/env.h"
#include "keys/pins.h"

#define PN_AUTH_TIMEOUT_MAX_US (120 * PN_US_PER_S)
#define PN_AUTH_WINDOW_MAX_MS UINT64_C(600000)

/* Why an attempt failed: for the owner of the node. The first three are also
 * what a responder may tell, in upstream's spelling. */
#define PN_AUTH_REASONS(X)                                                     \
    X(NONE, "none")                                                            \
    X(KEY_MISMATCH, "key_mismatch")                                            \
    X(UNTRUSTED_KEY, "untrusted_key")                                          \
    X(SIGNATURE_INVALID, "signature_invalid")                                  \
    X(REJECTED, "auth_rejected")                                               \
    X(UNEXPECTED_MESSAGE, "unexpected_message")                                \
    X(UNEXPECTED_OK, "unexpected_auth_ok")                                     \
    X(BAD_MESSAGE, "bad_message")                                              \
    X(MESSAGE_TOO_LONG, "message_too_long")                                    \
    X(TRAILING_BYTES, "trailing_bytes")                                        \
    X(PEER_TS_SKEW, "peer_ts_skew")                                            \
    X(OWN_KEY, "own_key")                                                      \
    X(OWN_NAME, "own_name")                                                    \
    X(OWN_NONCE, "own_nonce")                                                  \
    X(NAME_MISMATCH, "name_mismatch")                                          \
    X(CHANNEL_BINDING_FAILED, "channel_binding_failed")                        \
    X(STREAM_FINISHED, "stream_finished")                                      \
    X(STREAM_RESET, "stream_reset")                                            \
    X(TIMEOUT, "auth_stream_timeout")                                          \
    X(PIN_NOT_STORED, "pin_not_stored")                                        \
    X(SYSTEM, "system_error")

#define PN_AUTH_REASON_ENUM(name, text) PN_AUTH_REASON_##name,
typedef enum pn_auth_reason {
    PN_AUTH_REASONS(PN_AUTH_REASON_ENUM) PN_AUTH_N_REASONS
} pn_auth_reason;
#undef PN_AUTH_REASON_ENUM

const char *pn_auth_reason_text(pn_auth_reason reason);

typedef enum pn_auth_mode { PN_AUTH_STRICT, PN_AUTH_TOFU } pn_auth_mode;

/* The pins, as the engine sees them. */
typedef struct pn_auth_pins {
    pn_auth_pin (*look_up)(
        void *user, pn_slice name, const pn_ed25519_key *key);
    /* Keeps a new pin for good, once the peer has proven its key and before it
     * hears so. Not PN_OK: not kept, and the attempt fails; so also when there
     * have been too many new ones (T37). Never replaces one. */
    pn_err (*add)(void *user, pn_slice name, const pn_ed25519_key *key);
} pn_auth_pins;

/* Everything is borrowed until pn_auth_free. */
typedef struct pn_auth_config {
    bool initiator;                  /* we dialled */
    const char *name;                /* ours */
    const char *dialled_name;        /* initiator: the node to reach */
    const pn_ed25519_pair *identity; /* Ed25519: seed and public key */
    /* SHA-256 of the responder's certificate as seen on this connection; NULL:
     * it could not be had, and the attempt fails. */
    const uint8_t *binding;
    pn_auth_mode mode;
    const char *const *cookie_only; /* docs/BARREL-PROTOCOL.md, section 9.2 */
    size_t n_cookie_only;
    uint64_t timeout_us; /* PN_AUTH_TIMEOUT_MAX_US at most */
    uint64_t window_ms;  /* PN_AUTH_WINDOW_MAX_MS at most */
    const pn_env *env;
    const pn_auth_pins *pins;
    void *pins_user;
} pn_auth_config;

typedef enum pn_auth_outcome {
    PN_AUTH_RUNNING,
    PN_AUTH_DONE,             /* the peer has proven its key */
    PN_AUTH_DONE_COOKIE_ONLY, /* let through by name alone: no identity */
    PN_AUTH_FAILED
} pn_auth_outcome;

typedef struct pn_auth pn_auth;

/* Begins an attempt; an initiator has its HELLO to send. Errors: PN_INVALID
 * the configuration asks for what there is not, such as no deadline;
 * PN_NOMEM. */
PN_MUST_USE pn_err pn_auth_new(
    const pn_auth_config *config, uint64_t now_us, pn_auth **ret_auth);
void pn_auth_free(pn_auth *auth); /* NULL is fine; wipes */

/* Bytes of the peer's stream, in any pieces; is_last: it has finished. wall_ms
 * is the time of day, milliseconds since 1970 UTC. Look at the outcome after
 * it; once there is one, more bytes are a failure. */
void pn_auth_input(pn_auth *auth, uint64_t now_us, uint64_t wall_ms,
    const uint8_t *data, size_t len, bool is_last);
void pn_auth_reset(pn_auth *auth); /* the peer has reset its stream */
void pn_auth_tick(pn_auth *auth, uint64_t now_us);
uint64_t pn_auth_deadline(const pn_auth *auth); /* PN_TIME_NEVER when over */

/* Output for our own stream, also of an attempt that failed; when it is empty
 * and there is an outcome, the stream is finished. */
pn_slice pn_auth_output(const pn_auth *auth);
void pn_auth_written(pn_auth *auth, size_t n);

pn_auth_outcome pn_auth_outcome_of(const pn_auth *auth);
pn_auth_reason pn_auth_reason_of(const pn_auth *auth);
/* The defect of the message when the reason is BAD_MESSAGE. */
pn_auth_decoded pn_auth_decoded_of(const pn_auth *auth);
/* The reason bytes of the peer's FAIL when the reason is REJECTED. */
pn_slice pn_auth_rejected_with(const pn_auth *auth);
/* The name of the peer: proven when DONE, claimed when cookie-only (responder)
 * or dialled (initiator), else empty or whatever it said. */
pn_slice pn_auth_peer_name(const pn_auth *auth);
/* The peer's proven key; NULL but when DONE. */
const pn_ed25519_key *pn_auth_peer_key(const pn_auth *auth);

#endif

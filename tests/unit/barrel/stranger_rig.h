/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A peer of the node bob of two_barrels.h that sends over real QUIC what a test
 * gives it. It is alice, by her key, and drives the engine of authentication
 * itself. All of it runs in stranger_run. Link with
 * --wrap=pn_quic_engine_received_close.
 */
#ifndef PN_TESTS_STRANGER_RIG_H
#define PN_TESTS_STRANGER_RIG_H

#include "auth/auth.h"
#include "quic/quic.h"
#include "two_barrels.h"

typedef struct stranger stranger;

struct stranger {
    /* Set between init and dial; each may be NULL. */
    void (*on_open)(stranger *s);  /* instead of an authentication */
    void (*on_auth)(stranger *s);  /* before it begins: the binding, the key */
    void (*on_prove)(stranger *s); /* before the challenge is answered */
    void (*on_authenticated)(stranger *s);
    /* Bob's bytes on any stream but his of the authentication. */
    void (*on_data)(
        stranger *s, int64_t stream, const uint8_t *data, size_t len);
    void (*on_acked)(stranger *s, int64_t stream, uint64_t total);
    void (*on_timer)(stranger *s);
    void *user;

    two_barrels t;
    pn_loop *loop;
    pn_quic *quic;
    pn_quic_conn *conn; /* NULL: it has ended */
    pn_timer *timer;
    pn_env env;
    pn_ed25519_pair *identity; /* alice's */
    uint8_t binding[PN_QUIC_BINDING_LEN];
    pn_auth *auth;
    int64_t stream; /* of the authentication; -1: none */
    bool is_authenticated;
    unsigned n_writes;   /* of the authentication */
    uint8_t heard[1024]; /* on bob's auth stream */
    size_t n_heard;
    bool has_ended;
    pn_err end_err; /* as on_end told it */
    uint64_t end_code;
    int end_errno;
    bool is_application_close; /* 0x1d, not 0x1c */
    size_t close_reason_len;
    uint64_t opened_us;
    uint64_t ended_us;
};

/* Opens bob, who has alice pinned; change as in two_barrels_open_one. */
void stranger_init(stranger *s, two_barrels_change *change);
void stranger_dial(stranger *s);
/* Until the connection has ended, or until (may be NULL) says so; true: one of
 * both came about within 10 s. */
bool stranger_run(stranger *s, bool (*until)(stranger *s));
void stranger_fini(stranger *s);

void stranger_say(
    stranger *s, int64_t stream, const void *data, size_t len, bool is_last);
int64_t stranger_open_uni(stranger *s);

/* The connection has ended as docs/BARREL-PROTOCOL.md, section 2.4, has it. */
void stranger_assert_closed(const stranger *s);

#endif

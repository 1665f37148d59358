/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the first byte to authentication (docs/PROTOCOL.md, section 2). Nothing
 * here parses: a body has one length and six constant bytes, and the rest is a
 * Noise message. On any error the peer sees the connection close and nothing
 * else.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "session/session_internal.h"
#include "wire/frame.h"

static pn_err handshake_read(
    pn_session *s, const uint8_t *body, size_t len, size_t body_len)
{
    pn_slice message;
    uint8_t nothing;
    size_t payload_len;
    pn_err err = pn_handshake_unwrap(body, len, body_len, &message);

    assert(s->handshake != NULL && !s->has_peer);
    if (err == PN_OK) {
        err = pn_handshake_read(
            s->handshake, message.data, message.len, &nothing, 0, &payload_len);
    }
    if (err == PN_OK) {
        return PN_OK;
    }
    /* PN_DENIED: the peer's static key is ours (T34). */
    return pn_session_fail(
        s, err, err == PN_DENIED ? PN_REASON_OWN_KEY : PN_REASON_BAD_HANDSHAKE);
}

/* Makes room for one message of the handshake. The first buffer is no larger,
 * because strangers may hold many of them (T1). */
static pn_err handshake_reserve(pn_buf *out)
{
    size_t n = PN_FRAME_HEADER_LEN + PN_HANDSHAKE_BODY_MAX;

    if (out->data != NULL) {
        return pn_buf_reserve(out, n);
    }
    out->data = malloc(n);
    if (out->data == NULL) {
        return PN_NOMEM;
    }
    out->cap = n;
    return PN_OK;
}

pn_err pn_session_put_handshake(pn_session *s)
{
    size_t n;
    uint8_t *at;
    pn_err err;

    err = handshake_reserve(&s->out);
    if (err != PN_OK) {
        return err;
    }
    at = s->out.data + s->out.len;
    err = pn_handshake_write(s->handshake, NULL, 0,
        at + PN_FRAME_HEADER_LEN + PN_HANDSHAKE_PREFIX_LEN,
        PN_HANDSHAKE_BODY_MAX - PN_HANDSHAKE_PREFIX_LEN, &n);
    if (err != PN_OK) {
        return err;
    }
    pn_handshake_wrap(at, n);
    s->out.len += PN_FRAME_HEADER_LEN + PN_HANDSHAKE_PREFIX_LEN + n;
    s->out_messages++;
    return PN_OK;
}

/*
 * Decides whether the peer may have a link. Every DH and every tag has been
 * checked before (T18), so the key is the peer's own, and the time that the
 * decision takes tells a stranger no more than the close does.
 */
static pn_err handshake_admit(pn_session *s)
{
    const pn_public_key *peer = pn_handshake_peer(s->handshake);
    bool is_other;

    if (peer == NULL) {
        return pn_session_fail(s, PN_AUTH, PN_REASON_BAD_HANDSHAKE);
    }
    is_other = s->has_expected && !pn_key_equal(peer, &s->peer);
    s->peer = *peer;
    s->has_peer = true;
    if (PN_REFUSE_IF(session_expected_peer, is_other)) {
        return pn_session_fail(s, PN_DENIED, PN_REASON_KEY_MISMATCH);
    }
    if (PN_REFUSE_IF(
            session_untrusted, !s->callbacks->is_trusted(s->user, &s->peer))) {
        return pn_session_fail(s, PN_DENIED, PN_REASON_UNTRUSTED_PEER);
    }
    /* The callback may have closed the session. */
    return s->state == PN_SESSION_CLOSED ? PN_CLOSED : PN_OK;
}

/* Keeps the hash of the handshake for as long as the link is open. */
static pn_err kinds_new(pn_session *s)
{
    const uint8_t *hash = pn_handshake_hash(s->handshake);

    assert(hash != NULL && s->kinds == NULL);
    s->kinds = calloc(1, sizeof(*s->kinds));
    if (s->kinds == NULL) {
        return PN_NOMEM;
    }
    memcpy(s->kinds->hash, hash, sizeof(s->kinds->hash));
    return PN_OK;
}

static pn_err handshake_open(pn_session *s, uint64_t now_us)
{
    pn_err err = pn_handshake_split(s->handshake, &s->send, &s->receive);

    if (err == PN_OK && s->kind != NULL) {
        err = kinds_new(s);
    }
    if (err != PN_OK) {
        return pn_session_fail(s, err, PN_REASON_SYSTEM);
    }
    pn_handshake_free(s->handshake);
    s->handshake = NULL;
    s->handshake_deadline_us = PN_TIME_NEVER;
    s->next_ping_us = pn_session_after(now_us, s->limits->ping_interval_us);
    if (pn_buf_used(&s->out) > 0) {
        s->stall_at_us = pn_session_after(now_us, s->limits->stall_us);
    }
    s->state = PN_SESSION_OPEN;
    /* Before anything else, so that the initiator recognises a responder of its
     * kind by its first frame. */
    if (!s->is_initiator && s->kinds != NULL) {
        err = pn_session_say_kind(s, now_us);
        if (err != PN_OK) {
            return err;
        }
    }
    s->callbacks->on_open(s->user, &s->peer);
    return s->state == PN_SESSION_CLOSED ? PN_CLOSED : PN_OK;
}

pn_err pn_session_on_m1(
    pn_session *s, uint64_t now_us, uint8_t *body, size_t len)
{
    pn_err err = handshake_read(s, body, len, PN_M1_LEN);

    (void)now_us;
    if (err != PN_OK) {
        return err;
    }
    err = pn_session_put_handshake(s);
    if (err != PN_OK) {
        /* The DH that finds a low-order key is part of writing M2. */
        return pn_session_fail(s, err, PN_REASON_BAD_HANDSHAKE);
    }
    s->state = PN_SESSION_WAIT_M3;
    s->callbacks->on_output(s->user);
    return s->state == PN_SESSION_CLOSED ? PN_CLOSED : PN_OK;
}

pn_err pn_session_on_m2(
    pn_session *s, uint64_t now_us, uint8_t *body, size_t len)
{
    pn_err err = handshake_read(s, body, len, PN_M2_LEN);

    if (err == PN_OK) {
        err = handshake_admit(s);
    }
    if (err != PN_OK) {
        return err;
    }
    err = pn_session_put_handshake(s);
    if (err != PN_OK) {
        return pn_session_fail(s, err, PN_REASON_BAD_HANDSHAKE);
    }
    s->hold = PN_HOLD_M3;
    s->hold_end = s->out_written + pn_buf_used(&s->out);
    s->callbacks->on_output(s->user);
    return s->state == PN_SESSION_CLOSED ? PN_CLOSED
                                         : handshake_open(s, now_us);
}

pn_err pn_session_on_m3(
    pn_session *s, uint64_t now_us, uint8_t *body, size_t len)
{
    pn_err err = handshake_read(s, body, len, PN_M3_LEN);

    if (err == PN_OK) {
        err = handshake_admit(s);
    }
    return err != PN_OK ? err : handshake_open(s, now_us);
}

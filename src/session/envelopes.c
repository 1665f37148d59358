/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of an authenticated peer (docs/PROTOCOL.md, sections 3 and 4): a
 * sealed frame holds one envelope, and anything else ends the link.
 */
#include "base/mutant.h"
#include "session/session_internal.h"
#include "wire/envelope.h"

typedef pn_err envelope_fn(
    pn_session *s, uint64_t now_us, const pn_envelope *e);

static pn_err on_call(pn_session *s, uint64_t now_us, const pn_envelope *e)
{
    (void)now_us;
    s->callbacks->on_call(s->user, e->id, e->handle, e->args);
    return PN_OK;
}

static pn_err on_send(pn_session *s, uint64_t now_us, const pn_envelope *e)
{
    (void)now_us;
    s->callbacks->on_send(s->user, e->handle, e->args);
    return PN_OK;
}

/* A reply to no call in flight is late or made up, and dropped
 * (docs/PROTOCOL.md, section 4). */
static pn_err on_reply(pn_session *s, uint64_t now_us, const pn_envelope *e)
{
    void *call;

    (void)now_us;
    if (pn_call_ids_take(&s->calls, e->id, &call)) {
        s->callbacks->on_reply(
            s->user, call, e->is_ok ? PN_OK : PN_REMOTE, e->value);
    }
    return PN_OK;
}

static pn_err on_ping(pn_session *s, uint64_t now_us, const pn_envelope *e)
{
    if (PN_REFUSE_IF(
            session_ping_nonce_len, e->nonce.len > s->limits->max_ping_nonce)) {
        return pn_session_fail(s, PN_LIMIT, PN_REASON_BAD_ENVELOPE);
    }
    pn_session_answer_ping(s, now_us, e->nonce);
    return s->state == PN_SESSION_CLOSED ? PN_CLOSED : PN_OK;
}

static pn_err on_pong(pn_session *s, uint64_t now_us, const pn_envelope *e)
{
    pn_session_take_pong(s, now_us, e->nonce);
    return PN_OK;
}

/* The table is complete: pn_envelope_read refuses any other type. */
static envelope_fn *const on_envelope[] = {
    [PN_ENVELOPE_CALL] = on_call,
    [PN_ENVELOPE_SEND] = on_send,
    [PN_ENVELOPE_REPLY] = on_reply,
    [PN_ENVELOPE_PING] = on_ping,
    [PN_ENVELOPE_PONG] = on_pong,
};

pn_err pn_session_on_plaintext(
    pn_session *s, uint64_t now_us, const uint8_t *data, size_t len)
{
    pn_envelope e;
    bool is_shape;
    pn_err err = pn_envelope_read(data, len, &s->limits->term, &e, &is_shape);

    if (err != PN_OK) {
        if (PN_SAFEGUARD(session_bad_envelope)) {
            (void)pn_session_fail(
                s, err, is_shape ? PN_REASON_BAD_ENVELOPE : PN_REASON_BAD_TERM);
        }
        return err;
    }
    if (s->callbacks->on_received != NULL) {
        s->callbacks->on_received(s->user);
    }
    if (s->state == PN_SESSION_CLOSED) {
        return PN_CLOSED;
    }
    err = on_envelope[e.type](s, now_us, &e);
    /* Callbacks may close. */
    return err == PN_OK && s->state == PN_SESSION_CLOSED ? PN_CLOSED : err;
}

pn_err pn_session_on_frame(
    pn_session *s, uint64_t now_us, uint8_t *body, size_t len)
{
    size_t plain_len;
    pn_err err = pn_cipher_open(&s->receive, NULL, 0, body, len, &plain_len);

    if (PN_REFUSE_IF(session_bad_tag, err != PN_OK)) {
        return pn_session_fail(s, err,
            err == PN_LIMIT ? PN_REASON_NONCES_USED_UP : PN_REASON_BAD_TAG);
    }
    s->last_received_us = now_us;
    if (!s->has_received) {
        pn_session_heard(s, now_us);
    }
    return pn_session_on_plaintext(s, now_us, body, plain_len);
}

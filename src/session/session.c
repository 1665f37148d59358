/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One PeerNet link (docs/PROTOCOL.md, sections 1 to 5 and 9). Bytes and the
 * time go in, bytes and callbacks come out. One table says which frames each
 * state accepts.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/mutant.h"
#include "session/session_internal.h"
#include "wire/frame.h"

typedef pn_err frame_fn(
    pn_session *s, uint64_t now_us, uint8_t *body, size_t len);

/* The lengths of the bodies that each state accepts, decided from the header
 * alone. A closed session accepts none. */
static const struct {
    size_t min;
    size_t max;
    frame_fn *on_frame;
} accepts[PN_SESSION_STATES] = {
    [PN_SESSION_WAIT_M1] = {PN_M1_LEN, PN_M1_LEN, pn_session_on_m1},
    [PN_SESSION_WAIT_M2] = {PN_M2_LEN, PN_M2_LEN, pn_session_on_m2},
    [PN_SESSION_WAIT_M3] = {PN_M3_LEN, PN_M3_LEN, pn_session_on_m3},
    [PN_SESSION_OPEN] = {PN_FRAME_MIN, PN_FRAME_MAX, pn_session_on_frame},
};

void pn_session_limits_default(pn_session_limits *limits)
{
    *limits = (pn_session_limits){
        .handshake_us = 5 * PN_US_PER_S,
        .ping_interval_us = 30 * PN_US_PER_S,
        .pong_timeout_us = 60 * PN_US_PER_S,
        .stall_us = 120 * PN_US_PER_S,
        .hold_us = 1 * PN_US_PER_MS,
        .nudge_us = 40 * PN_US_PER_MS,
        .max_output = 4 << 20,
        .max_output_messages = 16384,
        .max_calls = 1024,
        .max_ping_nonce = 64,
        .pings_per_s = 10,
    };
    pn_term_limits_init(&limits->term);
}

/* ---- life ---------------------------------------------------------------- */

pn_err pn_session_new(
    const pn_session_config *config, uint64_t now_us, pn_session **ret_session)
{
    pn_session *s = calloc(1, sizeof(*s));
    pn_err err;

    if (s == NULL) {
        return PN_NOMEM;
    }
    s->identity = config->identity;
    s->limits = config->limits;
    s->env = config->env;
    s->callbacks = config->callbacks;
    s->user = config->user;
    s->kind = config->kind;
    s->is_initiator = config->initiator;
    s->wants_nudge = config->initiator;
    s->has_expected = config->expected_peer != NULL;
    if (s->has_expected) {
        s->peer = *config->expected_peer;
    }
    s->state = config->initiator ? PN_SESSION_WAIT_M2 : PN_SESSION_WAIT_M1;
    s->handshake_deadline_us = pn_session_after(
        now_us, s->limits->handshake_us);
    s->nudge_at_us = PN_TIME_NEVER;
    s->stall_at_us = PN_TIME_NEVER;
    s->trim_at_us = PN_TIME_NEVER;
    s->next_ping_us = PN_TIME_NEVER;
    pn_call_ids_init(&s->calls, s->limits->max_calls);
    err = pn_handshake_new(&pn_noise_peernet_0_1, config->initiator,
        s->identity, NULL, 0, s->env, &s->handshake);
    if (err == PN_OK && config->initiator) {
        err = pn_session_put_handshake(s);
    }
    if (err != PN_OK) {
        pn_session_free(s);
        return err;
    }
    *ret_session = s;
    return PN_OK;
}

void pn_session_free(pn_session *s)
{
    if (s == NULL) {
        return;
    }
    pn_session_close(s, PN_REASON_LOCAL_CLOSE);
    pn_buf_fini(&s->out);
    free(s->pings);
    free(s->kinds);
    free(s);
}

void pn_session_fail_calls(pn_session *s)
{
    uint32_t cursor = 0;
    void *call;

    while (pn_call_ids_take_any(&s->calls, &cursor, &call)) {
        s->callbacks->on_reply(s->user, call, PN_CLOSED, (pn_term){0});
    }
}

void pn_session_close(pn_session *s, pn_reason reason)
{
    if (s->state == PN_SESSION_CLOSED) {
        return;
    }
    s->state = PN_SESSION_CLOSED;
    s->reason = reason;
    pn_handshake_free(s->handshake);
    s->handshake = NULL;
    pn_cipher_fini(&s->send);
    pn_cipher_fini(&s->receive);
    pn_session_fail_calls(s);
    pn_call_ids_fini(&s->calls);
}

pn_err pn_session_fail(pn_session *s, pn_err err, pn_reason reason)
{
    if (err == PN_NOMEM) {
        reason = PN_REASON_OUT_OF_MEMORY;
    } else if (err == PN_SYS) {
        reason = PN_REASON_SYSTEM;
    }
    pn_session_close(s, reason);
    return err;
}

/* ---- input --------------------------------------------------------------- */

static pn_err input_wrong_length(pn_session *s, uint32_t body_len)
{
    pn_reason reason = PN_REASON_BAD_HANDSHAKE;

    if (s->state == PN_SESSION_OPEN) {
        reason = body_len < PN_FRAME_MIN ? PN_REASON_BAD_FRAME
                                         : PN_REASON_FRAME_TOO_LARGE;
    }
    return pn_session_fail(s, PN_LIMIT, reason);
}

static pn_err input_frame(pn_session *s, uint64_t now_us, uint8_t *data,
    size_t len, size_t *ret_consumed)
{
    size_t body_len;
    pn_err err = pn_frame_peek(
        data, len, accepts[s->state].min, accepts[s->state].max, &body_len);

    if (err == PN_LIMIT) {
        return input_wrong_length(s, pn_load_be32(data));
    }
    if (err != PN_OK) {
        return err;
    }
    assert(accepts[s->state].on_frame != NULL);
    *ret_consumed += PN_FRAME_HEADER_LEN + body_len;
    s->frames_in++;
    return accepts[s->state].on_frame(
        s, now_us, data + PN_FRAME_HEADER_LEN, body_len);
}

/* The deadline is absolute (T3): bytes that come after it do not count. */
static pn_err handshake_in_time(pn_session *s, uint64_t now_us)
{
    if (PN_REFUSE_IF(
            session_handshake_deadline, now_us >= s->handshake_deadline_us)) {
        return pn_session_fail(s, PN_TIMEOUT, PN_REASON_HANDSHAKE_TIMEOUT);
    }
    return PN_OK;
}

pn_err pn_session_input(pn_session *s, uint64_t now_us, uint8_t *data,
    size_t len, size_t *ret_consumed)
{
    size_t consumed = 0;
    pn_err err = s->state == PN_SESSION_CLOSED ? PN_CLOSED
                                               : handshake_in_time(s, now_us);

    while (err == PN_OK) {
        err = input_frame(
            s, now_us, data + consumed, len - consumed, &consumed);
    }
    *ret_consumed = consumed;
    return err == PN_AGAIN ? PN_OK : err;
}

size_t pn_session_need(const pn_session *s, const uint8_t *data, size_t len)
{
    size_t body_len = 0;
    pn_err err;

    if (s->state == PN_SESSION_CLOSED) {
        return 0;
    }
    err = pn_frame_peek(
        data, len, accepts[s->state].min, accepts[s->state].max, &body_len);
    if ((err != PN_OK && err != PN_AGAIN) || body_len == 0) {
        return 0;
    }
    return PN_FRAME_HEADER_LEN + body_len;
}

/* ---- time ---------------------------------------------------------------- */

uint64_t pn_session_deadline(const pn_session *s)
{
    uint64_t at;

    switch (s->state) {
    case PN_SESSION_WAIT_M1:
    case PN_SESSION_WAIT_M2:
    case PN_SESSION_WAIT_M3:
        return s->handshake_deadline_us;
    case PN_SESSION_OPEN:
        at = pn_session_liveness_deadline(s);
        at = s->stall_at_us < at ? s->stall_at_us : at;
        at = s->trim_at_us < at ? s->trim_at_us : at;
        if (s->hold == PN_HOLD_TURN && s->hold_until_us < at) {
            at = s->hold_until_us;
        }
        return at;
    case PN_SESSION_CLOSED:
    case PN_SESSION_STATES:
        break;
    }
    return PN_TIME_NEVER;
}

static pn_err tick_open(pn_session *s, uint64_t now_us)
{
    if (PN_REFUSE_IF(session_stall, now_us >= s->stall_at_us)) {
        return pn_session_fail(s, PN_TIMEOUT, PN_REASON_STALLED);
    }
    if (now_us >= s->trim_at_us) {
        pn_session_trim(s);
    }
    if (s->hold == PN_HOLD_TURN && now_us >= s->hold_until_us) {
        pn_session_release(s, now_us);
    }
    /* Callbacks may close. */
    return s->state == PN_SESSION_OPEN ? pn_session_liveness_tick(s, now_us)
                                       : PN_CLOSED;
}

pn_err pn_session_tick(pn_session *s, uint64_t now_us)
{
    pn_err err;

    if (s->state == PN_SESSION_CLOSED) {
        return PN_CLOSED;
    }
    err = handshake_in_time(s, now_us);
    return err == PN_OK && s->state == PN_SESSION_OPEN ? tick_open(s, now_us)
                                                       : err;
}

/* ---- queries ------------------------------------------------------------- */

pn_reason pn_session_reason(const pn_session *s)
{
    return s->reason;
}

const pn_public_key *pn_session_peer(const pn_session *s)
{
    return s->has_peer ? &s->peer : NULL;
}

uint64_t pn_session_rtt_us(const pn_session *s)
{
    return s->rtt_us;
}

const pn_kind *pn_session_kind(const pn_session *s)
{
    return s->kinds == NULL || s->kinds->peer.version == 0 ? NULL
                                                           : &s->kinds->peer;
}

uint64_t pn_session_last_received_us(const pn_session *s)
{
    return s->last_received_us;
}

uint64_t pn_session_frames_in(const pn_session *s)
{
    return s->frames_in;
}

uint64_t pn_session_frames_out(const pn_session *s)
{
    return s->frames_out;
}

uint64_t pn_session_bytes_written(const pn_session *s)
{
    return s->out_written;
}

uint64_t pn_session_bytes_accepted(const pn_session *s)
{
    return s->out_written + pn_buf_used(&s->out);
}

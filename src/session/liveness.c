/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Detection of dead peers (docs/PROTOCOL.md, section 5): a ping every 30 s, and
 * the link is dead when the matching pong has not come 60 s later. Those 60 s
 * begin when the ping has been written. While a peer does not read, because a
 * handler of an Elixir node runs, the stall time-out ends the link (T11). While
 * we do not read, no pong counts as missed, because it may be waiting.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "session/session_internal.h"

/* The peer's nonce, which has been answered, may say its kind. A responder says
 * its own first, and an initiator answers that with its own: it sends an Elixir
 * node nothing but what the originals send. */
static void hear_kind(pn_session *s, uint64_t now_us, pn_slice nonce)
{
    if (s->kinds == NULL
        || !pn_kind_read(
            s->kinds->hash, !s->is_initiator, nonce, &s->kinds->peer)) {
        return;
    }
    if (s->callbacks->on_kind != NULL) {
        s->callbacks->on_kind(s->user);
    }
    if (s->is_initiator && !s->kinds->is_said && s->state == PN_SESSION_OPEN) {
        (void)!pn_session_say_kind(s, now_us); /* the caller asks the state */
    }
    pn_session_kind_changed(s); /* it may have before the peer was known */
}

/* A ping beyond the rate, or one whose pong has no room in the output, is
 * dropped (T12). */
void pn_session_answer_ping(pn_session *s, uint64_t now_us, pn_slice nonce)
{
    pn_err err;

    if (s->n_answered == 0 || now_us - s->pings_window_us >= PN_US_PER_S) {
        s->pings_window_us = now_us;
        s->n_answered = 0;
    }
    if (PN_REFUSE_IF(
            session_ping_rate, s->n_answered >= s->limits->pings_per_s)) {
        return;
    }
    s->n_answered++;
    err = pn_session_put_ping(s, now_us, PN_ENVELOPE_PONG, nonce);
    if (err == PN_OK) {
        pn_session_frame_notify(s);
    } else if (err == PN_LIMIT || err == PN_SYS) {
        (void)pn_session_fail(s, err, PN_REASON_NONCES_USED_UP);
        return;
    }
    if (s->state == PN_SESSION_OPEN) {
        hear_kind(s, now_us, nonce);
    }
}

/* The nonce of one of our pings, as it is kept. */
static void keep_nonce(pn_session_ping_sent *ping, pn_slice nonce)
{
    size_t n = nonce.len < PN_PING_NONCE_LEN ? nonce.len : PN_PING_NONCE_LEN;

    ping->nonce_len = (uint8_t)nonce.len;
    memcpy(ping->nonce_end, nonce.data + nonce.len - n, n);
}

static bool is_nonce_of(const pn_session_ping_sent *ping, pn_slice nonce)
{
    size_t n = nonce.len < PN_PING_NONCE_LEN ? nonce.len : PN_PING_NONCE_LEN;

    return nonce.len == ping->nonce_len
           && memcmp(nonce.data + nonce.len - n, ping->nonce_end, n) == 0;
}

/* Answers come in order, so a pong also answers the pings before its own, which
 * the peer may have dropped as too many. */
void pn_session_take_pong(pn_session *s, uint64_t now_us, pn_slice nonce)
{
    for (uint32_t i = 0; i < s->n_pings; i++) {
        const pn_session_ping_sent *p = &s->pings[i];

        if (PN_REFUSE_IF(session_pong_match, !is_nonce_of(p, nonce))) {
            continue;
        }
        if (p->sent_us < now_us) {
            s->rtt_us = now_us - p->sent_us;
        }
        s->n_pings -= i + 1;
        memmove(s->pings, &s->pings[i + 1], s->n_pings * sizeof(*p));
        return;
    }
}

void pn_session_pings_written(pn_session *s, uint64_t now_us)
{
    for (uint32_t i = 0; i < s->n_pings; i++) {
        if (s->pings[i].sent_us == PN_TIME_NEVER
            && s->pings[i].end <= s->out_written) {
            s->pings[i].sent_us = now_us;
        }
    }
}

/* Whether one more ping may be sent. */
static pn_err ping_room(pn_session *s)
{
    if (s->state != PN_SESSION_OPEN) {
        return PN_NOT_CONNECTED;
    }
    if (PN_REFUSE_IF(session_pings_max, s->n_pings == PN_PINGS_MAX)) {
        return PN_BUSY;
    }
    if (s->pings == NULL) {
        s->pings = calloc(PN_PINGS_MAX, sizeof(*s->pings));
        if (s->pings == NULL) {
            return PN_NOMEM;
        }
    }
    return PN_OK;
}

static pn_err ping_send(pn_session *s, uint64_t now_us, pn_slice nonce)
{
    pn_session_ping_sent ping = {.sent_us = PN_TIME_NEVER};
    pn_err err = pn_session_put_ping(s, now_us, PN_ENVELOPE_PING, nonce);

    if (err != PN_OK) {
        return err == PN_LIMIT
                   ? pn_session_fail(s, err, PN_REASON_NONCES_USED_UP)
                   : err;
    }
    assert(s->n_pings < PN_PINGS_MAX);
    keep_nonce(&ping, nonce);
    ping.end = s->out_written + pn_buf_used(&s->out);
    s->pings[s->n_pings++] = ping;
    pn_session_frame_notify(s);
    return PN_OK;
}

pn_err pn_session_ping(pn_session *s, uint64_t now_us)
{
    uint8_t nonce[PN_PING_NONCE_LEN];
    pn_err err = ping_room(s);

    if (err == PN_OK) {
        err = s->env->random(s->env->user, nonce, sizeof(nonce));
    }
    return err != PN_OK
               ? err
               : ping_send(s, now_us, (pn_slice){nonce, sizeof(nonce)});
}

/* A ping that finds no room is left out: the stall time-out watches a full
 * output. */
static pn_err ping_outcome(pn_session *s, pn_err err)
{
    if (err == PN_OK || err == PN_BUSY || err == PN_NOMEM) {
        return s->state == PN_SESSION_CLOSED ? PN_CLOSED : PN_OK;
    }
    return pn_session_fail(s, err, PN_REASON_SYSTEM);
}

static pn_err ping_when_possible(pn_session *s, uint64_t now_us)
{
    return ping_outcome(s, pn_session_ping(s, now_us));
}

/* A peer that is not told our kind takes us for an Elixir node. */
pn_err pn_session_say_kind(pn_session *s, uint64_t now_us)
{
    uint8_t nonce[PN_KIND_NONCE_MAX];
    size_t len = 0;
    pn_err err = ping_room(s);

    if (err == PN_OK) {
        err = pn_kind_write(
            s->kinds->hash, s->is_initiator, s->kind, nonce, &len);
    }
    if (err == PN_OK) {
        err = ping_send(s, now_us, (pn_slice){nonce, len});
        s->kinds->is_said = s->kinds->is_said || err == PN_OK;
    }
    if (err == PN_OK) {
        memcpy(s->kinds->said_label, s->kind->label, sizeof(s->kind->label));
    }
    s->kinds->may_say_us = now_us + PN_KIND_UPDATE_US;
    return ping_outcome(s, err);
}

void pn_session_kind_changed(pn_session *s)
{
    pn_session_kinds *k = s->kinds;

    if (k == NULL || s->state != PN_SESSION_OPEN) {
        return; /* it is said when the link opens */
    }
    /* The original would answer it; a peer that does not heed it gets none. */
    k->is_owed = k->is_said
                 && !PN_REFUSE_IF(session_kind_heeds,
                     k->peer.version == 0
                         || (k->peer.flags & PN_KIND_LABEL_UPDATES) == 0)
                 && strcmp(k->said_label, s->kind->label) != 0;
}

static uint64_t kind_due_us(const pn_session *s)
{
    if (s->kinds == NULL || !s->kinds->is_owed) {
        return PN_TIME_NEVER;
    }
    return PN_REFUSE_IF(session_kind_pace, s->kinds->may_say_us > 0)
               ? s->kinds->may_say_us
               : 0;
}

/* Without room for a ping it is still owed, and tried again. */
static pn_err update_kind(pn_session *s, uint64_t now_us)
{
    pn_err err = pn_session_say_kind(s, now_us);

    if (err == PN_OK) {
        pn_session_kind_changed(s);
    }
    return err;
}

static uint64_t pong_due_us(const pn_session *s)
{
    uint64_t from_us;

    if (s->is_unread || s->n_pings == 0
        || s->pings[0].sent_us == PN_TIME_NEVER) {
        return PN_TIME_NEVER;
    }
    from_us = s->pings[0].sent_us;
    from_us = s->reading_us > from_us ? s->reading_us : from_us;
    return pn_session_after(from_us, s->limits->pong_timeout_us);
}

void pn_session_set_reading(pn_session *s, uint64_t now_us, bool is_reading)
{
    if (s->is_unread && is_reading) {
        s->reading_us = now_us;
    }
    s->is_unread = !is_reading;
}

void pn_session_woke(pn_session *s, uint64_t now_us)
{
    s->reading_us = now_us;
    if (s->stall_at_us != PN_TIME_NEVER) {
        s->stall_at_us = pn_session_after(now_us, s->limits->stall_us);
    }
}

/* True while the newest ping has not been written. Another one behind it would
 * measure nothing more. */
static bool ping_waits(const pn_session *s)
{
    return s->n_pings > 0 && s->pings[s->n_pings - 1].sent_us == PN_TIME_NEVER;
}

/* Sends a ping so that the peer reads again (docs/PROTOCOL.md, section 3.1). A
 * peer that was busy when M3 came may still be busy and take this ping in the
 * same read, so more follow until a frame comes, each after four times as
 * long. */
static pn_err nudge(pn_session *s, uint64_t now_us)
{
    uint64_t again_us = s->limits->nudge_us << (2 * ++s->n_nudges);

    s->nudge_at_us = s->n_nudges < PN_NUDGES_MAX
                         ? pn_session_after(now_us, again_us)
                         : PN_TIME_NEVER;
    return ping_waits(s) ? PN_OK : ping_when_possible(s, now_us);
}

uint64_t pn_session_liveness_deadline(const pn_session *s)
{
    uint64_t at = pong_due_us(s);

    at = kind_due_us(s) < at ? kind_due_us(s) : at;
    at = s->next_ping_us < at ? s->next_ping_us : at;
    return s->nudge_at_us < at ? s->nudge_at_us : at;
}

pn_err pn_session_liveness_tick(pn_session *s, uint64_t now_us)
{
    pn_err err = PN_OK;

    if (PN_REFUSE_IF(session_pong_timeout, now_us >= pong_due_us(s))) {
        return pn_session_fail(s, PN_TIMEOUT, PN_REASON_PING_TIMEOUT);
    }
    if (now_us >= s->nudge_at_us) {
        err = nudge(s, now_us);
    }
    if (err == PN_OK && now_us >= kind_due_us(s)) {
        err = update_kind(s, now_us);
    }
    if (err == PN_OK && now_us >= s->next_ping_us) {
        s->next_ping_us = pn_session_after(now_us, s->limits->ping_interval_us);
        pn_call_ids_trim(&s->calls);
        if (!ping_waits(s)) {
            err = ping_when_possible(s, now_us);
        }
    }
    return err;
}

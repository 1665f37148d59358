/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is the peer there? peernet-wire section 4: a ping every 30 s, and the link
 * is dead when the matching pong has not come 60 s later. Those 60 s begin
 * when the ping has been written: while a peer does not read, because a
 * handler of an Elixir node runs, the stall time-out is what counts (T11). The
 * same holds while we do not read: its pong may be there.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mutant.h"
#include "session/session_internal.h"

/* Pongs are a courtesy within bounds (T12): beyond the rate, or when there is
 * no room, the ping is dropped. */
void pn_session_answer_ping(pn_session *s, uint64_t now_us, pn_slice nonce)
{
    pn_err err;

    if (s->n_answered == 0 || now_us - s->pings_window_us >= PN_US_PER_S) {
        s->pings_window_us = now_us;
        s->n_answered = 0;
    }
    if (PN_CHECK(session_ping_rate, s->n_answered >= s->limits->pings_per_s)) {
        return;
    }
    s->n_answered++;
    err = pn_session_put_ping(s, now_us, PN_ENVELOPE_PONG, nonce);
    if (err == PN_OK) {
        pn_session_frame_notify(s);
    } else if (err == PN_LIMIT || err == PN_SYS) {
        (void)pn_session_fail(s, err, PN_REASON_NONCES_USED_UP);
    }
}

/* Answers come in order, so a pong also vouches for the pings before its own:
 * a peer may have dropped those as too many. */
void pn_session_take_pong(pn_session *s, uint64_t now_us, pn_slice nonce)
{
    for (uint32_t i = 0; i < s->n_pings; i++) {
        const pn_session_ping_sent *p = &s->pings[i];

        if (PN_CHECK(session_pong_match,
                nonce.len != sizeof(p->nonce)
                    || memcmp(nonce.data, p->nonce, sizeof(p->nonce)) != 0)) {
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

pn_err pn_session_ping(pn_session *s, uint64_t now_us)
{
    pn_session_ping_sent ping = {.sent_us = PN_TIME_NEVER};
    pn_err err;

    if (s->state != PN_SESSION_OPEN) {
        return PN_NOT_CONNECTED;
    }
    if (PN_CHECK(session_pings_max, s->n_pings == PN_PINGS_MAX)) {
        return PN_BUSY;
    }
    if (s->pings == NULL) {
        s->pings = calloc(PN_PINGS_MAX, sizeof(*s->pings));
        if (s->pings == NULL) {
            return PN_NOMEM;
        }
    }
    err = s->env->random(s->env->user, ping.nonce, sizeof(ping.nonce));
    if (err != PN_OK) {
        return err;
    }
    err = pn_session_put_ping(s, now_us, PN_ENVELOPE_PING,
        (pn_slice){ping.nonce, sizeof(ping.nonce)});
    if (err != PN_OK) {
        return err == PN_LIMIT
                   ? pn_session_fail(s, err, PN_REASON_NONCES_USED_UP)
                   : err;
    }
    ping.end = s->out_written + pn_buf_used(&s->out);
    s->pings[s->n_pings++] = ping;
    pn_session_frame_notify(s);
    return PN_OK;
}

/* A ping that finds no room is left out: what fills the output is being
 * watched for a stall. */
static pn_err ping_when_possible(pn_session *s, uint64_t now_us)
{
    pn_err err = pn_session_ping(s, now_us);

    if (err == PN_OK || err == PN_BUSY || err == PN_NOMEM) {
        return s->state == PN_SESSION_CLOSED ? PN_CLOSED : PN_OK;
    }
    return pn_session_fail(s, err, PN_REASON_SYSTEM);
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

/* True while the newest ping has not been written: another behind it would
 * say nothing more. */
static bool ping_waits(const pn_session *s)
{
    return s->n_pings > 0 && s->pings[s->n_pings - 1].sent_us == PN_TIME_NEVER;
}

/* A reader that was away when M3 came may still be away now, and take this
 * ping in the same read: until something is heard the next one follows, each
 * after four times as long. The last of the pings is left for liveness. */
static pn_err nudge(pn_session *s, uint64_t now_us)
{
    uint64_t again_us = s->limits->nudge_us << (2 * ++s->n_nudges);

    s->nudge_at_us = s->n_nudges < PN_PINGS_MAX - 1
                         ? pn_session_after(now_us, again_us)
                         : PN_TIME_NEVER;
    return ping_waits(s) ? PN_OK : ping_when_possible(s, now_us);
}

uint64_t pn_session_liveness_deadline(const pn_session *s)
{
    uint64_t at = pong_due_us(s);

    at = s->next_ping_us < at ? s->next_ping_us : at;
    return s->nudge_at_us < at ? s->nudge_at_us : at;
}

pn_err pn_session_liveness_tick(pn_session *s, uint64_t now_us)
{
    pn_err err = PN_OK;

    if (PN_CHECK(session_pong_timeout, now_us >= pong_due_us(s))) {
        return pn_session_fail(s, PN_TIMEOUT, PN_REASON_PING_TIMEOUT);
    }
    if (now_us >= s->nudge_at_us) {
        err = nudge(s, now_us);
    }
    if (err == PN_OK && now_us >= s->next_ping_us) {
        s->next_ping_us = pn_session_after(now_us, s->limits->ping_interval_us);
        pn_calls_trim(&s->calls);
        if (!ping_waits(s)) {
            err = ping_when_possible(s, now_us);
        }
    }
    return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Life, time and output of one connection's distribution;
 * docs/BARREL-PROTOCOL.md, sections 14 and 15. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "base/slice.h"
#include "dist/dist_internal.h"
#include "keys/node_name.h"

/* Old caches, atom cache, fragments, what is local to a VM, NAME_ME: we could
 * not keep what they promise. */
#define FLAGS_NEVER                                                            \
    (UINT64_C(1) << 1 | UINT64_C(1) << 6 | UINT64_C(1) << 13                   \
        | UINT64_C(1) << 21 | UINT64_C(1) << 23 | UINT64_C(1) << 33            \
        | UINT64_C(1) << 36)

/* ---- the ends of the handshake ------------------------------------------ */

static void forget_cookie(pn_dist *d)
{
    pn_secure_free(d->cookie, d->cookie_len);
    d->cookie = NULL;
    d->cookie_len = 0;
}

void pn_dist_fail(pn_dist *d, pn_dist_reason reason)
{
    if (d->state == PN_DIST_FAILED) {
        return;
    }
    d->state = PN_DIST_FAILED;
    d->reason = reason;
    d->deadline_us = PN_TIME_NEVER;
    d->n_out = 0;
    forget_cookie(d);
}

void pn_dist_refuse(pn_dist *d, pn_dist_reason reason, const char *status)
{
    pn_dist_fail(d, reason);
    pn_dist_say_status(d, status);
}

void pn_dist_is_up(pn_dist *d)
{
    d->state = PN_DIST_UP;
    d->deadline_us = PN_TIME_NEVER;
    forget_cookie(d);
    d->config.callbacks->on_up(d->config.user);
    pn_dist_streams_begin(d);
}

/* ---- output ------------------------------------------------------------- */

pn_dist_said *pn_dist_say(pn_dist *d)
{
    pn_dist_said *said = &d->out[d->n_out++];

    assert(d->n_out <= PN_DIST_OUT_MAX);
    said->len = 0;
    return said;
}

void pn_dist_say_status(pn_dist *d, const char *status)
{
    pn_dist_said *said = pn_dist_say(d);

    said->data[0] = 's';
    said->len = 1 + strlen(status);
    assert(said->len <= PN_DIST_STATUS_MAX);
    memcpy(said->data + 1, status, said->len - 1);
}

/* docs/BARREL-PROTOCOL.md, section 14.1: upstream takes whatever has arrived as
 * one message. */
static bool is_withheld(const pn_dist *d)
{
    return PN_REFUSE_IF(dist_withhold, d->n_acked < d->n_sent);
}

pn_slice pn_dist_output(const pn_dist *d)
{
    if (d->n_out == 0 || is_withheld(d)) {
        return (pn_slice){NULL, 0};
    }
    return (pn_slice){d->out[0].data, d->out[0].len};
}

void pn_dist_written(pn_dist *d)
{
    if (d->n_out > 0 && !is_withheld(d)) {
        d->n_sent += d->out[0].len;
        d->n_out--;
        memmove(&d->out[0], &d->out[1], d->n_out * sizeof(d->out[0]));
    }
}

void pn_dist_acked(pn_dist *d, uint64_t total)
{
    if (total > d->n_acked) {
        d->n_acked = total;
    }
}

/* ---- input -------------------------------------------------------------- */

/* Once up there are ticks and nothing else on stream 0. */
static void take_tick(pn_dist *d, uint8_t byte)
{
    if (PN_REFUSE_IF(dist_control_after_up, byte != 0)) {
        pn_dist_fail(d, PN_DIST_REASON_BAD_FRAME);
    }
}

void pn_dist_control_input(
    pn_dist *d, uint64_t now_us, const uint8_t *data, size_t len)
{
    pn_dist_tick(d, now_us);
    for (size_t i = 0; i < len && d->state != PN_DIST_FAILED; i++) {
        if (d->state == PN_DIST_UP) {
            take_tick(d, data[i]);
        } else {
            pn_dist_handshake_byte(d, now_us, data[i]);
        }
    }
}

void pn_dist_data_input(pn_dist *d, uint64_t now_us, int64_t stream,
    const uint8_t *data, size_t len)
{
    pn_dist_tick(d, now_us);
    if (d->state != PN_DIST_FAILED) {
        pn_dist_stream_input(d, stream, data, len);
    }
}

void pn_dist_tick(pn_dist *d, uint64_t now_us)
{
    d->now_us = now_us;
    if (PN_REFUSE_IF(dist_deadline, now_us >= d->deadline_us)) {
        pn_dist_fail(d, PN_DIST_REASON_TIMEOUT);
    }
    if (d->state == PN_DIST_UP
        && PN_REFUSE_IF(
            dist_drain_deadline, now_us >= pn_dist_streams_deadline(d))) {
        pn_dist_fail(d, PN_DIST_REASON_TOO_LARGE);
    }
}

uint64_t pn_dist_deadline(const pn_dist *d)
{
    uint64_t drain_us = d->state == PN_DIST_UP ? pn_dist_streams_deadline(d)
                                               : PN_TIME_NEVER;

    return drain_us < d->deadline_us ? drain_us : d->deadline_us;
}

/* ---- life --------------------------------------------------------------- */

static bool names_are_valid(const pn_dist_config *c)
{
    if (!pn_node_name_is_valid(c->name, strlen(c->name))) {
        return false;
    }
    if (c->peer_name.len == 0) {
        return c->role == PN_DIST_RESPONDER;
    }
    return pn_node_name_is_valid(c->peer_name.data, c->peer_name.len)
           && !pn_slice_is(c->peer_name, c->name);
}

static bool config_is_valid(const pn_dist_config *c)
{
    return names_are_valid(c) && c->cookie.len >= 1
           && c->cookie.len <= PN_DIST_COOKIE_MAX && c->creation >= 4
           && !PN_REFUSE_IF(dist_flags_never, (c->flags & FLAGS_NEVER) != 0)
           && pn_dist_flags_are_enough(c->flags)
           && !PN_REFUSE_IF(
               dist_handshake_max, c->handshake_us > PN_DIST_HANDSHAKE_MAX_US)
           && c->max_message <= INT32_MAX && c->max_drain <= INT32_MAX;
}

static pn_err keep_cookie(pn_dist *d)
{
    pn_slice cookie = d->config.cookie;

    d->config.cookie = (pn_slice){NULL, 0};
    d->cookie = pn_secure_alloc(cookie.len);
    if (d->cookie == NULL) {
        return PN_NOMEM;
    }
    memcpy(d->cookie, cookie.data, cookie.len);
    d->cookie_len = cookie.len;
    return PN_OK;
}

/* A term over a limit ends the link with all its calls, so the limits are those
 * of the format; max_message bounds them all. */
static void set_limits(pn_dist *d)
{
    pn_term_limits_init(&d->limits);
    d->limits.max_bytes = (uint32_t)d->config.max_message;
    d->limits.max_depth = UINT16_MAX;
    d->limits.max_bignum = UINT16_MAX;
}

pn_err pn_dist_new(
    const pn_dist_config *config, uint64_t now_us, pn_dist **ret_dist)
{
    pn_dist *d;

    if (!config_is_valid(config)) {
        return PN_INVALID;
    }
    d = calloc(1, sizeof(*d));
    if (d == NULL) {
        return PN_NOMEM;
    }
    d->config = *config;
    if (keep_cookie(d) != PN_OK) {
        free(d);
        return PN_NOMEM;
    }
    set_limits(d);
    pn_dist_handshake_begin(d, now_us);
    *ret_dist = d;
    return PN_OK;
}

void pn_dist_free(pn_dist *d)
{
    if (d != NULL) {
        forget_cookie(d);
        pn_dist_streams_fini(d);
        pn_wipe(d, sizeof(*d));
        free(d);
    }
}

/* ---- queries ------------------------------------------------------------ */

pn_dist_state pn_dist_state_of(const pn_dist *d)
{
    return d->state;
}

pn_dist_reason pn_dist_reason_of(const pn_dist *d)
{
    return d->reason;
}

pn_slice pn_dist_peer_name(const pn_dist *d)
{
    return (pn_slice){d->peer_name, d->peer_name_len};
}

uint32_t pn_dist_peer_creation(const pn_dist *d)
{
    return d->peer_creation;
}

bool pn_dist_awaits_ack(const pn_dist *dist)
{
    return dist->step == WAIT_ACK;
}

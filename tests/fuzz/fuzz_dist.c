/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Distribution in both roles against any peer. The input is one byte of
 * settings and then pieces: where to (0: stream 0, 1: time passes, else a data
 * stream), a length and its bytes. Randomness and time stand still, so the
 * corpus's replies to a challenge are right, and no others can be made. One of
 * the settings begins with a link that is up. Every signal that comes out is
 * written and read again and has to be the same.
 */
#include <stdlib.h>
#include <string.h>

#include "dist/dist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    SET_INITIATOR = 1,
    SET_CLAIMED = 2, /* a responder that knows no name */
    SET_GONE = 4,
    SET_UP = 8,
    SET_RIVAL = 16 /* times 0, 1, 2 */
};

#define ALPHA "alpha@127.0.0.1"
#define BETA "beta@127.0.0.1"

typedef struct side {
    pn_dist *dist;
    pn_env env;
    pn_dist_rival rival;
    bool is_gone;
    bool is_up;
    uint64_t n_said;
} side;

static pn_err fixed_random(void *user, uint8_t *buf, size_t len)
{
    (void)user;
    memset(buf, 0xa5, len);
    return PN_OK;
}

static pn_dist_rival on_name(void *user, pn_slice name)
{
    side *s = user;

    if (name.len == 0 || memchr(name.data, '@', name.len) == NULL) {
        abort();
    }
    return s->rival;
}

static void on_rival(void *user)
{
    const side *s = user;

    if (s->rival == PN_DIST_RIVAL_NONE) {
        abort();
    }
}

static bool on_alive(void *user)
{
    return ((const side *)user)->is_gone;
}

static void on_up(void *user)
{
    side *s = user;

    if (s->is_up || pn_dist_peer_name(s->dist).len == 0) {
        abort();
    }
    s->is_up = true;
}

static bool same(pn_term a, pn_term b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* A SEND may have come with a sender, which ours never has. */
static void on_signal(void *user, const pn_dist_signal *signal)
{
    pn_dist_signal again;
    pn_buf out = {0};

    if (!((const side *)user)->is_up
        || pn_dist_signal_write(&out, signal, 0) != PN_OK
        || pn_dist_signal_read(
               pn_buf_head(&out) + 4, pn_buf_used(&out) - 4, NULL, &again)
               != PN_OK
        || again.op != signal->op || again.id != signal->id
        || (again.op != PN_DIST_SEND && !same(again.from, signal->from))
        || !same(again.to, signal->to) || !same(again.ref, signal->ref)
        || !same(again.reason, signal->reason) || !same(again.mfa, signal->mfa)
        || !same(again.options, signal->options)
        || !same(again.leader, signal->leader)
        || !same(again.message, signal->message)) {
        abort();
    }
    pn_buf_fini(&out);
}

static void on_drained(
    void *user, const uint8_t *head, size_t head_len, size_t len)
{
    pn_dist_head h;

    (void)user;
    if (head_len > PN_DIST_HEAD_MAX || head_len > len) {
        abort();
    }
    (void)!pn_dist_head_read(head, head_len, &h);
}

static const pn_dist_callbacks callbacks = {
    .on_name = on_name,
    .on_rival_lost = on_rival,
    .on_rival_gone = on_rival,
    .on_alive = on_alive,
    .on_up = on_up,
    .on_signal = on_signal,
    .on_drained = on_drained,
};

static void begin(side *s, bool initiator, bool is_claimed)
{
    pn_slice peer = initiator ? (pn_slice){(const uint8_t *)BETA, 14}
                              : (pn_slice){(const uint8_t *)ALPHA, 15};
    pn_dist_config config = {
        .role = initiator ? PN_DIST_INITIATOR : PN_DIST_RESPONDER,
        .name = initiator ? ALPHA : BETA,
        .cookie = {(const uint8_t *)"monster", 7},
        .flags = PN_DIST_FLAGS,
        .creation = 5,
        .handshake_us = 7 * PN_US_PER_S,
        .drain_us = 10 * PN_US_PER_S,
        .max_message = 4096,
        .max_drain = 16384,
        .env = &s->env,
        .callbacks = &callbacks,
        .user = s,
    };

    s->env = (pn_env){.user = s, .random = fixed_random};
    if (initiator || !is_claimed) {
        config.peer_name = peer;
    }
    if (pn_dist_new(&config, 0, &s->dist) != PN_OK) {
        abort();
    }
}

/* All its output arrives, at to if that is given. */
static bool flush(side *s, side *to)
{
    bool any = false;

    for (;;) {
        pn_slice said = pn_dist_output(s->dist);

        if (said.len == 0) {
            return any;
        }
        any = true;
        if (to != NULL) {
            pn_dist_control_input(to->dist, 0, said.data, said.len);
        }
        s->n_said += said.len;
        pn_dist_written(s->dist);
        pn_dist_acked(s->dist, s->n_said);
    }
}

static void bring_up(side *s, bool initiator)
{
    side peer = {.is_gone = true};

    s->rival = PN_DIST_RIVAL_NONE;
    begin(&peer, !initiator, false);
    while (flush(s, &peer) || flush(&peer, s)) {}
    pn_dist_free(peer.dist);
    if (!s->is_up) {
        abort();
    }
}

/* One piece; how much of the input it took. */
static size_t piece(side *s, const uint8_t *data, size_t size)
{
    size_t len = size > 1 ? data[1] : 0;
    size_t head = size > 1 ? 2 : 1;

    len = len < size - head ? len : size - head;
    if (data[0] == 1) {
        pn_dist_tick(s->dist, 7 * PN_US_PER_S - 1 + len);
    } else if (data[0] == 0) {
        pn_dist_control_input(s->dist, 0, data + head, len);
    } else {
        pn_dist_data_input(s->dist, 0, data[0] == 255 ? INT64_MIN : data[0] - 1,
            data + head, len);
    }
    (void)flush(s, NULL);
    return head + len;
}

static void check(const side *s)
{
    bool is_up = pn_dist_state_of(s->dist) == PN_DIST_UP;
    bool has_failed = pn_dist_state_of(s->dist) == PN_DIST_FAILED;

    if ((is_up && !s->is_up)
        || has_failed != (pn_dist_reason_of(s->dist) != PN_DIST_REASON_NONE)
        /* Up, there is one for as long as a message is drained. */
        || (!is_up
            && has_failed != (pn_dist_deadline(s->dist) == PN_TIME_NEVER))
        || pn_dist_output(s->dist).len != 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t settings = size == 0 ? 0 : data[0];
    bool initiator = (settings & SET_INITIATOR) != 0;
    side s = {.rival = (pn_dist_rival)(settings / SET_RIVAL % 3),
        .is_gone = (settings & SET_GONE) != 0};

    begin(&s, initiator, (settings & SET_CLAIMED) != 0);
    if ((settings & SET_UP) != 0) {
        bring_up(&s, initiator);
    }
    (void)flush(&s, NULL);
    for (size_t at = 1; at < size;) {
        at += piece(&s, data + at, size - at);
        check(&s);
    }
    pn_dist_free(s.dist);
    return 0;
}

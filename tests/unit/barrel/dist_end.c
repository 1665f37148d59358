/* SPDX-License-Identifier: Apache-2.0 */
#include "dist_end.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "dist_text.h"

pn_slice dist_text(const char *text)
{
    return (pn_slice){(const uint8_t *)text, strlen(text)};
}

static pn_err draw(void *user, uint8_t *buf, size_t len)
{
    dist_end *e = user;

    if (e->no_random && e->n_random-- == 0) {
        return PN_SYS;
    }
    if (e->has_challenge) {
        assert_int_equal(len, 4);
        pn_store_be32(buf, e->challenge);
        return PN_OK;
    }
    for (size_t i = 0; i < len; i++) {
        buf[i] = (uint8_t)pn_test_random(&e->seed);
    }
    return PN_OK;
}

static void note(dist_end *e, char letter)
{
    size_t n = strlen(e->order);

    if (n + 1 < sizeof(e->order)) {
        e->order[n] = letter;
    }
}

static pn_dist_rival on_name(void *user, pn_slice name)
{
    dist_end *e = user;

    note(e, 'n');
    e->n_names++;
    memcpy(e->name, name.data, name.len);
    e->name[name.len] = '\0';
    return e->rival;
}

static void on_rival_lost(void *user)
{
    dist_end *e = user;

    note(e, 'l');
    e->n_lost++;
}

static void on_rival_gone(void *user)
{
    dist_end *e = user;

    note(e, 'g');
    e->n_gone++;
}

static bool on_alive(void *user)
{
    dist_end *e = user;

    note(e, 'a');
    e->n_alive++;
    return e->is_gone;
}

static void on_up(void *user)
{
    dist_end *e = user;

    note(e, 'u');
    assert_int_equal(pn_dist_state_of(e->dist), PN_DIST_UP);
    e->n_up++;
}

static void on_signal(void *user, const pn_dist_signal *signal)
{
    dist_end *e = user;

    note(e, 's');
    e->n_signals++;
    if (e->on_signal != NULL) {
        e->on_signal(e, signal);
    }
}

static void on_drained(
    void *user, const uint8_t *head, size_t head_len, size_t len)
{
    dist_end *e = user;

    e->n_drained++;
    e->drained_len = len;
    assert_true(head_len <= sizeof(e->drained_head));
    memcpy(e->drained_head, head, head_len);
    e->drained_head_len = head_len;
}

/* A role has no other callbacks than its own. */
static const pn_dist_callbacks of_initiator = {
    .on_alive = on_alive,
    .on_up = on_up,
    .on_signal = on_signal,
    .on_drained = on_drained,
};
static const pn_dist_callbacks of_responder = {
    .on_name = on_name,
    .on_rival_lost = on_rival_lost,
    .on_rival_gone = on_rival_gone,
    .on_up = on_up,
    .on_signal = on_signal,
    .on_drained = on_drained,
};

void dist_end_init(dist_end *e, pn_dist_role role)
{
    bool initiator = role == PN_DIST_INITIATOR;

    *e = (dist_end){.seed = initiator ? 1 : 2};
    e->env = (pn_env){.user = e, .random = draw};
    e->config = (pn_dist_config){
        .role = role,
        .name = initiator ? "alpha@127.0.0.1" : "beta@127.0.0.1",
        .peer_name = dist_text(
            initiator ? "beta@127.0.0.1" : "alpha@127.0.0.1"),
        .cookie = dist_text(COOKIE),
        .flags = PN_DIST_FLAGS,
        .handshake_us = DIST_HANDSHAKE_US,
        .max_message = DIST_MESSAGE_MAX,
        .drain_us = 10 * PN_US_PER_S,
        .creation = initiator ? 0x11223344 : 0x55667788,
        .env = &e->env,
        .callbacks = initiator ? &of_initiator : &of_responder,
        .user = e,
    };
}

void dist_end_start(dist_end *e)
{
    assert_int_equal(pn_dist_new(&e->config, NOW_US, &e->dist), PN_OK);
}

void dist_end_fini(dist_end *e)
{
    pn_dist_free(e->dist);
    e->dist = NULL;
}

size_t dist_take(dist_end *e, uint8_t *out)
{
    pn_slice said = pn_dist_output(e->dist);

    if (said.len > 0) {
        memcpy(out, said.data, said.len);
        pn_dist_written(e->dist);
        e->n_written += said.len;
    }
    return said.len;
}

void dist_ack(dist_end *e)
{
    pn_dist_acked(e->dist, e->n_written);
}

void dist_hear(dist_end *e, const uint8_t *data, size_t len, size_t piece)
{
    for (size_t at = 0; at < len; at += piece) {
        size_t n = len - at < piece ? len - at : piece;
        uint8_t *copy = malloc(n); /* so that a sanitizer sees its end */

        assert_non_null(copy);
        memcpy(copy, data + at, n);
        pn_dist_control_input(e->dist, NOW_US, copy, n);
        free(copy);
    }
}

size_t dist_pass(dist_end *from, dist_end *to, size_t piece)
{
    uint8_t bytes[512];
    size_t n = dist_take(from, bytes);

    if (n > 0) {
        dist_hear(to, bytes, n, piece);
        dist_ack(from);
    }
    return n;
}

void dist_talk(dist_end *a, dist_end *b, size_t piece)
{
    for (int i = 0; i < 20; i++) {
        size_t n = dist_pass(a, b, piece);

        if (n + dist_pass(b, a, piece) == 0) {
            return;
        }
    }
    fail_msg("they talk without end");
}

void dist_assert_up(const dist_end *e, const dist_end *peer)
{
    pn_slice name = pn_dist_peer_name(e->dist);

    assert_string_equal(dist_reason_text(pn_dist_reason_of(e->dist)), "none");
    assert_int_equal(pn_dist_state_of(e->dist), PN_DIST_UP);
    assert_int_equal(e->n_up, 1);
    pn_assert_bytes(name.data, name.len, (const uint8_t *)peer->config.name,
        strlen(peer->config.name));
    assert_int_equal(pn_dist_peer_creation(e->dist), peer->config.creation);
    assert_true(pn_dist_deadline(e->dist) == PN_TIME_NEVER);
}

void dist_assert_failed(const dist_end *e, pn_dist_reason want)
{
    assert_string_equal(
        dist_reason_text(pn_dist_reason_of(e->dist)), dist_reason_text(want));
    assert_int_equal(pn_dist_state_of(e->dist), PN_DIST_FAILED);
    assert_int_equal(e->n_up, 0);
    assert_true(pn_dist_deadline(e->dist) == PN_TIME_NEVER);
}

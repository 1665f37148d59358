/* SPDX-License-Identifier: Apache-2.0 */
/* See beam_peer.h. */
#include <stdlib.h>
#include <string.h>

#include "beam_peer.h"

static pn_err draw(void *user, uint8_t *buf, size_t len)
{
    (void)user;
    return pn_random(buf, len);
}

static const pn_env env = {.random = draw};

static void on_dist_up(void *user)
{
    (void)user;
}

static const pn_dist_callbacks dist_callbacks = {.on_up = on_dist_up};

static void control_flush(peer *p)
{
    pn_slice out = pn_dist_output(p->dist);

    if (out.len > 0) {
        stranger_say(&p->s, 0, out.data, out.len, false);
        pn_dist_written(p->dist);
    }
}

static void on_authenticated(stranger *s)
{
    peer *p = s->user;
    pn_dist_config config = {
        .role = PN_DIST_INITIATOR,
        .name = ALICE,
        .peer_name = {(const uint8_t *)BOB, strlen(BOB)},
        .cookie = {(const uint8_t *)"cookie", 6},
        .flags = PN_DIST_FLAGS,
        .creation = CREATION,
        .handshake_us = 7 * PN_US_PER_S,
        .max_message = 16 * 1024 * 1024,
        .drain_us = 10 * PN_US_PER_S,
        .env = &env,
        .callbacks = &dist_callbacks,
        .user = p,
    };
    int64_t stream = -1;

    assert_int_equal(
        pn_dist_new(&config, pn_loop_now_us(s->loop), &p->dist), PN_OK);
    assert_int_equal(pn_quic_open_bidi(s->conn, &stream), PN_OK);
    assert_int_equal(stream, 0);
    control_flush(p);
}

static void on_acked(stranger *s, int64_t stream, uint64_t total)
{
    peer *p = s->user;

    if (stream == 0) {
        pn_dist_acked(p->dist, total);
        control_flush(p);
    }
}

/* Its answers come on one stream (docs/BARREL-PROTOCOL.md, section 15.5). */
static void on_data(
    stranger *s, int64_t stream, const uint8_t *data, size_t len)
{
    peer *p = s->user;

    if (stream == 0) {
        pn_dist_control_input(p->dist, pn_loop_now_us(s->loop), data, len);
        control_flush(p);
    } else {
        assert_int_equal(stream, 1);
        assert_true(p->n_heard + len <= sizeof(p->heard));
        memcpy(p->heard + p->n_heard, data, len);
        p->n_heard += len;
    }
    pn_quic_consumed(s->conn, stream, len);
}

static bool is_up(stranger *s)
{
    const peer *p = s->user;

    return p->dist != NULL && pn_dist_state_of(p->dist) == PN_DIST_UP;
}

static void vars_init(peer *p)
{
    uint32_t bobs = pn_dist_peer_creation(p->dist);

    wire_set_pid(&p->vars, 'A', ALICE, 100, CREATION);
    wire_set_pid(&p->vars, 'G', ALICE, 50, CREATION);
    wire_set_pid(&p->vars, 'B', BOB, 0x7fff, bobs);
    wire_set_ref(&p->vars, 'Q', ALICE, 1, CREATION);
    wire_set_ref(&p->vars, 'R', ALICE, 2, CREATION);
    wire_set_ref(&p->vars, 'S', ALICE, 3, CREATION);
    wire_set_ref(&p->vars, 'T', ALICE, 4, CREATION);
    wire_set_ref(&p->vars, 'U', BOB, 0x3ffff, bobs); /* of nothing he asked */
    assert_int_equal(wire_var_of(&p->vars, 'A')->len, PID_LEN);
    assert_int_equal(wire_var_of(&p->vars, 'R')->len, REF_LEN);
    wire_set_binary(&p->vars, 'K', KEPT_MAX - PID_LEN);
    wire_set_binary(&p->vars, 'L', KEPT_MAX - PID_LEN + 1);
    wire_set_binary(&p->vars, 'M', KEPT_MAX - PID_LEN - REF_LEN);
    wire_set_binary(&p->vars, 'N', KEPT_MAX - PID_LEN - REF_LEN + 1);
}

/* calc:note/1, whose run can be observed. */
static void export_note(two_barrels *t, bool is_granted)
{
    pn_principal alice = pn_barrel_principal(&t->alice_key);

    assert_int_equal(pn_beam_dist_export(
                         t->table, ":calc", "note", 1, two_barrels_on_sent, t),
        PN_OK);
    if (is_granted) {
        two_barrels_grant(t);
        assert_int_equal(
            pn_beam_dist_grant(t->table, ":calc", "note", 1, &alice), PN_OK);
    }
}

peer *peer_up(bool is_granted)
{
    peer *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    stranger_init(&p->s, NULL);
    export_note(&p->s.t, is_granted);
    p->s.user = p;
    p->s.on_authenticated = on_authenticated;
    p->s.on_acked = on_acked;
    p->s.on_data = on_data;
    stranger_dial(&p->s);
    assert_true(stranger_run(&p->s, is_up));
    assert_true(is_up(&p->s));
    for (int i = 0; i < N_STREAMS; i++) {
        assert_int_equal(pn_quic_open_bidi(p->s.conn, &p->streams[i]), PN_OK);
        assert_int_equal(p->streams[i], 4 * (i + 1));
    }
    vars_init(p);
    return p;
}

void peer_down(peer *p)
{
    assert_int_equal(p->n_taken, p->n_heard);
    (void)pthread_mutex_lock(&p->s.t.lock);
    assert_int_equal(p->s.t.n_sent, p->n_inbox);
    (void)pthread_mutex_unlock(&p->s.t.lock);
    pn_dist_free(p->dist);
    stranger_fini(&p->s);
    free(p);
}

void tell(peer *p, int i, const char *text)
{
    uint8_t frame[WIRE_MAX];
    size_t len = wire_frame(frame, text, &p->vars, NULL, 0);

    stranger_say(&p->s, p->streams[i], frame, len, false);
}

size_t frame_len(const peer *p)
{
    const uint8_t *at = p->heard + p->n_taken;
    size_t left = p->n_heard - p->n_taken;

    return left < 4 || left - 4 < pn_load_be32(at) ? 0 : 4 + pn_load_be32(at);
}

bool has_frame(stranger *s)
{
    return frame_len(s->user) > 0;
}

void expect(peer *p, const char *text)
{
    uint8_t want[WIRE_MAX];
    const uint8_t *got = p->heard + p->n_taken;
    size_t want_len;
    size_t len;

    assert_true(stranger_run(&p->s, has_frame));
    len = frame_len(p);
    if (len == 0) {
        fail_msg("the link has ended before %s", text);
    }
    want_len = wire_frame(want, text, &p->vars, got, len);
    if (want_len != len || memcmp(want, got, len) != 0) {
        print_error("expected %s\n", text);
    }
    pn_assert_bytes(got, len, want, want_len);
    p->n_taken += len;
}

void nothing_else(peer *p)
{
    tell(p, 0,
        "{6,A,'',net_kernel} {'$gen_call',{A,T},{is_auth,'alice@127.0.0.1'}}");
    expect(p, "{2,'',A} {T,yes}");
}

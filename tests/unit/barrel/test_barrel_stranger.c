/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node against a peer that speaks correct QUIC and breaks the protocol above
 * it: each row does one thing that must get no answer and have no effect.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "looprun.h"
#include "quic_defaults.h"
#include "stranger_rig.h"

enum { AUTH_TIMEOUT_MS = 400 };

typedef struct stranger_row {
    const char *name;
    void (*on_open)(stranger *s); /* instead of an authentication */
    void (*on_authenticated)(stranger *s);
    const char *logged;            /* by bob; NULL: nothing is asked */
    const char *refusal;           /* the FAIL that comes; NULL: none may */
    void (*on_auth)(stranger *s);  /* changes what it proves */
    void (*on_prove)(stranger *s); /* before it answers the challenge */
} stranger_row;

/* State of a row, beside the rig. */
typedef struct row_state {
    unsigned n_ticks;
    size_t n_other; /* bytes on streams but that of the authentication */
} row_state;

/* ---- actions ------------------------------------------------------------ */

static size_t hello(const stranger *s, uint8_t *out)
{
    pn_slice name = {(const uint8_t *)ALICE, strlen(ALICE)};

    return pn_auth_encode_hello(out, name, &s->identity->public_key);
}

static void early_control(stranger *s)
{
    int64_t stream = -1;

    assert_int_equal(pn_quic_open_bidi(s->conn, &stream), PN_OK);
    stranger_say(s, stream, "N", 1, false);
}

/* Correct messages on the wrong stream. */
static void hello_on_bidi(stranger *s)
{
    uint8_t out[PN_AUTH_HEADER_LEN + PN_AUTH_MESSAGE_MAX];
    int64_t stream = -1;

    assert_int_equal(pn_quic_open_bidi(s->conn, &stream), PN_OK);
    stranger_say(s, stream, out, hello(s, out), false);
}

static void hello_on_second(stranger *s)
{
    uint8_t out[PN_AUTH_HEADER_LEN + PN_AUTH_MESSAGE_MAX];

    (void)stranger_open_uni(s);
    stranger_say(s, stranger_open_uni(s), out, hello(s, out), false);
}

static void version_one(stranger *s)
{
    uint8_t out[PN_AUTH_HEADER_LEN + PN_AUTH_MESSAGE_MAX];
    size_t len = hello(s, out);

    out[PN_AUTH_HEADER_LEN + 1] = 1;
    stranger_say(s, stranger_open_uni(s), out, len, false);
}

static void unknown_key(stranger *s)
{
    uint8_t out[PN_AUTH_HEADER_LEN + PN_AUTH_MESSAGE_MAX];
    pn_slice name = {(const uint8_t *)"carol@127.0.0.1", 15};

    stranger_say(s, stranger_open_uni(s), out,
        pn_auth_encode_hello(out, name, &s->identity->public_key), false);
}

static void wrong_key(stranger *s)
{
    uint8_t out[PN_AUTH_HEADER_LEN + PN_AUTH_MESSAGE_MAX];
    pn_slice name = {(const uint8_t *)ALICE, strlen(ALICE)};
    pn_ed25519_key other = {{9}};

    stranger_say(s, stranger_open_uni(s), out,
        pn_auth_encode_hello(out, name, &other), false);
}

static void reflect(stranger *s)
{
    uint8_t out[PN_AUTH_HEADER_LEN + PN_AUTH_MESSAGE_MAX];
    pn_slice name = {(const uint8_t *)ALICE, strlen(ALICE)};

    stranger_say(s, stranger_open_uni(s), out,
        pn_auth_encode_hello(out, name, &s->t.bob_key), false);
}

static void too_long(stranger *s)
{
    static const uint8_t head[PN_AUTH_HEADER_LEN] = {0x02, 0x01};

    stranger_say(s, stranger_open_uni(s), head, sizeof(head), false);
}

static void finish_early(stranger *s)
{
    uint8_t out[PN_AUTH_HEADER_LEN + PN_AUTH_MESSAGE_MAX];
    size_t len = hello(s, out);

    stranger_say(s, stranger_open_uni(s), out, len - 1, true);
}

static void reset_early(stranger *s)
{
    int64_t stream = stranger_open_uni(s);

    stranger_say(s, stream, "\0", 1, false);
    pn_quic_reset(s->conn, stream, 0);
}

static void nothing(stranger *s)
{
    (void)s;
}

/* A byte every 20 ms does not put the deadline off. */
static void dribble(stranger *s)
{
    s->stream = stranger_open_uni(s);
    pn_timer_set(s->timer, pn_loop_now_us(s->loop) + 20000);
}

/* ---- ... once it has proven to be alice -------------------------------- */

static void say_name(stranger *s, const char *name)
{
    uint8_t out[64] = {'N', 0, 0, 0, 5, 0x07, 0x07, 0x0f, 0xbc, 0, 0, 0, 9};
    int64_t stream = -1;

    out[14] = (uint8_t)strlen(name);
    memcpy(out + 15, name, strlen(name));
    assert_int_equal(pn_quic_open_bidi(s->conn, &stream), PN_OK);
    assert_int_equal(stream, 0);
    stranger_say(s, stream, out, 15 + strlen(name), false);
}

static void other_name(stranger *s)
{
    say_name(s, "mallory@127.0.0.1");
}

static void bobs_name(stranger *s)
{
    say_name(s, BOB);
}

static void bad_handshake(stranger *s)
{
    int64_t stream = -1;

    assert_int_equal(pn_quic_open_bidi(s->conn, &stream), PN_OK);
    stranger_say(s, stream, "GET / HTTP/1.1\r\n\r\n", 18, false);
}

static void more_on_auth(stranger *s)
{
    stranger_say(s, s->stream, "x", 1, false);
}

/* Unframed megabytes of data before the handshake is through. */
static void early_data(stranger *s)
{
    static const uint8_t zeros[128 * 1024] = {0, 1, 0xff, 0};
    int64_t stream = -1;

    assert_int_equal(pn_quic_open_bidi(s->conn, &stream), PN_OK);
    assert_int_equal(pn_quic_open_bidi(s->conn, &stream), PN_OK);
    stranger_say(s, stream, zeros, sizeof(zeros), false);
}

/* ---- wrong proofs ------------------------------------------------------ */

/* It claims alice's name, with a key of its own. */
static void sign_wrongly(stranger *s)
{
    s->identity->secret.bytes[0] ^= 1;
}

/* A relay that alice dialled has her messages for another certificate. */
static void bind_elsewhere(stranger *s)
{
    s->binding[0] ^= 1;
}

static void unpin(stranger *s)
{
    assert_int_equal(pn_barrel_unpin(s->t.bob, ALICE), PN_OK);
}

static const stranger_row rows[] = {
    {"early_control", early_control, NULL, "opened a stream before", NULL, NULL,
        NULL},
    {"hello_on_bidi", hello_on_bidi, NULL, "opened a stream before", NULL, NULL,
        NULL},
    {"hello_on_second", hello_on_second, NULL, "opened a stream before", NULL,
        NULL, NULL},
    {"version_one", version_one, NULL, "cannot be read (unsupported version)",
        NULL, NULL, NULL},
    {"unknown_key", unknown_key, NULL, "no key is pinned here", "untrusted_key",
        NULL, NULL},
    {"wrong_key", wrong_key, NULL, "another key is pinned here", "key_mismatch",
        NULL, NULL},
    {"reflect", reflect, NULL, "it has our own key", NULL, NULL, NULL},
    {"too_long", too_long, NULL, "a message that is too long", NULL, NULL,
        NULL},
    {"finish_early", finish_early, NULL, "ended the authentication without",
        NULL, NULL, NULL},
    {"reset_early", reset_early, NULL, "broke off the authentication", NULL,
        NULL, NULL},
    {"nothing", nothing, NULL, "did not finish the authentication in time",
        NULL, NULL, NULL},
    {"dribble", dribble, NULL, "did not finish the authentication in time",
        NULL, NULL, NULL},
    {"other_name", NULL, other_name, "it has another name there", NULL, NULL,
        NULL},
    {"bobs_name", NULL, bobs_name, "it has another name there", NULL, NULL,
        NULL},
    {"bad_handshake", NULL, bad_handshake, "is not that of Erlang", NULL, NULL,
        NULL},
    {"signature_invalid", NULL, NULL, "cannot prove its key",
        "signature_invalid", sign_wrongly, NULL},
    {"other_binding", NULL, NULL, "cannot prove its key", "signature_invalid",
        bind_elsewhere, NULL},
    {"unpinned", NULL, nothing, "not pinned any more", NULL, NULL, unpin},
    {"more_on_auth", NULL, more_on_auth, "more than an authentication", NULL,
        NULL, NULL},
    {"early_data", NULL, early_data, NULL, NULL, NULL, NULL},
};

/* ---- its loop ---------------------------------------------------------- */

static void on_reset(void *user, int64_t stream, uint64_t code)
{
    (void)user;
    (void)stream;
    (void)code;
}

static const pn_quic_callbacks nobody = {0};

static void on_other(
    stranger *s, int64_t stream, const uint8_t *data, size_t len)
{
    row_state *state = s->user;

    (void)stream;
    (void)data;
    state->n_other += len;
}

static void on_timer(stranger *s)
{
    row_state *state = s->user;
    uint8_t out[PN_AUTH_HEADER_LEN + PN_AUTH_MESSAGE_MAX];
    size_t len = hello(s, out);

    if (s->conn != NULL && state->n_ticks < len) {
        stranger_say(s, s->stream, out + state->n_ticks++, 1, false);
        pn_timer_set(s->timer, pn_loop_now_us(s->loop) + 20000);
    }
}

/* ---- the test ---------------------------------------------------------- */

static void short_timeout(pn_barrel_options *options, bool is_alice)
{
    (void)is_alice;
    options->auth_timeout_ms = AUTH_TIMEOUT_MS;
}

static void assert_text(pn_slice got, const char *want)
{
    pn_assert_bytes(got.data, got.len, (const uint8_t *)want, strlen(want));
}

/* Checks bob's bytes on his auth stream. */
static void check_heard(const stranger *s, const stranger_row *row)
{
    pn_auth_message m;
    size_t len;

    if (s->auth != NULL) { /* a whole authentication */
        assert_text(pn_auth_rejected_with(s->auth),
            row->refusal == NULL ? "" : row->refusal);
        return;
    }
    if (row->refusal == NULL) {
        assert_int_equal(s->n_heard, 0);
        return;
    }
    assert_true(s->n_heard > PN_AUTH_HEADER_LEN);
    len = pn_load_be16(s->heard);
    assert_int_equal(s->n_heard, PN_AUTH_HEADER_LEN + len);
    assert_int_equal(pn_auth_decode(s->heard + PN_AUTH_HEADER_LEN, len, &m),
        PN_AUTH_DECODED);
    assert_int_equal(m.type, PN_AUTH_FAIL);
    assert_text(m.reason, row->refusal);
}

static void check_log(two_barrels *t, const char *logged)
{
    two_barrels_wait(t, &t->n_logs, 1);
    (void)pthread_mutex_lock(&t->lock);
    if (strstr(t->last_log, logged) == NULL) {
        fail_msg("expected \"%s\" in \"%s\"", logged, t->last_log);
    }
    (void)pthread_mutex_unlock(&t->lock);
}

static void check_counters(const stranger *s, bool is_ok)
{
    pn_barrel_node_info *nodes = NULL;
    pn_barrel_metrics m;
    size_t n = 0;

    pn_barrel_get_metrics(s->t.bob, &m);
    assert_int_equal(m.auth_fail_incoming, is_ok ? 0 : 1);
    assert_int_equal(m.auth_ok_incoming, is_ok ? 1 : 0);
    assert_int_equal(pn_barrel_nodes(s->t.bob, &nodes, &n), PN_OK);
    assert_int_equal(n, 0);
    free(nodes);
}

static void test_row(void **state)
{
    const stranger_row *row = *state;
    bool is_timed = row->on_open == nothing || row->on_open == dribble;
    row_state kept = {0};
    stranger s;

    stranger_init(&s, is_timed ? short_timeout : NULL);
    s.user = &kept;
    s.on_open = row->on_open;
    s.on_auth = row->on_auth;
    s.on_prove = row->on_prove;
    s.on_authenticated = row->on_authenticated;
    s.on_data = on_other;
    s.on_timer = on_timer;
    stranger_dial(&s);
    assert_true(stranger_run(&s, NULL));
    stranger_assert_closed(&s);
    assert_int_equal(kept.n_other, 0);
    check_heard(&s, row);
    assert_int_equal(s.is_authenticated, row->on_authenticated != NULL);
    if (is_timed) {
        uint64_t took_ms = (s.ended_us - s.opened_us) / 1000;

        /* The default is 7 s. */
        assert_in_range(took_ms, AUTH_TIMEOUT_MS - 100, 6000);
    }
    if (row->logged != NULL) {
        check_log(&s.t, row->logged);
    }
    check_counters(&s, row->on_authenticated != NULL && row->on_prove != unpin);
    stranger_fini(&s);
}

/* ---- many of them ------------------------------------------------------ */

enum { CROWD = 9, GATE_TIMEOUT_MS = 4000 };

typedef struct crowd {
    two_barrels t;
    pn_loop *loop;
    pn_quic *quic;
    struct member {
        struct crowd *crowd;
        pn_quic_conn *conn;
        bool has_ended;
    } members[CROWD];
    unsigned n_ended;
} crowd;

static void on_member_open(void *user)
{
    (void)user;
}

static void on_member_data(
    void *user, int64_t stream, const uint8_t *data, size_t len, bool is_last)
{
    (void)user;
    (void)stream;
    (void)data;
    (void)len;
    (void)is_last;
}

static void on_member_end(void *user, pn_err why, uint64_t code, int sys_errno)
{
    struct member *m = user;

    (void)why;
    (void)code;
    (void)sys_errno;
    m->has_ended = true;
    m->crowd->n_ended++;
    pn_quic_close(m->conn, 0);
    m->conn = NULL;
}

static const pn_quic_conn_callbacks member_callbacks = {
    .on_open = on_member_open,
    .on_data = on_member_data,
    .on_reset = on_reset,
    .on_end = on_member_end,
};

static void set_slow_gate(pn_barrel_options *options, bool is_alice)
{
    (void)is_alice;
    options->auth_timeout_ms = GATE_TIMEOUT_MS;
}

static void crowd_init(crowd *c)
{
    pn_quic_options options = {.alpn = "erlang-dist"};
    pn_address at;
    int sys_errno = 0;

    quic_defaults(&options);
    memset(c, 0, sizeof(*c));
    two_barrels_init(&c->t);
    two_barrels_pin(&c->t);
    assert_int_equal(two_barrels_open_one(&c->t, false, set_slow_gate), PN_OK);
    assert_int_equal(pn_loop_new(&c->loop), PN_OK);
    assert_int_equal(pn_address_parse("127.0.0.1:0", -1, &at), PN_OK);
    assert_int_equal(pn_quic_new(c->loop, &at, &options, &nobody, NULL,
                         &c->quic, &sys_errno),
        PN_OK);
}

static void crowd_dial(crowd *c, unsigned n)
{
    pn_address at;

    assert_int_equal(pn_address_parse("127.0.0.1:0", -1, &at), PN_OK);
    pn_address_set_port(&at, pn_barrel_port(c->t.bob));
    for (unsigned i = 0; i < n; i++) {
        struct member *m = &c->members[i];

        *m = (struct member){.crowd = c};
        assert_int_equal(
            pn_quic_dial(c->quic, &at, &member_callbacks, m, &m->conn), PN_OK);
    }
}

/* Until n have ended, or for so long. */
static void crowd_run(crowd *c, unsigned n, unsigned ms)
{
    uint64_t until_us = pn_loop_update_now(c->loop) + ms * PN_US_PER_MS;

    while (c->n_ended < n && pn_loop_update_now(c->loop) < until_us) {
        pn_test_loop_step(c->loop, until_us);
    }
}

static void crowd_fini(crowd *c)
{
    pn_quic_free(c->quic);
    pn_loop_free(c->loop);
    two_barrels_fini(&c->t);
}

/* The node's gate: 8 unauthenticated connections of one source, and no
 * ninth. */
static void test_gate(void **state)
{
    const uint64_t early_us = GATE_TIMEOUT_MS * PN_US_PER_MS * 9 / 10;
    pn_barrel_metrics m;
    uint64_t start_us;
    crowd c;

    (void)state;
    crowd_init(&c);
    start_us = pn_loop_update_now(c.loop);
    crowd_dial(&c, CROWD);
    crowd_run(&c, 1, GATE_TIMEOUT_MS * 4);
    if (pn_loop_update_now(c.loop) - start_us < early_us) {
        assert_int_equal(c.n_ended, 1);
    }
    crowd_run(&c, 2, GATE_TIMEOUT_MS * 4);
    assert_true(pn_loop_update_now(c.loop) - start_us >= early_us);
    crowd_run(&c, CROWD, GATE_TIMEOUT_MS * 4);
    assert_int_equal(c.n_ended, CROWD);
    /* However late a busy machine is, the ninth got no challenge. */
    pn_barrel_get_metrics(c.t.bob, &m);
    assert_int_equal(m.auth_fail_incoming, CROWD - 1);
    /* Their places are free again. */
    c.n_ended = 0;
    crowd_dial(&c, CROWD - 1);
    crowd_run(&c, 1, 700);
    assert_int_equal(c.n_ended, 0);
    crowd_fini(&c);
}

int main(void)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pn_test_addf(test_row, (void *)(uintptr_t)&rows[i],
            "barrel/stranger/%s", rows[i].name);
    }
    pn_test_add("barrel/stranger/gate", test_gate, NULL);
    return pn_test_run("barrel-stranger");
}

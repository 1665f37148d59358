/* SPDX-License-Identifier: Apache-2.0 */
#include "stranger_rig.h"

#include <string.h>

#include "anybody.h"
#include "keys/barrel_keys.h"
#include "looprun.h"
#include "os/clock.h"
#include "quic/ngtcp2_api.h"
#include "quic_defaults.h"

/* ---- the close; barrel/quic's interface has its code only --------------- */

ngtcp2_ccerr __real_pn_quic_engine_received_close(pn_quic_conn *conn);
ngtcp2_ccerr __wrap_pn_quic_engine_received_close(pn_quic_conn *conn);

/* Bob has a thread of his own. */
static _Thread_local ngtcp2_ccerr last_close;

ngtcp2_ccerr __wrap_pn_quic_engine_received_close(pn_quic_conn *conn)
{
    last_close = __real_pn_quic_engine_received_close(conn);
    return last_close;
}

void stranger_say(
    stranger *s, int64_t stream, const void *data, size_t len, bool is_last)
{
    assert_int_equal(pn_quic_write(s->conn, stream, data, len, is_last), PN_OK);
}

int64_t stranger_open_uni(stranger *s)
{
    int64_t stream = -1;

    assert_int_equal(pn_quic_open_uni(s->conn, &stream), PN_OK);
    return stream;
}

/* ---- authentication ---------------------------------------------------- */

static void auth_write(stranger *s)
{
    pn_slice out = pn_auth_output(s->auth);

    if (out.len > 0) {
        if (++s->n_writes == 2 && s->on_prove != NULL) {
            s->on_prove(s);
        }
        stranger_say(s, s->stream, out.data, out.len, false);
        pn_auth_written(s->auth, out.len);
    }
    if (pn_auth_outcome_of(s->auth) == PN_AUTH_DONE && !s->is_authenticated) {
        s->is_authenticated = true;
        s->on_authenticated(s);
    }
}

static void auth_begin(stranger *s)
{
    pn_auth_config config = {
        .initiator = true,
        .name = ALICE,
        .dialled_name = BOB,
        .identity = s->identity,
        .binding = s->binding,
        .timeout_us = 10 * PN_US_PER_S,
        .window_ms = 30000,
        .env = &s->env,
        .pins = &anybody,
    };

    assert_int_equal(pn_quic_binding(s->conn, s->binding), PN_OK);
    if (s->on_auth != NULL) {
        s->on_auth(s);
    }
    assert_int_equal(
        pn_auth_new(&config, pn_loop_now_us(s->loop), &s->auth), PN_OK);
    s->stream = stranger_open_uni(s);
    auth_write(s);
}

/* ---- its loop ---------------------------------------------------------- */

static void on_open(void *user)
{
    stranger *s = user;

    s->opened_us = pn_loop_now_us(s->loop);
    if (s->on_open != NULL) {
        s->on_open(s);
    } else {
        auth_begin(s);
    }
}

static void on_data(
    void *user, int64_t stream, const uint8_t *data, size_t len, bool is_last)
{
    stranger *s = user;

    if (stream != 3) {
        if (s->on_data != NULL) {
            s->on_data(s, stream, data, len);
        }
        return;
    }
    assert_true(s->n_heard + len <= sizeof(s->heard));
    memcpy(s->heard + s->n_heard, data, len);
    s->n_heard += len;
    if (s->auth != NULL && !s->is_authenticated) {
        pn_auth_input(s->auth, pn_loop_now_us(s->loop),
            (uint64_t)pn_wall_now_us() / 1000, data, len, is_last);
        auth_write(s);
    }
}

static void on_reset(void *user, int64_t stream, uint64_t code)
{
    (void)user;
    (void)stream;
    (void)code;
}

static void on_acked(void *user, int64_t stream, uint64_t total)
{
    stranger *s = user;

    if (s->on_acked != NULL) {
        s->on_acked(s, stream, total);
    }
}

static void on_end(void *user, pn_err why, uint64_t code, int sys_errno)
{
    stranger *s = user;

    s->end_err = why;
    s->end_code = code;
    s->end_errno = sys_errno;
    s->is_application_close = last_close.type == NGTCP2_CCERR_TYPE_APPLICATION;
    s->close_reason_len = last_close.reasonlen;
    s->has_ended = true;
    s->ended_us = pn_loop_now_us(s->loop);
    pn_quic_close(s->conn, 0);
    s->conn = NULL;
}

static const pn_quic_conn_callbacks callbacks = {
    .on_open = on_open,
    .on_data = on_data,
    .on_reset = on_reset,
    .on_acked = on_acked,
    .on_end = on_end,
};

static const pn_quic_callbacks nobody = {0};

static void on_timer(void *user)
{
    stranger *s = user;

    s->on_timer(s);
}

bool stranger_run(stranger *s, bool (*until)(stranger *s))
{
    uint64_t until_us = pn_loop_update_now(s->loop) + 10 * PN_US_PER_S;

    while (!s->has_ended && (until == NULL || !until(s))) {
        uint64_t now_us = pn_loop_update_now(s->loop);

        if (now_us >= until_us) {
            return false;
        }
        /* Bob's thread may end it meanwhile. */
        pn_test_loop_step(s->loop, now_us + 20 * PN_US_PER_MS);
    }
    return true;
}

void stranger_assert_closed(const stranger *s)
{
    assert_true(s->has_ended);
    assert_int_equal(s->end_err, PN_CLOSED);
    assert_int_equal(s->end_code, 0);
    assert_int_equal(s->end_errno, 0);
    assert_true(s->is_application_close);
    assert_int_equal(s->close_reason_len, 0);
}

/* ---- life -------------------------------------------------------------- */

/* Alice's key, for tests in which the stranger is alice. */
static void read_identity(stranger *s)
{
    pn_barrel_keys *keys = NULL;

    s->identity = pn_secure_alloc(sizeof(*s->identity));
    assert_non_null(s->identity);
    assert_int_equal(pn_barrel_keys_open(two_barrels_path(&s->t, true, "keys"),
                         &keys, NULL, NULL),
        PN_OK);
    *s->identity = *pn_barrel_keys_pair(keys);
    pn_barrel_keys_close(keys);
}

void stranger_init(stranger *s, two_barrels_change *change)
{
    pn_quic_options options = {.alpn = "erlang-dist"};
    pn_address at;
    int sys_errno = 0;

    quic_defaults(&options);
    memset(s, 0, sizeof(*s));
    memset(&last_close, 0, sizeof(last_close));
    s->stream = -1;
    s->env = (pn_env){.random = anybody_draw};
    two_barrels_init(&s->t);
    two_barrels_pin(&s->t);
    assert_int_equal(two_barrels_open_one(&s->t, false, change), PN_OK);
    read_identity(s);
    assert_int_equal(pn_loop_new(&s->loop), PN_OK);
    assert_int_equal(pn_timer_new(s->loop, on_timer, s, &s->timer), PN_OK);
    assert_int_equal(pn_address_parse("127.0.0.1:0", -1, &at), PN_OK);
    assert_int_equal(pn_quic_new(s->loop, &at, &options, &nobody, NULL,
                         &s->quic, &sys_errno),
        PN_OK);
}

void stranger_dial(stranger *s)
{
    pn_address at;

    assert_int_equal(pn_address_parse("127.0.0.1:0", -1, &at), PN_OK);
    pn_address_set_port(&at, pn_barrel_port(s->t.bob));
    assert_int_equal(
        pn_quic_dial(s->quic, &at, &callbacks, s, &s->conn), PN_OK);
}

void stranger_fini(stranger *s)
{
    pn_auth_free(s->auth);
    pn_secure_free(s->identity, sizeof(*s->identity));
    pn_quic_free(s->quic);
    pn_timer_free(s->timer);
    pn_loop_free(s->loop);
    two_barrels_fini(&s->t);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* One end of a link for tests; see link.h. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "link.h"
#include "wire/frame.h"

static void buf_set(pn_buf *b, const void *data, size_t n)
{
    pn_buf_consume(b, pn_buf_used(b));
    assert_int_equal(pn_buf_append(b, data, n), PN_OK);
}

static void take_handle(end *e, pn_slice handle)
{
    size_t n = handle.len < sizeof(e->handle) ? handle.len
                                              : sizeof(e->handle) - 1;

    memcpy(e->handle, handle.data, n);
    e->handle[n] = '\0';
}

static bool is_trusted(void *user, const pn_public_key *peer)
{
    end *e = user;

    (void)peer;
    e->n_trust++;
    if (e->hooks.on_trust != NULL) {
        e->hooks.on_trust(e);
    }
    return e->trusts;
}

static void on_open(void *user, const pn_public_key *peer)
{
    end *e = user;

    (void)peer;
    e->n_open++;
    if (e->hooks.on_open != NULL) {
        e->hooks.on_open(e);
    }
}

static void on_call(void *user, uint64_t id, pn_slice handle, pn_term args)
{
    end *e = user;

    e->n_calls++;
    e->call_id = id;
    take_handle(e, handle);
    buf_set(&e->args, args.data, args.len);
    if (e->hooks.on_call != NULL) {
        e->hooks.on_call(e, id, handle, args);
    }
}

static void on_send(void *user, pn_slice handle, pn_term args)
{
    end *e = user;

    e->n_sends++;
    take_handle(e, handle);
    buf_set(&e->args, args.data, args.len);
    if (e->hooks.on_send != NULL) {
        e->hooks.on_send(e, handle, args);
    }
}

static void untime(end *e, end_timed *timed)
{
    timed->is_used = false;
    while (e->n_timed > 0 && !e->timed[e->n_timed - 1].is_used) {
        e->n_timed--;
    }
}

static end_timed *timed_new(end *e, uint64_t deadline, void *call)
{
    end_timed *timed = e->timed;

    while (timed < e->timed + END_CALLS && timed->is_used) {
        timed++;
    }
    assert_true(timed < e->timed + END_CALLS);
    *timed = (end_timed){call, deadline, true, 0};
    if (timed == e->timed + e->n_timed) {
        e->n_timed++;
    }
    return timed;
}

static void on_reply(void *user, void *call, pn_err outcome, pn_term value)
{
    end *e = user;
    end_timed *timed = call;

    if (timed != NULL) {
        call = timed->call;
        untime(e, timed);
    }
    e->n_replies++;
    e->outcome = outcome;
    e->call = call;
    buf_set(&e->value, value.data, value.len);
    if (e->hooks.on_reply != NULL) {
        e->hooks.on_reply(e, call, outcome, value);
    }
}

static void on_output(void *user)
{
    end *e = user;

    e->n_output++;
    if (e->hooks.on_output != NULL) {
        e->hooks.on_output(e);
    }
}

static void on_writable(void *user)
{
    end *e = user;

    e->n_writable++;
    if (e->hooks.on_writable != NULL) {
        e->hooks.on_writable(e);
    }
}

static const pn_session_callbacks callbacks = {
    .is_trusted = is_trusted,
    .on_open = on_open,
    .on_call = on_call,
    .on_send = on_send,
    .on_reply = on_reply,
    .on_output = on_output,
    .on_writable = on_writable,
};

static void draw(end *e, uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        buf[i] = (uint8_t)pn_test_random(&e->seed);
    }
}

/* Nonces of pings have another length than the ephemeral. */
static pn_err env_random(void *user, uint8_t *buf, size_t len)
{
    end *e = user;

    if (len != PN_KEY_LEN) {
        draw(e, buf, len);
        return e->no_random ? PN_SYS : PN_OK;
    }
    if (e->is_fresh) {
        return pn_random(buf, len);
    }
    memcpy(buf, e->ephemeral.bytes, len);
    return PN_OK;
}

void end_init(end *e, bool initiator, uint64_t seed)
{
    *e = (end){.seed = seed, .trusts = true};
    draw(e, e->identity.secret.bytes, PN_KEY_LEN);
    draw(e, e->ephemeral.bytes, PN_KEY_LEN);
    assert_int_equal(
        pn_x25519_public(&e->identity.secret, &e->identity.public_key), PN_OK);
    pn_session_limits_default(&e->limits);
    e->env = (pn_env){.user = e, .random = env_random};
    e->config = (pn_session_config){
        .initiator = initiator,
        .identity = &e->identity,
        .limits = &e->limits,
        .env = &e->env,
        .callbacks = &callbacks,
        .user = e,
    };
}

void end_start(end *e, uint64_t now)
{
    e->now = now;
    assert_int_equal(pn_session_new(&e->config, now, &e->s), PN_OK);
}

void end_fini(end *e)
{
    pn_session_free(e->s);
    e->s = NULL;
    pn_buf_fini(&e->in);
    pn_buf_fini(&e->args);
    pn_buf_fini(&e->value);
}

/* One call of input with a copy that ends where the bytes end. */
static pn_err input_once(end *e, uint64_t now)
{
    size_t len = pn_buf_used(&e->in);
    uint8_t *copy = malloc(len == 0 ? 1 : len);
    size_t consumed = 0;

    if (copy == NULL) {
        abort();
    }
    if (len > 0) {
        memcpy(copy, pn_buf_head(&e->in), len);
    }
    e->now = now;
    e->err = pn_session_input(e->s, now, copy, len, &consumed);
    assert_true(consumed <= len);
    pn_buf_consume(&e->in, consumed);
    free(copy);
    return e->err;
}

pn_err end_feed(end *e, uint64_t now, const void *data, size_t len)
{
    assert_int_equal(pn_buf_append(&e->in, data, len), PN_OK);
    return input_once(e, now);
}

pn_err end_feed_by(
    end *e, uint64_t now, const void *data, size_t len, size_t step)
{
    const uint8_t *at = data;

    e->err = PN_OK;
    while (len > 0 && e->err == PN_OK) {
        size_t n = len < step ? len : step;

        (void)end_feed(e, now, at, n);
        at += n;
        len -= n;
    }
    return e->err;
}

pn_err end_tick(end *e, uint64_t now)
{
    e->now = now;
    for (size_t i = 0; i < e->n_timed; i++) {
        end_timed *timed = &e->timed[i];

        if (timed->is_used && timed->deadline <= now) {
            pn_session_forget(e->s, timed->id);
            on_reply(e, timed, PN_TIMEOUT, (pn_term){0});
        }
    }
    e->err = pn_session_tick(e->s, now);
    return e->err;
}

uint64_t end_deadline(const end *e)
{
    uint64_t at = pn_session_deadline(e->s);

    for (size_t i = 0; i < e->n_timed; i++) {
        if (e->timed[i].is_used && e->timed[i].deadline < at) {
            at = e->timed[i].deadline;
        }
    }
    return at;
}

void end_take(end *e, uint64_t now, pn_buf *out)
{
    pn_slice bytes = pn_session_output(e->s);

    assert_int_equal(pn_buf_append(out, bytes.data, bytes.len), PN_OK);
    e->now = now;
    pn_session_written(e->s, now, bytes.len);
}

bool end_pass(end *from, end *to, uint64_t now)
{
    pn_buf bytes = {0};
    bool some;

    end_take(from, now, &bytes);
    some = pn_buf_used(&bytes) > 0;
    if (some) {
        (void)end_feed(to, now, pn_buf_head(&bytes), pn_buf_used(&bytes));
    }
    pn_buf_fini(&bytes);
    return some;
}

static bool tick_if_due(end *e, uint64_t now)
{
    if (end_is_closed(e) || end_deadline(e) > now) {
        return false;
    }
    (void)end_tick(e, now);
    return true;
}

void link_settle(end *a, end *b, uint64_t now)
{
    bool busy = true;

    while (busy) {
        busy = end_pass(a, b, now);
        busy = end_pass(b, a, now) || busy;
        busy = tick_if_due(a, now) || busy;
        busy = tick_if_due(b, now) || busy;
    }
}

void link_open(end *a, end *b, uint64_t *now)
{
    link_settle(a, b, *now);
    *now += a->limits.hold_us;
    link_settle(a, b, *now);
}

void link_init(end *a, end *b, uint64_t *now)
{
    end_init(a, true, 1);
    end_init(b, false, 2);
    end_start(a, *now);
    end_start(b, *now);
    link_open(a, b, now);
    assert_open(a);
    assert_open(b);
}

void link_fini(end *a, end *b)
{
    end_fini(a);
    end_fini(b);
}

void end_seal(end *e, const void *plain, size_t len, pn_buf *frame)
{
    uint8_t header[PN_FRAME_HEADER_LEN];
    uint8_t *body = malloc(len + PN_TAG_LEN);

    if (body == NULL) {
        abort();
    }
    if (len > 0) {
        memcpy(body, plain, len);
    }
    assert_int_equal(pn_cipher_seal(&e->s->send, NULL, 0, body, len), PN_OK);
    pn_store_be32(header, (uint32_t)(len + PN_TAG_LEN));
    assert_int_equal(pn_buf_append(frame, header, sizeof(header)), PN_OK);
    assert_int_equal(pn_buf_append(frame, body, len + PN_TAG_LEN), PN_OK);
    free(body);
}

pn_err link_inject(
    end *from, end *to, uint64_t now, const void *plain, size_t len)
{
    pn_buf frame = {0};
    pn_err err;

    end_seal(from, plain, len, &frame);
    err = end_feed(to, now, pn_buf_head(&frame), pn_buf_used(&frame));
    pn_buf_fini(&frame);
    return err;
}

bool end_open_frame(end *e, uint8_t **data, size_t *len, pn_slice *ret_plain)
{
    size_t body_len;

    if (pn_frame_peek(*data, *len, PN_FRAME_MIN, PN_FRAME_MAX, &body_len)
        != PN_OK) {
        return false;
    }
    ret_plain->data = *data + PN_FRAME_HEADER_LEN;
    assert_int_equal(
        pn_cipher_open(&e->s->receive, NULL, 0, *data + PN_FRAME_HEADER_LEN,
            body_len, &ret_plain->len),
        PN_OK);
    *data += PN_FRAME_HEADER_LEN + body_len;
    *len -= PN_FRAME_HEADER_LEN + body_len;
    return true;
}

pn_slice text_slice(const char *text)
{
    return (pn_slice){(const uint8_t *)text, strlen(text)};
}

pn_err end_call(
    end *e, uint64_t now, const char *handle, uint64_t deadline, void *call)
{
    end_timed *timed = timed_new(e, deadline, call);
    pn_term_writer w;
    pn_err err = pn_session_begin_call(e->s, text_slice(handle), timed, &w);

    if (err == PN_OK) {
        timed->id = pn_session_begun_call(e->s);
        pn_term_write_int64(&w, 1);
        err = pn_session_commit(e->s, now, &w);
    }
    if (err != PN_OK) {
        untime(e, timed);
    }
    return err;
}

pn_err end_send(end *e, uint64_t now, const char *handle, size_t payload)
{
    uint8_t *bytes = calloc(1, payload + 1);
    pn_term_writer w;
    pn_err err = pn_session_begin_send(e->s, text_slice(handle), &w);

    if (bytes == NULL) {
        abort();
    }
    if (err == PN_OK) {
        pn_term_write_binary(&w, bytes, payload);
        err = pn_session_commit(e->s, now, &w);
    }
    free(bytes);
    return err;
}

pn_err end_reply(end *e, uint64_t now, uint64_t id, bool is_ok)
{
    pn_term_writer w;
    pn_err err = pn_session_begin_reply(e->s, id, is_ok, &w);

    if (err != PN_OK) {
        return err;
    }
    pn_term_write_int64(&w, 2);
    return pn_session_commit(e->s, now, &w);
}

void assert_closed(end *e, pn_reason reason)
{
    assert_true(end_is_closed(e));
    assert_false(end_is_open(e));
    assert_string_equal(
        pn_reason_text(pn_session_reason(e->s)), pn_reason_text(reason));
    assert_int_equal(pn_session_deadline(e->s), PN_TIME_NEVER);
    assert_int_equal(end_calls_in_flight(e), 0);
}

void assert_open(end *e)
{
    assert_true(end_is_open(e));
    assert_int_equal(pn_session_reason(e->s), PN_REASON_NONE);
}

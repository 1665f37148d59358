/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FZ-2: bytes before authentication, to either role, with real cryptography and
 * fixed ephemerals. The input is a small script, so that the fuzzer can put
 * correct messages, whole, cut or damaged, between its own bytes, and choose
 * where reads end and when time passes.
 *
 * A session may open only after exactly the bytes of the one peer with the key.
 */
#include <stdlib.h>
#include <string.h>

#include "session/session_internal.h"
#include "wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    /* M1, M2, M3, a transport frame of each: pings that say their kind. */
    N_RECORDED = 5,
    LOG_MAX = 1 << 16
};

typedef struct side {
    pn_session *s;
    pn_key_pair identity;
    pn_env env;
    uint8_t ephemeral; /* the bytes of the ephemeral secret */
    unsigned n_open;
    unsigned n_trust;
} side;

/* One run. */
typedef struct run {
    side me;
    bool is_initiator;
    uint64_t now;
    pn_buf in;            /* fed, not consumed */
    uint8_t log[LOG_MAX]; /* all that was fed */
    size_t log_len;
} run;

static pn_session_limits limits;
static pn_buf recorded[N_RECORDED];
static bool is_ready;
static pn_public_key keys[2]; /* of the responder, of the initiator */
static bool has_keys[2];

static void must(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* ---- callbacks --------------------------------------------------------- */

static bool is_trusted(void *user, const pn_public_key *peer)
{
    side *me = user;

    (void)peer;
    me->n_trust++;
    return true;
}

static void on_open(void *user, const pn_public_key *peer)
{
    side *me = user;

    (void)peer;
    me->n_open++;
}

static void on_call(void *user, uint64_t id, pn_slice handle, pn_term args)
{
    const side *me = user;

    (void)handle;
    (void)args;
    must(id != 0 && me->n_open == 1);
}

static void on_send(void *user, pn_slice handle, pn_term args)
{
    const side *me = user;

    (void)handle;
    (void)args;
    must(me->n_open == 1);
}

static void on_reply(void *user, void *call, pn_err outcome, pn_term value)
{
    (void)user;
    (void)call;
    (void)outcome;
    (void)value;
    abort(); /* no call was made */
}

static void on_output(void *user)
{
    (void)user;
}

static pn_err fixed_random(void *user, uint8_t *buf, size_t len)
{
    const side *me = user;

    memset(buf, len == PN_KEY_LEN ? me->ephemeral : 5, len);
    return PN_OK;
}

static const pn_session_callbacks callbacks = {
    .is_trusted = is_trusted,
    .on_open = on_open,
    .on_call = on_call,
    .on_send = on_send,
    .on_reply = on_reply,
    .on_output = on_output,
};

static void side_start(side *me, bool initiator)
{
    static const pn_kind kind = {1, PN_KIND_NO_ETIQUETTE, "fuzz"};
    pn_session_config config = {
        .initiator = initiator,
        .kind = &kind,
        .identity = &me->identity,
        .limits = &limits,
        .env = &me->env,
        .callbacks = &callbacks,
        .user = me,
    };

    *me = (side){
        .env = {.user = me, .random = fixed_random},
        .ephemeral = initiator ? 3 : 4,
    };
    memset(me->identity.secret.bytes, initiator ? 1 : 2, PN_KEY_LEN);
    if (!has_keys[initiator]) {
        must(pn_x25519_public(&me->identity.secret, &keys[initiator]) == PN_OK);
        has_keys[initiator] = true;
    }
    me->identity.public_key = keys[initiator];
    must(pn_session_new(&config, 0, &me->s) == PN_OK);
}

/* ---- the messages of the right peer ------------------------------------ */

static void take(side *from, pn_buf *out)
{
    pn_slice bytes = pn_session_output(from->s);

    must(pn_buf_append(out, bytes.data, bytes.len) == PN_OK);
    pn_session_written(from->s, 0, bytes.len);
}

static void give(side *to, const pn_buf *bytes)
{
    pn_buf copy = {0};
    size_t consumed;

    must(pn_buf_append(&copy, bytes->data, bytes->len) == PN_OK);
    must(pn_session_input(to->s, 0, copy.data, copy.len, &consumed) == PN_OK);
    pn_buf_fini(&copy);
}

static void record(void)
{
    side a;
    side b;

    pn_session_limits_default(&limits);
    side_start(&a, true);
    side_start(&b, false);
    take(&a, &recorded[0]);
    give(&b, &recorded[0]);
    take(&b, &recorded[1]);
    give(&a, &recorded[1]);
    take(&a, &recorded[2]);
    give(&b, &recorded[2]);
    must(a.s->state == PN_SESSION_OPEN && b.s->state == PN_SESSION_OPEN);
    take(&b, &recorded[4]);
    must(pn_session_tick(a.s, limits.hold_us) == PN_OK);
    must(pn_session_say_kind(a.s, limits.hold_us) == PN_OK);
    take(&a, &recorded[3]);
    give(&b, &recorded[3]);
    must(pn_session_kind(b.s) != NULL);
    pn_session_free(a.s);
    pn_session_free(b.s);
    is_ready = true;
}

/* ---- the run ----------------------------------------------------------- */

/* The handshake that opens a session, as its end receives it. */
static bool log_is_authentic(const run *r)
{
    const pn_buf *first = &recorded[r->is_initiator ? 1 : 0];
    size_t n = first->len;

    if (r->log_len < n || memcmp(r->log, first->data, n) != 0) {
        return false;
    }
    if (r->is_initiator) {
        return true;
    }
    return r->log_len >= n + recorded[2].len
           && memcmp(r->log + n, recorded[2].data, recorded[2].len) == 0;
}

static void check(const run *r)
{
    const pn_session *s = r->me.s;

    must(r->me.n_open <= 1 && r->me.n_trust <= 1);
    must(r->me.n_open == 0 || log_is_authentic(r));
    must(r->me.n_trust == 0 || log_is_authentic(r));
    if (r->me.n_open == 0) {
        must(pn_session_queued_bytes(s) <= 106);
        must(pn_session_queued_messages(s) <= 1);
        must(s->state != PN_SESSION_OPEN);
    }
    must((s->state == PN_SESSION_CLOSED)
         == (pn_session_reason(s) != PN_REASON_NONE));
    must(pn_session_kind(s) == NULL || r->me.n_open == 1);
    must(r->now < limits.handshake_us || s->state == PN_SESSION_CLOSED
         || r->me.n_open == 1 || pn_session_deadline(s) <= r->now);
}

/* One read of all that waits, in memory of just that size. */
static void deliver(run *r)
{
    size_t len = pn_buf_used(&r->in);
    uint8_t *copy = malloc(len == 0 ? 1 : len);
    size_t consumed = 0;
    size_t need;
    pn_err err;

    must(copy != NULL);
    if (len > 0) {
        memcpy(copy, pn_buf_head(&r->in), len);
    }
    err = pn_session_input(r->me.s, r->now, copy, len, &consumed);
    must(consumed <= len);
    must((err == PN_OK) == (r->me.s->state != PN_SESSION_CLOSED));
    pn_buf_consume(&r->in, consumed);
    if (err == PN_OK) {
        need = pn_session_need(r->me.s, copy + consumed, pn_buf_used(&r->in));
        must(need == 0 || need > pn_buf_used(&r->in));
        must(r->me.n_open == 1 || need <= 106);
    }
    free(copy);
    check(r);
}

static void feed(run *r, const uint8_t *bytes, size_t n)
{
    if (n > LOG_MAX - r->log_len) {
        n = LOG_MAX - r->log_len;
    }
    memcpy(r->log + r->log_len, bytes, n);
    r->log_len += n;
    must(pn_buf_append(&r->in, bytes, n) == PN_OK);
}

typedef struct script {
    const uint8_t *at;
    const uint8_t *end;
} script;

static uint8_t next(script *sc)
{
    return sc->at < sc->end ? *sc->at++ : 0;
}

static void feed_literal(run *r, script *sc)
{
    size_t n = next(sc);

    if (n > (size_t)(sc->end - sc->at)) {
        n = (size_t)(sc->end - sc->at);
    }
    if (n > 0) {
        feed(r, sc->at, n);
    }
    sc->at += n;
}

/* A recorded message from a position on, with one byte changed perhaps. */
static void feed_recorded(run *r, script *sc, bool is_cut, bool is_damaged)
{
    const pn_buf *message = &recorded[next(sc) % N_RECORDED];
    size_t from = is_cut ? next(sc) % message->len : 0;
    size_t n = message->len - from;
    uint8_t copy[256];

    if (is_cut) {
        n = next(sc) % (n + 1);
    }
    must(n <= sizeof(copy));
    memcpy(copy, message->data + from, n);
    if (is_damaged && n > 0) {
        size_t at = next(sc) % n;

        copy[at] ^= next(sc);
    }
    feed(r, copy, n);
}

static void step(run *r, script *sc)
{
    uint8_t op = next(sc);

    switch (op % 8) {
    case 0:
    case 1:
        feed_literal(r, sc);
        break;
    case 2:
    case 3:
        feed_recorded(r, sc, false, false);
        break;
    case 4:
        feed_recorded(r, sc, false, true);
        break;
    case 5:
        feed_recorded(r, sc, true, false);
        break;
    case 6:
        r->now += (uint64_t)next(sc) * 50 * PN_US_PER_MS;
        if (pn_session_tick(r->me.s, r->now) == PN_OK) {
            must(r->me.s->state != PN_SESSION_CLOSED);
        }
        break;
    case 7:
        pn_session_written(r->me.s, r->now, next(sc));
        break;
    }
    if (op < 128) {
        deliver(r);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static run r;
    script sc = {data, data + size};

    if (!is_ready) {
        record();
    }
    r.is_initiator = next(&sc) % 2 != 0;
    r.now = 0;
    r.log_len = 0;
    side_start(&r.me, r.is_initiator);
    while (sc.at < sc.end && r.me.s->state != PN_SESSION_CLOSED) {
        step(&r, &sc);
    }
    deliver(&r);
    pn_session_free(r.me.s);
    pn_buf_fini(&r.in);
    return 0;
}

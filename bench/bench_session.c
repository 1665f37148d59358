/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cost of the session beside sealing: two sessions in one process joined by
 * memory, each figure beside its ceiling measured in the same run.
 *
 *   bench-session [SECONDS per figure, default 0.5] [FIGURE]
 *
 * Time is this thread's own, so a busy machine matters less.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/env.h"
#include "session/session_internal.h"
#include "wire/frame.h"

enum { BATCH = 256, IN_FLIGHT = 64, RUNS = 5 };

static double seconds_each = 0.5;

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void check(bool ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "bench-session: %s failed\n", what);
        exit(1);
    }
}

/* ---- two ends ---------------------------------------------------------- */

typedef struct side {
    pn_session *s;
    pn_key_pair identity;
    pn_buf in;
    uint64_t n;       /* sends or replies that came */
    uint32_t to_make; /* calls that may be made */
} side;

static pn_session_limits limits;
static const pn_slice handle = {(const uint8_t *)"echo", 4};
static uint8_t payload[512 * 1024];

static bool is_trusted(void *user, const pn_public_key *peer)
{
    (void)user;
    (void)peer;
    return true;
}

static void on_open(void *user, const pn_public_key *peer)
{
    (void)user;
    (void)peer;
}

static void on_call(void *user, uint64_t id, pn_slice name, pn_term args)
{
    side *me = user;
    pn_term_writer w;

    (void)name;
    check(pn_session_begin_reply(me->s, id, true, &w) == PN_OK, "begin_reply");
    pn_term_write_term(&w, args);
    check(pn_session_commit(me->s, 0, &w) == PN_OK, "commit");
}

static void on_send(void *user, pn_slice name, pn_term args)
{
    side *me = user;

    (void)name;
    (void)args;
    me->n++;
}

static void on_reply(void *user, void *call, pn_err outcome, pn_term value)
{
    side *me = user;

    (void)call;
    (void)value;
    check(outcome == PN_OK || outcome == PN_CLOSED, "call");
    me->n++;
    me->to_make++;
}

static void on_output(void *user)
{
    (void)user;
}

static pn_err draw(void *user, uint8_t *buf, size_t len)
{
    (void)user;
    return pn_random(buf, len);
}

static const pn_env env = {.random = draw};
static const pn_session_callbacks callbacks = {
    .is_trusted = is_trusted,
    .on_open = on_open,
    .on_call = on_call,
    .on_send = on_send,
    .on_reply = on_reply,
    .on_output = on_output,
};

static void side_open(side *me, bool initiator)
{
    pn_session_config config = {
        .initiator = initiator,
        .identity = &me->identity,
        .limits = &limits,
        .env = &env,
        .callbacks = &callbacks,
        .user = me,
    };

    *me = (side){0};
    check(pn_random(me->identity.secret.bytes, PN_KEY_LEN) == PN_OK, "random");
    check(pn_x25519_public(&me->identity.secret, &me->identity.public_key)
              == PN_OK,
        "key");
    check(pn_session_new(&config, 0, &me->s) == PN_OK, "new");
}

/* As a socket would: one copy into the reader's buffer. */
static void pass(side *from, side *to)
{
    pn_slice out = pn_session_output(from->s);
    size_t used;

    if (out.len == 0) {
        return;
    }
    check(pn_buf_append(&to->in, out.data, out.len) == PN_OK, "append");
    pn_session_written(from->s, 0, out.len);
    check(pn_session_input(
              to->s, 0, pn_buf_head(&to->in), pn_buf_used(&to->in), &used)
              == PN_OK,
        "input");
    pn_buf_consume(&to->in, used);
}

static void link_open(side *a, side *b)
{
    side_open(a, true);
    side_open(b, false);
    for (int i = 0; i < 4; i++) {
        pass(a, b);
        pass(b, a);
    }
    check(pn_session_tick(a->s, 2000) == PN_OK, "tick");
    check(a->s->state == PN_SESSION_OPEN && b->s->state == PN_SESSION_OPEN,
        "handshake");
}

static void side_close(side *me)
{
    pn_session_free(me->s);
    pn_buf_fini(&me->in);
}

/* ---- ceilings ---------------------------------------------------------- */

static pn_aead *aead_new(void)
{
    pn_secret_key key = {{1}};
    pn_aead *aead;

    check(pn_aead_new(&key, &aead) == PN_OK, "aead");
    return aead;
}

/* Operations a second on messages of len bytes, in a ring as large as the
 * session's output gets, so the caches see the same. */
static double seal_rate(size_t len)
{
    size_t stride = len + PN_TAG_LEN + PN_FRAME_HEADER_LEN;
    size_t slots = len > 4096 ? 4 : BATCH;
    uint8_t *ring = calloc(slots, stride);
    pn_aead *aead = aead_new();
    uint64_t n = 0;
    double start = now_s();
    double took;

    check(ring != NULL, "calloc");
    do {
        for (size_t i = 0; i < slots; i++) {
            uint8_t *at = ring + i * stride;

            check(
                pn_aead_seal(aead, n++, NULL, 0, at, len, at) == PN_OK, "seal");
        }
        took = now_s() - start;
    } while (took < seconds_each);
    pn_aead_free(aead);
    free(ring);
    return (double)n / took;
}

static double open_rate(size_t len)
{
    size_t slots = len > 4096 ? 4 : BATCH;
    size_t stride = len + PN_TAG_LEN;
    uint8_t *sealed = calloc(slots, stride);
    uint8_t *ring = calloc(slots, stride);
    pn_aead *aead = aead_new();
    uint64_t n = 0;
    double took = 0;

    check(ring != NULL && sealed != NULL, "calloc");
    for (size_t i = 0; i < slots; i++) {
        check(pn_aead_seal(aead, i, NULL, 0, sealed + i * stride, len,
                  sealed + i * stride)
                  == PN_OK,
            "seal");
    }
    do {
        double start;

        memcpy(ring, sealed, slots * stride);
        start = now_s();
        for (size_t i = 0; i < slots; i++) {
            uint8_t *at = ring + i * stride;

            check(pn_aead_open(aead, i, NULL, 0, at, stride, at) == PN_OK,
                "open");
        }
        took += now_s() - start;
        n += slots;
    } while (took < seconds_each);
    pn_aead_free(aead);
    free(ring);
    free(sealed);
    return (double)n / took;
}

/* ---- figures ----------------------------------------------------------- */

static void send_one(side *a, size_t len)
{
    pn_term_writer w;

    check(pn_session_begin_send(a->s, handle, &w) == PN_OK, "begin_send");
    pn_term_write_binary(&w, payload, len);
    check(pn_session_commit(a->s, 0, &w) == PN_OK, "commit");
}

/* Both halves of one-way sends, timed apart. */
static void sends(size_t len, double *ret_out, double *ret_in)
{
    size_t batch = len > 4096 ? 4 : BATCH;
    double out_s = 0;
    double in_s = 0;
    side a;
    side b;

    link_open(&a, &b);
    do {
        double start = now_s();
        pn_slice out;
        size_t used;

        for (size_t i = 0; i < batch; i++) {
            send_one(&a, len);
        }
        out_s += now_s() - start;
        out = pn_session_output(a.s);
        check(pn_buf_append(&b.in, out.data, out.len) == PN_OK, "append");
        start = now_s();
        pn_session_written(a.s, 0, out.len);
        out_s += now_s() - start;
        start = now_s();
        check(pn_session_input(
                  b.s, 0, pn_buf_head(&b.in), pn_buf_used(&b.in), &used)
                  == PN_OK,
            "input");
        in_s += now_s() - start;
        pn_buf_consume(&b.in, used);
    } while (out_s < seconds_each || in_s < seconds_each);
    *ret_out = (double)b.n / out_s;
    *ret_in = (double)b.n / in_s;
    side_close(&a);
    side_close(&b);
}

static double calls(size_t len, uint32_t in_flight)
{
    double start;
    double took;
    side a;
    side b;

    link_open(&a, &b);
    a.to_make = in_flight;
    start = now_s();
    do {
        while (a.to_make > 0) {
            pn_term_writer w;

            a.to_make--;
            check(pn_session_begin_call(a.s, handle, &a, &w) == PN_OK,
                "begin_call");
            pn_term_write_binary(&w, payload, len);
            check(pn_session_commit(a.s, 0, &w) == PN_OK, "commit");
        }
        pass(&a, &b);
        pass(&b, &a);
        took = now_s() - start;
    } while (took < seconds_each);
    took = (double)a.n / took;
    side_close(&a);
    side_close(&b);
    return took;
}

static double handshakes(void)
{
    uint64_t n = 0;
    double start = now_s();
    double took;

    do {
        side a;
        side b;

        link_open(&a, &b);
        side_close(&a);
        side_close(&b);
        n++;
        took = now_s() - start;
    } while (took < seconds_each);
    return (double)n / took;
}

static double x25519_rate(void)
{
    pn_secret_key secret = {{3}};
    pn_public_key point;
    uint8_t shared[PN_KEY_LEN];
    uint64_t n = 0;
    double start = now_s();
    double took;

    check(pn_x25519_public(&secret, &point) == PN_OK, "key");
    do {
        check(pn_x25519(&secret, &point, shared) == PN_OK, "x25519");
        n++;
        took = now_s() - start;
    } while (took < seconds_each);
    return (double)n / took;
}

static int by_value(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;

    return (*x > *y) - (*x < *y);
}

static double median(double *values)
{
    qsort(values, RUNS, sizeof(*values), by_value);
    return values[RUNS / 2];
}

/* Head of {send, echo, <<len bytes>>}. */
static size_t plain_len(size_t len)
{
    return 15 + 5 + len;
}

static void figure_sends(size_t len)
{
    double seal[RUNS];
    double open[RUNS];
    double out[RUNS];
    double in[RUNS];

    for (int i = 0; i < RUNS; i++) {
        seal[i] = seal_rate(plain_len(len));
        open[i] = open_rate(plain_len(len));
        sends(len, &out[i], &in[i]);
    }
    printf("send out %7zu B  %10.0f/s  seal alone %10.0f/s  ratio %.2f  "
           "(+%.0f ns)\n",
        len, median(out), median(seal), median(out) / median(seal),
        1e9 / median(out) - 1e9 / median(seal));
    printf("send in  %7zu B  %10.0f/s  open alone %10.0f/s  ratio %.2f  "
           "(+%.0f ns)\n",
        len, median(in), median(open), median(in) / median(open),
        1e9 / median(in) - 1e9 / median(open));
}

static void figure_calls(size_t len, uint32_t in_flight)
{
    double bound[RUNS];
    double rate[RUNS];

    for (int i = 0; i < RUNS; i++) {
        double seal = seal_rate(plain_len(len));
        double open = open_rate(plain_len(len));

        bound[i] = 1 / (2 / seal + 2 / open);
        rate[i] = calls(len, in_flight);
    }
    printf("calls %4" PRIu32 " in flight, %zu B, both ends on one core  "
           "%10.0f/s  2 seals + 2 opens %10.0f/s  ratio %.2f\n",
        in_flight, len, median(rate), median(bound),
        median(rate) / median(bound));
}

static void figure_handshakes(void)
{
    double bound[RUNS];
    double rate[RUNS];

    for (int i = 0; i < RUNS; i++) {
        bound[i] = x25519_rate() / 8;
        rate[i] = handshakes();
    }
    /* side_open makes a static key as well: 2 more multiplications. */
    printf("handshakes, both ends on one core (with 2 new static keys)  "
           "%10.0f/s  8 X25519 %10.0f/s  ratio %.2f\n",
        median(rate), median(bound), median(rate) / median(bound));
}

static void send_64(void)
{
    figure_sends(64);
}

static void send_1k(void)
{
    figure_sends(1024);
}

static void send_64k(void)
{
    figure_sends(65536);
}

static void send_512k(void)
{
    figure_sends(524288);
}

static void call_1(void)
{
    figure_calls(64, 1);
}

static void call_64(void)
{
    figure_calls(64, IN_FLIGHT);
}

static const struct {
    const char *name;
    void (*run)(void);
} figures[] = {
    {"send-64", send_64},
    {"send-1k", send_1k},
    {"send-64k", send_64k},
    {"send-512k", send_512k},
    {"call-1", call_1},
    {"call-64", call_64},
    {"handshake", figure_handshakes},
};

int main(int argc, char **argv)
{
    if (argc > 1) {
        seconds_each = atof(argv[1]);
    }
    seconds_each /= RUNS;
    pn_session_limits_default(&limits);
    for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
        if (argc < 3 || strcmp(argv[2], figures[i].name) == 0) {
            figures[i].run();
        }
    }
    return 0;
}

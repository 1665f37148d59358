/* SPDX-License-Identifier: Apache-2.0 */
/* One end of a distribution connection for the tests: seeded, counting. */
#ifndef PN_TESTS_DIST_END_H
#define PN_TESTS_DIST_END_H

#include "dist/dist.h"
#include "harness.h"

#define DIST_HANDSHAKE_US (7 * PN_US_PER_S)
#define DIST_MESSAGE_MAX ((size_t)16 * 1024 * 1024)
#define NOW_US (1000 * PN_US_PER_S)
#define COOKIE "monster"

typedef struct dist_end {
    pn_dist *dist;
    pn_dist_config config;
    pn_env env;
    uint64_t seed;
    bool no_random;
    unsigned n_random;  /* draws that still succeed, when no_random */
    bool has_challenge; /* drawn instead of the seed's */
    uint32_t challenge;
    pn_dist_rival rival; /* what on_name answers */
    bool is_gone;        /* what on_alive answers */
    unsigned n_names;
    unsigned n_lost;
    unsigned n_gone;
    unsigned n_alive;
    unsigned n_up;
    unsigned n_signals;
    unsigned n_drained;
    size_t drained_len; /* of the last */
    uint8_t drained_head[PN_DIST_HEAD_MAX];
    size_t drained_head_len;
    char order[64]; /* a letter an event: n l g a u s */
    char name[256]; /* that on_name was told */
    uint64_t n_written;
    /* Called with each signal, if set. */
    void (*on_signal)(struct dist_end *e, const pn_dist_signal *signal);
    void *user;
} dist_end;

pn_slice dist_text(const char *text);

/* alpha dials beta; both know it and have the cookie. */
void dist_end_init(dist_end *e, pn_dist_role role);
void dist_end_start(dist_end *e);
void dist_end_fini(dist_end *e);

/* Takes e's next message into out; returns its length, 0: none. It is not
 * acknowledged yet. */
size_t dist_take(dist_end *e, uint8_t *out);
void dist_ack(dist_end *e);
/* Hands over pieces of piece bytes. */
void dist_hear(dist_end *e, const uint8_t *data, size_t len, size_t piece);
/* The next message of from reaches to, which acknowledges it; its length. */
size_t dist_pass(dist_end *from, dist_end *to, size_t piece);
/* Exchanges messages until neither end has any. */
void dist_talk(dist_end *a, dist_end *b, size_t piece);

void dist_assert_up(const dist_end *e, const dist_end *peer);
void dist_assert_failed(const dist_end *e, pn_dist_reason want);

#endif

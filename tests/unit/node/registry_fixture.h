/* SPDX-License-Identifier: Apache-2.0 */
/* A registry whose node records the registry's requests, and a clock that the
 * test moves. */
#ifndef PN_TESTS_REGISTRY_FIXTURE_H
#define PN_TESTS_REGISTRY_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "harness.h"
#include "node/reg_peer.h"
#include "registry_config.h"

#define MS PN_US_PER_MS
#define S PN_US_PER_S
#define MAX_EVENTS 4096

typedef enum event_kind {
    EVENT_DIAL,
    EVENT_CANCEL,
    EVENT_CLOSE,
    EVENT_PROBE
} event_kind;

typedef struct event {
    event_kind kind;
    uint64_t at_us;
    pn_public_key key;
    pn_address address; /* DIAL */
    void *link;         /* CLOSE, PROBE */
    pn_reason reason;   /* CLOSE */
} event;

typedef struct fixture {
    pn_registry *r;
    pn_reg_config config;
    pn_env env;
    uint64_t seed;
    bool is_random_fixed;
    uint64_t random_value;
    uint64_t now_us;
    event events[MAX_EVENTS];
    size_t n_events;
    pn_reason dial_answer; /* what dial returns at once */
    bool was_connected;    /* what cancel_dial returns */
    void (*on_event)(struct fixture *f, const event *e);
    pn_public_key own;
    pn_public_key small; /* smaller than our own */
    pn_public_key large;
} fixture;

static inline pn_address v4(const char *host, uint16_t port)
{
    pn_address a = {.in = {.sin_family = AF_INET, .sin_port = htons(port)}};

    assert_int_equal(inet_pton(AF_INET, host, &a.in.sin_addr), 1);
    return a;
}

static inline pn_address v6(const char *host, uint16_t port)
{
    pn_address a = {.in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)}};

    assert_int_equal(inet_pton(AF_INET6, host, &a.in6.sin6_addr), 1);
    return a;
}

/* 10.0.0.n:7100 */
static inline pn_address host(unsigned n)
{
    pn_address a = v4("10.0.0.0", 7100);

    a.in.sin_addr.s_addr = htonl(0x0a000000U + n);
    return a;
}

static inline unsigned host_number(const pn_address *a)
{
    return ntohl(a->in.sin_addr.s_addr) - 0x0a000000U;
}

static inline void fixture_record(fixture *f, const event *e)
{
    assert_true(f->n_events < MAX_EVENTS);
    f->events[f->n_events++] = *e;
    if (f->on_event != NULL) {
        f->on_event(f, e);
    }
}

static inline pn_err fixture_random(void *user, uint8_t *buf, size_t len)
{
    fixture *f = user;
    uint64_t value = f->is_random_fixed ? f->random_value
                                        : pn_test_random(&f->seed);

    assert_int_equal(len, sizeof(value));
    memcpy(buf, &value, len);
    return PN_OK;
}

static inline pn_reason fixture_dial(
    void *user, pn_reg_peer *peer, const pn_address *address)
{
    fixture *f = user;
    event e = {.kind = EVENT_DIAL,
        .at_us = f->now_us,
        .key = peer->key,
        .address = *address};

    fixture_record(f, &e);
    return f->dial_answer;
}

static inline bool fixture_cancel(void *user, pn_reg_peer *peer)
{
    fixture *f = user;
    event e = {.kind = EVENT_CANCEL, .at_us = f->now_us, .key = peer->key};

    fixture_record(f, &e);
    return f->was_connected;
}

static inline void fixture_probe(void *user, pn_reg_peer *peer, void *link)
{
    fixture *f = user;
    event e = {.kind = EVENT_PROBE,
        .at_us = f->now_us,
        .key = peer->key,
        .link = link};

    fixture_record(f, &e);
}

static inline void fixture_close(
    void *user, pn_reg_peer *peer, void *link, pn_reason reason)
{
    fixture *f = user;
    event e = {.kind = EVENT_CLOSE,
        .at_us = f->now_us,
        .key = peer->key,
        .link = link,
        .reason = reason};

    fixture_record(f, &e);
}

static const pn_reg_callbacks fixture_callbacks = {
    .dial = fixture_dial,
    .cancel_dial = fixture_cancel,
    .probe = fixture_probe,
    .close_link = fixture_close,
};

static inline void fixture_start(fixture *f)
{
    assert_int_equal(
        pn_registry_new(&f->config, &fixture_callbacks, f, &f->r), PN_OK);
}

/* With both peers unpaired; change f->config before fixture_start. */
static inline fixture *fixture_new(void)
{
    fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->seed = 42;
    f->now_us = 1000 * S;
    f->env = (pn_env){.user = f, .random = fixture_random};
    memset(f->own.bytes, 0x80, sizeof(f->own.bytes));
    memset(f->small.bytes, 0x10, sizeof(f->small.bytes));
    memset(f->large.bytes, 0xf0, sizeof(f->large.bytes));
    registry_config_default(&f->config);
    f->config.own_key = f->own;
    f->config.env = &f->env;
    return f;
}

/* Started, with one peer whose key is larger than ours. */
static inline fixture *fixture_with_peer(pn_reg_peer **ret_peer)
{
    fixture *f = fixture_new();

    fixture_start(f);
    assert_int_equal(
        pn_registry_peer_add(f->r, &f->large, NULL, ret_peer), PN_OK);
    return f;
}

static inline void fixture_free(fixture *f)
{
    pn_registry_free(f->r);
    free(f);
}

/* Lets time pass, doing what is due in its moment. */
static inline void run_until(fixture *f, uint64_t until_us)
{
    unsigned guard = 0;

    while (pn_registry_deadline(f->r) <= until_us) {
        uint64_t due_us = pn_registry_deadline(f->r);

        assert_true(guard++ < 100000);
        f->now_us = due_us > f->now_us ? due_us : f->now_us;
        pn_registry_tick(f->r, f->now_us);
    }
    f->now_us = until_us;
}

static inline void run_for(fixture *f, uint64_t us)
{
    run_until(f, f->now_us + us);
}

static inline size_t count(const fixture *f, event_kind kind)
{
    size_t n = 0;

    for (size_t i = 0; i < f->n_events; i++) {
        n += f->events[i].kind == kind;
    }
    return n;
}

static inline const event *nth(const fixture *f, event_kind kind, size_t n)
{
    for (size_t i = 0; i < f->n_events; i++) {
        if (f->events[i].kind == kind && n-- == 0) {
            return &f->events[i];
        }
    }
    fail_msg("no such event");
    return &f->events[0];
}

static inline const event *last(const fixture *f, event_kind kind)
{
    return nth(f, kind, count(f, kind) - 1);
}

/* Runs until the next dial and returns it; fails if none comes by then. */
static inline const event *next_dial(fixture *f, uint64_t within_us)
{
    uint64_t until_us = f->now_us + within_us;
    size_t n = count(f, EVENT_DIAL);

    while (count(f, EVENT_DIAL) == n) {
        uint64_t due_us = pn_registry_deadline(f->r);

        if (due_us > until_us) {
            fail_msg("no dial in time");
        }
        f->now_us = due_us > f->now_us ? due_us : f->now_us;
        pn_registry_tick(f->r, f->now_us);
    }
    return last(f, EVENT_DIAL);
}

static inline void hint(
    fixture *f, const pn_public_key *key, unsigned n, pn_reg_hint kind)
{
    pn_address a = host(n);

    assert_int_equal(pn_registry_hint(f->r, key, &a, kind, f->now_us), PN_OK);
}

/* Started, with one peer whose first address is being dialled. */
static inline fixture *fixture_dialling(
    pn_reg_hint kind, pn_reg_peer **ret_peer)
{
    fixture *f = fixture_with_peer(ret_peer);

    hint(f, &f->large, 1, kind);
    (void)next_dial(f, kind == PN_REG_DISCOVERED ? 1 * S : 0);
    return f;
}

static inline void fail_dial(fixture *f, pn_reg_peer *peer, pn_reason reason)
{
    pn_registry_dial_failed(f->r, peer, reason, f->now_us);
}

static inline void link_up(
    fixture *f, pn_reg_peer *peer, void *link, bool dialled_by_us)
{
    pn_address a = host(99);

    assert_ptr_equal(pn_registry_link_up(
                         f->r, &peer->key, link, dialled_by_us, &a, f->now_us),
        peer);
}

static inline void link_down(
    fixture *f, pn_reg_peer *peer, void *link, pn_reason reason)
{
    pn_registry_link_down(f->r, peer, link, reason, f->now_us);
}

static inline void received(fixture *f, pn_reg_peer *peer, void *link)
{
    pn_registry_link_received(f->r, peer, link);
}

static inline pn_reg_info info(fixture *f, pn_reg_peer *peer)
{
    pn_reg_info i;

    pn_registry_info(f->r, peer, &i);
    return i;
}

/* How many addresses the peer has; ret_addresses: at most cap of them, best
 * first. */
static inline size_t addresses_of(
    const pn_reg_peer *peer, pn_address *ret_addresses, size_t cap)
{
    const pn_reg_candidates *candidates = &pn_reg_entry_of(peer)->candidates;
    pn_reg_slots left = pn_reg_entry_of(peer)->slots;
    size_t n = 0;

    for (; left.n > 0; n++) {
        pn_reg_slot *best = pn_reg_slots_preferred(&left, false);

        if (n < cap) {
            ret_addresses[n] = best->address;
        }
        pn_reg_slots_drop(&left, best);
    }
    for (unsigned i = 0; i < candidates->n; i++, n++) {
        if (n < cap) {
            ret_addresses[n] = candidates->at[i].address;
        }
    }
    return n;
}

/* How often the peer has the address of host n. */
static inline unsigned known(pn_reg_peer *p, unsigned n)
{
    pn_address all[PN_REG_MAX_ADDRESSES + 256];
    size_t n_all = addresses_of(p, all, PN_REG_MAX_ADDRESSES + 256);
    unsigned found = 0;

    assert_true(n_all <= PN_REG_MAX_ADDRESSES + 256);
    for (size_t i = 0; i < n_all; i++) {
        found += host_number(&all[i]) == n;
    }
    return found;
}

#endif

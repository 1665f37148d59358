/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docs/THREATS.md, T15, in virtual time: a paired peer that was never met
 * announces itself every five seconds, and others forge announces of its key.
 * However many they send, the honest address is dialled: within 30 s beside one
 * forging source, within 5 x (N + 1) s beside N of them, if max_candidates is
 * more than N. With more sources a free place goes to the next announce, so
 * there is no bound.
 *
 * PN_SIM_SEEDS overrides how many seeds a row runs.
 */
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "node/registry.h"
#include "registry_config.h"

#define MS PN_US_PER_MS
#define S PN_US_PER_S

enum { N_SEEDS = 1000, HANDSHAKE_MS = 5000, CONNECT_MS = 5000 };

/* The host behind a forged address. */
typedef enum forged_host {
    FORGED_REFUSES,
    FORGED_SWALLOWS,  /* the SYN: no answer at all */
    FORGED_IS_MUTE,   /* connects and says nothing */
    FORGED_CLOSES,    /* connects and closes */
    FORGED_IS_OTHER,  /* a node with another key */
    FORGED_FAILS_NOW, /* the dial fails before it returns */
    N_FORGED_HOSTS,
    FORGED_MIXED = N_FORGED_HOSTS /* each dial another */
} forged_host;

typedef struct contact_row {
    const char *name;
    unsigned n_sources;
    unsigned per_s; /* forged announces, all sources together */
    forged_host host;
    unsigned seeds_divisor; /* long rows run fewer seeds by default */
    uint64_t within_s;
    bool has_dead_remembered; /* a remembered address that swallows SYNs */
    bool is_refusing_once;    /* the honest address refuses its first dial */
    bool is_one_address;      /* a source forges the same port every time */
} contact_row;

/* clang-format off */
static contact_row rows[] = {
    {"quiet", 0, 0, FORGED_MIXED, 1, 1, false, false, false},
    {"one_source_1_a_second", 1, 1, FORGED_MIXED, 1, 10, false, false, false},
    {"one_source_40_a_second", 1, 40, FORGED_MIXED, 1, 10, false, false, false},
    {"one_source_refuses", 1, 40, FORGED_REFUSES, 1, 10, false, false, false},
    {"one_source_swallows", 1, 40, FORGED_SWALLOWS, 1, 10, false, false, false},
    {"one_source_is_mute", 1, 40, FORGED_IS_MUTE, 1, 10, false, false, false},
    {"one_source_closes", 1, 40, FORGED_CLOSES, 1, 10, false, false, false},
    {"one_source_is_other", 1, 40, FORGED_IS_OTHER, 1, 10, false, false, false},
    {"one_source_fails_at_once", 1, 40, FORGED_FAILS_NOW, 1, 10, false, false,
        false},
    {"one_source_one_address", 1, 40, FORGED_MIXED, 1, 10, false, false, true},
    {"three_sources", 3, 40, FORGED_MIXED, 1, 20, false, false, false},
    {"three_slow_sources", 3, 1, FORGED_MIXED, 1, 20, false, false, false},
    {"fifteen_sources", 15, 40, FORGED_MIXED, 10, 80, false, false, false},
    {"fifteen_mute_sources", 15, 40, FORGED_IS_MUTE, 10, 80, false, false,
        false},
    {"a_hundred_sources", 100, 40, FORGED_MIXED, 100, 505, false, false, false},
    {"a_hundred_swallow", 100, 150, FORGED_SWALLOWS, 100, 505, false, false,
        false},
    {"beside_a_dead_remembered", 1, 40, FORGED_MIXED, 1, 30, true, false,
        false},
    {"refused_once", 1, 40, FORGED_MIXED, 1, 80, false, true, false},
    {"refused_once_one_address", 1, 40, FORGED_SWALLOWS, 1, 60, false, true,
        true},
    /* The honest source has the last place of the default table. */
    {"fills_the_table", 255, 60, FORGED_MIXED, 500, 1280, false, false, false},
    {"fills_a_larger_table", 400, 60, FORGED_MIXED, 1000, 2005, false, false,
        false},
};
/* clang-format on */

/* One run. */
typedef struct contact {
    const contact_row *row;
    pn_registry *r;
    pn_reg_peer *peer;
    pn_env env;
    uint64_t seed;
    uint64_t now_us;
    pn_address honest;
    pn_address remembered;
    unsigned n_forged;
    unsigned n_honest_dials;
    bool is_done;
    bool is_dialling;
    bool is_connected; /* the dial in flight */
    uint64_t answer_us;
    pn_reason answer;
} contact;

static uint64_t draw(contact *c, uint64_t below)
{
    return pn_test_random(&c->seed) % below;
}

static pn_address at(const char *text)
{
    pn_address a;

    assert_int_equal(pn_address_parse(text, -1, &a), PN_OK);
    return a;
}

/* ---- callbacks of the registry ---- */

static void answer_in(contact *c, uint64_t us, pn_reason reason)
{
    c->answer_us = c->now_us + us;
    c->answer = reason;
}

static pn_reason dial_forged(contact *c)
{
    forged_host host = c->row->host == FORGED_MIXED
                           ? (forged_host)draw(c, N_FORGED_HOSTS)
                           : c->row->host;

    c->is_connected = host == FORGED_IS_MUTE;
    switch (host) {
    case FORGED_REFUSES:
        answer_in(c, 1 * MS, PN_REASON_CONNECTION_REFUSED);
        break;
    case FORGED_SWALLOWS:
        answer_in(c, CONNECT_MS * MS, PN_REASON_CONNECT_TIMEOUT);
        break;
    case FORGED_IS_MUTE:
        answer_in(c, 1 * MS + HANDSHAKE_MS * MS, PN_REASON_HANDSHAKE_TIMEOUT);
        break;
    case FORGED_CLOSES:
        answer_in(c, 2 * MS, PN_REASON_PEER_CLOSED);
        break;
    case FORGED_IS_OTHER:
        answer_in(c, 3 * MS, PN_REASON_KEY_MISMATCH);
        break;
    case FORGED_FAILS_NOW:
    case FORGED_MIXED:
        c->is_dialling = false;
        return PN_REASON_UNREACHABLE;
    }
    return PN_REASON_NONE;
}

static pn_reason on_dial(
    void *user, pn_reg_peer *peer, const pn_address *address)
{
    contact *c = user;

    assert_ptr_equal(peer, c->peer);
    assert_false(c->is_dialling);
    c->is_dialling = true;
    c->is_connected = false;
    if (pn_address_equal(address, &c->honest)) {
        c->n_honest_dials++;
        c->is_done = c->n_honest_dials > (c->row->is_refusing_once ? 1 : 0);
        answer_in(c, 1 * MS, PN_REASON_CONNECTION_REFUSED);
        return PN_REASON_NONE;
    }
    if (pn_address_equal(address, &c->remembered)) {
        answer_in(c, CONNECT_MS * MS, PN_REASON_CONNECT_TIMEOUT);
        return PN_REASON_NONE;
    }
    return dial_forged(c);
}

static bool on_cancel_dial(void *user, pn_reg_peer *peer)
{
    contact *c = user;

    (void)peer;
    assert_true(c->is_dialling);
    c->is_dialling = false;
    return c->is_connected;
}

static void on_probe(void *user, pn_reg_peer *peer, void *link)
{
    (void)user;
    (void)peer;
    (void)link;
}

static void on_close(
    void *user, pn_reg_peer *peer, void *link, pn_reason reason)
{
    (void)user;
    (void)peer;
    (void)link;
    (void)reason;
}

static const pn_reg_callbacks callbacks = {
    .dial = on_dial,
    .cancel_dial = on_cancel_dial,
    .probe = on_probe,
    .close_link = on_close,
};

static pn_err on_random(void *user, uint8_t *buf, size_t len)
{
    contact *c = user;

    for (size_t i = 0; i < len; i++) {
        buf[i] = (uint8_t)draw(c, 256);
    }
    return PN_OK;
}

/* ---- one run ---- */

static void hear(contact *c, const pn_address *a)
{
    assert_int_equal(
        pn_registry_hint(c->r, &c->peer->key, a, PN_REG_DISCOVERED, c->now_us),
        PN_OK);
}

static void hear_forged(contact *c)
{
    unsigned source = c->n_forged++ % c->row->n_sources;
    unsigned port = c->row->is_one_address ? 2000 : 2000 + c->n_forged % 60000;
    char text[40];
    pn_address a;

    (void)snprintf(text, sizeof(text), "172.16.%u.%u:%u", source / 250,
        source % 250 + 1, port);
    a = at(text);
    hear(c, &a);
}

static uint64_t earliest(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void start(contact *c, const contact_row *row, uint64_t seed)
{
    pn_reg_config config;
    pn_public_key key = {{1}};

    *c = (contact){.row = row,
        .seed = seed,
        .now_us = 1000 * S,
        .honest = at("192.168.1.50:7100"),
        .remembered = at("192.168.1.51:7100")};
    c->env = (pn_env){.user = c, .random = on_random};
    registry_config_default(&config);
    /* Either key may be the larger. */
    memset(config.own_key.bytes, (int)draw(c, 2) * 255, sizeof(key));
    config.env = &c->env;
    if (config.max_candidates <= row->n_sources) {
        config.max_candidates = row->n_sources + 1;
    }
    assert_int_equal(pn_registry_new(&config, &callbacks, c, &c->r), PN_OK);
    assert_int_equal(pn_registry_peer_add(c->r, &key, NULL, &c->peer), PN_OK);
    if (row->has_dead_remembered) {
        assert_int_equal(pn_registry_hint(c->r, &key, &c->remembered,
                             PN_REG_REMEMBERED, c->now_us),
            PN_OK);
    }
}

/* From the first honest announce until its dial; gives up after twice the
 * bound. */
static uint64_t run(const contact_row *row, uint64_t seed)
{
    contact c;
    uint64_t honest_us;
    uint64_t forged_us = PN_TIME_NEVER;
    uint64_t every_us = 0;
    uint64_t first_us;
    uint64_t end_us;

    start(&c, row, seed);
    first_us = c.now_us + draw(&c, 10 * S);
    honest_us = first_us;
    end_us = first_us + 2 * row->within_s * S;
    if (row->per_s > 0) {
        every_us = S / row->per_s;
        forged_us = c.now_us + draw(&c, 2 * S);
    }
    while (!c.is_done && c.now_us < end_us) {
        uint64_t answer_us = c.is_dialling ? c.answer_us : PN_TIME_NEVER;
        uint64_t next_us = earliest(pn_registry_deadline(c.r),
            earliest(answer_us, earliest(honest_us, forged_us)));

        c.now_us = next_us > c.now_us ? next_us : c.now_us;
        if (answer_us <= c.now_us) {
            c.is_dialling = false;
            pn_registry_dial_failed(c.r, c.peer, c.answer, c.now_us);
        }
        if (forged_us <= c.now_us) {
            hear_forged(&c);
            forged_us += every_us;
        }
        if (honest_us <= c.now_us) {
            hear(&c, &c.honest);
            honest_us += 4 * S + draw(&c, 2 * S);
        }
        pn_registry_tick(c.r, c.now_us);
    }
    pn_registry_free(c.r);
    return c.now_us - first_us;
}

static void test_contact(void **state)
{
    const contact_row *row = *state;
    const char *wanted = getenv("PN_SIM_SEEDS");
    uint64_t n_seeds = wanted == NULL ? N_SEEDS / row->seeds_divisor
                                      : strtoull(wanted, NULL, 10);
    uint64_t worst_us = 0;

    for (uint64_t seed = 1; seed <= n_seeds; seed++) {
        uint64_t took_us = run(row, seed);

        if (took_us > row->within_s * S) {
            fail_msg("seed %llu: %llu ms, expected at most %llu s",
                (unsigned long long)seed, (unsigned long long)(took_us / MS),
                (unsigned long long)row->within_s);
        }
        worst_us = took_us > worst_us ? took_us : worst_us;
    }
    print_message("# %s: %llu seeds, at most %llu ms, bar %llu s\n", row->name,
        (unsigned long long)n_seeds, (unsigned long long)(worst_us / MS),
        (unsigned long long)row->within_s);
}

int main(void)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pn_test_addf(test_contact, &rows[i], "sim/contact/%s", rows[i].name);
    }
    return pn_test_run("sim/contact");
}
